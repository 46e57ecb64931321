//! Whether seats are likely to be left when a token's turn comes.
//!
//! Of the visits that ended, so many seats were sold. So a visit takes the seats sold ÷ the visits: the seats a buyer
//! takes × the share of the visits that buy. The seats that are left are enough for the visits
//!
//! ```text
//! enough = seats left ÷ (seats sold ÷ visits)
//! ```
//!
//! In front of a token stand the visits that have begun or have a turn, and of the tokens ahead of it the share that comes
//! in. Below seven tenths of `enough` seats are likely to be left, up to thirteen tenths they may be, above that they are
//! unlikely to be. Nothing is promised: people decide otherwise than those before them, and seats come back.

use super::VISITS_MIN;
use serde::Serialize;

const ONE_PPM: i128 = 1_000_000;
/// Below this share of the visits for which seats are left, in per cent, seats are likely to be left.
const LIKELY_BELOW_PERCENT: i128 = 70;
/// Up to this share they may be.
const POSSIBLE_TO_PERCENT: i128 = 130;

/// Whether seats of a concert are likely to be left when a token's turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StockOutlook {
    /// They are likely to be.
    Likely,
    /// They may be, or not.
    Possible,
    /// They are unlikely to be.
    Unlikely,
    /// All are sold now. Refunded seats go on sale again.
    SoldOut,
}

/// What is left of a concert's seats, and how its visits bought them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StockPace {
    /// How many seats are free or held.
    pub left: i64,
    /// How many seats were sold while these visits ended.
    pub sold: i64,
    /// How many visits ended.
    pub visits: i64,
}

/// Who stands in front of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFront {
    /// How many tokens are active or have a turn.
    pub inside: i64,
    /// How many living tokens wait in front of it.
    pub waiting: i64,
    /// The share of those that will come in, in millionths.
    pub comes_ppm: i64,
}

impl StockOutlook {
    /// The outlook of a token with so many in front of it. None before [`VISITS_MIN`] visits have ended and a seat was
    /// sold; that nothing is left is known at once.
    #[must_use]
    pub fn of(pace: &StockPace, front: &InFront) -> Option<Self> {
        if pace.left <= 0 {
            return Some(Self::SoldOut);
        }
        if pace.visits < VISITS_MIN || pace.sold <= 0 {
            return None;
        }
        let wide = |count: i64| i128::from(count.max(0));
        let coming = wide(front.waiting).saturating_mul(wide(front.comes_ppm));
        let visits = wide(front.inside).saturating_mul(ONE_PPM).saturating_add(coming);
        // Both sides × sold, × 100 and in millionths: nothing is rounded.
        let taken = visits.saturating_mul(wide(pace.sold)).saturating_mul(100);
        let enough = wide(pace.left).saturating_mul(wide(pace.visits)).saturating_mul(ONE_PPM);
        Some(if taken < enough.saturating_mul(LIKELY_BELOW_PERCENT) {
            Self::Likely
        } else if taken <= enough.saturating_mul(POSSIBLE_TO_PERCENT) {
            Self::Possible
        } else {
            Self::Unlikely
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of the visits bought, two seats each: 400 seats are enough for 400 visits.
    const PACE: StockPace = StockPace { left: 400, sold: 100, visits: 100 };

    fn of(pace: StockPace, inside: i64, waiting: i64, comes_ppm: i64) -> Option<StockOutlook> {
        StockOutlook::of(&pace, &InFront { inside, waiting, comes_ppm })
    }

    #[test]
    fn seats_are_likely_below_seven_tenths_of_the_visits_that_they_are_enough_for_and_unlikely_above_thirteen() {
        use StockOutlook::{Likely, Possible, Unlikely};
        let found = [0, 279, 280, 520, 521, i64::MAX].map(|waiting| of(PACE, 0, waiting, 1_000_000));
        assert_eq!(found, [Likely, Likely, Possible, Possible, Unlikely, Unlikely].map(Some));
    }

    #[test]
    fn those_who_are_in_count_and_of_those_ahead_the_share_that_comes() {
        assert_eq!(of(PACE, 280, 0, 1_000_000), Some(StockOutlook::Possible));
        assert_eq!(of(PACE, 100, 359, 500_000), Some(StockOutlook::Likely));
        assert_eq!(of(PACE, 100, 360, 500_000), Some(StockOutlook::Possible));
    }

    #[test]
    fn nothing_is_said_before_enough_was_measured_but_that_all_is_sold() {
        assert_eq!(of(StockPace { visits: VISITS_MIN - 1, ..PACE }, 0, 0, 1), None);
        assert_eq!(of(StockPace { sold: 0, ..PACE }, 0, 0, 1), None);
        assert_eq!(of(StockPace { left: 0, sold: 0, visits: 0 }, 0, 0, 1), Some(StockOutlook::SoldOut));
    }

    #[test]
    fn fewer_in_front_or_more_seats_never_make_it_worse() {
        let rank = |outlook| match outlook {
            Some(StockOutlook::Likely) => 3,
            Some(StockOutlook::Possible) => 2,
            Some(StockOutlook::Unlikely) => 1,
            Some(StockOutlook::SoldOut) | None => 0,
        };
        for left in (1..600).step_by(7) {
            for waiting in (0..900).step_by(11) {
                let here = rank(of(StockPace { left, ..PACE }, 30, waiting, 700_000));
                assert!(here >= rank(of(StockPace { left, ..PACE }, 30, waiting + 11, 700_000)));
                assert!(here <= rank(of(StockPace { left: left + 7, ..PACE }, 30, waiting, 700_000)));
            }
        }
    }
}
