//! Operators' commands about concerts, rooms, seats and balances.

use super::sale::seat;
use frontrow_domain::{
    command::{Command, ConcertChange, Decision, NewAdjustment, NewConcert, Outcome, OwnRoom, RoomChange},
    decide::decide_all,
    id::{ConcertId, RoomId, SeatId},
    line::Gate,
    money::Money,
    points::{DebtStatus, PointKind, Settlement},
    refusal::Refusal,
    sale::{
        AgeRating, Closing, Concert, ConcertDetails, ConcertStatus, DetailsChange, NewSeat, POSTER_LEN_MAX,
        PaymentStatus, Poster, PosterMark, PosterTag, ReservationStatus, SeatAction, SeatChange, SeatStatus,
    },
    time::Span,
    user::Caller,
};
use frontrow_storage::{ConcertProfile, GradePrices};
use frontrow_testkit::{
    START,
    fixture::{Fixture, after, first, new_concert, new_seat, request},
};
use std::sync::Arc;
use tokio::task::JoinSet;

/// That a row of [`new_seat`] has this number.
fn taken(number: &str) -> Refusal {
    Refusal::SeatNumberTaken { section: "Floor".to_owned(), row: "A".to_owned(), number: number.to_owned() }
}

pub(super) async fn operators_change_concerts_rooms_and_seats(office: &Fixture) {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 2).await;
    office.advance(10);
    let later = START.plus(Span::from_secs(10));
    let change = ConcertChange {
        title: Some("The Second Night".to_owned()),
        time_zone: Some("Asia/Tokyo".to_owned()),
        concert_date: Some(jiff::civil::date(2027, 4, 2)),
        start_time: Some(jiff::civil::time(19, 15, 0, 0)),
        end_time: Some(jiff::civil::time(1, 0, 0, 0)),
        base_price: Some(Money::new(77_000)),
        status: Some(ConcertStatus::Closed),
        status_reason: Some(Some("The hall is full.".to_owned())),
        ..Default::default()
    };
    let changed = office
        .ask(
            Caller::System,
            Command::UpdateConcert { concert_id: concert.concert_id, change, basis: None, reason: None },
        )
        .await;
    let Ok(Outcome::Concert(changed)) = changed else { panic!("{changed:?}") };
    assert_eq!((changed.title.as_str(), changed.updated_at), ("The Second Night", later));
    assert_eq!((changed.time_zone.as_str(), changed.base_price), ("Asia/Tokyo", Money::new(77_000)));
    assert_eq!(
        (changed.starts_at.to_string().as_str(), changed.closes_at),
        ("2027-04-02T10:15:00.000000Z", concert.closes_at)
    );
    assert_eq!(
        (changed.ends_at.to_string().as_str(), changed.closing),
        ("2027-04-02T16:00:00.000000Z", Closing::Apart)
    );
    assert_eq!(changed.status_reason.as_deref(), Some("The hall is full."));
    assert_eq!(office.store.concert(concert.concert_id).await.unwrap(), Some(changed));

    let change = RoomChange {
        max_active: Some(7),
        admit_per_minute: Some(Some(600)),
        gate: Some(Gate::Paused),
        message: Some(Some("Doors open at 20:00.".to_owned())),
        ..RoomChange::default()
    };
    let set = office
        .ask(Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None })
        .await;
    let Ok(Outcome::Room(room)) = set else { panic!("{set:?}") };
    assert_eq!((room.max_active, room.gate, room.updated_at), (7, Gate::Paused, later));
    assert_eq!(office.store.rooms().await.unwrap(), [room]);

    let action = SeatAction::Block { reason: "camera".to_owned() };
    let block = Command::SetSeats { within: None, seat_ids: vec![seats[1]], action };
    assert_eq!(office.ask(Caller::System, block).await, Ok(Outcome::SeatsSet(1)));
    let blocked = seat(office, seats[1]).await;
    assert_eq!((blocked.status(), blocked.blocked_reason()), (SeatStatus::Blocked, Some("camera")));
    let more = Command::AddSeats { concert_id: concert.concert_id, seats: vec![new_seat(3), new_seat(2)] };
    assert_eq!(office.ask(Caller::System, more).await, Err(taken("2")));
}

