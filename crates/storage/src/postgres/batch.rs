//! Loads the rows that a batch names, and the rows that depend on them, in one round trip: the same rows as
//! `Model::load` of the domain.
//!
//! The server runs the statements one after the other, and each sees the commits before its own start (READ COMMITTED).
//! So the order matters:
//!
//! 1. Rows that may change are locked table by table in one order for all batches (user, room, token, point, seat,
//!    concert), and by ascending key in each. Two batches can wait for each other, but never in a circle.
//! 2. Then come the reads without a lock: a transaction that has released a lock has committed, so its rows are
//!    visible. A reservation and a payment are covered by the lock on their seat, a user's live reservations by the
//!    lock on their token, the counts of a room by the lock on the room.
//! 3. The clock is read last, with the ids for new rows: whatever freed capacity by then did so before that time.
//!
//! A cap holds because an active token counts until a batch has ended its row. A batch that offers or claims turns
//! locks the room's row, and ends an overdue token only under the lock on that token, for which it competes with a late
//! heartbeat. A batch that ends tokens without the room's row only frees capacity.

use super::{
    columns::{
        concert_columns, debt_columns, payment_columns, point_columns, reservation_columns, room_columns, seat_columns,
        token_columns, user_columns,
    },
    connect::{Session, Statement},
    load_plan::{LoadPlan, Places},
    pipeline::Pipeline,
};
use tokio_postgres::{
    Error, Row,
    types::{ToSql, Type},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Begin,
    Users,
    Rooms,
    Tokens,
    Points,
    Seats,
    Concerts,
    Reservations,
    Payments,
    Kept,
    ResetLinks,
    Emails,
    References,
    Adjustments,
    Debts,
    SeatNumbers,
    SeatPlaces,
    HighestSeats,
    Joined,
    Departed,
    SeatIds,
    Clock,
}

/// How [`LOCK_LINES`] found a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// At the head of its line.
    Head,
    /// Among the active tokens that may be overdue.
    MayBeOverdue,
    /// Any other way.
    Otherwise,
}

impl Found {
    pub(super) const fn of(number: i32) -> Self {
        match number {
            1 => Self::Head,
            2 => Self::MayBeOverdue,
            _ => Self::Otherwise,
        }
    }
}

const LOCK_USERS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        user_columns!(),
        " FROM \"user\" WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE"
    ),
    types: &[Type::UUID_ARRAY],
};
const USERS: Statement = Statement {
    sql: concat!("SELECT ", user_columns!(), " FROM \"user\" WHERE user_id = ANY($1)"),
    types: &[Type::UUID_ARRAY],
};
const LOCK_ROOMS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        room_columns!(),
        ", active, offered FROM room WHERE room_id = ANY($1) ORDER BY room_id FOR NO KEY UPDATE"
    ),
    types: &[Type::INT8_ARRAY],
};
/// Locks the tokens that a query names as `k`, in its order, with how each was found: see [`Found`].
///
/// A lateral query for each token, so that the server cannot reorder the join: with the statistics of an empty line it
/// would scan the line instead.
macro_rules! locked_tokens {
    ($k:expr, $found:literal) => {
        concat!(
            "SELECT w.*, ",
            $found,
            " FROM ",
            $k,
            " AS k (room_id, position), LATERAL (SELECT ",
            token_columns!(),
            " FROM waiting_token AS w WHERE w.room_id = k.room_id AND w.position = k.position
                 FOR NO KEY UPDATE) AS w"
        )
    };
}

/// The live tokens of users in rooms, each looked up on its own.
macro_rules! places {
    ($keys:literal) => {
        concat!(
            "SELECT t.room_id, t.position, 0 FROM unnest(",
            $keys,
            ") AS k (user_id, room_id), LATERAL (
                 SELECT p.room_id, p.position FROM waiting_token AS p
                 WHERE p.user_id = k.user_id AND p.room_id + 0 = k.room_id AND p.expired_at IS NULL OFFSET 0
             ) AS t"
        )
    };
}

/// Locks in the order of the arrays.
const LOCK_TOKENS: Statement =
    Statement { sql: locked_tokens!("unnest($1, $2)", "0"), types: &[Type::INT8_ARRAY, Type::INT8_ARRAY] };
