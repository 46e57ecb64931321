//! A refusal of a page for operators: those who may see the cockpit stay in it.

use super::shell::CockpitShell;
use crate::{
    edge::{problem::ProblemCode, state::SharedState},
    html::{problem_page, shell::html},
};
use askama::Template;
use axum::{
    extract::{FromRequestParts as _, Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};

#[derive(Template)]
#[template(path = "cockpit/problem.html")]
struct CockpitProblemPage {
    shell: CockpitShell,
    status: u16,
    title: String,
    text: String,
}

/// Whether a page of the cockpit says it. What is wrong with the server or asks to wait is said without asking the server more.
fn is_said_here(status: StatusCode) -> bool {
    status.is_client_error() && ![StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

/// Shows a refusal as a page of the cockpit to a visitor with a session that may see it. All others get the shop's page,
/// which does not depend on what there is.
pub(super) async fn framed(State(app): State<SharedState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<ProblemCode>().copied() else { return response };
    if !is_said_here(response.status()) {
        return response;
    }
    let Ok(shell) = CockpitShell::from_request_parts(&mut parts, &app).await else { return response };
    let status = response.status();
    let (title, text) = problem_page::words(&shell, problem);
    let page = CockpitProblemPage { status: status.as_u16(), title, text, shell };
    match html(&page.shell, status, &page) {
        Ok(page) => problem_page::shown_as(page, response),
        Err(_) => response,
    }
}
