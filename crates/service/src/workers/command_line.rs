//! Detects changes that the command line makes in a database that this process alone serves.

use super::{decided, rest};
use crate::office::BoxOffice;
use frontrow_domain::id::AuditId;
use frontrow_storage::{Page, StoreError};
use std::{sync::Arc, time::Duration};

/// How often the database is checked for changes by the command line.
const ELSEWHERE_TICK: Duration = Duration::from_secs(1);
/// How many lines of the audit log each check reads. A command writes at most one.
const AUDIT_LINES: u32 = 100;

/// Updates the caches after changes by the command line.
pub(super) async fn follow_command_line(office: Arc<BoxOffice>) {
    let mut known = Elsewhere::new(office.audited);
    loop {
        if let Err(error) = known.look(&office).await {
            tracing::debug!(%error, "cannot determine whether another process changed the database");
        }
        rest(&office, ELSEWHERE_TICK).await;
    }
}

/// The changes by other processes that are already handled.
#[derive(Debug)]
struct Elsewhere {
    changes: Option<u64>,
    /// The newest line of the audit log that was read.
    audit_id: AuditId,
    /// An account was erased, and its leftovers may end with the next change.
    may_leave_over: bool,
}

impl Elsewhere {
    /// No change is known yet; `audited` is the newest line of the audit log that the caches include.
    const fn new(audited: AuditId) -> Self {
        Self { changes: None, audit_id: audited, may_leave_over: false }
    }

    /// Drops the cached sessions if the file was changed: some may have ended. If an account was erased, the lines are
    /// rebuilt, since its tokens and holds have ended too; and once more at the next change, since the leftovers of an
    /// erasure end after it.
    async fn look(&mut self, office: &BoxOffice) -> Result<(), StoreError> {
        let changes = office.store.changes_elsewhere().await?;
        if self.changes == Some(changes) {
            return Ok(());
        }
        office.caches.sessions.forget();
        let newest = office.store.audit(Page { after: None, limit: AUDIT_LINES }).await?;
        let mut new = newest.iter().take_while(|line| line.audit_id > self.audit_id);
        let was_erased = new.any(|line| line.action == "user.erase");
        if was_erased || self.may_leave_over {
            office.engine.mark_caches_stale();
            decided(office.resume().await);
        }
        self.audit_id = newest.first().map_or(self.audit_id, |line| line.audit_id);
        self.changes = Some(changes);
        self.may_leave_over = was_erased;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::{
        lines::move_line,
        testing::{START, TestFolder, ask, join, open, policy},
    };
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::{Command, Erasure, Proof, Worth},
        id::{Position, RoomId, TokenId},
        line::Fence,
        user::Caller,
    };
    use frontrow_storage::sqlite::SqliteStore;

    #[tokio::test]
    async fn what_an_erasure_beside_the_server_ends_leaves_no_ghost_in_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let (path, clock) = (place.database(), Clock::manual(START));
        let opened = || Arc::new(SqliteStore::open(&path, clock.clone(), policy(), 1).unwrap());
        let office = open(&place, opened(), clock.clone()).await;
        let (buyer, _) = (join(&office, 1).await, join(&office, 2).await);
        move_line(&office, RoomId::HOUSE, Fence(0)).await.unwrap();
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        ask(&office, buyer, Command::ActivateToken { token }).await;
        let mut known = Elsewhere::new(office.audited);
        known.look(&office).await.unwrap();

        let tool = open(&place, opened(), clock.clone()).await;
        tool.erase(Caller::System, buyer.user_id().unwrap(), Proof::Unneeded, Worth::Kept).await.unwrap();
        let counts = |office: &BoxOffice| {
            let view = office.lines.view(RoomId::HOUSE).unwrap();
            (view.active(), view.offered(), view.total_waiting())
        };
        assert_eq!(counts(&office), (1, 0, 1), "the server has not looked yet");
        known.look(&office).await.unwrap();
        assert_eq!(counts(&office), (0, 0, 1));
        move_line(&office, RoomId::HOUSE, Fence(0)).await.unwrap();
        assert_eq!(counts(&office), (0, 1, 0), "the next has the free place");
        let rebuilt = office.lines.view(RoomId::HOUSE).unwrap();
        known.look(&office).await.unwrap();
        assert!(Arc::ptr_eq(&rebuilt, &office.lines.view(RoomId::HOUSE).unwrap()), "lines are rebuilt once");
    }

    /// A server and a command line over one file, and a buyer who waits in the server's line.
    async fn beside() -> (tempfile::TempDir, Arc<BoxOffice>, Arc<BoxOffice>, Caller) {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let (path, clock) = (place.database(), Clock::manual(START));
        let opened = || Arc::new(SqliteStore::open(&path, clock.clone(), policy(), 1).unwrap());
        let office = open(&place, opened(), clock.clone()).await;
        let buyer = join(&office, 1).await;
        let tool = open(&place, opened(), clock.clone()).await;
        (folder, office, tool, buyer)
    }

    fn waiting(office: &BoxOffice) -> i64 {
        office.lines.view(RoomId::HOUSE).unwrap().total_waiting()
    }

    #[tokio::test]
    async fn an_erasure_between_the_reading_of_memory_and_the_first_look_leaves_no_ghost() {
        let (_folder, office, tool, buyer) = beside().await;
        let mut known = Elsewhere::new(office.audited);
        tool.erase(Caller::System, buyer.user_id().unwrap(), Proof::Unneeded, Worth::Kept).await.unwrap();
        known.look(&office).await.unwrap();
        assert_eq!(waiting(&office), 0);
    }

    #[tokio::test]
    async fn what_an_erasure_left_over_and_ended_after_it_leaves_no_ghost() {
        let (_folder, office, tool, buyer) = beside().await;
        let mut known = Elsewhere::new(office.audited);
        known.look(&office).await.unwrap();
        let user_id = buyer.user_id().unwrap();
        // The token was issued after the live ones were listed: the command does not name it.
        let erasure = Erasure {
            user_id,
            proof: Proof::Unneeded,
            idle_since: None,
            worth: Worth::Kept,
            tokens: Vec::new(),
            reservations: Vec::new(),
        };
        ask(&tool, Caller::System, Command::EraseUser(erasure)).await;
        known.look(&office).await.unwrap();
        assert_eq!(waiting(&office), 1);
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        ask(&tool, buyer, Command::LeaveQueue { token }).await;
        known.look(&office).await.unwrap();
        assert_eq!(waiting(&office), 0);
    }
}
