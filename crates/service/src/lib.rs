//! The box office itself: what callers may ask of it, and what it does by itself.
//!
//! [`office::BoxOffice`] is the one door. A change becomes a command, which the [`engine`] gives to the store in batches;
//! reads go by [`caches`] and views of the lines; [`workers`] move the lines and forget what is too old.

pub mod accounts;
pub mod bounded;
pub mod caches;
pub mod concert_import;
pub mod demo;
pub mod door_list;
pub mod drafts;
pub mod engine;
pub mod gzip;
pub mod health;
pub mod line;
pub mod local;
pub mod metrics;
pub mod net;
pub mod office;
pub mod open;
pub mod passwords;
pub mod validate;
pub mod workers;
