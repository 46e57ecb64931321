//! The language of a page or a letter: the visitor's choice by cookie, else what the client likes best.

use crate::edge::{cookies, kept::weight};
use axum::http::{HeaderMap, header};
use frontrow_domain::user::LetterLanguage;

/// The cookie of the choice.
pub(crate) const LANGUAGE_COOKIE: &str = "language";

/// A language of the pages and letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Korean,
    English,
}

impl Language {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Korean, Self::English];

    /// Its tag in HTML and in the cookie.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Korean => "ko",
            Self::English => "en",
        }
    }

    /// Its own name for itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Korean => "한국어",
            Self::English => "English",
        }
    }

    /// The one that the pages offer instead of it.
    pub(crate) const fn other(self) -> Self {
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
        if let Some(chosen) = cookies::cookie(headers, LANGUAGE_COOKIE).and_then(Self::of_tag) {
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

impl From<Language> for LetterLanguage {
    fn from(language: Language) -> Self {
        match language {
            Language::Korean => Self::Korean,
            Language::English => Self::English,
        }
    }
}

impl From<LetterLanguage> for Language {
    fn from(language: LetterLanguage) -> Self {
        match language {
            LetterLanguage::Korean => Self::Korean,
            LetterLanguage::English => Self::English,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_choice_comes_before_what_the_browser_asks_for() {
        for (cookie, accept, expected) in [
            ("", "", Language::Korean),
            ("", "ko-KR,ko;q=0.9,en;q=0.8", Language::Korean),
            ("", "en-US,en;q=0.9,ko;q=0.8", Language::English),
            ("", "en;q=0.5, ko;q=0.7", Language::Korean),
            ("", "de-DE, fr;q=0.4", Language::English),
            ("", "de, ko;q=0", Language::English),
            ("", "ko;q=0", Language::English),
            ("", "ko;q=0.3, en;q=0.9", Language::English),
            ("", "fr, EN;q=0.8, ko;q=0.7", Language::English),
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
