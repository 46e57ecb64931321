//! Rehearsals: a crowd comes to a copy of a concert in a scratch box office on this machine. It runs in a process of its
//! own, which is started here, followed, and ended if a sale comes near.

pub mod machine;
pub mod plan;
mod process;
pub mod report;
pub mod stage;

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    command::{Command, Idempotency},
    id::ConcertId,
    refusal::Refusal,
    sale::{CLEAR_BEFORE, Concert, ConcertStatus, RehearsalField, RehearsalObstacle, RehearsalSetup, SeatStatus},
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
    /// A field is out of its bounds.
    #[error("{} is out of its bounds", .0.name())]
    OutOfBounds(RehearsalField),
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
}

#[derive(Debug, Default)]
struct RehearsalState {
    /// The form by which the newest rehearsal was begun.
    begun_by: Option<Idempotency>,
    running: Option<RunningRehearsal>,
    last: HashMap<ConcertId, Arc<LastRehearsal>>,
}

impl Rehearsals {
    fn lock(&self) -> MutexGuard<'_, RehearsalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<RunningRehearsal> {
        self.lock().running.clone()
    }

    fn last(&self, id: ConcertId) -> Option<Arc<LastRehearsal>> {
        self.lock().last.get(&id).map(Arc::clone)
    }

    /// Whether the newest rehearsal was begun by this form.
    fn was_begun_by(&self, form: Idempotency) -> Result<bool, Refusal> {
        match self.lock().begun_by.filter(|begun_by| begun_by.key == form.key) {
            Some(begun_by) if begun_by.fingerprint == form.fingerprint => Ok(true),
            Some(_) => Err(Refusal::IdempotencyKeyReused),
            None => Ok(false),
        }
    }

    /// Takes the only place for a rehearsal. Returns what stops it.
    fn take_place(
        &self,
        form: Option<Idempotency>,
        concert_id: ConcertId,
        setup: RehearsalSetup,
        began_at: Time,
    ) -> Result<watch::Receiver<bool>, NoRehearsal> {
        let mut state = self.lock();
        if let Some(running) = &state.running {
            return Err(NoRehearsal::Running(running.concert_id));
        }
        let (stop, stopped) = watch::channel(false);
        let progress = RehearsalProgress::default();
        state.begun_by = form;
        state.running = Some(RunningRehearsal { concert_id, setup, began_at, progress, stop });
        Ok(stopped)
    }

    fn note(&self, progress: RehearsalProgress) {
        if let Some(running) = &mut self.lock().running {
            running.progress = progress;
        }
    }

    /// Frees the place, and keeps how the rehearsal ended.
    fn end(&self, end: RehearsalEnd, ended_at: Time) {
        let mut state = self.lock();
        let Some(RunningRehearsal { concert_id, setup, .. }) = state.running.take() else { return };
        if state.last.len() >= KEPT_MAX
            && !state.last.contains_key(&concert_id)
            && let Some(oldest) = state.last.iter().min_by_key(|(_, last)| last.ended_at).map(|(id, _)| *id)
        {
            state.last.remove(&oldest);
        }
        state.last.insert(concert_id, Arc::new(LastRehearsal { setup, ended_at, end }));
    }

    /// Frees a place without a trace: nothing was begun.
    fn give_place_back(&self) {
        let mut state = self.lock();
        (state.begun_by, state.running) = (None, None);
    }
}

/// The place of a rehearsal that has not begun: it is given back unless it is kept, also if the request is dropped.
struct TakenPlace<'a>(Option<&'a Rehearsals>);

