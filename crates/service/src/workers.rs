//! Background work: moving the lines, sharing places, waking streams, counting what is left of the seats, sweeping ended holds, probing the store, counting for the house,
//! removing old rows, keeping what lines have measured, delivering events. All changes go through commands that are safe at any time, so a late or missing round does no harm.

mod command_line;
mod holds;
mod house;
mod lines;
mod outbox;
mod records;
mod retention;
mod shares;
mod stocks;
mod streams;
#[cfg(test)]
mod testing;
mod wind_up;

pub(crate) use lines::LEASE;
pub use retention::Retention;

use crate::{
    engine::{EngineError, Health},
    health::NotReady,
    office::{BoxOffice, ServiceError},
};
use frontrow_domain::outbox::Consumer;
use frontrow_storage::{Sharing, trouble::Trouble};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

/// How often the store is searched for rooms that another process made.
const ROOMS_TICK: Duration = Duration::from_secs(5);
/// How often the store is probed while it fails.
const PROBE_TICK: Duration = Duration::from_secs(1);
/// After how many ticks a store that works notes so: a crash makes an outage longer by no more than this.
const NOTED_EVERY: u32 = 2;
/// After how many ticks a store that works is probed.
const PROBED_EVERY: u32 = 10;
/// How often wrong passwords and codes for accounts of operators and viewers are written into the audit log.
const FAILED_PROOFS_TICK: Duration = Duration::from_mins(1);

/// Starts the workers. They stop when `stop` turns true. `retention` says how long rows are kept.
#[must_use]
pub fn start(office: &Arc<BoxOffice>, retention: Retention, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    workers.spawn(until(stop.clone(), lines::move_lines(Arc::clone(office))));
    workers.spawn(until(stop.clone(), holds::sweep_holds(Arc::clone(office))));
    workers.spawn(until(stop.clone(), holds::recover_holds(Arc::clone(office))));
    workers.spawn(until(stop.clone(), find_rooms(Arc::clone(office))));
    workers.spawn(until(stop.clone(), streams::wake_streams(Arc::clone(office))));
    workers.spawn(until(stop.clone(), shares::share_places(Arc::clone(office))));
    workers.spawn(until(stop.clone(), stocks::look_at_stocks(Arc::clone(office))));
    workers.spawn(until(stop.clone(), wind_up::wind_up_concerts(Arc::clone(office))));
    let audit_feed = outbox::AuditFeed(Arc::clone(office));
    workers.spawn(outbox::deliver_events(Arc::clone(office), Consumer::AuditFeed, audit_feed, stop.clone()));
    if let Some(letters) = office.letters.clone() {
        let post = outbox::LetterPost { office: Arc::clone(office), letters, turn: Mutex::default() };
        workers.spawn(outbox::deliver_events(Arc::clone(office), Consumer::Letters, post, stop.clone()));
    }
    workers.spawn(until(stop.clone(), probe_store(Arc::clone(office))));
    workers.spawn(until(stop.clone(), house::sample_house(Arc::clone(office))));
    workers.spawn(until(stop.clone(), house::probe_database(Arc::clone(office))));
    workers.spawn(note_failed_proofs(Arc::clone(office), stop.clone()));
    workers.spawn(records::keep_line_records(Arc::clone(office), stop.clone()));
    workers.spawn(until(stop.clone(), retention::prune(Arc::clone(office), retention)));
    if let Some(kept) = retention.idle_accounts {
        workers.spawn(until(stop.clone(), retention::erase_idle_accounts(Arc::clone(office), kept)));
    }
    if office.store.sharing() == Sharing::Alone {
        workers.spawn(until(stop.clone(), command_line::follow_command_line(Arc::clone(office))));
    }
    workers
}

/// Runs `work` until `stop` turns true.
pub async fn until(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.changed() => {}
    }
}

/// Sleeps for about `tick`, a quarter more or less, so that instances that started together do not act at the same
/// moment.
async fn rest(office: &BoxOffice, tick: Duration) {
    let [random, ..] = office.ids.secret();
    tokio::time::sleep(tick.mul_f64(0.75 + f64::from(random) / 512.0)).await;
}

/// The value of a call, if it was decided and not refused.
fn decided<T>(call: Result<T, ServiceError>) -> Option<T> {
    granted(call).ok().flatten()
}

/// The value of a call, if it was not refused.
fn granted<T>(call: Result<T, ServiceError>) -> Result<Option<T>, EngineError> {
    match call {
        Ok(value) => Ok(Some(value)),
        Err(ServiceError::EngineError(fault)) => {
            tracing::debug!(%fault, "a worker's command was not decided");
            Err(fault)
        }
        Err(_) => Ok(None),
    }
}

