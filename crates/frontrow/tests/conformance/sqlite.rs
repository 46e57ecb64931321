//! Properties of the `SQLite` store alone: its file, its constraints, and how it recovers.

mod constraints;
mod damage;
mod older_files;

use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, Replay},
    decide::decide_all,
    id::{Position, RoomId},
    money::Money,
    retention::Leftover,
    time::Span,
    user::Caller,
};
use frontrow_storage::{ReservationFilter, Store, StoreError, sqlite::SqliteStore};
use frontrow_testkit::{
    START,
    fixture::{Fixture, HOUSE_MAX_ACTIVE, first, keyed, open_sqlite, policy, request},
};
use rusqlite::Connection;
use std::{path::Path, sync::Arc, time::Duration};

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Clock::manual(START), policy(), HOUSE_MAX_ACTIVE)
}

/// Another program's connection to the same file, with the constraints on.
fn raw(office: &Fixture) -> Connection {
    let conn = Connection::open(office.path()).unwrap();
    conn.pragma_update(None, "foreign_keys", true).unwrap();
    conn
}

#[tokio::test]
async fn answers_counters_and_lines_survive_reopening() {
    let mut office = Fixture::sqlite();
    let sale = office.sale().await;
    let waiting = office.register().await;
    office.join(waiting, RoomId::HOUSE).await;
    let top_up = || {
        let command = Command::TopUp { user_id: sale.user, amount: Money::new(500), reference: None };
        keyed(Caller::Buyer(sale.user), command, 1, 1)
    };
    let (answers, _) = office.batch(vec![top_up()]).await;
    let line = office.store.line(RoomId::HOUSE).await.unwrap();
    office.store = Arc::new(open_sqlite(&office.path(), &office.clock));

    let (again, changes) = office.batch(vec![top_up()]).await;
    assert_eq!((again[0].replay, &again[0].decision), (Replay::Replayed, &answers[0].decision));
    assert!(changes.is_empty());
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap(), line);
    assert_eq!(office.store.payment(sale.payment.payment_id).await.unwrap(), Some(sale.payment.clone()));
    let next = office.sale().await;
    assert_eq!(next.payment.payment_id.get(), sale.payment.payment_id.get() + 1);
    assert_eq!(next.token.position, Position(3));
}

#[tokio::test]
async fn a_position_is_never_given_again_though_its_token_is_gone() {
    let mut office = Fixture::sqlite();
    let user = office.register().await;
    office.join(user, RoomId::HOUSE).await;
    raw(&office).execute("DELETE FROM waiting_token", ()).unwrap();
    office.store = Arc::new(open_sqlite(&office.path(), &office.clock));
    assert_eq!(office.join(user, RoomId::HOUSE).await.id.position, Position(2));
}

#[tokio::test]
async fn now_does_not_go_back_when_the_clock_does() {
    let mut office = Fixture::sqlite();
    office.advance(1_000);
    office.register().await;
    office.advance(-900);
    let later = START.plus(Span::from_secs(1_000));
    assert_eq!(office.store.now().await.unwrap(), later);
    office.store = Arc::new(open_sqlite(&office.path(), &office.clock));
    assert_eq!(office.store.now().await.unwrap(), later);
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap().now, later);
    let user = office.register().await;
    assert_eq!(office.store.user(user).await.unwrap().unwrap().created_at, later);
    office.advance(100);
    let went_on = office.store.now().await.unwrap().since(later);
    assert!(
        went_on >= Span::from_secs(90) && went_on <= Span::from_secs(100),
        "at nine tenths of the pace: {went_on:?}"
    );
}

#[tokio::test]
async fn a_clock_that_was_a_day_ahead_for_a_moment_leaves_no_time_in_the_rows() {
    let mut office = Fixture::sqlite();
    office.register().await;
    office.clock.jump(Span::from_secs(86_400));
    office.advance(1);
    let user = office.register().await;
    let moment = START.plus(Span::from_secs(1));
    assert_eq!(office.store.user(user).await.unwrap().unwrap().created_at, moment);
    office.clock.jump(Span::from_secs(-86_400));
    office.store = Arc::new(open_sqlite(&office.path(), &office.clock));
    assert_eq!(office.store.now().await.unwrap(), moment);
}

