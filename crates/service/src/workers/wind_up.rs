//! Winds up cancelled concerts: blocks unsold seats, and refunds payments. Ends the lines of concerts for which no turn
//! can come any more.

use super::{decided, rest};
use crate::{engine::Health, office::BoxOffice, outcome::WoundUp};
use frontrow_domain::{
    id::{ConcertId, RoomId},
    policy::{TOKENS_PER_ADVANCE_MAX, WIND_UP_MAX},
    sale::Concert,
    time::{Span, Time},
};
use frontrow_storage::{Page, StoreError, trouble::Trouble};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How often the store is searched for cancelled concerts that are not wound up.
const WIND_UP_TICK: Duration = Duration::from_secs(1);
/// How many of them are read at once.
const WIND_UP_CONCERTS_MAX: u32 = 100;
/// How long a concert rests if no part of its rest could be wound up.
const WIND_UP_REST: Span = Span::from_secs(60);
/// How long a line rests whose sale is over but may go on.
const KEPT_LINE_REST: Span = Span::from_secs(60);
/// How many commands in a row end the places of one line before the other lines get their turn.
const LINE_PARTS_MAX: u32 = 50;

/// Winds up cancelled concerts, also those of an earlier run: the rest stands in their rows. And ends lines that are
/// over.
pub(super) async fn wind_up_concerts(office: Arc<BoxOffice>) {
    let trouble = Trouble::new("cannot wind up cancelled concerts");
    let of_lines = Trouble::new("cannot end the lines of concerts that are over");
    let (mut resting, mut kept) = (HashMap::new(), HashMap::new());
    loop {
        rest(&office, WIND_UP_TICK).await;
        trouble.noted(wind_up_all(&office, WIND_UP_MAX, &mut resting).await);
        of_lines.noted(end_lines(&office, TOKENS_PER_ADVANCE_MAX, &mut kept).await);
    }
}

/// One round over the lines with waiting tokens whose sale is over: ends the lines for which no turn can come any more,
/// `part` tokens a command. `kept` says until when the others rest.
async fn end_lines(office: &BoxOffice, part: u32, kept: &mut HashMap<RoomId, Time>) -> Result<(), StoreError> {
    if office.engine.health() != Health::Sound {
        return Ok(());
    }
    let now = office.now();
    kept.retain(|_, until| now < *until);
    for room in office.lines.busy_rooms() {
        let Some(view) = office.lines.view(room) else { continue };
        if !view.room().is_sale_over(now) || view.total_waiting() == 0 {
            continue;
        }
        if room.is_of_site() {
            end_closed_line(office, room, part).await;
            continue;
        }
        let Some(concert_id) = room.concert().filter(|_| !kept.contains_key(&room)) else { continue };
        if !office.store.concert(concert_id).await?.is_some_and(|concert| concert.is_line_over(now)) {
            kept.insert(room, now.plus(KEPT_LINE_REST));
            continue;
        }
        let mut ended = 0_u32;
        for _ in 0..LINE_PARTS_MAX {
            match decided(office.end_line(room, part).await) {
                Some(advance) if advance.overdue > 0 => ended = ended.saturating_add(advance.overdue),
                _ => break,
            }
        }
        if ended > 0 {
            tracing::info!(%concert_id, tokens = ended, "waiting tokens were ended: their concert is over or cancelled");
        }
    }
    Ok(())
}

/// Ends the places of a room that was closed.
async fn end_closed_line(office: &BoxOffice, room: RoomId, part: u32) {
    let mut ended = 0_u32;
    for _ in 0..LINE_PARTS_MAX {
        match decided(office.end_closed_line(room, part).await) {
            Some(advance) if advance.overdue > 0 => ended = ended.saturating_add(advance.overdue),
            _ => break,
        }
    }
    if ended > 0 {
        tracing::info!(room = room.get(), tokens = ended, "waiting tokens were ended: their room was closed");
    }
}

/// One round over all cancelled concerts that are not wound up, `part` seats a command. `resting` says until when
/// concerts rest that cannot be wound up for now.
async fn wind_up_all(office: &BoxOffice, part: u32, resting: &mut HashMap<ConcertId, Time>) -> Result<(), StoreError> {
    if office.engine.health() != Health::Sound {
        return Ok(());
    }
    let now = office.clock.now();
    resting.retain(|_, until| now < *until);
    let mut after = None;
    loop {
        let concerts = office.store.concerts_to_wind_up(Page { after, limit: WIND_UP_CONCERTS_MAX }).await?;
        let Some(last) = concerts.last() else { return Ok(()) };
        after = Some(last.concert_id);
        for concert in concerts {
            let concert_id = concert.concert_id;
            if resting.contains_key(&concert_id) {
                continue;
            }
            let left = "cannot wind up the rest of a cancelled concert; the next try is in a minute";
            match wind_up_one(office, &concert, part).await {
                Ok(WindUpRound::Fine) => continue,
                Ok(WindUpRound::Stuck) => tracing::warn!(%concert_id, "{left}"),
                Err(error) => tracing::warn!(%concert_id, %error, "{left}"),
            }
            resting.insert(concert_id, now.plus(WIND_UP_REST));
        }
    }
}

