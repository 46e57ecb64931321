//! Pages of other origins.

use super::caching::cache_control;
use frontrow_service::metrics::MetricsFormat;
use frontrow_testkit::Server;
use reqwest::Method;

#[tokio::test]
async fn a_page_of_a_listed_origin_may_call_the_api_and_read_what_it_needs() {
    let shop = "https://shop.example.com";
    let server = Server::with(&[("--allowed-origins", "https://shop.example.com,http://127.0.0.1:5173")]).await;
    let anonymous = server.anonymous();
    let preflight = async |origin: &str| {
        let call = anonymous.call(Method::OPTIONS, "/payments").header("origin", origin);
        let call = call.header("access-control-request-method", "POST");
        let headers = "authorization,content-type,idempotency-key,queue-token";
        call.header("access-control-request-headers", headers).header("x-request-id", "asks-first").send().await
    };
    for origin in [shop, "http://127.0.0.1:5173"] {
        let answer = preflight(origin).await;
        assert!([200, 204].contains(&answer.status), "{answer:?}");
        assert_eq!(cache_control(&answer), "no-store");
        assert_eq!(answer.header("x-request-id"), Some("asks-first"));
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)));
        let headers = answer.header("access-control-allow-headers").unwrap().to_lowercase();
        for name in ["authorization", "content-type", "idempotency-key", "queue-token", "if-none-match", "x-request-id"]
        {
            assert!(headers.contains(name), "{name}: {headers}");
        }
    }
    // Refusals can be read too.
    for path in ["/concerts", "/users/me", "/nothing"] {
        let answer = anonymous.call(Method::GET, path).header("origin", shop).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(shop), "{path}");
        let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
        for name in ["retry-after", "etag", "date", "idempotent-replayed", "x-request-id"] {
            assert!(exposed.contains(name), "{path}: {name}: {exposed}");
        }
        let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(vary.join(",").contains("origin"), "{path}: {vary:?}");
    }
    // So can those of a bad head, which no route has seen; before a call such a head is refused as well.
    let bad = async |method| {
        let call =
            anonymous.call(method, "/concerts").header("origin", shop).header("access-control-request-method", "GET");
        call.header("x-request-id", "one").header("x-request-id", "two").send().await
    };
    let refused = bad(Method::GET).await;
    refused.problem_at(400, "invalid_field", "X-Request-Id");
    assert_eq!(refused.header("access-control-allow-origin"), Some(shop));
    bad(Method::OPTIONS).await.problem_at(400, "invalid_field", "X-Request-Id");
    let counted = server.app().office.metrics(MetricsFormat::OpenMetrics);
    let count = "frontrow_http_requests_total{method=\"other\",route=\"/api/v1/payments\",status=\"200\"} 2";
    assert!(counted.contains(count), "{counted}");
    for origin in ["https://other.example.com", "https://shop.example.com.evil.example", "null"] {
        let answer = preflight(origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(
            (cache_control(&answer), answer.header("x-request-id")),
            ("no-store", Some("asks-first")),
            "{origin}"
        );
        let answer = anonymous.call(Method::GET, "/concerts").header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    server.close().await;
}

#[tokio::test]
async fn without_a_listed_origin_there_is_nothing_for_other_origins() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let call = anonymous.call(Method::OPTIONS, "/concerts").header("origin", "https://shop.example.com");
    call.header("access-control-request-method", "GET").send().await.problem(405, "method_not_allowed");
    let answer = anonymous.call(Method::GET, "/concerts").header("origin", "https://shop.example.com").send().await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
    server.close().await;
}