impl TakenPlace<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for TakenPlace<'_> {
    fn drop(&mut self) {
        if let Some(rehearsals) = self.0 {
            rehearsals.give_place_back();
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

    /// Begins a rehearsal: it runs in the background. A form that has begun the newest one begins no other.
    ///
    /// # Errors
    /// The inner error says why none can begin; the refusal that says why the caller may not, or
    /// [`Refusal::IdempotencyKeyReused`] for another form with the key of the newest one.
    pub async fn begin_rehearsal(
        self: &Arc<Self>,
        caller: Caller,
        id: ConcertId,
        setup: RehearsalSetup,
        form: Option<Idempotency>,
    ) -> Result<Result<(), NoRehearsal>, ServiceError> {
        if let Some(form) = form
            && self.rehearsals.was_begun_by(form)?
        {
            return Ok(Ok(()));
        }
        if let Some(field) = setup.out_of_bounds(&self.policy) {
            return Ok(Err(NoRehearsal::OutOfBounds(field)));
        }
        if let Some(obstacle) = self.rehearsal(id).await?.obstacle {
            return Ok(Err(obstacle));
        }
        let Some(program) = self.rehearsals.program.get() else { return Ok(Err(NoRehearsal::NotOffered)) };
        let plan = self.rehearsal_plan(id, Some(setup)).await?;
        if let Err(lack) = has_room(program, &plan) {
            return Ok(Err(lack));
        }
        let stopped = match self.rehearsals.take_place(form, id, setup, self.now()) {
            Ok(stopped) => stopped,
            Err(taken) => return Ok(Err(taken)),
        };
        let place = TakenPlace(Some(&self.rehearsals));
        let () = self.run(caller, Command::BeginRehearsal { concert_id: id, setup }).await?;
        let process = match RehearsalProcess::start(program, &plan) {
            Ok(process) => process,
            Err(error) => {
                tracing::error!(%error, program = %program.program.display(), "no rehearsal: the program did not start");
                return Ok(Err(NoRehearsal::NotStarted));
            }
        };
        place.keep();
        tracing::info!(concert = id.get(), people = setup.people, process = process.id(), "a rehearsal begins");
        process.follow(self, setup.minutes, stopped);
        Ok(Ok(()))
    }

    /// Stops the rehearsal of a concert. One that has ended by itself needs no stop.
    ///
    /// # Errors
    /// The refusal that says why the caller may not, or the engine did not decide.
    pub async fn stop_rehearsal(&self, caller: Caller, id: ConcertId) -> Result<(), ServiceError> {
        let running = self.rehearsals.running().filter(|running| running.concert_id == id);
        let Some(running) = running else { return Ok(()) };
        let () = self.run(caller, Command::StopRehearsal { concert_id: id }).await?;
        let _ = running.stop.send(true);
        Ok(())
    }
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
        let _stopped = rehearsals.take_place(None, one, setup(), NOW).unwrap();
        assert_eq!(rehearsals.take_place(None, other, setup(), NOW).unwrap_err(), NoRehearsal::Running(one));
        rehearsals.end(RehearsalEnd::Stopped, NOW);
        assert_eq!(rehearsals.last(one).unwrap().end, RehearsalEnd::Stopped);
        assert!(rehearsals.take_place(None, other, setup(), NOW).is_ok());
    }

    #[test]
    fn the_form_of_the_newest_rehearsal_is_known_after_its_end_unless_nothing_was_begun() {
        let rehearsals = Rehearsals::default();
        let form = |key, fingerprint| Idempotency { key: [key; 32], fingerprint: [fingerprint; 32] };
        assert_eq!(rehearsals.was_begun_by(form(1, 1)), Ok(false));
        let _stopped = rehearsals.take_place(Some(form(1, 1)), ConcertId::new(1), setup(), NOW).unwrap();
        rehearsals.end(RehearsalEnd::Stopped, NOW);
        assert_eq!(rehearsals.was_begun_by(form(1, 1)), Ok(true));
        assert_eq!(rehearsals.was_begun_by(form(1, 2)), Err(Refusal::IdempotencyKeyReused));
        assert_eq!(rehearsals.was_begun_by(form(2, 1)), Ok(false));
        let _stopped = rehearsals.take_place(Some(form(2, 1)), ConcertId::new(1), setup(), NOW).unwrap();
        rehearsals.give_place_back();
        assert_eq!(rehearsals.was_begun_by(form(2, 1)), Ok(false));
    }

    #[test]
    fn the_last_rehearsals_of_so_many_concerts_are_kept() {
        let rehearsals = Rehearsals::default();
        let kept = i64::try_from(KEPT_MAX).unwrap();
        for number in 1..=kept + 1 {
            let at = NOW.plus(Span::from_secs(number));
            let _stopped = rehearsals.take_place(None, ConcertId::new(number), setup(), at).unwrap();
            rehearsals.end(RehearsalEnd::Stopped, at);
        }
        assert!(rehearsals.last(ConcertId::new(1)).is_none(), "the oldest went");
        assert!(rehearsals.last(ConcertId::new(2)).is_some() && rehearsals.last(ConcertId::new(kept + 1)).is_some());
    }
}
