//! Instances that share a database recognise each other by the names of their connections in `pg_stat_activity`: this
//! needs no table, no lock and no further connection, and it ends with the instance.

use super::{
    connect::{Pool, Statement},
    error, instance_name,
    read_pool::in_time,
};
use crate::{Instance, Instances, StoreError};
use tokio_postgres::{Error, Row, types::Type};

/// The names of the connections used within the last half a minute: each instance uses one every few seconds, and an
/// instance whose machine is gone leaves idle connections behind. Then the connection limit: the server's, less those
/// reserved for administrators, the database's and the role's.
const INSTANCES: Statement = Statement {
    sql: "SELECT coalesce((SELECT array_agg(DISTINCT application_name) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE '%' || $1 || '%'
                    AND state_change > clock_timestamp() - interval '30 seconds'), '{}'),
              least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                        - coalesce(current_setting('reserved_connections', true)::int, 0),
                    (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()),
                    (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user))",
    types: &[Type::TEXT],
};

/// Whether connections go straight to the server or through a pooler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    Pooled,
}

/// The instances over the database, including `own`.
pub(super) async fn list(pool: &Pool, own: Instance, route: Route) -> Result<Instances, StoreError> {
    let session = pool.get_if_free().await?;
    let rows = in_time(pool, session.query(&INSTANCES, &[&instance_name::MARK])).await?;
    session.finish();
    let read = |row: &Row| -> Result<(Vec<String>, i32), Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
    let found = rows.first().map(read).transpose().map_err(|failure| error::of_work(&failure))?;
    let (names, most) = found.unwrap_or_default();
    let mut others: Vec<_> = names.iter().filter_map(|name| instance_name::parse(name)).collect();
    others.retain(|other| other.id != own.id);
    others.sort_unstable_by_key(|other| other.id);
    others.dedup_by_key(|other| other.id);
    let connections_max = match route {
        Route::Direct => u32::try_from(most).ok(),
        Route::Pooled => None,
    };
    Ok(Instances { own, others, connections_max })
}
