//! The command line.

use anyhow::{Context as _, bail};
use frontrow::{
    app,
    config::{
        Cli, CliCommand, ConcertCommand, Config, Database, KeysCommand, LineCommand, LoadError, OperatorCommand,
        ServerUrl, UserCommand,
    },
    keys::{self, KeyForm},
    rehearse, telemetry, verify_draw,
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Proof, Worth},
    id::ConcertId,
    money::Money,
    refusal::Refusal,
    text::checked_text,
    user::{Caller, OperatorPresence, Role, User, UserStatus},
};
use frontrow_service::{
    concert_import, demo, drafts,
    first_operator::FIRST_OPERATOR_PATH,
    office::{BoxOffice, ServiceError},
    rehearsal::{RehearsalProgram, scratch},
    validate::{Email, Password, USER_NAME_LEN_MAX},
};
use frontrow_storage::{postgres::admin::AdminConnection, sqlite_to_postgres};
use frontrow_web::edge::listener;
use std::{
    io::{self, Read as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Instant,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// glibc keeps the 19 MiB of every password hash in the arena of the thread that made it; this one gives them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("frontrow: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let Cli { config, command } = match Cli::load(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and version arrive as errors too, but are no failures.
        Err(LoadError::CommandLine(error)) => error.exit(),
        Err(error) => return Err(error.into()),
    };
    config.validate()?;
    match command {
        CliCommand::Config => {
            print!("{}", config.describe());
            return Ok(ExitCode::SUCCESS);
        }
        CliCommand::Check => return check_books(&config),
        CliCommand::Keys(KeysCommand::Rotate) => {
            println!("{}", keys::rotate(&config)?);
            return Ok(ExitCode::SUCCESS);
        }
        CliCommand::Jwks { pem, number } => {
            let form = if pem { KeyForm::Pem { number } } else { KeyForm::Set };
            print!("{}", keys::public(&config, form)?);
            return Ok(ExitCode::SUCCESS);
        }
        CliCommand::VerifyDraw { file, entry } => return verify_draw::run(&file, entry),
        CliCommand::Serve
        | CliCommand::Migrate { .. }
        | CliCommand::Operator(_)
        | CliCommand::User(_)
        | CliCommand::Concert(_)
        | CliCommand::Line(_) => {}
        CliCommand::Rehearse(_) => rehearse::step_back(),
    }
    // Of a rehearsal nothing but errors is worth a line: its slow requests are what it measures.
    let log = if matches!(command, CliCommand::Rehearse(_)) { "error" } else { &config.log };
    telemetry::init(log, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            CliCommand::Serve => serve(&config).await,
            CliCommand::Migrate { from: Some(from), to } => migrate_to_postgres(&config, &from, to).await,
            CliCommand::Migrate { .. } => migrate(&config).await,
            CliCommand::Operator(command) => operators(&config, command).await,
            CliCommand::User(command) => users(&config, command).await,
            CliCommand::Concert(ConcertCommand::Import { file }) => import(&config, &file).await,
            CliCommand::Concert(ConcertCommand::DoorList { concert_id }) => print_door_list(&config, concert_id).await,
            CliCommand::Line(LineCommand::Renew) => renew_lines(&config).await,
            CliCommand::Rehearse(options) => rehearse::run(&config, &options).await,
            CliCommand::Check
            | CliCommand::Config
            | CliCommand::Keys(_)
            | CliCommand::Jwks { .. }
            | CliCommand::VerifyDraw { .. } => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Exit code 0 if the books are in order, 1 with a list of faults if not.
fn check_books(config: &Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(app::check_books(config))?;
    print!("{report}");
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    match config.database() {
        Database::Sqlite(path) => {
            app::check_beside(config)?;
            app::close(app::open_for_tool(config, Clock::System, Ids::from_os()).await?).await;
            println!("{} is up to date.", path.display());
        }
        Database::Postgres(url) => {
            let tool = AdminConnection::new(&app::postgres_settings(config, &url))?;
            tool.migrate().await?;
            println!("{} is up to date.", tool.name());
        }
    }
    Ok(())
}

/// Moves a box office from a `SQLite` file into a `PostgreSQL` database.
async fn migrate_to_postgres(config: &Config, from: &ServerUrl, to: Option<ServerUrl>) -> anyhow::Result<()> {
    let Some(file) = from.sqlite_file() else { bail!("--from must be sqlite:FILE") };
    let Some(to) = to.or_else(|| config.servers.database_url.clone()).filter(ServerUrl::is_postgres) else {
        bail!("--to must be postgres://USER:PASSWORD@HOST/NAME")
    };
    let keys = config.key_file.clone().unwrap_or_else(|| file.with_file_name("keys.toml"));
    let moved = sqlite_to_postgres::run(&file, &keys, &app::postgres_settings(config, &to)).await?;
    print!("{moved}");
    println!("Start the servers with --database-url now, and keep the file until you are sure.");
    Ok(())
}

async fn renew_lines(config: &Config) -> anyhow::Result<()> {
    let _alone = app::take_folder(config)?;
    let opened = app::open_for_tool(config, Clock::System, Ids::from_os()).await?;
    let renewed = opened.app.office.renew_lines().await;
    app::close(opened).await;
    println!("{} lines are renewed: who joins again gets the same place with a new token.", renewed?);
    Ok(())
}

/// Announces the address: on standard output, or if the log is JSON, only in the log, since the two often share one
/// stream.
fn greet(config: &Config, address: std::net::SocketAddr) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, "serving");
    if config.log_format.is_json() {
        return;
    }
    say(&format!("Frontrow serves http://{address}"));
    say(&format!("API docs:        http://{address}/docs"));
    if let Some(address) = config.metrics_listen {
        say(&format!("Metrics:         http://{address}/metrics"));
    }
    if config.demo {
        say(&format!("Demo sign-ins:   {} and {}, password {}", demo::BUYER, demo::OPERATOR, demo::PASSWORD));
    }
}

