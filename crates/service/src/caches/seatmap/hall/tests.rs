//! How often the store is read, and which of two rows wins.

use super::{super::seats::LATE_COMMIT_MAX, *};
use async_trait::async_trait;
use frontrow_domain::{
    id::{ReservationId, SeatId},
    money::Money,
    sale::{SeatLabel, SeatState, SeatStatus},
};
use std::sync::atomic::AtomicUsize;

const CONCERT: ConcertId = ConcertId::new(1);
const HELD: SeatState = SeatState::Held { reservation_id: ReservationId::new(1) };
const SOLD: SeatState = SeatState::Sold { reservation_id: ReservationId::new(1) };
const BLOCKED: SeatState = SeatState::Blocked { reason: String::new() };

/// A store of one concert that counts how often it is asked.
#[derive(Default)]
struct CountedSeats {
    rows: Mutex<Vec<Seat>>,
    /// Everything and what changed.
    reads: [AtomicUsize; 2],
    fails: std::sync::atomic::AtomicBool,
}

impl CountedSeats {
    fn put(&self, seat: Seat) {
        let mut rows = self.rows.lock().unwrap();
        rows.retain(|row| row.seat_id != seat.seat_id);
        rows.push(seat);
    }

    fn reads(&self) -> [usize; 2] {
        self.reads.each_ref().map(|reads| reads.load(Ordering::SeqCst))
    }

    fn answer(&self, read: usize) -> Result<Vec<Seat>, StoreError> {
        self.reads[read].fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        Ok(self.rows.lock().unwrap().clone())
    }
}

#[async_trait]
impl SeatReads for CountedSeats {
    async fn now(&self) -> Result<Time, StoreError> {
        Ok(Time::from_micros(100_000_000))
    }

    async fn seats(&self, _: ConcertId) -> Result<Vec<Seat>, StoreError> {
        self.answer(0)
    }

    async fn changed_seats(&self, _: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError> {
        assert_eq!(since, self.now().await?.minus(COMMIT_VISIBILITY_MAX), "changes may become visible late");
        let rows = self.answer(1)?;
        Ok((rows.into_iter().filter(|seat| seat.updated_at >= since).collect(), self.now().await?))
    }
}

fn seat(number: i32, state: SeatState, at: i64) -> Seat {
    Seat {
        seat_id: SeatId::new(number.into()),
        concert_id: CONCERT,
        seat_number: number,
        label: Arc::new(SeatLabel { number: number.to_string(), ..SeatLabel::default() }),
        price: Money::new(1),
        state,
        updated_at: Time::from_micros(at),
        was_held: false,
    }
}

async fn looked_at(sharing: Sharing, store: &CountedSeats) -> Arc<CachedHall> {
    let hall = Arc::new(CachedHall::new(CONCERT, 1, sharing, Arc::default()));
    hall.bring_up_to_date(store).await.unwrap();
    hall
}

/// As if a tenth of a second had passed.
fn grow_old(hall: &CachedHall) {
    hall.read_at.store(0, Ordering::SeqCst);
}

/// The seats in the order of the map. Sorted here, since a map that took long to render is served a little old.
fn letters(hall: &CachedHall) -> String {
    let mut seats = hall.seats();
    seats.sort();
    seats.rows.iter().map(|row| char::from(row.seat.status().letter())).collect()
}

/// So many concurrent reads of the map.
fn viewers(
    count: usize,
    hall: &Arc<CachedHall>,
    store: &Arc<CountedSeats>,
) -> Vec<tokio::task::JoinHandle<Result<(), StoreError>>> {
    let look = |_| {
        let (hall, store) = (Arc::clone(hall), Arc::clone(store));
        tokio::spawn(async move { hall.bring_up_to_date(&*store).await })
    };
    (0..count).map(look).collect()
}

#[tokio::test]
async fn concurrent_requests_share_one_read() {
    let store = Arc::new(CountedSeats::default());
    store.put(seat(1, SeatState::FREE, 1));
    let hall = looked_at(Sharing::Shared, &store).await;
    assert_eq!(store.reads(), [1, 0]);
    for round in 1..=3 {
        grow_old(&hall);
        assert_eq!(store.reads(), [1, round - 1], "nobody looks");
        // All of them have asked before the first one reads.
        let held = hall.reading.lock().await;
        let viewers = viewers(1_000, &hall, &store);
        tokio::task::yield_now().await;
        drop(held);
        for viewer in viewers {
            viewer.await.unwrap().unwrap();
        }
        assert_eq!(store.reads(), [1, round]);
    }
}

#[tokio::test]
async fn a_process_that_is_alone_reads_once() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    let hall = looked_at(Sharing::Alone, &store).await;
    for _ in 0..10 {
        hall.bring_up_to_date(&store).await.unwrap();
    }
    assert_eq!(store.reads(), [1, 0]);
}

