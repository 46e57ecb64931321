//! Heartbeats: a token that polls at one instance is not unresponsive for another.

use super::{HOUSE, Pair, START, at, eventually, peers_over, user};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, ConcertChange, NewConcert, Outcome, Request},
    decide::decide_all,
    id::{ConcertId, Position, RoomId, TokenId},
    line::{Silence, SilentToken},
    money::Money,
    policy::{AWAY_GRACE, Policy},
    sale::{ConcertStatus, DetailsChange},
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{
    HeardSince, Peers, Rebuild,
    redis::{RedisPeers, RedisSettings},
};
use frontrow_storage::{Store, memory::MemoryStore};
use frontrow_testkit::fixture::new_seat;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) const SILENCE: Span = Span::from_secs(60);
/// Longer than from one exchange to the next.
const AN_EXCHANGE: Duration = Duration::from_millis(2_500);

/// Instances over a line of twenty tokens, which count as seen at the start.
pub(super) struct HeartbeatFixture {
    pair: Pair,
    settings: RedisSettings,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
}

impl HeartbeatFixture {
    pub(super) async fn start() -> Self {
        let pair = Pair::start().await;
        let clock = Clock::manual(START);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 0));
        for number in 1..=20 {
            let command = Command::IssueToken { room_id: HOUSE, concert_id: None };
            let request = Request { caller: Caller::Buyer(user(number)), command, idempotency: None };
            store.transact([request].into(), decide_all).await.unwrap();
        }
        let mut settings = RedisSettings::new(vec![pair.server.url()]);
        settings.warm_up = Duration::ZERO;
        Self { pair, settings, store, clock }
    }

    pub(super) async fn instance(&self, number: u128) -> Arc<RedisPeers> {
        self.instance_at(&self.clock, number).await
    }

    async fn instance_at(&self, clock: &Clock, number: u128) -> Arc<RedisPeers> {
        peers_over(&self.store, &self.settings, clock, number).await
    }

    pub(super) fn later(&self, seconds: i64) {
        self.clock.advance(Span::from_secs(seconds));
    }

    pub(super) fn poll(&self, instance: &RedisPeers, positions: &[i64]) {
        for position in positions {
            instance.lines().record_heartbeat(at(*position), self.clock.now());
        }
    }

    /// The unresponsive tokens of the house, as far as an instance can tell.
    fn unresponsive(&self, instance: &RedisPeers) -> Vec<i64> {
        let since = self.clock.now().minus(SILENCE);
        instance.unresponsive(HOUSE, 100, HeardSince::any(since)).iter().map(|token| token.position.0).collect()
    }

    pub(super) async fn wait_unresponsive(&self, instance: &RedisPeers, expected: &[i64]) {
        eventually("an instance to know the unresponsive tokens", async || {
            (self.unresponsive(instance) == expected).then_some(())
        })
        .await;
    }

    /// How many publications the stream of heartbeats has.
    fn publications(&self) -> u64 {
        let keys: Vec<String> = self.pair.server.ask(&["KEYS", "*heartbeats"]);
        keys.first().map_or(0, |key| self.pair.server.ask(&["XLEN", key]))
    }

    async fn wait_published(&self) {
        eventually("heartbeats to be published", async || (self.publications() > 0).then_some(())).await;
    }
}

/// Whether an instance knows enough to call a token unresponsive.
fn can_judge(instance: &RedisPeers, room: RoomId) -> bool {
    !instance.unresponsive(room, 1, HeardSince::any(Time::MAX)).is_empty()
}

async fn wait_can_judge(instance: &RedisPeers, room: RoomId) {
    eventually("an instance to know enough", async || can_judge(instance, room).then_some(())).await;
}

