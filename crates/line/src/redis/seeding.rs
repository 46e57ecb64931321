//! Seeds Redis with what it should hold: the deadlines of holds, and the copies of tokens.

use super::{
    client::{RedisClient, is_down},
    holds::{self, HoldChanges},
    keys::RedisKeys,
    tokens::{self, TokenChanges},
};
use crate::{lock::lock, peers::PeersError};
use frontrow_domain::{
    id::{Position, RoomId},
    line::Token,
    time::Time,
};
use frontrow_storage::{Page, Store, StoreError};
use redis::Script;
use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock, Mutex},
};
use uuid::Uuid;

/// How long an instance that seeds Redis keeps the others from it.
pub(super) const LOCK_MS: u64 = 30_000;
/// How long rooms whose nodes refuse are left alone before they are tried again.
const REFUSED_MS: u64 = 5_000;
/// How many deadlines are seeded, those that end first. The sweep finds others in the store.
const DEADLINES_MAX: u32 = 1_000_000;
/// How many waiting tokens are read and seeded at a time.
const WAITING_AT_ONCE: u32 = 10_000;

static RENEW_LOCK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lock_renew.lua")));
static INCARNATION_READY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("incarnation_ready.lua")));

/// The key that says which Redis this is.
pub(super) fn incarnation_key(keys: &RedisKeys) -> String {
    keys.installation_part("incarnation")
}

/// The key of the lock of the instance that seeds Redis.
pub(super) fn lock_key(keys: &RedisKeys) -> String {
    keys.installation_part("incarnation:lock")
}

/// Seeds Redis from the rows. One task at a time.
pub(super) struct Seeding {
    instance: Uuid,
    store: Arc<dyn Store>,
    client: Arc<RedisClient>,
    keys: RedisKeys,
    seeded: Mutex<Seeded>,
}

/// The part that has been seeded of one incarnation: another try begins with the rest.
#[derive(Debug, Default)]
struct Seeded {
    nonce: String,
    has_deadlines: bool,
    /// Rooms whose tokens are seeded.
    rooms: BTreeSet<RoomId>,
}

impl Seeding {
    pub(super) fn new(instance: Uuid, store: Arc<dyn Store>, client: Arc<RedisClient>, keys: RedisKeys) -> Self {
        Self { instance, store, client, keys, seeded: Mutex::default() }
    }

    /// Seeds the deadlines, and the copies of tokens room by room. Returns how many rooms' nodes refused: they do
    /// not hold up the others, but the incarnation key says ready only once none refuses; until then an instance
    /// begins again.
    pub(super) async fn run(&self, nonce: String) -> Result<usize, PeersError> {
        let has_deadlines = {
            let mut seeded = lock(&self.seeded);
            if seeded.nonce != nonce {
                *seeded = Seeded { nonce: nonce.clone(), ..Seeded::default() };
            }
            seeded.has_deadlines
        };
        if !has_deadlines {
            let due = self.store.next_expiries(Time::MAX, DEADLINES_MAX).await?;
            let holds = HoldChanges { due, over: Vec::new() };
            holds::publish(&mut self.client.handle(), &self.keys, &holds).await?;
            lock(&self.seeded).has_deadlines = true;
        }
        let mut rooms = self.store.busy_rooms().await?;
        rooms.retain(|room| !lock(&self.seeded).rooms.contains(room));
        let (mut refused, mut accepted) = (0, Vec::new());
        for room in rooms {
            if self.seed_live_tokens(room).await? { accepted.push(room) } else { refused += 1 }
        }
        // After all others: there may be millions of waiting tokens.
        for room in accepted {
            if self.seed_waiting_tokens(room).await? {
                lock(&self.seeded).rooms.insert(room);
            } else {
                refused += 1;
            }
        }
        if refused == 0 {
            let mut ready = INCARNATION_READY.key(incarnation_key(&self.keys));
            ready.arg(nonce).invoke_async::<()>(&mut self.client.handle()).await?;
        } else {
            self.renew_lock(REFUSED_MS).await?;
        }
        Ok(refused)
    }

    /// Seeds the copies of a room's live tokens that do not wait. Returns whether the room's node took them.
    async fn seed_live_tokens(&self, room: RoomId) -> Result<bool, PeersError> {
        self.renew_lock(LOCK_MS).await?;
        let Some(rows) = self.store.live_line(room).await? else {
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
        self.store.waiting_tokens(room, page).await.map_err(PeersError::from)
    }

    /// Keeps others from seeding for `millis`; fails if another instance took the lock while this one was held up.
    async fn renew_lock(&self, millis: u64) -> Result<(), PeersError> {
        let mut renewal = RENEW_LOCK.key(lock_key(&self.keys));
        renewal.arg(self.instance.simple().to_string()).arg(millis);
        if renewal.invoke_async::<i64>(&mut self.client.handle()).await? == 0 {
            return Err(PeersError("another instance is seeding Redis".into()));
        }
        Ok(())
    }

    /// Sends the token copies of one room. Returns whether its node took them; an error if Redis is down.
    async fn publish_tokens(&self, mut changes: TokenChanges) -> Result<bool, PeersError> {
        let refused = tokens::publish(&self.client.handle(), &self.keys, &mut changes, |_| true).await;
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
