//! Servers in processes of their own.

use anyhow::{Context as _, Result};
use frontrow_testkit::bench::load::UNLIMITED;
use std::{
    io::BufRead as _,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// The flags of both servers beside [`UNLIMITED`]: no token's time runs out while it is measured. The idle
/// limit is longer than the template's tokens live, so that each hold changes its token.
pub(crate) const FLAGS: [&str; 10] = [
    "--active-limit-seconds",
    "86400",
    "--idle-seconds",
    "7200",
    "--queue-len",
    "20000",
    "--max-connections",
    "20000",
    "--log",
    "error",
];

/// A position as the server answers it.
const POSITION_BODY: &str = r#"{"status":"waiting","position":54321,"ahead":54320,"estimated_wait":{"known":false,"reason":"measuring"},"deadline":null,"poll_after_ms":30000,"message":null,"as_of":"2027-01-15T08:00:00.123456Z","stale":false}"#;

/// Which server is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Usual,
    Bare,
}

/// A server in a process of its own.
pub(crate) struct Serving {
    process: Child,
    pub(crate) address: SocketAddr,
    _data: TempDir,
}

impl Serving {
    /// Starts one. `connections` are those of the usual way's pool.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(side: Side, database: &str, redis: &str, connections: usize) -> Result<Self> {
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let folder = data.path().to_str().context("a folder's name")?;
        let command = match side {
            Side::Ours => Self::instance(database, redis, folder, &FLAGS),
            Side::Usual => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["usual-server", database, redis, folder, &connections.to_string()]);
                command
            }
            Side::Bare => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["bare-server", POSITION_BODY]);
                command
            }
        };
        Self::spawn(command, data)
    }

    /// One of several instances, whose tokens live as long as the defaults say.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn of_several(database: &str, redis: &str) -> Result<Self> {
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let folder = data.path().to_str().context("a folder's name")?;
        let command = Self::instance(database, redis, folder, &["--max-connections", "20000", "--log", "warn"]);
        Self::spawn(command, data)
    }

    fn instance(database: &str, redis: &str, folder: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frontrow"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data", folder, "--database-url", database]);
        command.args(["--redis-url", redis, "--log-format", "text"]).args(UNLIMITED).args(flags);
        command
    }

    fn spawn(mut command: Command, data: TempDir) -> Result<Self> {
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut lines = std::io::BufReader::new(output).lines();
        let line = lines.next().context("the server did not start")??;
        // Read to the end, or the child would write into a pipe without a reader.
        std::thread::spawn(move || lines.count());
        let address = line.rsplit("http://").next().context("no address")?.trim().parse()?;
        Ok(Self { process, address, _data: data })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
