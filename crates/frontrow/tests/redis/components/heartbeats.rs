//! Heartbeats: who polls at one instance is not silent for another.

use super::{HOUSE, Pair, START, at, eventually, keys, link, queue_over, user};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, ConcertChange, NewConcert, Outcome, Request},
    concert::ConcertStatus,
    decide::decide_all,
    id::{ConcertId, Position, RoomId, TokenId},
    model::Model,
    money::Money,
    policy::Policy,
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{
    Peers, Rebuild, SoleInstance,
    redis::{
        RedisPeers, Settings,
        client::RedisClient,
        heartbeats::{Heartbeats, Near},
    },
};
use frontrow_storage::{Line, Store, memory::MemoryStore};
use frontrow_testkit::servers::redis::RedisServer;
use std::{sync::Arc, time::Duration};

const SILENCE: Span = Span::from_secs(60);

/// An instance: its views and the heartbeats that it publishes.
struct Instance {
    queue: SoleInstance,
    heartbeats: Heartbeats,
    client: RedisClient,
}

impl Instance {
    /// One with a line of this many, whose tokens all count as just seen at the start.
    async fn start(client: RedisClient, waiting: i64) -> Self {
        let store = MemoryStore::new(Clock::manual(START), Policy::default(), 0);
        let queue = SoleInstance::new(Arc::new(store));
        let line = Line {
            room: Model::new(0, START).rooms[&HOUSE].clone(),
            highest: Position(waiting),
            waiting: (1..=waiting).map(Position).collect(),
            in_flight: Vec::new(),
            others: Vec::new(),
            now: START,
        };
        queue.rebuild(line, Rebuild::Replace).await;
        Self { queue, heartbeats: Heartbeats::new(keys(), SILENCE, Duration::ZERO), client }
    }

    fn poll(&self, position: i64, now: Time) {
        self.queue.record_heartbeat(at(position), now);
        self.heartbeats.note(at(position));
    }

    async fn exchange(&self, now: Time) -> redis::RedisResult<()> {
        let view = self.queue.lines().view(HOUSE).unwrap();
        let near = Near::of(HOUSE, &view);
        self.heartbeats
            .exchange(&self.client.handle(), near, now, |token, at| self.queue.record_heartbeat(token, at))
            .await
    }

    fn unresponsive(&self, now: Time) -> Vec<i64> {
        self.queue.unresponsive(HOUSE, 500, now.minus(SILENCE)).iter().map(|position| position.0).collect()
    }
}

fn after(seconds: i64) -> Time {
    START.plus(Span::from_secs(seconds))
}

#[tokio::test]
async fn tokens_that_poll_at_another_instance_are_responsive() {
    let pair = Pair::start().await;
    let third = link(vec![pair.server.url()]).await;
    let leader = Instance::start(pair.one, 20).await;
    let others = [Instance::start(pair.other, 20).await, Instance::start(third, 20).await];
    // The first exchange makes room for what is noted later.
    for instance in others.iter().chain([&leader]) {
        instance.exchange(after(1)).await.unwrap();
    }
    let now = after(100);
    for position in [2, 3, 17] {
        others[0].poll(position, now);
    }
    for position in [3, 9] {
        others[1].poll(position, now);
    }
    leader.poll(1, now);
    assert_eq!(leader.unresponsive(now).len(), 19, "it has seen one itself");
    for instance in others.iter().chain([&leader]) {
        instance.exchange(now).await.unwrap();
    }
    let silent: Vec<_> = (1..=20).filter(|position| ![1, 2, 3, 9, 17].contains(position)).collect();
    assert_eq!(leader.unresponsive(now), silent);
    assert_eq!(leader.unresponsive(after(159)), silent);
    assert_eq!(leader.unresponsive(after(166)).len(), 20, "a token that was seen once is not responsive for ever");
}

/// The same through the whole queues of two instances, by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_the_leader_puts_aside_the_silent_alone() {
    let server = RedisServer::start();
    let clock = Clock::manual(START);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 0));
    for number in 1..=20 {
        let command = Command::IssueToken { room_id: HOUSE, concert_id: None };
        let request = Request { caller: Caller::Buyer(user(number)), command, idempotency: None };
        store.transact([request].into(), decide_all).await.unwrap();
    }
    let mut settings = Settings::new(vec![server.url()]);
    settings.silence = SILENCE;
    settings.warm_up = Duration::from_millis(100);
    let start = |number| queue_over(&store, &settings, &clock, number);
    let (leader, other) = (start(1).await, start(2).await);
    clock.advance(Span::from_secs(100));
    let now = clock.now();
    let polls = [2, 3, 17];
    let silent: Vec<_> = (1..=20).map(Position).filter(|position| !polls.contains(&position.0)).collect();
    eventually("the leader to know who is silent", async || {
        for position in polls {
            other.record_heartbeat(at(position), now);
        }
        let unresponsive = leader.unresponsive(HOUSE, 100, now.minus(SILENCE));
        (unresponsive == silent).then_some(())
    })
    .await;
}

