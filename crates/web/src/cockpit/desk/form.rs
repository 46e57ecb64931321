//! The form of a room's settings: what was typed, what of it is a change, and what of it cannot be.

use super::words;
use crate::{
    edge::{
        form::{FieldFault, FormFields},
        problem::{HttpResult, Problem},
    },
    html::shell::Shell,
};
use frontrow_domain::{
    command::RoomChange,
    line::{Gate, OpeningOrder, Room},
    policy::{ADMIT_PER_MINUTE_MAX, MAX_ACTIVE_MAX, STATUS_REASON_LEN_MAX},
    text::checked_label,
    time::Time,
};

/// How long the message may be, in characters.
const MESSAGE_LEN_MAX: usize = 500;

/// The settings of a room as the form writes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::cockpit) struct Settings {
    /// The cap, and not the share of the moment: a form that comes back lowers no cap.
    pub(in crate::cockpit) cap: String,
    /// Empty for no limit.
    pub(in crate::cockpit) rate: String,
    pub(in crate::cockpit) message: String,
    pub(in crate::cockpit) opening: OpeningOrder,
}

impl Settings {
    /// The order as the form names it.
    pub(in crate::cockpit) const fn opening_name(&self) -> &'static str {
        words::opening_name(self.opening)
    }
}

impl From<&Room> for Settings {
    fn from(room: &Room) -> Self {
        Self {
            cap: room.max_active.to_string(),
            rate: room.admit_per_minute.map(|rate| rate.to_string()).unwrap_or_default(),
            message: room.message.clone().unwrap_or_default(),
            opening: room.draw.opening_order(),
        }
    }
}

/// What the button says that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cockpit) enum Act {
    Apply,
    Pause,
    Open,
    Preview,
}

impl Act {
    fn of(text: &str) -> HttpResult<Self> {
        match text {
            "apply" => Ok(Self::Apply),
            "pause" => Ok(Self::Pause),
            "open" => Ok(Self::Open),
            "preview" => Ok(Self::Preview),
            _ => Err(Problem::invalid_field("act", "The form has no such button.")),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Pause => "pause",
            Self::Open => "open",
            Self::Preview => "preview",
        }
    }

    /// The gate that the button sets. Such a button sets nothing else.
    pub(super) const fn gate(self) -> Option<Gate> {
        match self {
            Self::Pause => Some(Gate::Paused),
            Self::Open => Some(Gate::Open),
            Self::Apply | Self::Preview => None,
        }
    }
}

/// Whether the sender was asked and said yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cockpit) enum Consent {
    Given,
    NotAsked,
}

/// A form that was sent.
#[derive(Debug, Clone)]
pub(in crate::cockpit) struct SentForm {
    pub(in crate::cockpit) act: Act,
    pub(in crate::cockpit) consent: Consent,
    /// The version of the settings that the sender saw.
    pub(in crate::cockpit) basis: Time,
    /// The settings that the sender saw.
    pub(in crate::cockpit) was: Settings,
    /// The gate of the page that the sender pressed a button of.
    pub(in crate::cockpit) was_gate: Gate,
    pub(in crate::cockpit) typed: Settings,
    pub(in crate::cockpit) reason: String,
}

/// What cannot be, by field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::cockpit) struct RoomFaults {
    pub(in crate::cockpit) cap: Option<String>,
    pub(in crate::cockpit) rate: Option<String>,
    pub(in crate::cockpit) message: Option<String>,
    pub(in crate::cockpit) reason: Option<String>,
    /// The rate is 0: the operator who sends that wants to pause.
    pub(in crate::cockpit) is_rate_zero: bool,
}

impl RoomFaults {
    pub(super) const fn is_empty(&self) -> bool {
        self.cap.is_none() && self.rate.is_none() && self.message.is_none() && self.reason.is_none()
    }
}

/// What a form wants.
#[derive(Debug, Clone)]
pub(super) struct WantedChange {
    pub(super) change: RoomChange,
    pub(super) reason: Option<String>,
}

