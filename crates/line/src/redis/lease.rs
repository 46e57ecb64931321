//! The leader of each line. A lease that Redis keeps and its clock ends spares the instances from all doing the same
//! work; it protects nothing. The fence that comes with it protects the line: the room's row refuses a leader whose
//! fence is lower than one it has seen.

use super::{client::RedisHandle, keys::RedisKeys};
use crate::{lock::lock, peers::Leadership};
use frontrow_domain::{id::RoomId, line::Fence, time::Span};
use redis::{RedisResult, Script};
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A follower asks again after this at the latest, so that a line whose leader died is not without one for long.
const FOLLOW_AT_MOST: Duration = Duration::from_secs(1);
/// A follower asks again after this at the earliest.
const FOLLOW_AT_LEAST: Duration = Duration::from_millis(50);
/// Lines in one call: it blocks Redis for less than a millisecond.
const ROOMS_PER_CALL_MAX: usize = 256;
/// How long Redis keeps the highest fence after a take-over. Later the room's row supplies it.
const FENCE_TTL: Span = Span::from_secs(86_400);

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease.lua")));

/// The leases of an instance, by the last answers of Redis.
#[derive(Debug)]
pub struct Leases {
    keys: RedisKeys,
    instance: String,
    rooms: Mutex<HashMap<RoomId, KnownLease>>,
}

/// One line, as of the last answer.
#[derive(Debug, Clone, Copy)]
struct KnownLease {
    /// The fence that the room's row is known to have.
    known: Fence,
    /// The fence that this instance leads under, and until when at least.
    leads: Option<(Fence, Instant)>,
    ask_at: Instant,
}

impl Leases {
    /// For an instance that has asked for nothing yet.
    #[must_use]
    pub fn new(keys: RedisKeys, instance: Uuid) -> Self {
        Self { keys, instance: instance.simple().to_string(), rooms: Mutex::default() }
    }

    /// Whether this instance leads `room`: see [`Self::ask_for`].
    ///
    /// # Errors
    /// Redis must be asked and could not be. While the last term runs, the room is led without an answer.
    pub async fn lead(
        &self,
        connection: &RedisHandle,
        room: RoomId,
        fence: Fence,
        term: Span,
    ) -> RedisResult<Leadership> {
        let asked = self.ask_for(connection, &[(room, fence)], term).await;
        match self.standing(room) {
            // A leader whose term runs still leads.
            Leadership::Follower => asked.map(|()| Leadership::Follower),
            leader @ Leadership::Leader(_) => Ok(leader),
        }
    }

    /// Asks for the leases of these rooms, given the fences that their rows are known to have, for a `term` from some
    /// moment lately: only of those that are due, and many in one call. The answers are [`Self::standing`].
    ///
    /// # Errors
    /// Some rooms were due and could not be asked for.
    pub async fn ask_for(&self, connection: &RedisHandle, rooms: &[(RoomId, Fence)], term: Span) -> RedisResult<()> {
        for part in self.due(rooms, Instant::now()).chunks(ROOMS_PER_CALL_MAX) {
            // Taken before the call, so that the term ends here before it ends in Redis.
            let from = Instant::now();
            self.note_answers(part, &self.call(connection, part, term).await?, from);
        }
        Ok(())
    }

    /// One call for these rooms, with the fences known of them. The answers: for each a fence, and a time in
    /// milliseconds.
    async fn call(
        &self,
        connection: &RedisHandle,
        rooms: &[(RoomId, Fence)],
        term: Span,
    ) -> RedisResult<Vec<(i64, i64)>> {
        let mut call = LEASE.prepare_invoke();
        call.arg(&self.instance).arg(term.millis()).arg(FENCE_TTL.millis());
        for (room, known) in rooms {
            call.key(self.keys.installation_part(format_args!("leader:{room}")));
            call.key(self.keys.installation_part(format_args!("fence:{room}"))).arg(known.0);
        }
        call.invoke_async(&mut connection.clone()).await
    }

