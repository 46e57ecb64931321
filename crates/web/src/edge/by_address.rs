//! Counts what each address has open: connections, or streams.

use crate::edge::limit::{network_of, wide_network_of};
use frontrow_service::net::AddressRange;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How often the log reports an address at its limit.
const SAY_EVERY: Duration = Duration::from_mins(1);

/// How much each limited address has open: at most as many entries as there is open.
#[derive(Debug)]
pub(super) struct ByAddress {
    /// The name of the setting.
    limit: &'static str,
    most: Option<usize>,
    exempt: Vec<AddressRange>,
    open: Mutex<OpenByNetwork>,
}

#[derive(Debug, Default)]
struct OpenByNetwork {
    by_network: HashMap<IpAddr, usize>,
    said: Option<Instant>,
}

impl ByAddress {
    pub(super) fn new(limit: &'static str, most: Option<usize>, exempt: Vec<AddressRange>) -> Self {
        Self { limit, most, exempt, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, OpenByNetwork> {
        // Every update leaves the counts consistent, so a panic while they were locked does no harm.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more of this address; none if the address is at its limit.
    pub(super) fn enter(this: &Arc<Self>, address: IpAddr) -> Option<AddressSlot> {
        let address = address.to_canonical();
        let Some(most) = this.most.filter(|_| !this.exempt.iter().any(|range| range.contains(address))) else {
            return Some(AddressSlot(None));
        };
        let network = network_of(address);
        let mut open = this.lock();
        let count = open.by_network.entry(network).or_default();
        if *count < most {
            *count += 1;
            return Some(AddressSlot(Some((Arc::clone(this), network))));
        }
        if open.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            open.said = Some(Instant::now());
            tracing::warn!(
                network = %wide_network_of(address),
                limit = this.limit,
                most,
                "an address of this network has as much open as it may and gets no more; \
                 if it is a proxy, name it in trusted_proxies"
            );
        }
        None
    }
}

/// The place of one connection or stream, released on drop. Empty if its address is not limited.
#[derive(Debug)]
pub(super) struct AddressSlot(Option<(Arc<ByAddress>, IpAddr)>);

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let Some((all, network)) = &self.0 else { return };
        let mut open = all.lock();
        if let Some(count) = open.by_network.get_mut(network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_network.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(all: &Arc<ByAddress>, address: &str) -> Option<AddressSlot> {
        ByAddress::enter(all, address.parse().unwrap())
    }

    #[tokio::test]
    async fn an_address_has_as_many_connections_as_it_may_and_others_have_theirs() {
        let all = Arc::new(ByAddress::new("limit", Some(2), vec!["10.0.0.0/8".parse().unwrap()]));
        let first = enter(&all, "192.0.2.1").unwrap();
        let second = enter(&all, "::ffff:192.0.2.1").unwrap();
        assert!(enter(&all, "192.0.2.1").is_none());
        let other = enter(&all, "192.0.2.2").unwrap();
        // One household has a whole /64.
        let household = [enter(&all, "2001:db8::1").unwrap(), enter(&all, "2001:db8::2").unwrap()];
        assert!(enter(&all, "2001:db8::3").is_none());
        assert!(enter(&all, "2001:db8:0:1::3").is_some());
        let _proxied: Vec<_> = (0..9).map(|_| enter(&all, "10.1.2.3").unwrap()).collect();
        drop(first);
        assert!(enter(&all, "192.0.2.1").is_some());
        drop((second, other, household));
        assert_eq!(all.lock().by_network.len(), 0, "nothing is left behind");
    }
}
