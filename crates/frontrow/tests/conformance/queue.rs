//! The requirements on every queue, as plain functions over the port. Each one starts with a queue without any room.

mod fixture;

use fixture::{HOUSE, QueueFixture, START, at, buyer, empty_line, user_id};
use frontrow_domain::{
    command::{Command, Outcome, RoomChange},
    id::{Position, RoomId},
    line::{Gate, Room, Silence, SilentToken, TokenStatus},
    money::Money,
    policy::AWAY_GRACE,
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{HeardSince, Peers, Rebuild, view::RoomView};
use frontrow_storage::Line;
use frontrow_testkit::PATIENCE;
use std::time::Duration;

every_queue!(
    a_room_that_was_not_built_has_no_view,
    a_built_room_is_not_rebuilt_from_older_rows,
    places_are_exact_while_others_join_leave_and_get_their_turn,
    a_token_issued_and_ended_in_one_batch_leaves_no_trace,
    a_dormant_token_that_returns_is_at_the_head,
    a_missed_turn_can_be_recalled,
    unresponsive_tokens_are_found_and_responsive_ones_are_not,
    a_token_whose_client_went_away_is_unresponsive_after_the_grace,
    taking_up_a_room_counts_every_token_as_just_seen,
    a_due_hold_is_handed_out_once,
    a_hold_that_was_cancelled_or_paid_is_never_due,
    settings_reach_the_view,
    a_concerts_own_room_is_there_from_the_start,
    a_view_from_rows_equals_the_one_that_applied_every_change,
    a_reader_on_another_thread_never_sees_its_place_rise,
    a_line_that_may_move_wakes_its_worker,
    a_room_is_busy_while_something_lives_in_it,
    quiet_rooms_are_loaded_at_once_and_disagreeing_ones_are_returned,
);

pub(crate) async fn a_room_that_was_not_built_has_no_view(queue: &dyn Peers) {
    assert!(queue.lines().view(HOUSE).is_none());
    assert!(queue.lines().rooms().is_empty());
    QueueFixture::open(queue, 1).await;
    assert!(queue.lines().view(HOUSE).is_some());
    assert!(queue.lines().view(RoomId::new(7)).is_none());
    assert_eq!(queue.lines().rooms(), [HOUSE]);
}

pub(crate) async fn places_are_exact_while_others_join_leave_and_get_their_turn(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 10).await;
    for first in (1..=5_000).step_by(500) {
        office.join(first..=first + 499);
    }
    assert_eq!(office.view().total_waiting(), 5_000);
    assert_eq!((office.ahead(1), office.ahead(5_000)), (0, 4_999));

    office.leave(2_000);
    office.leave(4_000);
    assert_eq!(office.status(2_000), TokenStatus::Ended);
    assert_eq!([1_999, 2_001, 3_999, 4_001, 5_000].map(|at| office.ahead(at)), [1_998, 1_999, 3_997, 3_998, 4_997]);
    assert_eq!(office.view().total_waiting(), 4_998);

    office.advance(&[]);
    assert_eq!(office.view().cursor(), Position(10));
    assert_eq!([10, 11].map(|at| office.status(at)), [TokenStatus::Offered, TokenStatus::Waiting]);
    assert_eq!([11, 2_001, 5_000].map(|at| office.ahead(at)), [0, 1_989, 4_987]);

    office.leave(11);
    office.activate(1);
    assert_eq!(office.ahead(12), 0);
    let view = office.view();
    assert_eq!((view.active(), view.offered(), view.total_waiting()), (1, 9, 4_987));
    assert_eq!(view.place(Position(1)).deadline(), Some(START.plus(office.policy.idle_span())));
}

pub(crate) async fn a_token_issued_and_ended_in_one_batch_leaves_no_trace(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 10).await;
    let leave = Command::LeaveQueue { token: at(2) };
    let mut batch: Vec<_> =
        (1..=3).map(|user| (buyer(user), Command::IssueToken { room_id: HOUSE, concert_id: None })).collect();
    batch.push((buyer(2), leave));
    office.run(batch);
    assert_eq!(office.status(2), TokenStatus::Ended);
    assert_eq!((office.ahead(3), office.view().total_waiting()), (1, 2));
}

