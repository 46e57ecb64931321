//! The rates that one user, address or token may ask at.

use super::Config;
use clap::Args;
use frontrow_web::edge::limit::RateLimitSettings;

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
    /// How often the position of one queue token may be asked for, a second; twice as often at once
    #[arg(
        long,
        env = "FRONTROW_POLLS_PER_SECOND_PER_TOKEN",
        default_value_t = 10,
        value_name = "COUNT",
        help_heading = "Access"
    )]
    pub polls_per_second_per_token: u32,
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
            login_per_minute_per_account: self.rates.login_per_minute_per_account,
            login_per_minute_per_address: self.rates.login_per_minute_per_address,
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }
}
