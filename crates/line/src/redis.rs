//! Many instances over one database: each has the lines in its own memory and publishes its changes to the others over
//! Redis. Redis never decides, and losing all of it costs nothing but time.

mod address;
pub mod client;
mod events;
mod follower;
mod gaps;
mod heartbeats;
pub mod holds;
pub mod keys;
pub mod lease;
pub mod limits;
mod notices;
mod positions;
mod publisher;
mod reader;
pub mod script;
mod seeding;
mod states;
pub mod tokens;
mod watch;

pub use notices::Notice;

use crate::{
    lines::{Lines, Rebuild},
    lock::lock,
    peers::{Down, Leadership, PeerStatus, Peers, PeersError},
    replicas::{ChangeOrigin, LineReading},
    view::deltas,
};
use async_trait::async_trait;
use client::{ClientSettings, Reach, RedisClient, RedisHandle};
use follower::Follower;
use frontrow_clock::Clock;
use frontrow_domain::{
    changes::Changes,
    id::{Position, ReservationId, RoomId, TokenId},
    line::{Fence, Token},
    time::{Span, Time},
};
use frontrow_storage::{GAP_GRACE, Line, Sharing, Store};
use heartbeats::{ExchangeTask, Heartbeats};
use keys::RedisKeys;
use lease::{Leases, Unasked};
use notices::Notices;
use publisher::{PublishTask, Publisher};
use reader::Reader;
use seeding::Seeding;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc, watch::Receiver},
    task::JoinSet,
};
use uuid::Uuid;
use watch::{RedisCaches, Watch};

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
    /// How often heartbeats are published for a room that needs no leader: an instance that dies takes those of so much
    /// time with it. With the longest time between two polls it must stay well below the time after which a token
    /// without a heartbeat counts as unresponsive.
    pub publishes_at_rest_every: Duration,
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
            publishes_at_rest_every: Duration::from_secs(20),
            gap_grace: GAP_GRACE,
        }
    }
}

/// One instance of many.
#[derive(Debug)]
pub struct RedisPeers {
    instance: Uuid,
    keys: RedisKeys,
    follower: Arc<Follower>,
    leases: Arc<Leases>,
    heartbeats: Arc<Heartbeats>,
    client: Arc<RedisClient>,
    publisher: Arc<Publisher>,
    reach: Receiver<Reach>,
    /// When this instance last moved each line without a known leader.
    alone: Mutex<HashMap<RoomId, Instant>>,
    _tasks: JoinSet<()>,
}

impl RedisPeers {
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
        let keys = RedisKeys::new(installation);
        // On the node of the event stream: what matters is whether it takes events.
        let probe = keys.installation_part("probe");
        let client = Arc::new(RedisClient::open(ClientSettings { probe, ..settings.client }).await?);
        if client.is_up()
            && let Err(error) = script::probe_scripting(&mut client.handle()).await
            && client.is_up()
        {
            return Err(PeersError(error.to_string()));
        }
        let follower = Follower::new(Arc::clone(&store), clock.clone(), Notices::new(notices), settings.gap_grace);
        let (follower, leases) = (Arc::new(follower), Arc::new(Leases::new(keys.clone(), instance)));
        let heartbeats = Arc::new(Heartbeats::new(instance, settings.warm_up));
        let (publisher, items) = Publisher::new(instance);
        let publisher = Arc::new(publisher);
        let invalidated = Arc::new(Notify::new());
        let (from_end, skip_requests) = mpsc::channel(1);
        let answers = RedisCaches {
            follower: Arc::clone(&follower),
            leases: Arc::clone(&leases),
            heartbeats: Arc::clone(&heartbeats),
        };
        let seeding = Seeding::new(instance, store, Arc::clone(&client), keys.clone());
        let signals = (from_end, Arc::clone(&invalidated));
        let mut watch = Watch::new(instance, Arc::clone(&client), keys.clone(), answers, seeding, signals);
        let mut reader =
            Reader::new(instance, Arc::clone(&follower), Arc::clone(&heartbeats), Arc::clone(&client), &keys);
        if client.is_up()
            && let Err(error) = begin(&mut watch, &mut reader).await
            && client.is_up()
        {
            // Redis is up and refuses, which waiting does not cure.
            return Err(error);
        }
        let (every, down_every) = (settings.refresh_every, settings.refresh_down_every);
        let publish = PublishTask {
            publisher: Arc::clone(&publisher),
            client: Arc::clone(&client),
            keys: keys.clone(),
            invalidated,
        };
        let exchange = ExchangeTask {
            lines: Arc::clone(follower.lines()),
            heartbeats: Arc::clone(&heartbeats),
            leases: Arc::clone(&leases),
            client: Arc::clone(&client),
            keys: keys.clone(),
            clock,
            at_rest_every: settings.publishes_at_rest_every,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(publish.run(items));
        tasks.spawn(exchange.run());
        tasks.spawn(reader.run(skip_requests));
        tasks.spawn(watch.run());
        tasks.spawn(Arc::clone(&follower).run(Arc::clone(&client), every, down_every));
        let (reach, alone) = (client.reach(), Mutex::default());
        Ok(Arc::new(Self {
            instance,
            keys,
            follower,
            leases,
            heartbeats,
            client,
            publisher,
            reach,
            alone,
            _tasks: tasks,
        }))
    }

