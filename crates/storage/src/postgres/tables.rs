//! The statements that save. Each takes one array for each column, however many rows there are.
//!
//! An update passes to `all_found` how many rows it touched: the commit is already on its way, and only an error of the
//! server can still stop it.

pub(super) mod reservation;

use super::connect::Statement;
use tokio_postgres::types::Type;

const IDS: Type = Type::INT8_ARRAY;
const NUMBERS: Type = Type::INT4_ARRAY;
const TEXTS: Type = Type::TEXT_ARRAY;
const UUIDS: Type = Type::UUID_ARRAY;
const BYTES: Type = Type::BYTEA_ARRAY;
const TRUTHS: Type = Type::BOOL_ARRAY;
const NUMBER: Type = Type::INT8;

pub(super) const INSERT_USERS: Statement = Statement {
    sql: "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at, signed_in_at)
          SELECT k.*, $6, $6, $6 FROM unnest($1, $2, $3, $4, $5) AS k",
    types: &[UUIDS, TEXTS, TEXTS, TEXTS, TEXTS, NUMBER],
};

pub(super) const UPSERT_SESSIONS: Statement = Statement {
    sql: "INSERT INTO session (secret_hash, user_id, role, expires_at) SELECT * FROM unnest($1, $2, $3, $4)
          ON CONFLICT (secret_hash) DO UPDATE
          SET user_id = excluded.user_id, role = excluded.role, expires_at = excluded.expires_at",
    types: &[BYTES, UUIDS, TEXTS, IDS],
};

pub(super) const DELETE_SESSIONS: Statement =
    Statement { sql: "DELETE FROM session WHERE secret_hash = ANY($1)", types: &[BYTES] };

/// Ends all sessions of users except the one that each keeps; an empty hash matches no session.
pub(super) const END_SESSIONS: Statement = Statement {
    sql: "DELETE FROM session AS s USING unnest($1, $2) AS k (id, kept)
          WHERE s.user_id = k.id AND s.secret_hash <> k.kept",
    types: &[UUIDS, BYTES],
};

pub(super) const UPDATE_USERS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE \"user\" AS u SET name = k.name, email = k.email, role = k.role, status = k.status,
                  sign_in_epoch = k.sign_in_epoch, updated_at = k.updated_at
              FROM unnest($1, $2, $3, $4, $5, $6, $7) AS k (id, name, email, role, status, sign_in_epoch, updated_at)
              WHERE u.user_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $8) FROM done",
    types: &[UUIDS, TEXTS, TEXTS, TEXTS, TEXTS, IDS, IDS, NUMBER],
};

pub(super) const NOTE_SIGN_INS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE \"user\" SET signed_in_at = $2 WHERE user_id = ANY($1) RETURNING 1
          ) SELECT all_found(count(*), $3) FROM done",
    types: &[UUIDS, NUMBER, NUMBER],
};

pub(super) const UPDATE_PASSWORDS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE \"user\" AS u SET password_hash = k.hash
              FROM unnest($1, $2) AS k (id, hash) WHERE u.user_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $3) FROM done",
    types: &[UUIDS, TEXTS, NUMBER],
};

pub(super) const UPSERT_RESET_LINKS: Statement = Statement {
    sql: "INSERT INTO reset_link (user_id, secret_hash, epoch, expires_at) SELECT * FROM unnest($1, $2, $3, $4)
          ON CONFLICT (user_id) DO UPDATE
          SET secret_hash = excluded.secret_hash, epoch = excluded.epoch, expires_at = excluded.expires_at",
    types: &[UUIDS, BYTES, IDS, IDS],
};

pub(super) const UPDATE_ROOMS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE room AS r SET max_active = k.max_active, admit_per_minute = k.admit_per_minute, gate = k.gate,
                  message = k.message, cursor = k.cursor, epoch = k.epoch, no_show_ppm = k.no_show_ppm,
                  credit_ppm = k.credit_ppm, credit_at = k.credit_at, fence = k.fence, opens_at = k.opens_at,
                  closes_at = k.closes_at, updated_at = k.updated_at
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS k (id, max_active,
                  admit_per_minute, gate, message, cursor, epoch, no_show_ppm, credit_ppm, credit_at, fence, opens_at,
                  closes_at, updated_at)
              WHERE r.room_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $15) FROM done",
    types: &[IDS, IDS, IDS, TEXTS, TEXTS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, NUMBER],
};

pub(super) const INSERT_ROOMS: Statement = Statement {
    sql: "INSERT INTO room (room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm,
              credit_ppm, credit_at, fence, opens_at, closes_at, updated_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    types: &[IDS, IDS, IDS, TEXTS, TEXTS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS],
};

pub(super) const SET_POSITION: Statement =
    Statement { sql: "SELECT setval(('room_position_' || $1)::regclass, $2)", types: &[NUMBER, NUMBER] };

