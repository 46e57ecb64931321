//! What the box office does by itself: it moves the lines, sweeps holds that are over, probes the store, and forgets
//! what is too old. All of it only gives the engine commands that could be given at any time, so nothing is lost or
//! wrong when a round is late or missing.

use crate::{flow::BoxOffice, queue::Leadership};
use frontrow_domain::{
    command::{Command, Outcome, Request},
    id::RoomId,
    rules::TOKENS_PER_ADVANCE_MAX,
    time::{Span, Time},
    user::Caller,
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet};

/// How long a line rests at most.
const LINE_TICK: Duration = Duration::from_millis(100);
/// How often in a row a line is moved before the other lines have their turn.
const ADVANCES_MAX: u32 = 50;
/// How often due holds are swept.
const SWEEP_TICK: Duration = Duration::from_millis(250);
/// How many holds one command sweeps.
const SWEEP_MAX: u32 = 500;
/// How often the store is asked for holds that the queue may not know of.
const RECOVER_TICK: Duration = Duration::from_secs(10);
/// How often the store is probed while it fails.
const PROBE_TICK: Duration = Duration::from_secs(1);
/// How often old rows are forgotten.
const PRUNE_TICK: Duration = Duration::from_mins(10);
/// How long kept answers are kept.
const KEYS_KEPT: Span = Span::from_secs(7 * 86_400);

/// What the workers need beside the box office.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// How long a waiting token may be silent before its turn passes it over.
    pub dormant_after: Span,
}

/// Starts the workers. They stop when `stop` says true.
#[must_use]
pub fn start(office: &Arc<BoxOffice>, settings: WorkerSettings, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    workers.spawn(until(stop.clone(), move_lines(Arc::clone(office), settings)));
    workers.spawn(until(stop.clone(), sweep_holds(Arc::clone(office))));
    workers.spawn(until(stop.clone(), recover_holds(Arc::clone(office))));
    workers.spawn(until(stop.clone(), probe_store(Arc::clone(office))));
    workers.spawn(until(stop.clone(), prune(Arc::clone(office))));
    workers
}

async fn until(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.changed() => {}
    }
}

/// Gives a command. What it brought about, if it was decided and granted.
async fn command(office: &BoxOffice, command: Command) -> Option<Outcome> {
    let request = Request { caller: Caller::System, command, idempotency: None };
    match office.engine.run(request).await {
        Ok(answer) => answer.decision.ok(),
        Err(fault) => {
            tracing::debug!(%fault, "a worker's command was not decided");
            None
        }
    }
}

async fn move_lines(office: Arc<BoxOffice>, settings: WorkerSettings) {
    loop {
        office.queue.moved(LINE_TICK).await;
        for room in office.queue.rooms() {
            match office.queue.lead(room, Span::from_secs(3)).await {
                Ok(Leadership::Leader) => move_line(&office, room, settings).await,
                Ok(Leadership::Follower) => {}
                Err(error) => tracing::warn!(%error, "cannot tell who moves the line"),
            }
        }
    }
}

/// Moves a line on, one advance after another while they bring something: one looks at so many tokens only.
async fn move_line(office: &BoxOffice, room: RoomId, settings: WorkerSettings) {
    for _ in 0..ADVANCES_MAX {
        let Some(advance) = next_move(office, room, settings) else { break };
        match command(office, advance).await {
            Some(Outcome::Advanced { offered, put_aside, lapsed }) if offered > 0 || put_aside > 0 || lapsed > 0 => {}
            Some(_) | None => break,
        }
    }
}

/// The command that moves a line, if anything may move.
fn next_move(office: &BoxOffice, room_id: RoomId, settings: WorkerSettings) -> Option<Command> {
    let view = office.queue.view(room_id)?;
    let now = office.clock.now();
    let due = view.next_deadline().is_some_and(|deadline| deadline <= now);
    let wanted = view.room().most_turns(view.active(), view.offered());
    let can_offer = wanted > 0 && view.total_waiting() > 0;
    if !due && !can_offer {
        return None;
    }
    let offers = u32::try_from(wanted).unwrap_or(u32::MAX).min(TOKENS_PER_ADVANCE_MAX);
    let asleep = match offers {
        0 => Vec::new(),
        _ => office.queue.asleep(room_id, offers, now.minus(settings.dormant_after)),
    };
    let limit = offers.saturating_add(u32::try_from(asleep.len()).unwrap_or(u32::MAX)).min(TOKENS_PER_ADVANCE_MAX);
    Some(Command::AdvanceRoom { room_id, limit, asleep })
}

async fn sweep_holds(office: Arc<BoxOffice>) {
    loop {
        tokio::time::sleep(SWEEP_TICK).await;
        loop {
            match office.queue.take_due_holds(office.clock.now(), SWEEP_MAX).await {
                Ok(due) if due.is_empty() => break,
                Ok(reservation_ids) => {
                    command(&office, Command::ExpireHolds { reservation_ids }).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take the holds that are due");
                    break;
                }
            }
        }
    }
}

/// Finds holds that are over though no deadline said so: those of before a start, or lost on the way.
async fn recover_holds(office: Arc<BoxOffice>) {
    loop {
        let now = office.clock.now();
        match office.store.next_expiries(SWEEP_MAX).await {
            Ok(next) => {
                let due: Vec<_> = next.iter().filter(|(ends, _)| *ends <= now).map(|(_, id)| *id).collect();
                if !due.is_empty() {
                    command(&office, Command::ExpireHolds { reservation_ids: due }).await;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot look for holds that are over"),
        }
        tokio::time::sleep(RECOVER_TICK).await;
    }
}

async fn probe_store(office: Arc<BoxOffice>) {
    let mut rounds = 0_u32;
    loop {
        tokio::time::sleep(PROBE_TICK).await;
        rounds = rounds.wrapping_add(1);
        if !office.engine.is_healthy() || rounds.is_multiple_of(10) {
            let probe = office.store.check_writable().await;
            if let Err(error) = &probe {
                tracing::warn!(%error, "the store cannot be written");
            } else if !office.engine.is_healthy() {
                tracing::info!("the store can be written again");
            }
            office.engine.note_health(&probe);
        }
    }
}

async fn prune(office: Arc<BoxOffice>) {
    loop {
        let now: Time = office.clock.now();
        loop {
            match office.store.prune(now.minus(KEYS_KEPT), now).await {
                Ok(0) => break,
                Ok(rows) => tracing::debug!(rows, "forgot old answers and sessions"),
                Err(error) => {
                    tracing::warn!(%error, "cannot forget old rows");
                    break;
                }
            }
        }
        tokio::time::sleep(PRUNE_TICK).await;
    }
}