#[tokio::test]
async fn heartbeats_of_a_resting_line_outlive_the_instance_that_recorded_them() {
    let pair = Pair::start().await;
    let leader = Instance::start(link(vec![pair.server.url()]).await, 20).await;
    let other = Instance::start(link(vec![pair.server.url()]).await, 20).await;
    let rest = |instance: &Instance| {
        instance.heartbeats.listen(Near::of(HOUSE, &instance.queue.lines().view(HOUSE).unwrap()));
        instance.heartbeats.keep_only(&[], &[HOUSE]);
    };
    for instance in [&leader, &other] {
        instance.exchange(after(1)).await.unwrap();
        assert!(instance.heartbeats.can_judge(HOUSE));
        rest(instance);
        assert!(!instance.heartbeats.can_judge(HOUSE));
    }
    let calls = pair.calls("mget");
    other.poll(5, after(100));
    leader.poll(6, after(100));
    rest(&other);
    other.heartbeats.publish(&other.client.handle(), HOUSE, after(110)).await.unwrap();
    let published = pair.calls("set");
    other.heartbeats.publish(&other.client.handle(), HOUSE, after(120)).await.unwrap();
    assert_eq!((pair.calls("mget"), pair.calls("set")), (calls, published), "no call asks, and nothing new costs none");
    drop(other);
    rest(&leader);
    // The sale goes on.
    assert!(!leader.heartbeats.can_judge(HOUSE), "it does not know yet what the others know");
    leader.exchange(after(130)).await.unwrap();
    let silent: Vec<_> = (1..=20).filter(|position| ![5, 6].contains(position)).collect();
    assert_eq!((leader.heartbeats.can_judge(HOUSE), leader.unresponsive(after(130))), (true, silent));
}

/// A room of its own for a sale that is postponed, in whose line two wait.
async fn resting_line(store: &Arc<dyn Store>) -> RoomId {
    let run = async |caller, command| {
        let request = Request { caller, command, idempotency: None };
        let committed = store.transact([request].into(), decide_all).await.unwrap();
        committed.answers.into_iter().next().unwrap().decision.unwrap()
    };
    let opens_at = START.minus(Span::from_secs(60));
    let starts_at = START.plus(Span::from_secs(86_400));
    let new = NewConcert {
        title: "Midnight Tide".to_owned(),
        artist: "Midnight Tide".to_owned(),
        venue: "Hangang Hall".to_owned(),
        time_zone: "Asia/Seoul".to_owned(),
        concert_date: jiff::civil::date(2030, 3, 18),
        start_time: jiff::civil::time(20, 0, 0, 0),
        end_time: jiff::civil::time(22, 0, 0, 0),
        starts_at,
        ends_at: starts_at.plus(Span::from_secs(7_200)),
        base_price: Money::new(1),
        opens_at,
        closes_at: None,
        own_room_max_active: Some(10),
    };
    let Outcome::Concert(concert) = run(Caller::System, Command::CreateConcert(new)).await else {
        panic!("it is made")
    };
    let (room_id, concert_id) = (concert.room_id, concert.concert_id);
    for number in 1..=2 {
        let join = Command::IssueToken { room_id, concert_id: Some(concert_id) };
        run(Caller::Buyer(user(number)), join).await;
    }
    let change = ConcertChange { status: Some(ConcertStatus::Postponed), ..ConcertChange::default() };
    run(Caller::System, Command::UpdateConcert { concert_id, change }).await;
    room_id
}

