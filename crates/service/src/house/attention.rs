//! What needs an operator's attention, each with its numbers and since when.

use super::sharing::{DiskSpace, InstanceHealth, InstanceSeen, RedisTrouble, SignsOfLife};
use frontrow_domain::{
    id::ConcertId,
    outbox::Consumer,
    time::{Span, Time},
};
use frontrow_storage::EventCounts;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The part of the last requests that may fail, in hundredths, before it is looked at, and before it is bad.
const ERRORS_LOOK_PERCENT: u64 = 1;
const ERRORS_BAD_PERCENT: u64 = 5;
/// Fewer errors are chance.
const ERRORS_MIN: u64 = 5;
/// Over how long errors are counted.
pub(super) const ERRORS_OVER: Span = Span::from_secs(10);
/// How long places may be idle while tokens wait, at every look: a line moves ten times a second.
const IDLE_FOR: Span = Span::from_secs(3);
/// Looks that are further apart do not say that places were idle in between.
const IDLE_LOOKS: Duration = Duration::from_millis(2_500);
/// Over how long it is counted how many tokens take the places of others.
pub(super) const CLAIMS_OVER: Span = Span::from_secs(10);
/// In a sale that goes on, so many places are idle as tokens leave in the time of two moves of the line: the fiftieth
/// part of those that come in ten seconds.
const CLAIMS_PER_IDLE_PLACE: i64 = 50;
/// How long an ended hold may keep its seat: the database is searched for such holds every ten seconds.
pub(super) const STUCK_AFTER: Span = Span::from_secs(20);
/// How many stuck holds are counted.
pub(super) const STUCK_MAX: u32 = 100;
/// How long an event of the outbox may be due.
const OUTBOX_LATE_AFTER: Span = Span::from_secs(60);
/// How far views may be behind.
const LAG_MAX_MS: u64 = 1_500;
/// How far the clocks may differ before it is looked at. From [`frontrow_clock::SKEW_MAX`] on an instance is not ready.
const CLOCK_LOOK_MS: u64 = 5_000;
/// The free space below which the disk is looked at, and below which it is bad.
const DISK_LOOK: u64 = 1 << 30;
const DISK_BAD: u64 = 200 << 20;
/// How long a trouble that is over is remembered, so that one that flickers keeps its beginning.
const REMEMBERED: Duration = Duration::from_secs(5);

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttentionLevel {
    /// To be looked at: buyers are not affected, or not yet.
    Look,
    /// Buyers are affected, or are about to be.
    Bad,
}

/// What needs attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttentionKind {
    /// The database does not answer an instance, or takes no commits from it.
    DatabaseAway {
        /// Which instance.
        instance: String,
    },
    /// An instance cannot use Redis.
    RedisAway {
        /// Which instance.
        instance: String,
        /// Why it cannot.
        trouble: RedisTrouble,
    },
    /// The reports of an instance have stopped, and it did not say that it stops: it was killed, or cannot reach Redis.
    InstanceSilent {
        /// Which instance.
        instance: String,
    },
    /// An instance gets no requests, for a reason that is not one of the others here.
    NotReady {
        /// Which instance.
        instance: String,
        /// The code of the reason, as `/readyz` says it.
        code: String,
    },
    /// Many requests fail.
    Errors {
        /// Answers of 500 and above in the last ten seconds.
        errors: u64,
        /// All answers in that time.
        requests: u64,
    },
    /// Turns could be offered, tokens wait, and none is offered.
    IdlePlaces {
        /// How many turns could be offered.
        places: i64,
        /// How many tokens wait.
        waiting: i64,
    },
    /// Holds have ended and keep their seats.
    StuckHolds {
        /// How many, at most 100.
        holds: u32,
    },
    /// Events of the outbox are due and not delivered.
    OutboxLate {
        /// For whom they are.
        consumer: Consumer,
    },
    /// Events of the outbox could not be delivered, and wait for an operator.
    DeadLetters {
        /// For whom they were.
        consumer: Consumer,
        /// How many.
        letters: i64,
    },
    /// An instance does not get the changes of the others: what it shows is old.
    StaleViews {
        /// Which instance.
        instance: String,
        /// How old it is.
        behind: Duration,
    },
    /// Two clocks differ.
    ClocksApart {
        /// The instance by which they do.
        instance: String,
        /// How far the clock that decides is ahead of the machine's, in milliseconds.
        ahead_ms: i64,
    },
    /// The disk of the data folder is nearly full.
    DiskLow {
        /// The instance whose disk it is.
        instance: String,
        /// The space.
        space: DiskSpace,
    },
    /// The instances may together open more connections than the database has for them.
    TooFewConnections,
}

