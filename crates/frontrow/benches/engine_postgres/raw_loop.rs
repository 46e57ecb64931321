//! The same row changes in a plain loop: what one connection to `PostgreSQL` can do on this machine.
//!
//! Each batch is two pipelined round trips, as the store's are: the rows that change are locked, then changed and
//! committed. Nothing is decided, nothing else is read, and the ids are counted here.

use anyhow::{Result, ensure};
use frontrow_clock::Ids;
use frontrow_domain::id::UserId;
use frontrow_testkit::bench::{Rates, office, per_second};
use std::time::Instant;
use tokio::try_join;
use tokio_postgres::{Client, Statement, types::ToSql};
use uuid::Uuid;

/// As long as the answers that the store keeps.
const HELD: &str = r#"{"Ok":{"outcome":"held","value":[{"reservation_id":12345,"user_id":"0193f3c4-5a6b-7c8d-9e0f-112233445566","concert_id":1,"seat_id":12345,"seat_number":12345,"price":120000,"status":"pending","created_at":"2027-01-15T08:00:00Z","expires_at":"2027-01-15T08:05:00Z","confirmed_at":null,"closed_at":null}]}}"#;
const PAID: &str = r#"{"Ok":{"outcome":"paid","value":[{"payment_id":12345,"user_id":"0193f3c4-5a6b-7c8d-9e0f-112233445566","reservation_id":12345,"amount":120000,"status":"completed","paid_at":"2027-01-15T08:00:00Z","refunded_at":null,"created_at":"2027-01-15T08:00:00Z"}]}}"#;

const LOCK_TOKENS: &str =
    "SELECT position FROM waiting_token WHERE room_id = 1 AND position = any($1) ORDER BY position FOR NO KEY UPDATE";
const LOCK_SEATS: &str = "SELECT seat_id FROM seat WHERE seat_id = any($1) ORDER BY seat_id FOR NO KEY UPDATE";
const LOCK_POINTS: &str = "SELECT user_id FROM point WHERE user_id = any($1) ORDER BY user_id FOR NO KEY UPDATE";
const LOCK_RESERVATIONS: &str = "SELECT reservation_id FROM reservation WHERE reservation_id = any($1)
     ORDER BY reservation_id FOR NO KEY UPDATE";
const KEEP: &str = "INSERT INTO idempotency (key, fingerprint, answer, created_at)
     SELECT k, f, $3, $4 FROM unnest($1::bytea[], $2::bytea[]) u(k, f)";

/// Holds and payments per second of the buyers with these numbers, in batches of `batch`.
///
/// # Errors
/// The server is gone, or a row is not as it should be.
pub(crate) async fn run(url: &str, buyers: &[i64], batch: usize) -> Result<Rates> {
    let client = office::connect(url).await?;
    let now: i64 =
        client.query_one("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", &[]).await?.get(0);
    let ids = Ids::from_seed(buyers[0].unsigned_abs());
    let batches: Vec<Batch> = buyers
        .chunks(batch)
        .scan(0_i64, |last, chunk| {
            let first = *last + 1 + (chunk[0] * 1_000_000);
            *last += i64::try_from(chunk.len()).unwrap_or(0);
            Some(Batch::new(chunk, first, &ids))
        })
        .collect();
    Ok(Rates {
        holds: holds(&client, &batches, now, buyers.len()).await?,
        payments: payments(&client, &batches, now, buyers.len()).await?,
    })
}

/// The columns of a batch, made before the clock runs.
struct Batch {
    /// A buyer's token and the seat they want have the same number.
    numbers: Vec<i64>,
    users: Vec<Uuid>,
    /// The reservations' ids, and the payments'.
    ids: Vec<i64>,
    seat_numbers: Vec<i32>,
    descriptions: Vec<String>,
    secrets: [Vec<Vec<u8>>; 4],
}

impl Batch {
    fn new(numbers: &[i64], first: i64, ids: &Ids) -> Self {
        let secrets = || numbers.iter().map(|_| ids.secret().to_vec()).collect();
        Self {
            numbers: numbers.to_vec(),
            users: numbers.iter().map(|number| office::user_id(*number)).map(|UserId(id)| id).collect(),
            ids: (first..).take(numbers.len()).collect(),
            seat_numbers: numbers.iter().map(|number| i32::try_from(*number).unwrap_or(0)).collect(),
            descriptions: numbers.iter().map(|number| format!("seat {number}, reservation {first}")).collect(),
            secrets: [secrets(), secrets(), secrets(), secrets()],
        }
    }
}

/// The columns that a statement is given.
type Columns<'a, const N: usize> = [&'a (dyn ToSql + Sync); N];

async fn lock<const N: usize>(client: &Client, statement: &Statement, columns: Columns<'_, N>) -> Result<usize> {
    Ok(client.query(statement, &columns).await?.len())
}

async fn change<const N: usize>(client: &Client, statement: &Statement, columns: Columns<'_, N>) -> Result<usize> {
    Ok(usize::try_from(client.execute(statement, &columns).await?)?)
}

async fn begin(client: &Client) -> Result<()> {
    Ok(client.batch_execute("BEGIN").await?)
}

async fn commit(client: &Client) -> Result<()> {
    Ok(client.batch_execute("COMMIT").await?)
}

