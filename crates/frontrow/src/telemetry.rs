//! Log lines.

use std::io::IsTerminal;
use tracing::subscriber::set_global_default;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt};

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Whether lines are JSON.
    #[must_use]
    pub fn is_json(self) -> bool {
        match self {
            Self::Auto => !std::io::stderr().is_terminal(),
            Self::Text => false,
            Self::Json => true,
        }
    }
}

/// Starts logging to standard error, for the whole process.
///
/// # Errors
/// The filter is not valid, or logging was started before.
pub fn init(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    // Not `try_init`: that also forwards records of the `log` crate, with paths of the build machine.
    if format.is_json() {
        set_global_default(registry.with(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)))?;
    } else {
        set_global_default(registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)))?;
    }
    Ok(())
}
