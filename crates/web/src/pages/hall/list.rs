//! The list of a hall: section, row, seat. It is what buyers use without a script, or without looking at a drawing.

use super::words::{HallWords, SeatWord};
use crate::pages::shell::Shell;
use frontrow_domain::id::{ConcertId, SeatId};
use frontrow_service::sale::{SeatRow, SeatSection, SeatSnapshot};
use std::collections::HashSet;

/// How many seats a page lists in full: a hall of fewer is listed whole, a larger one section by section.
const SEATS_PER_PAGE: usize = 1_200;
/// The classes of the grades' colours: of grades with these names, and in this order of the others.
const STYLES: [&str; 5] = ["vip", "r", "s", "a", "b"];

/// The class of each grade's colour, by the grades' names: none is used twice before all are used once.
pub(super) fn styles(names: &[&str]) -> Vec<&'static str> {
    let own = |name: &str| STYLES.into_iter().find(|style| name.eq_ignore_ascii_case(style));
    let taken: Vec<_> = names.iter().filter_map(|name| own(name)).collect();
    let mut others = STYLES.into_iter().filter(|style| !taken.contains(style)).chain(STYLES.into_iter().cycle());
    names.iter().map(|name| own(name).or_else(|| others.next()).unwrap_or_default()).collect()
}

/// A section of the list: its rows, or a link to them.
#[derive(Debug)]
pub(super) struct ListedSection {
    pub(super) name: String,
    /// What it is called where a name is needed.
    pub(super) title: String,
    /// Its free seats, by grade.
    pub(super) counts: String,
    /// The page with its rows; none if they are here.
    pub(super) link: Option<String>,
    /// Whether the rows are seen at once: of the first section, of the one that was asked for, and where a choice stands.
    pub(super) is_open: bool,
    pub(super) rows: Vec<ListedRow>,
    /// The page with its next rows.
    pub(super) next: Option<String>,
}

/// A row of the list.
#[derive(Debug)]
pub(super) struct ListedRow {
    pub(super) title: String,
    pub(super) seats: Vec<ListedSeat>,
}

/// A seat of the list.
#[derive(Debug)]
pub(super) struct ListedSeat {
    pub(super) id: SeatId,
    pub(super) number: String,
    pub(super) mark: String,
    pub(super) style: &'static str,
    pub(super) state: &'static str,
    /// All that there is to know of it.
    pub(super) name: String,
    pub(super) is_free: bool,
    pub(super) is_chosen: bool,
}

/// What a list shows beside the seats themselves.
pub(super) struct ListView<'a> {
    pub(super) concert: ConcertId,
    pub(super) hall: &'a SeatSnapshot,
    pub(super) shell: &'a Shell,
    pub(super) words: &'a HallWords,
    /// The classes of the grades' colours.
    pub(super) styles: &'a [&'static str],
    /// The seats that the buyer holds.
    pub(super) mine: &'a HashSet<SeatId>,
    /// The seats that were ticked in a form that comes back.
    pub(super) chosen: &'a [SeatId],
}

/// Which rows of which section are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct ListPart {
    pub(super) section: Option<String>,
    /// The first row, from 0.
    pub(super) from: usize,
}

/// How a section stands in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// As a link to the page with its rows.
    Linked,
    /// With its rows folded away.
    Folded,
    /// With its rows from this one on.
    Open { from: usize },
}

impl ListView<'_> {
    /// The sections, with the rows of those that the page has room for.
    pub(super) fn sections(&self, part: &ListPart) -> Vec<ListedSection> {
        let sections = &self.hall.order.sections;
        let is_small = self.hall.order.len() <= SEATS_PER_PAGE;
        let mut listed = Vec::with_capacity(sections.len());
        for section in sections {
            let is_asked = part.section.as_ref() == Some(&section.name);
            let shown = if is_asked {
                Shown::Open { from: part.from }
            } else if !is_small && sections.len() > 1 {
                Shown::Linked
            } else if part.section.is_none() && listed.is_empty() {
                Shown::Open { from: 0 }
            } else {
                Shown::Folded
            };
            listed.push(self.section(section, shown));
        }
        listed
    }

    fn section(&self, section: &SeatSection, shown: Shown) -> ListedSection {
        let (mut rows, mut next, mut seats) = (Vec::new(), None, 0);
        let skipped = match shown {
            Shown::Open { from } => from,
            Shown::Folded => 0,
            Shown::Linked => section.rows.len(),
        };
        for (at, row) in section.rows.iter().enumerate().skip(skipped) {
            if seats > 0 && seats + row.seats.len() > SEATS_PER_PAGE {
                next = Some(self.link(section, at));
                break;
            }
            seats += row.seats.len();
            rows.push(self.row(row));
        }
        let is_chosen = rows.iter().any(|row| row.seats.iter().any(|seat| seat.is_chosen));
        let title = if section.name.is_empty() { self.words.word("hall") } else { section.name.as_str() };
        ListedSection {
            name: section.name.clone(),
            title: title.to_owned(),
            counts: self.counts(section),
            link: (shown == Shown::Linked).then(|| self.link(section, 0)),
            is_open: is_chosen || matches!(shown, Shown::Open { .. }),
            rows,
            next,
        }
    }

    fn link(&self, section: &SeatSection, from: usize) -> String {
        let name: String = form_urlencoded::byte_serialize(section.name.as_bytes()).collect();
        let from = if from == 0 { String::new() } else { format!("&from={from}") };
        format!("/concerts/{}/seats?section={name}{from}#seats", self.concert)
    }

    fn counts(&self, section: &SeatSection) -> String {
        let mut free = vec![0_i64; self.hall.order.grades.len()];
        for seat in section.rows.iter().flat_map(|row| &row.seats).filter(|seat| self.hall.is_free(seat)) {
            if let Some(count) = free.get_mut(seat.grade) {
                *count += 1;
            }
        }
        let counted = free.iter().zip(&self.hall.order.grades).filter(|(count, _)| **count > 0);
        let counts: Vec<_> =
            counted.map(|(count, grade)| self.words.count(&grade.name, &self.shell.number(count))).collect();
        if counts.is_empty() { self.words.word("none").to_owned() } else { counts.join(" · ") }
    }

    fn row(&self, row: &SeatRow) -> ListedRow {
        let seats = row.seats.iter().map(|seat| {
            let status = self.hall.status(seat);
            let word = if self.mine.contains(&seat.seat_id) { SeatWord::Mine } else { status.into() };
            let grade = self.hall.order.grades.get(seat.grade);
            ListedSeat {
                id: seat.seat_id,
                number: seat.label.number.clone(),
                mark: grade.map_or_else(String::new, |grade| grade.mark.clone()),
                style: self.styles.get(seat.grade).copied().unwrap_or_default(),
                state: word.name(),
                name: self.words.seat(&seat.label, &self.shell.money(&seat.price), word),
                is_free: word == SeatWord::Free,
                is_chosen: self.chosen.contains(&seat.seat_id),
            }
        });
        let title = self.words.row(&row.name);
        let title = if title.is_empty() { self.words.word("seats").to_owned() } else { title };
        ListedRow { title, seats: seats.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_of_known_names_have_their_colours_and_others_the_rest() {
        assert_eq!(styles(&["VIP", "R", "S"]), ["vip", "r", "s"]);
        assert_eq!(styles(&["r"]), ["r"]);
        assert_eq!(styles(&["Royal", "VIP", "Stalls"]), ["r", "vip", "s"]);
        assert_eq!(styles(&["1", "2", "3", "4", "5", "6"]), ["vip", "r", "s", "a", "b", "vip"]);
    }
}
