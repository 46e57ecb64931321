//! The usual way to hold and to pay, written well: one transaction a request.
//!
//! The rows are locked with `SELECT … FOR UPDATE` in one fixed order (token, account, reservation, seat), checked,
//! changed, and committed with the idempotency row. The statements are prepared once a connection, and every one of
//! them finds its rows by a unique index. The rules are those of the box office, as far as a hold and a payment need
//! them.

use super::office;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use frontrow_domain::{
    command::Idempotency,
    id::{ReservationId, SeatId, TokenId, UserId},
    time::Time,
};
use tokio_postgres::{NoTls, Row, Statement, error::SqlState, types::ToSql};
use uuid::Uuid;

/// The parameters of a statement.
macro_rules! params {
    ($($value:expr),+ $(,)?) => { &[$(&$value as &(dyn ToSql + Sync)),+] };
}

/// How the statements of a transaction are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendMode {
    /// Each after the answer to the one before: what most programs do.
    OneByOne,
    /// Statements whose answer is not needed are sent together: two round trips a transaction.
    Pipelined,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// A rule says no. The word is the code that the client sees.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// The database could not.
    #[error("failed: {0}")]
    Failed(String),
}

impl From<tokio_postgres::Error> for BaselineError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(format!("{error:?}"))
    }
}

impl From<deadpool_postgres::PoolError> for BaselineError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The settings of the box office that a hold and a payment need, in microseconds.
const HOLD: i64 = 300_000_000;
const PAY_GRACE: i64 = 30_000_000;
const MAX_SEATS_PER_USER: i64 = 4;

/// A box office that holds and pays the usual way.
#[derive(Debug, Clone)]
pub struct Baseline {
    pool: Pool,
    pace: SendMode,
}

/// Microseconds of the database's clock, read after the rows before it were locked.
macro_rules! micros_now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}

const TOKEN: &str =
    "SELECT user_id, status, active_until FROM waiting_token WHERE room_id = $1 AND position = $2 FOR UPDATE";
const SEAT: &str = concat!(
    "SELECT s.concert_id, s.seat_number, s.price, s.status, c.room_id, c.status, c.opens_at, c.closes_at,
         (SELECT r.expires_at FROM reservation r WHERE r.reservation_id = s.reservation_id), s.reservation_id,
         (SELECT count(*) FROM reservation r
          WHERE r.user_id = $2 AND r.concert_id = s.concert_id AND r.closed_at IS NULL),
         nextval('reservation_ids'), ",
    micros_now!(),
    " FROM seat s JOIN concert c ON c.concert_id = s.concert_id WHERE s.seat_id = $1 FOR UPDATE OF s"
);
const EXPIRE: &str = "UPDATE reservation SET status = 'expired', closed_at = $2 WHERE reservation_id = $1";
const RESERVE: &str =
    "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
         expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8)";
const HOLD_SEAT: &str = "UPDATE seat SET status = 'held', reservation_id = $2, updated_at = $3 WHERE seat_id = $1";
const LIFT_TOKEN: &str = "UPDATE waiting_token SET active_until = greatest(active_until, $3)
     WHERE room_id = $1 AND position = $2";
const KEEP: &str = "INSERT INTO idempotency (created_at, key, fingerprint, answer) VALUES ($1, $2, $3, $4)";
const KEPT: &str = "SELECT fingerprint, answer FROM idempotency WHERE key = $1";

const ACCOUNT: &str = "SELECT amount, version FROM point WHERE user_id = $1 FOR UPDATE";
const RESERVATION: &str = concat!(
    "SELECT r.user_id, r.concert_id, r.seat_id, r.seat_number, r.price, r.status, r.expires_at,
         s.status, s.reservation_id, c.room_id, c.status, nextval('payment_ids'), nextval('history_ids'), ",
    micros_now!(),
    " FROM reservation r JOIN seat s ON s.seat_id = r.seat_id JOIN concert c ON c.concert_id = r.concert_id
     WHERE r.reservation_id = $1 FOR UPDATE OF r, s"
);
const PAY: &str = "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, created_at)
     VALUES ($1, $2, $3, $4, 'completed', $5, $5)";
