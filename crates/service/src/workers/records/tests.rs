use super::*;
use crate::workers::{
    lines::move_line,
    testing::{START, TestFolder, ask, join, open, policy},
};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, RoomChange},
    id::{Position, TokenId},
    line::{Fence, Gate, TokenStatus, ToldWait},
    policy::Policy,
    user::Caller,
};
use frontrow_line::view::Estimate;
use frontrow_storage::{Store, sqlite::SqliteStore};

const HOUSE: RoomId = RoomId::HOUSE;

fn token(position: i64) -> TokenId {
    TokenId { room_id: HOUSE, position: Position(position) }
}

fn seconds(seconds: i64) -> Span {
    Span::from_secs(seconds)
}

async fn set_room(office: &BoxOffice, change: RoomChange) {
    ask(office, Caller::System, Command::SetRoom { room_id: HOUSE, change, basis: None, reason: None }).await;
}

/// A box office over the file of this folder, as a server that starts over it has it.
async fn start(place: &TestFolder, clock: &Clock) -> Arc<BoxOffice> {
    let store = SqliteStore::open(&place.database(), clock.clone(), policy(), 1).unwrap();
    open(place, Arc::new(store), clock.clone()).await
}

/// Lets time pass as a server that works notes it.
async fn work(office: &BoxOffice, clock: &Clock, span: Span) {
    let mut left = span.millis();
    while left > 0 {
        clock.advance(Span::from_millis(left.min(5_000)));
        left -= 5_000;
        office.store.check_writable().await.unwrap();
    }
}

/// The token at the head claims its turn, stays for half a minute and leaves. All but the ghosts ask.
async fn visit(office: &BoxOffice, clock: &Clock, caller: Caller, position: i64) {
    hear(office);
    move_line(office, HOUSE, Fence(0)).await.unwrap();
    work(office, clock, seconds(3)).await;
    ask(office, caller, Command::ActivateToken { token: token(position) }).await;
    work(office, clock, seconds(30)).await;
    ask(office, caller, Command::LeaveQueue { token: token(position) }).await;
}

fn told(office: &BoxOffice, position: i64) -> Option<ToldWait> {
    let (view, now) = (office.lines.view(HOUSE).unwrap(), office.now());
    let place = view.place_of(Position(position), now);
    match view.told_wait(Position(position), &place, view.rest(now, Policy::default().offer_lead), now) {
        Estimate::Known { p50, p90 } => Some(ToldWait { p50, p90 }),
        Estimate::Unknown(_) => None,
    }
}

fn offered(office: &BoxOffice, position: i64) -> bool {
    office.lines.view(HOUSE).unwrap().place(Position(position)).status() == TokenStatus::Offered
}

/// A line in a room of one place: nine visits of half a minute have ended, tokens 10 to 15 are silent, and the others up to
/// 40 ask.
async fn line_with_ghosts(place: &TestFolder, clock: &Clock) -> Arc<BoxOffice> {
    let office = start(place, clock).await;
    let mut callers = Vec::new();
    for number in 1..=40 {
        callers.push(join(&office, number).await);
    }
    for position in 1..=9 {
        visit(&office, clock, callers[usize::try_from(position).unwrap() - 1], position).await;
    }
    hear(&office);
    office
}

