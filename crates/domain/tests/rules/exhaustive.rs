//! Every order of events in a very small sale: two users, two seats, one reservation's worth of points each. From
//! every state that can be reached, everything that can happen next does, and the books must be in order after it.

use crate::support::{
    self, CLOCK, HOUSE, JUNHO, MIN, MINJI, SaleModel, activate, advance, books, cancel, hold, issue, name,
    oracle::Oracle, pay, refund, sweep, token_id, top_up,
};
use frontrow_domain::{
    command::{Command, Idempotency, Request},
    id::TokenId,
    model::Model,
    policy::Policy,
    time::{Span, Time},
    user::Caller,
};
use std::collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry};

/// How many events one history may have.
const DEPTH: usize = 6;

#[derive(Clone)]
struct SearchState {
    model: Model,
    oracle: Oracle,
    now: Time,
    depth: usize,
}

/// Something that may happen next.
#[derive(Debug, Clone)]
enum NextEvent {
    Asks {
        caller: Caller,
        command: Box<Command>,
        key: Option<u8>,
    },
    /// The clock goes to the moment at which all holds are over, or one microsecond before it.
    Clock {
        micros: i64,
    },
}

fn asks(caller: Caller, command: Command) -> NextEvent {
    NextEvent::Asks { caller, command: Box::new(command), key: None }
}

fn events(state: &SearchState, tokens: [TokenId; 2]) -> Vec<NextEvent> {
    let mut events = Vec::new();
    let reservations: Vec<_> = state.model.reservations.values().cloned().collect();
    for (caller, token) in [MINJI, JUNHO].into_iter().zip(tokens) {
        for seat in [1, 2] {
            events.push(asks(caller, hold(token, &[seat])));
        }
        if caller == MINJI {
            events.push(asks(caller, hold(token, &[1, 2])));
        }
        // The latest reservations are enough: older ones are closed.
        let mine = || reservations.iter().rev().filter(|row| Some(row.user_id) == caller.user_id());
        for row in mine().take(3) {
            let id = row.reservation_id.get();
            // One of the two repeats with a key, the other without.
            let key = if caller == MINJI { u8::try_from(id).ok() } else { None };
            events.push(NextEvent::Asks { caller, command: Box::new(pay(token, &[id])), key });
            events.push(asks(caller, cancel(id)));
        }
        let both: Vec<_> = mine().take(2).map(|row| row.reservation_id.get()).collect();
        if both.len() == 2 {
            events.push(asks(caller, pay(token, &both)));
        }
        for payment in state.model.payments.values().filter(|row| Some(row.user_id) == caller.user_id()) {
            events.push(asks(caller, refund(payment.payment_id.get())));
        }
    }
    let ids: Vec<_> = reservations.iter().map(|row| row.reservation_id.get()).collect();
    events.push(asks(CLOCK, sweep(&ids)));
    for micros in [5 * MIN - 1, 5 * MIN] {
        if support::at(micros) > state.now {
            events.push(NextEvent::Clock { micros });
        }
    }
    events
}

/// The distinguishing part of a state, as far as it affects later events.
fn fingerprint(state: &SearchState) -> String {
    let model = &state.model;
    let seats: Vec<_> = model.seats.values().map(|seat| (seat.status(), seat.reservation_id())).collect();
    let rows = model.reservations.values();
    let rows: Vec<_> = rows.map(|row| (row.user_id, row.seat_id, row.status(), row.expires_at)).collect();
    let payments: Vec<_> = model.payments.values().map(|row| (row.reservation_id, row.status)).collect();
    let points: Vec<_> = model.points.values().map(|point| point.amount).collect();
    let tokens: Vec<_> = model.tokens.values().map(|token| (token.status(), token.deadline())).collect();
    let mut kept: Vec<_> = model.kept.iter().map(|(key, kept)| (key[0], kept.answer.as_str())).collect();
    kept.sort_unstable();
    format!("{seats:?}{rows:?}{payments:?}{points:?}{tokens:?}{kept:?}{:?}", state.now)
}

fn next(state: &SearchState, policy: Policy, event: &NextEvent) -> (SearchState, String) {
    let mut after = state.clone();
    after.depth += 1;
    let what = match event {
        NextEvent::Clock { micros } => {
            after.now = support::at(*micros);
            "clock".to_owned()
        }
        NextEvent::Asks { caller, command, key } => {
            let idempotency = key.map(|key| Idempotency { key: [key; 32], fingerprint: [0; 32] });
            let request = Request { caller: *caller, command: Command::clone(command), idempotency };
            let (answers, _) = after.model.transact(after.now, policy, std::slice::from_ref(&request));
            after.oracle.observe(&request, &answers[0], after.now);
            if answers[0].decision.is_err() {
                let kept = std::mem::replace(&mut after.model.kept, state.model.kept.clone());
                assert!(after.model == state.model, "{request:?} was refused and changed something");
                after.model.kept = kept;
            }
            format!("{:?} {}", answers[0].replay, name(&answers[0].decision))
        }
    };
    books::check_step(&state.model, &after.model);
    (after, what)
}

#[test]
fn no_order_of_events_brings_the_books_out_of_order() {
    let office = SaleModel::new();
    // Long enough that a payment, not the clock, is what ends a token here.
    let policy = Policy { idle_limit: Span::from_secs(580), ..office.policy };
    let oracle = Oracle::beside(&office.model, policy);
    let mut start = SearchState { model: office.model, oracle, now: office.now, depth: 0 };
    let tokens = [token_id(HOUSE, 1), token_id(HOUSE, 2)];
    for event in [
        asks(MINJI, issue(HOUSE)),
        asks(JUNHO, issue(HOUSE)),
        asks(CLOCK, advance(HOUSE)),
        asks(MINJI, activate(tokens[0])),
        asks(JUNHO, activate(tokens[1])),
        // Enough for the dearer seat, not for both.
        asks(MINJI, top_up(MINJI, 20_000, None)),
        asks(JUNHO, top_up(JUNHO, 20_000, None)),
    ] {
        start = next(&start, policy, &event).0;
    }
    start.depth = 0;

    let mut seen: HashMap<String, usize> = HashMap::from([(fingerprint(&start), 0)]);
    let mut happened: BTreeMap<String, u64> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(state) = waiting.pop_front() {
        for event in events(&state, tokens) {
            let (after, what) = next(&state, policy, &event);
            *happened.entry(what).or_default() += 1;
            if let Entry::Vacant(entry) = seen.entry(fingerprint(&after)) {
                books::check(&after.model, after.now);
                after.oracle.compare(&after.model, after.now);
                entry.insert(after.depth);
                if after.depth < DEPTH {
                    waiting.push_back(after);
                }
            }
        }
    }

    let must = [
        "Fresh held",
        "Fresh paid",
        "Fresh cancelled",
        "Fresh refunded",
        "Fresh swept 2",
        "Replayed paid",
        "Fresh seat_held",
        "Fresh seat_sold",
        "Fresh hold_expired",
        "Fresh already_refunded",
        "Fresh insufficient_points",
        "Fresh reservation_not_pending",
        "Fresh token_ended",
    ];
    let missing: Vec<_> = must.iter().filter(|what| !happened.contains_key(**what)).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}\nhappened: {happened:#?}");
    assert!(seen.len() > 2_000, "only {} states were reached", seen.len());
}
