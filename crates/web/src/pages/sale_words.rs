//! The state of a sale in words, the same on the season's page and on a concert's own.

use crate::pages::shell::Shell;
use frontrow_domain::time::Time;
use frontrow_service::sale::SaleState;

/// A sale in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SaleWords {
    /// What there is to know first.
    pub(super) text: String,
    /// How it looks.
    pub(super) look: &'static str,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl SaleWords {
    /// The words at `now`, with moments by the clock of the venue's `zone`.
    pub(super) fn of(shell: &Shell, state: SaleState, now: Time, zone: &str) -> Self {
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

/// A day ahead the date is what one plans by; on the day it is the time that is left.
fn until_opening(shell: &Shell, at: Time, now: Time, zone: &str) -> String {
    let seconds = at.since(now).micros() / 1_000_000;
    match (seconds / HOUR, seconds % HOUR / MINUTE) {
        _ if seconds >= DAY => shell.t1("state-opens-on", "moment", shell.moment(&at, zone)),
        (hours @ 1.., minutes) => shell.t2("state-opens-in-hours", "hours", hours, "minutes", minutes),
        (_, minutes @ 1..) => shell.t1("state-opens-in-minutes", "minutes", minutes),
        _ => shell.t("state-opens-now"),
    }
}