const NOTE: &str = "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version,
         payment_id, created_at)
     VALUES ($1, $2, $3, 'use', $4, $5, $6, $7, $8)";
const DEDUCT: &str = "UPDATE point SET amount = $2, version = $3, last_updated = $4 WHERE user_id = $1";
const SELL_SEAT: &str = "UPDATE seat SET status = 'sold', updated_at = $2 WHERE seat_id = $1";
const CONFIRM: &str = "UPDATE reservation SET status = 'confirmed', confirmed_at = $2 WHERE reservation_id = $1";
const END_TOKEN: &str = "UPDATE waiting_token
     SET status = 'ended', active_until = NULL, due_from = NULL, expired_at = $3, end_reason = 'paid'
     WHERE room_id = $1 AND position = $2";

impl Baseline {
    /// With at most so many connections to the database at `url`.
    ///
    /// # Errors
    /// The address cannot be read.
    pub fn connect(url: &str, connections: usize, pace: SendMode) -> anyhow::Result<Self> {
        let manager = Manager::from_config(
            office::config(url)?,
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        Ok(Self { pool: Pool::builder(manager).max_size(connections).build()?, pace })
    }

    /// Holds a seat; returns the reservation as JSON.
    ///
    /// # Errors
    /// The refusal, or what went wrong; nothing was done.
    pub async fn hold(
        &self,
        user: UserId,
        token: TokenId,
        seat: SeatId,
        key: Idempotency,
    ) -> Result<String, BaselineError> {
        let client = self.pool.get().await?;
        let done = hold(&client, self.pace, user, token, seat, &key).await;
        settle(&client, &key, done).await
    }

    /// Pays for a reservation; returns the payment as JSON.
    ///
    /// # Errors
    /// The refusal, or what went wrong; nothing was done.
    pub async fn pay(
        &self,
        user: UserId,
        token: TokenId,
        reservation: ReservationId,
        key: Idempotency,
    ) -> Result<String, BaselineError> {
        let client = self.pool.get().await?;
        let done = pay(&client, self.pace, user, token, reservation, &key).await;
        settle(&client, &key, done).await
    }
}

/// Undoes what was not done, and answers a key that was used before with the answer of then.
async fn settle(
    client: &Object,
    key: &Idempotency,
    done: Result<String, BaselineError>,
) -> Result<String, BaselineError> {
    let Err(stop) = done else { return done };
    client.batch_execute("ROLLBACK").await?;
    if !matches!(stop, BaselineError::Refused("replay")) {
        return Err(stop);
    }
    let kept = client.prepare_cached(KEPT).await?;
    let row = client.query_one(&kept, &[&key.key.as_slice()]).await?;
    if row.get::<_, &[u8]>(0) == key.fingerprint {
        Ok(row.get(1))
    } else {
        Err(BaselineError::Refused("idempotency_key_reused"))
    }
}

/// The key's row was there before: its first request was done.
fn key_taken(error: tokio_postgres::Error) -> BaselineError {
    let taken = error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::UNIQUE_VIOLATION && error.constraint() == Some("idempotency_key_unique")
    });
    if taken { BaselineError::Refused("replay") } else { error.into() }
}

fn refuse_unless(condition: bool, why: &'static str) -> Result<(), BaselineError> {
    if condition { Ok(()) } else { Err(BaselineError::Refused(why)) }
}

fn check_token(token: &Row, user: UserId, now: i64) -> Result<(), BaselineError> {
    refuse_unless(token.get::<_, Uuid>(0) == user.0, "token_invalid")?;
    let is_active = token.get::<_, &str>(1) == "active" && token.get::<_, Option<i64>>(2).is_some_and(|end| end > now);
    refuse_unless(is_active, "token_not_active")
}

