//! The waiting line: join, poll, follow, activate, leave.

mod blocks;
mod lanes;
mod passes;
mod receipt;
mod report;
mod rooms;
mod status;
mod stream;

pub use lanes::ShownLane;
pub use passes::{PassPlace, SignedPass};
pub use receipt::SignedReceipt;
pub use report::SignedLineReport;
pub use status::{LineStatus, Wait};
pub use stream::{LineStream, STATE_EVERY};

use crate::{
    caches::endings::Ending,
    office::{BoxOffice, Reply, ServiceError},
    outcome::Advance,
};
use frontrow_domain::{
    command::{Command, Idempotency, Issue, Request},
    id::{ConcertId, ReservationId, RoomId, TokenId, UserId},
    line::{EndReason, Fence, Parting, SignOfLife, Token, TokenState, TokenStatus, is_live_token, is_wake_due},
    policy::HOLDS_PER_PARTING_MAX,
    refusal::{EntityKind, Refusal},
    sale::ReservationStatus,
    time::Time,
    user::Caller,
};
use frontrow_line::{
    NextAdvance, PeersError,
    view::{Place, RoomView},
};
use frontrow_signing::SignedToken;
use frontrow_storage::{Page, ReservationFilter};
use status::{Certainty, TokenStanding};
use std::sync::Arc;

/// The line that a client wants to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineWanted {
    /// That of a concert; the house room's without one.
    Of(Option<ConcertId>),
    /// That of a room.
    Room(RoomId),
}

