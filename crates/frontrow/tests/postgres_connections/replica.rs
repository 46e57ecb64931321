//! A copy of the database for lists, and what happens when a server goes away.

use crate::sale::{START, activate, buyers, concert, hold, open, pay};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, Request},
    decide::decide_all,
    id::{RoomId, UserId},
    money::Money,
    policy::Policy,
    user::Caller,
};
use frontrow_storage::{
    ConcertFilter, Page, ReservationFilter, Store, StoreError,
    postgres::{PostgresSettings, PostgresStore},
};
use frontrow_testkit::{
    PATIENCE,
    servers::postgres::{PostgresServer, TestDatabase, connect},
};
use std::time::{Duration, Instant};

/// Asks again until something holds.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the copy has everything that the server has.
async fn caught_up(server: &PostgresServer, replica: &PostgresServer) {
    let (server, replica) = (server.client().await, replica.client().await);
    let end: String = server.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    let seen = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)";
    until("the replica follows", async || {
        replica.query_one(seen, &[&end]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
}

fn all<K>() -> Page<K> {
    Page { after: None, limit: 100 }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_from_the_copy_and_a_users_own_rows_do_not() {
    let server = PostgresServer::start().await;
    let mut replica = server.replica().await;
    let mut settings = PostgresSettings::new(&server.url("postgres"));
    settings.replica_url = Some(replica.url("postgres"));
    let store = open(&settings, &Clock::manual(START)).await;
    let users = buyers(&store, &Ids::from_seed(7), 2).await;
    let (first, seats) = concert(&store, 2).await;
    let tokens = activate(&store, first, &users).await;
    caught_up(&server, &replica).await;
    replica.client().await.execute("SELECT pg_wal_replay_pause()", &[]).await.unwrap();

    concert(&store, 1).await;
    let held = hold(&store, &users, &tokens, &seats).await;
    let concerts = async || store.concerts(&ConcertFilter::default(), all()).await.unwrap().len();
    let reservations = async |user| {
        let filter = ReservationFilter { user, ..Default::default() };
        store.reservations(&filter, all()).await.unwrap().len()
    };
    assert_eq!((concerts().await, reservations(None).await), (1, 0), "the copy is behind");
    assert_eq!(reservations(Some(users[0])).await, 1);
    assert!(store.reservation(held[0]).await.unwrap().is_some());
    assert_eq!(store.seats(first).await.unwrap().iter().filter(|seat| seat.reservation_id().is_some()).count(), 2);
    pay(&store, &users, &tokens, &held).await;
    assert_eq!(store.history(users[0], all()).await.unwrap().len(), 2);

    // Without the copy the lists go on.
    replica.kill();
    // A connection of the copy may outlive the copy's main process by a moment.
    until("the primary answers", async || ((concerts().await, reservations(None).await) == (2, 2)).then_some(())).await;
}

#[tokio::test]
async fn a_copy_is_refused_as_the_primary() {
    let server = PostgresServer::start().await;
    drop(open(&PostgresSettings::new(&server.url("postgres")), &Clock::System).await);
    let replica = server.replica().await;
    let settings = PostgresSettings::new(&replica.url("postgres"));
    let text = PostgresStore::open(&settings, Clock::System, Policy::default(), 1).await.unwrap_err().to_string();
    assert!(text.contains("does not allow writes"), "{text}");
}

fn top_up(user_id: UserId) -> Request {
    let command = Command::TopUp { user_id, amount: Money::new(1), reference: None };
    Request { caller: Caller::Buyer(user_id), command, idempotency: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_after_a_restart_without_an_error() {
    let mut server = PostgresServer::start().await;
    let store = open(&PostgresSettings::new(&server.url("postgres")), &Clock::System).await;
    let users = buyers(&store, &Ids::from_seed(7), 4).await;
    for clean in [true, false] {
        // Connections in the pool, all of which break.
        let looks: Vec<_> = users.iter().map(|&user| store.user(user)).collect();
        for look in looks {
            assert!(look.await.unwrap().is_some());
        }
        if clean {
            server.stop();
        } else {
            server.kill();
        }
        // The process of a connection outlives a server that was killed for a moment, and may still answer.
        let away = until("the server is gone", async || store.user(users[0]).await.err()).await;
        assert!(matches!(&away, StoreError::Unavailable(_)), "{away:?}");
        server.start_again().await;
        for &user in &users {
            assert!(store.user(user).await.unwrap().is_some());
        }
        let version = store.point(users[0]).await.unwrap().unwrap().version;
        let topped_up =
            until("it can be written to", async || store.transact([top_up(users[0])].into(), decide_all).await.ok())
                .await;
        assert!(topped_up.answers[0].decision.is_ok());
        assert_eq!(store.point(users[0]).await.unwrap().unwrap().version, version + 1);
    }
}

/// On one thread, which is busy while the server ends the connections: the store cannot know before it uses them.
#[tokio::test]
async fn a_read_whose_connection_has_ended_unnoticed_goes_on_with_another() {
    let database = TestDatabase::new().await;
    let store = open(&PostgresSettings::new(&database.url()), &Clock::System).await;
    let users = buyers(&store, &Ids::from_seed(7), 1).await;
    assert!(store.user(users[0]).await.unwrap().is_some());
    let url = database.url();
    let ending = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sql = "WITH its AS MATERIALIZED (
                           SELECT pid FROM pg_stat_activity
                           WHERE datname = current_database() AND application_name = 'frontrow')
                       SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM its";
            connect(&url).await.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
        })
    });
    assert!(ending.join().unwrap() > 0);
    assert!(store.user(users[0]).await.unwrap().is_some());
    store.line(RoomId::HOUSE).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_with_two_hosts_follows_the_primary() {
    let mut server = PostgresServer::start().await;
    let replica = server.replica().await;
    let url = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", replica.port(), server.port());
    let store = open(&PostgresSettings::new(&url), &Clock::System).await;
    let users = buyers(&store, &Ids::from_seed(7), 1).await;
    caught_up(&server, &replica).await;
    server.kill();
    replica.promote().await;
    until("the other host takes over", async || store.transact([top_up(users[0])].into(), decide_all).await.ok()).await;
    let point = until("it can be read", async || store.point(users[0]).await.ok()).await.unwrap();
    assert!(point.version >= 2, "{point:?}");
    assert!(store.transact([top_up(users[0])].into(), decide_all).await.unwrap().answers[0].decision.is_ok());
}
