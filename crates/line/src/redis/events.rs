//! The events that an instance publishes: what views and caches need of a batch and no more. Neighbours in the same
//! state are one run, so that a batch of issued tokens takes some fifty bytes.

use super::{
    positions::{POSITIONS_MAX, Positions},
    states::WrittenState,
};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, Position, RoomId, TokenId, UserId},
    line::{Fence, Gate, Room, Token},
    time::Time,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The format that this version of the program writes, and the only one that it reads.
const VERSION: u8 = 3;

/// The content of an event.
#[derive(Debug, Clone)]
pub(super) enum EventBody {
    /// The changes of a batch.
    Changes(Box<BatchChanges>),
    /// Changes that were not published: their rows must be read.
    Gap(Gap),
}

/// Changes that were not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// The rooms whose lines changed.
    pub(super) rooms: Vec<RoomId>,
    /// Whether cached rows changed.
    pub(super) caches: CacheValidity,
}

/// The validity of cached sessions, roles and concerts after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CacheValidity {
    /// They are as true as before.
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
    /// The first of the numbers that it stands for: its own, except that a gap stands for each event that was not
    /// published.
    pub(super) first: u64,
    /// Its place among the events of this instance, from 1; of a gap, the last that was not published.
    pub(super) number: u64,
    pub(super) body: EventBody,
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
    first: u64,
    number: u64,
}

#[derive(Serialize, Deserialize)]
enum WrittenBody {
    Changes(WrittenChanges),
    Gap { rooms: Vec<i64>, caches: CacheValidity },
}

#[derive(Serialize, Deserialize)]
struct WrittenChanges {
    now: i64,
    updated_rooms: Vec<WrittenRoom>,
    inserted_rooms: Vec<WrittenRoom>,
    updated_tokens: Vec<WrittenTokens>,
    inserted_tokens: Vec<WrittenTokens>,
    /// By room.
    unused: Vec<(i64, Positions)>,
    closed_sessions: Vec<[u8; 32]>,
    roles: Vec<Uuid>,
    concerts: Vec<i64>,
}

/// Tokens of one room in the same state.
#[derive(Serialize, Deserialize)]
struct WrittenTokens {
    room: i64,
    state: WrittenState,
    positions: Positions,
}

#[derive(Serialize, Deserialize)]
struct WrittenRoom {
    room: i64,
    max_active: i64,
    admit_per_minute: Option<i64>,
    gate: Gate,
    message: Option<String>,
    cursor: Position,
    epoch: i64,
    no_show_ppm: i64,
    credit_ppm: i64,
    credit_at: i64,
    fence: i64,
    opens_at: Option<i64>,
    closes_at: Option<i64>,
    updated_at: i64,
}

/// The body of a batch's event; none if no other instance needs it.
pub(super) fn of_changes(changes: &Changes) -> Option<Vec<u8>> {
    let is_silent = changes.rooms.is_empty()
        && changes.tokens.is_empty()
        && changes.unused.is_empty()
        && changes.closed_sessions.is_empty()
        && changes.users.is_empty()
        && changes.concerts.is_empty();
    if is_silent {
        return None;
    }
    let unused = changes.unused.chunk_by(|one, other| one.room_id == other.room_id);
    Some(written(&WrittenBody::Changes(WrittenChanges {
        now: changes.now.micros(),
        updated_rooms: changes.rooms.updated.iter().map(WrittenRoom::of).collect(),
        inserted_rooms: changes.rooms.inserted.iter().map(WrittenRoom::of).collect(),
        updated_tokens: WrittenTokens::of(&changes.tokens.updated, changes.now),
        inserted_tokens: WrittenTokens::of(&changes.tokens.inserted, changes.now),
        unused: unused.map(|ids| (ids[0].room_id.get(), Positions::of(ids.iter().map(|id| id.position)))).collect(),
        closed_sessions: changes.closed_sessions.clone(),
        roles: changes.users.iter().map(|user| user.user_id.0).collect(),
        concerts: changes.concerts.iter().map(|concert| concert.concert_id.get()).collect(),
    })))
}

/// The body of a gap's event.
pub(super) fn of_gap(gap: &Gap) -> Vec<u8> {
    let rooms = gap.rooms.iter().map(|room| room.get()).collect();
    written(&WrittenBody::Gap { rooms, caches: gap.caches })
}

