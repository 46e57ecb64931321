//! The store in `PostgreSQL`: any number of instances share one database.

mod clock;
mod connect;
mod error;
mod lists;
mod pipeline;
mod reads;
mod rows;
mod schema;
mod search;
mod tls;

pub use connect::{Settings, Statements};

use crate::store::StoreError;

/// Brings the tables of a database up to date and does nothing else.
///
/// # Errors
/// [`StoreError::Corrupt`] where the database is newer than this program or another program's;
/// [`StoreError::Unavailable`] where the server cannot be reached or another instance takes too long.
pub async fn migrate(settings: &Settings) -> Result<(), StoreError> {
    settings.check()?;
    schema::migrate(&settings.reader_pool()?).await
}