pub(super) fn all_but(positions: &[i64]) -> Vec<i64> {
    (1..=20).filter(|position| !positions.contains(position)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_poll_at_another_instance_are_responsive() {
    let office = HeartbeatFixture::start().await;
    let (leader, one, other) = (office.instance(1).await, office.instance(2).await, office.instance(3).await);
    office.later(100);
    office.poll(&one, &[2, 3, 17]);
    office.poll(&other, &[3, 9]);
    office.poll(&leader, &[1]);
    let silent = all_but(&[1, 2, 3, 9, 17]);
    office.wait_unresponsive(&leader, &silent).await;
    office.later(59);
    assert_eq!(office.unresponsive(&leader), silent);
    office.later(2);
    office.wait_unresponsive(&leader, &all_but(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_went_away_at_another_instance_is_unresponsive_after_the_grace_unless_it_came_back() {
    let office = HeartbeatFixture::start().await;
    let (leader, one, other) = (office.instance(1).await, office.instance(2).await, office.instance(3).await);
    wait_can_judge(&leader, HOUSE).await;
    office.later(5);
    for away in [4, 8] {
        one.lines().record_parting(at(away), office.clock.now());
    }
    office.later(5);
    office.poll(&other, &[8]);
    let gone = |position| SilentToken { position: Position(position), silence: Silence::Away };
    let policy = Policy::default();
    office.later(AWAY_GRACE.micros() / 1_000_000);
    for instance in [&leader, &one, &other] {
        eventually("an instance to know who went away and who came back", async || {
            let unresponsive = instance.unresponsive(HOUSE, 100, HeardSince::at(office.clock.now(), &policy));
            (unresponsive == [gone(4)]).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_of_a_resting_line_outlive_the_instance_that_recorded_them() {
    let office = HeartbeatFixture::start().await;
    let room_id = resting_line(&office.store).await;
    let (leader, other) = (office.instance(1).await, office.instance(2).await);
    for instance in [&leader, &other] {
        instance.rebuild(office.store.line(room_id).await.unwrap().unwrap(), Rebuild::IfMissing).await;
        assert!(instance.lines().busy_rooms().contains(&room_id));
    }
    office.later(100);
    other.lines().record_heartbeat(TokenId { room_id, position: Position(2) }, office.clock.now());
    office.wait_published().await;
    let published = office.publications();
    tokio::time::sleep(2 * AN_EXCHANGE).await;
    assert_eq!((published, office.publications()), (1, 1), "nothing new costs nothing");
    drop(other);
    assert!(!can_judge(&leader, room_id), "a line at rest has no leader");
    go_on(&office.store, room_id, &[&leader]).await;
    wait_can_judge(&leader, room_id).await;
    let since = office.clock.now().minus(SILENCE);
    assert_eq!(leader.unresponsive(room_id, 100, HeardSince::any(since)), [SilentToken::unheard(Position(1))]);
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
        opens_at: Some(opens_at),
        closes_at: None,
        own_room_max_active: Some(10),
        details: DetailsChange::default(),
    };
    let Outcome::Concert(concert) = run(Caller::System, Command::CreateConcert(new)).await else {
        panic!("it is made")
    };
    let (room_id, concert_id) = (concert.room_id, concert.concert_id);
    run(Caller::System, Command::AddSeats { concert_id, seats: vec![new_seat(1)] }).await;
    for number in 1..=2 {
        let join = Command::IssueToken { room_id, concert_id: Some(concert_id) };
        run(Caller::Buyer(user(number)), join).await;
    }
    let change = ConcertChange { status: Some(ConcertStatus::Postponed), ..ConcertChange::default() };
    run(Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None }).await;
    room_id
}

/// The postponed sale of a room goes on.
async fn go_on(store: &Arc<dyn Store>, room_id: RoomId, queues: &[&Arc<RedisPeers>]) {
    let change = ConcertChange { status: Some(ConcertStatus::Scheduled), ..ConcertChange::default() };
    let command =
        Command::UpdateConcert { concert_id: ConcertId::new(room_id.get()), change, basis: None, reason: None };
    let request = Request { caller: Caller::System, command, idempotency: None };
    let committed = store.transact([request].into(), decide_all).await.unwrap();
    for queue in queues {
        queue.publish(&committed.changes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_polled_elsewhere_in_a_resting_line_are_not_unresponsive_though_redis_lost_their_heartbeats() {
    let office = HeartbeatFixture::start().await;
    let room_id = resting_line(&office.store).await;
    let (leader, other) = (office.instance(1).await, office.instance(2).await);
    for instance in [&leader, &other] {
        instance.rebuild(office.store.line(room_id).await.unwrap().unwrap(), Rebuild::IfMissing).await;
    }
    office.later(100);
    for position in [1, 2] {
        other.lines().record_heartbeat(TokenId { room_id, position: Position(position) }, office.clock.now());
    }
    office.wait_published().await;
    let rebuilds = leader.status().unwrap().rebuilds;
    office.pair.server.flush();
    eventually("the line to be rebuilt", async || (leader.status().unwrap().rebuilds > rebuilds + 1).then_some(()))
        .await;
    go_on(&office.store, room_id, &[&leader, &other]).await;
    wait_can_judge(&leader, room_id).await;
    let unresponsive = || leader.unresponsive(room_id, 100, HeardSince::any(office.clock.now().minus(SILENCE)));
    assert_eq!(unresponsive(), []);
    eventually("the heartbeats to be old", async || {
        office.later(5);
        (unresponsive() == [Position(1), Position(2)].map(SilentToken::unheard)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_starts_late_counts_every_token_as_just_seen_and_follows_from_then_on() {
    let office = HeartbeatFixture::start().await;
    let first = office.instance(1).await;
    office.later(100);
    office.poll(&first, &[3]);
    office.wait_published().await;
    let late = office.instance(2).await;
    wait_can_judge(&late, HOUSE).await;
    assert_eq!(office.unresponsive(&late), [0_i64; 0]);
    office.later(30);
    office.poll(&first, &[7]);
    eventually("the next heartbeat", async || (office.publications() > 1).then_some(())).await;
    tokio::time::sleep(AN_EXCHANGE).await;
    office.later(40);
    office.wait_unresponsive(&late, &all_but(&[7])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_poll_at_an_instance_with_a_slow_clock_are_responsive() {
    for behind in [7, 60] {
        let office = HeartbeatFixture::start().await;
        let slow = Clock::manual(START);
        let (leader, late) = (office.instance(1).await, office.instance_at(&slow, 2).await);
        office.later(300);
        slow.advance(Span::from_secs(300 - behind));
        late.lines().record_heartbeat(at(5), slow.now());
        office.wait_unresponsive(&leader, &all_but(&[5])).await;
        office.later(61);
        office.wait_unresponsive(&leader, &all_but(&[])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeats_of_all_rooms_cost_one_command_and_their_stream_stays_short() {
    let office = HeartbeatFixture::start().await;
    let room_id = resting_line(&office.store).await;
    let instance = office.instance(1).await;
    instance.rebuild(office.store.line(room_id).await.unwrap().unwrap(), Rebuild::IfMissing).await;
    let key = instance.keys().installation_part("heartbeats");
    for _ in 0..2_000 {
        let _: String = office.pair.server.ask(&["XADD", &key, "*", "f", "of another version"]);
    }
    wait_can_judge(&instance, HOUSE).await;
    // Just after an exchange, so that the next one finds them all.
    let calls = office.pair.calls("xadd");
    office.poll(&instance, &[1]);
    eventually("an exchange", async || (office.pair.calls("xadd") > calls).then_some(())).await;
    let calls = office.pair.calls("xadd");
    office.poll(&instance, &(1..=20).collect::<Vec<_>>());
    instance.lines().record_heartbeat(TokenId { room_id, position: Position(2) }, office.clock.now());
    eventually("the heartbeats to be published", async || (office.pair.calls("xadd") > calls).then_some(())).await;
    tokio::time::sleep(2 * AN_EXCHANGE).await;
    assert_eq!(office.pair.calls("xadd"), calls + 1);
    assert!(office.publications() < 1_200, "{}", office.publications());
}

#[tokio::test(flavor = "multi_thread")]
async fn unpublished_heartbeats_follow_later_and_no_token_is_unresponsive_meanwhile() {
    let office = HeartbeatFixture::start().await;
    let (leader, other) = (office.instance(1).await, office.instance(2).await);
    wait_can_judge(&leader, HOUSE).await;
    office.later(100);
    office.pair.server.pause();
    office.poll(&other, &[5]);
    eventually("both to know", async || (leader.check().is_err() && other.check().is_err()).then_some(())).await;
    assert!(!can_judge(&leader, HOUSE));
    office.pair.server.resume();
    office.wait_unresponsive(&leader, &all_but(&[5])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_unresponsive_before_the_others_had_time_to_publish() {
    let mut office = HeartbeatFixture::start().await;
    office.settings.warm_up = Duration::from_secs(3);
    let from = Instant::now();
    let instance = office.instance(1).await;
    wait_can_judge(&instance, HOUSE).await;
    assert!(from.elapsed() >= office.settings.warm_up);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_version_publishes_heartbeats_no_token_is_unresponsive() {
    let office = HeartbeatFixture::start().await;
    let instance = office.instance(1).await;
    wait_can_judge(&instance, HOUSE).await;
    let key = instance.keys().installation_part("heartbeats");
    eventually("the instance to know", async || {
        let _: String = office.pair.server.ask(&["XADD", &key, "*", "f", "of another version"]);
        (!can_judge(&instance, HOUSE)).then_some(())
    })
    .await;
    wait_can_judge(&instance, HOUSE).await;
}
