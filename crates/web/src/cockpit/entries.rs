//! Entries of the audit log in words: who did what to what, what it changed, and why.

use crate::{
    edge::state::SharedState,
    html::{figures, shell::Shell},
};
use frontrow_domain::{
    changes::AuditEntry,
    id::{RoomId, UserId},
    line::LaneKind,
    money::Money,
    time::Time,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How long a text of an entry may be before it is cut, in characters.
const TEXT_LEN_MAX: usize = 120;

/// What an entry was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryObject {
    /// Empty if the number of things is among the particulars.
    pub(super) name: String,
    /// Its page, if it has one.
    pub(super) href: Option<String>,
}

/// The parts of an entry in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryParts {
    /// Who did it, by name; the box office if no person did.
    pub(super) who: String,
    /// What was done.
    pub(super) act: String,
    pub(super) object: EntryObject,
    /// The fields that were changed, each from what to what.
    pub(super) changes: Vec<String>,
    /// The other particulars.
    pub(super) facts: Vec<String>,
    /// Why, whole.
    pub(super) reason: Option<String>,
}

/// An entry as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryWords {
    /// Who did it, by name; the box office if no person did.
    pub(crate) who: String,
    /// What was done, and from what to what.
    pub(crate) what: String,
    /// Why; empty if no reason was given.
    pub(crate) reason: String,
    /// What was changed, as short as a label.
    pub(crate) label: String,
}

