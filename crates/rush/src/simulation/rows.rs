//! The rows of one line, with the indexes that a database has: a line of a million is decided as fast as a short one.

use frontrow_domain::{
    changes::{Changes, RoomCounts},
    command::{Answer, Request},
    decide::decide_all,
    footprint::Footprint,
    id::{Position, RoomId, TokenId, UserId},
    line::{Draw, Room, Token, TokenStatus, first_claimed, first_due, is_live_token},
    outage::{Outage, Outages},
    policy::Policy,
    time::Time,
    world::{NextIds, World},
};
use frontrow_storage::Line;
use std::collections::{BTreeSet, HashMap};

/// The rows of the house room.
pub(super) struct LineRows {
    policy: Policy,
    room: Room,
    counts: RoomCounts,
    highest: Position,
    next_ids: NextIds,
    tokens: HashMap<Position, Token>,
    places: HashMap<UserId, Position>,
    waiting: BTreeSet<Position>,
    deadlines: BTreeSet<(Time, Position)>,
    /// Those whose claims found the room full.
    claimed: BTreeSet<Position>,
    outages: Outages,
    draw: Option<Draw>,
}

impl LineRows {
    pub(super) fn new(room: Room, policy: Policy) -> Self {
        Self {
            policy,
            room,
            counts: RoomCounts::default(),
            highest: Position(0),
            next_ids: NextIds::default(),
            tokens: HashMap::new(),
            places: HashMap::new(),
            waiting: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            claimed: BTreeSet::new(),
            outages: Outages::default(),
            draw: None,
        }
    }

    pub(super) const fn room(&self) -> &Room {
        &self.room
    }

    pub(super) const fn counts(&self) -> RoomCounts {
        self.counts
    }

    /// When a token was issued, as its signed string says.
    pub(super) fn issued_at(&self, position: Position) -> Time {
        self.tokens.get(&position).map_or(Time::MAX, |token| token.issued_at)
    }

    /// The row of a token.
    pub(super) fn token(&self, position: Position) -> Option<&Token> {
        self.tokens.get(&position)
    }

    /// The draw of the line, if it has begun.
    pub(super) const fn draw(&self) -> Option<&Draw> {
        self.draw.as_ref()
    }

    /// The waiting tokens up to this position, in order.
    pub(super) fn waiting_up_to(&self, last: Position) -> impl Iterator<Item = &Token> {
        self.waiting.range(..=last).filter_map(|position| self.tokens.get(position))
    }

    /// The line without the waiting tokens beyond the cursor, as an instance reads it to refresh its view.
    pub(super) fn live_line(&self, now: Time) -> Line {
        let returned = self.waiting.range(..=self.room.cursor).copied().collect();
        Line { waiting: returned, ..self.line_of(now, Vec::new()) }
    }

    /// The line as an instance reads it.
    pub(super) fn line(&self, now: Time) -> Line {
        self.line_of(now, self.waiting.iter().copied().collect())
    }

    fn line_of(&self, now: Time, waiting: Vec<Position>) -> Line {
        let mut others: Vec<_> =
            self.deadlines.iter().filter_map(|(_, position)| self.tokens.get(position)).copied().collect();
        others.sort_unstable_by_key(|token| token.id);
        Line { room: self.room.clone(), highest: self.highest, waiting, in_flight: Vec::new(), others, now }
    }

    /// Loads, decides and saves one batch.
    pub(super) fn transact(&mut self, now: Time, batch: &[Request]) -> (Vec<Answer>, Changes) {
        let mut world = self.load(now, &Footprint::of(batch));
        let answers = decide_all(&mut world, batch);
        let changes = world.into_changes();
        self.save(&changes);
        (answers, changes)
    }

