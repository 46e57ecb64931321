//! Which databases are refused, and how a new one is built by several instances at once.

use frontrow_clock::Clock;
use frontrow_domain::{policy::Policy, retention::Leftover, time::Time};
use frontrow_storage::{
    Store, StoreError, migrate,
    postgres::{self, PostgresSettings, PostgresStore, Statements},
};
use frontrow_testkit::servers::postgres::{PostgresServer, TestDatabase, programs, shared_url};
use std::time::Duration;

#[track_caller]
fn assert_says<T: std::fmt::Debug>(result: Result<T, StoreError>, words: &[&str]) {
    let text = result.expect_err("it was taken").to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    assert!(!text.contains("secret"), "it shows the password: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_build_the_tables_once() {
    let database = TestDatabase::empty().await;
    let mut starting = Vec::new();
    for number in 0..8 {
        let mut settings = PostgresSettings::new(&database.url());
        settings.statements = if number % 2 == 0 { Statements::Named } else { Statements::Unnamed };
        starting.push(tokio::spawn(async move { postgres::migrate(&settings).await }));
    }
    for instance in starting {
        instance.await.unwrap().unwrap();
    }
    let rows = database.client().await.query("SELECT version FROM frontrow_schema ORDER BY 1", &[]).await.unwrap();
    let versions: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(versions, migrate::POSTGRES.iter().map(|step| step.version).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_instance_waits_for_one_that_is_changing_the_tables() {
    let database = TestDatabase::empty().await;
    let mut other = database.client().await;
    let changing = other.transaction().await.unwrap();
    changing.execute("SELECT pg_advisory_xact_lock(x'46524f575343484d'::bigint)", &[]).await.unwrap();
    let settings = PostgresSettings::new(&database.url());
    let starting = tokio::spawn(async move { postgres::migrate(&settings).await });
    let client = database.client().await;
    // It has asked for the lock at least twice by then.
    let asked = "SELECT coalesce(sum(xact_rollback + xact_commit), 0)::bigint FROM pg_stat_database
                 WHERE datname = current_database()";
    let before: i64 = client.query_one(asked, &[]).await.unwrap().get(0);
    while client.query_one(asked, &[]).await.unwrap().get::<_, i64>(0) < before + 10 {
        assert!(!starting.is_finished(), "it did not wait");
    }
    let made = "SELECT to_regclass('room') IS NOT NULL";
    assert!(!client.query_one(made, &[]).await.unwrap().get::<_, bool>(0));
    changing.commit().await.unwrap();
    starting.await.unwrap().unwrap();
    assert!(client.query_one(made, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let database = TestDatabase::new().await;
    let newer = "INSERT INTO frontrow_schema (version, name) VALUES (999, 'from the future')";
    database.client().await.execute(newer, &[]).await.unwrap();
    let refused = postgres::migrate(&PostgresSettings::new(&database.url())).await;
    assert!(matches!(&refused, Err(StoreError::Misfit(_))), "{refused:?}");
    assert!(!format!("{}", refused.as_ref().unwrap_err()).contains("damaged"));
    assert_says(refused, &["version 999", "newer program"]);
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let database = TestDatabase::empty().await;
    let client = database.client().await;
    // Objects of an extension belong to no box office.
    client.batch_execute("CREATE TABLE theirs (id bigint)").await.unwrap();
    let refused = postgres::migrate(&PostgresSettings::new(&database.url())).await;
    assert!(matches!(&refused, Err(StoreError::Misfit(_))), "{refused:?}");
    assert_says(refused, &["theirs", "a database of its own"]);
    client
        .batch_execute("CREATE SCHEMA ours; CREATE ROLE keeper LOGIN; ALTER SCHEMA ours OWNER TO keeper")
        .await
        .unwrap();
    client.batch_execute("ALTER ROLE keeper SET search_path = ours").await.unwrap();
    let url = database.url().replace("postgres@", "keeper@");
    postgres::migrate(&PostgresSettings::new(&url)).await.unwrap();
    client.batch_execute("DROP OWNED BY keeper; DROP ROLE keeper").await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_not_create_tables_is_refused_with_the_reason() {
    let database = TestDatabase::empty().await;
    let client = database.client().await;
    client.batch_execute("CREATE ROLE guest LOGIN").await.unwrap();
    let url = database.url().replace("postgres@", "guest@");
    let refused = postgres::migrate(&PostgresSettings::new(&url)).await;
    client.batch_execute("DROP ROLE guest").await.unwrap();
    assert!(matches!(&refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_says(refused, &["permission denied"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = "postgres://frontrow:secret@127.0.0.1:1/tickets";
    let refused = postgres::migrate(&PostgresSettings::new(url)).await;
    assert_says(refused, &["127.0.0.1:1/tickets", "frontrow", "refused"]);
    let url = "postgres://frontrow:secret@nowhere.invalid/tickets";
    assert_says(postgres::migrate(&PostgresSettings::new(url)).await, &["nowhere.invalid:5432/tickets"]);
    let missing = format!("{}_missing", shared_url());
    assert_says(postgres::migrate(&PostgresSettings::new(&missing)).await, &["postgres_missing", "does not exist"]);
}

#[tokio::test]
async fn urls_that_cannot_be_understood_are_refused_without_a_call() {
    for (url, word) in [
        ("mysql://u:secret@h/d", "postgres://"),
        ("postgres://u:secret@h:port/d", "port"),
        ("postgres:///d", "no host"),
        ("postgres://u:secret@h/d?sslmode=maybe", "sslmode"),
        ("postgres://u:secret@h/d?colour=red", "colour"),
    ] {
        assert_says(PostgresSettings::new(url).check(), &[word]);
        assert!(!format!("{:?}", PostgresSettings::new(url)).contains("secret"));
    }
    let mut settings = PostgresSettings::new("postgres://u:secret@h/d");
    settings.check().unwrap();
    settings.replica_url = Some("redis://h".to_owned());
    assert_says(settings.check(), &["postgres://"]);
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_not_shown() {
    let server = PostgresServer::start().await;
    let client = server.client().await;
    client.batch_execute("SET password_encryption = 'scram-sha-256'").await.unwrap();
    client.batch_execute("CREATE ROLE frontrow LOGIN SUPERUSER PASSWORD 'right'").await.unwrap();
    server.write("pg_hba.conf", "host all frontrow 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n");
    client.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
    let url = |password| server.url("postgres").replace("postgres@", &format!("frontrow:{password}@"));
    // The server rereads its files in a moment.
    let wrong = loop {
        if let Err(refused) = postgres::migrate(&PostgresSettings::new(&url("secret"))).await {
            break refused;
        }
    };
    assert_says(Err::<(), _>(wrong), &["password authentication failed", "frontrow"]);
    postgres::migrate(&PostgresSettings::new(&url("right"))).await.unwrap();
}

#[tokio::test]
async fn another_version_of_the_server_can_be_named() {
    let server = PostgresServer::start_with(&programs(), "max_connections = 20").await;
    postgres::migrate(&PostgresSettings::new(&server.url("postgres"))).await.unwrap();
}

#[tokio::test]
async fn a_server_that_could_lose_an_acknowledged_sale_is_refused() {
    let mut server = PostgresServer::start().await;
    let open = async |server: &PostgresServer, database: &str| {
        let settings = PostgresSettings::new(&server.url(database));
        PostgresStore::open(&settings, Clock::System, Policy::default(), 1).await
    };
    let latin = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    server.client().await.batch_execute(latin).await.unwrap();
    assert_says(open(&server, "latin").await, &["LATIN1", "UTF8"]);
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        server.append("postgresql.conf", &format!("{setting} = off\n"));
        server.stop();
        server.start_again().await;
        assert_says(open(&server, "postgres").await, &[setting, "is off"]);
        server.append("postgresql.conf", &format!("{setting} = on\n"));
    }
    server.stop();
    server.start_again().await;
    open(&server, "postgres").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_open_a_new_database_at_once_share_one_office() {
    let database = TestDatabase::new().await;
    let mut opening = Vec::new();
    for house_max_active in 1..=6 {
        let settings = PostgresSettings::new(&database.url());
        opening.push(tokio::spawn(async move {
            let store =
                PostgresStore::open(&settings, Clock::System, Policy::default(), house_max_active).await.unwrap();
            (store.installation_id().await.unwrap(), store.rooms().await.unwrap())
        }));
    }
    let mut seen = Vec::new();
    for instance in opening {
        seen.push(instance.await.unwrap());
    }
    assert!(!seen[0].0.is_nil());
    assert_eq!(seen[0].1.len(), 1);
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn instances_over_one_database_are_one_box_office_and_a_copy_of_it_is_another() {
    let database = TestDatabase::new().await;
    let office = async |url: String| {
        let store =
            PostgresStore::open(&PostgresSettings::new(&url), Clock::System, Policy::default(), 1).await.unwrap();
        let office = store.installation_id().await.unwrap();
        store.shutdown().await.unwrap();
        office
    };
    let of_one = office(database.url()).await;
    assert_eq!(office(database.url()).await, of_one);
    let copy = format!("{}_copy", database.name());
    let admin = TestDatabase::empty().await;
    let admin = admin.client().await;
    admin.batch_execute(&format!("CREATE DATABASE {copy} TEMPLATE {}", database.name())).await.unwrap();
    let of_copy = office(database.url().replace(database.name(), &copy)).await;
    admin.batch_execute(&format!("DROP DATABASE {copy} WITH (FORCE)")).await.unwrap();
    assert_ne!(of_copy, of_one, "it has names of its own in Redis");
}

#[tokio::test]
async fn a_server_that_is_frozen_is_given_up_and_found_again() {
    let server = PostgresServer::start().await;
    let settings = PostgresSettings {
        statement_timeout: Duration::from_millis(200),
        lock_timeout: Duration::from_millis(100),
        connect_timeout: Duration::from_millis(500),
        ..PostgresSettings::new(&server.url("postgres"))
    };
    let store = PostgresStore::open(&settings, Clock::System, Policy::default(), 1).await.unwrap();
    // Each of those that follow finds a connection that worked a moment ago.
    let (one, two, three) = tokio::join!(store.check_writable(), store.check_writable(), store.check_writable());
    one.and(two).and(three).unwrap();
    server.pause();
    let given_up = tokio::time::timeout(Duration::from_mins(1), async {
        let prune = store.prune(Leftover::Answer, Time::from_micros(0), 500).await.unwrap_err();
        [prune, store.check_writable().await.unwrap_err(), store.now().await.unwrap_err()]
    });
    let given_up = given_up.await;
    // In any case: a server that is stopped cannot be ended.
    server.resume();
    let given_up = given_up.expect("it is not waited for for ever");
    assert!(given_up.iter().all(|error| matches!(error, StoreError::Unavailable(_))), "{given_up:?}");
    store.check_writable().await.unwrap();
}