/// Without an operator no sale can be run: says how the first one comes to be. The link goes to the console alone,
/// since logs are kept and read by others.
fn greet_first_operator(config: &Config, office: &BoxOffice, address: std::net::SocketAddr) {
    if config.log_format.is_json() {
        tracing::warn!("there is no operator: add one by `frontrow operator add`");
        return;
    }
    let secret = office.first_operator_secret();
    say(&format!("First operator:  http://{address}{FIRST_OPERATOR_PATH}{secret}"));
    tracing::warn!(
        "there is no operator: a link to register the first one was printed. It works once; `frontrow operator add` does \
         the same"
    );
}

/// Prints a line. If the reader of the output goes away, the sale must not stop.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    for file in config.secrets_others_can_read() {
        tracing::warn!(
            file = %file.path.display(),
            mode = format!("{:o}", file.mode),
            "a file with secrets can be read by others: take their rights away (chmod 600)"
        );
    }
    let _alone = app::take_folder(config)?;
    let opened = app::open(config, Clock::System, Ids::from_os()).await?;
    if config.demo {
        demo::load(&opened.app.office).await.context("cannot load the demo season")?;
        if !config.listen.ip().is_loopback() {
            tracing::warn!(
                listen = %config.listen,
                "the demo listens beyond this machine: all who reach it can be its operator, since the password \
                 is published. Listen on 127.0.0.1, or serve without --demo"
            );
        }
    } else {
        let left = demo::shut(&opened.app.office).await.context("cannot shut the demo's accounts")?;
        if !left.is_empty() {
            tracing::warn!(
                accounts = left.join(", "),
                "accounts of the demo still have its published password: signing in to them is refused. To use one set \
                 a password with `frontrow user password --email …`; else begin with an empty data folder"
            );
        }
    }
    offer_rehearsals(config, &opened.app.office);
    let socket = listener::bind(config.listen).with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = socket.local_addr()?;
    // From the announcement on, it stops in good order.
    let mut signals = StopSignals::listen().context("cannot listen for signals")?;
    greet(config, address);
    match opened.app.office.operators().await {
        Ok(OperatorPresence::Never) => greet_first_operator(config, &opened.app.office, address),
        Ok(OperatorPresence::Gone) => tracing::warn!(
            "there is no operator any more: add one by `frontrow operator add`, or give an account the role again by \
             `frontrow operator add --email … --promote`"
        ),
        Ok(OperatorPresence::Present) => {}
        Err(error) => tracing::warn!(%error, "cannot look up whether there is an operator"),
    }
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        signals.next().await;
        let _ = stop.send(true);
        signals.next().await;
        // A second signal means not to wait.
        std::process::exit(130);
    });
    let started = Instant::now();
    app::serve(opened, config, socket, stopped).await?;
    tracing::info!(seconds = started.elapsed().as_secs(), "stopped in good order");
    Ok(())
}

