//! Reports of lines that are over: for everybody, verified by the published keys, and none before the end.

use super::receipts::signed_by_published_key;
use frontrow_domain::time::Span;
use frontrow_testkit::{Client, START, Server, eventually, id};
use serde_json::{Value, json};

const TYPE: &str = "frontrow-line-report+jwt";

async fn join(client: &Client, room: i64) -> String {
    let answer = client.post("/queue/tokens", &json!({ "room_id": room })).await;
    answer.expect(201)["token"].as_str().unwrap().to_owned()
}

async fn leave(client: &Client, token: &str) {
    client.delete(&format!("/queue/tokens/{token}")).await.expect(204);
}

async fn report(server: &Server, room: i64) -> Value {
    let path = format!("/rooms/{room}/line-report");
    eventually("the line is over", async || {
        let answer = server.anonymous().get(&path).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await
}

fn number(report: &Value, field: &str) -> i64 {
    report[field].as_i64().unwrap()
}

/// Every place in the line ended in one way.
fn adds_up(report: &Value) {
    let ends = ["paid", "left", "removed", "expired", "missed_out", "waiting_at_end"];
    assert_eq!(number(report, "entered"), ends.map(|end| number(report, end)).iter().sum::<i64>(), "{report}");
}

#[tokio::test]
async fn a_line_that_is_over_is_reported_with_what_became_of_its_places() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let draft = json!({ "name": "Shop", "turn_url": "https://shop.example.com/tickets", "max_active": 1 });
    let room = id(&operator.post("/operator/rooms", &draft).await.expect(201), "room_id");
    let path = format!("/rooms/{room}/line-report");
    let (inside, silent, next, leaver) = (
        server.buyer("inside").await,
        server.buyer("silent").await,
        server.buyer("next").await,
        server.buyer("leaver").await,
    );
    let first = join(&inside, room).await;
    inside.wait_for(&first, "offered").await;
    inside.activate(&first).await.expect(200);
    let misses = join(&silent, room).await;
    let third = join(&next, room).await;
    let left = join(&leaver, room).await;
    leave(&leaver, &left).await;
    server.anonymous().get(&path).await.problem(409, "line_not_over");

    leave(&inside, &first).await;
    silent.wait_for(&misses, "offered").await;
    server.advance(61);
    next.wait_for(&third, "offered").await;
    next.activate(&third).await.expect(200);
    let closing = json!({ "reason": "The sale of the shop is over." });
    operator.post(&format!("/operator/rooms/{room}/close"), &closing).await.expect(200);
    server.anonymous().get(&path).await.problem(409, "line_not_over");
    leave(&next, &third).await;
    server.advance(700);

    let report = report(&server, room).await;
    let expected = [
        ("entered", 4),
        ("drawn", 0),
        ("admitted", 2),
        ("missed", 1),
        ("passed_over", 0),
        ("paid", 0),
        ("left", 3),
        ("active_most", 1),
        ("cap_most", 1),
        ("overshoot", 0),
    ];
    for (field, count) in expected {
        assert_eq!(number(&report, field), count, "{field} in {report}");
    }
    adds_up(&report);
    server.close().await;
}

#[tokio::test]
async fn a_report_is_signed_by_a_published_key_and_an_altered_one_is_not() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let draft = json!({ "name": "Shop", "turn_url": "https://shop.example.com/tickets", "max_active": 1 });
    let room = id(&operator.post("/operator/rooms", &draft).await.expect(201), "room_id");
    operator.post(&format!("/operator/rooms/{room}/close"), &json!({ "reason": "It is over." })).await.expect(200);
    let report = report(&server, room).await;
    let text = report["report"].as_str().unwrap();
    let claims = signed_by_published_key(&server, TYPE, text).await.expect("it is signed");
    for (claim, field) in
        [("room", "room_id"), ("entered", "entered"), ("overshoot", "overshoot"), ("cap_most", "cap_most")]
    {
        assert_eq!(claims[claim], report[field], "{claim}");
    }
    let mut parts: Vec<_> = text.split('.').collect();
    let altered = {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut claims = claims.clone();
        claims["admitted"] = json!(1_000);
        URL_SAFE_NO_PAD.encode(claims.to_string())
    };
    parts[1] = &altered;
    assert_eq!(signed_by_published_key(&server, TYPE, &parts.join(".")).await, None);
    server.close().await;
}

