//! Outages: times in which the box office could not be reached. They take nothing from turns and holds.

use crate::{
    policy::Policy,
    time::{Span, Time},
};
use std::sync::Arc;

/// A shorter stop or failure is not counted. It is hardly noticed, and an outage costs a reading of all lines.
pub const OUTAGE_MIN: Span = Span::from_secs(2);

/// A shorter pause between two notes, in which nothing failed, is no outage: a server notes every two seconds that it
/// works, and later under load.
pub const PAUSE_MIN: Span = Span::from_secs(15);

/// A time in which no batch could commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When the box office was last known to work.
    pub from: Time,
    /// When it worked again.
    pub to: Time,
    /// By how much it extends the deadlines that were live when it began. At most [`Policy::outage_grace`].
    pub grace: Span,
}

impl Outage {
    /// The outage between two moments at which the box office worked; none if it was shorter than [`OUTAGE_MIN`], or if
    /// the policy allows no extension.
    #[must_use]
    pub fn between(from: Time, to: Time, policy: &Policy) -> Option<Self> {
        let lasted = to.since(from);
        let grace = lasted.min(policy.outage_grace);
        (lasted >= OUTAGE_MIN && grace > Span::ZERO).then_some(Self { from, to, grace })
    }
}

/// The latest outages of a box office, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outages(Arc<[Outage]>);

/// How many outages are loaded, the latest. Of a token that met more of them while it was active, the earlier ones move
/// the limit no more.
pub const OUTAGES_MAX: u32 = 500;

impl Outages {
    /// A list of outages.
    #[must_use]
    pub fn new(outages: Vec<Outage>) -> Self {
        Self(outages.into())
    }

    /// Each outage.
    pub fn iter(&self) -> impl Iterator<Item = &Outage> {
        self.0.iter()
    }

    /// By how much outages have moved the absolute limit of a token activated at `activated_at`.
    #[must_use]
    pub fn grace_since(&self, activated_at: Time) -> Span {
        let met = self.0.iter().filter(|outage| outage.from >= activated_at);
        met.fold(Span::ZERO, |sum, outage| Span::from_micros(sum.micros().saturating_add(outage.grace.micros())))
    }

    /// How much of the time between two moments the box office was down.
    #[must_use]
    pub fn down_between(&self, from: Time, to: Time) -> Span {
        let parts = self.parts_between(from, to);
        parts.fold(Span::ZERO, |sum, down| Span::from_micros(sum.micros().saturating_add(down.micros())))
    }

    /// How long each outage lasted between two moments; those that did not reach into that time are left out.
    pub fn parts_between(&self, from: Time, to: Time) -> impl Iterator<Item = Span> {
        let met = self.0.iter().filter(move |outage| outage.to > from && outage.from < to);
        met.map(move |outage| outage.to.min(to).since(outage.from.max(from)))
    }

    /// The absolute limit of a token activated at `activated_at`: it ends then at the latest, its holds aside.
    #[must_use]
    pub fn limit_of(&self, activated_at: Time, policy: &Policy) -> Time {
        activated_at.plus(policy.active_limit).plus(self.grace_since(activated_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{ConcertId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
        line::{EndReason, Token},
        money::Money,
        sale::{Reservation, ReservationState},
    };
    use uuid::Uuid;

    const START: Time = Time::from_micros(1_000_000_000);

    fn at(seconds: i64) -> Time {
        START.plus(Span::from_secs(seconds))
    }

    fn token() -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        Token::issued(id, UserId(Uuid::nil()), START)
    }

    fn outage(from: i64, to: i64) -> Outage {
        Outage::between(at(from), at(to), &Policy::default()).unwrap()
    }

    #[test]
    fn a_stop_of_two_seconds_is_an_outage_and_extends_at_most_by_the_grace() {
        let policy = Policy::default();
        assert_eq!(Outage::between(at(0), at(1), &policy), None);
        assert_eq!(Outage::between(at(20), at(0), &policy), None);
        assert_eq!(outage(0, 2).grace, Span::from_secs(2));
        assert_eq!(outage(0, 100_000).grace, policy.outage_grace);
        let off = Policy { outage_grace: Span::ZERO, ..policy };
        assert_eq!(Outage::between(at(0), at(100), &off), None);
    }

    #[test]
    fn live_deadlines_keep_their_remaining_time_over_an_outage() {
        let policy = Policy::default();
        let offered = token().offered(START, &policy).unwrap();
        let states = [
            offered,
            offered.activated(START, &policy).unwrap(),
            token().made_dormant(START, &policy).unwrap(),
            offered.after_deadline(at(60), &policy),
        ];
        let outage = outage(30, 125);
        for state in states {
            let longer = state.extended_by(&outage).unwrap();
            assert_eq!(longer.deadline().unwrap().since(outage.to), state.deadline().unwrap().since(outage.from));
            assert_eq!(longer.state, state.state.extended(outage.grace));
            assert_eq!(Token { state: state.state, ..longer }, state);
        }
    }

    #[test]
    fn ended_tokens_stay_ended_after_an_outage() {
        let policy = Policy::default();
        let offered = token().offered(START, &policy).unwrap();
        let outage = outage(60, 200);
        for state in [token(), offered, token().ended(START, EndReason::Left).unwrap()] {
            assert_eq!(state.extended_by(&outage), None);
        }
    }

    #[test]
    fn a_hold_that_was_live_when_an_outage_began_can_still_be_paid() {
        let pending = Reservation {
            reservation_id: ReservationId::new(1),
            user_id: UserId(Uuid::nil()),
            concert_id: ConcertId::new(1),
            seat_id: SeatId::new(1),
            seat_number: 1,
            price: Money::new(1),
            state: ReservationState::Pending,
            created_at: START,
            expires_at: at(300),
        };
        let longer = pending.clone().extended_by(&outage(290, 390)).unwrap();
        assert_eq!(longer.expires_at, at(400));
        assert_eq!(pending.clone().extended_by(&outage(300, 390)), None);
        let paid = pending.confirmed(at(1)).unwrap();
        assert_eq!(paid.extended_by(&outage(290, 390)), None);
    }

    #[test]
    fn the_absolute_limit_moves_by_the_outages_that_a_token_met() {
        let policy = Policy::default();
        let outages = Outages::new(vec![outage(100, 200), outage(300, 350)]);
        let limit = |activated| outages.limit_of(at(activated), &policy).since(at(activated));
        assert_eq!(limit(50), Span::from_secs(750));
        assert_eq!(limit(250), Span::from_secs(650));
        assert_eq!(limit(400), policy.active_limit);
    }

    #[test]
    fn the_time_that_the_box_office_was_down_is_counted_between_two_moments() {
        let outages = Outages::new(vec![outage(100, 200), outage(300, 350)]);
        let down = |from, to| outages.down_between(at(from), at(to)).millis() / 1_000;
        assert_eq!((down(0, 100), down(0, 150), down(120, 130), down(150, 320), down(0, 400)), (0, 50, 10, 70, 150));
        assert_eq!((down(200, 300), down(350, 400), down(400, 0)), (0, 0, 0));
    }
}
