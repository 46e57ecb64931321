//! A copy of each live token, for instances whose view lacks it. Copies are in small hashes of neighbours, which Redis
//! packs tightly. A copy may be old, and that of an ended token may be left behind for a while: the row decides.

mod copy;

use super::{keys::RedisKeys, script::SharedConnection};
use frontrow_domain::{
    id::{RoomId, TokenId},
    line::{Token, TokenStatus},
    time::{Span, Time},
};
use redis::{RedisError, RedisResult, Script};
use std::{collections::BTreeMap, sync::LazyLock};
use tokio::task::JoinSet;

/// The format of copies: a program of another one neither reads nor writes these keys.
const FORMAT: u8 = 2;
/// Neighbours that share a hash. Redis packs a hash of up to 128 short entries by default.
const PER_HASH: i64 = 128;
/// How long a hash lasts after a token was last put into it: leftovers expire by themselves.
const COPY_TTL: Span = Span::from_secs(24 * 3_600);
/// Hashes written at once.
const CALLS_AT_ONCE_MAX: usize = 128;

static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("tokens_put.lua")));

/// The latest copies by field of a hash; none of a token that has ended.
type Entries = BTreeMap<i64, Option<Vec<u8>>>;

/// Changes of tokens, by room and hash.
#[derive(Debug, Clone, Default)]
pub struct TokenChanges {
    rooms: BTreeMap<RoomId, BTreeMap<i64, Entries>>,
    count: usize,
}

impl TokenChanges {
    /// Adds a token as a batch left it at `at`. A later batch comes after an earlier one.
    pub fn apply(&mut self, token: &Token, at: Time) {
        let (hash, field) = place(token.id);
        let copy = if token.status() == TokenStatus::Ended { None } else { copy::write(token, at) };
        let hashes = self.rooms.entry(token.id.room_id).or_default();
        if hashes.entry(hash).or_default().insert(field, copy).is_none() {
            self.count += 1;
        }
    }

    /// How many tokens are to be published.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether no token is to be published.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn take_one(&mut self, room: RoomId) -> Option<(i64, Entries)> {
        let hashes = self.rooms.get_mut(&room)?;
        let taken = hashes.pop_first();
        if hashes.is_empty() {
            self.rooms.remove(&room);
        }
        self.count -= taken.as_ref().map_or(0, |(_, entries)| entries.len());
        taken
    }

    fn put_back(&mut self, room: RoomId, hash: i64, entries: Entries) {
        self.count += entries.len();
        self.rooms.entry(room).or_default().insert(hash, entries);
    }
}

fn place(id: TokenId) -> (i64, i64) {
    (id.position.0.div_euclid(PER_HASH), id.position.0.rem_euclid(PER_HASH))
}

fn key(keys: &RedisKeys, room: RoomId, hash: i64) -> String {
    keys.room(room, format_args!("t{FORMAT}:{hash}"))
}

/// Puts the copies of live tokens and removes those of ended ones, for the wanted rooms. Published tokens are taken out
/// of `changes`. A room whose node refuses or is down does not hold up the others: its rest stays in `changes`, and its
/// error is returned. Publishing twice does no harm.
pub async fn publish(
    connection: &impl SharedConnection,
    keys: &RedisKeys,
    changes: &mut TokenChanges,
    is_wanted: impl Fn(RoomId) -> bool,
) -> BTreeMap<RoomId, RedisError> {
    let mut task = TokenPublish { changes, calls: JoinSet::new(), refused: BTreeMap::new() };
    let rooms: Vec<_> = task.changes.rooms.keys().copied().filter(|room| is_wanted(*room)).collect();
    for room in rooms {
        while !task.refused.contains_key(&room)
            && let Some((hash, entries)) = task.changes.take_one(room)
        {
            let (mut connection, key) = (connection.clone(), key(keys, room, hash));
            task.calls.spawn(async move {
                let published = put(&mut connection, &key, &entries).await;
                (room, hash, entries, published)
            });
            if task.calls.len() >= CALLS_AT_ONCE_MAX {
                task.finish_one().await;
            }
        }
    }
    while !task.calls.is_empty() {
        task.finish_one().await;
    }
    task.refused
}

struct TokenPublish<'a> {
    changes: &'a mut TokenChanges,
    calls: JoinSet<(RoomId, i64, Entries, RedisResult<()>)>,
    refused: BTreeMap<RoomId, RedisError>,
}

impl TokenPublish<'_> {
    async fn finish_one(&mut self) {
        // A call that was cut off leaves an older copy behind, or none.
        if let Some(Ok((room, hash, entries, Err(error)))) = self.calls.join_next().await {
            self.changes.put_back(room, hash, entries);
            self.refused.insert(room, error);
        }
    }
}

async fn put(connection: &mut impl SharedConnection, key: &str, entries: &Entries) -> RedisResult<()> {
    let mut put = PUT.key(key);
    put.arg(COPY_TTL.millis());
    let mut remove = redis::cmd("HDEL");
    remove.arg(key);
    let (mut live, mut ended) = (0, 0);
    for (field, copy) in entries {
        if let Some(copy) = copy {
            put.arg(field).arg(copy.as_slice());
            live += 1;
        } else {
            remove.arg(field);
            ended += 1;
        }
    }
    if live > 0 {
        put.invoke_async::<()>(connection).await?;
    }
    if ended > 0 {
        remove.query_async::<()>(connection).await?;
    }
    Ok(())
}

/// The copy of a live token, if there is one.
///
/// # Errors
/// Redis could not be reached or refused.
pub async fn get(connection: &impl SharedConnection, keys: &RedisKeys, id: TokenId) -> RedisResult<Option<Token>> {
    let (hash, field) = place(id);
    let mut get = redis::cmd("HGET");
    let found: Option<Vec<u8>> =
        get.arg(key(keys, id.room_id, hash)).arg(field).query_async(&mut connection.clone()).await?;
    Ok(found.and_then(|bytes| copy::read(&bytes, id)))
}
