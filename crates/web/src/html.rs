//! What all pages share, those for buyers and those for operators: their shell and words, forms, files, and how a
//! problem is shown.
//!
//! `shell` is what every page has, `texts` its words, `forms` its input, `assets` its scripts and styles. A handler
//! answers a [`Problem`] as the API does; `problem_page` turns it into a page, as it does with those of paths without a
//! route, of requests that take too long and of panics.
//!
//! [`Problem`]: crate::edge::problem::Problem

pub(crate) mod assets;
pub(crate) mod figures;
pub(crate) mod forms;
pub(crate) mod grade_looks;
pub(crate) mod hall_words;
mod language;
pub(crate) mod paths;
pub(crate) mod problem_page;
pub(crate) mod sale_words;
pub(crate) mod seat_list;
pub(crate) mod seat_names;
pub(crate) mod shared;
pub(crate) mod shell;
pub(crate) mod texts;
mod theme;

pub(crate) use problem_page::PageVisit;
pub use theme::Theme;

use crate::{
    edge::state::SharedState,
    html::{assets::Assets, shared::SharedPages, texts::Texts},
};
use axum::{Router, http::HeaderValue, routing::get};
use frontrow_domain::line::TurnUrl;
use std::sync::Arc;

/// What the pages are made from: words and files that never change while the program runs.
#[derive(Debug, Clone)]
pub struct PageKit(Arc<Kit>);

#[derive(Debug)]
struct Kit {
    texts: Texts,
    assets: Assets,
    theme: Theme,
    shared: SharedPages,
    /// The address of the shop as the outside knows it, without a slash at the end.
    public_url: Option<Arc<str>>,
    /// What a turn in the house room opens at another shop.
    turn_url: Option<TurnUrl>,
    content_security_policy: HeaderValue,
}

/// Addresses that leave the pages.
#[derive(Debug, Clone, Default)]
pub struct PageAddresses {
    /// Of the shop as the outside knows it, without a slash at the end; none to take it from each request.
    pub public_url: Option<Arc<str>>,
    /// Of another shop, which a turn in the house room opens.
    pub turn_url: Option<TurnUrl>,
}

impl PageKit {
    /// The words and files in the program, and those of the shop.
    ///
    /// # Errors
    /// A catalogue is not Fluent, or the policy is no header: bugs that a test finds.
    pub fn new(theme: Theme, addresses: PageAddresses) -> anyhow::Result<Self> {
        let (texts, assets, shared) = (Texts::new()?, Assets::new(&theme), SharedPages::default());
        let PageAddresses { public_url, turn_url } = addresses;
        let content_security_policy = problem_page::content_security_policy(turn_url.as_ref()).try_into()?;
        Ok(Self(Arc::new(Kit { texts, assets, theme, shared, public_url, turn_url, content_security_policy })))
    }

    /// The address of the shop as the outside knows it, if it is set.
    pub(crate) fn public_url(&self) -> Option<&Arc<str>> {
        self.0.public_url.as_ref()
    }

    /// What a turn in the house room opens at another shop, if it does.
    pub(crate) fn turn_url(&self) -> Option<&TurnUrl> {
        self.0.turn_url.as_ref()
    }
}

/// The routes of the files, and of the choice of a language.
pub(crate) fn routes() -> Router<SharedState> {
    Router::new().route("/language/{language}", get(language::choose)).merge(assets::routes())
}
