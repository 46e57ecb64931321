//! The `OpenAPI` document: generated from the routes, completed with each route's errors, the headers of the answers,
//! and examples.

mod examples;
mod headers;
mod problems;

use crate::edge::problem::{
    MEDIA_TYPE,
    codes::{self, Definition},
};
use frontrow_domain::{
    policy::SEATS_PER_OPERATOR_COMMAND_MAX,
    text::{LABEL_PATTERN, TEXT_PATTERN},
};
use frontrow_service::office::DemoAccounts;
use serde_json::{Value, json};
use utoipa::openapi::{Info, LicenseBuilder, OpenApi, OpenApiBuilder, Server};

/// Stands for `invalid_field` with status 400, in a path, a query or a header.
const BAD_PARAMETER: &str = "invalid_field in a parameter";
/// Codes of every call: any query may have an unknown field.
const ALWAYS: &[&str] = &[BAD_PARAMETER, "internal", "overloaded", "unavailable"];
/// Codes of calls that need a session; the service key is not one.
const WITH_SESSION: &[&str] = &["unauthorized", "forbidden"];
/// Codes of calls that take a session or the service key.
const WITH_SESSION_OR_KEY: &[&str] = &["unauthorized"];
/// Codes of calls with a body.
const WITH_BODY: &[&str] =
    &["malformed_json", "invalid_field", "payload_too_large", "unsupported_media_type", "request_timeout"];
/// Codes of calls that change something and take an idempotency key.
const WITH_KEY: &[&str] = &["idempotency_key_reused", "outcome_unknown", "rate_limited"];
/// Codes of calls that need an active token.
const WITH_TOKEN: &[&str] =
    &["token_invalid", "token_of_another_room", "token_waiting", "token_not_activated", "token_missed", "token_ended"];

/// An idempotency key, bare or as a quoted string.
const KEY_PATTERN: &str = r#"^([!#-~]{16,255}|"([!#-\[\]-~]|\\["\\]){16,255}")$"#;

/// A call's groups of codes, and codes of its own.
struct Call {
    id: &'static str,
    parts: &'static [&'static [&'static str]],
    codes: &'static [&'static str],
}

const fn call(id: &'static str, parts: &'static [&'static [&'static str]], codes: &'static [&'static str]) -> Call {
    Call { id, parts, codes }
}

