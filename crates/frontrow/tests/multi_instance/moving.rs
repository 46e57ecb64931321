//! A box office moves from `SQLite` to `PostgreSQL`.

use super::{PROGRAM, assert_books_in_order, hall, instance};
use frontrow_clock::Clock;
use frontrow_testkit::{
    PRICE, Server, id,
    program::{refused, succeeds, text},
    servers::postgres::TestDatabase,
    settings,
};
use reqwest::Method;
use serde_json::json;
use std::{path::Path, process::Command};

fn moving(folder: &Path, database: &TestDatabase) -> Command {
    moving_as(folder, &database.url())
}

fn moving_as(folder: &Path, url: &str) -> Command {
    let mut command = PROGRAM.command(folder, "migrate");
    let from = format!("sqlite:{}", folder.join("frontrow.db").display());
    command.args(["--from", &from, "--to", url]);
    command
}

/// The database's URL for a role that owns it and has no other rights.
async fn plain_owner(database: &TestDatabase) -> String {
    let role = format!("owner_{}", database.name());
    let own = format!("CREATE ROLE {role} LOGIN; ALTER DATABASE {} OWNER TO {role}", database.name());
    database.client().await.batch_execute(&own).await.unwrap();
    database.url().replace("postgres@", &format!("{role}@"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_office_moves_with_everything_and_sells_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), &[]);
    let old = Server::over(folder, config, Clock::System).await;
    let halls = [hall(&old, 4).await, hall(&old, 3).await];
    let operator = old.operator().await;
    let removed = halls[1].seats[2];
    let remove = format!("/operator{}/seats/remove", halls[1].path());
    operator.post(&remove, &json!({ "seat_ids": [removed], "reason": "A larger stage" })).await.expect(200);
    let details = json!({ "details": { "description": "One.\n\nTwo.", "age_rating": "12", "doors_minutes": 30 } });
    operator.call(Method::PATCH, &format!("/operator{}", halls[0].path())).json(&details).send().await.expect(200);
    let picture = frontrow_testkit::picture(40, 30);
    let poster = operator.call(Method::PUT, &format!("/operator{}/poster", halls[0].path()));
    poster.body("image/png", picture).send().await.expect(200);
    let shown = operator.get(&halls[0].path()).await.expect(200);
    let first = old.buyer_with("first", 2 * PRICE).await;
    let (_, payment) = first.buy(halls[0].seats[0]).await;
    operator
        .post(&format!("/operator/payments/{payment}/refund"), &json!({ "reason": "As agreed." }))
        .await
        .expect(200);
    first.buy(halls[1].seats[0]).await;
    let second = old.buyer_with("second", 2 * PRICE).await;
    let token = second.enter(None).await;
    let held = id(&second.hold(&token, halls[0].seats[1]).await.expect(201), "reservation_id");
    let keyed = |token: &str| second.hold_call(token, halls[0].seats[2]).key("a-key-that-is-used-twice");
    let reservation = keyed(&token).send().await.expect(201);
    let waiting = old.buyer("third").await;
    let place = waiting.join(None).await;
    let folder = old.stop().await;

    let database = TestDatabase::empty().await;
    let process = PROGRAM.start(folder.path(), &[]);
    let (status, said) = refused(&mut moving(folder.path(), &database)).await;
    assert!(status.code() == Some(2) && said.contains("a server runs over"), "{said}");
    process.kill();
    let (keys, away) = (folder.path().join("keys.toml"), folder.path().join("away.toml"));
    std::fs::rename(&keys, &away).unwrap();
    let (status, said) = refused(&mut moving(folder.path(), &database)).await;
    assert!(status.code() == Some(2) && said.contains("no token keys") && said.contains("2 tokens"), "{said}");
    std::fs::rename(&away, &keys).unwrap();
    let output = moving_as(folder.path(), &plain_owner(&database).await).output().unwrap();
    let (said, log) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && !log.contains("WARN") && !log.contains("ERROR"), "{log}");
    assert!(said.contains("6  seat\n") && said.contains("1  token keys\n"), "{said}");
    let (status, said) = refused(&mut moving(folder.path(), &database)).await;
    assert!(status.code() == Some(2) && said.contains("has rows already"), "{said}");

    let file = rusqlite::Connection::open(folder.path().join("frontrow.db")).unwrap();
    let noted: i64 = file.query_row("SELECT alive_at FROM clock", (), |row| row.get(0)).unwrap();
    drop(file);
    let moved = database.client().await.query_one("SELECT alive_at FROM office", &[]).await.unwrap();
    assert_eq!(moved.get::<_, i64>(0), noted, "the first server lengthens by the time of the move");

    let new = instance(&database).await;
    assert_books_in_order(&new.config).await;
    let moved = operator.at(new.address).get(&halls[0].path()).await.expect(200);
    assert_eq!((&moved["details"], &moved["poster"]), (&shown["details"], &shown["poster"]));
    let (second, waiting) = (second.at(new.address), waiting.at(new.address));
    assert_eq!(second.position(&token).await["status"], "active", "the token is good for the same place");
    let replay = second.call(Method::POST, "/reservations").token(&token).key("a-key-that-is-used-twice");
    let replay = replay.json(&json!({ "seat_id": halls[0].seats[2] })).send().await;
    assert!(replay.is_replay(), "{}", replay.text());
    assert_eq!(replay.expect(201), reservation);
    second.pay(&token, held).await.expect(201);
    assert_eq!(waiting.join(None).await["position"], place["position"]);
    let next = new.buyer("fourth").await.join(None).await;
    assert!(next["position"].as_i64().unwrap() > place["position"].as_i64().unwrap());
    assert!(hall(&new, 1).await.seats[0] > removed, "the highest seat's id is no other's, though it was removed");
    assert_books_in_order(&new.config).await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_another_version_is_not_moved() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::empty().await;
    let (status, said) = refused(&mut moving(folder.path(), &database)).await;
    assert!(status.code() == Some(2) && said.contains("there is no file"), "{said}");
    succeeds(&mut PROGRAM.command(folder.path(), "migrate"));
    let file = rusqlite::Connection::open(folder.path().join("frontrow.db")).unwrap();
    file.pragma_update(None, "user_version", 999).unwrap();
    drop(file);
    let (status, said) = refused(&mut moving(folder.path(), &database)).await;
    assert!(status.code() == Some(2) && said.contains("999"), "{said}");
}