impl LineWanted {
    /// The line of a room, or of a concert, or of the house room if neither is named.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if both are named.
    pub fn named(room: Option<RoomId>, concert: Option<ConcertId>) -> Result<Self, Refusal> {
        match (room, concert) {
            (Some(_), Some(_)) => {
                Err(Refusal::Malformed { reason: "A line is joined by its concert or by its room.".to_owned() })
            }
            (Some(room), None) => Ok(Self::Room(room)),
            (None, concert) => Ok(Self::Of(concert)),
        }
    }
}

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
    /// The token before a draw gave it another position, if one did.
    as_issued: TokenId,
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
        let room_id = self.line_to_join(caller, self.room_of(concert_id).await?).await?;
        self.join(caller, room_id, concert_id, key).await
    }

    /// The caller's place in the line of a room.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown room, [`Refusal::RoomClosed`] for one that was closed.
    pub async fn join_room(
        &self,
        caller: Caller,
        room_id: RoomId,
        key: Option<Idempotency>,
    ) -> Result<Reply<(TokenPlace, Issue)>, ServiceError> {
        let room_id = self.line_to_join(caller, room_id).await?;
        match room_id.concert() {
            None => self.join(caller, room_id, None, key).await,
            // Its concert knows whether its line may still be joined.
            Some(concert_id) => {
                self.view(room_id).await?;
                self.join(caller, room_id, Some(concert_id), key).await
            }
        }
    }

    async fn join(
        &self,
        caller: Caller,
        room_id: RoomId,
        concert_id: Option<ConcertId>,
        key: Option<Idempotency>,
    ) -> Result<Reply<(TokenPlace, Issue)>, ServiceError> {
        let view = self.view(room_id).await?;
        self.begin_lobby(&view).await?;
        let done = self.ask(caller, Command::IssueToken { room_id, concert_id }, key).await?;
        let (token, issue): (Token, Issue) = done.value;
        // Joining again is a heartbeat, as a poll is.
        self.lines.record_heartbeat(token.id, self.now());
        Ok(Reply { value: (self.locate(token).await?, issue), replay: done.replay })
    }

    /// Whether the user has a place in the line of a concert's room, or of the house room: joining gives no new one then.
    /// From the store.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown concert.
    pub async fn has_place(&self, user: UserId, room_id: RoomId) -> Result<bool, ServiceError> {
        let (tokens, now) = (self.store.live_tokens(user).await?, self.now());
        let is_there = |token: &Token| token.id.room_id.general() == room_id.general() && is_live_token(token);
        Ok(tokens.iter().any(|token| is_there(&token.after_deadline(now, &self.policy))))
    }

    /// The room of a line that is wanted.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown concert or room.
    pub async fn room_to_join(&self, line: LineWanted) -> Result<RoomId, ServiceError> {
        match line {
            LineWanted::Of(concert) => self.room_of(concert).await,
            LineWanted::Room(room) => self.view(room).await.map(|_| room),
        }
    }

    /// The room whose line is joined for a concert, or without one.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown concert.
    pub async fn room_of(&self, concert_id: Option<ConcertId>) -> Result<RoomId, ServiceError> {
        Ok(match concert_id {
            None => RoomId::HOUSE,
            Some(id) => self.concert(id).await?.room_id,
        })
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
        let as_issued = signed.id;
        let signed = self.after_draw(signed, &view).await?;
        Ok(VerifiedToken { signed, as_issued, view })
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
    /// counts as a heartbeat, so rate limits must be checked before. `caller` is who has proved to ask, if anybody has:
    /// an active token is renewed by its own user alone.
    pub async fn position(&self, token: &VerifiedToken, caller: Option<Caller>) -> LineStatus {
        let VerifiedToken { signed, as_issued, view } = token;
        let found = self.standing(signed, view).await;
        let now = self.now();
        self.note_sign_of_life(signed, view, SignOfLife::of(caller, signed.user_id), found.place.state);
        // While entries are placed, an entry's client is heard of as that of the entry.
        if *as_issued != signed.id {
            self.lines.record_heartbeat(*as_issued, now);
        }
        self.line_status(signed.id.position, found, view, now)
    }

    /// As [`BoxOffice::position`], without counting as a heartbeat.
    pub async fn glance_at(&self, VerifiedToken { signed, view, .. }: &VerifiedToken) -> LineStatus {
        self.place_in(signed, view).await
    }

    async fn place_in(&self, signed: &SignedToken, view: &RoomView) -> LineStatus {
        let found = self.standing(signed, view).await;
        self.line_status(signed.id.position, found, view, self.now())
    }

    async fn standing(&self, signed: &SignedToken, view: &RoomView) -> TokenStanding {
        let place = view.place_of(signed.id.position, signed.issued_at);
        match place.status() {
            TokenStatus::Ended => self.ended_at(signed.id, place, view).await,
            _ => TokenStanding::viewed(place),
        }
    }

    /// Counts a sign of life of a token's client: a heartbeat, which wakes the token if that is due in this state.
    fn note_sign_of_life(&self, signed: &SignedToken, view: &RoomView, sign: SignOfLife, state: Option<TokenState>) {
        let now = self.now();
        self.lines.record_heartbeat(signed.id, now);
        // Most polled tokens are waiting and have no turn to renew: for them the outages are not read.
        if let Some(state) = state
            && state != TokenState::Waiting
            && is_wake_due(state, sign, view.room(), now, &self.policy, &self.store.outages())
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
        let VerifiedToken { signed, view, .. } = self.verified(token).await?;
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
            None => self.row_of_place(signed.id).await?,
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
        let place = self.verify_token(token).await?.id;
        self.leave_place(caller, place).await
    }

    /// Notes that the client of a token's own user goes away, such as a page that was closed. A waiting token counts as
    /// unresponsive after [`AWAY_GRACE`](frontrow_domain::policy::AWAY_GRACE), an offered or active one has that long left;
    /// any sign of life of it undoes that. Counts as a poll, so rate limits must be checked before.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the token is not the caller's.
    pub async fn go_away(
        &self,
        caller: Caller,
        VerifiedToken { signed, as_issued, view }: &VerifiedToken,
    ) -> Result<(), ServiceError> {
        let (token, now) = (signed.id, self.now());
        if SignOfLife::of(Some(caller), signed.user_id) != SignOfLife::ByOwner {
            return Err(Refusal::NotFound { what: EntityKind::Token }.into());
        }
        let state = view.place(token.position).state;
        match state.map_or(Parting::Nothing, |state| Parting::of(state, now)) {
            Parting::Nothing => Ok(()),
            Parting::Silent => {
                self.lines.record_parting(token, now);
                if *as_issued != token {
                    self.lines.record_parting(*as_issued, now);
                }
                Ok(())
            }
            Parting::Shortened => {
                let Some(row) = self.store.token(token).await? else { return Ok(()) };
                let holds = if row.holds == 0 { Vec::new() } else { self.holds_of(signed.user_id).await? };
                if holds.len() >= HOLDS_PER_PARTING_MAX {
                    return Ok(());
                }
                let command = Command::GoAway { token, holds, holds_made: row.holds };
                let _: Token = self.run(Caller::Buyer(signed.user_id), command).await?;
                Ok(())
            }
        }
    }

    /// Reservations of a user that may hold seats, as many as one command may name.
    async fn holds_of(&self, user: UserId) -> Result<Vec<ReservationId>, ServiceError> {
        let filter = ReservationFilter {
            user: Some(user),
            status: Some(ReservationStatus::Pending),
            ..ReservationFilter::default()
        };
        let limit = u32::try_from(HOLDS_PER_PARTING_MAX).unwrap_or(u32::MAX);
        let rows = self.store.reservations(&filter, Page { after: None, limit }).await?;
        Ok(rows.iter().map(|row| row.reservation_id).collect())
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

    /// Ends `limit` tokens of a concert's own line, or of a lane beside it, for which no turn can come any more.
    pub(crate) async fn end_line(&self, room_id: RoomId, limit: u32) -> Result<Advance, ServiceError> {
        self.run(Caller::System, Command::EndLine { room_id, limit }).await
    }

    /// Ends `limit` tokens of a closed room's line.
    pub(crate) async fn end_closed_line(&self, room_id: RoomId, limit: u32) -> Result<Advance, ServiceError> {
        self.run(Caller::System, Command::EndClosedLine { room_id, limit }).await
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
        let place = view.place_of(token.id.position, token.issued_at).as_in(&token);
        let found = match token.end_reason() {
            None => TokenStanding::viewed(place),
            reason => TokenStanding::read(place, reason),
        };
        let signed = self.keyring.sign(&token, view.epoch());
        let line = self.line_status(token.id.position, found, &view, self.now());
        Ok(TokenPlace { token, signed, line })
    }
}
