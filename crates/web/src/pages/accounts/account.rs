//! The account: its data, its sessions, and their end.

use super::{
    Faults, FieldKind, FieldReader, FieldView, FormView, MessagePage, PageLink, Refused, faults_of, without_cookie,
};
use crate::{
    edge::{
        accounts,
        auth::{SessionSecret, SignedIn, Visitor},
        cookies::Scheme,
        extract::PathId,
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    pages::shell::{Account, HOME_ZONE, Shell, html},
};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    id::{SessionId, UserId},
    refusal::{EntityKind, Refusal},
};
use frontrow_service::{sessions::OwnSession, validate::Password};

/// A session as the page shows it.
struct SessionView {
    id: String,
    client: String,
    opened: String,
    end_label: String,
    is_current: bool,
}

impl SessionView {
    fn new(shell: &Shell, session: &OwnSession) -> Self {
        let client = session.client.map_or_else(|| shell.t("account-session-unknown"), |label| label.to_string());
        Self {
            id: session.session_id.to_string(),
            opened: shell.t1("account-session-opened", "at", shell.moment(&session.created_at, HOME_ZONE)),
            end_label: shell.t1("account-session-end-of", "client", &client),
            client,
            is_current: session.is_current,
        }
    }
}

/// The page of the account.
#[derive(Template)]
#[template(path = "accounts/account.html")]
struct AccountPage {
    shell: Shell,
    done: Option<String>,
    refusal: Option<(String, String)>,
    user_name: String,
    email: String,
    email_state: String,
    asks_to_confirm: bool,
    sessions: Vec<SessionView>,
    forms: Vec<FormView>,
}

