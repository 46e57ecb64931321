//! The caller of a request: the session of its `Authorization` header or of its cookie, and its queue token.

use crate::edge::{
    cookies::{self, Scheme},
    extract::must_be_json,
    limit::{self, Hourly},
    problem::{HttpResult, Problem},
    state::SharedState,
};
use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{Extensions, HeaderMap, HeaderName, header::AUTHORIZATION, request::Parts},
};
use frontrow_domain::{id::UserId, refusal::Refusal, user::Caller};
use frontrow_service::office::ServiceError;
use frontrow_signing::SignedToken;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// The header that carries the queue token.
pub const QUEUE_TOKEN_HEADER: HeaderName = HeaderName::from_static("queue-token");
/// A session secret is 43 characters; a service key may be longer. A longer text is neither.
const SECRET_LEN_MAX: usize = 256;

/// A signed-in caller.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn {
    /// The caller, with their role.
    pub caller: Caller,
    /// The user.
    pub user_id: UserId,
}

/// An operator.
#[derive(Debug, Clone, Copy)]
pub struct OperatorOnly(pub Caller);

/// An operator or a viewer, for reads of the sale and of accounts.
#[derive(Debug, Clone, Copy)]
pub struct SaleReader(pub Caller);

/// A signed-in caller, or a program with the service key.
#[derive(Debug, Clone, Copy)]
pub struct UserOrService(pub Caller);

/// An operator, or a program with the service key.
#[derive(Debug, Clone, Copy)]
pub struct OperatorOrService(pub Caller);

/// The caller of a read that needs no session, if there is one that is good.
#[derive(Debug, Clone, Copy)]
pub struct OptionalCaller(pub Option<Caller>);

/// A signed-in caller, or a program with the service key, that says something of a token, as a poll does: the limit of
/// the token's polls bounds it, and it takes nothing of what the caller may change in an hour.
#[derive(Debug, Clone, Copy)]
pub struct TokenWatcher(pub Caller);

/// The secret of the caller's session, from the header or the cookie.
#[derive(Clone)]
pub struct SessionSecret(pub String);

impl std::fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionSecret")
    }
}

/// The address that a request comes from, behind the trusted proxies.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// The client of a call without a session that needs a password hash. Its address pays before the body is read, and
/// after the media type is: browsers ask this server before they send it JSON for a page of another site, which must
/// not spend what its visitors may do here.
#[derive(Debug, Clone, Copy)]
pub struct Visitor(pub IpAddr);

impl Visitor {
    /// The client of a request, whose address has paid.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub(super) async fn paying(parts: &Parts, app: &SharedState) -> HttpResult<Self> {
        let ClientAddress(address) = client_address(parts, app)?;
        app.limits.check_address(address, app.office.password_crowding()).await?;
        Ok(Self(address))
    }
}

/// A read without a session; its client's address pays for `COST` reads.
#[derive(Debug, Clone, Copy)]
pub struct PublicRead<const COST: u32 = 1>;

/// The token of the `Queue-Token` header. Ownership and status are checked later.
#[derive(Debug, Clone, Copy)]
pub struct QueueToken(pub SignedToken);

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty() && secret.len() <= SECRET_LEN_MAX).then_some(secret)
}

/// The secret that a request brings.
enum Brought<'a> {
    /// A program's own header: no page of another site can make a browser send it.
    Bearer(&'a str),
    /// A browser's cookie, which it sends whatever page asks for the request.
    Cookie(&'a str),
}

impl<'a> Brought<'a> {
    /// The secret in the header, or else in the cookie. With the cookie, a request that may change something must come
    /// from a page of this server.
    fn of(parts: &'a Parts, app: &SharedState) -> HttpResult<Self> {
        if let Some(secret) = bearer(&parts.headers) {
            return Ok(Self::Bearer(secret));
        }
        let scheme = scheme(parts, app)?;
        let secret = cookies::session_secret(&parts.headers, scheme).filter(|secret| secret.len() <= SECRET_LEN_MAX);
        let secret = secret.ok_or(ServiceError::Unauthorized)?;
        cookies::check_same_origin(parts, scheme)?;
        Ok(Self::Cookie(secret))
    }

    const fn secret(&self) -> &'a str {
        match self {
            Self::Bearer(secret) | Self::Cookie(secret) => secret,
        }
    }
}

/// The caller that a read without a session brings all the same. What is wrong with the session, or cannot be read now,
/// is no fault of such a read: it is answered as without one.
async fn optional_caller(parts: &Parts, app: &SharedState) -> Option<Caller> {
    known(parts, app, &Brought::of(parts, app).ok()?).await.ok()
}

async fn caller(parts: &Parts, app: &SharedState) -> Result<Caller, Problem> {
    let caller = known(parts, app, &Brought::of(parts, app)?).await?;
    match caller {
        Caller::Buyer(user) | Caller::Operator(user) | Caller::Viewer(user) if parts.method.is_safe() => {
            app.limits.check_read(user)?;
        }
        Caller::Operator(user) => app.limits.check_user(user)?,
        Caller::Buyer(user) | Caller::Viewer(user) => {
            app.limits.check_user(user)?;
            limit::spend(app, user, Hourly::Changes)?;
        }
        Caller::Anonymous | Caller::Service | Caller::System => {}
    }
    Ok(caller)
}

