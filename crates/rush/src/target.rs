//! Which server is driven. A crowd is a denial of service to a server whose owner did not ask for it, so only this
//! machine's own addresses are allowed unless the user says that the server is theirs.

use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, ToSocketAddrs};

/// Whether addresses of other machines are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllowedHosts {
    /// Only loopback addresses.
    Loopback,
    /// Any address: the user owns the server.
    Anywhere,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The value of the Host header.
    pub(crate) host: String,
}

impl Target {
    /// Takes `http://host[:port]` apart and looks the host up.
    ///
    /// # Errors
    /// It is no plain HTTP address, cannot be resolved, or leads off this machine without leave.
    pub(crate) fn parse(url: &str, reach: AllowedHosts) -> Result<Self> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("{url}: the address must begin with http:// (TLS is not spoken here)");
        };
        let host = rest.trim_end_matches('/');
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            bail!("{url}: give only the server, such as http://127.0.0.1:8080");
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
        let found: Vec<SocketAddr> =
            with_port.to_socket_addrs().with_context(|| format!("{url}: cannot be resolved"))?.collect();
        if reach == AllowedHosts::Loopback && found.iter().any(|address| !is_loopback(address)) {
            bail!("{url} is not this machine. A crowd can take a server down: give --i-own-this-server if it is yours");
        }
        // A server often listens on IPv4 alone, and "localhost" gives IPv6 first.
        let address = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
        let address = *address.with_context(|| format!("{url}: has no address"))?;
        Ok(Self { address, host: host.to_owned() })
    }
}

fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_taken_with_and_without_a_port() {
        let target = Target::parse("http://127.0.0.1:8080/", AllowedHosts::Loopback).unwrap();
        assert_eq!(target.address, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(target.host, "127.0.0.1:8080");
        assert_eq!(Target::parse("http://127.0.0.9", AllowedHosts::Loopback).unwrap().address.port(), 80);
        assert!(Target::parse("http://[::1]:8080", AllowedHosts::Loopback).unwrap().address.ip().is_loopback());
        assert!(Target::parse("http://[::ffff:127.0.0.1]:8080", AllowedHosts::Loopback).is_ok());
    }

    #[test]
    fn another_machine_is_refused_unless_it_is_owned() {
        for url in ["http://192.0.2.1:8080", "http://10.0.0.1", "http://0.0.0.0:8080", "http://[2001:db8::1]:80"] {
            let refusal = Target::parse(url, AllowedHosts::Loopback).unwrap_err().to_string();
            assert!(refusal.contains("--i-own-this-server"), "{url}: {refusal}");
            assert!(Target::parse(url, AllowedHosts::Anywhere).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_plain_server_address_is_refused() {
        for url in ["https://127.0.0.1", "127.0.0.1:8080", "http://", "http://127.0.0.1/api", "http://a@127.0.0.1"] {
            assert!(Target::parse(url, AllowedHosts::Anywhere).is_err(), "{url}");
        }
    }
}
