//! A hall in numbers: the seats of each grade in each section, by state.

use crate::{cockpit::shell::CockpitShell, html::hall_words::HallWords};
use frontrow_domain::{money::Money, sale::SeatStatus};
use frontrow_service::sale::SeatSnapshot;
use frontrow_storage::SeatCounts;
use std::collections::BTreeMap;

/// The seats of a grade in a section.
#[derive(Debug)]
pub(super) struct CountedGrade {
    pub(super) section: String,
    pub(super) grade: String,
    pub(super) mark: String,
    pub(super) style: &'static str,
    pub(super) prices: String,
    pub(super) all: i64,
    pub(super) counts: SeatCounts,
}

/// All seats.
pub(super) const fn total(counts: &SeatCounts) -> i64 {
    counts.available + counts.held + counts.sold + counts.blocked
}

fn add(counts: &mut SeatCounts, status: SeatStatus) {
    *match status {
        SeatStatus::Available => &mut counts.available,
        SeatStatus::Held => &mut counts.held,
        SeatStatus::Sold => &mut counts.sold,
        SeatStatus::Blocked => &mut counts.blocked,
    } += 1;
}

/// The seats of a hall by section and grade, in their order.
pub(super) fn of(
    shell: &CockpitShell,
    words: &HallWords,
    hall: &SeatSnapshot,
    styles: &[&'static str],
) -> Vec<CountedGrade> {
    let mut lines = Vec::new();
    for section in &hall.order.sections {
        let mut grades: BTreeMap<usize, (SeatCounts, Money, Money)> = BTreeMap::new();
        for seat in section.rows.iter().flat_map(|row| &row.seats) {
            let (counts, lowest, highest) =
                grades.entry(seat.grade).or_insert((SeatCounts::default(), seat.price, seat.price));
            add(counts, hall.status(seat));
            (*lowest, *highest) = ((*lowest).min(seat.price), (*highest).max(seat.price));
        }
        let name = if section.name.is_empty() { words.word("hall") } else { &section.name };
        for (place, (counts, lowest, highest)) in grades {
            let Some(grade) = hall.order.grades.get(place) else { continue };
            let prices = if lowest == highest {
                shell.money(&lowest)
            } else {
                format!("{}–{}", shell.money(&lowest), shell.money(&highest))
            };
            lines.push(CountedGrade {
                section: name.to_owned(),
                grade: if grade.name.is_empty() { words.word("nograde").to_owned() } else { grade.name.clone() },
                mark: grade.mark.clone(),
                style: styles.get(place).copied().unwrap_or_default(),
                prices,
                all: total(&counts),
                counts,
            });
        }
    }
    lines
}
