//! Every buyer's requests and answers, with times from one monotonic clock. The audit reads nothing else of the sale.

use crate::{
    api::{Payment, PointEntry, Reservation},
    clock::At,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    TopUp {
        /// In won.
        amount: i64,
    },
    Join,
    Activate {
        token: String,
    },
    Leave {
        token: String,
    },
    Hold {
        token: String,
        seats: Vec<i64>,
    },
    /// To pay for held seats.
    Pay {
        token: String,
        reservations: Vec<i64>,
    },
    /// To give a held seat up.
    Cancel {
        reservation: i64,
    },
    Refund {
        payment: i64,
    },
}

impl Asked {
    /// A word for reports.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::TopUp { .. } => "top_up",
            Self::Join => "join",
            Self::Activate { .. } => "activate",
            Self::Leave { .. } => "leave",
            Self::Hold { .. } => "hold",
            Self::Pay { .. } => "pay",
            Self::Cancel { .. } => "cancel",
            Self::Refund { .. } => "refund",
        }
    }
}

/// The effect of an acknowledged request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing to say, or a turn that is kept for later.
    Done,
    ToppedUp(PointEntry),
    Joined {
        token: String,
        position: i64,
        /// Whether it was issued now; else it is the place that the buyer had.
        fresh: bool,
    },
    /// The token is active, for so many microseconds from its activation at least.
    Activated {
        /// How long at least.
        lasts: u64,
    },
    Held(Vec<Reservation>),
    Paid(Vec<Payment>),
    Cancelled(Reservation),
    Refunded(Payment),
}

/// How a request ended, as far as its sender knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    /// Acknowledged: it happened once, between send and receive.
    Ok(Effect),
    /// Refused: it had no effect and never will.
    Fail { status: u16, code: String },
    /// No definite answer: it happened once or not at all, perhaps later.
    Unknown,
}

/// One request, through all its retries under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Op {
    /// Whose: an index into the crowd.
    pub(crate) buyer: usize,
    pub(crate) asked: Asked,
    /// When it was first sent.
    pub(crate) sent: At,
    /// When the definite answer was there; the end of time without one.
    pub(crate) received: At,
    /// Its known outcome.
    pub(crate) outcome: RequestOutcome,
}

/// The state of a token seen in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stood {
    /// In line, or at its head.
    InLine,
    /// Dormant, because its user did not poll.
    Aside,
    /// Active: let in by a claim, or later because a claim had found the room full.
    Inside,
}

/// A buyer saw their place in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlaceSeen {
    pub(crate) token: String,
    pub(crate) buyer: usize,
    pub(crate) stood: Stood,
    /// When it was first asked for.
    pub(crate) sent: At,
    /// When the answer was there.
    pub(crate) received: At,
    /// The number in the answer.
    pub(crate) position: i64,
    /// How many were said to be ahead.
    pub(crate) ahead: i64,
    /// The moment of which that was said to be true, on the server's clock, in microseconds.
    pub(crate) as_of: i64,
}

/// A buyer in line was answered that the token has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) token: String,
    pub(crate) buyer: usize,
    /// When the answer was there.
    pub(crate) received: At,
}

/// The same key was used twice on purpose, and both answers came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyReuse {
    pub(crate) buyer: usize,
    pub(crate) name: &'static str,
    /// The first answer: status and body.
    pub(crate) first: (u16, Vec<u8>),
    /// The second answer.
    pub(crate) second: (u16, Vec<u8>),
    /// Whether one of them said that it was kept from before.
    pub(crate) marked: bool,
}

/// An answer that no documented refusal explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) what: String,
    pub(crate) status: u16,
    /// The beginning of the body.
    pub(crate) body: String,
}

/// The history of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Requests that change something, in the order of their sending.
    pub(crate) ops: Vec<Op>,
    /// Places seen, in the order of their answers.
    pub(crate) sightings: Vec<PlaceSeen>,
    /// Tokens that ended in line, in the order of the answers that said so.
    pub(crate) ended: Vec<Ended>,
    pub(crate) replays: Vec<KeyReuse>,
    /// Answers that should never be given.
    pub(crate) faults: Vec<Fault>,
    /// Requests that were given up though there was time: repeat after repeat brought no definite answer.
    pub(crate) given_up: Vec<String>,
}

/// Takes a history down while the crowd is at work.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<History>);

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request before it is sent. Until [`Recorder::finish`] its outcome is unknown.
    pub(crate) fn begin(&self, buyer: usize, asked: Asked, sent: At) -> usize {
        let mut history = self.lock();
        history.ops.push(Op { buyer, asked, sent, received: At::MAX, outcome: RequestOutcome::Unknown });
        history.ops.len() - 1
    }

    pub(crate) fn finish(&self, index: usize, received: At, outcome: RequestOutcome) {
        if let Some(op) = self.lock().ops.get_mut(index) {
            op.received = received;
            op.outcome = outcome;
        }
    }

    pub(crate) fn saw(&self, sighting: PlaceSeen) {
        self.lock().sightings.push(sighting);
    }

    /// Records that a buyer in line was answered of the token's end.
    pub(crate) fn token_ended(&self, ended: Ended) {
        self.lock().ended.push(ended);
    }

    /// Notes a key used twice. Bodies of equal answers are not kept.
    pub(crate) fn replayed(&self, mut replay: KeyReuse) {
        if replay.first == replay.second {
            replay.first.1.clear();
            replay.second.1.clear();
        }
        self.lock().replays.push(replay);
    }

    /// Notes an answer that should never be given.
    pub(crate) fn fault(&self, what: String, status: u16, body: &[u8]) {
        let body = String::from_utf8_lossy(body).chars().take(300).collect();
        self.lock().faults.push(Fault { what, status, body });
    }

    /// Notes a request that was given up.
    pub(crate) fn gave_up(&self, what: String) {
        self.lock().given_up.push(what);
    }

    /// The history so far; the recorder begins anew.
    pub(crate) fn take(&self) -> History {
        std::mem::take(&mut *self.lock())
    }
}
