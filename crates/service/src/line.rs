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
    PeersError, Rebuild,
    view::{Place, RoomView},
};
use frontrow_signing::SignedToken;
use frontrow_storage::{Life, Page, Standing};
use std::{sync::Arc, time::Instant};

/// How many rooms each query of [`BoxOffice::find_rooms`] reads, however many there are.
const ROOMS_AT_ONCE: u32 = 100;

/// The place of a token, as shown to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStanding {
    /// The token's place.
    pub place: Place,
    /// Why the token ended; none while it is live, or if the reason is not known any more.
    pub end_reason: Option<EndReason>,
    /// The source of the answer.
    pub certainty: Certainty,
}

/// The source of an answer about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// This instance's view.
    Viewed,
    /// The token's row.
    Read,
    /// A guess: the view may be behind, and the row could not be read.
    Guessed,
}

impl TokenStanding {
    /// A place from the view.
    #[must_use]
    pub const fn viewed(place: Place) -> Self {
        Self { place, end_reason: None, certainty: Certainty::Viewed }
    }

    /// A place from the row, with the reason if the token has ended.
    #[must_use]
    pub const fn read(place: Place, end_reason: Option<EndReason>) -> Self {
        Self { place, end_reason, certainty: Certainty::Read }
    }
}

/// The token as the view shows it.
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
                // Joining again is a heartbeat, as a poll is.
                self.peers.record_heartbeat(token.id, self.clock.now());
                Ok(Reply { value: (self.locate(token).await?, issue), replay: done.replay })
            }
            _ => Err(UNEXPECTED),
        }
    }

    /// Checks a token's signature and the epoch of its line, from memory. The store is read only for a room or an epoch
    /// that this instance does not know yet: a token that another instance has just signed is valid here too.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the signature is not ours or the line has been renewed since; [`ServiceError::Queue`]
    /// while this instance is still reading a renewed line.
    pub async fn verify_token(&self, token: &str) -> Result<SignedToken, ServiceError> {
        self.verified(token).await.map(|(signed, _)| signed)
    }

    /// As [`BoxOffice::verify_token`], with the view of the token's room.
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
            self.check_renewal(&signed).await?;
        }
        if view.epoch() == signed.epoch { Ok((signed, view)) } else { Err(missing) }
    }

    /// Checks whether another process has renewed the line of a token whose epoch is newer than this instance's view.
    ///
    /// # Errors
    /// [`ServiceError::Queue`] if it has: the new view is being loaded.
    async fn check_renewal(&self, signed: &SignedToken) -> Result<(), ServiceError> {
        let room = signed.id.room_id;
        let _laying = self.room_loading.lock().await;
        match self.store.live_line(room).await? {
            Some(line) if line.room.epoch >= signed.epoch => {
                self.peers.request_refresh(vec![room]);
                Err(PeersError(format!("the line of room {room} was renewed elsewhere and is being read again")).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The place of a token (현재순서조회), from memory: no store and no lock, unless the view shows it as ended. The poll
    /// counts as a heartbeat, so rate limits must be checked before.
    pub async fn position(&self, signed: &SignedToken, view: &RoomView) -> TokenStanding {
        let now = self.clock.now();
        self.peers.record_heartbeat(signed.id, now);
        let place = view.place(signed.id.position);
        let found = match place.status {
            TokenStatus::Ended => self.ended_at(signed.id, place, view).await,
            _ => TokenStanding::viewed(place),
        };
        let Place { status, activated_at, deadline, .. } = found.place;
        // Most polled tokens are waiting and have no turn to renew.
        let may_wake = matches!(status, TokenStatus::Active | TokenStatus::Dormant);
        if may_wake && is_wake_due(status, activated_at, deadline, now, &self.policy, &self.store.outages()) {
            let command = Command::WakeToken { token: signed.id };
            let caller = Caller::Buyer(signed.user_id);
            self.engine.run_unwatched(Request { caller, command, idempotency: None });
        }
        found
    }

    /// The place of a token that the view shows as ended at `place`. If other instances change the line too, the row
    /// knows better. If it cannot be read, the token is shown as waiting at the head: its client polls again soon.
    async fn ended_at(&self, id: TokenId, place: Place, view: &RoomView) -> TokenStanding {
        match self.endings.get(&*self.store, id).await {
            Ending::Over(end_reason) => TokenStanding::read(place, end_reason),
            Ending::Live(Token { status, activated_at, deadline, .. }) => {
                TokenStanding::read(Place { status, activated_at, deadline, ..place }, None)
            }
            Ending::Unknown if !view.is_replica() => TokenStanding::viewed(place),
            Ending::Unknown => {
                let place = Place { status: TokenStatus::Waiting, ..place };
                TokenStanding { certainty: Certainty::Guessed, ..TokenStanding::viewed(place) }
            }
        }
    }

    /// A token with its place, for its own user. A live token is answered from this instance's view, one beyond the
    /// view's tail from the copies that instances share; only for the others the store is read.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if it is not the caller's.
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
        // A view that includes the token knows that it has ended, but not why. The shared copies may be out of reach.
        let shared = if is_behind { self.peers.token(signed.id).await.ok() } else { None };
        let row = match shared.flatten() {
            Some(row) => Some(row),
            None => self.store.token(signed.id).await?,
        };
        self.locate(row.filter(|row| caller.may_act_for(row.user_id)).ok_or(missing)?).await
    }

    /// The cached refusal of a hold of these seats, if there is one.
    pub(super) fn cached_refusal(
        &self,
        caller: Caller,
        token: &SignedToken,
        seats: &[SeatId],
        asked: Instant,
    ) -> Option<Refusal> {
        // Of several seats, one that is not cached may be refused first, for another reason.
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
    /// [`Refusal::NotFound`] if the token is not the caller's.
    pub async fn leave_queue(&self, caller: Caller, token: &str) -> Result<(), ServiceError> {
        let token = self.verify_token(token).await?.id;
        self.run(caller, Command::LeaveQueue { token }, None).await.map(|_| ())
    }

    /// How many tokens are active in a room (활성토큰수조회); none if the room does not exist.
    #[must_use]
    pub fn active_tokens(&self, room: RoomId) -> Option<i64> {
        self.queue.view(room).map(|view| view.active())
    }

    /// A room's view. If another process made the room, it is read from its rows first.
    ///
    /// Callers get the view before they give the engine a command for its room: so no commit of the room can fall
    /// between the reading of its rows and the moment its view exists.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the room does not exist.
    pub async fn view(&self, room: RoomId) -> Result<Arc<RoomView>, ServiceError> {
        if let Some(view) = self.queue.view(room) {
            return Ok(view);
        }
        let _laying = self.room_loading.lock().await;
        if self.queue.view(room).is_none() {
            let line = self.store.line(room).await?.ok_or(Refusal::NotFound { what: EntityKind::Room })?;
            self.peers.rebuild(line, Rebuild::IfMissing).await;
            tracing::info!(room = room.get(), "loaded a room that another process made");
        }
        self.queue.view(room).ok_or(ServiceError::Internal("a room has no view"))
    }

    /// Loads rooms that other processes made, and requests a refresh of rooms whose rows are newer than their views.
    /// Each call reads the rooms beyond the newest known one, and one page of all rooms behind `after`: the cost does
    /// not grow with the number of rooms. Returns the last room of the page; none at the end.
    ///
    /// A room that a request names is loaded for it at once.
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
            self.peers.request_refresh(old);
        }
        if is_any_missing {
            self.load_missing_rooms().await?;
        }
        Ok(last)
    }

    async fn load_missing_rooms(&self) -> Result<(), ServiceError> {
        let room_loading = self.room_loading.lock().await;
        let mut missing = self.store.standings().await?;
        missing.retain(|one| self.queue.view(one.room.room_id).is_none());
        let (quiet, busy): (Vec<_>, Vec<_>) = missing.into_iter().partition(|one| one.life == Life::Quiet);
        let count = quiet.len();
        self.peers.load_quiet_rooms(&quiet.into_iter().map(Standing::quiet_line).collect::<Vec<_>>());
        drop(room_loading);
        if count > 0 {
            tracing::info!(rooms = count, "loaded rooms that another process made");
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
