//! Clients that go away, such as a page that is closed: what becomes of their tokens, until they are heard of again.
//!
//! To go away is not to leave. A token whose client has gone away keeps its place, and what it had of its time is written
//! beside its shorter deadline: so coming back gives it neither less nor more than it would have had; a turn whose claim found the room full has the
//! whole window again, as with any sign of life.

use super::{Token, TokenState};
use crate::{
    id::Position,
    policy::AWAY_GRACE,
    time::{Span, Time},
};

impl TokenState {
    /// The state with `grace` left from `now` on if it has more, after its client has gone away; else as it is.
    #[must_use]
    pub fn gone_away(self, now: Time, grace: Span) -> Self {
        let soon = now.plus(grace);
        match self {
            Self::Offered { until, claimed_at, back_until } if soon < until => {
                Self::Offered { until: soon, claimed_at, back_until: back_until.or(Some(until)) }
            }
            Self::Active { since, until, back_until } if soon < until => {
                Self::Active { since, until: soon, back_until: back_until.or(Some(until)) }
            }
            _ => self,
        }
    }

    /// The state with the deadline that it had before its client went away, since its client is heard of again.
    #[must_use]
    pub const fn back(self) -> Self {
        match self {
            Self::Offered { back_until: Some(until), claimed_at, .. } => {
                Self::Offered { until, claimed_at, back_until: None }
            }
            Self::Active { since, back_until: Some(until), .. } => Self::Active { since, until, back_until: None },
            _ => self,
        }
    }
}

impl Token {
    /// The token after its client has gone away, such as a page that was closed: an offered or active one has
    /// [`AWAY_GRACE`] left if it had more, and what it had again once its client is heard of. Any other is as it was: a
    /// waiting token counts as unresponsive after the grace, which no row says.
    #[must_use]
    pub fn gone_away(self, now: Time) -> Self {
        Self { state: self.state.gone_away(now, AWAY_GRACE), ..self }
    }

    /// The token with the deadline that it had before its client went away.
    #[must_use]
    pub fn back(self) -> Self {
        Self { state: self.state.back(), ..self }
    }
}

/// What follows if the client of a token in this state goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Nothing: the token has no turn to give back, or has less time left than the grace.
    Nothing,
    /// The token waits: it counts as unresponsive after [`AWAY_GRACE`], unless its client is heard of.
    Silent,
    /// The token has [`AWAY_GRACE`] left to be heard of: worth a command.
    Shortened,
}

impl Parting {
    /// What follows at `now` for a token in this state.
    #[must_use]
    pub fn of(state: TokenState, now: Time) -> Self {
        match state {
            TokenState::Waiting => Self::Silent,
            state if state.gone_away(now, AWAY_GRACE) != state => Self::Shortened,
            _ => Self::Nothing,
        }
    }
}

/// A token at the head of a line whose client is not heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilentToken {
    /// Its place.
    pub position: Position,
    /// Why it counts as unresponsive.
    pub silence: Silence,
}

impl SilentToken {
    /// A token of which nothing was heard for too long.
    #[must_use]
    pub const fn unheard(position: Position) -> Self {
        Self { position, silence: Silence::Unheard }
    }
}

/// Why a waiting token counts as unresponsive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Nothing was heard of it for [`Policy::dormant_after`](crate::policy::Policy::dormant_after).
    Unheard,
    /// Its client said that it goes away, [`AWAY_GRACE`] ago or earlier, and nothing was heard of it since.
    Away,
}
