//! The same on a cluster, behind a sentinel, and for users who may not do all of it.

use super::{START, eventually, instance, keys, link, user};
use frontrow_domain::{
    id::{Position, ReservationId, RoomId, TokenId},
    line::{Fence, Token},
    time::Span,
};
use frontrow_line::{
    Leadership, PeersError,
    redis::{
        client::{ClientSettings, RedisClient},
        holds::{self, HoldChanges},
        lease::Leases,
        limits::{Allowance, Budget, SharedLimits},
        tokens::{self, TokenChanges},
    },
};
use frontrow_testkit::{
    PATIENCE,
    servers::redis::{RedisCluster, RedisSentinel, RedisServer},
};
use redis::RedisResult;

const LONG: Span = Span::from_secs(60);

/// Each part once, for rooms whose keys are all over a cluster.
async fn use_every_part(one: &RedisClient, other: &RedisClient) {
    let (way, other_way, keys) = (one.handle(), other.handle(), keys());
    let leases = Leases::new(keys.clone(), instance(1));
    let mut changed = TokenChanges::default();
    for room_id in (0..20).map(RoomId::new) {
        assert_eq!(leases.lead(&way, room_id, Fence(0), LONG).await.unwrap(), Leadership::Leader(Fence(1)));
        let token = |position| TokenId { room_id, position: Position(position) };
        for position in 1..=300 {
            changed.apply(&Token::issued(token(position), user(position), START), START);
        }
    }
    leases.release(&way).await.unwrap();
    assert!(tokens::publish(&way, &keys, &mut changed, |_| true).await.is_empty());
    for room_id in (0..20).map(RoomId::new) {
        let id = TokenId { room_id, position: Position(300) };
        assert_eq!(tokens::get(&other_way, &keys, id).await.unwrap(), Some(Token::issued(id, user(300), START)));
    }
    let due = (1..=10).map(|id| (START, ReservationId::new(id))).collect();
    holds::publish(&mut way.clone(), &keys, &HoldChanges { due, over: Vec::new() }).await.unwrap();
    assert_eq!(holds::take_due(&mut other_way.clone(), &keys, START, 100).await.unwrap().len(), 10);
    for number in 0..20 {
        let email = format!("{number}@example.com");
        let budget = Budget::Strangers { email: &email };
        assert_eq!(SharedLimits::new(way.clone(), keys.clone()).spend(budget, Allowance::per_minute(1), 1).await, None);
        assert!(
            SharedLimits::new(other_way.clone(), keys.clone())
                .spend(budget, Allowance::per_minute(1), 1)
                .await
                .is_some()
        );
    }
}

#[tokio::test]
async fn every_part_works_on_one_server() {
    let server = RedisServer::start();
    use_every_part(&link(vec![server.url()]).await, &link(vec![server.url()]).await).await;
}

#[tokio::test]
async fn every_part_works_on_a_cluster_of_three() {
    let cluster = RedisCluster::start();
    // Named one by one, and in one address.
    let hosts = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect::<Vec<_>>().join(",");
    let in_one = vec![format!("redis-cluster://{hosts}")];
    use_every_part(&link(cluster.urls()).await, &link(in_one).await).await;
    for node in &cluster.nodes {
        assert!(node.ask::<i64>(&["DBSIZE"]) > 0, "every node has some of it");
    }
    // A node that has lost its scripts gets them again.
    let way = link(cluster.urls()).await.handle();
    for node in &cluster.nodes {
        let _: String = node.ask(&["SCRIPT", "FLUSH"]);
    }
    let leases = Leases::new(keys(), instance(2));
    for room in (100..120).map(RoomId::new) {
        assert_eq!(leases.lead(&way, room, Fence(0), LONG).await.unwrap(), Leadership::Leader(Fence(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_serves_on_when_the_primary_is_killed() {
    let mut group = RedisSentinel::start();
    let (one, other) = (link(vec![group.url()]).await, link(vec![group.url()]).await);
    use_every_part(&one, &other).await;
    let leases = Leases::new(keys(), instance(3));
    let room = RoomId::new(7);
    let stands = leases.lead(&one.handle(), room, Fence(1), Span::from_millis(100)).await.unwrap();
    assert!(matches!(stands, Leadership::Leader(Fence(2..))), "{stands:?}");
    group.primary.kill();
    // Whatever the replica had not copied is lost; the number rises all the same.
    eventually("a promoted replica to be asked", async || {
        let stands = leases.lead(&one.handle(), room, Fence(2), LONG).await.ok()?;
        matches!(stands, Leadership::Leader(Fence(3..))).then_some(())
    })
    .await;
    let due = vec![(START, ReservationId::new(77))];
    let deadline = HoldChanges { due, over: Vec::new() };
    eventually("the other to follow", async || holds::publish(&mut other.handle(), &keys(), &deadline).await.ok())
        .await;
    let taken = holds::take_due(&mut one.handle(), &keys(), START, 100).await.unwrap();
    assert!(taken.contains(&ReservationId::new(77)));
    group.wait_promoted();
}

/// Why a script cannot be run, as the log has it.
async fn script_error(client: &RedisClient) -> String {
    let script = redis::Script::new("return redis.call('TIME')");
    let run: RedisResult<(i64, i64)> = script.invoke_async(&mut client.handle()).await;
    PeersError::from(run.unwrap_err()).0
}

#[tokio::test]
async fn a_user_who_may_not_run_scripts_is_refused_with_the_reason() {
    let server = RedisServer::start();
    server.add_user("clerk", &["on", ">secret", "~*", "&*", "+@all", "-@scripting"]);
    let url = format!("redis://clerk:secret@127.0.0.1:{}", server.port());
    let error = script_error(&RedisClient::open(ClientSettings::new(vec![url])).await.unwrap()).await;
    assert!(error.contains("may not run scripts"), "{error}");
    assert!(!error.contains("secret"));
}

#[tokio::test]
async fn a_server_that_is_away_is_not_called_one_without_scripts() {
    let server = RedisServer::start();
    let link = link(vec![server.url()]).await;
    drop(server);
    let error = tokio::time::timeout(PATIENCE, script_error(&link)).await.unwrap();
    assert!(!error.contains("scripts"), "{error}");
}
