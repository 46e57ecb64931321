//! Prepares the database: whether it can be trusted, and its tables.

use super::{
    connect::{PLAN_FREELY, Params, Pool, PooledConnection, Statement},
    error,
};
use crate::{
    StoreError,
    migrate::{self, Migration},
};
use frontrow_clock::{Clock, check_skew, skew};
use frontrow_domain::{
    id::RoomId,
    time::{Span, Time},
};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// The oldest server version that the statements support.
const VERSION_MIN: i32 = 150_000;
/// If the clocks differ by more, one of them is wrong and an operator must act: times that users see come from both.
const SKEW_MAX: Span = Span::from_secs(60);
/// "FROWSCHM": an advisory lock that an instance holds while it changes the tables.
const MIGRATION_LOCK: i64 = 0x4652_4f57_5343_484d;
/// How long another instance may take to change the tables before this one gives up.
const MIGRATION_PATIENCE: Duration = Duration::from_mins(2);
/// The first and the longest wait for another instance; waits double.
const WAIT_MIN: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The applied steps, one row each.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS frontrow_schema (
    version    bigint      NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)";

const SERVER: Statement = Statement {
    sql: "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS release,
              pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,
              (SELECT min(name)::text FROM pg_settings
               WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off') AS off,
              getdatabaseencoding()::text AS encoding,
              (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros",
    types: &[],
};

/// The schema in which tables are created: whether it has the table of versions, and the name of another program's
/// table.
const CONTENT: Statement = Statement {
    sql: "SELECT to_regclass(quote_ident(current_schema()) || '.frontrow_schema') IS NOT NULL,
              (SELECT min(relname)::text FROM pg_class AS c
               WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
                   AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid
                                   AND deptype = 'e')),
              current_schema()::text",
    types: &[],
};

const VERSION: Statement = Statement { sql: "SELECT coalesce(max(version), 0) FROM frontrow_schema", types: &[] };

const LOCK: Statement = Statement { sql: "SELECT pg_try_advisory_xact_lock($1)", types: &[Type::INT8] };

const APPLIED: Statement =
    Statement { sql: "INSERT INTO frontrow_schema (version, name) VALUES ($1, $2)", types: &[Type::INT8, Type::TEXT] };

/// Includes the numbers of the server and the database: a copy of a box office in another database is a different one.
const OFFICE: Statement = Statement {
    sql: "SELECT office_id, (SELECT system_identifier FROM pg_control_system()),
              (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) FROM office",
    types: &[],
};

const NEW_OFFICE: Statement =
    Statement { sql: "INSERT INTO office (created_at) VALUES ($1) ON CONFLICT DO NOTHING", types: &[Type::INT8] };

/// The house room and its first cap.
const NEW_HOUSE: Statement = Statement {
    sql: "WITH house AS (
              INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, fence,
                                updated_at, allotted_at)
              VALUES ($1, $2, 'open', 0, 1, 0, 0, $3, 0, $3, $3) ON CONFLICT DO NOTHING
              RETURNING room_id, max_active, updated_at)
          INSERT INTO room_cap (room_id, max_active, since) SELECT room_id, max_active, updated_at FROM house",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// Checks that the server keeps what it has acknowledged, accepts writes, and agrees about the time.
///
/// # Errors
/// [`StoreError::Unavailable`] with the fault and its remedy.
pub(super) async fn check(pool: &Pool, clock: &Clock) -> Result<(), StoreError> {
    let session = pool.get().await?;
    let before = clock.wall();
    let rows = session.query(&SERVER, &[]).await.map_err(|failure| error::of_work(&failure))?;
    let after = clock.wall();
    session.finish();
    let row =
        rows.first().ok_or_else(|| StoreError::Unavailable("the server does not state its settings".to_owned()))?;
    let server = ServerState::of(row).map_err(|failure| error::of_work(&failure))?;
    let trusted = server.check().and_then(|()| {
        if clock.is_manual() {
            return Ok(());
        }
        check_skew(skew(server.now, before, after), SKEW_MAX).map_err(|apart| apart.to_string())
    });
    trusted.map_err(|text| StoreError::Unavailable(format!("{}: {text}", pool.name())))
}

