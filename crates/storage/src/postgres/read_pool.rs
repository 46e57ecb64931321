//! Reads outside a batch: each function sees one consistent snapshot of the database.

use super::{
    Times,
    columns::{
        self as rows, concert_columns, debt_columns, payment_columns, point_columns, reservation_columns, room_columns,
        seat_columns, time, token_columns, user_columns,
    },
    connect::{Params, Pool, Session, Settings, Statement},
    error::{self, Cause},
    outage,
    pipeline::Pipeline,
};
use crate::{
    COMMIT_VISIBILITY_MAX, DoorLine, Life, Line, Page, Remnant, SeatCounts, Standing, StoreError, TicketPlace,
    trouble::Trouble,
};
use frontrow_domain::{
    concert::Concert,
    id::{ConcertId, DebtId, PaymentId, Position, ReservationId, RoomId, TokenId, UserId},
    outage::Outages,
    payment::Payment,
    points::{Debt, Point},
    queue::{Room, Token},
    reservation::Reservation,
    seat::Seat,
    time::{Span, Time},
    user::{self, User},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio_postgres::{Error, Row, types::Type};

/// How often a read is tried if its connection is broken: after a restart of the server, every pooled one may be.
pub(super) const TRIES: usize = 3;

/// Turns a row into a value.
pub(super) type Decode<T> = fn(&Row) -> Result<T, Error>;

/// The server's clock in microseconds, unless a test gives the time. It is the start of the transaction, so rows read
/// with it are at least as new.
macro_rules! now {
    ($given:literal) => {
        concat!("coalesce(", $given, ", (extract(epoch FROM now()) * 1000000)::bigint)")
    };
}

/// The clock that batches are decided by.
const CLOCK: Statement = Statement { sql: "SELECT coalesce($1, clock_micros())", types: &[Type::INT8] };
const NOW: Statement = Statement { sql: concat!("SELECT ", now!("$1")), types: &[Type::INT8] };

const CREDENTIALS: Statement = Statement {
    sql: concat!("SELECT ", user_columns!(), ", password_hash FROM \"user\" WHERE email = $1"),
    types: &[Type::TEXT],
};

const SESSION: Statement = Statement {
    sql: "SELECT secret_hash, user_id, role, expires_at FROM session WHERE secret_hash = $1",
    types: &[Type::BYTEA],
};

const USER: Statement =
    Statement { sql: concat!("SELECT ", user_columns!(), " FROM \"user\" WHERE user_id = $1"), types: &[Type::UUID] };

const ROOMS: Statement =
    Statement { sql: concat!("SELECT ", room_columns!(), " FROM room ORDER BY room_id"), types: &[] };

const SOME_ROOMS: Statement = Statement {
    sql: concat!("SELECT ", room_columns!(), " FROM room WHERE room_id > $1 ORDER BY room_id LIMIT $2"),
    types: &[Type::INT8, Type::INT8],
};

/// Scalar subqueries, each one index lookup: an `EXISTS` may be planned as a scan of all tokens.
const STANDINGS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        room_columns!(),
        ", coalesce(last.highest, 0) AS highest, ",
        now!("$1"),
        " AS now,
         (SELECT true FROM waiting_token AS w WHERE w.room_id + 0 = room.room_id AND w.status = 'waiting'
             ORDER BY w.room_id + 0, w.position + 0 LIMIT 1) IS NOT NULL
         OR (SELECT true FROM waiting_token AS w WHERE w.room_id + 0 = room.room_id AND w.status = 'active'
             ORDER BY w.room_id + 0, w.due_from LIMIT 1) IS NOT NULL
         OR (SELECT true FROM waiting_token AS w WHERE w.room_id + 0 = room.room_id AND w.deadline IS NOT NULL
             ORDER BY w.room_id + 0, w.status, w.deadline LIMIT 1) IS NOT NULL
         OR coalesce(last.given_at >= ",
        now!("$1"),
        " - $2, false) AS is_busy
         FROM room LEFT JOIN LATERAL (SELECT w.position AS highest, w.issued_at AS given_at FROM waiting_token AS w
             WHERE w.room_id = room.room_id ORDER BY w.position DESC LIMIT 1) AS last ON true
         ORDER BY room.room_id"
    ),
    types: &[Type::INT8, Type::INT8],
};

