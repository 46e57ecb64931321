//! What buyers read of a concert, and its poster, over HTTP.

use frontrow_service::{
    concert_import,
    drafts::{DetailsDraft, read_file},
};
use frontrow_testkit::{Server, TOUR, id, items, picture};
use reqwest::Method;
use serde_json::{Value, json};

fn full() -> Value {
    json!({
        "description": "Two hours of new songs.\n\nWith a string quartet.", "age_rating": "12", "running_minutes": 150,
        "doors_minutes": 60, "address": "12 Yeouiseo-ro, Seoul", "organiser": "Tide Live",
        "organiser_contact": "02-000-0000"
    })
}

fn empty() -> Value {
    json!({
        "description": null, "age_rating": null, "running_minutes": null, "doors_minutes": null, "address": null,
        "organiser": null, "organiser_contact": null
    })
}

fn concert(details: &Value) -> Value {
    json!({
        "title": "First Night", "artist": "Midnight Tide", "venue": "Hangang Hall", "time_zone": "Asia/Seoul",
        "concert_date": "2027-03-01", "start_time": "20:00:00", "end_time": "22:30:00", "base_price": 120_000,
        "opens_at": "2027-02-01T01:00:00Z", "details": details
    })
}

#[tokio::test]
async fn details_are_set_changed_and_removed_one_by_one() {
    let server = Server::start().await;
    let (operator, anonymous) = (server.operator().await, server.anonymous());
    let created = operator.post("/operator/concerts", &concert(&full())).await.expect(201);
    let path = format!("/concerts/{}", id(&created, "concert_id"));
    let shown = async || {
        let body = anonymous.get(&path).await.expect(200);
        (body["details"].clone(), body["poster"].clone(), body["title"].clone())
    };
    assert_eq!(shown().await, (full(), Value::Null, json!("First Night")));
    let change =
        json!({ "details": { "address": null, "doors_minutes": 90, "description": " One.\r\n\r\n\r\n Two. " } });
    operator.patch(&format!("/operator{path}"), &change).await.expect(200);
    let mut changed = full();
    (changed["address"], changed["doors_minutes"]) = (Value::Null, json!(90));
    changed["description"] = json!("One.\n\nTwo.");
    assert_eq!(shown().await.0, changed);
    operator.patch(&format!("/operator{path}"), &json!({ "title": "Second Night" })).await.expect(200);
    assert_eq!(shown().await, (changed, Value::Null, json!("Second Night")));

    let plain = operator.post("/operator/concerts", &concert(&Value::Null)).await.expect(201);
    let body = anonymous.get(&format!("/concerts/{}", id(&plain, "concert_id"))).await.expect(200);
    assert_eq!(body["details"], empty());
    let listed = anonymous.get("/concerts").await.expect(200);
    assert!(items(&listed).iter().all(|row| row.get("details").is_none()), "a list carries no long texts");
    server.close().await;
}

#[tokio::test]
async fn details_that_cannot_be_name_their_field_and_change_nothing() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let hall = server.hall(1).await;
    let path = format!("/operator{}", hall.path());
    for (field, value) in [
        ("description", json!("")),
        ("description", json!("x".repeat(5_001))),
        ("description", json!("a\u{0}b")),
        ("age_rating", json!("18")),
        ("age_rating", json!(12)),
        ("running_minutes", json!(0)),
        ("running_minutes", json!(1_441)),
        ("running_minutes", json!("150")),
        ("doors_minutes", json!(-1)),
        ("address", json!("x".repeat(201))),
        ("organiser", json!("a\nb")),
        ("organiser_contact", json!(" ")),
        ("colour", json!("red")),
    ] {
        let details = json!({ field: value });
        let at = format!("details.{field}");
        operator.post("/operator/concerts", &concert(&details)).await.problem_at(422, "invalid_field", &at);
        operator.patch(&path, &json!({ "details": details })).await.problem_at(422, "invalid_field", &at);
    }
    let body = operator.get(&hall.path()).await.expect(200);
    assert_eq!(body["details"], empty());
    assert_eq!(items(&operator.get("/concerts").await.expect(200)).len(), 1);
    let long = json!({ "details": { "description": "가".repeat(5_000) } });
    operator.patch(&path, &long).await.expect(200);
    server.close().await;
}

#[tokio::test]
async fn a_file_to_import_may_have_details() {
    let server = Server::start().await;
    let mut file: Value = serde_json::from_str(TOUR).unwrap();
    file[0]["concert"]["details"] = full();
    let app = server.app();
    let created = concert_import::import(&app.office, &read_file(&file.to_string()).unwrap()).await.unwrap();
    drop(app);
    let body = server.anonymous().get(&format!("/concerts/{}", created[0].0.concert_id)).await.expect(200);
    assert_eq!(body["details"], full());
    file[0]["concert"]["details"]["running_minutes"] = json!(9_999);
    file[0]["concert"]["title"] = json!("Another");
    let app = server.app();
    let refused = concert_import::import(&app.office, &read_file(&file.to_string()).unwrap()).await.unwrap_err();
    assert!(format!("{refused:#}").contains("details.running_minutes"), "{refused:#}");
    drop(app);
    server.close().await;
}