impl EntryParts {
    /// An entry, with the names of users that are known, and with moments by the clock of a time zone.
    pub(super) fn of(shell: &Shell, entry: &AuditEntry, names: NameOf<'_>, zone: &str) -> Self {
        let writer = EntryWriter { shell, names, zone };
        let who = entry.actor.map_or_else(|| shell.t("entry-box-office"), |user| writer.user(user));
        let empty = Map::new();
        let detail = entry.detail.as_object().unwrap_or(&empty);
        // The details of a concert are an object in the entry.
        let details = detail.get("details").and_then(Value::as_object).unwrap_or(&empty);
        let fields = || detail.iter().chain(details).filter(|(field, _)| !UNSAID.contains(&field.as_str()));
        Self {
            who,
            act: act_id(&entry.action).map_or_else(|| entry.action.clone(), |id| shell.t(id)),
            object: writer.object(&entry.object),
            changes: fields().filter_map(|(field, value)| writer.change(field, value)).collect(),
            facts: fields().filter_map(|(field, value)| writer.fact(&entry.action, field, value)).collect(),
            reason: detail.get("reason").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// What was changed, and the other particulars.
    pub(super) fn particulars(self) -> Vec<String> {
        let Self { mut changes, facts, .. } = self;
        changes.extend(facts);
        changes
    }
}

impl EntryWords {
    /// An entry, with the names of users that are known, and with moments by the clock of a time zone.
    pub(super) fn of(shell: &Shell, entry: &AuditEntry, names: NameOf<'_>, zone: &str) -> Self {
        let EntryParts { who, act, object, changes, facts, reason } = EntryParts::of(shell, entry, names, zone);
        let label = if changes.is_empty() { act.clone() } else { changes.join(", ") };
        let what = if entry.action == "room.set" && !changes.is_empty() {
            label.clone()
        } else {
            let more = [object.name].into_iter().chain(changes).chain(facts);
            let more: Vec<_> = more.filter(|one| !one.is_empty()).collect();
            if more.is_empty() { act } else { format!("{act}: {}", more.join(", ")) }
        };
        Self { who, what, reason: reason.as_deref().map(short).unwrap_or_default(), label }
    }
}

/// The name of a user, if it is known. A user without one is shown by the whole id, which the search finds.
pub(super) type NameOf<'a> = &'a dyn Fn(UserId) -> Option<&'a str>;

/// The names of users, each read once.
pub(super) struct UserNames(BTreeMap<UserId, String>);

impl UserNames {
    /// Of the actors of these entries, and of the users whom they are about.
    pub(super) async fn of(app: &SharedState, entries: impl Iterator<Item = &AuditEntry>) -> Self {
        let users: BTreeSet<UserId> = entries.flat_map(users_of).collect();
        let mut names = BTreeMap::new();
        for user_id in users {
            // The log is shown without the names, too.
            if let Ok(Some(user)) = app.office.user(user_id).await {
                names.insert(user_id, user.name);
            }
        }
        Self(names)
    }

    /// The name of a user, if it is known.
    pub(super) fn get(&self, user: UserId) -> Option<&str> {
        self.0.get(&user).map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// The users of an entry: who did it, and whom it is about.
fn users_of(entry: &AuditEntry) -> impl Iterator<Item = UserId> {
    let object = entry.object.strip_prefix("user ");
    let detail = entry.detail.get("user_id").and_then(Value::as_str);
    let about = object.into_iter().chain(detail).filter_map(|id| id.parse().ok().map(UserId));
    entry.actor.into_iter().chain(about)
}

/// The id of the name of a lane beside a line.
const fn lane_line_id(kind: LaneKind) -> &'static str {
    match kind {
        LaneKind::Invitation => "orders-lane-invitation-of",
        LaneKind::Accessibility => "orders-lane-accessibility-of",
    }
}

/// The name of the line of a room.
pub(super) fn line_name(shell: &Shell, room: RoomId) -> String {
    if let Some(kind) = room.lane_kind() {
        return shell.t1(lane_line_id(kind), "line", line_name(shell, room.general()));
    }
    match room.concert() {
        Some(concert) => shell.t1("orders-concert-line", "number", concert.to_string()),
        None if room.is_of_site() => shell.t1("orders-site-line", "number", room.to_string()),
        None => shell.t("orders-house-line"),
    }
}

/// The fields of entries that are not said: the reason has its own place, a concert's details are said one by one, the
/// local hours say what the moments say, and the rest is for programs.
const UNSAID: [&str; 14] = [
    "reason",
    "details",
    "concert_date",
    "start_time",
    "end_time",
    "closing",
    "tag",
    "width",
    "height",
    "bytes",
    "epoch",
    "note",
    "first_seat_id",
    "opened_at",
];

/// The id of the text of an action.
fn act_id(action: &str) -> Option<&'static str> {
    Some(match action {
        "room.create" => "entry-room-create",
        "room.close" => "entry-room-close",
        "room.set" => "entry-room-set",
        "draw.begin" => "entry-draw-begin",
        "draw.seal" => "entry-draw-seal",
        "draw.count" => "entry-draw-count",
        "draw.decide" => "entry-draw-decide",
        "line.renew" => "entry-line-renew",
        "line.remove" => "entry-line-remove",
        "lane.set" => "entry-lane-set",
        "lane.guest.add" => "entry-lane-guest-add",
        "lane.guest.remove" => "entry-lane-guest-remove",
        "line.block" => "entry-line-block",
        "line.unblock" => "entry-line-unblock",
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
        "rehearsal.begin" => "entry-rehearsal-begin",
        "rehearsal.stop" => "entry-rehearsal-stop",
        "reservation.cancel" => "entry-reservation-cancel",
        "payment.refund" => "entry-refund",
        "payments.refund" => "entry-refunds",
        "points.top_up" => "entry-top-up",
        "points.adjust" => "entry-adjust",
        "debt.settle" => "entry-debt-settle",
        "outbox.retry" => "entry-outbox-retry",
        "operator.sign_in" | "viewer.sign_in" => "entry-sign-in",
        "operator.sign_in_failed" | "viewer.sign_in_failed" => "entry-sign-in-failed",
        "operator.add" => "entry-operator-add",
        "viewer.add" => "entry-viewer-add",
        "user.role" => "entry-user-role",
        "user.rename" => "entry-user-rename",
        "user.lock" => "entry-user-lock",
        "user.unlock" => "entry-user-unlock",
        "user.reset_link" => "entry-user-reset-link",
        "user.reset" => "entry-user-reset",
        "user.password" => "entry-user-password",
        "user.second_factor" => "entry-second-factor",
        "user.second_factor_failed" => "entry-second-factor-failed",
        "user.sign_out" => "entry-user-sign-out",
        "user.erase" => "entry-user-erase",
        _ => return None,
    })
}

/// The id of the name of a field.
fn field_id(field: &str) -> Option<&'static str> {
    Some(match field {
        "max_active" | "own_room_max_active" => "entry-field-cap",
        "admit_per_minute" => "entry-field-rate",
        "weight" => "orders-weight",
        "house_budget" => "orders-budget",
        "lane" => "orders-lane-head",
        "share_percent" => "orders-lane-share",
        "entry" => "orders-state",
        "gate" => "entry-field-gate",
        "opening" => "desk-opening",
        "secret_hash" => "draw-fact-secret-hash",
        "last_entry" => "entry-field-last-entry",
        "entries" => "draw-fact-entries",
        "root" => "draw-fact-root",
        "round" => "draw-fact-round",
        "decided_by" => "entry-field-decided-by",
        "seed" => "draw-fact-seed",
        "message" => "entry-field-message",
        "name" => "orders-room-name",
        "turn_url" | "site" => "orders-room-url",
        "title" => "entry-field-title",
        "artist" => "entry-field-artist",
        "venue" => "entry-field-venue",
        "time_zone" => "stage-zone",
        "room_id" => "entry-field-room",
        "status" => "entry-field-status",
        "status_reason" => "entry-field-status-reason",
        "opens_at" => "entry-field-opens",
        "closes_at" => "entry-field-closes",
        "starts_at" => "entry-field-starts",
        "ends_at" => "entry-field-ends",
        "base_price" | "price" => "entry-field-price",
        "description" => "stage-description",
        "age_rating" => "stage-age",
        "running_minutes" => "stage-running",
        "doors_minutes" => "stage-doors",
        "address" => "stage-address",
        "organiser" => "stage-organiser",
        "organiser_contact" => "stage-contact",
        "section" => "entry-field-section",
        "row" => "entry-field-row",
        "number" => "entry-field-number",
        "grade" => "entry-field-grade",
        "amount" => "orders-sum",
        "moved" => "entry-field-moved",
        "owed" => "entry-field-owed",
        "reference" => "orders-reference",
        "role" => "orders-role",
        "user_id" => "orders-user",
        "seat_id" => "entry-field-seat",
        "seat_id_ranges" => "entry-field-seats",
        "set" => "factor",
        "people" => "entry-field-people",
        "arrive_minutes" => "entry-field-arrive",
        "visit_seconds" => "entry-field-visit",
        "give_up_percent" => "entry-field-give-up",
        "seats_each" => "entry-field-seats-each",
        "minutes" => "entry-field-minutes",
        "worth_abandoned" => "entry-field-abandoned",
        "idle" => "entry-field-idle",
        "until" => "entry-field-until",
        "token" => "entry-field-token",
        _ => return None,
    })
}

/// The id of the word of a value that is one of a few. No two states of different things have the same value and
/// another meaning, but for `open`: a gate that is open, and a debt.
fn value_id(field: &str, value: &str) -> Option<&'static str> {
    Some(match (field, value) {
        ("entry", "open") => "orders-lane-is-open",
        ("entry", "ended") => "orders-lane-is-ended",
        ("lane", "invitation") => "orders-lane-invitation",
        ("lane", "accessibility") => "orders-lane-accessibility",
        ("gate", "open") => "entry-gate-open",
        ("gate", "paused") => "entry-gate-paused",
        ("opening", "draw") => "desk-opening-draw",
        ("opening", "first_come") => "desk-opening-first-come",
        ("decided_by", "beacon") => "entry-by-beacon",
        ("decided_by", "secret_alone") => "entry-by-secret",
        ("status", "scheduled") => "entry-is-scheduled",
        ("status", "closed") => "desk-state-closed",
        ("status", "postponed") => "desk-state-postponed",
        ("status", "cancelled") => "orders-is-cancelled",
        ("status", "pending") => "orders-is-pending",
        ("status", "confirmed") => "orders-is-confirmed",
        ("status", "completed") => "orders-is-completed",
        ("status", "expired") => "orders-is-expired",
        ("status", "refunded") => "orders-is-refunded",
        ("status", "active") => "orders-is-active",
        ("status", "locked") => "orders-is-locked",
        ("status", "erased") => "orders-is-erased",
        ("status", "open") => "orders-is-owed",
        ("status", "collected") => "orders-is-collected",
        ("status", "waived") => "orders-is-waived",
        ("role", "buyer") => "orders-role-buyer",
        ("role", "operator") => "orders-role-operator",
        ("role", "viewer") => "orders-role-viewer",
        ("age_rating", "all") => "stage-age-all",
        ("set", "on") => "entry-factor-on",
        ("set", "off") => "entry-factor-off",
        ("set", "recovery_codes") => "entry-factor-codes",
        ("set", "reset") => "entry-factor-reset",
        _ => return None,
    })
}

