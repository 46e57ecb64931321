//! The store in `PostgreSQL`: any number of instances share one database.

mod connect;
mod error;
mod load;
mod pipeline;
mod rows;
mod save;
mod tls;
mod transact;
mod wanted;

pub use connect::{Settings, Statements};
