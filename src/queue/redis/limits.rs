//! Budgets that all instances share, for what is costly and nobody has signed in for. An instance counts by itself
//! first; this keeps a client from having one budget an instance.

use super::{keys::Keys, link::Way};
use redis::{RedisResult, Script, aio::ConnectionLike};
use sha2::{Digest, Sha256};
use std::{sync::LazyLock, time::Duration};

/// The time that a budget refills in.
const MINUTE_MICROS: i64 = 60_000_000;

static SPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("limits.lua")));

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget<'a> {
    /// An account's, by its e-mail address in lower case.
    Account(&'a str),
    /// A client's, by its address or its network's.
    Address(std::net::IpAddr),
}

impl Budget<'_> {
    /// No address of a person or a machine is written to Redis.
    fn key(self, keys: &Keys) -> String {
        let (kind, text) = match self {
            Self::Account(email) => ("account", email.to_owned()),
            Self::Address(address) => ("address", address.to_string()),
        };
        let digest = Sha256::digest(text);
        let short = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        keys.alone(format_args!("limit:{kind}:{short:032x}"))
    }
}

/// The budgets of one box office.
#[derive(Debug, Clone)]
pub struct SharedLimits {
    way: Way,
    keys: Keys,
}

impl SharedLimits {
    /// Budgets under these keys.
    #[must_use]
    pub const fn new(way: Way, keys: Keys) -> Self {
        Self { way, keys }
    }

    /// Counts one try against a budget of `per_minute` that refills evenly. How long to wait if there is nothing left.
    /// Where Redis cannot be asked, which is known within the time-out of the way to it, nobody has to wait.
    pub async fn spend(&self, budget: Budget<'_>, per_minute: u32) -> Option<Duration> {
        match spend(&mut self.way.clone(), &self.keys, budget, per_minute).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::debug!(%error, "a shared budget could not be asked for");
                None
            }
        }
    }
}

/// Counts one try against a budget of `per_minute` that refills evenly. How long to wait if there is nothing left; such
/// a try is not counted.
///
/// # Errors
/// Redis could not be reached or refused.
pub async fn spend(
    connection: &mut impl ConnectionLike,
    keys: &Keys,
    budget: Budget<'_>,
    per_minute: u32,
) -> RedisResult<Option<Duration>> {
    let interval = MINUTE_MICROS / i64::from(per_minute.max(1));
    let holds = interval * i64::from(per_minute.max(1));
    let wait: u64 = SPEND.key(budget.key(keys)).arg(interval).arg(holds).invoke_async(connection).await?;
    Ok((wait > 0).then(|| Duration::from_micros(wait)))
}
