//! Which maps stay cached, and versions of a map that was dropped and read again.

use super::*;
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, NewConcert, Outcome, Request},
    decide::decide_all,
    id::{ReservationId, SeatId},
    money::Money,
    policy::Policy,
    sale::{DetailsChange, NewSeat, SeatAction, SeatLabel, SeatState},
    time::{Span, Time},
    user::Caller,
};
use frontrow_storage::memory::MemoryStore;

/// An office with concerts of one seat each.
struct MapFixture {
    store: MemoryStore,
    maps: SeatMaps,
}

impl MapFixture {
    fn new() -> Self {
        let store = MemoryStore::new(Clock::manual(Time::from_micros(1)), Policy::default(), 10);
        Self { store, maps: SeatMaps::new(1, Sharing::Alone) }
    }

    /// Commits a command without publishing its changes.
    async fn run(&self, command: Command) -> (Outcome, Changes) {
        let request = Request { caller: Caller::System, command, idempotency: None };
        let mut committed = self.store.transact(Arc::new([request]), decide_all).await.unwrap();
        (committed.answers.remove(0).decision.unwrap(), committed.changes)
    }

    async fn concert(&self) -> (ConcertId, SeatId) {
        let opens_at = Time::from_micros(1);
        let closes_at = opens_at.plus(Span::from_secs(3_600));
        let new = NewConcert {
            title: "Midnight Tide".to_owned(),
            artist: "Midnight Tide".to_owned(),
            venue: "Hangang Hall".to_owned(),
            time_zone: "Asia/Seoul".to_owned(),
            concert_date: jiff::civil::date(2027, 3, 1),
            start_time: jiff::civil::time(20, 0, 0, 0),
            end_time: jiff::civil::time(22, 0, 0, 0),
            starts_at: closes_at,
            ends_at: closes_at.plus(Span::from_secs(7_200)),
            base_price: Money::new(1),
            opens_at: Some(opens_at),
            closes_at: None,
            own_room_max_active: None,
            details: DetailsChange::default(),
        };
        let (Outcome::Concert(concert), _) = self.run(Command::CreateConcert(new)).await else { panic!("no concert") };
        let concert_id = concert.concert_id;
        let seats = vec![NewSeat { seat_number: Some(1), price: Some(Money::new(1)), label: SeatLabel::default() }];
        let (Outcome::SeatsAdded { first_seat_id, .. }, _) = self.run(Command::AddSeats { concert_id, seats }).await
        else {
            panic!("no seat")
        };
        (concert_id, first_seat_id)
    }

    async fn block(&self, seat: SeatId) -> Changes {
        let action = SeatAction::Block { reason: "a pillar".to_owned() };
        self.run(Command::SetSeats { within: None, seat_ids: vec![seat], action }).await.1
    }

    async fn look(&self, concert: ConcertId) -> Look {
        self.look_at(concert, 0).await
    }

    /// Reads the map so many seconds after the start.
    async fn look_at(&self, concert: ConcertId, secs: u64) -> Look {
        let now = Duration::from_secs(secs);
        let map = self.maps.hall(&self.store, concert, now).await.unwrap().map(MapForm::Compact);
        let body: serde_json::Value = serde_json::from_slice(&map.body).unwrap();
        let states = body["blocks"][0]["states"].as_str().unwrap().to_owned();
        Look { etag: map.etag.clone(), version: body["version"].as_u64().unwrap(), states }
    }
}

impl MapFixture {
    /// The concerts whose maps are cached.
    fn kept(&self) -> Vec<ConcertId> {
        let mut kept: Vec<_> = self.maps.halls.read().unwrap().keys().copied().collect();
        kept.sort_unstable();
        kept
    }
}

/// The map as a client sees it.
struct Look {
    etag: String,
    version: u64,
    states: String,
}

#[tokio::test]
async fn no_tag_and_no_version_comes_again_after_the_maps_were_forgotten() {
    let office = MapFixture::new();
    let (concert, seat) = office.concert().await;
    let first = office.look(concert).await;
    // Committed, but not published here.
    office.block(seat).await;
    office.maps.forget();
    let second = office.look(concert).await;
    assert_eq!((&*first.states, &*second.states), ("A", "B"));
    assert_ne!(first.etag, second.etag);
    assert!(second.version > first.version, "{} after {}", second.version, first.version);
}

#[tokio::test]
async fn an_unused_map_is_dropped_and_a_used_one_stays() {
    let office = MapFixture::new();
    let [(idle, _), (watched, _)] = [office.concert().await, office.concert().await];
    office.look_at(idle, 0).await;
    for secs in (0..IDLE_MAX.as_secs()).step_by(60) {
        office.look_at(watched, secs).await;
        assert_eq!(office.kept(), [idle, watched], "after {secs} s");
    }
    office.look_at(watched, IDLE_MAX.as_secs()).await;
    assert_eq!(office.kept(), [watched]);
}