fn full_details() -> DetailsChange {
    DetailsChange {
        description: Some(Some("두 시간.\n\n<b>굵게</b> & \u{1f3b8}".to_owned())),
        age_rating: Some(Some(AgeRating::From15)),
        running_minutes: Some(Some(150)),
        doors_minutes: Some(Some(0)),
        address: Some(Some("12 Yeouiseo-ro".to_owned())),
        organiser: Some(Some("Tide Live".to_owned())),
        organiser_contact: Some(Some("02-000-0000".to_owned())),
    }
}

pub(super) async fn what_buyers_read_of_a_concert_is_read_back(office: &Fixture) {
    let plain = office.concert().await.concert_id;
    let full = office.concert_like(NewConcert { details: full_details(), ..new_concert() }).await.concert_id;
    office.seats(full, 3).await;
    let seat = |grade: &str, number: i32, price: i64| {
        let mut seat = NewSeat { price: Some(Money::new(price)), ..new_seat(number) };
        grade.clone_into(&mut seat.label.grade);
        seat
    };
    let more = vec![seat("R", 4, 90_000), seat("R", 5, 80_000), seat("Guest", 6, 0)];
    let added = office.ask(Caller::System, Command::AddSeats { concert_id: full, seats: more }).await;
    let Ok(Outcome::SeatsAdded { first_seat_id, .. }) = added else { panic!("{added:?}") };
    let guest = SeatId::new(first_seat_id.get() + 2);
    let action = SeatAction::Block { reason: "guests".to_owned() };
    office.ask(Caller::System, Command::SetSeats { within: None, seat_ids: vec![guest], action }).await.unwrap();

    let none = |id: ConcertId| ConcertProfile { details: ConcertDetails::none(id), poster: None, grades: Vec::new() };
    let grade = |grade: &str, lowest: i64, highest: i64| GradePrices {
        grade: grade.to_owned(),
        lowest: Money::new(lowest),
        highest: Money::new(highest),
    };
    let expected = ConcertProfile {
        details: full_details().apply(ConcertDetails::none(full)),
        poster: None,
        grades: vec![grade("VIP", 120_000, 120_000), grade("R", 80_000, 90_000)],
    };
    let profiles = |ids: Vec<ConcertId>| {
        let store = Arc::clone(&office.store);
        async move { store.profiles(&ids).await.unwrap() }
    };
    let unknown = ConcertId::new(9_999);
    assert_eq!(profiles(vec![full, unknown, plain]).await, [expected.clone(), none(unknown), none(plain)]);
    assert_eq!(profiles(Vec::new()).await, []);

    let details =
        DetailsChange { description: Some(None), running_minutes: Some(Some(90)), ..DetailsChange::default() };
    for (concert_id, details) in [(full, details), (plain, full_details())] {
        let change = ConcertChange { details, ..ConcertChange::default() };
        office
            .ask(Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None })
            .await
            .unwrap();
    }
    let mut changed = expected;
    (changed.details.description, changed.details.running_minutes) = (None, Some(90));
    let late = ConcertProfile { details: full_details().apply(ConcertDetails::none(plain)), ..none(plain) };
    assert_eq!(profiles(vec![plain, full]).await, [late, changed]);
}

pub(super) async fn a_poster_is_read_back_until_it_is_removed(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let poster = |byte: u8, len: usize| {
        let mark = PosterMark { tag: PosterTag::of([byte; 32]), width: 900, height: 1_200 };
        Poster { concert_id, mark, jpeg: vec![byte; len].into() }
    };
    let mark = || async { office.store.profiles(&[concert_id]).await.unwrap().remove(0).poster };
    assert_eq!(office.store.poster(concert_id).await.unwrap(), None);
    for poster in [poster(0, 300_000), poster(0xff, POSTER_LEN_MAX), poster(7, 1)] {
        office.ask(Caller::System, Command::SetPoster { poster: poster.clone(), basis: None }).await.unwrap();
        assert_eq!(mark().await, Some(poster.mark));
        assert_eq!(office.store.poster(concert_id).await.unwrap(), Some(poster));
    }
    let updated_at = office.store.concert(concert_id).await.unwrap().unwrap().updated_at;
    let (_, changes) =
        office.batch(vec![request(Caller::System, Command::SetPoster { poster: poster(7, 1), basis: None })]).await;
    assert!(changes.is_empty(), "{changes:?}");
    let both =
        [Command::SetPoster { poster: poster(8, 10), basis: None }, Command::RemovePoster { concert_id, basis: None }];
    office.batch(both.into_iter().map(|command| request(Caller::System, command)).collect()).await;
    assert_eq!((office.store.poster(concert_id).await.unwrap(), mark().await), (None, None));
    assert!(office.store.concert(concert_id).await.unwrap().unwrap().updated_at > updated_at);
    let removal = || vec![request(Caller::System, Command::RemovePoster { concert_id, basis: None })];
    assert!(office.batch(removal()).await.1.is_empty());
}