impl AttentionKind {
    /// Its stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DatabaseAway { .. } => "database_away",
            Self::RedisAway { trouble: RedisTrouble::Unreachable, .. } => "redis_away",
            Self::RedisAway { trouble: RedisTrouble::Full, .. } => "redis_full",
            Self::InstanceSilent { .. } => "instance_silent",
            Self::NotReady { .. } => "not_ready",
            Self::Errors { .. } => "errors",
            Self::IdlePlaces { .. } => "idle_places",
            Self::StuckHolds { .. } => "stuck_holds",
            Self::OutboxLate { .. } => "outbox_late",
            Self::DeadLetters { .. } => "dead_letters",
            Self::StaleViews { .. } => "stale_views",
            Self::ClocksApart { .. } => "clocks_apart",
            Self::DiskLow { .. } => "disk_low",
            Self::TooFewConnections => "too_few_connections",
        }
    }

    /// What distinguishes two of the same code.
    fn subject(&self) -> &str {
        match self {
            Self::DatabaseAway { instance }
            | Self::RedisAway { instance, .. }
            | Self::InstanceSilent { instance }
            | Self::NotReady { instance, .. }
            | Self::StaleViews { instance, .. }
            | Self::ClocksApart { instance, .. }
            | Self::DiskLow { instance, .. } => instance,
            Self::OutboxLate { consumer } | Self::DeadLetters { consumer, .. } => consumer.name(),
            Self::Errors { .. } | Self::IdlePlaces { .. } | Self::StuckHolds { .. } | Self::TooFewConnections => "",
        }
    }
}

/// Something that needs attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// What it is.
    pub kind: AttentionKind,
    /// How urgent it is.
    pub level: AttentionLevel,
    /// Since when, as far as it is known.
    pub since: Time,
}

/// A trouble as it was found.
struct FoundTrouble {
    kind: AttentionKind,
    level: AttentionLevel,
    /// Since when, if what was found says so.
    since: Option<Time>,
}

impl FoundTrouble {
    const fn now(kind: AttentionKind, level: AttentionLevel) -> Self {
        Self { kind, level, since: None }
    }
}

/// What a look at the database found, every few seconds while a sale is watched.
#[derive(Debug, Clone, Default)]
pub(super) struct SlowFacts {
    /// The holds that have ended and keep their seats: how many, and when the first ended.
    pub(super) stuck: Option<(u32, Time)>,
    /// When the first pending event of each consumer is due, or was.
    pub(super) due: Vec<(Consumer, Time)>,
    pub(super) events: Vec<(Consumer, EventCounts)>,
}

/// What attention is found in.
pub(super) struct Facts<'a> {
    pub(super) now: Time,
    pub(super) instances: &'a [InstanceSeen],
    /// Requests and errors of the last seconds.
    pub(super) requests: (u64, u64),
    /// The turns that the line could offer, and the tokens that wait.
    pub(super) idle: (i64, i64),
    /// The turns that were claimed in [`CLAIMS_OVER`].
    pub(super) claimed: i64,
    pub(super) slow: &'a SlowFacts,
}

