//! The states of tokens as events and copies write them. Times are microseconds from the moment of the event or copy.

use frontrow_domain::{
    line::{EndReason, TokenState},
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// A state as it is written. Views store nothing of an ended token: when and why it ended is left out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WrittenState {
    Waiting,
    Dormant { until: i64 },
    Offered { until: i64 },
    Missed { until: i64 },
    Active { since: i64, until: i64 },
    Ended { activated: Option<i64> },
}

impl WrittenState {
    pub(super) fn of(state: TokenState, now: Time) -> Self {
        let after = |at: Time| at.micros().wrapping_sub(now.micros());
        match state {
            TokenState::Waiting => Self::Waiting,
            TokenState::Dormant { until } => Self::Dormant { until: after(until) },
            TokenState::Offered { until } => Self::Offered { until: after(until) },
            TokenState::Missed { until } => Self::Missed { until: after(until) },
            TokenState::Active { since, until } => Self::Active { since: after(since), until: after(until) },
            TokenState::Ended { activated_at, .. } => Self::Ended { activated: activated_at.map(after) },
        }
    }

    pub(super) fn read(self, now: Time) -> TokenState {
        let at = |after: i64| now.plus(Span::from_micros(after));
        match self {
            Self::Waiting => TokenState::Waiting,
            Self::Dormant { until } => TokenState::Dormant { until: at(until) },
            Self::Offered { until } => TokenState::Offered { until: at(until) },
            Self::Missed { until } => TokenState::Missed { until: at(until) },
            Self::Active { since, until } => TokenState::Active { since: at(since), until: at(until) },
            Self::Ended { activated } => {
                TokenState::Ended { at: now, reason: EndReason::Expired, activated_at: activated.map(at) }
            }
        }
    }
}
