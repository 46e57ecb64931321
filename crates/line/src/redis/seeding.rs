//! Seeds Redis with what it should hold: the deadlines of holds, and the copies of tokens.

use super::{
    RedisInstance,
    client::is_down,
    holds::{self, HoldChanges},
    tokens::{self, TokenChanges},
    watch::incarnation_key,
};
use crate::peers::PeersError;
use frontrow_domain::{id::RoomId, time::Time};
use frontrow_storage::{Page, StoreError};
use std::time::Duration;

/// How long rooms whose nodes refuse are left alone before they are tried again.
const REFUSED_REST: Duration = Duration::from_secs(5);
/// How many deadlines are seeded, those that end first. The sweep finds others in the store.
const DEADLINES_MAX: u32 = 1_000_000;
/// How many waiting tokens are read and seeded at a time.
const WAITING_AT_ONCE: u32 = 10_000;

/// Seeds the deadlines, and the copies of tokens room by room. Rooms whose nodes refuse do not hold up the others: they
/// are tried again until none refuses. Then notes that this incarnation is seeded.
pub(super) async fn run(instance: &RedisInstance, nonce: &str) -> Result<(), PeersError> {
    let due = instance.store.next_expiries(Time::MAX, DEADLINES_MAX).await?;
    let holds = HoldChanges { due, over: Vec::new() };
    holds::publish(&mut instance.client.handle(), &instance.keys, &holds).await?;
    let mut rooms = instance.store.busy_rooms().await?;
    loop {
        let mut refused = Vec::new();
        for room in rooms {
            if !seed_room(instance, room).await? {
                refused.push(room);
            }
        }
        if refused.is_empty() {
            break;
        }
        tracing::warn!(
            rooms = refused.len(),
            "Redis refuses the token copies of some rooms: they are published again later"
        );
        tokio::time::sleep(REFUSED_REST).await;
        rooms = refused;
    }
    // If it is another incarnation by now, the nonce does not fit, and it is seeded again.
    let mut note = redis::cmd("HSET");
    note.arg(incarnation_key(&instance.keys)).arg("seeded").arg(nonce);
    note.query_async::<()>(&mut instance.client.handle()).await?;
    tracing::info!("hold deadlines and token copies are stored in Redis again");
    Ok(())
}

/// Seeds the copies of a room's live tokens, the waiting ones last: while some are sent, the next are read. Returns
/// whether the room's node took them.
async fn seed_room(instance: &RedisInstance, room: RoomId) -> Result<bool, PeersError> {
    let Some(rows) = instance.store.live_line(room).await? else { return Ok(true) };
    let (mut changes, mut after) = (TokenChanges::default(), None);
    for token in &rows.others {
        changes.apply(token, rows.now);
    }
    loop {
        let page = Page { after, limit: WAITING_AT_ONCE };
        let (published, waiting) =
            tokio::join!(publish_tokens(instance, changes), instance.store.waiting_tokens(room, page));
        if !published? {
            return Ok(false);
        }
        let waiting = waiting?;
        let Some(last) = waiting.last() else { return Ok(true) };
        after = Some(last.id.position);
        changes = TokenChanges::default();
        // As of the oldest moment there is: a copy published meanwhile is later and stays.
        for token in &waiting {
            changes.apply(token, token.issued_at);
        }
    }
}

/// Sends the token copies of one room. Returns whether its node took them; an error if Redis is down.
async fn publish_tokens(instance: &RedisInstance, mut changes: TokenChanges) -> Result<bool, PeersError> {
    let refused = tokens::publish(&instance.client.handle(), &instance.keys, &mut changes, |_| true).await;
    match refused.into_values().next() {
        None => Ok(true),
        Some(error) if is_down(&error) => Err(error.into()),
        Some(error) => {
            tracing::debug!(%error, "token copies were refused");
            Ok(false)
        }
    }
}

impl From<StoreError> for PeersError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
