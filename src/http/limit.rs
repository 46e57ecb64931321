//! How much one user, one account and one address may ask for, and whose address a request has.

use crate::{
    config::Config,
    http::problem::{HttpResult, Problem, codes},
    queue::redis::limits::{Budget, SharedLimits},
};
use axum::http::HeaderMap;
use frontrow_domain::id::UserId;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _, clock::DefaultClock};
use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// How many keys one limiter remembers before it forgets those that are at rest.
const KEYS_MAX: usize = 100_000;
/// How many checks pass between two looks at the number of keys.
const CHECKS_PER_LOOK: u32 = 4_096;

/// An address, or all addresses of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    network: IpAddr,
    prefix_len: u8,
}

impl AddressRange {
    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix_len));
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix_len));
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for AddressRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected an address such as 10.0.0.1, or a network such as 10.0.0.0/8";
        let (address, prefix_len) = match text.trim().split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len)),
            None => (text.trim(), None),
        };
        let network: IpAddr = address.parse().map_err(|_| wrong)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix_len.map_or(Ok(longest), |text| text.parse().map_err(|_| wrong))?;
        if prefix_len > longest { Err(wrong) } else { Ok(Self { network, prefix_len }) }
    }
}

/// The address of the client: the peer's, or where the peer is a trusted proxy, the last address in
/// `X-Forwarded-For` that is not one. What stands before it anybody could have written.
#[must_use]
pub fn client_address(headers: &HeaderMap, peer: SocketAddr, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut client = peer.ip().to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    for hop in lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',')) {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// The limits of one server. What is costly and asked for by nobody in particular has one budget for all servers too,
/// as long as they can agree on it.
#[derive(Debug)]
pub struct RateLimits {
    requests: Limiter<UserId>,
    logins_by_account: Limiter<String>,
    logins_by_address: Limiter<IpAddr>,
    per_minute_per_account: u32,
    per_minute_per_address: u32,
    shared: Option<SharedLimits>,
    trusted_proxies: Vec<AddressRange>,
}

impl RateLimits {
    /// Limits as they are set.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let per_minute = |count| Quota::per_minute(at_least_one(count));
        Self {
            requests: Limiter::new(
                Quota::per_second(at_least_one(config.requests_per_second_per_user))
                    .allow_burst(at_least_one(config.request_burst_per_user)),
            ),
            logins_by_account: Limiter::new(per_minute(config.login_per_minute_per_account)),
            logins_by_address: Limiter::new(per_minute(config.login_per_minute_per_address)),
            per_minute_per_account: config.login_per_minute_per_account,
            per_minute_per_address: config.login_per_minute_per_address,
            shared: None,
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }

    /// The same limits with budgets that other servers spend from too.
    #[must_use]
    pub fn shared_by(mut self, shared: SharedLimits) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Counts a request of this user.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn check_user(&self, user: UserId) -> HttpResult<()> {
        self.requests.check(&user)
    }

    /// Counts a try to sign in as this account from this client.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub async fn check_login(&self, email: &str, client: IpAddr) -> HttpResult<()> {
        self.check_address(client).await?;
        let email = email.to_lowercase();
        self.logins_by_account.check(&email)?;
        self.check_shared(Budget::Account(&email), self.per_minute_per_account).await
    }

    /// Counts a registration, or anything else that nobody has signed in for and that costs much.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub async fn check_address(&self, client: IpAddr) -> HttpResult<()> {
        let network = network_of(client);
        self.logins_by_address.check(&network)?;
        self.check_shared(Budget::Address(network), self.per_minute_per_address).await
    }

    /// Comes after this server's own limit, which keeps most of a flood from the other servers' way.
    async fn check_shared(&self, budget: Budget<'_>, per_minute: u32) -> HttpResult<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        shared.spend(budget, per_minute).await.map_or(Ok(()), |wait| Err(try_again_after(wait)))
    }

    /// The address of the client behind the trusted proxies.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
        client_address(headers, peer, &self.trusted_proxies)
    }

    /// How many users, accounts and addresses are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.requests.inner.len() + self.logins_by_account.inner.len() + self.logins_by_address.inner.len()
    }

    /// Forgets everybody who is at rest. Call it once in a minute or so.
    pub fn sweep(&self) {
        self.requests.sweep();
        self.logins_by_account.sweep();
        self.logins_by_address.sweep();
    }
}

/// One household has a whole /64 of IPv6 addresses: they count as one.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

fn try_again_after(wait: Duration) -> Problem {
    Problem::new(&codes::RATE_LIMITED).retry_after(wait.as_secs().saturating_add(1))
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

#[derive(Debug)]
struct Limiter<K: Hash + Eq + Clone> {
    inner: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(quota: Quota) -> Self {
        Self { inner: RateLimiter::keyed(quota), clock: DefaultClock::default(), checks: AtomicU32::new(0) }
    }

    fn check(&self, key: &K) -> HttpResult<()> {
        let checks = self.checks.fetch_add(1, Ordering::Relaxed);
        if checks.is_multiple_of(CHECKS_PER_LOOK) && self.inner.len() > KEYS_MAX {
            self.sweep();
        }
        self.inner.check_key(key).map_err(|until| try_again_after(until.wait_time_from(self.clock.now())))
    }

    fn sweep(&self) {
        self.inner.retain_recent();
        self.inner.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressRange, Limiter, client_address};
    use axum::http::{HeaderMap, HeaderValue};
    use governor::Quota;
    use std::num::NonZeroU32;

    fn client(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let trusted: Vec<AddressRange> = trusted.iter().map(|range| range.parse().unwrap()).collect();
        client_address(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn a_forwarded_address_counts_behind_trusted_proxies_only() {
        let peer = "10.0.0.1:4000";
        for (forwarded, trusted, expected) in [
            (&["1.2.3.4"][..], &[][..], "10.0.0.1"),
            (&["1.2.3.4"], &["10.0.0.2"], "10.0.0.1"),
            (&["1.2.3.4"], &["10.0.0.1"], "1.2.3.4"),
            (&["9.9.9.9, 1.2.3.4"], &["10.0.0.0/8"], "1.2.3.4"),
            (&["9.9.9.9", "1.2.3.4, 10.0.0.7"], &["10.0.0.0/8"], "1.2.3.4"),
            (&["9.9.9.9, nonsense"], &["10.0.0.0/8"], "10.0.0.1"),
            (&["10.0.0.9"], &["10.0.0.0/8"], "10.0.0.9"),
            (&["2001:db8::1"], &["10.0.0.1"], "2001:db8::1"),
            (&[], &["10.0.0.1"], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, forwarded, trusted), expected, "{forwarded:?} behind {trusted:?}");
        }
        assert_eq!(client("[::ffff:10.0.0.1]:4000", &["1.2.3.4"], &["10.0.0.1"]), "1.2.3.4");
    }

    #[test]
    fn ranges_hold_what_their_prefix_says() {
        let holds =
            |range: &str, address: &str| range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("0.0.0.0/0", "8.8.8.8"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("2001:db8::/128", "2001:db8::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "::/129", "10.0.0.0/x"] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_burst_over_the_limit_is_told_to_wait_and_others_are_not() {
        let limiter = Limiter::new(Quota::per_hour(NonZeroU32::new(3).unwrap()));
        for _ in 0..3 {
            limiter.check(&"a").unwrap();
        }
        assert_eq!(limiter.check(&"a").unwrap_err().code(), "rate_limited");
        limiter.check(&"b").unwrap();
    }
}
