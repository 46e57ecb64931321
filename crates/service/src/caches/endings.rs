//! The rows of tokens that a view shows as ended. A view may be behind the rows if other instances change them too, and
//! it never knows why a token ended. So the row is read before a client is answered that its place has ended: a bounded
//! number of reads at a time, and one a token within a short time.

use frontrow_domain::{
    id::TokenId,
    line::{EndReason, Token, is_live_token},
};
use frontrow_storage::{Store, StoreError};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many rows may be read at once; other requests wait.
const READING: usize = 4;
/// How long a client waits for a row.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a row that is still live, or cannot be read, is cached.
const ENDING_TTL: Duration = Duration::from_millis(500);
/// How many tokens each of the two generations caches.
const TOKENS_MAX: usize = 8_192;

/// The state of a token that a view shows as ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has ended, for this reason; none if the row has been removed since.
    Over(Option<EndReason>),
    /// It has not ended.
    Live(Token),
    /// The row could not be read in time.
    Unknown,
}

/// Rows read a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    known: Mutex<RecentEndings>,
    /// Locked while a row is read, so that concurrent requests for one token cost one read.
    reading: [tokio::sync::Mutex<()>; READING],
}

#[derive(Debug, Default)]
struct RecentEndings {
    young: HashMap<TokenId, (Ending, Instant)>,
    old: HashMap<TokenId, (Ending, Instant)>,
}

impl Endings {
    /// The state of a token: from the cache, else from its row.
    pub(crate) async fn get(&self, store: &dyn Store, id: TokenId) -> Ending {
        if let Some(ending) = self.known(id) {
            return ending;
        }
        let slot = usize::try_from(id.position.0).unwrap_or(0) % READING;
        let Some(reading) = self.reading.get(slot) else { return Ending::Unknown };
        let read = async {
            let _reading = reading.lock().await;
            match self.known(id) {
                Some(ending) => ending,
                None => self.learn(id, ending_of(&store.token(id).await)),
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| self.learn(id, Ending::Unknown))
    }

    fn known(&self, id: TokenId) -> Option<Ending> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (ending, at) = known.young.get(&id).or_else(|| known.old.get(&id))?;
        // An ended token stays ended.
        let is_good = matches!(ending, Ending::Over(_)) || at.elapsed() < ENDING_TTL;
        is_good.then_some(*ending)
    }

    fn learn(&self, id: TokenId, ending: Ending) -> Ending {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.young.len() >= TOKENS_MAX {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(id, (ending, Instant::now()));
        ending
    }
}

fn ending_of(row: &Result<Option<Token>, StoreError>) -> Ending {
    match row {
        Ok(Some(token)) if is_live_token(token) => Ending::Live(*token),
        Ok(Some(token)) => Ending::Over(token.end_reason()),
        Ok(None) => Ending::Over(None),
        Err(error) => {
            tracing::debug!(%error, "a token that the view calls ended cannot be read");
            Ending::Unknown
        }
    }
}
