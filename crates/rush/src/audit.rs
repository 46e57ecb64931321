//! Whether the sale kept its promises: the history of what buyers were answered, held against the books of the server.
//! Pure: the same history and books always give the same verdict.

mod durability;
mod line;
mod money;
mod seats;

#[cfg(test)]
mod cases;

use crate::{
    api::{AuditEntry, Payment, PointEntry, Reservation, SeatRow},
    history::{Asked, Effect, History, KeyReuse, RequestOutcome},
};
use std::collections::{BTreeMap, HashMap};

/// The server's books after the sale.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    pub(crate) seats: Vec<SeatRow>,
    /// Whether the seats did not change while the reservations were read, so that both are of one moment.
    pub(crate) settled: Readings,
    /// Every reservation of the concert.
    pub(crate) reservations: Vec<Reservation>,
    /// Reservations up to this number are from before the run.
    pub(crate) reservations_before: i64,
    /// Payments of the run, by any buyer.
    pub(crate) payments: Vec<Payment>,
    pub(crate) accounts: Vec<AuditedAccount>,
    pub(crate) tokens: Vec<TokenRow>,
    /// The operators' audit log of the run.
    pub(crate) audit: Vec<AuditEntry>,
    /// Acts of the run as an operator that must be in the audit log: action and how often.
    pub(crate) operator_acts: BTreeMap<&'static str, u64>,
    /// The highest cap that the room had during the run.
    pub(crate) max_active: i64,
    /// How far answers about the line may be apart, in microseconds.
    pub(crate) view_lag: i64,
    /// No token is unresponsive that was seen within so many microseconds.
    pub(crate) dormant_after: u64,
}

/// Whether two readings belong to one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Readings {
    /// They do.
    #[default]
    OneMoment,
    /// Something changed in between.
    Moving,
}

#[derive(Debug, Clone)]
pub(crate) struct AuditedAccount {
    /// Whose: an index into the crowd.
    pub(crate) buyer: usize,
    pub(crate) user_id: String,
    /// Their balance in won.
    pub(crate) balance: i64,
    /// The version of the last entry before the run.
    pub(crate) version_before: i64,
    /// The balance before the run.
    pub(crate) balance_before: i64,
    /// The entries of the run, oldest first.
    pub(crate) entries: Vec<PointEntry>,
}

/// A token after the sale.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    /// The opaque text.
    pub(crate) token: String,
    pub(crate) position: i64,
    pub(crate) status: String,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

/// The promises, as the report names them.
pub(crate) const RULES: [(&str, &str); 23] = [
    ("seat_sold_once", "no seat is sold twice"),
    ("seat_held_once", "no seat is held by two at once"),
    ("hold_lasts", "a hold lasts as long as it says"),
    ("hold_ends", "an ended hold cannot be paid"),
    ("all_or_nothing", "several seats are held all or none"),
    ("seats_add_up", "seats and reservations agree"),
    ("states_follow", "a reservation is in a state that its history explains"),
    ("balance_never_negative", "no balance falls below zero"),
    ("money_adds_up", "top-ups - payments + refunds = balance"),
    ("versions_without_gaps", "a point history has no gaps"),
    ("payments_match", "a payment matches its reservation and its point entries"),
    ("acknowledged_present", "everything acknowledged is there"),
    ("refused_absent", "nothing is there that was refused or never asked"),
    ("replays_identical", "a repeated request gets the same answer"),
    ("room_cap", "never more active than the room allows"),
    ("order_kept", "who came before stands before"),
    ("ahead_never_rises", "no token moves back in line"),
    ("one_place", "one place in line for one user"),
    ("end_is_true", "no live place is reported as gone"),
    ("responsive_tokens_are_not_dormant", "no token that was just seen is made dormant"),
    ("turn_needed", "no hold without a turn"),
    ("operator_acts_logged", "what an operator does is in the audit log"),
    ("no_server_error", "no answer but success, a documented refusal or 503"),
];

/// The answer of the audit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    /// Broken promises.
    pub(crate) breaches: Vec<Breach>,
    /// How often each promise was put to the test.
    pub(crate) looked: BTreeMap<&'static str, u64>,
}

impl Verdict {
    /// Notes that a promise was put to the test; `broken` says how it broke, if it did.
    fn note(&mut self, rule: &'static str, broken: Option<String>) {
        *self.looked.entry(rule).or_default() += 1;
        self.breaches.extend(broken.map(|what| Breach { rule, what }));
    }
}

