//! The waiting line: token states, order, admission, estimated wait.
//!
//! waiting → offered → active → ended. Two more states: dormant (unresponsive at its turn, may return) and missed (did
//! not claim its turn, may return to the head of the line).

use crate::{
    id::{Position, RoomId, TokenId, UserId},
    outage::Outages,
    policy::{Policy, TOKENS_PER_ADVANCE_MAX},
    refusal::Refusal,
    time::{Span, Time},
    user::Caller,
};
use serde::{Deserialize, Serialize};

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// In line.
    Waiting,
    /// In line but silent when its turn came; waits again as soon as its user shows a sign.
    Dormant,
    /// Has its turn and must claim it before its deadline.
    Offered,
    /// Did not claim its turn; may be recalled to the head of the line.
    Missed,
    /// May hold and pay.
    Active,
    /// Paid, left or expired. Final.
    Ended,
}

/// Why a token ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its user paid.
    Paid,
    /// Its user left the line.
    Left,
    /// Its time ran out, or its concert was cancelled or is over.
    Expired,
    /// It let too many turns pass: a new place is at the end of the line.
    Missed,
}

/// A token's state, with the data of that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// In line.
    Waiting,
    /// In line, but unresponsive when its turn came.
    Dormant {
        /// When it ends unless its client polls again.
        until: Time,
    },
    /// Has its turn.
    Offered {
        /// When the turn is missed unless it is claimed.
        until: Time,
    },
    /// Did not claim its turn.
    Missed {
        /// When it ends unless it returns.
        until: Time,
    },
    /// May hold and pay.
    Active {
        /// When it was activated.
        since: Time,
        /// When it ends.
        until: Time,
    },
    /// Paid, left or expired. Final.
    Ended {
        /// When it ended.
        at: Time,
        /// Why it ended.
        reason: EndReason,
        /// When it was activated, if it ever was.
        activated_at: Option<Time>,
    },
}

impl TokenState {
    /// The state without its data.
    #[must_use]
    pub const fn status(self) -> TokenStatus {
        match self {
            Self::Waiting => TokenStatus::Waiting,
            Self::Dormant { .. } => TokenStatus::Dormant,
            Self::Offered { .. } => TokenStatus::Offered,
            Self::Missed { .. } => TokenStatus::Missed,
            Self::Active { .. } => TokenStatus::Active,
            Self::Ended { .. } => TokenStatus::Ended,
        }
    }

    /// When the state ends by itself; none for a waiting or ended token.
    #[must_use]
    pub const fn deadline(self) -> Option<Time> {
        match self {
            Self::Dormant { until } | Self::Offered { until } | Self::Missed { until } | Self::Active { until, .. } => {
                Some(until)
            }
            Self::Waiting | Self::Ended { .. } => None,
        }
    }

    /// When the token was activated, if it ever was.
    #[must_use]
    pub const fn activated_at(self) -> Option<Time> {
        match self {
            Self::Active { since, .. } => Some(since),
            Self::Ended { activated_at, .. } => activated_at,
            Self::Waiting | Self::Dormant { .. } | Self::Offered { .. } | Self::Missed { .. } => None,
        }
    }

    /// The state with a later deadline, if it has one.
    #[must_use]
    pub const fn extended(self, by: Span) -> Self {
        match self {
            Self::Dormant { until } => Self::Dormant { until: until.plus(by) },
            Self::Offered { until } => Self::Offered { until: until.plus(by) },
            Self::Missed { until } => Self::Missed { until: until.plus(by) },
            Self::Active { since, until } => Self::Active { since, until: until.plus(by) },
            Self::Waiting | Self::Ended { .. } => self,
        }
    }

    /// Every step that a token may take. A state that is entered again gets a new deadline.
    const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Waiting => matches!(next, Self::Offered { .. } | Self::Dormant { .. } | Self::Ended { .. }),
            Self::Offered { .. } => {
                matches!(next, Self::Offered { .. } | Self::Active { .. } | Self::Missed { .. } | Self::Ended { .. })
            }
            Self::Dormant { .. } | Self::Missed { .. } => matches!(next, Self::Waiting | Self::Ended { .. }),
            Self::Active { .. } => matches!(next, Self::Active { .. } | Self::Ended { .. }),
            Self::Ended { .. } => false,
        }
    }
}

/// A token's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TokenColumns", into = "TokenColumns")]
pub struct Token {
    /// The room and the place in its line.
    pub id: TokenId,
    /// The user.
    pub user_id: UserId,
    /// The token's state.
    pub state: TokenState,
    /// When it was issued.
    pub issued_at: Time,
    /// How many turns it let pass, because it did not claim them or was unresponsive.
    pub turns_passed: u32,
    /// How many times seats were held with it.
    pub holds: u32,
}

