//! Hold deadlines: each is handed to one taker, and lost ones are not missed.

use super::{Pair, START, keys, link, user};
use frontrow_domain::{
    id::{ConcertId, ReservationId, SeatId},
    money::Money,
    sale::{Reservation, ReservationState},
    time::{Span, Time},
};
use frontrow_line::redis::holds::{self, HoldChanges};

fn ids(numbers: impl IntoIterator<Item = i64>) -> Vec<ReservationId> {
    numbers.into_iter().map(ReservationId::new).collect()
}

fn after(seconds: i64) -> Time {
    START.plus(Span::from_secs(seconds))
}

fn due(deadlines: impl IntoIterator<Item = (i64, i64)>) -> HoldChanges {
    let due = deadlines.into_iter().map(|(seconds, id)| (after(seconds), ReservationId::new(id))).collect();
    HoldChanges { due, over: Vec::new() }
}

#[tokio::test]
async fn holds_are_due_in_order_when_their_time_has_come() {
    let pair = Pair::start().await;
    let (mut one, mut other, keys) = (pair.one.handle(), pair.other.handle(), keys());
    holds::publish(&mut one, &keys, &due([(30, 3), (10, 1), (20, 2), (40, 4)])).await.unwrap();
    assert_eq!(holds::take_due(&mut other, &keys, after(9), 10).await.unwrap(), []);
    assert_eq!(holds::take_due(&mut other, &keys, after(30), 2).await.unwrap(), ids([1, 2]));
    assert_eq!(holds::take_due(&mut one, &keys, after(30), 10).await.unwrap(), ids([3]));
    // A hold that was not swept is put back.
    holds::publish(&mut one, &keys, &due([(30, 3)])).await.unwrap();
    assert_eq!(holds::take_due(&mut other, &keys, after(40), 10).await.unwrap(), ids([3, 4]));
    assert_eq!(pair.server.ask::<u64>(&["ZCARD", &keys.installation_part("holds")]), 0);
}

#[tokio::test]
async fn a_hold_that_was_paid_or_cancelled_is_never_due() {
    let pair = Pair::start().await;
    let (mut one, keys) = (pair.one.handle(), keys());
    let row = |id, state| Reservation {
        reservation_id: ReservationId::new(id),
        user_id: user(1),
        concert_id: ConcertId::new(1),
        seat_id: SeatId::new(id),
        seat_number: 1,
        price: Money::new(1),
        state,
        created_at: START,
        expires_at: after(10),
    };
    let mut held = HoldChanges::default();
    (1..=5).for_each(|id| held.apply(&row(id, ReservationState::Pending)));
    holds::publish(&mut one, &keys, &held).await.unwrap();
    let mut ended = HoldChanges::default();
    ended.apply(&row(1, ReservationState::Confirmed { at: START }));
    ended.apply(&row(3, ReservationState::Cancelled { at: START }));
    ended.apply(&row(4, ReservationState::Expired { at: START }));
    holds::publish(&mut one, &keys, &ended).await.unwrap();
    assert_eq!(holds::take_due(&mut one, &keys, after(10), 10).await.unwrap(), ids([2, 5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_takers_each_due_hold_goes_to_one() {
    let pair = Pair::start().await;
    let all = 5_000;
    holds::publish(&mut pair.one.handle(), &keys(), &due((1..=all).map(|id| (id, id)))).await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let way = link(vec![pair.server.url()]).await;
        takers.spawn(async move {
            let mut taken = Vec::new();
            // Were they handed out again and again, this would not end by itself.
            while taken.len() <= 5_000 {
                let more = holds::take_due(&mut way.handle(), &keys(), after(5_000), 37).await.unwrap();
                if more.is_empty() {
                    break;
                }
                taken.extend(more);
            }
            taken
        });
    }
    let mut taken: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
    taken.sort_unstable();
    assert_eq!(taken.len(), 5_000, "none was handed out twice");
    assert_eq!(taken, ids(1..=all));
}

#[tokio::test]
async fn a_large_take_and_a_server_that_lost_its_scripts_are_no_trouble() {
    let pair = Pair::start().await;
    let (mut one, keys) = (pair.one.handle(), keys());
    holds::publish(&mut one, &keys, &due((1..=9_000).map(|id| (1, id)))).await.unwrap();
    assert_eq!(holds::take_due(&mut one, &keys, after(1), 1).await.unwrap().len(), 1);
    let _: String = pair.server.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(holds::take_due(&mut one, &keys, after(1), 10_000).await.unwrap().len(), 8_999);
    assert_eq!(pair.server.ask::<u64>(&["ZCARD", &keys.installation_part("holds")]), 0);
}
