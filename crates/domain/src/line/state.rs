//! The states of a token, each with its data, and the steps between them.

use super::{EndReason, Token, TokenStatus};
use crate::{
    id::{TokenId, UserId},
    refusal::Refusal,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// A token's state, with the data of that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) const fn may_become(self, next: Self) -> bool {
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
