//! What a token is told about its wait, and how near that was to the wait that came.

use crate::time::Span;
use serde::Serialize;

const SECOND: i64 = 1_000_000;
/// A told wait that is shorter says nothing about a prediction: it is told in whole seconds.
const TOLD_MIN: Span = Span::from_secs(5);
/// A token is told no wait that is longer by more than this than the lowest that it was told before, while the settings of
/// its room are the same.
pub const TOLD_RISE_MAX: Span = Span::from_secs(30);
/// The largest error that is told from others, in per cent of the wait that came.
pub const TOLD_ERROR_PERCENT_MAX: i64 = 200;

/// How long the wait was to be when it was told. Each told wait is of one horizon, the nearest that is not shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ToldHorizon {
    /// The first wait that a token was told, however long.
    #[serde(rename = "first")]
    First,
    /// Ten minutes, and more than five.
    #[serde(rename = "10m")]
    TenMinutes,
    /// Five minutes, and more than two.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// Two minutes, and more than one.
    #[serde(rename = "2m")]
    TwoMinutes,
    /// One minute, and more than half of one.
    #[serde(rename = "1m")]
    OneMinute,
    /// Half a minute, and at least five seconds.
    #[serde(rename = "30s")]
    HalfMinute,
}

impl ToldHorizon {
    /// All of them, the longest first.
    pub const ALL: [Self; 6] =
        [Self::First, Self::TenMinutes, Self::FiveMinutes, Self::TwoMinutes, Self::OneMinute, Self::HalfMinute];

    /// The horizon of a told wait; none for one of more than ten minutes, or of less than five seconds.
    #[must_use]
    pub fn of(p50: Span) -> Option<Self> {
        if p50 < TOLD_MIN {
            return None;
        }
        [Self::HalfMinute, Self::OneMinute, Self::TwoMinutes, Self::FiveMinutes, Self::TenMinutes]
            .into_iter()
            .find(|horizon| horizon.seconds().is_some_and(|seconds| p50 <= Span::from_secs(seconds)))
    }

    /// Whether a told wait is long enough to be compared with the one that came.
    #[must_use]
    pub fn is_judged(p50: Span) -> bool {
        p50 >= TOLD_MIN
    }

    /// The longest wait of this horizon, in seconds; none for the first wait.
    #[must_use]
    pub const fn seconds(self) -> Option<i64> {
        match self {
            Self::First => None,
            Self::TenMinutes => Some(600),
            Self::FiveMinutes => Some(300),
            Self::TwoMinutes => Some(120),
            Self::OneMinute => Some(60),
            Self::HalfMinute => Some(30),
        }
    }

    /// Its name in metrics and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::TenMinutes => "10m",
            Self::FiveMinutes => "5m",
            Self::TwoMinutes => "2m",
            Self::OneMinute => "1m",
            Self::HalfMinute => "30s",
        }
    }

    /// Its number in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::TenMinutes => 1,
            Self::FiveMinutes => 2,
            Self::TwoMinutes => 3,
            Self::OneMinute => 4,
            Self::HalfMinute => 5,
        }
    }
}

/// A wait as a token was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldWait {
    /// Half of the tokens in this place wait no longer.
    pub p50: Span,
    /// Nine in ten of them wait no longer.
    pub p90: Span,
}

/// A told wait beside the one that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldJudgement {
    /// The told p50, in millionths of the wait that came.
    pub ratio_ppm: i64,
    /// How far it was off, in per cent of the wait that came: [`TOLD_ERROR_PERCENT_MAX`] at most.
    pub error_percent: i64,
    /// Whether the wait was no longer than the told p90.
    pub within_p90: bool,
}

impl ToldWait {
    /// The estimated wait as it is told to a token, given the lowest p50 that it was told by the present settings of its
    /// room, if it was told one: the p50 rises by no more than [`TOLD_RISE_MAX`] above that. The p90 stays, so that it says
    /// how long the wait may be after all.
    #[must_use]
    pub fn bounded_by(self, lowest: Option<Span>) -> Self {
        let most = |lowest: Span| Span::from_micros(lowest.micros().saturating_add(TOLD_RISE_MAX.micros()));
        let p50 = lowest.map_or(self.p50, |lowest| self.p50.min(most(lowest)));
        Self { p50, p90: self.p90.max(p50) }
    }

