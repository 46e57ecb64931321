//! Exchanges heartbeats. A client polls a different instance each time, so the heartbeats at one instance say little
//! about which tokens are unresponsive. Near the head of each line, where that decides, every instance publishes the
//! positions that it saw and reads those that the others saw: a bit for each position, in chunks, a key for each chunk
//! and window of time.
//!
//! Every instance reads, not just the leader, so that one that takes over knows which tokens are responsive.

mod beats;

use super::{keys::RedisKeys, lock, script::Shared};
use crate::view::RoomView;
use beats::Beats;
use frontrow_clock::SKEW_MAX;
use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    time::{Span, Time},
};
use redis::{RedisResult, Script};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{LazyLock, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// How many positions beyond the cursor are exchanged.
pub const NEAR_HEAD: i64 = 131_072;
/// Positions that share a key: 2 KiB.
const CHUNK: i64 = 16_384;
/// The window of time that shares a key. A heartbeat in it counts as of its end.
const WINDOW: Span = Span::from_secs(5);
/// Windows are kept this much longer than it takes to call a token unresponsive.
const KEPT_LONGER: Span = Span::from_secs(30);
/// The clock of another instance may be this much behind this one's.
const BEHIND_MAX: Span = Span::from_micros(2 * SKEW_MAX.micros());
/// A past window is read again once in so many exchanges, because an instance's clock may be behind: about two windows
/// more in each, beside the three or four that are read anyway.
const REREAD_EVERY: i64 = 9;
/// How many windows are read again: those that an instance behind may write to, and more for as long as it takes until
/// each one has had its turn.
const REREAD_WINDOWS: i64 = BEHIND_MAX.micros() / WINDOW.micros() + 6;
/// How many chunks behind the cursor are exchanged: those of tokens that wait though it has passed them.
const PASSED_MAX: usize = 64;
/// An exchange this long ago does not tell which tokens are unresponsive now.
const EXCHANGE_TTL: Duration = Duration::from_secs(8);

static TELL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("heartbeats_publish.lua")));

/// The unpublished heartbeats of this instance, and how far those of others were read.
#[derive(Debug)]
pub struct Heartbeats {
    keys: RedisKeys,
    silence: Span,
    warm_up: Duration,
    beats: Beats,
    /// For each room, since when the exchange has worked without a break, and when it last did.
    exchanged: Mutex<HashMap<RoomId, Exchanged>>,
    windows: Mutex<HashMap<RoomId, ReadWindows>>,
}

/// The past windows of a room as last read, to see what an instance behind adds to them.
#[derive(Debug, Default)]
struct ReadWindows {
    /// How many reads there were.
    count: i64,
    /// The bits by window and chunk, of those windows that are read again: 40 KiB for a chunk with heartbeats all the
    /// time.
    bits: HashMap<(i64, i64), Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
struct Exchanged {
    began: Instant,
    last: Instant,
    /// Windows before this one have been read.
    read_to: i64,
}

/// The line to exchange heartbeats of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near<'a> {
    /// The line's room.
    pub room: RoomId,
    /// The highest position that was offered a turn: positions beyond it are exchanged.
    pub cursor: Position,
    /// The highest position given.
    pub tail: Position,
    /// The tokens that wait though the cursor has passed them, ascending.
    pub returned: &'a [Position],
}

impl<'a> Near<'a> {
    /// The line of a room as its view shows it.
    #[must_use]
    pub fn of(room: RoomId, view: &'a RoomView) -> Self {
        Self { room, cursor: view.cursor(), tail: view.tail(), returned: view.returned() }
    }

    /// The chunks of tokens that may be offered a turn soon.
    fn chunks(&self) -> BTreeSet<i64> {
        let (first, last) = (self.cursor.0 + 1, self.tail.0.min(self.cursor.0 + NEAR_HEAD));
        let beyond = chunk_of(Position(first))..=chunk_of(Position(last.max(first)));
        let neighbours = self.returned.chunk_by(|one, other| chunk_of(*one) == chunk_of(*other));
        beyond.chain(neighbours.map(|positions| chunk_of(positions[0])).take(PASSED_MAX)).collect()
    }
}

fn chunk_of(position: Position) -> i64 {
    position.0.div_euclid(CHUNK)
}

