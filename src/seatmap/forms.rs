//! How a seat map is written.

use super::hall::Row;
use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    seat::SeatStatus,
};
use serde::Serialize;
use utoipa::ToSchema;

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
    /// The seats, by number.
    pub seats: Vec<MapSeat<'a>>,
}

/// One seat of the full form.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapSeat<'a> {
    /// Which seat.
    pub seat_id: SeatId,
    /// Its number in the concert.
    pub seat_number: i32,
    /// The block of the hall.
    pub section: &'a str,
    /// The row in the section.
    pub row: &'a str,
    /// The price grade.
    pub grade: &'a str,
    /// What it costs.
    pub price: Money,
    /// What may be done with it.
    pub status: SeatStatus,
}

/// The compact form.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompactMap<'a> {
    /// Of which concert.
    pub concert_id: ConcertId,
    /// Rises with every change. After a restart it may begin anew.
    pub version: u64,
    /// The seats in blocks.
    pub blocks: Vec<MapBlock<'a>>,
}

/// Seats whose ids and numbers both rise by one, in one row at one price.
#[derive(Debug, Serialize, ToSchema)]
pub struct MapBlock<'a> {
    /// The block of the hall.
    pub section: &'a str,
    /// The row in the section.
    pub row: &'a str,
    /// The price grade.
    pub grade: &'a str,
    /// What each costs.
    pub price: Money,
    /// The first seat's id.
    pub first_seat_id: SeatId,
    /// The first seat's number.
    pub first_seat_number: i32,
    /// How many seats.
    pub count: usize,
    /// A letter for each seat: A available, H held, S sold, B blocked.
    #[schema(example = "AAHSBA")]
    pub states: String,
}

pub(super) fn full(concert_id: ConcertId, version: u64, rows: &[Row]) -> FullMap<'_> {
    let seats = rows
        .iter()
        .map(|Row { seat, label, .. }| MapSeat {
            seat_id: seat.seat_id,
            seat_number: seat.seat_number,
            section: &label.section,
            row: &label.row,
            grade: &label.grade,
            price: seat.price,
            status: seat.status,
        })
        .collect();
    FullMap { concert_id, version, seats }
}

pub(super) fn compact(concert_id: ConcertId, version: u64, rows: &[Row]) -> CompactMap<'_> {
    let mut blocks: Vec<MapBlock<'_>> = Vec::new();
    let mut last: Option<&Row> = None;
    for row in rows {
        let Row { seat, label, .. } = row;
        let goes_on = last.is_some_and(|Row { seat: before, label: before_label, .. }| {
            before.seat_id.get() + 1 == seat.seat_id.get()
                && before.seat_number + 1 == seat.seat_number
                && before.price == seat.price
                && before_label == label
        });
        let letter = char::from(seat.status.letter());
        match blocks.last_mut() {
            Some(block) if goes_on => {
                block.count += 1;
                block.states.push(letter);
            }
            _ => blocks.push(MapBlock {
                section: &label.section,
                row: &label.row,
                grade: &label.grade,
                price: seat.price,
                first_seat_id: seat.seat_id,
                first_seat_number: seat.seat_number,
                count: 1,
                states: letter.to_string(),
            }),
        }
        last = Some(row);
    }
    CompactMap { concert_id, version, blocks }
}
