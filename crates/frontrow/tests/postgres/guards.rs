//! The constraints of the tables, whatever program writes.

use crate::crowd::{Two, give};
use frontrow_domain::{
    command::Command,
    id::{AuditId, RoomId},
    user::Caller,
};
use frontrow_storage::{Committed, StoreError};
use frontrow_testkit::fixture::request;
use tokio_postgres::error::SqlState;

async fn refused(office: &Two, sql: &str) -> SqlState {
    match office.admin.batch_execute(sql).await {
        Ok(()) => panic!("not refused: {sql}"),
        Err(error) => error.code().unwrap().clone(),
    }
}

#[tokio::test]
async fn a_row_that_refers_to_nothing_is_refused() {
    let office = Two::open().await;
    let sale = office.one.sale().await;
    let (user, missing) = (sale.user, uuid::Uuid::nil());
    for sql in [
        format!(
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at)
                 VALUES (0, 99, '{missing}', 'waiting', 0)"
        ),
        format!(
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at)
                 VALUES (77, 99, '{user}', 'waiting', 0)"
        ),
        format!(
            "INSERT INTO reservation (user_id, concert_id, seat_id, seat_number, price, status, created_at,
                 expires_at) VALUES ('{missing}', 1, 2, 2, 1, 'pending', 0, 0)"
        ),
        format!(
            "INSERT INTO reservation (user_id, concert_id, seat_id, seat_number, price, status, created_at,
                 expires_at) VALUES ('{user}', 1, 99, 2, 1, 'pending', 0, 0)"
        ),
        format!(
            "INSERT INTO reservation (user_id, concert_id, seat_id, seat_number, price, status, created_at,
                 expires_at) VALUES ('{user}', 2, 2, 2, 1, 'pending', 0, 0)"
        ),
        format!(
            "INSERT INTO payment (user_id, reservation_id, amount, status, paid_at, created_at)
                 VALUES ('{user}', 99, 1, 'completed', 0, 0)"
        ),
        format!(
            "INSERT INTO point (user_id, amount, version, last_updated, created_at)
                 VALUES ('{missing}', 1, 1, 0, 0)"
        ),
        format!(
            "INSERT INTO point_history (user_id, amount, type, description, balance_after, version, created_at)
                 VALUES ('{missing}', 1, 'top_up', '', 1, 1, 0)"
        ),
        format!(
            "INSERT INTO point_history (user_id, amount, type, description, balance_after, version, payment_id,
                 created_at) VALUES ('{user}', -1, 'use', '', 1, 9, 99, 0)"
        ),
    ] {
        assert_eq!(refused(&office, &sql).await, SqlState::FOREIGN_KEY_VIOLATION, "{sql}");
    }
}

#[tokio::test]
async fn what_is_referred_to_and_what_was_written_down_stays() {
    let office = Two::open().await;
    office.one.sale().await;
    // One that has ended may go, one that lives may not.
    let waiting = office.one.register().await;
    office.one.join(waiting, RoomId::HOUSE).await;
    office.one.ask(Caller::System, Command::FeedAudit { audit_id: AuditId::new(1) }).await.unwrap();
    for table in [
        "\"user\"",
        "room",
        "waiting_token",
        "seat",
        "reservation",
        "payment",
        "point",
        "point_history",
        "room_cap",
        "audit_log",
        "audit_feed",
    ] {
        for sql in [format!("DELETE FROM {table}"), format!("TRUNCATE {table} CASCADE")] {
            assert_eq!(refused(&office, &sql).await, SqlState::INTEGRITY_CONSTRAINT_VIOLATION, "{sql}");
        }
    }
    for sql in [
        "UPDATE \"user\" SET user_id = gen_random_uuid()",
        "UPDATE room SET room_id = 5",
        "UPDATE waiting_token SET position = position + 1",
        "UPDATE seat SET seat_id = 5",
        "UPDATE reservation SET seat_id = 5",
        "UPDATE payment SET reservation_id = 5",
        "UPDATE point SET user_id = gen_random_uuid()",
        "UPDATE point_history SET amount = 5",
        "UPDATE room_cap SET max_active = 5",
        "UPDATE audit_log SET action = ''",
        "UPDATE audit_feed SET feed_number = 5",
    ] {
        assert_eq!(refused(&office, sql).await, SqlState::INTEGRITY_CONSTRAINT_VIOLATION, "{sql}");
    }
}

/// The outcome of a hold after `sql` has run.
async fn hold_after(office: &Two, sql: &str) -> Result<Committed, StoreError> {
    let concert = office.one.concert().await;
    let seat = office.one.seats(concert.concert_id, 1).await[0];
    let user = office.one.register().await;
    let token = office.one.activate(user).await;
    office.admin.batch_execute(sql).await.unwrap();
    let hold = Command::Hold { token, seat_ids: vec![seat] };
    give(&office.one, vec![request(Caller::Buyer(user), hold)]).await.unwrap()
}

#[tokio::test]
async fn an_update_that_is_swallowed_stops_the_whole_batch() {
    let office = Two::open().await;
    let swallow = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER swallow BEFORE UPDATE ON seat FOR EACH ROW EXECUTE FUNCTION swallow()";
    let outcome = hold_after(&office, swallow).await;
    assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{outcome:?}");
    assert_eq!(office.number("SELECT count(*) FROM reservation").await, 0);
}

#[tokio::test]
async fn an_update_finds_a_row_that_has_moved_since_it_was_loaded() {
    let office = Two::open().await;
    let move_seat = "CREATE FUNCTION move_seat() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE seat SET updated_at = updated_at WHERE seat_id = NEW.seat_id;
             RETURN NULL;
         END $$;
         CREATE TRIGGER move_seat AFTER INSERT ON reservation FOR EACH ROW EXECUTE FUNCTION move_seat()";
    hold_after(&office, move_seat).await.unwrap();
    assert_eq!(office.number("SELECT count(*) FROM seat WHERE status = 'held'").await, 1);
}
