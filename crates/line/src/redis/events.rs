//! The events that an instance publishes: what views and caches need of a batch and no more. Neighbours in the same
//! state are one run, so that a batch of issued tokens takes some fifty bytes.

use crate::positions::{POSITIONS_MAX, Positions};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, RoomId, TokenId, UserId},
    line::{Fence, HeadWeight, LinePeaks, Room, Token, TokenState},
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The format that this version of the program writes, and the only one that it reads.
pub const VERSION: u8 = 11;

/// The content of an event.
#[derive(Debug, Clone)]
pub(super) enum EventBody {
    /// The changes of a batch.
    Changes(Box<BatchChanges>),
    /// Changes that were not published: their rows must be read.
    Gap(Gap),
}

/// Changes that were not published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    /// The rooms whose lines changed.
    pub(super) rooms: BTreeSet<RoomId>,
    /// Whether cached rows changed.
    pub(super) caches: CacheValidity,
    /// How many numbers directly before that of the gap were those of events that may not have come.
    pub(super) numbers: u64,
}

impl Gap {
    /// The gap if the event of these changes is not published. If it is empty, no other instance needs them.
    pub(super) fn of(changes: &Changes) -> Self {
        let tokens = changes.tokens.iter().map(|token| token.id).chain(changes.unused.iter().copied());
        let rooms = changes.rooms.iter().map(|room| room.room_id).chain(tokens.map(|token| token.room_id));
        let is_for_lines =
            changes.closed_sessions.is_empty() && changes.users.is_empty() && changes.concerts.is_empty();
        let caches = if is_for_lines { CacheValidity::Consistent } else { CacheValidity::Stale };
        Self { rooms: rooms.collect(), caches, numbers: 0 }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.rooms.extend(other.rooms);
        self.caches = self.caches.max(other.caches);
        self.numbers = self.numbers.saturating_add(other.numbers);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.caches == CacheValidity::Consistent
    }
}

/// The validity of cached sessions, roles and concerts after an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum CacheValidity {
    /// They are as true as before.
    #[default]
    Consistent,
    /// Any of them may be wrong.
    Stale,
}

/// The changes of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct BatchChanges {
    /// Rooms, tokens, unassigned positions, closed sessions. A token has only what a view needs of its row.
    pub(super) changes: Changes,
    /// Users with another role.
    pub(super) roles: Vec<UserId>,
    /// Concerts that are new or have changed.
    pub(super) concerts: Vec<ConcertId>,
}

/// An event as another instance reads it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The instance that published it.
    pub(super) instance: Uuid,
    /// Its place among the events of this instance, from 1.
    pub(super) number: u64,
    pub(super) body: EventBody,
}

impl Event {
    /// The number of the first event that this one stands for.
    pub(super) const fn first(&self) -> u64 {
        match &self.body {
            EventBody::Changes(_) => self.number,
            EventBody::Gap(gap) => self.number.saturating_sub(gap.numbers),
        }
    }
}

/// Why an event cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// Another version of the program wrote it.
    #[error("an event of version {0}, which this version of the program does not know")]
    Version(u8),
    /// It is not an event.
    #[error("not an event")]
    Broken,
}

impl From<postcard::Error> for Unreadable {
    fn from(_: postcard::Error) -> Self {
        Self::Broken
    }
}

/// The fields before the body.
#[derive(Serialize, Deserialize)]
struct EventHead {
    version: u8,
    instance: Uuid,
    number: u64,
}

#[derive(Serialize, Deserialize)]
enum WrittenBody {
    Changes(WrittenChanges),
    Gap(Gap),
}

#[derive(Serialize, Deserialize)]
struct WrittenChanges {
    now: Time,
    updated_rooms: Vec<WrittenRoom>,
    inserted_rooms: Vec<WrittenRoom>,
    updated_tokens: Vec<WrittenTokens>,
    inserted_tokens: Vec<WrittenTokens>,
    /// By room.
    unused: Vec<(RoomId, Positions)>,
    closed_sessions: Vec<[u8; 32]>,
    roles: Vec<Uuid>,
    concerts: Vec<ConcertId>,
}

/// Tokens of one room in the same state that let as many turns pass and have waited for about as long.
#[derive(Serialize, Deserialize)]
struct WrittenTokens {
    room: RoomId,
    state: TokenState,
    turns_passed: u32,
    /// Since their issue, in whole seconds: as far as views tell waits apart ([`HeadWeight`]).
    waited_secs: u8,
    positions: Positions,
}

/// A room, with the columns that answers to clients leave out.
#[derive(Serialize, Deserialize)]
struct WrittenRoom {
    room: Room,
    credit_ppm: i64,
    credit_at: Time,
    fence: i64,
    allotted_at: Time,
    shared_at: Option<Time>,
    peaks: LinePeaks,
}

