//! Requests to other programs: over TLS, or to this machine. Each has a time and a size, and no redirect is followed.

use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{error::Error, fmt, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

/// How many connections to one program are kept open between requests.
const IDLE_MAX: usize = 16;
/// For how long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The address of a program that is asked: `https`, or `http` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundUrl(Uri);

/// The text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be https://HOST/PATH, or http://127.0.0.1:PORT/PATH of this machine, without a password")]
pub struct NoOutboundUrl;

impl FromStr for OutboundUrl {
    type Err = NoOutboundUrl;

    fn from_str(text: &str) -> Result<Self, NoOutboundUrl> {
        let uri: Uri = text.trim().parse().map_err(|_| NoOutboundUrl)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(NoOutboundUrl)?;
        let is_good = match uri.scheme_str() {
            Some("https") => !authority.host().is_empty(),
            Some("http") => is_here(authority.host()),
            _ => false,
        };
        if is_good { Ok(Self(uri)) } else { Err(NoOutboundUrl) }
    }
}

impl fmt::Display for OutboundUrl {
    /// Without its query, which may have a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}{}", self.0.scheme_str().unwrap_or_default(), self.0.path())
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// It took too long.
    #[error("there was no whole answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The answer is larger than it may be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It could not be sent, or its answer not be read. The text is for the log.
    #[error("{0}")]
    Failed(String),
}

impl OutboundError {
    fn failed(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        Self::Failed(text)
    }
}

/// A client of other programs.
#[derive(Debug, Clone)]
pub struct Outbound(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Outbound {
    /// A client that trusts the authorities of the system.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn new() -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // Unreadable certificates are skipped.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector);
        Ok(Self(client))
    }

    /// Posts JSON, and reads an answer of at most `most` bytes within a time.
    ///
    /// # Errors
    /// There is no such answer.
    pub async fn post(
        &self,
        url: &OutboundUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        within: Duration,
        most: usize,
    ) -> Result<(StatusCode, Bytes), OutboundError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.0.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json.clone());
        request.headers_mut().insert(header::ACCEPT, json);
        request.headers_mut().extend(headers);
        let asked = async {
            let answer = self.0.request(request).await.map_err(|error| OutboundError::failed(&error))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, most).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return OutboundError::TooLarge(most);
                }
                OutboundError::failed(&*error)
            })?;
            Ok((parts.status, body.to_bytes()))
        };
        tokio::time::timeout(within, asked).await.unwrap_or(Err(OutboundError::TimedOut(within)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_asked_over_tls_or_on_this_machine() {
        for (text, shown) in [
            ("https://check.example.com/joins?key=secret", "https://check.example.com/joins"),
            (" https://10.0.0.7:8443 ", "https://10.0.0.7:8443/"),
            ("http://127.0.0.1:9000/joins", "http://127.0.0.1:9000/joins"),
            ("http://[::1]:9000/", "http://[::1]:9000/"),
            ("http://localhost/joins", "http://localhost/joins"),
        ] {
            assert_eq!(text.parse::<OutboundUrl>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "check.example.com",
            "http://check.example.com/",
            "http://10.0.0.7/",
            "http://127.0.0.1.example.com/",
            "https://a:b@check.example.com/",
            "ftp://127.0.0.1/",
            "/joins",
        ] {
            assert_eq!(bad.parse::<OutboundUrl>(), Err(NoOutboundUrl), "{bad}");
        }
    }
}
