//! How near a told wait can be at best: what an estimate tells that knows the distribution of the visits, the share of
//! those in front who will come, and the age of each visit in the room, but not what each person will do.
//!
//! For a full room of given ages the sale is drawn many times over; the median of the waits is told, and its distance
//! from each of them counts. No pace and no share has to be measured, no claim takes any time, and nothing changes.

use super::{
    SimulatedSale,
    measure::{Prediction, WAIT_MIN},
    people::lognormal,
    scenario::Scenario,
};
use anyhow::Result;
use frontrow_domain::policy::Policy;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{cmp::Reverse, collections::BinaryHeap};

/// So many rooms are drawn, each with so many futures.
const ROOMS: usize = 40;
const FUTURES: usize = 100;
/// Visits of which the ages in a full room are drawn.
const VISITS: usize = 4_000;
/// How many are in front, in parts of the places of the room, in thousandths.
const FRONT_PERMILLE: [usize; 9] = [120, 250, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_500];
/// The same of lines that are longer than the ones that are printed.
const FAR_FRONT_PERMILLE: [usize; 6] = [7_000, 10_000, 15_000, 22_000, 33_000, 50_000];

/// What a perfect estimate is off by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WaitFloor {
    /// How many are in front.
    pub(super) front: usize,
    /// The median wait, in seconds.
    pub(super) wait: f64,
    /// The median distance, in per cent of the wait that comes.
    pub(super) error_percent: f64,
}

/// The room of a scenario.
struct FullRoom {
    places: usize,
    visits: Vec<i64>,
    comes: f64,
}

impl FullRoom {
    fn of(scenario: &Scenario, rng: &mut StdRng) -> Self {
        let idle = Policy::default().idle_limit.micros();
        let shares = &scenario.shares;
        let visit = |rng: &mut StdRng| {
            let visit = lognormal(scenario.visit.0, scenario.visit.1, rng).micros();
            if rng.random::<f64>() * 100.0 < shares.closers { visit + idle } else { visit }
        };
        let mut visits: Vec<_> = (0..VISITS).map(|_| visit(rng)).collect();
        visits.sort_unstable();
        // Tokens that leave by the button are not in front any more when their turn would come.
        let heads = 100.0 - shares.leavers;
        let comes = (heads - shares.ghosts - shares.no_shows) / heads;
        Self { places: usize::try_from(scenario.max_active).unwrap_or(1), visits, comes }
    }

    fn visit(&self, rng: &mut StdRng) -> i64 {
        self.visits[rng.random_range(0..self.visits.len())]
    }

    /// The age of a visit in the room: a long one is met more often.
    fn age(&self, rng: &mut StdRng) -> i64 {
        let longest = self.visits.last().copied().unwrap_or(1).max(1);
        loop {
            let (visit, at) = (self.visit(rng), rng.random_range(0..longest));
            if at < visit {
                return at;
            }
        }
    }

    /// What is left of a visit of this age.
    fn rest(&self, age: i64, rng: &mut StdRng) -> i64 {
        let longer = self.visits.partition_point(|visit| *visit <= age);
        let at = rng.random_range(longer.min(self.visits.len() - 1)..self.visits.len());
        self.visits[at].saturating_sub(age).max(0)
    }

    /// One future: when each person in line finds a place, if only people who come take one.
    fn future(&self, ages: &[i64], front: usize, rng: &mut StdRng) -> Vec<i64> {
        let mut ends: BinaryHeap<_> = ages.iter().map(|age| Reverse(self.rest(*age, rng))).collect();
        let mut waits = Vec::with_capacity(front + 1);
        for _ in 0..=front {
            let next = ends.peek().map_or(0, |next| next.0);
            waits.push(next);
            if rng.random::<f64>() < self.comes {
                ends.pop();
                ends.push(Reverse(next + self.visit(rng)));
            }
        }
        waits
    }
}

/// The waits of many futures with so many in front, and how far they are from what is told of them.
struct DrawnWaits {
    front: usize,
    /// The median wait, in microseconds.
    wait: i64,
    /// Hundredths of a per cent of the wait that comes.
    errors: Vec<i64>,
}

/// Draws the waits with so many in front, for each of these numbers.
fn draw_waits(scenario: &Scenario, seed: u64, fronts_permille: &[usize]) -> Vec<DrawnWaits> {
    let mut rng = StdRng::seed_from_u64(seed);
    let room = FullRoom::of(scenario, &mut rng);
    let fronts: Vec<_> = fronts_permille.iter().map(|part| (room.places * part).div_ceil(1_000)).collect();
    let most = fronts.iter().copied().max().unwrap_or(0);
    let mut drawn: Vec<_> = fronts.iter().map(|_| (Vec::new(), Vec::new())).collect();
    for _ in 0..ROOMS {
        let ages: Vec<_> = (0..room.places).map(|_| room.age(&mut rng)).collect();
        let futures: Vec<_> = (0..FUTURES).map(|_| room.future(&ages, most, &mut rng)).collect();
        for (front, (errors, waits)) in fronts.iter().zip(&mut drawn) {
            let mut came: Vec<_> = futures.iter().map(|future| future[*front]).collect();
            came.sort_unstable();
            let told = came[came.len() / 2];
            errors.extend(came.iter().map(|came| off_by(told, *came)));
            waits.extend(came);
        }
    }
    let of = |(front, (errors, waits))| DrawnWaits { front, wait: middle(waits), errors };
    fronts.into_iter().zip(drawn).map(of).collect()
}

