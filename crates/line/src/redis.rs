//! The queue of many instances: each has the lines in its own memory and publishes its changes to the others over
//! Redis. Redis never decides, and losing all of it costs nothing but time.

mod address;
pub mod client;
mod events;
mod follower;
pub mod heartbeats;
pub mod holds;
pub mod keys;
pub mod lease;
pub mod limits;
mod publisher;
mod reader;
mod recent;
pub mod script;
mod status;
pub mod tokens;
mod watch;

use crate::{
    lines::{Lines, Rebuild},
    peers::{Down, Leadership, PeerStatus, Peers, PeersError},
    replicas::{Replicas, Source},
    view::deltas,
};
use async_trait::async_trait;
use client::{ClientSettings, Reach, RedisClient, RedisHandle};
use follower::{PendingRebuilds, ResolvedUpTo};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    id::{ConcertId, Position, ReservationId, RoomId, TokenId, UserId},
    queue::{Fence, Token},
    time::{Span, Time},
    world::Changes,
};
use frontrow_storage::{COMMIT_VISIBILITY_MAX, GAP_GRACE, Line, Sharing, Store};
use heartbeats::{Heartbeats, Near};
use keys::RedisKeys;
use lease::{Leases, Unasked};
use publisher::{PublishTask, Publisher};
use reader::Reader;
use recent::Recent;
use redis::RedisError;
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use uuid::Uuid;
use watch::Watch;

/// How many tokens may be unverified at once; beyond, the whole line is rebuilt.
const UNVERIFIED_MAX: usize = 4_096;
/// How often instances exchange heartbeats.
const EXCHANGE_EVERY: Duration = Duration::from_secs(2);
/// Rooms whose heartbeats are exchanged at a time.
const EXCHANGES_AT_ONCE: usize = 8;
/// The error code of Redis when it takes no writes for want of memory.
const OUT_OF_MEMORY: &str = "OOM";
/// While Redis is down, an instance moves a line this often; some do so a little later than others.
const ALONE_EVERY: Duration = Duration::from_secs(1);
const ALONE_SPREAD_MS: u128 = 500;
/// How long an instance that cannot move a line leaves it to the others: its lease ends, and another instance gets it.
const LEFT_FOR: Duration = Duration::from_secs(4);

/// How an instance uses Redis.
#[derive(Debug, Clone)]
pub struct Settings {
    /// See [`ClientSettings::urls`].
    pub urls: Vec<String>,
    /// See [`ClientSettings::ca_file`].
    pub ca_file: Option<PathBuf>,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long the answer to a command may take.
    pub response_timeout: Duration,
    /// How often the rows of each busy line are refreshed.
    pub refresh_every: Duration,
    /// How often they are while Redis is down.
    pub refresh_down_every: Duration,
    /// After how long without a heartbeat a token counts as unresponsive: heartbeats are kept that long.
    pub silence: Span,
    /// No token is called unresponsive before the other instances had this long to publish their heartbeats.
    pub warm_up: Duration,
    /// How often heartbeats are published for a room that needs no leader: an instance that dies takes those of so much
    /// time with it. With the longest time between two polls it must stay well below `silence`.
    pub publishes_at_rest_every: Duration,
    /// After how long a position that was drawn and has no row counts as unassigned.
    pub gap_grace: Duration,
}

impl Settings {
    /// The defaults, for the Redis at `urls`.
    #[must_use]
    pub fn new(urls: Vec<String>) -> Self {
        let client = ClientSettings::new(urls);
        Self {
            urls: client.urls,
            ca_file: client.ca_file,
            connect_timeout: client.connect_timeout,
            response_timeout: client.response_timeout,
            refresh_every: Duration::from_secs(2),
            refresh_down_every: Duration::from_millis(900),
            silence: Span::from_secs(90),
            warm_up: Duration::from_secs(5),
            publishes_at_rest_every: Duration::from_secs(20),
            gap_grace: GAP_GRACE,
        }
    }

    fn client(&self, keys: &RedisKeys) -> ClientSettings {
        ClientSettings {
            urls: self.urls.clone(),
            ca_file: self.ca_file.clone(),
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
            // On the node of the event stream: what matters is whether it takes events.
            probe: keys.installation_part("probe"),
        }
    }
}

/// A change at another instance that caches should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The session with this hash ended.
    SessionClosed([u8; 32]),
    /// The user has another role: the store has the new one.
    RoleSet(UserId),
    /// The concert is new or has changed.
    ConcertChanged(ConcertId),
    /// Some of these may have been missed: any cached row may be stale.
    Missed,
}

