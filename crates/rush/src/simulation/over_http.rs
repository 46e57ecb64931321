//! The people of the simulation before real instances, over HTTP and in real time: each of them behaves as in
//! `people.rs`, and what they saw is replayed, once they are done, into the same record that a simulated sale is
//! measured by.
//!
//! `visitor.rs` is one person with its requests, `replay.rs` what is made of what it saw; `freshness.rs` measures how
//! soon other instances show a change, and `accounts.rs` is the command.

pub(super) mod accounts;
pub(super) mod freshness;
mod instances;
mod replay;
mod visitor;

use super::{
    SimulatedSale,
    curves::ArrivalCurve,
    measure::SimulationReport,
    people::crowd,
    scenario::{Hoarders, Keeping, Scenario, Shares},
};
use crate::{client::request_text, setup::REASON};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use frontrow_clock::Clock;
use frontrow_domain::{
    policy::Policy,
    time::{Span, Time},
};
use instances::InstancePools;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;
use serde_json::json;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use visitor::{LinePerson, PersonStory};

/// How long requests under way may take after the end.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// Tokens that are looked up at the same time after the end.
const LOOKED_UP_AT_ONCE: usize = 64;
/// So long two joins may be under way at once, with the line's next move.
const UNDER_WAY_MS_MAX: i64 = 250;

/// Which instance a person asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InstanceChoice {
    /// Another one with each request, by chance.
    Any,
    /// Always the same.
    Sticky,
}

/// What the people find, and how they come. Their behaviour is that of the simulation's crowd.
#[derive(Debug, Clone, PartialEq)]
pub struct LinePlan {
    /// How many come.
    pub people: u32,
    /// How many of a hundred come in the rush.
    pub rush_percent: f64,
    /// How long the rush lasts.
    pub rush: Duration,
    /// The others come evenly over this time.
    pub spread: Duration,
    /// The room: 0 is the house room.
    pub room_id: i64,
    /// How many may be in it at once.
    pub max_active: i64,
    /// How many turns it gives a minute; none without a limit.
    pub admit_per_minute: Option<i64>,
    /// The median time inside; the deviation of its logarithm is 0.6.
    pub visit: Duration,
    /// Which instance a person asks.
    pub choice: InstanceChoice,
    /// The seed of the people's choices.
    pub seed: u64,
    /// The end, whatever has happened by then.
    pub lasts: Duration,
    /// The server's `claim_window_seconds`: so long before its deadline a turn was offered.
    pub claim_window: Duration,
}

impl LinePlan {
    /// So many people in a sale like `life` of the simulation, with shorter visits and as many places as let all in
    /// within some minutes.
    #[must_use]
    pub fn of(people: u32) -> Self {
        Self {
            people,
            rush_percent: 50.0,
            rush: Duration::from_secs(10),
            spread: Duration::from_mins(2),
            room_id: 0,
            max_active: (i64::from(people) / 10).max(5),
            admit_per_minute: None,
            visit: Duration::from_secs(20),
            choice: InstanceChoice::Any,
            seed: 1,
            lasts: Duration::from_mins(10),
            claim_window: duration(Policy::default().claim_window),
        }
    }

    /// The same sale in virtual time, by one instance that answers at once.
    ///
    /// # Errors
    /// The rules refused what they must not refuse.
    pub fn simulated(&self) -> Result<LineFigures> {
        let report = SimulatedSale::open(self.scenario(), self.seed)?.run()?;
        Ok(LineFigures::of(self, (1, 0, 0), &report, 0))
    }

    fn scenario(&self) -> Scenario {
        Scenario {
            name: "over_http",
            people: self.people,
            arrivals: ArrivalCurve::Rush {
                share: self.rush_percent,
                lasts: span(self.rush),
                spread: span(self.spread),
            },
            cluster: None,
            lobby: None,
            max_active: self.max_active,
            admit_per_minute: self.admit_per_minute,
            visit: (span(self.visit), 0.6),
            shares: Shares::MEASURED,
            turnouts: Vec::new(),
            hoarders: Hoarders::None,
            keeping: Keeping::Records,
            lasts: span(self.lasts),
        }
    }
}

/// A crowd that is ready to come.
#[derive(Debug, Clone)]
pub struct LineCrowd {
    /// The instances, of this machine: their clock is that of the crowd.
    pub instances: Vec<SocketAddr>,
    /// The secret of an operator's session.
    pub operator_session: String,
    /// The secret of the session of each person.
    pub sessions: Vec<String>,
    pub plan: LinePlan,
}

