//! The rates that one user, address or token may ask at.

use super::Config;
use clap::Args;
use frontrow_web::edge::limit::{JoinLimitSettings, RateLimitSettings};
use std::time::Duration;

/// The rates that one user, address or token may ask at.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct RateOptions {
    /// How many wrong passwords one account may be tried with from one network, a minute; ten times as many from all
    /// networks that the account has not signed in from
    #[arg(
        long,
        env = "FRONTROW_LOGIN_PER_MINUTE_PER_ACCOUNT",
        default_value_t = 10,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub login_per_minute_per_account: u32,
    /// How many sign-ins and registrations one address may try, a minute; fewer while many wait for a password hash
    #[arg(
        long,
        env = "FRONTROW_LOGIN_PER_MINUTE_PER_ADDRESS",
        default_value_t = 600,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub login_per_minute_per_address: u32,
    /// How many requests that change something one user may send, a second, on average
    #[arg(
        long,
        env = "FRONTROW_REQUESTS_PER_SECOND_PER_USER",
        default_value_t = 50,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub requests_per_second_per_user: u32,
    /// How many requests that change something one user may send at once
    #[arg(
        long,
        env = "FRONTROW_REQUEST_BURST_PER_USER",
        default_value_t = 100,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub request_burst_per_user: u32,
    /// How many requests that change something one buyer may send, an hour on average, and as many at once after a rest:
    /// they bound the answers that are kept. One that is answered 5xx is not counted
    #[arg(
        long,
        env = "FRONTROW_CHANGES_PER_HOUR_PER_USER",
        default_value_t = 1_200,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub changes_per_hour_per_user: u32,
    /// How many holds of one buyer are decided, an hour on average, and as many at once after a rest. One that is answered 5xx is not counted
    #[arg(
        long,
        env = "FRONTROW_HOLDS_PER_HOUR_PER_USER",
        default_value_t = 120,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub holds_per_hour_per_user: u32,
    /// How many reads one signed-in user may ask for, a second; twice as many at once
    #[arg(
        long,
        env = "FRONTROW_READS_PER_SECOND_PER_USER",
        default_value_t = 100,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub reads_per_second_per_user: u32,
    /// How many reads of concerts and seat maps one address may ask for, a second, of which a list of concerts counts as ten; twice as many at once. A request with a session that must be looked up in the database counts as one
    #[arg(
        long,
        env = "FRONTROW_READS_PER_SECOND_PER_ADDRESS",
        default_value_t = 5_000,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub reads_per_second_per_address: u32,
    /// How often the position of one queue token may be asked for, a second, on average: a client is told to ask 3 times a
    /// second at most
    #[arg(
        long,
        env = "FRONTROW_POLLS_PER_SECOND_PER_TOKEN",
        default_value_t = 4,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub polls_per_second_per_token: u32,
    /// How often the position of one queue token may be asked for at once
    #[arg(
        long,
        env = "FRONTROW_POLL_BURST_PER_TOKEN",
        default_value_t = 20,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub poll_burst_per_token: u32,
    /// How many new places in line the accounts at one address may take within --joins-window-seconds, over all rooms,
    /// where a /64 network of IPv6 is one address; 0 for no limit
    #[arg(
        long,
        env = "FRONTROW_JOINS_PER_ADDRESS",
        default_value_t = 3_000,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub joins_per_address: u32,
    /// The same for one network: a /24 of IPv4 or a /48 of IPv6; 0 for no limit
    #[arg(
        long,
        env = "FRONTROW_JOINS_PER_NETWORK",
        default_value_t = 15_000,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub joins_per_network: u32,
    /// In how many seconds a spent limit of joins is full again
    #[arg(
        long,
        env = "FRONTROW_JOINS_WINDOW_SECONDS",
        default_value_t = 600,
        value_name = "SECONDS",
        help_heading = "Access"
    )]
    pub joins_window_seconds: u32,
}

impl Config {
    /// The rate limits.
    #[must_use]
    pub fn rate_limits(&self) -> RateLimitSettings {
        RateLimitSettings {
            requests_per_second_per_user: self.rates.requests_per_second_per_user,
            request_burst_per_user: self.rates.request_burst_per_user,
            changes_per_hour_per_user: self.rates.changes_per_hour_per_user,
            holds_per_hour_per_user: self.rates.holds_per_hour_per_user,
            reads_per_second_per_user: self.rates.reads_per_second_per_user,
            reads_per_second_per_address: self.rates.reads_per_second_per_address,
            polls_per_second_per_token: self.rates.polls_per_second_per_token,
            poll_burst_per_token: self.rates.poll_burst_per_token,
            joins: JoinLimitSettings {
                per_address: Some(self.rates.joins_per_address).filter(|most| *most > 0),
                per_network: Some(self.rates.joins_per_network).filter(|most| *most > 0),
                window: Duration::from_secs(u64::from(self.rates.joins_window_seconds)),
            },
            login_per_minute_per_account: self.rates.login_per_minute_per_account,
            login_per_minute_per_address: self.rates.login_per_minute_per_address,
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }
}