/// The statements, prepared once a connection.
async fn prepared<const N: usize>(client: &Object, texts: [&str; N]) -> Result<[Statement; N], BaselineError> {
    let mut statements = Vec::with_capacity(N);
    for text in texts {
        statements.push(client.prepare_cached(text).await?);
    }
    statements.try_into().map_err(|_| BaselineError::Failed("statements are missing".to_owned()))
}

/// Runs a statement that changes one row.
async fn change(client: &Object, statement: &Statement, row: &[&(dyn ToSql + Sync)]) -> Result<(), BaselineError> {
    client.execute(statement, row).await?;
    Ok(())
}

/// Sends steps that do not need each other's answers.
macro_rules! send {
    ($pace:expr, $($step:expr),+ $(,)?) => {
        match $pace {
            SendMode::OneByOne => ($($step.await?,)+),
            SendMode::Pipelined => tokio::try_join!($($step),+)?,
        }
    };
}

async fn hold(
    client: &Object,
    pace: SendMode,
    user: UserId,
    token: TokenId,
    seat: SeatId,
    key: &Idempotency,
) -> Result<String, BaselineError> {
    let (room, number, seat_id) = (token.room_id.get(), token.position.0, seat.get());
    let [by_token, by_seat, reserve, hold_seat, lift_token, keep] =
        prepared(client, [TOKEN, SEAT, RESERVE, HOLD_SEAT, LIFT_TOKEN, KEEP]).await?;
    let (token_keys, seat_keys) = (params![room, number], params![seat_id, user.0]);
    let ((), token_row, seat_row) = send!(
        pace,
        client.batch_execute("BEGIN"),
        client.query_opt(&by_token, token_keys),
        client.query_opt(&by_seat, seat_keys),
    );

    let token_row = token_row.ok_or(BaselineError::Refused("token_invalid"))?;
    let seat_row = seat_row.ok_or(BaselineError::Refused("not_found"))?;
    let (id, now): (i64, i64) = (seat_row.get(11), seat_row.get(12));
    check_token(&token_row, user, now)?;
    refuse_unless(seat_row.get::<_, i64>(4) == room, "token_of_another_room")?;
    let is_open = seat_row.get::<_, i64>(6) <= now && now < seat_row.get::<_, i64>(7);
    refuse_unless(seat_row.get::<_, &str>(5) == "scheduled" && is_open, "sale_closed")?;
    match seat_row.get::<_, &str>(3) {
        "available" => {}
        "held" => {
            let is_over = seat_row.get::<_, Option<i64>>(8).is_some_and(|until| until <= now);
            refuse_unless(is_over, "seat_held")?;
            let [expire] = prepared(client, [EXPIRE]).await?;
            change(client, &expire, params![seat_row.get::<_, i64>(9), now]).await?;
        }
        _ => return Err(BaselineError::Refused("seat_sold")),
    }
    refuse_unless(seat_row.get::<_, i64>(10) < MAX_SEATS_PER_USER, "too_many_seats")?;

    let (concert, seat_number, price): (i64, i32, i64) = (seat_row.get(0), seat_row.get(1), seat_row.get(2));
    let until = now + HOLD;
    let answer = format!(
        "{{\"reservation_id\":{id},\"user_id\":\"{}\",\"concert_id\":{concert},\"seat_id\":{seat_id},\
         \"seat_number\":{seat_number},\"price\":{price},\"status\":\"pending\",\"created_at\":\"{}\",\
         \"expires_at\":\"{}\",\"confirmed_at\":null,\"closed_at\":null}}",
        user.0,
        Time::from_micros(now),
        Time::from_micros(until),
    );
    let reservation = params![id, user.0, concert, seat_id, seat_number, price, now, until];
    let (seat, lifted) = (params![seat_id, id, now], params![room, number, until + PAY_GRACE]);
    let kept = params![now, key.key.as_slice(), key.fingerprint.as_slice(), answer];
    send!(
        pace,
        change(client, &reserve, reservation),
        change(client, &hold_seat, seat),
        change(client, &lift_token, lifted),
        store_answer(client, &keep, kept),
        commit(client),
    );
    Ok(answer)
}

