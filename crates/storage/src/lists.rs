//! Pages of lists, and rows that no table has.

use frontrow_domain::{
    id::{ConcertId, PaymentId, ReservationId, SeatId},
    money::Money,
    sale::{Concert, ConcertDetails, PosterMark, SeatLabel, SeatPlace, SeatStatus},
    time::Time,
};
use std::collections::BTreeMap;

/// A page of a list: rows after `after` in the list's order, at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// The last key of the previous page.
    pub after: Option<K>,
    /// The maximum number of rows.
    pub limit: u32,
}

/// A concert's place in the list: by start, then by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConcertPlace {
    /// When it starts.
    pub starts_at: Time,
    /// The concert's number.
    pub concert_id: ConcertId,
}

/// Format: start in microseconds, a dot, the number.
impl std::fmt::Display for ConcertPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.starts_at.micros(), self.concert_id)
    }
}

impl ConcertPlace {
    /// The place of this concert.
    #[must_use]
    pub const fn of(concert: &Concert) -> Self {
        Self { starts_at: concert.starts_at, concert_id: concert.concert_id }
    }
}

/// What buyers read of a concert beside its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcertProfile {
    /// Its details; all of them none if it has none.
    pub details: ConcertDetails,
    /// Its poster, without the picture.
    pub poster: Option<PosterMark>,
    /// The grades of its seats that are not blocked: the dearest first, then by name.
    pub grades: Vec<GradePrices>,
}

/// What the seats of a grade cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GradePrices {
    /// The grade's name; empty for seats without a grade.
    pub grade: String,
    /// The price of the cheapest seat.
    pub lowest: Money,
    /// The price of the dearest seat.
    pub highest: Money,
}

impl ConcertProfile {
    /// Puts profiles together from rows of three tables: one for each of `concerts`, in their order.
    pub(crate) fn of(
        concerts: &[ConcertId],
        details: Vec<ConcertDetails>,
        posters: Vec<(ConcertId, PosterMark)>,
        grades: Vec<(ConcertId, GradePrices)>,
    ) -> Vec<Self> {
        let mut details: BTreeMap<_, _> = details.into_iter().map(|row| (row.concert_id, row)).collect();
        let posters: BTreeMap<_, _> = posters.into_iter().collect();
        let mut by_concert: BTreeMap<ConcertId, Vec<GradePrices>> = BTreeMap::new();
        for (concert, grade) in grades {
            by_concert.entry(concert).or_default().push(grade);
        }
        let profile = |id: &ConcertId| {
            let mut grades = by_concert.remove(id).unwrap_or_default();
            grades.sort_by(|a, b| b.highest.cmp(&a.highest).then_with(|| a.grade.cmp(&b.grade)));
            let details = details.remove(id).unwrap_or_else(|| ConcertDetails::none(*id));
            Self { details, poster: posters.get(id).copied(), grades }
        };
        concerts.iter().map(profile).collect()
    }
}

/// The seat of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPlace {
    /// The reservation.
    pub reservation_id: ReservationId,
    /// Its concert.
    pub concert_id: ConcertId,
    /// The concert's title.
    pub title: String,
    /// Its seat.
    pub seat_id: SeatId,
    /// The seat's place in the order of the concert's seats.
    pub seat_number: i32,
    /// The seat's location in the hall.
    pub place: SeatPlace,
}

/// A sold seat and its buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorLine {
    /// The seat's place in the order of the concert's seats.
    pub seat_number: i32,
    /// The seat's label.
    pub label: SeatLabel,
    /// The buyer's name.
    pub name: String,
    /// The reservation.
    pub reservation_id: ReservationId,
    /// The payment.
    pub payment_id: PaymentId,
    /// When it was paid.
    pub paid_at: Time,
}

/// A seat of a cancelled concert that remains to be wound up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remnant {
    /// The seat's number in the concert.
    pub seat_number: i32,
    /// The seat.
    pub seat_id: SeatId,
    /// The payment to refund, if the seat is sold.
    pub payment_id: Option<PaymentId>,
}

/// How many events of each state are counted at most.
pub const EVENTS_COUNTED_MAX: u32 = 10_000;

/// How many events the outbox has for a consumer, each number at most [`EVENTS_COUNTED_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events that will be delivered by themselves.
    pub pending: i64,
    /// Dead letters.
    pub dead: i64,
}

/// How many seats of a concert are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct SeatCounts {
    /// Free to hold.
    #[schema(example = 4_000)]
    pub available: i64,
    /// Held.
    #[schema(example = 20)]
    pub held: i64,
    /// Sold: so many payments have not been given back.
    #[schema(example = 900)]
    pub sold: i64,
    /// Off sale.
    #[schema(example = 80)]
    pub blocked: i64,
}

impl SeatCounts {
    /// Groups counts of rows by concert and status.
    pub(crate) fn of(rows: impl IntoIterator<Item = (ConcertId, SeatStatus, i64)>) -> Vec<(ConcertId, Self)> {
        let mut all: BTreeMap<ConcertId, Self> = BTreeMap::new();
        for (concert, status, count) in rows {
            let counts = all.entry(concert).or_default();
            *match status {
                SeatStatus::Available => &mut counts.available,
                SeatStatus::Held => &mut counts.held,
                SeatStatus::Sold => &mut counts.sold,
                SeatStatus::Blocked => &mut counts.blocked,
            } += count;
        }
        all.into_iter().collect()
    }
}
