//! `"user"`: accounts.

use super::{IDS, NUMBER, TEXT, TEXTS, TIME, TIMES, UUID, UUIDS};
use crate::{
    Page, StoreError,
    enum_text::EnumText,
    filter::{after_start, contains, each_once},
    postgres::{
        columns::{Columns, micros},
        connect::{Params, Statement},
        load_plan::LoadPlan,
        loads::{Loaded, Loads},
        read_pool::{ReadPool, Snapshot, is_enough, read_all, rows_at_once, size},
        saves::SavePipeline,
        search::{certain_part, may_contain},
    },
};
use frontrow_domain::{
    changes::Changes,
    id::UserId,
    user::{OperatorPresence, User},
};
use std::collections::BTreeMap;
use tokio_postgres::Error;
use uuid::Uuid;

macro_rules! columns {
    () => {
        "user_id, name, email, role, created_at, updated_at, status, sign_in_epoch, signed_in_at, \
         email_confirmed_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<User, Error> {
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

const LOCK: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM \"user\" WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE"),
    types: &[UUIDS],
};
const FIND_ALL: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM \"user\" WHERE user_id = ANY($1)"), types: &[UUIDS] };
const BY_EMAILS: Statement =
    Statement { sql: "SELECT email, user_id FROM \"user\" WHERE email = ANY($1)", types: &[TEXTS] };

/// Without a lock: a batch that registers a first operator holds the lock on the house room.
/// Whether there is an operator, and whether the log says that there was one.
const OPERATORS: Statement = Statement {
    sql: "SELECT EXISTS (SELECT 1 FROM \"user\" WHERE role = 'operator'),
                 EXISTS (SELECT 1 FROM audit_log WHERE action IN ('operator.add', 'user.role')
                           AND (action = 'operator.add' OR detail->>'role' = 'operator'))",
    types: &[],
};

fn take(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    let user = read(row)?;
    loaded.world.users.load(user.user_id, user);
    Ok(())
}

pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.locked_users.is_empty() {
        loads.add(&LOCK, [&plan.locked_users], take);
    }
}

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.users.is_empty() {
        loads.add(&FIND_ALL, [&plan.users], take);
    }
    if plan.keys.first_operator {
        loads.add(&OPERATORS, [], |loaded, row| {
            loaded.world.operators = presence(row)?;
            Ok(())
        });
    }
    if !plan.emails.is_empty() {
        loads.add(&BY_EMAILS, [&plan.emails], |loaded, row| {
            loaded.world.emails.insert(row.value()?, row.user_id()?);
            Ok(())
        });
    }
}

const INSERT: Statement = Statement {
    sql: "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at, signed_in_at)
          SELECT k.*, $6, $6, $6 FROM unnest($1, $2, $3, $4, $5) AS k",
    types: &[UUIDS, TEXTS, TEXTS, TEXTS, TEXTS, TIME],
};

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE \"user\" AS u SET name = k.name, email = k.email, role = k.role, status = k.status,
                  sign_in_epoch = k.sign_in_epoch, updated_at = k.updated_at, email_confirmed_at = k.email_confirmed_at
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
                  AS k (id, name, email, role, status, sign_in_epoch, updated_at, email_confirmed_at)
              WHERE u.user_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $9) FROM done",
    types: &[UUIDS, TEXTS, TEXTS, TEXTS, TEXTS, IDS, TIMES, TIMES, NUMBER],
};

const NOTE_SIGN_INS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE \"user\" SET signed_in_at = $2 WHERE user_id = ANY($1) RETURNING 1
          ) SELECT all_found(count(*), $3) FROM done",
    types: &[UUIDS, TIME, NUMBER],
};

const UPDATE_PASSWORDS: Statement = Statement {
    sql: "WITH done AS (
              UPDATE \"user\" AS u SET password_hash = k.hash
              FROM unnest($1, $2) AS k (id, hash) WHERE u.user_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $3) FROM done",
    types: &[UUIDS, TEXTS, NUMBER],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    let now = changes.now.micros();
    let mut new: Vec<_> = changes.new_users.iter().collect();
    new.sort_unstable_by_key(|row| &row.email);
    saves.add(&INSERT, new, move |rows| {
        rows.column(|row| row.user_id.0)
            .column(|row| row.name.as_str())
            .column(|row| row.email.as_str())
            .column(|row| row.password_hash.as_str())
            .column(|row| row.role.word())
            .value(now)
    });
    saves.add(&UPDATE, &changes.users, |rows| {
        rows.column(|row| row.user_id.0)
            .column(|row| row.name.as_str())
            .column(|row| row.email.as_str())
            .column(|row| row.role.word())
            .column(|row| row.status.word())
            .column(|row| row.sign_in_epoch)
            .column(|row| row.updated_at.micros())
            .column(|row| micros(row.email_confirmed_at))
            .count()
    });
    saves.add(&NOTE_SIGN_INS, &changes.sign_ins, move |rows| rows.column(|id| id.0).value(now).count());
    // If a batch sets a password twice, the later one holds.
    let passwords: BTreeMap<_, _> =
        changes.new_passwords.iter().map(|(user, hash)| (user.0, hash.0.as_str())).collect();
    saves.add(&UPDATE_PASSWORDS, passwords, |rows| rows.column(|(id, _)| id).column(|(_, hash)| hash).count());
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM \"user\" WHERE user_id = $1"), types: &[UUID] };