pub(crate) async fn a_dormant_token_that_returns_is_at_the_head(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 2).await;
    office.join(1..=10);
    office.advance(&[1, 2]);
    assert_eq!([1, 2].map(|at| office.status(at)), [TokenStatus::Dormant; 2]);
    assert_eq!(
        [3, 4, 5].map(|at| office.status(at)),
        [TokenStatus::Offered, TokenStatus::Offered, TokenStatus::Waiting]
    );
    assert_eq!(office.view().total_waiting(), 6);

    office.one(buyer(1), Command::WakeToken { token: at(1) });
    assert_eq!((office.status(1), office.ahead(1), office.ahead(5)), (TokenStatus::Waiting, 0, 0));
    assert_eq!(office.view().total_waiting(), 7);
    assert_eq!(office.queue.unresponsive(HOUSE, 10, HeardSince::any(START)), []);

    // A token that is issued after the return has it in front, and one that was issued before does not.
    office.later(Span::from_secs(2));
    office.join(11..=11);
    let ahead_of = |office: &QueueFixture<'_>, position, issued_at| {
        let place = office.view().place_of(Position(position), issued_at);
        (place.ahead, place.returned)
    };
    assert_eq!(ahead_of(&office, 11, office.now), (7, 1));
    assert_eq!(ahead_of(&office, 10, START), (5, 0));

    office.leave(3);
    office.advance(&[]);
    assert_eq!((office.status(1), office.status(5)), (TokenStatus::Offered, TokenStatus::Waiting));
    assert_eq!(ahead_of(&office, 11, office.now), (6, 0), "it has its turn");
    assert_eq!(office.view().total_waiting(), 7);
}

pub(crate) async fn a_missed_turn_can_be_recalled(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    office.join(1..=3);
    office.advance(&[]);
    office.later(office.policy.claim_window);
    office.advance(&[]);
    let claim_by = START.plus(office.policy.claim_window);
    let place = office.view().place(Position(1));
    assert_eq!(
        (place.status(), place.deadline()),
        (TokenStatus::Missed, Some(claim_by.plus(office.policy.recall_window)))
    );
    assert_eq!(office.status(2), TokenStatus::Offered);

    assert!(matches!(office.activate(1), Outcome::TurnPending(_)));
    assert_eq!((office.status(1), office.ahead(1)), (TokenStatus::Waiting, 0));
    office.leave(2);
    office.advance(&[]);
    assert_eq!((office.status(1), office.status(3)), (TokenStatus::Offered, TokenStatus::Waiting));
}

