//! The draw of a lobby: all tokens issued before the opening have the same chance, and later tokens wait behind them.

use crate::support::{
    BOSS, CLOCK, JUNHO, MIN, MINJI, S, SORA, SaleModel, activate, add_seats, advance, at, hold, issue, leave,
    new_concert, set_cap, set_room, token_id, user,
};
use frontrow_domain::{
    command::{Command, DrawStep, NewConcert, RoomChange},
    id::{Position, RoomId, UserId},
    line::{BeaconWait, Draw, DrawPhase, EndReason, EntrySet, Fence, OpeningOrder, TokenStatus},
    policy::Policy,
    time::Span,
    user::{Caller, NewUser, Role},
};
use frontrow_draw::{BeaconSignature, Chain, Digest, DrawSecret, HexBytes, merkle_root, testing::TestBeacon};
use std::num::NonZeroU32;
use uuid::Uuid;

/// Concert 3's own room: its sale opens after ten minutes.
const DRAWN: RoomId = RoomId::new(3);
const OPENS: i64 = 10 * MIN;

fn step(step: DrawStep) -> Command {
    Command::StepDraw { room_id: DRAWN, step }
}

fn beacon_wait(chain: Chain, seconds: i64) -> BeaconWait {
    BeaconWait { chain, patience: Span::from_secs(seconds) }
}

fn begin(beacon: BeaconWait) -> Command {
    step(DrawStep::Begin { secret: DrawSecret::from_bytes([7; 32]), beacon })
}

fn seal() -> Command {
    step(DrawStep::Seal { fence: Fence(0) })
}

fn root() -> Digest {
    merkle_root(&[HexBytes::new([1; 32])])
}

fn count(entries: impl IntoIterator<Item = i64>) -> Command {
    let entered: EntrySet = entries.into_iter().map(Position).collect();
    step(DrawStep::Count { fence: Fence(0), entered, tree: root() })
}

fn place(entries: &[i64]) -> Command {
    let entries = entries.iter().copied().map(Position).collect();
    step(DrawStep::Place { fence: Fence(0), entries })
}

fn hand_in(signature: BeaconSignature) -> Command {
    step(DrawStep::HandIn { signature })
}

fn give_up() -> Command {
    step(DrawStep::GiveUp { fence: Fence(0) })
}

/// The office with a concert whose sale opens after ten minutes.
fn office_with_lobby() -> SaleModel {
    let mut office = SaleModel::new();
    let concert = NewConcert { opens_at: Some(at(OPENS)), ..new_concert(Some(2)) };
    office.expect(BOSS, Command::CreateConcert(concert), "concert");
    office.expect(BOSS, add_seats(3, 1..=4), "seats_added");
    office.expect(CLOCK, begin(beacon_wait(Chain::quicknet(), 0)), "room");
    office
}

fn draw(office: &SaleModel) -> &Draw {
    &office.model.draws[&DRAWN]
}

fn order(office: &SaleModel) -> Vec<i64> {
    draw(office).order().unwrap().iter().map(|entry| entry.0).collect()
}

fn phase(office: &SaleModel) -> DrawPhase {
    office.room(DRAWN).draw
}

fn buyer(number: u128) -> Caller {
    Caller::Buyer(UserId(Uuid::from_u128(number)))
}

fn register(office: &mut SaleModel, number: u128) {
    let email = format!("entry{number}@frontrow.example");
    let user_id = user(buyer(number));
    let new = NewUser { user_id, name: "A user".to_owned(), email, password_hash: String::new(), role: Role::Buyer };
    office.expect(CLOCK, Command::Register(new), "registered");
}

