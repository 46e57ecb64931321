//! The HTTP edge: everything between a socket and a handler.

pub mod docs;
pub mod extract;
pub mod idempotency;
pub mod limit;
pub mod listener;
pub mod observe;
pub mod problem;
