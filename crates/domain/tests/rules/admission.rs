//! Admission: when a line moves, how many turns it offers, and how places become free.

use crate::support::{
    self, BOSS, CLOCK, DAY, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, activate, advance, advance_past, at,
    hold, issue, leave, pay, set_cap, set_room, token_id, update_concert, wake,
};
use frontrow_domain::{
    command::{Command, ConcertChange, RoomChange},
    id::{ConcertId, TokenId},
    line::{EndReason, Gate, Room, SignOfLife, TokenStatus, is_wake_due},
    sale::ConcertStatus,
    user::Caller,
};

#[test]
fn the_line_of_a_concert_does_not_move_before_its_sale_opens() {
    let opens = 30 * MIN;
    let lead = 5 * S;
    let mut office = SaleModel::new();
    let later = ConcertChange { opens_at: Some(at(opens)), ..ConcertChange::default() };
    office.run([
        (0, BOSS, update_concert(2, later), "concert"),
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, MINJI, issue(HOUSE), "new"),
        (S, CLOCK, advance_past(OWN, &[1]), "offered 0, lapsed 0"),
        (opens - lead - 1, CLOCK, advance_past(OWN, &[1]), "offered 0, lapsed 0"),
        // The house room leads to other concerts too.
        (opens - lead - 1, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
    ]);
    assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Waiting, "the silent are not put aside either");
    office.run([
        (opens - lead, CLOCK, advance(OWN), "offered 1, lapsed 0"),
        (opens - S, MINJI, activate(token_id(OWN, 1)), "active"),
        (opens - 1, MINJI, hold(token_id(OWN, 1), &[7]), "sale_not_open"),
        (opens, MINJI, hold(token_id(OWN, 1), &[7]), "held"),
    ]);
    // Moved to later, the line rests again.
    let later = ConcertChange { opens_at: Some(at(2 * opens)), ..ConcertChange::default() };
    office.run([
        (opens, BOSS, update_concert(2, later), "concert"),
        (opens, MINJI, leave(token_id(OWN, 1)), "ended"),
        (opens, CLOCK, advance(OWN), "offered 0, lapsed 0"),
        (2 * opens - lead, CLOCK, advance(OWN), "offered 1, lapsed 0"),
    ]);
}

#[test]
fn the_line_of_a_concert_stands_still_while_nothing_is_sold_and_then_goes_on_as_it_was() {
    let to = |status| update_concert(2, ConcertChange { status: Some(status), ..ConcertChange::default() });
    let closing = |closes| {
        let closes_at = Some(Some(at(closes)));
        update_concert(2, ConcertChange { closes_at, ..ConcertChange::default() })
    };
    let (scheduled, postponed) = (to(ConcertStatus::Scheduled), to(ConcertStatus::Postponed));
    let cancelled =
        Command::CancelConcert { concert_id: ConcertId::new(2), reason: "A storm.".to_owned(), basis: None };
    // How the sale stops, from when on, and how it goes on.
    let stops = [
        (postponed, 10 * S, Some(scheduled.clone())),
        (to(ConcertStatus::Closed), 10 * S, Some(scheduled)),
        (closing(20 * S), 20 * S, Some(closing(DAY))),
        (cancelled, 10 * S, None),
    ];
    for (stop, from, go_on) in stops {
        let mut office = SaleModel::new();
        office.run([
            (0, BOSS, set_cap(OWN, 1), "room"),
            (0, MINJI, issue(OWN), "new"),
            (0, JUNHO, issue(OWN), "new"),
            (0, SORA, issue(OWN), "new"),
            (S, CLOCK, advance(OWN), "offered 1, lapsed 0"),
            (10 * S, BOSS, stop, "concert"),
            // The turn that was offered before is claimed; then its user leaves, and the free place is not offered.
            (from, MINJI, activate(token_id(OWN, 1)), "active"),
            (from, MINJI, leave(token_id(OWN, 1)), "ended"),
            (from, CLOCK, advance_past(OWN, &[2]), "offered 0, lapsed 0"),
            (MIN, CLOCK, advance_past(OWN, &[2, 3]), "offered 0, lapsed 0"),
        ]);
        let waiting = |office: &SaleModel| [2, 3].map(|place| office.status(token_id(OWN, place)));
        assert_eq!(waiting(&office), [TokenStatus::Waiting; 2], "the silent are not put aside");
        let Some(go_on) = go_on else { continue };
        office.run([(2 * MIN, BOSS, go_on, "concert"), (2 * MIN, CLOCK, advance(OWN), "offered 1, lapsed 0")]);
        assert_eq!(waiting(&office), [TokenStatus::Offered, TokenStatus::Waiting]);
    }
}

