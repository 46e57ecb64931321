//! A second box office, far simpler than the first and written another way: who owns each seat until when, what each
//! user has as a plain sum, which tokens may be used until when. It says what each command must be answered with.

use super::{CLOSES, DAY, ENDS, HOUSE, OWN, SHOW, at};
use frontrow_domain::{
    command::{Answer, Command, Issue, NewBlock, Outcome, Replay, Request},
    id::{ReservationId, RoomId, SeatId, TokenId, UserId},
    line::TokenStatus,
    model::Model,
    policy::{AWAY_GRACE, Policy},
    sale::{ConcertStatus, SeatAction, SeatStatus},
    time::{Span, Time},
    user::Caller,
};
use std::collections::{BTreeMap, BTreeSet};

/// A seat's owner; `until` is none once it is sold.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Owner {
    user: UserId,
    until: Option<Time>,
}

#[derive(Debug, Clone)]
struct SeatBook {
    concert: i64,
    price: i128,
    blocked: bool,
    owner: Option<Owner>,
    /// The user who gave it up last, and when.
    let_go: Option<(UserId, Time)>,
}

#[derive(Debug, Clone, Copy)]
struct HoldBook {
    user: UserId,
    seat: SeatId,
    until: Time,
    open: bool,
}

#[derive(Debug, Clone)]
struct PaidBook {
    user: UserId,
    seat: SeatId,
    amount: i128,
    refunded: bool,
}

