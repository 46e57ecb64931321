//! What the box office does by itself: it moves the lines, sweeps holds that are over, probes the store, and forgets
//! what is too old. All of it only gives the engine commands that could be given at any time, so nothing is lost or
//! wrong when a round is late or missing.

use crate::{
    engine::{Fault, Health},
    flow::BoxOffice,
    http::{Shared, limit::RateLimits},
    queue::{Leadership, view::RoomView},
    store::{Sharing, StoreError},
    telemetry::Leads,
};
use frontrow_domain::{
    command::{Command, Outcome, Request},
    concert::{Concert, LATE_SALES},
    id::{ConcertId, RoomId},
    queue::Fence,
    retention::Leftover,
    rules::{HOLDS_PER_SWEEP_MAX, TOKENS_PER_ADVANCE_MAX},
    time::{Span, Time},
    user::Caller,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    future::Future,
    sync::Arc,
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
/// How many lines are moved at a time. What they ask for at once the engine decides in few transactions; a line whose
/// row somebody holds keeps one of these places.
const MOVES_AT_ONCE: usize = 64;
/// How long a line that could not be moved is left alone at first.
const REST_MIN: Duration = Duration::from_millis(250);
/// How often due holds are swept.
const SWEEP_TICK: Duration = Duration::from_millis(250);
/// How much two clocks may differ beyond what was measured.
const CLOCK_MARGIN: Span = Span::from_millis(50);
/// How often the store is asked for holds that the queue may not know of.
const RECOVER_TICK: Duration = Duration::from_secs(10);
/// How often the store is asked for rooms that another process made.
const ROOMS_TICK: Duration = Duration::from_secs(5);
/// How often a database that this process has alone is asked whether the command line has changed it.
const ELSEWHERE_TICK: Duration = Duration::from_secs(1);
/// How often the store is asked for cancelled concerts that are not wound up.
const WIND_UP_TICK: Duration = Duration::from_secs(1);
/// How many of them one round looks at.
const WIND_UP_CONCERTS_MAX: u32 = 100;
/// How long a concert is left alone of which nothing that is left could be wound up.
const WIND_UP_REST: Span = Span::from_secs(60);
/// How many of their seats one command winds up; never more than [`WIND_UP_MAX`](frontrow_domain::rules::WIND_UP_MAX).
const WIND_UP_PART: u32 = 100;
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
    workers.spawn(until(stop.clone(), wind_up(Arc::clone(office))));
    workers.spawn(until(stop.clone(), probe_store(Arc::clone(office))));
    workers.spawn(until(stop.clone(), prune(Arc::clone(office), settings.retention)));
    if office.store.sharing() == Sharing::Alone {
        workers.spawn(until(stop.clone(), follow_command_line(Arc::clone(office))));
    }
    workers
}

async fn until(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.changed() => {}
    }
}

/// Sleeps for about `tick`, a quarter more or less, so that instances that started together do not act at the same
/// moment.
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

/// Forgets the sessions after the command line has changed the file: it may have ended some.
async fn follow_command_line(office: Arc<BoxOffice>) {
    let mut known = None;
    loop {
        match office.store.changes_elsewhere().await {
            Ok(changes) if known != Some(changes) => {
                known = Some(changes);
                office.followers.sessions.forget();
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "cannot tell whether another process changed the database"),
        }
        rest(&office, ELSEWHERE_TICK).await;
    }
}

async fn move_lines(office: Arc<BoxOffice>, settings: WorkerSettings) {
    let mut lines = Lines::new(office, settings);
    let mut next_round = Instant::now();
    loop {
        let rest = next_round.saturating_duration_since(Instant::now());
        tokio::select! {
            moved = lines.office.queue.moved(rest) => {
                if next_round <= Instant::now() {
                    next_round = Instant::now() + LINE_TICK;
                    lines.look_at_all().await;
                } else {
                    lines.look_at(&moved).await;
                }
            }
            Some(moved) = lines.moves.join_next() => match moved {
                Ok((room, moved)) => lines.finish(room, moved).await,
                Err(error) => lines.lose(&error),
            },
        }
    }
}

