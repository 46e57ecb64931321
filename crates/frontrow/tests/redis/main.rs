//! Several instances over one Redis: what one commits the others show, and what Redis loses heals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod links;
mod office;
mod outage;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../servers/mod.rs"]
mod servers;
mod together;
