//! The rows of one hall, and which of two rows of a seat wins.

use super::{
    forms::Row,
    news::{HallMark, Unsent, has_new_layout},
    order::{OrderedSeat, SeatingOrder},
    overview::HallOverview,
    snapshot::SeatSnapshot,
};
use frontrow_domain::{id::SeatId, sale::Seat, time::Time};
use frontrow_storage::COMMIT_VISIBILITY_MAX;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long after a seat was removed an earlier commit that changed it may still be published.
pub(super) const LATE_COMMIT_MAX: Duration = Duration::from_micros(COMMIT_VISIBILITY_MAX.micros().unsigned_abs());

/// The rows of one hall, by number.
#[derive(Debug, Default)]
pub(super) struct Seats {
    pub(super) rows: Vec<Row>,
    pub(super) index: HashMap<SeatId, usize>,
    /// Removed seats: rows read or committed earlier may still show them.
    pub(super) removed: HashMap<SeatId, Removed>,
    /// The order of the rows as they are, until a seat is added, removed or named or priced anew.
    order: Option<Arc<SeatingOrder>>,
    /// The mark of the rows, until their layout changes.
    mark: Option<HallMark>,
    /// What changed since the streams were sent something, if there are any.
    pub(super) unsent: Option<Unsent>,
}

/// A seat that was removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removed {
    /// The last known change of the seat.
    last: Time,
    pub(super) noted: Instant,
}

impl Seats {
    /// Applies a seat from a commit of this process, unless a later change or a later removal is known: commits of
    /// several lanes arrive in any order.
    pub(super) fn put(&mut self, seat: &Seat, version: u64) {
        if self.removed.get(&seat.seat_id).is_some_and(|removed| seat.updated_at <= removed.last) {
            return;
        }
        self.removed.remove(&seat.seat_id);
        if let Some(row) = self.index.get(&seat.seat_id).and_then(|at| self.rows.get_mut(*at)) {
            row.touched = version;
            if seat.updated_at >= row.seat.updated_at {
                let before = std::mem::replace(&mut row.seat, seat.clone());
                self.note_change(&before, seat);
            }
        } else {
            self.add(Row { seat: seat.clone(), touched: version });
        }
    }

    /// Notes what the change of a seat means for the streams and for the layout.
    fn note_change(&mut self, before: &Seat, after: &Seat) {
        if has_new_layout(before, after) {
            self.note_new_layout();
            return;
        }
        match &mut self.mark {
            // The store's clock went back.
            mark if after.updated_at < before.updated_at => *mark = None,
            mark => _ = mark.as_mut().map(|mark| mark.follow(before, after)),
        }
        if before.status() != after.status()
            && let Some(unsent) = &mut self.unsent
        {
            unsent.seats.insert(after.seat_id);
        }
    }

    fn note_new_layout(&mut self) {
        self.mark = None;
        self.order = None;
        if let Some(unsent) = &mut self.unsent {
            unsent.has_new_layout = true;
        }
    }

    /// The mark of the present rows.
    pub(super) fn mark(&mut self) -> HallMark {
        if self.mark.is_none() {
            self.sort();
        }
        *self.mark.get_or_insert_with(|| HallMark::of(&self.rows))
    }

    fn add(&mut self, row: Row) {
        self.note_new_layout();
        self.index.insert(row.seat.seat_id, self.rows.len());
        self.rows.push(row);
    }

    /// Applies a row read by a query that began at version `seen`. A commit may have brought a newer one since; then
    /// the later `updated_at` wins. Returns whether the row changed.
    pub(super) fn take(&mut self, seat: Seat, seen: u64) -> bool {
        let Some(row) = self.index.get(&seat.seat_id).and_then(|at| self.rows.get_mut(*at)) else {
            self.add(Row { seat, touched: 0 });
            return true;
        };
        let is_news = (row.touched <= seen || seat.updated_at > row.seat.updated_at) && row.seat != seat;
        if is_news {
            let before = std::mem::replace(&mut row.seat, seat.clone());
            self.note_change(&before, &seat);
        }
        is_news
    }

    /// The order of the rows, which are sorted.
    fn order(&mut self) -> Arc<SeatingOrder> {
        let rows = &self.rows;
        let order = self.order.get_or_insert_with(|| {
            Arc::new(SeatingOrder::of(rows.iter().map(|Row { seat, .. }| OrderedSeat {
                seat_id: seat.seat_id,
                seat_number: seat.seat_number,
                label: &seat.label,
                price: seat.price,
            })))
        });
        Arc::clone(order)
    }

    /// The rows by section, row and number, with their states.
    pub(super) fn snapshot(&mut self) -> SeatSnapshot {
        let order = self.order();
        SeatSnapshot::new(order, self.rows.iter().map(|row| row.seat.status()).collect())
    }

    /// The rows in numbers.
    pub(super) fn overview(&mut self) -> HallOverview {
        let order = self.order();
        HallOverview::of(order, |index| self.rows.get(index).map(|row| row.seat.status()))
    }

    /// Marks a seat as removed. The moment of its last change never goes back.
    pub(super) fn remove(&mut self, seat: SeatId, last: Time) {
        let noted = Instant::now();
        let removed = self.removed.entry(seat).or_insert(Removed { last, noted });
        removed.last = removed.last.max(last);
        self.note_new_layout();
    }

    /// Forgets removals so long before a read of every seat (which began at `began`) that no late commit can bring the
    /// seats back.
    pub(super) fn forget_removed(&mut self, began: Instant) {
        self.removed.retain(|_, removed| began.saturating_duration_since(removed.noted) <= LATE_COMMIT_MAX);
    }

    /// Sorts the rows in the order of the map, without removed seats.
    pub(super) fn sort(&mut self) {
        let Self { rows, removed, .. } = self;
        let count = rows.len();
        if !removed.is_empty() {
            rows.retain(|row| !removed.contains_key(&row.seat.seat_id));
        }
        let is_sorted = rows.is_sorted_by_key(|row| row.seat.seat_number);
        if !is_sorted {
            rows.sort_by_key(|row| row.seat.seat_number);
        }
        if !is_sorted || rows.len() < count {
            self.index = self.rows.iter().enumerate().map(|(at, row)| (row.seat.seat_id, at)).collect();
            self.order = None;
        }
    }
}
