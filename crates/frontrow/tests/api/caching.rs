//! Caching headers and the compression of answers.

use frontrow_testkit::{ApiAnswer, PRICE, Server};
use reqwest::Method;
use serde_json::json;

/// Asserts the two headers that every answer has, and returns its `cache-control`.
pub(crate) fn cache_control(answer: &ApiAnswer) -> &str {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    answer.header("cache-control").unwrap_or_else(|| panic!("nothing is said about being kept: {answer:?}"))
}

#[tokio::test]
async fn only_answers_that_are_the_same_for_all_may_be_cached() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let (reservation, payment) = buyer.buy(hall.seats[0]).await;
    let token = buyer.enter(None).await;
    for path in [
        "/users/me".to_owned(),
        "/points".to_owned(),
        "/points/history".to_owned(),
        "/reservations".to_owned(),
        format!("/reservations/{reservation}"),
        "/payments".to_owned(),
        format!("/payments/{payment}"),
        "/queue/tokens".to_owned(),
        format!("/queue/tokens/{token}"),
        format!("/queue/tokens/{token}/position"),
    ] {
        let answer = buyer.get(&path).await;
        answer.expect(200);
        assert_eq!(cache_control(&answer), "no-store", "{path}");
    }
    let registration = json!({ "name": "Kim", "email": "kim@example.com", "password": "0123456789" });
    let registered = buyer.post("/users", &registration).await;
    assert_eq!((registered.status, cache_control(&registered)), (201, "no-store"));
    let signed_in = buyer.post("/sessions", &json!({ "email": "kim@example.com", "password": "0123456789" })).await;
    assert_eq!((signed_in.status, cache_control(&signed_in)), (201, "no-store"));
    for (method, path) in [
        (Method::GET, "/api/v1/nothing"),
        (Method::PUT, "/api/v1/concerts"),
        (Method::GET, "/api/v1/concerts/0"),
        (Method::GET, "/healthz"),
        (Method::GET, "/readyz"),
        (Method::GET, "/metrics"),
        (Method::GET, "/problems"),
        (Method::HEAD, "/api/v1/points"),
    ] {
        assert_eq!(cache_control(&buyer.call_at(method, path).send().await), "no-store", "{path}");
    }
    assert_eq!(cache_control(&buyer.get(&format!("{}/seats", hall.path())).await), "no-cache");
    assert_eq!(cache_control(&buyer.get("/concerts").await), "public, max-age=1");
    assert_eq!(cache_control(&buyer.get(&hall.path()).await), "public, max-age=1");
    for path in ["/docs", "/docs/docs.js", "/docs/docs.css", "/openapi.json"] {
        assert_eq!(cache_control(&buyer.call_at(Method::GET, path).send().await), "no-cache", "{path}");
    }
    server.close().await;
}

#[tokio::test]
async fn what_has_a_tag_is_sent_once_and_then_answered_304_until_it_changes() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (anonymous, operator) = (server.anonymous(), server.operator().await);
    let paths = [
        "/api/v1/concerts".to_owned(),
        format!("/api/v1{}", hall.path()),
        format!("/api/v1{}/seats", hall.path()),
        "/openapi.json".to_owned(),
        "/docs".to_owned(),
        "/docs/docs.js".to_owned(),
        "/docs/docs.css".to_owned(),
    ];
    for path in &paths {
        let first = anonymous.call_at(Method::GET, path).send().await;
        let etag = first.header("etag").unwrap_or_else(|| panic!("{path} has no tag"));
        assert_eq!(first.status, 200, "{path}");
        for known in [etag.to_owned(), format!("W/{etag}"), format!("\"other\", {etag}")] {
            let again = anonymous.call_at(Method::GET, path).header("if-none-match", &known).send().await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {known}");
            assert_eq!(again.header("etag"), Some(etag), "{path}");
            assert_eq!(again.header("cache-control"), first.header("cache-control"), "{path}");
        }
        let other = anonymous.call_at(Method::GET, path).header("if-none-match", "\"other\"").send().await;
        assert_eq!(other.status, 200, "{path}");
    }
    let tags = async || {
        let mut tags = Vec::new();
        for path in &paths[..2] {
            tags.push(anonymous.call_at(Method::GET, path).send().await.header("etag").unwrap().to_owned());
        }
        tags
    };
    let before = tags().await;
    operator.patch(&format!("/operator{}", hall.path()), &json!({ "title": "Another night" })).await.expect(200);
    for (before, after) in before.iter().zip(tags().await) {
        assert_ne!(*before, after);
    }
    server.close().await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_clients_that_accept_it_and_small_ones_are_not() {
    let server = Server::start().await;
    let hall = server.hall(200).await;
    for _ in 0..10 {
        server.hall(1).await;
    }
    let anonymous = server.anonymous();
    let map = format!("/api/v1{}/seats", hall.path());
    for path in [&*map, "/api/v1/concerts", "/openapi.json", "/docs/docs.js", "/metrics"] {
        let plain = anonymous.call_at(Method::GET, path).send().await;
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        assert!(plain.header("vary").unwrap().contains("accept-encoding"), "{path}");
        let packed = anonymous.call_at(Method::GET, path).header("accept-encoding", "br, gzip").send().await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(packed.header("content-type"), plain.header("content-type"), "{path}");
        assert_eq!(packed.body[..2], [0x1f, 0x8b], "{path}");
        assert!(3 * packed.body.len() < plain.body.len(), "{path}: {} of {}", packed.body.len(), plain.body.len());
        let refused = anonymous.call_at(Method::GET, path).header("accept-encoding", "gzip;q=0").send().await;
        assert_eq!(refused.header("content-encoding"), None, "{path}");
        if let Some(etag) = plain.header("etag") {
            assert_eq!(packed.header("etag"), Some(&*format!("W/{etag}")), "{path}");
        }
    }
    for path in [format!("/api/v1{}", hall.path()), "/healthz".to_owned(), "/api/v1/nothing".to_owned()] {
        let answer = anonymous.call_at(Method::GET, &path).header("accept-encoding", "gzip").send().await;
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
    server.close().await;
}