/// Steps from each room in an index to the next one: as many lookups as there are such rooms.
const BUSY_ROOMS: Statement = Statement {
    sql: "WITH RECURSIVE waiting (room_id) AS (
              (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'waiting'
                   ORDER BY w.room_id + 0, w.position + 0 LIMIT 1)
              UNION ALL
              SELECT (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'waiting' AND w.room_id + 0 > before.room_id
                   ORDER BY w.room_id + 0, w.position + 0 LIMIT 1) FROM waiting AS before WHERE before.room_id IS NOT NULL),
          active (room_id) AS (
              (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'active'
                   ORDER BY w.room_id + 0, w.due_from LIMIT 1)
              UNION ALL
              SELECT (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'active' AND w.room_id + 0 > before.room_id
                   ORDER BY w.room_id + 0, w.due_from LIMIT 1) FROM active AS before WHERE before.room_id IS NOT NULL),
          ending (room_id) AS (
              (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.deadline IS NOT NULL
                   ORDER BY w.room_id + 0, w.status, w.deadline LIMIT 1)
              UNION ALL
              SELECT (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.deadline IS NOT NULL
                   AND w.room_id + 0 > before.room_id ORDER BY w.room_id + 0, w.status, w.deadline LIMIT 1)
                   FROM ending AS before WHERE before.room_id IS NOT NULL)
          SELECT coalesce(array_agg(room_id ORDER BY room_id), '{}') FROM (
              SELECT room_id FROM waiting UNION SELECT room_id FROM active UNION SELECT room_id FROM ending) AS busy
          WHERE room_id IS NOT NULL",
    types: &[],
};

const SEAT_COUNTS: Statement = Statement {
    sql: "SELECT concert_id, status, count(*) FROM seat WHERE concert_id = ANY($1) GROUP BY concert_id, status",
    types: &[Type::INT8_ARRAY],
};

/// Looks each row up by its key, whatever the statistics say.
const TICKETS: Statement = Statement {
    sql: "SELECT r.reservation_id, r.concert_id, c.title, r.seat_id, s.seat_number, s.section, s.\"row\", s.number
          FROM unnest($1) AS k (id),
              LATERAL (SELECT * FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r,
              LATERAL (SELECT * FROM seat WHERE seat_id = r.seat_id OFFSET 0) AS s,
              LATERAL (SELECT * FROM concert WHERE concert_id = r.concert_id OFFSET 0) AS c",
    types: &[Type::INT8_ARRAY],
};

/// The sold seats of a page first, then the reservation, payment and user of each by key.
const DOOR_LIST: Statement = Statement {
    sql: "SELECT s.seat_number, s.section, s.\"row\", s.number, s.grade, u.name, r.reservation_id, p.payment_id, p.paid_at
          FROM (SELECT * FROM seat WHERE concert_id = $1 AND seat_number > $2 AND status = 'sold'
                ORDER BY seat_number LIMIT $3) AS s,
              LATERAL (SELECT * FROM reservation WHERE reservation_id = s.reservation_id OFFSET 0) AS r,
              LATERAL (SELECT * FROM payment WHERE reservation_id = r.reservation_id OFFSET 0) AS p,
              LATERAL (SELECT name FROM \"user\" WHERE user_id = r.user_id OFFSET 0) AS u
          ORDER BY s.seat_number",
    types: &[Type::INT8, Type::INT4, Type::INT8],
};

const DEBT: Statement =
    Statement { sql: concat!("SELECT ", debt_columns!(), " FROM debt WHERE debt_id = $1"), types: &[Type::INT8] };

const CONCERTS_TO_WIND_UP: Statement = Statement {
    sql: concat!(
        "SELECT ",
        concert_columns!(),
        " FROM concert WHERE status = 'cancelled' AND wound_up_at IS NULL AND concert_id > $1",
        " ORDER BY concert_id LIMIT $2"
    ),
    types: &[Type::INT8, Type::INT8],
};

/// The seats of a concert that remain to be wound up: unpaid ones, and with $3 the sold ones too.
const REMNANTS: Statement = Statement {
    sql: "SELECT s.seat_number, s.seat_id, CASE WHEN s.status = 'sold' THEN (
              SELECT p.payment_id FROM payment AS p WHERE p.reservation_id = s.reservation_id) END
          FROM seat AS s WHERE s.concert_id = $1 AND s.seat_number > $2
              AND (s.status IN ('available', 'held') OR ($3 AND s.status = 'sold'))
          ORDER BY s.seat_number LIMIT $4",
    types: &[Type::INT8, Type::INT4, Type::BOOL, Type::INT8],
};

const TOKEN: Statement = Statement {
    sql: concat!("SELECT ", token_columns!(), " FROM waiting_token AS w WHERE w.room_id = $1 AND w.position = $2"),
    types: &[Type::INT8, Type::INT8],
};

const LIVE_TOKENS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        token_columns!(),
        " FROM waiting_token AS w WHERE w.user_id = $1 AND w.expired_at IS NULL ORDER BY w.room_id + 0"
    ),
    types: &[Type::UUID],
};

