//! The state of a sale in words, the same on the season's page, on a concert's own and on that of its hall.

use crate::html::shell::Shell;
use frontrow_domain::{
    line::LaneKind,
    time::{Span, Time},
};
use frontrow_service::{line::ShownLane, sale::SaleState};

/// A sale in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaleWords {
    /// What there is to know first.
    pub(crate) text: String,
    /// How it looks.
    pub(crate) look: &'static str,
}

const MINUTES_OF_DAY: i64 = 24 * 60;

impl SaleWords {
    /// The words at `now`, with moments by the clock of the venue's `zone`.
    pub(crate) fn of(shell: &Shell, state: SaleState, now: Time, zone: &str) -> Self {
        let (text, look) = match state {
            SaleState::Opens { at } => (until_opening(shell, at, now, zone), "soon"),
            SaleState::OnSale { left } => (shell.t1("state-on-sale", "left", left), "on"),
            SaleState::FewLeft { left } => (shell.t1("state-few-left", "left", left), "few"),
            SaleState::AllHeld => (shell.t("state-all-held"), "soon"),
            SaleState::SoldOut => (shell.t("state-sold-out"), "gone"),
            SaleState::NoSeats => (shell.t("state-no-seats"), "gone"),
            SaleState::Closed => (shell.t("state-closed"), "gone"),
            SaleState::Postponed => (shell.t("state-postponed"), "off"),
            SaleState::Cancelled => (shell.t("state-cancelled"), "off"),
            SaleState::Over => (shell.t("state-over"), "gone"),
        };
        Self { text, look }
    }
}

/// What lanes there are beside a line, and their shares; none if there are none.
pub(crate) fn lanes_beside(shell: &Shell, lanes: &[ShownLane]) -> Option<String> {
    let percent = |kind: LaneKind| lanes.iter().find(|shown| shown.kind == kind).map(|shown| shown.share.percent());
    match (percent(LaneKind::Invitation), percent(LaneKind::Accessibility)) {
        (None, None) => None,
        (Some(invited), None) => Some(shell.t1("line-lanes-invitation", "percent", invited)),
        (None, Some(access)) => Some(shell.t1("line-lanes-accessibility", "percent", access)),
        (Some(invited), Some(access)) => Some(shell.t2("line-lanes-both", "invited", invited, "access", access)),
    }
}

/// What a buyer can do about it.
pub(crate) fn next_step(shell: &Shell, state: SaleState) -> String {
    shell.t(match state {
        SaleState::Opens { .. } => "next-opens",
        SaleState::OnSale { .. } => "next-on-sale",
        SaleState::FewLeft { .. } => "next-few-left",
        SaleState::AllHeld => "next-all-held",
        SaleState::SoldOut => "next-sold-out",
        SaleState::NoSeats => "next-no-seats",
        SaleState::Closed => "next-closed",
        SaleState::Postponed => "next-postponed",
        SaleState::Cancelled => "next-cancelled",
        SaleState::Over => "next-over",
    })
}

/// A day ahead the date is what one plans by; on the day it is the time that is left.
fn until_opening(shell: &Shell, at: Time, now: Time, zone: &str) -> String {
    let minutes = at.since(now).micros() / 60_000_000;
    match minutes {
        MINUTES_OF_DAY.. => shell.t1("state-opens-on", "moment", shell.moment(&at, zone)),
        1.. => shell.t1("state-opens-in", "length", shell.length(Span::from_secs(60 * minutes))),
        _ => shell.t("state-opens-now"),
    }
}
