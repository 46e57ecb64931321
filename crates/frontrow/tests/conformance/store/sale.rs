use frontrow_domain::{
    command::{Command, ConcertChange, NewConcert, Outcome},
    id::{RoomId, SeatId},
    line::{EndReason, Fence, SilentToken, TokenStatus},
    money::Money,
    points::PointKind,
    policy::Policy,
    refusal::{EntityKind, Refusal},
    sale::{ConcertStatus, LetGo, NewSeat, PaymentStatus, ReservationStatus, Seat, SeatStatus},
    time::{Span, Time},
    user::Caller,
};
use frontrow_storage::{ConcertFilter, ReservationFilter};
use frontrow_testkit::{
    START,
    fixture::{Fixture, first, keyed, new_concert, new_seat, request},
};

pub(super) async fn seat(office: &Fixture, id: SeatId) -> Seat {
    for concert in office.store.concerts(&ConcertFilter::default(), first(100)).await.unwrap() {
        for seat in office.store.seats(concert.concert_id).await.unwrap() {
            if seat.seat_id == id {
                return seat;
            }
        }
    }
    panic!("no seat {id}");
}

pub(super) async fn a_hold_is_read_back_as_it_was_decided(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 2).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    office.advance(30);
    let (answers, changes) =
        office.batch(vec![request(Caller::Buyer(user), Command::Hold { token, seat_ids: seats.clone() })]).await;
    let Ok(Outcome::Held(held)) = &answers[0].decision else { panic!("{answers:?}") };
    assert_eq!(held.len(), 2);
    assert_eq!(&changes.reservations.inserted, held);
    for (reservation, seat_id) in held.iter().zip(&seats) {
        assert_eq!(office.store.reservation(reservation.reservation_id).await.unwrap().as_ref(), Some(reservation));
        assert_eq!(reservation.expires_at, START.plus(Span::from_secs(330)));
        let seat = seat(office, *seat_id).await;
        assert_eq!((seat.status(), seat.reservation_id()), (SeatStatus::Held, Some(reservation.reservation_id)));
    }
    // The token lives until there was time to pay.
    let token = office.store.token(token).await.unwrap().unwrap();
    assert_eq!(token.deadline(), Some(START.plus(Span::from_secs(360))));
}

pub(super) async fn a_payment_is_read_back_as_it_was_decided(office: &Fixture) {
    let sale = office.sale().await;
    assert_eq!(office.store.payment(sale.payment.payment_id).await.unwrap(), Some(sale.payment.clone()));
    assert_eq!((sale.payment.amount, sale.payment.status), (Money::new(120_000), PaymentStatus::Completed));
    let reservation = office.store.reservation(sale.payment.reservation_id).await.unwrap().unwrap();
    assert_eq!((reservation.status(), reservation.confirmed_at()), (ReservationStatus::Confirmed, Some(START)));
    assert_eq!(seat(office, sale.seats[0]).await.status(), SeatStatus::Sold);
    let token = office.store.token(sale.token).await.unwrap().unwrap();
    assert_eq!((token.status(), token.end_reason()), (TokenStatus::Ended, Some(EndReason::Paid)));
    let point = office.store.point(sale.user).await.unwrap().unwrap();
    assert_eq!((point.amount, point.version), (Money::new(880_000), 2));
    let history = office.store.history(sale.user, first(10)).await.unwrap();
    assert_eq!(history[0].kind, PointKind::Use);
    assert_eq!((history[0].amount, history[0].balance_after), (Money::new(-120_000), Money::new(880_000)));
    assert_eq!(history[0].payment_id, Some(sale.payment.payment_id));
}

pub(super) async fn a_refund_frees_the_seat_and_gives_the_points_back(office: &Fixture) {
    let sale = office.sale().await;
    office.advance(60);
    let refund = Command::Refund { payment_id: sale.payment.payment_id, reason: None };
    let refunded = office.ask(Caller::Buyer(sale.user), refund.clone()).await;
    let Ok(Outcome::Refunded(payment)) = refunded else { panic!("{refunded:?}") };
    assert_eq!(office.store.payment(payment.payment_id).await.unwrap(), Some(payment.clone()));
    assert_eq!((payment.status, payment.refunded_at), (PaymentStatus::Refunded, Some(START.plus(Span::from_secs(60)))));
    let reservation = office.store.reservation(payment.reservation_id).await.unwrap().unwrap();
    assert_eq!((reservation.status(), reservation.closed_at()), (ReservationStatus::Refunded, payment.refunded_at));
    assert_eq!(reservation.confirmed_at(), Some(START));
    let freed = seat(office, sale.seats[0]).await;
    assert_eq!((freed.status(), freed.reservation_id()), (SeatStatus::Available, None));
    assert_eq!(office.store.point(sale.user).await.unwrap().unwrap().amount, Money::new(1_000_000));
    assert_eq!(office.ask(Caller::Buyer(sale.user), refund).await, Err(Refusal::AlreadyRefunded));

    // For a while the seat is for others first.
    office.clock.advance(Policy::default().seat_cooldown);
    let token = office.activate(sale.user).await;
    let again = office.hold(sale.user, token, sale.seats[0]).await;
    office.pay(sale.user, token, again.reservation_id).await;
    assert_eq!(seat(office, sale.seats[0]).await.reservation_id(), Some(again.reservation_id));
}

