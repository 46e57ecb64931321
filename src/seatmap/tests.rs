//! What is said of a map that was forgotten and is read anew.

use super::*;
use crate::{clock::Clock, store::memory::MemoryStore};
use frontrow_domain::{
    command::{Command, NewConcert, Outcome, Request},
    id::SeatId,
    money::Money,
    rules::Rules,
    seat::{NewSeat, SeatAction, SeatLabel},
    time::{Span, Time},
    user::Caller,
};

/// An office with concerts of one seat each.
struct Office {
    store: MemoryStore,
    maps: SeatMaps,
}

impl Office {
    fn new() -> Self {
        let store = MemoryStore::new(Clock::manual(Time::from_micros(1)), Rules::default(), 10);
        Self { store, maps: SeatMaps::new(1, Sharing::Alone) }
    }

    /// Has a command done, and tells nobody.
    async fn run(&self, command: Command) -> (Outcome, Changes) {
        let request = Request { caller: Caller::System, command, idempotency: None };
        let mut committed = self.store.transact(Arc::new([request])).await.unwrap();
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
            base_price: Money::new(1),
            opens_at,
            closes_at,
            own_room_max_active: None,
        };
        let (Outcome::Concert(concert), _) = self.run(Command::CreateConcert(new)).await else { panic!("no concert") };
        let concert_id = concert.concert_id;
        let seats = vec![NewSeat { seat_number: 1, price: Money::new(1), label: SeatLabel::default() }];
        let (Outcome::SeatsAdded { first_seat_id, .. }, _) = self.run(Command::AddSeats { concert_id, seats }).await
        else {
            panic!("no seat")
        };
        (concert_id, first_seat_id)
    }

    async fn block(&self, seat: SeatId) -> Changes {
        let action = SeatAction::Block { reason: "a pillar".to_owned() };
        self.run(Command::SetSeats { seat_ids: vec![seat], action }).await.1
    }

    async fn look(&self, concert: ConcertId) -> Look {
        let map = self.maps.get(&self.store, concert, MapForm::Compact).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&map.body).unwrap();
        let states = body["blocks"][0]["states"].as_str().unwrap().to_owned();
        Look { etag: map.etag.clone(), version: body["version"].as_u64().unwrap(), states }
    }
}

/// What somebody sees who looks.
struct Look {
    etag: String,
    version: u64,
    states: String,
}

#[tokio::test]
async fn no_tag_and_no_version_comes_again_after_the_maps_were_forgotten() {
    let office = Office::new();
    let (concert, seat) = office.concert().await;
    let first = office.look(concert).await;
    // Committed, and not told here.
    office.block(seat).await;
    office.maps.forget();
    let second = office.look(concert).await;
    assert_eq!((&*first.states, &*second.states), ("A", "B"));
    assert_ne!(first.etag, second.etag);
    assert!(second.version > first.version, "{} after {}", second.version, first.version);
}
