//! Detects that Redis was flushed, restarted or failed over, by its incarnation key and its run id: one instance seeds
//! it again, and every instance rebuilds its lines.
//!
//! In a cluster this watches the node of the installation's own keys, the event stream among them. The other nodes have
//! copies of tokens, which renew themselves.

use super::{
    client::{Reach, RedisClient},
    follower::Follower,
    heartbeats::Heartbeats,
    keys::RedisKeys,
    lease::Leases,
    reader::FromEnd,
    seeding::{LOCK_MS, Seeding, incarnation_key, lock_key},
};
use crate::peers::PeersError;
use frontrow_clock::Ids;
use redis::Script;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};
use uuid::Uuid;

/// How often the server is checked.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long the reader may take to skip to the stream's end before it is asked again.
const READER_TIMEOUT: Duration = Duration::from_secs(2);

static INCARNATION: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("incarnation.lua")));

/// The state of the incarnation key.
#[derive(Debug)]
struct Incarnation {
    nonce: String,
    /// This instance has the lock and is to seed Redis.
    must_seed: bool,
}

/// The caches of answers of this Redis, which must be emptied when it is another one.
pub(super) struct RedisCaches {
    pub(super) follower: Arc<Follower>,
    pub(super) leases: Arc<Leases>,
    pub(super) heartbeats: Arc<Heartbeats>,
}

impl RedisCaches {
    /// Also has all lines rebuilt: events and heartbeats may be lost, and every token of a rebuilt line counts as just
    /// seen.
    fn forget(&self) {
        self.leases.forget();
        self.heartbeats.forget();
        self.follower.request_rebuild_of_all();
    }
}

/// The task that checks the server.
pub(super) struct Watch {
    instance: Uuid,
    client: Arc<RedisClient>,
    keys: RedisKeys,
    ids: Ids,
    answers: RedisCaches,
    /// Asks the reader to skip to the stream's end.
    from_end: mpsc::Sender<FromEnd>,
    /// Requests that Redis be seeded again.
    invalidated: Arc<Notify>,
    /// The nonce of the incarnation that the lines were last built under.
    nonce: Option<String>,
    seeding: Arc<Seeding>,
    /// The seeding task, at most one. It ends with the value.
    task: JoinSet<()>,
}

impl Watch {
    pub(super) fn new(
        instance: Uuid,
        client: Arc<RedisClient>,
        keys: RedisKeys,
        answers: RedisCaches,
        seeding: Seeding,
        (from_end, invalidated): (mpsc::Sender<FromEnd>, Arc<Notify>),
    ) -> Self {
        let (ids, seeding, task) = (Ids::from_os(), Arc::new(seeding), JoinSet::new());
        Self { instance, client, keys, ids, answers, from_end, invalidated, nonce: None, seeding, task }
    }

    /// Checks the server for the first time, before any line is loaded.
    pub(super) async fn begin(&mut self) -> Result<(), PeersError> {
        let incarnation = self.incarnation().await?;
        self.nonce = Some(incarnation.nonce.clone());
        if incarnation.must_seed {
            self.seed_redis(incarnation.nonce);
        }
        Ok(())
    }

    pub(super) async fn run(mut self) {
        let mut reach = self.client.reach();
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                changed = reach.changed() => if changed.is_err() { return },
                () = self.invalidated.notified() => self.invalidate().await,
            }
            if !matches!(*reach.borrow_and_update(), Reach::Up(_)) {
                continue;
            }
            if let Err(error) = self.check().await {
                tracing::debug!(%error, "Redis cannot be checked");
            }
        }
    }

    async fn check(&mut self) -> Result<(), PeersError> {
        let incarnation = self.incarnation().await?;
        if self.nonce.as_ref() != Some(&incarnation.nonce) {
            // Later events are read; earlier changes are in the rows.
            let (done, wait) = oneshot::channel();
            if self.from_end.try_send(done).is_err()
                || !matches!(tokio::time::timeout(READER_TIMEOUT, wait).await, Ok(Ok(())))
            {
                return Err(PeersError("the event reader is stuck".into()));
            }
            tracing::warn!("Redis was emptied, restarted or replaced: rebuilding the lines from the database");
            self.answers.forget();
            self.nonce = Some(incarnation.nonce.clone());
        }
        if incarnation.must_seed {
            self.seed_redis(incarnation.nonce);
        }
        Ok(())
    }

    async fn incarnation(&self) -> Result<Incarnation, PeersError> {
        let mut call = INCARNATION.key(incarnation_key(&self.keys));
        call.key(lock_key(&self.keys));
        call.arg(self.ids.uuid(self.answers.follower.now()).simple().to_string());
        call.arg(self.instance.simple().to_string()).arg(LOCK_MS);
        let (nonce, role, ours): (String, String, i64) = call.invoke_async(&mut self.client.handle()).await?;
        if role != "master" {
            self.client.disconnect("it is not the primary any more");
            return Err(PeersError("this Redis is a replica".into()));
        }
        Ok(Incarnation { nonce, must_seed: ours == 1 })
    }

    /// Deletes the incarnation key, so that Redis is seeded again.
    async fn invalidate(&self) {
        let mut delete = redis::cmd("DEL");
        let deleted = delete.arg(incarnation_key(&self.keys)).query_async::<()>(&mut self.client.handle()).await;
        if let Err(error) = deleted {
            tracing::debug!(%error, "cannot delete the key that says which Redis this is");
            // Tried again a little later.
            self.invalidated.notify_one();
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    /// Seeds the deadlines and tokens in a task of its own: the lines need not wait for it.
    fn seed_redis(&mut self, nonce: String) {
        let seeding = Arc::clone(&self.seeding);
        self.task = JoinSet::new();
        self.task.spawn(async move {
            match seeding.run(nonce).await {
                Ok(0) => tracing::info!("hold deadlines and token copies are stored in Redis again"),
                Ok(refused) => tracing::warn!(
                    refused,
                    "Redis refuses the token copies of some rooms: they are published again later"
                ),
                Err(error) => tracing::warn!(%error, "cannot put hold deadlines and token copies into Redis"),
            }
        });
    }
}