/// A buyer of a crowd.
fn somebody(number: u128) -> Caller {
    Caller::Buyer(frontrow_domain::id::UserId(uuid::Uuid::from_u128(100 + number)))
}

/// Tokens of a room in one state.
fn count(office: &SaleModel, status: TokenStatus) -> usize {
    office.model.tokens.values().filter(|token| token.id.room_id == HOUSE && token.status() == status).count()
}

#[test]
fn tokens_that_are_recalled_and_never_claimed_do_not_block_the_line() {
    let mut office = SaleModel::new();
    office.run([(0, BOSS, set_cap(HOUSE, 2), "room")]);
    let all: Vec<_> = (0..36).map(somebody).collect();
    for caller in &all {
        office.expect(CLOCK, support::register(*caller), "registered");
        office.expect(*caller, issue(HOUSE), "new");
    }
    let (ghosts, people) = all.split_at(6);
    let mut served = 0;
    for second in (0..2 * 60 * 60).step_by(5) {
        office.at(second * S);
        office.ask(CLOCK, advance(HOUSE)).unwrap();
        for (place, _) in (1..).zip(ghosts) {
            // They recall what they missed, and let it pass again.
            if office.status(token_id(HOUSE, place)) == TokenStatus::Missed {
                office.expect(
                    all[usize::try_from(place - 1).unwrap()],
                    activate(token_id(HOUSE, place)),
                    "turn_pending",
                );
            }
        }
        for (place, person) in (7..).zip(people) {
            if office.status(token_id(HOUSE, place)) == TokenStatus::Offered {
                // Each is done at once.
                office.ask(*person, activate(token_id(HOUSE, place))).unwrap();
                office.ask(*person, leave(token_id(HOUSE, place))).unwrap();
                served += 1;
            }
        }
        if served == people.len() {
            break;
        }
    }
    assert_eq!(served, people.len(), "at {} s", office.micros() / S);
    assert!(office.micros() < 20 * MIN);
    let reasons: Vec<_> = (1..=6).map(|place| office.token(token_id(HOUSE, place)).end_reason()).collect();
    assert_eq!(reasons, [Some(EndReason::Missed); 6]);
    assert_eq!(count(&office, TokenStatus::Missed), 0);
}

#[test]
fn a_token_that_let_its_turns_pass_ends_and_its_user_joins_at_the_end() {
    let mut office = SaleModel::new();
    let token = token_id(OWN, 1);
    office.run([
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, CLOCK, advance_past(OWN, &[1]), "offered 1, lapsed 0"),
        (S, JUNHO, leave(token_id(OWN, 2)), "ended"),
        (S, MINJI, wake(token), "waiting"),
        (S, CLOCK, advance(OWN), "offered 1, lapsed 0"),
        (MIN + S, MINJI, activate(token), "token_ended"),
        (MIN + S, MINJI, issue(OWN), "new"),
    ]);
    assert_eq!(office.token(token).end_reason(), Some(EndReason::Missed));
    assert_eq!(office.token(token).expired_at(), Some(at(MIN + S)));
    assert_eq!(office.status(token_id(OWN, 3)), TokenStatus::Waiting);
    // Silent twice is as much.
    office.run([
        (MIN + S, CLOCK, advance_past(OWN, &[3]), "offered 0, lapsed 0"),
        (2 * MIN, MINJI, wake(token_id(OWN, 3)), "waiting"),
        (4 * MIN, CLOCK, advance_past(OWN, &[3]), "offered 0, lapsed 0"),
    ]);
    assert_eq!(office.token(token_id(OWN, 3)).end_reason(), Some(EndReason::Missed));
}

/// The room of one place with an active token in it, and a second token that has a turn from before its cap was lowered.
fn full_with_a_turn_out() -> (SaleModel, TokenId, TokenId) {
    let mut office = SaleModel::new();
    let (first, second) = (token_id(OWN, 1), token_id(OWN, 2));
    office.run([
        (0, BOSS, set_cap(OWN, 2), "room"),
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, CLOCK, advance(OWN), "offered 2, lapsed 0"),
        (0, BOSS, set_cap(OWN, 1), "room"),
        (S, MINJI, activate(first), "active"),
    ]);
    (office, first, second)
}

#[test]
fn no_more_are_active_than_the_room_takes_and_a_full_room_keeps_the_turn() {
    let (mut office, first, second) = full_with_a_turn_out();
    office.run([
        (50 * S, JUNHO, activate(second), "turn_pending"),
        // The turn would have ended at 60 s; asking has kept it for another minute.
        (80 * S, MINJI, wake(first), "active"),
        (100 * S, JUNHO, activate(second), "turn_pending"),
        (110 * S, MINJI, leave(first), "ended"),
        (110 * S, JUNHO, activate(second), "active"),
    ]);
}

