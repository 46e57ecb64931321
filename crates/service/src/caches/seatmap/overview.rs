//! A hall in numbers: its grades, and where each has free seats.

use super::order::SeatingOrder;
use frontrow_domain::{money::Money, sale::SeatStatus};
use frontrow_storage::SeatCounts;
use std::sync::Arc;

/// A hall by grade and by section. Blocked seats are in no number but their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HallOverview {
    /// The seats, and every grade, also one that is not for sale.
    pub order: Arc<SeatingOrder>,
    /// The grades that are for sale, in the order of the hall's.
    pub grades: Vec<ConcertGrade>,
    /// The sections of the hall, in its order: one without seats for sale has no grades.
    pub sections: Vec<HallSection>,
    /// All seats, by state.
    pub counts: SeatCounts,
    /// The seats of each grade in the order of [`SeatingOrder::grades`], with what they are worth.
    pub books: Vec<GradeBooks>,
}

/// The seats of a grade, and what they are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GradeBooks {
    /// The seats by state.
    pub seats: SeatCounts,
    /// What they are worth.
    pub money: SeatMoney,
}

/// What seats are worth: the sums of their prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeatMoney {
    /// Of the sold ones, in won.
    pub sold: i64,
    /// Of the held ones, in won.
    pub held: i64,
}

/// A price grade of a concert that has seats for sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcertGrade {
    /// Its place in [`SeatingOrder::grades`].
    pub place: usize,
    /// Its name; empty for seats without a grade.
    pub name: String,
    /// Its mark: see [`SeatGrade`](super::SeatGrade).
    pub mark: String,
    /// The price of its cheapest seat: all that a buyer pays.
    pub lowest: Money,
    /// The price of its dearest seat.
    pub highest: Money,
    /// How many seats it has.
    pub seats: i64,
    /// How many of them are free.
    pub left: i64,
    /// How many of them are held, and may become free again.
    pub held: i64,
}

/// A section of a hall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HallSection {
    /// Its name; empty if the hall has none.
    pub name: String,
    /// The grades that it has seats of, in the order of the hall's.
    pub grades: Vec<SectionGrade>,
}

/// The seats of a grade in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SectionGrade {
    /// The grade: a place in [`SeatingOrder::grades`].
    pub place: usize,
    /// How many seats there are.
    pub seats: i64,
    /// How many of them are free.
    pub left: i64,
}

/// What was counted of a grade.
#[derive(Debug, Clone, Copy)]
struct GradeTally {
    /// Of the seats that are not blocked.
    lowest: Money,
    highest: Money,
    books: GradeBooks,
}

impl GradeTally {
    const NONE: Self = Self {
        lowest: Money::MAX,
        highest: Money::ZERO,
        books: GradeBooks {
            seats: SeatCounts { available: 0, held: 0, sold: 0, blocked: 0 },
            money: SeatMoney { sold: 0, held: 0 },
        },
    };

    fn add(&mut self, price: Money, status: SeatStatus) {
        count(&mut self.books.seats, status);
        match status {
            SeatStatus::Blocked => return,
            SeatStatus::Available => {}
            SeatStatus::Held => self.books.money.held += price.get(),
            SeatStatus::Sold => self.books.money.sold += price.get(),
        }
        (self.lowest, self.highest) = (self.lowest.min(price), self.highest.max(price));
    }

    /// How many seats are not blocked.
    const fn for_sale(&self) -> i64 {
        let SeatCounts { available, held, sold, blocked: _ } = self.books.seats;
        available + held + sold
    }
}

fn count(counts: &mut SeatCounts, status: SeatStatus) {
    *match status {
        SeatStatus::Available => &mut counts.available,
        SeatStatus::Held => &mut counts.held,
        SeatStatus::Sold => &mut counts.sold,
        SeatStatus::Blocked => &mut counts.blocked,
    } += 1;
}

