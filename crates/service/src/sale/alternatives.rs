//! What to offer a buyer whose seats are taken: the nearest free seats of the same grade, as many, side by side in one
//! row if there are such.
//!
//! Many buyers are refused the same seats at once. Each is offered some of the nearest places by a random number, so
//! that they do not all meet again at one of them.

use crate::{
    caches::seatmap::{PlacedSeat, SeatSnapshot, SeatSpot},
    office::{BoxOffice, ServiceError},
};
use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    refusal::{EntityKind, Refusal},
    sale::SeatStatus,
};
use std::{collections::HashSet, sync::Arc};

/// How many places a buyer is offered at most.
pub const OFFERS_MAX: usize = 3;
/// Among how many of the nearest places the random number chooses.
const POOL_LEN: usize = 12;
/// A place is nearly as near as the nearest one if it is at most twice as far and this much further, in halves of a
/// seat's width.
const NEARLY: u64 = 30;
/// How far the next row is, in halves of a seat's width.
const ROW_STEP: u64 = 3;
/// By how much a place counts as further for each free seat that it would leave alone between taken ones.
const LONE_SEAT: u64 = 4;
/// How far the next section is, in the same halves: further than any seat of the same section usually is.
const SECTION_STEP: u64 = 400;

/// The seats that a buyer wanted, and free ones instead of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternatives {
    /// The wanted seats with their states now, in the order of the request.
    pub wanted: Vec<(PlacedSeat, SeatStatus)>,
    /// Free seats instead of all of them, nearest first; none if no wanted seat is taken.
    pub offers: Vec<SeatOffer>,
}

/// Free seats that may be held together instead of the wanted ones: as many, of the same grades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatOffer {
    pub seats: Vec<PlacedSeat>,
    /// Whether they are neighbours in one row.
    pub side_by_side: bool,
}

impl SeatOffer {
    /// The price of all of them.
    #[must_use]
    pub fn total(&self) -> Money {
        Money::new(self.seats.iter().fold(0, |total, seat| total.saturating_add(seat.price.get())))
    }
}

impl BoxOffice {
    /// The nearest free seats instead of wanted ones of which some are taken, from the cached hall: a picture, not a
    /// promise.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for a concert, or a seat that is not one of the concert's.
    pub async fn alternatives(&self, id: ConcertId, wanted: &[SeatId]) -> Result<Alternatives, ServiceError> {
        let hall = self.hall(id).await?;
        let seed = self.ids.uuid(self.now()).as_u64_pair().1;
        let found = alternatives(&hall, wanted, seed).ok_or(Refusal::NotFound { what: EntityKind::Seat })?;
        Ok(found)
    }

    /// The seats of a concert in their order, with the state of each: as fresh as its map.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn hall(&self, id: ConcertId) -> Result<Arc<SeatSnapshot>, ServiceError> {
        self.concert(id).await?;
        Ok(self.caches.seat_maps.snapshot(&*self.store, id).await?)
    }
}

/// What to offer instead of `wanted`; none if a seat is not one of the hall's.
fn alternatives(hall: &SeatSnapshot, wanted: &[SeatId], seed: u64) -> Option<Alternatives> {
    let mut spots = Vec::with_capacity(wanted.len());
    let mut seats = Vec::with_capacity(wanted.len());
    for id in wanted {
        let spot = hall.order.spot(*id)?;
        spots.push(spot);
        seats.push(hall.order.seat(spot)?);
    }
    let is_taken = seats.iter().any(|seat| !hall.is_free(seat));
    let offers = if is_taken { offers(hall, &seats, &mut spots, seed) } else { Vec::new() };
    let wanted = seats.into_iter().map(|seat| (seat.clone(), hall.status(seat))).collect();
    Some(Alternatives { wanted, offers })
}

fn offers(hall: &SeatSnapshot, seats: &[&PlacedSeat], spots: &mut [SeatSpot], seed: u64) -> Vec<SeatOffer> {
    spots.sort_unstable();
    // The middle of the wanted seats.
    let Some(middle) = spots.get(spots.len() / 2).copied() else { return Vec::new() };
    let Some(first) = seats.first() else { return Vec::new() };
    if seats.iter().all(|seat| seat.grade == first.grade) {
        let blocks = blocks(hall, middle, seats.len(), |seat| seat.grade == first.grade && hall.is_free(seat));
        if !blocks.is_empty() {
            return choose(blocks, seed);
        }
    }
    scattered(hall, seats, seed).into_iter().collect()
}

