//! What a new place in line asks for.

use super::Config;
use clap::{Args, ValueEnum};
use frontrow_domain::line::WorkPolicy;
use frontrow_web::edge::join::JoinSettings;

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
        }
    }
}
