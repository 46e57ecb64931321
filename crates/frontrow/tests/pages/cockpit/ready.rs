//! The checklist before the opening: each item in its states.

use crate::support::{browser, says};
use frontrow_domain::{command::RoomChange, line::Gate};
use frontrow_service::drafts::{SeatRange, SeatsDraft};
use frontrow_testkit::{Browser, Client, Hall, LoadedPage, START, Server, draft};
use regex::Regex;
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

/// The items of the page by their names: how each looks, and all that it says.
fn items(page: &LoadedPage) -> BTreeMap<String, (String, String)> {
    assert_eq!(page.status, 200, "{}", page.html);
    let item =
        Regex::new(r#"(?s)<li class="card ready-check ([a-z]+)">\s*<h2>([^<]+?) <span.*?</h2>(.*?)</li>"#).unwrap();
    let found = item.captures_iter(&page.html);
    found.map(|item| (item[2].to_owned(), (item[1].to_owned(), item[3].to_owned()))).collect()
}

/// An item must look like this and say this.
fn item(page: &LoadedPage, name: &str, look: &str, text: &str) {
    let items = items(page);
    let (found, said) = items.get(name).unwrap_or_else(|| panic!("no {name} in {items:?}"));
    assert_eq!(found, look, "{name}: {said}");
    assert!(said.contains(text), "{name}: {text} is not in {said}");
}

fn english(server: &Server, operator: &Client) -> Browser {
    let browser = Browser::at(server);
    browser.set_cookie("frontrow-session", operator.secret());
    browser
}

fn path(hall: &Hall) -> String {
    format!("/operator/concerts/{}/ready", hall.id())
}

async fn set_room(server: &Server, hall: &Hall, change: RoomChange) {
    let (caller, room) = (frontrow_domain::user::Caller::System, hall.concert.room_id);
    server.app().office.set_room(caller, room, change, None, None, None).await.unwrap();
}

#[tokio::test]
async fn a_sale_that_is_ready_says_so_and_leaves_to_the_operator_what_it_cannot_see() {
    let server = Server::start().await;
    let hall = server
        .hall_like(20, |draft| {
            draft.opens_at = START.plus(frontrow_domain::time::Span::from_secs(7_200));
            draft.own_room_max_active = Some(10);
        })
        .await;
    let operator = server.operator().await;
    let eyes = english(&server, &operator);
    let page = eyes.open(&path(&hall)).await;
    assert_eq!(items(&page).len(), 12, "{:?}", items(&page));
    item(&page, "Opening", "good", "in 2 h.");
    item(&page, "Seats and prices", "good", "20 seats for sale, 0 blocked.");
    item(&page, "Waiting room", "good", "Up to 10 people choose seats at once, of 20 seats");
    item(&page, "Pace", "good", "all seats take 20 min.");
    item(&page, "Message", "look", "People in line see no message.");
    item(&page, "What buyers read", "look", "Missing: poster, description");
    item(&page, "What buyers read", "look", &format!("href=\"/operator/concerts/{}/edit\"", hall.id()));
    let details =
        json!({ "description": "A night.", "age_rating": "12", "running_minutes": 90, "organiser_contact": "1588" });
    let concert = format!("/operator/concerts/{}", hall.id());
    operator.patch(&concert, &json!({ "details": details })).await.expect(200);
    let detailed = eyes.open(&path(&hall)).await;
    item(&detailed, "What buyers read", "look", "Missing: poster<");
    item(&detailed, "What buyers read", "look", &format!("href=\"{concert}/poster\""));
    item(&page, "Sign-ins", "good", "If 20 people sign in at the opening");
    item(&page, "Clock", "good", "The sale goes by this machine’s clock");
    item(&page, "Servers", "good", "One server.");
    assert!(items(&page)["Disk"].1.contains("MiB free."));
    item(&page, "Backup", "unknown", "doesn’t know where others put theirs");
    assert!(["good", "look"].contains(&items(&page)["Database"].0.as_str()));
    says(&page, &["Check again</a>", "data-look-again", "things to look at."], &[]);
    let said = eyes.open(&format!("{}?backup=yes", path(&hall))).await;
    item(&said, "Backup", "good", "You said that there’s a backup.");
    let korean = browser(&server, &operator).open(&path(&hall)).await;
    says(&korean, &["예매 시작 전 점검", "판매 좌석 20석", "서버가 1대입니다."], &[]);
    server.close().await;
}

#[tokio::test]
async fn the_newest_file_in_the_folder_of_backups_says_how_old_the_backup_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(&[("--backup-folder", folder.path().to_str().unwrap())]).await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let eyes = english(&server, &operator);
    let page = eyes.open(&path(&hall)).await;
    item(&page, "Backup", "bad", "There’s none in the folder of backups.");
    let start = UNIX_EPOCH + Duration::from_micros(START.micros().unsigned_abs());
    let backup = std::fs::File::create(folder.path().join("frontrow.db")).unwrap();
    backup.set_modified(start - Duration::from_hours(2)).unwrap();
    item(&eyes.open(&path(&hall)).await, "Backup", "good", "2 h ago.");
    backup.set_modified(start - Duration::from_hours(25)).unwrap();
    item(&eyes.open(&path(&hall)).await, "Backup", "look", "Make one, and check the copy.");
    folder.close().unwrap();
    let page = eyes.open(&format!("{}?backup=yes", path(&hall))).await;
    item(&page, "Backup", "look", "The folder of backups can’t be read.");
    server.close().await;
}

