//! `user`: accounts.

use super::{find as find_row, find_by, list, micros, one, size};
use crate::{
    Page,
    enum_text::EnumText,
    filter::{after_start, contains, each_once},
    sqlite::columns::Columns,
};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::UserId,
    user::{OperatorPresence, User},
    world::World,
};
use rusqlite::{Connection, Result, params};
use uuid::Uuid;

macro_rules! columns {
    () => {
        "user_id, name, email, role, created_at, updated_at, status, sign_in_epoch, signed_in_at, \
         email_confirmed_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<User> {
    Ok(User {
        user_id: row.user_id()?,
        name: row.value()?,
        email: row.value()?,
        role: row.word()?,
        created_at: row.time()?,
        updated_at: row.time()?,
        status: row.word()?,
        sign_in_epoch: row.value()?,
        signed_in_at: row.time()?,
        email_confirmed_at: row.time_or_none()?,
    })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM \"user\" WHERE user_id = ?1");

pub(crate) fn find(conn: &Connection, id: UserId) -> Result<Option<User>> {
    find_row(conn, FIND, (id.0,), read)
}

/// Whether there is an operator, and whether the log says that there was one.
const OPERATORS: &str = "SELECT EXISTS (SELECT 1 FROM \"user\" WHERE role = 'operator'),
        EXISTS (SELECT 1 FROM audit_log INDEXED BY audit_of_operators
                WHERE action IN ('operator.add', 'user.role')
                  AND (action = 'operator.add' OR json_extract(detail, '$.role') = 'operator'))";

pub(crate) fn operators(conn: &Connection) -> Result<OperatorPresence> {
    conn.prepare_cached(OPERATORS)?.query_row((), |row| {
        Ok(match (row.get(0)?, row.get(1)?) {
            (true, _) => OperatorPresence::Present,
            (false, true) => OperatorPresence::Gone,
            (false, false) => OperatorPresence::Never,
        })
    })
}

pub(crate) fn load(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    if keys.first_operator {
        world.operators = operators(conn)?;
    }
    if !keys.emails.is_empty() {
        let mut select = conn.prepare_cached("SELECT user_id FROM \"user\" WHERE email = ?1")?;
        for email in &keys.emails {
            if let Some(user) = find_by(&mut select, (email,), |row| row.value().map(UserId))? {
                world.emails.insert(email.clone(), user);
            }
        }
    }
    if !keys.users.is_empty() {
        let mut select = conn.prepare_cached(FIND)?;
        for id in &keys.users {
            if let Some(user) = find_by(&mut select, (id.0,), read)? {
                world.users.load(*id, user);
            }
        }
    }
    Ok(())
}

const INSERT: &str =
    "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at, signed_in_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)";

const UPDATE: &str =
    "UPDATE \"user\" SET name = ?2, email = ?3, role = ?4, status = ?5, sign_in_epoch = ?6, updated_at = ?7,
         email_confirmed_at = ?8
     WHERE user_id = ?1";

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    if !changes.new_users.is_empty() {
        let mut insert = conn.prepare_cached(INSERT)?;
        for user in &changes.new_users {
            insert.execute(params![
                user.user_id.0,
                user.name,
                user.email,
                user.password_hash,
                user.role.word(),
                changes.now.micros()
            ])?;
        }
    }
    for user in &changes.users {
        conn.prepare_cached(UPDATE)?
            .execute(params![
                user.user_id.0,
                user.name,
                user.email,
                user.role.word(),
                user.status.word(),
                user.sign_in_epoch,
                user.updated_at.micros(),
                micros(user.email_confirmed_at)
            ])
            .and_then(one)?;
    }
    for user in &changes.sign_ins {
        conn.prepare_cached("UPDATE \"user\" SET signed_in_at = ?2 WHERE user_id = ?1")?
            .execute((user.0, changes.now.micros()))
            .and_then(one)?;
    }
    for (user, hash) in &changes.new_passwords {
        conn.prepare_cached("UPDATE \"user\" SET password_hash = ?2 WHERE user_id = ?1")?
            .execute((user.0, &hash.0))
            .and_then(one)?;
    }
    Ok(())
}

const CREDENTIALS: &str = concat!("SELECT ", columns!(), ", password_hash FROM \"user\" WHERE email = ?1");

pub(crate) fn credentials(conn: &Connection, email: &str) -> Result<Option<(User, String)>> {
    find_row(conn, CREDENTIALS, (email,), |row| Ok((read(row)?, row.value()?)))
}

const PAGE: &str = concat!("SELECT ", columns!(), " FROM \"user\" WHERE user_id < ?1 ORDER BY user_id DESC");

pub(crate) fn page(conn: &Connection, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>> {
    // Searched here and not in SQL, whose lower() knows ASCII only.
    let wanted = text.map(frontrow_domain::text::folded);
    let mut select = conn.prepare_cached(PAGE)?;
    let mut found = Vec::new();
    // The highest possible id is never a user's: it has no UUID version.
    let mut rows = select.query((page.after.map_or(Uuid::max(), |after| after.0),))?;
    while found.len() < size(page.limit)
        && let Some(row) = rows.next()?
    {
        let (name, email) = (row.get_ref("name")?.as_str()?, row.get_ref("email")?.as_str()?);
        if wanted.as_ref().is_none_or(|text| contains(name, text) || contains(email, text)) {
            found.push(read(&mut Columns::of(row))?);
        }
    }
    Ok(found)
}

/// The users of one index from the start of a text on, up to its end.
macro_rules! starting_with {
    ($index:literal, $key:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM \"user\" INDEXED BY ",
            $index,
            " WHERE ",
            $key,
            " >= ?1 AND ",
            $key,
            " < ?2 ORDER BY ",
            $key,
            ", user_id LIMIT ?3"
        )
    };
}

const STARTING_WITH: [&str; 3] = [
    // The index of the constraint `user_email_unique`, which has no name that a statement may use.
    concat!("SELECT ", columns!(), " FROM \"user\" WHERE email >= ?1 AND email < ?2 ORDER BY email LIMIT ?3"),
    starting_with!("user_by_name", "lower(name)"),
    starting_with!(
        "user_by_later_name",
        "lower(CASE WHEN instr(name, ' ') > 0 THEN substr(name, instr(name, ' ') + 1) ELSE substr(name, 2) END)"
    ),
];

pub(crate) fn starting_with(conn: &Connection, start: &str, limit: u32) -> Result<Vec<User>> {
    let end = after_start(start);
    let mut found = Vec::new();
    for sql in STARTING_WITH {
        found.extend(list(conn, sql, (start, &end, limit), read)?);
    }
    Ok(each_once(found, limit))
}