const LOCK_PLACES: Statement = Statement {
    sql: locked_tokens!(concat!("(", places!("$1, $2"), " ORDER BY 1, 2 OFFSET 0)"), "0"),
    types: &[Type::UUID_ARRAY, Type::INT8_ARRAY],
};
/// All tokens that a batch touches, in one query so that they are locked in one order. If turns are offered or claimed,
/// the active ones that may be overdue too; if the line moves, also the first due ones of each status, and the head.
const LOCK_LINES: Statement = Statement {
    sql: concat!(
        "WITH clock AS MATERIALIZED (SELECT coalesce($7, clock_micros()) AS now), wanted (room_id, position, found) AS (
             SELECT k.room_id, k.position, 0 FROM unnest($1, $2) AS k (room_id, position)
             UNION ALL ",
        places!("$3, $4"),
        "    UNION ALL
             SELECT t.room_id, t.position, 2 FROM clock, unnest($5) AS k (room_id), LATERAL (
                 SELECT a.room_id, a.position FROM waiting_token AS a
                 WHERE a.room_id + 0 = k.room_id AND a.status = 'active' AND a.due_from <= clock.now
                 ORDER BY a.due_from LIMIT $8
             ) AS t
             UNION ALL
             SELECT t.room_id, t.position, 0 FROM clock, unnest($6) AS k (room_id),
             unnest(ARRAY['offered', 'missed', 'dormant']) AS s (status), LATERAL (
                 SELECT d.room_id, d.position FROM waiting_token AS d
                 WHERE d.room_id + 0 = k.room_id AND d.status = s.status AND d.deadline <= clock.now
                 ORDER BY d.deadline, d.position LIMIT $8
             ) AS t
             UNION ALL
             SELECT t.room_id, t.position, 1 FROM unnest($6, $9) AS k (room_id, head), LATERAL (
                 SELECT h.room_id, h.position FROM waiting_token AS h
                 WHERE h.room_id + 0 = k.room_id AND h.status = 'waiting' ORDER BY h.position + 0 LIMIT k.head
             ) AS t
         ) ",
        locked_tokens!(
            "(SELECT room_id, position, max(found) FROM wanted GROUP BY 1, 2 ORDER BY 1, 2 OFFSET 0)",
            "k.max"
        )
    ),
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::UUID_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8,
        Type::INT8,
        Type::INT8_ARRAY,
    ],
};
const LOCK_POINTS: Statement = Statement {
    sql: concat!("SELECT ", point_columns!(), " FROM point WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE"),
    types: &[Type::UUID_ARRAY],
};
/// Includes the accounts that made the payments.
const LOCK_POINTS_OF_PAYMENTS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        point_columns!(),
        " FROM point WHERE user_id = ANY (ARRAY(
             SELECT unnest($1) UNION SELECT p.user_id FROM payment AS p WHERE p.payment_id = ANY($2)
         )) ORDER BY user_id FOR NO KEY UPDATE"
    ),
    types: &[Type::UUID_ARRAY, Type::INT8_ARRAY],
};
const LOCK_SEATS: Statement = Statement {
    sql: concat!("SELECT ", seat_columns!(), " FROM seat WHERE seat_id = ANY($1) ORDER BY seat_id FOR NO KEY UPDATE"),
    types: &[Type::INT8_ARRAY],
};
/// Includes the seats of reservations and of payments' reservations: a reservation's seat never changes.
const LOCK_SEATS_OF_RESERVATIONS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        seat_columns!(),
        " FROM seat WHERE seat_id = ANY (ARRAY(
             SELECT unnest($1)
             UNION SELECT r.seat_id FROM unnest($2) AS k (id), LATERAL (
                 SELECT seat_id FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r
             UNION SELECT r.seat_id FROM unnest($3) AS k (id), LATERAL (
                 SELECT reservation_id FROM payment WHERE payment_id = k.id OFFSET 0) AS p, LATERAL (
                 SELECT seat_id FROM reservation WHERE reservation_id = p.reservation_id OFFSET 0) AS r
         )) ORDER BY seat_id FOR NO KEY UPDATE"
    ),
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};
const LOCK_CONCERTS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        concert_columns!(),
        " FROM concert WHERE concert_id = ANY($1) ORDER BY concert_id FOR NO KEY UPDATE"
    ),
    types: &[Type::INT8_ARRAY],
};
const CONCERTS: Statement = Statement {
    sql: concat!("SELECT ", concert_columns!(), " FROM concert WHERE concert_id = ANY($1)"),
    types: &[Type::INT8_ARRAY],
};
/// Includes the concerts of seats, of reservations, and of payments' reservations. Each is looked up on its own.
const CONCERTS_OF_SEATS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        concert_columns!(),
        " FROM concert WHERE concert_id = ANY (ARRAY(
             SELECT unnest($1)
             UNION SELECT s.concert_id FROM unnest($2) AS k (id), LATERAL (
                 SELECT concert_id FROM seat WHERE seat_id = k.id OFFSET 0) AS s
             UNION SELECT r.concert_id FROM unnest($3) AS k (id), LATERAL (
                 SELECT concert_id FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r
             UNION SELECT r.concert_id FROM unnest($4) AS k (id), LATERAL (
                 SELECT reservation_id FROM payment WHERE payment_id = k.id OFFSET 0) AS p, LATERAL (
                 SELECT concert_id FROM reservation WHERE reservation_id = p.reservation_id OFFSET 0) AS r
         ))"
    ),
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};
/// Reservations of three kinds: those of the seats, those that are named, and the live ones of users. Not locked: a
/// reservation changes only under the lock on its seat, which is held.
///
/// Each key is looked up on its own. For all keys at once, a server without statistics expects few live reservations
/// and scans all of them. Its live conditions for seats and for users differ in form, so that each can use one index
/// only.
const RESERVATIONS: Statement = Statement {
    sql: concat!(
        "SELECT r.* FROM unnest($1) AS k (id), LATERAL (SELECT ",
        reservation_columns!(),
        " FROM reservation WHERE seat_id = k.id AND coalesce(closed_at, -1) = -1 OFFSET 0) AS r
         UNION ALL SELECT r.* FROM unnest($2) AS k (id), LATERAL (SELECT ",
        reservation_columns!(),
        " FROM reservation WHERE user_id = k.id AND closed_at IS NULL OFFSET 0) AS r
         UNION ALL SELECT r.* FROM unnest($3) AS k (id), LATERAL (SELECT ",
        reservation_columns!(),
        " FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r
         UNION ALL SELECT r.* FROM unnest($4) AS k (id), LATERAL (
             SELECT reservation_id AS paid FROM payment WHERE payment_id = k.id OFFSET 0) AS p, LATERAL (SELECT ",
        reservation_columns!(),
        " FROM reservation WHERE reservation_id = p.paid OFFSET 0) AS r"
    ),
    types: &[Type::INT8_ARRAY, Type::UUID_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};
/// Not locked: a payment changes only under the lock on its reservation's seat, which is held.
const PAYMENTS: Statement = Statement {
    sql: concat!("SELECT ", payment_columns!(), " FROM payment WHERE payment_id = ANY($1)"),
    types: &[Type::INT8_ARRAY],
};
const KEPT: Statement = Statement {
    sql: "SELECT key, fingerprint, answer, created_at FROM idempotency WHERE key = ANY($1)",
    types: &[Type::BYTEA_ARRAY],
};
/// Not locked: a link changes only under the lock on its user, which is held.
const RESET_LINKS: Statement = Statement {
    sql: "SELECT user_id, secret_hash, epoch, expires_at FROM reset_link WHERE user_id = ANY($1)",
    types: &[Type::UUID_ARRAY],
};
const EMAILS: Statement =
    Statement { sql: "SELECT email, user_id FROM \"user\" WHERE email = ANY($1)", types: &[Type::TEXT_ARRAY] };
const REFERENCES: Statement = Statement {
    sql: "SELECT reference FROM point_history WHERE reference = ANY($1) AND type = 'top_up'",
    types: &[Type::TEXT_ARRAY],
};
/// References of users' adjustments and debts.
const ADJUSTMENTS: Statement = Statement {
    sql: "SELECT k.user_id, k.reference FROM unnest($1, $2) AS k (user_id, reference)
          WHERE (SELECT true FROM point_history AS h WHERE h.user_id = k.user_id AND h.reference = k.reference
                     AND h.type = 'adjustment') IS NOT NULL
             OR (SELECT true FROM debt AS d WHERE d.user_id = k.user_id AND d.reference = k.reference) IS NOT NULL",
    types: &[Type::UUID_ARRAY, Type::TEXT_ARRAY],
};
/// Not locked: a debt changes only under the lock on its user, which is held.
const DEBTS: Statement = Statement {
    sql: concat!("SELECT ", debt_columns!(), " FROM debt WHERE debt_id = ANY($1)"),
    types: &[Type::INT8_ARRAY],
};
/// Not locked: a debt is made and changed under the lock on its user, which is held.
const OPEN_DEBTS: Statement = Statement {
    sql: concat!(
        "SELECT d.* FROM unnest($1) AS k (id), LATERAL (SELECT ",
        debt_columns!(),
        " FROM debt WHERE user_id = k.id AND status = 'open' OFFSET 0) AS d"
    ),
    types: &[Type::UUID_ARRAY],
};
const SEAT_NUMBERS: Statement = Statement {
    sql: "SELECT s.concert_id, s.seat_number FROM unnest($1, $2) AS k (concert_id, seat_number), LATERAL (
              SELECT concert_id, seat_number FROM seat
              WHERE concert_id = k.concert_id AND seat_number = k.seat_number OFFSET 0) AS s",
    types: &[Type::INT8_ARRAY, Type::INT4_ARRAY],
};
const SEAT_PLACES: Statement = Statement {
    sql: "SELECT s.* FROM unnest($1, $2, $3, $4) AS k (concert_id, section, \"row\", number), LATERAL (
              SELECT section, \"row\", number, concert_id FROM seat WHERE concert_id = k.concert_id
                  AND section = k.section AND \"row\" = k.\"row\" AND number = k.number OFFSET 0) AS s",
    types: &[Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};
/// The places that seat changes may use; a part that is null matches any.
const MOVED_SEATS: Statement = Statement {
    sql: "SELECT s.* FROM unnest($1, $2, $3, $4) AS k (concert_id, section, \"row\", number), LATERAL (
              SELECT section, \"row\", number, concert_id FROM seat WHERE concert_id = k.concert_id
                  AND (k.section IS NULL OR section = k.section) AND (k.\"row\" IS NULL OR \"row\" = k.\"row\")
                  AND (k.number IS NULL OR number = k.number) OFFSET 0) AS s",
    types: &[Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};
const HIGHEST_SEATS: Statement = Statement {
    sql: "SELECT s.* FROM unnest($1) AS k (concert_id), LATERAL (
              SELECT concert_id, seat_number FROM seat WHERE concert_id = k.concert_id
              ORDER BY seat_number DESC LIMIT 1) AS s",
    types: &[Type::INT8_ARRAY],
};
/// Rooms with positions for new tokens. Nothing is locked: the positions come from the room's sequence.
const JOINED_ROOMS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        room_columns!(),
        ", ARRAY(SELECT nextval(r.positions) FROM generate_series(1, r.joins)) FROM (
             SELECT room.*, k.joins, ('room_position_' || room.room_id)::regclass AS positions
             FROM unnest($1, $2) AS k (id, joins) JOIN room ON room.room_id = k.id OFFSET 0
         ) AS r"
    ),
    types: &[Type::INT8_ARRAY, Type::INT4_ARRAY],
};
/// The first of `$1` consecutive seat ids. The advisory lock keeps them consecutive.
const SEAT_IDS: Statement = Statement {
    sql: "SELECT setval('seat_ids', nextval('seat_ids') + $1 - 1) - $1 + 1
          FROM (SELECT pg_advisory_xact_lock('seat_ids'::regclass::oid::bigint) OFFSET 0) AS locked",
    types: &[Type::INT8],
};
/// The clock, ids for new rows, and the transaction's identity.
const CLOCK: Statement = Statement {
    sql: "SELECT coalesce($1, clock_micros()),
              ARRAY(SELECT nextval('reservation_ids') FROM generate_series(1, $2)),
              ARRAY(SELECT nextval('payment_ids') FROM generate_series(1, $3)),
              ARRAY(SELECT nextval('history_ids') FROM generate_series(1, $4)),
              ARRAY(SELECT nextval('point_ids') FROM generate_series(1, $5)),
              ARRAY(SELECT nextval('audit_ids') FROM generate_series(1, $6)),
              ARRAY(SELECT nextval('concert_ids') FROM generate_series(1, $7)),
              ARRAY(SELECT nextval('debt_ids') FROM generate_series(1, $8)),
              pg_backend_pid(), (extract(epoch FROM now()) * 1000000)::bigint",
    types: &[Type::INT8, Type::INT4, Type::INT4, Type::INT4, Type::INT4, Type::INT4, Type::INT4, Type::INT4],
};
/// How much the counts of rooms have changed since their rows were written. The batch has locked the rooms' rows: it
/// deletes these records and writes the new counts into the rows.
const DEPARTED: Statement = Statement {
    sql: "WITH departed AS (
              DELETE FROM room_departure WHERE room_id = ANY($1) RETURNING room_id, active, offered
          ) SELECT room_id, sum(active)::bigint AS active, sum(offered)::bigint AS offered
          FROM departed GROUP BY room_id",
    types: &[Type::INT8_ARRAY],
};

