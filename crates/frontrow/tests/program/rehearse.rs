//! `frontrow rehearse`: a whole sale of a copy, of which the real database knows nothing.

use crate::PROGRAM;
use frontrow_testkit::{
    PATIENCE,
    program::{refused, succeeds},
};
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};
use tempfile::TempDir;

/// A concert with 30 seats of two prices, of which 3 are not for sale, whose sale opens in years.
const CONCERT: &str = r#"[{
    "concert": {
        "title": "Midnight Tide in Busan", "artist": "Midnight Tide", "venue": "Dalmaji Theatre, Busan",
        "time_zone": "Asia/Seoul", "concert_date": "2999-12-31", "start_time": "20:00:00", "end_time": "22:00:00",
        "base_price": 100000, "opens_at": "2999-01-01T00:00:00Z", "own_room_max_active": 10
    },
    "seats": [
        { "range": { "from": 1, "to": 20, "row": "A", "grade": "R" } },
        { "range": { "from": 21, "to": 30, "row": "B", "grade": "S", "price": 50000 } }
    ]
}]"#;

fn folder_with(concert: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("concert.json");
    std::fs::write(&file, concert).unwrap();
    succeeds(PROGRAM.command(folder.path(), "concert import").arg(&file));
    folder
}

fn rehearse(folder: &Path, flags: &[&str]) -> Command {
    let mut command = PROGRAM.command(folder, "rehearse");
    command.args(flags);
    command
}

const SMALL: [&str; 10] =
    ["--people", "50", "--visit-seconds", "1", "--give-up-percent", "10", "--seats-each", "2", "--minutes", "1"];

#[test]
fn a_copy_is_sold_out_to_a_crowd_and_the_real_database_stays_byte_for_byte() {
    let folder = folder_with(CONCERT);
    let database = folder.path().join("frontrow.db");
    let before = std::fs::read(&database).unwrap();
    let report = folder.path().join("report.json");
    let flags = [&["--concert", "1", "--report", report.to_str().unwrap()], &SMALL[..]].concat();
    let said = succeeds(&mut rehearse(folder.path(), &flags));
    for expected in ["30 seats for sale", "50 of 50 people came", "Sold out after", "Every promise"] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
    let report: Value = serde_json::from_reader(File::open(&report).unwrap()).unwrap();
    assert_eq!((&report["sold_out"]["kind"], &report["sold"]), (&"measured".into(), &30.into()), "{report}");
    assert_eq!((&report["breaches"], &report["errors"], &report["available"]), (&0.into(), &0.into(), &0.into()));
    assert!(report["bought"].as_i64() >= Some(15) && report["wait"]["count"].as_i64() >= Some(15), "{report}");
    assert!(report["requests"].as_i64() > Some(100) && report["server_cpu"].as_i64() > Some(0), "{report}");
    assert!(std::fs::read(&database).unwrap() == before, "the real database was written");
    assert!(!folder.path().join("rehearsal").exists(), "the scratch folder is gone");
    PROGRAM.assert_books_in_order(folder.path());
}

#[tokio::test]
async fn a_rehearsal_is_refused_while_a_sale_is_open_and_for_every_bad_value() {
    let open = folder_with(&CONCERT.replace("2999-01-01", "2020-01-01"));
    let (status, said) = refused(&mut rehearse(open.path(), &["--concert", "1"])).await;
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("the sale of concert 1, Midnight Tide in Busan, is open or opens soon"), "{said}");
    let folder = folder_with(CONCERT);
    for (flag, value, reason) in [
        ("--people", "0", "people must be from 1 to 20000"),
        ("--people", "20001", "people must be from 1 to 20000"),
        ("--people", "many", "invalid value"),
        ("--arrive-minutes", "11", "arrive_minutes must be from 0 to 10"),
        ("--visit-seconds", "0", "visit_seconds must be from 1 to 300"),
        ("--give-up-percent", "91", "give_up_percent must be from 0 to 90"),
        ("--seats-each", "5", "seats_each must be from 1 to 4"),
        ("--minutes", "11", "minutes must be from 1 to 10"),
        ("--concert", "7", "There is no such concert."),
    ] {
        let concert: &[&str] = if flag == "--concert" { &[] } else { &["--concert", "1"] };
        let (status, said) = refused(rehearse(folder.path(), concert).args([flag, value])).await;
        assert!(status.code() == Some(2) && said.contains(reason), "{flag} {value}: {said}");
    }
    let plan = folder.path().join("plan.json");
    for bad in ["", "{}", "[1]", "{\"concert_id\":1}"] {
        std::fs::write(&plan, bad).unwrap();
        let (status, said) = refused(rehearse(folder.path(), &["--plan"]).arg(&plan)).await;
        assert!(status.code() == Some(2) && said.contains("not a plan"), "{bad}: {said}");
    }
    assert!(!folder.path().join("rehearsal").exists());
}

