//! A concert's life: when its sale ends, when it is over, and what cancelling it does for its buyers.

use frontrow_domain::time::Span;
use frontrow_service::{concert_import, drafts::ConcertFile};
use frontrow_testkit::{PRICE, START, Server, draft, eventually, id, items, range};
use jiff::civil::{date, time};
use reqwest::Method;
use serde_json::json;

/// 17:30 to 19:00 in Seoul on the day of the clock's start: half an hour later, and two hours.
const SHOW: (i64, i64) = (1_800, 7_200);

#[tokio::test]
async fn the_sale_closes_with_the_start_unless_it_was_set_apart() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let hall = server.hall(1).await;
    let file = [ConcertFile { concert: draft(), seats: vec![range(1, 2)] }];
    let file = file.map(|mut entry| {
        entry.concert.title = "Imported".to_owned();
        entry
    });
    let imported = concert_import::import(&server.app().office, &file).await.unwrap()[0].0.concert_id;
    for path in [format!("/operator{}", hall.path()), format!("/operator/concerts/{imported}")] {
        let patch = async |body| operator.patch(&path, &body).await.expect(200);
        let moved = patch(json!({ "concert_date": "2027-05-01", "reason": "The roof leaks." })).await;
        assert_eq!(
            (&moved["closes_at"], &moved["closing"]),
            (&json!("2027-05-01T11:00:00.000000Z"), &json!("with_start"))
        );
        let apart = patch(json!({ "closes_at": "2027-04-20T00:00:00Z", "reason": "The roof leaks." })).await;
        assert_eq!((&apart["closes_at"], &apart["closing"]), (&json!("2027-04-20T00:00:00.000000Z"), &json!("apart")));
        let moved = patch(json!({ "start_time": "19:00:00", "reason": "The roof leaks." })).await;
        assert_eq!(moved["closes_at"], "2027-04-20T00:00:00.000000Z");
        let follows = patch(json!({ "closes_at": null })).await;
        assert_eq!((&follows["closes_at"], &follows["closing"]), (&moved["starts_at"], &json!("with_start")));
        let shown = operator.get(path.trim_start_matches("/operator")).await.expect(200);
        assert_eq!(shown["closes_at"], "2027-05-01T10:00:00.000000Z");
    }
    server.close().await;
}

#[tokio::test]
async fn a_finished_concert_is_neither_joined_nor_held_nor_paid_though_its_sale_closes_later() {
    let server = Server::start().await;
    let hall = server
        .hall_like(3, |draft| {
            draft.concert_date = date(2027, 1, 15);
            (draft.start_time, draft.end_time) = (time(17, 30, 0, 0), time(19, 0, 0, 0));
            draft.closes_at = Some(START.plus(Span::from_secs(30 * 86_400)));
        })
        .await;
    let buyer = server.buyer_with("buyer", 3 * PRICE).await;
    server.advance(SHOW.1 - 60);
    let token = buyer.enter(None).await;
    // An operator said that it is sold while it lasts.
    let held = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    assert_eq!(buyer.get(&hall.path()).await.expect(200)["status"], "scheduled");
    server.advance(60);
    buyer.hold(&token, hall.seats[1]).await.problem(409, "sale_closed");
    buyer.pay(&token, held).await.problem(409, "sale_closed");
    server
        .buyer("other")
        .await
        .post("/queue/tokens", &json!({ "concert_id": hall.id() }))
        .await
        .problem(409, "sale_closed");
    assert_eq!(buyer.balance().await, 3 * PRICE);
    assert_eq!(buyer.get(&hall.path()).await.expect(200)["status"], "over");
    for (status, found) in [("over", 1), ("scheduled", 0), ("closed", 0)] {
        let list = buyer.get(&format!("/concerts?status={status}")).await.expect(200);
        assert_eq!(items(&list).len(), found, "{status}");
        assert!(items(&list).iter().all(|concert| concert["status"] == status));
    }
    server.close().await;
}

#[tokio::test]
async fn a_concert_that_is_created_after_its_end_is_over_at_once() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let mut past = draft();
    past.concert_date = date(2026, 12, 31);
    past.opens_at = START.minus(Span::from_secs(90 * 86_400));
    let created = operator.post("/operator/concerts", &json!(past)).await.expect(201);
    let read = operator.get(&format!("/concerts/{}", id(&created, "concert_id"))).await.expect(200);
    assert_eq!((&created["status"], &read["status"]), (&json!("over"), &json!("over")));
    server.close().await;
}

