//! Adds an example to every field, parameter and answer that has none.

use crate::edge::extract::Cursor;
use frontrow_domain::{
    id::{ConcertId, SeatId, UserId},
    time::Time,
};
use frontrow_service::{demo, office::DemoAccounts};
use frontrow_storage::ConcertPlace;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The depth to which schemas are followed: deeper than any of ours.
const DEPTH_MAX: usize = 12;

/// The cursor behind the concert of the examples.
const PLACE: ConcertPlace =
    ConcertPlace { starts_at: Time::from_micros(1_803_898_800_000_000), concert_id: ConcertId::new(1) };
/// The user of the examples.
const USER: Uuid = Uuid::from_u128(0x0193_f3c4_5a6b_7c8d_9e0f_1122_3344_5566);

/// Examples by name, for fields and parameters whose type says too little.
fn by_name(name: &str) -> Option<Value> {
    Some(match name {
        "text" => json!("Midnight"),
        "venue" => json!("Hangang Hall, Seoul"),
        "title" => json!("Midnight Tide: The First Night"),
        "artist" => json!("Midnight Tide"),
        "limit" => json!(50),
        "from" => json!("2027-03-01"),
        "to" => json!("2027-03-31"),
        "section" => json!("Floor"),
        "row" => json!("A"),
        "grade" => json!("VIP"),
        "states" => json!("AAHS"),
        "count" => json!(4),
        "version" => json!(3),
        "mark" => json!("1801443640250000-5f0e1c2d9a3b7c64-0d1e2f3a4b5c6d7e"),
        "Last-Event-ID" => json!("5f0e1c2d9a3b7c64"),
        "reference" => json!("pg-20270301-000017"),
        "message" => json!("Doors open at 20:00."),
        "token" | "Queue-Token" => json!("AQEAAAAAAAAAAAAAAAEAAAAAAAAAKgGT88Rabnx9"),
        "If-Match" => json!("\"1801443640250000\""),
        "If-None-Match" => json!("\"5f0e1c2d-42\""),
        "seat_number" => json!(17),
        "number" => json!("12A"),
        "stale" => json!(false),
        // The details of a line of the audit log.
        "detail" => json!({ "max_active": { "from": 150, "to": 200 }, "reason": "The queue moves well." }),
        "payload" => json!({ "kind": "audit_recorded", "audit_id": 1 }),
        "no_show_ppm" => json!(120_000),
        _ => return None,
    })
}

/// Members that depend on each other: without these an example would show an impossible state.
fn state(schema: &str) -> Option<Value> {
    Some(match schema {
        "Concert" => json!({
            "concert_date": "2027-03-01", "start_time": "20:00:00", "end_time": "22:30:00",
            "starts_at": "2027-03-01T11:00:00.000000Z", "ends_at": "2027-03-01T13:30:00.000000Z",
            "opens_at": "2027-02-01T01:00:00.000000Z", "closes_at": "2027-03-01T11:00:00.000000Z",
            "closing": "with_start", "room_id": 1, "status": "scheduled", "status_reason": null,
            "refund_all_at": null, "wound_up_at": null, "opened_at": null,
            "created_at": "2027-01-15T08:00:00.250000Z", "updated_at": "2027-01-15T08:00:00.250000Z"
        }),
        "MapBlock" => json!({ "first_number": 11, "states": "AAHSBA" }),
        "OutboxEvent" => json!({
            "state": "pending", "created_at": "2027-02-01T01:02:00.250000Z", "due_at": "2027-02-01T01:02:10.500000Z",
            "dead_since": null, "attempts": 1, "last_error": "no answer within 10000 ms"
        }),
        "Pass" => json!({ "room_id": 0, "expires_at": "2027-02-01T01:06:00.000000Z" }),
        "Payment" => json!({ "status": "completed", "refunded_at": null }),
        "PointEntry" => json!({
            "type": "top_up", "amount": 50_000, "balance_after": 1_050_000, "payment_id": null
        }),
        "QueuePosition" => json!({
            "status": "waiting", "position": 42, "deadline": null, "hold_until": null, "last_turn": false,
            "end_reason": null, "as_of": "2027-02-01T01:00:30.250000Z"
        }),
        "QueueToken" => json!({
            "room_id": 1, "concert_id": 1, "position": 42, "status": "waiting",
            "issued_at": "2027-02-01T01:00:10.250000Z", "activated_at": null, "deadline": null, "expired_at": null,
            "end_reason": null
        }),
        "Reservation" => json!({
            "status": "pending", "created_at": "2027-02-01T01:02:00.250000Z",
            "expires_at": "2027-02-01T01:07:00.250000Z", "confirmed_at": null, "closed_at": null
        }),
        "Room" => json!({
            "room_id": 1, "opens_at": "2027-02-01T01:00:00.000000Z", "closes_at": "2027-03-01T11:00:00.000000Z",
            "name": null, "turn_url": null
        }),
        "JoinRequest" => json!({ "concert_id": 1, "room_id": null }),
        _ => return None,
    })
}

