//! The flow, top to bottom: sign in, join, poll, activate, hold, pay, refund.
//!
//! Each function here is one thing a caller can ask. It gives the engine a command, or reads; it decides nothing.

mod accounts;

use crate::{
    clock::{Clock, Ids},
    engine::{Engine, Fault},
    passwords::{PasswordError, Passwords},
    queue::{
        Queue, QueueError,
        token::{Keyring, SignedToken},
        view::{Place, RoomView},
    },
    seatmap::{MapForm, SeatMap, SeatMaps},
    sessions::Sessions,
    store::{Page, PaymentFilter, ReservationFilter, Store, StoreError},
    telemetry::Metrics,
};
use frontrow_domain::{
    command::{Answer, Command, Idempotency, Novelty, Outcome, Request},
    concert::Concert,
    id::{ConcertId, HistoryId, PaymentId, ReservationId, RoomId, SeatId, TokenId, UserId},
    money::Money,
    payment::Payment,
    points::{Point, PointEntry},
    queue::{Token, is_wake_due},
    refusal::{Refusal, Thing},
    reservation::Reservation,
    rules::Rules,
    time::{Span, Time},
    user::{Caller, User},
    world::Changes,
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Everything that a running box office consists of.
#[derive(Debug)]
pub struct BoxOffice {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The lines.
    pub queue: Arc<dyn Queue>,
    /// The way to change anything.
    pub engine: Engine,
    /// Signs and checks queue tokens.
    pub keyring: Keyring,
    /// The instance's own parts that follow the commits.
    pub followers: Arc<Followers>,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub ids: Ids,
    /// The settings of the rules.
    pub rules: Rules,
    /// How long a session lasts.
    pub session_length: Span,
    /// Counts and times.
    pub metrics: Arc<Metrics>,
    /// Held by whoever lays a room that another process made, so that its rows are read once.
    pub laying: tokio::sync::Mutex<()>,
}

/// What an instance keeps in memory and brings up to date after each commit.
#[derive(Debug)]
pub struct Followers {
    /// Seat maps.
    pub seat_maps: SeatMaps,
    /// Sessions.
    pub sessions: Sessions,
    /// Concerts that somebody has asked for.
    pub concerts: RwLock<HashMap<ConcertId, Arc<Concert>>>,
}

impl Followers {
    /// Nothing in memory yet.
    #[must_use]
    pub fn new(boot: u64) -> Self {
        Self { seat_maps: SeatMaps::new(boot), sessions: Sessions::default(), concerts: RwLock::default() }
    }

    /// Forgets everything, after something was committed that was not published here.
    pub fn forget(&self) {
        self.seat_maps.forget();
        self.sessions.forget();
        self.concerts.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes in what a committed batch changed.
    pub fn publish(&self, changes: &Changes) {
        self.seat_maps.publish(changes);
        self.sessions.publish(changes);
        if !changes.concerts.is_empty() {
            let mut concerts = self.concerts.write().unwrap_or_else(PoisonError::into_inner);
            concerts.extend(changes.concerts.iter().map(|row| (row.concert_id, Arc::new(row.clone()))));
        }
    }
}

/// Why a caller does not get what they asked for.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A rule says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A rule says no, as it did the first time that this idempotency key was used.
    #[error("{0}")]
    RefusedBefore(Refusal),
    /// The engine could not.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A read failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is shared about the lines could not be reached.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Nobody has signed in, or not with what was sent.
    #[error("the caller is not signed in")]
    Unauthorized,
    /// E-mail address and password do not belong together.
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    /// Too many passwords wait to be hashed.
    #[error("too many sign-ins at once")]
    TooManySignIns,
    /// A bug. The text is for the log.
    #[error("internal: {0}")]
    Internal(&'static str),
}

impl From<PasswordError> for Stop {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::TooManySignIns,
            PasswordError::Failed => Self::Internal("a password could not be hashed"),
        }
    }
}

/// What came of a command, and whether it was given before under the same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T> {
    /// The outcome.
    pub value: T,
    /// Whether it is a replay.
    pub novelty: Novelty,
}

/// A new session, with the one copy of its secret.
#[derive(Debug)]
pub struct SignedIn {
    /// What the client sends from now on: 32 random bytes, base64url.
    pub secret: String,
    /// When it ends.
    pub expires_at: Time,
    /// Who signed in.
    pub user: User,
}

