//! What happened to whom in a sale, in the order of time: the same notes of a simulated sale and of a real one, from
//! which [`Meters`] count.

use super::{
    measure::Meters,
    people::{CrowdMember, Fate, Told},
};
use frontrow_domain::{id::Position, line::TokenStatus, time::Time};
use std::collections::BTreeSet;

/// The waits of at most so many people are held against what came.
const JUDGED: usize = 5_000;

/// What a status says that was not known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenChange {
    /// The person has come in: its visit begins.
    CameIn,
    /// Anything else.
    Other,
}

/// The people of a sale and what is counted of them.
#[derive(Debug)]
pub(super) struct SaleRecord {
    pub(super) people: Vec<CrowdMember>,
    pub(super) meters: Meters,
    /// How many people wait and would come in.
    pub(super) waiting: i64,
    /// How many people are not done.
    pub(super) left: usize,
    /// When each person who came in by the present batch had claimed.
    let_in: Vec<Time>,
    /// Those whose claims found the room full, by the first of them; some may have come in or gone since.
    pending: BTreeSet<(Time, usize)>,
}

impl SaleRecord {
    pub(super) fn open(now: Time, people: Vec<CrowdMember>) -> Self {
        let left = people.len();
        Self { people, meters: Meters::new(now), waiting: 0, left, let_in: Vec::new(), pending: BTreeSet::new() }
    }

    /// One more person, who has not come yet.
    pub(super) fn enter(&mut self, person: CrowdMember) {
        self.people.push(person);
        self.left += 1;
    }

    /// Changes a person, and whether it counts among the people who wait.
    pub(super) fn change(&mut self, person: usize, change: impl FnOnce(&mut CrowdMember)) {
        let one = &mut self.people[person];
        let before = one.waits();
        change(one);
        self.waiting += i64::from(one.waits()) - i64::from(before);
    }

    /// A person has this place in line.
    pub(super) fn join(&mut self, person: usize, position: Position) {
        self.meters.counts.joined += 1;
        self.change(person, |one| {
            one.position = Some(position);
            one.is_present = true;
            one.status = TokenStatus::Waiting;
        });
    }

    /// The token of a person has this status from now on.
    pub(super) fn see(&mut self, person: usize, position: Position, status: TokenStatus, now: Time) -> SeenChange {
        let before = self.people[person].status;
        self.change(person, |one| one.status = status);
        let mut seen = SeenChange::Other;
        match (before, status) {
            (TokenStatus::Waiting, TokenStatus::Offered) => {
                self.meters.count_offer(&self.people[person], now);
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
                // A later claim is another one.
                self.people[person].claimed_at = None;
                if let Some(since) = self.people[person].pending_since.take() {
                    self.pending.remove(&(since, person));
                }
                self.meters.counts.missed_present += u64::from(self.people[person].fate == Fate::Plain);
            }
            (TokenStatus::Offered, TokenStatus::Active) => {
                self.meters.counts.activated += 1;
                if self.people[person].is_always_there() {
                    self.meters.entries.push(now);
                }
                if let Some(since) = self.people[person].pending_since.take() {
                    self.pending.remove(&(since, person));
                    self.meters.places_awaited.push(now.since(since));
                }
                self.let_in.push(self.people[person].claimed_at.take().unwrap_or(now));
                seen = SeenChange::CameIn;
            }
            _ => {}
        }
        if status == TokenStatus::Ended && before != TokenStatus::Ended {
            self.left -= 1;
        }
        seen
    }

    /// A person claims the turn.
    pub(super) fn claim(&mut self, person: usize, now: Time) {
        self.people[person].claimed_at.get_or_insert(now);
    }

    /// A claim found the room full.
    pub(super) fn find_full(&mut self, person: usize, now: Time) {
        self.meters.counts.pending += 1;
        let since = *self.people[person].pending_since.get_or_insert(now);
        self.pending.insert((since, person));
    }

    /// Counts whom those of the present batch have overtaken: claims that had found the room full before theirs.
    pub(super) fn count_overtaken(&mut self) {
        for claimed in std::mem::take(&mut self.let_in) {
            let still_waits = |at: &&(Time, usize)| self.people[at.1].status == TokenStatus::Offered;
            let overtaken = self.pending.range(..(claimed, 0)).filter(still_waits).count();
            self.meters.counts.overtaken += u64::try_from(overtaken).unwrap_or(u64::MAX);
        }
    }

    /// What a waiting person was told: how many are ahead, by which start of which instance, and the wait.
    pub(super) fn hear(&mut self, person: usize, (ahead, by): (i64, u64), told: Option<Told>, now: Time) {
        if person.is_multiple_of(self.people.len() / JUDGED + 1) {
            self.meters.told(&mut self.people[person], told, now);
        }
        let one = &mut self.people[person];
        match one.lowest_ahead {
            Some((lowest, before)) if ahead > lowest && before == by => self.meters.counts.ahead_rises += 1,
            Some((lowest, _)) if ahead > lowest => self.meters.counts.ahead_rises_across += 1,
            _ => one.lowest_ahead = Some((ahead, by)),
        }
    }
}
