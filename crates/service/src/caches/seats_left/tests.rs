//! How often seats are counted, and what lists show meanwhile.

use super::*;
use frontrow_domain::{
    changes::Saves,
    id::{ReservationId, SeatId},
    money::Money,
    sale::{Seat, SeatState},
    time::Time,
};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use tokio::sync::Semaphore;

const ONE: ConcertId = ConcertId::new(1);
const OTHER: ConcertId = ConcertId::new(2);

/// A store of concerts with as many free seats each. It answers as often as it is allowed to.
#[derive(Debug)]
struct CountingStore {
    available: AtomicI64,
    counts: AtomicUsize,
    fails: AtomicBool,
    allowed: Semaphore,
}

impl CountingStore {
    /// One that answers at once.
    fn new(available: i64) -> Arc<Self> {
        let allowed = Semaphore::new(1_000);
        Arc::new(Self { available: available.into(), counts: 0.into(), fails: false.into(), allowed })
    }

    fn hang(&self) {
        self.allowed.forget_permits(usize::MAX);
    }

    fn go_on(&self) {
        self.allowed.add_permits(1_000);
    }

    fn counts(&self) -> usize {
        self.counts.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CountReads for Arc<CountingStore> {
    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
        self.counts.fetch_add(1, Ordering::SeqCst);
        let available = self.available.load(Ordering::SeqCst);
        self.allowed.acquire().await.unwrap().forget();
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        Ok(concerts.iter().map(|id| (*id, SeatCounts { available, ..SeatCounts::default() })).collect())
    }
}

/// As if counts had grown old while seats were sold.
fn grow_old(seats: &SeatsLeft) {
    seats.kept.change(|known| {
        for known in known.values_mut() {
            known.good_for = Duration::ZERO;
            known.is_touched = true;
        }
    });
}

/// As if counts had grown old.
fn no_longer_good(seats: &SeatsLeft) {
    seats.kept.add(|known| known.values_mut().for_each(|known| known.good_for = Duration::ZERO));
}

/// A commit that sells a seat.
fn sold() -> Changes {
    let seat = Seat {
        seat_id: SeatId::new(1),
        concert_id: ONE,
        seat_number: 1,
        label: Arc::default(),
        price: Money::new(1),
        state: SeatState::Sold { reservation_id: ReservationId::new(1) },
        updated_at: Time::from_micros(1),
        was_held: true,
    };
    Changes { seats: Saves { updated: vec![seat], inserted: Vec::new() }, ..Changes::default() }
}

fn available(counts: &CountsByConcert, id: ConcertId) -> Option<i64> {
    counts.get(&id).map(|counts| counts.available)
}

/// Lists these concerts so many times at once.
fn lists(
    count: usize,
    seats: &Arc<SeatsLeft>,
    store: &Arc<CountingStore>,
) -> Vec<tokio::task::JoinHandle<Result<CountsByConcert, StoreError>>> {
    let list = |_| {
        let (seats, store) = (Arc::clone(seats), Arc::clone(store));
        tokio::spawn(async move { seats.get(&store, &[ONE]).await })
    };
    (0..count).map(list).collect()
}

#[tokio::test]
async fn a_count_is_shown_until_a_seat_changes() {
    let (seats, store) = (SeatsLeft::new(Sharing::Alone), CountingStore::new(5));
    for _ in 0..3 {
        assert_eq!(available(&seats.get(&store, &[ONE]).await.unwrap(), ONE), Some(5));
    }
    assert_eq!(store.counts(), 1);
    seats.publish(&sold());
    store.available.store(4, Ordering::SeqCst);
    no_longer_good(&seats);
    assert_eq!(available(&seats.get(&store, &[ONE]).await.unwrap(), ONE), Some(4));
    assert_eq!(store.counts(), 2);
}

#[tokio::test]
async fn a_count_that_a_commit_overtakes_is_not_shown_as_the_last_word() {
    let (seats, store) = (Arc::new(SeatsLeft::new(Sharing::Alone)), CountingStore::new(5));
    store.hang();
    let list = lists(1, &seats, &store).remove(0);
    while store.counts() == 0 {
        tokio::task::yield_now().await;
    }
    seats.publish(&sold());
    store.available.store(4, Ordering::SeqCst);
    store.go_on();
    assert_eq!(available(&list.await.unwrap().unwrap(), ONE), Some(5), "the count began before the commit");
    no_longer_good(&seats);
    assert_eq!(available(&seats.get(&store, &[ONE]).await.unwrap(), ONE), Some(4));
}

#[tokio::test]
async fn while_a_count_hangs_the_last_counts_are_shown_and_no_other_count_begins() {
    let (seats, store) = (Arc::new(SeatsLeft::new(Sharing::Alone)), CountingStore::new(5));
    seats.get(&store, &[ONE]).await.unwrap();
    grow_old(&seats);
    store.hang();
    store.available.store(4, Ordering::SeqCst);
    for list in lists(100, &seats, &store) {
        assert_eq!(available(&list.await.unwrap().unwrap(), ONE), Some(5));
    }
    assert_eq!(store.counts(), 2);
    // A concert that was never counted has no old count.
    let other = {
        let (seats, store) = (Arc::clone(&seats), Arc::clone(&store));
        tokio::spawn(async move { seats.get(&store, &[ONE, OTHER]).await })
    };
    tokio::task::yield_now().await;
    assert!(!other.is_finished());
    store.go_on();
    assert_eq!(available(&other.await.unwrap().unwrap(), OTHER), Some(4));
    assert_eq!(available(&seats.get(&store, &[ONE]).await.unwrap(), ONE), Some(4), "the count went on");
    assert_eq!(store.counts(), 3);
}

#[tokio::test]
async fn a_count_that_fails_is_tried_once_however_many_wait_for_it() {
    let (seats, store) = (Arc::new(SeatsLeft::new(Sharing::Shared)), CountingStore::new(5));
    store.fails.store(true, Ordering::SeqCst);
    let waiting = |seats: &Arc<SeatsLeft>| {
        let held = Arc::clone(&seats.counting).try_lock_owned().unwrap();
        (held, lists(100, seats, &store))
    };
    let (held, first) = waiting(&seats);
    tokio::task::yield_now().await;
    drop(held);
    for list in first {
        assert!(matches!(list.await.unwrap(), Err(StoreError::Unavailable(_))), "nothing was counted before");
    }
    assert_eq!(store.counts(), 1);

    store.fails.store(false, Ordering::SeqCst);
    assert_eq!(available(&seats.get(&store, &[ONE]).await.unwrap(), ONE), Some(5));
    grow_old(&seats);
    store.fails.store(true, Ordering::SeqCst);
    let before = store.counts();
    let (held, second) = waiting(&seats);
    tokio::task::yield_now().await;
    drop(held);
    for list in second {
        assert_eq!(available(&list.await.unwrap().unwrap(), ONE), Some(5), "the last count is shown");
    }
    assert_eq!(store.counts(), before + 1);
}

#[tokio::test]
async fn a_concert_whose_count_is_forgotten_while_another_one_is_counted_is_shown_with_its_seats() {
    let (seats, store) = (SeatsLeft::new(Sharing::Alone), CountingStore::new(5));
    let many: Vec<_> = (1..=CONCERTS_MAX).map(|id| ConcertId::new(i64::try_from(id).unwrap())).collect();
    seats.get(&store, &many).await.unwrap();
    // The cache is full: one more concert empties it.
    let one_more = ConcertId::new(1_000_000);
    let counts = seats.get(&store, &[ONE, one_more]).await.unwrap();
    assert_eq!((available(&counts, ONE), available(&counts, one_more)), (Some(5), Some(5)));
    store.available.store(4, Ordering::SeqCst);
    assert_eq!(available(&seats.get(&store, &[ONE]).await.unwrap(), ONE), Some(4), "it is counted anew");
}

#[test]
fn a_count_is_believed_longer_the_longer_it_took_and_half_a_minute_at_most_though_the_database_hung() {
    let believed: Vec<_> = [0, 1, 2, 100, 600, 601, 30_000].map(|took| good_for(Duration::from_millis(took))).into();
    assert_eq!(believed, [100, 100, 100, 5_000, 30_000, 30_000, 30_000].map(Duration::from_millis));
}
