//! What the forms of the pages share.

#![expect(dead_code, reason = "the pages that use the rest are being added")]

use crate::{
    edge::{
        form::FormFields,
        idempotency::IdempotencyKey,
        problem::{HttpResult, Problem, ProblemCode, codes},
    },
    pages::{problem_page, shell::Shell},
};
use axum::http::StatusCode;
use frontrow_domain::{refusal::Refusal, text::InvalidField};

/// The name of the hidden field that makes a form safe to send twice.
pub(crate) const KEY_FIELD: &str = "key";

/// A form on its page: what was typed, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypedForm {
    fields: FormFields,
    /// The field at fault, and why in the page's language.
    fault: Option<(String, String)>,
}

impl TypedForm {
    /// A form that was sent, and comes back because of a field.
    pub(crate) fn faulty(fields: FormFields, field: impl Into<String>, why: String) -> Self {
        Self { fields, fault: Some((field.into(), why)) }
    }

    /// The text in a field.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.fields.given(name)
    }

    /// Why a field is wrong; none if it is not the one.
    pub(crate) fn fault_of(&self, name: &str) -> Option<&str> {
        self.fault.as_ref().filter(|(field, _)| field == name).map(|(_, why)| why.as_str())
    }

    /// The field at fault, and why.
    pub(crate) fn fault(&self) -> Option<&(String, String)> {
        self.fault.as_ref()
    }
}

/// Why a form came back, for the top of its own page.
#[derive(Debug, Clone)]
pub(crate) struct FormNotice {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// What happened.
    pub(crate) title: String,
    /// What it means, and the next step.
    pub(crate) text: String,
}

impl FormNotice {
    /// The notice of a problem that the visitor can do something about on the form's page.
    ///
    /// # Errors
    /// The problem itself, if it has a page of its own: there is no such thing, the server is in trouble.
    pub(crate) fn of(shell: &Shell, problem: Problem) -> HttpResult<Self> {
        let is_refusal = problem.refusal().is_some_and(|refusal| !matches!(refusal, Refusal::NotFound { .. }));
        if !is_refusal && problem.code() != codes::INVALID_FIELD.code {
            return Err(problem);
        }
        let (title, text) = problem_page::words(shell, ProblemCode(problem.code()));
        Ok(Self { status: problem.answered_with(), title, text })
    }
}

/// A new key for a form that is being shown.
pub(crate) fn fresh_key() -> String {
    frontrow_clock::log_id().to_string()
}

/// The key of a form that was sent.
///
/// # Errors
/// 422: it is missing, there twice, or no key.
pub(crate) fn key_of(fields: &FormFields) -> HttpResult<IdempotencyKey> {
    IdempotencyKey::of_field(fields.one(KEY_FIELD).map_err(|bad: InvalidField| Problem::from(bad))?)
}

/// The path to go on to, if it is one of this server; else the front page. Browsers read `//host` and `/\host` as
/// another server, and drop tabs and line ends.
pub(crate) fn local_path(next: &str) -> &str {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= 500
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_server_is_gone_on_to() {
        for good in ["/", "/concerts/7", "/concerts/7?section=A", "/line/abc#x"] {
            assert_eq!(local_path(good), good);
        }
        let long = format!("/{}", "a".repeat(500));
        for bad in [
            "",
            "concerts",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\tb",
            "/a\nb",
            "/한",
            &long,
        ] {
            assert_eq!(local_path(bad), "/", "{bad}");
        }
    }

    #[test]
    fn every_shown_form_has_a_key_of_its_own() {
        assert_ne!(fresh_key(), fresh_key());
        assert!(IdempotencyKey::of_field(&fresh_key()).is_ok());
        assert!(IdempotencyKey::of_field("short").is_err());
    }
}
