//! Rehearsals: a crowd comes to a copy of a concert in a scratch box office on this machine. It runs in a process of its
//! own, which is started here, followed, and ended if a sale comes near.

pub mod machine;
pub mod plan;
mod process;
pub mod report;
pub mod scratch;
pub mod stage;

use crate::office::{BoxOffice, Reply, ServiceError};
use frontrow_domain::{
    command::{Command, Idempotency, Replay},
    id::ConcertId,
    sale::{CLEAR_BEFORE, Concert, ConcertStatus, RehearsalObstacle, RehearsalSetup, SeatStatus},
    time::{Span, Time},
    user::Caller,
};
use frontrow_storage::{ConcertFilter, ConcertPlace, Page};
use plan::RehearsalPlan;
use process::RehearsalProcess;
use report::{RehearsalProgress, RehearsalReport};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio::sync::watch;
use uuid::Uuid;

/// How many concerts' last rehearsals are kept.
const KEPT_MAX: usize = 64;
/// How many concerts one query reads.
const PAGE: u32 = 100;

/// The program that runs rehearsals.
#[derive(Debug, Clone)]
pub struct RehearsalProgram {
    /// This program.
    pub program: PathBuf,
    /// Where the scratch box office is made and removed.
    pub folder: PathBuf,
}

/// Why no rehearsal can begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRehearsal {
    /// This server was started without the program that runs them.
    #[error("this server runs no rehearsals")]
    NotOffered,
    /// The sales speak against it.
    #[error(transparent)]
    Sales(RehearsalObstacle),
    /// A rehearsal runs, of this concert or another.
    #[error("a rehearsal of concert {0} runs already")]
    Running(ConcertId),
    /// The machine lacks memory, in bytes.
    #[error("{needed} bytes of memory are needed and {free} are free")]
    Memory { needed: u64, free: u64 },
    /// The disk is too full, in bytes.
    #[error("{needed} bytes on disk are needed and {free} are free")]
    Disk { needed: u64, free: u64 },
    /// The program did not start.
    #[error("the program did not start")]
    NotStarted,
}

/// How a rehearsal ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RehearsalEnd {
    /// With a report.
    Done(Box<RehearsalReport>),
    /// An operator stopped it.
    Stopped,
    /// A sale came near: that of this concert.
    SaleNear(Arc<Concert>),
    /// It could not be run to its end. The server's log says why, under this id.
    Failed(Uuid),
}

/// The last rehearsal of a concert.
#[derive(Debug, Clone, PartialEq)]
pub struct LastRehearsal {
    pub setup: RehearsalSetup,
    pub ended_at: Time,
    pub end: RehearsalEnd,
}

/// A rehearsal that runs.
#[derive(Debug, Clone)]
pub struct RunningRehearsal {
    pub concert_id: ConcertId,
    pub setup: RehearsalSetup,
    pub began_at: Time,
    pub progress: RehearsalProgress,
    stop: watch::Sender<bool>,
}

/// What an operator sees of the rehearsals of a concert.
#[derive(Debug, Clone)]
pub struct RehearsalView {
    pub concert: Arc<Concert>,
    pub free_seats: i64,
    /// The crowd to begin with.
    pub proposed: RehearsalSetup,
    /// Why none can begin now with that crowd.
    pub obstacle: Option<NoRehearsal>,
    /// The one that runs, of this concert or another.
    pub running: Option<RunningRehearsal>,
    pub last: Option<Arc<LastRehearsal>>,
}

/// The rehearsals of this instance.
#[derive(Debug, Default)]
pub(crate) struct Rehearsals {
    program: OnceLock<RehearsalProgram>,
    state: Mutex<RehearsalState>,
    /// Locked while one is stopped, so that of several stops one is noted.
    stopping: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct RehearsalState {
    place: RehearsalPlace,
    last: HashMap<ConcertId, Arc<LastRehearsal>>,
}

/// The only place for a rehearsal.
#[derive(Debug, Default)]
enum RehearsalPlace {
    #[default]
    Free,
    /// Taken by one of this concert that has not begun.
    Taken(ConcertId),
    Running(RunningRehearsal),
}

impl Rehearsals {
    fn lock(&self) -> MutexGuard<'_, RehearsalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<RunningRehearsal> {
        match &self.lock().place {
            RehearsalPlace::Running(running) => Some(running.clone()),
            RehearsalPlace::Free | RehearsalPlace::Taken(_) => None,
        }
    }

