//! The store in `PostgreSQL`: any number of instances share one database.

mod connect;
mod error;
mod fill;
mod load;
mod pipeline;
mod rows;
mod save;
mod statements;
mod tls;
mod transact;
mod wanted;

pub use connect::{Settings, Statements};
