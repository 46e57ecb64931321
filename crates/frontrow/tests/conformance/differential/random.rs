//! Random commands: most of them of what is there at the time, so that many are accepted.

use super::USERS;
use frontrow_domain::{
    command::{
        Command, ConcertChange, Erasure, FactorConfirmation, FactorStep, Idempotency, LaneStep, NewAdjustment,
        NewBlock, NewConcert, NewPassword, OwnRoom, PasswordHash, Proof, Request, RoomChange, Settlements, Worth,
    },
    id::{AuditId, ConcertId, DebtId, EventId, PaymentId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{
        Fence, Gate, LaneEntry, LaneKind, LaneShare, OpeningOrder, RoomWeight, ShareScope, Silence, SilentToken, Token,
        TokenStatus, TurnOutlook,
    },
    money::Money,
    outbox::{Consumer, DeliveryError, LeaseHolder},
    points::Settlement,
    sale::{
        AgeRating, ConcertStatus, DetailsChange, Poster, PosterMark, PosterTag, ReservationStatus, SeatAction,
        SeatChange,
    },
    time::Span,
    user::{Caller, FactorProof, FactorSecret, LetterLanguage, LinkKind, NewUser, Role, Session, code_step},
};
use frontrow_storage::{EventFilter, PaymentFilter, ReservationFilter};
use frontrow_testkit::{
    START,
    fixture::{Fixture, first, new_concert, new_seat},
};
use rand::{RngExt, rngs::StdRng};
use uuid::Uuid;

fn user(rng: &mut StdRng) -> UserId {
    UserId(Uuid::from_u128(rng.random_range(1..=USERS)))
}

fn room(rng: &mut StdRng) -> RoomId {
    RoomId::new([0, 0, 0, 2, 2, 1][rng.random_range(0..6)])
}

fn token(rng: &mut StdRng) -> TokenId {
    TokenId { room_id: room(rng), position: Position(rng.random_range(1..=8)) }
}

fn seats(rng: &mut StdRng) -> Vec<SeatId> {
    (0..rng.random_range(1..=2)).map(|_| SeatId::new(rng.random_range(1..=14))).collect()
}

fn reservation(rng: &mut StdRng) -> ReservationId {
    ReservationId::new(rng.random_range(1..=25))
}

fn details(rng: &mut StdRng) -> DetailsChange {
    let minutes = |rng: &mut StdRng| [None, Some(None), Some(Some(rng.random_range(-1..=90)))][rng.random_range(0..3)];
    if rng.random_ratio(1, 2) {
        return DetailsChange::default();
    }
    DetailsChange {
        description: rng.random_ratio(1, 2).then(|| rng.random_ratio(2, 3).then(|| "두 시간.".repeat(500))),
        age_rating: rng.random_ratio(1, 2).then_some(Some(AgeRating::From12)),
        running_minutes: minutes(rng),
        doors_minutes: minutes(rng),
        ..DetailsChange::default()
    }
}

/// A poster of few, so that one often comes again.
fn picture(rng: &mut StdRng) -> Command {
    let concert_id = ConcertId::new(rng.random_range(1..=3));
    let byte = rng.random_range(0..=2);
    if byte == 0 {
        return Command::RemovePoster { concert_id, basis: None };
    }
    let mark = PosterMark { tag: PosterTag::of([byte; 32]), width: rng.random_range(0..=2), height: 7 };
    Command::SetPoster { poster: Poster { concert_id, mark, jpeg: vec![byte; 50].into() }, basis: None }
}

fn operator(rng: &mut StdRng) -> Command {
    if rng.random_ratio(1, 100) {
        let concert_id = ConcertId::new(rng.random_range(2..=4));
        return if rng.random_ratio(1, 2) {
            Command::CancelConcert { concert_id, reason: "The singer is ill.".to_owned(), basis: None }
        } else {
            Command::RefundConcert { concert_id, basis: rng.random_ratio(1, 4).then_some(START) }
        };
    }
    if rng.random_ratio(1, 10) {
        let (room_id, user_id, reason) = (room(rng), user(rng), "A program joined.".to_owned());
        let until = [None, Some(START), Some(START.plus(Span::from_secs(rng.random_range(1..=900))))];
        return match rng.random_range(0..4) {
            0 => Command::RemoveFromLine { room_id, user_id, reason },
            1 => Command::BlockFromLine(NewBlock { room_id, user_id, reason, until: until[rng.random_range(0..3)] }),
            _ => Command::UnblockFromLine { room_id, user_id },
        };
    }
    if rng.random_ratio(1, 12) {
        return picture(rng);
    }
    match rng.random_range(0..10) {
        0 => Command::CreateConcert(NewConcert {
            // One in three is refused after it took an id.
            own_room_max_active: [None, Some(3), Some(-1)][rng.random_range(0..3)],
            details: details(rng),
            ..new_concert()
        }),
        1 => Command::UpdateConcert {
            concert_id: ConcertId::new(rng.random_range(1..=3)),
            change: ConcertChange {
                status: Some(match rng.random_range(0..8) {
                    0 => ConcertStatus::Closed,
                    1 => ConcertStatus::Postponed,
                    _ => ConcertStatus::Scheduled,
                }),
                concert_date: rng.random_ratio(1, 4).then(|| jiff::civil::date(2027, 3, rng.random_range(1..=9))),
                closes_at: [None, Some(None), Some(new_concert().closes_at)][rng.random_range(0..3)],
                base_price: Some(Money::new(rng.random_range(-1..=5))),
                own_room: rng.random_ratio(1, 8).then(|| own_room(rng)),
                details: details(rng),
                ..Default::default()
            },
            basis: rng.random_ratio(1, 10).then_some(START),
            reason: rng.random_ratio(9, 10).then(|| "the hall asks for it".to_owned()),
        },
        2 => Command::AddSeats {
            concert_id: ConcertId::new(rng.random_range(1..=3)),
            seats: vec![new_seat(rng.random_range(1..=30))],
        },
        3 => Command::SetSeats {
            within: rng.random_ratio(1, 4).then(|| ConcertId::new(rng.random_range(1..=2))),
            seat_ids: seats(rng),
            action: if rng.random_ratio(2, 3) {
                SeatAction::Block { reason: "camera".to_owned() }
            } else {
                SeatAction::FREE
            },
        },
        4 => Command::ChangeSeats {
            concert_id: ConcertId::new(rng.random_range(1..=2)),
            seat_ids: seats(rng),
            change: SeatChange {
                price: Some(Money::new(rng.random_range(-1..=5))),
                number: rng.random_ratio(1, 2).then(|| rng.random_range(1..=30).to_string()),
                ..SeatChange::default()
            },
            reason: rng.random_ratio(1, 2).then(|| "printed wrong".to_owned()),
        },
        // Not the last of those that are there from the start: the numbers of two databases would part.
        5 => Command::RemoveSeats {
            concert_id: ConcertId::new(rng.random_range(1..=2)),
            seat_ids: vec![SeatId::new(rng.random_range(1..=11))],
            reason: rng.random_ratio(1, 2).then(|| "the stage is larger".to_owned()),
        },
        6 => Command::Adjust(NewAdjustment {
            user_id: user(rng),
            amount: Money::new(rng.random_range(-300_000..=100_000)),
            reason: "chargeback".to_owned(),
            reference: format!("adjustment-{}", rng.random_range(0..20)),
        }),
        7 => Command::SettleDebt {
            user_id: user(rng),
            debt_id: DebtId::new(rng.random_range(1..=3)),
            how: if rng.random_ratio(1, 4) { Settlement::Waive } else { Settlement::Collect },
            reason: "as agreed".to_owned(),
        },
        _ => Command::SetRoom {
            room_id: room(rng),
            change: RoomChange {
                max_active: Some(rng.random_range(1..=4)),
                admit_per_minute: Some(if rng.random_ratio(1, 3) { Some(120) } else { None }),
                gate: Some(if rng.random_ratio(1, 6) { Gate::Paused } else { Gate::Open }),
                message: None,
                ..RoomChange::default()
            },
            basis: rng.random_ratio(1, 10).then_some(START),
            reason: rng.random_ratio(9, 10).then(|| "the hall is full".to_owned()),
        },
    }
}

/// The rows of a user at the time, so that commands often name something of their own.
struct Own {
    tokens: Vec<Token>,
    reservations: Vec<ReservationId>,
    payments: Vec<PaymentId>,
}

impl Own {
    async fn of(office: &Fixture, user: UserId) -> Self {
        let pending =
            ReservationFilter { user: Some(user), status: Some(ReservationStatus::Pending), ..Default::default() };
        let paid = PaymentFilter { user: Some(user), ..Default::default() };
        let reservations = office.store.reservations(&pending, first(10)).await.unwrap();
        let payments = office.store.payments(&paid, first(10)).await.unwrap();
        Self {
            tokens: office.store.live_tokens(user).await.unwrap(),
            reservations: reservations.iter().map(|row| row.reservation_id).collect(),
            payments: payments.iter().map(|row| row.payment_id).collect(),
        }
    }
}

fn one_of<T: Copy>(rng: &mut StdRng, list: &[T]) -> Option<T> {
    (!list.is_empty()).then(|| list[rng.random_range(0..list.len())])
}

fn buyer(rng: &mut StdRng, user_id: UserId, own: &Own) -> Command {
    let live = one_of(rng, &own.tokens);
    let reservation = one_of(rng, &own.reservations).unwrap_or_else(|| reservation(rng));
    let pay = |token| Command::Pay { token, reservation_ids: vec![reservation] };
    match live {
        Some(token) if token.status() == TokenStatus::Offered && rng.random_ratio(3, 4) => {
            return Command::ActivateToken { token: token.id };
        }
        Some(token) if token.status() == TokenStatus::Active && rng.random_ratio(3, 4) => {
            return if rng.random_ratio(1, 2) { pay(token.id) } else { hold(rng, token.id) };
        }
        _ => {}
    }
    let token = live.filter(|_| rng.random_ratio(7, 8)).map_or_else(|| token(rng), |token| token.id);
    match rng.random_range(0..14) {
        0..4 => {
            let room_id = room(rng);
            Command::IssueToken { room_id, concert_id: room_id.concert() }
        }
        4 => Command::ActivateToken { token },
        5 => Command::LeaveQueue { token },
        6 => Command::WakeToken { token },
        13 => {
            let holds_made =
                if rng.random_ratio(3, 4) { live.map_or(0, |token| token.holds) } else { rng.random_range(0..3) };
            Command::GoAway { token, holds: vec![reservation], holds_made }
        }
        7 => hold(rng, token),
        8 => pay(token),
        9 | 12 => {
            let reason = rng.random_ratio(1, 2).then(|| "as agreed".to_owned());
            Command::CancelReservation { reservation_id: reservation, reason }
        }
        10 => {
            let payment = one_of(rng, &own.payments);
            let payment_id = payment.unwrap_or_else(|| PaymentId::new(rng.random_range(1..=10)));
            Command::Refund { payment_id, reason: rng.random_ratio(1, 2).then(|| "as agreed".to_owned()) }
        }
        _ => Command::TopUp {
            user_id,
            amount: Money::new(rng.random_range(1..=300_000)),
            reference: rng.random_ratio(1, 8).then(|| format!("pg-{}", rng.random_range(0..20))),
        },
    }
}

/// Seats 1 to 6 are of the house room's concert, 7 to 12 of the one with its own room.
fn hold(rng: &mut StdRng, token: TokenId) -> Command {
    let first = if token.room_id == RoomId::HOUSE { 1 } else { 7 };
    let mut seat_ids = seats(rng);
    if rng.random_ratio(7, 8) {
        seat_ids = vec![SeatId::new(rng.random_range(first..first + 6))];
    }
    Command::Hold { token, seat_ids }
}

fn system(rng: &mut StdRng, number: usize) -> Command {
    if rng.random_ratio(1, 10) {
        return Command::WindUp {
            concert_id: ConcertId::new(rng.random_range(1..=3)),
            seat_ids: seats(rng),
            payment_ids: (0..3).map(|_| PaymentId::new(rng.random_range(1..=20))).collect(),
        };
    }
    match rng.random_range(0..9) {
        0 => Command::ExpireHolds { reservation_ids: (0..12).map(|_| reservation(rng)).collect() },
        1 => {
            let secret_hash = [u8::try_from(number % 5).unwrap(); 32];
            let session = Session {
                secret_hash,
                user_id: user(rng),
                role: Role::Buyer,
                expires_at: START,
                created_at: START,
                client: None,
            };
            Command::OpenSession { session, epoch: 0 }
        }
        2 => Command::CloseSession { secret_hash: [u8::try_from(number % 5).unwrap(); 32] },
        3 => Command::Register(NewUser {
            user_id: UserId(Uuid::from_u128(rng.random_range(1..=2 * USERS))),
            name: "Again".to_owned(),
            email: format!("{}@example.com", rng.random_range(1..=2 * USERS)),
            password_hash: String::new(),
            role: Role::Buyer,
        }),
        4 => Command::TopUp {
            user_id: user(rng),
            amount: Money::new(rng.random_range(1..=300_000)),
            reference: Some(format!("pg-{}", rng.random_range(0..20))),
        },
        _ => Command::AdvanceRoom {
            fence: Fence(0),
            room_id: room(rng),
            limit: rng.random_range(1..=4),
            unresponsive: (0..rng.random_range(0..5)).map(|_| silent_token(rng)).collect(),
            outlook: rng.random_bool(0.5).then(|| TurnOutlook {
                turns: rng.random_range(0..4),
                coming_ppm: rng.random_range(0..3_000_000),
                shows_ppm: rng.random_range(0..=1_000_000),
                leaving_ppm: rng.random_range(0..3_000_000),
            }),
        },
    }
}

/// Commands about accounts: seldom about a buyer's.
async fn account(rng: &mut StdRng, office: &Fixture) -> (Caller, Command) {
    let user_id =
        if rng.random_ratio(1, 4) { user(rng) } else { UserId(Uuid::from_u128(rng.random_range(1..=2 * USERS))) };
    let caller = match rng.random_range(0..4) {
        0 => Caller::Buyer(user_id),
        1 => Caller::Operator(user(rng)),
        _ => Caller::System,
    };
    // Proofs are seldom out of date, and most links are the latest.
    let found = office.store.user(user_id).await.unwrap();
    let epoch = found.map_or(0, |user| user.sign_in_epoch) - i64::from(rng.random_ratio(1, 4));
    let proof = if caller == Caller::System { Proof::Unneeded } else { Proof::Password(epoch) };
    let secret_hash = [rng.random_range(0..5); 32];
    let link = [rng.random_range(0..2); 32];
    let password_hash = PasswordHash(format!("hash {}", rng.random_range(0..1_000)));
    let letter = LinkKind::ALL[rng.random_range(0..2)];
    let command = match rng.random_range(0..27) {
        20 | 21 => Command::RequestLetter { user_id, letter, language: LetterLanguage::Korean },
        22 | 23 => Command::IssueLetterLink { user_id, letter, secret_hash: link },
        24 | 25 => Command::ConfirmEmail { user_id, secret_hash: link },
        26 => Command::EndSession { secret_hash },
        0 | 1 => {
            let session =
                Session { secret_hash, user_id, role: Role::Buyer, expires_at: START, created_at: START, client: None };
            Command::OpenSession { session, epoch }
        }
        2 | 3 => Command::CloseSessions { user_id },
        4 | 5 => Command::LockUser { user_id, reason: rng.random_ratio(1, 2).then(|| "as agreed".to_owned()) },
        6 | 7 => Command::UnlockUser { user_id },
        8..10 => Command::IssueResetLink { user_id, secret_hash: link },
        10..14 => Command::RedeemResetLink { user_id, secret_hash: link, password_hash },
        14 | 15 => {
            let kept_session = rng.random_ratio(1, 2).then_some(secret_hash);
            Command::SetPassword(NewPassword { user_id, password_hash, proof, kept_session })
        }
        _ => {
            let own = Own::of(office, user_id).await;
            let worth = if rng.random_ratio(3, 4) { Worth::Abandoned } else { Worth::Kept };
            let tokens = own.tokens.iter().map(|token| token.id).collect();
            Command::EraseUser(Erasure {
                user_id,
                proof,
                idle_since: None,
                worth,
                tokens,
                reservations: own.reservations,
            })
        }
    };
    (caller, command)
}

/// A sharing, or a change of what is shared.
pub(super) fn sharing(rng: &mut StdRng) -> Request {
    let set = |room_id, change| Command::SetRoom { room_id, change, basis: None, reason: Some("a rush".to_owned()) };
    let (of_lane, buyer) = (room(rng).lane(LaneKind::Invitation), user(rng));
    let command = match rng.random_range(0..12) {
        8 => {
            let share = LaneShare::try_from(rng.random_range(1..=50));
            let reason = rng.random_bool(0.8).then(|| "a rush".to_owned());
            let step = match rng.random_range(0..3) {
                0 => LaneStep::Open { share: share.unwrap(), reason },
                1 => LaneStep::Set { share: share.ok(), entry: None, reason },
                _ => LaneStep::Set { share: None, entry: Some(LaneEntry::Ended), reason },
            };
            Command::StepLane { room_id: of_lane, step }
        }
        9 => {
            let step = match rng.random_range(0..3) {
                0 => LaneStep::RemoveGuest { user_id: buyer },
                _ => LaneStep::AddGuest { user_id: buyer },
            };
            Command::StepLane { room_id: of_lane, step }
        }
        10 => {
            let command = Command::IssueToken { room_id: of_lane, concert_id: of_lane.concert() };
            return Request { caller: Caller::Buyer(buyer), command, idempotency: None };
        }
        11 => Command::AdvanceRoom {
            fence: Fence(0),
            room_id: of_lane,
            limit: 4,
            unresponsive: Vec::new(),
            outlook: None,
        },
        0 => {
            let budget = [None, Some(0), Some(2), Some(3), Some(6)][rng.random_range(0..5)];
            set(RoomId::HOUSE, RoomChange { house_budget: Some(budget), ..RoomChange::default() })
        }
        1 => {
            let weight = RoomWeight::try_from(rng.random_range(1..=3)).ok();
            set(room(rng), RoomChange { weight, ..RoomChange::default() })
        }
        2 => Command::Share { scope: ShareScope::Line(room(rng)), waiting: vec![(room(rng), 3)] },
        _ => {
            let rooms = [RoomId::HOUSE, RoomId::new(2), of_lane];
            let waiting = rooms.map(|room| (room, rng.random_range(0..4)));
            Command::Share { scope: ShareScope::House, waiting: waiting.to_vec() }
        }
    };
    Request { caller: Caller::System, command, idempotency: None }
}

/// A command about a second factor, or the role that has one.
pub(super) async fn factor(rng: &mut StdRng, office: &Fixture) -> Request {
    let user_id = user(rng);
    let epoch = office.store.user(user_id).await.unwrap().map_or(0, |user| user.sign_in_epoch);
    let is_own = rng.random_ratio(1, 2);
    let caller = if is_own { Caller::Operator(user_id) } else { Caller::System };
    let proof = if is_own { Proof::Password(epoch) } else { Proof::Unneeded };
    let step = code_step(office.clock.now()) + rng.random_range(-1..=2);
    let code_hash = [rng.random_range(0..3); 32];
    let shown = if rng.random_ratio(1, 2) { FactorProof::Code { step } } else { FactorProof::Recovery { code_hash } };
    let secret_hash = [rng.random_range(0..5); 32];
    // Most secrets are the latest.
    let secret = FactorSecret([rng.random_range(0..2); 20]);
    let recovery = vec![[0; 32], [1; 32], [2; 32]];
    let role = [Role::Operator, Role::Viewer, Role::Viewer, Role::Buyer][rng.random_range(0..4)];
    let command = match rng.random_range(0..16) {
        0..3 => Command::SetRole { user_id, role },
        3..6 => Command::ChangeFactor { user_id, step: FactorStep::Enrol { secret } },
        6..10 => {
            let confirmed = FactorConfirmation { secret, step, recovery, proof, kept_session: secret_hash };
            Command::ChangeFactor { user_id, step: FactorStep::Confirm(confirmed) }
        }
        10..12 => {
            let session = Session {
                secret_hash,
                user_id,
                role: Role::Operator,
                expires_at: START,
                created_at: START,
                client: None,
            };
            Command::OpenSessionWithFactor { session, epoch, proof: shown }
        }
        12 => Command::ChangeFactor { user_id, step: FactorStep::RenewCodes { proof: shown, recovery } },
        13 => Command::ChangeFactor { user_id, step: FactorStep::Remove { proof: shown } },
        14 => Command::ChangeFactor { user_id, step: FactorStep::NoteWrongCode },
        _ if rng.random_ratio(1, 2) => Command::ChangeFactor { user_id, step: FactorStep::Reset },
        _ => Command::ChangeFactor { user_id, step: FactorStep::Decline },
    };
    Request { caller, command, idempotency: None }
}

/// What the workers of two instances do with the outbox, and an operator.
async fn outbox(rng: &mut StdRng, office: &Fixture) -> Command {
    let events = office.store.outbox(EventFilter::All, first(6)).await.unwrap();
    let holder = LeaseHolder(Uuid::from_u128(rng.random_range(1..=2)));
    let consumer = Consumer::ALL[rng.random_range(0..2)];
    let some = |rng: &mut StdRng| {
        let ids = events.iter().map(|event| event.event_id);
        ids.filter(|_| rng.random_ratio(1, 2)).collect::<Vec<_>>()
    };
    match rng.random_range(0..6) {
        0 | 1 => Command::ClaimEvents { consumer, holder },
        2 | 3 => {
            let error = DeliveryError::new("away");
            let failed = some(rng).into_iter().map(|id| (id, error.clone())).collect();
            Command::SettleEvents(Settlements { consumer, holder, delivered: some(rng), failed })
        }
        4 => Command::RetryEvent { event_id: some(rng).pop().unwrap_or(EventId::new(9_999)) },
        _ => Command::FeedAudit { audit_id: AuditId::new(rng.random_range(1..=30)) },
    }
}

/// A command of a buyer, an operator or the box office, often with a key.
pub(super) async fn random_request(rng: &mut StdRng, number: usize, office: &Fixture) -> Request {
    let (caller, command) = match rng.random_range(0..10) {
        0 if rng.random_ratio(1, 2) => account(rng, office).await,
        0 if rng.random_ratio(1, 3) => (Caller::System, outbox(rng, office).await),
        0 => (Caller::System, operator(rng)),
        1..4 => (Caller::System, system(rng, number)),
        _ => {
            let user = user(rng);
            let own = Own::of(office, user).await;
            (Caller::Buyer(user), buyer(rng, user, &own))
        }
    };
    // Few keys, so that some come again, with the same request or with another one.
    let idempotency = rng
        .random_ratio(1, 2)
        .then(|| Idempotency { key: [rng.random_range(0..200); 32], fingerprint: [rng.random_range(0..2); 32] });
    Request { caller, command, idempotency }
}

fn silent_token(rng: &mut StdRng) -> SilentToken {
    let silence = if rng.random_ratio(1, 2) { Silence::Away } else { Silence::Unheard };
    SilentToken { position: Position(rng.random_range(1..=24)), silence }
}

fn own_room(rng: &mut StdRng) -> OwnRoom {
    let opening = [None, Some(OpeningOrder::Draw), Some(OpeningOrder::FirstCome)][rng.random_range(0..3)];
    OwnRoom { max_active: 3, admit_per_minute: [None, Some(60)][rng.random_range(0..2)], opening }
}
