//! Seats: available → held → sold, or blocked by an operator or by a refund after the sale.

use crate::{
    id::{ConcertId, ReservationId, SeatId, UserId},
    money::Money,
    refusal::Refusal,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Why a seat is blocked: its payment was refunded after the sale was over.
pub const REFUNDED_AFTER_SALE: &str = "refunded after the sale";

/// Why a seat is blocked: its concert was cancelled.
pub const CONCERT_CANCELLED: &str = "concert cancelled";

/// What may be done with a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SeatStatus {
    /// Free to hold.
    Available,
    /// Held by a pending reservation. Past the hold's end it is free, swept or not.
    Held,
    /// Sold.
    Sold,
    /// Taken off sale by an operator, or given back after the sale was over.
    Blocked,
}

impl SeatStatus {
    /// The status as one letter of the compact seat map: A, H, S or B.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Available => b'A',
            Self::Held => b'H',
            Self::Sold => b'S',
            Self::Blocked => b'B',
        }
    }
}

/// A seat's row, without the columns that no rule reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The seat.
    pub seat_id: SeatId,
    /// The concert.
    pub concert_id: ConcertId,
    /// Its place in the order of the concert's seats, from 1. The ticket shows the label instead.
    pub seat_number: i32,
    /// Its place in the hall. No two seats of a concert have the same [`SeatPlace`].
    pub label: Arc<SeatLabel>,
    /// The price now. A hold keeps the price at which it was made.
    pub price: Money,
    /// The seat's status.
    pub status: SeatStatus,
    /// The live reservation, of a held or sold seat.
    pub reservation_id: Option<ReservationId>,
    /// Why it is blocked, if it is.
    pub blocked_reason: Option<String>,
    /// When its status last changed.
    pub updated_at: Time,
    /// The last user that gave the seat up or let its hold end, if the seat is free since.
    pub let_go: Option<LetGo>,
    /// Whether a reservation has ever named it. Such a seat is never removed.
    pub was_held: bool,
}

/// The moment at which a user gave a seat up, or let its hold end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetGo {
    /// The user.
    pub user_id: UserId,
    /// The moment.
    pub at: Time,
}

impl LetGo {
    /// Refuses the seat to the same user for the time of the cool-down, so that others can have it.
    ///
    /// # Errors
    /// [`Refusal::SeatCoolingDown`].
    pub fn check_cooled(self, seat_id: SeatId, user_id: UserId, now: Time, cooldown: Span) -> Result<(), Refusal> {
        let until = self.at.plus(cooldown);
        if self.user_id == user_id && now < until { Err(Refusal::SeatCoolingDown { seat_id, until }) } else { Ok(()) }
    }
}

impl Seat {
    /// The seat blocked or freed, without a reservation.
    #[must_use]
    pub fn set(mut self, action: &SeatAction, now: Time) -> Self {
        (self.status, self.blocked_reason) = match action {
            SeatAction::Block { reason } => (SeatStatus::Blocked, Some(reason.clone())),
            SeatAction::Free => (SeatStatus::Available, None),
        };
        self.reservation_id = None;
        self.let_go = None;
        self.updated_at = now;
        self
    }

    /// The seat after an operator's change.
    #[must_use]
    pub fn changed(mut self, change: &SeatChange, now: Time) -> Self {
        self.price = change.price.unwrap_or(self.price);
        self.label = Arc::new(change.label_of(&self.label));
        self.updated_at = now;
        self
    }
}

/// A seat's place in the hall, as the ticket shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeatLabel {
    /// The block of the hall.
    pub section: String,
    /// The row in the section.
    pub row: String,
    /// The number in the row, as it is printed: `12A`.
    pub number: String,
    /// The price grade.
    pub grade: String,
}

impl SeatLabel {
    /// The parts that identify the seat in its concert.
    #[must_use]
    pub fn place(&self) -> SeatPlace {
        SeatPlace { section: self.section.clone(), row: self.row.clone(), number: self.number.clone() }
    }
}

/// The seat's name in a statement: `seat 12A, row C, Stalls`.
impl fmt::Display for SeatLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seat {}", self.number)?;
        if !self.row.is_empty() {
            write!(f, ", row {}", self.row)?;
        }
        if !self.section.is_empty() {
            write!(f, ", {}", self.section)?;
        }
        Ok(())
    }
}

/// A section, a row in it and a printed number in that: unique in a concert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatPlace {
    /// The block of the hall.
    pub section: String,
    /// The row in the section.
    pub row: String,
    /// The number in the row, as it is printed.
    pub number: String,
}

/// A seat that an operator adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSeat {
    /// The requested number in the concert. It is used if every new seat requests one and all are free; else the seat
    /// gets the next after the highest.
    pub seat_number: Option<i32>,
    /// The price.
    pub price: Money,
    /// The label. Without a printed number, `seat_number` is printed.
    pub label: SeatLabel,
}

impl NewSeat {
    /// The label with the printed number; none without any number.
    #[must_use]
    pub fn printed(&self) -> Option<SeatLabel> {
        let mut label = self.label.clone();
        if label.number.is_empty() {
            label.number = self.seat_number?.to_string();
        }
        Some(label)
    }
}

/// An operator's changes of seats; none leaves a field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SeatChange {
    /// The price of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// The block of the hall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The row in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// The number in the row, as it is printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The price grade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
}

impl SeatChange {
    /// Whether it may change a seat's [`SeatPlace`].
    #[must_use]
    pub const fn moves(&self) -> bool {
        self.section.is_some() || self.row.is_some() || self.number.is_some()
    }

    /// Whether the change may move a seat to `place`.
    #[must_use]
    pub fn may_make(&self, place: &SeatPlace) -> bool {
        self.section.as_ref().is_none_or(|section| *section == place.section)
            && self.row.as_ref().is_none_or(|row| *row == place.row)
            && self.number.as_ref().is_none_or(|number| *number == place.number)
    }

    /// The label after the change.
    #[must_use]
    pub fn label_of(&self, before: &SeatLabel) -> SeatLabel {
        let part = |new: &Option<String>, old: &String| new.as_ref().unwrap_or(old).clone();
        SeatLabel {
            section: part(&self.section, &before.section),
            row: part(&self.row, &before.row),
            number: part(&self.number, &before.number),
            grade: part(&self.grade, &before.grade),
        }
    }
}

/// A new state for a seat that is neither held nor sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatAction {
    /// The seat is taken off sale.
    Block {
        /// The reason, for the audit log and the operators' map.
        reason: String,
    },
    /// The seat is put on sale again.
    Free,
}