#[test]
fn those_who_come_before_the_opening_are_drawn_and_those_who_come_later_wait_behind() {
    let mut office = office_with_lobby();
    office.run([
        (0, MINJI, issue(DRAWN), "new"),
        (MIN, JUNHO, issue(DRAWN), "new"),
        (MIN, JUNHO, issue(DRAWN), "existing"),
        // Nothing is offered and nothing is sealed before the opening, however close.
        (OPENS - 1, CLOCK, advance(DRAWN), "offered 0, lapsed 0"),
        (OPENS - 1, CLOCK, seal(), "room"),
        (OPENS - 1, MINJI, activate(token_id(DRAWN, 1)), "turn_not_yet"),
    ]);
    assert_eq!(phase(&office), DrawPhase::Lobby);
    office.run([(OPENS, CLOCK, seal(), "room"), (OPENS + 1, SORA, issue(DRAWN), "new")]);
    assert_eq!(phase(&office), DrawPhase::Sealed { last: Position(2) });
    assert_eq!(office.status(token_id(DRAWN, 5)), TokenStatus::Waiting, "behind the two places that are reserved");
    office.run([(OPENS + 1, CLOCK, advance(DRAWN), "offered 0, lapsed 0"), (OPENS + 1, CLOCK, count([1, 2]), "room")]);
    let drawn = order(&office);
    office.run([
        // Not before all of them have their places, since a later token would come first.
        (OPENS + 2, CLOCK, place(&drawn[..1]), "room"),
        (OPENS + 2, CLOCK, advance(DRAWN), "offered 0, lapsed 0"),
        (OPENS + 2, CLOCK, place(&drawn[1..]), "room"),
        (OPENS + 2, CLOCK, advance(DRAWN), "offered 2, lapsed 0"),
    ]);
    assert_eq!(phase(&office), DrawPhase::Placed { last: Position(2), entries: 2 });
    for (rank, entry) in (1..).zip(&drawn) {
        let (old, new) = (office.token(token_id(DRAWN, *entry)), office.token(token_id(DRAWN, 2 + rank)));
        assert_eq!((old.end_reason(), old.expired_at()), (Some(EndReason::Drawn), Some(at(OPENS + 2))));
        assert_eq!((new.user_id, new.issued_at, new.status()), (old.user_id, old.issued_at, TokenStatus::Offered));
    }
    let first = if drawn[0] == 1 { MINJI } else { JUNHO };
    office.run([
        (OPENS + 2, first, issue(DRAWN), "existing"),
        (OPENS + 2, first, activate(token_id(DRAWN, 3)), "active"),
        (OPENS + 2, first, hold(token_id(DRAWN, 3), &[10]), "held"),
    ]);
}

#[test]
fn the_order_follows_from_the_secret_and_the_entries_and_not_from_the_order_of_coming() {
    let mut office = office_with_lobby();
    let all = 60;
    for number in 0..all {
        register(&mut office, 100 + number);
        office.expect(buyer(100 + number), issue(DRAWN), "new");
    }
    let entries = 1..=i64::try_from(all).unwrap();
    office.run([(OPENS, CLOCK, seal(), "room"), (OPENS, CLOCK, count(entries.clone()), "room")]);
    let drawn = order(&office);
    assert_ne!(drawn, entries.clone().collect::<Vec<_>>());
    let mut sorted = drawn.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(entries), "each entry is drawn once");
    office.expect(CLOCK, place(&drawn), "room");
    let users: Vec<_> = (61..=120).map(|position| office.token(token_id(DRAWN, position)).user_id).collect();
    let expected: Vec<_> = drawn.iter().map(|entry| office.token(token_id(DRAWN, *entry)).user_id).collect();
    assert_eq!(users, expected);
}

#[test]
fn entries_get_their_places_in_the_drawn_order_and_in_no_other() {
    let mut office = office_with_lobby();
    for caller in [MINJI, JUNHO, SORA] {
        office.expect(caller, issue(DRAWN), "new");
    }
    office.run([(OPENS, CLOCK, seal(), "room"), (OPENS, CLOCK, count(1..=3), "room")]);
    let drawn = order(&office);
    let (first, second, third) = (drawn[0], drawn[1], drawn[2]);
    office.run([
        (OPENS, CLOCK, place(&[]), "malformed"),
        (OPENS, CLOCK, place(&[second, first, third]), "malformed"),
        (OPENS, CLOCK, place(&[first, first]), "malformed"),
        (OPENS, CLOCK, place(&[first, second, third, 4]), "malformed"),
        (OPENS, CLOCK, place(&[4]), "malformed"),
        (OPENS, CLOCK, place(&[first]), "room"),
        (OPENS, CLOCK, place(&[first]), "malformed"),
        (OPENS, BOSS, place(&[second]), "forbidden"),
    ]);
    // If one is left out, the rest gets no place, and no turn is offered.
    office.run([(OPENS, CLOCK, place(&[third]), "room"), (OPENS, CLOCK, place(&[second]), "malformed")]);
    office.expect(CLOCK, advance(DRAWN), "offered 0, lapsed 0");
}

