//! Completes the document with an example for every field, parameter and answer that has none of its own.

use serde_json::{Map, Value, json};

/// How deep schemas are followed: deeper than any of ours.
const DEPTH_MAX: usize = 8;

/// Examples by name, for fields and parameters whose type says too little.
fn by_name(name: &str) -> Option<Value> {
    Some(match name {
        "text" => json!("Midnight"),
        "venue" => json!("Hangang Hall, Seoul"),
        "title" => json!("Midnight Tide: The First Night"),
        "artist" => json!("Midnight Tide"),
        "cursor" => json!("NDI"),
        "limit" => json!(50),
        "from" => json!("2027-03-01"),
        "to" => json!("2027-03-31"),
        "section" => json!("Floor"),
        "row" => json!("A"),
        "grade" => json!("VIP"),
        "states" => json!("AAHS"),
        "count" => json!(4),
        "version" => json!(3),
        "reference" => json!("pg-20270301-000017"),
        "message" => json!("Doors open at 20:00."),
        "token" | "Queue-Token" => json!("AQEAAAAAAAAAAAAAAAEAAAAAAAAAKgGT88Rabnx9"),
        "If-None-Match" => json!("\"5f0e1c2d-42\""),
        "seat_number" => json!(17),
        "stale" => json!(false),
        // The particulars of a line of the audit log.
        "detail" => json!({ "max_active": 200 }),
        "no_show_ppm" => json!(120_000),
        _ => return None,
    })
}

/// Completes the whole document.
pub(super) fn complete(document: &mut Value) {
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
        fill_content(&mut operation["requestBody"], &source);
        for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            fill_content(response, &source);
        }
        // Indexing made an empty member where there was none.
        if let Some(operation) = operation.as_object_mut() {
            operation.retain(|_, member| !member.is_null());
        }
    }
}

/// Gives the fields below `node` what they have not: their description, which a nullable one has further in, and an
/// example.
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
        // Where the schema has several shapes, each is shown.
        match media["schema"]["oneOf"].as_array().map(Vec::as_slice) {
            Some([one, several]) if several["type"] != "null" => {
                let (one, several) = (of(one, source, 0), of(several, source, 0));
                media["examples"] = json!({ "one": { "value": one }, "several": { "value": several } });
            }
            _ => media["example"] = of(&media["schema"], source, 0),
        }
    }
}

fn for_field(name: &str, schema: &Value, source: &Value) -> Value {
    by_name(name).unwrap_or_else(|| of(schema, source, 0))
}

/// An example of a schema; null where it says too little.
fn of(schema: &Value, source: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return source.pointer(reference.trim_start_matches('#')).map_or(Value::Null, |one| of(one, source, depth + 1));
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
        (Some("string"), Some("date-time")) => json!("2027-03-01T11:00:00Z"),
        (Some("string"), Some("date")) => json!("2027-03-01"),
        (Some("integer"), _) => {
            schema.get("minimum").filter(|least| least.as_i64() > Some(0)).cloned().unwrap_or(json!(1))
        }
        (Some("boolean"), _) => json!(true),
        _ => Value::Null,
    }
}
