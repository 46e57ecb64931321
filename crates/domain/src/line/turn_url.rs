//! The address that a turn opens at another site.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What stands for the queue token in an address.
const TOKEN: &str = "{token}";
/// The field of the query that brings a pass.
pub const PASS_FIELD: &str = "frontrow_pass";
/// No site's address is longer, in bytes.
pub const TURN_URL_LEN_MAX: usize = 1_000;
/// No host with its port is longer, in bytes.
const HOST_LEN_MAX: usize = 255;
/// The way back that a site may ask for is no longer, in bytes.
const RETURN_LEN_MAX: usize = 1_000;
/// The text is no address that a turn may open.
const WRONG: &str = "must be an address over https or on this machine, without credentials, such as \
    https://shop.example.com/tickets, or with the queue token once after the host: \
    https://shop.example.com/enter?token={token}";

/// The address that a turn opens, over https or on this machine. What the visitor brings is a pass, which the site's edge
/// verifies by itself, or if the address has a place for it the queue token, whose position the site asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TurnUrl {
    text: String,
    /// How many bytes of the text are the scheme and the host.
    origin_len: usize,
}

impl FromStr for TurnUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(WRONG)?;
        let host_len = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(host_len).ok_or(WRONG)?;
        let name = host_name(host).ok_or(WRONG)?;
        let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&name);
        let is_safe = scheme == "https" || (scheme == "http" && is_local);
        let without_token = path.replacen(TOKEN, "", 1);
        if !is_safe || text.len() > TURN_URL_LEN_MAX || !is_plain_path(&without_token) {
            return Err(WRONG);
        }
        let origin_len = text.len().saturating_sub(path.len());
        Ok(Self { text: text.to_owned(), origin_len })
    }
}

/// The host of an authority without its port, if it is a name or an address of characters that mean nothing else in a
/// page or a policy.
fn host_name(authority: &str) -> Option<&str> {
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let is_address = |name: &str| name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_host = !name.is_empty() && inner.map_or_else(|| is_name(name), is_address);
    (is_host && authority.len() <= HOST_LEN_MAX && port.is_none_or(is_port)).then_some(name)
}

/// Whether a path with its query can stand in an address, a header and a page as it is.
fn is_plain_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"'<>\\^`{|}".contains(&byte))
}

impl TurnUrl {
    /// The text that it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme and host.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.text.get(..self.origin_len).unwrap_or_default()
    }

    /// The address for this token, whose characters need no escape; none if the site takes a pass.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Option<String> {
        self.text.contains(TOKEN).then(|| self.text.replacen(TOKEN, token, 1))
    }

    /// The address for this pass, whose characters need no escape; none if the site takes the queue token.
    #[must_use]
    pub fn with_pass(&self, pass: &str) -> Option<String> {
        (!self.text.contains(TOKEN)).then(|| with_field(&self.text, pass))
    }

    /// The address of a path at the same site with this pass; none if the site takes the queue token, or this is no
    /// path: so it can lead to no other site.
    #[must_use]
    pub fn back_to(&self, path: &str, pass: &str) -> Option<String> {
        let is_path = path.starts_with('/') && !path.starts_with("//") && path.len() <= RETURN_LEN_MAX;
        let is_good = is_path && is_plain_path(path) && !self.text.contains(TOKEN);
        is_good.then(|| with_field(&format!("{}{path}", self.origin()), pass))
    }
}

fn with_field(address: &str, pass: &str) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}{PASS_FIELD}={pass}")
}

impl TryFrom<String> for TurnUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TurnUrl> for String {
    fn from(url: TurnUrl) -> Self {
        url.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_the_token_and_names_its_origin() {
        for (text, address, origin) in [
            (
                "https://shop.example/enter?token={token}",
                "https://shop.example/enter?token=q.1",
                "https://shop.example",
            ),
            ("https://shop.example:8443/{token}/in", "https://shop.example:8443/q.1/in", "https://shop.example:8443"),
            ("http://127.0.0.1:8000/?t={token}&a=b", "http://127.0.0.1:8000/?t=q.1&a=b", "http://127.0.0.1:8000"),
        ] {
            let url: TurnUrl = text.parse().unwrap();
            assert_eq!((url.with_token("q.1").as_deref(), url.origin()), (Some(address), origin));
            assert_eq!((url.with_pass("p"), url.back_to("/", "p")), (None, None));
        }
    }

    #[test]
    fn an_address_without_a_place_for_the_token_takes_a_pass() {
        for (text, address) in [
            ("https://shop.example", "https://shop.example?frontrow_pass=p.q"),
            ("https://shop.example/a/b?c=d%20e", "https://shop.example/a/b?c=d%20e&frontrow_pass=p.q"),
            ("http://[::1]:8000/", "http://[::1]:8000/?frontrow_pass=p.q"),
        ] {
            let url: TurnUrl = text.parse().unwrap();
            assert_eq!((url.with_pass("p.q").as_deref(), url.with_token("t")), (Some(address), None));
            assert_eq!(String::from(url), text);
        }
    }

    #[test]
    fn a_way_back_stays_at_the_site() {
        let url: TurnUrl = "https://shop.example/enter".parse().unwrap();
        let back = |path: &str| url.back_to(path, "p");
        assert_eq!(back("/seats?row=A").as_deref(), Some("https://shop.example/seats?row=A&frontrow_pass=p"));
        assert_eq!(back("/").as_deref(), Some("https://shop.example/?frontrow_pass=p"));
        let long = format!("/{}", "a".repeat(RETURN_LEN_MAX));
        for bad in [
            "",
            "seats",
            "//evil.example/",
            "/\\evil.example/",
            "https://evil.example/",
            "@evil.example/",
            ".evil.example/",
            "/a b",
            "/a\r\nset-cookie: a=b",
            "/a#b",
            "/\u{e9}",
            &long,
        ] {
            assert_eq!(back(bad), None, "{bad}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        let long = format!("https://shop.example/{}", "a".repeat(TURN_URL_LEN_MAX));
        for bad in [
            "",
            "{token}",
            "/enter?token={token}",
            "https://shop.example/{token}/{token}",
            "https://shop.example{token}",
            "https://{token}.shop.example/",
            "https://{token}/",
            "https://a@shop.example/{token}",
            "https://a:b@shop.example/",
            "https://shop.example:b@evil.example/",
            "https://*.example/{token}",
            "https://shop.example/ {token}",
            "https://shop.example;x/{token}",
            "http://shop.example/{token}",
            "javascript:alert({token})",
            "ftp://localhost/{token}",
            "https://",
            "https:///path",
            "https://:443/",
            "https://shop.example:99999/",
            "https://shop.example:/",
            "https://[::1/",
            "https://shop.example/#a",
            "https://shop.example/\"onclick",
            "https://shop.example\\evil",
            "http://localhost.evil.example/",
            "http://127.0.0.1@evil.example/",
            &long,
        ] {
            assert!(bad.parse::<TurnUrl>().is_err(), "{bad}");
        }
    }
}
