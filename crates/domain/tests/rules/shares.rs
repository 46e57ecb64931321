//! The budget of the house and what lines share of a room.

use crate::support::{
    BOSS, CLOCK, HOUSE, JUNHO, MINJI, OWN, S, SORA, START, SaleModel, activate, advance, issue, leave, set_cap,
    set_room, token_id,
};
use frontrow_domain::{
    changes::RoomCounts,
    command::{Command, LaneStep, RoomChange},
    id::RoomId,
    line::{Gate, HOUSE_BUDGET_MAX, LaneKind, Room, RoomWeight, ShareClaim, ShareScope, SharedLine, share_out, shares},
    time::Span,
};
use proptest::prelude::*;

fn budget(budget: Option<i64>) -> RoomChange {
    RoomChange { house_budget: Some(budget), ..RoomChange::default() }
}

fn share(waiting: &[(RoomId, i64)]) -> Command {
    Command::Share { scope: ShareScope::House, waiting: waiting.to_vec() }
}

fn line(room: i64, max_active: i64) -> SharedLine {
    SharedLine {
        room_id: RoomId::new(room),
        weight: RoomWeight::DEFAULT,
        lane_percent: None,
        max_active,
        admit_per_minute: None,
        active: 0,
        offered: 0,
        waiting: 0,
        allotment: None,
    }
}

fn lane(room: i64, kind: LaneKind, percent: i64, max_active: i64) -> SharedLine {
    SharedLine { room_id: RoomId::new(room).lane(kind), lane_percent: Some(percent), ..line(room, max_active) }
}

/// The fixed point of the shares: every waiting token that finds a place is let in, and no active token ends.
fn settled(budget: Option<i64>, lines: &mut [SharedLine]) -> Vec<i64> {
    for _ in 0..20 {
        for share in shares(budget, lines) {
            for line in lines.iter_mut().filter(|line| line.room_id == share.room_id) {
                line.allotment = share.allotment;
            }
        }
    }
    lines.iter().map(|line| line.allotment.unwrap_or(line.max_active)).collect()
}

#[test]
fn a_hot_room_leaves_a_small_one_its_half() {
    let mut hot = SharedLine { waiting: 100_000, ..line(1, 1_000) };
    let mut lines = [hot, line(2, 1_000)];
    assert_eq!(settled(Some(100), &mut lines), [100, 0], "what no other room needs is the hot room's");
    hot = SharedLine { active: 100, ..lines[0] };
    let mut lines = [hot, SharedLine { waiting: 30, ..lines[1] }];
    assert_eq!(settled(Some(100), &mut lines), [70, 0], "its visitors stay until they go");
    lines[0].active = 80;
    assert_eq!(settled(Some(100), &mut lines), [70, 20]);
    lines[0].active = 70;
    assert_eq!(settled(Some(100), &mut lines), [70, 30]);
    lines[1].waiting = 200;
    assert_eq!(settled(Some(100), &mut lines)[0], 50, "and never more than half while the other needs its own");
}

#[test]
fn weights_divide_a_budget_that_all_want() {
    let weight = |weight: i64| RoomWeight::try_from(weight).unwrap();
    let hot = |room, weight| SharedLine { weight, waiting: 10_000, ..line(room, 10_000) };
    let mut lines = [hot(1, weight(1)), hot(2, weight(2)), hot(3, weight(5))];
    assert_eq!(settled(Some(800), &mut lines), [100, 200, 500]);
}

#[test]
fn a_lane_has_its_part_and_what_it_does_not_need_is_the_general_lines() {
    let crowd = SharedLine { waiting: 10_000, ..line(1, 100) };
    let guests = lane(1, LaneKind::Invitation, 10, 100);
    let mut lines = [crowd, guests];
    assert_eq!(settled(None, &mut lines), [100, 0]);
    lines[1].waiting = 4;
    assert_eq!(settled(None, &mut lines), [96, 4]);
    lines[1].waiting = 40;
    assert_eq!(settled(None, &mut lines), [90, 10]);
    lines[0].waiting = 50;
    assert_eq!(settled(None, &mut lines), [60, 40], "the other way round, too");
    let wheels = SharedLine { waiting: 50, ..lane(1, LaneKind::Accessibility, 20, 100) };
    let mut lines = [crowd, SharedLine { waiting: 50, ..guests }, wheels];
    assert_eq!(settled(None, &mut lines), [70, 10, 20]);
    // Of a house with a budget, the lines share what the room has of it.
    let mut lines = [crowd, SharedLine { waiting: 50, ..guests }, SharedLine { waiting: 10_000, ..line(2, 100) }];
    assert_eq!(settled(Some(100), &mut lines), [45, 5, 50]);
}

