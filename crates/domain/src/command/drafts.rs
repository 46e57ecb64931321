//! The data of commands: new concerts, changes, corrections, passwords.

use crate::{
    id::{EventId, Position, ReservationId, RoomId, TokenId, UserId},
    line::{BeaconWait, EntrySet, Fence, Gate, LaneEntry, LaneShare, OpeningOrder, RoomSite, RoomWeight, TurnUrl},
    money::Money,
    outbox::{Consumer, DeliveryError, LeaseHolder},
    sale::{ConcertStatus, DetailsChange, Fold},
    time::Time,
    user::{FactorProof, FactorSecret},
};
use frontrow_draw::{BeaconSignature, Digest, DrawSecret};
use jiff::civil;

/// A correction of a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdjustment {
    /// The user.
    pub user_id: UserId,
    /// The points to give, or to take if negative.
    pub amount: Money,
    /// The reason, for the user's statement and the audit log.
    pub reason: String,
    /// The reference of the booking, used only once for each user.
    pub reference: String,
}

/// The PHC string of a password's hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// How the caller of an account change has proved to be its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By the password, which was checked at this [`sign_in_epoch`](crate::user::User::sign_in_epoch).
    Password(i64),
    /// Not at all: the caller is the box office itself.
    Unneeded,
}

/// A new password for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPassword {
    /// The user.
    pub user_id: UserId,
    /// The new password's hash.
    pub password_hash: PasswordHash,
    /// The proof of the old password.
    pub proof: Proof,
    /// SHA-256 of the secret of the session to keep; none to end all.
    pub kept_session: Option<[u8; 32]>,
}

/// A code of the authenticator app that proves that it has the secret: the second factor is in force from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactorConfirmation {
    /// The secret that the code is right for.
    pub secret: FactorSecret,
    /// The step that the code is right for.
    pub step: i64,
    /// SHA-256 of each recovery code, at most [`RECOVERY_CODES`](crate::user::RECOVERY_CODES).
    pub recovery: Vec<[u8; 32]>,
    /// The proof of the password: a stolen session must not shut the owner out.
    pub proof: Proof,
    /// SHA-256 of the secret of the session that goes on. All others end.
    pub kept_session: [u8; 32],
}

/// A step in the life of a second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactorStep {
    /// An operator or a viewer gets a secret for an authenticator app. It is in force once a code proves that the app has
    /// it.
    Enrol {
        /// The new secret.
        secret: FactorSecret,
    },
    /// A code proves that the app has the secret.
    Confirm(FactorConfirmation),
    /// An operator or a viewer does not want to be asked to set one up.
    Decline,
    /// The owner gets new recovery codes in place of the old ones.
    RenewCodes {
        /// The second factor, once more.
        proof: FactorProof,
        /// SHA-256 of each code, at most [`RECOVERY_CODES`](crate::user::RECOVERY_CODES).
        recovery: Vec<[u8; 32]>,
    },
    /// The owner removes it.
    Remove {
        /// The second factor, for the last time.
        proof: FactorProof,
    },
    /// The box office removes it for an owner who has lost it. All sessions end.
    Reset,
    /// The box office saw a wrong code for the account.
    NoteWrongCode,
}

/// Whether an erasure may abandon points and tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// No: it is refused while there are points or tickets.
    Kept,
    /// Yes: they stay under the erased id, where they cannot be used.
    Abandoned,
}

/// An account to erase, with its live tokens and reservations. The command names them, so that a store locks them; any
/// that are newer end by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The user.
    pub user_id: UserId,
    /// How the caller has proved to be the owner.
    pub proof: Proof,
    /// Refuses the erasure unless the account [has been idle](crate::user::User::is_idle_since) since then. None checks
    /// no idleness.
    pub idle_since: Option<Time>,
    /// Whether points and tickets may be abandoned.
    pub worth: Worth,
    /// The user's live tokens.
    pub tokens: Vec<TokenId>,
    /// The user's live reservations.
    pub reservations: Vec<ReservationId>,
}

/// A concert that an operator creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConcert {
    /// The title.
    pub title: String,
    /// The artist.
    pub artist: String,
    /// The venue.
    pub venue: String,
    /// The venue's time zone.
    pub time_zone: String,
    /// The date at the venue.
    pub concert_date: civil::Date,
    /// The start, in the venue's local time.
    pub start_time: civil::Time,
    /// The end, in the venue's local time.
    pub end_time: civil::Time,
    /// The moment of the start.
    pub starts_at: Time,
    /// The moment of the end.
    pub ends_at: Time,
    /// The price of a seat unless its grade has another.
    pub base_price: Money,
    /// When the sale opens. None makes a closed concert that [has no opening](crate::sale::Concert::has_no_opening).
    pub opens_at: Option<Time>,
    /// When the sale closes; none for the start of the concert, also if that moves.
    pub closes_at: Option<Time>,
    /// The cap of the concert's own room; none to use the house room.
    pub own_room_max_active: Option<i64>,
    /// Its details.
    pub details: DetailsChange,
}

