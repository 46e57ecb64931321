use frontrow_domain::{
    command::{Command, Outcome, Replay},
    id::{Position, RoomId, UserId},
    money::Money,
    refusal::Refusal,
    retention::Leftover,
    sale::ReservationStatus,
    time::{Span, Time},
    user::{Caller, NewUser, Role, Session},
};
use frontrow_storage::ReservationFilter;
use frontrow_testkit::{
    START,
    fixture::{Fixture, first, keyed, request},
};

fn top_up(user_id: UserId, won: i64, reference: Option<&str>) -> Command {
    Command::TopUp { user_id, amount: Money::new(won), reference: reference.map(str::to_owned) }
}

pub(super) async fn a_key_answers_the_same_again(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 1).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    let hold = || keyed(Caller::Buyer(user), Command::Hold { token, seat_ids: seats.clone() }, 1, 1);
    let (first_answers, _) = office.batch(vec![hold()]).await;
    office.advance(10);
    let (answers, changes) = office.batch(vec![hold()]).await;
    assert_eq!(answers[0].replay, Replay::Replayed);
    assert_eq!(answers[0].decision, first_answers[0].decision);
    assert!(changes.is_empty());
    assert_eq!(office.store.reservations(&ReservationFilter::default(), first(10)).await.unwrap().len(), 1);
}

pub(super) async fn a_refusal_is_stored_too(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 1).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    let held = office.hold(user, token, seats[0]).await;
    let pay = |key| {
        let command = Command::Pay { token, reservation_ids: vec![held.reservation_id] };
        keyed(Caller::Buyer(user), command, key, 1)
    };
    let (refused, _) = office.batch(vec![pay(1)]).await;
    assert!(matches!(refused[0].decision, Err(Refusal::InsufficientPoints { .. })), "{refused:?}");
    office.top_up(user, 500_000).await;
    let (again, _) = office.batch(vec![pay(1)]).await;
    assert_eq!(again[0].replay, Replay::Replayed);
    assert_eq!(again[0].decision, refused[0].decision);
    let (paid, _) = office.batch(vec![pay(2)]).await;
    assert!(matches!(paid[0].decision, Ok(Outcome::Paid(_))), "{paid:?}");
}

pub(super) async fn a_key_in_one_batch_twice_has_one_effect(office: &Fixture) {
    let user = office.register().await;
    let command = || keyed(Caller::Buyer(user), top_up(user, 1_000, None), 9, 9);
    let (answers, changes) = office.batch(vec![command(), command()]).await;
    assert_eq!(answers[0].decision, answers[1].decision);
    assert_eq!((answers[0].replay, answers[1].replay), (Replay::Fresh, Replay::Replayed));
    assert_eq!(changes.kept.len(), 1);
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::new(1_000));
}

pub(super) async fn a_key_with_another_request_is_refused(office: &Fixture) {
    let user = office.register().await;
    office.batch(vec![keyed(Caller::Buyer(user), top_up(user, 1_000, None), 1, 1)]).await;
    let (answers, _) = office.batch(vec![keyed(Caller::Buyer(user), top_up(user, 2_000, None), 1, 2)]).await;
    assert_eq!(answers[0].decision, Err(Refusal::IdempotencyKeyReused));
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::new(1_000));
}

pub(super) async fn a_reference_is_used_once(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    office.ask(Caller::Service, top_up(user, 1_000, Some("pg-1"))).await.unwrap();
    let again = office.ask(Caller::Service, top_up(other, 1_000, Some("pg-1"))).await;
    assert_eq!(again, Err(Refusal::ReferenceUsed));
    let (answers, _) = office
        .batch(vec![
            request(Caller::Service, top_up(user, 1_000, Some("pg-2"))),
            request(Caller::Service, top_up(other, 1_000, Some("pg-2"))),
        ])
        .await;
    assert!(answers[0].decision.is_ok(), "{answers:?}");
    assert_eq!(answers[1].decision, Err(Refusal::ReferenceUsed));
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::new(2_000));
    assert_eq!(office.store.point(other).await.unwrap(), None);
}