#[test]
fn a_turn_whose_claim_found_the_room_full_is_kept_while_its_client_is_heard_of() {
    let (mut office, first, second) = full_with_a_turn_out();
    office.expect(JUNHO, activate(second), "turn_pending");
    // A sign of life is written once half of the window has passed, and not before.
    let is_due = |office: &SaleModel, micros: i64| {
        let state = office.token(second).state;
        is_wake_due(state, SignOfLife::ByToken, office.room(OWN), at(micros), &office.policy, &office.model.outages)
    };
    assert_eq!([2, 30, 31, 60].map(|seconds| is_due(&office, seconds * S)), [false, false, true, true]);
    office.run([
        (50 * S, JUNHO, wake(second), "offered"),
        (80 * S, MINJI, wake(first), "active"),
        (100 * S, JUNHO, wake(second), "offered"),
        (130 * S, MINJI, wake(first), "active"),
        (150 * S, CLOCK, advance(OWN), "offered 0, lapsed 0"),
    ]);
    assert_eq!(office.token(second).state.claimed_at(), Some(at(S)), "its place among the claims is the first one's");
    // Without one it is missed, and none keeps it once the sale is over.
    let over = Room { closes_at: Some(at(0)), ..office.room(OWN).clone() };
    let state = office.token(second).state;
    assert!(!is_wake_due(state, SignOfLife::ByToken, &over, at(150 * S), &office.policy, &office.model.outages));
    office.run([(160 * S, CLOCK, advance(OWN), "offered 0, lapsed 1")]);
    assert_eq!(office.token(second).status(), TokenStatus::Missed);
}

#[test]
fn an_overdue_token_gives_its_place_up_before_any_sweep() {
    for (micros, expected) in [(100 * S - 1, "turn_pending"), (100 * S, "active")] {
        let mut office = SaleModel::new();
        office.run([(0, BOSS, set_cap(OWN, 2), "room"), (0, JUNHO, issue(OWN), "new")]);
        let token = office.active(MINJI, OWN);
        office.run([
            (0, BOSS, set_cap(OWN, 1), "room"),
            (50 * S, JUNHO, activate(token_id(OWN, 1)), "turn_pending"),
            (micros, JUNHO, activate(token_id(OWN, 1)), expected),
        ]);
        // And it cannot come back over the cap.
        if expected == "active" {
            office.run([(micros, MINJI, wake(token), "ended"), (micros, MINJI, hold(token, &[7]), "token_ended")]);
        }
    }
}

#[test]
fn places_that_one_batch_frees_are_taken_in_it_but_not_more() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, set_cap(OWN, 3), "room"),
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, SORA, issue(OWN), "new"),
        (0, CLOCK, advance(OWN), "offered 3, lapsed 0"),
        (0, BOSS, set_cap(OWN, 1), "room"),
    ]);
    let [first, second, third] = [1, 2, 3].map(|position| token_id(OWN, position));
    let answers = office.batch(&[
        (MINJI, activate(first)),
        (JUNHO, activate(second)),
        (MINJI, leave(first)),
        (SORA, activate(third)),
        (JUNHO, activate(second)),
    ]);
    assert_eq!(answers, ["active", "turn_pending", "ended", "turn_pending", "active"]);
}

#[test]
fn claims_that_found_the_room_full_are_served_in_their_order_and_before_any_other() {
    // Given four turns and one place, which is taken.
    let mut office = SaleModel::new();
    let users = [MINJI, JUNHO, SORA, BOSS];
    office.run([(0, BOSS, set_cap(OWN, 4), "room")]);
    office.run(users.map(|user| (0, user, issue(OWN), "new")));
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|position| token_id(OWN, position));
    office.run([
        (0, CLOCK, advance(OWN), "offered 4, lapsed 0"),
        (0, BOSS, set_cap(OWN, 1), "room"),
        (0, MINJI, activate(first), "active"),
        // When the third claims before the second, and the second asks more often.
        (S, SORA, activate(third), "turn_pending"),
        (2 * S, JUNHO, activate(second), "turn_pending"),
        (3 * S, JUNHO, activate(second), "turn_pending"),
        (4 * S, MINJI, leave(first), "ended"),
        // Then the third token gets the place, whichever token asks next.
        (5 * S, BOSS, activate(fourth), "turn_pending"),
    ]);
    assert_eq!(office.status(third), TokenStatus::Active);
    office.run([
        (5 * S, JUNHO, activate(second), "turn_pending"),
        (6 * S, SORA, activate(third), "active"),
        (7 * S, SORA, leave(third), "ended"),
        // The line's next move gives it to the second, who need not ask.
        (7 * S, CLOCK, advance(OWN), "offered 0, lapsed 0"),
    ]);
    assert_eq!((office.status(second), office.status(fourth)), (TokenStatus::Active, TokenStatus::Offered));
    // A claim that is not repeated lapses with its turn, and blocks no other token.
    let later = 5 * S + MIN;
    office.run([(later - 1, JUNHO, leave(second), "ended"), (later, CLOCK, advance(OWN), "offered 0, lapsed 1")]);
    assert_eq!(office.status(fourth), TokenStatus::Missed);
}

