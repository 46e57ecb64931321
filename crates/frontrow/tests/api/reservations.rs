//! Reservations over HTTP.

use frontrow_domain::time::Span;
use frontrow_testkit::{PRICE, START, Server, id, items};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn several_seats_are_held_all_or_none() {
    let server = Server::start().await;
    let hall = server.hall(10).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let (token, other_token) = (buyer.enter(None).await, other.enter(None).await);
    let hold = async |seats: &[i64]| {
        buyer.call(Method::POST, "/reservations").token(&token).json(&json!({ "seat_ids": seats })).send().await
    };
    other.hold(&other_token, hall.seats[2]).await.expect(201);
    let refused = hold(&hall.seats[0..3]).await.problem(409, "seat_held");
    assert_eq!(refused["seat_id"], hall.seats[2]);
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)).len(), 0);
    buyer.sees(&hall, hall.seats[0], "available").await;

    let three = hold(&hall.seats[3..6]).await.expect(201);
    let numbers: Vec<_> = items(&three).iter().map(|row| row["seat_id"].as_i64().unwrap()).collect();
    assert_eq!(numbers, hall.seats[3..6]);
    let one = hold(&hall.seats[6..7]).await.expect(201);
    assert_eq!(items(&one).len(), 1, "who asks with a list gets a list");
    let limit = hold(&hall.seats[7..8]).await.problem(409, "too_many_seats");
    assert_eq!(limit["limit"], 4);
    server.close().await;
}

#[tokio::test]
async fn seats_that_cannot_be_held_say_why() {
    let server = Server::start().await;
    let hall = server.hall(10).await;
    let other_hall = server.hall(1).await;
    let later = START.plus(Span::from_secs(3_600));
    let not_yet = server.hall_like(1, |draft| draft.opens_at = later).await;
    let operator = server.operator().await;
    let seller = server.buyer_with("seller", PRICE).await;
    seller.buy(hall.seats[0]).await;
    let blocked = json!({ "seat_ids": [hall.seats[1]], "reason": "Camera" });
    operator.post("/operator/seats/block", &blocked).await.expect(200);

    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    assert_eq!(buyer.hold(&token, hall.seats[0]).await.problem(409, "seat_sold")["seat_id"], hall.seats[0]);
    assert_eq!(buyer.hold(&token, hall.seats[1]).await.problem(409, "seat_blocked")["seat_id"], hall.seats[1]);
    buyer.hold(&token, 999_999).await.problem(404, "not_found");
    let early = buyer.hold(&token, not_yet.seats[0]).await;
    assert_eq!(early.problem(409, "sale_not_open")["opens_at"], "2027-01-15T09:00:00.000000Z");
    assert_eq!(early.retry_after(), Some(3_600));
    let hold = async |body: Value| buyer.call(Method::POST, "/reservations").token(&token).json(&body).send().await;
    let mixed = json!({ "seat_ids": [hall.seats[2], other_hall.seats[0]] });
    hold(mixed).await.problem(422, "several_concerts");
    hold(json!({ "seat_ids": [] })).await.problem(422, "malformed");
    hold(json!({ "seat_ids": [hall.seats[2], hall.seats[2]] })).await.problem(422, "malformed");
    hold(json!({ "seat_ids": (1..=21).collect::<Vec<_>>() })).await.problem_at(422, "invalid_field", "seat_ids");
    let same = vec![hall.seats[2]; 1_000];
    hold(json!({ "seat_ids": same })).await.problem_at(422, "invalid_field", "seat_ids");
    hold(json!({})).await.problem_at(422, "invalid_field", "seat_id");
    hold(json!({ "seat_id": 1, "seat_ids": [2] })).await.problem_at(422, "invalid_field", "seat_id");
    operator
        .patch(&format!("/operator{}", hall.path()), &json!({ "status": "closed", "reason": "The hall asks for it." }))
        .await
        .expect(200);
    buyer.hold(&token, hall.seats[2]).await.problem(409, "sale_closed");
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)).len(), 0, "nothing was held");
    server.close().await;
}

#[tokio::test]
async fn a_held_seat_says_when_to_come_back() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let token = buyer.enter(None).await;
    buyer.hold(&token, hall.seats[0]).await.expect(201);
    let own = buyer.hold(&token, hall.seats[0]).await;
    own.problem(409, "seat_held_by_you");
    assert_eq!(own.retry_after(), None);
    server.advance(100);
    let token = other.enter(None).await;
    let refused = other.hold(&token, hall.seats[0]).await;
    refused.problem(409, "seat_held");
    assert_eq!(refused.retry_after(), Some(200));
    server.close().await;
}