struct EntryWriter<'a, 'n> {
    shell: &'a Shell,
    names: NameOf<'n>,
    zone: &'a str,
}

impl EntryWriter<'_, '_> {
    fn user(&self, user: UserId) -> String {
        (self.names)(user).map_or_else(|| user.to_string(), str::to_owned)
    }

    /// A user by the id as it is written in an entry.
    fn user_of(&self, id: &str) -> String {
        id.parse().map_or_else(|_| id.to_owned(), |user| self.user(UserId(user)))
    }

    fn name(&self, field: &str) -> String {
        field_id(field).map_or_else(|| field.to_owned(), |id| self.shell.t(id))
    }

    /// From what to what a field was changed; none for a field that is no change.
    fn change(&self, field: &str, value: &Value) -> Option<String> {
        let (from, to) = (value.get("from")?, value.get("to")?);
        Some(format!("{}: {} → {}", self.name(field), self.value(field, from), self.value(field, to)))
    }

    /// A particular of an act that is no change.
    fn fact(&self, action: &str, field: &str, value: &Value) -> Option<String> {
        match value {
            Value::Null | Value::Bool(false) => None,
            Value::Bool(true) => Some(self.name(field)),
            Value::Object(change) if change.contains_key("from") => None,
            Value::Number(count) if field == "count" => {
                let id = if action.starts_with("seats.") { "orders-seats" } else { "entry-count" };
                Some(self.shell.t1(id, "number", count.as_i64()?))
            }
            value => Some(format!("{}: {}", self.name(field), self.value(field, value))),
        }
    }

