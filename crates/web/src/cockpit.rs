//! The pages for operators: a sale is run in a browser, on the ground that all pages share. A page calls the service,
//! never the API.
//!
//! A file for each part. Every page takes a [`CockpitShell`](shell::CockpitShell), which lets in operators and viewers alone.

mod desk;
mod entries;
mod factor;
mod home;
mod ready;
mod shell;

use crate::{edge::state::SharedState, html::problem_page};
use axum::{Router, middleware, routing::get};

/// The routes of the pages for operators.
pub(crate) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator", get(home::show))
        .merge(desk::routes())
        .merge(factor::routes())
        .merge(ready::routes())
        .layer(middleware::map_response(problem_page::marked))
        .merge(desk::feeds())
}
