//! The constraints of the tables, whatever program writes.

use super::raw;

use frontrow_domain::{
    command::{Command, Outcome},
    decide::decide_all,
    id::{AuditId, Position, RoomId},
    money::Money,
    user::{Caller, NewUser, Role},
};
use frontrow_storage::{StoreError, check};
use frontrow_testkit::{
    START,
    fixture::{Fixture, request},
};
use rusqlite::params;
use std::sync::Arc;

#[track_caller]
pub(super) fn assert_refused(result: rusqlite::Result<usize>, name: &str) {
    let text = result.expect_err("the database took it").to_string();
    assert!(text.contains(name), "{text}");
}

#[tokio::test]
async fn a_broken_constraint_is_a_conflict_and_saves_nothing() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    let anonymous = frontrow_domain::id::UserId(office.ids.uuid(START));
    let join = |user| request(Caller::Buyer(user), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None });
    let refused = office.store.transact(Arc::new([join(user), join(anonymous)]), decide_all).await;
    assert!(matches!(&refused, Err(StoreError::Conflict(text)) if text.contains("FOREIGN KEY")), "{refused:?}");
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap().highest, Position(0));
    assert_eq!(office.join(user, RoomId::HOUSE).await.id.position, Position(1));
}

#[tokio::test]
async fn a_seat_has_one_live_reservation() {
    let office = Fixture::sqlite();
    office.sale().await;
    let second = "INSERT INTO reservation (user_id, concert_id, seat_id, seat_number, price, status, created_at,
        expires_at) SELECT user_id, concert_id, seat_id, seat_number, price, 'pending', 1, 2 FROM reservation";
    assert_refused(raw(&office).execute(second, ()), "one_live_reservation_per_seat");
}

#[tokio::test]
async fn a_reservation_has_one_payment() {
    let office = Fixture::sqlite();
    office.sale().await;
    let second = "INSERT INTO payment (user_id, reservation_id, amount, status, paid_at, created_at)
        SELECT user_id, reservation_id, amount, 'completed', 1, 1 FROM payment";
    assert_refused(raw(&office).execute(second, ()), "UNIQUE constraint failed: payment.reservation_id");
}

#[tokio::test]
async fn a_check_finds_a_seat_that_was_sold_to_two_at_the_same_time() {
    const INVARIANT: &str = "BROKEN  a seat was never sold to two at the same time";
    let office = Fixture::sqlite();
    let sale = office.sale().await;
    let refund = Command::Refund { payment_id: sale.payment.payment_id, reason: None };
    office.ask(Caller::System, refund).await.unwrap();
    // Sold again at the moment at which it was given back, which is that at which it was sold.
    let token = office.activate(sale.user).await;
    let again = office.hold(sale.user, token, sale.seats[0]).await;
    office.pay(sale.user, token, again.reservation_id).await;
    let report = check::sqlite::run(&office.path()).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let conn = raw(&office);
    // One sale lasts long, and the next but one after it still begins before its end.
    let sell =
        "INSERT INTO reservation (user_id, concert_id, seat_id, seat_number, price, status, created_at, expires_at,
            confirmed_at, closed_at)
        SELECT user_id, concert_id, seat_id + 1, seat_number + 1, price, 'refunded', ?1, ?1 + 9, ?1, ?2
        FROM reservation LIMIT 1";
    for (from, to) in [(10, 20), (20, 100), (30, 40)] {
        conn.execute(sell, params![from, to]).unwrap();
    }
    conn.execute(sell, params![90, 110]).unwrap();
    let text = check::sqlite::run(&office.path()).await.unwrap().to_string();
    let named = text.lines().skip_while(|line| *line != INVARIANT).skip(1).take_while(|line| line.starts_with(' '));
    let named: Vec<_> = named.map(str::trim).collect();
    let seat = sale.seats[1];
    assert_eq!(
        named,
        [5, 6].map(|id| format!("seat {seat}: reservation {id} was sold before the sale in front ended")),
        "{text}"
    );
}

#[tokio::test]
async fn no_balance_and_no_price_is_ever_negative() {
    let office = Fixture::sqlite();
    office.sale().await;
    let conn = raw(&office);
    assert_refused(conn.execute("UPDATE point SET amount = -1", ()), "balance_is_not_negative");
    assert_refused(conn.execute("UPDATE payment SET amount = -1", ()), "payment_amount");
    assert_refused(conn.execute("UPDATE seat SET price = -1", ()), "seat_price");
}

