//! `SQLite`: the file is copied while a server has it open.

mod shoppers;

use crate::PROGRAM;
use frontrow_clock::Clock;
use frontrow_domain::time::Span;
use frontrow_testkit::{Server, program::succeeds, settings};
use rusqlite::{Connection, OpenFlags};
use shoppers::{PLENTY, Shoppers};
use std::{path::Path, process::Command};

const FLAGS: [(&str, &str); 2] = [("--max-seats-per-user", "1000"), ("--max-active", "20")];

/// As in docs/operations.md.
fn backup_of_the_command_line(database: &Path, copy: &Path) {
    let mut sqlite3 = Command::new("sqlite3");
    succeeds(sqlite3.arg("-readonly").arg(database).arg(format!(".backup '{}'", copy.display())));
}

/// The same with a program of this version of `SQLite`.
fn vacuum_into(database: &Path, copy: &Path) {
    let reader = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    reader.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
}

async fn restored_after(backup: fn(&Path, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), &FLAGS);
    let server = Server::over(folder, config, Clock::System).await;
    let opened = server.clock.now().minus(Span::from_secs(60));
    let hall = server.hall_like(400, |draft| {
        draft.concert_date = jiff::civil::date(2999, 12, 31);
        draft.opens_at = opened;
    });
    let hall = hall.await;
    let mut clients = Vec::new();
    for number in 0..4 {
        clients.push(server.buyer_with(&format!("buyer{number}"), PLENTY).await);
    }
    let folder = server.stop().await;
    let process = PROGRAM.start(folder.path(), &FLAGS);
    let mut shoppers = Shoppers::start(&clients, &hall, process.address).await;

    let before = shoppers.some_more().await;
    let copies = tempfile::tempdir().unwrap();
    backup(&folder.path().join("frontrow.db"), &copies.path().join("frontrow.db"));
    shoppers.some_more().await;
    std::fs::copy(folder.path().join("keys.toml"), copies.path().join("keys.toml")).unwrap();
    shoppers.stop().await;
    process.kill();
    drop(folder);

    succeeds(&mut PROGRAM.command(copies.path(), "line renew"));
    PROGRAM.assert_books_in_order(copies.path());
    let process = PROGRAM.start(copies.path(), &FLAGS);
    shoppers.find_everything(&before, process.address).await;
    shoppers.keep_their_places(process.address).await;
    shoppers.can_buy(process.address).await;
    process.kill();
    PROGRAM.assert_books_in_order(copies.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_during_a_sale_is_restored_and_sells() {
    restored_after(vacuum_into).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_backup_is_restored_and_sells() {
    restored_after(backup_of_the_command_line).await;
}
