//! The people: what each of them will do, drawn before the sale begins.

use super::scenario::{Hoarders, Scenario, Shares};
use frontrow_domain::{
    id::{Position, UserId},
    line::TokenStatus,
    time::{Span, Time},
};
use rand::{RngExt, rngs::StdRng};

/// How somebody behaves in line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    /// Asks when told to, and takes the turn.
    Plain,
    /// Stops asking once this share of the way is behind, for good.
    Ghost { after: f64 },
    /// Sees the turn and does not take it.
    NoShow,
    /// Lets the turn pass, and claims it so long after.
    Returner { after: Span },
    /// Stops asking once this share of the way is behind, and asks again so long after.
    Sleeper { after: f64, rest: Span },
    /// Means to keep others out: asks for ever and never claims, or claims and stays.
    Hoarder { claims: bool },
    /// Leaves once this share of the way is behind.
    Leaver { after: f64 },
}

/// Where a person's way begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WayIn {
    /// At the end of the line.
    Line,
    /// In the lobby of a draw, before the opening.
    Lobby,
}

/// How a visit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VisitEnd {
    /// Pays or leaves: the place is free at once.
    Said,
    /// Closes the page without a word: the place is free when its token has been idle for too long.
    Silent,
}

/// What somebody was told about the wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) at: Time,
    pub(super) p50: Span,
    pub(super) p90: Span,
    /// How many of the scenario's turnouts had been before.
    pub(super) turnouts: u32,
    /// Whether the settings of the room had been changed before, and not within the last minute.
    pub(super) is_settled: bool,
}

/// What somebody was told about the wait so far.
#[derive(Debug, Clone, Default)]
pub(super) struct ToldWaits {
    pub(super) all: Vec<Told>,
    /// The lowest since the settings of the room changed last, with the number of changes before.
    pub(super) lowest: Option<(u32, Span)>,
    /// Whether it rose above the lowest by more than people forgive.
    pub(super) has_risen: bool,
}

/// What a person does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PersonStep {
    /// Asks again when told to.
    Ask,
    /// Claims the turn so long after, and asks again when told to.
    Claim { after: Span },
    /// Stops asking for good.
    FallSilent,
    /// Stops asking, and asks again so long after.
    Sleep { rest: Span },
    /// Leaves the line by its button.
    Leave,
}

/// Somebody.
#[derive(Debug, Clone)]
pub(super) struct CrowdMember {
    pub(super) user: UserId,
    pub(super) fate: Fate,
    /// From seeing the turn to claiming it.
    pub(super) reaction: Span,
    pub(super) visit: Span,
    pub(super) visit_end: VisitEnd,
    /// None before the arrival.
    pub(super) position: Option<Position>,
    pub(super) status: TokenStatus,
    /// Whether the page is open: it asks.
    pub(super) is_present: bool,
    pub(super) way_in: WayIn,
    /// How many were ahead at first.
    pub(super) first_ahead: i64,
    /// The fewest that were ahead so far, and which start of an instance said so.
    pub(super) lowest_ahead: Option<(i64, u64)>,
    pub(super) offered_at: Option<Time>,
    /// When the present turn was claimed first.
    pub(super) claimed_at: Option<Time>,
    /// How many of the scenario's turnouts had been by then.
    pub(super) offered_after: u32,
    /// When a claim first found the room full.
    pub(super) pending_since: Option<Time>,
    /// Whether a claim of the present turn is on its way.
    pub(super) is_claiming: bool,
    /// Whether a returner or a sleeper has come back.
    pub(super) has_returned: bool,
    pub(super) told: ToldWaits,
}

impl CrowdMember {
    /// Whether it counts among those who wait and would come.
    pub(super) fn waits(&self) -> bool {
        self.is_present && self.position.is_some() && self.status == TokenStatus::Waiting
    }

    /// Whether it asks all the way to its turn, so that what it is told can be held against what came.
    pub(super) const fn is_always_there(&self) -> bool {
        matches!(self.fate, Fate::Plain | Fate::NoShow | Fate::Returner { .. })
    }

    /// What it does after an answer with this status and so many ahead.
    pub(super) fn next_step(&mut self, status: TokenStatus, ahead: i64) -> PersonStep {
        match status {
            TokenStatus::Waiting => self.wait(ahead),
            TokenStatus::Offered => {
                let takes = match self.fate {
                    Fate::NoShow | Fate::Hoarder { claims: false } => false,
                    Fate::Returner { .. } => self.has_returned,
                    _ => true,
                };
                if !takes || self.is_claiming {
                    return PersonStep::Ask;
                }
                self.is_claiming = true;
                PersonStep::Claim { after: self.reaction }
            }
            TokenStatus::Missed => match self.fate {
                Fate::Hoarder { claims: false } => PersonStep::Ask,
                Fate::NoShow => PersonStep::FallSilent,
                Fate::Returner { after } if !self.has_returned => {
                    self.has_returned = true;
                    PersonStep::Claim { after }
                }
                _ if self.is_claiming => PersonStep::Ask,
                _ => PersonStep::Claim { after: Span::ZERO },
            },
            TokenStatus::Dormant | TokenStatus::Active => PersonStep::Ask,
            TokenStatus::Ended => PersonStep::FallSilent,
        }
    }

