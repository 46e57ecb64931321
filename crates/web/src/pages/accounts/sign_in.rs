//! Signing in, and registering.

use super::{
    Faults, FieldKind, FieldReader, FieldView, FormPage, FormView, MessagePage, PageLink, with_next, without_cookie,
};
use crate::{
    edge::{
        accounts::{self, FirstStep},
        auth::{SignedIn, Visitor},
        cookies::{Scheme, session_cookie},
        form::{FormFields, FormVisitor},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, local_path, next_in},
        paths,
        shell::{Account, Shell},
    },
};
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    refusal::Refusal,
    text::checked_text,
    user::{LetterLanguage, User},
};
use frontrow_service::{
    accounts::SessionOpened,
    demo,
    office::ServiceError,
    second_factor::FactorStanding,
    validate::{Email, Password, USER_NAME_LEN_MAX},
};

/// The form for the code of a second factor.
const CODE_PATH: &str = "/sign-in/code";
/// The hidden field that says whose password was right.
const TICKET_FIELD: &str = "ticket";

/// The page to sign in.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    signed_in: Result<SignedIn, Problem>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let next = next_in(query.as_deref(), "/");
    shown(&app, shell, scheme, signed_in, &next, |shell| {
        sign_in_page(&app, shell, &next, &FormFields::default(), &Faults::new())
    })
}

/// The page to register.
pub(super) async fn show_register(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    signed_in: Result<SignedIn, Problem>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let next = next_in(query.as_deref(), "/");
    shown(&app, shell, scheme, signed_in, &next, |shell| {
        register_page(shell, &next, &FormFields::default(), &Faults::new())
    })
}

/// A page for visitors without a session: one with a session goes on. A cookie without a session is removed.
fn shown(
    app: &SharedState,
    mut shell: Shell,
    scheme: Scheme,
    signed_in: Result<SignedIn, Problem>,
    next: &str,
    page: impl FnOnce(Shell) -> FormPage,
) -> HttpResult<Response> {
    match signed_in {
        Ok(_) => return Ok(Redirect::to(next).into_response()),
        Err(problem) if problem.code() != codes::UNAUTHORIZED.code => return Err(problem),
        Err(_) => {}
    }
    if scheme == Scheme::Plain {
        app.limits.report_plain_sign_in();
        return https_needed(shell, StatusCode::OK);
    }
    let had_cookie = shell.is_signed_in();
    shell.account = Account::SignedOut;
    let response = page(shell).answer()?;
    Ok(if had_cookie { without_cookie(response, scheme) } else { response })
}

/// Says that a session needs https.
pub(super) fn https_needed(shell: Shell, status: StatusCode) -> HttpResult<Response> {
    let (title, text) = (shell.t("sign-in-https"), shell.t("sign-in-https-text"));
    MessagePage { shell, title, text, links: Vec::new() }.answer(status)
}

fn sign_in_page(app: &SharedState, shell: Shell, next: &str, typed: &FormFields, faults: &Faults) -> FormPage {
    let hidden = vec![("next", next.to_owned())];
    let fields = [FieldKind::Email, FieldKind::Password].map(|kind| FieldView::new(&shell, kind, typed, faults));
    let mut forms = vec![FormView {
        id: "sign-in",
        action: "/sign-in".to_owned(),
        hidden: hidden.clone(),
        fields: fields.into(),
        submit: shell.t("sign-in"),
        ..FormView::default()
    }];
    if app.office.is_demo() {
        let accounts = [
            ("demo-buyer", demo::BUYER, shell.t("sign-in-demo-buyer"), Some(shell.t("sign-in-demo-text"))),
            ("demo-operator", demo::OPERATOR, shell.t("sign-in-demo-operator"), None),
        ];
        forms.extend(accounts.map(|(id, email, submit, text)| {
            let known = [("email", email.to_owned()), ("password", demo::PASSWORD.to_owned())];
            let hidden = hidden.iter().cloned().chain(known).collect();
            FormView { id, text, action: "/sign-in".to_owned(), hidden, submit, is_quiet: true, ..FormView::default() }
        }));
    }
    FormPage {
        title: shell.t("sign-in"),
        lead: (next != "/").then(|| shell.t("sign-in-lead")),
        notice: None,
        forms,
        links: vec![
            PageLink::new(with_next("/register", next), shell.t("sign-in-to-register")),
            PageLink::new("/forgot", shell.t("sign-in-to-forgot")),
        ],
        shell,
    }
}

