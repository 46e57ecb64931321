//! Frontrow, the server: a box office for sales that everybody wants at the same second.
//!
//! Dependencies point one way: [`http`] → [`flow`] → [`engine`], [`queue`] → [`store`] → the domain.

pub mod accounts;
pub mod app;
pub mod bounded;
pub mod catalog;
pub mod check;
pub mod clock;
pub mod config;
pub mod demo;
pub mod door_list;
pub mod engine;
pub mod flow;
pub mod gzip;
pub mod http;
pub mod local;
pub mod lock;
pub mod metrics;
pub mod net;
pub mod passwords;
pub mod queue;
pub mod season;
pub mod seatmap;
pub mod sessions;
pub mod store;
pub mod telemetry;
pub mod transfer;
pub mod trouble;
pub mod workers;
