//! Who moves a line. A lease that Redis keeps and its clock ends spares the instances from all doing the same work; it
//! protects nothing. What protects the line is the number that comes with it: the room's row refuses a leader whose
//! number is lower than one it has seen.

use super::{keys::Keys, script::Shared};
use crate::queue::Leadership;
use frontrow_domain::{id::RoomId, queue::Fence, time::Span};
use redis::{RedisResult, Script};
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use uuid::Uuid;

/// A follower asks again after this at the latest, so that a line whose leader died is not without one for long.
const FOLLOW_AT_MOST: Duration = Duration::from_secs(1);
/// A follower asks again after this at the earliest.
const FOLLOW_AT_LEAST: Duration = Duration::from_millis(50);
/// A leader that got no answer asks again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease_release.lua")));

/// What an instance knows about who leads which line.
#[derive(Debug)]
pub struct Leases {
    keys: Keys,
    instance: String,
    rooms: Mutex<HashMap<RoomId, Standing>>,
}

/// One line, as of the last answer.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// The number that the room's row is known to have.
    known: Fence,
    /// The number that this instance leads under, and until when at least.
    leads: Option<(Fence, Instant)>,
    /// When to ask again.
    ask_at: Instant,
}

/// What Redis says about one line.
type Answer = (i64, i64);

impl Leases {
    /// For an instance that has asked for nothing yet.
    #[must_use]
    pub fn new(keys: Keys, instance: Uuid) -> Self {
        Self { keys, instance: instance.simple().to_string(), rooms: Mutex::default() }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Standing>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this instance leads `room`, whose row is known to have `fence`, for a `term` from some moment lately.
    /// Answers from memory while that is known. When it is time to ask for this room, all others that are due are
    /// asked for at once, so that many rooms cost one journey.
    ///
    /// # Errors
    /// Redis must be asked and could not be. As long as the last term runs, the room is led without an answer.
    pub async fn lead(
        &self,
        connection: &impl Shared,
        room: RoomId,
        fence: Fence,
        term: Span,
    ) -> RedisResult<Leadership> {
        let due = self.due(room, fence, Instant::now());
        if !due.is_empty() {
            let asked = self.ask(connection, due, term).await;
            // Who leads still leads.
            if let Err(error) = asked
                && self.standing(room, Instant::now()) == Leadership::Follower
            {
                return Err(error);
            }
        }
        Ok(self.standing(room, Instant::now()))
    }

    /// What is known of `room` at `at`.
    fn standing(&self, room: RoomId, at: Instant) -> Leadership {
        match self.rooms().get(&room) {
            Some(Standing { leads: Some((fence, until)), .. }) if at < *until => Leadership::Leader(*fence),
            Some(_) | None => Leadership::Follower,
        }
    }

    /// The rooms to ask for at `at`: none if it is not yet time to ask for `room`.
    fn due(&self, room: RoomId, fence: Fence, at: Instant) -> Vec<(RoomId, Fence)> {
        let mut rooms = self.rooms();
        let standing = rooms.entry(room).or_insert(Standing { known: fence, leads: None, ask_at: at });
        standing.known = standing.known.max(fence);
        if standing.leads.is_some_and(|(leads, until)| leads < standing.known || until <= at) {
            // Another instance has led since, or the term is over.
            standing.leads = None;
            standing.ask_at = at;
        }
        if at < standing.ask_at {
            return Vec::new();
        }
        rooms.iter().filter(|(_, standing)| standing.ask_at <= at).map(|(room, at)| (*room, at.known)).collect()
    }

    async fn ask(&self, connection: &impl Shared, due: Vec<(RoomId, Fence)>, term: Span) -> RedisResult<()> {
        // Taken before the journey, so that the term is over here before it is over there.
        let from = Instant::now();
        let term_ms = term.millis();
        let mut asked = JoinSet::new();
        for (room, known) in due {
            let mut call = LEASE.key(self.keys.room(room, "leader"));
            call.key(self.keys.room(room, "fence")).arg(&self.instance).arg(term_ms).arg(known.0);
            let mut connection = connection.clone();
            asked.spawn(async move {
                let answer: RedisResult<Answer> = call.invoke_async(&mut connection).await;
                (room, answer)
            });
        }
        let mut failed = None;
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((room, Ok(answer))) => self.take(room, answer, from),
                Ok((room, Err(error))) => {
                    self.put_off(room, Instant::now());
                    failed = Some(error);
                }
                Err(_) => failed = Some(redis::RedisError::from((redis::ErrorKind::Client, "a call was cut off"))),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn take(&self, room: RoomId, (fence, left_ms): Answer, from: Instant) {
        let left = Duration::from_millis(left_ms.try_into().unwrap_or(0));
        let (leads, rest) = if fence > 0 {
            (Some((Fence(fence), from + left)), left / 2)
        } else {
            (None, left.clamp(FOLLOW_AT_LEAST, FOLLOW_AT_MOST))
        };
        if let Some(standing) = self.rooms().get_mut(&room) {
            standing.leads = leads;
            standing.ask_at = from + rest;
        }
    }

    /// Who still leads has time to ask again, and moves the line meanwhile.
    fn put_off(&self, room: RoomId, at: Instant) {
        if let Some(standing) = self.rooms().get_mut(&room)
            && standing.leads.is_some()
        {
            standing.ask_at = at + AGAIN_AFTER;
        }
    }

    /// Gives up every line that this instance leads, so that the others need not wait for the terms to end.
    ///
    /// # Errors
    /// Redis could not be reached; the terms end by themselves.
    pub async fn release(&self, connection: &impl Shared) -> RedisResult<()> {
        let held: Vec<RoomId> = {
            let mut rooms = self.rooms();
            let held = rooms.iter().filter(|(_, standing)| standing.leads.is_some()).map(|(room, _)| *room).collect();
            rooms.clear();
            held
        };
        let mut connection = connection.clone();
        for room in held {
            let mut call = RELEASE.key(self.keys.room(room, "leader"));
            call.arg(&self.instance).invoke_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    /// Forgets what Redis answered: it is another one now, or has lost what it knew. Who leads is asked for anew.
    pub fn forget(&self) {
        self.rooms().clear();
    }
}
