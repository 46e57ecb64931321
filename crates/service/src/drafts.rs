//! Concerts and seats as operators write them, in a request or in an import file.

use crate::{
    bounded::{given, list},
    local,
};
use frontrow_domain::{
    command::NewConcert,
    money::Money,
    policy::SEATS_PER_OPERATOR_COMMAND_MAX,
    sale::{
        AgeRating, DESCRIPTION_LEN_MAX, DETAIL_LEN_MAX, DOORS_MINUTES, DetailsChange, Fold, LocalHours, NewSeat,
        RUNNING_MINUTES, SeatLabel, zone_name,
    },
    text::{InvalidField, checked_label, checked_paragraphs, checked_text},
    time::Time,
};
use jiff::civil;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData, ops::RangeInclusive};
use utoipa::ToSchema;

/// How many characters a name, title or venue may have.
pub const NAME_LEN_MAX: usize = 200;
/// How many concerts a file to import may list.
pub const CONCERTS_PER_FILE_MAX: usize = 10_000;
/// The largest file to import, in bytes.
pub const IMPORT_LEN_MAX: u64 = 256 * 1_024 * 1_024;
/// In how many parts an import file may list the seats of a concert.
const SEAT_PARTS_MAX: usize = 1_000;
/// How many characters a section, a row, a printed number or a grade may have.
pub const LABEL_LEN_MAX: usize = 40;

/// A value written as a JSON object. Serde alone would also read an array as the fields of a struct, in their order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DraftVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for DraftVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(DraftVisitor(PhantomData)).map(Self)
    }
}

/// For a field that is an object.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// For a field that is a list of at most `MAX` objects.
fn objects<'de, const MAX: usize, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(list::<MAX, D, Object<T>>(deserializer)?.into_iter().map(|Object(value)| value).collect())
}

/// A concert to create.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcertDraft {
    /// The title.
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Midnight Tide: The First Night")]
    pub title: String,
    /// The artist.
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Midnight Tide")]
    pub artist: String,
    /// The venue.
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Hangang Hall, Seoul")]
    pub venue: String,
    /// The venue's time zone, by its IANA name.
    #[schema(format = "time-zone", max_length = 64, example = "Asia/Seoul")]
    pub time_zone: String,
    /// The date at the venue.
    #[serde(deserialize_with = "local::de_date")]
    #[schema(value_type = String, format = "date", example = "2027-03-01")]
    pub concert_date: civil::Date,
    /// When it starts, at the venue.
    #[schema(value_type = String, format = "time-local", example = "20:00:00")]
    #[serde(deserialize_with = "local::de_time")]
    pub start_time: civil::Time,
    /// When it ends, at the venue; on the next day unless it is later than the start.
    #[schema(value_type = String, format = "time-local", example = "22:30:00")]
    #[serde(deserialize_with = "local::de_time")]
    pub end_time: civil::Time,
    /// Only for a start or an end that the venue's clock shows twice, in the night when it is set back: 0 is the first
    /// of the two, 1 the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 1, example = 0)]
    pub fold: Option<Fold>,
    /// The price of a seat without one of its own.
    #[schema(value_type = i64, minimum = 0, maximum = 1_000_000_000_000_i64, example = 120_000)]
    pub base_price: Money,
    /// When the sale opens.
    pub opens_at: Time,
    /// When the sale closes. If it is left out, that is the concert's start, whenever that is moved to.
    #[serde(default)]
    pub closes_at: Option<Time>,
    /// Gives the concert a waiting room of its own with this many active at once. Without it the concert uses the
    /// house room.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000, example = 100)]
    pub own_room_max_active: Option<i64>,
    /// What buyers read of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<DetailsDraft>,
}

