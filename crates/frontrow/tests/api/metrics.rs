//! What `GET /metrics` answers.

use super::caching::cache_control;
use frontrow_testkit::{Server, servers::port::Port};
use reqwest::Method;
use std::net::SocketAddr;
use tokio::net::TcpStream;

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for_with_what_runs_and_what_it_takes() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    anonymous.get("/concerts").await.expect(200);
    let get = async |accept: &str| anonymous.call_at(Method::GET, "/metrics").header("accept", accept).send().await;
    let open = get("application/openmetrics-text; version=1.0.0, text/plain;q=0.5").await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("# EOF\n"));
    assert!(open.text().contains("# TYPE frontrow_http_requests counter\n"));
    let old = get("text/plain; version=0.0.4").await;
    assert_eq!(old.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE frontrow_http_requests_total counter\n",
        "# HELP frontrow_sales_total ",
        "# TYPE frontrow_build_info gauge\n",
    ] {
        assert!(old.text().contains(line), "{line} is not in\n{}", old.text());
    }
    assert!(!old.text().contains("# EOF") && !old.text().contains("# UNIT"));
    let version = env!("CARGO_PKG_VERSION");
    for text in [open.text(), old.text()] {
        assert!(text.contains(&format!("frontrow_build_info{{version=\"{version}\"")), "{text}");
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_start_time_seconds",
            "process_threads",
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .unwrap_or_else(|| panic!("{name}"));
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{name} {value}");
        }
    }
    server.close().await;
}

#[tokio::test]
async fn metrics_on_a_listener_of_their_own_are_not_on_the_public_one() {
    let port = Port::take();
    let apart = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let server = Server::with(&[("--metrics-listen", &apart.to_string())]).await;
    let anonymous = server.anonymous();
    anonymous.call_at(Method::GET, "/metrics").send().await.problem(404, "not_found");
    let metrics = anonymous.at(apart).call_at(Method::GET, "/metrics").send().await;
    assert!(metrics.text().contains("frontrow_http_requests_total"), "{}", metrics.text());
    assert_eq!(cache_control(&metrics), "no-store");
    for path in ["/api/v1/concerts", "/healthz", "/docs"] {
        anonymous.at(apart).call_at(Method::GET, path).send().await.problem(404, "not_found");
    }
    let _folder = server.stop().await;
    assert!(TcpStream::connect(apart).await.is_err(), "it stops with the server");
}