#[derive(Debug, Clone)]
struct ServerState {
    version: i32,
    release: String,
    read_only: bool,
    /// A durability setting that is off.
    off: Option<String>,
    encoding: String,
    now: Time,
}

impl ServerState {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            version: row.try_get("version")?,
            release: row.try_get("release")?,
            read_only: row.try_get("read_only")?,
            off: row.try_get("off")?,
            encoding: row.try_get("encoding")?,
            now: Time::from_micros(row.try_get("micros")?),
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.version < VERSION_MIN {
            return Err(format!("PostgreSQL {} is too old: 15 or newer is needed", self.release));
        }
        if self.read_only {
            return Err("it is a replica or read-only: the primary is needed".to_owned());
        }
        if let Some(setting) = &self.off {
            return Err(format!("{setting} is off: what was acknowledged could be lost with a power cut"));
        }
        if self.encoding != "UTF8" {
            return Err(format!("its encoding is {}: make a database with ENCODING 'UTF8'", self.encoding));
        }
        Ok(())
    }
}

/// Brings the tables up to date. Any number of instances may do so at once: one does the work, the others wait for it.
///
/// # Errors
/// [`StoreError::Misfit`] if the database is newer than this program or belongs to another one;
/// [`StoreError::Unavailable`] if the server is down or another instance takes too long.
pub(super) async fn migrate(pool: &Pool, steps: &[Migration]) -> Result<(), StoreError> {
    let started = Instant::now();
    let mut wait = WAIT_MIN;
    loop {
        match step(pool, steps).await {
            Ok(MigrationProgress::Done) => return Ok(()),
            Ok(MigrationProgress::More) => wait = WAIT_MIN,
            Ok(MigrationProgress::Busy) if started.elapsed() < MIGRATION_PATIENCE => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            Ok(MigrationProgress::Busy) => {
                let text = format!("{}: another instance is still changing the tables", pool.name());
                return Err(StoreError::Unavailable(text));
            }
            Err(failure) => return Err(failure),
        }
    }
}

enum MigrationProgress {
    Done,
    More,
    Busy,
}

/// Applies one step and records it, in one transaction.
async fn step(pool: &Pool, steps: &[Migration]) -> Result<MigrationProgress, StoreError> {
    let session = pool.get().await?;
    match step_on(&session, steps).await {
        Ok(Ok(progress)) => {
            // After a failed commit, the next run starts over: the version shows whether it happened.
            session.commit().await.map_err(|failure| error::of_work(&failure))?;
            session.finish();
            Ok(progress)
        }
        Ok(Err(refused)) => Err(refused),
        // Waiting for a table that running instances use must not hold them up: the lock times out, and the step is
        // retried.
        Err(failure) if error::cause(&failure) == error::Cause::Contended => Ok(MigrationProgress::Busy),
        Err(failure) => Err(error::of_work(&failure)),
    }
}