    fn wait(&mut self, ahead: i64) -> PersonStep {
        self.first_ahead = self.first_ahead.max(ahead);
        self.go_on(fraction(self.first_ahead - ahead, self.first_ahead))
    }

    /// What it does in a lobby, whose way is the time until the opening, with so many microseconds of it behind.
    pub(super) fn wait_in_lobby(&mut self, passed: i64, way: i64) -> PersonStep {
        self.go_on(fraction(passed, way))
    }

    /// What it does with this share of the way behind.
    fn go_on(&mut self, passed: f64) -> PersonStep {
        match self.fate {
            Fate::Ghost { after } if passed >= after => PersonStep::FallSilent,
            Fate::Sleeper { after, rest } if passed >= after && !self.has_returned => {
                self.has_returned = true;
                PersonStep::Sleep { rest }
            }
            Fate::Leaver { after } if passed >= after => PersonStep::Leave,
            _ => PersonStep::Ask,
        }
    }
}

/// A share of a whole; all of nothing.
#[expect(clippy::cast_precision_loss, reason = "people in a line")]
fn fraction(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// A number that is nearly normal, with mean 0 and deviation 1: the sum of twelve even ones, less six.
pub(super) fn normal(rng: &mut StdRng) -> f64 {
    let sum: f64 = (0..12).map(|_| rng.random::<f64>()).sum();
    sum - 6.0
}

/// A time whose logarithm is normal: most are near the median, few are much longer.
pub(super) fn lognormal(median: Span, deviation: f64, rng: &mut StdRng) -> Span {
    scaled(median, (deviation * normal(rng)).exp())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "times of people need no more")]
pub(super) fn scaled(span: Span, by: f64) -> Span {
    Span::from_micros((span.micros() as f64 * by) as i64)
}

fn fate(shares: &Shares, rng: &mut StdRng) -> Fate {
    let mut chance = rng.random::<f64>() * 100.0;
    let way = rng.random::<f64>();
    let minutes = scaled(Span::from_secs(360), rng.random::<f64>());
    for (share, fate) in [
        (shares.ghosts, Fate::Ghost { after: way }),
        (shares.no_shows, Fate::NoShow),
        (shares.returners, Fate::Returner { after: scaled(minutes, 0.5) }),
        (shares.sleepers, Fate::Sleeper { after: way, rest: Span::from_micros(minutes.micros() + 120_000_000) }),
        (shares.leavers, Fate::Leaver { after: way }),
    ] {
        if chance < share {
            return fate;
        }
        chance -= share;
    }
    Fate::Plain
}

/// Somebody who asks, claims at once and stays for as long as it may.
fn plain(number: u128) -> CrowdMember {
    CrowdMember {
        user: UserId(uuid::Uuid::from_u128(number)),
        fate: Fate::Plain,
        reaction: Span::from_millis(500),
        visit: Span::from_secs(3_600),
        visit_end: VisitEnd::Said,
        position: None,
        status: TokenStatus::Ended,
        is_present: false,
        way_in: WayIn::Line,
        first_ahead: 0,
        lowest_ahead: None,
        offered_at: None,
        claimed_at: None,
        offered_after: 0,
        pending_since: None,
        is_claiming: false,
        has_returned: false,
        told: ToldWaits::default(),
    }
}

/// The people of a scenario, each with the moment of its arrival after the opening.
pub(super) fn crowd(scenario: &Scenario, rng: &mut StdRng) -> Vec<(Span, CrowdMember)> {
    let people = 0..scenario.people;
    let come = people.map(|number| {
        let arrives = scenario.arrivals.draw(rng);
        let person = CrowdMember {
            fate: fate(&scenario.shares, rng),
            reaction: lognormal(Span::from_millis(900), 0.6, rng),
            visit: lognormal(scenario.visit.0, scenario.visit.1, rng),
            visit_end: if rng.random::<f64>() * 100.0 < scenario.shares.closers {
                VisitEnd::Silent
            } else {
                VisitEnd::Said
            },
            ..plain(u128::from(number) + 1)
        };
        (arrives, person)
    });
    let mut come: Vec<_> = come.collect();
    let (count, claims) = match scenario.hoarders {
        Hoarders::None => (0, false),
        Hoarders::NeverClaim(count) => (count, false),
        Hoarders::Sit(count) => (count, true),
    };
    for number in 0..count {
        let mut one = plain(u128::from(scenario.people) + u128::from(number) + 1);
        one.fate = Fate::Hoarder { claims };
        come.push((Span::ZERO, one));
    }
    come.sort_by_key(|(arrives, _)| *arrives);
    come
}
