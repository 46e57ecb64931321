//! Forms: `application/x-www-form-urlencoded` bodies, as browsers send them.

use crate::edge::{
    auth::{self, Visitor},
    cookies::check_same_origin,
    extract::{OPERATOR_BODY_LEN_MAX, read_form},
    problem::{HttpResult, Problem},
    state::SharedState,
};
use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use frontrow_domain::text::InvalidField;

/// How many fields a form may have.
const FIELDS_MAX: usize = 64;
/// The largest body of a form, in bytes: a field that is too long comes back on its page, which a refused body does not.
/// A letter of Hangul takes nine.
const FORM_LEN_MAX: usize = OPERATOR_BODY_LEN_MAX;

/// The fields of a form that a page of this server sent. `Debug` shows their names alone: a value may be a password.
#[derive(Clone, Default)]
pub struct FormFields(Vec<(String, String)>);

impl std::fmt::Debug for FormFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Why a field has no text to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldFault {
    /// The form does not have it.
    Missing,
    /// The form has it more than once.
    Twice,
    /// Its characters cannot be read.
    NotUtf8,
}

impl FormFields {
    /// The fields of a body.
    ///
    /// # Errors
    /// 422: there are too many.
    fn of(body: &[u8]) -> HttpResult<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if fields.len() == FIELDS_MAX {
                return Err(Problem::invalid_field("form", "The form has too many fields."));
            }
            // Browsers send line ends as CR LF.
            fields.push((name.into_owned(), value.replace("\r\n", "\n")));
        }
        Ok(Self(fields))
    }

    /// The value of a field that a form has once.
    ///
    /// # Errors
    /// The field is missing, there twice, or not UTF-8.
    pub fn text(&self, name: &str) -> Result<&str, FieldFault> {
        let mut values = self.all(name);
        let value = values.next().ok_or(FieldFault::Missing)?;
        if values.next().is_some() {
            return Err(FieldFault::Twice);
        }
        // What is not UTF-8 was replaced by this character; a person does not type it.
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(FieldFault::NotUtf8);
        }
        Ok(value)
    }

    /// The value of a field that a page of this server fills in.
    ///
    /// # Errors
    /// The field is missing, there twice, or not UTF-8.
    pub fn one(&self, name: &'static str) -> Result<&str, InvalidField> {
        let reason = |fault| match fault {
            FieldFault::Missing => "is missing",
            FieldFault::Twice => "is there twice",
            FieldFault::NotUtf8 => "is not UTF-8",
        };
        self.text(name).map_err(|fault| InvalidField::new(name, reason(fault)))
    }

    /// The first value of a field, to be shown again; empty if there is none.
    #[must_use]
    pub fn given(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Every value of a field that a form may have several times.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl<S> FromRequest<S> for FormFields
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> HttpResult<Self> {
        let (parts, body) = request.into_parts();
        // Without a session, too: another site must not sign a visitor in to an account of its own.
        check_same_origin(&parts, auth::scheme(&parts, &SharedState::from_ref(state))?)?;
        Self::of(&read_form(&parts.headers, body, FORM_LEN_MAX).await?)
    }
}

/// The visitor without a session who sends a form. The address pays only if the form stands on a page of this server:
/// another site must not spend what its visitors may do here.
#[derive(Debug)]
pub struct FormVisitor(pub HttpResult<Visitor>);

impl<S> FromRequestParts<S> for FormVisitor
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> HttpResult<Self> {
        let app = SharedState::from_ref(state);
        check_same_origin(parts, auth::scheme(parts, &app)?)?;
        Ok(Self(Visitor::paying(parts, &app).await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_missing_doubled_or_not_utf8_is_named() {
        let form = FormFields::of(b"name=%EA%B9%80+%26&twice=1&twice=2&odd=%FF&text=a%0D%0Ab").unwrap();
        assert_eq!(form.one("name").unwrap(), "김 &");
        assert_eq!(form.one("text").unwrap(), "a\nb");
        for (name, fault, reason) in [
            ("none", FieldFault::Missing, "is missing"),
            ("twice", FieldFault::Twice, "is there twice"),
            ("odd", FieldFault::NotUtf8, "is not UTF-8"),
        ] {
            assert_eq!(form.text(name), Err(fault));
            let bad = form.one(name).unwrap_err();
            assert_eq!((bad.field.as_ref(), bad.reason.as_ref()), (name, reason));
        }
        assert_eq!(form.all("twice").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.given("twice"), form.given("none")), ("1", ""));
        assert!(FormFields::of("x=1&".repeat(FIELDS_MAX).as_bytes()).is_ok());
        assert!(FormFields::of("x=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn what_was_typed_is_not_printed() {
        let form = FormFields::of(b"email=kim%40example.com&password=correct+horse").unwrap();
        assert_eq!(format!("{form:?}"), r#"["email", "password"]"#);
    }
}
