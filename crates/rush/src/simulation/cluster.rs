//! Several instances over the same rows: each has a view of its own, and learns late of what the others committed. One
//! leads the line at a time, by a lease.
//!
//! The views, the order of changes, what an event says and the heartbeats are those of the program
//! ([`DrivenInstance`]); Redis is played here: the stream of events and heartbeats with its delays (`post.rs`), the lease
//! and its fence, and the loss of all of it.

use super::{
    post::{LetterContent, Post, SimulatedMessage},
    rows::LineRows,
};
use frontrow_domain::{
    changes::Changes,
    id::RoomId,
    line::Fence,
    policy::Policy,
    time::{Span, Time},
};
use frontrow_line::{
    Peers,
    redis::driven::{DrivenInstance, LineReading, RedisLink},
};
use frontrow_storage::SavedLineRecord;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use uuid::Uuid;

/// How long an instance may lead until it must renew its lease, and how long before its end it does.
const LEASE: Span = Span::from_secs(2);
const RENEWED_BEFORE: Span = Span::from_secs(1);
/// A letter to an instance that stands still is looked at again after this.
const TICK: Span = Span::from_millis(1);
/// How often the rows of the line are read, and how often while Redis is lost.
const REFRESH_EVERY: Span = Span::from_secs(2);
const REFRESH_LOST_EVERY: Span = Span::from_millis(900);
/// How often heartbeats are exchanged, and how long the others have to publish theirs.
const EXCHANGE_EVERY: Span = Span::from_secs(2);
const WARM_UP: Duration = Duration::from_secs(5);
/// While Redis is lost an instance moves the line this often; each a little later than the one before.
const ALONE_EVERY_MS: i64 = 1_000;
const ALONE_SPREAD_MS: i64 = 170;
/// So long after the end of an instance the balancer sends it no more requests.
const BALANCER_KNOWS_AFTER: Span = Span::from_secs(2);

/// Which instance a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balancing {
    /// Any of them.
    Random,
    /// For each person always the same one, while it is there.
    Sticky,
}

/// The instances of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClusterPlan {
    pub(super) instances: u32,
    pub(super) balance: Balancing,
}

/// What happens to the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClusterFailure {
    /// The leader ends, and starts again after so long.
    LeaderDies(Span),
    /// The leader stands still for so long, and goes on with what it knew.
    LeaderStalls(Span),
    /// The instance of this number starts again, which takes so long.
    Restart(usize, Span),
    /// Redis is lost for so long, and empty when it is back.
    RedisLost(Span),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SimulatedStanding {
    Up,
    Dead { since: Time, until: Time },
    Stalled { since: Time, until: Time },
}

struct ClusterInstance {
    /// New at each start.
    life: u64,
    driven: DrivenInstance,
    standing: SimulatedStanding,
    refresh_at: Time,
    exchange_at: Time,
    /// The fence that it leads under, and until when, as it knows.
    leads: Option<(Fence, Time)>,
    /// When it moves the line next without a known leader.
    alone_at: Option<Time>,
    /// The changes of others that have not come, by when they were decided.
    behind: BTreeSet<(Time, u64)>,
}

/// The instances, and Redis between them.
pub(super) struct Cluster {
    plan: ClusterPlan,
    instances: Vec<ClusterInstance>,
    post: Post,
    rng: StdRng,
    lives: u64,
    /// The lease: who has it, and until when; and the highest fence given.
    holder: Option<(usize, Time)>,
    fence: i64,
    lost_until: Option<Time>,
    /// What the leader kept of the line last.
    record: Option<SavedLineRecord>,
}

impl Cluster {
    pub(super) fn open(plan: ClusterPlan, rows: &LineRows, seed: u64, now: Time) -> Self {
        let mut cluster = Self {
            plan,
            instances: Vec::new(),
            post: Post::new(seed),
            rng: StdRng::seed_from_u64(seed ^ 0x5eed),
            lives: 0,
            holder: None,
            fence: 0,
            lost_until: None,
            record: None,
        };
        for _ in 0..plan.instances {
            let instance = cluster.start(rows, now);
            cluster.instances.push(instance);
        }
        cluster
    }

    /// A new instance, with its line as the rows and the record have it.
    fn start(&mut self, rows: &LineRows, now: Time) -> ClusterInstance {
        self.lives += 1;
        let driven = DrivenInstance::new(Uuid::from_u128(self.lives.into()), WARM_UP, now);
        driven.take_up(&rows.line(now), self.record.as_ref());
        let spread = i64::try_from(self.lives % 10).unwrap_or(0) * 70;
        ClusterInstance {
            life: self.lives,
            driven,
            standing: SimulatedStanding::Up,
            refresh_at: now.plus(Span::from_millis(spread)),
            exchange_at: now.plus(Span::from_millis(spread)),
            leads: None,
            alone_at: None,
            behind: BTreeSet::new(),
        }
    }