const WAITING_TOKENS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        token_columns!(),
        " FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'waiting' AND w.position + 0 > $2",
        " ORDER BY w.position + 0 LIMIT $3"
    ),
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// A room, its highest position and the time.
const STANDING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        room_columns!(),
        ", coalesce((SELECT max(w.position) FROM waiting_token AS w WHERE w.room_id = $1), 0), ",
        now!("$2"),
        " FROM room WHERE room_id = $1"
    ),
    types: &[Type::INT8, Type::INT8],
};

/// One array value: a million rows would cost a million row headers.
const WAITING: Statement = Statement {
    sql: "SELECT coalesce(array_agg(line.position), '{}') FROM (
              SELECT w.position FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'waiting'
              ORDER BY w.position + 0) AS line",
    types: &[Type::INT8],
};

/// Positions without a row, above that of the last token issued more than `$3` ago: they may still be in flight.
const UNSETTLED: Statement = Statement {
    sql: concat!(
        "SELECT coalesce(array_agg(number ORDER BY number), '{}') FROM generate_series(
             coalesce((SELECT w.position FROM waiting_token AS w WHERE w.room_id = $1 AND w.issued_at < ",
        now!("$2"),
        " - $3 ORDER BY w.position DESC LIMIT 1), 0) + 1,
             coalesce((SELECT max(w.position) FROM waiting_token AS w WHERE w.room_id = $1), 0)) AS number
         WHERE (SELECT true FROM waiting_token AS w WHERE w.room_id = $1 AND w.position = number) IS NULL"
    ),
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// Probes each position on its own: if the server believes the line to be short, a join would scan the line once a
/// position.
const UNUSED: Statement = Statement {
    sql: "SELECT coalesce(array_agg(number ORDER BY number), '{}') FROM generate_series($2 + 1, $3) AS number
          WHERE (SELECT true FROM waiting_token AS w WHERE w.room_id = $1 AND w.position = number) IS NULL",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

const WAITING_BEHIND_THE_CURSOR: Statement = Statement {
    sql: "SELECT coalesce(array_agg(line.position), '{}') FROM (
              SELECT w.position FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'waiting'
                  AND w.position + 0 <= (SELECT room.cursor FROM room WHERE room.room_id = $1)
              ORDER BY w.position + 0) AS line",
    types: &[Type::INT8],
};

const NEITHER_WAITING_NOR_ENDED: Statement = Statement {
    sql: concat!(
        "SELECT ",
        token_columns!(),
        " FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'active' UNION ALL SELECT ",
        token_columns!(),
        " FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.deadline IS NOT NULL ORDER BY 2"
    ),
    types: &[Type::INT8],
};

const CONCERT: Statement = Statement {
    sql: concat!("SELECT ", concert_columns!(), " FROM concert WHERE concert_id = $1"),
    types: &[Type::INT8],
};

const SEATS: Statement = Statement {
    sql: concat!("SELECT ", seat_columns!(), " FROM seat WHERE concert_id = $1 ORDER BY seat_number"),
    types: &[Type::INT8],
};

const CHANGED_SEATS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        seat_columns!(),
        " FROM seat WHERE concert_id = $1 AND updated_at >= $2 ORDER BY seat_number"
    ),
    types: &[Type::INT8, Type::INT8],
};

const RESERVATION: Statement = Statement {
    sql: concat!("SELECT ", reservation_columns!(), " FROM reservation WHERE reservation_id = $1"),
    types: &[Type::INT8],
};

