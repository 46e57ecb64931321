//! The waiting line: join, poll, follow, activate, leave.

mod rooms;
mod status;
mod stream;

pub use status::{LineStatus, Wait};
pub use stream::{LineStream, STATE_EVERY};

use crate::{
    caches::endings::Ending,
    office::{BoxOffice, Reply, ServiceError},
    outcome::Advance,
};
use frontrow_domain::{
    command::{Command, Idempotency, Issue, Request},
    id::{ConcertId, RoomId, TokenId, UserId},
    line::{EndReason, Fence, Token, TokenState, TokenStatus, is_wake_due},
    refusal::{EntityKind, Refusal},
    time::Time,
    user::Caller,
};
use frontrow_line::{
    NextAdvance, PeersError,
    view::{Place, RoomView},
};
use frontrow_signing::SignedToken;
use status::{Certainty, TokenStanding};
use std::sync::Arc;

/// A token with its place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlace {
    /// The row.
    pub token: Token,
    /// The string that the client holds.
    pub signed: String,
    pub line: LineStatus,
}

/// A queue token whose signature is ours and whose line is still the one it was signed for.
#[derive(Debug)]
pub struct VerifiedToken {
    signed: SignedToken,
    view: Arc<RoomView>,
}

impl VerifiedToken {
    #[must_use]
    pub const fn id(&self) -> TokenId {
        self.signed.id
    }

    /// Its user.
    #[must_use]
    pub const fn user_id(&self) -> UserId {
        self.signed.user_id
    }

    /// When the token was issued: when its user joined the line.
    #[must_use]
    pub const fn issued_at(&self) -> Time {
        self.signed.issued_at
    }
}

