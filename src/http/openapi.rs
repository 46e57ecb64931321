//! The `OpenAPI` document: made from the routes, completed with the errors that each of them can answer with.

use crate::http::problem::{
    MEDIA_TYPE,
    codes::{self, Definition},
};
use serde_json::{Value, json};
use utoipa::openapi::{Info, License, OpenApi, OpenApiBuilder};

/// Stands for `invalid_field` with status 400, in a path, a query or a header.
const BAD_PARAMETER: &str = "invalid_field in a parameter";
/// Codes that any call may be answered with.
const ALWAYS: &[&str] = &["internal", "overloaded", "unavailable"];
/// Codes of calls that need a session.
const WITH_SESSION: &[&str] = &["unauthorized"];
/// Codes of calls with a body.
const WITH_BODY: &[&str] =
    &["malformed_json", "invalid_field", "payload_too_large", "unsupported_media_type", "request_timeout"];
/// Codes of calls that change something and take an idempotency key.
const WITH_KEY: &[&str] = &[BAD_PARAMETER, "idempotency_key_reused", "outcome_unknown", "rate_limited"];
/// Codes of calls that need an active token.
const WITH_TOKEN: &[&str] =
    &["token_invalid", "token_of_another_room", "token_waiting", "token_not_activated", "token_missed", "token_ended"];

/// How a call is used, which says what else it can be answered with.
struct Call {
    id: &'static str,
    parts: &'static [&'static [&'static str]],
    codes: &'static [&'static str],
}

const fn call(id: &'static str, parts: &'static [&'static [&'static str]], codes: &'static [&'static str]) -> Call {
    Call { id, parts, codes }
}

/// Every call with the codes of its own.
const CALLS: &[Call] = &[
    call("register", &[WITH_BODY], &["email_taken", "rate_limited", "outcome_unknown"]),
    call("sign_in", &[WITH_BODY], &["unauthorized", "rate_limited", "outcome_unknown"]),
    call("sign_out", &[WITH_SESSION], &["rate_limited", "outcome_unknown"]),
    call("me", &[WITH_SESSION], &[]),
    call("issue_token", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["not_found", "sale_closed"]),
    call("my_tokens", &[WITH_SESSION], &[]),
    call("token", &[WITH_SESSION], &["not_found"]),
    call("position", &[], &["not_found"]),
    call("activate_token", &[WITH_SESSION, WITH_KEY], &["not_found", "turn_not_yet", "token_ended"]),
    call("leave_queue", &[WITH_SESSION], &["not_found", "rate_limited", "outcome_unknown"]),
    call("concerts", &[], &[BAD_PARAMETER]),
    call("concert", &[], &[BAD_PARAMETER, "not_found"]),
    call("seats", &[], &[BAD_PARAMETER, "not_found"]),
    call(
        "hold",
        &[WITH_SESSION, WITH_BODY, WITH_KEY, WITH_TOKEN],
        &[
            "not_found",
            "malformed",
            "several_concerts",
            "sale_not_open",
            "sale_closed",
            "seat_held",
            "seat_sold",
            "seat_blocked",
            "too_many_seats",
        ],
    ),
    call("reservations", &[WITH_SESSION], &[BAD_PARAMETER]),
    call("reservation", &[WITH_SESSION], &[BAD_PARAMETER, "not_found"]),
    call("cancel_reservation", &[WITH_SESSION, WITH_KEY], &["not_found", "hold_expired", "reservation_not_pending"]),
    call(
        "pay",
        &[WITH_SESSION, WITH_BODY, WITH_KEY, WITH_TOKEN],
        &[
            "not_found",
            "malformed",
            "several_concerts",
            "hold_expired",
            "reservation_not_pending",
            "insufficient_points",
            "sale_closed",
        ],
    ),
    call("payments", &[WITH_SESSION], &[BAD_PARAMETER]),
    call("payment", &[WITH_SESSION], &[BAD_PARAMETER, "not_found"]),
    call(
        "refund",
        &[WITH_SESSION, WITH_KEY],
        &["not_found", "already_refunded", "refund_too_late", "balance_too_large"],
    ),
    call("balance", &[WITH_SESSION], &[]),
    call("history", &[WITH_SESSION], &[BAD_PARAMETER]),
    call(
        "charge",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &[
            "charge_not_allowed",
            "not_found",
            "malformed",
            "amount_out_of_bounds",
            "balance_too_large",
            "reference_used",
        ],
    ),
    call("create_concert", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "malformed"]),
    call("update_concert", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "not_found", "malformed"]),
    call(
        "add_seats",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["forbidden", "not_found", "malformed", "seat_number_taken"],
    ),
    call("block_seats", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "not_found", "malformed", "seat_in_use"]),
    call("free_seats", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "not_found", "malformed", "seat_in_use"]),
    call("rooms", &[WITH_SESSION], &["forbidden"]),
    call("room", &[WITH_SESSION], &["forbidden", BAD_PARAMETER, "not_found"]),
    call("set_room", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "not_found", "malformed"]),
    call("find_users", &[WITH_SESSION], &["forbidden", BAD_PARAMETER]),
    call("find_reservations", &[WITH_SESSION], &["forbidden", BAD_PARAMETER]),
    call("find_payments", &[WITH_SESSION], &["forbidden", BAD_PARAMETER]),
    call(
        "cancel_for_user",
        &[WITH_SESSION, WITH_KEY],
        &["forbidden", "not_found", "hold_expired", "reservation_not_pending"],
    ),
    call(
        "refund_for_user",
        &[WITH_SESSION, WITH_KEY],
        &["forbidden", "not_found", "already_refunded", "balance_too_large"],
    ),
    call("audit", &[WITH_SESSION], &["forbidden", BAD_PARAMETER]),
];

