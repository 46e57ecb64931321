//! The states of a token, each with its data, and the steps between them.

use crate::{
    refusal::Refusal,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// The status of a token.
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
    /// Its time ran out.
    Expired,
    /// It let too many turns pass: a new place is at the end of the line.
    Missed,
    /// It was an entry of the lobby: its user waits with the token that the draw gave it.
    Drawn,
    /// It waited for a concert that was cancelled or is over: no turn could come any more.
    ConcertOver,
    /// An operator removed its user from the line.
    Removed,
    /// Its room, which stood in front of another site, was closed.
    RoomClosed,
}

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
        /// When it was claimed while the room was full; none before that. Such tokens are activated in this order, before
        /// any other.
        claimed_at: Option<Time>,
        /// The deadline that it gets back if its client is heard of; none unless its client has gone away.
        back_until: Option<Time>,
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
        /// The deadline that it gets back if its owner is heard of; none unless its client has gone away.
        back_until: Option<Time>,
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
            Self::Dormant { until }
            | Self::Offered { until, .. }
            | Self::Missed { until }
            | Self::Active { until, .. } => Some(until),
            Self::Waiting | Self::Ended { .. } => None,
        }
    }

    /// The deadline that an offered or active token gets back if its client is heard of; none unless its client has gone
    /// away.
    #[must_use]
    pub const fn back_until(self) -> Option<Time> {
        match self {
            Self::Offered { back_until, .. } | Self::Active { back_until, .. } => back_until,
            Self::Waiting | Self::Dormant { .. } | Self::Missed { .. } | Self::Ended { .. } => None,
        }
    }

    /// When an offered token was claimed while the room was full; none in any other state.
    #[must_use]
    pub const fn claimed_at(self) -> Option<Time> {
        match self {
            Self::Offered { claimed_at, .. } => claimed_at,
            _ => None,
        }
    }

    /// Since when the token is active; none in any other state.
    #[must_use]
    pub const fn active_since(self) -> Option<Time> {
        match self {
            Self::Active { since, .. } => Some(since),
            _ => None,
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
            Self::Offered { until, claimed_at, back_until } => {
                Self::Offered { until: until.plus(by), claimed_at, back_until: later(back_until, by) }
            }
            Self::Missed { until } => Self::Missed { until: until.plus(by) },
            Self::Active { since, until, back_until } => {
                Self::Active { since, until: until.plus(by), back_until: later(back_until, by) }
            }
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

const fn later(deadline: Option<Time>, by: Span) -> Option<Time> {
    match deadline {
        Some(deadline) => Some(deadline.plus(by)),
        None => None,
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