async fn step_on(
    session: &PooledConnection<'_>,
    steps: &[Migration],
) -> Result<Result<MigrationProgress, StoreError>, tokio_postgres::Error> {
    session.begin().await?;
    if !flag(session, &LOCK, &[&MIGRATION_LOCK]).await? {
        return Ok(Ok(MigrationProgress::Busy));
    }
    let content = session.query(&CONTENT, &[]).await?;
    let Some(content) = content.first() else { return Ok(Ok(MigrationProgress::Busy)) };
    let (ours, table, schema): (bool, Option<String>, Option<String>) =
        (content.try_get(0)?, content.try_get(1)?, content.try_get(2)?);
    let Some(schema) = schema else {
        return Ok(Err(StoreError::Unavailable("search_path names no schema that exists".to_owned())));
    };
    if let (false, Some(table)) = (ours, table) {
        let text =
            format!("schema {schema} has another program's tables ({table}): give Frontrow a database of its own");
        return Ok(Err(StoreError::Misfit(text)));
    }
    // A step over many rows has no time limit. The lock time-out stays.
    session.batch("SET LOCAL statement_timeout = 0").await?;
    session.batch(PLAN_FREELY).await?;
    session.batch("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'").await?;
    if !ours {
        session.batch(VERSIONS).await?;
    }
    let version = number(session, &VERSION).await?;
    let mut pending = match migrate::pending(steps, version) {
        Ok(pending) => pending,
        Err(newer) => return Ok(Err(newer)),
    };
    let Some(step) = pending.next() else { return Ok(Ok(MigrationProgress::Done)) };
    tracing::info!(schema.version = step.version, schema.step = step.name, "changing the database's tables");
    session.batch(step.sql).await?;
    session.execute(&APPLIED, &[&step.version, &step.name]).await?;
    Ok(Ok(if pending.next().is_some() { MigrationProgress::More } else { MigrationProgress::Done }))
}

async fn flag(
    session: &PooledConnection<'_>,
    statement: &Statement,
    params: Params<'_>,
) -> Result<bool, tokio_postgres::Error> {
    session.query_opt(statement, params).await?.map_or(Ok(false), |row| row.try_get(0))
}

async fn number(session: &PooledConnection<'_>, statement: &Statement) -> Result<i64, tokio_postgres::Error> {
    session.query_opt(statement, &[]).await?.map_or(Ok(0), |row| row.try_get(0))
}

/// Adds the office's id and the house room if they are missing. Returns the installation's id.
pub(super) async fn seed(pool: &Pool, now: Time, house_max_active: i64) -> Result<Uuid, StoreError> {
    let session = pool.get().await?;
    let office = seed_on(&session, now, house_max_active).await.map_err(|failure| error::of_work(&failure))?;
    session.finish();
    office.ok_or_else(|| StoreError::Corrupt("the table \"office\" has no row".to_owned()))
}

async fn seed_on(
    session: &PooledConnection<'_>,
    now: Time,
    house_max_active: i64,
) -> Result<Option<Uuid>, tokio_postgres::Error> {
    session.begin().await?;
    session.execute(&NEW_OFFICE, &[&now.micros()]).await?;
    session.execute(&NEW_HOUSE, &[&RoomId::HOUSE.get(), &house_max_active, &now.micros()]).await?;
    let office = session.query_opt(&OFFICE, &[]).await?;
    session.commit().await?;
    office.map(|row| Ok(installation_id(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).transpose()
}

/// Identifies the installation: the same for all instances over one database, and for a standby of it.
fn installation_id(office: Uuid, system: i64, database: i64) -> Uuid {
    let digest = Sha256::new()
        .chain_update(office)
        .chain_update(system.to_be_bytes())
        .chain_update(database.to_be_bytes())
        .finalize();
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    Uuid::from_bytes(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> ServerState {
        ServerState {
            version: 150_004,
            release: "15.4".to_owned(),
            read_only: false,
            off: None,
            encoding: "UTF8".to_owned(),
            now: Time::default(),
        }
    }

    #[test]
    fn a_server_that_cannot_be_trusted_with_a_sale_is_refused() {
        assert_eq!(good().check(), Ok(()));
        for (bad, word) in [
            (ServerState { version: 140_010, release: "14.10".to_owned(), ..good() }, "14.10"),
            (ServerState { read_only: true, ..good() }, "read-only"),
            (ServerState { off: Some("fsync".to_owned()), ..good() }, "fsync is off"),
            (ServerState { encoding: "SQL_ASCII".to_owned(), ..good() }, "SQL_ASCII"),
        ] {
            let text = bad.check().unwrap_err();
            assert!(text.contains(word), "{text}");
        }
    }
}