fn register_page(shell: Shell, next: &str, typed: &FormFields, faults: &Faults) -> FormPage {
    let kinds = [FieldKind::Name, FieldKind::Email, FieldKind::ChosenPassword];
    let form = FormView {
        id: "register",
        action: "/register".to_owned(),
        hidden: vec![("next", next.to_owned())],
        fields: kinds.map(|kind| FieldView::new(&shell, kind, typed, faults)).into(),
        submit: shell.t("register"),
        ..FormView::default()
    };
    FormPage {
        title: shell.t("register"),
        lead: Some(shell.t("register-lead")),
        notice: None,
        forms: vec![form],
        links: vec![PageLink::new(with_next("/sign-in", next), shell.t("register-to-sign-in"))],
        shell,
    }
}

/// The page that asks for the code of a second factor. `ticket` says whose password was right.
fn code_page(shell: Shell, next: &str, ticket: &str, faults: &Faults) -> FormPage {
    let form = FormView {
        id: "code",
        action: CODE_PATH.to_owned(),
        hidden: vec![("next", next.to_owned()), (TICKET_FIELD, ticket.to_owned())],
        fields: vec![FieldView::new(&shell, FieldKind::Code, &FormFields::default(), faults)],
        submit: shell.t("sign-in"),
        ..FormView::default()
    };
    FormPage {
        title: shell.t("sign-in-code"),
        lead: Some(shell.t("sign-in-code-lead")),
        notice: None,
        forms: vec![form],
        links: vec![PageLink::new(with_next("/sign-in", next), shell.t("sign-in-code-again"))],
        shell,
    }
}

/// From the address of the form for a code, which a browser opens again, to the page that it begins with.
pub(super) async fn to_sign_in() -> Redirect {
    Redirect::to("/sign-in")
}

/// Where a user goes on to after signing in: an operator without a second factor is offered one first.
async fn way_on(app: &SharedState, next: &str, user: &User) -> String {
    if !user.role.sees_sale() || app.office.is_demo() {
        return next.to_owned();
    }
    let next = if next == "/" { "/operator" } else { next };
    match app.office.factor_standing(user.user_id).await {
        Ok(FactorStanding::Unset | FactorStanding::Pending { .. }) => with_next(paths::SECOND_FACTOR, next),
        // The session is open: an offer that cannot be made now is made the next time.
        Ok(FactorStanding::Declined | FactorStanding::On { .. }) | Err(_) => next.to_owned(),
    }
}

