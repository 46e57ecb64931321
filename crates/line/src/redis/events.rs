//! The events that an instance publishes: what views and caches need of a batch and no more. Neighbours in the same
//! state are one run, so that a batch of issued tokens takes some twenty bytes.

use super::status;
use frontrow_domain::{
    id::{ConcertId, Position, RoomId, TokenId, UserId},
    queue::{EndReason, Fence, Gate, Room, Token, TokenState, TokenStatus},
    time::{Span, Time},
    world::Changes,
};
use uuid::Uuid;

/// The format that this version of the program writes, and the only one that it reads.
const VERSION: u8 = 2;
/// Version, instance, number of the event.
const HEAD: usize = 1 + 16 + 8;
/// The most tokens in one event: more than a batch can change.
const TOKENS_MAX: u64 = 1 << 20;

/// The content of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl PartialEq for BatchChanges {
    fn eq(&self, other: &Self) -> bool {
        let rows = |told: &Self| {
            let Changes { now, rooms, tokens, unused, closed_sessions, .. } = told.changes.clone();
            (now, rooms.updated, rooms.inserted, tokens.updated, tokens.inserted, unused, closed_sessions)
        };
        rows(self) == rows(other) && self.roles == other.roles && self.concerts == other.concerts
    }
}

/// An event as another instance reads it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// The instance that published it.
    pub(super) instance: Uuid,
    /// The first of the numbers that it stands for: its own, except that a gap stands for each event that was not
    /// published.
    pub(super) first: u64,
    /// Its place among the events of this instance, from 1; of a gap, the last that was not published.
    pub(super) number: u64,
    pub(super) body: Body,
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

/// The event of a batch, with room for its number; none if no other instance needs it.
pub(super) fn of_changes(instance: Uuid, changes: &Changes) -> Option<Vec<u8>> {
    let is_silent = changes.rooms.is_empty()
        && changes.tokens.is_empty()
        && changes.unused.is_empty()
        && changes.closed_sessions.is_empty()
        && changes.users.is_empty()
        && changes.concerts.is_empty();
    if is_silent {
        return None;
    }
    let mut to = Writer::new(instance, 0);
    to.signed(changes.now.micros());
    for (mark, rooms) in [(0, &changes.rooms.updated), (1, &changes.rooms.inserted)] {
        for room in rooms {
            to.byte(1);
            to.byte(mark);
            to.room(room);
        }
    }
    for (kind, tokens) in [(2, &changes.tokens.updated), (3, &changes.tokens.inserted)] {
        for tokens in tokens.chunk_by(|one, other| one.id.room_id == other.id.room_id) {
            to.byte(kind);
            to.tokens(tokens, changes.now);
        }
    }
    for unused in changes.unused.chunk_by(|one, other| one.room_id == other.room_id) {
        to.byte(4);
        to.signed(unused[0].room_id.get());
        let runs: Vec<_> =
            unused.chunk_by(|one, other| one.position.0.checked_add(1) == Some(other.position.0)).collect();
        to.count(runs.len());
        let mut next = 0;
        for run in runs {
            to.signed(run[0].position.0.saturating_sub(next));
            to.count(run.len());
            next = run[run.len() - 1].position.0.saturating_add(1);
        }
    }
    for session in &changes.closed_sessions {
        to.byte(5);
        to.bytes.extend_from_slice(session);
    }
    for user in &changes.users {
        to.byte(6);
        to.bytes.extend_from_slice(user.user_id.0.as_bytes());
    }
    for concert in changes.concerts.iter() {
        to.byte(7);
        to.signed(concert.concert_id.get());
    }
    Some(to.bytes)
}

/// The gap that stands for the events with the numbers from `first` to `last`.
pub(super) fn of_gap(instance: Uuid, first: u64, last: u64, gap: &Gap) -> Vec<u8> {
    let mut to = Writer::new(instance, 1);
    to.count(gap.rooms.len());
    for room in &gap.rooms {
        to.signed(room.get());
    }
    // An older program reads no further than here.
    to.number(first);
    to.byte(match gap.caches {
        CacheValidity::Consistent => 0,
        CacheValidity::Stale => 1,
    });
    put_number(&mut to.bytes, last);
    to.bytes
}

pub(super) fn put_number(event: &mut [u8], number: u64) {
    if let Some(place) = event.get_mut(HEAD - 8..HEAD) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Event, Unreadable> {
    match bytes.first() {
        Some(&VERSION) => Reader { bytes: bytes.get(1..).unwrap_or_default() }.event().ok_or(Unreadable::Broken),
        Some(other) => Err(Unreadable::Version(*other)),
        None => Err(Unreadable::Broken),
    }
}

/// The state of a token, apart from its position.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    status: TokenStatus,
    activated_at: Option<Time>,
    deadline: Option<Time>,
}