#[tokio::test]
async fn a_hold_that_came_too_early_is_granted_with_the_same_key_when_the_sale_is_open() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.opens_at = START.plus(Span::from_secs(60))).await;
    let buyer = server.buyer("early").await;
    let token = buyer.enter(None).await;
    let hold = async || {
        let body = json!({ "seat_id": hall.seats[0] });
        buyer.call(Method::POST, "/reservations").token(&token).key("early-0123456789ab").json(&body).send().await
    };
    let early = hold().await;
    early.problem(409, "sale_not_open");
    assert_eq!(early.retry_after(), Some(60));
    server.advance(60);
    hold().await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_replayed_refusal_has_no_retry_after() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    let token = first.enter(None).await;
    first.hold(&token, hall.seats[0]).await.expect(201);
    let token = second.enter(None).await;
    let hold = async || {
        let body = json!({ "seat_id": hall.seats[0] });
        second.call(Method::POST, "/reservations").token(&token).key("held-00123456789ab").json(&body).send().await
    };
    let fresh = hold().await;
    fresh.problem(409, "seat_held");
    assert_eq!(fresh.retry_after(), Some(300));
    let replayed = hold().await;
    replayed.problem(409, "seat_held");
    assert_eq!((replayed.header("idempotent-replayed"), replayed.retry_after()), (Some("true"), None));
    server.close().await;
}

#[tokio::test]
async fn a_seat_that_was_given_up_is_for_others_first() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("undecided").await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201)["reservation_id"].as_i64().unwrap();
    buyer.delete(&format!("/reservations/{held}")).await.expect(200);
    let again = buyer.hold(&token, hall.seats[0]).await;
    assert_eq!(again.problem(409, "seat_cooling_down")["seat_id"], hall.seats[0]);
    assert_eq!(again.retry_after(), Some(60));
    let other = server.buyer("other").await;
    let token = other.enter(None).await;
    other.hold(&token, hall.seats[0]).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_cancelled_reservation_frees_its_seat_at_once() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (buyer, other) = (server.buyer_with("buyer", PRICE).await, server.buyer("other").await);
    let (token, other_token) = (buyer.enter(None).await, other.enter(None).await);
    let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    let path = format!("/reservations/{reservation}");
    assert_eq!(buyer.delete(&path).await.expect(200)["status"], "cancelled");
    buyer.sees(&hall, hall.seats[0], "available").await;
    buyer.delete(&path).await.problem(409, "reservation_not_pending");
    buyer.pay(&token, reservation).await.problem(409, "reservation_not_pending");
    other.hold(&other_token, hall.seats[0]).await.expect(201);

    let paid = id(&buyer.hold(&token, hall.seats[1]).await.expect(201), "reservation_id");
    buyer.pay(&token, paid).await.expect(201);
    buyer.delete(&format!("/reservations/{paid}")).await.problem(409, "reservation_not_pending");
    assert_eq!(buyer.balance().await, 0);
    server.close().await;
}

#[tokio::test]
async fn an_overdue_hold_is_neither_cancelled_nor_paid() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let token = buyer.enter(None).await;
    let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    server.advance(300);
    let expired = buyer.pay(&token, reservation).await.problem(409, "hold_expired");
    assert_eq!(expired["expired_at"], "2027-01-15T08:05:00.000000Z");
    buyer.delete(&format!("/reservations/{reservation}")).await.problem(409, "hold_expired");
    assert_eq!(buyer.balance().await, PRICE, "nothing was charged");
    server.close().await;
}

#[tokio::test]
async fn own_reservations_are_listed_newest_first_in_pages() {
    let server = Server::with(&[("--max-seats-per-user", "20")]).await;
    let hall = server.hall(10).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let wanted = json!({ "seat_ids": &hall.seats[0..7] });
    let held = buyer.call(Method::POST, "/reservations").token(&token).json(&wanted).send().await.expect(201);
    let mut expected: Vec<_> = items(&held).iter().map(|row| id(row, "reservation_id")).collect();
    expected.reverse();
    let mut seen = Vec::new();
    let mut path = "/reservations?limit=3".to_owned();
    loop {
        let page = buyer.get(&path).await.expect(200);
        assert!(items(&page).len() <= 3);
        seen.extend(items(&page).iter().map(|row| id(row, "reservation_id")));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/reservations?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, expected);
    server.close().await;
}

