//! The instances that a crowd asks, and the connections to them.

use crate::{
    client::{ConnectionChoice, ConnectionPool, HttpResponse, Lost},
    target::Target,
};
use anyhow::{Result, bail};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Connections to one instance: below what it takes of one address.
const CONNECTIONS: usize = 400;
/// A request without an answer for so long is repeated.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The pause before a request is repeated, unless its answer names one.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An answer with the moments around it.
#[derive(Debug)]
pub(super) struct TimedAnswer {
    pub(super) answer: HttpResponse,
    /// When its request was sent first.
    pub(super) sent: frontrow_domain::time::Time,
    /// When it was there.
    pub(super) there: frontrow_domain::time::Time,
}

/// The instances of a box office.
#[derive(Debug)]
pub(super) struct InstancePools {
    pools: Vec<ConnectionPool>,
    requests: AtomicU64,
    repeated: AtomicU64,
    /// Nothing is repeated after this.
    end: Instant,
}

impl InstancePools {
    pub(super) fn new(addresses: &[SocketAddr], end: Instant) -> Self {
        let pool = |address: &SocketAddr| {
            ConnectionPool::new(Target { address: *address, host: address.to_string() }, CONNECTIONS)
        };
        let pools = addresses.iter().map(pool).collect();
        Self { pools, requests: AtomicU64::new(0), repeated: AtomicU64::new(0), end }
    }

    pub(super) const fn len(&self) -> usize {
        self.pools.len()
    }

    /// A Host header that all of them take: they are one box office.
    pub(super) fn host(&self) -> &str {
        self.pools.first().map_or("localhost", ConnectionPool::host)
    }

    /// How many requests were sent, and how many of them again.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.repeated.load(Ordering::Relaxed))
    }

    /// Sends a request to the instance with this number, once.
    pub(super) async fn ask_once(&self, at: usize, text: &[u8]) -> Result<HttpResponse, Lost> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let Some(pool) = self.pools.get(at) else { return Err(Lost::Broken) };
        pool.exchange(text, ANSWER_MAX, ConnectionChoice::Shared).await.1
    }

    /// Sends a request until its answer is definite. `at` chooses the instance of each sending.
    pub(super) async fn ask(&self, mut at: impl FnMut() -> usize, text: &[u8]) -> Option<TimedAnswer> {
        let sent = now();
        loop {
            let pause = match self.ask_once(at(), text).await {
                Ok(answer) if !is_passing(answer.status) => return Some(TimedAnswer { answer, sent, there: now() }),
                Ok(answer) => answer.retry_after.map_or(AGAIN_AFTER, Duration::from_secs),
                Err(_) => AGAIN_AFTER,
            };
            self.repeated.fetch_add(1, Ordering::Relaxed);
            let again = Instant::now() + pause;
            if again >= self.end {
                return None;
            }
            sleep_until(again).await;
        }
    }

    /// Asks the first instance for something that the crowd cannot do without.
    pub(super) async fn ask_first(&self, text: &[u8]) -> Result<HttpResponse> {
        match self.ask(|| 0, text).await {
            Some(timed) => Ok(timed.answer),
            None => bail!("no answer"),
        }
    }
}

pub(super) fn now() -> frontrow_domain::time::Time {
    frontrow_clock::Clock::System.now()
}

/// Answers that say to come again: nothing was decided.
const fn is_passing(status: u16) -> bool {
    status == 429 || status == 408 || status >= 500
}
