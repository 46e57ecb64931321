//! What lines share: the places of the house's budget between the rooms, and the places and turns of a room between its
//! general line and its lanes. Integers, and the same result for the same rows.

use super::Room;
use crate::{
    changes::RoomCounts,
    id::RoomId,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most tokens that a house's budget may let in.
pub const HOUSE_BUDGET_MAX: i64 = 1_000_000;
/// How many lines share a budget at most: one command sees them all.
pub const ROOMS_SHARED_MAX: u32 = 1_000;
/// What the lines of one room share, in per cent.
const ALL_PERCENT: i64 = 100;

/// How much of the house's budget is a room's, beside the other rooms: of two that are both in demand, one of weight 2
/// gets twice the places of one of weight 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 1, maximum = 100, example = 1))]
#[serde(try_from = "i64", into = "i64")]
pub struct RoomWeight(i64);

impl RoomWeight {
    /// The weight of a room unless an operator sets another.
    pub const DEFAULT: Self = Self(1);

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl Default for RoomWeight {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<i64> for RoomWeight {
    type Error = &'static str;

    fn try_from(weight: i64) -> Result<Self, Self::Error> {
        if (1..=100).contains(&weight) { Ok(Self(weight)) } else { Err("a weight is from 1 to 100") }
    }
}

impl From<RoomWeight> for i64 {
    fn from(weight: RoomWeight) -> Self {
        weight.0
    }
}

/// Whose shares are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareScope {
    /// Those of all rooms of the house.
    House,
    /// Those of a general line and its lanes, of a house without a budget.
    Line(RoomId),
}

/// A party to what is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareClaim {
    /// Its weight beside the others.
    pub weight: i64,
    /// The most that it can use.
    pub demand: i64,
}

/// Shares `total` out by weight: no claim gets more than its demand, what one does not need goes to the others by their
/// weights, and nothing is left while a demand is not met (weighted max-min). Parts of a whole go to the largest
/// remainders, and of equal ones to those in front. Each claim with a demand gets one at least, if there are enough.
#[must_use]
pub fn share_out(total: i64, claims: &[ShareClaim]) -> Vec<i64> {
    let mut shares = vec![0_i64; claims.len()];
    let mut put = |at: usize, share: i64| {
        if let Some(place) = shares.get_mut(at) {
            *place = share;
        }
    };
    let claiming = |(_, claim): &(usize, ShareClaim)| claim.demand > 0 && claim.weight > 0;
    let mut order: Vec<_> = claims.iter().copied().enumerate().filter(claiming).collect();
    // The smallest demand for its weight is met first.
    let by_weight = |one: ShareClaim, other: ShareClaim| one.demand.saturating_mul(other.weight);
    order.sort_by(|(_, one), (_, other)| by_weight(*one, *other).cmp(&by_weight(*other, *one)));
    let (mut left, mut rest) = (total.max(0), order.as_slice());
    let mut weights = order.iter().fold(0_i64, |sum, (_, claim)| sum.saturating_add(claim.weight));
    while let [(at, claim), others @ ..] = rest {
        if claim.demand.saturating_mul(weights) > left.saturating_mul(claim.weight) {
            break;
        }
        put(*at, claim.demand);
        left = left.saturating_sub(claim.demand);
        weights = weights.saturating_sub(claim.weight);
        rest = others;
    }
    // The demands of all others are above their parts.
    let mut remainders = Vec::with_capacity(rest.len());
    let mut over = left;
    for (at, claim) in rest {
        let part = left.saturating_mul(claim.weight);
        let whole = part.checked_div(weights).unwrap_or(0);
        put(*at, whole);
        over = over.saturating_sub(whole);
        remainders.push((part.checked_rem(weights).unwrap_or(0), *at, whole));
    }
    remainders.sort_by_key(|(remainder, at, _)| (std::cmp::Reverse(*remainder), *at));
    for (_, at, whole) in remainders.into_iter().take(usize::try_from(over).unwrap_or(0)) {
        put(at, whole.saturating_add(1));
    }
    give_each_one(&mut shares, claims);
    shares
}

/// Takes one from those with the most for each claim that would get nothing.
fn give_each_one(shares: &mut [i64], claims: &[ShareClaim]) {
    for (at, claim) in claims.iter().enumerate() {
        if claim.demand <= 0 || claim.weight <= 0 || shares.get(at).is_none_or(|share| *share > 0) {
            continue;
        }
        let most = shares.iter().copied().enumerate().max_by_key(|(at, share)| (*share, std::cmp::Reverse(*at)));
        let Some((from, share)) = most.filter(|(_, share)| *share > 1) else { return };
        for (place, value) in [(from, share.saturating_sub(1)), (at, 1)] {
            if let Some(place) = shares.get_mut(place) {
                *place = value;
            }
        }
    }
}

/// How long before its turns begin a line gets its share of a budget: lines are shared anew once a second.
const SHARED_BEFORE: Span = Span::from_secs(5);

/// A line that shares places with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedLine {
    /// Its room.
    pub room_id: RoomId,
    /// The weight of the room, which a lane has from its general line.
    pub weight: RoomWeight,
    /// The part of the room's places that a lane has, in per cent; none for a general line.
    pub lane_percent: Option<i64>,
    /// The cap of the room, which a lane has from its general line.
    pub max_active: i64,
    /// The rate of the room, which a lane has from its general line.
    pub admit_per_minute: Option<i64>,
    /// How many tokens are active in it.
    pub active: i64,
    /// How many turns are offered.
    pub offered: i64,
    /// How many tokens wait for a turn.
    pub waiting: i64,
    /// Its share so far.
    pub allotment: Option<i64>,
}

