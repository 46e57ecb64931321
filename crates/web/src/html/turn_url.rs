//! The address of another shop, for which the house room keeps the line.

use super::base_url::is_believed;
use axum::http::Uri;
use std::str::FromStr;

/// What stands for the queue token in the address.
const TOKEN: &str = "{token}";
/// No shop's address is longer, in bytes.
const LEN_MAX: usize = 1_000;

/// The address that a turn in the house room opens, with a place for the queue token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnUrl {
    origin: String,
    /// What stands before the token and after it.
    around: (String, String),
}

impl FromStr for TurnUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected an address with the token once after the host, over https or on this machine, such as \
                     https://shop.example.com/enter?token={token}";
        let (before, after) = text.split_once(TOKEN).ok_or(wrong)?;
        let start: Uri = before.parse().map_err(|_| wrong)?;
        let whole: Uri = format!("{before}0{after}").parse().map_err(|_| wrong)?;
        let (Some(scheme), Some(authority)) = (start.scheme_str(), start.authority()) else { return Err(wrong) };
        let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&authority.host());
        let is_safe = scheme == "https" || (scheme == "http" && is_local);
        let is_plain = text.len() <= LEN_MAX && text.is_ascii() && !after.contains(TOKEN);
        // The token must not become a part of the host.
        let is_after_host =
            whole.authority() == Some(authority) && before.len() > authority.as_str().len() + scheme.len() + 3;
        // It becomes a part of a policy, which is a list with semicolons and blanks between.
        if !is_safe || !is_plain || !is_after_host || !is_believed(authority.as_str()) {
            return Err(wrong);
        }
        let origin = format!("{scheme}://{authority}");
        Ok(Self { origin, around: (before.to_owned(), after.to_owned()) })
    }
}

impl TurnUrl {
    /// The address for this token, whose characters need no escape.
    pub(crate) fn with_token(&self, token: &str) -> String {
        let (before, after) = &self.around;
        format!("{before}{token}{after}")
    }

    /// The scheme and host.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
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
            assert_eq!((url.with_token("q.1").as_str(), url.origin()), (address, origin));
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in [
            "",
            "{token}",
            "/enter?token={token}",
            "https://shop.example/enter",
            "https://shop.example/{token}/{token}",
            "https://shop.example{token}",
            "https://{token}.shop.example/",
            "https://{token}/",
            "https://a@shop.example/{token}",
            "https://*.example/{token}",
            "https://shop.example/ {token}",
            "https://shop.example;x/{token}",
            "http://shop.example/{token}",
            "javascript:alert({token})",
            "ftp://localhost/{token}",
        ] {
            assert!(bad.parse::<TurnUrl>().is_err(), "{bad}");
        }
    }
}