/// A token with its place in the line.
#[derive(Debug)]
pub struct TokenPlace {
    /// The row.
    pub token: Token,
    /// The string that the client holds.
    pub signed: String,
    /// Where it stands in the view.
    pub place: Place,
    /// The view.
    pub view: Arc<RoomView>,
}

/// A command was answered with the outcome of another one.
pub(crate) const UNEXPECTED: Stop = Stop::Internal("the outcome is not the command's");

impl BoxOffice {
    /// Gives the engine a command.
    async fn run(&self, caller: Caller, command: Command, key: Option<Idempotency>) -> Result<Done<Outcome>, Stop> {
        let Answer { decision, novelty } = self.engine.run(Request { caller, command, idempotency: key }).await?;
        match decision {
            Ok(value) => Ok(Done { value, novelty }),
            Err(refusal) if novelty == Novelty::Replayed => Err(Stop::RefusedBefore(refusal)),
            Err(refusal) => Err(Stop::Refused(refusal)),
        }
    }

    /// A command of an operator, or of the box office itself, whose outcome the caller reads.
    ///
    /// # Errors
    /// The refusal, or what kept the engine from deciding.
    pub async fn operate(
        &self,
        caller: Caller,
        command: Command,
        key: Option<Idempotency>,
    ) -> Result<Done<Outcome>, Stop> {
        if let Command::SetRoom { room_id, .. } = &command {
            self.view(*room_id).await?;
        }
        self.run(caller, command, key).await
    }

    /// The caller's place in the line of a concert's room, or of the house room (대기토큰발급).
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown concert, [`Refusal::SaleClosed`] for one whose sale is over.
    pub async fn issue_token(
        &self,
        caller: Caller,
        concert_id: Option<ConcertId>,
        key: Option<Idempotency>,
    ) -> Result<Done<(TokenPlace, frontrow_domain::command::Issue)>, Stop> {
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

    fn verified(&self, token: &str) -> Result<(SignedToken, Arc<RoomView>), Refusal> {
        let missing = Refusal::NotFound { what: Thing::Token };
        let Ok(signed) = self.keyring.verify(token) else { return Err(missing) };
        let view = self.queue.view(signed.id.room_id).filter(|view| view.epoch() == signed.epoch);
        view.map(|view| (signed, view)).ok_or(missing)
    }

    /// Where a token stands (현재순서조회), from memory: no store, no lock. Asking is the sign of life that keeps the
    /// place awake.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where the token is not one of ours.
    pub fn position(&self, token: &str) -> Result<(SignedToken, Place, Arc<RoomView>), Refusal> {
        let (signed, view) = self.verified(token)?;
        let now = self.clock.now();
        self.queue.heard_of(signed.id, now);
        let place = view.place(signed.id.position);
        if is_wake_due(place.status, place.activated_at, place.deadline, now, &self.rules) {
            let command = Command::WakeToken { token: signed.id };
            let caller = Caller::Buyer(signed.user_id);
            self.engine.run_unwatched(Request { caller, command, idempotency: None });
        }
        Ok((signed, place, view))
    }

    /// A token's row with its place, for its own user.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where it is not the caller's.
    pub async fn token(&self, caller: Caller, token: &str) -> Result<TokenPlace, Stop> {
        let signed = self.verify_token(token)?;
        let missing = Refusal::NotFound { what: Thing::Token };
        let row = self.store.token(signed.id).await?.filter(|row| caller.may_act_for(row.user_id));
        self.locate(row.ok_or(missing)?).await
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

    /// A room's view. A room that another process made beside this one is laid first.
    ///
    /// Whoever gives the engine a command that changes a room asks for its view before: then no commit of the room
    /// can pass by between the reading of its rows and the laying.
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
            tracing::info!(room = room.get(), "laid a room that another process made");
        }
        self.queue.view(room).ok_or(Stop::Internal("a room has no view"))
    }

