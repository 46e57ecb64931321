//! What became of all tokens of a line, counted as it happens: the rows are removed weeks later, and the counts stay.

use super::{EndReason, Token, TokenState};
use serde::{Deserialize, Serialize};

/// How many tokens of a line ended for which reason, and what else is counted of each. Raised by every decision that
/// changes a token, with the room's [`RoomCounts`](crate::changes::RoomCounts), and never lowered: a renewed line has the
/// same places, so it goes on counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenTally {
    /// Tokens that were activated. A token is activated once at most.
    pub admitted: i64,
    /// Turns that passed, unclaimed or because the token was unresponsive.
    pub turns_passed: i64,
    /// Tokens that ended because their users paid.
    pub paid: i64,
    /// Tokens whose users left.
    pub left: i64,
    /// Tokens whose time ran out.
    pub expired: i64,
    /// Tokens that let too many turns pass.
    pub missed_out: i64,
    /// Entries of the lobby that the draw gave other tokens.
    pub drawn: i64,
    /// Tokens that an operator removed.
    pub removed: i64,
    /// Tokens that still waited when their line was over.
    pub closed: i64,
}

/// How many numbers a [`TokenTally`] has.
pub const TALLY_LEN: usize = 9;

impl TokenTally {
    /// The tally of one token.
    #[must_use]
    pub fn of(token: &Token) -> Self {
        let mut tally = Self {
            admitted: i64::from(token.activated_at().is_some()),
            turns_passed: i64::from(token.turns_passed),
            ..Self::default()
        };
        if let TokenState::Ended { reason, .. } = token.state {
            let ended = match reason {
                EndReason::Paid => &mut tally.paid,
                EndReason::Left => &mut tally.left,
                EndReason::Expired => &mut tally.expired,
                EndReason::Missed => &mut tally.missed_out,
                EndReason::Drawn => &mut tally.drawn,
                EndReason::Removed => &mut tally.removed,
                EndReason::ConcertOver | EndReason::RoomClosed => &mut tally.closed,
            };
            *ended = 1;
        }
        tally
    }

    /// Its numbers, in the order of its fields.
    #[must_use]
    pub const fn numbers(&self) -> [i64; TALLY_LEN] {
        let Self { admitted, turns_passed, paid, left, expired, missed_out, drawn, removed, closed } = *self;
        [admitted, turns_passed, paid, left, expired, missed_out, drawn, removed, closed]
    }

    /// The tally of these numbers.
    #[must_use]
    pub const fn of_numbers(numbers: [i64; TALLY_LEN]) -> Self {
        let [admitted, turns_passed, paid, left, expired, missed_out, drawn, removed, closed] = numbers;
        Self { admitted, turns_passed, paid, left, expired, missed_out, drawn, removed, closed }
    }

    fn combined(self, other: Self, with: impl Fn(i64, i64) -> i64) -> Self {
        let mut numbers = self.numbers();
        for (number, other) in numbers.iter_mut().zip(other.numbers()) {
            *number = with(*number, other);
        }
        Self::of_numbers(numbers)
    }

    /// Each number raised by that of `other`.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.combined(other, i64::saturating_add)
    }

    /// Each number lowered by that of `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.combined(other, i64::saturating_sub)
    }

    /// How many tokens have ended, the entries of a lobby aside: of a line that is over, how many entered it.
    #[must_use]
    pub fn entered(&self) -> i64 {
        let Self { paid, left, expired, missed_out, removed, closed, .. } = *self;
        [paid, left, expired, missed_out, removed, closed].into_iter().fold(0, i64::saturating_add)
    }
}

/// From when on the tokens of a line are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CountedFrom {
    /// From the first: tally and peaks are those of the whole line.
    #[default]
    Start,
    /// From a later one, since the line began before the box office kept counts: both lack what was before.
    Later,
}

/// What only the decisions that have the room's row know: changed when a token is activated or passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinePeaks {
    /// Turns that passed because the token was unresponsive.
    pub passed_over: i64,
    /// The most tokens that were active at once.
    pub active: i64,
    /// The highest cap under which a token was activated.
    pub cap: i64,
    /// By how many active tokens an activation exceeded the cap in force, at most: 0 unless the rule was broken.
    pub overshoot: i64,
    /// From when on these and the line's [`TokenTally`] are counted.
    pub counted_from: CountedFrom,
}

impl LinePeaks {
    /// Before the first token.
    pub const NONE: Self = Self { passed_over: 0, active: 0, cap: 0, overshoot: 0, counted_from: CountedFrom::Start };

    /// Counts an activation after which so many tokens are active under a cap.
    pub fn note_admission(&mut self, active: i64, cap: i64) {
        self.active = self.active.max(active);
        self.cap = self.cap.max(cap);
        self.overshoot = self.overshoot.max(active.saturating_sub(cap));
    }

    /// Counts a turn that passed an unresponsive token.
    pub const fn note_passed_over(&mut self) {
        self.passed_over = self.passed_over.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{Position, RoomId, TokenId, UserId},
        policy::Policy,
        time::{Span, Time},
    };

    const START: Time = Time::from_micros(1_000_000_000);

    fn waiting() -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        Token::issued(id, UserId(uuid::Uuid::nil()), START)
    }

    #[test]
    fn every_end_of_a_token_is_counted_once_and_with_it_what_came_before() {
        let policy = Policy::default();
        let active = waiting().offered(START, &policy).unwrap().activated(START, &policy).unwrap();
        for (reason, entered) in [
            (EndReason::Paid, 1),
            (EndReason::Left, 1),
            (EndReason::Expired, 1),
            (EndReason::Missed, 1),
            (EndReason::Drawn, 0),
            (EndReason::Removed, 1),
            (EndReason::ConcertOver, 1),
            (EndReason::RoomClosed, 1),
        ] {
            let tally = TokenTally::of(&active.ended(START, reason).unwrap());
            assert_eq!((tally.admitted, tally.entered()), (1, entered), "{reason:?}");
            assert_eq!(tally.numbers().into_iter().sum::<i64>(), 2, "{reason:?}: one end and one activation");
            assert_eq!(TokenTally::of_numbers(tally.numbers()), tally);
        }
        let missed =
            waiting().offered(START, &policy).unwrap().after_deadline(START.plus(Span::from_secs(60)), &policy);
        assert_eq!(TokenTally::of(&missed), TokenTally { turns_passed: 1, ..TokenTally::default() });
        assert_eq!(TokenTally::of(&missed).minus(TokenTally::of(&missed)), TokenTally::default());
    }

    #[test]
    fn an_activation_beyond_the_cap_is_measured_and_stays() {
        let mut peaks = LinePeaks::default();
        peaks.note_admission(3, 5);
        assert_eq!(peaks, LinePeaks { active: 3, cap: 5, ..LinePeaks::NONE });
        peaks.note_admission(7, 4);
        peaks.note_admission(1, 4);
        assert_eq!(peaks, LinePeaks { active: 7, cap: 5, overshoot: 3, ..LinePeaks::NONE });
    }
}
