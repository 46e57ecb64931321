//! Extractors: a mistake in a request becomes a problem that names its place.

use crate::edge::{
    observe::{self, BodyRoom},
    problem::{HttpResult, Problem, codes},
    query::{shortened, without_idle_fields},
};
use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use frontrow_domain::{
    id::{
        AuditId, ConcertId, DebtId, EventId, HistoryId, ID_MAX, PaymentId, ReservationId, RoomId, SeatId, SessionId,
        UserId,
    },
    time::Time,
};
use frontrow_service::pictures::{PICTURE_LEN_MAX, PictureFormat};
use frontrow_storage::ConcertPlace;
use http_body_util::BodyExt;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::error::Category;
use std::{borrow::Cow, error::Error, fmt::Display};
use uuid::Uuid;

/// The largest body of a buyer's call, in bytes: twenty seats, or a name, an address and a password, take less.
pub const BODY_LEN_MAX: usize = 8 * 1_024;
/// The largest body of an operator's call, in bytes.
pub const OPERATOR_BODY_LEN_MAX: usize = 64 * 1_024;
/// The largest body with a list of seats, in bytes.
pub const LARGE_BODY_LEN_MAX: usize = 16 * 1_024 * 1_024;
/// How many items a list has if the client does not say.
pub const LIMIT_DEFAULT: u32 = 50;
/// How many items a list has at most.
pub const LIMIT_MAX: u32 = 100;

/// A JSON body of at most `MAX` bytes.
#[derive(Debug, Clone, Copy)]
pub struct JsonBody<T, const MAX: usize = BODY_LEN_MAX>(pub T);

/// A JSON body of an operator's call.
pub type OperatorJsonBody<T> = JsonBody<T, OPERATOR_BODY_LEN_MAX>;

/// A JSON body of an operator's call that carries long lists.
pub type LargeJsonBody<T> = JsonBody<T, LARGE_BODY_LEN_MAX>;

/// An optional JSON body: none if it is empty or `null`.
#[derive(Debug, Clone, Copy)]
pub struct OptionalJsonBody<T>(pub Option<T>);

impl<S: Send + Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for JsonBody<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> HttpResult<Self> {
        let (parts, body) = request.into_parts();
        must_be_json(&parts.headers)?;
        let body = read(&parts.headers, body, MAX).await?;
        parse(&body.bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> HttpResult<Self> {
        let (parts, body) = request.into_parts();
        let body = read(&parts.headers, body, BODY_LEN_MAX).await?;
        if body.bytes.is_empty() {
            return Ok(Self(None));
        }
        must_be_json(&parts.headers)?;
        if body.bytes.trim_ascii() == b"null" {
            return Ok(Self(None));
        }
        parse(&body.bytes).map(|body| Self(Some(body)))
    }
}

/// A form, not read yet.
///
/// # Errors
/// 415 for another media type, 413 for a longer body, 408 if it does not arrive in time.
pub(super) async fn read_form(headers: &HeaderMap, body: Body, max: usize) -> HttpResult<Buffered> {
    must_be(b"application/x-www-form-urlencoded", headers)
        .map_err(|problem| problem.detail("The body must be a form."))?;
    read(headers, body, max).await
}

/// A body of any media type, not compressed.
///
/// # Errors
/// As [`read_form`].
pub(super) async fn read_any(headers: &HeaderMap, body: Body, max: usize) -> HttpResult<Buffered> {
    if is_packed(headers) {
        return Err(Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE));
    }
    read(headers, body, max).await
}

/// A picture of at most [`PICTURE_LEN_MAX`] bytes. Until it is dropped, its bytes count among those that the server may
/// buffer.
pub struct PictureBody {
    /// The format that `Content-Type` says.
    pub format: PictureFormat,
    body: Buffered,
}

impl PictureBody {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.body.bytes.clone()
    }
}

impl<S: Send + Sync> FromRequest<S> for PictureBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> HttpResult<Self> {
        let (parts, body) = request.into_parts();
        let media_type = parts.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().trim_ascii());
        let format = media_type.and_then(PictureFormat::of_media_type).filter(|_| !is_packed(&parts.headers));
        let problem = || {
            Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE)
                .detail("The body must be image/png, image/jpeg or image/webp, not compressed.")
        };
        let format = format.ok_or_else(problem)?;
        Ok(Self { format, body: read(&parts.headers, body, PICTURE_LEN_MAX).await? })
    }
}

