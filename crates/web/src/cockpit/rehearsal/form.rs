//! The form of a rehearsal: how many come, when, and what they do.

use crate::{
    edge::form::FormFields,
    html::{forms::fresh_key, shell::Shell},
};
use frontrow_domain::{
    policy::Policy,
    sale::{RehearsalField, RehearsalSetup},
};

/// A field as the form shows it.
pub(super) struct SetupField {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) hint: String,
    /// What stands in it.
    pub(super) value: String,
    /// Why it is wrong.
    pub(super) fault: Option<String>,
}

/// The form.
pub(super) struct SetupForm {
    pub(super) key: String,
    pub(super) fields: Vec<SetupField>,
}

/// How much of a wrong value is shown again, in characters.
const SHOWN_MAX: usize = 20;

/// A number as people type it; none if it is none.
fn number_of(text: &str) -> Option<u32> {
    let plain: String = text.trim().chars().filter(|letter| !matches!(letter, ',' | ' ' | '\u{a0}')).collect();
    let is_number = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    plain.parse().ok().filter(|_| is_number)
}

impl SetupForm {
    /// The form with these values.
    pub(super) fn of(shell: &Shell, setup: &RehearsalSetup, policy: &Policy) -> Self {
        let field = |field: RehearsalField| shown(shell, field, setup.get(field).to_string(), None, policy);
        Self { key: fresh_key(), fields: RehearsalField::ALL.into_iter().map(field).collect() }
    }

    /// The form as it was sent, and its values if all are good.
    pub(super) fn read(shell: &Shell, fields: &FormFields, policy: &Policy) -> (Self, Option<RehearsalSetup>) {
        let mut setup = Some(RehearsalSetup {
            people: 0,
            arrive_minutes: 0,
            visit_seconds: 0,
            give_up_percent: 0,
            seats_each: 0,
            minutes: 0,
        });
        let mut read = |field: RehearsalField| {
            let given = fields.one(field.name()).unwrap_or_default();
            let bounds = field.bounds(policy);
            let value = number_of(given).filter(|value| bounds.contains(value));
            setup = setup.zip(value).map(|(setup, value)| setup.with(field, value));
            let fault = value.is_none().then(|| bounds_words(shell, field, policy));
            shown(shell, field, given.chars().take(SHOWN_MAX).collect(), fault, policy)
        };
        let form = Self { key: fresh_key(), fields: RehearsalField::ALL.into_iter().map(&mut read).collect() };
        (form, setup)
    }
}

fn bounds_words(shell: &Shell, field: RehearsalField, policy: &Policy) -> String {
    let (low, high) = field.bounds(policy).into_inner();
    shell.t2("rehearsal-bounds", "low", i64::from(low), "high", i64::from(high))
}

fn shown(shell: &Shell, field: RehearsalField, value: String, fault: Option<String>, policy: &Policy) -> SetupField {
    let (label, hint) = match field {
        RehearsalField::People => ("rehearsal-people", "rehearsal-people-hint"),
        RehearsalField::ArriveMinutes => ("rehearsal-arrive", "rehearsal-arrive-hint"),
        RehearsalField::VisitSeconds => ("rehearsal-visit", "rehearsal-visit-hint"),
        RehearsalField::GiveUpPercent => ("rehearsal-give-up", "rehearsal-give-up-hint"),
        RehearsalField::SeatsEach => ("rehearsal-seats-each", "rehearsal-seats-each-hint"),
        RehearsalField::Minutes => ("rehearsal-minutes", "rehearsal-minutes-hint"),
    };
    let hint = format!("{} {}", shell.t(hint), bounds_words(shell, field, policy));
    SetupField { name: field.name(), label: shell.t(label), hint, value, fault }
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn a_number_is_read_as_people_type_it() {
        for (text, number) in [
            ("500", Some(500)),
            (" 5,000 ", Some(5_000)),
            ("0", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("1e3", None),
            ("99999999999", None),
            ("٣", None),
            ("<script>", None),
        ] {
            assert_eq!(number_of(text), number, "{text}");
        }
    }
}
