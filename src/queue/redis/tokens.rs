//! A copy of each live token, for instances whose view does not have it. Copies sit in small hashes of neighbours,
//! which Redis packs tightly. A copy may be old, and one of a token that has ended may be left behind for a while:
//! the row decides.

mod copy;

use super::{keys::Keys, script::Shared};
use frontrow_domain::{
    id::{RoomId, TokenId},
    queue::{Token, TokenStatus},
    time::{Span, Time},
};
use redis::{RedisResult, Script};
use std::{collections::BTreeMap, sync::LazyLock};
use tokio::task::JoinSet;

/// How many neighbours share a hash. Redis packs a hash of up to 128 short entries unless it is told otherwise.
const PER_HASH: i64 = 128;
/// How long a hash is kept that no token was put into: what was left behind goes by itself.
const KEPT: Span = Span::from_secs(24 * 3_600);
/// How many hashes are written at once.
const AT_ONCE: usize = 128;

static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("tokens_put.lua")));

/// By place in a hash the latest copy, or none of a token that has ended.
type Entries = BTreeMap<i64, Option<Vec<u8>>>;

/// What changed about tokens, by hash.
#[derive(Debug, Clone, Default)]
pub struct TokenChanges {
    hashes: BTreeMap<(RoomId, i64), Entries>,
}

impl TokenChanges {
    /// Takes in a token as a batch left it at `at`. A later batch comes after an earlier one.
    pub fn follow(&mut self, token: &Token, at: Time) {
        let (hash, field) = place(token.id);
        let copy = (token.status != TokenStatus::Ended).then(|| copy::write(token, at));
        self.hashes.entry((token.id.room_id, hash)).or_default().insert(field, copy);
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

fn place(id: TokenId) -> (i64, i64) {
    (id.position.0.div_euclid(PER_HASH), id.position.0.rem_euclid(PER_HASH))
}

fn key(keys: &Keys, room: RoomId, hash: i64) -> String {
    keys.room(room, format_args!("t:{hash}"))
}

/// Puts the copies of live tokens and removes those of ended ones.
///
/// # Errors
/// Redis could not be reached or refused; some of it may be there. Doing it again does no harm.
pub async fn publish(connection: &impl Shared, keys: &Keys, changes: TokenChanges) -> RedisResult<()> {
    let mut calls = JoinSet::new();
    for ((room, hash), entries) in changes.hashes {
        let (mut connection, key) = (connection.clone(), key(keys, room, hash));
        if calls.len() >= AT_ONCE {
            finish(calls.join_next().await)?;
        }
        calls.spawn(async move {
            let (live, ended): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, copy)| copy.is_some());
            if !live.is_empty() {
                let mut put = PUT.key(&key);
                put.arg(KEPT.millis());
                for (field, copy) in live {
                    put.arg(field).arg(copy);
                }
                put.invoke_async::<()>(&mut connection).await?;
            }
            if !ended.is_empty() {
                let mut remove = redis::cmd("HDEL");
                remove.arg(&key);
                for (field, _) in ended {
                    remove.arg(field);
                }
                remove.query_async::<()>(&mut connection).await?;
            }
            Ok(())
        });
    }
    while let Some(done) = calls.join_next().await {
        finish(Some(done))?;
    }
    Ok(())
}

fn finish(done: Option<Result<RedisResult<()>, tokio::task::JoinError>>) -> RedisResult<()> {
    match done {
        Some(Ok(result)) => result,
        Some(Err(_)) => Err(redis::RedisError::from((redis::ErrorKind::Client, "a call was cut off"))),
        None => Ok(()),
    }
}

/// The copy of a live token, if there is one.
///
/// # Errors
/// Redis could not be reached or refused.
pub async fn get(connection: &impl Shared, keys: &Keys, id: TokenId) -> RedisResult<Option<Token>> {
    let (hash, field) = place(id);
    let mut get = redis::cmd("HGET");
    let found: Option<Vec<u8>> =
        get.arg(key(keys, id.room_id, hash)).arg(field).query_async(&mut connection.clone()).await?;
    Ok(found.and_then(|bytes| copy::read(&bytes, id)))
}