pub(super) async fn a_cancelled_hold_frees_the_seat(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 1).await;
    let (user, other) = (office.register().await, office.register().await);
    let (token, others) = (office.activate(user).await, office.activate(other).await);
    let held = office.hold(user, token, seats[0]).await;
    let cancel = Command::CancelReservation { reservation_id: held.reservation_id, reason: None };
    let not_theirs = office.ask(Caller::Buyer(other), cancel.clone()).await;
    assert_eq!(not_theirs, Err(Refusal::NotFound { what: EntityKind::Reservation }));
    let cancelled = office.ask(Caller::Buyer(user), cancel).await;
    let Ok(Outcome::Cancelled(reservation)) = cancelled else { panic!("{cancelled:?}") };
    assert_eq!(reservation.status(), ReservationStatus::Cancelled);
    assert_eq!(office.store.reservation(held.reservation_id).await.unwrap(), Some(reservation));
    office.hold(other, others, seats[0]).await;
}

pub(super) async fn an_overdue_hold_is_the_next_buyers_before_anything_sweeps_it(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 1).await;
    let (slow, quick) = (office.register().await, office.register().await);
    let token = office.activate(slow).await;
    let old = office.hold(slow, token, seats[0]).await;
    office.top_up(slow, 1_000_000).await;
    office.advance(299);
    let other = office.activate(quick).await;
    let command = Command::Hold { token: other, seat_ids: seats.clone() };
    let refusal = office.ask(Caller::Buyer(quick), command).await;
    assert_eq!(refusal, Err(Refusal::SeatHeld { seat_id: seats[0], held_until: old.expires_at, holder: Some(slow) }));
    office.advance(1);
    let new = office.hold(quick, other, seats[0]).await;
    let expired = office.store.reservation(old.reservation_id).await.unwrap().unwrap();
    assert_eq!((expired.status(), expired.closed_at()), (ReservationStatus::Expired, Some(old.expires_at)));
    assert_eq!(seat(office, seats[0]).await.reservation_id(), Some(new.reservation_id));
    let late = Command::Pay { token, reservation_ids: vec![old.reservation_id] };
    let refusal = office.ask(Caller::Buyer(slow), late).await;
    assert_eq!(refusal, Err(Refusal::HoldExpired { expired_at: old.expires_at }));
    assert_eq!(office.store.point(slow).await.unwrap().unwrap().amount, Money::new(1_000_000));
}

pub(super) async fn a_swept_hold_is_expired_in_every_table(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 1).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    let held = office.hold(user, token, seats[0]).await;
    let sweep = || Command::ExpireHolds { reservation_ids: vec![held.reservation_id] };
    assert_eq!(office.ask(Caller::System, sweep()).await, Ok(Outcome::HoldsExpired(0)));
    office.advance(300);
    assert_eq!(office.ask(Caller::System, sweep()).await, Ok(Outcome::HoldsExpired(1)));
    assert_eq!(office.ask(Caller::System, sweep()).await, Ok(Outcome::HoldsExpired(0)));
    let row = office.store.reservation(held.reservation_id).await.unwrap().unwrap();
    assert_eq!(row.status(), ReservationStatus::Expired);
    assert_eq!(seat(office, seats[0]).await.status(), SeatStatus::Available);
    assert!(office.store.next_expiries(Time::MAX, 10).await.unwrap().is_empty());
}

pub(super) async fn two_buyers_of_one_seat_in_one_batch_leave_one(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 1).await;
    let mut batch = Vec::new();
    for _ in 0..2 {
        let user = office.register().await;
        let token = office.activate(user).await;
        batch.push(request(Caller::Buyer(user), Command::Hold { token, seat_ids: seats.clone() }));
    }
    let (answers, changes) = office.batch(batch).await;
    assert!(matches!(answers[0].decision, Ok(Outcome::Held(_))), "{answers:?}");
    assert!(matches!(answers[1].decision, Err(Refusal::SeatHeld { .. })), "{answers:?}");
    assert_eq!(changes.reservations.inserted.len(), 1);
    let rows = office.store.reservations(&ReservationFilter::default(), first(10)).await.unwrap();
    assert_eq!(rows, changes.reservations.inserted);
}

