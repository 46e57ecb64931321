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
/// How long a room whose node refuses is left alone.
const REFUSED: Duration = Duration::from_secs(2);
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

/// Lays all that Redis should carry. Rooms whose node refuses do not keep the others from it: they are tried again until
/// it takes them, or until another laying begins.
async fn lay(lines: &Lines, link: &Link, nonce: &str) -> Result<(), QueueError> {
    let keys = &lines.keys;
    let store = |error: crate::store::StoreError| QueueError(error.to_string());
    let due = lines.store.next_expiries(Time::MAX, DEADLINES_MAX).await.map_err(store)?;
    let holds = HoldChanges { due, over: Vec::new() };
    holds::publish(&mut link.way(), keys, &holds).await.map_err(|error| QueueError(error.to_string()))?;
    let rooms = lines.store.rooms().await.map_err(store)?;
    let mut left = lay_rooms(lines, link, rooms.iter().map(|room| room.room_id).collect()).await?;
    link.script::<()>(MARKED.key(marker(keys)).arg(nonce)).await?;
    tracing::info!("laid deadlines and tokens in Redis");
    while !left.is_empty() {
        tracing::warn!(
            rooms = left.len(),
            "Redis refuses copies of tokens, which are looked up in the database instead"
        );
        tokio::time::sleep(REFUSED).await;
        keep_lock(lines, link).await?;
        left = lay_rooms(lines, link, left).await?;
    }
    Ok(())
}

/// Lays the copies of the tokens of these rooms: of those who wait after all others, since there may be millions of
/// them. Which rooms' nodes refuse.
async fn lay_rooms(lines: &Lines, link: &Link, rooms: Vec<RoomId>) -> Result<Vec<RoomId>, QueueError> {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for room in rooms {
        let glance = lines.store.glance(room).await.map_err(|error| QueueError(error.to_string()))?;
        let Some(rows) = glance else { continue };
        let mut changes = TokenChanges::default();
        for token in &rows.others {
            changes.follow(token, rows.now);
        }
        if tell(lines, link, changes).await? { &mut taken } else { &mut refused }.push(room);
    }
    for room in taken {
        if !lay_waiting(lines, link, room).await? {
            refused.push(room);
        }
    }
    Ok(refused)
}

/// Lays the copies of those who wait in a room. While some are told to Redis, the next are read. Whether the room's node
/// took them.
async fn lay_waiting(lines: &Lines, link: &Link, room: RoomId) -> Result<bool, QueueError> {
    let mut waiting = read_waiting(lines, room, None).await?;
    while let Some(last) = waiting.last() {
        keep_lock(lines, link).await?;
        let mut changes = TokenChanges::default();
        for token in &waiting {
            // Of the oldest moment there is: what was told meanwhile is later and stays.
            changes.follow(token, token.issued_at);
        }
        let next = read_waiting(lines, room, Some(last.id.position));
        let (is_told, next) = tokio::try_join!(tell(lines, link, changes), next)?;
        if !is_told {
            return Ok(false);
        }
        waiting = next;
    }
    Ok(true)
}

/// Keeps others from laying, as long as this goes on. Whoever has begun, after this one was held up, has the lock now.
async fn keep_lock(lines: &Lines, link: &Link) -> Result<(), QueueError> {
    let mut renewal = KEEP_LOCK.key(lock_of(&lines.keys));
    renewal.arg(lines.instance.simple().to_string()).arg(LOCK_MS);
    if link.script::<i64>(&renewal).await? == 0 {
        return Err(QueueError("another instance lays them".into()));
    }
    Ok(())
}

/// Tells of the tokens of one room. Whether its node took them; an error where Redis is away.
async fn tell(lines: &Lines, link: &Link, mut changes: TokenChanges) -> Result<bool, QueueError> {
    match tokens::tell(&link.way(), &lines.keys, &mut changes, |_| true).await.into_values().next() {
        None => Ok(true),
        Some(error) if link.is_up() => {
            tracing::debug!(%error, "copies of tokens were refused");
            Ok(false)
        }
        Some(error) => Err(QueueError(error.to_string())),
    }
}

/// So many of those who wait behind `after`.
async fn read_waiting(lines: &Lines, room: RoomId, after: Option<Position>) -> Result<Vec<Token>, QueueError> {
    let page = Page { after, limit: WAITING_AT_ONCE };
    lines.store.waiting_tokens(room, page).await.map_err(|error| QueueError(error.to_string()))
}