/// Since when each trouble lasts.
#[derive(Debug, Default)]
pub(super) struct AttentionBook(BTreeMap<(Option<ConcertId>, &'static str, String), (Time, Instant)>);

impl AttentionBook {
    /// What needs attention by these facts, the worst first.
    pub(super) fn look(&mut self, concert: ConcertId, facts: &Facts<'_>, at: Instant) -> Vec<Attention> {
        let mut found = Vec::new();
        facts.instances.iter().for_each(|instance| of_instance(instance, &mut found));
        of_house(facts, &mut found);
        let is_idle = found.iter().any(|one| matches!(one.kind, AttentionKind::IdlePlaces { .. }));
        self.0.retain(|(of, _, _), (_, seen)| {
            let age = at.saturating_duration_since(*seen);
            match of {
                // Idle places are a trouble only if they last.
                Some(of) => age < IDLE_LOOKS && (is_idle || *of != concert),
                None => age < REMEMBERED,
            }
        });
        let mut attention: Vec<_> = found
            .into_iter()
            .filter_map(|FoundTrouble { kind, level, since }| {
                let of = matches!(kind, AttentionKind::IdlePlaces { .. }).then_some(concert);
                let key = (of, kind.code(), kind.subject().to_owned());
                let (first, seen) = self.0.entry(key).or_insert((since.unwrap_or(facts.now), at));
                *seen = at;
                let is_too_short = of.is_some() && facts.now.since(*first) < IDLE_FOR;
                (!is_too_short).then_some(Attention { kind, level, since: since.unwrap_or(*first) })
            })
            .collect();
        attention.sort_by(|one, other| other.level.cmp(&one.level).then(one.since.cmp(&other.since)));
        attention
    }
}

fn of_instance(seen: &InstanceSeen, found: &mut Vec<FoundTrouble>) {
    use AttentionLevel::{Bad, Look};
    let instance = || seen.name.clone();
    if seen.signs == SignsOfLife::Silent {
        let kind = AttentionKind::InstanceSilent { instance: instance() };
        // What it said last of the rest is not true any more.
        return found.push(FoundTrouble { kind, level: Bad, since: Some(seen.at) });
    }
    let InstanceHealth { not_ready, database_away, redis, lag_ms, clock_ahead_ms, disk, cautions } = &seen.health;
    if let Some(since) = database_away {
        let kind = AttentionKind::DatabaseAway { instance: instance() };
        found.push(FoundTrouble { kind, level: Bad, since: Some(*since) });
    } else if let Some(code) = not_ready.clone() {
        found.push(FoundTrouble::now(AttentionKind::NotReady { instance: instance(), code }, Bad));
    }
    if let Some(trouble) = *redis {
        found.push(FoundTrouble::now(AttentionKind::RedisAway { instance: instance(), trouble }, Bad));
    } else if *lag_ms > LAG_MAX_MS {
        let behind = Duration::from_millis(*lag_ms);
        found.push(FoundTrouble::now(AttentionKind::StaleViews { instance: instance(), behind }, Bad));
    }
    if clock_ahead_ms.unsigned_abs() > CLOCK_LOOK_MS {
        let kind = AttentionKind::ClocksApart { instance: instance(), ahead_ms: *clock_ahead_ms };
        found.push(FoundTrouble::now(kind, Look));
    }
    if let Some(space) = disk.filter(|space| space.free < DISK_LOOK) {
        let level = if space.free < DISK_BAD { Bad } else { Look };
        found.push(FoundTrouble::now(AttentionKind::DiskLow { instance: instance(), space }, level));
    }
    let has_been_said = found.iter().any(|one| one.kind == AttentionKind::TooFewConnections);
    if !has_been_said && cautions.iter().any(|code| code == "too_few_connections") {
        found.push(FoundTrouble::now(AttentionKind::TooFewConnections, Look));
    }
}

fn of_house(facts: &Facts<'_>, found: &mut Vec<FoundTrouble>) {
    use AttentionLevel::{Bad, Look};
    let (requests, errors) = facts.requests;
    if errors >= ERRORS_MIN && errors * 100 >= requests * ERRORS_LOOK_PERCENT {
        let level = if errors * 100 >= requests * ERRORS_BAD_PERCENT { Bad } else { Look };
        found.push(FoundTrouble::now(AttentionKind::Errors { errors, requests }, level));
    }
    let (places, waiting) = facts.idle;
    if places > facts.claimed / CLAIMS_PER_IDLE_PLACE && waiting > 0 {
        found.push(FoundTrouble::now(AttentionKind::IdlePlaces { places, waiting }, Bad));
    }
    let SlowFacts { stuck, due, events } = facts.slow;
    if let Some((holds, first)) = *stuck {
        found.push(FoundTrouble { kind: AttentionKind::StuckHolds { holds }, level: Look, since: Some(first) });
    }
    for (consumer, due_at) in due.iter().filter(|(_, due_at)| facts.now.since(*due_at) > OUTBOX_LATE_AFTER) {
        let kind = AttentionKind::OutboxLate { consumer: *consumer };
        found.push(FoundTrouble { kind, level: Look, since: Some(*due_at) });
    }
    for (consumer, counts) in events.iter().filter(|(_, counts)| counts.dead > 0) {
        let kind = AttentionKind::DeadLetters { consumer: *consumer, letters: counts.dead };
        found.push(FoundTrouble::now(kind, Look));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);
    const CONCERT: ConcertId = ConcertId::new(1);

    fn instance(signs: SignsOfLife, health: InstanceHealth) -> InstanceSeen {
        let at = NOW.minus(Span::from_secs(4));
        InstanceSeen { name: "one".to_owned(), version: String::new(), started_at: at, at, signs, health }
    }

    fn facts<'a>(instances: &'a [InstanceSeen], slow: &'a SlowFacts) -> Facts<'a> {
        Facts { now: NOW, instances, requests: (1_000, 0), idle: (0, 10), claimed: 0, slow }
    }

    fn look(facts: &Facts<'_>) -> Vec<(&'static str, AttentionLevel)> {
        let found = AttentionBook::default().look(CONCERT, facts, Instant::now());
        found.iter().map(|one| (one.kind.code(), one.level)).collect()
    }

    #[test]
    fn what_an_instance_says_of_itself_is_named_and_a_silent_one_says_nothing_else() {
        use AttentionLevel::{Bad, Look};
        let slow = SlowFacts::default();
        let of = |health: InstanceHealth| {
            let instances = [instance(SignsOfLife::Present, health)];
            look(&facts(&instances, &slow))
        };
        assert_eq!(of(InstanceHealth::default()), []);
        let away = InstanceHealth {
            not_ready: Some("database_unwritable".to_owned()),
            database_away: Some(NOW),
            redis: Some(RedisTrouble::Full),
            lag_ms: 60_000,
            ..InstanceHealth::default()
        };
        assert_eq!(
            of(away.clone()),
            [("database_away", Bad), ("redis_full", Bad)],
            "the reason, not what follows from it"
        );
        let behind = InstanceHealth { lag_ms: 2_000, clock_ahead_ms: -6_000, ..InstanceHealth::default() };
        assert_eq!(of(behind), [("stale_views", Bad), ("clocks_apart", Look)]);
        let disk =
            |free| InstanceHealth { disk: Some(DiskSpace { free, total: 1 << 40 }), ..InstanceHealth::default() };
        assert_eq!(of(disk(2 << 30)), []);
        assert_eq!((of(disk(500 << 20)), of(disk(1))), (vec![("disk_low", Look)], vec![("disk_low", Bad)]));
        let silent = [instance(SignsOfLife::Silent, away)];
        let found = AttentionBook::default().look(CONCERT, &facts(&silent, &slow), Instant::now());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind.code(), found[0].since), ("instance_silent", NOW.minus(Span::from_secs(4))));
    }

    #[test]
    fn errors_are_a_matter_of_their_share() {
        let slow = SlowFacts::default();
        let of = |requests, errors| look(&Facts { requests: (requests, errors), ..facts(&[], &slow) });
        assert_eq!(of(10, 4), [], "so few are chance");
        assert_eq!((of(1_000, 9), of(1_000, 10)), (vec![], vec![("errors", AttentionLevel::Look)]));
        assert_eq!(of(1_000, 50), [("errors", AttentionLevel::Bad)]);
    }

    #[test]
    fn idle_places_are_named_once_they_last_at_every_look() {
        let (slow, mut book, begun) = (SlowFacts::default(), AttentionBook::default(), Instant::now());
        let mut at = |seconds: i64, idle| {
            let now = NOW.plus(Span::from_secs(seconds));
            let at = begun + Duration::from_secs(seconds.unsigned_abs());
            let found = book.look(CONCERT, &Facts { now, idle, ..facts(&[], &slow) }, at);
            found.first().map(|one| one.since)
        };
        assert_eq!((at(0, (5, 10)), at(2, (5, 10)), at(3, (5, 10))), (None, None, Some(NOW)));
        assert_eq!(at(4, (5, 10)), Some(NOW), "and keep their beginning");
        assert_eq!(
            (at(5, (0, 10)), at(6, (5, 10)), at(8, (5, 10))),
            (None, None, None),
            "places were taken in between"
        );
        assert_eq!(at(9, (5, 10)), Some(NOW.plus(Span::from_secs(6))));
        assert_eq!((at(10, (5, 0)), at(30, (5, 10)), at(34, (5, 10))), (None, None, None), "no look in between");
    }

    #[test]
    fn places_that_are_idle_until_the_next_move_of_a_busy_line_are_no_trouble() {
        let (slow, begun) = (SlowFacts::default(), Instant::now());
        let of = |places, claimed| {
            let mut book = AttentionBook::default();
            let mut at = |seconds: i64| {
                let now = NOW.plus(Span::from_secs(seconds));
                let facts = Facts { now, idle: (places, 500), claimed, ..facts(&[], &slow) };
                book.look(CONCERT, &facts, begun + Duration::from_secs(seconds.unsigned_abs())).len()
            };
            (at(0), at(2), at(4)).2
        };
        assert_eq!((of(4, 200), of(5, 200)), (0, 1), "at twenty a second");
        assert_eq!((of(0, 0), of(1, 0), of(1, 49)), (0, 1, 1), "one place of a line that hardly moves");
    }

    #[test]
    fn what_the_database_has_left_undone_is_named_with_its_beginning() {
        let due = |seconds| vec![(Consumer::AuditFeed, NOW.minus(Span::from_secs(seconds)))];
        let slow = SlowFacts {
            stuck: Some((3, NOW.minus(STUCK_AFTER))),
            due: due(61),
            events: vec![(Consumer::Letters, EventCounts { pending: 5, dead: 2 })],
        };
        let found = AttentionBook::default().look(CONCERT, &facts(&[], &slow), Instant::now());
        let found: Vec<_> = found.iter().map(|one| (one.kind.clone(), NOW.since(one.since).millis() / 1_000)).collect();
        let (consumer, letters) = (Consumer::Letters, 2);
        assert_eq!(
            found,
            [
                (AttentionKind::OutboxLate { consumer: Consumer::AuditFeed }, 61),
                (AttentionKind::StuckHolds { holds: 3 }, 20),
                (AttentionKind::DeadLetters { consumer, letters }, 0),
            ]
        );
        assert_eq!(look(&facts(&[], &SlowFacts { due: due(59), ..SlowFacts::default() })), []);
    }
}