/// Members that an example lacks, since another member excludes them.
const LEFT_OUT: [(&str, &str); 2] = [("EstimatedWait", "reason"), ("MapBlock", "numbers")];

/// The example of an operation whose answer differs from others with the same schema.
fn answer(operation: &str, status: &str) -> Option<Value> {
    let closed_at = json!("2027-02-01T01:05:00.250000Z");
    Some(match (operation, status) {
        ("activate_token", "200") => json!({
            "status": "active", "activated_at": "2027-02-01T01:01:00.250000Z", "deadline": "2027-02-01T01:02:30.250000Z",
            "queue": { "status": "active", "ahead": 0, "deadline": "2027-02-01T01:02:30.250000Z",
                "hold_until": "2027-02-01T01:11:00.250000Z",
                "estimated_wait": { "p50_seconds": 0, "p90_seconds": 0 }, "outlook": null, "poll_after_ms": 31_200,
                "as_of": "2027-02-01T01:01:00.250000Z" }
        }),
        ("activate_token", "202") => json!({
            "status": "offered", "deadline": "2027-02-01T01:02:00.250000Z",
            "queue": { "status": "offered", "ahead": 0, "deadline": "2027-02-01T01:02:00.250000Z",
                "estimated_wait": { "p50_seconds": 0, "p90_seconds": 0 }, "poll_after_ms": 1_150,
                "as_of": "2027-02-01T01:01:00.250000Z" }
        }),
        ("token", "200") => json!({
            "status": "ended", "activated_at": "2027-02-01T01:01:00.250000Z",
            "expired_at": "2027-02-01T01:03:00.250000Z", "end_reason": "paid",
            "queue": { "status": "ended", "ahead": 0, "end_reason": "paid", "outlook": null, "estimated_wait": { "p50_seconds": 0, "p90_seconds": 0 },
                "poll_after_ms": 28_900, "as_of": "2027-02-01T01:06:00.250000Z" }
        }),
        ("line_receipt", "200") => json!({
            "room_id": 1, "opening": "draw", "status": "ended", "end_reason": "paid", "joined_at": "2027-02-01T00:40:00.250000Z",
            "activated_at": "2027-02-01T01:01:00.250000Z", "ended_at": "2027-02-01T01:03:00.250000Z"
        }),
        ("cancel_reservation" | "cancel_for_user", "200") => json!({ "status": "cancelled", "closed_at": closed_at }),
        ("refund" | "refund_for_user", "200") => json!({
            "status": "refunded", "paid_at": "2027-02-01T01:03:00.250000Z",
            "refunded_at": closed_at, "created_at": "2027-02-01T01:03:00.250000Z"
        }),
        ("lock_user", "200") => json!({ "status": "locked" }),
        ("cancel_concert", "200") => json!({
            "status": "cancelled", "status_reason": "The singer is ill.", "updated_at": closed_at
        }),
        ("refund_concert", "202") => json!({
            "concert": { "status": "cancelled", "status_reason": "The singer is ill.", "refund_all_at": closed_at,
                "updated_at": closed_at },
            "seats": { "available": 0, "held": 0, "sold": 880, "blocked": 4_120 }
        }),
        _ => return None,
    })
}

