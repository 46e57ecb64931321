//! A private `PostgreSQL` with a box office in it: concerts, seats, buyers with active tokens and points.

use crate::servers::port::Port;
use anyhow::{Context as _, Result, bail, ensure};
use frontrow_domain::id::{Position, RoomId, TokenId, UserId};
use std::{
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// The server's settings, beside its defaults. Commits are durable.
pub const SETTINGS: [&str; 8] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "max_connections=300",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
];
/// How long the server may take to start.
const START_MAX: Duration = Duration::from_secs(30);
/// Rooms count along what stands in them: tokens that were put there by hand must be counted.
pub const COUNT_TOKENS: &str = "UPDATE room SET
    active = (SELECT count(*) FROM waiting_token AS t WHERE t.room_id = room.room_id AND t.status = 'active')";
/// The database that the rounds' databases are copies of.
pub const TEMPLATE: &str = "box_office";

/// A `PostgreSQL` server of our own, in a temporary folder. It ends with the value.
pub struct Postgres {
    process: Child,
    port: Port,
    _folder: TempDir,
}

impl Postgres {
    /// Starts one with its files below `folder`. `pinned` is the list of processors it runs on, as `taskset` takes it;
    /// `more` are further settings.
    ///
    /// # Errors
    /// There is no `PostgreSQL` on the machine, or it does not start.
    pub fn start(folder: &str, pinned: Option<&str>, more: &[&str]) -> Result<Self> {
        let binaries = binaries()?;
        let folder = tempfile::tempdir_in(folder).context("a folder for PostgreSQL")?;
        let data = folder.path().join("data");
        if is_root()? {
            chown(folder.path(), Some(postgres_id("-u")?), Some(postgres_id("-g")?))?;
        }
        let made = server_command(&binaries.join("initdb"), None)?
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()?;
        ensure!(made.success(), "initdb failed");
        let port = Port::take();
        let mut server = server_command(&binaries.join("postgres"), pinned)?;
        server.arg("-D").arg(&data).arg("-p").arg(port.number().to_string());
        for setting in SETTINGS.iter().chain(more) {
            server.args(["-c", setting]);
        }
        for setting in std::env::var("PG_SETTINGS").unwrap_or_default().split_whitespace() {
            server.args(["-c", setting]);
        }
        let process = server.stdout(Stdio::null()).stderr(log_file(folder.path())?).spawn()?;
        let server = Self { process, port, _folder: folder };
        server.wait_until_ready(&binaries)?;
        Ok(server)
    }

    fn wait_until_ready(&self, binaries: &Path) -> Result<()> {
        let started = Instant::now();
        loop {
            let ready = Command::new(binaries.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.number().to_string()])
                .status()?;
            if ready.success() {
                return Ok(());
            }
            ensure!(started.elapsed() < START_MAX, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port.number())
    }

    /// Runs statements outside of a transaction.
    ///
    /// # Errors
    /// One of them failed.
    pub async fn execute(&self, database: &str, statements: &[&str]) -> Result<()> {
        let client = connect(&self.url(database)).await?;
        for statement in statements {
            client.batch_execute(statement).await.with_context(|| (*statement).to_owned())?;
        }
        Ok(())
    }

