//! Seats refused a moment ago, so that of a crowd that wants one seat few requests reach the store.

use frontrow_domain::{
    changes::Changes,
    id::{SeatId, TokenId},
    line::Token,
    policy::Policy,
    refusal::Refusal,
    sale::SeatStatus,
    seen::{REFUSAL_TTL, SeenTaken},
    time::{Span, Time},
    user::Caller,
};
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Instant,
};

/// How many seats are cached: fewer than this are asked for within the lifetime of a refusal.
const SEATS_MAX: usize = 10_000;

/// The last that is known of a seat.
#[derive(Debug, Clone)]
enum SeatNews {
    /// A hold asked for at this moment was refused.
    Taken(SeenTaken, Instant),
    /// A commit of this process freed it at this moment: a refusal asked for earlier is older.
    Freed(Instant),
}

impl SeatNews {
    const fn at(&self) -> Instant {
        match self {
            Self::Taken(_, at) | Self::Freed(at) => *at,
        }
    }
}

/// Seats by the last that is known of them.
///
/// A refusal asked for before its seat was freed must not be cached after it: the moments of both decide, seat by seat.
/// [`Guarded`](super::guarded::Guarded) would drop every refusal in progress whenever any seat is freed.
#[derive(Debug, Default)]
pub(crate) struct SeenSeats {
    heard: RwLock<HashMap<SeatId, SeatNews>>,
}

fn age(of: Instant, at: Instant) -> Span {
    let micros = at.saturating_duration_since(of).as_micros();
    Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

impl SeenSeats {
    /// The cached refusal of a hold of this seat alone, asked for at `asked`.
    #[must_use]
    pub(crate) fn refusal(
        &self,
        caller: Caller,
        token: &Token,
        seat: SeatId,
        (asked, now): (Instant, Time),
        policy: &Policy,
    ) -> Option<Refusal> {
        match self.heard.read().unwrap_or_else(PoisonError::into_inner).get(&seat)? {
            SeatNews::Taken(seen, at) => seen.refuses(caller, token, age(*at, asked), now, policy),
            SeatNews::Freed(_) => None,
        }
    }

    /// Caches a refusal by the store of a hold with `token`, asked for at `asked`.
    pub(crate) fn learn(&self, refusal: &Refusal, token: TokenId, asked: Instant) {
        let Some(seen) = SeenTaken::of(refusal, token) else { return };
        self.put(seen.seat_id(), SeatNews::Taken(seen, asked));
    }

    /// Applies a committed batch: the seats that it freed are not refused from the cache.
    pub(crate) fn publish(&self, changes: &Changes) {
        let freed = changes.seats.updated.iter().filter(|seat| seat.status() == SeatStatus::Available);
        for seat in freed {
            self.put(seat.seat_id, SeatNews::Freed(Instant::now()));
        }
    }

    fn put(&self, seat: SeatId, news: SeatNews) {
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        if heard.get(&seat).is_some_and(|old| old.at() > news.at()) {
            return;
        }
        if heard.len() >= SEATS_MAX {
            heard.retain(|_, old| age(old.at(), news.at()) < REFUSAL_TTL);
            // A seat that is not cached is decided by the store.
            if heard.len() >= SEATS_MAX {
                heard.clear();
            }
        }
        heard.insert(seat, news);
    }

    /// Empties the cache.
    pub(crate) fn forget(&self) {
        self.heard.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        changes::Saves,
        id::{ConcertId, Position, RoomId, UserId},
        line::Token,
        money::Money,
        sale::{Seat, SeatState},
    };
    use std::time::Duration;
    use uuid::Uuid;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);
    const SEAT: SeatId = SeatId::new(7);
    const REFUSAL: Refusal = Refusal::SeatSold { seat_id: SEAT };

    fn token() -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
        let policy = Policy::default();
        Token::issued(id, UserId(Uuid::from_u128(1)), NOW)
            .offered(NOW, &policy)
            .unwrap()
            .activated(NOW, &policy)
            .unwrap()
    }

    fn hears(seats: &SeenSeats, asked: Instant) -> Option<Refusal> {
        let token = token();
        seats.refusal(Caller::Buyer(token.user_id), &token, SEAT, (asked, NOW), &Policy::default())
    }

    fn freed() -> Changes {
        let seat = Seat {
            seat_id: SEAT,
            concert_id: ConcertId::new(1),
            seat_number: 1,
            price: Money::new(1),
            state: SeatState::FREE,
            updated_at: NOW,
            label: std::sync::Arc::default(),
            was_held: false,
        };
        Changes { seats: Saves { updated: vec![seat], inserted: Vec::new() }, ..Changes::default() }
    }

    #[test]
    fn a_refusal_is_remembered_for_a_tenth_of_a_second() {
        let (seats, asked) = (SeenSeats::default(), Instant::now());
        assert_eq!(hears(&seats, asked), None);
        seats.learn(&REFUSAL, token().id, asked);
        assert_eq!(hears(&seats, asked + Duration::from_millis(99)), Some(REFUSAL));
        assert_eq!(hears(&seats, asked + Duration::from_millis(100)), None);
        seats.forget();
        assert_eq!(hears(&seats, asked), None);
    }

    #[test]
    fn a_freed_seat_is_not_refused_from_the_cache() {
        let (seats, asked) = (SeenSeats::default(), Instant::now());
        seats.learn(&REFUSAL, token().id, asked);
        seats.publish(&freed());
        assert_eq!(hears(&seats, asked), None);
        // Refused before the commit that freed the seat, but recorded after it.
        seats.learn(&REFUSAL, token().id, asked);
        assert_eq!(hears(&seats, asked), None);
        let later = Instant::now() + Duration::from_millis(1);
        seats.learn(&REFUSAL, token().id, later);
        assert_eq!(hears(&seats, later), Some(REFUSAL));
    }

    #[test]
    fn no_more_seats_are_remembered_than_there_is_room_for() {
        let (seats, asked) = (SeenSeats::default(), Instant::now());
        for number in 0..=SEATS_MAX {
            let seat_id = SeatId::new(1_000 + i64::try_from(number).unwrap());
            seats.learn(&Refusal::SeatSold { seat_id }, token().id, asked);
        }
        assert!(seats.heard.read().unwrap().len() <= SEATS_MAX);
    }
}
