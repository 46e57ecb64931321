//! Seats: available → held → sold, or blocked by an operator or by a refund after the sale.

use crate::{
    id::{ConcertId, ReservationId, SeatId, UserId},
    line::ContradictoryColumns,
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

/// The status of a seat.
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

/// A seat's state, with the data of that state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatState {
    /// Free to hold.
    Available {
        /// The last user that gave the seat up or let its hold end, if the seat is free since.
        let_go: Option<LetGo>,
    },
    /// Held. Past the hold's end the seat is free, swept or not.
    Held {
        /// The pending reservation.
        reservation_id: ReservationId,
    },
    /// Sold.
    Sold {
        /// The confirmed reservation.
        reservation_id: ReservationId,
    },
    /// Taken off sale by an operator, or given back after the sale was over.
    Blocked {
        /// The reason, for the audit log and the operators' map.
        reason: String,
    },
}

impl SeatState {
    /// A free seat that was not given up.
    pub const FREE: Self = Self::Available { let_go: None };

    /// The state without its data.
    #[must_use]
    pub const fn status(&self) -> SeatStatus {
        match self {
            Self::Available { .. } => SeatStatus::Available,
            Self::Held { .. } => SeatStatus::Held,
            Self::Sold { .. } => SeatStatus::Sold,
            Self::Blocked { .. } => SeatStatus::Blocked,
        }
    }

    /// The state of a row with these columns. The columns of other states are ignored.
    ///
    /// # Errors
    /// A held or sold seat has no reservation, or one that is neither has one.
    pub fn from_columns(
        status: SeatStatus,
        reservation_id: Option<ReservationId>,
        blocked_reason: Option<String>,
        let_go: Option<LetGo>,
    ) -> Result<Self, ContradictoryColumns> {
        match (status, reservation_id) {
            (SeatStatus::Available, None) => Ok(Self::Available { let_go }),
            (SeatStatus::Held, Some(reservation_id)) => Ok(Self::Held { reservation_id }),
            (SeatStatus::Sold, Some(reservation_id)) => Ok(Self::Sold { reservation_id }),
            (SeatStatus::Blocked, None) => Ok(Self::Blocked { reason: blocked_reason.unwrap_or_default() }),
            _ => Err(ContradictoryColumns { table: "seat" }),
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
    /// The seat's state.
    pub state: SeatState,
    /// When its state last changed.
    pub updated_at: Time,
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
    /// The state without its data.
    #[must_use]
    pub const fn status(&self) -> SeatStatus {
        self.state.status()
    }

    /// The live reservation of a held or sold seat.
    #[must_use]
    pub const fn reservation_id(&self) -> Option<ReservationId> {
        match self.state {
            SeatState::Held { reservation_id } | SeatState::Sold { reservation_id } => Some(reservation_id),
            SeatState::Available { .. } | SeatState::Blocked { .. } => None,
        }
    }

    /// Why it is blocked, if it is.
    #[must_use]
    pub fn blocked_reason(&self) -> Option<&str> {
        match &self.state {
            SeatState::Blocked { reason } => Some(reason),
            SeatState::Available { .. } | SeatState::Held { .. } | SeatState::Sold { .. } => None,
        }
    }

    /// The last user that gave the seat up or let its hold end, if the seat is free since.
    #[must_use]
    pub const fn let_go(&self) -> Option<LetGo> {
        match self.state {
            SeatState::Available { let_go } => let_go,
            SeatState::Held { .. } | SeatState::Sold { .. } | SeatState::Blocked { .. } => None,
        }
    }

    /// The free seat held by a new reservation.
    ///
    /// # Errors
    /// The seat is held, sold or blocked: the refusal says which.
    pub fn held(mut self, reservation_id: ReservationId, now: Time) -> Result<Self, Refusal> {
        let seat_id = self.seat_id;
        match self.state {
            SeatState::Available { .. } => {}
            SeatState::Held { .. } => return Err(Refusal::SeatHeld { seat_id, held_until: now, holder: None }),
            SeatState::Sold { .. } => return Err(Refusal::SeatSold { seat_id }),
            SeatState::Blocked { .. } => return Err(Refusal::SeatBlocked { seat_id }),
        }
        self.state = SeatState::Held { reservation_id };
        self.was_held = true;
        self.updated_at = now;
        Ok(self)
    }

    /// The seat sold to the reservation that holds it.
    ///
    /// # Errors
    /// [`Refusal::ReservationNotPending`] if the reservation does not hold the seat.
    pub fn sold(mut self, to: ReservationId, now: Time) -> Result<Self, Refusal> {
        match self.state {
            SeatState::Held { reservation_id } if reservation_id == to => {
                self.state = SeatState::Sold { reservation_id };
                self.updated_at = now;
                Ok(self)
            }
            SeatState::Available { .. }
            | SeatState::Held { .. }
            | SeatState::Sold { .. }
            | SeatState::Blocked { .. } => Err(Refusal::ReservationNotPending),
        }
    }

    /// The seat blocked or freed, without a reservation. `let_go` is the user that gave it up, if one did.
    #[must_use]
    pub fn set(mut self, action: &SeatAction, let_go: Option<LetGo>, now: Time) -> Self {
        self.state = match action {
            SeatAction::Block { reason } => SeatState::Blocked { reason: reason.clone() },
            SeatAction::Free { .. } => SeatState::Available { let_go },
        };
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
    /// The price; none for the concert's base price.
    pub price: Option<Money>,
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
    Free {
        /// The reason, for the audit log, if one is given.
        reason: Option<String>,
    },
}

impl SeatAction {
    /// The seat is put on sale again by a rule, which needs no reason.
    pub const FREE: Self = Self::Free { reason: None };
}
