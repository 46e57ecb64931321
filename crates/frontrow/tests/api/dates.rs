//! Dates, hours and instants in requests and answers.

use frontrow_testkit::{PRICE, Server, draft, items};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn dates_and_hours_have_one_form_and_a_zone_one_name() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let create = async |changes: Value| {
        let mut body = json!({
            "title": "T", "artist": "A", "venue": "V", "time_zone": "Asia/Seoul", "concert_date": "2027-03-01",
            "start_time": "20:00", "end_time": "22:30:00", "base_price": 10_000, "opens_at": "2027-01-01T00:00:00Z",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        operator.post("/operator/concerts", &body).await
    };
    let made = create(json!({ "time_zone": "asia/seoul" })).await.expect(201);
    assert_eq!((&made["time_zone"], &made["start_time"]), (&json!("Asia/Seoul"), &json!("20:00:00")));
    let path = format!("/operator/concerts/{}", made["concert_id"]);
    for (field, value) in [
        ("start_time", "11:00:00+00:00"),
        ("start_time", "20:00:00-05:00"),
        ("start_time", "20:00:00[Asia/Tokyo]"),
        ("start_time", "2027-05-01T20:00:00"),
        ("start_time", "23:59:60"),
        ("start_time", "20"),
        ("end_time", "22:30:00Z"),
        ("end_time", "22:30:00.5"),
        ("concert_date", "2027-05-01T10:00:00"),
        ("concert_date", "2027-03-01T23:30:00+09:00"),
        ("concert_date", "2027-05-01[u-ca=hebrew]"),
        ("concert_date", "0001-01-01"),
        ("time_zone", "Factory"),
        ("time_zone", "KST"),
        ("opens_at", "2027-01-01T23:59:60Z"),
        ("opens_at", "2027-01-01T00:00:00+09:00[Asia/Seoul]"),
        ("opens_at", "2027-01-01"),
    ] {
        create(json!({ field: value })).await.problem_at(422, "invalid_field", field);
        operator.patch(&path, &json!({ field: value })).await.problem_at(422, "invalid_field", field);
    }
    assert_eq!(
        operator.patch(&path, &json!({ "time_zone": "europe/BERLIN", "reason": "A tour." })).await.expect(200)["time_zone"],
        "Europe/Berlin"
    );
    assert_eq!(items(&operator.get("/concerts").await.expect(200)).len(), 1);
    server.close().await;
}

#[tokio::test]
async fn an_hour_that_does_not_exist_is_refused_and_one_that_comes_twice_needs_a_fold() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let create = async |date: &str, start: &str, fold: Option<u8>| {
        let mut body = json!({
            "title": "T", "artist": "A", "venue": "V", "time_zone": "America/New_York", "concert_date": date,
            "start_time": start, "end_time": "06:00", "base_price": 10_000, "opens_at": "2027-01-01T00:00:00Z",
        });
        if let Some(fold) = fold {
            body["fold"] = fold.into();
        }
        operator.post("/operator/concerts", &body).await
    };
    create("2027-03-14", "02:30", None).await.problem_at(422, "invalid_field", "start_time");
    create("2027-03-14", "02:30", Some(1)).await.problem_at(422, "invalid_field", "start_time");
    let twice = create("2027-11-07", "01:30", None).await;
    twice.problem_at(422, "invalid_field", "start_time");
    assert!(twice.text().contains("fold"), "{}", twice.text());
    create("2027-11-07", "01:30", Some(2)).await.problem_at(422, "invalid_field", "fold");
    assert_eq!(create("2027-11-07", "01:30", Some(0)).await.expect(201)["starts_at"], "2027-11-07T05:30:00.000000Z");
    let second = create("2027-11-07", "01:30", Some(1)).await.expect(201);
    assert_eq!(second["starts_at"], "2027-11-07T06:30:00.000000Z");

    let path = format!("/operator/concerts/{}", second["concert_id"]);
    let change = async |body: Value| operator.patch(&path, &body).await;
    // A change that does not touch the hours leaves the moment, whichever it is.
    assert_eq!(change(json!({ "title": "U" })).await.expect(200)["starts_at"], second["starts_at"]);
    change(json!({ "end_time": "05:00" })).await.problem(422, "malformed");
    change(json!({ "concert_date": "2028-03-12", "start_time": "02:30" })).await.problem(422, "malformed");
    assert_eq!(
        change(json!({ "fold": 0, "reason": "An hour earlier." })).await.expect(200)["starts_at"],
        "2027-11-07T05:30:00.000000Z"
    );
    let moved = change(json!({ "end_time": "05:00", "fold": 1, "reason": "An hour later." })).await.expect(200);
    assert_eq!((&moved["starts_at"], &moved["end_time"]), (&second["starts_at"], &json!("05:00:00")));
    server.close().await;
}

#[tokio::test]
async fn every_instant_has_six_digits_of_fraction() {
    fn check(value: &Value, seen: &mut usize) {
        match value {
            Value::String(text) if text.len() > 19 && text.as_bytes()[10] == b'T' && text.ends_with('Z') => {
                assert_eq!(text.len(), "2027-03-01T11:00:00.000000Z".len(), "{text}");
                *seen += 1;
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, seen)),
            Value::Object(members) => members.values().for_each(|member| check(member, seen)),
            _ => {}
        }
    }
    let server = Server::start().await;
    let hall = server.hall_like(2, |concert| *concert = draft()).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let operator = server.operator().await;
    buyer.buy(hall.seats[0]).await;
    let mut seen = 0;
    for path in ["/concerts", "/users/me", "/points", "/points/history", "/reservations", "/payments"] {
        check(&buyer.get(path).await.expect(200), &mut seen);
    }
    for path in
        ["/operator/users", "/operator/reservations", "/operator/payments", "/operator/audit", "/operator/rooms"]
    {
        check(&operator.get(path).await.expect(200), &mut seen);
    }
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    check(&document, &mut seen);
    assert!(seen > 20, "{seen}");
    server.close().await;
}
