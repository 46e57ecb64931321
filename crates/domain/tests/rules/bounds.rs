//! Commands that carry more than one command may.

use crate::support::{
    BOSS, CLOCK, HOUSE, MINJI, SaleModel, create_concert, idempotency, poster, register, settle, token_id,
    update_concert, user,
};
use frontrow_domain::{
    command::{
        Command, ConcertChange, Erasure, FactorConfirmation, FactorStep, LaneStep, NewAdjustment, NewPassword,
        PasswordHash, Proof, Request, RoomChange, Worth,
    },
    footprint::{Demand, Footprint},
    id::{ConcertId, DebtId, EventId, PaymentId, Position, ReservationId, SeatId},
    line::{Fence, LaneKind, ROOMS_SHARED_MAX, ShareScope, SilentToken},
    money::Money,
    outbox::CLAIM_MAX,
    points::Settlement,
    policy::{
        HOLDS_PER_SWEEP_MAX, LIVE_PER_ERASURE_MAX, SEATS_PER_COMMAND_MAX, SEATS_PER_OPERATOR_COMMAND_MAX,
        TOKENS_PER_ADVANCE_MAX, WIND_UP_MAX,
    },
    sale::{DetailsChange, NewSeat, POSTER_LEN_MAX, Poster, SeatAction, SeatChange, SeatLabel},
    user::{Caller, FactorProof, FactorSecret, RECOVERY_CODES},
};

const LONG: usize = 2_001;

fn seats(count: usize) -> Vec<SeatId> {
    (1..=count).map(|id| SeatId::new(i64::try_from(id).unwrap())).collect()
}

fn reservations(count: usize) -> Vec<ReservationId> {
    (1..=count).map(|id| ReservationId::new(i64::try_from(id).unwrap())).collect()
}

fn payments(count: usize) -> Vec<PaymentId> {
    (1..=count).map(|id| PaymentId::new(i64::try_from(id).unwrap())).collect()
}

fn new_seats(count: usize, row: &str) -> Vec<NewSeat> {
    let seat = |number| NewSeat {
        seat_number: Some(i32::try_from(number).unwrap()),
        price: Some(Money::new(1)),
        label: SeatLabel { row: row.to_owned(), ..SeatLabel::default() },
    };
    (1..=count).map(seat).collect()
}

fn details(set: impl FnOnce(&mut DetailsChange)) -> ConcertChange {
    let mut details = DetailsChange::default();
    set(&mut details);
    ConcertChange { details, ..ConcertChange::default() }
}

fn poster_of(len: usize) -> Poster {
    Poster { jpeg: vec![0; len].into(), ..poster(1, 1) }
}

/// A step of a lane with a reason that is too long.
fn step_lane(step: impl FnOnce(Option<String>) -> LaneStep) -> Command {
    Command::StepLane { room_id: HOUSE.lane(LaneKind::Invitation), step: step(Some("x".repeat(LONG))) }
}

