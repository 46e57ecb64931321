//! The changes of a batch, as a store saves them.

use crate::{
    command::{IdempotencyRecord, PasswordHash},
    id::{AuditId, ConcertId, EventId, Position, RoomId, TokenId, UserId},
    line::{Draw, LaneGuest, LineBlock, Room, Token, TokenStatus, TokenTally},
    outbox::{FeedPlace, OutboxEvent, OutboxLease},
    points::{Debt, Point, PointEntry},
    sale::{Concert, ConcertDetails, Payment, Poster, Reservation, Seat},
    time::Time,
    user::{AccountLink, NewUser, SecondFactor, Session, User},
    world::NextIds,
};
use std::collections::BTreeMap;

/// Rows to write, each kind in the order of its key.
#[derive(Debug, Clone)]
pub struct Saves<V> {
    /// Rows that the store has. They must be written before the new ones: an old reservation of a seat ends before a
    /// new one begins.
    pub updated: Vec<V>,
    /// New rows.
    pub inserted: Vec<V>,
}

impl<V> Default for Saves<V> {
    fn default() -> Self {
        Self { updated: Vec::new(), inserted: Vec::new() }
    }
}

impl<V> Saves<V> {
    /// Every row, the updated ones first.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.updated.iter().chain(&self.inserted)
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.updated.is_empty() && self.inserted.is_empty()
    }
}

/// How many tokens of a room have the statuses that its cap counts, and what became of all of them. A token past its
/// deadline counts until its status changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomCounts {
    /// Active tokens.
    pub active: i64,
    /// Offered turns.
    pub offered: i64,
    /// What became of the tokens.
    pub tally: TokenTally,
}

impl RoomCounts {
    /// Whether tokens of the room are active or have a turn: what its cap and a budget count.
    #[must_use]
    pub const fn takes_places(&self) -> bool {
        self.active > 0 || self.offered > 0
    }

    /// The counts of one token.
    #[must_use]
    pub fn of(token: &Token) -> Self {
        Self {
            active: i64::from(token.status() == TokenStatus::Active),
            offered: i64::from(token.status() == TokenStatus::Offered),
            tally: TokenTally::of(token),
        }
    }

    /// All counts raised by those of `other`.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            active: self.active.saturating_add(other.active),
            offered: self.offered.saturating_add(other.offered),
            tally: self.tally.plus(other.tally),
        }
    }

    /// All counts lowered by those of `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            active: self.active.saturating_sub(other.active),
            offered: self.offered.saturating_sub(other.offered),
            tally: self.tally.minus(other.tally),
        }
    }
}

/// The end of all sessions of a user, except one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionsEnd {
    /// The user.
    pub user_id: UserId,
    /// SHA-256 of the secret of the session that goes on.
    pub kept: Option<[u8; 32]>,
}

/// One thing that an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Which line.
    pub audit_id: AuditId,
    /// Which operator; none for the command line and the service key.
    pub actor: Option<UserId>,
    /// The action, such as `room.set`.
    pub action: String,
    /// To what, such as `room 3`.
    pub object: String,
    /// The particulars, as JSON.
    pub detail: serde_json::Value,
    /// When.
    pub created_at: Time,
}

