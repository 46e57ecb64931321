//! A file of an earlier version of the schema is brought up to date when it is opened.

use super::{constraints::assert_refused, open};
use frontrow_domain::{
    changes::AuditEntry,
    command::{Command, FactorStep, Outcome, PasswordHash, RoomChange},
    decide::decide_all,
    id::{AuditId, ConcertId, FeedNumber, HistoryId, Position, RoomId, TokenId, UserId},
    line::{EndReason, TokenStatus},
    money::Money,
    points::PointKind,
    refusal::Refusal,
    sale::{Closing, ConcertStatus},
    time::Time,
    user::{Caller, FactorSecret, FactorState, OperatorPresence, Role},
};
use frontrow_storage::{ConcertFilter, EventFilter, Store, check, migrate};
use frontrow_testkit::fixture::{first, new_seat, request};
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

/// A file of an earlier version of the schema with these rows, closed again, in a folder that goes with its handle.
fn older_file(version: u8, rows: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frontrow.db");
    let file = Connection::open(&path).unwrap();
    file.pragma_update(None, "foreign_keys", true).unwrap();
    for step in migrate::SQLITE.iter().take(usize::from(version)) {
        file.execute_batch(step.sql).unwrap();
    }
    file.execute_batch(rows).unwrap();
    file.pragma_update(None, "application_id", 0x4652_4f57).unwrap();
    file.pragma_update(None, "user_version", version).unwrap();
    (folder, path)
}

#[tokio::test]
async fn the_rooms_and_tokens_of_an_older_file_are_brought_up_to_date() {
    let (_folder, path) = older_file(
        3,
        "INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, updated_at)
             VALUES (0, 1, 'open', 0, 1, 0, 0, 0, 0), (2, 1, 'open', 0, 1, 0, 0, 0, 0), (3, 1, 'open', 0, 1, 0, 0, 0, 0);
         WITH v (n) AS (VALUES (1), (2), (3))
         INSERT INTO concert SELECT n, '', '', '', 'Asia/Seoul', '2027-03-01', '20:00:00', '22:30:00', 9, 1, n * 10,
             n * 100, iif(n = 1, 0, n), iif(n = 3, 'closed', 'scheduled'), 0, 150 FROM v;
         INSERT INTO \"user\" VALUES (zeroblob(16), '', '', '', 'buyer', 0, 0);
         INSERT INTO waiting_token (room_id, position, user_id, status, issued_at, activated_at, deadline)
             VALUES (2, 7, zeroblob(16), 'active', 1, 2, 3);",
    );
    let store = open(&path).unwrap();
    let rooms = store.rooms().await.unwrap();
    let windows: Vec<_> = rooms.iter().map(|room| (room.opens_at, room.closes_at)).collect();
    let at = |micros| Some(Time::from_micros(micros));
    assert_eq!(windows, [(None, None), (at(20), at(200)), (at(30), at(150))]);
    let id = TokenId { room_id: RoomId::new(2), position: Position(7) };
    let token = store.token(id).await.unwrap().unwrap();
    assert_eq!((token.status(), token.activated_at(), token.deadline()), (TokenStatus::Active, at(2), at(3)));
    assert_eq!((token.turns_passed, token.holds), (0, 0));
}

#[tokio::test]
async fn accounts_of_an_older_file_count_as_used_when_the_box_office_was() {
    let (_folder, path) = older_file(
        10,
        "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
             VALUES (zeroblob(16), '', '', '', 'buyer', 5, 6);
         INSERT INTO clock (id, high_water) VALUES (1, 70);",
    );
    let id = frontrow_domain::id::UserId(uuid::Uuid::nil());
    let user = open(&path).unwrap().user(id).await.unwrap().unwrap();
    assert_eq!((user.signed_in_at, user.updated_at), (Time::from_micros(70), Time::from_micros(6)));
}

