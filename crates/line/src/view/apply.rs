//! Builds a view from rows, and applies the changes of batches to it.

use super::{
    Freshness, RoomView,
    departed::Departed,
    live::{Entry, Live},
    lowest::SettingsNumber,
    visits::Visits,
};
use frontrow_domain::{
    changes::Changes,
    id::{Position, RoomId, TokenId},
    line::{
        ClaimRecord, DrawStatus, EndReason, Gate, HeadRecord, HeadStep, HeadWeight, Room, Token, TokenState,
        TokenStatus,
    },
    outage::Outages,
    policy::OFFER_LEAD_MAX,
    time::Time,
};
use frontrow_storage::Line;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

/// The changes of a batch in one room.
#[derive(Debug, Clone, Copy)]
pub struct Delta<'a> {
    /// When it was decided.
    pub now: Time,
    /// The room's row, if it changed.
    pub room: Option<&'a Room>,
    /// Tokens that existed before, by position.
    pub updated: &'a [Token],
    /// Tokens that are new, by position.
    pub inserted: &'a [Token],
    /// Unassigned positions, ascending: no token will get them.
    pub unused: &'a [TokenId],
    /// The highest position that is known to be given, beside those.
    pub highest: Position,
}

impl Delta<'_> {
    /// A change at `now` that changes nothing.
    #[must_use]
    pub const fn none(now: Time) -> Self {
        Self { now, room: None, updated: &[], inserted: &[], unused: &[], highest: Position(0) }
    }
}

/// The consequences of a change for a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// More changed than the tail, which all views share: a new view must be published.
    pub must_publish: bool,
    /// The line may be able to move now.
    pub may_move: bool,
    /// Which tokens are shown something else than before.
    pub shown_to: ShownTo,
}

/// Which tokens are shown something that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShownTo {
    /// Those alone that have changed.
    #[default]
    Changed,
    /// Every token of the line: its message, or why the line moves or rests.
    Line,
    /// Every token of the line and of those beside it: the share or the entry of this lane.
    LinesBeside,
}

/// The changes of a batch, room by room.
#[must_use]
pub fn deltas(changes: &Changes) -> BTreeMap<RoomId, Delta<'_>> {
    let empty = Delta::none(changes.now);
    let mut deltas = BTreeMap::new();
    for room in changes.rooms.iter() {
        deltas.entry(room.room_id).or_insert(empty).room = Some(room);
    }
    let same_room = |one: &Token, other: &Token| one.id.room_id == other.id.room_id;
    for tokens in changes.tokens.updated.chunk_by(same_room) {
        deltas.entry(tokens[0].id.room_id).or_insert(empty).updated = tokens;
    }
    for tokens in changes.tokens.inserted.chunk_by(same_room) {
        deltas.entry(tokens[0].id.room_id).or_insert(empty).inserted = tokens;
    }
    for unused in changes.unused.chunk_by(|one, other| one.room_id == other.room_id) {
        deltas.entry(unused[0].room_id).or_insert(empty).unused = unused;
    }
    deltas
}

impl RoomView {
    /// The view of an empty line.
    #[must_use]
    pub fn empty(room: &Room) -> Self {
        Self {
            tail: Arc::new(AtomicI64::new(room.cursor.0)),
            room: Arc::new(room.clone()),
            departed: Arc::default(),
            departed_to_cursor: 0,
            live: Arc::default(),
            returned: Arc::default(),
            returned_at: Arc::default(),
            active: 0,
            offered: 0,
            claimed: 0,
            claims: ClaimRecord::default(),
            heads: HeadRecord::default(),
            visits: Visits::default(),
            told: Arc::default(),
            lowest_told: Arc::default(),
            settings_number: SettingsNumber::default(),
            told_pace: pace(room),
            forecast: Arc::default(),
            freshness: Freshness::Current,
            outages: Outages::default(),
        }
    }