impl SharedLine {
    /// The line of a room with these counts, in which so many tokens wait.
    ///
    /// If the house has a budget, they demand none of its places while the line rests: until some seconds before its turns
    /// begin, which is `lead` before its sale opens, while it is paused or drawn, and after its sale. What a
    /// line and its lanes share of their own room alone does not change by that: they open and are paused together.
    #[must_use]
    pub fn of(room: &Room, counts: RoomCounts, waiting: i64, budget: Option<i64>, (now, lead): (Time, Span)) -> Self {
        let RoomCounts { active, offered, .. } = counts;
        let demands = budget.is_none() || room.may_move(now, lead) || room.may_move(now.plus(SHARED_BEFORE), lead);
        let waiting = if demands { waiting } else { 0 };
        Self {
            room_id: room.room_id,
            weight: room.weight,
            lane_percent: room.lane.map(|lane| lane.share.percent()),
            max_active: room.max_active,
            admit_per_minute: room.admit_per_minute,
            active,
            offered,
            waiting,
            allotment: room.allotment,
        }
    }

    /// Whether it takes places, or has a share of them.
    #[must_use]
    pub fn takes_part(&self) -> bool {
        self.active > 0 || self.offered > 0 || self.allotment.is_some_and(|places| places > 0)
    }

    /// How many places it could use now.
    fn demand(&self) -> i64 {
        let tokens = self.active.max(0).saturating_add(self.offered.max(0)).saturating_add(self.waiting.max(0));
        tokens.min(self.max_active.max(0))
    }
}

/// The share of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineShare {
    /// Its room.
    pub room_id: RoomId,
    /// How many tokens may be active at once; none if it shares with no other line.
    pub allotment: Option<i64>,
    /// How many turns it may offer in a minute; none if it shares no rate.
    pub rate_share: Option<i64>,
}

/// A general line and its lanes, or those of them that are given.
struct Family {
    lines: Vec<SharedLine>,
    max_active: i64,
    weight: i64,
    /// By line: its part of the room, in per cent.
    parts: Vec<i64>,
}

impl Family {
    fn of(lines: Vec<SharedLine>) -> Self {
        let of_lanes = lines.iter().filter_map(|line| line.lane_percent).fold(0, i64::saturating_add);
        let general = ALL_PERCENT.saturating_sub(of_lanes).max(1);
        Self {
            max_active: lines.iter().map(|line| line.max_active.max(0)).max().unwrap_or(0),
            weight: lines.first().map_or(1, |line| line.weight.get()),
            parts: lines.iter().map(|line| line.lane_percent.unwrap_or(general)).collect(),
            lines,
        }
    }