/// A token as the columns of its row: the status, and the data of every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenColumns {
    /// The room and the place in its line.
    pub id: TokenId,
    /// The user.
    pub user_id: UserId,
    /// The state without its data.
    pub status: TokenStatus,
    /// When it was issued.
    pub issued_at: Time,
    /// When it was activated.
    pub activated_at: Option<Time>,
    /// When the state ends by itself.
    pub deadline: Option<Time>,
    /// When it ended (the specification's `expired_at`).
    pub expired_at: Option<Time>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// How many turns it let pass.
    #[serde(default)]
    pub turns_passed: u32,
    /// How many times seats were held with it.
    #[serde(default)]
    pub holds: u32,
}

impl From<Token> for TokenColumns {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            user_id: token.user_id,
            status: token.state.status(),
            issued_at: token.issued_at,
            activated_at: token.state.activated_at(),
            deadline: token.state.deadline(),
            expired_at: token.expired_at(),
            end_reason: token.end_reason(),
            turns_passed: token.turns_passed,
            holds: token.holds,
        }
    }
}

impl TryFrom<TokenColumns> for Token {
    type Error = ContradictoryColumns;

    fn try_from(row: TokenColumns) -> Result<Self, ContradictoryColumns> {
        let state = match (row.status, row.deadline, row.activated_at, row.expired_at, row.end_reason) {
            (TokenStatus::Waiting, None, None, None, None) => TokenState::Waiting,
            (TokenStatus::Dormant, Some(until), None, None, None) => TokenState::Dormant { until },
            (TokenStatus::Offered, Some(until), None, None, None) => TokenState::Offered { until },
            (TokenStatus::Missed, Some(until), None, None, None) => TokenState::Missed { until },
            (TokenStatus::Active, Some(until), Some(since), None, None) => TokenState::Active { since, until },
            (TokenStatus::Ended, None, activated_at, Some(at), Some(reason)) => {
                TokenState::Ended { at, reason, activated_at }
            }
            _ => return Err(ContradictoryColumns { table: "waiting_token" }),
        };
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            state,
            issued_at: row.issued_at,
            turns_passed: row.turns_passed,
            holds: row.holds,
        })
    }
}

/// The columns of a row belong to no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the columns of a row of {table} contradict each other")]
pub struct ContradictoryColumns {
    /// The row's table.
    pub table: &'static str,
}

/// A token cannot take a step from its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token that is {from:?} cannot become {to:?}")]
pub struct WrongState {
    /// The token's status.
    pub from: TokenStatus,
    /// The status that it cannot get.
    pub to: TokenStatus,
}

/// A caller is answered by the token's status.
impl From<WrongState> for Refusal {
    fn from(WrongState { from, .. }: WrongState) -> Self {
        match from {
            TokenStatus::Ended => Self::TokenEnded,
            TokenStatus::Waiting | TokenStatus::Dormant | TokenStatus::Missed => Self::TurnNotYet,
            TokenStatus::Offered => Self::TokenNotActivated,
            TokenStatus::Active => Self::TokenInvalid,
        }
    }
}

impl Token {
    /// A new waiting token (대기토큰발급).
    #[must_use]
    pub const fn issued(id: TokenId, user_id: UserId, now: Time) -> Self {
        Self { id, user_id, state: TokenState::Waiting, issued_at: now, turns_passed: 0, holds: 0 }
    }

    /// The state without its data.
    #[must_use]
    pub const fn status(&self) -> TokenStatus {
        self.state.status()
    }