pub(super) async fn every_row_of_a_hall_is_numbered_from_one(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let row = |row: &str, numbers: &[(Option<i32>, &str)]| {
        let seat = |(seat_number, number): &(Option<i32>, &str)| {
            let mut seat = NewSeat { seat_number: *seat_number, ..new_seat(1) };
            (seat.label.row, seat.label.number) = (row.to_owned(), (*number).to_owned());
            seat
        };
        Command::AddSeats { concert_id, seats: numbers.iter().map(seat).collect() }
    };
    office.ask(Caller::System, row("A", &[(Some(1), ""), (Some(2), "")])).await.unwrap();
    office.ask(Caller::System, row("B", &[(Some(1), ""), (Some(2), "2A")])).await.unwrap();
    office.ask(Caller::System, row("C", &[(None, "가-3"), (None, "1")])).await.unwrap();
    let seats = office.store.seats(concert_id).await.unwrap();
    let seen: Vec<_> =
        seats.iter().map(|seat| (seat.seat_number, seat.label.row.as_str(), seat.label.number.as_str())).collect();
    let expected = [(1, "A", "1"), (2, "A", "2"), (3, "B", "1"), (4, "B", "2A"), (5, "C", "가-3"), (6, "C", "1")];
    assert_eq!(seen, expected);
    assert_eq!(office.ask(Caller::System, row("A", &[(Some(9), ""), (Some(7), "2")])).await, Err(taken("2")));
}

pub(super) async fn what_operators_correct_of_seats_is_read_back(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let seats = office.seats(concert_id, 5).await;
    let user = office.register().await;
    let token = office.activate(user).await;
    let held = office.hold(user, token, seats[0]).await;
    office.advance(1);
    let change = |seat_ids: &[SeatId], change| Command::ChangeSeats {
        concert_id,
        seat_ids: seat_ids.to_vec(),
        change,
        reason: None,
    };
    let free = SeatChange { price: Some(Money::ZERO), grade: Some("Guest".to_owned()), ..SeatChange::default() };
    office.ask(Caller::System, change(&seats[1..3], free.clone())).await.unwrap();
    assert_eq!(
        office.ask(Caller::System, change(&seats[..1], free)).await,
        Err(Refusal::SeatInUse { seat_id: seats[0] })
    );
    let number = |number: &str| SeatChange { number: Some(number.to_owned()), ..SeatChange::default() };
    assert_eq!(office.ask(Caller::System, change(&[seats[1]], number("5"))).await, Err(taken("5")));
    office.ask(Caller::System, change(&[seats[1]], number("12A"))).await.unwrap();
    let changed = seat(office, seats[1]).await;
    assert_eq!(
        (changed.price, changed.label.number.as_str(), changed.label.grade.as_str()),
        (Money::ZERO, "12A", "Guest")
    );
    assert_eq!(changed.updated_at, START.plus(Span::from_secs(1)));
    // The number that it had is free, in the same batch too.
    let same = [change(&[seats[2]], number("99")), change(&[seats[3]], number("3"))];
    let requests = same.into_iter().map(|command| request(Caller::System, command)).collect();
    assert!(office.batch(requests).await.0.iter().all(|answer| answer.decision.is_ok()));

    let remove = |seat_ids: &[SeatId]| Command::RemoveSeats { concert_id, seat_ids: seat_ids.to_vec(), reason: None };
    office
        .ask(Caller::Buyer(user), Command::CancelReservation { reservation_id: held.reservation_id, reason: None })
        .await
        .unwrap();
    let kept = office.ask(Caller::System, remove(&seats[..2])).await;
    assert_eq!(kept, Err(Refusal::SeatHasHistory { seat_id: seats[0] }));
    office.ask(Caller::System, remove(&[seats[4], seats[1]])).await.unwrap();
    let left = office.store.seats(concert_id).await.unwrap();
    assert_eq!(left.iter().map(|seat| seat.seat_id).collect::<Vec<_>>(), [seats[0], seats[2], seats[3]]);
    assert!(left[0].was_held);
    let again = Command::AddSeats { concert_id, seats: vec![new_seat(5)] };
    office.ask(Caller::System, again).await.unwrap();
    assert_eq!(office.store.seats(concert_id).await.unwrap().last().map(|seat| seat.seat_number), Some(5));
    let counts = office.store.seat_counts(concert_id).await.unwrap();
    assert_eq!(counts.available, 4);
}

