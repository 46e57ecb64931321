//! Backups of `PostgreSQL` made during a sale, and what is restored from them.

use crate::{
    books::every_acknowledged_write_is_there,
    cluster::{
        Cluster, CrowdConcert, DATABASE, Manners, Season, SeasonRoom, assert_kept, check, crowd, flags, succeeds,
    },
    instance::{Instance, PROGRAM},
};
use frontrow_testkit::{
    servers::{postgres, run},
    wait_until,
};
use std::{collections::HashSet, path::Path, process::Command};
use tokio_postgres::Client;

const SEATS: u32 = 54;
const BUYERS: u32 = 40;

async fn payments(client: &Client) -> HashSet<(i64, i64)> {
    let rows = client.query("SELECT payment_id, reservation_id FROM payment", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_made_during_a_sale_is_restored_and_sells() {
    let mut office = Cluster::open(1).await;
    let season = Season::begin(office.proxy.url(), 1, SEATS, BUYERS, SeasonRoom::Own, Manners::Plain);
    office.begins().await;
    let client = office.client().await.unwrap();
    let before = payments(&client).await;
    let folder = frontrow_testkit::servers::folder();
    let dump = folder.path().join("frontrow.dump");
    let program = |name: &str| Command::new(postgres::programs().join(name));
    run(program("pg_dump").arg("--format=custom").arg("--file").arg(&dump).arg(office.postgres.url(DATABASE)));
    office.goes_on("the dump was made").await;
    season.end().await;
    let after = payments(&client).await;
    office.instances[0].kill();

    client.batch_execute("CREATE DATABASE restored TEMPLATE template0").await.unwrap();
    let restored = office.postgres.url("restored");
    run(program("pg_restore").args(["--exit-on-error", "--no-owner", "--dbname"]).arg(&restored).arg(&dump));
    assert!(succeeds("line renew", &["--database-url", &restored]).contains("lines are renewed"));
    check(&restored);
    let found = payments(&postgres::connect(&restored).await).await;
    assert!(found.is_superset(&before) && found.is_subset(&after), "{before:?} {found:?} {after:?}");
    assert!(found.len() < after.len(), "the backup is of the middle of the sale");

    // Redis was not emptied: it knows of tokens and holds that the database does not.
    let flags = flags(&restored, &office.redis.url());
    office.instances[0] = Instance::start(&flags).await;
    let url = office.instances[0].address("");
    let client = postgres::connect(&restored).await;
    let unsold = client.query_opt("SELECT concert_id FROM seat WHERE status <> 'sold' LIMIT 1", &[]).await.unwrap();
    let concert = unsold.map_or(CrowdConcert::New(SEATS), |row| CrowdConcert::Known(row.get(0)));
    let sold = crowd(url, 2, BUYERS, concert, Manners::Plain).await.unwrap();
    assert_kept(&sold, SEATS);
    every_acknowledged_write_is_there(&client, &[sold]).await;
    check(&restored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_and_the_archived_log_bring_everything_back() {
    let archive = frontrow_testkit::servers::folder();
    // The server runs as another user than the test.
    run(Command::new("chmod").arg("777").arg(archive.path()));
    let keep = format!("archive_mode = on\narchive_command = 'cp %p {}/%f'\n", archive.path().display());
    let postgres = postgres::PostgresServer::start_with(&postgres::programs(), &keep).await;
    let mut office = Cluster::open_over(postgres, Path::new(PROGRAM), 1).await;
    let sale = crowd(office.proxy.url(), 1, BUYERS, CrowdConcert::New(SEATS), Manners::Plain);
    office.begins().await;
    let copy = office.postgres.base_backup();
    let sold = sale.await.unwrap();
    assert_kept(&sold, SEATS);
    let client = office.client().await.unwrap();
    let last: String = client.query_one("SELECT pg_walfile_name(pg_switch_wal())", &[]).await.unwrap().get(0);
    wait_until("the log to be archived", async || {
        std::fs::metadata(archive.path().join(&last)).is_ok_and(|file| file.len() == 16 << 20)
    })
    .await;
    office.instances[0].kill();
    office.postgres.kill();

    office.postgres = copy.recovered(archive.path()).await;
    office.check();
    every_acknowledged_write_is_there(&office.client().await.unwrap(), &[sold]).await;
    let flags = flags(&office.postgres.url(DATABASE), &office.redis.url());
    office.instances[0] = Instance::start(&flags).await;
    let sold =
        crowd(office.instances[0].address(""), 2, BUYERS, CrowdConcert::New(SEATS), Manners::Plain).await.unwrap();
    assert_kept(&sold, SEATS);
    office.check();
}
