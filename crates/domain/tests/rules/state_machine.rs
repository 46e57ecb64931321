//! Random sales: users, operators and the clock do what they like, in batches, with repeats and crashes, and after
//! every step the books are in order and a simpler box office agrees.
//!
//! `PROPTEST_CASES=10000` makes it a long run from a random seed; without it the run is short and always the same.

use crate::support::{
    self, BOSS, CLOCK, DAY, HOUSE, MINJI, OWN, S, SHOW, SaleModel,
    action::{Action, Keyed, Step, USERS, step},
    at, books, name,
    oracle::Oracle,
};
use frontrow_domain::{
    command::{Answer, Command, ConcertChange, Idempotency, NewBlock, Replay, Request, RoomChange},
    decide::decide_all,
    footprint::Footprint,
    id::{EventId, PaymentId, ReservationId, RoomId, SeatId, TokenId},
    line::{Fence, SilentToken, TokenStatus, is_live_token},
    model::Model,
    money::Money,
    outbox::{EventPayload, LEASE, OutboxEvent},
    policy::Policy,
    sale::{Reservation, ReservationStatus},
    time::{Span, Time},
    user::Caller,
};
use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};
use std::{cell::RefCell, collections::BTreeMap};

/// The events of the whole run, by name.
type Coverage = BTreeMap<String, u64>;

struct Machine {
    model: Model,
    oracle: Oracle,
    policy: Policy,
    now: Time,
    sent: Vec<Request>,
}

impl Machine {
    fn new() -> Self {
        let mut office = SaleModel::new();
        office.ask(BOSS, support::set_cap(HOUSE, 2)).expect("an operator may");
        let later = ConcertChange { opens_at: Some(at(20 * S)), ..ConcertChange::default() };
        office.ask(BOSS, support::update_concert(2, later)).expect("an operator may");
        let policy = Policy {
            max_seats_per_user: 2,
            holds_per_turn: 3,
            offer_lead: Span::from_secs(18),
            dormant_after: Span::from_secs(1),
            top_up_max: Money::new(50_000),
            balance_max: Money::new(120_000),
            ..Policy::default()
        };
        let oracle = Oracle::beside(&office.model, policy);
        Self { model: office.model, oracle, policy, now: office.now, sent: Vec::new() }
    }

    fn step(&mut self, step: &Step, seen: &mut Coverage) {
        let before = self.model.clone();
        match step {
            Step::Wait { micros } => self.now = self.now.plus(Span::from_micros(*micros)),
            Step::WaitForEnd { which, off } => {
                if let Some(span) = self.oracle.next_ends(self.now).get(*which) {
                    self.now = self.now.plus(Span::from_micros((span.micros() + off).max(0)));
                }
            }
            Step::WaitForCutOff => self.now = self.now.max(at(SHOW - DAY)),
            Step::Batch { actions } => {
                let mut batch: Vec<_> = actions.iter().map(|(action, keyed)| self.request(action, *keyed)).collect();
                // Of a room's caps that change within one moment the books have the last one only.
                let mut caps = 0;
                batch.retain(|request| {
                    caps += i32::from(matches!(request.command, Command::SetRoom { .. }));
                    caps <= 1 || !matches!(request.command, Command::SetRoom { .. })
                });
                self.transact(&batch, seen);
            }
            Step::Visit { user, seats } => {
                let room = usize::from(seats.first().is_some_and(|seat| *seat > 6));
                let actions = [
                    Action::Issue { user: *user, room },
                    Action::Advance { room, unresponsive: 0 },
                    Action::Activate { user: *user, room, odd: u8::MAX },
                    Action::Hold { user: *user, seats: seats.clone(), odd: u8::MAX },
                ];
                for action in actions {
                    let request = self.request(&action, Keyed::No);
                    self.transact(&[request], seen);
                }
            }
            Step::FailDeliveries { times } => {
                for _ in 0..*times {
                    let failed: Vec<_> = self.model.outbox.keys().copied().take(2).collect();
                    let due = failed.first().and_then(|id| self.model.outbox[id].state.due_at());
                    self.now = due.map_or(self.now, |due_at| self.now.max(due_at)).plus(LEASE);
                    for command in [support::claim(0), support::settle(0, &[], &failed)] {
                        self.transact(&[Request { caller: CLOCK, command, idempotency: None }], seen);
                    }
                }
            }
            Step::Crash { actions } => {
                let batch: Vec<_> = actions.iter().map(|action| self.request(action, Keyed::Yes)).collect();
                let mut world = self.model.load(self.now, self.policy, &Footprint::of(&batch));
                let answers = decide_all(&mut world, &batch);
                *seen.entry("lost in a crash".to_owned()).or_default() += answers.len() as u64;
            }
        }
        books::check(&self.model, self.now);
        self.oracle.compare(&self.model, self.now);
        self.check_put_aside(&before);
        note_moves(&before, &self.model, seen);
    }

