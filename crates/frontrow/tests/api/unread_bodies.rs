//! Requests that are answered before their body is read.

use super::raw::RawClient;
use frontrow_service::metrics::MetricsFormat;
use frontrow_testkit::{Client, Server, eventually};

fn problems(server: &Server) -> u64 {
    let text = server.app().office.metrics(MetricsFormat::OpenMetrics);
    let counts = text.lines().filter_map(|line| line.strip_prefix("frontrow_problems_total{")?.rsplit(' ').next());
    counts.map(|count| count.parse::<u64>().unwrap()).sum()
}

/// Requests that are answered before their body is read, each with the start of its answer.
fn early(operator: &Client, spent: &Client) -> Vec<(String, &'static str)> {
    let json = "Content-Type: application/json\r\n";
    let signed_in = format!("{json}Authorization: Bearer {}\r\n", operator.secret());
    let spent = format!("{json}Authorization: Bearer {}\r\n", spent.secret());
    [
        ("POST /api/v1/payments", json, "HTTP/1.1 401"),
        ("POST /api/v1/payments", &*signed_in, "HTTP/1.1 403"),
        ("POST /api/v1/nothing", &signed_in, "HTTP/1.1 404"),
        ("PUT /api/v1/concerts", &signed_in, "HTTP/1.1 405"),
        ("POST /api/v1/payments", &format!("{signed_in}Queue-Token: x\r\nIdempotency-Key: short\r\n"), "HTTP/1.1 403"),
        ("POST /api/v1/points/top-ups", &format!("{signed_in}Idempotency-Key: short\r\n"), "HTTP/1.1 400"),
        ("POST /api/v1/points/top-ups", &signed_in.replace("json", "xml"), "HTTP/1.1 415"),
        ("POST /api/v1/points/top-ups", &format!("{signed_in}Authorization: Bearer x\r\n"), "HTTP/1.1 400"),
        ("POST /api/v1/reservations", &spent, "HTTP/1.1 429"),
    ]
    .into_iter()
    .map(|(line, headers, status)| (format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}"), status))
    .collect()
}

/// A server, its operator, and a buyer who has changed as much as one may within the hour.
async fn server_operator_and_spent_buyer(body_timeout: &str) -> (Server, Client, Client) {
    let server = Server::with(&[("--changes-per-hour-per-user", "1"), ("--body-timeout-seconds", body_timeout)]).await;
    let (operator, buyer) = (server.operator().await, server.buyer("buyer").await);
    buyer.top_up(1).await;
    (server, operator, buyer)
}

#[tokio::test]
async fn a_small_body_that_comes_after_its_answer_was_decided_leaves_the_connection_good() {
    let (server, operator, buyer) = server_operator_and_spent_buyer("15").await;
    for (head, status) in early(&operator, &buyer) {
        let mut link = RawClient::to(server.address).await;
        let before = problems(&server);
        link.send(&format!("{head}Content-Length: 13\r\n\r\n")).await;
        eventually("the request is answered", async || (problems(&server) > before).then_some(())).await;
        link.send("{\"seat_id\":1}").await;
        let answer = link.head().await;
        assert!(answer.starts_with(status), "{head}: {answer}");
        assert!(!answer.contains("connection: close"), "{head}: {answer}");
        link.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let next = link.head().await;
        assert!(next.starts_with("HTTP/1.1 200"), "{head}: the next request: {next}");
    }
    server.close().await;
}

#[tokio::test]
async fn an_answer_whose_body_does_not_come_or_is_large_says_that_the_connection_closes() {
    let (server, operator, buyer) = server_operator_and_spent_buyer("1").await;
    let unfinished = "Content-Length: 13\r\n\r\n{\"seat";
    let large = format!("Content-Length: {}\r\n\r\n{{", 100 * 1_024);
    let asks_first = "Content-Length: 13\r\nExpect: 100-continue\r\n\r\n";
    for (head, status) in early(&operator, &buyer) {
        for body in [unfinished, &large, asks_first] {
            let mut link = RawClient::to(server.address).await;
            link.send(&format!("{head}{body}")).await;
            let answer = link.head().await;
            assert!(answer.starts_with(status), "{head}{body}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{head}{body}: {answer}");
            assert_eq!(link.rest().await, "", "{head}{body}");
        }
    }
    // A body that is read, but too slowly, or that is too large, ends the connection too.
    let top_up = format!(
        "POST /api/v1/points/top-ups HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n",
        operator.secret()
    );
    for (body, status) in [(unfinished.to_owned(), "HTTP/1.1 408"), (large, "HTTP/1.1 413")] {
        let mut link = RawClient::to(server.address).await;
        link.send(&format!("{top_up}{body}")).await;
        let answer = link.head().await;
        assert!(answer.starts_with(status) && answer.contains("connection: close\r\n"), "{answer}");
    }
    // One that is a little too large is read off.
    let mut link = RawClient::to(server.address).await;
    link.send(&format!("{top_up}Content-Length: 20000\r\n\r\n{}", " ".repeat(20_000))).await;
    let answer = link.head().await;
    assert!(answer.starts_with("HTTP/1.1 413") && !answer.contains("connection: close"), "{answer}");
    link.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(link.head().await.starts_with("HTTP/1.1 200"));
    server.close().await;
}
