//! Pages that are the same for all visitors of a language: rendered once a second, compressed once, kept in memory.
//!
//! Nothing of one visitor may stand in them, but whether they are signed in.

use crate::{
    edge::{
        base_url::BaseUrl,
        kept::{self, Form, Fresh, PACKED_LEN_MIN},
        language::Language,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::shell::{Account, Shell},
};
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use frontrow_domain::time::{Span, Time};
use frontrow_service::gzip;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

/// How long a page is shared.
const SHARED_FOR: Span = Span::from_secs(1);
/// How many pages are kept, and how many bytes of them: searches make pages that are asked for once.
const PAGES_MAX: usize = 1_000;
const LEN_MAX: usize = 32 * 1_024 * 1_024;

/// What makes a page differ from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SharedKey {
    language: Language,
    account: Account,
    base: BaseUrl,
    /// The page's path, with the part of its query that counts.
    path: String,
}

#[derive(Debug)]
struct SharedPage {
    made_at: Time,
    body: Bytes,
    etag: String,
    packed: OnceLock<Bytes>,
}

/// The pages of this second.
#[derive(Debug, Default)]
pub(crate) struct SharedPages(RwLock<KeptPages>);

#[derive(Debug, Default)]
struct KeptPages {
    pages: HashMap<SharedKey, Arc<SharedPage>>,
    len: usize,
}

impl SharedPages {
    fn find(&self, key: &SharedKey, now: Time) -> Option<Arc<SharedPage>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let page = kept.pages.get(key)?;
        (page.made_at..page.made_at.plus(SHARED_FOR)).contains(&now).then(|| Arc::clone(page))
    }

    fn keep(&self, key: SharedKey, page: &Arc<SharedPage>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.pages.len() >= PAGES_MAX || kept.len + page.body.len() > LEN_MAX {
            *kept = KeptPages::default();
        }
        kept.len += page.body.len();
        if let Some(old) = kept.pages.insert(key, Arc::clone(page)) {
            kept.len -= old.body.len();
        }
    }
}

/// The request for a shared page.
pub(crate) struct SharedRequest<'a> {
    pub(crate) app: &'a SharedState,
    /// At the page's own path, without what a visitor added to it.
    pub(crate) shell: &'a Shell,
    pub(crate) base: &'a BaseUrl,
    pub(crate) headers: &'a HeaderMap,
    /// The client, which pays for a page that must be made.
    pub(crate) client: IpAddr,
}

impl SharedRequest<'_> {
    /// The page from memory; else `render` makes it, and is not begun otherwise.
    ///
    /// # Errors
    /// The client asks for too many pages that must be made, or the page cannot be made.
    pub(crate) async fn answer(
        &self,
        media_type: &'static str,
        render: impl Future<Output = HttpResult<String>> + Send,
    ) -> HttpResult<Response> {
        let Self { app, shell, base, headers, client } = self;
        let pages = &app.pages.0.shared;
        let now = app.office.now();
        let key = SharedKey {
            language: shell.language,
            account: shell.account,
            base: (*base).clone(),
            path: shell.path().to_owned(),
        };
        let page = if let Some(page) = pages.find(&key, now) {
            page
        } else {
            app.limits.check_public_read(*client, 1)?;
            let body = Bytes::from(render.await?);
            let etag = kept::tag_of(&body);
            let page = Arc::new(SharedPage { made_at: now, body, etag, packed: OnceLock::new() });
            pages.keep(key, &page);
            page
        };
        let mut response = if kept::has(headers, &page.etag) {
            kept::unchanged(Fresh::ForASecond, &page.etag)
        } else {
            let form = if page.body.len() >= PACKED_LEN_MIN && kept::takes_packed(headers) {
                Form::Packed(page.packed.get_or_init(|| gzip::quickly(&page.body)).clone())
            } else {
                Form::Plain(page.body.clone())
            };
            kept::answer(media_type, Fresh::ForASecond, &page.etag, form)
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(shell.lang()));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, accept-language, cookie"));
        Ok(response)
    }
}

/// What is shown as HTML.
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// A template as the text of a shared page.
pub(crate) fn text_of(template: &impl askama::Template) -> HttpResult<String> {
    template.render().map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(len: usize, at: i64) -> Arc<SharedPage> {
        let (body, etag) = (Bytes::from(vec![b'x'; len]), String::new());
        Arc::new(SharedPage { made_at: Time::from_micros(at), body, etag, packed: OnceLock::new() })
    }

    fn key(path: &str) -> SharedKey {
        SharedKey {
            language: Language::Korean,
            account: Account::SignedOut,
            base: BaseUrl::test("http://localhost"),
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_page_is_shared_for_a_second_and_not_before_it_was_made() {
        let pages = SharedPages::default();
        pages.keep(key("/"), &page(10, 5_000_000));
        for (now, found) in [(4_999_999, false), (5_000_000, true), (5_999_999, true), (6_000_000, false)] {
            assert_eq!(pages.find(&key("/"), Time::from_micros(now)).is_some(), found, "{now}");
        }
        assert!(pages.find(&key("/other"), Time::from_micros(5_000_000)).is_none());
    }

    #[test]
    fn pages_take_no_more_room_than_they_may() {
        let pages = SharedPages::default();
        for number in 0..=2 * PAGES_MAX {
            pages.keep(key(&number.to_string()), &page(10, 0));
        }
        let len = || pages.0.read().unwrap().len;
        assert!(pages.0.read().unwrap().pages.len() <= PAGES_MAX && len() <= 10 * PAGES_MAX);
        for _ in 0..10 {
            pages.keep(key("large"), &page(LEN_MAX / 2, 0));
        }
        assert!(len() <= LEN_MAX);
        pages.keep(key("another"), &page(LEN_MAX, 0));
        assert_eq!((len(), pages.0.read().unwrap().pages.len()), (LEN_MAX, 1));
    }
}