#[tokio::test]
async fn the_books_are_only_added_to() {
    let office = Fixture::sqlite();
    office.sale().await;
    office.ask(Caller::System, Command::FeedAudit { audit_id: AuditId::new(1) }).await.unwrap();
    let conn = raw(&office);
    for table in ["point_history", "audit_log", "audit_feed", "room_cap"] {
        let text = format!("{table} is append-only");
        assert_refused(conn.execute(&format!("UPDATE {table} SET rowid = rowid"), ()), &text);
        assert_refused(conn.execute(&format!("DELETE FROM {table}"), ()), &text);
    }
}

#[tokio::test]
async fn history_entries_are_unique_by_version_payment_and_reference() {
    let office = Fixture::sqlite();
    let sale = office.sale().await;
    let reference = Some("pg-1".to_owned());
    let top_up = Command::TopUp { user_id: sale.user, amount: Money::new(5), reference };
    office.ask(Caller::Service, top_up).await.unwrap();
    let conn = raw(&office);
    let insert = |version: i64, kind: &str, amount: i64, payment: Option<i64>, reference: Option<&str>| {
        conn.execute(
            "INSERT INTO point_history (user_id, amount, type, description, balance_after, version, payment_id,
                 reference, created_at) VALUES (?1, ?2, ?3, '', 1, ?4, ?5, ?6, 1)",
            params![sale.user.0, amount, kind, version, payment, reference],
        )
    };
    let payment = Some(sale.payment.payment_id.get());
    assert_refused(insert(1, "top_up", 5, None, None), "point_history.version");
    assert_refused(insert(9, "use", -5, payment, None), "point_history.payment_id");
    assert_refused(insert(9, "top_up", 5, None, Some("pg-1")), "point_history.reference");
    assert_refused(insert(9, "use", 5, payment, None), "history_sign");
    assert_refused(insert(9, "refund", 5, None, None), "history_payment");
    assert_refused(insert(9, "refund", 5, Some(999), None), "FOREIGN KEY");
}

#[tokio::test]
async fn a_user_has_one_live_token_in_a_room() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    office.join(user, RoomId::HOUSE).await;
    let second = "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at)
        SELECT room_id, 99, user_id, 'waiting', 1 FROM waiting_token";
    assert_refused(raw(&office).execute(second, ()), "UNIQUE constraint failed: waiting_token.user_id");
    let token: String = raw(&office).query_row("SELECT token FROM waiting_token", (), |row| row.get(0)).unwrap();
    assert_eq!(token, "0-1");
}

#[tokio::test]
async fn states_and_their_columns_agree() {
    let office = Fixture::sqlite();
    office.sale().await;
    let conn = raw(&office);
    for (statement, constraint) in [
        ("UPDATE seat SET reservation_id = NULL", "seat_reservation"),
        ("UPDATE seat SET status = 'gone'", "seat_status"),
        ("UPDATE reservation SET confirmed_at = NULL", "reservation_confirmed_at"),
        ("UPDATE reservation SET closed_at = 5", "reservation_closed_at"),
        ("UPDATE payment SET refunded_at = 5", "payment_refunded_at"),
        ("UPDATE waiting_token SET status = 'active'", "token_"),
        ("UPDATE reservation SET seat_id = 999", "FOREIGN KEY"),
        ("DELETE FROM \"user\"", "FOREIGN KEY"),
    ] {
        assert_refused(conn.execute(statement, ()), constraint);
    }
}

#[tokio::test]
async fn an_email_address_is_one_users_whatever_the_rules_say() {
    let office = Fixture::sqlite();
    let user = office.register().await;
    let known = office.store.user(user).await.unwrap().unwrap();
    raw(&office).execute("UPDATE \"user\" SET email = upper(email)", ()).unwrap();
    // The rules look for the address as it is written, so the copy is new to them.
    let copy = NewUser {
        user_id: frontrow_domain::id::UserId(office.ids.uuid(START)),
        name: known.name,
        email: known.email,
        password_hash: "$argon2id$".to_owned(),
        role: Role::Buyer,
    };
    let registered = office.ask(Caller::Anonymous, Command::Register(copy)).await;
    assert!(matches!(registered, Ok(Outcome::Registered(_))), "{registered:?}");
    let merge = "UPDATE \"user\" SET email = lower(email)";
    assert_refused(raw(&office).execute(merge, ()), "UNIQUE constraint failed: user.email");
}