    /// No token that has just joined becomes dormant.
    fn check_put_aside(&self, before: &Model) {
        let is_dormant =
            |model: &Model, id| model.tokens.get(id).is_some_and(|row| row.status() == TokenStatus::Dormant);
        for (id, row) in &self.model.tokens {
            let is_put_aside = is_dormant(&self.model, id) && !is_dormant(before, id);
            let age = self.now.since(row.issued_at);
            assert!(!is_put_aside || age >= self.policy.dormant_after, "{id:?} is put aside {age:?} after its issue");
        }
    }

    fn transact(&mut self, batch: &[Request], seen: &mut Coverage) {
        let before = self.model.clone();
        let (answers, changes) = self.model.transact(self.now, self.policy, batch);
        assert_eq!(answers.len(), batch.len());
        for (request, answer) in batch.iter().zip(&answers) {
            self.oracle.observe(request, answer, self.now);
            let what = match answer.replay {
                Replay::Fresh => name(&answer.decision),
                Replay::Replayed if answer.decision.is_err() => "refusal replayed".to_owned(),
                Replay::Replayed => "replayed".to_owned(),
            };
            *seen.entry(what).or_default() += 1;
        }
        if changes.is_empty() {
            let mut after = self.model.clone();
            after.highest.clone_from(&before.highest);
            assert!(after == before, "something changed that was not said");
        }
        // A command that moves a line or claims events reads them as they stood before the batch, so that it may see
        // less than one by one would.
        let reads_ahead =
            |command: &Command| matches!(command, Command::AdvanceRoom { .. } | Command::ClaimEvents { .. });
        let moves = batch.iter().any(|request| reads_ahead(&request.command));
        if batch.len() == 1 || !moves {
            let (model, singly) = one_by_one(before, self.now, self.policy, batch);
            assert_eq!(singly, answers, "a batch is answered as one by one would be");
            assert!(model == self.model, "a batch does what one by one would do");
        }
    }