impl HallOverview {
    /// Counts the seats of a hall. `status` finds the state of a seat by its place among the seats.
    pub(super) fn of(order: Arc<SeatingOrder>, status: impl Fn(usize) -> Option<SeatStatus>) -> Self {
        let (mut counts, mut tallies) = (SeatCounts::default(), vec![GradeTally::NONE; order.grades.len()]);
        let mut sections = Vec::with_capacity(order.sections.len());
        // The counts of one section. Halls with many sections and grades have few of them together.
        let mut cells = vec![SectionGrade::default(); order.grades.len()];
        for section in &order.sections {
            let mut met = Vec::new();
            for seat in section.rows.iter().flat_map(|row| &row.seats) {
                let Some(status) = status(seat.index) else { continue };
                count(&mut counts, status);
                let (Some(cell), Some(tally)) = (cells.get_mut(seat.grade), tallies.get_mut(seat.grade)) else {
                    continue;
                };
                tally.add(seat.price, status);
                if status == SeatStatus::Blocked {
                    continue;
                }
                if cell.seats == 0 {
                    met.push(seat.grade);
                }
                cell.seats += 1;
                cell.left += i64::from(status == SeatStatus::Available);
            }
            met.sort_unstable();
            let taken = |place| Some(SectionGrade { place, ..std::mem::take(cells.get_mut(place)?) });
            sections
                .push(HallSection { name: section.name.clone(), grades: met.into_iter().filter_map(taken).collect() });
        }
        let known = order.grades.iter().zip(&tallies).enumerate().filter(|(_, (_, tally))| tally.for_sale() > 0);
        let grades = known.map(|(place, (grade, tally))| {
            let GradeTally { lowest, highest, books: GradeBooks { seats: counted, .. } } = *tally;
            let (name, mark, seats) = (grade.name.clone(), grade.mark.clone(), tally.for_sale());
            ConcertGrade { place, name, mark, lowest, highest, seats, left: counted.available, held: counted.held }
        });
        let grades = grades.collect();
        let books = tallies.into_iter().map(|tally| tally.books).collect();
        Self { order, grades, sections, counts, books }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::seatmap::order::OrderedSeat;
    use frontrow_domain::{id::SeatId, sale::SeatLabel};

    /// Seats as section, grade, price and the letter of their state.
    fn overview(seats: &[(&str, &str, i64, char)]) -> HallOverview {
        let labels: Vec<_> = (1_i32..)
            .zip(seats)
            .map(|(number, (section, grade, ..))| {
                let [section, grade] = [section, grade].map(|text| (*text).to_owned());
                Arc::new(SeatLabel { section, grade, number: number.to_string(), ..SeatLabel::default() })
            })
            .collect();
        let ordered = (1_i32..).zip(&labels).zip(seats).map(|((number, label), (_, _, price, _))| OrderedSeat {
            seat_id: SeatId::new(number.into()),
            seat_number: number,
            label,
            price: Money::new(*price),
        });
        let order = Arc::new(SeatingOrder::of(ordered));
        HallOverview::of(order, |index| {
            Some(match seats.get(index)?.3 {
                'A' => SeatStatus::Available,
                'H' => SeatStatus::Held,
                'S' => SeatStatus::Sold,
                _ => SeatStatus::Blocked,
            })
        })
    }

    #[test]
    fn what_is_not_for_sale_is_in_no_price_and_no_count_but_keeps_its_place_in_the_order() {
        let hall = overview(&[
            ("2층", "S", 90, 'A'),
            ("1층", "VIP", 180, 'H'),
            ("1층", "VIP", 500, 'B'),
            ("1층", "R", 120, 'S'),
            ("1층", "Box", 400, 'B'),
            ("3층", "S", 80, 'B'),
        ]);
        let names: Vec<_> = hall.order.grades.iter().map(|grade| grade.name.as_str()).collect();
        assert_eq!(names, ["VIP", "Box", "R", "S"], "dearest first, blocked seats too");
        let grades: Vec<_> = hall
            .grades
            .iter()
            .map(|grade| (grade.place, grade.highest.get(), grade.seats, grade.left, grade.held))
            .collect();
        assert_eq!(grades, [(0, 180, 1, 0, 1), (2, 120, 1, 0, 0), (3, 90, 1, 1, 0)]);
        let sections: Vec<_> = hall
            .sections
            .iter()
            .map(|section| {
                let grades = section.grades.iter().map(|grade| (grade.place, grade.seats, grade.left));
                (section.name.as_str(), grades.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(sections, [("1층", vec![(0, 1, 0), (2, 1, 0)]), ("2층", vec![(3, 1, 1)]), ("3층", vec![])]);
        assert_eq!(hall.counts, SeatCounts { available: 1, held: 1, sold: 1, blocked: 3 });
        let books: Vec<_> = hall
            .books
            .iter()
            .map(|GradeBooks { seats, money }| (seats.available, seats.blocked, money.sold, money.held))
            .collect();
        assert_eq!(books, [(0, 1, 0, 180), (0, 1, 0, 0), (0, 0, 120, 0), (1, 1, 0, 0)], "VIP, Box, R, S");
    }
}
