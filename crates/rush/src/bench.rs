//! Ceilings: so many kept-alive connections, each asking again as soon as it is answered. Closed-loop, so the latencies
//! say what a busy server takes, not what a crowd would feel; for that, run a sale.

mod stage;

use crate::{
    client::{HttpConnection, request_text},
    clock::{float, micros, millis},
    crowd::run_number,
    meter::histogram,
    options::{Bench, LoadOptions},
    report::histogram_json,
    target::{AllowedHosts, Target},
};
use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use serde_json::json;
use stage::{BenchSize, Stage};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// How long an answer may still take after the end.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum RequestSource {
    /// These, in turns.
    Cycle(Vec<Vec<u8>>),
    /// Each seat once.
    Holds(Holds),
}

/// Seats to hold, and who holds them.
#[derive(Debug)]
struct Holds {
    host: String,
    run: u64,
    /// The first seats of the concerts; the ids of the others follow.
    first_seats: Vec<i64>,
    /// How many seats each concert has.
    seats_each: u64,
    next: AtomicU64,
    buyers: Vec<stage::Active>,
}

impl RequestSource {
    /// The next request of a connection; none when there is nothing left to ask.
    fn next(&self, turn: usize) -> Option<std::borrow::Cow<'_, [u8]>> {
        match self {
            Self::Cycle(requests) => requests.get(turn % requests.len().max(1)).map(|text| text.as_slice().into()),
            Self::Holds(holds) => holds.next().map(Into::into),
        }
    }
}

impl Holds {
    fn next(&self) -> Option<Vec<u8>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let concert = usize::try_from(number.checked_div(self.seats_each)?).ok()?;
        let offset = i64::try_from(number.checked_rem(self.seats_each)?).ok()?;
        let seat_id = self.first_seats.get(concert)?.checked_add(offset)?;
        let buyers = u64::try_from(self.buyers.len()).ok()?;
        let buyer = self.buyers.get(usize::try_from(number.checked_rem(buyers)?).ok()?)?;
        let key = format!("{:016x}-{number:016x}", self.run);
        let headers =
            [("Authorization", buyer.bearer.as_str()), ("Queue-Token", &buyer.token), ("Idempotency-Key", &key)];
        let body = format!("{{\"seat_id\":{seat_id}}}");
        Some(request_text(&self.host, "POST", "/api/v1/reservations", &headers, Some(body.as_bytes())))
    }
}

/// The figures of one connection, or of all.
#[derive(Debug)]
struct Tally {
    latency: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    lost: u64,
    refusals: BTreeMap<String, u64>,
}

impl Tally {
    fn new() -> Self {
        Self { latency: histogram(), statuses: BTreeMap::new(), lost: 0, refusals: BTreeMap::new() }
    }

    fn add(&mut self, other: &Self) {
        // All histograms have the same bounds, so that adding cannot fail.
        let _ = self.latency.add(&other.latency);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (code, count) in &other.refusals {
            *self.refusals.entry(code.clone()).or_default() += count;
        }
        self.lost += other.lost;
    }

    /// Answers that did what was asked.
    fn good(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| **status < 400).map(|(_, count)| count).sum()
    }
}