/// The lines that this instance moves: each by itself, so that none waits for another, and only so many at a time.
struct Lines {
    office: Arc<BoxOffice>,
    settings: WorkerSettings,
    moves: JoinSet<(RoomId, Result<(), Fault>)>,
    under_way: HashMap<RoomId, UnderWay>,
    /// Lines that can be moved, in the order in which they will be.
    next: VecDeque<(RoomId, Fence)>,
    /// The rooms of those.
    queued: HashSet<RoomId>,
    /// Lines that could not be moved, and until when they are left alone.
    resting: HashMap<RoomId, Rest>,
    /// Rooms with a gauge that says who leads.
    shown: BTreeSet<RoomId>,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    task: tokio::task::Id,
    meanwhile: Meanwhile,
}

/// Whether something happened in a room while its line was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Something,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    /// The length of this rest; the next one in a row is longer.
    length: Duration,
}

impl Lines {
    fn new(office: Arc<BoxOffice>, settings: WorkerSettings) -> Self {
        Self {
            office,
            settings,
            moves: JoinSet::new(),
            under_way: HashMap::new(),
            next: VecDeque::new(),
            queued: HashSet::new(),
            resting: HashMap::new(),
            shown: BTreeSet::new(),
        }
    }

    /// Looks at every line in which something lives; the others need no leader.
    async fn look_at_all(&mut self) {
        let busy = self.office.queue.busy_rooms();
        let now_busy: BTreeSet<_> = busy.iter().copied().collect();
        for quiet in self.shown.difference(&now_busy) {
            self.office.metrics.leader(*quiet, None);
        }
        self.shown.retain(|room| now_busy.contains(room));
        self.resting.retain(|room, _| now_busy.contains(room));
        self.look_at(&busy).await;
    }

    /// Looks which of these lines this instance leads and can move, and begins to move them.
    async fn look_at(&mut self, rooms: &[RoomId]) {
        let now = Instant::now();
        let mut wanted = Vec::with_capacity(rooms.len());
        for room in rooms {
            if let Some(under_way) = self.under_way.get_mut(room) {
                under_way.meanwhile = Meanwhile::Something;
            } else if self.resting.get(room).is_none_or(|rest| rest.until <= now)
                && let Some(view) = self.office.queue.view(*room)
                && !view.is_quiet()
            {
                wanted.push((*room, view.room().fence));
            }
        }
        if wanted.is_empty() {
            return;
        }
        let standings = self.office.queue.lead(&wanted, LEASE).await;
        for ((room, _), standing) in wanted.into_iter().zip(standings) {
            self.shown.insert(room);
            match standing {
                Leadership::Leader(fence) => {
                    self.office.metrics.leader(room, Some(Leads::Yes));
                    if !self.queued.contains(&room) && may_move(&self.office, room) {
                        self.queued.insert(room);
                        self.next.push_back((room, fence));
                    }
                }
                Leadership::Follower => self.office.metrics.leader(room, Some(Leads::No)),
            }
        }
        self.begin();
    }

    /// Begins to move those that are next, as many as may be under way.
    fn begin(&mut self) {
        while self.under_way.len() < MOVES_AT_ONCE
            && let Some((room, fence)) = self.next.pop_front()
        {
            self.queued.remove(&room);
            let (office, settings) = (Arc::clone(&self.office), self.settings);
            let task = self.moves.spawn(async move { (room, move_line(&office, room, fence, settings).await) }).id();
            self.under_way.insert(room, UnderWay { task, meanwhile: Meanwhile::Nothing });
        }
    }

    async fn finish(&mut self, room: RoomId, moved: Result<(), Fault>) {
        let meanwhile = self.under_way.remove(&room).map(|under_way| under_way.meanwhile);
        match moved {
            Ok(()) => {
                self.resting.remove(&room);
                if meanwhile == Some(Meanwhile::Something) {
                    self.look_at(&[room]).await;
                }
            }
            Err(fault) => self.rest(room, fault),
        }
        self.begin();
    }