/// A text as it was typed, on one line; none if the form does not have the field. Characters that cannot be read come back
/// beside the fault that they are.
fn typed(fields: &FormFields, name: &'static str) -> HttpResult<Option<String>> {
    match fields.text(name) {
        Ok(_) | Err(FieldFault::NotUtf8) => Ok(Some(fields.given(name).replace('\n', " ").trim().to_owned())),
        Err(FieldFault::Missing) => Ok(None),
        Err(FieldFault::Twice) => Err(Problem::invalid_field(name, "is there twice")),
    }
}

/// The order in this field; none if the form does not have it.
fn opening(fields: &FormFields, name: &'static str) -> HttpResult<Option<OpeningOrder>> {
    match fields.one_or_none(name)? {
        None => Ok(None),
        Some("draw") => Ok(Some(OpeningOrder::Draw)),
        Some("first_come") => Ok(Some(OpeningOrder::FirstCome)),
        Some(_) => Err(Problem::invalid_field(name, "The form has no such order.")),
    }
}

/// Why a text with characters that cannot be read is not taken; none if it has none.
fn unreadable(shell: &Shell, text: &str, label: &str) -> Option<String> {
    let is_unreadable = text.contains(char::REPLACEMENT_CHARACTER);
    is_unreadable.then(|| shell.t1("fault-encoding", "field", shell.t(label)))
}

impl SentForm {
    /// The form in these fields, sent to this room.
    ///
    /// # Errors
    /// 422: a field is there twice, or one that no person fills in is not as a page of this server has it.
    pub(super) fn of(fields: &FormFields, room: &Room) -> HttpResult<Self> {
        let version = fields.one("version")?.parse::<i64>();
        let basis = version.map_err(|_| Problem::invalid_field("version", "The form's version is not one."))?;
        let present = Settings::from(room);
        let was = Settings {
            cap: typed(fields, "was_max_active")?.unwrap_or(present.cap),
            rate: typed(fields, "was_admit_per_minute")?.unwrap_or(present.rate),
            message: typed(fields, "was_message")?.unwrap_or(present.message),
            opening: opening(fields, "was_opening")?.unwrap_or(present.opening),
        };
        Ok(Self {
            act: Act::of(fields.one("act")?)?,
            consent: if fields.one_or_none("consent")? == Some("given") { Consent::Given } else { Consent::NotAsked },
            basis: Time::from_micros(basis),
            typed: Settings {
                cap: typed(fields, "max_active")?.unwrap_or_else(|| was.cap.clone()),
                rate: typed(fields, "admit_per_minute")?.unwrap_or_else(|| was.rate.clone()),
                message: typed(fields, "message")?.unwrap_or_else(|| was.message.clone()),
                opening: opening(fields, "opening")?.unwrap_or(was.opening),
            },
            was,
            was_gate: match fields.one_or_none("was_gate")? {
                Some("open") => Gate::Open,
                Some("paused") => Gate::Paused,
                _ => room.gate,
            },
            reason: typed(fields, "reason")?.unwrap_or_default(),
        })
    }

    /// Whether a field has something else than its sender saw.
    pub(super) fn is_touched(&self) -> bool {
        self.typed != self.was
    }

    /// What is wanted of a room with these settings: the gate alone, or what was typed and differs from what the sender
    /// saw.
    pub(super) fn wanted(&self, shell: &Shell) -> Result<WantedChange, RoomFaults> {
        let (change, mut faults) = match self.act.gate() {
            Some(gate) => (RoomChange { gate: Some(gate), ..RoomChange::default() }, RoomFaults::default()),
            None => self.settings(shell),
        };
        let reason = checked_label("reason", &self.reason, STATUS_REASON_LEN_MAX);
        faults.reason = unreadable(shell, &self.reason, "desk-reason")
            .or_else(|| reason.is_err().then(|| shell.t("desk-fault-reason")));
        match reason {
            Ok(reason) if faults.is_empty() => {
                Ok(WantedChange { change, reason: (!reason.is_empty()).then_some(reason) })
            }
            _ => Err(faults),
        }
    }

