//! The figures that instances give each other: a hash with a field for each instance. An instance that stops in good
//! order removes its field; the field of one that was killed stays until another instance removes it.

use super::keys::RedisKeys;
use crate::peers::PeerFigures;
use redis::{RedisResult, aio::ConnectionLike};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// How long the figures stay if no instance gives any.
const KEPT: Duration = Duration::from_hours(1);

fn key(keys: &RedisKeys) -> String {
    keys.installation_part("figures")
}

fn field(instance: Uuid) -> String {
    instance.simple().to_string()
}

/// Puts the figures of `own` in their place, removes those of `gone` instances, and reads all the others': one pipeline.
///
/// # Errors
/// Redis could not be reached or refused.
pub(super) async fn exchange(
    connection: &mut impl ConnectionLike,
    keys: &RedisKeys,
    (own, figures): (Uuid, &[u8]),
    gone: &[Uuid],
) -> RedisResult<Vec<PeerFigures>> {
    let key = key(keys);
    let mut pipeline = redis::pipe();
    pipeline.cmd("HSET").arg(&key).arg(field(own)).arg(figures).ignore();
    if !gone.is_empty() {
        pipeline.cmd("HDEL").arg(&key).arg(gone.iter().map(|one| field(*one)).collect::<Vec<_>>()).ignore();
    }
    pipeline.cmd("EXPIRE").arg(&key).arg(KEPT.as_secs()).ignore();
    pipeline.cmd("HGETALL").arg(&key);
    let (all,): (HashMap<String, Vec<u8>>,) = pipeline.query_async(connection).await?;
    let others = all.into_iter().filter_map(|(field, bytes)| {
        let instance = field.parse().ok().filter(|instance| *instance != own)?;
        Some(PeerFigures { instance, bytes })
    });
    Ok(others.collect())
}

/// Removes the figures of an instance.
///
/// # Errors
/// Redis could not be reached or refused.
pub(super) async fn remove(connection: &mut impl ConnectionLike, keys: &RedisKeys, instance: Uuid) -> RedisResult<()> {
    redis::cmd("HDEL").arg(key(keys)).arg(field(instance)).query_async(connection).await
}
