//! The address of the client of a request, behind trusted proxies.

use axum::http::HeaderMap;
use frontrow_service::net::AddressRange;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address of the client: the peer's, or if the peer is a trusted proxy, the last address in `X-Forwarded-For` that
/// is not a trusted proxy. Earlier entries may be forged.
#[must_use]
pub fn client_address(headers: &HeaderMap, peer: SocketAddr, trusted: &[AddressRange]) -> IpAddr {
    walk(headers, peer, trusted).0
}

/// The client's address, and the entry that ended the walk because it is no address.
pub(super) fn walk<'a>(
    headers: &'a HeaderMap,
    peer: SocketAddr,
    trusted: &[AddressRange],
) -> (IpAddr, Option<&'a str>) {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut client = peer.ip().to_canonical();
    if !is_trusted(client) {
        return (client, None);
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    for hop in lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',')) {
        let Some(address) = address_in(hop.trim()) else { return (client, Some(hop)) };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    (client, None)
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn address_in(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse().ok();
    bare.or_else(|| hop.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6))
}

/// One household has a whole /64 of IPv6 addresses, which counts as one.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// The network as logged: enough to find a proxy, too wide to identify a client.
#[must_use]
pub fn wide_network_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00)),
        IpAddr::V6(address) => format!("{}/48", Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80))),
    }
}

#[cfg(test)]
mod tests {
    use super::{client_address, wide_network_of};
    use axum::http::{HeaderMap, HeaderValue};
    use frontrow_service::net::AddressRange;

    fn client(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let trusted: Vec<AddressRange> = trusted.iter().map(|range| range.parse().unwrap()).collect();
        client_address(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn a_forwarded_address_counts_behind_trusted_proxies_only() {
        let peer = "10.0.0.1:4000";
        for (forwarded, trusted, expected) in [
            (&["1.2.3.4"][..], &[][..], "10.0.0.1"),
            (&["1.2.3.4"], &["10.0.0.2"], "10.0.0.1"),
            (&["1.2.3.4"], &["10.0.0.1"], "1.2.3.4"),
            (&["9.9.9.9, 1.2.3.4"], &["10.0.0.0/8"], "1.2.3.4"),
            (&["9.9.9.9", "1.2.3.4, 10.0.0.7"], &["10.0.0.0/8"], "1.2.3.4"),
            (&["9.9.9.9, nonsense"], &["10.0.0.0/8"], "10.0.0.1"),
            (&["10.0.0.9"], &["10.0.0.0/8"], "10.0.0.9"),
            (&["2001:db8::1"], &["10.0.0.1"], "2001:db8::1"),
            (&["1.2.3.4:51234"], &["10.0.0.1"], "1.2.3.4"),
            (&["[2001:db8::1]:4711, [2001:db8::2]"], &["10.0.0.1", "2001:db8::2"], "2001:db8::1"),
            (&[], &["10.0.0.1"], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, forwarded, trusted), expected, "{forwarded:?} behind {trusted:?}");
        }
        assert_eq!(client("[::ffff:10.0.0.1]:4000", &["1.2.3.4"], &["10.0.0.1"]), "1.2.3.4");
    }

    #[test]
    fn the_log_names_a_network_and_not_an_address() {
        let named = |address: &str| wide_network_of(address.parse().unwrap());
        assert_eq!(named("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(named("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }
}
