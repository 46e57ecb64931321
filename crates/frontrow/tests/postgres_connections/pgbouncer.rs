//! Through a pooler that gives each transaction another connection.

use crate::sale::{START, activate, buyers, concert, hold, open, pay};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{id::RoomId, sale::SeatStatus, time::Span};
use frontrow_storage::{
    Page, Store,
    postgres::{PostgresSettings, Statements},
};
use frontrow_testkit::servers::{
    pgbouncer::Pooler,
    postgres::{TestDatabase, shared_url},
};
use std::sync::Arc;

/// More of the program's connections than the pooler has to the server: transactions take turns on them.
const POOLED: u32 = 3;
const BUYERS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_runs_through_a_pooler_in_transaction_mode() {
    let database = TestDatabase::empty().await;
    let pooler = Pooler::start(&shared_url(), POOLED).await;
    let clock = Clock::manual(START);
    let settings =
        PostgresSettings { statements: Statements::Unnamed, ..PostgresSettings::new(&pooler.url(database.name())) };
    // Two instances, each with more connections than there are.
    let one = Arc::new(open(&settings, &clock).await);
    let two = Arc::new(open(&settings, &clock).await);
    assert_eq!(one.installation_id().await.unwrap(), two.installation_id().await.unwrap());

    let ids = Ids::from_seed(7);
    let (concert, seats) = concert(&*one, i32::try_from(BUYERS).unwrap()).await;
    let users = buyers(&*two, &ids, BUYERS).await;
    let tokens = activate(&*one, concert, &users).await;
    let mut buying = Vec::new();
    for (number, part) in (0..BUYERS).collect::<Vec<_>>().chunks(5).enumerate() {
        let store = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&two) };
        let range = part[0]..part[0] + part.len();
        let (users, tokens, seats) = (users[range.clone()].to_vec(), tokens[range.clone()].to_vec(), &seats[range]);
        let seats = seats.to_vec();
        buying.push(tokio::spawn(async move {
            let held = hold(&*store, &users, &tokens, &seats).await;
            pay(&*store, &users, &tokens, &held).await;
            // Other requests come through the same few connections meanwhile.
            for user in users {
                assert_eq!(store.point(user).await.unwrap().unwrap().version, 2);
                assert_eq!(store.history(user, Page { after: None, limit: 10 }).await.unwrap().len(), 2);
                store.live_line(RoomId::of_concert(concert)).await.unwrap().unwrap();
            }
        }));
    }
    for buyer in buying {
        buyer.await.unwrap();
    }
    let sold = two.seats(concert).await.unwrap();
    assert!(sold.iter().all(|seat| seat.status() == SeatStatus::Sold), "{sold:?}");
    let line = two.line(RoomId::of_concert(concert)).await.unwrap().unwrap();
    assert_eq!((line.waiting.len(), line.others.len()), (0, 0));
    assert_eq!(one.changed_seats(concert, START.plus(Span::from_secs(1))).await.unwrap(), (Vec::new(), START));
    assert_eq!(one.changed_seats(concert, START).await.unwrap().0.len(), BUYERS);
    one.check_writable().await.unwrap();
}
