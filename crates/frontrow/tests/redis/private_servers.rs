//! The private servers do what the other tests ask of them.

use frontrow_testkit::servers::{
    port::Port,
    redis::{RedisCluster, RedisSentinel, RedisServer},
};
use std::net::{TcpListener, TcpStream};
use tokio::net::TcpSocket;

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

#[test]
fn a_port_that_a_test_has_refuses_connections_and_is_given_to_its_server_alone() {
    let port = Port::take();
    let address = ([127, 0, 0, 1], port.number()).into();
    let refused = || TcpStream::connect(address).unwrap_err().kind() == std::io::ErrorKind::ConnectionRefused;
    for _ in 0..2 {
        assert!(refused());
        // As servers do, it sets SO_REUSEADDR.
        let server = TcpListener::bind(address).unwrap();
        TcpStream::connect(address).unwrap();
        drop(server);
    }
    assert!(refused());
    // As a socket that is given a port by chance, or an outgoing connection, it does not.
    let stranger = TcpSocket::new_v4().unwrap();
    assert_eq!(stranger.bind(address).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
