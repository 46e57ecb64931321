//! A token: a place in the line of a room.

use super::{EndReason, TokenColumns, TokenState, TokenStatus, WrongState};
use crate::{
    id::{Position, TokenId, UserId},
    outage::{Outage, Outages},
    policy::{Policy, TOKENS_PER_ADVANCE_MAX},
    refusal::Refusal,
    time::Time,
};
use serde::{Deserialize, Serialize};

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

    /// The token with its deadline extended by an outage; none if the outage did not affect it: it was over already, or
    /// has no deadline. To be applied once, before anything else is decided about the token.
    #[must_use]
    pub fn extended_by(self, outage: &Outage) -> Option<Self> {
        self.deadline().filter(|deadline| *deadline > outage.from)?;
        Some(Self { state: self.state.extended(outage.grace), ..self })
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
        matches!(self.state, TokenState::Offered { until, .. } if now < until)
    }

    /// The token in another state, if a step leads there from its present one.
    pub(super) fn entered(self, next: TokenState) -> Result<Self, WrongState> {
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
            TokenState::Offered { until, .. } if now >= until => {
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

    /// Whether it has let as many turns pass as it may.
    const fn has_passed_its_last_turn(&self, policy: &Policy) -> bool {
        is_last_pass(self.turns_passed, policy)
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

    /// The waiting token with a turn to be claimed within the window.
    ///
    /// # Errors
    /// It is in another state.
    pub fn offered(self, now: Time, policy: &Policy) -> Result<Self, WrongState> {
        self.entered(TokenState::Offered { until: now.plus(policy.claim_window), claimed_at: None, back_until: None })
    }

    /// The offered token after a claim that found the room full: it gets the whole window again, and its place among the
    /// claims is that of the first one.
    ///
    /// # Errors
    /// It is in another state.
    pub fn claimed(self, now: Time, policy: &Policy) -> Result<Self, WrongState> {
        let TokenState::Offered { claimed_at, .. } = self.state else {
            return Err(WrongState { from: self.status(), to: TokenStatus::Offered });
        };
        let claimed_at = Some(claimed_at.unwrap_or(now));
        self.entered(TokenState::Offered { until: now.plus(policy.claim_window), claimed_at, back_until: None })
    }

    /// The offered token activated (사용자활성화).
    ///
    /// # Errors
    /// It is in another state.
    pub fn activated(self, now: Time, policy: &Policy) -> Result<Self, WrongState> {
        let until = now.plus(policy.idle_span().min(policy.active_limit));
        match self.state {
            TokenState::Offered { .. } => self.entered(TokenState::Active { since: now, until, back_until: None }),
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
        let TokenState::Active { since, until, .. } = self.state.back() else {
            return Err(WrongState { from: self.status(), to: TokenStatus::Active });
        };
        let idle_until = now.plus(policy.idle_span()).min(outages.limit_of(since, policy));
        self.entered(TokenState::Active { since, until: until.max(idle_until), back_until: None })
    }

    /// The active token after a hold that ends at `hold_until`: it lives until there was time to pay. It keeps that
    /// time if the hold is cancelled: the row does not store its earlier deadline.
    ///
    /// # Errors
    /// It is in another state.
    pub fn extended_for_hold(self, hold_until: Time, policy: &Policy) -> Result<Self, WrongState> {
        let TokenState::Active { since, until, .. } = self.state.back() else {
            return Err(WrongState { from: self.status(), to: TokenStatus::Active });
        };
        let until = until.max(hold_until.plus(policy.pay_grace));
        let token = self.entered(TokenState::Active { since, until, back_until: None })?;
        Ok(Self { holds: token.holds.saturating_add(1), ..token })
    }

    /// Refuses a hold once the turn's absolute limit is reached.
    ///
    /// # Errors
    /// [`Refusal::TurnTimeOver`].
    pub fn check_time_to_hold(&self, now: Time, policy: &Policy, outages: &Outages) -> Result<(), Refusal> {
        match hold_until(self.state, policy, outages) {
            Some(until) if now >= until => Err(Refusal::TurnTimeOver { until }),
            _ => Ok(()),
        }
    }
}

/// Until when a token in this state may hold seats: up to the turn's absolute limit, which `outages` move. None unless
/// it is active.
///
/// Earlier holds may be paid after that. A new hold could end after the token does, and repeated holds would keep the
/// token alive.
#[must_use]
pub fn hold_until(state: TokenState, policy: &Policy, outages: &Outages) -> Option<Time> {
    state.active_since().map(|since| outages.limit_of(since, policy))
}

/// Whether a token ends with the last of so many turns that it let pass, so that tokens that never claim do not come
/// before the others again and again.
const fn is_last_pass(turns_passed: u32, policy: &Policy) -> bool {
    turns_passed >= policy.missed_turns_max
}

/// Whether a token in this state, which has let `turns_passed` turns pass, is offered its last turn: it ends if it
/// lets this one pass too.
#[must_use]
pub const fn is_last_turn(state: TokenState, turns_passed: u32, policy: &Policy) -> bool {
    matches!(state, TokenState::Offered { .. }) && is_last_pass(turns_passed.saturating_add(1), policy)
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

/// The tokens of a room whose claims found it full, in the order of the claims: at most [`TOKENS_PER_ADVANCE_MAX`].
#[must_use]
pub fn first_claimed(tokens: impl IntoIterator<Item = Token>) -> Vec<Token> {
    let claimed = tokens.into_iter().filter_map(|token| Some((token.state.claimed_at()?, token)));
    let mut claimed: Vec<_> = claimed.collect();
    claimed.sort_unstable_by_key(|(claimed_at, token)| (*claimed_at, token.id));
    claimed.truncate(usize::try_from(TOKENS_PER_ADVANCE_MAX).unwrap_or(usize::MAX));
    claimed.into_iter().map(|(_, token)| token).collect()
}

/// Whether the token is live: it has not ended and can still expire (만료가능여부).
#[must_use]
pub fn is_live_token(token: &Token) -> bool {
    token.status() != TokenStatus::Ended
}

/// The next position from the highest so far (다음순서생성).
#[must_use]
pub const fn next_position(highest: Position) -> Position {
    Position(highest.0.saturating_add(1))
}

/// Whether a line can have given this position (유효한순서여부).
#[must_use]
pub const fn is_valid_position(position: Position) -> bool {
    position.0 >= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::RoomId, line::ContradictoryColumns, time::Span};

    const START: Time = Time::from_micros(1_000_000_000);

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
    fn a_token_ends_with_the_last_turn_that_it_may_let_pass() {
        let policy = Policy { missed_turns_max: 3, ..Policy::default() };
        let later = |deadline: Option<Time>| deadline.unwrap();
        let is_last = |token: &Token| is_last_turn(token.state, token.turns_passed, &policy);
        let first = offered(&policy);
        assert!(!is_last(&first));
        let first = first.after_deadline(later(first.deadline()), &policy);
        assert_eq!((first.status(), first.turns_passed), (TokenStatus::Missed, 1));
        let second = first.requeued().unwrap().made_dormant(START, &policy).unwrap();
        assert_eq!((second.status(), second.turns_passed), (TokenStatus::Dormant, 2));
        assert!(!is_last(&second.requeued().unwrap()), "it is offered none");
        let third = second.requeued().unwrap().offered(START, &policy).unwrap();
        assert!(is_last(&third), "a turn counts as passed too if its token was dormant");
        let ended = third.after_deadline(later(third.deadline()), &policy);
        assert_eq!((ended.status(), ended.end_reason()), (TokenStatus::Ended, Some(EndReason::Missed)));
        assert_eq!(ended.expired_at(), third.deadline());
        assert_eq!(
            second.requeued().unwrap().made_dormant(START, &policy).unwrap().end_reason(),
            Some(EndReason::Missed)
        );
    }

    #[test]
    fn the_only_turn_of_a_strict_policy_is_the_last() {
        let policy = Policy { missed_turns_max: 1, ..Policy::default() };
        assert!(is_last_turn(offered(&policy).state, 0, &policy));
        assert!(!is_last_turn(active(&policy).state, 0, &policy));
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
    fn a_hold_lifts_the_end_and_none_is_made_after_the_limit() {
        let policy = Policy::default();
        let active = active(&policy);
        let held_until = START.plus(policy.hold);
        let lifted = active.extended_for_hold(held_until, &policy).unwrap();
        assert_eq!((lifted.deadline(), lifted.holds), (Some(held_until.plus(policy.pay_grace)), 1));
        let until = START.plus(policy.active_limit);
        let may_hold_until = |token: Token| hold_until(token.state, &policy, &Outages::default());
        assert_eq!((may_hold_until(active), may_hold_until(lifted)), (Some(until), Some(until)));
        assert_eq!(may_hold_until(offered(&policy)), None);
        assert_eq!(may_hold_until(lifted.ended(START, EndReason::Paid).unwrap()), None);
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
            TokenState::Offered { until, claimed_at: None, back_until: None },
            TokenState::Missed { until },
            TokenState::Active { since: START, until, back_until: None },
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
    fn positions_start_at_one_and_rise() {
        assert!(!is_valid_position(Position(0)));
        assert!(is_valid_position(next_position(Position(0))));
        assert_eq!(next_position(Position(41)), Position(42));
    }
}