/// A row of the hall, and how far it is from the wanted seats: in sections, then in rows.
struct NearRow {
    section: usize,
    row: usize,
    distance: u64,
}

/// The rows of the hall, those of nearer sections first.
fn rows_by_distance(hall: &SeatSnapshot, from: SeatSpot) -> Vec<NearRow> {
    let mut rows: Vec<NearRow> = Vec::new();
    for (section, block) in hall.order.sections.iter().enumerate() {
        let steps = apart(section, from.section).saturating_mul(SECTION_STEP);
        let rows_of = block.rows.iter().enumerate();
        rows.extend(rows_of.map(|(row, _)| NearRow {
            section,
            row,
            distance: steps.saturating_add(apart(row, from.row).saturating_mul(ROW_STEP)),
        }));
    }
    rows.sort_by_key(|row| row.distance);
    rows
}

fn apart(one: usize, other: usize) -> u64 {
    u64::try_from(one.abs_diff(other)).unwrap_or(u64::MAX)
}

/// The middle of `len` seats of a row from `at` on, in halves of a seat's width from the left end of the longest row:
/// rows stand centred on each other.
fn column(longest: usize, row_len: usize, at: usize, len: usize) -> usize {
    (longest - row_len.min(longest)) + 2 * at + len.saturating_sub(1)
}

/// How many seats would be left alone beside `len` seats of a row from `at` on.
fn lone_seats(row: &[PlacedSeat], at: usize, len: usize, fits: &impl Fn(&PlacedSeat) -> bool) -> u64 {
    let is_open = |place: Option<usize>| place.and_then(|place| row.get(place)).is_some_and(fits);
    let is_beside = |place: usize| row.get(place).is_some_and(|seat| seat.beside_last);
    let (last, next) = (at.checked_sub(1), at + len);
    let before_last = at.checked_sub(2);
    let left = is_beside(at) && is_open(last) && !(last.is_some_and(is_beside) && is_open(before_last));
    let right = is_beside(next) && is_open(Some(next)) && !(is_beside(next + 1) && is_open(Some(next + 1)));
    u64::from(left) + u64::from(right)
}

/// A block of free neighbours, and how far it is from the wanted seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    distance: u64,
    section: usize,
    row: usize,
    at: usize,
}

/// The nearest blocks of `len` neighbours that `fits` allows and that share no seat, nearest first.
fn blocks(
    hall: &SeatSnapshot,
    from: SeatSpot,
    len: usize,
    fits: impl Fn(&PlacedSeat) -> bool,
) -> Vec<(u64, Vec<&PlacedSeat>)> {
    let sections = &hall.order.sections;
    let lens = sections.iter().flat_map(|section| &section.rows).map(|row| row.seats.len());
    let longest = lens.max().unwrap_or(0);
    let row_len = |section: usize, row: usize| {
        sections.get(section).and_then(|section| section.rows.get(row)).map_or(0, |row| row.seats.len())
    };
    let middle = column(longest, row_len(from.section, from.row), from.at, 1);
    let mut found: Vec<Block> = Vec::new();
    for near in rows_by_distance(hall, from) {
        // Rows only get further from here on.
        let worst = found.get(POOL_LEN - 1).map(|block| block.distance);
        if worst.is_some_and(|worst| near.distance > worst) {
            break;
        }
        let Some(row) = sections.get(near.section).and_then(|section| section.rows.get(near.row)) else { continue };
        let mut in_row = Vec::new();
        for (at, window) in row.seats.windows(len).enumerate() {
            let is_whole = window.iter().all(&fits) && window.iter().skip(1).all(|seat| seat.beside_last);
            if is_whole {
                let column = column(longest, row.seats.len(), at, len);
                let lone = lone_seats(&row.seats, at, len, &fits).saturating_mul(LONE_SEAT);
                let distance = near.distance.saturating_add(apart(column, middle)).saturating_add(lone);
                in_row.push(Block { distance, section: near.section, row: near.row, at });
            }
        }
        found.extend(nearest_apart(in_row, len));
        found.sort_unstable();
        found.truncate(POOL_LEN);
    }
    let seats = |block: &Block| {
        let row = sections.get(block.section).and_then(|section| section.rows.get(block.row))?;
        Some((block.distance, row.seats.get(block.at..block.at + len)?.iter().collect()))
    };
    found.iter().filter_map(seats).collect()
}