#[tokio::test]
async fn a_line_moves_on_while_the_clock_is_behind_what_the_rows_say_and_after_a_restart_too() {
    let mut office = Fixture::sqlite();
    let day = Span::from_secs(86_400);
    // Long enough for the jump to be believed, and something is decided then.
    office.clock.jump(day);
    for seconds in [1, 60] {
        office.advance(seconds);
        office.store.now().await.unwrap();
    }
    let user = office.register().await;
    let marked = office.store.user(user).await.unwrap().unwrap().created_at;
    assert_eq!(marked, START.plus(day).plus(Span::from_secs(61)));
    office.clock.jump(Span::from_micros(-day.micros()));
    for _ in 0..2 {
        let before = office.store.now().await.unwrap();
        assert!(before >= marked);
        office.advance(10);
        assert!(office.store.now().await.unwrap().since(before) >= Span::from_secs(9));
        office.store = Arc::new(open_sqlite(&office.path(), &office.clock));
    }
}

#[tokio::test]
async fn an_outage_of_the_disk_lengthens_what_was_live_when_it_began() {
    let office = Fixture::sqlite();
    let store = Arc::new(open_sqlite(&office.path(), &office.clock));
    store.set_busy_timeout(Duration::from_millis(1)).unwrap();
    let office = Fixture { store, ..office };
    office.store.resume().await.unwrap();
    let user = office.register().await;
    let id = office.activate(user).await;
    let deadline = office.store.token(id).await.unwrap().unwrap().deadline().unwrap();
    office.advance(50);
    let top_up = Command::TopUp { user_id: user, amount: Money::new(1), reference: None };
    let top_up = || request(Caller::Buyer(user), top_up.clone());
    let locked = raw(&office);
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..2 {
        office.store.transact(vec![top_up()].into(), decide_all).await.unwrap_err();
        office.advance(100);
    }
    drop(locked);
    // That time has passed is no outage; that nothing could be saved is, from then on.
    let outage = office.store.resume().await.unwrap().unwrap();
    assert_eq!((outage.from, outage.grace), (START.plus(Span::from_secs(50)), Span::from_secs(200)));
    let row = office.store.token(id).await.unwrap().unwrap();
    assert_eq!(row.deadline(), Some(deadline.plus(Span::from_secs(200))));
    office.batch(vec![top_up()]).await;
    office.advance(500);
    assert_eq!(office.store.resume().await.unwrap(), None);
}

#[tokio::test]
async fn time_that_the_machine_slept_through_is_an_outage_when_its_clock_is_believed() {
    let office = Fixture::sqlite();
    office.store.resume().await.unwrap();
    let user = office.register().await;
    let id = office.activate(user).await;
    let deadline = office.store.token(id).await.unwrap().unwrap().deadline().unwrap();
    // The monotonic clock stood still meanwhile.
    office.clock.jump(Span::from_secs(300));
    for _ in 0..6 {
        office.advance(10);
        office.store.check_writable().await.unwrap();
    }
    office.advance(10);
    let refused = office.store.check_writable().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let outage = office.store.resume().await.unwrap().unwrap();
    assert_eq!((outage.from, outage.grace), (START.plus(Span::from_secs(70)), Span::from_secs(300)));
    let row = office.store.token(id).await.unwrap().unwrap();
    assert_eq!(row.deadline(), Some(deadline.plus(Span::from_secs(300))));
}

#[tokio::test]
async fn a_silence_before_the_end_is_counted_by_the_next_start() {
    let office = Fixture::sqlite();
    office.store.resume().await.unwrap();
    office.clock.stall(Span::from_secs(100));
    office.store.shutdown().await.unwrap();
    let next = office.reopened().await;
    assert_eq!(next.resume().await.unwrap().map(|outage| outage.grace), Some(Span::from_secs(100)));
}

#[tokio::test]
async fn a_tool_that_writes_while_the_server_is_stopped_hides_no_outage() {
    let office = Fixture::sqlite();
    office.store.resume().await.unwrap();
    let user = office.register().await;
    office.activate(user).await;
    office.advance(95);
    let tool = Fixture { store: Arc::new(open_sqlite(&office.path(), &office.clock)), ..office };
    tool.register().await;
    tool.store.check_writable().await.unwrap();
    let server = open_sqlite(&tool.path(), &tool.clock);
    assert_eq!(server.resume().await.unwrap().map(|outage| outage.grace), Some(Span::from_secs(95)));
}

#[tokio::test]
async fn a_failed_removal_of_old_rows_is_no_outage() {
    let office = Fixture::sqlite();
    let store = Arc::new(open_sqlite(&office.path(), &office.clock));
    store.set_busy_timeout(Duration::from_millis(1)).unwrap();
    let office = Fixture { store, ..office };
    office.store.resume().await.unwrap();
    let user = office.register().await;
    let top_up = Command::TopUp { user_id: user, amount: Money::new(1), reference: None };
    office.batch(vec![keyed(Caller::Buyer(user), top_up, 1, 1)]).await;
    let locked = raw(&office);
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let later = START.plus(Span::from_secs(1));
    office.store.prune(Leftover::Answer, later, 10).await.unwrap_err();
    drop(locked);
    // The engine saw no failure, so it does not resume.
    office.advance(400);
    office.store.check_writable().await.unwrap();
    assert_eq!(office.reopened().await.resume().await.unwrap(), None);
}