/// The event with this body that stands for the numbers from `first` to `number`.
pub(super) fn event(instance: Uuid, first: u64, number: u64, body: &[u8]) -> Vec<u8> {
    let mut event = written(&EventHead { version: VERSION, instance, first, number });
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
    let (EventHead { instance, first, number, .. }, body) = postcard::take_from_bytes(bytes)?;
    let body = match postcard::from_bytes(body)? {
        WrittenBody::Changes(changes) => EventBody::Changes(Box::new(changes.read().ok_or(Unreadable::Broken)?)),
        WrittenBody::Gap { rooms, caches } => {
            EventBody::Gap(Gap { rooms: rooms.into_iter().map(RoomId::new).collect(), caches })
        }
    };
    Ok(Event { instance, first: first.min(number), number, body })
}

impl WrittenChanges {
    fn read(self) -> Option<BatchChanges> {
        let now = Time::from_micros(self.now);
        let mut changes = Changes { now, closed_sessions: self.closed_sessions, ..Changes::default() };
        changes.rooms.updated = self.updated_rooms.into_iter().map(WrittenRoom::read).collect();
        changes.rooms.inserted = self.inserted_rooms.into_iter().map(WrittenRoom::read).collect();
        let mut budget = POSITIONS_MAX;
        changes.tokens.updated = WrittenTokens::read(self.updated_tokens, now, &mut budget)?;
        changes.tokens.inserted = WrittenTokens::read(self.inserted_tokens, now, &mut budget)?;
        for (room, positions) in self.unused {
            let room_id = RoomId::new(room);
            changes.unused.extend(positions.read(&mut budget)?.map(|position| TokenId { room_id, position }));
        }
        let roles = self.roles.into_iter().map(UserId).collect();
        Some(BatchChanges { changes, roles, concerts: self.concerts.into_iter().map(ConcertId::new).collect() })
    }
}

impl WrittenTokens {
    fn of(tokens: &[Token], now: Time) -> Vec<Self> {
        let group = |token: &Token| (token.id.room_id, token.state);
        let groups = tokens.chunk_by(|one, other| group(one) == group(other)).map(|tokens| Self {
            room: tokens[0].id.room_id.get(),
            state: WrittenState::of(tokens[0].state, now),
            positions: Positions::of(tokens.iter().map(|token| token.id.position)),
        });
        groups.collect()
    }

    fn read(groups: Vec<Self>, now: Time, budget: &mut u64) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        for Self { room, state, positions } in groups {
            let (room_id, state) = (RoomId::new(room), state.read(now));
            tokens.extend(positions.read(budget)?.map(|position| Token {
                state,
                ..Token::issued(TokenId { room_id, position }, UserId(Uuid::nil()), now)
            }));
        }
        Some(tokens)
    }
}

impl WrittenRoom {
    fn of(room: &Room) -> Self {
        Self {
            room: room.room_id.get(),
            max_active: room.max_active,
            admit_per_minute: room.admit_per_minute,
            gate: room.gate,
            message: room.message.clone(),
            cursor: room.cursor,
            epoch: room.epoch,
            no_show_ppm: room.no_show_ppm,
            credit_ppm: room.credit_ppm,
            credit_at: room.credit_at.micros(),
            fence: room.fence.0,
            opens_at: room.opens_at.map(Time::micros),
            closes_at: room.closes_at.map(Time::micros),
            updated_at: room.updated_at.micros(),
        }
    }

    fn read(self) -> Room {
        Room {
            room_id: RoomId::new(self.room),
            max_active: self.max_active,
            admit_per_minute: self.admit_per_minute,
            gate: self.gate,
            message: self.message,
            cursor: self.cursor,
            epoch: self.epoch,
            no_show_ppm: self.no_show_ppm,
            credit_ppm: self.credit_ppm,
            credit_at: Time::from_micros(self.credit_at),
            fence: Fence(self.fence),
            opens_at: self.opens_at.map(Time::from_micros),
            closes_at: self.closes_at.map(Time::from_micros),
            updated_at: Time::from_micros(self.updated_at),
        }
    }
}

#[cfg(test)]
mod tests;
