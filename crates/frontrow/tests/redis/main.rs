//! Several instances over one Redis: what one commits the others show, and what Redis loses heals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod components;
mod fixture;
mod links;
mod outage;
mod private_servers;
mod replication;
