//! How long the opening of a lobby takes, by its entries, over `SQLite`: `cargo bench --bench draw`.
//!
//! From the moment at which the lobby may be sealed: the entries are counted, the order is drawn and each entry gets its
//! place, by the commands that the line's leader gives. Every batch is a transaction on the disk.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop where it cannot go on")]

use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, DrawStep, NewConcert, Outcome, Request},
    decide::decide_all,
    id::{Position, RoomId, UserId},
    line::{BeaconWait, DrawPhase, ENTRIES_PER_PLACING_MAX, EntryCount, Fence},
    policy::Policy,
    time::Span,
    user::{Caller, NewUser, Role},
};
use frontrow_draw::{Chain, DrawSecret};
use frontrow_storage::{Page, Store, sqlite::SqliteStore};
use frontrow_testkit::{START, fixture::new_concert};
use std::time::{Duration, Instant};
use uuid::Uuid;

const BATCH: u128 = 500;
const FENCE: Fence = Fence(0);
const OPENS: Span = Span::from_secs(600);

struct Lobby {
    store: SqliteStore,
    room_id: RoomId,
}

impl Lobby {
    async fn batch(&self, requests: Vec<(Caller, Command)>) -> Outcome {
        let requests: Vec<_> =
            requests.into_iter().map(|(caller, command)| Request { caller, command, idempotency: None }).collect();
        let answers = self.store.transact(requests.into(), decide_all).await.unwrap().answers;
        answers.into_iter().map(|answer| answer.decision.unwrap()).next_back().unwrap()
    }

    async fn step(&self, step: DrawStep) -> DrawPhase {
        let command = Command::StepDraw { room_id: self.room_id, step };
        match self.batch(vec![(Caller::System, command)]).await {
            Outcome::Room(room) => room.draw,
            other => panic!("{other:?}"),
        }
    }

    async fn count(&self, last: Position) -> DrawPhase {
        let (mut count, mut after) = (EntryCount::default(), Position(0));
        loop {
            let page = Page { after: Some(after), limit: 5_000 };
            let tokens = self.store.tokens_up_to(self.room_id, last, page).await.unwrap();
            let Some(highest) = tokens.last() else { break };
            after = highest.id.position;
            count.add(&tokens);
        }
        self.step(count.into_step(FENCE)).await
    }
}

/// How many bytes this process has written to files; 0 if the machine does not say.
fn written() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    counts.lines().find_map(|line| line.strip_prefix("wchar: ")).and_then(|count| count.parse().ok()).unwrap_or(0)
}

async fn measure(entries: u128) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let path = folder.path().join("frontrow.db");
    let store = SqliteStore::open(&path, clock.clone(), Policy::default(), 100).unwrap();
    let mut lobby = Lobby { store, room_id: RoomId::HOUSE };
    let concert = NewConcert { own_room_max_active: Some(1_000), opens_at: Some(START.plus(OPENS)), ..new_concert() };
    let Outcome::Concert(concert) = lobby.batch(vec![(Caller::System, Command::CreateConcert(concert))]).await else {
        panic!("no concert")
    };
    lobby.room_id = concert.room_id;
    let beacon = BeaconWait { chain: Chain::quicknet(), patience: Span::ZERO };
    lobby.step(DrawStep::Begin { secret: DrawSecret::from_bytes([7; 32]), beacon }).await;
    let (room_id, concert_id) = (lobby.room_id, lobby.room_id.concert());
    for first in (0..entries).step_by(usize::try_from(BATCH).unwrap()) {
        let users = (first..(first + BATCH).min(entries)).map(|number| UserId(Uuid::from_u128(number + 1)));
        let join = users.flat_map(|user_id| {
            let email = format!("{}@frontrow.example", user_id.0.simple());
            let new = NewUser { user_id, name: "A".to_owned(), email, password_hash: String::new(), role: Role::Buyer };
            [
                (Caller::System, Command::Register(new)),
                (Caller::Buyer(user_id), Command::IssueToken { room_id, concert_id }),
            ]
        });
        lobby.batch(join.collect()).await;
    }
    clock.advance(OPENS);
    let mut last_lap = Instant::now();
    let mut lap = || {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut last_lap, now))
    };
    let DrawPhase::Sealed { last } = lobby.step(DrawStep::Seal { fence: FENCE }).await else { panic!("not sealed") };
    let sealed = lap();
    lobby.count(last).await;
    let counted = lap();
    let written_before = written();
    let order = lobby.store.draw(room_id).await.unwrap().unwrap().order().unwrap();
    let drawn = lap();
    for next in order.chunks(ENTRIES_PER_PLACING_MAX) {
        lobby.step(DrawStep::Place { fence: FENCE, entries: next.to_vec() }).await;
    }
    let placed = lap();
    let ms = |span: Duration| span.as_millis();
    println!(
        "{entries:>9}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>18}",
        ms(sealed),
        ms(counted),
        ms(drawn),
        ms(placed),
        ms(sealed + counted + drawn + placed),
        written().saturating_sub(written_before) / (1 << 20)
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("  entries      seal     count      draw     place     total, ms  placing wrote, MiB");
    for entries in [1_000, 10_000, 100_000, 1_000_000] {
        runtime.block_on(measure(entries));
    }
}
