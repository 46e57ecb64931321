//! The ways to a `PostgreSQL`: how it is found, trusted, encrypted, shared through a pooler, and read beside a copy.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod pgbouncer;
mod plans;
mod proxy;
mod replica;
mod round_trips;
mod sale;
mod search;
mod start;
mod statistics;
mod tls;
mod unanswered_commit;
