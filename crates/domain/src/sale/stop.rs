//! What a change of an operator means for buyers: whether it takes something from them, and whether it stops the sale.

use super::{Concert, ConcertStatus, Seat, SeatChange, SeatStatus};
use crate::{
    command::{ConcertChange, RoomChange},
    line::{DrawPhase, Gate, OpeningOrder, Room},
    time::Time,
};

/// How a change stops a sale or a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stops {
    /// The gate is paused: no turn is offered. Active tokens may still hold and pay.
    Paused,
    /// The cap is 0: no turn is offered, and none can be claimed.
    NoPlaces,
    /// The sale is closed: nothing is held or paid.
    Closed,
    /// The concert is postponed: nothing is held or paid until it is scheduled again.
    Postponed,
    /// The closing time has passed: nothing is held. Holds may still be paid.
    PastClosing,
    /// The opening is put off while the sale is open: nothing is held until then. Holds may still be paid.
    PutOff,
}

impl RoomChange {
    /// The room after the change, but for `updated_at`.
    #[must_use]
    pub fn applied(&self, room: &Room) -> Room {
        let mut room = room.clone();
        room.max_active = self.max_active.unwrap_or(room.max_active);
        room.admit_per_minute = self.admit_per_minute.unwrap_or(room.admit_per_minute);
        room.gate = self.gate.unwrap_or(room.gate);
        if let Some(message) = &self.message {
            room.message.clone_from(message);
        }
        room.draw = match (self.opening, room.draw) {
            (Some(OpeningOrder::Draw), DrawPhase::None) => DrawPhase::Lobby,
            (Some(OpeningOrder::FirstCome), DrawPhase::Lobby) => DrawPhase::None,
            (_, draw) => draw,
        };
        room.weight = self.weight.unwrap_or(room.weight);
        room.house_budget = self.house_budget.unwrap_or(room.house_budget);
        if let Some(site) = &mut room.site {
            if let Some(name) = &self.name {
                site.name.clone_from(name);
            }
            if let Some(turn_url) = &self.turn_url {
                site.turn_url.clone_from(turn_url);
            }
        }
        room
    }

    /// Whether the change takes something from buyers: it pauses the gate, lowers the cap or the weight, introduces or
    /// lowers a rate or the house's budget, or orders the tokens that wait for the opening in another way.
    #[must_use]
    pub fn hurts(&self, room: &Room) -> bool {
        let after = self.applied(room);
        let is_tighter = |before: Option<i64>, after: Option<i64>| match (before, after) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after < before,
        };
        let has_less_rate = is_tighter(room.admit_per_minute, after.admit_per_minute);
        let has_less_share = after.weight < room.weight || is_tighter(room.house_budget, after.house_budget);
        let is_paused = room.gate == Gate::Open && after.gate == Gate::Paused;
        is_paused || has_less_rate || has_less_share || after.max_active < room.max_active || after.draw != room.draw
    }

    /// How the change stops the line; none if it does not, or if the line is stopped so already.
    #[must_use]
    pub fn stops(&self, room: &Room) -> Option<Stops> {
        let after = self.applied(room);
        if room.gate == Gate::Open && after.gate == Gate::Paused {
            return Some(Stops::Paused);
        }
        // By the cap, and not by the share of the moment, which no operator sets.
        (room.max_active > 0 && after.max_active <= 0).then_some(Stops::NoPlaces)
    }
}

impl Concert {
    /// Whether any of these seats, which are not held, can be had at `now`: the sale is open, and the seat is not
    /// blocked. To remove it takes something from buyers.
    #[must_use]
    pub fn has_on_sale<'a>(&self, seats: impl IntoIterator<Item = &'a Seat>, now: Time) -> bool {
        self.check_on_sale(now).is_ok() && seats.into_iter().any(|seat| seat.status() != SeatStatus::Blocked)
    }
}

impl SeatChange {
    /// Whether the change of these seats, which are not held, takes something from buyers at `now`: it raises the price
    /// of one that is on sale.
    #[must_use]
    pub fn hurts(&self, concert: &Concert, seats: &[Seat], now: Time) -> bool {
        let is_dearer = |seat: &&Seat| self.price.is_some_and(|price| price > seat.price);
        concert.has_on_sale(seats.iter().filter(is_dearer), now)
    }
}

/// What a change of a concert takes from buyers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Harm {
    /// It stops the sale, or keeps it from opening.
    Stopped(Stops),
    /// Its sale has been open, and it is at another hour or place than those who bought were told.
    Moved,
    /// The sale is open, and closes earlier than buyers were told.
    ClosesEarlier,
}

impl ConcertChange {
    /// What the change takes from buyers at `now`; none if it takes nothing. A change that is refused takes nothing, and
    /// neither does the new day of a postponed concert.
    #[must_use]
    pub fn harm(&self, concert: &Concert, now: Time) -> Option<Harm> {
        if let Some(stops) = self.stops(concert, now) {
            return Some(Harm::Stopped(stops));
        }
        let after = self.applied(concert, now).ok()?;
        let takes_place = matches!(concert.status_at(now), ConcertStatus::Scheduled | ConcertStatus::Closed);
        let is_moved = (after.starts_at, &after.venue) != (concert.starts_at, &concert.venue);
        if takes_place && is_moved && concert.sale_opened_at(now).is_some() {
            return Some(Harm::Moved);
        }
        let closes_earlier = after.closes_at < concert.closes_at && concert.check_on_sale(now).is_ok();
        closes_earlier.then_some(Harm::ClosesEarlier)
    }

    /// Whether the change takes something from buyers.
    #[must_use]
    pub fn hurts(&self, concert: &Concert, now: Time) -> bool {
        self.harm(concert, now).is_some()
    }

    /// How the change stops the sale at `now`, or keeps it from opening; none if it does not, or if the sale is stopped
    /// so already.
    #[must_use]
    pub fn stops(&self, concert: &Concert, now: Time) -> Option<Stops> {
        let after = self.applied(concert, now).ok()?;
        if after.status != concert.status {
            match after.status {
                ConcertStatus::Closed => return Some(Stops::Closed),
                ConcertStatus::Postponed => return Some(Stops::Postponed),
                ConcertStatus::Scheduled | ConcertStatus::Cancelled | ConcertStatus::Over => {}
            }
        }
        // The last moment of the sale, whatever the status says: an operator may schedule the concert again.
        let is_past = |concert: &Concert| now >= concert.closes_at.min(concert.ends_at);
        if is_past(&after) && !is_past(concert) {
            return Some(Stops::PastClosing);
        }
        let is_open = concert.check_on_sale(now).is_ok();
        (is_open && now < after.opens_at).then_some(Stops::PutOff)
    }
}
