//! Checks of a request's head that hold for every route.

use crate::edge::problem::{HttpResult, Problem, codes};
use axum::http::{HeaderMap, Version, header};

/// Headers that must not repeat: which of two values is meant cannot be known.
const SINGLE: [&str; 5] = ["Authorization", "Content-Type", "Idempotency-Key", "Queue-Token", "X-Request-Id"];

/// Checks that there is one `Host`, and that no other single-valued header repeats.
///
/// # Errors
/// 400: there is no `Host`, it is not a host, or a header repeats.
pub fn check(version: Version, headers: &HeaderMap) -> HttpResult<()> {
    // No header repeats in a head that has as many names as lines.
    let repeats = headers.len() != headers.keys_len();
    let host = match headers.get(header::HOST) {
        Some(host) => is_host(host.as_bytes()) && !(repeats && is_repeated(headers, "host")),
        None => version < Version::HTTP_11,
    };
    if !host {
        return Err(Problem::new(&codes::MALFORMED_REQUEST)
            .detail("A request has one Host header: a name or an address, and a port if need be."));
    }
    match SINGLE.iter().find(|name| repeats && is_repeated(headers, name)) {
        Some(name) => Err(Problem::invalid_parameter(*name, "This header may be sent once.")),
        None => Ok(()),
    }
}

fn is_repeated(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}

/// Whether this is a name, an IPv4 address or an IPv6 address in brackets, and a port if there is a colon (RFC 9110, 7.2).
fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if value.last() != Some(&b']') => {
            let (host, port) = value.split_at(colon);
            (host, port.get(1..).unwrap_or_default())
        }
        _ => (value, &b""[..]),
    };
    let in_brackets = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let is_named = match in_brackets {
        Some(address) => address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')),
        None => host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte)),
    };
    !in_brackets.unwrap_or(host).is_empty() && is_named && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in [
            "x",
            "shop.example.com",
            "shop.example.com:8080",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::1]:443",
            "a_b",
            "x:",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in
            ["", ":80", "a b", "c@d", "x:8o", "x:123456", "::1", "[::1", "[]", "[x]", "http://x", "x/y", "x,y z", "é"]
        {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
