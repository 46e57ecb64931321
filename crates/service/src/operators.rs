//! Operators' calls: concerts, seats, rooms, accounts, the door list, the audit log.

use crate::{
    door_list::{DoorPart, Pages},
    office::{BoxOffice, Reply, ServiceError},
    outcome::{AddedSeats, SetSeats},
    pictures::{PictureError, PictureFormat},
};
use bytes::Bytes;
use frontrow_domain::{
    changes::AuditEntry,
    command::{Command, ConcertChange, Idempotency, NewConcert, NewRoom, RoomChange},
    id::{AuditId, ConcertId, Position, ReservationId, RoomId, SeatId, UserId},
    line::{Room, RoomSite},
    refusal::{EntityKind, Refusal},
    sale::{Concert, NewSeat, Poster, SeatAction, SeatChange},
    time::Time,
    user::{Caller, Role, User},
};
use frontrow_line::view::{RoomView, ToldTally};
use frontrow_storage::{DoorLine, Page, SeatCounts};
use std::sync::Arc;

/// A concert with what has become of its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcertBooks {
    pub concert: Concert,
    pub seats: SeatCounts,
}

/// A room with its numbers of this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOverview {
    pub room: Room,
    pub waiting: i64,
    pub offered: i64,
    /// How many tokens are active (활성토큰수조회).
    pub active: i64,
    /// The highest position given; 0 before the first.
    pub highest: Position,
    /// How near the waits that this instance told were to those that came, by horizon, the longest first.
    pub told: Vec<ToldTally>,
}

impl RoomOverview {
    fn of(view: &RoomView) -> Self {
        Self {
            room: view.room().clone(),
            waiting: view.total_waiting(),
            offered: view.offered(),
            active: view.active(),
            highest: view.tail(),
            told: view.told_waits().into(),
        }
    }
}

