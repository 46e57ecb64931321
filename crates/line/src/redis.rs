//! The queue of many instances: each has the lines in its own memory and tells the others, over Redis, what it
//! changed. Redis never decides, and losing all of it costs nothing but time.

mod frames;
pub mod heard;
pub mod holds;
pub mod keys;
mod laying;
pub mod lease;
pub mod limits;
pub mod link;
mod publisher;
mod reader;
mod recent;
pub mod script;
mod status;
mod tls;
pub mod tokens;
mod watch;

use super::{
    Away, Leadership, Queue, QueueError, Vitals,
    memory::{Lay, MemoryQueue, Source},
    view::{RoomView, deltas},
};
use async_trait::async_trait;
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    id::{ConcertId, Position, ReservationId, RoomId, TokenId, UserId},
    queue::{Fence, Token},
    time::{Span, Time},
    world::Changes,
};
use frontrow_storage::{LATE_MAX, Line, Sharing, Store, UNSETTLED_FOR};
use heard::{Heartbeats, Near};
use keys::Keys;
use laying::{Settled, Wanted};
use lease::{Leases, Unasked};
use link::{Link, LinkSettings, Reach, Way};
use publisher::{Publisher, Telling};
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

/// How many tokens may be in doubt at once; beyond, the whole line is read from its rows.
const DOUBTS_MAX: usize = 4_096;
/// How often instances tell each other whom they heard of.
const EXCHANGE_EVERY: Duration = Duration::from_secs(2);
/// Of how many rooms they do so at a time.
const EXCHANGES_AT_ONCE: usize = 8;
/// What Redis says when it takes no writes for want of memory.
const OUT_OF_MEMORY: &str = "OOM";
/// While Redis is away, an instance moves a line this often; some do so a little later than others.
const ALONE_EVERY: Duration = Duration::from_secs(1);
const ALONE_SPREAD_MS: u128 = 500;

/// How an instance uses Redis.
#[derive(Debug, Clone)]
pub struct Settings {
    /// See [`LinkSettings::urls`].
    pub urls: Vec<String>,
    /// See [`LinkSettings::ca_file`].
    pub ca_file: Option<PathBuf>,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long the answer to a command may take.
    pub response_timeout: Duration,
    /// How often the rows of each line are looked at.
    pub glance_every: Duration,
    /// How often they are while Redis is away.
    pub glance_away_every: Duration,
    /// After how long without a sign somebody in line is put aside: heartbeats are kept that long.
    pub silence: Span,
    /// Nobody is called silent before the others had this long to tell whom they heard of.
    pub settles_in: Duration,
    /// How often an instance tells of which tokens it heard in a room that needs no leader: an instance that dies takes
    /// the signs of so much time with it. With the longest time between two signs it must stay well below `silence`.
    pub tells_at_rest_every: Duration,
    /// After how long a number that was drawn and has no row is nobody's.
    pub unsettled_for: Duration,
}

impl Settings {
    /// The usual ones, for the Redis at `urls`.
    #[must_use]
    pub fn new(urls: Vec<String>) -> Self {
        let link = LinkSettings::new(urls);
        Self {
            urls: link.urls,
            ca_file: link.ca_file,
            connect_timeout: link.connect_timeout,
            response_timeout: link.response_timeout,
            glance_every: Duration::from_secs(2),
            glance_away_every: Duration::from_millis(900),
            silence: Span::from_secs(90),
            settles_in: Duration::from_secs(5),
            tells_at_rest_every: Duration::from_secs(20),
            unsettled_for: UNSETTLED_FOR,
        }
    }

    fn link(&self, keys: &Keys) -> LinkSettings {
        LinkSettings {
            urls: self.urls.clone(),
            ca_file: self.ca_file.clone(),
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
            // Near the frames: what matters is whether they are taken.
            probe: keys.office("probe"),
        }
    }
}

/// What another instance did that caches should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The session with this hash ended.
    SessionClosed([u8; 32]),
    /// The user has another role: which one, the store says.
    RoleSet(UserId),
    /// The concert is new or has changed.
    ConcertChanged(ConcertId),
    /// Some of these may have been missed: nothing that is kept in memory is sure any more.
    Laid,
}

