//! Until when a payment can be refunded, in words: the same on a concert's page, before the payment and on its tickets.

use crate::html::shell::Shell;
use frontrow_domain::sale::RefundTime;

/// The rule with its last moment, by the clock of the venue's `zone`.
pub(super) fn refund_words(shell: &Shell, time: RefundTime, zone: &str) -> String {
    match time {
        RefundTime::Anytime => shell.t("refund-anytime"),
        RefundTime::UntilNewDate => shell.t("refund-until-new-date"),
        RefundTime::Until(until) => shell.t1("refund-until", "when", shell.exact_moment(&until, zone)),
        RefundTime::Over(until) => shell.t1("refund-over", "when", shell.exact_moment(&until, zone)),
    }
}
