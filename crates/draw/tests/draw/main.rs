//! The draw from outside: what a house publishes, and what anyone can find out from it.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod beacon;
mod fairness;
mod formulas;
mod given;
mod merkle;
mod proof;
mod record;