/// The lines of this instance, and what keeps them true.
#[derive(Debug)]
struct Lines {
    memory: MemoryQueue,
    store: Arc<dyn Store>,
    instance: Uuid,
    keys: Keys,
    clock: Clock,
    recent: Arc<Recent>,
    /// When all lines were last known to be the newest, in microseconds since the epoch.
    confirmed: Arc<AtomicI64>,
    wanted: Mutex<Wanted>,
    wanted_news: Notify,
    doubts: mpsc::Sender<(TokenId, Time)>,
    notices: mpsc::Sender<Notice>,
    /// A notice found no room: the next one says that some may have been missed.
    has_missed_notice: AtomicBool,
    leases: Leases,
    heartbeats: Heartbeats,
    /// How often a line was read from its rows.
    lays: AtomicU64,
    unsettled_for: Duration,
    /// Rooms that are to be looked at in the next round, though nothing seems to live in them.
    doubted_rooms: Mutex<BTreeSet<RoomId>>,
    /// Up to where the numbers of each line are settled.
    settled: Mutex<HashMap<RoomId, Settled>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    fn notify(&self, notice: Notice) {
        let notice = if self.has_missed_notice.swap(false, Ordering::Relaxed) { Notice::Laid } else { notice };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.notices.try_send(notice) {
            self.has_missed_notice.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets what Redis answered, and has all lines read again: it is another one now, or has lost what it knew.
    fn forget_redis(&self) {
        self.leases.forget();
        self.heartbeats.forget();
        self.want_all();
    }

    async fn exchange(&self, way: &Way, room: RoomId) -> Result<(), RedisError> {
        let Some(view) = self.memory.view(room) else { return Ok(()) };
        let near = Near::of(room, &view);
        self.heartbeats.exchange(way, near, self.clock.now(), |token, at| self.memory.heard_later(token, at)).await
    }

    /// One round over the busy rooms. In one that needs no leader no token can be put aside, but its sale may go on: what
    /// this instance hears there is noted, and told seldom.
    async fn exchange_round(self: &Arc<Self>, link: &Link, number: i64, tells_at_rest_every: i64) {
        let now = self.clock.now();
        let busy = self.memory.busy_rooms().into_iter();
        let busy = busy.filter_map(|room| Some((room, self.memory.view(room)?)));
        let (moving, resting): (Vec<_>, Vec<_>) = busy.partition(|(_, view)| view.needs_leader(now));
        let mut telling = Vec::new();
        for (room, view) in &resting {
            self.heartbeats.listen(Near::of(*room, view));
            // Spread over the rounds.
            if room.get().wrapping_add(number).rem_euclid(tells_at_rest_every) == 0 {
                telling.push((*room, Talk::Tell));
            }
        }
        let ids = |rooms: &[(RoomId, _)]| -> Vec<_> { rooms.iter().map(|(room, _)| *room).collect() };
        let moving = ids(&moving);
        self.heartbeats.keep_only(&moving, &ids(&resting));
        self.leases.keep_only(&moving);
        let mut talks = JoinSet::new();
        for (room, talk) in moving.into_iter().map(|room| (room, Talk::Exchange)).chain(telling) {
            if !link.is_up() {
                break;
            }
            if talks.len() >= EXCHANGES_AT_ONCE {
                let _ = talks.join_next().await;
            }
            let (lines, way) = (Arc::clone(self), link.way());
            talks.spawn(async move {
                let talked = match talk {
                    Talk::Exchange => lines.exchange(&way, room).await,
                    Talk::Tell => lines.heartbeats.tell(&way, room, lines.clock.now()).await,
                };
                if let Err(error) = talked {
                    tracing::debug!(%error, room = room.get(), "the signs of life in a line cannot be exchanged");
                }
            });
        }
        while talks.join_next().await.is_some() {}
    }
}

/// The queue of one instance of many.
#[derive(Debug)]
pub struct RedisQueue {
    lines: Arc<Lines>,
    link: Arc<Link>,
    publisher: Arc<Publisher>,
    reach: tokio::sync::watch::Receiver<Reach>,
    /// When this instance moved a line the last time while Redis was away.
    alone: Mutex<HashMap<RoomId, Instant>>,
    _tasks: JoinSet<()>,
}

impl RedisQueue {
    /// Connects, and begins to follow the other instances. `office` is the database's, `instance` is new at every
    /// start. A Redis that cannot be reached now is tried again: meanwhile the views are refreshed from the rows.
    ///
    /// # Errors
    /// The settings are wrong, or Redis refuses them.
    pub async fn start(
        settings: Settings,
        store: Arc<dyn Store>,
        office: Uuid,
        instance: Uuid,
        clock: Clock,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Arc<Self>, QueueError> {
        let keys = Keys::new(office);
        let link = Arc::new(Link::open(settings.link(&keys)).await?);
        if link.is_up()
            && let Err(error) = script::probe_scripting(&mut link.way()).await
            && link.is_up()
        {
            return Err(QueueError(error.to_string()));
        }
        let confirmed = Arc::new(AtomicI64::new(0));
        let recent = Arc::new(Recent::default());
        let (publisher, parcels) = Publisher::new(instance, Arc::clone(&recent));
        let publisher = Arc::new(publisher);
        let (doubts, doubted) = mpsc::channel(DOUBTS_MAX);
        let lines = Arc::new(Lines {
            memory: MemoryQueue::told(Arc::clone(&confirmed)),
            store,
            instance,
            keys: keys.clone(),
            clock,
            recent,
            confirmed,
            wanted: Mutex::default(),
            wanted_news: Notify::new(),
            doubts,
            notices,
            has_missed_notice: AtomicBool::new(false),
            leases: if link.is_cluster() {
                Leases::new(keys.clone(), instance).one_by_one()
            } else {
                Leases::new(keys.clone(), instance)
            },
            heartbeats: Heartbeats::new(keys.clone(), settings.silence, settings.settles_in),
            lays: AtomicU64::new(0),
            unsettled_for: settings.unsettled_for,
            doubted_rooms: Mutex::default(),
            settled: Mutex::default(),
        });
        let spoilt = Arc::new(Notify::new());
        let (from_end, wishes) = mpsc::channel(1);
        let mut watch = Watch {
            lines: Arc::clone(&lines),
            link: Arc::clone(&link),
            from_end,
            spoilt: Arc::clone(&spoilt),
            ids: Ids::from_os(),
            nonce: None,
            laying: JoinSet::new(),
            laid: Arc::default(),
        };
        let mut reader = Reader {
            lines: Arc::clone(&lines),
            link: Arc::clone(&link),
            last: None,
            numbers: HashMap::new(),
            has_unread: false,
            laid_for_unread: None,
        };
        if link.is_up()
            && let Err(error) = begin(&mut watch, &mut reader).await
            && link.is_up()
        {
            // It is there and refuses, which waiting does not cure.
            return Err(error);
        }
        let telling = Telling { publisher: Arc::clone(&publisher), link: Arc::clone(&link), keys, spoilt };
        let mut tasks = JoinSet::new();
        tasks.spawn(telling.run(parcels));
        tasks.spawn(reader.run(wishes));
        tasks.spawn(watch.run());
        tasks.spawn(Arc::clone(&lines).lay_wanted());
        tasks.spawn(Arc::clone(&lines).settle(doubted));
        tasks.spawn(exchange_for_ever(Arc::clone(&lines), Arc::clone(&link), settings.tells_at_rest_every));
        tasks.spawn(Arc::clone(&lines).glance(Arc::clone(&link), settings));
        let reach = link.reach();
        Ok(Arc::new(Self { lines, link, publisher, reach, alone: Mutex::default(), _tasks: tasks }))
    }

    /// The way to Redis, for what else instances share.
    #[must_use]
    pub fn way(&self) -> Way {
        self.link.way()
    }

    /// The names of this box office's keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.lines.keys
    }

    /// How many batches were not told, because Redis was away or too slow.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.publisher.dropped.load(Ordering::Relaxed)
    }

    /// Gives up the lines that this instance leads, so that others need not wait for its terms to end.
    pub async fn release(&self) {
        if let Err(error) = self.lines.leases.release(&self.link.way()).await {
            tracing::debug!(%error, "the leases end by themselves");
        }
    }

    /// Whether it is time to move the line without knowing who leads: all do while Redis is away, seldom.
    fn alone(&self, room: RoomId, fence: Fence) -> Leadership {
        let spread = self.lines.instance.as_u128() % ALONE_SPREAD_MS;
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

    async fn lay_line(&self, line: &Line, lay: Lay) {
        let room = line.room.room_id;
        // A commit may be on its way for so long.
        let from = line.now.minus(LATE_MAX);
        self.lines.lays.fetch_add(1, Ordering::Relaxed);
        for (token, now) in self.lines.memory.lay_told(line, lay, || self.lines.recent.decided_since(from)) {
            self.lines.doubt(token, now);
        }
        self.lines.note_laid(line, lay);
        if self.lines.memory.view(room).is_none_or(|view| view.is_quiet()) {
            return;
        }
        if let Err(error) = self.lines.exchange(&self.link.way(), room).await {
            tracing::debug!(%error, "cannot tell who was heard of");
        }
    }
}

/// What is to be known before any line is read from its rows.
async fn begin(watch: &mut Watch, reader: &mut Reader) -> Result<(), QueueError> {
    watch.begin().await?;
    reader.begin().await
}

/// What an instance does about the heartbeats of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Talk {
    /// It tells of which tokens it heard, and hears of which ones the others did.
    Exchange,
    /// It tells.
    Tell,
}

/// Exchanges heartbeats, a round every few seconds.
async fn exchange_for_ever(lines: Arc<Lines>, link: Arc<Link>, tells_at_rest_every: Duration) {
    let rounds = tells_at_rest_every.as_millis() / EXCHANGE_EVERY.as_millis();
    let rounds = i64::try_from(rounds).unwrap_or(i64::MAX).max(1);
    let mut number = 0;
    loop {
        tokio::time::sleep(EXCHANGE_EVERY).await;
        lines.exchange_round(&link, number, rounds).await;
        number = (number + 1) % rounds;
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn lay(&self, line: Line) -> Result<(), QueueError> {
        self.lay_line(&line, Lay::Anew).await;
        Ok(())
    }

    async fn lay_missing(&self, line: Line) -> Result<(), QueueError> {
        self.lay_line(&line, Lay::IfMissing).await;
        Ok(())
    }

    async fn lay_quiet(&self, lines: Vec<Line>) -> Result<Vec<RoomId>, QueueError> {
        Ok(self.lines.lay_quiet(&lines))
    }

    fn publish(&self, changes: &Changes) {
        self.publisher.publish(changes);
        for room in &changes.rooms.inserted {
            self.lines.memory.put_new(room, changes.now);
        }
        for (room, delta) in deltas(changes) {
            self.lines.memory.take_in(room, &delta, Source::Own);
        }
    }

    fn view(&self, room: RoomId) -> Option<Arc<RoomView>> {
        self.lines.memory.view(room)
    }

    fn rooms(&self) -> Vec<RoomId> {
        self.lines.memory.room_ids()
    }

    fn busy_rooms(&self) -> Vec<RoomId> {
        self.lines.memory.busy_rooms()
    }

    fn doubt_rooms(&self, rooms: Vec<RoomId>) {
        lock(&self.lines.doubted_rooms).extend(rooms);
    }

    fn heard_of(&self, token: TokenId, now: Time) {
        self.lines.memory.heard_of(token, now);
        self.lines.heartbeats.note(token);
    }

    /// Empty where it is not known whom the others heard of: nobody is put aside who may be there.
    fn asleep(&self, room: RoomId, limit: u32, since: Time) -> Vec<Position> {
        if !self.link.is_up() || !self.lines.heartbeats.can_tell(room) {
            return Vec::new();
        }
        self.lines.memory.asleep(room, limit, since)
    }

    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, QueueError> {
        if self.link.is_up() {
            // What this instance has published comes first.
            self.publisher.flush().await;
        }
        holds::take_due(&mut self.link.way(), &self.lines.keys, now, limit).await.map_err(|error| error_of(&error))
    }

    /// While Redis is away they are told later.
    async fn add_hold_deadlines(&self, due: &[(Time, ReservationId)]) -> Result<(), QueueError> {
        for due in due.chunks(10_000) {
            self.publisher.add_holds(due);
        }
        Ok(())
    }

    async fn lead(&self, rooms: &[(RoomId, Fence)], term: Span) -> Vec<Leadership> {
        if !self.link.is_up() {
            return rooms.iter().map(|(room, fence)| self.alone(*room, *fence)).collect();
        }
        let leases = &self.lines.leases;
        let asked = leases.ask_for(&self.link.way(), rooms, term).await;
        let unasked = asked.err().map(|Unasked { rooms, error }| {
            tracing::debug!(%error, rooms = rooms.len(), "cannot tell who moves some lines");
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

    async fn token(&self, id: TokenId) -> Result<Option<Token>, QueueError> {
        tokens::get(&self.link.way(), &self.lines.keys, id).await.map_err(|error| error_of(&error))
    }

    fn check(&self) -> Result<(), QueueError> {
        match &*self.reach.borrow() {
            Reach::Up(_) => Ok(()),
            Reach::Away(why) => Err(QueueError(format!("Redis is away: {why}"))),
        }
    }

    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    fn vitals(&self) -> Option<Vitals> {
        let confirmed = Time::from_micros(self.lines.confirmed.load(Ordering::Relaxed));
        let lag = self.lines.clock.now().micros().saturating_sub(confirmed.micros());
        Some(Vitals {
            away: match &*self.reach.borrow() {
                Reach::Up(_) => None,
                Reach::Away(why) if why.contains(OUT_OF_MEMORY) => Some(Away::Full),
                Reach::Away(_) => Some(Away::Unreachable),
            },
            frame_lag: Duration::from_micros(u64::try_from(lag).unwrap_or(0)),
            lays: self.lines.lays.load(Ordering::Relaxed),
        })
    }

    async fn settle(&self) {
        if self.link.is_up() {
            self.publisher.flush().await;
            self.release().await;
        }
    }

    fn announce_gap(&self) {
        self.publisher.announce_gap(self.lines.memory.room_ids());
    }

    async fn moved(&self, longest: Duration) -> Vec<RoomId> {
        self.lines.memory.moved(longest).await
    }
}

fn error_of(error: &RedisError) -> QueueError {
    QueueError(error.to_string())
}
