//! Limits log lines about a failure that repeats: one when it begins, one every half a minute with the count, and one
//! when it is over. A failure after half a minute without one starts over.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The interval between log lines about a lasting failure.
const LOGGED_EVERY: Duration = Duration::from_secs(30);

/// One kind of failure.
#[derive(Debug)]
pub struct Trouble {
    what: &'static str,
    lasting: Mutex<Option<Lasting>>,
}

#[derive(Debug, Clone, Copy)]
struct Lasting {
    since: Instant,
    last: Instant,
    logged: Instant,
    times: u64,
}

/// The log line for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogLine {
    None,
    /// The failure begins.
    First,
    /// The failure lasts; how often it has occurred.
    Still(u64),
}

impl Trouble {
    /// Without a failure so far. `what` names the failure in the log line.
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self { what, lasting: Mutex::new(None) }
    }

    /// Records a failure.
    pub fn came(&self, error: &dyn Display) {
        match self.note(Instant::now()) {
            LogLine::None => tracing::debug!(%error, "{}", self.what),
            LogLine::First => tracing::warn!(%error, "{}", self.what),
            LogLine::Still(times) => tracing::warn!(%error, times, "{} (continues)", self.what),
        }
    }

    /// Records a success.
    pub fn is_over(&self) {
        if let Some(Lasting { since, times, .. }) = self.lasting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, times, "resolved: {}", self.what);
        }
    }

    /// Records a result and returns its value.
    pub fn noted<T, E: Display>(&self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.is_over();
                Some(value)
            }
            Err(error) => {
                self.came(&error);
                None
            }
        }
    }

    fn note(&self, now: Instant) -> LogLine {
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_the_same = |known: &&mut Lasting| now.saturating_duration_since(known.last) < LOGGED_EVERY;
        let Some(known) = lasting.as_mut().filter(is_the_same) else {
            *lasting = Some(Lasting { since: now, last: now, logged: now, times: 1 });
            return LogLine::First;
        };
        (known.last, known.times) = (now, known.times.saturating_add(1));
        if now.saturating_duration_since(known.logged) < LOGGED_EVERY {
            return LogLine::None;
        }
        known.logged = now;
        LogLine::Still(known.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_failure_is_logged_first_and_then_twice_a_minute() {
        let trouble = Trouble::new("cannot reach it");
        let from = Instant::now();
        let lines = |quarters: std::ops::Range<u32>| {
            let notes = quarters.map(|quarter| trouble.note(from + Duration::from_millis(250) * quarter));
            notes.filter(|line| *line != LogLine::None).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(0..241),
            [LogLine::First, LogLine::Still(121), LogLine::Still(241)],
            "four times a second for a minute"
        );
        trouble.is_over();
        assert_eq!(lines(241..300), [LogLine::First]);
        assert_eq!(lines(420..421), [LogLine::First], "half a minute later");
    }
}
