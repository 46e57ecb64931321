//! Opens the configured database, and Redis if there are other instances.

use super::{RunningApp, assemble_with};
use crate::config::{Config, Database, ServerUrl, Switch};
use anyhow::Context as _;
use frontrow_clock::{Clock, Ids};
use frontrow_line::{
    SoleInstance,
    redis::{self, RedisPeers, client::ClientSettings, limits::SharedLimits},
};
use frontrow_service::{
    health::follow_store,
    office::{Loading, OfficeParts},
};
use frontrow_signing::Keyring;
use frontrow_storage::{
    Instance, Sharing, Store,
    lock::make_folder,
    postgres::{PostgresSettings, PostgresStore, Statements, keys::SigningKeys},
    sqlite::SqliteStore,
    trouble::Trouble,
};
use frontrow_web::edge::limit::RateLimits;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use uuid::Uuid;

/// How often an instance checks for new keys: much more often than a new key needs to start signing.
pub const KEYS_TICK: Duration = Duration::from_secs(10);

/// How many notices of other instances may wait.
const NOTICES_MAX: usize = 4_096;

/// Opens the configured box office.
///
/// # Errors
/// The data folder, the database or Redis cannot be used.
pub async fn open(config: &Config, clock: Clock, ids: Ids) -> anyhow::Result<RunningApp> {
    open_with(config, clock, ids, Loading::AtOnce).await
}

/// Opens the box office for a command that needs no line: no line is loaded.
///
/// # Errors
/// As [`open`].
pub async fn open_for_tool(config: &Config, clock: Clock, ids: Ids) -> anyhow::Result<RunningApp> {
    open_with(config, clock, ids, Loading::WhenAsked).await
}

async fn open_with(config: &Config, clock: Clock, ids: Ids, loading: Loading) -> anyhow::Result<RunningApp> {
    // One clock for the database and everything around it.
    let clock = clock.steady();
    match config.database() {
        Database::Sqlite(path) => open_alone(config, &path, clock, ids, loading).await,
        Database::Postgres(url) => open_shared(config, &url, clock, ids, loading).await,
    }
}

/// One machine: `SQLite`, and the lines in memory.
async fn open_alone(
    config: &Config,
    path: &Path,
    clock: Clock,
    ids: Ids,
    loading: Loading,
) -> anyhow::Result<RunningApp> {
    make_folder(&config.data)?;
    let store = SqliteStore::open(path, clock.clone(), config.policy(), i64::from(config.max_active))
        .with_context(|| format!("cannot open {}", path.display()))?;
    let keyring = keys_in_file(config, &ids)?;
    let store = Arc::new(store);
    let peers = Arc::new(SoleInstance::new(Arc::clone(&store) as _));
    let limits = RateLimits::new(&config.rate_limits());
    assemble_with(config, OfficeParts { store, peers, keyring, clock, ids }, limits, loading).await
}

/// One of any number of instances: `PostgreSQL`, and Redis if there are several.
async fn open_shared(
    config: &Config,
    url: &ServerUrl,
    clock: Clock,
    ids: Ids,
    loading: Loading,
) -> anyhow::Result<RunningApp> {
    let instance = ids.uuid(clock.now());
    let settings =
        PostgresSettings { instance: instance_of(config, instance, loading), ..postgres_settings(config, url) };
    let store = PostgresStore::open(&settings, clock.clone(), config.policy(), i64::from(config.max_active))
        .await
        .context("cannot open the database")?;
    let store = Arc::new(store);
    follow_store(&clock, &*store).await.context("the database does not say what time it is")?;
    let keys = match config.key_file {
        Some(_) => None,
        None => Some(SigningKeys::new(&settings)?),
    };
    let keyring = match &keys {
        Some(keys) => keys.load_or_create(&ids).await.context("cannot use the token keys in the database")?,
        None => keys_in_file(config, &ids)?,
    };
    let Some(redis) = &config.servers.redis_url else {
        let peers = Arc::new(SoleInstance::new(Arc::clone(&store) as _));
        let limits = RateLimits::new(&config.rate_limits());
        let parts = OfficeParts { store, peers, keyring: keyring.clone(), clock, ids };
        let mut opened = assemble_with(config, parts, limits, loading).await?;
        opened.tasks.extend(keys.map(|keys| follow_keys(keys, keyring)));
        opened.app.office.check_instances().await;
        return Ok(opened);
    };
    let (notices, notices_read) = mpsc::channel(NOTICES_MAX);
    let office = store.installation_id().await?;
    let settings = redis_settings(config, redis);
    let peers = RedisPeers::start(settings, Arc::clone(&store) as _, office, instance, clock.clone(), notices)
        .await
        .context("cannot use Redis")?;
    let shared = SharedLimits::new(peers.handle(), peers.keys().clone());
    let limits = RateLimits::new(&config.rate_limits()).shared_by(shared);
    if let Err(error) = peers.check() {
        tracing::warn!(%error, "starting without Redis: connecting as soon as it can be reached");
    }
    let parts = OfficeParts { store, peers, keyring: keyring.clone(), clock, ids };
    let mut opened = assemble_with(config, parts, limits, loading).await?;
    if loading == Loading::AtOnce {
        tracing::info!(%office, %instance, "joined the instances over this database");
    }
    opened.app.office.check_instances().await;
    opened.tasks.spawn(opened.app.office.follow_notices(notices_read));
    opened.tasks.extend(keys.map(|keys| follow_keys(keys, keyring)));
    Ok(opened)
}