#[tokio::test]
async fn a_concert_of_an_older_file_keeps_its_closing_and_its_seats() {
    let (_folder, path) = older_file(
        8,
        "INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, updated_at)
             VALUES (0, 1, 'open', 0, 1, 0, 0, 0, 0);
         INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
             base_price, opens_at, closes_at, room_id, status, created_at, updated_at)
         VALUES (1, 'A', 'A', 'A', 'Asia/Seoul', '2027-03-01', '20:00:00', '22:30:00', 1803898800000000, 1, 1,
                 1803898800000000, 0, 'scheduled', 5, 6),
             (2, 'B', 'B', 'B', 'Asia/Seoul', '2027-03-01', '22:00:00', '01:15:00', 1803906000000000, 1, 1, 900, 0,
                 'closed', 5, 6);
         INSERT INTO seat (seat_id, concert_id, seat_number, price, status, section, \"row\", grade, created_at, updated_at)
             VALUES (1, 1, 1, 1, 'available', '', '', '', 5, 5), (2, 2, 1, 1, 'available', '', '', '', 5, 5);",
    );
    let store = open(&path).unwrap();
    let concerts = store.concerts(&ConcertFilter::default(), first(10)).await.unwrap();
    let seen: Vec<_> = concerts
        .iter()
        .map(|row| (row.status, row.closing, row.ends_at.to_string(), row.status_reason.clone(), row.updated_at))
        .collect();
    let updated_at = Time::from_micros(6);
    assert_eq!(
        seen,
        [
            (ConcertStatus::Scheduled, Closing::WithStart, "2027-03-01T13:30:00.000000Z".to_owned(), None, updated_at),
            (ConcertStatus::Closed, Closing::Apart, "2027-03-01T16:15:00.000000Z".to_owned(), None, updated_at),
        ]
    );
    assert_eq!(store.seats(concerts[0].concert_id).await.unwrap().len(), 1);
    drop(store);
    let report = check::sqlite::run(&path).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let file = Connection::open(&path).unwrap();
    let set = |change: &str| file.execute(&format!("UPDATE concert SET {change} WHERE concert_id = 1"), ());
    set("status = 'postponed'").unwrap();
    assert_refused(set("status = 'over'"), "concert_status");
    assert_refused(set("closes_at = 5"), "concert_closes_with_start");
    assert_refused(set("ends_at = starts_at"), "concert_starts_before_it_ends");
    assert_refused(set("refund_all_at = 1"), "concert_refund_all");
    assert_refused(set("wound_up_at = 1"), "concert_wound_up");
}

#[tokio::test]
async fn the_highest_seat_of_an_older_file_gives_its_id_to_no_other_though_it_was_removed() {
    let (_folder, path) = older_file(
        15,
        "INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, updated_at)
             VALUES (0, 1, 'open', 0, 1, 0, 0, 0, 0);
         INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
             base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at)
         VALUES (1, 'A', 'A', 'A', 'Asia/Seoul', '2027-03-01', '20:00:00', '22:30:00', 1803898800000000, 1, 1, 2, 0,
             'scheduled', 5, 6, 1803907800000000);
         INSERT INTO seat (seat_id, concert_id, seat_number, price, status, section, \"row\", number, grade, created_at,
             updated_at)
             VALUES (1, 1, 1, 1, 'available', '', '', '1', '', 5, 5);
         INSERT INTO audit_log (audit_id, action, object, detail, created_at)
             VALUES (1, 'seats.add', 'concert 1', '{\"first_seat_id\":1,\"count\":3}', 5),
                 (2, 'seats.remove', 'concert 1', '{\"count\":2,\"seat_id_ranges\":[[2,3]]}', 6);",
    );
    let add = Command::AddSeats { concert_id: ConcertId::new(1), seats: vec![new_seat(2)] };
    let added = open(&path).unwrap().transact(vec![request(Caller::System, add)].into(), decide_all).await.unwrap();
    let Ok(Outcome::SeatsAdded { first_seat_id, .. }) = added.answers[0].decision else { panic!("{added:?}") };
    assert_eq!(first_seat_id.get(), 4);
}