fn middle(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// The least that told waits are off by, by how many are in front.
pub(super) fn floor_of(scenario: &Scenario, seed: u64) -> Vec<WaitFloor> {
    let drawn = draw_waits(scenario, seed, &FRONT_PERMILLE).into_iter();
    let of = |DrawnWaits { front, wait, errors }| WaitFloor {
        front,
        wait: real(wait) / 1_000_000.0,
        error_percent: real(middle(errors)) / 100.0,
    };
    drawn.map(of).collect()
}

/// The least that the told waits of the scenario's sale with this seed are off by in the median, in per cent: each answer
/// counts for the drawn waits that are nearest to the wait that came.
///
/// # Errors
/// The rules of the sale refused what they must not refuse.
pub(super) fn floor_of_answers(scenario: &Scenario, seed: u64) -> Result<f64> {
    let mut sale = SimulatedSale::open(scenario.clone(), seed)?;
    sale.go_on()?;
    let people = usize::try_from(scenario.people)?;
    let places = usize::try_from(scenario.max_active)?;
    let fronts: Vec<_> =
        FRONT_PERMILLE.into_iter().chain(FAR_FRONT_PERMILLE).filter(|part| places * part / 1_000 < people).collect();
    let drawn = draw_waits(scenario, seed, &fronts);
    let mut answers = vec![0_i64; drawn.len()];
    for came in sale.record.people.iter().flat_map(Prediction::of).map(|one| one.came).filter(|came| *came >= WAIT_MIN)
    {
        let apart = |waits: &DrawnWaits| (real(waits.wait.max(1)) / real(came.micros())).ln().abs();
        let nearest = (0..drawn.len()).min_by(|one, other| apart(&drawn[*one]).total_cmp(&apart(&drawn[*other])));
        if let Some(nearest) = nearest {
            answers[nearest] += 1;
        }
    }
    let of_waits = |(waits, answers): (DrawnWaits, i64)| waits.errors.into_iter().map(move |error| (error, answers));
    let mut errors: Vec<_> = drawn.into_iter().zip(answers).flat_map(of_waits).collect();
    errors.sort_unstable();
    let half = errors.iter().map(|(_, answers)| answers).sum::<i64>() / 2;
    let mut passed = 0;
    let middle = errors.iter().find(|(_, answers)| {
        passed += answers;
        passed >= half
    });
    Ok(middle.map_or(0.0, |(error, _)| real(*error) / 100.0))
}

/// A distance in hundredths of a per cent of the wait that came.
fn off_by(told: i64, came: i64) -> i64 {
    told.saturating_sub(came).saturating_abs().saturating_mul(10_000) / came.max(1)
}

#[expect(clippy::cast_precision_loss, reason = "seconds and hundredths of a per cent")]
fn real(value: i64) -> f64 {
    value as f64
}

/// What is printed of a scenario.
///
/// # Errors
/// The rules of the sale refused what they must not refuse.
pub(super) fn floor_line(scenario: &Scenario, seed: u64) -> Result<String> {
    let head = scenario.name.to_owned() + &format!(" (visits of {} s)", scenario.visit.0.micros() / 1_000_000);
    let floors = floor_of(scenario, seed).into_iter().map(|floor| {
        format!("    {:>5} in front  {:>6.0} s  {:>5.1} % off at best", floor.front, floor.wait, floor.error_percent)
    });
    let all = format!("    all, as the answers lie  {:>5.1} % off at best", floor_of_answers(scenario, seed)?);
    Ok(std::iter::once(head).chain(floors).chain([all]).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_nearer_the_longer_it_is_and_if_all_come() {
        let of = |name: &str| {
            let scenario = Scenario::all().into_iter().find(|scenario| scenario.name == name).unwrap();
            floor_of(&scenario, 1)
        };
        let (plain, ghosts) = (of("plain_free"), of("ghosts_free"));
        let off = |floors: &[WaitFloor], at: usize| floors[at].error_percent;
        assert!(off(&plain, 8) < off(&plain, 2) && off(&ghosts, 8) < off(&ghosts, 2), "{plain:?} {ghosts:?}");
        assert!(off(&plain, 4) < off(&ghosts, 4), "{plain:?} {ghosts:?}");
        // Forty in front of whom all come, in a room of forty: they wait for about a visit.
        assert!((35.0..=50.0).contains(&plain[4].wait), "{:?}", plain[4]);
    }

    /// As far as an estimate may come in the sales whose told waits are measured.
    #[test]
    fn the_answers_of_a_sale_are_told_no_nearer_than_this() {
        let of = |name: &str| {
            let scenario = Scenario::all().into_iter().find(|scenario| scenario.name == name).unwrap();
            floor_of_answers(&scenario, 1).unwrap()
        };
        let (plain, life) = (of("plain_free"), of("life"));
        assert!((3.0..=7.0).contains(&plain), "plain_free: {plain} %");
        assert!((9.0..=13.0).contains(&life), "life: {life} %");
    }
}
