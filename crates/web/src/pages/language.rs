//! The language of a page: the visitor's choice by cookie, else the first that the browser asks for.

use crate::{
    edge::{
        cookies,
        extract::PathText,
        kept::weight,
        problem::{HttpResult, Problem, codes},
    },
    pages::forms::local_path,
};
use axum::{
    extract::RawQuery,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
};

/// The cookie of the choice.
const COOKIE: &str = "language";

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Korean,
    English,
}

impl Language {
    /// All of them.
    pub(super) const ALL: [Self; 2] = [Self::Korean, Self::English];

    /// Its tag in HTML and in the cookie.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Korean => "ko",
            Self::English => "en",
        }
    }

    /// Its own name for itself.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Korean => "한국어",
            Self::English => "English",
        }
    }

    /// The one that the pages offer instead of it.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Korean => Self::English,
            Self::English => Self::Korean,
        }
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or(tag);
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// The language of a request's answer. A browser that asks for neither gets English; a program that asks for
    /// nothing gets Korean, as the sale does.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if let Some(chosen) = cookies::cookie(headers, COOKIE).and_then(Self::of_tag) {
            return chosen;
        }
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        let mut best: Option<(f32, Self)> = None;
        let mut asked = false;
        for range in lines.flat_map(|line| line.split(',')).take(RANGES_MAX) {
            asked = true;
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight(parameters);
            let better = best.is_none_or(|(before, _)| weight > before);
            if let Some(language) = Self::of_tag(tag.trim()).filter(|_| weight > 0.0 && better) {
                best = Some((weight, language));
            }
        }
        match best {
            Some((_, language)) => language,
            None if asked => Self::English,
            None => Self::Korean,
        }
    }
}

/// How many entries of `Accept-Language` are read.
const RANGES_MAX: usize = 20;

/// Stores the choice and goes back to the page.
pub(super) async fn choose(PathText(tag): PathText, RawQuery(query): RawQuery) -> HttpResult<Response> {
    let language = Language::ALL.into_iter().find(|language| language.tag() == tag);
    let language = language.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    let query = query.unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next");
    let next = next.map_or_else(|| "/".to_owned(), |(_, next)| local_path(&next).to_owned());
    let cookie = format!("{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax", language.tag());
    let mut response = Redirect::to(&next).into_response();
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(Problem::internal)?);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_comes_before_what_the_browser_asks_for() {
        for (cookie, accept, expected) in [
            ("", "", Language::Korean),
            ("", "ko-KR,ko;q=0.9,en;q=0.8", Language::Korean),
            ("", "en-US,en;q=0.9,ko;q=0.8", Language::English),
            ("", "en;q=0.5, ko;q=0.7", Language::Korean),
            ("", "de-DE, fr;q=0.4", Language::English),
            ("", "de, ko;q=0", Language::English),
            ("language=en", "ko", Language::English),
            ("a=b; language=ko", "en", Language::Korean),
            ("language=xx", "en", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            if !cookie.is_empty() {
                headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
            }
            if !accept.is_empty() {
                headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
            }
            assert_eq!(Language::of(&headers), expected, "{cookie} {accept}");
        }
    }
}
