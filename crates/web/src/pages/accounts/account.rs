//! The account: its data, its sessions, and their end.

use super::{
    Faults, FieldKind, FieldReader, FieldView, FormView, MessagePage, PageLink, answer, faults_of,
    links::LETTERS_LIMITED, without_cookie,
};
use crate::{
    edge::{
        accounts,
        auth::{SessionSecret, SignedIn},
        cookies::Scheme,
        extract::{PathId, PathKey as _},
        form::{FormFields, FormVisitor},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, fresh_key, key_of},
        shell::{Account, HOME_ZONE, Shell},
    },
};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    id::{SessionId, UserId},
    refusal::{EntityKind, Refusal},
    user::UserStatus,
};
use frontrow_service::{sessions::OwnSession, validate::Password};

/// Where the form that erases an account leads to.
pub(super) const ERASED_PATH: &str = "/account/erased";
/// The field of that form that says whose account it is.
const USER_FIELD: &str = "user";

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
    notice: Option<FormNotice>,
    user_name: String,
    email: String,
    email_state: String,
    asks_to_confirm: bool,
    /// Whether the account is one of the box office: it has the cockpit and a second factor.
    sees_sale: bool,
    /// The key of the form that asks for a letter.
    key: String,
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
                hidden: vec![(USER_FIELD, user_id.to_string())],
                fields: vec![field(FieldKind::Password)],
                submit: shell.t("account-erase-submit"),
                is_quiet: true,
            },
        ];
        Ok(Self {
            done: None,
            notice: None,
            user_name: user.name,
            email: user.email,
            email_state,
            asks_to_confirm,
            sees_sale: user.role.sees_sale(),
            key: fresh_key(),
            sessions: sessions.iter().map(|session| SessionView::new(&shell, session)).collect(),
            forms,
            shell,
        })
    }

    fn faults(&self) -> Vec<(String, String)> {
        faults_of(&self.forms)
    }

    fn answer(&self) -> HttpResult<Response> {
        answer(&self.shell, &self.forms, self.notice.as_ref(), self)
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

/// Signs out here, and removes the cookie. Only a session is ended: what is none costs no command.
pub(super) async fn sign_out(
    State(app): State<SharedState>,
    scheme: Scheme,
    signed_in: HttpResult<SignedIn>,
    secret: HttpResult<SessionSecret>,
    _fields: FormFields,
) -> HttpResult<Response> {
    match (signed_in, secret) {
        (Ok(_), Ok(SessionSecret(secret))) => app.office.sign_out(&secret).await?,
        (Err(problem), _) | (_, Err(problem)) if problem.code() != codes::UNAUTHORIZED.code => return Err(problem),
        _ => {}
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

/// Asks for the letter that confirms the address, once for the key of the form.
pub(super) async fn ask_for_confirmation(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    SessionSecret(secret): SessionSecret,
    fields: FormFields,
) -> HttpResult<Response> {
    let SignedIn { caller, user_id } = signed_in;
    let key = key_of(&fields).and_then(|key| key.bind(caller, &Method::POST, "/account/confirmation", &[], &()));
    let asked = match key {
        Ok(key) => accounts::request_email_confirmation(&app, signed_in, shell.language.into(), key).await,
        Err(problem) => Err(problem),
    };
    let Err(problem) = asked else { return Ok(Redirect::to("/account?done=letter").into_response()) };
    let notice = FormNotice::limited_as(&shell, problem, LETTERS_LIMITED)?;
    let page = AccountPage::of(&app, shell, user_id, &secret, &Faults::new()).await?;
    AccountPage { notice: Some(notice), ..page }.answer()
}

/// Changes the password.
pub(super) async fn change_password(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    SessionSecret(secret): SessionSecret,
    FormVisitor(visitor): FormVisitor,
    fields: FormFields,
) -> HttpResult<Response> {
    let user_id = signed_in.user_id;
    let mut reader = FieldReader::new(&shell, &fields);
    let old = reader.read(FieldKind::OldPassword, |text| Password::parse_given(text.to_owned()));
    let new = reader.read(FieldKind::NewPassword, |text| Password::parse(text.to_owned()));
    let faults = reader.faults;
    let changed = match (visitor, old.zip(new)) {
        (_, None) => return AccountPage::of(&app, shell, user_id, &secret, &faults).await?.answer(),
        (Ok(visitor), Some((old, new))) => {
            let changed = accounts::change_password(&app, visitor, signed_in, &secret, &old, &new).await;
            let may_be_repeated =
                changed.as_ref().is_err_and(|problem| is_wrong(problem) || is_of_another_epoch(problem)) && old != new;
            if may_be_repeated && matches!(accounts::is_password(&app, visitor, user_id, &new).await, Ok(true)) {
                // The form may have been sent twice. What the first one did is not known here, so nothing is claimed.
                let faults = vec![(FieldKind::NewPassword, shell.t("fault-password-same"))];
                return AccountPage::of(&app, shell, user_id, &secret, &faults).await?.answer();
            }
            changed
        }
        (Err(problem), _) => Err(problem),
    };
    match changed {
        Ok(()) => Ok(Redirect::to("/account?done=password").into_response()),
        Err(problem) => refused(&app, shell, user_id, &secret, FieldKind::OldPassword, problem).await,
    }
}

/// Whether the password that was repeated is wrong.
fn is_wrong(problem: &Problem) -> bool {
    problem.code() == codes::WRONG_PASSWORD.code
}

/// Whether the account changed after the password was checked.
fn is_of_another_epoch(problem: &Problem) -> bool {
    problem.refusal() == Some(&Refusal::AccountChanged)
}

/// The page of the account again, with what was refused: a wrong password at its field, all else at the top.
async fn refused(
    app: &SharedState,
    shell: Shell,
    user_id: UserId,
    secret: &str,
    repeated: FieldKind,
    problem: Problem,
) -> HttpResult<Response> {
    if is_wrong(&problem) {
        let faults = vec![(repeated, shell.t("fault-password-wrong"))];
        return AccountPage::of(app, shell, user_id, secret, &faults).await?.answer();
    }
    let notice = FormNotice::of(&shell, problem)?;
    let page = AccountPage::of(app, shell, user_id, secret, &Faults::new()).await?;
    AccountPage { notice: Some(notice), ..page }.answer()
}

/// Whether an account is erased.
async fn is_erased(app: &SharedState, user_id: UserId) -> HttpResult<bool> {
    Ok(app.office.user(user_id).await?.is_some_and(|user| user.status == UserStatus::Erased))
}

fn erased(scheme: Scheme) -> Response {
    without_cookie(Redirect::to(ERASED_PATH).into_response(), scheme)
}

/// Erases the account. A form that is sent twice names the account, whose sessions have ended.
pub(super) async fn erase(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    signed_in: HttpResult<SignedIn>,
    secret: HttpResult<SessionSecret>,
    FormVisitor(visitor): FormVisitor,
    fields: FormFields,
) -> HttpResult<Response> {
    let (signed_in, SessionSecret(secret)) = match (signed_in, secret) {
        (Ok(signed_in), Ok(secret)) => (signed_in, secret),
        (Err(problem), _) | (_, Err(problem)) => {
            let named = UserId::from_text(fields.given(USER_FIELD)).ok().filter(|_| visitor.is_ok());
            return match named {
                Some(user_id) if is_erased(&app, user_id).await? => Ok(erased(scheme)),
                _ => Err(problem),
            };
        }
    };
    let user_id = signed_in.user_id;
    let mut reader = FieldReader::new(&shell, &fields);
    let password = reader.read(FieldKind::Password, |text| Password::parse_given(text.to_owned()));
    let faults = reader.faults;
    let done = match (visitor, password) {
        (_, None) => return AccountPage::of(&app, shell, user_id, &secret, &faults).await?.answer(),
        (Ok(visitor), Some(password)) => accounts::erase_own(&app, visitor, signed_in, &password).await,
        (Err(problem), _) => Err(problem),
    };
    match done {
        Ok(()) => Ok(erased(scheme)),
        Err(_) if is_erased(&app, user_id).await? => Ok(erased(scheme)),
        Err(problem) => refused(&app, shell, user_id, &secret, FieldKind::Password, problem).await,
    }
}

/// Says that the account is erased.
pub(super) async fn show_erased(mut shell: Shell) -> HttpResult<Response> {
    shell.account = Account::SignedOut;
    let (title, text) = (shell.t("account-erased"), shell.t("account-erased-text"));
    let links = vec![PageLink::new("/", shell.t("to-season"))];
    MessagePage { shell, title, text, links }.answer(StatusCode::OK)
}