pub(crate) fn audit(history: &History, books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    let index = Index::of(history, books);
    seats::check(history, books, &index, &mut verdict);
    money::check(history, books, &index, &mut verdict);
    durability::check(history, books, &index, &mut verdict);
    line::check(history, books, &mut verdict);
    for replay in &history.replays {
        let same = is_same_answer(&replay.first, &replay.second);
        verdict.note(
            "replays_identical",
            (!same).then(|| {
                let show = |(status, body): &(u16, Vec<u8>)| format!("{status} {}", String::from_utf8_lossy(body));
                let KeyReuse { buyer, name, first, second, .. } = replay;
                format!("buyer {buyer}, {name}: first {}, then {}", show(first), show(second))
            }),
        );
    }
    verdict.looked.insert("no_server_error", u64::try_from(history.ops.len()).unwrap_or(u64::MAX));
    for fault in &history.faults {
        verdict.note("no_server_error", Some(format!("{}: {} {}", fault.what, fault.status, fault.body)));
    }
    for (action, made) in &books.operator_acts {
        let found = books.audit.iter().filter(|entry| entry.action == *action).count();
        let found = u64::try_from(found).unwrap_or(0);
        let missing = found < *made;
        verdict.note(
            "operator_acts_logged",
            missing.then(|| format!("{made} × {action} were acknowledged, the audit log has {found}")),
        );
    }
    verdict
}

/// Whether a repeated request got the same answer. The text of a ticket is read when an answer is written, and
/// left empty if it cannot be read in time: an answer with it is the same as one without.
fn is_same_answer(first: &(u16, Vec<u8>), second: &(u16, Vec<u8>)) -> bool {
    first == second || (first.0 == second.0 && is_same_but_for_tickets(&first.1, &second.1))
}

fn is_same_but_for_tickets(first: &[u8], second: &[u8]) -> bool {
    let (Ok(mut first), Ok(mut second)) = (serde_json::from_slice(first), serde_json::from_slice(second)) else {
        return false;
    };
    if !lacks_ticket(&first) && !lacks_ticket(&second) {
        return false;
    }
    blank_tickets(&mut first);
    blank_tickets(&mut second);
    first == second
}

/// Whether an answer has a ticket without its printed data.
fn lacks_ticket(answer: &serde_json::Value) -> bool {
    match answer {
        serde_json::Value::Array(items) => items.iter().any(lacks_ticket),
        serde_json::Value::Object(fields) => {
            fields.get("title").is_some_and(|title| title == "") || fields.values().any(lacks_ticket)
        }
        _ => false,
    }
}

/// Removes what is printed on tickets. Of a payment that is its seat, too.
fn blank_tickets(answer: &mut serde_json::Value) {
    match answer {
        serde_json::Value::Array(items) => items.iter_mut().for_each(blank_tickets),
        serde_json::Value::Object(fields) => {
            let is_payment = fields.contains_key("payment_id");
            fields.retain(|name, _| match name.as_str() {
                "title" | "section" | "row" | "number" => false,
                "concert_id" | "seat_id" | "seat_number" => !is_payment,
                _ => true,
            });
            fields.values_mut().for_each(blank_tickets);
        }
        _ => {}
    }
}

/// The end of a reservation as far as its buyer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Happened {
    /// It was not asked for, or refused.
    #[default]
    No,
    /// It may have happened.
    Maybe,
    /// It was acknowledged.
    Yes,
}

impl Happened {
    const fn at_least(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
            _ => Self::No,
        }
    }
}

/// The life of an acknowledged reservation, with times from the crowd's clock.
#[derive(Debug, Clone)]
struct ReservationLife {
    buyer: usize,
    held: Reservation,
    hold_sent: u64,
    hold_received: u64,
    paid: Happened,
    pay_sent: u64,
    pay_received: u64,
    cancelled: Happened,
    cancel_sent: u64,
    refunded: Happened,
    refund_sent: u64,
}

/// The history by the things it is about.
struct Index {
    lives: BTreeMap<i64, ReservationLife>,
    payments: BTreeMap<i64, (usize, Payment)>,
    user_of: HashMap<usize, String>,
    buyer_of: HashMap<String, usize>,
}

