//! The screen of a sale beside the rows, while buyers buy.

use crate::{Client, Hall, Server, draft, id};
use frontrow_domain::{
    line::TokenStatus,
    money::Money,
    sale::{Seat, SeatStatus},
    time::Time,
};
use frontrow_service::{
    concert_import,
    drafts::{SeatRange, SeatsDraft},
    house::SaleScreen,
    office::BoxOffice,
    sale::SeatMoney,
    testing,
};
use frontrow_storage::SeatCounts;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::RwLock, task::JoinSet};

/// How often a screen that is behind the rows is made again.
const TRIES: usize = 400;
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The grades of a [`graded_hall`], and the price of each.
pub const GRADES: [(&str, i64); 3] = [("VIP", 180_000), ("R", 120_000), ("S", 90_001)];

/// A concert on sale, with a room of its own and so many seats of each of the [`GRADES`].
pub async fn graded_hall(server: &Server, seats: i32, own_room_max_active: i64) -> Hall {
    let mut draft = draft();
    draft.opens_at = Time::default();
    draft.own_room_max_active = Some(own_room_max_active);
    let ranges = GRADES.map(|(grade, price)| {
        let (section, row, price) = (grade.to_owned(), "A".to_owned(), Some(Money::new(price)));
        SeatsDraft::Range(SeatRange { from: 1, to: seats, section, row, grade: grade.to_owned(), price })
    });
    let (concert, _) = concert_import::create(&server.app().office, &draft, &ranges).await.unwrap();
    let rows = testing::store(&server.app().office).seats(concert.concert_id).await.unwrap();
    Hall { concert, seats: rows.iter().map(|seat| seat.seat_id.get()).collect() }
}

/// The rows of a sale in the numbers that its screen shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleRows {
    pub seats: (SeatCounts, SeatMoney),
    pub grades: BTreeMap<String, (SeatCounts, SeatMoney)>,
    /// Waiting, offered, active, dormant and missed tokens, and the highest position.
    pub line: [i64; 6],
}

fn add(sum: &mut (SeatCounts, SeatMoney), seat: &Seat) {
    let (counts, money) = sum;
    match seat.status() {
        SeatStatus::Available => counts.available += 1,
        SeatStatus::Held => (counts.held, money.held) = (counts.held + 1, money.held + seat.price.get()),
        SeatStatus::Sold => (counts.sold, money.sold) = (counts.sold + 1, money.sold + seat.price.get()),
        SeatStatus::Blocked => counts.blocked += 1,
    }
}

impl SaleRows {
    /// The rows as they are. Seats and line are read one after the other.
    pub async fn read(office: &BoxOffice, hall: &Hall) -> Self {
        let store = testing::store(office);
        let (mut seats, mut grades) = <((_, _), BTreeMap<String, _>)>::default();
        for seat in store.seats(hall.concert.concert_id).await.unwrap() {
            add(&mut seats, &seat);
            add(grades.entry(seat.label.grade.clone()).or_default(), &seat);
        }
        let line = store.line(hall.concert.room_id).await.unwrap().unwrap();
        let of = |status| i64::try_from(line.others.iter().filter(|row| row.status() == status).count()).unwrap();
        let waiting = i64::try_from(line.waiting.len() + line.in_flight.len()).unwrap();
        let [offered, active, dormant, missed] =
            [TokenStatus::Offered, TokenStatus::Active, TokenStatus::Dormant, TokenStatus::Missed].map(of);
        Self { seats, grades, line: [waiting, offered, active, dormant, missed, line.highest.0] }
    }

    /// The same numbers as a screen shows them.
    pub fn shown(screen: &SaleScreen) -> Self {
        let SaleScreen { seats, room, .. } = screen;
        let grades = seats.grades.iter().map(|grade| (grade.name.clone(), (grade.counts, grade.money)));
        Self {
            seats: (seats.counts, seats.money),
            grades: grades.collect(),
            line: [room.waiting, room.offered, room.active, room.dormant, room.missed, room.highest.0],
        }
    }
}