    /// Lays the rooms that other processes made.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn lay_missing_rooms(&self) -> Result<(), Stop> {
        for room in self.store.rooms().await? {
            self.view(room.room_id).await?;
        }
        Ok(())
    }

    async fn locate(&self, token: Token) -> Result<TokenPlace, Stop> {
        let view = self.view(token.id.room_id).await?;
        let place = Place { status: token.status, deadline: token.deadline, ..view.place(token.id.position) };
        let signed = self.keyring.sign(&token, view.epoch());
        Ok(TokenPlace { token, signed, place, view })
    }

    /// A concert, from memory after the first time.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn concert(&self, id: ConcertId) -> Result<Arc<Concert>, Stop> {
        let known = self.followers.concerts.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(concert) = known {
            return Ok(concert);
        }
        let read = self.store.concert(id).await?.ok_or(Refusal::NotFound { what: Thing::Concert })?;
        let mut concerts = self.followers.concerts.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(concerts.entry(id).or_insert_with(|| Arc::new(read))))
    }

    /// The seat map of a concert.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn seat_map(&self, id: ConcertId, form: MapForm) -> Result<Arc<SeatMap>, Stop> {
        self.concert(id).await?;
        Ok(self.followers.seat_maps.get(&*self.store, id, form).await?)
    }

    /// Holds seats (예약생성), all or nothing.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn hold(
        &self,
        caller: Caller,
        token: TokenId,
        seat_ids: Vec<SeatId>,
        key: Option<Idempotency>,
    ) -> Result<Done<Vec<Reservation>>, Stop> {
        let done = self.run(caller, Command::Hold { token, seat_ids }, key).await?;
        match done.value {
            Outcome::Held(reservations) => Ok(Done { value: reservations, novelty: done.novelty }),
            _ => Err(UNEXPECTED),
        }
    }

    /// A reservation (예약조회), for its user or an operator.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where it is not the caller's.
    pub async fn reservation(&self, caller: Caller, id: ReservationId) -> Result<Reservation, Stop> {
        let row = self.store.reservation(id).await?.filter(|row| caller.may_act_for(row.user_id));
        Ok(row.ok_or(Refusal::NotFound { what: Thing::Reservation })?)
    }

    /// Reservations that match, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, Stop> {
        Ok(self.store.reservations(filter, page).await?)
    }

    /// Gives a held seat up (예약취소).
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn cancel_reservation(
        &self,
        caller: Caller,
        reservation_id: ReservationId,
        key: Option<Idempotency>,
    ) -> Result<Done<Reservation>, Stop> {
        let done = self.run(caller, Command::CancelReservation { reservation_id }, key).await?;
        match done.value {
            Outcome::Cancelled(reservation) => Ok(Done { value: reservation, novelty: done.novelty }),
            _ => Err(UNEXPECTED),
        }
    }

    /// Pays for reservations (결제처리), all or nothing. The reservations are confirmed (예약확정) and the token ends
    /// with it.
    ///
    /// # Errors
    /// The refusal that says why not; nothing was charged.
    pub async fn pay(
        &self,
        caller: Caller,
        token: TokenId,
        reservation_ids: Vec<ReservationId>,
        key: Option<Idempotency>,
    ) -> Result<Done<Vec<Payment>>, Stop> {
        let done = self.run(caller, Command::Pay { token, reservation_ids }, key).await?;
        match done.value {
            Outcome::Paid(payments) => Ok(Done { value: payments, novelty: done.novelty }),
            _ => Err(UNEXPECTED),
        }
    }

    /// A payment, for its user or an operator.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where it is not the caller's.
    pub async fn payment(&self, caller: Caller, id: PaymentId) -> Result<Payment, Stop> {
        let row = self.store.payment(id).await?.filter(|row| caller.may_act_for(row.user_id));
        Ok(row.ok_or(Refusal::NotFound { what: Thing::Payment })?)
    }

    /// Payments that match, newest first (결제내역조회).
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>, Stop> {
        Ok(self.store.payments(filter, page).await?)
    }

    /// Gives a payment back (결제환불).
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn refund(
        &self,
        caller: Caller,
        payment_id: PaymentId,
        key: Option<Idempotency>,
    ) -> Result<Done<Payment>, Stop> {
        let done = self.run(caller, Command::Refund { payment_id }, key).await?;
        match done.value {
            Outcome::Refunded(payment) => Ok(Done { value: payment, novelty: done.novelty }),
            _ => Err(UNEXPECTED),
        }
    }

    /// Charges points (잔액충전).
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn charge(
        &self,
        caller: Caller,
        user_id: UserId,
        amount: Money,
        reference: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Done<PointEntry>, Stop> {
        let done = self.run(caller, Command::Charge { user_id, amount, reference }, key).await?;
        match done.value {
            Outcome::Charged(entry) => Ok(Done { value: entry, novelty: done.novelty }),
            _ => Err(UNEXPECTED),
        }
    }

    /// A user's balance (잔액조회); none before the first movement.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn balance(&self, user: UserId) -> Result<Option<Point>, Stop> {
        Ok(self.store.point(user).await?)
    }

    /// A user's point history, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, Stop> {
        Ok(self.store.history(user, page).await?)
    }
}