#[tokio::test]
async fn the_maps_used_last_stay_cached() {
    for kept_max in [Bounds { halls: 3, seats: 100 }, Bounds { halls: 100, seats: 3 }] {
        let mut office = MapFixture::new();
        office.maps.kept_max = kept_max;
        let mut concerts = Vec::new();
        for secs in 0..10 {
            concerts.push(office.concert().await.0);
            office.look_at(concerts[0], secs).await;
            office.look_at(*concerts.last().unwrap(), secs).await;
            assert!(office.kept().len() <= 3, "{kept_max:?}");
        }
        assert_eq!(office.kept(), [concerts[0], concerts[8], concerts[9]], "{kept_max:?}");
    }
}

#[tokio::test]
async fn a_map_larger_than_the_cache_is_shown() {
    let mut office = MapFixture::new();
    office.maps.kept_max = Bounds { halls: 0, seats: 0 };
    let (concert, _) = office.concert().await;
    for _ in 0..2 {
        assert_eq!(office.look(concert).await.states, "A");
        assert_eq!(office.kept(), [concert]);
    }
}

#[tokio::test]
async fn what_is_committed_while_a_map_is_dropped_is_seen_by_the_next_look() {
    let office = MapFixture::new();
    let (concert, seat) = office.concert().await;
    let first = office.look(concert).await;
    // A request is about to read the hall that is dropped.
    let hall = Arc::clone(&office.maps.halls.read().unwrap()[&concert]);
    office.maps.sweep(IDLE_MAX);
    assert_eq!(office.kept(), []);
    office.maps.publish(&office.block(seat).await);
    let second = office.look(concert).await;
    assert_eq!((&*first.states, &*second.states), ("A", "B"));
    assert!(second.version > first.version);
    assert_eq!(hall.map(MapForm::Compact).etag, first.etag, "theirs is what it was when they looked");
    office.maps.sweep(Duration::from_secs(1));
    assert_eq!(office.look(concert).await.etag, second.etag);
}

/// A hall's rows with these printed numbers in one row of seats, with ids in this order.
fn row_of(numbers: &[&str]) -> Vec<forms::Row> {
    let row = |(id, number): (i64, &&str)| {
        let label =
            SeatLabel { section: "Stalls".into(), row: "A".into(), number: (*number).into(), grade: "R".into() };
        forms::Row::of(frontrow_domain::sale::Seat {
            seat_id: SeatId::new(id),
            concert_id: ConcertId::new(1),
            seat_number: i32::try_from(id).unwrap(),
            label: Arc::new(label),
            price: Money::new(90_000),
            state: SeatState::Sold { reservation_id: ReservationId::new(1) },
            updated_at: Time::from_micros(1),
            was_held: true,
        })
    };
    (1..).zip(numbers).map(row).collect()
}

fn heading() -> forms::Heading {
    forms::Heading { concert_id: ConcertId::new(1), version: 1, mark: "1-2-3".to_owned() }
}

#[test]
fn the_compact_form_is_never_larger_than_the_full_one_however_the_seats_are_numbered() {
    let theatre: Vec<String> = (1..=39).rev().step_by(2).chain((2..=40).step_by(2)).map(|n| n.to_string()).collect();
    let halls: [Vec<&str>; 7] = [
        vec!["1"],
        vec!["12A"],
        vec!["1", "2", "3", "4"],
        vec!["3", "1", "2", "4"],
        vec!["가-1", "가-2", "가-2A", "가-3"],
        vec!["01", "2", "", "4294967295", "4294967296"],
        theatre.iter().map(String::as_str).collect(),
    ];
    let sizes = |rows: &[forms::Row]| {
        let full = serde_json::to_vec(&forms::full(heading(), rows)).unwrap().len();
        (full, serde_json::to_vec(&forms::compact(heading(), rows)).unwrap().len())
    };
    for numbers in halls {
        let mut rows = row_of(&numbers);
        let (full, compact) = sizes(&rows);
        assert!(compact <= full, "{numbers:?}: {compact} of {full} bytes");
        // Each seat a block of its own.
        for (at, row) in rows.iter_mut().enumerate() {
            row.seat.price = Money::new(10_000 + i64::try_from(at).unwrap());
        }
        let (full, compact) = sizes(&rows);
        assert!(compact <= full, "{numbers:?}, each at a price of its own: {compact} of {full} bytes");
    }
}

#[test]
fn a_row_of_a_theatre_is_one_block() {
    let rows = row_of(&["3", "1", "2", "4"]);
    let map = serde_json::to_value(forms::compact(heading(), &rows)).unwrap();
    assert_eq!(map["blocks"].as_array().unwrap().len(), 1);
    assert_eq!(map["blocks"][0]["numbers"], serde_json::json!(["3", "1", "2", "4"]));
    let map = serde_json::to_value(forms::compact(heading(), &row_of(&["9", "10", "11"]))).unwrap();
    assert_eq!((&map["blocks"][0]["first_number"], map["blocks"][0].get("numbers")), (&serde_json::json!(9), None));
}