/// The postponed sale of a room goes on.
async fn go_on(store: &Arc<dyn Store>, room_id: RoomId, queues: &[&Arc<RedisPeers>]) {
    let change = ConcertChange { status: Some(ConcertStatus::Scheduled), ..ConcertChange::default() };
    let command = Command::UpdateConcert { concert_id: ConcertId::new(room_id.get()), change };
    let request = Request { caller: Caller::System, command, idempotency: None };
    let committed = store.transact([request].into(), decide_all).await.unwrap();
    for queue in queues {
        queue.publish(&committed.changes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_of_a_resting_line_are_published_and_none_are_fetched() {
    let pair = Pair::start().await;
    let clock = Clock::manual(START);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 0));
    let room_id = resting_line(&store).await;
    let mut settings = Settings::new(vec![pair.server.url()]);
    settings.publishes_at_rest_every = Duration::ZERO;
    let queue = queue_over(&store, &settings, &clock, 1).await;
    queue.rebuild(store.line(room_id).await.unwrap().unwrap(), Rebuild::IfMissing).await;
    assert_eq!(queue.lines().busy_rooms(), [room_id]);
    let asked = pair.calls("mget");
    let second = TokenId { room_id, position: Position(2) };
    let bits = eventually("the heartbeats to be published", async || {
        queue.record_heartbeat(second, clock.now());
        let keys: Vec<String> = pair.server.ask(&["KEYS", &format!("*{{r{room_id}}}:heard:*")]);
        let key = keys.first()?;
        Some(pair.server.ask::<Vec<u8>>(&["GET", key]))
    })
    .await;
    assert_eq!((bits[0], pair.calls("mget")), (0b0010_0000, asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_polled_elsewhere_in_a_line_at_rest_are_not_called_silent_though_redis_lost_their_signs() {
    let pair = Pair::start().await;
    let clock = Clock::manual(START);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 0));
    let room_id = resting_line(&store).await;
    let mut settings = Settings::new(vec![pair.server.url()]);
    settings.silence = SILENCE;
    settings.warm_up = Duration::ZERO;
    settings.publishes_at_rest_every = Duration::ZERO;
    let (leader, other) =
        (queue_over(&store, &settings, &clock, 1).await, queue_over(&store, &settings, &clock, 2).await);
    for queue in [&leader, &other] {
        queue.rebuild(store.line(room_id).await.unwrap().unwrap(), Rebuild::IfMissing).await;
    }
    clock.advance(Span::from_secs(100));
    eventually("the heartbeats to be published", async || {
        for position in [1, 2] {
            other.record_heartbeat(TokenId { room_id, position: Position(position) }, clock.now());
        }
        let keys: Vec<String> = pair.server.ask(&["KEYS", &format!("*{{r{room_id}}}:heard:*")]);
        (!keys.is_empty()).then_some(())
    })
    .await;
    let rebuilds = leader.status().unwrap().rebuilds;
    pair.server.flush();
    eventually("the line to be read again", async || (leader.status().unwrap().rebuilds > rebuilds).then_some(()))
        .await;
    go_on(&store, room_id, &[&leader, &other]).await;
    let asked = pair.calls("mget");
    eventually("some exchanges", async || (pair.calls("mget") >= asked + 4).then_some(())).await;
    assert_eq!(leader.unresponsive(room_id, 100, clock.now().minus(SILENCE)), []);
    eventually("the heartbeats to be old", async || {
        clock.advance(Span::from_secs(5));
        let unresponsive = leader.unresponsive(room_id, 100, clock.now().minus(SILENCE));
        (unresponsive == [Position(1), Position(2)]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_new_leader_knows_the_heartbeats_of_before() {
    let pair = Pair::start().await;
    let first = Instance::start(pair.one, 40_000).await;
    first.exchange(after(1)).await.unwrap();
    for position in 1..=40_000 {
        first.poll(position, after(100));
    }
    first.exchange(after(100)).await.unwrap();
    first.poll(7, after(130));
    first.exchange(after(130)).await.unwrap();
    let late = Instance::start(pair.other, 40_000).await;
    late.exchange(after(140)).await.unwrap();
    assert_eq!(late.unresponsive(after(140)), [0_i64; 0]);
    assert_eq!(late.unresponsive(after(166))[..7], [1, 2, 3, 4, 5, 6, 8]);
    // All of it goes by itself.
    let kept: Vec<String> = pair.server.ask(&["KEYS", "*heard*"]);
    assert_eq!(kept.len(), 4, "three chunks in one window, one in another: {kept:?}");
    for key in kept {
        assert!((1..=90_000).contains(&pair.server.ask::<i64>(&["PTTL", &key])));
    }
}

#[tokio::test]
async fn tokens_that_poll_at_an_instance_with_a_slow_clock_are_responsive() {
    for behind in [7, 12, 31, 60] {
        let pair = Pair::start().await;
        let leader = Instance::start(link(vec![pair.server.url()]).await, 20).await;
        let (late, timely) = (Instance::start(pair.one, 20).await, Instance::start(pair.other, 20).await);
        let mut heard_from = None;
        // An exchange of each every two seconds.
        for second in (300..400).step_by(2) {
            let (now, other_now) = (after(second), after(second - behind));
            if second == 310 {
                late.poll(5, other_now);
                timely.poll(6, now);
            }
            late.exchange(other_now).await.unwrap();
            timely.exchange(now).await.unwrap();
            leader.exchange(now).await.unwrap();
            let unresponsive = leader.unresponsive(now);
            if second >= 310 && !unresponsive.contains(&5) {
                heard_from.get_or_insert(second);
            }
            assert_eq!(unresponsive.contains(&6), !(310..376).contains(&second), "{behind}: {second}");
        }
        // The beats of a few exchanges later it is known, and it is not for ever.
        assert!(heard_from.is_some_and(|from| from <= 330), "{behind}: {heard_from:?}");
        assert!(leader.unresponsive(after(400)).contains(&5), "{behind}");
    }
}

#[tokio::test]
async fn windows_that_have_passed_are_read_again_a_few_at_a_time() {
    let pair = Pair::start().await;
    let leader = Instance::start(link(vec![pair.server.url()]).await, 20).await;
    leader.exchange(after(300)).await.unwrap();
    let lookups = || -> u64 {
        ["keyspace_hits", "keyspace_misses"]
            .iter()
            .map(|name| pair.server.info("stats", name).parse::<u64>().unwrap())
            .sum()
    };
    let (calls, before) = (pair.calls("mget"), lookups());
    for second in (302..392).step_by(2) {
        leader.exchange(after(second)).await.unwrap();
    }
    assert_eq!(pair.calls("mget") - calls, 45, "one command an exchange");
    // Three or four windows that are now, and about two that have passed.
    assert!((45 * 4..=45 * 6).contains(&(lookups() - before)), "{}", lookups() - before);
}

#[tokio::test]
async fn unpublished_heartbeats_follow_later_and_no_token_is_unresponsive_meanwhile() {
    let mut pair = Pair::start().await;
    let leader = Instance::start(pair.one, 20).await;
    let other = Instance::start(pair.other, 20).await;
    leader.exchange(after(1)).await.unwrap();
    other.exchange(after(1)).await.unwrap();
    assert!(leader.heartbeats.can_judge(HOUSE));
    other.poll(5, after(100));
    pair.server.kill();
    eventually("both to know", async || {
        let failed = leader.exchange(after(100)).await.is_err() && other.exchange(after(100)).await.is_err();
        failed.then_some(())
    })
    .await;
    assert!(!leader.heartbeats.can_judge(HOUSE));
    pair.server.restart_empty();
    eventually("both to be back", async || {
        let done = other.exchange(after(101)).await.is_ok() && leader.exchange(after(101)).await.is_ok();
        done.then_some(())
    })
    .await;
    assert!(!leader.unresponsive(after(101)).contains(&5));
    assert!(leader.heartbeats.can_judge(HOUSE));
}

#[tokio::test]
async fn no_token_is_unresponsive_before_the_others_had_time_to_publish() {
    let pair = Pair::start().await;
    let heartbeats = Heartbeats::new(keys(), SILENCE, Duration::from_millis(300));
    let near = Near { room: HOUSE, cursor: Position(0), tail: Position(9), returned: &[] };
    assert!(!heartbeats.can_judge(HOUSE));
    heartbeats.exchange(&pair.one.handle(), near, START, |_, _| ()).await.unwrap();
    assert!(!heartbeats.can_judge(HOUSE));
    eventually("the others to have had time", async || {
        heartbeats.exchange(&pair.one.handle(), near, START, |_, _| ()).await.unwrap();
        heartbeats.can_judge(HOUSE).then_some(())
    })
    .await;
    heartbeats.forget();
    assert!(!heartbeats.can_judge(HOUSE));
}

#[tokio::test]
async fn tokens_behind_the_cursor_are_published_too() {
    let pair = Pair::start().await;
    let near = |returned| Near { room: HOUSE, cursor: Position(500_000), tail: Position(600_000), returned };
    let returned = [Position(3), Position(40_000)];
    let (one, other) =
        (Heartbeats::new(keys(), SILENCE, Duration::ZERO), Heartbeats::new(keys(), SILENCE, Duration::ZERO));
    one.exchange(&pair.one.handle(), near(&returned), START, |_, _| ()).await.unwrap();
    for position in [3, 40_000, 90_000, 500_001, 599_999] {
        one.note(at(position));
    }
    one.exchange(&pair.one.handle(), near(&returned), START, |_, _| ()).await.unwrap();
    let mut seen = Vec::new();
    other.exchange(&pair.other.handle(), near(&returned), START, |token, _| seen.push(token)).await.unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [3, 40_000, 500_001, 599_999].map(at));
}
