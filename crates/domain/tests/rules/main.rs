//! The rules: tables of what is asked and answered, subject by subject; every order of events in a very small sale;
//! random sales beside a second box office that is written another way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod admission;
mod away;
mod blocks;
mod bounds;
mod concerts;
mod details;
mod draws;
mod exhaustive;
mod forecast;
mod holds;
mod idempotency;
mod lanes;
mod operator;
mod outbox;
mod payments;
mod points;
mod preparation;
mod queue;
mod reasons;
mod rehearsal;
mod rooms;
mod seats;
mod shares;
mod state_machine;
mod support;
mod versions;
mod work;