    /// What became of it when the turn was offered after the wait `came`. A wait of less than a second counts as one.
    #[must_use]
    pub fn judged(&self, came: Span) -> ToldJudgement {
        let (told, wait) = (i128::from(self.p50.micros().max(0)), i128::from(came.micros().max(SECOND)));
        let of_wait = |micros: i128, whole: i128| {
            let share = micros.saturating_mul(whole).checked_div(wait).unwrap_or(0);
            i64::try_from(share).unwrap_or(i64::MAX)
        };
        ToldJudgement {
            ratio_ppm: of_wait(told, 1_000_000),
            error_percent: of_wait(told.saturating_sub(wait).saturating_abs(), 100).min(TOLD_ERROR_PERCENT_MAX),
            within_p90: came <= self.p90,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn told(p50: i64, p90: i64) -> ToldWait {
        ToldWait { p50: Span::from_secs(p50), p90: Span::from_secs(p90) }
    }

    #[test]
    fn each_told_wait_is_of_the_nearest_horizon_that_is_not_shorter() {
        let of = |seconds| ToldHorizon::of(Span::from_secs(seconds)).map(ToldHorizon::name);
        let found = [4, 5, 30, 31, 60, 61, 120, 121, 300, 301, 600, 601].map(of);
        let (half, one, two, five, ten) = (Some("30s"), Some("1m"), Some("2m"), Some("5m"), Some("10m"));
        assert_eq!(found, [None, half, half, one, one, two, two, five, five, ten, ten, None]);
        for (index, horizon) in ToldHorizon::ALL.into_iter().enumerate() {
            assert_eq!(horizon.index(), index);
        }
    }

    #[test]
    fn a_told_wait_is_compared_with_the_one_that_came() {
        let came = Span::from_secs(100);
        let exact = ToldJudgement { ratio_ppm: 1_000_000, error_percent: 0, within_p90: true };
        assert_eq!(told(100, 100).judged(came), exact);
        let short = ToldJudgement { ratio_ppm: 750_000, error_percent: 25, within_p90: false };
        assert_eq!(told(75, 99).judged(came), short);
        let long = ToldJudgement { ratio_ppm: 1_300_000, error_percent: 30, within_p90: true };
        assert_eq!(told(130, 160).judged(came), long);
    }

    #[test]
    fn what_was_told_binds_the_p50_and_the_p90_says_how_long_it_may_be() {
        assert_eq!(told(500, 700).bounded_by(None), told(500, 700), "nothing was told before");
        let lowest = Some(Span::from_secs(100));
        assert_eq!(told(90, 120).bounded_by(lowest), told(90, 120));
        assert_eq!(told(130, 160).bounded_by(lowest), told(130, 160));
        assert_eq!(told(500, 700).bounded_by(lowest), told(130, 700));
    }

    proptest! {
        #[test]
        fn a_told_wait_never_rises_by_more_than_half_a_minute_above_the_lowest(
            estimates in prop::collection::vec((0..4_000_i64, 0..4_000_i64), 1..60),
        ) {
            let mut lowest = None;
            for (p50, more) in estimates {
                let estimate = told(p50, p50 + more);
                let wait = estimate.bounded_by(lowest);
                prop_assert!(lowest.is_none_or(|lowest| wait.p50.micros() - lowest.micros() <= TOLD_RISE_MAX.micros()));
                prop_assert!(wait.p50 <= estimate.p50 && wait.p90 == estimate.p90);
                prop_assert!(lowest.is_some() || wait == estimate);
                lowest = Some(lowest.map_or(wait.p50, |lowest| lowest.min(wait.p50)));
            }
        }
    }

    #[test]
    fn a_turn_that_comes_at_once_makes_no_endless_error() {
        let judged = told(30, 40).judged(Span::ZERO);
        assert_eq!(judged, ToldJudgement { ratio_ppm: 30_000_000, error_percent: 200, within_p90: true });
    }
}