/// Every command that carries a list or a text, with one thing more than it may.
fn too_much() -> Vec<(Caller, Command)> {
    let token = token_id(HOUSE, 1);
    let long = "x".repeat(LONG);
    let concert_id = ConcertId::new(1);
    let too_many = usize::try_from(WIND_UP_MAX).unwrap() + 1;
    let unresponsive = (1..=i64::from(TOKENS_PER_ADVANCE_MAX) + 1).map(Position).map(SilentToken::unheard).collect();
    let Command::Register(mut newcomer) = register(MINJI) else { panic!("another command") };
    newcomer.name.clone_from(&long);
    let first_of_all = newcomer.clone();
    let Command::CreateConcert(mut concert) = create_concert(None) else { panic!("another command") };
    concert.venue.clone_from(&long);
    let (long_title, long_message, reason, reference) = (long.clone(), long.clone(), long.clone(), long);
    let mut commands = vec![
        (MINJI, Command::Hold { token, seat_ids: seats(SEATS_PER_COMMAND_MAX + 1) }),
        (MINJI, Command::Hold { token, seat_ids: vec![SeatId::new(1); 32_000] }),
        (MINJI, Command::Hold { token, seat_ids: Vec::new() }),
        (MINJI, Command::Pay { token, reservation_ids: reservations(SEATS_PER_COMMAND_MAX + 1) }),
        (MINJI, Command::Pay { token, reservation_ids: vec![ReservationId::new(1); 32_000] }),
        (
            CLOCK,
            Command::ExpireHolds { reservation_ids: reservations(usize::try_from(HOLDS_PER_SWEEP_MAX).unwrap() + 1) },
        ),
        (CLOCK, Command::AdvanceRoom { room_id: HOUSE, fence: Fence(1), limit: 1, unresponsive, outlook: None }),
        (BOSS, Command::AddSeats { concert_id, seats: new_seats(SEATS_PER_OPERATOR_COMMAND_MAX + 1, "A") }),
        (BOSS, Command::AddSeats { concert_id, seats: new_seats(1, &"x".repeat(161)) }),
        (
            BOSS,
            Command::SetSeats {
                within: None,
                seat_ids: seats(SEATS_PER_OPERATOR_COMMAND_MAX + 1),
                action: SeatAction::FREE,
            },
        ),
        (BOSS, Command::SetSeats { within: None, seat_ids: seats(1), action: SeatAction::Block { reason } }),
        (BOSS, update_concert(1, ConcertChange { title: Some(long_title), ..ConcertChange::default() })),
        (
            BOSS,
            Command::SetRoom {
                room_id: HOUSE,
                change: RoomChange { message: Some(Some(long_message)), ..RoomChange::default() },
                basis: None,
                reason: None,
            },
        ),
        (Caller::Service, Command::TopUp { user_id: user(MINJI), amount: Money::new(1), reference: Some(reference) }),
        (BOSS, Command::CreateConcert(concert)),
        (Caller::Anonymous, Command::Register(newcomer)),
        (CLOCK, Command::RegisterFirst(first_of_all)),
        (BOSS, update_concert(1, details(|details| details.address = Some(Some("x".repeat(LONG)))))),
        (BOSS, update_concert(1, details(|details| details.description = Some(Some("x".repeat(20_001)))))),
        (BOSS, Command::SetPoster { poster: poster_of(POSTER_LEN_MAX + 1), basis: None }),
        (BOSS, Command::SetPoster { poster: poster_of(0), basis: None }),
        (BOSS, Command::CancelConcert { concert_id, reason: "x".repeat(LONG), basis: None }),
        (BOSS, step_lane(|reason| LaneStep::Open { share: 10.try_into().unwrap(), reason })),
        (BOSS, step_lane(|reason| LaneStep::Set { share: None, entry: None, reason })),
        (CLOCK, Command::WindUp { concert_id, seat_ids: seats(too_many), payment_ids: Vec::new() }),
        (CLOCK, Command::WindUp { concert_id, seat_ids: Vec::new(), payment_ids: payments(too_many) }),
    ];
    let events: Vec<_> = (1..=CLAIM_MAX + 1).map(|id| EventId::new(i64::try_from(id).unwrap())).collect();
    commands.push((CLOCK, settle(1, &events, &[])));
    commands.push((CLOCK, settle(1, &events[..60], &events[60..])));
    commands.extend(too_much_of_an_account());
    commands.extend(too_much_of_a_correction());
    commands
}

fn too_much_of_a_correction() -> Vec<(Caller, Command)> {
    let (concert_id, user_id, long) = (ConcertId::new(1), user(MINJI), || "x".repeat(LONG));
    let change = SeatChange { number: Some("x".repeat(161)), ..SeatChange::default() };
    let price = SeatChange { price: Some(Money::new(1)), ..SeatChange::default() };
    let adjust = |reason: String, reference: String| {
        Command::Adjust(NewAdjustment { user_id, amount: Money::new(1), reason, reference })
    };
    let many = || seats(SEATS_PER_OPERATOR_COMMAND_MAX + 1);
    vec![
        (BOSS, Command::ChangeSeats { concert_id, seat_ids: seats(1), change, reason: None }),
        (BOSS, Command::ChangeSeats { concert_id, seat_ids: many(), change: price, reason: None }),
        (BOSS, Command::RemoveSeats { concert_id, seat_ids: many(), reason: None }),
        (BOSS, adjust(long(), "a".to_owned())),
        (BOSS, adjust("a".to_owned(), long())),
        (BOSS, Command::SettleDebt { user_id, debt_id: DebtId::new(1), how: Settlement::Waive, reason: long() }),
    ]
}

