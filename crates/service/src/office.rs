//! The box office: its parts, their assembly, and the way of every command to the engine.
//!
//! Its calls stand in a file for each use: [`accounts`](crate::accounts), [`sessions`](crate::sessions),
//! [`letters`], [`line`](crate::line), [`sale`](crate::sale),
//! [`points`](crate::points), [`operators`](crate::operators), [`health`](crate::health). Each gives the engine a
//! command or reads; none decides a rule.

use crate::{
    caches::{Caches, updater::CacheUpdater},
    draws::DrawnOrders,
    engine::{Engine, EngineError, EngineLimits},
    house::{CommitTallies, House, HouseFolders},
    letters::{self, KeptLetters},
    metrics::Metrics,
    outcome::{FromOutcome, Swept},
    passwords::{PasswordError, Passwords},
    pictures::Pictures,
    rehearsal::Rehearsals,
    sale::{LastSeason, LastViews},
    stock::Stocks,
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Answer, Command, Idempotency, Replay, Request},
    id::AuditId,
    line::BeaconWait,
    policy::Policy,
    refusal::Refusal,
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{Lines, Peers, PeersError};
use frontrow_signing::Keyring;
use frontrow_storage::{Page, Sharing, Store, StoreError};
use std::{
    sync::{Arc, Mutex, atomic::AtomicI64},
    thread::JoinHandle,
};
use tokio::sync::{Semaphore, watch};

/// Whether the demo's accounts can sign in with their published password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoAccounts {
    /// The server runs as a demo.
    Open,
    /// It does not; its database may have been a demo's.
    Refused,
}

/// Faults among the instances over one database, as this one sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InstanceFaults {
    pub(crate) conflicting: usize,
    pub(crate) deaf: usize,
    pub(crate) lacking: Option<(u32, u32)>,
}

/// The parts of a running box office.
#[derive(Debug)]
pub struct BoxOffice {
    /// The database.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lines: Arc<Lines>,
    /// The port to the other instances.
    pub(crate) peers: Arc<dyn Peers>,
    /// Decides and saves every change.
    pub(crate) engine: Engine,
    /// Signs and checks queue tokens.
    pub(crate) keyring: Keyring,
    /// The instance's caches, updated after each commit.
    pub(crate) caches: Arc<Caches>,
    /// The season of this second.
    pub(crate) last_season: LastSeason,
    /// What the pages of concerts showed in this second.
    pub(crate) last_views: LastViews,
    /// Decodes pictures.
    pub(crate) pictures: Pictures,
    /// Hashes passwords.
    pub(crate) passwords: Passwords,
    /// The time.
    pub(crate) clock: Clock,
    /// Randomness.
    pub(crate) ids: Ids,
    /// The settings that the rules read.
    pub(crate) policy: Policy,
    /// Whether the demo's accounts, whose password is published, can sign in.
    pub(crate) demo_accounts: DemoAccounts,
    /// How long a session lasts.
    pub(crate) session_length: Span,
    /// The letters of a demo; none if no letters are sent.
    pub(crate) letters: Option<Arc<KeptLetters>>,
    /// Bounds the visitors' requests for letters that are looked up at once.
    pub(crate) letter_requests: Arc<Semaphore>,
    /// The metrics.
    pub(crate) metrics: Arc<Metrics>,
    /// The figures of the whole house.
    pub(crate) house: House,
    /// What is left of the seats behind each line.
    pub(crate) stocks: Stocks,
    /// How far the database's clock was ahead of this machine's when last compared, in microseconds.
    pub(crate) clock_skew: AtomicI64,
    /// Faults among the instances over the database, when last checked.
    pub(crate) instance_faults: Mutex<InstanceFaults>,
    /// Locked while a room made by another process is loaded, so that its rows are read once.
    pub(crate) room_loading: tokio::sync::Mutex<()>,
    /// Marked as changed by each commit of this instance that emitted an event.
    pub(crate) emitted: watch::Sender<()>,
    /// The rehearsal that runs, and the last ones.
    pub(crate) rehearsals: Arc<Rehearsals>,
    /// The drawn orders of lobbies.
    pub(crate) drawn_orders: DrawnOrders,
    /// How a draw that begins now waits for its beacon.
    pub(crate) beacon: BeaconWait,
    /// The newest line of the audit log before the caches were loaded: they may lack the changes of later lines.
    pub(crate) audited: AuditId,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A rule refused the first use of this idempotency key.
    #[error("{0}")]
    RefusedBefore(Refusal),
    /// The engine did not decide it.
    #[error(transparent)]
    EngineError(#[from] EngineError),
    /// A read failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shared state of the lines could not be reached.
    #[error(transparent)]
    Queue(#[from] PeersError),
    /// The request has no valid session.
    #[error("the caller is not signed in")]
    Unauthorized,
    /// E-mail address and password do not belong together.
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    /// The repeated password of a signed-in caller is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The account is one of the demo's with its published password, and this is no demo.
    #[error("the account is the demo's")]
    DemoAccount,
    /// Too many passwords wait to be hashed.
    #[error("too many sign-ins at once")]
    TooManySignIns,
    /// A bug. The text is for the log.
    #[error("internal: {0}")]
    Internal(&'static str),
}

impl From<PasswordError> for ServiceError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::TooManySignIns,
            PasswordError::Failed => Self::Internal("a password could not be hashed"),
        }
    }
}