/// Finds rooms that another process made (an import, for example), so that operators see them and their gauges, and
/// changes of rooms that were not published.
async fn find_rooms(office: Arc<BoxOffice>) {
    let trouble = Trouble::new("cannot look up rooms that another process made");
    let mut after = None;
    loop {
        rest(&office, ROOMS_TICK).await;
        if let Some(last) = trouble.noted(office.find_rooms(after).await) {
            after = last;
        }
    }
}

async fn probe_store(office: Arc<BoxOffice>) {
    let mut rounds = 0_u32;
    loop {
        let is_due = |every| office.engine.health() != Health::Sound || rounds.is_multiple_of(every);
        // Such as an instance that is being replaced by this one, and about to end.
        let is_conflicting = matches!(office.check_ready(), Err(NotReady::Conflicting(_)));
        if is_due(NOTED_EVERY) {
            let is_probe = is_due(PROBED_EVERY);
            let probe = if is_probe { office.store.check_writable().await } else { office.store.note_works().await };
            if probe.is_ok() && (is_probe || is_conflicting) && office.store.sharing() == Sharing::Shared {
                office.compare_clocks().await;
                office.check_instances().await;
            }
            let was_sound = office.engine.health() == Health::Sound;
            office.engine.note_probe(&probe);
            if probe.is_ok() && !was_sound {
                decided(office.resume().await);
            }
        } else if is_conflicting {
            office.check_instances().await;
        }
        rounds = rounds.wrapping_add(1);
        tokio::time::sleep(PROBE_TICK).await;
    }
}

/// Writes wrong passwords and codes for accounts of operators and viewers down, each minute and when the server stops.
async fn note_failed_proofs(office: Arc<BoxOffice>, mut stop: watch::Receiver<bool>) {
    loop {
        let is_last = tokio::select! {
            () = rest(&office, FAILED_PROOFS_TICK) => false,
            _ = stop.changed() => true,
        };
        if let Err(error) = office.write_failed_proofs().await {
            tracing::warn!(%error, "cannot write wrong passwords and codes of operators and viewers to the audit log yet");
        }
        if is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        testing::{START, TestFolder, ask, open, own_room, policy},
        *,
    };
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::{Command, ConcertChange, Outcome, OwnRoom},
        id::RoomId,
        time::Span,
        user::Caller,
    };
    use frontrow_storage::{Store, memory::MemoryStore};

    #[tokio::test]
    async fn an_instance_whose_clock_is_minutes_off_is_not_ready_until_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let (here, there) = (Clock::manual(START), Clock::manual(START.plus(Span::from_secs(120))));
        let store = Arc::new(MemoryStore::new(there, policy(), 10));
        let office = open(&place, store, here.clone()).await;
        office.compare_clocks().await;
        let reason = office.check_ready().unwrap_err().to_string();
        assert!(reason.contains("120 seconds ahead of"), "{reason}");
        here.advance(Span::from_secs(100));
        office.compare_clocks().await;
        assert_eq!(office.check_ready(), Ok(()));
    }

    #[tokio::test]
    async fn rooms_that_another_process_made_are_found_a_part_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let elsewhere = open(&place, Arc::clone(&store) as Arc<dyn Store>, clock.clone()).await;
        let (mut draft, _) = crate::demo::season(START).remove(1);
        draft.opens_at = START.plus(Span::from_secs(3_600));
        let create = Command::CreateConcert(draft.check().unwrap());
        let Outcome::Concert(old) = ask(&elsewhere, Caller::System, create).await else { panic!("it is made") };
        let mut rooms = Vec::new();
        for _ in 0..250 {
            rooms.push(own_room(&elsewhere).await);
        }
        let office = open(&place, store, clock).await;
        let newest = own_room(&elsewhere).await;
        let knows = |room: RoomId| office.lines.view(room).is_some();
        assert_eq!((knows(newest), knows(rooms[249])), (false, true));
        let first = office.find_rooms(None).await.unwrap();
        assert!(knows(newest), "new rooms are found at once");

        // An older concert gets a room of its own: its number is below many others.
        let change = ConcertChange {
            own_room: Some(OwnRoom { max_active: 5, admit_per_minute: None, opening: None }),
            ..ConcertChange::default()
        };
        let (concert_id, room) = (old.concert_id, RoomId::of_concert(old.concert_id));
        ask(&elsewhere, Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None }).await;
        let (mut after, mut parts) = (first, Vec::new());
        while !knows(room) {
            assert!(parts.len() < 10, "it is never found: {parts:?}");
            after = office.find_rooms(after).await.unwrap();
            parts.push(after);
        }
        assert_eq!(
            (first, parts),
            (Some(rooms[98]), vec![Some(rooms[198]), None, Some(rooms[97])]),
            "no part is large"
        );
    }
}