/// What buyers read of a concert. Null removes a detail.
#[derive(Debug, Clone, Default, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailsDraft {
    /// Plain text; a blank line begins a paragraph.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "paragraphs", min_length = 1, max_length = 5_000, example = "Two hours of new songs.\n\nWith a string quartet.")]
    pub description: Option<Option<String>>,
    /// From which age on it may be attended.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AgeRating>)]
    pub age_rating: Option<Option<AgeRating>>,
    /// How long it lasts with its interval, in minutes.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 1_440, example = 150)]
    pub running_minutes: Option<Option<i32>>,
    /// How many minutes before the start the doors open.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 1_440, example = 60)]
    pub doors_minutes: Option<Option<i32>>,
    /// The venue's address.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 200, example = "12 Yeouiseo-ro, Yeongdeungpo-gu, Seoul")]
    pub address: Option<Option<String>>,
    /// The organiser's name.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 200, example = "Midnight Tide Live")]
    pub organiser: Option<Option<String>>,
    /// How buyers reach the organiser, in one line.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 200, example = "tickets@midnight-tide.example, weekdays 10:00 to 18:00")]
    pub organiser_contact: Option<Option<String>>,
}

/// A detail that is set, checked.
#[expect(clippy::option_option, reason = "null takes something away, leaving it out keeps it")]
fn set<T, R>(
    detail: Option<Option<T>>,
    check: impl FnOnce(T) -> Result<R, InvalidField>,
) -> Result<Option<Option<R>>, InvalidField> {
    detail.map(|detail| detail.map(check).transpose()).transpose()
}

impl DetailsDraft {
    /// The changes as a command takes them.
    ///
    /// # Errors
    /// A text is empty or too long, or a number is out of its bounds.
    pub fn check(self) -> Result<DetailsChange, InvalidField> {
        let line = |name: &'static str| move |text: String| checked_text(name, &text, DETAIL_LEN_MAX);
        let minutes = |name: &'static str, bounds: RangeInclusive<i32>| {
            move |minutes: i32| {
                let said = || format!("must be from {} to {}", bounds.start(), bounds.end());
                if bounds.contains(&minutes) { Ok(minutes) } else { Err(InvalidField::new(name, said())) }
            }
        };
        Ok(DetailsChange {
            description: set(self.description, |text| {
                checked_paragraphs("details.description", &text, DESCRIPTION_LEN_MAX)
            })?,
            age_rating: self.age_rating,
            running_minutes: set(self.running_minutes, minutes("details.running_minutes", RUNNING_MINUTES))?,
            doors_minutes: set(self.doors_minutes, minutes("details.doors_minutes", DOORS_MINUTES))?,
            address: set(self.address, line("details.address"))?,
            organiser: set(self.organiser, line("details.organiser"))?,
            organiser_contact: set(self.organiser_contact, line("details.organiser_contact"))?,
        })
    }
}

/// The canonical name of a time zone, for a name in any case.
///
/// # Errors
/// There is no time zone of that name.
pub fn checked_zone(time_zone: &str) -> Result<String, InvalidField> {
    Ok(zone_name(time_zone)?)
}

impl ConcertDraft {
    /// The draft as a command takes it: names trimmed, local times as moments.
    ///
    /// # Errors
    /// A text is empty or too long, the time zone is unknown, or a local time does not exist there on that day.
    pub fn check(&self) -> Result<NewConcert, InvalidField> {
        let Self { concert_date, start_time, end_time, fold, .. } = *self;
        let time_zone = checked_zone(&self.time_zone)?;
        let (starts_at, ends_at) = LocalHours { concert_date, start_time, end_time, fold }.moments(&time_zone)?;
        Ok(NewConcert {
            title: checked_text("title", &self.title, NAME_LEN_MAX)?,
            artist: checked_text("artist", &self.artist, NAME_LEN_MAX)?,
            venue: checked_text("venue", &self.venue, NAME_LEN_MAX)?,
            time_zone,
            concert_date,
            start_time,
            end_time,
            starts_at,
            ends_at,
            base_price: self.base_price,
            opens_at: Some(self.opens_at),
            closes_at: self.closes_at,
            own_room_max_active: self.own_room_max_active,
            details: self.details.clone().map(DetailsDraft::check).transpose()?.unwrap_or_default(),
        })
    }
}

