//! The figures that instances give each other.

use crate::fixture::RedisFixture;
use frontrow_line::Peers as _;
use frontrow_testkit::{eventually, servers::redis::RedisServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_given_in_place_of_the_last_and_end_with_a_stop_in_good_order() {
    let mut server = RedisServer::start();
    let office = RedisFixture::open(vec![server.url()], 3, 10).await;
    let [one, two, three] = [0, 1, 2].map(|number| &office.instances[number].queue);
    assert_eq!(one.exchange_figures(b"first", &[]).await.unwrap(), []);
    one.exchange_figures(b"one", &[]).await.unwrap();
    let found = two.exchange_figures(b"two", &[]).await.unwrap();
    assert_eq!(found.iter().map(|other| other.bytes.as_slice()).collect::<Vec<_>>(), [b"one"]);
    three.exchange_figures(b"three", &[]).await.unwrap();
    one.shutdown().await;
    let mut found = two.exchange_figures(b"two", &[]).await.unwrap();
    assert_eq!(found.len(), 1, "one has said that it stops");
    let gone = found.remove(0).instance;
    assert_eq!(two.exchange_figures(b"two", &[gone]).await.unwrap(), [], "three was dropped for all");
    let key: Vec<String> = server.ask(&["KEYS", "*figures"]);
    assert!(server.ask::<i64>(&["TTL", &key[0]]) > 0, "figures that no instance renews go by themselves");

    server.kill();
    eventually("the figures are out of reach", async || two.exchange_figures(b"two", &[]).await.err()).await;
    two.shutdown().await;
    server.restart_empty();
    let found = eventually("they are there again", async || three.exchange_figures(b"three", &[]).await.ok()).await;
    assert_eq!(found, []);
}
