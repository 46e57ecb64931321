//! The `OpenAPI` document: generated from the routes, completed with each route's errors, the headers of the answers,
//! and examples.

mod calls;
mod examples;
mod headers;
mod problems;
mod schemas;

use crate::edge::problem::{MEDIA_TYPE, codes::Definition};
use calls::CALLS;
use frontrow_service::office::DemoAccounts;
use serde_json::{Value, json};
use utoipa::openapi::{Info, LicenseBuilder, OpenApi, OpenApiBuilder, Server};

/// An idempotency key, bare or as a quoted string.
const KEY_PATTERN: &str = r#"^([!#-~]{16,255}|"([!#-\[\]-~]|\\["\\]){16,255}")$"#;

/// The document without routes.
pub(super) fn frame() -> OpenApi {
    let mut info = Info::new("Frontrow", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "A concert box office: a fair waiting line, seats that are never sold twice, and payment in one transaction. \
         Join the line, poll your place, activate your turn, hold a seat, pay. Times are RFC 3339 in UTC, money is \
         whole won. Errors are `application/problem+json` with a stable `code`. Calls that change something take an \
         `Idempotency-Key`: send the same key again after a time-out, and nothing happens twice. Registering, signing \
         in, signing out, what users do about their own account, reset links, leaving a line and posters of concerts take \
         none, because they may be repeated as they are: leaving twice is leaving, signing in again gives another session, and \
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
    schemas::complete(&mut document);
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return document };
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        for operation in item.values_mut() {
            complete_operation(operation);
        }
    }
    examples::complete(&mut document, accounts);
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
        { "name": "points", "description": "Balance, history, top-ups." },
        { "name": "operator", "description": "Run the sale: concerts, seats, rooms, accounts, search, the audit log." }
    ])
}

fn complete_operation(operation: &mut Value) {
    let Some(call) = operation["operationId"].as_str().and_then(|id| CALLS.iter().find(|call| call.id == id)) else {
        return;
    };
    // `[{}]` would say that a session is optional.
    if operation["security"] == json!([{}]) {
        operation["security"] = json!([]);
    }
    if call.takes_key()
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
    let problems = call.problems();
    for group in problems.chunk_by(|a, b| a.status == b.status) {
        let Some(Definition { status, .. }) = group.first() else { continue };
        let names: Vec<_> = group.iter().map(|definition| format!("`{}`", definition.code)).collect();
        let examples: serde_json::Map<_, _> = group
            .iter()
            .map(|definition| {
                let value = problems::example(definition);
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
    let key = if call.takes_key() { headers::Key::Taken } else { headers::Key::Ignored };
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let group: Vec<_> = problems.iter().copied().filter(|problem| problem.status.to_string() == *status).collect();
        let answering = headers::Answering { operation: call.id, key, status, problems: &group };
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

#[cfg(test)]
mod tests;
