//! How a wait is said.

use crate::html::{sale_words::lanes_beside, shell::Shell};
use frontrow_domain::line::{LaneKind, StockOutlook};
use frontrow_line::view::WaitUnknown;
use frontrow_service::{
    line::{LineStatus, Wait},
    sale::{ConcertOnSale, SaleState, SaleStateName},
};
use serde_json::{Value, json};

/// Waits that are longer are said in hours.
const MINUTES_UP_TO_SECONDS: i64 = 5_400;

/// The range of a wait, in whole units of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitRange {
    /// Within a minute.
    Soon,
    Minutes(i64, i64),
    Hours(i64, i64),
}

impl WaitRange {
    /// The range that half of the waits reach and nine in ten do not leave.
    fn of(p50_seconds: i64, p90_seconds: i64) -> Self {
        let range = |unit: i64| {
            let from = p50_seconds.div_euclid(unit).max(1);
            (from, p90_seconds.saturating_add(unit - 1).div_euclid(unit).max(from))
        };
        if p90_seconds <= 60 {
            Self::Soon
        } else if p90_seconds <= MINUTES_UP_TO_SECONDS {
            let (from, to) = range(60);
            Self::Minutes(from, to)
        } else {
            let (from, to) = range(3_600);
            Self::Hours(from, to)
        }
    }
}

/// The text that says whether seats are likely to be left.
pub(super) const fn outlook_id(outlook: StockOutlook) -> &'static str {
    match outlook {
        StockOutlook::Likely => "line-outlook-likely",
        StockOutlook::Possible => "line-outlook-possible",
        StockOutlook::Unlikely => "line-outlook-unlikely",
        StockOutlook::SoldOut => "line-outlook-sold-out",
    }
}

/// In which lane a place is, if it is in one, and what lanes there are beside the line: a sentence each.
pub(super) fn lanes(shell: &Shell, line: &LineStatus) -> Vec<String> {
    let own = line.lane.map(|kind| match kind {
        LaneKind::Invitation => shell.t("line-lane-invitation"),
        LaneKind::Accessibility => shell.t("line-lane-accessibility"),
    });
    own.into_iter().chain(lanes_beside(shell, &line.lanes)).collect()
}

/// The likely wait, or why there is none. Of a sale that is sold out it is not said: a turn would find no seat.
pub(super) fn wait(shell: &Shell, wait: Wait, found: Option<&ConcertOnSale>) -> String {
    let known = |(p50, p90)| match WaitRange::of(p50, p90) {
        WaitRange::Soon => shell.t("line-wait-soon"),
        WaitRange::Minutes(from, to) if from == to => shell.t1("line-wait-minutes", "n", from),
        WaitRange::Minutes(from, to) => shell.t2("line-wait-minutes-range", "from", from, "to", to),
        WaitRange::Hours(from, to) if from == to => shell.t1("line-wait-hours", "n", from),
        WaitRange::Hours(from, to) => shell.t2("line-wait-hours-range", "from", from, "to", to),
    };
    let is_sold_out = found.is_some_and(|found| found.state == SaleState::SoldOut);
    match wait {
        Wait::Known { .. } | Wait::Unknown(WaitUnknown::Measuring) if is_sold_out => shell.t("line-wait-sold-out"),
        Wait::Known { p50_seconds, p90_seconds } => known((p50_seconds, p90_seconds)),
        Wait::Unknown(WaitUnknown::InLobby) => match found.map(|found| &found.concert) {
            Some(concert) => {
                shell.t1("line-wait-lobby-opens", "when", shell.moment(&concert.opens_at, &concert.time_zone))
            }
            None => shell.t("line-wait-lobby"),
        },
        Wait::Unknown(WaitUnknown::SaleNotOpen) => match found.map(|found| &found.concert) {
            Some(concert) => shell.t1("line-wait-opens", "when", shell.moment(&concert.opens_at, &concert.time_zone)),
            None => shell.t("line-wait-not-open"),
        },
        Wait::Unknown(why) => shell.t(unknown_id(why)),
    }
}