#[tokio::test]
async fn cancelling_ends_the_holds_and_lets_every_buyer_refund_at_once() {
    let server = Server::start().await;
    // Within a day of its start a buyer who has changed his mind is refused.
    let hall = server.hall_like(4, |draft| draft.concert_date = date(2027, 1, 15)).await;
    let (buyer, holder) = (server.buyer_with("buyer", PRICE).await, server.buyer_with("holder", PRICE).await);
    let operator = server.operator().await;
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    let token = holder.enter(None).await;
    let held = id(&holder.hold(&token, hall.seats[1]).await.expect(201), "reservation_id");
    let refund = async || buyer.call(Method::POST, &format!("/payments/{payment}/refund")).send().await;
    let path = format!("/operator{}", hall.path());
    refund().await.problem(409, "refund_too_late");
    operator.patch(&path, &json!({ "status": "closed", "reason": "The hall asks for it." })).await.expect(200);
    refund().await.problem(409, "refund_too_late");

    buyer.post(&format!("{path}/cancel"), &json!({ "reason": "The singer is ill." })).await.problem(403, "forbidden");
    operator.post(&format!("{path}/cancel"), &json!({})).await.problem_at(422, "invalid_field", "reason");
    operator.patch(&path, &json!({ "status": "cancelled" })).await.problem(422, "malformed");
    operator.patch(&path, &json!({ "status": "over" })).await.problem(422, "malformed");
    for _ in 0..2 {
        let cancelled = operator.post(&format!("{path}/cancel"), &json!({ "reason": "The singer is ill." })).await;
        assert_eq!(cancelled.expect(200)["status"], "cancelled");
    }
    let shown = buyer.get(&hall.path()).await.expect(200);
    assert_eq!((&shown["status"], &shown["status_reason"]), (&json!("cancelled"), &json!("The singer is ill.")));
    holder.pay(&token, held).await.problem(409, "concert_cancelled");
    holder.hold(&token, hall.seats[2]).await.problem(409, "concert_cancelled");
    server
        .buyer("late")
        .await
        .post("/queue/tokens", &json!({ "concert_id": hall.id() }))
        .await
        .problem(409, "concert_cancelled");
    assert_eq!(holder.balance().await, PRICE);
    for seat in &hall.seats[1..] {
        holder.sees(&hall, *seat, "blocked").await;
    }
    assert_eq!(holder.get(&format!("/reservations/{held}")).await.expect(200)["status"], "cancelled");

    assert_eq!(refund().await.expect(200)["status"], "refunded");
    assert_eq!(buyer.balance().await, PRICE);
    buyer.sees(&hall, hall.seats[0], "blocked").await;
    operator.post("/operator/seats/free", &json!({ "seat_ids": hall.seats })).await.problem(409, "concert_cancelled");
    operator.patch(&path, &json!({ "status": "scheduled" })).await.problem(409, "concert_cancelled");
    let more = json!({ "range": { "from": 50, "to": 51 } });
    operator.post(&format!("{path}/seats"), &more).await.problem(409, "concert_cancelled");
    let log = operator.get("/operator/audit").await.expect(200);
    let cancellings = items(&log).iter().filter(|line| line["action"] == "concert.cancel").count();
    assert_eq!(cancellings, 1);
    server.close().await;
}

#[tokio::test]
async fn a_postponed_concert_is_not_sold_and_its_buyers_may_refund() {
    let server = Server::start().await;
    let hall = server.hall_like(3, |draft| draft.concert_date = date(2027, 1, 15)).await;
    let (buyer, holder) = (server.buyer_with("buyer", PRICE).await, server.buyer_with("holder", PRICE).await);
    let operator = server.operator().await;
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    let token = holder.enter(None).await;
    let held = id(&holder.hold(&token, hall.seats[1]).await.expect(201), "reservation_id");
    let path = format!("/operator{}", hall.path());
    let postponed = json!({ "status": "postponed", "status_reason": "A storm." });
    assert_eq!(operator.patch(&path, &postponed).await.expect(200)["status_reason"], "A storm.");
    holder.pay(&token, held).await.problem(409, "concert_postponed");
    holder.hold(&token, hall.seats[2]).await.problem(409, "concert_postponed");
    operator.call(Method::POST, &format!("{path}/refund-all")).send().await.problem(409, "concert_not_cancelled");
    buyer.call(Method::POST, &format!("/payments/{payment}/refund")).send().await.expect(200);
    let again = json!({ "status": "scheduled", "concert_date": "2027-06-01" });
    let again = operator.patch(&path, &again).await.expect(200);
    assert_eq!((&again["status_reason"], &again["closes_at"]), (&json!(null), &json!("2027-06-01T11:00:00.000000Z")));
    holder.pay(&token, held).await.expect(201);
    buyer.sees(&hall, hall.seats[0], "available").await;
    server.close().await;
}

#[tokio::test]
async fn one_command_gives_every_payment_of_a_cancelled_concert_back() {
    let server = Server::start().await;
    let (hall, other) = (server.hall(5).await, server.hall(1).await);
    let operator = server.operator().await;
    let mut buyers = Vec::new();
    for (number, seat) in hall.seats[..3].iter().chain(&other.seats).enumerate() {
        let buyer = server.buyer_with(&format!("buyer{number}"), PRICE).await;
        buyer.buy(*seat).await;
        buyers.push(buyer);
    }
    let path = format!("/operator{}", hall.path());
    operator.post(&format!("{path}/cancel"), &json!({ "reason": "The singer is ill." })).await.expect(200);
    for _ in 0..2 {
        let asked = operator.call(Method::POST, &format!("{path}/refund-all")).send().await.expect(202);
        assert!(asked["concert"]["refund_all_at"].is_string(), "{asked}");
    }
    eventually("everything is given back", async || {
        let books = operator.get(&path).await.expect(200);
        (books["seats"] == json!({ "available": 0, "held": 0, "sold": 0, "blocked": 5 })).then_some(())
    })
    .await;
    let payments = format!("/operator/payments?concert_id={}", hall.id());
    let given_back = operator.get(&format!("{payments}&status=refunded")).await.expect(200);
    assert_eq!(items(&given_back).len(), 3);
    assert_eq!(items(&operator.get(&format!("{payments}&status=completed")).await.expect(200)).len(), 0);
    for buyer in &buyers[..3] {
        assert_eq!(buyer.balance().await, PRICE);
        assert_eq!(items(&buyer.get("/points/history").await.expect(200)).len(), 3);
    }
    assert_eq!(buyers[3].balance().await, 0, "another concert's payment stays");
    server.advance(60);
    eventually("the concert is settled", async || {
        operator.get(&path).await.expect(200)["concert"]["wound_up_at"].is_string().then_some(())
    })
    .await;
    server.close().await;
}
