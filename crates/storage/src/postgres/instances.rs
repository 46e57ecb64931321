//! Instances that share a database recognise each other by the names of their connections in `pg_stat_activity`: this
//! needs no table, no lock and no further connection, and it ends with the instance.

use super::{
    connect::{Pool, Statement},
    error,
    read_pool::in_time,
};
use crate::{Instance, Instances, Sharing, StoreError};
use tokio_postgres::{Error, Row, types::Type};

/// Name of a connection that belongs to no serving instance.
const NAME: &str = "frontrow";
/// Marks the name of an instance's connection.
const MARK: &str = "frontrow/";
/// The longest name that the server keeps.
const NAME_LEN_MAX: usize = 63;

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

/// The name for an instance's connections; `given` is the name in the URL.
pub(super) fn name_of(instance: Option<Instance>, given: Option<&str>) -> String {
    let Some(Instance { id, sharing, connections }) = instance else { return given.unwrap_or(NAME).to_owned() };
    let sharing = match sharing {
        Sharing::Shared => "redis",
        Sharing::Alone => "alone",
    };
    let mark = format!("{MARK}{id:016x}/{sharing}/{connections}");
    let Some(given) = given else { return mark };
    let room = NAME_LEN_MAX.saturating_sub(mark.len() + 1);
    format!("{} {mark}", &given[..given.floor_char_boundary(room)])
}

fn instance_of(name: &str) -> Option<Instance> {
    let (_, mark) = name.rsplit_once(MARK)?;
    let mut parts = mark.split('/');
    let id = u64::from_str_radix(parts.next()?, 16).ok()?;
    let sharing = match parts.next()? {
        "redis" => Sharing::Shared,
        "alone" => Sharing::Alone,
        _ => return None,
    };
    let connections = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(Instance { id, sharing, connections })
}

/// Whether connections go straight to the server or through a pooler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    Pooled,
}

/// The instances over the database, including `own`.
pub(super) async fn list(pool: &Pool, own: Instance, route: Route) -> Result<Instances, StoreError> {
    let session = pool.get_if_free().await?;
    let rows = in_time(pool, session.query(&INSTANCES, &[&MARK])).await?;
    session.finish();
    let read = |row: &Row| -> Result<(Vec<String>, i32), Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
    let found = rows.first().map(read).transpose().map_err(|failure| error::of_work(&failure))?;
    let (names, most) = found.unwrap_or_default();
    let mut others: Vec<_> = names.iter().filter_map(|name| instance_of(name)).collect();
    others.retain(|other| other.id != own.id);
    others.sort_unstable_by_key(|other| other.id);
    others.dedup_by_key(|other| other.id);
    let connections_max = match route {
        Route::Direct => u32::try_from(most).ok(),
        Route::Pooled => None,
    };
    Ok(Instances { own, others, connections_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: Instance = Instance { id: 0x0193_6e1f_00ab_7cde, sharing: Sharing::Alone, connections: 18 };

    #[test]
    fn an_instance_is_known_by_the_name_of_its_connections() {
        assert_eq!(name_of(None, None), "frontrow");
        assert_eq!(name_of(None, Some("theirs")), "theirs");
        let wide = Instance { sharing: Sharing::Shared, connections: u32::MAX, ..INSTANCE };
        for instance in [INSTANCE, wide] {
            for given in [None, Some("theirs"), Some("공연 예매 창구의 서버, 서울에서")] {
                let name = name_of(Some(instance), given);
                assert!(name.len() <= NAME_LEN_MAX, "{name}");
                assert_eq!(instance_of(&name), Some(instance), "{name}");
            }
        }
        for other in ["frontrow", "psql", "frontrow/1/redis", "frontrow/x/redis/3", "frontrow/1/redis/3/4"] {
            assert_eq!(instance_of(other), None, "{other}");
        }
    }
}