async fn holds(client: &Client, batches: &[Batch], now: i64, count: usize) -> Result<f64> {
    let tokens = client.prepare(LOCK_TOKENS).await?;
    let seats = client.prepare(LOCK_SEATS).await?;
    let reserve = client
        .prepare(
            "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status,
                 created_at, expires_at)
             SELECT id, u, 1, seat, number, 1000, 'pending', $5::bigint, $5::bigint + 300000000
             FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::integer[]) r(id, u, seat, number)",
        )
        .await?;
    let hold = client
        .prepare(
            "UPDATE seat s SET status = 'held', reservation_id = u.id, updated_at = $3
             FROM unnest($1::bigint[], $2::bigint[]) u(seat, id) WHERE s.seat_id = u.seat",
        )
        .await?;
    let lift = client
        .prepare(
            "UPDATE waiting_token t SET active_until = active_until + $2::bigint
             FROM unnest($1::bigint[]) u(place) WHERE t.room_id = 1 AND t.position = u.place",
        )
        .await?;
    let keep = client.prepare(KEEP).await?;
    let started = Instant::now();
    for batch in batches {
        let ((), locked, found) =
            try_join!(begin(client), lock(client, &tokens, [&batch.numbers]), lock(client, &seats, [&batch.numbers]))?;
        let rows = batch.numbers.len();
        ensure!((locked, found) == (rows, rows), "rows are missing");
        let reservations: Columns<'_, 5> = [&batch.ids, &batch.users, &batch.numbers, &batch.seat_numbers, &now];
        let kept: Columns<'_, 4> = [&batch.secrets[0], &batch.secrets[1], &HELD, &now];
        let done = try_join!(
            change(client, &reserve, reservations),
            change(client, &hold, [&batch.numbers, &batch.ids, &now]),
            change(client, &lift, [&batch.numbers, &30_000_000_i64]),
            change(client, &keep, kept),
            commit(client)
        )?;
        ensure!((done.0, done.1, done.2, done.3) == (rows, rows, rows, rows), "rows were not changed: {done:?}");
    }
    Ok(per_second(count, started.elapsed()))
}

async fn payments(client: &Client, batches: &[Batch], now: i64, count: usize) -> Result<f64> {
    let tokens = client.prepare(LOCK_TOKENS).await?;
    let points = client.prepare(LOCK_POINTS).await?;
    let reservations = client.prepare(LOCK_RESERVATIONS).await?;
    let seats = client.prepare(LOCK_SEATS).await?;
    let confirm = client
        .prepare(
            "UPDATE reservation r SET status = 'confirmed', confirmed_at = $2
             FROM unnest($1::bigint[]) u(id) WHERE r.reservation_id = u.id",
        )
        .await?;
    let sell = client
        .prepare(
            "UPDATE seat s SET status = 'sold', updated_at = $2
             FROM unnest($1::bigint[]) u(id) WHERE s.seat_id = u.id",
        )
        .await?;
    let deduct = client
        .prepare(
            "UPDATE point p SET amount = 999000, version = 2, last_updated = $2
             FROM unnest($1::uuid[]) u(id) WHERE p.user_id = u.id",
        )
        .await?;
    let pay = client
        .prepare(
            "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, created_at)
             SELECT id, u, id, 1000, 'completed', $3, $3 FROM unnest($1::bigint[], $2::uuid[]) r(id, u)",
        )
        .await?;
    let note = client
        .prepare(
            "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version,
                 payment_id, created_at)
             SELECT id + 100000000, u, -1000, 'use', d, 999000, 2, id, $4
             FROM unnest($1::bigint[], $2::uuid[], $3::text[]) r(id, u, d)",
        )
        .await?;
    let end = client
        .prepare(
            "UPDATE waiting_token t SET status = 'ended', active_until = NULL, due_from = NULL, expired_at = $2,
                 end_reason = 'paid'
             FROM unnest($1::bigint[]) u(place) WHERE t.room_id = 1 AND t.position = u.place",
        )
        .await?;
    let keep = client.prepare(KEEP).await?;
    let started = Instant::now();
    for batch in batches {
        let locked = try_join!(
            begin(client),
            lock(client, &tokens, [&batch.numbers]),
            lock(client, &points, [&batch.users]),
            lock(client, &reservations, [&batch.ids]),
            lock(client, &seats, [&batch.numbers])
        )?;
        let rows = batch.numbers.len();
        ensure!((locked.1, locked.2, locked.3, locked.4) == (rows, rows, rows, rows), "rows are missing");
        let history: Columns<'_, 4> = [&batch.ids, &batch.users, &batch.descriptions, &now];
        let kept: Columns<'_, 4> = [&batch.secrets[2], &batch.secrets[3], &PAID, &now];
        let done = try_join!(
            change(client, &confirm, [&batch.ids, &now]),
            change(client, &sell, [&batch.numbers, &now]),
            change(client, &deduct, [&batch.users, &now]),
            change(client, &pay, [&batch.ids, &batch.users, &now]),
            change(client, &note, history),
            change(client, &end, [&batch.numbers, &now]),
            change(client, &keep, kept),
            commit(client)
        )?;
        ensure!((done.0, done.1, done.2, done.5) == (rows, rows, rows, rows), "rows were not changed: {done:?}");
    }
    Ok(per_second(count, started.elapsed()))
}