/// The statements of one load, and the kind of row each loads.
pub(super) struct Loads<'a> {
    session: &'a Session<'a>,
    pipeline: Pipeline<'a, Vec<Row>>,
    kinds: Vec<Load>,
}

impl<'a> Loads<'a> {
    fn add<const N: usize>(&mut self, kind: Load, statement: &'static Statement, params: [&'a (dyn ToSql + Sync); N]) {
        let session = self.session;
        self.kinds.push(kind);
        self.pipeline.add(statement, async move { session.query(statement, &params).await });
    }

    /// The statements of a plan.
    pub(super) fn of(session: &'a Session<'a>, wanted: &'a LoadPlan, numbers: &'a Numbers) -> Self {
        let mut loads = Self { session, pipeline: Pipeline::new(), kinds: vec![Load::Begin] };
        loads.pipeline.add_text(async { session.begin().await.map(|()| Vec::new()) });
        loads.add_locks(wanted, numbers);
        loads.add_reads(wanted);
        loads.add_numbers(wanted, numbers);
        loads
    }

    fn add_locks(&mut self, wanted: &'a LoadPlan, numbers: &'a Numbers) {
        if !wanted.locked_users.is_empty() {
            self.add(Load::Users, &LOCK_USERS, [&wanted.locked_users]);
        }
        if !wanted.locked_rooms.is_empty() {
            self.add(Load::Rooms, &LOCK_ROOMS, [&wanted.locked_rooms]);
        }
        self.add_tokens(wanted, numbers);
        if !wanted.payments.is_empty() {
            self.add(Load::Points, &LOCK_POINTS_OF_PAYMENTS, [&wanted.points, &wanted.payments]);
        } else if !wanted.points.is_empty() {
            self.add(Load::Points, &LOCK_POINTS, [&wanted.points]);
        }
        if !(wanted.reservations.is_empty() && wanted.payments.is_empty()) {
            let params: [&(dyn ToSql + Sync); 3] = [&wanted.seats, &wanted.reservations, &wanted.payments];
            self.add(Load::Seats, &LOCK_SEATS_OF_RESERVATIONS, params);
        } else if !wanted.seats.is_empty() {
            self.add(Load::Seats, &LOCK_SEATS, [&wanted.seats]);
        }
        if !wanted.locked_concerts.is_empty() {
            self.add(Load::Concerts, &LOCK_CONCERTS, [&wanted.locked_concerts]);
        }
    }

    fn add_tokens(&mut self, wanted: &'a LoadPlan, numbers: &'a Numbers) {
        let named = !wanted.token_rooms.is_empty();
        let placed = !wanted.place_users.is_empty();
        if !wanted.counted.is_empty() || (named && placed) {
            self.add(
                Load::Tokens,
                &LOCK_LINES,
                [
                    &wanted.token_rooms,
                    &wanted.token_positions,
                    &wanted.place_users,
                    &wanted.place_rooms,
                    &wanted.counted,
                    &wanted.advanced,
                    &numbers.now,
                    &DUE_MAX,
                    &wanted.head_limits,
                ],
            );
        } else if named {
            self.add(Load::Tokens, &LOCK_TOKENS, [&wanted.token_rooms, &wanted.token_positions]);
        } else if placed {
            self.add(Load::Tokens, &LOCK_PLACES, [&wanted.place_users, &wanted.place_rooms]);
        }
    }

    fn add_reads(&mut self, wanted: &'a LoadPlan) {
        if wanted.has_seats() {
            let params: [&(dyn ToSql + Sync); 4] =
                [&wanted.concerts, &wanted.seats, &wanted.reservations, &wanted.payments];
            self.add(Load::Concerts, &CONCERTS_OF_SEATS, params);
        } else if !wanted.concerts.is_empty() {
            self.add(Load::Concerts, &CONCERTS, [&wanted.concerts]);
        }
        if wanted.has_seats() {
            self.add(
                Load::Reservations,
                &RESERVATIONS,
                [&wanted.seats, &wanted.holders, &wanted.reservations, &wanted.payments],
            );
        }
        if !wanted.payments.is_empty() {
            self.add(Load::Payments, &PAYMENTS, [&wanted.payments]);
        }
        if !wanted.users.is_empty() {
            self.add(Load::Users, &USERS, [&wanted.users]);
        }
        if !wanted.reset_links.is_empty() {
            self.add(Load::ResetLinks, &RESET_LINKS, [&wanted.reset_links]);
        }
        if !wanted.emails.is_empty() {
            self.add(Load::Emails, &EMAILS, [&wanted.emails]);
        }
        if !wanted.references.is_empty() {
            self.add(Load::References, &REFERENCES, [&wanted.references]);
        }
        if !wanted.adjusted_users.is_empty() {
            self.add(Load::Adjustments, &ADJUSTMENTS, [&wanted.adjusted_users, &wanted.adjustments]);
        }
        if !wanted.debts.is_empty() {
            self.add(Load::Debts, &DEBTS, [&wanted.debts]);
        }
        if !wanted.debtors.is_empty() {
            self.add(Load::Debts, &OPEN_DEBTS, [&wanted.debtors]);
        }
        if !wanted.seat_numbers.is_empty() {
            self.add(Load::SeatNumbers, &SEAT_NUMBERS, [&wanted.numbered_concerts, &wanted.seat_numbers]);
        }
        if !wanted.growing_concerts.is_empty() {
            self.add(Load::HighestSeats, &HIGHEST_SEATS, [&wanted.growing_concerts]);
            let Places { concerts, sections, rows, numbers } = &wanted.new_places;
            self.add(Load::SeatPlaces, &SEAT_PLACES, [concerts, sections, rows, numbers]);
        }
        let Places { concerts, sections, rows, numbers } = &wanted.moved_places;
        if !concerts.is_empty() {
            self.add(Load::SeatPlaces, &MOVED_SEATS, [concerts, sections, rows, numbers]);
        }
    }

    fn add_numbers(&mut self, wanted: &'a LoadPlan, numbers: &'a Numbers) {
        if !wanted.kept.is_empty() {
            let session = self.session;
            self.kinds.push(Load::Kept);
            self.pipeline.add(&KEPT, async move {
                let keys: Vec<&[u8]> = wanted.kept.iter().map(<[u8; 32]>::as_slice).collect();
                session.query(&KEPT, &[&keys]).await
            });
        }
        if !wanted.joined_rooms.is_empty() {
            self.add(Load::Joined, &JOINED_ROOMS, [&wanted.joined_rooms, &wanted.joins]);
        }
        if numbers.seats > 0 {
            self.add(Load::SeatIds, &SEAT_IDS, [&numbers.seats]);
        }
        if !wanted.counted.is_empty() {
            self.add(Load::Departed, &DEPARTED, [&wanted.counted]);
        }
        let [reservations, payments, history, points, audit, concerts, debts] = &numbers.ids;
        self.add(Load::Clock, &CLOCK, [&numbers.now, reservations, payments, history, points, audit, concerts, debts]);
    }

    /// Runs them and returns the rows of each, in order.
    ///
    /// # Errors
    /// The first failure.
    pub(super) async fn run(self) -> Result<Vec<(Load, Vec<Row>)>, Error> {
        let results = self.pipeline.run(self.session).await?;
        self.kinds.into_iter().zip(results).map(|(kind, rows)| Ok((kind, rows?))).collect()
    }
}

/// How many due tokens of each status are read.
const DUE_MAX: i64 = frontrow_domain::policy::TOKENS_PER_ADVANCE_MAX as i64;

/// Parameters that are not arrays of keys.
pub(super) struct Numbers {
    /// The test's time, if a test gives one.
    pub(super) now: Option<i64>,
    seats: i64,
    ids: [i32; 7],
}

impl Numbers {
    pub(super) fn of(wanted: &LoadPlan, given: Option<i64>) -> Self {
        let demand = &wanted.demand;
        let counts = [
            demand.reservations,
            demand.payments,
            demand.history,
            demand.points,
            demand.audit,
            demand.concerts,
            demand.debts,
        ];
        Self {
            now: given,
            seats: i64::try_from(demand.seats).unwrap_or(i64::MAX),
            ids: counts.map(|count| i32::try_from(count).unwrap_or(i32::MAX)),
        }
    }
}