    fn has_lanes(&self) -> bool {
        self.lines.iter().any(|line| line.lane_percent.is_some())
    }

    fn demand(&self) -> i64 {
        self.lines.iter().map(SharedLine::demand).fold(0, i64::saturating_add).min(self.max_active)
    }

    fn share_out(&self, total: i64, demand: impl Fn(usize, &SharedLine) -> i64) -> Vec<i64> {
        let claim = |(at, (line, weight)): (usize, (&SharedLine, &i64))| ShareClaim {
            weight: *weight,
            demand: demand(at, line),
        };
        share_out(total, &self.lines.iter().zip(&self.parts).enumerate().map(claim).collect::<Vec<_>>())
    }

    /// The places of its lines of `total`. What no line needs is the general line's.
    fn places(&self, total: i64) -> Vec<i64> {
        let mut places = self.share_out(total, |_, line| line.demand());
        let given = places.iter().copied().fold(0, i64::saturating_add);
        let general = self.lines.iter().position(|line| line.lane_percent.is_none());
        if let Some(place) = general.and_then(|at| places.get_mut(at)) {
            *place = place.saturating_add(total.saturating_sub(given).max(0)).min(self.max_active);
        }
        places
    }

    /// The turns a minute of its lines; none if there is no rate to share. While no token waits, each has its part.
    fn rates(&self) -> Option<Vec<i64>> {
        let rate = self.lines.iter().find_map(|line| line.admit_per_minute).filter(|_| self.has_lanes())?;
        let is_empty = self.lines.iter().all(|line| line.waiting <= 0);
        Some(self.share_out(rate, |_, line| if is_empty || line.waiting > 0 { rate } else { 0 }))
    }
}

/// The shares of these lines: of a house with a budget, all lines in which a token is active or waits or that have a
/// share; of one without, those of rooms with lanes, and any that have a share from before.
///
/// A room that is to have less has less at once; its active tokens stay until they end. One that is to have more gets no
/// more than is free: as long as the budget is not lowered below what is active, the places that are given and those
/// that are taken are together never more than the budget, nor in the lines of one room more than its cap.
#[must_use]
pub fn shares(budget: Option<i64>, lines: &[SharedLine]) -> Vec<LineShare> {
    let mut by_room: BTreeMap<RoomId, BTreeMap<RoomId, SharedLine>> = BTreeMap::new();
    for line in lines {
        by_room.entry(line.room_id.general()).or_default().insert(line.room_id, *line);
    }
    let families: Vec<_> = by_room.into_values().map(|lines| Family::of(lines.into_values().collect())).collect();
    let totals = match budget {
        Some(budget) => totals(budget, &families),
        None => families.iter().map(|family| family.max_active).collect(),
    };
    let mut steps: Vec<_> = families.iter().zip(totals).flat_map(|(family, total)| steps(family, total)).collect();
    if let Some(budget) = budget {
        keep_within(budget, &mut steps);
    }
    let rates = families.iter().flat_map(|family| {
        let rates = family.rates();
        (0..family.lines.len()).map(move |at| rates.as_ref().and_then(|rates| rates.get(at).copied()))
    });
    let is_shared = families.iter().flat_map(|family| {
        let is_shared = budget.is_some() || family.has_lanes();
        family.lines.iter().map(move |_| is_shared)
    });
    let all = steps.iter().zip(rates).zip(is_shared);
    all.map(|((step, rate_share), is_shared)| {
        let allotment = step.target.min(step.active.saturating_add(step.free).saturating_add(step.growth));
        LineShare { room_id: step.room_id, allotment: is_shared.then_some(allotment), rate_share }
    })
    .collect()
}

