//! Opens a database file: checks that it belongs to this program, brings its schema up to date, adds the initial rows.

use super::{error, tables::room};
use crate::{StoreError, migrate};
use frontrow_domain::{id::RoomId, line::Room, time::Time};
use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension, Result, TransactionBehavior, config::DbConfig};
use std::{path::Path, time::Duration};

/// "FROW" in the file's header identifies the program.
const APPLICATION_ID: i64 = 0x4652_4f57;
/// Before 3.51.3 a rare race could corrupt a database in WAL mode.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// `quick_check` reads the whole file. Above this size (bytes) it would delay the start too long; `frontrow check`
/// remains.
const QUICK_CHECK_MAX: i64 = 32 * 1_024 * 1_024;
/// More than the program has statements: each is compiled once a connection.
const STATEMENTS_MAX: usize = 256;
/// Negative means KiB: 16 MiB of pages keep the upper levels of every index in memory.
const CACHE_SIZE: i64 = -16_384;
/// Log pages (64 MiB) before a checkpoint: rare checkpoints avoid writing hot pages many times over.
const CHECKPOINT_PAGES: i64 = 16_000;

/// Opens the writing connection; creates the file if there is none.
pub(super) fn open_writer(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    open_writing(path, busy).map_err(|error| match (error, why_unwritable(path)) {
        (StoreError::Unavailable(text), Some(why)) => StoreError::Unavailable(format!("{text}: {why}")),
        (error, _) => error,
    })
}

/// Why no file can be created in the folder, if that is so: `SQLite` only reports that it cannot open the database.
fn why_unwritable(path: &Path) -> Option<std::io::Error> {
    let probe = path.with_extension("probe");
    let error = std::fs::File::create_new(&probe).err();
    if error.is_none() {
        // A leftover probe is harmless.
        let _ = std::fs::remove_file(&probe);
    }
    error
}

fn open_writing(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    check_version()?;
    create_private(path)?;
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, busy).map_err(error::of_work)?;
    check_ours(&conn)?;
    configure(&conn)?;
    Ok(conn)
}

/// Opens the writing connection to the file again, with the checks of a start: the cause that made the first connection
/// useless may have damaged the file.
pub(super) fn reopen_writer(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, busy).map_err(error::of_work)?;
    // SQLite silently opens a file without write permission as read-only.
    if conn.is_readonly(MAIN_DB).map_err(error::of_work)? {
        return Err(StoreError::Unavailable("the file can only be read".to_owned()));
    }
    check_current(&conn)?;
    quick_check(&conn)?;
    configure(&conn)?;
    Ok(conn)
}

fn configure(conn: &Connection) -> Result<(), StoreError> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(error::of_work)?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!("the file system allows no WAL: journal mode is {mode}")));
    }
    configure_writer(conn).map_err(error::of_work)
}

/// The file holds password hashes: no other user of the machine may read it. The log gets the same permissions.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Unavailable(format!("{}: {error}", path.display()))),
    }
}

/// Opens a read-only connection.
pub(super) fn open_reader(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, busy).map_err(error::of_work)
}

fn connect(path: &Path, access: OpenFlags, busy: Duration) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(busy)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // One plan a statement, whatever is bound to it. Otherwise SQLite compiles a statement again each time that it is
    // taken from the cache, in case the new values suggest another plan.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cache_size", CACHE_SIZE)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(conn)
}

fn configure_writer(conn: &Connection) -> Result<()> {
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
}

fn check_version() -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        let version = rusqlite::version();
        return Err(StoreError::Unavailable(format!("SQLite {version} can corrupt a WAL database: 3.51.3 is needed")));
    }
    Ok(())
}

fn pragma(conn: &Connection, name: &str) -> Result<i64, StoreError> {
    conn.query_row(&format!("PRAGMA {name}"), (), |row| row.get(0)).map_err(error::of_work)
}

/// In bytes.
pub(super) fn page_size(conn: &Connection) -> Result<u64, StoreError> {
    let bytes = pragma(conn, "page_size")?;
    u64::try_from(bytes).map_err(|_| StoreError::Corrupt(format!("its pages have {bytes} bytes")))
}

/// Refuses a file that belongs to another program or is newer than this one.
fn check_ours(conn: &Connection) -> Result<(), StoreError> {
    let version = pragma(conn, "user_version")?;
    let application = pragma(conn, "application_id")?;
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(error::of_work)?;
    let empty = version == 0 && application == 0 && tables == 0;
    if !empty && application != APPLICATION_ID {
        return Err(StoreError::Misfit("the file is another program's database".to_owned()));
    }
    migrate::pending(migrate::SQLITE, version).map(|_| ())
}

/// Refuses a schema that is not this version's: a reader cannot migrate it.
pub(super) fn check_current(conn: &Connection) -> Result<(), StoreError> {
    check_version()?;
    check_ours(conn)?;
    if migrate::pending(migrate::SQLITE, pragma(conn, "user_version")?)?.next().is_some() {
        return Err(StoreError::Misfit("its schema is older than this program: run `frontrow migrate`".to_owned()));
    }
    Ok(())
}

/// Brings the schema up to date and adds the house room and the clock if they are missing.
pub(super) fn prepare(conn: &mut Connection, now: Time, house_max_active: i64) -> Result<(), StoreError> {
    quick_check(conn)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error::of_work)?;
    // Read again inside the transaction: another process may have migrated meanwhile.
    let version = pragma(&tx, "user_version")?;
    for step in migrate::pending(migrate::SQLITE, version)? {
        tx.execute_batch(step.sql)
            .and_then(|()| tx.pragma_update(None, "user_version", step.version))
            .and_then(|()| tx.pragma_update(None, "application_id", APPLICATION_ID))
            .map_err(error::of_work)?;
    }
    seed(&tx, now, house_max_active).map_err(error::of_work)?;
    tx.commit().map_err(error::of_commit)
}

fn seed(conn: &Connection, now: Time, house_max_active: i64) -> Result<()> {
    conn.execute("INSERT INTO clock (id, high_water) VALUES (1, ?1) ON CONFLICT DO NOTHING", (now.micros(),))?;
    let house = RoomId::HOUSE.get();
    let exists: Option<i64> =
        conn.query_row("SELECT 1 FROM room WHERE room_id = ?1", (house,), |row| row.get(0)).optional()?;
    if exists.is_none() {
        room::insert(conn, &Room::new(RoomId::HOUSE, house_max_active, now))?;
        conn.execute(
            "INSERT INTO room_cap (room_id, max_active, since) VALUES (?1, ?2, ?3)",
            (house, house_max_active, now.micros()),
        )?;
    }
    Ok(())
}

fn quick_check(conn: &Connection) -> Result<(), StoreError> {
    if pragma(conn, "page_count")?.saturating_mul(pragma(conn, "page_size")?) > QUICK_CHECK_MAX {
        tracing::info!("the database is large: skipping the quick check at start");
        return Ok(());
    }
    let found: String = conn.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(error::of_work)?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt(found)) }
}
