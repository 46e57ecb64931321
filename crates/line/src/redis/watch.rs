//! Detects that Redis was flushed, restarted or failed over, by its incarnation key and its run id: one instance seeds
//! it again, and every instance rebuilds its lines.
//!
//! In a cluster this watches the node of the installation's own keys, the event stream among them. The other nodes have
//! copies of tokens, which renew themselves.

use super::{RedisInstance, client::Reach, keys::RedisKeys, seeding};
use crate::peers::Leadership;
use frontrow_clock::Ids;
use frontrow_domain::{id::RoomId, line::Fence, time::Span};
use redis::{RedisResult, Script};
use std::{
    sync::{Arc, LazyLock, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinSet;

/// How often the server is checked.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// The lease of the instance that seeds Redis is that of this room, which does not exist.
const SEEDING: RoomId = RoomId::new(-1);
/// How long an instance that seeds Redis keeps the others from it.
const SEEDING_TERM: Span = Span::from_secs(30);
/// How long an instance that cannot seed Redis leaves it to the others.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

static INCARNATION: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("incarnation.lua")));

/// The key that says which Redis this is.
pub(super) fn incarnation_key(keys: &RedisKeys) -> String {
    keys.installation_part("incarnation")
}

/// The task that checks the server.
pub(super) struct Watch {
    instance: Arc<RedisInstance>,
    ids: Ids,
    /// The nonce of the incarnation that the lines were last built under.
    nonce: Option<String>,
    /// The seeding task, at most one. It ends with the value.
    task: JoinSet<()>,
}

impl Watch {
    pub(super) fn new(instance: Arc<RedisInstance>) -> Self {
        Self { instance, ids: Ids::from_os(), nonce: None, task: JoinSet::new() }
    }

    /// Checks the server for the first time, before any line is loaded.
    pub(super) async fn begin(&mut self) -> RedisResult<()> {
        let (nonce, _) = self.incarnation().await?;
        self.nonce = Some(nonce);
        Ok(())
    }

    pub(super) async fn run(mut self) {
        let mut reach = self.instance.client.reach();
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                changed = reach.changed() => if changed.is_err() { return },
            }
            if matches!(*reach.borrow_and_update(), Reach::Up(_))
                && let Err(error) = self.check().await
            {
                tracing::debug!(%error, "Redis cannot be checked");
            }
        }
    }

    async fn check(&mut self) -> RedisResult<()> {
        let (instance, (nonce, is_seeded)) = (Arc::clone(&self.instance), self.incarnation().await?);
        if self.nonce.as_ref() != Some(&nonce) {
            tracing::warn!("Redis was emptied, restarted or replaced: rebuilding the lines from the database");
            instance.leases.forget();
            instance.heartbeats.forget();
            instance.is_other_redis.store(true, Ordering::Relaxed);
            self.nonce = Some(nonce.clone());
            self.task.abort_all();
        }
        while self.task.try_join_next().is_some() {}
        if is_seeded {
            return Ok(());
        }
        let leads = instance.leases.lead(&instance.client.handle(), SEEDING, Fence(0), SEEDING_TERM).await?;
        if leads == Leadership::Follower {
            self.task.abort_all();
        } else if self.task.is_empty() {
            // In a task of its own: the lines need not wait for it.
            self.task.spawn(async move {
                if let Err(error) = seeding::run(&instance, &nonce).await {
                    tracing::warn!(%error, "cannot put hold deadlines and token copies into Redis");
                    // Another instance may be able to: it reads over connections of its own.
                    let given_up = instance.leases.give_up(&instance.client.handle(), SEEDING, AGAIN_AFTER).await;
                    if let Err(error) = given_up {
                        tracing::debug!(%error, "the lease was not released and expires by itself");
                    }
                }
            });
        }
        Ok(())
    }

    /// The nonce of the present incarnation, and whether it is seeded.
    async fn incarnation(&self) -> RedisResult<(String, bool)> {
        let mut call = INCARNATION.key(incarnation_key(&self.instance.keys));
        call.arg(self.ids.uuid(self.instance.clock.now()).simple().to_string());
        call.invoke_async(&mut self.instance.client.handle()).await
    }
}