/// Why a wait is not known, and what that means, without the moment at which the sale opens.
pub(super) const fn unknown_id(why: WaitUnknown) -> &'static str {
    match why {
        WaitUnknown::Paused => "line-wait-paused",
        WaitUnknown::SaleNotOpen => "line-wait-not-open",
        WaitUnknown::SaleClosed => "line-wait-closed",
        WaitUnknown::InLobby => "line-wait-lobby",
        WaitUnknown::Drawing => "line-wait-drawing",
        WaitUnknown::Measuring => "line-wait-measuring",
    }
}

/// What is left of the seats, in two or three words.
pub(super) fn seats(shell: &Shell, state: SaleState) -> String {
    match state {
        SaleState::OnSale { left } | SaleState::FewLeft { left } => shell.t1("line-seats-left", "n", left),
        other => shell.t(seats_id(other.name())),
    }
}

const fn seats_id(state: SaleStateName) -> &'static str {
    match state {
        SaleStateName::Opens => "line-seats-soon",
        SaleStateName::OnSale | SaleStateName::FewLeft => "line-seats-left",
        SaleStateName::AllHeld => "line-seats-held",
        SaleStateName::SoldOut => "line-seats-sold",
        SaleStateName::NoSeats => "line-seats-none",
        SaleStateName::Closed => "state-closed",
        SaleStateName::Over => "state-over",
        SaleStateName::Postponed => "line-seats-postponed",
        SaleStateName::Cancelled => "state-cancelled",
    }
}

/// What the sale means for a place in its line, if it is not simply on: a title and a text.
pub(super) fn warning(shell: &Shell, found: &ConcertOnSale) -> Option<(String, String)> {
    let (title, text) = warning_ids(found.state.name())?;
    let text = match &found.concert.status_reason {
        Some(reason) => format!("{reason} {}", shell.t(text)),
        None => shell.t(text),
    };
    Some((shell.t(title), text))
}

const fn warning_ids(state: SaleStateName) -> Option<(&'static str, &'static str)> {
    match state {
        SaleStateName::AllHeld => Some(("line-all-held", "line-all-held-text")),
        SaleStateName::SoldOut => Some(("line-sold-out", "line-sold-out-text")),
        SaleStateName::Closed => Some(("line-closed", "line-closed-text")),
        SaleStateName::Postponed => Some(("line-postponed", "line-postponed-text")),
        SaleStateName::Cancelled => Some(("line-cancelled", "line-cancelled-text")),
        SaleStateName::Over => Some(("line-over", "line-over-text")),
        SaleStateName::Opens | SaleStateName::OnSale | SaleStateName::FewLeft | SaleStateName::NoSeats => None,
    }
}

/// The words of each state that the sale may come to, for the script: how many seats are left stands as `{n}`.
pub(super) fn sale_templates(shell: &Shell) -> Vec<Value> {
    let words = |state| {
        let warning = warning_ids(state).map(|(title, text)| json!({ "title": shell.t(title), "text": shell.t(text) }));
        json!({ "state": state, "seats": shell.template(seats_id(state), &["n"]), "warning": warning })
    };
    SaleStateName::ALL.map(words).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_range_of_whole_minutes_or_hours() {
        for (p50, p90, expected) in [
            (0, 0, WaitRange::Soon),
            (10, 60, WaitRange::Soon),
            (10, 61, WaitRange::Minutes(1, 2)),
            (95, 120, WaitRange::Minutes(1, 2)),
            (120, 120, WaitRange::Minutes(2, 2)),
            (371, 533, WaitRange::Minutes(6, 9)),
            (4_000, 5_400, WaitRange::Minutes(66, 90)),
            (5_000, 5_401, WaitRange::Hours(1, 2)),
            (7_200, 7_200, WaitRange::Hours(2, 2)),
            (i64::MAX, i64::MAX, WaitRange::Hours(i64::MAX / 3_600, i64::MAX / 3_600)),
        ] {
            assert_eq!(WaitRange::of(p50, p90), expected, "{p50} {p90}");
        }
    }
}
