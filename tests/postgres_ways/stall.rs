//! Commits that the server does not answer, since they wait for a standby that there is not.

use crate::{
    servers::{pgbouncer::Pooler, postgres::Server},
    support::{Fixture, HOUSE_MAX_ACTIVE, START, request},
};
use frontrow::{
    clock::Clock,
    store::{
        Committed, StoreError,
        postgres::{PostgresStore, Settings, Statements},
    },
};
use frontrow_domain::{
    command::{Command, Outcome},
    id::{RoomId, UserId},
    rules::Rules,
    user::Caller,
};
use std::{sync::Arc, time::Duration};
use tokio_postgres::Client;

const LANES: usize = 2;
/// What has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Joins the line of the house room: it waits for no row of another.
async fn join(office: &Fixture, user: UserId) -> Result<Committed, StoreError> {
    let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
    office.store.transact(Arc::new([request(Caller::Buyer(user), join)])).await
}

/// How many connections of the server wait for a standby.
async fn stalled(admin: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

/// Names the standbys that every commit waits for.
async fn wait_for_standbys(admin: &Client, names: &str) {
    admin.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")).await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let shown = async || admin.query_one("SHOW synchronous_standby_names", &[]).await.unwrap().get::<_, String>(0);
    while shown().await != names {
        tokio::time::sleep(POLL).await;
    }
}

async fn assert_stalls_take_no_more_than_the_lanes(server: &Server, url: &str, statements: Statements) {
    let short = Duration::from_millis(400);
    let settings = Settings {
        lanes: LANES,
        readers: 1,
        statement_timeout: short,
        lock_timeout: short / 2,
        statements,
        ..Settings::new(url)
    };
    let clock = Clock::manual(START);
    let store = PostgresStore::open(&settings, clock.clone(), Rules::default(), HOUSE_MAX_ACTIVE).await.unwrap();
    let office = Fixture::new(clock, Arc::new(store), None);
    let mut users = Vec::new();
    for _ in 0..6 {
        users.push(office.register().await);
    }
    let admin = server.client().await;
    wait_for_standbys(&admin, "nobody").await;

    let (first, second) = tokio::join!(join(&office, users[0]), join(&office, users[1]));
    for outcome in [first, second] {
        assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    }
    for user in &users[2..] {
        let outcome = join(&office, *user).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    assert_eq!(stalled(&admin).await, i64::try_from(LANES).unwrap());
    assert!(office.store.rooms().await.is_ok(), "who reads goes on");

    wait_for_standbys(&admin, "").await;
    let joined = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(mut committed) = join(&office, users[5]).await {
                return committed.answers.remove(0).decision;
            }
            tokio::time::sleep(POLL).await;
        }
    });
    let joined = joined.await.expect("the places in the pool are given back");
    assert!(matches!(joined, Ok(Outcome::Joined { .. })), "{joined:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_not_answered_take_no_more_connections_than_there_are_lanes() {
    let server = Server::start().await;
    assert_stalls_take_no_more_than_the_lanes(&server, &server.url("postgres"), Statements::Named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_they_through_a_pooler() {
    let server = Server::start().await;
    // The pooler has connections for more than the lanes.
    let pooler = Pooler::start(&server.url("postgres"), 10).await;
    assert_stalls_take_no_more_than_the_lanes(&server, &pooler.url("postgres"), Statements::Unnamed).await;
}
