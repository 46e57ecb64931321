//! A forgotten password, and what the links of letters lead to. Opening a link changes nothing: programs that look
//! through mail open links too.

use super::{Faults, FieldKind, FieldReader, FieldView, FormPage, FormView, MessagePage, PageLink, unreferred};
use crate::{
    edge::{
        accounts,
        auth::Visitor,
        extract::PathText,
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    pages::shell::Shell,
};
use axum::{extract::State, http::StatusCode, response::Response};
use frontrow_domain::refusal::Refusal;
use frontrow_service::{
    letters::{CONFIRMATION_PATH, RESET_PATH},
    validate::{Email, Password},
};

/// How long a link's secret may be.
const SECRET_LEN_MAX: usize = 100;

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
        fields: vec![FieldView::new(&shell, FieldKind::Email, typed, faults)],
        submit: shell.t("forgot-submit"),
        ..FormView::default()
    };
    FormPage {
        title: shell.t("forgot"),
        lead: Some(shell.t("forgot-lead")),
        refusal: None,
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

/// Asks for a reset link. The page is the same whether the address has an account or not.
pub(super) async fn forgot(
    State(app): State<SharedState>,
    shell: Shell,
    visitor: Result<Visitor, Problem>,
    fields: FormFields,
) -> HttpResult<Response> {
    if !app.office.sends_letters() {
        return no_letters(shell);
    }
    let mut reader = FieldReader::new(&shell, &fields);
    let email = reader.read(FieldKind::Email, Email::parse_known);
    let faults = reader.faults;
    let Some(email) = email else { return forgot_page(shell, &fields, &faults).answer() };
    let asked = visitor.and_then(|_| accounts::request_password_reset(&app, email, shell.language.into()));
    if let Err(problem) = asked {
        return forgot_page(shell, &fields, &faults).refused(problem);
    }
    let (title, text) = (shell.t("forgot-sent"), shell.t("forgot-sent-text"));
    let mut links = vec![PageLink::new("/sign-in", shell.t("forgot-to-sign-in"))];
    if app.office.is_demo() {
        links.push(PageLink::new("/demo/letters", shell.t("forgot-to-letters")));
    }
    MessagePage { shell, title, text, links }.answer(StatusCode::OK)
}

/// A page for a link that does not work.
fn invalid(shell: Shell, refusal: &Refusal, link: PageLink) -> HttpResult<Response> {
    let find = |id: String| shell.find(&id).unwrap_or_default();
    let code = refusal.code();
    let (title, text) = (find(format!("problem-{code}")), find(format!("problem-{code}-text")));
    let page = MessagePage { shell, title, text, links: vec![link] };
    Ok(unreferred(page.answer(StatusCode::FORBIDDEN)?))
}

fn invalid_reset(shell: Shell) -> HttpResult<Response> {
    let link = PageLink::new("/forgot", shell.t("reset-again"));
    invalid(shell, &Refusal::ResetLinkInvalid, link)
}

fn invalid_confirmation(shell: Shell) -> HttpResult<Response> {
    let link = PageLink::new("/account", shell.t("confirm-again"));
    invalid(shell, &Refusal::ConfirmationLinkInvalid, link)
}

/// Whether a text may be a secret: it may stand in a path as it is.
fn may_be_secret(text: &str) -> bool {
    text.len() <= SECRET_LEN_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn reset_page(shell: Shell, secret: &str, faults: &Faults) -> FormPage {
    let form = FormView {
        id: "reset",
        action: format!("{RESET_PATH}{secret}"),
        fields: vec![FieldView::new(&shell, FieldKind::NewPassword, &FormFields::default(), faults)],
        submit: shell.t("reset-submit"),
        ..FormView::default()
    };
    let (title, lead) = (shell.t("reset"), Some(shell.t("reset-lead")));
    FormPage { title, lead, refusal: None, forms: vec![form], links: Vec::new(), shell }
}

/// The page of a reset link.
pub(super) async fn show_reset(shell: Shell, PathText(secret): PathText) -> HttpResult<Response> {
    if !may_be_secret(&secret) {
        return invalid_reset(shell);
    }
    Ok(unreferred(reset_page(shell, &secret, &Faults::new()).answer()?))
}

/// Sets a new password with the secret of a reset link.
pub(super) async fn reset(
    State(app): State<SharedState>,
    shell: Shell,
    PathText(secret): PathText,
    visitor: Result<Visitor, Problem>,
    fields: FormFields,
) -> HttpResult<Response> {
    if !may_be_secret(&secret) {
        return invalid_reset(shell);
    }
    let mut reader = FieldReader::new(&shell, &fields);
    let new = reader.read(FieldKind::NewPassword, |text| Password::parse(text.to_owned()));
    let faults = reader.faults;
    let done = match (visitor, new) {
        (_, None) => return Ok(unreferred(reset_page(shell, &secret, &faults).answer()?)),
        (Ok(_), Some(new)) => app.office.redeem_reset_link(&secret, &new).await.map_err(Problem::from),
        (Err(problem), _) => Err(problem),
    };
    match done {
        Ok(()) => {
            let (title, text) = (shell.t("reset-done"), shell.t("reset-done-text"));
            let links = vec![PageLink::new("/sign-in", shell.t("sign-in"))];
            Ok(unreferred(MessagePage { shell, title, text, links }.answer(StatusCode::OK)?))
        }
        Err(problem) if problem.code() == Refusal::ResetLinkInvalid.code() => invalid_reset(shell),
        Err(problem) => Ok(unreferred(reset_page(shell, &secret, &faults).refused(problem)?)),
    }
}

fn confirm_page(shell: Shell, secret: &str) -> FormPage {
    let form = FormView {
        id: "confirm",
        action: format!("{CONFIRMATION_PATH}{secret}"),
        submit: shell.t("confirm-submit"),
        ..FormView::default()
    };
    let (title, lead) = (shell.t("confirm"), Some(shell.t("confirm-lead")));
    FormPage { title, lead, refusal: None, forms: vec![form], links: Vec::new(), shell }
}

/// The page of a confirmation link.
pub(super) async fn show_confirm(shell: Shell, PathText(secret): PathText) -> HttpResult<Response> {
    if !may_be_secret(&secret) {
        return invalid_confirmation(shell);
    }
    Ok(unreferred(confirm_page(shell, &secret).answer()?))
}

/// Confirms an address with the secret of a link.
pub(super) async fn confirm(
    State(app): State<SharedState>,
    shell: Shell,
    PathText(secret): PathText,
    visitor: Result<Visitor, Problem>,
    _fields: FormFields,
) -> HttpResult<Response> {
    let done = match visitor {
        Ok(_) => app.office.confirm_email(&secret).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match done {
        Ok(()) => {
            let (title, text) = (shell.t("confirm-done"), shell.t("confirm-done-text"));
            let links = vec![PageLink::new("/", shell.t("to-season"))];
            Ok(unreferred(MessagePage { shell, title, text, links }.answer(StatusCode::OK)?))
        }
        Err(problem) if problem.code() == Refusal::ConfirmationLinkInvalid.code() => invalid_confirmation(shell),
        Err(_) if !may_be_secret(&secret) => invalid_confirmation(shell),
        Err(problem) => Ok(unreferred(confirm_page(shell, &secret).refused(problem)?)),
    }
}