fn too_much_of_an_account() -> Vec<(Caller, Command)> {
    let user_id = user(MINJI);
    let password_hash = || PasswordHash("x".repeat(LONG));
    let new_password =
        NewPassword { user_id, password_hash: password_hash(), proof: Proof::Password(0), kept_session: None };
    let erasure = Erasure {
        user_id,
        proof: Proof::Unneeded,
        idle_since: None,
        worth: Worth::Kept,
        tokens: Vec::new(),
        reservations: Vec::new(),
    };
    let tokens = (1..=i64::try_from(LIVE_PER_ERASURE_MAX).unwrap() + 1).map(|place| token_id(HOUSE, place)).collect();
    let reservations = reservations(LIVE_PER_ERASURE_MAX + 1);
    let too_many = || vec![[0; 32]; RECOVERY_CODES + 1];
    let confirmed = FactorConfirmation {
        secret: FactorSecret([0; 20]),
        step: 1,
        recovery: too_many(),
        proof: Proof::Password(0),
        kept_session: [0; 32],
    };
    let proof = FactorProof::Code { step: 1 };
    vec![
        (MINJI, Command::ChangeFactor { user_id, step: FactorStep::Confirm(confirmed) }),
        (MINJI, Command::ChangeFactor { user_id, step: FactorStep::RenewCodes { proof, recovery: too_many() } }),
        (CLOCK, Command::RenameUser { user_id, name: "x".repeat(LONG) }),
        (CLOCK, Command::Share { scope: ShareScope::House, waiting: vec![(HOUSE, 1); ROOMS_SHARED_MAX as usize + 1] }),
        (MINJI, Command::SetPassword(new_password)),
        (Caller::Anonymous, Command::RedeemResetLink { user_id, secret_hash: [0; 32], password_hash: password_hash() }),
        (CLOCK, Command::EraseUser(Erasure { tokens, ..erasure.clone() })),
        (CLOCK, Command::EraseUser(Erasure { reservations, ..erasure })),
    ]
}

#[test]
fn a_command_that_carries_too_much_names_no_row_and_draws_no_number() {
    for (caller, command) in too_much() {
        let kind = format!("{command:.60?}");
        let idempotency = Some(idempotency(1, 1));
        let Footprint {
            idempotency,
            emails,
            users,
            links,
            factors,
            first_operator,
            sessions,
            rooms,
            counted,
            sharing,
            shares_house,
            opens_lanes,
            advanced,
            draws,
            sealed,
            tokens,
            places,
            guests,
            concerts,
            details,
            posters,
            seats,
            holdings,
            reservations,
            payments,
            points,
            references,
            adjustments,
            debts,
            debtors,
            new_seats,
            moved_seats,
            leases,
            due_events,
            events,
            fed,
            demand,
        } = Footprint::of(&[Request { caller, command, idempotency }]);
        assert_eq!(idempotency.len(), 1, "{kind}: an answer that is kept is still found");
        assert!(emails.is_empty() && users.is_empty() && links.is_empty() && sessions.is_empty(), "{kind}");
        assert!(factors.is_empty() && !first_operator, "{kind}");
        assert!(sharing.is_empty() && !shares_house && !opens_lanes && guests.is_empty(), "{kind}");
        assert!(rooms.is_empty() && counted.is_empty() && advanced.is_empty(), "{kind}");
        assert!(draws.is_empty() && sealed.is_empty() && tokens.is_empty() && places.is_empty(), "{kind}");
        assert!(concerts.is_empty() && details.is_empty() && posters.is_empty(), "{kind}");
        assert!(seats.is_empty() && holdings.is_empty(), "{kind}");
        assert!(reservations.is_empty() && payments.is_empty() && points.is_empty(), "{kind}");
        assert!(references.is_empty() && adjustments.is_empty() && debts.is_empty() && debtors.is_empty(), "{kind}");
        assert!(new_seats.is_empty() && moved_seats.is_empty(), "{kind}");
        assert!(leases.is_empty() && due_events.is_empty() && events.is_empty() && fed.is_empty(), "{kind}");
        assert_eq!(demand, Demand::default(), "{kind}");
    }
}

#[test]
fn a_command_that_carries_too_much_is_refused() {
    let mut office = SaleModel::new();
    let _token = office.active(MINJI, HOUSE);
    for (caller, command) in too_much() {
        office.expect(caller, command, "malformed");
    }
}

#[test]
fn a_command_that_carries_as_much_as_it_may_names_all_of_it() {
    let hold = Command::Hold { token: token_id(HOUSE, 1), seat_ids: seats(SEATS_PER_COMMAND_MAX) };
    let keys = Footprint::of(&[Request { caller: MINJI, command: hold, idempotency: None }]);
    assert_eq!((keys.seats.len(), keys.demand.reservations), (SEATS_PER_COMMAND_MAX, SEATS_PER_COMMAND_MAX));
}
