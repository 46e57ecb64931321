//! What a new place in line asks for.

use super::{Config, SERVICE_KEY_LEN_MIN};
use clap::{Args, ValueEnum};
use frontrow_domain::line::WorkPolicy;
use frontrow_web::edge::{
    join::{CheckFails, CheckSettings, JoinSettings},
    outbound::OutboundUrl,
    secret::Secret,
};
use std::time::Duration;

/// What a new place in line asks for.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct JoinOptions {
    /// When a new place in line asks the client's device for work, which makes many accounts dear: auto while many join the
    /// room
    #[arg(
        long,
        env = "FRONTROW_PROOF_OF_WORK",
        default_value = "off",
        value_name = "WHEN",
        help_heading = "Waiting line"
    )]
    pub proof_of_work: WorkPolicyName,
    /// Address of a program that is asked about each new place in line: https, or http on this machine
    /// [default: none]
    #[arg(long, env = "FRONTROW_JOIN_CHECK_URL", value_name = "URL", help_heading = "Waiting line")]
    pub join_check_url: Option<OutboundUrl>,
    /// How long that program may take for its answer, in milliseconds, at most 3000
    #[arg(
        long,
        env = "FRONTROW_JOIN_CHECK_TIMEOUT_MS",
        default_value_t = 500,
        value_name = "MILLISECONDS",
        help_heading = "Waiting line"
    )]
    pub join_check_timeout_ms: u32,
    /// What becomes of a new place without its answer: open gives the place, closed refuses it for now
    #[arg(
        long,
        env = "FRONTROW_JOIN_CHECK_FAILS",
        default_value = "open",
        value_name = "HOW",
        help_heading = "Waiting line"
    )]
    pub join_check_fails: CheckFailsName,
    /// The key that questions to it are signed with, at least 32 characters; better in the environment or the settings file
    /// than on the command line [default: none]
    #[arg(
        long,
        env = "FRONTROW_JOIN_CHECK_SECRET",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Waiting line"
    )]
    pub join_check_secret: Option<Secret>,
}

/// What becomes of a new place without the checker's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFailsName {
    /// It is given
    Open,
    /// It is refused for now
    Closed,
}

/// When a new place in line asks for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WorkPolicyName {
    /// Never
    Off,
    /// While many join
    Auto,
    /// Always
    Always,
}

impl Config {
    /// What new places in line ask for.
    #[must_use]
    pub fn join_settings(&self) -> JoinSettings {
        JoinSettings {
            work: match self.joins.proof_of_work {
                WorkPolicyName::Off => WorkPolicy::Off,
                WorkPolicyName::Auto => WorkPolicy::Auto,
                WorkPolicyName::Always => WorkPolicy::Always,
            },
            check: self.joins.join_check_url.clone().map(|url| CheckSettings {
                url,
                timeout: Duration::from_millis(u64::from(self.joins.join_check_timeout_ms)),
                fails: match self.joins.join_check_fails {
                    CheckFailsName::Open => CheckFails::Open,
                    CheckFailsName::Closed => CheckFails::Closed,
                },
                secret: self.joins.join_check_secret.clone(),
            }),
        }
    }

    /// What is wrong with these settings, a sentence for each mistake.
    pub(super) fn join_mistakes(&self) -> Vec<String> {
        let (joins, secret) = (&self.joins, self.joins.join_check_secret.as_ref());
        let rules = [
            (self.rates.poll_burst_per_token > 0, "poll_burst_per_token must be at least 1"),
            (
                (1..=86_400).contains(&self.rates.joins_window_seconds),
                "joins_window_seconds must be from 1 to 86400: a network that has spent its joins waits that long",
            ),
            (
                (1..=3_000).contains(&joins.join_check_timeout_ms),
                "join_check_timeout_ms must be from 1 to 3000: a join waits that long",
            ),
            (
                secret.is_none_or(|key| key.expose().chars().count() >= SERVICE_KEY_LEN_MIN),
                "join_check_secret must have at least 32 characters",
            ),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, mistake)| mistake.to_owned()).collect()
    }
}
