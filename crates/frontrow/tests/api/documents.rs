//! The documents are true: the examples of the API's description are taken as they are, the sale of the READMEs
//! ends whatever state the place in line is in, the Korean pages say what the English ones do, and the picture of the
//! tables is of the tables.

use frontrow_clock::Clock;
use frontrow_domain::{id::RoomId, line::LaneKind, time::Span};
use frontrow_service::demo;
use frontrow_testkit::{Client, START, Server, eventually, id, items, settings};
use frontrow_web::edge::problem::codes::{self, Definition};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn file(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// Every operation of the document with its method, its path and its examples of a body.
fn operations_with_bodies(document: &Value) -> Vec<(String, Method, String, Vec<Value>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let media = &operation["requestBody"]["content"]["application/json"];
            let several = media["examples"].as_object().into_iter().flat_map(|examples| examples.values());
            let bodies: Vec<_> = several.map(|example| example["value"].clone()).collect();
            let bodies = if bodies.is_empty() { vec![media["example"].clone()] } else { bodies };
            if media.is_object() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                found.push((operation["operationId"].as_str().unwrap().to_owned(), method, path.clone(), bodies));
            }
        }
    }
    found
}

#[tokio::test]
async fn the_page_proposes_a_top_up_that_buyers_may_send() {
    let server = Server::start().await;
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    let operations = operations_with_bodies(&document);
    let (.., bodies) = operations.iter().find(|(id, ..)| id == "top_up").unwrap();
    server.buyer("buyer").await.post("/points/top-ups", &bodies[0]).await.expect(201);
    server.close().await;
}

/// A debt of the user, with as many points in the balance as it takes to collect it.
/// The debt that an operation settles, if it does.
async fn a_debt_for(operation: &str, operator: &Client, user: &str) -> Value {
    if operation == "settle_debt" { a_debt(operator, user).await } else { Value::Null }
}

async fn a_debt(operator: &Client, user: &str) -> Value {
    let adjust = async |amount: i64| {
        let body = json!({ "amount": amount, "reason": "A chargeback", "reference": format!("books-{amount}") });
        operator.post(&format!("/operator/users/{user}/adjustments"), &body).await.expect(201)
    };
    let debt = adjust(-9_000_000).await["debt"]["debt_id"].clone();
    adjust(8_999_999).await;
    debt
}

/// Keeps the numbers of the concert and of the room that were made.
fn remember(made: &mut [Value; 2], operation: &str, answer: &frontrow_testkit::ApiAnswer) {
    match operation {
        "create_concert" => made[0] = answer.json()["concert_id"].clone(),
        "create_room" => made[1] = answer.json()["room_id"].clone(),
        _ => {}
    }
}

/// The examples that need no session: letters, and a pass that is done.
async fn ask_without_session(server: &Server, request: &Value, confirmation: &Value, pass: &Value) {
    server.anonymous().post("/queue/passes/done", pass).await.problem(403, "pass_invalid");
    server.anonymous().post("/password-reset-requests", request).await.expect(202);
    let unknown = server.anonymous().post("/email-confirmations", confirmation).await;
    unknown.problem(403, "confirmation_link_invalid");
}

/// A reservation that is not paid.
async fn a_hold(server: &Server, seat: i64) -> i64 {
    let holder = server.buyer("holder").await;
    let token = holder.enter(None).await;
    id(&holder.hold(&token, seat).await.expect(201), "reservation_id")
}

/// Hands signatures in to a draw. The bodies are taken, though the draw waits for none before its lobby is sealed.
async fn hand_in_to_a_lobby(server: &Server, buyer: &Client, bodies: &[Value]) {
    let lobby = server
        .hall_like(1, |draft| {
            draft.own_room_max_active = Some(1);
            draft.opens_at = START.plus(Span::from_secs(3_600));
        })
        .await;
    server.anonymous().get(&format!("/rooms/{}/draw", lobby.id())).await.expect(200);
    for body in bodies {
        buyer.post(&format!("/rooms/{}/draw/beacon", lobby.id()), body).await.expect(409);
    }
}

