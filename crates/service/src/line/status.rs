//! The status of a place in a line, as clients see it.

use super::ShownLane;
use crate::office::BoxOffice;
use frontrow_domain::{
    id::Position,
    line::{
        EndReason, LaneKind, OpeningOrder, StockOutlook, TokenState, TokenStatus, ToldWait, hold_until, is_last_turn,
    },
    time::{Span, Time},
};
use frontrow_line::view::{Estimate, Place, RoomView, WaitUnknown};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The source of an answer about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// This instance's view.
    Viewed,
    /// The token's row.
    Read,
    /// A guess: the view may be behind, and the row could not be read.
    Guessed,
}

/// The place of a token, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenStanding {
    pub(super) place: Place,
    /// Why the token ended; none while it is live, or if the reason is not known any more.
    pub(super) end_reason: Option<EndReason>,
    pub(super) certainty: Certainty,
}

impl TokenStanding {
    /// A place from the view.
    pub(super) const fn viewed(place: Place) -> Self {
        Self { place, end_reason: None, certainty: Certainty::Viewed }
    }

    /// A place from the row, with the reason if the token has ended.
    pub(super) const fn read(place: Place, end_reason: Option<EndReason>) -> Self {
        Self { place, end_reason, certainty: Certainty::Read }
    }
}

/// A place in a line at one moment, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStatus {
    pub status: TokenStatus,
    /// The place in the line. It never changes.
    pub position: Position,
    /// How many live tokens are in front.
    pub ahead: i64,
    /// The order of tokens that come before the opening.
    pub opening: OpeningOrder,
    /// How many places there were in front of it when it got its own.
    pub ahead_at_start: i64,
    /// How many wait in the room.
    pub total_waiting: i64,
    pub wait: Wait,
    /// Whether seats are likely to be left when its turn comes; none if that is not known.
    pub outlook: Option<StockOutlook>,
    /// The end of the present state: of the claim of an offered token, or of an active one.
    pub deadline: Option<Time>,
    /// Until when seats may be held; none unless the token is active.
    pub hold_until: Option<Time>,
    /// Whether the token is offered its last turn: it ends if it lets this one pass.
    pub is_last_turn: bool,
    /// Why the token ended; none while it is live, or if the reason is not known any more.
    pub end_reason: Option<EndReason>,
    /// When to poll again, in milliseconds: different for each client and poll.
    pub poll_after_ms: i64,
    /// The room's message to all who wait.
    pub message: Option<String>,
    /// The kind of the lane that the place is in; none in the general line.
    pub lane: Option<LaneKind>,
    /// The lanes beside the line, which all in it are shown.
    pub lanes: Vec<ShownLane>,
    /// The moment of which all of this was true.
    pub as_of: Time,
    /// Whether that is long ago, or all of this is a guess.
    pub is_stale: bool,
}

/// How long a wait may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Of the tokens at this place, half wait no longer than `p50_seconds`, and nine in ten no longer than
    /// `p90_seconds`.
    Known { p50_seconds: i64, p90_seconds: i64 },
    /// There is nothing to estimate from.
    Unknown(WaitUnknown),
}

impl LineStatus {
    /// A number that changes with what a client is shown, the moment of it and the time of the next poll apart. A wait
    /// changes with each moment in which nobody leaves: it counts once it differs by about an eighth.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self { status, position, ahead, total_waiting, wait, deadline, end_reason, message, is_stale, .. } = self;
        let Self { hold_until, is_last_turn, outlook, lanes, .. } = self;
        let wait = match wait {
            Wait::Known { p50_seconds, p90_seconds } => Ok((roughly(*p50_seconds), roughly(*p90_seconds))),
            Wait::Unknown(reason) => Err(*reason),
        };
        // Its keys are always the same.
        let mut hasher = DefaultHasher::new();
        (status, position, ahead, total_waiting, wait, deadline, end_reason, message, is_stale).hash(&mut hasher);
        (hold_until, is_last_turn, outlook, lanes).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the token has ended: nothing follows this state.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.status == TokenStatus::Ended
    }
}

impl BoxOffice {
    /// The status of a token that was found like this at `now`, which its client is told: a wait binds the waits that follow,
    /// and is compared with the one that comes.
    pub(super) fn line_status(
        &self,
        position: Position,
        found: TokenStanding,
        view: &RoomView,
        now: Time,
    ) -> LineStatus {
        let place = found.place;
        let rest = view.rest(now, self.policy.offer_lead);
        let wait = match view.told_wait(position, &place, rest, now) {
            Estimate::Known { p50, p90 } => Wait::Known { p50_seconds: seconds_up(p50), p90_seconds: seconds_up(p90) },
            Estimate::Unknown(reason) => Wait::Unknown(reason),
        };
        if let Wait::Known { p50_seconds, p90_seconds } = wait
            && place.state == Some(TokenState::Waiting)
        {
            let (p50, p90) = (Span::from_secs(p50_seconds), Span::from_secs(p90_seconds));
            view.note_told(position, ToldWait { p50, p90 }, now);
        }
        LineStatus {
            status: place.status(),
            position,
            ahead: place.ahead,
            opening: view.room().draw.opening_order(),
            ahead_at_start: view.room().draw.in_front_of(position),
            total_waiting: view.total_waiting(),
            wait,
            outlook: self.outlook(view, &place, rest, now),
            deadline: place.deadline(),
            hold_until: match place.state {
                Some(state @ TokenState::Active { .. }) => hold_until(state, &self.policy, &self.store.outages()),
                // Most places wait: for them the outages are not read.
                _ => None,
            },
            is_last_turn: place.state.is_some_and(|state| is_last_turn(state, place.turns_passed, &self.policy)),
            end_reason: found.end_reason,
            poll_after_ms: view.poll_after_ms(&place, jitter_seed(position, now), rest, now),
            message: view.room().message.clone(),
            lane: view.room().room_id.lane_kind(),
            lanes: self.lanes_beside(view.room().room_id),
            as_of: if found.certainty == Certainty::Read { now } else { view.as_of(now) },
            is_stale: match found.certainty {
                Certainty::Viewed => view.is_stale(now),
                Certainty::Read => false,
                Certainty::Guessed => true,
            },
        }
    }
}

/// Steps of about an eighth: the same number for waits that differ less.
fn roughly(seconds: i64) -> i64 {
    let bits = 63 - seconds.max(1).leading_zeros();
    (i64::from(bits) << 3) | ((seconds.max(1) << 3 >> bits) & 7)
}

/// Whole seconds, rounded up.
fn seconds_up(span: Span) -> i64 {
    span.micros().saturating_add(999_999) / 1_000_000
}

/// Different for every client and every poll.
fn jitter_seed(position: Position, now: Time) -> u64 {
    position.0.unsigned_abs().wrapping_mul(0x9e37_79b9).wrapping_add(now.micros().unsigned_abs())
}
