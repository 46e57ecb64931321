//! Rate limits by user, account, token and address.

mod client_address;
mod joins;
mod meter;
mod sign_in;
mod used;

use crate::edge::{
    cookies::{FromTrustedProxy, Scheme},
    observe,
    problem::{HttpResult, Problem, codes},
    state::SharedState,
};
use axum::http::HeaderMap;
use client_address::walk;
pub use client_address::{client_address, network_of, wide_network_of};
use frontrow_domain::{
    id::{TokenId, UserId},
    time::Time,
};
use frontrow_line::redis::limits::{Allowance, Budget, KnownNetwork, SharedLimits};
use frontrow_service::{join_work::WorkProof, net::AddressRange};
use governor::Quota;
use joins::JoinBudgets;
pub use joins::{JoinEnd, JoinLimitSettings, JoinOutlay};
use meter::{Cells, Limiter};
use sign_in::{KnownNetworks, Tries};
use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Once,
    time::Duration,
};
pub use used::Use;
use used::UsedProofs;

/// How many reads a list of concerts counts as: it costs a query.
pub const LIST_COST: u32 = 10;
/// How many times more wrong passwords an account may get from all unknown networks together than from one network.
const UNKNOWN_NETWORKS_FACTOR: u32 = 10;
/// The cost of a sign-in attempt to its address if its network is known to the account but has spent its attempts. It
/// is let through: the owner may share the address with an attacker.
const KNOWN_COST: u32 = 10;
/// The extra cost of a sign-in to its address if the queue for password hashes is full: an address then has a
/// nineteenth of its budget.
const CROWDED_COST: u32 = 18;

/// How many letters one address may be sent in an hour.
const LETTERS_PER_HOUR: u32 = 5;

/// The limits. A burst is twice the rate a second if it has no setting of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// Requests of a user that may change something, per second.
    pub requests_per_second_per_user: u32,
    /// How many of them may come at once.
    pub request_burst_per_user: u32,
    /// Requests of a buyer whose answers may be stored, per hour.
    pub changes_per_hour_per_user: u32,
    /// Holds of a buyer, per hour.
    pub holds_per_hour_per_user: u32,
    /// Reads of a user, per second.
    pub reads_per_second_per_user: u32,
    /// Reads without a session of an address, per second.
    pub reads_per_second_per_address: u32,
    /// Polls of a queue token, per second.
    pub polls_per_second_per_token: u32,
    /// How many of them may come at once.
    pub poll_burst_per_token: u32,
    /// New places in line, of an address and of a network.
    pub joins: JoinLimitSettings,
    /// Sign-ins to an account with a wrong password, per minute.
    pub login_per_minute_per_account: u32,
    /// Sign-ins of an address, per minute.
    pub login_per_minute_per_address: u32,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<AddressRange>,
}

/// The limits of one instance. Sign-ins and other costly calls without a session also have budgets that all instances
/// share, as long as Redis can be reached.
#[derive(Debug)]
pub struct RateLimits {
    requests: Limiter<UserId>,
    changes: Tries,
    holds: Tries,
    reads: Limiter<UserId>,
    reads_by_address: Limiter<IpAddr>,
    polls: Cells,
    joins: JoinBudgets,
    used: UsedProofs,
    tries: Tries,
    tries_of_strangers: Tries,
    known_networks: KnownNetworks,
    letters: Tries,
    logins_by_address: Limiter<IpAddr>,
    per_minute_per_account: u32,
    per_minute_per_address: u32,
    shared: Option<SharedLimits>,
    trusted_proxies: Vec<AddressRange>,
    /// Whether the log has reported a proxy that forwards no addresses.
    said_no_address: Once,
    /// Whether the log has reported a sign-in page that was opened without TLS.
    said_plain: Once,
}

/// The hourly budgets of a buyer. They refill slowly, so a request that the server could not answer gives its share
/// back: retries during an outage cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hourly {
    /// Requests that may change something, and whose answers may be stored.
    Changes,
    /// Requests for seats.
    Holds,
}

/// The share of an hourly budget that a request has spent.
#[derive(Debug)]
pub struct Outlay {
    app: SharedState,
    user: UserId,
    budget: Hourly,
}

