//! Damaged and replaced files: nothing is committed into them.

use super::{open, raw};

use frontrow_clock::Clock;
use frontrow_domain::{command::Command, decide::decide_all, money::Money, user::Caller};
use frontrow_storage::{Damage, StoreError};
use frontrow_testkit::{
    START,
    fixture::{Fixture, open_sqlite, request},
};
use std::sync::Arc;

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let office = Fixture::sqlite();
    office.sale().await;
    let path = office.path();
    raw(&office).query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    drop(office.store);
    let mut bytes = std::fs::read(&path).unwrap();
    for page in bytes.chunks_mut(4_096).skip(2).step_by(2) {
        page[..200].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
    let refused = open(&path);
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}

/// Whether the store takes no top-up, and goes on taking none.
async fn assert_takes_nothing(office: &Fixture, user: frontrow_domain::id::UserId, damage: Damage) {
    for _ in 0..2 {
        let top_up = Command::TopUp { user_id: user, amount: Money::new(500), reference: None };
        let refused = office.store.transact(Arc::new([request(Caller::Buyer(user), top_up)]), decide_all).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Corrupt(_))), "{refused:?}");
    }
    assert_eq!(office.store.damage(), Some(damage));
    office.store.check_writable().await.unwrap_err();
}

/// The path of the database's log.
fn log_of(office: &Fixture) -> std::path::PathBuf {
    office.path().with_file_name("frontrow.db-wal")
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_committed_into_a_file_that_the_next_start_does_not_find() {
    type Deed = fn(&Fixture);
    let deeds: [(Deed, Damage); 5] = [
        (|office| std::fs::remove_file(office.path()).unwrap(), Damage::FileMoved),
        (|office| std::fs::remove_dir_all(office.folder.as_ref().unwrap().path()).unwrap(), Damage::FileMoved),
        (
            |office| {
                std::fs::copy(office.path(), office.path().with_extension("copy")).unwrap();
                std::fs::rename(office.path().with_extension("copy"), office.path()).unwrap();
            },
            Damage::FileMoved,
        ),
        (|office| std::fs::remove_file(log_of(office)).unwrap(), Damage::LogLost),
        (|office| drop(std::fs::File::create(log_of(office)).unwrap()), Damage::LogLost),
    ];
    for (deed, damage) in deeds {
        let office = Fixture::sqlite();
        let user = office.register().await;
        office.top_up(user, 500).await;
        deed(&office);
        assert_takes_nothing(&office, user, damage).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_moved_has_everything_that_was_answered() {
    let mut office = Fixture::sqlite();
    let user = office.register().await;
    office.top_up(user, 500).await;
    let moved = office.path().with_file_name("moved");
    std::fs::create_dir(&moved).unwrap();
    for name in ["frontrow.db", "frontrow.db-wal"] {
        std::fs::rename(office.path().with_file_name(name), moved.join(name)).unwrap();
    }
    assert_takes_nothing(&office, user, Damage::FileMoved).await;
    office.store = Arc::new(open_sqlite(&moved.join("frontrow.db"), &office.clock));
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::new(500));
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_whose_lock_was_replaced_commits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frontrow.db");
    let lock = frontrow_storage::lock::FolderLock::take(&path).unwrap();
    let clock = Clock::manual(START);
    let office = Fixture::new(clock.clone(), Arc::new(open_sqlite(&path, &clock)), Some(folder));
    let user = office.register().await;
    std::fs::remove_file(path.with_file_name("serve.lock")).unwrap();
    let second = frontrow_storage::lock::FolderLock::take(&path).unwrap();
    assert_takes_nothing(&office, user, Damage::LockLost).await;
    drop((lock, second));
}

#[tokio::test]
async fn a_log_that_another_program_emptied_is_whole() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    raw(&office).query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    assert_eq!(std::fs::metadata(log_of(&office)).unwrap().len(), 0);
    office.top_up(user, 500).await;
    office.store.check_writable().await.unwrap();
    assert_eq!(office.store.damage(), None);
}

/// Overwrites the whole log with what is no page.
fn spoil_log(office: &Fixture) {
    let len = usize::try_from(std::fs::metadata(log_of(office)).unwrap().len()).unwrap();
    let mut log = std::fs::File::options().write(true).open(log_of(office)).unwrap();
    std::io::Write::write_all(&mut log, &vec![0xa5; len]).unwrap();
}

#[tokio::test]
async fn damage_that_a_read_meets_stops_every_commit() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    office.top_up(user, 500).await;
    spoil_log(&office);
    let read = office.store.point(user).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    assert_eq!(office.store.corrupt_reads(), 1);
    assert_takes_nothing(&office, user, Damage::Corrupt).await;
}

#[tokio::test]
async fn damage_that_no_buyer_has_met_is_found_by_the_probe() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    spoil_log(&office);
    office.store.check_writable().await.unwrap_err();
    assert_takes_nothing(&office, user, Damage::Corrupt).await;
}

#[tokio::test]
async fn what_was_in_the_file_before_its_log_was_damaged_stays_there() {
    let mut office = Fixture::sqlite();
    let user = office.register().await;
    office.top_up(user, 500).await;
    office.store.shutdown().await.unwrap();
    office.top_up(user, 70).await;
    spoil_log(&office);
    office.store.check_writable().await.unwrap_err();
    assert_eq!(office.store.damage(), Some(Damage::Corrupt));
    // The server stops, and its operator takes the log away.
    office.store = Fixture::sqlite().store;
    std::fs::remove_file(log_of(&office)).unwrap();
    office.store = Arc::new(open_sqlite(&office.path(), &office.clock));
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::new(500));
}
