//! Concerts and seats as an operator writes them down, in a request or in a file to import.

use frontrow_domain::{
    command::NewConcert,
    money::Money,
    rules::SEATS_PER_OPERATOR_COMMAND_MAX,
    seat::{NewSeat, SeatLabel},
    time::Time,
};
use jiff::{civil, tz::TimeZone};
use serde::Deserialize;
use utoipa::ToSchema;

/// How many characters a name, title or venue may have.
pub const NAME_LEN_MAX: usize = 200;

/// A field that cannot be what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct BadField {
    /// Which field.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BadField {
    /// Says what is wrong with a field.
    #[must_use]
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// A text without surrounding blanks, of 1 to `len_max` characters and no control characters.
///
/// # Errors
/// The text is empty, too long, or holds control characters.
pub fn checked_text(field: &str, text: &str, len_max: usize) -> Result<String, BadField> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.chars().count() > len_max || trimmed.chars().any(char::is_control) {
        return Err(BadField::new(
            field,
            format!("must have 1 to {len_max} characters, none of them control characters"),
        ));
    }
    Ok(trimmed.to_owned())
}

/// A concert to create.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcertDraft {
    /// What it is called.
    #[schema(example = "Midnight Tide: The First Night")]
    pub title: String,
    /// Who plays.
    #[schema(example = "Midnight Tide")]
    pub artist: String,
    /// Where.
    #[schema(example = "Hangang Hall, Seoul")]
    pub venue: String,
    /// The venue's time zone, by its IANA name.
    #[schema(example = "Asia/Seoul")]
    pub time_zone: String,
    /// The date at the venue.
    #[schema(value_type = String, format = "date", example = "2027-03-01")]
    pub concert_date: civil::Date,
    /// When it starts, at the venue.
    #[schema(value_type = String, format = "time", example = "20:00:00")]
    pub start_time: civil::Time,
    /// When it ends, at the venue.
    #[schema(value_type = String, format = "time", example = "22:30:00")]
    pub end_time: civil::Time,
    /// What a seat costs unless it says otherwise.
    pub base_price: Money,
    /// When the sale opens.
    pub opens_at: Time,
    /// When the sale closes; the concert's start where it is left out.
    #[serde(default)]
    pub closes_at: Option<Time>,
    /// Gives the concert a waiting room of its own with this many active at once. Without it the concert uses the
    /// house room.
    #[serde(default)]
    #[schema(example = 100)]
    pub own_room_max_active: Option<i64>,
}

impl ConcertDraft {
    /// The command's form of it: names trimmed, the local start as a moment.
    ///
    /// # Errors
    /// A text is empty or too long, or the time zone is unknown.
    pub fn check(&self) -> Result<NewConcert, BadField> {
        let zone = TimeZone::get(&self.time_zone)
            .map_err(|_| BadField::new("time_zone", "is not a time zone's IANA name, such as Asia/Seoul"))?;
        let starts_at = self
            .concert_date
            .to_datetime(self.start_time)
            .to_zoned(zone)
            .map_err(|_| BadField::new("concert_date", "is out of range"))?;
        let starts_at = Time::from_micros(starts_at.timestamp().as_microsecond());
        Ok(NewConcert {
            title: checked_text("title", &self.title, NAME_LEN_MAX)?,
            artist: checked_text("artist", &self.artist, NAME_LEN_MAX)?,
            venue: checked_text("venue", &self.venue, NAME_LEN_MAX)?,
            time_zone: self.time_zone.clone(),
            concert_date: self.concert_date,
            start_time: self.start_time,
            end_time: self.end_time,
            starts_at,
            base_price: self.base_price,
            opens_at: self.opens_at,
            closes_at: self.closes_at.unwrap_or(starts_at),
            own_room_max_active: self.own_room_max_active,
        })
    }
}

/// Seats to add: a range of numbers, or a list.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SeatsDraft {
    /// Numbers in a row, all alike.
    Range(SeatRange),
    /// Seat by seat.
    Seats(Vec<SeatDraft>),
}

/// Neighbouring seats.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatRange {
    /// The first number.
    #[schema(minimum = 1, example = 1)]
    pub from: i32,
    /// The last number.
    #[schema(minimum = 1, example = 50)]
    pub to: i32,
    /// The block of the hall.
    #[serde(default)]
    #[schema(example = "Floor")]
    pub section: String,
    /// The row in the section.
    #[serde(default)]
    #[schema(example = "A")]
    pub row: String,
    /// The price grade.
    #[serde(default)]
    #[schema(example = "VIP")]
    pub grade: String,
    /// What each costs; the concert's base price where it is left out.
    #[serde(default)]
    pub price: Option<Money>,
}

