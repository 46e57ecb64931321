//! How long a token will wait.

use crate::time::Span;

/// The estimated wait (예상대기시간계산) of a token with `ahead` live tokens in front of it.
///
/// `pace` is the measured mean time between two departures from the head of the line. A token with a free place does
/// not wait; any other waits for `(ahead − free + 1) × pace` (the queue-length predictor of Ibrahim and Whitt, with the
/// measured rate).
#[must_use]
pub fn estimated_wait(ahead: i64, active: i64, max_active: i64, pace: Span) -> Span {
    let free = max_active.saturating_sub(active).max(0);
    if ahead < free {
        return Span::ZERO;
    }
    let departures = ahead.saturating_sub(free).saturating_add(1);
    Span::from_micros(departures.saturating_mul(pace.micros()))
}

/// The wait that nine in ten will not exceed: departures taken as a Poisson stream, so that the count of n has a
/// deviation of √n, and 1.28 deviations cover nine tenths of a normal distribution.
#[must_use]
pub fn estimated_wait_p90(ahead: i64, active: i64, max_active: i64, pace: Span) -> Span {
    let median = estimated_wait(ahead, active, max_active, pace);
    if median == Span::ZERO {
        return Span::ZERO;
    }
    let free = max_active.saturating_sub(active).max(0);
    let departures = ahead.saturating_sub(free).saturating_add(1);
    let deviation = departures.max(0).isqrt().saturating_mul(pace.micros());
    Span::from_micros(median.micros().saturating_add(deviation.saturating_mul(128).saturating_div(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_counts_departures_beyond_the_free_places() {
        let pace = Span::from_secs(2);
        assert_eq!(estimated_wait(0, 9, 10, pace), Span::ZERO);
        assert_eq!(estimated_wait(0, 10, 10, pace), Span::from_secs(2));
        assert_eq!(estimated_wait(9, 10, 10, pace), Span::from_secs(20));
        assert_eq!(estimated_wait(9, 5, 10, pace), Span::from_secs(10));
        assert!(estimated_wait_p90(99, 10, 10, pace) > estimated_wait(99, 10, 10, pace));
    }
}
