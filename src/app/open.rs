//! Which database and which queue a box office gets.

use super::{Opened, assemble};
use crate::{
    clock::{Clock, Ids},
    config::{Config, Database, ServerUrl, Switch},
    queue::{memory::MemoryQueue, token::Keyring},
    store::{
        postgres::{PostgresStore, Settings, Statements, keys::TokenKeys},
        sqlite::SqliteStore,
    },
};
use anyhow::Context as _;
use std::{path::Path, sync::Arc, time::Duration};

/// How often an instance looks for keys that were made elsewhere. Much shorter than the time after which those sign.
const KEYS_TICK: Duration = Duration::from_secs(10);

/// Opens the box office that the settings name.
///
/// # Errors
/// The data folder, the database or Redis cannot be used.
pub async fn open(config: &Config, clock: Clock, ids: Ids) -> anyhow::Result<Opened> {
    match config.database() {
        Database::Sqlite(path) => open_alone(config, &path, clock, ids).await,
        Database::Postgres(url) => open_shared(config, &url, clock, ids).await,
    }
}

/// One machine: `SQLite`, and the lines in memory.
async fn open_alone(config: &Config, path: &Path, clock: Clock, ids: Ids) -> anyhow::Result<Opened> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("cannot create the data folder {}", config.data.display()))?;
    let store = SqliteStore::open(path, clock.clone(), config.rules(), i64::from(config.max_active))
        .with_context(|| format!("cannot open {}", path.display()))?;
    let keyring = keys_in_file(config, &ids)?;
    assemble(config, Arc::new(store), Arc::new(MemoryQueue::new()), keyring, clock, ids).await
}

/// One of any number of instances: `PostgreSQL`, and Redis where there are several.
async fn open_shared(config: &Config, url: &ServerUrl, clock: Clock, ids: Ids) -> anyhow::Result<Opened> {
    let settings = postgres_settings(config, url);
    let store = PostgresStore::open(&settings, clock.clone(), config.rules(), i64::from(config.max_active))
        .await
        .context("cannot open the database")?;
    let store = Arc::new(store);
    let keys = match config.key_file {
        Some(_) => None,
        None => Some(TokenKeys::new(&settings)?),
    };
    let keyring = match &keys {
        Some(keys) => keys.load_or_create(&ids).await.context("cannot use the token keys in the database")?,
        None => keys_in_file(config, &ids)?,
    };
    tracing::warn!("without Redis, this must be the only instance over its database");
    let queue = Arc::new(MemoryQueue::new());
    let mut opened = assemble(config, store, queue, keyring.clone(), clock, ids).await?;
    if let Some(keys) = keys {
        opened.tasks.spawn(follow_keys(keys, keyring));
    }
    Ok(opened)
}

fn keys_in_file(config: &Config, ids: &Ids) -> anyhow::Result<Keyring> {
    let path = config.key_path();
    Keyring::load_or_create(&path, ids).with_context(|| format!("cannot use the token keys in {}", path.display()))
}

/// How the database at `url` is spoken to.
#[must_use]
pub fn postgres_settings(config: &Config, url: &ServerUrl) -> Settings {
    let servers = &config.servers;
    let len = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    Settings {
        ca_file: servers.database_ca_file.clone(),
        lanes: len(servers.database_lanes),
        readers: len(servers.database_readers),
        statement_timeout: servers.statement_timeout(),
        lock_timeout: servers.lock_timeout(),
        statements: match servers.database_prepared_statements {
            Switch::On => Statements::Named,
            Switch::Off => Statements::Unnamed,
        },
        replica_url: servers.database_replica_url.as_ref().map(|url| url.expose().to_owned()),
        ..Settings::new(url.expose())
    }
}

/// Takes over the keys that the command line makes.
async fn follow_keys(keys: TokenKeys, keyring: Keyring) {
    loop {
        tokio::time::sleep(KEYS_TICK).await;
        match keys.load().await {
            Ok(Some(newest)) => keyring.adopt(&newest),
            Ok(None) => tracing::error!("the database has no token keys any more"),
            Err(error) => tracing::warn!(%error, "cannot look for new token keys"),
        }
    }
}