pub(super) async fn a_refused_command_changes_nothing(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 1).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    let held = office.hold(user, token, seats[0]).await;
    let before = (
        office.store.seats(concert.concert_id).await.unwrap(),
        office.store.line(RoomId::HOUSE).await.unwrap(),
        office.store.reservations(&ReservationFilter::default(), first(10)).await.unwrap(),
    );
    let pay = Command::Pay { token, reservation_ids: vec![held.reservation_id] };
    let (answers, changes) = office.batch(vec![request(Caller::Buyer(user), pay)]).await;
    let refusal = Refusal::InsufficientPoints { balance: Money::ZERO, price: Money::new(120_000) };
    assert_eq!(answers[0].decision, Err(refusal));
    assert!(changes.is_empty());
    let after = (
        office.store.seats(concert.concert_id).await.unwrap(),
        office.store.line(RoomId::HOUSE).await.unwrap(),
        office.store.reservations(&ReservationFilter::default(), first(10)).await.unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(office.store.point(user).await.unwrap(), None);
}

pub(super) async fn one_refused_command_leaves_the_others_of_its_batch_alone(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 2).await;
    let (user, other) = (office.register().await, office.register().await);
    let (token, others) = (office.activate(user).await, office.activate(other).await);
    let nothing = SeatId::new(999);
    let (answers, _) = office
        .batch(vec![
            keyed(Caller::Buyer(user), Command::Hold { token, seat_ids: vec![seats[0]] }, 1, 1),
            keyed(Caller::Buyer(user), Command::Hold { token, seat_ids: vec![nothing] }, 2, 2),
            keyed(Caller::Buyer(other), Command::Hold { token: others, seat_ids: vec![seats[1]] }, 3, 3),
        ])
        .await;
    assert!(answers[0].decision.is_ok() && answers[2].decision.is_ok(), "{answers:?}");
    assert_eq!(answers[1].decision, Err(Refusal::NotFound { what: EntityKind::Seat }));
    assert_eq!(seat(office, seats[0]).await.status(), SeatStatus::Held);
    assert_eq!(seat(office, seats[1]).await.status(), SeatStatus::Held);
}

pub(super) async fn seats_are_all_or_none(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 3).await;
    let (user, other) = (office.register().await, office.register().await);
    let (token, others) = (office.activate(user).await, office.activate(other).await);
    office.hold(other, others, seats[2]).await;
    let refusal = office.ask(Caller::Buyer(user), Command::Hold { token, seat_ids: seats.clone() }).await;
    assert!(matches!(refusal, Err(Refusal::SeatHeld { seat_id, .. }) if seat_id == seats[2]), "{refusal:?}");
    assert_eq!(seat(office, seats[0]).await.status(), SeatStatus::Available);
}

pub(super) async fn a_user_has_at_most_the_limit_of_seats_in_a_concert(office: &Fixture) {
    let (concert, second) = (office.concert().await, office.concert().await);
    let seats = office.seats(concert.concert_id, 6).await;
    let elsewhere = office.seats(second.concert_id, 1).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    office.ask(Caller::Buyer(user), Command::Hold { token, seat_ids: seats[..4].to_vec() }).await.unwrap();
    let fifth = || Command::Hold { token, seat_ids: vec![seats[4]] };
    assert_eq!(office.ask(Caller::Buyer(user), fifth()).await, Err(Refusal::TooManySeats { limit: 4 }));
    office.hold(user, token, elsewhere[0]).await;
    // An overdue hold does not count, swept or not.
    office.advance(300);
    office.ask(Caller::Buyer(user), fifth()).await.unwrap();
}

pub(super) async fn a_free_seat_is_paid_and_given_back_without_a_movement(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let free = NewSeat { price: Some(Money::ZERO), ..new_seat(1) };
    let added = office.ask(Caller::System, Command::AddSeats { concert_id, seats: vec![free] }).await;
    let Ok(Outcome::SeatsAdded { first_seat_id, .. }) = added else { panic!("{added:?}") };
    let user = office.register().await;
    let token = office.activate(user).await;
    let held = office.hold(user, token, first_seat_id).await;
    let payment = office.pay(user, token, held.reservation_id).await;
    assert_eq!(payment.amount, Money::ZERO);
    assert_eq!(office.store.payment(payment.payment_id).await.unwrap(), Some(payment.clone()));
    assert_eq!(seat(office, first_seat_id).await.status(), SeatStatus::Sold);
    let refund = Command::Refund { payment_id: payment.payment_id, reason: None };
    office.ask(Caller::Buyer(user), refund).await.unwrap();
    let refunded = office.store.payment(payment.payment_id).await.unwrap().unwrap();
    assert_eq!((refunded.status, refunded.amount), (PaymentStatus::Refunded, Money::ZERO));
    assert_eq!(office.store.point(user).await.unwrap(), None);
    assert!(office.store.history(user, first(10)).await.unwrap().is_empty());
    assert_eq!(seat(office, first_seat_id).await.status(), SeatStatus::Available);
}

