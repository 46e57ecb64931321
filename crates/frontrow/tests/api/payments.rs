//! Payments over HTTP.

use frontrow_testkit::{PRICE, Server, id, items};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn too_few_points_are_402_with_balance_and_price_and_nothing_changes() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", PRICE - 1).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let reservation = id(&held, "reservation_id");
    let key = "too-poor-0123456789";
    let refused = buyer.pay_call(&token, reservation).key(key).send().await.problem(402, "insufficient_points");
    assert_eq!((&refused["balance"], &refused["price"]), (&json!(PRICE - 1), &json!(PRICE)));
    assert_eq!(buyer.balance().await, PRICE - 1);
    assert_eq!(buyer.get(&format!("/reservations/{reservation}")).await.expect(200), held);
    assert_eq!(items(&buyer.get("/payments").await.expect(200)).len(), 0);
    assert_eq!(buyer.position(&token).await["status"], "active");
    buyer.sees(&hall, hall.seats[0], "held").await;

    // After topping up, the same key still gets the first answer; a new one pays.
    buyer.top_up(1).await;
    let again = buyer.pay_call(&token, reservation).key(key).send().await;
    assert!(again.is_replay());
    again.problem(402, "insufficient_points");
    buyer.pay_call(&token, reservation).key("rich-enough-0123456789").send().await.expect(201);
    assert_eq!(buyer.balance().await, 0);
    server.close().await;
}

#[tokio::test]
async fn several_reservations_are_paid_all_or_none() {
    let server = Server::start().await;
    let hall = server.hall(4).await;
    let buyer = server.buyer_with("buyer", 2 * PRICE).await;
    let token = buyer.enter(None).await;
    let wanted = json!({ "seat_ids": &hall.seats[0..3] });
    let held = buyer.call(Method::POST, "/reservations").token(&token).json(&wanted).send().await.expect(201);
    let ids: Vec<_> = items(&held).iter().map(|row| id(row, "reservation_id")).collect();
    let pay = async |ids: &[i64]| {
        buyer.call(Method::POST, "/payments").token(&token).json(&json!({ "reservation_ids": ids })).send().await
    };
    let refused = pay(&ids).await.problem(402, "insufficient_points");
    assert_eq!(refused["price"], 3 * PRICE);
    pay(&[ids[0], ids[0]]).await.problem(422, "malformed");
    pay(&[]).await.problem(422, "malformed");
    pay(&(1..=21).collect::<Vec<_>>()).await.problem_at(422, "invalid_field", "reservation_ids");
    pay(&[ids[0]].repeat(500)).await.problem_at(422, "invalid_field", "reservation_ids");
    pay(&[ids[0], 999]).await.problem(404, "not_found");
    assert_eq!(buyer.balance().await, 2 * PRICE);
    let paid = pay(&ids[0..2]).await.expect(201);
    assert_eq!(items(&paid).len(), 2);
    assert_eq!(buyer.balance().await, 0);
    let statuses: Vec<_> = items(&buyer.get("/reservations").await.expect(200))
        .iter()
        .map(|row| row["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(statuses, ["pending", "confirmed", "confirmed"]);
    pay(&ids[2..3]).await.problem(403, "token_ended");
    server.close().await;
}

#[tokio::test]
async fn a_payment_is_made_once_per_key_and_per_reservation() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", 10 * PRICE).await;
    let token = buyer.enter(None).await;
    let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    let key = "pay-0123456789abcdef";
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(buyer.pay_call(&token, reservation).key(key).send())).collect();
    let mut fresh = 0;
    let mut bodies = Vec::new();
    for call in calls {
        let answer = call.await.unwrap();
        bodies.push(answer.expect(201));
        fresh += usize::from(!answer.is_replay());
    }
    assert_eq!(fresh, 1);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    buyer.pay_call(&token, reservation + 1).key(key).send().await.problem(422, "idempotency_key_reused");
    buyer.pay(&token, reservation).await.problem(409, "reservation_not_pending");
    assert_eq!(buyer.balance().await, 9 * PRICE);
    server.close().await;
}

#[tokio::test]
async fn a_refund_returns_the_points_frees_the_seat_and_happens_once() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let (reservation, payment) = buyer.buy(hall.seats[0]).await;
    let path = format!("/payments/{payment}/refund");
    let call = || buyer.call(Method::POST, &path);
    let first = call().key("refund-0123456789abcdef").send().await;
    let refunded = first.expect(200);
    assert_eq!(refunded["status"], "refunded");
    assert_eq!(refunded["refunded_at"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(buyer.balance().await, PRICE);
    assert_eq!(buyer.get(&format!("/reservations/{reservation}")).await.expect(200)["status"], "refunded");
    buyer.sees(&hall, hall.seats[0], "available").await;
    let history = buyer.get("/points/history").await.expect(200);
    let entry = &items(&history)[0];
    assert_eq!(
        (&entry["type"], &entry["amount"], &entry["payment_id"]),
        (&json!("refund"), &json!(PRICE), &json!(payment))
    );
    let replay = call().key("refund-0123456789abcdef").send().await;
    assert!(replay.is_replay());
    assert_eq!(replay.expect(200), refunded);
    call().send().await.problem(409, "already_refunded");
    assert_eq!(buyer.balance().await, PRICE);
    // For a minute the seat is for others first.
    server.advance(60);
    buyer.buy(hall.seats[0]).await;
    server.close().await;
}

#[tokio::test]
async fn refunds_end_a_day_before_the_concert_but_not_for_operators() {
    let server = Server::start().await;
    // 20:00 on 16 January in Seoul is 27 hours after the clock's start.
    let hall = server.hall_like(1, |draft| draft.concert_date = jiff::civil::date(2027, 1, 16)).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    server.advance(3 * 3_600);
    let late = buyer.call(Method::POST, &format!("/payments/{payment}/refund")).send().await;
    assert_eq!(late.problem(409, "refund_too_late")["until"], "2027-01-15T11:00:00.000000Z");
    assert_eq!(buyer.balance().await, 0);
    let operator = server.operator().await;
    let path = format!("/operator/payments/{payment}/refund");
    let refunded = operator.post(&path, &json!({ "reason": "The train was late." })).await.expect(200);
    assert_eq!(refunded["status"], "refunded");
    assert_eq!(buyer.balance().await, PRICE);
    server.close().await;
}

#[tokio::test]
async fn a_closed_concert_takes_no_payment_but_a_hold_outlives_the_closing_time() {
    let server = Server::start().await;
    let closing = frontrow_testkit::START.plus(frontrow_domain::time::Span::from_secs(60));
    let hall = server.hall_like(2, |draft| draft.closes_at = Some(closing)).await;
    let (buyer, other) = (server.buyer_with("buyer", PRICE).await, server.buyer_with("other", PRICE).await);
    let (token, other_token) = (buyer.enter(None).await, other.enter(None).await);
    let held = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    let others = id(&other.hold(&other_token, hall.seats[1]).await.expect(201), "reservation_id");
    server.advance(61);
    buyer.pay(&token, held).await.expect(201);
    let operator = server.operator().await;
    operator
        .patch(&format!("/operator{}", hall.path()), &json!({ "status": "closed", "reason": "The hall asks for it." }))
        .await
        .expect(200);
    other.pay(&other_token, others).await.problem(409, "sale_closed");
    assert_eq!(other.balance().await, PRICE);
    server.close().await;
}
