//! The pages of an account: sign in, register, the account itself, and what the links of letters lead to.

mod account;
mod demo_letters;
mod links;
mod sign_in;

use crate::{
    edge::{
        cookies::{Scheme, clear_session_cookie},
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    pages::{
        forms::local_path,
        language::Language,
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use frontrow_domain::{text::InvalidField, user::LetterLanguage};

/// The routes of these pages.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/register", get(sign_in::show_register).post(sign_in::register))
        .route("/sign-out", post(account::sign_out))
        .route("/account", get(account::show))
        .route("/account/password", post(account::change_password))
        .route("/account/confirmation", post(account::ask_for_confirmation))
        .route("/account/sessions/{session_id}/end", post(account::end_session))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
        .route("/account/erase", post(account::erase))
        .route("/forgot", get(links::show_forgot).post(links::forgot))
        .route("/reset/{secret}", get(links::show_reset).post(links::reset))
        .route("/confirm/{secret}", get(links::show_confirm).post(links::confirm))
        .route("/demo/letters", get(demo_letters::show))
}

impl From<Language> for LetterLanguage {
    fn from(language: Language) -> Self {
        match language {
            Language::Korean => Self::Korean,
            Language::English => Self::English,
        }
    }
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
        }
    }

    fn label(self, shell: &Shell) -> String {
        match self {
            Self::Name => shell.t("field-name"),
            Self::Email => shell.t("field-email"),
            Self::Password | Self::ChosenPassword => shell.t("field-password"),
            Self::OldPassword => shell.t("field-old-password"),
            Self::NewPassword => shell.t("field-new-password"),
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
        }
    }

    /// What is wrong with its value.
    fn why(self, shell: &Shell, value: &str, bad: &InvalidField) -> String {
        let label = self.label(shell);
        match (&*bad.reason, self) {
            ("is missing", _) => shell.t1("fault-missing", "field", label),
            ("is there twice", _) => shell.t1("fault-twice", "field", label),
            ("is not UTF-8", _) => shell.t1("fault-encoding", "field", label),
            _ if value.trim().is_empty() => shell.t1("fault-missing", "field", label),
            (_, Self::Name) => shell.t("fault-name"),
            (_, Self::Email) => shell.t("fault-email"),
            (_, Self::ChosenPassword | Self::NewPassword) => shell.t("fault-password"),
            (_, Self::Password | Self::OldPassword) => shell.t("fault-password-given"),
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
        let empty = || InvalidField::new(kind.name(), "is missing");
        let given = self.fields.one(kind.name());
        let read = given.and_then(|text| if text.is_empty() { Err(empty()) } else { parse(text) });
        read.map_err(|bad| {
            let why = kind.why(self.shell, self.fields.given(kind.name()), &bad);
            self.faults.push((kind, why));
        })
        .ok()
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
        let value = if kind.is_secret() { String::new() } else { typed.given(kind.name()).to_owned() };
        let fault = faults.iter().find(|(at, _)| *at == kind).map(|(_, why)| why.clone());
        let hint = match kind {
            FieldKind::ChosenPassword | FieldKind::NewPassword => Some(shell.t("hint-password")),
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

/// The page to go on to, as a query says.
fn next_in(query: Option<&str>) -> String {
    let mut fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let next = fields.find(|(name, _)| name == "next");
    next.map_or_else(|| "/".to_owned(), |(_, next)| local_path(&next).to_owned())
}

/// A page around forms.
#[derive(Template)]
#[template(path = "accounts/form_page.html")]
struct FormPage {
    shell: Shell,
    title: String,
    lead: Option<String>,
    refusal: Option<(String, String)>,
    forms: Vec<FormView>,
    links: Vec<PageLink>,
}

impl FormPage {
    fn faults(&self) -> Vec<(String, String)> {
        faults_of(&self.forms)
    }

    /// As it is first shown, or with what is wrong.
    fn answer(&self) -> HttpResult<Response> {
        let status = if self.faults().is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        html(&self.shell, status, self)
    }

    /// The page again, with the words for a problem.
    fn refused(mut self, problem: Problem) -> HttpResult<Response> {
        let Refused { words, status, retry_after } = Refused::of(&self.shell, problem)?;
        self.refusal = Some(words);
        let mut response = html(&self.shell, status, &self)?;
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        Ok(response)
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

/// Problems that a form can do something about: it comes back with their words. Others have a page of their own.
const IN_FORM: [&str; 9] = [
    "unauthorized",
    "account_locked",
    "account_changed",
    "demo_account",
    "operator_account",
    "balance_left",
    "tickets_left",
    "debt_left",
    "rate_limited",
];

/// What a form says of a problem.
struct Refused {
    words: (String, String),
    status: StatusCode,
    retry_after: Option<HeaderValue>,
}

impl Refused {
    /// The words for a problem.
    ///
    /// # Errors
    /// The problem itself, if it is not one for a form.
    fn of(shell: &Shell, problem: Problem) -> HttpResult<Self> {
        let code = problem.code();
        if !IN_FORM.contains(&code) {
            return Err(problem);
        }
        let words = match code {
            "unauthorized" => (shell.t("sign-in-wrong"), shell.t("sign-in-wrong-text")),
            "rate_limited" => (shell.t("sign-in-rate-limited"), shell.t("sign-in-rate-limited-text")),
            code => {
                let find = |id: String| shell.find(&id).unwrap_or_default();
                (find(format!("problem-{code}")), find(format!("problem-{code}-text")))
            }
        };
        let answered = problem.into_response();
        let status = match answered.status() {
            StatusCode::UNAUTHORIZED => StatusCode::UNPROCESSABLE_ENTITY,
            status => status,
        };
        Ok(Self { words, status, retry_after: answered.headers().get(header::RETRY_AFTER).cloned() })
    }
}

/// Removes the session's cookie.
fn without_cookie(mut response: Response, scheme: Scheme) -> Response {
    if let Some(cookie) = clear_session_cookie(scheme) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Keeps the address of the page, in which a secret stands, from other servers.
fn unreferred(mut response: Response) -> Response {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
