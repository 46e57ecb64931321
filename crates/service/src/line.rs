//! The waiting line: join, poll, activate, leave.

use crate::{
    caches::endings::Ending,
    office::{BoxOffice, Reply, ServiceError, TokenPlace, UNEXPECTED},
};
use frontrow_domain::{
    command::{Command, Idempotency, Issue, Outcome, Request},
    id::{ConcertId, RoomId, SeatId, TokenId, UserId},
    queue::{EndReason, Token, TokenStatus, is_wake_due},
    refusal::{EntityKind, Refusal},
    user::Caller,
};
use frontrow_line::{
    QueueError,
    view::{Place, RoomView},
};
use frontrow_signing::SignedToken;
use frontrow_storage::{Life, Page, Sharing, Standing};
use std::{sync::Arc, time::Instant};

/// How many rooms one look for rooms that other processes made or changed reads, however many there are.
const ROOMS_AT_ONCE: u32 = 100;

/// Where a token stands, as a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whereabouts {
    /// The place.
    pub place: Place,
    /// Why the token ended; none while it lives, and where that is not known any more.
    pub end_reason: Option<EndReason>,
    /// How that is known.
    pub certainty: Certainty,
}

/// How an instance knows what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It was so at the moment of the view.
    Viewed,
    /// It is so in the row.
    Read,
    /// The view may be behind, and the row could not be read.
    Guessed,
}

impl Whereabouts {
    /// A place that the view has.
    #[must_use]
    pub const fn viewed(place: Place) -> Self {
        Self { place, end_reason: None, certainty: Certainty::Viewed }
    }

    /// A place that the row has, and why the token ended if it did.
    #[must_use]
    pub const fn read(place: Place, end_reason: Option<EndReason>) -> Self {
        Self { place, end_reason, certainty: Certainty::Read }
    }
}

/// A token as the view shows it.
fn token_at(signed: &SignedToken, place: &Place) -> Token {
    let Place { status, activated_at, deadline, .. } = *place;
    Token { status, activated_at, deadline, ..Token::issued(signed.id, signed.user_id, signed.issued_at) }
}

impl BoxOffice {
    /// The caller's place in the line of a concert's room, or of the house room (대기토큰발급).
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown concert, [`Refusal::SaleClosed`] for one whose sale is over.
    pub async fn issue_token(
        &self,
        caller: Caller,
        concert_id: Option<ConcertId>,
        key: Option<Idempotency>,
    ) -> Result<Reply<(TokenPlace, Issue)>, ServiceError> {
        let room_id = match concert_id {
            None => RoomId::HOUSE,
            Some(id) => self.concert(id).await?.room_id,
        };
        self.view(room_id).await?;
        let done = self.run(caller, Command::IssueToken { room_id, concert_id }, key).await?;
        match done.value {
            Outcome::Joined { token, issue } => {
                // Asking for the place again is a sign of life, as asking where it stands is.
                self.queue.record_heartbeat(token.id, self.clock.now());
                Ok(Reply { value: (self.locate(token).await?, issue), replay: done.replay })
            }
            _ => Err(UNEXPECTED),
        }
    }

    /// Checks a token's signature and the epoch of its line, from memory. Only for a room or an epoch that this instance
    /// has not heard of the store is asked: a token that another instance has just signed is good here too.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where it is not one of ours, or of a line that was renewed since; [`ServiceError::Queue`] while
    /// that is not known here.
    pub async fn verify_token(&self, token: &str) -> Result<SignedToken, ServiceError> {
        self.verified(token).await.map(|(signed, _)| signed)
    }

    /// The same, with the view of the token's room.
    ///
    /// # Errors
    /// As [`BoxOffice::verify_token`].
    pub async fn verified(&self, token: &str) -> Result<(SignedToken, Arc<RoomView>), ServiceError> {
        let missing = ServiceError::Refused(Refusal::NotFound { what: EntityKind::Token });
        let Ok(signed) = self.keyring.verify(token) else { return Err(missing) };
        let view = match self.view(signed.id.room_id).await {
            Err(ServiceError::Refused(_)) => return Err(missing),
            view => view?,
        };
        if view.epoch() < signed.epoch {
            self.look_for_renewal(&signed).await?;
        }
        if view.epoch() == signed.epoch { Ok((signed, view)) } else { Err(missing) }
    }