#[tokio::test]
async fn the_server_takes_every_example_of_a_body() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    let mut operations = operations_with_bodies(&document);
    assert!(operations.len() >= 16);
    let mut body_of = |wanted: &str| {
        let at = operations.iter().position(|(id, ..)| id == wanted).unwrap();
        operations.remove(at).3
    };

    // An account over its life, as the examples have it.
    let registration = &body_of("register")[0];
    let user = server.anonymous().post("/users", registration).await.expect(201);
    let sign_in = async |body: &Value| {
        let session = server.anonymous().post("/sessions", body).await.expect(201);
        server.with_secret(session["session_token"].as_str().unwrap())
    };
    let credentials = &body_of("sign_in")[0];
    let client = sign_in(credentials).await;
    client.put("/users/me/password", &body_of("change_password")[0]).await.expect(204);
    let links = format!("/operator/users/{}/reset-links", user["user_id"].as_str().unwrap());
    let link = operator.post(&links, &json!({})).await.expect(201);
    let mut reset = body_of("reset_password").remove(0);
    reset["secret"] = link["secret"].clone();
    server.anonymous().post("/password-resets", &reset).await.expect(204);
    let (letter, confirmation) = (body_of("request_password_reset"), body_of("confirm_email"));
    ask_without_session(&server, &letter[0], &confirmation[0], &body_of("end_pass")[0]).await;
    let client = sign_in(&json!({ "email": registration["email"], "password": reset["new_password"] })).await;
    let back = json!({ "old_password": reset["new_password"], "new_password": credentials["password"] });
    client.put("/users/me/password", &back).await.expect(204);
    client.call(Method::DELETE, "/users/me").json(&body_of("erase_me")[0]).send().await.expect(204);

    // A sale: what the bodies name is there, everything else is as it stands.
    let own_room = server.hall_like(50, |draft| draft.own_room_max_active = Some(100)).await;
    let hall = server.hall(50).await;
    let mut free = hall.seats.iter().copied();
    let joiner = server.buyer("joiner").await;
    for mut body in body_of("issue_token") {
        body["concert_id"] = json!(own_room.id());
        joiner.post("/queue/tokens", &body).await.expect(201);
    }
    hand_in_to_a_lobby(&server, &joiner, &body_of("hand_in_beacon")).await;
    for (call, paid) in [("hold", false), ("pay", true)] {
        for (at, mut body) in body_of(call).into_iter().enumerate() {
            let buyer = server.buyer_with(&format!("{call}{at}"), 1_000_000).await;
            let token = buyer.enter(None).await;
            let mut held = async || id(&buyer.hold(&token, free.next().unwrap()).await.expect(201), "reservation_id");
            if paid {
                match body["reservation_ids"].as_array().map(Vec::len) {
                    None => body["reservation_id"] = json!(held().await),
                    Some(count) => {
                        let mut ids = Vec::new();
                        for _ in 0..count {
                            ids.push(held().await);
                        }
                        body["reservation_ids"] = json!(ids);
                    }
                }
                buyer.call(Method::POST, "/payments").token(&token).json(&body).send().await.expect(201);
            } else {
                match body["seat_ids"].as_array().map(Vec::len) {
                    None => body["seat_id"] = json!(free.next().unwrap()),
                    Some(count) => body["seat_ids"] = free.by_ref().take(count).collect(),
                }
                buyer.call(Method::POST, "/reservations").token(&token).json(&body).send().await.expect(201);
            }
        }
    }
    let (_, payment) = server.buyer_with("payer", 1_000_000).await.buy(free.next().unwrap()).await;
    let held = a_hold(&server, free.next().unwrap()).await;
    for mut body in body_of("top_up") {
        let caller = if body["user_id"].is_null() { &joiner } else { &operator };
        if !body["user_id"].is_null() {
            body["user_id"] = json!(joiner.user);
        }
        caller.post("/points/top-ups", &body).await.expect(201);
    }

    // Operators' requests, one after another: a concert that was cancelled changes no more.
    operations.sort_by_key(|(id, ..)| turn_of(id));
    let mut made = [Value::Null, Value::Null];
    for (operation, method, path, bodies) in operations {
        assert!(path.starts_with("/api/v1/operator/"), "{operation} is not sent here");
        for mut body in bodies {
            if let Some(count) = body["seat_ids"].as_array().map(Vec::len) {
                body["seat_ids"] = hall.seats.iter().rev().take(count).copied().collect();
            }
            if body["user_id"].is_string() {
                body["user_id"] = json!(joiner.user);
            }
            let debt = a_debt_for(&operation, &operator, &joiner.user.to_string()).await;
            let concert = if operation == "add_seats" { made[0].clone() } else { json!(hall.id()) };
            let room = room_for(&operation, own_room.id(), &made[1]);
            let path = path
                .replace("{concert_id}", &concert.to_string())
                .replace("{room_id}", &room.to_string())
                .replace("{user_id}", &joiner.user.to_string())
                .replace("{debt_id}", &debt.to_string())
                .replace("{reservation_id}", &held.to_string())
                .replace("{payment_id}", &payment.to_string());
            let answer = operator.call_at(method.clone(), &path).json(&body).send().await;
            assert!([200, 201, 202, 204].contains(&answer.status), "{operation} {body}: {}", answer.text());
            remember(&mut made, &operation, &answer);
        }
    }
    server.close().await;
}

