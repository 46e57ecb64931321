//! Many instances over one database: each has the lines in its own memory and publishes its changes to the others over
//! Redis. Redis never decides, and losing all of it costs nothing but time.

mod address;
pub mod client;
pub mod driven;
mod events;
mod figures;
mod follower;
mod gaps;
mod heartbeats;
pub mod holds;
pub mod keys;
pub mod lease;
pub mod limits;
mod notices;
mod publisher;
mod reader;
mod seeding;
pub mod tokens;
mod watch;

pub use events::VERSION as EVENT_VERSION;
pub use notices::Notice;

use crate::{
    lines::{CarriedSign, HeardSince, Lines, Rebuild},
    lock::lock,
    peers::{Down, Leadership, PeerFigures, PeerStatus, Peers, PeersError},
    record::{KnownHeartbeats, RecordTerms},
    replicas::{ChangeOrigin, LineReading},
    view::deltas,
};
use async_trait::async_trait;
use client::{ClientSettings, RedisClient, RedisHandle};
use follower::Follower;
use frontrow_clock::Clock;
use frontrow_domain::{
    changes::Changes,
    id::{Position, ReservationId, RoomId, TokenId},
    line::{Fence, SilentToken, Token},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_storage::{GAP_GRACE, Line, SavedLineRecord, Sharing, Store};
use heartbeats::Heartbeats;
use keys::RedisKeys;
use lease::Leases;
use notices::Notices;
use publisher::{PublishTask, Publisher};
use reader::Reader;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};
use uuid::Uuid;
use watch::Watch;

/// The error code of Redis when it takes no writes for want of memory.
const OUT_OF_MEMORY: &str = "OOM";
/// While Redis is down, an instance moves a line this often; some do so a little later than others.
const ALONE_EVERY: Duration = Duration::from_secs(1);
const ALONE_SPREAD_MS: u128 = 500;
/// How long an instance that cannot move a line leaves it to the others: its lease ends, and another instance gets it.
const LEFT_FOR: Duration = Duration::from_secs(4);

/// How an instance uses Redis.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// The address to connect to. The probe key is the installation's own, whatever is given here.
    pub client: ClientSettings,
    /// How often the rows of each busy line are refreshed.
    pub refresh_every: Duration,
    /// How often they are while Redis is down.
    pub refresh_down_every: Duration,
    /// No token is called unresponsive before the other instances had this long to publish their heartbeats.
    pub warm_up: Duration,
    /// After how long a position that was drawn and has no row counts as unassigned.
    pub gap_grace: Duration,
}

impl RedisSettings {
    /// The defaults, for the Redis at `urls`.
    #[must_use]
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            client: ClientSettings::new(urls),
            refresh_every: Duration::from_secs(2),
            refresh_down_every: Duration::from_millis(900),
            warm_up: Duration::from_secs(5),
            gap_grace: GAP_GRACE,
        }
    }
}

/// What the tasks of an instance share.
#[derive(Debug)]
struct RedisInstance {
    id: Uuid,
    keys: RedisKeys,
    client: RedisClient,
    store: Arc<dyn Store>,
    clock: Clock,
    follower: Arc<Follower>,
    publisher: Publisher,
    leases: Leases,
    heartbeats: Heartbeats,
    /// The streams are those of another Redis by now: they are to be read from their ends, and the lines to be rebuilt.
    is_other_redis: AtomicBool,
}

impl RedisInstance {
    /// Connects. See [`RedisPeers::start`].
    async fn connect(
        settings: RedisSettings,
        store: Arc<dyn Store>,
        installation: Uuid,
        id: Uuid,
        clock: Clock,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, PeersError> {
        let keys = RedisKeys::new(installation);
        // On the node of the event stream: what matters is whether it takes events.
        let probe = keys.installation_part("probe");
        let client = RedisClient::open(ClientSettings { probe, ..settings.client }).await?;
        let follower = Follower::new(Arc::clone(&store), clock.clone(), Notices::new(notices), settings.gap_grace);
        Ok(Self {
            id,
            client,
            store,
            clock,
            follower: Arc::new(follower),
            publisher: Publisher::default(),
            leases: Leases::new(keys.clone(), id),
            heartbeats: Heartbeats::new(id, settings.warm_up),
            keys,
            is_other_redis: AtomicBool::new(false),
        })
    }
}

/// One instance of many.
#[derive(Debug)]
pub struct RedisPeers {
    instance: Arc<RedisInstance>,
    /// When this instance last moved each line without a known leader, or began to miss one.
    alone: Mutex<HashMap<RoomId, Instant>>,
    _tasks: JoinSet<()>,
}

impl RedisPeers {
    fn known_heartbeats(&self, room: RoomId) -> KnownHeartbeats {
        let is_known = self.instance.client.is_up() && self.instance.heartbeats.can_judge(room, Instant::now());
        if is_known { KnownHeartbeats::All } else { KnownHeartbeats::Some }
    }

