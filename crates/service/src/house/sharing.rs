//! What instances report to each other once a second: their last seconds and how they are. An instance whose reports stop
//! without a farewell is silent: it was killed, or cannot reach what they share.

use super::figures::SecondFigures;
use frontrow_domain::time::{Span, Time};
use frontrow_line::PeerFigures;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// An instance is silent if its report has been the same for so long: reports come once a second.
const SILENT_AFTER: Duration = Duration::from_millis(2_700);
/// The first report that is seen of an instance is its last one if it is so old. Clocks may differ a little.
const OLD_AFTER: Span = Span::from_secs(10);
/// How long a silent instance is named.
const NAMED_FOR: Duration = Duration::from_mins(15);
/// How many other instances are kept.
const PEERS_MAX: usize = 256;

/// The space of the disk that the data folder is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Bytes that the program may still write.
    pub free: u64,
    /// Bytes of the whole disk.
    pub total: u64,
}

/// Why an instance cannot use Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisTrouble {
    /// It does not answer, or refuses this instance.
    Unreachable,
    /// Its memory is full.
    Full,
}

/// How an instance is, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceHealth {
    /// The code of the reason why it should get no requests; none if it is ready.
    pub not_ready: Option<String>,
    /// Since when the database does not answer it, by its own clock.
    pub database_away: Option<Time>,
    /// Why it cannot use Redis.
    pub redis: Option<RedisTrouble>,
    /// How far its views are behind the other instances, in milliseconds.
    pub lag_ms: u64,
    /// How far the clock that decides is ahead of its machine's, in milliseconds.
    pub clock_ahead_ms: i64,
    /// The disk of its data folder, if it has one.
    pub disk: Option<DiskSpace>,
    /// Codes of its cautions.
    pub cautions: Vec<String>,
}

/// The report of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InstanceReport {
    /// Its name for operators.
    pub(super) name: String,
    /// The version of its program.
    pub(super) version: String,
    pub(super) started_at: Time,
    /// When it made this report, by its own clock.
    pub(super) at: Time,
    /// Rises with each report.
    pub(super) beat: u64,
    #[serde(default)]
    pub(super) health: InstanceHealth,
    /// What happened in its last seconds.
    #[serde(default)]
    pub(super) seconds: Vec<(i64, SecondFigures)>,
}

/// Whether an instance gives signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignsOfLife {
    /// It does.
    Present,
    /// Its reports have stopped, and it did not say that it stops.
    Silent,
}

/// An instance of the box office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSeen {
    /// Its name: its machine and the port that it listens on.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// When it started.
    pub started_at: Time,
    /// When it last said how it is.
    pub at: Time,
    /// Whether it still does.
    pub signs: SignsOfLife,
    /// How it is.
    pub health: InstanceHealth,
}

impl InstanceSeen {
    pub(super) fn of(report: &InstanceReport, signs: SignsOfLife) -> Self {
        Self {
            name: report.name.clone(),
            version: report.version.clone(),
            started_at: report.started_at,
            at: report.at,
            signs,
            health: report.health.clone(),
        }
    }
}

/// The last report of another instance.
#[derive(Debug)]
struct KnownPeer {
    /// None if this version cannot read it.
    report: Option<InstanceReport>,
    /// Changes with each report.
    beat: u64,
    /// When the report last changed, by this process.
    seen: Instant,
    /// Whether it has been silent since it was last seen.
    signs: SignsOfLife,
}

/// The other instances, as they report themselves.
#[derive(Debug, Default)]
pub(super) struct PeerBook(BTreeMap<Uuid, KnownPeer>);

