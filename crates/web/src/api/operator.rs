//! Operators' calls.

pub mod accounts;
pub mod books;
pub mod concerts;
pub mod door_list;
pub mod outbox;
pub mod posters;
pub mod rooms;
pub mod search;
pub mod seats;
