use frontrow_domain::{
    command::{Command, ConcertChange, NewAdjustment, NewConcert, Outcome, RoomChange},
    id::{ConcertId, DebtId, PaymentId, Position, ReservationId, RoomId, TokenId, UserId},
    money::Money,
    points::{DebtStatus, Settlement},
    sale::{ConcertStatus, PaymentStatus, ReservationStatus},
    time::{Span, Time},
    user::{Caller, Role, Session},
};
use frontrow_storage::{ConcertFilter, ConcertPlace, DebtFilter, Page, PaymentFilter, ReservationFilter};
use frontrow_testkit::{
    START,
    fixture::{Fixture, after, first, new_concert, new_seat},
};
use uuid::Uuid;

pub(super) async fn users_are_found_by_text_newest_first(office: &Fixture) {
    for (number, name, email) in
        [(1, "Kim Minji", "minji@example.com"), (2, "Émile", "emile@example.com"), (3, "Park", "park@minji.kr")]
    {
        office.register_as(UserId(Uuid::from_u128(number)), name, email).await;
    }
    let find = async |text: Option<&str>, page: Page<UserId>| {
        let users = office.store.users(text, page).await.unwrap();
        users.iter().map(|user| user.user_id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(find(None, first(10)).await, [3, 2, 1]);
    assert_eq!(find(None, first(2)).await, [3, 2]);
    assert_eq!(find(None, after(UserId(Uuid::from_u128(2)), 2)).await, [1]);
    assert_eq!(find(Some("MINJI"), first(10)).await, [3, 1]);
    assert_eq!(find(Some("émi"), first(10)).await, [2]);
    assert_eq!(find(Some("100%"), first(10)).await, [0_u128; 0]);
}

pub(super) async fn concerts_are_found_by_every_filter(office: &Fixture) {
    let tide = office.concert().await.concert_id;
    let other = NewConcert {
        title: "Été".to_owned(),
        artist: "Les Vagues".to_owned(),
        venue: "Busan Arena".to_owned(),
        concert_date: jiff::civil::date(2027, 4, 1),
        own_room_max_active: Some(5),
        end_time: jiff::civil::time(0, 30, 15, 0),
        ..new_concert()
    };
    let summer = office.concert_like(other).await;
    assert_eq!(office.store.concert(summer.concert_id).await.unwrap().as_ref(), Some(&summer));
    let summer = summer.concert_id;
    let change = ConcertChange { status: Some(ConcertStatus::Closed), ..Default::default() };
    office
        .ask(Caller::System, Command::UpdateConcert { concert_id: tide, change, basis: None, reason: None })
        .await
        .unwrap();
    let find = async |filter: ConcertFilter, page: Page<ConcertPlace>| {
        let concerts = office.store.concerts(&filter, page).await.unwrap();
        concerts.iter().map(|concert| concert.concert_id).collect::<Vec<_>>()
    };
    let any = ConcertFilter::default;
    let text = |text: &str| ConcertFilter { text: Some(text.to_owned()), ..any() };
    let date = |day| Some(jiff::civil::date(2027, 3, day));
    assert_eq!(find(any(), first(10)).await, [tide, summer]);
    assert_eq!(find(any(), first(1)).await, [tide]);
    let place = ConcertPlace::of(&office.store.concert(tide).await.unwrap().unwrap());
    assert_eq!(find(any(), after(place, 5)).await, [summer]);
    assert_eq!(find(text("ÉTÉ"), first(10)).await, [summer]);
    assert_eq!(find(text("E\u{301}te\u{301}"), first(10)).await, [summer], "a decomposed text is the same text");
    assert_eq!(find(text("midnight"), first(10)).await, [tide]);
    assert_eq!(find(text("vagues"), first(10)).await, [summer]);
    assert_eq!(find(ConcertFilter { venue: Some("busan".to_owned()), ..any() }, first(10)).await, [summer]);
    assert_eq!(find(ConcertFilter { to: date(1), ..any() }, first(10)).await, [tide]);
    assert_eq!(find(ConcertFilter { from: date(2), ..any() }, first(10)).await, [summer]);
    let closed = ConcertFilter { status: Some(ConcertStatus::Closed), ..any() };
    assert_eq!(find(closed, first(10)).await, [tide]);
    // From its end on a concert is over, whether it was closed or not.
    let end = office.store.concert(tide).await.unwrap().unwrap().ends_at;
    let is = |status, now| ConcertFilter { status: Some(status), now, ..any() };
    let before = end.minus(Span::from_micros(1));
    for (status, now, expected) in [
        (ConcertStatus::Closed, before, vec![tide]),
        (ConcertStatus::Scheduled, before, vec![summer]),
        (ConcertStatus::Over, before, vec![]),
        (ConcertStatus::Closed, end, vec![]),
        (ConcertStatus::Scheduled, end, vec![]),
        (ConcertStatus::Over, end, vec![tide, summer]),
        (ConcertStatus::Postponed, end, vec![]),
    ] {
        assert_eq!(find(is(status, now), first(10)).await, expected, "{status:?} at {now}");
    }
    let reason = "The singer is ill.".to_owned();
    office.ask(Caller::System, Command::CancelConcert { concert_id: tide, reason, basis: None }).await.unwrap();
    assert_eq!(find(is(ConcertStatus::Cancelled, end), first(10)).await, [tide], "it was never over");
    assert_eq!(find(is(ConcertStatus::Over, end), first(10)).await, [summer]);
}

pub(super) async fn seats_come_by_number_with_their_labels(office: &Fixture) {
    let concert = office.concert().await.concert_id;
    let other = office.concert().await.concert_id;
    office.seats(other, 2).await;
    let seats = vec![new_seat(5), new_seat(1)];
    let labels = [seats[1].label.clone(), seats[0].label.clone()];
    office.ask(Caller::System, Command::AddSeats { concert_id: concert, seats }).await.unwrap();
    let seats = office.store.seats(concert).await.unwrap();
    assert_eq!(seats.iter().map(|seat| seat.seat_number).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(seats.iter().map(|seat| (*seat.label).clone()).collect::<Vec<_>>(), labels);
    assert!(seats.iter().all(|seat| seat.price == Money::new(120_000) && !seat.was_held));
    assert!(office.store.seats(ConcertId::new(99)).await.unwrap().is_empty());
}

pub(super) async fn concerts_come_by_their_start_and_then_by_number(office: &Fixture) {
    let mut ids = Vec::new();
    for day in [50, 46, 48, 46] {
        let (starts_at, ends_at) =
            (START.plus(Span::from_secs(day * 86_400)), START.plus(Span::from_secs(90 * 86_400)));
        ids.push(office.concert_like(NewConcert { starts_at, ends_at, ..new_concert() }).await.concert_id);
    }
    let order = [ids[1], ids[3], ids[2], ids[0]];
    let mut seen = Vec::new();
    let mut page = first(3);
    loop {
        let rows = office.store.concerts(&ConcertFilter::default(), page).await.unwrap();
        let Some(last) = rows.last() else { break };
        page = after(ConcertPlace::of(last), 3);
        seen.extend(rows.iter().map(|concert| concert.concert_id));
    }
    assert_eq!(seen, order);
}

pub(super) async fn the_seats_of_several_concerts_are_counted_at_once(office: &Fixture) {
    let (one, two, none) = (office.concert().await, office.concert().await, office.concert().await);
    let seats = office.seats(one.concert_id, 3).await;
    office.seats(two.concert_id, 2).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    office.hold(user, token, seats[0]).await;
    let ids = [one.concert_id, two.concert_id, none.concert_id];
    let counts = office.store.seat_counts_of(&ids).await.unwrap();
    let seen: Vec<_> = counts.iter().map(|(id, counts)| (*id, counts.available, counts.held)).collect();
    assert_eq!(seen, [(one.concert_id, 2, 1), (two.concert_id, 2, 0)]);
}

pub(super) async fn what_stands_on_tickets_is_found_by_reservation(office: &Fixture) {
    let sale = office.sale().await;
    let held = office.hold(sale.user, office.activate(sale.user).await, sale.seats[1]).await;
    let ids = [held.reservation_id, ReservationId::new(9_999), sale.payment.reservation_id];
    let mut tickets = office.store.tickets(&ids).await.unwrap();
    tickets.sort_by_key(|ticket| ticket.seat_number);
    assert_eq!(tickets.iter().map(|ticket| ticket.seat_id).collect::<Vec<_>>(), sale.seats[..2]);
    let ticket = &tickets[1];
    assert_eq!((ticket.reservation_id, ticket.concert_id), (held.reservation_id, held.concert_id));
    assert_eq!(ticket.title, "Midnight Tide: The First Night");
    assert_eq!(ticket.place, new_seat(2).label.place());
    assert!(office.store.tickets(&[]).await.unwrap().is_empty());
}

pub(super) async fn the_door_list_has_the_sold_seats_in_their_order(office: &Fixture) {
    let concert = office.concert().await.concert_id;
    let seats = office.seats(concert, 5).await;
    office.sale().await;
    let mut payments = Vec::new();
    for (number, seat) in [(1, seats[4]), (2, seats[1]), (3, seats[2])] {
        let user = UserId(Uuid::from_u128(number));
        office.register_as(user, &format!("Kim {number}"), &format!("{number}@example.com")).await;
        office.top_up(user, 1_000_000).await;
        let token = office.activate(user).await;
        let held = office.hold(user, token, seat).await;
        payments.push(office.pay(user, token, held.reservation_id).await);
    }
    let refund = Command::Refund { payment_id: payments[2].payment_id, reason: None };
    office.ask(Caller::System, refund).await.unwrap();
    let token = office.activate(UserId(Uuid::from_u128(1))).await;
    office.hold(UserId(Uuid::from_u128(1)), token, seats[3]).await;
    let list = office.store.door_list(concert, 0, 10).await.unwrap();
    let seen: Vec<_> = list.iter().map(|line| (line.seat_number, line.name.as_str(), line.payment_id)).collect();
    assert_eq!(seen, [(2, "Kim 2", payments[1].payment_id), (5, "Kim 1", payments[0].payment_id)]);
    assert_eq!((&list[0].label, list[0].paid_at), (&new_seat(2).label, payments[1].paid_at));
    assert_eq!(list[0].reservation_id, payments[1].reservation_id);
    assert_eq!(office.store.door_list(concert, 0, 1).await.unwrap(), list[..1]);
    assert_eq!(office.store.door_list(concert, 2, 10).await.unwrap(), list[1..]);
    assert_eq!(office.store.door_list(concert, 5, 10).await.unwrap(), []);
}

pub(super) async fn debts_are_filtered_and_paged(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    let mut ids = Vec::new();
    for (number, user_id) in [user, other, user].into_iter().enumerate() {
        let adjustment = NewAdjustment {
            user_id,
            amount: Money::new(-100),
            reason: "chargeback".to_owned(),
            reference: format!("c-{number}"),
        };
        let adjusted = office.ask(Caller::System, Command::Adjust(adjustment)).await;
        let Ok(Outcome::Adjusted { entry: None, debt: Some(debt) }) = adjusted else { panic!("{adjusted:?}") };
        assert_eq!(office.store.debt(debt.debt_id).await.unwrap().as_ref(), Some(&debt));
        ids.push(debt.debt_id);
    }
    let (how, reason) = (Settlement::Waive, "paid at the counter".to_owned());
    let settle = Command::SettleDebt { user_id: user, debt_id: ids[0], how, reason };
    office.ask(Caller::System, settle).await.unwrap();
    let find = async |filter: DebtFilter, page: Page<DebtId>| {
        let rows = office.store.debts(&filter, page).await.unwrap();
        rows.iter().map(|row| row.debt_id).collect::<Vec<_>>()
    };
    let any = DebtFilter::default();
    let (open, waived) = (Some(DebtStatus::Open), Some(DebtStatus::Waived));
    assert_eq!(find(any, first(10)).await, [ids[2], ids[1], ids[0]]);
    assert_eq!(find(any, first(2)).await, [ids[2], ids[1]]);
    assert_eq!(find(any, after(ids[1], 2)).await, [ids[0]]);
    assert_eq!(find(DebtFilter { status: open, ..any }, first(10)).await, [ids[2], ids[1]]);
    assert_eq!(find(DebtFilter { status: waived, ..any }, first(10)).await, [ids[0]]);
    let mine = DebtFilter { user: Some(user), ..any };
    assert_eq!(find(mine, first(10)).await, [ids[2], ids[0]]);
    assert_eq!(find(DebtFilter { status: open, ..mine }, after(ids[2], 10)).await, []);
    assert_eq!(find(DebtFilter { status: waived, ..mine }, after(ids[2], 10)).await, [ids[0]]);
    assert_eq!(office.store.debt(DebtId::new(9_999)).await.unwrap(), None);
}

pub(super) async fn bookings_and_debts_are_found_by_their_references(office: &Fixture) {
    // Given a top-up and corrections of three users that share a reference, and one user who owes the rest of its own.
    let mut users = [office.register().await, office.register().await, office.register().await];
    users.sort();
    let top_up = Command::TopUp { user_id: users[2], amount: Money::new(500), reference: Some("r-1".to_owned()) };
    office.ask(Caller::Service, top_up).await.unwrap();
    let adjust = async |user_id, won, reference: &str| {
        let (reason, reference) = ("chargeback".to_owned(), reference.to_owned());
        let adjustment = NewAdjustment { user_id, amount: Money::new(won), reason, reference };
        office.ask(Caller::System, Command::Adjust(adjustment)).await.unwrap();
    };
    for (user, won) in [(users[2], -300), (users[1], 100), (users[0], 50), (users[0], -80)] {
        adjust(user, won, if won == -80 { "r-2" } else { "r-1" }).await;
    }
    adjust(users[1], -150, "r-1b").await;
    // When they are looked for.
    let booked = async |reference, limit| {
        let rows = office.store.bookings_of_reference(reference, limit).await.unwrap();
        rows.iter().map(|row| (row.user_id, row.amount.get())).collect::<Vec<_>>()
    };
    let owed = async |reference, limit| {
        let rows = office.store.debts_of_reference(reference, limit).await.unwrap();
        rows.iter().map(|row| (row.user_id, row.amount.get())).collect::<Vec<_>>()
    };
    // Then the top-up comes first, and the others by their users.
    let all = [(users[2], 500), (users[0], 50), (users[1], 100), (users[2], -300)];
    assert_eq!(booked("r-1", 10).await, all);
    assert_eq!(booked("r-1", 3).await, all[..3]);
    assert_eq!((booked("r-2", 10).await, owed("r-2", 10).await), (vec![(users[0], -50)], vec![(users[0], 30)]));
    assert_eq!((booked("r-1b", 10).await, owed("r-1b", 10).await), (vec![(users[1], -100)], vec![(users[1], 50)]));
    for nothing in ["r", "R-1", "r-1 ", "%", ""] {
        assert_eq!((booked(nothing, 10).await, owed(nothing, 10).await), (vec![], vec![]), "{nothing:?}");
    }
}

pub(super) async fn reservations_are_filtered_and_paged(office: &Fixture) {
    let (one, two) = (office.concert().await.concert_id, office.concert().await.concert_id);
    let (here, there) = (office.seats(one, 4).await, office.seats(two, 1).await);
    let (user, other) = (office.register().await, office.register().await);
    let (token, others) = (office.activate(user).await, office.activate(other).await);
    let mut ids = Vec::new();
    for seat in [here[0], here[1], there[0]] {
        ids.push(office.hold(user, token, seat).await.reservation_id);
    }
    ids.push(office.hold(other, others, here[2]).await.reservation_id);
    office.ask(Caller::Buyer(user), Command::CancelReservation { reservation_id: ids[1], reason: None }).await.unwrap();
    let find = async |filter: ReservationFilter, page: Page<ReservationId>| {
        let rows = office.store.reservations(&filter, page).await.unwrap();
        rows.iter().map(|row| row.reservation_id).collect::<Vec<_>>()
    };
    let any = ReservationFilter::default();
    let mine = ReservationFilter { user: Some(user), ..any };
    assert_eq!(find(any, first(10)).await, [ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(find(any, after(ids[3], 2)).await, [ids[2], ids[1]]);
    assert_eq!(find(mine, first(2)).await, [ids[2], ids[1]]);
    assert_eq!(find(mine, after(ids[1], 2)).await, [ids[0]]);
    let cancelled = Some(ReservationStatus::Cancelled);
    assert_eq!(find(ReservationFilter { status: cancelled, ..any }, first(10)).await, [ids[1]]);
    assert_eq!(find(ReservationFilter { concert: Some(two), ..any }, first(10)).await, [ids[2]]);
    let of_one = ReservationFilter { concert: Some(one), ..any };
    assert_eq!(find(of_one, first(2)).await, [ids[3], ids[1]]);
    assert_eq!(find(of_one, after(ids[1], 2)).await, [ids[0]]);
    let pending = Some(ReservationStatus::Pending);
    let all = ReservationFilter { user: Some(user), concert: Some(one), status: pending };
    assert_eq!(find(all, first(10)).await, [ids[0]]);
    let of = |concert, status| ReservationFilter { user: None, concert, status };
    assert_eq!(find(of(None, pending), first(10)).await, [ids[3], ids[2], ids[0]]);
    assert_eq!(find(of(None, pending), after(ids[3], 1)).await, [ids[2]]);
    assert_eq!(find(of(Some(one), pending), first(10)).await, [ids[3], ids[0]]);
    assert_eq!(find(of(Some(two), cancelled), first(10)).await, []);
    // Of those that are left one is refunded, one stays paid, one expires.
    office.top_up(user, 1_000_000).await;
    office.top_up(other, 1_000_000).await;
    let payment = office.pay(other, others, ids[3]).await;
    office.ask(Caller::Buyer(other), Command::Refund { payment_id: payment.payment_id, reason: None }).await.unwrap();
    office.pay(user, token, ids[0]).await;
    office.advance(1_000);
    office.ask(Caller::System, Command::ExpireHolds { reservation_ids: vec![ids[2]] }).await.unwrap();
    for (status, id) in [
        (ReservationStatus::Cancelled, ids[1]),
        (ReservationStatus::Confirmed, ids[0]),
        (ReservationStatus::Expired, ids[2]),
        (ReservationStatus::Refunded, ids[3]),
    ] {
        let status = Some(status);
        assert_eq!(find(of(None, status), first(10)).await, [id], "{status:?}");
        assert_eq!(find(of(None, status), after(id, 10)).await, [], "{status:?}");
        let concert = if id == ids[2] { two } else { one };
        assert_eq!(find(of(Some(concert), status), first(10)).await, [id], "{status:?}");
    }
    assert_eq!(find(of(None, pending), first(10)).await, []);
}

pub(super) async fn payments_are_filtered_and_paged(office: &Fixture) {
    let (one, two) = (office.sale().await, office.sale().await);
    let refund = Command::Refund { payment_id: one.payment.payment_id, reason: None };
    office.ask(Caller::Buyer(one.user), refund).await.unwrap();
    let find = async |filter: PaymentFilter, page: Page<PaymentId>| {
        let rows = office.store.payments(&filter, page).await.unwrap();
        rows.iter().map(|row| row.payment_id).collect::<Vec<_>>()
    };
    let any = PaymentFilter::default();
    let (old, new) = (one.payment.payment_id, two.payment.payment_id);
    assert_eq!(find(any, first(10)).await, [new, old]);
    assert_eq!(find(any, first(1)).await, [new]);
    assert_eq!(find(any, after(new, 10)).await, [old]);
    assert_eq!(find(PaymentFilter { user: Some(one.user), ..any }, first(10)).await, [old]);
    let of = Some(two.payment.reservation_id);
    assert_eq!(find(PaymentFilter { reservation: of, ..any }, first(10)).await, [new]);
    assert_eq!(find(PaymentFilter { status: Some(PaymentStatus::Refunded), ..any }, first(10)).await, [old]);
    let refunded = Some(PaymentStatus::Refunded);
    for filter in [
        PaymentFilter { status: refunded, ..any },
        PaymentFilter { user: Some(one.user), status: refunded, ..any },
        PaymentFilter { reservation: Some(one.payment.reservation_id), status: refunded, ..any },
    ] {
        assert_eq!(find(filter, after(new, 10)).await, [old]);
        assert_eq!(find(filter, after(old, 10)).await, []);
    }
    assert_eq!(find(PaymentFilter { status: Some(PaymentStatus::Completed), ..any }, first(10)).await, [new]);
    let none = PaymentFilter { user: Some(one.user), reservation: of, ..any };
    assert!(find(none, first(10)).await.is_empty());
    let reservation = office.store.reservation(one.payment.reservation_id).await.unwrap().unwrap();
    let its = PaymentFilter { concert: Some(reservation.concert_id), ..any };
    assert_eq!(find(its, first(10)).await, [old]);
    assert_eq!(find(its, after(old, 10)).await, []);
    for (filter, expected) in [
        (PaymentFilter { user: Some(one.user), ..its }, vec![old]),
        (PaymentFilter { user: Some(two.user), ..its }, vec![]),
        (PaymentFilter { status: refunded, ..its }, vec![old]),
        (PaymentFilter { status: Some(PaymentStatus::Completed), ..its }, vec![]),
        (PaymentFilter { reservation: Some(one.payment.reservation_id), ..its }, vec![old]),
        (PaymentFilter { reservation: of, ..its }, vec![]),
    ] {
        assert_eq!(find(filter, first(10)).await, expected, "{filter:?}");
    }
}

pub(super) async fn the_history_is_paged_and_sums_to_the_balance(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    for won in 1..=5 {
        office.top_up(user, won).await;
        office.top_up(other, 10 * won).await;
    }
    let all = office.store.history(user, first(10)).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.version).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    let point = office.store.point(user).await.unwrap().unwrap();
    assert_eq!((point.amount, point.version), (Money::new(15), 5));
    assert_eq!(all.iter().map(|entry| entry.amount.get()).sum::<i64>(), point.amount.get());
    assert_eq!(all[0].balance_after, point.amount);
    let two = office.store.history(user, first(2)).await.unwrap();
    let next = office.store.history(user, after(two[1].history_id, 2)).await.unwrap();
    assert_eq!([two, next].concat(), all[..4]);
    // A key that is another user's still marks a place in the list.
    let others = office.store.history(other, first(10)).await.unwrap();
    let beyond = office.store.history(user, after(others[3].history_id, 10)).await.unwrap();
    assert_eq!(beyond, all[3..]);
}

pub(super) async fn the_audit_log_is_paged(office: &Fixture) {
    let operator = UserId(Uuid::from_u128(77));
    office.concert().await;
    let change = RoomChange { max_active: Some(5), ..Default::default() };
    office
        .ask(
            Caller::Operator(operator),
            Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: Some("The hall.".to_owned()) },
        )
        .await
        .unwrap();
    let all = office.store.audit(first(10)).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["room.set", "concert.create"]);
    assert_eq!((all[0].actor, all[1].actor), (Some(operator), None));
    assert_eq!((&all[0].detail["max_active"]["to"], &all[0].detail["reason"]), (&5.into(), &"The hall.".into()));
    assert_eq!((all[0].object.as_str(), all[0].created_at), ("room 0", START));
    assert_eq!(office.store.audit(after(all[0].audit_id, 10)).await.unwrap(), all[1..]);
    assert_eq!(office.store.audit(first(1)).await.unwrap(), all[..1]);
}

pub(super) async fn the_next_expiries_come_first(office: &Fixture) {
    let concert = office.concert().await.concert_id;
    let seats = office.seats(concert, 4).await;
    let (seats, later) = (&seats[..3], seats[3]);
    let user = office.register().await;
    let token = office.activate(user).await;
    let mut ends = Vec::new();
    for seat in seats {
        let held = office.hold(user, token, *seat).await;
        ends.push((held.expires_at, held.reservation_id));
        office.advance(10);
    }
    office
        .ask(Caller::Buyer(user), Command::CancelReservation { reservation_id: ends[1].1, reason: None })
        .await
        .unwrap();
    assert_eq!(office.store.next_expiries(Time::MAX, 10).await.unwrap(), [ends[0], ends[2]]);
    assert_eq!(office.store.next_expiries(Time::MAX, 1).await.unwrap(), [ends[0]]);
    assert_eq!(office.store.next_expiries(ends[0].0, 10).await.unwrap(), [ends[0]]);
    assert_eq!(office.store.next_expiries(START, 10).await.unwrap(), []);
    office.advance(1_000);
    assert_eq!(office.store.next_expiries(Time::MAX, 10).await.unwrap(), [ends[0], ends[2]]);
    let over = Command::ExpireHolds { reservation_ids: vec![ends[0].1, ends[2].1] };
    office.ask(Caller::System, over).await.unwrap();
    assert_eq!(office.store.next_expiries(Time::MAX, 10).await.unwrap(), []);
    let token = office.activate(user).await;
    let held = office.hold(user, token, later).await;
    assert_eq!(office.store.next_expiries(Time::MAX, 10).await.unwrap(), [(held.expires_at, held.reservation_id)]);
}

pub(super) async fn live_tokens_of_a_user_come_by_room(office: &Fixture) {
    let own_room = NewConcert { own_room_max_active: Some(5), ..new_concert() };
    let room = office.concert_like(own_room).await.room_id;
    let (user, other) = (office.register().await, office.register().await);
    office.join(other, room).await;
    let there = office.join(user, room).await;
    let here = office.join(user, RoomId::HOUSE).await;
    assert_eq!(office.store.live_tokens(user).await.unwrap(), [here, there]);
    office.ask(Caller::Buyer(user), Command::LeaveQueue { token: here.id }).await.unwrap();
    assert_eq!(office.store.live_tokens(user).await.unwrap(), [there]);
}

pub(super) async fn waiting_tokens_come_by_position_in_pages(office: &Fixture) {
    let own_room = NewConcert { own_room_max_active: Some(5), ..new_concert() };
    let room = office.concert_like(own_room).await.room_id;
    let served = office.activate(office.register().await).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let user = office.register().await;
        office.join(user, room).await;
        waiting.push(office.join(user, RoomId::HOUSE).await);
        office.advance(1);
    }
    let left = waiting.remove(1);
    office.ask(Caller::Buyer(left.user_id), Command::LeaveQueue { token: left.id }).await.unwrap();
    let page = async |after, limit| office.store.waiting_tokens(RoomId::HOUSE, Page { after, limit }).await.unwrap();
    assert_eq!(page(None, 10).await, waiting, "none of another room, none that left, nor {served:?}");
    assert_eq!(page(None, 2).await, waiting[..2]);
    assert_eq!(page(Some(waiting[1].id.position), 2).await, waiting[2..]);
    assert_eq!(page(Some(waiting[2].id.position), 2).await, []);
    let unused = async |after, to| {
        let found = office.store.unassigned_positions(RoomId::HOUSE, Position(after), Position(to)).await.unwrap();
        found.into_iter().map(|position| position.0).collect::<Vec<_>>()
    };
    assert!(unused(0, 5).await.is_empty(), "who was served or left has had a number");
    assert_eq!(unused(3, 7).await, [6, 7]);
    assert!(unused(7, 7).await.is_empty());
}

pub(super) async fn what_does_not_exist_is_none(office: &Fixture) {
    let store = &office.store;
    let anonymous = UserId(Uuid::from_u128(1));
    assert_eq!(store.user(anonymous).await.unwrap(), None);
    assert_eq!(store.point(anonymous).await.unwrap(), None);
    assert!(store.history(anonymous, first(10)).await.unwrap().is_empty());
    assert_eq!(store.session([0; 32]).await.unwrap(), None);
    assert_eq!(store.concert(ConcertId::new(1)).await.unwrap(), None);
    assert_eq!(store.reservation(ReservationId::new(1)).await.unwrap(), None);
    assert_eq!(store.payment(PaymentId::new(1)).await.unwrap(), None);
    let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
    assert_eq!(store.token(token).await.unwrap(), None);
    assert_eq!(store.now().await.unwrap(), START.plus(Span::ZERO));
}

pub(super) async fn a_users_sessions_end_when_their_role_changes(office: &Fixture) {
    let user_id = office.register().await;
    let expires_at = START.plus(Span::from_secs(60));
    let session =
        Session { secret_hash: [1; 32], user_id, role: Role::Buyer, expires_at, created_at: START, client: None };
    office.ask(Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).await.unwrap();
    office.ask(Caller::System, Command::SetRole { user_id, role: Role::Operator }).await.unwrap();
    assert_eq!(office.store.user(user_id).await.unwrap().unwrap().role, Role::Operator);
    assert_eq!(office.store.session([1; 32]).await.unwrap(), None);
}