    fn rest(&mut self, room: RoomId, fault: Fault) {
        let before = self.resting.get(&room).map_or(Duration::ZERO, |rest| rest.length);
        let mut length = (before * 2).clamp(REST_MIN, GIVEN_UP);
        // An instance that leads and cannot move the line would keep it from those that can. If there is merely much to
        // do, or the room's row is held, the others have no less.
        if fault != Fault::Overloaded && self.office.queue.sharing() == Sharing::Shared {
            length = GIVEN_UP;
            self.office.metrics.leader(room, Some(Leads::No));
        }
        self.resting.insert(room, Rest { until: Instant::now() + length, length });
    }

    /// A move panicked, which is a bug: its line must not count as under way for ever.
    fn lose(&mut self, error: &tokio::task::JoinError) {
        tracing::error!(%error, "the move of a line was lost");
        self.under_way.retain(|_, under_way| under_way.task != error.id());
        self.begin();
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

/// How many turns may be offered in a room now, and whether some token's time is over: what an advance is for.
fn work_in(office: &BoxOffice, view: &RoomView, now: Time) -> (i64, bool) {
    let due = view.next_deadline().is_some_and(|deadline| deadline <= now);
    let turns = match view.total_waiting() {
        0 => 0,
        _ => view.room().turns_available(view.active(), view.offered(), now, office.rules.offer_lead),
    };
    (turns, due)
}

fn may_move(office: &BoxOffice, room: RoomId) -> bool {
    office.queue.view(room).is_some_and(|view| {
        let (turns, due) = work_in(office, &view, office.store_time());
        turns > 0 || due
    })
}

/// The command that moves a line, if anything may move. Where a rate has earned no turn yet, nothing may.
fn next_move(office: &BoxOffice, room_id: RoomId, fence: Fence, settings: WorkerSettings) -> Option<Command> {
    let view = office.queue.view(room_id)?;
    let now = office.store_time();
    let (turns, due) = work_in(office, &view, now);
    if !due && turns <= 0 {
        return None;
    }
    let offers = u32::try_from(turns.max(0)).unwrap_or(u32::MAX).min(TOKENS_PER_ADVANCE_MAX);
    let asleep = match offers {
        0 => Vec::new(),
        // Who was heard of is noted by this machine's clock.
        _ => office.queue.asleep(room_id, offers, office.clock.now().minus(settings.dormant_after)),
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
fn due_by(now: Time, sharing: Sharing) -> Time {
    match sharing {
        Sharing::Alone => now,
        Sharing::Shared => now.minus(CLOCK_MARGIN),
    }
}

/// Sweeps the holds that the queue says are due, `most` a command.
async fn sweep_due(office: &BoxOffice, most: u32) {
    loop {
        let now = due_by(office.clock.now(), office.store.sharing());
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
        if let Err(error) = office.find_rooms().await {
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

/// Winds up cancelled concerts: those of before a start too, since what is left to do stands in their rows.
async fn wind_up(office: Arc<BoxOffice>) {
    let mut resting = HashMap::new();
    loop {
        rest(&office, WIND_UP_TICK).await;
        if let Err(error) = wind_up_all(&office, WIND_UP_PART, &mut resting).await {
            tracing::warn!(%error, "cannot wind up cancelled concerts");
        }
    }
}

/// One round through all cancelled concerts that are not wound up, `part` of their seats a command. `resting` says until
/// when those are left alone of which nothing that is left can be wound up for now.
async fn wind_up_all(office: &BoxOffice, part: u32, resting: &mut HashMap<ConcertId, Time>) -> Result<(), StoreError> {
    if office.engine.health() != Health::Sound {
        return Ok(());
    }
    let now = office.clock.now();
    resting.retain(|_, until| now < *until);
    for concert in office.store.concerts_to_wind_up(WIND_UP_CONCERTS_MAX).await? {
        let concert_id = concert.concert_id;
        if !resting.contains_key(&concert_id) && wind_up_one(office, &concert, part).await? == WindUpRound::Stuck {
            let left = "what is left of a cancelled concert cannot be wound up for now; the next try is in a minute";
            tracing::warn!(%concert_id, "{left}");
            resting.insert(concert_id, now.plus(WIND_UP_REST));
        }
    }
    Ok(())
}

/// How a round through a cancelled concert ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindUpRound {
    /// There was nothing to do, something was done, or the engine did not decide.
    Fine,
    /// Of all that is left nothing could be done: accounts that cannot take in their refunds, for example.
    Stuck,
}

/// One round through a cancelled concert: part by part its unpaid seats are blocked and, if an operator asked for that,
/// its payments given back. When nothing is left and nothing can come any more, it is settled.
async fn wind_up_one(office: &BoxOffice, concert: &Concert, part: u32) -> Result<WindUpRound, StoreError> {
    let concert_id = concert.concert_id;
    // Read before the search: what is saved after it bears a later time.
    let now = office.store.now().await?;
    let (mut after, mut found, mut round) = (0, false, WindUpRound::Fine);
    loop {
        let left = office.store.remnants(concert, after, part).await?;
        let Some(last) = left.last() else { break };
        if !found {
            (found, round) = (true, WindUpRound::Stuck);
        }
        after = last.seat_number;
        let payment_ids = left.iter().filter_map(|seat| seat.payment_id).collect();
        let seat_ids = left.iter().filter(|seat| seat.payment_id.is_none()).map(|seat| seat.seat_id).collect();
        match command(office, Command::WindUp { concert_id, seat_ids, payment_ids }).await {
            // Another instance has just done it, or it cannot be done now. The seats behind may still be to do.
            Some(Outcome::WoundUp { seats: 0, refunds: 0 }) => {}
            Some(Outcome::WoundUp { seats, refunds }) => {
                round = WindUpRound::Fine;
                tracing::info!(%concert_id, seats, refunds, "a part of a cancelled concert was wound up");
            }
            // The next round sees what is left.
            _ => return Ok(WindUpRound::Fine),
        }
    }
    if !found && now >= concert.updated_at.plus(LATE_SALES) {
        command(office, Command::SettleConcert { concert_id, seen: concert.updated_at }).await;
    }
    Ok(round)
}

async fn probe_store(office: Arc<BoxOffice>) {
    let mut rounds = 0_u32;
    loop {
        if office.engine.health() != Health::Sound || rounds.is_multiple_of(10) {
            let probe = office.store.check_writable().await;
            if probe.is_ok() && office.store.sharing() == Sharing::Shared {
                office.compare_clocks().await;
            }
            let was_sound = office.engine.health() == Health::Sound;
            office.engine.note_probe(&probe);
            if probe.is_ok() && !was_sound {
                // Whatever is given first after a failure has the store go on: nobody else may ask for a while.
                command(&office, Command::ExpireHolds { reservation_ids: Vec::new() }).await;
            }
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
        command::RoomChange,
        id::{ConcertId, Position, ReservationId, SeatId, TokenId, UserId},
        money::Money,
        points::PointKind,
        reservation::ReservationStatus,
        rules::{Rules, TOKENS_PER_ADVANCE_MAX},
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
        join_in(office, number, RoomId::HOUSE).await
    }

    async fn join_in(office: &BoxOffice, number: u128, room_id: RoomId) -> Caller {
        let user_id = UserId(Uuid::from_u128(number));
        let (name, email) = ("Kim Minji".to_owned(), format!("{number}@example.com"));
        let new = NewUser { user_id, name, email, password_hash: String::new(), role: Role::Buyer };
        ask(office, Caller::System, Command::Register(new)).await;
        let caller = Caller::Buyer(user_id);
        ask(office, caller, Command::IssueToken { room_id, concert_id: None }).await;
        caller
    }

    /// The own room of a concert that is on sale.
    async fn own_room(office: &BoxOffice) -> RoomId {
        let (mut draft, _) = crate::demo::season(START).remove(1);
        draft.own_room_max_active = Some(5);
        let Outcome::Concert(concert) =
            ask(office, Caller::System, Command::CreateConcert(draft.check().unwrap())).await
        else {
            panic!("it is made")
        };
        concert.room_id
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

    #[tokio::test]
    async fn refunds_that_were_cut_off_go_on_after_a_restart_and_each_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let (path, clock) = (config.database_path(), Clock::manual(START));
        let reopened = || Arc::new(SqliteStore::open(&path, clock.clone(), config.rules(), 10).unwrap());
        let office = open(&config, reopened(), clock.clone()).await;
        hold_five(&office).await;
        let buyer = Caller::Buyer(UserId(Uuid::from_u128(1)));
        let (user_id, concert_id) = (buyer.user_id().unwrap(), ConcertId::new(1));
        let reference = Some("pg-1".to_owned());
        ask(&office, Caller::System, Command::Charge { user_id, amount: Money::new(5), reference }).await;
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let reservation_ids = (1..=5).map(ReservationId::new).collect();
        ask(&office, buyer, Command::Pay { token, reservation_ids }).await;
        let reason = "The singer is ill.".to_owned();
        ask(&office, Caller::System, Command::CancelConcert { concert_id, reason }).await;
        ask(&office, Caller::System, Command::RefundConcert { concert_id }).await;
        // The first part is done when the process ends.
        let concert = office.store.concert(concert_id).await.unwrap().unwrap();
        let first = office.store.remnants(&concert, 0, 2).await.unwrap();
        let payment_ids = first.iter().filter_map(|seat| seat.payment_id).collect();
        ask(&office, Caller::System, Command::WindUp { concert_id, seat_ids: Vec::new(), payment_ids }).await;
        drop(office);

        let office = open(&config, reopened(), clock.clone()).await;
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (2, 3));
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (5, 0));
        let history = office.store.history(user_id, Page { after: None, limit: 100 }).await.unwrap();
        let refunds = history.iter().filter(|entry| entry.kind == PointKind::Refund);
        assert_eq!((refunds.count(), history[0].balance_after), (5, Money::new(5)));
        let report = crate::check::sqlite::run(&path).await.unwrap();
        assert!(report.is_clean(), "{report}");

        let left = async || office.store.concerts_to_wind_up(10).await.unwrap().len();
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        assert_eq!(left().await, 1, "a payment that was decided before may still come");
        clock.advance(Span::from_secs(60));
        wind_up_all(&office, 2, &mut HashMap::new()).await.unwrap();
        assert_eq!(left().await, 0);
    }

    #[tokio::test]
    async fn a_refund_that_an_account_cannot_take_in_keeps_back_no_other_seat_and_rests_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let clock = Clock::manual(START);
        let rules = Rules { charge_max: Money::MAX, balance_max: Money::MAX, ..config.rules() };
        let store = Arc::new(MemoryStore::new(clock.clone(), rules, 10));
        let office = open(&config, store, clock.clone()).await;
        hold_five(&office).await;
        let buyer = Caller::Buyer(UserId(Uuid::from_u128(1)));
        let (user_id, concert_id) = (buyer.user_id().unwrap(), ConcertId::new(1));
        let charge =
            |amount, reference: &str| Command::Charge { user_id, amount, reference: Some(reference.to_owned()) };
        ask(&office, Caller::System, charge(Money::new(2), "pg-1")).await;
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let reservation_ids = (1..=2).map(ReservationId::new).collect();
        ask(&office, buyer, Command::Pay { token, reservation_ids }).await;
        ask(&office, Caller::System, charge(Money::MAX, "pg-2")).await;
        let reason = "The singer is ill.".to_owned();
        ask(&office, Caller::System, Command::CancelConcert { concert_id, reason }).await;
        ask(&office, Caller::System, Command::RefundConcert { concert_id }).await;

        let mut resting = HashMap::new();
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        assert_eq!((counts.blocked, counts.sold), (3, 2), "the seats behind the two that are stuck");
        assert!(resting.is_empty(), "some of it was wound up");
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        let until = START.plus(WIND_UP_REST);
        assert_eq!(resting.get(&concert_id), Some(&until));
        clock.advance(Span::from_secs(1));
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        assert_eq!(resting.get(&concert_id), Some(&until), "it rests");
        clock.advance(WIND_UP_REST);
        wind_up_all(&office, 2, &mut resting).await.unwrap();
        assert!(resting[&concert_id] > until, "it is tried again");
    }

    #[test]
    fn holds_are_taken_as_due_when_they_are_over_by_the_databases_clock_too() {
        assert_eq!(due_by(START, Sharing::Shared), START.minus(CLOCK_MARGIN), "a little late does no harm");
        assert_eq!(due_by(START, Sharing::Alone), START);
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
    async fn a_rate_that_has_earned_no_turn_costs_no_command() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), config.rules(), 10));
        let office = open(&config, store, clock.clone()).await;
        let change = RoomChange { admit_per_minute: Some(Some(60)), ..RoomChange::default() };
        ask(&office, Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change }).await;
        for number in 1..=3 {
            join(&office, number).await;
        }
        let offered = || office.queue.view(RoomId::HOUSE).unwrap().offered();
        for turn in 0..3 {
            let can_move = || next_move(&office, RoomId::HOUSE, Fence(0), SETTINGS).is_some();
            assert_eq!((offered(), can_move()), (turn, false));
            clock.advance(Span::from_millis(999));
            assert!(!can_move());
            clock.advance(Span::from_millis(1));
            assert!(can_move());
            move_line(&office, RoomId::HOUSE, Fence(0), SETTINGS).await.unwrap();
            assert_eq!(offered(), turn + 1);
        }
    }