/// How many of the first twenty in line are silent, once the queue can judge: of a room that was quiet it first fetches
/// the heartbeats of the other instances.
async fn silent(queue: &dyn Peers, room: RoomId, since: Time) -> usize {
    for _ in 0..2_000 {
        let silent = queue.unresponsive(room, 20, HeardSince::any(since)).len();
        if silent > 0 {
            return silent;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    0
}

pub(crate) async fn unresponsive_tokens_are_found_and_responsive_ones_are_not(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 0).await;
    office.join(1..=20);
    let later = START.plus(Span::from_secs(60));
    assert_eq!(queue.unresponsive(HOUSE, 20, HeardSince::any(START)), [], "who was just issued a token is awake");
    assert_eq!(silent(queue, HOUSE, later).await, 20);
    for awake in [3, 5, 6, 9] {
        queue.lines().record_heartbeat(at(awake), later);
    }
    assert_eq!(queue.unresponsive(HOUSE, 3, HeardSince::any(later)), unheard(&[1, 2, 4]), "three awake are enough");
    assert_eq!(queue.unresponsive(HOUSE, 4, HeardSince::any(later)), unheard(&[1, 2, 4, 7, 8]));
    office.leave(4);
    office.leave(5);
    assert_eq!(queue.unresponsive(HOUSE, 3, HeardSince::any(later)), unheard(&[1, 2, 7, 8]), "who has left is neither");
    queue.lines().record_heartbeat(at(1_000_000_000_000), later);
    assert_eq!(queue.unresponsive(RoomId::new(7), 3, HeardSince::any(later)), []);
}

fn unheard(of: &[i64]) -> Vec<SilentToken> {
    of.iter().copied().map(Position).map(SilentToken::unheard).collect()
}

pub(crate) async fn a_token_whose_client_went_away_is_unresponsive_after_the_grace(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 0).await;
    office.join(1..=20);
    let away = START.plus(Span::from_secs(1));
    for parted in [2, 5] {
        queue.lines().record_parting(at(parted), away);
    }
    // The queue can judge.
    assert_eq!(silent(queue, HOUSE, START.plus(Span::from_secs(60))).await, 20);
    let unresponsive =
        |now: Time| queue.unresponsive(HOUSE, 20, HeardSince { unheard: START, away: now.minus(AWAY_GRACE) });
    let gone = |of: &[i64]| {
        let token = |position: &i64| SilentToken { position: Position(*position), silence: Silence::Away };
        of.iter().map(token).collect::<Vec<_>>()
    };
    let after = away.plus(AWAY_GRACE);
    assert_eq!(unresponsive(after), []);
    let later = after.plus(Span::from_secs(1));
    assert_eq!(unresponsive(later), gone(&[2, 5]));
    queue.lines().record_heartbeat(at(5), later);
    assert_eq!(unresponsive(later), gone(&[2]), "the other is back");
}

pub(crate) async fn taking_up_a_room_counts_every_token_as_just_seen(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 0).await;
    office.join(1..=20);
    office.later(Span::from_secs(600));
    let room = RoomId::new(9);
    let mut line = office.line();
    line.room.room_id = room;
    queue.rebuild(line, Rebuild::Replace).await;
    assert_eq!(silent(queue, room, office.now.plus(Span::from_secs(1))).await, 20);
    assert_eq!(queue.unresponsive(room, 20, HeardSince::any(office.now)), []);
}

pub(crate) async fn a_due_hold_is_handed_out_once(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    let held = office.hold_two_seats();
    let end = START.plus(office.policy.hold);
    let before = end.minus(Span::from_micros(1));
    assert_eq!(queue.take_due_holds(before, 10).await.unwrap(), []);
    assert_eq!(queue.take_due_holds(end, 1).await.unwrap(), held[..1]);
    assert_eq!(queue.take_due_holds(end, 10).await.unwrap(), held[1..]);
    assert_eq!(queue.take_due_holds(end, 10).await.unwrap(), []);
    queue.add_hold_deadlines(&[(end, held[0])]);
    assert_eq!(queue.take_due_holds(end, 10).await.unwrap(), held[..1]);
}

pub(crate) async fn a_hold_that_was_cancelled_or_paid_is_never_due(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    let held = office.hold_two_seats();
    office.one(buyer(1), Command::CancelReservation { reservation_id: held[0], reason: None });
    let Some(top_up) = top_up(&mut office) else { panic!("the house tops up points") };
    assert!(top_up >= Money::new(1_000));
    office.one(buyer(1), Command::Pay { token: at(1), reservation_ids: vec![held[1]] });
    let long_after = START.plus(Span::from_secs(86_400));
    assert_eq!(queue.take_due_holds(long_after, 10).await.unwrap(), []);
    assert_eq!((office.status(1), office.view().active()), (TokenStatus::Ended, 0), "paying ends the token");
}

fn top_up(office: &mut QueueFixture<'_>) -> Option<Money> {
    use frontrow_domain::user::{NewUser, Role};
    let user = NewUser {
        user_id: user_id(1),
        name: "Name".into(),
        email: "name@frontrow.example".into(),
        password_hash: String::new(),
        role: Role::Buyer,
    };
    office.one(Caller::Anonymous, Command::Register(user));
    let command = Command::TopUp { user_id: user_id(1), amount: Money::new(5_000), reference: None };
    match office.one(buyer(1), command) {
        Outcome::ToppedUp(entry) => Some(entry.amount),
        _ => None,
    }
}

