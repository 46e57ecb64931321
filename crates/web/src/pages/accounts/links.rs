//! A forgotten password, and what the links of letters lead to. Opening a link changes nothing: programs that look
//! through mail open links too.

use super::{Faults, FieldKind, FieldReader, FieldView, FormPage, FormView, MessagePage, PageLink, without_cookie};
use crate::{
    edge::{
        accounts,
        auth::{PublicRead, SignedIn},
        cookies::Scheme,
        extract::PathText,
        form::{FormFields, FormVisitor},
        problem::{HttpResult, Problem, ProblemCode},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, KEY_FIELD, fresh_key, key_of},
        problem_page,
        shell::Shell,
    },
};
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    refusal::Refusal,
    user::{Caller, LinkKind},
};
use frontrow_service::{
    letters::{CONFIRMATION_PATH, LinkSecret, RESET_PATH},
    validate::{Email, Password},
};

/// Where a form leads to when all is done: to reload it, or to come back to it, does nothing again.
pub(super) const FORGOT_DONE_PATH: &str = "/forgot/sent";
pub(super) const RESET_DONE_PATH: &str = "/reset/done";
pub(super) const CONFIRM_DONE_PATH: &str = "/confirm/done";

/// The words for too many letters to one address.
pub(super) const LETTERS_LIMITED: (&str, &str) = ("letters-limited", "letters-limited-text");

/// The page to ask for a reset link.
pub(super) async fn show_forgot(State(app): State<SharedState>, shell: Shell) -> HttpResult<Response> {
    if app.office.sends_letters() {
        forgot_page(shell, &FormFields::default(), &Faults::new()).answer()
    } else {
        no_letters(shell)
    }
}

fn forgot_page(shell: Shell, typed: &FormFields, faults: &Faults) -> FormPage {
    let form = FormView {
        id: "forgot",
        action: "/forgot".to_owned(),
        hidden: vec![(KEY_FIELD, fresh_key())],
        fields: vec![FieldView::new(&shell, FieldKind::Email, typed, faults)],
        submit: shell.t("forgot-submit"),
        ..FormView::default()
    };
    FormPage {
        title: shell.t("forgot"),
        lead: Some(shell.t("forgot-lead")),
        notice: None,
        forms: vec![form],
        links: vec![PageLink::new("/sign-in", shell.t("forgot-to-sign-in"))],
        shell,
    }
}

/// Says that no letter comes, and what to do.
fn no_letters(shell: Shell) -> HttpResult<Response> {
    let (title, text) = (shell.t("forgot-none"), shell.t("forgot-none-text"));
    let links = vec![PageLink::new("/sign-in", shell.t("forgot-to-sign-in"))];
    MessagePage { shell, title, text, links }.answer(StatusCode::OK)
}

/// Asks for the letter, once for the key of the form.
fn ask_for_reset(app: &SharedState, shell: &Shell, email: Email, fields: &FormFields) -> HttpResult<()> {
    // Another address is another request: its letter comes under the same key too.
    let route = format!("/forgot/{email}");
    let key = key_of(fields)?.bind(Caller::Anonymous, &Method::POST, &route, &[], &())?;
    accounts::request_password_reset(app, email, shell.language.into(), key)
}

/// Asks for a reset link. The page is the same whether the address has an account or not.
pub(super) async fn forgot(
    State(app): State<SharedState>,
    shell: Shell,
    FormVisitor(visitor): FormVisitor,
    fields: FormFields,
) -> HttpResult<Response> {
    if !app.office.sends_letters() {
        return no_letters(shell);
    }
    let mut reader = FieldReader::new(&shell, &fields);
    let email = reader.read(FieldKind::Email, Email::parse_known);
    let faults = reader.faults;
    let Some(email) = email else { return forgot_page(shell, &fields, &faults).answer() };
    let notice = match visitor {
        Err(problem) => FormNotice::of(&shell, problem)?,
        Ok(_) => match ask_for_reset(&app, &shell, email, &fields) {
            Ok(()) => return Ok(Redirect::to(FORGOT_DONE_PATH).into_response()),
            Err(problem) => FormNotice::limited_as(&shell, problem, LETTERS_LIMITED)?,
        },
    };
    forgot_page(shell, &fields, &faults).came_back(notice)
}

/// Says that a letter is on its way, if the address has an account.
pub(super) async fn show_forgot_done(State(app): State<SharedState>, shell: Shell) -> HttpResult<Response> {
    if !app.office.sends_letters() {
        return no_letters(shell);
    }
    let (title, text) = (shell.t("forgot-sent"), shell.t("forgot-sent-text"));
    let mut links = vec![PageLink::new("/sign-in", shell.t("forgot-to-sign-in"))];
    if app.office.is_demo() {
        links.push(PageLink::new("/demo/letters", shell.t("forgot-to-letters")));
    }
    MessagePage { shell, title, text, links }.answer(StatusCode::OK)
}

/// A page for a link that does not work.
fn invalid(shell: Shell, refusal: &Refusal, links: Vec<PageLink>) -> HttpResult<Response> {
    let (title, text) = problem_page::words(&shell, ProblemCode(refusal.code()));
    MessagePage { shell, title, text, links }.answer(StatusCode::FORBIDDEN)
}

fn invalid_reset(shell: Shell) -> HttpResult<Response> {
    let links = vec![PageLink::new("/forgot", shell.t("reset-again")), PageLink::new("/sign-in", shell.t("sign-in"))];
    invalid(shell, &Refusal::ResetLinkInvalid, links)
}

