//! `PgBouncer`: a pooler that gives each transaction whatever connection is free.

use super::{folder, port::Port, postgres, run};
use crate::PATIENCE;
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A pooler in transaction mode with a few connections to a server. It ends with this, or with the test's thread.
pub struct Pooler {
    folder: TempDir,
    port: Port,
    process: Child,
}

impl Pooler {
    /// In front of the server at `url`, with so many connections to each of its databases.
    pub async fn start(url: &str, connections: u32) -> Self {
        let (folder, port) = (folder(), Port::take());
        let server: tokio_postgres::Config = url.parse().unwrap();
        let server_port = server.get_ports()[0];
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 200\n",
            port.number(),
        );
        // Any user is let in, as the server's own.
        let settings = settings.replace(&format!("port={server_port}"), &format!("port={server_port} user=postgres"));
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        run(Command::new("chmod").arg("644").arg(&file));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = postgres::as_its_user("/usr/sbin/pgbouncer");
        let process = command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut pooler = Self { folder, port, process };
        pooler.wait().await;
        pooler
    }

    async fn wait(&mut self) {
        let started = Instant::now();
        while postgres::try_connect(&self.url("postgres")).await.is_err() {
            let ended = self.process.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "the pooler does not start: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The address of a database through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port.number())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
