//! The order of a hall: sections, rows in them, seats in those, as people read them.

use frontrow_domain::{id::SeatId, money::Money, sale::SeatLabel};
use std::{cmp::Ordering, collections::HashMap, sync::Arc};

/// A seat's place in a [`SeatingOrder`]: the section, the row in it, and the seat in that, each from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeatSpot {
    pub section: usize,
    pub row: usize,
    pub at: usize,
}

/// One seat without its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedSeat {
    pub seat_id: SeatId,
    pub seat_number: i32,
    pub label: Arc<SeatLabel>,
    pub price: Money,
    /// Its grade: a place in [`SeatingOrder::grades`].
    pub grade: usize,
    /// Its place among the seats of the hall, by which a snapshot keeps its state.
    pub index: usize,
    /// Whether the seat before it in the row stands beside it.
    pub beside_last: bool,
}

/// A row of seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatRow {
    pub name: String,
    pub seats: Vec<PlacedSeat>,
}

/// A block of the hall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatSection {
    pub name: String,
    pub rows: Vec<SeatRow>,
}

/// A price grade: its name, and a mark of at most three characters that no other grade of the hall has. What its seats
/// cost and how many are free is in [`ConcertGrade`](super::ConcertGrade).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatGrade {
    pub name: String,
    pub mark: String,
}

/// The seats of a hall in the order in which people read them: 2 before 10, row Z before row AA. It changes only when an
/// operator changes the hall.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeatingOrder {
    pub sections: Vec<SeatSection>,
    /// Dearest first, by all seats that there are: blocking one changes no order, no mark and no colour.
    pub grades: Vec<SeatGrade>,
    spots: HashMap<SeatId, SeatSpot>,
}

/// What the order of a hall needs to know of a seat.
#[derive(Debug)]
pub(crate) struct OrderedSeat<'a> {
    pub(crate) seat_id: SeatId,
    pub(crate) seat_number: i32,
    pub(crate) label: &'a Arc<SeatLabel>,
    pub(crate) price: Money,
}

impl SeatingOrder {
    /// The order of these seats; the state of each is kept under its place among them.
    pub(crate) fn of<'a>(seats: impl IntoIterator<Item = OrderedSeat<'a>>) -> Self {
        let seats: Vec<_> = seats.into_iter().collect();
        let grades = grades(&seats);
        let place: HashMap<&str, usize> =
            grades.iter().enumerate().map(|(place, grade)| (grade.name.as_str(), place)).collect();
        let grade_of = |label: &SeatLabel| place.get(label.grade.as_str()).copied().unwrap_or(0);
        let mut blocks: HashMap<&str, HashMap<&str, Vec<usize>>> = HashMap::new();
        for (index, seat) in seats.iter().enumerate() {
            let rows = blocks.entry(&seat.label.section).or_default();
            rows.entry(&seat.label.row).or_default().push(index);
        }
        let (mut sections, mut spots) = (Vec::new(), HashMap::with_capacity(seats.len()));
        for (section, rows) in sorted(blocks) {
            let mut placed_rows = Vec::new();
            for (row, mut indexes) in sorted(rows) {
                let number = |index: &usize| seats.get(*index).map_or("", |seat| seat.label.number.as_str());
                indexes.sort_by(|one, other| natural(number(one), number(other)));
                let step = step_of(indexes.iter().map(number));
                let mut placed: Vec<PlacedSeat> = Vec::with_capacity(indexes.len());
                for index in indexes {
                    let Some(OrderedSeat { seat_id, seat_number, label, price }) = seats.get(index) else { continue };
                    let beside_last =
                        placed.last().is_some_and(|last| is_beside(&last.label.number, &label.number, step));
                    spots.insert(
                        *seat_id,
                        SeatSpot { section: sections.len(), row: placed_rows.len(), at: placed.len() },
                    );
                    placed.push(PlacedSeat {
                        seat_id: *seat_id,
                        seat_number: *seat_number,
                        label: Arc::clone(label),
                        price: *price,
                        grade: grade_of(label),
                        index,
                        beside_last,
                    });
                }
                placed_rows.push(SeatRow { name: row.to_owned(), seats: placed });
            }
            sections.push(SeatSection { name: section.to_owned(), rows: placed_rows });
        }
        Self { sections, grades, spots }
    }

    /// Where a seat stands; none if the hall has no such seat.
    #[must_use]
    pub fn spot(&self, seat: SeatId) -> Option<SeatSpot> {
        self.spots.get(&seat).copied()
    }

    /// The seat at a spot.
    #[must_use]
    pub fn seat(&self, spot: SeatSpot) -> Option<&PlacedSeat> {
        self.sections.get(spot.section)?.rows.get(spot.row)?.seats.get(spot.at)
    }

    /// The seat with this id.
    #[must_use]
    pub fn seat_of(&self, seat: SeatId) -> Option<&PlacedSeat> {
        self.seat(self.spot(seat)?)
    }

    /// How many seats there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spots.len()
    }

    /// Whether there is no seat.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }
}