impl Heartbeats {
    /// For an instance without heartbeats. A token not seen for `silence` may be passed over, but none is called
    /// unresponsive before the other instances had `warm_up` to publish their heartbeats.
    #[must_use]
    pub fn new(keys: RedisKeys, silence: Span, warm_up: Duration) -> Self {
        Self { keys, silence, warm_up, beats: Beats::default(), exchanged: Mutex::default(), windows: Mutex::default() }
    }

    fn exchanged(&self) -> MutexGuard<'_, HashMap<RoomId, Exchanged>> {
        lock(&self.exchanged)
    }

    /// Notes a heartbeat at this instance, to be published later. No lock, and no matter how often.
    pub fn note(&self, token: TokenId) {
        self.beats.note(token.room_id, token.position);
    }

    /// Publishes this instance's heartbeats and reads those of the others: `record` is called for each position with
    /// the moment that it counts as seen. `now` is this instance's clock. Those of the others may be behind as much as
    /// two instances that sell may differ: such heartbeats are read within twenty seconds, and count as of then.
    ///
    /// # Errors
    /// Redis could not be reached or refused. Unpublished heartbeats are published the next time.
    pub async fn exchange(
        &self,
        connection: &impl Shared,
        near: Near<'_>,
        now: Time,
        record: impl FnMut(TokenId, Time),
    ) -> RedisResult<()> {
        let chunks = near.chunks();
        self.beats.cover(near.room, &chunks);
        let exchanged = match self.publish(connection, near.room, now).await {
            Ok(()) => self.read(connection, near.room, &chunks, now, record).await,
            Err(error) => Err(error),
        };
        let at = Instant::now();
        let mut all = self.exchanged();
        match exchanged {
            Ok(read_to) => {
                let known = all.entry(near.room).or_insert(Exchanged { began: at, last: at, read_to });
                (known.last, known.read_to) = (at, read_to);
                Ok(())
            }
            Err(error) => {
                all.remove(&near.room);
                Err(error)
            }
        }
    }

    /// Collects the heartbeats of a line that are not exchanged for now, so that they can be published.
    pub fn listen(&self, near: Near<'_>) {
        self.beats.cover(near.room, &near.chunks());
    }

    /// Publishes this instance's heartbeats since the last time, and reads none. If there are none, Redis is not
    /// called.
    ///
    /// # Errors
    /// Redis could not be reached or refused. Unpublished heartbeats are published the next time.
    pub async fn publish(&self, connection: &impl Shared, room: RoomId, now: Time) -> RedisResult<()> {
        let told = self.beats.take(room);
        if told.is_empty() {
            return Ok(());
        }
        let window = window_of(now);
        let mut call = TELL.key(self.keys.room(room, "heard:scratch"));
        call.arg(self.silence.millis().saturating_add(KEPT_LONGER.millis()));
        for (chunk, bits) in &told {
            call.key(self.key(room, window, *chunk)).arg(bits.as_slice());
        }
        let result = call.invoke_async::<()>(&mut connection.clone()).await;
        if result.is_err() {
            self.beats.put_back(room, &told);
        }
        result
    }

    /// Reads the windows that may have changed since the last time. Returns the present one.
    async fn read(
        &self,
        connection: &impl Shared,
        room: RoomId,
        chunks: &BTreeSet<i64>,
        now: Time,
        mut record: impl FnMut(TokenId, Time),
    ) -> RedisResult<i64> {
        let newest = window_of(now);
        let oldest = window_of(now.minus(self.silence));
        // The others' clocks may be a little behind, or ahead.
        let from = self.exchanged().get(&room).map_or(oldest, |known| known.read_to.max(oldest)) - 1;
        let turn = lock(&self.windows).get(&room).map_or(0, |read| read.count);
        let is_due = |window: &i64| *window >= from || (*window + turn).rem_euclid(REREAD_EVERY) == 0;
        // The newest comes first: a position counts as seen in the last of its windows.
        let windows: Vec<i64> = (from.min(newest - REREAD_WINDOWS)..=newest + 1).rev().filter(is_due).collect();
        let mut get = redis::cmd("MGET");
        for window in &windows {
            for chunk in chunks {
                get.arg(self.key(room, *window, *chunk));
            }
        }
        let found: Vec<Option<Vec<u8>>> = get.query_async(&mut connection.clone()).await?;
        let mut found = found.into_iter();
        let mut seen = vec![Vec::new(); chunks.len()];
        let mut all = lock(&self.windows);
        let read = all.entry(room).or_default();
        read.count += 1;
        read.bits.retain(|(window, chunk), _| *window >= newest - REREAD_WINDOWS && chunks.contains(chunk));
        for window in windows {
            let end = Time::from_micros((window + 1) * WINDOW.micros()).min(now);
            for ((chunk, seen), bits) in chunks.iter().zip(&mut seen).zip(&mut found) {
                let bits = bits.unwrap_or_default();
                let before =
                    (window >= newest - REREAD_WINDOWS).then(|| read.bits.insert((window, *chunk), bits.clone()));
                let (bits, at) = match before.flatten() {
                    // Bits added to a past window since the last read are from an instance behind.
                    Some(mut before) if window < from => (without(bits, &mut before), now),
                    _ => (without(bits, seen), end),
                };
                for position in positions(*chunk, &bits) {
                    record(TokenId { room_id: room, position }, at);
                }
            }
        }
        Ok(newest)
    }

    fn key(&self, room: RoomId, window: i64, chunk: i64) -> String {
        self.keys.room(room, format_args!("heard:{window}:{chunk}"))
    }

    /// Forgets all rooms but these, both lists ascending. Of resting rooms only this instance's heartbeats are kept: if
    /// the sale of one goes on, its exchange begins anew, so that [`Self::can_judge`] says no until the others have
    /// published what they saw meanwhile.
    pub fn keep_only(&self, moving: &[RoomId], resting: &[RoomId]) {
        let moves = |room: &RoomId| moving.binary_search(room).is_ok();
        self.exchanged().retain(|room, _| moves(room));
        lock(&self.windows).retain(|room, _| moves(room));
        self.beats.keep_only(|room| moves(room) || resting.binary_search(room).is_ok());
    }

    /// Whether enough is known of `room` to call a token unresponsive: the exchange has worked for a while, so that the
    /// others had time to publish.
    #[must_use]
    pub fn can_judge(&self, room: RoomId) -> bool {
        let known = self.exchanged().get(&room).copied();
        known.is_some_and(|known| {
            known.last.duration_since(known.began) >= self.warm_up && known.last.elapsed() <= EXCHANGE_TTL
        })
    }

    /// Forgets what was read: Redis is another one now, or has lost its data. Heartbeats of resting lines are lost with
    /// it, so every line must be rebuilt: each token in it counts as just seen then.
    pub fn forget(&self) {
        self.exchanged().clear();
        lock(&self.windows).clear();
    }
}

