//! The texts of refusals.

use frontrow_testkit::Server;
use reqwest::Method;
use serde_json::json;

/// Words of parsers and their types, none of which is a client's business.
const PARSERS_WORDS: [&str; 16] = [
    "expected",
    "invalid type",
    "invalid value",
    "unknown variant",
    "unknown field",
    "missing field",
    "duplicate field",
    "line 1 column",
    "jiff",
    "serde",
    "struct",
    "i64",
    "u32",
    "visitor",
    "UUID parsing",
    "in string",
];

#[tokio::test]
async fn a_refusal_says_what_is_wrong_in_the_apis_own_words() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let concert = format!("/operator{}", hall.path());
    let mut answers = Vec::new();
    let wrong = [
        "",
        "{",
        "{\"",
        "nonsense",
        "[]",
        "7",
        "null",
        "{} {}",
        "{\"x\": 1}",
        "{\"amount\": 1e400}",
        "{\"amount\": \"5\"}",
        "{\"amount\": 5.5}",
        "{\"amount\": 5, \"amount\": 6}",
        "{\"amount\": 5, \"user_id\": \"me\"}",
        "{\"amount\": 5, \"user_id\": 7}",
        "{\"seat_id\": \"1\"}",
        "{\"seat_ids\": {}}",
        "{\"seat_ids\": [1, null]}",
        "{\"concert_id\": -1}",
        "{\"gate\": \"ajar\"}",
        "{\"gate\": 7}",
        "{\"max_active\": 1.5}",
        "{\"status\": \"soon\"}",
        "{\"opens_at\": \"soon\"}",
        "{\"opens_at\": 7}",
        "{\"start_time\": \"20:00:00Z\"}",
        "{\"concert_date\": 20270301}",
        "{\"fold\": true}",
        "{\"range\": {\"from\": 1}}",
        "{\"range\": [1, 2]}",
        "{\"range\": {\"from\": 1, \"to\": 2}, \"seats\": []}",
        "{\"seats\": [7]}",
        "{\"reason\": []}",
    ];
    for (method, path) in [
        (Method::POST, "/points/top-ups".to_owned()),
        (Method::POST, "/queue/tokens".to_owned()),
        (Method::POST, "/operator/concerts".to_owned()),
        (Method::PATCH, concert.clone()),
        (Method::POST, format!("{concert}/seats")),
        (Method::POST, format!("{concert}/cancel")),
        (Method::PATCH, "/operator/rooms/0".to_owned()),
        (Method::POST, "/operator/seats/block".to_owned()),
        (Method::POST, "/users".to_owned()),
    ] {
        for body in wrong {
            answers.push((format!("{path} {body}"), operator.call(method.clone(), &path).text(body).send().await));
        }
    }
    for query in [
        "limit=x",
        "limit=-1",
        "limit=99999999999",
        "cursor=%25",
        "user_id=me",
        "concert_id=x",
        "status=soon",
        "status=%ff",
        "x=1",
        "limit=1&limit=2",
    ] {
        for path in ["/operator/payments", "/operator/reservations", "/concerts", "/operator/users"] {
            answers.push((format!("{path}?{query}"), operator.get(&format!("{path}?{query}")).await));
        }
    }
    for (asked, answer) in answers.into_iter().filter(|(_, answer)| answer.status >= 400) {
        assert!([400, 422].contains(&answer.status), "{asked}: {}", answer.text());
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        let word = PARSERS_WORDS.iter().find(|word| detail.contains(*word));
        assert!(word.is_none(), "{asked}: {detail}");
    }
    let gate = operator.patch("/operator/rooms/0", &json!({ "gate": "ajar" })).await;
    assert!(gate.json()["detail"].as_str().unwrap().contains("open, paused"), "{}", gate.text());
    server.close().await;
}
