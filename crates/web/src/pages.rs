//! The pages for buyers: HTML that a server without a browser's script can be used by, made from the same finished
//! values as the API's answers. A page calls the service, never the API.
//!
//! `shell` is what every page shares, `texts` its words, `forms` its input. A handler answers a [`Problem`] as the
//! API does; `problem_page` turns it into a page, as it does with those of paths without a route, of requests that take
//! too long and of panics.
//!
//! [`Problem`]: crate::edge::problem::Problem

mod accounts;
mod assets;
mod base_url;
mod concert;
mod figures;
pub(crate) mod forms;
mod grade_looks;
mod hall;
mod holds;
mod language;
mod mine;
mod paths;
mod pay;
mod points;
mod problem_page;
mod refund_time;
mod sale_words;
mod season;
mod seat_names;
mod shared;
mod shell;
mod texts;
mod theme;
mod turn_url;
mod waiting;

pub(crate) use problem_page::PageVisit;
pub use theme::Theme;
pub use turn_url::TurnUrl;

use crate::{
    edge::state::SharedState,
    pages::{assets::Assets, shared::SharedPages, texts::Texts},
};
use axum::{Router, http::HeaderValue, middleware, routing::get};
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

    fn turn_url(&self) -> Option<&TurnUrl> {
        self.0.turn_url.as_ref()
    }
}

/// The routes of the pages.
pub(crate) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/", get(season::season))
        .route("/concerts/{concert_id}", get(concert::concert))
        .route("/concerts/{concert_id}/calendar.ics", get(concert::calendar))
        .route("/sitemap.xml", get(concert::sitemap))
        .route("/robots.txt", get(concert::robots))
        .route("/clock", get(concert::clock))
        .route("/language/{language}", get(language::choose))
        .merge(accounts::routes())
        .merge(hall::routes())
        .merge(waiting::routes())
        .merge(pay::routes())
        .merge(mine::routes())
        .merge(points::routes())
        .layer(middleware::map_response(problem_page::marked))
        .merge(assets::routes())
}