#[tokio::test]
async fn what_would_stop_the_sale_or_is_odd_is_named_with_what_to_do() {
    let server = Server::start().await;
    let hall = server.hall_like(5, |draft| draft.own_room_max_active = Some(10)).await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    let page = browser.open(&path(&hall)).await;
    item(&page, "Opening", "look", "Open since");
    item(&page, "Waiting room", "look", "More people than seats would choose at once");
    set_room(&server, &hall, RoomChange { max_active: Some(0), ..RoomChange::default() }).await;
    let page = browser.open(&path(&hall)).await;
    item(&page, "Waiting room", "bad", "raise “Inside at once” above 0");
    item(&page, "Pace", "bad", "The waiting room lets no one in.");
    item(&page, "Waiting room", "bad", &format!("href=\"/operator/concerts/{}/sale\"", hall.id()));
    let slow = RoomChange {
        max_active: Some(5),
        admit_per_minute: Some(Some(1)),
        gate: Some(Gate::Paused),
        message: Some(Some("곧 열립니다.".to_owned())),
        ..RoomChange::default()
    };
    set_room(&server, &hall, slow).await;
    let page = browser.open(&path(&hall)).await;
    item(&page, "Waiting room", "look", "Open the line before the opening.");
    item(&page, "Pace", "good", "1 turns a minute: 5 min until every seat could be sold");
    item(&page, "Message", "good", "곧 열립니다.");
    let block = json!({ "seat_ids": hall.seats, "reason": "a stage" });
    assert!(operator.post("/operator/seats/block", &block).await.status < 300);
    let page = browser.open(&path(&hall)).await;
    item(&page, "Seats and prices", "bad", "0 seats for sale, 5 blocked.");
    assert!(
        !["Waiting room", "Pace", "Sign-ins"].iter().any(|name| items(&page).contains_key(*name)),
        "no pace of none"
    );
    let close = json!({ "status": "closed", "reason": "a test" });
    operator.patch(&format!("/operator/concerts/{}", hall.id()), &close).await;
    let page = browser.open(&path(&hall)).await;
    item(&page, "Opening", "bad", "No sale will open");
    server.close().await;
}

#[tokio::test]
async fn a_rate_that_needs_hours_and_seats_at_no_charge_are_looked_at() {
    let server = Server::start().await;
    let free = SeatsDraft::Range(SeatRange {
        from: 1,
        to: 200,
        section: "Floor".to_owned(),
        row: "A".to_owned(),
        grade: "Gift".to_owned(),
        price: Some(frontrow_domain::money::Money::ZERO),
    });
    let mut draft = draft();
    draft.own_room_max_active = Some(5);
    let office = server.app().office.clone();
    let (concert, _) = frontrow_service::concert_import::create(&office, &draft, &[free]).await.unwrap();
    drop(office);
    let hall = Hall { concert, seats: Vec::new() };
    set_room(&server, &hall, RoomChange { admit_per_minute: Some(Some(2)), ..RoomChange::default() }).await;
    let browser = english(&server, &server.operator().await);
    let page = browser.open(&path(&hall)).await;
    item(&page, "Seats and prices", "look", "These grades have seats at no charge: Gift");
    item(&page, "Pace", "look", "1 h 40 min");
    server.close().await;
}

#[tokio::test]
async fn a_database_that_takes_no_write_and_a_clock_that_is_held_are_seen() {
    let (server, store) = Server::with_store(&[]).await;
    let hall = server.hall(2).await;
    let browser = english(&server, &server.operator().await);
    browser.open(&path(&hall)).await;
    store.set_busy_timeout(Duration::from_millis(10)).unwrap();
    let locked = rusqlite::Connection::open(server.database()).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let page = browser.open(&path(&hall)).await;
    item(&page, "Database", "bad", "The database didn’t take a write within two seconds.");
    drop(locked);
    server.stop().await;
}

#[tokio::test]
async fn the_checklist_is_for_those_who_see_the_sale() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    assert_eq!(browser(&server, &buyer).open(&path(&hall)).await.status, 403);
    assert!(Browser::at(&server).open(&path(&hall)).await.leads_to().starts_with("/sign-in"));
    let operator = english(&server, &server.operator().await);
    assert_eq!(operator.open("/operator/concerts/999/ready").await.status, 404);
    assert!(operator.open("/operator/concerts/none/ready").await.status >= 400);
    server.close().await;
}