#[tokio::test]
async fn a_sale_of_an_older_file_that_was_put_off_after_its_first_hold_is_remembered_as_opened() {
    // The first was put off after two holds, the second before any, and the third is open.
    let (_folder, path) = older_file(
        15,
        "INSERT INTO clock (id, high_water) VALUES (1, 1000000000);
         INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, updated_at)
             VALUES (0, 1, 'open', 0, 1, 0, 0, 0, 0);
         WITH v (n, opens_at) AS (VALUES (1, 1900000000000000), (2, 1900000000000000), (3, 1000000000))
         INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
             base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at)
         SELECT n, 'A', 'A', 'A', 'Asia/Seoul', '2036-03-01', '20:00:00', '22:30:00', 2087982000000000, 1, opens_at,
             2000000000000000, 0, 'scheduled', 5, 6, 2087991000000000 FROM v;
         INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
             VALUES (zeroblob(16), '', '', '', 'buyer', 5, 6);
         WITH v (n) AS (VALUES (1), (2), (3), (4))
         INSERT INTO seat (seat_id, concert_id, seat_number, price, status, section, \"row\", number, grade, was_held,
             created_at, updated_at)
         SELECT n, iif(n = 4, 3, iif(n = 3, 2, 1)), n, 1, 'available', '', '', n, '', n <> 3, 5, 5 FROM v;
         WITH v (n, concert, seat, at) AS (VALUES (1, 1, 2, 800), (2, 1, 1, 700), (3, 3, 4, 600))
         INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
             expires_at, closed_at)
         SELECT n, zeroblob(16), concert, seat, seat, 1, 'expired', at, at + 1, at + 1 FROM v;",
    );
    let store = open(&path).unwrap();
    let mut opened = Vec::new();
    for id in 1..=3 {
        opened.push(store.concert(ConcertId::new(id)).await.unwrap().unwrap().opened_at);
    }
    assert_eq!(opened, [Some(Time::from_micros(700)), None, None]);
}

#[tokio::test]
async fn the_audit_log_of_an_older_file_is_in_the_feed_by_its_ids() {
    let (_folder, path) = older_file(
        18,
        "INSERT INTO audit_log (audit_id, action, object, detail, created_at)
             VALUES (4, 'room.set', 'room 0', '{}', 6), (2, 'line.renew', 'room 0', '{}', 5);",
    );
    let store = open(&path).unwrap();
    let numbers = |fed: Vec<(FeedNumber, AuditEntry)>| {
        fed.iter().map(|(number, entry)| (number.get(), entry.audit_id.get())).collect::<Vec<_>>()
    };
    assert_eq!(numbers(store.audit_feed(first(10)).await.unwrap()), [(1, 2), (2, 4)]);
    assert_eq!(store.outbox(EventFilter::All, first(10)).await.unwrap(), []);
    let set = Command::SetRoom { room_id: RoomId::HOUSE, change: RoomChange::default(), basis: None, reason: None };
    let feed = Command::FeedAudit { audit_id: AuditId::new(5) };
    let batch = [set, feed.clone()].map(|command| request(Caller::System, command));
    store.transact(batch.into(), decide_all).await.unwrap();
    store.transact([request(Caller::System, feed)].into(), decide_all).await.unwrap();
    assert_eq!(numbers(store.audit_feed(first(10)).await.unwrap()), [(1, 2), (2, 4), (3, 5)]);
    drop(store);
    let report = check::sqlite::run(&path).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn top_ups_of_an_older_file_keep_their_amounts_and_references() {
    let (_folder, path) = older_file(
        17,
        "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
             VALUES (zeroblob(16), '', '', '', 'buyer', 5, 6);
         INSERT INTO point VALUES (1, zeroblob(16), 600, 2, 6, 5);
         INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version, payment_id,
             reference, created_at)
             VALUES (1, zeroblob(16), 700, 'charge', 'charge', 700, 1, NULL, 'pg-1', 5),
                 (2, zeroblob(16), -100, 'adjustment', 'charge', 600, 2, NULL, 'pg-1', 6);",
    );
    let store = open(&path).unwrap();
    let user_id = UserId(uuid::Uuid::nil());
    let history = store.history(user_id, first::<HistoryId>(10)).await.unwrap();
    let seen: Vec<_> = history.iter().map(|row| (row.kind, row.amount.get(), row.description.as_str())).collect();
    assert_eq!(seen, [(PointKind::Adjustment, -100, "charge"), (PointKind::TopUp, 700, "top-up")]);

    let top_up = Command::TopUp { user_id, amount: Money::new(700), reference: Some("pg-1".to_owned()) };
    let answers = store.transact(vec![request(Caller::Service, top_up)].into(), decide_all).await.unwrap().answers;
    assert_eq!(answers[0].decision, Err(Refusal::ReferenceUsed));
    drop(store);
    let report = check::sqlite::run(&path).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let file = Connection::open(&path).unwrap();
    assert_refused(file.execute("UPDATE point_history SET amount = 1", ()), "append-only");
}