/// A whole number without a sign.
fn whole(number: &str) -> Option<u64> {
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_plain)
}

/// The least distance between two neighbouring numbers of a row: 2 in a row that has only odd ones.
fn step_of<'a>(numbers: impl Iterator<Item = &'a str>) -> Option<u64> {
    let numbers: Option<Vec<_>> = numbers.map(whole).collect();
    numbers?.windows(2).filter_map(|pair| pair.get(1)?.checked_sub(*pair.first()?)).filter(|step| *step > 0).min()
}

/// Whether two seats that follow each other in a row stand side by side. Where a number is left out, there is an aisle
/// or no seat; in a row whose numbers are not all whole, nothing is known of such gaps.
fn is_beside(last: &str, number: &str, step: Option<u64>) -> bool {
    match (whole(last), whole(number), step) {
        (Some(last), Some(number), Some(step)) => number.checked_sub(last) == Some(step),
        _ => true,
    }
}

/// Entries by their names.
fn sorted<T>(entries: HashMap<&str, T>) -> Vec<(&str, T)> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort_by(|(one, _), (other, _)| natural(one, other));
    entries
}

/// How many characters a grade's mark has at most.
const MARK_LEN_MAX: usize = 3;

/// The grades of a hall, dearest first.
fn grades(seats: &[OrderedSeat<'_>]) -> Vec<SeatGrade> {
    let mut prices: HashMap<&str, (Money, Money)> = HashMap::new();
    for seat in seats {
        let (least, most) = prices.entry(&seat.label.grade).or_insert((seat.price, seat.price));
        (*least, *most) = ((*least).min(seat.price), (*most).max(seat.price));
    }
    let mut prices: Vec<_> = prices.into_iter().collect();
    prices.sort_by(|(one, (least, most)), (other, (other_least, other_most))| {
        (other_most, other_least).cmp(&(most, least)).then_with(|| natural(one, other))
    });
    let mut grades: Vec<SeatGrade> = Vec::with_capacity(prices.len());
    for (name, _) in prices {
        let mark = mark_of(name, &grades);
        grades.push(SeatGrade { name: name.to_owned(), mark });
    }
    grades
}

/// A short name is its own mark; of a long one it is the first character, or the first three; else a number.
fn mark_of(name: &str, taken: &[SeatGrade]) -> String {
    let letters: Vec<char> = name.chars().filter(|letter| !letter.is_whitespace()).collect();
    let start = |len: usize| letters.iter().take(len).collect::<String>();
    let shortest = if letters.len() <= MARK_LEN_MAX { MARK_LEN_MAX } else { 1 };
    let numbers = (1..=taken.len() + 1).map(|number| number.to_string());
    let mut marks = [start(shortest), start(MARK_LEN_MAX)].into_iter().chain(numbers);
    marks.find(|mark| !mark.is_empty() && taken.iter().all(|grade| grade.mark != *mark)).unwrap_or_default()
}

/// Compares two labels as people order them: numbers by their value, and one or two capital letters by their count
/// first, so that row Z comes before row AA. Labels that compare so alike are told apart by their characters.
#[must_use]
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (runs(one), runs(other));
    loop {
        let order = match (ones.next(), others.next()) {
            (None, None) => return one.cmp(other),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => by_run(one, other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The runs of digits, and of other characters, that a label is made of.
fn runs(label: &str) -> impl Iterator<Item = &str> {
    let mut rest = label;
    std::iter::from_fn(move || {
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|letter: char| letter.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}

fn by_run(one: &str, other: &str) -> Ordering {
    let is_number = |run: &str| run.starts_with(|letter: char| letter.is_ascii_digit());
    let is_letters = |run: &str| run.len() <= 2 && run.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_number(one) && is_number(other) {
        let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
        return one.len().cmp(&other.len()).then_with(|| one.cmp(other));
    }
    let by_length = if is_letters(one) && is_letters(other) { one.len().cmp(&other.len()) } else { Ordering::Equal };
    by_length.then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(labels: &[(&str, &str, &str, &str, i64)]) -> SeatingOrder {
        let labels: Vec<_> = labels
            .iter()
            .map(|(section, row, number, grade, price)| {
                let [section, row, number, grade] = [section, row, number, grade].map(|text| (*text).to_owned());
                (Arc::new(SeatLabel { section, row, number, grade }), *price)
            })
            .collect();
        SeatingOrder::of(labels.iter().zip(1_i32..).map(|((label, price), number)| OrderedSeat {
            seat_id: SeatId::new(i64::from(number)),
            seat_number: number,
            label,
            price: Money::new(*price),
        }))
    }

    #[test]
    fn labels_are_ordered_as_people_read_them() {
        // The browser's module is tested with the same lists.
        for ordered in [
            &["", "01", "1", "2", "10", "10A", "11", "100000000000000000000", "200000000000000000000"][..],
            &["", "A", "B", "Z", "AA", "AB"],
            &["A1", "A2", "A10", "B1"],
            &["1층 2구역", "1층 10구역", "1층 가구역", "1층 나구역", "2층 가구역"],
            &["Balcony", "Floor"],
        ] {
            for (at, one) in ordered.iter().enumerate() {
                for other in &ordered[at + 1..] {
                    assert_eq!(natural(one, other), Ordering::Less, "{one} {other}");
                    assert_eq!(natural(other, one), Ordering::Greater, "{one} {other}");
                }
                assert_eq!(natural(one, one), Ordering::Equal);
            }
        }
    }

    #[test]
    fn a_hall_is_read_by_section_row_and_number_and_a_left_out_number_is_a_gap() {
        let order = order(&[
            ("나", "1", "1", "S", 90),
            ("가", "10", "2", "R", 120),
            ("가", "2", "3", "VIP", 180),
            ("가", "2", "1", "VIP", 180),
            ("가", "2", "7", "VIP", 180),
            ("가", "2", "5", "VIP", 180),
            ("가", "2", "11", "VIP", 170),
        ]);
        let names: Vec<_> = order.sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["가", "나"]);
        let rows: Vec<_> = order.sections[0].rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(rows, ["2", "10"]);
        let seats: Vec<_> =
            order.sections[0].rows[0].seats.iter().map(|seat| (seat.label.number.as_str(), seat.beside_last)).collect();
        assert_eq!(seats, [("1", false), ("3", true), ("5", true), ("7", true), ("11", false)]);
        assert_eq!(order.spot(SeatId::new(3)), Some(SeatSpot { section: 0, row: 0, at: 1 }));
        assert_eq!(order.seat_of(SeatId::new(1)).map(|seat| seat.index), Some(0));
        assert_eq!(order.spot(SeatId::new(8)), None);
        assert_eq!((order.len(), order.is_empty()), (7, false));
        let grades: Vec<_> = order.grades.iter().map(|grade| grade.name.as_str()).collect();
        assert_eq!(grades, ["VIP", "R", "S"]);
    }

    #[test]
    fn every_grade_has_a_mark_of_its_own() {
        let order = order(&[
            ("", "", "1", "Royal box", 5),
            ("", "", "2", "Royal stalls", 4),
            ("", "", "3", "R", 3),
            ("", "", "4", "", 2),
            ("", "", "5", "VIP", 1),
        ]);
        let marks: Vec<_> = order.grades.iter().map(|grade| grade.mark.as_str()).collect();
        assert_eq!(marks, ["R", "Roy", "1", "2", "VIP"]);
    }
}