#[test]
fn a_rate_is_shared_as_the_places_are() {
    let by_rate = |line| SharedLine { admit_per_minute: Some(60), ..line };
    let rates = |waiting: [i64; 2]| {
        let crowd = SharedLine { waiting: waiting[0], ..by_rate(line(1, 100)) };
        let guests = SharedLine { waiting: waiting[1], ..by_rate(lane(1, LaneKind::Invitation, 10, 100)) };
        shares(None, &[crowd, guests]).into_iter().map(|share| share.rate_share.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(rates([5, 5]), [54, 6]);
    assert_eq!((rates([5, 0]), rates([0, 5])), (vec![60, 0], vec![0, 60]));
    assert_eq!(rates([0, 0]), [54, 6], "while no token waits each line has its part");
    assert_eq!(shares(Some(10), &[by_rate(line(1, 100))])[0].rate_share, None, "a rate is no part of the budget");
}

#[test]
fn a_line_that_shares_with_no_other_has_no_share() {
    let left_over = SharedLine { allotment: Some(0), ..line(1, 10) };
    let share = shares(None, &[left_over])[0];
    assert_eq!((share.allotment, share.rate_share), (None, None));
}

#[test]
fn operators_set_the_budget_and_the_weights_within_bounds_for_a_reason() {
    let mut office = SaleModel::new();
    office.expect(MINJI, set_room(HOUSE, budget(Some(5))), "forbidden");
    for absurd in [0, -1, HOUSE_BUDGET_MAX + 1] {
        office.expect(BOSS, set_room(HOUSE, budget(Some(absurd))), "malformed");
    }
    office.expect(BOSS, set_room(OWN, budget(Some(5))), "malformed");
    let without_reason = |change| Command::SetRoom { room_id: HOUSE, change, basis: None, reason: None };
    office.expect(BOSS, without_reason(budget(Some(5))), "reason_needed");
    office.expect(BOSS, set_room(HOUSE, budget(Some(5))), "room");
    office.expect(BOSS, without_reason(budget(Some(6))), "room");
    office.expect(BOSS, without_reason(budget(Some(5))), "reason_needed");
    office.expect(BOSS, without_reason(budget(None)), "room");
    let weight = |weight: i64| RoomChange { weight: weight.try_into().ok(), ..RoomChange::default() };
    office.expect(BOSS, set_room(OWN, weight(3)), "room");
    assert_eq!(office.room(OWN).weight.get(), 3);
    let lower = Command::SetRoom { room_id: OWN, change: weight(2), basis: None, reason: None };
    office.expect(BOSS, lower, "reason_needed");
    office.expect(MINJI, share(&[]), "forbidden");
}

#[test]
fn rooms_share_the_budget_and_each_obeys_its_own_row() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, set_cap(OWN, 3), "room"),
        (0, BOSS, set_room(HOUSE, budget(Some(2))), "room"),
        (0, MINJI, issue(HOUSE), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
    ]);
    assert_eq!(office.room(HOUSE).allotment, Some(0), "without a share there is no place");
    office.run([
        (0, CLOCK, share(&[(HOUSE, 2)]), "done"),
        (0, CLOCK, advance(HOUSE), "offered 2, lapsed 0"),
        (S, MINJI, activate(token_id(HOUSE, 1)), "active"),
        (S, JUNHO, activate(token_id(HOUSE, 2)), "active"),
        (S, SORA, issue(OWN), "new"),
        (S, CLOCK, advance(OWN), "offered 0, lapsed 0"),
        (2 * S, CLOCK, share(&[(OWN, 1)]), "done"),
    ]);
    assert_eq!(
        (office.room(HOUSE).allotment, office.room(OWN).allotment),
        (Some(1), Some(0)),
        "the active token stays"
    );
    office.run([
        (2 * S, CLOCK, advance(OWN), "offered 0, lapsed 0"),
        (3 * S, MINJI, leave(token_id(HOUSE, 1)), "ended"),
        (3 * S, CLOCK, share(&[(OWN, 1)]), "done"),
        (3 * S, CLOCK, advance(OWN), "offered 1, lapsed 0"),
        (4 * S, SORA, activate(token_id(OWN, 1)), "active"),
    ]);
    assert_eq!((office.room(HOUSE).allotment, office.room(OWN).allotment), (Some(1), Some(1)));
    office.expect(BOSS, set_room(HOUSE, budget(None)), "room");
    office.expect(CLOCK, share(&[(HOUSE, 0), (OWN, 0)]), "done");
    assert_eq!((office.room(HOUSE).allotment, office.room(OWN).allotment), (None, None));
    assert_eq!(office.room(OWN).max_active_tokens(), 3);
}