/// Lets operators rehearse with this program.
fn offer_rehearsals(config: &Config, office: &BoxOffice) {
    let folder = rehearse::scratch_folder(config);
    scratch::sweep(&folder);
    match std::env::current_exe() {
        Ok(program) => office.offer_rehearsals(RehearsalProgram { program, folder }),
        Err(error) => tracing::warn!(%error, "no rehearsals: this program's file is not known"),
    }
}

/// The signals that stop a server. While this lives, they do not end the process by default.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("stopping: finishing the requests in flight");
    }
}

/// Opens the box office for one command, runs it, and prints its result.
async fn with_office(
    config: &Config,
    work: impl AsyncFnOnce(&BoxOffice) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    app::check_beside(config)?;
    let opened = app::open_for_tool(config, Clock::System, Ids::from_os()).await?;
    let said = work(&opened.app.office).await;
    app::close(opened).await;
    println!("{}", said?);
    Ok(())
}

async fn operators(config: &Config, command: OperatorCommand) -> anyhow::Result<()> {
    match command {
        OperatorCommand::Add { email, name, promote, viewer, keep_password, password_file } => {
            let role = if viewer { Role::Viewer } else { Role::Operator };
            let email = if promote { Email::parse_known(&email)? } else { Email::parse(&email)? };
            let name = name.map(|name| checked_text("name", &name, USER_NAME_LEN_MAX)).transpose()?;
            let read = || anyhow::Ok(Password::parse(read_password(password_file.as_deref())?)?);
            if promote {
                let password = if keep_password { None } else { Some(read()?) };
                with_office(config, async |office| promote_user(office, &email, name, password, role).await).await
            } else {
                let name = name.context("--name is missing")?;
                with_office(config, async |office| add_operator(office, email, name, read, role).await).await
            }
        }
        OperatorCommand::Remove { email } => {
            let email = Email::parse_known(&email)?;
            let command = async |office: &BoxOffice| {
                let user = existing(office, &email).await?;
                if !user.role.sees_sale() {
                    bail!("{} is no operator and no viewer", user.email)
                }
                office.set_role(user.user_id, Role::Buyer).await?;
                Ok(format!("{} is a buyer now, and signed out everywhere.", user.email))
            };
            with_office(config, command).await
        }
    }
}

/// The account with this address.
async fn existing(office: &BoxOffice, email: &Email) -> anyhow::Result<User> {
    let found = office.account(email).await?;
    Ok(found.with_context(|| format!("{email} has no account"))?.0)
}

async fn add_operator(
    office: &BoxOffice,
    email: Email,
    name: String,
    read_password: impl FnOnce() -> anyhow::Result<Password>,
    role: Role,
) -> anyhow::Result<String> {
    if let Some((user, _)) = office.account(&email).await? {
        bail!(
            "{} has an account already, as {}; nothing was changed. Anybody can have registered it. To make it {}'s, \
             with the password that you give and without its sessions, add --promote; else choose another address",
            user.email,
            role_name(user.role),
            role_name(role)
        )
    }
    let user = office.register(name, email, read_password()?, role).await?;
    Ok(format!("{} is {}.", user.email, role_name(role)))
}

/// The role in a sentence.
const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Buyer => "a buyer",
        Role::Operator => "an operator",
        Role::Viewer => "a viewer",
    }
}

/// Makes the account of an address an operator's or a viewer's. The role comes last: the steps before it must not be skipped.
async fn promote_user(
    office: &BoxOffice,
    email: &Email,
    name: Option<String>,
    password: Option<Password>,
    role: Role,
) -> anyhow::Result<String> {
    let Some((user, _)) = office.account(email).await? else {
        bail!("{email} has no account to promote: leave --promote out to add one")
    };
    if user.status == UserStatus::Locked {
        bail!("{} is locked: unlock it first", user.email)
    }
    let user_id = user.user_id;
    let whose = if let Some(password) = &password {
        office.set_password(user_id, password).await?;
        "the given password"
    } else {
        office.sign_out_everywhere(Caller::System, user_id).await?;
        "the password that its owner chose"
    };
    if let Some(name) = name {
        office.rename_user(user_id, name).await?;
    }
    office.set_role(user_id, role).await?;
    Ok(format!("{} is {} with {whose}, and signed out everywhere.", user.email, role_name(role)))
}

