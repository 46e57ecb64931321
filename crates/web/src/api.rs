//! The JSON API: requests become calls of the box office, and its results become answers.

pub mod concerts;
pub mod docs;
pub mod draws;
pub mod health;
pub mod letters;
pub mod line_reports;
pub mod openapi;
pub mod operator;
pub mod passes;
pub mod payments;
pub mod points;
pub mod queue;
pub mod receipts;
pub mod reservations;
pub mod sessions;
mod shapes;
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
        .routes(routes!(users::sign_in, sessions::mine, sessions::sign_out_everywhere))
        .routes(routes!(sessions::sign_out))
        .routes(routes!(sessions::end))
        .routes(routes!(users::reset_password))
        .routes(routes!(letters::request_password_reset))
        .routes(routes!(letters::request_email_confirmation))
        .routes(routes!(letters::confirm_email))
        .routes(routes!(queue::issue, queue::mine))
        .routes(routes!(queue::one, queue::leave))
        .routes(routes!(queue::position))
        .routes(routes!(queue::events))
        .routes(routes!(queue::challenge))
        .routes(routes!(queue::activate))
        .routes(routes!(queue::go_away))
        .routes(routes!(passes::issue))
        .routes(routes!(passes::end))
        .routes(routes!(receipts::receipt))
        .routes(routes!(line_reports::report))
        .routes(routes!(draws::proof))
        .routes(routes!(draws::draw))
        .routes(routes!(draws::record))
        .routes(routes!(draws::hand_in))
        .routes(routes!(concerts::list))
        .routes(routes!(concerts::one))
        .routes(routes!(concerts::seats))
        .routes(routes!(concerts::alternatives))
        .routes(routes!(concerts::seat_events))
        .routes(routes!(reservations::hold, reservations::mine))
        .routes(routes!(reservations::one, reservations::cancel))
        .routes(routes!(payments::pay, payments::mine))
        .routes(routes!(payments::one))
        .routes(routes!(payments::refund))
        .routes(routes!(points::balance))
        .routes(routes!(points::history))
        .routes(routes!(points::top_up))
        .routes(routes!(operator::concerts::create_concert))
        .routes(routes!(operator::concerts::concert, operator::concerts::update_concert))
        .routes(routes!(operator::posters::set_poster, operator::posters::remove_poster))
        .routes(routes!(operator::concerts::cancel_concert))
        .routes(routes!(operator::concerts::refund_concert))
        .routes(routes!(operator::seats::add_seats, operator::seats::change))
        .routes(routes!(operator::seats::remove))
        .routes(routes!(operator::seats::block_seats))
        .routes(routes!(operator::seats::free_seats))
        .routes(routes!(operator::rooms::rooms, operator::rooms::create_room))
        .routes(routes!(operator::rooms::close_room))
        .routes(routes!(operator::rooms::room, operator::rooms::set_room))
        .routes(routes!(operator::lanes::open))
        .routes(routes!(operator::lanes::set))
        .routes(routes!(operator::lanes::guests, operator::lanes::add_guest))
        .routes(routes!(operator::lanes::remove_guest))
        .routes(routes!(operator::blocks::blocks, operator::blocks::block))
        .routes(routes!(operator::blocks::remove))
        .routes(routes!(operator::blocks::unblock))
        .routes(routes!(operator::search::users))
        .routes(routes!(operator::books::user))
        .routes(routes!(operator::books::history))
        .routes(routes!(operator::books::adjust))
        .routes(routes!(operator::books::debts))
        .routes(routes!(operator::books::settle))
        .routes(routes!(operator::door_list::door_list))
        .routes(routes!(operator::accounts::lock))
        .routes(routes!(operator::accounts::unlock))
        .routes(routes!(operator::accounts::issue_reset_link))
        .routes(routes!(operator::search::reservations))
        .routes(routes!(operator::search::cancel))
        .routes(routes!(operator::search::payments))
        .routes(routes!(operator::search::refund))
        .routes(routes!(operator::search::audit))
        .routes(routes!(operator::outbox::audit_feed))
        .routes(routes!(operator::outbox::outbox))
        .routes(routes!(operator::outbox::retry))
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
