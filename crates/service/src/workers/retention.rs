//! Removes old rows and erases idle accounts, in small rounds while the engine is idle.

use super::rest;
use crate::office::BoxOffice;
use frontrow_domain::{
    retention::Leftover,
    time::{Span, Time},
};
use frontrow_line::LINE_RECORD_AGE_MAX;
use frontrow_storage::Page;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often old rows are looked for.
const PRUNE_TICK: Duration = Duration::from_mins(10);
/// How many of them one transaction removes: a command that arrives meanwhile waits no longer than that.
const PRUNE_ROUND: u32 = 500;
/// How many times the length of a round the worker rests after it, so that it takes a tenth of the writer at most.
const PRUNE_REST: u32 = 9;
/// The shortest rest.
const PRUNE_REST_MIN: Duration = Duration::from_millis(20);
/// How long the record of a line is stored that is not saved any more, because its sale is over or the line is empty: a
/// start goes by none that is so old.
const LINE_RECORDS_KEPT: Span = LINE_RECORD_AGE_MAX;
/// How often idle accounts are looked for.
const IDLE_ACCOUNTS_TICK: Duration = Duration::from_hours(12);
/// How many accounts one query reads.
const ACCOUNTS_PART: u32 = 500;
/// How often the worker checks whether the engine is idle.
const IDLE_TICK: Duration = Duration::from_millis(50);

/// How long rows are stored after their end. None is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Answers under idempotency keys.
    pub answers: Span,
    /// Tokens that have ended.
    pub tokens: Option<Span>,
    /// Reservations that ended unpaid.
    pub reservations: Option<Span>,
    /// Buyers' accounts, after the last sign-in.
    pub idle_accounts: Option<Span>,
}

impl Retention {
    const fn of(self, what: Leftover) -> Option<Span> {
        match what {
            Leftover::Answer => Some(self.answers),
            Leftover::Session | Leftover::Link | Leftover::Block => Some(Span::ZERO),
            Leftover::LineRecord => Some(LINE_RECORDS_KEPT),
            Leftover::Token | Leftover::Guest => self.tokens,
            Leftover::Reservation => self.reservations,
        }
    }
}

/// Removes old rows, in small rounds while the engine is idle.
pub(super) async fn prune(office: Arc<BoxOffice>, retention: Retention) {
    loop {
        // The store's time: an instance whose clock is wrong must not remove young rows.
        if let Ok(now) = office.store.now().await {
            for what in Leftover::ALL {
                if let Some(kept) = retention.of(what) {
                    prune_all(&office, what, now.minus(kept)).await;
                }
            }
        }
        rest(&office, PRUNE_TICK).await;
    }
}

async fn prune_all(office: &BoxOffice, what: Leftover, before: Time) {
    while has_leisure(office).await {
        let began = Instant::now();
        match office.store.prune(what, before, PRUNE_ROUND).await {
            Ok(0) => break,
            Ok(rows) => office.metrics.removed(what, rows),
            Err(error) => {
                tracing::warn!(%error, ?what, "cannot delete rows that are no longer needed");
                break;
            }
        }
        rest_after(began).await;
    }
}

/// Waits until the engine is idle. False if the store is in trouble: it gets no work that can wait, since each try
/// would leave one more stalled commit behind.
pub(super) async fn has_leisure(office: &BoxOffice) -> bool {
    while office.check_ready().is_ok() {
        if office.engine.is_idle() {
            return true;
        }
        tokio::time::sleep(IDLE_TICK).await;
    }
    false
}

async fn rest_after(began: Instant) {
    tokio::time::sleep(began.elapsed().saturating_mul(PRUNE_REST).max(PRUNE_REST_MIN)).await;
}

/// Erases buyers' accounts that have been idle for longer than `kept`.
pub(super) async fn erase_idle_accounts(office: Arc<BoxOffice>, kept: Span) {
    loop {
        if let Ok(now) = office.store.now().await {
            erase_idle_since(&office, now.minus(kept), ACCOUNTS_PART).await;
        }
        rest(&office, IDLE_ACCOUNTS_TICK).await;
    }
}

