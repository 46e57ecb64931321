//! Winds up cancelled concerts: blocks what is unsold, and gives back what was paid.

use super::{command, rest};
use crate::{engine::Health, flow::BoxOffice, store::StoreError};
use frontrow_domain::{
    command::{Command, Outcome},
    concert::{Concert, LATE_SALES},
    id::ConcertId,
    time::{Span, Time},
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How often the store is asked for cancelled concerts that are not wound up.
const WIND_UP_TICK: Duration = Duration::from_secs(1);
/// How many of them one round looks at.
const WIND_UP_CONCERTS_MAX: u32 = 100;
/// How long a concert is left alone of which nothing that is left could be wound up.
const WIND_UP_REST: Span = Span::from_secs(60);
/// How many of their seats one command winds up; never more than [`WIND_UP_MAX`](frontrow_domain::rules::WIND_UP_MAX).
const WIND_UP_PART: u32 = 100;

/// Winds up cancelled concerts: those of before a start too, since what is left to do stands in their rows.
pub(super) async fn wind_up_concerts(office: Arc<BoxOffice>) {
    let mut resting = HashMap::new();
    loop {
        rest(&office, WIND_UP_TICK).await;
        if let Err(error) = wind_up_all(&office, WIND_UP_PART, &mut resting).await {
            tracing::warn!(%error, "cannot wind up cancelled concerts");
        }
    }
}

/// One round through all cancelled concerts that are not wound up, `part` of their seats a command. `resting` says until
/// when those are left alone of which nothing that is left can be wound up for now.
async fn wind_up_all(office: &BoxOffice, part: u32, resting: &mut HashMap<ConcertId, Time>) -> Result<(), StoreError> {
    if office.engine.health() != Health::Sound {
        return Ok(());
    }
    let now = office.clock.now();
    resting.retain(|_, until| now < *until);
    for concert in office.store.concerts_to_wind_up(WIND_UP_CONCERTS_MAX).await? {
        let concert_id = concert.concert_id;
        if !resting.contains_key(&concert_id) && wind_up_one(office, &concert, part).await? == WindUpRound::Stuck {
            let left = "what is left of a cancelled concert cannot be wound up for now; the next try is in a minute";
            tracing::warn!(%concert_id, "{left}");
            resting.insert(concert_id, now.plus(WIND_UP_REST));
        }
    }
    Ok(())
}

/// How a round through a cancelled concert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindUpRound {
    /// There was nothing to do, something was done, or the engine did not decide.
    Fine,
    /// Of all that is left nothing could be done: accounts that cannot take in their refunds, for example.
    Stuck,
}

/// One round through a cancelled concert: part by part its unpaid seats are blocked and, if an operator asked for that,
/// its payments given back. When nothing is left and nothing can come any more, it is settled.
async fn wind_up_one(office: &BoxOffice, concert: &Concert, part: u32) -> Result<WindUpRound, StoreError> {
    let concert_id = concert.concert_id;
    // Read before the search: what is saved after it bears a later time.
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
        match command(office, Command::WindUp { concert_id, seat_ids, payment_ids }).await {
            // Another instance has just done it, or it cannot be done now. The seats behind may still be to do.
            Some(Outcome::WoundUp { seats: 0, refunds: 0 }) => {}
            Some(Outcome::WoundUp { seats, refunds }) => {
                round = WindUpRound::Fine;
                tracing::info!(%concert_id, seats, refunds, "a part of a cancelled concert was wound up");
            }
            // The next round sees what is left.
            _ => return Ok(WindUpRound::Fine),
        }
    }
    if !found && now >= concert.updated_at.plus(LATE_SALES) {
        command(office, Command::SettleConcert { concert_id, seen: concert.updated_at }).await;
    }
    Ok(round)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        store::{Page, memory::MemoryStore, sqlite::SqliteStore},
        workers::testing::{START, ask, hold_five, open, settings},
    };
    use frontrow_domain::{
        id::{Position, ReservationId, RoomId, TokenId, UserId},
        money::Money,
        points::PointKind,
        rules::Rules,
        user::Caller,
    };
    use uuid::Uuid;

    #[tokio::test]
    async fn refunds_that_were_cut_off_go_on_after_a_restart_and_each_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let (path, clock) = (config.database_path(), Clock::manual(START));
        let reopened = || Arc::new(SqliteStore::open(&path, clock.clone(), config.rules(), 10).unwrap());
        let office = open(&config, reopened(), clock.clone()).await;
        hold_five(&office).await;
        let buyer = Caller::Buyer(UserId(Uuid::from_u128(1)));
        let (user_id, concert_id) = (buyer.user_id().unwrap(), ConcertId::new(1));
        let reference = Some("pg-1".to_owned());
        ask(&office, Caller::System, Command::Charge { user_id, amount: Money::new(5), reference }).await;
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let reservation_ids = (1..=5).map(ReservationId::new).collect();
        ask(&office, buyer, Command::Pay { token, reservation_ids }).await;
        let reason = "The singer is ill.".to_owned();
        ask(&office, Caller::System, Command::CancelConcert { concert_id, reason }).await;
        ask(&office, Caller::System, Command::RefundConcert { concert_id }).await;
        // The first part is done when the process ends.
        let concert = office.store.concert(concert_id).await.unwrap().unwrap();
        let first = office.store.remnants(&concert, 0, 2).await.unwrap();
        let payment_ids = first.iter().filter_map(|seat| seat.payment_id).collect();
        ask(&office, Caller::System, Command::WindUp { concert_id, seat_ids: Vec::new(), payment_ids }).await;
        drop(office);

        let office = open(&config, reopened(), clock.clone()).await;
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (2, 3));
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (5, 0));
        let history = office.store.history(user_id, Page { after: None, limit: 100 }).await.unwrap();
        let refunds = history.iter().filter(|entry| entry.kind == PointKind::Refund);
        assert_eq!((refunds.count(), history[0].balance_after), (5, Money::new(5)));
        let report = crate::check::sqlite::run(&path).await.unwrap();
        assert!(report.is_clean(), "{report}");

        let left = async || office.store.concerts_to_wind_up(10).await.unwrap().len();
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        assert_eq!(left().await, 1, "a payment that was decided before may still come");
        clock.advance(Span::from_secs(60));
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        assert_eq!(left().await, 0);
    }

    #[tokio::test]
    async fn a_refund_that_an_account_cannot_take_in_keeps_back_no_other_seat_and_rests_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let clock = Clock::manual(START);
        let rules = Rules { charge_max: Money::MAX, balance_max: Money::MAX, ..config.rules() };
        let store = Arc::new(MemoryStore::new(clock.clone(), rules, 10));
        let office = open(&config, store, clock.clone()).await;
        hold_five(&office).await;
        let buyer = Caller::Buyer(UserId(Uuid::from_u128(1)));
        let (user_id, concert_id) = (buyer.user_id().unwrap(), ConcertId::new(1));
        let charge =
            |amount, reference: &str| Command::Charge { user_id, amount, reference: Some(reference.to_owned()) };
        ask(&office, Caller::System, charge(Money::new(2), "pg-1")).await;
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let reservation_ids = (1..=2).map(ReservationId::new).collect();
        ask(&office, buyer, Command::Pay { token, reservation_ids }).await;
        ask(&office, Caller::System, charge(Money::MAX, "pg-2")).await;
        let reason = "The singer is ill.".to_owned();
        ask(&office, Caller::System, Command::CancelConcert { concert_id, reason }).await;
        ask(&office, Caller::System, Command::RefundConcert { concert_id }).await;

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
}
