//! What a simulated sale is measured by.

use super::{
    office::AnswerSource,
    people::{CrowdMember, Fate, Told, WayIn},
};
use frontrow_domain::{
    id::Position,
    time::{Span, Time},
};
use serde::Serialize;

/// A wait that is shorter says nothing about a prediction: half a second is a fifth of it.
pub(super) const WAIT_MIN: Span = Span::from_secs(5);
/// How far a told wait must rise above the lowest told since the settings of the room changed last, to be a rise.
const RISE_MIN: Span = Span::from_secs(30);
/// How long a line must have moved until its wait should be known.
const KNOWN_AFTER: Span = Span::from_secs(30);
/// How long after a restart the turns of ghosts are counted apart.
const AFTER_RESTART: Span = Span::from_secs(120);
/// How long after a change of the settings of the room told waits should be near again.
const SETTLED_AFTER: Span = Span::from_secs(60);
/// The horizons, in seconds, at which predictions are compared with what came.
const HORIZONS: [i64; 7] = [600, 300, 180, 120, 60, 30, 8];

/// Counts while a sale goes on.
#[derive(Debug)]
pub(super) struct Meters {
    last: Time,
    idle: IdlePlaces,
    /// From the moment on at which the room was full for the first time.
    idle_once_full: IdlePlaces,
    was_full: bool,
    first_offer: Option<Time>,
    furthest_offered: (Position, Time),
    polls: u64,
    polls_to_know: u64,
    polls_known: u64,
    pub(super) counts: Counts,
    cap: i64,
    /// How many are inside beyond the cap because it was lowered.
    beyond_lowered: i64,
    /// How long claims that had found the room full waited for their place.
    pub(super) places_awaited: Vec<Span>,
    /// Places idle in each part of the sale.
    over_time: Vec<IdlePlaces>,
    /// When somebody came in: the moment, and whether it asks all the way.
    pub(super) entries: Vec<Time>,
    opened: Time,
    /// How often the settings of the room were changed.
    changes: u32,
    /// When they were changed last.
    changed: Option<Time>,
    /// When the server started again last.
    restarted: Option<Time>,
    /// How many of the scenario's turnouts have been, and returns of the server.
    pub(super) turnouts: u32,
    /// The sum of the times from a poll to the next, in milliseconds.
    pub(super) poll_ms: i64,
    pub(super) views: ViewAges,
}

/// The moment at which it is counted how many were let in.
const SERVED_BY: Span = Span::from_secs(600);
/// A part of a sale, of which the idle places are drawn.
pub(super) const PART: Span = Span::from_secs(10);

/// How old the views were that people were answered from, of several instances.
#[derive(Debug, Clone, Default)]
pub(super) struct ViewAges {
    ages: Vec<Span>,
    /// Answers from a view that was more than a second old, and did not say so.
    unaware: u64,
    stale: u64,
}

impl ViewAges {
    pub(super) fn note(&mut self, source: AnswerSource) {
        let is_old = source.age > Span::from_secs(1);
        self.ages.push(source.age);
        self.unaware += u64::from(is_old && !source.says_stale);
        self.stale += u64::from(source.says_stale);
    }

    fn report(&self) -> Option<ViewAgeReport> {
        let mut ages = self.ages.clone();
        ages.sort_unstable();
        let count = ages.len();
        Some(ViewAgeReport {
            behind_percent: ratio(wide(ages.iter().filter(|age| **age > Span::ZERO).count()), wide(count)),
            p99_ms: reached_by(&ages, 99)?.millis(),
            most_ms: reached_by(&ages, 100)?.millis(),
            stale_percent: ratio(self.stale.into(), wide(count)),
            unaware: self.unaware,
        })
    }
}

/// How old views were.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct ViewAgeReport {
    /// Answers from a view that lacked some change.
    pub(super) behind_percent: f64,
    /// How old the oldest change was that was lacking: in ninety-nine of a hundred answers no older, and at most.
    pub(super) p99_ms: i64,
    pub(super) most_ms: i64,
    /// Answers that said that they may be old.
    pub(super) stale_percent: f64,
    /// Answers from a view that was more than a second old, and did not say so.
    pub(super) unaware: u64,
}

