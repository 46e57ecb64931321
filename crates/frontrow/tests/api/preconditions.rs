//! Two operators at one room or one concert: the version that a change is based on.

use frontrow_testkit::{Client, Server, items, picture};
use reqwest::Method;
use serde_json::{Value, json};

async fn tag(operator: &Client, path: &str) -> String {
    let shown = operator.get(path).await;
    shown.expect(200);
    shown.header("etag").expect("a tag").to_owned()
}

async fn change(operator: &Client, path: &str, tag: &str, body: &Value) -> frontrow_testkit::ApiAnswer {
    operator.call(Method::PATCH, path).header("if-match", tag).json(body).send().await
}

#[tokio::test]
async fn of_two_operators_who_saw_the_same_version_one_changes_it() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let concert = format!("/operator{}", hall.path());
    for (path, first, second, field) in [
        ("/operator/rooms/0", json!({ "message": "Soon." }), json!({ "message": "Later." }), "message"),
        (concert.as_str(), json!({ "title": "Tide" }), json!({ "title": "Ebb" }), "title"),
    ] {
        let seen = tag(&operator, path).await;
        let changed = change(&operator, path, &seen, &first).await;
        assert_eq!(changed.expect(200)[field], first[field]);
        let new = changed.header("etag").unwrap().to_owned();
        assert_ne!(new, seen);
        assert_eq!(tag(&operator, path).await, new, "the answer to a change names the version that it made");
        change(&operator, path, &seen, &second).await.problem(412, "changed_meanwhile");
        // A weak tag and one of something else match nothing; a star and a list that has the version match.
        for tags in [format!("W/{new}"), "\"5f0e1c2d-42\"".to_owned(), "\"\"".to_owned(), format!("W/{new}, {seen}")] {
            change(&operator, path, &tags, &second).await.problem(412, "changed_meanwhile");
        }
        for tags in ["17".to_owned(), format!("*, {new}"), String::new(), vec![new.as_str(); 17].join(",")] {
            change(&operator, path, &tags, &second).await.problem_at(400, "invalid_field", "If-Match");
        }
        assert_eq!(tag(&operator, path).await, new, "nothing was changed");
        let listed = change(&operator, path, &format!("{seen}, {new}"), &second).await;
        assert_eq!(listed.expect(200)[field], second[field]);
        change(&operator, path, "*", &first).await.expect(200);
        operator.patch(path, &second).await.expect(200);
    }
    for path in ["/operator/rooms/77", "/operator/concerts/77"] {
        change(&operator, path, "\"17\"", &json!({})).await.problem(404, "not_found");
    }
    server.close().await;
}

#[tokio::test]
async fn a_concert_is_cancelled_refunded_and_given_a_poster_in_the_version_that_was_seen() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let concert = format!("/operator{}", hall.path());
    let send = async |call: &str, tag: &str, key: &str| {
        let call = operator.call(Method::POST, &format!("{concert}/{call}")).header("if-match", tag).key(key);
        call.json(&json!({ "reason": "The singer is ill." })).send().await
    };
    for (call, status, key) in [("cancel", 200, "cancel-the-concert"), ("refund-all", 202, "refund-all-of-them")] {
        let old = tag(&operator, &concert).await;
        operator.patch(&concert, &json!({ "title": call })).await.expect(200);
        send(call, &old, "another-key-of-these").await.problem(412, "changed_meanwhile");
        send(call, "17", "another-key-of-these").await.problem_at(400, "invalid_field", "If-Match");
        let seen = tag(&operator, &concert).await;
        let done = send(call, &seen, key).await;
        done.expect(status);
        assert_eq!(done.header("etag"), Some(tag(&operator, &concert).await.as_str()));
        let again = send(call, &seen, key).await;
        again.expect(status);
        assert!(again.is_replay());
        send(call, &seen, "another-key-of-these").await.problem(412, "changed_meanwhile");
        send(call, "*", key).await.problem(422, "idempotency_key_reused");
    }
    let poster = format!("{concert}/poster");
    let put = async |tag: &str, side: u32| {
        operator.call(Method::PUT, &poster).header("if-match", tag).body("image/png", picture(side, side)).send().await
    };
    let seen = tag(&operator, &concert).await;
    put(&seen, 10).await.expect(200);
    put(&seen, 10).await.expect(200);
    put(&seen, 20).await.problem(412, "changed_meanwhile");
    let remove = async |tag: &str| operator.call(Method::DELETE, &poster).header("if-match", tag).send().await;
    remove(&seen).await.problem(412, "changed_meanwhile");
    let seen = tag(&operator, &concert).await;
    for _ in 0..2 {
        remove(&seen).await.expect(204);
    }
    server.close().await;
}

