//! The clock of a box office: the machine's time of day without its jumps.
//!
//! Time advances by the monotonic clock and is compared with the time of day from time to time. If the time of day is a
//! little ahead, the clock adopts it at once. If it is behind, the clock runs a little slower until both meet. If it
//! has jumped far ahead, the clock adopts it after it has stayed there for a minute, so that a short error has no
//! effect.

use super::Clock;
use frontrow_domain::time::{Span, Time};
use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

/// The difference from the time of day that counts as a jump.
pub const JUMP_MIN: Span = Span::from_secs(5);
/// How long a jump ahead must last before it is adopted.
const BELIEVED_AFTER: Span = Span::from_secs(60);
/// The interval between comparisons.
const COMPARE_EVERY: Span = Span::from_millis(250);
/// The most that the clock slows down while the time of day is behind: so many of [`PARTS`], a tenth.
const SLOWER_BY_MAX: i64 = PARTS / 10;
const PARTS: i64 = 10_240;
/// The number of bits that hold `slower` in a packed [`ClockRate`].
const SLOWER_BITS: u32 = 11;
/// The delay before a slower pace applies: longer than any reader takes with the old pace.
const SLOWER_FROM: Span = Span::from_millis(10);

/// A clock without jumps.
#[derive(Debug)]
pub struct Steady {
    source: Clock,
    /// Added to the elapsed time, before the pace applies, in microseconds.
    origin: i64,
    /// A packed [`ClockRate`]: one word, so that reads need no lock.
    pace: AtomicI64,
    /// The elapsed time at the last comparison.
    compared: AtomicI64,
    /// How far the time of day was ahead at the last comparison, in microseconds.
    ahead: AtomicI64,
    state: Mutex<ClockState>,
}

/// The time as `passed + offset − passed × slower ÷ PARTS`, in microseconds. A correction backwards is a slower pace,
/// never a step, so no reading is earlier than a previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ClockRate {
    offset: i64,
    slower: i64,
}

impl ClockRate {
    const fn of(word: i64) -> Self {
        Self { offset: word >> SLOWER_BITS, slower: word & ((1 << SLOWER_BITS) - 1) }
    }

    const fn word(self) -> i64 {
        self.offset << SLOWER_BITS | self.slower
    }

    /// The time for this elapsed time.
    fn at(self, passed: Span) -> i64 {
        let passed = passed.micros();
        let lost = passed.saturating_mul(self.slower).saturating_div(PARTS);
        passed.saturating_add(self.offset).saturating_sub(lost)
    }

    /// The pace that continues this one from `turn` on.
    fn turned(self, slower: i64, turn: Span) -> Self {
        let straight = Self { offset: 0, slower };
        Self { offset: self.at(turn).saturating_sub(straight.at(turn)), slower }
    }
}

/// Knowledge of the time of day.
#[derive(Debug, Default)]
struct ClockState {
    /// The clock that decides.
    leader: Leader,
    /// When a jump ahead began, in elapsed time, and how far it goes.
    jumped: Option<(Span, Span)>,
    /// The last state that was logged.
    logged: Logged,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Leader {
    #[default]
    TimeOfDay,
    Another,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Logged {
    #[default]
    Agrees,
    Ahead,
    Behind,
}

/// The time does not follow the machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How far the machine's clock is ahead; negative if it is behind.
    pub ahead: Span,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ahead.millis().unsigned_abs() / 1_000;
        let word = if self.ahead > Span::ZERO { "ahead of" } else { "behind" };
        write!(f, "this machine's clock is {seconds} seconds {word} the time that the box office goes by")
    }
}

impl Steady {
    pub(super) fn over(source: Clock) -> Self {
        let (wall, passed) = (source.wall(), source.passed());
        Self {
            origin: wall.micros().saturating_sub(passed.micros()),
            pace: AtomicI64::new(ClockRate { offset: 0, slower: 0 }.word()),
            compared: AtomicI64::new(passed.micros()),
            ahead: AtomicI64::new(0),
            state: Mutex::default(),
            source,
        }
    }

    pub(super) const fn source(&self) -> &Clock {
        &self.source
    }

    pub(super) fn wall(&self) -> Time {
        self.source.wall()
    }

    pub(super) fn passed(&self) -> Span {
        self.source.passed()
    }