/// Claims that found the room full, and were let in when a place was free.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct AwaitedPlaces {
    /// Of all who came in.
    pub(super) percent: f64,
    /// How long half of them waited for their place, and nine tenths, at most.
    pub(super) p50_ms: i64,
    pub(super) p90_ms: i64,
}

/// Places that stood idle while people waited who would have come in, of all places in that time.
#[derive(Debug, Clone, Copy, Default)]
struct IdlePlaces {
    idle_micros: i128,
    place_micros: i128,
}

impl IdlePlaces {
    fn add(&mut self, micros: i128, idle: i64, places: i64) {
        self.idle_micros += micros * i128::from(idle);
        self.place_micros += micros * i128::from(places);
    }

    fn percent(self) -> f64 {
        ratio(self.idle_micros, self.place_micros)
    }
}

/// What happened, counted.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Counts {
    pub(super) joined: u64,
    pub(super) offered: u64,
    pub(super) activated: u64,
    /// Those of people who had stopped asking for good.
    pub(super) offered_to_ghosts: u64,
    /// The same in the two minutes after the server had started again.
    pub(super) ghosts_woken: u64,
    /// Those of people who came into a lobby.
    pub(super) ghosts_of_lobby: u64,
    /// Turns that nobody claimed in time.
    pub(super) missed: u64,
    /// Those of people who asked all the time and claimed at once.
    pub(super) missed_present: u64,
    /// Claims that found the room full.
    pub(super) pending: u64,
    /// For each person who came in, those whose claim had found the room full earlier and who still waited.
    pub(super) overtaken: u64,
    /// People who asked all the time, and got their first offer after somebody who stood behind them and did so, too.
    pub(super) inversions: u64,
    /// By how many milliseconds their offers came later than that one, at most.
    pub(super) inverted_by_ms: i64,
    /// The most that were inside beyond the cap, but for those who were inside when it was lowered.
    pub(super) overshoot: i64,
    /// Times that the number ahead rose for a person at one instance.
    pub(super) ahead_rises: u64,
    /// Times that an instance told a person a higher number than another one had.
    pub(super) ahead_rises_across: u64,
    /// People who asked all the time and were passed over as silent.
    pub(super) passed_present: u64,
    /// Moves that were refused because another instance had led since.
    pub(super) superseded: u64,
}

impl Meters {
    pub(super) fn new(now: Time) -> Self {
        Self {
            last: now,
            idle: IdlePlaces::default(),
            idle_once_full: IdlePlaces::default(),
            was_full: false,
            first_offer: None,
            furthest_offered: (Position(0), now),
            polls: 0,
            polls_to_know: 0,
            polls_known: 0,
            counts: Counts::default(),
            cap: 0,
            beyond_lowered: 0,
            places_awaited: Vec::new(),
            over_time: Vec::new(),
            entries: Vec::new(),
            opened: now,
            changes: 0,
            changed: None,
            restarted: None,
            turnouts: 0,
            poll_ms: 0,
            views: ViewAges::default(),
        }
    }

    /// The sale opens at this moment, and not at the first one.
    pub(super) const fn open_at(&mut self, opens_at: Time) {
        self.opened = opens_at;
    }

    /// The server starts again.
    pub(super) const fn restart(&mut self, now: Time) {
        self.restarted = Some(now);
    }

    /// An operator changes the settings of the room.
    pub(super) const fn change_settings(&mut self, now: Time) {
        self.changes += 1;
        self.changed = Some(now);
    }

    /// Whether the settings of the room have been changed, and not within the last minute.
    pub(super) fn is_settled(&self, now: Time) -> bool {
        self.changed.is_some_and(|at| now.since(at) >= SETTLED_AFTER)
    }

