//! Time in a run: one monotonic clock for everything that is compared, and the wall clock for opening hours only.

use tokio::time::Instant;

/// Microseconds since the run began, on the one monotonic clock.
pub(crate) type At = u64;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Mono {
    origin: Instant,
}

impl Mono {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Microseconds since the run began.
    pub(crate) fn now(self) -> At {
        self.at(Instant::now())
    }

    /// Microseconds from the run's beginning to `instant`.
    pub(crate) fn at(self, instant: Instant) -> At {
        micros(instant.saturating_duration_since(self.origin))
    }

    /// The instant so many microseconds after the run's beginning; none for the end of time.
    pub(crate) fn instant(self, at: At) -> Option<Instant> {
        self.origin.checked_add(std::time::Duration::from_micros(at)).filter(|_| at < At::MAX)
    }
}

/// Whole microseconds of a duration.
pub(crate) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The wall clock, to see which concert is on sale. Nothing is measured with it.
#[expect(clippy::disallowed_methods, reason = "opening hours are wall time; measurements use Mono")]
pub(crate) fn wall_now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A number for arithmetic with fractions. Above 2^53 it is rounded, which no statistic here minds.
#[expect(clippy::cast_precision_loss, reason = "statistics need no more than 53 bits")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

/// Microseconds as milliseconds with fractions.
pub(crate) fn millis(micros: u64) -> f64 {
    float(micros) / 1_000.0
}

/// Microseconds as seconds with fractions.
pub(crate) fn seconds(micros: u64) -> f64 {
    float(micros) / 1_000_000.0
}
