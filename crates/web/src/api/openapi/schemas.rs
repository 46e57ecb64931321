//! Parts of schemas that the program's types do not express.

use frontrow_domain::{
    policy::SEATS_PER_OPERATOR_COMMAND_MAX,
    text::{LABEL_PATTERN, PARAGRAPHS_PATTERN, TEXT_PATTERN},
};
use serde_json::{Value, json};

/// Adds what the program's types cannot express to the schemas.
pub(super) fn complete(document: &mut Value) {
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
    for (list, format) in [
        ("List_ListedConcert", "cursor-of-concerts"),
        ("List_User", "cursor-of-users"),
        ("List_LineBlock", "cursor-of-users"),
        ("List_LaneGuest", "cursor-of-users"),
    ] {
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
    // Cancelling is a call of its own, and a concert becomes `over` by itself.
    if let Some(status) = schemas.get_mut("ConcertPatch").map(|patch| &mut patch["properties"]["status"]) {
        let description = not_null(status.take())["description"].take();
        *status = json!({ "type": ["string", "null"], "enum": ["scheduled", "closed", "postponed", null],
            "description": description });
    }
    name_formats(document);
}

/// Bodies that have exactly one of their fields.
const EITHER_FIELD: &[&str] = &["HoldRequest", "PaymentRequest", "GuestRequest"];

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
pub(super) fn not_null(mut field: Value) -> Value {
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
        Some("paragraphs") => PARAGRAPHS_PATTERN,
        Some("time-local") => "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
        Some("time-zone") => "^[A-Za-z][A-Za-z0-9_+/-]*$",
        Some("cursor" | "cursor-of-concerts" | "cursor-of-users") => "^[A-Za-z0-9_-]{2,48}$",
        _ => return,
    };
    map.insert("pattern".to_owned(), json!(pattern));
    // These formats are known to this program only.
    if let Some("text" | "label" | "paragraphs") = map.get("format").and_then(Value::as_str) {
        map.remove("format");
    }
}