/// The nearest of a row's blocks of `len` seats that share no seat, nearest first: as many as can be among the nearest of
/// the hall. A hall may be one row, so the work grows with its length alone.
fn nearest_apart(mut in_row: Vec<Block>, len: usize) -> Vec<Block> {
    // Each that is kept shares a seat with itself and the `2 * len - 2` around it: so many hold all that are wanted.
    let enough = POOL_LEN * (2 * len).saturating_sub(1);
    if in_row.len() > enough {
        in_row.select_nth_unstable(enough);
        in_row.truncate(enough);
    }
    in_row.sort_unstable();
    let mut kept: Vec<Block> = Vec::with_capacity(POOL_LEN);
    for block in in_row {
        if kept.len() == POOL_LEN {
            break;
        }
        if kept.iter().all(|other| other.at.abs_diff(block.at) >= len) {
            kept.push(block);
        }
    }
    kept
}

/// Some of the blocks that are nearly as near as the nearest, by the random number; nearest first.
fn choose(mut blocks: Vec<(u64, Vec<&PlacedSeat>)>, seed: u64) -> Vec<SeatOffer> {
    let nearest = blocks.first().map_or(0, |(distance, _)| *distance);
    let furthest = nearest.saturating_mul(2).saturating_add(NEARLY);
    let near = blocks.iter().take_while(|(distance, _)| *distance <= furthest).count();
    blocks.truncate(near.max(OFFERS_MAX));
    let mut random = seed;
    while blocks.len() > OFFERS_MAX {
        random = mixed(random);
        let len = u64::try_from(blocks.len()).unwrap_or(1);
        blocks.remove(usize::try_from(random % len).unwrap_or(0));
    }
    blocks
        .into_iter()
        .map(|(_, seats)| SeatOffer { seats: seats.into_iter().cloned().collect(), side_by_side: true })
        .collect()
}

/// The wanted seats that are free, and for each other one the nearest free seat of its grade, or one nearly as near by
/// the random number. None if a grade has too few.
fn scattered(hall: &SeatSnapshot, seats: &[&PlacedSeat], seed: u64) -> Option<SeatOffer> {
    let mut chosen: Vec<&PlacedSeat> = seats.iter().copied().filter(|seat| hall.is_free(seat)).collect();
    let mut used: HashSet<SeatId> = chosen.iter().map(|seat| seat.seat_id).collect();
    let mut random = seed;
    for seat in seats.iter().filter(|seat| !hall.is_free(seat)) {
        let from = hall.order.spot(seat.seat_id)?;
        let fits =
            |found: &PlacedSeat| found.grade == seat.grade && hall.is_free(found) && !used.contains(&found.seat_id);
        let near = blocks(hall, from, 1, fits);
        random = mixed(random);
        let len = u64::try_from(near.len().min(OFFERS_MAX)).unwrap_or(0);
        let at = usize::try_from(random.checked_rem(len)?).ok()?;
        let found = *near.get(at)?.1.first()?;
        used.insert(found.seat_id);
        chosen.push(found);
    }
    chosen.sort_by_key(|seat| hall.order.spot(seat.seat_id));
    Some(SeatOffer { seats: chosen.into_iter().cloned().collect(), side_by_side: false })
}