    /// A fresh copy of the template under this name, with everything on disk, so that no round pays for another's
    /// writes.
    ///
    /// # Errors
    /// The template is in use, or is not there.
    pub async fn copy(&self, name: &str) -> Result<String> {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY = file_copy");
        self.execute("postgres", &[&drop, &create, "CHECKPOINT"]).await?;
        Ok(self.url(name))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: what it holds is thrown away with the folder.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

fn log_file(folder: &Path) -> Result<std::fs::File> {
    Ok(std::fs::File::create(folder.join("log"))?)
}

/// A command that runs as the user `postgres` if we are root, which the server refuses to be.
fn server_command(program: &Path, pinned: Option<&str>) -> Result<Command> {
    let mut words: Vec<String> = Vec::new();
    if let Some(processors) = pinned {
        words.extend(["taskset", "-c", processors].map(str::to_owned));
    }
    // It ends with this process, however that ends.
    words.extend(["setpriv", "--pdeathsig", "KILL"].map(str::to_owned));
    if is_root()? {
        words.extend(["--reuid=postgres", "--regid=postgres", "--clear-groups"].map(str::to_owned));
    }
    words.push("--".to_owned());
    words.push(program.display().to_string());
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().context("no command")?);
    command.args(words);
    Ok(command)
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

fn postgres_id(which: &str) -> Result<u32> {
    let found = Command::new("id").args([which, "postgres"]).output()?;
    String::from_utf8(found.stdout)?.trim().parse().context("there is no user postgres")
}

/// The folder of the programs of the newest `PostgreSQL` of Debian's packages, or that in `PG_BIN`.
///
/// # Errors
/// There is none.
pub fn binaries() -> Result<PathBuf> {
    if let Ok(folder) = std::env::var("PG_BIN") {
        return Ok(folder.into());
    }
    let folders = (15..=18).rev().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    for folder in folders {
        if folder.join("postgres").exists() {
            return Ok(folder);
        }
    }
    bail!("there is no PostgreSQL 15 to 18 in /usr/lib/postgresql; set PG_BIN")
}

/// The planner's settings on every connection, as on the store's own: without statistics of a new table it would
/// read all of it.
pub const PLANNER: &str = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off";

/// The address to connect to.
///
/// # Errors
/// It is not a URL.
pub fn config(url: &str) -> Result<Config> {
    let mut config: Config = url.parse()?;
    config.options(PLANNER);
    Ok(config)
}

/// A connection.
///
/// # Errors
/// The server is not there.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = config(url)?.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many concerts, each with a room of its own.
    pub concerts: i64,
    /// How many buyers each has, with an active token each and the points for every seat.
    pub buyers: i64,
    /// How many seats each has.
    pub seats: i64,
}

/// The user with this number.
pub fn user_id(number: i64) -> UserId {
    UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number.unsigned_abs())))
}

/// The active token of a buyer: those of the first concert are 1 to `buyers`, and so on.
pub fn token_id(plan: Plan, buyer: i64) -> TokenId {
    let concert = (buyer - 1).div_euclid(plan.buyers) + 1;
    TokenId { room_id: RoomId::new(concert), position: Position(buyer - (concert - 1) * plan.buyers) }
}