/// # Errors
/// 415.
pub(super) fn must_be_json(headers: &HeaderMap) -> HttpResult<()> {
    must_be(b"application/json", headers)
}

/// Both media types are UTF-8 here, and compressed bodies are not supported.
fn must_be(media_type: &[u8], headers: &HeaderMap) -> HttpResult<()> {
    let is_of_type = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let mut parts = value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(media_type))
            && parts.all(is_not_another_charset)
    });
    if is_of_type && !is_packed(headers) { Ok(()) } else { Err(Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE)) }
}

fn is_packed(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.into_iter().any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn is_not_another_charset(parameter: &[u8]) -> bool {
    let Some(equals) = parameter.iter().position(|byte| *byte == b'=') else { return true };
    let (name, value) = parameter.split_at(equals);
    let value = value.get(1..).unwrap_or_default();
    !name.eq_ignore_ascii_case(b"charset")
        || [&b"utf-8"[..], b"utf8", b"\"utf-8\"", b"us-ascii"].iter().any(|utf8| value.eq_ignore_ascii_case(utf8))
}

async fn read(headers: &HeaderMap, body: Body, max: usize) -> HttpResult<Buffered> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|len| len > max) {
        return Err(too_large(max));
    }
    match tokio::time::timeout(observe::body_timeout(), buffer(body, max)).await {
        Ok(buffered) => buffered,
        Err(_) => Err(Problem::new(&codes::REQUEST_TIMEOUT).detail("The body did not arrive in time.")),
    }
}

fn too_large(max: usize) -> Problem {
    Problem::new(&codes::PAYLOAD_TOO_LARGE).detail(format!("The body may be at most {max} bytes here."))
}

/// A whole body, with its share of the bytes that the server may buffer, freed together.
pub(super) struct Buffered {
    pub(super) bytes: Bytes,
    pub(super) room: BodyRoom,
}

/// Reads a body to its end. Its bytes are reserved as they arrive, so that a client pays for what it has sent and not
/// for what it has announced.
async fn buffer(mut body: Body, max: usize) -> HttpResult<Buffered> {
    let mut room = observe::body_room();
    let mut kept: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(&codes::MALFORMED_JSON).detail("The body ended too soon."))?;
        let Ok(part) = frame.into_data() else { continue };
        let len = kept.len() + part.len();
        if len > max {
            return Err(too_large(max));
        }
        if kept.is_empty() && body.is_end_stream() {
            room.take(part.len())?;
            return Ok(Buffered { bytes: part, room });
        }
        if len > kept.capacity() {
            let capacity = len.max(2 * kept.capacity()).min(max);
            room.take(capacity - kept.capacity())?;
            kept.reserve_exact(capacity - kept.len());
        }
        kept.extend_from_slice(&part);
    }
    Ok(Buffered { bytes: kept.into(), room })
}

/// Reads JSON the fast way; if that fails, once more to find the field at fault.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> HttpResult<T> {
    // Serde would read an array as the fields of a struct, in their order.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    if is_object && let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    if bytes.is_empty() {
        return Err(Problem::new(&codes::MALFORMED_JSON).detail("The body is empty; it must be JSON."));
    }
    if !is_object {
        return Err(match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => Problem::new(&codes::INVALID_FIELD).detail("The body must be a JSON object."),
            Err(error) => malformed(&error),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        // The value is valid, but followed by more text.
        return Err(Problem::new(&codes::MALFORMED_JSON).detail("Something follows the JSON value."));
    };
    // The parser reports some valid JSON of the wrong shape, such as an enum value with two variants, as a syntax
    // error.
    if error.inner().is_data() || serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        let mut path = error.path().to_string();
        if path == "." {
            path.clear();
        }
        Err(at_field(Problem::new(&codes::INVALID_FIELD), &path, &error.inner().to_string()))
    } else {
        Err(malformed(error.inner()))
    }
}

/// Says where the text stops being JSON, in our own words: the parser's wording changes with its versions.
fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(&codes::MALFORMED_JSON).detail(match error.classify() {
        Category::Eof => "The body ends before the JSON value does.".to_owned(),
        _ => format!("The body is not JSON at line {}, column {}.", error.line(), error.column()),
    })
}