/// Seats to add: a range of numbers, or a list.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SeatsDraft {
    /// Numbers in a row, all alike.
    Range(#[serde(deserialize_with = "object")] SeatRange),
    /// Seat by seat, at most 100,000.
    Seats(#[serde(deserialize_with = "objects::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")] Vec<SeatDraft>),
}

/// Neighbouring seats, whose printed numbers rise by one.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatRange {
    /// The first printed number.
    #[schema(minimum = 1, example = 1)]
    pub from: i32,
    /// The last printed number.
    #[schema(minimum = 1, example = 50)]
    pub to: i32,
    /// The block of the hall.
    #[serde(default)]
    #[schema(format = "label", max_length = 40, example = "Floor")]
    pub section: String,
    /// The row in the section.
    #[serde(default)]
    #[schema(format = "label", max_length = 40, example = "A")]
    pub row: String,
    /// The price grade.
    #[serde(default)]
    #[schema(format = "label", max_length = 40, example = "VIP")]
    pub grade: String,
    /// The price of each; the concert's base price if it is left out.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000_000_i64, example = 120_000)]
    pub price: Option<Money>,
}

/// One seat.
#[derive(Debug, Clone, Deserialize, serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatDraft {
    /// The printed number, and the place in the order of the concert's seats if all numbers of the call are free.
    /// Otherwise, and for seats without it, the seats of the call are numbered on from the concert's highest.
    #[serde(default)]
    #[schema(minimum = 1, example = 1)]
    pub seat_number: Option<i32>,
    /// The number in the row as it is printed, if that is not `seat_number`. Section, row and printed number together
    /// are unique in a concert.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 40, example = "12A")]
    pub number: Option<String>,
    /// The block of the hall.
    #[serde(default)]
    #[schema(format = "label", max_length = 40, example = "Floor")]
    pub section: String,
    /// The row in the section.
    #[serde(default)]
    #[schema(format = "label", max_length = 40, example = "A")]
    pub row: String,
    /// The price grade.
    #[serde(default)]
    #[schema(format = "label", max_length = 40, example = "VIP")]
    pub grade: String,
    /// The price; the concert's base price if it is left out.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000_000_i64, example = 120_000)]
    pub price: Option<Money>,
}

impl SeatsDraft {
    /// The seats as a command takes them.
    ///
    /// # Errors
    /// The range is empty or too long, or a label is too long.
    pub fn check(&self) -> Result<Vec<NewSeat>, InvalidField> {
        match self {
            Self::Range(range) => {
                let count = i64::from(range.to) - i64::from(range.from) + 1;
                let bound = i64::try_from(SEATS_PER_OPERATOR_COMMAND_MAX).unwrap_or(i64::MAX);
                if range.from < 1 || !(1..=bound).contains(&count) {
                    return Err(InvalidField::new("range", format!("must name 1 to {bound} numbers, from 1 upward")));
                }
                let label = checked_labels("range", &range.section, &range.row, &range.grade)?;
                let price = range.price;
                Ok((range.from..=range.to)
                    .map(|number| NewSeat { seat_number: Some(number), price, label: label.clone() })
                    .collect())
            }
            Self::Seats(seats) => seats
                .iter()
                .enumerate()
                .map(|(at, seat)| {
                    let field = format!("seats[{at}]");
                    let mut label = checked_labels(&field, &seat.section, &seat.row, &seat.grade)?;
                    if let Some(number) = &seat.number {
                        label.number = checked_number(&format!("{field}.number"), number)?;
                    }
                    let new = NewSeat { seat_number: seat.seat_number, price: seat.price, label };
                    if new.printed().is_none() {
                        return Err(InvalidField::new(field, "needs a seat_number, a number or both"));
                    }
                    Ok(new)
                })
                .collect(),
        }
    }
}

/// A printed number, in normalisation form C.
///
/// # Errors
/// It is empty or too long, or has invisible characters.
pub fn checked_number(field: &str, number: &str) -> Result<String, InvalidField> {
    checked_text(field, number, LABEL_LEN_MAX)
}