impl PeerBook {
    /// Takes the reports that were found at `now`, by this process and by the clock: an instance that has none any more
    /// said farewell, or will report again. Returns what the others did in their last seconds.
    pub(super) fn take(
        &mut self,
        found: Vec<PeerFigures>,
        (now, clock): (Instant, Time),
    ) -> Vec<(Uuid, Vec<(i64, SecondFigures)>)> {
        let mut news = Vec::new();
        let mut known = std::mem::take(&mut self.0);
        for PeerFigures { instance, bytes } in found.into_iter().take(PEERS_MAX) {
            let mut report: Option<InstanceReport> = serde_json::from_slice(&bytes).ok();
            let beat = report.as_ref().map_or_else(|| beat_of(&bytes), |report| report.beat);
            let peer = match known.remove(&instance) {
                Some(mut last) if last.beat == beat => {
                    if now.saturating_duration_since(last.seen) >= SILENT_AFTER {
                        last.signs = SignsOfLife::Silent;
                    }
                    last
                }
                last => {
                    let seconds = report.as_mut().map(|report| std::mem::take(&mut report.seconds));
                    news.extend(seconds.map(|seconds| (instance, seconds)));
                    let is_old = |report: &InstanceReport| clock.since(report.at) >= OLD_AFTER;
                    let signs = match last {
                        None if report.as_ref().is_some_and(is_old) => SignsOfLife::Silent,
                        _ => SignsOfLife::Present,
                    };
                    KnownPeer { report, beat, seen: now, signs }
                }
            };
            self.0.insert(instance, peer);
        }
        news
    }

    /// Notes that the reports could not be read at `now`: that says nothing about the others.
    pub(super) fn wait(&mut self, now: Instant) {
        for peer in self.0.values_mut().filter(|peer| peer.signs == SignsOfLife::Present) {
            peer.seen = now;
        }
    }

    /// Silent instances that need not be named any more: an instance of the same name has started since, or it is long
    /// ago. They are named until their reports are removed.
    pub(super) fn gone(&self, own: &InstanceReport, now: Instant) -> Vec<Uuid> {
        let present = self.0.values().filter(|peer| peer.signs == SignsOfLife::Present);
        let started: Vec<_> = present
            .filter_map(|peer| peer.report.as_ref())
            .chain([own])
            .map(|report| (report.name.clone(), report.started_at))
            .collect();
        let is_gone = |peer: &KnownPeer| {
            let is_replaced = peer.report.as_ref().is_some_and(|gone| {
                started.iter().any(|(name, started_at)| *name == gone.name && *started_at > gone.at)
            });
            peer.signs == SignsOfLife::Silent && (is_replaced || now.saturating_duration_since(peer.seen) >= NAMED_FOR)
        };
        self.0.iter().filter(|(_, peer)| is_gone(peer)).map(|(instance, _)| *instance).collect()
    }

    /// Drops instances whose reports were removed.
    pub(super) fn drop_all(&mut self, gone: &[Uuid]) {
        self.0.retain(|instance, _| !gone.contains(instance));
    }

    /// The others that this version understands.
    pub(super) fn others(&self) -> impl Iterator<Item = InstanceSeen> {
        self.0.values().filter_map(|peer| Some(InstanceSeen::of(peer.report.as_ref()?, peer.signs)))
    }
}

