//! The API's shapes of rows: types of their own, so that a row may change without its readers.

use crate::edge::posters;
use frontrow_domain::{
    changes::AuditEntry,
    id::{
        AuditId, ConcertId, DebtId, EventId, FeedNumber, HistoryId, PaymentId, Position, ReservationId, RoomId, SeatId,
        UserId,
    },
    line::{Gate, Room},
    money::Money,
    outbox::{EventPayload, OutboxEvent},
    points::{Debt, DebtStatus, PointEntry, PointKind},
    sale::{
        AgeRating, Closing, Concert, ConcertDetails, ConcertStatus, Payment, PaymentStatus, PosterMark, Reservation,
        ReservationStatus,
    },
    time::Time,
    user::{Role, User, UserStatus},
};
use frontrow_service::points::Adjusted;
use frontrow_storage::ConcertPlace;
use jiff::civil;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One seat reserved by one user.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reservation)]
pub(super) struct ReservationShape {
    /// The reservation's id.
    pub(super) reservation_id: ReservationId,
    /// The user.
    user_id: UserId,
    /// The concert.
    concert_id: ConcertId,
    /// The seat.
    seat_id: SeatId,
    /// The seat's number in the concert.
    #[schema(example = 17)]
    seat_number: i32,
    /// The price at the time of the hold; it cannot change under it.
    price: Money,
    /// The reservation's status.
    status: ReservationStatus,
    /// When the seat was held.
    created_at: Time,
    /// When the hold ends unless it is paid.
    expires_at: Time,
    /// When it was paid.
    confirmed_at: Option<Time>,
    /// When it was cancelled, expired or refunded.
    closed_at: Option<Time>,
}