/// Runs a ceiling and prints it.
///
/// # Errors
/// It could not be set up, or nothing was answered.
pub(crate) async fn run(what: &Bench) -> Result<()> {
    let (name, load) = match what {
        Bench::Get { load, path } => (format!("GET {path}"), load),
        Bench::Positions { load, users } => (format!("positions of {users}"), load),
        Bench::Seatmap { load, seats, .. } => (format!("compact map of {seats} seats"), load),
        Bench::Holds { load, users, seats, .. } => (format!("holds of {seats} seats by {users} buyers"), load),
    };
    let reach = if load.server.i_own_this_server { AllowedHosts::Anywhere } else { AllowedHosts::Loopback };
    let target = Target::parse(&load.server.url, reach)?;
    HttpConnection::open(&target).await.with_context(|| format!("{} does not answer", load.server.url))?;
    let (source, stage) = source(what, load, &target).await?;
    let source = Arc::new(source);
    let (tally, took) = press(&source, load, &target).await?;
    let total: u64 = tally.statuses.values().sum();
    if total == 0 {
        bail!("nothing was answered ({} requests lost)", tally.lost);
    }
    let rate = float(total) / took.as_secs_f64();
    let good = float(tally.good()) / took.as_secs_f64();
    let quantile = |quantile: f64| millis(tally.latency.value_at_quantile(quantile));
    println!("{name}: {} connections, {:.1} s", load.connections, took.as_secs_f64());
    println!("  {rate:.0} answers/s, {good:.0} of them successes");
    println!(
        "  p50 {:.2} ms, p99 {:.2} ms, p999 {:.2} ms, max {:.2} ms",
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        millis(tally.latency.max())
    );
    println!("  statuses {:?}, lost {}", tally.statuses, tally.lost);
    for (code, count) in &tally.refusals {
        println!("  {count} × {code}");
    }
    if tally.refusals.keys().any(|code| code.contains("too_many_seats")) {
        println!("  Raise the server's limit of seats for one user, or give more --users.");
    }
    if tally.refusals.keys().any(|code| code.contains("too_many_holds")) {
        println!("  Raise the server's --holds-per-turn, or give more --users.");
    }
    let mut held = None;
    if let (Some(stage), Bench::Holds { .. }) = (&stage, what) {
        let counts = stage.counts().await?;
        println!("  the seat map has {} held", counts.held);
        held = Some(counts.held);
    }
    if let Some(stage) = &stage {
        stage.strike().await?;
    }
    if let Some(path) = &load.server.json {
        let result = json!({
            "name": name, "connections": load.connections,
            "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "answers": total, "answers_per_second": rate, "successes_per_second": good,
            "latency": histogram_json(&tally.latency), "statuses": tally.statuses,
            "refusals": tally.refusals, "lost": tally.lost, "held_in_seat_map": held,
        });
        std::fs::write(path, format!("{result:#}\n"))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// Sets up what is asked.
async fn source(what: &Bench, load: &LoadOptions, target: &Target) -> Result<(RequestSource, Option<Stage>)> {
    let get = |path: &str, headers: &[(&str, &str)]| request_text(&target.host, "GET", path, headers, None);
    match what {
        Bench::Get { path, .. } => Ok((RequestSource::Cycle(vec![get(path, &[])]), None)),
        Bench::Positions { users, .. } => {
            let stage = Stage::build(load, target, BenchSize { concerts: 1, seats_each: 1, users: 1 }).await?;
            let tokens = stage.line(*users).await?;
            let path = |token: &String| format!("/api/v1/queue/tokens/{token}/position");
            Ok((RequestSource::Cycle(tokens.iter().map(|token| get(&path(token), &[])).collect()), Some(stage)))
        }
        Bench::Seatmap { seats, unchanged, .. } => {
            let hall = BenchSize { concerts: 1, seats_each: *seats, users: 1 };
            let stage = Stage::build(load, target, hall).await?;
            let path = format!("/api/v1{}", stage.map_path());
            let request = get(&path, &[]);
            if !unchanged {
                return Ok((RequestSource::Cycle(vec![request]), Some(stage)));
            }
            let answer = HttpConnection::open(target).await?.exchange(&request).await?;
            let etag = answer.etag.context("the seat map has no ETag")?;
            Ok((RequestSource::Cycle(vec![get(&path, &[("If-None-Match", &etag)])]), Some(stage)))
        }
        Bench::Holds { users, seats, concerts, .. } => {
            let seats_each = seats.div_ceil(*concerts);
            let stage =
                Stage::build(load, target, BenchSize { concerts: *concerts, seats_each, users: *users }).await?;
            let holds = Holds {
                host: target.host.clone(),
                run: run_number(),
                first_seats: stage.first_seats().collect(),
                seats_each: u64::from(seats_each),
                next: AtomicU64::new(0),
                buyers: stage.active(*users).await?,
            };
            Ok((RequestSource::Holds(holds), Some(stage)))
        }
    }
}

/// Asks on all connections until the time is over or nothing is left to ask.
async fn press(source: &Arc<RequestSource>, load: &LoadOptions, target: &Target) -> Result<(Tally, Duration)> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(HttpConnection::open(target).await.context("the server does not take so many connections")?);
    }
    let began = Instant::now();
    let until = began + Duration::from_secs(u64::from(load.seconds));
    let mut workers = JoinSet::new();
    for (index, connection) in connections.into_iter().enumerate() {
        workers.spawn(work(Arc::clone(source), connection, target.clone(), index, until));
    }
    let mut all = Tally::new();
    let mut last = began;
    while let Some(done) = workers.join_next().await {
        let (tally, ended) = done?;
        all.add(&tally);
        last = last.max(ended);
    }
    Ok((all, last.saturating_duration_since(began)))
}