/// A number that differs with the bytes.
fn beat_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_micros(1_800_000_000_000_000);

    fn report(name: &str, started_at: Time, beat: u64) -> InstanceReport {
        InstanceReport {
            name: name.to_owned(),
            version: "1".to_owned(),
            started_at,
            at: started_at.plus(Span::from_secs(i64::try_from(beat).unwrap())),
            beat,
            health: InstanceHealth::default(),
            seconds: vec![(1, SecondFigures::default())],
        }
    }

    fn given(number: u128, report: &InstanceReport) -> PeerFigures {
        PeerFigures { instance: Uuid::from_u128(number), bytes: serde_json::to_vec(report).unwrap() }
    }

    fn signs(book: &PeerBook) -> Vec<(String, SignsOfLife)> {
        book.others().map(|seen| (seen.name, seen.signs)).collect()
    }

    #[test]
    fn an_instance_whose_reports_stop_is_silent_and_one_that_says_farewell_is_gone() {
        let (mut book, begun) = (PeerBook::default(), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        let one = |beat| given(1, &report("one", START, beat));
        let two = |beat| given(2, &report("two", START, beat));
        assert_eq!(book.take(vec![one(1), two(1)], (at(0), START)).len(), 2);
        assert_eq!(book.take(vec![one(2), two(1)], (at(1_000), START)).len(), 1, "a report is taken once");
        book.take(vec![two(1)], (at(2_000), START));
        assert_eq!(signs(&book), [("two".to_owned(), SignsOfLife::Present)], "a stop in good order is no alarm");
        book.take(vec![two(1)], (at(3_000), START));
        assert_eq!(signs(&book), [("two".to_owned(), SignsOfLife::Silent)]);
        book.take(vec![two(2)], (at(4_000), START));
        assert_eq!(signs(&book), [("two".to_owned(), SignsOfLife::Present)]);
    }

    #[test]
    fn no_instance_is_silent_because_the_reports_cannot_be_read() {
        let (mut book, begun) = (PeerBook::default(), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        book.take(vec![given(1, &report("one", START, 1))], (at(0), START));
        (1..60).for_each(|second| book.wait(at(second * 1_000)));
        book.take(vec![given(1, &report("one", START, 1))], (at(60_000), START));
        assert_eq!(signs(&book), [("one".to_owned(), SignsOfLife::Present)]);
        book.take(vec![given(1, &report("one", START, 1))], (at(62_000), START));
        assert_eq!(signs(&book), [("one".to_owned(), SignsOfLife::Silent)]);
        book.wait(at(63_000));
        assert_eq!(signs(&book), [("one".to_owned(), SignsOfLife::Silent)], "the alarm stays");
    }

    #[test]
    fn an_instance_that_was_replaced_or_is_long_gone_is_named_no_more() {
        let (mut book, begun) = (PeerBook::default(), Instant::now());
        let own = report("own", START, 1);
        let all = [given(1, &report("one", START, 5)), given(2, &report("two", START, 5))];
        book.take(all.to_vec(), (begun, START));
        book.take(all.to_vec(), (begun + SILENT_AFTER, START));
        assert!(book.gone(&own, begun + SILENT_AFTER).is_empty(), "both are named");
        let again = given(3, &report("one", START.plus(Span::from_secs(6)), 1));
        let later = begun + SILENT_AFTER + Duration::from_secs(1);
        book.take([&all[..], &[again]].concat(), (later, START));
        assert_eq!(book.gone(&own, later), [Uuid::from_u128(1)]);
        assert_eq!(signs(&book).len(), 3, "named until its report is removed");
        book.drop_all(&[Uuid::from_u128(1)]);
        assert_eq!(book.gone(&own, begun + NAMED_FOR), [Uuid::from_u128(2)]);
        book.drop_all(&[Uuid::from_u128(2)]);
        assert_eq!(signs(&book), [("one".to_owned(), SignsOfLife::Present)]);
    }

    #[test]
    fn the_report_of_an_instance_that_was_killed_before_this_one_started_is_no_sign_of_life() {
        let (mut book, begun) = (PeerBook::default(), Instant::now());
        let one = |beat| given(1, &report("one", START, beat));
        let clock = START.plus(Span::from_secs(12));
        book.take(vec![one(2)], (begun, clock));
        assert_eq!(signs(&book), [("one".to_owned(), SignsOfLife::Silent)]);
        book.take(vec![one(3)], (begun, clock));
        assert_eq!(signs(&book), [("one".to_owned(), SignsOfLife::Present)], "its clock is behind");
    }

    #[test]
    fn a_report_of_another_version_is_a_sign_of_life() {
        let (mut book, begun) = (PeerBook::default(), Instant::now());
        let odd = |text: &str| PeerFigures { instance: Uuid::from_u128(1), bytes: text.as_bytes().to_vec() };
        assert_eq!(book.take(vec![odd("{\"beat\":\"one\"}")], (begun, START)), []);
        assert_eq!(book.take(vec![odd("{\"beat\":\"two\"}")], (begun + SILENT_AFTER, START)), []);
        assert!(book.0.values().all(|peer| peer.signs == SignsOfLife::Present) && book.others().next().is_none());
    }
}
