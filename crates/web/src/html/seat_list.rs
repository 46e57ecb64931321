//! The list of a hall: section, row, seat. It is what people use without a script, or without looking at a drawing.

use crate::html::{
    hall_words::{HallWords, SeatWord},
    shell::Shell,
};
use frontrow_domain::id::SeatId;
use frontrow_service::sale::{HallOverview, HallSection, PlacedSeat, SeatRow, SeatSection, SeatSnapshot, SeatingOrder};
use std::collections::HashSet;

/// How many seats a page lists in full: a hall of fewer is listed whole, a larger one section by section, and of a
/// larger section so many at a time.
const SEATS_PER_PAGE: usize = 1_200;

/// A section of the list: its rows, or a link to them.
#[derive(Debug)]
pub(crate) struct ListedSection {
    pub(crate) name: String,
    /// What it is called where a name is needed.
    pub(crate) title: String,
    /// Its free seats, by grade.
    pub(crate) counts: String,
    /// The page with its rows; none if they are here.
    pub(crate) link: Option<String>,
    /// Whether the rows are seen at once: of the first section, of the one that was asked for, and where a choice stands.
    pub(crate) is_open: bool,
    pub(crate) rows: Vec<ListedRow>,
    /// The page with its next rows.
    pub(crate) next: Option<String>,
}

/// A row of the list, or the part of it that the page has room for.
#[derive(Debug)]
pub(crate) struct ListedRow {
    pub(crate) title: String,
    pub(crate) seats: Vec<ListedSeat>,
}

impl ListedSection {
    /// Its first seat on the page, by which a form names the section.
    pub(crate) fn first(&self) -> Option<SeatId> {
        self.rows.first()?.first()
    }
}

impl ListedRow {
    /// Its first seat on the page, by which a form names the row.
    pub(crate) fn first(&self) -> Option<SeatId> {
        Some(self.seats.first()?.id)
    }
}

/// A seat of the list.
#[derive(Debug)]
pub(crate) struct ListedSeat {
    pub(crate) id: SeatId,
    pub(crate) number: String,
    pub(crate) mark: String,
    pub(crate) style: &'static str,
    pub(crate) state: &'static str,
    /// All that there is to know of it.
    pub(crate) name: String,
    pub(crate) is_free: bool,
    pub(crate) is_chosen: bool,
}

/// What a list shows beside the seats themselves.
pub(crate) struct ListView<'a> {
    /// The path of the page.
    pub(crate) path: &'a str,
    pub(crate) hall: &'a SeatSnapshot,
    pub(crate) overview: &'a HallOverview,
    pub(crate) shell: &'a Shell,
    pub(crate) words: &'a HallWords,
    /// The classes of the grades' colours.
    pub(crate) styles: &'a [&'static str],
    /// The seats that the buyer has.
    pub(crate) mine: &'a HashSet<SeatId>,
    /// The seats that were ticked in a form that comes back.
    pub(crate) chosen: &'a [SeatId],
}

/// Which seats of which section are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListPart {
    pub(crate) section: Option<String>,
    /// The first seat of the section, from 0.
    pub(crate) from: usize,
}

impl ListPart {
    /// The part that a query asks for. What cannot be read asks for nothing.
    pub(crate) fn of_query(query: &str) -> Self {
        let mut part = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "section" => part.section = Some(value.into_owned()),
                "from" => part.from = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        part
    }

    /// The part that lists a seat.
    pub(crate) fn around(order: &SeatingOrder, seat: SeatId) -> Self {
        let Some(spot) = order.spot(seat) else { return Self::default() };
        let Some(section) = order.sections.get(spot.section) else { return Self::default() };
        let before: usize = section.rows.iter().take(spot.row).map(|row| row.seats.len()).sum();
        Self { section: Some(section.name.clone()), from: page_start(section, before + spot.at) }
    }

    /// The address of the part, for the path of the hall's page.
    pub(crate) fn address(&self, path: &str) -> String {
        let Some(section) = &self.section else { return path.to_owned() };
        let name: String = form_urlencoded::byte_serialize(section.as_bytes()).collect();
        let from = if self.from == 0 { String::new() } else { format!("&from={}", self.from) };
        format!("{path}?section={name}{from}")
    }
}

/// How a section stands in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// As a link to the page with its rows.
    Linked,
    /// With its rows folded away.
    Folded,
    /// With its seats from this one on.
    Open { from: usize },
}

/// The seats of a row that a page lists.
#[derive(Debug)]
struct RowPart<'a> {
    row: &'a SeatRow,
    seats: &'a [PlacedSeat],
}

/// The rows that a page lists of a section from its seat `from` on, and the first seat that it has no room for. A row
/// that fits on a page is not cut.
fn rows_from(section: &SeatSection, from: usize) -> (Vec<RowPart<'_>>, Option<usize>) {
    let (mut parts, mut room, mut first) = (Vec::new(), SEATS_PER_PAGE, 0);
    for row in &section.rows {
        let skipped = from.saturating_sub(first).min(row.seats.len());
        let rest = row.seats.get(skipped..).unwrap_or_default();
        let at = first + skipped;
        first += row.seats.len();
        if rest.is_empty() {
            continue;
        }
        let is_cut = rest.len() > room;
        if is_cut && (room == 0 || rest.len() <= SEATS_PER_PAGE) {
            return (parts, Some(at));
        }
        let seats = rest.get(..room).unwrap_or(rest);
        parts.push(RowPart { row, seats });
        if is_cut {
            return (parts, Some(at + seats.len()));
        }
        room -= seats.len();
    }
    (parts, None)
}

