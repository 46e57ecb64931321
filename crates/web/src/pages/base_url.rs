//! The address of the shop as the outside knows it, for links that leave the page: shared links, calendars, search
//! engines.

use crate::edge::{auth, cookies::Scheme, problem::Problem, state::SharedState};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts, uri::Authority},
};
use std::sync::Arc;

/// How many bytes of a `Host` header are believed.
const HOST_LEN_MAX: usize = 255;

/// The start of every absolute link: scheme and host, without a slash at the end. It is the setting `public_url`, or else
/// what the request says, and then part of the key of every page that is shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BaseUrl(Arc<str>);

impl BaseUrl {
    /// The absolute link to a path.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The host without its port, to name things with.
    pub(crate) fn host(&self) -> &str {
        let authority = self.0.split_once("://").map_or(&*self.0, |(_, authority)| authority);
        authority.rsplit_once(':').map_or(authority, |(host, _)| host)
    }

    /// One with this text.
    #[cfg(test)]
    pub(super) fn test(text: &str) -> Self {
        Self(text.into())
    }

    fn of(parts: &Parts, app: &SharedState) -> Result<Self, Problem> {
        if let Some(public_url) = &app.pages.0.public_url {
            return Ok(Self(Arc::clone(public_url)));
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| host.len() <= HOST_LEN_MAX && host.parse::<Authority>().is_ok());
        // What stands in a user part would be shown as a host.
        let host = host.filter(|host| !host.contains('@')).unwrap_or("localhost");
        let scheme = match auth::scheme(parts, app)? {
            Scheme::Https => "https",
            Scheme::Loopback | Scheme::Plain => "http",
        };
        Ok(Self(format!("{scheme}://{host}").into()))
    }
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
