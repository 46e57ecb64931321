//! The `Idempotency-Key` header: it makes a request safe to retry.

use crate::edge::problem::{HttpResult, Problem};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, Method, request::Parts},
};
use frontrow_domain::{command::Idempotency, user::Caller};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Display;

/// The header's name.
pub const IDEMPOTENCY_KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// The shortest key, in bytes: shorter ones would collide by chance.
pub const KEY_LEN_MIN: usize = 16;
/// How long a key may be, in bytes.
pub const KEY_LEN_MAX: usize = 255;

/// The key of a request, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// Reads the key from the headers: bare or as a quoted string.
    ///
    /// # Errors
    /// 400 if the header repeats, or its key is too short, too long, or has characters that a key may not have.
    pub fn from_headers(headers: &HeaderMap) -> HttpResult<Self> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY_HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let key = match values.next() {
            None => value.to_str().ok().and_then(key_in),
            Some(_) => None,
        };
        match key {
            Some(key) => Ok(Self(Some(key))),
            None => Err(Problem::invalid_parameter(
                "Idempotency-Key",
                "An Idempotency-Key is one value of 16 to 255 visible ASCII characters, bare or in double quotes.",
            )),
        }
    }

    /// The key in the hidden field of a form.
    ///
    /// # Errors
    /// 422: the text is not a key.
    pub fn of_field(text: &str) -> HttpResult<Self> {
        let key = key_in(text).ok_or_else(|| Problem::invalid_field("key", "The form's key is not one."))?;
        Ok(Self(Some(key)))
    }

    /// The key bound to the caller, the route and the request; none if the request has no key.
    ///
    /// `route` is the route's template, `path_args` are the values in the path, in order, and `body` is the request as
    /// it was parsed: two texts of the same JSON are the same request.
    ///
    /// # Errors
    /// 500 if the body cannot be written as JSON.
    pub fn bind(
        &self,
        caller: Caller,
        method: &Method,
        route: &str,
        path_args: &[&dyn Display],
        body: &impl Serialize,
    ) -> HttpResult<Option<Idempotency>> {
        let Some(key) = &self.0 else { return Ok(None) };
        let mut scope = RequestHash::new();
        match caller {
            Caller::Anonymous => scope.add(b"anonymous"),
            Caller::Buyer(user) | Caller::Operator(user) | Caller::Viewer(user) => scope.add(user.0.as_bytes()),
            Caller::Service => scope.add(b"service"),
            Caller::System => scope.add(b"system"),
        }
        scope.add(method.as_str().as_bytes());
        scope.add(route.as_bytes());
        scope.add(key.as_bytes());
        let mut request = RequestHash::new();
        request.add(method.as_str().as_bytes());
        for argument in path_args {
            request.add(argument.to_string().as_bytes());
        }
        request.add(&serde_json::to_vec(body).map_err(Problem::internal)?);
        Ok(Some(Idempotency { key: scope.finish(), fingerprint: request.finish() }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> HttpResult<Self> {
        Self::from_headers(&parts.headers)
    }
}

/// The key inside a header's value; none if it is not one.
fn key_in(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\t']);
    let key = match value.strip_prefix('"') {
        None if value.contains('"') => return None,
        None => value.to_owned(),
        Some(rest) => unquoted(rest.strip_suffix('"')?)?,
    };
    let in_bounds = (KEY_LEN_MIN..=KEY_LEN_MAX).contains(&key.len());
    (in_bounds && key.bytes().all(|byte| byte.is_ascii_graphic())).then_some(key)
}

/// The inside of a structured-field string: a backslash stands before a quote or a backslash only.
fn unquoted(inner: &str) -> Option<String> {
    let mut key = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => key.push(characters.next().filter(|next| matches!(next, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    Some(key)
}

/// SHA-256 over parts with their lengths, so that no two lists of parts are the same bytes.
struct RequestHash(Sha256);

impl RequestHash {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::{IdempotencyKey, key_in};
    use axum::http::Method;
    use frontrow_domain::{command::Idempotency, id::UserId, user::Caller};
    use uuid::Uuid;

    const KEY: &str = "0123456789abcdef";

    #[test]
    fn keys_are_read_bare_and_quoted() {
        let long = "k".repeat(255);
        for (value, key) in [
            (KEY, Some(KEY)),
            ("\"0123456789abcdef\"", Some(KEY)),
            ("  0123456789abcdef\t", Some(KEY)),
            (r#""0123456789abcde\"""#, Some("0123456789abcde\"")),
            (r#""0123456789abcde\\""#, Some("0123456789abcde\\")),
            (&long, Some(&long)),
            ("", None),
            ("0123456789abcde", None),
            ("\"0123456789abcde\"", None),
            ("\"0123456789abcdef", None),
            ("0123456789abcdef\"", None),
            ("\"0123456789\"abcdef\"", None),
            (r#""0123456789abcde\n""#, None),
            ("0123456789 abcdef", None),
            (&"k".repeat(256), None),
        ] {
            assert_eq!(key_in(value).as_deref(), key, "{value}");
        }
    }

    fn bound(caller: u128, method: &Method, route: &str, path: i64, body: &str) -> Idempotency {
        let key = IdempotencyKey(Some(KEY.to_owned()));
        let caller = Caller::Buyer(UserId(Uuid::from_u128(caller)));
        key.bind(caller, method, route, &[&path], &body).unwrap().unwrap()
    }

    #[test]
    fn the_key_is_bound_to_caller_and_route_and_the_fingerprint_to_the_request() {
        let first = bound(1, &Method::POST, "/payments", 1, "a");
        assert_eq!(first, bound(1, &Method::POST, "/payments", 1, "a"));
        for other in [
            bound(2, &Method::POST, "/payments", 1, "a"),
            bound(1, &Method::PATCH, "/payments", 1, "a"),
            bound(1, &Method::POST, "/reservations", 1, "a"),
        ] {
            assert_ne!(first.key, other.key);
        }
        for other in [bound(1, &Method::POST, "/payments", 2, "a"), bound(1, &Method::POST, "/payments", 1, "b")] {
            assert_eq!(first.key, other.key);
            assert_ne!(first.fingerprint, other.fingerprint);
        }
    }

    #[test]
    fn a_request_without_a_key_is_bound_to_nothing() {
        let bound = IdempotencyKey(None).bind(Caller::Anonymous, &Method::POST, "/users", &[], &()).unwrap();
        assert_eq!(bound, None);
    }
}
