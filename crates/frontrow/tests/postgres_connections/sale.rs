//! A small sale, from the empty database to paid seats.

use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, NewConcert, Outcome, Request},
    decide::decide_all,
    id::{ConcertId, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::Fence,
    money::Money,
    policy::Policy,
    sale::NewSeat,
    user::{Caller, NewUser, Role},
};
use frontrow_storage::{
    Store,
    postgres::{PostgresSettings, PostgresStore},
};
pub(crate) use frontrow_testkit::START;
use frontrow_testkit::fixture::{new_concert, new_seat};

pub(crate) async fn open(settings: &PostgresSettings, clock: &Clock) -> PostgresStore {
    PostgresStore::open(settings, clock.clone(), Policy::default(), 1_000).await.unwrap()
}

/// One batch of commands that all succeed.
pub(crate) async fn ask(store: &dyn Store, commands: Vec<(Caller, Command)>) -> Vec<Outcome> {
    let request = |(caller, command)| Request { caller, command, idempotency: None };
    let batch: Vec<_> = commands.into_iter().map(request).collect();
    let answers = store.transact(batch.into(), decide_all).await.unwrap().answers;
    answers.into_iter().map(|answer| answer.decision.unwrap()).collect()
}

/// A concert with so many seats, and a room of its own for as many.
pub(crate) async fn concert(store: &dyn Store, seats: i32) -> (ConcertId, Vec<SeatId>) {
    let new = NewConcert { own_room_max_active: Some(i64::from(seats)), ..new_concert() };
    let outcomes = ask(store, vec![(Caller::System, Command::CreateConcert(new))]).await;
    let [Outcome::Concert(concert)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    let concert_id = concert.concert_id;
    let seat = |seat_number| NewSeat { price: Some(Money::new(100)), ..new_seat(seat_number) };
    let command = Command::AddSeats { concert_id, seats: (1..=seats).map(seat).collect() };
    let outcomes = ask(store, vec![(Caller::System, command)]).await;
    let [Outcome::SeatsAdded { first_seat_id, .. }] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    (concert_id, (0..i64::from(seats)).map(|step| SeatId::new(first_seat_id.get() + step)).collect())
}

/// Buyers with 1,000 won each.
pub(crate) async fn buyers(store: &dyn Store, ids: &Ids, count: usize) -> Vec<UserId> {
    let users: Vec<_> = (0..count).map(|_| UserId(ids.uuid(START))).collect();
    let register = |&user_id: &UserId| {
        let user = NewUser {
            user_id,
            name: "Kim Minji".to_owned(),
            email: format!("{user_id}@example.com"),
            password_hash: "$argon2id$".to_owned(),
            role: Role::Buyer,
        };
        (Caller::System, Command::Register(user))
    };
    ask(store, users.iter().map(register).collect()).await;
    let top_up = |&user_id: &UserId| {
        (Caller::Buyer(user_id), Command::TopUp { user_id, amount: Money::new(1_000), reference: None })
    };
    ask(store, users.iter().map(top_up).collect()).await;
    users
}

/// Their tokens in a room.
pub(crate) async fn join(store: &dyn Store, room_id: RoomId, users: &[UserId]) -> Vec<TokenId> {
    let concert_id = room_id.concert();
    let join = |&user: &UserId| (Caller::Buyer(user), Command::IssueToken { room_id, concert_id });
    let outcomes = ask(store, users.iter().map(join).collect()).await;
    let token = |outcome: &Outcome| match outcome {
        Outcome::Joined { token, .. } => token.id,
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(token).collect()
}

/// Their active tokens in a concert's own room, which has place for all of them.
pub(crate) async fn activate(store: &dyn Store, concert: ConcertId, users: &[UserId]) -> Vec<TokenId> {
    let room_id = RoomId::of_concert(concert);
    let tokens = join(store, room_id, users).await;
    let advance =
        Command::AdvanceRoom { room_id, fence: Fence(0), limit: 10_000, unresponsive: Vec::new(), outlook: None };
    ask(store, vec![(Caller::System, advance)]).await;
    let activate =
        |(user, token): (&UserId, &TokenId)| (Caller::Buyer(*user), Command::ActivateToken { token: *token });
    ask(store, users.iter().zip(&tokens).map(activate).collect()).await;
    tokens
}

/// Holds a seat each.
pub(crate) async fn hold(
    store: &dyn Store,
    users: &[UserId],
    tokens: &[TokenId],
    seats: &[SeatId],
) -> Vec<ReservationId> {
    let hold = |((user, token), seat): ((&UserId, &TokenId), &SeatId)| {
        (Caller::Buyer(*user), Command::Hold { token: *token, seat_ids: vec![*seat] })
    };
    let outcomes = ask(store, users.iter().zip(tokens).zip(seats).map(hold).collect()).await;
    let reservation = |outcome: &Outcome| match outcome {
        Outcome::Held(reservations) => reservations[0].reservation_id,
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(reservation).collect()
}

/// Pays for a reservation each.
pub(crate) async fn pay(store: &dyn Store, users: &[UserId], tokens: &[TokenId], reservations: &[ReservationId]) {
    let pay = |((user, token), id): ((&UserId, &TokenId), &ReservationId)| {
        (Caller::Buyer(*user), Command::Pay { token: *token, reservation_ids: vec![*id] })
    };
    ask(store, users.iter().zip(tokens).zip(reservations).map(pay).collect()).await;
}
