//! How long a token will wait.
//!
//! The places of a room become free as its visits end. If each of the active tokens ends with the same chance in the
//! next moment (the measured ends ÷ the measured time of all visits), a room of c places has c times that many free
//! places in the same time, whatever c is: so a change of the cap counts at once. Of those in front only a share comes
//! in, as the turns before them show; the others are passed over or let their turn go by. The wait is the time until as
//! many places have become free as those in front will take, but no shorter than a rate allows.

use crate::time::Span;

const ONE_PPM: i64 = 1_000_000;
const SECOND: i64 = 1_000_000;

/// How a line moves, as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePace {
    /// How many visits ended, in millionths.
    pub ends_ppm: i64,
    /// The time of all visits in which they ended, in microseconds: a minute in which two tokens were active is two.
    pub visit_micros: i64,
    /// The share of those in front that will be offered a turn, in millionths: the others are not heard of.
    pub alive_ppm: i64,
    /// The share of those in front that will come in, in millionths.
    pub comes_ppm: i64,
    /// Places that are free, or become free while a claim is on its way, less those that are spoken for, in millionths.
    pub free_ppm: i64,
    /// How many places the room has.
    pub cap: i64,
    /// The share of them that is taken on average once the room has filled, in millionths.
    pub used_ppm: i64,
    /// The rate, in turns a minute, if there is one.
    pub admit_per_minute: Option<i64>,
}

impl LinePace {
    /// The mean time between two places that become free; none before a visit has ended.
    fn between_places(&self) -> Option<i128> {
        let used = i128::from(self.cap).saturating_mul(i128::from(self.used_ppm));
        let ends = i128::from(self.ends_ppm).saturating_mul(used).checked_div(i128::from(ONE_PPM))?;
        let time = i128::from(self.visit_micros).saturating_mul(i128::from(ONE_PPM));
        if self.ends_ppm <= 0 { None } else { time.checked_div(ends) }
    }

    /// How many places those in front and the token itself take that are not free yet, in millionths.
    fn places_needed(&self, ahead: i64) -> i128 {
        let coming = i128::from(ahead.max(0)).saturating_mul(i128::from(self.comes_ppm));
        coming.saturating_add(i128::from(ONE_PPM)).saturating_sub(i128::from(self.free_ppm)).max(0)
    }

    /// The time that the rate takes to offer turns to those in front; the token's own turn is taken as earned by then.
    fn by_rate(&self, ahead: i64) -> i128 {
        let turns = i128::from(ahead.max(0)).saturating_mul(i128::from(self.alive_ppm));
        let minute = i128::from(60 * SECOND);
        let rate = self.admit_per_minute.map(|rate| i128::from(rate.max(1)).saturating_mul(i128::from(ONE_PPM)));
        rate.and_then(|rate| turns.saturating_mul(minute).checked_div(rate)).unwrap_or(0)
    }
}

/// The estimated wait (예상대기시간계산) of a token with `ahead` live tokens in front of it. None if too little was
/// measured.
#[must_use]
pub fn estimated_wait(ahead: i64, pace: &LinePace) -> Option<Span> {
    let needed = pace.places_needed(ahead);
    let by_cap = match pace.between_places() {
        Some(between) => between.saturating_mul(needed).checked_div(i128::from(ONE_PPM))?,
        None if needed == 0 => 0,
        None => return None,
    };
    Some(span(by_cap.max(pace.by_rate(ahead))))
}

/// The wait that nine in ten will not exceed: 1.28 deviations above the estimate, which cover nine tenths of a normal
/// distribution. Ends of visits are taken as a Poisson stream, so that n of them have a deviation of √n; and so are
/// those from which the pace was measured, which makes all waits of a time too long or too short together.
#[must_use]
pub fn estimated_wait_p90(ahead: i64, pace: &LinePace) -> Option<Span> {
    let median = estimated_wait(ahead, pace)?;
    let (Some(between), wait) = (pace.between_places(), i128::from(median.micros())) else { return Some(median) };
    let needed = pace.places_needed(ahead).checked_div(i128::from(ONE_PPM))?;
    let of_ends = needed.saturating_mul(between).saturating_mul(between);
    let of_pace =
        wait.saturating_mul(wait).saturating_mul(i128::from(ONE_PPM)).checked_div(i128::from(pace.ends_ppm))?;
    let deviation = of_ends.saturating_add(of_pace).max(0).isqrt();
    Some(span(wait.saturating_add(deviation.saturating_mul(128).checked_div(100)?)))
}

fn span(micros: i128) -> Span {
    Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten places, each of which is free once in twenty seconds, and everybody comes.
    const STEADY: LinePace = LinePace {
        ends_ppm: 100 * ONE_PPM,
        visit_micros: 2_000 * SECOND,
        alive_ppm: ONE_PPM,
        comes_ppm: ONE_PPM,
        free_ppm: 0,
        cap: 10,
        used_ppm: ONE_PPM,
        admit_per_minute: None,
    };

    fn seconds(ahead: i64, pace: &LinePace) -> Option<i64> {
        estimated_wait(ahead, pace).map(|wait| wait.micros() / SECOND)
    }

    #[test]
    fn the_wait_is_the_time_in_which_as_many_places_become_free_as_those_in_front_take() {
        assert_eq!((seconds(0, &STEADY), seconds(9, &STEADY)), (Some(2), Some(20)));
        let half = LinePace { comes_ppm: ONE_PPM / 2, ..STEADY };
        assert_eq!(seconds(98, &half), Some(100), "half of them come");
        let free = LinePace { free_ppm: 5 * ONE_PPM, ..STEADY };
        assert_eq!((seconds(4, &free), seconds(9, &free)), (Some(0), Some(10)));
    }

    #[test]
    fn a_change_of_cap_or_rate_counts_at_once() {
        assert_eq!(seconds(9, &LinePace { cap: 20, ..STEADY }), Some(10));
        assert_eq!(seconds(9, &LinePace { cap: 0, ..STEADY }), None);
        let slow = LinePace { admit_per_minute: Some(6), ..STEADY };
        assert_eq!(seconds(9, &slow), Some(90));
        assert_eq!(seconds(9, &LinePace { alive_ppm: ONE_PPM / 2, ..slow }), Some(45), "ghosts use no turns");
    }

    #[test]
    fn nothing_is_known_before_a_visit_has_ended_unless_a_place_is_free() {
        let new = LinePace { ends_ppm: 0, visit_micros: 500 * SECOND, ..STEADY };
        assert_eq!(seconds(0, &new), None);
        assert_eq!(seconds(3, &LinePace { free_ppm: 4 * ONE_PPM, ..new }), Some(0));
    }

    #[test]
    fn the_fewer_visits_were_measured_the_wider_is_the_range() {
        let p90 = |pace: &LinePace| estimated_wait_p90(99, pace).unwrap().micros() / SECOND;
        let few = LinePace { ends_ppm: 4 * ONE_PPM, visit_micros: 80 * SECOND, ..STEADY };
        assert_eq!((seconds(99, &STEADY), seconds(99, &few)), (Some(200), Some(200)));
        // √(100 × 2² + 200² ÷ 100) = 28, and √(100 × 2² + 200² ÷ 4) = 102.
        assert_eq!((p90(&STEADY), p90(&few)), (236, 330));
    }
}
