//! One moment of a sale, for the whole house.

use super::{
    HouseCoverage,
    attention::{Attention, Facts},
    history::{HousePace, HouseSecond},
    last_second,
    late_reads::ScreenPart,
    sharing::InstanceSeen,
    watches::{ENTRIES, SaleMoment},
};
use crate::{
    caches::seatmap::{GradeBooks, HallOverview, SeatMoney},
    office::{BoxOffice, ServiceError},
    sale::SaleState,
};
use frontrow_domain::{
    changes::AuditEntry,
    command::RoomChange,
    id::{ConcertId, Position, RoomId, UserId},
    line::{Forecast, ForecastUnknown, Gate, Room, SalePace, TokenStatus, ToldHorizon},
    refusal::{EntityKind, Refusal},
    sale::Concert,
    time::{Span, Time},
};
use frontrow_line::view::{RoomView, ToldTally};
use frontrow_storage::{Page, SeatCounts, Store, StoreError};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How long a part of a moment may take to be read. A moment that has to do without shows that part as it was.
const READ_MAX: Duration = Duration::from_millis(700);

/// Numbers that are older than this are shown with their time: each second brings new ones.
const OLD_AFTER: Span = Span::from_secs(3);

/// One moment of a sale, for the whole house.
///
/// Seats and money are counted from one state of all seats, which has every sale that was answered before: their sums
/// agree with each other to the seat and the won, and with the rows once no commit is under way. The line's numbers are
/// those of this instance's view of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleScreen {
    /// The moment.
    pub at: Time,
    /// The concert.
    pub concert: Arc<Concert>,
    /// What a buyer can do with it.
    pub state: SaleState,
    /// The room that leads to it.
    pub room: RoomOnScreen,
    /// How fast the sale goes.
    pub pace: HousePace,
    /// How it will go on if it goes on like that, or why that cannot be said.
    pub forecast: Result<Forecast, ForecastUnknown>,
    /// What that was computed from.
    pub measured: SalePace,
    /// Its seats.
    pub seats: SeatsOnScreen,
    /// The last seconds that all instances had time to report, oldest first. A report that was late is in them, too: so
    /// each second comes several times, and the last one counts.
    pub seconds: Vec<HouseSecond>,
    /// What needs attention, the worst first.
    pub attention: Vec<Attention>,
    /// The instances, this one first.
    pub instances: Vec<InstanceSeen>,
    /// Of whom the paces, the second and the attention are.
    pub coverage: HouseCoverage,
}

impl SaleScreen {
    /// The moment of the seats and the money, if they are old: the database does not answer.
    #[must_use]
    pub fn old_seats(&self) -> Option<Time> {
        self.if_old(self.seats.as_of)
    }

    /// The moment of the line's numbers, if they are old: nothing is heard of the other instances.
    #[must_use]
    pub fn old_line(&self) -> Option<Time> {
        self.if_old(self.room.as_of)
    }

    fn if_old(&self, as_of: Time) -> Option<Time> {
        Some(as_of).filter(|as_of| self.at.since(*as_of) > OLD_AFTER)
    }
}

/// A room of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOnScreen {
    /// Its settings.
    pub room: Room,
    /// How many tokens are in line, the returned and the unresponsive ones included.
    pub waiting: i64,
    /// How many turns are offered and not claimed.
    pub offered: i64,
    /// How many tokens are active.
    pub active: i64,
    /// How many were unresponsive when their turn came.
    pub dormant: i64,
    /// How many did not claim their turn, and may return.
    pub missed: i64,
    /// The highest position given; 0 before the first.
    pub highest: Position,
    /// How near the first waits that tokens were told by this instance were to those that came.
    pub told: ToldTally,
    /// The moment that the numbers are true of.
    pub as_of: Time,
}

impl RoomOnScreen {
    fn of(view: &RoomView, now: Time) -> Self {
        Self {
            room: view.room().clone(),
            waiting: view.total_waiting(),
            offered: view.offered(),
            active: view.active(),
            dormant: view.live_in(TokenStatus::Dormant),
            missed: view.live_in(TokenStatus::Missed),
            highest: view.tail(),
            told: view.told_waits()[ToldHorizon::First.index()],
            as_of: view.as_of(now),
        }
    }
}

/// The seats of a concert at one moment, with what they are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatsOnScreen {
    /// All seats by state.
    pub counts: SeatCounts,
    /// What they are worth: the sums of their prices.
    pub money: SeatMoney,
    /// The grades, dearest first.
    pub grades: Vec<GradeOnScreen>,
    /// When they were counted: earlier than the screen's moment only if the database does not answer.
    pub as_of: Time,
}

/// A grade of a concert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GradeOnScreen {
    /// Its name; empty for seats without a grade.
    pub name: String,
    /// Its mark, of at most three characters.
    pub mark: String,
    /// Its seats by state.
    pub counts: SeatCounts,
    /// What they are worth.
    pub money: SeatMoney,
}

