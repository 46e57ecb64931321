//! What a new place in line asks for.

use super::Config;
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
}
