//! What the box office does by itself: it moves the lines, sweeps holds that are over, probes the store, and forgets
//! what is too old. All of it only gives the engine commands that could be given at any time, so nothing is lost or
//! wrong when a round is late or missing.

use crate::{
    engine::{Fault, Health},
    flow::BoxOffice,
    http::{Shared, limit::RateLimits},
    queue::Leadership,
    store::Sharing,
    telemetry::Leads,
};
use frontrow_domain::{
    command::{Command, Outcome, Request},
    id::RoomId,
    queue::Fence,
    retention::Leftover,
    rules::{HOLDS_PER_SWEEP_MAX, TOKENS_PER_ADVANCE_MAX},
    time::{Span, Time},
    user::Caller,
};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// How long a line rests at most.
const LINE_TICK: Duration = Duration::from_millis(100);
/// How long an instance moves a line before it must ask again.
const LEASE: Span = Span::from_secs(2);
/// For how long an instance that could not move a line leaves it to others: its lease ends, and another has it.
const GIVEN_UP: Duration = Duration::from_secs(4);
/// How often in a row a line is moved before the other lines have their turn.
const ADVANCES_MAX: u32 = 50;
/// How often due holds are swept.
const SWEEP_TICK: Duration = Duration::from_millis(250);
/// How much two clocks may differ beyond what was measured.
const CLOCK_MARGIN: Span = Span::from_millis(50);
/// How often the store is asked for holds that the queue may not know of.
const RECOVER_TICK: Duration = Duration::from_secs(10);
/// How often the store is asked for rooms that another process made.
const ROOMS_TICK: Duration = Duration::from_secs(5);
/// How often the store is probed while it fails.
const PROBE_TICK: Duration = Duration::from_secs(1);
/// How often those who have not asked for a while are forgotten by the rate limits.
const LIMITS_TICK: Duration = Duration::from_mins(1);
/// How often rows that are over are looked for.
const PRUNE_TICK: Duration = Duration::from_mins(10);
/// How many of them go in one transaction: a command that comes meanwhile waits for no more.
const PRUNE_ROUND: u32 = 500;
/// How often its own length the worker rests after each, so that it takes a tenth of the writer at most.
const PRUNE_REST: u32 = 9;
/// What it rests at least.
const PRUNE_REST_MIN: Duration = Duration::from_millis(20);
/// How often it looks whether the engine has nothing else to do.
const IDLE_TICK: Duration = Duration::from_millis(50);

/// How long rows are kept that are over. None is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Answers under idempotency keys.
    pub answers: Span,
    /// Tokens that have ended.
    pub tokens: Option<Span>,
    /// Reservations that ended unpaid.
    pub reservations: Option<Span>,
}

impl Retention {
    const fn of(self, what: Leftover) -> Option<Span> {
        match what {
            Leftover::Answer => Some(self.answers),
            Leftover::Session => Some(Span::ZERO),
            Leftover::Token => self.tokens,
            Leftover::Reservation => self.reservations,
        }
    }
}

/// What the workers need beside the box office.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// How long a waiting token may be silent before its turn passes it over.
    pub dormant_after: Span,
    /// How long rows are kept that are over.
    pub retention: Retention,
}

/// Starts the workers. They stop when `stop` says true.
#[must_use]
pub fn start(app: &Shared, settings: WorkerSettings, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let office = &app.office;
    let mut workers = JoinSet::new();
    let shared = Arc::clone(app);
    workers.spawn(until(stop.clone(), async move { sweep_limits(&shared.limits, LIMITS_TICK).await }));
    workers.spawn(until(stop.clone(), move_lines(Arc::clone(office), settings)));
    workers.spawn(until(stop.clone(), sweep_holds(Arc::clone(office))));
    workers.spawn(until(stop.clone(), recover_holds(Arc::clone(office))));
    workers.spawn(until(stop.clone(), find_rooms(Arc::clone(office))));
    workers.spawn(until(stop.clone(), probe_store(Arc::clone(office))));
    workers.spawn(until(stop.clone(), prune(Arc::clone(office), settings.retention)));
    workers
}