#[tokio::test]
async fn what_buyers_do_meanwhile_is_no_other_version() {
    let server = Server::start().await;
    let hall = server.hall_like(2, |draft| draft.own_room_max_active = Some(5)).await;
    let operator = server.operator().await;
    let (room, concert) = (format!("/operator/rooms/{}", hall.id()), format!("/operator{}", hall.path()));
    let seen = (tag(&operator, &room).await, tag(&operator, &concert).await);
    let buyer = server.buyer("minji").await;
    let token = buyer.enter(Some(hall.id())).await;
    buyer.hold(&token, hall.seats[0]).await.expect(201);
    assert_eq!((tag(&operator, &room).await, tag(&operator, &concert).await), seen);
    change(&operator, &room, &seen.0, &json!({ "max_active": 6 })).await.expect(200);
    change(&operator, &concert, &seen.1, &json!({ "title": "Tide" })).await.expect(200);
    server.close().await;
}

#[tokio::test]
async fn a_retry_of_a_change_is_answered_as_before_although_its_version_is_gone() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let path = "/operator/rooms/0";
    let seen = tag(&operator, path).await;
    let send = async |tag: &str| {
        let call = operator.call(Method::PATCH, path).header("if-match", tag).key("change-of-the-room");
        call.json(&json!({ "message": "Soon." })).send().await
    };
    let first = send(&seen).await;
    first.expect(200);
    operator.patch(path, &json!({ "message": "Later." })).await.expect(200);
    let again = send(&seen).await;
    assert!(again.is_replay() && !first.is_replay());
    assert_eq!((again.json(), again.header("etag")), (first.json(), first.header("etag")));
    // The same body on another version is another request.
    let now = tag(&operator, path).await;
    send(&now).await.problem(422, "idempotency_key_reused");
    assert_eq!(operator.get(path).await.expect(200)["message"], "Later.");
    server.close().await;
}

#[tokio::test]
async fn what_hurts_buyers_needs_a_reason_which_the_log_keeps_beside_the_change() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let concert = format!("/operator{}", hall.path());
    let past = frontrow_testkit::START.minus(frontrow_domain::time::Span::from_micros(1));
    for (path, body) in [
        ("/operator/rooms/0", json!({ "max_active": 2 })),
        ("/operator/rooms/0", json!({ "admit_per_minute": 60 })),
        ("/operator/rooms/0", json!({ "admit_per_minute": 30 })),
        ("/operator/rooms/0", json!({ "gate": "paused" })),
        (concert.as_str(), json!({ "status": "closed" })),
        (concert.as_str(), json!({ "status": "postponed" })),
        (concert.as_str(), json!({ "closes_at": past.to_string() })),
    ] {
        operator.patch(path, &body).await.problem(422, "reason_needed");
        let mut with_reason = body.clone();
        with_reason["reason"] = json!("The hall asks for it.");
        let done = operator.patch(path, &with_reason).await.expect(200);
        let log = operator.get("/operator/audit?limit=1").await.expect(200);
        let detail = &items(&log)[0]["detail"];
        assert_eq!(detail["reason"], with_reason["reason"], "{body}");
        for (field, to) in body.as_object().unwrap() {
            assert_eq!((&detail[field]["to"], &done[field]), (to, to), "{detail}");
            assert_ne!(detail[field]["from"], *to);
        }
    }
    server.close().await;
}
