//! The seats that a form names, and what they are called together.

use crate::{
    edge::{
        extract::PathKey as _,
        form::FormFields,
        problem::{HttpResult, Problem},
    },
    html::{figures, hall_words::HallWords},
};
use frontrow_domain::id::SeatId;
use frontrow_service::sale::{PlacedSeat, SeatSection, SeatingOrder};
use std::collections::HashSet;

/// How many places a text names before it says how many more there are.
const PLACES_MAX: usize = 20;
/// How many ids of a form are looked at one by one.
const NAMED_MAX: u64 = 1_000_000;

/// The seats that a form names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SeatChoice {
    /// Those that the hall has, in its order.
    pub(super) seats: Vec<SeatId>,
    /// How many are no longer seats of this hall.
    pub(super) gone: u64,
    /// The ids that the form names one by one or as ranges, ascending.
    named: Vec<(i64, i64)>,
}

impl SeatChoice {
    /// The choice of a form: ids and ranges of them in `seats`, boxes of seats in `seat`, and of whole rows and sections
    /// in `row` and `section`, each by one of its seats.
    ///
    /// # Errors
    /// 422: a field is not what a page sends.
    pub(super) fn of(fields: &FormFields, order: &SeatingOrder) -> HttpResult<Self> {
        let broken = |name: &'static str| move || Problem::invalid_field(name, "The form's choice cannot be read.");
        let mut ranges = Vec::new();
        for text in fields.all("seats") {
            for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                ranges.push(range(part).ok_or_else(broken("seats"))?);
            }
        }
        for text in fields.all("seat") {
            ranges.push(range(text).ok_or_else(broken("seat"))?);
        }
        let (mut rows, mut sections, mut gone) = (HashSet::new(), HashSet::new(), 0);
        for (name, text) in
            ["row", "section"].into_iter().flat_map(|name| fields.all(name).map(move |text| (name, text)))
        {
            let seat = SeatId::from_text(text).map_err(|_| broken(name)())?;
            // A row whose seat is gone is no longer chosen.
            let Some(spot) = order.spot(seat) else {
                gone += 1;
                continue;
            };
            if name == "row" {
                rows.insert((spot.section, spot.row));
            } else {
                sections.insert(spot.section);
            }
        }
        let is_whole = |section, row| sections.contains(&section) || rows.contains(&(section, row));
        let choice = Self::within(order, ranges, is_whole);
        Ok(Self { gone: choice.gone.saturating_add(gone), ..choice })
    }

    /// The choice that a text of ids and ranges names.
    ///
    /// # Errors
    /// 422: the text is not one.
    pub(super) fn of_text(text: &str, order: &SeatingOrder) -> HttpResult<Self> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let ranges: Option<Vec<_>> = parts.map(range).collect();
        let ranges =
            ranges.ok_or_else(|| Problem::invalid_parameter("seats", "must be ids of seats and ranges of them"))?;
        Ok(Self::within(order, ranges, |_, _| false))
    }

    /// Every id that the form names, ascending, also of seats that are gone; none if there are more than any hall has.
    pub(super) fn all_named(&self) -> Option<Vec<SeatId>> {
        let count: u64 = self.named.iter().map(|(first, last)| last.abs_diff(*first).saturating_add(1)).sum();
        let ids = || self.named.iter().flat_map(|(first, last)| *first..=*last).map(SeatId::new).collect();
        (count <= NAMED_MAX).then(ids)
    }

    fn within(order: &SeatingOrder, ranges: Vec<(i64, i64)>, is_whole: impl Fn(usize, usize) -> bool) -> Self {
        let ranges = merged(ranges);
        let named: u64 = ranges.iter().map(|(first, last)| last.abs_diff(*first).saturating_add(1)).sum();
        let (mut seats, mut met) = (Vec::new(), 0);
        for (section, rows) in order.sections.iter().enumerate() {
            for (row, seat) in
                rows.rows.iter().enumerate().flat_map(|(row, seats)| seats.seats.iter().map(move |seat| (row, seat)))
            {
                let is_named = holds(&ranges, seat.seat_id.get());
                met += u64::from(is_named);
                if is_named || is_whole(section, row) {
                    seats.push(seat.seat_id);
                }
            }
        }
        Self { seats, gone: named.saturating_sub(met), named: ranges }
    }
}

