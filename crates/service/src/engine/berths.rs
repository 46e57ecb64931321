//! Assigns commands to lanes.

use frontrow_domain::{
    command::{Command, Request, Settlements},
    id::{RoomId, UserId},
    outbox::Consumer,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher as _},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The queue of a command: commands of one home are decided in the order of their arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Home {
    /// The line of a room.
    Line(RoomId),
    /// A share of the seats of the concerts of a room.
    Sale(RoomId, usize),
    /// A user's commands outside of a room.
    User(Option<UserId>),
    /// The deliveries of a consumer of the outbox, which wait for the lock on its lease.
    Outbox(Consumer),
}

/// The lanes that a home's commands may take.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LaneChoice {
    within: Range<usize>,
    /// Taken if no other lane has less to do.
    usual: usize,
}

/// The home of a command, and the lanes that it may take.
///
/// A hot room has a lane for its line and lanes for its sale, so that neither waits for the other. Lines use the first
/// half of the lanes and sales the second. Lanes only order commands: the store's locks exclude conflicting ones.
///
/// A sale is spread by token over half of the sales' lanes: a single lane would keep only one of the database's
/// processors busy, all lanes would leave none to the quieter sales.
fn home_of(request: &Request, lanes: usize) -> (Home, LaneChoice) {
    if lanes <= 1 {
        return (Home::User(None), LaneChoice { within: 0..1, usual: 0 });
    }
    let half = lanes / 2;
    let shares = (lanes - half).div_ceil(2);
    let home = match &request.command {
        Command::IssueToken { room_id, .. }
        | Command::AdvanceRoom { room_id, .. }
        | Command::EndClosedLine { room_id, .. }
        | Command::EndLine { room_id, .. }
        | Command::StepDraw { room_id, .. } => Home::Line(*room_id),
        Command::ActivateToken { token } | Command::LeaveQueue { token } => Home::Line(token.room_id),
        Command::Hold { token, .. }
        | Command::Pay { token, .. }
        | Command::WakeToken { token }
        | Command::GoAway { token, .. }
        | Command::IssuePass { token } => {
            Home::Sale(token.room_id, usize::try_from(token.position.0.unsigned_abs()).unwrap_or(0) % shares)
        }
        Command::ClaimEvents { consumer, .. } | Command::SettleEvents(Settlements { consumer, .. }) => {
            Home::Outbox(*consumer)
        }
        Command::FeedAudit { .. } => Home::Outbox(Consumer::AuditFeed),
        _ => Home::User(request.caller.user_id()),
    };
    let (whole, share, within) = match home {
        Home::Line(_) => (home, 0, 0..half),
        Home::Sale(room, share) => (Home::Sale(room, 0), share, half..lanes),
        Home::User(_) | Home::Outbox(_) => (home, 0, half..lanes),
    };
    let mut hasher = DefaultHasher::new();
    whole.hash(&mut hasher);
    let hash = usize::try_from(hasher.finish() >> 1).unwrap_or(0);
    let usual = within.start + (hash + share) % within.len();
    (home, LaneChoice { within, usual })
}

/// The lanes of the homes that have commands in progress.
#[derive(Debug)]
pub(super) struct Berths(Mutex<Taken>);

#[derive(Debug)]
struct Taken {
    /// The lane of each home, and how many of its commands are in progress.
    homes: HashMap<Home, (usize, usize)>,
    /// How many commands are in progress in each lane.
    lanes: Vec<usize>,
}

/// A command's place in a lane, until it is answered.
#[derive(Debug)]
pub(super) struct Berth {
    berths: Arc<Berths>,
    home: Home,
    pub(super) lane: usize,
}