/// The next live reservations by the end of their holds, and whether each is pending. Paid ones are in the same index,
/// so that a payment need not write to it.
const NEXT_EXPIRIES: Statement = Statement {
    sql: "SELECT expires_at, reservation_id, status = 'pending' FROM reservation
          WHERE coalesce(closed_at, -2) = -2 AND (expires_at, reservation_id) > ($1, $2)
          ORDER BY expires_at, reservation_id LIMIT $3",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// How many live reservations one query reads in search of pending ones.
const EXPIRIES_PAGE: u16 = 2_000;
/// How long [`ResolvedUntil`] is trusted: a new primary may have lost how a hold ended, which makes it pending again.
const RESOLVED_FOR: Duration = Duration::from_hours(1);
/// How far behind a new primary may be. Holds lost earlier are found when an instance starts.
const LOST_MAX: Span = Span::from_secs(86_400);

const PAYMENT: Statement = Statement {
    sql: concat!("SELECT ", payment_columns!(), " FROM payment WHERE payment_id = $1"),
    types: &[Type::INT8],
};

const POINT: Statement =
    Statement { sql: concat!("SELECT ", point_columns!(), " FROM point WHERE user_id = $1"), types: &[Type::UUID] };

/// The read connections.
#[derive(Debug)]
pub(super) struct Queries {
    primary: Pool,
    replica: Option<Pool>,
    replica_trouble: Trouble,
    times: Times,
    resolved: ResolvedUntil,
}

/// Whether a commit may become visible later than [`COMMIT_VISIBILITY_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Never,
    Possible,
}

/// No pending hold ends before this time; and when the current round of that knowledge began.
#[derive(Debug, Default)]
struct ResolvedUntil(Mutex<Option<(Time, Instant)>>);

impl ResolvedUntil {
    /// The time and its round. A new round starts at the beginning of time at first, later [`LOST_MAX`] further back.
    fn until(&self) -> (Time, Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((until, since)) if since.elapsed() < RESOLVED_FOR => (until, since),
            stale => {
                let until = stale.map_or(Time::from_micros(i64::MIN), |(until, _)| until.minus(LOST_MAX));
                *known.insert((until, Instant::now()))
            }
        }
    }

    /// Notes that no hold that ends before `until` is pending, unless another round has begun.
    fn note(&self, until: Time, round: Instant) {
        if let Some((known, since)) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *since == round
        {
            *known = until;
        }
    }
}

impl Queries {
    /// Connections are made on demand.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the settings cannot be used.
    pub(super) fn open(settings: &Settings, times: Times) -> Result<Self, StoreError> {
        Ok(Self {
            primary: settings.reader_pool()?,
            replica: settings.replica_pool()?,
            replica_trouble: Trouble::new("the replica does not answer: the primary does"),
            times,
            resolved: ResolvedUntil::default(),
        })
    }

    /// Connections that read their own writes.
    pub(super) const fn primary(&self) -> &Pool {
        &self.primary
    }

    /// Closes idle connections and makes no more.
    pub(super) fn close(&self) {
        self.primary.close();
        if let Some(replica) = &self.replica {
            replica.close();
        }
    }

    /// The test's time, if a test gives one.
    fn given(&self) -> Option<i64> {
        self.times.given()
    }

    async fn find<T>(
        &self,
        statement: &Statement,
        key: Params<'_>,
        decode: Decode<T>,
    ) -> Result<Option<T>, StoreError> {
        let rows = rows_of(&self.primary, statement, key).await?;
        rows.first().map(decode).transpose().map_err(|failure| error::of_work(&failure))
    }

    pub(super) async fn list<T>(
        &self,
        statement: &Statement,
        keys: Params<'_>,
        decode: Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        decoded(&rows_of(&self.primary, statement, keys).await?, decode)
    }

    /// Reads from the replica, if there is one, for lists that may be a little behind. If it is down, the primary
    /// answers.
    pub(super) async fn list_from_replica<T>(
        &self,
        statement: &Statement,
        keys: Params<'_>,
        decode: Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(rows) = self.replica_trouble.noted(rows_of(replica, statement, keys).await)
        {
            return decoded(&rows, decode);
        }
        self.list(statement, keys, decode).await
    }

    pub(super) async fn now(&self) -> Result<Time, StoreError> {
        match self.given() {
            Some(micros) => Ok(Time::from_micros(micros)),
            None => self.find(&CLOCK, &[&None::<i64>], |row| time(row, 0)).await?.ok_or_else(no_row),
        }
    }