pub(super) async fn the_id_of_a_removed_seat_is_never_given_again(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let seats = office.seats(concert_id, 3).await;
    let remove = |seat: SeatId| Command::RemoveSeats { concert_id, seat_ids: vec![seat], reason: None };
    let add = |number: i32| Command::AddSeats { concert_id, seats: vec![new_seat(number)] };
    let added = |answer: Decision| match answer {
        Ok(Outcome::SeatsAdded { first_seat_id, .. }) => first_seat_id,
        other => panic!("{other:?}"),
    };
    office.ask(Caller::System, remove(seats[2])).await.unwrap();
    let restarted = office.restarted().await;
    let next = added(restarted.ask(Caller::System, add(3)).await);
    assert!(next > seats[2], "{next:?} after {seats:?}");

    // Added and removed at once, and never seen in the database.
    let after = SeatId::new(next.get() + 1);
    let both = vec![request(Caller::System, add(4)), request(Caller::System, remove(after))];
    let (answers, _) = restarted.batch(both).await;
    assert_eq!(added(answers[0].decision.clone()), after);
    answers[1].decision.clone().unwrap();
    let restarted = office.restarted().await;
    let next = added(restarted.ask(Caller::System, add(4)).await);
    assert!(next > after, "{next:?} after {after:?}");
}

pub(super) async fn a_concert_moves_into_a_room_of_its_own(office: &Fixture) {
    let opens_at = START.plus(Span::from_secs(60));
    let concert_id = office.concert_like(NewConcert { opens_at: Some(opens_at), ..new_concert() }).await.concert_id;
    let change = ConcertChange {
        own_room: Some(OwnRoom { max_active: 7, admit_per_minute: None, opening: None }),
        ..Default::default()
    };
    let moved =
        office.ask(Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None }).await;
    let Ok(Outcome::Concert(concert)) = moved else { panic!("{moved:?}") };
    assert_eq!(concert.room_id, RoomId::of_concert(concert_id));
    assert_eq!(office.store.concert(concert_id).await.unwrap().as_ref(), Some(&concert));
    let rooms = office.store.rooms().await.unwrap();
    assert_eq!(rooms[1].room_id, concert.room_id);
    assert_eq!((rooms[1].max_active, rooms[1].opens_at), (7, Some(opens_at)));
    let user = office.register().await;
    assert_eq!(office.join(user, concert.room_id).await.id.position.0, 1);
}

pub(super) async fn a_sale_that_was_put_off_after_it_had_opened_is_remembered(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let update = async |office: &Fixture, change| {
        office.ask(Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None }).await
    };
    let opens_at = START.plus(Span::from_secs(3_600));
    let put_off = ConcertChange { opens_at: Some(opens_at), ..ConcertChange::default() };
    let Ok(Outcome::Concert(concert)) = update(office, put_off).await else { panic!() };
    assert_eq!((concert.opens_at, concert.opened_at), (opens_at, Some(START)));
    let office = office.restarted().await;
    assert_eq!(office.store.concert(concert_id).await.unwrap(), Some(concert));
    let own_room = ConcertChange {
        own_room: Some(OwnRoom { max_active: 7, admit_per_minute: None, opening: None }),
        ..Default::default()
    };
    assert_eq!(update(&office, own_room).await, Err(Refusal::SaleOpened { opened_at: START }));
}