fn checked_labels(field: &str, section: &str, row: &str, grade: &str) -> Result<SeatLabel, InvalidField> {
    let label = |name: &str, text: &str| checked_label(&format!("{field}.{name}"), text, LABEL_LEN_MAX);
    let (section, row, grade) = (label("section", section)?, label("row", row)?, label("grade", grade)?);
    Ok(SeatLabel { section, row, number: String::new(), grade })
}

/// A concert with its seats, as a file to import lists them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcertFile {
    /// The concert.
    #[serde(deserialize_with = "object")]
    pub concert: ConcertDraft,
    /// Its seats, in as many parts as it takes, up to 1,000.
    #[serde(deserialize_with = "list::<SEAT_PARTS_MAX, _, _>")]
    pub seats: Vec<SeatsDraft>,
}

/// Reads an import file: a JSON list of at most [`CONCERTS_PER_FILE_MAX`] concerts.
///
/// # Errors
/// The text is not such a list.
pub fn read_file(text: &str) -> serde_json::Result<Vec<ConcertFile>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let concerts = objects::<CONCERTS_PER_FILE_MAX, _, ConcertFile>(&mut deserializer)?;
    deserializer.end()?;
    Ok(concerts)
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
            fold: None,
            base_price: Money::new(77_000),
            opens_at: Time::default(),
            closes_at: None,
            own_room_max_active: None,
            details: None,
        }
    }

    #[test]
    fn a_list_is_never_read_as_the_fields_of_an_object() {
        assert!(serde_json::from_str::<SeatsDraft>(r#"{"range":{"from":1,"to":50}}"#).is_ok());
        assert!(serde_json::from_str::<SeatsDraft>(r#"{"seats":[{"seat_number":1}]}"#).is_ok());
        for bad in [r#"{"range":[1,50,"","","",null]}"#, r#"{"seats":[[1,null,"","","",null]]}"#] {
            let said = serde_json::from_str::<SeatsDraft>(bad).unwrap_err().to_string();
            assert!(said.contains("expected an object"), "{said}");
        }
        let (draft, seats) = crate::demo::season(Time::default()).remove(0);
        let values = |value: &serde_json::Value| value.as_object().unwrap().values().cloned().collect::<Vec<_>>();
        let (concert, seats) = (serde_json::to_value(draft).unwrap(), serde_json::to_value(seats).unwrap());
        let good = serde_json::json!([{ "concert": concert, "seats": seats }]);
        assert_eq!(read_file(&good.to_string()).unwrap().len(), 1);
        for bad in [
            serde_json::json!([[concert, seats]]),
            serde_json::json!([{ "concert": values(&concert), "seats": seats }]),
        ] {
            let said = read_file(&bad.to_string()).unwrap_err().to_string();
            assert!(said.contains("expected an object"), "{said}");
        }
    }

    #[test]
    fn a_start_is_local_to_the_venue() {
        let starts_at = draft().check().unwrap().starts_at;
        assert_eq!(starts_at.to_string(), "2027-03-01T11:00:00.000000Z");
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
        assert_eq!(SeatsDraft::Range(range).check().unwrap_err().field, "range");
    }

    #[test]
    fn a_seat_has_a_number_of_either_kind_and_the_printed_one_comes_first() {
        let checked = |seats: &str| serde_json::from_str::<SeatsDraft>(seats).unwrap().check();
        let printed = |seats: &str| -> Vec<String> {
            checked(seats).unwrap().iter().map(|seat| seat.printed().unwrap().number).collect()
        };
        assert_eq!(printed(r#"{"range":{"from":9,"to":10}}"#), ["9", "10"]);
        let list = r#"{"seats":[{"seat_number":7},{"number":"12A"},{"seat_number":8,"number":"8B"}]}"#;
        assert_eq!(printed(list), ["7", "12A", "8B"]);
        assert_eq!(checked(r#"{"seats":[{"seat_number":1},{"row":"A"}]}"#).unwrap_err().field, "seats[1]");
        assert_eq!(checked(r#"{"seats":[{"seat_number":1,"number":" "}]}"#).unwrap_err().field, "seats[0].number");
    }
}