impl Berths {
    pub(super) fn new(lanes: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Taken { homes: HashMap::new(), lanes: vec![0; lanes.max(1)] })))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the lane of the command's home. A home without commands in progress gets the lane with the fewest: so
    /// a batch that waits for a locked row delays few other homes.
    pub(super) fn take(self: &Arc<Self>, request: &Request) -> Berth {
        let mut taken = self.taken();
        let Taken { homes, lanes } = &mut *taken;
        let (home, LaneChoice { within, usual }) = home_of(request, lanes.len());
        let load = |lane: usize| lanes.get(lane).copied().unwrap_or(usize::MAX);
        let place = homes.entry(home).or_insert_with(|| {
            let idlest = within.min_by_key(|lane| (load(*lane), *lane != usual));
            (idlest.unwrap_or(usual), 0)
        });
        place.1 += 1;
        let lane = place.0;
        if let Some(load) = lanes.get_mut(lane) {
            *load += 1;
        }
        Berth { berths: Arc::clone(self), home, lane }
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let mut taken = self.berths.taken();
        if let Some(load) = taken.lanes.get_mut(self.lane) {
            *load = load.saturating_sub(1);
        }
        if let Entry::Occupied(mut place) = taken.homes.entry(self.home) {
            place.get_mut().1 = place.get().1.saturating_sub(1);
            if place.get().1 == 0 {
                place.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        id::{Position, ReservationId, TokenId},
        user::Caller,
    };
    use std::collections::HashSet;

    fn request(command: Command) -> Request {
        Request { caller: Caller::Buyer(UserId(uuid::Uuid::from_u128(1))), command, idempotency: None }
    }

    fn join(room: i64) -> Request {
        request(Command::IssueToken { room_id: RoomId::new(room), concert_id: None })
    }

    #[test]
    fn a_line_and_its_sale_have_lanes_of_their_own_and_one_user_keeps_to_one() {
        let usual = |command, lanes| home_of(&request(command), lanes).1.usual;
        let cancel = |id| Command::CancelReservation { reservation_id: ReservationId::new(id), reason: None };
        for number in 0..100 {
            let room_id = RoomId::new(number);
            let token = TokenId { room_id, position: Position(1) };
            let line = usual(Command::ActivateToken { token }, 4);
            assert!(line < 2);
            assert_eq!(usual(Command::IssueToken { room_id, concert_id: None }, 4), line);
            let sale = usual(Command::Hold { token, seat_ids: Vec::new() }, 4);
            assert!((2..4).contains(&sale));
            assert_eq!(usual(Command::Pay { token, reservation_ids: Vec::new() }, 4), sale);
            assert_eq!(usual(cancel(number), 4), usual(cancel(1), 4));
            assert_eq!(usual(Command::Hold { token, seat_ids: Vec::new() }, 1), 0);
        }
        let wake =
            |number| Command::WakeToken { token: TokenId { room_id: RoomId::new(number), position: Position(1) } };
        let used: HashSet<_> = (0..100).map(|number| usual(wake(number), 8)).collect();
        assert_eq!(used.len(), 4, "the rooms are spread over the lanes of the sales");
    }

    #[test]
    fn a_hot_sale_takes_half_of_the_lanes_that_sales_have_and_each_token_keeps_to_one() {
        for (lanes, expected) in [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4)] {
            let of = |position, command: fn(TokenId) -> Command| {
                let token = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
                let (home, choice) = home_of(&request(command(token)), lanes);
                (home, choice.usual)
            };
            let used: HashSet<_> = (1..100)
                .map(|position| {
                    let lane = of(position, |token| Command::Hold { token, seat_ids: Vec::new() });
                    assert_eq!(of(position, |token| Command::Pay { token, reservation_ids: Vec::new() }), lane);
                    lane
                })
                .collect();
            assert_eq!(used.len(), expected, "{lanes} lanes");
        }
    }

    #[test]
    fn commands_of_one_home_follow_each_other_and_others_take_a_lane_that_has_less_to_do() {
        let berths = Berths::new(4);
        let held = berths.take(&join(1));
        let other_lane = 1 - held.lane;
        for room in 2..50 {
            assert_eq!(berths.take(&join(room)).lane, other_lane, "the first lane waits for room 1");
        }
        let behind = berths.take(&join(1));
        assert_eq!(behind.lane, held.lane);
        drop(held);
        let others: Vec<_> = (50..54).map(|room| berths.take(&join(room))).collect();
        assert_eq!(berths.take(&join(1)).lane, behind.lane, "one of its commands is still under way");
        let on_first = others.iter().filter(|berth| berth.lane == behind.lane).count();
        assert!((1..=2).contains(&on_first), "{on_first} of four joined the lane with one command");
        drop((behind, others));
        let usual = home_of(&join(1), 4).1.usual;
        assert_eq!(berths.take(&join(1)).lane, usual, "nothing is under way");
    }
}
