//! The headers of the answers.

use crate::edge::problem::codes::{self, Definition, RetryAfter};
use serde_json::{Map, Value, json};

/// Every header that an answer may have, by its name.
pub(super) fn definitions() -> Value {
    let is_waiting = |problem: &&&Definition| problem.status == 409 && problem.retry != RetryAfter::Never;
    let waiting: Vec<_> = codes::ALL.iter().filter(is_waiting).map(|problem| format!("`{}`", problem.code)).collect();
    json!({
        "X-Request-Id": {
            "description": "The request's id: the client's own, if it sent a good one. Name it when you ask for help.",
            "required": true,
            "schema": { "type": "string", "maxLength": 64 },
            "example": "9d3f6a0e-52c1-4b7a-8e44-1f0c6b9d2a35"
        },
        "Idempotent-Replayed": {
            "description": "`true` where this is the first answer to the same Idempotency-Key, given again.",
            "schema": { "type": "string", "enum": ["true"] },
            "example": "true"
        },
        "Retry-After": {
            "description": format!("After how many seconds it is worth asking again. With 409 it is there for {}, unless \
                the answer is a replay.", waiting.join(", ")),
            "schema": { "type": "integer", "minimum": 1, "maximum": 3600 },
            "example": 2
        },
        "WWW-Authenticate": {
            "description": "How to sign in: with a bearer token.",
            "required": true,
            "schema": { "type": "string", "enum": ["Bearer"] },
            "example": "Bearer"
        },
        "ETag": {
            "description": "Changes whenever the answer does. Send it as `If-None-Match`.",
            "required": true,
            "schema": { "type": "string" },
            "example": "\"5f0e1c2d-42\""
        },
        "Version": {
            "description": "Names the version of the settings: it changes with `updated_at`, and not with what is counted \
                beside them. Send it as `If-Match` with a change.",
            "required": true,
            "schema": { "type": "string" },
            "example": "\"1801443640250000\""
        }
    })
}

/// The properties of an answer that decide about its headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answering<'a> {
    /// The operation.
    pub(super) operation: &'a str,
    /// Whether it takes an idempotency key.
    pub(super) key: Key,
    /// The status.
    pub(super) status: &'a str,
    /// The problems with this status.
    pub(super) problems: &'a [&'static Definition],
}

/// Whether a call takes an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// It takes one.
    Taken,
    /// It does not.
    Ignored,
}

/// The answers that name the version of a room or a concert.
const VERSIONED: [(&str, &str); 6] = [
    ("room", "200"),
    ("set_room", "200"),
    ("concert_books", "200"),
    ("update_concert", "200"),
    ("cancel_concert", "200"),
    ("refund_concert", "202"),
];

/// The headers of an answer, as references to their definitions.
pub(super) fn of(answer: Answering<'_>) -> Value {
    let mut headers = Map::new();
    let mut add = |name: &str| {
        headers.insert(name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    };
    add("X-Request-Id");
    match answer.status {
        "202" | "429" | "503" => add("Retry-After"),
        "401" => add("WWW-Authenticate"),
        "409" if answer.problems.iter().any(|problem| problem.retry != RetryAfter::Never) => add("Retry-After"),
        _ => {}
    }
    let kept = match answer.status {
        "200" | "201" => true,
        _ => answer.problems.iter().any(|problem| problem.is_stored),
    };
    if answer.key == Key::Taken && kept {
        add("Idempotent-Replayed");
    }
    if ["concerts", "concert", "seats"].contains(&answer.operation) && ["200", "304"].contains(&answer.status) {
        add("ETag");
    }
    if VERSIONED.contains(&(answer.operation, answer.status)) {
        headers.insert("ETag".to_owned(), json!({ "$ref": "#/components/headers/Version" }));
    }
    Value::Object(headers)
}
