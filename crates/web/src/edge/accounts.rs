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
    user::{ClientLabel, LetterLanguage, User},
};
use frontrow_service::{
    accounts::SessionOpened,
    office::ServiceError,
    second_factor::{CodeTicket, RecoveryCodes},
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
        Err(
            ServiceError::WrongCredentials
            | ServiceError::WrongPassword
            | ServiceError::Refused(Refusal::SecondFactorWrong),
        ) => SignInEnd::Wrong,
        Err(_) => SignInEnd::Undecided,
    }
}

/// Signs a user in. `code` is that of a second factor.
///
/// # Errors
/// 401: address and password do not belong together, or the code is missing or wrong. 403, 409 or 429.
pub async fn sign_in(
    app: &SharedState,
    visitor: Visitor,
    email: &Email,
    password: &Password,
    code: Option<&str>,
    client: Option<ClientLabel>,
) -> HttpResult<SessionOpened> {
    let account = app.office.account(email).await?;
    sign_in_to(app, visitor, (email, account), (password, code), client).await
}

async fn sign_in_to(
    app: &SharedState,
    Visitor(address): Visitor,
    (email, account): (&Email, Option<(User, String)>),
    (password, code): (&Password, Option<&str>),
    client: Option<ClientLabel>,
) -> HttpResult<SessionOpened> {
    let epoch = account.as_ref().map_or(0, |(user, _)| user.sign_in_epoch);
    let sign_in_try = app.limits.begin_sign_in(email.as_str(), epoch, address).await?;
    let result = app.office.sign_in(account, password, code, client).await;
    app.limits.end_sign_in(sign_in_try, end_of(&result)).await;
    Ok(result?)
}

/// How far a sign-in by a form came.
#[derive(Debug)]
pub enum FirstStep {
    /// All the way.
    Opened(SessionOpened),
    /// The password was right, and a code is to come, with this ticket.
    CodeNeeded(String),
}

/// Signs a user in by address and password, as far as these go.
///
/// # Errors
/// As [`sign_in`].
pub async fn first_step(
    app: &SharedState,
    visitor: Visitor,
    email: &Email,
    password: &Password,
    client: Option<ClientLabel>,
) -> HttpResult<FirstStep> {
    let account = app.office.account(email).await?;
    let proved = account.as_ref().map(|(user, _)| (user.user_id, user.sign_in_epoch));
    match (sign_in_to(app, visitor, (email, account), (password, None), client).await, proved) {
        (Ok(opened), _) => Ok(FirstStep::Opened(opened)),
        (Err(problem), Some((user, epoch))) if problem.refusal() == Some(&Refusal::SecondFactorNeeded) => {
            Ok(FirstStep::CodeNeeded(app.office.code_ticket(user, epoch)))
        }
        (Err(problem), _) => Err(problem),
    }
}

/// Goes on with a sign-in by its code. A wrong one counts as a wrong password does.
///
/// # Errors
/// 401: the code is wrong. 403, 409 or 429.
pub async fn second_step(
    app: &SharedState,
    Visitor(address): Visitor,
    ticket: CodeTicket,
    code: &str,
    client: Option<ClientLabel>,
) -> HttpResult<SessionOpened> {
    let user = app.office.user(ticket.user_id()).await?.ok_or(Refusal::AccountChanged)?;
    let code_try = app.limits.begin_sign_in(&user.email, ticket.epoch(), address).await?;
    let result = app.office.sign_in_by_code(ticket, code, client).await;
    app.limits.end_sign_in(code_try, end_of(&result)).await;
    Ok(result?)
}

/// Puts the second factor of a signed-in user in force; the session of `secret` goes on.
///
/// # Errors
/// 401: the code is wrong. 403 `wrong_password`, 409 or 429.
pub async fn confirm_factor(
    app: &SharedState,
    Visitor(address): Visitor,
    SignedIn { caller, user_id }: SignedIn,
    secret: &str,
    (password, code): (&Password, &str),
) -> HttpResult<RecoveryCodes> {
    let proof_try = begin_proof(app, user_id, address).await?;
    let result = app.office.confirm_factor(caller, user_id, password, code, secret).await;
    app.limits.end_sign_in(proof_try, end_of(&result)).await;
    Ok(result?)
}

/// Gives a signed-in user, who shows a code, new recovery codes.
///
/// # Errors
/// 401: the code is wrong. 409 or 429.
pub async fn renew_recovery_codes(
    app: &SharedState,
    Visitor(address): Visitor,
    SignedIn { caller, user_id }: SignedIn,
    code: &str,
) -> HttpResult<RecoveryCodes> {
    let proof_try = begin_proof(app, user_id, address).await?;
    let result = app.office.renew_recovery_codes(caller, user_id, code).await;
    app.limits.end_sign_in(proof_try, end_of(&result)).await;
    Ok(result?)
}

/// Removes the second factor of a signed-in user, who shows a code.
///
/// # Errors
/// 401: the code is wrong. 409 or 429.
pub async fn remove_factor(
    app: &SharedState,
    Visitor(address): Visitor,
    SignedIn { caller, user_id }: SignedIn,
    code: &str,
) -> HttpResult<()> {
    let proof_try = begin_proof(app, user_id, address).await?;
    let result = app.office.remove_factor(caller, user_id, code).await;
    app.limits.end_sign_in(proof_try, end_of(&result)).await;
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