/// The body of a batch's event.
pub(super) fn of_changes(changes: &Changes) -> Vec<u8> {
    let unused = changes.unused.chunk_by(|one, other| one.room_id == other.room_id);
    written(&WrittenBody::Changes(WrittenChanges {
        now: changes.now,
        updated_rooms: changes.rooms.updated.iter().map(WrittenRoom::of).collect(),
        inserted_rooms: changes.rooms.inserted.iter().map(WrittenRoom::of).collect(),
        updated_tokens: WrittenTokens::of(&changes.tokens.updated, changes.now),
        inserted_tokens: WrittenTokens::of(&changes.tokens.inserted, changes.now),
        unused: unused.map(|ids| (ids[0].room_id, Positions::of(ids.iter().map(|id| id.position)))).collect(),
        closed_sessions: changes.closed_sessions.clone(),
        roles: changes.users.iter().map(|user| user.user_id.0).collect(),
        concerts: changes.concerts.iter().map(|concert| concert.concert_id).collect(),
    }))
}

/// What another instance reads of these changes.
pub(super) fn as_read(changes: &Changes) -> Result<BatchChanges, Unreadable> {
    match read(&event(Uuid::nil(), 1, &of_changes(changes)))?.body {
        EventBody::Changes(batch) => Ok(*batch),
        EventBody::Gap(_) => Err(Unreadable::Broken),
    }
}

/// The body of a gap's event.
pub(super) fn of_gap(gap: &Gap) -> Vec<u8> {
    written(&WrittenBody::Gap(gap.clone()))
}

/// The event with this body and number.
pub(super) fn event(instance: Uuid, number: u64, body: &[u8]) -> Vec<u8> {
    let mut event = written(&EventHead { version: VERSION, instance, number });
    event.extend_from_slice(body);
    event
}

/// Everything here has a written form. If it had none, the other instances would find no event and read the rows.
fn written(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

pub(super) fn read(bytes: &[u8]) -> Result<Event, Unreadable> {
    let version = *bytes.first().ok_or(Unreadable::Broken)?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let (EventHead { instance, number, .. }, body) = postcard::take_from_bytes(bytes)?;
    let body = match postcard::from_bytes(body)? {
        WrittenBody::Changes(changes) => EventBody::Changes(Box::new(changes.read().ok_or(Unreadable::Broken)?)),
        WrittenBody::Gap(gap) => EventBody::Gap(gap),
    };
    Ok(Event { instance, number, body })
}

impl WrittenChanges {
    fn read(self) -> Option<BatchChanges> {
        let now = self.now;
        let mut changes = Changes { now, closed_sessions: self.closed_sessions, ..Changes::default() };
        changes.rooms.updated = self.updated_rooms.into_iter().map(WrittenRoom::read).collect();
        changes.rooms.inserted = self.inserted_rooms.into_iter().map(WrittenRoom::read).collect();
        let mut budget = POSITIONS_MAX;
        changes.tokens.updated = WrittenTokens::read(self.updated_tokens, now, &mut budget)?;
        changes.tokens.inserted = WrittenTokens::read(self.inserted_tokens, now, &mut budget)?;
        for (room_id, positions) in self.unused {
            changes.unused.extend(positions.read(&mut budget)?.map(|position| TokenId { room_id, position }));
        }
        let roles = self.roles.into_iter().map(UserId).collect();
        Some(BatchChanges { changes, roles, concerts: self.concerts })
    }
}

impl WrittenTokens {
    fn of(tokens: &[Token], now: Time) -> Vec<Self> {
        let group = |token: &Token| (token.id.room_id, token.state, token.turns_passed, waited_secs(token, now));
        let groups = tokens.chunk_by(|one, other| group(one) == group(other)).map(|tokens| {
            let (room, state, turns_passed, waited_secs) = group(&tokens[0]);
            let positions = Positions::of(tokens.iter().map(|token| token.id.position));
            Self { room, state, turns_passed, waited_secs, positions }
        });
        groups.collect()
    }

    fn read(groups: Vec<Self>, now: Time, budget: &mut u64) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        for Self { room: room_id, state, turns_passed, waited_secs, positions } in groups {
            let issued_at = now.minus(Span::from_secs(waited_secs.into()));
            tokens.extend(positions.read(budget)?.map(|position| Token {
                state,
                turns_passed,
                ..Token::issued(TokenId { room_id, position }, UserId(Uuid::nil()), issued_at)
            }));
        }
        Some(tokens)
    }
}

fn waited_secs(token: &Token, now: Time) -> u8 {
    let waited = now.since(token.issued_at).min(HeadWeight::FULL_WAIT);
    u8::try_from(waited.millis().max(0) / 1_000).unwrap_or(u8::MAX)
}

impl WrittenRoom {
    fn of(room: &Room) -> Self {
        let Room { credit_ppm, credit_at, fence: Fence(fence), allotted_at, shared_at, peaks, .. } = *room;
        Self { room: room.clone(), credit_ppm, credit_at, fence, allotted_at, shared_at, peaks }
    }

    fn read(self) -> Room {
        let Self { room, credit_ppm, credit_at, fence, allotted_at, shared_at, peaks } = self;
        Room { credit_ppm, credit_at, fence: Fence(fence), allotted_at, shared_at, peaks, ..room }
    }
}

#[cfg(test)]
mod tests;