pub(crate) async fn settings_reach_the_view(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 5).await;
    let gate = Some(Gate::Paused);
    office.set_room(RoomChange {
        max_active: Some(7),
        gate,
        message: Some(Some("Soon.".into())),
        ..Default::default()
    });
    let view = office.view();
    assert_eq!((view.room().max_active, view.room().gate), (7, Gate::Paused));
    assert_eq!(view.room().message.as_deref(), Some("Soon."));
    assert_eq!(view.epoch(), office.model.rooms[&HOUSE].epoch);
}

pub(crate) async fn a_built_room_is_not_rebuilt_from_older_rows(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    let empty = |room_id| {
        let room = Room::new(room_id, 3, START);
        Line { room, highest: Position(0), waiting: Vec::new(), in_flight: Vec::new(), others: Vec::new(), now: START }
    };
    queue.rebuild(empty(RoomId::new(7)), Rebuild::IfMissing).await;
    assert_eq!(queue.lines().view(RoomId::new(7)).unwrap().room().max_active, 3);
    office.join(1..=2);
    queue.rebuild(empty(HOUSE), Rebuild::IfMissing).await;
    assert_eq!(office.view().total_waiting(), 2);
}

pub(crate) async fn a_concerts_own_room_is_there_from_the_start(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    let room = frontrow_domain::line::Room::new(RoomId::new(7), 3, START);
    let mut changes = frontrow_domain::changes::Changes { now: START, ..Default::default() };
    changes.rooms.inserted.push(room);
    queue.publish(&changes);
    assert_eq!(queue.lines().view(RoomId::new(7)).unwrap().room().max_active, 3);
    assert_eq!(queue.lines().rooms(), [HOUSE, RoomId::new(7)]);
    office.join(1..=2);
    assert_eq!(queue.lines().view(RoomId::new(7)).unwrap().total_waiting(), 0, "the house's line is another");
}

pub(crate) async fn a_view_from_rows_equals_the_one_that_applied_every_change(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 4).await;
    let mut chance = 42_u64;
    let mut pick = move |below: i64| {
        // Knuth's linear congruential generator: the same steps in every run.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(chance >> 33).unwrap() % below
    };
    for round in 0..300 {
        let user = pick(200) + 1;
        office.later(Span::from_secs(pick(40)));
        match pick(6) {
            0 | 1 => office.join(user..=user + 5),
            2 => office.advance(&[user, user + 1]),
            kind => {
                let Some(token) = office.model.tokens.values().nth(usize::try_from(user).unwrap()).copied() else {
                    continue;
                };
                let command = match kind {
                    3 => Command::LeaveQueue { token: token.id },
                    4 => Command::ActivateToken { token: token.id },
                    _ => Command::WakeToken { token: token.id },
                };
                office.run(vec![(Caller::Buyer(token.user_id), command)]);
            }
        }
        let followed = office.view();
        if round % 3 == 0 {
            queue.rebuild(office.line(), Rebuild::Replace).await;
        }
        let rebuilt = office.view();
        let numbers =
            |view: &RoomView| (view.cursor(), view.tail(), view.active(), view.offered(), view.total_waiting());
        assert_eq!(numbers(&followed), numbers(&rebuilt));
        for token in office.model.tokens.values() {
            assert_eq!(followed.place(token.id.position), rebuilt.place(token.id.position), "{:?}", token.id);
            assert_eq!(rebuilt.place(token.id.position).status(), token.status());
        }
    }
    assert!(office.model.tokens.len() > 200);
}