pub(super) async fn a_correction_takes_what_there_is_and_the_rest_is_owed(office: &Fixture) {
    let (user, other) = (office.register().await, office.register().await);
    office.top_up(user, 30_000).await;
    let adjust = |user_id, won, reference: &str| {
        let (reason, reference) = ("chargeback".to_owned(), reference.to_owned());
        Command::Adjust(NewAdjustment { user_id, amount: Money::new(won), reason, reference })
    };
    let given = office.ask(Caller::Service, adjust(user, 5_000, "gift")).await;
    let Ok(Outcome::Adjusted { entry: Some(entry), debt: None }) = given else { panic!("{given:?}") };
    assert_eq!(
        (entry.kind, entry.amount, entry.balance_after),
        (PointKind::Adjustment, Money::new(5_000), Money::new(35_000))
    );
    let taken = office.ask(Caller::System, adjust(user, -50_000, "c-1")).await;
    let Ok(Outcome::Adjusted { entry: Some(entry), debt: Some(debt) }) = taken else { panic!("{taken:?}") };
    assert_eq!((entry.amount, debt.amount, debt.status), (Money::new(-35_000), Money::new(15_000), DebtStatus::Open));
    assert_eq!(office.store.history(user, first(1)).await.unwrap(), [entry]);
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::ZERO);
    for reference in ["gift", "c-1"] {
        assert_eq!(office.ask(Caller::System, adjust(user, 1, reference)).await, Err(Refusal::ReferenceUsed));
    }
    office.ask(Caller::System, adjust(other, -1, "c-1")).await.unwrap();
    assert_eq!(office.ask(Caller::System, adjust(other, 1, "c-1")).await, Err(Refusal::ReferenceUsed), "a debt has it");
    // A provider's reference of a top-up may come back with its chargeback.
    let top_up = Command::TopUp { user_id: user, amount: Money::new(10_000), reference: Some("gift".to_owned()) };
    office.ask(Caller::Service, top_up).await.unwrap();

    let settle =
        |how| Command::SettleDebt { user_id: user, debt_id: debt.debt_id, how, reason: "as agreed".to_owned() };
    let too_low = Refusal::BalanceTooLow { balance: Money::new(10_000), amount: Money::new(15_000) };
    assert_eq!(office.ask(Caller::System, settle(Settlement::Collect)).await, Err(too_low));
    office.top_up(user, 10_000).await;
    let collected = office.ask(Caller::System, settle(Settlement::Collect)).await;
    let Ok(Outcome::Debt(settled)) = collected else { panic!("{collected:?}") };
    assert_eq!((settled.status, settled.settled_at), (DebtStatus::Collected, Some(START)));
    assert_eq!(office.store.debt(debt.debt_id).await.unwrap(), Some(settled));
    assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::new(5_000));
    assert_eq!(office.ask(Caller::System, settle(Settlement::Waive)).await, Err(Refusal::DebtSettled));
}

pub(super) async fn a_concerts_own_room_follows_its_sale(office: &Fixture) {
    let concert = office.concert_like(NewConcert { own_room_max_active: Some(3), ..new_concert() }).await;
    let window = async || {
        let rooms = office.store.rooms().await.unwrap();
        let windows: Vec<_> = rooms.iter().map(|room| (room.opens_at, room.closes_at)).collect();
        assert_eq!(windows[0], (None, None));
        windows[1]
    };
    assert_eq!(window().await, (Some(concert.opens_at), Some(concert.closes_at)));
    let (opens_at, closes_at) = (START.plus(Span::from_secs(3_600)), START.plus(Span::from_secs(7_200)));
    let change = ConcertChange { opens_at: Some(opens_at), closes_at: Some(Some(closes_at)), ..Default::default() };
    let update = |change| Command::UpdateConcert { concert_id: concert.concert_id, change, basis: None, reason: None };
    let token = office.join(office.register().await, concert.room_id).await;
    let (_, changes) = office.batch(vec![request(Caller::System, update(change))]).await;
    assert_eq!(changes.rooms.updated.len(), 1);
    assert_eq!(window().await, (Some(opens_at), Some(closes_at)));
    let now = START.plus(Span::from_secs(60));
    office.advance(60);
    let close = ConcertChange { status: Some(ConcertStatus::Closed), ..Default::default() };
    assert!(office.ask(Caller::System, update(close)).await.is_ok());
    assert_eq!(window().await, (Some(opens_at), Some(now)));
    let next = office.join(office.register().await, RoomId::HOUSE).await;
    assert_eq!((token.id.position.0, next.id.position.0), (1, 1));
}

