//! Parses the addresses of Redis: one server, sentinels that know it, or the nodes of a cluster.

use crate::peers::PeersError;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    TlsCertificates,
};
use std::{path::PathBuf, time::Duration};

/// The addresses of Redis, and its time-outs.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// One `redis://` or `rediss://`; one `redis+sentinel://host:port,host:port/db?master=name` (`rediss+sentinel` for
    /// TLS to the servers); or the nodes of a cluster, as several of the first kind or one
    /// `redis-cluster://host:port,host:port`.
    pub urls: Vec<String>,
    /// A file with the certificate authorities of the servers, in PEM; none for the system's.
    pub ca_file: Option<PathBuf>,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long the answer to a command may take.
    pub response_timeout: Duration,
    /// The key that write probes name and never fill. In a cluster, the node of this key is probed.
    pub probe: String,
}

impl ClientSettings {
    /// The usual time-outs, and a probe key that all installations share.
    #[must_use]
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            ca_file: None,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(500),
            probe: "fr:probe".into(),
        }
    }
}

/// The result of a call, or an error when it takes too long.
pub(super) async fn limited<T>(
    longest: Duration,
    call: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    match tokio::time::timeout(longest, call).await {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// The server or servers to connect to.
pub(super) enum RedisServers {
    /// One server.
    One(Box<Client>),
    /// The server that the sentinels name.
    Sentinel(Box<Sentinels>),
    /// The nodes of a cluster.
    Cluster(Nodes),
}

/// Sentinels, and the name under which they know the server.
pub(super) struct Sentinels {
    addresses: Vec<(String, u16)>,
    master: String,
    /// The settings of connections to the server, except for its address.
    like: ConnectionInfo,
    certificates: Option<TlsCertificates>,
}

/// Nodes of a cluster that know the others.
pub(super) struct Nodes {
    pub(super) addresses: Vec<ConnectionInfo>,
    pub(super) certificates: Option<TlsCertificates>,
}

fn wrong(text: impl Into<String>) -> PeersError {
    PeersError(text.into())
}

pub(super) fn parse(settings: &ClientSettings) -> Result<RedisServers, PeersError> {
    let certificates = match &settings.ca_file {
        None => None,
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| wrong(format!("cannot read the certificates in {}: {error}", path.display())))?;
            Some(TlsCertificates { client_tls: None, root_cert: Some(pem) })
        }
    };
    match settings.urls.as_slice() {
        [] => Err(wrong("no address of Redis was given")),
        [url] => match url.split_once("://") {
            Some((scheme @ ("redis+sentinel" | "rediss+sentinel"), rest)) => {
                sentinels(scheme.starts_with("rediss"), rest, certificates)
                    .map(|sentinels| RedisServers::Sentinel(Box::new(sentinels)))
            }
            Some(("redis-cluster", rest)) => cluster("redis", rest, certificates),
            Some(("rediss-cluster", rest)) => cluster("rediss", rest, certificates),
            _ => one(url, certificates.as_ref()).map(|client| RedisServers::One(Box::new(client))),
        },
        urls => nodes(urls.iter().map(String::as_str), certificates),
    }
}

/// The address as the driver reads it. The error leaves the URL out, which may hold a password.
fn address(url: &str) -> Result<ConnectionInfo, PeersError> {
    url.into_connection_info().map_err(|error| wrong(format!("the address of Redis is wrong: {error}")))
}

fn one(url: &str, certificates: Option<&TlsCertificates>) -> Result<Client, PeersError> {
    client(address(url)?, certificates).map_err(PeersError::from)
}

fn client(address: ConnectionInfo, certificates: Option<&TlsCertificates>) -> Result<Client, RedisError> {
    match certificates {
        Some(certificates) if matches!(address.addr(), ConnectionAddr::TcpTls { .. }) => {
            Client::build_with_tls(address, certificates.clone())
        }
        _ => Client::open(address),
    }
}

fn cluster(scheme: &str, rest: &str, certificates: Option<TlsCertificates>) -> Result<RedisServers, PeersError> {
    let (user, hosts) = rest.rsplit_once('@').map_or(("", rest), |(user, hosts)| (user, hosts));
    let at = if user.is_empty() { "" } else { "@" };
    let urls: Vec<_> =
        hosts.trim_end_matches('/').split(',').map(|host| format!("{scheme}://{user}{at}{host}")).collect();
    nodes(urls.iter().map(String::as_str), certificates)
}

fn nodes<'a>(
    urls: impl Iterator<Item = &'a str>,
    certificates: Option<TlsCertificates>,
) -> Result<RedisServers, PeersError> {
    let addresses: Vec<_> = urls.map(address).collect::<Result<_, _>>()?;
    let is_tls = |address: &ConnectionInfo| matches!(address.addr(), ConnectionAddr::TcpTls { .. });
    let certificates = certificates.filter(|_| addresses.iter().all(is_tls));
    Ok(RedisServers::Cluster(Nodes { addresses, certificates }))
}

fn sentinels(is_tls: bool, rest: &str, certificates: Option<TlsCertificates>) -> Result<Sentinels, PeersError> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let master = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("master="))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| wrong("an address of sentinels must end with ?master= and the server's name"))?;
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = hosts.rsplit_once('@').map_or(("", hosts), |(user, hosts)| (user, hosts));
    let addresses = hosts
        .split(',')
        .map(|host| {
            let (name, port) = host.rsplit_once(':').unwrap_or((host, "26379"));
            let port = port.parse().map_err(|_| wrong("the port of a sentinel is not a number"))?;
            Ok((name.trim_matches(['[', ']']).to_owned(), port))
        })
        .collect::<Result<Vec<_>, PeersError>>()?;
    let scheme = if is_tls { "rediss" } else { "redis" };
    let at = if user.is_empty() { "" } else { "@" };
    let like = address(&format!("{scheme}://{user}{at}sentinel:1/{database}"))?;
    Ok(Sentinels { addresses, master: master.to_owned(), like, certificates })
}

impl Sentinels {
    /// A client of the present master: the first sentinel that answers knows it.
    pub(super) async fn master(&self, config: &AsyncConnectionConfig, longest: Duration) -> Result<Client, RedisError> {
        let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no sentinel was given"));
        for (host, port) in &self.addresses {
            match limited(longest, self.ask(host, *port, config)).await {
                Ok(Some((host, port))) => {
                    let address = match self.like.addr() {
                        ConnectionAddr::TcpTls { insecure, .. } => {
                            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: None }
                        }
                        _ => ConnectionAddr::Tcp(host, port),
                    };
                    return client(self.like.clone().set_addr(address), self.certificates.as_ref());
                }
                Ok(None) => {
                    last = (ErrorKind::MasterNameNotFoundBySentinel, "the sentinels do not know the server").into();
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask(
        &self,
        host: &str,
        port: u16,
        config: &AsyncConnectionConfig,
    ) -> Result<Option<(String, u16)>, RedisError> {
        let client = Client::open((host, port))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
        redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(&self.master).query_async(&mut connection).await
    }
}
