//! Which database and which queue a box office gets.

use super::{Opened, assemble};
use crate::{
    clock::{Clock, Ids},
    config::Config,
    queue::{memory::MemoryQueue, token::Keyring},
    store::sqlite::SqliteStore,
};
use anyhow::Context as _;
use std::{path::Path, sync::Arc};

/// Opens the box office that the settings name.
///
/// # Errors
/// The data folder, the database or Redis cannot be used.
pub async fn open(config: &Config, clock: Clock, ids: Ids) -> anyhow::Result<Opened> {
    open_alone(config, &config.database_path(), clock, ids).await
}

/// One machine: `SQLite`, and the lines in memory.
async fn open_alone(config: &Config, path: &Path, clock: Clock, ids: Ids) -> anyhow::Result<Opened> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("cannot create the data folder {}", config.data.display()))?;
    let store = SqliteStore::open(path, clock.clone(), config.rules(), i64::from(config.max_active))
        .with_context(|| format!("cannot open {}", path.display()))?;
    let keys = config.key_path();
    let keyring = Keyring::load_or_create(&keys, &ids)
        .with_context(|| format!("cannot use the token keys in {}", keys.display()))?;
    assemble(config, Arc::new(store), Arc::new(MemoryQueue::new()), keyring, clock, ids).await
}