async fn users(config: &Config, command: UserCommand) -> anyhow::Result<()> {
    let (UserCommand::Lock { email }
    | UserCommand::Unlock { email }
    | UserCommand::Password { email, .. }
    | UserCommand::ResetLink { email }
    | UserCommand::ResetFactor { email }
    | UserCommand::Erase { email, .. }) = &command;
    let email = Email::parse_known(email)?;
    let password = match &command {
        UserCommand::Password { password_file, .. } => Some(Password::parse(read_password(password_file.as_deref())?)?),
        _ => None,
    };
    let work = async |office: &BoxOffice| {
        let User { user_id, email, .. } = existing(office, &email).await?;
        match command {
            UserCommand::Lock { .. } => {
                office.lock_user(Caller::System, user_id, None, None).await?;
                Ok(format!("{email} is locked, and signed out everywhere."))
            }
            UserCommand::Unlock { .. } => {
                office.unlock_user(Caller::System, user_id, None).await?;
                Ok(format!("{email} is unlocked."))
            }
            UserCommand::Password { .. } => {
                let password = password.context("the password is missing")?;
                office.set_password(user_id, &password).await?;
                Ok(format!("{email} has the new password, and is signed out everywhere."))
            }
            UserCommand::ResetLink { .. } => {
                let (secret, expires_at) = office.issue_reset_link(Caller::System, user_id).await?;
                Ok(format!("{secret}\nGood once, until {expires_at}, for {email}."))
            }
            UserCommand::ResetFactor { .. } => {
                match office.reset_factor(user_id).await {
                    Err(ServiceError::Refused(Refusal::NotFound { .. })) => bail!("{email} has no second factor"),
                    done => done?,
                }
                Ok(format!("{email} has no second factor any more, and is signed out everywhere."))
            }
            UserCommand::Erase { force, .. } => {
                let worth = if force { Worth::Abandoned } else { Worth::Kept };
                office.erase(Caller::System, user_id, Proof::Unneeded, worth).await?;
                let erased = format!("The account is erased. The books know it as user {user_id}.");
                let left = office.remains(user_id).await?;
                if left.balance == Money::ZERO && left.tickets == 0 {
                    return Ok(erased);
                }
                Ok(format!("{erased}\nLeft under that id: a balance of {} and {} tickets.", left.balance, left.tickets))
            }
        }
    };
    with_office(config, work).await
}

/// The first line of a file, or of standard input.
fn read_password(file: Option<&Path>) -> anyhow::Result<String> {
    let text = if let Some(path) = file {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    } else {
        let mut text = String::new();
        io::stdin().take(4_096).read_to_string(&mut text).context("cannot read the password")?;
        text
    };
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

async fn import(config: &Config, file: &Path) -> anyhow::Result<()> {
    let cannot_read = || format!("cannot read {}", file.display());
    let opened = std::fs::File::open(file).with_context(cannot_read)?;
    let mut text = String::new();
    opened.take(drafts::IMPORT_LEN_MAX + 1).read_to_string(&mut text).with_context(cannot_read)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > drafts::IMPORT_LEN_MAX) {
        bail!("{} is larger than {} bytes: import it in parts", file.display(), drafts::IMPORT_LEN_MAX);
    }
    let concerts = drafts::read_file(&text).with_context(|| format!("{} is not a list of concerts", file.display()))?;
    app::check_beside(config)?;
    let opened = app::open_for_tool(config, Clock::System, Ids::from_os()).await?;
    let imported = concert_import::import(&opened.app.office, &concerts).await;
    app::close(opened).await;
    for (created, count) in imported? {
        println!("Concert {}: {} with {count} seats.", created.concert_id, created.title);
    }
    Ok(())
}

async fn print_door_list(config: &Config, concert_id: i64) -> anyhow::Result<()> {
    let concert_id = ConcertId::try_from(concert_id).map_err(anyhow::Error::msg)?;
    app::check_beside(config)?;
    let opened = app::open_for_tool(config, Clock::System, Ids::from_os()).await?;
    let printed = print_pages(&opened.app.office, concert_id).await;
    app::close(opened).await;
    printed
}

async fn print_pages(office: &BoxOffice, concert_id: ConcertId) -> anyhow::Result<()> {
    let mut pages = match office.door_list(concert_id).await {
        Err(ServiceError::Refused(Refusal::NotFound { .. })) => bail!("there is no concert {concert_id}"),
        pages => pages?,
    };
    while let Some(page) = pages.next().await? {
        io::stdout().write_all(page.as_bytes()).context("the list could not be written")?;
    }
    Ok(())
}