#[tokio::test]
async fn the_line_of_a_concert_with_a_draw_is_reported_once_the_concert_is_cancelled() {
    let server = Server::start().await;
    let hall = server
        .hall_like(4, |draft| {
            draft.own_room_max_active = Some(1);
            draft.opens_at = START.plus(Span::from_secs(600));
        })
        .await;
    let operator = server.operator().await;
    let path = format!("/rooms/{}/line-report", hall.id());
    let mut tokens = Vec::new();
    for name in ["one", "two", "three"] {
        let token = server.buyer(name).await.join(Some(hall.id())).await;
        tokens.push(token["token"].as_str().unwrap().to_owned());
    }
    server.anonymous().get(&path).await.problem(409, "line_not_over");
    // An entry that is silent at the opening would be passed over, and may come back for an hour.
    server.advance(590);
    for token in &tokens {
        server.anonymous().position(token).await;
    }
    server.advance(10);
    eventually("the order is drawn", async || {
        let draw = server.anonymous().get(&format!("/rooms/{}/draw", hall.id())).await.expect(200);
        (draw["result"]["drawn_at"].is_string()).then_some(())
    })
    .await;
    let cancel = format!("/operator/concerts/{}/cancel", hall.id());
    operator.post(&cancel, &json!({ "reason": "The singer is ill." })).await.expect(200);
    server.advance(1_000);
    let report = report(&server, hall.id()).await;
    assert_eq!((number(&report, "drawn"), number(&report, "entered")), (3, 3));
    assert_eq!((number(&report, "admitted"), number(&report, "overshoot")), (0, 0));
    adds_up(&report);
    server.close().await;
}

#[tokio::test]
async fn a_report_has_the_lanes_beside_the_line_and_comes_once_they_are_empty_too() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let draft = json!({ "name": "Shop", "turn_url": "https://shop.example.com/tickets", "max_active": 4 });
    let room = id(&operator.post("/operator/rooms", &draft).await.expect(201), "room_id");
    let lane = json!({ "kind": "invitation", "share_percent": 50, "reason": "Guests of the artist." });
    let lane = id(&operator.post(&format!("/operator/rooms/{room}/lanes"), &lane).await.expect(201), "room_id");
    let (guest, other) = (server.buyer("guest").await, server.buyer("other").await);
    let invited = json!({ "user_id": guest.user });
    operator.post(&format!("/operator/rooms/{lane}/guests"), &invited).await.expect(204);
    let (invited, general) = (join(&guest, room).await, join(&other, room).await);
    guest.wait_for(&invited, "offered").await;
    guest.activate(&invited).await.expect(200);
    leave(&other, &general).await;
    let closing = json!({ "reason": "The sale of the shop is over." });
    operator.post(&format!("/operator/rooms/{room}/close"), &closing).await.expect(200);
    let path = format!("/rooms/{room}/line-report");
    server.anonymous().get(&path).await.problem(409, "line_not_over");
    leave(&guest, &invited).await;
    let report = report(&server, room).await;
    assert_eq!((number(&report, "entered"), number(&report, "admitted")), (1, 0), "{report}");
    let lanes = report["lanes"].as_array().unwrap();
    assert_eq!((lanes.len(), &lanes[0]["lane"]), (1, &json!("invitation")), "{report}");
    assert_eq!((number(&lanes[0], "entered"), number(&lanes[0], "admitted")), (1, 1), "{report}");
    adds_up(&lanes[0]);
    // How near the told waits came is beside it, for whatever this instance has told.
    let told = report["told_waits"].as_array().unwrap();
    assert_eq!((told.len(), &told[0]["horizon"], &told[0]["judged"]), (6, &json!("first"), &json!(0)), "{report}");
    server.anonymous().get(&format!("/rooms/{lane}/line-report")).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn the_line_of_a_postponed_concert_has_no_report_since_its_sale_goes_on() {
    let server = Server::start().await;
    let hall = server.hall_like(4, |draft| draft.own_room_max_active = Some(1)).await;
    let operator = server.operator().await;
    let postponed = json!({ "status": "postponed", "status_reason": "The singer is ill.", "reason": "Illness." });
    operator.patch(&format!("/operator/concerts/{}", hall.id()), &postponed).await.expect(200);
    server.anonymous().get(&format!("/rooms/{}/line-report", hall.id())).await.problem(409, "line_not_over");
    let closed = json!({ "status": "closed", "reason": "It is over." });
    operator.patch(&format!("/operator/concerts/{}", hall.id()), &closed).await.expect(200);
    report(&server, hall.id()).await;
    server.close().await;
}

#[tokio::test]
async fn there_is_no_report_of_the_house_room_or_of_one_that_is_not_there() {
    let server = Server::start().await;
    for room in [0, 77] {
        server.anonymous().get(&format!("/rooms/{room}/line-report")).await.problem(404, "not_found");
    }
    server.close().await;
}
