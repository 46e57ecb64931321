//! Signing in, and registering.

use super::{
    Faults, FieldKind, FieldReader, FieldView, FormPage, FormView, MessagePage, PageLink, next_in, with_next,
    without_cookie,
};
use crate::{
    edge::{
        accounts,
        auth::{SignedIn, Visitor},
        cookies::{Scheme, session_cookie},
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    pages::{
        forms::local_path,
        shell::{Account, Shell},
    },
};
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::text::checked_text;
use frontrow_service::{
    accounts::SessionOpened,
    demo,
    validate::{Email, Password, USER_NAME_LEN_MAX},
};

/// The page to sign in.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    signed_in: Result<SignedIn, Problem>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let next = next_in(query.as_deref());
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
    let next = next_in(query.as_deref());
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
        Err(problem) if problem.code() != "unauthorized" => return Err(problem),
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
fn https_needed(shell: Shell, status: StatusCode) -> HttpResult<Response> {
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
        refusal: None,
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
        refusal: None,
        forms: vec![form],
        links: vec![PageLink::new(with_next("/sign-in", next), shell.t("register-to-sign-in"))],
        shell,
    }
}

/// Gives the browser the session, and goes on.
fn signed_in(app: &SharedState, scheme: Scheme, next: &str, opened: &SessionOpened) -> HttpResult<Response> {
    let length = opened.expires_at.since(app.office.now());
    let cookie = session_cookie(scheme, &opened.secret, length);
    let mut response = Redirect::to(next).into_response();
    let cookie = cookie.ok_or_else(|| Problem::internal("a session was opened without a cookie for it"))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Signs in, with a new session, and goes on to the page that the visitor came from.
pub(super) async fn sign_in(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    visitor: Result<Visitor, Problem>,
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
    let opened = match visitor {
        Ok(visitor) => accounts::sign_in(&app, visitor, &email, &password, client).await,
        Err(problem) => Err(problem),
    };
    match opened {
        Ok(opened) => signed_in(&app, scheme, next, &opened),
        Err(problem) => sign_in_page(&app, shell, next, &fields, &faults).refused(problem),
    }
}

/// Registers a buyer, who is signed in at once.
pub(super) async fn register(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    visitor: Result<Visitor, Problem>,
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
    let registered = match visitor {
        Ok(_) => {
            let registered = app.office.register_buyer(name, email, password, shell.language.into()).await;
            registered.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match registered {
        Ok(user) => {
            let opened = app.office.open_session(user, accounts::client_label(&headers)).await?;
            signed_in(&app, scheme, next, &opened)
        }
        Err(problem) if problem.code() == "email_taken" => {
            faults.push((FieldKind::Email, shell.t("fault-email-taken")));
            register_page(shell, next, &fields, &faults).answer()
        }
        Err(problem) => register_page(shell, next, &fields, &faults).refused(problem),
    }
}
