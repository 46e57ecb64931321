//! How the lines are laid anew from their rows when something was missed, and how a look at the rows every few seconds
//! heals whatever was lost.

use super::{Lines, Notice, Settings, link::Link};
use crate::{
    queue::{
        Queue as _,
        memory::{Lay, Looked, Source},
        view::Delta,
    },
    store::{LATE_MAX, Line, StoreError},
};
use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    time::Time,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};

/// How long after a failure the next try begins.
const RETRY: Duration = Duration::from_millis(300);
/// How long after lines were laid they may be laid again.
const PAUSE: Duration = Duration::from_secs(1);
/// How many lines are looked at in the store at once.
const AT_ONCE: usize = 4;
/// An empty line that nothing was told of is looked at this many times less often.
const QUIET_LESS: u64 = 8;
/// How many numbers are looked up in the store at once.
const NUMBERS_AT_ONCE: i64 = 100_000;

/// Up to where each number of a line is known to have a row or to be nobody's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    to: Position,
    /// What was drawn by then, and since when: as soon as no batch can be on its way with it, it is settled.
    next: Option<(Position, Instant)>,
}

/// Lines that are to be laid.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    all: bool,
    rooms: BTreeSet<RoomId>,
}

impl Lines {
    /// All lines are to be laid anew, and what caches know may be wrong.
    pub(super) fn want_all(&self) {
        if !std::mem::replace(&mut super::lock(&self.wanted).all, true) {
            self.notify(Notice::Laid);
        }
        self.wanted_news.notify_one();
    }

    /// These lines are to be laid anew.
    pub(super) fn want(&self, rooms: impl IntoIterator<Item = RoomId>) {
        super::lock(&self.wanted).rooms.extend(rooms);
        self.wanted_news.notify_one();
    }

    /// Whether the token is in line is to be asked of the store.
    pub(super) fn doubt(&self, token: TokenId, now: Time) {
        if self.doubts.try_send((token, now)).is_err() {
            self.want([token.room_id]);
        }
    }