pub(crate) async fn a_reader_on_another_thread_never_sees_its_place_rise(queue: &dyn Peers) {
    const PLACE: i64 = 400;
    let mut office = QueueFixture::open(queue, 0).await;
    office.join(1..=PLACE);
    let (started, has_started) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut last = i64::MAX;
            loop {
                let place = queue.lines().view(HOUSE).unwrap().place(Position(PLACE));
                if place.status() != TokenStatus::Waiting {
                    return last;
                }
                assert!(place.ahead <= last, "{} after {last}", place.ahead);
                if last == i64::MAX {
                    started.send(place.ahead).unwrap();
                }
                last = place.ahead;
            }
        });
        assert_eq!(has_started.recv().unwrap(), PLACE - 1);
        for user in 1..PLACE {
            match user % 3 {
                0 => office.leave(PLACE - user),
                1 => {
                    office.set_room(RoomChange { max_active: Some(user / 3), ..Default::default() });
                    office.advance(&[user + 1]);
                }
                _ => office.join(PLACE + user..=PLACE + user),
            }
        }
        office.leave(PLACE);
        assert!(reader.join().unwrap() < PLACE);
    });
}

/// Longer than any test may take.
const LONG: Duration = Duration::from_hours(1);

/// Whether the queue said that a line may move, rather than that time has passed.
async fn wakes(queue: &dyn Peers) -> bool {
    tokio::time::timeout(PATIENCE, queue.lines().moved(LONG)).await.is_ok()
}

pub(crate) async fn a_line_that_may_move_wakes_its_worker(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    assert!(wakes(queue).await, "a room was built");
    office.join(1..=2);
    assert!(wakes(queue).await, "a token came while a place was free");
    office.advance(&[]);
    office.activate(1);
    office.join(3..=3);
    let news = tokio::select! {
        biased;
        _ = queue.lines().moved(LONG) => true,
        () = std::future::ready(()) => false,
    };
    assert!(!news, "the room is full");
    office.leave(1);
    assert!(wakes(queue).await, "a place came free");
    office.set_room(RoomChange { max_active: Some(9), ..Default::default() });
    assert!(wakes(queue).await, "a setting changed");
}

pub(crate) async fn a_room_is_busy_while_something_lives_in_it(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    assert_eq!(queue.lines().busy_rooms(), []);
    office.join(1..=2);
    assert_eq!(queue.lines().busy_rooms(), [HOUSE], "two wait");
    office.advance(&[1]);
    office.leave(2);
    assert_eq!((office.status(1), queue.lines().busy_rooms()), (TokenStatus::Dormant, vec![HOUSE]));
    office.leave(1);
    assert_eq!(queue.lines().busy_rooms(), []);
    office.join(3..=3);
    office.advance(&[]);
    assert_eq!((office.status(3), queue.lines().busy_rooms()), (TokenStatus::Offered, vec![HOUSE]));
    office.activate(3);
    assert_eq!((office.status(3), queue.lines().busy_rooms()), (TokenStatus::Active, vec![HOUSE]));
    office.leave(3);
    assert_eq!(queue.lines().busy_rooms(), []);
    office.join(4..=4);
    queue.rebuild(office.line(), Rebuild::Replace).await;
    assert_eq!(queue.lines().busy_rooms(), [HOUSE], "it was built");
}

pub(crate) async fn quiet_rooms_are_loaded_at_once_and_disagreeing_ones_are_returned(queue: &dyn Peers) {
    let mut office = QueueFixture::open(queue, 1).await;
    let quiet = |room: i64| Line {
        room: Room { cursor: Position(2), ..Room::new(RoomId::new(room), 3, START) },
        highest: Position(5),
        ..empty_line()
    };
    let house = office.line();
    let mut lines: Vec<_> = (1..=50).map(quiet).collect();
    lines.push(house.clone());
    assert_eq!(queue.load_quiet_rooms(&lines), []);
    assert_eq!(queue.lines().rooms().len(), 51);
    let view = queue.lines().view(RoomId::new(50)).unwrap();
    assert_eq!(view.place(Position(4)).status(), TokenStatus::Ended, "a token that left before its turn has ended");
    assert_eq!(view.place(Position(6)).status(), TokenStatus::Waiting, "the issue of a later one is not published yet");
    assert_eq!((view.total_waiting(), queue.lines().busy_rooms()), (0, vec![]));
    office.join(1..=1);
    assert_eq!(queue.load_quiet_rooms(&[house, quiet(1)]), [HOUSE]);
    assert_eq!(office.view().total_waiting(), 1, "it is left as it is");
}
