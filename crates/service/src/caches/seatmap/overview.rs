//! A hall in numbers: its grades, and where each has free seats.

use super::forms::Row;
use frontrow_domain::{
    money::Money,
    sale::{Seat, SeatStatus},
};
use std::collections::HashMap;

/// A hall by grade and by section. Blocked seats are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HallOverview {
    /// The grades: the dearest first, then by name.
    pub grades: Vec<ConcertGrade>,
    /// The sections, in the order of their first seats.
    pub sections: Vec<HallSection>,
}

/// A price grade of a concert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcertGrade {
    /// Its name; empty for seats without a grade.
    pub name: String,
    /// The price of its cheapest seat: all that a buyer pays.
    pub lowest: Money,
    /// The price of its dearest seat.
    pub highest: Money,
    /// How many seats it has.
    pub seats: i64,
    /// How many of them are free.
    pub left: i64,
}

/// A section of a hall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HallSection {
    /// Its name; empty if the hall has none.
    pub name: String,
    /// One for each grade of the hall, in the same order.
    pub grades: Vec<SectionGrade>,
}

/// The seats of a grade in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SectionGrade {
    /// How many seats there are.
    pub seats: i64,
    /// How many of them are free.
    pub left: i64,
}

impl SectionGrade {
    fn add(&mut self, seat: &Seat) {
        self.seats += 1;
        self.left += i64::from(seat.status() == SeatStatus::Available);
    }
}

/// The seats of one section and grade.
#[derive(Debug)]
struct Part<'a> {
    section: &'a str,
    grade: &'a str,
    lowest: Money,
    highest: Money,
    count: SectionGrade,
}

/// Counts the seats, which come by number.
pub(super) fn overview(rows: &[Row]) -> HallOverview {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut known: HashMap<(&str, &str), usize> = HashMap::new();
    let mut last = 0;
    for Row { seat, .. } in rows.iter().filter(|row| row.seat.status() != SeatStatus::Blocked) {
        let (section, grade) = (seat.label.section.as_str(), seat.label.grade.as_str());
        // Neighbours are mostly of one part.
        if parts.get(last).is_none_or(|part| (part.section, part.grade) != (section, grade)) {
            last = *known.entry((section, grade)).or_insert(parts.len());
            if last == parts.len() {
                let (lowest, highest) = (seat.price, seat.price);
                parts.push(Part { section, grade, lowest, highest, count: SectionGrade::default() });
            }
        }
        let Some(part) = parts.get_mut(last) else { continue };
        (part.lowest, part.highest) = (part.lowest.min(seat.price), part.highest.max(seat.price));
        part.count.add(seat);
    }
    let grades = grades(&parts);
    let mut sections: Vec<HallSection> = Vec::new();
    for part in &parts {
        let Some(grade) = grades.iter().position(|grade| grade.name == part.grade) else { continue };
        let at = sections.iter().position(|section| section.name == part.section).unwrap_or_else(|| {
            let none = vec![SectionGrade::default(); grades.len()];
            sections.push(HallSection { name: part.section.to_owned(), grades: none });
            sections.len() - 1
        });
        if let Some(cell) = sections.get_mut(at).and_then(|section| section.grades.get_mut(grade)) {
            *cell = part.count;
        }
    }
    HallOverview { grades, sections }
}

fn grades(parts: &[Part<'_>]) -> Vec<ConcertGrade> {
    let mut grades: Vec<ConcertGrade> = Vec::new();
    for part in parts {
        match grades.iter_mut().find(|grade| grade.name == part.grade) {
            Some(grade) => {
                (grade.lowest, grade.highest) = (grade.lowest.min(part.lowest), grade.highest.max(part.highest));
                grade.seats += part.count.seats;
                grade.left += part.count.left;
            }
            None => grades.push(ConcertGrade {
                name: part.grade.to_owned(),
                lowest: part.lowest,
                highest: part.highest,
                seats: part.count.seats,
                left: part.count.left,
            }),
        }
    }
    grades.sort_by(|a, b| b.highest.cmp(&a.highest).then_with(|| a.name.cmp(&b.name)));
    grades
}
