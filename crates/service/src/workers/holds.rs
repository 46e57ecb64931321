//! Frees the seats of holds that are over.

use super::{decided, rest};
use crate::{office::BoxOffice, outcome::Swept};
use frontrow_domain::{
    policy::HOLDS_PER_SWEEP_MAX,
    time::{Span, Time},
};
use frontrow_storage::{Sharing, trouble::Trouble};
use std::{sync::Arc, time::Duration};

/// How often due holds are swept.
const SWEEP_TICK: Duration = Duration::from_millis(250);
/// How much two clocks may differ beyond the measured skew.
const CLOCK_MARGIN: Span = Span::from_millis(50);
/// How often the store is searched for due holds that the queue may not know.
const RECOVER_TICK: Duration = Duration::from_secs(10);

pub(super) async fn sweep_holds(office: Arc<BoxOffice>) {
    let trouble = Trouble::new("cannot take due holds from Redis; searching the database for them");
    loop {
        tokio::time::sleep(SWEEP_TICK).await;
        sweep_due(&office, HOLDS_PER_SWEEP_MAX, &trouble).await;
    }
}

/// The moment by which holds are over by the database's clock too, as far as that was measured. The queue hands each
/// hold out once: one that is not over for the database yet stays until the store is searched.
fn due_by(now: Time, sharing: Sharing) -> Time {
    match sharing {
        Sharing::Alone => now,
        Sharing::Shared => now.minus(CLOCK_MARGIN),
    }
}

/// Sweeps the holds that are due in the queue, `most` a command.
async fn sweep_due(office: &BoxOffice, most: u32, trouble: &Trouble) {
    loop {
        let now = due_by(office.clock.now(), office.store.sharing());
        let due = match trouble.noted(office.peers.take_due_holds(now, most).await) {
            Some(due) if !due.is_empty() => due,
            Some(_) | None => break,
        };
        let taken: Vec<_> = due.iter().map(|id| (now, *id)).collect();
        if decided(office.expire_holds(due).await).is_none() {
            // The queue hands each out once: a hold that was not swept must be there for the next round.
            office.peers.add_hold_deadlines(&taken);
            break;
        }
    }
}

/// Finds due holds without a deadline in the queue: from before a start, or lost on the way.
pub(super) async fn recover_holds(office: Arc<BoxOffice>) {
    let trouble = Trouble::new("cannot search the database for expired holds");
    loop {
        recover_due(&office, HOLDS_PER_SWEEP_MAX, &trouble).await;
        rest(&office, RECOVER_TICK).await;
    }
}

/// Sweeps the holds that are due in the store, `most` a command, as long as it finds that many and they are swept.
async fn recover_due(office: &BoxOffice, most: u32, trouble: &Trouble) {
    loop {
        let now = office.clock.now();
        let Some(next) = trouble.noted(office.store.next_expiries(now, most).await) else { break };
        let due: Vec<_> = next.iter().map(|(_, id)| *id).collect();
        let full = u32::try_from(due.len()).is_ok_and(|len| len >= most);
        if due.is_empty() {
            break;
        }
        let swept = decided(office.expire_holds(due).await);
        if !full || !matches!(swept, Some(Swept(1..))) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::testing::{START, TestFolder, hold_five, open, policy};
    use frontrow_clock::Clock;
    use frontrow_domain::{id::ReservationId, sale::ReservationStatus};
    use frontrow_storage::{Page, ReservationFilter, memory::MemoryStore, sqlite::SqliteStore};

    async fn pending(office: &BoxOffice) -> Vec<ReservationId> {
        let filter = ReservationFilter { status: Some(ReservationStatus::Pending), ..ReservationFilter::default() };
        let rows = office.store.reservations(&filter, Page { after: None, limit: 100 }).await.unwrap();
        rows.iter().map(|row| row.reservation_id).collect()
    }

    #[test]
    fn holds_are_taken_as_due_when_they_are_over_by_the_databases_clock_too() {
        assert_eq!(due_by(START, Sharing::Shared), START.minus(CLOCK_MARGIN), "a little late does no harm");
        assert_eq!(due_by(START, Sharing::Alone), START);
    }

    #[tokio::test]
    async fn due_holds_that_could_not_be_swept_are_swept_in_the_next_round() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let (path, clock) = (place.database(), Clock::manual(START));
        let store = Arc::new(SqliteStore::open(&path, clock.clone(), policy(), 10).unwrap());
        let office = open(&place, Arc::clone(&store) as _, clock.clone()).await;
        hold_five(&office).await;
        clock.advance(policy().hold);

        store.set_busy_timeout(Duration::from_millis(10)).unwrap();
        let locked = rusqlite::Connection::open(&path).unwrap();
        locked.execute_batch("BEGIN IMMEDIATE").unwrap();
        sweep_due(&office, 2, &Trouble::new("cannot take")).await;
        assert_eq!(pending(&office).await.len(), 5);
        drop(locked);
        sweep_due(&office, 2, &Trouble::new("cannot take")).await;
        assert_eq!(pending(&office).await, []);
    }

    #[tokio::test]
    async fn holds_that_the_queue_does_not_know_are_found_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        hold_five(&office).await;
        recover_due(&office, 2, &Trouble::new("cannot look")).await;
        assert_eq!(pending(&office).await.len(), 5, "no hold is over yet");
        clock.advance(policy().hold);
        assert_eq!(office.peers.take_due_holds(clock.now(), 100).await.unwrap().len(), 5);
        sweep_due(&office, 2, &Trouble::new("cannot take")).await;
        assert_eq!(pending(&office).await.len(), 5, "the queue has forgotten them");
        recover_due(&office, 2, &Trouble::new("cannot look")).await;
        assert_eq!(pending(&office).await, []);
    }
}