impl State {
    const fn of(token: &Token) -> Self {
        Self { status: token.status(), activated_at: token.activated_at(), deadline: token.deadline() }
    }

    /// The state of a token of a batch that was decided at `now`; none if its parts contradict each other. Of an ended
    /// token views keep nothing: an event does not say why it ended.
    const fn token_state(self, now: Time) -> Option<TokenState> {
        match (self.status, self.activated_at, self.deadline) {
            (TokenStatus::Waiting, None, None) => Some(TokenState::Waiting),
            (TokenStatus::Dormant, None, Some(until)) => Some(TokenState::Dormant { until }),
            (TokenStatus::Offered, None, Some(until)) => Some(TokenState::Offered { until }),
            (TokenStatus::Missed, None, Some(until)) => Some(TokenState::Missed { until }),
            (TokenStatus::Active, Some(since), Some(until)) => Some(TokenState::Active { since, until }),
            (TokenStatus::Ended, activated_at, None) => {
                Some(TokenState::Ended { at: now, reason: EndReason::Expired, activated_at })
            }
            _ => None,
        }
    }
}

const SAME: u8 = 0x08;
const HAS_ACTIVATED: u8 = 0x10;
const HAS_DEADLINE: u8 = 0x20;
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn new(instance: Uuid, kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(VERSION);
        bytes.extend_from_slice(instance.as_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.push(kind);
        Self { bytes }
    }

    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
            number >>= 7;
        }
        self.bytes.push(u8::try_from(number).unwrap_or(0));
    }

    fn count(&mut self, count: usize) {
        self.number(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Small numbers of both signs are short.
    fn signed(&mut self, number: i64) {
        self.number((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
    }

    fn time(&mut self, at: Time, now: Time) {
        self.signed(at.micros().wrapping_sub(now.micros()));
    }

    fn signed_or_none(&mut self, number: Option<i64>) {
        match number {
            None => self.byte(0),
            Some(number) => {
                self.byte(1);
                self.signed(number);
            }
        }
    }

    fn room(&mut self, room: &Room) {
        self.signed(room.room_id.get());
        self.signed(room.max_active);
        self.signed_or_none(room.admit_per_minute);
        self.signed_or_none(room.opens_at.map(Time::micros));
        self.signed_or_none(room.closes_at.map(Time::micros));
        self.byte(match room.gate {
            Gate::Open => 0,
            Gate::Paused => 1,
        });
        match &room.message {
            None => self.byte(0),
            Some(text) => {
                self.byte(1);
                self.count(text.len());
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
        for number in [
            room.cursor.0,
            room.epoch,
            room.no_show_ppm,
            room.credit_ppm,
            room.credit_at.micros(),
            room.fence.0,
            room.updated_at.micros(),
        ] {
            self.signed(number);
        }
    }

    fn tokens(&mut self, tokens: &[Token], now: Time) {
        self.signed(tokens[0].id.room_id.get());
        let is_run = |one: &Token, other: &Token| {
            one.id.position.0.checked_add(1) == Some(other.id.position.0) && State::of(one) == State::of(other)
        };
        self.count(tokens.chunk_by(is_run).count());
        let mut next = 0;
        let mut last = None;
        for run in tokens.chunk_by(is_run) {
            let first = run[0].id.position.0;
            self.signed(first.saturating_sub(next));
            self.count(run.len());
            next = run[run.len() - 1].id.position.0.saturating_add(1);
            let state = State::of(&run[0]);
            if last == Some(state) {
                self.byte(SAME);
                continue;
            }
            last = Some(state);
            let activated = if state.activated_at.is_some() { HAS_ACTIVATED } else { 0 };
            let deadline = if state.deadline.is_some() { HAS_DEADLINE } else { 0 };
            self.byte(status::number_of(state.status) | activated | deadline);
            for at in [state.activated_at, state.deadline].into_iter().flatten() {
                self.time(at, now);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    fn time(&mut self, now: Time) -> Option<Time> {
        Some(now.plus(Span::from_micros(self.signed()?)))
    }

    fn event(mut self) -> Option<Event> {
        let instance = Uuid::from_bytes(self.take()?);
        let number = u64::from_be_bytes(self.take()?);
        let (first, body) = match self.byte()? {
            0 => (number, Body::Changes(Box::new(self.told()?))),
            1 => {
                let (first, gap) = self.gap(number)?;
                (first, Body::Gap(gap))
            }
            _ => return None,
        };
        Some(Event { instance, first, number, body })
    }

    /// A gap, and the first number that it stands for.
    fn gap(&mut self, number: u64) -> Option<(u64, Gap)> {
        let count = self.number()?;
        let rooms = (0..count).map(|_| self.signed().map(RoomId::new)).collect::<Option<_>>()?;
        if self.bytes.is_empty() {
            // From a program whose gaps do not say which events they stand for.
            return Some((number, Gap { rooms, caches: CacheValidity::Stale }));
        }
        let first = self.number()?.min(number);
        let caches = if self.byte()? == 0 { CacheValidity::Consistent } else { CacheValidity::Stale };
        Some((first, Gap { rooms, caches }))
    }

    fn told(&mut self) -> Option<BatchChanges> {
        let mut told = BatchChanges::default();
        let now = Time::from_micros(self.signed()?);
        told.changes.now = now;
        let mut budget = TOKENS_MAX;
        while let Some(kind) = self.byte() {
            let Changes { rooms, tokens, unused, closed_sessions, .. } = &mut told.changes;
            match kind {
                1 => {
                    let to = if self.byte()? == 1 { &mut rooms.inserted } else { &mut rooms.updated };
                    to.push(self.room()?);
                }
                2 => self.tokens(now, &mut budget, &mut tokens.updated)?,
                3 => self.tokens(now, &mut budget, &mut tokens.inserted)?,
                4 => {
                    let room_id = RoomId::new(self.signed()?);
                    let mut next = 0;
                    for _ in 0..self.number()? {
                        let run = self.run(&mut next, &mut budget)?;
                        unused.extend(run.map(|position| TokenId { room_id, position: Position(position) }));
                    }
                }
                5 => closed_sessions.push(self.take()?),
                6 => told.roles.push(UserId(Uuid::from_bytes(self.take()?))),
                7 => told.concerts.push(ConcertId::new(self.signed()?)),
                _ => return None,
            }
        }
        Some(told)
    }

    /// The positions of a run, which begins some way after the one before.
    fn run(&mut self, next: &mut i64, budget: &mut u64) -> Option<std::ops::Range<i64>> {
        let first = next.checked_add(self.signed()?)?;
        let count = self.number()?;
        *budget = budget.checked_sub(count)?;
        *next = first.checked_add(i64::try_from(count).ok()?)?;
        Some(first..*next)
    }

    fn tokens(&mut self, now: Time, budget: &mut u64, to: &mut Vec<Token>) -> Option<()> {
        let room_id = RoomId::new(self.signed()?);
        let runs = self.number()?;
        let mut next = 0_i64;
        let mut state = TokenState::Waiting;
        for _ in 0..runs {
            let run = self.run(&mut next, budget)?;
            let flags = self.byte()?;
            if flags != SAME {
                let status = status::status_of(flags & status::BITS)?;
                let activated_at = if flags & HAS_ACTIVATED == 0 { None } else { Some(self.time(now)?) };
                let deadline = if flags & HAS_DEADLINE == 0 { None } else { Some(self.time(now)?) };
                state = State { status, activated_at, deadline }.token_state(now)?;
            }
            to.extend(run.map(|position| {
                let id = TokenId { room_id, position: Position(position) };
                Token { state, ..Token::issued(id, UserId(Uuid::nil()), now) }
            }));
        }
        Some(())
    }

    /// The outer none if it cannot be read.
    #[expect(clippy::option_option, reason = "a number that is none can be read well")]
    fn signed_or_none(&mut self) -> Option<Option<i64>> {
        if self.byte()? == 0 { Some(None) } else { Some(Some(self.signed()?)) }
    }

    fn room(&mut self) -> Option<Room> {
        let room_id = RoomId::new(self.signed()?);
        let max_active = self.signed()?;
        let admit_per_minute = self.signed_or_none()?;
        let opens_at = self.signed_or_none()?.map(Time::from_micros);
        let closes_at = self.signed_or_none()?.map(Time::from_micros);
        let gate = match self.byte()? {
            0 => Gate::Open,
            1 => Gate::Paused,
            _ => return None,
        };
        let message = if self.byte()? == 0 {
            None
        } else {
            let length = usize::try_from(self.number()?).ok()?;
            let (text, rest) = self.bytes.split_at_checked(length)?;
            self.bytes = rest;
            Some(String::from_utf8(text.to_vec()).ok()?)
        };
        Some(Room {
            room_id,
            max_active,
            admit_per_minute,
            gate,
            message,
            cursor: Position(self.signed()?),
            epoch: self.signed()?,
            no_show_ppm: self.signed()?,
            credit_ppm: self.signed()?,
            credit_at: Time::from_micros(self.signed()?),
            fence: Fence(self.signed()?),
            opens_at,
            closes_at,
            updated_at: Time::from_micros(self.signed()?),
        })
    }
}

#[cfg(test)]
mod tests;
