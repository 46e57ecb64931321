//! The form of an act: what will happen, what must be said, and the button.
//!
//! Every act has a page of its own, so that nothing is done by one press on an object. If what will happen depends on
//! what is filled in, the form comes back once with the effects, and is sent again. An act is three things: a form for
//! an [`ActVisit`], what is read from it, and a call whose outcome [`ActPage::ended`] answers.

use super::{shell::CockpitShell, tables::Link};
use crate::{
    edge::{
        auth::OperatorOnly,
        extract::{PathId, PathKey},
        form::{FieldFault, FormFields},
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::forms::{FormNotice, bound_key, form_page, fresh_key},
};
use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    command::Idempotency, money::Money, policy::STATUS_REASON_LEN_MAX, refusal::Refusal, text::checked_text,
    user::Caller,
};
use std::fmt::Display;

/// How many characters a reference has at most.
const REFERENCE_LEN_MAX: usize = 100;
/// The hidden field of a form that has shown what will happen, with the values for which it has.
pub(super) const SURE: &str = "sure";

/// An operator at the form of an act on one object.
pub(super) struct ActVisit<Id> {
    pub(super) app: SharedState,
    pub(super) shell: CockpitShell,
    pub(super) caller: Caller,
    pub(super) id: Id,
}

impl<Id: PathKey> FromRequestParts<SharedState> for ActVisit<Id> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &SharedState) -> HttpResult<Self> {
        let shell = CockpitShell::from_request_parts(parts, app).await?;
        let OperatorOnly(caller) = OperatorOnly::from_request_parts(parts, app).await?;
        let PathId(id) = PathId::from_request_parts(parts, app).await?;
        Ok(Self { app: app.clone(), shell, caller, id })
    }
}

impl<Id: Display> ActVisit<Id> {
    /// The key under which the form does its act once, however often it is sent: `route` names the act.
    pub(super) fn key(&self, fields: &FormFields, route: &str) -> HttpResult<Option<Idempotency>> {
        bound_key(fields, self.caller, route, &[&self.id])
    }
}

/// How a field is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Lines of text.
    Lines,
    /// One line.
    Code,
    /// A sum of money.
    Sum,
}

/// A field of the form.
#[derive(Debug, Clone)]
pub(super) struct ActField {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) hint: String,
    pub(super) value: String,
    pub(super) input: Input,
    pub(super) len_max: usize,
    /// Why the value is not taken.
    pub(super) fault: Option<String>,
}

/// A choice of the form, of which one is taken.
#[derive(Debug, Clone)]
pub(super) struct ActChoice {
    pub(super) name: &'static str,
    pub(super) label: String,
    /// The values with their words.
    pub(super) options: Vec<(&'static str, String)>,
    pub(super) chosen: String,
    pub(super) fault: Option<String>,
}

/// The page of an act.
#[derive(Template)]
#[template(path = "cockpit/act.html")]
pub(super) struct ActPage {
    pub(super) shell: CockpitShell,
    pub(super) notice: Option<FormNotice>,
    pub(super) title: String,
    /// The object, and the way back.
    pub(super) about: Link,
    /// What will happen, a sentence each.
    pub(super) effects: Vec<String>,
    pub(super) choice: Option<ActChoice>,
    pub(super) fields: Vec<ActField>,
    pub(super) action: String,
    /// What the button says.
    pub(super) button: String,
    /// For which values the effects are shown; none if they depend on none.
    pub(super) sure: Option<String>,
    pub(super) key: String,
}

impl ActPage {
    /// The form of an act without fields.
    pub(super) fn of(shell: CockpitShell, title: String, about: Link, action: String, button: String) -> Self {
        Self {
            shell,
            notice: None,
            title,
            about,
            effects: Vec::new(),
            choice: None,
            fields: Vec::new(),
            action,
            button,
            sure: None,
            key: fresh_key(),
        }
    }

    pub(super) fn with_effects(self, effects: Vec<String>) -> Self {
        Self { effects, ..self }
    }

    /// With a field for why it is done, which stands in the audit log.
    pub(super) fn with_reason(self, hint: &str) -> Self {
        let field = ActField {
            name: "reason",
            label: self.shell.t("orders-reason"),
            hint: self.shell.t(hint),
            value: String::new(),
            input: Input::Lines,
            len_max: STATUS_REASON_LEN_MAX,
            fault: None,
        };
        self.with_field(field)
    }

    /// With a field for what the booking is known by elsewhere.
    pub(super) fn with_reference(self, hint: &str) -> Self {
        let field = ActField {
            name: "reference",
            label: self.shell.t("orders-reference"),
            hint: self.shell.t(hint),
            value: String::new(),
            input: Input::Code,
            len_max: REFERENCE_LEN_MAX,
            fault: None,
        };
        self.with_field(field)
    }

    /// With a field for a sum of money.
    pub(super) fn with_amount(self, hint: &str) -> Self {
        let field = ActField {
            name: "amount",
            label: self.shell.t("orders-amount"),
            hint: self.shell.t(hint),
            value: String::new(),
            input: Input::Sum,
            len_max: 20,
            fault: None,
        };
        self.with_field(field)
    }

    /// With a field of one line.
    pub(super) fn with_line(self, name: &'static str, label: &str, hint: &str, len_max: usize) -> Self {
        let (label, hint) = (self.shell.t(label), self.shell.t(hint));
        self.with_field(ActField { name, label, hint, value: String::new(), input: Input::Code, len_max, fault: None })
    }

    fn with_field(mut self, field: ActField) -> Self {
        self.fields.push(field);
        self
    }

    fn field(&mut self, name: &str) -> Option<&mut ActField> {
        self.fields.iter_mut().find(|field| field.name == name)
    }

