//! Clients that go away and come back: a grace, and exactly what was there before.

use crate::support::{
    BOSS, CLOCK, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, activate, advance, advance_past, at, cancel,
    go_away, hold, issue, pay, set_cap, token_id, top_up, wake,
};
use frontrow_domain::{
    command::{Command, Outcome},
    line::{EndReason, Fence, Parting, Silence, SilentToken, TokenState, TokenStatus},
    outage::Outage,
    policy::AWAY_GRACE,
    refusal::{EntityKind, Refusal},
    time::{Span, Time},
};

const GRACE: i64 = 15 * S;
/// How long an active token lives after a heartbeat.
const IDLE: i64 = 100 * S;

/// Minji is offered the first turn of the own room, and Junho waits.
fn offered() -> SaleModel {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, CLOCK, advance(OWN), "offered 1, lapsed 0"),
    ]);
    office
}

/// Minji is active in the own room, and Junho waits.
fn active() -> SaleModel {
    let mut office = offered();
    office.run([(0, MINJI, activate(token_id(OWN, 1)), "active")]);
    office
}

fn deadline(office: &SaleModel) -> Option<Time> {
    office.token(token_id(OWN, 1)).deadline()
}

#[test]
fn a_turn_whose_client_went_away_is_free_after_the_grace() {
    let mut office = active();
    office.run([(10 * S, MINJI, go_away(token_id(OWN, 1)), "active")]);
    assert_eq!(deadline(&office), Some(at(10 * S + GRACE)));
    office.run([
        (10 * S + GRACE - 1, CLOCK, advance(OWN), "offered 0, lapsed 0"),
        (10 * S + GRACE, CLOCK, advance(OWN), "offered 1, lapsed 1"),
    ]);
    let token = office.token(token_id(OWN, 1));
    assert_eq!((token.end_reason(), office.status(token_id(OWN, 2))), (Some(EndReason::Expired), TokenStatus::Offered));
}

#[test]
fn an_active_token_gets_back_what_it_had_and_no_more() {
    // Given a turn that was renewed at 50 s, and a client that goes away at 55 s and is back at 60 s.
    // A heartbeat renews the turn, as it would have without all of that; a claim does not.
    let cases: [(fn(_) -> _, i64); 2] = [(wake, 60 * S + IDLE), (activate, 50 * S + IDLE)];
    for (come_back, until) in cases {
        let mut office = active();
        office.run([
            (50 * S, MINJI, wake(token_id(OWN, 1)), "active"),
            (55 * S, MINJI, go_away(token_id(OWN, 1)), "active"),
            (60 * S, MINJI, come_back(token_id(OWN, 1)), "active"),
        ]);
        let token = office.token(token_id(OWN, 1));
        assert_eq!(token.state.back_until(), None);
        assert_eq!(token.deadline(), Some(at(until)));
    }
}

#[test]
fn joining_again_gives_back_what_the_token_had() {
    let mut office = active();
    office.run([(5 * S, MINJI, go_away(token_id(OWN, 1)), "active"), (6 * S, MINJI, issue(OWN), "existing")]);
    assert_eq!(deadline(&office), Some(at(IDLE)));
}

#[test]
fn going_away_again_and_again_gives_neither_a_longer_grace_nor_a_longer_turn() {
    let mut office = active();
    for second in 1..=10 {
        office.run([(second * S, MINJI, go_away(token_id(OWN, 1)), "active")]);
        assert_eq!(deadline(&office), Some(at(S + GRACE)), "the first grace stands");
    }
    // Back and away by turns, up to the limit of the time inside.
    let mut now = 10 * S;
    while now < 10 * MIN {
        office.run([(now, MINJI, wake(token_id(OWN, 1)), "active"), (now, MINJI, go_away(token_id(OWN, 1)), "active")]);
        let token = office.token(token_id(OWN, 1));
        assert!(token.state.back_until() <= Some(at(10 * MIN)), "{token:?}");
        now += 14 * S;
    }
    assert!(deadline(&office) <= Some(at(10 * MIN)));
    office.run([(10 * MIN, MINJI, wake(token_id(OWN, 1)), "ended")]);
}

