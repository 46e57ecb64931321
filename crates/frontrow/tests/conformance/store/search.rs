//! What operators find by an index.

use frontrow_domain::{
    command::{Command, Outcome},
    id::{ConcertId, PaymentId, UserId},
    money::Money,
    points::PointKind,
    user::Caller,
};
use frontrow_testkit::fixture::{Fixture, after, first, new_seat};
use uuid::Uuid;

const PEOPLE: [(u128, &str, &str); 8] = [
    (1, "김민지", "minji@example.com"),
    (2, "박민지", "park_mj@example.com"),
    (3, "Kim Minji", "kim.minji@example.com"),
    (4, "minji lee", "lee@example.com"),
    (5, "민지", "100%@example.com"),
    (6, "Émile Zola", "emile@example.com"),
    (7, "\u{1f600}\u{1f601}", "smile@example.com"),
    (8, "A", "a@example.com"),
];

pub(super) async fn users_are_found_by_the_start_of_their_address_and_names(office: &Fixture) {
    for (number, name, email) in PEOPLE {
        office.register_as(UserId(Uuid::from_u128(number)), name, email).await;
    }
    let find = async |start: &str, limit: u32| {
        let users = office.store.users_starting_with(start, limit).await.unwrap();
        users.iter().map(|user| user.user_id.0.as_u128()).collect::<Vec<_>>()
    };
    let none: [u128; 0] = [];
    assert_eq!(find("minji@example.com", 9).await, [1], "the whole address");
    assert_eq!(find("MINJI", 9).await, [1, 4, 3], "by the address, by the name, by its later part");
    assert_eq!(find("minji", 2).await, [1, 4]);
    assert_eq!(find("kim", 9).await, [3], "each user once");
    assert_eq!(find("민", 9).await, [5, 1, 2]);
    assert_eq!(find("민지", 9).await, [5, 1, 2]);
    assert_eq!(find("\u{1106}\u{1175}\u{11ab}지", 9).await, [5, 1, 2], "a decomposed text is the same text");
    assert_eq!(find("김민지", 9).await, [1]);
    assert_eq!(find("Ém", 9).await, [6]);
    assert_eq!(find("\u{1f601}", 9).await, [7], "characters are not cut");
    for text in ["100%", "park_"] {
        assert_eq!(find(text, 9).await.len(), 1, "{text}: no character is a wildcard");
    }
    for text in ["park%", "example.com", "지민", "'", "\u{10ffff}", "minji@example.comm"] {
        assert_eq!(find(text, 9).await, none, "{text}");
    }
    assert_eq!(find("", 3).await.len(), 3, "every text starts with nothing");
    let rename = Command::RenameUser { user_id: UserId(Uuid::from_u128(1)), name: "Park Jiho".to_owned() };
    office.ask(Caller::System, rename).await.unwrap();
    assert_eq!(find("jiho", 9).await, [1]);
    assert_eq!(find("김", 9).await, none, "a name that was given up is found no more");
}

pub(super) async fn a_seat_is_found_by_its_number(office: &Fixture) {
    let concert_id = office.concert().await.concert_id;
    let other = office.concert().await.concert_id;
    office.seats(other, 2).await;
    let seats = vec![new_seat(5), new_seat(1)];
    office.ask(Caller::System, Command::AddSeats { concert_id, seats }).await.unwrap();
    let all = office.store.seats(concert_id).await.unwrap();
    assert_eq!(office.store.seat_at(concert_id, 5).await.unwrap().as_ref(), all.last());
    for (concert, number) in [(concert_id, 2), (concert_id, -1), (ConcertId::new(99), 1)] {
        assert_eq!(office.store.seat_at(concert, number).await.unwrap(), None);
    }
}

pub(super) async fn a_top_up_and_the_entries_of_a_payment_are_found(office: &Fixture) {
    let user = office.register().await;
    let top_up = |reference: &str| Command::TopUp {
        user_id: user,
        amount: Money::new(500_000),
        reference: Some(reference.to_owned()),
    };
    let Outcome::ToppedUp(entry) = office.ask(Caller::System, top_up("pg-1")).await.unwrap() else { panic!() };
    office.ask(Caller::System, top_up("pg-2")).await.unwrap();
    let concert = office.concert().await.concert_id;
    let seat = office.seats(concert, 1).await[0];
    let token = office.activate(user).await;
    let held = office.hold(user, token, seat).await;
    let payment = office.pay(user, token, held.reservation_id).await.payment_id;
    assert_eq!(office.store.bookings_of_reference("pg-1", 20).await.unwrap(), [entry]);
    assert_eq!(office.store.bookings_of_reference("pg", 20).await.unwrap(), []);
    let entries = office.store.entries_of(payment).await.unwrap();
    assert_eq!(entries.iter().map(|entry| (entry.kind, entry.user_id)).collect::<Vec<_>>(), [(PointKind::Use, user)]);
    assert!(office.store.entries_of(PaymentId::new(99)).await.unwrap().is_empty());
}

pub(super) async fn the_audit_log_of_an_object_is_paged(office: &Fixture) {
    let concert = office.concert().await.concert_id;
    office.concert().await;
    office.seats(concert, 2).await;
    let reason = "The singer is ill.".to_owned();
    office.ask(Caller::System, Command::CancelConcert { concert_id: concert, reason, basis: None }).await.unwrap();
    let object = format!("concert {concert}");
    let all = office.store.audit_of(&object, first(10)).await.unwrap();
    let actions: Vec<_> = all.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["concert.cancel", "seats.add", "concert.create"]);
    assert!(all.iter().all(|entry| entry.object == object));
    assert_eq!(office.store.audit_of(&object, first(2)).await.unwrap(), all[..2]);
    assert_eq!(office.store.audit_of(&object, after(all[1].audit_id, 2)).await.unwrap(), all[2..]);
    for other in ["concert", "concert 99", "", "CONCERT 1"] {
        assert!(office.store.audit_of(other, first(10)).await.unwrap().is_empty(), "{other}");
    }
}
