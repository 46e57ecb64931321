//! The private servers do what the other tests ask of them.

use crate::servers::{RedisCluster, RedisSentinel, RedisServer};

#[test]
fn a_killed_server_comes_back_with_its_snapshot_or_with_nothing() {
    let mut server = RedisServer::start();
    let _: String = server.ask(&["SET", "a", "1"]);
    server.snapshot();
    let _: String = server.ask(&["SET", "b", "1"]);
    server.restart();
    assert_eq!(server.ask::<i64>(&["EXISTS", "a", "b"]), 1);
    server.restart_empty();
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0);
}

#[test]
fn a_replica_copies_until_it_is_promoted() {
    let server = RedisServer::start();
    let replica = server.replica();
    replica.promote();
    let _: String = replica.ask(&["SET", "a", "1"]);
    assert_eq!(server.ask::<i64>(&["EXISTS", "a"]), 0);
}

#[test]
fn a_cluster_serves_every_slot() {
    let cluster = RedisCluster::start();
    assert_eq!(cluster.urls().len(), 3);
}

#[test]
fn a_sentinel_promotes_the_replica() {
    let mut group = RedisSentinel::start();
    assert_eq!(group.primary_port(), group.primary.port());
    group.primary.kill();
    group.wait_promoted();
}