    /// The leadership of `room` now, by the last answer.
    #[must_use]
    pub fn standing(&self, room: RoomId) -> Leadership {
        let now = Instant::now();
        match lock(&self.rooms).get(&room) {
            Some(KnownLease { leads: Some((fence, until)), .. }) if now < *until => Leadership::Leader(*fence),
            Some(_) | None => Leadership::Follower,
        }
    }

    /// Whether Redis was to be asked for `room` at `at`, and has not answered since.
    pub(super) fn is_due(&self, room: RoomId, at: Instant) -> bool {
        lock(&self.rooms).get(&room).is_some_and(|standing| standing.ask_at <= at)
    }

    /// The rooms that are due at `at`, with the highest fences known.
    fn due(&self, wanted: &[(RoomId, Fence)], at: Instant) -> Vec<(RoomId, Fence)> {
        let mut rooms = lock(&self.rooms);
        let mut due = Vec::new();
        for (room, fence) in wanted {
            let standing = rooms.entry(*room).or_insert(KnownLease { known: *fence, leads: None, ask_at: at });
            standing.known = standing.known.max(*fence);
            if standing.leads.is_some_and(|(leads, until)| leads < standing.known || until <= at) {
                // Another instance has led since, or the term is over.
                standing.leads = None;
                standing.ask_at = at;
            }
            if standing.ask_at <= at {
                due.push((*room, standing.known));
            }
        }
        due
    }

    /// Stops to lead `room`, and does not ask for its lease for so long: the present one ends by itself.
    pub fn leave(&self, room: RoomId, length: Duration) {
        if let Some(standing) = lock(&self.rooms).get_mut(&room) {
            (standing.leads, standing.ask_at) = (None, Instant::now() + length);
        }
    }

    /// Gives up the lease of `room`, and does not ask for it for so long: another instance may have it at once.
    ///
    /// # Errors
    /// Redis could not be reached; the term ends by itself.
    pub async fn give_up(&self, connection: &RedisHandle, room: RoomId, length: Duration) -> RedisResult<()> {
        self.leave(room, length);
        self.call(connection, &[(room, Fence(0))], Span::ZERO).await.map(drop)
    }

    fn note_answers(&self, part: &[(RoomId, Fence)], answers: &[(i64, i64)], from: Instant) {
        let mut rooms = lock(&self.rooms);
        for ((room, _), (fence, left_ms)) in part.iter().zip(answers) {
            let left = Duration::from_millis((*left_ms).try_into().unwrap_or(0));
            let (leads, rest) = if *fence > 0 {
                (Some((Fence(*fence), from + left)), left / 2)
            } else {
                // Of a lease that is nearly over: a leader that lives asks again long before.
                (None, left.clamp(FOLLOW_AT_LEAST, FOLLOW_AT_MOST))
            };
            if let Some(standing) = rooms.get_mut(room) {
                standing.leads = leads;
                standing.ask_at = from + rest;
            }
        }
    }

    /// Releases every line that this instance leads, so that the others need not wait for the terms to end.
    ///
    /// # Errors
    /// Redis could not be reached; the terms end by themselves.
    pub async fn release(&self, connection: &RedisHandle) -> RedisResult<()> {
        let rooms = std::mem::take(&mut *lock(&self.rooms));
        let held = rooms.iter().filter(|(_, standing)| standing.leads.is_some());
        let held: Vec<_> = held.map(|(room, standing)| (*room, standing.known)).collect();
        for part in held.chunks(ROOMS_PER_CALL_MAX) {
            self.call(connection, part, Span::ZERO).await?;
        }
        Ok(())
    }

    /// Forgets the answers of Redis: it is another one now, or has lost its data. Leases are asked for anew.
    pub fn forget(&self) {
        lock(&self.rooms).clear();
    }
}
