//! The requirements on every backend, as lists of plain functions that each backend runs: see `store.rs` and
//! `queue.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod differential;
#[macro_use]
mod queues;
mod queue;
mod sqlite;
mod store;
