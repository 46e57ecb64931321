//! A sale in virtual time: the rules of the line decide, an instance's view of it tells, and people behave as people
//! do. The same seed gives the same sale, on any machine and in a fraction of the time.
//!
//! `scenario.rs` has the sales, `people.rs` who comes, `office.rs` the box office, with the rows in `rows.rs`;
//! `measure.rs` is what is asked of it. `cluster.rs` has several instances, with `post.rs` between them.

mod cluster;
mod curves;
mod floor;
mod measure;
mod office;
mod people;
mod plots;
mod post;
mod printed;
mod rivals;
mod rows;
mod scenario;
#[cfg(test)]
mod tests;

use anyhow::Result;
use frontrow_domain::{
    changes::Changes,
    command::RoomChange,
    line::{Token, TokenStatus},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_line::view::Estimate;
use measure::{Meters, SimulationReport};
use office::{PollAnswer, SimulatedOffice};
use people::{CrowdMember, Fate, Told, VisitEnd, crowd};
pub(crate) use printed::simulate;
use rand::{SeedableRng, rngs::StdRng};
use scenario::{Scenario, Turnout};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

const START: Time = Time::from_micros(1_900_000_000_000_000);
/// How often the leader looks at a line in which nothing happened.
const TICK: Span = Span::from_millis(100);
/// How long it takes until the leader looks at a line in which something happened.
const LEAD_WITHIN: Span = Span::from_millis(5);
/// A client whose request came to an instance that was not there asks again after this.
const ASK_AGAIN: Span = Span::from_millis(1_000);
/// How long a client waits that found the room full, before it claims again.
const CLAIM_AGAIN: Span = Span::from_millis(1_000);
/// Clients that found the server down ask again within this time, in so many parts.
const TRY_AGAIN_WITHIN: Span = Span::from_secs(10);
const TRY_AGAIN_PARTS: usize = 1_000;
/// The waits of at most so many people are held against what came.
const JUDGED: usize = 5_000;

/// Something that happens at a moment, to a person or to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SaleEvent {
    Arrive(usize),
    Poll(usize),
    /// Somebody who was silent asks again.
    Wake(usize),
    Claim(usize),
    /// A visit is over.
    Finish(usize),
    /// The next of the scenario's turnouts.
    Turnout(usize),
    Lead,
    Tick,
    /// The server is there again that was down.
    Resume(Time),
}

/// A sale under way.
struct SimulatedSale {
    scenario: Scenario,
    office: SimulatedOffice,
    people: Vec<CrowdMember>,
    /// The person at each position, from the first on.
    places: Vec<usize>,
    /// Those who wait and would come in.
    waiting: i64,
    meters: Meters,
    now: Time,
    events: BinaryHeap<Reverse<(Time, u64, SaleEvent)>>,
    /// Events of one moment happen in the order in which they were planned.
    planned: u64,
    lead_at: Option<Time>,
    /// When each of those who came in by the present batch had found the room full first, if it had.
    let_in: Vec<Option<Time>>,
    /// Those whose claims found the room full, by the first of them; some may have come in or gone since.
    pending: BTreeSet<(Time, usize)>,
    /// Those who are not done.
    left: usize,
    /// Until when the server is down.
    down_until: Option<Time>,
}