    /// The view of a line as its rows have it. Positions beyond the cursor that neither wait nor are in flight have
    /// departed.
    #[must_use]
    pub fn from_rows(line: &Line) -> Self {
        let mut view = Self::empty(&line.room);
        view.visits = Visits::from(line.now);
        let cursor = line.room.cursor;
        view.raise_tail_to(line.highest.max(cursor));
        let passed = line.waiting.partition_point(|position| *position <= cursor);
        let (returned, beyond) = line.waiting.split_at(passed);
        let mut present = beyond.to_vec();
        present.extend(line.in_flight.iter().filter(|position| **position > cursor));
        if let Some(reserved) = line.room.draw.reserved() {
            // The entries get these places by the draw.
            let unplaced = reserved.placed_to.max(cursor).0 + 1..=reserved.used_to.0;
            present.extend(unplaced.map(Position));
        }
        present.sort_unstable();
        present.dedup();
        view.departed = Arc::new(Departed::all_but(Position(cursor.0 + 1), view.tail(), &present));
        view.departed_to_cursor = view.departed.rank(Position(cursor.0 + 1));
        view.returned = Arc::new(returned.to_vec());
        view.returned_at = Arc::new(vec![Time::MAX; returned.len()]);
        let mut known = Live::default();
        for position in returned {
            // Neither when its turn first came nor when it came back is in its row.
            let (state, since, weight) = (TokenState::Waiting, Time::MAX, HeadWeight::FULL);
            known.put(Entry { position: *position, state, since, turns_passed: 0, weight });
        }
        for token in &line.others {
            // When its turn first came is not in its row.
            known.put(entry_of(token, line.now, HeadWeight::after(line.now.since(token.issued_at))));
            view.count(&token.state, 1);
        }
        view.live = Arc::new(known);
        view
    }

    /// Applies the changes of one batch in this room. Batches come in the order of their commits.
    pub fn apply(&mut self, delta: &Delta<'_>) -> Effects {
        if self.is_plain_issue(delta) {
            self.raise_tail(delta);
            return Effects {
                must_publish: false,
                may_move: !delta.inserted.is_empty() && self.may_have_places(delta.now),
                ..Effects::default()
            };
        }
        let (active, offered) = (self.active, self.offered);
        let before = Arc::clone(&self.room);
        let is_set_anew = self.apply_room(delta.room);
        let has_more = pace(&before) < pace(&self.room);
        let mut may_move = is_set_anew || has_more;
        if !self.is_told_by(settings(&before), self.told_pace) {
            self.forget_told(delta.now);
        }
        let shown_to = if before.lane != self.room.lane {
            ShownTo::LinesBeside
        } else if is_set_anew || (&before.message, before.epoch) != (&self.room.message, self.room.epoch) {
            ShownTo::Line
        } else {
            ShownTo::Changed
        };
        let old_tail = self.tail();
        self.raise_tail(delta);
        let unused = self.apply_draw(&before);
        let mut step = AppliedTokens {
            old_tail,
            departed: unused,
            restored: Vec::new(),
            head: HeadStep::default(),
            joined: 0,
            gone: HeadWeight::default(),
            left: 0,
            now: delta.now,
        };
        for token in delta.updated.iter().chain(delta.inserted) {
            self.apply_token(token, &mut step);
        }
        let cursor = self.room.cursor;
        step.departed.extend(delta.unused.iter().map(|unused| unused.position).filter(|position| *position > cursor));
        if !(step.departed.is_empty() && step.restored.is_empty()) {
            Arc::make_mut(&mut self.departed).change(&step.departed, &step.restored);
        }
        if self.departed.can_drop_to(self.room.cursor) {
            Arc::make_mut(&mut self.departed).drop_to(self.room.cursor);
        }
        self.departed_to_cursor = self.departed.rank(Position(self.room.cursor.0 + 1));
        self.lowest_told.drop_passed(before.cursor, self.room.cursor);
        self.visits.pass(delta.now, (before.max_active_tokens(), active), step.left);
        let head = HeadStep {
            // Of a line that rests no head comes, so that the tokens that leave it would be all that is counted. A view does
            // not know the policy's lead: it goes by the longest one.
            left: if self.room.may_move(delta.now, OFFER_LEAD_MAX) { step.gone } else { HeadWeight::default() },
            ..step.head
        };
        self.heads.note(head, self.room.max_active_tokens());
        let frees = self.active + self.offered < active + offered;
        may_move |= frees || (step.joined > 0 && self.may_have_places(delta.now));
        Effects { must_publish: true, may_move, shown_to }
    }

    /// Whether waits that were told by these settings and this pace are true of the line as it is.
    pub(super) fn is_told_by(&self, told_settings: LineSettings, told_pace: LinePace) -> bool {
        told_settings == settings(&self.room) && !is_another_pace(told_pace, pace(&self.room))
    }

    /// Notes that the settings have changed: what was told by others does not come true, and binds no longer.
    pub(super) fn forget_told(&mut self, now: Time) {
        self.told.restart(now);
        self.told_pace = pace(&self.room);
        self.settings_number = self.settings_number.next();
    }