    fn request(&mut self, action: &Action, keyed: Keyed) -> Request {
        if let Action::Again { which } | Action::Reuse { which } = action
            && let Some(old) = self.sent.get(which.checked_rem(self.sent.len()).unwrap_or(0))
        {
            let mut request = old.clone();
            if let (Action::Reuse { .. }, Some(used)) = (action, &mut request.idempotency) {
                used.fingerprint = [1; 32];
            }
            return request;
        }
        let (caller, command) = self.command(action);
        let mut request = Request { caller, command, idempotency: None };
        if matches!(keyed, Keyed::Yes) {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&self.sent.len().to_le_bytes());
            request.idempotency = Some(Idempotency { key, fingerprint: [0; 32] });
            self.sent.push(request.clone());
        }
        request
    }

    fn keep_out(&self, user: usize, room_id: RoomId, seconds: i64) -> Command {
        let (user_id, reason) = (support::user(USERS[user]), "A program joined.".to_owned());
        match seconds {
            ..-9 => Command::RemoveFromLine { room_id, user_id, reason },
            -9..=0 => Command::UnblockFromLine { room_id, user_id },
            _ => {
                let until = Some(self.now.plus(Span::from_secs(seconds)));
                Command::BlockFromLine(NewBlock { room_id, user_id, reason, until })
            }
        }
    }

    fn command(&self, action: &Action) -> (Caller, Command) {
        let room_of = |room: &usize| [HOUSE, OWN][*room];
        match action {
            Action::Issue { user, room } => {
                let room_id = room_of(room);
                (USERS[*user], Command::IssueToken { room_id, concert_id: room_id.concert() })
            }
            Action::Activate { user, room, odd } => {
                (USERS[*user], Command::ActivateToken { token: self.token(*user, room_of(room), *odd) })
            }
            Action::Wake { user, room } => {
                (USERS[*user], Command::WakeToken { token: self.token(*user, room_of(room), 1) })
            }
            Action::Leave { user, room } => {
                (USERS[*user], Command::LeaveQueue { token: self.token(*user, room_of(room), 1) })
            }
            Action::GoAway { user, room } => {
                let token = self.token(*user, room_of(room), 1);
                let own = |row: &&Reservation| Some(row.user_id) == USERS[*user].user_id();
                let holds = self.model.reservations.values().filter(own).map(|row| row.reservation_id).collect();
                let holds_made = self.model.tokens.get(&token).map_or(0, |row| row.holds);
                (USERS[*user], Command::GoAway { token, holds, holds_made })
            }
            Action::KeepOut { user, room, seconds } => (BOSS, self.keep_out(*user, room_of(room), *seconds)),
            Action::Advance { room, unresponsive } => {
                let room_id = room_of(room);
                let line = self.model.tokens.keys().filter(|id| id.room_id == room_id);
                let nod = |id: &&TokenId| *unresponsive > 200 && (id.position.0 + i64::from(*unresponsive)) % 3 == 0;
                let unresponsive = line.filter(nod).map(|id| SilentToken::unheard(id.position)).collect();
                (CLOCK, Command::AdvanceRoom { room_id, fence: Fence(0), limit: 10, unresponsive, outlook: None })
            }
            Action::Hold { user, seats, odd } => {
                let room = if seats.first().is_some_and(|seat| *seat > 6) { OWN } else { HOUSE };
                let seat_ids = seats.iter().copied().map(SeatId::new).collect();
                (USERS[*user], Command::Hold { token: self.token(*user, room, *odd), seat_ids })
            }
            Action::Cancel { user, which } => {
                let reservation_id = self.some_reservation(*which);
                let owner = self.model.reservations.get(&reservation_id).map(|row| Caller::Buyer(row.user_id));
                let caller = owner.filter(|_| which % 3 > 0).unwrap_or(USERS[*user]);
                (caller, Command::CancelReservation { reservation_id, reason: support::reason() })
            }
            Action::Sweep => {
                (CLOCK, Command::ExpireHolds { reservation_ids: self.model.reservations.keys().copied().collect() })
            }
            Action::Pay { user, how_many, odd } => self.payment(*user, *how_many, *odd),
            Action::Refund { user, which } => {
                let count = self.model.payments.len() + 1;
                let payment_id = PaymentId::new(i64::try_from(which % count).expect("few payments") + 1);
                let owner = self.model.payments.get(&payment_id).map(|row| Caller::Buyer(row.user_id));
                (
                    owner.filter(|_| which % 5 > 0).unwrap_or(USERS[*user]),
                    Command::Refund { payment_id, reason: support::reason() },
                )
            }
            Action::TopUp { user, to, amount, reference } => {
                // Mostly one's own account.
                let to = if amount % 4 == 0 { *to } else { *user };
                let user_id = support::user(USERS[to]);
                let reference = reference.map(|number| format!("receipt {number}"));
                (USERS[*user], Command::TopUp { user_id, amount: Money::new(*amount), reference })
            }
            Action::SetSeats { seats, action } => {
                let mut seat_ids: Vec<_> = seats.iter().map(|seat| SeatId::new((*seat).min(9))).collect();
                seat_ids.sort_unstable();
                seat_ids.dedup();
                seat_ids.extend(seats.is_empty().then_some(SeatId::new(1)));
                (BOSS, Command::SetSeats { within: None, seat_ids, action: action.clone() })
            }
            Action::SetCap { room, cap } => (BOSS, support::set_cap(room_of(room), *cap)),
            Action::SetGate { room, gate, rate } => {
                let change = RoomChange { gate: Some(*gate), admit_per_minute: Some(*rate), ..RoomChange::default() };
                (BOSS, support::set_room(room_of(room), change))
            }
            Action::SetStatus { concert, status } => {
                let change = ConcertChange { status: Some(*status), ..ConcertChange::default() };
                (BOSS, support::update_concert(*concert, change))
            }
            Action::Claim { worker } => (CLOCK, support::claim(u128::from(*worker))),
            Action::Settle { worker, odd } => {
                let is_fed = |id: &EventId| {
                    let EventPayload::AuditRecorded { audit_id } = self.model.outbox[id].payload else {
                        panic!("it is of another kind")
                    };
                    self.model.feed.iter().any(|place| place.audit_id == audit_id)
                };
                let some = self.model.outbox.keys().copied().skip(usize::from(odd % 4)).take(3);
                let (delivered, failed): (Vec<_>, Vec<_>) = some.partition(is_fed);
                (CLOCK, support::settle(u128::from(*worker), &delivered, &failed))
            }
            Action::FeedAudit { which } => {
                let count = self.model.audit.len() + 1;
                (CLOCK, support::feed(i64::try_from(which % count).expect("few entries") + 1))
            }
            Action::RetryEvent { which } => {
                let some = self.model.outbox.keys().nth(which % (self.model.outbox.len() + 1));
                (BOSS, support::retry(some.map_or(9_999, |id| id.get())))
            }
            // Nothing was sent yet that could be repeated.
            Action::Again { .. } | Action::Reuse { .. } => {
                (MINJI, Command::IssueToken { room_id: HOUSE, concert_id: None })
            }
        }
    }

    /// The user's latest token in the room; now and then any user's.
    fn token(&self, user: usize, room: RoomId, odd: u8) -> TokenId {
        let tokens = || self.model.tokens.values();
        if odd < 12
            && let Some(any) = tokens().nth(usize::from(odd))
        {
            return any.id;
        }
        let owner = USERS[user].user_id();
        let mine = tokens().filter(|token| Some(token.user_id) == owner && token.id.room_id == room);
        mine.max_by_key(|token| (is_live_token(token), token.id)).map_or(support::token_id(room, 1), |token| token.id)
    }

    fn some_reservation(&self, which: usize) -> ReservationId {
        let count = self.model.reservations.len();
        // Mostly one of the latest.
        let back = if which.is_multiple_of(5) { which / 5 % (count + 1) } else { which % 4 };
        ReservationId::new(i64::try_from(count.saturating_sub(back).max(1)).expect("few reservations"))
    }

    /// A payment for somebody's latest reservations of one concert, pending ones of who can pay unless it is odd.
    fn payment(&self, user: usize, how_many: usize, odd: u8) -> (Caller, Command) {
        let rows = || self.model.reservations.values().rev();
        let pending = || rows().filter(|row| row.status() == ReservationStatus::Pending);
        let payer = pending().nth(user).or(pending().next()).filter(|_| !odd.is_multiple_of(4));
        let owner = payer.map(|row| row.user_id).or(USERS[user].user_id());
        let user = USERS.iter().position(|caller| caller.user_id() == owner).unwrap_or(user);
        let mine = rows().filter(|row| Some(row.user_id) == owner);
        let mine: Vec<_> =
            mine.filter(|row| odd.is_multiple_of(4) || row.status() == ReservationStatus::Pending).collect();
        let concert = mine.first().map(|row| row.concert_id);
        let same = mine.into_iter().filter(|row| odd.is_multiple_of(9) || Some(row.concert_id) == concert);
        let reservation_ids = same.take(how_many).map(|row| row.reservation_id).collect();
        let room = if concert.is_some_and(|concert| concert.get() == 2) { OWN } else { HOUSE };
        (USERS[user], Command::Pay { token: self.token(user, room, odd), reservation_ids })
    }
}