/// Every call with its codes.
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
            "debt_left",
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
    call("concerts", &[], &[]),
    call("concert", &[], &["not_found"]),
    call("seats", &[], &["not_found"]),
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
            "seat_held_by_you",
            "seat_sold",
            "seat_blocked",
            "seat_cooling_down",
            "too_many_seats",
            "turn_time_over",
            "too_many_holds",
        ],
    ),
    call("reservations", &[WITH_SESSION], &[]),
    call("reservation", &[WITH_SESSION], &["not_found"]),
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
    call("payments", &[WITH_SESSION], &[]),
    call("payment", &[WITH_SESSION], &["not_found"]),
    call(
        "refund",
        &[WITH_SESSION, WITH_KEY],
        &["not_found", "already_refunded", "refund_too_late", "balance_too_large"],
    ),
    call("balance", &[WITH_SESSION], &[]),
    call("history", &[WITH_SESSION], &[]),
    call(
        "top_up",
        &[WITH_SESSION_OR_KEY, WITH_BODY, WITH_KEY],
        &[
            "top_up_not_allowed",
            "not_found",
            "malformed",
            "amount_out_of_bounds",
            "balance_too_large",
            "reference_used",
        ],
    ),
    call("create_concert", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["malformed"]),
    call(
        "update_concert",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["not_found", "malformed", "concert_cancelled", "sale_opened"],
    ),
    call("concert_books", &[WITH_SESSION], &["not_found"]),
    call("cancel_concert", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["not_found"]),
    call("refund_concert", &[WITH_SESSION, WITH_KEY], &["not_found", "concert_not_cancelled"]),
    call(
        "add_seats",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["not_found", "malformed", "seat_number_taken", "concert_cancelled"],
    ),
    call(
        "change_seats",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["not_found", "malformed", "seat_in_use", "seat_number_taken", "concert_cancelled"],
    ),
    call(
        "remove_seats",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["not_found", "malformed", "seat_in_use", "seat_has_history", "concert_cancelled"],
    ),
    call("block_seats", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["not_found", "malformed", "seat_in_use"]),
    call(
        "free_seats",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["not_found", "malformed", "seat_in_use", "concert_cancelled"],
    ),
    call("rooms", &[WITH_SESSION], &[]),
    call("room", &[WITH_SESSION], &["not_found"]),
    call("set_room", &[WITH_SESSION, WITH_BODY, WITH_KEY], &["not_found", "malformed"]),
    call("user_books", &[WITH_SESSION], &["not_found"]),
    call("user_history", &[WITH_SESSION], &["not_found"]),
    call(
        "adjust",
        &[WITH_SESSION_OR_KEY, WITH_BODY, WITH_KEY],
        &["forbidden", "not_found", "malformed", "amount_out_of_bounds", "balance_too_large", "reference_used"],
    ),
    call("find_debts", &[WITH_SESSION], &[]),
    call(
        "settle_debt",
        &[WITH_SESSION, WITH_BODY, WITH_KEY],
        &["not_found", "malformed", "balance_too_low", "debt_settled"],
    ),
    call("door_list", &[WITH_SESSION], &["not_found"]),
    call("find_users", &[WITH_SESSION], &[]),
    call("lock_user", &[WITH_SESSION, WITH_KEY], &["operator_account", "not_found"]),
    call("unlock_user", &[WITH_SESSION, WITH_KEY], &["operator_account", "not_found"]),
    call("issue_reset_link", &[WITH_SESSION], &["operator_account", "account_locked", "not_found", "outcome_unknown"]),
    call("find_reservations", &[WITH_SESSION], &[]),
    call("find_payments", &[WITH_SESSION], &[]),
    call("cancel_for_user", &[WITH_SESSION, WITH_KEY], &["not_found", "hold_expired", "reservation_not_pending"]),
    call("refund_for_user", &[WITH_SESSION, WITH_KEY], &["not_found", "already_refunded", "balance_too_large"]),
    call("audit", &[WITH_SESSION], &[]),
];

/// The document without routes.
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
    info.license = Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build());
    OpenApiBuilder::new().info(info).servers(Some([Server::new("/")])).build()
}

/// Completes the document generated from the routes: errors, idempotency keys, sessions. In a demo's document, the
/// examples sign in with a demo account.
#[must_use]
pub(super) fn complete(from_routes: &OpenApi, accounts: DemoAccounts) -> Value {
    let mut document = serde_json::to_value(from_routes).unwrap_or_else(|_| json!({}));
    document["security"] = json!([{ "session": [] }]);
    document["components"]["securitySchemes"] = json!({
        "session": { "type": "http", "scheme": "bearer", "description": "The `session_token` of POST /sessions." },
        "service_key": { "type": "http", "scheme": "bearer",
            "description": "The service key of the box office, for programs that top_up points. All other calls refuse it \
                with `forbidden`." }
    });
    document["components"]["schemas"]["Problem"] = problems::schema();
    document["components"]["headers"] = headers::definitions();
    document["tags"] = tags();
    complete_schemas(&mut document);
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return document };
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        for operation in item.values_mut() {
            complete_operation(operation);
        }
    }
    examples::complete(&mut document, accounts);
    document
}