/// Named request bodies for operations whose fields' own examples do not make a good one. A server that has what they
/// name accepts them unchanged.
fn bodies(operation: &str, accounts: DemoAccounts) -> Vec<(&'static str, Value)> {
    match operation {
        "sign_in" if accounts == DemoAccounts::Open => vec![
            ("buyer", json!({ "email": demo::BUYER, "password": demo::PASSWORD })),
            ("operator", json!({ "email": demo::OPERATOR, "password": demo::PASSWORD })),
        ],
        "issue_token" => vec![("concert", json!({ "concert_id": 1 }))],
        "hold" => vec![("one", json!({ "seat_id": 7 })), ("several", json!({ "seat_ids": [8, 9] }))],
        "pay" => vec![("one", json!({ "reservation_id": 1 })), ("several", json!({ "reservation_ids": [2, 3] }))],
        // The document sorts them by name, and the page proposes the first: the buyer's, as in a sale.
        "top_up" => vec![
            ("for_oneself", json!({ "amount": 50_000 })),
            (
                "for_user",
                json!({ "amount": 50_000, "user_id": "0193f3c4-5a6b-7c8d-9e0f-112233445566",
                    "reference": "pg-20270301-000017" }),
            ),
        ],
        "create_concert" => vec![(
            "concert",
            json!({
                "title": "Midnight Tide: The First Night", "artist": "Midnight Tide", "venue": "Hangang Hall, Seoul",
                "time_zone": "Asia/Seoul", "concert_date": "2027-03-01", "start_time": "20:00:00",
                "end_time": "22:30:00", "base_price": 120_000, "opens_at": "2027-02-01T01:00:00.000000Z",
                "own_room_max_active": 100
            }),
        )],
        "update_concert" => vec![
            (
                "moved",
                json!({ "concert_date": "2027-03-08", "start_time": "19:30:00", "end_time": "22:00:00", "reason": "The roof leaks." }),
            ),
            ("postponed", json!({ "status": "postponed", "status_reason": "The singer is ill." })),
        ],
        "set_room" => vec![(
            "settings",
            json!({ "max_active": 200, "admit_per_minute": 600, "message": "Doors open at 20:00.",
                "reason": "The hall's entrance is blocked." }),
        )],
        "add_lane_guest" | "remove_lane_guest" => {
            vec![("by_id", json!({ "user_id": "0193f3c4-5a6b-7c8d-9e0f-112233445566" }))]
        }
        "add_seats" => vec![
            (
                "range",
                json!({ "range": { "from": 1, "to": 50, "section": "Floor", "row": "A", "grade": "VIP",
                    "price": 180_000 } }),
            ),
            (
                "list",
                json!({ "seats": [
                    { "seat_number": 51, "section": "Floor", "row": "B", "grade": "R" },
                    { "seat_number": 52, "section": "Floor", "row": "B", "grade": "R", "price": 110_000 },
                ] }),
            ),
        ],
        _ => Vec::new(),
    }
}

/// Merges members into an object, recursively.
fn put(into: &mut Value, members: Value) {
    match members {
        Value::Object(members) if into.is_object() => {
            for (name, value) in members {
                put(&mut into[name], value);
            }
        }
        other => *into = other,
    }
}

/// Completes the whole document.
pub(super) fn complete(document: &mut Value, accounts: DemoAccounts) {
    let source = document.clone();
    fill(document, &source);
    let source = document.clone();
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
            if parameter["example"].is_null() {
                let name = parameter["name"].as_str().unwrap_or_default();
                parameter["example"] = for_field(name, &parameter["schema"], &source);
            }
        }
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let bodies = bodies(&id, accounts);
        if let [(_, only)] = bodies.as_slice() {
            operation["requestBody"]["content"]["application/json"]["example"] = only.clone();
        } else if !bodies.is_empty() {
            let examples: Map<_, _> =
                bodies.into_iter().map(|(name, body)| (name.to_owned(), json!({ "value": body }))).collect();
            operation["requestBody"]["content"]["application/json"]["examples"] = Value::Object(examples);
        }
        fill_content(&mut operation["requestBody"], &source);
        for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            fill_content(response, &source);
            if let Some(members) = answer(&id, status) {
                put(&mut response["content"]["application/json"]["example"], members);
            }
        }
        // Indexing has created empty members.
        if let Some(operation) = operation.as_object_mut() {
            operation.retain(|_, member| !member.is_null());
        }
    }
}