#[test]
fn a_turn_with_less_time_left_than_the_grace_is_as_it_was() {
    let mut office = active();
    office.run([(IDLE - GRACE, MINJI, go_away(token_id(OWN, 1)), "active")]);
    let token = office.token(token_id(OWN, 1));
    assert_eq!((token.deadline(), token.state.back_until()), (Some(at(IDLE)), None));
    assert_eq!(Parting::of(token.state, office.now), Parting::Nothing);
}

#[test]
fn seats_that_are_held_keep_the_turn_as_it_is_and_those_given_up_do_not() {
    let parting = |holds: &[i64], holds_made| Command::GoAway {
        token: token_id(OWN, 1),
        holds: holds.iter().copied().map(frontrow_domain::id::ReservationId::new).collect(),
        holds_made,
    };
    let mut office = active();
    office.run([(S, MINJI, hold(token_id(OWN, 1), &[7]), "held")]);
    let held = deadline(&office);
    // Held after the holds were read, and before the command was decided.
    office.run([(2 * S, MINJI, parting(&[], 0), "active"), (2 * S, MINJI, parting(&[1], 1), "active")]);
    assert_eq!(deadline(&office), held);
    office.run([(3 * S, MINJI, cancel(1), "cancelled"), (4 * S, MINJI, parting(&[1], 1), "active")]);
    assert_eq!(deadline(&office), Some(at(4 * S + GRACE)));
    // A hold is heard of, and the turn goes on until there was time to pay.
    office.run([(5 * S, MINJI, hold(token_id(OWN, 1), &[8]), "held")]);
    assert_eq!(office.token(token_id(OWN, 1)).state.back_until(), None);
    assert_eq!(deadline(&office), Some(at(5 * S).plus(office.policy.hold).plus(office.policy.pay_grace)));
    office.run([
        (6 * S, MINJI, parting(&[2], 2), "active"),
        (6 * S, MINJI, top_up(MINJI, 80_000, None), "topped_up"),
        (7 * S, MINJI, pay(token_id(OWN, 1), &[2]), "paid"),
        (7 * S, MINJI, parting(&[2], 2), "ended"),
    ]);
}

#[test]
fn an_offered_turn_has_the_grace_left_and_its_own_time_again_once_it_is_heard_of() {
    let claim_window = MIN;
    let mut office = offered();
    office.run([(10 * S, MINJI, go_away(token_id(OWN, 1)), "offered")]);
    assert_eq!(deadline(&office), Some(at(10 * S + GRACE)));
    office.run([(20 * S, MINJI, wake(token_id(OWN, 1)), "offered")]);
    assert_eq!(deadline(&office), Some(at(claim_window)), "the time of the offer, not of the return");
    office.run([
        (30 * S, MINJI, go_away(token_id(OWN, 1)), "offered"),
        (30 * S + GRACE, CLOCK, advance(OWN), "offered 1, lapsed 1"),
    ]);
    assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Missed, "it may return to the head of the line");
    let mut office = offered();
    office.run([
        (10 * S, MINJI, go_away(token_id(OWN, 1)), "offered"),
        (12 * S, MINJI, activate(token_id(OWN, 1)), "active"),
    ]);
    assert_eq!(office.token(token_id(OWN, 1)).state.back_until(), None);
    assert_eq!(deadline(&office), Some(at(12 * S + IDLE)));
}