pub(crate) async fn find(reads: &ReadPool, id: UserId) -> Result<Option<User>, StoreError> {
    reads.find(&FIND, &[&id.0], read).await
}

fn presence(row: &mut Columns<'_>) -> Result<OperatorPresence, Error> {
    Ok(match (row.value()?, row.value()?) {
        (true, _) => OperatorPresence::Present,
        (false, true) => OperatorPresence::Gone,
        (false, false) => OperatorPresence::Never,
    })
}

pub(crate) async fn operators(reads: &ReadPool) -> Result<OperatorPresence, StoreError> {
    Ok(reads.find(&OPERATORS, &[], presence).await?.unwrap_or_default())
}

const CREDENTIALS: Statement =
    Statement { sql: concat!("SELECT ", columns!(), ", password_hash FROM \"user\" WHERE email = $1"), types: &[TEXT] };

pub(crate) async fn credentials(reads: &ReadPool, email: &str) -> Result<Option<(User, String)>, StoreError> {
    reads.find(&CREDENTIALS, &[&email], |row| Ok((read(row)?, row.value()?))).await
}

const PAGE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM \"user\" WHERE user_id < $1 AND (",
        may_contain!("name", "$2"),
        " OR ",
        may_contain!("email", "$2"),
        ") ORDER BY user_id DESC LIMIT $3"
    ),
    types: &[UUID, TEXT, NUMBER],
};

pub(crate) async fn page(reads: &ReadPool, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError> {
    let wanted = text.map(frontrow_domain::text::folded).unwrap_or_default();
    let part = certain_part(&wanted);
    let matches = |user: &User| contains(&user.name, &wanted) || contains(&user.email, &wanted);
    let rows = rows_at_once(page.limit, part == wanted);
    // The highest possible id is never a user's: it has no UUID version.
    let mut after = page.after.map_or(Uuid::max(), |after| after.0);
    let mut found = Vec::new();
    loop {
        let more = reads.list_from_replica(&PAGE, &[&after, &part, &i64::from(rows)], read).await?;
        let count = more.len();
        after = more.last().map_or(after, |user| user.user_id.0);
        found.extend(more.into_iter().filter(matches));
        if is_enough(&mut found, page.limit) || count < size(rows) {
            return Ok(found);
        }
    }
}

/// The users of one index from the start of a text on, up to its end.
macro_rules! starting_with {
    ($key:literal) => {
        Statement {
            sql: concat!(
                "SELECT ",
                columns!(),
                " FROM \"user\" WHERE ",
                $key,
                " >= $1 AND ",
                $key,
                " < $2 ORDER BY ",
                $key,
                ", user_id LIMIT $3"
            ),
            types: &[TEXT, TEXT, NUMBER],
        }
    };
}

const BY_EMAIL: Statement = starting_with!("email COLLATE \"C\"");
const BY_NAME: Statement = starting_with!("lower(name COLLATE \"C\")");
const BY_LATER_NAME: Statement = starting_with!(
    "lower(CASE WHEN strpos(name, ' ') > 0 THEN substr(name, strpos(name, ' ') + 1) ELSE substr(name, 2) END \
     COLLATE \"C\")"
);

pub(crate) async fn starting_with(reads: &ReadPool, start: &str, limit: u32) -> Result<Vec<User>, StoreError> {
    let (end, rows) = (after_start(start), i64::from(limit));
    let keys: Params<'_> = &[&start, &end, &rows];
    let found = reads.lists(&[(&BY_EMAIL, keys), (&BY_NAME, keys), (&BY_LATER_NAME, keys)], Snapshot::Each).await?;
    let rows: Vec<_> = found.into_iter().flatten().collect();
    Ok(each_once(read_all(&rows, read)?, limit))
}
