//! Concerts are sold, four at once, while everything that may break does.

use crate::{
    books::{every_acknowledged_write_is_there, order_was_kept},
    cluster::{Cluster, Manners, Season, SeasonRoom},
};
use std::{collections::BTreeSet, path::Path};

/// Words of the guides that begin as metrics do: a database in an example, and a target of the log.
const NO_METRICS: [&str; 2] = ["frontrow_restored", "frontrow_web"];
/// Seats of each concert.
const SEATS: u32 = 110;
/// Buyers of each concert: more than there are seats for.
const BUYERS: u32 = 95;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_over_three_instances_keeps_its_promises_while_everything_breaks() {
    let mut office = Cluster::open(3).await;
    let url = office.proxy.url();
    let season = |(number, line)| Season::begin(url.clone(), number, SEATS, BUYERS, line, Manners::All);
    let seasons: Vec<_> =
        (1..).zip([SeasonRoom::House, SeasonRoom::House, SeasonRoom::Own, SeasonRoom::Own]).map(season).collect();

    office.begins().await;
    let mut metrics = metrics(&office).await;
    break_things(&mut office).await;

    let mut sales = Vec::new();
    for season in seasons {
        sales.extend(season.end().await);
    }
    every_acknowledged_write_is_there(&office.client().await.unwrap(), &sales).await;
    let compared = order_was_kept(&sales);
    assert!(compared >= 2 * BUYERS as usize, "{compared} places are too few to tell anything");
    office.check();
    metrics += &self::metrics(&office).await;
    alerts_and_pages_name_metrics_that_exist(&metrics);
}

/// The metrics of all instances.
async fn metrics(office: &Cluster) -> String {
    let mut metrics = String::new();
    for instance in &office.instances {
        metrics += &reqwest::get(instance.address("/metrics")).await.unwrap().text().await.unwrap();
    }
    metrics
}

/// The metrics that the alerts and the operators' pages name are there: in the sale, or after it.
fn alerts_and_pages_name_metrics_that_exist(metrics: &str) {
    for file in ["deploy/prometheus/frontrow.rules.yaml", "docs/operations.md", "docs/cluster.md"] {
        let text =
            std::fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(file)).unwrap();
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let names: BTreeSet<_> =
            words.filter(|word| word.starts_with("frontrow_") && !NO_METRICS.contains(word)).collect();
        assert!(!names.is_empty(), "{file}");
        for name in names {
            assert!(metrics.contains(&format!("\n{name}")), "{file}: there is no {name}");
        }
    }
}

async fn break_things(office: &mut Cluster) {
    let leader = office.leader(None).await;
    office.instances[leader].kill();
    office.leader(Some(leader)).await;
    office.goes_on("an instance was killed").await;
    office.instances[leader].start_again().await;
    let other = (leader + 1) % office.instances.len();
    let status = office.instances[other].stop().await;
    assert_eq!(status.code(), Some(0), "an instance that gets SIGTERM ends in good order");
    office.instances[other].start_again().await;
    office.goes_on("an instance was restarted").await;

    let leader = office.leader(None).await;
    office.instances[leader].pause();
    office.leader(Some(leader)).await;
    office.goes_on("an instance hangs").await;
    // It believes that it leads, and finishes what it had begun.
    office.instances[leader].resume();
    office.goes_on("the instance goes on").await;

    office.postgres.stop();
    office.postgres.start_again().await;
    office.goes_on("PostgreSQL was restarted").await;

    office.redis.kill();
    office.goes_on("Redis is gone").await;
    office.goes_on("Redis is gone for longer").await;
    office.redis.restart_empty();
    office.goes_on("Redis is back, and empty").await;

    office.postgres.kill();
    office.postgres.start_again().await;
    office.goes_on("PostgreSQL was killed").await;

    office.redis.pause();
    office.goes_on("Redis is silent").await;
    office.goes_on("Redis is silent for longer").await;
    office.redis.resume();
    office.goes_on("Redis speaks again").await;
}