impl Index {
    fn of(history: &History, books: &Books) -> Self {
        let mut lives = BTreeMap::new();
        let mut payments = BTreeMap::new();
        for op in &history.ops {
            match &op.outcome {
                RequestOutcome::Ok(Effect::Held(held)) => {
                    for reservation in held {
                        lives.insert(
                            reservation.reservation_id,
                            ReservationLife {
                                buyer: op.buyer,
                                held: reservation.clone(),
                                hold_sent: op.sent,
                                hold_received: op.received,
                                paid: Happened::No,
                                pay_sent: u64::MAX,
                                pay_received: u64::MAX,
                                cancelled: Happened::No,
                                cancel_sent: u64::MAX,
                                refunded: Happened::No,
                                refund_sent: u64::MAX,
                            },
                        );
                    }
                }
                RequestOutcome::Ok(Effect::Paid(paid)) => {
                    for payment in paid {
                        payments.insert(payment.payment_id, (op.buyer, payment.clone()));
                    }
                }
                _ => {}
            }
        }
        let mut index = Self {
            lives,
            payments,
            user_of: books.accounts.iter().map(|account| (account.buyer, account.user_id.clone())).collect(),
            buyer_of: books.accounts.iter().map(|account| (account.user_id.clone(), account.buyer)).collect(),
        };
        index.follow(history);
        index
    }

    /// Adds to each reservation what its buyer then did with it.
    fn follow(&mut self, history: &History) {
        for op in &history.ops {
            let known = match op.outcome {
                RequestOutcome::Ok(_) => Happened::Yes,
                RequestOutcome::Unknown => Happened::Maybe,
                RequestOutcome::Fail { .. } => continue,
            };
            match &op.asked {
                Asked::Pay { reservations, .. } => {
                    for id in reservations {
                        if let Some(life) = self.lives.get_mut(id) {
                            life.paid = life.paid.at_least(known);
                            life.pay_sent = life.pay_sent.min(op.sent);
                            life.pay_received = life.pay_received.min(op.received);
                        }
                    }
                }
                Asked::Cancel { reservation } => {
                    if let Some(life) = self.lives.get_mut(reservation) {
                        life.cancelled = life.cancelled.at_least(known);
                        life.cancel_sent = life.cancel_sent.min(op.sent);
                    }
                }
                Asked::Refund { payment } => {
                    let reservation = self.payments.get(payment).map(|(_, payment)| payment.reservation_id);
                    if let Some(life) = reservation.and_then(|id| self.lives.get_mut(&id)) {
                        life.refunded = life.refunded.at_least(known);
                        life.refund_sent = life.refund_sent.min(op.sent);
                    }
                }
                _ => {}
            }
        }
    }
}

/// How often a situation came up that a sale must withstand.
pub(crate) fn exercised(history: &History, books: &Books) -> BTreeMap<&'static str, u64> {
    let index = Index::of(history, books);
    let mut counts: BTreeMap<&'static str, u64> = [
        "conflicts",
        "lapsed_holds",
        "replayed",
        "refunds",
        "cancelled",
        "unknown",
        "multi_seat_holds",
        "hit_expired_hold",
        "same_place_again",
        "left_the_line",
    ]
    .into_iter()
    .map(|name| (name, 0))
    .collect();
    let mut count = |name: &'static str| *counts.entry(name).or_default() += 1;
    for op in &history.ops {
        match (&op.asked, &op.outcome) {
            (_, RequestOutcome::Unknown) => count("unknown"),
            (_, RequestOutcome::Fail { code, .. }) if code == "seat_held" || code == "seat_sold" => count("conflicts"),
            (_, RequestOutcome::Fail { code, .. }) if code == "hold_expired" => count("hit_expired_hold"),
            (_, RequestOutcome::Ok(Effect::Held(held))) if held.len() > 1 => count("multi_seat_holds"),
            (_, RequestOutcome::Ok(Effect::Refunded(_))) => count("refunds"),
            (_, RequestOutcome::Ok(Effect::Cancelled(_))) => count("cancelled"),
            (_, RequestOutcome::Ok(Effect::Joined { fresh: false, .. })) => count("same_place_again"),
            (Asked::Leave { .. }, RequestOutcome::Ok(_)) => count("left_the_line"),
            _ => {}
        }
    }
    for replay in &history.replays {
        if replay.marked {
            count("replayed");
        }
    }
    for row in &books.reservations {
        if row.status == "expired" && index.lives.contains_key(&row.reservation_id) {
            count("lapsed_holds");
        }
    }
    counts
}