    fn last(&self, id: ConcertId) -> Option<Arc<LastRehearsal>> {
        self.lock().last.get(&id).map(Arc::clone)
    }

    fn take_place(&self, concert_id: ConcertId) -> Result<TakenPlace<'_>, NoRehearsal> {
        let place = &mut self.lock().place;
        match place {
            RehearsalPlace::Free => {
                *place = RehearsalPlace::Taken(concert_id);
                Ok(TakenPlace { rehearsals: self, concert_id })
            }
            RehearsalPlace::Taken(other) | RehearsalPlace::Running(RunningRehearsal { concert_id: other, .. }) => {
                Err(NoRehearsal::Running(*other))
            }
        }
    }

    fn note(&self, progress: RehearsalProgress) {
        if let RehearsalPlace::Running(running) = &mut self.lock().place {
            running.progress = progress;
        }
    }

    /// Frees the place, and keeps how the rehearsal ended.
    fn end(&self, end: RehearsalEnd, ended_at: Time) {
        let mut state = self.lock();
        let RehearsalPlace::Running(running) = std::mem::take(&mut state.place) else { return };
        let RunningRehearsal { concert_id, setup, .. } = running;
        if state.last.len() >= KEPT_MAX
            && !state.last.contains_key(&concert_id)
            && let Some(oldest) = state.last.iter().min_by_key(|(_, last)| last.ended_at).map(|(id, _)| *id)
        {
            state.last.remove(&oldest);
        }
        state.last.insert(concert_id, Arc::new(LastRehearsal { setup, ended_at, end }));
    }
}

/// The place of a rehearsal that has not begun: given back when it is dropped, unless the rehearsal begins.
#[derive(Debug)]
struct TakenPlace<'a> {
    rehearsals: &'a Rehearsals,
    concert_id: ConcertId,
}

impl TakenPlace<'_> {
    /// Returns what stops the rehearsal.
    fn begin(self, setup: RehearsalSetup, began_at: Time) -> watch::Receiver<bool> {
        let (stop, stopped) = watch::channel(false);
        let progress = RehearsalProgress::default();
        let running = RunningRehearsal { concert_id: self.concert_id, setup, began_at, progress, stop };
        self.rehearsals.lock().place = RehearsalPlace::Running(running);
        stopped
    }
}

impl Drop for TakenPlace<'_> {
    fn drop(&mut self) {
        let place = &mut self.rehearsals.lock().place;
        if matches!(place, RehearsalPlace::Taken(_)) {
            *place = RehearsalPlace::Free;
        }
    }
}

impl BoxOffice {
    /// Lets operators rehearse with this program. Without it there are no rehearsals.
    pub fn offer_rehearsals(&self, program: RehearsalProgram) {
        let _ = self.rehearsals.program.set(program);
    }

    /// What an operator sees of the rehearsals of a concert.
    ///
    /// # Errors
    /// [`NotFound`](frontrow_domain::refusal::Refusal::NotFound), or the store could not be read.
    pub async fn rehearsal(&self, id: ConcertId) -> Result<RehearsalView, ServiceError> {
        let concert = self.concert(id).await?;
        let room = self.room(concert.room_id).await?.room;
        let free_seats = self.store.seat_counts(id).await?.available;
        let proposed = RehearsalSetup::proposed(free_seats, &room, &self.policy);
        let running = self.rehearsals.running();
        let obstacle = match &running {
            Some(running) => Some(NoRehearsal::Running(running.concert_id)),
            None if self.rehearsals.program.get().is_none() => Some(NoRehearsal::NotOffered),
            None => {
                let near = self.sale_within(CLEAR_BEFORE).await?;
                RehearsalObstacle::of((&concert, &room, free_seats), near, self.now()).map(NoRehearsal::Sales)
            }
        };
        Ok(RehearsalView { concert, free_seats, proposed, obstacle, running, last: self.rehearsals.last(id) })
    }