/// Each command in a transaction of its own, with the checks that a single command allows.
fn one_by_one(mut model: Model, now: Time, policy: Policy, batch: &[Request]) -> (Model, Vec<Answer>) {
    let mut answers = Vec::new();
    for request in batch {
        let before = model.clone();
        let (mut answer, _) = model.transact(now, policy, std::slice::from_ref(request));
        books::check_step(&before, &model);
        let answer = answer.remove(0);
        if answer.decision.is_err() || answer.replay == Replay::Replayed {
            let mut unchanged = model.clone();
            unchanged.highest.clone_from(&before.highest);
            if answer.replay == Replay::Fresh {
                unchanged.kept.clone_from(&before.kept);
            }
            assert!(unchanged == before, "{request:?} changed something though it was answered {answer:?}");
        }
        answers.push(answer);
    }
    (model, answers)
}

/// Counts how rows moved from state to state.
fn note_moves(before: &Model, after: &Model, seen: &mut Coverage) {
    let mut note = |from: String, to: String| {
        if from != to {
            *seen.entry(format!("{from} > {to}")).or_default() += 1;
        }
    };
    for (id, old) in &before.tokens {
        note(format!("{:?}", old.status()), format!("{:?}", after.tokens[id].status()));
    }
    for (id, old) in &before.reservations {
        note(format!("{:?}", old.status()), format!("{:?}", after.reservations[id].status()));
    }
    let state = |event: &OutboxEvent| if event.state.dead_at().is_some() { "DeadLetter" } else { "Pending" };
    for (id, old) in &before.outbox {
        if let Some(new) = after.outbox.get(id) {
            note(state(old).to_owned(), state(new).to_owned());
        }
    }
    for (id, old) in &before.seats {
        note(format!("{:?} seat", old.status()), format!("{:?} seat", after.seats[id].status()));
    }
}

