//! How a seat map is written.

use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    sale::{Seat, SeatStatus},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A cached seat.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) seat: Seat,
    /// The version in which a commit of this process last changed the seat: a row that was read before must not replace
    /// it. [`Guarded`](crate::caches::guarded::Guarded) would drop the whole read of a hall whenever one of its seats
    /// is sold meanwhile.
    pub(super) touched: u64,
}

#[cfg(test)]
impl Row {
    /// A row that no commit of this process has changed.
    pub(super) const fn of(seat: Seat) -> Self {
        Self { seat, touched: 0 }
    }
}

/// How a seat map is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MapForm {
    /// An object for each seat.
    Full,
    /// Blocks of neighbouring seats, a letter for each seat.
    Compact,
}

/// The full form.
#[derive(Debug, Serialize, ToSchema)]
pub struct FullMap<'a> {
    /// Of which concert.
    pub concert_id: ConcertId,
    /// Rises with every change. After a restart it may begin anew.
    pub version: u64,
    /// Changes with every change, over restarts too. The stream of the seats goes on from it: send it as `since`.
    pub mark: String,
    /// The seats, by number.
    pub seats: Vec<MapSeat<'a>>,
}

/// One seat of the full form.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapSeat<'a> {
    /// Which seat.
    pub seat_id: SeatId,
    /// Its place in the order of the concert's seats.
    pub seat_number: i32,
    /// The block of the hall.
    pub section: &'a str,
    /// The row in the section.
    pub row: &'a str,
    /// The number in the row, as it is printed.
    #[schema(example = "12A")]
    pub number: &'a str,
    /// The price grade.
    pub grade: &'a str,
    /// The price.
    pub price: Money,
    /// Its status.
    pub status: SeatStatus,
}

/// The compact form.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompactMap<'a> {
    /// Of which concert.
    pub concert_id: ConcertId,
    /// Rises with every change. After a restart it may begin anew.
    pub version: u64,
    /// Changes with every change, over restarts too. The stream of the seats goes on from it: send it as `since`.
    pub mark: String,
    /// The seats in blocks.
    pub blocks: Vec<MapBlock<'a>>,
}

/// Seats whose ids rise by one, in one row at one price.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapBlock<'a> {
    /// The block of the hall.
    pub section: &'a str,
    /// The row in the section.
    pub row: &'a str,
    /// The price grade.
    pub grade: &'a str,
    /// The price of each.
    pub price: Money,
    /// The first seat's id.
    pub first_seat_id: SeatId,
    /// The number of the first seat, as it is printed, if those of the others count on from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 11)]
    pub first_number: Option<u32>,
    /// The printed number of each seat, if they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["12", "12A", "14"]))]
    pub numbers: Option<Vec<&'a str>>,
    /// A letter for each seat: A available, H held, S sold, B blocked.
    #[schema(example = "AAHSBA")]
    pub states: String,
}

/// The head of a map in either form.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) concert_id: ConcertId,
    pub(super) version: u64,
    pub(super) mark: String,
}

pub(super) fn full(Heading { concert_id, version, mark }: Heading, rows: &[Row]) -> FullMap<'_> {
    let seats = rows
        .iter()
        .map(|Row { seat, .. }| MapSeat {
            seat_id: seat.seat_id,
            seat_number: seat.seat_number,
            section: &seat.label.section,
            row: &seat.label.row,
            number: &seat.label.number,
            grade: &seat.label.grade,
            price: seat.price,
            status: seat.status(),
        })
        .collect();
    FullMap { concert_id, version, mark, seats }
}

pub(super) fn compact(Heading { concert_id, version, mark }: Heading, rows: &[Row]) -> CompactMap<'_> {
    // By id, since the ids of a call that added seats rise by one however the seats are numbered.
    let mut seats: Vec<&Seat> = rows.iter().map(|row| &row.seat).collect();
    if !seats.is_sorted_by_key(|seat| seat.seat_id) {
        seats.sort_unstable_by_key(|seat| seat.seat_id);
    }
    let blocks = seats.chunk_by(|before, seat| goes_on(before, seat)).filter_map(block).collect();
    CompactMap { concert_id, version, mark, blocks }
}

/// Whether a seat continues the block of the one before.
fn goes_on(before: &Seat, seat: &Seat) -> bool {
    let (one, other) = (&before.label, &seat.label);
    before.seat_id.get() + 1 == seat.seat_id.get()
        && before.price == seat.price
        && (&one.section, &one.row, &one.grade) == (&other.section, &other.row, &other.grade)
}

fn block<'a>(seats: &[&'a Seat]) -> Option<MapBlock<'a>> {
    let first = *seats.first()?;
    let first_number = counted_from(seats);
    let numbers = || seats.iter().map(|seat| seat.label.number.as_str()).collect();
    Some(MapBlock {
        section: &first.label.section,
        row: &first.label.row,
        grade: &first.label.grade,
        price: first.price,
        first_seat_id: first.seat_id,
        first_number,
        numbers: if first_number.is_none() { Some(numbers()) } else { None },
        states: seats.iter().map(|seat| char::from(seat.status().letter())).collect(),
    })
}

/// The first printed number, if the printed numbers are whole numbers above zero that rise by one, written plainly.
fn counted_from(seats: &[&Seat]) -> Option<u32> {
    let first: u32 = seats.first()?.label.number.parse().ok()?;
    let is_next = |(expected, seat): (u64, &&Seat)| {
        let number = &seat.label.number;
        number.starts_with(|digit: char| ('1'..='9').contains(&digit)) && number.parse() == Ok(expected)
    };
    (u64::from(first)..).zip(seats).all(is_next).then_some(first)
}
