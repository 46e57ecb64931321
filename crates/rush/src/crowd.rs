//! A whole sale: set up, open, watch, read the books, audit.

use crate::{
    api::{SeatCounts, SeatMap},
    audit::{self, Books, Verdict},
    books::{self, ReturningBuyer},
    buyer::{Buyer, SaleContext},
    client::{ConnectionPool, HttpConnection},
    clock::Mono,
    ending::VisitEnding,
    history::{Asked, History, Recorder},
    meter::{Measured, Meter, Sample},
    operator::SignedInClient,
    options::SaleOptions,
    progress::Progress,
    retry::Desk,
    setup::{self, Ready},
    target::{AllowedHosts, Target},
};
use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

/// Bound on setting up and on reading the books, each.
const SIDE_WORK_MAX: Duration = Duration::from_hours(1);
/// How often the room and the seats are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// How long buyers may take to stop after the end.
const STOP_GRACE: Duration = Duration::from_secs(15);

/// A sale that is set up, before its buyers come.
#[derive(Debug)]
pub(crate) struct PreparedSale {
    pub(crate) options: SaleOptions,
    pub(crate) target: Target,
    pub(crate) mono: Mono,
    /// The number of the run.
    pub(crate) run: u64,
    pub(crate) ready: Ready,
    /// What was asked for while it was set up.
    pub(crate) history: History,
    pub(crate) after: AfterSale,
}

/// What is done after a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterSale {
    /// Every account is read, and places in line that are left are given up, so that a later run finds the room empty.
    Whole,
    /// The accounts are read that asked for seats: the others had no money to lose, and the server ends with the run.
    BuyersAlone,
}

/// The sale at a moment, for a program that shows how it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrowdMoment {
    /// Microseconds since the buyers began to come.
    pub at: u64,
    /// How many buyers have come.
    pub came: u64,
    /// How many of them are done.
    pub done: u64,
    pub waiting: i64,
    pub active: i64,
    /// Seats that are free.
    pub available: u64,
    pub held: u64,
    pub sold: u64,
    /// Requests so far.
    pub requests: u64,
}

/// How a sale goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrowdNews {
    /// A look at it, twice a second.
    Moment(CrowdMoment),
    /// It is over, and its books are read.
    Over,
}

/// Gets the news of a sale.
pub type Onlooker = Box<dyn Fn(CrowdNews) + Send + Sync>;

/// Everything known after a sale.
#[derive(Debug)]
pub(crate) struct CrowdResult {
    pub(crate) options: SaleOptions,
    /// The concert's number and title.
    pub(crate) concert: (i64, String),
    /// How many buyers came.
    pub(crate) came: u64,
    /// How long the sale ran.
    pub(crate) took: Duration,
    pub(crate) measured: Measured,
    /// The number of visits by their end.
    pub(crate) endings: BTreeMap<VisitEnding, u64>,
    /// The seats at the end.
    pub(crate) seats: SeatCounts,
    pub(crate) verdict: Verdict,
    /// The buyers' requests and answers.
    pub(crate) history: History,
    /// The clock of the history.
    pub(crate) mono: Mono,
    /// The room that the buyers waited in.
    pub(crate) room_id: i64,
    pub(crate) user_ids: Vec<String>,
    /// Notes for the report.
    pub(crate) exercised: BTreeMap<&'static str, u64>,
    /// Checks that the verdict does not cover.
    pub(crate) warnings: Vec<String>,
    /// The output of the command after the sale, and whether it succeeded.
    pub(crate) check: Option<CheckRun>,
}

/// A command that was run after the sale.
#[derive(Debug)]
pub(crate) struct CheckRun {
    pub(crate) command: String,
    /// Its exit status; none when a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) output: String,
}

/// A desk for `target` whose clock is `mono`.
pub(crate) fn desk(options: &SaleOptions, target: Target, mono: Mono, run: u64, lasts: Duration) -> Desk {
    Desk {
        pool: ConnectionPool::new(target, usize::try_from(options.connections).unwrap_or(1)),
        mono,
        recorder: Recorder::default(),
        meter: Meter::since(mono.now()),
        run,
        timeout: Duration::from_millis(u64::from(options.timeout)),
        end: Instant::now() + lasts,
    }
}

/// A random number that no other run has, from the operating system.
pub(crate) fn run_number() -> u64 {
    rand::make_rng::<StdRng>().random()
}

