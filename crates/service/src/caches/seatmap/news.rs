//! What changed in a hall since a client's map.

use super::forms::Row;
use bytes::Bytes;
use frontrow_domain::{
    id::SeatId,
    sale::{Seat, SeatStatus},
    time::Time,
};
use std::{
    collections::BTreeSet,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    str::FromStr,
    sync::OnceLock,
};

/// The state of a hall that a client knows: all instances give the same rows the same mark, and it outlasts a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HallMark {
    /// The last change of a seat.
    pub(super) last: Time,
    /// The fingerprint of the seats and of everything about them but their states.
    pub(super) layout: u64,
    /// The fingerprint of their states.
    pub(super) states: u64,
}

impl HallMark {
    /// The mark of these rows, in any order.
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut mark = Self { last: Time::default(), layout: 0, states: 0 };
        for Row { seat, .. } in rows {
            let label = (&seat.label.section, &seat.label.row, &seat.label.number, &seat.label.grade);
            let layout = print_of((seat.seat_id, seat.seat_number, seat.price.get(), label));
            mark.last = mark.last.max(seat.updated_at);
            mark.layout = mark.layout.wrapping_add(layout);
            mark.states = mark.states.wrapping_add(state_print(seat));
        }
        mark
    }

    /// Follows a change of a seat that leaves the layout as it is.
    pub(super) fn follow(&mut self, before: &Seat, after: &Seat) {
        self.last = self.last.max(after.updated_at);
        self.states = self.states.wrapping_sub(state_print(before)).wrapping_add(state_print(after));
    }
}

fn print_of(value: impl Hash) -> u64 {
    // Its keys are always the same.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn state_print(seat: &Seat) -> u64 {
    print_of((seat.seat_id, seat.status()))
}

/// Whether a change of a seat changes the layout of its hall.
pub(super) fn has_new_layout(before: &Seat, after: &Seat) -> bool {
    (before.seat_number, before.price, &before.label) != (after.seat_number, after.price, &after.label)
}

impl fmt::Display for HallMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}-{:016x}", self.last.micros(), self.layout, self.states)
    }
}

impl FromStr for HallMark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (last, prints) = text.split_once('-').ok_or(())?;
        let (layout, states) = prints.split_once('-').ok_or(())?;
        let print = |text: &str| u64::from_str_radix(text, 16).map_err(|_| ());
        let last = Time::from_micros(last.parse().map_err(|_| ())?);
        Ok(Self { last, layout: print(layout)?, states: print(states)? })
    }
}

/// Changes of a hall that its streams were not sent yet.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pub(super) seats: BTreeSet<SeatId>,
    pub(super) has_new_layout: bool,
}

/// News of a hall.
#[derive(Debug)]
pub enum HallNews {
    /// The states of some seats.
    Seats(SeatStates),
    /// The map is to be fetched again: the seats themselves changed, or it is not known what did.
    MapOutdated {
        /// Within how many milliseconds: the clients of all streams of the hall come spread over this time.
        within_ms: u64,
    },
}

impl HallNews {
    /// That the map is outdated, for one client.
    pub(super) const fn outdated() -> Self {
        Self::MapOutdated { within_ms: 0 }
    }
}

/// The states of some seats at one moment, written once for all clients.
#[derive(Debug)]
pub struct SeatStates {
    /// The mark of the hall after these.
    pub mark: String,
    /// The JSON: pairs of a seat's id and its letter.
    pub body: Bytes,
    /// The same as it is sent, once it was asked for.
    sent_as: OnceLock<Bytes>,
}

impl SeatStates {
    pub(super) fn of(mark: HallMark, seats: impl Iterator<Item = (SeatId, SeatStatus)>) -> Self {
        let states: Vec<_> = seats.map(|(id, status)| (id, char::from(status.letter()))).collect();
        let body = Bytes::from(serde_json::to_vec(&states).unwrap_or_default());
        Self { mark: mark.to_string(), body, sent_as: OnceLock::new() }
    }

    /// The form in which it is sent: made by the first that asks, for all.
    pub fn sent_as(&self, make: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.sent_as.get_or_init(|| make(self)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_as_it_was_written() {
        let mark = HallMark { last: Time::from_micros(1_900_000_000_000_000), layout: 0xab, states: u64::MAX };
        assert_eq!(mark.to_string(), "1900000000000000-00000000000000ab-ffffffffffffffff");
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for bad in ["", "-", "17", "17-ab", "x-ab-cd", "17-ab-", "17-xyz-ab", "17-ab-cd-ef"] {
            assert_eq!(bad.parse::<HallMark>(), Err(()), "{bad}");
        }
    }
}