impl AccountPage {
    async fn of(app: &SharedState, shell: Shell, user_id: UserId, secret: &str, faults: &Faults) -> HttpResult<Self> {
        let user = app.office.user(user_id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
        let sessions = app.office.sessions(user_id, secret).await?;
        let asks_to_confirm = user.email_confirmed_at.is_none() && app.office.sends_letters();
        let email_state = match user.email_confirmed_at {
            Some(at) => shell.t1("account-confirmed", "at", shell.moment(&at, HOME_ZONE)),
            None if asks_to_confirm => shell.t("account-unconfirmed"),
            None => shell.t("account-unconfirmed-no-letters"),
        };
        let nothing = FormFields::default();
        let field = |kind| FieldView::new(&shell, kind, &nothing, faults);
        let forms = vec![
            FormView {
                id: "password",
                heading: Some(shell.t("account-password")),
                text: Some(shell.t("account-password-text")),
                action: "/account/password".to_owned(),
                fields: vec![field(FieldKind::OldPassword), field(FieldKind::NewPassword)],
                submit: shell.t("account-password-submit"),
                ..FormView::default()
            },
            FormView {
                id: "erase",
                heading: Some(shell.t("account-erase")),
                text: Some(shell.t("account-erase-text")),
                action: "/account/erase".to_owned(),
                fields: vec![field(FieldKind::Password)],
                submit: shell.t("account-erase-submit"),
                is_quiet: true,
                ..FormView::default()
            },
        ];
        Ok(Self {
            done: None,
            refusal: None,
            user_name: user.name,
            email: user.email,
            email_state,
            asks_to_confirm,
            sessions: sessions.iter().map(|session| SessionView::new(&shell, session)).collect(),
            forms,
            shell,
        })
    }

    fn faults(&self) -> Vec<(String, String)> {
        faults_of(&self.forms)
    }

    fn answer(&self) -> HttpResult<Response> {
        let status = if self.faults().is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        html(&self.shell, status, self)
    }

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

/// The words for what was done before, as the query says.
fn done(shell: &Shell, query: Option<&str>) -> Option<String> {
    match query?.strip_prefix("done=")? {
        "password" => Some(shell.t("account-done-password")),
        "letter" => Some(shell.t("account-done-letter")),
        "session" => Some(shell.t("account-done-session")),
        _ => None,
    }
}

/// The page of the account.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { user_id, .. }: SignedIn,
    SessionSecret(secret): SessionSecret,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let done = done(&shell, query.as_deref());
    let page = AccountPage::of(&app, shell, user_id, &secret, &Faults::new()).await?;
    AccountPage { done, ..page }.answer()
}

/// Signs out here, and removes the cookie, whether its session goes on or not.
pub(super) async fn sign_out(
    State(app): State<SharedState>,
    scheme: Scheme,
    secret: Result<SessionSecret, Problem>,
    _fields: FormFields,
) -> HttpResult<Response> {
    if let Ok(SessionSecret(secret)) = secret {
        app.office.sign_out(&secret).await?;
    }
    Ok(without_cookie(Redirect::to("/").into_response(), scheme))
}

/// Signs out everywhere.
pub(super) async fn sign_out_everywhere(
    State(app): State<SharedState>,
    scheme: Scheme,
    SignedIn { caller, user_id }: SignedIn,
    _fields: FormFields,
) -> HttpResult<Response> {
    app.office.sign_out_everywhere(caller, user_id).await?;
    Ok(without_cookie(Redirect::to("/sign-in").into_response(), scheme))
}

/// Ends one session. One that has ended meanwhile is as good.
pub(super) async fn end_session(
    State(app): State<SharedState>,
    SignedIn { caller, user_id }: SignedIn,
    PathId(session_id): PathId<SessionId>,
    _fields: FormFields,
) -> HttpResult<Response> {
    match app.office.end_session(caller, user_id, session_id).await.map_err(Problem::from) {
        Err(problem) if problem.code() != "not_found" => Err(problem),
        _ => Ok(Redirect::to("/account?done=session").into_response()),
    }
}

/// Asks for the letter that confirms the address.
pub(super) async fn ask_for_confirmation(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    SessionSecret(secret): SessionSecret,
    _fields: FormFields,
) -> HttpResult<Response> {
    let user_id = signed_in.user_id;
    match accounts::request_email_confirmation(&app, signed_in, shell.language.into()).await {
        Ok(()) => Ok(Redirect::to("/account?done=letter").into_response()),
        Err(problem) => AccountPage::of(&app, shell, user_id, &secret, &Faults::new()).await?.refused(problem),
    }
}

/// Changes the password.
pub(super) async fn change_password(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    SessionSecret(secret): SessionSecret,
    visitor: Result<Visitor, Problem>,
    fields: FormFields,
) -> HttpResult<Response> {
    let user_id = signed_in.user_id;
    let mut reader = FieldReader::new(&shell, &fields);
    let old = reader.read(FieldKind::OldPassword, |text| Password::parse_given(text.to_owned()));
    let new = reader.read(FieldKind::NewPassword, |text| Password::parse(text.to_owned()));
    let mut faults = reader.faults;
    let changed = match (visitor, old.zip(new)) {
        (_, None) => return AccountPage::of(&app, shell, user_id, &secret, &faults).await?.answer(),
        (Ok(visitor), Some((old, new))) => {
            accounts::change_password(&app, visitor, signed_in, &secret, &old, &new).await
        }
        (Err(problem), _) => Err(problem),
    };
    match changed {
        Ok(()) => Ok(Redirect::to("/account?done=password").into_response()),
        Err(problem) if problem.code() == "wrong_password" => {
            faults.push((FieldKind::OldPassword, shell.t("fault-password-wrong")));
            AccountPage::of(&app, shell, user_id, &secret, &faults).await?.answer()
        }
        Err(problem) => AccountPage::of(&app, shell, user_id, &secret, &faults).await?.refused(problem),
    }
}

/// Erases the account.
pub(super) async fn erase(
    State(app): State<SharedState>,
    mut shell: Shell,
    scheme: Scheme,
    signed_in: SignedIn,
    SessionSecret(secret): SessionSecret,
    visitor: Result<Visitor, Problem>,
    fields: FormFields,
) -> HttpResult<Response> {
    let user_id = signed_in.user_id;
    let mut reader = FieldReader::new(&shell, &fields);
    let password = reader.read(FieldKind::Password, |text| Password::parse_given(text.to_owned()));
    let mut faults = reader.faults;
    let erased = match (visitor, password) {
        (_, None) => return AccountPage::of(&app, shell, user_id, &secret, &faults).await?.answer(),
        (Ok(visitor), Some(password)) => accounts::erase_own(&app, visitor, signed_in, &password).await,
        (Err(problem), _) => Err(problem),
    };
    match erased {
        Ok(()) => {
            shell.account = Account::SignedOut;
            let (title, text) = (shell.t("account-erased"), shell.t("account-erased-text"));
            let links = vec![PageLink::new("/", shell.t("to-season"))];
            let page = MessagePage { shell, title, text, links };
            Ok(without_cookie(page.answer(StatusCode::OK)?, scheme))
        }
        Err(problem) if problem.code() == "wrong_password" => {
            faults.push((FieldKind::Password, shell.t("fault-password-wrong")));
            AccountPage::of(&app, shell, user_id, &secret, &faults).await?.answer()
        }
        Err(problem) => AccountPage::of(&app, shell, user_id, &secret, &faults).await?.refused(problem),
    }
}