    /// The handle to Redis, for the other things that instances share.
    #[must_use]
    pub fn handle(&self) -> RedisHandle {
        self.client.handle()
    }

    /// The names of this installation's keys.
    #[must_use]
    pub const fn keys(&self) -> &RedisKeys {
        &self.keys
    }

    /// Whether Redis can be used.
    ///
    /// # Errors
    /// It cannot; the text says why.
    pub fn check(&self) -> Result<(), PeersError> {
        match &*self.reach.borrow() {
            Reach::Up(_) => Ok(()),
            Reach::Down(why) => Err(PeersError(format!("Redis is down: {why}"))),
        }
    }

    /// Whether it is time to move the line without a known leader: every instance does so, seldom, while Redis
    /// cannot be asked.
    fn alone(&self, room: RoomId, fence: Fence) -> Leadership {
        let spread = self.instance.as_u128() % ALONE_SPREAD_MS;
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

/// Checks Redis and finds the end of the stream, before any line is read from its rows.
async fn begin(watch: &mut Watch, reader: &mut Reader) -> Result<(), PeersError> {
    watch.begin().await?;
    reader.begin().await
}

#[async_trait]
impl Peers for RedisPeers {
    fn lines(&self) -> &Arc<Lines> {
        self.follower.lines()
    }

    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    async fn rebuild(&self, line: Line, rebuild: Rebuild) {
        // How many changes had come when the rows were read is not known.
        self.follower.replicas().rebuild(&line, rebuild, None);
    }

    fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        self.follower.replicas().load_quiet_rooms(lines)
    }

    fn publish(&self, changes: &Changes) {
        self.publisher.publish(changes);
        let replicas = self.follower.replicas();
        for room in &changes.rooms.inserted {
            replicas.put_new(room, changes.now);
        }
        for (room, delta) in deltas(changes) {
            replicas.apply(room, &delta, ChangeOrigin::Local);
        }
    }

    fn announce_gap(&self) {
        self.publisher.announce_gap(self.lines().rooms());
    }

    fn request_refresh(&self, rooms: Vec<RoomId>) {
        self.follower.request(rooms, LineReading::Refresh);
    }

    fn unresponsive(&self, room: RoomId, limit: u32, since: Time) -> Vec<Position> {
        if !self.client.is_up() || !self.heartbeats.can_judge(room) {
            return Vec::new();
        }
        self.lines().unresponsive(room, limit, since)
    }

    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, PeersError> {
        if self.client.is_up() {
            // This instance's own deadlines must be in Redis first.
            self.publisher.flush().await;
        }
        Ok(holds::take_due(&mut self.client.handle(), &self.keys, now, limit).await?)
    }

    /// While Redis is down they are published later.
    fn add_hold_deadlines(&self, due: &[(Time, ReservationId)]) {
        for due in due.chunks(10_000) {
            self.publisher.add_holds(due);
        }
    }

    async fn lead(&self, rooms: &[(RoomId, Fence)], term: Span) -> Vec<Leadership> {
        if !self.client.is_up() {
            return rooms.iter().map(|(room, fence)| self.alone(*room, *fence)).collect();
        }
        let asked = self.leases.ask_for(&self.client.handle(), rooms, term).await;
        let unasked = asked.err().map(|Unasked { rooms, error }| {
            tracing::debug!(%error, rooms = rooms.len(), "cannot determine the leader of some lines");
            rooms
        });
        let led = rooms.iter().map(|(room, fence)| match self.leases.standing(*room) {
            Leadership::Follower if unasked.as_ref().is_some_and(|unasked| unasked.contains(room)) => {
                self.alone(*room, *fence)
            }
            standing => standing,
        });
        led.collect()
    }

    /// The lease ends, and another instance gets it.
    fn leave(&self, room: RoomId) {
        self.leases.leave(room, LEFT_FOR);
        lock(&self.alone).insert(room, Instant::now() + LEFT_FOR);
    }

    async fn token(&self, id: TokenId) -> Result<Option<Token>, PeersError> {
        Ok(tokens::get(&self.client.handle(), &self.keys, id).await?)
    }

    fn status(&self) -> Option<PeerStatus> {
        Some(PeerStatus {
            down: match &*self.reach.borrow() {
                Reach::Up(_) => None,
                Reach::Down(why) if why.contains(OUT_OF_MEMORY) => Some(Down::Full),
                Reach::Down(_) => Some(Down::Unreachable),
            },
            event_lag: self.follower.lag(),
            rebuilds: self.follower.rebuilds(),
        })
    }

    async fn shutdown(&self) {
        if !self.client.is_up() {
            return;
        }
        self.publisher.flush().await;
        if let Err(error) = self.leases.release(&self.client.handle()).await {
            tracing::debug!(%error, "the leases were not released and expire by themselves");
        }
    }
}
