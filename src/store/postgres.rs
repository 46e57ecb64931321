//! The store in `PostgreSQL`: any number of instances share one database.

mod connect;
mod error;
mod tls;

pub use connect::{Settings, Statements};
