//! Redis servers of a test's own, on free ports in temporary folders. Each one is stopped by its process id when its
//! value is dropped. The calls here block: they are for tests, in which nothing else has to go on meanwhile.

use super::port::Port;
use crate::PATIENCE;
use redis::{Client, Connection, FromRedisValue, RedisResult};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long one command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// The name that sentinels know the primary by.
pub const SENTINEL_NAME: &str = "frontrow";
const SLOTS: u32 = 16_384;

/// A Redis server.
#[must_use]
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    port: Port,
    folder: TempDir,
    args: Vec<String>,
}

impl RedisServer {
    /// An empty server that keeps nothing on disk without a call of `snapshot`.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One with more arguments, such as `["--maxmemory", "100mb"]`.
    pub fn start_with(args: &[&str]) -> Self {
        let args = [&["--save", "", "--appendonly", "no"], args].concat();
        let mut server = Self::stopped(&args);
        server.run();
        server
    }

    fn stopped(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = Port::take();
        let own = ["--port", &port.number().to_string(), "--bind", "127.0.0.1", "--dir", path(folder.path())]
            .map(str::to_owned);
        let args = own.into_iter().chain(args.iter().map(|arg| (*arg).to_owned())).collect();
        Self { child: None, port, folder, args }
    }

    /// Starts the process and waits until it answers.
    fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        self.child = Some(child);
        let from = Instant::now();
        while from.elapsed() < PATIENCE {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "redis-server on port {} ended: {ended:?}", self.port());
            if self.try_ask::<String>(&["PING"]).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server on port {} does not answer", self.port());
    }

    /// Its port on the loopback address.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// A new connection.
    pub fn connection(&self) -> RedisResult<Connection> {
        let connection = Client::open(self.url())?.get_connection_with_timeout(COMMAND_TIMEOUT)?;
        connection.set_read_timeout(Some(COMMAND_TIMEOUT))?;
        Ok(connection)
    }

    fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        redis::cmd(words[0]).arg(&words[1..]).query(&mut self.connection()?)
    }

    /// Its answer to a command.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// One line of what INFO says, such as `used_memory` of section `memory`.
    pub fn info(&self, section: &str, name: &str) -> String {
        let text: String = self.ask(&["INFO", section]);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{section} has no {name}")).trim().to_owned()
    }

    /// Ends it at once, as `kill -9` does. Connections are cut.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on its port, with what its last snapshot holds. Kills it first if it runs.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Starts it again on its port, with nothing. Kills it first if it runs.
    pub fn restart_empty(&mut self) {
        self.kill();
        let snapshot = self.folder.path().join("dump.rdb");
        if snapshot.exists() {
            fs::remove_file(snapshot).unwrap();
        }
        self.restart();
    }

    /// Writes all it has to disk: a restart brings back this, without what came later.
    pub fn snapshot(&self) {
        let _: String = self.ask(&["SAVE"]);
    }

    /// Forgets all it has.
    pub fn flush(&self) {
        let _: String = self.ask(&["FLUSHALL"]);
    }

    /// Stops it without a word: connections stay open without an answer.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        let pid = self.child.as_ref().expect("the server runs").id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    }

    /// Lets a paused one go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("the server runs").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Another server that copies this one. It is in step when this returns.
    pub fn replica(&self) -> Self {
        let replica = Self::start_with(&["--repl-diskless-sync-delay", "0", "--replica-priority", "1"]);
        replica.follow(self);
        replica
    }

    /// Forgets what it has and copies `primary` from now on. It is in step when this returns.
    pub fn follow(&self, primary: &Self) {
        let _: String = self.ask(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
        let _: String = primary.ask(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
        let _: String = self.ask(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
        wait("the replica to be in step", || self.info("replication", "master_link_status") == "up");
    }

    /// Makes a replica a primary without replicas. Everything not copied by then is lost.
    pub fn promote(&self) {
        let _: String = self.ask(&["REPLICAOF", "NO", "ONE"]);
        wait("the replica to be a primary", || self.info("replication", "role") == "master");
    }

    /// Adds a user with these rules, such as `["on", ">secret", "~*", "+@all", "-@scripting"]`.
    pub fn add_user(&self, name: &str, policy: &[&str]) {
        let _: String = self.ask(&[&["ACL", "SETUSER", name], policy].concat());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three primaries that share the keys, and no replica.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes.
    pub nodes: Vec<RedisServer>,
    /// The ports between the nodes.
    buses: [Port; 3],
}

impl RedisCluster {
    /// Three empty nodes that agree on who has which slot.
    pub fn start() -> Self {
        let start = |bus: &Port| {
            RedisServer::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "2000",
                "--cluster-port",
                &bus.number().to_string(),
            ])
        };
        let buses = [Port::take(), Port::take(), Port::take()];
        let nodes = buses.each_ref().map(start).into();
        let cluster = Self { nodes, buses };
        let share = SLOTS.div_ceil(3);
        for (number, node) in (0_u32..).zip(&cluster.nodes) {
            let (first, last) = (number * share, ((number + 1) * share).min(SLOTS) - 1);
            let _: String = node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            let _: String = node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for (node, bus) in cluster.nodes.iter().zip(&cluster.buses).skip(1) {
            let (port, bus) = (node.port().to_string(), bus.number().to_string());
            let _: String = cluster.nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        cluster.wait();
        cluster
    }

    /// Waits until all nodes know each other and every slot is served.
    pub fn wait(&self) {
        wait("the cluster to agree", || {
            self.nodes.iter().all(|node| {
                let text: String = node.ask(&["CLUSTER", "INFO"]);
                let shards: Vec<redis::Value> = node.ask(&["CLUSTER", "SLOTS"]);
                text.contains("cluster_state:ok") && text.contains("cluster_size:3") && shards.len() == 3
            })
        });
    }

    /// The addresses of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }
}

/// A primary, a replica, and one sentinel that suffices to promote the replica.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The primary at first.
    pub primary: RedisServer,
    /// Its replica at first.
    pub replica: RedisServer,
    /// The sentinel that watches both.
    pub sentinel: RedisServer,
}

impl RedisSentinel {
    /// All three, knowing of each other.
    pub fn start() -> Self {
        let primary = RedisServer::start();
        let replica = primary.replica();
        let sentinel = start_sentinel(&primary);
        let group = Self { primary, replica, sentinel };
        wait("the sentinel to know the replica", || {
            let replicas: Vec<redis::Value> = group.sentinel.ask(&["SENTINEL", "REPLICAS", SENTINEL_NAME]);
            replicas.len() == 1
        });
        group
    }

    /// The address of the sentinel, and the name to ask it for.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}?master={SENTINEL_NAME}", self.sentinel.port())
    }

    /// The port of whom the sentinel calls the primary.
    pub fn primary_port(&self) -> u16 {
        let address: (String, u16) = self.sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SENTINEL_NAME]);
        address.1
    }

    /// Waits until the sentinel has made the replica the primary.
    pub fn wait_promoted(&self) {
        wait("the replica to be promoted", || {
            self.primary_port() == self.replica.port() && self.replica.info("replication", "role") == "master"
        });
    }
}

/// A sentinel that calls `primary` lost after half a second without an answer.
fn start_sentinel(primary: &RedisServer) -> RedisServer {
    let mut sentinel = RedisServer::stopped(&[]);
    let config = sentinel.folder.path().join("sentinel.conf");
    let text = format!(
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {SENTINEL_NAME} 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds {SENTINEL_NAME} 500\nsentinel failover-timeout {SENTINEL_NAME} 3000\n",
        sentinel.port(),
        path(sentinel.folder.path()),
        primary.port(),
    );
    fs::write(&config, text).unwrap();
    sentinel.args = vec![path(&config).to_owned(), "--sentinel".to_owned()];
    sentinel.run();
    sentinel
}

/// Waits until `is_so`, for a bounded time.
pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let from = Instant::now();
    while !is_so() {
        assert!(from.elapsed() < PATIENCE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