async fn until(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.changed() => {}
    }
}

/// Sleeps for about `tick`, a quarter more or less, so that instances that started together do not keep step.
async fn rest(office: &BoxOffice, tick: Duration) {
    let [random, ..] = office.ids.secret();
    tokio::time::sleep(tick.mul_f64(0.75 + f64::from(random) / 512.0)).await;
}

/// Gives a command. What it brought about, if it was decided and granted.
async fn command(office: &BoxOffice, command: Command) -> Option<Outcome> {
    try_command(office, command).await.ok().flatten()
}

/// Gives a command. What it brought about, if it was granted.
async fn try_command(office: &BoxOffice, command: Command) -> Result<Option<Outcome>, Fault> {
    let request = Request { caller: Caller::System, command, idempotency: None };
    let answer = office.engine.run(request).await;
    let answer = answer.inspect_err(|fault| tracing::debug!(%fault, "a worker's command was not decided"))?;
    Ok(answer.decision.ok())
}

async fn move_lines(office: Arc<BoxOffice>, settings: WorkerSettings) {
    let mut given_up: HashMap<RoomId, Instant> = HashMap::new();
    loop {
        office.queue.moved(LINE_TICK).await;
        for room in office.queue.rooms() {
            if given_up.get(&room).is_some_and(|since| since.elapsed() < GIVEN_UP) {
                continue;
            }
            given_up.remove(&room);
            let fence = office.queue.view(room).map_or(Fence(0), |view| view.room().fence);
            match office.queue.lead(room, fence, LEASE).await {
                Ok(Leadership::Leader(fence)) => {
                    office.metrics.leader(room, Leads::Yes);
                    let moved = move_line(&office, room, fence, settings).await;
                    // Whoever leads and cannot move the line would keep it from those who can. Where there is merely
                    // much to do the others have no less.
                    let is_away = moved.is_err_and(|fault| fault != Fault::Overloaded);
                    if is_away && office.queue.sharing() == Sharing::Shared {
                        given_up.insert(room, Instant::now());
                        office.metrics.leader(room, Leads::No);
                    }
                }
                Ok(Leadership::Follower) => office.metrics.leader(room, Leads::No),
                Err(error) => tracing::warn!(%error, "cannot tell who moves the line"),
            }
        }
    }
}

/// Moves a line on, one advance after another while they bring something: one looks at so many tokens only.
async fn move_line(office: &BoxOffice, room: RoomId, fence: Fence, settings: WorkerSettings) -> Result<(), Fault> {
    for _ in 0..ADVANCES_MAX {
        let Some(advance) = next_move(office, room, fence, settings) else { break };
        match try_command(office, advance).await? {
            Some(Outcome::Advanced { offered, put_aside, lapsed }) if offered > 0 || put_aside > 0 || lapsed > 0 => {}
            Some(_) | None => break,
        }
    }
    Ok(())
}

/// The command that moves a line, if anything may move.
fn next_move(office: &BoxOffice, room_id: RoomId, fence: Fence, settings: WorkerSettings) -> Option<Command> {
    let view = office.queue.view(room_id)?;
    let now = office.clock.now();
    let due = view.next_deadline().is_some_and(|deadline| deadline <= now);
    let wanted = view.room().most_turns(view.active(), view.offered(), now, office.rules.offer_lead);
    let can_offer = wanted > 0 && view.total_waiting() > 0;
    if !due && !can_offer {
        return None;
    }
    let offers = u32::try_from(wanted).unwrap_or(u32::MAX).min(TOKENS_PER_ADVANCE_MAX);
    let asleep = match offers {
        0 => Vec::new(),
        _ => office.queue.asleep(room_id, offers, now.minus(settings.dormant_after)),
    };
    let limit = offers.saturating_add(u32::try_from(asleep.len()).unwrap_or(u32::MAX)).min(TOKENS_PER_ADVANCE_MAX);
    Some(Command::AdvanceRoom { room_id, fence, limit, asleep })
}