#[tokio::test]
async fn a_server_does_not_believe_a_tool_whose_clock_is_a_day_ahead() {
    let office = Fixture::sqlite();
    office.store.resume().await.unwrap();
    let ahead = Clock::manual(START.plus(Span::from_secs(86_400)));
    let tool = Fixture::new(ahead.clone(), Arc::new(open_sqlite(&office.path(), &ahead)), None);
    tool.concert().await;
    office.advance(1);
    let now = START.plus(Span::from_secs(1));
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap().now, now);
    let user = office.register().await;
    assert_eq!(office.store.user(user).await.unwrap().unwrap().created_at, now);
    assert_eq!(office.store.now().await.unwrap(), now);
    // After a restart too.
    let store = office.reopened().await;
    assert_eq!(store.now().await.unwrap(), now);
}

#[tokio::test]
async fn what_another_process_wrote_moves_the_counters() {
    let office = Fixture::sqlite();
    office.concert().await;
    let other = open_sqlite(&office.path(), &office.clock);
    let other = Fixture::new(office.clock.clone(), Arc::new(other), None);
    let theirs = other.concert().await.concert_id;
    let ours = office.concert().await.concert_id;
    assert_eq!((theirs.get(), ours.get()), (2, 3));
}

#[tokio::test]
async fn a_locked_database_is_unavailable_until_it_is_free() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    let store = open_sqlite(&office.path(), &office.clock);
    store.set_busy_timeout(Duration::from_millis(10)).unwrap();
    let other = raw(&office);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let join = || [request(Caller::Buyer(user), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None })];
    let refused = store.transact(Arc::new(join()), decide_all).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.check_writable().await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.rooms().await.unwrap().len(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    store.check_writable().await.unwrap();
    assert!(store.transact(Arc::new(join()), decide_all).await.unwrap().answers[0].decision.is_ok());
}

#[tokio::test]
async fn a_full_database_is_unavailable_until_there_is_room() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    let concert = office.concert().await.concert_id;
    // The size limit stands for the disk: the writer that has it cannot get another page.
    let store = open_sqlite(&office.path(), &office.clock);
    store.set_size_limit(Some(1)).unwrap();
    let many = (1..=5_000).map(frontrow_testkit::fixture::new_seat).collect();
    let refused = store
        .transact(
            Arc::new([request(Caller::System, Command::AddSeats { concert_id: concert, seats: many })]),
            decide_all,
        )
        .await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(store.seats(concert).await.unwrap().is_empty());
    assert!(store.audit(first(10)).await.unwrap().iter().all(|entry| entry.action != "seats.add"));
    store.set_size_limit(None).unwrap();
    let office = Fixture::new(office.clock.clone(), Arc::new(store), office.folder);
    assert_eq!(office.seats(concert, 3).await.first().map(|seat| seat.get()), Some(1));
    office.join(user, RoomId::HOUSE).await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frontrow.db");
    std::fs::write(&path, "This is a letter and not a database. ".repeat(100)).unwrap();
    let refused = open(&path);
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert!(matches!(SqliteStore::open_read_only(&path), Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frontrow.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmark (url TEXT)").unwrap();
    assert!(matches!(open(&path), Err(StoreError::Misfit(text)) if text.contains("another program")));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let office = Fixture::sqlite();
    raw(&office).pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(open(&office.path()), Err(StoreError::Misfit(text)) if text.contains("version 99")));
    assert!(matches!(SqliteStore::open_read_only(&office.path()), Err(StoreError::Misfit(_))));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(&folder.path().join("nowhere/frontrow.db")), Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_store_that_only_reads_writes_nothing() {
    let office = Fixture::sqlite();
    let sale = office.sale().await;
    let reader = SqliteStore::open_read_only(&office.path()).unwrap();
    let rows = reader.reservations(&ReservationFilter::default(), first(10)).await.unwrap();
    assert_eq!(rows[0].reservation_id, sale.payment.reservation_id);
    let join = [request(Caller::Buyer(sale.user), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None })];
    assert!(matches!(reader.transact(Arc::new(join), decide_all).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(reader.check_writable().await, Err(StoreError::Unavailable(_))));
    let written = reader.read(|conn| conn.execute("DELETE FROM payment", ())).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let office = Fixture::sqlite();
    office.register().await;
    for file in std::fs::read_dir(office.folder.as_ref().unwrap().path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}
