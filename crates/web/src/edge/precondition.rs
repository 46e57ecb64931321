//! The version of a row that a change is based on: `ETag` and `If-Match`, and the hidden field of a form.
//!
//! The tag names the version of the settings by the microseconds of its `updated_at`. It is a strong one as far as
//! changes go: a change that names it is made to that version or refused. What a call counts beside the settings (those
//! who wait, free seats) is not part of it, so these answers are not cached and `If-None-Match` is not evaluated.

use crate::edge::{
    form::FormFields,
    problem::{HttpResult, Problem},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::Response,
};
use frontrow_domain::time::Time;
use serde::Serialize;

/// How many tags a header may list.
const TAGS_MAX: usize = 16;
/// How many bytes a tag that is read may have between its quotes.
const TAG_LEN_MAX: usize = 64;
/// No row's version: what a change is based on whose tags name none.
const NEVER: Time = Time::from_micros(i64::MIN);

/// The version that a request is based on; none if any version may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<Time>);

impl IfMatch {
    /// Reads the header by RFC 9110: `*`, or a list of tags, of which a weak one matches nothing. Versions only rise,
    /// so of several tags the latest version is the one that may be the present one.
    ///
    /// # Errors
    /// 400 if the header is not of that form, or lists too many tags.
    pub fn from_headers(headers: &HeaderMap) -> HttpResult<Self> {
        let mut tags = 0_usize;
        let mut latest = None;
        let mut is_any = false;
        let mut lines = 0_usize;
        for line in headers.get_all(header::IF_MATCH) {
            lines += 1;
            let line = line.to_str().map_err(|_| malformed())?;
            if line.trim_matches([' ', '\t']) == "*" {
                is_any = true;
                continue;
            }
            for tag in tags_of(line).ok_or_else(malformed)? {
                tags += 1;
                latest = latest.max(version_of(tag));
            }
        }
        match (is_any, tags, lines) {
            (_, _, 0) | (true, 0, 1) => Ok(Self(None)),
            (false, 1..=TAGS_MAX, _) => Ok(Self(Some(latest.unwrap_or(NEVER)))),
            _ => Err(malformed()),
        }
    }

    /// The version in the hidden field `basis` of a form.
    ///
    /// # Errors
    /// 422: the field is missing, there twice, or no version.
    pub fn of_form(fields: &FormFields) -> HttpResult<Self> {
        Self::of_field(fields.one("basis")?)
    }

    fn of_field(text: &str) -> HttpResult<Self> {
        let version =
            micros_in(text).ok_or_else(|| Problem::invalid_field("basis", "The form's version is not one."))?;
        Ok(Self(Some(version)))
    }

    /// The body with the version, for the fingerprint of an idempotency key: the same body on another version is another
    /// request.
    pub const fn with<'a, T>(&self, body: &'a T) -> Based<'a, T> {
        match self.0 {
            None => Based::OnAny(body),
            Some(version) => Based::On(body, version.micros()),
        }
    }
}

/// A body, and the version that it is based on.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Based<'a, T> {
    /// On any version: as if there was no precondition.
    OnAny(&'a T),
    /// On this version.
    On(&'a T, i64),
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> HttpResult<Self> {
        Self::from_headers(&parts.headers)
    }
}

/// Adds the tag of a row's version to an answer.
#[must_use]
pub fn tagged(mut response: Response, updated_at: Time) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", updated_at.micros())) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn malformed() -> Problem {
    Problem::invalid_parameter(
        "If-Match",
        format!("If-Match is *, or 1 to {TAGS_MAX} tags as an ETag has them, in double quotes and apart by commas."),
    )
}

/// A tag of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag<'a> {
    Strong(&'a str),
    Weak,
}

/// The tags of a line; none if it is no list of tags. Empty elements of a list are skipped.
fn tags_of(line: &str) -> Option<Vec<Tag<'_>>> {
    let mut tags = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let (is_weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        let is_tag = tag.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e));
        let after = after.trim_start_matches([' ', '\t']);
        if !is_tag || tags.len() >= TAGS_MAX || !(after.is_empty() || after.starts_with(',')) {
            return None;
        }
        tags.push(if is_weak { Tag::Weak } else { Tag::Strong(tag) });
        rest = after;
    }
}

fn version_of(tag: Tag<'_>) -> Option<Time> {
    match tag {
        Tag::Strong(tag) if tag.len() <= TAG_LEN_MAX => micros_in(tag),
        Tag::Strong(_) | Tag::Weak => None,
    }
}

/// The version that a text of digits names, in the one way in which it is written.
fn micros_in(text: &str) -> Option<Time> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain).map(Time::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> HttpResult<IfMatch> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, line.parse().unwrap());
        }
        IfMatch::from_headers(&headers)
    }

    #[test]
    fn the_header_is_a_star_or_a_list_of_tags() {
        let version = |micros| Some(Time::from_micros(micros));
        for (lines, basis) in [
            (&[][..], None),
            (&["*"], None),
            (&[" * "], None),
            (&["\"17\""], version(17)),
            (&["\"17\", \"18\""], version(18)),
            (&["\"18\",\"17\""], version(18)),
            (&[", \"17\" ,, W/\"99\" ,"], version(17)),
            (&["\"17\"", "\"18\""], version(18)),
            // A comma within a tag is part of it.
            (&["\"a,b\", \"17\""], version(17)),
            // These match no version.
            (&["W/\"17\""], Some(NEVER)),
            (&["\"\""], Some(NEVER)),
            (&["\"5f0e1c2d\""], Some(NEVER)),
            (&["\"017\""], Some(NEVER)),
            (&["\"+17\""], Some(NEVER)),
            (&["\"-17\""], Some(NEVER)),
            (&["\"99999999999999999999\""], Some(NEVER)),
        ] {
            assert_eq!(read(lines).unwrap(), IfMatch(basis), "{lines:?}");
        }
        let too_many = vec!["\"17\""; TAGS_MAX + 1].join(",");
        for bad in [
            &[""][..],
            &["17"],
            &["\"17"],
            &["17\""],
            &["\"17\" \"18\""],
            &["'17'"],
            &["w/\"17\""],
            &["W/17"],
            &["*, \"17\""],
            &["*", "\"17\""],
            &["*", "*"],
            &["\"a b\""],
            &[","],
            &[too_many.as_str()],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let spread = vec!["\"17\""; TAGS_MAX + 1];
        assert!(read(&spread).is_err(), "over several lines too");
    }

    #[test]
    fn a_row_is_tagged_with_what_a_change_may_send_back() {
        let updated_at = Time::from_micros(1_800_000_000_000_001);
        let response = tagged(Response::default(), updated_at);
        let tag = response.headers()[header::ETAG].to_str().unwrap();
        assert_eq!(tag, "\"1800000000000001\"");
        assert_eq!(read(&[tag]).unwrap(), IfMatch(Some(updated_at)));
        assert_eq!(IfMatch::of_field("1800000000000001").unwrap(), IfMatch(Some(updated_at)));
        for bad in ["", "x", "\"1800000000000001\"", "-1", "01", "*"] {
            assert!(IfMatch::of_field(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_without_a_precondition_has_the_fingerprint_of_its_body() {
        let body = serde_json::json!({ "max_active": 5 });
        let written = |basis| serde_json::to_string(&IfMatch(basis).with(&body)).unwrap();
        assert_eq!(written(None), body.to_string());
        let based = [1, 2].map(|micros| written(Some(Time::from_micros(micros))));
        assert!(based[0] != based[1] && based.iter().all(|based| *based != written(None)));
    }
}