/// Fills an empty box office, in which the migrations have run.
///
/// # Errors
/// A statement failed.
pub async fn fill(url: &str, plan: Plan) -> Result<()> {
    let client = connect(url).await?;
    let day = "86400000000::bigint";
    // Sooner than the idle limit of the benchmarks' rules, so that each hold makes its token live longer.
    let hour = "3600000000::bigint";
    let now = "(extract(epoch FROM date_trunc('second', now())) * 1000000)::bigint";
    let Plan { concerts, buyers, seats } = plan;
    let all = concerts * buyers;
    let uuid = "('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    let statements = [
        format!(
            "INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, fence,
                 updated_at)
             SELECT n, 1000000, 'open', {buyers}, 1, 0, 0, {now}, 0, {now} FROM generate_series(1, {concerts}) n"
        ),
        format!("SELECT setval('room_position_' || n, {buyers}) FROM generate_series(1, {concerts}) n"),
        format!(
            "INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time,
                 starts_at, base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing)
             SELECT nextval('concert_ids'), 'Midnight Tide', 'Midnight Tide', 'Hangang Hall, Seoul', 'Asia/Seoul',
                 '2099-03-01', '20:00:00', '22:30:00', {now} + 90 * {day}, 1000, {now} - {day}, {now} + 80 * {day}, n,
                 'scheduled', {now}, {now}, {now} + 91 * {day}, 'apart'
             FROM generate_series(1, {concerts}) n"
        ),
        format!(
            "INSERT INTO seat (seat_id, concert_id, seat_number, price, status, section, \"row\", number, grade, created_at,
                 updated_at)
             SELECT nextval('seat_ids'), (n - 1) / {seats} + 1, (n - 1) % {seats} + 1, 1000, 'available', 'Floor',
                 'A', ((n - 1) % {seats} + 1)::text, 'VIP', {now}, {now}
             FROM generate_series(1, {concerts} * {seats}) n"
        ),
        format!(
            "INSERT INTO \"user\" SELECT {uuid}, 'Kim Minji', n || '@example.com',
                 '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uWJ7cVkPcsFYzTjSjO3mIa0Vv1yXbX8JAkZ5u1Y4pRs',
                 'buyer', {now}, {now}
             FROM generate_series(1, {all}) n"
        ),
        format!(
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at, activated_at, active_until,
                 due_from)
             SELECT (n - 1) / {buyers} + 1, (n - 1) % {buyers} + 1, {uuid}, 'active', {now}, {now}, {now} + {hour},
                 {now} + {hour}
             FROM generate_series(1, {all}) n"
        ),
        COUNT_TOKENS.to_owned(),
        format!(
            "INSERT INTO point SELECT nextval('point_ids'), {uuid}, 1000000, 1, {now}, {now}
             FROM generate_series(1, {all}) n"
        ),
        format!(
            "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version,
                 created_at)
             SELECT nextval('history_ids'), {uuid}, 1000000, 'top_up', '', 1000000, 1, {now}
             FROM generate_series(1, {all}) n"
        ),
        "VACUUM ANALYZE".to_owned(),
    ];
    for statement in &statements {
        client.batch_execute(statement).await.with_context(|| statement.clone())?;
    }
    Ok(())
}

/// Declares the foreign keys that the schema has triggers for instead, which check a whole batch at once: one row at a
/// time, what is declared is cheaper.
pub const DECLARED: &str = "
    DROP TRIGGER token_refers ON waiting_token;
    DROP TRIGGER reservation_refers ON reservation;
    DROP TRIGGER payment_refers ON payment;
    DROP TRIGGER history_refers ON point_history;
    ALTER TABLE waiting_token ADD FOREIGN KEY (user_id) REFERENCES \"user\", ADD FOREIGN KEY (room_id) REFERENCES room;
    ALTER TABLE reservation ADD FOREIGN KEY (user_id) REFERENCES \"user\", ADD FOREIGN KEY (seat_id) REFERENCES seat;
    ALTER TABLE payment ADD FOREIGN KEY (user_id) REFERENCES \"user\", ADD FOREIGN KEY (reservation_id) REFERENCES reservation;
    ALTER TABLE point_history ADD FOREIGN KEY (user_id) REFERENCES point (user_id),
        ADD FOREIGN KEY (payment_id) REFERENCES payment;
";

/// Lets so many new users wait in the house room, which lets no token in. Their numbers follow `after`.
///
/// # Errors
/// A statement failed.
pub async fn fill_line(url: &str, after: i64, waiting: i64) -> Result<()> {
    let client = connect(url).await?;
    let uuid = format!("('01900000-0000-7000-8000-' || lpad(to_hex(n + {after}), 12, '0'))::uuid");
    let statements = [
        "UPDATE room SET gate = 'paused' WHERE room_id = 0".to_owned(),
        format!("SELECT setval('room_position_0', {waiting})"),
        format!(
            "INSERT INTO \"user\" SELECT {uuid}, 'Kim Minji', n || '@waiting.example', '-', 'buyer', 0, 0
             FROM generate_series(1, {waiting}) n"
        ),
        format!(
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at)
             SELECT 0, n, {uuid}, 'waiting', 0 FROM generate_series(1, {waiting}) n"
        ),
    ];
    for statement in &statements {
        client.batch_execute(statement).await.with_context(|| statement.clone())?;
    }
    Ok(())
}