/// When a call is sent: after those that make what it changes, and before those that end it.
fn turn_of(operation: &str) -> (bool, bool, Option<usize>) {
    let late = ["free_seats", "remove_seats", "cancel_concert"];
    (operation != "create_concert", operation != "open_lane", late.iter().position(|one| *one == operation))
}

/// The room that a call is about: the one that was made, a general line, or a lane beside it.
fn room_for(operation: &str, general: i64, made: &Value) -> Value {
    match operation {
        "open_lane" => json!(general),
        "set_lane" | "add_lane_guest" | "remove_lane_guest" => json!(RoomId::new(general).lane(LaneKind::Invitation)),
        _ => made.clone(),
    }
}

#[tokio::test]
async fn the_server_takes_every_example_of_a_cursor() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let document = operator.call_at(Method::GET, "/openapi.json").send().await.expect(200);
    let draft = json!({ "kind": "invitation", "share_percent": 10, "reason": "The sponsor's guests come." });
    let lane = id(&operator.post("/operator/rooms/0/lanes", &draft).await.expect(201), "room_id");
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        let Some(cursor) = parameters.filter(|one| one["name"] == "cursor").map(|one| &one["example"]).next() else {
            continue;
        };
        let next = &item["get"]["responses"]["200"]["content"]["application/json"]["example"]["next_cursor"];
        assert_eq!(next, cursor, "{path}");
        let room = if path.ends_with("/guests") { lane.to_string() } else { "0".to_owned() };
        let target = path.replace("{user_id}", &operator.user.to_string()).replace("{room_id}", &room);
        let page = format!("{target}?cursor={}", cursor.as_str().unwrap());
        operator.call_at(Method::GET, &page).send().await.expect(200);
        lists += 1;
    }
    assert!(lists >= 9, "{lists}");
    server.close().await;
}

/// The commands of a page: its blocks of shell, without their comments and without what aligns these.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut blocks = Vec::new();
    for part in page.split("```sh\n").skip(1) {
        let lines = part.split("```").next().unwrap().lines().map(|line| {
            let code = if line.trim_start().starts_with('#') { "" } else { line.split("  #").next().unwrap() };
            code.trim_end().to_owned()
        });
        blocks.push(lines.filter(|line| !line.is_empty()).collect());
    }
    blocks
}

#[test]
fn the_korean_pages_have_the_commands_of_the_english_ones() {
    for (english, korean) in [("README.md", "README.ko.md"), ("docs/api.md", "docs/api.ko.md")] {
        let (english, korean) = (commands(&text(english)), commands(&text(korean)));
        assert!(english.len() > 3);
        assert_eq!(english, korean);
    }
}

