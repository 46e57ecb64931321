//! `PostgreSQL`: a database of its own for each test, and servers that a test may kill.

use super::{folder, port::Port, run, signal};
use crate::PATIENCE;
use frontrow_clock::Ids;
use frontrow_storage::{
    migrate,
    postgres::{self, PostgresSettings},
};
use std::{
    ffi::OsStr,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, error::SqlState};

const POLL: Duration = Duration::from_millis(20);
/// Every process of a run takes this lock to make the template.
const TEMPLATE_LOCK: i64 = 7_406_155;

/// The server that the run shares, as its superuser.
pub fn shared_url() -> String {
    std::env::var("FRONTROW_TEST_POSTGRES").expect(
        "FRONTROW_TEST_POSTGRES names no server: run the tests with `cargo nextest run`, which starts one, \
         or start it by hand with scripts/test-servers.sh",
    )
}

/// The folder of the programs of `PostgreSQL`.
pub fn programs() -> PathBuf {
    std::env::var_os("FRONTROW_TEST_POSTGRES_BIN").expect("FRONTROW_TEST_POSTGRES_BIN is set").into()
}

/// A connection of the test's own. It ends with the client.
pub async fn connect(url: &str) -> Client {
    try_connect(url).await.unwrap()
}

/// The same, if it may fail.
pub async fn try_connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A URL like this one, but of another database.
fn with_database(url: &str, name: &str) -> String {
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

/// A database that a test has for itself; dropped with this.
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// A copy of a migrated one, on the server that the run shares: the schema without a row.
    pub async fn new() -> Self {
        Self::on(&shared_url()).await
    }

    /// The same on another server.
    pub async fn on(server: &str) -> Self {
        let admin = connect(server).await;
        let template = template(&admin, server).await;
        Self::create(&admin, server, &format!("TEMPLATE {template}")).await
    }

    /// One without a table.
    pub async fn empty() -> Self {
        let server = shared_url();
        Self::create(&connect(&server).await, &server, "").await
    }

    async fn create(admin: &Client, server: &str, how: &str) -> Self {
        let [a, b, c, d, ..] = Ids::from_os().secret();
        let name = format!("test_{:08x}", u32::from_be_bytes([a, b, c, d]));
        admin.batch_execute(&format!("CREATE DATABASE {name} {how}")).await.unwrap();
        Self { server: server.to_owned(), name }
    }

    /// Its address.
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to it.
    pub async fn client(&self) -> Client {
        connect(&self.url()).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime of its own: that of the test may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // A server that the test has stopped takes its databases with it.
                if let Ok(admin) = try_connect(&server).await {
                    let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                }
            });
        });
        let _ = dropping.join();
    }
}