/// A plan that takes long, as the cockpit gives one.
fn plan() -> String {
    let seat =
        |number: u32| format!(r#"{{"section":"","row":"A","number":"{number}","grade":"R","price":1000,"free":true}}"#);
    let seats: Vec<_> = (1..=500).map(seat).collect();
    format!(
        r#"{{"concert_id":1,"title":"T","artist":"A","venue":"V","base_price":1000,
        "room":{{"kind":"own","max_active":1,"admit_per_minute":null}},
        "rules":{{"hold_seconds":300,"pay_grace_seconds":30,"max_seats_per_user":4,"holds_per_turn":20,
            "seat_cooldown_seconds":60,"offer_lead_seconds":5,"missed_turns_max":2,"claim_window_seconds":60,
            "recall_window_seconds":600,"dormant_after_seconds":90,"dormant_limit_seconds":1800,"idle_seconds":90,
            "active_limit_seconds":600}},
        "setup":{{"people":20,"arrive_minutes":0,"visit_seconds":30,"give_up_percent":0,"seats_each":1,"minutes":10}},
        "seats":[{}]}}"#,
        seats.join(",")
    )
    .replace('\n', " ")
}

/// A rehearsal as a server starts it, when its sale is open.
fn started(folder: &Path) -> Child {
    let scratch = folder.join("scratch");
    let mut command = Command::new(PROGRAM.path());
    command.args(["rehearse", "--news", "--plan", "-", "--scratch"]).arg(scratch).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    writeln!(child.stdin.as_ref().unwrap(), "{}", plan()).unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let is_open = lines.any(|line| line.unwrap().contains("\"selling\""));
    assert!(is_open, "the rehearsal ended before its sale was open");
    child
}

fn wait_for(child: &mut Child) {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "the rehearsal does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_rehearsal_ends_with_its_input_and_one_runs_at_a_time_and_the_next_one_removes_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    let mut child = started(folder.path());
    let mut second = Command::new(PROGRAM.path());
    let plan_file = folder.path().join("plan.json");
    std::fs::write(&plan_file, plan()).unwrap();
    second.args(["rehearse", "--plan"]).arg(&plan_file).arg("--scratch").arg(&scratch);
    let (_, said) = refused(&mut second).await;
    assert!(said.contains("another one runs on this machine"), "{said}");
    // The server that started it, if it still runs, removes what it left; else the next one does.
    for ends in [|child: &mut Child| drop(child.stdin.take()), |child: &mut Child| child.kill().unwrap()] {
        ends(&mut child);
        wait_for(&mut child);
        std::fs::write(scratch.join("frontrow.db-left"), "left").unwrap();
        child = started(folder.path());
        assert!(!scratch.join("frontrow.db-left").exists());
    }
    child.kill().unwrap();
    wait_for(&mut child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_removes_what_a_killed_rehearsal_left() {
    let folder = folder_with(CONCERT);
    let scratch = folder.path().join("rehearsal");
    std::fs::create_dir(&scratch).unwrap();
    std::fs::write(scratch.join("frontrow.db"), "of a rehearsal").unwrap();
    std::fs::write(scratch.join("rehearsal.mark"), "").unwrap();
    let process = PROGRAM.start(folder.path(), &[]);
    assert!(!scratch.exists());
    process.kill();
}