/// The caller whose secret it is.
async fn known(parts: &Parts, app: &SharedState, brought: &Brought<'_>) -> Result<Caller, Problem> {
    let secret = brought.secret();
    let is_service_key =
        app.service_key.as_ref().is_some_and(|key| key.expose().as_bytes().ct_eq(secret.as_bytes()).into());
    if is_service_key && matches!(brought, Brought::Bearer(_)) {
        return Ok(Caller::Service);
    }
    if let Some(caller) = app.office.remembered(secret) {
        return Ok(caller);
    }
    // The secret may be invented, and checking it costs a query: the address pays.
    let ClientAddress(address) = client_address(parts, app)?;
    app.limits.check_public_read(address, 1)?;
    Ok(app.office.authenticate(secret).await?)
}

fn peer(extensions: &Extensions) -> HttpResult<SocketAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    Ok(peer.ok_or_else(|| Problem::internal("a request has no peer address"))?.0)
}

fn client_address(parts: &Parts, app: &SharedState) -> Result<ClientAddress, Problem> {
    Ok(ClientAddress(app.limits.client(&parts.headers, peer(&parts.extensions)?)))
}

/// A queue token that a client sent, as its header or in a form.
///
/// # Errors
/// [`Refusal::TokenInvalid`] if its signature is not ours or its line has been renewed; the service's own if that
/// cannot be told now.
pub async fn queue_token(app: &SharedState, token: &str) -> HttpResult<SignedToken> {
    match app.office.verify_token(token).await {
        Err(ServiceError::Refused(_)) => Err(Refusal::TokenInvalid.into()),
        verified => Ok(verified?),
    }
}

/// How the browser of a request reaches the server.
///
/// # Errors
/// 500: the listener has not noted the peer's address.
pub fn scheme(parts: &Parts, app: &SharedState) -> HttpResult<Scheme> {
    scheme_of(&parts.headers, &parts.extensions, app)
}

/// The same, of a request that is not taken apart.
pub(super) fn scheme_of(headers: &HeaderMap, extensions: &Extensions, app: &SharedState) -> HttpResult<Scheme> {
    Ok(app.limits.scheme(headers, peer(extensions)?))
}

impl<S> FromRequestParts<S> for Scheme
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        scheme(parts, &SharedState::from_ref(state))
    }
}

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = caller(parts, &SharedState::from_ref(state)).await?;
        let user_id = caller.user_id().ok_or(Refusal::Forbidden)?;
        Ok(Self { caller, user_id })
    }
}

impl<S> FromRequestParts<S> for OptionalCaller
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let app = SharedState::from_ref(state);
        Ok(Self(optional_caller(parts, &app).await))
    }
}

impl<S> FromRequestParts<S> for OperatorOnly
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = caller(parts, &SharedState::from_ref(state)).await?;
        if caller.is_operator() { Ok(Self(caller)) } else { Err(Refusal::Forbidden.into()) }
    }
}

impl<S> FromRequestParts<S> for SaleReader
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = caller(parts, &SharedState::from_ref(state)).await?;
        if caller.may_see_sale() { Ok(Self(caller)) } else { Err(Refusal::Forbidden.into()) }
    }
}

impl<S> FromRequestParts<S> for UserOrService
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = caller(parts, &SharedState::from_ref(state)).await?;
        Ok(Self(caller))
    }
}

impl<S> FromRequestParts<S> for TokenWatcher
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let app = SharedState::from_ref(state);
        known(parts, &app, &Brought::of(parts, &app)?).await.map(Self)
    }
}

impl<S> FromRequestParts<S> for OperatorOrService
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = caller(parts, &SharedState::from_ref(state)).await?;
        let may = caller.is_operator() || caller == Caller::Service;
        if may { Ok(Self(caller)) } else { Err(Refusal::Forbidden.into()) }
    }
}

impl<S> FromRequestParts<S> for SessionSecret
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(Brought::of(parts, &SharedState::from_ref(state))?.secret().to_owned()))
    }
}

impl<S> FromRequestParts<S> for ClientAddress
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        client_address(parts, &SharedState::from_ref(state))
    }
}

impl<S> FromRequestParts<S> for Visitor
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        must_be_json(&parts.headers)?;
        Self::paying(parts, &SharedState::from_ref(state)).await
    }
}

impl<S, const COST: u32> FromRequestParts<S> for PublicRead<COST>
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        SharedState::from_ref(state).limits.check_public_read(address, COST)?;
        Ok(Self)
    }
}

impl<S> FromRequestParts<S> for QueueToken
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = parts.headers.get(QUEUE_TOKEN_HEADER).and_then(|value| value.to_str().ok());
        let Some(token) = token else { return Err(Refusal::TokenInvalid.into()) };
        queue_token(&SharedState::from_ref(state), token).await.map(Self)
    }
}
