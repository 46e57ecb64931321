//! The box office of a simulation: the rules decide, and people are told what the view of the instance says that they ask.

mod lobby;

use super::{
    cluster::{Cluster, ClusterFailure, ClusterPlan},
    rows::{LineRows, token_at},
};
use anyhow::{Result, bail};
use frontrow_clock::Clock;
use frontrow_domain::{
    changes::Changes,
    command::{Command, Outcome, Request, RoomChange},
    id::{Position, RoomId, UserId},
    line::{Fence, Room, SignOfLife, Token, TokenState, TokenStatus, ToldWait, is_wake_due},
    outage::Outage,
    policy::Policy,
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{
    NextAdvance, Peers, Rebuild, SoleInstance, next_advance,
    view::{Estimate, RoomView},
};
use frontrow_storage::{Store, memory::MemoryStore};
use std::sync::Arc;

/// The answer to a poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct PollAnswer {
    pub(super) status: TokenStatus,
    pub(super) ahead: i64,
    pub(super) wait: Estimate,
    pub(super) poll_after_ms: i64,
    pub(super) source: AnswerSource,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AnswerSource {
    /// Which start of which instance.
    pub(super) life: u64,
    /// How old the oldest change is that it does not know.
    pub(super) age: Span,
    /// Whether it says that it may be behind.
    pub(super) says_stale: bool,
}

/// The only instance.
struct SoleHouse {
    peers: SoleInstance,
    /// Keeps the record of the line, and notes when the box office worked.
    store: Arc<MemoryStore>,
    clock: Clock,
    runtime: tokio::runtime::Runtime,
}

impl SoleHouse {
    fn load(&self, rows: &LineRows, now: Time) {
        self.runtime.block_on(self.peers.rebuild(rows.line(now), Rebuild::Replace));
    }

    fn store_at(&self, now: Time) -> &MemoryStore {
        self.clock.advance(now.since(self.clock.now()));
        &self.store
    }

    fn note_works(&self, now: Time) -> Result<()> {
        Ok(self.runtime.block_on(self.store_at(now).note_works())?)
    }

    /// Begins to serve: the time since the last note that the box office worked is an outage.
    fn resume(&self, now: Time) -> Result<()> {
        self.runtime.block_on(self.store_at(now).resume())?;
        Ok(())
    }

    fn keep_record(&self, now: Time, policy: &Policy) -> Result<()> {
        let record = self.peers.line_record(RoomId::HOUSE, now, policy);
        self.runtime.block_on(self.store.keep_line_records(record.into_iter().collect()))?;
        Ok(())
    }
}

/// The instances.
enum SimulatedHouse {
    Sole(SoleHouse),
    Many(Box<Cluster>),
}

/// The box office: one line, and the instances that people ask.
pub(super) struct SimulatedOffice {
    policy: Policy,
    rows: LineRows,
    house: SimulatedHouse,
    /// The instance that is asked now.
    door: usize,
    /// Advances that were refused because another instance had led since.
    pub(super) superseded: u64,
}

impl SimulatedOffice {
    pub(super) fn open(max_active: i64, policy: Policy, now: Time) -> Result<Self> {
        let room = Room::new(RoomId::HOUSE, max_active, now);
        let clock = Clock::manual(now);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy, max_active));
        let house = SoleHouse {
            peers: SoleInstance::new(Arc::<MemoryStore>::clone(&store)),
            store,
            clock,
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
        };
        let rows = LineRows::new(room, policy);
        house.resume(now)?;
        house.load(&rows, now);
        Ok(Self { policy, rows, house: SimulatedHouse::Sole(house), door: 0, superseded: 0 })
    }

    /// The same box office, with several instances.
    pub(super) fn with_instances(mut self, plan: ClusterPlan, seed: u64, now: Time) -> Self {
        self.house = SimulatedHouse::Many(Box::new(Cluster::open(plan, &self.rows, seed, now)));
        self
    }

    fn peers(&self) -> &dyn Peers {
        match &self.house {
            SimulatedHouse::Sole(house) => &house.peers,
            SimulatedHouse::Many(cluster) => cluster.peers(self.door),
        }
    }

    /// Chooses the instance that a person asks now; none if it comes to one that is not there.
    pub(super) fn choose_instance(&mut self, person: usize, now: Time) -> Option<()> {
        if let SimulatedHouse::Many(cluster) = &mut self.house {
            cluster.catch_up(now, &self.rows);
            self.door = cluster.door(person, now)?;
        }
        Some(())
    }

    /// Lets something happen to the instances.
    pub(super) fn befall(&mut self, failure: ClusterFailure, now: Time) {
        if let SimulatedHouse::Many(cluster) = &mut self.house {
            cluster.catch_up(now, &self.rows);
            cluster.befall(failure, now);
        }
    }

    fn publish(&mut self, changes: &Changes, now: Time) {
        match &mut self.house {
            SimulatedHouse::Sole(house) => house.peers.publish(changes),
            SimulatedHouse::Many(cluster) => cluster.publish(self.door, changes, now),
        }
    }

    fn source(&self, view: &RoomView, now: Time) -> AnswerSource {
        let (life, age) = match &self.house {
            SimulatedHouse::Sole(_) => (0, Span::ZERO),
            SimulatedHouse::Many(cluster) => (cluster.life(self.door), cluster.age(self.door, now)),
        };
        AnswerSource { life, age, says_stale: view.is_stale(now) }
    }

    /// Notes that the box office works, as a server does.
    pub(super) fn note_works(&self, now: Time) -> Result<()> {
        match &self.house {
            SimulatedHouse::Sole(house) => house.note_works(now),
            SimulatedHouse::Many(_) => Ok(()),
        }
    }

    /// Keeps what was measured and told, as the leader of the line does.
    pub(super) fn keep_record(&mut self, now: Time) -> Result<()> {
        match &mut self.house {
            SimulatedHouse::Sole(house) => house.keep_record(now, &self.policy)?,
            SimulatedHouse::Many(cluster) => cluster.keep_record(now, &self.policy),
        }
        Ok(())
    }

    pub(super) const fn max_active(&self) -> i64 {
        self.rows.room().max_active
    }

    /// Whether the gate is open, and the sale as well, behind its draw.
    pub(super) fn may_move(&self, now: Time) -> bool {
        self.rows.room().may_move(now, Span::ZERO)
    }

    /// When the token at this position was issued: an entry's token and the one at its drawn place at the same time.
    pub(super) fn issued_at(&self, position: Position) -> Time {
        self.rows.issued_at(position)
    }

    pub(super) const fn active(&self) -> i64 {
        self.rows.counts().active
    }

    fn view(&self) -> Result<Arc<RoomView>> {
        match self.peers().lines().view(RoomId::HOUSE) {
            Some(view) => Ok(view),
            None => bail!("the line is not loaded"),
        }
    }

    fn ask(&mut self, now: Time, caller: Caller, command: Command) -> Result<(Outcome, Changes)> {
        let batch = [Request { caller, command, idempotency: None }];
        let (mut answers, changes) = self.rows.transact(now, &batch);
        self.publish(&changes, now);
        match answers.pop().map(|answer| answer.decision) {
            Some(Ok(outcome)) => Ok((outcome, changes)),
            Some(Err(refusal)) => bail!("{refusal:?} at {now}"),
            None => bail!("no answer"),
        }
    }

    /// A new place in line.
    pub(super) fn join(&mut self, now: Time, user: UserId) -> Result<(Position, Changes)> {
        let command = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
        match self.ask(now, Caller::Buyer(user), command)? {
            (Outcome::Joined { token, .. }, changes) => Ok((token.id.position, changes)),
            (other, _) => bail!("{other:?}"),
        }
    }

    /// A poll, which is a sign of life.
    pub(super) fn poll(&mut self, now: Time, user: UserId, position: Position) -> Result<(PollAnswer, Changes)> {
        let view = self.view()?;
        let mut place = view.place_of(position, self.rows.issued_at(position));
        if place.state.is_none()
            && let Some(token) = self.rows.token(position)
        {
            // A view does not keep why a token ended, and may be behind: the row is asked.
            place = place.as_in(token);
        }
        self.peers().lines().record_heartbeat(token_at(position), now);
        let rest = view.rest(now, self.policy.offer_lead);
        let seed =
            position.0.unsigned_abs().wrapping_mul(0x9e37_79b9).wrapping_add(now.micros().unsigned_abs() / 1_000);
        let wait = view.told_wait(position, &place, rest, now);
        if let Estimate::Known { p50, p90 } = wait
            && place.state == Some(TokenState::Waiting)
        {
            view.note_told(position, ToldWait { p50, p90 }, now);
        }
        let answer = PollAnswer {
            status: place.status(),
            ahead: place.ahead,
            wait,
            poll_after_ms: view.poll_after_ms(&place, seed, rest, now),
            source: self.source(&view, now),
        };
        let is_due =
            |state| is_wake_due(state, SignOfLife::ByOwner, self.rows.room(), now, &self.policy, self.rows.outages());
        if place.state.is_some_and(is_due) {
            let command = Command::WakeToken { token: token_at(position) };
            let batch = [Request { caller: Caller::Buyer(user), command, idempotency: None }];
            // One that a view asks for too late is refused, and changes nothing.
            let (_, changes) = self.rows.transact(now, &batch);
            self.publish(&changes, now);
            return Ok((answer, changes));
        }
        Ok((answer, Changes::default()))
    }

    /// A claim of a turn: the token as it is then.
    pub(super) fn claim(&mut self, now: Time, user: UserId, position: Position) -> (Option<Token>, Changes) {
        let batch = [Request {
            caller: Caller::Buyer(user),
            command: Command::ActivateToken { token: token_at(position) },
            idempotency: None,
        }];
        let (mut answers, changes) = self.rows.transact(now, &batch);
        self.publish(&changes, now);
        let token = match answers.pop().map(|answer| answer.decision) {
            Some(Ok(Outcome::Token(token) | Outcome::TurnPending(token))) => Some(token),
            _ => None,
        };
        (token, changes)
    }

    /// Leaves the line or the room.
    pub(super) fn leave(&mut self, now: Time, user: UserId, position: Position) -> Result<Changes> {
        let command = Command::LeaveQueue { token: token_at(position) };
        Ok(self.ask(now, Caller::Buyer(user), command)?.1)
    }

    /// Other settings of the room.
    pub(super) fn set_room(&mut self, now: Time, change: RoomChange) -> Result<()> {
        let command = Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None };
        self.ask(now, Caller::System, command)?;
        Ok(())
    }

    /// Stops the server in good order, and starts it again.
    pub(super) fn restart(&mut self, now: Time) -> Result<()> {
        self.note_works(now)?;
        self.start(now)
    }

    /// Starts the server: what it had in memory is read from the rows, and from the record that it kept last.
    fn start(&mut self, now: Time) -> Result<()> {
        if let SimulatedHouse::Sole(house) = &mut self.house {
            house.resume(now)?;
            house.peers = SoleInstance::new(Arc::<MemoryStore>::clone(&house.store));
            house.load(&self.rows, now);
        }
        Ok(())
    }

    /// Starts the server again that was down from `from` on.
    pub(super) fn resume(&mut self, from: Time, now: Time) -> Result<()> {
        if let Some(outage) = Outage::between(from, now, &self.policy) {
            self.rows.lengthen(outage);
        }
        self.start(now)
    }

    /// Moves the line as its leader does; the changes of each advance.
    pub(super) fn lead(&mut self, now: Time) -> Result<Vec<Changes>> {
        let (woken, leaders) = match &mut self.house {
            SimulatedHouse::Sole(_) => (Vec::new(), vec![(0, self.rows.room().fence)]),
            SimulatedHouse::Many(cluster) => (cluster.tick(now, &self.rows), cluster.leaders(now)),
        };
        let mut all = Vec::new();
        // An instance that stood still goes on with the move that it was about to make.
        for (instance, fence) in woken {
            self.door = instance;
            let nothing = NextAdvance { limit: 1, unresponsive: Vec::new(), outlook: None };
            let next = next_advance(self.peers(), RoomId::HOUSE, now, &self.policy).unwrap_or(nothing);
            all.extend(self.advance(now, fence, next)?);
        }
        for (instance, fence) in leaders {
            self.door = instance;
            all.extend(self.step_draw(now, fence)?);
            while let Some(next) = next_advance(self.peers(), RoomId::HOUSE, now, &self.policy) {
                let Some(changes) = self.advance(now, fence, next)? else { break };
                all.push(changes);
            }
        }
        Ok(all)
    }

    /// One advance under this fence; none if it did nothing, or was refused.
    fn advance(&mut self, now: Time, fence: Fence, next: NextAdvance) -> Result<Option<Changes>> {
        let NextAdvance { limit, unresponsive, outlook } = next;
        let command = Command::AdvanceRoom { room_id: RoomId::HOUSE, fence, limit, unresponsive, outlook };
        match self.ask(now, Caller::System, command)? {
            (Outcome::Advanced { activated: 0, offered: 0, made_dormant: 0, overdue: 0 }, _) => Ok(None),
            (Outcome::Superseded { .. }, _) => {
                self.superseded += 1;
                Ok(None)
            }
            (_, changes) => Ok(Some(changes)),
        }
    }
}