    /// A turn is offered to a person.
    pub(super) fn count_offer(&mut self, person: &CrowdMember, now: Time) {
        self.counts.offered += 1;
        if matches!(person.fate, Fate::Ghost { .. }) && !person.is_present {
            let is_after = self.restarted.is_some_and(|at| now.since(at) < AFTER_RESTART);
            self.counts.offered_to_ghosts += 1;
            self.counts.ghosts_woken += u64::from(is_after);
            self.counts.ghosts_of_lobby += u64::from(person.way_in == WayIn::Lobby);
        }
    }

    /// How many are inside now. Those who were when the cap was lowered may stay; nobody may come in beside them.
    pub(super) fn count_inside(&mut self, active: i64, max_active: i64) {
        let over = active.saturating_sub(max_active).max(0);
        self.beyond_lowered = if max_active < self.cap { over } else { self.beyond_lowered.min(over) };
        self.cap = max_active;
        self.counts.overshoot = self.counts.overshoot.max(over.saturating_sub(self.beyond_lowered));
    }

    /// The time until `now`, in which so many waited who would have come in.
    pub(super) fn pass(&mut self, now: Time, (max_active, active): (i64, i64), waiting: i64) {
        let micros = i128::from(now.since(self.last).micros());
        self.last = now;
        self.was_full |= active >= max_active;
        if waiting > 0 {
            let idle = max_active.saturating_sub(active).clamp(0, waiting);
            self.idle.add(micros, idle, max_active);
            let part = now.since(self.opened).micros() / PART.micros();
            let part = usize::try_from(part).unwrap_or(0);
            if self.over_time.len() <= part {
                self.over_time.resize(part + 1, IdlePlaces::default());
            }
            self.over_time[part].add(micros, idle, max_active);
            if self.was_full {
                self.idle_once_full.add(micros, idle, max_active);
            }
        }
    }

    /// The first offer to somebody.
    pub(super) fn offer(&mut self, person: &CrowdMember, position: Position, now: Time) {
        self.first_offer.get_or_insert(now);
        if person.is_always_there() {
            let (furthest, at) = self.furthest_offered;
            if position < furthest {
                self.counts.inversions += 1;
                self.counts.inverted_by_ms = self.counts.inverted_by_ms.max(now.since(at).millis());
            } else {
                self.furthest_offered = (position, now);
            }
        }
    }

    /// What somebody who waits was told: the wait, if it was known.
    pub(super) fn told(&mut self, person: &mut CrowdMember, told: Option<Told>, now: Time) {
        self.polls += 1;
        if self.first_offer.is_some_and(|first| now.since(first) >= KNOWN_AFTER) {
            self.polls_to_know += 1;
            self.polls_known += u64::from(told.is_some());
        }
        let Some(told) = told else { return };
        match person.told.lowest.filter(|(changes, _)| *changes == self.changes).map(|(_, lowest)| lowest) {
            Some(lowest) if told.p50 > lowest => {
                person.told.has_risen |= told.p50.micros() - lowest.micros() > RISE_MIN.micros();
            }
            _ => person.told.lowest = Some((self.changes, told.p50)),
        }
        person.told.all.push(told);
    }

    /// When so many had come in, in seconds; none if they never did.
    pub(super) fn entered_by(&self, count: usize) -> Option<i64> {
        let at = self.entries.get(count.checked_sub(1)?)?;
        Some(at.since(self.opened).micros() / 1_000_000)
    }

    fn awaited(&self) -> AwaitedPlaces {
        let mut waits = self.places_awaited.clone();
        waits.sort_unstable();
        let [p50_ms, p90_ms] = [50, 90].map(|percent| reached_by(&waits, percent).map_or(0, Span::millis));
        AwaitedPlaces { percent: ratio(wide(waits.len()), self.counts.activated.into()), p50_ms, p90_ms }
    }

