//! The box office's calls for buyers and operators: sign in, join, poll, activate, hold, pay, refund.
//!
//! Each method gives the engine a command or reads; none decides a rule.

use crate::{
    caches::{
        concerts::Concerts,
        endings::Endings,
        failed_sign_ins::FailedSignIns,
        seatmap::{MapForm, SeatMap, SeatMaps},
        seats_left::SeatsLeft,
        seen::SeenSeats,
        sessions::Sessions,
        tickets::RecentTickets,
    },
    engine::{Engine, EngineError},
    health::InstanceFaults,
    metrics::Metrics,
    passwords::{PasswordError, Passwords},
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Answer, Command, Idempotency, NewAdjustment, Outcome, Replay, Request},
    concert::Concert,
    id::{AuditId, ConcertId, DebtId, HistoryId, PaymentId, ReservationId, SeatId, TokenId, UserId},
    money::Money,
    payment::Payment,
    points::{Debt, Point, PointEntry, Settlement},
    policy::Policy,
    queue::Token,
    refusal::{EntityKind, Refusal},
    reservation::Reservation,
    time::{Span, Time},
    user::{Caller, User},
    world::Changes,
};
use frontrow_line::{
    Lines, Peers, PeersError,
    view::{Place, RoomView},
};
use frontrow_signing::{Keyring, SignedToken};
use frontrow_storage::{DebtFilter, Page, PaymentFilter, ReservationFilter, SeatCounts, Sharing, Store, StoreError};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicI64},
    time::Instant,
};

/// Whether the demo's accounts can sign in with their published password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoAccounts {
    /// The server runs as a demo.
    Open,
    /// It does not; its database may have been a demo's.
    Refused,
}

/// The parts of a running box office.
#[derive(Debug)]
pub struct BoxOffice {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The lines.
    pub queue: Arc<Lines>,
    /// What crosses instances.
    pub peers: Arc<dyn Peers>,
    /// Decides and saves every change.
    pub engine: Engine,
    /// Signs and checks queue tokens.
    pub keyring: Keyring,
    /// The instance's caches, updated after each commit.
    pub caches: Arc<Caches>,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub ids: Ids,
    /// The settings that the rules read.
    pub policy: Policy,
    /// Whether the demo's accounts, whose password is published, can sign in.
    pub demo_accounts: DemoAccounts,
    /// How long a session lasts.
    pub session_length: Span,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// How far the database's clock was ahead of this machine's when last compared, in microseconds.
    pub clock_skew: AtomicI64,
    /// Faults among the instances over the database, when last checked.
    pub instance_faults: Mutex<InstanceFaults>,
    /// The rows of tokens that a view shows as ended.
    pub endings: Endings,
    /// Locked while a room made by another process is loaded, so that its rows are read once.
    pub room_loading: tokio::sync::Mutex<()>,
    /// The newest line of the audit log before the caches were loaded: they may lack the changes of later lines.
    pub audited: AuditId,
}

/// The caches of an instance, updated after each commit.
#[derive(Debug)]
pub struct Caches {
    /// Seat maps.
    pub seat_maps: SeatMaps,
    /// Sessions.
    pub sessions: Sessions,
    /// Concerts that requests named.
    pub concerts: Concerts,
    /// Seats refused a moment ago.
    pub seen: SeenSeats,
    /// How many seats concerts have left.
    pub seats_left: SeatsLeft,
    /// The seats of reservations that were just committed.
    pub tickets: RecentTickets,
    /// Failed sign-ins to operators' accounts, until they are written down.
    pub failed_sign_ins: FailedSignIns,
}

impl Caches {
    /// Empty caches. `sharing` says whether other instances change the store too.
    #[must_use]
    pub fn new(boot: u64, sharing: Sharing) -> Self {
        Self {
            seat_maps: SeatMaps::new(boot, sharing),
            sessions: Sessions::new(sharing),
            concerts: Concerts::new(sharing),
            seen: SeenSeats::default(),
            seats_left: SeatsLeft::new(sharing),
            tickets: RecentTickets::default(),
            failed_sign_ins: FailedSignIns::default(),
        }
    }

    /// Empties all caches, after a commit that was not published here.
    pub fn forget(&self) {
        self.seat_maps.forget();
        self.seen.forget();
        self.seats_left.forget();
        self.tickets.forget();
        self.invalidate_remote();
    }

    /// Empties the caches that depend on other instances' events, after such an event was lost. Seat maps refresh
    /// themselves.
    pub fn invalidate_remote(&self) {
        self.sessions.forget();
        self.concerts.forget();
    }