/// Events that must have occurred in the run, or it proves nothing.
const MUST_HAPPEN: [&str; 64] = [
    "new",
    "existing",
    "active",
    "turn_pending",
    "waiting",
    "ended",
    "held",
    "cancelled",
    "paid",
    "refunded",
    "topped_up",
    "seats_set",
    "room",
    "concert",
    "swept 1",
    "offered 1, lapsed 0",
    "offered 1, lapsed 1",
    "offered 0, lapsed 1",
    "replayed",
    "refusal replayed",
    "idempotency_key_reused",
    "lost in a crash",
    "not_found",
    "malformed",
    "several_concerts",
    "token_invalid",
    "token_of_another_room",
    "token_waiting",
    "turn_not_yet",
    "token_not_activated",
    "token_missed",
    "token_ended",
    "sale_not_open",
    "sale_closed",
    "seat_held",
    "seat_held_by_you",
    "seat_sold",
    "line_blocked",
    "seat_blocked",
    "seat_in_use",
    "too_many_seats",
    "hold_expired",
    "reservation_not_pending",
    "insufficient_points",
    "already_refunded",
    "refund_too_late",
    "top_up_not_allowed",
    "amount_out_of_bounds",
    "balance_too_large",
    "reference_used",
    "Waiting > Dormant",
    "Dormant > Waiting",
    "Offered > Missed",
    "Missed > Waiting",
    "Pending > Expired",
    "Confirmed > Refunded",
    "Held seat > Sold seat",
    "claimed",
    "settled",
    "lease_taken",
    "event",
    "done",
    "Pending > DeadLetter",
    "DeadLetter > Pending",
];

#[test]
fn random_sales_keep_the_books_in_order() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u32>().ok());
    let config =
        Config { cases: asked.unwrap_or(100), failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut runner = match asked {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let seen = RefCell::new(Coverage::new());
    let result = runner.run(&vec(step(), 1..=180), |steps| {
        let mut machine = Machine::new();
        for step in &steps {
            machine.step(step, &mut seen.borrow_mut());
        }
        Ok(())
    });
    if let Err(TestError::Fail(why, steps)) = &result {
        panic!("{why}\nafter these steps:\n{steps:#?}");
    }
    result.expect("the run was not given up");
    let seen = seen.into_inner();
    let missing: Vec<_> = MUST_HAPPEN.iter().filter(|what| !seen.contains_key(**what)).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}\nhappened: {seen:#?}");
}
