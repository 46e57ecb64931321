//! The program's commands, alone and beside a server that runs.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod program;
#[expect(dead_code, reason = "the tests of the API use the rest")]
#[path = "api/support.rs"]
mod support;

use frontrow::clock::Clock;
use program::{Process, assert_books_in_order, command, refused, succeeds};
use std::path::Path;
use support::{Client, PRICE, Server, items, settings};
use tempfile::TempDir;

/// A data folder with an operator and a buyer who are signed in, closed again.
async fn prepared() -> (TempDir, Client, Client) {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), &[]);
    let server = Server::over(folder, config, Clock::System).await;
    let operator = server.operator().await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    (server.stop().await, operator, buyer)
}

/// Imports a concert that has a room of its own.
fn import(folder: &Path) {
    let file = folder.join("tour.json");
    std::fs::write(&file, TOUR).unwrap();
    let said = succeeds(command(folder, "concert import").arg(&file));
    assert_eq!(said, "Concert 1: Midnight Tide in Busan with 3 seats.\n");
}

const TOUR: &str = include_str!("program/tour.json");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concert_imported_beside_a_running_server_can_be_joined_and_bought_at_once() {
    let (folder, operator, buyer) = prepared().await;
    let process = Process::start(folder.path(), &[]);
    let (operator, buyer) = (operator.at(process.address), buyer.at(process.address));
    import(folder.path());
    let token = buyer.enter(Some(1)).await;
    let map = buyer.get("/concerts/1/seats").await.expect(200);
    let seat = map["seats"][0]["seat_id"].as_i64().unwrap();
    let reservation = buyer.hold(&token, seat).await.expect(201)["reservation_id"].as_i64().unwrap();
    buyer.pay(&token, reservation).await.expect(201);
    let rooms = operator.get("/operator/rooms").await.expect(200);
    assert_eq!(items(&rooms)[1]["room_id"], 1);
    process.kill();
}

/// What is in a copy of the database's file alone.
fn rows_of_the_file_alone(folder: &Path, query: &str) -> i64 {
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("frontrow.db");
    std::fs::copy(folder.join("frontrow.db"), &copy).unwrap();
    rusqlite::Connection::open(copy).unwrap().query_row(query, (), |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_the_file_alone_is_the_whole_database() {
    let (folder, _, buyer) = prepared().await;
    import(folder.path());
    let mut process = Process::start(folder.path(), &[]);
    let buyer = buyer.at(process.address);
    let token = buyer.enter(Some(1)).await;
    for seat in 1..=3 {
        buyer.hold(&token, seat).await.expect(201);
    }
    assert_eq!(rows_of_the_file_alone(folder.path(), "SELECT count(*) FROM reservation"), 0, "they are in the log");
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(!folder.path().join("frontrow.db-wal").exists(), "the log is gone");
    assert_eq!(rows_of_the_file_alone(folder.path(), "SELECT count(*) FROM reservation"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_empties_the_log_though_another_program_has_the_file_open() {
    let (folder, _, _) = prepared().await;
    let mut process = Process::start(folder.path(), &[]);
    import(folder.path());
    let other = rusqlite::Connection::open(folder.path().join("frontrow.db")).unwrap();
    other.query_row("SELECT count(*) FROM seat", (), |_| Ok(())).unwrap();
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0));
    assert_eq!(std::fs::metadata(folder.path().join("frontrow.db-wal")).unwrap().len(), 0);
    assert_eq!(rows_of_the_file_alone(folder.path(), "SELECT count(*) FROM seat"), 3);
}

#[test]
fn a_command_leaves_no_log_behind() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path());
    assert!(!folder.path().join("frontrow.db-wal").exists());
    assert_eq!(rows_of_the_file_alone(folder.path(), "SELECT count(*) FROM seat"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_over_a_folder_is_refused_and_other_commands_are_not() {
    let (folder, _, _) = prepared().await;
    let process = Process::start(folder.path(), &[]);
    let (status, said) = refused(command(folder.path(), "serve").args(["--listen", "127.0.0.1:0"])).await;
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("a server runs over"), "{said}");
    import(folder.path());
    assert_books_in_order(folder.path());
    assert!(succeeds(&mut command(folder.path(), "migrate")).ends_with("is up to date.\n"));
    process.kill();
    // The lock died with it.
    Process::start(folder.path(), &[]).kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_added_or_made_of_an_account_that_keeps_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let nobody = Client::of_nobody(reqwest::Client::new(), process.address);
    let sign_in = async |email: &str, password: &str| {
        let body = serde_json::json!({ "email": email, "password": password });
        nobody.post("/sessions", &body).await
    };
    let account = serde_json::json!({ "name": "Minji", "email": "minji@example.com", "password": "first password" });
    nobody.post("/users", &account).await.expect(201);
    sign_in("minji@example.com", "first password").await.expect(201);
    let password = folder.path().join("password.txt");
    std::fs::write(&password, "second password\n").unwrap();
    for (email, said) in [("minji@example.com", "had an account"), ("ops@example.com", "is an operator.")] {
        let mut add = command(folder.path(), "operator add");
        let told = succeeds(add.args(["--email", email, "--name", "Ops", "--password-file"]).arg(&password));
        assert!(told.contains(said), "{told}");
    }
    for (email, password) in [("minji@example.com", "first password"), ("ops@example.com", "second password")] {
        assert_eq!(sign_in(email, password).await.expect(201)["user"]["role"], "operator");
    }
    sign_in("minji@example.com", "second password").await.problem(401, "unauthorized");
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewed_lines_refuse_old_tokens_and_keep_the_places() {
    let (folder, _, buyer) = prepared().await;
    let mut process = Process::start(folder.path(), &[]);
    let first = buyer.at(process.address);
    let old = first.enter(None).await;
    let place = first.join(None).await["position"].clone();
    let (status, said) = refused(&mut command(folder.path(), "line renew")).await;
    assert!(!status.success() && said.contains("a server runs over"), "{said}");
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(succeeds(&mut command(folder.path(), "line renew")).starts_with("1 lines are renewed"));

    let process = Process::start(folder.path(), &[]);
    let buyer = buyer.at(process.address);
    for path in [format!("/queue/tokens/{old}"), format!("/queue/tokens/{old}/position")] {
        buyer.get(&path).await.problem(404, "not_found");
    }
    buyer.activate(&old).await.problem(404, "not_found");
    buyer.delete(&format!("/queue/tokens/{old}")).await.problem(404, "not_found");
    buyer.hold(&old, 1).await.problem(403, "token_invalid");
    let again = buyer.join(None).await;
    assert_eq!((&again["position"], &again["status"]), (&place, &serde_json::json!("active")));
    assert_eq!(buyer.position(again["token"].as_str().unwrap()).await["status"], "active");
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotated_keys_go_on_verifying_until_enough_new_ones_came() {
    let (folder, _, buyer) = prepared().await;
    let process = Process::start(folder.path(), &[]);
    let token = buyer.at(process.address).enter(None).await;
    process.kill();
    for (rotations, status) in [(3, 200), (1, 404)] {
        for _ in 0..rotations {
            assert!(succeeds(&mut command(folder.path(), "keys rotate")).contains("has a new key"));
        }
        let process = Process::start(folder.path(), &[]);
        let answer = buyer.at(process.address).get(&format!("/queue/tokens/{token}/position")).await;
        assert_eq!(answer.status, status);
        process.kill();
    }
}
