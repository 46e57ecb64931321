//! What is left of the seats that a line leads to, and how its visits bought them: brought up to date once a second, so
//! that a poll reads it from memory.

use crate::{
    house::last_second,
    office::{BoxOffice, ServiceError},
};
use arc_swap::ArcSwap;
use frontrow_domain::{
    id::{ConcertId, RoomId},
    line::{StockOutlook, StockPace, TokenStatus},
    time::Time,
};
use frontrow_line::view::{Place, Rest, RoomView};
use std::collections::HashMap;

/// How many lines are looked at in a second: those with the most who wait.
const LINES_MAX: usize = 64;

/// The stock behind each line that leads to one concert and in which tokens wait.
#[derive(Debug, Default)]
pub(crate) struct Stocks {
    by_room: ArcSwap<HashMap<RoomId, StockPace>>,
}

impl Stocks {
    fn get(&self, room: RoomId) -> Option<StockPace> {
        self.by_room.load().get(&room).copied()
    }
}

impl BoxOffice {
    /// Whether seats are likely to be left for a token at this place. None for a token that is in or over, for a line that
    /// leads to several concerts or rests, and before enough was measured.
    pub(crate) fn outlook(
        &self,
        view: &RoomView,
        place: &Place,
        rest: Option<Rest>,
        now: Time,
    ) -> Option<StockOutlook> {
        match place.status() {
            TokenStatus::Waiting | TokenStatus::Offered | TokenStatus::Missed | TokenStatus::Dormant => {}
            TokenStatus::Active | TokenStatus::Ended => return None,
        }
        if rest == Some(Rest::SaleClosed) {
            return None;
        }
        let stock = self.stocks.get(view.room().room_id)?;
        StockOutlook::of(&stock, &view.in_front(place.ahead_in_line(), now))
    }

    /// Counts the seats left behind each busy line, and wakes the streams of a line whose seats are all sold now, or no
    /// longer are.
    ///
    /// # Errors
    /// The seats could not be counted.
    pub(crate) async fn look_at_stocks(&self) -> Result<(), ServiceError> {
        let lines = self.lines_with_stock();
        let concerts: Vec<_> = lines.iter().map(|(_, concert)| *concert).collect();
        if lines.is_empty() && self.stocks.by_room.load().is_empty() {
            return Ok(());
        }
        let counts = self.caches.seats_left.get(&self.store, &concerts).await?;
        let last = last_second(self.peers.sharing(), self.now());
        let mut stocks = HashMap::with_capacity(lines.len());
        for (room, concert) in lines {
            let Some(seats) = counts.get(&concert) else { continue };
            // A concert without seats is not sold out.
            if seats.sold + seats.held + seats.available == 0 {
                continue;
            }
            let left = seats.available.saturating_add(seats.held);
            let bought = self.house.visits_and_sales(last, concert, room);
            stocks.insert(room, StockPace { left, sold: bought.sold, visits: bought.visits() });
        }
        let before = self.stocks.by_room.swap(stocks.into());
        let after = self.stocks.by_room.load();
        let is_sold_out = |stocks: &HashMap<RoomId, StockPace>, room| stocks.get(&room).map(|stock| stock.left <= 0);
        for room in after.keys().filter(|room| is_sold_out(&before, **room) != is_sold_out(&after, **room)) {
            self.lines.stir(*room);
        }
        Ok(())
    }

    /// The busy lines that lead to one concert, with it; of very many, those with the most who wait.
    fn lines_with_stock(&self) -> Vec<(RoomId, ConcertId)> {
        let rooms = self.lines.busy_rooms().into_iter();
        let mut lines: Vec<_> = rooms
            .filter_map(|room| {
                let waiting = self.lines.view(room)?.total_waiting();
                Some((waiting, room, room.concert()?))
            })
            .collect();
        if lines.len() > LINES_MAX {
            lines.sort_unstable_by_key(|(waiting, ..)| std::cmp::Reverse(*waiting));
            lines.truncate(LINES_MAX);
        }
        lines.into_iter().map(|(_, room, concert)| (room, concert)).collect()
    }
}