#[test]
fn an_entry_that_left_gets_no_place_and_the_others_keep_theirs() {
    let mut office = office_with_lobby();
    for caller in [MINJI, JUNHO, SORA] {
        office.expect(caller, issue(DRAWN), "new");
    }
    office.run([
        (MIN, JUNHO, leave(token_id(DRAWN, 2)), "ended"),
        (OPENS, CLOCK, seal(), "room"),
        (OPENS, CLOCK, count([1, 3]), "room"),
    ]);
    let drawn = order(&office);
    assert_eq!(drawn.len(), 2);
    let leaver = if drawn[0] == 1 { MINJI } else { SORA };
    office.run([
        (OPENS, leaver, leave(token_id(DRAWN, drawn[0])), "ended"),
        (OPENS, CLOCK, place(&drawn), "room"),
        (OPENS, CLOCK, advance(DRAWN), "offered 1, lapsed 0"),
    ]);
    assert!(!office.model.tokens.contains_key(&token_id(DRAWN, 4)), "the place of the one that left stays empty");
    assert_eq!(office.status(token_id(DRAWN, 5)), TokenStatus::Offered);
}

#[test]
fn a_draw_with_a_beacon_waits_for_its_round_and_takes_no_other_signature() {
    let period = NonZeroU32::new(3).unwrap();
    let test_beacon = TestBeacon::new([3; 32], 1_700_000_000, period).unwrap();
    let mut office = SaleModel::new();
    let concert = NewConcert { opens_at: Some(at(OPENS)), ..new_concert(Some(1)) };
    office.expect(BOSS, Command::CreateConcert(concert), "concert");
    let any = test_beacon.sign(frontrow_draw::BeaconRound(1));
    office.run([
        (0, MINJI, hand_in(any), "not_found"),
        (0, CLOCK, begin(beacon_wait(test_beacon.chain, 30)), "room"),
        (0, MINJI, issue(DRAWN), "new"),
        (0, JUNHO, issue(DRAWN), "new"),
        (0, MINJI, hand_in(any), "draw_not_waiting"),
        (OPENS, CLOCK, seal(), "room"),
        (OPENS, MINJI, hand_in(any), "draw_not_waiting"),
        (OPENS, CLOCK, count([1, 2]), "room"),
        (OPENS, CLOCK, give_up(), "room"),
    ]);
    let round = draw(&office).sealed.as_ref().unwrap().round;
    assert!(test_beacon.chain.time_of(round) > at(OPENS).micros() / 1_000_000, "the round comes after the seal");
    assert_eq!(draw(&office).result, None);
    let signature = test_beacon.sign(round);
    let mut other = office.clone();
    office.run([
        (OPENS + S, MINJI, hand_in(any), "beacon_invalid"),
        (OPENS + S, MINJI, hand_in(HexBytes::new([0; 48])), "beacon_invalid"),
        (OPENS + S, Caller::Anonymous, hand_in(signature), "forbidden"),
        (OPENS + S, MINJI, hand_in(signature), "room"),
        (OPENS + S, JUNHO, hand_in(any), "room"),
    ]);
    let result = draw(&office).result.clone().unwrap();
    assert_eq!((result.signature, result.drawn_at), (Some(signature), at(OPENS + S)));
    // Without a signature by the deadline the secret alone decides.
    other.run([(OPENS + 30 * S - 1, CLOCK, give_up(), "room"), (OPENS + 30 * S - 1, BOSS, give_up(), "forbidden")]);
    assert_eq!(draw(&other).result, None);
    // From the deadline on no signature counts, whether or not the leader has given the beacon up yet.
    other.run([(OPENS + 30 * S, MINJI, hand_in(signature), "draw_not_waiting")]);
    other.run([(OPENS + 30 * S, CLOCK, give_up(), "room"), (OPENS + 31 * S, MINJI, hand_in(signature), "room")]);
    let alone = draw(&other).result.clone().unwrap();
    assert_eq!((alone.signature, alone.drawn_at), (None, at(OPENS + 30 * S)));
    assert_ne!(alone.seed, result.seed);
}

