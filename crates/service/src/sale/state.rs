//! What a buyer can do with a concert now: the one place that says so, for pages and for programs.

use frontrow_domain::{
    sale::{Concert, ConcertStatus},
    time::Time,
};
use frontrow_storage::SeatCounts;
use serde::Serialize;
use utoipa::ToSchema;

/// Few seats are left of any hall if there are at most so many: a twentieth of a stadium is still thousands.
const FEW: i64 = 100;
/// Few seats are left if they are at most this part of all that are for sale: a hundred of a hundred and twenty are not
/// few.
const FEW_PART: i64 = 20;

/// What a buyer can do with a concert now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleState {
    /// Wait for the opening; the line may be joined.
    Opens {
        /// When it opens.
        at: Time,
    },
    /// Buy.
    OnSale {
        /// How many seats are free.
        left: i64,
    },
    /// Buy soon: few seats are left.
    FewLeft {
        /// How many seats are free.
        left: i64,
    },
    /// Wait whether a held seat becomes free: no other is.
    AllHeld,
    /// Wait for a seat that is given back: every seat is sold.
    SoldOut,
    /// Nothing yet: the concert has no seats for sale.
    NoSeats,
    /// Nothing: the sale is over or stopped. The concert takes place.
    Closed,
    /// Nothing until there is another day.
    Postponed,
    /// Nothing: it does not take place.
    Cancelled,
    /// Nothing: it has ended.
    Over,
}

/// The name of a [`SaleState`], for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SaleStateName {
    /// The sale has not opened yet.
    Opens,
    /// Seats are free.
    OnSale,
    /// Few seats are free.
    FewLeft,
    /// No seat is free; some that are held may become free.
    AllHeld,
    /// Every seat is sold; one that is refunded becomes free.
    SoldOut,
    /// The concert has no seats for sale.
    NoSeats,
    /// The sale is over or stopped.
    Closed,
    /// The concert is postponed.
    Postponed,
    /// The concert is cancelled.
    Cancelled,
    /// The concert has ended.
    Over,
}

impl SaleStateName {
    /// All names.
    pub const ALL: [Self; 10] = [
        Self::Opens,
        Self::OnSale,
        Self::FewLeft,
        Self::AllHeld,
        Self::SoldOut,
        Self::NoSeats,
        Self::Closed,
        Self::Postponed,
        Self::Cancelled,
        Self::Over,
    ];
}

