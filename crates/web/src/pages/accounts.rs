//! The pages of an account: sign in, register, the account itself, and what the links of letters lead to.

mod account;
mod demo_letters;
mod first_operator;
mod links;
mod sign_in;

use crate::{
    edge::{
        cookies::{Scheme, clear_session_cookie},
        form::{FieldFault, FormFields},
        problem::HttpResult,
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page},
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    Router,
    http::{StatusCode, header},
    response::{Redirect, Response},
    routing::get,
};
use frontrow_domain::text::InvalidField;
use frontrow_service::{
    second_factor::CODE_LEN_MAX,
    validate::{EMAIL_LEN_MAX, USER_NAME_LEN_MAX},
};

/// The routes of these pages.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-in/code", get(sign_in::to_sign_in).post(sign_in::sign_in_by_code))
        .route("/operator/setup/{secret}", get(first_operator::show).post(first_operator::register))
        .route("/register", get(sign_in::show_register).post(sign_in::register))
        .route("/sign-out", get(to_account).post(account::sign_out))
        .route("/account", get(account::show))
        .route("/account/password", get(to_account).post(account::change_password))
        .route("/account/confirmation", get(to_account).post(account::ask_for_confirmation))
        .route("/account/sessions/{session_id}/end", get(to_account).post(account::end_session))
        .route("/account/sign-out-everywhere", get(to_account).post(account::sign_out_everywhere))
        .route("/account/erase", get(to_account).post(account::erase))
        .route(account::ERASED_PATH, get(account::show_erased))
        .route("/forgot", get(links::show_forgot).post(links::forgot))
        .route(links::FORGOT_DONE_PATH, get(links::show_forgot_done))
        .route("/reset/{secret}", get(links::show_reset).post(links::reset))
        .route(links::RESET_DONE_PATH, get(links::show_reset_done))
        .route("/confirm/{secret}", get(links::show_confirm).post(links::confirm))
        .route(links::CONFIRM_DONE_PATH, get(links::show_confirm_done))
        .route("/demo/letters", get(demo_letters::show))
}

/// From the address of a form, which a browser opens again when its page came back with a fault, to its page.
async fn to_account() -> Redirect {
    Redirect::to("/account")
}

/// A field that these pages ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Name,
    Email,
    /// The password of the account.
    Password,
    /// The password of a new account.
    ChosenPassword,
    OldPassword,
    NewPassword,
    /// A code of an authenticator app, or a recovery code.
    Code,
}

impl FieldKind {
    /// Its name in the form.
    const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
            Self::Password | Self::ChosenPassword => "password",
            Self::OldPassword => "old_password",
            Self::NewPassword => "new_password",
            Self::Code => "code",
        }
    }

    fn label(self, shell: &Shell) -> String {
        match self {
            Self::Name => shell.t("field-name"),
            Self::Email => shell.t("field-email"),
            Self::Password | Self::ChosenPassword => shell.t("field-password"),
            Self::OldPassword => shell.t("field-old-password"),
            Self::NewPassword => shell.t("field-new-password"),
            Self::Code => shell.t("field-code"),
        }
    }

    const fn is_secret(self) -> bool {
        matches!(self, Self::Password | Self::ChosenPassword | Self::OldPassword | Self::NewPassword)
    }

    /// The `type` of its input. An address may have letters of any script, which `email` does not take.
    const fn input_type(self) -> &'static str {
        if self.is_secret() { "password" } else { "text" }
    }

    const fn input_mode(self) -> Option<&'static str> {
        match self {
            Self::Email => Some("email"),
            _ => None,
        }
    }

    const fn autocomplete(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "username",
            Self::Password | Self::OldPassword => "current-password",
            Self::ChosenPassword | Self::NewPassword => "new-password",
            Self::Code => "one-time-code",
        }
    }

    /// How many characters its input takes; none for a secret: a browser would cut a long one off, and its field does not
    /// show that.
    const fn len_max(self) -> Option<usize> {
        match self {
            Self::Name => Some(USER_NAME_LEN_MAX),
            Self::Email => Some(EMAIL_LEN_MAX),
            Self::Code => Some(CODE_LEN_MAX),
            Self::Password | Self::ChosenPassword | Self::OldPassword | Self::NewPassword => None,
        }
    }

    /// Why it has no text to be read.
    fn why_unread(self, shell: &Shell, fault: FieldFault) -> String {
        let label = self.label(shell);
        match fault {
            FieldFault::Missing => shell.t1("fault-missing", "field", label),
            FieldFault::Twice => shell.t1("fault-twice", "field", label),
            FieldFault::NotUtf8 => shell.t1("fault-encoding", "field", label),
        }
    }

    /// Why its text is refused.
    fn why_refused(self, shell: &Shell) -> String {
        match self {
            Self::Name => shell.t("fault-name"),
            Self::Email => shell.t("fault-email"),
            Self::ChosenPassword | Self::NewPassword => shell.t("fault-password"),
            Self::Password | Self::OldPassword => shell.t("fault-password-given"),
            Self::Code => shell.t("fault-code"),
        }
    }
}

