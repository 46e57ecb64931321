//! Commands that carry more than one command may.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use frontrow_domain::{
    command::{Command, ConcertChange, Demand, Keys, Request, RoomChange},
    id::{Position, ReservationId, SeatId},
    money::Money,
    queue::Fence,
    rules::{HOLDS_PER_SWEEP_MAX, SEATS_PER_COMMAND_MAX, SEATS_PER_OPERATOR_COMMAND_MAX, TOKENS_PER_ADVANCE_MAX},
    seat::{NewSeat, SeatAction, SeatLabel},
    user::Caller,
};
use support::{BOSS, CLOCK, HOUSE, MINJI, Office, create_concert, idempotency, register, token_id, update_concert};

const LONG: usize = 2_001;

fn seats(count: usize) -> Vec<SeatId> {
    (1..=count).map(|id| SeatId::new(i64::try_from(id).unwrap())).collect()
}

fn reservations(count: usize) -> Vec<ReservationId> {
    (1..=count).map(|id| ReservationId::new(i64::try_from(id).unwrap())).collect()
}

fn new_seats(count: usize, row: &str) -> Vec<NewSeat> {
    let seat = |number| NewSeat {
        seat_number: i32::try_from(number).unwrap(),
        price: Money::new(1),
        label: SeatLabel { row: row.to_owned(), ..SeatLabel::default() },
    };
    (1..=count).map(seat).collect()
}

/// Every command that carries a list or a text, with one thing more than it may.
fn too_much() -> Vec<(Caller, Command)> {
    let token = token_id(HOUSE, 1);
    let long = "x".repeat(LONG);
    let concert_id = frontrow_domain::id::ConcertId::new(1);
    let asleep = (1..=i64::from(TOKENS_PER_ADVANCE_MAX) + 1).map(Position).collect();
    let Command::Register(mut user) = register(MINJI) else { panic!("another command") };
    user.name.clone_from(&long);
    let Command::CreateConcert(mut concert) = create_concert(None) else { panic!("another command") };
    concert.venue.clone_from(&long);
    let (long_title, long_message, reason, reference) = (long.clone(), long.clone(), long.clone(), long);
    vec![
        (MINJI, Command::Hold { token, seat_ids: seats(SEATS_PER_COMMAND_MAX + 1) }),
        (MINJI, Command::Hold { token, seat_ids: vec![SeatId::new(1); 32_000] }),
        (MINJI, Command::Hold { token, seat_ids: Vec::new() }),
        (MINJI, Command::Pay { token, reservation_ids: reservations(SEATS_PER_COMMAND_MAX + 1) }),
        (MINJI, Command::Pay { token, reservation_ids: vec![ReservationId::new(1); 32_000] }),
        (
            CLOCK,
            Command::ExpireHolds { reservation_ids: reservations(usize::try_from(HOLDS_PER_SWEEP_MAX).unwrap() + 1) },
        ),
        (CLOCK, Command::AdvanceRoom { room_id: HOUSE, fence: Fence(1), limit: 1, asleep }),
        (BOSS, Command::AddSeats { concert_id, seats: new_seats(SEATS_PER_OPERATOR_COMMAND_MAX + 1, "A") }),
        (BOSS, Command::AddSeats { concert_id, seats: new_seats(1, &"x".repeat(161)) }),
        (BOSS, Command::SetSeats { seat_ids: seats(SEATS_PER_OPERATOR_COMMAND_MAX + 1), action: SeatAction::Free }),
        (BOSS, Command::SetSeats { seat_ids: seats(1), action: SeatAction::Block { reason } }),
        (BOSS, update_concert(1, ConcertChange { title: Some(long_title), ..ConcertChange::default() })),
        (
            BOSS,
            Command::SetRoom {
                room_id: HOUSE,
                change: RoomChange { message: Some(Some(long_message)), ..RoomChange::default() },
            },
        ),
        (
            Caller::Service,
            Command::Charge { user_id: MINJI.user_id().unwrap(), amount: Money::new(1), reference: Some(reference) },
        ),
        (BOSS, Command::CreateConcert(concert)),
        (Caller::Nobody, Command::Register(user)),
    ]
}

#[test]
fn a_command_that_carries_too_much_names_no_row_and_draws_no_number() {
    for (caller, command) in too_much() {
        let kind = format!("{command:.60?}");
        let idempotency = Some(idempotency(1, 1));
        let keys = Keys::of(&[Request { caller, command, idempotency }]);
        assert_eq!(keys.idempotency.len(), 1, "{kind}: an answer that is kept is still found");
        let Keys { idempotency: _, emails, users, sessions, rooms, counted, advanced, tokens, places, .. } = &keys;
        assert!(emails.is_empty() && users.is_empty() && sessions.is_empty(), "{kind}");
        assert!(rooms.is_empty() && counted.is_empty() && advanced.is_empty(), "{kind}");
        assert!(tokens.is_empty() && places.is_empty(), "{kind}");
        assert!(keys.concerts.is_empty() && keys.seats.is_empty() && keys.holdings.is_empty(), "{kind}");
        assert!(keys.reservations.is_empty() && keys.payments.is_empty() && keys.points.is_empty(), "{kind}");
        assert!(keys.references.is_empty() && keys.seat_numbers.is_empty(), "{kind}");
        assert_eq!(keys.demand, Demand::default(), "{kind}");
    }
}

#[test]
fn a_command_that_carries_too_much_is_refused() {
    let mut office = Office::new();
    let _token = office.active(MINJI, HOUSE);
    for (caller, command) in too_much() {
        office.expect(caller, command, "malformed");
    }
}

#[test]
fn a_command_that_carries_as_much_as_it_may_names_all_of_it() {
    let hold = Command::Hold { token: token_id(HOUSE, 1), seat_ids: seats(SEATS_PER_COMMAND_MAX) };
    let keys = Keys::of(&[Request { caller: MINJI, command: hold, idempotency: None }]);
    assert_eq!((keys.seats.len(), keys.demand.reservations), (SEATS_PER_COMMAND_MAX, SEATS_PER_COMMAND_MAX));
}
