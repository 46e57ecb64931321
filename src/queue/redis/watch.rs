//! Sees to it that Redis is the one that it was. One that was emptied, restarted or replaced is told by its marker and
//! its run id: then one instance lays in it what it should carry, and each one lays its lines anew.
//!
//! In a cluster this is the node that has what the office has once, the frames among it. The others have what each
//! room has: leases, heartbeats and copies of tokens, which make themselves anew.

use super::{
    Lines,
    holds::{self, HoldChanges},
    keys::Keys,
    link::{Link, Reach},
    reader::FromEnd,
    tokens::{self, TokenChanges},
};
use crate::{clock::Ids, queue::QueueError, store::Page};
use frontrow_domain::{
    id::{Position, RoomId},
    queue::Token,
    time::Time,
};
use redis::Script;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::sync::{Notify, mpsc, oneshot};

/// How often the server is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long the reader may take to go to the stream's end before it is asked again.
const READER: Duration = Duration::from_secs(2);
/// Whoever lays things in Redis has this long before another one may.
const LOCK_MS: u64 = 30_000;
/// How many deadlines are laid, those that end first. The sweep finds others in the store.
const DEADLINES_MAX: u32 = 1_000_000;
/// How many of those who wait are read and laid at a time.
const WAITING_AT_ONCE: u32 = 10_000;

static MARK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("mark.lua")));
static KEEP_LOCK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("keep_lock.lua")));
static MARKED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("marked.lua")));

/// What the marker says.
#[derive(Debug)]
struct Mark {
    nonce: String,
    /// It falls to this instance to lay in Redis what it should carry.
    is_ours_to_lay: bool,
}

/// The task that looks at the server.
pub(super) struct Watch {
    pub(super) lines: Arc<Lines>,
    pub(super) link: Arc<Link>,
    /// Where the reader is told to go on from the stream's end.
    pub(super) from_end: mpsc::Sender<FromEnd>,
    /// Calls for Redis to be laid anew.
    pub(super) spoilt: Arc<Notify>,
    pub(super) ids: Ids,
    /// The marker's nonce when the lines were laid the last time.
    pub(super) nonce: Option<String>,
}

fn marker(keys: &Keys) -> String {
    keys.office("marker")
}

fn lock_of(keys: &Keys) -> String {
    keys.office("marker:lock")
}

impl Watch {
    /// Looks at the server for the first time, before any line is laid.
    pub(super) async fn begin(&mut self) -> Result<(), QueueError> {
        let mark = self.mark().await?;
        self.nonce = Some(mark.nonce.clone());
        if mark.is_ours_to_lay {
            self.lay_redis(mark.nonce);
        }
        Ok(())
    }

