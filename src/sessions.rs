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

type Shard = RwLock<Remembered>;

#[derive(Debug, Default)]
struct Remembered {
    sessions: HashMap<[u8; 32], (Session, Time)>,
    /// How many sessions have been closed or changed here: what was read before must not be remembered after it.
    closings: u64,
}

/// When a session was looked up, in closings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

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
        shard.sessions.get(secret_hash).filter(|(_, seen)| now < seen.plus(BELIEVED)).map(|(session, _)| *session)
    }

    /// Take this before a session is read from the store, and give it to [`Sessions::put_read`].
    #[must_use]
    pub fn mark(&self, secret_hash: &[u8; 32]) -> Mark {
        let shard = self.shard(secret_hash);
        Mark(shard.map_or(0, |shard| shard.read().unwrap_or_else(PoisonError::into_inner).closings))
    }

    /// Remembers a session that was read from the store, unless one was closed or changed meanwhile: it may have been this one.
    pub fn put_read(&self, session: Session, now: Time, mark: Mark) {
        if let Some(shard) = self.shard(&session.secret_hash) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if shard.closings == mark.0 {
                shard.put(session, now);
            }
        }
    }

    /// Forgets every session, so that the next request reads the store.
    pub fn forget(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.sessions.clear();
            shard.closings += 1;
        }
    }

    /// Remembers what a committed batch has opened, forgets what it has closed, and follows the roles.
    pub fn publish(&self, changes: &Changes) {
        for opened in &changes.new_sessions {
            if let Some(shard) = self.shard(&opened.secret_hash) {
                shard.write().unwrap_or_else(PoisonError::into_inner).put(*opened, changes.now);
            }
        }
        for closed in &changes.closed_sessions {
            if let Some(shard) = self.shard(closed) {
                let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                shard.sessions.remove(closed);
                shard.closings += 1;
            }
        }
        for user in &changes.users {
            for shard in &self.shards {
                let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                for (session, _) in shard.sessions.values_mut().filter(|(session, _)| session.user_id == user.user_id) {
                    session.role = user.role;
                }
                shard.closings += 1;
            }
        }
    }
}

impl Remembered {
    fn put(&mut self, session: Session, now: Time) {
        if self.sessions.len() >= SHARD_MAX {
            self.sessions.clear();
        }
        self.sessions.insert(session.secret_hash, (session, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{id::UserId, user::Role};

    #[test]
    fn a_session_read_before_it_was_closed_is_not_remembered_after() {
        let sessions = Sessions::default();
        let now = Time::from_micros(1);
        let user_id = UserId(uuid::Uuid::from_u128(1));
        let session = Session { secret_hash: [7; 32], user_id, role: Role::Buyer, expires_at: Time::from_micros(9) };
        let mark = sessions.mark(&session.secret_hash);
        sessions.publish(&Changes { closed_sessions: vec![session.secret_hash], ..Changes::default() });
        sessions.put_read(session, now, mark);
        assert_eq!(sessions.get(&session.secret_hash, now), None);
        sessions.put_read(session, now, sessions.mark(&session.secret_hash));
        assert_eq!(sessions.get(&session.secret_hash, now), Some(session));
    }
}