    /// Keeps what was measured and told, as the leader of the line does.
    pub(super) fn keep_record(&mut self, now: Time, policy: &Policy) {
        let holder = self.holder.filter(|(_, until)| now < *until).map(|(at, _)| &self.instances[at]);
        if let Some(one) = holder.filter(|one| one.standing == SimulatedStanding::Up) {
            self.record = one.driven.line_record(RoomId::HOUSE, now, policy).or(self.record.take());
        }
    }

    pub(super) fn peers(&self, at: usize) -> &dyn Peers {
        &self.instances[at].driven
    }

    /// Which start of an instance this is.
    pub(super) fn life(&self, at: usize) -> u64 {
        self.instances[at].life
    }

    /// How old the oldest change is that an instance does not know.
    pub(super) fn age(&self, at: usize, now: Time) -> Span {
        self.instances[at].behind.first().map_or(Span::ZERO, |(decided, _)| now.since(*decided))
    }

    /// The instance that a person's request comes to; none if it comes to one that is not there.
    pub(super) fn door(&mut self, person: usize, now: Time) -> Option<usize> {
        let count = self.instances.len();
        let first = match self.plan.balance {
            Balancing::Random => self.rng.random_range(0..count),
            Balancing::Sticky => person % count,
        };
        match self.instances[first].standing {
            SimulatedStanding::Up => Some(first),
            SimulatedStanding::Dead { since, .. } | SimulatedStanding::Stalled { since, .. } => {
                let knows = now.since(since) >= BALANCER_KNOWS_AFTER;
                let others = (1..count).map(|next| (first + next) % count);
                others.filter(|_| knows).find(|at| self.instances[*at].standing == SimulatedStanding::Up)
            }
        }
    }

    /// Any instance that is up.
    pub(super) fn any(&self) -> Option<usize> {
        self.instances.iter().position(|one| one.standing == SimulatedStanding::Up)
    }

    /// Applies what this instance committed, and sends it to the others.
    pub(super) fn publish(&mut self, at: usize, changes: &Changes, now: Time) {
        self.instances[at].driven.set_time(now);
        self.instances[at].driven.publish(changes);
        if changes.is_empty() {
            return;
        }
        let changes = Arc::new(changes.clone());
        self.send(at, &LetterContent::Changes(Arc::clone(&changes)), now);
    }

    fn send(&mut self, from: usize, content: &LetterContent, now: Time) {
        let sent_at = self.post.sent_at(from, now);
        for to in (0..self.instances.len()).filter(|to| *to != from) {
            let one = &mut self.instances[to];
            if matches!(one.standing, SimulatedStanding::Dead { .. }) {
                continue;
            }
            let letter = SimulatedMessage { to, life: one.life, decided: now, content: content.clone() };
            let number = match self.lost_until {
                // It is never sent: the others read the rows when Redis is back.
                Some(_) => self.post.number(),
                None => self.post.put(letter, from, sent_at),
            };
            if matches!(content, LetterContent::Changes(_)) {
                one.behind.insert((now, number));
            }
        }
    }

    /// Delivers what has arrived by now.
    pub(super) fn catch_up(&mut self, now: Time, rows: &LineRows) {
        while let Some((at, number, letter)) = self.post.take(now) {
            let one = &mut self.instances[letter.to];
            match one.standing {
                SimulatedStanding::Up if one.life == letter.life => {}
                SimulatedStanding::Stalled { until, .. } if one.life == letter.life => {
                    // It is there again with the next tick, which may be a little later.
                    self.post.put_back(letter, number, until.max(now.plus(TICK)));
                    continue;
                }
                _ => continue,
            }
            one.driven.set_time(at);
            match &letter.content {
                LetterContent::Heartbeats(publication) => one.driven.hear(publication),
                LetterContent::Changes(changes) => {
                    one.behind.remove(&(letter.decided, number));
                    for (_, reading) in one.driven.receive(changes) {
                        match reading {
                            LineReading::Refresh => one.refresh_at = at,
                            LineReading::Rebuild => one.driven.rebuild_from(&rows.line(at)),
                        }
                    }
                }
            }
        }
    }

    /// Lets something happen to the instances.
    pub(super) fn befall(&mut self, failure: ClusterFailure, now: Time) {
        let leader = self.holder.map(|(at, _)| at).or(self.any());
        let mut stand = |at: Option<usize>, standing| {
            if let Some(one) = at.and_then(|at| self.instances.get_mut(at)) {
                one.standing = standing;
                one.behind.clear();
            }
        };
        match failure {
            ClusterFailure::LeaderDies(lasts) => {
                stand(leader, SimulatedStanding::Dead { since: now, until: now.plus(lasts) });
            }
            ClusterFailure::LeaderStalls(lasts) => {
                stand(leader, SimulatedStanding::Stalled { since: now, until: now.plus(lasts) });
            }
            ClusterFailure::Restart(at, lasts) => {
                stand(Some(at), SimulatedStanding::Dead { since: now, until: now.plus(lasts) });
            }
            ClusterFailure::RedisLost(lasts) => {
                self.lost_until = Some(now.plus(lasts));
                self.holder = None;
                for one in &self.instances {
                    one.driven.set_link(RedisLink::Lost);
                }
            }
        }
    }