/// The server that the options name.
///
/// # Errors
/// The address is wrong, or nothing listens there.
pub(crate) async fn target(options: &SaleOptions) -> Result<Target> {
    let reach = if options.server.i_own_this_server { AllowedHosts::Anywhere } else { AllowedHosts::Loopback };
    let target = Target::parse(&options.server.url, reach)?;
    HttpConnection::open(&target).await.with_context(|| format!("{} does not answer", options.server.url))?;
    Ok(target)
}

/// Sets a sale up and runs it.
///
/// # Errors
/// It could not be set up, or the books could not be read.
pub(crate) async fn run(options: SaleOptions) -> Result<CrowdResult> {
    let target = target(&options).await?;
    let (mono, run) = (Mono::start(), run_number());
    let prefix = options.ids.clone().unwrap_or_else(|| format!("rush-{run:016x}"));
    let before = Arc::new(desk(&options, target.clone(), mono, run, SIDE_WORK_MAX));
    let ready = setup::prepare(&before, &options, &prefix).await.context("the sale cannot be set up")?;
    let history = before.recorder.take();
    let prepared = PreparedSale { options, target, mono, run, ready, history, after: AfterSale::Whole };
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    play(prepared, interrupted, None).await
}

/// Runs a sale until its buyers are done, its time is up or `stop` is there, and audits it.
///
/// # Errors
/// The books could not be read.
pub(crate) async fn play(
    prepared: PreparedSale,
    stop: impl Future<Output = ()>,
    onlooker: Option<Onlooker>,
) -> Result<CrowdResult> {
    let PreparedSale { options, target, mono, run, ready, mut history, after: how } = prepared;
    let lasts = Duration::from_secs(u64::from(options.duration));
    let sale = Arc::new(SaleContext {
        desk: desk(&options, target.clone(), mono, run, lasts),
        concert_id: ready.concert.concert_id,
        options,
        sold_out: AtomicBool::new(false),
        arrived: AtomicU64::new(0),
        done: AtomicU64::new(0),
        lapses_begun: AtomicU64::new(0),
    });
    let onlooker: Arc<Onlooker> = Arc::new(onlooker.unwrap_or_else(|| Box::new(|_| ())));
    let (visitors, endings, took) = open(&sale, &ready, stop, Arc::clone(&onlooker)).await;
    onlooker(CrowdNews::Over);
    let measured = sale.desk.meter.take();
    append(&mut history, sale.desk.recorder.take());

    let after = Arc::new(desk(&sale.options, target, mono, run, SIDE_WORK_MAX));
    let read = match how {
        AfterSale::Whole => visitors.clone(),
        AfterSale::BuyersAlone => those_who_asked_for_seats(&history, &visitors),
    };
    let books = books::read(&after, &ready.operator, ready.concert.concert_id, ready.before, read);
    let mut books = books.await.context("the books cannot be read")?;
    append(&mut history, after.recorder.take());
    add_what_the_run_knows(&mut books, &sale.options, &ready, &measured);
    let verdict = audit::audit(&history, &books);
    let exercised = audit::exercised(&history, &books);
    let warnings = warnings(&sale, &books, &exercised, &endings);
    if how == AfterSale::Whole {
        leave_lines(&after, &books, &visitors).await;
    }
    let check = match &sale.options.check {
        Some(command) => Some(run_check(command).await?),
        None => None,
    };
    Ok(CrowdResult {
        user_ids: ready.logins.iter().map(|login| login.user_id.clone()).collect(),
        room_id: ready.concert.room_id,
        mono,
        history,
        options: sale.options.clone(),
        concert: (ready.concert.concert_id, ready.concert.title),
        came: sale.arrived.load(Ordering::Relaxed),
        took,
        measured,
        endings,
        seats: final_counts(&books),
        verdict,
        exercised,
        warnings,
        check,
    })
}

fn append(history: &mut History, more: History) {
    history.ops.extend(more.ops);
    history.sightings.extend(more.sightings);
    history.replays.extend(more.replays);
    history.faults.extend(more.faults);
    history.given_up.extend(more.given_up);
}