/// One pass over all accounts, `part` a query. Accounts with points or tickets to come stay, and so do those used
/// meanwhile.
async fn erase_idle_since(office: &BoxOffice, before: Time, part: u32) {
    let mut page = Page { after: None, limit: part };
    while has_leisure(office).await {
        let began = Instant::now();
        let users = match office.store.users(None, page).await {
            Ok(users) => users,
            Err(error) => {
                tracing::warn!(%error, "cannot look up idle accounts");
                break;
            }
        };
        rest_after(began).await;
        for user in users.iter().filter(|user| user.is_idle_since(before)) {
            if !has_leisure(office).await {
                return;
            }
            let began = Instant::now();
            match office.erase_idle(user.user_id, before).await {
                Ok(()) => office.metrics.erased_accounts(1),
                Err(stop) => tracing::debug!(?stop, user.id = %user.user_id, "an idle account stays"),
            }
            rest_after(began).await;
        }
        match users.last() {
            Some(last) if u32::try_from(users.len()).is_ok_and(|read| read >= part) => page.after = Some(last.user_id),
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::testing::{RETENTION, START, TestFolder, ask, join, open, own_room, policy};
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::{Command, Proof, Worth},
        id::UserId,
        money::Money,
        policy::LIVE_PER_ERASURE_MAX,
        user::{Caller, Role, Session, User, UserStatus},
    };
    use frontrow_storage::{memory::MemoryStore, sqlite::SqliteStore};
    use std::path::Path;
    use uuid::Uuid;

    #[tokio::test]
    async fn an_erasure_ends_more_tokens_and_holds_than_one_command_may_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 1));
        let office = open(&place, store, clock.clone()).await;
        let buyer = join(&office, 1).await;
        for _ in 0..LIVE_PER_ERASURE_MAX {
            let room_id = own_room(&office).await;
            ask(&office, buyer, Command::IssueToken { room_id, concert_id: None }).await;
        }
        let user_id = buyer.user_id().unwrap();
        assert_eq!(office.store.live_tokens(user_id).await.unwrap().len(), LIVE_PER_ERASURE_MAX + 1);
        office.erase(Caller::System, user_id, Proof::Unneeded, Worth::Kept).await.unwrap();
        assert_eq!(office.store.live_tokens(user_id).await.unwrap(), []);
    }

    /// A database with so many old answers, and a table with the number left at each registration.
    fn with_answers(path: &Path, count: i64) -> rusqlite::Connection {
        let conn = rusqlite::Connection::open(path).unwrap();
        let sql = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
             INSERT INTO idempotency (created_at, key, fingerprint, answer)
             SELECT {}, CAST(printf('%032d', n) AS BLOB), x'00', '{{}}' FROM n;
             CREATE TABLE seen (left_over INTEGER);
             CREATE TRIGGER registered AFTER INSERT ON \"user\"
             BEGIN INSERT INTO seen SELECT count(*) FROM idempotency; END;",
            START.micros()
        );
        conn.execute_batch(&sql).unwrap();
        conn
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_command_waits_for_one_round_of_pruning_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let (path, clock) = (place.database(), Clock::manual(START));
        let store = Arc::new(SqliteStore::open(&path, clock.clone(), policy(), 10).unwrap());
        let office = open(&place, Arc::clone(&store) as _, clock.clone()).await;
        let round = i64::from(PRUNE_ROUND);
        let other = with_answers(&path, 3 * round);
        clock.advance(Span::from_secs(100));
        // The first round waits for another program's lock, and a command queues behind it.
        store.set_busy_timeout(Duration::from_mins(1)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (pruned, asked) = (Arc::clone(&office), Arc::clone(&office));
        let pruning =
            tokio::spawn(async move { prune_all(&pruned, Leftover::Answer, START.plus(Span::from_secs(50))).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let joining = tokio::spawn(async move { join(&asked, 1).await });
        while office.engine.batches() == 0 {
            tokio::task::yield_now().await;
        }
        other.execute_batch("ROLLBACK").unwrap();
        joining.await.unwrap();
        pruning.await.unwrap();
        let left = |sql| other.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
        assert!(left("SELECT left_over FROM seen") >= 2 * round, "it came after one round or before it");
        assert_eq!(left("SELECT count(*) FROM idempotency"), 0, "the rest went when there was nothing else to do");
        assert!(office.metrics.render().contains(r#"frontrow_rows_removed_total{kind="answer"} 1500"#));
    }

    #[tokio::test]
    async fn idle_accounts_are_erased_and_those_with_a_worth_stay() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(SqliteStore::open(&place.database(), clock.clone(), policy(), 10).unwrap());
        let office = open(&place, store, clock.clone()).await;
        let of = |number| UserId(Uuid::from_u128(number));
        for number in 1..=7 {
            join(&office, number).await;
        }
        let (day, before) = (Span::from_secs(86_400), START.plus(Span::from_secs(30 * 86_400)));
        let amount = Money::new(5);
        ask(&office, Caller::System, Command::TopUp { user_id: of(2), amount, reference: Some("pg".to_owned()) }).await;
        ask(&office, Caller::System, Command::SetRole { user_id: of(3), role: Role::Operator }).await;
        ask(&office, Caller::System, Command::LockUser { user_id: of(4), reason: None }).await;
        clock.advance(Span::from_secs(31 * 86_400));
        let expires_at = clock.now().plus(day);
        let session = Session {
            secret_hash: [5; 32],
            user_id: of(5),
            role: Role::Buyer,
            expires_at,
            created_at: Time::default(),
            client: None,
        };
        ask(&office, Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).await;
        join(&office, 8).await;
        // Twice, as two instances would, and in parts that begin or end among them.
        erase_idle_since(&office, before, 2).await;
        erase_idle_since(&office, before, 500).await;
        let mut erased = Vec::new();
        for number in 1..=8 {
            let user = office.store.user(of(number)).await.unwrap().unwrap();
            if user.status == UserStatus::Erased {
                assert_eq!(user.email, User::erased_email(of(number)));
                erased.push(number);
            }
        }
        assert_eq!(erased, [1, 6, 7]);
        let audit = office.store.audit(Page { after: None, limit: 100 }).await.unwrap();
        assert_eq!(audit.iter().filter(|line| line.action == "user.erase").count(), 3);
        assert_eq!(office.store.live_tokens(of(1)).await.unwrap(), []);
        assert!(office.metrics.render().contains(r#"frontrow_rows_removed_total{kind="account"} 3"#));
    }

    #[tokio::test]
    async fn nothing_is_removed_that_is_kept_for_ever() {
        assert_eq!((RETENTION.of(Leftover::Token), RETENTION.of(Leftover::Reservation)), (None, None));
        assert_eq!(RETENTION.of(Leftover::Session), Some(Span::ZERO), "a session that has ended is of no use");
    }
}
