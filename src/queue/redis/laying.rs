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
    id::{RoomId, TokenId},
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
            self.settle_numbers(&line);
            tracing::info!(room = room.get(), "laid a line anew");
        }
        Ok(())
    }

    /// Sees to it that numbers which were drawn and never used count for nobody, once no batch can bring them any more.
    pub(super) fn settle_numbers(self: &Arc<Self>, line: &Line) {
        if line.unsettled.is_empty() {
            return;
        }
        let (lines, room, after) = (Arc::downgrade(self), line.room.room_id, self.unsettled_for);
        let before: BTreeSet<_> = line.unsettled.iter().copied().collect();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(after).await;
                let Some(lines) = lines.upgrade() else { return };
                let Ok(Some(now)) = lines.store.line(room).await else { continue };
                let nobodys = now.unsettled.iter().filter(|position| before.contains(position));
                let unused: Vec<_> = nobodys.map(|position| TokenId { room_id: room, position: *position }).collect();
                lines.memory.take_in(room, &Delta { unused: &unused, ..Delta::none(now.now) }, Source::Own);
                return;
            }
        });
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
            if is_up && is_quiet && turn != 0 {
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
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, room = room.get(), "a line cannot be looked at"),
        }
    }
}