    /// What an entry was done to: `payment 9`.
    fn object(&self, object: &str) -> EntryObject {
        let words = |id: &str, number: &str| self.shell.t1(id, "number", number);
        let unknown = || (object.to_owned(), None);
        let (name, href) = match object.split_once(' ') {
            Some(("payment", id)) => (words("orders-payment", id), Some(format!("/operator/payments/{id}"))),
            Some(("reservation", id)) => {
                (words("orders-reservation", id), Some(format!("/operator/reservations/{id}")))
            }
            Some(("concert", id)) => (words("orders-concert", id), Some(format!("/operator/concerts/{id}"))),
            Some(("room", id)) => id.parse().map_or_else(
                |_| unknown(),
                |number| (line_name(self.shell, RoomId::new(number)), Some(format!("/operator/rooms/{id}"))),
            ),
            Some(("user", id)) => {
                (self.shell.t1("entry-object-user", "id", self.user_of(id)), Some(format!("/operator/users/{id}")))
            }
            Some(("debt", id)) => (words("orders-debt", id), Some(format!("/operator/debts/{id}"))),
            Some(("event", id)) => (words("orders-event", id), None),
            // Their number is among the particulars.
            Some((_, "seats")) => (String::new(), None),
            _ => unknown(),
        };
        EntryObject { name, href }
    }

    fn value(&self, field: &str, value: &Value) -> String {
        let shell = self.shell;
        match (field, value) {
            (_, Value::Null) => shell.t("entry-none"),
            ("seat_id_ranges", Value::Array(ranges)) => ranges.iter().map(range).collect::<Vec<_>>().join(", "),
            (_, Value::Array(values)) => {
                values.iter().map(|value| self.value(field, value)).collect::<Vec<_>>().join(", ")
            }
            ("base_price" | "price" | "amount" | "moved" | "owed", Value::Number(won)) => {
                figures::money(shell.language, Money::new(won.as_i64().unwrap_or_default()))
            }
            ("room_id", Value::Number(id)) => line_name(shell, RoomId::new(id.as_i64().unwrap_or_default())),
            ("seat_id" | "round", Value::Number(id)) => id.to_string(),
            (_, Value::Number(number)) => {
                number.as_i64().map_or_else(|| number.to_string(), |number| shell.number(&number))
            }
            (_, Value::String(text)) => self.text(field, text),
            (_, other) => short(&other.to_string()),
        }
    }

    fn text(&self, field: &str, text: &str) -> String {
        let shell = self.shell;
        if let Some(id) = value_id(field, text) {
            return shell.t(id);
        }
        match field {
            "age_rating" => shell.t1("stage-age-from", "age", text),
            "user_id" => self.user_of(text),
            // The log has the length of a description alone.
            "description" => match text.strip_suffix(" characters").and_then(|length| length.parse::<i64>().ok()) {
                Some(length) => shell.t1("entry-characters", "n", length),
                None => short(text),
            },
            _ if field.ends_with("_at") => {
                let moment = text.parse::<jiff::Timestamp>().map(|at| Time::from_micros(at.as_microsecond()));
                moment.map_or_else(|_| short(text), |at| shell.exact_moment(&at, self.zone))
            }
            _ => short(text),
        }
    }
}

/// The ids from the first to the last of a run.
fn range(range: &Value) -> String {
    match (range.get(0), range.get(1)) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first}–{last}"),
        _ => range.to_string(),
    }
}

/// A text, cut if it is long.
fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_LEN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{edge::language::Language, html::texts::Texts};
    use std::path::Path;

    #[test]
    fn every_action_that_the_domain_logs_has_words_in_both_languages() {
        let decide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/src/decide");
        let action = regex::Regex::new(r#""([a-z]+(?:\.[a-z_]+)+)""#).unwrap();
        let texts = Texts::new().unwrap();
        let mut actions = BTreeSet::new();
        for entry in std::fs::read_dir(decide).unwrap() {
            let code = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            actions.extend(action.captures_iter(&code).map(|found| found[1].to_owned()));
        }
        assert!(actions.contains("room.set") && actions.contains("user.second_factor"), "{actions:?}");
        for action in &actions {
            let id = act_id(action).unwrap_or_else(|| panic!("{action} has no words"));
            for language in Language::ALL {
                assert!(texts.find(language, id, &[]).is_some(), "{id}");
            }
        }
    }
}
