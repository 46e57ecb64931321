//! Budgets of new places in line, by address and by network: one machine with many accounts does not fill a line.
//!
//! A join pays before it is decided, or concurrent joins would be free; one that gave no new place gets it back.

use super::{network_of, sign_in::Tries, wide_network_of};
use crate::edge::problem::{HttpResult, Problem, codes};
use frontrow_line::redis::limits::{Allowance, Budget, SharedLimits};
use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How often the log reports an address or a network at its limit.
const SAY_EVERY: Duration = Duration::from_mins(1);

/// The limits of new places in line, over all rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinLimitSettings {
    /// How many new places one address may take within the window; none for no limit.
    pub per_address: Option<u32>,
    /// How many new places one network may take within the window, an IPv4 /24 or an IPv6 /48; none for no limit.
    pub per_network: Option<u32>,
    /// The time in which a spent budget is full again.
    pub window: Duration,
}

/// One budget for each address, or for each network.
#[derive(Debug)]
struct JoinBudget {
    tries: Tries,
    allowance: Allowance,
    /// The name of the setting.
    limit: &'static str,
}

impl JoinBudget {
    fn new(count: Option<u32>, within: Duration, limit: &'static str) -> Option<Self> {
        let allowance = Allowance { count: count?, within };
        let period_us = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        Some(Self { tries: Tries::within(period_us, allowance.count), allowance, limit })
    }

    /// This instance's own budget comes first: it keeps most of a flood from the shared one.
    async fn take(&self, budget: Budget<'_>, shared: Option<&SharedLimits>) -> Result<(), Duration> {
        self.tries.take(budget.digest())?;
        let Some(shared) = shared else { return Ok(()) };
        shared.spend(budget, self.allowance, 1).await.map_or(Ok(()), |wait| {
            self.tries.give_back(budget.digest());
            Err(wait)
        })
    }

    async fn give_back(&self, budget: Budget<'_>, shared: Option<&SharedLimits>) {
        self.tries.give_back(budget.digest());
        if let Some(shared) = shared {
            shared.give_back(budget, self.allowance).await;
        }
    }
}

/// The budgets of new places.
#[derive(Debug)]
pub(super) struct JoinBudgets {
    by_address: Option<JoinBudget>,
    by_network: Option<JoinBudget>,
    said: Mutex<Option<Instant>>,
}

/// A join that was counted, to be ended by [`RateLimits::end_join`](super::RateLimits::end_join).
#[derive(Debug)]
#[must_use = "a join that gives no new place gets back what it has spent"]
pub struct JoinOutlay(IpAddr);

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinEnd {
    /// The account has a new place.
    NewPlace,
    /// It had its place before, or the join was refused.
    NoNewPlace,
}

impl JoinBudgets {
    pub(super) fn new(settings: JoinLimitSettings) -> Self {
        let JoinLimitSettings { per_address, per_network, window } = settings;
        Self {
            by_address: JoinBudget::new(per_address, window, "joins_per_address"),
            by_network: JoinBudget::new(per_network, window, "joins_per_network"),
            said: Mutex::default(),
        }
    }

    fn budgets(&self, client: IpAddr) -> impl Iterator<Item = (&JoinBudget, Budget<'static>)> {
        let by_address = self.by_address.as_ref().map(|own| (own, Budget::Joins(network_of(client))));
        let by_network = self.by_network.as_ref().map(|own| (own, Budget::NetworkJoins(join_network_of(client))));
        by_address.into_iter().chain(by_network)
    }

    pub(super) async fn take(&self, client: IpAddr, shared: Option<&SharedLimits>) -> HttpResult<JoinOutlay> {
        for (index, (own, budget)) in self.budgets(client).enumerate() {
            let Err(wait) = own.take(budget, shared).await else { continue };
            for (paid, budget) in self.budgets(client).take(index) {
                paid.give_back(budget, shared).await;
            }
            self.say(client, own);
            return Err(Problem::new(&codes::TOO_MANY_JOINS).retry_after(wait.as_secs().saturating_add(1)));
        }
        Ok(JoinOutlay(client))
    }

