//! Forms: `application/x-www-form-urlencoded` bodies, as browsers send them, and `multipart/form-data` ones with a file.

mod multipart;

use crate::edge::{
    auth::{self, Visitor},
    cookies::check_same_origin,
    extract::{LARGE_BODY_LEN_MAX, OPERATOR_BODY_LEN_MAX, read_any, read_form},
    observe::BodyRoom,
    problem::{HttpResult, Problem},
    state::SharedState,
};
use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use bytes::Bytes;
use frontrow_domain::text::InvalidField;

/// How many fields a form may have.
const FIELDS_MAX: usize = 64;
/// The same for a large form: a page lists so many seats as boxes, with those of their rows.
const LARGE_FIELDS_MAX: usize = 4_096;
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
    /// 422: there are more than `max`.
    fn of(body: &[u8], max: usize) -> HttpResult<Self> {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            fields.add(name.into_owned(), &value, max)?;
        }
        Ok(fields)
    }

    fn add(&mut self, name: String, value: &str, max: usize) -> HttpResult<()> {
        if self.0.len() == max {
            return Err(Problem::invalid_field("form", "The form has too many fields."));
        }
        // Browsers send line ends as CR LF.
        self.0.push((name, value.replace("\r\n", "\n")));
        Ok(())
    }

    /// How many bytes the names and values take.
    fn len(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum()
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

    /// The value of a field that a form may have once; none if it does not have it.
    ///
    /// # Errors
    /// The field is there twice, or not UTF-8.
    pub fn one_or_none(&self, name: &'static str) -> Result<Option<&str>, InvalidField> {
        if self.text(name) == Err(FieldFault::Missing) { Ok(None) } else { self.one(name).map(Some) }
    }

    /// The first value of a field, to be shown again; empty if there is none.
    #[must_use]
    pub fn given(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Every name with its value, in the order in which they were sent.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
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
        Self::of(&read_form(&parts.headers, body, FORM_LEN_MAX).await?.bytes, FIELDS_MAX)
    }
}

/// A file of a form.
#[derive(Debug, Clone)]
pub struct FormFile {
    /// The field.
    pub field: String,
    /// The name that it had, as the browser says.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A form of an operator's page: with long lists, long texts or a file. A handler takes `OperatorOnly` before it, so that
/// the body of another caller is not read. Until it is dropped, its bytes count among those that the server may buffer.
#[derive(Default)]
pub struct LargeForm {
    /// The fields that are no files.
    pub fields: FormFields,
    /// The files that were chosen.
    pub files: Vec<FormFile>,
    room: Option<BodyRoom>,
}

impl LargeForm {
    /// The file of a field; none if none was chosen.
    ///
    /// # Errors
    /// There are several.
    pub fn file(&self, field: &'static str) -> Result<Option<&FormFile>, InvalidField> {
        let mut files = self.files.iter().filter(|file| file.field == field);
        let file = files.next();
        if files.next().is_some() { Err(InvalidField::new(field, "is there twice")) } else { Ok(file) }
    }

    /// The same form of a viewer, who chooses seats and changes none: no longer than a small one.
    ///
    /// # Errors
    /// As for a large one.
    pub async fn of_viewer(request: Request, app: &SharedState) -> HttpResult<Self> {
        Self::read(request, app, FORM_LEN_MAX).await
    }

    async fn read(request: Request, app: &SharedState, max: usize) -> HttpResult<Self> {
        let (parts, body) = request.into_parts();
        check_same_origin(&parts, auth::scheme(&parts, app)?)?;
        let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let (mut form, mut room) = if let Some(boundary) = media_type.and_then(multipart::boundary) {
            let body = read_any(&parts.headers, body, max).await?;
            (Self::of_parts(&body.bytes, &boundary)?, body.room)
        } else {
            let body = read_form(&parts.headers, body, max).await?;
            let fields = FormFields::of(&body.bytes, LARGE_FIELDS_MAX)?;
            (Self { fields, ..Self::default() }, body.room)
        };
        // The fields are a copy of the body.
        room.take(form.fields.len())?;
        form.room = Some(room);
        Ok(form)
    }

    fn of_parts(body: &Bytes, boundary: &str) -> HttpResult<Self> {
        let mut form = Self::default();
        for part in multipart::parts(body, boundary, LARGE_FIELDS_MAX)? {
            match part.file_name {
                // A field of a file without one is sent as an empty one without a name.
                Some(file_name) if file_name.is_empty() && part.bytes.is_empty() => {}
                Some(file_name) => form.files.push(FormFile { field: part.field, file_name, bytes: part.bytes }),
                None => {
                    form.fields.add(part.field, &String::from_utf8_lossy(&part.bytes), LARGE_FIELDS_MAX)?;
                }
            }
        }
        Ok(form)
    }
}

impl<S> FromRequest<S> for LargeForm
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> HttpResult<Self> {
        Self::read(request, &SharedState::from_ref(state), LARGE_BODY_LEN_MAX).await
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
        let form = FormFields::of(b"name=%EA%B9%80+%26&twice=1&twice=2&odd=%FF&text=a%0D%0Ab", FIELDS_MAX).unwrap();
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
            assert_eq!(form.one_or_none(name).is_ok(), fault == FieldFault::Missing, "{name}");
        }
        assert_eq!((form.one_or_none("text").unwrap(), form.one_or_none("none").unwrap()), (Some("a\nb"), None));
        assert_eq!(form.all("twice").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.given("twice"), form.given("none")), ("1", ""));
        assert!(FormFields::of("x=1&".repeat(FIELDS_MAX).as_bytes(), FIELDS_MAX).is_ok());
        assert!(FormFields::of("x=1&".repeat(FIELDS_MAX + 1).as_bytes(), FIELDS_MAX).is_err());
    }

    #[test]
    fn what_was_typed_is_not_printed() {
        let form = FormFields::of(b"email=kim%40example.com&password=correct+horse", FIELDS_MAX).unwrap();
        assert_eq!(format!("{form:?}"), r#"["email", "password"]"#);
    }
}
