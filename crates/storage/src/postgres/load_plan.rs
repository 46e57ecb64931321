//! The rows that a batch needs, as sorted arrays for the statements that load them.

use crate::enum_text::EnumText;
use frontrow_domain::{
    command::{Command, Erasure, LaneStep, NewAdjustment, NewBlock, NewPassword, Request},
    footprint::Footprint,
    id::{ConcertId, RoomId, UserId},
    sale::{Poster, SeatChange, SeatPlace},
};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// The keys of a batch by statement. Each list ascends, so that rows are locked in one order.
pub(super) struct LoadPlan {
    pub(super) locked_users: Vec<Uuid>,
    pub(super) users: Vec<Uuid>,
    pub(super) link_users: Vec<Uuid>,
    pub(super) link_kinds: Vec<&'static str>,
    pub(super) factors: Vec<Uuid>,
    pub(super) sessions: Vec<[u8; 32]>,
    pub(super) emails: Vec<String>,
    pub(super) references: Vec<String>,
    pub(super) adjusted_users: Vec<Uuid>,
    pub(super) adjustments: Vec<String>,
    pub(super) debts: Vec<i64>,
    pub(super) debtors: Vec<Uuid>,
    pub(super) answers: Vec<[u8; 32]>,
    /// Rooms whose rows are locked.
    pub(super) locked_rooms: Vec<i64>,
    /// Those of them that are no lanes, if a command goes by all lanes beside its line: a lane is opened under the lock of
    /// its general line's row.
    pub(super) locked_before_lanes: Vec<i64>,
    /// Rooms that are joined, locked or not, and the number of positions for each.
    pub(super) joined_rooms: Vec<i64>,
    pub(super) joins: Vec<i32>,
    /// General lines that are joined, themselves or a lane of theirs, or whose users are blocked, and whether users are
    /// blocked.
    pub(super) joined_or_blocked: Vec<i64>,
    pub(super) is_blocked: Vec<bool>,
    pub(super) counted: Vec<i64>,
    /// Rooms that share something, and whether all rooms that take places do.
    pub(super) sharing: Vec<i64>,
    pub(super) shares_house: bool,
    pub(super) advanced: Vec<i64>,
    pub(super) head_limits: Vec<i64>,
    /// Rooms whose draw is read or changed, and those whose lobby is sealed.
    pub(super) draws: Vec<i64>,
    pub(super) sealed: Vec<i64>,
    pub(super) token_rooms: Vec<i64>,
    pub(super) token_positions: Vec<i64>,
    pub(super) place_users: Vec<Uuid>,
    pub(super) place_rooms: Vec<i64>,
    /// Users who join a lane or are put on or taken off its list.
    pub(super) guest_users: Vec<Uuid>,
    pub(super) guest_lanes: Vec<i64>,
    pub(super) points: Vec<Uuid>,
    pub(super) payments: Vec<i64>,
    pub(super) reservations: Vec<i64>,
    pub(super) seats: Vec<i64>,
    /// Users whose live reservations count.
    pub(super) holders: Vec<Uuid>,
    pub(super) locked_concerts: Vec<i64>,
    pub(super) concerts: Vec<i64>,
    /// Concerts whose details change.
    pub(super) details: Vec<i64>,
    /// Concerts whose poster changes.
    pub(super) posters: Vec<i64>,
    pub(super) numbered_concerts: Vec<i64>,
    pub(super) seat_numbers: Vec<i32>,
    /// Concerts that get new seats or go on sale.
    pub(super) growing_concerts: Vec<i64>,
    pub(super) new_places: SeatPlaces,
    pub(super) moved_places: SeatPlaces,
    pub(super) leases: Vec<&'static str>,
    /// Consumers whose due events are loaded.
    pub(super) claimed: Vec<&'static str>,
    pub(super) events: Vec<i64>,
    /// Entries of the audit log that get a place in the feed.
    pub(super) fed: Vec<i64>,
    /// The same keys as the domain groups them.
    pub(super) keys: Footprint,
}

/// Places in concerts' halls, one array for each column. A part that is none matches any.
#[derive(Default)]
pub(super) struct SeatPlaces {
    pub(super) concerts: Vec<i64>,
    pub(super) sections: Vec<Option<String>>,
    pub(super) rows: Vec<Option<String>>,
    pub(super) numbers: Vec<Option<String>>,
}

