//! Instances whose Redis is killed, paused, full, emptied or replaced by an older copy: order is kept, places never
//! rise, no ended token comes back, and within seconds of its return all views are what the rows say.

use crate::fixture::{HOUSE, RedisFixture, at, buyer, events_key, until};
use frontrow_domain::{
    changes::Changes,
    command::{Command, NewConcert, Outcome},
    id::{ConcertId, Position, RoomId, SeatId, TokenId, UserId},
    line::{Fence, Token, TokenStatus},
    money::Money,
    sale::DetailsChange,
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{
    HeardSince, Leadership, Peers,
    redis::{Notice, RedisSettings},
};
use frontrow_storage::Store;
use frontrow_testkit::{
    PATIENCE,
    fixture::new_seat,
    servers::redis::{RedisCluster, RedisSentinel, RedisServer},
};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Two instances with a crowd in line.
async fn crowd(urls: Vec<String>) -> RedisFixture {
    let mut office = RedisFixture::open(urls, 2, 12).await;
    office.join(0, 60).await;
    office.join(1, 60).await;
    office.churn(40).await;
    office.agree().await;
    office
}

/// From now on the server refuses every write that may need memory.
fn fill(server: &RedisServer) {
    server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
}

/// It takes writes again.
fn relieve(server: &RedisServer) {
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
}

/// Properties without Redis: the line moves, and both instances show it.
async fn goes_on(office: &mut RedisFixture) {
    office.wait_reach(false).await;
    office.churn(40).await;
    let cursor = office.store.line(HOUSE).await.unwrap().unwrap().room.cursor;
    for instance in 0..2 {
        until("the views to go on", || office.view(instance).cursor() == cursor).await;
        let queue = &office.instances[instance].queue;
        assert!(queue.unresponsive(HOUSE, 100, HeardSince::any(Time::MAX)).is_empty(), "no token is unresponsive");
        let from = Instant::now();
        while queue.lead(&[(HOUSE, Fence(0))], Span::from_secs(2)).await[0] == Leadership::Follower {
            assert!(from.elapsed() < PATIENCE, "an instance must move the line");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let looked = Instant::now();
        while office.view(instance).is_stale(office.clock.now()) {
            assert!(looked.elapsed() < PATIENCE, "the views are refreshed from the rows");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_rebuilt_after_redis_comes_back_empty() {
    let mut server = RedisServer::start();
    let mut office = crowd(vec![server.url()]).await;
    let watch = office.watch();
    server.kill();
    goes_on(&mut office).await;
    server.restart_empty();
    office.agree().await;
    office.wait_reach(true).await;
    office.churn(40).await;
    office.agree().await;
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_redis_blocks_no_caller_and_missed_events_are_announced() {
    let server = RedisServer::start();
    let mut office = crowd(vec![server.url()]).await;
    let watch = office.watch();
    server.pause();
    office.churn(10).await;
    goes_on(&mut office).await;
    // In line, so that no glance shows that they have left.
    let waiting = office.store.line(HOUSE).await.unwrap().unwrap().waiting;
    for place in waiting.iter().rev().take(10) {
        office.leave(0, place.0).await;
    }
    server.resume();
    // Nothing more is committed: only the announcement can show it.
    office.agree().await;
    office.churn(40).await;
    office.agree().await;
    watch.end().await;
    // Events whose answers were lost have come all the same.
    let stream = events_key(&server).await;
    let events: Vec<(String, HashMap<String, Vec<u8>>)> = server.ask(&["XRANGE", &stream, "-", "+"]);
    let mut numbers = HashSet::new();
    for (_, event) in &events {
        // A version and an instance of 16 bytes, then a number of which the last byte alone is below 128.
        let end = 19 + event["f"][18..].iter().take_while(|byte| **byte >= 128).count();
        assert!(numbers.insert(&event["f"][..end]), "a number was used twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_misses_one_answer_leaves_the_lines_of_others_to_them() {
    let server = RedisServer::start();
    let office = RedisFixture::open(vec![server.url()], 2, 12).await;
    let lead = async |instance: usize| {
        office.instances[instance].queue.lead(&[(HOUSE, Fence(0))], Span::from_secs(300)).await[0]
    };
    assert_ne!(lead(0).await, Leadership::Follower);
    assert_eq!(lead(1).await, Leadership::Follower);
    server.pause();
    office.wait_reach(false).await;
    let from = Instant::now();
    while lead(1).await == Leadership::Follower {
        assert!(from.elapsed() < PATIENCE, "no leader is known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.resume();
    office.wait_reach(true).await;
    assert_eq!(lead(1).await, Leadership::Follower);
    // Longer than an instance waits while no leader is known.
    tokio::time::sleep(Duration::from_millis(1_700)).await;
    server.pause();
    assert_eq!(lead(1).await, Leadership::Follower, "the leader of a moment ago leads on");
    server.resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_answered_while_a_redis_that_does_not_answer_is_still_waited_for() {
    let server = RedisServer::start();
    // Whatever waits for an answer of Redis waits for an hour.
    let mut settings = RedisSettings::new(vec![server.url()]);
    settings.client.response_timeout = Duration::from_hours(1);
    let mut office = RedisFixture::open_with(settings, 2, 12).await;
    office.join(0, 60).await;
    office.agree().await;
    server.pause();
    office.churn(20).await;
    assert!(server.is_paused());
    for instance in &office.instances {
        assert_eq!(instance.queue.check().err().map(|error| error.0), None, "no wait has been given up");
    }
    server.resume();
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_counts_as_away_until_it_takes_writes_again() {
    let server = RedisServer::start();
    let mut office = crowd(vec![server.url()]).await;
    let watch = office.watch();
    fill(&server);
    // Nothing is published meanwhile, so each instance finds out by itself.
    office.wait_reach(false).await;
    for instance in &office.instances {
        let why = instance.queue.check().unwrap_err();
        assert!(why.0.contains("OOM"), "{why}");
        assert!(instance.queue.status().unwrap().down.is_some());
    }
    goes_on(&mut office).await;
    // In line, so that no glance shows that they have left.
    let waiting = office.store.line(HOUSE).await.unwrap().unwrap().waiting;
    for place in waiting.iter().rev().take(10) {
        office.leave(0, place.0).await;
    }
    relieve(&server);
    office.wait_reach(true).await;
    // Nothing more is committed: only the announcement can show it.
    office.agree().await;
    office.churn(40).await;
    office.agree().await;
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_a_full_redis_refused_is_read_from_the_rows() {
    let server = RedisServer::start();
    let office = crowd(vec![server.url()]).await;
    fill(&server);
    // The event is refused before an instance has checked whether writes are taken.
    let answers = office.commit(0, vec![RedisFixture::advance()]).await;
    assert!(answers[0].decision.is_ok(), "{answers:?}");
    let cursor = office.store.line(HOUSE).await.unwrap().unwrap().room.cursor;
    until("the other instance to see it", || office.view(1).cursor() == cursor).await;
    office.wait_reach(false).await;
    relieve(&server);
    office.wait_reach(true).await;
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_event_of_a_line_leaves_the_caches_alone() {
    let server = RedisServer::start();
    let office = crowd(vec![server.url()]).await;
    while office.instances[1].notices.lock().unwrap().try_recv().is_ok() {}
    let waiting = office.store.line(HOUSE).await.unwrap().unwrap().waiting;
    fill(&server);
    for place in waiting.iter().rev().take(3) {
        office.leave(0, place.0).await;
    }
    office.wait_reach(false).await;
    relieve(&server);
    office.wait_reach(true).await;
    // In line, so that no refresh shows that they have left: the event about the gap did.
    office.agree().await;
    // An event after it, which arrives too.
    office.leave(0, waiting[0].0).await;
    office.agree().await;
    let notices: Vec<_> = std::iter::from_fn(|| office.instances[1].notices.lock().unwrap().try_recv().ok()).collect();
    assert_eq!(notices, [], "no event is missing that the gap does not name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_starts_while_redis_is_full() {
    let server = RedisServer::start();
    fill(&server);
    let mut office = RedisFixture::open(vec![server.url()], 2, 12).await;
    assert!(office.instances[0].queue.check().unwrap_err().0.contains("OOM"));
    office.join(0, 20).await;
    relieve(&server);
    office.wait_reach(true).await;
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_rebuilt_after_redis_is_flushed_during_a_sale() {
    let server = RedisServer::start();
    let mut office = crowd(vec![server.url()]).await;
    let watch = office.watch();
    for _ in 0..3 {
        office.churn(20).await;
        server.flush();
        office.churn(20).await;
    }
    office.agree().await;
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_tokens_are_seeded_into_an_empty_redis() {
    let server = RedisServer::start();
    let mut office = crowd(vec![server.url()]).await;
    // More than are written at a time.
    office.join(0, 10_100).await;
    office.agree().await;
    let waiting = office.store.line(HOUSE).await.unwrap().unwrap().waiting;
    // Whatever was on its way to Redis is there before it is emptied.
    office.instances[0].queue.shutdown().await;
    server.flush();
    for position in [waiting[0], waiting[waiting.len() / 2], waiting[waiting.len() - 1]] {
        let row = office.store.token(at(position.0)).await.unwrap();
        let from = Instant::now();
        while office.instances[1].queue.token(at(position.0)).await.unwrap() != row {
            assert!(from.elapsed() < PATIENCE, "the copy of {position} is not written");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_cannot_seed_redis_leaves_it_to_another() {
    let server = RedisServer::start();
    let office = crowd(vec![server.url()]).await;
    let token = room_of_one(&office, 901).await;
    let advance = Command::AdvanceRoom {
        room_id: token.room_id,
        fence: Fence(0),
        limit: 1,
        unresponsive: Vec::new(),
        outlook: None,
    };
    let sale = [
        (Caller::System, Command::AddSeats { concert_id: ConcertId::new(1), seats: vec![new_seat(1)] }),
        (Caller::System, advance),
        (buyer(901), Command::ActivateToken { token }),
        (buyer(901), Command::Hold { token, seat_ids: vec![SeatId::new(1)] }),
    ];
    for command in sale {
        let answers = office.commit(0, vec![command]).await;
        assert!(answers[0].decision.is_ok(), "{answers:?}");
    }
    let incarnations: Vec<String> = server.ask(&["KEYS", "*incarnation"]);
    let key = |part| incarnations[0].replace("incarnation", part);
    let empty = "redis.call('FLUSHALL') redis.call('SET', KEYS[1], 'takes no deadlines')";
    server.ask::<()>(&["EVAL", empty, "1", &key("holds")]);
    // Each take-over counts.
    let takers = || server.ask::<Option<i64>>(&["GET", &key("fence:-1")]).unwrap_or(0);
    until("the other instance to try", || takers() >= 2).await;
    server.ask::<()>(&["DEL", &key("holds")]);
    let nonces = || server.ask::<Vec<Option<String>>>(&["HMGET", &incarnations[0], "nonce", "seeded"]);
    until("Redis to be seeded", || nonces()[1].is_some() && nonces()[0] == nonces()[1]).await;
    assert_eq!(server.ask::<u64>(&["ZCARD", &key("holds")]), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_published_just_before_a_flush_are_read_from_the_rows() {
    let server = RedisServer::start();
    let mut office = crowd(vec![server.url()]).await;
    while office.instances[1].notices.lock().unwrap().try_recv().is_ok() {}
    // Not published, as if Redis had lost it with the rest.
    let waiting = office.store.line(HOUSE).await.unwrap().unwrap().waiting;
    let last = *waiting.last().unwrap();
    let user = office.store.token(at(last.0)).await.unwrap().unwrap().user_id;
    let leave = Command::LeaveQueue { token: at(last.0) };
    office.commit_unpublished(vec![(frontrow_domain::user::Caller::Buyer(user), leave)]).await;
    server.flush();
    office.agree().await;
    assert_eq!(office.view(1).place(last).status(), TokenStatus::Ended);
    let mut notices = std::iter::from_fn(|| office.instances[1].notices.lock().unwrap().try_recv().ok());
    assert!(notices.any(|notice| notice == Notice::Missed), "the caches are notified as well");
    office.churn(20).await;
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_with_older_data_revives_no_ended_token() {
    let mut server = RedisServer::start();
    let mut office = crowd(vec![server.url()]).await;
    let watch = office.watch();
    server.snapshot();
    office.churn(60).await;
    server.kill();
    office.churn(20).await;
    server.restart();
    office.churn(20).await;
    office.agree().await;
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_had_fallen_behind_may_take_over() {
    let group = RedisSentinel::start();
    let mut office = crowd(vec![group.url()]).await;
    let watch = office.watch();
    // The replica copies no more, so that it has none of what comes now.
    group.replica.pause();
    office.churn(60).await;
    group.primary.pause();
    group.replica.resume();
    office.churn(10).await;
    group.wait_promoted();
    office.churn(10).await;
    office.wait_reach(true).await;
    office.agree().await;
    // The old primary goes on for a moment without knowing that it is none any more.
    group.primary.resume();
    office.churn(40).await;
    office.agree().await;
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_follow_each_other_over_a_cluster() {
    let cluster = RedisCluster::start();
    let mut office = crowd(cluster.urls()).await;
    let watch = office.watch();
    office.churn(100).await;
    office.agree().await;
    for node in &cluster.nodes {
        node.flush();
    }
    office.churn(20).await;
    office.agree().await;
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_of_a_cluster_blocks_events_of_its_own_rooms_only() {
    let cluster = RedisCluster::start();
    let office = crowd(cluster.urls()).await;
    let queue = &office.instances[0].queue;
    let token = |room, position| TokenId { room_id: RoomId::new(room), position: Position(position) };
    let issue = |room, count| {
        let now = office.clock.now();
        let inserted = (1..=count).map(|at| Token::issued(token(room, at), UserId(Uuid::nil()), now));
        let mut changes = Changes { now, ..Changes::default() };
        changes.tokens.inserted = inserted.collect();
        queue.publish(&changes);
    };
    let published = async |id| {
        let from = Instant::now();
        while queue.token(id).await.unwrap().is_none() {
            assert!(from.elapsed() < PATIENCE, "{id:?} is not published");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The slots of rooms 1 and 2 are on nodes of their own, and those of the office on the third.
    let full = &cluster.nodes[0];
    let before: i64 = full.ask(&["DBSIZE"]);
    issue(1, 1);
    published(token(1, 1)).await;
    assert!(full.ask::<i64>(&["DBSIZE"]) > before, "room 1 is there");
    fill(full);
    issue(1, 20_000);
    issue(2, 300);
    published(token(2, 300)).await;
    queue.check().unwrap();
    assert_eq!(queue.token(token(1, 20_000)).await.unwrap(), None);
    relieve(full);
    published(token(1, 20_000)).await;
    office.agree().await;
}

/// The room of a new concert, with one user in line.
async fn room_of_one(office: &RedisFixture, user: u128) -> TokenId {
    let (now, day) = (office.clock.now(), Span::from_secs(86_400));
    let new = NewConcert {
        title: "Midnight Tide".to_owned(),
        artist: "Midnight Tide".to_owned(),
        venue: "Hangang Hall, Seoul".to_owned(),
        time_zone: "Asia/Seoul".to_owned(),
        concert_date: jiff::civil::date(2099, 3, 1),
        start_time: jiff::civil::time(20, 0, 0, 0),
        end_time: jiff::civil::time(22, 30, 0, 0),
        starts_at: now.plus(day),
        ends_at: now.plus(day).plus(day),
        base_price: Money::new(90_000),
        opens_at: Some(now.minus(day)),
        closes_at: None,
        own_room_max_active: Some(5),
        details: DetailsChange::default(),
    };
    let answers = office.commit(0, vec![(Caller::System, Command::CreateConcert(new))]).await;
    let Ok(Outcome::Concert(concert)) = &answers[0].decision else { panic!("{answers:?}") };
    let join = Command::IssueToken { room_id: concert.room_id, concert_id: None };
    let answers = office.commit(0, vec![(buyer(user), join)]).await;
    let Ok(Outcome::Joined { token, .. }) = &answers[0].decision else { panic!("{answers:?}") };
    token.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_blocks_rebuilds_of_its_own_rooms_only() {
    let cluster = RedisCluster::start();
    let office = crowd(cluster.urls()).await;
    let queue = &office.instances[0].queue;
    let copied = async |id| {
        let row = office.store.token(id).await.unwrap();
        let from = Instant::now();
        while queue.token(id).await.unwrap() != row {
            assert!(from.elapsed() < PATIENCE, "{id:?} is not copied");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The slots of rooms 1 and 2 are on nodes of their own, and those of the office and its house on the third.
    let [first, second] = [room_of_one(&office, 901).await, room_of_one(&office, 902).await];
    assert_eq!((first.room_id, second.room_id), (RoomId::new(1), RoomId::new(2)));
    copied(first).await;
    copied(second).await;
    fill(&cluster.nodes[0]);
    cluster.nodes.iter().for_each(RedisServer::flush);
    copied(second).await;
    copied(at(100)).await;
    assert_eq!(queue.token(first).await.unwrap(), None);
    relieve(&cluster.nodes[0]);
    copied(first).await;
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_starts_while_redis_is_away() {
    let mut server = RedisServer::start();
    server.kill();
    let mut office = RedisFixture::open(vec![server.url()], 2, 12).await;
    assert!(office.instances[0].queue.check().is_err());
    office.join(0, 60).await;
    office.commit(0, vec![RedisFixture::advance()]).await;
    office.commit(0, vec![(buyer(50), Command::LeaveQueue { token: at(50) })]).await;
    server.restart_empty();
    office.wait_reach(true).await;
    office.agree().await;
    assert_eq!(office.view(1).place(Position(50)).status(), TokenStatus::Ended);
}
