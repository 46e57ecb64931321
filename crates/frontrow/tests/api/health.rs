//! Health, metrics and the `OpenAPI` document.

use frontrow_domain::time::Span;
use frontrow_testkit::{PRICE, Server, items};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_server_says_that_it_lives_is_ready_and_how_it_does() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    buyer.buy(hall.seats[0]).await;
    buyer.hold("x", hall.seats[1]).await.problem(403, "token_invalid");
    let get = async |path: &str| server.anonymous().call_at(Method::GET, path).send().await;
    assert_eq!(get("/healthz").await.status, 200);
    assert_eq!(get("/readyz").await.status, 200);
    let metrics = get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = metrics.text();
    for line in [
        "frontrow_holds_total 1",
        "frontrow_sales_total 1",
        "frontrow_refunds_total 0",
        "frontrow_points_topped_up_total 100000",
        r#"frontrow_problems_total{code="token_invalid"} 1"#,
        r#"frontrow_room_tokens{room="0",status="active"} 0"#,
        r#"frontrow_room_tokens{room="0",status="dormant"} 0"#,
        r#"frontrow_room_cap{room="0"} 100"#,
        r#"frontrow_room_gate_open{room="0"} 1"#,
        r#"frontrow_server_up{server="sqlite"} 1"#,
        r#"frontrow_store_errors_total{kind="unavailable"} 0"#,
        r#"frontrow_http_requests_total{method="POST",route="/api/v1/payments",status="201"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let build = format!(r#"frontrow_build_info{{version="{}","#, env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&build), "{build} is not in\n{text}");
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains(buyer.secret()), "no secret is a label");
    server.close().await;
}

#[tokio::test]
async fn a_machine_whose_clock_is_wrong_is_said_and_the_line_moves_on() {
    let server = Server::start().await;
    let get = async |path: &str| server.anonymous().call_at(Method::GET, path).send().await;
    assert_eq!(get("/readyz").await.text(), "ready\n");
    server.buyer("first").await;
    server.clock.jump(Span::from_secs(-3_600));
    server.advance(1);
    let buyer = server.buyer("second").await;
    let token = buyer.enter(None).await;
    let ready = get("/readyz").await;
    assert_eq!(ready.status, 200);
    let said = ready.text();
    assert!(said.starts_with("ready, but this machine's clock is 3") && said.contains("seconds behind"), "{said}");
    let metrics = get("/metrics").await.text();
    let skew = metrics.lines().find_map(|line| line.strip_prefix(r#"frontrow_clock_skew_seconds{server="system"} "#));
    let skew: f64 = skew.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap();
    assert!((-3_600.0..=-3_590.0).contains(&skew), "{skew}");
    // Silence ends the turn although the machine's clock stands an hour before it.
    for _ in 0..130 {
        server.advance(1);
        get("/readyz").await;
    }
    buyer.wait_for(&token, "ended").await;
    server.close().await;
}

/// Every `$ref` in a document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(target) if name == "$ref" => found.push(target),
                    _ => references(member, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        _ => {}
    }
}

/// Whether a schema, or everything that it is made of, shows an example.
fn has_example(document: &Value, schema: &Value, depth: usize) -> bool {
    if depth == 0 || !schema["example"].is_null() || !schema["examples"].is_null() || schema["enum"].is_array() {
        return true;
    }
    if let Some(target) = schema["$ref"].as_str() {
        return has_example(document, document.pointer(&target[1..]).unwrap(), depth - 1);
    }
    if let Some(properties) = schema["properties"].as_object() {
        return properties.values().any(|property| has_example(document, property, depth - 1));
    }
    ["oneOf", "anyOf", "allOf"]
        .iter()
        .filter_map(|kind| schema[kind].as_array())
        .flatten()
        .chain([&schema["items"]])
        .any(|part| part.is_object() && has_example(document, part, depth - 1))
}

#[tokio::test]
async fn the_document_is_whole() {
    let server = Server::start().await;
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut targets = Vec::new();
    references(&document, &mut targets);
    assert!(targets.len() > 40);
    for target in targets {
        let pointer = target.strip_prefix('#').expect("every reference is to the document itself");
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    let mut ids = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{method} {path}");
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name} has no success");
            for (status, response) in responses {
                assert!(response["description"].is_string(), "{name} {status}");
                for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                    if status.as_str() >= "400" {
                        assert_eq!(media_type, "application/problem+json", "{name} {status}");
                        for (code, example) in content["examples"].as_object().unwrap() {
                            assert_eq!(example["value"]["code"], *code);
                            assert_eq!(example["value"]["status"].to_string(), *status, "{name} {code}");
                        }
                    } else {
                        assert!(has_example(&document, &content["schema"], 8), "{name} {status} shows no example");
                    }
                }
            }
            let public = operation["security"] == json!([]);
            assert_eq!(!public || path.ends_with("/sessions"), responses.contains_key("401"), "{name}");
            if let Some(body) = operation["requestBody"]["content"].get("application/json") {
                assert!(has_example(&document, &body["schema"], 8), "{name} has no example body");
                for status in ["400", "413", "415", "422"] {
                    assert!(responses.contains_key(status), "{name} does not list {status}");
                }
            }
            let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                assert!(parameters.iter().any(|known| known["name"] == part && known["in"] == "path"), "{name} {part}");
            }
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
    server.close().await;
}

#[tokio::test]
async fn every_documented_call_is_there() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    operator.top_up(PRICE).await;
    let token = operator.enter(None).await;
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    for (path, operations) in document["paths"].as_object().unwrap() {
        // The named rows exist, so that 404 would mean that the route itself is missing.
        let concrete = path
            .replace("{concert_id}", &hall.id().to_string())
            .replace("{token}", &token)
            .replace("{room_id}", "0")
            .replace("{reservation_id}", "x")
            .replace("{payment_id}", "x");
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "delete") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let call = operator.call_at(method.clone(), &concrete).token(&token);
            if path.ends_with("/events") {
                // Its answer does not end.
                assert!(call.events().await.next().await.is_some(), "{path}");
                continue;
            }
            let answer = if method == Method::GET { call.send().await } else { call.text("{}").send().await };
            // The house room has no draw and no report, and is no lane.
            let is_of_another = path.ends_with("/lane") || path.ends_with("/line-report");
            let missing = if is_of_another { "room" } else { "draw" };
            let is_not_there = answer.status == 404 && answer.json()["what"] == missing;
            assert!(is_not_there || ![404, 405, 500].contains(&answer.status), "{method} {path}: {}", answer.text());
        }
    }
    for path in ["/reservations/x", "/operator/reservations/x"] {
        operator.delete(path).await.problem(400, "invalid_field");
    }
    operator.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    operator.delete("/sessions/current").await.expect(204);
    server.close().await;
}

#[tokio::test]
async fn every_documented_code_has_an_explanation() {
    let server = Server::start().await;
    let all = server.anonymous().call_at(Method::GET, "/problems").send().await.expect(200);
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    let documented = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    assert_eq!(documented.len(), items(&all).len());
    for code in documented {
        assert!(items(&all).iter().any(|known| known["code"] == *code && known["explanation"].is_string()), "{code}");
    }
    server.anonymous().call_at(Method::GET, "/problems/no_such_code").send().await.problem(404, "not_found");
    server.close().await;
}