    /// Applies a committed batch.
    pub fn publish(&self, changes: &Changes) {
        self.seat_maps.publish(changes);
        self.sessions.publish(changes);
        self.concerts.publish(changes);
        self.seen.publish(changes);
        self.seats_left.publish(changes);
        self.tickets.publish(changes);
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A rule refused the first use of this idempotency key.
    #[error("{0}")]
    RefusedBefore(Refusal),
    /// The engine did not decide it.
    #[error(transparent)]
    EngineError(#[from] EngineError),
    /// A read failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shared state of the lines could not be reached.
    #[error(transparent)]
    Queue(#[from] PeersError),
    /// The request has no valid session.
    #[error("the caller is not signed in")]
    Unauthorized,
    /// E-mail address and password do not belong together.
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    /// The repeated password of a signed-in caller is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The account is one of the demo's with its published password, and this is no demo.
    #[error("the account is the demo's")]
    DemoAccount,
    /// Too many passwords wait to be hashed.
    #[error("too many sign-ins at once")]
    TooManySignIns,
    /// A bug. The text is for the log.
    #[error("internal: {0}")]
    Internal(&'static str),
}

impl From<PasswordError> for ServiceError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::TooManySignIns,
            PasswordError::Failed => Self::Internal("a password could not be hashed"),
        }
    }
}

/// A command's outcome, and whether it is a replay under its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// The outcome.
    pub value: T,
    /// Whether it is a replay.
    pub replay: Replay,
}

/// What a correction of a balance came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Adjusted {
    /// The history's new entry; none if the balance was 0 and nothing could be taken.
    pub entry: Option<PointEntry>,
    /// What is owed, if not all could be taken.
    pub debt: Option<Debt>,
}

/// A new session, with the only copy of its secret.
#[derive(Debug)]
pub struct SignedIn {
    /// The secret that the client sends from now on: 32 random bytes, base64url.
    pub secret: String,
    /// When it ends.
    pub expires_at: Time,
    /// The signed-in user.
    pub user: User,
}

/// A token with its place in the line.
#[derive(Debug)]
pub struct TokenPlace {
    /// The row.
    pub token: Token,
    /// The string that the client holds.
    pub signed: String,
    /// Its place in the view.
    pub place: Place,
    /// The view.
    pub view: Arc<RoomView>,
}

/// A command was answered with the outcome of another kind of command.
pub const UNEXPECTED: ServiceError = ServiceError::Internal("the outcome is not the command's");

impl BoxOffice {
    /// Gives the engine a command.
    pub(crate) async fn run(
        &self,
        caller: Caller,
        command: Command,
        key: Option<Idempotency>,
    ) -> Result<Reply<Outcome>, ServiceError> {
        let Answer { decision, replay } = self.engine.run(Request { caller, command, idempotency: key }).await?;
        match decision {
            Ok(value) => Ok(Reply { value, replay }),
            Err(refusal) if replay == Replay::Replayed => Err(ServiceError::RefusedBefore(refusal)),
            Err(refusal) => Err(ServiceError::Refused(refusal)),
        }
    }

    /// Runs a command of an operator or of the box office itself; the caller unpacks the outcome.
    ///
    /// # Errors
    /// The refusal, or the engine did not decide.
    pub async fn operate(
        &self,
        caller: Caller,
        command: Command,
        key: Option<Idempotency>,
    ) -> Result<Reply<Outcome>, ServiceError> {
        if let Command::SetRoom { room_id, .. } = &command {
            self.view(*room_id).await?;
        }
        self.run(caller, command, key).await
    }

