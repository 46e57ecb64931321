//! The address of the shop as the outside knows it, for links that leave the page: shared links, calendars, search
//! engines.

use crate::edge::{auth, cookies::Scheme, problem::Problem, state::SharedState};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{Uri, header, request::Parts, uri::Authority},
};
use std::sync::Arc;

/// How many bytes of a `Host` header are believed.
const HOST_LEN_MAX: usize = 255;
/// Stands in links if the request names no host that is believed.
const FALLBACK_HOST: &str = "localhost";

/// The start of every absolute link: scheme and host, without a slash at the end. It is the setting `public_url`, or else
/// what the request says, and then part of the key of every page that is shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BaseUrl(Arc<str>);

impl BaseUrl {
    /// Itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute link to a path.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The host without its port, to name things with.
    pub(crate) fn host(&self) -> String {
        let uri: Option<Uri> = self.0.parse().ok();
        uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_else(|| FALLBACK_HOST.to_owned())
    }

    /// One with this text.
    #[cfg(test)]
    pub(crate) fn test(text: &str) -> Self {
        Self(text.into())
    }

    fn of(parts: &Parts, app: &SharedState) -> Result<Self, Problem> {
        if let Some(public_url) = app.pages.public_url() {
            return Ok(Self(Arc::clone(public_url)));
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| is_believed(host)).unwrap_or(FALLBACK_HOST);
        let scheme = match auth::scheme(parts, app)? {
            Scheme::Https => "https",
            Scheme::Loopback | Scheme::Plain => "http",
        };
        Ok(Self(format!("{scheme}://{host}").into()))
    }
}

/// Whether a host may stand in pages, policies, XML and calendars: a name or an address, and a port if need be, of characters
/// that mean nothing else there.
fn is_believed(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    host.len() <= HOST_LEN_MAX && host.bytes().all(is_plain) && host.parse::<Authority>().is_ok()
}

impl<S> FromRequestParts<S> for BaseUrl
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Self::of(parts, &SharedState::from_ref(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_believed_only_if_it_means_nothing_else_in_a_page_or_in_xml() {
        let long = "a".repeat(HOST_LEN_MAX + 1);
        for good in ["shop.example.com", "SHOP.example.com:8443", "127.0.0.1:8080", "[::1]", "[::1]:8080", "box_office"]
        {
            assert!(is_believed(good), "{good}");
        }
        for bad in ["", "a&b", "a'b", "a@b", "a%20b", "a;b", "a=b", "a b", "a<b", "::1", "공연", &long] {
            assert!(!is_believed(bad), "{bad}");
        }
    }

    #[test]
    fn the_host_is_without_its_port() {
        for (url, host) in [
            ("http://localhost", "localhost"),
            ("https://shop.example.com:8443", "shop.example.com"),
            ("http://[::1]", "[::1]"),
            ("http://[::1]:8080", "[::1]"),
        ] {
            assert_eq!(BaseUrl::test(url).host(), host);
        }
    }
}