/// The lines of this instance, and the parts that keep them true.
#[derive(Debug)]
struct Follower {
    replicas: Replicas,
    store: Arc<dyn Store>,
    instance: Uuid,
    keys: RedisKeys,
    clock: Clock,
    recent: Arc<Recent>,
    /// When all lines were last known to be current, in microseconds since the epoch.
    confirmed: Arc<AtomicI64>,
    requested: Mutex<PendingRebuilds>,
    rebuild_news: Notify,
    unverified_tokens: mpsc::Sender<(TokenId, Time)>,
    notices: mpsc::Sender<Notice>,
    /// A notice did not fit: the next one says that some may have been missed.
    has_missed_notice: AtomicBool,
    leases: Leases,
    heartbeats: Heartbeats,
    /// How many times a line was rebuilt from its rows.
    rebuilds: AtomicU64,
    gap_grace: Duration,
    /// Rooms to refresh in the next round, even if they seem quiet.
    refresh_requests: Mutex<BTreeSet<RoomId>>,
    /// Up to where the positions of each line are resolved.
    resolved: Mutex<HashMap<RoomId, ResolvedUpTo>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follower {
    const fn lines(&self) -> &Arc<Lines> {
        self.replicas.lines()
    }

    fn notify(&self, notice: Notice) {
        let notice = if self.has_missed_notice.swap(false, Ordering::Relaxed) { Notice::Missed } else { notice };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.notices.try_send(notice) {
            self.has_missed_notice.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets the answers of Redis, and has all lines rebuilt: it is another one now, or has lost its data.
    fn forget_redis(&self) {
        self.leases.forget();
        self.heartbeats.forget();
        self.request_rebuild_of_all();
    }

    async fn exchange(&self, handle: &RedisHandle, room: RoomId) -> Result<(), RedisError> {
        let Some(view) = self.lines().view(room) else { return Ok(()) };
        let near = Near::of(room, &view);
        self.heartbeats
            .exchange(handle, near, self.clock.now(), |token, at| self.lines().record_remote_heartbeat(token, at))
            .await
    }

    /// One round over the busy rooms. In one that needs no leader no token is made dormant, but its sale may go on: its
    /// heartbeats are collected, and published seldom.
    async fn exchange_round(self: &Arc<Self>, client: &RedisClient, number: i64, publishes_at_rest_every: i64) {
        let now = self.clock.now();
        let busy = self.lines().busy_rooms().into_iter();
        let busy = busy.filter_map(|room| Some((room, self.lines().view(room)?)));
        let (moving, resting): (Vec<_>, Vec<_>) = busy.partition(|(_, view)| view.needs_leader(now));
        let mut task = Vec::new();
        for (room, view) in &resting {
            self.heartbeats.listen(Near::of(*room, view));
            // Spread over the rounds.
            if room.get().wrapping_add(number).rem_euclid(publishes_at_rest_every) == 0 {
                task.push((*room, Exchange::Publish));
            }
        }
        let ids = |rooms: &[(RoomId, _)]| -> Vec<_> { rooms.iter().map(|(room, _)| *room).collect() };
        let moving = ids(&moving);
        self.heartbeats.keep_only(&moving, &ids(&resting));
        self.leases.keep_only(&moving);
        let mut exchanges = JoinSet::new();
        for (room, talk) in moving.into_iter().map(|room| (room, Exchange::Both)).chain(task) {
            if !client.is_up() {
                break;
            }
            if exchanges.len() >= EXCHANGES_AT_ONCE {
                let _ = exchanges.join_next().await;
            }
            let (follower, handle) = (Arc::clone(self), client.handle());
            exchanges.spawn(async move {
                let talked = match talk {
                    Exchange::Both => follower.exchange(&handle, room).await,
                    Exchange::Publish => follower.heartbeats.publish(&handle, room, follower.clock.now()).await,
                };
                if let Err(error) = talked {
                    tracing::debug!(%error, room = room.get(), "heartbeats cannot be exchanged");
                }
            });
        }
        while exchanges.join_next().await.is_some() {}
    }
}

/// The queue of one instance of many.
#[derive(Debug)]
pub struct RedisPeers {
    follower: Arc<Follower>,
    client: Arc<RedisClient>,
    publisher: Arc<Publisher>,
    reach: tokio::sync::watch::Receiver<Reach>,
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
        settings: Settings,
        store: Arc<dyn Store>,
        installation: Uuid,
        instance: Uuid,
        clock: Clock,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Arc<Self>, PeersError> {
        let keys = RedisKeys::new(installation);
        let client = Arc::new(RedisClient::open(settings.client(&keys)).await?);
        if client.is_up()
            && let Err(error) = script::probe_scripting(&mut client.handle()).await
            && client.is_up()
        {
            return Err(PeersError(error.to_string()));
        }
        let confirmed = Arc::new(AtomicI64::new(0));
        let recent = Arc::new(Recent::default());
        let (publisher, items) = Publisher::new(instance, Arc::clone(&recent));
        let publisher = Arc::new(publisher);
        let (unverified_tokens, unverified_inbox) = mpsc::channel(UNVERIFIED_MAX);
        let follower = Arc::new(Follower {
            replicas: Replicas::new(Arc::clone(&confirmed)),
            store,
            instance,
            keys: keys.clone(),
            clock,
            recent,
            confirmed,
            requested: Mutex::default(),
            rebuild_news: Notify::new(),
            unverified_tokens,
            notices,
            has_missed_notice: AtomicBool::new(false),
            leases: if client.is_cluster() {
                Leases::new(keys.clone(), instance).one_by_one()
            } else {
                Leases::new(keys.clone(), instance)
            },
            heartbeats: Heartbeats::new(keys.clone(), settings.silence, settings.warm_up),
            rebuilds: AtomicU64::new(0),
            gap_grace: settings.gap_grace,
            refresh_requests: Mutex::default(),
            resolved: Mutex::default(),
        });
        let invalidated = Arc::new(Notify::new());
        let (from_end, wishes) = mpsc::channel(1);
        let mut watch = Watch {
            follower: Arc::clone(&follower),
            client: Arc::clone(&client),
            from_end,
            invalidated: Arc::clone(&invalidated),
            ids: Ids::from_os(),
            nonce: None,
            seeding: JoinSet::new(),
            seeded: Arc::default(),
        };
        let mut reader = Reader {
            follower: Arc::clone(&follower),
            client: Arc::clone(&client),
            last: None,
            numbers: HashMap::new(),
            has_unread: false,
            rebuilt_for_unread: None,
        };
        if client.is_up()
            && let Err(error) = begin(&mut watch, &mut reader).await
            && client.is_up()
        {
            // Redis is up and refuses, which waiting does not cure.
            return Err(error);
        }
        let task = PublishTask { publisher: Arc::clone(&publisher), client: Arc::clone(&client), keys, invalidated };
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run(items));
        tasks.spawn(reader.run(wishes));
        tasks.spawn(watch.run());
        tasks.spawn(Arc::clone(&follower).run_rebuilds());
        tasks.spawn(Arc::clone(&follower).verify_tokens(unverified_inbox));
        tasks.spawn(exchange_for_ever(Arc::clone(&follower), Arc::clone(&client), settings.publishes_at_rest_every));
        tasks.spawn(Arc::clone(&follower).refresh_loop(Arc::clone(&client), settings));
        let reach = client.reach();
        Ok(Arc::new(Self { follower, client, publisher, reach, alone: Mutex::default(), _tasks: tasks }))
    }

    /// The handle to Redis, for the other things that instances share.
    #[must_use]
    pub fn handle(&self) -> RedisHandle {
        self.client.handle()
    }

    /// The names of this installation's keys.
    #[must_use]
    pub fn keys(&self) -> &RedisKeys {
        &self.follower.keys
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

    /// How many batches were not published, because Redis was down or too slow.
    #[must_use]
    pub fn unpublished(&self) -> u64 {
        self.publisher.dropped.load(Ordering::Relaxed)
    }

    /// Releases the lines that this instance leads, so that others need not wait for its terms to end.
    pub async fn release(&self) {
        if let Err(error) = self.follower.leases.release(&self.client.handle()).await {
            tracing::debug!(%error, "the leases were not released and expire by themselves");
        }
    }

    /// Whether it is time to move the line without a known leader: every instance does so, seldom, while Redis
    /// cannot be asked.
    fn alone(&self, room: RoomId, fence: Fence) -> Leadership {
        let spread = self.follower.instance.as_u128() % ALONE_SPREAD_MS;
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

    async fn rebuild_line(&self, line: &Line, rebuild: Rebuild) {
        let room = line.room.room_id;
        // A commit this recent may not be visible in the rows.
        let from = line.now.minus(COMMIT_VISIBILITY_MAX);
        self.follower.rebuilds.fetch_add(1, Ordering::Relaxed);
        for (token, now) in self.follower.replicas.rebuild(line, rebuild, || self.follower.recent.decided_since(from)) {
            self.follower.verify_later(token, now);
        }
        self.follower.note_rebuilt(line, rebuild);
        if self.lines().view(room).is_none_or(|view| view.is_quiet()) {
            return;
        }
        if let Err(error) = self.follower.exchange(&self.client.handle(), room).await {
            tracing::debug!(%error, "heartbeats cannot be exchanged");
        }
    }
}

/// Checks Redis and finds the end of the stream, before any line is read from its rows.
async fn begin(watch: &mut Watch, reader: &mut Reader) -> Result<(), PeersError> {
    watch.begin().await?;
    reader.begin().await
}

/// How the heartbeats of a room are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exchange {
    /// They are published, and those of other instances are read.
    Both,
    /// They are published.
    Publish,
}

async fn exchange_for_ever(follower: Arc<Follower>, client: Arc<RedisClient>, publishes_at_rest_every: Duration) {
    let rounds = publishes_at_rest_every.as_millis() / EXCHANGE_EVERY.as_millis();
    let rounds = i64::try_from(rounds).unwrap_or(i64::MAX).max(1);
    let mut number = 0;
    loop {
        tokio::time::sleep(EXCHANGE_EVERY).await;
        follower.exchange_round(&client, number, rounds).await;
        number = (number + 1) % rounds;
    }
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
        self.rebuild_line(&line, rebuild).await;
    }

    fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        self.follower.load_quiet_rooms(lines)
    }

    fn publish(&self, changes: &Changes) {
        self.publisher.publish(changes);
        for room in &changes.rooms.inserted {
            self.follower.replicas.put_new(room, changes.now);
        }
        for (room, delta) in deltas(changes) {
            self.follower.replicas.apply(room, &delta, Source::Local);
        }
    }

    fn announce_gap(&self) {
        self.publisher.announce_gap(self.lines().rooms());
    }

    fn request_refresh(&self, rooms: Vec<RoomId>) {
        lock(&self.follower.refresh_requests).extend(rooms);
    }

    fn record_heartbeat(&self, token: TokenId, now: Time) {
        self.lines().record_heartbeat(token, now);
        self.follower.heartbeats.note(token);
    }

    fn unresponsive(&self, room: RoomId, limit: u32, since: Time) -> Vec<Position> {
        if !self.client.is_up() || !self.follower.heartbeats.can_judge(room) {
            return Vec::new();
        }
        self.lines().unresponsive(room, limit, since)
    }

    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, PeersError> {
        if self.client.is_up() {
            // This instance's own deadlines must be in Redis first.
            self.publisher.flush().await;
        }
        holds::take_due(&mut self.client.handle(), &self.follower.keys, now, limit).await.map_err(PeersError::from)
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
        let leases = &self.follower.leases;
        let asked = leases.ask_for(&self.client.handle(), rooms, term).await;
        let unasked = asked.err().map(|Unasked { rooms, error }| {
            tracing::debug!(%error, rooms = rooms.len(), "cannot determine the leader of some lines");
            rooms
        });
        let led = rooms.iter().map(|(room, fence)| match leases.standing(*room) {
            Leadership::Follower if unasked.as_ref().is_some_and(|unasked| unasked.contains(room)) => {
                self.alone(*room, *fence)
            }
            standing => standing,
        });
        led.collect()
    }

    /// The lease ends, and another instance gets it.
    fn leave(&self, room: RoomId) {
        self.follower.leases.leave(room, LEFT_FOR);
        lock(&self.alone).insert(room, Instant::now() + LEFT_FOR);
    }

    async fn token(&self, id: TokenId) -> Result<Option<Token>, PeersError> {
        tokens::get(&self.client.handle(), &self.follower.keys, id).await.map_err(PeersError::from)
    }

    fn status(&self) -> Option<PeerStatus> {
        let confirmed = Time::from_micros(self.follower.confirmed.load(Ordering::Relaxed));
        let lag = self.follower.clock.now().micros().saturating_sub(confirmed.micros());
        Some(PeerStatus {
            down: match &*self.reach.borrow() {
                Reach::Up(_) => None,
                Reach::Down(why) if why.contains(OUT_OF_MEMORY) => Some(Down::Full),
                Reach::Down(_) => Some(Down::Unreachable),
            },
            event_lag: Duration::from_micros(u64::try_from(lag).unwrap_or(0)),
            rebuilds: self.follower.rebuilds.load(Ordering::Relaxed),
        })
    }

    async fn shutdown(&self) {
        if self.client.is_up() {
            self.publisher.flush().await;
            self.release().await;
        }
    }
}