/// What is wrong with fields of a form.
type Faults = Vec<(FieldKind, String)>;

/// Reads the fields of a form, and notes what is wrong with each.
struct FieldReader<'a> {
    shell: &'a Shell,
    fields: &'a FormFields,
    faults: Faults,
}

impl<'a> FieldReader<'a> {
    const fn new(shell: &'a Shell, fields: &'a FormFields) -> Self {
        Self { shell, fields, faults: Vec::new() }
    }

    fn read<T>(&mut self, kind: FieldKind, parse: impl FnOnce(&str) -> Result<T, InvalidField>) -> Option<T> {
        let why = match self.fields.text(kind.name()) {
            Ok("") => kind.why_unread(self.shell, FieldFault::Missing),
            Ok(text) => match parse(text) {
                Ok(value) => return Some(value),
                Err(_) if text.trim().is_empty() => kind.why_unread(self.shell, FieldFault::Missing),
                Err(_) => kind.why_refused(self.shell),
            },
            Err(fault) => kind.why_unread(self.shell, fault),
        };
        self.faults.push((kind, why));
        None
    }
}

/// A field as its form shows it.
struct FieldView {
    kind: FieldKind,
    name: &'static str,
    label: String,
    value: String,
    fault: Option<String>,
    hint: Option<String>,
}

impl FieldView {
    /// A field with what was typed, unless it is a secret.
    fn new(shell: &Shell, kind: FieldKind, typed: &FormFields, faults: &Faults) -> Self {
        let value = if kind.is_secret() || kind == FieldKind::Code {
            String::new()
        } else {
            typed.given(kind.name()).to_owned()
        };
        let fault = faults.iter().find(|(at, _)| *at == kind).map(|(_, why)| why.clone());
        let hint = match kind {
            FieldKind::ChosenPassword | FieldKind::NewPassword => Some(shell.t("hint-password")),
            FieldKind::Code => Some(shell.t("hint-code")),
            _ => None,
        };
        Self { kind, name: kind.name(), label: kind.label(shell), value, fault, hint }
    }

    const fn has_words(&self) -> bool {
        self.fault.is_some() || self.hint.is_some()
    }
}

/// A form as a page shows it.
#[derive(Default)]
struct FormView {
    id: &'static str,
    heading: Option<String>,
    text: Option<String>,
    action: String,
    hidden: Vec<(&'static str, String)>,
    fields: Vec<FieldView>,
    submit: String,
    is_quiet: bool,
}

/// The fields at fault, by the id of their input.
fn faults_of(forms: &[FormView]) -> Vec<(String, String)> {
    let all = forms.iter().flat_map(|form| form.fields.iter().map(move |field| (form, field)));
    all.filter_map(|(form, field)| Some((format!("{}-{}", form.id, field.name), field.fault.clone()?))).collect()
}

/// A way to another page.
struct PageLink {
    path: String,
    text: String,
}

impl PageLink {
    fn new(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), text }
    }
}

/// A path with the page to go on to afterwards.
fn with_next(path: &str, next: &str) -> String {
    if next == "/" {
        return path.to_owned();
    }
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{path}?next={next}")
}

/// A page as it is first shown, or with what is wrong with its forms.
fn answer(
    shell: &Shell,
    forms: &[FormView],
    notice: Option<&FormNotice>,
    page: &impl Template,
) -> HttpResult<Response> {
    if notice.is_none() && !faults_of(forms).is_empty() {
        return html(shell, StatusCode::UNPROCESSABLE_ENTITY, page);
    }
    form_page(shell, notice, page)
}

/// A page around forms.
#[derive(Template)]
#[template(path = "accounts/form_page.html")]
struct FormPage {
    shell: Shell,
    title: String,
    lead: Option<String>,
    notice: Option<FormNotice>,
    forms: Vec<FormView>,
    links: Vec<PageLink>,
}

impl FormPage {
    fn faults(&self) -> Vec<(String, String)> {
        faults_of(&self.forms)
    }

    fn answer(&self) -> HttpResult<Response> {
        answer(&self.shell, &self.forms, self.notice.as_ref(), self)
    }

    /// The page again.
    fn came_back(self, notice: FormNotice) -> HttpResult<Response> {
        Self { notice: Some(notice), ..self }.answer()
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "accounts/message.html")]
struct MessagePage {
    shell: Shell,
    title: String,
    text: String,
    links: Vec<PageLink>,
}

impl MessagePage {
    fn answer(&self, status: StatusCode) -> HttpResult<Response> {
        html(&self.shell, status, self)
    }
}

/// Removes the session's cookie.
fn without_cookie(mut response: Response, scheme: Scheme) -> Response {
    if let Some(cookie) = clear_session_cookie(scheme) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
