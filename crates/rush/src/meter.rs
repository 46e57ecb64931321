//! Latencies by call, and what happened in each second.
//!
//! A latency is measured from the moment at which the buyer meant to send, not from when a connection or a core was
//! free to do so: a server that stalls is charged for everybody who had to wait (coordinated omission).

use crate::{
    api::SeatCounts,
    clock::{At, micros},
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Latencies above this are counted as this: one hour.
const LATENCY_MAX_MICROS: u64 = 3_600_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    /// From the intended start, in microseconds.
    pub(crate) response: Histogram<u64>,
    /// From the first byte sent, in microseconds.
    pub(crate) service: Histogram<u64>,
}

/// A new histogram of microseconds with two digits of precision.
pub(crate) fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, 2)
        .unwrap_or_else(|_| unreachable!("the bounds are fixed and valid"));
    histogram.auto(false);
    histogram
}

/// The state of the sale at a moment.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sample {
    /// Microseconds since the sale opened.
    pub(crate) at: At,
    pub(crate) waiting: i64,
    pub(crate) offered: i64,
    pub(crate) active: i64,
    /// The cap on active tokens.
    pub(crate) max_active: i64,
    pub(crate) seats: SeatCounts,
}

/// The counts of one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    pub(crate) requests: u64,
    /// Buyers whose turn began.
    pub(crate) admitted: u64,
    pub(crate) holds: u64,
    pub(crate) sold: u64,
    pub(crate) refused: u64,
    /// Requests without a definite answer.
    pub(crate) lost: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    pub(crate) calls: BTreeMap<&'static str, Latencies>,
    /// From joining the line to an active token, in microseconds.
    pub(crate) in_line: Option<Histogram<u64>>,
    /// By status and code, such as `409 seat_held`.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// By second since the sale opened.
    pub(crate) seconds: Vec<Second>,
    pub(crate) samples: Vec<Sample>,
}

/// Measures while the crowd is at work.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    opened: At,
    measured: Mutex<Measured>,
}

impl Meter {
    /// A meter that counts seconds from `opened`.
    pub(crate) fn since(opened: At) -> Self {
        Self { opened, measured: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an answered request: `response` from the intended start, `service` from the sending.
    pub(crate) fn answered(&self, call: &'static str, at: At, response: Duration, service: Duration) {
        let mut measured = self.lock();
        let latencies =
            measured.calls.entry(call).or_insert_with(|| Latencies { response: histogram(), service: histogram() });
        latencies.response.saturating_record(micros(response));
        latencies.service.saturating_record(micros(service));
        second(&mut measured, at.saturating_sub(self.opened)).requests += 1;
    }

    pub(crate) fn refused(&self, at: At, status: u16, code: &str) {
        let mut measured = self.lock();
        *measured.refusals.entry(format!("{status} {code}")).or_default() += 1;
        second(&mut measured, at.saturating_sub(self.opened)).refused += 1;
    }

    /// Notes a request without a definite answer.
    pub(crate) fn lost(&self, at: At, how: &str) {
        let mut measured = self.lock();
        *measured.refusals.entry(how.to_owned()).or_default() += 1;
        second(&mut measured, at.saturating_sub(self.opened)).lost += 1;
    }

    pub(crate) fn held(&self, at: At, seats: usize) {
        second(&mut self.lock(), at.saturating_sub(self.opened)).holds += u64::try_from(seats).unwrap_or(0);
    }

    pub(crate) fn sold(&self, at: At, seats: usize) {
        second(&mut self.lock(), at.saturating_sub(self.opened)).sold += u64::try_from(seats).unwrap_or(0);
    }

    /// Notes how long a buyer stood in line whose turn begins.
    pub(crate) fn waited(&self, at: At, time: Duration) {
        let mut measured = self.lock();
        measured.in_line.get_or_insert_with(histogram).saturating_record(micros(time));
        second(&mut measured, at.saturating_sub(self.opened)).admitted += 1;
    }

    /// Notes the state of the sale.
    pub(crate) fn sample(&self, sample: Sample) {
        self.lock().samples.push(sample);
    }

    /// The totals so far: requests, seats paid.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let measured = self.lock();
        let sum = |get: fn(&Second) -> u64| measured.seconds.iter().map(get).sum();
        (sum(|second| second.requests), sum(|second| second.sold))
    }

    /// Takes the figures measured so far; the meter begins anew.
    pub(crate) fn take(&self) -> Measured {
        std::mem::take(&mut *self.lock())
    }
}

/// The second that `at` falls into. A run is bounded to a day, so that this stays small.
fn second(measured: &mut Measured, at: At) -> &mut Second {
    let index = usize::try_from(at / 1_000_000).unwrap_or(0).min(100_000);
    if measured.seconds.len() <= index {
        measured.seconds.resize(index + 1, Second::default());
    }
    &mut measured.seconds[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_had_to_wait_is_charged_with_its_wait() {
        let meter = Meter::default();
        meter.answered("hold", 0, Duration::from_millis(500), Duration::from_millis(2));
        let measured = meter.take();
        let hold = &measured.calls["hold"];
        assert!(hold.response.max() >= 490_000, "{}", hold.response.max());
        assert!(hold.service.max() < 3_000, "{}", hold.service.max());
    }

    #[test]
    fn a_stall_of_one_second_shows_in_the_percentiles_of_an_open_loop() {
        // 100 requests were due at intervals of 10 ms, and the server stood still for the first second: closed-loop
        // measuring would see one slow request, but 99 others were late too.
        let meter = Meter::default();
        for index in 0..100_u64 {
            let intended = index * 10_000;
            let answered = 1_000_000 + index * 100;
            let response = Duration::from_micros(answered - intended);
            meter.answered("position", answered, response, Duration::from_micros(100));
        }
        let measured = meter.take();
        let latencies = &measured.calls["position"];
        assert!((400_000..600_000).contains(&latencies.response.value_at_quantile(0.5)));
        assert!(latencies.service.value_at_quantile(0.99) < 1_000);
        assert_eq!(measured.seconds[1].requests, 100);
    }

    #[test]
    fn counts_go_to_their_second() {
        let meter = Meter::default();
        meter.held(2_500_000, 3);
        meter.sold(2_999_999, 2);
        meter.refused(0, 409, "seat_held");
        assert_eq!(meter.totals(), (0, 2));
        let measured = meter.take();
        assert_eq!(measured.seconds.len(), 3);
        assert_eq!(measured.seconds[2], Second { holds: 3, sold: 2, ..Second::default() });
        assert_eq!(measured.refusals["409 seat_held"], 1);
    }
}