/// `7` or `7-12`.
fn range(text: &str) -> Option<(i64, i64)> {
    let id = |text: &str| SeatId::from_text(text).ok().map(SeatId::get);
    match text.split_once('-') {
        None => id(text).map(|id| (id, id)),
        Some((first, last)) => Some((id(first)?, id(last)?)).filter(|(first, last)| first <= last),
    }
}

/// The ranges by their starts; none touches another.
fn merged(mut ranges: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    ranges.sort_unstable();
    let mut apart: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match apart.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => apart.push((first, last)),
        }
    }
    apart
}

fn holds(ranges: &[(i64, i64)], id: i64) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= id);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| id <= *last)
}

/// Seats as a form carries them: `1-5,9`.
pub(super) fn text_of(seats: &[SeatId]) -> String {
    let ranges = merged(seats.iter().map(|id| (id.get(), id.get())).collect());
    let part = |(first, last): &(i64, i64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(part).collect::<Vec<_>>().join(",")
}

fn grouped(count: usize) -> String {
    figures::grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Seats in words: whole sections, whole rows, and runs of neighbours in a row.
pub(super) fn in_words(order: &SeatingOrder, words: &HallWords, seats: &[SeatId]) -> String {
    let chosen: HashSet<_> = seats.iter().copied().collect();
    let is_chosen = |seat: &PlacedSeat| chosen.contains(&seat.seat_id);
    let mut places = Vec::new();
    for section in &order.sections {
        places_of(section, words, &is_chosen, &mut places);
    }
    let more = places.len().saturating_sub(PLACES_MAX);
    places.truncate(PLACES_MAX);
    if more > 0 {
        places.push(words.filled("more-places", &[("{count}", &grouped(more))]));
    }
    places.join(words.word("list"))
}

fn places_of(
    section: &SeatSection,
    words: &HallWords,
    is_chosen: &impl Fn(&PlacedSeat) -> bool,
    places: &mut Vec<String>,
) {
    let whole = |place: &str, count: usize| {
        let place = if place.is_empty() { words.word("hall") } else { place };
        words.filled("whole", &[("{place}", place), ("{count}", &grouped(count))])
    };
    let count: usize = section.rows.iter().map(|row| row.seats.len()).sum();
    if section.rows.iter().flat_map(|row| &row.seats).all(is_chosen) {
        places.push(whole(&section.name, count));
        return;
    }
    for row in &section.rows {
        if row.seats.iter().all(is_chosen) {
            places.push(whole(&words.place(&section.name, &row.name, ""), row.seats.len()));
            continue;
        }
        for run in row.seats.chunk_by(|one, other| is_chosen(one) == is_chosen(other)) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            if !is_chosen(first) {
                continue;
            }
            let number = if run.len() == 1 {
                first.label.number.clone()
            } else {
                format!("{}–{}", first.label.number, last.label.number)
            };
            places.push(words.place(&section.name, &row.name, &number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_ranges_are_read_and_written() {
        for (text, expected) in [("7", Some((7, 7))), ("7-12", Some((7, 12))), ("12-7", None), ("a", None), ("0", None)]
        {
            assert_eq!(range(text), expected, "{text}");
        }
        assert_eq!(merged(vec![(5, 9), (1, 2), (3, 3), (8, 20), (30, 31)]), [(1, 3), (5, 20), (30, 31)]);
        let ranges = [(1, 3), (5, 20)];
        for (id, expected) in [(0, false), (1, true), (3, true), (4, false), (20, true), (21, false)] {
            assert_eq!(holds(&ranges, id), expected, "{id}");
        }
        let seats = [9, 1, 2, 3, 11].map(SeatId::new);
        assert_eq!(text_of(&seats), "1-3,9,11");
        assert_eq!(text_of(&[]), "");
    }

    #[test]
    fn a_range_as_wide_as_all_ids_costs_nothing() {
        let choice = SeatChoice::of_text("1-9007199254740991", &SeatingOrder::default()).unwrap();
        assert_eq!((choice.seats.len(), choice.gone), (0, 9_007_199_254_740_991));
        assert_eq!(choice.all_named(), None);
        let choice = SeatChoice::of_text("9,1-2", &SeatingOrder::default()).unwrap();
        assert_eq!(choice.all_named(), Some([1, 2, 9].map(SeatId::new).to_vec()));
        assert!(SeatChoice::of_text("1,,2-", &SeatingOrder::default()).is_err());
    }
}
