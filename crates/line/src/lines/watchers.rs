//! The clients that wait for news of a token: each is woken when its token changes state, and when its room changes in a
//! way that every token of it is shown.

use crate::lock::lock;
use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    line::Token,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// The watchers of one room, by position; several may watch one token.
type RoomWatchers = BTreeMap<WatcherKey, Arc<Notify>>;

/// A watcher among those of its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatcherKey {
    position: Position,
    number: u64,
}

/// Every watcher of one process.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    rooms: Mutex<HashMap<RoomId, RoomWatchers>>,
    /// How many watchers there are. A commit takes the lock only if there are any.
    count: AtomicUsize,
    /// The rooms all of whose watchers are to be woken.
    stirred: Mutex<BTreeSet<RoomId>>,
    stirred_news: Notify,
}

/// A watched token. The watch ends when this is dropped.
#[derive(Debug)]
pub struct TokenWatch {
    watchers: Arc<Watchers>,
    room: RoomId,
    key: WatcherKey,
    news: Arc<Notify>,
}

impl TokenWatch {
    /// Waits until the token or its room may have changed. A change is kept until the next call.
    pub async fn changed(&self) {
        self.news.notified().await;
    }
}

impl Drop for TokenWatch {
    fn drop(&mut self) {
        let mut rooms = lock(&self.watchers.rooms);
        if let Some(watchers) = rooms.get_mut(&self.room)
            && watchers.remove(&self.key).is_some()
        {
            self.watchers.count.fetch_sub(1, Ordering::Relaxed);
            if watchers.is_empty() {
                rooms.remove(&self.room);
            }
        }
    }
}

impl Watchers {
    pub(super) fn add(this: &Arc<Self>, token: TokenId) -> TokenWatch {
        let news = Arc::new(Notify::new());
        let mut rooms = lock(&this.rooms);
        let watchers = rooms.entry(token.room_id).or_default();
        // The number is above all others of the token, so that no two watchers are one.
        let all = WatcherKey { position: token.position, number: 0 }..=WatcherKey {
            position: token.position,
            number: u64::MAX,
        };
        let number = watchers.range(all).next_back().map_or(0, |(last, _)| last.number + 1);
        let key = WatcherKey { position: token.position, number };
        watchers.insert(key, Arc::clone(&news));
        this.count.fetch_add(1, Ordering::Relaxed);
        TokenWatch { watchers: Arc::clone(this), room: token.room_id, key, news }
    }

    /// Whether there is any watcher.
    pub(super) fn is_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Wakes the watchers of these tokens of one room.
    pub(super) fn wake_tokens(&self, room: RoomId, tokens: &[Token]) {
        let rooms = lock(&self.rooms);
        let Some(watchers) = rooms.get(&room) else { return };
        for Token { id, .. } in tokens {
            let (first, last) = (0, u64::MAX);
            let key = |number| WatcherKey { position: id.position, number };
            watchers.range(key(first)..=key(last)).for_each(|(_, news)| news.notify_one());
        }
    }

    /// Notes that all watchers of a room are to be woken.
    pub(super) fn stir(&self, room: RoomId) {
        if self.is_any() {
            lock(&self.stirred).insert(room);
            self.stirred_news.notify_one();
        }
    }

    /// Waits until rooms are stirred; returns them.
    pub(super) async fn stirred(&self) -> Vec<RoomId> {
        self.stirred_news.notified().await;
        std::mem::take(&mut *lock(&self.stirred)).into_iter().collect()
    }

    /// Wakes the next `limit` watchers of a room, from the head of the line on. Returns the last; none at the end.
    pub(super) fn wake_next(&self, room: RoomId, after: Option<WatcherKey>, limit: usize) -> Option<WatcherKey> {
        use std::ops::Bound::{Excluded, Unbounded};
        let rooms = lock(&self.rooms);
        let from = after.map_or(Unbounded, Excluded);
        let mut last = None;
        for (key, news) in rooms.get(&room)?.range((from, Unbounded)).take(limit) {
            news.notify_one();
            last = Some(*key);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{id::UserId, time::Time};
    use std::{
        future::{Future, poll_fn},
        pin::pin,
        task::Poll,
    };
    use uuid::Uuid;

    const ROOM: RoomId = RoomId::HOUSE;

    fn token(position: i64) -> TokenId {
        TokenId { room_id: ROOM, position: Position(position) }
    }

    /// Whether the watch has news; it has none afterwards.
    async fn has_news(watch: &TokenWatch) -> bool {
        let mut changed = pin!(watch.changed());
        poll_fn(|cx| Poll::Ready(changed.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn watchers_of_a_token_are_woken_by_its_change_and_all_of_a_room_by_the_rooms() {
        let watchers = Arc::new(Watchers::default());
        let streams = [1, 2, 2, 3].map(|position| Watchers::add(&watchers, token(position)));
        let user = UserId(Uuid::nil());
        watchers.wake_tokens(ROOM, &[Token::issued(token(2), user, Time::default())]);
        let mut woken = Vec::new();
        for watch in &streams {
            woken.push(has_news(watch).await);
        }
        assert_eq!(woken, [false, true, true, false]);

        watchers.stir(ROOM);
        assert_eq!(watchers.stirred().await, [ROOM]);
        let first = watchers.wake_next(ROOM, None, 3);
        assert!(has_news(&streams[0]).await && !has_news(&streams[3]).await, "a part at a time, from the head");
        assert!(watchers.wake_next(ROOM, first, 3).is_some());
        assert!(has_news(&streams[3]).await);
        assert_eq!(watchers.wake_next(ROOM, watchers.wake_next(ROOM, first, 3), 3), None);

        let [one, two, other, three] = streams;
        drop((one, two, three));
        watchers.wake_tokens(ROOM, &[Token::issued(token(2), user, Time::default())]);
        assert!(has_news(&other).await);
        drop(other);
        assert!(!watchers.is_any() && lock(&watchers.rooms).is_empty(), "nothing is left behind");
        watchers.stir(ROOM);
        assert!(lock(&watchers.stirred).is_empty());
    }
}
