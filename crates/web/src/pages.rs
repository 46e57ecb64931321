//! The pages for buyers: HTML that a server without a browser's script can be used by, made from the same finished
//! values as the API's answers. A page calls the service, never the API.
//!
//! [`shell`] is what every page shares, [`texts`] its words, [`forms`] its input. A handler answers a [`Problem`] as the
//! API does; [`problem_page`] turns it into a page.
//!
//! [`Problem`]: crate::edge::problem::Problem

mod accounts;
mod assets;
mod figures;
pub(crate) mod forms;
mod hall;
mod language;
mod mine;
mod pay;
mod points;
mod problem_page;
mod shell;
mod texts;
mod waiting;

pub use problem_page::not_found;

use crate::{
    edge::state::SharedState,
    pages::{assets::Assets, texts::Texts},
};
use axum::{Router, middleware, routing::get};
use std::sync::Arc;

/// What the pages are made from: words and files that never change while the program runs.
#[derive(Debug, Clone)]
pub struct PageKit(Arc<Kit>);

#[derive(Debug)]
struct Kit {
    texts: Texts,
    assets: Assets,
}

impl PageKit {
    /// The words and files in the program.
    ///
    /// # Errors
    /// A catalogue is not Fluent: a bug that a test finds.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Kit { texts: Texts::new()?, assets: Assets::embedded() })))
    }
}

/// The routes of the pages.
pub(crate) fn routes(app: &SharedState) -> Router<SharedState> {
    Router::new()
        .route("/language/{language}", get(language::choose))
        .merge(accounts::routes())
        .merge(hall::routes())
        .merge(waiting::routes())
        .merge(pay::routes())
        .merge(mine::routes())
        .merge(points::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(app), problem_page::as_page))
        .merge(assets::routes())
}