impl SeatPlaces {
    fn add(&mut self, concert: ConcertId, section: Option<&String>, row: Option<&String>, number: Option<&String>) {
        self.concerts.push(concert.get());
        self.sections.push(section.cloned());
        self.rows.push(row.cloned());
        self.numbers.push(number.cloned());
    }

    fn of_new(keys: &Footprint) -> Self {
        let mut all = Self::default();
        for (concert, _, places) in &keys.new_seats {
            for SeatPlace { section, row, number } in places {
                all.add(*concert, Some(section), Some(row), Some(number));
            }
        }
        all
    }

    fn of_moved(keys: &Footprint) -> Self {
        let mut all = Self::default();
        for (concert, SeatChange { section, row, number, .. }) in &keys.moved_seats {
            all.add(*concert, section.as_ref(), row.as_ref(), number.as_ref());
        }
        all
    }
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

impl LoadPlan {
    pub(super) fn of(batch: &[Request]) -> Self {
        let keys = Footprint::of(batch);
        let changed = Changed::of(batch);
        let tokens = sorted(keys.tokens.iter().map(|id| (id.room_id.get(), id.position.0)));
        let places = sorted(keys.places.iter().map(|(user, room)| (user.0, room.get())));
        let guests = sorted(keys.guests.iter().map(|(user, lane)| (user.0, lane.get())));
        let links = sorted(keys.links.iter().copied());
        let counted = sorted(keys.counted.iter().map(|room| room.get()));
        let sharing = sorted(keys.sharing.iter().map(|room| room.get()));
        let locked_rooms = sorted(counted.iter().chain(&sharing).copied().chain(changed.rooms));
        let is_before_lanes = |room: &i64| changed.wants_lanes && !RoomId::new(*room).is_lane();
        // If a room is named twice, the last limit holds, as in the model.
        let advanced: BTreeMap<RoomId, u32> = keys.advanced.iter().copied().collect();
        let mut joins: BTreeMap<RoomId, usize> = keys.demand.positions.clone();
        joins.retain(|_, count| *count > 0);
        let blocked = sorted(changed.blocked.into_iter());
        let joined_or_blocked = sorted(joins.keys().map(|room| room.general().get()).chain(blocked.iter().copied()));
        let numbered = || keys.new_seats.iter().flat_map(|(id, all, _)| all.iter().map(move |number| (*id, *number)));
        let numbers = sorted(numbered());
        let locked_concerts = sorted(changed.concerts.into_iter());
        let is_unlocked = |id: &i64| locked_concerts.binary_search(id).is_err();
        Self {
            locked_users: sorted(changed.users.into_iter()),
            users: sorted(keys.users.iter().map(|user| user.0)),
            link_users: links.iter().map(|(user, _)| user.0).collect(),
            link_kinds: links.iter().map(|(_, kind)| kind.word()).collect(),
            factors: sorted(keys.factors.iter().map(|user| user.0)),
            sessions: sorted(keys.sessions.iter().copied()),
            emails: sorted(keys.emails.iter().cloned()),
            references: sorted(keys.references.iter().cloned()),
            adjusted_users: keys.adjustments.iter().map(|(user, _)| user.0).collect(),
            adjustments: keys.adjustments.iter().map(|(_, reference)| reference.clone()).collect(),
            debts: sorted(keys.debts.iter().map(|id| id.get())),
            debtors: sorted(keys.debtors.iter().map(|user| user.0)),
            answers: sorted(keys.idempotency.iter().map(|idempotency| idempotency.key)),
            joined_rooms: joins.keys().map(|room| room.get()).collect(),
            joins: joins.values().map(|count| i32::try_from(*count).unwrap_or(i32::MAX)).collect(),
            is_blocked: joined_or_blocked.iter().map(|room| blocked.binary_search(room).is_ok()).collect(),
            joined_or_blocked,
            advanced: advanced.keys().map(|room| room.get()).collect(),
            head_limits: advanced.values().map(|limit| i64::from(*limit)).collect(),
            draws: sorted(keys.draws.iter().map(|room| room.get())),
            sealed: sorted(keys.sealed.iter().map(|room| room.get())),
            token_rooms: tokens.iter().map(|(room, _)| *room).collect(),
            token_positions: tokens.iter().map(|(_, position)| *position).collect(),
            place_users: places.iter().map(|(user, _)| *user).collect(),
            guest_users: guests.iter().map(|(user, _)| *user).collect(),
            guest_lanes: guests.iter().map(|(_, lane)| *lane).collect(),
            place_rooms: places.iter().map(|(_, room)| *room).collect(),
            points: sorted(keys.points.iter().map(|user| user.0)),
            payments: sorted(keys.payments.iter().map(|id| id.get())),
            reservations: sorted(keys.reservations.iter().map(|id| id.get())),
            seats: sorted(keys.seats.iter().map(|id| id.get())),
            holders: sorted(keys.holdings.iter().map(|(user, _)| user.0)),
            concerts: sorted(keys.concerts.iter().map(|id| id.get()).filter(is_unlocked)),
            details: sorted(keys.details.iter().map(|id| id.get())),
            posters: sorted(keys.posters.iter().map(|id| id.get())),
            numbered_concerts: numbers.iter().map(|(id, _)| ConcertId::get(*id)).collect(),
            seat_numbers: numbers.iter().map(|(_, number)| *number).collect(),
            growing_concerts: sorted(keys.new_seats.iter().map(|(id, ..)| id.get())),
            new_places: SeatPlaces::of_new(&keys),
            moved_places: SeatPlaces::of_moved(&keys),
            leases: sorted(keys.leases.iter().map(|consumer| consumer.word())),
            claimed: sorted(keys.due_events.iter().map(|consumer| consumer.word())),
            events: sorted(keys.events.iter().map(|id| id.get())),
            fed: sorted(keys.fed.iter().map(|id| id.get())),
            shares_house: keys.shares_house,
            sharing,
            counted,
            locked_before_lanes: locked_rooms.iter().copied().filter(is_before_lanes).collect(),
            locked_rooms,
            locked_concerts,
            keys,
        }
    }

