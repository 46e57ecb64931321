//! The box office itself: the calls that clients make, and its background work.
//!
//! [`office::BoxOffice`] is the single entry. A change becomes a command, which the [`engine`] gives to the store in
//! batches; reads use [`caches`] and views of the lines; [`workers`] move the lines and remove old rows.

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