impl From<Reservation> for ReservationShape {
    fn from(row: Reservation) -> Self {
        Self {
            reservation_id: row.reservation_id,
            user_id: row.user_id,
            concert_id: row.concert_id,
            seat_id: row.seat_id,
            seat_number: row.seat_number,
            price: row.price,
            status: row.status(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            confirmed_at: row.confirmed_at(),
            closed_at: row.closed_at(),
        }
    }
}

/// One performance. Date and times are local to the venue; `starts_at` is the same moment in UTC.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Concert)]
pub(super) struct ConcertShape {
    /// The concert's id.
    pub(super) concert_id: ConcertId,
    /// The concert's title.
    #[schema(example = "Midnight Tide: The First Night")]
    title: String,
    /// The artist.
    #[schema(example = "Midnight Tide")]
    artist: String,
    /// The venue.
    #[schema(example = "Hangang Hall, Seoul")]
    venue: String,
    /// The venue's time zone, by its IANA name.
    #[schema(example = "Asia/Seoul")]
    time_zone: String,
    /// The date at the venue.
    #[schema(value_type = String, format = "date", example = "2027-03-01")]
    concert_date: civil::Date,
    /// When it starts, at the venue.
    #[schema(value_type = String, format = "time-local", example = "20:00:00")]
    start_time: civil::Time,
    /// When it ends, at the venue; on the next day unless it is later than the start.
    #[schema(value_type = String, format = "time-local", example = "22:30:00")]
    end_time: civil::Time,
    /// When it starts.
    starts_at: Time,
    /// When it ends. From then on nothing of it is sold.
    ends_at: Time,
    /// The price of a seat unless its grade has one.
    base_price: Money,
    /// When the sale opens.
    opens_at: Time,
    /// When the sale closes.
    closes_at: Time,
    /// When the sale had opened before an operator put `opens_at` off; none if that was never done after the opening or
    /// in the last 15 seconds before it.
    opened_at: Option<Time>,
    /// Whether `closes_at` moves with the start.
    closing: Closing,
    /// The waiting room that leads to its seats: 0 for the house room, or its own number.
    room_id: RoomId,
    /// The concert's status.
    status: ConcertStatus,
    /// The reason for the status, for the buyers.
    #[schema(example = "The singer is ill.")]
    status_reason: Option<String>,
    /// When an operator asked for every payment to be given back.
    refund_all_at: Option<Time>,
    /// When all seats of a cancelled concert were off sale and, if that was asked for, all payments given back.
    wound_up_at: Option<Time>,
    /// When it was created.
    created_at: Time,
    /// When anything of it last changed.
    updated_at: Time,
}

impl ConcertShape {
    /// Its place in lists of concerts.
    pub(super) const fn place(&self) -> ConcertPlace {
        ConcertPlace { starts_at: self.starts_at, concert_id: self.concert_id }
    }
}

impl From<Concert> for ConcertShape {
    fn from(row: Concert) -> Self {
        Self {
            concert_id: row.concert_id,
            title: row.title,
            artist: row.artist,
            venue: row.venue,
            time_zone: row.time_zone,
            concert_date: row.concert_date,
            start_time: row.start_time,
            end_time: row.end_time,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            base_price: row.base_price,
            opens_at: row.opens_at,
            closes_at: row.closes_at,
            opened_at: row.opened_at,
            closing: row.closing,
            room_id: row.room_id,
            status: row.status,
            status_reason: row.status_reason,
            refund_all_at: row.refund_all_at,
            wound_up_at: row.wound_up_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// What buyers read of a concert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ConcertDetails)]
pub(super) struct DetailsShape {
    /// Plain text; a blank line begins a paragraph.
    #[schema(example = "Two hours of new songs.\n\nWith a string quartet.")]
    description: Option<String>,
    /// From which age on it may be attended.
    age_rating: Option<AgeRating>,
    /// How long it lasts with its interval, in minutes.
    #[schema(example = 150)]
    running_minutes: Option<i32>,
    /// How many minutes before the start the doors open.
    #[schema(example = 60)]
    doors_minutes: Option<i32>,
    /// The venue's address.
    #[schema(example = "12 Yeouiseo-ro, Yeongdeungpo-gu, Seoul")]
    address: Option<String>,
    /// The organiser's name.
    #[schema(example = "Midnight Tide Live")]
    organiser: Option<String>,
    /// How buyers reach the organiser.
    #[schema(example = "tickets@midnight-tide.example, weekdays 10:00 to 18:00")]
    organiser_contact: Option<String>,
}

impl From<ConcertDetails> for DetailsShape {
    fn from(row: ConcertDetails) -> Self {
        Self {
            description: row.description,
            age_rating: row.age_rating,
            running_minutes: row.running_minutes,
            doors_minutes: row.doors_minutes,
            address: row.address,
            organiser: row.organiser,
            organiser_contact: row.organiser_contact,
        }
    }
}

/// The poster of a concert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Poster)]
pub(super) struct PosterShape {
    /// Where the picture is: another picture has another path.
    #[schema(example = "/posters/1/5f0e1c2d3b4a59687786958a4b3c2d1e.jpg")]
    path: String,
    /// Its width in pixels.
    #[schema(example = 900)]
    width: i32,
    /// Its height in pixels.
    #[schema(example = 1_200)]
    height: i32,
}

impl PosterShape {
    /// The poster of this concert.
    pub(super) fn of(concert_id: ConcertId, PosterMark { tag, width, height }: PosterMark) -> Self {
        Self { path: posters::path(concert_id, tag), width, height }
    }
}

/// A payment for one reservation out of its user's points.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(super) struct PaymentShape {
    /// The payment's id.
    pub(super) payment_id: PaymentId,
    /// The user that paid.
    user_id: UserId,
    /// The reservation that was paid for.
    reservation_id: ReservationId,
    /// The amount: the reservation's price.
    amount: Money,
    /// The payment's status.
    status: PaymentStatus,
    /// When it was paid.
    paid_at: Time,
    /// When it was refunded.
    refunded_at: Option<Time>,
    /// When the payment was stored.
    created_at: Time,
}

impl From<Payment> for PaymentShape {
    fn from(row: Payment) -> Self {
        Self {
            payment_id: row.payment_id,
            user_id: row.user_id,
            reservation_id: row.reservation_id,
            amount: row.amount,
            status: row.status,
            paid_at: row.paid_at,
            refunded_at: row.refunded_at,
            created_at: row.created_at,
        }
    }
}

/// A user, without the password.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserShape {
    /// The user's id.
    pub(super) user_id: UserId,
    /// The user's name, 1 to 100 characters.
    #[schema(example = "Kim Minji")]
    name: String,
    /// The user's e-mail address in lower case; unique.
    #[schema(example = "minji@example.com")]
    email: String,
    /// The user's rights.
    role: Role,
    /// Whether the user may sign in.
    status: UserStatus,
    /// When the user proved to read the letters to the e-mail address; null if they have not.
    email_confirmed_at: Option<Time>,
    /// When the user registered.
    created_at: Time,
    /// When anything of the account last changed.
    updated_at: Time,
}

impl From<User> for UserShape {
    fn from(row: User) -> Self {
        Self {
            user_id: row.user_id,
            name: row.name,
            email: row.email,
            role: row.role,
            status: row.status,
            email_confirmed_at: row.email_confirmed_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// One entry of a user's history. Never changed, never deleted.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PointEntry)]
pub(super) struct PointEntryShape {
    /// The entry's id.
    pub(super) history_id: HistoryId,
    /// The user.
    user_id: UserId,
    /// The change: negative for a use, and for an adjustment that takes.
    amount: Money,
    /// The cause of the movement.
    #[serde(rename = "type")]
    kind: PointKind,
    /// A line for the statement.
    #[schema(example = "top-up")]
    description: String,
    /// The balance after it.
    balance_after: Money,
    /// Its place in the user's history, from 1, without gaps.
    version: i64,
    /// The payment that it belongs to, for a use or a refund.
    payment_id: Option<PaymentId>,
    /// The payment provider's reference of a top-up, unique for ever, or what an adjustment was booked under, unique
    /// among the user's.
    reference: Option<String>,
    /// When the points moved.
    created_at: Time,
}

impl From<PointEntry> for PointEntryShape {
    fn from(row: PointEntry) -> Self {
        Self {
            history_id: row.history_id,
            user_id: row.user_id,
            amount: row.amount,
            kind: row.kind,
            description: row.description,
            balance_after: row.balance_after,
            version: row.version,
            payment_id: row.payment_id,
            reference: row.reference,
            created_at: row.created_at,
        }
    }
}

/// The rest of an adjustment that could not be taken, because a balance is never below zero.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Debt)]
pub(super) struct DebtShape {
    /// The debt's id.
    pub(super) debt_id: DebtId,
    /// The user that owes it.
    user_id: UserId,
    /// The amount that is owed.
    amount: Money,
    /// Why the points were to be taken.
    #[schema(example = "Chargeback of 2027-03-02")]
    reason: String,
    /// The reference of the adjustment.
    #[schema(example = "chargeback-000017")]
    reference: String,
    /// The debt's status.
    status: DebtStatus,
    /// When it arose.
    created_at: Time,
    /// When it was settled.
    settled_at: Option<Time>,
}

impl From<Debt> for DebtShape {
    fn from(row: Debt) -> Self {
        Self {
            debt_id: row.debt_id,
            user_id: row.user_id,
            amount: row.amount,
            reason: row.reason,
            reference: row.reference,
            status: row.status,
            created_at: row.created_at,
            settled_at: row.settled_at,
        }
    }
}

/// A waiting room.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Room)]
pub(super) struct RoomShape {
    /// The room's id.
    pub(super) room_id: RoomId,
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
    /// When the sale of the concert opens whose own room it is; none for the house room.
    opens_at: Option<Time>,
    /// When that sale is over: it closes, or was stopped before. None for the house room.
    closes_at: Option<Time>,
    /// When a setting last changed.
    updated_at: Time,
}

impl From<Room> for RoomShape {
    fn from(row: Room) -> Self {
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
            updated_at: row.updated_at,
        }
    }
}

/// One action of an operator.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct AuditEntryShape {
    /// The line's id.
    pub(super) audit_id: AuditId,
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
pub(super) struct FeedEntryShape {
    /// The number in the feed: it rises by one from entry to entry.
    feed_number: FeedNumber,
    /// The entry.
    entry: AuditEntryShape,
}

/// A part of the feed of the audit log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AuditFeedPage {
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
pub(super) enum OutboxState {
    /// It waits for its delivery, or for the next try.
    Pending,
    /// It failed too often and waits for an operator.
    Dead,
}

/// An event that is not delivered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutboxEvent)]
pub(super) struct OutboxEventShape {
    /// The event's id. It is never given to another event.
    pub(super) event_id: EventId,
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
pub(super) struct AdjustedShape {
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