#[tokio::test]
async fn a_map_is_good_for_a_tenth_of_a_second() {
    let store = CountedSeats::default();
    let hall = looked_at(Sharing::Shared, &store).await;
    let read_at = hall.read_at().unwrap();
    assert!(hall.is_good_at(read_at + (AGE_MAX.saturating_sub(Duration::from_micros(1)))));
    assert!(!hall.is_good_at(read_at + AGE_MAX));
}

#[tokio::test]
async fn what_others_change_and_add_is_seen_with_the_next_reading() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    let hall = looked_at(Sharing::Shared, &store).await;
    let before = hall.map(MapForm::Compact);
    store.put(seat(1, HELD, 99_000_000));
    store.put(seat(2, SeatState::FREE, 99_000_000));
    grow_old(&hall);
    hall.bring_up_to_date(&store).await.unwrap();
    assert_eq!(letters(&hall), "HA");
    assert_eq!(store.reads(), [1, 1], "a new seat comes with its place");
    let after = hall.map(MapForm::Compact);
    assert_ne!(before.etag, after.etag);
    grow_old(&hall);
    hall.bring_up_to_date(&store).await.unwrap();
    assert!(Arc::ptr_eq(&after, &hall.map(MapForm::Compact)), "nothing changed, nothing is written again");
    let another = looked_at(Sharing::Shared, &store).await.map(MapForm::Compact);
    assert_eq!((&after.etag, &after.body), (&another.etag, &another.body), "instances write the same");
}

#[tokio::test]
async fn the_later_of_two_reordered_commits_wins() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    let hall = looked_at(Sharing::Shared, &store).await;
    hall.publish(&[seat(1, SOLD, 30)]);
    hall.publish(&[seat(1, HELD, 20)]);
    assert_eq!(letters(&hall), "S");
}

#[tokio::test]
async fn a_row_that_was_read_before_a_commit_of_this_process_does_not_undo_it() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    let hall = looked_at(Sharing::Shared, &store).await;
    let seen = hall.version.load(Ordering::SeqCst);
    hall.publish(&[seat(1, HELD, 20)]);
    hall.take(vec![seat(1, SeatState::FREE, 1)], ReadScope::Changed, seen);
    assert_eq!(letters(&hall), "H");
    hall.take(vec![seat(1, SOLD, 30)], ReadScope::Changed, seen);
    assert_eq!(letters(&hall), "S", "another instance changed it after that");
    // The store's present rows count, even if its clock went back.
    let seen = hall.version.load(Ordering::SeqCst);
    hall.take(vec![seat(1, SeatState::FREE, 10)], ReadScope::Changed, seen);
    assert_eq!(letters(&hall), "A");
}

#[tokio::test]
async fn a_seat_that_was_removed_is_gone_though_an_older_reading_brings_it_again() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    store.put(seat(2, BLOCKED, 1));
    let hall = looked_at(Sharing::Alone, &store).await;
    let (seen, before) = (hall.version.load(Ordering::SeqCst), hall.map(MapForm::Compact));
    hall.remove(&seat(1, SeatState::FREE, 1));
    assert_ne!(before.etag, hall.map(MapForm::Compact).etag);
    assert_eq!(letters(&hall), "B");
    hall.take(vec![seat(1, SeatState::FREE, 1), seat(2, BLOCKED, 1)], ReadScope::All, seen);
    assert_eq!(letters(&hall), "B");
}

#[tokio::test]
async fn a_removed_seat_does_not_come_back_with_an_older_commit_applied_later() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    store.put(seat(2, BLOCKED, 1));
    let hall = looked_at(Sharing::Shared, &store).await;
    let (blocked, added) = (seat(1, BLOCKED, 20), seat(3, SeatState::FREE, 30));
    hall.remove(&blocked);
    hall.remove(&added);
    let tells = || {
        hall.publish(std::slice::from_ref(&blocked));
        hall.publish(std::slice::from_ref(&added));
        hall.map(MapForm::Compact);
        letters(&hall)
    };
    assert_eq!(tells(), "B");
    assert_eq!(tells(), "B", "after its row has gone too");
    hall.publish(&[seat(1, HELD, 21)]);
    hall.map(MapForm::Compact);
    assert_eq!(letters(&hall), "HB", "a later commit knows better");
}