    #[tokio::test]
    async fn many_lines_are_moved_at_a_time_and_none_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), config.rules(), 10));
        let office = open(&config, store, clock.clone()).await;
        let mut rooms = Vec::new();
        for number in 0..2 * MOVES_AT_ONCE + 10 {
            rooms.push(own_room(&office).await);
            join_in(&office, u128::try_from(number).unwrap(), rooms[number]).await;
        }
        let quiet = own_room(&office).await;
        let mut lines = Lines::new(Arc::clone(&office), SETTINGS);
        lines.look_at_all().await;
        assert_eq!(lines.under_way.len(), MOVES_AT_ONCE);
        while let Some(moved) = lines.moves.join_next().await {
            let (room, moved) = moved.unwrap();
            lines.finish(room, moved).await;
        }
        let view = |room| office.queue.view(room).unwrap();
        assert!(rooms.iter().all(|room| view(*room).offered() == 1));
        assert!(lines.shown.iter().eq(&rooms), "the line of {quiet} needs nobody");
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_moved_rests_and_the_others_are_moved() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "10");
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), config.rules(), 10));
        let office = open(&config, store, clock.clone()).await;
        let (held, other) = (own_room(&office).await, own_room(&office).await);
        let mut lines = Lines::new(Arc::clone(&office), SETTINGS);
        lines.finish(held, Err(Fault::Overloaded)).await;
        lines.finish(held, Err(Fault::Overloaded)).await;
        assert_eq!(lines.resting[&held].length, 2 * REST_MIN, "longer each time");
        for (number, room) in [held, other].into_iter().enumerate() {
            join_in(&office, u128::try_from(number).unwrap(), room).await;
        }
        lines.resting.get_mut(&held).unwrap().until = Instant::now() + LINE_TICK * 1_000;
        lines.look_at_all().await;
        assert!(lines.under_way.keys().eq([&other]));
        lines.resting.get_mut(&held).unwrap().until = Instant::now();
        lines.look_at_all().await;
        assert_eq!(lines.under_way.len(), 2);
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
