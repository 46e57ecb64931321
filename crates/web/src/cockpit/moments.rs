//! The words of what happened: of timelines, and of entries of the audit log.

use super::shell::CockpitShell;
use crate::{edge::state::SharedState, html::shell::HOME_ZONE};
use frontrow_domain::{
    changes::AuditEntry,
    id::{RoomId, UserId},
    money::Money,
    points::{DebtStatus, PointKind},
};
use frontrow_service::timeline::{Happening, PastMoment};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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

/// The words of the actions in the audit log.
const ACTIONS: [(&str, &str); 36] = [
    ("room.set", "orders-act-room-set"),
    ("line.renew", "orders-act-line-renew"),
    ("payment.refund", "orders-act-refund"),
    ("payments.refund", "orders-act-refunds"),
    ("reservation.cancel", "orders-act-cancel"),
    ("seats.add", "orders-act-seats-add"),
    ("seats.block", "orders-act-seats-block"),
    ("seats.free", "orders-act-seats-free"),
    ("seats.change", "orders-act-seats-change"),
    ("seats.remove", "orders-act-seats-remove"),
    ("concert.create", "orders-act-concert-create"),
    ("concert.update", "orders-act-concert-update"),
    ("concert.cancel", "orders-act-concert-cancel"),
    ("concert.refund_all", "orders-act-refund-all"),
    ("concert.poster.set", "orders-act-poster-set"),
    ("concert.poster.remove", "orders-act-poster-remove"),
    ("points.top_up", "orders-act-top-up"),
    ("points.adjust", "orders-act-adjust"),
    ("debt.settle", "orders-act-settle"),
    ("outbox.retry", "orders-act-retry"),
    ("operator.add", "orders-act-operator-add"),
    ("operator.sign_in", "orders-act-sign-in"),
    ("operator.sign_in_failed", "orders-act-sign-in-failed"),
    ("viewer.add", "orders-act-operator-add"),
    ("viewer.sign_in", "orders-act-sign-in"),
    ("viewer.sign_in_failed", "orders-act-sign-in-failed"),
    ("user.role", "orders-act-role"),
    ("user.rename", "orders-act-rename"),
    ("user.lock", "orders-act-lock"),
    ("user.unlock", "orders-act-unlock"),
    ("user.reset_link", "orders-act-reset-link"),
    ("user.reset", "orders-act-reset"),
    ("user.password", "orders-act-password"),
    ("user.second_factor", "orders-act-factor"),
    ("user.sign_out", "orders-act-sign-out"),
    ("user.erase", "orders-act-erase"),
];

/// The words of the particulars of an entry; others stand under their own names.
const PARTICULARS: [(&str, &str); 17] = [
    ("max_active", "orders-detail-max-active"),
    ("admit_per_minute", "orders-detail-rate"),
    ("gate", "orders-detail-gate"),
    ("message", "orders-detail-message"),
    ("amount", "orders-detail-amount"),
    ("moved", "orders-detail-moved"),
    ("owed", "orders-detail-owed"),
    ("reference", "orders-detail-reference"),
    ("status", "orders-detail-status"),
    ("role", "orders-detail-role"),
    ("count", "orders-detail-count"),
    ("title", "orders-detail-title"),
    ("opens_at", "orders-detail-opens-at"),
    ("closes_at", "orders-detail-closes-at"),
    ("status_reason", "orders-detail-status-reason"),
    ("user_id", "orders-detail-user"),
    ("seat_id", "orders-detail-seat"),
];

/// The particulars that are sums of money.
const SUMS: [&str; 3] = ["amount", "moved", "owed"];

/// The names of actors, each read once. Those who are unknown have their ids.
pub(super) struct ActorNames(BTreeMap<UserId, String>);

impl ActorNames {
    /// Of the actors of these entries.
    pub(super) async fn of(app: &SharedState, entries: impl Iterator<Item = &AuditEntry>) -> Self {
        let actors: BTreeSet<UserId> = entries.filter_map(|entry| entry.actor).collect();
        let mut names = BTreeMap::new();
        for actor in actors {
            // The log is shown without the names, too.
            if let Ok(Some(user)) = app.office.user(actor).await {
                names.insert(actor, user.name);
            }
        }
        Self(names)
    }