pub(super) async fn a_seat_added_and_held_in_one_batch_is_held(office: &Fixture) {
    let concert = office.concert().await;
    let user = office.register().await;
    let token = office.activate(user).await;
    let (answers, _) = office
        .batch(vec![
            request(
                Caller::System,
                Command::AddSeats { concert_id: concert.concert_id, seats: vec![new_seat(1), new_seat(2)] },
            ),
            request(Caller::Buyer(user), Command::Hold { token, seat_ids: vec![SeatId::new(2)] }),
        ])
        .await;
    let Ok(Outcome::Held(held)) = &answers[1].decision else { panic!("{answers:?}") };
    assert_eq!(office.store.reservation(held[0].reservation_id).await.unwrap().as_ref(), held.first());
    assert_eq!(seat(office, SeatId::new(2)).await.status(), SeatStatus::Held);
}

fn call_off(concert_id: ConcertId) -> Command {
    Command::CancelConcert { concert_id, reason: "The singer is ill.".to_owned(), basis: None }
}

pub(super) async fn a_cancelled_concert_is_wound_up_as_its_rows_say(office: &Fixture) {
    let sale = office.sale().await;
    let concert_id = office.store.reservation(sale.payment.reservation_id).await.unwrap().unwrap().concert_id;
    let other = office.concert().await.concert_id;
    office.seats(other, 1).await;
    let buyer = office.register().await;
    let token = office.activate(buyer).await;
    let held = office.hold(buyer, token, sale.seats[1]).await;
    let counts = async || {
        let counts = office.store.seat_counts(concert_id).await.unwrap();
        [counts.available, counts.held, counts.sold, counts.blocked]
    };
    assert_eq!(counts().await, [1, 1, 1, 0]);
    assert_eq!(office.store.concerts_to_wind_up(first(10)).await.unwrap(), []);

    let Ok(Outcome::Concert(cancelled)) = office.ask(Caller::System, call_off(concert_id)).await else { panic!() };
    assert_eq!(office.store.concerts_to_wind_up(first(10)).await.unwrap(), std::slice::from_ref(&cancelled));
    assert_eq!(office.store.concerts_to_wind_up(first(0)).await.unwrap(), []);
    assert_eq!(office.store.concerts_to_wind_up(after(concert_id, 10)).await.unwrap(), []);
    let pay = Command::Pay { token, reservation_ids: vec![held.reservation_id] };
    assert_eq!(office.ask(Caller::Buyer(buyer), pay).await, Err(Refusal::ConcertCancelled));
    let left = async |concert: &Concert, after, limit| {
        let left = office.store.remnants(concert, after, limit).await.unwrap();
        left.into_iter().map(|seat| (seat.seat_number, seat.seat_id, seat.payment_id)).collect::<Vec<_>>()
    };
    let unpaid = [(2, sale.seats[1], None), (3, sale.seats[2], None)];
    assert_eq!(left(&cancelled, 0, 10).await, unpaid);
    let wind_up = |seat_ids: &[SeatId], payment_ids: Vec<_>| Command::WindUp {
        concert_id,
        seat_ids: seat_ids.to_vec(),
        payment_ids,
    };
    let unpaid = wind_up(&sale.seats, Vec::new());
    assert_eq!(office.ask(Caller::System, unpaid).await, Ok(Outcome::WoundUp { seats: 2, refunds: 0 }));
    assert_eq!(counts().await, [0, 0, 1, 2]);
    let ended = office.store.reservation(held.reservation_id).await.unwrap().unwrap();
    assert_eq!((ended.status(), ended.closed_at()), (ReservationStatus::Cancelled, Some(START)));

    let asked = office.ask(Caller::System, Command::RefundConcert { concert_id, basis: None }).await;
    let Ok(Outcome::Concert(asked)) = asked else { panic!("{asked:?}") };
    let payment = sale.payment.payment_id;
    assert_eq!(left(&asked, 0, 10).await, [(1, sale.seats[0], Some(payment))]);
    assert_eq!(left(&asked, 1, 10).await, []);
    assert_eq!(left(&asked, 0, 0).await, []);
    let refund = wind_up(&[], vec![payment]);
    assert_eq!(office.ask(Caller::System, refund).await, Ok(Outcome::WoundUp { seats: 0, refunds: 1 }));
    assert_eq!(counts().await, [0, 0, 0, 3]);
    let point = office.store.point(sale.user).await.unwrap().unwrap();
    assert_eq!(point.amount, Money::new(1_000_000));
    assert_eq!(office.store.payment(payment).await.unwrap().unwrap().status, PaymentStatus::Refunded);

    office.advance(60);
    let settle = Command::SettleConcert { concert_id, seen: asked.updated_at };
    let Ok(Outcome::Concert(settled)) = office.ask(Caller::System, settle).await else { panic!() };
    assert_eq!(settled.wound_up_at, Some(START.plus(Span::from_secs(60))));
    assert_eq!(office.store.concert(concert_id).await.unwrap(), Some(settled));
    assert_eq!(office.store.concerts_to_wind_up(first(10)).await.unwrap(), []);
}

