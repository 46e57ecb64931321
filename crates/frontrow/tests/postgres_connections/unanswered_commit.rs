//! Commits that the server does not answer, since they wait for a standby that there is not.

use async_trait::async_trait;
use frontrow_clock::Clock;
use frontrow_domain::{
    changes::Changes,
    command::{Command, Outcome},
    decide::decide_all,
    id::{RoomId, UserId},
    policy::Policy,
    user::Caller,
};
use frontrow_service::{
    EngineError,
    metrics::Metrics,
    testing::{CommitObserver, Engine, EngineLimits},
};
use frontrow_storage::{
    Committed, Store, StoreError,
    postgres::{PostgresSettings, PostgresStore, Statements},
};
use frontrow_testkit::{
    PATIENCE, START,
    fixture::{Fixture, HOUSE_MAX_ACTIVE, request},
    servers::{pgbouncer::Pooler, postgres::PostgresServer},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_postgres::Client;

const LANES: usize = 2;
const POLL: Duration = Duration::from_millis(20);

/// Joins the line of the house room: it waits for no row of another.
async fn join(office: &Fixture, user: UserId) -> Result<Committed, StoreError> {
    let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
    office.store.transact(Arc::new([request(Caller::Buyer(user), join)]), decide_all).await
}

/// How many connections of the server wait for a standby.
async fn stalled(admin: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

/// Names the standbys that every commit waits for.
async fn set_standbys(admin: &Client, names: &str) {
    admin.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")).await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let shown = async || admin.query_one("SHOW synchronous_standby_names", &[]).await.unwrap().get::<_, String>(0);
    while shown().await != names {
        tokio::time::sleep(POLL).await;
    }
}

/// Has every commit wait from now on.
async fn stop_commits(server: &PostgresServer, admin: &Client) {
    set_standbys(admin, "missing").await;
    // Commits wait once the server's checkpointer has read the setting, whatever the other processes show.
    let stopped = async { while !a_commit_waits(server, admin).await {} };
    tokio::time::timeout(PATIENCE, stopped).await.expect("commits wait for the standby");
}

/// Whether a commit of another connection waits. The connection is ended then.
async fn a_commit_waits(server: &PostgresServer, admin: &Client) -> bool {
    let client = server.client().await;
    let process: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let commit = tokio::spawn(async move { client.batch_execute("COMMENT ON SCHEMA public IS 'a commit'").await });
    while stalled(admin).await == 0 {
        if commit.is_finished() {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
    admin.execute("SELECT pg_terminate_backend($1)", &[&process]).await.unwrap();
    while stalled(admin).await > 0 {
        tokio::time::sleep(POLL).await;
    }
    true
}

fn impatient(url: &str, statements: Statements) -> PostgresSettings {
    let short = Duration::from_millis(400);
    PostgresSettings {
        lanes: LANES,
        readers: 1,
        statement_timeout: short,
        lock_timeout: short / 2,
        statements,
        ..PostgresSettings::new(url)
    }
}

async fn assert_stalls_take_no_more_than_the_lanes(server: &PostgresServer, url: &str, statements: Statements) {
    let settings = impatient(url, statements);
    let clock = Clock::manual(START);
    let store = PostgresStore::open(&settings, clock.clone(), Policy::default(), HOUSE_MAX_ACTIVE).await.unwrap();
    let office = Fixture::new(clock, Arc::new(store), None);
    let mut users = Vec::new();
    for _ in 0..6 {
        users.push(office.register().await);
    }
    let admin = server.client().await;
    stop_commits(server, &admin).await;

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

    set_standbys(&admin, "").await;
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
    let server = PostgresServer::start().await;
    assert_stalls_take_no_more_than_the_lanes(&server, &server.url("postgres"), Statements::Named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_they_through_a_pooler() {
    let server = PostgresServer::start().await;
    // The pooler has connections for more than the lanes.
    let pooler = Pooler::start(&server.url("postgres"), 10).await;
    assert_stalls_take_no_more_than_the_lanes(&server, &pooler.url("postgres"), Statements::Unnamed).await;
}

/// Counts what a lane has it do, and how many were in line each time that it read the rows.
struct CountedCommits {
    store: Arc<dyn Store>,
    commits: AtomicUsize,
    seen: Mutex<Vec<usize>>,
}

#[async_trait]
impl CommitObserver for CountedCommits {
    fn committed(&self, _: &Changes) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    async fn catch_up(&self) -> anyhow::Result<()> {
        let line = self.store.line(RoomId::HOUSE).await?;
        self.seen.lock().unwrap().push(line.unwrap().waiting.len());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_of_a_commit_that_was_given_up_is_read_when_the_server_has_ended_it() {
    let server = PostgresServer::start().await;
    let settings = impatient(&server.url("postgres"), Statements::Named);
    let clock = Clock::manual(START);
    let store = PostgresStore::open(&settings, clock.clone(), Policy::default(), HOUSE_MAX_ACTIVE).await.unwrap();
    let office = Fixture::new(clock, Arc::new(store), None);
    let user = office.register().await;
    let follower = Arc::new(CountedCommits {
        store: Arc::clone(&office.store),
        commits: AtomicUsize::new(0),
        seen: Mutex::default(),
    });
    let limits = EngineLimits { queue_len: 8, batch_max: 8, lanes: 1 };
    let metrics = Arc::new(Metrics::new());
    let (engine, threads) =
        Engine::start(&office.store, limits, metrics, &(Arc::clone(&follower) as Arc<dyn CommitObserver>)).unwrap();
    let admin = server.client().await;
    stop_commits(&server, &admin).await;

    let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
    let joined = engine.run(request(Caller::Buyer(user), join)).await;
    assert_eq!(joined.unwrap_err(), EngineError::OutcomeUnknown);
    let seen = async |count: usize| {
        let enough = async {
            while follower.seen.lock().unwrap().last() != Some(&count) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap_or_else(|_| panic!("{:?}", follower.seen));
    };
    seen(0).await;
    assert!(office.store.has_unanswered_commits());
    set_standbys(&admin, "").await;
    seen(1).await;
    assert_eq!(follower.commits.load(Ordering::SeqCst), 0, "no observer was called");
    drop(engine);
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Passes connections on to the server, until they are cut: then both sides see them end, and new ones pass.
struct Cable {
    port: u16,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Cable {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let all = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let passing = tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
                all.lock().unwrap().push(passing.abort_handle());
            }
        });
        Self { port, connections }
    }

    fn cut(&self) {
        self.connections.lock().unwrap().drain(..).for_each(|connection| connection.abort());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_connection_broke_is_followed_until_the_server_has_ended_it() {
    let server = PostgresServer::start().await;
    let cable = Cable::to(server.port()).await;
    let settings = PostgresSettings::new(&format!("postgres://postgres@127.0.0.1:{}/postgres", cable.port));
    let clock = Clock::manual(START);
    let store = PostgresStore::open(&settings, clock.clone(), Policy::default(), HOUSE_MAX_ACTIVE).await.unwrap();
    let office = Fixture::new(clock, Arc::new(store), None);
    let user = office.register().await;
    let admin = server.client().await;
    stop_commits(&server, &admin).await;
    let (outcome, ()) = tokio::join!(join(&office, user), async {
        let waiting = async {
            while stalled(&admin).await == 0 {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the commit waits for the standby");
        cable.cut();
    });
    assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
    assert!(office.store.has_unanswered_commits(), "the server goes on with it");

    set_standbys(&admin, "").await;
    let ended = async {
        while office.store.has_unanswered_commits() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the server has ended it");
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap().waiting.len(), 1, "it was a commit");
}
