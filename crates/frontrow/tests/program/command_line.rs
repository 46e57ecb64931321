//! The program's commands, alone and beside a server that runs.

use crate::PROGRAM;
use frontrow_clock::Clock;
use frontrow_testkit::{
    ApiAnswer, Client, PATIENCE, PRICE, Server, TOUR, items,
    program::{Process, refused, succeeds, text},
    settings,
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};
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
    let said = succeeds(PROGRAM.command(folder, "concert import").arg(&file));
    assert_eq!(said, "Concert 1: Midnight Tide in Busan with 3 seats.\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concert_imported_beside_a_running_server_can_be_joined_and_bought_at_once() {
    let (folder, operator, buyer) = prepared().await;
    let process = PROGRAM.start(folder.path(), &[]);
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

/// The content of a copy of the database's file alone.
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
    let mut process = PROGRAM.start(folder.path(), &[]);
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
    let mut process = PROGRAM.start(folder.path(), &[]);
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
    let process = PROGRAM.start(folder.path(), &[]);
    let (status, said) = refused(PROGRAM.command(folder.path(), "serve").args(["--listen", "127.0.0.1:0"])).await;
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("a server runs over"), "{said}");
    import(folder.path());
    PROGRAM.assert_books_in_order(folder.path());
    assert!(succeeds(&mut PROGRAM.command(folder.path(), "migrate")).ends_with("is up to date.\n"));
    process.kill();
    // The lock died with it.
    PROGRAM.start(folder.path(), &[]).kill();
}

/// A process with an account that somebody registered, and the ways to ask it.
struct Registered {
    folder: TempDir,
    process: Process,
    anonymous: Client,
}

const FIRST: &str = "first password";
const SECOND: &str = "second password";

impl Registered {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password.txt"), format!("{SECOND}\n")).unwrap();
        let process = PROGRAM.start(folder.path(), &[]);
        let anonymous = Client::anonymous(reqwest::Client::new(), process.address);
        let account = serde_json::json!({ "name": "Mallory", "email": "ops@venue.example", "password": FIRST });
        anonymous.post("/users", &account).await.expect(201);
        Self { folder, process, anonymous }
    }

    async fn sign_in(&self, password: &str) -> ApiAnswer {
        let body = serde_json::json!({ "email": "ops@venue.example", "password": password });
        self.anonymous.post("/sessions", &body).await
    }

    async fn session(&self, password: &str) -> Client {
        let session = self.sign_in(password).await.expect(201);
        self.anonymous.with_secret(session["session_token"].as_str().unwrap())
    }

    /// A command about the account.
    fn command(&self, name: &str) -> std::process::Command {
        let mut command = PROGRAM.command(self.folder.path(), name);
        command.args(["--email", "Ops@Venue.example"]).stdin(std::process::Stdio::null());
        command
    }

    fn with_password(&self, name: &str) -> std::process::Command {
        let mut command = self.command(name);
        command.arg("--password-file").arg(self.folder.path().join("password.txt"));
        command
    }
}

