//! A sale in virtual time: the rules of the line decide, an instance's view of it tells, and people behave as people
//! do. The same seed gives the same sale, on any machine and in a fraction of the time.
//!
//! `scenario.rs` has the sales, `people.rs` who comes, `office.rs` the box office, with the rows in `rows.rs`;
//! `record.rs` notes what happens to whom, and `measure.rs` is what is asked of it. `cluster.rs` has several instances,
//! with `post.rs` between them. `over_http.rs` lets the same people come to real instances, and asks the same.

mod cluster;
mod curves;
mod draws;
mod floor;
mod measure;
mod office;
mod over_http;
mod people;
mod plots;
mod post;
mod printed;
mod record;
mod rivals;
mod rows;
mod scenario;
#[cfg(test)]
mod tests;

use anyhow::Result;
use frontrow_domain::{
    changes::Changes,
    command::RoomChange,
    id::UserId,
    line::{EndReason, Token, TokenStatus},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_line::view::Estimate;
use measure::SimulationReport;
use office::SimulatedOffice;
pub(crate) use over_http::accounts::run_line;
pub use over_http::{
    InstanceChoice, LineCrowd, LineFigures, LinePlan,
    freshness::{FreshnessProbe, ViewDelays},
};
use people::{PersonStep, Told, VisitEnd, WayIn, crowd};
pub(crate) use printed::simulate;
use rand::{SeedableRng, rngs::StdRng};
use record::{SaleRecord, SeenChange};
use scenario::{Keeping, Scenario, Turnout};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

const START: Time = Time::from_micros(1_900_000_000_000_000);
/// How often the leader looks at a line in which nothing happened.
const TICK: Span = Span::from_millis(100);
/// How often the box office notes that it works, and the leader keeps what it has measured and told.
const KEEP_EVERY: Span = Span::from_secs(10);
/// How long it takes until the leader looks at a line in which something happened.
const LEAD_WITHIN: Span = Span::from_millis(5);
/// A client whose request came to an instance that was not there asks again after this.
const ASK_AGAIN: Span = Span::from_millis(1_000);
/// How long a client waits that found the room full, before it claims again.
const CLAIM_AGAIN: Span = Span::from_millis(1_000);
/// Clients that found the server down ask again within this time, in so many parts.
const TRY_AGAIN_WITHIN: Span = Span::from_secs(10);
const TRY_AGAIN_PARTS: usize = 1_000;

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
    /// The box office notes that it works, and the leader keeps what it has measured and told.
    Keep,
    /// The server is there again that was down.
    Resume(Time),
}

impl SaleEvent {
    /// The person whose request it is; none if it is no request.
    const fn person(self) -> Option<usize> {
        match self {
            Self::Arrive(person)
            | Self::Poll(person)
            | Self::Wake(person)
            | Self::Claim(person)
            | Self::Finish(person) => Some(person),
            _ => None,
        }
    }
}

/// A sale under way.
struct SimulatedSale {
    scenario: Scenario,
    office: SimulatedOffice,
    record: SaleRecord,
    /// Who each account is.
    users: HashMap<UserId, usize>,
    now: Time,
    events: BinaryHeap<Reverse<(Time, u64, SaleEvent)>>,
    /// Events of one moment happen in the order in which they were planned.
    planned: u64,
    lead_at: Option<Time>,
    /// Until when the server is down.
    down_until: Option<Time>,
}