    /// Looks whether another process has renewed the line of a token, whose epoch is newer than this instance's view.
    ///
    /// # Errors
    /// [`ServiceError::Queue`] if it has: the view is on its way.
    async fn look_for_renewal(&self, signed: &SignedToken) -> Result<(), ServiceError> {
        let room = signed.id.room_id;
        let _laying = self.laying.lock().await;
        match self.store.live_line(room).await? {
            Some(line) if line.room.epoch >= signed.epoch => {
                self.queue.request_refresh(vec![room]);
                Err(QueueError(format!("the line of room {room} was renewed elsewhere and is being read again")).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Where a token stands (현재순서조회), from memory: no store, no lock, but for one that the view calls ended. Asking
    /// is the sign of life that keeps the place awake, so a request over its limit must be refused before.
    pub async fn position(&self, signed: &SignedToken, view: &RoomView) -> Whereabouts {
        let now = self.clock.now();
        self.queue.record_heartbeat(signed.id, now);
        let place = view.place(signed.id.position);
        let found = match place.status {
            TokenStatus::Ended => self.ended_at(signed.id, place).await,
            _ => Whereabouts::viewed(place),
        };
        let Place { status, activated_at, deadline, .. } = found.place;
        // Most who ask are waiting, and have nothing to be renewed.
        let may_wake = matches!(status, TokenStatus::Active | TokenStatus::Dormant);
        if may_wake && is_wake_due(status, activated_at, deadline, now, &self.policy, &self.store.outages()) {
            let command = Command::WakeToken { token: signed.id };
            let caller = Caller::Buyer(signed.user_id);
            self.engine.run_unwatched(Request { caller, command, idempotency: None });
        }
        found
    }

    /// Where a token stands that the view calls ended at `place`. Where other instances give turns too, the row knows
    /// better. If it cannot be read, the token counts as waiting at the head: its client soon asks again.
    async fn ended_at(&self, id: TokenId, place: Place) -> Whereabouts {
        match self.endings.get(&*self.store, id).await {
            Ending::Over(end_reason) => Whereabouts::read(place, end_reason),
            Ending::Live(Token { status, activated_at, deadline, .. }) => {
                Whereabouts::read(Place { status, activated_at, deadline, ..place }, None)
            }
            Ending::Unknown if self.queue.sharing() == Sharing::Alone => Whereabouts::viewed(place),
            Ending::Unknown => {
                let place = Place { status: TokenStatus::Waiting, ..place };
                Whereabouts { certainty: Certainty::Guessed, ..Whereabouts::viewed(place) }
            }
        }
    }

    /// A token with its place, for its own user. One that lives is told from this instance's view, one that the view
    /// does not reach yet from what instances share; only for the others the store is asked.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where it is not the caller's.
    pub async fn token(&self, caller: Caller, token: &str) -> Result<TokenPlace, ServiceError> {
        let (signed, view) = self.verified(token).await?;
        let missing = Refusal::NotFound { what: EntityKind::Token };
        if !caller.may_act_for(signed.user_id) {
            return Err(missing.into());
        }
        let place = view.place(signed.id.position);
        let is_behind = signed.id.position > view.tail();
        if !is_behind && place.status != TokenStatus::Ended {
            return self.locate(token_at(&signed, &place)).await;
        }
        // A view that reaches as far knows that it has ended, but not how. What is shared may be out of reach.
        let shared = if is_behind { self.queue.token(signed.id).await.ok() } else { None };
        let row = match shared.flatten() {
            Some(row) => Some(row),
            None => self.store.token(signed.id).await?,
        };
        self.locate(row.filter(|row| caller.may_act_for(row.user_id)).ok_or(missing)?).await
    }

    /// What a hold of these seats is refused for, where that is known in memory.
    pub(super) fn refused_lately(
        &self,
        caller: Caller,
        token: &SignedToken,
        seats: &[SeatId],
        asked: Instant,
    ) -> Option<Refusal> {
        // Of several seats, those that nothing is known of may be refused for something else first.
        let [seat] = seats else { return None };
        let view = self.queue.view(token.id.room_id)?;
        let token = token_at(token, &view.place(token.id.position));
        self.caches.seen.refusal(caller, &token, *seat, (asked, self.clock.now()), &self.policy)
    }

    /// The caller's tokens that have not ended.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn live_tokens(&self, user: UserId) -> Result<Vec<TokenPlace>, ServiceError> {
        let mut places = Vec::new();
        for token in self.store.live_tokens(user).await? {
            places.push(self.locate(token).await?);
        }
        Ok(places)
    }

    /// Claims a turn (사용자활성화).
    ///
    /// # Errors
    /// [`Refusal::TurnNotYet`] before the turn, [`Refusal::TokenEnded`] after the end.
    pub async fn activate_token(
        &self,
        caller: Caller,
        token: &str,
        key: Option<Idempotency>,
    ) -> Result<Reply<TokenPlace>, ServiceError> {
        let token = self.verify_token(token).await?.id;
        let done = self.run(caller, Command::ActivateToken { token }, key).await?;
        match done.value {
            Outcome::Token(token) | Outcome::TurnPending(token) => {
                Ok(Reply { value: self.locate(token).await?, replay: done.replay })
            }
            _ => Err(UNEXPECTED),
        }
    }

    /// Leaves the line (토큰만료).
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where the token is not the caller's.
    pub async fn leave_queue(&self, caller: Caller, token: &str) -> Result<(), ServiceError> {
        let token = self.verify_token(token).await?.id;
        self.run(caller, Command::LeaveQueue { token }, None).await.map(|_| ())
    }

    /// How many tokens are active in a room (활성토큰수조회); none for a room that does not exist.
    #[must_use]
    pub fn active_tokens(&self, room: RoomId) -> Option<i64> {
        self.queue.view(room).map(|view| view.active())
    }

    /// A room's view. A room that another process made beside this one is read from its rows first.
    ///
    /// Callers ask for the view before they give the engine a command that changes its room: then no commit of the room
    /// can pass by between the reading of its rows and the moment its view is there.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for a room that does not exist.
    pub async fn view(&self, room: RoomId) -> Result<Arc<RoomView>, ServiceError> {
        if let Some(view) = self.queue.view(room) {
            return Ok(view);
        }
        let _laying = self.laying.lock().await;
        if self.queue.view(room).is_none() {
            let line = self.store.line(room).await?.ok_or(Refusal::NotFound { what: EntityKind::Room })?;
            self.queue.load_missing_room(line).await?;
            tracing::info!(room = room.get(), "a room that another process made was read from the database");
        }
        self.queue.view(room).ok_or(ServiceError::Internal("a room has no view"))
    }

    /// Reads rooms that other processes made, and has those looked at whose rows are newer than what is known here: it
    /// looks at the rooms beyond the newest that is known, and at a part of all rooms, behind `after`. So the cost does not
    /// grow with the number of rooms. Returns up to where it has looked; none at the end.
    ///
    /// A room that a request names is read for it, whether its turn has come or not.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn find_rooms(&self, after: Option<RoomId>) -> Result<Option<RoomId>, ServiceError> {
        let limit = ROOMS_AT_ONCE;
        let newest = self.queue.rooms().last().copied();
        let new = self.store.some_rooms(Page { after: newest, limit }).await?;
        let part = self.store.some_rooms(Page { after, limit }).await?;
        let is_end = part.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        let last = part.last().filter(|_| !is_end).map(|row| row.room_id);
        let (mut is_any_missing, mut old) = (false, Vec::new());
        for row in new.into_iter().chain(part) {
            match self.queue.view(row.room_id) {
                None => is_any_missing = true,
                Some(view) => {
                    let known = view.room();
                    if known.epoch < row.epoch || known.cursor < row.cursor || known.updated_at < row.updated_at {
                        old.push(row.room_id);
                    }
                }
            }
        }
        if !old.is_empty() {
            self.queue.request_refresh(old);
        }
        if is_any_missing {
            self.load_missing_rooms().await?;
        }
        Ok(last)
    }

    async fn load_missing_rooms(&self) -> Result<(), ServiceError> {
        let laying = self.laying.lock().await;
        let mut missing = self.store.standings().await?;
        missing.retain(|one| self.queue.view(one.room.room_id).is_none());
        let (quiet, busy): (Vec<_>, Vec<_>) = missing.into_iter().partition(|one| one.life == Life::Quiet);
        let count = quiet.len();
        self.queue.load_quiet_rooms(quiet.into_iter().map(Standing::quiet_line).collect()).await?;
        drop(laying);
        if count > 0 {
            tracing::info!(rooms = count, "rooms that another process made were read from the database");
        }
        for one in busy {
            self.view(one.room.room_id).await?;
        }
        Ok(())
    }

    async fn locate(&self, token: Token) -> Result<TokenPlace, ServiceError> {
        let view = self.view(token.id.room_id).await?;
        let place = Place { status: token.status, deadline: token.deadline, ..view.place(token.id.position) };
        let signed = self.keyring.sign(&token, view.epoch());
        Ok(TokenPlace { token, signed, place, view })
    }
}