/// Gives the browser the session, and goes on.
pub(super) async fn signed_in(
    app: &SharedState,
    scheme: Scheme,
    next: &str,
    opened: &SessionOpened,
) -> HttpResult<Response> {
    let length = opened.expires_at.since(app.office.now());
    let cookie = session_cookie(scheme, &opened.secret, length);
    let mut response = Redirect::to(&way_on(app, next, &opened.user).await).into_response();
    let cookie = cookie.ok_or_else(|| Problem::internal("a session was opened without a cookie for it"))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Why a sign-in was refused, for the form that it came from.
fn notice_of(shell: &Shell, problem: Problem) -> HttpResult<FormNotice> {
    if problem.code() == codes::UNAUTHORIZED.code {
        return Ok(FormNotice {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: shell.t("sign-in-wrong"),
            text: shell.t("sign-in-wrong-text"),
            retry_after: None,
        });
    }
    FormNotice::limited_as(shell, problem, ("sign-in-rate-limited", "sign-in-rate-limited-text"))
}

/// Signs in, with a new session, and goes on to the page that the visitor came from.
pub(super) async fn sign_in(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    FormVisitor(visitor): FormVisitor,
    headers: HeaderMap,
    fields: FormFields,
) -> HttpResult<Response> {
    if scheme == Scheme::Plain {
        return https_needed(shell, StatusCode::FORBIDDEN);
    }
    let next = local_path(fields.given("next"));
    let mut reader = FieldReader::new(&shell, &fields);
    let email = reader.read(FieldKind::Email, Email::parse_known);
    let password = reader.read(FieldKind::Password, |text| Password::parse_given(text.to_owned()));
    let faults = reader.faults;
    let (Some(email), Some(password)) = (email, password) else {
        return sign_in_page(&app, shell, next, &fields, &faults).answer();
    };
    let client = accounts::client_label(&headers);
    let step = match visitor {
        Ok(visitor) => accounts::first_step(&app, visitor, &email, &password, client).await,
        Err(problem) => Err(problem),
    };
    match step {
        Ok(FirstStep::Opened(opened)) => signed_in(&app, scheme, next, &opened).await,
        Ok(FirstStep::CodeNeeded(ticket)) => code_page(shell, next, &ticket, &Faults::new()).answer(),
        Err(problem) => {
            let notice = notice_of(&shell, problem)?;
            sign_in_page(&app, shell, next, &fields, &faults).came_back(notice)
        }
    }
}

/// Goes on with a sign-in by the code of a second factor.
pub(super) async fn sign_in_by_code(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    FormVisitor(visitor): FormVisitor,
    headers: HeaderMap,
    fields: FormFields,
) -> HttpResult<Response> {
    if scheme == Scheme::Plain {
        return https_needed(shell, StatusCode::FORBIDDEN);
    }
    let next = local_path(fields.given("next"));
    let text = fields.given(TICKET_FIELD).to_owned();
    let Some(ticket) = app.office.read_code_ticket(&text) else { return begin_again(&app, shell, next) };
    let mut reader = FieldReader::new(&shell, &fields);
    let code = reader.read(FieldKind::Code, |code| Ok(code.to_owned()));
    let faults = reader.faults;
    let Some(code) = code else { return code_page(shell, next, &text, &faults).answer() };
    let client = accounts::client_label(&headers);
    let opened = match visitor {
        Ok(visitor) => accounts::second_step(&app, visitor, ticket, &code, client).await,
        Err(problem) => Err(problem),
    };
    match opened {
        Ok(opened) => signed_in(&app, scheme, next, &opened).await,
        Err(problem) if problem.refusal() == Some(&Refusal::AccountChanged) => begin_again(&app, shell, next),
        Err(problem) => {
            let notice =
                FormNotice::limited_as(&shell, problem, ("sign-in-rate-limited", "sign-in-rate-limited-text"))?;
            code_page(shell, next, &text, &faults).came_back(notice)
        }
    }
}

/// The sign-in page, since the password was proved too long ago.
fn begin_again(app: &SharedState, shell: Shell, next: &str) -> HttpResult<Response> {
    let notice = FormNotice {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: shell.t("sign-in-code-late"),
        text: shell.t("sign-in-code-late-text"),
        retry_after: None,
    };
    sign_in_page(app, shell, next, &FormFields::default(), &Faults::new()).came_back(notice)
}

/// Registers a buyer, who is signed in at once. An account that has this address and this password already is signed in
/// to: its form was sent twice, or the answer to the first was lost.
async fn register_and_open(
    app: &SharedState,
    visitor: Visitor,
    headers: &HeaderMap,
    (name, email, password): (String, Email, Password),
    language: LetterLanguage,
) -> HttpResult<SessionOpened> {
    let client = accounts::client_label(headers);
    match app.office.register_buyer(name, email.clone(), password.clone(), language).await {
        Ok(user) => Ok(app.office.open_session(user, client).await?),
        Err(ServiceError::Refused(Refusal::EmailTaken)) => {
            let opened = accounts::sign_in(app, visitor, &email, &password, None, client).await;
            let is_wrong =
                |problem: &Problem| [codes::UNAUTHORIZED.code, codes::RATE_LIMITED.code].contains(&problem.code());
            opened.map_err(|problem| if is_wrong(&problem) { Refusal::EmailTaken.into() } else { problem })
        }
        Err(stop) => Err(stop.into()),
    }
}

/// Registers a buyer, and goes on to the page that the visitor came from.
pub(super) async fn register(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    FormVisitor(visitor): FormVisitor,
    headers: HeaderMap,
    fields: FormFields,
) -> HttpResult<Response> {
    if scheme == Scheme::Plain {
        return https_needed(shell, StatusCode::FORBIDDEN);
    }
    let next = local_path(fields.given("next"));
    let mut reader = FieldReader::new(&shell, &fields);
    let name = reader.read(FieldKind::Name, |text| checked_text("name", text, USER_NAME_LEN_MAX));
    let email = reader.read(FieldKind::Email, Email::parse);
    let password = reader.read(FieldKind::ChosenPassword, |text| Password::parse(text.to_owned()));
    let mut faults = reader.faults;
    let (Some(name), Some(email), Some(password)) = (name, email, password) else {
        return register_page(shell, next, &fields, &faults).answer();
    };
    let opened = match visitor {
        Ok(visitor) => {
            let account = (name, email, password);
            register_and_open(&app, visitor, &headers, account, shell.language.into()).await
        }
        Err(problem) => Err(problem),
    };
    match opened {
        Ok(opened) => signed_in(&app, scheme, next, &opened).await,
        Err(problem) if problem.refusal() == Some(&Refusal::EmailTaken) => {
            faults.push((FieldKind::Email, shell.t("fault-email-taken")));
            register_page(shell, next, &fields, &faults).answer()
        }
        Err(problem) => {
            let notice = FormNotice::of(&shell, problem)?;
            register_page(shell, next, &fields, &faults).came_back(notice)
        }
    }
}
