//! Operators' calls over HTTP.

use frontrow_testkit::{PRICE, Server, eventually, id, items};
use reqwest::Method;
use serde_json::{Value, json};

fn concert() -> Value {
    json!({
        "title": "Midnight Tide", "artist": "Midnight Tide", "venue": "Hangang Hall", "time_zone": "Asia/Seoul",
        "concert_date": "2027-03-01", "start_time": "20:00:00", "end_time": "22:30:00", "base_price": 120_000,
        "opens_at": "2027-01-15T08:00:00Z",
    })
}

#[tokio::test]
async fn a_concert_is_created_with_its_seats_and_changed_and_every_step_is_in_the_log() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let created = operator.post("/operator/concerts", &concert()).await.expect(201);
    let number = id(&created, "concert_id");
    assert_eq!((&created["room_id"], &created["status"]), (&json!(0), &json!("scheduled")));
    assert_eq!(created["closes_at"], "2027-03-01T11:00:00.000000Z");
    let path = format!("/operator/concerts/{number}");
    let seats =
        json!({ "range": { "from": 1, "to": 50, "section": "Floor", "row": "A", "grade": "VIP", "price": 200_000 } });
    let added = operator.post(&format!("{path}/seats"), &seats).await.expect(201);
    assert_eq!(added["count"], 50);
    let taken = json!({ "seats": [{ "seat_number": 51 }, { "seat_number": 50, "section": "Floor", "row": "A" }] });
    let refused = operator.post(&format!("{path}/seats"), &taken).await.problem(409, "seat_number_taken");
    assert_eq!((&refused["number"], &refused["row"]), (&json!("50"), &json!("A")));
    let changed = operator.patch(&path, &json!({ "title": "The Last Night" })).await.expect(200);
    assert_eq!((&changed["title"], &changed["venue"]), (&json!("The Last Night"), &json!("Hangang Hall")));
    let shown = server.anonymous().get(&format!("/concerts/{number}")).await.expect(200);
    for (field, value) in changed.as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
    let map = server.anonymous().get(&format!("/concerts/{number}/seats")).await.expect(200);
    assert_eq!(map["seats"].as_array().unwrap().len(), 50, "no seat of the refused call was added");
    assert_eq!(map["seats"][0]["price"], 200_000);

    let first = id(&added, "first_seat_id");
    let ids = [first, first + 1];
    operator.post("/operator/seats/block", &json!({ "seat_ids": ids, "reason": "Camera" })).await.expect(200);
    let free = json!({ "seat_ids": ids, "reason": "The camera moved." });
    operator.post("/operator/seats/free", &free).await.expect(200);
    operator
        .patch("/operator/rooms/0", &json!({ "max_active": 7, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    let log = operator.get("/operator/audit").await.expect(200);
    let actions: Vec<_> = items(&log).iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected =
        ["room.set", "seats.free", "seats.block", "concert.update", "seats.add", "concert.create", "operator.sign_in"];
    assert_eq!(actions[..7], expected);
    for entry in &items(&log)[..6] {
        assert_eq!(entry["actor"], operator.user.to_string(), "{entry}");
        assert_eq!(entry["created_at"], "2027-01-15T08:00:00.000000Z");
    }
    assert_eq!(items(&log)[2]["detail"]["reason"], "Camera");
    assert_eq!(items(&log)[1]["detail"]["reason"], "The camera moved.");
    let page = operator.get("/operator/audit?limit=2").await.expect(200);
    let rest = operator.get(&format!("/operator/audit?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!(items(&rest.expect(200)).len(), 6);
    server.close().await;
}

#[tokio::test]
async fn a_concert_that_cannot_be_names_its_field() {
    let server = Server::start().await;
    let operator = server.operator().await;
    for (field, value) in [
        ("title", json!("")),
        ("artist", json!("x".repeat(201))),
        ("venue", json!("a\nb")),
        ("time_zone", json!("Mars/Olympus")),
        ("concert_date", json!("2027-02-30")),
        ("start_time", json!("25:00")),
        ("base_price", json!("free")),
        ("opens_at", json!("tomorrow")),
        ("own_room_max_active", json!("many")),
        ("colour", json!("red")),
    ] {
        let mut body = concert();
        body[field] = value;
        operator.post("/operator/concerts", &body).await.problem_at(422, "invalid_field", field);
    }
    let mut body = concert();
    body["closes_at"] = body["opens_at"].clone();
    operator.post("/operator/concerts", &body).await.problem(422, "malformed");
    for (field, value) in
        [("base_price", json!(-1)), ("own_room_max_active", json!(-1)), ("own_room_max_active", json!(1_000_001))]
    {
        let mut body = concert();
        body[field] = value;
        operator.post("/operator/concerts", &body).await.problem(422, "malformed");
    }
    assert_eq!(items(&operator.get("/concerts").await.expect(200)).len(), 0);

    let hall = server.hall(1).await;
    let path = format!("/operator{}/seats", hall.path());
    for (body, code, field) in [
        (json!({ "range": { "from": 0, "to": 5 } }), "invalid_field", Some("range")),
        (json!({ "range": [2, 3] }), "invalid_field", Some("range")),
        (json!({ "seats": [[2]] }), "invalid_field", Some("seats[0]")),
        (json!({ "range": { "from": 5, "to": 4 } }), "invalid_field", Some("range")),
        (json!({ "range": { "from": 1, "to": 100_001 } }), "invalid_field", Some("range")),
        (json!({ "range": { "from": 2, "to": 2_147_483_648_i64 } }), "invalid_field", Some("range.to")),
        (json!({ "range": { "from": 2, "to": 3, "row": "x".repeat(41) } }), "invalid_field", Some("range.row")),
        (json!({ "range": { "from": 2, "to": 3, "price": -1 } }), "malformed", None),
        (json!({ "seats": [{}] }), "invalid_field", Some("seats[0]")),
        (json!({ "seats": [{ "number": "" }] }), "invalid_field", Some("seats[0].number")),
        (json!({ "seats": [{ "number": "x".repeat(41) }] }), "invalid_field", Some("seats[0].number")),
        (json!({ "seats": [{ "number": "1\n2" }] }), "invalid_field", Some("seats[0].number")),
        (json!({ "seats": [] }), "malformed", None),
        (json!({ "seats": [{ "seat_number": 2 }, { "seat_number": 0 }] }), "malformed", None),
        (json!({ "seats": [{ "seat_number": 2, "price": -5 }] }), "malformed", None),
    ] {
        let problem = operator.post(&path, &body).await.problem(422, code);
        if let Some(field) = field {
            assert!(
                problem["field"].as_str().is_some_and(|at| at.starts_with(field.split('.').next().unwrap())),
                "{problem}"
            );
        }
    }
    let twice = json!({ "seats": [{ "seat_number": 2 }, { "seat_number": 2 }] });
    operator.post(&path, &twice).await.problem(409, "seat_number_taken");
    operator
        .post("/operator/concerts/999/seats", &json!({ "range": { "from": 1, "to": 2 } }))
        .await
        .problem(404, "not_found");
    operator.patch("/operator/concerts/999", &json!({ "title": "X" })).await.problem(404, "not_found");
    let early = json!({ "closes_at": "2020-01-01T00:00:00Z" });
    operator.patch(&format!("/operator{}", hall.path()), &early).await.problem(422, "malformed");
    let map = operator.get(&format!("{}/seats", hall.path())).await.expect(200);
    assert_eq!(map["seats"].as_array().unwrap().len(), 1);
    server.close().await;
}

#[tokio::test]
async fn a_concert_is_moved_and_repriced() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let created = operator.post("/operator/concerts", &concert()).await.expect(201);
    let path = format!("/operator/concerts/{}", id(&created, "concert_id"));
    let later =
        operator.patch(&path, &json!({ "concert_date": "2027-03-08", "reason": "The roof leaks." })).await.expect(200);
    assert_eq!(
        (&later["starts_at"], &later["start_time"]),
        (&json!("2027-03-08T11:00:00.000000Z"), &json!("20:00:00"))
    );
    assert_eq!(later["closes_at"], later["starts_at"], "the sale closes with the start");
    let earlier =
        json!({ "start_time": "18:30:00", "end_time": "21:00:00", "base_price": 99_000, "reason": "A noise curfew." });
    let earlier = operator.patch(&path, &earlier).await.expect(200);
    assert_eq!(
        (&earlier["starts_at"], &earlier["base_price"]),
        (&json!("2027-03-08T09:30:00.000000Z"), &json!(99_000))
    );
    let abroad = json!({ "time_zone": "Europe/Berlin", "venue": "Spreehalle", "reason": "A tour." });
    let abroad = operator.patch(&path, &abroad).await;
    assert_eq!(abroad.expect(200)["starts_at"], "2027-03-08T17:30:00.000000Z");
    let shown = operator.get(path.trim_start_matches("/operator")).await.expect(200);
    for (field, value) in [
        ("time_zone", json!("Europe/Berlin")),
        ("concert_date", json!("2027-03-08")),
        ("start_time", json!("18:30:00")),
        ("end_time", json!("21:00:00")),
        ("starts_at", json!("2027-03-08T17:30:00.000000Z")),
        ("base_price", json!(99_000)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    let log = operator.get("/operator/audit?limit=2").await.expect(200);
    let zones = json!({ "from": "Asia/Seoul", "to": "Europe/Berlin" });
    assert_eq!(items(&log)[0]["detail"]["time_zone"], zones);
    assert_eq!(items(&log)[1]["detail"]["base_price"]["to"], 99_000);
    for (field, value) in
        [("time_zone", json!("Mars/Olympus")), ("concert_date", json!("2027-02-30")), ("start_time", json!("25:00"))]
    {
        let refused = operator.patch(&path, &json!({ field: value })).await;
        refused.problem_at(422, "invalid_field", field);
    }
    operator.patch(&path, &json!({ "base_price": -1 })).await.problem(422, "malformed");
    operator.patch("/operator/concerts/999", &json!({ "start_time": "18:00:00" })).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn a_concert_is_created_once_per_key() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let call = || operator.call(Method::POST, "/operator/concerts").key("concert-0123456789").json(&concert());
    let first = call().send().await.expect(201);
    let again = call().send().await;
    assert!(again.is_replay());
    assert_eq!(again.expect(201), first);
    assert_eq!(items(&operator.get("/concerts").await.expect(200)).len(), 1);
    server.close().await;
}

#[tokio::test]
async fn seats_in_use_are_neither_blocked_nor_freed() {
    let server = Server::start().await;
    let hall = server.hall(5).await;
    let operator = server.operator().await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    buyer.buy(hall.seats[0]).await;
    let token = buyer.enter(None).await;
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    for seat in &hall.seats[0..2] {
        let both = [hall.seats[2], *seat];
        let refused = operator.post("/operator/seats/block", &json!({ "seat_ids": both, "reason": "x" })).await;
        assert_eq!(refused.problem(409, "seat_in_use")["seat_id"], *seat);
        operator.post("/operator/seats/free", &json!({ "seat_ids": [seat] })).await.problem(409, "seat_in_use");
    }
    buyer.sees(&hall, hall.seats[2], "available").await;
    let unknown = json!({ "seat_ids": [999_999], "reason": "x" });
    operator.post("/operator/seats/block", &unknown).await.problem(404, "not_found");
    let many: Vec<_> = (1..=100_001).collect();
    let blocked = json!({ "seat_ids": many, "reason": "x" });
    operator.post("/operator/seats/block", &blocked).await.problem_at(422, "invalid_field", "seat_ids");
    operator.post("/operator/seats/free", &json!({ "seat_ids": many })).await.problem_at(
        422,
        "invalid_field",
        "seat_ids",
    );
    let added = json!({ "seats": many.iter().map(|number| json!({ "seat_number": number })).collect::<Vec<_>>() });
    operator.post(&format!("/operator{}/seats", hall.path()), &added).await.problem_at(422, "invalid_field", "seats");
    let silent = json!({ "seat_ids": [hall.seats[2]], "reason": " " });
    operator.post("/operator/seats/block", &silent).await.problem_at(422, "invalid_field", "reason");
    operator.post("/operator/seats/free", &silent).await.problem_at(422, "invalid_field", "reason");
    server.close().await;
}

#[tokio::test]
async fn a_room_shows_its_numbers_and_follows_its_settings() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let operator = server.operator().await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    first.enter(None).await;
    let behind = second.join(None).await["token"].as_str().unwrap().to_owned();
    let room = operator.get("/operator/rooms/0").await.expect(200);
    let numbers: Vec<_> =
        ["max_active", "waiting", "offered", "active", "highest"].map(|field| id(&room, field)).into();
    assert_eq!(numbers, [1, 1, 0, 1, 2]);
    let rooms = operator.get("/operator/rooms").await.expect(200);
    assert_eq!(*items(&rooms), [room]);

    let change = json!({ "max_active": 2, "gate": "paused", "message": "Soon.", "admit_per_minute": 60, "reason": "The hall asks for it." });
    let set = operator.patch("/operator/rooms/0", &change).await.expect(200);
    for field in ["max_active", "gate", "message", "admit_per_minute"] {
        assert_eq!(set[field], change[field], "{field}");
    }
    let place = second.position(&behind).await;
    assert_eq!((&place["status"], &place["message"]), (&json!("waiting"), &json!("Soon.")));
    assert_eq!(place["estimated_wait"], json!({ "known": false, "reason": "paused" }));
    let open = operator
        .patch("/operator/rooms/0", &json!({ "gate": "open", "message": null, "admit_per_minute": null }))
        .await;
    let open = open.expect(200);
    assert_eq!(
        (&open["message"], &open["admit_per_minute"], &open["max_active"]),
        (&json!(null), &json!(null), &json!(2))
    );
    second.wait_for(&behind, "offered").await;

    for (body, code) in [
        (json!({ "max_active": -1 }), "malformed"),
        (json!({ "max_active": 1_000_001, "reason": "The hall asks for it." }), "malformed"),
        (json!({ "admit_per_minute": 0 }), "malformed"),
        (json!({ "gate": "ajar" }), "invalid_field"),
        (json!({ "message": "" }), "invalid_field"),
        (json!({ "message": "x".repeat(501) }), "invalid_field"),
        (json!({ "max_active": 1.5 }), "invalid_field"),
        (json!({ "max_active": 1, "reason": "" }), "invalid_field"),
        (json!({ "max_active": 1, "reason": "x".repeat(501) }), "invalid_field"),
        (json!({ "colour": "red" }), "invalid_field"),
    ] {
        operator.patch("/operator/rooms/0", &body).await.problem(422, code);
    }
    operator.get("/operator/rooms/77").await.problem(404, "not_found");
    operator
        .patch("/operator/rooms/77", &json!({ "max_active": 1, "reason": "The hall asks for it." }))
        .await
        .problem(404, "not_found");
    operator.get("/operator/rooms/-1").await.problem_at(400, "invalid_field", "room_id");
    server.close().await;
}

#[tokio::test]
async fn a_told_wait_is_compared_with_the_turn_that_came() {
    // Given a room of one place, whose first visit took 20 seconds, and a token that is told its wait then.
    let server = Server::with(&[("--max-active", "1")]).await;
    let operator = server.operator().await;
    let (first, second, third) =
        (server.buyer("first").await, server.buyer("second").await, server.buyer("third").await);
    let behind = server.buyer("behind").await;
    let inside = first.enter(None).await;
    let next = second.join(None).await["token"].as_str().unwrap().to_owned();
    let last = third.join(None).await["token"].as_str().unwrap().to_owned();
    assert_eq!(third.position(&last).await["estimated_wait"]["reason"], "measuring", "nothing is told yet");
    server.advance(20);
    first.delete(&format!("/queue/tokens/{inside}")).await.expect(204);
    second.wait_for(&next, "offered").await;
    second.activate(&next).await.expect(200);
    server.advance(1);
    let behind_token = behind.join(None).await["token"].as_str().unwrap().to_owned();
    eventually("the forecast knows that the place is taken", async || {
        let told = &behind.position(&behind_token).await["estimated_wait"];
        told["p50_seconds"].as_i64().filter(|seconds| *seconds >= 15)
    })
    .await;
    let told = third.position(&last).await["estimated_wait"].clone();
    assert!(told["p50_seconds"].as_i64().unwrap() >= 5, "{told}");
    let told_waits = async || operator.get("/operator/rooms/0").await.expect(200)["told_waits"].clone();
    let none = json!({ "horizon": "first", "judged": 0, "within_p90_percent": null, "median_error_percent": null });
    assert_eq!(told_waits().await[0], none);
    // When the second visit takes as long, and the turn comes.
    server.advance(20);
    second.delete(&format!("/queue/tokens/{next}")).await.expect(204);
    third.wait_for(&last, "offered").await;
    // Then the first told wait is compared, and the one of its horizon.
    let judged = told_waits().await;
    let p50 = told["p50_seconds"].as_i64().unwrap();
    let error = (p50 - 20).abs() * 5;
    let expected = json!({ "horizon": "first", "judged": 1, "within_p90_percent": 100, "median_error_percent": error });
    assert_eq!(judged[0], expected);
    let counts: Vec<_> = judged.as_array().unwrap().iter().map(|one| one["judged"].as_i64().unwrap()).collect();
    assert_eq!((counts.len(), counts.iter().sum::<i64>()), (6, 2), "{judged}");
    let text = server.anonymous().call_at(Method::GET, "/metrics").send().await.text();
    assert!(text.contains("frontrow_told_waits_total{horizon=\"first\"} 1\n"), "{text}");
    assert!(text.contains("frontrow_told_waits_within_p90_total{horizon=\"first\"} 1\n"), "{text}");
    server.close().await;
}

#[tokio::test]
async fn operators_find_users_reservations_and_payments_and_undo_them() {
    let server = Server::start().await;
    let (hall, other_hall) = (server.hall(3).await, server.hall(1).await);
    let operator = server.operator().await;
    let (buyer, other) = (server.buyer_with("minji", 2 * PRICE).await, server.buyer("other").await);
    let (sold, payment) = buyer.buy(hall.seats[0]).await;
    let token = buyer.enter(None).await;
    let pending = id(&buyer.hold(&token, other_hall.seats[0]).await.expect(201), "reservation_id");
    let others = other.enter(None).await;
    let others = id(&other.hold(&others, hall.seats[1]).await.expect(201), "reservation_id");

    let users = operator.get("/operator/users?text=MINJI").await.expect(200);
    assert_eq!(items(&users).len(), 1);
    assert_eq!(items(&users)[0]["user_id"], buyer.user.to_string());
    let find = async |query: String| {
        let page = operator.get(&format!("/operator/reservations?{query}")).await.expect(200);
        items(&page).iter().map(|row| id(row, "reservation_id")).collect::<Vec<_>>()
    };
    assert_eq!(find(String::new()).await, [others, pending, sold]);
    assert_eq!(find(format!("user_id={}", buyer.user)).await, [pending, sold]);
    assert_eq!(find(format!("concert_id={}", hall.id())).await, [others, sold]);
    assert_eq!(find("status=pending".to_owned()).await, [others, pending]);
    assert_eq!(find(format!("user_id={}&status=confirmed", buyer.user)).await, [sold]);
    assert_eq!(find("limit=1".to_owned()).await, [others]);
    for (query, count) in [
        (String::new(), 1),
        (format!("user_id={}", buyer.user), 1),
        (format!("user_id={}", other.user), 0),
        (format!("reservation_id={sold}"), 1),
        ("status=refunded".to_owned(), 0),
    ] {
        let page = operator.get(&format!("/operator/payments?{query}")).await.expect(200);
        assert_eq!(items(&page).len(), count, "{query}");
    }
    for (query, field) in
        [("user_id=x", "user_id"), ("status=x", "status"), ("concert_id=0", "concert_id"), ("x=1", "x")]
    {
        operator.get(&format!("/operator/reservations?{query}")).await.problem_at(400, "invalid_field", field);
    }

    let cancel = async |id: i64| {
        let call = operator.call(Method::DELETE, &format!("/operator/reservations/{id}"));
        call.json(&json!({ "reason": "The hall asks for it." })).send().await
    };
    operator.delete(&format!("/operator/reservations/{pending}")).await.problem(422, "reason_needed");
    let cancelled = cancel(pending).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    let refund = format!("/operator/payments/{payment}/refund");
    operator.call(Method::POST, &refund).send().await.problem(422, "reason_needed");
    for (body, field) in [(json!({}), "reason"), (json!({ "reason": "" }), "reason"), (json!({ "x": 1 }), "x")] {
        operator.post(&refund, &body).await.problem_at(422, "invalid_field", field);
    }
    let reason = json!({ "reason": "The buyer is ill." });
    operator.post(&refund, &reason).await.expect(200);
    operator.post(&refund, &reason).await.problem(409, "already_refunded");
    cancel(sold).await.problem(409, "reservation_not_pending");
    assert_eq!(buyer.balance().await, 2 * PRICE);
    let log = operator.get("/operator/audit?limit=2").await.expect(200);
    let done: Vec<_> =
        items(&log).iter().map(|row| (row["action"].clone(), row["detail"]["user_id"].clone())).collect();
    let who = json!(buyer.user);
    assert_eq!(done, [(json!("payment.refund"), who.clone()), (json!("reservation.cancel"), who)]);
    assert_eq!(items(&log)[0]["detail"]["reason"], reason["reason"]);
    server.close().await;
}

#[tokio::test]
async fn a_theatre_is_entered_as_its_rows_are_numbered_and_shown_so() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let created = operator.post("/operator/concerts", &concert()).await.expect(201);
    let path = format!("/operator/concerts/{}/seats", id(&created, "concert_id"));
    for row in ["A", "B"] {
        let range = json!({ "range": { "from": 1, "to": 8, "section": "Stalls", "row": row } });
        operator.post(&path, &range).await.expect(201);
    }
    let both = json!({ "seats": [{ "seat_number": 1, "row": "C" }, { "seat_number": 1, "row": "D" }] });
    operator.post(&path, &both).await.expect(201);
    let printed = json!({ "seats": [{ "number": "12A", "row": "E" }, { "number": "가-3", "row": "E" }] });
    let added = operator.post(&path, &printed).await.expect(201);
    let buyer = server.buyer_with("buyer", 10 * PRICE).await;
    let shown = path.trim_start_matches("/operator");
    let map = buyer.get(shown).await.expect(200);
    let numbers: Vec<_> =
        map["seats"].as_array().unwrap().iter().map(|seat| seat["number"].as_str().unwrap()).collect();
    let row = ["1", "2", "3", "4", "5", "6", "7", "8"];
    assert_eq!(numbers, [&row[..], &row, &["1", "1"], &["12A", "가-3"]].concat());
    let ordinals: Vec<_> = map["seats"].as_array().unwrap().iter().map(|seat| id(seat, "seat_number")).collect();
    assert_eq!(ordinals, (1..=20).collect::<Vec<_>>());
    let compact = buyer.get(&format!("{shown}?form=compact")).await.expect(200);
    assert_eq!(compact["blocks"][4]["numbers"], json!(["12A", "가-3"]));

    let first = id(&added, "first_seat_id");
    let change = json!({ "seat_ids": [first, first + 1], "price": 0, "grade": "Guest", "row": "F" });
    let call = || operator.call(Method::PATCH, &path).key("seats-0123456789").json(&change);
    assert_eq!(call().send().await.expect(200), json!({ "count": 2 }));
    assert!(call().send().await.is_replay());
    let gone = json!({ "seat_ids": [first + 1] });
    operator.post(&format!("{path}/remove"), &gone).await.problem(422, "reason_needed");
    let gone = json!({ "seat_ids": [first + 1], "reason": "The stage takes its place" });
    operator.post(&format!("{path}/remove"), &gone).await.expect(200);
    operator.patch(&path, &json!({ "seat_ids": [first], "price": 1 })).await.problem(422, "reason_needed");
    let map = buyer.get(shown).await.expect(200);
    let seats = map["seats"].as_array().unwrap();
    assert_eq!((seats.len(), &seats[18]["row"], &seats[18]["price"]), (19, &json!("F"), &json!(0)));

    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, first).await.expect(201);
    let again = buyer.hold(&token, first).await.problem(409, "seat_held_by_you");
    assert_eq!((&again["reservation_id"], &again["held_until"]), (&held["reservation_id"], &held["expires_at"]));
    let other = server.buyer_with("other", PRICE).await;
    let others = other.enter(None).await;
    let refused = other.hold(&others, first).await.problem(409, "seat_held");
    assert!(refused.get("holder").is_none() && refused.get("reservation_id").is_none(), "{refused}");
    buyer.hold(&token, first).await.problem(409, "seat_held_by_you");
    operator.patch(&path, &json!({ "seat_ids": [first], "price": 5 })).await.problem(409, "seat_in_use");
    buyer.patch(&path, &change).await.problem(403, "forbidden");
    server.close().await;
}

#[tokio::test]
async fn a_user_is_removed_from_a_line_blocked_and_let_in_again() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let buyer = server.buyer("Minji").await;
    let first = buyer.join(None).await;
    let token = first["token"].as_str().unwrap();
    let user = buyer.user.to_string();
    let reason = "Joined by a program.";
    let removal = json!({ "user_id": user, "reason": reason });
    for _ in 0..2 {
        assert_eq!(operator.post("/operator/rooms/0/removals", &removal).await.status, 204);
    }
    let ended = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
    assert_eq!((&ended["status"], &ended["end_reason"]), (&json!("ended"), &json!("removed")));
    // With an end that is to come, and with none.
    buyer.join(None).await;
    let until = "2027-01-15T09:00:00.000000Z";
    let mut block = json!({ "user_id": user, "reason": reason, "until": until });
    let made = operator.post("/operator/rooms/0/blocks", &block).await.expect(200);
    assert_eq!((&made["until"], &made["reason"]), (&json!(until), &json!(reason)));
    assert_eq!(made["blocked_by"], operator.user.to_string());
    let refused = buyer.post("/queue/tokens", &json!({})).await;
    let problem = refused.problem(403, "line_blocked");
    assert_eq!(problem["until"], until);
    assert!(!problem.to_string().contains("program"), "the reason is for operators alone: {problem}");
    assert_eq!(items(&buyer.get("/queue/tokens").await.expect(200)).len(), 0, "the place has ended");
    let blocks = server.viewer().await.get("/operator/rooms/0/blocks?limit=1").await.expect(200);
    assert_eq!(items(&blocks)[0]["user_id"], user);
    buyer.get("/operator/rooms/0/blocks").await.problem(403, "forbidden");
    block["until"] = json!("2027-01-15T08:00:00Z");
    operator.post("/operator/rooms/0/blocks", &block).await.problem(422, "malformed");
    block["until"] = json!("soon");
    operator.post("/operator/rooms/0/blocks", &block).await.problem_at(422, "invalid_field", "until");
    for body in [json!({ "user_id": user }), json!({ "user_id": user, "reason": "" })] {
        for act in ["removals", "blocks"] {
            operator.post(&format!("/operator/rooms/0/{act}"), &body).await.problem(422, "invalid_field");
        }
    }
    for act in ["removals", "blocks"] {
        operator.post(&format!("/operator/rooms/77/{act}"), &removal).await.problem(404, "not_found");
        buyer.post(&format!("/operator/rooms/0/{act}"), &removal).await.problem(403, "forbidden");
    }
    operator.get("/operator/rooms/77/blocks").await.problem(404, "not_found");
    for _ in 0..2 {
        assert_eq!(operator.post("/operator/rooms/0/unblock", &json!({ "user_id": user })).await.status, 204);
    }
    buyer.join(None).await;
    server.close().await;
}