/// What a change of a room would do to a sale, or to a line by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPreview {
    /// The concert on sale; none for a line by itself.
    pub concert: Option<ConcertId>,
    /// The room as it is.
    pub before: Room,
    /// The room as it would be.
    pub after: Room,
    /// How it goes on if nothing is changed, or why that cannot be said.
    pub as_it_is: Result<Forecast, ForecastUnknown>,
    /// How it would go on.
    pub as_changed: Result<Forecast, ForecastUnknown>,
}

impl SeatsOnScreen {
    fn of(hall: &HallOverview, as_of: Time) -> Self {
        let money = hall.books.iter().fold(SeatMoney::default(), |sum, grade| SeatMoney {
            sold: sum.sold + grade.money.sold,
            held: sum.held + grade.money.held,
        });
        let grades = hall.order.grades.iter().zip(&hall.books).map(|(grade, GradeBooks { seats, money })| {
            GradeOnScreen { name: grade.name.clone(), mark: grade.mark.clone(), counts: *seats, money: *money }
        });
        Self { counts: hall.counts, money, grades: grades.collect(), as_of }
    }
}

/// The newest entries of the audit log about a concert and its room, newest first. Each is found by its object, so that
/// no read grows with the log.
async fn entries_of_sale(store: &dyn Store, concert: ConcertId, room: RoomId) -> Result<Vec<AuditEntry>, StoreError> {
    let mut entries = Vec::new();
    for object in [format!("room {room}"), format!("concert {concert}")] {
        entries.extend(store.audit_of(&object, Page { after: None, limit: ENTRIES }).await?);
    }
    entries.sort_unstable_by_key(|entry| Reverse(entry.audit_id));
    entries.truncate(usize::try_from(ENTRIES).unwrap_or(usize::MAX));
    Ok(entries)
}

/// The room after a change. A line that is paused has no share of a budget, so what it will have once it is opened is not
/// known: its cap counts.
fn foreseen(before: &Room, change: &RoomChange) -> Room {
    let after = change.applied(before);
    if before.gate == Gate::Paused && after.gate == Gate::Open {
        return Room { allotment: None, rate_share: None, ..after };
    }
    after
}

impl BoxOffice {
    /// The sale of a concert at this moment, for the whole house. Of a sale that is watched the last moment is shown while
    /// the database does not answer.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; the store could not be read.
    pub async fn sale_screen(&self, concert: ConcertId) -> Result<SaleScreen, ServiceError> {
        let last = self.house.watches.last(concert);
        self.screen_after(concert, last.as_deref().map(|moment| &moment.screen)).await
    }

    /// A moment of a sale; of parts that cannot be read, as they were in the `last` one.
    pub(super) async fn sale_moment(
        &self,
        concert: ConcertId,
        last: Option<&SaleMoment>,
    ) -> Result<SaleMoment, ServiceError> {
        let (screen, audit) =
            tokio::join!(self.screen_after(concert, last.map(|moment| &moment.screen)), self.newest_entries(concert));
        let audit = match (audit, last) {
            (Ok(entries), _) => entries.into(),
            (Err(_), Some(last)) => Arc::clone(&last.audit),
            (Err(error), None) => return Err(error),
        };
        Ok(SaleMoment::new(screen?, audit))
    }

    async fn newest_entries(&self, concert: ConcertId) -> Result<Vec<AuditEntry>, ServiceError> {
        let (caches, store) = (Arc::clone(&self.caches), Arc::clone(&self.store));
        let read = async move {
            let found = caches.concerts.get(&*store, concert).await?;
            let room = found.ok_or(Refusal::NotFound { what: EntityKind::Concert })?.room_id;
            Ok(entries_of_sale(&*store, concert, room).await?)
        };
        self.read_for_screen(ScreenPart::Entries(concert), read).await
    }

    /// The newest entries of the audit log about a sale, newest first; none if they cannot be read in the time of a
    /// screen.
    pub async fn entries_on_screen(&self, concert: ConcertId) -> Vec<AuditEntry> {
        self.newest_entries(concert).await.unwrap_or_default()
    }

    /// The names of these users, as far as they can be read in the time of a screen: none of a user that is not known.
    /// Empty if the database does not answer.
    pub async fn names_on_screen(&self, users: BTreeSet<UserId>) -> BTreeMap<UserId, Option<String>> {
        if users.is_empty() {
            return BTreeMap::new();
        }
        let store = Arc::clone(&self.store);
        let read = async move {
            let mut names = BTreeMap::new();
            for user in users {
                names.insert(user, store.user(user).await?.map(|user| user.name));
            }
            Ok(names)
        };
        self.read_for_screen(ScreenPart::Names, read).await.unwrap_or_default()
    }

