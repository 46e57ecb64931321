//! Parses the addresses of Redis: one server, sentinels that know it, or the nodes of a cluster.

use crate::peers::PeersError;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsCertificates, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use std::{path::PathBuf, time::Duration};
use tokio::sync::Mutex;

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
pub(super) async fn limited<T>(longest: Duration, call: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match tokio::time::timeout(longest, call).await {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// The server or servers to connect to.
pub(super) enum RedisServers {
    /// One server.
    One(Client),
    /// The server that the sentinels name.
    Sentinel(Box<Mutex<SentinelClient>>),
    /// The nodes of a cluster that know the others.
    Cluster(Vec<ConnectionInfo>, Option<TlsCertificates>),
}

fn wrong(text: impl Into<String>) -> PeersError {
    PeersError(text.into())
}

pub(super) fn parse(settings: &ClientSettings) -> Result<RedisServers, PeersError> {
    let read = |path: &PathBuf| {
        let pem = std::fs::read(path);
        pem.map_err(|error| wrong(format!("cannot read the certificates in {}: {error}", path.display())))
    };
    let pem = settings.ca_file.as_ref().map(read).transpose()?;
    let certificates = pem.map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem) });
    let [url] = settings.urls.as_slice() else { return cluster(&settings.urls, certificates) };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match scheme.split_once(['+', '-']) {
        Some((scheme @ ("redis" | "rediss"), "sentinel")) => sentinels(scheme, rest, certificates),
        Some((scheme @ ("redis" | "rediss"), "cluster")) => {
            let (user, hosts) = split_user(rest);
            let hosts = hosts.trim_end_matches('/').split(',');
            cluster(&hosts.map(|host| format!("{scheme}://{user}{host}")).collect::<Vec<_>>(), certificates)
        }
        _ => Ok(RedisServers::One(client(address(url)?, certificates.as_ref())?)),
    }
}

/// The address as the driver reads it. The error leaves the URL out, which may hold a password.
fn address(url: &str) -> Result<ConnectionInfo, PeersError> {
    url.into_connection_info().map_err(|error| wrong(format!("the address of Redis is wrong: {error}")))
}

/// The name and password in an address, up to the `@`, and the rest.
fn split_user(address: &str) -> (&str, &str) {
    address.split_at(address.rfind('@').map_or(0, |at| at + 1))
}

fn is_tls(address: &ConnectionInfo) -> bool {
    matches!(address.addr(), ConnectionAddr::TcpTls { .. })
}

fn client(address: ConnectionInfo, certificates: Option<&TlsCertificates>) -> RedisResult<Client> {
    match certificates {
        Some(certificates) if is_tls(&address) => Client::build_with_tls(address, certificates.clone()),
        _ => Client::open(address),
    }
}

fn cluster(urls: &[String], certificates: Option<TlsCertificates>) -> Result<RedisServers, PeersError> {
    if urls.is_empty() {
        return Err(wrong("no address of Redis was given"));
    }
    let nodes: Vec<_> = urls.iter().map(|url| address(url)).collect::<Result<_, _>>()?;
    let certificates = certificates.filter(|_| nodes.iter().all(is_tls));
    Ok(RedisServers::Cluster(nodes, certificates))
}

fn sentinels(scheme: &str, rest: &str, certificates: Option<TlsCertificates>) -> Result<RedisServers, PeersError> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let master = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("master="))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| wrong("an address of sentinels must end with ?master= and the server's name"))?;
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = split_user(hosts);
    let read = |host: &str| {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "26379"));
        let port = port.parse().map_err(|_| wrong("the port of a sentinel is not a number"))?;
        Ok(ConnectionAddr::Tcp(name.trim_matches(['[', ']']).to_owned(), port))
    };
    let sentinels = hosts.split(',').map(read).collect::<Result<Vec<_>, PeersError>>()?;
    // How to connect to the server, except for its address.
    let like = address(&format!("{scheme}://{user}sentinel:1/{database}"))?;
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(like.redis_settings().db());
    if let Some(name) = like.redis_settings().username() {
        builder = builder.set_client_to_redis_username(name);
    }
    if let Some(password) = like.redis_settings().password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if is_tls(&like) {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates.filter(|_| is_tls(&like)) {
        builder = builder.set_client_to_redis_certificates(certificates);
    }
    Ok(RedisServers::Sentinel(Box::new(Mutex::new(builder.build()?))))
}