#[tokio::test]
async fn a_seat_that_another_instance_removed_is_gone_when_every_seat_is_read() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    store.put(seat(2, BLOCKED, 1));
    let hall = looked_at(Sharing::Shared, &store).await;
    let seen = hall.version.load(Ordering::SeqCst);
    hall.publish(&[seat(3, SeatState::FREE, 5)]);
    hall.take(vec![seat(2, BLOCKED, 1)], ReadScope::All, seen);
    assert_eq!(letters(&hall), "BA", "what was added here since the reading began stays");
}

#[tokio::test]
async fn a_reading_that_lacks_a_removed_seat_does_not_make_room_for_its_older_commits() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 1));
    store.put(seat(2, BLOCKED, 1));
    let hall = looked_at(Sharing::Shared, &store).await;
    let blocked = seat(1, BLOCKED, 20);
    hall.remove(&blocked);
    let seen = hall.version.load(Ordering::SeqCst);
    hall.take(vec![seat(2, BLOCKED, 1)], ReadScope::All, seen);
    hall.publish(&[blocked]);
    hall.map(MapForm::Compact);
    assert_eq!(letters(&hall), "B");
}

#[tokio::test]
async fn seats_that_were_removed_are_forgotten_when_every_seat_was_read_long_after() {
    let store = CountedSeats::default();
    let hall = looked_at(Sharing::Shared, &store).await;
    hall.remove(&seat(1, BLOCKED, 20));
    hall.remove(&seat(2, BLOCKED, 20));
    let long_ago = Instant::now().checked_sub(LATE_COMMIT_MAX + Duration::from_millis(1)).unwrap();
    hall.seats().removed.get_mut(&SeatId::new(1)).unwrap().noted = long_ago;
    *hall.reading.lock().await = LastReads::default();
    grow_old(&hall);
    hall.bring_up_to_date(&store).await.unwrap();
    assert_eq!(hall.seats().removed.keys().collect::<Vec<_>>(), [&SeatId::new(2)]);
}

#[tokio::test]
async fn an_unavailable_store_is_read_once_for_all_who_wait() {
    let store = Arc::new(CountedSeats::default());
    store.fails.store(true, Ordering::SeqCst);
    let hall = Arc::new(CachedHall::new(CONCERT, 1, Sharing::Alone, Arc::default()));
    let held = hall.reading.lock().await;
    let viewers = viewers(100, &hall, &store);
    tokio::task::yield_now().await;
    drop(held);
    for viewer in viewers {
        assert!(viewer.await.unwrap().is_err());
    }
    assert_eq!(store.reads(), [1, 0]);
    store.fails.store(false, Ordering::SeqCst);
    hall.bring_up_to_date(&*store).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_keeps_the_order_of_the_seats_until_the_seats_themselves_change() {
    let store = CountedSeats::default();
    for number in [1, 2, 10] {
        store.put(seat(number, SeatState::FREE, 1));
    }
    let hall = looked_at(Sharing::Alone, &store).await;
    // Taken here, since a snapshot that took long to make is served a little old.
    let taken = || {
        let mut seats = hall.seats();
        seats.sort();
        seats.snapshot()
    };
    let shown = |snapshot: &SeatSnapshot| -> Vec<(String, SeatStatus)> {
        let seats = snapshot.order.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats);
        seats.map(|seat| (seat.label.number.clone(), snapshot.status(seat))).collect()
    };
    let named = |seats: [(&str, SeatStatus); 3]| seats.map(|(number, status)| (number.to_owned(), status)).to_vec();
    let first = taken();
    let free = SeatStatus::Available;
    assert_eq!(shown(&first), named([("1", free), ("2", free), ("10", free)]));

    hall.publish(&[seat(2, HELD, 2)]);
    let held = taken();
    assert!(Arc::ptr_eq(&held.order, &first.order), "a state is not a seat");
    assert_eq!(shown(&held), named([("1", free), ("2", SeatStatus::Held), ("10", free)]));

    let mut renamed = seat(1, SeatState::FREE, 3);
    renamed.label = Arc::new(SeatLabel { number: "3".to_owned(), ..SeatLabel::default() });
    hall.publish(&[renamed]);
    assert_eq!(shown(&taken()), named([("2", SeatStatus::Held), ("3", free), ("10", free)]));
    hall.publish(&[seat(4, SeatState::FREE, 4)]);
    hall.remove(&seat(10, SeatState::FREE, 5));
    assert_eq!(shown(&taken()), named([("2", SeatStatus::Held), ("3", free), ("4", free)]));
    assert_eq!(taken().order.spot(SeatId::new(10)), None);
}