fn those_who_asked_for_seats(history: &History, visitors: &[ReturningBuyer]) -> Vec<ReturningBuyer> {
    let asked = history.ops.iter().filter(|op| matches!(op.asked, Asked::Hold { .. })).map(|op| op.buyer);
    let asked: HashSet<usize> = asked.collect();
    visitors.iter().filter(|visitor| asked.contains(&visitor.index)).cloned().collect()
}

/// Lets the buyers come, and watches until they are done, time is up or `stop` is there.
async fn open(
    sale: &Arc<SaleContext>,
    ready: &Ready,
    stop: impl Future<Output = ()>,
    onlooker: Arc<Onlooker>,
) -> (Vec<ReturningBuyer>, BTreeMap<VisitEnding, u64>, Duration) {
    let opened = Instant::now();
    let mut rng = StdRng::seed_from_u64(sale.options.seed);
    let schedule = sale.options.arrivals.schedule(ready.logins.len(), &mut rng);
    let mut buyers = JoinSet::new();
    for (index, (login, after)) in ready.logins.iter().zip(schedule).enumerate() {
        let own = StdRng::from_seed(rng.random());
        let buyer = Buyer::new(index, login.clone(), Arc::clone(sale), own);
        buyers.spawn(buyer.run(opened + after));
    }
    let seen_by = (ready.operator.clone(), ready.concert.room_id);
    let watch = tokio::spawn(watch(Arc::clone(sale), seen_by, opened, onlooker));

    let mut visitors: Vec<Option<ReturningBuyer>> = ready
        .logins
        .iter()
        .enumerate()
        .map(|(index, login)| Some(ReturningBuyer { index, login: login.clone(), token: None }))
        .collect();
    let mut endings: BTreeMap<VisitEnding, u64> = BTreeMap::new();
    let last = sale.desk.end + STOP_GRACE;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            done = timeout_at(last, buyers.join_next()) => match done {
                Ok(Some(Ok((buyer, ending)))) => {
                    *endings.entry(ending).or_default() += 1;
                    if let Some(slot) = visitors.get_mut(buyer.index) {
                        *slot = Some(ReturningBuyer { index: buyer.index, login: buyer.login, token: buyer.token });
                    }
                }
                Ok(Some(Err(_))) => {}
                Ok(None) | Err(_) => break,
            },
            () = &mut stop => break,
        }
    }
    // Buyers with a request in flight are cut off: its outcome stays unknown.
    let cut = u64::try_from(buyers.len()).unwrap_or(0);
    if cut > 0 {
        *endings.entry(VisitEnding::TimeUp).or_default() += cut;
        buyers.shutdown().await;
    }
    let took = opened.elapsed();
    sleep(SAMPLE_EVERY).await;
    watch.abort();
    (visitors.into_iter().flatten().collect(), endings, took)
}

/// Looks at the room and the seats now and then, as an operator, and shows how it goes.
async fn watch(sale: Arc<SaleContext>, (operator, room_id): (String, i64), opened: Instant, onlooker: Arc<Onlooker>) {
    let side = desk(
        &sale.options,
        match Target::parse(&sale.options.server.url, AllowedHosts::Anywhere) {
            Ok(target) => target,
            Err(_) => return,
        },
        sale.desk.mono,
        sale.desk.run,
        SIDE_WORK_MAX,
    );
    let caller = SignedInClient::new(&side, Some(operator));
    let mut progress = Progress::new();
    let path = format!("/concerts/{}/seats?form=compact", sale.concert_id);
    let mut next = opened;
    loop {
        let (room, map) = tokio::join!(caller.room(room_id), caller.get::<SeatMap>(&path));
        if let (Ok(room), Ok(map)) = (room, map) {
            let seats = map.counts();
            let at = crate::clock::micros(opened.elapsed());
            sale.sold_out.store(seats.available + seats.held == 0, Ordering::Relaxed);
            let (waiting, offered, active) = (room.waiting, room.offered, room.active);
            sale.desk.meter.sample(Sample { at, waiting, offered, active, max_active: room.max_active, seats });
            let arrived = sale.arrived.load(Ordering::Relaxed);
            let done = sale.done.load(Ordering::Relaxed);
            let SeatCounts { available, held, sold, blocked: _ } = seats;
            let (requests, _) = sale.desk.meter.totals();
            let moment = CrowdMoment { at, came: arrived, done, waiting, active, available, held, sold, requests };
            onlooker(CrowdNews::Moment(moment));
            progress.show(|| {
                let (requests, sold) = sale.desk.meter.totals();
                format!(
                    "{:>4} s  came {arrived}  done {done}  waiting {waiting}  active {active}/{}  \
                     free {} held {} sold {}  bought {sold}  {requests} requests",
                    at / 1_000_000,
                    room.max_active,
                    seats.available,
                    seats.held,
                    seats.sold
                )
            });
        }
        next = (next + SAMPLE_EVERY).max(Instant::now());
        tokio::time::sleep_until(next).await;
    }
}

