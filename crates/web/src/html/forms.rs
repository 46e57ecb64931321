//! What the forms of the pages share.

use crate::{
    edge::{
        form::FormFields,
        idempotency::IdempotencyKey,
        problem::{HttpResult, Problem, ProblemCode, codes},
    },
    html::{
        problem_page,
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use frontrow_domain::{command::Idempotency, refusal::Refusal, text::InvalidField, user::Caller};
use std::fmt::Display;

/// The name of the hidden field that makes a form safe to send twice.
pub(crate) const KEY_FIELD: &str = "key";
/// From so many seconds on, a wait is told in minutes.
const WAIT_IN_MINUTES_MIN: i64 = 100;

/// Why a form came back, for the top of its own page.
#[derive(Debug, Clone)]
pub(crate) struct FormNotice {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// What happened.
    pub(crate) title: String,
    /// What it means, and the next step.
    pub(crate) text: String,
    /// When to send it again.
    pub(crate) retry_after: Option<HeaderValue>,
}

impl FormNotice {
    /// The notice of a problem that the visitor can do something about on the form's page.
    ///
    /// # Errors
    /// The problem itself, if it has a page of its own: there is no such thing, the server is in trouble.
    pub(crate) fn of(shell: &Shell, problem: Problem) -> HttpResult<Self> {
        Self::limited_as(shell, problem, ("form-rate-limited", "form-rate-limited-text"))
    }

    /// The same, on a page that has words of its own for too many requests: the ids of a title and of a text, which is
    /// followed by when to come again.
    ///
    /// # Errors
    /// As [`FormNotice::of`].
    pub(crate) fn limited_as(shell: &Shell, problem: Problem, limited: (&str, &str)) -> HttpResult<Self> {
        let code = problem.code();
        let is_refusal = problem.refusal().is_some_and(|refusal| !matches!(refusal, Refusal::NotFound { .. }));
        let is_limited = code == codes::RATE_LIMITED.code;
        let is_for_form =
            is_refusal || is_limited || [codes::INVALID_FIELD.code, codes::DEMO_ACCOUNT.code].contains(&code);
        if !is_for_form {
            return Err(problem);
        }
        let answered = problem.into_response();
        let (status, retry_after) = (answered.status(), answered.headers().get(header::RETRY_AFTER).cloned());
        // A form's page asks for no header: it came back with what was wrong.
        let status = if status == StatusCode::UNAUTHORIZED { StatusCode::UNPROCESSABLE_ENTITY } else { status };
        let (title, text) = if is_limited {
            let (title, text) = (shell.t(limited.0), shell.t(limited.1));
            let seconds = retry_after.as_ref().and_then(|after| after.to_str().ok()?.parse::<i64>().ok());
            let wait = seconds.map(|seconds| wait_words(shell, seconds)).unwrap_or_default();
            (title, format!("{text} {wait}"))
        } else {
            problem_page::words(shell, ProblemCode(code))
        };
        Ok(Self { status, title, text, retry_after })
    }
}

fn wait_words(shell: &Shell, seconds: i64) -> String {
    if seconds < WAIT_IN_MINUTES_MIN {
        shell.t1("form-again-seconds", "seconds", seconds)
    } else {
        shell.t1("form-again-minutes", "minutes", seconds.saturating_add(59) / 60)
    }
}

/// A page with a form: as it is first shown, or as it came back.
pub(crate) fn form_page(shell: &Shell, notice: Option<&FormNotice>, page: &impl Template) -> HttpResult<Response> {
    let mut response = html(shell, notice.map_or(StatusCode::OK, |notice| notice.status), page)?;
    if let Some(seconds) = notice.and_then(|notice| notice.retry_after.clone()) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    Ok(response)
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

/// The key of a form that was sent, bound to the caller, the route and every field: the same form again is answered as the
/// first time, another one with its key is refused.
///
/// # Errors
/// As [`key_of`].
pub(crate) fn bound_key(
    fields: &FormFields,
    caller: Caller,
    route: &str,
    path_args: &[&dyn Display],
) -> HttpResult<Option<Idempotency>> {
    key_of(fields)?.bind(caller, &Method::POST, route, path_args, &fields.pairs())
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

/// The page to go on to, as a query says; else `otherwise`.
pub(crate) fn next_in(query: Option<&str>, otherwise: &str) -> String {
    let mut fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let next = fields.find(|(name, _)| name == "next");
    next.map_or_else(|| otherwise.to_owned(), |(_, next)| local_path(&next).to_owned())
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
    fn a_query_says_where_to_go_on_to() {
        for (query, expected) in [
            (None, "/mine"),
            (Some("a=b"), "/mine"),
            (Some("a=b&next=%2Fconcerts%2F7&next=%2Fx"), "/concerts/7"),
            (Some("next=%2F%2Fevil.example"), "/"),
            (Some("next="), "/"),
        ] {
            assert_eq!(next_in(query, "/mine"), expected, "{query:?}");
        }
    }

    #[test]
    fn every_shown_form_has_a_key_of_its_own() {
        assert_ne!(fresh_key(), fresh_key());
        assert!(IdempotencyKey::of_field(&fresh_key()).is_ok());
        assert!(IdempotencyKey::of_field("short").is_err());
    }
}