async fn work(
    source: Arc<RequestSource>,
    connection: HttpConnection,
    target: Target,
    first: usize,
    until: Instant,
) -> (Tally, Instant) {
    let mut tally = Tally::new();
    let mut connection = Some(connection);
    let mut turn = first;
    let mut now = Instant::now();
    while now < until {
        let Some(request) = source.next(turn) else { break };
        turn = turn.wrapping_add(1);
        let Some(open) = &mut connection else {
            connection = HttpConnection::open(&target).await.ok();
            if connection.is_none() {
                tally.lost += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
                now = Instant::now();
            }
            continue;
        };
        let answer = timeout_at(until + GRACE, open.exchange(&request)).await;
        let ended = Instant::now();
        if let Ok(Ok(answer)) = answer {
            tally.latency.saturating_record(micros(ended - now));
            *tally.statuses.entry(answer.status).or_default() += 1;
            if answer.status >= 400 {
                *tally.refusals.entry(format!("{} {}", answer.status, crate::retry::code(&answer))).or_default() += 1;
            }
            if !open.is_kept() {
                connection = None;
            }
        } else {
            tally.lost += 1;
            connection = None;
        }
        now = ended;
    }
    (tally, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seat_is_asked_for_once_by_the_buyers_in_turn() {
        let buyer = |name: &str| stage::Active { bearer: format!("Bearer {name}"), token: format!("token-{name}") };
        let holds = Holds {
            host: "h".to_owned(),
            run: 1,
            first_seats: vec![10, 50],
            seats_each: 2,
            next: AtomicU64::new(0),
            buyers: vec![buyer("a"), buyer("b")],
        };
        let source = RequestSource::Holds(holds);
        let texts: Vec<String> =
            std::iter::from_fn(|| source.next(0)).map(|text| String::from_utf8(text.into_owned()).unwrap()).collect();
        assert_eq!(texts.len(), 4);
        assert!(texts[0].contains("token-a") && texts[0].ends_with("{\"seat_id\":10}"));
        assert!(texts[1].contains("token-b") && texts[1].ends_with("{\"seat_id\":11}"));
        assert!(texts[2].contains("token-a") && texts[2].ends_with("{\"seat_id\":50}"));
        assert!(!texts[0].contains("0000000000000001-0000000000000001"));
        assert!(texts[1].contains("0000000000000001-0000000000000001"));
    }

    #[test]
    fn tallies_add_up() {
        let mut all = Tally::new();
        let mut one = Tally::new();
        one.latency.saturating_record(1_000);
        one.statuses.extend([(201, 2), (409, 1)]);
        all.add(&one);
        all.add(&one);
        assert_eq!((all.good(), all.statuses[&409], all.latency.len()), (4, 2, 2));
    }
}
