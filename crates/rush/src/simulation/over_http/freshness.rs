//! How soon the other instances show a change: a token leaves at one of them, and the others are asked for its place
//! until they say that it has ended.
//!
//! The time begins with the moment at which the leaving was decided, which its row has and which is before the commit,
//! and ends when the other instance's answer is there. So it is a little longer than the age of what the instance
//! answers from, never shorter.

use super::{
    instances::{InstancePools, now},
    request,
};
use crate::{client::Lost, meter::histogram};
use anyhow::{Context, Result, bail, ensure};
use frontrow_domain::time::Time;
use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// The pause between two questions to the same instance.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// The pause of a probe between two changes.
const REST: Duration = Duration::from_millis(20);
/// A change that is not shown by then counts as so late.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
/// A probe lasts no longer than this.
const LASTS_MAX: Duration = Duration::from_hours(1);

/// Tokens that join and leave a line of their own, and the instances that are watched for it.
#[derive(Debug, Clone)]
pub struct FreshnessProbe {
    /// The instances, of this machine: two or more.
    pub instances: Vec<SocketAddr>,
    /// The secret of an operator's session, which opens the line.
    pub operator_session: String,
    /// The secrets of the sessions of users who join and leave, each at its own pace.
    pub sessions: Vec<String>,
}

/// How old what other instances answered was, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ViewDelays {
    /// How many changes were looked for, each at every other instance.
    pub seen: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl ViewDelays {
    /// A line for people to read.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { seen, p50_ms, p99_ms, max_ms } = self;
        format!("shown by another instance ({seen} times): p50 {p50_ms:.1} ms  p99 {p99_ms:.1} ms  max {max_ms:.1} ms")
    }
}

#[derive(Deserialize)]
struct RoomAnswer {
    room_id: i64,
}

#[derive(Deserialize)]
struct ProbeToken {
    token: String,
    expired_at: Option<Time>,
}

#[derive(Deserialize)]
struct ProbePlace {
    status: String,
    stale: bool,
}

impl FreshnessProbe {
    /// Does the work, and probes as long as it goes on.
    ///
    /// # Errors
    /// There are not two instances, or one of them answers what it should not.
    pub async fn beside<T>(self, work: impl Future<Output = T>) -> Result<(T, ViewDelays)> {
        ensure!(self.instances.len() > 1, "one instance has no other that could be behind");
        let instances = Arc::new(InstancePools::new(&self.instances, Instant::now() + LASTS_MAX));
        // At such an address nothing is.
        let line = json!({ "name": "Probes", "turn_url": "https://probes.example.com/", "max_active": 0 });
        let text = request(&instances, "POST", "/operator/rooms", &self.operator_session, None, Some(&line));
        let answer = instances.ask_first(&text).await?;
        ensure!(answer.status == 201, "the room: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        let RoomAnswer { room_id } = serde_json::from_slice(&answer.body)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut probes = JoinSet::new();
        for (number, session) in self.sessions.into_iter().enumerate() {
            let probe = Probe { instances: Arc::clone(&instances), session, room_id };
            probes.spawn(probe.go_on(number, Arc::clone(&is_over)));
        }
        let done = work.await;
        is_over.store(true, Ordering::Relaxed);
        let mut all = histogram();
        while let Some(probe) = probes.join_next().await {
            all.add(probe??).context("all have the same bounds")?;
        }
        let ms = |micros| crate::clock::millis(micros);
        let (p50, p99) = (all.value_at_quantile(0.5), all.value_at_quantile(0.99));
        Ok((done, ViewDelays { seen: all.len(), p50_ms: ms(p50), p99_ms: ms(p99), max_ms: ms(all.max()) }))
    }
}

/// One user who joins and leaves.
struct Probe {
    instances: Arc<InstancePools>,
    session: String,
    room_id: i64,
}

impl Probe {
    async fn go_on(self, number: usize, is_over: Arc<AtomicBool>) -> Result<Histogram<u64>> {
        let (mut ages, mut rng) = (histogram(), StdRng::seed_from_u64(u64::try_from(number)?));
        let (count, mut turn) = (self.instances.len(), number);
        while !is_over.load(Ordering::Relaxed) {
            let at = turn % count;
            turn += 1;
            let key = format!("probe-{:016x}{:016x}", rng.random::<u64>(), rng.random::<u64>());
            let others: Vec<_> = (0..count).filter(|other| *other != at).collect();
            for age in self.leave_once(at, &others, &key).await? {
                ages.saturating_record(age);
            }
            sleep(REST).await;
        }
        Ok(ages)
    }

    /// Joins and leaves at one instance. How old the change was when each of the others showed it, in microseconds.
    async fn leave_once(&self, at: usize, others: &[usize], key: &str) -> Result<Vec<u64>> {
        let body = json!({ "room_id": self.room_id });
        let token: ProbeToken = self.ask(at, "POST", "/queue/tokens", Some(key), Some(&body)).await?;
        for other in others {
            self.shown(*other, &token.token, |place| place.status == "waiting" && !place.stale).await?;
        }
        let path = format!("/queue/tokens/{}", token.token);
        let leave = request(&self.instances, "DELETE", &path, &self.session, Some(&format!("{key}-left")), None);
        let left = async { self.instances.ask(|| at, &leave).await.context("no answer to a leaving") };
        let mut watches = JoinSet::new();
        for other in others {
            let watch = Self { instances: Arc::clone(&self.instances), session: self.session.clone(), ..*self };
            let (token, other) = (token.token.clone(), *other);
            watches.spawn(async move { watch.shown(other, &token, |place| place.status == "ended").await });
        }
        let left = left.await?.answer;
        ensure!(left.status == 204, "leaving: {} {}", left.status, String::from_utf8_lossy(&left.body));
        let ProbeToken { expired_at, .. } = self.ask(at, "GET", &path, None, None).await?;
        let decided = expired_at.context("a token that left has no end")?;
        let mut ages = Vec::with_capacity(others.len());
        while let Some(shown) = watches.join_next().await {
            ages.push(u64::try_from(shown??.since(decided).micros()).unwrap_or(0));
        }
        Ok(ages)
    }

    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        at: usize,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&serde_json::Value>,
    ) -> Result<T> {
        let text = request(&self.instances, method, path, &self.session, key, body);
        let answer = self.instances.ask(|| at, &text).await.context("no answer")?.answer;
        if answer.status >= 300 {
            bail!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        serde_json::from_slice(&answer.body).context("an answer that is not what it should be")
    }

    /// Asks an instance for a place until it is so; when that answer was there.
    async fn shown(&self, at: usize, token: &str, is_so: impl Fn(&ProbePlace) -> bool) -> Result<Time> {
        let path = format!("/queue/tokens/{token}/position");
        let text = request(&self.instances, "GET", &path, &self.session, None, None);
        let from = Instant::now();
        loop {
            match self.instances.ask_once(at, &text).await {
                Ok(answer) if answer.status == 200 => {
                    let place: ProbePlace = serde_json::from_slice(&answer.body)?;
                    if is_so(&place) || from.elapsed() > SHOWN_WITHIN {
                        return Ok(now());
                    }
                }
                // It is asked again.
                Ok(_) | Err(Lost::TimedOut | Lost::Broken) => {
                    ensure!(from.elapsed() < SHOWN_WITHIN, "an instance does not answer");
                }
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