/// An operator's changes of a concert; none leaves a field. Values that depend on several fields are computed from the
/// row, so that of two concurrent changes neither is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConcertChange {
    /// The title.
    pub title: Option<String>,
    /// The artist.
    pub artist: Option<String>,
    /// The venue.
    pub venue: Option<String>,
    /// The venue's time zone, by its IANA name.
    pub time_zone: Option<String>,
    /// The date at the venue.
    pub concert_date: Option<civil::Date>,
    /// The start, in the venue's local time.
    pub start_time: Option<civil::Time>,
    /// The end, in the venue's local time.
    pub end_time: Option<civil::Time>,
    /// Which moment is meant if the venue's clock shows the start or the end twice. It is not stored: a later change of
    /// such hours must repeat it.
    pub fold: Option<Fold>,
    /// The price of a new seat unless its grade has another. Existing seats keep their price.
    pub base_price: Option<Money>,
    /// When the sale opens.
    pub opens_at: Option<Time>,
    /// When the sale closes; `Some(None)` for the start of the concert, also if that moves.
    pub closes_at: Option<Option<Time>>,
    /// The new status: scheduled, closed or postponed. It removes the old reason.
    pub status: Option<ConcertStatus>,
    /// The reason, for the buyers; `Some(None)` removes it.
    pub status_reason: Option<Option<String>>,
    /// Gives the concert a room of its own; possible only before its sale has ever opened.
    pub own_room: Option<OwnRoom>,
    /// The changes of its details.
    pub details: DetailsChange,
}

/// The room that a concert gets for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRoom {
    /// The cap on active tokens.
    pub max_active: i64,
    /// The rate, in turns a minute; none for no limit.
    pub admit_per_minute: Option<i64>,
    /// The order of the tokens that come before the opening; none for [that of the box
    /// office](crate::policy::Policy::opening).
    pub opening: Option<OpeningOrder>,
}

/// A room without a concert, in front of another site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// The site.
    pub site: RoomSite,
    /// The cap on active tokens.
    pub max_active: i64,
    /// The rate, in turns a minute; none for no limit.
    pub admit_per_minute: Option<i64>,
    /// When the first turns are offered; none for at once.
    pub opens_at: Option<Time>,
}

/// An operator's changes of a room; none leaves a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomChange {
    /// The cap on active tokens.
    pub max_active: Option<i64>,
    /// The rate, in turns a minute; `Some(None)` removes the limit.
    pub admit_per_minute: Option<Option<i64>>,
    /// Whether the line moves.
    pub gate: Option<Gate>,
    /// The message to all clients in line; `Some(None)` removes it.
    pub message: Option<Option<String>>,
    /// The order of tokens that come before the opening. It may change until the line has begun to move.
    pub opening: Option<OpeningOrder>,
    /// The name of the site, if the room stands in front of one.
    pub name: Option<String>,
    /// Where a turn leads, if the room stands in front of another site.
    pub turn_url: Option<TurnUrl>,
    /// How much of the house's budget is the room's, beside the others.
    pub weight: Option<RoomWeight>,
    /// How many tokens may be active in all rooms together, of the house room; `Some(None)` removes the limit.
    pub house_budget: Option<Option<i64>>,
}

/// A step in the life of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneStep {
    /// An operator opens the lane, or opens it again, with this share.
    Open {
        /// Its part of the places.
        share: LaneShare,
        /// The reason, for the audit log; an operator gives one unless the lane is there and has this share.
        reason: Option<String>,
    },
    /// An operator changes the lane; none leaves a setting.
    Set {
        /// Its part of the places.
        share: Option<LaneShare>,
        /// Whether it takes new tokens.
        entry: Option<LaneEntry>,
        /// The reason, for the audit log; an operator gives one for another share, and to end the lane for new tokens.
        reason: Option<String>,
    },
    /// An operator puts an account on the lane's list.
    AddGuest {
        /// The user.
        user_id: UserId,
    },
    /// An operator takes an account off the lane's list. Its place in the lane stays.
    RemoveGuest {
        /// The user.
        user_id: UserId,
    },
}

/// A step in the draw of a lobby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrawStep {
    /// The box office commits to the secret, before the first entry.
    Begin {
        /// The secret: random, and new for each draw.
        secret: DrawSecret,
        /// The beacon.
        beacon: BeaconWait,
    },
    /// The lobby is sealed once its sale opens: no token is an entry any more.
    Seal {
        /// The leader's fence.
        fence: Fence,
    },
    /// The entries of the sealed lobby are counted and fixed. If the draw waits for no beacon, the order is drawn at once.
    Count {
        /// The leader's fence.
        fence: Fence,
        /// The entries.
        entered: EntrySet,
        /// The root of their Merkle tree.
        tree: Digest,
    },
    /// The signature of the beacon's round is handed in: the order is drawn.
    HandIn {
        /// The signature.
        signature: BeaconSignature,
    },
    /// The beacon's round did not come in time: the order is drawn without it.
    GiveUp {
        /// The leader's fence.
        fence: Fence,
    },
    /// The next entries in the drawn order get their places.
    Place {
        /// The leader's fence.
        fence: Fence,
        /// The entries, in the drawn order; at most [`ENTRIES_PER_PLACING_MAX`](crate::line::ENTRIES_PER_PLACING_MAX).
        entries: Vec<Position>,
    },
}

/// A user whom an operator keeps out of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlock {
    /// The room.
    pub room_id: RoomId,
    /// The user.
    pub user_id: UserId,
    /// The reason, for operators alone.
    pub reason: String,
    /// Until when; none for until an operator lifts it.
    pub until: Option<Time>,
}

/// What became of the events that a process has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlements {
    /// Their consumer.
    pub consumer: Consumer,
    /// The process.
    pub holder: LeaseHolder,
    /// Events that were delivered.
    pub delivered: Vec<EventId>,
    /// Events whose delivery failed, and why; together with the delivered ones at most
    /// [`CLAIM_MAX`](crate::outbox::CLAIM_MAX).
    pub failed: Vec<(EventId, DeliveryError)>,
}
