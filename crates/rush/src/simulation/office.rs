//! The box office of a simulation: the rules decide, and an instance's view of the line is what people are told.

use super::rows::{LineRows, token_at};
use anyhow::{Result, bail};
use frontrow_clock::Clock;
use frontrow_domain::{
    changes::Changes,
    command::{Command, Outcome, Request, RoomChange},
    id::{Position, RoomId, UserId},
    line::{Gate, Room, SignOfLife, Token, TokenState, TokenStatus, ToldWait, is_wake_due},
    outage::Outage,
    policy::Policy,
    time::Time,
    user::Caller,
};
use frontrow_line::{
    Peers, Rebuild, SoleInstance, next_advance,
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
}

/// The box office: one line, and the instance that everybody asks.
pub(super) struct SimulatedOffice {
    policy: Policy,
    rows: LineRows,
    peers: SoleInstance,
    /// Keeps the record of the line, and notes when the box office worked.
    store: Arc<MemoryStore>,
    clock: Clock,
    runtime: tokio::runtime::Runtime,
}

impl SimulatedOffice {
    pub(super) fn open(max_active: i64, policy: Policy, now: Time) -> Result<Self> {
        let room = Room::new(RoomId::HOUSE, max_active, now);
        let clock = Clock::manual(now);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy, max_active));
        let office = Self {
            policy,
            rows: LineRows::new(room, policy),
            peers: SoleInstance::new(Arc::<MemoryStore>::clone(&store)),
            store,
            clock,
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
        };
        office.note_works(now)?;
        office.load(now);
        Ok(office)
    }

    /// Notes that the box office works, as a server does: a silence before it is an outage.
    pub(super) fn note_works(&self, now: Time) -> Result<()> {
        self.clock.advance(now.since(self.clock.now()));
        self.runtime.block_on(self.store.resume())?;
        Ok(())
    }

    /// Keeps what was measured and told, as the leader of the line does.
    pub(super) fn keep_record(&self, now: Time) -> Result<()> {
        let record = self.peers.line_record(RoomId::HOUSE, now, &self.policy);
        self.runtime.block_on(self.store.keep_line_records(record.into_iter().collect()))?;
        Ok(())
    }

    fn load(&self, now: Time) {
        let line = self.rows.line(now);
        self.runtime.block_on(self.peers.rebuild(line, Rebuild::Replace));
    }

    pub(super) const fn max_active(&self) -> i64 {
        self.rows.room().max_active
    }

    /// Whether the gate is open.
    pub(super) fn may_move(&self) -> bool {
        self.rows.room().gate == Gate::Open
    }

    pub(super) const fn active(&self) -> i64 {
        self.rows.counts().active
    }

    fn view(&self) -> Result<Arc<RoomView>> {
        match self.peers.lines().view(RoomId::HOUSE) {
            Some(view) => Ok(view),
            None => bail!("the line is not loaded"),
        }
    }

    fn ask(&mut self, now: Time, caller: Caller, command: Command) -> Result<(Outcome, Changes)> {
        let batch = [Request { caller, command, idempotency: None }];
        let (mut answers, changes) = self.rows.transact(now, &batch);
        self.peers.publish(&changes);
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
        let place = view.place_of(position, self.rows.issued_at(position));
        self.peers.lines().record_heartbeat(token_at(position), now);
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
        };
        let is_due = |state| is_wake_due(state, SignOfLife::ByOwner, now, &self.policy, self.rows.outages());
        if place.state.is_some_and(is_due) {
            let command = Command::WakeToken { token: token_at(position) };
            let (_, changes) = self.ask(now, Caller::Buyer(user), command)?;
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
        self.peers.publish(&changes);
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

    /// Starts the server again: what it had in memory is read from the rows, and from the record that it kept last.
    pub(super) fn restart(&mut self, now: Time) -> Result<()> {
        self.note_works(now)?;
        self.peers = SoleInstance::new(Arc::<MemoryStore>::clone(&self.store));
        self.load(now);
        Ok(())
    }

    /// Starts the server again that was down from `from` on.
    pub(super) fn resume(&mut self, from: Time, now: Time) -> Result<()> {
        if let Some(outage) = Outage::between(from, now, &self.policy) {
            self.rows.lengthen(outage);
        }
        self.restart(now)
    }

    /// Moves the line as its leader does; the changes of each advance.
    pub(super) fn lead(&mut self, now: Time) -> Result<Vec<Changes>> {
        let mut all = Vec::new();
        while let Some(next) = next_advance(&self.peers, RoomId::HOUSE, now, &self.policy) {
            let fence = self.rows.room().fence;
            let command = Command::AdvanceRoom {
                room_id: RoomId::HOUSE,
                fence,
                limit: next.limit,
                unresponsive: next.unresponsive,
                outlook: next.outlook,
            };
            match self.ask(now, Caller::System, command)? {
                (Outcome::Advanced { activated: 0, offered: 0, made_dormant: 0, overdue: 0 }, _) => break,
                (_, changes) => all.push(changes),
            }
        }
        Ok(all)
    }
}
