//! The figures of a house with one instance: its screen, and what a sale's watchers get.

use frontrow_clock::Clock;
use frontrow_domain::{
    command::RoomChange,
    id::ConcertId,
    line::{ForecastUnknown, Gate},
};
use frontrow_service::{
    house::HouseCoverage,
    office::ServiceError,
    sale::{SaleState, SeatMoney},
};
use frontrow_testkit::{
    Server, eventually,
    house::{assert_agrees, compare_while_buying, graded_hall},
    settings,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_screen_agrees_with_the_rows_at_every_moment_of_a_sale() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), &[]);
    let server = Server::over(folder, config, Clock::System).await;
    let hall = graded_hall(&server, 20, 6).await;
    compare_while_buying(&[&server], &hall, 8, 40).await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_screen_shows_the_room_the_seats_and_the_money_of_the_moment() {
    let server = Server::start().await;
    let hall = graded_hall(&server, 2, 1).await;
    let office = || server.app().office.clone();
    let id = hall.concert.concert_id;
    let first = office().sale_screen(id).await.unwrap();
    assert_eq!((first.seats.counts.available, first.seats.money), (6, SeatMoney::default()));
    assert!(matches!(first.state, SaleState::OnSale { left: 6 }), "{:?}", first.state);
    assert_eq!(first.seats.grades.iter().map(|grade| grade.name.as_str()).collect::<Vec<_>>(), ["VIP", "R", "S"]);
    assert_eq!((first.coverage, first.instances.len(), first.attention), (HouseCoverage::Whole, 1, vec![]));
    assert!(first.instances[0].version.starts_with("0."));

    let buyer = server.buyer_with("buyer", 500_000).await;
    let waits = server.buyer("waits").await;
    let token = buyer.enter(Some(hall.id())).await;
    waits.join(Some(hall.id())).await;
    buyer.hold(&token, hall.seats[0]).await.expect(201);
    let operator = server.operator().await;
    let block = json!({ "seat_ids": [hall.seats[5]], "reason": "a pillar" });
    assert!(operator.post("/operator/seats/block", &block).await.status < 300);
    let held = office().sale_screen(id).await.unwrap();
    assert_eq!((held.room.active, held.room.waiting, held.room.highest.0), (1, 1, 2));
    assert_eq!(held.seats.money, SeatMoney { sold: 0, held: 180_000 });
    assert_eq!((held.seats.grades[0].counts.held, held.seats.grades[2].counts.blocked), (1, 1));
    assert_agrees(&[&server], &hall).await;

    let unknown = office().sale_screen(ConcertId::new(999)).await.unwrap_err();
    assert!(matches!(unknown, ServiceError::Refused(_)), "{unknown}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_changes_nothing_and_says_when_it_cannot_know() {
    let server = Server::start().await;
    let hall = graded_hall(&server, 2, 3).await;
    let office = server.app().office.clone();
    let id = hall.concert.concert_id;
    let pause = RoomChange { gate: Some(Gate::Paused), max_active: Some(9), ..RoomChange::default() };
    let preview = office.preview_room(id, &pause).await.unwrap();
    assert_eq!((preview.before.max_active, preview.before.gate), (3, Gate::Open));
    assert_eq!((preview.after.max_active, preview.after.gate), (9, Gate::Paused));
    assert_eq!(preview.as_it_is, Err(ForecastUnknown::Measuring), "no one has bought yet");
    assert_eq!(preview.as_changed, Err(ForecastUnknown::Paused));
    assert_eq!(office.sale_screen(id).await.unwrap().room.room.gate, Gate::Open);
    drop(office);
    server.close().await;
}

#[tokio::test]
async fn the_screen_of_a_sale_shows_what_concerns_it_of_the_log() {
    // Given a sale with a room of its own, and another concert.
    let server = Server::start().await;
    let hall = graded_hall(&server, 2, 3).await;
    let other = server.hall(2).await;
    let office = server.app().office.clone();
    let operator = server.operator().await;
    // When operators do something to this sale, to the house and to others.
    let cap = json!({ "max_active": 7 });
    operator.patch(&format!("/operator/rooms/{}", hall.id()), &cap).await.expect(200);
    operator.patch("/operator/rooms/0", &json!({ "message": "Hello" })).await.expect(200);
    operator.patch(&format!("/operator{}", other.path()), &json!({ "title": "Ebb" })).await.expect(200);
    let block = json!({ "seat_ids": [hall.seats[0]], "reason": "camera" });
    operator.post("/operator/seats/block", &block).await.expect(200);
    server.buyer_with("buyer", 1_000).await;
    server.operator_named("Lee").await;
    // Then the screen shows those to this sale and its room, newest first, and nothing of the house room, which is not
    // its own; no sign-in, no top-up.
    let entries = office.entries_on_screen(hall.concert.concert_id).await;
    let own = format!("concert {}", hall.id());
    let seen: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.object.as_str())).collect();
    let room = format!("room {}", hall.id());
    assert_eq!(seen[..2], [("seats.block", own.as_str()), ("room.set", room.as_str())]);
    assert!(seen.iter().all(|(_, object)| [own.as_str(), room.as_str()].contains(object)), "{seen:?}");
    drop(office);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_of_a_sale_gets_moments_and_each_entry_of_the_audit_log_once() {
    let server = Server::start().await;
    let hall = graded_hall(&server, 2, 3).await;
    let office = server.app().office.clone();
    let (mut one, mut two) = (
        office.watch_sale(hall.concert.concert_id).await.unwrap(),
        office.watch_sale(hall.concert.concert_id).await.unwrap(),
    );
    let (first, same) = (one.next().await.unwrap(), two.next().await.unwrap());
    assert!(std::sync::Arc::ptr_eq(&first.moment, &same.moment), "one moment for all");
    let operator = server.operator().await;
    let path = format!("/operator/rooms/{}", hall.id());
    for cap in [4, 5] {
        operator.patch(&path, &json!({ "max_active": cap })).await.expect(200);
    }
    let mut entries = Vec::new();
    eventually("both changes are there", async || {
        let news = one.next().await.unwrap();
        entries.extend(news.audit.into_iter().filter(|entry| entry.action == "room.set"));
        (news.moment.screen.room.room.max_active == 5 && entries.len() >= 2).then_some(())
    })
    .await;
    for _ in 0..2 {
        let news = one.next().await.unwrap();
        assert_eq!(news.audit, [], "each comes once");
    }
    assert_eq!(entries.len(), 2);
    assert!(entries[0].audit_id < entries[1].audit_id, "oldest first");
    drop((one, two, office));
    server.close().await;
}
