//! What operators alone read: rooms, the audit log, the outbox, corrections of balances.

use super::{
    lanes::LaneOfShape,
    sales::{DebtShape, PointEntryShape},
};
use frontrow_domain::{
    changes::AuditEntry,
    id::{AuditId, EventId, FeedNumber, Position, RoomId, UserId},
    line::{Gate, OpeningOrder, Room, RoomWeight},
    outbox::{EventPayload, OutboxEvent},
    time::Time,
};
use frontrow_service::points::Adjusted;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A waiting room.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Room)]
pub(in crate::api) struct RoomShape {
    /// The room's id.
    pub(in crate::api) room_id: RoomId,
    /// How many tokens may be active at once. Never exceeded.
    #[schema(example = 100)]
    max_active: i64,
    /// How many turns may be offered in a minute; none for as many as `max_active` allows.
    #[schema(example = 600)]
    admit_per_minute: Option<i64>,
    /// Whether the line moves.
    gate: Gate,
    /// The message to all clients in line.
    #[schema(example = "Doors open at 20:00.")]
    message: Option<String>,
    /// The highest position that was offered a turn or passed over; 0 before the first.
    #[schema(value_type = i64, minimum = 0, example = 120)]
    cursor: Position,
    /// Raised when the line is renewed; tokens of another epoch are not of this line.
    epoch: i64,
    /// The smoothed share of turns that are not claimed, in millionths.
    no_show_ppm: i64,
    /// When the sale of the concert opens whose own room it is, or a room without a concert; none for the house room.
    opens_at: Option<Time>,
    /// When that sale is over: it closes, or was stopped before; or when a room without a concert was closed. None for the
    /// house room.
    closes_at: Option<Time>,
    /// The order of tokens that come before the opening.
    opening: OpeningOrder,
    /// The name of the other site; none unless the room stands in front of one, without a concert.
    #[schema(example = "Shop")]
    name: Option<String>,
    /// Where a turn leads; none unless the room stands in front of another site.
    #[schema(example = "https://shop.example.com/tickets")]
    turn_url: Option<String>,
    /// How much of the house's budget is the room's, beside the other rooms.
    weight: RoomWeight,
    /// How many tokens may be active in all rooms together, in the house room; none for no limit, and in any other room.
    #[schema(minimum = 1, maximum = 1_000_000, example = 1_000)]
    house_budget: Option<i64>,
    /// How many tokens may be active here at once just now, no more than `max_active`: the line's share of what it shares
    /// with others. None if it shares nothing.
    #[schema(minimum = 0, example = 80)]
    allotment: Option<i64>,
    /// What it is a lane of; none for a general line.
    lane: Option<LaneOfShape>,
    /// When a setting last changed.
    updated_at: Time,
}

impl From<Room> for RoomShape {
    fn from(row: Room) -> Self {
        let (name, turn_url) = row.site.map(|site| (site.name, site.turn_url.into())).unzip();
        Self {
            room_id: row.room_id,
            max_active: row.max_active,
            admit_per_minute: row.admit_per_minute,
            gate: row.gate,
            message: row.message,
            cursor: row.cursor,
            epoch: row.epoch,
            no_show_ppm: row.no_show_ppm,
            opens_at: row.opens_at,
            closes_at: row.closes_at,
            opening: row.draw.opening_order(),
            name,
            turn_url,
            weight: row.weight,
            house_budget: row.house_budget,
            allotment: row.allotment,
            lane: row.lane.map(LaneOfShape::from),
            updated_at: row.updated_at,
        }
    }
}

/// One action of an operator.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(in crate::api) struct AuditEntryShape {
    /// The line's id.
    pub(in crate::api) audit_id: AuditId,
    /// The operator; none for the command line and the service key.
    actor: Option<UserId>,
    /// The action, such as `room.set`.
    #[schema(example = "room.set")]
    action: String,
    /// The object of the action, such as `room 3`.
    #[schema(example = "room 3")]
    object: String,
    /// The particulars, as JSON.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
    /// When it was done.
    created_at: Time,
}

impl From<AuditEntry> for AuditEntryShape {
    fn from(row: AuditEntry) -> Self {
        Self {
            audit_id: row.audit_id,
            actor: row.actor,
            action: row.action,
            object: row.object,
            detail: row.detail,
            created_at: row.created_at,
        }
    }
}

/// An entry of the audit log with its place in the feed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditFeedEntry)]
pub(in crate::api) struct FeedEntryShape {
    /// The number in the feed: it rises by one from entry to entry.
    feed_number: FeedNumber,
    /// The entry.
    entry: AuditEntryShape,
}

/// A part of the feed of the audit log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::api) struct AuditFeedPage {
    /// The entries, by number. None if the reader has them all.
    items: Vec<FeedEntryShape>,
}

impl From<Vec<(FeedNumber, AuditEntry)>> for AuditFeedPage {
    fn from(fed: Vec<(FeedNumber, AuditEntry)>) -> Self {
        let shape = |(feed_number, entry): (_, AuditEntry)| FeedEntryShape { feed_number, entry: entry.into() };
        Self { items: fed.into_iter().map(shape).collect() }
    }
}

/// Whether an event will be delivered by itself.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum OutboxState {
    /// It waits for its delivery, or for the next try.
    Pending,
    /// It failed too often and waits for an operator.
    Dead,
}

/// An event that is not delivered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutboxEvent)]
pub(in crate::api) struct OutboxEventShape {
    /// The event's id. It is never given to another event.
    pub(in crate::api) event_id: EventId,
    /// The part of the program that gets it.
    #[schema(example = "audit_feed")]
    consumer: &'static str,
    /// What happened, with its `kind`.
    #[schema(value_type = Object)]
    payload: EventPayload,
    /// Whether it will be delivered by itself.
    state: OutboxState,
    /// When it was decided.
    created_at: Time,
    /// When it is delivered or tried again; none for a dead letter.
    due_at: Option<Time>,
    /// Since when it is a dead letter.
    dead_since: Option<Time>,
    /// How many tries have failed since it was made or retried.
    #[schema(minimum = 0, maximum = 10, example = 1)]
    attempts: u32,
    /// Why the last try failed.
    #[schema(max_length = 500, example = "no answer within 10000 ms")]
    last_error: Option<String>,
}

impl From<OutboxEvent> for OutboxEventShape {
    fn from(row: OutboxEvent) -> Self {
        Self {
            event_id: row.event_id,
            consumer: row.consumer.name(),
            state: if row.state.dead_at().is_some() { OutboxState::Dead } else { OutboxState::Pending },
            created_at: row.created_at,
            due_at: row.state.due_at(),
            dead_since: row.state.dead_at(),
            attempts: row.attempts,
            last_error: row.error_text().map(str::to_owned),
            payload: row.payload,
        }
    }
}

/// The result of a correction of a balance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Adjusted)]
pub(in crate::api) struct AdjustedShape {
    /// The history's new entry; none if the balance was 0 and nothing could be taken.
    entry: Option<PointEntryShape>,
    /// The debt, if not all could be taken.
    debt: Option<DebtShape>,
}

impl From<Adjusted> for AdjustedShape {
    fn from(adjusted: Adjusted) -> Self {
        Self { entry: adjusted.entry.map(Into::into), debt: adjusted.debt.map(Into::into) }
    }
}
