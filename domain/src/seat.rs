//! Seats: available → held → sold, or blocked by an operator or by a refund after the sale.

use crate::{
    id::{ConcertId, ReservationId, SeatId, UserId},
    money::Money,
    refusal::Refusal,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// Why a seat is blocked whose payment was given back when the sale was over.
pub const REFUNDED_AFTER_SALE: &str = "refunded after the sale";

/// Why a seat of a cancelled concert is blocked.
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
    /// One letter for it in the compact seat map: A, H, S or B.
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

/// A seat as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Which seat.
    pub seat_id: SeatId,
    /// Of which concert.
    pub concert_id: ConcertId,
    /// Its number in the concert.
    pub seat_number: i32,
    /// What it costs now. A hold keeps the price that it was made at.
    pub price: Money,
    /// What may be done with it.
    pub status: SeatStatus,
    /// The live reservation, of a held or sold seat.
    pub reservation_id: Option<ReservationId>,
    /// Why it is blocked.
    pub blocked_reason: Option<String>,
    /// When its status last changed.
    pub updated_at: Time,
    /// Whose hold or purchase of it ended last, by their own doing, if the seat is free since.
    pub let_go: Option<LetGo>,
}

/// That a user gave a seat up, or let its hold end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetGo {
    /// Who.
    pub user_id: UserId,
    /// When.
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
    /// The seat off sale or on sale again, and nobody's.
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
}

/// Where a seat is in the hall; no rule depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeatLabel {
    /// The block of the hall.
    #[cfg_attr(feature = "openapi", schema(example = "Floor"))]
    pub section: String,
    /// The row in the section.
    #[cfg_attr(feature = "openapi", schema(example = "A"))]
    pub row: String,
    /// The price grade.
    #[cfg_attr(feature = "openapi", schema(example = "VIP"))]
    pub grade: String,
}

/// A seat that an operator adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSeat {
    /// Its number in the concert.
    pub seat_number: i32,
    /// What it costs.
    pub price: Money,
    /// Where it is.
    pub label: SeatLabel,
}

/// What becomes of a seat that nobody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatAction {
    /// It is taken off sale.
    Block {
        /// Why, for the audit log and the operators' map.
        reason: String,
    },
    /// It is put on sale again.
    Free,
}
