//! Connections that end and locks that are not to be had.

use crate::crowd::{Two, answer, give};
use frontrow_domain::{
    command::{Command, Outcome, Replay},
    decide::decide_all,
    id::{SeatId, TokenId, UserId},
    time::Span,
    user::Caller,
};
use frontrow_storage::{Page, StoreError, postgres::PostgresSettings};
use frontrow_testkit::{
    PATIENCE,
    fixture::{keyed, request},
};
use std::time::Duration;

struct Buyer {
    user: UserId,
    token: TokenId,
    seat: SeatId,
}

impl Buyer {
    async fn of(office: &Two) -> Self {
        let concert = office.one.concert().await;
        let seat = office.one.seats(concert.concert_id, 1).await[0];
        let user = office.one.register().await;
        Self { user, token: office.one.activate(user).await, seat }
    }

    fn hold(&self) -> Command {
        Command::Hold { token: self.token, seat_ids: vec![self.seat] }
    }
}

async fn reservations(office: &Two) -> i64 {
    office.number("SELECT count(*) FROM reservation").await
}

#[tokio::test]
async fn of_two_instances_that_go_on_after_an_outage_one_lengthens_and_both_know_of_it() {
    let office = Two::open().await;
    let buyer = Buyer::of(&office).await;
    for one in [&office.one, &office.other] {
        assert_eq!(one.store.resume().await.unwrap(), None);
    }
    let held = office.one.hold(buyer.user, buyer.token, buyer.seat).await;
    let before = office.one.store.token(buyer.token).await.unwrap().unwrap();
    for one in [&office.one, &office.other] {
        one.advance(95);
    }
    let (one, other) = tokio::join!(office.one.store.resume(), office.other.store.resume());
    let outage = one.unwrap().unwrap();
    assert_eq!(other.unwrap(), Some(outage), "its views show old deadlines as well");
    let length = outage.grace;
    assert!(length >= Span::from_secs(90), "{outage:?}");
    let after = office.other.store.token(buyer.token).await.unwrap().unwrap();
    assert_eq!(after.deadline(), before.deadline().map(|deadline| deadline.plus(length)));
    let put_off = office.other.store.reservation(held.reservation_id).await.unwrap().unwrap();
    assert_eq!(put_off.expires_at, held.expires_at.plus(length));
    assert_eq!(office.number("SELECT count(*) FROM outage").await, 1);
}

#[tokio::test]
async fn a_note_that_arrives_after_an_outage_does_not_hide_it() {
    let office = Two::open().await;
    let buyer = Buyer::of(&office).await;
    let store = &office.one.store;
    store.resume().await.unwrap();
    let before = store.token(buyer.token).await.unwrap().unwrap();
    office.one.advance(95);
    let hold = || vec![request(Caller::Buyer(buyer.user), buyer.hold())].into();
    let refused = store.transact(hold(), decide_all).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let outage = store.resume().await.unwrap().unwrap();
    let after = store.token(buyer.token).await.unwrap().unwrap();
    assert_eq!(after.deadline(), before.deadline().map(|deadline| deadline.plus(outage.grace)));
    assert!(store.transact(hold(), decide_all).await.unwrap().answers[0].decision.is_ok());
    office.one.advance(95);
    let refused = store.check_writable().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(store.resume().await.unwrap().is_some());
}