/// Waits until a session that was used before has ended at the running server.
async fn ends(session: &Client) {
    let started = std::time::Instant::now();
    while session.get("/users/me").await.status != 401 {
        assert!(started.elapsed() < PATIENCE, "the running server does not learn of it");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_another_user_registered_becomes_an_operators_on_purpose_alone() {
    let office = Registered::new().await;
    let mallory = office.session(FIRST).await;
    mallory.get("/users/me").await.expect(200);
    let (status, said) = refused(office.with_password("operator add").args(["--name", "Ops"])).await;
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("has an account already, as a buyer") && said.contains("--promote"), "{said}");
    assert_eq!(mallory.get("/users/me").await.expect(200)["role"], "buyer", "nothing was changed");

    let printed = succeeds(office.with_password("operator add").args(["--name", "Ops", "--promote"]));
    assert!(printed.contains("is an operator with the given password"), "{printed}");
    ends(&mallory).await;
    office.sign_in(FIRST).await.problem(401, "unauthorized");
    let user = &office.sign_in(SECOND).await.expect(201)["user"];
    assert_eq!((user["role"].as_str(), user["name"].as_str()), (Some("operator"), Some("Ops")));

    let session = office.session(SECOND).await;
    session.get("/operator/rooms").await.expect(200);
    assert!(succeeds(&mut office.command("operator remove")).contains("is a buyer now"));
    ends(&session).await;
    office.session(SECOND).await.get("/operator/rooms").await.problem(403, "forbidden");
    let (status, _) = refused(&mut office.command("operator remove")).await;
    assert!(!status.success());
    let printed = succeeds(office.command("operator add").args(["--promote", "--keep-password"]));
    assert!(printed.contains("the password that its owner chose"), "{printed}");
    assert_eq!(office.sign_in(SECOND).await.expect(201)["user"]["role"], "operator");
    office.process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_added_and_no_argument_is_left_out_of_account() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password.txt");
    std::fs::write(&password, SECOND).unwrap();
    let add = |args: &[&str]| {
        let mut add = PROGRAM.command(folder.path(), "operator add");
        add.args(["--email", "ops@example.com", "--password-file"]).arg(&password).args(args);
        add
    };
    for bad in
        [&["--name", "Ops", "--promote"][..], &[], &["--name", "Ops", "--keep-password"], &["--name", "\u{200b}"]]
    {
        let (status, said) = refused(&mut add(bad)).await;
        assert!(!status.success(), "{bad:?}: {said}");
    }
    assert!(succeeds(&mut add(&["--name", "Ops"])).contains("ops@example.com is an operator."));
    let promote = |args: &[&str]| succeeds(&mut add(&[&["--promote"], args].concat()));
    assert!(promote(&["--viewer"]).contains("is a viewer with the given password"));
    let (_, said) = refused(&mut add(&["--name", "Ops"])).await;
    assert!(said.contains("as a viewer") && said.contains("an operator's"), "{said}");
    assert!(promote(&[]).contains("is an operator with the given password"));
    assert!(promote(&["--viewer"]).contains("is a viewer"));
    let mut reset = PROGRAM.command(folder.path(), "user reset-factor");
    let (status, said) = refused(reset.args(["--email", "ops@example.com"])).await;
    assert!(!status.success() && said.contains("ops@example.com has no second factor"), "{said}");
    let mut remove = PROGRAM.command(folder.path(), "operator remove");
    assert!(succeeds(remove.args(["--email", "ops@example.com"])).contains("is a buyer now"));
    let (_, said) = refused(&mut add(&["--name", "Eyes", "--viewer"])).await;
    assert!(said.contains("as a buyer") && said.contains("a viewer's"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_about_an_account_beside_a_running_server_reaches_it() {
    let office = Registered::new().await;
    let session = office.session(FIRST).await;
    session.get("/users/me").await.expect(200);
    succeeds(&mut office.command("user lock"));
    ends(&session).await;
    office.sign_in(FIRST).await.problem(403, "account_locked");
    succeeds(&mut office.command("user unlock"));
    let session = office.session(FIRST).await;
    session.get("/users/me").await.expect(200);
    succeeds(&mut office.with_password("user password"));
    ends(&session).await;
    office.sign_in(FIRST).await.problem(401, "unauthorized");
    office.sign_in(SECOND).await.expect(201);

    let printed = succeeds(&mut office.command("user reset-link"));
    let reset = serde_json::json!({ "secret": printed.lines().next().unwrap(), "new_password": FIRST });
    office.anonymous.post("/password-resets", &reset).await.expect(204);
    let session = office.session(FIRST).await;
    session.top_up(1_000).await;
    let (status, said) = refused(&mut office.command("user erase")).await;
    assert!(!status.success() && said.contains("balance of 1000"), "{said}");
    let said = succeeds(office.command("user erase").arg("--force"));
    assert!(said.contains("is erased") && said.contains("a balance of 1000 and 0 tickets"), "{said}");
    ends(&session).await;
    office.sign_in(FIRST).await.problem(401, "unauthorized");
    let (status, said) = refused(&mut office.command("user lock")).await;
    assert!(!status.success() && said.contains("has no account"), "{said}");
    PROGRAM.assert_books_in_order(office.folder.path());
    office.process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_address_is_too_odd_today_is_changed_and_erased_as_any_other() {
    let office = Registered::new().await;
    office.process.kill();
    let (folder, email) = (office.folder.path(), "abc..def@docomo.ne.jp");
    let file = rusqlite::Connection::open(folder.join("frontrow.db")).unwrap();
    assert_eq!(file.execute("UPDATE \"user\" SET email = ?1", [email]).unwrap(), 1);
    drop(file);
    let about = |name: &str| {
        let mut command = PROGRAM.command(folder, name);
        command.args(["--email", "ABC..def@docomo.ne.jp", "--password-file"]).arg(folder.join("password.txt"));
        command
    };
    let plain = |name: &str| {
        let mut command = PROGRAM.command(folder, name);
        command.args(["--email", email]);
        command
    };
    succeeds(&mut plain("user lock"));
    succeeds(&mut plain("user unlock"));
    succeeds(&mut about("user password"));
    assert!(succeeds(about("operator add").arg("--promote")).contains("is an operator"));
    succeeds(&mut plain("operator remove"));
    let (status, said) = refused(about("operator add").args(["--name", "Ops"])).await;
    assert!(!status.success() && said.contains("email"), "no new account has such an address: {said}");
    assert!(succeeds(&mut plain("user erase")).contains("is erased"));
    PROGRAM.assert_books_in_order(folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_accounts_do_not_outlive_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let sign_in = async |process: &Process, password: &str| {
        let anonymous = Client::anonymous(reqwest::Client::new(), process.address);
        let body = serde_json::json!({ "email": frontrow_service::demo::OPERATOR, "password": password });
        (anonymous.post("/sessions", &body).await, anonymous)
    };
    let process = PROGRAM.start_with(folder.path(), &["--demo"]);
    let (session, anonymous) = sign_in(&process, frontrow_service::demo::PASSWORD).await;
    let operator = anonymous.with_secret(session.expect(201)["session_token"].as_str().unwrap());
    operator.get("/operator/rooms").await.expect(200);
    process.kill();

    let process = PROGRAM.start(folder.path(), &[]);
    sign_in(&process, frontrow_service::demo::PASSWORD).await.0.problem(403, "demo_account");
    operator.at(process.address).get("/users/me").await.problem(401, "unauthorized");
    let password = folder.path().join("password.txt");
    std::fs::write(&password, SECOND).unwrap();
    let mut set = PROGRAM.command(folder.path(), "user password");
    succeeds(set.args(["--email", frontrow_service::demo::OPERATOR, "--password-file"]).arg(&password));
    sign_in(&process, SECOND).await.0.expect(201);
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewed_lines_refuse_old_tokens_and_keep_the_places() {
    let (folder, _, buyer) = prepared().await;
    let mut process = PROGRAM.start(folder.path(), &[]);
    let first = buyer.at(process.address);
    let old = first.enter(None).await;
    let place = first.join(None).await["position"].clone();
    let (status, said) = refused(&mut PROGRAM.command(folder.path(), "line renew")).await;
    assert!(!status.success() && said.contains("a server runs over"), "{said}");
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(succeeds(&mut PROGRAM.command(folder.path(), "line renew")).starts_with("1 lines are renewed"));

    let process = PROGRAM.start(folder.path(), &[]);
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
    let process = PROGRAM.start(folder.path(), &[]);
    let token = buyer.at(process.address).enter(None).await;
    process.kill();
    for (rotations, status) in [(3, 200), (1, 404)] {
        for _ in 0..rotations {
            assert!(succeeds(&mut PROGRAM.command(folder.path(), "keys rotate")).contains("has a new key"));
        }
        let process = PROGRAM.start(folder.path(), &[]);
        let answer = buyer.at(process.address).get(&format!("/queue/tokens/{token}/position")).await;
        assert_eq!(answer.status, status);
        process.kill();
    }
}

#[test]
fn a_log_in_json_is_all_that_a_server_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = PROGRAM.command(folder.path(), "serve");
    serve.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut child = serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = Vec::new();
    for line in log.by_ref() {
        let is_serving = line.contains("\"serving\"");
        lines.push(line);
        if is_serving {
            break;
        }
    }
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    lines.extend(log);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    for line in &lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["fields"]["message"].is_string(), "{line}");
    }
    assert!(lines.last().unwrap().contains("stopped in good order"), "{lines:?}");
}
