//! The `OpenAPI` document: made from the routes, completed with the errors that each of them can answer with, the
//! headers of the answers, and examples.

mod examples;
mod headers;
mod problems;

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
    call(
        "sign_in",
        &[WITH_BODY],
        &["unauthorized", "account_locked", "demo_account", "account_changed", "rate_limited", "outcome_unknown"],
    ),
    call("sign_out", &[WITH_SESSION], &["rate_limited", "outcome_unknown"]),
    call("sign_out_everywhere", &[WITH_SESSION], &["rate_limited", "outcome_unknown"]),
    call(
        "change_password",
        &[WITH_SESSION, WITH_BODY],
        &["wrong_password", "account_locked", "account_changed", "not_found", "rate_limited", "outcome_unknown"],
    ),
    call(
        "erase_me",
        &[WITH_SESSION, WITH_BODY],
        &[
            "wrong_password",
            "account_locked",
            "operator_account",
            "account_changed",
            "balance_left",
            "tickets_left",
            "not_found",
            "rate_limited",
            "outcome_unknown",
        ],
    ),
    call("reset_password", &[WITH_BODY], &["reset_link_invalid", "rate_limited", "outcome_unknown"]),
    call("me", &[WITH_SESSION], &[]),
    call(
        "issue_token",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["not_found", "sale_closed", "concert_postponed", "concert_cancelled"],
    ),
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
            "concert_postponed",
            "concert_cancelled",
            "seat_held",
            "seat_sold",
            "seat_blocked",
            "seat_cooling_down",
            "too_many_seats",
            "turn_time_over",
            "too_many_holds",
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
            "concert_postponed",
            "concert_cancelled",
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
    call(
        "update_concert",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["forbidden", "not_found", "malformed", "concert_cancelled"],
    ),
    call("concert_books", &[WITH_SESSION], &["forbidden", BAD_PARAMETER, "not_found"]),
    call("cancel_concert", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "not_found"]),
    call("refund_concert", &[WITH_SESSION, WITH_KEY], &["forbidden", "not_found", "concert_not_cancelled"]),
    call(
        "add_seats",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["forbidden", "not_found", "malformed", "seat_number_taken", "concert_cancelled"],
    ),
    call("block_seats", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "not_found", "malformed", "seat_in_use"]),
    call(
        "free_seats",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["forbidden", "not_found", "malformed", "seat_in_use", "concert_cancelled"],
    ),
    call("rooms", &[WITH_SESSION], &["forbidden"]),
    call("room", &[WITH_SESSION], &["forbidden", BAD_PARAMETER, "not_found"]),
    call("set_room", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["forbidden", "not_found", "malformed"]),
    call("find_users", &[WITH_SESSION], &["forbidden", BAD_PARAMETER]),
    call("lock_user", &[WITH_SESSION, WITH_KEY], &["forbidden", "operator_account", "not_found"]),
    call("unlock_user", &[WITH_SESSION, WITH_KEY], &["forbidden", "operator_account", "not_found"]),
    call(
        "issue_reset_link",
        &[WITH_SESSION],
        &["forbidden", "operator_account", "account_locked", BAD_PARAMETER, "not_found", "outcome_unknown"],
    ),
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
         `Idempotency-Key`: send the same key again after a time-out, and nothing happens twice. Registering, signing \
         in, signing out, what users do about their own account, reset links and leaving a line take none, because \
         they may be repeated as they are: leaving twice is leaving, signing in again gives another session, and \
         registering again is answered `email_taken`."
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
    document["components"]["schemas"]["Problem"] = problems::schema();
    document["components"]["headers"] = headers::definitions();
    document["tags"] = tags();
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return document };
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        for operation in item.values_mut() {
            complete_operation(operation);
        }
    }
    examples::complete(&mut document);
    document
}

/// The parts of the API, in the order in which a buyer meets them.
fn tags() -> Value {
    json!([
        { "name": "users", "description": "Register, sign in, sign out, change the password, erase the account." },
        { "name": "concerts", "description": "What is on sale, and the seat maps." },
        { "name": "queue", "description": "The waiting line: join, poll, activate, leave." },
        { "name": "reservations", "description": "Hold seats, and give them up." },
        { "name": "payments", "description": "Pay for what is held, and get it back." },
        { "name": "points", "description": "Balance, history, charges." },
        { "name": "operator", "description": "Run the sale: concerts, seats, rooms, accounts, search, the audit log." }
    ])
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
                let value = problems::example(*status, definition);
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
    if ["hold", "pay"].contains(&call.id) {
        one_or_list(&mut operation["responses"]["201"]["content"]["application/json"]["schema"]);
    }
    let key = if call.parts.contains(&WITH_KEY) { headers::Key::Taken } else { headers::Key::Ignored };
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let group = problems.iter().filter(|problem| problem.0.to_string() == *status);
        let codes: Vec<_> = group.map(|(_, definition)| definition.code).collect();
        let answering = headers::Answering { operation: call.id, key, status, codes: &codes };
        response["headers"] = headers::of(answering);
    }
}

/// The answer is the row itself where one was asked for by itself, else the list of them.
fn one_or_list(schema: &mut Value) {
    let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) else { return };
    *schema = json!({ "oneOf": [
        { "$ref": format!("#/components/schemas/{name}") },
        { "$ref": format!("#/components/schemas/List_{name}") },
    ] });
}