/// The token as the view shows it. Of one that has ended, only the row says when and why.
fn token_at(signed: &SignedToken, place: &Place) -> Token {
    let ended = TokenState::Ended { at: signed.issued_at, reason: EndReason::Expired, activated_at: None };
    let (state, turns_passed) = (place.state.unwrap_or(ended), place.turns_passed);
    Token { state, turns_passed, ..Token::issued(signed.id, signed.user_id, signed.issued_at) }
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
        let view = self.view(room_id).await?;
        self.begin_lobby(&view).await?;
        let done = self.ask(caller, Command::IssueToken { room_id, concert_id }, key).await?;
        let (token, issue): (Token, Issue) = done.value;
        // Joining again is a heartbeat, as a poll is.
        self.lines.record_heartbeat(token.id, self.now());
        Ok(Reply { value: (self.locate(token).await?, issue), replay: done.replay })
    }

    /// Checks a token's signature and the epoch of its line, from memory. The store is read only for a room or an epoch
    /// that this instance does not know yet: a token that another instance has just signed is valid here too.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the signature is not ours or the line has been renewed since; [`ServiceError::Queue`]
    /// while this instance is still reading a renewed line.
    pub async fn verify_token(&self, token: &str) -> Result<SignedToken, ServiceError> {
        self.verified(token).await.map(|token| token.signed)
    }

    /// As [`BoxOffice::verify_token`], for a poll of the token's position.
    ///
    /// # Errors
    /// As [`BoxOffice::verify_token`].
    pub async fn verified(&self, token: &str) -> Result<VerifiedToken, ServiceError> {
        let missing = ServiceError::Refused(Refusal::NotFound { what: EntityKind::Token });
        let Ok(signed) = self.keyring.verify(token) else { return Err(missing) };
        let view = match self.view(signed.id.room_id).await {
            Err(ServiceError::Refused(_)) => return Err(missing),
            view => view?,
        };
        if view.epoch() < signed.epoch {
            self.check_renewal(&signed).await?;
        }
        if view.epoch() != signed.epoch {
            return Err(missing);
        }
        let signed = self.after_draw(signed, &view).await?;
        Ok(VerifiedToken { signed, view })
    }

    /// The room of a token whose signature is ours and whose line was renewed since: the place is still there, and its
    /// user has it by another token. From memory.
    #[must_use]
    pub fn renewed_room(&self, token: &str) -> Option<RoomId> {
        let signed = self.keyring.verify(token).ok()?;
        let view = self.lines.view(signed.id.room_id)?;
        (view.epoch() > signed.epoch).then_some(signed.id.room_id)
    }

    /// Checks whether another process has renewed the line of a token whose epoch is newer than this instance's view.
    ///
    /// # Errors
    /// [`ServiceError::Queue`] if it has: the new view is being loaded.
    async fn check_renewal(&self, signed: &SignedToken) -> Result<(), ServiceError> {
        let room = signed.id.room_id;
        let _loading = self.room_loading.lock().await;
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
    pub async fn position(&self, token: &VerifiedToken) -> LineStatus {
        let VerifiedToken { signed, view } = token;
        let found = self.standing(signed, view).await;
        let now = self.now();
        self.note_sign_of_life(signed, found.place.state, now);
        self.line_status(signed.id.position, found, view, now)
    }

    /// As [`BoxOffice::position`], without counting as a heartbeat.
    pub async fn glance_at(&self, VerifiedToken { signed, view }: &VerifiedToken) -> LineStatus {
        self.place_in(signed, view).await
    }

    async fn place_in(&self, signed: &SignedToken, view: &RoomView) -> LineStatus {
        let found = self.standing(signed, view).await;
        self.line_status(signed.id.position, found, view, self.now())
    }

    async fn standing(&self, signed: &SignedToken, view: &RoomView) -> TokenStanding {
        let place = view.place(signed.id.position);
        match place.status() {
            TokenStatus::Ended => self.ended_at(signed.id, place, view).await,
            _ => TokenStanding::viewed(place),
        }
    }

    /// Counts a sign of life of a token's client: a heartbeat, which wakes the token if that is due in this state.
    fn note_sign_of_life(&self, signed: &SignedToken, state: Option<TokenState>, now: Time) {
        self.lines.record_heartbeat(signed.id, now);
        // Most polled tokens are waiting and have no turn to renew: for them the outages are not read.
        if let Some(state @ (TokenState::Active { .. } | TokenState::Dormant { .. })) = state
            && is_wake_due(state, now, &self.policy, &self.store.outages())
        {
            let command = Command::WakeToken { token: signed.id };
            let caller = Caller::Buyer(signed.user_id);
            self.engine.run_unwatched(Request { caller, command, idempotency: None });
        }
    }

    /// The place of a token that the view shows as ended at `place`. If other instances change the line too, the row
    /// knows better. If it cannot be read, the token is shown as waiting at the head: its client polls again soon.
    async fn ended_at(&self, id: TokenId, place: Place, view: &RoomView) -> TokenStanding {
        match self.caches.endings.get(&*self.store, id).await {
            Ending::Over(end_reason) => TokenStanding::read(place, end_reason),
            Ending::Live(token) => TokenStanding::read(place.as_in(&token), None),
            Ending::Unknown if !view.is_replica() => TokenStanding::viewed(place),
            Ending::Unknown => {
                let place = Place { state: Some(TokenState::Waiting), ..place };
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
        let VerifiedToken { signed, view } = self.verified(token).await?;
        let missing = Refusal::NotFound { what: EntityKind::Token };
        if !caller.may_act_for(signed.user_id) {
            return Err(missing.into());
        }
        let place = view.place(signed.id.position);
        let is_behind = signed.id.position > view.tail();
        if !is_behind && place.status() != TokenStatus::Ended {
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

    /// The token as this instance's view shows it; none if the room is not loaded.
    pub(crate) fn token_in_view(&self, token: &SignedToken) -> Option<Token> {
        let view = self.lines.view(token.id.room_id)?;
        Some(token_at(token, &view.place(token.id.position)))
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

    /// Claims a turn (사용자활성화). The token is active, or its turn is still pending since the room is full.
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
        let done = self.ask(caller, Command::ActivateToken { token }, key).await?;
        Ok(Reply { value: self.locate(done.value).await?, replay: done.replay })
    }

    /// Leaves the line (토큰만료).
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the token is not the caller's.
    pub async fn leave_queue(&self, caller: Caller, token: &str) -> Result<(), ServiceError> {
        let token = self.verify_token(token).await?.id;
        self.run(caller, Command::LeaveQueue { token }).await
    }

    /// Moves a line as the leader with this fence.
    pub(crate) async fn advance_room(
        &self,
        room_id: RoomId,
        fence: Fence,
        next: NextAdvance,
    ) -> Result<Advance, ServiceError> {
        let NextAdvance { limit, unresponsive, outlook } = next;
        self.run(Caller::System, Command::AdvanceRoom { room_id, fence, limit, unresponsive, outlook }).await
    }

    /// Ends `limit` tokens of a concert's own line for which no turn can come any more.
    pub(crate) async fn end_line(&self, concert_id: ConcertId, limit: u32) -> Result<Advance, ServiceError> {
        self.run(Caller::System, Command::EndLine { concert_id, limit }).await
    }

    /// Gives every line a new epoch: tokens signed before are refused, and the places stay. Returns how many lines
    /// there are.
    ///
    /// # Errors
    /// The engine did not decide; some lines may have been renewed.
    pub async fn renew_lines(&self) -> Result<usize, ServiceError> {
        let rooms = self.store.rooms().await?;
        for room in &rooms {
            let () = self.run(Caller::System, Command::RenewLine { room_id: room.room_id }).await?;
        }
        Ok(rooms.len())
    }

    async fn locate(&self, token: Token) -> Result<TokenPlace, ServiceError> {
        let view = self.view(token.id.room_id).await?;
        let place = view.place(token.id.position).as_in(&token);
        let found = match token.end_reason() {
            None => TokenStanding::viewed(place),
            reason => TokenStanding::read(place, reason),
        };
        let signed = self.keyring.sign(&token, view.epoch());
        let line = self.line_status(token.id.position, found, &view, self.now());
        Ok(TokenPlace { token, signed, line })
    }
}
