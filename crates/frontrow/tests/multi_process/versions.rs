//! Two versions over one database: the next one changes the tables while instances of this one sell.

use crate::{
    books::every_acknowledged_write_is_there,
    cluster::{Cluster, DATABASE, Manners, Season, SeasonRoom, flags, run},
};
use frontrow_storage::{
    migrate::{self, Migration},
    postgres::{PostgresSettings, migrate_to},
};
use std::path::PathBuf;

const SEATS: u32 = 64;
const BUYERS: u32 = 50;

/// Changes that a next version may make to tables in use: add what this version does not know, on the tables that are
/// written all the time. Written as a real one would be.
const EXPANDS: &str = "
    ALTER TABLE reservation ADD COLUMN channel text CONSTRAINT reservation_channel CHECK (channel IN ('web', 'app'));
    ALTER TABLE waiting_token ADD COLUMN invited_by uuid;
    CREATE TABLE invitation (invitation_id bigint PRIMARY KEY, user_id uuid NOT NULL REFERENCES \"user\" (user_id));
";

/// The program of the release before this one, if scripts/two-versions.sh has built it; else this one.
fn before() -> PathBuf {
    std::env::var_os("FRONTROW_TEST_BEFORE").map_or_else(|| PathBuf::from(crate::instance::PROGRAM), PathBuf::from)
}

/// The steps of this version and one more.
fn next_steps() -> Vec<Migration> {
    let version = migrate::latest(migrate::POSTGRES) + 1;
    [migrate::POSTGRES, &[Migration { version, name: "invitations", sql: EXPANDS }]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_go_on_while_the_next_version_adds_to_the_tables() {
    let mut office = Cluster::open(2).await;
    let url = office.postgres.url(DATABASE);
    let season = Season::begin(office.proxy.url(), 1, SEATS, BUYERS, SeasonRoom::Own, Manners::Plain);
    office.begins().await;

    // The next version's instances start: all at once, and one of them changes the tables.
    let (settings, steps) = (PostgresSettings::new(&url), next_steps());
    let (first, second) = tokio::join!(migrate_to(&settings, &steps), migrate_to(&settings, &steps));
    first.and(second).unwrap();
    let client = office.client().await.unwrap();
    let added = client.query("SELECT invited_by FROM waiting_token LIMIT 1", &[]).await.unwrap();
    assert_eq!(added.len(), 1);
    office.goes_on("the next version changed the tables").await;

    // One of this version that is started now says why it does not run.
    let flags = flags(&url, &office.redis.url());
    let output = run("serve", &flags.iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("its schema has version") && said.contains("use the newer program"), "{said}");

    every_acknowledged_write_is_there(&client, &season.end().await).await;
    assert_eq!(office.instances[0].stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_replaced_one_after_the_other_during_a_sale() {
    let mut office = Cluster::open_with(&before(), 2).await;
    let season = Season::begin(office.proxy.url(), 1, SEATS, BUYERS, SeasonRoom::Own, Manners::Plain);
    office.begins().await;
    for instance in &mut office.instances {
        assert_eq!(instance.stop().await.code(), Some(0));
        instance.become_this_version();
        instance.start_again().await;
    }
    office.goes_on("all instances were replaced").await;
    let sales = season.end().await;
    every_acknowledged_write_is_there(&office.client().await.unwrap(), &sales).await;
    office.check();
}
