//! Orders the changes of a line that several instances publish. They come late, twice and in any order; the rows' own
//! clock says which of two changes of a token is the later one.

use super::LineReading;
use crate::view::{Delta, Place, RoomView};
use frontrow_domain::{
    id::{Position, TokenId, UserId},
    line::{EndReason, Room, Token, TokenState, TokenStatus},
    time::{Span, Time},
};
use frontrow_storage::{COMMIT_VISIBILITY_MAX, Line};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
};

/// Changes are compared with those that were decided up to this long before or after them. A change that comes later
/// than this was announced as a gap, and the line was rebuilt.
const REMEMBERED: Span = Span::from_secs(30);

/// The origin of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeOrigin {
    /// This instance committed it a moment ago.
    Local,
    /// Another instance published it, or it is applied again in a rebuild.
    Remote,
}

/// The last applied change of a token.
#[derive(Debug, Clone, Copy)]
struct LastApplied {
    /// When it was decided.
    now: Time,
    /// The number of the delta it came with.
    delta: u64,
}

/// The changes applied lately.
#[derive(Debug, Default)]
pub(crate) struct ChangeOrder {
    young: HashMap<Position, LastApplied>,
    old: HashMap<Position, LastApplied>,
    /// Since when changes are among the young.
    since: Time,
    newest: Time,
    deltas: u64,
    /// Tokens that came to wait beyond the cursor lately: when, the first position, the last.
    joined: VecDeque<(Time, Position, Position)>,
}

/// The part of a change that is news.
pub(crate) struct News<'a> {
    room: Option<&'a Room>,
    updated: Cow<'a, [Token]>,
    inserted: Cow<'a, [Token]>,
    unused: Cow<'a, [TokenId]>,
    highest: Position,
    /// How the rows are to be read if the change reports tokens live that this view has ended: changes came out of
    /// order, or this one is late.
    pub(crate) reading: Option<LineReading>,
}

impl News<'_> {
    /// No news, except that positions up to `highest` are given.
    fn none(highest: Position) -> Self {
        let (updated, inserted, unused) = (Cow::default(), Cow::default(), Cow::default());
        Self { room: None, updated, inserted, unused, highest, reading: None }
    }

    /// The same, to be applied to a view.
    pub(crate) fn delta(&self, now: Time) -> Delta<'_> {
        let Self { room, updated, inserted, unused, highest, .. } = self;
        Delta { now, room: *room, updated, inserted, unused, highest: *highest }
    }

    /// Notes a token that is live and has ended by the view.
    fn note_unverified(&mut self, position: Position, cursor: Position) {
        // A refresh shows no tokens that wait beyond the cursor.
        let reading = if position > cursor { LineReading::Rebuild } else { LineReading::Refresh };
        self.reading = self.reading.max(Some(reading));
    }
}

impl ChangeOrder {
    /// The order for a line whose rows were read at `now`.
    pub(crate) fn starting_at(now: Time) -> Self {
        Self { since: now, newest: now, ..Self::default() }
    }

    /// How many deltas have come.
    pub(crate) const fn deltas(&self) -> u64 {
        self.deltas
    }

    fn seen(&self, position: Position) -> Option<LastApplied> {
        self.young.get(&position).or_else(|| self.old.get(&position)).copied()
    }

    /// Whether a change of the token came after the first `deltas` deltas.
    pub(crate) fn changed_since(&self, position: Position, deltas: u64) -> bool {
        self.seen(position).is_some_and(|seen| seen.delta > deltas)
    }

