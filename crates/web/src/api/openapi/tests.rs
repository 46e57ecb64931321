//! The document is true and complete.

use super::{schemas::not_null, *};
use crate::edge::problem::codes;
use frontrow_domain::refusal::EntityKind;
use serde_json::Map;

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
    if shapes.is_some_and(|shapes| shapes.iter().filter(|one| misfit(one, example, document).is_none()).count() != 1) {
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
            assert_eq!(is("hold_until"), one_of("status", &["active"]), "{said}");
            assert!(!is("outlook") || !one_of("status", &["active", "ended"]), "{said}");
            assert!(example["last_turn"] == false || one_of("status", &["offered"]), "{said}");
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
    for key in ["0123456789abcde", "a b a b a b a b a b", "\"0123456789abcdef", "0123456789ab\"cdef", "0123456789abcdé"]
    {
        assert!(!fits(KEY_PATTERN, key), "{key}");
    }
    let reason = not_null(schemas["EstimatedWait"]["properties"]["reason"].clone());
    assert_eq!(reason["$ref"], "#/components/schemas/WaitUnknown");
    assert_eq!(schemas["WaitUnknown"]["enum"].as_array().unwrap().len(), 6);
}

#[test]
fn every_call_of_a_user_says_that_the_service_key_is_refused() {
    let document = crate::api::document(DemoAccounts::Refused);
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let codes = &operation["responses"]["403"]["content"][MEDIA_TYPE]["examples"];
            let (id, security) = (&operation["operationId"], &operation["security"]);
            let takes_the_key = *security == json!([{ "session": [] }, { "service_key": [] }]);
            let for_shops = ["top_up", "adjust", "go_away"].iter().any(|for_shops| id == for_shops);
            assert_eq!(takes_the_key, for_shops, "{id}");
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
    let given = &document["components"]["schemas"]["QueuePosition"]["properties"]["poll_after_ms"];
    assert_eq!(
        [given["minimum"].as_i64(), given["maximum"].as_i64()],
        [Some(*POLL_GIVEN_MS.start()), Some(*POLL_GIVEN_MS.end())]
    );
    let seconds = |millis: i64| format!("{}.{}", millis / 1_000, millis % 1_000 / 100).replace(".0", "");
    let (least, most) = (seconds(*POLL_GIVEN_MS.start()), seconds(*POLL_GIVEN_MS.end()));
    let guides = [
        (include_str!("../../../../../docs/api.md"), format!("{least} to {most} seconds")),
        (include_str!("../../../../../docs/cluster.md"), format!("{least} to {most} seconds")),
        (include_str!("../../../../../docs/api.ko.md"), format!("{least}초에서 {most}초")),
    ];
    for (guide, words) in guides {
        assert!(guide.contains(&words), "{words}");
    }
}

#[test]
fn the_bounds_of_an_event_are_those_of_the_outbox() {
    use frontrow_domain::outbox::{ATTEMPTS_MAX, ERROR_LEN_MAX};
    let document = crate::api::document(DemoAccounts::Refused);
    let event = &document["components"]["schemas"]["OutboxEvent"]["properties"];
    assert_eq!(event["attempts"]["maximum"], ATTEMPTS_MAX);
    let error = not_null(event["last_error"].clone());
    assert_eq!(error["maxLength"], ERROR_LEN_MAX);
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
    assert_eq!(signing_in(DemoAccounts::Open)["examples"]["buyer"]["value"]["email"], frontrow_service::demo::BUYER);
    let shapes = document["components"]["schemas"]["SeatMap"]["oneOf"].as_array().unwrap();
    assert_eq!(shapes.len(), 2, "a seat map has two forms");
}

#[test]
fn what_a_refusal_brings_is_in_the_schema_and_in_the_example_of_its_code() {
    let document = crate::api::document(DemoAccounts::Refused);
    let known = document["components"]["schemas"]["Problem"]["properties"].as_object().unwrap();
    for (_, refusal) in crate::edge::problem::tests::refusals() {
        let example = problems::example(codes::find(refusal.code()).unwrap());
        for member in serde_json::to_value(&refusal).unwrap().as_object().unwrap().keys() {
            assert!(known.contains_key(member), "{}: {member}", refusal.code());
            assert!(!example[member].is_null(), "{}: {member}: {example}", refusal.code());
        }
    }
}

#[test]
fn a_problem_names_every_kind_of_entity_that_may_be_missing() {
    let document = crate::api::document(DemoAccounts::Refused);
    let kinds = &document["components"]["schemas"]["Problem"]["properties"]["what"]["enum"];
    let kinds: Vec<_> = kinds.as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    assert_eq!(kinds.len(), EntityKind::ALL.len());
    assert!(kinds.contains(&"event") && kinds.contains(&"audit_entry"), "{kinds:?}");
}
