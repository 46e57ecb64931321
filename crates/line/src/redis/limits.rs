//! Budgets that all instances share, for costly requests without a sign-in. An instance counts by itself first; this
//! keeps a client from having one budget at each instance.

use super::{client::RedisHandle, keys::RedisKeys};
use redis::{RedisResult, Script};
use sha2::{Digest, Sha256};
use std::{net::IpAddr, sync::LazyLock, time::Duration};

/// How long a network that an account has signed in from is remembered, in seconds: a month.
const KNOWN_SECONDS: u64 = 30 * 86_400;
/// Networks remembered of one account, the latest: so no account takes up more of Redis than a few KiB.
pub const KNOWN_MAX: u32 = 32;

static SPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("limit_spend.lua")));
static KNOWN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("network_remember.lua")));
static IS_KNOWN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("network_is_known.lua")));

/// What a budget holds, and how fast it refills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many tries it holds.
    pub count: u32,
    /// The time in which a spent budget is full again.
    pub within: Duration,
}

impl Allowance {
    /// So many within a minute.
    #[must_use]
    pub const fn per_minute(count: u32) -> Self {
        Self { count, within: Duration::from_mins(1) }
    }
}

/// The budget that a try counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget<'a> {
    /// Wrong passwords for an account from one network.
    Tries {
        /// The account's e-mail address, in lower case.
        email: &'a str,
        /// The network.
        network: IpAddr,
    },
    /// Wrong passwords for an account from all networks that it has not signed in from.
    Strangers {
        /// The account's e-mail address, in lower case.
        email: &'a str,
    },
    /// Requests of a client, by its address or its network's.
    Address(IpAddr),
    /// New places in line of a client, by its address.
    Joins(IpAddr),
    /// New places in line of a network.
    NetworkJoins(IpAddr),
}

impl Budget<'_> {
    /// A number that stands for the budget, and reveals neither account nor network.
    #[must_use]
    pub fn digest(self) -> u128 {
        // No e-mail address has a blank.
        digest_of(&match self {
            Self::Tries { email, network } => format!("tries {email} {network}"),
            Self::Strangers { email } => format!("strangers {email}"),
            Self::Address(address) => format!("address {address}"),
            Self::Joins(address) => format!("joins {address}"),
            Self::NetworkJoins(network) => format!("network joins {network}"),
        })
    }

    /// The key holds no address of a person or a machine.
    fn key(self, keys: &RedisKeys) -> String {
        keys.alone(format_args!("limit:{:032x}", self.digest()))
    }
}

/// A network that an account has signed in from with a right password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownNetwork<'a> {
    /// The account's e-mail address.
    pub email: &'a str,
    /// The network.
    pub network: IpAddr,
    /// The account's [`sign_in_epoch`](frontrow_domain::user::User::sign_in_epoch): a new password, a lock or a reset
    /// changes it, and no network is known any more.
    pub epoch: i64,
}

impl KnownNetwork<'_> {
    /// A number that stands for it, and reveals neither account nor network.
    #[must_use]
    pub fn digest(self) -> u128 {
        let Self { email, network, epoch } = self;
        digest_of(&format!("{email} {network} {epoch}"))
    }

    /// The key of the account's networks.
    fn key(self, keys: &RedisKeys) -> String {
        keys.alone(format_args!("known:{:032x}", digest_of(self.email)))
    }

    /// The network among them, in this epoch.
    fn member(self) -> String {
        format!("{:032x}", self.digest())
    }
}

fn digest_of(text: &str) -> u128 {
    Sha256::digest(text).iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
}

/// The budgets of one installation.
#[derive(Debug, Clone)]
pub struct SharedLimits {
    handle: RedisHandle,
    keys: RedisKeys,
}

impl SharedLimits {
    /// Budgets under these keys.
    #[must_use]
    pub const fn new(handle: RedisHandle, keys: RedisKeys) -> Self {
        Self { handle, keys }
    }

    /// Counts `tries` against a budget that refills evenly. Returns how long to wait if not enough is
    /// left; the tries are not counted then. If Redis cannot be asked, which is known within the client's time-out, the
    /// try need not wait.
    pub async fn spend(&self, budget: Budget<'_>, allowance: Allowance, tries: u32) -> Option<Duration> {
        let wait = self.count(budget, allowance, tries.into()).await;
        (wait > 0).then(|| Duration::from_micros(wait))
    }

    /// Gives one try back that was counted.
    pub async fn give_back(&self, budget: Budget<'_>, allowance: Allowance) {
        self.count(budget, allowance, -1).await;
    }

    async fn count(&self, budget: Budget<'_>, allowance: Allowance, tries: i64) -> u64 {
        let count = i64::from(allowance.count.max(1));
        // How long one try takes to refill.
        let interval = (i64::try_from(allowance.within.as_micros()).unwrap_or(i64::MAX) / count).max(1);
        let mut call = SPEND.key(budget.key(&self.keys));
        call.arg(interval.saturating_mul(tries)).arg(interval.saturating_mul(count));
        asked(call.invoke_async(&mut self.handle.clone()).await)
    }

    /// Notes a proof that is used, for as long as it is valid. No if it was used before; yes if Redis cannot be asked.
    pub async fn use_once(&self, proof: u128, valid: Duration) -> bool {
        let mut call = redis::cmd("SET");
        let millis = u64::try_from(valid.as_millis()).unwrap_or(u64::MAX).max(1);
        call.arg(self.proof_key(proof)).arg(1).arg("NX").arg("PX").arg(millis);
        let noted: RedisResult<Option<String>> = call.query_async(&mut self.handle.clone()).await;
        asked(noted.map(|noted| Some(noted.is_some()))).unwrap_or(true)
    }

    /// Forgets that a proof was used.
    pub async fn forget_use(&self, proof: u128) {
        let mut call = redis::cmd("DEL");
        call.arg(self.proof_key(proof));
        asked(call.query_async::<()>(&mut self.handle.clone()).await);
    }

    fn proof_key(&self, proof: u128) -> String {
        self.keys.alone(format_args!("proof:{proof:032x}"))
    }

    /// Remembers for a month that an account has signed in from a network; the latest [`KNOWN_MAX`] networks are
    /// stored.
    pub async fn remember(&self, known: KnownNetwork<'_>) {
        let mut call = KNOWN.key(known.key(&self.keys));
        call.arg(known.member()).arg(KNOWN_SECONDS).arg(KNOWN_MAX);
        asked(call.invoke_async::<()>(&mut self.handle.clone()).await);
    }

    /// Whether the network is remembered; no if Redis cannot be asked.
    pub async fn is_known(&self, known: KnownNetwork<'_>) -> bool {
        let mut call = IS_KNOWN.key(known.key(&self.keys));
        call.arg(known.member()).arg(KNOWN_SECONDS);
        asked(call.invoke_async::<bool>(&mut self.handle.clone()).await)
    }
}

/// The answer of Redis, or the default if it could not be asked.
fn asked<T: Default>(answer: RedisResult<T>) -> T {
    answer.unwrap_or_else(|error| {
        tracing::debug!(%error, "shared rate limit unavailable");
        T::default()
    })
}
