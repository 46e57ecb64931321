//! What operators see of single seats: why each is blocked, by whom and since when.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    changes::AuditEntry,
    id::{ConcertId, SeatId},
    sale::{Seat, SeatState},
    time::Time,
};
use frontrow_storage::Page;
use std::collections::{BTreeSet, HashMap};

/// How many entries of the audit log are read at once, and how many pages of them at most: a block that is older names
/// no operator.
const ENTRIES: u32 = 100;
const PAGES_MAX: usize = 10;

/// Why a seat is blocked, by whom and since when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeatBlocker {
    /// When the seat became as it is.
    pub at: Time,
    /// The reason.
    pub reason: String,
    /// The operator's name; none for the box office itself, and if it cannot be found any more.
    pub name: Option<String>,
}

impl BoxOffice {
    /// The rows of these seats of a concert, in the order of the ids and as fresh as its map; unknown ids are omitted.
    ///
    /// # Errors
    /// The seats could not be read.
    pub async fn seat_rows(&self, concert_id: ConcertId, seats: &[SeatId]) -> Result<Vec<Seat>, ServiceError> {
        Ok(self.caches.seat_maps.rows(&*self.store, concert_id, seats).await?)
    }

    /// Who blocked these seats of a concert: one for each blocked seat. The block is the entry of the audit log that was
    /// made together with the seat's last change and names the seat.
    ///
    /// # Errors
    /// The audit log could not be read.
    pub async fn seat_blockers(
        &self,
        concert_id: ConcertId,
        seats: &[Seat],
    ) -> Result<HashMap<SeatId, SeatBlocker>, ServiceError> {
        let mut found = HashMap::new();
        for seat in seats {
            if let SeatState::Blocked { reason } = &seat.state {
                let blocker = SeatBlocker { name: None, reason: reason.clone(), at: seat.updated_at };
                found.insert(seat.seat_id, blocker);
            }
        }
        let mut open: BTreeSet<(Time, SeatId)> = found.iter().map(|(id, blocker)| (blocker.at, *id)).collect();
        let (mut after, object) = (None, format!("concert {concert_id}"));
        for _ in 0..PAGES_MAX {
            let Some((oldest, _)) = open.first().copied() else { break };
            let entries = self.store.audit_of(&object, Page { after, limit: ENTRIES }).await?;
            for entry in entries.iter().filter(|entry| entry.action == "seats.block") {
                let named = seats_of(entry, &open);
                if named.is_empty() {
                    continue;
                }
                let actor = match entry.actor {
                    Some(actor) => self.user(actor).await?,
                    None => None,
                };
                for seat in named {
                    open.remove(&(entry.created_at, seat));
                    if let Some(blocker) = found.get_mut(&seat) {
                        blocker.name = actor.as_ref().map(|user| user.name.clone());
                    }
                }
            }
            match entries.last() {
                Some(last) if last.created_at >= oldest => after = Some(last.audit_id),
                _ => break,
            }
        }
        Ok(found)
    }
}

/// Those of the seats that an entry names and that became as they are when it was made.
fn seats_of(entry: &AuditEntry, seats: &BTreeSet<(Time, SeatId)>) -> Vec<SeatId> {
    let ranges = entry.detail.get("seat_id_ranges").cloned().unwrap_or_default();
    let ranges: Vec<[i64; 2]> = serde_json::from_value(ranges).unwrap_or_default();
    let is_named = |id: &SeatId| ranges.iter().any(|[first, last]| (*first..=*last).contains(&id.get()));
    let at_once = seats.iter().filter(|(at, _)| *at == entry.created_at);
    at_once.map(|(_, id)| *id).filter(is_named).collect()
}