/// Counts the current request against a buyer's hourly budget. It does not count if the server fails to answer it.
///
/// # Errors
/// 429 with `Retry-After`.
pub fn spend(app: &SharedState, user: UserId, budget: Hourly) -> HttpResult<()> {
    app.limits.hourly(budget).take(user.0.as_u128()).map_err(try_again_after)?;
    observe::note_outlay(Outlay { app: SharedState::clone(app), user, budget });
    Ok(())
}

impl Outlay {
    /// Undoes the spending.
    pub fn give_back(self) {
        self.app.limits.hourly(self.budget).give_back(self.user.0.as_u128());
    }
}

/// A sign-in attempt that was let through, to be ended by [`RateLimits::end_sign_in`].
#[derive(Debug)]
#[must_use = "a right password gives back what its try has spent"]
pub struct SignInTry {
    email: String,
    network: IpAddr,
    epoch: i64,
    spent: Spent,
}

/// The budgets of wrong passwords that an attempt has spent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    /// None: the network is known, and has spent its attempts before.
    Nothing,
    /// The budget of the account and the network.
    Own,
    /// The budget of the account and the network, and the account's budget for all unknown networks.
    OwnAndStrangers,
}

/// How a sign-in attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInEnd {
    /// The password was right.
    Right,
    /// The password was wrong, or there is no such account.
    Wrong,
    /// The password was not checked.
    Undecided,
}

impl RateLimits {
    /// The limits of these settings.
    #[must_use]
    pub fn new(settings: &RateLimitSettings) -> Self {
        let per_minute = |count| Quota::per_minute(at_least_one(count));
        let per_second =
            |count: u32| Quota::per_second(at_least_one(count)).allow_burst(at_least_one(count.saturating_mul(2)));
        let strangers = settings.login_per_minute_per_account.saturating_mul(UNKNOWN_NETWORKS_FACTOR);
        Self {
            requests: Limiter::new(
                Quota::per_second(at_least_one(settings.requests_per_second_per_user))
                    .allow_burst(at_least_one(settings.request_burst_per_user)),
            ),
            changes: Tries::per_hour(settings.changes_per_hour_per_user),
            holds: Tries::per_hour(settings.holds_per_hour_per_user),
            reads: Limiter::new(per_second(settings.reads_per_second_per_user)),
            reads_by_address: Limiter::new(per_second(settings.reads_per_second_per_address)),
            polls: Cells::per_second(settings.polls_per_second_per_token, settings.poll_burst_per_token),
            joins: JoinBudgets::new(settings.joins),
            used: UsedProofs::default(),
            tries: Tries::per_minute(settings.login_per_minute_per_account),
            tries_of_strangers: Tries::per_minute(strangers),
            known_networks: KnownNetworks::default(),
            letters: Tries::per_hour(LETTERS_PER_HOUR),
            logins_by_address: Limiter::new(per_minute(settings.login_per_minute_per_address)),
            per_minute_per_account: settings.login_per_minute_per_account,
            per_minute_per_address: settings.login_per_minute_per_address,
            shared: None,
            trusted_proxies: settings.trusted_proxies.clone(),
            said_no_address: Once::new(),
            said_plain: Once::new(),
        }
    }

    /// The same limits, with budgets shared with other instances.
    #[must_use]
    pub fn shared_by(mut self, shared: SharedLimits) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Counts a request of this user that may change something.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn check_user(&self, user: UserId) -> HttpResult<()> {
        self.requests.check(&user)
    }

    const fn hourly(&self, budget: Hourly) -> &Tries {
        match budget {
            Hourly::Changes => &self.changes,
            Hourly::Holds => &self.holds,
        }
    }