fn states(news: HallNews) -> Option<String> {
    match news {
        HallNews::Seats(seats) => Some(String::from_utf8(seats.body.to_vec()).unwrap()),
        HallNews::MapOutdated { .. } => None,
    }
}

#[tokio::test]
async fn news_of_a_hall_are_the_states_that_changed_since_the_last() {
    let store = CountedSeats::default();
    for number in 1..=3 {
        store.put(seat(number, SeatState::FREE, 1));
    }
    let hall = looked_at(Sharing::Alone, &store).await;
    assert!(hall.take_news().is_none(), "without a stream nothing is noted");
    hall.watch();
    let before = hall.mark();
    assert!(hall.take_news().is_none());
    hall.publish(&[seat(2, HELD, 5), seat(3, HELD, 5)]);
    hall.publish(&[seat(3, SOLD, 6)]);
    // The same state again is no news.
    hall.publish(&[seat(1, SeatState::FREE, 7)]);
    let (news, mark) = hall.take_news().unwrap();
    assert_eq!(states(news).unwrap(), r#"[[2,"H"],[3,"S"]]"#);
    assert_eq!((mark.last, mark), (Time::from_micros(7), hall.mark()));
    assert!(hall.take_news().is_none());
    let (news, now) = hall.news_since(before);
    assert_eq!((states(news).unwrap(), now), (r#"[[1,"A"],[2,"H"],[3,"S"]]"#.to_owned(), mark));
    assert_eq!(states(hall.news_since(mark).0).unwrap(), "[]");
    // Marks follow from the rows alone, whatever led to them.
    let again = CountedSeats::default();
    for row in [seat(1, SeatState::FREE, 7), seat(3, SOLD, 6), seat(2, HELD, 5)] {
        again.put(row);
    }
    assert_eq!(looked_at(Sharing::Shared, &again).await.mark(), mark);

    hall.unwatch();
    hall.publish(&[seat(1, HELD, 8)]);
    assert!(hall.take_news().is_none());
}

#[tokio::test]
async fn a_hall_with_a_new_layout_has_to_be_fetched_again() {
    let store = CountedSeats::default();
    for number in 1..=3 {
        store.put(seat(number, SeatState::FREE, 1));
    }
    let hall = looked_at(Sharing::Alone, &store).await;
    hall.watch();
    let changes: [&dyn Fn(); 4] = [
        &|| hall.publish(&[seat(4, SeatState::FREE, 2)]),
        &|| hall.publish(&[Seat { price: Money::new(2), ..seat(1, SeatState::FREE, 3) }]),
        &|| hall.publish(&[Seat { label: Arc::default(), ..seat(2, SeatState::FREE, 3) }]),
        &|| hall.remove(&seat(3, SeatState::FREE, 4)),
    ];
    for change in changes {
        let before = hall.mark();
        change();
        let (news, mark) = hall.take_news().unwrap();
        assert_eq!((states(news), mark.layout == before.layout), (None, false));
        assert_eq!(states(hall.news_since(before).0), None);
        assert_eq!(states(hall.news_since(mark).0).unwrap(), "[]");
    }
    let before = hall.mark();
    let many: Vec<_> = (0..=i32::try_from(CAUGHT_UP_MAX).unwrap()).map(|number| seat(10 + number, HELD, 9)).collect();
    hall.publish(&many);
    let same_layout = HallMark { last: before.last, ..hall.mark() };
    assert_eq!(states(hall.news_since(HallMark { states: 0, ..same_layout }).0), None, "too many to list");
}

#[tokio::test]
async fn of_several_instances_a_late_change_is_news_too() {
    let store = CountedSeats::default();
    store.put(seat(1, SeatState::FREE, 100_000_000));
    store.put(seat(2, HELD, 95_000_000));
    let hall = looked_at(Sharing::Shared, &store).await;
    // Another instance showed the first seat's change before it knew of the second's.
    let known = HallMark { states: 0, ..hall.mark() };
    assert_eq!(states(hall.news_since(known).0).unwrap(), r#"[[1,"A"],[2,"H"]]"#);
}
