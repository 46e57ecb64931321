//! The edge: the layers that every request passes on its way in and out.

pub mod accounts;
pub mod auth;
pub(crate) mod base_url;
mod by_address;
pub mod cookies;
pub mod cors;
pub mod door_list;
pub mod events;
pub mod extract;
pub mod form;
pub mod head;
pub mod idempotency;
pub mod join;
pub mod kept;
pub(crate) mod language;
pub mod limit;
pub mod listener;
pub mod observe;
pub mod outbound;
pub mod posters;
pub mod precondition;
pub mod problem;
pub mod query;
pub mod reply;
pub mod secret;
pub mod state;
pub mod traces;
