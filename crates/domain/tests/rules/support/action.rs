//! The events of a random sale.

use super::{BOSS, JUNHO, MINJI, S, SORA};
use frontrow_domain::{
    line::Gate,
    outbox::ATTEMPTS_MAX,
    sale::{ConcertStatus, SeatAction},
    user::Caller,
};
use proptest::{collection::vec, prelude::*};

pub(crate) const USERS: [Caller; 4] = [MINJI, JUNHO, SORA, BOSS];

/// The actions of a random sale; the numbers are turned into ids of what is there.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Issue {
        user: usize,
        room: usize,
    },
    Activate {
        user: usize,
        room: usize,
        odd: u8,
    },
    Wake {
        user: usize,
        room: usize,
    },
    Leave {
        user: usize,
        room: usize,
    },
    /// The user's client goes away.
    GoAway {
        user: usize,
        room: usize,
    },
    /// An operator removes a user from a line, blocks the user for so many seconds, or lifts the block.
    KeepOut {
        user: usize,
        room: usize,
        seconds: i64,
    },
    Advance {
        room: usize,
        unresponsive: u8,
    },
    Hold {
        user: usize,
        seats: Vec<i64>,
        odd: u8,
    },
    Cancel {
        user: usize,
        which: usize,
    },
    Sweep,
    Pay {
        user: usize,
        how_many: usize,
        odd: u8,
    },
    Refund {
        user: usize,
        which: usize,
    },
    TopUp {
        user: usize,
        to: usize,
        amount: i64,
        reference: Option<u8>,
    },
    SetSeats {
        seats: Vec<i64>,
        action: SeatAction,
    },
    SetCap {
        room: usize,
        cap: i64,
    },
    SetGate {
        room: usize,
        gate: Gate,
        rate: Option<i64>,
    },
    SetStatus {
        concert: i64,
        status: ConcertStatus,
    },
    /// A worker claims the due events.
    Claim {
        worker: u8,
    },
    /// A worker settles some events: those that are fed as delivered, the others as failed.
    Settle {
        worker: u8,
        odd: u8,
    },
    FeedAudit {
        which: usize,
    },
    RetryEvent {
        which: usize,
    },
    /// A request that was sent before, lost or not.
    Again {
        which: usize,
    },
    /// Its key with another body.
    Reuse {
        which: usize,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The clock goes on.
    Wait { micros: i64 },
    /// The clock goes to the end of a hold or a token, or one microsecond from it.
    WaitForEnd { which: usize, off: i64 },
    /// Days pass.
    WaitForCutOff,
    /// A buyer comes: joins, is offered a turn, claims it, and holds.
    Visit { user: usize, seats: Vec<i64> },
    /// A worker claims and fails to deliver, so many times.
    FailDeliveries { times: u32 },
    /// One transaction. A keyed request can be repeated later.
    Batch { actions: Vec<(Action, Keyed)> },
    /// One transaction that is decided and then lost.
    Crash { actions: Vec<Action> },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Keyed {
    Yes,
    No,
}

fn action() -> impl Strategy<Value = Action> {
    let user = 0..USERS.len();
    let room = 0..2_usize;
    let seats = || prop_oneof![8 => vec(1..=4_i64, 1..=2), 5 => vec(7..=9_i64, 1..=2), 1 => vec(1..=10_i64, 0..=3)];
    let status =
        prop_oneof![Just(ConcertStatus::Scheduled), Just(ConcertStatus::Scheduled), Just(ConcertStatus::Closed)];
    let gate = prop_oneof![5 => Just(Gate::Open), 1 => Just(Gate::Paused)];
    let rate = prop_oneof![6 => Just(None), 1 => (30..600_i64).prop_map(Some)];
    let action = prop_oneof![
        1 => Just(SeatAction::Block { reason: "camera".to_owned() }),
        3 => Just(SeatAction::FREE),
    ];
    let reference = prop_oneof![Just(None), (0..10_u8).prop_map(Some)];
    prop_oneof![
        6 => (user.clone(), room.clone()).prop_map(|(user, room)| Action::Issue { user, room }),
        10 => (user.clone(), room.clone(), any::<u8>()).prop_map(|(user, room, odd)| Action::Activate { user, room, odd }),
        3 => (user.clone(), room.clone()).prop_map(|(user, room)| Action::Wake { user, room }),
        1 => (user.clone(), room.clone()).prop_map(|(user, room)| Action::Leave { user, room }),
        2 => (user.clone(), room.clone()).prop_map(|(user, room)| Action::GoAway { user, room }),
        1 => (user.clone(), room.clone(), -30..=30_i64)
            .prop_map(|(user, room, seconds)| Action::KeepOut { user, room, seconds }),
        10 => (room.clone(), any::<u8>()).prop_map(|(room, unresponsive)| Action::Advance { room, unresponsive }),
        12 => (user.clone(), seats(), any::<u8>()).prop_map(|(user, seats, odd)| Action::Hold { user, seats, odd }),
        3 => (user.clone(), any::<usize>()).prop_map(|(user, which)| Action::Cancel { user, which }),
        2 => Just(Action::Sweep),
        12 => (user.clone(), 1..=3_usize, any::<u8>())
            .prop_map(|(user, how_many, odd)| Action::Pay { user, how_many, odd }),
        4 => (user.clone(), any::<usize>()).prop_map(|(user, which)| Action::Refund { user, which }),
        5 => (user.clone(), user, 0..=60_000_i64, reference)
            .prop_map(|(user, to, amount, reference)| Action::TopUp { user, to, amount, reference }),
        1 => (seats(), action).prop_map(|(seats, action)| Action::SetSeats { seats, action }),
        1 => (room.clone(), prop_oneof![1 => Just(0), 8 => 1..=3_i64]).prop_map(|(room, cap)| Action::SetCap { room, cap }),
        1 => (room, gate, rate).prop_map(|(room, gate, rate)| Action::SetGate { room, gate, rate }),
        1 => (1..=2_i64, status).prop_map(|(concert, status)| Action::SetStatus { concert, status }),
        2 => (0..2_u8).prop_map(|worker| Action::Claim { worker }),
        2 => (0..2_u8, any::<u8>()).prop_map(|(worker, odd)| Action::Settle { worker, odd }),
        2 => any::<usize>().prop_map(|which| Action::FeedAudit { which }),
        1 => any::<usize>().prop_map(|which| Action::RetryEvent { which }),
        5 => any::<usize>().prop_map(|which| Action::Again { which }),
        1 => any::<usize>().prop_map(|which| Action::Reuse { which }),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let keyed = prop_oneof![Just(Keyed::Yes), Just(Keyed::No)];
    let visit_seats = prop_oneof![2 => vec(1..=4_i64, 1..=1), 1 => vec(7..=9_i64, 1..=1)];
    prop_oneof![
        10 => (0..USERS.len(), visit_seats).prop_map(|(user, seats)| Step::Visit { user, seats }),
        2 => prop_oneof![1 => 1..=3_u32, 1 => Just(ATTEMPTS_MAX)].prop_map(|times| Step::FailDeliveries { times }),
        60 => vec((action(), keyed), 1..=4).prop_map(|actions| Step::Batch { actions }),
        4 => vec(action(), 1..=3).prop_map(|actions| Step::Crash { actions }),
        14 => (0..=5 * S).prop_map(|micros| Step::Wait { micros }),
        3 => (0..=100 * S).prop_map(|micros| Step::Wait { micros }),
        6 => (0..3_usize, -1..=1_i64).prop_map(|(which, off)| Step::WaitForEnd { which, off }),
        1 => (0..=1_800 * S).prop_map(|micros| Step::Wait { micros }),
        1 => prop_oneof![1 => Just(Step::Wait { micros: 0 }), 1 => Just(Step::WaitForCutOff)],
    ]
}