/// The clients of all tokens but 10 to 15 ask.
fn hear(office: &BoxOffice) {
    for position in (1..=9).chain(16..=40) {
        office.lines.record_heartbeat(token(position), office.now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_passes_over_silent_tokens_at_once_and_offers_those_that_ask() {
    // Given a line with ghosts at its head, recorded while its server works, which then is killed.
    let folder = tempfile::tempdir().unwrap();
    let (place, clock) = (TestFolder::in_folder(folder.path()), Clock::manual(START));
    let office = line_with_ghosts(&place, &clock).await;
    RecordKeeper::new(Arc::clone(&office)).keep_now().await;
    drop(office);
    // When a server starts over the same file two minutes later.
    clock.stall(seconds(120));
    let office = start(&place, &clock).await;
    move_line(&office, HOUSE, Fence(0)).await.unwrap();
    // Then the ghosts are passed over, and the first that asked has its turn.
    let status = |position| office.lines.view(HOUSE).unwrap().place(Position(position)).status();
    assert_eq!((10..=15).map(status).collect::<Vec<_>>(), [TokenStatus::Dormant; 6]);
    assert_eq!((status(16), status(17)), (TokenStatus::Offered, TokenStatus::Waiting));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_without_a_record_takes_all_for_just_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (place, clock) = (TestFolder::in_folder(folder.path()), Clock::manual(START));
    drop(line_with_ghosts(&place, &clock).await);
    let office = start(&place, &clock).await;
    move_line(&office, HOUSE, Fence(0)).await.unwrap();
    assert!(offered(&office, 10));
    assert_eq!(told(&office, 30), None, "the pace is measured anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_tells_waits_as_before_and_none_that_is_much_longer() {
    let folder = tempfile::tempdir().unwrap();
    let (place, clock) = (TestFolder::in_folder(folder.path()), Clock::manual(START));
    let office = line_with_ghosts(&place, &clock).await;
    let before = told(&office, 30).unwrap();
    // Given that token 40 was told a wait that is much too short.
    let view = office.lines.view(HOUSE).unwrap();
    view.note_told(Position(40), ToldWait { p50: seconds(20), p90: seconds(25) }, office.now());
    RecordKeeper::new(Arc::clone(&office)).keep_now().await;
    drop(office);
    // When the server starts again, then 30 is told what it was told, and 40 half a minute more at most.
    let office = start(&place, &clock).await;
    assert_eq!(told(&office, 30), Some(before));
    assert_eq!(told(&office, 40).unwrap().p50, seconds(50));
    // When it starts again with other settings, set by another program, then nothing binds.
    RecordKeeper::new(Arc::clone(&office)).keep_now().await;
    drop(office);
    let office = start(&place, &clock).await;
    set_room(&office, RoomChange { admit_per_minute: Some(Some(60)), ..RoomChange::default() }).await;
    drop(office);
    let office = start(&place, &clock).await;
    assert!(told(&office, 40).unwrap().p50 > seconds(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_of_no_use_costs_what_was_measured_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (place, clock) = (TestFolder::in_folder(folder.path()), Clock::manual(START));
    let office = line_with_ghosts(&place, &clock).await;
    RecordKeeper::new(Arc::clone(&office)).keep_now().await;
    let saved = office.store.line_record(HOUSE).await.unwrap().unwrap();
    drop(office);
    let mut cut = saved.record.clone();
    cut.truncate(cut.len() / 2);
    let longer = [saved.record.as_slice(), &[0]].concat();
    let later_version = [&[9], &saved.record[1..]].concat();
    let negative = [&saved.record[..1], &[1; 400]].concat();
    for (number, record) in [cut, longer, later_version, negative, vec![1], vec![0xff; 1_000]].into_iter().enumerate() {
        let store = SqliteStore::open(&place.database(), clock.clone(), policy(), 1).unwrap();
        let at = saved.saved_at.plus(Span::from_micros(i64::try_from(number).unwrap() + 1));
        store.keep_line_records(vec![SavedLineRecord { saved_at: at, record, ..saved.clone() }]).await.unwrap();
        drop(store);
        let office = start(&place, &clock).await;
        assert_eq!((told(&office, 30), office.lines.view(HOUSE).unwrap().total_waiting()), (None, 31), "{number}");
    }
    // A record of an earlier line, or of long ago.
    for (epoch, at) in
        [(saved.epoch - 1, saved.saved_at.plus(seconds(1))), (saved.epoch, saved.saved_at.minus(seconds(700)))]
    {
        let conn = rusqlite::Connection::open(place.database()).unwrap();
        conn.execute(
            "UPDATE line_record SET epoch = ?1, saved_at = ?2, record = ?3",
            (epoch, at.micros(), &saved.record),
        )
        .unwrap();
        drop(conn);
        assert_eq!(told(&*start(&place, &clock).await, 30), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_kept_when_it_has_changed_each_minute_and_when_the_server_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (place, clock) = (TestFolder::in_folder(folder.path()), Clock::manual(START));
    let office = start(&place, &clock).await;
    set_room(&office, RoomChange { gate: Some(Gate::Paused), ..RoomChange::default() }).await;
    let saved_at = async || office.store.line_record(HOUSE).await.unwrap().map(|saved| saved.saved_at);
    let mut keeper = RecordKeeper::new(Arc::clone(&office));
    keeper.keep_now().await;
    assert_eq!(saved_at().await, None, "the line is empty");
    join(&office, 1).await;
    keeper.keep_now().await;
    let first = office.now();
    assert_eq!(saved_at().await, Some(first));
    // Given a line in which nothing happens.
    work(&office, &clock, seconds(30)).await;
    keeper.keep_now().await;
    assert_eq!(saved_at().await, Some(first));
    work(&office, &clock, seconds(30)).await;
    keeper.keep_now().await;
    assert_eq!(saved_at().await, Some(office.now()), "it is kept again each minute");
    // When the token is silent for long, the line has changed.
    work(&office, &clock, seconds(35)).await;
    keeper.keep_now().await;
    assert_eq!(saved_at().await, Some(office.now()));
    // When the server stops.
    clock.advance(seconds(2));
    join(&office, 2).await;
    let (stop, stopped) = watch::channel(false);
    let keeping = tokio::spawn(keep_line_records(Arc::clone(&office), stopped));
    stop.send(true).unwrap();
    keeping.await.unwrap();
    assert_eq!(saved_at().await, Some(office.now()));
}