#[tokio::test]
async fn the_same_key_returns_the_stored_hold_and_another_body_is_refused() {
    let server = Server::start().await;
    let hall = server.hall(3).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let key = "hold-0123456789abcdef";
    let first = buyer.hold_call(&token, hall.seats[0]).key(key).send().await;
    let body = first.expect(201);
    assert!(!first.is_replay());
    // Five minutes later the answer is the same, though the hold is long over.
    server.advance(400);
    let again = buyer.hold_call(&token, hall.seats[0]).key(key).send().await;
    assert_eq!(again.expect(201), body);
    assert!(again.is_replay());
    buyer.hold_call(&token, hall.seats[1]).key(key).send().await.problem(422, "idempotency_key_reused");
    // The same JSON in another spelling is the same request.
    let spelled = format!("{{ \"seat_id\" :\t{} }}", hall.seats[0]);
    let call = buyer.call(Method::POST, "/reservations").token(&token).key(&format!("\"{key}\"")).text(spelled);
    assert_eq!(call.send().await.expect(201), body);
    for bad in ["short", "with a space in it!", "0123456789\"abcdef"] {
        let answer = buyer.hold_call(&token, hall.seats[2]).key(bad).send().await;
        answer.problem_at(400, "invalid_field", "Idempotency-Key");
    }
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)).len(), 1);
    server.close().await;
}

#[tokio::test]
async fn a_refusal_that_came_from_the_seats_is_stored_under_its_key() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let (token, other_token) = (buyer.enter(None).await, other.enter(None).await);
    let held = id(&other.hold(&other_token, hall.seats[0]).await.expect(201), "reservation_id");
    let key = "refused-0123456789abcdef";
    let first = buyer.hold_call(&token, hall.seats[0]).key(key).send().await;
    let refused = first.problem(409, "seat_held");
    other.delete(&format!("/reservations/{held}")).await.expect(200);
    let again = buyer.hold_call(&token, hall.seats[0]).key(key).send().await;
    assert!(again.is_replay());
    assert_eq!(again.problem(409, "seat_held")["held_until"], refused["held_until"]);
    buyer.hold_call(&token, hall.seats[0]).key("another-0123456789abcdef").send().await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn one_request_sent_ten_times_at_once_is_done_once() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let calls: Vec<_> = (0..10)
        .map(|_| tokio::spawn(buyer.hold_call(&token, hall.seats[0]).key("ten-times-0123456789").send()))
        .collect();
    let mut fresh = 0;
    let mut bodies = Vec::new();
    for call in calls {
        let answer = call.await.unwrap();
        bodies.push(answer.expect(201));
        fresh += usize::from(!answer.is_replay());
    }
    assert_eq!(fresh, 1);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)).len(), 1);
    server.close().await;
}

#[tokio::test]
async fn most_of_a_crowd_for_a_held_seat_is_refused_without_the_store() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (holder, loser) = (server.buyer("holder").await, server.buyer("loser").await);
    let (holders, losers) = (holder.enter(None).await, loser.enter(None).await);
    let held = id(&holder.hold(&holders, hall.seats[0]).await.expect(201), "reservation_id");
    let from_memory = async || {
        let text = holder.call_at(Method::GET, "/metrics").send().await.text();
        let line = text.lines().find_map(|line| line.strip_prefix("frontrow_holds_refused_from_memory_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    // Two refusals within a tenth of a second: on a machine that is slow just now, not at the first try.
    for _ in 0..100 {
        let first = loser.hold(&losers, hall.seats[0]).await.problem(409, "seat_held");
        let second = loser.hold(&losers, hall.seats[0]).await.problem(409, "seat_held");
        assert_eq!(first["held_until"], second["held_until"]);
        if from_memory().await > 0 {
            break;
        }
    }
    let cached = from_memory().await;
    assert!(cached > 0, "no request was refused from memory");

    // With a key the answer is kept, so it is decided.
    let call = || loser.hold_call(&losers, hall.seats[0]).key("a-key-of-the-loser-1");
    call().send().await.problem(409, "seat_held");
    let again = call().send().await;
    again.problem(409, "seat_held");
    assert!(again.is_replay());
    assert_eq!(from_memory().await, cached);

    // A seat that is given up is free at once for requests to the same instance.
    loser.hold(&losers, hall.seats[0]).await.problem(409, "seat_held");
    holder.delete(&format!("/reservations/{held}")).await.expect(200);
    loser.hold(&losers, hall.seats[0]).await.expect(201);
    server.close().await;
}