#[test]
fn a_claim_that_found_the_room_full_keeps_its_order_while_its_client_is_heard_of() {
    let full = || {
        let mut office = SaleModel::new();
        office.run([
            (0, BOSS, set_cap(HOUSE, 2), "room"),
            (0, MINJI, issue(HOUSE), "new"),
            (0, JUNHO, issue(HOUSE), "new"),
            (0, SORA, issue(HOUSE), "new"),
            (0, CLOCK, advance(HOUSE), "offered 2, lapsed 0"),
            (0, MINJI, activate(token_id(HOUSE, 1)), "active"),
            (0, BOSS, set_cap(HOUSE, 1), "room"),
            (S, JUNHO, activate(token_id(HOUSE, 2)), "turn_pending"),
            (2 * S, JUNHO, go_away(token_id(HOUSE, 2)), "offered"),
        ]);
        office
    };
    let claimed_at = |office: &SaleModel| office.token(token_id(HOUSE, 2)).state.claimed_at();
    let mut office = full();
    office.run([(3 * S, JUNHO, wake(token_id(HOUSE, 2)), "offered")]);
    assert_eq!(claimed_at(&office), Some(at(S)));
    let mut office = full();
    office.run([(2 * S + GRACE, CLOCK, advance(HOUSE), "offered 0, lapsed 1")]);
    assert_eq!(claimed_at(&office), None);
    // A place that becomes free in the grace is given, and the grace goes on.
    let mut office = full();
    office.run([
        (3 * S, MINJI, Command::LeaveQueue { token: token_id(HOUSE, 1) }, "ended"),
        (4 * S, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
    ]);
    let TokenState::Active { until, back_until, .. } = office.token(token_id(HOUSE, 2)).state else { panic!() };
    assert_eq!((until, back_until), (at(4 * S + GRACE), Some(at(4 * S + IDLE))));
}

#[test]
fn only_its_own_user_says_that_the_client_of_a_token_goes_away() {
    let mut office = active();
    let before = office.token(token_id(OWN, 1));
    let missing = Err(Refusal::NotFound { what: EntityKind::Token });
    for caller in [JUNHO, BOSS, CLOCK] {
        assert_eq!(office.ask(caller, go_away(token_id(OWN, 1))), missing);
    }
    assert_eq!(office.token(token_id(OWN, 1)), before);
}

#[test]
fn tokens_without_a_turn_stay_as_they_are() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, MINJI, go_away(token_id(OWN, 1)), "waiting"),
        (0, CLOCK, advance_past(OWN, &[1]), "offered 1, lapsed 0"),
        (S, MINJI, go_away(token_id(OWN, 1)), "dormant"),
        (MIN, CLOCK, advance(OWN), "offered 0, lapsed 1"),
        (MIN, JUNHO, go_away(token_id(OWN, 2)), "missed"),
    ]);
    let parting = |position| Parting::of(office.token(token_id(OWN, position)).state, office.now);
    assert_eq!([parting(1), parting(2)], [Parting::Nothing, Parting::Nothing]);
    assert_eq!(Parting::of(TokenState::Waiting, office.now), Parting::Silent);
}

#[test]
fn a_waiting_token_whose_client_went_away_is_passed_over_however_young_it_is() {
    for (silence, expected) in [(Silence::Unheard, TokenStatus::Offered), (Silence::Away, TokenStatus::Dormant)] {
        let mut office = SaleModel::new();
        office.policy.dormant_after = Span::from_secs(90);
        office.run([(0, MINJI, issue(OWN), "new")]);
        office.at(20 * S);
        let unresponsive = vec![SilentToken { position: token_id(OWN, 1).position, silence }];
        let advance = Command::AdvanceRoom { room_id: OWN, fence: Fence(0), limit: 10, unresponsive, outlook: None };
        assert!(matches!(office.ask(CLOCK, advance), Ok(Outcome::Advanced { .. })));
        assert_eq!(office.status(token_id(OWN, 1)), expected, "{silence:?}");
    }
}

#[test]
fn an_outage_takes_nothing_of_the_grace_or_of_what_comes_back() {
    let mut office = active();
    office.run([(10 * S, MINJI, go_away(token_id(OWN, 1)), "active")]);
    let token = office.token(token_id(OWN, 1));
    let outage = Outage::between(at(12 * S), at(72 * S), &office.policy).unwrap();
    let longer = token.extended_by(&outage).unwrap();
    assert_eq!(longer.deadline(), Some(at(70 * S).plus(AWAY_GRACE)));
    assert_eq!(longer.back().deadline(), Some(at(60 * S + IDLE)));
}
