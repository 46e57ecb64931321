//! The caches of an instance, updated after each commit.

pub(crate) mod concerts;
pub(crate) mod endings;
pub(crate) mod failed_proofs;
pub(crate) mod guarded;
pub(crate) mod posters;
pub(crate) mod profiles;
pub(crate) mod read_failure;
pub(crate) mod seatmap;
pub(crate) mod seats_left;
pub(crate) mod seen;
pub(crate) mod sessions;
pub(crate) mod tickets;
pub(crate) mod updater;

use concerts::Concerts;
use endings::Endings;
use failed_proofs::FailedProofs;
use frontrow_domain::changes::Changes;
use frontrow_line::redis::Notice;
use frontrow_storage::Sharing;
use posters::Posters;
use profiles::Profiles;
use seatmap::SeatMaps;
use seats_left::SeatsLeft;
use seen::SeenSeats;
use sessions::Sessions;
use tickets::RecentTickets;

/// The caches of an instance, updated after each commit.
#[derive(Debug)]
pub(crate) struct Caches {
    /// Seat maps.
    pub(crate) seat_maps: SeatMaps,
    /// Sessions.
    pub(crate) sessions: Sessions,
    /// Concerts that requests named.
    pub(crate) concerts: Concerts,
    /// What buyers read of concerts beside their rows.
    pub(crate) profiles: Profiles,
    /// Posters.
    pub(crate) posters: Posters,
    /// Seats refused a moment ago.
    pub(crate) seen: SeenSeats,
    /// How many seats concerts have left.
    pub(crate) seats_left: SeatsLeft,
    /// The seats of reservations that were just committed.
    pub(crate) tickets: RecentTickets,
    /// The rows of tokens that a view shows as ended.
    pub(crate) endings: Endings,
    /// Wrong passwords and codes for accounts of operators and viewers, until they are written down.
    pub(crate) failed_proofs: FailedProofs,
}

impl Caches {
    /// Empty caches. `sharing` says whether other instances change the store too.
    #[must_use]
    pub(crate) fn new(boot: u64, sharing: Sharing) -> Self {
        Self {
            seat_maps: SeatMaps::new(boot, sharing),
            sessions: Sessions::new(sharing),
            concerts: Concerts::new(sharing),
            profiles: Profiles::default(),
            posters: Posters::default(),
            seen: SeenSeats::default(),
            seats_left: SeatsLeft::new(sharing),
            tickets: RecentTickets::default(),
            endings: Endings::default(),
            failed_proofs: FailedProofs::default(),
        }
    }

    /// Empties all caches, after a commit that was not published here.
    pub(crate) fn forget(&self) {
        self.seat_maps.forget();
        self.seen.forget();
        self.seats_left.forget();
        self.tickets.forget();
        self.invalidate_remote();
    }

    /// Empties the caches that depend on other instances' events, after such an event was lost. Seat maps refresh
    /// themselves.
    pub(crate) fn invalidate_remote(&self) {
        self.sessions.forget();
        self.concerts.forget();
        self.profiles.forget();
    }

    /// Applies another instance's notice.
    pub(crate) fn apply(&self, notice: Notice) {
        match notice {
            Notice::SessionClosed(secret_hash) => self.sessions.close(&secret_hash),
            Notice::RoleSet(user) => self.sessions.forget_user(user),
            Notice::ConcertChanged(concert) => {
                self.concerts.drop_one(concert);
                self.profiles.drop_one(concert);
                self.seat_maps.forget_one(concert);
                self.tickets.forget();
            }
            Notice::Missed => self.invalidate_remote(),
        }
    }

    /// Applies a committed batch.
    pub(crate) fn publish(&self, changes: &Changes) {
        self.seat_maps.publish(changes);
        self.sessions.publish(changes);
        self.concerts.publish(changes);
        self.profiles.publish(changes);
        self.seen.publish(changes);
        self.seats_left.publish(changes);
        self.tickets.publish(changes);
    }
}
