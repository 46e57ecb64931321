//! A problem as a page, and the headers of every page.

use crate::{
    edge::{problem::ProblemCode, state::SharedState},
    html::{
        PageKit,
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::line::TurnUrl;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// Nothing of a device is used but its screen's wake lock.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), screen-wake-lock=(self)";
/// A page that reloads itself does so no sooner, in seconds.
const COME_BACK_SECONDS_MIN: u64 = 5;
/// After a longer wait the page is not reloaded by itself, in seconds.
const COME_BACK_SECONDS_MAX: u64 = 60;

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
pub(crate) fn words(shell: &Shell, problem: ProblemCode) -> (String, String) {
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
        Ok(page) => with_answer_of(page, answered),
        Err(problem) => problem.into_response(),
    }
}

/// The page for a problem, with what the problem's answer said besides its text.
fn with_answer_of(mut page: Response, answered: Response) -> Response {
    let (parts, _) = answered.into_parts();
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = parts.headers.get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page.extensions_mut().extend(parts.extensions);
    page
}

/// Marks a problem that is a page already.
#[derive(Debug, Clone, Copy)]
struct IsShown;

/// A problem with a page of its own instead of the shop's.
pub(crate) fn shown_as(page: Response, answered: Response) -> Response {
    let mut page = with_answer_of(page, answered);
    page.extensions_mut().insert(IsShown);
    page
}

/// Marks the answer of a page's route.
#[derive(Debug, Clone, Copy)]
struct OfPage;

/// Marks what the routes of pages answer: a problem among it becomes a page.
pub(crate) async fn marked(mut response: Response) -> Response {
    response.extensions_mut().insert(OfPage);
    response
}

/// A request outside of the API, and what a page for its answer is made from.
#[derive(Debug)]
pub(crate) struct PageVisit {
    pages: PageKit,
    shell: Shell,
    method: Method,
    /// A browser that opens a path asks for HTML, a program does not.
    asks_for_html: bool,
}

impl PageVisit {
    pub(crate) fn of(parts: &Parts, app: &SharedState) -> Option<Self> {
        let accepts = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        Some(Self {
            pages: app.pages.clone(),
            shell: Shell::of(parts, app).ok()?,
            method: parts.method.clone(),
            asks_for_html: accepts.is_some_and(|accept| accept.contains("text/html")),
        })
    }

    /// Gives a page its headers, and turns a problem into a page, wherever it comes from: a route, a path without one, or
    /// what is around them all.
    pub(crate) fn shown(self, response: Response) -> Response {
        let problem = response.extensions().get::<ProblemCode>().copied();
        let is_of_page = response.extensions().get::<OfPage>().is_some();
        let mut response = match problem {
            Some(_) if response.extensions().get::<IsShown>().is_some() => response,
            Some(problem) if is_of_page || self.asks_for_html => {
                problem_page(self.shell, &self.method, problem, response)
            }
            _ if is_of_page => response,
            _ => return response,
        };
        protect(response.headers_mut(), &self.pages);
        response
    }
}

/// The page for a problem. A visitor that must sign in is sent there and comes back.
fn problem_page(shell: Shell, method: &Method, problem: ProblemCode, answered: Response) -> Response {
    let mut response = if answered.status() == StatusCode::UNAUTHORIZED {
        let mut redirect = Redirect::to(&format!("/sign-in?next={}", shell.here())).into_response();
        redirect.extensions_mut().insert(problem);
        redirect
    } else {
        page_of(shell, problem, answered)
    };
    if method.is_safe() {
        come_back(response.headers_mut());
    }
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

/// What a page may load and do: its own files and calls. No script or style stands in the page. Browsers follow a form's
/// redirect only if its policy has the address: claiming a turn may lead to another shop.
pub(crate) fn content_security_policy(turn_url: Option<&TurnUrl>) -> String {
    let other_shop = turn_url.map(|url| format!(" {}", url.origin())).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'{other_shop}; base-uri 'none'; frame-ancestors 'none'"
    )
}

fn protect(headers: &mut HeaderMap, PageKit(kit): &PageKit) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| kit.content_security_policy.clone());
    let fixed =
        [(header::REFERRER_POLICY, "same-origin"), (PERMISSIONS_POLICY, PERMISSIONS), (OPENER_POLICY, "same-origin")];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        edge::{language::Language, problem::ALL},
        html::texts::Texts,
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