pub(super) async fn refunds_of_buyers_and_of_all_at_once_give_each_payment_back_once(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let seats = office.seats(concert_id, 12).await;
    let mut payments = Vec::new();
    for wanted in seats.chunks(4) {
        let user = office.register().await;
        office.top_up(user, 480_000).await;
        let token = office.activate(user).await;
        let wish = Command::Hold { token, seat_ids: wanted.to_vec() };
        let Ok(Outcome::Held(held)) = office.ask(Caller::Buyer(user), wish).await else { panic!() };
        let reservation_ids = held.iter().map(|row| row.reservation_id).collect();
        let paid = office.ask(Caller::Buyer(user), Command::Pay { token, reservation_ids }).await;
        let Ok(Outcome::Paid(paid)) = paid else { panic!("{paid:?}") };
        payments.extend(paid);
    }
    office.ask(Caller::System, call_off(concert_id)).await.unwrap();
    let ids: Vec<_> = payments.iter().map(|payment| payment.payment_id).collect();
    // Two operators ask, two instances wind up, and each buyer asks for each payment.
    let mut requests = vec![request(Caller::System, Command::RefundConcert { concert_id, basis: None }); 2];
    for _ in 0..2 {
        for part in ids.chunks(5) {
            let command = Command::WindUp { concert_id, seat_ids: Vec::new(), payment_ids: part.to_vec() };
            requests.push(request(Caller::System, command));
        }
    }
    for payment in &payments {
        let command = Command::Refund { payment_id: payment.payment_id, reason: None };
        requests.push(request(Caller::Buyer(payment.user_id), command));
    }
    let mut tasks = JoinSet::new();
    for one in requests {
        let store = Arc::clone(&office.store);
        tasks.spawn(
            async move { store.transact(vec![one].into(), decide_all).await.unwrap().answers.remove(0).decision },
        );
    }
    let mut refunds = 0;
    while let Some(decision) = tasks.join_next().await {
        match decision.unwrap() {
            Ok(Outcome::Refunded(_)) => refunds += 1,
            Ok(Outcome::WoundUp { refunds: more, .. }) => refunds += more,
            Ok(Outcome::Concert(_)) | Err(Refusal::AlreadyRefunded) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refunds, 12);
    for payment in &payments {
        let user = payment.user_id;
        assert_eq!(office.store.point(user).await.unwrap().unwrap().amount, Money::new(480_000));
        let history = office.store.history(user, first(100)).await.unwrap();
        let back = history.iter().filter(|entry| entry.payment_id == Some(payment.payment_id)).count();
        assert_eq!(back, 2, "one use and one refund");
    }
    let counts = office.store.seat_counts(concert_id).await.unwrap();
    assert_eq!((counts.sold, counts.blocked), (0, 12));
}