/// Adds what the program's types cannot express to the schemas.
fn complete_schemas(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    let names: Vec<_> = schemas.keys().cloned().collect();
    for name in names {
        // A list refers to its row's schema instead of a copy of it.
        if let Some(row) = name.strip_prefix("List_").filter(|row| schemas.contains_key(*row)) {
            let items = json!({ "$ref": format!("#/components/schemas/{row}") });
            schemas[&name]["properties"]["items"]["items"] = items;
        }
    }
    // The cursors of these lists are not numbers.
    for (list, format) in [("List_ListedConcert", "cursor-of-concerts"), ("List_User", "cursor-of-users")] {
        if let Some(next) = schemas.get_mut(list).map(|list| &mut list["properties"]["next_cursor"]) {
            next["format"] = json!(format);
        }
    }
    for name in EITHER_FIELD {
        if let Some(schema) = schemas.get_mut(*name) {
            either_field(schema);
        }
    }
    for shape in schemas.get_mut("SeatsDraft").and_then(|draft| draft["oneOf"].as_array_mut()).into_iter().flatten() {
        shape["additionalProperties"] = json!(false);
        if shape["properties"]["seats"].is_object() {
            shape["properties"]["seats"]["minItems"] = json!(1);
            shape["properties"]["seats"]["maxItems"] = json!(SEATS_PER_OPERATOR_COMMAND_MAX);
        }
    }
    // The seats, and at least one change.
    if let Some(patch) = schemas.get_mut("SeatPatch") {
        patch["minProperties"] = json!(2);
    }
    // Cancelling is a call of its own, and a concert becomes `over` by itself.
    if let Some(status) = schemas.get_mut("ConcertPatch").map(|patch| &mut patch["properties"]["status"]) {
        let description = not_null(status.take())["description"].take();
        *status = json!({ "type": ["string", "null"], "enum": ["scheduled", "closed", "postponed", null],
            "description": description });
    }
    name_formats(document);
}

/// Bodies that have exactly one of their fields.
const EITHER_FIELD: &[&str] = &["HoldRequest", "PaymentRequest"];

/// Turns an object with optional fields into one that has exactly one of them.
fn either_field(schema: &mut Value) {
    let description = schema["description"].take();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    let shapes: Vec<_> = fields
        .into_iter()
        .map(|(name, field)| {
            json!({ "type": "object", "required": [name], "additionalProperties": false,
                "properties": { name: not_null(field) } })
        })
        .collect();
    *schema = json!({ "description": description, "oneOf": shapes });
}

/// The schema of a nullable field, without null.
fn not_null(mut field: Value) -> Value {
    if let Some(kinds) = field["type"].as_array() {
        field["type"] = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
    }
    let other = field["oneOf"].as_array().and_then(|shapes| shapes.iter().find(|shape| shape["type"] != "null"));
    other.cloned().unwrap_or(field)
}

/// Adds patterns to the program's own formats, and `uniqueItems` to lists of ids.
fn name_formats(node: &mut Value) {
    if let Value::Array(nodes) = node {
        nodes.iter_mut().for_each(name_formats);
    }
    let Value::Object(map) = node else { return };
    for (name, inner) in map.iter_mut().filter(|(name, _)| !["example", "examples"].contains(&name.as_str())) {
        if ["seat_ids", "reservation_ids"].contains(&name.as_str()) && inner["items"].is_object() {
            inner["uniqueItems"] = json!(true);
        }
        name_formats(inner);
    }
    let pattern = match map.get("format").and_then(Value::as_str) {
        Some("text") => TEXT_PATTERN,
        Some("label") => LABEL_PATTERN,
        Some("time-local") => "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
        Some("time-zone") => "^[A-Za-z][A-Za-z0-9_+/-]*$",
        Some("cursor" | "cursor-of-concerts" | "cursor-of-users") => "^[A-Za-z0-9_-]{2,48}$",
        _ => return,
    };
    map.insert("pattern".to_owned(), json!(pattern));
    // These two formats are known to this program only.
    if let Some("text" | "label") = map.get("format").and_then(Value::as_str) {
        map.remove("format");
    }
}

