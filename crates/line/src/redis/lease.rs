//! The leader of each line. A lease that Redis keeps and its clock ends spares the instances from all doing the same
//! work; it protects nothing. The fence that comes with it protects the line: the room's row refuses a leader whose
//! fence is lower than one it has seen.

use super::{keys::RedisKeys, script::SharedConnection};
use crate::{lock::lock, peers::Leadership};
use frontrow_domain::{id::RoomId, line::Fence, time::Span};
use redis::{RedisError, RedisResult, Script};
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A follower asks again after this at the latest, so that a line whose leader died is not without one for long.
const FOLLOW_AT_MOST: Duration = Duration::from_secs(1);
/// A follower asks again after this at the earliest.
const FOLLOW_AT_LEAST: Duration = Duration::from_millis(50);
/// Followers of a leader that died ask up to this much later, in an order that differs from room to room.
const SPREAD_MS: u64 = 100;
/// A leader without an answer asks again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Lines in one call: it blocks Redis for less than a millisecond.
const ROOMS_PER_CALL_MAX: usize = 256;
/// How long Redis keeps the highest fence after a take-over. Later the room's row supplies it.
const FENCE_TTL: Span = Span::from_secs(86_400);

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease_release.lua")));

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

/// The answer of Redis for some lines: for each a fence and a time in milliseconds.
type LeaseAnswers = Vec<i64>;

/// Lines that could not be asked for.
#[derive(Debug)]
pub struct Unasked {
    /// Their rooms.
    pub rooms: HashSet<RoomId>,
    /// The error of the last of them.
    pub error: RedisError,
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
        connection: &impl SharedConnection,
        room: RoomId,
        fence: Fence,
        term: Span,
    ) -> RedisResult<Leadership> {
        let asked = self.ask_for(connection, &[(room, fence)], term).await;
        match (self.standing(room), asked) {
            // A leader whose term runs still leads.
            (Leadership::Follower, Err(unasked)) => Err(unasked.error),
            (standing, _) => Ok(standing),
        }
    }

    /// Asks for the leases of these rooms, given the fences that their rows are known to have, for a `term` from some
    /// moment lately: only of those that are due, and many in one call. The answers are [`Self::standing`].
    ///
    /// # Errors
    /// Some rooms were due and could not be asked for.
    pub async fn ask_for(
        &self,
        connection: &impl SharedConnection,
        rooms: &[(RoomId, Fence)],
        term: Span,
    ) -> Result<(), Unasked> {
        let due = self.due(rooms, Instant::now());
        if due.is_empty() {
            return Ok(());
        }
        for (begun, part) in due.chunks(ROOMS_PER_CALL_MAX).enumerate() {
            let mut call = LEASE.prepare_invoke();
            for (room, _) in part {
                call.key(self.leader_key(*room)).key(self.keys.installation_part(format_args!("fence:{room}")));
            }
            call.arg(&self.instance).arg(term.millis()).arg(FENCE_TTL.millis());
            for (_, known) in part {
                call.arg(known.0);
            }
            // Taken before the call, so that the term ends here before it ends in Redis.
            let from = Instant::now();
            let answers: RedisResult<LeaseAnswers> = call.invoke_async(&mut connection.clone()).await;
            match answers {
                Ok(answers) => self.note_answers(part, &answers, from),
                Err(error) => {
                    let unasked = &due[begun * ROOMS_PER_CALL_MAX..];
                    self.put_off(unasked, Instant::now());
                    return Err(Unasked { rooms: unasked.iter().map(|(room, _)| *room).collect(), error });
                }
            }
        }
        Ok(())
    }

    fn leader_key(&self, room: RoomId) -> String {
        self.keys.installation_part(format_args!("leader:{room}"))
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

    /// Forgets all rooms but these, which are ascending, and those whose terms run. Other leases end by themselves.
    pub fn keep_only(&self, rooms: &[RoomId]) {
        let now = Instant::now();
        lock(&self.rooms).retain(|room, standing| {
            rooms.binary_search(room).is_ok() || standing.leads.is_some_and(|(_, until)| now < until)
        });
    }

    fn note_answers(&self, part: &[(RoomId, Fence)], answers: &[i64], from: Instant) {
        let mut rooms = lock(&self.rooms);
        for ((room, _), answer) in part.iter().zip(answers.chunks_exact(2)) {
            let (fence, left_ms) = (answer[0], answer[1]);
            let left = Duration::from_millis(left_ms.try_into().unwrap_or(0));
            let (leads, rest) = if fence > 0 {
                (Some((Fence(fence), from + left)), left / 2)
            } else if left < FOLLOW_AT_MOST {
                // Nearly over: a leader that lives asks again long before.
                (None, left.max(FOLLOW_AT_LEAST) + self.spread(*room))
            } else {
                (None, FOLLOW_AT_MOST)
            };
            if let Some(standing) = rooms.get_mut(room) {
                standing.leads = leads;
                standing.ask_at = from + rest;
            }
        }
    }

    /// How much later than others this instance asks for a line whose leader seems to have died.
    fn spread(&self, room: RoomId) -> Duration {
        let mut hasher = DefaultHasher::new();
        (room, &self.instance).hash(&mut hasher);
        Duration::from_millis(hasher.finish() % SPREAD_MS)
    }

    /// A leader whose term runs has time to ask again, and moves the line meanwhile.
    fn put_off(&self, part: &[(RoomId, Fence)], at: Instant) {
        let mut rooms = lock(&self.rooms);
        for (room, _) in part {
            if let Some(standing) = rooms.get_mut(room)
                && standing.leads.is_some()
            {
                standing.ask_at = at + AGAIN_AFTER;
            }
        }
    }

    /// Releases every line that this instance leads, so that the others need not wait for the terms to end.
    ///
    /// # Errors
    /// Redis could not be reached; the terms end by themselves.
    pub async fn release(&self, connection: &impl SharedConnection) -> RedisResult<()> {
        let held: Vec<RoomId> = {
            let mut rooms = lock(&self.rooms);
            let held = rooms.iter().filter(|(_, standing)| standing.leads.is_some()).map(|(room, _)| *room).collect();
            rooms.clear();
            held
        };
        let mut connection = connection.clone();
        for part in held.chunks(ROOMS_PER_CALL_MAX) {
            let mut call = RELEASE.prepare_invoke();
            for room in part {
                call.key(self.leader_key(*room));
            }
            call.arg(&self.instance).invoke_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    /// Forgets the answers of Redis: it is another one now, or has lost its data. Leases are asked for anew.
    pub fn forget(&self) {
        lock(&self.rooms).clear();
    }
}