fn invalid_confirmation(shell: Shell) -> HttpResult<Response> {
    let links = vec![PageLink::new("/account", shell.t("confirm-again"))];
    invalid(shell, &Refusal::ConfirmationLinkInvalid, links)
}

/// The secret in a path, if it is that of a link that can be used now.
async fn usable(app: &SharedState, kind: LinkKind, text: &str) -> HttpResult<Option<LinkSecret>> {
    let Some(secret) = LinkSecret::parse(text) else { return Ok(None) };
    Ok(app.office.is_link_usable(kind, &secret).await?.then_some(secret))
}

fn reset_page(shell: Shell, secret: &LinkSecret, faults: &Faults) -> FormPage {
    let form = FormView {
        id: "reset",
        action: format!("{RESET_PATH}{}", secret.expose()),
        fields: vec![FieldView::new(&shell, FieldKind::NewPassword, &FormFields::default(), faults)],
        submit: shell.t("reset-submit"),
        ..FormView::default()
    };
    let (title, lead) = (shell.t("reset"), Some(shell.t("reset-lead")));
    FormPage { title, lead, notice: None, forms: vec![form], links: Vec::new(), shell }
}

/// The page of a reset link.
pub(super) async fn show_reset(
    State(app): State<SharedState>,
    shell: Shell,
    _read: PublicRead,
    PathText(secret): PathText,
) -> HttpResult<Response> {
    match usable(&app, LinkKind::PasswordReset, &secret).await? {
        Some(secret) => reset_page(shell, &secret, &Faults::new()).answer(),
        None => invalid_reset(shell),
    }
}

/// Sets a new password with the secret of a reset link. All sessions of its user end; one of another user that this
/// browser has goes on.
pub(super) async fn reset(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    signed_in: HttpResult<SignedIn>,
    PathText(secret): PathText,
    FormVisitor(visitor): FormVisitor,
    fields: FormFields,
) -> HttpResult<Response> {
    let Some(secret) = LinkSecret::parse(&secret) else { return invalid_reset(shell) };
    let mut reader = FieldReader::new(&shell, &fields);
    let new = reader.read(FieldKind::NewPassword, |text| Password::parse(text.to_owned()));
    let faults = reader.faults;
    let done = match (visitor, new) {
        (_, None) => return reset_page(shell, &secret, &faults).answer(),
        (Ok(_), Some(new)) => app.office.redeem_reset_link(&secret, &new).await.map_err(Problem::from),
        (Err(problem), _) => Err(problem),
    };
    match done {
        Ok(()) => {
            let response = Redirect::to(RESET_DONE_PATH).into_response();
            let is_others = signed_in.is_ok_and(|session| session.user_id != secret.user_id());
            let is_ended = shell.is_signed_in() && !is_others;
            Ok(if is_ended { without_cookie(response, scheme) } else { response })
        }
        Err(problem) if problem.refusal() == Some(&Refusal::ResetLinkInvalid) => invalid_reset(shell),
        Err(problem) => {
            let notice = FormNotice::of(&shell, problem)?;
            reset_page(shell, &secret, &faults).came_back(notice)
        }
    }
}

/// Says that the password is set.
pub(super) async fn show_reset_done(shell: Shell) -> HttpResult<Response> {
    let (title, text) = (shell.t("reset-done"), shell.t("reset-done-text"));
    let links = vec![PageLink::new("/sign-in", shell.t("sign-in"))];
    MessagePage { shell, title, text, links }.answer(StatusCode::OK)
}

fn confirm_page(shell: Shell, secret: &LinkSecret) -> FormPage {
    let form = FormView {
        id: "confirm",
        action: format!("{CONFIRMATION_PATH}{}", secret.expose()),
        submit: shell.t("confirm-submit"),
        ..FormView::default()
    };
    let (title, lead) = (shell.t("confirm"), Some(shell.t("confirm-lead")));
    FormPage { title, lead, notice: None, forms: vec![form], links: Vec::new(), shell }
}

/// The page of a confirmation link.
pub(super) async fn show_confirm(
    State(app): State<SharedState>,
    shell: Shell,
    _read: PublicRead,
    PathText(secret): PathText,
) -> HttpResult<Response> {
    match usable(&app, LinkKind::EmailConfirmation, &secret).await? {
        Some(secret) => confirm_page(shell, &secret).answer(),
        None => invalid_confirmation(shell),
    }
}

/// Confirms an address with the secret of a link.
pub(super) async fn confirm(
    State(app): State<SharedState>,
    shell: Shell,
    PathText(secret): PathText,
    FormVisitor(visitor): FormVisitor,
    _fields: FormFields,
) -> HttpResult<Response> {
    let Some(secret) = LinkSecret::parse(&secret) else { return invalid_confirmation(shell) };
    let done = match visitor {
        Ok(_) => app.office.confirm_email(&secret).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match done {
        Ok(()) => Ok(Redirect::to(CONFIRM_DONE_PATH).into_response()),
        Err(problem) if problem.refusal() == Some(&Refusal::ConfirmationLinkInvalid) => invalid_confirmation(shell),
        Err(problem) => {
            let notice = FormNotice::of(&shell, problem)?;
            confirm_page(shell, &secret).came_back(notice)
        }
    }
}

/// Says that the address is confirmed.
pub(super) async fn show_confirm_done(shell: Shell) -> HttpResult<Response> {
    let (title, text) = (shell.t("confirm-done"), shell.t("confirm-done-text"));
    let links = vec![PageLink::new("/", shell.t("to-season"))];
    MessagePage { shell, title, text, links }.answer(StatusCode::OK)
}
