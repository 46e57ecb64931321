//! The session in a browser's cookie: when a browser may have one, how it is read, set and removed, and the check that a
//! change asked for with it comes from a page of this server.

use crate::edge::problem::{HttpResult, Problem, codes};
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{COOKIE, HOST, ORIGIN},
    request::Parts,
};
use frontrow_domain::time::Span;

/// The header by which a trusted proxy says how the browser reached it.
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long all `Cookie` headers of a request may be together: a longer request has no session cookie.
const COOKIES_LEN_MAX: usize = 8_192;

/// How a browser reaches the server, which decides the cookie that its session may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Over TLS, which ends at a trusted proxy.
    Https,
    /// Without TLS, on the machine that the browser runs on: nothing crosses a network.
    Loopback,
    /// Without TLS, over a network: no cookie, since anything on the way could read it.
    Plain,
}

impl Scheme {
    /// The scheme of a request, whose `X-Forwarded-Proto` counts only if a trusted proxy sent it.
    ///
    /// `Host` says whether it is the browser's own machine, and not the peer: behind the port of a container or a tunnel the
    /// peer is another address, and the browser still connects to its own machine.
    #[must_use]
    pub(super) fn of(headers: &HeaderMap, from_trusted_proxy: FromTrustedProxy) -> Self {
        let proto = only(headers, &FORWARDED_PROTO);
        let is_https = proto.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
        if is_https && from_trusted_proxy == FromTrustedProxy::Yes {
            return Self::Https;
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if host.is_some_and(is_loopback) { Self::Loopback } else { Self::Plain }
    }

    /// The name of the session's cookie; none if a browser may not have one.
    const fn cookie(self) -> Option<&'static str> {
        match self {
            // Browsers take this name only from the host itself, over TLS, and for all paths.
            Self::Https => Some("__Host-session"),
            Self::Loopback => Some("frontrow-session"),
            Self::Plain => None,
        }
    }

    const fn origin_scheme(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Loopback | Self::Plain => "http",
        }
    }

    fn set_cookie(self, secret: &str, max_age_seconds: i64) -> Option<HeaderValue> {
        let name = self.cookie()?;
        let secure = if self == Self::Https { " Secure;" } else { "" };
        let cookie = format!("{name}={secret}; Max-Age={max_age_seconds}; Path=/;{secure} HttpOnly; SameSite=Lax");
        let mut cookie = HeaderValue::try_from(cookie).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }
}

/// Whether the peer of a request is a trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FromTrustedProxy {
    /// It is.
    Yes,
    /// It is the client, or a proxy that is not trusted.
    No,
}

/// The `Set-Cookie` value that gives a browser a session of this length; none if it may not have one.
#[must_use]
pub fn session_cookie(scheme: Scheme, secret: &str, length: Span) -> Option<HeaderValue> {
    scheme.set_cookie(secret, length.micros().div_euclid(1_000_000).max(1))
}

/// The `Set-Cookie` value that removes a browser's session; none if it cannot have one.
#[must_use]
pub fn clear_session_cookie(scheme: Scheme) -> Option<HeaderValue> {
    scheme.set_cookie("", 0)
}

/// The secret in the session's cookie. Two cookies of that name are none: which is meant cannot be known.
pub(crate) fn session_secret(headers: &HeaderMap, scheme: Scheme) -> Option<&str> {
    cookie(headers, scheme.cookie()?)
}

/// The value of the cookie with this name, if there is exactly one and the headers are not too long.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE);
    if lines.iter().map(HeaderValue::len).sum::<usize>() > COOKIES_LEN_MAX {
        return None;
    }
    let pairs = lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(found, _)| *found == name);
    let (_, value) = values.next()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

/// Refuses a request that may change something unless it comes from a page of this server, as the browser says.
///
/// `Sec-Fetch-Site` decides; browsers that do not send it send `Origin`, which must be this server's. A form that the
/// user sends again after a reload is `none`, whatever page it was first sent from: only its `Origin` tells.
///
/// # Errors
/// 403 `cross_site`.
pub fn check_same_origin(parts: &Parts, scheme: Scheme) -> HttpResult<()> {
    if parts.method.is_safe() || is_same_origin(&parts.headers, scheme) {
        Ok(())
    } else {
        Err(Problem::new(&codes::CROSS_SITE))
    }
}

fn is_same_origin(headers: &HeaderMap, scheme: Scheme) -> bool {
    if headers.contains_key(SEC_FETCH_SITE) {
        return only(headers, &SEC_FETCH_SITE).is_some_and(|site| {
            site == "same-origin"
                || (site == "none" && (!headers.contains_key(ORIGIN) || is_own_origin(headers, scheme)))
        });
    }
    is_own_origin(headers, scheme)
}

fn is_own_origin(headers: &HeaderMap, scheme: Scheme) -> bool {
    let origin = only(headers, &ORIGIN).and_then(|origin| origin.to_str().ok()?.parse::<Uri>().ok());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let (Some(origin), Some(host)) = (origin, host) else { return false };
    let authority = origin.authority().is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host));
    authority && origin.scheme_str() == Some(scheme.origin_scheme())
}

