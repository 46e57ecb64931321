//! Concerts and when they are on sale.

use crate::{
    id::{ConcertId, RoomId},
    money::Money,
    refusal::Refusal,
    time::Time,
};
use jiff::civil;
use serde::{Deserialize, Serialize};

/// Whether an operator has closed a concert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConcertStatus {
    /// On sale between its opening and closing times.
    Scheduled,
    /// Closed by an operator: nothing is sold any more.
    Closed,
}

/// One performance. Date and times are local to the venue; `starts_at` is the same moment in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Concert {
    /// Which concert.
    pub concert_id: ConcertId,
    /// What it is called.
    #[cfg_attr(feature = "openapi", schema(example = "Midnight Tide: The First Night"))]
    pub title: String,
    /// Who plays.
    #[cfg_attr(feature = "openapi", schema(example = "Midnight Tide"))]
    pub artist: String,
    /// Where.
    #[cfg_attr(feature = "openapi", schema(example = "Hangang Hall, Seoul"))]
    pub venue: String,
    /// The venue's time zone, by its IANA name.
    #[cfg_attr(feature = "openapi", schema(example = "Asia/Seoul"))]
    pub time_zone: String,
    /// The date at the venue.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "date", example = "2027-03-01"))]
    pub concert_date: civil::Date,
    /// When it starts, at the venue.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "time", example = "20:00:00"))]
    pub start_time: civil::Time,
    /// When it ends, at the venue; past midnight where it is before the start.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "time", example = "22:30:00"))]
    pub end_time: civil::Time,
    /// The moment it starts.
    pub starts_at: Time,
    /// What a seat costs unless its grade says otherwise.
    pub base_price: Money,
    /// When the sale opens.
    pub opens_at: Time,
    /// When the sale closes.
    pub closes_at: Time,
    /// The waiting room that leads to its seats: 0 for the house room, or its own number.
    pub room_id: RoomId,
    /// Whether an operator has closed it.
    pub status: ConcertStatus,
    /// When it was created.
    pub created_at: Time,
    /// When anything of it last changed.
    pub updated_at: Time,
}

impl Concert {
    /// Refuses unless the sale is open at `now`.
    ///
    /// # Errors
    /// [`Refusal::SaleClosed`] or [`Refusal::SaleNotOpen`].
    pub fn check_on_sale(&self, now: Time) -> Result<(), Refusal> {
        self.check_not_over(now)?;
        if now < self.opens_at { Err(Refusal::SaleNotOpen { opens_at: self.opens_at }) } else { Ok(()) }
    }

    /// Refuses once the sale is over. Before the opening the line may be joined.
    ///
    /// # Errors
    /// [`Refusal::SaleClosed`].
    pub fn check_not_over(&self, now: Time) -> Result<(), Refusal> {
        if self.status == ConcertStatus::Closed || now >= self.closes_at { Err(Refusal::SaleClosed) } else { Ok(()) }
    }
}