pub(super) async fn who_let_a_seat_go_and_how_often_a_token_held_are_read_back(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 2).await;
    let (user, other) = (office.register().await, office.register().await);
    let token = office.activate(user).await;
    let held = office.hold(user, token, seats[0]).await;
    office.hold(user, token, seats[1]).await;
    assert_eq!(office.store.token(token).await.unwrap().unwrap().holds, 2);
    let cancel = Command::CancelReservation { reservation_id: held.reservation_id, reason: None };
    assert!(office.ask(Caller::Buyer(user), cancel).await.is_ok());
    assert_eq!(seat(office, seats[0]).await.let_go(), Some(LetGo { user_id: user, at: START }));
    let again = Command::Hold { token, seat_ids: vec![seats[0]] };
    let until = START.plus(Policy::default().seat_cooldown);
    let refusal = Err(Refusal::SeatCoolingDown { seat_id: seats[0], until });
    assert_eq!(office.ask(Caller::Buyer(user), again).await, refusal);
    let theirs = office.activate(other).await;
    office.hold(other, theirs, seats[0]).await;
    assert_eq!(seat(office, seats[0]).await.let_go(), None);
    assert_eq!(office.store.token(token).await.unwrap().unwrap().holds, 2);
}

pub(super) async fn a_token_that_let_its_turns_pass_has_ended_for_that(office: &Fixture) {
    let user = office.register().await;
    let token = office.join(user, RoomId::HOUSE).await.id;
    let unresponsive = vec![SilentToken::unheard(token.position)];
    let advance = |unresponsive| Command::AdvanceRoom {
        room_id: RoomId::HOUSE,
        fence: Fence(0),
        limit: 10,
        unresponsive,
        outlook: None,
    };
    assert!(office.ask(Caller::System, advance(unresponsive)).await.is_ok());
    let row = office.store.token(token).await.unwrap().unwrap();
    assert_eq!((row.status(), row.turns_passed), (TokenStatus::Dormant, 1));
    assert!(office.ask(Caller::Buyer(user), Command::WakeToken { token }).await.is_ok());
    assert!(office.ask(Caller::System, advance(Vec::new())).await.is_ok());
    office.clock.advance(Policy::default().claim_window);
    assert!(office.ask(Caller::System, advance(Vec::new())).await.is_ok());
    let row = office.store.token(token).await.unwrap().unwrap();
    assert_eq!((row.status(), row.turns_passed, row.end_reason()), (TokenStatus::Ended, 2, Some(EndReason::Missed)));
}

pub(super) async fn a_prepared_concert_goes_on_sale_with_seats_and_an_opening(office: &Fixture) {
    let concert = office.concert_like(NewConcert { opens_at: None, closes_at: None, ..new_concert() }).await;
    let concert_id = concert.concert_id;
    assert_eq!(office.store.concert(concert_id).await.unwrap(), Some(concert));
    let schedule = async |opens_at: Option<Time>| {
        let change = ConcertChange { status: Some(ConcertStatus::Scheduled), opens_at, ..ConcertChange::default() };
        office.ask(Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None }).await
    };
    assert_eq!(schedule(Some(START)).await, Err(Refusal::NoSeats));
    // Those of another concert are not meant.
    let other = office.concert().await.concert_id;
    office.seats(other, 1).await;
    assert_eq!(schedule(Some(START)).await, Err(Refusal::NoSeats));
    let seats = office.seats(concert_id, 1).await;
    assert_eq!(schedule(None).await, Err(Refusal::NoOpening));
    office.ask(Caller::System, Command::RemoveSeats { concert_id, seat_ids: seats, reason: None }).await.unwrap();
    assert_eq!(schedule(Some(START)).await, Err(Refusal::NoSeats));
    office.seats(concert_id, 2).await;
    let Ok(Outcome::Concert(concert)) = schedule(Some(START)).await else { panic!("it is whole") };
    assert_eq!((concert.status, concert.opens_at), (ConcertStatus::Scheduled, START));
}