/// The header's value, if it is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a `Host` names the machine that the browser runs on.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_localhost = name.eq_ignore_ascii_case("localhost") || {
        let suffix = name.len().checked_sub(".localhost".len()).and_then(|at| name.get(at..));
        suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(".localhost"))
    };
    is_localhost || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_scheme_is_that_of_a_trusted_proxy_or_the_browsers_own_machine() {
        use FromTrustedProxy::{No, Yes};
        let proto = "x-forwarded-proto";
        let host = ("host", "shop.example.com");
        for (lines, from, expected) in [
            (&[host, (proto, "https")][..], Yes, Scheme::Https),
            (&[host, (proto, "HTTPS")], Yes, Scheme::Https),
            (&[("host", "localhost"), (proto, "https")], Yes, Scheme::Https),
            (&[host, (proto, "https")], No, Scheme::Plain),
            (&[host, (proto, "http")], Yes, Scheme::Plain),
            (&[host, (proto, "https, http")], Yes, Scheme::Plain),
            (&[host, (proto, "https"), (proto, "http")], Yes, Scheme::Plain),
            (&[host], Yes, Scheme::Plain),
            (&[], No, Scheme::Plain),
            (&[("host", "localhost:8080")], No, Scheme::Loopback),
            (&[("host", "demo.LOCALHOST")], No, Scheme::Loopback),
            (&[("host", "127.0.0.1:8080")], No, Scheme::Loopback),
            (&[("host", "127.9.9.9")], No, Scheme::Loopback),
            (&[("host", "[::1]:8080")], No, Scheme::Loopback),
            (&[("host", "[::ffff:127.0.0.1]")], No, Scheme::Loopback),
            (&[("host", "localhost.example.com")], No, Scheme::Plain),
            (&[("host", "notlocalhost")], No, Scheme::Plain),
            (&[("host", "128.0.0.1")], No, Scheme::Plain),
            (&[("host", "0.0.0.0:8080")], No, Scheme::Plain),
        ] {
            assert_eq!(Scheme::of(&headers(lines), from), expected, "{lines:?} {from:?}");
        }
    }

    #[test]
    fn a_session_cookie_is_secure_but_on_loopback_and_never_without_tls_over_a_network() {
        let set = |scheme| {
            let cookie = session_cookie(scheme, "s3cret", Span::from_secs(90))?;
            assert!(cookie.is_sensitive());
            Some(cookie.to_str().unwrap().to_owned())
        };
        let tls = "__Host-session=s3cret; Max-Age=90; Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(set(Scheme::Https).as_deref(), Some(tls));
        let loopback = "frontrow-session=s3cret; Max-Age=90; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(set(Scheme::Loopback).as_deref(), Some(loopback));
        assert_eq!(set(Scheme::Plain), None);
        let cleared = clear_session_cookie(Scheme::Https).unwrap();
        assert_eq!(cleared, "__Host-session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(clear_session_cookie(Scheme::Plain), None);
    }

    #[test]
    fn a_cookie_is_read_once_by_its_name_alone() {
        let long = format!("frontrow-session=abc; x={}", "y".repeat(COOKIES_LEN_MAX));
        for (lines, scheme, expected) in [
            (&["frontrow-session=abc"][..], Scheme::Loopback, Some("abc")),
            (&["a=1; frontrow-session=abc;b=2"], Scheme::Loopback, Some("abc")),
            (&["a=1", "frontrow-session=a=b="], Scheme::Loopback, Some("a=b=")),
            (&["__Host-session=abc"], Scheme::Https, Some("abc")),
            (&["frontrow-session=abc"], Scheme::Https, None),
            (&["__Host-session=abc"], Scheme::Loopback, None),
            (&["__Host-session=abc; frontrow-session=abc"], Scheme::Plain, None),
            (&["frontrow-session=abc; frontrow-session=abc"], Scheme::Loopback, None),
            (&["frontrow-session=abc", "frontrow-session=def"], Scheme::Loopback, None),
            (&["frontrow-session="], Scheme::Loopback, None),
            (&["frontrow-session"], Scheme::Loopback, None),
            (&["xfrontrow-session=abc; Frontrow-Session=abc"], Scheme::Loopback, None),
            (&[&long], Scheme::Loopback, None),
            (&[], Scheme::Loopback, None),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            assert_eq!(session_secret(&headers(&lines), scheme), expected, "{lines:?} {scheme:?}");
        }
    }

    #[test]
    fn a_change_comes_from_a_page_of_this_server_as_the_browser_says() {
        let (host, site, origin) = (("host", "shop.example.com:8443"), "sec-fetch-site", "origin");
        let own = (origin, "https://shop.example.com:8443");
        for (lines, expected) in [
            (&[host, (site, "same-origin")][..], true),
            (&[host, (site, "none")], true),
            (&[host, (site, "none"), own], true),
            (&[host, (site, "none"), (origin, "https://evil.example.com")], false),
            (&[host, (site, "none"), (origin, "null")], false),
            (&[host, (site, "same-site"), own], false),
            (&[host, (site, "cross-site"), own], false),
            (&[host, (site, ""), own], false),
            (&[host, (site, "same-origin"), (site, "cross-site")], false),
            (&[host, own], true),
            (&[host, (origin, "https://Shop.Example.com:8443")], true),
            (&[host, (origin, "http://shop.example.com:8443")], false),
            (&[host, (origin, "https://shop.example.com")], false),
            (&[host, (origin, "https://evil.example.com:8443")], false),
            (&[host, (origin, "https://x@shop.example.com:8443")], false),
            (&[host, (origin, "null")], false),
            (&[host, own, own], false),
            (&[own], false),
            (&[host], false),
        ] {
            assert_eq!(is_same_origin(&headers(lines), Scheme::Https), expected, "{lines:?}");
            let mut request = Request::post("/").body(()).unwrap().into_parts().0;
            request.headers = headers(lines);
            assert_eq!(check_same_origin(&request, Scheme::Https).is_ok(), expected, "{lines:?}");
            request.method = axum::http::Method::GET;
            assert!(check_same_origin(&request, Scheme::Https).is_ok(), "a read changes nothing");
        }
    }
}
