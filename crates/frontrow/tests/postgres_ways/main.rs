//! The ways to a `PostgreSQL`: how it is found, trusted, encrypted, shared through a pooler, and read beside a copy.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../servers/mod.rs"]
mod servers;

mod pgbouncer;
mod plans;
mod replica;
mod sale;
mod search;
mod stall;
mod start;
mod statistics;
#[expect(dead_code, reason = "the conformance suite uses the rest")]
#[path = "../conformance/support.rs"]
mod support;
mod tls;
