//! The draw of a lobby whose entries came to several instances.

use super::instance_at;
use frontrow_clock::Clock;
use frontrow_domain::time::Span;
use frontrow_draw::DrawRecord;
use frontrow_testkit::{START, eventually, servers::postgres::TestDatabase};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const OPENS_SECONDS: i64 = 600;
const ENTRIES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_all_instances_are_drawn_together_and_every_instance_shows_the_same_order() {
    let (database, clock) = (TestDatabase::new().await, Clock::manual(START));
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(instance_at(database.url(), clock.clone()).await);
    }
    let opens_at = START.plus(Span::from_secs(OPENS_SECONDS));
    let hall = servers[0]
        .hall_like(2, |draft| {
            draft.own_room_max_active = Some(2);
            draft.opens_at = opens_at;
        })
        .await;
    let concert = hall.id();
    let mut entries = Vec::new();
    for number in 0..ENTRIES {
        let buyer = servers[number % 3].buyer(&format!("buyer{number}")).await;
        let joined = buyer.join(Some(concert)).await;
        entries.push((buyer, joined["token"].as_str().unwrap().to_owned()));
    }
    let late = servers[2].buyer("late").await;
    let leaves = &entries[7];
    leaves.0.at(servers[1].address).delete(&format!("/queue/tokens/{}", leaves.1)).await.expect(204);
    clock.advance(Span::from_secs(OPENS_SECONDS));
    let places = async |server: usize| {
        let mut places = Vec::new();
        for (at, (buyer, token)) in entries.iter().enumerate().filter(|(at, _)| *at != 7) {
            let place = buyer.at(servers[server].address).position(token).await;
            places.push((at, place["position"].as_i64().unwrap(), place["status"].clone(), place["ahead"].clone()));
        }
        places
    };
    let is_drawn =
        |places: &[(usize, i64, Value, Value)]| places.iter().filter(|place| place.2 == "offered").count() == 2;
    let first = eventually("two of the entries have their turns, and all instances show the same", async || {
        let shown = [places(0).await, places(1).await, places(2).await];
        (is_drawn(&shown[0]) && shown[1] == shown[0] && shown[2] == shown[0]).then(|| shown[0].clone())
    })
    .await;
    let positions: BTreeSet<_> = first.iter().map(|(_, position, ..)| *position).collect();
    assert_eq!(positions.len(), ENTRIES - 1, "each entry has a place of its own");
    assert!(*positions.first().unwrap() > i64::try_from(ENTRIES).unwrap(), "behind the numbers of the entries");
    // An instance may take the leap of its clock for an outage, and saves again when it has put deadlines off.
    let joined = eventually("who comes later joins", async || {
        let joined = late.post("/queue/tokens", &json!({ "concert_id": concert })).await;
        (joined.status == 201).then(|| joined.json())
    })
    .await;
    assert!(joined["position"].as_i64().unwrap() > *positions.last().unwrap(), "who comes later waits behind");
    let mut records = Vec::new();
    for server in &servers {
        let record = server.anonymous().get(&format!("/rooms/{concert}/draw/record")).await.expect(200);
        let record: DrawRecord = serde_json::from_value(record).unwrap();
        record.verify().unwrap();
        records.push(record);
    }
    assert!(records.iter().all(|record| *record == records[0]));
    assert_eq!(records[0].entries.len(), ENTRIES - 1);
    for server in servers {
        server.stop().await;
    }
}
