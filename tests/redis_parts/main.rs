//! The parts of the Redis queue against real servers.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../servers/mod.rs"]
mod servers;

mod harness;
