//! Detects that Redis was flushed, restarted or failed over, by its incarnation key and its run id: one instance seeds
//! it again, and every instance rebuilds its lines.
//!
//! In a cluster this watches the node of the installation's own keys, the event stream among them. The other nodes have
//! the keys of rooms: leases, heartbeats and copies of tokens, which renew themselves.

use super::{
    Follower,
    client::{Reach, RedisClient, is_down},
    holds::{self, HoldChanges},
    keys::RedisKeys,
    reader::FromEnd,
    tokens::{self, TokenChanges},
};
use crate::peers::PeersError;
use frontrow_clock::Ids;
use frontrow_domain::{
    id::{Position, RoomId},
    queue::Token,
    time::Time,
};
use frontrow_storage::{Page, StoreError};
use redis::Script;
use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

/// How often the server is checked.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long the reader may take to skip to the stream's end before it is asked again.
const READER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an instance that seeds Redis keeps the others from it.
const LOCK_MS: u64 = 30_000;
/// How long rooms whose nodes refuse are left alone before they are tried again.
const REFUSED_MS: u64 = 5_000;
/// How many deadlines are seeded, those that end first. The sweep finds others in the store.
const DEADLINES_MAX: u32 = 1_000_000;
/// How many waiting tokens are read and seeded at a time.
const WAITING_AT_ONCE: u32 = 10_000;

static INCARNATION: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("incarnation.lua")));
static RENEW_LOCK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lock_renew.lua")));
static INCARNATION_READY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("incarnation_ready.lua")));

/// The state of the incarnation key.
#[derive(Debug)]
struct Incarnation {
    nonce: String,
    /// This instance has the lock and is to seed Redis.
    must_seed: bool,
}

/// The task that checks the server.
pub(super) struct Watch {
    pub(super) follower: Arc<Follower>,
    pub(super) client: Arc<RedisClient>,
    /// Asks the reader to skip to the stream's end.
    pub(super) from_end: mpsc::Sender<FromEnd>,
    /// Requests that Redis be seeded again.
    pub(super) invalidated: Arc<Notify>,
    pub(super) ids: Ids,
    /// The nonce of the incarnation that the lines were last built under.
    pub(super) nonce: Option<String>,
    /// The seeding task, at most one. It ends with the value.
    pub(super) seeding: JoinSet<()>,
    /// The progress of this instance's seeding.
    pub(super) seeded: Arc<Mutex<Seeded>>,
}

/// The part that has been seeded of one incarnation: another try begins with the rest.
#[derive(Debug, Default)]
pub(super) struct Seeded {
    nonce: String,
    has_deadlines: bool,
    /// Rooms whose tokens are seeded.
    rooms: BTreeSet<RoomId>,
}

fn marker(keys: &RedisKeys) -> String {
    keys.installation_part("marker")
}

fn lock_of(keys: &RedisKeys) -> String {
    keys.installation_part("marker:lock")
}

