//! Entries of the audit log in words: who did what, what it changed, and why.

use crate::html::{figures, shell::Shell};
use frontrow_domain::{changes::AuditEntry, time::Time};
use serde_json::{Map, Value};

/// How long a text of an entry may be before it is cut, in characters.
const TEXT_LEN_MAX: usize = 80;

/// An entry in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryWords {
    /// Who did it, by name; the box office itself if nobody else.
    pub(crate) who: String,
    /// What was done, and from what to what.
    pub(crate) what: String,
    /// Why; empty if nobody said.
    pub(crate) reason: String,
    /// What was changed, as short as a label.
    pub(crate) label: String,
}

impl EntryWords {
    /// An entry, whose actor has this name if it is known, with moments by the clock of a time zone.
    pub(crate) fn of(shell: &Shell, entry: &AuditEntry, name: Option<&str>, zone: &str) -> Self {
        let who = match (name, entry.actor) {
            (Some(name), _) => name.to_owned(),
            (None, Some(user)) => user.to_string(),
            (None, None) => shell.t("entry-box-office"),
        };
        let act = act_id(&entry.action).map_or_else(|| entry.action.clone(), |id| shell.t(id));
        let empty = Map::new();
        let detail = entry.detail.as_object().unwrap_or(&empty);
        let writer = EntryWriter { shell, zone };
        let changes: Vec<_> = detail.iter().filter_map(|(field, value)| writer.change(field, value)).collect();
        let label = if changes.is_empty() { act.clone() } else { changes.join(", ") };
        let what = if entry.action == "room.set" && !changes.is_empty() {
            label.clone()
        } else {
            let object = writer.object(&entry.object);
            let facts: Vec<_> = detail.iter().filter_map(|(field, value)| writer.fact(field, value)).collect();
            let more: Vec<_> = [object].into_iter().chain(changes).chain(facts).filter(|one| !one.is_empty()).collect();
            if more.is_empty() { act } else { format!("{act}: {}", more.join(", ")) }
        };
        let reason = detail.get("reason").and_then(Value::as_str).map(short).unwrap_or_default();
        Self { who, what, reason, label }
    }
}

/// The id of the text of an action.
fn act_id(action: &str) -> Option<&'static str> {
    Some(match action {
        "room.set" => "entry-room-set",
        "line.renew" => "entry-line-renew",
        "concert.create" => "entry-concert-create",
        "concert.update" => "entry-concert-update",
        "concert.cancel" => "entry-concert-cancel",
        "concert.refund_all" => "entry-concert-refund-all",
        "concert.poster.set" => "entry-poster-set",
        "concert.poster.remove" => "entry-poster-remove",
        "seats.add" => "entry-seats-add",
        "seats.block" => "entry-seats-block",
        "seats.free" => "entry-seats-free",
        "seats.change" => "entry-seats-change",
        "seats.remove" => "entry-seats-remove",
        "payment.refund" | "payments.refund" => "entry-refund",
        "points.top_up" => "entry-top-up",
        "points.adjust" => "entry-adjust",
        "debt.settle" => "entry-debt-settle",
        "outbox.retry" => "entry-outbox-retry",
        "operator.sign_in" | "viewer.sign_in" => "entry-sign-in",
        "operator.sign_in_failed" | "viewer.sign_in_failed" => "entry-sign-in-failed",
        "operator.add" => "entry-operator-add",
        "viewer.add" => "entry-viewer-add",
        "user.lock" => "entry-user-lock",
        "user.unlock" => "entry-user-unlock",
        "user.erase" => "entry-user-erase",
        "user.role" => "entry-user-role",
        "user.second_factor" => "entry-second-factor",
        _ => return None,
    })
}

/// The id of the name of a field.
fn field_id(field: &str) -> Option<&'static str> {
    Some(match field {
        "max_active" | "own_room_max_active" => "entry-field-cap",
        "admit_per_minute" => "entry-field-rate",
        "gate" => "entry-field-gate",
        "message" => "entry-field-message",
        "title" => "entry-field-title",
        "artist" => "entry-field-artist",
        "venue" => "entry-field-venue",
        "status" => "entry-field-status",
        "status_reason" => "entry-field-status-reason",
        "opens_at" => "entry-field-opens",
        "closes_at" => "entry-field-closes",
        "starts_at" => "entry-field-starts",
        "ends_at" => "entry-field-ends",
        "base_price" | "price" => "entry-field-price",
        "section" => "entry-field-section",
        "row" => "entry-field-row",
        "number" => "entry-field-number",
        "grade" => "entry-field-grade",
        _ => return None,
    })
}

struct EntryWriter<'a> {
    shell: &'a Shell,
    zone: &'a str,
}

impl EntryWriter<'_> {
    /// From what to what a field was changed; none for a field that is no change.
    fn change(&self, field: &str, value: &Value) -> Option<String> {
        let change = value.as_object()?;
        let (from, to) = (change.get("from")?, change.get("to")?);
        let name = field_id(field).map_or_else(|| field.to_owned(), |id| self.shell.t(id));
        Some(format!("{name} {} → {}", self.value(field, from), self.value(field, to)))
    }

    /// A particular of an act that changes no field.
    fn fact(&self, field: &str, value: &Value) -> Option<String> {
        match (field, value) {
            ("count", Value::Number(count)) => Some(self.shell.t1("entry-count", "n", count.as_i64()?)),
            ("amount", Value::Number(_)) => Some(self.value(field, value)),
            _ => None,
        }
    }

    fn object(&self, object: &str) -> String {
        let Some((kind, id)) = object.split_once(' ') else { return object.to_owned() };
        let text = match kind {
            "room" => "entry-object-room",
            "concert" => "entry-object-concert",
            "payment" => "entry-object-payment",
            // The last of its digits tell users apart; all of them are in the log's own page.
            "user" => {
                return self.shell.t1("entry-object-user", "id", id.get(id.len().saturating_sub(8)..).unwrap_or(id));
            }
            // Their number is among the particulars.
            _ if id == "seats" => return String::new(),
            _ => return object.to_owned(),
        };
        self.shell.t1(text, "id", id)
    }

    fn value(&self, field: &str, value: &Value) -> String {
        match (field, value) {
            (_, Value::Null) => self.shell.t("entry-none"),
            ("gate", Value::String(gate)) if gate == "paused" => self.shell.t("entry-gate-paused"),
            ("gate", Value::String(_)) => self.shell.t("entry-gate-open"),
            ("base_price" | "price" | "amount", Value::Number(won)) => {
                let won = won.as_i64().unwrap_or_default();
                figures::money(self.shell.language, frontrow_domain::money::Money::new(won))
            }
            (_, Value::Number(number)) => {
                number.as_i64().map_or_else(|| number.to_string(), |number| self.shell.number(&number))
            }
            (_, Value::String(text)) if field.ends_with("_at") => {
                let moment = text.parse::<jiff::Timestamp>().map(|at| Time::from_micros(at.as_microsecond()));
                moment.map_or_else(|_| short(text), |at| self.shell.exact_moment(&at, self.zone))
            }
            (_, Value::String(text)) => short(text),
            (_, other) => short(&other.to_string()),
        }
    }
}

/// A text, cut if it is long.
fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_LEN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