    fn state(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the monotonic clock, and compares it with the time of day if due. Never waits.
    pub(super) fn now(&self) -> Time {
        let passed = self.passed();
        let since = passed.micros().saturating_sub(self.compared.load(Ordering::Relaxed));
        if since >= COMPARE_EVERY.micros()
            && let Ok(mut state) = self.state.try_lock()
        {
            self.compare(&mut state, passed, SLOWER_FROM);
        }
        self.at(passed)
    }

    fn pace(&self) -> ClockRate {
        ClockRate::of(self.pace.load(Ordering::Relaxed))
    }

    fn at(&self, passed: Span) -> Time {
        Time::from_micros(self.origin.saturating_add(self.pace().at(passed)))
    }

    fn move_by(&self, by: Span) {
        self.pace.fetch_add(ClockRate { offset: by.micros(), slower: 0 }.word(), Ordering::Relaxed);
    }

    /// Changes the pace: at `passed` if the new pace is faster, else a `grace` later. The caller holds the state's
    /// lock.
    fn go_slower_by(&self, slower: i64, passed: Span, grace: Span) {
        let before = self.pace();
        if slower != before.slower {
            let grace = if slower > before.slower { grace } else { Span::ZERO };
            let turn = Span::from_micros(passed.micros().saturating_add(grace.micros()));
            let mut pace = before.turned(slower, turn);
            if grace > Span::ZERO {
                // The lost part is rounded: a reading before the turn must not be earlier than one by the old pace.
                pace.offset = pace.offset.saturating_add(2);
            }
            self.pace.store(pace.word(), Ordering::Relaxed);
        }
    }

    fn compare(&self, state: &mut ClockState, passed: Span, grace: Span) {
        let last = self.compared.swap(passed.micros(), Ordering::Relaxed);
        let mut ahead = between(self.at(passed), self.wall());
        // The time of day was reached since the last comparison, so the clock has been slow for too long.
        let since = passed.micros().saturating_sub(last).max(0);
        let too_much = ahead.micros().clamp(0, since.saturating_mul(self.pace().slower).saturating_div(PARTS));
        self.move_by(Span::from_micros(too_much));
        ahead = Span::from_micros(ahead.micros().saturating_sub(too_much));
        self.ahead.store(ahead.micros(), Ordering::Relaxed);
        if state.leader == Leader::Another {
            return;
        }
        if ahead <= JUMP_MIN {
            state.jumped = None;
            let is_behind = ahead.micros() < JUMP_MIN.micros().saturating_neg();
            state.log_change(if is_behind { Logged::Behind } else { Logged::Agrees }, ahead);
            self.move_by(ahead.max(Span::ZERO));
            // Slow enough to meet at the next comparison.
            let behind = ahead.micros().saturating_neg().max(0);
            let interval = COMPARE_EVERY.micros();
            let slower = behind.saturating_mul(PARTS).saturating_add(interval - 1).saturating_div(interval);
            self.go_slower_by(slower.min(SLOWER_BY_MAX), passed, grace);
            return;
        }
        self.go_slower_by(0, passed, grace);
        // An unsteady clock is not adopted: it must stay at the time that it jumped to.
        let stays = |(_, by): &(Span, Span)| ahead.micros().abs_diff(by.micros()) <= JUMP_MIN.micros().unsigned_abs();
        let (began, by) = state.jumped.filter(stays).unwrap_or((passed, ahead));
        state.jumped = Some((began, by));
        if passed.micros().saturating_sub(began.micros()) < BELIEVED_AFTER.micros() {
            state.log_change(Logged::Ahead, ahead);
            return;
        }
        let seconds = ahead.millis() / 1_000;
        tracing::warn!(seconds, "this machine's clock has stayed ahead for a minute: its time counts from now on");
        (state.logged, state.jumped) = (Logged::Agrees, None);
        self.move_by(ahead);
        self.ahead.store(0, Ordering::Relaxed);
    }

    pub(super) fn raise_to(&self, mark: Time) {
        let mut state = self.state();
        let behind = between(self.at(self.passed()), mark);
        if behind > Span::ZERO {
            self.move_by(behind);
            // Compared at once, so that the log shows it at the start.
            self.compare(&mut state, self.passed(), Span::ZERO);
        }
    }

    pub(super) fn follow(&self, ahead: Span) {
        let mut state = self.state();
        state.leader = Leader::Another;
        self.go_slower_by(0, self.passed(), Span::ZERO);
        self.move_by(ahead);
    }

    pub(super) fn held(&self) -> Option<Held> {
        // Compares if due.
        let _ = self.now();
        let is_led = self.state().leader == Leader::Another;
        let ahead = Span::from_micros(self.ahead.load(Ordering::Relaxed));
        let is_far = ahead.micros().unsigned_abs() > JUMP_MIN.micros().unsigned_abs();
        (is_far && !is_led).then_some(Held { ahead })
    }
}

impl ClockState {
    /// One log line for each change.
    fn log_change(&mut self, now: Logged, ahead: Span) {
        if std::mem::replace(&mut self.logged, now) == now {
            return;
        }
        let seconds = ahead.millis().unsigned_abs() / 1_000;
        match now {
            Logged::Agrees => tracing::info!("this machine's clock agrees with the time of the box office again"),
            Logged::Ahead => tracing::warn!(
                seconds,
                "this machine's clock has jumped ahead: it is ignored unless it stays ahead for a minute"
            ),
            Logged::Behind => tracing::warn!(
                seconds,
                "this machine's clock is behind the time of the box office: that runs a tenth slower until it is caught up"
            ),
        }
    }
}

/// The time from `from` to `to`; negative if `to` is earlier.
fn between(from: Time, to: Time) -> Span {
    Span::from_micros(to.micros().saturating_sub(from.micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_micros(1_800_000_000_000_000);
    const DAY: Span = Span::from_secs(86_400);

    fn secs(seconds: i64) -> Span {
        Span::from_secs(seconds)
    }

    fn back(span: Span) -> Span {
        Span::from_micros(-span.micros())
    }

    /// Lets time pass second by second, and reads the clock after each.
    fn run(clock: &Clock, seconds: i64) {
        for _ in 0..seconds {
            clock.advance(secs(1));
            let _ = clock.now();
        }
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_moment_leaves_no_trace() {
        let clock = Clock::manual(START).steady();
        run(&clock, 10);
        clock.jump(DAY);
        run(&clock, 1);
        assert_eq!(clock.held(), Some(Held { ahead: DAY }));
        clock.jump(back(DAY));
        run(&clock, 10);
        assert_eq!((clock.now(), clock.held()), (START.plus(secs(21)), None));
    }

    #[test]
    fn a_jump_ahead_is_adopted_after_a_minute_and_not_before() {
        let clock = Clock::manual(START).steady();
        clock.jump(DAY);
        run(&clock, 60);
        assert_eq!(clock.now(), START.plus(secs(60)), "time goes on meanwhile");
        assert_eq!(clock.held(), Some(Held { ahead: DAY }));
        run(&clock, 2);
        assert_eq!(clock.now(), START.plus(DAY).plus(secs(62)));
        assert_eq!(clock.held(), None);
    }

    #[test]
    fn a_clock_that_jumps_about_is_not_believed() {
        let clock = Clock::manual(START).steady();
        for _ in 0..10 {
            clock.jump(secs(1_000));
            run(&clock, 30);
        }
        assert_eq!(clock.now(), START.plus(secs(300)));
    }

    #[test]
    fn time_goes_on_while_the_clock_is_behind_and_the_two_meet_again() {
        let clock = Clock::manual(START).steady();
        clock.jump(back(secs(100)));
        let mut last = clock.now();
        for _ in 0..1_100 {
            clock.advance(secs(1));
            let now = clock.now();
            assert!(now.since(last) >= Span::from_millis(900), "time never stands still");
            last = now;
        }
        assert_eq!(clock.now(), clock.wall());
        assert_eq!(clock.held(), None);
    }

    #[test]
    fn no_reading_is_earlier_than_one_before_it_while_the_clock_is_behind() {
        let clock = Clock::manual(START).steady();
        let mut last = clock.now();
        for (round, jump) in [-20, -300, 7, -1, -3_000, 450, -40].into_iter().enumerate() {
            clock.jump(Span::from_millis(jump));
            for step in 0..20_000 {
                clock.advance(Span::from_micros(700));
                let now = clock.now();
                let passed = now.micros() - last.micros();
                assert!(passed >= 600, "{passed} µs have passed of 700 in round {round}, step {step}");
                last = now;
            }
        }
        run(&clock, 60);
        let ahead = between(clock.now(), clock.wall());
        assert!(ahead.micros().abs() < 1_000, "the two meet again: {ahead:?}");
    }

    #[test]
    fn after_a_stop_of_hours_time_is_that_of_the_clock_which_it_was_slower_than() {
        let clock = Clock::manual(START).steady();
        clock.jump(Span::from_millis(-100));
        run(&clock, 1);
        clock.advance(secs(10 * 3_600));
        assert_eq!(clock.now(), clock.wall());
    }

    #[test]
    fn time_runs_on_from_a_mark_that_is_ahead_of_the_clock() {
        let clock = Clock::manual(START).steady();
        clock.raise_to(START.plus(DAY));
        assert_eq!(clock.held(), Some(Held { ahead: back(DAY) }));
        clock.advance(secs(10));
        let passed = clock.now().since(START.plus(DAY));
        assert!(passed >= secs(9) && passed <= secs(10), "{passed:?}");
        clock.raise_to(START);
        assert!(clock.now() > START.plus(DAY), "a mark that is behind changes nothing");
    }

    #[test]
    fn small_steps_ahead_are_taken_over_at_once() {
        let clock = Clock::manual(START).steady();
        clock.jump(secs(4));
        clock.advance(secs(1));
        assert_eq!(clock.now(), START.plus(secs(5)));
    }

    #[test]
    fn a_clock_that_follows_another_goes_by_that_one_alone() {
        let clock = Clock::manual(START).steady();
        clock.follow(secs(25));
        clock.jump(DAY);
        run(&clock, 100);
        assert_eq!(clock.now(), START.plus(secs(125)));
        clock.follow(back(secs(5)));
        assert_eq!(clock.now(), START.plus(secs(120)));
        assert_eq!(clock.held(), None);
    }

    #[test]
    fn copies_of_a_steady_clock_share_its_time() {
        let clock = Clock::manual(START).steady();
        let copy = clock.clone().steady();
        copy.raise_to(START.plus(DAY));
        assert_eq!(clock.now(), START.plus(DAY));
    }
}