#[test]
fn the_first_come_order_is_a_setting_that_may_change_until_the_sale_opens() {
    let opening = |opening| RoomChange { opening: Some(opening), ..RoomChange::default() };
    let mut office = office_with_lobby();
    let unexplained =
        Command::SetRoom { room_id: DRAWN, change: opening(OpeningOrder::FirstCome), basis: None, reason: None };
    office.run([
        (0, MINJI, issue(DRAWN), "new"),
        (0, JUNHO, issue(DRAWN), "new"),
        (MIN, BOSS, unexplained, "reason_needed"),
        (MIN, BOSS, set_room(DRAWN, opening(OpeningOrder::FirstCome)), "room"),
    ]);
    assert_eq!(phase(&office), DrawPhase::None);
    office.run([
        (MIN, BOSS, set_room(DRAWN, opening(OpeningOrder::Draw)), "room"),
        (MIN, BOSS, set_room(DRAWN, opening(OpeningOrder::FirstCome)), "room"),
        (MIN, BOSS, set_cap(DRAWN, 1), "room"),
        (OPENS, CLOCK, seal(), "room"),
        (OPENS, CLOCK, advance(DRAWN), "offered 1, lapsed 0"),
        (OPENS, BOSS, set_room(DRAWN, opening(OpeningOrder::Draw)), "sale_opened"),
        (OPENS, BOSS, set_room(DRAWN, opening(OpeningOrder::FirstCome)), "room"),
    ]);
    assert_eq!(office.status(token_id(DRAWN, 1)), TokenStatus::Offered);
}

#[test]
fn a_sale_that_is_open_when_its_room_is_made_has_no_lobby_and_neither_has_a_house_that_wants_none() {
    let mut office = SaleModel::new();
    assert_eq!(office.room(RoomId::new(2)).draw, DrawPhase::None);
    office.policy = Policy { opening: OpeningOrder::FirstCome, ..office.policy };
    let concert = NewConcert { opens_at: Some(at(OPENS)), ..new_concert(Some(2)) };
    office.expect(BOSS, Command::CreateConcert(concert), "concert");
    assert_eq!(phase(&office), DrawPhase::None);
}

#[test]
fn an_empty_lobby_opens_as_a_line_in_order_of_coming() {
    let mut office = office_with_lobby();
    office.run([
        (0, MINJI, issue(DRAWN), "new"),
        (0, MINJI, leave(token_id(DRAWN, 1)), "ended"),
        (OPENS, CLOCK, seal(), "room"),
        (OPENS, CLOCK, count([]), "room"),
        (OPENS, JUNHO, issue(DRAWN), "new"),
        (OPENS, CLOCK, advance(DRAWN), "offered 1, lapsed 0"),
    ]);
    assert_eq!(phase(&office), DrawPhase::Placed { last: Position(1), entries: 0 });
    assert_eq!(office.status(token_id(DRAWN, 3)), TokenStatus::Offered);
}

#[test]
fn a_leader_that_was_replaced_takes_no_step_of_a_draw() {
    let mut office = office_with_lobby();
    let by = |fence| step(DrawStep::Seal { fence: Fence(fence) });
    office.run([
        (0, MINJI, issue(DRAWN), "new"),
        (OPENS, CLOCK, by(5), "room"),
        (OPENS, CLOCK, count([1]), "superseded by 5"),
        (OPENS, CLOCK, place(&[1]), "superseded by 5"),
        (OPENS, MINJI, seal(), "forbidden"),
        (OPENS, MINJI, begin(beacon_wait(Chain::quicknet(), 0)), "forbidden"),
    ]);
}