    /// Who did it: an operator, or the box office itself and its command line.
    pub(super) fn actor(&self, shell: &CockpitShell, entry: &AuditEntry) -> String {
        match entry.actor {
            None => shell.t("orders-by-system"),
            Some(actor) => self.0.get(&actor).cloned().unwrap_or_else(|| actor.to_string()),
        }
    }
}

/// What an entry says was done.
pub(super) fn action(shell: &CockpitShell, entry: &AuditEntry) -> String {
    let known = ACTIONS.iter().find(|(action, _)| *action == entry.action);
    known.map_or_else(|| entry.action.clone(), |(_, id)| shell.t(id))
}

/// What an entry was done to, and its page if it has one.
pub(super) fn object(shell: &CockpitShell, entry: &AuditEntry) -> (String, Option<String>) {
    let words = |id: &str, number: &str| shell.t1(id, "number", number);
    match entry.object.split_once(' ') {
        Some(("payment", id)) => (words("orders-payment", id), Some(format!("/operator/payments/{id}"))),
        Some(("reservation", id)) => (words("orders-reservation", id), Some(format!("/operator/reservations/{id}"))),
        Some(("concert", id)) => (words("orders-concert", id), Some(format!("/operator/concerts/{id}"))),
        Some(("room", id)) => (words("orders-room", id), Some(format!("/operator/rooms/{id}"))),
        Some(("user", id)) => (shell.t("orders-user"), Some(format!("/operator/users/{id}"))),
        Some(("debt", id)) => (words("orders-debt", id), Some(format!("/operator/debts/{id}"))),
        Some(("event", id)) => (words("orders-event", id), None),
        Some((count, "seats")) => (words("orders-seats", count), None),
        _ => (entry.object.clone(), None),
    }
}

/// A value of a particular, short enough for a line.
fn said(value: &Value) -> String {
    const LEN_MAX: usize = 120;
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LEN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The particulars of an entry but for the reason: `동시 입장: 150 → 200`.
pub(super) fn details(shell: &CockpitShell, entry: &AuditEntry) -> Vec<String> {
    let fields = entry.detail.as_object().into_iter().flatten();
    let line = |(name, value): (&String, &Value)| {
        let sum = value.as_i64().filter(|_| SUMS.contains(&name.as_str()));
        let said = |value: &Value| sum.map_or_else(|| said(value), |sum| shell.money(&Money::new(sum)));
        let known = PARTICULARS.iter().find(|(field, _)| field == name);
        let name = known.map_or_else(|| name.clone(), |(_, id)| shell.t(id));
        match (value.get("from"), value.get("to")) {
            (Some(from), Some(to)) => format!("{name}: {} → {}", said(from), said(to)),
            _ => format!("{name}: {}", said(value)),
        }
    };
    fields.filter(|(name, value)| *name != "reason" && !value.is_null()).map(line).collect()
}

/// The reason of an entry, if it has one.
pub(super) fn reason(entry: &AuditEntry) -> Option<String> {
    entry.detail.get("reason")?.as_str().map(str::to_owned)
}

/// The name of a line.
pub(super) fn line_name(shell: &CockpitShell, room: RoomId) -> String {
    room.concert().map_or_else(
        || shell.t("orders-house-line"),
        |concert| shell.t1("orders-concert-line", "number", concert.to_string()),
    )
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
    let names = ActorNames::of(app, moments.iter().filter_map(|moment| moment.entry.as_ref())).await;
    let line = |moment: &PastMoment| {
        let (mut what, mut href) = happening(shell, moment);
        let mut details_of_act = Vec::new();
        if let (Happening::Act, Some(entry)) = (&moment.what, &moment.entry) {
            what = action(shell, entry);
            href = object(shell, entry).1;
            details_of_act = details(shell, entry);
        }
        let from_row = match &moment.what {
            Happening::Moved(row) if moment.entry.is_none() && row.kind == PointKind::Adjustment => {
                Some(row.description.clone())
            }
            _ => None,
        };
        MomentLine {
            at: shell.exact_moment(&moment.at, HOME_ZONE),
            datetime: moment.at.to_string(),
            what,
            href: href.filter(|href| href != shell.path()),
            by: moment.entry.as_ref().map(|entry| names.actor(shell, entry)),
            reason: moment.entry.as_ref().and_then(reason).or(from_row),
            details: details_of_act,
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