    /// When the state ends by itself: the time to claim for an offered token, to return for a missed one, to live for a
    /// dormant or active one. None for a waiting or ended token.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        self.state.deadline()
    }

    /// When it was activated.
    #[must_use]
    pub const fn activated_at(&self) -> Option<Time> {
        self.state.activated_at()
    }

    /// When it ended (the specification's `expired_at`).
    #[must_use]
    pub const fn expired_at(&self) -> Option<Time> {
        match self.state {
            TokenState::Ended { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Why it ended.
    #[must_use]
    pub const fn end_reason(&self) -> Option<EndReason> {
        match self.state {
            TokenState::Ended { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether the deadline of its state has passed.
    #[must_use]
    pub fn is_overdue(&self, now: Time) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// Whether it counts against the room's cap.
    #[must_use]
    pub fn is_active(&self, now: Time) -> bool {
        matches!(self.state, TokenState::Active { until, .. } if now < until)
    }

    /// Whether it has a turn that may still be claimed.
    #[must_use]
    pub fn is_offered(&self, now: Time) -> bool {
        matches!(self.state, TokenState::Offered { until } if now < until)
    }

    /// The token in another state, if a step leads there from its present one.
    fn entered(self, next: TokenState) -> Result<Self, WrongState> {
        if !self.state.may_become(next) {
            return Err(WrongState { from: self.state.status(), to: next.status() });
        }
        Ok(Self { state: next, ..self })
    }

    /// The token after its deadline, if that has passed: an unclaimed turn is missed, unless it was the last one
    /// allowed, and any other state ends.
    #[must_use]
    pub fn after_deadline(self, now: Time, policy: &Policy) -> Self {
        match self.state {
            TokenState::Offered { until } if now >= until => {
                let token = self.turn_passed();
                if token.has_passed_its_last_turn(policy) {
                    return token.ended_at(until, EndReason::Missed);
                }
                let missed = TokenState::Missed { until: until.plus(policy.recall_window) };
                Self { state: missed, ..token }.after_deadline(now, policy)
            }
            TokenState::Missed { until } | TokenState::Dormant { until } | TokenState::Active { until, .. }
                if now >= until =>
            {
                self.ended_at(until, EndReason::Expired)
            }
            _ => self,
        }
    }

    const fn turn_passed(mut self) -> Self {
        self.turns_passed = self.turns_passed.saturating_add(1);
        self
    }

    /// Whether it has let as many turns pass as it may: it ends then, so that tokens that never claim do not come before
    /// the others again and again.
    const fn has_passed_its_last_turn(&self, policy: &Policy) -> bool {
        self.turns_passed >= policy.missed_turns_max
    }

    const fn ended_at(mut self, at: Time, reason: EndReason) -> Self {
        self.state = TokenState::Ended { at, reason, activated_at: self.state.activated_at() };
        self
    }

    /// The token ended (토큰만료) at `at`.
    ///
    /// # Errors
    /// It has ended before.
    pub fn ended(self, at: Time, reason: EndReason) -> Result<Self, WrongState> {
        self.entered(TokenState::Ended { at, reason, activated_at: self.state.activated_at() })
    }

    /// The waiting token with a turn to be claimed within the window; an offered one gets the whole window again.
    ///
    /// # Errors
    /// It is in another state.
    pub fn offered(self, now: Time, policy: &Policy) -> Result<Self, WrongState> {
        self.entered(TokenState::Offered { until: now.plus(policy.claim_window) })
    }

    /// The offered token activated (사용자활성화).
    ///
    /// # Errors
    /// It is in another state.
    pub fn activated(self, now: Time, policy: &Policy) -> Result<Self, WrongState> {
        let until = now.plus(policy.idle_span().min(policy.active_limit));
        match self.state {
            TokenState::Offered { .. } => self.entered(TokenState::Active { since: now, until }),
            _ => Err(WrongState { from: self.status(), to: TokenStatus::Active }),
        }
    }

    /// The dormant or missed token back in line with its old place.
    ///
    /// # Errors
    /// It is in another state.
    pub fn requeued(self) -> Result<Self, WrongState> {
        self.entered(TokenState::Waiting)
    }

    /// The waiting token as dormant because it was unresponsive when its turn came, or as ended if that was the last
    /// turn it could let pass.
    ///
    /// # Errors
    /// It is in another state.
    pub fn made_dormant(self, now: Time, policy: &Policy) -> Result<Self, WrongState> {
        let dormant = TokenState::Dormant { until: now.plus(policy.dormant_limit) };
        let token = self.entered(dormant)?.turn_passed();
        if token.has_passed_its_last_turn(policy) { Ok(token.ended_at(now, EndReason::Missed)) } else { Ok(token) }
    }

    /// The active token after a heartbeat: idle time starts again, within the absolute limit, which `outages` move. The
    /// deadline never moves back.
    ///
    /// # Errors
    /// It is in another state.
    pub fn renewed(self, now: Time, policy: &Policy, outages: &Outages) -> Result<Self, WrongState> {
        let TokenState::Active { since, until } = self.state else {
            return Err(WrongState { from: self.status(), to: TokenStatus::Active });
        };
        let idle_until = now.plus(policy.idle_span()).min(outages.limit_of(since, policy));
        self.entered(TokenState::Active { since, until: until.max(idle_until) })
    }

    /// The active token after a hold that ends at `hold_until`: it lives until there was time to pay. It keeps that
    /// time if the hold is cancelled: the row does not store its earlier deadline.
    ///
    /// # Errors
    /// It is in another state.
    pub fn extended_for_hold(self, hold_until: Time, policy: &Policy) -> Result<Self, WrongState> {
        let TokenState::Active { since, until } = self.state else {
            return Err(WrongState { from: self.status(), to: TokenStatus::Active });
        };
        let until = until.max(hold_until.plus(policy.pay_grace));
        let token = self.entered(TokenState::Active { since, until })?;
        Ok(Self { holds: token.holds.saturating_add(1), ..token })
    }

    /// Refuses a hold once the turn's absolute limit is reached: earlier holds may still be paid, but a new hold could
    /// end after the token does, and repeated holds would keep the token alive.
    ///
    /// # Errors
    /// [`Refusal::TurnTimeOver`].
    pub fn check_time_to_hold(&self, now: Time, policy: &Policy, outages: &Outages) -> Result<(), Refusal> {
        match self.activated_at().map(|activated_at| outages.limit_of(activated_at, policy)) {
            Some(until) if now >= until => Err(Refusal::TurnTimeOver { until }),
            _ => Ok(()),
        }
    }
}

/// Whether the line moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Turns are offered.
    Open,
    /// No turn is offered until an operator opens the gate. Offered turns may still be claimed.
    Paused,
}

/// The number of a line's leader, higher than all earlier ones. It shows when a replaced leader acts without knowing
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fence(pub i64);

/// A waiting room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Room {
    /// Which room.
    pub room_id: RoomId,
    /// How many tokens may be active at once. Never exceeded.
    #[cfg_attr(feature = "openapi", schema(example = 100))]
    pub max_active: i64,
    /// How many turns may be offered in a minute; none for as many as `max_active` allows.
    #[cfg_attr(feature = "openapi", schema(example = 600))]
    pub admit_per_minute: Option<i64>,
    /// Whether the line moves.
    pub gate: Gate,
    /// What everybody in line is told.
    #[cfg_attr(feature = "openapi", schema(example = "Doors open at 20:00."))]
    pub message: Option<String>,
    /// The highest position that was offered a turn or passed over; 0 before the first.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 0, example = 120))]
    pub cursor: Position,
    /// Raised when the line is laid anew; tokens of another epoch are not this line's.
    pub epoch: i64,
    /// The smoothed share of turns that nobody claims, in millionths.
    pub no_show_ppm: i64,
    /// Millionths of a turn that the rate has earned and not spent.
    #[serde(skip)]
    pub credit_ppm: i64,
    /// Up to when the rate's credit was counted.
    #[serde(skip)]
    pub credit_at: Time,
    /// The leader that moved the line last: one with a lower number moves it no more.
    #[serde(skip)]
    pub fence: Fence,
    /// When the sale of the concert opens whose own room it is; none for the house room.
    pub opens_at: Option<Time>,
    /// When that sale is over: it closes, or was stopped before. None for the house room.
    pub closes_at: Option<Time>,
    /// When a setting last changed.
    pub updated_at: Time,
}

/// One turn, in millionths, the unit of credit and shares.
const ONE_PPM: i64 = 1_000_000;
/// How fast the no-show share adapts: one part in 32 a turn.
const NO_SHOW_WEIGHT: i64 = 32;
/// Offers may exceed the free places by at most this much, in millionths: 1.5 ×.
const OVERCOMMIT_MAX_PPM: i64 = 1_500_000;

impl Room {
    /// A room with the default settings.
    #[must_use]
    pub const fn new(room_id: RoomId, max_active: i64, now: Time) -> Self {
        Self {
            room_id,
            max_active,
            admit_per_minute: None,
            gate: Gate::Open,
            message: None,
            cursor: Position(0),
            epoch: 1,
            no_show_ppm: 0,
            credit_ppm: 0,
            credit_at: now,
            fence: Fence(0),
            opens_at: None,
            closes_at: None,
            updated_at: now,
        }
    }

    /// How many tokens may be active at once (최대활성토큰수조회).
    #[must_use]
    pub const fn max_active_tokens(&self) -> i64 {
        self.max_active
    }

    /// Records whether a turn was claimed.
    pub fn note_turn(&mut self, turn: Turn) {
        let sample = match turn {
            Turn::Claimed => 0,
            Turn::Unclaimed => ONE_PPM,
        };
        let step = sample.saturating_sub(self.no_show_ppm).saturating_div(NO_SHOW_WEIGHT);
        self.no_show_ppm = self.no_show_ppm.saturating_add(step).clamp(0, ONE_PPM);
    }

    /// When the first turns are offered, `lead` before the sale opens; none if the sale's opening allows turns at
    /// `now`.
    #[must_use]
    pub fn rests_until(&self, now: Time, lead: Span) -> Option<Time> {
        self.opens_at.map(|opens_at| opens_at.minus(lead)).filter(|begins| now < *begins)
    }

    /// Whether the sale is over at `now`, for good or until an operator resumes it: the line keeps its order and no
    /// turn is offered. Offered turns may still be claimed, and holds may be paid as far as the concert allows.
    #[must_use]
    pub fn is_sale_over(&self, now: Time) -> bool {
        self.closes_at.is_some_and(|closes_at| now >= closes_at)
    }

    /// How many turns may be offered now; earns credit but spends none. Zero until `lead` before the sale opens, and
    /// after its end. Two caps, and the tighter binds.
    ///
    /// Free places are over-committed by the measured no-show share p: `free ÷ (1 − p)`, at most 1.5 × free.
    #[must_use]
    pub fn turns_to_offer(&mut self, active: i64, offered: i64, now: Time, lead: Span) -> i64 {
        self.earn_credit(now);
        self.turns_available(active, offered, now, lead)
    }

    /// The result of [`Self::turns_to_offer`] at `now`, without earning credit: whether an advance is worth a command.
    #[must_use]
    pub fn turns_available(&self, active: i64, offered: i64, now: Time, lead: Span) -> i64 {
        if self.is_sale_over(now) || self.rests_until(now, lead).is_some() {
            return 0;
        }
        let shows_ppm = ONE_PPM.saturating_sub(self.no_show_ppm).max(1);
        let over_ppm = ONE_PPM.saturating_mul(ONE_PPM).checked_div(shows_ppm).unwrap_or(ONE_PPM);
        let want = self.turns_at(over_ppm.min(OVERCOMMIT_MAX_PPM), active, offered);
        match self.admit_per_minute {
            None => want,
            Some(per_minute) => want.min(self.credit_ppm_at(per_minute, now).saturating_div(ONE_PPM)),
        }
    }

    /// How many turns are missing if the outstanding ones are `over_ppm` of the free places.
    fn turns_at(&self, over_ppm: i64, active: i64, offered: i64) -> i64 {
        if self.gate == Gate::Paused {
            return 0;
        }
        let free = self.max_active_tokens().saturating_sub(active).max(0);
        free.saturating_mul(over_ppm).saturating_div(ONE_PPM).saturating_sub(offered).max(0)
    }

    /// Spends the credit of `turns` offered turns.
    pub fn spend_credit(&mut self, turns: i64) {
        self.credit_ppm = self.credit_ppm.saturating_sub(turns.saturating_mul(ONE_PPM)).max(0);
    }

    fn earn_credit(&mut self, now: Time) {
        self.credit_ppm = self.admit_per_minute.map_or(0, |per_minute| self.credit_ppm_at(per_minute, now));
        self.credit_at = self.credit_at.max(now);
    }

    /// Credit grows with the rate and is kept for one second at most (one turn at least): none is banked.
    fn credit_ppm_at(&self, per_minute: i64, now: Time) -> i64 {
        let elapsed = now.since(self.credit_at).micros();
        // micros × turns a minute ÷ 60 s is millionths of a turn, since both are counted in millionths.
        let earned = elapsed.saturating_mul(per_minute).saturating_div(60);
        let burst = per_minute.saturating_mul(ONE_PPM).saturating_div(60).max(ONE_PPM);
        self.credit_ppm.saturating_add(earned).min(burst)
    }
}

/// Whether a turn was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The token was activated.
    Claimed,
    /// The time to claim passed.
    Unclaimed,
}

/// The states with a deadline, in the order in which an advance handles them: first the ones that block other tokens.
pub const DEADLINE_ORDER: [TokenStatus; 4] =
    [TokenStatus::Active, TokenStatus::Offered, TokenStatus::Missed, TokenStatus::Dormant];

/// The overdue tokens that one advance handles: at most [`TOKENS_PER_ADVANCE_MAX`], by [`DEADLINE_ORDER`], deadline and
/// position. They are returned in the order of the line, which affects the room's no-show share.
#[must_use]
pub fn first_due(mut overdue: Vec<Token>) -> Vec<Token> {
    let rank = |status| DEADLINE_ORDER.iter().position(|lapses| *lapses == status).unwrap_or(DEADLINE_ORDER.len());
    overdue.sort_unstable_by_key(|token| (rank(token.status()), token.deadline(), token.id));
    overdue.truncate(usize::try_from(TOKENS_PER_ADVANCE_MAX).unwrap_or(usize::MAX));
    overdue.sort_unstable_by_key(|token| token.id);
    overdue
}

/// The next position from the highest so far (다음순서생성).
#[must_use]
pub const fn next_position(highest: Position) -> Position {
    Position(highest.0.saturating_add(1))
}

/// Whether the token may be activated now: it has its turn and the room has a free place
/// (활성화가능여부(토큰, 현재활성수, 최대활성수)).
#[must_use]
pub fn may_activate(token: &Token, active: i64, max_active: i64, now: Time) -> bool {
    can_be_activated(token, now) && active < max_active
}

/// Whether the token's state allows activation (활성화가능여부(토큰)).
#[must_use]
pub fn can_be_activated(token: &Token, now: Time) -> bool {
    token.is_offered(now)
}

/// Whether the token is live: it has not ended and can still expire (만료가능여부).
#[must_use]
pub fn is_live_token(token: &Token) -> bool {
    token.status() != TokenStatus::Ended
}

/// Whether the token lets the caller hold and pay in a room (서비스이용가능여부).
///
/// # Errors
/// [`Refusal::TokenInvalid`] for another user's token, else the refusal that says what is missing.
pub fn check_may_use(
    token: &Token,
    caller: Caller,
    room_id: RoomId,
    now: Time,
    policy: &Policy,
) -> Result<(), Refusal> {
    if Some(token.user_id) != caller.user_id() {
        return Err(Refusal::TokenInvalid);
    }
    if token.id.room_id != room_id {
        return Err(Refusal::TokenOfAnotherRoom);
    }
    match token.after_deadline(now, policy).status() {
        TokenStatus::Active => Ok(()),
        TokenStatus::Waiting | TokenStatus::Dormant => Err(Refusal::TokenWaiting),
        TokenStatus::Offered => Err(Refusal::TokenNotActivated),
        TokenStatus::Missed => Err(Refusal::TokenMissed),
        TokenStatus::Ended => Err(Refusal::TokenEnded),
    }
}

/// Whether a heartbeat should wake the token: a dormant one always, an active one if the renewal would move its
/// deadline by a step, or to its absolute limit. A smaller gain is not worth a command. Clients poll at intervals
/// longer than a step, so each poll renews, and one that is lost costs nothing.
#[must_use]
pub fn is_wake_due(state: TokenState, now: Time, policy: &Policy, outages: &Outages) -> bool {
    match state {
        TokenState::Dormant { .. } => true,
        TokenState::Active { since, until } => {
            let limit = outages.limit_of(since, policy);
            let renewed = now.plus(policy.idle_span()).min(limit);
            renewed > until && (renewed == limit || renewed.since(until) >= policy.renew_step())
        }
        TokenState::Waiting | TokenState::Offered { .. } | TokenState::Missed { .. } | TokenState::Ended { .. } => {
            false
        }
    }
}

/// Whether a line can have given this position (유효한순서여부).
#[must_use]
pub const fn is_valid_position(position: Position) -> bool {
    position.0 >= 1
}

/// The estimated wait (예상대기시간계산) of a token with `ahead` live tokens in front of it.
///
/// `pace` is the measured mean time between two departures from the head of the line. A token with a free place does
/// not wait; any other waits for `(ahead − free + 1) × pace` (the queue-length predictor of Ibrahim and Whitt, with the
/// measured rate).
#[must_use]
pub fn estimated_wait(ahead: i64, active: i64, max_active: i64, pace: Span) -> Span {
    let free = max_active.saturating_sub(active).max(0);
    if ahead < free {
        return Span::ZERO;
    }
    let departures = ahead.saturating_sub(free).saturating_add(1);
    Span::from_micros(departures.saturating_mul(pace.micros()))
}

/// The wait that nine in ten will not exceed: departures taken as a Poisson stream, so that the count of n has a
/// deviation of √n, and 1.28 deviations cover nine tenths of a normal distribution.
#[must_use]
pub fn estimated_wait_p90(ahead: i64, active: i64, max_active: i64, pace: Span) -> Span {
    let median = estimated_wait(ahead, active, max_active, pace);
    if median == Span::ZERO {
        return Span::ZERO;
    }
    let free = max_active.saturating_sub(active).max(0);
    let departures = ahead.saturating_sub(free).saturating_add(1);
    let deviation = departures.max(0).isqrt().saturating_mul(pace.micros());
    Span::from_micros(median.micros().saturating_add(deviation.saturating_mul(128).saturating_div(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_micros(1_000_000_000);

    fn room() -> Room {
        Room::new(RoomId::HOUSE, 10, START)
    }

    fn token() -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        Token::issued(id, UserId(uuid::Uuid::nil()), START)
    }

    fn offered(policy: &Policy) -> Token {
        token().offered(START, policy).unwrap()
    }

    fn active(policy: &Policy) -> Token {
        offered(policy).activated(START, policy).unwrap()
    }

    #[test]
    fn turns_fill_the_free_places_and_no_more() {
        assert_eq!(room().turns_to_offer(0, 0, START, Span::ZERO), 10);
        assert_eq!(room().turns_to_offer(7, 2, START, Span::ZERO), 1);
        assert_eq!(room().turns_to_offer(12, 0, START, Span::ZERO), 0);
    }

    #[test]
    fn no_shows_are_made_up_for_by_half_at_most() {
        let mut room = room();
        for _ in 0..1_000 {
            room.note_turn(Turn::Unclaimed);
        }
        assert_eq!(room.turns_to_offer(0, 0, START, Span::ZERO), 15);
    }

    #[test]
    fn the_turns_available_are_those_that_an_advance_would_offer() {
        let mut room = room();
        for (turn, rate) in (0..200).zip([None, Some(60), Some(1_000)].into_iter().cycle()) {
            let now = START.plus(Span::from_millis(37 * turn));
            room.admit_per_minute = rate;
            for (active, offered) in [(0, 0), (3, 2), (9, 1), (10, 0), (12, 4)] {
                let available = room.turns_available(active, offered, now, Span::ZERO);
                assert_eq!(
                    room.turns_to_offer(active, offered, now, Span::ZERO),
                    available,
                    "{turn}: {active}, {offered}"
                );
            }
            room.spend_credit(1);
            room.note_turn(if turn < 150 { Turn::Unclaimed } else { Turn::Claimed });
        }
        room.gate = Gate::Paused;
        assert_eq!(room.turns_available(0, 0, START, Span::ZERO), 0);
    }

    #[test]
    fn without_credit_no_turn_is_available_until_the_rate_has_earned_one() {
        let mut room = room();
        room.admit_per_minute = Some(60);
        assert_eq!(room.turns_available(0, 0, START.plus(Span::from_millis(999)), Span::ZERO), 0);
        assert_eq!(room.turns_available(0, 0, START.plus(Span::from_millis(1_000)), Span::ZERO), 1);
        assert_eq!(room.credit_at, START, "to ask earns nothing");
    }

    #[test]
    fn the_rate_binds_and_banks_no_credit() {
        let mut room = room();
        room.admit_per_minute = Some(120);
        assert_eq!(room.turns_to_offer(0, 0, START, Span::ZERO), 0);
        assert_eq!(room.turns_to_offer(0, 0, START.plus(Span::from_millis(500)), Span::ZERO), 1);
        room.spend_credit(1);
        assert_eq!(room.turns_to_offer(0, 0, START.plus(Span::from_secs(3_600)), Span::ZERO), 2);
    }

    #[test]
    fn a_paused_gate_offers_nothing() {
        let mut room = room();
        room.gate = Gate::Paused;
        assert_eq!(room.turns_to_offer(0, 0, START, Span::ZERO), 0);
    }

    #[test]
    fn nothing_is_offered_before_the_sale_opens_less_the_lead() {
        let (mut room, lead) = (room(), Span::from_secs(5));
        let opens_at = START.plus(Span::from_secs(60));
        room.opens_at = Some(opens_at);
        let begins = opens_at.minus(lead);
        let just_before = begins.minus(Span::from_micros(1));
        assert_eq!(
            (room.turns_to_offer(0, 0, just_before, lead), room.turns_available(0, 0, just_before, lead)),
            (0, 0)
        );
        assert_eq!(room.rests_until(just_before, lead), Some(begins));
        assert_eq!((room.turns_to_offer(0, 0, begins, lead), room.turns_available(0, 0, begins, lead)), (10, 10));
        assert_eq!(room.rests_until(begins, lead), None);
    }

    #[test]
    fn nothing_is_offered_from_the_end_of_the_sale_on() {
        let mut room = room();
        let closes_at = START.plus(Span::from_secs(60));
        room.closes_at = Some(closes_at);
        let just_before = closes_at.minus(Span::from_micros(1));
        let turns = |room: &mut Room, now| {
            (room.turns_to_offer(0, 0, now, Span::ZERO), room.turns_available(0, 0, now, Span::ZERO))
        };
        assert_eq!(turns(&mut room, just_before), (10, 10));
        assert_eq!(turns(&mut room, closes_at), (0, 0));
        room.closes_at = Some(closes_at.plus(Span::from_secs(1)));
        assert_eq!(turns(&mut room, closes_at), (10, 10), "the sale goes on");
    }

    #[test]
    fn a_token_ends_with_the_last_turn_that_it_may_let_pass() {
        let policy = Policy { missed_turns_max: 3, ..Policy::default() };
        let later = |deadline: Option<Time>| deadline.unwrap();
        let first = offered(&policy);
        let first = first.after_deadline(later(first.deadline()), &policy);
        assert_eq!((first.status(), first.turns_passed), (TokenStatus::Missed, 1));
        let second = first.requeued().unwrap().made_dormant(START, &policy).unwrap();
        assert_eq!((second.status(), second.turns_passed), (TokenStatus::Dormant, 2));
        let third = second.requeued().unwrap().offered(START, &policy).unwrap();
        let ended = third.after_deadline(later(third.deadline()), &policy);
        assert_eq!((ended.status(), ended.end_reason()), (TokenStatus::Ended, Some(EndReason::Missed)));
        assert_eq!(ended.expired_at(), third.deadline());
        assert_eq!(
            second.requeued().unwrap().made_dormant(START, &policy).unwrap().end_reason(),
            Some(EndReason::Missed)
        );
    }

    #[test]
    fn each_state_ends_as_specified_at_its_deadline() {
        let policy = Policy::default();
        let offered = offered(&policy);
        let claim_by = START.plus(policy.claim_window);
        assert_eq!(offered.after_deadline(START, &policy).status(), TokenStatus::Offered);
        assert_eq!(offered.after_deadline(claim_by, &policy).status(), TokenStatus::Missed);
        let long_after = claim_by.plus(policy.recall_window);
        assert_eq!(offered.after_deadline(long_after, &policy).expired_at(), Some(long_after));
        let active = offered.activated(START, &policy).unwrap();
        assert_eq!(
            active.after_deadline(START.plus(policy.idle_span()), &policy).end_reason(),
            Some(EndReason::Expired)
        );
    }

    #[test]
    fn an_active_token_is_renewed_up_to_its_absolute_limit() {
        let policy = Policy::default();
        let mut active = active(&policy);
        let mut now = START;
        for _ in 0..100 {
            now = now.plus(Span::from_secs(30));
            active = active.renewed(now, &policy, &Outages::default()).unwrap();
        }
        assert_eq!(active.deadline(), Some(START.plus(policy.active_limit)));
    }

    #[test]
    fn an_active_token_never_ends_before_its_idle_limit_after_the_last_sign() {
        let policy = Policy::default();
        let active = active(&policy);
        for first in 0..90 {
            for second in first..=90 {
                let mut token = active;
                let mut last = START;
                for at in [first, second].map(|seconds| START.plus(Span::from_secs(seconds))) {
                    if token.is_active(at) {
                        if is_wake_due(token.state, at, &policy, &Outages::default()) {
                            token = token.renewed(at, &policy, &Outages::default()).unwrap();
                        }
                        last = at;
                    }
                }
                let lived = token.deadline().unwrap().since(last);
                assert!(lived >= policy.idle_limit, "{first}, {second}");
                assert!(lived <= policy.idle_span(), "{first}, {second}");
            }
        }
    }

    #[test]
    fn one_poll_in_two_may_be_lost() {
        let policy = Policy::default();
        let mut active = active(&policy);
        // The longest poll interval that clients are given: 30 seconds and a fifth.
        let poll = Span::from_secs(36);
        let mut now = START;
        for round in 1..16 {
            now = now.plus(poll);
            assert!(active.is_active(now), "poll {round}");
            if round % 2 == 1 && is_wake_due(active.state, now, &policy, &Outages::default()) {
                active = active.renewed(now, &policy, &Outages::default()).unwrap();
            }
        }
    }

    #[test]
    fn a_token_is_woken_when_that_would_change_something() {
        let policy = Policy::default();
        let due = |token: &Token, now| is_wake_due(token.state, now, &policy, &Outages::default());
        let active = active(&policy);
        let step = START.plus(policy.renew_step());
        assert!(!due(&active, step.minus(Span::from_micros(1))));
        assert!(due(&active, step));
        let until = |until| Token { state: TokenState::Active { since: START, until }, ..active };
        let nearly = START.plus(policy.active_limit).minus(Span::from_micros(1));
        assert!(due(&until(nearly), nearly), "the last renewal reaches the limit");
        let at_its_limit = until(START.plus(policy.active_limit));
        assert!(!due(&at_its_limit, START.plus(policy.active_limit).minus(Span::from_secs(1))));
        assert!(due(&token().made_dormant(START, &policy).unwrap(), START));
        assert!(!due(&token(), START));
    }

    #[test]
    fn a_hold_lifts_the_end_and_none_is_made_after_the_limit() {
        let policy = Policy::default();
        let active = active(&policy);
        let hold_until = START.plus(policy.hold);
        let lifted = active.extended_for_hold(hold_until, &policy).unwrap();
        assert_eq!((lifted.deadline(), lifted.holds), (Some(hold_until.plus(policy.pay_grace)), 1));
        let until = START.plus(policy.active_limit);
        assert_eq!(lifted.check_time_to_hold(until.minus(Span::from_micros(1)), &policy, &Outages::default()), Ok(()));
        assert_eq!(
            lifted.check_time_to_hold(until, &policy, &Outages::default()),
            Err(Refusal::TurnTimeOver { until })
        );
    }

    /// One state of each kind.
    fn states() -> [TokenState; 6] {
        let until = START;
        [
            TokenState::Waiting,
            TokenState::Dormant { until },
            TokenState::Offered { until },
            TokenState::Missed { until },
            TokenState::Active { since: START, until },
            TokenState::Ended { at: START, reason: EndReason::Left, activated_at: Some(START) },
        ]
    }

    #[test]
    fn a_token_takes_only_the_steps_of_its_state() {
        use TokenStatus::{Active, Dormant, Ended, Missed, Offered, Waiting};
        let steps = |status| match status {
            Waiting => vec![Dormant, Offered, Ended],
            Dormant | Missed => vec![Waiting, Ended],
            Offered => vec![Offered, Missed, Active, Ended],
            Active => vec![Active, Ended],
            Ended => vec![],
        };
        for from in states() {
            for to in states() {
                let entered = Token { state: from, ..token() }.entered(to);
                let expected = steps(from.status()).contains(&to.status());
                assert_eq!(entered.is_ok(), expected, "{from:?} to {to:?}");
            }
        }
        let ended = active(&Policy::default()).ended(START, EndReason::Paid).unwrap();
        assert_eq!(ended.ended(START, EndReason::Left), Err(WrongState { from: Ended, to: Ended }));
        assert_eq!(ended.activated_at(), Some(START), "the row keeps when it was activated");
    }

    #[test]
    fn a_token_is_what_its_columns_say_and_contradictory_columns_are_no_token() {
        for state in states() {
            let token = Token { state, turns_passed: 1, holds: 2, ..token() };
            assert_eq!(Token::try_from(TokenColumns::from(token)), Ok(token));
        }
        let active = TokenColumns::from(active(&Policy::default()));
        let waiting = TokenColumns::from(token());
        for columns in [
            TokenColumns { deadline: None, ..active },
            TokenColumns { activated_at: None, ..active },
            TokenColumns { expired_at: Some(START), ..active },
            TokenColumns { deadline: Some(START), ..waiting },
            TokenColumns { status: TokenStatus::Ended, ..waiting },
        ] {
            assert_eq!(Token::try_from(columns), Err(ContradictoryColumns { table: "waiting_token" }), "{columns:?}");
        }
    }

    #[test]
    fn the_wait_counts_departures_beyond_the_free_places() {
        let pace = Span::from_secs(2);
        assert_eq!(estimated_wait(0, 9, 10, pace), Span::ZERO);
        assert_eq!(estimated_wait(0, 10, 10, pace), Span::from_secs(2));
        assert_eq!(estimated_wait(9, 10, 10, pace), Span::from_secs(20));
        assert_eq!(estimated_wait(9, 5, 10, pace), Span::from_secs(10));
        assert!(estimated_wait_p90(99, 10, 10, pace) > estimated_wait(99, 10, 10, pace));
    }

    #[test]
    fn positions_start_at_one_and_rise() {
        assert!(!is_valid_position(Position(0)));
        assert!(is_valid_position(next_position(Position(0))));
        assert_eq!(next_position(Position(41)), Position(42));
    }
}