    fn load(&self, now: Time, keys: &Footprint) -> World {
        let mut world = World::new(now, self.policy, self.next_ids.clone());
        world.outages = self.outages.clone();
        if !keys.rooms.is_empty() {
            world.rooms.load(self.room.room_id, self.room.clone());
            world.highest.insert(self.room.room_id, self.highest);
        }
        for room in &keys.draws {
            if let Some(draw) = &self.draw {
                world.draws.load(*room, draw.clone());
            }
        }
        for id in &keys.tokens {
            if let Some(token) = self.tokens.get(&id.position) {
                world.load_token(*token);
            }
        }
        for (user, room) in &keys.places {
            if let Some(token) = self.places.get(user).and_then(|position| self.tokens.get(position)) {
                world.load_token(*token);
                world.places.insert((*user, *room), token.id);
            }
        }
        for room in &keys.counted {
            world.load_counts(*room, self.counts, RoomCounts::default());
            let overdue = self.overdue(now).into_iter().filter(|token| token.status() == TokenStatus::Active);
            let overdue = first_due(overdue.collect());
            world.overdue.insert(*room, overdue.iter().map(|token| token.id).collect());
            for token in overdue {
                world.load_token(token);
            }
            let claimed = self.claimed.iter().filter_map(|position| self.tokens.get(position).copied());
            let claimed = first_claimed(claimed);
            world.claimed.insert(*room, claimed.iter().map(|token| token.id).collect());
            for token in claimed {
                world.load_token(token);
            }
        }
        for (room, limit) in &keys.advanced {
            let due = first_due(self.overdue(now));
            let head = self.waiting.iter().take(usize::try_from(*limit).unwrap_or(usize::MAX));
            let head: Vec<Token> = head.filter_map(|position| self.tokens.get(position).copied()).collect();
            world.due.insert(*room, due.iter().map(|token| token.id).collect());
            world.head.insert(*room, head.iter().map(|token| token.id).collect());
            for token in due.into_iter().chain(head) {
                world.load_token(token);
            }
        }
        world
    }

    pub(super) const fn outages(&self) -> &Outages {
        &self.outages
    }

    /// Extends the deadlines that were live when an outage began.
    pub(super) fn lengthen(&mut self, outage: Outage) {
        let longer: Vec<_> = self.tokens.values().filter_map(|token| token.extended_by(&outage)).collect();
        for token in longer {
            self.put(token);
        }
        self.outages = Outages::new(self.outages.iter().copied().chain([outage]).collect());
    }

    fn overdue(&self, now: Time) -> Vec<Token> {
        let passed = self.deadlines.range(..=(now, Position(i64::MAX)));
        passed.filter_map(|(_, position)| self.tokens.get(position).copied()).collect()
    }

    fn save(&mut self, changes: &Changes) {
        self.next_ids = changes.next_ids.clone();
        for room in changes.rooms.iter() {
            self.room = room.clone();
        }
        for draw in changes.draws.iter() {
            self.draw = Some(draw.clone());
        }
        for highest in changes.highest.values() {
            self.highest = *highest;
        }
        for counts in changes.counts.values() {
            self.counts = *counts;
        }
        for change in changes.departed.values() {
            self.counts = self.counts.plus(*change);
        }
        for token in changes.tokens.iter() {
            self.put(*token);
        }
    }

    fn put(&mut self, token: Token) {
        let position = token.id.position;
        if let Some(deadline) = self.tokens.get(&position).and_then(Token::deadline) {
            self.deadlines.remove(&(deadline, position));
        }
        if let Some(deadline) = token.deadline() {
            self.deadlines.insert((deadline, position));
        }
        if token.status() == TokenStatus::Waiting {
            self.waiting.insert(position);
        } else {
            self.waiting.remove(&position);
        }
        if token.state.claimed_at().is_some() {
            self.claimed.insert(position);
        } else {
            self.claimed.remove(&position);
        }
        if is_live_token(&token) {
            self.places.insert(token.user_id, position);
        } else if self.places.get(&token.user_id) == Some(&position) {
            self.places.remove(&token.user_id);
        }
        self.tokens.insert(position, token);
    }
}

/// The id of a token of the house room.
pub(super) const fn token_at(position: Position) -> TokenId {
    TokenId { room_id: RoomId::HOUSE, position }
}