/// Concerts.
impl BoxOffice {
    /// Creates a concert.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn create_concert(
        &self,
        caller: Caller,
        new: NewConcert,
        key: Option<Idempotency>,
    ) -> Result<Reply<Concert>, ServiceError> {
        let done: Reply<Concert> = self.ask(caller, Command::CreateConcert(new), key).await?;
        Ok(Reply { value: done.value.seen_at(self.now()), replay: done.replay })
    }

    /// Changes a concert: if `basis` is set, only the version with this `updated_at`. A change that
    /// [hurts buyers](ConcertChange::hurts) needs a reason, here or to the buyers.
    ///
    /// # Errors
    /// The refusal that says why not; [`Refusal::Changed`] for another version.
    pub async fn update_concert(
        &self,
        caller: Caller,
        concert_id: ConcertId,
        change: ConcertChange,
        basis: Option<Time>,
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Concert>, ServiceError> {
        let command = Command::UpdateConcert { concert_id, change, basis, reason };
        let done: Reply<Concert> = self.ask(caller, command, key).await?;
        Ok(Reply { value: done.value.seen_at(self.now()), replay: done.replay })
    }

    /// Cancels a concert, for good: if `basis` is set, only the version with this `updated_at`.
    ///
    /// # Errors
    /// The refusal that says why not; [`Refusal::Changed`] for another version.
    pub async fn cancel_concert(
        &self,
        caller: Caller,
        concert_id: ConcertId,
        reason: String,
        basis: Option<Time>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Concert>, ServiceError> {
        self.ask(caller, Command::CancelConcert { concert_id, reason, basis }, key).await
    }

    /// Has every payment of a cancelled concert refunded, in the background: if `basis` is set, only of the version with
    /// this `updated_at`.
    ///
    /// # Errors
    /// The refusal that says why not; [`Refusal::Changed`] for another version.
    pub async fn refund_concert(
        &self,
        caller: Caller,
        concert_id: ConcertId,
        basis: Option<Time>,
        key: Option<Idempotency>,
    ) -> Result<Reply<ConcertBooks>, ServiceError> {
        let done: Reply<Concert> = self.ask(caller, Command::RefundConcert { concert_id, basis }, key).await?;
        Ok(Reply { value: self.books_of(&done.value).await?, replay: done.replay })
    }

    /// Makes a poster of a picture that an operator sent. Nothing is saved.
    ///
    /// # Errors
    /// Why the picture is not taken.
    pub async fn draw_poster(
        &self,
        concert_id: ConcertId,
        format: PictureFormat,
        picture: Bytes,
    ) -> Result<Poster, PictureError> {
        self.pictures.poster(concert_id, format, picture).await
    }

    /// Gives a concert a poster: if `basis` is set, only the version with this `updated_at`. The poster that it has
    /// already changes nothing.
    ///
    /// # Errors
    /// The refusal that says why not; [`Refusal::Changed`] for another version.
    pub async fn set_poster(&self, caller: Caller, poster: Poster, basis: Option<Time>) -> Result<(), ServiceError> {
        self.run(caller, Command::SetPoster { poster, basis }).await
    }

    /// Removes the poster of a concert: if `basis` is set, only of the version with this `updated_at`. Of a concert
    /// without a poster nothing changes.
    ///
    /// # Errors
    /// The refusal that says why not; [`Refusal::Changed`] for another version.
    pub async fn remove_poster(
        &self,
        caller: Caller,
        concert_id: ConcertId,
        basis: Option<Time>,
    ) -> Result<(), ServiceError> {
        self.run(caller, Command::RemovePoster { concert_id, basis }).await
    }

    /// A concert as it stands in the database, with its seats counted now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn concert_books(&self, concert_id: ConcertId) -> Result<ConcertBooks, ServiceError> {
        let concert = self.store.concert(concert_id).await?.ok_or(Refusal::NotFound { what: EntityKind::Concert })?;
        self.books_of(&concert).await
    }

    async fn books_of(&self, concert: &Concert) -> Result<ConcertBooks, ServiceError> {
        let seats = self.store.seat_counts(concert.concert_id).await?;
        Ok(ConcertBooks { concert: concert.seen_at(self.now()), seats })
    }

    /// The tickets of a concert as CSV, a part at a time.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn door_list(&self, concert_id: ConcertId) -> Result<Pages, ServiceError> {
        self.concert(concert_id).await?;
        Ok(Pages::of(Arc::clone(&self.store), concert_id))
    }

    /// A part of the door list: the lines of a concert that are wanted, by seat number above `after`. It looks through a
    /// bounded number of lines.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn door_part(
        &self,
        concert_id: ConcertId,
        after: i32,
        is_wanted: impl Fn(&DoorLine) -> bool,
    ) -> Result<DoorPart, ServiceError> {
        Ok(DoorPart::read(&*self.store, concert_id, after, is_wanted).await?)
    }

    /// The line of the door list of a concert with this reservation, if its seat is sold to it.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn door_line(&self, concert_id: ConcertId, id: ReservationId) -> Result<Option<DoorLine>, ServiceError> {
        let row = self.store.reservation(id).await?.filter(|row| row.concert_id == concert_id);
        let Some(row) = row else { return Ok(None) };
        let line = self.store.door_list(concert_id, row.seat_number.saturating_sub(1), 1).await?.pop();
        Ok(line.filter(|line| line.reservation_id == id))
    }
}

/// Seats.
impl BoxOffice {
    /// Adds seats to a concert.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn add_seats(
        &self,
        caller: Caller,
        concert_id: ConcertId,
        seats: Vec<NewSeat>,
        key: Option<Idempotency>,
    ) -> Result<Reply<AddedSeats>, ServiceError> {
        self.ask(caller, Command::AddSeats { concert_id, seats }, key).await
    }

    /// Blocks or frees seats, all or none: of one concert, or of any.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn set_seats(
        &self,
        caller: Caller,
        (within, seat_ids): (Option<ConcertId>, Vec<SeatId>),
        action: SeatAction,
        key: Option<Idempotency>,
    ) -> Result<Reply<SetSeats>, ServiceError> {
        self.ask(caller, Command::SetSeats { within, seat_ids, action }, key).await
    }

    /// Changes seats that are neither held nor sold, all or none.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn change_seats(
        &self,
        caller: Caller,
        (concert_id, seat_ids): (ConcertId, Vec<SeatId>),
        (change, reason): (SeatChange, Option<String>),
        key: Option<Idempotency>,
    ) -> Result<Reply<SetSeats>, ServiceError> {
        self.ask(caller, Command::ChangeSeats { concert_id, seat_ids, change, reason }, key).await
    }

    /// Removes seats that were never held, all or none.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn remove_seats(
        &self,
        caller: Caller,
        (concert_id, seat_ids): (ConcertId, Vec<SeatId>),
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<SetSeats>, ServiceError> {
        self.ask(caller, Command::RemoveSeats { concert_id, seat_ids, reason }, key).await
    }
}