/// What was measured of a line: the words are those of docs/waiting-room.md.
#[derive(Debug, Clone, Serialize)]
pub struct LineFigures {
    pub people: u32,
    pub instances: usize,
    /// How long it went on.
    pub seconds: i64,
    pub joined: u64,
    /// How many came in.
    pub came_in: u64,
    /// Answers to people who waited.
    pub polls: u64,
    /// Requests in all.
    pub requests: u64,
    /// Requests without an answer, and answers that said to come again.
    pub repeated: u64,
    /// Places that stood idle while people waited who would have come, of all places in that time.
    pub idle_percent: f64,
    /// The same from the moment on at which the room was full for the first time.
    pub idle_once_full_percent: f64,
    pub inversions: u64,
    /// By how many milliseconds their turns came later than those, at most.
    pub inverted_by_ms: i64,
    pub overtaken: u64,
    /// The most that were inside beyond the cap.
    pub beyond_cap: i64,
    pub ahead_rises: u64,
    /// Turns missed by people who asked all the time and claimed at once.
    pub missed_present: u64,
    pub known_percent: f64,
    pub told: usize,
    pub error_percent: f64,
    pub bias_percent: f64,
    pub within_p90_percent: f64,
    pub rises_percent: f64,
    /// First offers that were never seen, so that nothing can be said about their order.
    pub offers_unseen: u64,
}

impl LineFigures {
    /// Whether order and cap were kept. Of several instances one may be a moment behind, so that `ahead` may rise, and of two
    /// joins that are under way at once the later one may be committed first.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        let has_risen = self.instances == 1 && self.ahead_rises > 0;
        let in_order = self.inversions == 0 || (self.instances > 1 && self.inverted_by_ms <= UNDER_WAY_MS_MAX);
        in_order && self.overtaken == 0 && self.beyond_cap <= 0 && !has_risen
    }

    /// Two lines for people to read.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { people, instances, seconds, joined, came_in, polls, requests, repeated, .. } = self;
        let Self { idle_percent, idle_once_full_percent: once_full, known_percent, told, offers_unseen, .. } = self;
        let Self { error_percent, bias_percent, within_p90_percent, rises_percent, .. } = self;
        let Self { inversions, inverted_by_ms, overtaken, beyond_cap, ahead_rises, missed_present, .. } = self;
        format!(
            "{people} people, {instances} instances, {seconds} s: {joined} joined, {came_in} came in; {polls} answers to \
             people who waited, {requests} requests, {repeated} repeated\n\
             idle {idle_percent:.1} % ({once_full:.1} % once full)  known {known_percent:.1} %  {told} waits {error_percent:.1} % \
             off ({bias_percent:+.1} %), p90 {within_p90_percent:.1} %  rises {rises_percent:.1} %\n\
             inversions {inversions} (by {inverted_by_ms} ms at most)  overtaken {overtaken}  beyond the cap {beyond_cap}  rises of ahead {ahead_rises}  \
             turns missed by people who were there {missed_present}  first offers not seen {offers_unseen}"
        )
    }

    fn of(
        plan: &LinePlan,
        (instances, requests, repeated): (usize, u64, u64),
        report: &SimulationReport,
        offers_unseen: u64,
    ) -> Self {
        Self {
            people: plan.people,
            instances,
            seconds: report.seconds,
            joined: report.counts.joined,
            came_in: report.counts.activated,
            polls: report.polls,
            requests,
            repeated,
            idle_percent: report.idle_percent,
            idle_once_full_percent: report.idle_once_full_percent,
            inversions: report.counts.inversions,
            inverted_by_ms: report.counts.inverted_by_ms,
            overtaken: report.counts.overtaken,
            beyond_cap: report.counts.overshoot,
            ahead_rises: report.counts.ahead_rises,
            missed_present: report.counts.missed_present,
            known_percent: report.known_percent,
            told: report.wait.told,
            error_percent: report.wait.error_percent,
            bias_percent: report.wait.bias_percent,
            within_p90_percent: report.wait.covered_percent,
            rises_percent: report.rises_percent,
            offers_unseen,
        }
    }
}

