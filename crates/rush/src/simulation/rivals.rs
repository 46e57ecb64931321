//! The same crowd before waiting rooms that work as others are documented to: what a known algorithm makes of the same
//! arrivals. The algorithms are modelled, not their programs: networks, caches beyond the documented refresh, and what is
//! not published are left out, in their favour.

use super::{
    measure::{Prediction, WAIT_MIN, median_error, ratio},
    people::{CrowdMember, Fate, VisitEnd, crowd},
    scenario::Scenario,
};
use frontrow_domain::time::Span;
use rand::{SeedableRng, rngs::StdRng};
use std::collections::VecDeque;

/// How finely the time of a rival goes.
const RIVAL_STEP: Span = Span::from_millis(500);
/// A session without a request ends after this time, in a room of minute buckets: the shortest that may be set.
const SESSION: Span = Span::from_secs(60);
/// One who waits in a minute bucket and does not ask any more is let go after this time.
const BUCKET_EXPIRY: Span = Span::from_secs(300);
/// The positions of the last so many refreshes are extrapolated.
const SAMPLES: usize = 50;

/// How a waiting room lets people in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RivalKind {
    /// A serving number that is raised by one for each visit that is said to have ended, up to the maximum; who never
    /// comes is not missed (the AWS Virtual Waiting Room with its inlet by size).
    Cursor,
    /// All who came in one minute are let in before those of the next, as they ask; a place is free when its session
    /// has expired (the Cloudflare Waiting Room).
    MinuteBuckets,
    /// So many turns a minute, whoever is there; nothing is known of those inside (as Queue-it describes its outflow).
    RateOnly,
    /// A sorted set from whose head a token bucket takes, polled by rank (as open-source queues over Redis do).
    SortedSet,
}

impl RivalKind {
    pub(super) const ALL: [Self; 4] = [Self::Cursor, Self::MinuteBuckets, Self::RateOnly, Self::SortedSet];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cursor => "cursor",
            Self::MinuteBuckets => "minute buckets",
            Self::RateOnly => "rate only",
            Self::SortedSet => "sorted set",
        }
    }

    /// How often a client asks.
    const fn refresh(self) -> Span {
        match self {
            Self::Cursor | Self::RateOnly => Span::from_secs(5),
            Self::MinuteBuckets => Span::from_secs(20),
            Self::SortedSet => Span::from_secs(2),
        }
    }
}

