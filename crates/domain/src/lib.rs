//! The rules of Frontrow, and nothing else: no I/O, no clock, no randomness, no async.
//!
//! Read it in the order of a sale:
//!
//! 1. [`line`](mod@line): a user joins a line and gets a token; the line offers turns; a claimed turn is an active token.
//! 2. [`sale`]: an active token holds a seat for five minutes.
//! 3. [`sale`] and [`points`]: points pay for it, in one step with the seat's sale and the token's end.
//!
//! A [`command::Command`] is the request; a store loads the rows that it names into a [`world::World`];
//! [`decide::decide`] is the only place that decides; a store saves the resulting [`changes::Changes`]. [`model::Model`]
//! is the whole service in maps, for tests and for a store without a disk.
//!
//! The promises: a seat has one live reservation; a balance is the sum of its history and never negative;
//! no more tokens are active in a room than its cap; a place in line is never lost and never moves back.

#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod bounds;
pub mod changes;
pub mod command;
pub mod decide;
pub mod footprint;
pub mod id;
pub mod line;
pub mod model;
pub mod money;
pub mod outage;
pub mod outbox;
pub mod points;
pub mod policy;
pub mod refusal;
pub mod retention;
pub mod sale;
pub mod seen;
pub mod text;
pub mod time;
pub mod user;
pub mod world;