    /// Says beside a field why its value is not taken.
    fn blame(&mut self, name: &str, why: String) {
        if let Some(field) = self.field(name) {
            field.fault = Some(why);
        }
    }

    /// Whether some field has a value that is not taken.
    fn has_fault(&self) -> bool {
        self.fields.iter().any(|field| field.fault.is_some())
            || self.choice.as_ref().is_some_and(|choice| choice.fault.is_some())
    }

    /// Reads a field, and keeps what was given, to be shown again.
    pub(super) fn read<T>(
        &mut self,
        fields: &FormFields,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let taken = match fields.text(name).map(str::trim) {
            Ok("") | Err(FieldFault::Missing) => Err("orders-field-missing"),
            Err(FieldFault::Twice | FieldFault::NotUtf8) => Err("orders-field-unreadable"),
            Ok(text) => read(text),
        };
        fields.given(name).clone_into(&mut self.field(name)?.value);
        match taken {
            Ok(value) => Some(value),
            Err(why) => {
                let why = self.shell.t(why);
                self.blame(name, why);
                None
            }
        }
    }

    /// The reason that was given.
    pub(super) fn reason(&mut self, fields: &FormFields) -> Option<String> {
        self.read(fields, "reason", |text| {
            if text.chars().count() > STATUS_REASON_LEN_MAX {
                return Err("orders-field-long");
            }
            checked_text("reason", text, STATUS_REASON_LEN_MAX).map_err(|_| "orders-field-characters")
        })
    }

    /// The reference that was given.
    pub(super) fn reference(&mut self, fields: &FormFields) -> Option<String> {
        self.read(fields, "reference", |text| {
            let is_taken = text.len() <= REFERENCE_LEN_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
            if is_taken { Ok(text.to_owned()) } else { Err("orders-field-reference") }
        })
    }

    /// The sum that was given.
    pub(super) fn amount(&mut self, fields: &FormFields) -> Option<Money> {
        self.read(fields, "amount", |text| sum(text).ok_or("orders-field-amount"))
    }

    /// Whether the form has shown its effects for these values.
    pub(super) fn is_sure(fields: &FormFields, values: &str) -> bool {
        fields.text(SURE) == Ok(values)
    }

    /// The form once more, with what will happen for these values.
    pub(super) fn asking_again(mut self, effects: Vec<String>, values: String, button: String) -> Self {
        (self.effects, self.sure, self.button) = (effects, Some(values), button);
        self
    }

    /// The form as it came back: for a refusal that is about a field beside it, for any other above the form.
    ///
    /// # Errors
    /// The problem itself, if it has a page of its own.
    pub(super) fn refused(mut self, problem: Problem) -> HttpResult<Self> {
        let shell = self.shell.clone();
        match problem.refusal() {
            Some(Refusal::ReferenceUsed) => self.blame("reference", shell.t("orders-field-reference-used")),
            Some(refusal @ (Refusal::AmountOutOfBounds { .. } | Refusal::BalanceTooLarge { .. })) => {
                let why = bounds_words(&shell, refusal);
                self.blame("amount", why);
            }
            _ => self.notice = Some(FormNotice::of(&shell, problem)?),
        }
        (self.key, self.sure) = (fresh_key(), None);
        Ok(self)
    }

    /// The answer to an act that was asked for: on to `path` once it is done, else the form as it came back.
    pub(super) fn ended<T, E: Into<Problem>>(self, outcome: Result<T, E>, path: &str) -> HttpResult<Response> {
        match outcome {
            Ok(_) => Ok(done(path)),
            Err(stop) => self.refused(stop.into())?.answer(),
        }
    }

    /// The page: 422 if a value is not taken.
    pub(super) fn answer(&self) -> HttpResult<Response> {
        let mut response = form_page(&self.shell, self.notice.as_ref(), self)?;
        if self.notice.is_none() && self.has_fault() {
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        Ok(response)
    }
}

/// Why a sum is not taken.
fn bounds_words(shell: &CockpitShell, refusal: &Refusal) -> String {
    match refusal {
        Refusal::AmountOutOfBounds { min, max } => {
            shell.t2("orders-field-bounds", "least", shell.money(min), "most", shell.money(max))
        }
        Refusal::BalanceTooLarge { max } => shell.t1("orders-field-balance", "most", shell.money(max)),
        _ => shell.t("orders-field-amount"),
    }
}

/// On to a page, after an act.
pub(super) fn done(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// A sum as people write it: `50000`, `50,000`, `-50,000원`.
fn sum(text: &str) -> Option<Money> {
    let text = text.strip_suffix('원').or_else(|| text.strip_suffix('₩')).unwrap_or(text).trim();
    let text = text.strip_prefix('₩').unwrap_or(text);
    let (sign, digits) = match text.strip_prefix(['-', '−', '–']) {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_prefix('₩').unwrap_or(digits);
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' ');
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let number = digits.parse::<i64>().ok().filter(|number| is_number && *number <= Money::MAX.get())?;
    Some(Money::new(number * sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_read_as_people_write_it() {
        for (text, expected) in [
            ("50000", 50_000),
            ("50,000", 50_000),
            ("50 000원", 50_000),
            ("₩50,000", 50_000),
            ("+1", 1),
            ("-50,000", -50_000),
            ("−50,000원", -50_000),
            ("-₩5", -5),
            ("0", 0),
        ] {
            assert_eq!(sum(text), Some(Money::new(expected)), "{text}");
        }
        for text in ["", "원", "-", "1.5", "1e3", "abc", "--1", "5000000000000", "99999999999999999999", ",", "٣"] {
            assert_eq!(sum(text), None, "{text}");
        }
    }
}