#[test]
fn a_payment_ends_its_token_and_frees_its_place() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.run([(S, MINJI, pay(token, &[1]), "paid"), (S, MINJI, hold(token, &[2]), "token_ended")]);
    assert_eq!(office.token(token).end_reason(), Some(EndReason::Paid));
    office.run([(S, MINJI, issue(HOUSE), "new")]);
}

#[test]
fn service_needs_an_active_token_of_the_right_room() {
    let mut office = SaleModel::new();
    let own = office.active(MINJI, OWN);
    office.run([
        (0, MINJI, hold(own, &[1]), "token_of_another_room"),
        (0, JUNHO, hold(own, &[7]), "token_invalid"),
        (0, MINJI, hold(token_id(HOUSE, 99), &[1]), "token_invalid"),
        (0, MINJI, hold(own, &[7]), "held"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, JUNHO, hold(token_id(HOUSE, 1), &[1]), "token_waiting"),
        (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (0, JUNHO, hold(token_id(HOUSE, 1), &[1]), "token_not_activated"),
        (MIN, JUNHO, hold(token_id(HOUSE, 1), &[1]), "token_missed"),
        (11 * MIN, JUNHO, hold(token_id(HOUSE, 1), &[1]), "token_ended"),
    ]);
}

#[test]
fn a_paused_gate_offers_nothing_but_offered_turns_may_be_claimed() {
    let mut office = SaleModel::new();
    let gate = |gate| set_room(HOUSE, RoomChange { gate: Some(gate), ..RoomChange::default() });
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, BOSS, gate(Gate::Paused), "room"),
        (S, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
        (S, MINJI, activate(token_id(HOUSE, 1)), "active"),
        // Overdue tokens lapse all the same.
        (101 * S, CLOCK, advance(HOUSE), "offered 0, lapsed 1"),
        (102 * S, BOSS, gate(Gate::Open), "room"),
        (102 * S, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
    ]);
}

#[test]
fn the_rate_binds_where_it_is_tighter_than_the_cap() {
    let mut office = SaleModel::new();
    let rate = |admit_per_minute| set_room(HOUSE, RoomChange { admit_per_minute, ..RoomChange::default() });
    office.run([
        (0, BOSS, rate(Some(Some(60))), "room"),
        (0, MINJI, issue(HOUSE), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, SORA, issue(HOUSE), "new"),
        (S - 1, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
        (S, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (S, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
        // However long nothing moved, one turn is all that was saved.
        (30 * S, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (30 * S, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
        (30 * S, BOSS, rate(Some(None)), "room"),
        (30 * S, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
    ]);
}

#[test]
fn offers_exceed_the_free_places_by_half_at_most() {
    let mut office = SaleModel::new();
    office.run([(0, BOSS, set_cap(HOUSE, 2), "room")]);
    let mut room = office.room(HOUSE).clone();
    room.no_show_ppm = 990_000;
    office.model.rooms.insert(HOUSE, room);
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, SORA, issue(HOUSE), "new"),
        (0, BOSS, issue(HOUSE), "new"),
        (0, CLOCK, advance(HOUSE), "offered 3, lapsed 0"),
        (0, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
        (1, SORA, activate(token_id(HOUSE, 3)), "active"),
        (1, JUNHO, activate(token_id(HOUSE, 2)), "active"),
        (1, MINJI, activate(token_id(HOUSE, 1)), "turn_pending"),
        (2, CLOCK, advance(HOUSE), "offered 0, lapsed 0"),
    ]);
}

#[test]
fn the_no_show_share_follows_what_users_do() {
    let mut office = SaleModel::new();
    let mut share = 0;
    for turn in 0..20 {
        let start = turn * 20 * MIN;
        office.run([
            (start, MINJI, issue(OWN), "new"),
            (start, CLOCK, advance(OWN), "offered 1, lapsed 0"),
            (start + MIN, CLOCK, advance(OWN), "offered 0, lapsed 1"),
            (start + MIN, MINJI, leave(token_id(OWN, turn + 1)), "ended"),
        ]);
        assert!(office.room(OWN).no_show_ppm > share, "an unclaimed turn raises it");
        share = office.room(OWN).no_show_ppm;
    }
    office.at(DAY);
    office.active(MINJI, OWN);
    assert!(office.room(OWN).no_show_ppm < share, "a claimed turn lowers it");
}