    /// Counts a read of this user.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn check_read(&self, user: UserId) -> HttpResult<()> {
        self.reads.check(&user)
    }

    /// Counts a read without a session, as `cost` reads.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn check_public_read(&self, client: IpAddr, cost: u32) -> HttpResult<()> {
        self.reads_by_address.check_many(&network_of(client), cost)
    }

    /// Counts a poll of this token's position. Each token has its own budget, since thousands may poll from one
    /// address.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn check_poll(&self, token: TokenId) -> HttpResult<()> {
        self.polls.check(token)
    }

    /// Counts a join as if it gave a new place in line, against the budgets of the client's address and network.
    ///
    /// # Errors
    /// 429 `too_many_joins` with `Retry-After`.
    pub async fn begin_join(&self, client: IpAddr) -> HttpResult<JoinOutlay> {
        self.joins.take(client, self.shared.as_ref()).await
    }

    /// Gives back what a join has spent unless it gave a new place.
    pub async fn end_join(&self, outlay: JoinOutlay, end: JoinEnd) {
        self.joins.end(outlay, end, self.shared.as_ref()).await;
    }

    /// Uses a proof of work or of a wait, at all instances.
    pub async fn use_proof(&self, proof: WorkProof, now: Time) -> Use {
        self.used.take(proof, now, self.shared.as_ref()).await
    }

    /// Gives back a proof that gave no new place.
    pub async fn give_back_proof(&self, proof: WorkProof) {
        self.used.give_back(proof, self.shared.as_ref()).await;
    }

    /// Counts a sign-in attempt to this account from this network as if its password were wrong. The address must have
    /// paid for it ([`RateLimits::check_address`]).
    ///
    /// A network that the account has recently signed in from is always let through if the address can pay more, so
    /// that a stranger's guesses do not lock the owner out. `epoch` is the account's sign-in epoch, or 0 if there is no
    /// such account: a new password, a lock or a reset changes it, and so forgets the networks.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub async fn begin_sign_in(&self, email: &str, epoch: i64, client: IpAddr) -> HttpResult<SignInTry> {
        let (email, network) = (email.to_lowercase(), network_of(client));
        let own = Budget::Tries { email: &email, network };
        let known = self.is_known(KnownNetwork { email: &email, network, epoch }).await;
        let spent = match self.take(&self.tries, own, self.per_minute_per_account).await {
            Ok(()) if known => Spent::Own,
            Ok(()) => {
                let all = Budget::Strangers { email: &email };
                let most = self.per_minute_per_account.saturating_mul(UNKNOWN_NETWORKS_FACTOR);
                if let Err(wait) = self.take(&self.tries_of_strangers, all, most).await {
                    self.give_back(&self.tries, own, self.per_minute_per_account).await;
                    return Err(try_again_after(wait));
                }
                Spent::OwnAndStrangers
            }
            Err(_) if known => {
                self.spend_of_address(network, KNOWN_COST).await?;
                Spent::Nothing
            }
            Err(wait) => return Err(try_again_after(wait)),
        };
        Ok(SignInTry { email, network, epoch, spent })
    }

    /// Gives back what an attempt has spent unless its password was wrong, and remembers the network after a right one.
    pub async fn end_sign_in(&self, ended: SignInTry, end: SignInEnd) {
        if end == SignInEnd::Wrong {
            return;
        }
        let SignInTry { email, network, epoch, spent } = ended;
        let own = Budget::Tries { email: &email, network };
        if spent != Spent::Nothing {
            self.give_back(&self.tries, own, self.per_minute_per_account).await;
        }
        if spent == Spent::OwnAndStrangers {
            let most = self.per_minute_per_account.saturating_mul(UNKNOWN_NETWORKS_FACTOR);
            self.give_back(&self.tries_of_strangers, Budget::Strangers { email: &email }, most).await;
        }
        if end == SignInEnd::Right {
            let known = KnownNetwork { email: &email, network, epoch };
            self.known_networks.add(known.digest());
            if let Some(shared) = &self.shared {
                shared.remember(known).await;
            }
        }
    }

    /// Counts a letter to this address. Each instance counts by itself.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn check_letter(&self, email: &str) -> HttpResult<()> {
        let key = Budget::Strangers { email: &email.to_lowercase() }.digest();
        self.letters.take(key).map_err(try_again_after)
    }

    /// Drops the keys whose budgets are full again, once each `tick`, for ever.
    pub async fn sweep_for_ever(&self, tick: Duration) {
        loop {
            tokio::time::sleep(tick).await;
            self.sweep();
        }
    }

    async fn is_known(&self, known: KnownNetwork<'_>) -> bool {
        if self.known_networks.contains(known.digest()) {
            return true;
        }
        let Some(shared) = &self.shared else { return false };
        let is_known = shared.is_known(known).await;
        if is_known {
            self.known_networks.add(known.digest());
        }
        is_known
    }

    async fn take(&self, tries: &Tries, budget: Budget<'_>, per_minute: u32) -> Result<(), Duration> {
        tries.take(budget.digest())?;
        let Some(shared) = &self.shared else { return Ok(()) };
        shared.spend(budget, Allowance::per_minute(per_minute), 1).await.map_or(Ok(()), |wait| {
            tries.give_back(budget.digest());
            Err(wait)
        })
    }

    async fn give_back(&self, tries: &Tries, budget: Budget<'_>, per_minute: u32) {
        tries.give_back(budget.digest());
        if let Some(shared) = &self.shared {
            shared.give_back(budget, Allowance::per_minute(per_minute)).await;
        }
    }

    /// Counts a registration, a sign-in, or another costly call without a session. The fuller the queue for password
    /// hashes is, the more it costs the address: `crowding` says how full, in per cent.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub async fn check_address(&self, client: IpAddr, crowding: u32) -> HttpResult<()> {
        let cost = 1 + CROWDED_COST * crowding.min(100) / 100;
        self.spend_of_address(network_of(client), cost).await
    }

    /// This instance's own limit comes first: it keeps most of a flood from the shared budget.
    async fn spend_of_address(&self, network: IpAddr, cost: u32) -> HttpResult<()> {
        self.logins_by_address.check_many(&network, cost)?;
        let Some(shared) = &self.shared else { return Ok(()) };
        let allowance = Allowance::per_minute(self.per_minute_per_address);
        let wait = shared.spend(Budget::Address(network), allowance, cost.min(allowance.count)).await;
        wait.map_or(Ok(()), |wait| Err(try_again_after(wait)))
    }

    /// The address of the client behind the trusted proxies.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
        let (client, no_address) = walk(headers, peer, &self.trusted_proxies);
        if no_address.is_some() {
            self.said_no_address.call_once(|| {
                tracing::warn!(
                    proxy = %peer.ip(),
                    "a trusted proxy sends an X-Forwarded-For whose last entries are no addresses: its clients count as \
                     one. An entry is an address, with a port or in brackets if need be"
                );
            });
        }
        client
    }

    /// How the browser behind a request reaches the server.
    #[must_use]
    pub fn scheme(&self, headers: &HeaderMap, peer: SocketAddr) -> Scheme {
        let address = peer.ip().to_canonical();
        let is_trusted = self.trusted_proxies.iter().any(|range| range.contains(address));
        Scheme::of(headers, if is_trusted { FromTrustedProxy::Yes } else { FromTrustedProxy::No })
    }

    /// Logs once that a browser asked for the sign-in page without TLS over a network, where it gets no session.
    pub fn report_plain_sign_in(&self) {
        self.said_plain.call_once(|| {
            tracing::warn!(
                "a browser opened the sign-in page without https and cannot sign in: let a proxy end TLS and send \
                 X-Forwarded-Proto: https, and name its address in trusted_proxies"
            );
        });
    }

    /// How many users, accounts and addresses have budgets in memory.
    #[must_use]
    pub fn remembered(&self) -> usize {
        let users = [&self.requests, &self.reads].map(Limiter::len);
        let addresses = [&self.reads_by_address, &self.logins_by_address].map(Limiter::len);
        let tries = [&self.tries, &self.tries_of_strangers, &self.changes, &self.holds, &self.letters].map(Tries::len);
        users.into_iter().chain(addresses).chain(tries).chain([self.joins.len()]).sum()
    }

    /// Drops the keys whose budgets are full again. Call it about once a minute.
    pub fn sweep(&self) {
        for users in [&self.requests, &self.reads] {
            users.sweep();
        }
        for addresses in [&self.reads_by_address, &self.logins_by_address] {
            addresses.sweep();
        }
        for tries in [&self.tries, &self.tries_of_strangers, &self.changes, &self.holds, &self.letters] {
            tries.sweep();
        }
        self.joins.sweep();
    }
}

fn try_again_after(wait: Duration) -> Problem {
    Problem::new(&codes::RATE_LIMITED).retry_after(wait.as_secs().saturating_add(1))
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests;
