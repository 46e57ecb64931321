//! What users do about their account, within the budgets of wrong passwords and of letters: the same for the API and the
//! pages.

use crate::edge::{
    auth::{SignedIn, Visitor},
    language::Language,
    limit::{SignInEnd, SignInTry},
    problem::HttpResult,
    state::SharedState,
};
use axum::http::{HeaderMap, header::USER_AGENT};
use frontrow_domain::{
    command::Idempotency,
    id::UserId,
    refusal::{EntityKind, Refusal},
    user::{ClientLabel, LetterLanguage},
};
use frontrow_service::{
    accounts::SessionOpened,
    office::ServiceError,
    validate::{Email, Password},
};
use std::net::IpAddr;

/// The program that sends a request, as far as it says so.
#[must_use]
pub fn client_label(headers: &HeaderMap) -> Option<ClientLabel> {
    ClientLabel::of_user_agent(headers.get(USER_AGENT)?.to_str().ok()?)
}

/// The language of a letter that this request has sent.
#[must_use]
pub fn letter_language(headers: &HeaderMap) -> LetterLanguage {
    Language::of(headers).into()
}

/// How a password attempt counts for the budgets of the account.
const fn end_of<T>(result: &Result<T, ServiceError>) -> SignInEnd {
    match result {
        Ok(_) => SignInEnd::Right,
        Err(ServiceError::WrongCredentials | ServiceError::WrongPassword) => SignInEnd::Wrong,
        Err(_) => SignInEnd::Undecided,
    }
}

/// Signs a user in.
///
/// # Errors
/// 401: address and password do not belong together. 403, 409 or 429.
pub async fn sign_in(
    app: &SharedState,
    Visitor(address): Visitor,
    email: &Email,
    password: &Password,
    client: Option<ClientLabel>,
) -> HttpResult<SessionOpened> {
    let account = app.office.account(email).await?;
    let epoch = account.as_ref().map_or(0, |(user, _)| user.sign_in_epoch);
    let sign_in_try = app.limits.begin_sign_in(email.as_str(), epoch, address).await?;
    let result = app.office.sign_in(account, password, client).await;
    app.limits.end_sign_in(sign_in_try, end_of(&result)).await;
    Ok(result?)
}

/// Counts an attempt of a signed-in user to repeat the password.
async fn begin_proof(app: &SharedState, user_id: UserId, address: IpAddr) -> HttpResult<SignInTry> {
    let epoch = app.office.user(user_id).await?.map_or(0, |user| user.sign_in_epoch);
    app.limits.begin_sign_in(&user_id.to_string(), epoch, address).await
}

/// Changes the password of a signed-in user; the session of `secret` goes on.
///
/// # Errors
/// 403 `wrong_password`, 409 or 429.
pub async fn change_password(
    app: &SharedState,
    Visitor(address): Visitor,
    SignedIn { caller, user_id }: SignedIn,
    secret: &str,
    old: &Password,
    new: &Password,
) -> HttpResult<()> {
    let password_try = begin_proof(app, user_id, address).await?;
    let result = app.office.change_password(caller, user_id, old, new, secret).await;
    app.limits.end_sign_in(password_try, end_of(&result)).await;
    Ok(result?)
}

/// Whether this is the password of a signed-in user. It counts as an attempt to repeat the password.
///
/// # Errors
/// 429 or 503.
pub async fn is_password(
    app: &SharedState,
    Visitor(address): Visitor,
    user_id: UserId,
    password: &Password,
) -> HttpResult<bool> {
    let password_try = begin_proof(app, user_id, address).await?;
    let result = app.office.is_password(user_id, password).await;
    let end = match &result {
        Ok(true) => SignInEnd::Right,
        Ok(false) => SignInEnd::Wrong,
        Err(_) => SignInEnd::Undecided,
    };
    app.limits.end_sign_in(password_try, end).await;
    Ok(result?)
}

/// Erases the account of a signed-in user.
///
/// # Errors
/// 403 `wrong_password`, 409 or 429.
pub async fn erase_own(
    app: &SharedState,
    Visitor(address): Visitor,
    SignedIn { caller, user_id }: SignedIn,
    password: &Password,
) -> HttpResult<()> {
    let password_try = begin_proof(app, user_id, address).await?;
    let result = app.office.erase_own(caller, user_id, password).await;
    app.limits.end_sign_in(password_try, end_of(&result)).await;
    Ok(result?)
}

/// Has a letter with a reset link sent to the owner of an address, if it has one: the answer is the same.
///
/// # Errors
/// 429: the address was sent too many letters. 503.
pub fn request_password_reset(
    app: &SharedState,
    email: Email,
    language: LetterLanguage,
    key: Option<Idempotency>,
) -> HttpResult<()> {
    app.limits.check_letter(email.as_str())?;
    Ok(app.office.request_password_reset(email, language, key)?)
}

/// Has a letter sent to a signed-in user by which they confirm their address.
///
/// # Errors
/// 429: the address was sent too many letters.
pub async fn request_email_confirmation(
    app: &SharedState,
    SignedIn { caller, user_id }: SignedIn,
    language: LetterLanguage,
    key: Option<Idempotency>,
) -> HttpResult<()> {
    let user = app.office.user(user_id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
    app.limits.check_letter(&user.email)?;
    Ok(app.office.request_email_confirmation(caller, user_id, language, key).await?)
}