    pub(super) async fn outages(&self) -> Result<Outages, StoreError> {
        let session = self.primary.get().await?;
        let outages = in_time(&self.primary, outage::latest(&session)).await?;
        session.finish();
        Ok(outages)
    }

    pub(super) async fn credentials(&self, email: &str) -> Result<Option<(User, String)>, StoreError> {
        self.find(&CREDENTIALS, &[&email], |row| Ok((rows::user(row)?, row.try_get(9)?))).await
    }

    pub(super) async fn session(&self, secret_hash: [u8; 32]) -> Result<Option<user::Session>, StoreError> {
        self.find(&SESSION, &[&secret_hash.as_slice()], rows::session).await
    }

    pub(super) async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.find(&USER, &[&id.0], rows::user).await
    }

    pub(super) async fn rooms(&self) -> Result<Vec<Room>, StoreError> {
        self.list(&ROOMS, &[], rows::room).await
    }

    pub(super) async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError> {
        let after = page.after.map_or(i64::MIN, RoomId::get);
        self.list(&SOME_ROOMS, &[&after, &i64::from(page.limit)], rows::room).await
    }

    pub(super) async fn standings(&self) -> Result<Vec<Standing>, StoreError> {
        let decode: Decode<Standing> = |row| {
            let life = if row.try_get("is_busy")? { Life::Busy } else { Life::Quiet };
            let (room, highest) = (rows::room(row)?, Position(row.try_get("highest")?));
            Ok(Standing { room, highest, life, now: Time::from_micros(row.try_get("now")?) })
        };
        self.list(&STANDINGS, &[&self.given(), &COMMIT_VISIBILITY_MAX.micros()], decode).await
    }

    pub(super) async fn busy_rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        let found = self.list(&BUSY_ROOMS, &[], |row| row.try_get::<_, Vec<i64>>(0)).await?;
        Ok(found.into_iter().flatten().map(RoomId::new).collect())
    }

    pub(super) async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        self.find(&TOKEN, &[&id.room_id.get(), &id.position.0], rows::token).await
    }

    pub(super) async fn live_tokens(&self, user: UserId) -> Result<Vec<Token>, StoreError> {
        self.list(&LIVE_TOKENS, &[&user.0], rows::token).await
    }

    pub(super) async fn waiting_tokens(&self, room: RoomId, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        let after = page.after.map_or(0, |after| after.0);
        self.list(&WAITING_TOKENS, &[&room.get(), &after, &i64::from(page.limit)], rows::token).await
    }

    pub(super) async fn unassigned_positions(
        &self,
        room: RoomId,
        after: Position,
        to: Position,
    ) -> Result<Vec<Position>, StoreError> {
        let found = self.list(&UNUSED, &[&room.get(), &after.0, &to.0], |row| row.try_get::<_, Vec<i64>>(0)).await?;
        Ok(found.into_iter().flatten().map(Position).collect())
    }

    pub(super) async fn line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        self.read_line(room, &WAITING, InFlight::Sought).await
    }

    pub(super) async fn live_line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        self.read_line(room, &WAITING_BEHIND_THE_CURSOR, InFlight::Left).await
    }

    pub(super) async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        self.find(&CONCERT, &[&id.get()], rows::concert).await
    }

    pub(super) async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError> {
        self.list(&SEATS, &[&concert.get()], rows::seat).await
    }

    pub(super) async fn changed_seats(&self, concert: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError> {
        // The time is read first: a change in between is returned now, and again by the next call.
        let (given, concert, since) = (self.given(), concert.get(), since.micros());
        let keys: [(&Statement, Params<'_>); 2] = [(&NOW, &[&given]), (&CHANGED_SEATS, &[&concert, &since])];
        let mut results = query_pipelined(&self.primary, &keys, Snapshot::Each).await?.into_iter();
        let (now, seats) = (results.next().unwrap_or_default(), results.next().unwrap_or_default());
        let now = decoded(&now, |row| time(row, 0))?.pop().ok_or_else(no_row)?;
        Ok((decoded(&seats, rows::seat)?, now))
    }

    pub(super) async fn seat_counts(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
        let ids: Vec<i64> = concerts.iter().map(|id| id.get()).collect();
        Ok(SeatCounts::of(self.list(&SEAT_COUNTS, &[&ids], rows::seats_of_status).await?))
    }

    pub(super) async fn tickets(&self, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError> {
        let ids: Vec<i64> = reservations.iter().map(|id| id.get()).collect();
        self.list(&TICKETS, &[&ids], rows::ticket_place).await
    }

    pub(super) async fn door_list(
        &self,
        concert: ConcertId,
        after: i32,
        limit: u32,
    ) -> Result<Vec<DoorLine>, StoreError> {
        self.list(&DOOR_LIST, &[&concert.get(), &after, &i64::from(limit)], rows::door_line).await
    }

    pub(super) async fn debt(&self, id: DebtId) -> Result<Option<Debt>, StoreError> {
        self.find(&DEBT, &[&id.get()], rows::debt).await
    }

    pub(super) async fn concerts_to_wind_up(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
        let after = page.after.map_or(0, ConcertId::get);
        self.list(&CONCERTS_TO_WIND_UP, &[&after, &i64::from(page.limit)], rows::concert).await
    }

    pub(super) async fn remnants(&self, concert: &Concert, after: i32, limit: u32) -> Result<Vec<Remnant>, StoreError> {
        let (id, with_sold) = (concert.concert_id.get(), concert.refund_all_at.is_some());
        self.list(&REMNANTS, &[&id, &after, &with_sold, &i64::from(limit)], rows::remnant).await
    }

    pub(super) async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        self.find(&RESERVATION, &[&id.get()], rows::reservation).await
    }

    /// The pending reservations that end first, at `until` or before. Reads the live ones in the order of their ends,
    /// from the first one that was pending in the last call.
    ///
    /// A hold ends after it begins and becomes visible at most [`COMMIT_VISIBILITY_MAX`] after it began, so none can
    /// appear before a time that is resolved and that far in the past. With [`Late::Possible`] nothing is noted as
    /// resolved.
    pub(super) async fn next_expiries(
        &self,
        until: Time,
        limit: u32,
        late: Late,
    ) -> Result<Vec<(Time, ReservationId)>, StoreError> {
        let decode: Decode<(Time, ReservationId, bool)> =
            |row| Ok((time(row, 0)?, ReservationId::new(row.try_get(1)?), row.try_get(2)?));
        let sure = self.now().await?.minus(COMMIT_VISIBILITY_MAX);
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut pending: Vec<(Time, ReservationId)> = Vec::new();
        let (resolved, round) = self.resolved.until();
        let mut after = (resolved.micros(), i64::MIN);
        loop {
            let rows = self.list(&NEXT_EXPIRIES, &[&after.0, &after.1, &i64::from(EXPIRIES_PAGE)], decode).await?;
            pending.extend(rows.iter().filter(|row| row.2).map(|(ends, id, _)| (*ends, *id)));
            let is_full = rows.len() == usize::from(EXPIRIES_PAGE);
            let next = rows.last().filter(|_| is_full).map(|(ends, id, _)| (*ends, *id));
            // Noted page by page, so that a search that fails half-way keeps its progress.
            let reached = pending.first().or(next.as_ref()).map_or(sure, |(ends, _)| sure.min(*ends));
            if late == Late::Never {
                self.resolved.note(reached, round);
            }
            match next {
                Some((ends, id)) if ends <= until && pending.len() < wanted => after = (ends.micros(), id.get()),
                _ => break,
            }
        }
        pending.retain(|(ends, _)| *ends <= until);
        pending.truncate(wanted);
        Ok(pending)
    }

    pub(super) async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.find(&PAYMENT, &[&id.get()], rows::payment).await
    }

    pub(super) async fn point(&self, user: UserId) -> Result<Option<Point>, StoreError> {
        self.find(&POINT, &[&user.0], rows::point).await
    }

    /// A room, its waiting positions (as `waiting` selects them) and its other tokens in one snapshot, with the
    /// positions in flight if they are sought.
    async fn read_line(&self, id: RoomId, waiting: &Statement, sought: InFlight) -> Result<Option<Line>, StoreError> {
        let (given, id, late) = (self.given(), id.get(), COMMIT_VISIBILITY_MAX.micros());
        let keys: [(&Statement, Params<'_>); 4] = [
            (&STANDING, &[&id, &given]),
            (waiting, &[&id]),
            (&NEITHER_WAITING_NOR_ENDED, &[&id]),
            (&UNSETTLED, &[&id, &given, &late]),
        ];
        let wanted = if sought == InFlight::Sought { keys.as_slice() } else { &keys[..3] };
        let results = query_pipelined(&self.primary, wanted, Snapshot::One).await?;
        let [standing, waiting, others, in_flight @ ..] = results.as_slice() else { return Err(no_row()) };
        let standing_of: Decode<_> = |row| Ok((rows::room(row)?, Position(row.try_get(14)?), time(row, 15)?));
        let Some((room, highest, now)) = decoded(standing, standing_of)?.pop() else { return Ok(None) };
        let waiting = positions(waiting)?.ok_or_else(no_row)?;
        let in_flight = in_flight.first().map(|rows| positions(rows)).transpose()?.flatten().unwrap_or_default();
        Ok(Some(Line { room, highest, waiting, in_flight, others: decoded(others, rows::token)?, now }))
    }
}

/// Whether reading a line includes the positions in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InFlight {
    Sought,
    Left,
}

/// Decodes the single array of positions.
fn positions(rows: &[Row]) -> Result<Option<Vec<Position>>, StoreError> {
    let values = decoded(rows, |row| row.try_get::<_, Vec<i64>>(0))?.pop();
    Ok(values.map(|values| values.into_iter().map(Position).collect()))
}

fn no_row() -> StoreError {
    StoreError::Corrupt("a statement that always gives a row gave none".to_owned())
}

pub(super) fn decoded<T>(rows: &[Row], decode: Decode<T>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(decode).collect::<Result<_, _>>().map_err(|failure| error::of_work(&failure))
}

/// Whether several statements share one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Snapshot {
    One,
    Each,
}

