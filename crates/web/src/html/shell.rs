//! What every page shares: its language and words, its header, and the way a template becomes an answer.

use crate::{
    edge::{
        auth, cookies,
        kept::{self, Form},
        language::Language,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{Kit, PageKit, assets, figures},
};
use askama::Template;
use axum::{
    body::Body,
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use fluent_bundle::FluentValue;
use frontrow_domain::{
    money::Money,
    time::{Span, Time},
};
use std::sync::Arc;

/// The time zone of what happens at no venue: of points, of lines for several concerts.
pub(crate) const HOME_ZONE: &str = "Asia/Seoul";

/// Whether the visitor's browser has a session; whether it is still good is known only where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Account {
    /// It has one.
    SignedIn,
    /// It has none.
    SignedOut,
}

/// What every page shares. Templates have it as `shell`.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    kit: Arc<Kit>,
    pub(crate) language: Language,
    pub(crate) account: Account,
    /// The page's own path and query, for the way back after a change of language or a sign-in.
    path: String,
    takes_packed: bool,
}

/// A value that a text is given.
pub(crate) trait TextValue {
    /// The value as Fluent takes it.
    fn as_fluent(&self) -> FluentValue<'_>;
}

impl TextValue for str {
    fn as_fluent(&self) -> FluentValue<'_> {
        self.into()
    }
}

impl TextValue for String {
    fn as_fluent(&self) -> FluentValue<'_> {
        self.as_str().into()
    }
}

impl TextValue for i64 {
    fn as_fluent(&self) -> FluentValue<'_> {
        (*self).into()
    }
}

impl TextValue for usize {
    fn as_fluent(&self) -> FluentValue<'_> {
        (*self).into()
    }
}

impl<T: TextValue + ?Sized> TextValue for &T {
    fn as_fluent(&self) -> FluentValue<'_> {
        (*self).as_fluent()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    reason = "templates hand over references, and have the shell"
)]
impl Shell {
    /// The shell of a page in a language, for tests of words.
    #[cfg(test)]
    pub(crate) fn of_test(language: Language) -> anyhow::Result<Self> {
        let PageKit(kit) = PageKit::new(crate::html::Theme::default(), crate::html::PageAddresses::default())?;
        let (account, path) = (Account::SignedIn, "/".to_owned());
        Ok(Self { kit, language, account, path, takes_packed: false })
    }

    /// The shell of the page that a request asks for.
    pub(crate) fn of(parts: &Parts, app: &SharedState) -> HttpResult<Self> {
        let session = cookies::session_secret(&parts.headers, auth::scheme(parts, app)?);
        let account = if session.is_some() { Account::SignedIn } else { Account::SignedOut };
        let path = match parts.method {
            Method::GET | Method::HEAD => parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            // A form's own address has no page; the one that it stands on has.
            _ => page_of_form(&parts.headers).unwrap_or_else(|| "/".to_owned()),
        };
        let PageKit(kit) = &app.pages;
        Ok(Self {
            kit: Arc::clone(kit),
            language: Language::of(&parts.headers),
            account,
            path,
            takes_packed: kept::takes_packed(&parts.headers),
        })
    }

    /// The shell of a page at this path, without what else stands in the visitor's own.
    pub(crate) fn at(mut self, path: String) -> Self {
        self.path = path;
        self
    }