/// How many places of the budget each room is to have: by demand and weight, and what is left by weight to the rooms that
/// are in demand at all, so that they need not wait for the next sharing.
fn totals(budget: i64, families: &[Family]) -> Vec<i64> {
    let claims = |demand: &dyn Fn(&Family, usize) -> i64| {
        let all = families.iter().enumerate();
        all.map(|(at, family)| ShareClaim { weight: family.weight, demand: demand(family, at) }).collect::<Vec<_>>()
    };
    let needed = share_out(budget, &claims(&|family, _| family.demand()));
    let left = needed.iter().fold(budget, |left, places| left.saturating_sub(*places));
    let more = share_out(
        left,
        &claims(&|family, at| match family.demand() {
            0 => 0,
            _ => family.max_active.saturating_sub(needed.get(at).copied().unwrap_or(0)),
        }),
    );
    needed.into_iter().zip(more).map(|(needed, more)| needed.saturating_add(more)).collect()
}

/// How far a line can go towards what it is to have.
struct ShareStep {
    room_id: RoomId,
    weight: i64,
    target: i64,
    active: i64,
    /// How many places beyond the active tokens it has already, and is to keep.
    free: i64,
    /// How many places it would get beside these.
    growth: i64,
}

/// The steps of the lines of one room towards `total` places, together within the room's cap.
fn steps(family: &Family, total: i64) -> Vec<ShareStep> {
    let lines = family.lines.iter().zip(&family.parts).zip(family.places(total));
    let mut steps: Vec<_> = lines
        .map(|((line, part), target)| {
            let active = line.active.max(0);
            let free = line.allotment.unwrap_or(active).min(target).saturating_sub(active).max(0);
            let growth = target.saturating_sub(active).saturating_sub(free).max(0);
            ShareStep {
                room_id: line.room_id,
                weight: family.weight.saturating_mul(*part),
                target,
                active,
                free,
                growth,
            }
        })
        .collect();
    keep_within(family.max_active, &mut steps);
    steps
}

/// Lets lines keep and get no more than `total` places together with those of active tokens. What a line has comes
/// before what another would get.
fn keep_within(total: i64, steps: &mut [ShareStep]) {
    let mut left = steps.iter().fold(total, |left, step| left.saturating_sub(step.active)).max(0);
    let mut limit = |steps: &mut [ShareStep], of: fn(&mut ShareStep) -> &mut i64| {
        let claims: Vec<_> =
            steps.iter_mut().map(|step| ShareClaim { weight: step.weight, demand: *of(step) }).collect();
        for (step, places) in steps.iter_mut().zip(share_out(left, &claims)) {
            *of(step) = places;
            left = left.saturating_sub(places);
        }
    };
    limit(steps, |step| &mut step.free);
    limit(steps, |step| &mut step.growth);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(all: &[(i64, i64)]) -> Vec<ShareClaim> {
        all.iter().map(|(weight, demand)| ShareClaim { weight: *weight, demand: *demand }).collect()
    }

    #[test]
    fn what_one_does_not_need_goes_to_the_others_by_weight() {
        assert_eq!(share_out(100, &claims(&[(1, 10), (1, 1_000)])), [10, 90]);
        assert_eq!(share_out(100, &claims(&[(1, 1_000), (3, 1_000)])), [25, 75]);
        assert_eq!(share_out(100, &claims(&[(1, 1_000), (1, 1_000), (2, 20)])), [40, 40, 20]);
        assert_eq!(share_out(10, &claims(&[(1, 9), (1, 9), (1, 9)])), [4, 3, 3], "the parts of a whole");
        assert_eq!(share_out(100, &claims(&[(1, 10), (5, 20)])), [10, 20], "no more than is needed");
        assert_eq!(share_out(-1, &claims(&[(1, 10)])), [0]);
        assert_eq!(share_out(5, &[]), Vec::<i64>::new());
    }

    #[test]
    fn each_claim_gets_one_at_least_if_there_are_enough() {
        assert_eq!(share_out(10, &claims(&[(1, 100), (99, 100)])), [1, 9]);
        assert_eq!(share_out(2, &claims(&[(1, 5), (1, 5), (1, 5)])), [1, 1, 0], "there are not");
        assert_eq!(share_out(10, &claims(&[(1, 0), (1, 100)])), [0, 10], "nothing is given without a demand");
    }
}
