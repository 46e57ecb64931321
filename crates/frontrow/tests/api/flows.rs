//! The three flows of a sale, in the words of those who asked for it.

use frontrow_testkit::{PRICE, Server, id, items};
use serde_json::json;

/// Token issue and activation: `POST /queue/tokens` → poll `…/position` → `PATCH …/activate`.
#[tokio::test]
async fn flow_1_a_user_gets_a_waiting_token_polls_its_position_and_activates_it() {
    let server = Server::with(&[("--max-active", "1")]).await;
    server.hall(50).await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);

    // 대기토큰발급: each new token gets the next position after the highest.
    let answer = first.post("/queue/tokens", &json!({})).await;
    let issued = answer.expect(201);
    let first_token = issued["token"].as_str().unwrap();
    assert_eq!(issued["position"], 1);
    assert_eq!(issued["expired_at"], json!(null));
    let issued = second.post("/queue/tokens", &json!({})).await.expect(201);
    let second_token = issued["token"].as_str().unwrap();
    assert_eq!(issued["position"], 2);
    assert_eq!(issued["issued_at"], "2027-01-15T08:00:00.000000Z");

    // 현재순서조회: the first is offered its turn; the second waits and reads how long it may take.
    let place = first.wait_for(first_token, "offered").await;
    assert!(place["deadline"].is_string(), "{place}");
    let place = second.position(second_token).await;
    assert_eq!(place["status"], "waiting");
    assert_eq!(place["position"], 2);
    assert_eq!(place["ahead"], 0);
    assert_eq!(place["total_waiting"], 1);
    assert!(place["estimated_wait"]["known"].is_boolean(), "{place}");
    assert!(place["poll_after_ms"].as_i64().unwrap() > 0, "{place}");

    // 사용자활성화: the conditions are verified, then the token is active.
    second.activate(second_token).await.problem(409, "turn_not_yet");
    let active = first.activate(first_token).await.expect(200);
    assert_eq!(active["status"], "active");
    assert_eq!(active["activated_at"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(first.activate(first_token).await.expect(200)["status"], "active", "activating again changes nothing");

    // The room lets one in at a time: the second's turn comes when the first has left.
    assert_eq!(second.position(second_token).await["status"], "waiting");
    first.delete(&format!("/queue/tokens/{first_token}")).await.expect(204);
    second.wait_for(second_token, "offered").await;
    assert_eq!(second.activate(second_token).await.expect(200)["status"], "active");
    server.close().await;
}

/// Seat reservation: `POST /reservations`, and what becomes of it after five minutes unpaid.
#[tokio::test]
async fn flow_2_a_seat_is_held_for_five_minutes_and_is_available_again_by_itself() {
    let server = Server::start().await;
    let hall = server.hall(50).await;
    let seat = hall.seats[16];
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);

    // The token is validated: without an active one nothing is held.
    buyer.hold("no token", seat).await.problem(403, "token_invalid");
    let token = buyer.enter(None).await;
    buyer.sees(&hall, seat, "available").await;

    // 예약생성: the seat is reserved, the expiry is five minutes from now, the reservation is stored and returned.
    let reservation = buyer.hold(&token, seat).await.expect(201);
    assert_eq!(reservation["status"], "pending");
    assert_eq!(reservation["seat_id"], seat);
    assert_eq!(reservation["seat_number"], 17);
    assert_eq!(reservation["price"], PRICE);
    assert_eq!(reservation["created_at"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(reservation["expires_at"], "2027-01-15T08:05:00.000000Z");
    buyer.sees(&hall, seat, "held").await;
    let path = format!("/reservations/{}", id(&reservation, "reservation_id"));
    assert_eq!(buyer.get(&path).await.expect(200), reservation, "예약조회");

    // No other user gets it while it is held.
    let other_token = other.enter(None).await;
    let refused = other.hold(&other_token, seat).await.problem(409, "seat_held");
    assert_eq!(refused["held_until"], "2027-01-15T08:05:00.000000Z");

    // A second before the end it still is.
    server.advance(299);
    let again = other.enter(None).await;
    other.hold(&again, seat).await.problem(409, "seat_held");

    // After five minutes unpaid, the seat becomes available by itself: no request touches it here.
    server.advance(1);
    other.sees(&hall, seat, "available").await;
    let expired = buyer.get(&path).await.expect(200);
    assert_eq!(expired["status"], "expired");
    assert_eq!(expired["closed_at"], "2027-01-15T08:05:00.000000Z");
    assert_eq!(other.hold(&again, seat).await.expect(201)["status"], "pending");
    server.close().await;
}

/// Payment: `POST /payments`, with every effect that it must have.
#[tokio::test]
async fn flow_3_a_payment_takes_the_points_confirms_the_reservation_and_ends_the_token() {
    let server = Server::start().await;
    let hall = server.hall(50).await;
    let seat = hall.seats[0];
    let buyer = server.buyer_with("buyer", 250_000).await;
    let token = buyer.enter(None).await;
    let reservation = id(&buyer.hold(&token, seat).await.expect(201), "reservation_id");
    server.advance(60);

    // 결제처리
    let payment = buyer.pay(&token, reservation).await.expect(201);
    assert_eq!(payment["status"], "completed");
    assert_eq!(payment["amount"], PRICE);
    assert_eq!(payment["reservation_id"], reservation);
    assert_eq!(payment["user_id"], buyer.user.to_string());
    assert_eq!(payment["paid_at"], "2027-01-15T08:01:00.000000Z");

    // 잔액차감: the balance is deducted, and the history says what for.
    assert_eq!(buyer.balance().await, 250_000 - PRICE);
    let history = buyer.get("/points/history").await.expect(200);
    let newest = &items(&history)[0];
    assert_eq!(newest["type"], "use");
    assert_eq!(newest["amount"], -PRICE);
    assert_eq!(newest["balance_after"], 250_000 - PRICE);
    assert_eq!(newest["payment_id"], payment["payment_id"]);

    // 예약확정
    let confirmed = buyer.get(&format!("/reservations/{reservation}")).await.expect(200);
    assert_eq!(confirmed["status"], "confirmed");
    assert_eq!(confirmed["confirmed_at"], "2027-01-15T08:01:00.000000Z");

    // 토큰만료
    let ended = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
    assert_eq!(ended["status"], "ended");
    assert_eq!(ended["end_reason"], "paid");
    assert_eq!(ended["expired_at"], "2027-01-15T08:01:00.000000Z");
    buyer.hold(&token, hall.seats[1]).await.problem(403, "token_ended");

    // The payment is stored, and the seat is sold for good: five minutes later it still is.
    let stored = buyer.get(&format!("/payments/{}", id(&payment, "payment_id"))).await.expect(200);
    assert_eq!(stored, payment);
    assert_eq!(items(&buyer.get("/payments").await.expect(200)), &[payment], "결제내역조회");
    buyer.sees(&hall, seat, "sold").await;
    server.advance(600);
    let again = buyer.enter(None).await;
    buyer.hold(&again, seat).await.problem(409, "seat_sold");
    server.close().await;
}