/// The name of a migrated database without a row, made by the first process that needs it.
async fn template(admin: &Client, server: &str) -> String {
    let mut hash = DefaultHasher::new();
    for step in migrate::POSTGRES {
        step.sql.hash(&mut hash);
    }
    let name = format!("frontrow_template_{:016x}", hash.finish());
    let made = async || {
        let row = admin.query_opt("SELECT datistemplate FROM pg_database WHERE datname = $1", &[&name]).await.unwrap();
        row.is_some_and(|row| row.get(0))
    };
    if !made().await {
        admin.execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
        if !made().await {
            // One that another run left half done is made anew.
            admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
            admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
            postgres::migrate(&PostgresSettings::new(&with_database(server, &name))).await.unwrap();
            wait_until_unused(admin, &name).await;
            admin.batch_execute(&format!("ALTER DATABASE {name} IS_TEMPLATE true")).await.unwrap();
        }
        admin.execute("SELECT pg_advisory_unlock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    }
    name
}

/// A database with a connection cannot be copied.
async fn wait_until_unused(admin: &Client, name: &str) {
    let started = Instant::now();
    loop {
        let row = admin.query_one("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", &[&name]).await.unwrap();
        if row.get::<_, i64>(0) == 0 {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "a client stays connected to {name}");
        tokio::time::sleep(POLL).await;
    }
}

/// A server of a test's own, which it may stop, kill and start again. It ends with this, or with the test's thread.
#[must_use]
pub struct PostgresServer {
    programs: PathBuf,
    // Dropped after the process has ended.
    folder: TempDir,
    port: Port,
    process: Option<Child>,
}

impl PostgresServer {
    /// A new server of the run's version that trusts every user of this machine.
    pub async fn start() -> Self {
        Self::start_with(&programs(), "").await
    }

    /// A new server of the version in a folder of programs, with lines for its `postgresql.conf`.
    pub async fn start_with(programs: &Path, settings: &str) -> Self {
        let server = Self::new(programs);
        let data = server.data();
        let mut initdb = server.program("initdb");
        initdb.arg("--pgdata").arg(&data);
        run(initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]));
        let sockets = server.home();
        let lines = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 200\n{settings}\n",
            sockets.display()
        );
        server.append("postgresql.conf", &lines);
        server.started().await
    }

    /// A copy of this server that follows it.
    pub async fn replica(&self) -> Self {
        let replica = Self::new(&self.programs);
        let mut copy = replica.program("pg_basebackup");
        copy.arg("--pgdata").arg(replica.data()).args(["--write-recovery-conf", "--checkpoint=fast"]);
        run(copy.args(["--host=127.0.0.1", "--username=postgres", "--port"]).arg(self.port().to_string()));
        replica.append("postgresql.conf", &format!("unix_socket_directories = '{}'\n", replica.home().display()));
        replica.started().await
    }

    /// A base backup of this server, which does not run yet.
    pub fn base_backup(&self) -> Self {
        let copy = Self::new(&self.programs);
        let mut backup = copy.program("pg_basebackup");
        backup.arg("--pgdata").arg(copy.data()).arg("--checkpoint=fast");
        run(backup.args(["--host=127.0.0.1", "--username=postgres", "--port"]).arg(self.port().to_string()));
        copy.append("postgresql.conf", &format!("unix_socket_directories = '{}'\n", copy.home().display()));
        copy
    }

    /// Starts a base backup, and brings it up to the end of the log that is archived in this folder.
    pub async fn recovered(self, archive: &Path) -> Self {
        let restore = format!("archive_mode = off\nrestore_command = 'cp {}/%f %p'\n", archive.display());
        self.append("postgresql.conf", &restore);
        self.write("recovery.signal", "");
        let server = self.started().await;
        let started = Instant::now();
        let client = server.client().await;
        while client.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap().get(0) {
            assert!(started.elapsed() < PATIENCE, "the recovery does not end: {}", server.log());
            tokio::time::sleep(POLL).await;
        }
        server
    }

    fn new(programs: &Path) -> Self {
        let folder = folder();
        let server = Self { programs: programs.to_owned(), folder, port: Port::take(), process: None };
        std::fs::create_dir(server.home()).unwrap();
        if is_root() {
            run(Command::new("chown").arg(user()).arg(server.home()));
        }
        server
    }

    async fn started(mut self) -> Self {
        self.start_again().await;
        self
    }

    /// The address of a database of it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port())
    }

    /// Its port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// A connection to its first database.
    pub async fn client(&self) -> Client {
        connect(&self.url("postgres")).await
    }

    /// Adds lines to one of its files of settings. It reads them when it starts.
    pub fn append(&self, file: &str, lines: &str) {
        use std::io::Write as _;
        let path = self.data().join(file);
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// Replaces one of its files, or makes it, so that only the server can read it.
    pub fn write(&self, file: &str, content: &str) {
        let path = self.data().join(file);
        std::fs::write(&path, content).unwrap();
        run(Command::new("chmod").arg("600").arg(&path));
        if is_root() {
            run(Command::new("chown").arg(user()).arg(&path));
        }
    }

    /// SIGKILL: as if the machine had lost its power, but for the disk's cache.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// A clean stop that does not wait for clients.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal("INT", process.id());
            process.wait().unwrap();
        }
    }

    /// Starts it where it was, and waits until it takes connections.
    pub async fn start_again(&mut self) {
        let started = Instant::now();
        self.spawn();
        loop {
            match try_connect(&self.url("postgres")).await {
                Ok(_) => return,
                // It speaks, and refuses one without encryption.
                Err(error) if error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => return,
                Err(_) => {}
            }
            assert!(started.elapsed() < PATIENCE, "the server does not start: {}", self.log());
            if self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some()) {
                // Killed before, it waits for the last of its old processes.
                self.spawn();
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Freezes all its processes; connections stay open without an answer.
    pub fn pause(&self) {
        self.processes().into_iter().for_each(|process| signal("STOP", process));
    }

    /// Lets a paused one go on.
    pub fn resume(&self) {
        self.processes().into_iter().rev().for_each(|process| signal("CONT", process));
    }

    /// Makes a replica the primary.
    pub async fn promote(&self) {
        self.client().await.execute("SELECT pg_promote()", &[]).await.unwrap();
    }

    /// The postmaster and its children.
    fn processes(&self) -> Vec<u32> {
        let postmaster = self.process.as_ref().unwrap().id();
        let listed =
            Command::new("ps").args(["--no-headers", "-o", "pid", "--ppid"]).arg(postmaster.to_string()).output();
        let children = String::from_utf8(listed.unwrap().stdout).unwrap();
        let children = children.split_whitespace().map(|number| number.parse().unwrap());
        std::iter::once(postmaster).chain(children).collect()
    }

    fn spawn(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.data()).arg("-p").arg(self.port().to_string());
        self.process = Some(postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn program(&self, name: &str) -> Command {
        let mut command = as_its_user(self.programs.join(name));
        command.current_dir(self.home());
        command
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program as the user that the server runs as. It is killed when the thread that started it ends.
pub fn as_its_user(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.arg(format!("--reuid={}", user())).arg(format!("--regid={}", group())).arg("--clear-groups");
    }
    command.arg("--").arg(program);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The user that the server runs as if the tests run as root, which it refuses.
fn user() -> &'static str {
    let known = Command::new("id").args(["-u", "postgres"]).output().unwrap();
    if known.status.success() { "postgres" } else { "nobody" }
}

fn group() -> String {
    let output = Command::new("id").args(["-g", user()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
