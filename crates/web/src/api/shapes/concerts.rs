//! Concerts, what buyers read of them, and their posters.

use crate::edge::posters;
use frontrow_domain::{
    id::{ConcertId, RoomId},
    money::Money,
    sale::{AgeRating, Closing, Concert, ConcertDetails, ConcertStatus, PosterMark},
    time::Time,
};
use frontrow_storage::ConcertPlace;
use jiff::civil;
use serde::Serialize;
use utoipa::ToSchema;

/// One performance. Date and times are local to the venue; `starts_at` is the same moment in UTC.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Concert)]
pub(in crate::api) struct ConcertShape {
    /// The concert's id.
    pub(in crate::api) concert_id: ConcertId,
    /// The concert's title.
    #[schema(example = "Midnight Tide: The First Night")]
    title: String,
    /// The artist.
    #[schema(example = "Midnight Tide")]
    artist: String,
    /// The venue.
    #[schema(example = "Hangang Hall, Seoul")]
    venue: String,
    /// The venue's time zone, by its IANA name.
    #[schema(example = "Asia/Seoul")]
    time_zone: String,
    /// The date at the venue.
    #[schema(value_type = String, format = "date", example = "2027-03-01")]
    concert_date: civil::Date,
    /// When it starts, at the venue.
    #[schema(value_type = String, format = "time-local", example = "20:00:00")]
    start_time: civil::Time,
    /// When it ends, at the venue; on the next day unless it is later than the start.
    #[schema(value_type = String, format = "time-local", example = "22:30:00")]
    end_time: civil::Time,
    /// When it starts.
    starts_at: Time,
    /// When it ends. From then on nothing of it is sold.
    ends_at: Time,
    /// The price of a seat unless its grade has one.
    base_price: Money,
    /// When the sale opens.
    opens_at: Time,
    /// When the sale closes.
    closes_at: Time,
    /// When the sale had opened before an operator put `opens_at` off; none if that was never done after the opening or
    /// in the last 15 seconds before it.
    opened_at: Option<Time>,
    /// Whether `closes_at` moves with the start.
    closing: Closing,
    /// The waiting room that leads to its seats: 0 for the house room, or its own number.
    room_id: RoomId,
    /// The concert's status.
    status: ConcertStatus,
    /// The reason for the status, for the buyers.
    #[schema(example = "The singer is ill.")]
    status_reason: Option<String>,
    /// When an operator asked for every payment to be given back.
    refund_all_at: Option<Time>,
    /// When all seats of a cancelled concert were off sale and, if that was asked for, all payments given back.
    wound_up_at: Option<Time>,
    /// When it was created.
    created_at: Time,
    /// When anything of it last changed.
    updated_at: Time,
}

impl ConcertShape {
    /// Its place in lists of concerts.
    pub(in crate::api) const fn place(&self) -> ConcertPlace {
        ConcertPlace { starts_at: self.starts_at, concert_id: self.concert_id }
    }
}

impl From<Concert> for ConcertShape {
    fn from(row: Concert) -> Self {
        Self {
            concert_id: row.concert_id,
            title: row.title,
            artist: row.artist,
            venue: row.venue,
            time_zone: row.time_zone,
            concert_date: row.concert_date,
            start_time: row.start_time,
            end_time: row.end_time,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            base_price: row.base_price,
            opens_at: row.opens_at,
            closes_at: row.closes_at,
            opened_at: row.opened_at,
            closing: row.closing,
            room_id: row.room_id,
            status: row.status,
            status_reason: row.status_reason,
            refund_all_at: row.refund_all_at,
            wound_up_at: row.wound_up_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// What buyers read of a concert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ConcertDetails)]
pub(in crate::api) struct DetailsShape {
    /// Plain text; a blank line begins a paragraph.
    #[schema(example = "Two hours of new songs.\n\nWith a string quartet.")]
    description: Option<String>,
    /// From which age on it may be attended.
    age_rating: Option<AgeRating>,
    /// How long it lasts with its interval, in minutes.
    #[schema(example = 150)]
    running_minutes: Option<i32>,
    /// How many minutes before the start the doors open.
    #[schema(example = 60)]
    doors_minutes: Option<i32>,
    /// The venue's address.
    #[schema(example = "12 Yeouiseo-ro, Yeongdeungpo-gu, Seoul")]
    address: Option<String>,
    /// The organiser's name.
    #[schema(example = "Midnight Tide Live")]
    organiser: Option<String>,
    /// How buyers reach the organiser.
    #[schema(example = "tickets@midnight-tide.example, weekdays 10:00 to 18:00")]
    organiser_contact: Option<String>,
}

impl From<ConcertDetails> for DetailsShape {
    fn from(row: ConcertDetails) -> Self {
        Self {
            description: row.description,
            age_rating: row.age_rating,
            running_minutes: row.running_minutes,
            doors_minutes: row.doors_minutes,
            address: row.address,
            organiser: row.organiser,
            organiser_contact: row.organiser_contact,
        }
    }
}

/// The poster of a concert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Poster)]
pub(in crate::api) struct PosterShape {
    /// Where the picture is: another picture has another path.
    #[schema(example = "/posters/1/5f0e1c2d3b4a59687786958a4b3c2d1e.jpg")]
    path: String,
    /// Its width in pixels.
    #[schema(example = 900)]
    width: i32,
    /// Its height in pixels.
    #[schema(example = 1_200)]
    height: i32,
}

impl PosterShape {
    /// The poster of this concert.
    pub(in crate::api) fn of(concert_id: ConcertId, PosterMark { tag, width, height }: PosterMark) -> Self {
        Self { path: posters::path(concert_id, tag), width, height }
    }
}