#[tokio::test]
async fn a_key_that_was_used_without_details_is_not_good_for_others() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let hall = server.hall(1).await;
    let patch = |details: Option<Value>| {
        let body =
            details.map_or_else(|| json!({ "title": "One" }), |details| json!({ "title": "One", "details": details }));
        operator.call(Method::PATCH, &format!("/operator{}", hall.path())).key("a-key-for-one-patch").json(&body).send()
    };
    patch(None).await.expect(200);
    assert!(patch(None).await.is_replay());
    patch(Some(full())).await.problem(422, "idempotency_key_reused");
    server.close().await;
}

#[tokio::test]
async fn a_poster_is_drawn_served_for_good_and_removed() {
    let server = Server::start().await;
    let (operator, anonymous) = (server.operator().await, server.anonymous());
    let hall = server.hall(1).await;
    let path = format!("/operator{}/poster", hall.path());
    let put = |width, height| operator.call(Method::PUT, &path).body("image/png", picture(width, height)).send();
    let first = put(1_800, 1_350).await.expect(200);
    assert_eq!((&first["width"], &first["height"]), (&json!(1_200), &json!(900)));
    assert_eq!(anonymous.get(&hall.path()).await.expect(200)["poster"], first);
    let get = async |path: &Value| anonymous.call_at(Method::GET, path.as_str().unwrap()).send().await;
    let poster = get(&first["path"]).await;
    assert_eq!((poster.status, poster.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(poster.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert!(poster.body.starts_with(&[0xff, 0xd8, 0xff]), "a JPEG");
    assert_eq!(poster.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    let etag = poster.header("etag").unwrap().to_owned();
    let call = anonymous.call_at(Method::GET, first["path"].as_str().unwrap());
    assert_eq!(call.header("if-none-match", &etag).send().await.status, 304);

    let second = put(300, 400).await.expect(200);
    assert_ne!(second["path"], first["path"]);
    let moved = get(&first["path"]).await;
    assert_eq!(moved.body, get(&second["path"]).await.body, "the path of the old picture leads to the new one");
    assert_eq!(put(300, 400).await.expect(200), second, "the same picture again");

    operator.delete(&format!("/operator{}/poster", hall.path())).await.expect(204);
    operator.delete(&format!("/operator{}/poster", hall.path())).await.expect(204);
    get(&second["path"]).await.problem(404, "not_found");
    assert_eq!(anonymous.get(&hall.path()).await.expect(200)["poster"], Value::Null);
    let audit = operator.get("/operator/audit").await.expect(200);
    let actions: Vec<_> = items(&audit).iter().map(|line| line["action"].as_str().unwrap()).take(3).collect();
    assert_eq!(actions, ["concert.poster.remove", "concert.poster.set", "concert.poster.set"]);
    server.close().await;
}

#[tokio::test]
async fn a_picture_that_cannot_be_changes_nothing() {
    let server = Server::start().await;
    let (operator, buyer) = (server.operator().await, server.buyer("minji").await);
    let hall = server.hall(1).await;
    let path = format!("/operator{}/poster", hall.path());
    let put = |media_type: &str, body: Vec<u8>| operator.call(Method::PUT, &path).body(media_type, body).send();
    let good = picture(40, 30);
    for media_type in ["image/gif", "image/svg+xml", "application/json", "image/png; charset=utf-8", ""] {
        put(media_type, good.clone()).await.problem(415, "unsupported_media_type");
    }
    let packed = operator.call(Method::PUT, &path).header("content-encoding", "gzip").body("image/png", good.clone());
    packed.send().await.problem(415, "unsupported_media_type");
    put("image/png", vec![0; 5 * 1_024 * 1_024 + 1]).await.problem(413, "payload_too_large");
    put("image/png", Vec::new()).await.problem(422, "invalid_field");
    put("image/jpeg", good.clone()).await.problem(422, "invalid_field");
    put("image/png", good[..good.len() / 2].to_vec()).await.problem(422, "invalid_field");
    let mut huge = good.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    put("image/png", huge).await.problem(422, "invalid_field");
    let other = |path: &str| operator.call(Method::PUT, path).body("image/png", good.clone()).send();
    other("/operator/concerts/999/poster").await.problem(404, "not_found");
    let theirs = buyer.call(Method::PUT, &path).body("image/png", good.clone()).send();
    theirs.await.problem(403, "forbidden");
    server.anonymous().delete(&path).await.problem(401, "unauthorized");
    assert_eq!(operator.get(&hall.path()).await.expect(200)["poster"], Value::Null);
    for bad in [
        "/posters/1/x.jpg",
        "/posters/0/5f0e1c2d3b4a59687786958a4b3c2d1e.jpg",
        "/posters/1/5f0e1c2d3b4a59687786958a4b3c2d1e.png",
        "/posters/999/5f0e1c2d3b4a59687786958a4b3c2d1e.jpg",
    ] {
        server.anonymous().call_at(Method::GET, bad).send().await.problem(404, "not_found");
    }
    server.close().await;
}

#[tokio::test]
async fn a_draft_without_details_is_written_as_before() {
    let text = serde_json::to_value(frontrow_testkit::draft()).unwrap();
    assert!(text.get("details").is_none(), "stored fingerprints of requests stay good");
    assert_eq!(serde_json::to_value(DetailsDraft::default()).unwrap(), json!({}));
}
