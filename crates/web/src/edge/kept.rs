//! Cacheable answers: their tags, and their compressed form.
//!
//! `observe` marks all other answers `no-store`. A cached answer is compressed once for all clients; a small one is not
//! compressed at all.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_service::gzip;
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

/// Smaller bodies fit into a few packets, and are sent as they are: bytes.
pub const PACKED_LEN_MIN: usize = 4 * 1_024;

/// How long an answer may be used without revalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// Not at all: every use is revalidated.
    Never,
    /// A second, in shared caches too: it is the same for all clients.
    ForASecond,
    /// A minute, in shared caches too.
    ForAMinute,
    /// For good: its address changes with its content.
    ForGood,
}

impl Fresh {
    const fn header(self) -> HeaderValue {
        match self {
            Self::Never => HeaderValue::from_static("no-cache"),
            Self::ForASecond => HeaderValue::from_static("public, max-age=1"),
            Self::ForAMinute => HeaderValue::from_static("public, max-age=60"),
            Self::ForGood => HeaderValue::from_static("public, max-age=31536000, immutable"),
        }
    }
}

/// A body as it is sent.
#[derive(Debug)]
pub enum Form {
    /// Not compressed.
    Plain(Bytes),
    /// Compressed by gzip.
    Packed(Bytes),
}

/// A strong tag for a body: equal for equal bytes, at every instance.
#[must_use]
pub fn tag_of(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.get(..12).unwrap_or_default()))
}

/// Whether the client has the body of this tag (`If-None-Match`), in either form.
#[must_use]
pub fn has(request: &HeaderMap, etag: &str) -> bool {
    let lines = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// Whether the client accepts gzip.
#[must_use]
pub fn takes_packed(request: &HeaderMap) -> bool {
    let lines = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && weight(parameters) > 0.0
    })
}

/// The `q` among the parameters of an element of `Accept` or `Accept-Encoding`; 1 if absent.
#[must_use]
pub fn weight(parameters: &str) -> f32 {
    let q = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value.trim())
    });
    q.map_or(1.0, |value| value.parse().unwrap_or(0.0))
}

/// A body for this request alone, compressed if that is worth it.
#[must_use]
pub fn form_of(request: &HeaderMap, body: Vec<u8>) -> Form {
    if takes_packed(request) { packed_if_large(body) } else { Form::Plain(body.into()) }
}

/// The same for a client that is known to accept gzip.
#[must_use]
pub fn packed_if_large(body: Vec<u8>) -> Form {
    if body.len() >= PACKED_LEN_MIN { Form::Packed(gzip::quickly(&body)) } else { Form::Plain(body.into()) }
}

/// A cacheable answer with this tag.
#[must_use]
pub fn answer(media_type: &'static str, fresh: Fresh, etag: &str, form: Form) -> Response {
    let (body, is_packed) = match form {
        Form::Plain(body) => (body, false),
        Form::Packed(body) => (body, true),
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // The two forms have different bytes, so they may not share a strong tag.
    let etag = if is_packed { HeaderValue::try_from(format!("W/{etag}")) } else { HeaderValue::from_str(etag) };
    mark(headers, fresh, etag.ok());
    response
}

/// 304: the client has the body of this tag.
#[must_use]
pub fn unchanged(fresh: Fresh, etag: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    mark(response.headers_mut(), fresh, HeaderValue::from_str(etag).ok());
    response
}

fn mark(headers: &mut HeaderMap, fresh: Fresh, etag: Option<HeaderValue>) {
    headers.insert(header::CACHE_CONTROL, fresh.header());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(etag) = etag {
        headers.insert(header::ETAG, etag);
    }
}

/// A document that never changes while the program runs. Its tag and its compressed form are made once, on first use.
#[derive(Debug, Clone)]
pub struct Document(Arc<StoredParts>);

#[derive(Debug)]
struct StoredParts {
    media_type: &'static str,
    body: Bytes,
    etag: OnceLock<String>,
    packed: OnceLock<Bytes>,
}

impl Document {
    /// A document of this media type.
    #[must_use]
    pub fn new(media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let (etag, packed) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(StoredParts { media_type, body: body.into(), etag, packed }))
    }

    /// Its bytes.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// The answer to a request for it.
    #[must_use]
    pub fn answer(&self, request: &HeaderMap, fresh: Fresh) -> Response {
        let StoredParts { media_type, body, etag, packed } = &*self.0;
        let etag = etag.get_or_init(|| tag_of(body));
        if has(request, etag) {
            return unchanged(fresh, etag);
        }
        let form = if body.len() >= PACKED_LEN_MIN && takes_packed(request) {
            Form::Packed(packed.get_or_init(|| gzip::well(body)).clone())
        } else {
            Form::Plain(body.clone())
        };
        answer(media_type, fresh, etag, form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_client_that_names_gzip_takes_it_unless_it_says_not_to() {
        for (value, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate,gzip ; q=1.0", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("gzip;q=x", false),
            ("identity", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(takes_packed(&with(header::ACCEPT_ENCODING, value)), takes, "{value}");
        }
        assert!(!takes_packed(&HeaderMap::new()));
    }

    #[test]
    fn a_tag_is_known_in_a_list_and_when_a_proxy_made_it_weak() {
        let etag = tag_of(b"a");
        assert_eq!(etag, "\"ypeBEsobvcr6wjGz\"");
        for (value, known) in [
            ("\"ypeBEsobvcr6wjGz\"", true),
            ("W/\"ypeBEsobvcr6wjGz\"", true),
            ("\"x\", W/\"ypeBEsobvcr6wjGz\"", true),
            ("*", true),
            ("\"x\"", false),
            ("ypeBEsobvcr6wjGz", false),
        ] {
            assert_eq!(has(&with(header::IF_NONE_MATCH, value), &etag), known, "{value}");
        }
    }
}