/// The frame that the routes are put into.
pub(super) fn frame() -> OpenApi {
    let mut info = Info::new("Frontrow", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "A concert box office: a fair waiting line, seats that are never sold twice, and payment in one transaction. \
         Join the line, poll your place, activate your turn, hold a seat, pay. Times are RFC 3339 in UTC, money is \
         whole won. Errors are `application/problem+json` with a stable `code`. Calls that change something take an \
         `Idempotency-Key`: send the same key again after a time-out, and nothing happens twice."
            .to_owned(),
    );
    info.license = Some(License::new("MIT OR Apache-2.0"));
    OpenApiBuilder::new().info(info).build()
}

/// Completes the document made from the routes: errors, idempotency keys, sessions.
#[must_use]
pub(super) fn complete(from_routes: &OpenApi) -> Value {
    let mut document = serde_json::to_value(from_routes).unwrap_or_else(|_| json!({}));
    document["security"] = json!([{ "session": [] }]);
    document["components"]["securitySchemes"] = json!({
        "session": { "type": "http", "scheme": "bearer", "description": "The `session_token` of POST /sessions." }
    });
    document["components"]["schemas"]["Problem"] = problem_schema();
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return document };
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        for operation in item.values_mut() {
            complete_operation(operation);
        }
    }
    document
}

fn complete_operation(operation: &mut Value) {
    let Some(call) = operation["operationId"].as_str().and_then(|id| CALLS.iter().find(|call| call.id == id)) else {
        return;
    };
    if call.parts.contains(&WITH_KEY)
        && let Some(parameters) =
            operation.as_object_mut().map(|map| map.entry("parameters").or_insert_with(|| json!([])))
        && let Some(parameters) = parameters.as_array_mut()
    {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Chosen by the client before it sends, 16 to 255 visible ASCII characters. The same key \
                with the same request is answered as the first time, with `Idempotent-Replayed: true`.",
            "schema": { "type": "string", "minLength": 16, "maxLength": 255 },
            "example": "8e03978e-40d5-43e8-bc93-6894a57f9324"
        }));
    }
    let own = ALWAYS.iter().chain(call.parts.iter().copied().flatten()).chain(call.codes);
    let mut problems: Vec<_> = own.filter_map(|code| find(code)).collect();
    problems.sort_by_key(|(status, definition)| (*status, definition.code));
    problems.dedup_by_key(|(status, definition)| (*status, definition.code));
    for group in problems.chunk_by(|a, b| a.0 == b.0) {
        let Some((status, _)) = group.first() else { continue };
        let names: Vec<_> = group.iter().map(|(_, definition)| format!("`{}`", definition.code)).collect();
        let examples: serde_json::Map<_, _> = group
            .iter()
            .map(|(status, definition)| {
                let value = json!({
                    "type": format!("/problems/{}", definition.code), "title": definition.title,
                    "status": status, "code": definition.code, "detail": definition.explanation,
                    "request_id": "5f0e1c2d-00000000002a",
                });
                (definition.code.to_owned(), json!({ "summary": definition.title, "value": value }))
            })
            .collect();
        operation["responses"][status.to_string()] = json!({
            "description": names.join(", "),
            "content": { MEDIA_TYPE: {
                "schema": { "$ref": "#/components/schemas/Problem" },
                "examples": examples,
            } }
        });
    }
}

/// A status with its problem. A parameter that cannot be what it is has a field's code, and 400.
fn find(code: &str) -> Option<(u16, &'static Definition)> {
    match code {
        BAD_PARAMETER => Some((400, &codes::INVALID_FIELD)),
        code => codes::find(code).map(|definition| (definition.status, definition)),
    }
}

fn problem_schema() -> Value {
    let codes: Vec<_> = codes::ALL.iter().map(|definition| definition.code).collect();
    json!({
        "type": "object",
        "description": "An error (RFC 9457). Some codes bring members of their own, such as `balance` and `price`.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string", "description": "The code as a relative address.", "example": "/problems/seat_held" },
            "title": { "type": "string", "description": "What kind of problem it is." },
            "status": { "type": "integer", "description": "The HTTP status." },
            "code": { "type": "string", "enum": codes, "description": "Stable; switch on this." },
            "detail": { "type": "string", "description": "What is wrong in this case, for people." },
            "request_id": { "type": "string", "description": "Name it when you ask for help." },
            "field": { "type": "string", "description": "The field, parameter or header at fault." }
        },
        "additionalProperties": true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_code_is_defined() {
        for call in CALLS {
            for code in call.parts.iter().copied().flatten().chain(call.codes) {
                assert!(find(code).is_some(), "{}: {code}", call.id);
            }
        }
    }

    #[test]
    fn every_operation_lists_its_errors_and_every_list_is_an_operations() {
        let document = crate::http::api_document();
        let mut seen = Vec::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(CALLS.iter().any(|call| call.id == id), "{id} has no list of errors");
                assert!(operation["responses"]["500"].is_object(), "{id}");
                assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{id} has no summary");
                seen.push(id.to_owned());
            }
        }
        for call in CALLS {
            assert!(seen.iter().any(|id| id == call.id), "{} is no operation", call.id);
        }
    }

    #[test]
    fn every_field_has_a_description() {
        let document = crate::http::api_document();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let Some(properties) = schema["properties"].as_object() else { continue };
            for (field, property) in properties {
                let described =
                    property["description"].is_string() || property["$ref"].is_string() || property["oneOf"].is_array();
                assert!(described, "{name}.{field} has no description: {property}");
            }
        }
    }
}