impl SaleState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> SaleStateName {
        match self {
            Self::Opens { .. } => SaleStateName::Opens,
            Self::OnSale { .. } => SaleStateName::OnSale,
            Self::FewLeft { .. } => SaleStateName::FewLeft,
            Self::AllHeld => SaleStateName::AllHeld,
            Self::SoldOut => SaleStateName::SoldOut,
            Self::NoSeats => SaleStateName::NoSeats,
            Self::Closed => SaleStateName::Closed,
            Self::Postponed => SaleStateName::Postponed,
            Self::Cancelled => SaleStateName::Cancelled,
            Self::Over => SaleStateName::Over,
        }
    }

    /// The state at `now` of a concert with these seats.
    #[must_use]
    pub fn of(concert: &Concert, seats: SeatCounts, now: Time) -> Self {
        match concert.status_at(now) {
            ConcertStatus::Cancelled => return Self::Cancelled,
            ConcertStatus::Postponed => return Self::Postponed,
            ConcertStatus::Over => return Self::Over,
            ConcertStatus::Closed => return Self::Closed,
            ConcertStatus::Scheduled if now >= concert.closes_at => return Self::Closed,
            ConcertStatus::Scheduled if now < concert.opens_at => return Self::Opens { at: concert.opens_at },
            ConcertStatus::Scheduled => {}
        }
        let SeatCounts { available: left, held, sold, blocked: _ } = seats;
        match (left, held, sold) {
            (1.., ..) if left <= FEW && left * FEW_PART <= left + held + sold => Self::FewLeft { left },
            (1.., ..) => Self::OnSale { left },
            (_, 1.., _) => Self::AllHeld,
            (.., 1..) => Self::SoldOut,
            _ => Self::NoSeats,
        }
    }

    /// Whether the line may be joined for it.
    #[must_use]
    pub const fn may_join(self) -> bool {
        match self {
            Self::Opens { .. } | Self::OnSale { .. } | Self::FewLeft { .. } | Self::AllHeld | Self::SoldOut => true,
            Self::NoSeats | Self::Closed | Self::Postponed | Self::Cancelled | Self::Over => false,
        }
    }

    /// Whether a seat may be held as soon as one is free: the sale is open, and the concert has seats.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::OnSale { .. } | Self::FewLeft { .. } | Self::AllHeld | Self::SoldOut)
    }

    /// Whether a free seat may be held now.
    #[must_use]
    pub const fn is_on_sale(self) -> bool {
        matches!(self, Self::OnSale { .. } | Self::FewLeft { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{id::ConcertId, time::Span};

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn concert() -> Concert {
        let (draft, _) = crate::demo::season(NOW).remove(0);
        let new = draft.check().unwrap();
        Concert {
            concert_id: ConcertId::new(1),
            title: new.title,
            artist: new.artist,
            venue: new.venue,
            time_zone: new.time_zone,
            concert_date: new.concert_date,
            start_time: new.start_time,
            end_time: new.end_time,
            starts_at: new.starts_at,
            ends_at: new.ends_at,
            base_price: new.base_price,
            opens_at: NOW.minus(Span::from_secs(60)),
            closes_at: new.starts_at,
            opened_at: None,
            closing: frontrow_domain::sale::Closing::WithStart,
            room_id: frontrow_domain::id::RoomId::HOUSE,
            status: ConcertStatus::Scheduled,
            status_reason: None,
            refund_all_at: None,
            wound_up_at: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    const fn seats(available: i64, held: i64, sold: i64) -> SeatCounts {
        SeatCounts { available, held, sold, blocked: 7 }
    }

    #[test]
    fn the_seats_of_an_open_sale_say_what_is_left() {
        for (seats, expected) in [
            (seats(50, 0, 0), SaleState::OnSale { left: 50 }),
            (seats(2, 0, 48), SaleState::FewLeft { left: 2 }),
            (seats(3, 0, 47), SaleState::OnSale { left: 3 }),
            (seats(100, 10, 1_890), SaleState::FewLeft { left: 100 }),
            (seats(101, 10, 49_000), SaleState::OnSale { left: 101 }),
            (seats(0, 1, 49), SaleState::AllHeld),
            (seats(0, 0, 50), SaleState::SoldOut),
            (seats(0, 0, 0), SaleState::NoSeats),
        ] {
            assert_eq!(SaleState::of(&concert(), seats, NOW), expected, "{seats:?}");
        }
    }

    #[test]
    fn time_and_operators_come_before_the_seats() {
        let free = seats(50, 0, 0);
        let with = |status| Concert { status, ..concert() };
        let at = NOW.plus(Span::from_secs(5));
        let opens = Concert { opens_at: at, ..concert() };
        let (starts_at, ends_at) = (opens.starts_at, opens.ends_at);
        for (concert, now, expected) in [
            (opens, NOW, SaleState::Opens { at }),
            (concert(), starts_at, SaleState::Closed),
            (concert(), ends_at, SaleState::Over),
            (with(ConcertStatus::Closed), NOW, SaleState::Closed),
            (with(ConcertStatus::Postponed), ends_at, SaleState::Postponed),
            (with(ConcertStatus::Cancelled), ends_at, SaleState::Cancelled),
        ] {
            assert_eq!(SaleState::of(&concert, free, now), expected);
        }
        assert!(SaleState::SoldOut.may_join() && SaleState::SoldOut.is_open() && !SaleState::SoldOut.is_on_sale());
        let opens = SaleState::Opens { at };
        assert!(opens.may_join() && !opens.is_open());
        assert!(!SaleState::NoSeats.may_join() && !SaleState::NoSeats.is_open());
    }
}
