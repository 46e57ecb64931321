//! Until when a payment can be given back, in words: the same on a concert's page, before the payment and on its
//! tickets.

use crate::pages::shell::Shell;
use frontrow_domain::{
    sale::{Concert, ConcertStatus},
    time::{Span, Time},
};

/// Until when a payment for a concert can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefundTime {
    /// The concert was cancelled.
    Anytime,
    /// The concert was postponed. With its new date the refunds have an end again.
    UntilNewDate,
    Until(Time),
    Over(Time),
}

impl RefundTime {
    pub(super) fn of(concert: &Concert, cutoff: Span, now: Time) -> Self {
        match concert.refunds_until(cutoff) {
            None if concert.status == ConcertStatus::Postponed => Self::UntilNewDate,
            None => Self::Anytime,
            Some(until) if now < until => Self::Until(until),
            Some(until) => Self::Over(until),
        }
    }

    pub(super) const fn is_open(self) -> bool {
        !matches!(self, Self::Over(_))
    }

    /// The rule with its last moment, by the clock of the venue's `zone`.
    pub(super) fn words(self, shell: &Shell, zone: &str) -> String {
        match self {
            Self::Anytime => shell.t("refund-anytime"),
            Self::UntilNewDate => shell.t("refund-until-new-date"),
            Self::Until(until) => shell.t1("refund-until", "when", shell.exact_moment(&until, zone)),
            Self::Over(until) => shell.t1("refund-over", "when", shell.exact_moment(&until, zone)),
        }
    }
}