/// Names the field at `path`, and says what is wrong with it; a missing or unknown one is named in the message, not in
/// the path.
fn at_field(problem: Problem, path: &str, message: &str) -> Problem {
    let quoted = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    let field = match quoted {
        Some(name) if path.is_empty() => name.to_owned(),
        Some(name) if path.rsplit('.').next() != Some(name) => format!("{path}.{name}"),
        _ => path.to_owned(),
    };
    let problem = problem.detail(shortened(&in_our_words(message)));
    if field.is_empty() { problem } else { problem.field(shortened(&field)) }
}

/// Translates serde's and the standard library's messages into the API's words. Messages of our own types stay.
fn in_our_words(message: &str) -> Cow<'_, str> {
    // serde_json appends the position to each message.
    let message = match message.rsplit_once(" at line ") {
        Some((said, place)) if place.bytes().all(|byte| byte.is_ascii_digit() || b" column".contains(&byte)) => said,
        _ => message,
    };
    let starts = |start: &str| message.starts_with(start);
    if starts("missing field ") {
        "The field is missing.".into()
    } else if starts("unknown field ") {
        "There is no such field here.".into()
    } else if starts("duplicate field ") {
        "The field is there twice.".into()
    } else if starts("unknown variant ") {
        // The names of the API's values stand in backticks, after the value that was sent.
        let names = message.rsplit_once("expected").map_or("", |(_, names)| names);
        let names: Vec<_> = names.split('`').skip(1).step_by(2).collect();
        match names.as_slice() {
            [] => "The value is not one of those that the field takes.".into(),
            names => format!("The value must be one of: {}.", names.join(", ")).into(),
        }
    } else if starts("invalid type: ") || starts("expected ") {
        "The value has another type than the field.".into()
    } else if starts("invalid value: ") || starts("invalid length ") || starts("number out of range") {
        "The value is out of the field's bounds.".into()
    } else if is_of_a_number(message) {
        "The value is not a whole number within the field's bounds.".into()
    } else {
        message.into()
    }
}

/// Whether this is the standard library's message about a text that is no number.
fn is_of_a_number(message: &str) -> bool {
    message == "invalid digit found in string"
        || message == "cannot parse integer from empty string"
        || message.starts_with("number too ")
}

/// A key in paths and cursors.
pub trait PathKey: Sized {
    /// Reads the key.
    ///
    /// # Errors
    /// A sentence that says what such a key looks like.
    fn from_text(text: &str) -> Result<Self, &'static str>;
}

macro_rules! numeric_key {
    ($($name:ident)+) => {$(
        impl PathKey for $name {
            fn from_text(text: &str) -> Result<Self, &'static str> {
                // With a sign or a leading zero, one entity would have several addresses.
                let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
                let number = text.parse::<i64>().ok().filter(|_| plain).unwrap_or(0);
                Self::try_from(number)
            }
        }
    )+};
}

numeric_key!(ConcertId SeatId ReservationId PaymentId HistoryId AuditId DebtId EventId);

impl PathKey for RoomId {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        match text.parse::<i64>() {
            Ok(number) if plain && number <= ID_MAX => Ok(Self::new(number)),
            _ => Err("a room is a whole number from 0 to 9007199254740991"),
        }
    }
}

/// The moment of the start in microseconds, and the number.
impl PathKey for ConcertPlace {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        let (starts_at, concert_id) = text.split_once('.').ok_or("a place has two parts")?;
        let micros = starts_at.parse().map_err(|_| "a place begins with a moment")?;
        Ok(Self { starts_at: Time::from_micros(micros), concert_id: ConcertId::from_text(concert_id)? })
    }
}

impl PathKey for SessionId {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse::<Uuid>().map(Self).map_err(|_| "a session is a UUID")
    }
}

impl PathKey for UserId {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse::<Uuid>().map(Self).map_err(|_| "a user is a UUID")
    }
}

/// The id in the path of a call that has one, such as `/concerts/{id}`.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

/// The text in the path of a call that has one, such as `/queue/tokens/{token}`.
#[derive(Debug, Clone)]
pub struct PathText(pub String);

