//! Signs of life of a token's client: who shows one, and when it changes the token.

use super::{Room, TokenState};
use crate::{id::UserId, outage::Outages, policy::Policy, time::Time, user::Caller};

/// Who shows a sign of life of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOfLife {
    /// The token's own user, or another shop's server for the user: an active token is renewed.
    ByOwner,
    /// A client that has shown the token and nothing else. It keeps a place in line awake, and a turn whose claim found the
    /// room full. An active token it does not renew: else a program could keep bought or forgotten tokens active without
    /// their users.
    ByToken,
}

impl SignOfLife {
    /// The sign of a call by `caller`, if it has a session or a key, for a token of `owner`.
    #[must_use]
    pub fn of(caller: Option<Caller>, owner: UserId) -> Self {
        match caller {
            Some(Caller::Service) => Self::ByOwner,
            Some(caller) if caller.user_id() == Some(owner) => Self::ByOwner,
            _ => Self::ByToken,
        }
    }
}

/// Whether a sign of life should wake the token: a dormant one always; an offered one whose client had gone away, or
/// whose claim found the room full and that has no more than half of the window left; an active one if the sign is of its
/// owner, and its client had gone away or the renewal would move its deadline by a step, or to its absolute limit. A
/// smaller gain is not worth a command. Clients poll at intervals longer than a step, so each poll renews, and one that
/// is lost costs nothing.
#[must_use]
pub fn is_wake_due(
    state: TokenState,
    sign: SignOfLife,
    room: &Room,
    now: Time,
    policy: &Policy,
    outages: &Outages,
) -> bool {
    match state {
        TokenState::Active { .. } if sign == SignOfLife::ByToken => false,
        TokenState::Dormant { .. }
        | TokenState::Offered { back_until: Some(_), .. }
        | TokenState::Active { back_until: Some(_), .. } => true,
        // Once the sale is over no place is given to a claim: it ends by its deadline.
        TokenState::Offered { claimed_at: Some(_), until, .. } => {
            !room.is_sale_over(now) && until.since(now).micros() <= policy.claim_window.micros() / 2
        }
        TokenState::Active { since, until, .. } => {
            let limit = outages.limit_of(since, policy);
            let renewed = now.plus(policy.idle_span()).min(limit);
            renewed > until && (renewed == limit || renewed.since(until) >= policy.renew_step())
        }
        TokenState::Waiting
        | TokenState::Offered { claimed_at: None, .. }
        | TokenState::Missed { .. }
        | TokenState::Ended { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{Position, RoomId, TokenId},
        line::Token,
        time::Span,
    };

    const START: Time = Time::from_micros(1_000_000_000);

    fn room() -> Room {
        Room::new(RoomId::HOUSE, 1, START)
    }

    fn token() -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        Token::issued(id, UserId(uuid::Uuid::nil()), START)
    }

    fn active(policy: &Policy) -> Token {
        token().offered(START, policy).unwrap().activated(START, policy).unwrap()
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
                        if is_wake_due(token.state, SignOfLife::ByOwner, &room(), at, &policy, &Outages::default()) {
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
            let is_due = is_wake_due(active.state, SignOfLife::ByOwner, &room(), now, &policy, &Outages::default());
            if round % 2 == 1 && is_due {
                active = active.renewed(now, &policy, &Outages::default()).unwrap();
            }
        }
    }

    #[test]
    fn a_token_is_woken_when_that_would_change_something() {
        let policy = Policy::default();
        let due_by =
            |sign, token: &Token, now| is_wake_due(token.state, sign, &room(), now, &policy, &Outages::default());
        let due = |token: &Token, now| due_by(SignOfLife::ByOwner, token, now);
        let active = active(&policy);
        let step = START.plus(policy.renew_step());
        assert!(!due(&active, step.minus(Span::from_micros(1))));
        assert!(due(&active, step));
        let until = |until| Token { state: TokenState::Active { since: START, until, back_until: None }, ..active };
        let nearly = START.plus(policy.active_limit).minus(Span::from_micros(1));
        assert!(due(&until(nearly), nearly), "the last renewal reaches the limit");
        let at_its_limit = until(START.plus(policy.active_limit));
        assert!(!due(&at_its_limit, START.plus(policy.active_limit).minus(Span::from_secs(1))));
        assert!(due(&token().made_dormant(START, &policy).unwrap(), START));
        assert!(!due(&token(), START));
        // The token alone keeps a place in line awake, and renews no turn.
        assert!(due_by(SignOfLife::ByToken, &token().made_dormant(START, &policy).unwrap(), START));
        for at in [step, nearly] {
            assert!(!due_by(SignOfLife::ByToken, &active, at));
        }
    }

    #[test]
    fn a_sign_of_life_is_the_owners_if_the_session_or_the_key_is() {
        let (owner, other) = (UserId(uuid::Uuid::from_u128(1)), UserId(uuid::Uuid::from_u128(2)));
        for caller in [Caller::Buyer(owner), Caller::Operator(owner), Caller::Viewer(owner), Caller::Service] {
            assert_eq!(SignOfLife::of(Some(caller), owner), SignOfLife::ByOwner, "{caller:?}");
        }
        for caller in [Some(Caller::Buyer(other)), Some(Caller::Operator(other)), Some(Caller::Anonymous), None] {
            assert_eq!(SignOfLife::of(caller, owner), SignOfLife::ByToken, "{caller:?}");
        }
    }
}