    /// Whether any seat, and with it its concert, is loaded.
    pub(super) fn has_seats(&self) -> bool {
        !(self.seats.is_empty() && self.reservations.is_empty() && self.payments.is_empty())
    }

    /// The users and rooms whose live token is wanted.
    pub(super) fn places(&self) -> HashSet<(UserId, RoomId)> {
        self.keys.places.iter().copied().collect()
    }
}

/// Rows that the commands change, which the keys name without saying whether they change.
#[derive(Default)]
struct Changed {
    users: Vec<Uuid>,
    rooms: Vec<i64>,
    /// Whether a command goes by all lanes beside a line.
    wants_lanes: bool,
    concerts: Vec<i64>,
    /// Rooms whose joins must wait, since a user is blocked there.
    blocked: Vec<i64>,
}

impl Changed {
    fn of(batch: &[Request]) -> Self {
        let mut changed = Self::default();
        // As for `Footprint`: no row is locked for a command that is out of bounds.
        for request in batch.iter().filter(|request| request.command.check_bounds().is_ok()) {
            match &request.command {
                Command::SetRole { user_id, .. }
                | Command::RenameUser { user_id, .. }
                | Command::CloseSessions { user_id }
                | Command::SetPassword(NewPassword { user_id, .. })
                | Command::LockUser { user_id, .. }
                | Command::UnlockUser { user_id }
                | Command::IssueResetLink { user_id, .. }
                | Command::RedeemResetLink { user_id, .. }
                | Command::IssueLetterLink { user_id, .. }
                | Command::ConfirmEmail { user_id, .. }
                | Command::ChangeFactor { user_id, .. }
                | Command::EraseUser(Erasure { user_id, .. })
                // A top-up too: no erasure may come between the check of the account and the points.
                | Command::TopUp { user_id, .. }
                | Command::Adjust(NewAdjustment { user_id, .. })
                | Command::SettleDebt { user_id, .. } => changed.users.push(user_id.0),
                Command::BlockFromLine(NewBlock { user_id, room_id, .. }) => {
                    changed.users.push(user_id.0);
                    changed.rooms.push(room_id.general().get());
                    changed.blocked.push(room_id.general().get());
                }
                // The row of a room is loaded with its lock alone.
                Command::RemoveFromLine { user_id, room_id, .. } | Command::UnblockFromLine { user_id, room_id } => {
                    changed.users.push(user_id.0);
                    changed.rooms.push(room_id.general().get());
                }
                Command::StepLane { room_id, step } => {
                    changed.add_with_lanes(*room_id);
                    if let LaneStep::AddGuest { user_id } | LaneStep::RemoveGuest { user_id } = step {
                        changed.users.push(user_id.0);
                    }
                }
                Command::OpenSession { session, .. } | Command::OpenSessionWithFactor { session, .. } => {
                    changed.users.push(session.user_id.0);
                }
                // Of two first operators one waits for the other.
                Command::RegisterFirst(_) => changed.rooms.push(RoomId::HOUSE.get()),
                Command::SetRoom { room_id, .. } | Command::CloseRoom { room_id, .. } => {
                    changed.rooms.push(room_id.get());
                    changed.add_with_lanes(*room_id);
                }
                Command::RenewLine { room_id }
                | Command::StepDraw { room_id, .. } => changed.rooms.push(room_id.get()),
                Command::UpdateConcert { concert_id, .. } | Command::CancelConcert { concert_id, .. } => {
                    changed.add_with_lanes(RoomId::of_concert(*concert_id));
                    changed.concerts.push(concert_id.get());
                }
                Command::RefundConcert { concert_id, .. }
                | Command::SettleConcert { concert_id, .. }
                | Command::SetPoster { poster: Poster { concert_id, .. }, .. }
                | Command::RemovePoster { concert_id, .. }
                | Command::AddSeats { concert_id, .. }
                | Command::ChangeSeats { concert_id, .. }
                | Command::RemoveSeats { concert_id, .. } => changed.concerts.push(concert_id.get()),
                _ => {}
            }
        }
        changed
    }

