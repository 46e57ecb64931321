//! Four concerts are sold out at once while everything that may break does.

use crate::{
    books::{everything_told_is_there, order_was_kept},
    office::{Concert, Office, assert_kept, crowd},
};

/// Seats of each concert.
const SEATS: u32 = 110;
/// Buyers of each concert: more than there are seats for.
const BUYERS: u32 = 95;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_over_three_instances_keeps_its_promises_while_everything_breaks() {
    let mut office = Office::open(3).await;
    let mut concerts = [Concert::New(SEATS); 4];
    for concert in &mut concerts[..2] {
        *concert = Concert::Known(office.concert_in_the_house_room(SEATS).await);
    }
    let url = office.proxy.url();
    let crowds: Vec<_> = (1..).zip(concerts).map(|(seed, concert)| crowd(url.clone(), seed, BUYERS, concert)).collect();

    office.begins().await;
    break_things(&mut office).await;
    let unfinished = crowds.iter().filter(|crowd| !crowd.is_finished()).count();
    assert!(unfinished > 0, "the sale was over before everything had broken");

    let mut sales = Vec::new();
    for crowd in crowds {
        sales.push(crowd.await.unwrap());
    }
    for sold in &sales {
        eprintln!("{}", sold.report);
        assert_kept(sold, SEATS);
    }
    everything_told_is_there(&office.client().await.unwrap(), &sales).await;
    let compared = order_was_kept(&sales);
    assert!(compared >= 2 * BUYERS as usize, "{compared} places are too few to tell anything");
    office.check();
}

async fn break_things(office: &mut Office) {
    office.instances[0].kill();
    office.goes_on("an instance was killed").await;
    office.instances[0].start_again().await;
    let status = office.instances[1].stop().await;
    assert_eq!(status.code(), Some(0), "an instance that is told to stop ends in good order");
    office.instances[1].start_again().await;
    office.goes_on("an instance was restarted").await;

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