    /// A concert, from the cache after the first time.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn concert(&self, id: ConcertId) -> Result<Arc<Concert>, ServiceError> {
        let found = self.caches.concerts.get(&*self.store, id).await?;
        Ok(found.ok_or(Refusal::NotFound { what: EntityKind::Concert })?)
    }

    /// The seat map of a concert.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn seat_map(&self, id: ConcertId, form: MapForm) -> Result<Arc<SeatMap>, ServiceError> {
        self.concert(id).await?;
        Ok(self.caches.seat_maps.get(&*self.store, id, form).await?)
    }

    /// How many seats of each of these concerts are in each state, by one query at most.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn seats_left(&self, ids: &[ConcertId]) -> Result<HashMap<ConcertId, SeatCounts>, ServiceError> {
        Ok(self.caches.seats_left.get(&self.store, ids).await?)
    }

    /// Holds seats (예약생성), all or nothing.
    ///
    /// A hold of one seat that was refused a moment ago is refused from the cache, unless it has an idempotency key:
    /// that key may have a stored answer, and its answer must be stored.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn hold(
        &self,
        caller: Caller,
        token: &SignedToken,
        seat_ids: Vec<SeatId>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Vec<Reservation>>, ServiceError> {
        let asked = Instant::now();
        if key.is_none()
            && let Some(refusal) = self.cached_refusal(caller, token, &seat_ids, asked)
        {
            self.metrics.refused_from_memory.inc();
            return Err(refusal.into());
        }
        let done = self.run(caller, Command::Hold { token: token.id, seat_ids }, key).await;
        if let Err(ServiceError::Refused(refusal)) = &done {
            self.caches.seen.learn(refusal, token.id, asked);
        }
        let done = done?;
        match done.value {
            Outcome::Held(reservations) => Ok(Reply { value: reservations, replay: done.replay }),
            _ => Err(UNEXPECTED),
        }
    }

    /// A reservation (예약조회), for its user or an operator.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if it is not the caller's.
    pub async fn reservation(&self, caller: Caller, id: ReservationId) -> Result<Reservation, ServiceError> {
        let row = self.store.reservation(id).await?.filter(|row| caller.may_act_for(row.user_id));
        Ok(row.ok_or(Refusal::NotFound { what: EntityKind::Reservation })?)
    }

    /// Reservations that match, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, ServiceError> {
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
    ) -> Result<Reply<Reservation>, ServiceError> {
        let done = self.run(caller, Command::CancelReservation { reservation_id }, key).await?;
        match done.value {
            Outcome::Cancelled(reservation) => Ok(Reply { value: reservation, replay: done.replay }),
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
    ) -> Result<Reply<Vec<Payment>>, ServiceError> {
        let done = self.run(caller, Command::Pay { token, reservation_ids }, key).await?;
        match done.value {
            Outcome::Paid(payments) => Ok(Reply { value: payments, replay: done.replay }),
            _ => Err(UNEXPECTED),
        }
    }

    /// A payment, for its user or an operator.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if it is not the caller's.
    pub async fn payment(&self, caller: Caller, id: PaymentId) -> Result<Payment, ServiceError> {
        let row = self.store.payment(id).await?.filter(|row| caller.may_act_for(row.user_id));
        Ok(row.ok_or(Refusal::NotFound { what: EntityKind::Payment })?)
    }

    /// Payments that match, newest first (결제내역조회).
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>, ServiceError> {
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
    ) -> Result<Reply<Payment>, ServiceError> {
        let done = self.run(caller, Command::Refund { payment_id }, key).await?;
        match done.value {
            Outcome::Refunded(payment) => Ok(Reply { value: payment, replay: done.replay }),
            _ => Err(UNEXPECTED),
        }
    }

    /// Tops up points (잔액충전).
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn top_up(
        &self,
        caller: Caller,
        user_id: UserId,
        amount: Money,
        reference: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<PointEntry>, ServiceError> {
        let done = self.run(caller, Command::TopUp { user_id, amount, reference }, key).await?;
        match done.value {
            Outcome::ToppedUp(entry) => Ok(Reply { value: entry, replay: done.replay }),
            _ => Err(UNEXPECTED),
        }
    }

    /// Corrects a balance. What cannot be taken becomes a debt.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn adjust(
        &self,
        caller: Caller,
        adjustment: NewAdjustment,
        key: Option<Idempotency>,
    ) -> Result<Reply<Adjusted>, ServiceError> {
        let done = self.run(caller, Command::Adjust(adjustment), key).await?;
        match done.value {
            Outcome::Adjusted { entry, debt } => Ok(Reply { value: Adjusted { entry, debt }, replay: done.replay }),
            _ => Err(UNEXPECTED),
        }
    }

    /// Debts that match, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, ServiceError> {
        Ok(self.store.debts(filter, page).await?)
    }

    /// Settles a debt.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn settle_debt(
        &self,
        caller: Caller,
        debt_id: DebtId,
        (how, reason): (Settlement, String),
        key: Option<Idempotency>,
    ) -> Result<Reply<Debt>, ServiceError> {
        // A debt never changes its user.
        let debt = self.store.debt(debt_id).await?.ok_or(Refusal::NotFound { what: EntityKind::Debt })?;
        let command = Command::SettleDebt { user_id: debt.user_id, debt_id, how, reason };
        let done = self.run(caller, command, key).await?;
        match done.value {
            Outcome::Debt(debt) => Ok(Reply { value: debt, replay: done.replay }),
            _ => Err(UNEXPECTED),
        }
    }

    /// A user's balance (잔액조회); none before the first movement.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn balance(&self, user: UserId) -> Result<Option<Point>, ServiceError> {
        Ok(self.store.point(user).await?)
    }

    /// A user's point history, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, ServiceError> {
        Ok(self.store.history(user, page).await?)
    }
}