/// The parts of the API, in the order in which a buyer meets them.
fn tags() -> Value {
    json!([
        { "name": "users", "description": "Register, sign in, sign out, change the password, erase the account." },
        { "name": "concerts", "description": "What is on sale, and the seat maps." },
        { "name": "queue", "description": "The waiting line: join, poll, activate, leave." },
        { "name": "reservations", "description": "Hold seats, and give them up." },
        { "name": "payments", "description": "Pay for what is held, and get it back." },
        { "name": "points", "description": "Balance, history, top-ups." },
        { "name": "operator", "description": "Run the sale: concerts, seats, rooms, accounts, search, the audit log." }
    ])
}

fn complete_operation(operation: &mut Value) {
    let Some(call) = operation["operationId"].as_str().and_then(|id| CALLS.iter().find(|call| call.id == id)) else {
        return;
    };
    if operation["security"] == json!([{}]) {
        operation["security"] = json!([]);
    }
    // A summary is a heading, so it has no full stop.
    if let Some(summary) = operation["summary"].as_str().map(|summary| summary.trim_end_matches('.').to_owned()) {
        operation["summary"] = json!(summary);
    }
    if call.parts.contains(&WITH_KEY)
        && let Some(parameters) =
            operation.as_object_mut().map(|map| map.entry("parameters").or_insert_with(|| json!([])))
        && let Some(parameters) = parameters.as_array_mut()
    {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Chosen by the client before it sends, 16 to 255 visible ASCII characters, bare or in \
                double quotes. The same key \
                with the same request is answered as the first time, with `Idempotent-Replayed: true`.",
            "schema": { "type": "string", "minLength": 16, "maxLength": 512, "pattern": KEY_PATTERN },
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

/// The row itself if one was requested by itself, else the list of them.
fn one_or_list(schema: &mut Value) {
    let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) else { return };
    *schema = json!({ "oneOf": [
        { "$ref": format!("#/components/schemas/{name}") },
        { "$ref": format!("#/components/schemas/List_{name}") },
    ] });
}

/// A code's status and problem. An invalid parameter has the code of an invalid field, but status 400.
fn find(code: &str) -> Option<(u16, &'static Definition)> {
    match code {
        BAD_PARAMETER => Some((400, &codes::INVALID_FIELD)),
        code => codes::find(code).map(|definition| (definition.status, definition)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

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
        let document = crate::api::document(DemoAccounts::Refused);
        let mut seen = Vec::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(CALLS.iter().any(|call| call.id == id), "{id} has no list of errors");
                assert!(operation["responses"]["500"].is_object(), "{id}");
                let summary = operation["summary"].as_str().unwrap();
                assert!(!summary.contains('\n') && (3..=60).contains(&summary.len()), "{id}: {summary}");
                let description = operation["description"].as_str().unwrap_or_default();
                assert!(!description.trim().is_empty() && description != summary, "{id} has no description");
                seen.push(id.to_owned());
            }
        }
        for call in CALLS {
            assert!(seen.iter().any(|id| id == call.id), "{} is no operation", call.id);
        }
    }

    /// Calls `visit` with every object of the document and its path, except inside examples.
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

    /// The reason why an example does not match a schema.
    fn misfit(schema: &Value, example: &Value, document: &Value) -> Option<String> {
        let said = |reason: &str| Some(format!("{reason}: {example} for {schema}"));
        if let Some(target) = schema["$ref"].as_str() {
            return misfit(document.pointer(target.trim_start_matches('#')).unwrap(), example, document);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            if let Some(reason) = misfit(part, example, document) {
                return Some(reason);
            }
        }
        let shapes = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        if shapes
            .is_some_and(|shapes| shapes.iter().filter(|one| misfit(one, example, document).is_none()).count() != 1)
        {
            return said("not of one of its shapes");
        }
        if schema["enum"].as_array().is_some_and(|values| !values.contains(example)) {
            return said("not one of its values");
        }
        let kind = match example {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_kind = match &schema["type"] {
            Value::Null => true,
            Value::Array(kinds) => kinds.iter().any(|one| one == kind),
            one => one == kind,
        };
        if !is_kind {
            return said("of another type");
        }
        match example {
            Value::Number(number) => {
                let number = number.as_i64().unwrap();
                let below = schema["minimum"].as_i64().is_some_and(|least| number < least);
                let above = schema["maximum"].as_i64().is_some_and(|most| number > most);
                (below || above).then(|| said("out of bounds")).flatten()
            }
            Value::String(text) => {
                let len = text.chars().count() as u64;
                let short = schema["minLength"].as_u64().is_some_and(|least| len < least);
                let long = schema["maxLength"].as_u64().is_some_and(|most| len > most);
                let pattern = schema["pattern"].as_str().map(|pattern| regex::Regex::new(pattern).unwrap());
                let other = pattern.is_some_and(|pattern| !pattern.is_match(text));
                (short || long || other).then(|| said("not such a text")).flatten()
            }
            Value::Array(items) => {
                let few = schema["minItems"].as_u64().is_some_and(|least| (items.len() as u64) < least);
                let many = schema["maxItems"].as_u64().is_some_and(|most| items.len() as u64 > most);
                let twice = schema["uniqueItems"] == true
                    && items.iter().any(|one| items.iter().filter(|other| *other == one).count() > 1);
                let wrong = items.iter().find_map(|item| misfit(&schema["items"], item, document));
                wrong.or_else(|| (few || many || twice).then(|| said("not such a list")).flatten())
            }
            Value::Object(members) => {
                let has = |name: &Value| members.contains_key(name.as_str().unwrap());
                if !schema["required"].as_array().into_iter().flatten().all(has) {
                    return said("incomplete");
                }
                let known = schema["properties"].as_object();
                members.iter().find_map(|(name, value)| match known.and_then(|known| known.get(name)) {
                    Some(property) => misfit(property, value, document),
                    None if schema["additionalProperties"] == false => said("a member too many"),
                    None => None,
                })
            }
            Value::Null | Value::Bool(_) => None,
        }
    }

    /// Calls `visit` with every schema of the document that has an example, and the example.
    fn examples(node: &Value, visit: &mut impl FnMut(&Value, &Value)) {
        walk(node, "", &mut |_, node| {
            let schema = if node["schema"].is_object() { &node["schema"] } else { node };
            if !node["example"].is_null() {
                visit(schema, &node["example"]);
            }
            for example in node["examples"].as_object().into_iter().flatten() {
                visit(schema, &example.1["value"]);
            }
        });
    }

    #[test]
    fn every_example_is_of_its_schema() {
        for accounts in [DemoAccounts::Refused, DemoAccounts::Open] {
            let document = crate::api::document(accounts);
            let mut count = 0;
            examples(&document, &mut |schema, example| {
                count += 1;
                assert_eq!(misfit(schema, example, &document), None);
            });
            assert!(count > 500, "{count}");
        }
    }

    fn objects(example: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
        match example {
            Value::Array(items) => items.iter().for_each(|item| objects(item, visit)),
            Value::Object(members) => {
                visit(members);
                members.values().for_each(|member| objects(member, visit));
            }
            _ => {}
        }
    }

    #[test]
    fn every_example_is_a_state_that_can_be() {
        let document = crate::api::document(DemoAccounts::Refused);
        let mut kinds = std::collections::BTreeMap::new();
        let mut check = |example: &Map<String, Value>| {
            let has = |name: &str| example.contains_key(name);
            let is = |name: &str| example.get(name).is_some_and(|value| !value.is_null());
            let one_of = |name: &str, values: &[&str]| values.iter().any(|value| example[name] == *value);
            let said = Value::Object(example.clone());
            let mut seen = |kind: &'static str| *kinds.entry(kind).or_insert(0) += 1;
            if has("issued_at") {
                seen("token");
                assert_eq!(is("deadline"), one_of("status", &["offered", "dormant", "missed", "active"]), "{said}");
                assert_eq!(is("expired_at"), one_of("status", &["ended"]), "{said}");
                assert_eq!(is("end_reason"), is("expired_at"), "{said}");
                assert!(is("activated_at") || !one_of("status", &["active"]), "{said}");
                for same in ["status", "position", "deadline"] {
                    assert_eq!(example[same], example["queue"][same], "{said}");
                }
                let room = if is("concert_id") { example["concert_id"].clone() } else { json!(0) };
                assert_eq!(example["room_id"], room, "{said}");
            }
            if has("poll_after_ms") {
                assert!(!is("end_reason") || one_of("status", &["ended"]), "{said}");
            }
            if has("known") {
                seen("wait");
                assert_eq!(example["known"] == true, is("p50_seconds") && is("p90_seconds"), "{said}");
                assert_eq!(example["known"] == true, !is("reason"), "{said}");
            }
            if has("expires_at") && has("seat_id") {
                seen("reservation");
                assert!(example["created_at"].as_str() < example["expires_at"].as_str(), "{said}");
                assert_eq!(is("confirmed_at"), one_of("status", &["confirmed", "refunded"]), "{said}");
                assert_eq!(is("closed_at"), one_of("status", &["cancelled", "expired", "refunded"]), "{said}");
            }
            if has("paid_at") && has("amount") {
                seen("payment");
                assert_eq!(is("refunded_at"), one_of("status", &["refunded"]), "{said}");
            }
            if has("history_id") {
                seen("entry");
                assert_eq!(is("payment_id"), one_of("type", &["use", "refund"]), "{said}");
                assert_eq!(example["amount"].as_i64() < Some(0), one_of("type", &["use"]), "{said}");
                assert!(example["amount"].as_i64() <= example["balance_after"].as_i64(), "{said}");
            }
            if has("starts_at") && has("closing") {
                seen("concert");
                for (earlier, later) in [("opens_at", "closes_at"), ("starts_at", "ends_at")] {
                    assert!(example[earlier].as_str() < example[later].as_str(), "{said}");
                }
                let with_start = example["closes_at"] == example["starts_at"];
                assert_eq!(with_start, one_of("closing", &["with_start"]), "{said}");
                assert!(!is("refund_all_at") && !is("wound_up_at") || one_of("status", &["cancelled"]), "{said}");
            }
            if has("states") {
                seen("block");
                let is_either = example["first_number"].is_number() != example.get("numbers").is_some();
                assert!(is_either && !example["states"].as_str().unwrap().is_empty(), "{said}");
            }
            if has("highest") {
                seen("room");
                assert!(example["active"].as_i64() <= example["max_active"].as_i64(), "{said}");
                let beyond = example["highest"].as_i64().unwrap() - example["cursor"].as_i64().unwrap();
                assert!(example["waiting"].as_i64() <= Some(beyond), "{said}");
            }
        };
        examples(&document, &mut |_, example| objects(example, &mut check));
        let kinds: Vec<_> = kinds.into_keys().collect();
        assert_eq!(kinds, ["block", "concert", "entry", "payment", "reservation", "room", "token", "wait"]);
    }

    #[test]
    fn a_list_is_of_rows_that_have_a_name() {
        let document = crate::api::document(DemoAccounts::Refused);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let lists: Vec<_> = schemas.iter().filter(|(name, _)| name.starts_with("List_")).collect();
        assert!(lists.len() >= 8);
        for (name, list) in lists {
            let row = list["properties"]["items"]["items"]["$ref"].as_str();
            assert_eq!(row, Some(&*format!("#/components/schemas/{}", &name["List_".len()..])), "{name}");
        }
    }

    #[test]
    fn what_a_schema_takes_is_what_the_server_takes() {
        let document = crate::api::document(DemoAccounts::Refused);
        let schemas = &document["components"]["schemas"];
        let fits = |name: &str, value: &Value| misfit(&schemas[name], value, &document).is_none();
        for good in [json!({ "seat_id": 40 }), json!({ "seat_ids": [40, 8] })] {
            assert!(fits("HoldRequest", &good), "{good}");
        }
        for bad in [json!({}), json!({ "seat_id": 40, "seat_ids": [8] }), json!({ "seat_ids": [] })] {
            assert!(!fits("HoldRequest", &bad), "{bad}");
        }
        assert!(!fits("PaymentRequest", &json!({ "reservation_id": 1, "reservation_ids": [2] })));
        assert!(fits("SeatsDraft", &json!({ "seats": [{ "seat_number": 1 }] })));
        for bad in [json!({ "seats": [] }), json!({ "range": { "from": 1, "to": 2 }, "rows": 3 })] {
            assert!(!fits("SeatsDraft", &bad), "{bad}");
        }
        assert!(fits("ConcertPatch", &json!({ "status": "postponed" })));
        assert!(!fits("ConcertPatch", &json!({ "status": "over" })), "no operator says that a concert is over");
        assert_eq!(schemas["SeatBlock"]["properties"]["seat_ids"]["uniqueItems"], true);
        let registration = |name: &str| json!({ "name": name, "email": "a@b.example", "password": "0123456789" });
        assert!(fits("RegisterRequest", &registration("Kim Minji")));
        for bad in ["", "  ", "a\u{1}b", "a\u{202e}b"] {
            assert!(!fits("RegisterRequest", &registration(bad)), "{bad:?}");
        }
        let concert = schemas["Concert"]["properties"]["start_time"].clone();
        assert_eq!(concert["format"], "time-local");
        let fits = |pattern: &str, text: &str| regex::Regex::new(pattern).unwrap().is_match(text);
        assert!(fits(concert["pattern"].as_str().unwrap(), "20:00:00"));
        for bad in ["20:00:00Z", "24:00", "20", "20:00:00.5", "23:59:60"] {
            assert!(!fits(concert["pattern"].as_str().unwrap(), bad), "{bad}");
        }
        for (schema, field) in [("Room", "cursor"), ("LiveRoom", "highest")] {
            let mut least = None;
            walk(&schemas[schema], "", &mut |_, node| {
                least = node["properties"][field]["minimum"].as_i64().or(least);
            });
            assert_eq!(least, Some(0), "a room in which nothing was offered yet: {schema}.{field}");
        }
        for key in ["8e03978e-40d5-43e8-bc93-6894a57f9324", "\"8e03978e-40d5-43e8\"", "0123456789abcdef"] {
            assert!(fits(KEY_PATTERN, key), "{key}");
        }
        for key in
            ["0123456789abcde", "a b a b a b a b a b", "\"0123456789abcdef", "0123456789ab\"cdef", "0123456789abcdé"]
        {
            assert!(!fits(KEY_PATTERN, key), "{key}");
        }
        let reason = not_null(schemas["EstimatedWait"]["properties"]["reason"].clone());
        assert_eq!(reason["$ref"], "#/components/schemas/WaitUnknown");
        assert_eq!(schemas["WaitUnknown"]["enum"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn every_call_of_a_user_says_that_the_service_key_is_refused() {
        let document = crate::api::document(DemoAccounts::Refused);
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let codes = &operation["responses"]["403"]["content"][MEDIA_TYPE]["examples"];
                let (id, security) = (&operation["operationId"], &operation["security"]);
                let takes_the_key = *security == json!([{ "session": [] }, { "service_key": [] }]);
                assert_eq!(takes_the_key, id == "top_up" || id == "adjust", "{id}");
                let for_users = security.is_null();
                assert_eq!(codes["forbidden"].is_object(), for_users || id == "adjust", "{id}");
                assert!(for_users || takes_the_key || *security == json!([]), "{id}: {security}");
            }
        }
        assert!(document["components"]["securitySchemes"]["service_key"].is_object());
    }

    #[test]
    fn the_guides_state_the_real_polling_interval() {
        use frontrow_line::view::POLL_GIVEN_MS;
        let document = crate::api::document(DemoAccounts::Refused);
        let told = &document["components"]["schemas"]["QueuePosition"]["properties"]["poll_after_ms"];
        assert_eq!(
            [told["minimum"].as_i64(), told["maximum"].as_i64()],
            [Some(*POLL_GIVEN_MS.start()), Some(*POLL_GIVEN_MS.end())]
        );
        let seconds = |millis: i64| format!("{}.{}", millis / 1_000, millis % 1_000 / 100).replace(".0", "");
        let (least, most) = (seconds(*POLL_GIVEN_MS.start()), seconds(*POLL_GIVEN_MS.end()));
        let guides = [
            (include_str!("../../../../docs/api.md"), format!("{least} to {most} seconds")),
            (include_str!("../../../../docs/cluster.md"), format!("{least} to {most} seconds")),
            (include_str!("../../../../docs/api.ko.md"), format!("{least}초에서 {most}초")),
        ];
        for (guide, words) in guides {
            assert!(guide.contains(&words), "{words}");
        }
    }

    #[test]
    fn every_field_and_parameter_has_a_description_and_a_real_example() {
        let document = crate::api::document(DemoAccounts::Refused);
        let mut fields = 0;
        walk(&document, "", &mut |path, node| {
            for (field, property) in node["properties"].as_object().into_iter().flatten() {
                fields += 1;
                assert!(property["description"].is_string(), "{path}.{field} has no description: {property}");
                assert!(!property["example"].is_null(), "{path}.{field} has no example: {property}");
            }
            for parameter in node["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{path} has no description: {parameter}");
                assert!(!parameter["example"].is_null(), "{path} has no example: {parameter}");
            }
        });
        assert!(fields > 100);
    }

    #[test]
    fn every_body_has_an_example_and_every_answer_its_headers() {
        let document = crate::api::document(DemoAccounts::Refused);
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = &operation["operationId"];
                let responses = operation["responses"].as_object().unwrap();
                for (status, answer) in responses.iter().chain([(&"body".to_owned(), &operation["requestBody"])]) {
                    for media in answer["content"].as_object().into_iter().flat_map(|content| content.values()) {
                        let several = media["examples"].as_object().is_some_and(|examples| !examples.is_empty());
                        assert!(several || !media["example"].is_null(), "{id} {status}: {media}");
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
        let document = crate::api::document(DemoAccounts::Refused);
        walk(&document, "", &mut |path, node| {
            if let Some(reference) = node["$ref"].as_str() {
                let target = document.pointer(reference.trim_start_matches('#'));
                assert!(target.is_some_and(Value::is_object), "{path}: {reference}");
            }
        });
    }

    #[test]
    fn hold_and_pay_answer_with_one_or_a_list() {
        let document = crate::api::document(DemoAccounts::Refused);
        for (path, one) in [("/api/v1/reservations", "Ticket"), ("/api/v1/payments", "Receipt")] {
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
        let signing_in = |accounts| {
            let document = crate::api::document(accounts);
            document["paths"]["/api/v1/sessions"]["post"]["requestBody"]["content"]["application/json"].clone()
        };
        assert_eq!(signing_in(DemoAccounts::Refused)["example"]["email"], "minji@example.com");
        assert_eq!(
            signing_in(DemoAccounts::Open)["examples"]["buyer"]["value"]["email"],
            frontrow_service::demo::BUYER
        );
        let shapes = document["components"]["schemas"]["SeatMap"]["oneOf"].as_array().unwrap();
        assert_eq!(shapes.len(), 2, "a seat map has two forms");
    }

    #[test]
    fn what_a_refusal_brings_is_in_the_schema_and_in_the_example_of_its_code() {
        let document = crate::api::document(DemoAccounts::Refused);
        let known = document["components"]["schemas"]["Problem"]["properties"].as_object().unwrap();
        for (status, refusal) in crate::edge::problem::tests::refusals() {
            let example = problems::example(status, codes::find(refusal.code()).unwrap());
            for member in serde_json::to_value(&refusal).unwrap().as_object().unwrap().keys() {
                assert!(known.contains_key(member), "{}: {member}", refusal.code());
                assert!(!example[member].is_null(), "{}: {member}: {example}", refusal.code());
            }
        }
    }
}