    /// Whether nothing changed but the tail: the commonest batch by far when a sale opens.
    fn is_plain_issue(&self, delta: &Delta<'_>) -> bool {
        let tail = self.tail();
        delta.room.is_none()
            && delta.updated.is_empty()
            && delta.unused.is_empty()
            && delta.inserted.iter().all(|token| token.status() == TokenStatus::Waiting && token.id.position > tail)
    }

    fn raise_tail(&self, delta: &Delta<'_>) {
        let last = delta.inserted.last().map(|token| token.id).max(delta.unused.last().copied());
        self.raise_tail_to(last.map_or(delta.highest, |last| last.position.max(delta.highest)));
    }

    /// Raises the highest position given, with those that a sealed lobby reserved.
    fn raise_tail_to(&self, last: Position) {
        let reserved = self.room.draw.reserved().map_or(last, |reserved| reserved.end);
        self.tail.fetch_max(last.max(reserved).0, Ordering::AcqRel);
    }

    /// The reserved positions that no token gets, once it is known how many entries were drawn.
    fn apply_draw(&self, before: &Room) -> Vec<Position> {
        let used_to = |room: &Room| room.draw.reserved().map(|reserved| reserved.used_to);
        match self.room.draw.reserved() {
            Some(reserved) if used_to(before) != used_to(&self.room) => {
                (reserved.used_to.0 + 1..=reserved.end.0).map(Position).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Applies the room's row; the cursor never goes back. Returns whether a setting changed that may let the line
    /// move.
    fn apply_room(&mut self, row: Option<&Room>) -> bool {
        let Some(row) = row else { return false };
        let mut room = row.clone();
        if room.epoch == self.room.epoch {
            room.cursor = room.cursor.max(self.room.cursor);
        }
        let changed = settings(&room) != settings(&self.room);
        self.room = Arc::new(room);
        changed
    }

    fn apply_token(&mut self, token: &Token, step: &mut AppliedTokens) {
        let position = token.id.position;
        let beyond = position > self.room.cursor;
        let before = self.live.get(position).copied();
        // A claim that must wait for a place does not begin the turn anew.
        let since =
            before.filter(|before| before.state.status() == token.status()).map_or(step.now, |before| before.since);
        let weight = before.map_or_else(|| HeadWeight::after(step.now.since(token.issued_at)), |before| before.weight);
        let in_live = match token.status() {
            TokenStatus::Ended => false,
            TokenStatus::Waiting => !beyond,
            TokenStatus::Offered | TokenStatus::Active | TokenStatus::Missed | TokenStatus::Dormant => true,
        };
        if in_live {
            Arc::make_mut(&mut self.live).put(entry_of(token, since, weight));
        } else if before.is_some() {
            Arc::make_mut(&mut self.live).remove(position);
        }
        if let Some(before) = before {
            self.count(&before.state, -1);
            self.measure(&before, token, step);
        }
        self.count(&token.state, 1);
        let had_returned = before.filter(|before| before.state == TokenState::Waiting);
        if in_live && token.status() == TokenStatus::Waiting {
            if had_returned.is_none() {
                self.add_returned(position, since);
            }
            step.joined += 1;
        } else if let Some(before) = &had_returned {
            self.remove_returned(before);
        }
        match token.status() {
            TokenStatus::Waiting => {}
            TokenStatus::Offered if before.is_none() => self.told.judge(position, step.now),
            // A token that was passed over was not heard of, and one that left did not wait for its turn.
            _ => self.told.forget(position),
        }
        match token.status() {
            TokenStatus::Offered if before.is_none() => {
                step.head.heads += weight;
                step.head.turns += weight;
            }
            TokenStatus::Offered if had_returned.is_some() => step.head.turns += weight,
            TokenStatus::Dormant if before.is_none() => step.head.heads += weight,
            // A line that lets no turn pass ends the token at once.
            TokenStatus::Ended
                if before.is_none() && matches!(token.state, TokenState::Ended { reason: EndReason::Missed, .. }) =>
            {
                step.head.heads += weight;
            }
            // A drawn entry goes on at its place.
            TokenStatus::Ended
                if before.is_none()
                    && beyond
                    && !matches!(token.state, TokenState::Ended { reason: EndReason::Drawn, .. }) =>
            {
                step.gone += HeadWeight::of_leaver(step.now.since(token.issued_at));
            }
            _ => {}
        }
        match (beyond, token.status()) {
            (false, _) => {}
            (true, TokenStatus::Waiting) => {
                step.joined += 1;
                // Missing when the line was built, because its batch had not been committed.
                if position <= step.old_tail && self.departed.contains(position) {
                    step.restored.push(position);
                }
            }
            (true, _) => step.departed.push(position),
        }
    }

    /// Measures what became of a turn or a visit.
    fn measure(&mut self, before: &Entry, token: &Token, step: &mut AppliedTokens) {
        match (before.state, token.status()) {
            (TokenState::Offered { claimed_at, .. }, TokenStatus::Active) => {
                step.head.came += before.weight;
                let age = claimed_at.unwrap_or(step.now).since(before.since);
                self.claims.note_claim(age, self.room.max_active_tokens());
            }
            (
                TokenState::Offered { claimed_at: None, .. },
                TokenStatus::Missed | TokenStatus::Waiting | TokenStatus::Ended,
            ) => self.claims.note_pass(self.room.max_active_tokens()),
            (TokenState::Active { since, .. }, TokenStatus::Ended) => {
                step.left += 1;
                let age = self.visited(since, step.now);
                self.visits.note_end(step.now, age, (self.room.max_active_tokens(), self.active));
            }
            _ => {}
        }
    }

    fn count(&mut self, state: &TokenState, by: i64) {
        match state {
            TokenState::Active { .. } => self.active += by,
            TokenState::Offered { claimed_at, .. } => {
                self.offered += by;
                self.claimed += if claimed_at.is_some() { by } else { 0 };
            }
            TokenState::Waiting | TokenState::Dormant { .. } | TokenState::Missed { .. } | TokenState::Ended { .. } => {
            }
        }
    }

    fn add_returned(&mut self, position: Position, since: Time) {
        if let Err(at) = self.returned.binary_search(&position) {
            Arc::make_mut(&mut self.returned).insert(at, position);
            let at = self.returned_at.partition_point(|other| *other <= since);
            Arc::make_mut(&mut self.returned_at).insert(at, since);
        }
    }

    fn remove_returned(&mut self, before: &Entry) {
        if let Ok(at) = self.returned.binary_search(&before.position) {
            Arc::make_mut(&mut self.returned).remove(at);
            if let Ok(at) = self.returned_at.binary_search(&before.since) {
                Arc::make_mut(&mut self.returned_at).remove(at);
            }
        }
    }

    /// Whether a token that joins now might be offered a turn.
    fn may_have_places(&self, now: Time) -> bool {
        self.room.may_offer(self.active, self.offered, now, OFFER_LEAD_MAX)
    }
}

/// The settings by which a line moves: the cap, the rate, the gate, when its sale opens and closes, and its draw.
pub(super) type LineSettings = (i64, Option<i64>, Gate, Option<Time>, Option<Time>, DrawStatus);

/// How many tokens may be active, and how many turns a minute may be offered.
pub(super) type LinePace = (i64, i64);

pub(super) fn settings(room: &Room) -> LineSettings {
    (room.max_active, room.admit_per_minute, room.gate, room.opens_at, room.closes_at, room.draw.status())
}

/// The pace of a line by what it shares with others.
pub(super) fn pace(room: &Room) -> LinePace {
    (room.max_active_tokens(), room.turns_per_minute().unwrap_or(i64::MAX))
}

/// Whether a line moves so much faster or slower than it did that a wait told before is another wait: by a quarter. A
/// share changes by a little all the time.
fn is_another_pace((places, turns): LinePace, (places_now, turns_now): LinePace) -> bool {
    let differs = |before: i64, now: i64| now.abs_diff(before) > before.max(0).unsigned_abs() / 4;
    differs(places, places_now) || differs(turns, turns_now)
}

/// Collected while the tokens of a batch are applied.
struct AppliedTokens {
    old_tail: Position,
    departed: Vec<Position>,
    restored: Vec<Position>,
    /// What happened at the head, but for the tokens that left.
    head: HeadStep,
    joined: i64,
    /// Tokens that left the line before their turn came.
    gone: HeadWeight,
    /// Active tokens that ended.
    left: i64,
    now: Time,
}

fn entry_of(token: &Token, since: Time, weight: HeadWeight) -> Entry {
    let Token { id, state, turns_passed, .. } = *token;
    // The rows of waiting tokens are read without it.
    let turns_passed = if state == TokenState::Waiting { 0 } else { turns_passed };
    Entry { position: id.position, state, since, turns_passed, weight }
}
