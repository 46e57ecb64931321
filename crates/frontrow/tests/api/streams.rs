//! Streams of events: places in line and seats, over HTTP/1.1 and HTTP/2.

use frontrow_service::metrics::MetricsFormat;
use frontrow_testkit::{Client, EventReader, PRICE, Server, StreamEvent, id, wait_until};
use reqwest::{Method, Version};
use serde_json::{Value, json};

/// What a poll and an event say, but for when they said it.
fn timeless(place: &Value) -> Value {
    let mut place = place.clone();
    for member in ["as_of", "poll_after_ms"] {
        assert!(!place[member].is_null(), "{place}");
        place.as_object_mut().unwrap().remove(member);
    }
    place
}

async fn joined(server: &Server, name: &str) -> (Client, String) {
    let buyer = server.buyer(name).await;
    let token = buyer.join(None).await["token"].as_str().unwrap().to_owned();
    (buyer, token)
}

/// A line that stands still: the server, an operator, and a buyer in the line with the token.
async fn standing_line() -> (Server, Client, Client, String) {
    let server = Server::with(&[("--max-active", "0")]).await;
    let operator = server.operator().await;
    let (buyer, token) = joined(&server, "buyer").await;
    (server, operator, buyer, token)
}

/// Waits until one token of the house room was passed over.
async fn token_is_passed_over(server: &Server) {
    wait_until("a token is passed over", async || {
        let metrics = server.app().office.metrics(MetricsFormat::OpenMetrics);
        metrics.contains("frontrow_room_tokens{room=\"0\",status=\"dormant\"} 1\n")
    })
    .await;
}

async fn resumed(client: &Client, token: &str, last: &StreamEvent) -> EventReader {
    let call = client.call(Method::GET, &format!("/queue/tokens/{token}/events"));
    call.header("last-event-id", last.id.as_deref().unwrap()).events().await
}