/// A status with its problem. A parameter that cannot be what it is has a field's code, and 400.
fn find(code: &str) -> Option<(u16, &'static Definition)> {
    match code {
        BAD_PARAMETER => Some((400, &codes::INVALID_FIELD)),
        code => codes::find(code).map(|definition| (definition.status, definition)),
    }
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

    /// Calls `visit` with every object of the document and the way to it, but for what stands inside of examples.
    fn walk(node: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        match node {
            Value::Object(map) => {
                visit(path, node);
                for (name, inner) in map.iter().filter(|(name, _)| !["example", "examples"].contains(&name.as_str())) {
                    walk(inner, &format!("{path}/{name}"), visit);
                }
            }
            Value::Array(nodes) => {
                for inner in nodes {
                    walk(inner, path, visit);
                }
            }
            _ => {}
        }
    }

    fn has_null(example: &Value) -> bool {
        match example {
            Value::Null => true,
            Value::Array(items) => items.iter().any(has_null),
            Value::Object(members) => members.values().any(has_null),
            _ => false,
        }
    }

    #[test]
    fn every_field_and_parameter_has_a_description_and_a_real_example() {
        let document = crate::http::api_document();
        let mut fields = 0;
        walk(&document, "", &mut |path, node| {
            for (field, property) in node["properties"].as_object().into_iter().flatten() {
                fields += 1;
                assert!(property["description"].is_string(), "{path}.{field} has no description: {property}");
                assert!(!has_null(&property["example"]), "{path}.{field} has no example: {property}");
            }
            for parameter in node["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{path} has no description: {parameter}");
                assert!(!has_null(&parameter["example"]), "{path} has no example: {parameter}");
            }
        });
        assert!(fields > 100);
    }

    #[test]
    fn every_body_has_an_example_and_every_answer_its_headers() {
        let document = crate::http::api_document();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = &operation["operationId"];
                let responses = operation["responses"].as_object().unwrap();
                for (status, answer) in responses.iter().chain([(&"body".to_owned(), &operation["requestBody"])]) {
                    for media in answer["content"].as_object().into_iter().flat_map(|content| content.values()) {
                        let several = media["examples"].as_object().is_some_and(|examples| !examples.is_empty());
                        assert!(several || !has_null(&media["example"]), "{id} {status}: {media}");
                    }
                }
                let names = |status: &str| -> Vec<_> {
                    responses[status]["headers"].as_object().unwrap().keys().map(String::as_str).collect()
                };
                for status in responses.keys() {
                    assert!(names(status).contains(&"X-Request-Id"), "{id} {status}");
                    if ["202", "429", "503"].contains(&status.as_str()) {
                        assert!(names(status).contains(&"Retry-After"), "{id} {status}");
                    }
                    if status == "401" {
                        assert!(names(status).contains(&"WWW-Authenticate"), "{id}");
                    }
                }
                match id.as_str().unwrap() {
                    "seats" => assert!(names("200").contains(&"ETag") && names("304").contains(&"ETag")),
                    "hold" => {
                        assert!(names("409").contains(&"Retry-After"));
                        assert!(names("201").contains(&"Idempotent-Replayed"));
                        assert!(names("409").contains(&"Idempotent-Replayed"));
                    }
                    "pay" => assert!(!names("409").contains(&"Retry-After")),
                    "register" => assert!(!names("201").contains(&"Idempotent-Replayed")),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = crate::http::api_document();
        walk(&document, "", &mut |path, node| {
            if let Some(reference) = node["$ref"].as_str() {
                let target = document.pointer(reference.trim_start_matches('#'));
                assert!(target.is_some_and(Value::is_object), "{path}: {reference}");
            }
        });
    }

    #[test]
    fn hold_and_pay_answer_with_one_or_a_list() {
        let document = crate::http::api_document();
        for (path, one) in [("/api/v1/reservations", "Reservation"), ("/api/v1/payments", "Payment")] {
            let media = &document["paths"][path]["post"]["responses"]["201"]["content"]["application/json"];
            let shapes = media["schema"]["oneOf"].as_array().unwrap();
            assert!(media["examples"]["one"]["value"]["status"].is_string(), "{path}");
            assert!(media["examples"]["several"]["value"]["items"][0]["status"].is_string(), "{path}");
            let names: Vec<_> = shapes.iter().map(|shape| shape["$ref"].as_str().unwrap().to_owned()).collect();
            assert_eq!(
                names,
                [format!("#/components/schemas/{one}"), format!("#/components/schemas/List_{one}")],
                "{path}"
            );
        }
        let joining = &document["paths"]["/api/v1/queue/tokens"]["post"]["requestBody"]["content"]["application/json"];
        assert_eq!(joining["example"], json!({ "concert_id": 1 }), "a body that may be left out is one shape");
        let shapes = document["components"]["schemas"]["SeatMap"]["oneOf"].as_array().unwrap();
        assert_eq!(shapes.len(), 2, "a seat map has two forms");
    }

    #[test]
    fn what_a_refusal_brings_is_in_the_schema_and_in_the_example_of_its_code() {
        let document = crate::http::api_document();
        let known = document["components"]["schemas"]["Problem"]["properties"].as_object().unwrap();
        for (status, refusal) in crate::http::problem::tests::refusals() {
            let example = problems::example(status, codes::find(refusal.code()).unwrap());
            for member in serde_json::to_value(&refusal).unwrap().as_object().unwrap().keys() {
                assert!(known.contains_key(member), "{}: {member}", refusal.code());
                assert!(!example[member].is_null(), "{}: {member}: {example}", refusal.code());
            }
        }
    }
}
