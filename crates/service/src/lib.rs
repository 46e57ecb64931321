//! The box office itself: the calls that clients make, and its background work.
//!
//! [`office::BoxOffice`] is the single entry: its calls stand in a file for each use. A change becomes a command, which
//! the engine gives to the store in batches; reads use caches and views of the lines; [`workers`] move the lines and
//! remove old rows. No other crate names a command.

pub mod accounts;
pub mod bounded;
mod caches;
pub mod concert_import;
pub mod demo;
pub mod door_list;
pub mod drafts;
pub mod draws;
mod engine;
pub mod first_operator;
pub mod gzip;
pub mod health;
pub mod house;
pub mod join_work;
pub mod letters;
pub mod line;
pub mod local;
pub mod metrics;
pub mod net;
pub mod office;
pub mod operators;
pub mod outbox;
mod outcome;
mod passwords;
pub mod pictures;
pub mod points;
pub mod rehearsal;
pub mod sale;
pub mod search;
pub mod seat_facts;
pub mod seat_plan;
pub mod second_factor;
pub mod sessions;
mod shares;
mod stock;
pub mod testing;
pub mod timeline;
pub mod validate;
pub mod workers;

pub use engine::{EngineError, notes};
pub use outcome::{AddedSeats, SetSeats};