    /// Reads a part of a moment within its time. A read that takes longer goes on, and until it has ended the part is not
    /// read again: a large hall is there in the end, and a slow database does not get ever more to do.
    pub(super) async fn read_for_screen<T: Send + 'static>(
        &self,
        part: ScreenPart,
        read: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let away = || StoreError::Unavailable("the database does not answer in time".to_owned());
        if self.house.is_database_away() || self.house.late_reads.has(part) {
            return Err(away().into());
        }
        let mut reading = tokio::spawn(read);
        if let Ok(found) = tokio::time::timeout(READ_MAX, &mut reading).await {
            return found.unwrap_or_else(|_| Err(away().into()));
        }
        self.house.late_reads.keep(part, reading);
        Err(away().into())
    }

    async fn screen_after(&self, id: ConcertId, last: Option<&SaleScreen>) -> Result<SaleScreen, ServiceError> {
        let (caches, store) = (Arc::clone(&self.caches), Arc::clone(&self.store));
        let concert = async move {
            let found = caches.concerts.get(&*store, id).await?;
            Ok(found.ok_or(Refusal::NotFound { what: EntityKind::Concert })?)
        };
        let concert = match (self.read_for_screen(ScreenPart::Concert(id), concert).await, last) {
            (Ok(concert), _) => concert,
            (Err(ServiceError::Store(_)), Some(last)) => Arc::clone(&last.concert),
            (Err(error), _) => return Err(error),
        };
        let (caches, store) = (Arc::clone(&self.caches), Arc::clone(&self.store));
        let hall = async move { Ok(caches.seat_maps.overview(&*store, id).await?) };
        let (hall, slow) = tokio::join!(self.read_for_screen(ScreenPart::Hall(id), hall), self.slow_facts());
        let view = self.view(concert.room_id).await?;
        let now = self.now();
        let seats = match (hall, last) {
            (Ok(hall), _) => SeatsOnScreen::of(&hall, now),
            (Err(_), Some(last)) => last.seats.clone(),
            (Err(error), None) => return Err(error),
        };
        let room = RoomOnScreen::of(&view, now);
        let outlook = view.turn_outlook(now);
        let counts = (room.active, room.offered);
        let turns = view.room().turns_available(counts, Some(&outlook), now, self.policy.offer_lead);
        let mut house = self.house.lock();
        let instances = house.instances();
        let last = last_second(self.peers.sharing(), now);
        let measured = house.history.measured(
            last,
            (Some(id), concert.room_id),
            (room.waiting.saturating_add(room.offered), seats.counts.available.saturating_add(seats.counts.held)),
        );
        let requests = house.history.errors(last, super::attention::ERRORS_OVER);
        let claimed = house.history.admitted(last, super::attention::CLAIMS_OVER, concert.room_id);
        let idle = (turns, room.waiting);
        let facts = Facts { now, instances: &instances, requests, idle, claimed, slow: &slow };
        let attention = house.attention.look(id, &facts, std::time::Instant::now());
        Ok(SaleScreen {
            at: now,
            state: SaleState::of(&concert, seats.counts, now),
            forecast: Forecast::of(view.room(), &concert, &measured, now),
            pace: house.history.pace(last, id, concert.room_id),
            seconds: house.history.fresh_seconds(last, id, concert.room_id),
            coverage: house.coverage,
            concert: Arc::new(concert.seen_at(now)),
            measured,
            room,
            seats,
            attention,
            instances,
        })
    }

    /// How a sale would go on with a change of its room, as far as its measured pace says. Changes nothing.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; the store could not be read.
    pub async fn preview_room(&self, concert: ConcertId, change: &RoomChange) -> Result<RoomPreview, ServiceError> {
        let screen = self.sale_screen(concert).await?;
        let (now, before, measured) = (screen.at, screen.room.room, screen.measured);
        let after = foreseen(&before, change);
        let forecast = Forecast::of(&after, &screen.concert, &measured, now);
        Ok(RoomPreview { concert: Some(concert), as_it_is: screen.forecast, as_changed: forecast, before, after })
    }

    /// How a line would go on with a change of its room, as far as its measured pace says. The room of one concert goes
    /// on as that sale does. Changes nothing.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; the store could not be read.
    pub async fn preview_line(&self, room: RoomId, change: &RoomChange) -> Result<RoomPreview, ServiceError> {
        if let Some(concert) = room.concert() {
            return self.preview_room(concert, change).await;
        }
        let view = self.view(room).await?;
        let before = view.room().clone();
        let after = foreseen(&before, change);
        let waiting = view.total_waiting().saturating_add(view.offered());
        let last = last_second(self.peers.sharing(), self.now());
        let measured = self.house.lock().history.measured(last, (None, room), (waiting, 0));
        Ok(RoomPreview {
            concert: None,
            as_it_is: Forecast::of_line(&before, &measured),
            as_changed: Forecast::of_line(&after, &measured),
            before,
            after,
        })
    }

    /// The sale of a concert in the last quarter of an hour, by the second, oldest first: as far back as this instance
    /// has counted. Seconds in which it could not count are missing.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; the store could not be read.
    pub async fn sale_history(&self, concert: ConcertId) -> Result<Vec<HouseSecond>, ServiceError> {
        let room = self.concert(concert).await?.room_id;
        let house = self.house.lock();
        Ok(house.history.seconds(last_second(self.peers.sharing(), self.now()), concert, room))
    }
}