/// Adds missing descriptions (which nullable fields have one level deeper) and examples to the fields below `node`.
fn fill(node: &mut Value, source: &Value) {
    if let Value::Array(nodes) = node {
        for node in nodes.iter_mut() {
            fill(node, source);
        }
    }
    let Value::Object(map) = node else { return };
    for (name, inner) in map.iter_mut().filter(|(name, _)| !["example", "examples"].contains(&name.as_str())) {
        fill(inner, source);
        if name != "properties" {
            continue;
        }
        for (field, property) in inner.as_object_mut().into_iter().flatten() {
            let described = property.get("description").is_some();
            let further_in = property.pointer("/oneOf/0/description").or(property.pointer("/oneOf/1/description"));
            if let Some(description) = further_in.cloned().filter(|_| !described) {
                property["description"] = description;
            }
            if property.get("example").is_none() {
                property["example"] = for_field(field, property, source);
            }
        }
    }
}

fn fill_content(node: &mut Value, source: &Value) {
    let Some(content) = node.get_mut("content").and_then(Value::as_object_mut) else { return };
    for media in content.values_mut().filter(|media| media.get("examples").is_none() && media.get("example").is_none())
    {
        // If the schema has several shapes, each is shown.
        let named = media["schema"]["$ref"].as_str().and_then(|to| source.pointer(to.trim_start_matches('#')));
        let shapes = named.unwrap_or(&media["schema"])["oneOf"].as_array().cloned().unwrap_or_default();
        match shapes.as_slice() {
            [one, several] if one["type"] != "null" && several["type"] != "null" => {
                let keys = if named.is_some() { ["full", "compact"] } else { ["one", "several"] };
                let (one, several) = (of(one, source, 0), of(several, source, 0));
                media["examples"] = json!({ keys[0]: { "value": one }, keys[1]: { "value": several } });
            }
            _ => media["example"] = of(&media["schema"], source, 0),
        }
    }
}

fn for_field(name: &str, schema: &Value, source: &Value) -> Value {
    by_name(name).unwrap_or_else(|| of(schema, source, 0))
}

/// An example of a schema; null if it says too little.
fn of(schema: &Value, source: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let mut example =
            source.pointer(reference.trim_start_matches('#')).map_or(Value::Null, |one| of(one, source, depth + 1));
        let name = reference.rsplit('/').next().unwrap_or_default();
        if let Some(members) = state(name) {
            put(&mut example, members);
        }
        if let Some(members) = example.as_object_mut() {
            members.retain(|member, _| !LEFT_OUT.contains(&(name, member.as_str())));
        }
        return example;
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(several) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let one = several.iter().find(|one| one["type"] != "null");
        return one.map_or(Value::Null, |one| of(one, source, depth + 1));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let members = parts.iter().filter_map(|part| match of(part, source, depth + 1) {
            Value::Object(members) => Some(members),
            _ => None,
        });
        return Value::Object(members.flatten().collect());
    }
    if let Some(properties) = schema["properties"].as_object() {
        let fields = properties.iter().map(|(name, property)| {
            let own = property.get("example").cloned();
            (name.clone(), own.or_else(|| by_name(name)).unwrap_or_else(|| of(property, source, depth + 1)))
        });
        return Value::Object(fields.collect());
    }
    if let Some(items) = schema.get("items") {
        return json!([of(items, source, depth + 1)]);
    }
    let types = schema["type"].as_array().map_or_else(|| vec![&schema["type"]], |types| types.iter().collect());
    let kind = types.into_iter().filter_map(Value::as_str).find(|kind| *kind != "null");
    match (kind, schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => json!("2027-03-01T11:00:00.250000Z"),
        (Some("string"), Some("date")) => json!("2027-03-01"),
        (Some("string"), Some("cursor")) => json!(Cursor(SeatId::new(42)).to_string()),
        (Some("string"), Some("cursor-of-concerts")) => json!(Cursor(PLACE).to_string()),
        (Some("string"), Some("cursor-of-users")) => json!(Cursor(UserId(USER)).to_string()),
        (Some("integer"), _) => {
            schema.get("minimum").filter(|least| least.as_i64() > Some(0)).cloned().unwrap_or(json!(1))
        }
        (Some("boolean"), _) => json!(true),
        _ => Value::Null,
    }
}