/// The next number of a sequence that looks random (`SplitMix64`).
const fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::seatmap::order::{OrderedSeat, SeatingOrder};
    use frontrow_domain::sale::SeatLabel;

    /// A hall of one section from rows like `"AA.H aa"`: capitals are of grade VIP, others of R. `A` and `a` are free,
    /// `H` and `h` held, a dot is a number that no seat has. Seats are numbered by row and place: row 2's third is 203.
    fn hall(rows: &[&str]) -> SeatSnapshot {
        halls(&[rows])
    }

    fn halls(sections: &[&[&str]]) -> SeatSnapshot {
        let (mut seats, mut states) = (Vec::new(), Vec::new());
        for (section, rows) in sections.iter().enumerate() {
            for (row, letters) in rows.iter().enumerate() {
                for (at, letter) in letters.chars().enumerate().filter(|(_, letter)| *letter != '.') {
                    let grade = if letter.is_ascii_uppercase() { "VIP" } else { "R" };
                    let [number, row_name] = [at + 1, row + 1].map(|number| number.to_string());
                    let id = i64::try_from(10_000 * section + 100 * (row + 1) + at + 1).unwrap();
                    let label =
                        SeatLabel { section: section.to_string(), row: row_name, number, grade: grade.to_owned() };
                    seats.push((id, Arc::new(label)));
                    states.push(match letter.to_ascii_uppercase() {
                        'A' => SeatStatus::Available,
                        _ => SeatStatus::Held,
                    });
                }
            }
        }
        let order = SeatingOrder::of(seats.iter().zip(1_i32..).map(|((id, label), seat_number)| OrderedSeat {
            seat_id: SeatId::new(*id),
            seat_number,
            label,
            price: Money::new(if label.grade == "VIP" { 180_000 } else { 120_000 }),
        }));
        SeatSnapshot::new(Arc::new(order), states.into())
    }

    fn offered(hall: &SeatSnapshot, wanted: &[i64], seed: u64) -> Vec<Vec<i64>> {
        let wanted: Vec<_> = wanted.iter().map(|id| SeatId::new(*id)).collect();
        let found = alternatives(hall, &wanted, seed).unwrap();
        found.offers.iter().map(|offer| offer.seats.iter().map(|seat| seat.seat_id.get()).collect()).collect()
    }

    #[test]
    fn the_nearest_block_of_the_same_grade_and_number_is_offered() {
        let hall = hall(&["HHHH", "HHAA", "HHHH", "aaaa"]);
        assert_eq!(offered(&hall, &[102, 103], 1), [[203, 204]]);
        // Row 4 is of another grade, and nothing holds three.
        let three = offered(&hall, &[101, 102, 103], 1);
        assert_eq!(three, Vec::<Vec<i64>>::new(), "two free seats of the grade are fewer than three");
        assert_eq!(offered(&hall, &[401], 1), Vec::<Vec<i64>>::new(), "a free seat needs no alternative");
    }

    #[test]
    fn a_gap_or_another_grade_ends_a_block() {
        let hall = hall(&["HH", "A.AH", "Aa", "AAAA"]);
        for seed in 0..20 {
            let offers = offered(&hall, &[101, 102], seed);
            assert_eq!(offers, [[403, 404], [401, 402]], "two pairs, and no seat is left alone between them");
        }
    }

    #[test]
    fn wanted_seats_that_are_free_may_be_part_of_the_block() {
        let hall = hall(&["HAAAHHHHHHHHHHHHHHHHH"]);
        let found = alternatives(&hall, &[101, 102, 103].map(SeatId::new), 1).unwrap();
        let states: Vec<_> = found.wanted.iter().map(|(_, status)| *status).collect();
        assert_eq!(states, [SeatStatus::Held, SeatStatus::Available, SeatStatus::Available]);
        let seats: Vec<_> = found.offers[0].seats.iter().map(|seat| seat.seat_id.get()).collect();
        assert_eq!((seats, found.offers[0].side_by_side), (vec![102, 103, 104], true));
    }

    #[test]
    fn without_a_block_each_taken_seat_has_the_nearest_free_one_instead() {
        let hall = hall(&["HAHAHHHHHHHHHHHHA", "hahh"]);
        let wanted = [101, 102, 201].map(SeatId::new);
        let found = alternatives(&hall, &wanted, 1).unwrap();
        let [offer] = found.offers.as_slice() else { panic!("{found:?}") };
        assert!(!offer.side_by_side);
        let grades: Vec<_> = offer.seats.iter().map(|seat| seat.label.grade.as_str()).collect();
        assert_eq!(grades, ["VIP", "VIP", "R"]);
        assert!(offer.seats.iter().all(|seat| hall.is_free(seat)));
        assert!(offer.seats.iter().any(|seat| seat.seat_id == SeatId::new(102)), "the free one that was wanted stays");
    }

    #[test]
    fn the_same_section_comes_first() {
        let hall = halls(&[&["AAAAAA"], &["HHHHHH", "HHHHHH", "AAHHHH"], &["AAAAAA"]]);
        assert_eq!(offered(&hall, &[10_105, 10_106], 7)[0], [10_301, 10_302]);
    }

    #[test]
    fn many_buyers_are_not_sent_to_the_same_seats() {
        let row = "A".repeat(40);
        let rows: Vec<&str> = std::iter::once("H".repeat(40).leak() as &str).chain([row.as_str(); 9]).collect();
        let hall = hall(&rows);
        let mut firsts = HashSet::new();
        for seed in 0..200 {
            let offers = offered(&hall, &[120, 121], seed);
            assert_eq!(offers.len(), OFFERS_MAX);
            let seats: Vec<_> = offers.concat();
            assert_eq!(seats.iter().collect::<HashSet<_>>().len(), seats.len(), "{offers:?}");
            assert!(seats.iter().all(|seat| *seat < 700), "near: {offers:?}");
            firsts.insert(offers[0].clone());
            assert_eq!(offers, offered(&hall, &[120, 121], seed), "a seed decides");
        }
        assert!(firsts.len() >= 6, "{firsts:?}");
    }

    #[test]
    fn a_seat_of_another_hall_is_not_known() {
        assert_eq!(alternatives(&hall(&["AH"]), &[SeatId::new(102), SeatId::new(999)], 1), None);
    }

    #[test]
    fn the_nearest_blocks_of_a_long_row_are_the_first_of_all_that_share_no_seat() {
        let block = |distance: u64, at: usize| Block { distance, section: 0, row: 0, at };
        // Every block is compared with every other.
        let all_apart = |mut blocks: Vec<Block>, len: usize| {
            blocks.sort_unstable();
            let mut kept: Vec<Block> = Vec::new();
            for block in blocks {
                if kept.iter().all(|other| other.at.abs_diff(block.at) >= len) {
                    kept.push(block);
                }
            }
            kept.truncate(POOL_LEN);
            kept
        };
        let mut seed = 7;
        for len in [1, 2, 4, 20] {
            for count in [0, 1, 11, 12, 13, 40, 1_000] {
                let mut random = || {
                    seed = mixed(seed);
                    seed % 50
                };
                let blocks: Vec<_> = (0..count).map(|at| block(random(), at)).collect();
                let kept = nearest_apart(blocks.clone(), len);
                assert_eq!(kept, all_apart(blocks, len), "{count} blocks of {len}");
            }
        }
        // No more are kept, and compared with each next one, than can be offered.
        let row = (0..100_000).map(|at| block(apart(at, 40_000), at)).collect();
        assert_eq!(nearest_apart(row, 1).len(), POOL_LEN);
    }

    #[test]
    fn in_a_hall_of_one_row_the_nearest_seats_are_offered() {
        let labels: Vec<_> = (1..=50_000)
            .map(|number: i32| Arc::new(SeatLabel { number: number.to_string(), ..SeatLabel::default() }))
            .collect();
        let order = SeatingOrder::of((1_i32..).zip(&labels).map(|(number, label)| OrderedSeat {
            seat_id: SeatId::new(number.into()),
            seat_number: number,
            label,
            price: Money::new(99_000),
        }));
        let mut states = vec![SeatStatus::Available; labels.len()];
        states[24_999] = SeatStatus::Sold;
        let hall = SeatSnapshot::new(Arc::new(order), states.into());
        for seed in 0..10 {
            for offer in offered(&hall, &[25_000], seed) {
                assert!(offer.iter().all(|seat| seat.abs_diff(25_000) <= 16), "{offer:?}");
            }
        }
        assert_eq!(offered(&hall, &[25_000, 25_001], 1).len(), OFFERS_MAX);
    }

    #[test]
    fn a_full_house_has_no_offer_and_a_row_shorter_than_the_wish_no_block() {
        assert_eq!(offered(&hall(&["HHHH", "HHHH"]), &[101, 102], 3), Vec::<Vec<i64>>::new());
        assert_eq!(offered(&hall(&["HHH", "A", "A", "A"]), &[101, 102, 103], 3), [[201, 301, 401]]);
    }
}
