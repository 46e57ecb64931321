//! Caches sessions, so that a request costs no query.

use super::guarded::{Guarded, Meanwhile, ReadBegun};
use frontrow_domain::{
    changes::Changes,
    id::UserId,
    time::{Span, Time},
    user::Session,
};
use frontrow_storage::Sharing;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// How long a session is cached if this process sees every sign-out: an hour bounds the harm of a change made outside.
const CACHE_TTL_ALONE: Span = Span::from_secs(3_600);
/// The same if other instances sign users out too: their messages may be lost.
const CACHE_TTL_SHARED: Span = Span::from_secs(30);
/// How many sessions a shard holds before it is emptied.
const SHARD_MAX: usize = 16_384;
/// At most as many as a byte has values.
const SHARDS: usize = 16;

/// Sessions, each with the time when it was cached.
type Shard = HashMap<[u8; 32], (Session, Time)>;

/// Sessions by the SHA-256 of their secret.
#[derive(Debug)]
pub(crate) struct Sessions {
    shards: [Guarded<Shard>; SHARDS],
    spread: RandomState,
    ttl: Span,
}

impl Sessions {
    /// An empty cache. `sharing` says whether other instances sign users out too.
    #[must_use]
    pub(crate) fn new(sharing: Sharing) -> Self {
        let ttl = match sharing {
            Sharing::Alone => CACHE_TTL_ALONE,
            Sharing::Shared => CACHE_TTL_SHARED,
        };
        Self { shards: Default::default(), spread: RandomState::new(), ttl }
    }

    fn shard(&self, secret_hash: &[u8; 32]) -> &Guarded<Shard> {
        let [byte, ..] = self.spread.hash_one(secret_hash).to_le_bytes();
        &self.shards[usize::from(byte) % SHARDS]
    }

    /// The session, if it is cached.
    #[must_use]
    pub(crate) fn get(&self, secret_hash: &[u8; 32], now: Time) -> Option<Session> {
        self.shard(secret_hash).look(|shard| {
            shard.get(secret_hash).filter(|(_, seen)| now < seen.plus(self.ttl)).map(|(session, _)| *session)
        })
    }

    /// The session as it was last read, however long ago.
    #[must_use]
    pub(crate) fn last_known(&self, secret_hash: &[u8; 32]) -> Option<Session> {
        self.shard(secret_hash).look(|shard| shard.get(secret_hash).map(|(session, _)| *session))
    }

    /// To be called before a session is read from the store; [`Sessions::end_read`] takes the result.
    pub(crate) fn begin_read(&self, secret_hash: &[u8; 32]) -> ReadBegun {
        self.shard(secret_hash).begin_read()
    }

    /// Caches a session read from the store, unless one was closed or changed meanwhile: it may have been this one.
    pub(crate) fn end_read(&self, read: ReadBegun, session: Session, now: Time) {
        self.shard(&session.secret_hash).end_read(read, |shard, meanwhile| {
            if meanwhile == Meanwhile::Unchanged {
                put(shard, session, now);
            }
        });
    }

    /// Drops every session, so that the next request reads the store.
    pub(crate) fn forget(&self) {
        for shard in &self.shards {
            shard.clear();
        }
    }

    /// Applies a committed batch: caches the opened sessions, drops the closed ones and all sessions of changed users.
    pub(crate) fn publish(&self, changes: &Changes) {
        // If other instances change sessions too, their events arrive here in any order: an ended session must not come
        // back, so the first request with a new one reads the store.
        let opened = if self.ttl == CACHE_TTL_ALONE { &changes.new_sessions[..] } else { &[] };
        for opened in opened {
            self.shard(&opened.secret_hash).add(|shard| put(shard, *opened, changes.now));
        }
        for closed in &changes.closed_sessions {
            self.close(closed);
        }
        for user in &changes.users {
            self.forget_user(user.user_id);
        }
    }

    /// Drops a session that was closed here or by another instance.
    pub(crate) fn close(&self, secret_hash: &[u8; 32]) {
        self.shard(secret_hash).remove(secret_hash);
    }

    /// Drops every session of a user, so that the next request reads the store.
    pub(crate) fn forget_user(&self, user: UserId) {
        for shard in &self.shards {
            shard.change(|shard| shard.retain(|_, (session, _)| session.user_id != user));
        }
    }
}

fn put(shard: &mut Shard, session: Session, now: Time) {
    if shard.len() >= SHARD_MAX {
        shard.clear();
    }
    shard.insert(session.secret_hash, (session, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    use frontrow_domain::user::Role;
    #[test]
    fn a_session_read_before_it_was_closed_is_not_remembered_after() {
        let sessions = Sessions::new(Sharing::Alone);
        let now = Time::from_micros(1);
        let user_id = UserId(uuid::Uuid::from_u128(1));
        let session = Session {
            secret_hash: [7; 32],
            user_id,
            role: Role::Buyer,
            expires_at: Time::from_micros(9),
            created_at: Time::default(),
            client: None,
        };
        let read = sessions.begin_read(&session.secret_hash);
        sessions.publish(&Changes { closed_sessions: vec![session.secret_hash], ..Changes::default() });
        sessions.end_read(read, session, now);
        assert_eq!(sessions.get(&session.secret_hash, now), None);
        sessions.end_read(sessions.begin_read(&session.secret_hash), session, now);
        assert_eq!(sessions.get(&session.secret_hash, now), Some(session));
    }

    #[test]
    fn where_others_sign_users_out_too_a_session_is_looked_up_again_after_half_a_minute() {
        let start = Time::from_micros(1);
        let user_id = UserId(uuid::Uuid::from_u128(1));
        let expires_at = start.plus(Span::from_secs(9_999));
        let session = Session {
            secret_hash: [7; 32],
            user_id,
            role: Role::Buyer,
            expires_at,
            created_at: Time::default(),
            client: None,
        };
        for (sharing, after_half_a_minute) in [(Sharing::Alone, Some(session)), (Sharing::Shared, None)] {
            let sessions = Sessions::new(sharing);
            let at = |seconds| sessions.get(&session.secret_hash, start.plus(Span::from_secs(seconds)));
            sessions.publish(&Changes { now: start, new_sessions: vec![session], ..Changes::default() });
            let opened_here = if sharing == Sharing::Alone { Some(session) } else { None };
            assert_eq!(at(1), opened_here, "what others changed since may be told after it");
            sessions.end_read(sessions.begin_read(&session.secret_hash), session, start);
            assert_eq!((at(29), at(30)), (Some(session), after_half_a_minute));
            assert_eq!(
                sessions.last_known(&session.secret_hash),
                Some(session),
                "it is there for when it cannot be read"
            );
            sessions.close(&session.secret_hash);
            assert_eq!((at(1), sessions.last_known(&session.secret_hash)), (None, None));
            sessions.end_read(sessions.begin_read(&session.secret_hash), session, start);
            let read = sessions.begin_read(&session.secret_hash);
            sessions.forget_user(user_id);
            assert_eq!(at(1), None);
            sessions.end_read(read, session, start);
            assert_eq!(at(1), None, "it was read before the role changed");
        }
    }
}
