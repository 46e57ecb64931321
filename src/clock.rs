//! Where time and randomness come from, so that every test can hold them still.

use frontrow_domain::time::{Span, Time};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};
use uuid::Uuid;

/// Tells the time: the system's, or one that a test moves by hand.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// Microseconds since the epoch, as a test has set them.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.micros())))
    }

    /// The time now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> Time {
        match self {
            Self::System => Time::from_micros(jiff::Timestamp::now().as_microsecond()),
            Self::Manual(micros) => Time::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on. The system's clock is left alone.
    pub fn advance(&self, by: Span) {
        if let Self::Manual(micros) = self {
            micros.fetch_add(by.micros(), Ordering::SeqCst);
        }
    }
}

/// Gives out random ids and secrets; from a seed, the same ones each time.
#[derive(Debug, Clone)]
pub struct Ids(Arc<Mutex<StdRng>>);

impl Ids {
    /// Randomness from the operating system.
    #[must_use]
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// Randomness that replays.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// 32 random bytes.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// A version 7 UUID: ordered by `now`, random otherwise.
    #[must_use]
    pub fn uuid(&self, now: Time) -> Uuid {
        let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
        let random: [u8; 10] = self.0.lock().unwrap_or_else(PoisonError::into_inner).random();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