/// The codes with their statuses, out of the table of a guide.
fn codes_of(guide: &str) -> BTreeSet<(String, String)> {
    let rows = guide.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (status, code) = (cells.next()?, cells.next()?.strip_prefix('`')?.strip_suffix('`')?);
        (status.len() == 3 && status.parse::<u16>().is_ok()).then(|| (status.to_owned(), code.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_guide_explains_every_code_as_the_server_does() {
    let (page, head) = ("docs/api.md", "| status | code | meaning and what to do |\n| --- | --- | --- |\n");
    let text = text(page);
    let from = text.find(head).unwrap() + head.len();
    let to = text[from..].find("\n\n").map_or(text.len(), |end| from + end + 1);
    let row = |Definition { status, code, explanation, .. }: &Definition| {
        format!("| {status} | `{code}` | {explanation} |\n")
    };
    let table: String = codes::ALL.iter().copied().map(row).collect();
    if text[from..to] != table {
        if std::env::var_os("FRONTROW_UPDATE_DOCS").is_some() {
            std::fs::write(file(page), format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
        } else {
            panic!("{page} explains other codes than the server: run this test with FRONTROW_UPDATE_DOCS=1");
        }
    }
}

#[tokio::test]
async fn the_guides_list_every_code_with_its_status() {
    let server = Server::start().await;
    let all = server.anonymous().call_at(Method::GET, "/problems").send().await.expect(200);
    let expected: BTreeSet<_> =
        items(&all).iter().map(|one| (one["status"].to_string(), one["code"].as_str().unwrap().to_owned())).collect();
    for guide in ["docs/api.md", "docs/api.ko.md"] {
        let listed = codes_of(&text(guide));
        let missing: Vec<_> = expected.difference(&listed).collect();
        let gone: Vec<_> = listed.difference(&expected).collect();
        assert!(missing.is_empty() && gone.is_empty(), "{guide}: missing {missing:?}, gone {gone:?}");
    }
    server.close().await;
}

/// The sale of the README against this server.
fn sale(server: &Server) -> Command {
    let page = text("README.md");
    let part = page.split("```sh\n").find(|part| part.starts_with("API=")).unwrap();
    let script = part.split("```").next().unwrap();
    let here = format!("http://{}", server.address);
    let mut command = Command::new("sh");
    command.arg("-euc").arg(script.replace("http://127.0.0.1:8080", &here));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn ended(sale: std::process::Child) -> Output {
    tokio::task::spawn_blocking(move || sale.wait_with_output().unwrap()).await.unwrap()
}

/// Runs the sale to its end: seats were shown, and the payment was given back.
fn assert_sold(state: &str, output: &Output) {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{state}: {said}{errors}");
    assert!(said.contains("\"states\":\"") && !said.contains("\"code\":"), "{state}: {said}{errors}");
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["status"], "refunded", "{state}: {said}{errors}");
    assert!(errors.is_empty(), "{state}: {errors}");
}

/// A demo whose buyer is signed in.
async fn demonstration() -> (Server, Client, Client) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = settings(folder.path(), &[]);
    config.demo = true;
    let server = Server::over(folder, config, Clock::manual(frontrow_testkit::START)).await;
    demo::load(&server.app().office).await.unwrap();
    let mut clients = Vec::new();
    for email in [demo::BUYER, demo::OPERATOR] {
        let session =
            server.anonymous().post("/sessions", &json!({ "email": email, "password": demo::PASSWORD })).await;
        clients.push(server.with_secret(session.expect(201)["session_token"].as_str().unwrap()));
    }
    let operator = clients.pop().unwrap();
    (server, clients.pop().unwrap(), operator)
}

async fn set_gate(operator: &Client, gate: &str) {
    operator.patch("/operator/rooms/1", &json!({ "gate": gate, "reason": "The hall asks for it." })).await.expect(200);
}

#[tokio::test]
async fn the_sale_of_the_readme_ends_in_every_state_of_a_token() {
    let (server, buyer, operator) = demonstration().await;
    let run = async |state: &str| {
        assert_sold(state, &ended(sale(&server).spawn().unwrap()).await);
        // The seat is for others first.
        server.advance(61);
    };
    run("none").await;

    let join = async || buyer.join(Some(1)).await["token"].as_str().unwrap().to_owned();
    let token = join().await;
    buyer.wait_for(&token, "offered").await;
    run("offered").await;

    let token = buyer.enter(Some(1)).await;
    buyer.wait_for(&token, "active").await;
    run("active").await;

    let token = join().await;
    buyer.wait_for(&token, "offered").await;
    server.advance(61);
    buyer.wait_for(&token, "missed").await;
    run("missed").await;

    // No polls until the gate opens.
    set_gate(&operator, "paused").await;
    let place = buyer.join(Some(1)).await["position"].as_i64();
    server.advance(91);
    set_gate(&operator, "open").await;
    eventually("the silent token is passed over", async || {
        (operator.get("/operator/rooms/1").await.expect(200)["cursor"].as_i64() >= place).then_some(())
    })
    .await;
    run("dormant").await;

    // It ends while the sale waits for it.
    set_gate(&operator, "paused").await;
    let token = join().await;
    let polls = async || {
        let metrics = server.anonymous().call_at(Method::GET, "/metrics").send().await.text();
        let polls = metrics
            .lines()
            .filter(|line| line.starts_with("frontrow_http_requests_total{") && line.contains("/position"));
        polls.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = polls().await;
    let child = sale(&server).spawn().unwrap();
    eventually("the sale asks for its place", async || (polls().await > before).then_some(())).await;
    buyer.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    set_gate(&operator, "open").await;
    assert_sold("ended", &ended(child).await);
    server.close().await;
}

/// A column of a table.
struct Column {
    kind: String,
    name: String,
    is_key: bool,
}

/// The tables of the box office as `PostgreSQL` has them, each with its columns.
fn tables() -> Vec<(String, Vec<Column>)> {
    let migration = text("crates/storage/migrations/postgres/0001_box_office.sql");
    let column =
        regex::Regex::new(r#"^    "?([a-z_]+)"?\s+(bigint|integer|smallint|text|uuid|bytea|boolean|jsonb)\b(.*)$"#)
            .unwrap();
    let mut tables = Vec::new();
    for part in migration.split("\nCREATE TABLE ").skip(1) {
        let (name, rest) = part.split_once(" (\n").unwrap();
        let body = rest.split("\n)").next().unwrap();
        let key = body.lines().find_map(|line| line.trim().strip_prefix("PRIMARY KEY (")?.strip_suffix(')'));
        let key: Vec<_> = key.into_iter().flat_map(|names| names.split(", ")).collect();
        let columns = body.lines().filter_map(|line| {
            let found = column.captures(line)?;
            let is_key = found[3].contains("PRIMARY KEY") || key.contains(&&found[1]);
            Some(Column { kind: found[2].to_owned(), name: found[1].to_owned(), is_key })
        });
        tables.push((name.trim_matches('"').to_owned(), columns.collect()));
    }
    tables
}

/// The references: the table that is referred to, how often, the table that refers, its column, and what that
/// means.
const RELATIONS: [(&str, &str, &str, &str, &str); 12] = [
    ("user", "||--o{", "waiting_token", "user_id", "has"),
    ("user", "||--o|", "point", "user_id", "has"),
    ("user", "||--o{", "point_history", "user_id", "has"),
    ("user", "||--o{", "reservation", "user_id", "makes"),
    ("user", "||--o{", "payment", "user_id", "makes"),
    ("room", "||--o{", "waiting_token", "room_id", "contains"),
    ("room", "||--o{", "concert", "room_id", "leads to"),
    ("concert", "||--o{", "seat", "concert_id", "contains"),
    ("concert", "||--o{", "reservation", "concert_id", "is of"),
    ("seat", "||--o{", "reservation", "seat_id", "reserved by"),
    ("reservation", "||--o|", "payment", "reservation_id", "paid by"),
    ("payment", "||--o{", "point_history", "payment_id", "books"),
];

/// The picture of the tables of a sale, with their instants or without.
fn picture(with_instants: bool) -> String {
    let tables = tables();
    let find = |name: &str| &tables.iter().find(|(table, _)| table == name).unwrap().1;
    let mut lines = vec!["erDiagram".to_owned()];
    let mut shown: Vec<&str> = Vec::new();
    for (to, how_often, from, column, meaning) in RELATIONS {
        assert!(find(from).iter().any(|known| known.name == column), "{from}.{column}");
        lines.push(format!("    {to} {how_often} {from} : \"{meaning}\""));
        shown.extend([to, from].into_iter().filter(|table| !shown.contains(table)).collect::<Vec<_>>());
    }
    for table in shown {
        lines.push(format!("    {table} {{"));
        for Column { kind, name, is_key } in find(table) {
            let refers = RELATIONS.iter().any(|(_, _, from, column, _)| (*from, *column) == (table, name.as_str()));
            let keys: Vec<_> = [(*is_key, "PK"), (refers, "FK")].iter().filter(|key| key.0).map(|key| key.1).collect();
            if with_instants || !name.ends_with("_at") {
                lines.push(format!("        {kind} {name} {}", keys.join(", ")).trim_end().to_owned());
            }
        }
        lines.push("    }".to_owned());
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_picture_of_the_tables_is_of_the_tables() {
    for (page, with_instants) in [("ARCHITECTURE.md", true), ("README.md", false), ("README.ko.md", false)] {
        let (known, expected) = (text(page), picture(with_instants));
        let start = known.find("erDiagram\n").unwrap_or_else(|| panic!("{page} has no picture of the tables"));
        let end = start + known[start..].find("```").unwrap();
        if known[start..end] == expected {
            continue;
        }
        if std::env::var_os("FRONTROW_UPDATE_DOCS").is_some() {
            std::fs::write(file(page), format!("{}{expected}{}", &known[..start], &known[end..])).unwrap();
        } else {
            panic!("{page} shows other tables than the migration makes: run this test with FRONTROW_UPDATE_DOCS=1");
        }
    }
}
