//! The waiting line: join, poll, activate, leave.

use super::{BoxOffice, Done, Stop, TokenPlace, UNEXPECTED};
use crate::{
    queue::{
        token::SignedToken,
        view::{Place, RoomView},
    },
    store::{Life, Standing},
};
use frontrow_domain::{
    command::{Command, Idempotency, Issue, Outcome, Request},
    id::{ConcertId, RoomId, SeatId, UserId},
    queue::{Token, TokenStatus, is_wake_due},
    refusal::{Refusal, Thing},
    user::Caller,
};
use std::{sync::Arc, time::Instant};

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
    ) -> Result<Done<(TokenPlace, Issue)>, Stop> {
        let room_id = match concert_id {
            None => RoomId::HOUSE,
            Some(id) => self.concert(id).await?.room_id,
        };
        self.view(room_id).await?;
        let done = self.run(caller, Command::IssueToken { room_id, concert_id }, key).await?;
        match done.value {
            Outcome::Joined { token, issue } => {
                Ok(Done { value: (self.locate(token).await?, issue), novelty: done.novelty })
            }
            _ => Err(UNEXPECTED),
        }
    }

    /// Checks a token's signature and the epoch of its line, from memory.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where it is not one of ours, or of a line that was renewed since.
    pub fn verify_token(&self, token: &str) -> Result<SignedToken, Refusal> {
        self.verified(token).map(|(signed, _)| signed)
    }

    /// The same, with the view of the token's room.
    ///
    /// # Errors
    /// As [`BoxOffice::verify_token`].
    pub fn verified(&self, token: &str) -> Result<(SignedToken, Arc<RoomView>), Refusal> {
        let missing = Refusal::NotFound { what: Thing::Token };
        let Ok(signed) = self.keyring.verify(token) else { return Err(missing) };
        let view = self.queue.view(signed.id.room_id).filter(|view| view.epoch() == signed.epoch);
        view.map(|view| (signed, view)).ok_or(missing)
    }

    /// Where a token stands (현재순서조회), from memory: no store, no lock. Asking is the sign of life that keeps the
    /// place awake, so a request over its limit must be refused before.
    pub fn position(&self, signed: &SignedToken, view: &RoomView) -> Place {
        let now = self.clock.now();
        self.queue.heard_of(signed.id, now);
        let place = view.place(signed.id.position);
        let Place { status, activated_at, deadline, .. } = place;
        // Most who ask are waiting, and have nothing to be renewed.
        let may_wake = matches!(status, TokenStatus::Active | TokenStatus::Dormant);
        if may_wake && is_wake_due(status, activated_at, deadline, now, &self.rules, &self.store.outages()) {
            let command = Command::WakeToken { token: signed.id };
            let caller = Caller::Buyer(signed.user_id);
            self.engine.run_unwatched(Request { caller, command, idempotency: None });
        }
        place
    }

    /// A token with its place, for its own user. One that lives is told from this instance's view, one that the view
    /// does not reach yet from what instances share; only for the others the store is asked.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where it is not the caller's.
    pub async fn token(&self, caller: Caller, token: &str) -> Result<TokenPlace, Stop> {
        let (signed, view) = self.verified(token)?;
        let missing = Refusal::NotFound { what: Thing::Token };
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
        self.followers.seen.refusal(caller, &token, *seat, (asked, self.clock.now()), &self.rules)
    }

    /// The caller's tokens that have not ended.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn live_tokens(&self, user: UserId) -> Result<Vec<TokenPlace>, Stop> {
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
    ) -> Result<Done<TokenPlace>, Stop> {
        let token = self.verify_token(token)?.id;
        let done = self.run(caller, Command::ActivateToken { token }, key).await?;
        match done.value {
            Outcome::Token(token) | Outcome::TurnPending(token) => {
                Ok(Done { value: self.locate(token).await?, novelty: done.novelty })
            }
            _ => Err(UNEXPECTED),
        }
    }

    /// Leaves the line (토큰만료).
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where the token is not the caller's.
    pub async fn leave_queue(&self, caller: Caller, token: &str) -> Result<(), Stop> {
        let token = self.verify_token(token)?.id;
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
    pub async fn view(&self, room: RoomId) -> Result<Arc<RoomView>, Stop> {
        if let Some(view) = self.queue.view(room) {
            return Ok(view);
        }
        let _laying = self.laying.lock().await;
        if self.queue.view(room).is_none() {
            let line = self.store.line(room).await?.ok_or(Refusal::NotFound { what: Thing::Room })?;
            self.queue.lay_missing(line).await?;
            tracing::info!(room = room.get(), "a room that another process made was read from the database");
        }
        self.queue.view(room).ok_or(Stop::Internal("a room has no view"))
    }

    /// Lays the rooms that other processes made, and has those looked at whose rows are newer than what is known here.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn find_rooms(&self) -> Result<(), Stop> {
        let (mut is_any_missing, mut old) = (false, Vec::new());
        for row in self.store.rooms().await? {
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
            self.queue.doubt_rooms(old);
        }
        if is_any_missing { self.lay_missing_rooms().await } else { Ok(()) }
    }

    async fn lay_missing_rooms(&self) -> Result<(), Stop> {
        let laying = self.laying.lock().await;
        let mut missing = self.store.standings().await?;
        missing.retain(|one| self.queue.view(one.room.room_id).is_none());
        let (quiet, busy): (Vec<_>, Vec<_>) = missing.into_iter().partition(|one| one.life == Life::Quiet);
        let count = quiet.len();
        self.queue.lay_quiet(quiet.into_iter().map(Standing::quiet_line).collect()).await?;
        drop(laying);
        if count > 0 {
            tracing::info!(rooms = count, "rooms that another process made were read from the database");
        }
        for one in busy {
            self.view(one.room.room_id).await?;
        }
        Ok(())
    }

    async fn locate(&self, token: Token) -> Result<TokenPlace, Stop> {
        let view = self.view(token.id.room_id).await?;
        let place = Place { status: token.status, deadline: token.deadline, ..view.place(token.id.position) };
        let signed = self.keyring.sign(&token, view.epoch());
        Ok(TokenPlace { token, signed, place, view })
    }
}