/// What is true of every screen, whatever is under way: the grades add up to the hall, and the money to the seats.
fn assert_adds_up(screen: &SaleScreen) {
    let prices = BTreeMap::from(GRADES);
    let shown = SaleRows::shown(screen);
    let mut sum = (SeatCounts::default(), SeatMoney::default());
    for (name, (counts, money)) in &shown.grades {
        let price = prices[name.as_str()];
        assert_eq!((money.sold, money.held), (counts.sold * price, counts.held * price), "{name}: {screen:?}");
        sum.0.available += counts.available;
        sum.0.held += counts.held;
        sum.0.sold += counts.sold;
        sum.0.blocked += counts.blocked;
        (sum.1.sold, sum.1.held) = (sum.1.sold + money.sold, sum.1.held + money.held);
    }
    assert_eq!(sum, shown.seats, "{screen:?}");
}

/// The screen of every instance agrees with the rows. No call may be under way; what the box office does by itself, such
/// as moving a line, may be.
pub async fn assert_agrees(servers: &[&Server], hall: &Hall) {
    for server in servers {
        let office = Arc::clone(&server.app().office);
        let mut last = None;
        for _ in 0..TRIES {
            let before = SaleRows::read(&office, hall).await;
            let shown = SaleRows::shown(&office.sale_screen(hall.concert.concert_id).await.unwrap());
            let after = SaleRows::read(&office, hall).await;
            if before == after && shown == after {
                last = None;
                break;
            }
            last = Some((shown, after));
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        assert_eq!(last, None, "the screen, and the rows");
    }
}

/// Runs a sale: `buyers` at each server, while the screens of all are compared with the rows so many `times`, each time
/// with the buyers between two calls, and with each other at every other moment. Afterwards too.
pub async fn compare_while_buying(servers: &[&Server], hall: &Hall, buyers: usize, times: usize) {
    let (running, seats) = (Arc::new(RwLock::new(())), Arc::new(hall.seats.clone()));
    let mut sale = JoinSet::new();
    for number in 0..buyers * servers.len() {
        let server = servers[number % servers.len()];
        let buyer = servers[0].buyer_with(&format!("buyer{number}"), 3_000_000).await.at(server.address);
        sale.spawn(buy_for_ever(buyer, hall.id(), Arc::clone(&seats), number, Arc::clone(&running)));
    }
    let mut looks = JoinSet::new();
    for server in servers {
        let (app, concert) = (Arc::downgrade(&server.app()), hall.concert.concert_id);
        looks.spawn(async move {
            loop {
                let Some(app) = app.upgrade() else { return };
                assert_adds_up(&app.office.sale_screen(concert).await.unwrap());
                drop(app);
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
        });
    }
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let _held = running.write().await;
        assert_agrees(servers, hall).await;
        assert!(looks.try_join_next().is_none(), "a screen did not add up");
    }
    {
        let _held = running.write().await;
        sale.shutdown().await;
        looks.shutdown().await;
    }
    assert_agrees(servers, hall).await;
}

/// Takes part in a sale until it is aborted: joins, holds a seat and pays, gives it up or is refused, and begins again.
/// Each call is made under `running`, so that a test can hold all buyers between two calls.
async fn buy_for_ever(buyer: Client, concert: i64, seats: Arc<Vec<i64>>, number: usize, running: Arc<RwLock<()>>) {
    let mut turn = number;
    loop {
        turn += 7;
        let token = {
            let _running = running.read().await;
            let answer = buyer.post("/queue/tokens", &serde_json::json!({ "concert_id": concert })).await;
            let Some(token) = answer.json()["token"].as_str().map(str::to_owned) else { continue };
            token
        };
        loop {
            let place = {
                let _running = running.read().await;
                buyer.get(&format!("/queue/tokens/{token}/position")).await.json()
            };
            match place["status"].as_str() {
                Some("waiting") => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => break,
            }
        }
        let held = {
            let _running = running.read().await;
            buyer.activate(&token).await;
            buyer.hold(&token, seats[turn % seats.len()]).await
        };
        // A hold that is neither paid nor given up is there for a while.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let _running = running.read().await;
        match (held.status, turn % 4) {
            (201, 0) => {
                let path = format!("/reservations/{}", id(&held.json(), "reservation_id"));
                buyer.delete(&path).await;
                buyer.call(reqwest::Method::DELETE, &format!("/queue/tokens/{token}")).send().await;
            }
            (201, 1..) => _ = buyer.pay(&token, id(&held.json(), "reservation_id")).await,
            _ => _ = buyer.call(reqwest::Method::DELETE, &format!("/queue/tokens/{token}")).send().await,
        }
    }
}