impl SimulatedSale {
    fn open(scenario: Scenario, seed: u64) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let arrivals = crowd(&scenario, &mut rng);
        let mut office = SimulatedOffice::open(scenario.max_active, Policy::default(), START)?;
        let opens_at = scenario.lobby.map(|lasts| START.plus(lasts));
        if let Some(opens_at) = opens_at {
            office = office.with_lobby(opens_at, seed, START)?;
        }
        if scenario.admit_per_minute.is_some() {
            let change = RoomChange { admit_per_minute: Some(scenario.admit_per_minute), ..RoomChange::default() };
            office.set_room(START, change)?;
        }
        if let Some(plan) = scenario.cluster {
            office = office.with_instances(plan, seed, START);
        }
        let mut sale = Self {
            office,
            record: SaleRecord::open(START, Vec::with_capacity(arrivals.len())),
            users: HashMap::with_capacity(arrivals.len()),
            now: START,
            events: BinaryHeap::new(),
            planned: 0,
            lead_at: None,
            down_until: None,
            scenario,
        };
        if let Some(opens_at) = opens_at {
            sale.record.meters.open_at(opens_at);
        }
        for (person, (arrives, one)) in arrivals.into_iter().enumerate() {
            sale.users.insert(one.user, person);
            sale.record.enter(one);
            sale.plan(arrives, SaleEvent::Arrive(person));
        }
        for number in 0..sale.scenario.turnouts.len() {
            sale.plan(sale.scenario.turnouts[number].0, SaleEvent::Turnout(number));
        }
        sale.plan(TICK, SaleEvent::Tick);
        sale.plan(KEEP_EVERY, SaleEvent::Keep);
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
        while self.record.left > 0
            && let Some(Reverse((at, _, event))) = self.events.pop()
            && at <= end
        {
            let places = (self.office.max_active(), self.office.active());
            // While the gate is paused, or the sale is not open, no place is to be taken.
            let waiting = if self.office.may_move(self.now) { self.record.waiting } else { 0 };
            self.record.meters.pass(at, places, waiting);
            self.now = at;
            self.happen(event)?;
        }
        self.record.meters.counts.superseded = self.office.superseded;
        Ok(self.record.meters.report(self.scenario.name, &self.record.people, self.now.since(START)))
    }

    /// While the server is down, people and the leader try again once it is there.
    fn is_put_off(&mut self, event: SaleEvent) -> bool {
        let Some(until) = self.down_until.filter(|until| self.now < *until) else { return self.is_lost(event) };
        match event.person() {
            Some(person) => self.put_off(until, person, event),
            None => {
                matches!(event, SaleEvent::Lead | SaleEvent::Tick | SaleEvent::Keep) && self.put_off(until, 0, event)
            }
        }
    }

    /// A request that comes to an instance that is not there is made again.
    fn is_lost(&mut self, event: SaleEvent) -> bool {
        let Some(person) = event.person() else { return false };
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
                self.record.meters.turnouts += 1;
                self.record.meters.restart(self.now);
                self.office.resume(from, self.now)
            }
            SaleEvent::Keep => {
                self.plan(KEEP_EVERY, SaleEvent::Keep);
                self.office.note_works(self.now)?;
                match self.scenario.keeping {
                    Keeping::Records => self.office.keep_record(self.now),
                    Keeping::Nothing => Ok(()),
                }
            }
            SaleEvent::Arrive(person) => self.arrive(person),
            SaleEvent::Poll(person) => self.poll(person),
            SaleEvent::Wake(person) => {
                self.record.change(person, |one| one.is_present = true);
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
        self.record.meters.turnouts += 1;
        match self.scenario.turnouts[number].1.clone() {
            Turnout::Change(change) => {
                self.record.meters.change_settings(self.now);
                self.office.set_room(self.now, change)
            }
            Turnout::Restart => {
                self.record.meters.restart(self.now);
                self.office.restart(self.now)
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

    /// Takes in what a batch changed.
    fn absorb(&mut self, changes: &Changes) {
        for token in changes.tokens.iter() {
            self.see(token);
        }
        self.record.count_overtaken();
        if !changes.is_empty() && self.lead_at.is_none() {
            self.lead_at = Some(self.now);
            self.plan(LEAD_WITHIN, SaleEvent::Lead);
        }
        self.record.meters.count_inside(self.office.active(), self.office.max_active());
    }

    fn see(&mut self, token: &Token) {
        let position = token.id.position;
        // An entry goes on at its drawn place.
        if token.end_reason() == Some(EndReason::Drawn) {
            return;
        }
        let Some(person) = self.users.get(&token.user_id).copied() else { return };
        self.record.people[person].position = Some(position);
        if self.record.see(person, position, token.status(), self.now) == SeenChange::CameIn {
            self.plan(self.record.people[person].visit, SaleEvent::Finish(person));
        }
    }

    fn lead(&mut self) -> Result<()> {
        for changes in self.office.lead(self.now)? {
            self.absorb(&changes);
        }
        Ok(())
    }

    fn arrive(&mut self, person: usize) -> Result<()> {
        let (position, changes) = self.office.join(self.now, self.record.people[person].user)?;
        self.record.join(person, position);
        if self.office.is_undrawn(position) {
            self.record.people[person].way_in = WayIn::Lobby;
        }
        self.absorb(&changes);
        self.poll(person)
    }

    fn poll(&mut self, person: usize) -> Result<()> {
        let one = &self.record.people[person];
        let Some(position) = one.position.filter(|_| one.is_present) else { return Ok(()) };
        let (answer, changes) = self.office.poll(self.now, one.user, position)?;
        self.absorb(&changes);
        let next = Span::from_millis(answer.poll_after_ms);
        if self.scenario.cluster.is_some() {
            self.record.meters.views.note(answer.source);
        }
        let is_undrawn = self.office.is_undrawn(position);
        if answer.status == TokenStatus::Waiting && !is_undrawn {
            self.record.meters.poll_ms += answer.poll_after_ms;
            let told = match answer.wait {
                Estimate::Known { p50, p90 } => {
                    let is_settled = self.record.meters.is_settled(self.now);
                    Some(Told { at: self.now, p50, p90, turnouts: self.record.meters.turnouts, is_settled })
                }
                Estimate::Unknown(_) => None,
            };
            self.record.hear(person, (answer.ahead, answer.source.life), told, self.now);
        }
        let step = match self.scenario.lobby {
            Some(lasts) if is_undrawn && answer.status == TokenStatus::Waiting => {
                let (came, opens_at) = (self.office.issued_at(position), START.plus(lasts));
                // By the next poll, so that each person who stops asking on the way does so before the opening.
                let passed = self.now.plus(next).since(came).micros();
                self.record.people[person].wait_in_lobby(passed, opens_at.since(came).micros())
            }
            _ => self.record.people[person].next_step(answer.status, answer.ahead),
        };
        match step {
            PersonStep::Ask => self.plan(next, SaleEvent::Poll(person)),
            PersonStep::Claim { after } => {
                self.plan(after, SaleEvent::Claim(person));
                self.plan(next, SaleEvent::Poll(person));
            }
            PersonStep::FallSilent => self.record.change(person, |one| one.is_present = false),
            PersonStep::Sleep { rest } => {
                self.record.change(person, |one| one.is_present = false);
                self.plan(rest, SaleEvent::Wake(person));
            }
            PersonStep::Leave => self.plan(Span::ZERO, SaleEvent::Finish(person)),
        }
        Ok(())
    }

    fn claim(&mut self, person: usize) {
        let one = &self.record.people[person];
        let Some(position) = one.position else { return };
        let (token, changes) = self.office.claim(self.now, one.user, position);
        self.record.claim(person, self.now);
        let status = token.map(|token| token.status());
        if status == Some(TokenStatus::Offered) {
            self.record.find_full(person, self.now);
            self.plan(CLAIM_AGAIN, SaleEvent::Claim(person));
        } else {
            self.record.people[person].is_claiming = false;
        }
        self.absorb(&changes);
        if status != Some(TokenStatus::Offered) {
            self.record.people[person].claimed_at = None;
        }
    }

    fn finish(&mut self, person: usize) -> Result<()> {
        let one = &self.record.people[person];
        let Some(position) = one.position else { return Ok(()) };
        if one.visit_end == VisitEnd::Silent && one.status == TokenStatus::Active {
            self.record.change(person, |one| one.is_present = false);
            return Ok(());
        }
        let user = one.user;
        self.record.change(person, |one| one.is_present = false);
        let changes = self.office.leave(self.now, user, position)?;
        self.absorb(&changes);
        Ok(())
    }
}