#[tokio::test]
async fn an_instance_that_reads_of_an_outage_in_its_row_reads_its_lines_again() {
    let office = Two::open().await;
    let buyer = Buyer::of(&office).await;
    for one in [&office.one, &office.other] {
        assert_eq!(one.store.resume().await.unwrap(), None);
    }
    let pause = || {
        office.one.advance(95);
        office.other.advance(95);
    };
    pause();
    let outage = office.one.store.resume().await.unwrap().unwrap();
    let other = &office.other.store;
    let hold = || vec![request(Caller::Buyer(buyer.user), buyer.hold())].into();
    let refused = other.transact(hold(), decide_all).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(other.resume().await.unwrap(), Some(outage), "its lines show old deadlines");
    assert!(other.transact(hold(), decide_all).await.unwrap().answers[0].decision.is_ok());
    pause();
    let outage = office.one.store.resume().await.unwrap().unwrap();
    let refused = other.check_writable().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(other.resume().await.unwrap(), Some(outage));
    other.check_writable().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_waited_until_its_note_is_old_notes_anew_before_it_decides() {
    let office = Two::open().await;
    let buyer = Buyer::of(&office).await;
    office.one.store.resume().await.unwrap();
    let obstacle = office.stand_in_the_way("SELECT FROM office FOR UPDATE").await;
    let given = give(&office.one, vec![request(Caller::Buyer(buyer.user), buyer.hold())]);
    office.wait_for_waiters(1).await;
    // Noted is the time before: what is decided comes after it.
    office.one.advance(6);
    obstacle.step_aside().await;
    assert!(matches!(answer(given).await.decision, Ok(Outcome::Held(_))));
    let after_the_note =
        office.number("SELECT reservation.created_at - office.alive_at FROM reservation, office").await;
    assert!(after_the_note <= Span::from_secs(5).micros(), "{after_the_note}");
}

#[tokio::test]
async fn going_on_is_given_up_if_the_database_keeps_it_waiting_for_too_long() {
    let impatient =
        |url: &str| PostgresSettings { resume_timeout: Duration::from_millis(200), ..PostgresSettings::new(url) };
    let office = Two::open_with(impatient).await;
    let store = &office.one.store;
    let obstacle = office.stand_in_the_way("SELECT FROM office FOR UPDATE").await;
    let refused = store.resume().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let waiting = "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    office.wait_until(waiting, 1).await;
    obstacle.step_aside().await;
    let resumed = tokio::time::timeout(PATIENCE, async { while store.resume().await.is_err() {} });
    resumed.await.expect("it goes on once nothing is in the way");
}

/// Readers that wait longer for their rows than anything waits for a reader.
fn few_readers(url: &str) -> PostgresSettings {
    PostgresSettings {
        lock_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(6),
        connect_timeout: Duration::from_secs(2),
        ..PostgresSettings::new(url)
    }
}

#[tokio::test]
async fn readers_that_are_all_busy_are_no_illness() {
    let office = Two::open_with(few_readers).await;
    let buyer = Buyer::of(&office).await;
    office.one.store.resume().await.unwrap();
    let obstacle = office.stand_in_the_way("LOCK TABLE audit_log").await;
    let read = || {
        let store = std::sync::Arc::clone(&office.one.store);
        tokio::spawn(async move { store.audit(Page { after: None, limit: 1 }).await })
    };
    let reads = [read(), read()];
    office.wait_for_waiters(2).await;
    office.one.store.check_writable().await.unwrap();
    let held = office.one.ask(Caller::Buyer(buyer.user), buyer.hold()).await;
    assert!(matches!(held, Ok(Outcome::Held(_))), "{held:?}");
    obstacle.step_aside().await;
    for read in reads {
        let _ = read.await.unwrap();
    }
}

#[tokio::test]
async fn lanes_that_go_on_together_take_one_connection_and_no_reader() {
    let office = Two::open_with(few_readers).await;
    let store = &office.one.store;
    store.resume().await.unwrap();
    let obstacle = office.stand_in_the_way("SELECT FROM office FOR UPDATE").await;
    let meanwhile = async {
        office.wait_for_waiters(1).await;
        assert_eq!(store.rooms().await.unwrap().len(), 1);
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        assert_eq!(office.number(waiting).await, 1);
        obstacle.step_aside().await;
    };
    let (one, two, three, four, ()) =
        tokio::join!(store.resume(), store.resume(), store.resume(), store.resume(), meanwhile);
    for resumed in [one, two, three, four] {
        assert_eq!(resumed.unwrap(), None);
    }
}

#[tokio::test]
async fn connections_that_ended_in_the_pool_are_replaced_unseen() {
    let office = Two::open().await;
    let buyer = Buyer::of(&office).await;
    // The next batch notes that the box office works, before anything else.
    office.one.store.resume().await.unwrap();
    assert!(office.kill("true").await > 0);
    office
        .wait_until(
            "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name = 'frontrow'",
            1,
        )
        .await;
    let held = office.one.ask(Caller::Buyer(buyer.user), buyer.hold()).await;
    assert!(matches!(held, Ok(Outcome::Held(_))), "{held:?}");
}

#[tokio::test]
async fn a_connection_that_ends_while_it_waits_to_load_is_no_loss() {
    assert_held_once_though_killed_behind("SELECT FROM seat FOR UPDATE").await;
}

#[tokio::test]
async fn a_connection_that_ends_while_it_saves_has_one_effect() {
    assert_held_once_though_killed_behind("LOCK TABLE reservation IN SHARE MODE").await;
}

/// A hold whose connection is killed while it waits behind `obstacle`.
async fn assert_held_once_though_killed_behind(obstacle: &str) {
    let office = Two::open().await;
    let buyer = Buyer::of(&office).await;
    let obstacle = office.stand_in_the_way(obstacle).await;
    let given = give(&office.one, vec![request(Caller::Buyer(buyer.user), buyer.hold())]);
    office.wait_for_waiters(1).await;
    assert_eq!(office.kill("wait_event_type = 'Lock'").await, 1);
    obstacle.step_aside().await;
    assert!(matches!(answer(given).await.decision, Ok(Outcome::Held(_))));
    assert_eq!(reservations(&office).await, 1);
}

#[tokio::test]
async fn a_connection_that_ends_in_its_commit_leaves_the_outcome_unknown() {
    let office = Two::open().await;
    let buyer = Buyer::of(&office).await;
    // The commit itself waits for an advisory lock.
    office
        .admin
        .batch_execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON reservation DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await
        .unwrap();
    let obstacle = office.stand_in_the_way("SELECT pg_advisory_xact_lock(77)").await;
    let again = keyed(Caller::Buyer(buyer.user), buyer.hold(), 1, 1);
    let given = give(&office.one, vec![again.clone()]);
    office.wait_for_waiters(1).await;
    assert_eq!(office.kill("wait_event_type = 'Lock'").await, 1);
    let outcome = given.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    obstacle.step_aside().await;
    // The key settles it, whatever had become of it.
    let (answers, _) = office.other.batch(vec![again.clone()]).await;
    assert!(matches!(answers[0].decision, Ok(Outcome::Held(_))));
    let (replayed, _) = office.one.batch(vec![again]).await;
    assert_eq!((replayed[0].replay, &replayed[0].decision), (Replay::Replayed, &answers[0].decision));
    assert_eq!(reservations(&office).await, 1);
}

#[tokio::test]
async fn a_lock_that_is_not_to_be_had_is_given_up_and_nothing_is_saved() {
    let impatient =
        |url: &str| PostgresSettings { lock_timeout: Duration::from_millis(50), ..PostgresSettings::new(url) };
    let office = Two::open_with(impatient).await;
    let buyer = Buyer::of(&office).await;
    let obstacle = office.stand_in_the_way("SELECT FROM seat FOR UPDATE").await;
    let given = give(&office.one, vec![request(Caller::Buyer(buyer.user), buyer.hold())]);
    let outcome = given.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Contended(_))), "{outcome:?}");
    obstacle.step_aside().await;
    assert_eq!(reservations(&office).await, 0);
    let held = office.one.ask(Caller::Buyer(buyer.user), buyer.hold()).await;
    assert!(matches!(held, Ok(Outcome::Held(_))), "{held:?}");
}

#[tokio::test]
async fn a_lock_that_comes_free_in_time_is_waited_for() {
    let impatient =
        |url: &str| PostgresSettings { lock_timeout: Duration::from_millis(50), ..PostgresSettings::new(url) };
    let office = Two::open_with(impatient).await;
    let buyer = Buyer::of(&office).await;
    let obstacle = office.stand_in_the_way("SELECT FROM seat FOR UPDATE").await;
    let given = give(&office.one, vec![request(Caller::Buyer(buyer.user), buyer.hold())]);
    // It has been refused the lock at least once.
    office.wait_until("SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()", 1).await;
    obstacle.step_aside().await;
    assert!(matches!(answer(given).await.decision, Ok(Outcome::Held(_))));
}