pub(super) const INSERT_CAPS: Statement = Statement {
    sql: "INSERT INTO room_cap (room_id, max_active, since) SELECT k.*, $3 FROM unnest($1, $2) AS k",
    types: &[IDS, IDS, NUMBER],
};

pub(super) const UPDATE_CONCERTS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE concert AS c SET title = k.title, artist = k.artist, venue = k.venue, time_zone = k.time_zone,
                  concert_date = k.concert_date, start_time = k.start_time, end_time = k.end_time,
                  starts_at = k.starts_at, base_price = k.base_price, opens_at = k.opens_at, closes_at = k.closes_at,
                  status = k.status, updated_at = k.updated_at, ends_at = k.ends_at, closing = k.closing,
                  status_reason = k.status_reason, refund_all_at = k.refund_all_at, wound_up_at = k.wound_up_at,
                  room_id = k.room_id, opened_at = k.opened_at
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                  $21, $22) AS k (id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
                  base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing,
                  status_reason, refund_all_at, wound_up_at, opened_at)
              WHERE c.concert_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $23) FROM done",
    types: &[
        IDS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, IDS, IDS, IDS, IDS, IDS, TEXTS, IDS, IDS, IDS, TEXTS,
        TEXTS, IDS, IDS, IDS, NUMBER,
    ],
};

pub(super) const INSERT_CONCERTS: Statement = Statement {
    sql: "INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time,
              starts_at, base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing,
              status_reason, refund_all_at, wound_up_at, opened_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
              $20, $21, $22)",
    types: &[
        IDS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, IDS, IDS, IDS, IDS, IDS, TEXTS, IDS, IDS, IDS, TEXTS,
        TEXTS, IDS, IDS, IDS,
    ],
};

pub(super) const INSERT_SEATS: Statement = Statement {
    sql: "INSERT INTO seat (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section,
              \"row\", number, grade, let_go_by, let_go_at, was_held, created_at, updated_at)
          SELECT k.*, k.created_at FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS k
              (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section, \"row\", number,
              grade, let_go_by, let_go_at, was_held, created_at)",
    types: &[IDS, IDS, NUMBERS, IDS, TEXTS, IDS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, UUIDS, IDS, TRUTHS, IDS],
};

pub(super) const DELETE_SEATS: Statement = Statement {
    sql: "WITH done AS (DELETE FROM seat WHERE seat_id = ANY($1) RETURNING 1) SELECT all_found(count(*), $2) FROM done",
    types: &[IDS, NUMBER],
};

/// Changes of seats by operators. Only this update sets the label, which is indexed.
pub(super) const CHANGE_SEATS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE seat AS s SET price = k.price, section = k.section, \"row\" = k.\"row\", number = k.number,
                  grade = k.grade
              FROM unnest($1, $2, $3, $4, $5, $6) AS k (id, price, section, \"row\", number, grade)
              WHERE s.seat_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $7) FROM done",
    types: &[IDS, IDS, TEXTS, TEXTS, TEXTS, TEXTS, NUMBER],
};

pub(super) const UPDATE_SEATS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE seat AS s SET status = k.status, reservation_id = k.reservation_id,
                  blocked_reason = k.blocked_reason, updated_at = k.updated_at, let_go_by = k.let_go_by,
                  let_go_at = k.let_go_at, was_held = k.was_held
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS k (id, status, reservation_id, blocked_reason,
                  updated_at, let_go_by, let_go_at, was_held)
              WHERE s.seat_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $9) FROM done",
    types: &[IDS, TEXTS, IDS, TEXTS, IDS, UUIDS, IDS, TRUTHS, NUMBER],
};

pub(super) const UPDATE_RESERVATIONS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE reservation AS r SET status = k.status, confirmed_at = k.confirmed_at, closed_at = k.closed_at
              FROM unnest($1, $2, $3, $4) AS k (id, status, confirmed_at, closed_at)
              WHERE r.reservation_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $5) FROM done",
    types: &[IDS, TEXTS, IDS, IDS, NUMBER],
};

pub(super) const INSERT_RESERVATIONS: Statement = Statement {
    sql: "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status,
              created_at, expires_at, confirmed_at, closed_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    types: &[IDS, UUIDS, IDS, IDS, NUMBERS, IDS, TEXTS, IDS, IDS, IDS, IDS],
};

pub(super) const UPDATE_PAYMENTS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE payment AS p SET status = k.status, refunded_at = k.refunded_at
              FROM unnest($1, $2, $3) AS k (id, status, refunded_at) WHERE p.payment_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $4) FROM done",
    types: &[IDS, TEXTS, IDS, NUMBER],
};

pub(super) const INSERT_PAYMENTS: Statement = Statement {
    sql: "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
    types: &[IDS, UUIDS, IDS, IDS, TEXTS, IDS, IDS, IDS],
};

pub(super) const INSERT_POINTS: Statement = Statement {
    sql: "INSERT INTO point (point_id, user_id, amount, version, last_updated, created_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
    types: &[IDS, UUIDS, IDS, IDS, IDS, IDS],
};