    pub(super) async fn end(&self, JoinOutlay(client): JoinOutlay, end: JoinEnd, shared: Option<&SharedLimits>) {
        if end == JoinEnd::NewPlace {
            return;
        }
        for (own, budget) in self.budgets(client) {
            own.give_back(budget, shared).await;
        }
    }

    fn say(&self, client: IpAddr, own: &JoinBudget) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(
                network = %wide_network_of(client),
                limit = own.limit,
                most = own.allowance.count,
                window_seconds = own.allowance.within.as_secs(),
                "accounts of this network have taken as many new places in line as they may, and get no more for now; \
                 if it is a proxy, name it in trusted_proxies"
            );
        }
    }

    fn tries(&self) -> impl Iterator<Item = &Tries> {
        [&self.by_address, &self.by_network].into_iter().flatten().map(|own| &own.tries)
    }

    pub(super) fn len(&self) -> usize {
        self.tries().map(Tries::len).sum()
    }

    pub(super) fn sweep(&self) {
        self.tries().for_each(Tries::sweep);
    }
}

/// The network of an address that joins are counted by: an IPv4 /24, or an IPv6 /48, which one site has.
fn join_network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & 0xffff_ff00).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 80)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(per_address: u32, per_network: u32) -> JoinBudgets {
        let (per_address, per_network) = (Some(per_address), Some(per_network));
        JoinBudgets::new(JoinLimitSettings { per_address, per_network, window: Duration::from_hours(10) })
    }

    async fn joins(all: &JoinBudgets, client: &str, end: JoinEnd) -> bool {
        match all.take(client.parse().unwrap(), None).await {
            Ok(outlay) => {
                all.end(outlay, end, None).await;
                true
            }
            Err(refused) => {
                assert_eq!(refused.code(), "too_many_joins");
                false
            }
        }
    }

    #[tokio::test]
    async fn an_address_and_a_network_have_so_many_new_places_and_others_have_theirs() {
        let all = budgets(2, 3);
        for (client, is_counted) in [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("192.0.2.2", true),
            ("192.0.2.3", false),
            ("192.0.3.1", true),
            // One household has a /64, one site a /48.
            ("2001:db8:1:1::1", true),
            ("2001:db8:1:1::2", true),
            ("2001:db8:1:1::3", false),
            ("2001:db8:1:2::1", true),
            ("2001:db8:1:3::1", false),
            ("2001:db8:2::1", true),
        ] {
            assert_eq!(joins(&all, client, JoinEnd::NewPlace).await, is_counted, "{client}");
        }
    }

    #[tokio::test]
    async fn a_join_without_a_new_place_spends_nothing_and_a_refused_one_neither() {
        let all = budgets(2, 3);
        for _ in 0..20 {
            assert!(joins(&all, "192.0.2.1", JoinEnd::NoNewPlace).await);
        }
        assert_eq!(all.len(), 0);
        for _ in 0..3 {
            joins(&all, "192.0.2.1", JoinEnd::NewPlace).await;
            joins(&all, "192.0.2.2", JoinEnd::NewPlace).await;
        }
        // The network has spent its three; the second address has one of its own left, which a refusal gives back.
        assert!(!joins(&all, "192.0.2.2", JoinEnd::NewPlace).await);
        assert!(!joins(&all, "192.0.2.9", JoinEnd::NewPlace).await);
        assert_eq!(all.by_address.as_ref().unwrap().tries.len(), 2);
    }

    #[tokio::test]
    async fn without_settings_nothing_is_counted() {
        let none = JoinLimitSettings { per_address: None, per_network: None, window: Duration::from_mins(1) };
        let all = JoinBudgets::new(none);
        for _ in 0..50 {
            assert!(joins(&all, "192.0.2.1", JoinEnd::NewPlace).await);
        }
        assert_eq!(all.len(), 0);
    }
}