#[test]
fn tokens_of_a_line_that_rests_demand_no_place_of_the_budget() {
    let mut office = SaleModel::new();
    let gate = |gate| RoomChange { gate: Some(gate), ..RoomChange::default() };
    office.run([
        (0, BOSS, set_cap(OWN, 2), "room"),
        (0, BOSS, set_room(HOUSE, budget(Some(2))), "room"),
        (0, MINJI, issue(HOUSE), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, SORA, issue(OWN), "new"),
        (0, BOSS, set_room(OWN, gate(Gate::Paused)), "room"),
        (0, CLOCK, share(&[(HOUSE, 2), (OWN, 1)]), "done"),
    ]);
    assert_eq!((office.room(HOUSE).allotment, office.room(OWN).allotment), (Some(2), Some(0)), "it is paused");
    office.expect(BOSS, set_room(OWN, gate(Gate::Open)), "room");
    office.expect(CLOCK, share(&[(HOUSE, 2), (OWN, 1)]), "done");
    assert_eq!((office.room(HOUSE).allotment, office.room(OWN).allotment), (Some(1), Some(1)));
}

#[test]
fn a_line_has_its_share_of_the_budget_some_seconds_before_its_turns_begin() {
    let opens_at = START.plus(Span::from_secs(60));
    let room = Room { opens_at: Some(opens_at), ..Room::new(OWN, 10, START) };
    let lead = Span::from_secs(5);
    let waiting = |before: i64, budget| {
        let now = opens_at.minus(Span::from_secs(before));
        SharedLine::of(&room, RoomCounts::default(), 7, budget, (now, lead)).waiting
    };
    assert_eq!([30, 11, 10, 5, 0].map(|before| waiting(before, Some(20))), [0, 0, 7, 7, 7]);
    assert_eq!(waiting(30, None), 7, "a line and its lanes rest together, and share their own room as they will");
}

#[test]
fn a_lane_keeps_its_share_of_its_room_while_the_line_is_paused() {
    let mut office = SaleModel::new();
    let lane = OWN.lane(LaneKind::Invitation);
    let open = LaneStep::Open { share: 20.try_into().unwrap(), reason: Some("The sponsor’s guests.".to_owned()) };
    let gate = |gate| RoomChange { gate: Some(gate), ..RoomChange::default() };
    let sharing = || Command::Share { scope: ShareScope::Line(OWN), waiting: vec![(OWN, 50), (lane, 50)] };
    office.run([
        (0, BOSS, set_cap(OWN, 10), "room"),
        (0, BOSS, Command::StepLane { room_id: lane, step: open }, "room"),
        (0, CLOCK, sharing(), "done"),
    ]);
    assert_eq!((office.room(OWN).allotment, office.room(lane).allotment), (Some(8), Some(2)));
    office.run([(0, BOSS, set_room(OWN, gate(Gate::Paused)), "room"), (0, CLOCK, sharing(), "done")]);
    assert_eq!((office.room(OWN).allotment, office.room(lane).allotment), (Some(8), Some(2)));
}

#[test]
fn a_turn_that_was_offered_before_the_budget_waits_for_a_share() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (0, BOSS, set_room(HOUSE, budget(Some(2))), "room"),
        (S, MINJI, activate(token_id(HOUSE, 1)), "turn_pending"),
        (S, CLOCK, share(&[]), "done"),
        (S, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
    ]);
    assert_eq!(office.room(HOUSE).allotment, Some(2), "an offered turn is a demand");
    assert_eq!(office.model.counts[&HOUSE].active, 1, "the claim has its place");
}

#[test]
fn the_version_of_a_room_does_not_change_with_its_share() {
    let mut office = SaleModel::new();
    office.expect(BOSS, set_room(HOUSE, budget(Some(2))), "room");
    office.expect(MINJI, issue(OWN), "new");
    let before = office.room(OWN).clone();
    office.expect(CLOCK, share(&[(OWN, 1)]), "done");
    let after = office.room(OWN).clone();
    assert_eq!((after.updated_at, after.allotment), (before.updated_at, Some(1)));
    assert!(before.is_older_than(&after), "but it is a later row");
}

fn some_claims() -> impl Strategy<Value = Vec<ShareClaim>> {
    let claim = (1_i64..=100, 0_i64..300).prop_map(|(weight, demand)| ShareClaim { weight, demand });
    prop::collection::vec(claim, 0..12)
}

/// Rooms with one cap each, some with lanes, with tokens in them and shares from before.
fn some_lines() -> impl Strategy<Value = Vec<SharedLine>> {
    let counts = || (0_i64..40, 0_i64..10, prop_oneof![Just(0_i64), 0_i64..80], prop::option::of(0_i64..60));
    let room = (1_i64..=100, 0_i64..80, 0_u8..4, counts(), counts(), counts());
    prop::collection::vec(room, 1..8).prop_map(|rooms| {
        let mut lines = Vec::new();
        for (number, (weight, cap, lanes, general, guests, wheels)) in (1..).zip(rooms) {
            let with = |line: SharedLine, (active, offered, waiting, allotment)| SharedLine {
                active,
                offered,
                waiting,
                allotment,
                weight: RoomWeight::try_from(weight).unwrap(),
                ..line
            };
            lines.push(with(line(number, cap), general));
            if lanes & 1 > 0 {
                lines.push(with(lane(number, LaneKind::Invitation, 10, cap), guests));
            }
            if lanes & 2 > 0 {
                lines.push(with(lane(number, LaneKind::Accessibility, 30, cap), wheels));
            }
        }
        lines
    })
}