pub(super) const UPDATE_POINTS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE point AS p SET amount = k.amount, version = k.version, last_updated = k.last_updated
              FROM unnest($1, $2, $3, $4) AS k (id, amount, version, last_updated)
              WHERE p.point_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $5) FROM done",
    types: &[IDS, IDS, IDS, IDS, NUMBER],
};

pub(super) const INSERT_HISTORY: Statement = Statement {
    sql: "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version,
              payment_id, reference, created_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    types: &[IDS, UUIDS, IDS, TEXTS, TEXTS, IDS, IDS, IDS, TEXTS, IDS],
};

pub(super) const INSERT_DEBTS: Statement = Statement {
    sql: "INSERT INTO debt (debt_id, user_id, amount, reason, reference, status, created_at, settled_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
    types: &[IDS, UUIDS, IDS, TEXTS, TEXTS, TEXTS, IDS, IDS],
};

pub(super) const UPDATE_DEBTS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE debt AS d SET status = k.status, settled_at = k.settled_at
              FROM unnest($1, $2, $3) AS k (id, status, settled_at) WHERE d.debt_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $4) FROM done",
    types: &[IDS, TEXTS, IDS, NUMBER],
};

pub(super) const RENEW_TOKENS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE waiting_token AS w SET active_until = k.active_until, holds = k.holds
              FROM unnest($1, $2, $3, $4) AS k (room_id, position, active_until, holds)
              WHERE w.room_id = k.room_id AND w.position = k.position RETURNING 1
          ) SELECT all_found(count(*), $5) FROM done",
    types: &[IDS, IDS, IDS, NUMBERS, NUMBER],
};

/// Active tokens that are not overdue are checked again once they may be.
pub(super) const PUT_OFF_TOKENS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE waiting_token AS w SET due_from = w.active_until FROM unnest($1, $2) AS k (room_id, position)
              WHERE w.room_id = k.room_id AND w.position = k.position RETURNING 1
          ) SELECT all_found(count(*), $3) FROM done",
    types: &[IDS, IDS, NUMBER],
};

/// Counts of rooms whose rows are locked.
pub(super) const UPDATE_COUNTS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE room AS r SET active = k.active, offered = k.offered
              FROM unnest($1, $2, $3) AS k (id, active, offered) WHERE r.room_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $4) FROM done",
    types: &[IDS, IDS, IDS, NUMBER],
};

/// Changes to the counts of rooms whose rows are not locked.
pub(super) const INSERT_DEPARTED: Statement = Statement {
    sql: "INSERT INTO room_departure (room_id, active, offered) SELECT * FROM unnest($1, $2, $3)",
    types: &[IDS, IDS, IDS],
};

pub(super) const UPDATE_TOKENS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE waiting_token AS w SET status = k.status, activated_at = k.activated_at, deadline = k.deadline,
                  active_until = k.active_until, due_from = k.active_until, expired_at = k.expired_at,
                  end_reason = k.end_reason, turns_passed = k.turns_passed, holds = k.holds
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS k (room_id, position, status,
                  activated_at, deadline, active_until, expired_at, end_reason, turns_passed, holds)
              WHERE w.room_id = k.room_id AND w.position = k.position RETURNING 1
          ) SELECT all_found(count(*), $11) FROM done",
    types: &[IDS, IDS, TEXTS, IDS, IDS, IDS, IDS, TEXTS, NUMBERS, NUMBERS, NUMBER],
};

pub(super) const INSERT_TOKENS: Statement = Statement {
    sql: "INSERT INTO waiting_token (room_id, position, user_id, issued_at, status, activated_at, deadline,
              active_until, expired_at, end_reason, turns_passed, holds, due_from)
          SELECT k.*, k.active_until FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS k (room_id,
              position, user_id, issued_at, status, activated_at, deadline, active_until, expired_at, end_reason,
              turns_passed, holds)",
    types: &[IDS, IDS, UUIDS, IDS, TEXTS, IDS, IDS, IDS, IDS, TEXTS, NUMBERS, NUMBERS],
};

pub(super) const INSERT_AUDIT: Statement = Statement {
    sql: "INSERT INTO audit_log (audit_id, actor, action, object, detail, created_at)
          SELECT k.id, k.actor, k.action, k.object, k.detail::jsonb, k.created_at
          FROM unnest($1, $2, $3, $4, $5, $6) AS k (id, actor, action, object, detail, created_at)",
    types: &[IDS, UUIDS, TEXTS, TEXTS, TEXTS, IDS],
};

pub(super) const INSERT_ANSWERS: Statement = Statement {
    sql: "INSERT INTO idempotency (key, fingerprint, answer, created_at) SELECT * FROM unnest($1, $2, $3, $4)",
    types: &[BYTES, BYTES, TEXTS, IDS],
};