    /// Adds a general line and all lanes that there may be beside it.
    fn add_with_lanes(&mut self, room: RoomId) {
        self.rooms.extend(room.with_lanes().map(RoomId::get));
        self.wants_lanes = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        command::{ConcertChange, PasswordHash, Proof, RoomChange, Worth},
        money::Money,
        user::Caller,
    };

    fn wanted(command: Command) -> LoadPlan {
        let request = Request { caller: Caller::System, command, idempotency: None };
        LoadPlan::of(&[request])
    }

    #[test]
    fn no_row_is_locked_for_a_command_that_is_out_of_its_bounds() {
        let long = || "x".repeat(2_001);
        let (user_id, concert_id) = (UserId(Uuid::from_u128(1)), ConcertId::new(1));
        let password_hash = || PasswordHash(long());
        let title = ConcertChange { title: Some(long()), ..ConcertChange::default() };
        let message = RoomChange { message: Some(Some(long())), ..RoomChange::default() };
        let new_password =
            NewPassword { user_id, password_hash: password_hash(), proof: Proof::Unneeded, kept_session: None };
        let erasure = Erasure {
            user_id,
            proof: Proof::Unneeded,
            idle_since: None,
            worth: Worth::Kept,
            tokens: Vec::new(),
            reservations: vec![frontrow_domain::id::ReservationId::new(1); 1_001],
        };
        let commands = [
            Command::SetRoom { room_id: RoomId::HOUSE, change: message, basis: None, reason: None },
            Command::UpdateConcert { concert_id, change: title, basis: None, reason: None },
            Command::CancelConcert { concert_id, reason: long(), basis: None },
            Command::AddSeats { concert_id, seats: Vec::new() },
            Command::RenameUser { user_id, name: long() },
            Command::SetPassword(new_password),
            Command::RedeemResetLink { user_id, secret_hash: [0; 32], password_hash: password_hash() },
            Command::EraseUser(erasure),
            Command::TopUp { user_id, amount: Money::new(1), reference: Some(long()) },
        ];
        for command in commands {
            let kind = format!("{command:.60?}");
            let wanted = wanted(command);
            let locked = (wanted.locked_users, wanted.locked_rooms, wanted.locked_concerts);
            assert_eq!(locked, (Vec::new(), Vec::new(), Vec::new()), "{kind}");
        }
        assert_eq!(wanted(Command::RenameUser { user_id, name: String::new() }).locked_users, [user_id.0]);
    }
}