fn taken(lines: &[SharedLine], allotment: impl Fn(&SharedLine) -> i64) -> i64 {
    lines.iter().map(|line| line.active.max(allotment(line))).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(43), ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_while_a_demand_is_not_met_and_no_share_exceeds_its_demand(total in 0_i64..600, claims in some_claims()) {
        let shares = share_out(total, &claims);
        let (given, wanted): (i64, i64) = (shares.iter().sum(), claims.iter().map(|claim| claim.demand).sum());
        prop_assert_eq!(given, total.min(wanted));
        for (share, claim) in shares.iter().zip(&claims) {
            prop_assert!((0..=claim.demand).contains(share));
        }
    }

    #[test]
    fn a_demand_that_is_not_met_has_at_least_its_part_of_any_other(total in 0_i64..600, claims in some_claims()) {
        let shares = share_out(total, &claims);
        // Parts of a whole, and the one that each claim gets at least.
        let slack = i64::try_from(claims.len()).unwrap();
        for (unmet, claim) in shares.iter().zip(&claims).filter(|(share, claim)| **share < claim.demand) {
            for (share, other) in shares.iter().zip(&claims).filter(|(_, other)| other.demand > 0) {
                let part = (unmet + slack) * other.weight;
                prop_assert!((share - slack) * claim.weight <= part, "{share} of {other:?} beside {unmet} of {claim:?}");
            }
        }
    }

    #[test]
    fn a_room_of_the_same_weight_never_has_more_than_half_while_the_other_is_in_need(
        total in 2_i64..600, need in 0_i64..600, crowd in 0_i64..100_000
    ) {
        let shares = share_out(total, &[ShareClaim { weight: 1, demand: crowd }, ShareClaim { weight: 1, demand: need }]);
        if shares[1] < need {
            prop_assert!(shares[0] <= (total + 1) / 2);
        }
    }

    #[test]
    fn what_is_given_and_taken_is_within_the_budget_and_the_caps(budget in 1_i64..200, lines in some_lines()) {
        let before = lines.clone();
        for budget in [Some(budget), None] {
            let given = shares(budget, &lines);
            prop_assert_eq!(given.len(), lines.len());
            let place = |line: &SharedLine| {
                given.iter().find(|share| share.room_id == line.room_id).unwrap().allotment.unwrap_or(0)
            };
            // No token is thrown out: what is active already may be above all bounds.
            let active = |lines: &[SharedLine]| lines.iter().map(|line| line.active).sum::<i64>();
            if let Some(budget) = budget {
                let was = taken(&lines, |line| line.allotment.unwrap_or(0));
                prop_assert!(taken(&lines, place) <= budget.max(active(&lines)), "{was} before");
            }
            for line in lines.iter().filter(|line| line.lane_percent.is_none()) {
                let family: Vec<_> =
                    lines.iter().filter(|other| other.room_id.general() == line.room_id).copied().collect();
                prop_assert!(taken(&family, place) <= line.max_active.max(active(&family)));
            }
        }
        prop_assert_eq!(before, lines);
    }

    #[test]
    fn no_place_of_the_budget_is_idle_while_a_room_could_use_it(budget in 1_i64..200, lines in some_lines()) {
        let given = shares(Some(budget), &lines);
        let place = |line: &SharedLine| {
            given.iter().find(|share| share.room_id == line.room_id).unwrap().allotment.unwrap_or(0)
        };
        let free = budget - taken(&lines, place);
        for room in lines.iter().filter(|line| line.lane_percent.is_none()) {
            let family: Vec<_> = lines.iter().filter(|line| line.room_id.general() == room.room_id).copied().collect();
            let is_full = taken(&family, place) >= room.max_active;
            for line in &family {
                let needed = (line.active + line.offered + line.waiting).min(line.max_active);
                let has = place(line).max(line.active);
                prop_assert!(free <= 0 || is_full || has >= needed, "{free} are free, {line:?} has {has}");
            }
        }
    }

    #[test]
    fn to_share_again_changes_nothing_more(budget in prop::option::of(1_i64..200), lines in some_lines()) {
        let mut lines = lines;
        settled(budget, &mut lines);
        let before: Vec<_> = lines.iter().map(|line| line.allotment).collect();
        settled(budget, &mut lines);
        prop_assert_eq!(before, lines.iter().map(|line| line.allotment).collect::<Vec<_>>());
    }
}