#[tokio::test]
async fn a_place_in_line_is_followed_from_the_back_to_the_end_over_both_versions_of_http() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let operator = server.operator().await;
    let (first, first_token) = joined(&server, "first").await;
    let (buyer, token) = joined(&server, "buyer").await;
    let anonymous = server.anonymous();
    let mut plain = anonymous.line_events(&token).await;
    let mut newer = anonymous.over_http_2().line_events(&token).await;
    assert_eq!((plain.version(), newer.version()), (Version::HTTP_11, Version::HTTP_2));
    assert_eq!(plain.header("connection"), Some("close"));
    for stream in [&mut plain, &mut newer] {
        assert_eq!(stream.header("cache-control"), Some("no-store"));
        assert_eq!(stream.header("x-accel-buffering"), Some("no"));
        assert!(stream.header("x-request-id").is_some() && stream.header("date").is_some());
        assert!(stream.header("content-length").is_none());
        let event = stream.expect("line").await;
        assert!((1_000..6_000).contains(&stream.retry_ms.unwrap()));
        assert_eq!(timeless(&event.data), timeless(&anonymous.position(&token).await), "as the poll says");
        assert_eq!(event.data["ahead"], 1);
    }

    first.delete(&format!("/queue/tokens/{first_token}")).await.expect(204);
    operator.patch("/operator/rooms/0", &json!({ "message": "Soon." })).await.expect(200);
    for stream in [&mut plain, &mut newer] {
        // What changes at nearly the same time may come together.
        let moved = stream.until("the line has moved and the message has come", |event| {
            event.data["ahead"] == 0 && event.data["message"] == "Soon."
        });
        assert_eq!(moved.await.name, "line");
    }

    operator
        .patch("/operator/rooms/0", &json!({ "max_active": 1, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    for stream in [&mut plain, &mut newer] {
        let turn = stream.until("the turn has come", |event| event.name == "turn").await;
        assert_eq!((&turn.data["status"], &turn.data["last_turn"]), (&json!("offered"), &json!(false)));
        assert_eq!(turn.data["deadline"], buyer.position(&token).await["deadline"]);
    }
    let active = buyer.activate(&token).await.expect(200);
    for stream in [&mut plain, &mut newer] {
        let claimed = stream.expect("claimed").await;
        assert_eq!((&claimed.data["status"], &claimed.data["deadline"]), (&json!("active"), &active["deadline"]));
        assert_eq!(claimed.data["hold_until"], active["queue"]["hold_until"]);
    }
    buyer.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    let mut last = None;
    for stream in [&mut plain, &mut newer] {
        let ended = stream.expect("ended").await;
        assert_eq!((&ended.data["status"], &ended.data["end_reason"]), (&json!("ended"), &json!("left")));
        assert_eq!(stream.next().await, None, "nothing follows");
        last = Some(ended);
    }

    // A browser that opens the stream again is told to stop, and one that does not know gets the end.
    let call = anonymous.call(Method::GET, &format!("/queue/tokens/{token}/events"));
    let last = last.unwrap();
    call.header("last-event-id", last.id.as_deref().unwrap()).send().await.expect(204);
    let mut late = anonymous.line_events(&token).await;
    assert_eq!(late.expect("ended").await.id, last.id);
    assert_eq!(late.next().await, None);
    server.close().await;
}

#[tokio::test]
async fn a_stream_that_is_opened_again_begins_with_what_its_client_has_not_seen() {
    let (server, operator, buyer, token) = standing_line().await;
    let mut stream = buyer.line_events(&token).await;
    let seen = stream.expect("line").await;
    drop(stream);
    // Nothing has changed: the first event is that of the change after it.
    let mut stream = resumed(&buyer, &token, &seen).await;
    operator
        .patch(
            "/operator/rooms/0",
            &json!({ "gate": "paused", "message": "A moment.", "reason": "The hall asks for it." }),
        )
        .await
        .expect(200);
    let paused = stream.expect("line").await;
    assert_eq!(
        (&paused.data["message"], &paused.data["estimated_wait"]["reason"]),
        (&json!("A moment."), &json!("paused"))
    );
    drop(stream);
    operator.patch("/operator/rooms/0", &json!({ "message": null })).await.expect(200);
    let mut stream = resumed(&buyer, &token, &paused).await;
    assert_eq!(stream.expect("line").await.data["message"], Value::Null, "it comes at once");
    // An id that no stream has given is one that nothing is known of.
    let strange = StreamEvent { id: Some("of another server".to_owned()), ..paused };
    resumed(&buyer, &token, &strange).await.expect("line").await;
    server.close().await;
}

#[tokio::test]
async fn all_in_line_learn_that_the_seats_are_sold_and_that_one_came_back() {
    // Given a concert of one seat with a room of its own, a buyer who holds it, and a token in line.
    let server = Server::start().await;
    let operator = server.operator().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(1)).await;
    let (buyer, behind) = (server.buyer("buyer").await, server.buyer("behind").await);
    buyer.top_up(PRICE).await;
    let inside = buyer.enter(Some(hall.id())).await;
    let held = id(&buyer.hold(&inside, hall.seats[0]).await.expect(201), "reservation_id");
    let token = behind.join(Some(hall.id())).await["token"].as_str().unwrap().to_owned();
    let room = hall.concert.room_id;
    let pause = json!({ "gate": "paused", "reason": "The hall asks for it." });
    operator.patch(&format!("/operator/rooms/{room}"), &pause).await.expect(200);
    let mut stream = behind.line_events(&token).await;
    assert_eq!(
        stream.expect("line").await.data["outlook"],
        Value::Null,
        "a held seat may come back, and nothing was sold"
    );
    // When the seat is sold, then all who wait are told, and nothing else changes for them.
    let payment = id(&buyer.pay(&inside, held).await.expect(201), "payment_id");
    let sold_out = stream.until("all is sold", |event| event.data["outlook"] == "sold_out").await;
    assert_eq!((&sold_out.data["status"], &sold_out.name), (&json!("waiting"), &"line".to_owned()));
    assert_eq!(behind.position(&token).await["outlook"], "sold_out");
    // When it is given back, nothing is known again.
    buyer.post(&format!("/payments/{payment}/refund"), &json!({})).await.expect(200);
    stream.until("a seat came back", |event| event.data["outlook"].is_null()).await;
    // And the line of the house room, which leads to many concerts, says nothing of seats.
    let (other, house_token) = joined(&server, "other").await;
    assert_eq!(other.position(&house_token).await["outlook"], Value::Null);
    server.close().await;
}

#[tokio::test]
async fn a_stream_that_is_read_keeps_its_place_awake() {
    let (server, operator, buyer, token) = standing_line().await;
    joined(&server, "silent").await;
    let mut stream = buyer.line_events(&token).await;
    stream.expect("line").await;
    // Nobody polls for two minutes. After the first the stream has something to read.
    server.advance(60);
    operator.patch("/operator/rooms/0", &json!({ "message": "Are you there?" })).await.expect(200);
    stream.until("the message has come", |event| event.data["message"] == "Are you there?").await;
    // What comes after the message is sent when the message was taken.
    operator.patch("/operator/rooms/0", &json!({ "message": null })).await.expect(200);
    stream.until("the message is gone", |event| event.data["message"].is_null()).await;
    server.advance(60);
    operator
        .patch("/operator/rooms/0", &json!({ "max_active": 10, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    stream.until("the turn has come", |event| event.name == "turn").await;
    // The one that neither polled nor read. To look at its place would wake it.
    token_is_passed_over(&server).await;
    server.close().await;
}

#[tokio::test]
async fn a_stream_of_a_dormant_token_wakes_it() {
    let (server, operator, buyer, token) = standing_line().await;
    server.advance(120);
    operator
        .patch("/operator/rooms/0", &json!({ "max_active": 1, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    token_is_passed_over(&server).await;
    let mut stream = buyer.line_events(&token).await;
    // Opening the stream wakes the token, before or after the first event is written.
    let turn = stream.until("the turn has come", |event| event.name == "turn").await;
    assert_eq!(turn.data["status"], "offered");
    server.close().await;
}

#[tokio::test]
async fn a_token_that_is_none_or_of_a_renewed_line_has_no_stream() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let (buyer, token) = joined(&server, "buyer").await;
    let anonymous = server.anonymous();
    let path = |token: &str| format!("/queue/tokens/{token}/events");
    anonymous.get(&path("nonsense")).await.problem(404, "not_found");
    anonymous.get(&path(&token.to_lowercase())).await.problem(404, "not_found");
    anonymous.get(&format!("{}?misspelt=1", path(&token))).await.problem_at(400, "invalid_field", "misspelt");
    anonymous.post(&path(&token), &json!({})).await.problem(405, "method_not_allowed");
    let head = anonymous.call(Method::HEAD, &path(&token)).send().await;
    assert_eq!((head.status, head.body.len()), (200, 0), "a head has no events");
    let mut stream = buyer.line_events(&token).await;
    stream.expect("line").await;
    server.app().office.renew_lines().await.unwrap();
    assert_eq!(stream.next().await, None, "the place is another token's now");
    anonymous.get(&path(&token)).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn streams_over_the_limit_are_refused_and_their_clients_poll() {
    let server = Server::with(&[("--max-active", "0"), ("--max-streams", "2")]).await;
    let hall = server.hall(1).await;
    let (buyer, token) = joined(&server, "buyer").await;
    let mut first = buyer.line_events(&token).await;
    first.expect("line").await;
    let second = buyer.over_http_2().line_events(&token).await;
    // Of a concert nothing is read for a stream that is refused: not even whether it is there.
    let (seats, unknown) = (format!("{}/seats/events", hall.path()), "/concerts/999/seats/events".to_owned());
    for path in [format!("/queue/tokens/{token}/events"), seats, unknown] {
        let refused = buyer.get(&path).await;
        refused.problem(503, "too_many_streams");
        assert_eq!(refused.retry_after(), Some(30));
    }
    assert_eq!(buyer.position(&token).await["status"], "waiting");
    let text = server.anonymous().call_at(Method::GET, "/metrics").send().await.text();
    for line in ["frontrow_event_streams 2\n", "frontrow_event_streams_refused_total 3\n"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    drop(second);
    let mut third = frontrow_testkit::eventually("a place is free", async || {
        let call = buyer.call(Method::GET, &format!("/queue/tokens/{token}/events"));
        call.try_events().await
    })
    .await;
    third.expect("line").await;
    server.close().await;

    let server = Server::with(&[("--max-active", "0"), ("--max-streams-per-address", "1")]).await;
    let (buyer, token) = joined(&server, "buyer").await;
    let _stream = buyer.line_events(&token).await;
    buyer.get(&format!("/queue/tokens/{token}/events")).await.problem(503, "too_many_streams");
    server.close().await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_and_does_not_wait_for_their_clients() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let hall = server.hall(1).await;
    let (buyer, token) = joined(&server, "buyer").await;
    let seats = buyer.get(&format!("{}/seats", hall.path())).await.expect(200);
    let mut streams = vec![buyer.line_events(&token).await, buyer.over_http_2().line_events(&token).await];
    streams.push(seat_events(&buyer, &hall.path(), seats["mark"].as_str().unwrap()).await);
    for stream in &mut streams {
        stream.next().await.unwrap();
    }
    // A client that reads nothing is there, too.
    let _silent = buyer.line_events(&token).await;
    let _folder = server.stop().await;
    for stream in &mut streams {
        let bye = stream.expect("bye").await;
        let after = bye.data["reconnect_after_ms"].as_u64().unwrap();
        assert!((1_000..6_000).contains(&after), "{bye:?}");
        assert_eq!((stream.retry_ms, &bye.data["reason"]), (Some(after), &json!("stopping")));
        assert_eq!(stream.next().await, None);
    }
}

async fn seat_events(client: &Client, hall: &str, since: &str) -> EventReader {
    client.call(Method::GET, &format!("{hall}/seats/events?since={since}")).events().await
}

/// The seats of a map with their letters, brought up to date by an event.
fn apply(states: &mut std::collections::BTreeMap<i64, String>, event: &StreamEvent) {
    for pair in event.data.as_array().unwrap() {
        let known = states.insert(pair[0].as_i64().unwrap(), pair[1].as_str().unwrap().to_owned());
        assert!(known.is_some(), "a seat that the map lacks: {event:?}");
    }
}

#[tokio::test]
async fn changes_of_seats_come_as_events_and_a_map_that_follows_them_is_the_map() {
    let server = Server::start().await;
    let hall = server.hall(6).await;
    let buyer = server.buyer_with("buyer", 10 * PRICE).await;
    let anonymous = server.anonymous();
    let map = anonymous.get(&format!("{}/seats", hall.path())).await.expect(200);
    let compact = anonymous.get(&format!("{}/seats?form=compact", hall.path())).await.expect(200);
    assert_eq!(map["mark"], compact["mark"], "both forms show the same moment");
    let letters = |map: &Value| -> std::collections::BTreeMap<i64, String> {
        let letter = |status: &str| status[..1].to_uppercase();
        let seats = map["seats"].as_array().unwrap();
        seats.iter().map(|seat| (id(seat, "seat_id"), letter(seat["status"].as_str().unwrap()))).collect()
    };
    let mark = map["mark"].as_str().unwrap().to_owned();
    let mut followed = letters(&map);
    let mut streams = vec![
        seat_events(&anonymous, &hall.path(), &mark).await,
        seat_events(&anonymous.over_http_2(), &hall.path(), &mark).await,
    ];
    for stream in &mut streams {
        let first = stream.expect("seats").await;
        assert_eq!((&first.data, first.id.as_deref()), (&json!([]), Some(&*mark)), "nothing has changed since");
    }

    let token = buyer.enter(None).await;
    let held = id(&buyer.hold(&token, hall.seats[2]).await.expect(201), "reservation_id");
    let mut last = None;
    for stream in &mut streams {
        let event = stream.expect("seats").await;
        assert_eq!(event.data, json!([[hall.seats[2], "H"]]));
        last = Some(event);
    }
    let last = last.unwrap();
    apply(&mut followed, &last);
    server.advance(1);
    buyer.pay(&token, held).await.expect(201);
    server
        .operator()
        .await
        .post("/operator/seats/block", &json!({ "seat_ids": [hall.seats[5]], "reason": "Camera" }))
        .await
        .expect(200);
    // A client that was away gets what it missed, whether it has a map or an event.
    let missed = [(mark.clone(), None), ("nothing".to_owned(), last.id.clone())];
    for (since, last_id) in missed {
        let call = anonymous.call(Method::GET, &format!("{}/seats/events?since={since}", hall.path()));
        let call = match &last_id {
            Some(last_id) => call.header("last-event-id", last_id),
            None => call,
        };
        let caught_up = call.events().await.expect("seats").await;
        let mut own = followed.clone();
        apply(&mut own, &caught_up);
        let now = anonymous.get(&format!("{}/seats", hall.path())).await.expect(200);
        assert_eq!((own, caught_up.id.as_deref()), (letters(&now), now["mark"].as_str()), "{caught_up:?}");
    }
    for stream in &mut streams {
        let mut own = followed.clone();
        let blocked =
            |own: &std::collections::BTreeMap<i64, String>| own[&hall.seats[5]] == "B" && own[&hall.seats[2]] == "S";
        while !blocked(&own) {
            apply(&mut own, &stream.expect("seats").await);
        }
    }
    server.close().await;
}

#[tokio::test]
async fn a_map_that_events_cannot_bring_up_to_date_is_fetched_again() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (operator, anonymous) = (server.operator().await, server.anonymous());
    let events = format!("{}/seats/events", hall.path());
    for unknown in ["", "?since=", "?since=nonsense", "?since=1-2-3"] {
        let mut stream = anonymous.call(Method::GET, &format!("{events}{unknown}")).events().await;
        let reload = stream.expect("reload").await;
        assert_eq!((&reload.data, reload.id.as_deref()), (&json!({ "within_ms": 0 }), None), "{unknown}");
        assert_eq!(stream.next().await, None, "{unknown}");
    }
    anonymous.get("/concerts/999/seats/events").await.problem(404, "not_found");
    let more = json!({ "seats": [{ "seat_number": 3, "section": "Floor", "row": "B", "number": "1" }] });
    let price = json!({ "seat_ids": [hall.seats[0]], "price": 1 });
    let map = async || {
        anonymous.get(&format!("{}/seats", hall.path())).await.expect(200)["mark"].as_str().unwrap().to_owned()
    };
    for (method, path, change) in [
        (Method::POST, format!("/operator{}/seats", hall.path()), more),
        (Method::PATCH, format!("/operator{}/seats", hall.path()), price),
        (
            Method::POST,
            format!("/operator{}/seats/remove", hall.path()),
            json!({ "seat_ids": [hall.seats[1]], "reason": "None left" }),
        ),
    ] {
        let before = map().await;
        let mut stream = seat_events(&anonymous, &hall.path(), &before).await;
        stream.expect("seats").await;
        let answer = operator.call(method, &path).json(&change).send().await;
        assert!(answer.status < 300, "{path}: {}", answer.text());
        let reload = stream.until("the map is outdated", |event| event.name == "reload").await;
        assert!(reload.data["within_ms"].as_u64().unwrap() >= 500, "clients come spread: {reload:?}");
        assert_eq!(stream.next().await, None, "{path}");
        assert_ne!(map().await, before, "{path}");
        seat_events(&anonymous, &hall.path(), &before).await.expect("reload").await;
        seat_events(&anonymous, &hall.path(), &map().await).await.expect("seats").await;
    }
    server.close().await;
}

#[tokio::test]
async fn one_connection_of_http_2_carries_many_streams_and_other_calls() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let client = server.anonymous().over_http_2();
    let mut streams = Vec::new();
    for number in 0..40 {
        let (_, token) = joined(&server, &format!("buyer{number}")).await;
        streams.push(client.line_events(&token).await);
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        assert_eq!(stream.expect("line").await.data["ahead"], number);
    }
    assert_eq!(client.get("/concerts").await.status, 200);
    let text = server.anonymous().call_at(Method::GET, "/metrics").send().await.text();
    assert!(text.contains("frontrow_event_streams 40\n"), "{text}");
    server.operator().await.patch("/operator/rooms/0", &json!({ "message": "To all." })).await.expect(200);
    for stream in &mut streams {
        stream.until("the message has come", |event| event.data["message"] == "To all.").await;
    }
    server.close().await;
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_a_stream() {
    let server = Server::with(&[("--max-active", "0"), ("--allowed-origins", "https://shop.example.com")]).await;
    let (buyer, token) = joined(&server, "buyer").await;
    let path = format!("/queue/tokens/{token}/events");
    let mut stream = buyer.call(Method::GET, &path).header("origin", "https://shop.example.com").events().await;
    assert_eq!(stream.header("access-control-allow-origin"), Some("https://shop.example.com"));
    stream.expect("line").await;
    let preflight = buyer.call(Method::OPTIONS, &path).header("origin", "https://shop.example.com");
    let preflight = preflight.header("access-control-request-method", "GET");
    let answer = preflight.header("access-control-request-headers", "last-event-id").send().await;
    assert!(answer.header("access-control-allow-headers").unwrap().contains("last-event-id"), "{answer:?}");
    server.close().await;
}