    /// The page's own path and query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The tag of the page's language.
    pub(crate) fn lang(&self) -> &'static str {
        self.language.tag()
    }

    /// A text without variables.
    pub(crate) fn t(&self, id: &str) -> String {
        self.kit.texts.text(self.language, id, &[])
    }

    /// A text with a variable.
    pub(crate) fn t1(&self, id: &str, name: &'static str, value: impl TextValue) -> String {
        self.kit.texts.text(self.language, id, &[(name, value.as_fluent())])
    }

    /// A text with two variables.
    pub(crate) fn t2(
        &self,
        id: &str,
        name: &'static str,
        value: impl TextValue,
        other: &'static str,
        second: impl TextValue,
    ) -> String {
        self.kit.texts.text(self.language, id, &[(name, value.as_fluent()), (other, second.as_fluent())])
    }

    /// A text whose values are filled in later: each stands as its name in braces.
    pub(crate) fn template(&self, id: &str, names: &[&'static str]) -> String {
        let values: Vec<_> = names.iter().map(|name| (*name, format!("{{{name}}}").into())).collect();
        self.kit.texts.text(self.language, id, &values)
    }

    /// A text that may be missing.
    pub(crate) fn find(&self, id: &str) -> Option<String> {
        self.kit.texts.find(self.language, id, &[])
    }

    /// The address of a file of the pages.
    pub(crate) fn asset(&self, path: &str) -> String {
        self.kit.assets.address(path)
    }

    /// The page's own path and query, as a value of a query.
    pub(crate) fn here(&self) -> String {
        form_urlencoded::byte_serialize(self.path.as_bytes()).collect()
    }

    /// The name of the shop.
    pub(crate) fn brand(&self) -> String {
        self.kit.theme.name().map_or_else(|| self.t("brand"), str::to_owned)
    }

    /// The address of the shop's logo.
    pub(crate) fn logo(&self) -> Option<String> {
        self.kit.theme.logo.as_ref().map(|logo| self.asset(logo.format.path()))
    }

    /// The address of the shop's own style.
    pub(crate) fn theme_style(&self) -> Option<String> {
        self.kit.theme.style.as_ref().map(|_| self.asset(assets::THEME_STYLE))
    }

    /// The footer, by lines.
    pub(crate) fn footer(&self) -> Vec<String> {
        match self.kit.theme.footer(self.language) {
            Some(footer) => footer.lines().map(str::to_owned).collect(),
            None => vec![self.t("footer")],
        }
    }

    pub(crate) fn is_signed_in(&self) -> bool {
        self.account == Account::SignedIn
    }

    /// The language that the page offers instead.
    pub(crate) fn other_language(&self) -> (&'static str, &'static str) {
        (self.language.other().tag(), self.language.other().name())
    }

    /// A sum of money.
    pub(crate) fn money(&self, amount: &Money) -> String {
        figures::money(self.language, *amount)
    }

    /// A whole number.
    pub(crate) fn number(&self, number: &i64) -> String {
        figures::grouped(*number)
    }

    /// A moment by the clock of a time zone.
    pub(crate) fn moment(&self, at: &Time, zone: &str) -> String {
        figures::moment(self.language, &figures::local(*at, zone))
    }

    /// A deadline by the clock of a time zone, with its seconds unless they are zero.
    pub(crate) fn exact_moment(&self, at: &Time, zone: &str) -> String {
        figures::exact_moment(self.language, &figures::local(*at, zone))
    }

    /// The hour of a moment, to the second.
    pub(crate) fn exact_hour(&self, at: &Time, zone: &str) -> String {
        figures::exact_hour(self.language, &figures::local(*at, zone))
    }

    /// A length of time, to the second.
    pub(crate) fn length(&self, span: Span) -> String {
        figures::length(self.language, span)
    }
}

/// The path of the page that a form was sent from.
fn page_of_form(headers: &HeaderMap) -> Option<String> {
    let referer: axum::http::Uri = headers.get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let is_ours = referer.authority().is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host));
    is_ours.then(|| referer.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned()))
}

impl<S> FromRequestParts<S> for Shell
where
    S: Send + Sync,
    SharedState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> HttpResult<Self> {
        Self::of(parts, &SharedState::from_ref(state))
    }
}

/// The bytes of a page.
pub(crate) fn rendered(template: &impl Template) -> HttpResult<String> {
    template.render().map_err(Problem::internal)
}

/// A page as an answer.
pub(crate) fn html(shell: &Shell, status: StatusCode, template: &impl Template) -> HttpResult<Response> {
    let body = rendered(template)?.into_bytes();
    let form = if shell.takes_packed { kept::packed_if_large(body) } else { Form::Plain(body.into()) };
    let (body, is_packed) = match form {
        Form::Plain(body) => (body, false),
        Form::Packed(body) => (body, true),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(shell.lang()));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, accept-language, cookie"));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
