//! The sums of this instance over all routes, as the figures of the house take them once a second. They are read from
//! the metrics as they are: a request counts nothing more for them.

use super::{Metrics, STATUSES, latency::BOUNDS};
use std::time::Duration;

/// How many buckets of time the requests are counted in; the last one is for longer times than any bound.
const BUCKETS: usize = BOUNDS.len() + 1;

/// Requests since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestTotals {
    /// By the time to the head of the answer.
    pub(crate) by_time: [u64; BUCKETS],
    /// Answers of 500 and above.
    pub(crate) errors: u64,
    /// Answers that are problems, by code.
    pub(crate) problems: Vec<(&'static str, u64)>,
}

impl Metrics {
    /// The sums over all routes: some thousand reads of memory, no lock.
    pub(crate) fn request_totals(&self) -> RequestTotals {
        let mut totals = RequestTotals::default();
        let routes = self.routes.load();
        for by_method in routes.values().flat_map(|route| &route.methods).filter_map(|method| method.get()) {
            for (sum, count) in totals.by_time.iter_mut().zip(by_method.latency.counts()) {
                *sum += count;
            }
            let counted = STATUSES.iter().zip(&by_method.statuses).filter(|(status, _)| **status >= 500);
            totals.errors += counted.filter_map(|(_, counter)| Some(counter.get()?.get())).sum::<u64>();
        }
        totals.problems = self.codes.load().iter().map(|(code, counter)| (*code, counter.get())).collect();
        totals
    }
}

/// The time within which `percent` of the requests were answered, from their numbers by time; none without requests. Of
/// the bucket in which it lies it is taken to lie in proportion; beyond the last bound it is that bound.
pub(crate) fn percentile(by_time: &[u64], percent: u64) -> Option<Duration> {
    let all: u64 = by_time.iter().sum();
    if all == 0 {
        return None;
    }
    let wanted = (all * percent).div_ceil(100).max(1);
    let (mut below, mut from) = (0_u64, Duration::ZERO);
    for (count, bound) in by_time.iter().zip(BOUNDS) {
        if below + count >= wanted {
            let width = u64::try_from(bound.saturating_sub(from).as_micros()).unwrap_or(0);
            return Some(from + Duration::from_micros(width * (wanted - below) / count.max(&1)));
        }
        (below, from) = (below + count, bound);
    }
    Some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_are_those_of_all_routes_and_codes() {
        let metrics = Metrics::new();
        let quick = Duration::from_micros(300);
        metrics.request("GET", "/one", 200, quick);
        metrics.request("POST", "/one", 503, Duration::from_mins(1));
        metrics.request("GET", "/two", 500, quick);
        metrics.request("GET", "/two", 502, quick);
        metrics.request("GET", "/two", 418, quick);
        metrics.refusal("seat_taken");
        metrics.refusal("overloaded");
        metrics.refusal("seat_taken");
        let mut totals = metrics.request_totals();
        totals.problems.sort_unstable();
        assert_eq!((totals.by_time[0], totals.by_time[BUCKETS - 1], totals.errors), (4, 1, 3));
        assert_eq!(totals.problems, [("overloaded", 1), ("seat_taken", 2)]);
        assert!(metrics.render().contains("frontrow_problems_total{code=\"seat_taken\"} 2\n"));
    }

    #[test]
    fn a_percentile_lies_in_the_bucket_that_it_falls_into() {
        let mut by_time = [0; BUCKETS];
        assert_eq!(percentile(&by_time, 50), None);
        by_time[1] = 100;
        assert_eq!(percentile(&by_time, 50), Some(Duration::from_micros(750)), "half-way from 0.5 ms to 1 ms");
        by_time[4] = 2;
        assert_eq!(percentile(&by_time, 99), Some(Duration::from_micros(7_500)), "half-way from 5 ms to 10 ms");
        by_time[BUCKETS - 1] = 1_000;
        assert_eq!(percentile(&by_time, 99), Some(Duration::from_secs(10)));
    }
}