/// The changes of a batch. Save updates before inserts, and reservations before the rows that refer to them.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The time of the decisions.
    pub now: Time,
    /// The ids of the next rows.
    pub next_ids: NextIds,
    /// The highest position given in each room that issued tokens.
    pub highest: BTreeMap<RoomId, Position>,
    /// Reserved positions that no token got, in order; none ever will. Nothing to save.
    pub unused: Vec<TokenId>,
    /// New stored answers.
    pub kept: Vec<IdempotencyRecord>,
    /// New users, with their password hashes.
    pub new_users: Vec<NewUser>,
    /// Users that changed: role, status, name, address and its confirmation, sign-in epoch.
    pub users: Vec<User>,
    /// Users who signed in, each once. To be saved after `users`, which leave the sign-in alone.
    pub sign_ins: Vec<UserId>,
    /// New passwords of existing users, in order: a user's last one counts.
    pub new_passwords: Vec<(UserId, PasswordHash)>,
    /// New links, one of each kind for a user. Each replaces the user's old one.
    pub links: Vec<AccountLink>,
    /// Second factors, one for a user. Each replaces the user's old one.
    pub factors: Vec<SecondFactor>,
    /// Users whose second factor is removed. To be saved before the new ones.
    pub removed_factors: Vec<UserId>,
    /// New sessions. To be saved after the ended ones are removed.
    pub new_sessions: Vec<Session>,
    /// Sessions that ended.
    pub closed_sessions: Vec<[u8; 32]>,
    /// Users whose sessions all ended. Each of them is among `users` too.
    pub ended_sessions: Vec<SessionsEnd>,
    /// Concerts.
    pub concerts: Saves<Concert>,
    /// Details of concerts. Each replaces the concert's old ones.
    pub details: Vec<ConcertDetails>,
    /// Posters of concerts: each replaces the concert's old one; none removes it.
    pub posters: Vec<(ConcertId, Option<Poster>)>,
    /// Seats.
    pub seats: Saves<Seat>,
    /// Seats whose price or label changed, by id. Existing ones are among the updated `seats` too, but writing those
    /// leaves these columns alone: save these after them.
    pub changed_seats: Vec<Seat>,
    /// Removed seats. To be saved before the new ones, which may take their places.
    pub removed_seats: Vec<Seat>,
    /// Reservations.
    pub reservations: Saves<Reservation>,
    /// Payments.
    pub payments: Saves<Payment>,
    /// Point accounts.
    pub points: Saves<Point>,
    /// New history entries.
    pub history: Vec<PointEntry>,
    /// Debts.
    pub debts: Saves<Debt>,
    /// Rooms.
    pub rooms: Saves<Room>,
    /// Caps that hold from now on, in order. The check of the books compares the active tokens with them.
    pub caps: Vec<(RoomId, i64)>,
    /// Blocks from lines. Each replaces the user's old one for the room.
    pub blocks: Vec<LineBlock>,
    /// Blocks that were lifted, by user and room. To be removed before the new ones are saved.
    pub lifted_blocks: Vec<(UserId, RoomId)>,
    /// Users all of whose blocks are removed, before the new ones are saved, and who are taken off the lists of all lanes.
    pub erased_blocks: Vec<UserId>,
    /// Guests of lanes. Each replaces the user's old row for the lane.
    pub guests: Vec<LaneGuest>,
    /// Users who are taken off the list of a lane. To be removed before the new guests are saved.
    pub removed_guests: Vec<(UserId, RoomId)>,
    /// Tokens.
    pub tokens: Saves<Token>,
    /// The new counts of rooms whose row is locked, if they changed.
    pub counts: BTreeMap<RoomId, RoomCounts>,
    /// The differences in the counts of other rooms. Such a batch need not wait for the room's row.
    pub departed: BTreeMap<RoomId, RoomCounts>,
    /// Draws.
    pub draws: Saves<Draw>,
    /// New lines of the audit log.
    pub audit: Vec<AuditEntry>,
    /// New places in the feed of the audit log, in order.
    pub feed: Vec<FeedPlace>,
    /// Events of the outbox.
    pub events: Saves<OutboxEvent>,
    /// Events that were delivered, and are removed.
    pub delivered: Vec<EventId>,
    /// Leases of consumers.
    pub leases: Saves<OutboxLease>,
}

impl Changes {
    /// Whether nothing changed, so that nothing need be committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
            && self.new_users.is_empty()
            && self.users.is_empty()
            && self.sign_ins.is_empty()
            && self.new_passwords.is_empty()
            && self.links.is_empty()
            && self.factors.is_empty()
            && self.removed_factors.is_empty()
            && self.new_sessions.is_empty()
            && self.closed_sessions.is_empty()
            && self.ended_sessions.is_empty()
            && self.concerts.is_empty()
            && self.details.is_empty()
            && self.posters.is_empty()
            && self.seats.is_empty()
            && self.removed_seats.is_empty()
            && self.reservations.is_empty()
            && self.payments.is_empty()
            && self.points.is_empty()
            && self.history.is_empty()
            && self.debts.is_empty()
            && self.rooms.is_empty()
            && self.caps.is_empty()
            && self.blocks.is_empty()
            && self.lifted_blocks.is_empty()
            && self.erased_blocks.is_empty()
            && self.guests.is_empty()
            && self.removed_guests.is_empty()
            && self.tokens.is_empty()
            && self.counts.is_empty()
            && self.departed.is_empty()
            && self.draws.is_empty()
            && self.audit.is_empty()
            && self.feed.is_empty()
            && self.events.is_empty()
            && self.delivered.is_empty()
            && self.leases.is_empty()
    }
}