/// Reads the one parameter in the path: its name and its value.
async fn path_parameter<S: Send + Sync, T>(
    parts: &mut Parts,
    state: &S,
    read: impl FnOnce(&str, &str) -> HttpResult<T>,
) -> HttpResult<T> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::invalid_parameter("path", "the path is not UTF-8"))?;
    let (name, value) =
        params.iter().next().ok_or_else(|| Problem::internal("a route without a parameter asks for one"))?;
    read(name, value)
}

impl<S: Send + Sync, T: PathKey> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> HttpResult<Self> {
        let id = |name: &str, value: &str| {
            T::from_text(value).map_err(|reason| Problem::invalid_parameter(name.to_owned(), reason))
        };
        path_parameter(parts, state, id).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> HttpResult<Self> {
        path_parameter(parts, state, |_, value| Ok(Self(value.to_owned()))).await
    }
}

/// The query of a call, but for its idle fields. The parameters' type should deny unknown fields, as
/// [`QueryFields`](crate::edge::query::QueryFields) does for every call.
#[derive(Debug, Clone, Copy)]
pub struct QueryParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> HttpResult<Self> {
        let said = without_idle_fields(&parts.uri)?;
        let rejection = match Query::<T>::try_from_uri(&said) {
            Ok(Query(params)) => return Ok(Self(params)),
            Err(rejection) => rejection,
        };
        let problem = Problem::new(&codes::INVALID_FIELD).status(StatusCode::BAD_REQUEST);
        let mut source = rejection.source();
        while let Some(error) = source {
            if let Some(located) = error.downcast_ref::<serde_path_to_error::Error<serde::de::value::Error>>() {
                let path = located.path().to_string();
                let path = if path == "." { "" } else { &path };
                return Err(at_field(problem, path, &located.inner().to_string()));
            }
            source = error.source();
        }
        Err(problem.detail("The query could not be read."))
    }
}

/// How many items a list has: 1 to [`LIMIT_MAX`], [`LIMIT_DEFAULT`] if the client does not say.
///
/// Give the field `#[serde(default)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT_DEFAULT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reason = "a limit is a whole number from 1 to 100";
        let number = u32::deserialize(deserializer).map_err(|_| serde::de::Error::custom(reason))?;
        if (1..=LIMIT_MAX).contains(&number) { Ok(Self(number)) } else { Err(serde::de::Error::custom(reason)) }
    }
}

/// The start of the next part of a list: the last key of this part, opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<K>(pub K);

impl<K: Display> Display for Cursor<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_string()))
    }
}

impl<K: Display> Serialize for Cursor<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: PathKey> Deserialize<'de> for Cursor<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let key = URL_SAFE_NO_PAD
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|key| K::from_text(&key).ok());
        key.map(Self).ok_or_else(|| serde::de::Error::custom("a cursor is a `next_cursor` of the same list"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Limit, PathKey};
    use frontrow_domain::id::{RoomId, SeatId, UserId};
    use uuid::Uuid;

    #[test]
    fn a_cursor_comes_back_as_the_key_it_was_made_from() {
        let cursor = Cursor(SeatId::new(42));
        let json = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor<SeatId>>(&json).unwrap(), cursor);
        let cursor = Cursor(UserId(Uuid::from_u128(7)));
        let json = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor<UserId>>(&json).unwrap(), cursor);
        for bad in ["\"\"", "\"42\"", "\"LTE\"", "\"%%\"", "7"] {
            assert!(serde_json::from_str::<Cursor<SeatId>>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_have_one_spelling() {
        assert_eq!(SeatId::from_text("42"), Ok(SeatId::new(42)));
        assert_eq!(SeatId::from_text("9007199254740991"), Ok(SeatId::new(9_007_199_254_740_991)));
        for bad in ["", "0", "-1", "+1", "042", "4 2", "1.0", "1e3", "9007199254740992", "99999999999999999999", "٣"] {
            assert!(SeatId::from_text(bad).is_err(), "{bad}");
        }
        assert_eq!(RoomId::from_text("0"), Ok(RoomId::HOUSE));
        for bad in ["", "00", "-0", "9007199254740992"] {
            assert!(RoomId::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_from_one_to_a_hundred() {
        assert_eq!(Limit::default().get(), 50);
        assert_eq!(serde_json::from_str::<Limit>("100").unwrap().get(), 100);
        for bad in ["0", "101", "-1", "1.5", "\"x\""] {
            assert!(serde_json::from_str::<Limit>(bad).is_err(), "{bad}");
        }
    }
}
