//! Letters with links: asked for here, and what the link of a confirmation does.

use crate::edge::{
    accounts,
    auth::{SignedIn, Visitor},
    extract::JsonBody,
    problem::HttpResult,
    state::SharedState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use frontrow_domain::refusal::Refusal;
use frontrow_service::{letters::LinkSecret, validate::Email};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The fields of a request for a reset link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetRequest {
    /// The e-mail address of the account.
    #[schema(format = "email", max_length = 254, example = "minji@example.com")]
    email: String,
}

/// The fields of a confirmation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfirmation {
    /// The link's secret.
    #[schema(max_length = 100, example = "AaIiuvn2SLe61nz2RDqHOZ0pQ4cYw1x8b2K3lqg7nRkzv5m6t9u0yE1hJ3fCdS2a")]
    secret: String,
}

/// Whether a letter is on its way.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A letter is sent, if there is somebody to send it to.
    Letter,
    /// This box office sends no e-mail yet. Its operator can issue a reset link.
    NoLetters,
}

/// The answer to a request for a letter.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterRequested {
    /// Whether a letter is on its way.
    delivery: Delivery,
}

fn answer(app: &SharedState) -> (StatusCode, Json<LetterRequested>) {
    let delivery = if app.office.sends_letters() { Delivery::Letter } else { Delivery::NoLetters };
    (StatusCode::ACCEPTED, Json(LetterRequested { delivery }))
}

/// Asks for a reset link by e-mail.
///
/// The answer is the same, and takes as long, whether the address has an account or not. If it has, a letter brings a
/// link for a new password, in the language of `Accept-Language`. Operators' and locked accounts get none.
#[utoipa::path(post, path = "/api/v1/password-reset-requests", tag = "users",
    operation_id = "request_password_reset", security(()), request_body = PasswordResetRequest,
    responses((status = 202, description = "A letter is sent, if letters are sent", body = LetterRequested)))]
pub(super) async fn request_password_reset(
    State(app): State<SharedState>,
    _visitor: Visitor,
    headers: HeaderMap,
    JsonBody(body): JsonBody<PasswordResetRequest>,
) -> HttpResult<(StatusCode, Json<LetterRequested>)> {
    let email = Email::parse_known(&body.email)?;
    accounts::request_password_reset(&app, email, accounts::letter_language(&headers), None)?;
    Ok(answer(&app))
}

/// Asks for a letter to confirm the own e-mail address.
///
/// It brings a link that is good for 24 hours; the newest counts. If the address is confirmed, no letter comes.
#[utoipa::path(post, path = "/api/v1/users/me/email-confirmation", tag = "users",
    operation_id = "request_email_confirmation",
    responses((status = 202, description = "A letter is sent, if letters are sent", body = LetterRequested)))]
pub(super) async fn request_email_confirmation(
    State(app): State<SharedState>,
    signed_in: SignedIn,
    headers: HeaderMap,
) -> HttpResult<(StatusCode, Json<LetterRequested>)> {
    accounts::request_email_confirmation(&app, signed_in, accounts::letter_language(&headers), None).await?;
    Ok(answer(&app))
}

/// Confirms an e-mail address with the link of a letter.
///
/// Needs no session. Sending the same secret again changes nothing.
#[utoipa::path(post, path = "/api/v1/email-confirmations", tag = "users", operation_id = "confirm_email", security(()),
    request_body = EmailConfirmation, responses((status = 204, description = "The address is confirmed")))]
pub(super) async fn confirm_email(
    State(app): State<SharedState>,
    _visitor: Visitor,
    JsonBody(body): JsonBody<EmailConfirmation>,
) -> HttpResult<StatusCode> {
    let secret = LinkSecret::parse(&body.secret).ok_or(Refusal::ConfirmationLinkInvalid)?;
    app.office.confirm_email(&secret).await?;
    Ok(StatusCode::NO_CONTENT)
}
