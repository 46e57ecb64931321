//! Operators' calls.

pub mod accounts;
pub mod blocks;
pub mod books;
pub mod concerts;
pub mod door_list;
pub mod lanes;
pub mod outbox;
pub mod posters;
pub mod rooms;
pub mod search;
pub mod seats;
