//! The pages for operators: a sale is run in a browser, on the ground that all pages share. A page calls the service,
//! never the API.
//!
//! A file for each part. Every page takes a [`CockpitShell`](shell::CockpitShell), which lets in operators and viewers.

mod acts;
mod audit;
mod concerts;
mod desk;
mod door_list;
mod entries;
mod factor;
mod home;
mod moments;
mod nav;
mod orders;
mod outbox;
mod people;
mod ready;
mod refusals;
mod rehearsal;
mod rooms;
mod search;
mod seats;
mod shell;
mod tables;

use crate::{edge::state::SharedState, html::problem_page};
use axum::{Router, middleware, routing::get};

/// The routes of the pages for operators.
pub(crate) fn routes(app: &SharedState) -> Router<SharedState> {
    Router::new()
        .route("/operator", get(home::show))
        .merge(desk::routes())
        .merge(factor::routes())
        .merge(ready::routes())
        .route("/operator/search", get(search::show))
        .route("/operator/audit", get(audit::show))
        .merge(orders::routes())
        .merge(people::routes())
        .merge(rooms::routes())
        .merge(outbox::routes())
        .merge(door_list::routes())
        .merge(rehearsal::routes())
        .merge(seats::routes())
        .merge(concerts::routes())
        .layer(middleware::from_fn_with_state(app.clone(), refusals::framed))
        .layer(middleware::map_response(problem_page::marked))
        .merge(desk::feeds())
}