/// One seat.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatDraft {
    /// Its number in the concert.
    #[schema(minimum = 1, example = 1)]
    pub seat_number: i32,
    /// The block of the hall.
    #[serde(default)]
    #[schema(example = "Floor")]
    pub section: String,
    /// The row in the section.
    #[serde(default)]
    #[schema(example = "A")]
    pub row: String,
    /// The price grade.
    #[serde(default)]
    #[schema(example = "VIP")]
    pub grade: String,
    /// What it costs; the concert's base price where it is left out.
    #[serde(default)]
    pub price: Option<Money>,
}

impl SeatsDraft {
    /// The command's form of it.
    ///
    /// # Errors
    /// The range is empty or too long, or a label is too long.
    pub fn check(&self, base_price: Money) -> Result<Vec<NewSeat>, BadField> {
        match self {
            Self::Range(range) => {
                let count = i64::from(range.to) - i64::from(range.from) + 1;
                let bound = i64::try_from(SEATS_PER_OPERATOR_COMMAND_MAX).unwrap_or(i64::MAX);
                if range.from < 1 || !(1..=bound).contains(&count) {
                    return Err(BadField::new("range", format!("must name 1 to {bound} numbers, from 1 upward")));
                }
                let label = checked_label("range", &range.section, &range.row, &range.grade)?;
                let price = range.price.unwrap_or(base_price);
                Ok((range.from..=range.to)
                    .map(|seat_number| NewSeat { seat_number, price, label: label.clone() })
                    .collect())
            }
            Self::Seats(seats) => seats
                .iter()
                .enumerate()
                .map(|(at, seat)| {
                    let label = checked_label(&format!("seats[{at}]"), &seat.section, &seat.row, &seat.grade)?;
                    Ok(NewSeat { seat_number: seat.seat_number, price: seat.price.unwrap_or(base_price), label })
                })
                .collect(),
        }
    }
}

fn checked_label(field: &str, section: &str, row: &str, grade: &str) -> Result<SeatLabel, BadField> {
    for (name, text) in [("section", section), ("row", row), ("grade", grade)] {
        if text.chars().count() > 40 || text.chars().any(char::is_control) {
            return Err(BadField::new(format!("{field}.{name}"), "must have at most 40 characters"));
        }
    }
    Ok(SeatLabel { section: section.to_owned(), row: row.to_owned(), grade: grade.to_owned() })
}

/// A concert with its seats, as a file to import lists them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcertFile {
    /// The concert.
    pub concert: ConcertDraft,
    /// Its seats, in as many parts as it takes.
    pub seats: Vec<SeatsDraft>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> ConcertDraft {
        ConcertDraft {
            title: "Northern Relay".to_owned(),
            artist: "Relay North".to_owned(),
            venue: "Harbour Rooms, Incheon".to_owned(),
            time_zone: "Asia/Seoul".to_owned(),
            concert_date: civil::date(2027, 3, 1),
            start_time: civil::time(20, 0, 0, 0),
            end_time: civil::time(22, 30, 0, 0),
            base_price: Money::new(77_000),
            opens_at: Time::default(),
            closes_at: None,
            own_room_max_active: None,
        }
    }

    #[test]
    fn a_start_is_local_to_the_venue() {
        let starts_at = draft().check().unwrap().starts_at;
        assert_eq!(starts_at.to_string(), "2027-03-01T11:00:00Z");
    }

    #[test]
    fn bad_drafts_name_their_field() {
        let draft = draft();
        let zone = ConcertDraft { time_zone: "Mars/Olympus".to_owned(), ..draft.clone() };
        assert_eq!(zone.check().unwrap_err().field, "time_zone");
        let title = ConcertDraft { title: "  ".to_owned(), ..draft };
        assert_eq!(title.check().unwrap_err().field, "title");
        let range =
            SeatRange { from: 5, to: 4, section: String::new(), row: String::new(), grade: String::new(), price: None };
        assert_eq!(SeatsDraft::Range(range).check(Money::new(1)).unwrap_err().field, "range");
    }
}
