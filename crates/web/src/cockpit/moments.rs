//! The words of timelines.

use super::{
    entries::{EntryParts, UserNames, line_name},
    shell::CockpitShell,
};
use crate::{edge::state::SharedState, html::shell::HOME_ZONE};
use frontrow_domain::{
    changes::AuditEntry,
    money::Money,
    points::{DebtStatus, PointKind},
};
use frontrow_service::timeline::{Happening, PastMoment};

/// One line of a timeline.
#[derive(Debug, Clone)]
pub(super) struct MomentLine {
    pub(super) at: String,
    /// The moment for programs.
    pub(super) datetime: String,
    pub(super) what: String,
    /// Where what it is about has its page.
    pub(super) href: Option<String>,
    /// Who did it, if it was not the user.
    pub(super) by: Option<String>,
    pub(super) reason: Option<String>,
    /// The particulars.
    pub(super) details: Vec<String>,
}

fn balance(shell: &CockpitShell, words: String, balance_after: Option<&Money>) -> String {
    match balance_after {
        Some(left) => format!("{words} {}", shell.t1("orders-balance-after", "sum", shell.money(left))),
        None => words,
    }
}

fn happening(shell: &CockpitShell, moment: &PastMoment) -> (String, Option<String>) {
    let with = |id: &str, number: String, sum: &Money| shell.t2(id, "number", number, "sum", shell.money(sum));
    let reservation = |id| Some(format!("/operator/reservations/{id}"));
    let payment = |id| Some(format!("/operator/payments/{id}"));
    match &moment.what {
        Happening::Registered => (shell.t("orders-registered"), None),
        Happening::AddressConfirmed => (shell.t("orders-confirmed"), None),
        Happening::Joined(room) => (shell.t1("orders-joined", "line", line_name(shell, *room)), None),
        Happening::Activated(room) => (shell.t1("orders-activated", "line", line_name(shell, *room)), None),
        Happening::Held { reservation: id, price } => (with("orders-held", id.to_string(), price), reservation(*id)),
        Happening::Cancelled(id) => (shell.t1("orders-cancelled", "number", id.to_string()), reservation(*id)),
        Happening::Expired(id) => (shell.t1("orders-expired", "number", id.to_string()), reservation(*id)),
        Happening::Paid { payment: id, amount, balance_after } => {
            (balance(shell, with("orders-paid", id.to_string(), amount), balance_after.as_ref()), payment(*id))
        }
        Happening::Refunded { payment: id, amount, balance_after } => {
            (balance(shell, with("orders-refunded", id.to_string(), amount), balance_after.as_ref()), payment(*id))
        }
        Happening::Moved(row) => {
            let id = if row.kind == PointKind::TopUp { "orders-topped-up" } else { "orders-adjusted" };
            let words = shell.t1(id, "sum", shell.money(&row.amount));
            (balance(shell, words, Some(&row.balance_after)), None)
        }
        Happening::Owed { debt, amount } => {
            (with("orders-owed", debt.to_string(), amount), Some(format!("/operator/debts/{debt}")))
        }
        Happening::Settled { debt, status } => {
            let id = if *status == DebtStatus::Waived { "orders-waived" } else { "orders-collected" };
            (shell.t1(id, "number", debt.to_string()), Some(format!("/operator/debts/{debt}")))
        }
        Happening::Act => (String::new(), None),
    }
}

/// The lines of a timeline.
pub(super) async fn lines(app: &SharedState, shell: &CockpitShell, moments: &[PastMoment]) -> Vec<MomentLine> {
    let names = UserNames::of(app, moments.iter().filter_map(|moment| moment.entry.as_ref())).await;
    let line = |moment: &PastMoment| {
        let (mut what, mut href) = happening(shell, moment);
        let mut reason = match &moment.what {
            Happening::Moved(row) if moment.entry.is_none() && row.kind == PointKind::Adjustment => {
                Some(row.description.clone())
            }
            _ => None,
        };
        let (mut by, mut details) = (None, Vec::new());
        if let Some(entry) = &moment.entry {
            let parts = EntryParts::of(shell, entry, &|user| names.get(user), HOME_ZONE);
            by = Some(parts.who.clone());
            reason.clone_from(&parts.reason);
            if matches!(moment.what, Happening::Act) {
                what.clone_from(&parts.act);
                href.clone_from(&parts.object.href);
                details = parts.particulars();
            }
        }
        MomentLine {
            at: shell.exact_moment(&moment.at, HOME_ZONE),
            datetime: moment.at.to_string(),
            what,
            href: href.filter(|href| href != shell.path()),
            by,
            reason,
            details,
        }
    };
    moments.iter().map(line).collect()
}

/// The lines of entries of the audit log, as a timeline.
pub(super) async fn lines_of_entries(
    app: &SharedState,
    shell: &CockpitShell,
    entries: Vec<AuditEntry>,
) -> Vec<MomentLine> {
    let act = |entry: AuditEntry| PastMoment { at: entry.created_at, what: Happening::Act, entry: Some(entry) };
    let moments: Vec<_> = entries.into_iter().map(act).collect();
    lines(app, shell, &moments).await
}