async fn store_answer(client: &Object, keep: &Statement, row: &[&(dyn ToSql + Sync)]) -> Result<(), BaselineError> {
    client.execute(keep, row).await.map_err(key_taken)?;
    Ok(())
}

async fn commit(client: &Object) -> Result<(), BaselineError> {
    Ok(client.batch_execute("COMMIT").await?)
}

async fn pay(
    client: &Object,
    pace: SendMode,
    user: UserId,
    token: TokenId,
    reservation: ReservationId,
    key: &Idempotency,
) -> Result<String, BaselineError> {
    let (room, position, reservation) = (token.room_id.get(), token.position.0, reservation.get());
    let [by_token, by_account, by_reservation] = prepared(client, [TOKEN, ACCOUNT, RESERVATION]).await?;
    let [store, note, deduct, sell, confirm, end_token, keep] =
        prepared(client, [PAY, NOTE, DEDUCT, SELL_SEAT, CONFIRM, END_TOKEN, KEEP]).await?;
    let (token_keys, account_keys, reservation_keys) = (params![room, position], params![user.0], params![reservation]);
    let ((), token_row, account, row) = send!(
        pace,
        client.batch_execute("BEGIN"),
        client.query_opt(&by_token, token_keys),
        client.query_opt(&by_account, account_keys),
        client.query_opt(&by_reservation, reservation_keys),
    );

    let row = row.filter(|row| row.get::<_, Uuid>(0) == user.0).ok_or(BaselineError::Refused("not_found"))?;
    let token_row = token_row.ok_or(BaselineError::Refused("token_invalid"))?;
    let account = account.ok_or(BaselineError::Refused("insufficient_balance"))?;
    let (id, history, now): (i64, i64, i64) = (row.get(11), row.get(12), row.get(13));
    check_token(&token_row, user, now)?;
    refuse_unless(row.get::<_, i64>(9) == room, "token_of_another_room")?;
    refuse_unless(row.get::<_, &str>(10) == "scheduled", "sale_closed")?;
    refuse_unless(row.get::<_, &str>(5) == "pending" && now < row.get::<_, i64>(6), "reservation_not_pending")?;
    let is_its_own = row.get::<_, &str>(7) == "held" && row.get::<_, Option<i64>>(8) == Some(reservation);
    refuse_unless(is_its_own, "reservation_not_pending")?;
    let (seat, number, price): (i64, i32, i64) = (row.get(2), row.get(3), row.get(4));
    let (balance, version): (i64, i64) = (account.get(0), account.get(1));
    refuse_unless(balance >= price, "insufficient_balance")?;

    let (left, version) = (balance - price, version + 1);
    let description = format!("seat {number}, reservation {reservation}");
    let paid_at = Time::from_micros(now);
    let answer = format!(
        "{{\"payment_id\":{id},\"user_id\":\"{}\",\"reservation_id\":{reservation},\"amount\":{price},\
         \"status\":\"completed\",\"paid_at\":\"{paid_at}\",\"refunded_at\":null,\"created_at\":\"{paid_at}\"}}",
        user.0,
    );
    let payment = params![id, user.0, reservation, price, now];
    let entry = params![history, user.0, -price, description, left, version, id, now];
    let (point, sold) = (params![user.0, left, version, now], params![seat, now]);
    let (confirmed, ended) = (params![reservation, now], params![room, position, now]);
    let kept = params![now, key.key.as_slice(), key.fingerprint.as_slice(), answer];
    send!(
        pace,
        change(client, &store, payment),
        change(client, &note, entry),
        change(client, &deduct, point),
        change(client, &sell, sold),
        change(client, &confirm, confirmed),
        change(client, &end_token, ended),
        store_answer(client, &keep, kept),
        commit(client),
    );
    Ok(answer)
}