/// The end of a round over a cancelled concert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindUpRound {
    /// There was nothing to do, something was done, or the engine did not decide.
    Fine,
    /// Nothing of the rest could be done: accounts may be unable to hold their refunds, for example.
    Stuck,
}

/// One round over a cancelled concert: part by part, its unpaid seats are blocked and, if an operator asked for that,
/// its payments refunded. When nothing is left and nothing can be added any more, it is settled.
async fn wind_up_one(office: &BoxOffice, concert: &Concert, part: u32) -> Result<WindUpRound, StoreError> {
    let concert_id = concert.concert_id;
    // Read before the search: rows saved after it bear a later time.
    let now = office.store.now().await?;
    let (mut after, mut found, mut round) = (0, false, WindUpRound::Fine);
    loop {
        let left = office.store.remnants(concert, after, part).await?;
        let Some(last) = left.last() else { break };
        if !found {
            (found, round) = (true, WindUpRound::Stuck);
        }
        after = last.seat_number;
        let payment_ids = left.iter().filter_map(|seat| seat.payment_id).collect();
        let seat_ids = left.iter().filter(|seat| seat.payment_id.is_none()).map(|seat| seat.seat_id).collect();
        match decided(office.wind_up(concert_id, seat_ids, payment_ids).await) {
            // Another instance has just done it, or it cannot be done now. The seats behind may still be open.
            Some(WoundUp { seats: 0, refunds: 0 }) => {}
            Some(WoundUp { seats, refunds }) => {
                round = WindUpRound::Fine;
                tracing::info!(%concert_id, seats, refunds, "a part of a cancelled concert was wound up");
            }
            // The next round finds the rest.
            None => return Ok(WindUpRound::Fine),
        }
    }
    if !found && concert.may_settle(now) {
        decided(office.settle_concert(concert_id, concert.updated_at).await);
    }
    Ok(round)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::testing::{START, TestFolder, ask, hold_five, join_in, open, own_room, policy};
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::{Command, ConcertChange},
        id::{Position, ReservationId, TokenId, UserId},
        line::{EndReason, TokenStatus},
        money::Money,
        points::PointKind,
        policy::Policy,
        sale::{ConcertStatus, LINE_KEPT, NewSeat, SeatLabel},
        user::Caller,
    };
    use frontrow_storage::{memory::MemoryStore, sqlite::SqliteStore};
    use uuid::Uuid;

    #[tokio::test]
    async fn refunds_that_were_cut_off_go_on_after_a_restart_and_each_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let (path, clock) = (place.database(), Clock::manual(START));
        let reopened = || Arc::new(SqliteStore::open(&path, clock.clone(), policy(), 10).unwrap());
        let office = open(&place, reopened(), clock.clone()).await;
        hold_five(&office).await;
        let buyer = Caller::Buyer(UserId(Uuid::from_u128(1)));
        let (user_id, concert_id) = (buyer.user_id().unwrap(), ConcertId::new(1));
        let reference = Some("pg-1".to_owned());
        ask(&office, Caller::System, Command::TopUp { user_id, amount: Money::new(5), reference }).await;
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let reservation_ids = (1..=5).map(ReservationId::new).collect();
        ask(&office, buyer, Command::Pay { token, reservation_ids }).await;
        let reason = "The singer is ill.".to_owned();
        ask(&office, Caller::System, Command::CancelConcert { concert_id, reason, basis: None }).await;
        ask(&office, Caller::System, Command::RefundConcert { concert_id, basis: None }).await;
        // The first part is done when the process ends.
        let concert = office.store.concert(concert_id).await.unwrap().unwrap();
        let first = office.store.remnants(&concert, 0, 2).await.unwrap();
        let payment_ids = first.iter().filter_map(|seat| seat.payment_id).collect();
        ask(&office, Caller::System, Command::WindUp { concert_id, seat_ids: Vec::new(), payment_ids }).await;
        drop(office);

        let office = open(&place, reopened(), clock.clone()).await;
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (2, 3));
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (5, 0));
        let history = office.store.history(user_id, Page { after: None, limit: 100 }).await.unwrap();
        let refunds = history.iter().filter(|entry| entry.kind == PointKind::Refund);
        assert_eq!((refunds.count(), history[0].balance_after), (5, Money::new(5)));
        let report = frontrow_storage::check::sqlite::run(&path).await.unwrap();
        assert!(report.is_clean(), "{report}");

        let page = Page { after: None, limit: 10 };
        let left = async || office.store.concerts_to_wind_up(page).await.unwrap().len();
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        assert_eq!(left().await, 1, "a payment that was decided before may still come");
        clock.advance(Span::from_secs(60));
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        assert_eq!(left().await, 0);
    }

    #[tokio::test]
    async fn a_refund_that_an_account_cannot_take_in_keeps_back_no_other_seat_and_rests_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let policy = Policy { top_up_max: Money::MAX, balance_max: Money::MAX, ..policy() };
        let store = Arc::new(MemoryStore::new(clock.clone(), policy, 10));
        let office = open(&place, store, clock.clone()).await;
        hold_five(&office).await;
        let buyer = Caller::Buyer(UserId(Uuid::from_u128(1)));
        let (user_id, concert_id) = (buyer.user_id().unwrap(), ConcertId::new(1));
        let top_up =
            |amount, reference: &str| Command::TopUp { user_id, amount, reference: Some(reference.to_owned()) };
        ask(&office, Caller::System, top_up(Money::new(2), "pg-1")).await;
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let reservation_ids = (1..=2).map(ReservationId::new).collect();
        ask(&office, buyer, Command::Pay { token, reservation_ids }).await;
        ask(&office, Caller::System, top_up(Money::MAX, "pg-2")).await;
        let reason = "The singer is ill.".to_owned();
        ask(&office, Caller::System, Command::CancelConcert { concert_id, reason, basis: None }).await;
        ask(&office, Caller::System, Command::RefundConcert { concert_id, basis: None }).await;

        let mut resting = HashMap::new();
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (3, 2), "the seats behind the two that are stuck");
        assert!(resting.is_empty(), "some of it was wound up");
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        let until = START.plus(WIND_UP_REST);
        assert_eq!(resting.get(&concert_id), Some(&until));
        clock.advance(Span::from_secs(1));
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        assert_eq!(resting.get(&concert_id), Some(&until), "it rests");
        clock.advance(WIND_UP_REST);
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        assert!(resting[&concert_id] > until, "it is tried again");
    }

    #[tokio::test]
    async fn concerts_that_rest_keep_no_other_from_being_wound_up() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        let mut resting = HashMap::new();
        for _ in 0..WIND_UP_CONCERTS_MAX {
            resting.insert(own_room(&office).await.concert().unwrap(), START.plus(WIND_UP_REST));
        }
        let last = own_room(&office).await.concert().unwrap();
        let seat = NewSeat { seat_number: Some(1), price: Some(Money::new(1)), label: SeatLabel::default() };
        ask(&office, Caller::System, Command::AddSeats { concert_id: last, seats: vec![seat] }).await;
        for concert_id in (1..=last.get()).map(ConcertId::new) {
            let reason = "The singer is ill.".to_owned();
            ask(&office, Caller::System, Command::CancelConcert { concert_id, reason, basis: None }).await;
        }
        wind_up_all(&office, WIND_UP_MAX, &mut resting).await.unwrap();
        assert_eq!(office.store.seat_counts(last).await.unwrap().blocked, 1);
    }

    #[tokio::test]
    async fn the_line_of_a_cancelled_concert_ends_part_by_part_and_its_room_is_quiet() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        let room = own_room(&office).await;
        let concert_id = room.concert().unwrap();
        for number in 1..=5 {
            join_in(&office, number, room).await;
        }
        let mut kept = HashMap::new();
        end_lines(&office, 2, &mut kept).await.unwrap();
        assert_eq!((office.lines.view(room).unwrap().total_waiting(), kept.len()), (5, 0), "it is on sale");
        let reason = "The singer is ill.".to_owned();
        ask(&office, Caller::System, Command::CancelConcert { concert_id, reason, basis: None }).await;
        end_lines(&office, 2, &mut kept).await.unwrap();
        assert_eq!(office.lines.busy_rooms(), []);
        for position in (1..=5).map(Position) {
            let token = office.store.token(TokenId { room_id: room, position }).await.unwrap().unwrap();
            assert_eq!((token.status(), token.end_reason()), (TokenStatus::Ended, Some(EndReason::ConcertOver)));
        }
        let line = office.store.line(room).await.unwrap().unwrap();
        assert_eq!(line.room.cursor, Position(5), "the rows can be pruned by and by");
    }

    #[tokio::test]
    async fn places_are_kept_while_the_sale_may_go_on_and_an_hour_beyond_the_concerts_end() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        let (closed, postponed) = (own_room(&office).await, own_room(&office).await);
        for (number, room, status) in [(1, closed, ConcertStatus::Closed), (2, postponed, ConcertStatus::Postponed)] {
            join_in(&office, number, room).await;
            let change = ConcertChange { status: Some(status), ..ConcertChange::default() };
            let concert_id = room.concert().unwrap();
            ask(&office, Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None })
                .await;
        }
        let ends_at = office.store.concert(closed.concert().unwrap()).await.unwrap().unwrap().ends_at;
        let mut kept = HashMap::new();
        clock.advance(ends_at.plus(LINE_KEPT).minus(Span::from_secs(1)).since(START));
        end_lines(&office, 10, &mut kept).await.unwrap();
        assert_eq!((office.lines.busy_rooms(), kept.len()), (vec![closed, postponed], 2));
        clock.advance(KEPT_LINE_REST);
        end_lines(&office, 10, &mut kept).await.unwrap();
        assert_eq!(office.lines.busy_rooms(), [postponed]);
    }
}