impl LineCrowd {
    /// Sets the room, lets the people come, and measures. It returns when all are done or the time is up.
    ///
    /// # Errors
    /// The crowd does not fit its plan, or the room cannot be set.
    pub async fn come(self) -> Result<LineFigures> {
        let Self { instances, operator_session, sessions, plan } = self;
        ensure!(!instances.is_empty(), "there is no instance");
        ensure!(sessions.len() == usize::try_from(plan.people)?, "a person has no session");
        let end = Instant::now() + plan.lasts;
        let instances = Arc::new(InstancePools::new(&instances, end + STOP_GRACE));
        set_room(&instances, &operator_session, &plan).await?;
        let mut rng = StdRng::seed_from_u64(plan.seed);
        let arrivals = crowd(&plan.scenario(), &mut rng);
        let (opened_at, opened) = (Instant::now(), Clock::System.now());
        let end = opened_at + plan.lasts;
        let mut visitors = JoinSet::new();
        let members: Vec<_> = arrivals.iter().map(|(_, member)| member.clone()).collect();
        for (person, ((arrives, member), session)) in arrivals.into_iter().zip(sessions).enumerate() {
            let own = StdRng::seed_from_u64(rng.random());
            let comes = opened_at + duration(arrives);
            let visitor = LinePerson::new(person, member, session, Arc::clone(&instances), &plan, own, (comes, end));
            visitors.spawn(visitor.come());
        }
        let mut stories = Vec::with_capacity(members.len());
        while let Ok(Some(story)) = timeout_at(end + STOP_GRACE, visitors.join_next()).await {
            stories.push(story.context("a person's task has failed")?);
        }
        if !visitors.is_empty() {
            bail!("{} people were not done {} s after the end", visitors.len(), STOP_GRACE.as_secs());
        }
        let closed = Clock::System.now();
        look_up(&instances, &mut stories).await?;
        let replayed = replay::replay(&members, stories, (opened, closed), plan.max_active, span(plan.claim_window));
        let (requests, repeated) = instances.counts();
        Ok(LineFigures::of(&plan, (instances.len(), requests, repeated), &replayed.report, replayed.offers_unseen))
    }
}

async fn set_room(instances: &InstancePools, operator: &str, plan: &LinePlan) -> Result<()> {
    let body = json!({ "max_active": plan.max_active, "admit_per_minute": plan.admit_per_minute, "reason": REASON });
    let path = format!("/operator/rooms/{}", plan.room_id);
    let answer = instances.ask_first(&request(instances, "PATCH", &path, operator, None, Some(&body))).await?;
    ensure!(answer.status == 200, "the room: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(())
}

/// Reads the moments that only the rows have: when people who claimed came in, and when their tokens ended.
async fn look_up(instances: &Arc<InstancePools>, stories: &mut [PersonStory]) -> Result<()> {
    let mut asking = JoinSet::new();
    let wanted: Vec<_> = stories.iter().enumerate().filter_map(|(at, story)| Some((at, story.claimed()?))).collect();
    for (at, (token, session)) in wanted {
        while asking.len() >= LOOKED_UP_AT_ONCE {
            note(&mut asking, stories).await?;
        }
        let instances = Arc::clone(instances);
        asking.spawn(async move {
            let text = request(&instances, "GET", &format!("/queue/tokens/{token}"), &session, None, None);
            (at, instances.ask_first(&text).await)
        });
    }
    while !asking.is_empty() {
        note(&mut asking, stories).await?;
    }
    Ok(())
}

type LookedUp = (usize, Result<crate::client::HttpResponse>);

async fn note(asking: &mut JoinSet<LookedUp>, stories: &mut [PersonStory]) -> Result<()> {
    let Some(done) = asking.join_next().await else { return Ok(()) };
    let (at, answer) = done?;
    let answer = answer?;
    ensure!(answer.status == 200, "a token: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    if let Some(story) = stories.get_mut(at) {
        story.row = Some(serde_json::from_slice(&answer.body)?);
    }
    Ok(())
}

/// The text of a request of the API by the bearer of this session.
fn request(
    instances: &InstancePools,
    method: &str,
    path: &str,
    session: &str,
    key: Option<&str>,
    body: Option<&serde_json::Value>,
) -> Vec<u8> {
    let bearer = format!("Bearer {session}");
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    let body = body.map(|body| body.to_string().into_bytes());
    request_text(instances.host(), method, &format!("/api/v1{path}"), &headers, body.as_deref())
}

fn span(duration: Duration) -> Span {
    Span::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(u64::try_from(span.micros()).unwrap_or(0))
}

/// A part of the answer about a token that only its row knows.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
struct RowMoments {
    activated_at: Option<Time>,
    expired_at: Option<Time>,
}
