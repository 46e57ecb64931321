//! A problem as a page, and the headers of every page.

use crate::{
    edge::{
        auth,
        cookies::Scheme,
        problem::{HttpResult, Problem, ProblemCode, codes},
        state::SharedState,
    },
    pages::{
        PageKit, TurnUrl,
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// Nothing of a device is used but its screen's wake lock.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), screen-wake-lock=(self)";
/// A page that reloads itself does so no sooner, in seconds.
const COME_BACK_SECONDS_MIN: u64 = 5;
/// After a longer wait the page is not reloaded by itself, in seconds.
const COME_BACK_SECONDS_MAX: u64 = 60;
const YEAR_OF_TLS: &str = "max-age=31536000";

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    shell: Shell,
    status: u16,
    title: String,
    text: String,
    request_id: Option<String>,
}

/// The words for a problem, in the page's language.
pub(super) fn words(shell: &Shell, problem: ProblemCode) -> (String, String) {
    let title = shell.find(&format!("problem-{}", problem.0)).unwrap_or_else(|| shell.t("problem-other"));
    let text = shell.find(&format!("problem-{}-text", problem.0)).unwrap_or_else(|| shell.t("problem-other-text"));
    (title, text)
}

/// The page for a problem, with the status and the headers of its answer.
fn page_of(shell: Shell, problem: ProblemCode, answered: Response) -> Response {
    let (title, text) = words(&shell, problem);
    let request_id = (answered.status() == StatusCode::INTERNAL_SERVER_ERROR)
        .then(crate::edge::observe::request_id)
        .flatten()
        .map(|id| id.as_str().to_owned());
    let status = answered.status();
    let page = ProblemPage { status: status.as_u16(), title, text, request_id, shell };
    match html(&page.shell, status, &page) {
        Ok(mut response) => {
            let (parts, _) = answered.into_parts();
            for name in [header::RETRY_AFTER, header::ALLOW] {
                if let Some(value) = parts.headers.get(&name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            response.extensions_mut().extend(parts.extensions);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Gives every page its headers, and turns a problem into a page: a visitor that must sign in is sent there and comes
/// back.
pub(super) async fn as_page(State(app): State<SharedState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let shell = Shell::from_request_parts(&mut parts, &app).await;
    let scheme = auth::scheme(&parts, &app);
    let is_read = parts.method.is_safe();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let (Ok(shell), Some(problem)) = (shell, response.extensions().get::<ProblemCode>().copied()) {
        response = if response.status() == StatusCode::UNAUTHORIZED {
            let mut redirect = Redirect::to(&format!("/sign-in?next={}", shell.here())).into_response();
            redirect.extensions_mut().insert(problem);
            redirect
        } else {
            page_of(shell, problem, response)
        };
        if is_read {
            come_back(response.headers_mut());
        }
    }
    protect(response.headers_mut(), &app.pages, scheme.unwrap_or(Scheme::Plain));
    response
}

/// Lets a page that the server could not show now reload itself when it may be asked for again: a place in line must stay
/// awake without a script too.
fn come_back(headers: &mut HeaderMap) {
    let after = headers.get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse::<u64>().ok());
    if let Some(seconds) = after.filter(|seconds| *seconds <= COME_BACK_SECONDS_MAX) {
        headers.insert(header::REFRESH, HeaderValue::from(seconds.max(COME_BACK_SECONDS_MIN)));
    }
}

/// What a page may load and do: its own files and calls. No script or style stands in the page. Browsers follow a form's redirect only if its policy has the address: claiming a turn may
/// lead to another shop.
pub(super) fn content_security_policy(turn_url: Option<&TurnUrl>) -> String {
    let other_shop = turn_url.map(|url| format!(" {}", url.origin())).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'{other_shop}; base-uri 'none'; frame-ancestors 'none'"
    )
}

fn protect(headers: &mut HeaderMap, kit: &PageKit, scheme: Scheme) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| kit.0.content_security_policy.clone());
    let fixed =
        [(header::REFERRER_POLICY, "same-origin"), (PERMISSIONS_POLICY, PERMISSIONS), (OPENER_POLICY, "same-origin")];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if scheme == Scheme::Https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(YEAR_OF_TLS));
    }
}

/// Whether an answer is shown to a person: a browser that opens a path asks for HTML, a program does not.
fn is_for_a_person(headers: &HeaderMap, uri: &Uri) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    !uri.path().starts_with("/api/") && accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// Answers paths without a route: a page for a browser, a problem for a program.
///
/// # Errors
/// 404 for a program.
pub async fn not_found(State(app): State<SharedState>, mut parts: Parts) -> HttpResult<Response> {
    let problem = Problem::new(&codes::NOT_FOUND).detail("There is nothing at this path.");
    if !is_for_a_person(&parts.headers, &parts.uri) {
        return Err(problem);
    }
    let shell = Shell::from_request_parts(&mut parts, &app).await?;
    let scheme = auth::scheme(&parts, &app)?;
    let answered = problem.into_response();
    let Some(problem) = answered.extensions().get::<ProblemCode>().copied() else { return Ok(answered) };
    let mut response = page_of(shell, problem, answered);
    protect(response.headers_mut(), &app.pages, scheme);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::{
        edge::problem::ALL,
        pages::{language::Language, texts::Texts},
    };

    #[test]
    fn every_problem_has_its_words_in_both_languages() {
        let texts = Texts::new().unwrap();
        for definition in ALL {
            for language in Language::ALL {
                for id in [format!("problem-{}", definition.code), format!("problem-{}-text", definition.code)] {
                    assert!(texts.find(language, &id, &[]).is_some(), "{id} in {language:?}");
                }
            }
        }
    }
}