fn add_what_the_run_knows(books: &mut Books, options: &SaleOptions, ready: &Ready, measured: &Measured) {
    let sampled = measured.samples.iter().map(|sample| sample.max_active).max().unwrap_or(0);
    let logged = books
        .audit
        .iter()
        .filter(|entry| entry.action == "room.set")
        .filter_map(|entry| entry.detail.pointer("/max_active/to").and_then(serde_json::Value::as_i64))
        .max()
        .unwrap_or(0);
    books.view_lag = i64::from(options.view_lag) * 1_000;
    books.dormant_after = u64::from(options.dormant_after) * 1_000_000;
    books.max_active = sampled.max(ready.room.max_active).max(logged);
    if ready.rooms_set > 0 {
        books.operator_acts.insert("room.set", ready.rooms_set);
    }
    if options.top_up_by == crate::options::TopUpBy::Operator && options.points > 0 {
        books.operator_acts.insert("points.top_up", u64::from(options.buyers));
    }
}

fn warnings(
    sale: &SaleContext,
    books: &Books,
    exercised: &BTreeMap<&'static str, u64>,
    endings: &BTreeMap<VisitEnding, u64>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let options = &sale.options;
    let seen = |name: &str| exercised.get(name).copied().unwrap_or(0);
    let ended = |ending: VisitEnding| endings.get(&ending).copied().unwrap_or(0);
    let asked = [
        (options.lapse, seen("lapsed_holds"), "--lapse"),
        (options.refund, seen("refunds"), "--refund"),
        (options.cancel, seen("cancelled"), "--cancel"),
        (options.abandon, ended(VisitEnding::LeftTheLine) + ended(VisitEnding::WentSilent), "--abandon"),
        (options.duplicate, seen("replayed"), "--duplicate"),
    ];
    for (share, times, option) in asked {
        if share > 0.0 && times == 0 {
            warnings.push(format!("{option} {share} was asked for, but it never came to it: this is not tested"));
        }
    }
    if *options.seats_each.end() > 1 && seen("multi_seat_holds") == 0 {
        warnings.push("no buyer held several seats at once: this is not tested".to_owned());
    }
    if seen("conflicts") == 0 {
        warnings.push("no two buyers wanted the same seat at once: the race for a seat is not tested".to_owned());
    }
    let begun = sale.lapses_begun.load(Ordering::Relaxed);
    let lapsed = seen("lapsed_holds");
    if lapsed < begun {
        warnings.push(format!("{begun} holds were left to lapse, {lapsed} did so before the end (see --duration)"));
    }
    if books.settled == audit::Readings::Moving {
        warnings.push("seats kept changing while the books were read: seats_add_up was left out".to_owned());
    }
    warnings
}

fn final_counts(books: &Books) -> SeatCounts {
    let mut counts = SeatCounts::default();
    for seat in &books.seats {
        match seat.status.as_str() {
            "available" => counts.available += 1,
            "held" => counts.held += 1,
            "sold" => counts.sold += 1,
            _ => counts.blocked += 1,
        }
    }
    counts
}

async fn leave_lines(desk: &Desk, books: &Books, visitors: &[ReturningBuyer]) {
    for row in books.tokens.iter().filter(|row| row.status != "ended") {
        if let Some(visitor) = visitors.iter().find(|visitor| visitor.token.as_ref() == Some(&row.token)) {
            books::leave_line(desk, visitor).await;
        }
    }
}

async fn run_check(command: &str) -> Result<CheckRun> {
    let text = command.to_owned();
    let run = move || std::process::Command::new("sh").arg("-c").arg(text).output();
    let output = tokio::task::spawn_blocking(run).await?.with_context(|| format!("{command} cannot be run"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(CheckRun { command: command.to_owned(), status: output.status.code(), output: text })
}