async fn sweep_holds(office: Arc<BoxOffice>) {
    loop {
        tokio::time::sleep(SWEEP_TICK).await;
        sweep_due(&office, HOLDS_PER_SWEEP_MAX).await;
    }
}

/// The moment by which holds are over by the database's clock too, as far as that was measured. Each is handed out once,
/// and where the database does not think it over yet it stays until the store is searched for such.
///
/// `ahead` is how far the database's clock is ahead of this one.
fn due_by(now: Time, sharing: Sharing, ahead: Span) -> Time {
    match sharing {
        Sharing::Alone => now,
        Sharing::Shared => now.plus(ahead.min(Span::ZERO)).minus(CLOCK_MARGIN),
    }
}

/// Sweeps the holds that the queue says are due, `most` a command.
async fn sweep_due(office: &BoxOffice, most: u32) {
    loop {
        let ahead = Span::from_micros(office.clock_skew.load(Ordering::Relaxed));
        let now = due_by(office.clock.now(), office.store.sharing(), ahead);
        let due = match office.queue.take_due_holds(now, most).await {
            Ok(due) if due.is_empty() => break,
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "cannot take the holds that are due");
                break;
            }
        };
        let taken: Vec<_> = due.iter().map(|id| (now, *id)).collect();
        if command(office, Command::ExpireHolds { reservation_ids: due }).await.is_none() {
            // The queue hands each out once: what was not swept must be there for the next round.
            if let Err(error) = office.queue.add_hold_deadlines(&taken).await {
                tracing::warn!(%error, "cannot put back the holds that are due");
            }
            break;
        }
    }
}

/// Finds holds that are over though no deadline said so: those of before a start, or lost on the way.
async fn recover_holds(office: Arc<BoxOffice>) {
    loop {
        recover_due(&office, HOLDS_PER_SWEEP_MAX).await;
        rest(&office, RECOVER_TICK).await;
    }
}

/// Finds rooms of concerts that were imported beside this process, so that operators see them and their gauges.
async fn find_rooms(office: Arc<BoxOffice>) {
    loop {
        rest(&office, ROOMS_TICK).await;
        if let Err(error) = office.lay_missing_rooms().await {
            tracing::warn!(%error, "cannot look for rooms that another process made");
        }
    }
}

/// Sweeps the holds that the store says are due, `most` a command, while it finds as many and they go.
async fn recover_due(office: &BoxOffice, most: u32) {
    loop {
        let now = office.clock.now();
        let due: Vec<_> = match office.store.next_expiries(now, most).await {
            Ok(next) => next.iter().map(|(_, id)| *id).collect(),
            Err(error) => {
                tracing::warn!(%error, "cannot look for holds that are over");
                break;
            }
        };
        let full = u32::try_from(due.len()).is_ok_and(|len| len >= most);
        if due.is_empty() {
            break;
        }
        let swept = command(office, Command::ExpireHolds { reservation_ids: due }).await;
        if !full || !matches!(swept, Some(Outcome::HoldsExpired(1..))) {
            break;
        }
    }
}

async fn probe_store(office: Arc<BoxOffice>) {
    let mut rounds = 0_u32;
    loop {
        if office.engine.health() != Health::Sound || rounds.is_multiple_of(10) {
            let probe = office.store.check_writable().await;
            if probe.is_ok() && office.store.sharing() == Sharing::Shared {
                office.compare_clocks().await;
            }
            office.engine.note_probe(&probe);
        }
        rounds = rounds.wrapping_add(1);
        tokio::time::sleep(PROBE_TICK).await;
    }
}

async fn sweep_limits(limits: &RateLimits, tick: Duration) {
    loop {
        tokio::time::sleep(tick).await;
        limits.sweep();
    }
}