impl Watch {
    /// Checks the server for the first time, before any line is loaded.
    pub(super) async fn begin(&mut self) -> Result<(), PeersError> {
        let mark = self.incarnation().await?;
        self.nonce = Some(mark.nonce.clone());
        if mark.must_seed {
            self.seed_redis(mark.nonce);
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
        let mark = self.incarnation().await?;
        if self.nonce.as_ref() != Some(&mark.nonce) {
            // Later events are read; earlier changes are in the rows.
            let (done, wait) = oneshot::channel();
            if self.from_end.try_send(done).is_err()
                || !matches!(tokio::time::timeout(READER_TIMEOUT, wait).await, Ok(Ok(())))
            {
                return Err(PeersError("the event reader is stuck".into()));
            }
            tracing::warn!("Redis was emptied, restarted or replaced: the lines are read again from the database");
            self.follower.forget_redis();
            self.nonce = Some(mark.nonce.clone());
        }
        if mark.must_seed {
            self.seed_redis(mark.nonce);
        }
        Ok(())
    }

    async fn incarnation(&self) -> Result<Incarnation, PeersError> {
        let keys = &self.follower.keys;
        let mut call = INCARNATION.key(marker(keys));
        call.key(lock_of(keys));
        call.arg(self.ids.uuid(self.follower.clock.now()).simple().to_string());
        call.arg(self.follower.instance.simple().to_string()).arg(LOCK_MS);
        let (nonce, role, ours): (String, String, i64) = self.client.script(&call).await?;
        if role != "master" {
            self.client.disconnect("it is not the primary any more");
            return Err(PeersError("this Redis is a replica".into()));
        }
        Ok(Incarnation { nonce, must_seed: ours == 1 })
    }

    /// Deletes the incarnation key, so that Redis is seeded again.
    async fn invalidate(&self) {
        if let Err(error) = self.client.run::<()>(redis::cmd("DEL").arg(marker(&self.follower.keys))).await {
            tracing::debug!(%error, "cannot delete the key that says which Redis this is");
            // Tried again a little later.
            self.invalidated.notify_one();
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    /// Seeds the deadlines and tokens in a task of its own: the lines need not wait for it.
    fn seed_redis(&mut self, nonce: String) {
        let seeded = Arc::clone(&self.seeded);
        {
            let mut seeded = super::lock(&seeded);
            if seeded.nonce != nonce {
                *seeded = Seeded { nonce, ..Seeded::default() };
            }
        }
        let seeding = Seeding { follower: Arc::clone(&self.follower), client: Arc::clone(&self.client), seeded };
        self.seeding = JoinSet::new();
        self.seeding.spawn(async move {
            match seeding.run().await {
                Ok(0) => tracing::info!("hold deadlines and token copies are in Redis again"),
                Ok(refused) => tracing::warn!(
                    refused,
                    "Redis refuses the token copies of some rooms: they are published again later"
                ),
                Err(error) => tracing::warn!(%error, "cannot put hold deadlines and token copies into Redis"),
            }
        });
    }
}

/// Seeds Redis with all that it should hold.
struct Seeding {
    follower: Arc<Follower>,
    client: Arc<RedisClient>,
    seeded: Arc<Mutex<Seeded>>,
}

impl Seeding {
    /// Seeds the deadlines, and the copies of tokens room by room. Returns how many rooms' nodes refused: they do
    /// not hold up the others, but the incarnation key says ready only once none refuses; until then an instance
    /// begins again.
    async fn run(&self) -> Result<usize, PeersError> {
        let keys = &self.follower.keys;
        if !super::lock(&self.seeded).has_deadlines {
            let due = self.follower.store.next_expiries(Time::MAX, DEADLINES_MAX).await?;
            let holds = HoldChanges { due, over: Vec::new() };
            holds::publish(&mut self.client.handle(), keys, &holds).await?;
            super::lock(&self.seeded).has_deadlines = true;
        }
        let mut rooms = self.follower.store.busy_rooms().await?;
        rooms.retain(|room| !super::lock(&self.seeded).rooms.contains(room));
        let (mut refused, mut taken) = (0, Vec::new());
        for room in rooms {
            if self.seed_live_tokens(room).await? { taken.push(room) } else { refused += 1 }
        }
        // After all others: there may be millions of waiting tokens.
        for room in taken {
            if self.seed_waiting_tokens(room).await? {
                super::lock(&self.seeded).rooms.insert(room);
            } else {
                refused += 1;
            }
        }
        if refused == 0 {
            let nonce = super::lock(&self.seeded).nonce.clone();
            self.client.script::<()>(INCARNATION_READY.key(marker(keys)).arg(nonce)).await?;
        } else {
            self.renew_lock(REFUSED_MS).await?;
        }
        Ok(refused)
    }

    /// Seeds the copies of a room's live tokens that do not wait. Returns whether the room's node took them.
    async fn seed_live_tokens(&self, room: RoomId) -> Result<bool, PeersError> {
        self.renew_lock(LOCK_MS).await?;
        let Some(rows) = self.follower.store.live_line(room).await? else {
            return Ok(true);
        };
        let mut changes = TokenChanges::default();
        for token in &rows.others {
            changes.apply(token, rows.now);
        }
        self.publish_tokens(changes).await
    }

    /// Seeds the copies of a room's waiting tokens: while some are sent, the next are read. Returns whether the room's
    /// node took them.
    async fn seed_waiting_tokens(&self, room: RoomId) -> Result<bool, PeersError> {
        let mut waiting = self.read_waiting(room, None).await?;
        while let Some(last) = waiting.last() {
            self.renew_lock(LOCK_MS).await?;
            let mut changes = TokenChanges::default();
            // As of the oldest moment there is: a copy published meanwhile is later and stays.
            for token in &waiting {
                changes.apply(token, token.issued_at);
            }
            let next = self.read_waiting(room, Some(last.id.position));
            let (is_published, next) = tokio::try_join!(self.publish_tokens(changes), next)?;
            if !is_published {
                return Ok(false);
            }
            waiting = next;
        }
        Ok(true)
    }

    /// The next waiting tokens behind `after`.
    async fn read_waiting(&self, room: RoomId, after: Option<Position>) -> Result<Vec<Token>, PeersError> {
        let page = Page { after, limit: WAITING_AT_ONCE };
        self.follower.store.waiting_tokens(room, page).await.map_err(PeersError::from)
    }

    /// Keeps others from seeding for `millis`; fails if another instance took the lock while this one was held up.
    async fn renew_lock(&self, millis: u64) -> Result<(), PeersError> {
        let mut renewal = RENEW_LOCK.key(lock_of(&self.follower.keys));
        renewal.arg(self.follower.instance.simple().to_string()).arg(millis);
        if self.client.script::<i64>(&renewal).await? == 0 {
            return Err(PeersError("another instance is seeding Redis".into()));
        }
        Ok(())
    }

    /// Sends the token copies of one room. Returns whether its node took them; an error if Redis is down.
    async fn publish_tokens(&self, mut changes: TokenChanges) -> Result<bool, PeersError> {
        let refused = tokens::publish(&self.client.handle(), &self.follower.keys, &mut changes, |_| true).await;
        match refused.into_values().next() {
            None => Ok(true),
            Some(error) if is_down(&error) => Err(error.into()),
            Some(error) => {
                tracing::debug!(%error, "token copies were refused");
                Ok(false)
            }
        }
    }
}

impl From<StoreError> for PeersError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
