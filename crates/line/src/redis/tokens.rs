//! A copy of each live token, for instances whose view lacks it. Copies are in small hashes of neighbours, which Redis
//! packs tightly. A copy may be old, and that of an ended token may be left behind for a while: the row decides.

mod copy;

use super::{client::RedisHandle, keys::RedisKeys};
use frontrow_domain::{
    id::{RoomId, TokenId},
    line::{Token, TokenStatus},
    time::{Span, Time},
};
use redis::{RedisError, RedisResult, Script};
use std::{collections::BTreeMap, sync::LazyLock};
use tokio::task::JoinSet;

/// The format of copies: a program of another one neither reads nor writes these keys.
const FORMAT: u8 = 5;
/// Neighbours that share a hash. Redis packs a hash of up to 128 short entries by default.
const PER_HASH: i64 = 128;
/// How long a hash lasts after a token was last put into it: leftovers expire by themselves.
const COPY_TTL: Span = Span::from_secs(24 * 3_600);
/// Hashes written at once.
const CALLS_AT_ONCE_MAX: usize = 128;

static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("tokens_put.lua")));

/// The latest copies by field of a hash; empty ones of tokens that have ended.
type Entries = BTreeMap<i64, Vec<u8>>;

/// Changes of tokens, by room and hash.
#[derive(Debug, Clone, Default)]
pub struct TokenChanges(BTreeMap<(RoomId, i64), Entries>);

impl TokenChanges {
    /// Adds a token as a batch left it at `at`. A later batch comes after an earlier one.
    pub fn apply(&mut self, token: &Token, at: Time) {
        let (hash, field) = place(token.id);
        let copy = if token.status() == TokenStatus::Ended { Vec::new() } else { copy::write(token, at) };
        self.0.entry((token.id.room_id, hash)).or_default().insert(field, copy);
    }

    /// How many tokens are to be published.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Whether no token is to be published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    connection: &RedisHandle,
    keys: &RedisKeys,
    changes: &mut TokenChanges,
    is_wanted: impl Fn(RoomId) -> bool,
) -> BTreeMap<RoomId, RedisError> {
    let (mut refused, mut calls) = (BTreeMap::new(), JoinSet::new());
    let mut hashes = std::mem::take(&mut changes.0).into_iter();
    loop {
        while calls.len() < CALLS_AT_ONCE_MAX
            && let Some(((room, hash), entries)) = hashes.next()
        {
            if refused.contains_key(&room) || !is_wanted(room) {
                changes.0.insert((room, hash), entries);
                continue;
            }
            let (mut connection, mut put) = (connection.clone(), PUT.key(key(keys, room, hash)));
            put.arg(COPY_TTL.millis());
            for (field, copy) in &entries {
                put.arg(field).arg(copy.as_slice());
            }
            calls.spawn(async move { (room, hash, put.invoke_async::<()>(&mut connection).await, entries) });
        }
        match calls.join_next().await {
            Some(Ok((room, hash, Err(error), entries))) => {
                changes.0.insert((room, hash), entries);
                refused.insert(room, error);
            }
            // A call that was cut off leaves an older copy behind, or none.
            Some(_) => {}
            None => return refused,
        }
    }
}

/// The copy of a live token, if there is one.
///
/// # Errors
/// Redis could not be reached or refused.
pub async fn get(connection: &RedisHandle, keys: &RedisKeys, id: TokenId) -> RedisResult<Option<Token>> {
    let (hash, field) = place(id);
    let mut get = redis::cmd("HGET");
    let found: Option<Vec<u8>> =
        get.arg(key(keys, id.room_id, hash)).arg(field).query_async(&mut connection.clone()).await?;
    Ok(found.and_then(|bytes| copy::read(&bytes, id)))
}