    /// What was typed and differs from what the sender saw, and what of it cannot be.
    fn settings(&self, shell: &Shell) -> (RoomChange, RoomFaults) {
        let (mut change, mut faults) = (RoomChange::default(), RoomFaults::default());
        if self.typed.cap != self.was.cap {
            change.max_active = whole(&self.typed.cap).filter(|cap| (0..=MAX_ACTIVE_MAX).contains(cap));
            faults.cap = change.max_active.is_none().then(|| shell.t("desk-fault-cap"));
        }
        if self.typed.rate != self.was.rate {
            match rate(&self.typed.rate) {
                Ok(rate) => change.admit_per_minute = Some(rate),
                Err(RateFault::Zero) => {
                    faults.is_rate_zero = true;
                    faults.rate = Some(shell.t("desk-fault-rate-zero"));
                }
                Err(RateFault::NoRate) => faults.rate = Some(shell.t("desk-fault-rate")),
            }
        }
        if self.typed.message != self.was.message {
            faults.message = unreadable(shell, &self.typed.message, "desk-message");
            match checked_label("message", &self.typed.message, MESSAGE_LEN_MAX) {
                Ok(text) if text.is_empty() => change.message = Some(None),
                Ok(text) => change.message = Some(Some(text)),
                Err(_) => faults.message = Some(shell.t("desk-fault-message")),
            }
        }
        if self.typed.opening != self.was.opening {
            change.opening = Some(self.typed.opening);
        }
        (change, faults)
    }

    /// The same form with the rate as it was.
    pub(super) fn without_rate(mut self) -> Self {
        self.typed.rate.clone_from(&self.was.rate);
        self
    }

    /// The same form, based on the present settings of the room: what was typed stays, and the rest is taken.
    pub(super) fn rebased(self, room: &Room) -> Self {
        let present = Settings::from(room);
        let keep = |typed: String, was: &str, present: &str| if typed == was { present.to_owned() } else { typed };
        Self {
            typed: Settings {
                cap: keep(self.typed.cap, &self.was.cap, &present.cap),
                rate: keep(self.typed.rate, &self.was.rate, &present.rate),
                message: keep(self.typed.message, &self.was.message, &present.message),
                opening: if self.typed.opening == self.was.opening { present.opening } else { self.typed.opening },
            },
            was: present,
            basis: room.updated_at,
            ..self
        }
    }
}

/// A whole number as people type it: with or without commas.
fn whole(text: &str) -> Option<i64> {
    let digits: String = text.chars().filter(|sign| *sign != ',' && *sign != ' ').collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) { None } else { digits.parse().ok() }
}

#[derive(Debug, PartialEq, Eq)]
enum RateFault {
    Zero,
    NoRate,
}

/// A rate; none for no limit.
fn rate(text: &str) -> Result<Option<i64>, RateFault> {
    if text.is_empty() {
        return Ok(None);
    }
    match whole(text) {
        Some(0) => Err(RateFault::Zero),
        Some(rate @ 1..=ADMIT_PER_MINUTE_MAX) => Ok(Some(rate)),
        _ => Err(RateFault::NoRate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("1,200", Some(1_200)),
            ("1 200", Some(1_200)),
            ("007", Some(7)),
            ("", None),
            (",", None),
            ("-1", None),
            ("1.5", None),
            ("١", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(whole(text), number, "{text:?}");
        }
        assert_eq!(rate(""), Ok(None));
        assert_eq!(rate("60"), Ok(Some(60)));
        assert_eq!(
            (rate("0"), rate("00"), rate("1000001")),
            (Err(RateFault::Zero), Err(RateFault::Zero), Err(RateFault::NoRate))
        );
    }
}