    /// The plan of a rehearsal: a copy of the concert, and this crowd.
    ///
    /// # Errors
    /// [`NotFound`](frontrow_domain::refusal::Refusal::NotFound), or the store could not be read.
    pub async fn rehearsal_plan(
        &self,
        id: ConcertId,
        setup: Option<RehearsalSetup>,
    ) -> Result<RehearsalPlan, ServiceError> {
        let concert = self.concert(id).await?;
        let room = self.room(concert.room_id).await?.room;
        let seats = self.store.seats(id).await?;
        let free = seats.iter().filter(|seat| seat.status() == SeatStatus::Available).count();
        let proposed = || RehearsalSetup::proposed(i64::try_from(free).unwrap_or(i64::MAX), &room, &self.policy);
        let setup = setup.unwrap_or_else(proposed);
        Ok(RehearsalPlan::of(&concert, &room, &seats, &self.policy, setup))
    }

    /// A concert whose sale is open, or opens within `ahead`; none if there is none.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn sale_within(&self, ahead: Span) -> Result<Option<Concert>, ServiceError> {
        let now = self.now();
        let filter = ConcertFilter { status: Some(ConcertStatus::Scheduled), now, ..ConcertFilter::default() };
        let mut after = None;
        loop {
            let page = self.store.concerts(&filter, Page { after, limit: PAGE }).await?;
            let Some(last) = page.last() else { return Ok(None) };
            after = Some(ConcertPlace::of(last));
            if let Some(near) = page.into_iter().find(|concert| concert.sells_within(ahead, now)) {
                return Ok(Some(near));
            }
        }
    }

    /// Begins a rehearsal: it runs in the background. A form that has begun one begins no other.
    ///
    /// # Errors
    /// The inner error says why none can begin; the refusal that says why the caller may not, or
    /// [`Refusal::IdempotencyKeyReused`](frontrow_domain::refusal::Refusal::IdempotencyKeyReused).
    pub async fn begin_rehearsal(
        self: &Arc<Self>,
        caller: Caller,
        id: ConcertId,
        setup: RehearsalSetup,
        form: Option<Idempotency>,
    ) -> Result<Result<(), NoRehearsal>, ServiceError> {
        let office = Arc::clone(self);
        to_its_end(async move { office.begin_now(caller, id, setup, form).await }).await
    }

    async fn begin_now(
        self: &Arc<Self>,
        caller: Caller,
        id: ConcertId,
        setup: RehearsalSetup,
        form: Option<Idempotency>,
    ) -> Result<Result<(), NoRehearsal>, ServiceError> {
        if let Some(obstacle) = self.rehearsal(id).await?.obstacle {
            return Ok(Err(obstacle));
        }
        let Some(program) = self.rehearsals.program.get() else { return Ok(Err(NoRehearsal::NotOffered)) };
        let plan = self.rehearsal_plan(id, Some(setup)).await?;
        if let Err(lack) = has_room(program, &plan) {
            return Ok(Err(lack));
        }
        let place = match self.rehearsals.take_place(id) {
            Ok(place) => place,
            Err(taken) => return Ok(Err(taken)),
        };
        // Before the command, since the log says of none that did not start that it began.
        let process = match RehearsalProcess::start(program, &plan) {
            Ok(process) => process,
            Err(error) => {
                tracing::error!(%error, program = %program.program.display(), "no rehearsal: the program did not start");
                return Ok(Err(NoRehearsal::NotStarted));
            }
        };
        let begun: Result<Reply<()>, _> =
            self.ask(caller, Command::BeginRehearsal { concert_id: id, setup }, form).await;
        if begun.as_ref().is_ok_and(|reply| reply.replay == Replay::Fresh) {
            tracing::info!(concert = id.get(), people = setup.people, process = process.id(), "a rehearsal begins");
            process.follow(self, setup.minutes, place.begin(setup, self.now()));
        } else {
            process.send_away();
        }
        begun.map(|_| Ok(()))
    }

    /// Stops the rehearsal of a concert. One that was stopped before, or has ended by itself, needs no stop.
    ///
    /// # Errors
    /// The refusal that says why the caller may not, or the engine did not decide.
    pub async fn stop_rehearsal(self: &Arc<Self>, caller: Caller, id: ConcertId) -> Result<(), ServiceError> {
        let office = Arc::clone(self);
        to_its_end(async move { office.stop_now(caller, id).await }).await
    }

    async fn stop_now(&self, caller: Caller, id: ConcertId) -> Result<(), ServiceError> {
        let _one_by_one = self.rehearsals.stopping.lock().await;
        let running = self.rehearsals.running().filter(|running| running.concert_id == id && !*running.stop.borrow());
        let Some(running) = running else { return Ok(()) };
        let () = self.run(caller, Command::StopRehearsal { concert_id: id }).await?;
        running.stop.send_replace(true);
        Ok(())
    }
}