/// The first seat of the page that lists a seat of a section.
fn page_start(section: &SeatSection, seat: usize) -> usize {
    let mut from = 0;
    while let (_, Some(next)) = rows_from(section, from)
        && next <= seat
    {
        from = next;
    }
    from
}

impl ListView<'_> {
    /// The sections, with the rows of those that the page has room for.
    pub(crate) fn sections(&self, part: &ListPart) -> Vec<ListedSection> {
        let sections = &self.hall.order.sections;
        let is_small = self.hall.order.len() <= SEATS_PER_PAGE;
        let mut listed = Vec::with_capacity(sections.len());
        for (section, counted) in sections.iter().zip(&self.overview.sections) {
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
            listed.push(self.section(section, counted, shown));
        }
        listed
    }

    fn section(&self, section: &SeatSection, counted: &HallSection, shown: Shown) -> ListedSection {
        let (rows, next) = match shown {
            Shown::Open { from } => rows_from(section, from),
            Shown::Folded => rows_from(section, 0),
            Shown::Linked => (Vec::new(), None),
        };
        let rows: Vec<_> = rows.iter().map(|part| self.row(part)).collect();
        let is_chosen = rows.iter().any(|row| row.seats.iter().any(|seat| seat.is_chosen));
        let title = if section.name.is_empty() { self.words.word("hall") } else { section.name.as_str() };
        ListedSection {
            name: section.name.clone(),
            title: title.to_owned(),
            counts: self.counts(counted),
            link: (shown == Shown::Linked).then(|| self.link(section, 0)),
            is_open: is_chosen || matches!(shown, Shown::Open { .. }),
            rows,
            next: next.map(|from| self.link(section, from)),
        }
    }

    fn link(&self, section: &SeatSection, from: usize) -> String {
        let part = ListPart { section: Some(section.name.clone()), from };
        format!("{}#seats", part.address(self.path))
    }

    fn counts(&self, section: &HallSection) -> String {
        let grades = section.grades.iter().filter(|count| count.left > 0).filter_map(|count| {
            let grade = self.hall.order.grades.get(count.place)?;
            Some(self.words.count(&grade.name, &self.shell.number(&count.left)))
        });
        let counts: Vec<_> = grades.collect();
        if counts.is_empty() { self.words.word("none").to_owned() } else { counts.join(" · ") }
    }

    fn row(&self, RowPart { row, seats }: &RowPart<'_>) -> ListedRow {
        let title = self.words.row(&row.name);
        let title = if title.is_empty() { self.words.word("seats").to_owned() } else { title };
        ListedRow { title, seats: seats.iter().map(|seat| self.seat(seat)).collect() }
    }

    fn seat(&self, seat: &PlacedSeat) -> ListedSeat {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{money::Money, sale::SeatLabel};
    use std::sync::Arc;

    /// A section with rows of these lengths.
    fn section(rows: &[usize]) -> SeatSection {
        let seat = |index: usize| PlacedSeat {
            seat_id: SeatId::new(i64::try_from(index).unwrap() + 1),
            seat_number: 1,
            label: Arc::new(SeatLabel::default()),
            price: Money::ZERO,
            grade: 0,
            index,
            beside_last: false,
        };
        let rows = rows.iter().map(|len| SeatRow { name: String::new(), seats: (0..*len).map(seat).collect() });
        SeatSection { name: String::new(), rows: rows.collect() }
    }

    #[test]
    fn a_part_of_the_list_is_read_from_any_query() {
        let part = ListPart::of_query("section=1%EC%B8%B5+%EA%B0%80&from=30&x=1");
        assert_eq!((part.section.as_deref(), part.from), (Some("1층 가"), 30));
        assert_eq!(part.address("/concerts/7/seats"), "/concerts/7/seats?section=1%EC%B8%B5+%EA%B0%80&from=30");
        for odd in ["", "from=-1", "from=99999999999999999999", "from=a", "section"] {
            assert_eq!(ListPart::of_query(odd).from, 0, "{odd}");
        }
    }

    #[test]
    fn a_page_lists_no_more_seats_than_it_has_room_for_and_cuts_no_row_that_fits() {
        let lens = |rows: &[usize], from: usize| {
            let section = section(rows);
            let (parts, next) = rows_from(&section, from);
            (parts.iter().map(|part| part.seats.len()).collect::<Vec<_>>(), next)
        };
        assert_eq!(lens(&[700, 500, 10], 0), (vec![700, 500], Some(1_200)));
        assert_eq!(lens(&[700, 600, 10], 0), (vec![700], Some(700)), "the next page has room for it");
        assert_eq!(lens(&[700, 600, 10], 700), (vec![600, 10], None));
        assert_eq!(lens(&[50_000], 0), (vec![1_200], Some(1_200)));
        assert_eq!(lens(&[50_000], 49_200), (vec![800], None));
        assert_eq!(lens(&[10, 50_000], 0), (vec![10, 1_190], Some(1_200)));
        for beyond in [50_000, usize::MAX] {
            assert_eq!(lens(&[50_000], beyond), (vec![], None));
        }
        assert_eq!(lens(&[0, 3], 1), (vec![2], None));
    }

    #[test]
    fn the_page_of_a_seat_is_the_one_that_lists_it() {
        let rows_of_70 = section(&[70; 30]);
        for (seat, start) in [(0, 0), (1_189, 0), (1_190, 1_190), (1_199, 1_190), (2_099, 1_190)] {
            assert_eq!(page_start(&rows_of_70, seat), start, "{seat}");
        }
        for (seat, start) in [(699, 0), (700, 700), (1_299, 700)] {
            assert_eq!(page_start(&section(&[700, 600]), seat), start, "{seat}");
        }
        assert_eq!(page_start(&section(&[50_000]), 49_999), 49_200);
    }
}