    /// Lays the wanted lines for ever.
    pub(super) async fn lay_wanted(self: Arc<Self>) {
        loop {
            self.wanted_news.notified().await;
            loop {
                let wanted = std::mem::take(&mut *super::lock(&self.wanted));
                let mut rooms = wanted.rooms;
                if wanted.all {
                    rooms.extend(self.memory.room_ids());
                }
                if rooms.is_empty() && !wanted.all {
                    break;
                }
                let mut failed = BTreeSet::new();
                for room in rooms {
                    if let Err(error) = self.lay_room(room).await {
                        tracing::warn!(%error, room = room.get(), "a line cannot be laid");
                        failed.insert(room);
                    }
                }
                if !failed.is_empty() {
                    super::lock(&self.wanted).rooms.extend(failed);
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn lay_room(self: &Arc<Self>, room: RoomId) -> Result<(), StoreError> {
        let begun = self.recent.count();
        if let Some(line) = self.store.line(room).await? {
            self.lays.fetch_add(1, Ordering::Relaxed);
            // What was decided so lately may not be in the rows, nor that a number is nobody's.
            let from = line.now.minus(LATE_MAX);
            for (token, now) in self.memory.lay_told(&line, Lay::Anew, || self.recent.told_since(begun, from)) {
                self.doubt(token, now);
            }
            self.note_laid(&line, Lay::Anew);
            tracing::info!(room = room.get(), "laid a line anew");
        }
        Ok(())
    }

    /// Notes up to where a line's numbers are settled, as it was laid: who is neither in a row nor unsettled counts for
    /// nobody there.
    pub(super) fn note_laid(&self, line: &Line, lay: Lay) {
        let to = line.unsettled.first().map_or(line.highest, |first| Position(first.0 - 1));
        let settled = Settled { to, next: (line.highest > to).then(|| (line.highest, Instant::now())) };
        let mut all = super::lock(&self.settled);
        match lay {
            Lay::Anew => _ = all.insert(line.room.room_id, settled),
            Lay::IfMissing => _ = all.entry(line.room.room_id).or_insert(settled),
        }
    }

    /// Up to where all numbers are settled and which are next, once no batch can bring those any more.
    fn due_to_settle(&self, room: RoomId) -> Option<(Position, Position)> {
        let mut all = super::lock(&self.settled);
        // A line that was never laid began here, empty.
        let settled = all.entry(room).or_insert(Settled { to: Position(0), next: None });
        let (next, since) = settled.next?;
        (since.elapsed() >= self.unsettled_for).then_some((settled.to, next))
    }

    /// Sees to it that numbers which were drawn and never used count for nobody: those of an instance that died with
    /// them too, which nobody tells of. `now` is the store's clock.
    async fn settle_numbers(&self, room: RoomId, now: Time) -> Result<(), StoreError> {
        // Such a commit may bring numbers later than any other.
        if self.store.has_unanswered_commits() {
            return Ok(());
        }
        if let Some((from, to)) = self.due_to_settle(room) {
            let mut after = from;
            while after < to {
                let until = Position(after.0.saturating_add(NUMBERS_AT_ONCE)).min(to);
                let unused = self.store.unused_positions(room, after, until).await?;
                self.forget_numbers(room, unused, now);
                after = until;
            }
            // A line that was laid meanwhile knows better.
            let mut all = super::lock(&self.settled);
            if let Some(settled) = all.get_mut(&room).filter(|settled| settled.to == from) {
                *settled = Settled { to, next: None };
            }
        }
        let Some(view) = self.memory.view(room) else { return Ok(()) };
        let tail = view.tail();
        if let Some(settled) = super::lock(&self.settled).get_mut(&room)
            && settled.next.is_none()
            && tail > settled.to
        {
            settled.next = Some((tail, Instant::now()));
        }
        Ok(())
    }

    fn forget_numbers(&self, room: RoomId, mut unused: Vec<Position>, now: Time) {
        let Some(view) = self.memory.view(room) else { return };
        unused.retain(|position| *position > view.cursor() && !view.has_gone(*position));
        if unused.is_empty() {
            return;
        }
        tracing::debug!(room = room.get(), numbers = unused.len(), "numbers that nobody has are taken out of a line");
        let unused: Vec<_> = unused.into_iter().map(|position| TokenId { room_id: room, position }).collect();
        self.memory.take_in(room, &Delta { unused: &unused, ..Delta::none(now) }, Source::Own);
    }

    /// Asks the store about tokens in doubt, for ever.
    pub(super) async fn settle(self: Arc<Self>, mut doubts: mpsc::Receiver<(TokenId, Time)>) {
        while let Some((id, now)) = doubts.recv().await {
            match self.store.token(id).await {
                Ok(Some(token)) if frontrow_domain::queue::can_expire(&token) => self.memory.settle(&token, now),
                Ok(_) => {}
                Err(_) => self.want([id.room_id]),
            }
        }
    }

    /// Looks at the rows of every line every now and then: more often while Redis is away.
    pub(super) async fn glance(self: Arc<Self>, link: Arc<Link>, settings: Settings) {
        let mut quiet = HashMap::new();
        let mut round = 0_u64;
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(settings.glance_away_every.min(settings.glance_every)).await;
            let is_up = link.is_up();
            if is_up && last.elapsed() < settings.glance_every {
                continue;
            }
            last = Instant::now();
            round += 1;
            self.glance_round(round, is_up, &mut quiet).await;
        }
    }

    async fn glance_round(self: &Arc<Self>, round: u64, is_up: bool, quiet: &mut HashMap<RoomId, u64>) {
        let mut looks = JoinSet::new();
        for room in self.memory.room_ids() {
            let Some(begun) = self.memory.deltas_of(room) else { continue };
            let is_empty = self.memory.view(room).is_none_or(|view| view.is_empty());
            let is_quiet = quiet.insert(room, begun) == Some(begun) && is_empty;
            let turn = round.wrapping_add(room.get().unsigned_abs()) % QUIET_LESS;
            if is_up && is_quiet && turn != 0 && self.due_to_settle(room).is_none() {
                continue;
            }
            if looks.len() >= AT_ONCE {
                // A look that fails was told in the log.
                let _ = looks.join_next().await;
            }
            let lines = Arc::clone(self);
            looks.spawn(async move { lines.glance_at(room, begun).await });
        }
        while looks.join_next().await.is_some() {}
    }

    async fn glance_at(&self, room: RoomId, begun: u64) {
        let at = self.clock.now();
        match self.store.glance(room).await {
            Ok(Some(line)) => {
                if self.memory.look(&line, begun, at) == Looked::MustLay {
                    self.want([room]);
                } else if let Err(error) = self.settle_numbers(room, line.now).await {
                    tracing::debug!(%error, room = room.get(), "numbers cannot be settled");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, room = room.get(), "a line cannot be looked at"),
        }
    }
}