    /// What came of it.
    pub(super) fn report(&self, scenario: &str, people: &[CrowdMember], ended: Span) -> SimulationReport {
        let predictions: Vec<Prediction> = people.iter().flat_map(Prediction::of).collect();
        let told = people.iter().filter(|person| person.told.lowest.is_some());
        let rises = told.clone().filter(|person| person.told.has_risen).count();
        SimulationReport {
            scenario: scenario.to_owned(),
            seconds: ended.micros() / 1_000_000,
            counts: self.counts,
            polls: self.polls,
            idle_percent: self.idle.percent(),
            idle_once_full_percent: self.idle_once_full.percent(),
            known_percent: ratio(self.polls_known.into(), self.polls_to_know.into()),
            wait: Accuracy::of(None, predictions.iter()),
            undisturbed: Accuracy::of(None, predictions.iter().filter(|one| one.is_undisturbed)),
            settled: Accuracy::of(None, predictions.iter().filter(|one| one.is_undisturbed && one.is_settled)),
            by_time: weighted_bias(&predictions),
            by_horizon: HORIZONS.map(|seconds| Accuracy::near(seconds, &predictions)).into(),
            rises_percent: ratio(wide(rises), wide(told.count())),
            idle_over_time: self.over_time.iter().map(|part| part.percent()).collect(),
            served: real(self.entries.iter().filter(|at| at.since(self.opened) <= SERVED_BY).count()),
            served_in_all: real(self.entries.len()),
            views: self.views.report(),
            awaited: self.awaited(),
            stale_ms: self.poll_ms / i64::try_from(self.polls.max(1)).unwrap_or(i64::MAX) / 2,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "people in a line")]
fn real(count: usize) -> f64 {
    count as f64
}

fn wide(count: usize) -> i128 {
    i128::try_from(count).unwrap_or(i128::MAX)
}

/// What so many of a hundred ascending spans do not exceed, by the nearest rank; none of none.
fn reached_by(ascending: &[Span], percent: usize) -> Option<Span> {
    ascending.get((ascending.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

/// A share in per cent, to the hundredth; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "hundredths of a per cent")]
pub(super) fn ratio(part: i128, whole: i128) -> f64 {
    if whole == 0 { 0.0 } else { (part.saturating_mul(10_000) / whole) as f64 / 100.0 }
}

/// A told wait beside the one that came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prediction {
    pub(super) p50: Span,
    pub(super) p90: Span,
    pub(super) came: Span,
    /// How long it was shown.
    pub(super) shown: Span,
    /// Whether nothing happened to the room or the server between.
    pub(super) is_undisturbed: bool,
    /// Whether it was told when the settings of the room had been changed, a minute ago or earlier.
    pub(super) is_settled: bool,
}

impl Prediction {
    pub(super) fn of(person: &CrowdMember) -> Vec<Self> {
        let Some(offered_at) = person.offered_at.filter(|_| person.is_always_there()) else { return Vec::new() };
        let told: Vec<_> = person.told.all.iter().filter(|told| told.at < offered_at).collect();
        let next = told.iter().skip(1).map(|told| told.at).chain([offered_at]);
        let told = told.iter().zip(next).map(|(told, next)| Self {
            p50: told.p50,
            p90: told.p90,
            came: offered_at.since(told.at),
            shown: next.since(told.at),
            is_undisturbed: told.turnouts == person.offered_after,
            is_settled: told.is_settled,
        });
        told.collect()
    }
}

/// How far told waits were from those that came.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Accuracy {
    /// The wait that was left, in seconds; none for all waits.
    pub(super) horizon: Option<i64>,
    pub(super) told: usize,
    /// The median of what was told too much or (negative) too little, in per cent of the wait that came.
    pub(super) bias_percent: f64,
    /// The median of the distance, in per cent of the wait that came.
    pub(super) error_percent: f64,
    /// How often the wait was no longer than the p90.
    pub(super) covered_percent: f64,
}

impl Accuracy {
    fn of<'a>(horizon: Option<i64>, predictions: impl Iterator<Item = &'a Prediction>) -> Self {
        let predictions: Vec<_> = predictions.filter(|one| one.came >= WAIT_MIN).collect();
        let error = |one: &&Prediction| error_of(one);
        let covered = predictions.iter().filter(|one| one.came <= one.p90).count();
        Self {
            horizon,
            told: predictions.len(),
            bias_percent: median(predictions.iter().map(error).collect()),
            error_percent: median(predictions.iter().map(|one| error(one).abs()).collect()),
            covered_percent: ratio(wide(covered), wide(predictions.len())),
        }
    }

    /// Of the waits whose rest was within a tenth of so many seconds.
    fn near(seconds: i64, predictions: &[Prediction]) -> Self {
        let (from, to) = (Span::from_millis(900 * seconds), Span::from_millis(1_100 * seconds));
        Self::of(Some(seconds), predictions.iter().filter(|one| (from..=to).contains(&one.came)))
    }
}

/// The median of what was told too much, in per cent of the wait that came, if each told wait counts for as long as it
/// was shown.
#[expect(clippy::cast_precision_loss, reason = "hundredths of a per cent")]
fn weighted_bias(predictions: &[Prediction]) -> f64 {
    let judged = predictions.iter().filter(|one| one.came >= WAIT_MIN);
    let mut errors: Vec<_> = judged.map(|one| (error_of(one), one.shown.micros())).collect();
    errors.sort_unstable();
    let half = errors.iter().map(|(_, shown)| i128::from(*shown)).sum::<i128>() / 2;
    let mut passed = 0;
    let middle = errors.iter().find(|(_, shown)| {
        passed += i128::from(*shown);
        passed >= half
    });
    middle.map_or(0.0, |(error, _)| *error as f64 / 100.0)
}

/// What was told too much or (negative) too little, in hundredths of a per cent of the wait that came.
fn error_of(one: &Prediction) -> i128 {
    let (told, came) = (i128::from(one.p50.micros()), i128::from(one.came.micros()));
    (told - came) * 10_000 / came.max(1)
}

/// The median distance of the told waits from those that came, in per cent.
pub(super) fn median_error(predictions: &[Prediction]) -> f64 {
    Accuracy::of(None, predictions.iter()).error_percent
}

#[expect(clippy::cast_precision_loss, reason = "hundredths of a per cent")]
fn median(mut values: Vec<i128>) -> f64 {
    values.sort_unstable();
    values.get(values.len() / 2).map_or(0.0, |value| *value as f64 / 100.0)
}

/// What came of a simulated sale.
#[derive(Debug, Clone, Serialize)]
pub(super) struct SimulationReport {
    pub(super) scenario: String,
    /// How long it went on.
    pub(super) seconds: i64,
    pub(super) counts: Counts,
    pub(super) polls: u64,
    /// Places that stood idle while people waited who would have come, of all places in that time.
    pub(super) idle_percent: f64,
    /// The same from the moment on at which the room was full for the first time: before that a rate may bind.
    pub(super) idle_once_full_percent: f64,
    /// Answers with a known wait, of those from half a minute of movement on.
    pub(super) known_percent: f64,
    pub(super) wait: Accuracy,
    /// Of the waits that were told after the last turnout before their end alone.
    pub(super) undisturbed: Accuracy,
    /// Of these, the waits that were told a minute or more after a change of the settings of the room.
    pub(super) settled: Accuracy,
    /// The bias if each told wait counts for as long as it was shown: people who are told less ask more often.
    pub(super) by_time: f64,
    pub(super) by_horizon: Vec<Accuracy>,
    /// People whose told wait rose by more than half a minute, though the settings of the room were the same.
    pub(super) rises_percent: f64,
    /// Idle places in each part of the sale, in per cent.
    pub(super) idle_over_time: Vec<f64>,
    /// How many of those who mean no harm were in after ten minutes.
    pub(super) served: f64,
    /// How many of them were in at the end.
    pub(super) served_in_all: f64,
    /// The claims that found the room full.
    pub(super) awaited: AwaitedPlaces,
    /// How old the number that a person sees is on average, in milliseconds: half the time between two polls.
    pub(super) stale_ms: i64,
    /// How old views were, of several instances.
    pub(super) views: Option<ViewAgeReport>,
}