#[tokio::test]
async fn sessions_and_reset_links_of_an_older_file_go_on() {
    let (_folder, path) = older_file(
        19,
        "INSERT INTO clock (id, high_water) VALUES (1, 7000000);
         INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
             VALUES (zeroblob(16), '', '', '', 'buyer', 5, 6);
         INSERT INTO session VALUES (zeroblob(32), zeroblob(16), 'buyer', 9000000000000000);
         INSERT INTO reset_link VALUES (zeroblob(16), zeroblob(32), 0, 9000000000000000);",
    );
    let store = open(&path).unwrap();
    let user_id = UserId(uuid::Uuid::nil());
    let sessions = store.sessions(user_id, 10).await.unwrap();
    let seen: Vec<_> = sessions.iter().map(|row| (row.secret_hash, row.created_at, row.client)).collect();
    assert_eq!(seen, [([0; 32], Time::from_micros(7_000_000), None)]);
    assert_eq!(store.user(user_id).await.unwrap().unwrap().email_confirmed_at, None);
    let password_hash = PasswordHash("new".to_owned());
    let redeem = Command::RedeemResetLink { user_id, secret_hash: [0; 32], password_hash };
    let answers = store.transact(vec![request(Caller::Anonymous, redeem)].into(), decide_all).await.unwrap().answers;
    assert_eq!(answers[0].decision, Ok(Outcome::Done));
    assert_eq!(store.sessions(user_id, 10).await.unwrap(), []);
    drop(store);
    let report = check::sqlite::run(&path).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn accounts_and_sessions_of_an_older_file_keep_their_roles_and_may_become_viewers() {
    let (_folder, path) = older_file(
        22,
        "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
             VALUES (zeroblob(16), 'A', 'a@example.com', '', 'operator', 5, 6);
         INSERT INTO session (secret_hash, user_id, role, expires_at, created_at)
             VALUES (zeroblob(32), zeroblob(16), 'operator', 9000000000000000, 7);",
    );
    let store = open(&path).unwrap();
    let user_id = UserId(uuid::Uuid::nil());
    let user = store.user(user_id).await.unwrap().unwrap();
    assert_eq!((user.name.as_str(), user.role, user.updated_at), ("A", Role::Operator, Time::from_micros(6)));
    assert_eq!(store.session([0; 32]).await.unwrap().map(|session| session.role), Some(Role::Operator));
    let set = Command::SetRole { user_id, role: Role::Viewer };
    store.transact(vec![request(Caller::System, set)].into(), decide_all).await.unwrap();
    assert_eq!(store.user(user_id).await.unwrap().unwrap().role, Role::Viewer);
    assert_eq!(store.session([0; 32]).await.unwrap(), None);
    drop(store);
    let report = check::sqlite::run(&path).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let file = Connection::open(&path).unwrap();
    assert_refused(file.execute("UPDATE \"user\" SET role = 'chief'", ()), "user_role");
}

#[tokio::test]
async fn an_older_file_has_no_second_factors_and_gets_them() {
    let (_folder, path) = older_file(
        23,
        "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
             VALUES (zeroblob(16), 'A', 'a@example.com', '', 'operator', 5, 6);",
    );
    let store = open(&path).unwrap();
    let user_id = UserId(uuid::Uuid::nil());
    assert_eq!(store.second_factor(user_id).await.unwrap(), None);
    assert_eq!(store.operators().await.unwrap(), OperatorPresence::Present);
    let secret = FactorSecret([7; 20]);
    let enrol = Command::ChangeFactor { user_id, step: FactorStep::Enrol { secret } };
    store.transact(vec![request(Caller::Operator(user_id), enrol)].into(), decide_all).await.unwrap();
    let state = store.second_factor(user_id).await.unwrap().map(|factor| factor.state);
    assert_eq!(state, Some(FactorState::Pending { secret }));
    drop(store);
    let report = check::sqlite::run(&path).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let file = Connection::open(&path).unwrap();
    let set = |change: &str| file.execute(&format!("UPDATE second_factor SET {change}"), ());
    assert_refused(set("secret = zeroblob(19)"), "second_factor_secret_has_20_bytes");
    assert_refused(set("recovery = zeroblob(33)"), "second_factor_recovery");
    assert_refused(set("recovery = zeroblob(352)"), "second_factor_recovery");
    assert_refused(set("wrong_codes = -1"), "second_factor_wrong_codes");
    assert_refused(set("secret = NULL, confirmed_at = 1"), "second_factor_confirmed");
}

#[tokio::test]
async fn tokens_of_an_older_file_keep_everything_and_may_end_with_their_concert() {
    let (_folder, path) = older_file(
        21,
        "INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, updated_at)
             VALUES (0, 1, 'open', 0, 1, 0, 0, 0, 0);
         INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
             VALUES (zeroblob(16), '', '', '', 'buyer', 5, 6);
         INSERT INTO waiting_token (room_id, position, user_id, status, issued_at, activated_at, deadline, expired_at,
             end_reason, turns_passed, holds)
             VALUES (0, 1, zeroblob(16), 'ended', 1, 2, NULL, 3, 'expired', 1, 4),
                 (0, 2, zeroblob(16), 'offered', 5, NULL, 9, NULL, NULL, 1, 0);",
    );
    let store = open(&path).unwrap();
    let token = async |position| {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
        store.token(id).await.unwrap().unwrap()
    };
    let (ended, offered) = (token(1).await, token(2).await);
    assert_eq!((ended.end_reason(), ended.turns_passed, ended.holds), (Some(EndReason::Expired), 1, 4));
    assert_eq!((ended.activated_at(), ended.expired_at()), (Some(Time::from_micros(2)), Some(Time::from_micros(3))));
    assert_eq!((offered.status(), offered.turns_passed), (TokenStatus::Offered, 1));
    assert_eq!(offered.deadline(), Some(Time::from_micros(9)));
    drop(store);
    let file = Connection::open(&path).unwrap();
    let end = |reason: &str| {
        let set = format!("status = 'ended', deadline = NULL, expired_at = 9, end_reason = '{reason}'");
        file.execute(&format!("UPDATE waiting_token SET {set} WHERE position = 2"), ())
    };
    assert_refused(end("concert over"), "token_end_reason");
    end("concert_over").unwrap();
    end("removed").unwrap();
}

#[tokio::test]
async fn a_line_of_an_older_file_that_has_begun_is_not_counted_from_its_start() {
    let (_folder, path) = older_file(
        31,
        "INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, updated_at)
             VALUES (0, 1, 'open', 0, 1, 0, 0, 0, 0), (2, 1, 'open', 0, 1, 0, 0, 0, 0);
         UPDATE room SET last_position = 4 WHERE room_id = 2;",
    );
    let store = open(&path).unwrap();
    let rooms = store.rooms().await.unwrap();
    let is_counted: Vec<_> = rooms.iter().map(|room| (room.room_id.get(), room.is_counted_from_start())).collect();
    assert_eq!(is_counted, [(0, true), (2, false)]);
}