/// Does something to its end, also if the request is dropped meanwhile: what the log says is done.
async fn to_its_end<T: Send + 'static>(
    act: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::spawn(act).await.unwrap_or(Err(ServiceError::Internal("the task of a rehearsal did not end")))
}

/// Refuses if the machine lacks memory or disk. A system that does not say how much is free is taken to have enough.
fn has_room(program: &RehearsalProgram, plan: &RehearsalPlan) -> Result<(), NoRehearsal> {
    let needed = machine::memory_needed(plan.setup.people);
    if let Some(free) = machine::memory_free().filter(|free| *free < needed) {
        return Err(NoRehearsal::Memory { needed, free });
    }
    let needed = machine::disk_needed(plan.setup.people, plan.seats.len());
    if let Some(free) = machine::disk_free(&program.folder).filter(|free| *free < needed) {
        return Err(NoRehearsal::Disk { needed, free });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn setup() -> RehearsalSetup {
        RehearsalSetup {
            people: 10,
            arrive_minutes: 0,
            visit_seconds: 5,
            give_up_percent: 0,
            seats_each: 1,
            minutes: 1,
        }
    }

    #[test]
    fn one_rehearsal_runs_at_a_time_and_its_end_frees_the_place() {
        let rehearsals = Rehearsals::default();
        let (one, other) = (ConcertId::new(1), ConcertId::new(2));
        let place = rehearsals.take_place(one).unwrap();
        assert_eq!(rehearsals.take_place(other).unwrap_err(), NoRehearsal::Running(one));
        let _stopped = place.begin(setup(), NOW);
        assert_eq!(rehearsals.take_place(other).unwrap_err(), NoRehearsal::Running(one));
        rehearsals.end(RehearsalEnd::Stopped, NOW);
        assert_eq!(rehearsals.last(one).unwrap().end, RehearsalEnd::Stopped);
        assert!(rehearsals.take_place(other).is_ok());
    }

    #[test]
    fn the_place_of_a_rehearsal_that_does_not_begin_is_given_back_without_a_trace() {
        let rehearsals = Rehearsals::default();
        let one = ConcertId::new(1);
        let place = rehearsals.take_place(one).unwrap();
        assert!(rehearsals.running().is_none(), "there is nothing to stop yet");
        drop(place);
        assert!(rehearsals.take_place(one).is_ok() && rehearsals.last(one).is_none());
    }

    #[test]
    fn the_last_rehearsals_of_so_many_concerts_are_kept() {
        let rehearsals = Rehearsals::default();
        let kept = i64::try_from(KEPT_MAX).unwrap();
        for number in 1..=kept + 1 {
            let at = NOW.plus(Span::from_secs(number));
            let _stopped = rehearsals.take_place(ConcertId::new(number)).unwrap().begin(setup(), at);
            rehearsals.end(RehearsalEnd::Stopped, at);
        }
        assert!(rehearsals.last(ConcertId::new(1)).is_none(), "the oldest went");
        assert!(rehearsals.last(ConcertId::new(2)).is_some() && rehearsals.last(ConcertId::new(kept + 1)).is_some());
    }
}