/// A command's outcome, and whether it is a replay under its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// The outcome.
    pub value: T,
    /// Whether it is a replay.
    pub replay: Replay,
}

impl BoxOffice {
    /// The time by which the box office decides and shows: the store's, as far as this instance knows it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The settings that the rules read.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Has the engine decide a command, and takes the answer from its outcome.
    pub(crate) async fn ask<T: FromOutcome>(
        &self,
        caller: Caller,
        command: Command,
        key: Option<Idempotency>,
    ) -> Result<Reply<T>, ServiceError> {
        let Answer { decision, replay } = self.engine.run(Request { caller, command, idempotency: key }).await?;
        match decision {
            Ok(outcome) => {
                let value = T::from_outcome(outcome);
                Ok(Reply { value: value.ok_or(ServiceError::Internal("the outcome is not the command's"))?, replay })
            }
            Err(refusal) if replay == Replay::Replayed => Err(ServiceError::RefusedBefore(refusal)),
            Err(refusal) => Err(ServiceError::Refused(refusal)),
        }
    }

    /// As [`BoxOffice::ask`], for a command without an idempotency key.
    pub(crate) async fn run<T: FromOutcome>(&self, caller: Caller, command: Command) -> Result<T, ServiceError> {
        Ok(self.ask(caller, command, None).await?.value)
    }

    /// Has the engine run a batch that changes nothing: before it, the store resumes after a failure and stale caches
    /// are read again. A client's next command may be long in coming.
    pub(crate) async fn resume(&self) -> Result<(), ServiceError> {
        let swept: Swept = self.run(Caller::System, Command::ExpireHolds { reservation_ids: Vec::new() }).await?;
        debug_assert_eq!(swept.0, 0);
        Ok(())
    }
}

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
    /// How a draw that begins now waits for its beacon.
    pub beacon: BeaconWait,
    /// The name of this instance for operators.
    pub instance_name: String,
    /// The folders that the box office looks at.
    pub folders: HouseFolders,
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
    let (emitted, _) = watch::channel(());
    let tallies = Arc::new(CommitTallies::default());
    let house = House::new(settings.instance_name, settings.folders, (&tallies, &metrics), clock.now());
    let memory = CacheUpdater::new(&store, &peers, (&caches, &tallies), &metrics, emitted.clone());
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
        lines: Arc::clone(peers.lines()),
        peers,
        engine,
        keyring,
        caches,
        last_season: LastSeason::default(),
        last_views: LastViews::default(),
        pictures: Pictures::default(),
        passwords: Passwords::new()?,
        clock: clock.clone(),
        ids,
        policy: settings.policy,
        demo_accounts: settings.demo_accounts,
        session_length: settings.session_length,
        letters: (settings.demo_accounts == DemoAccounts::Open).then(Arc::<KeptLetters>::default),
        letter_requests: Arc::new(Semaphore::new(letters::REQUESTS_MAX)),
        metrics: Arc::clone(&metrics),
        house,
        stocks: Stocks::default(),
        clock_skew: AtomicI64::new(0),
        instance_faults: Mutex::default(),
        room_loading: tokio::sync::Mutex::default(),
        emitted,
        rehearsals: Arc::default(),
        drawn_orders: DrawnOrders::default(),
        beacon: settings.beacon,
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
