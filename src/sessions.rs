//! Signed-in sessions, remembered for a moment so that a request costs no look-up.

use frontrow_domain::{
    time::{Span, Time},
    user::Session,
    world::Changes,
};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{PoisonError, RwLock},
};

/// How long a session is believed before it is looked up again. This process sees every sign-out at once; an hour
/// bounds the harm of one that came from elsewhere.
const BELIEVED: Span = Span::from_secs(3_600);
/// How many sessions a shard remembers before it forgets them all.
const SHARD_MAX: usize = 16_384;
const SHARDS: usize = 16;

type Shard = RwLock<HashMap<[u8; 32], (Session, Time)>>;

/// Remembers sessions by the SHA-256 of their secret.
#[derive(Debug, Default)]
pub struct Sessions {
    shards: [Shard; SHARDS],
    spread: RandomState,
}

impl Sessions {
    fn shard(&self, secret_hash: &[u8; 32]) -> Option<&Shard> {
        let hash = usize::try_from(self.spread.hash_one(secret_hash) % 16).unwrap_or(0);
        self.shards.get(hash)
    }

    /// The session, if it was looked up a moment ago.
    #[must_use]
    pub fn get(&self, secret_hash: &[u8; 32], now: Time) -> Option<Session> {
        let shard = self.shard(secret_hash)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.get(secret_hash).filter(|(_, seen)| now < seen.plus(BELIEVED)).map(|(session, _)| *session)
    }

    /// Remembers a session that was just looked up.
    pub fn put(&self, session: Session, now: Time) {
        if let Some(shard) = self.shard(&session.secret_hash) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if shard.len() >= SHARD_MAX {
                shard.clear();
            }
            shard.insert(session.secret_hash, (session, now));
        }
    }

    /// Remembers what a committed batch has opened, forgets what it has closed, and follows the roles.
    pub fn publish(&self, changes: &Changes) {
        for opened in &changes.new_sessions {
            self.put(*opened, changes.now);
        }
        for closed in &changes.closed_sessions {
            if let Some(shard) = self.shard(closed) {
                shard.write().unwrap_or_else(PoisonError::into_inner).remove(closed);
            }
        }
        for user in &changes.users {
            for shard in &self.shards {
                let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                for (session, _) in shard.values_mut().filter(|(session, _)| session.user_id == user.user_id) {
                    session.role = user.role;
                }
            }
        }
    }
}
