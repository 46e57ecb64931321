//! Follows what the command line changes in a database that this process serves alone.

use super::{command, rest};
use crate::{
    flow::BoxOffice,
    store::{Page, StoreError},
};
use frontrow_domain::{command::Command, id::AuditId};
use std::{sync::Arc, time::Duration};

/// How often a database that this process has alone is asked whether the command line has changed it.
const ELSEWHERE_TICK: Duration = Duration::from_secs(1);
/// How many lines of the audit log are looked at then. Each command writes one.
const AUDIT_LINES: u32 = 100;

/// Takes in what the command line has changed in the file.
pub(super) async fn follow_command_line(office: Arc<BoxOffice>) {
    let mut known = Elsewhere::default();
    loop {
        if let Err(error) = known.look(&office).await {
            tracing::debug!(%error, "cannot tell whether another process changed the database");
        }
        rest(&office, ELSEWHERE_TICK).await;
    }
}

/// What is known of the changes that another process made in the file.
#[derive(Debug, Default)]
struct Elsewhere {
    changes: Option<u64>,
    /// The newest line of the audit log that was looked at.
    audit_id: Option<AuditId>,
}

impl Elsewhere {
    /// Forgets the sessions if the file was changed: some may have ended. If an account was erased, the lines are read
    /// anew, since its tokens and holds have ended too.
    async fn look(&mut self, office: &BoxOffice) -> Result<(), StoreError> {
        let changes = office.store.changes_elsewhere().await?;
        if self.changes == Some(changes) {
            return Ok(());
        }
        office.followers.sessions.forget();
        let newest = office.store.audit(Page { after: None, limit: AUDIT_LINES }).await?;
        if let Some(seen) = self.audit_id {
            let mut new = newest.iter().take_while(|line| line.audit_id > seen);
            if new.any(|line| line.action == "user.erase") {
                office.engine.doubt_memory();
                // Memory is read before the next command, which may be long in coming.
                command(office, Command::ExpireHolds { reservation_ids: Vec::new() }).await;
            }
        }
        self.audit_id = Some(newest.first().map_or(AuditId::new(0), |line| line.audit_id));
        self.changes = Some(changes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        store::sqlite::SqliteStore,
        workers::{
            lines::move_line,
            testing::{SETTINGS, START, ask, join, open, settings},
        },
    };
    use frontrow_domain::{
        command::{Proof, Worth},
        id::{Position, RoomId, TokenId},
        queue::Fence,
        user::Caller,
    };

    #[tokio::test]
    async fn what_an_erasure_beside_the_server_ends_leaves_no_ghost_in_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), "1");
        let (path, clock) = (config.database_path(), Clock::manual(START));
        let opened = || Arc::new(SqliteStore::open(&path, clock.clone(), config.rules(), 1).unwrap());
        let office = open(&config, opened(), clock.clone()).await;
        let (buyer, _) = (join(&office, 1).await, join(&office, 2).await);
        move_line(&office, RoomId::HOUSE, Fence(0), SETTINGS).await.unwrap();
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        ask(&office, buyer, Command::ActivateToken { token }).await;
        let mut known = Elsewhere::default();
        known.look(&office).await.unwrap();

        let tool = open(&config, opened(), clock.clone()).await;
        tool.erase(Caller::System, buyer.user_id().unwrap(), Proof::Unneeded, Worth::Kept).await.unwrap();
        let counts = |office: &BoxOffice| {
            let view = office.queue.view(RoomId::HOUSE).unwrap();
            (view.active(), view.offered(), view.total_waiting())
        };
        assert_eq!(counts(&office), (1, 0, 1), "the server has not looked yet");
        known.look(&office).await.unwrap();
        assert_eq!(counts(&office), (0, 0, 1));
        move_line(&office, RoomId::HOUSE, Fence(0), SETTINGS).await.unwrap();
        assert_eq!(counts(&office), (0, 1, 0), "the next has the free place");
        let laid = office.queue.view(RoomId::HOUSE).unwrap();
        known.look(&office).await.unwrap();
        assert!(Arc::ptr_eq(&laid, &office.queue.view(RoomId::HOUSE).unwrap()), "lines are read anew once");
    }
}