impl SimulatedSale {
    fn open(scenario: Scenario, seed: u64) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let arrivals = crowd(&scenario, &mut rng);
        let mut office = SimulatedOffice::open(scenario.max_active, Policy::default(), START)?;
        if scenario.admit_per_minute.is_some() {
            let change = RoomChange { admit_per_minute: Some(scenario.admit_per_minute), ..RoomChange::default() };
            office.set_room(START, change)?;
        }
        if let Some(plan) = scenario.cluster {
            office = office.with_instances(plan, seed, START);
        }
        let mut sale = Self {
            office,
            people: Vec::with_capacity(arrivals.len()),
            places: Vec::with_capacity(arrivals.len()),
            waiting: 0,
            meters: Meters::new(START),
            now: START,
            events: BinaryHeap::new(),
            planned: 0,
            lead_at: None,
            let_in: Vec::new(),
            pending: BTreeSet::new(),
            left: arrivals.len(),
            down_until: None,
            scenario,
        };
        for (person, (arrives, one)) in arrivals.into_iter().enumerate() {
            sale.people.push(one);
            sale.plan(arrives, SaleEvent::Arrive(person));
        }
        for number in 0..sale.scenario.turnouts.len() {
            sale.plan(sale.scenario.turnouts[number].0, SaleEvent::Turnout(number));
        }
        sale.plan(TICK, SaleEvent::Tick);
        Ok(sale)
    }

    fn plan(&mut self, after: Span, event: SaleEvent) {
        self.planned += 1;
        self.events.push(Reverse((self.now.plus(after), self.planned, event)));
    }

    fn run(mut self) -> Result<SimulationReport> {
        self.go_on()
    }

    fn go_on(&mut self) -> Result<SimulationReport> {
        let end = START.plus(self.scenario.lasts);
        while self.left > 0
            && let Some(Reverse((at, _, event))) = self.events.pop()
            && at <= end
        {
            let places = (self.office.max_active(), self.office.active());
            // While the gate is paused no place is to be taken.
            let waiting = if self.office.may_move() { self.waiting } else { 0 };
            self.meters.pass(at, places, waiting);
            self.now = at;
            self.happen(event)?;
        }
        self.meters.counts.superseded = self.office.superseded;
        Ok(self.meters.report(self.scenario.name, &self.people, self.now.since(START)))
    }

    /// While the server is down, people and the leader try again once it is there.
    fn is_put_off(&mut self, event: SaleEvent) -> bool {
        let Some(until) = self.down_until.filter(|until| self.now < *until) else { return self.is_lost(event) };
        let (SaleEvent::Arrive(person)
        | SaleEvent::Poll(person)
        | SaleEvent::Wake(person)
        | SaleEvent::Claim(person)
        | SaleEvent::Finish(person)) = event
        else {
            return matches!(event, SaleEvent::Lead | SaleEvent::Tick) && self.put_off(until, 0, event);
        };
        self.put_off(until, person, event)
    }

    /// A request that comes to an instance that is not there is made again.
    fn is_lost(&mut self, event: SaleEvent) -> bool {
        let (SaleEvent::Arrive(person)
        | SaleEvent::Poll(person)
        | SaleEvent::Wake(person)
        | SaleEvent::Claim(person)
        | SaleEvent::Finish(person)) = event
        else {
            return false;
        };
        let is_lost = self.office.choose_instance(person, self.now).is_none();
        if is_lost {
            self.plan(ASK_AGAIN, event);
        }
        is_lost
    }

    fn put_off(&mut self, until: Time, person: usize, event: SaleEvent) -> bool {
        let spread = i64::try_from(person % TRY_AGAIN_PARTS).unwrap_or(0);
        let after = until.since(self.now).micros() + TRY_AGAIN_WITHIN.micros() / 1_000 * (spread + 1);
        self.plan(Span::from_micros(after), event);
        true
    }

    fn happen(&mut self, event: SaleEvent) -> Result<()> {
        if self.is_put_off(event) {
            return Ok(());
        }
        match event {
            SaleEvent::Resume(from) => {
                self.meters.turnouts += 1;
                self.office.resume(from, self.now);
                Ok(())
            }
            SaleEvent::Arrive(person) => self.arrive(person),
            SaleEvent::Poll(person) => self.poll(person),
            SaleEvent::Wake(person) => {
                self.change(person, |one| one.is_present = true);
                self.poll(person)
            }
            SaleEvent::Claim(person) => {
                self.claim(person);
                Ok(())
            }
            SaleEvent::Finish(person) => self.finish(person),
            SaleEvent::Turnout(number) => self.turn_out(number),
            SaleEvent::Lead => {
                self.lead_at = None;
                self.lead()
            }
            SaleEvent::Tick => {
                self.plan(TICK, SaleEvent::Tick);
                self.lead()
            }
        }
    }

    /// The next of the scenario's turnouts.
    fn turn_out(&mut self, number: usize) -> Result<()> {
        self.meters.turnouts += 1;
        match self.scenario.turnouts[number].1.clone() {
            Turnout::Change(change) => {
                self.meters.changes += 1;
                self.office.set_room(self.now, change)
            }
            Turnout::Restart => {
                self.office.restart(self.now);
                Ok(())
            }
            Turnout::Instances(failure) => {
                self.office.befall(failure, self.now);
                Ok(())
            }
            Turnout::Down(lasts) => {
                self.down_until = Some(self.now.plus(lasts));
                self.plan(lasts, SaleEvent::Resume(self.now));
                Ok(())
            }
        }
    }

    /// Changes a person, and whether it counts among those who wait.
    fn change(&mut self, person: usize, change: impl FnOnce(&mut CrowdMember)) {
        let one = &mut self.people[person];
        let before = one.waits();
        change(one);
        self.waiting += i64::from(one.waits()) - i64::from(before);
    }

    /// Takes in what a batch changed.
    fn absorb(&mut self, changes: &Changes) {
        for token in changes.tokens.iter() {
            self.see(token);
        }
        for since in std::mem::take(&mut self.let_in) {
            let before = (since.unwrap_or(self.now), 0);
            let still_waits = |at: &&(Time, usize)| self.people[at.1].status == TokenStatus::Offered;
            let overtaken = self.pending.range(..before).filter(still_waits).count();
            self.meters.counts.overtaken += u64::try_from(overtaken).unwrap_or(u64::MAX);
        }
        if !changes.is_empty() && self.lead_at.is_none() {
            self.lead_at = Some(self.now);
            self.plan(LEAD_WITHIN, SaleEvent::Lead);
        }
        self.meters.count_inside(self.office.active(), self.office.max_active());
    }

    fn see(&mut self, token: &Token) {
        let position = token.id.position;
        let at = usize::try_from(position.0 - 1).unwrap_or(usize::MAX);
        let Some(person) = self.places.get(at).copied() else { return };
        let (before, status) = (self.people[person].status, token.status());
        self.change(person, |one| one.status = status);
        let now = self.now;
        match (before, status) {
            (TokenStatus::Waiting, TokenStatus::Offered) => {
                self.meters.counts.offered += 1;
                if self.people[person].offered_at.is_none() {
                    self.meters.offer(&self.people[person], position, now);
                    self.people[person].offered_at = Some(now);
                    self.people[person].offered_after = self.meters.turnouts;
                }
            }
            (TokenStatus::Waiting, TokenStatus::Dormant) => {
                self.meters.counts.passed_present += u64::from(self.people[person].fate == Fate::Plain);
            }
            (TokenStatus::Offered, TokenStatus::Missed) => {
                self.meters.counts.missed += 1;
                self.meters.counts.missed_present += u64::from(self.people[person].fate == Fate::Plain);
            }
            (TokenStatus::Offered, TokenStatus::Active) => {
                self.meters.counts.activated += 1;
                if self.people[person].is_always_there() {
                    self.meters.entries.push(now);
                }
                self.plan(self.people[person].visit, SaleEvent::Finish(person));
                let since = self.people[person].pending_since.take();
                if let Some(since) = since {
                    self.pending.remove(&(since, person));
                }
                self.let_in.push(since);
            }
            _ => {}
        }
        if status == TokenStatus::Ended && before != TokenStatus::Ended {
            self.left -= 1;
        }
    }

    fn lead(&mut self) -> Result<()> {
        for changes in self.office.lead(self.now)? {
            self.absorb(&changes);
        }
        Ok(())
    }

    fn arrive(&mut self, person: usize) -> Result<()> {
        let (position, changes) = self.office.join(self.now, self.people[person].user)?;
        self.places.push(person);
        self.meters.counts.joined += 1;
        self.change(person, |one| {
            one.position = Some(position);
            one.is_present = true;
            one.status = TokenStatus::Waiting;
        });
        self.absorb(&changes);
        self.poll(person)
    }

    fn poll(&mut self, person: usize) -> Result<()> {
        let one = &self.people[person];
        let Some(position) = one.position.filter(|_| one.is_present) else { return Ok(()) };
        let (answer, changes) = self.office.poll(self.now, one.user, position)?;
        self.absorb(&changes);
        let next = Span::from_millis(answer.poll_after_ms);
        if self.scenario.cluster.is_some() {
            self.meters.views.note(answer.source);
        }
        if answer.status == TokenStatus::Waiting {
            self.meters.poll_ms += answer.poll_after_ms;
        }
        match answer.status {
            TokenStatus::Waiting => self.wait(person, &answer, next),
            TokenStatus::Offered => {
                let one = &mut self.people[person];
                let takes = match one.fate {
                    Fate::NoShow | Fate::Hoarder { claims: false } => false,
                    Fate::Returner { .. } => one.has_returned,
                    _ => true,
                };
                if takes && !one.is_claiming {
                    one.is_claiming = true;
                    let reaction = one.reaction;
                    self.plan(reaction, SaleEvent::Claim(person));
                }
                self.plan(next, SaleEvent::Poll(person));
            }
            TokenStatus::Missed => match self.people[person].fate {
                Fate::Hoarder { claims: false } => self.plan(next, SaleEvent::Poll(person)),
                Fate::NoShow => self.change(person, |one| one.is_present = false),
                Fate::Returner { after } if !self.people[person].has_returned => {
                    self.people[person].has_returned = true;
                    self.plan(after, SaleEvent::Claim(person));
                    self.plan(next, SaleEvent::Poll(person));
                }
                _ => {
                    if !self.people[person].is_claiming {
                        self.plan(Span::ZERO, SaleEvent::Claim(person));
                    }
                    self.plan(next, SaleEvent::Poll(person));
                }
            },
            TokenStatus::Dormant | TokenStatus::Active => self.plan(next, SaleEvent::Poll(person)),
            TokenStatus::Ended => self.change(person, |one| one.is_present = false),
        }
        Ok(())
    }

    /// Somebody waits, and does what it does there.
    fn wait(&mut self, person: usize, answer: &PollAnswer, next: Span) {
        let (ahead, life) = (answer.ahead, answer.source.life);
        let told = match answer.wait {
            Estimate::Known { p50, p90 } => Some(Told { at: self.now, p50, p90, turnouts: self.meters.turnouts }),
            Estimate::Unknown(_) => None,
        };
        if person.is_multiple_of(self.people.len() / JUDGED + 1) {
            self.meters.told(&mut self.people[person], told, self.now);
        }
        let one = &mut self.people[person];
        match one.lowest_ahead {
            Some((lowest, by)) if ahead > lowest && by == life => self.meters.counts.ahead_rises += 1,
            Some((lowest, _)) if ahead > lowest => self.meters.counts.ahead_rises_across += 1,
            _ => one.lowest_ahead = Some((ahead, life)),
        }
        one.first_ahead = one.first_ahead.max(ahead);
        let is_past = |after: f64| fraction(one.first_ahead - ahead, one.first_ahead) >= after;
        match one.fate {
            Fate::Ghost { after } if is_past(after) => self.change(person, |one| one.is_present = false),
            Fate::Sleeper { after, rest } if is_past(after) && !one.has_returned => {
                one.has_returned = true;
                self.change(person, |one| one.is_present = false);
                self.plan(rest, SaleEvent::Wake(person));
            }
            Fate::Leaver { after } if is_past(after) => self.plan(Span::ZERO, SaleEvent::Finish(person)),
            _ => self.plan(next, SaleEvent::Poll(person)),
        }
    }

    fn claim(&mut self, person: usize) {
        let one = &self.people[person];
        let Some(position) = one.position else { return };
        let (token, changes) = self.office.claim(self.now, one.user, position);
        let status = token.map(|token| token.status());
        if status == Some(TokenStatus::Offered) {
            self.meters.counts.pending += 1;
            let since = *self.people[person].pending_since.get_or_insert(self.now);
            self.pending.insert((since, person));
            self.plan(CLAIM_AGAIN, SaleEvent::Claim(person));
        } else {
            self.people[person].is_claiming = false;
        }
        self.absorb(&changes);
    }

    fn finish(&mut self, person: usize) -> Result<()> {
        let one = &self.people[person];
        let Some(position) = one.position else { return Ok(()) };
        if one.visit_end == VisitEnd::Silent && one.status == TokenStatus::Active {
            self.change(person, |one| one.is_present = false);
            return Ok(());
        }
        let user = one.user;
        self.change(person, |one| one.is_present = false);
        let changes = self.office.leave(self.now, user, position)?;
        self.absorb(&changes);
        Ok(())
    }
}

/// A share of a whole; all of nothing.
#[expect(clippy::cast_precision_loss, reason = "people in a line")]
fn fraction(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 1.0 } else { part as f64 / whole as f64 }
}
