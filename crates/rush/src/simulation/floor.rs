//! How near a told wait can be at best: what an estimate tells that knows the distribution of the visits, the share of
//! those in front who will come, and the age of each visit in the room, but not what each person will do.
//!
//! For a full room of given ages the sale is drawn many times over; the median of the waits is told, and its distance
//! from each of them counts. No pace and no share has to be measured, no claim takes any time, and nothing changes.

use super::{people::lognormal, scenario::Scenario};
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

/// The least that told waits are off by, by how many are in front.
pub(super) fn floor_of(scenario: &Scenario, seed: u64) -> Vec<WaitFloor> {
    let mut rng = StdRng::seed_from_u64(seed);
    let room = FullRoom::of(scenario, &mut rng);
    let fronts = FRONT_PERMILLE.map(|part| (room.places * part).div_ceil(1_000));
    let most = fronts.into_iter().max().unwrap_or(0);
    let (mut errors, mut waits) = (fronts.map(|_| Vec::new()), fronts.map(|_| Vec::new()));
    for _ in 0..ROOMS {
        let ages: Vec<_> = (0..room.places).map(|_| room.age(&mut rng)).collect();
        let futures: Vec<_> = (0..FUTURES).map(|_| room.future(&ages, most, &mut rng)).collect();
        for (at, front) in fronts.iter().enumerate() {
            let mut came: Vec<_> = futures.iter().map(|future| future[*front]).collect();
            came.sort_unstable();
            let told = came[came.len() / 2];
            errors[at].extend(came.iter().map(|came| off_by(told, *came)));
            waits[at].extend(came);
        }
    }
    let middle = |mut values: Vec<i64>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    let of = |(front, (errors, waits)): (usize, (Vec<i64>, Vec<i64>))| WaitFloor {
        front,
        wait: real(middle(waits)) / 1_000_000.0,
        error_percent: real(middle(errors)) / 100.0,
    };
    fronts.into_iter().zip(errors.into_iter().zip(waits)).map(of).collect()
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
pub(super) fn floor_line(scenario: &Scenario, seed: u64) -> String {
    let floors = floor_of(scenario, seed).into_iter();
    let floors = floors.map(|floor| {
        format!("    {:>5} in front  {:>6.0} s  {:>5.1} % off at best", floor.front, floor.wait, floor.error_percent)
    });
    std::iter::once(scenario.name.to_owned() + &format!(" (visits of {} s)", scenario.visit.0.micros() / 1_000_000))
        .chain(floors)
        .collect::<Vec<_>>()
        .join("\n")
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
}
