//! The pages for buyers: HTML that a server without a browser's script can be used by, made from the same finished
//! values as the API's answers. A page calls the service, never the API.

mod accounts;
mod concert;
mod hall;
mod holds;
mod mine;
mod pay;
mod points;
mod refund_time;
mod season;
mod waiting;

use crate::{edge::state::SharedState, html::problem_page};
use axum::{Router, middleware, routing::get};

/// The routes of the pages for buyers.
pub(crate) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/", get(season::season))
        .route("/concerts/{concert_id}", get(concert::concert))
        .route("/concerts/{concert_id}/calendar.ics", get(concert::calendar))
        .route("/sitemap.xml", get(concert::sitemap))
        .route("/robots.txt", get(concert::robots))
        .route("/clock", get(concert::clock))
        .merge(accounts::routes())
        .merge(hall::routes())
        .merge(waiting::routes())
        .merge(pay::routes())
        .merge(mine::routes())
        .merge(points::routes())
        .layer(middleware::map_response(problem_page::marked))
}