/// The life of an active token.
#[derive(Debug, Clone, Copy)]
struct Pass {
    user: UserId,
    from: Time,
    until: Time,
    /// What it has again once it is heard of, while its client is away.
    back: Option<Time>,
    holds: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Oracle {
    policy: Policy,
    seats: BTreeMap<SeatId, SeatBook>,
    holds: BTreeMap<ReservationId, HoldBook>,
    paid: BTreeMap<i64, PaidBook>,
    balances: BTreeMap<UserId, i128>,
    topped_up: i128,
    references: BTreeSet<String>,
    passes: BTreeMap<TokenId, Pass>,
    caps: BTreeMap<RoomId, i64>,
    opens: BTreeMap<i64, Time>,
    closed: BTreeSet<i64>,
    answers: BTreeMap<[u8; 32], FirstAnswer>,
}

/// The first answer under a key.
#[derive(Debug, Clone)]
struct FirstAnswer {
    fingerprint: [u8; 32],
    answer: serde_json::Value,
    kept: Stored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Yes,
    No,
    /// It is kept if it changed something, which this box office does not know.
    IfItChanged,
}

/// Refusals that a repeated key must get again.
const KEPT: [&str; 9] = [
    "sale_closed",
    "seat_held",
    "seat_held_by_you",
    "seat_sold",
    "seat_blocked",
    "seat_in_use",
    "too_many_seats",
    "insufficient_points",
    "balance_too_large",
];

impl Oracle {
    /// Beside a box office in which nothing has been sold yet.
    pub(crate) fn beside(model: &Model, policy: Policy) -> Self {
        let seat = |seat: &frontrow_domain::sale::Seat| SeatBook {
            concert: seat.concert_id.get(),
            price: i128::from(seat.price.get()),
            blocked: seat.status() == SeatStatus::Blocked,
            owner: None,
            let_go: None,
        };
        Self {
            policy,
            seats: model.seats.values().map(|row| (row.seat_id, seat(row))).collect(),
            holds: BTreeMap::new(),
            paid: BTreeMap::new(),
            balances: BTreeMap::new(),
            topped_up: 0,
            references: BTreeSet::new(),
            passes: BTreeMap::new(),
            caps: model.rooms.values().map(|room| (room.room_id, room.max_active)).collect(),
            opens: model.concerts.values().map(|row| (row.concert_id.get(), row.opens_at)).collect(),
            closed: BTreeSet::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Observes an answer, says whether it had to be that one, and applies what it did.
    pub(crate) fn observe(&mut self, request: &Request, answer: &Answer, now: Time) {
        let code = answer.decision.as_ref().err().map_or("", |refusal| refusal.code());
        if let Some(used) = request.idempotency {
            let answered = serde_json::to_value(&answer.decision).expect("an answer is JSON");
            if let Some(first) = self.answers.get(&used.key) {
                if first.fingerprint == used.fingerprint && answer.replay == Replay::Replayed {
                    assert_eq!(answered, first.answer, "{request:?} was answered before");
                    return;
                }
                if first.fingerprint != used.fingerprint && code == "idempotency_key_reused" {
                    return;
                }
                assert_eq!(first.kept, Stored::IfItChanged, "{request:?} was answered before");
            }
            let kept = match &answer.decision {
                Ok(outcome) => self.is_stored(request, outcome, now),
                Err(_) if KEPT.contains(&code) => Stored::Yes,
                Err(_) => Stored::No,
            };
            if kept != Stored::No {
                self.answers.insert(used.key, FirstAnswer { fingerprint: used.fingerprint, answer: answered, kept });
            }
        }
        assert_eq!(answer.replay, Replay::Fresh, "{request:?} was never asked before");
        let must = self.must(request, code, now);
        if let Some(must) = must {
            assert_eq!(answer.decision.is_ok(), must, "{request:?} at {now}: {:?}", answer.decision);
        }
        if let Ok(outcome) = &answer.decision {
            self.take_in(request, outcome, now);
        }
    }

    /// Whether what was granted changed something, so that its answer is kept.
    fn is_stored(&self, request: &Request, outcome: &Outcome, now: Time) -> Stored {
        match (&request.command, outcome) {
            (_, Outcome::TurnPending(_)) => Stored::No,
            (Command::ActivateToken { token }, _) if self.pass(*token, now).is_some_and(|pass| pass.back.is_some()) => {
                Stored::Yes
            }
            (Command::ActivateToken { token }, _) if self.pass(*token, now).is_some() => Stored::No,
            (
                _,
                Outcome::Joined { issue: Issue::Existing, .. } | Outcome::HoldsExpired(_) | Outcome::Advanced { .. },
            )
            | (
                Command::LeaveQueue { .. }
                | Command::GoAway { .. }
                | Command::WakeToken { .. }
                | Command::RemoveFromLine { .. }
                | Command::BlockFromLine(_)
                | Command::UnblockFromLine { .. }
                | Command::ClaimEvents { .. }
                | Command::SettleEvents(_)
                | Command::FeedAudit { .. }
                | Command::RetryEvent { .. },
                _,
            ) => Stored::IfItChanged,
            _ => Stored::Yes,
        }
    }

    /// Whether the command must be granted; none if this simple box office does not know.
    /// Asserts that a refusal names a cause that is there.
    fn must(&self, request: &Request, code: &str, now: Time) -> Option<bool> {
        let caller = request.caller;
        let runs = matches!(caller, Caller::Operator(_) | Caller::System);
        match &request.command {
            Command::Hold { token, seat_ids } => Some(self.must_hold(caller, *token, seat_ids, code, now)),
            Command::Pay { token, reservation_ids } => Some(self.must_pay(caller, *token, reservation_ids, code, now)),
            Command::CancelReservation { reservation_id, .. } => {
                let hold = self.holds.get(reservation_id).filter(|hold| runs || Some(hold.user) == caller.user_id());
                Some(hold.is_some_and(|hold| hold.open && now < hold.until))
            }
            Command::Refund { payment_id, .. } => {
                let paid = self.paid.get(&payment_id.get());
                let mine = paid.filter(|paid| runs || Some(paid.user) == caller.user_id());
                let in_time = runs || now < at(SHOW - DAY);
                Some(mine.is_some_and(|paid| !paid.refunded && in_time))
            }
            Command::TopUp { user_id, amount, reference } => {
                let own = caller.user_id() == Some(*user_id);
                let allowed = if reference.is_some() { runs } else { own };
                let new = reference.as_ref().is_none_or(|reference| !self.references.contains(reference));
                let in_bounds = (self.policy.top_up_min..=self.policy.top_up_max).contains(amount);
                let sum = self.balance(*user_id) + i128::from(amount.get());
                let fits = sum <= i128::from(self.policy.balance_max.get());
                Some(allowed && new && in_bounds && fits)
            }
            Command::SetSeats { seat_ids, .. } => {
                Some(runs && seat_ids.iter().all(|seat| self.owner(*seat, now).is_none()))
            }
            _ => None,
        }
    }

    fn must_hold(&self, caller: Caller, token: TokenId, seats: &[SeatId], code: &str, now: Time) -> bool {
        let user = caller.user_id();
        let once_each = seats.iter().collect::<BTreeSet<_>>().len() == seats.len();
        let Some(concert) = self.one_concert(seats).filter(|_| once_each) else { return false };
        let owners = || seats.iter().filter_map(|seat| self.owner(*seat, now));
        let sold = owners().any(|owner| owner.until.is_none());
        let held =
            |by_caller: bool| owners().any(|owner| owner.until.is_some() && (Some(owner.user) == user) == by_caller);
        let blocked = seats.iter().any(|seat| self.seats[seat].blocked);
        let mine = |book: &&SeatBook| {
            book.concert == concert && book.owner.is_some_and(|owner| Some(owner.user) == user && owner.lives(now))
        };
        let too_many = self.seats.values().filter(mine).count() + seats.len() > self.policy.max_seats_per_user as usize;
        let closed = self.closed.contains(&concert) || now >= at(CLOSES);
        let early = now < self.opens[&concert];
        let cools = seats.iter().any(|seat| {
            let (user_id, at) = match &self.seats[seat] {
                SeatBook { owner: Some(Owner { user, until: Some(until) }), .. } => (*user, *until),
                SeatBook { let_go: Some(let_go), .. } => *let_go,
                _ => return false,
            };
            Some(user_id) == user && now < at.plus(self.policy.seat_cooldown)
        });
        let pass = self.pass(token, now);
        let late = pass.is_some_and(|pass| now >= pass.from.plus(self.policy.active_limit));
        let often = pass.is_some_and(|pass| pass.holds >= self.policy.holds_per_turn);
        let causes = [
            ("seat_cooling_down", cools),
            ("turn_time_over", late),
            ("too_many_holds", often),
            ("seat_held", held(false)),
            ("seat_held_by_you", held(true)),
            ("seat_sold", sold),
            ("seat_blocked", blocked),
            ("too_many_seats", too_many),
            ("sale_closed", closed),
            ("sale_not_open", early),
        ];
        assert!(causes.iter().all(|(name, cause)| *name != code || *cause), "{code} without a cause");
        self.may_use(caller, token, concert, now) && causes.iter().all(|(_, cause)| !cause)
    }

    fn must_pay(&self, caller: Caller, token: TokenId, ids: &[ReservationId], code: &str, now: Time) -> bool {
        let holds: Option<Vec<_>> = ids.iter().map(|id| self.holds.get(id).copied()).collect();
        let Some(holds) = holds.filter(|holds| holds.iter().all(|hold| Some(hold.user) == caller.user_id())) else {
            return false;
        };
        let seats: Vec<_> = holds.iter().map(|hold| hold.seat).collect();
        let Some(concert) = self.one_concert(&seats) else { return false };
        let price: i128 = seats.iter().map(|seat| self.seats[seat].price).sum();
        let causes = [
            ("hold_expired", holds.iter().any(|hold| now >= hold.until)),
            ("reservation_not_pending", holds.iter().any(|hold| !hold.open)),
            ("insufficient_points", caller.user_id().is_some_and(|user| self.balance(user) < price)),
            ("sale_closed", self.closed.contains(&concert) || now >= at(ENDS)),
        ];
        assert!(causes.iter().all(|(name, cause)| *name != code || *cause), "{code} without a cause");
        self.may_use(caller, token, concert, now) && causes.iter().all(|(_, cause)| !cause)
    }

    fn take_in(&mut self, request: &Request, outcome: &Outcome, now: Time) {
        match (&request.command, outcome) {
            (Command::ActivateToken { token }, Outcome::Token(row)) if self.pass(*token, now).is_none() => {
                let room = token.room_id;
                let active = self.passes.iter().filter(|(id, pass)| id.room_id == room && pass.lives(now)).count();
                assert!(i64::try_from(active).is_ok_and(|active| active < self.caps[&room]), "room {room} is full");
                let until = now.plus(self.policy.idle_span());
                self.passes.insert(*token, Pass { user: row.user_id, from: now, until, back: None, holds: 0 });
            }
            (Command::ActivateToken { token }, _) => self.come_back(*token, now),
            (Command::IssueToken { .. }, Outcome::Joined { token, .. }) => self.come_back(token.id, now),
            (Command::GoAway { token, .. }, _) => self.go_away(*token, now),
            (Command::WakeToken { token }, _) => self.renew(*token, None, now),
            (Command::LeaveQueue { token }, _) => {
                self.passes.remove(token);
            }
            (
                Command::RemoveFromLine { room_id, user_id, .. }
                | Command::BlockFromLine(NewBlock { room_id, user_id, .. }),
                _,
            ) => self.passes.retain(|id, pass| id.room_id != *room_id || pass.user != *user_id),
            (Command::Hold { token, .. }, Outcome::Held(rows)) => {
                let until = now.plus(self.policy.hold);
                for row in rows {
                    let book = self.seats.get_mut(&row.seat_id).expect("a known seat");
                    assert_eq!((i128::from(row.price.get()), row.expires_at), (book.price, until));
                    book.owner = Some(Owner { user: row.user_id, until: Some(until) });
                    book.let_go = None;
                    let hold = HoldBook { user: row.user_id, seat: row.seat_id, until, open: true };
                    assert!(self.holds.insert(row.reservation_id, hold).is_none(), "a reservation's id came again");
                }
                self.renew(*token, Some(until), now);
            }
            (Command::CancelReservation { reservation_id, .. }, _) => {
                let seat = self.close(*reservation_id);
                let book = self.seats.get_mut(&seat).expect("a known seat");
                let owner = book.owner.take().map(|owner| (owner.user, now));
                book.let_go = owner.filter(|(user, _)| Some(*user) == request.caller.user_id());
            }
            (Command::Pay { token, .. }, Outcome::Paid(rows)) => {
                for row in rows {
                    let seat = self.close(row.reservation_id);
                    let amount = i128::from(row.amount.get());
                    let book = self.seats.get_mut(&seat).expect("a known seat");
                    assert_eq!(book.price, amount);
                    book.owner = Some(Owner { user: row.user_id, until: None });
                    *self.balances.entry(row.user_id).or_default() -= amount;
                    let paid = PaidBook { user: row.user_id, seat, amount, refunded: false };
                    assert!(self.paid.insert(row.payment_id.get(), paid).is_none(), "a payment's id came again");
                }
                self.passes.remove(token);
            }
            (Command::Refund { payment_id, .. }, _) => {
                let paid = self.paid.get_mut(&payment_id.get()).expect("a known payment");
                paid.refunded = true;
                *self.balances.entry(paid.user).or_default() += paid.amount;
                let book = self.seats.get_mut(&paid.seat).expect("a known seat");
                book.owner = None;
                book.let_go = Some((paid.user, now)).filter(|(user, _)| Some(*user) == request.caller.user_id());
                book.blocked = self.closed.contains(&book.concert) || now >= at(CLOSES);
            }
            (Command::TopUp { user_id, amount, reference }, _) => {
                *self.balances.entry(*user_id).or_default() += i128::from(amount.get());
                self.topped_up += i128::from(amount.get());
                self.references.extend(reference.clone());
            }
            (Command::SetSeats { seat_ids, action, .. }, _) => {
                for seat in seat_ids {
                    let book = self.seats.get_mut(seat).expect("a known seat");
                    book.blocked = matches!(action, SeatAction::Block { .. });
                    book.owner = None;
                    book.let_go = None;
                }
            }
            (Command::UpdateConcert { concert_id, change, .. }, _) => {
                match change.status {
                    Some(ConcertStatus::Closed) => self.closed.insert(concert_id.get()),
                    _ => self.closed.remove(&concert_id.get()),
                };
            }
            (Command::SetRoom { room_id, change, .. }, _) => {
                self.caps.extend(change.max_active.map(|cap| (*room_id, cap)));
            }
            _ => {}
        }
    }

    /// Compares the two box offices.
    pub(crate) fn compare(&self, model: &Model, now: Time) {
        for (id, book) in &self.seats {
            let seat = &model.seats[id];
            let row = seat.reservation_id().map(|id| &model.reservations[&id]).filter(|row| {
                seat.status() == SeatStatus::Sold || (seat.status() == SeatStatus::Held && row.expires_at > now)
            });
            let until = row.map(|row| Some(row.expires_at).filter(|_| seat.status() == SeatStatus::Held));
            let owner = row.zip(until).map(|(row, until)| Owner { user: row.user_id, until });
            assert_eq!(owner, self.owner(*id, now), "seat {id}");
            assert_eq!(seat.status() == SeatStatus::Blocked, book.blocked, "seat {id}");
        }
        for user in model.users.keys() {
            let balance = model.points.get(user).map_or(0, |point| i128::from(point.amount.get()));
            assert_eq!(balance, self.balance(*user), "user {user}");
        }
        let spent: i128 = self.paid.values().filter(|paid| !paid.refunded).map(|paid| paid.amount).sum();
        let total: i128 = model.points.values().map(|point| i128::from(point.amount.get())).sum();
        assert_eq!(total, self.topped_up - spent, "money came or went");
        let active = model.tokens.values().filter(|row| row.status() == TokenStatus::Active);
        let active = active.filter_map(|row| row.deadline().filter(|end| *end > now).map(|end| (row.id, end)));
        let passes = self.passes.iter().filter(|(_, pass)| pass.lives(now)).map(|(id, pass)| (*id, pass.until));
        assert_eq!(active.collect::<Vec<_>>(), passes.collect::<Vec<_>>(), "the active tokens and their ends");
    }

    fn balance(&self, user: UserId) -> i128 {
        self.balances.get(&user).copied().unwrap_or(0)
    }

    fn owner(&self, seat: SeatId, now: Time) -> Option<Owner> {
        self.seats.get(&seat)?.owner.filter(|owner| owner.lives(now))
    }

    fn one_concert(&self, seats: &[SeatId]) -> Option<i64> {
        let concerts: Option<BTreeSet<_>> =
            seats.iter().map(|seat| self.seats.get(seat).map(|book| book.concert)).collect();
        concerts.filter(|concerts| concerts.len() == 1)?.first().copied()
    }

    fn pass(&self, token: TokenId, now: Time) -> Option<&Pass> {
        self.passes.get(&token).filter(|pass| pass.lives(now))
    }

    fn may_use(&self, caller: Caller, token: TokenId, concert: i64, now: Time) -> bool {
        let room = if concert == 1 { HOUSE } else { OWN };
        token.room_id == room && self.pass(token, now).is_some_and(|pass| Some(pass.user) == caller.user_id())
    }

    fn come_back(&mut self, token: TokenId, now: Time) {
        let pass = self.passes.get_mut(&token).filter(|pass| pass.lives(now));
        if let Some((pass, back)) = pass.and_then(|pass| pass.back.take().map(|back| (pass, back))) {
            pass.until = back;
        }
    }

    fn go_away(&mut self, token: TokenId, now: Time) {
        let Some(pass) = self.pass(token, now).copied() else { return };
        let room = |seat: &SeatBook| if seat.concert == 1 { HOUSE } else { OWN };
        let holds = |hold: &HoldBook| hold.user == pass.user && hold.open && now < hold.until;
        let soon = now.plus(AWAY_GRACE);
        // The house room leads to one concert here, and a hold in the other counts there too.
        let is_here = |hold: &HoldBook| token.room_id == HOUSE || room(&self.seats[&hold.seat]) == token.room_id;
        if soon < pass.until && !self.holds.values().any(|hold| holds(hold) && is_here(hold)) {
            self.passes.insert(token, Pass { until: soon, back: pass.back.or(Some(pass.until)), ..pass });
        }
    }

    fn renew(&mut self, token: TokenId, hold_until: Option<Time>, now: Time) {
        self.come_back(token, now);
        let (idle, limit, grace) = (self.policy.idle_span(), self.policy.active_limit, self.policy.pay_grace);
        let Some(pass) = self.passes.get_mut(&token).filter(|pass| pass.lives(now)) else { return };
        let last = pass.from.plus(limit);
        pass.until = pass.until.max(now.plus(idle).min(last));
        if let Some(end) = hold_until {
            assert!(now < last, "a hold after the turn's time");
            pass.until = pass.until.max(end.plus(grace));
            pass.holds += 1;
        }
    }

    fn close(&mut self, id: ReservationId) -> SeatId {
        let hold = self.holds.get_mut(&id).expect("a known reservation");
        assert!(hold.open, "reservation {id} was closed before");
        hold.open = false;
        hold.seat
    }

    /// The moments at which something ends, soonest first.
    pub(crate) fn next_ends(&self, now: Time) -> Vec<Span> {
        let holds = self.holds.values().filter(|hold| hold.open).map(|hold| hold.until);
        let ends: BTreeSet<_> = holds.chain(self.passes.values().map(|pass| pass.until)).collect();
        ends.into_iter().filter(|end| *end > now).map(|end| end.since(now)).collect()
    }
}

impl Owner {
    fn lives(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Pass {
    fn lives(&self, now: Time) -> bool {
        now < self.until
    }
}
