//! The first operator registers, by the link that the start of a server without an operator printed.

use super::{
    Faults, FieldKind, FieldReader, FieldView, FormPage, FormView,
    sign_in::{https_needed, signed_in},
};
use crate::{
    edge::{
        accounts,
        auth::PublicRead,
        cookies::Scheme,
        extract::PathText,
        form::{FormFields, FormVisitor},
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{forms::FormNotice, shell::Shell},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use frontrow_domain::{
    refusal::{EntityKind, Refusal},
    text::checked_text,
    user::OperatorPresence,
};
use frontrow_service::{
    first_operator::FIRST_OPERATOR_PATH,
    validate::{Email, Password, USER_NAME_LEN_MAX},
};

/// Every other link, and this one once there has been an operator, is a page that does not exist.
fn nothing_here() -> Problem {
    Refusal::NotFound { what: EntityKind::User }.into()
}

/// Refuses a link that is not the printed one, or is no longer good.
async fn check(app: &SharedState, secret: &str) -> HttpResult<()> {
    let is_good =
        app.office.is_first_operator_secret(secret) && app.office.operators().await? == OperatorPresence::Never;
    if is_good { Ok(()) } else { Err(nothing_here()) }
}

fn page(shell: Shell, secret: &str, typed: &FormFields, faults: &Faults) -> FormPage {
    let kinds = [FieldKind::Name, FieldKind::Email, FieldKind::ChosenPassword];
    let form = FormView {
        id: "first-operator",
        action: format!("{FIRST_OPERATOR_PATH}{secret}"),
        fields: kinds.map(|kind| FieldView::new(&shell, kind, typed, faults)).into(),
        submit: shell.t("first-operator-submit"),
        ..FormView::default()
    };
    let (title, lead) = (shell.t("first-operator"), Some(shell.t("first-operator-lead")));
    FormPage { title, lead, notice: None, forms: vec![form], links: Vec::new(), shell }
}

/// The page of the link.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    _read: PublicRead<LINK_COST>,
    PathText(secret): PathText,
) -> HttpResult<Response> {
    check(&app, &secret).await?;
    if scheme == Scheme::Plain {
        return https_needed(shell, StatusCode::OK);
    }
    page(shell, &secret, &FormFields::default(), &Faults::new()).answer()
}

/// How many reads an opened link counts as.
const LINK_COST: u32 = 10;

/// Registers the first operator, who is signed in at once.
pub(super) async fn register(
    State(app): State<SharedState>,
    shell: Shell,
    scheme: Scheme,
    PathText(secret): PathText,
    FormVisitor(visitor): FormVisitor,
    headers: HeaderMap,
    fields: FormFields,
) -> HttpResult<Response> {
    check(&app, &secret).await?;
    if let Err(problem) = visitor {
        let notice = FormNotice::of(&shell, problem)?;
        return page(shell, &secret, &fields, &Faults::new()).came_back(notice);
    }
    if scheme == Scheme::Plain {
        return https_needed(shell, StatusCode::FORBIDDEN);
    }
    let mut reader = FieldReader::new(&shell, &fields);
    let name = reader.read(FieldKind::Name, |text| checked_text("name", text, USER_NAME_LEN_MAX));
    let email = reader.read(FieldKind::Email, Email::parse);
    let password = reader.read(FieldKind::ChosenPassword, |text| Password::parse(text.to_owned()));
    let mut faults = reader.faults;
    let (Some(name), Some(email), Some(password)) = (name, email, password) else {
        return page(shell, &secret, &fields, &faults).answer();
    };
    let registered = match app.office.register_first_operator(name, email, &password).await {
        Ok(user) => app.office.open_session(user, accounts::client_label(&headers)).await,
        Err(stop) => Err(stop),
    };
    match registered.map_err(Problem::from) {
        Ok(opened) => signed_in(&app, scheme, "/operator", &opened).await,
        Err(problem) => match problem.refusal() {
            Some(Refusal::OperatorExists) => Err(nothing_here()),
            Some(Refusal::EmailTaken) => {
                faults.push((FieldKind::Email, shell.t("fault-email-taken")));
                page(shell, &secret, &fields, &faults).answer()
            }
            _ => {
                let notice = FormNotice::of(&shell, problem)?;
                page(shell, &secret, &fields, &faults).came_back(notice)
            }
        },
    }
}
