//! A token as the columns of its row.

use super::{ContradictoryColumns, EndReason, Token, TokenState, TokenStatus};
use crate::{
    id::{TokenId, UserId},
    time::Time,
};
use serde::{Deserialize, Serialize};

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
    /// When it was claimed while the room was full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Time>,
    /// The deadline that it gets back if its client is heard of, after that has gone away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_until: Option<Time>,
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
            claimed_at: token.state.claimed_at(),
            back_until: token.state.back_until(),
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
            (TokenStatus::Offered, Some(until), None, None, None) => {
                TokenState::Offered { until, claimed_at: row.claimed_at, back_until: row.back_until }
            }
            (TokenStatus::Missed, Some(until), None, None, None) => TokenState::Missed { until },
            (TokenStatus::Active, Some(until), Some(since), None, None) => {
                TokenState::Active { since, until, back_until: row.back_until }
            }
            (TokenStatus::Ended, None, activated_at, Some(at), Some(reason)) => {
                TokenState::Ended { at, reason, activated_at }
            }
            _ => return Err(ContradictoryColumns { table: "waiting_token" }),
        };
        let is_later =
            row.back_until.is_none_or(|back_until| row.deadline.is_some_and(|deadline| deadline < back_until));
        if row.claimed_at != state.claimed_at() || row.back_until != state.back_until() || !is_later {
            return Err(ContradictoryColumns { table: "waiting_token" });
        }
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
