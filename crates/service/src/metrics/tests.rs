use super::{Metrics, Resting, RoomFigures, Up};
use frontrow_domain::{id::RoomId, line::Gate};
use std::time::Duration;

#[test]
fn requests_are_counted_by_method_route_and_status() {
    let metrics = Metrics::new();
    for status in [200, 200, 409, 418] {
        metrics.request("GET", "/seats/{id}", status, Duration::from_millis(3));
    }
    metrics.request("POST", "/seats/{id}", 200, Duration::from_millis(3));
    let text = metrics.render();
    for line in [
        r#"frontrow_http_requests_total{method="GET",route="/seats/{id}",status="200"} 2"#,
        r#"frontrow_http_requests_total{method="GET",route="/seats/{id}",status="409"} 1"#,
        r#"frontrow_http_requests_total{method="GET",route="/seats/{id}",status="0"} 1"#,
        r#"frontrow_http_requests_total{method="POST",route="/seats/{id}",status="200"} 1"#,
        r#"frontrow_http_request_duration_seconds_bucket{le="0.0025",method="GET",route="/seats/{id}"} 0"#,
        r#"frontrow_http_request_duration_seconds_bucket{le="0.005",method="GET",route="/seats/{id}"} 4"#,
        r#"frontrow_http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/seats/{id}"} 4"#,
        r#"frontrow_http_request_duration_seconds_sum{method="GET",route="/seats/{id}"} 0.012"#,
        r#"frontrow_http_request_duration_seconds_count{method="GET",route="/seats/{id}"} 4"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_rooms_gauges_say_the_last_numbers_and_a_room_that_is_not_named_has_none() {
    let metrics = Metrics::new();
    let figures = |room, waiting, gate, resting| {
        let room = RoomId::new(room);
        RoomFigures { room, waiting, offered: 1, active: 0, dormant: 3, missed: 4, cap: 50, gate, resting }
    };
    metrics.rooms([figures(0, 5, Gate::Open, Resting::UntilOpening), figures(7, 6, Gate::Open, Resting::UntilOpening)]);
    assert!(metrics.render().contains("frontrow_room_resting{room=\"7\"} 1\n"));
    metrics.rooms([figures(7, 6, Gate::Open, Resting::SaleOver)]);
    assert!(metrics.render().contains("frontrow_room_resting{room=\"7\"} 2\n"));
    metrics.rooms([figures(0, 2, Gate::Paused, Resting::No)]);
    let text = metrics.render();
    for line in [
        r#"frontrow_room_tokens{room="0",status="waiting"} 2"#,
        r#"frontrow_room_tokens{room="0",status="dormant"} 3"#,
        r#"frontrow_room_tokens{room="0",status="missed"} 4"#,
        r#"frontrow_room_resting{room="0"} 0"#,
        r#"frontrow_room_cap{room="0"} 50"#,
        r#"frontrow_room_gate_open{room="0"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(r#"room="7""#), "{text}");
}

#[test]
fn a_server_is_up_or_not_and_every_kind_of_failure_is_counted_from_zero() {
    let metrics = Metrics::new();
    metrics.server("postgresql", Up::Yes);
    metrics.server("redis", Up::No);
    let text = metrics.render();
    for line in [
        r#"frontrow_server_up{server="postgresql"} 1"#,
        r#"frontrow_server_up{server="redis"} 0"#,
        r#"frontrow_store_errors_total{kind="unavailable"} 0"#,
        r#"frontrow_store_errors_total{kind="corrupt"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