    /// Passes on the news of a change, and remembers it.
    pub(crate) fn admit<'a>(&mut self, view: &RoomView, delta: &Delta<'a>, source: ChangeOrigin) -> News<'a> {
        self.deltas += 1;
        self.age(delta.now);
        let mut news = News::none(highest(delta));
        if delta.now < self.newest.minus(REMEMBERED) {
            return news;
        }
        let room = delta.room.filter(|room| !room.is_older_than(view.room()));
        let cursor = room.map_or(view.cursor(), |room| room.cursor.max(view.cursor()));
        let mut updated = self.later(delta.updated, |order, token| {
            let position = token.id.position;
            let is_alive = token.status() != TokenStatus::Ended;
            if source == ChangeOrigin::Remote && is_alive && has_ended(view, position) {
                // Even if an earlier change of it is known: a refresh may have shown its end since.
                if order.seen(position).is_none_or(|seen| seen.now <= delta.now) {
                    news.note_unverified(position, view.cursor());
                }
                return false;
            }
            order.take_if_newer(token, cursor, delta.now)
        });
        let inserted = self.later(delta.inserted, |order, token| {
            let position = token.id.position;
            if token.status() != TokenStatus::Waiting {
                return order.take_if_newer(token, cursor, delta.now);
            }
            let is_behind = order.seen(position).is_some_and(|seen| seen.now > delta.now);
            // A token's issue comes before anything else that happens to it.
            if is_behind || view.is_live(position) {
                return false;
            }
            if source == ChangeOrigin::Remote && (position <= cursor || has_ended(view, position)) {
                news.note_unverified(position, cursor);
                return false;
            }
            if position > cursor {
                // An issue is published once: it needs no remembering.
                order.note_joined(position, delta.now);
                return true;
            }
            order.take_if_newer(token, cursor, delta.now)
        });
        if cursor > view.cursor() {
            self.keep_passed(view, cursor, &mut updated, |_, _| true);
        }
        News { room, updated, inserted, unused: delta.unused.into(), ..news }
    }

    /// What the `present` view has that comes after the rows of a line, which the view `rebuilt` was built from: changes
    /// after `begun` deltas, and tokens that these rows may not show yet. If `begun` is not known, all changes are taken
    /// that they may not show. No token comes back that has ended by the rows, nor one that joined long before they were
    /// read: a database that fails over may lose commits.
    pub(crate) fn later_than<'a>(
        &self,
        line: &Line,
        rebuilt: &RoomView,
        present: &'a RoomView,
        begun: Option<u64>,
    ) -> News<'a> {
        let room_id = line.room.room_id;
        let oldest = line.now.minus(COMMIT_VISIBILITY_MAX);
        let is_later = |seen: &LastApplied| match begun {
            Some(begun) => seen.delta > begun,
            None => seen.now >= oldest,
        };
        let changed = self.old.iter().chain(&self.young).filter(|(_, seen)| is_later(seen)).map(|(at, _)| *at);
        // Some of those that the cursor has passed since are at the head now.
        let passed = (line.room.cursor.0 + 1..=present.cursor().0).map(Position);
        let passed = passed.filter(|position| present.is_live(*position));
        let joined = self.joined.iter().filter(|(now, ..)| *now >= oldest);
        let drawn = joined.flat_map(|(_, first, last)| (first.0.max(line.highest.0 + 1)..=last.0).map(Position));
        let later = changed.chain(passed).chain(drawn).filter(|position| *position <= present.tail());
        let mut later: BTreeSet<_> = later.collect();
        let highest = later.last().map_or(line.highest, |last| line.highest.max(*last));
        let beyond = (line.highest.0 + 1..=highest.0).map(Position);
        later.extend(beyond.filter(|position| present.has_departed(*position)));
        let updated = later.into_iter().filter_map(|position| {
            let Place { state, turns_passed, .. } = present.place(position);
            let state = state.unwrap_or(ENDED);
            let comes_back = state.status() != TokenStatus::Ended && has_ended(rebuilt, position);
            (!comes_back).then(|| Token { turns_passed, ..stub(TokenId { room_id, position }, state, line.now) })
        });
        let unused = line.in_flight.iter().filter(|position| present.has_departed(**position));
        let unused = unused.map(|position| TokenId { room_id, position: *position });
        let room = Some(present.room()).filter(|room| !room.is_older_than(&line.room));
        News { room, updated: updated.collect(), unused: unused.collect(), ..News::none(highest) }
    }

    /// Keeps tokens waiting that the cursor passed without a change of their own: they joined too late for the leader
    /// to see them, and are at the head now. `may_wait` is asked about a position and when its token joined.
    fn keep_passed(
        &self,
        view: &RoomView,
        cursor: Position,
        updated: &mut Cow<'_, [Token]>,
        may_wait: impl Fn(Position, Time) -> bool,
    ) {
        let passed = view.cursor().0 + 1..=cursor.0;
        let mut kept = HashMap::new();
        for (now, first, last) in &self.joined {
            for position in (first.0.max(*passed.start())..=last.0.min(*passed.end())).map(Position) {
                let is_last = self.seen(position).is_none_or(|seen| seen.now <= *now);
                if is_last && !view.has_departed(position) && !view.is_live(position) && may_wait(position, *now) {
                    kept.insert(position, *now);
                }
            }
        }
        if kept.is_empty() {
            return;
        }
        for token in updated.iter() {
            kept.remove(&token.id.position);
        }
        let room_id = view.room().room_id;
        let waiting =
            kept.into_iter().map(|(position, joined)| stub(TokenId { room_id, position }, TokenState::Waiting, joined));
        updated.to_mut().extend(waiting);
        updated.to_mut().sort_unstable_by_key(|token| token.id);
    }

    fn note_joined(&mut self, position: Position, now: Time) {
        match self.joined.back_mut() {
            Some((at, _, last)) if *at == now && last.0 + 1 == position.0 => *last = position,
            Some(_) | None => self.joined.push_back((now, position, position)),
        }
    }

    fn later<'a>(
        &mut self,
        tokens: &'a [Token],
        mut is_later: impl FnMut(&mut Self, &Token) -> bool,
    ) -> Cow<'a, [Token]> {
        let Some(first) = tokens.iter().position(|token| !is_later(self, token)) else { return tokens.into() };
        let mut kept = tokens[..first].to_vec();
        kept.extend(tokens[first + 1..].iter().filter(|token| is_later(self, token)));
        kept.into()
    }

    /// Whether the change is not older than the last one of the token; then it is remembered as the last one.
    fn take_if_newer(&mut self, token: &Token, cursor: Position, now: Time) -> bool {
        if self.seen(token.id.position).is_some_and(|seen| seen.now > now) {
            return false;
        }
        if token.status() == TokenStatus::Waiting && token.id.position > cursor {
            self.note_joined(token.id.position, now);
        }
        self.young.insert(token.id.position, LastApplied { now, delta: self.deltas });
        true
    }

    fn age(&mut self, now: Time) {
        self.newest = self.newest.max(now);
        if self.newest.since(self.since) > REMEMBERED {
            self.old = std::mem::take(&mut self.young);
            self.since = self.newest;
            let oldest = self.newest.minus(REMEMBERED);
            self.joined.retain(|(now, ..)| *now >= oldest);
        }
    }

    /// The differences between a refresh and the view: the room's row, and tokens by position. The refresh began after
    /// `begun` deltas: a later change of a token is not older than the refresh.
    pub(crate) fn compare<'a>(
        &mut self,
        view: &RoomView,
        line: &'a Line,
        begun: u64,
    ) -> (Option<&'a Room>, Vec<Token>) {
        self.age(line.now);
        let room = Some(&line.room).filter(|room| *room != view.room() && !room.is_older_than(view.room()));
        let room_id = line.room.room_id;
        let waiting = line.waiting.iter().map(|position| {
            let position = *position;
            stub(TokenId { room_id, position }, TokenState::Waiting, line.now)
        });
        let rows: BTreeMap<Position, Token> =
            waiting.chain(line.others.iter().copied()).map(|token| (token.id.position, token)).collect();
        let mut news = Vec::new();
        for (position, token) in &rows {
            let place = view.place(*position);
            let is_known = view.is_live(*position) && place.state.is_some_and(|state| state == token.state);
            if !is_known && !self.changed_since(*position, begun) {
                news.push(*token);
            }
        }
        for position in view.live_positions() {
            if !rows.contains_key(&position) && !self.changed_since(position, begun) {
                news.push(stub(TokenId { room_id, position }, ENDED, line.now));
            }
        }
        news.sort_unstable_by_key(|token| token.id);
        let Some(cursor) = room.map(|room| room.cursor).filter(|cursor| *cursor > view.cursor()) else {
            return (room, news);
        };
        // A token that the rows do not show as waiting has ended, unless it joined after they were read.
        let mut news = Cow::from(news);
        self.keep_passed(view, cursor, &mut news, |position, now| {
            now > line.now || self.changed_since(position, begun)
        });
        (room, news.into_owned())
    }
}

/// The state of a token without a row: views keep neither when nor why a token ended.
const ENDED: TokenState =
    TokenState::Ended { at: Time::from_micros(0), reason: EndReason::Expired, activated_at: None };

/// A token with only what a view needs of it. One whose issue is not known counts as issued when its rows were read.
fn stub(id: TokenId, state: TokenState, issued_at: Time) -> Token {
    Token { state, ..Token::issued(id, UserId(uuid::Uuid::nil()), issued_at) }
}

fn highest(delta: &Delta<'_>) -> Position {
    let tokens = [delta.updated.last(), delta.inserted.last()].into_iter().flatten().map(|token| token.id.position);
    tokens.chain(delta.unused.last().map(|unused| unused.position)).fold(delta.highest, Position::max)
}

/// Whether the token has ended by the view.
fn has_ended(view: &RoomView, position: Position) -> bool {
    !view.is_live(position) && (position <= view.cursor() || view.has_departed(position))
}