    /// Looks for ever.
    pub(super) async fn run(mut self) {
        let mut reach = self.link.reach();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                changed = reach.changed() => if changed.is_err() { return },
                () = self.spoilt.notified() => self.spoil().await,
            }
            if !matches!(*reach.borrow_and_update(), Reach::Up(_)) {
                continue;
            }
            if let Err(error) = self.look().await {
                tracing::debug!(%error, "Redis cannot be looked at");
            }
        }
    }

    async fn look(&mut self) -> Result<(), QueueError> {
        let mark = self.mark().await?;
        if self.nonce.as_ref() != Some(&mark.nonce) {
            // What is told from here on is read; what was told before is in the rows.
            let (done, wait) = oneshot::channel();
            if self.from_end.try_send(done).is_err() || !matches!(tokio::time::timeout(READER, wait).await, Ok(Ok(())))
            {
                return Err(QueueError("the reader does not go on".into()));
            }
            tracing::warn!("Redis was emptied, restarted or replaced: laying the lines anew");
            self.lines.forget_redis();
            self.lines.want_all();
            self.nonce = Some(mark.nonce.clone());
        }
        if mark.is_ours_to_lay {
            self.lay_redis(mark.nonce);
        }
        Ok(())
    }

    async fn mark(&self) -> Result<Mark, QueueError> {
        let keys = &self.lines.keys;
        let mut call = MARK.key(marker(keys));
        call.key(lock_of(keys));
        call.arg(self.ids.uuid(self.lines.clock.now()).simple().to_string());
        call.arg(self.lines.instance.simple().to_string()).arg(LOCK_MS);
        let (nonce, role, ours): (String, String, i64) = self.link.script(&call).await?;
        if role != "master" {
            self.link.distrust("it is not the primary any more");
            return Err(QueueError("this Redis is a replica".into()));
        }
        Ok(Mark { nonce, is_ours_to_lay: ours == 1 })
    }

    /// Makes the marker one of nobody's, so that Redis is laid anew.
    async fn spoil(&self) {
        if let Err(error) = self.link.run::<()>(redis::cmd("DEL").arg(marker(&self.lines.keys))).await {
            tracing::debug!(%error, "the marker cannot be taken away");
            // Once more a little later.
            self.spoilt.notify_one();
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lays the deadlines and tokens in Redis, aside: the lines need not wait for it.
    fn lay_redis(&self, nonce: String) {
        let (lines, link) = (Arc::clone(&self.lines), Arc::clone(&self.link));
        tokio::spawn(async move {
            if let Err(error) = lay(&lines, &link, &nonce).await {
                tracing::warn!(%error, "cannot lay deadlines and tokens in Redis");
            }
        });
    }
}

async fn lay(lines: &Lines, link: &Link, nonce: &str) -> Result<(), QueueError> {
    let keys = &lines.keys;
    let store = |error: crate::store::StoreError| QueueError(error.to_string());
    let redis = |error: redis::RedisError| QueueError(error.to_string());
    let due = lines.store.next_expiries(Time::MAX, DEADLINES_MAX).await.map_err(store)?;
    let holds = HoldChanges { due, over: Vec::new() };
    holds::publish(&mut link.way(), keys, &holds).await.map_err(redis)?;
    let rooms = lines.store.rooms().await.map_err(store)?;
    for room in &rooms {
        let Some(rows) = lines.store.glance(room.room_id).await.map_err(store)? else { continue };
        let mut changes = TokenChanges::default();
        for token in &rows.others {
            changes.follow(token, rows.now);
        }
        tokens::publish(&link.way(), keys, changes).await.map_err(redis)?;
    }
    for room in &rooms {
        lay_waiting(lines, link, room.room_id).await?;
    }
    link.script::<()>(MARKED.key(marker(keys)).arg(nonce)).await?;
    tracing::info!("laid deadlines and tokens in Redis");
    Ok(())
}

/// Lays the copies of those who wait, after all others: there may be millions of them. While some are told to Redis, the
/// next are read.
async fn lay_waiting(lines: &Lines, link: &Link, room: RoomId) -> Result<(), QueueError> {
    let mut waiting = read_waiting(lines, room, None).await?;
    while let Some(last) = waiting.last() {
        // As long as this goes on, nobody else needs to begin; who has begun, after this one was held up, has it now.
        let mut renewal = KEEP_LOCK.key(lock_of(&lines.keys));
        renewal.arg(lines.instance.simple().to_string()).arg(LOCK_MS);
        if link.script::<i64>(&renewal).await? == 0 {
            return Err(QueueError("another instance lays them".into()));
        }
        let mut changes = TokenChanges::default();
        for token in &waiting {
            // Of the oldest moment there is: what was told meanwhile is later and stays.
            changes.follow(token, token.issued_at);
        }
        let way = link.way();
        let tell =
            async { tokens::publish(&way, &lines.keys, changes).await.map_err(|error| QueueError(error.to_string())) };
        let ((), next) = tokio::try_join!(tell, read_waiting(lines, room, Some(last.id.position)))?;
        waiting = next;
    }
    Ok(())
}

/// So many of those who wait behind `after`.
async fn read_waiting(lines: &Lines, room: RoomId, after: Option<Position>) -> Result<Vec<Token>, QueueError> {
    let page = Page { after, limit: WAITING_AT_ONCE };
    lines.store.waiting_tokens(room, page).await.map_err(|error| QueueError(error.to_string()))
}
