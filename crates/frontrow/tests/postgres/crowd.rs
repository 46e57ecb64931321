//! Two instances over one database, and a third connection that stands in their way.

use frontrow_clock::Clock;
use frontrow_domain::{command::Request, decide::decide_all, policy::Policy};
use frontrow_storage::{
    Committed, StoreError,
    postgres::{PostgresSettings, PostgresStore},
};
use frontrow_testkit::{
    PATIENCE, START,
    fixture::{Fixture, HOUSE_MAX_ACTIVE},
    servers::postgres::TestDatabase,
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const POLL: Duration = Duration::from_millis(5);

/// Two box offices that are one.
pub(crate) struct Two {
    pub(crate) one: Fixture,
    pub(crate) other: Fixture,
    /// Sees everything and takes part in nothing.
    pub(crate) admin: Client,
    // Dropped last.
    pub(crate) database: TestDatabase,
}

impl Two {
    pub(crate) async fn open() -> Self {
        Self::open_with(PostgresSettings::new).await
    }

    pub(crate) async fn open_with(settings: impl Fn(&str) -> PostgresSettings) -> Self {
        let database = TestDatabase::new().await;
        let settings = PostgresSettings { lanes: 8, readers: 2, ..settings(&database.url()) };
        let open = async || {
            let clock = Clock::manual(START);
            let store = PostgresStore::open(&settings, clock.clone(), Policy::default(), HOUSE_MAX_ACTIVE).await;
            Fixture::new(clock, Arc::new(store.unwrap()), None)
        };
        Self { one: open().await, other: open().await, admin: database.client().await, database }
    }

    /// A connection in a transaction that has run `sql`: what it locks stays locked until it ends.
    pub(crate) async fn stand_in_the_way(&self, sql: &str) -> Obstacle {
        let client = self.database.client().await;
        client.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
        Obstacle(client)
    }

    /// Waits until so many connections of the database wait for a lock.
    pub(crate) async fn wait_for_waiters(&self, count: i64) {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.wait_until(sql, count).await;
    }

    /// Waits until `sql` gives at least `count`.
    pub(crate) async fn wait_until(&self, sql: &str, count: i64) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) < count {
                tokio::time::sleep(POLL).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{sql} never gave {count}"));
    }

    /// A number from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Ends every connection of the instances that matches, as an operator or a fail-over would.
    pub(crate) async fn kill(&self, condition: &str) -> u64 {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'frontrow' AND {condition}"
        );
        self.admin.execute(&sql, &[]).await.unwrap()
    }
}

/// A transaction that holds what it has locked.
pub(crate) struct Obstacle(Client);

impl Obstacle {
    pub(crate) async fn step_aside(self) {
        self.0.batch_execute("ROLLBACK").await.unwrap();
    }

    pub(crate) async fn commit(self) {
        self.0.batch_execute("COMMIT").await.unwrap();
    }
}

/// Gives a batch to an instance and goes on meanwhile.
pub(crate) fn give(office: &Fixture, batch: Vec<Request>) -> JoinHandle<Result<Committed, StoreError>> {
    let store = Arc::clone(&office.store);
    tokio::spawn(async move { store.transact(batch.into(), decide_all).await })
}

/// The only answer of a batch of one.
pub(crate) async fn answer(given: JoinHandle<Result<Committed, StoreError>>) -> frontrow_domain::command::Answer {
    given.await.unwrap().unwrap().answers.remove(0)
}
