//! The settings of the rules.

use crate::{line::OpeningOrder, money::Money, time::Span};

/// How many seats one command may name, under any settings.
pub const SEATS_PER_COMMAND_MAX: usize = 20;
/// How many seats an operator may add or change in one command.
pub const SEATS_PER_OPERATOR_COMMAND_MAX: usize = 100_000;
/// How many holds of its user a command may name whose client goes away. A user with more keeps the turn as it is.
pub const HOLDS_PER_PARTING_MAX: usize = 100;
/// How many holds one command sweeps.
pub const HOLDS_PER_SWEEP_MAX: u32 = 500;
/// How many seats and how many payments of a cancelled concert one command winds up.
pub const WIND_UP_MAX: u32 = 100;
/// How many characters the reason for a concert's status may have.
pub const STATUS_REASON_LEN_MAX: usize = 500;
/// How many ranges of seat ids one line of the audit log may name.
pub const AUDIT_RANGES_MAX: usize = 1_000;
/// How many earlier values of one field of many seats one line of the audit log may name.
pub const AUDIT_VALUES_MAX: usize = 10;
/// How many characters the name of a room without a concert may have.
pub const ROOM_NAME_LEN_MAX: usize = 100;
/// The most that a room's `max_active` may be.
pub const MAX_ACTIVE_MAX: i64 = 1_000_000;
/// The most turns a minute that a room's rate may be.
pub const ADMIT_PER_MINUTE_MAX: i64 = 1_000_000;
/// How many tokens one advance of a line may handle: so many at the head, and so many overdue. The next advance handles
/// the rest.
pub const TOKENS_PER_ADVANCE_MAX: u32 = 500;

/// How much time a token has left to be heard of after its client has gone away, such as a page that was closed: enough
/// for a page that is loaded again over a slow network, and for a second device to ask.
pub const AWAY_GRACE: Span = Span::from_secs(15);

/// The longest time before the opening of a sale at which turns may be offered: shorter than any time to claim one.
pub const OFFER_LEAD_MAX: Span = Span::from_secs(60);
/// How many live tokens, and how many live reservations, the erasure of one account may name. Any others end by
/// themselves.
pub const LIVE_PER_ERASURE_MAX: usize = 1_000;
/// How long a link that resets a password is valid. Long enough to read it out over the telephone and type it in, short
/// enough that a forgotten link opens nothing.
pub const RESET_LINK_VALID: Span = Span::from_secs(30 * 60);
/// How long a link that confirms an e-mail address is valid: it opens nothing, and a letter may be late.
pub const CONFIRMATION_LINK_VALID: Span = Span::from_secs(24 * 3_600);

/// How long the page that asks for a code after a right password may be used.
pub const CODE_PAGE_VALID: Span = Span::from_secs(5 * 60);
/// How many wrong codes of an authenticator app an account may get before codes rest. One guess in 333,333 is right.
pub const WRONG_CODES_MAX: i64 = 10;
/// How long they rest. A guesser who knows the password needs years; the owner has recovery codes.
pub const FACTOR_REST: Span = Span::from_secs(3_600);

/// The least time between two records of a user's last sign-in: not every sign-in writes the user's row.
pub const SIGN_IN_RECORD_INTERVAL: Span = Span::from_secs(86_400);

/// Which callers may top up points to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopUpPolicy {
    /// Every user, to their own account: for demonstrations.
    Open,
    /// Operators and the service key only, after the payment provider said so.
    Operator,
}

/// Every setting that a rule depends on; the same for all instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a hold lasts.
    pub hold: Span,
    /// How long a token lives beyond the end of its hold, so that the payment can be made.
    pub pay_grace: Span,
    /// How many live seats one user may have in one concert.
    pub max_seats_per_user: u32,
    /// How many times one turn may hold seats.
    pub holds_per_turn: u32,
    /// How long a user who gave a seat up, or let its hold end, may not hold that seat again; zero for no limit.
    pub seat_cooldown: Span,
    /// How long before the sale opens the first turns are offered in a concert's own room, at most
    /// [`OFFER_LEAD_MAX`].
    pub offer_lead: Span,
    /// The order of tokens that come before the opening of a scheduled sale with a room of its own, unless an operator
    /// sets another.
    pub opening: OpeningOrder,
    /// How many turns a token may let pass, unclaimed or unresponsive; with the last of them it ends.
    pub missed_turns_max: u32,
    /// How long an offered turn may be claimed.
    pub claim_window: Span,
    /// How long a token with a missed turn may return to the head of the line.
    pub recall_window: Span,
    /// A waiting token without a heartbeat for this long is unresponsive and may become dormant when its turn comes.
    /// Its issue counts as a heartbeat.
    pub dormant_after: Span,
    /// How long a dormant token keeps its place before it ends.
    pub dormant_limit: Span,
    /// How long an active token lives at least after the last heartbeat.
    pub idle_limit: Span,
    /// How long an active token lives at most, except for a hold: then it lives until there was time to pay, even if
    /// the hold is cancelled before.
    pub active_limit: Span,
    /// By how much an outage extends the deadlines that were live when it began, at most; zero for not at all.
    pub outage_grace: Span,
    /// How long before the concert's start refunds end.
    pub refund_cutoff: Span,
    /// Which callers may top up points.
    pub top_up_policy: TopUpPolicy,
    /// The least amount of one top-up.
    pub top_up_min: Money,
    /// The most amount of one top-up.
    pub top_up_max: Money,
    /// The most that an account may hold.
    pub balance_max: Money,
}

/// A heartbeat that would extend an active token by less than this changes nothing: not every request is worth a
/// commit. Well below the longest poll interval that clients are given.
const RENEW_STEP_MAX: Span = Span::from_secs(10);
/// The step is at most this part of the idle limit.
const RENEW_STEP_PART: i64 = 8;

impl Policy {
    /// By how much a heartbeat must extend an active token to change anything.
    #[must_use]
    pub fn renew_step(&self) -> Span {
        RENEW_STEP_MAX.min(Span::from_micros(self.idle_limit.micros().saturating_div(RENEW_STEP_PART)))
    }

    /// How long an active token lives after the last heartbeat that renewed it. After a later heartbeat that did not,
    /// it still lives at least `idle_limit`.
    #[must_use]
    pub fn idle_span(&self) -> Span {
        Span::from_micros(self.idle_limit.micros().saturating_add(self.renew_step().micros()))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hold: Span::from_secs(300),
            pay_grace: Span::from_secs(30),
            max_seats_per_user: 4,
            holds_per_turn: 20,
            seat_cooldown: Span::from_secs(60),
            offer_lead: Span::from_secs(5),
            opening: OpeningOrder::Draw,
            missed_turns_max: 2,
            claim_window: Span::from_secs(60),
            recall_window: Span::from_secs(600),
            dormant_after: Span::from_secs(90),
            dormant_limit: Span::from_secs(1_800),
            idle_limit: Span::from_secs(90),
            active_limit: Span::from_secs(600),
            outage_grace: Span::from_secs(900),
            refund_cutoff: Span::from_secs(86_400),
            top_up_policy: TopUpPolicy::Open,
            top_up_min: Money::new(1),
            top_up_max: Money::new(10_000_000),
            balance_max: Money::new(1_000_000_000),
        }
    }
}