/// The instance as its connections announce it to the others; none for a command, which serves no requests.
fn instance_of(config: &Config, instance: Uuid, loading: Loading) -> Option<Instance> {
    let sharing = match config.servers.redis_url {
        Some(_) => Sharing::Shared,
        None => Sharing::Alone,
    };
    let (id, _) = instance.as_u64_pair();
    (loading == Loading::AtOnce).then_some(Instance { id, sharing, connections: config.servers.connections() })
}

fn keys_in_file(config: &Config, ids: &Ids) -> anyhow::Result<Keyring> {
    let path = config.key_path();
    Keyring::load_or_create(&path, ids).with_context(|| format!("cannot use the token keys in {}", path.display()))
}

/// The settings of the database at `url`.
#[must_use]
pub fn postgres_settings(config: &Config, url: &ServerUrl) -> PostgresSettings {
    let servers = &config.servers;
    let len = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    PostgresSettings {
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
        ..PostgresSettings::new(url.expose())
    }
}

/// The settings of Redis at `url`.
fn redis_settings(config: &Config, url: &ServerUrl) -> redis::RedisSettings {
    let urls = redis_urls(url.expose());
    let client = ClientSettings { ca_file: config.servers.redis_ca_file.clone(), ..ClientSettings::new(urls.clone()) };
    redis::RedisSettings { client, ..redis::RedisSettings::new(urls) }
}

/// The addresses in a setting: one with several hosts, or several with one each.
fn redis_urls(setting: &str) -> Vec<String> {
    match setting.split_once("://") {
        Some((scheme, _)) if scheme.ends_with("+sentinel") || scheme.ends_with("-cluster") => vec![setting.to_owned()],
        _ => setting.split(',').map(|one| one.trim().to_owned()).collect(),
    }
}

/// Loads keys that the command line makes.
async fn follow_keys(keys: SigningKeys, keyring: Keyring) {
    let trouble = Trouble::new("cannot check for new token keys");
    loop {
        tokio::time::sleep(KEYS_TICK).await;
        match trouble.noted(keys.load().await) {
            Some(Some(newest)) => keyring.adopt(&newest),
            Some(None) => {
                tracing::error!("the database has no token keys any more: the keys loaded before stay in use");
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_line::redis::client::RedisClient;

    #[tokio::test]
    async fn every_form_of_redis_url_with_several_hosts_is_understood() {
        for setting in [
            "redis://127.0.0.1:1, redis://127.0.0.1:2",
            "rediss://127.0.0.1:1,rediss://127.0.0.1:2",
            "redis-cluster://127.0.0.1:1,127.0.0.1:2",
            "rediss-cluster://name:secret@127.0.0.1:1,127.0.0.1:2",
            "redis+sentinel://127.0.0.1:1,127.0.0.1:2/0?master=name",
            "rediss+sentinel://127.0.0.1:1,127.0.0.1:2?master=name",
        ] {
            // No server is there: a valid address is tried again later.
            let link = RedisClient::open(ClientSettings::new(redis_urls(setting))).await;
            assert!(link.is_ok_and(|link| !link.is_up()), "{setting}");
        }
    }
}
