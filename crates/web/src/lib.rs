//! HTTP: it translates requests into calls of the flow, and what comes of them into answers. It decides nothing.

pub mod accounts;
pub mod auth;
pub mod books;
pub mod concerts;
pub mod cors;
pub mod docs;
pub mod extract;
pub mod head;
pub mod health;
pub mod idempotency;
pub mod kept;
pub mod limit;
pub mod listener;
pub mod observe;
pub mod openapi;
pub mod operator;
pub mod payments;
pub mod points;
pub mod problem;
pub mod query;
pub mod queue;
pub mod reply;
pub mod reservations;
pub mod seats;
pub mod secret;
pub mod state;
pub mod tickets;
pub mod traces;
pub mod users;

use crate::flow::DemoAccounts;
use axum::{Router, routing::get};
use query::QueryFields;
use serde_json::Value;
use state::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The API's routes with their documentation.
fn api() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(users::register))
        .routes(routes!(users::me, users::erase_me))
        .routes(routes!(users::change_password))
        .routes(routes!(users::sign_in, users::sign_out_everywhere))
        .routes(routes!(users::sign_out))
        .routes(routes!(users::reset_password))
        .routes(routes!(queue::issue, queue::mine))
        .routes(routes!(queue::one, queue::leave))
        .routes(routes!(queue::position))
        .routes(routes!(queue::activate))
        .routes(routes!(concerts::list))
        .routes(routes!(concerts::one))
        .routes(routes!(concerts::seats))
        .routes(routes!(reservations::hold, reservations::mine))
        .routes(routes!(reservations::one, reservations::cancel))
        .routes(routes!(payments::pay, payments::mine))
        .routes(routes!(payments::one))
        .routes(routes!(payments::refund))
        .routes(routes!(points::balance))
        .routes(routes!(points::history))
        .routes(routes!(points::charge))
        .routes(routes!(operator::create_concert))
        .routes(routes!(operator::concert, operator::update_concert))
        .routes(routes!(operator::cancel_concert))
        .routes(routes!(operator::refund_concert))
        .routes(routes!(operator::add_seats, seats::change))
        .routes(routes!(seats::remove))
        .routes(routes!(operator::block_seats))
        .routes(routes!(operator::free_seats))
        .routes(routes!(operator::rooms))
        .routes(routes!(operator::room, operator::set_room))
        .routes(routes!(operator::users))
        .routes(routes!(books::user))
        .routes(routes!(books::history))
        .routes(routes!(books::adjust))
        .routes(routes!(books::debts))
        .routes(routes!(books::settle))
        .routes(routes!(books::door_list))
        .routes(routes!(accounts::lock))
        .routes(routes!(accounts::unlock))
        .routes(routes!(accounts::issue_reset_link))
        .routes(routes!(operator::reservations))
        .routes(routes!(operator::cancel))
        .routes(routes!(operator::payments))
        .routes(routes!(operator::refund))
        .routes(routes!(operator::audit))
}

/// The `OpenAPI` document of a server with or without the demo's accounts.
#[must_use]
pub fn api_document(accounts: DemoAccounts) -> Value {
    openapi::complete(&api().split_for_parts().1, accounts)
}

/// The fields that the queries of the API's calls have.
#[must_use]
pub fn query_fields() -> QueryFields {
    QueryFields::of(&api().split_for_parts().1)
}

/// Where the metrics are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAt {
    /// Beside everything else.
    Here,
    /// On a listener of their own: [`metrics_router`].
    Apart,
}

/// The metrics alone.
pub fn metrics_router(app: Shared) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(app)
}

/// Every route of the server, without what surrounds each request.
pub fn router(app: Shared, metrics: MetricsAt) -> Router {
    let (routes, _) = api().split_for_parts();
    let routes = match metrics {
        MetricsAt::Here => routes.route("/metrics", get(health::metrics)),
        MetricsAt::Apart => routes,
    };
    routes
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", get(health::document))
        .merge(docs::routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(app)
}