/// Runs one statement; on another connection if the first is broken.
pub(super) async fn rows_of(pool: &Pool, statement: &Statement, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let session = pool.get().await?;
        let answer = tokio::time::timeout(pool.answer_timeout(), session.query(statement, params)).await;
        match answer {
            Ok(Ok(rows)) => {
                session.finish();
                return Ok(rows);
            }
            Ok(Err(failure)) if error::cause(&failure) == Cause::Lost && tries < TRIES => {}
            Ok(Err(failure)) => return Err(error::of_work(&failure)),
            Err(_) => return Err(no_answer(pool)),
        }
    }
}

/// Bounds the wait for an answer: a frozen server keeps its connections open and says nothing.
///
/// # Errors
/// [`StoreError::Unavailable`] if no answer came; else the server's error.
pub(super) async fn in_time<T>(pool: &Pool, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(pool.answer_timeout(), answer).await {
        Ok(result) => result.map_err(|failure| error::of_work(&failure)),
        Err(_) => Err(no_answer(pool)),
    }
}

/// Runs several statements in one round trip; on another connection if the first is broken.
async fn query_pipelined(
    pool: &Pool,
    statements: &[(&Statement, Params<'_>)],
    snapshot: Snapshot,
) -> Result<Vec<Vec<Row>>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let session = pool.get().await?;
        let answer = tokio::time::timeout(pool.answer_timeout(), pipelined(&session, statements, snapshot)).await;
        match answer {
            Ok(Ok(results)) => {
                session.finish();
                return Ok(results);
            }
            Ok(Err(failure)) if error::cause(&failure) == Cause::Lost && tries < TRIES => {}
            Ok(Err(failure)) => return Err(error::of_work(&failure)),
            Err(_) => return Err(no_answer(pool)),
        }
    }
}

async fn pipelined(
    session: &Session<'_>,
    statements: &[(&Statement, Params<'_>)],
    snapshot: Snapshot,
) -> Result<Vec<Vec<Row>>, Error> {
    let mut pipeline = Pipeline::new();
    if snapshot == Snapshot::One {
        pipeline.add_text(async { session.begin_snapshot().await.map(|()| Vec::new()) });
    }
    for (statement, params) in statements {
        pipeline.add(statement, session.query(statement, params));
    }
    if snapshot == Snapshot::One {
        pipeline.add_text(async { session.commit().await.map(|()| Vec::new()) });
    }
    let results = pipeline.run(session).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let first = usize::from(snapshot == Snapshot::One);
    Ok(results.into_iter().skip(first).take(statements.len()).collect())
}

pub(super) fn no_answer(pool: &Pool) -> StoreError {
    StoreError::Unavailable(format!("{}: no answer in time", pool.name()))
}
