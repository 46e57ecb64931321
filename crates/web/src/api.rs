//! The JSON API: requests become calls of the box office, and its results become answers.

pub mod accounts;
pub mod books;
pub mod concerts;
pub mod docs;
pub mod health;
pub mod openapi;
pub mod operator;
pub mod payments;
pub mod points;
pub mod queue;
pub mod reservations;
pub mod seats;
pub mod tickets;
pub mod users;

use crate::edge::query::QueryFields;
use crate::edge::state::SharedState;
use frontrow_service::office::DemoAccounts;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The API's routes with their documentation.
pub(crate) fn routes() -> OpenApiRouter<SharedState> {
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
        .routes(routes!(points::top_up))
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
pub fn document(accounts: DemoAccounts) -> Value {
    openapi::complete(&routes().split_for_parts().1, accounts)
}

/// The query fields of the API's calls.
#[must_use]
pub fn query_fields() -> QueryFields {
    QueryFields::of(&routes().split_for_parts().1)
}