/// What came of a waiting room, to be compared.
#[derive(Debug, Clone)]
pub(super) struct RivalReport {
    pub(super) name: &'static str,
    pub(super) idle_percent: f64,
    /// The most that were inside beyond the cap.
    pub(super) overshoot: i64,
    /// How old the number that a person sees is on average, in milliseconds.
    pub(super) stale_ms: i64,
    /// The median distance of the told wait from the one that came, in per cent.
    pub(super) error_percent: f64,
    /// When 95 of a hundred of those who take their turn were in, in seconds; none if they never were.
    pub(super) most_in: Option<i64>,
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RivalStage {
    Away,
    Waiting,
    /// Has a turn, and comes in at this moment.
    Coming(Span),
    /// Is inside until this moment.
    Inside(Span),
    Gone,
}

struct RivalVisitor {
    arrives: Span,
    member: CrowdMember,
    stage: RivalStage,
    /// Whether it asks; and when it does next.
    asks_at: Option<Span>,
    last_asked: Span,
    first_ahead: i64,
    number: i64,
    told: Vec<(Span, Span)>,
    turn_at: Option<Span>,
    samples: VecDeque<i64>,
}

struct RivalSale {
    kind: RivalKind,
    cap: i64,
    /// Turns a minute that fill the room if everybody comes: the cap ÷ the mean visit.
    per_minute: f64,
    visitors: Vec<RivalVisitor>,
    now: Span,
    issued: i64,
    serving: i64,
    /// Turns that the rate has earned.
    earned: f64,
    /// Who was let in when, in the last minute.
    accepted: VecDeque<Span>,
    /// When each session expires, of minute buckets.
    sessions: Vec<Span>,
}

/// The rival's sale with the crowd of a scenario.
pub(super) fn run_rival(kind: RivalKind, scenario: &Scenario, seed: u64) -> RivalReport {
    let people = crowd(scenario, &mut StdRng::seed_from_u64(seed));
    let sum: i64 = people.iter().map(|(_, member)| member.visit.micros()).sum();
    let minutes = ratio(i128::from(sum), i128::try_from(people.len()).unwrap_or(1)) / 100.0 / 60_000_000.0;
    let cap = scenario.max_active;
    let visitor = |(arrives, member)| RivalVisitor {
        arrives,
        member,
        stage: RivalStage::Away,
        asks_at: None,
        last_asked: arrives,
        first_ahead: 0,
        number: 0,
        told: Vec::new(),
        turn_at: None,
        samples: VecDeque::new(),
    };
    RivalSale {
        kind,
        cap,
        per_minute: real(cap) / minutes,
        visitors: people.into_iter().map(visitor).collect(),
        now: Span::ZERO,
        issued: 0,
        serving: if kind == RivalKind::Cursor { cap } else { 0 },
        earned: 0.0,
        accepted: VecDeque::new(),
        sessions: Vec::new(),
    }
    .run(scenario.lasts)
}

#[expect(clippy::cast_precision_loss, reason = "people in a line")]
fn real(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn span_of(seconds: f64) -> Span {
    Span::from_micros((seconds * 1_000_000.0) as i64)
}

fn later(at: Span, by: Span) -> Span {
    Span::from_micros(at.micros().saturating_add(by.micros()))
}

impl RivalSale {
    fn run(mut self, lasts: Span) -> RivalReport {
        let (mut idle, mut places, mut overshoot, mut entries) = (0_i128, 0_i128, 0, Vec::new());
        let takers =
            self.visitors.iter().filter(|one| one.member.is_always_there() && !is_no_show(&one.member)).count();
        while self.now < lasts {
            self.now = later(self.now, RIVAL_STEP);
            self.serve();
            for at in 0..self.visitors.len() {
                if self.step(at) && self.visitors[at].member.is_always_there() {
                    entries.push(self.now);
                }
            }
            let inside = self.visitors.iter().filter(|one| matches!(one.stage, RivalStage::Inside(_))).count();
            let inside = i64::try_from(inside).unwrap_or(i64::MAX);
            let waiting =
                self.visitors.iter().filter(|one| one.stage == RivalStage::Waiting && one.asks_at.is_some()).count();
            overshoot = overshoot.max(inside - self.cap);
            if waiting > 0 {
                let free = self.cap.saturating_sub(inside).clamp(0, i64::try_from(waiting).unwrap_or(i64::MAX));
                idle += i128::from(free);
                places += i128::from(self.cap);
            }
        }
        let predictions = self.visitors.iter().filter(|one| one.member.is_always_there());
        let predictions = predictions.flat_map(|one| {
            let turn = one.turn_at.into_iter();
            turn.flat_map(|turn| {
                one.told.iter().filter(move |told| told.0 < turn).map(move |told| Prediction {
                    p50: told.1,
                    p90: told.1,
                    came: Span::from_micros(turn.micros() - told.0.micros()),
                    shown: Span::ZERO,
                    is_undisturbed: true,
                    is_settled: false,
                })
            })
        });
        let predictions: Vec<_> = predictions.filter(|one| one.came >= WAIT_MIN).collect();
        RivalReport {
            name: self.kind.name(),
            idle_percent: ratio(idle, places),
            overshoot,
            stale_ms: self.kind.refresh().millis() / 2,
            error_percent: median_error(&predictions),
            most_in: entries.get((takers * 95).div_ceil(100).saturating_sub(1)).map(|at| at.micros() / 1_000_000),
        }
    }

    /// What the room does by itself.
    fn serve(&mut self) {
        let step = real(RIVAL_STEP.millis()) / 1_000.0;
        match self.kind {
            RivalKind::Cursor => {}
            RivalKind::MinuteBuckets => self.sessions.retain(|until| *until > self.now),
            RivalKind::RateOnly | RivalKind::SortedSet => {
                self.earned = (self.earned + self.per_minute / 60.0 * step).min(self.per_minute / 60.0 + 1.0);
                while self.earned >= 1.0 && self.serving < self.issued {
                    self.earned -= 1.0;
                    self.serving += 1;
                    // Who has left by the button is not in the set any more.
                    let is_gone = |one: &RivalVisitor| one.number == self.serving && one.stage == RivalStage::Gone;
                    if self.kind == RivalKind::SortedSet && self.visitors.iter().any(is_gone) {
                        self.earned += 1.0;
                    }
                }
            }
        }
    }

    /// What a visitor does now. Whether it comes in.
    fn step(&mut self, at: usize) -> bool {
        let now = self.now;
        match self.visitors[at].stage {
            RivalStage::Away if self.visitors[at].arrives <= now => {
                self.issued += 1;
                let one = &mut self.visitors[at];
                (one.number, one.stage, one.asks_at) = (self.issued, RivalStage::Waiting, Some(now));
                false
            }
            RivalStage::Waiting if self.visitors[at].asks_at.is_some_and(|asks| asks <= now) => {
                self.ask(at);
                false
            }
            RivalStage::Coming(comes) if comes <= now => {
                self.visitors[at].stage = RivalStage::Inside(later(now, self.visitors[at].member.visit));
                true
            }
            RivalStage::Inside(until) if until <= now => {
                let one = &mut self.visitors[at];
                one.stage = RivalStage::Gone;
                // The inlet hears of those who say that they are done.
                if self.kind == RivalKind::Cursor && one.member.visit_end == VisitEnd::Said {
                    self.serving += 1;
                }
                false
            }
            _ => false,
        }
    }

    fn ask(&mut self, at: usize) {
        let (now, refresh) = (self.now, self.kind.refresh());
        let ahead = self.ahead(at);
        let has_turn = self.may_enter(at);
        let wait = self.wait(at, ahead);
        let one = &mut self.visitors[at];
        one.last_asked = now;
        one.asks_at = Some(later(now, refresh));
        if has_turn {
            one.turn_at.get_or_insert(now);
            // A page of minute buckets enters by itself: no turn has to be taken.
            let enters = match one.member.fate {
                Fate::NoShow => self.kind == RivalKind::MinuteBuckets,
                _ => true,
            };
            let after = if let Fate::Returner { after } = one.member.fate { after } else { one.member.reaction };
            one.stage = if enters { RivalStage::Coming(later(now, after)) } else { RivalStage::Gone };
            if self.kind == RivalKind::MinuteBuckets {
                self.accepted.push_back(now);
                self.sessions.push(later(later(later(now, after), one.member.visit), SESSION));
            }
            return;
        }
        if let Some(wait) = wait {
            one.told.push((now, wait));
        }
        one.first_ahead = one.first_ahead.max(ahead);
        let behind = if one.first_ahead == 0 { 1.0 } else { 1.0 - real(ahead) / real(one.first_ahead) };
        match one.member.fate {
            Fate::Ghost { after } if behind >= after => one.asks_at = None,
            Fate::Leaver { after } if behind >= after => one.stage = RivalStage::Gone,
            Fate::Sleeper { after, rest } if behind >= after && !one.member.has_returned => {
                one.member.has_returned = true;
                one.asks_at = Some(later(now, rest));
            }
            _ => {}
        }
    }

    /// How many are in front, as the room counts them.
    fn ahead(&self, at: usize) -> i64 {
        let number = self.visitors[at].number;
        match self.kind {
            RivalKind::Cursor | RivalKind::RateOnly => (number - self.serving - 1).max(0),
            RivalKind::SortedSet | RivalKind::MinuteBuckets => {
                let in_front = |one: &&RivalVisitor| one.stage == RivalStage::Waiting && one.number < number;
                let in_front = self.visitors.iter().filter(in_front).filter(|one| one.number > self.serving);
                i64::try_from(in_front.count()).unwrap_or(i64::MAX)
            }
        }
    }

    fn may_enter(&mut self, at: usize) -> bool {
        let one = &self.visitors[at];
        if self.kind != RivalKind::MinuteBuckets {
            return one.number <= self.serving;
        }
        let (now, minute) = (self.now, one.arrives.micros() / 60_000_000);
        while self.accepted.front().is_some_and(|first| later(*first, Span::from_secs(60)) <= now) {
            self.accepted.pop_front();
        }
        let is_earlier = |other: &&RivalVisitor| {
            other.stage == RivalStage::Waiting
                && other.arrives.micros() / 60_000_000 < minute
                && later(other.last_asked, BUCKET_EXPIRY) > now
        };
        let budget = i64::try_from(self.accepted.len()).unwrap_or(i64::MAX) < self.cap.max(1) * 2;
        let places = i64::try_from(self.sessions.len()).unwrap_or(i64::MAX) < self.cap;
        budget && places && !self.visitors.iter().any(|other| is_earlier(&other))
    }

    /// The wait that is told, as documented.
    fn wait(&mut self, at: usize, ahead: i64) -> Option<Span> {
        let pace = match self.kind {
            RivalKind::RateOnly | RivalKind::SortedSet => self.per_minute / 60.0,
            // Those in front ÷ those let in during the last minute, in whole minutes.
            RivalKind::MinuteBuckets => {
                let minutes = ahead / i64::try_from(self.accepted.len()).ok().filter(|count| *count > 0)?;
                return Some(Span::from_secs(60 * minutes.max(1)));
            }
            // A line through the last positions.
            RivalKind::Cursor => {
                let samples = &mut self.visitors[at].samples;
                samples.push_back(ahead);
                if samples.len() > SAMPLES {
                    samples.pop_front();
                }
                slope(samples).filter(|slope| *slope < 0.0).map(|slope| -slope / 5.0)?
            }
        };
        Some(span_of(real(ahead) / pace))
    }
}

const fn is_no_show(member: &CrowdMember) -> bool {
    matches!(member.fate, Fate::NoShow)
}

/// The slope of the least-squares line through samples, by sample.
fn slope(samples: &VecDeque<i64>) -> Option<f64> {
    if samples.len() < 3 {
        return None;
    }
    let count = real(i64::try_from(samples.len()).ok()?);
    let middle = (count - 1.0) / 2.0;
    let mean = samples.iter().map(|value| real(*value)).sum::<f64>() / count;
    let (mut with, mut own, mut at) = (0.0, 0.0, -middle);
    for value in samples {
        with += at * (real(*value) - mean);
        own += at * at;
        at += 1.0;
    }
    Some(with / own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::printed::rivals_of;

    #[test]
    fn each_rival_fails_where_its_algorithm_does() {
        let reports = rivals_of(&Scenario::life(), 1).unwrap();
        let of = |name: &str| reports.iter().find(|report| report.name == name).unwrap();
        let own = of("Frontrow");
        // A cursor sticks: of the people who never come none is missed, and places go with each.
        assert!(of("cursor").idle_percent > 80.0 && of("cursor").most_in.is_none(), "{reports:?}");
        // A bucket waits for its last people until they expire, and a page asks every twenty seconds.
        assert!(of("minute buckets").idle_percent > 6.0 * own.idle_percent, "{reports:?}");
        assert_eq!(of("minute buckets").stale_ms, 10_000);
        assert!(of("minute buckets").stale_ms > 3 * own.stale_ms, "{reports:?}");
        // Ghosts spend the turns of a rate, and nothing else moves the line: the wait is exact.
        for name in ["rate only", "sorted set"] {
            assert!(of(name).idle_percent > 5.0 * own.idle_percent, "{reports:?}");
            assert!(of(name).error_percent < own.error_percent, "{reports:?}");
        }
        for report in &reports {
            assert!(report.overshoot <= 0, "{report:?}");
        }
        let latest = reports.iter().skip(1).map(|report| report.most_in.unwrap_or(i64::MAX)).min();
        assert!(own.most_in.unwrap() < latest.unwrap(), "{reports:?}");
    }
}
