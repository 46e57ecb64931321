//! Cross-origin pages: which of them browsers let call the API, and which headers they may read.

use crate::edge::{
    auth::QUEUE_TOKEN_HEADER, events::LAST_EVENT_ID, idempotency::IDEMPOTENCY_KEY_HEADER, observe::REQUEST_ID_HEADER,
};
use axum::http::{
    HeaderName, HeaderValue, Method, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER},
};
use std::{str::FromStr, time::Duration};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may cache a preflight answer: browsers cap it at one or two hours.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The origin of a page, as browsers write it in `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected a scheme, a host and a port if need be, such as https://shop.example.com";
        let text = text.trim();
        let uri: Uri = text.parse().map_err(|_| wrong)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong) };
        // A browser sends no path, no slash and no capitals: another spelling would never match.
        let written = format!("{scheme}://{authority}").to_lowercase();
        if !["http", "https"].contains(&scheme) || authority.as_str().contains(['@', '*']) || written != text {
            return Err(wrong);
        }
        HeaderValue::try_from(written).map(Self).map_err(|_| wrong)
    }
}

impl Origin {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Lets pages of these origins call the API; none if there is no origin.
#[must_use]
pub fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    // The layer is cloned for each request: a list of origins would be copied with it, this closure shares it.
    let listed: Vec<_> = origins.iter().map(|Origin(origin)| origin.clone()).collect();
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| listed.contains(origin)))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            LAST_EVENT_ID,
            IDEMPOTENCY_KEY_HEADER,
            QUEUE_TOKEN_HEADER,
            REQUEST_ID_HEADER,
        ])
        .expose_headers([RETRY_AFTER, ETAG, DATE, HeaderName::from_static("idempotent-replayed"), REQUEST_ID_HEADER])
        .max_age(REMEMBERED);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in ["https://shop.example.com", "http://127.0.0.1:5173", "http://[::1]:8080", "http://localhost"] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "shop.example.com",
            "https://shop.example.com/",
            "https://shop.example.com/path",
            "https://Shop.example.com",
            "https://*.example.com",
            "https://a@shop.example.com",
            "ftp://shop.example.com",
            "https://",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
