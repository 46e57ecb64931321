//! `frontrow check` over `PostgreSQL`: it finds what neither rules nor constraints could have let through.

use super::{hall, instance};
use frontrow::app;
use frontrow_storage::{check, migrate::POSTGRES_GUARDS};
use frontrow_testkit::{PRICE, servers::postgres::TestDatabase};
use std::collections::BTreeSet;

const GUARDED: &str = "every constraint, index and trigger is in force";

/// A fault in the books with every guard off, its repair, and the invariant that it breaks.
const DAMAGES: &[(&str, &str, &str)] = &[
    (
        "UPDATE seat SET status = 'available', reservation_id = NULL WHERE seat_id = 1",
        "UPDATE seat SET status = 'sold', reservation_id = 1 WHERE seat_id = 1",
        "a held or sold seat belongs to the reservation it names, and no other seat to any",
    ),
    (
        "UPDATE point SET amount = amount + 1",
        "UPDATE point SET amount = amount - 1",
        "a balance is the sum of its history and not negative",
    ),
    (
        "UPDATE payment SET user_id = gen_random_uuid()",
        "UPDATE payment SET user_id = (SELECT user_id FROM reservation)",
        "every row that another refers to is there",
    ),
    (
        "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
             expires_at, confirmed_at, closed_at)
         SELECT 999, user_id, concert_id, seat_id, seat_number, price, 'refunded', created_at, expires_at,
             confirmed_at - 1, confirmed_at + 1 FROM reservation",
        "DELETE FROM reservation WHERE reservation_id = 999",
        "a seat was never sold to two at the same time",
    ),
    (
        "UPDATE waiting_token SET issued_at = issued_at - 20000000 WHERE position = 2",
        "UPDATE waiting_token SET issued_at = issued_at + 20000000 WHERE position = 2",
        "positions are in the order of issue",
    ),
    (
        "INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, fence,
             updated_at) VALUES (7, 1, 'open', 0, 1, 0, 0, 0, 0, 0)",
        "DELETE FROM room WHERE room_id = 7",
        "a concert's own room knows when its sale opens and is over",
    ),
    (
        "UPDATE room SET house_budget = 3, allotment = 4, shared_at = updated_at WHERE room_id = 0",
        "UPDATE room SET house_budget = NULL, allotment = NULL, shared_at = NULL WHERE room_id = 0",
        "the rooms have no more places together than the house's budget",
    ),
    (
        "UPDATE room_cap SET max_active = 0",
        "UPDATE room_cap SET max_active = 100",
        "no more tokens were ever active in a room than its cap at the time",
    ),
    (
        "UPDATE room SET active = active + 1",
        "UPDATE room SET active = active - 1",
        "a room counts the active and offered tokens that it has",
    ),
    (
        "UPDATE room SET count_admitted = count_admitted - 1",
        "UPDATE room SET count_admitted = count_admitted + 1",
        "a room has counted every activation, passed turn and end of its tokens, and none beyond its cap",
    ),
    (
        "UPDATE room SET peak_overshoot = 1",
        "UPDATE room SET peak_overshoot = 0",
        "a room has counted every activation, passed turn and end of its tokens, and none beyond its cap",
    ),
    (
        "INSERT INTO room_departure VALUES (0, 0, -1)",
        "DELETE FROM room_departure WHERE offered = -1",
        "a room counts the active and offered tokens that it has",
    ),
    (
        "SELECT setval('reservation_ids', 1, false)",
        "SELECT setval('reservation_ids', 1000)",
        "no id is above the highest given",
    ),
    (
        "SELECT setval('room_position_0', 1)",
        "SELECT setval('room_position_0', 1000)",
        "no position is above the highest given",
    ),
    ("ALTER TABLE point_history DISABLE TRIGGER USER", "ALTER TABLE point_history ENABLE TRIGGER USER", GUARDED),
    ("ALTER TABLE seat ENABLE REPLICA TRIGGER seat_stays", "ALTER TABLE seat ENABLE TRIGGER seat_stays", GUARDED),
    ("ALTER TABLE concert DISABLE TRIGGER ALL", "ALTER TABLE concert ENABLE TRIGGER ALL", GUARDED),
    (
        "DROP INDEX one_live_reservation_per_seat",
        "CREATE UNIQUE INDEX one_live_reservation_per_seat ON reservation (seat_id) WHERE coalesce(closed_at, -1) = -1",
        GUARDED,
    ),
    (
        "DROP INDEX one_live_reservation_per_seat;
         CREATE INDEX one_live_reservation_per_seat ON reservation (seat_id) WHERE coalesce(closed_at, -1) = -1",
        "DROP INDEX one_live_reservation_per_seat;
         CREATE UNIQUE INDEX one_live_reservation_per_seat ON reservation (seat_id) WHERE coalesce(closed_at, -1) = -1",
        GUARDED,
    ),
    (
        "ALTER TABLE point DROP CONSTRAINT balance_is_not_negative",
        "ALTER TABLE point ADD CONSTRAINT balance_is_not_negative CHECK (amount >= 0)",
        GUARDED,
    ),
    (
        "DROP TRIGGER audit_log_is_append_only ON audit_log",
        "CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
         EXECUTE FUNCTION is_append_only()",
        GUARDED,
    ),
];

#[tokio::test]
async fn the_list_of_guards_is_what_the_migrations_make() {
    let database = TestDatabase::new().await;
    let there = check::postgres::in_force(&database.client().await).await.unwrap();
    let listed: BTreeSet<String> = POSTGRES_GUARDS.lines().map(str::to_owned).collect();
    let apart: Vec<_> = listed.symmetric_difference(&there).collect();
    assert!(apart.is_empty(), "bring migrations/postgres/guards.txt up to date: {apart:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_names_the_invariant_that_does_not_hold() {
    let database = TestDatabase::new().await;
    let server = instance(&database).await;
    let hall = hall(&server, 1).await;
    server.buyer_with("first", PRICE).await.buy(hall.seats[0]).await;
    server.buyer("second").await.join(None).await;
    let config = server.config.clone();
    server.stop().await;
    let client = database.client().await;
    client.batch_execute("SET session_replication_role = replica").await.unwrap();
    let broken = async || {
        let report = app::check_books(&config).await.unwrap();
        let text = report.to_string();
        let names = text.lines().filter_map(|line| line.strip_prefix("BROKEN  ")).map(str::to_owned);
        names.collect::<Vec<_>>()
    };
    assert!(broken().await.is_empty());
    for (damage, repair, invariant) in DAMAGES {
        client.batch_execute(damage).await.unwrap();
        assert!(broken().await.iter().any(|name| name == invariant), "{damage}");
        client.batch_execute(repair).await.unwrap();
        assert!(broken().await.is_empty(), "{repair}");
    }
    // Two batches at the same time may take numbers and moments in another order.
    client.batch_execute("UPDATE waiting_token SET issued_at = issued_at - 5000000 WHERE position = 2").await.unwrap();
    assert!(broken().await.is_empty());
}