fn window_of(at: Time) -> i64 {
    at.micros().div_euclid(WINDOW.micros())
}

/// The bits that are not in `seen` yet, which are then added to it.
fn without(mut bits: Vec<u8>, seen: &mut Vec<u8>) -> Vec<u8> {
    seen.resize(seen.len().max(bits.len()), 0);
    for (bits, seen) in bits.iter_mut().zip(seen) {
        *bits &= !*seen;
        *seen |= *bits;
    }
    bits
}

/// The positions whose bits are set, in Redis's order of bits: the highest bit of a byte comes first.
fn positions(chunk: i64, bits: &[u8]) -> impl Iterator<Item = Position> {
    (0_i64..).zip(bits).filter(|(_, byte)| **byte != 0).flat_map(move |(at, byte)| {
        (0_i64..8).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| Position(chunk * CHUNK + at * 8 + bit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_wait_behind_the_cursor_in_one_chunk_leave_room_for_the_other_chunks() {
        let crowd = i64::try_from(PASSED_MAX).unwrap();
        let returned: Vec<_> = (1..=crowd).chain((2..100).map(|chunk| chunk * CHUNK)).map(Position).collect();
        let cursor = Position(200 * CHUNK - 1);
        let near = Near { room: RoomId::HOUSE, cursor, tail: cursor, returned: &returned };
        let told: Vec<_> = near.chunks().into_iter().collect();
        let expected: Vec<_> = [0].into_iter().chain(2..=crowd).chain([200]).collect();
        assert_eq!(told, expected);
    }
}