pub(super) async fn an_email_address_is_registered_once(office: &Fixture) {
    let user = office.register().await;
    let known = office.store.user(user).await.unwrap().unwrap();
    assert_eq!((known.role, known.created_at), (Role::Buyer, START));
    let (found, hash) = office.store.credentials(&known.email).await.unwrap().unwrap();
    assert_eq!((found, hash.as_str()), (known.clone(), "$argon2id$"));
    assert_eq!(office.store.credentials("unknown@example.com").await.unwrap(), None);
    let again = NewUser {
        user_id: UserId(office.ids.uuid(START)),
        name: "Other".to_owned(),
        email: known.email,
        password_hash: String::new(),
        role: Role::Buyer,
    };
    assert_eq!(office.ask(Caller::Anonymous, Command::Register(again)).await, Err(Refusal::EmailTaken));
}

pub(super) async fn sessions_open_and_close(office: &Fixture) {
    let user_id = office.register().await;
    let expires_at = START.plus(Span::from_secs(3_600));
    let session =
        Session { secret_hash: [5; 32], user_id, role: Role::Buyer, expires_at, created_at: START, client: None };
    let opened = office.ask(Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).await;
    assert_eq!(opened, Ok(Outcome::SignedIn { expires_at, role: Role::Buyer }));
    assert_eq!(office.store.session([5; 32]).await.unwrap(), Some(session));
    office.advance(7_200);
    assert_eq!(office.store.session([5; 32]).await.unwrap(), Some(session));
    office.ask(Caller::Anonymous, Command::CloseSession { secret_hash: [5; 32] }).await.unwrap();
    assert_eq!(office.store.session([5; 32]).await.unwrap(), None);
}

pub(super) async fn old_answers_and_ended_sessions_are_removed(office: &Fixture) {
    let user_id = office.register().await;
    for (secret, secs) in [(1, 10), (2, 20)] {
        let expires_at = START.plus(Span::from_secs(secs));
        let session = Session {
            secret_hash: [secret; 32],
            user_id,
            role: Role::Buyer,
            expires_at,
            created_at: START,
            client: None,
        };
        office.ask(Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).await.unwrap();
    }
    let command = |key| keyed(Caller::Buyer(user_id), top_up(user_id, 1_000, None), key, 1);
    office.batch(vec![command(1), command(2)]).await;
    office.advance(15);
    office.batch(vec![command(3)]).await;
    let between = START.plus(Span::from_secs(15));
    assert_eq!(pruned(office, Leftover::Answer, between, 10).await, [2]);
    assert_eq!(pruned(office, Leftover::Session, between, 10).await, [1]);
    assert_eq!(office.store.session([1; 32]).await.unwrap(), None);
    assert!(office.store.session([2; 32]).await.unwrap().is_some());
    let (answers, _) = office.batch(vec![command(1), command(3)]).await;
    assert_eq!((answers[0].replay, answers[1].replay), (Replay::Fresh, Replay::Replayed));
}

/// How many rows went in each round, until there were no more.
async fn pruned(office: &Fixture, what: Leftover, before: Time, limit: u32) -> Vec<u64> {
    let mut rounds = Vec::new();
    loop {
        match office.store.prune(what, before, limit).await.unwrap() {
            0 => return rounds,
            rows => rounds.push(rows),
        }
        assert!(rounds.len() < 100, "{rounds:?}");
    }
}