/// Removes what is over, in small rounds and while nothing else is to be done.
async fn prune(office: Arc<BoxOffice>, retention: Retention) {
    loop {
        // The store's own time: an instance whose clock is wrong must forget nothing that is young.
        if let Ok(now) = office.store.now().await {
            for what in Leftover::ALL {
                if let Some(kept) = retention.of(what) {
                    prune_all(&office, what, now.minus(kept)).await;
                }
            }
        }
        rest(&office, PRUNE_TICK).await;
    }
}

async fn prune_all(office: &BoxOffice, what: Leftover, before: Time) {
    // A store that is in trouble gets no work that can wait: where commits stall, each try would leave one behind.
    while office.check_ready().is_ok() {
        if !office.engine.is_idle() {
            tokio::time::sleep(IDLE_TICK).await;
            continue;
        }
        let began = Instant::now();
        match office.store.prune(what, before, PRUNE_ROUND).await {
            Ok(0) => break,
            Ok(rows) => office.metrics.removed(what, rows),
            Err(error) => {
                tracing::warn!(%error, ?what, "cannot remove rows that are over");
                break;
            }
        }
        tokio::time::sleep(began.elapsed().saturating_mul(PRUNE_REST).max(PRUNE_REST_MIN)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app,
        clock::{Clock, Ids},
        config::{Cli, Config},
        queue::{memory::MemoryQueue, token::Keyring},
        store::{Page, ReservationFilter, Store, memory::MemoryStore, sqlite::SqliteStore},
    };
    use frontrow_domain::{
        id::{ConcertId, Position, ReservationId, SeatId, TokenId, UserId},
        money::Money,
        reservation::ReservationStatus,
        rules::TOKENS_PER_ADVANCE_MAX,
        seat::{NewSeat, SeatLabel},
        time::Time,
        user::{NewUser, Role},
    };
    use std::{ffi::OsString, path::Path};
    use uuid::Uuid;

    const START: Time = Time::from_micros(1_800_000_000_000_000);
    const SETTINGS: WorkerSettings = WorkerSettings {
        dormant_after: Span::from_secs(60),
        retention: Retention { answers: Span::from_secs(60), tokens: None, reservations: None },
    };

    fn settings(folder: &Path, max_active: &str) -> Config {
        let args = ["frontrow", "serve", "--max-seats-per-user", "10", "--max-active", max_active, "--data"];
        Cli::load(args.into_iter().map(OsString::from).chain([folder.into()])).unwrap().config
    }

    async fn open(config: &Config, store: Arc<dyn Store>, clock: Clock) -> Arc<BoxOffice> {
        let ids = Ids::from_seed(1);
        let keyring = Keyring::load_or_create(&config.key_path(), &ids).unwrap();
        let queue = Arc::new(MemoryQueue::new());
        let opened = app::assemble(config, store, queue, keyring, clock, ids).await.unwrap();
        Arc::clone(&opened.app.office)
    }

    async fn ask(office: &BoxOffice, caller: Caller, command: Command) -> Outcome {
        let request = Request { caller, command, idempotency: None };
        office.engine.run(request).await.unwrap().decision.unwrap()
    }

    async fn join(office: &BoxOffice, number: u128) -> Caller {
        let user_id = UserId(Uuid::from_u128(number));
        let (name, email) = ("Kim Minji".to_owned(), format!("{number}@example.com"));
        let new = NewUser { user_id, name, email, password_hash: String::new(), role: Role::Buyer };
        ask(office, Caller::System, Command::Register(new)).await;
        let caller = Caller::Buyer(user_id);
        ask(office, caller, Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None }).await;
        caller
    }

    /// Five seats held by one buyer.
    async fn hold_five(office: &BoxOffice) {
        let (draft, _) = crate::demo::season(START).remove(1);
        ask(office, Caller::System, Command::CreateConcert(draft.check().unwrap())).await;
        let seat = |seat_number| NewSeat { seat_number, price: Money::new(1), label: SeatLabel::default() };
        let add = Command::AddSeats { concert_id: ConcertId::new(1), seats: (1..=5).map(seat).collect() };
        ask(office, Caller::System, add).await;
        let buyer = join(office, 1).await;
        move_line(office, RoomId::HOUSE, Fence(0), SETTINGS).await.unwrap();
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        ask(office, buyer, Command::ActivateToken { token }).await;
        let seat_ids = (1..=5).map(SeatId::new).collect();
        ask(office, buyer, Command::Hold { token, seat_ids }).await;
    }

    async fn pending(office: &BoxOffice) -> Vec<ReservationId> {
        let filter = ReservationFilter { status: Some(ReservationStatus::Pending), ..ReservationFilter::default() };
        let rows = office.store.reservations(&filter, Page { after: None, limit: 100 }).await.unwrap();
        rows.iter().map(|row| row.reservation_id).collect()
    }

    #[test]
    fn holds_are_taken_as_due_when_they_are_over_by_both_clocks() {
        let apart = |ahead| due_by(START, Sharing::Shared, Span::from_millis(ahead));
        assert_eq!(apart(-3_000), START.minus(Span::from_millis(3_050)));
        assert_eq!(apart(3_000), START.minus(CLOCK_MARGIN), "a little late does no harm");
        assert_eq!(due_by(START, Sharing::Alone, Span::ZERO), START);
    }

    #[tokio::test]
    async fn due_holds_that_could_not_be_swept_are_swept_in_the_next_round() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let (path, clock) = (config.database_path(), Clock::manual(START));
        let store = Arc::new(SqliteStore::open(&path, clock.clone(), config.rules(), 10).unwrap());
        let office = open(&config, Arc::clone(&store) as _, clock.clone()).await;
        hold_five(&office).await;
        clock.advance(config.rules().hold);

        store.set_busy_timeout(Duration::from_millis(10)).unwrap();
        let locked = rusqlite::Connection::open(&path).unwrap();
        locked.execute_batch("BEGIN IMMEDIATE").unwrap();
        sweep_due(&office, 2).await;
        assert_eq!(pending(&office).await.len(), 5);
        drop(locked);
        sweep_due(&office, 2).await;
        assert_eq!(pending(&office).await, []);
    }

    #[tokio::test]
    async fn an_instance_whose_clock_is_minutes_off_is_not_ready_until_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let (here, there) = (Clock::manual(START), Clock::manual(START.plus(Span::from_secs(120))));
        let store = Arc::new(MemoryStore::new(there, config.rules(), 10));
        let office = open(&config, store, here.clone()).await;
        office.compare_clocks().await;
        let reason = office.check_ready().unwrap_err().to_string();
        assert!(reason.contains("120 seconds ahead of"), "{reason}");
        here.advance(Span::from_secs(100));
        office.compare_clocks().await;
        assert_eq!(office.check_ready(), Ok(()));
    }

    #[tokio::test]
    async fn holds_that_the_queue_does_not_know_are_found_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), config.rules(), 10));
        let office = open(&config, store, clock.clone()).await;
        hold_five(&office).await;
        recover_due(&office, 2).await;
        assert_eq!(pending(&office).await.len(), 5, "no hold is over yet");
        clock.advance(config.rules().hold);
        assert_eq!(office.queue.take_due_holds(clock.now(), 100).await.unwrap().len(), 5);
        sweep_due(&office, 2).await;
        assert_eq!(pending(&office).await.len(), 5, "the queue has forgotten them");
        recover_due(&office, 2).await;
        assert_eq!(pending(&office).await, []);
    }

    /// A database with so many old answers, and a table that says how many were left at each registration.
    fn with_answers(path: &Path, count: i64) -> rusqlite::Connection {
        let conn = rusqlite::Connection::open(path).unwrap();
        let sql = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
             INSERT INTO idempotency (created_at, key, fingerprint, answer)
             SELECT {}, CAST(printf('%032d', n) AS BLOB), x'00', '{{}}' FROM n;
             CREATE TABLE seen (left_over INTEGER);
             CREATE TRIGGER registered AFTER INSERT ON \"user\"
             BEGIN INSERT INTO seen SELECT count(*) FROM idempotency; END;",
            START.micros()
        );
        conn.execute_batch(&sql).unwrap();
        conn
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_command_waits_for_one_round_of_pruning_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let (path, clock) = (config.database_path(), Clock::manual(START));
        let store = Arc::new(SqliteStore::open(&path, clock.clone(), config.rules(), 10).unwrap());
        let office = open(&config, Arc::clone(&store) as _, clock.clone()).await;
        let round = i64::from(PRUNE_ROUND);
        let other = with_answers(&path, 3 * round);
        clock.advance(Span::from_secs(100));
        // The first round waits for another program, and a command comes behind it.
        store.set_busy_timeout(Duration::from_mins(1)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (pruned, asked) = (Arc::clone(&office), Arc::clone(&office));
        let pruning =
            tokio::spawn(async move { prune_all(&pruned, Leftover::Answer, START.plus(Span::from_secs(50))).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let joining = tokio::spawn(async move { join(&asked, 1).await });
        while office.engine.batches() == 0 {
            tokio::task::yield_now().await;
        }
        other.execute_batch("ROLLBACK").unwrap();
        joining.await.unwrap();
        pruning.await.unwrap();
        let left = |sql| other.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
        assert!(left("SELECT left_over FROM seen") >= 2 * round, "it came after one round or before it");
        assert_eq!(left("SELECT count(*) FROM idempotency"), 0, "the rest went when there was nothing else to do");
        assert!(office.metrics.render().contains(r#"frontrow_rows_removed_total{kind="answer"} 1500"#));
    }

    #[tokio::test]
    async fn nothing_is_removed_that_is_kept_for_ever() {
        let retention = SETTINGS.retention;
        assert_eq!((retention.of(Leftover::Token), retention.of(Leftover::Reservation)), (None, None));
        assert_eq!(retention.of(Leftover::Session), Some(Span::ZERO), "a session that has ended is of no use");
    }

    #[tokio::test]
    async fn a_line_moves_on_until_there_is_no_more_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "2000");
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), config.rules(), 2_000));
        let office = open(&config, store, clock.clone()).await;
        let all = i64::from(2 * TOKENS_PER_ADVANCE_MAX + 10);
        for number in 1..=all {
            join(&office, number.unsigned_abs().into()).await;
        }
        // All but the last ten have been silent for too long.
        clock.advance(Span::from_secs(61));
        for position in all - 9..=all {
            let token = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
            office.queue.heard_of(token, clock.now());
        }
        move_line(&office, RoomId::HOUSE, Fence(0), SETTINGS).await.unwrap();
        let view = office.queue.view(RoomId::HOUSE).unwrap();
        assert_eq!((view.offered(), view.total_waiting()), (10, 0));
        clock.advance(config.rules().dormant_limit);
        move_line(&office, RoomId::HOUSE, Fence(0), SETTINGS).await.unwrap();
        let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
        assert_eq!(line.others, []);
    }

    #[tokio::test]
    async fn the_rate_limits_forget_who_has_not_asked_for_a_while() {
        let config = Cli::load(["frontrow", "serve", "--requests-per-second-per-user", "100000"].map(Into::into));
        let limits = RateLimits::new(&config.unwrap().config);
        for user in 1..=100 {
            limits.check_user(UserId(Uuid::from_u128(user))).unwrap();
        }
        assert!(limits.remembered() > 0);
        tokio::select! {
            () = sweep_limits(&limits, Duration::from_millis(1)) => {}
            () = async { while limits.remembered() > 0 { tokio::task::yield_now().await } } => {}
        }
    }
}
