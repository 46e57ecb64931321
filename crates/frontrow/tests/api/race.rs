//! Many at once for one thing: the first gets it, the others are refused, and the books agree.

use frontrow_testkit::{ApiAnswer, ApiCall, Client, PRICE, Server, id, items};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

/// Sends every call at the same time and waits for all answers.
async fn all_at_once(calls: impl IntoIterator<Item = ApiCall>) -> Vec<ApiAnswer> {
    let sent: JoinSet<_> = calls.into_iter().map(ApiCall::send).collect();
    sent.join_all().await
}

fn count(answers: &[ApiAnswer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// Buyers with points and an active token.
async fn buyers(server: &Server, count: usize) -> Vec<(Client, String)> {
    let mut buyers = Vec::new();
    for number in 0..count {
        let buyer = server.buyer_with(&format!("buyer{number}"), 10 * PRICE).await;
        let token = buyer.enter(None).await;
        buyers.push((buyer, token));
    }
    buyers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_who_want_one_seat_one_gets_it() {
    let server = Server::start().await;
    let hall = server.hall(4).await;
    let buyers = buyers(&server, 8).await;
    for seat in &hall.seats {
        let answers = all_at_once(buyers.iter().map(|(buyer, token)| buyer.hold_call(token, *seat))).await;
        assert_eq!(count(&answers, 201), 1);
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!(answer.problem(409, "seat_held")["seat_id"], *seat);
        }
        server.check_books().await;
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_overlapping_wishes_for_several_seats_none_is_half_granted() {
    let server = Server::start().await;
    let hall = server.hall(5).await;
    let buyers = buyers(&server, 8).await;
    // Neighbouring pairs in both orders: every two wishes that overlap exclude each other.
    let wishes = (0..8).map(|number| {
        let (a, b) = (hall.seats[number % 4], hall.seats[number % 4 + 1]);
        if number < 4 { [a, b] } else { [b, a] }
    });
    let calls = buyers.iter().zip(wishes).map(|((buyer, token), seats)| {
        buyer.call(Method::POST, "/reservations").token(token).json(&json!({ "seat_ids": seats }))
    });
    let answers = all_at_once(calls).await;
    let granted = count(&answers, 201);
    assert!((1..=2).contains(&granted), "{granted}");
    assert_eq!(granted + count(&answers, 409), 8);
    let mut held = 0;
    for (buyer, _) in &buyers {
        held += items(&buyer.get("/reservations").await.expect(200)).len();
    }
    assert_eq!(held, 2 * granted);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_a_hold_it_is_either_paid_or_over() {
    let server = Server::start().await;
    let hall = server.hall(8).await;
    let holders = buyers(&server, 8).await;
    let mut held = Vec::new();
    for ((buyer, token), seat) in holders.iter().zip(&hall.seats) {
        held.push(id(&buyer.hold(token, *seat).await.expect(201), "reservation_id"));
    }
    server.clock.advance(frontrow_domain::time::Span::from_micros(299_999_999));
    let mut rivals = Vec::new();
    for number in 0..8 {
        let rival = server.buyer(&format!("rival{number}")).await;
        rivals.push((rival.enter(None).await, rival));
    }
    // The first half pays while the last microsecond passes, the second half after it; rivals want every seat.
    let pay = |number: usize| holders[number].0.pay_call(&holders[number].1, held[number]);
    let want = |number: usize| rivals[number].1.hold_call(&rivals[number].0, hall.seats[number]);
    let early = (0..4).flat_map(|number| [pay(number), want(number)]);
    let last_moment = async {
        tokio::task::yield_now().await;
        server.clock.advance(frontrow_domain::time::Span::from_micros(1));
    };
    let (early, ()) = tokio::join!(all_at_once(early), last_moment);
    let late = all_at_once((4..8).flat_map(|number| [pay(number), want(number)])).await;
    assert_eq!(count(&late, 409), 4, "{late:?}");

    let answers: Vec<_> = early.iter().chain(&late).collect();
    let paid = answers.iter().filter(|answer| answer.status == 201 && answer.json()["payment_id"].is_i64()).count();
    let mut confirmed = 0;
    for (number, (buyer, _)) in holders.iter().enumerate() {
        let status = buyer.get(&format!("/reservations/{}", held[number])).await.expect(200)["status"].clone();
        let payments = items(&buyer.get("/payments").await.expect(200)).len();
        let rival_has_it = !items(&rivals[number].1.get("/reservations").await.expect(200)).is_empty();
        if status == "confirmed" {
            confirmed += 1;
            assert_eq!((payments, buyer.balance().await, rival_has_it), (1, 9 * PRICE, false));
        } else {
            assert!(status == "expired" || status == "pending" && !rival_has_it, "{status}");
            assert_eq!((payments, buyer.balance().await), (0, 10 * PRICE));
        }
        if number >= 4 {
            assert!(rival_has_it, "after the end the seat is free, swept or not");
        }
    }
    assert_eq!(confirmed, paid);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_reservation_paid_many_times_at_once_is_paid_once() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (buyer, token) = buyers(&server, 1).await.remove(0);
    let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    let keys = (0..8).map(|number| format!("another-key-each-time-{number}"));
    let answers = all_at_once(keys.map(|key| buyer.pay_call(&token, reservation).key(&key))).await;
    assert_eq!(count(&answers, 201), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "reservation_not_pending");
    }
    assert_eq!(buyer.balance().await, 9 * PRICE);
    assert_eq!(items(&buyer.get("/payments").await.expect(200)).len(), 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_for_one_seat_do_not_pay_for_two() {
    let server = Server::start().await;
    let halls = [server.hall_like(1, |draft| draft.own_room_max_active = Some(5)).await, server.hall(1).await];
    let buyer = server.buyer_with("buyer", PRICE).await;
    // A payment ends its token, so it takes two rooms to have two in flight.
    let mut calls = Vec::new();
    for hall in &halls {
        let token = buyer.enter(Some(hall.id())).await;
        let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
        calls.push(buyer.pay_call(&token, reservation));
    }
    let answers = all_at_once(calls).await;
    assert_eq!((count(&answers, 201), count(&answers, 402)), (1, 1));
    assert_eq!(buyer.balance().await, 0);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_payment_refunded_many_times_at_once_is_refunded_once() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    let calls = (0..8).map(|number| {
        let (who, path) = if number % 2 == 0 { (&buyer, "") } else { (&operator, "/operator") };
        let call = who.call(Method::POST, &format!("{path}/payments/{payment}/refund"));
        let call = call.key(&format!("refund-it-again-{number}"));
        if path.is_empty() { call } else { call.json(&json!({ "reason": "The buyer asks for it." })) }
    });
    let answers = all_at_once(calls).await;
    assert_eq!(count(&answers, 200), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(409, "already_refunded");
    }
    assert_eq!(buyer.balance().await, PRICE);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_room_lets_no_token_in_however_many_claim_their_turn() {
    const CAP: usize = 3;
    let server = Server::with(&[("--max-active", "12")]).await;
    let operator = server.operator().await;
    let mut waiting = Vec::new();
    for number in 0..12 {
        let buyer = server.buyer(&format!("buyer{number}")).await;
        let token = buyer.join(None).await["token"].as_str().unwrap().to_owned();
        buyer.wait_for(&token, "offered").await;
        waiting.push((buyer, token));
    }
    // All have their turn, and now the room is for three.
    operator
        .patch("/operator/rooms/0", &json!({ "max_active": CAP, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    let mut rounds = 0;
    while !waiting.is_empty() {
        server.advance(1);
        let claims =
            waiting.iter().map(|(buyer, token)| buyer.call(Method::PATCH, &format!("/queue/tokens/{token}/activate")));
        let answers = all_at_once(claims).await;
        assert_eq!(count(&answers, 200), CAP.min(waiting.len()), "the room is filled");
        assert_eq!(count(&answers, 200) + count(&answers, 202), waiting.len(), "no token loses its turn");
        let room = operator.get("/operator/rooms/0").await.expect(200);
        assert!(room["active"].as_u64().unwrap() <= CAP as u64, "{room}");
        server.check_books().await;
        server.advance(1);
        let (mut inside, mut still_waiting) = (Vec::new(), Vec::new());
        for (buyer, token) in waiting {
            let is_active = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200)["status"] == "active";
            if is_active { &mut inside } else { &mut still_waiting }.push((buyer, token));
        }
        // Their places go to those who have claimed, without another request.
        for (buyer, token) in inside {
            buyer.delete(&format!("/queue/tokens/{token}")).await.expect(204);
        }
        waiting = still_waiting;
        rounds += 1;
    }
    assert_eq!(rounds, 4);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_user_joining_from_many_devices_has_one_place() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let buyer = server.buyer("buyer").await;
    let answers = all_at_once((0..10).map(|_| buyer.call(Method::POST, "/queue/tokens"))).await;
    assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 9));
    assert!(answers.iter().all(|answer| answer.json()["token"] == answers[0].json()["token"]));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_user_gets_more_seats_than_the_limit_by_asking_at_once() {
    let server = Server::start().await;
    let hall = server.hall(8).await;
    let (buyer, token) = buyers(&server, 1).await.remove(0);
    let answers = all_at_once(hall.seats.iter().map(|seat| buyer.hold_call(&token, *seat))).await;
    assert_eq!(count(&answers, 201), 4);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "too_many_seats");
    }
    server.close().await;
}
