//! Sources of time and randomness that tests can control.

mod steady;

pub use steady::JUMP_MIN;
pub use steady::{Held, Steady};

use frontrow_domain::time::{Span, Time};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};
use uuid::Uuid;

/// A clock: the system's, one that a test moves, or either made steady.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock, including its jumps.
    System,
    /// One that a test moves.
    Manual(Arc<Manual>),
    /// The clock of a box office: it runs on when its source jumps.
    Steady(Arc<Steady>),
}

/// A test's clock, in microseconds: the time of day, the elapsed time, and the part of it in which the box office
/// worked.
#[derive(Debug, Default)]
pub struct Manual {
    wall: AtomicI64,
    passed: AtomicI64,
    worked: AtomicI64,
    /// Locked while working time passes, so that readers see both values change together.
    advancing: Mutex<()>,
}

impl Clock {
    /// A clock that stands still at `start` until a test moves it.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self::Manual(Arc::new(Manual { wall: AtomicI64::new(start.micros()), ..Manual::default() }))
    }

    /// Makes this clock steady. A steady clock stays the same, and its copies share its time.
    #[must_use]
    pub fn steady(self) -> Self {
        match self {
            Self::Steady(_) => self,
            source => Self::Steady(Arc::new(Steady::over(source))),
        }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Time {
        match self {
            Self::Steady(steady) => steady.now(),
            Self::System | Self::Manual(_) => self.wall(),
        }
    }

    /// The time of the machine's clock, right or wrong.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn wall(&self) -> Time {
        match self {
            Self::System => Time::from_micros(jiff::Timestamp::now().as_microsecond()),
            Self::Manual(manual) => Time::from_micros(manual.wall.load(Ordering::SeqCst)),
            Self::Steady(steady) => steady.wall(),
        }
    }

    /// The time elapsed in this process, whatever the time of day does.
    fn passed(&self) -> Span {
        static START: OnceLock<Instant> = OnceLock::new();
        match self {
            Self::System => {
                let passed = START.get_or_init(Instant::now).elapsed();
                Span::from_micros(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Manual(manual) => Span::from_micros(manual.passed.load(Ordering::SeqCst)),
            Self::Steady(steady) => steady.passed(),
        }
    }

    /// Whether a test moves this clock.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        match self {
            Self::System => false,
            Self::Manual(_) => true,
            Self::Steady(steady) => steady.source().is_manual(),
        }
    }

    /// Lets working time pass on a manual clock. Does nothing to the system's clock.
    pub fn advance(&self, by: Span) {
        match self {
            Self::System => {}
            Self::Manual(manual) => {
                let _both = manual.advancing.lock().unwrap_or_else(PoisonError::into_inner);
                self.stall(by);
                manual.worked.fetch_add(by.micros().max(0), Ordering::SeqCst);
            }
            Self::Steady(steady) => steady.source().advance(by),
        }
    }

    /// Lets time pass on a manual clock in which nothing is decided, as if the process were stopped or a commit hung.
    /// Does nothing to the system's clock.
    pub fn stall(&self, by: Span) {
        match self {
            Self::System => {}
            Self::Manual(manual) => {
                manual.passed.fetch_add(by.micros().max(0), Ordering::SeqCst);
                manual.wall.fetch_add(by.micros(), Ordering::SeqCst);
            }
            Self::Steady(steady) => steady.source().stall(by),
        }
    }

    /// The time that a test has let pass in which the box office counts as working, whether it noted so or not. Zero
    /// for the system's clock: there only a note shows that the box office works.
    ///
    /// Read it before the time when taking a note, and after the time when looking for a silence. Then no working time
    /// counts as silence.
    #[must_use]
    pub fn worked(&self) -> Span {
        match self {
            Self::System => Span::ZERO,
            Self::Manual(manual) => {
                let _both = manual.advancing.lock().unwrap_or_else(PoisonError::into_inner);
                Span::from_micros(manual.worked.load(Ordering::SeqCst))
            }
            Self::Steady(steady) => steady.source().worked(),
        }
    }

    /// Makes the time of day of a manual clock jump, forward or back, while no time passes.
    pub fn jump(&self, by: Span) {
        match self {
            Self::System => {}
            Self::Manual(manual) => {
                manual.wall.fetch_add(by.micros(), Ordering::SeqCst);
            }
            Self::Steady(steady) => steady.source().jump(by),
        }
    }

    /// Raises the time of a steady clock to `mark` if it is earlier. Does nothing to other clocks.
    pub fn raise_to(&self, mark: Time) {
        if let Self::Steady(steady) = self {
            steady.raise_to(mark);
        }
    }

    /// Makes a steady clock follow another one, such as the database's, which is `ahead` of it. It then ignores the
    /// machine's clock.
    pub fn follow(&self, ahead: Span) {
        if let Self::Steady(steady) = self {
            steady.follow(ahead);
        }
    }

    /// How far the machine's clock is ahead, if the time does not follow it; none if they agree, another clock leads,
    /// or this clock is not steady.
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        match self {
            Self::Steady(steady) => steady.held(),
            Self::System | Self::Manual(_) => None,
        }
    }
}

/// An instance whose clock is further from the database's must not sell: times that users see come from both. So the
/// clocks of two selling instances differ by up to twice as much.
pub const SKEW_MAX: Span = Span::from_secs(30);

/// Two clocks are too far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database's clock is {seconds} seconds {word} this machine's: both need a time service")]
pub struct ClocksApart {
    seconds: i64,
    word: &'static str,
}

/// How far the database's clock, read between `before` and `after`, is ahead of this machine's. Zero if it lies between
/// them: a slow answer is not the clock's fault.
#[must_use]
pub fn skew(database: Time, before: Time, after: Time) -> Span {
    let nearest = database.clamp(before, after.max(before));
    Span::from_micros(database.micros().saturating_sub(nearest.micros()))
}

/// Refuses clocks that differ by more than `most`.
///
/// # Errors
/// The difference is larger.
pub fn check_skew(skew: Span, most: Span) -> Result<(), ClocksApart> {
    if skew.micros().unsigned_abs() <= most.micros().unsigned_abs() {
        return Ok(());
    }
    let word = if skew.micros() > 0 { "ahead of" } else { "behind" };
    Err(ClocksApart { seconds: skew.millis().abs() / 1_000, word })
}

/// Random ids and secrets; a seed makes them reproducible.
#[derive(Debug, Clone)]
pub struct Ids(Arc<Mutex<StdRng>>);

impl Ids {
    /// Randomness from the operating system.
    #[must_use]
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// Reproducible randomness for tests.
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

/// A random id for the log, such as a request's: nothing is decided by it, so no seed replays it and no lock is taken.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids which no seed replays")]
pub fn log_id() -> Uuid {
    Uuid::new_v4()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_so_far_apart_and_a_slow_answer_is_not_the_clocks_fault() {
        let at = |seconds| Time::default().plus(Span::from_secs(seconds));
        let said = |database, before, after| {
            let refused = check_skew(skew(at(database), at(before), at(after)), Span::from_secs(60));
            refused.map_err(|apart| apart.to_string())
        };
        for (database, before, after) in
            [(1_000, 1_000, 1_001), (1_060, 1_000, 1_000), (940, 1_000, 1_000), (1_100, 1_000, 1_200)]
        {
            assert_eq!(said(database, before, after), Ok(()));
        }
        assert!(said(1_062, 1_000, 1_001).unwrap_err().contains("61 seconds ahead of"));
        assert!(said(800, 1_000, 1_001).unwrap_err().contains("200 seconds behind"));
    }
}
