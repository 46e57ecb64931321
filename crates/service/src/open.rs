//! Assembles a box office from its parts, and loads the lines from their rows.

use crate::{
    caches::{endings::Endings, updater::CacheUpdater},
    engine::{Engine, EngineLimits},
    metrics::Metrics,
    office::{BoxOffice, Caches, DemoAccounts},
    passwords::Passwords,
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{id::AuditId, policy::Policy, time::Span};
use frontrow_line::Peers;
use frontrow_signing::Keyring;
use frontrow_storage::{Page, Sharing, Store};
use std::{
    sync::{Arc, Mutex, atomic::AtomicI64},
    thread::JoinHandle,
};

/// The settings of a box office.
#[derive(Debug, Clone)]
pub struct OfficeSettings {
    /// The settings that the rules read.
    pub policy: Policy,
    /// How many commands may wait in each lane of the engine.
    pub queue_len: usize,
    /// How many commands share a transaction at most.
    pub batch_max: usize,
    /// How many lanes run batches if both the store and the lines accept commits in any order; else there is one.
    pub lanes: usize,
    /// Whether the demo's accounts can sign in.
    pub demo_accounts: DemoAccounts,
    /// How long a session lasts.
    pub session_length: Span,
}

/// The parts of a box office.
#[derive(Debug)]
pub struct OfficeParts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The lines, and the other instances over the database.
    pub peers: Arc<dyn Peers>,
    /// Signs and checks queue tokens.
    pub keyring: Keyring,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub ids: Ids,
}

/// When the lines are loaded from their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// At the start.
    AtOnce,
    /// Each line on its first use.
    WhenAsked,
}

/// A box office with its engine running.
#[derive(Debug)]
pub struct OpenedOffice {
    /// The box office.
    pub office: Arc<BoxOffice>,
    /// The engine's threads: they end once the box office is dropped.
    pub engine: Vec<JoinHandle<()>>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The clock of the box office.
    pub clock: Clock,
}

/// Assembles a box office, and starts its engine.
///
/// # Errors
/// The rows cannot be read, or the engine cannot be started.
pub async fn open(parts: OfficeParts, settings: OfficeSettings, loading: Loading) -> anyhow::Result<OpenedOffice> {
    let OfficeParts { store, peers, keyring, clock, ids } = parts;
    let clock = clock.steady();
    let metrics = Arc::new(Metrics::new());
    let caches = Arc::new(Caches::new(u64::from_le_bytes(first_eight(ids.secret())), store.sharing()));
    let memory = CacheUpdater::new(&store, &peers, &caches, &metrics);
    let audited = store.audit(Page { after: None, limit: 1 }).await?;
    let audited = audited.first().map_or(AuditId::new(0), |line| line.audit_id);
    if loading == Loading::AtOnce {
        if let Some(outage) = store.resume().await? {
            let (seconds, grace) = (outage.to.since(outage.from).millis() / 1_000, outage.grace.millis() / 1_000);
            tracing::info!(seconds, grace, "the box office was closed: turns and holds last longer by that time");
        }
        memory.rebuild().await?;
    }
    let engine_limits = EngineLimits {
        queue_len: settings.queue_len,
        batch_max: settings.batch_max,
        // Several lanes publish their commits in any order: only lines that follow other instances put them in order.
        lanes: match (store.sharing(), peers.sharing()) {
            (Sharing::Shared, Sharing::Shared) => settings.lanes,
            _ => 1,
        },
    };
    let (engine, threads) = Engine::start(&store, engine_limits, Arc::clone(&metrics), &(Arc::new(memory) as _))?;
    let office = Arc::new(BoxOffice {
        store,
        queue: Arc::clone(peers.lines()),
        peers,
        engine,
        keyring,
        caches,
        passwords: Passwords::new()?,
        clock: clock.clone(),
        ids,
        policy: settings.policy,
        demo_accounts: settings.demo_accounts,
        session_length: settings.session_length,
        metrics: Arc::clone(&metrics),
        clock_skew: AtomicI64::new(0),
        instance_faults: Mutex::default(),
        endings: Endings::default(),
        room_loading: tokio::sync::Mutex::default(),
        audited,
    });
    Ok(OpenedOffice { office, engine: threads, metrics, clock })
}

fn first_eight(secret: [u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(secret) {
        *to = from;
    }
    first
}
