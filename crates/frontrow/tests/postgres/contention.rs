//! The same things asked of two instances at once.

use crate::crowd::{Two, answer, give};
use frontrow_domain::{
    command::{Command, ConcertChange, Issue, LaneStep, NewBlock, NewConcert, NewRoom, Outcome, Replay, RoomChange},
    id::{Position, RoomId, SeatId, TokenId, UserId},
    line::{Gate, LaneKind, RoomSite, ShareScope, TokenStatus},
    money::Money,
    policy::Policy,
    refusal::Refusal,
    time::Span,
    user::Caller,
};
use frontrow_storage::{check, postgres::PostgresSettings};
use frontrow_testkit::fixture::{keyed, new_concert, request};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const USERS: u128 = 2_000;
const BLOCK_TOKENS: &str = "LOCK TABLE waiting_token IN SHARE MODE";
const BLOCK_RESERVATIONS: &str = "LOCK TABLE reservation IN SHARE MODE";
const BLOCK_POINTS: &str = "LOCK TABLE point IN SHARE MODE";

fn join() -> Command {
    Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None }
}

fn hold(token: TokenId, seat_ids: &[SeatId]) -> Command {
    Command::Hold { token, seat_ids: seat_ids.to_vec() }
}

#[tokio::test]
async fn a_user_who_joins_through_both_has_one_place() {
    let office = Two::open().await;
    let user = office.one.register().await;
    // Both see no token and give one; both are about to save it.
    let obstacle = office.stand_in_the_way(BLOCK_TOKENS).await;
    let given = [&office.one, &office.other].map(|one| give(one, vec![request(Caller::Buyer(user), join())]));
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    let mut tokens = Vec::new();
    let mut seen = Vec::new();
    for given in given {
        let mut committed = given.await.unwrap().unwrap();
        seen.extend(committed.changes.unused);
        seen.extend(committed.changes.tokens.inserted.iter().map(|token| token.id));
        match committed.answers.remove(0).decision {
            Ok(Outcome::Joined { token, issue }) => tokens.push((token.id, issue)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tokens[0].0, tokens[1].0);
    assert_ne!(tokens[0].1, tokens[1].1);
    assert_eq!(office.one.store.live_tokens(user).await.unwrap().len(), 1);
    // Every position that was drawn is a token or is published as unassigned, that of the failed try too.
    seen.sort_unstable();
    let highest = office.number("SELECT last_value FROM room_position_0").await;
    let drawn: Vec<_> =
        (1..=highest).map(|number| TokenId { room_id: RoomId::HOUSE, position: Position(number) }).collect();
    assert_eq!(seen, drawn);
    assert!(drawn.len() >= 3, "{drawn:?}");
}

#[tokio::test]
async fn a_user_who_joins_while_an_operator_blocks_has_no_place() {
    let office = Two::open().await;
    let user = office.one.register().await;
    let block = || {
        let reason = "A program joined.".to_owned();
        Command::BlockFromLine(NewBlock { room_id: RoomId::HOUSE, user_id: user, reason, until: None })
    };
    // The join has seen no block, and is about to save the token: the block has to wait for it.
    let obstacle = office.stand_in_the_way(BLOCK_TOKENS).await;
    let joined = give(&office.one, vec![request(Caller::Buyer(user), join())]);
    office.wait_for_waiters(1).await;
    let blocked = give(&office.other, vec![request(Caller::System, block())]);
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    assert!(matches!(answer(joined).await.decision, Ok(Outcome::Joined { .. })));
    assert_eq!(answer(blocked).await.decision, Ok(Outcome::Done));
    assert_eq!(office.one.store.live_tokens(user).await.unwrap(), []);
    // The block has seen no token, and is about to save: the join has to wait for it.
    let lift = Command::UnblockFromLine { room_id: RoomId::HOUSE, user_id: user };
    office.one.ask(Caller::System, lift).await.unwrap();
    let obstacle = office.stand_in_the_way("LOCK TABLE line_block IN SHARE MODE").await;
    let blocked = give(&office.other, vec![request(Caller::System, block())]);
    office.wait_for_waiters(1).await;
    let joined = give(&office.one, vec![request(Caller::Buyer(user), join())]);
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    assert_eq!(answer(blocked).await.decision, Ok(Outcome::Done));
    assert_eq!(answer(joined).await.decision, Err(Refusal::LineBlocked { until: None }));
    assert_eq!(office.one.store.live_tokens(user).await.unwrap(), []);
}

#[tokio::test]
async fn many_users_who_join_through_both_in_opposite_order_have_one_place_each() {
    let office = Two::open().await;
    // So many that the two surely meet in the middle of it.
    let users: Vec<_> = (1..=USERS).map(|number| UserId(uuid::Uuid::from_u128(number))).collect();
    let sql = format!(
        "INSERT INTO \"user\" SELECT lpad(to_hex(n), 32, '0')::uuid, '', n, '', 'buyer', 0, 0
         FROM generate_series(1, {USERS}) AS n"
    );
    office.admin.batch_execute(&sql).await.unwrap();
    let batch = |users: &mut dyn Iterator<Item = &UserId>| -> Vec<_> {
        users.map(|user| request(Caller::Buyer(*user), join())).collect()
    };
    let obstacle = office.stand_in_the_way(BLOCK_TOKENS).await;
    let given = [give(&office.one, batch(&mut users.iter())), give(&office.other, batch(&mut users.iter().rev()))];
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    let mut new = 0;
    for given in given {
        for answer in given.await.unwrap().unwrap().answers {
            match answer.decision {
                Ok(Outcome::Joined { issue, .. }) => new += usize::from(issue == Issue::New),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(new, users.len());
    assert_eq!(office.number("SELECT count(*) FROM waiting_token").await, i64::try_from(USERS).unwrap());
    assert_eq!(deadlocks(&office).await, 0);
}

async fn deadlocks(office: &Two) -> i64 {
    office.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await
}

#[tokio::test]
async fn one_seat_wanted_through_both_has_one_holder() {
    let office = Two::open().await;
    let concert = office.one.concert().await;
    let seat = office.one.seats(concert.concert_id, 1).await[0];
    let [first, second] = [office.one.register().await, office.one.register().await];
    let tokens = [office.one.activate(first).await, office.one.activate(second).await];
    let obstacle = office.stand_in_the_way(BLOCK_RESERVATIONS).await;
    let given = [
        give(&office.one, vec![request(Caller::Buyer(first), hold(tokens[0], &[seat]))]),
        give(&office.other, vec![request(Caller::Buyer(second), hold(tokens[1], &[seat]))]),
    ];
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    let (mut held, mut refused) = (0, 0);
    for given in given {
        match answer(given).await.decision {
            Ok(Outcome::Held(_)) => held += 1,
            Err(Refusal::SeatHeld { .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((held, refused), (1, 1));
}

#[tokio::test]
async fn rows_that_moved_while_their_locks_were_waited_for_are_changed_where_they_are_then() {
    let office = Two::open().await;
    let concert = office.one.concert().await;
    let seat = office.one.seats(concert.concert_id, 1).await[0];
    let user = office.one.register().await;
    office.one.top_up(user, 1_000_000).await;
    let token = office.one.activate(user).await;
    let reservation_id = office.one.hold(user, token, seat).await.reservation_id;
    let moves = "UPDATE waiting_token SET issued_at = issued_at; UPDATE point SET amount = amount;
                 UPDATE seat SET price = price; UPDATE reservation SET price = price";
    let obstacle = office.stand_in_the_way(moves).await;
    let pay = Command::Pay { token, reservation_ids: vec![reservation_id] };
    let given = give(&office.other, vec![request(Caller::Buyer(user), pay)]);
    office.wait_for_waiters(1).await;
    obstacle.commit().await;
    let answer = answer(given).await;
    assert!(matches!(answer.decision, Ok(Outcome::Paid(_))), "{answer:?}");
    let sold = "SELECT count(*) FROM seat JOIN reservation USING (reservation_id)
                WHERE seat.status = 'sold' AND reservation.status = 'confirmed'";
    assert_eq!(office.number(sold).await, 1);
}

#[tokio::test]
async fn a_users_limit_of_seats_holds_through_both() {
    let office = Two::open().await;
    let concert = office.one.concert().await;
    let seats = office.one.seats(concert.concert_id, 8).await;
    let user = office.one.register().await;
    let token = office.one.activate(user).await;
    // Different seats: nothing but the token is in both.
    let obstacle = office.stand_in_the_way(BLOCK_RESERVATIONS).await;
    let given = [
        give(&office.one, vec![request(Caller::Buyer(user), hold(token, &seats[..4]))]),
        give(&office.other, vec![request(Caller::Buyer(user), hold(token, &seats[4..]))]),
    ];
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    let limit = Policy::default().max_seats_per_user;
    let mut held = 0;
    for given in given {
        match answer(given).await.decision {
            Ok(Outcome::Held(rows)) => held += rows.len(),
            Err(refusal) => assert_eq!(refusal, Refusal::TooManySeats { limit }),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(held, 4);
}

#[tokio::test]
async fn one_key_through_both_has_one_effect_and_one_answer() {
    let office = Two::open().await;
    let user = office.one.register().await;
    let top_up = Command::TopUp { user_id: user, amount: Money::new(700), reference: None };
    // The account is new, so that no lock of a row keeps them apart.
    let obstacle = office.stand_in_the_way(BLOCK_POINTS).await;
    let given =
        [&office.one, &office.other].map(|one| give(one, vec![keyed(Caller::Buyer(user), top_up.clone(), 1, 1)]));
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    let mut answers = Vec::new();
    for given in given {
        answers.push(answer(given).await);
    }
    assert_eq!(answers[0].decision, answers[1].decision);
    assert!(answers[0].decision.is_ok());
    answers.sort_by_key(|answer| answer.replay == Replay::Replayed);
    assert_eq!([answers[0].replay, answers[1].replay], [Replay::Fresh, Replay::Replayed]);
    assert_eq!(office.other.store.point(user).await.unwrap().unwrap().amount, Money::new(700));
}

/// Users with a turn each, in a house room that has since shrunk to `max_active`.
async fn turns(office: &Two, count: usize, max_active: i64) -> Vec<(UserId, TokenId)> {
    let mut turns = Vec::new();
    for _ in 0..count {
        let user = office.one.register().await;
        turns.push((user, office.one.join(user, RoomId::HOUSE).await.id));
    }
    office.one.advance_line(RoomId::HOUSE, 100).await;
    let change = RoomChange { max_active: Some(max_active), ..RoomChange::default() };
    office
        .one
        .ask(Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None })
        .await
        .unwrap();
    turns
}

#[tokio::test]
async fn claims_through_both_never_exceed_the_cap() {
    let office = Two::open().await;
    let turns = turns(&office, 8, 3).await;
    let obstacle = office.stand_in_the_way(BLOCK_TOKENS).await;
    let given: Vec<_> = turns
        .iter()
        .zip([&office.one, &office.other].into_iter().cycle())
        .map(|((user, token), one)| {
            give(one, vec![request(Caller::Buyer(*user), Command::ActivateToken { token: *token })])
        })
        .collect();
    office.wait_for_waiters(8).await;
    obstacle.step_aside().await;
    let (mut active, mut pending) = (0, 0);
    for given in given {
        match answer(given).await.decision {
            Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active => active += 1,
            Ok(Outcome::TurnPending(_)) => pending += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((active, pending), (3, 5));
    assert_eq!(office.number("SELECT count(*) FROM waiting_token WHERE status = 'active'").await, 3);
}

/// Whether the room counts what there is in it, by the audit of the books.
async fn assert_counted(office: &Two) {
    let report = check::postgres::run(&PostgresSettings::new(&office.database.url())).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn of_two_who_claim_the_last_place_through_both_one_gets_it() {
    let office = Two::open().await;
    let turns = turns(&office, 3, 2).await;
    let claim = |(user, token): (UserId, TokenId)| request(Caller::Buyer(user), Command::ActivateToken { token });
    office.one.batch(vec![claim(turns[0])]).await;
    let obstacle = office.stand_in_the_way("SELECT FROM room WHERE room_id = 0 FOR UPDATE").await;
    let given = [give(&office.one, vec![claim(turns[1])]), give(&office.other, vec![claim(turns[2])])];
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    let mut active = 0;
    for given in given {
        match answer(given).await.decision {
            Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active => active += 1,
            Ok(Outcome::TurnPending(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(active, 1);
    assert_counted(&office).await;
}

/// A lane beside a line that is being opened through the first instance: its row is saved, and its commit waits for the
/// obstacle. `commands` are given to the other meanwhile, and wait for the line.
async fn while_a_lane_opens(office: &Two, lane: RoomId, commands: Vec<Command>) -> Vec<Result<Outcome, Refusal>> {
    let obstacle = office.stand_in_the_way("LOCK TABLE audit_log IN SHARE MODE").await;
    let opened = give(&office.one, vec![request(Caller::System, open(lane, 30))]);
    office.wait_for_waiters(1).await;
    let given = give(&office.other, commands.into_iter().map(|command| request(Caller::System, command)).collect());
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    assert!(matches!(answer(opened).await.decision, Ok(Outcome::Room(_))));
    given.await.unwrap().unwrap().answers.into_iter().map(|answer| answer.decision).collect()
}

fn open(lane: RoomId, percent: i64) -> Command {
    Command::StepLane { room_id: lane, step: LaneStep::Open { share: percent.try_into().unwrap(), reason: None } }
}

#[tokio::test]
async fn a_change_of_a_line_that_waits_for_a_lane_to_open_is_followed_by_the_lane() {
    let office = Two::open().await;
    let set = |room_id, change| Command::SetRoom { room_id, change, basis: None, reason: None };
    let own = office.one.concert_like(NewConcert { own_room_max_active: Some(9), ..new_concert() }).await;
    let change = RoomChange { max_active: Some(4), gate: Some(Gate::Paused), ..RoomChange::default() };
    let row = async |id| office.other.store.line(id).await.unwrap().unwrap().room;
    // The settings of a room, beside the sharing of a budget by which other rows are locked, too.
    let lane = own.room_id.lane(LaneKind::Invitation);
    let sharing = Command::Share { scope: ShareScope::House, waiting: vec![(own.room_id, 1)] };
    let decisions = while_a_lane_opens(&office, lane, vec![set(own.room_id, change.clone()), sharing]).await;
    assert!(decisions.iter().all(Result::is_ok), "{decisions:?}");
    assert_eq!((row(lane).await.max_active, row(lane).await.gate), (4, Gate::Paused));
    // The sale of a concert.
    let own = office.one.concert_like(NewConcert { own_room_max_active: Some(9), ..new_concert() }).await;
    let lane = own.room_id.lane(LaneKind::Invitation);
    let opens_at = own.opens_at.plus(Span::from_secs(60));
    let change_of_sale = ConcertChange { opens_at: Some(opens_at), ..ConcertChange::default() };
    let (concert_id, reason) = (own.concert_id, Some("The hall is late.".to_owned()));
    let update = Command::UpdateConcert { concert_id, change: change_of_sale, basis: None, reason };
    let decisions = while_a_lane_opens(&office, lane, vec![update]).await;
    assert!(decisions[0].is_ok(), "{decisions:?}");
    assert_eq!(row(lane).await.opens_at, Some(opens_at));
    // The house room, and a site that closes.
    let lane = RoomId::HOUSE.lane(LaneKind::Accessibility);
    while_a_lane_opens(&office, lane, vec![set(RoomId::HOUSE, change)]).await[0].as_ref().unwrap();
    assert_eq!(row(lane).await.max_active, 4);
    let site = RoomSite { name: "Shop".to_owned(), turn_url: "https://shop.example.com/".parse().unwrap() };
    let new = NewRoom { site, max_active: 5, admit_per_minute: None, opens_at: None };
    let Ok(Outcome::Room(made)) = office.one.ask(Caller::System, Command::CreateRoom(new)).await else { panic!() };
    let lane = made.room_id.lane(LaneKind::Invitation);
    let close = Command::CloseRoom { room_id: made.room_id, basis: None, reason: "The sale is over.".to_owned() };
    while_a_lane_opens(&office, lane, vec![close]).await[0].as_ref().unwrap();
    assert_eq!(row(lane).await.closes_at, row(made.room_id).await.closes_at);
    assert!(row(lane).await.closes_at.is_some());
    assert_counted(&office).await;
}

#[tokio::test]
async fn two_lanes_that_open_beside_one_line_through_both_leave_it_half_of_its_places() {
    let office = Two::open().await;
    let own = office.one.concert_like(NewConcert { own_room_max_active: Some(9), ..new_concert() }).await;
    let [one, other] = LaneKind::ALL.map(|kind| own.room_id.lane(kind));
    let decisions = while_a_lane_opens(&office, one, vec![open(other, 30)]).await;
    assert!(matches!(decisions[..], [Err(Refusal::Malformed { .. })]), "{decisions:?}");
    assert!(office.one.store.line(other).await.unwrap().is_none());
    // What one has is changed beside one that opens, too.
    office.one.ask(Caller::System, open(other, 20)).await.unwrap();
    let own = office.one.concert_like(NewConcert { own_room_max_active: Some(9), ..new_concert() }).await;
    let [one, other] = LaneKind::ALL.map(|kind| own.room_id.lane(kind));
    office.one.ask(Caller::System, open(other, 10)).await.unwrap();
    let more = LaneStep::Set { share: 30.try_into().ok(), entry: None, reason: None };
    let decisions = while_a_lane_opens(&office, one, vec![Command::StepLane { room_id: other, step: more }]).await;
    assert!(matches!(decisions[..], [Err(Refusal::Malformed { .. })]), "{decisions:?}");
}

/// The place of one who is about to pay is taken until the payment is there, and free from then on. Neither waits for the
/// other.
#[tokio::test]
async fn a_claim_gets_the_place_of_a_payment_once_that_is_committed_and_not_before() {
    let office = Two::open().await;
    let concert = office.one.concert().await;
    let seat = office.one.seats(concert.concert_id, 1).await[0];
    let turns = turns(&office, 2, 1).await;
    let [(buyer, active), (comes, offered)] = [turns[0], turns[1]];
    let claim = |token| Command::ActivateToken { token };
    office.one.ask(Caller::Buyer(buyer), claim(active)).await.unwrap();
    office.one.top_up(buyer, 1_000_000).await;
    let reservation_id = office.one.hold(buyer, active, seat).await.reservation_id;
    // The payment is decided, and its save waits for the obstacle.
    let obstacle =
        office.stand_in_the_way(&format!("INSERT INTO idempotency VALUES ('\\x{}', '', '', 0)", "01".repeat(32))).await;
    let pay = Command::Pay { token: active, reservation_ids: vec![reservation_id] };
    let payment = give(&office.one, vec![keyed(Caller::Buyer(buyer), pay, 1, 1)]);
    office.wait_for_waiters(1).await;
    let decision = office.other.ask(Caller::Buyer(comes), claim(offered)).await;
    assert!(matches!(decision, Ok(Outcome::TurnPending(_))), "{decision:?}");
    obstacle.step_aside().await;
    assert!(matches!(answer(payment).await.decision, Ok(Outcome::Paid(_))));
    assert_counted(&office).await;
    let decision = office.other.ask(Caller::Buyer(comes), claim(offered)).await;
    assert!(matches!(decision, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active), "{decision:?}");
    assert_counted(&office).await;
    assert_eq!(office.number("SELECT count(*) FROM room_departure").await, 0);
}

#[tokio::test]
async fn a_payment_and_a_user_who_leaves_do_not_wait_for_the_row_that_claims_wait_for() {
    let office = Two::open().await;
    let sale = office.one.concert().await;
    let seat = office.one.seats(sale.concert_id, 1).await[0];
    let [payer, leaver] = [office.one.register().await, office.one.register().await];
    office.one.top_up(payer, 1_000_000).await;
    let [token, other] = [office.one.activate(payer).await, office.one.activate(leaver).await];
    let reservation_id = office.one.hold(payer, token, seat).await.reservation_id;
    let obstacle = office.stand_in_the_way("SELECT FROM room WHERE room_id = 0 FOR UPDATE").await;
    office.one.pay(payer, token, reservation_id).await;
    office.other.ask(Caller::Buyer(leaver), Command::LeaveQueue { token: other }).await.unwrap();
    obstacle.step_aside().await;
    assert_eq!(office.number("SELECT sum(active)::bigint FROM room_departure").await, -2);
    assert_counted(&office).await;
}

/// Three others take turns at the room's row, each for less time than a batch waits for a lock.
#[tokio::test]
async fn claims_get_through_though_their_rooms_row_is_waited_for_for_more_than_a_second() {
    const HELD_FOR: Duration = Duration::from_millis(600);
    let patient = |url: &str| PostgresSettings {
        lock_timeout: Duration::from_millis(5_500),
        statement_timeout: Duration::from_secs(6),
        ..PostgresSettings::new(url)
    };
    let office = Two::open_with(patient).await;
    let turns = turns(&office, 2, 2).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut others = Vec::new();
    for _ in 0..3 {
        let (client, is_over) = (office.database.client().await, Arc::clone(&is_over));
        others.push(tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                client.batch_execute(&format!("BEGIN; {LOCK_HOUSE}")).await.unwrap();
                tokio::time::sleep(HELD_FOR).await;
                client.batch_execute("ROLLBACK").await.unwrap();
            }
        }));
    }
    for (user, token) in turns {
        office.wait_for_waiters(2).await;
        let claim = give(&office.one, vec![request(Caller::Buyer(user), Command::ActivateToken { token })]);
        let decision = answer(claim).await.decision;
        assert!(matches!(decision, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active), "{decision:?}");
    }
    is_over.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
}

const LOCK_HOUSE: &str = "SELECT FROM room WHERE room_id = 0 FOR NO KEY UPDATE";

/// A token is renewed in the last moment of its time through one instance, and somebody claims its place through the
/// other when that time is just over: a claim that would end it must wait for the renewal.
#[tokio::test]
async fn a_renewal_at_the_deadline_and_a_claim_do_not_make_two_of_one_place() {
    let office = Two::open().await;
    let turns = turns(&office, 2, 1).await;
    let [(stays, active), (comes, offered)] = [turns[0], turns[1]];
    let claim = |token| Command::ActivateToken { token };
    let claimed = office.one.ask(Caller::Buyer(stays), claim(active)).await;
    assert!(matches!(claimed, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active));
    let idle = Policy::default().idle_span().micros();
    // The turn must outlive the other's idle time: a claim that has to wait renews it.
    office.other.clock.advance(Span::from_secs(50));
    assert!(matches!(office.other.ask(Caller::Buyer(comes), claim(offered)).await, Ok(Outcome::TurnPending(_))));
    office.one.clock.advance(Span::from_micros(idle - 1));
    office.other.clock.advance(Span::from_micros(idle + 1 - 50_000_000));

    // The renewal has its lock, has looked at the clock and has decided; its commit waits for the obstacle.
    let obstacle =
        office.stand_in_the_way(&format!("INSERT INTO idempotency VALUES ('\\x{}', '', '', 0)", "01".repeat(32))).await;
    let renewal = give(&office.one, vec![keyed(Caller::Buyer(stays), Command::WakeToken { token: active }, 1, 1)]);
    office.wait_for_waiters(1).await;
    let other = give(&office.other, vec![request(Caller::Buyer(comes), claim(offered))]);
    // Without the guard the claim would be through before the renewal.
    let claims = async {
        while !other.is_finished() && office.number(WAITING).await < 2 {
            tokio::task::yield_now().await;
        }
    };
    claims.await;
    obstacle.step_aside().await;
    assert!(
        matches!(answer(renewal).await.decision, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active)
    );
    let decision = answer(other).await.decision;
    assert!(matches!(decision, Ok(Outcome::TurnPending(_))), "{decision:?}");
    assert_eq!(office.number("SELECT count(*) FROM waiting_token WHERE status = 'active'").await, 1);
}

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test]
async fn batches_that_name_the_same_rows_in_opposite_order_do_not_deadlock() {
    let office = Two::open().await;
    let concert = office.one.concert().await;
    let seats = office.one.seats(concert.concert_id, 12).await;
    let mut buyers = Vec::new();
    for _ in 0..6 {
        let user = office.one.register().await;
        office.one.top_up(user, 10_000).await;
        buyers.push((user, office.one.activate(user).await));
    }
    for round in 0..15 {
        let holds: Vec<_> = buyers
            .iter()
            .zip(seats.iter().cycle().skip(round))
            .map(|((user, token), seat)| request(Caller::Buyer(*user), hold(*token, &[*seat])))
            .collect();
        let backwards = holds.iter().rev().cloned().collect();
        let given = [give(&office.one, holds), give(&office.other, backwards)];
        let mut held = Vec::new();
        for given in given {
            for answer in given.await.unwrap().unwrap().answers {
                if let Ok(Outcome::Held(rows)) = answer.decision {
                    held.extend(rows);
                }
            }
        }
        assert_eq!(held.len(), buyers.len());
        let cancels: Vec<_> = held
            .iter()
            .map(|row| {
                let command = Command::CancelReservation { reservation_id: row.reservation_id, reason: None };
                request(Caller::Buyer(row.user_id), command)
            })
            .collect();
        let backwards = cancels.iter().rev().cloned().collect();
        let given = [give(&office.one, cancels), give(&office.other, backwards)];
        for given in given {
            given.await.unwrap().unwrap();
        }
    }
    assert_eq!(deadlocks(&office).await, 0);
    assert_eq!(office.number("SELECT count(*) FROM seat WHERE status <> 'available'").await, 0);
}