    /// What instances do by the clock: they start again, read rows and exchange heartbeats. Returns those that went on
    /// after they stood still, with the fence that they led under.
    pub(super) fn tick(&mut self, now: Time, rows: &LineRows) -> Vec<(usize, Fence)> {
        self.catch_up(now, rows);
        let mut woken = Vec::new();
        if self.lost_until.is_some_and(|until| until <= now) {
            (self.lost_until, self.fence) = (None, 0);
            for one in self.instances.iter_mut().filter(|one| one.standing == SimulatedStanding::Up) {
                one.driven.set_time(now);
                one.driven.set_link(RedisLink::Up);
                one.driven.rebuild_from(&rows.line(now));
                one.behind.clear();
            }
        }
        for at in 0..self.instances.len() {
            match self.instances[at].standing {
                SimulatedStanding::Dead { until, .. } if until <= now => {
                    self.instances[at] = self.start(rows, now);
                    if self.lost_until.is_some() {
                        self.instances[at].driven.set_link(RedisLink::Lost);
                    }
                }
                SimulatedStanding::Stalled { until, .. } if until <= now => {
                    let one = &mut self.instances[at];
                    one.standing = SimulatedStanding::Up;
                    woken.extend(one.leads.take().map(|(fence, _)| (at, fence)));
                }
                SimulatedStanding::Dead { .. } | SimulatedStanding::Stalled { .. } => {}
                SimulatedStanding::Up => self.routine(at, now, rows),
            }
        }
        woken
    }

    fn routine(&mut self, at: usize, now: Time, rows: &LineRows) {
        let is_lost = self.lost_until.is_some();
        let one = &mut self.instances[at];
        one.driven.set_time(now);
        if one.refresh_at <= now {
            one.refresh_at = now.plus(if is_lost { REFRESH_LOST_EVERY } else { REFRESH_EVERY });
            match one.driven.refresh_from(&rows.live_line(now)) {
                Some(_) => one.driven.rebuild_from(&rows.line(now)),
                // What the rows of live tokens show is known now. Letters on their way bring the rest.
                None if is_lost => one.behind.clear(),
                None => {}
            }
        }
        if is_lost {
            return;
        }
        one.driven.confirm();
        if one.exchange_at <= now {
            one.exchange_at = now.plus(EXCHANGE_EVERY);
            if let Some(publication) = one.driven.publish_heartbeats() {
                self.send(at, &LetterContent::Heartbeats(publication.into()), now);
            }
        }
    }

    /// The instances that lead the line now, each with its fence: one by its lease, or any while Redis is lost.
    pub(super) fn leaders(&mut self, now: Time) -> Vec<(usize, Fence)> {
        let up = (0..self.instances.len()).filter(|at| self.instances[*at].standing == SimulatedStanding::Up);
        let up: Vec<_> = up.collect();
        up.into_iter().filter_map(|at| self.standing_of(at, now).map(|fence| (at, fence))).collect()
    }

    fn standing_of(&mut self, at: usize, now: Time) -> Option<Fence> {
        let one = &mut self.instances[at];
        let known = one.driven.lines().view(RoomId::HOUSE).map_or(Fence(0), |view| view.room().fence);
        if self.lost_until.is_some() {
            if let Some((fence, _)) = one.leads.filter(|(_, until)| now < *until) {
                return Some(fence);
            }
            let spread = i64::try_from(at).unwrap_or(0) * ALONE_SPREAD_MS;
            let next = now.plus(Span::from_millis(ALONE_EVERY_MS + spread));
            let due = *one.alone_at.get_or_insert(next) <= now;
            if due {
                one.alone_at = Some(next);
            }
            return due.then_some(known);
        }
        one.alone_at = None;
        match self.holder.filter(|(_, until)| now < *until) {
            Some((holder, _)) if holder != at => {
                one.leads = None;
                return None;
            }
            Some((_, until)) if RENEWED_BEFORE < until.since(now) => {}
            Some(_) if self.fence >= known.0 => self.holder = Some((at, now.plus(LEASE))),
            _ => {
                self.fence = self.fence.max(known.0) + 1;
                self.holder = Some((at, now.plus(LEASE)));
            }
        }
        one.leads = self.holder.map(|(_, until)| (Fence(self.fence), until));
        Some(Fence(self.fence))
    }
}
