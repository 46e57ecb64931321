//! Every setting of the server: from flags, the environment and a TOML file, in this order; then the default.
mod cli;
mod joins;
mod load;
mod parts;
mod rates;
mod rehearse;
mod servers;
mod validate;

use crate::telemetry::LogFormat;
use clap::{Args, ValueEnum};
use frontrow_domain::line::TurnUrl;
use frontrow_service::net::AddressRange;
use frontrow_web::edge::{cors::Origin, secret::Secret, traces::Collector};
use std::{net::SocketAddr, path::PathBuf};

pub use cli::{Cli, CliCommand, ConcertCommand, KeysCommand, LineCommand, OperatorCommand, UserCommand};
pub use joins::{CheckFailsName, JoinOptions, WorkPolicyName};
pub use load::{LoadError, ReadableSecret, Setting};
pub use rates::RateOptions;
pub use rehearse::RehearseOptions;
pub use servers::{Database, ServerUrl, Servers, Switch};
pub use validate::Invalid;

/// The shortest service key, in characters.
pub const SERVICE_KEY_LEN_MIN: usize = 32;

/// Every setting, each with its unit and default in its help.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Config {
    /// TOML file with settings; its keys are the options' names with underscores
    #[arg(long = "config", env = "FRONTROW_CONFIG", value_name = "FILE", help_heading = "Where")]
    pub config_file: Option<PathBuf>,
    /// Address and port to listen on
    #[arg(
        long,
        env = "FRONTROW_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR:PORT",
        help_heading = "Where"
    )]
    pub listen: SocketAddr,
    /// Address and port where the metrics are served apart from everything else; `/metrics` is then gone from --listen
    /// [default: none]
    #[arg(long, env = "FRONTROW_METRICS_LISTEN", value_name = "ADDR:PORT", help_heading = "Where")]
    pub metrics_listen: Option<SocketAddr>,
    /// Folder of the database and the keys; made if it is not there
    #[arg(long, env = "FRONTROW_DATA", default_value = "./data", value_name = "DIR", help_heading = "Where")]
    pub data: PathBuf,
    /// Folder that backups are written into by others: the checklist before a sale says how old the newest one is [default: none]
    #[arg(long, env = "FRONTROW_BACKUP_FOLDER", value_name = "DIR", help_heading = "Where")]
    pub backup_folder: Option<PathBuf>,
    /// File of the keys that queue tokens are signed with [default: keys.toml in the data folder; in the database, if that is `PostgreSQL`]
    #[arg(long, env = "FRONTROW_KEY_FILE", value_name = "FILE", help_heading = "Where")]
    pub key_file: Option<PathBuf>,
    /// Folder of the shop's own style, logo, name and footer for the pages [default: none]
    #[arg(long, env = "FRONTROW_THEME", value_name = "DIR", help_heading = "Where")]
    pub theme: Option<PathBuf>,
    /// Make seven concerts and six accounts, and let users top up their own points. Not for real sales
    #[arg(long, env = "FRONTROW_DEMO", help_heading = "Where")]
    pub demo: bool,

    /// The database and Redis.
    #[command(flatten)]
    pub servers: Servers,

    /// How long a hold lasts, in seconds
    #[arg(
        long,
        env = "FRONTROW_HOLD_SECONDS",
        default_value_t = 300,
        value_name = "SECONDS",
        help_heading = "Seats and money"
    )]
    pub hold_seconds: u32,
    /// How long after its hold's end an active token lives on, so that the payment can be made, in seconds
    #[arg(
        long,
        env = "FRONTROW_PAY_GRACE_SECONDS",
        default_value_t = 30,
        value_name = "SECONDS",
        help_heading = "Seats and money"
    )]
    pub pay_grace_seconds: u32,
    /// How many seats one user may have in one concert
    #[arg(
        long,
        env = "FRONTROW_MAX_SEATS_PER_USER",
        default_value_t = 4,
        value_name = "SEATS",
        help_heading = "Seats and money"
    )]
    pub max_seats_per_user: u32,
    /// For how long a user who gave a seat up, or let its hold end, may not hold that seat again, in seconds; 0 for no time
    #[arg(
        long,
        env = "FRONTROW_SEAT_COOLDOWN_SECONDS",
        default_value_t = 60,
        value_name = "SECONDS",
        help_heading = "Seats and money"
    )]
    pub seat_cooldown_seconds: u32,
    /// How long before a concert starts its refunds end, in hours
    #[arg(
        long,
        env = "FRONTROW_REFUND_CUTOFF_HOURS",
        default_value_t = 24,
        value_name = "HOURS",
        help_heading = "Seats and money"
    )]
    pub refund_cutoff_hours: u32,
    /// Who may top up points: every user to themselves, or operators and the service key [default: operator; open with --demo]
    #[arg(long, env = "FRONTROW_TOP_UP_POLICY", value_name = "WHO", help_heading = "Seats and money")]
    pub top_up_policy: Option<TopUpPolicyName>,
    /// The least that one top-up may be, in the currency's minor unit (won)
    #[arg(
        long,
        env = "FRONTROW_TOP_UP_MIN",
        default_value_t = 1,
        value_name = "AMOUNT",
        help_heading = "Seats and money"
    )]
    pub top_up_min: i64,
    /// The most that one top-up may be, in the currency's minor unit (won)
    #[arg(
        long,
        env = "FRONTROW_TOP_UP_MAX",
        default_value_t = 10_000_000,
        value_name = "AMOUNT",
        help_heading = "Seats and money"
    )]
    pub top_up_max: i64,
    /// The most that an account may hold, in the currency's minor unit (won)
    #[arg(
        long,
        env = "FRONTROW_BALANCE_MAX",
        default_value_t = 1_000_000_000,
        value_name = "AMOUNT",
        help_heading = "Seats and money"
    )]
    pub balance_max: i64,

    /// How many may be active in the house room at once, in users. Counts only when the data folder is made: later change the room
    #[arg(
        long,
        env = "FRONTROW_MAX_ACTIVE",
        default_value_t = 100,
        value_name = "USERS",
        help_heading = "Waiting line"
    )]
    pub max_active: u32,
    /// How many times one turn may hold seats
    #[arg(
        long,
        env = "FRONTROW_HOLDS_PER_TURN",
        default_value_t = 20,
        value_name = "COUNT",
        help_heading = "Waiting line"
    )]
    pub holds_per_turn: u32,
    /// The order of tokens that come before the opening of a scheduled sale with a room of its own, unless an operator
    /// sets another
    #[arg(
        long,
        env = "FRONTROW_OPENING_ORDER",
        value_enum,
        default_value_t = OpeningOrderName::Draw,
        value_name = "ORDER",
        help_heading = "Waiting line"
    )]
    pub opening_order: OpeningOrderName,
    /// How long a draw waits for the signature of its beacon's round, in seconds, at most 600; 0: the secret alone
    /// decides at once
    #[arg(
        long,
        env = "FRONTROW_DRAW_WAITS_SECONDS",
        default_value_t = 0,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub draw_waits_seconds: u32,
    /// How long before the sale opens the first turns are offered in a concert's own room whose order is not drawn, in
    /// seconds, at most 60
    #[arg(
        long,
        env = "FRONTROW_OFFER_LEAD_SECONDS",
        default_value_t = 5,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub offer_lead_seconds: u32,
    /// How many turns a token may let pass, unclaimed or unresponsive: with the last of them it ends
    #[arg(
        long,
        env = "FRONTROW_MISSED_TURNS_MAX",
        default_value_t = 2,
        value_name = "COUNT",
        help_heading = "Waiting line"
    )]
    pub missed_turns_max: u32,
    /// How long an offered turn waits to be claimed, in seconds
    #[arg(
        long,
        env = "FRONTROW_CLAIM_WINDOW_SECONDS",
        default_value_t = 60,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub claim_window_seconds: u32,
    /// How long a missed turn may be recalled, in seconds
    #[arg(
        long,
        env = "FRONTROW_RECALL_WINDOW_SECONDS",
        default_value_t = 600,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub recall_window_seconds: u32,
    /// After how much silence a token at the head is passed over, in seconds
    #[arg(
        long,
        env = "FRONTROW_DORMANT_AFTER_SECONDS",
        default_value_t = 90,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub dormant_after_seconds: u32,
    /// How long a token that was passed over keeps its place, in seconds
    #[arg(
        long,
        env = "FRONTROW_DORMANT_LIMIT_SECONDS",
        default_value_t = 1_800,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub dormant_limit_seconds: u32,
    /// How long an active token lives without a sign of its user at least, in seconds
    #[arg(
        long,
        env = "FRONTROW_IDLE_SECONDS",
        default_value_t = 90,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub idle_seconds: u32,
    /// How long an active token lives at most, but for the time to pay for a hold, in seconds
    #[arg(
        long,
        env = "FRONTROW_ACTIVE_LIMIT_SECONDS",
        default_value_t = 600,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub active_limit_seconds: u32,
    /// By how much an outage lengthens turns and holds at most, in seconds; 0 for not at all
    #[arg(
        long,
        env = "FRONTROW_OUTAGE_GRACE_SECONDS",
        default_value_t = 900,
        value_name = "SECONDS",
        help_heading = "Waiting line"
    )]
    pub outage_grace_seconds: u32,
    /// What a new place in line asks for.
    #[command(flatten)]
    pub joins: JoinOptions,

    /// The service key itself, at least 32 characters; prefer --service-key-file
    #[arg(
        long,
        env = "FRONTROW_SERVICE_KEY",
        hide_env_values = true,
        hide_default_value = true,
        value_name = "KEY",
        help_heading = "Access"
    )]
    pub service_key: Option<Secret>,
    /// File whose first line is the service key, with which a payment provider's program tops up points
    #[arg(long, env = "FRONTROW_SERVICE_KEY_FILE", value_name = "FILE", help_heading = "Access")]
    pub service_key_file: Option<PathBuf>,
    /// How long a sign-in lasts, in hours
    #[arg(long, env = "FRONTROW_SESSION_HOURS", default_value_t = 12, value_name = "HOURS", help_heading = "Access")]
    pub session_hours: u32,
    /// The rates that one user, address or token may ask at.
    #[command(flatten)]
    pub rates: RateOptions,
    /// Proxies whose X-Forwarded-For and traceparent are believed: addresses or networks such as 10.0.0.0/8, with commas [default: none]
    #[arg(
        long,
        env = "FRONTROW_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "ADDRESSES",
        help_heading = "Access"
    )]
    pub trusted_proxies: Vec<AddressRange>,
    /// Origins whose pages may call the API from a browser, such as `https://shop.example.com`, with commas [default: none]
    #[arg(
        long,
        env = "FRONTROW_ALLOWED_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGINS",
        help_heading = "Access"
    )]
    pub allowed_origins: Vec<Origin>,

    /// Address of the shop as buyers know it, such as `https://shop.example.com`: for links in calendars, shared posts and
    /// search engines [default: as each request names it]
    #[arg(long, env = "FRONTROW_PUBLIC_URL", value_name = "URL", help_heading = "Access")]
    pub public_url: Option<Origin>,
    /// Address of another shop that a turn in the house room opens, such as `https://shop.example.com/tickets`: it gets a
    /// signed pass, or where `{token}` stands the queue token [default: none]
    #[arg(long, env = "FRONTROW_TURN_URL", value_name = "URL", help_heading = "Access")]
    pub turn_url: Option<TurnUrl>,

    /// How many client connections may be open at once
    #[arg(
        long,
        env = "FRONTROW_MAX_CONNECTIONS",
        default_value_t = 10_000,
        value_name = "COUNT",
        help_heading = "Limits"
    )]
    pub max_connections: u32,
    /// How many of them one address may have open, where a /64 network of IPv6 is one address; 0 for no limit. Trusted proxies have none
    #[arg(
        long,
        env = "FRONTROW_MAX_CONNECTIONS_PER_ADDRESS",
        default_value_t = 1_000,
        value_name = "COUNT",
        help_heading = "Limits"
    )]
    pub max_connections_per_address: u32,
    /// How many streams of events may be open at once, beside the connections. Each needs a file descriptor
    #[arg(long, env = "FRONTROW_MAX_STREAMS", default_value_t = 20_000, value_name = "COUNT", help_heading = "Limits")]
    pub max_streams: u32,
    /// How many of them one client address may have open, where a /64 network of IPv6 is one address; 0 for no limit
    #[arg(
        long,
        env = "FRONTROW_MAX_STREAMS_PER_ADDRESS",
        default_value_t = 1_000,
        value_name = "COUNT",
        help_heading = "Limits"
    )]
    pub max_streams_per_address: u32,
    /// How much memory the bodies of all requests in flight may take together before more are answered 503, in MiB
    #[arg(
        long,
        env = "FRONTROW_BODIES_IN_FLIGHT_MIB",
        default_value_t = 64,
        value_name = "MIB",
        help_heading = "Limits"
    )]
    pub bodies_in_flight_mib: u32,
    /// How long the headers of a request may take to arrive, in seconds
    #[arg(
        long,
        env = "FRONTROW_HEADER_TIMEOUT_SECONDS",
        default_value_t = 10,
        value_name = "SECONDS",
        help_heading = "Limits"
    )]
    pub header_timeout_seconds: u32,
    /// How long the body of a request may take to arrive, in seconds
    #[arg(
        long,
        env = "FRONTROW_BODY_TIMEOUT_SECONDS",
        default_value_t = 10,
        value_name = "SECONDS",
        help_heading = "Limits"
    )]
    pub body_timeout_seconds: u32,
    /// How long a request may take altogether, in seconds
    #[arg(
        long,
        env = "FRONTROW_REQUEST_TIMEOUT_SECONDS",
        default_value_t = 15,
        value_name = "SECONDS",
        help_heading = "Limits"
    )]
    pub request_timeout_seconds: u32,
    /// How long a connection without a request is kept open, in seconds: longer than the load balancer keeps it, which is 60
    /// by most defaults
    #[arg(
        long,
        env = "FRONTROW_IDLE_CONNECTION_SECONDS",
        default_value_t = 75,
        value_name = "SECONDS",
        help_heading = "Limits"
    )]
    pub idle_connection_seconds: u32,
    /// How many commands may wait for each lane of the engine, of which a file has one and a server --database-lanes,
    /// before requests are answered 503
    #[arg(long, env = "FRONTROW_QUEUE_LEN", default_value_t = 4_096, value_name = "COUNT", help_heading = "Limits")]
    pub queue_len: u32,
    /// How many commands one transaction takes at most
    #[arg(long, env = "FRONTROW_BATCH_MAX", default_value_t = 500, value_name = "COUNT", help_heading = "Limits")]
    pub batch_max: u32,
    /// How long requests in flight have to finish when the server stops, in seconds
    #[arg(long, env = "FRONTROW_DRAIN_SECONDS", default_value_t = 20, value_name = "SECONDS", help_heading = "Limits")]
    pub drain_seconds: u32,

    /// How long answers are kept under their idempotency keys, in days
    #[arg(
        long,
        env = "FRONTROW_KEEP_ANSWERS_DAYS",
        default_value_t = 7,
        value_name = "DAYS",
        help_heading = "Retention"
    )]
    pub keep_answers_days: u32,
    /// How long queue tokens are kept after their end, in days; 0 is for ever
    #[arg(
        long,
        env = "FRONTROW_KEEP_TOKENS_DAYS",
        default_value_t = 30,
        value_name = "DAYS",
        help_heading = "Retention"
    )]
    pub keep_tokens_days: u32,
    /// How long reservations are kept that expired or were cancelled unpaid, in days; 0 is for ever
    #[arg(
        long,
        env = "FRONTROW_KEEP_RESERVATIONS_DAYS",
        default_value_t = 90,
        value_name = "DAYS",
        help_heading = "Retention"
    )]
    pub keep_reservations_days: u32,
    /// For how long a buyer's account stays after its last sign-in, in days, if it has neither points nor tickets to
    /// come; 0 is for ever
    #[arg(
        long,
        env = "FRONTROW_KEEP_IDLE_ACCOUNTS_DAYS",
        default_value_t = 0,
        value_name = "DAYS",
        help_heading = "Retention"
    )]
    pub keep_idle_accounts_days: u32,

    /// Which log lines to write: error, warn, info, debug, trace, or a filter such as `info,frontrow_web=debug`
    #[arg(long, env = "FRONTROW_LOG", default_value = "info", value_name = "FILTER", help_heading = "Logs")]
    pub log: String,
    /// How log lines look; auto is text on a terminal and JSON otherwise
    #[arg(long, env = "FRONTROW_LOG_FORMAT", default_value = "auto", value_name = "FORMAT", help_heading = "Logs")]
    pub log_format: LogFormat,
    /// The collector that traces are sent to by OTLP over HTTP, such as `http://127.0.0.1:4318` [default: none, nothing is traced]
    #[arg(long, env = "FRONTROW_OTLP_ENDPOINT", value_name = "URL", help_heading = "Logs")]
    pub otlp_endpoint: Option<Collector>,
    /// Of how many requests one is traced, beside those that fail or take a second; 1 for all
    #[arg(long, env = "FRONTROW_OTLP_ONE_IN", default_value_t = 1, value_name = "COUNT", help_heading = "Logs")]
    pub otlp_one_in: u32,

    /// Every option with its origin.
    #[arg(skip)]
    pub settings: Vec<Setting>,
}

/// The order of tokens that come before the opening of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OpeningOrderName {
    /// They wait in a lobby, and their order is drawn at the opening
    Draw,
    /// As they come
    FirstCome,
}

/// Who may top up points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TopUpPolicyName {
    /// Every user, to their own account: for demonstrations
    Open,
    /// Operators and the service key
    Operator,
}
