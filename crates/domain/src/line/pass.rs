//! The pass: what the edge of another site lets a visitor in by, while the turn lasts.

use super::{Token, TokenStatus, WrongState};
use crate::{
    line::TokenState,
    outage::Outages,
    policy::Policy,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// How long a pass is valid at most. An edge makes no call, so a pass outlives an end of its turn by up to this time; and
/// a visitor who reads a page for that long does not lose the place.
pub const PASS_LIFE: Span = Span::from_secs(300);

/// A pass that was issued for an active token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// The token as it now is: it lives for as long as the pass.
    pub token: Token,
    /// From when the pass is valid.
    pub issued_at: Time,
    /// Until when it is valid; never later than the token's deadline.
    pub until: Time,
}

impl Token {
    /// The active token after a pass was issued for it: it lives for [`PASS_LIFE`] from now, within the turn's absolute
    /// limit, which `outages` move. The deadline never moves back. A second pass within the step of a heartbeat leaves
    /// the deadline as it is.
    ///
    /// # Errors
    /// It is in another state.
    pub fn extended_for_pass(self, now: Time, policy: &Policy, outages: &Outages) -> Result<Self, WrongState> {
        let TokenState::Active { since, until, .. } = self.state.back() else {
            return Err(WrongState { from: self.status(), to: TokenStatus::Active });
        };
        let limit = outages.limit_of(since, policy);
        let wanted = now.plus(PASS_LIFE).min(limit);
        let is_worth_it = wanted > until && (wanted == limit || wanted.since(until) >= policy.renew_step());
        if is_worth_it {
            self.entered(TokenState::Active { since, until: wanted, back_until: None })
        } else {
            Ok(self.back())
        }
    }

    /// The pass of an active token at `now`; none in any other state.
    #[must_use]
    pub fn pass(self, now: Time) -> Option<Pass> {
        let deadline = self.deadline().filter(|_| self.is_active(now))?;
        Some(Pass { token: self, issued_at: now, until: deadline.min(now.plus(PASS_LIFE)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Position, RoomId, TokenId, UserId};

    const START: Time = Time::from_micros(1_000_000_000);

    fn active(policy: &Policy) -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let token = Token::issued(id, UserId(uuid::Uuid::nil()), START);
        token.offered(START, policy).unwrap().activated(START, policy).unwrap()
    }

    #[test]
    fn a_pass_is_valid_for_no_longer_than_its_token_lives() {
        let (policy, outages) = (Policy::default(), Outages::default());
        let mut now = START;
        let mut token = active(&policy);
        for _ in 0..40 {
            token = token.extended_for_pass(now, &policy, &outages).unwrap();
            let pass = token.pass(now).unwrap();
            assert!(pass.until <= token.deadline().unwrap() && pass.until > now);
            assert!(token.deadline().unwrap() <= START.plus(policy.active_limit));
            now = now.plus(Span::from_secs(13));
        }
        let end = token.deadline().unwrap();
        assert_eq!(end, START.plus(policy.active_limit), "the turn's absolute limit");
        assert_eq!(token.pass(end), None);
    }

    #[test]
    fn a_token_lives_for_as_long_as_its_pass() {
        let (policy, outages) = (Policy::default(), Outages::default());
        let token = active(&policy).extended_for_pass(START, &policy, &outages).unwrap();
        assert_eq!(token.deadline(), Some(START.plus(PASS_LIFE)));
        let soon = START.plus(Span::from_secs(1));
        assert_eq!(token.extended_for_pass(soon, &policy, &outages).unwrap(), token, "no commit for a second more");
        assert_eq!(token.pass(soon).unwrap().until, START.plus(PASS_LIFE));
    }

    #[test]
    fn only_an_active_token_has_a_pass() {
        let (policy, outages) = (Policy::default(), Outages::default());
        let ended = active(&policy).ended(START, crate::line::EndReason::Left).unwrap();
        let offered = Token::issued(ended.id, ended.user_id, START).offered(START, &policy).unwrap();
        for token in [ended, offered] {
            assert_eq!(token.pass(START), None);
            assert!(token.extended_for_pass(START, &policy, &outages).is_err());
        }
    }
}