pub(super) async fn ended_tokens_that_the_line_has_passed_are_removed_and_no_place_changes(office: &Fixture) {
    let mut users = Vec::new();
    for _ in 0..9 {
        users.push(office.register().await);
    }
    let mut tokens = Vec::new();
    for user in &users {
        tokens.push(office.join(*user, RoomId::HOUSE).await.id);
    }
    // The first six have their turns. Of those the third stays, and of those in line the eighth leaves.
    office.advance_line(RoomId::HOUSE, 6).await;
    for (user, token) in users.iter().zip(&tokens) {
        if ![3, 7, 9].contains(&token.position.0) {
            office.ask(Caller::Buyer(*user), Command::LeaveQueue { token: *token }).await.unwrap();
        }
    }
    let ended = office.clock.now();
    // Until no commit can come any more that took its number before.
    office.advance(30);
    let before = office.clock.now();
    let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
    assert_eq!(pruned(office, Leftover::Token, ended, 10).await, [0_u64; 0]);
    assert_eq!(pruned(office, Leftover::Token, before, 10).await, [5]);
    for (token, is_left) in tokens.iter().zip([false, false, true, false, false, false, true, true, true]) {
        assert_eq!(office.store.token(*token).await.unwrap().is_some(), is_left, "{token:?}");
    }
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap(), line, "no place moved");
    let unused = office.store.unassigned_positions(RoomId::HOUSE, line.room.cursor, line.highest).await.unwrap();
    assert_eq!(unused, [], "what was removed is not taken for what never was");
    assert_eq!(office.join(users[0], RoomId::HOUSE).await.id.position, Position(10));
}

pub(super) async fn the_highest_token_of_a_room_is_never_removed(office: &Fixture) {
    let user = office.register().await;
    for _ in 0..3 {
        let token = office.join(user, RoomId::HOUSE).await.id;
        office.advance_line(RoomId::HOUSE, 1).await;
        office.ask(Caller::Buyer(user), Command::LeaveQueue { token }).await.unwrap();
    }
    office.advance(3_600);
    assert_eq!(pruned(office, Leftover::Token, office.clock.now(), 10).await, [2]);
    let next = office.join(user, RoomId::HOUSE).await.id;
    let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
    assert_eq!((next.position, line.waiting, line.in_flight), (Position(4), vec![Position(4)], vec![]));
}

pub(super) async fn reservations_that_ended_unpaid_are_removed_and_paid_ones_stay(office: &Fixture) {
    let sale = office.sale().await;
    let token = office.activate(sale.user).await;
    let mut unpaid = Vec::new();
    for _ in 0..3 {
        let held = office.hold(sale.user, token, sale.seats[1]).await.reservation_id;
        let cancel = Command::CancelReservation { reservation_id: held, reason: None };
        office.ask(Caller::Buyer(sale.user), cancel).await.unwrap();
        unpaid.push(held);
        // Until the seat may be held by its user again.
        office.advance(60);
    }
    let overdue = office.hold(sale.user, token, sale.seats[1]).await.reservation_id;
    office.advance(301);
    office.ask(Caller::System, Command::ExpireHolds { reservation_ids: vec![overdue] }).await.unwrap();
    unpaid.push(overdue);
    let next = office.activate(sale.user).await;
    let live = office.hold(sale.user, next, sale.seats[2]).await;
    office.ask(Caller::System, Command::Refund { payment_id: sale.payment.payment_id, reason: None }).await.unwrap();
    office.advance(1);
    let rounds = pruned(office, Leftover::Reservation, office.clock.now(), 2).await;
    assert_eq!((rounds.iter().sum::<u64>(), rounds.iter().max()), (4, Some(&2)), "{rounds:?}");
    for id in unpaid {
        assert_eq!(office.store.reservation(id).await.unwrap(), None);
    }
    assert_eq!(office.store.reservation(live.reservation_id).await.unwrap(), Some(live.clone()));
    let paid = office.store.reservation(sale.payment.reservation_id).await.unwrap();
    assert_eq!(paid.map(|row| row.status()), Some(ReservationStatus::Refunded));
    // Its number is not given again.
    let cancel = Command::CancelReservation { reservation_id: live.reservation_id, reason: None };
    office.ask(Caller::Buyer(sale.user), cancel).await.unwrap();
    office.advance(60);
    let again = office.hold(sale.user, next, sale.seats[1]).await;
    assert!(again.reservation_id > live.reservation_id);
}

pub(super) async fn the_store_says_that_it_is_writable(office: &Fixture) {
    office.store.check_writable().await.unwrap();
    assert_eq!(office.store.rooms().await.unwrap().len(), 1);
}