/// Rooms.
impl BoxOffice {
    /// The rooms that this instance has loaded, by number.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomOverview> {
        self.lines.rooms().into_iter().filter_map(|room| Some(RoomOverview::of(&*self.lines.view(room)?))).collect()
    }

    /// A room.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn room(&self, room: RoomId) -> Result<RoomOverview, ServiceError> {
        Ok(RoomOverview::of(&*self.view(room).await?))
    }

    /// Changes a room's settings: if `basis` is set, only the version with this `updated_at`. A change that
    /// [hurts buyers](RoomChange::hurts) needs a reason.
    ///
    /// # Errors
    /// The refusal that says why not; [`Refusal::Changed`] for another version.
    pub async fn set_room(
        &self,
        caller: Caller,
        room_id: RoomId,
        change: RoomChange,
        basis: Option<Time>,
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Room>, ServiceError> {
        self.view(room_id).await?;
        let RoomChange { house_budget, weight, max_active, gate, .. } = &change;
        let changes_shares = house_budget.is_some() || weight.is_some() || max_active.is_some() || gate.is_some();
        let done = self.ask(caller, Command::SetRoom { room_id, change, basis, reason }, key).await?;
        if changes_shares {
            self.share_at_once().await;
        }
        Ok(done)
    }

    /// Opens a room without a concert, in front of another site.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn create_room(
        &self,
        caller: Caller,
        new: NewRoom,
        key: Option<Idempotency>,
    ) -> Result<Reply<Room>, ServiceError> {
        self.ask(caller, Command::CreateRoom(new), key).await
    }

    /// Closes a room without a concert, for good: if `basis` is set, only the version with this `updated_at`.
    ///
    /// # Errors
    /// The refusal that says why not; [`Refusal::Changed`] for another version.
    pub async fn close_room(
        &self,
        caller: Caller,
        room_id: RoomId,
        basis: Option<Time>,
        reason: String,
        key: Option<Idempotency>,
    ) -> Result<Reply<Room>, ServiceError> {
        self.view(room_id).await?;
        self.ask(caller, Command::CloseRoom { room_id, basis, reason }, key).await
    }

    /// The other site of a room, from memory; none if it has none or the room is not there.
    ///
    /// # Errors
    /// The room is not loaded yet, and its rows could not be read.
    pub async fn site_of(&self, room: RoomId) -> Result<Option<RoomSite>, ServiceError> {
        if !room.is_of_site() {
            return Ok(None);
        }
        match self.view(room).await {
            Ok(view) => Ok(view.room().site.clone()),
            Err(ServiceError::Refused(Refusal::NotFound { .. })) => Ok(None),
            Err(stop) => Err(stop),
        }
    }
}

/// Accounts and the audit log.
impl BoxOffice {
    /// Users whose name or e-mail address contains `text`.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn find_users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, ServiceError> {
        Ok(self.store.users(text, page).await?)
    }

    /// Locks an account; its sessions end. An operator gives a reason. A replay too answers with the user's present row.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn lock_user(
        &self,
        caller: Caller,
        user_id: UserId,
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<User>, ServiceError> {
        self.set_lock(caller, user_id, Command::LockUser { user_id, reason }, key).await
    }

    /// Unlocks an account. A replay too answers with the user's present row.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn unlock_user(
        &self,
        caller: Caller,
        user_id: UserId,
        key: Option<Idempotency>,
    ) -> Result<Reply<User>, ServiceError> {
        self.set_lock(caller, user_id, Command::UnlockUser { user_id }, key).await
    }

    async fn set_lock(
        &self,
        caller: Caller,
        user_id: UserId,
        command: Command,
        key: Option<Idempotency>,
    ) -> Result<Reply<User>, ServiceError> {
        let done: Reply<()> = self.ask(caller, command, key).await?;
        let user = self.user(user_id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
        Ok(Reply { value: user, replay: done.replay })
    }

    /// Gives a user a role on behalf of the box office itself. All sessions end.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or the engine did not decide.
    pub async fn set_role(&self, user_id: UserId, role: Role) -> Result<(), ServiceError> {
        self.run(Caller::System, Command::SetRole { user_id, role }).await
    }

    /// Gives a user a name on behalf of the box office itself.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or the engine did not decide.
    pub async fn rename_user(&self, user_id: UserId, name: String) -> Result<(), ServiceError> {
        self.run(Caller::System, Command::RenameUser { user_id, name }).await
    }

    /// The audit log, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, ServiceError> {
        Ok(self.store.audit(page).await?)
    }
}
