//! The name of an instance's connections, by which others know it.

use crate::{Instance, Sharing};

/// Name of a connection that belongs to no serving instance.
const NAME: &str = "frontrow";
/// Marks the name of an instance's connection.
pub(super) const MARK: &str = "frontrow/";
/// The longest name that the server keeps.
const NAME_LEN_MAX: usize = 63;

/// The name for an instance's connections; `given` is the name in the URL.
pub(super) fn of(instance: Option<Instance>, given: Option<&str>) -> String {
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

/// The instance whose connection has this name; none if it is not that of an instance.
pub(super) fn parse(name: &str) -> Option<Instance> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: Instance = Instance { id: 0x0193_6e1f_00ab_7cde, sharing: Sharing::Alone, connections: 18 };

    #[test]
    fn an_instance_is_known_by_the_name_of_its_connections() {
        assert_eq!(of(None, None), "frontrow");
        assert_eq!(of(None, Some("theirs")), "theirs");
        let wide = Instance { sharing: Sharing::Shared, connections: u32::MAX, ..INSTANCE };
        for instance in [INSTANCE, wide] {
            for given in [None, Some("theirs"), Some("공연 예매 창구의 서버, 서울에서")] {
                let name = of(Some(instance), given);
                assert!(name.len() <= NAME_LEN_MAX, "{name}");
                assert_eq!(parse(&name), Some(instance), "{name}");
            }
        }
        for other in ["frontrow", "psql", "frontrow/1/redis", "frontrow/x/redis/3", "frontrow/1/redis/3/4"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