    /// Connects, and begins to follow the other instances. `installation` is the database's, `instance` is new at every
    /// start. A Redis that is down now is tried again: meanwhile the views are refreshed from the rows.
    ///
    /// # Errors
    /// The settings are wrong, or Redis refuses them.
    pub async fn start(
        settings: RedisSettings,
        store: Arc<dyn Store>,
        installation: Uuid,
        instance: Uuid,
        clock: Clock,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Arc<Self>, PeersError> {
        let (every, down_every) = (settings.refresh_every, settings.refresh_down_every);
        let instance = Arc::new(RedisInstance::connect(settings, store, installation, instance, clock, notices).await?);
        let (mut watch, mut reader) = (Watch::new(Arc::clone(&instance)), Reader::new(Arc::clone(&instance)));
        if instance.client.is_up()
            && let Err(error) = begin(&mut watch, &mut reader).await
            && instance.client.is_up()
        {
            // Redis is up and refuses, which waiting does not cure.
            return Err(error);
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(PublishTask::new(Arc::clone(&instance)).run());
        tasks.spawn(heartbeats::run(Arc::clone(&instance)));
        tasks.spawn(reader.run());
        tasks.spawn(watch.run());
        tasks.spawn(Arc::clone(&instance.follower).run(Arc::clone(&instance), every, down_every));
        Ok(Arc::new(Self { instance, alone: Mutex::default(), _tasks: tasks }))
    }

    /// The handle to Redis, for the other things that instances share.
    #[must_use]
    pub fn handle(&self) -> RedisHandle {
        self.instance.client.handle()
    }

    /// The names of this installation's keys.
    #[must_use]
    pub fn keys(&self) -> &RedisKeys {
        &self.instance.keys
    }

    /// Whether Redis can be used.
    ///
    /// # Errors
    /// It cannot; the text says why.
    pub fn check(&self) -> Result<(), PeersError> {
        match self.instance.client.why_down() {
            None => Ok(()),
            Some(why) => Err(PeersError(format!("Redis is down: {why}"))),
        }
    }

    /// Whether it is time to move the line without a known leader: every instance does so, seldom, while Redis
    /// cannot be asked.
    fn alone(&self, room: RoomId, fence: Fence) -> Leadership {
        let spread = self.instance.id.as_u128() % ALONE_SPREAD_MS;
        let pause = ALONE_EVERY + Duration::from_millis(u64::try_from(spread).unwrap_or(0));
        let now = Instant::now();
        let mut alone = lock(&self.alone);
        let last = alone.entry(room).or_insert(now);
        if now.duration_since(*last) < pause {
            return Leadership::Follower;
        }
        *last = now;
        Leadership::Leader(fence)
    }
}

/// Checks Redis and finds the ends of the streams, before any line is read from its rows.
async fn begin(watch: &mut Watch, reader: &mut Reader) -> Result<(), PeersError> {
    watch.begin().await?;
    Ok(reader.begin().await?)
}

#[async_trait]
impl Peers for RedisPeers {
    fn lines(&self) -> &Arc<Lines> {
        self.instance.follower.lines()
    }

    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    async fn rebuild(&self, line: Line, rebuild: Rebuild) {
        // How many changes had come when the rows were read is not known.
        self.instance.follower.rebuild(&line, rebuild, None).await;
    }

    fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        self.instance.follower.load_quiet_rooms(lines)
    }

    fn publish(&self, changes: &Changes) {
        self.instance.publisher.publish(changes);
        let replicas = self.instance.follower.replicas();
        for room in &changes.rooms.inserted {
            replicas.put_new(room, changes.now);
        }
        for (room, delta) in deltas(changes) {
            replicas.apply(room, &delta, ChangeOrigin::Local);
        }
    }

    fn announce_gap(&self) {
        self.instance.publisher.announce_gap(self.lines().rooms());
    }

    fn request_refresh(&self, rooms: Vec<RoomId>) {
        self.instance.follower.request(rooms, LineReading::Refresh);
    }

    fn unresponsive(&self, room: RoomId, limit: u32, since: HeardSince) -> Vec<SilentToken> {
        match self.known_heartbeats(room) {
            KnownHeartbeats::All => self.lines().unresponsive(room, limit, since),
            KnownHeartbeats::Some => Vec::new(),
        }
    }

    fn signs_of_life(&self, room: RoomId, moves: &[(Position, Position)]) -> Vec<CarriedSign> {
        heartbeats::exchanged_signs(self.known_heartbeats(room), self.lines(), room, moves)
    }

    fn line_record(&self, room: RoomId, now: Time, policy: &Policy) -> Option<SavedLineRecord> {
        if self.instance.leases.standing(room) == Leadership::Follower {
            return None;
        }
        self.lines().record(room, &RecordTerms::new(now, policy, self.known_heartbeats(room)))
    }

    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, PeersError> {
        if self.instance.client.is_up() {
            // This instance's own deadlines must be in Redis first.
            self.instance.publisher.flush().await;
        }
        Ok(holds::take_due(&mut self.instance.client.handle(), &self.instance.keys, now, limit).await?)
    }

    /// While Redis is down they are published later.
    fn add_hold_deadlines(&self, due: &[(Time, ReservationId)]) {
        for due in due.chunks(10_000) {
            self.instance.publisher.add_holds(due);
        }
    }

    async fn lead(&self, rooms: &[(RoomId, Fence)], term: Span) -> Vec<Leadership> {
        let RedisInstance { client, leases, .. } = &*self.instance;
        let now = Instant::now();
        if let Err(error) = leases.ask_for(&client.handle(), rooms, term).await {
            tracing::debug!(%error, "cannot determine the leaders of some lines");
        }
        let led = rooms.iter().map(|(room, fence)| match leases.standing(*room) {
            // It could not be asked for.
            Leadership::Follower if leases.is_due(*room, now) => self.alone(*room, *fence),
            standing => {
                lock(&self.alone).remove(room);
                standing
            }
        });
        led.collect()
    }

    /// The lease ends, and another instance gets it.
    fn leave(&self, room: RoomId) {
        self.instance.leases.leave(room, LEFT_FOR);
    }

    async fn token(&self, id: TokenId) -> Result<Option<Token>, PeersError> {
        Ok(tokens::get(&self.instance.client.handle(), &self.instance.keys, id).await?)
    }

    async fn exchange_figures(&self, own: &[u8], gone: &[Uuid]) -> Result<Vec<PeerFigures>, PeersError> {
        let RedisInstance { client, keys, id, .. } = &*self.instance;
        Ok(figures::exchange(&mut client.handle(), keys, (*id, own), gone).await?)
    }

    fn status(&self) -> Option<PeerStatus> {
        Some(PeerStatus {
            down: self
                .instance
                .client
                .why_down()
                .map(|why| if why.contains(OUT_OF_MEMORY) { Down::Full } else { Down::Unreachable }),
            event_lag: self.instance.follower.lag(),
            rebuilds: self.instance.follower.rebuilds(),
        })
    }

    async fn shutdown(&self) {
        if !self.instance.client.is_up() {
            return;
        }
        self.instance.publisher.flush().await;
        if let Err(error) = self.instance.leases.release(&self.instance.client.handle()).await {
            tracing::debug!(%error, "the leases were not released and expire by themselves");
        }
        let RedisInstance { client, keys, id, .. } = &*self.instance;
        if let Err(error) = figures::remove(&mut client.handle(), keys, *id).await {
            tracing::debug!(%error, "the other instances will take this one for one that was killed");
        }
    }
}
