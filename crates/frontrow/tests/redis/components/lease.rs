//! The leader of a line: one at a time as far as Redis knows, under ever higher fences.

use super::{HOUSE, Pair, eventually, instance, keys};
use frontrow_domain::{id::RoomId, line::Fence, time::Span};
use frontrow_line::{Leadership, redis::lease::Leases};

const LONG: Span = Span::from_secs(60);
const NONE: Fence = Fence(0);

fn leader(fence: i64) -> Leadership {
    Leadership::Leader(Fence(fence))
}

fn leases(number: u128) -> Leases {
    Leases::new(keys(), instance(number))
}

#[tokio::test]
async fn one_of_two_leads_until_it_gives_up() {
    let pair = Pair::start().await;
    let (one, other) = (leases(1), leases(2));
    let (way, other_way) = (pair.one.handle(), pair.other.handle());
    assert_eq!(one.lead(&way, HOUSE, NONE, LONG).await.unwrap(), leader(1));
    assert_eq!(other.lead(&other_way, HOUSE, NONE, LONG).await.unwrap(), Leadership::Follower);
    assert_eq!(other.lead(&other_way, RoomId::new(5), NONE, LONG).await.unwrap(), leader(1), "rooms are apart");
    one.release(&way).await.unwrap();
    let next = eventually("the other to lead", async || {
        let stands = other.lead(&other_way, HOUSE, NONE, LONG).await.unwrap();
        (stands != Leadership::Follower).then_some(stands)
    });
    assert_eq!(next.await, leader(2));
    assert_eq!(one.lead(&way, HOUSE, NONE, LONG).await.unwrap(), Leadership::Follower);
}

#[tokio::test]
async fn a_released_lease_leaves_the_new_leader_alone() {
    let pair = Pair::start().await;
    let (one, other, way) = (leases(1), leases(2), pair.one.handle());
    assert_eq!(one.lead(&way, HOUSE, NONE, LONG).await.unwrap(), leader(1));
    // Its lease is lost, and it does not know.
    let _: i64 = pair.server.ask(&["DEL", &keys().installation_part("leader:0")]);
    assert_eq!(other.lead(&way, HOUSE, NONE, LONG).await.unwrap(), leader(2));
    one.release(&way).await.unwrap();
    assert_eq!(leases(3).lead(&way, HOUSE, NONE, LONG).await.unwrap(), Leadership::Follower);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_ask_at_once_one_leads() {
    let pair = Pair::start().await;
    for room in (1..=50).map(RoomId::new) {
        let mut asking = tokio::task::JoinSet::new();
        for number in 1..=8 {
            let way = if number % 2 == 0 { pair.one.handle() } else { pair.other.handle() };
            asking.spawn(async move { leases(number).lead(&way, room, NONE, LONG).await.unwrap() });
        }
        let leaders = asking.join_all().await.into_iter().filter(|stands| *stands != Leadership::Follower).count();
        assert_eq!(leaders, 1);
    }
}

#[tokio::test]
async fn another_takes_over_when_the_leader_is_gone() {
    let pair = Pair::start().await;
    let (one, other, term) = (leases(1), leases(2), Span::from_secs(2));
    assert_eq!(one.lead(&pair.one.handle(), HOUSE, NONE, term).await.unwrap(), leader(1));
    let way = pair.other.handle();
    let from = std::time::Instant::now();
    let next = eventually("the other to lead", async || {
        let stands = other.lead(&way, HOUSE, NONE, term).await.unwrap();
        (stands != Leadership::Follower).then_some(stands)
    });
    assert_eq!(next.await, leader(2));
    eprintln!("took over after {:?}", from.elapsed());
    assert_eq!(one.lead(&pair.one.handle(), HOUSE, NONE, term).await.unwrap(), Leadership::Follower);
}

#[tokio::test]
async fn a_leader_that_asks_in_time_leads_on_under_its_number() {
    let pair = Pair::start().await;
    let (one, other, term) = (leases(1), leases(2), Span::from_millis(400));
    let (way, other_way) = (pair.one.handle(), pair.other.handle());
    assert_eq!(one.lead(&way, HOUSE, NONE, term).await.unwrap(), leader(1));
    let renewals = pair.calls("pexpire");
    eventually("three renewals", async || {
        // A machine that pauses this test for longer than the term makes it start anew, under a higher number.
        assert_ne!(one.lead(&way, HOUSE, NONE, term).await.unwrap(), Leadership::Follower);
        let _ = other.lead(&other_way, RoomId::new(9), NONE, LONG).await.unwrap();
        (pair.calls("pexpire") >= renewals + 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn numbers_rise_above_what_the_row_has_and_what_redis_has_forgotten() {
    let pair = Pair::start().await;
    let (one, way) = (leases(1), pair.one.handle());
    assert_eq!(one.lead(&way, HOUSE, Fence(7), LONG).await.unwrap(), leader(8));
    assert_eq!(one.lead(&way, HOUSE, Fence(8), LONG).await.unwrap(), leader(8));
    assert_eq!(one.lead(&way, HOUSE, Fence(11), LONG).await.unwrap(), leader(12), "another one has led since");
    pair.server.flush();
    assert_eq!(one.lead(&way, HOUSE, Fence(12), LONG).await.unwrap(), leader(12), "its term runs");
    one.forget();
    assert_eq!(one.lead(&way, HOUSE, Fence(12), LONG).await.unwrap(), leader(13));
    // The counter is gone, the lease is not.
    let _: i64 = pair.server.ask(&["DEL", &keys().installation_part("fence:0")]);
    one.forget();
    assert_eq!(one.lead(&way, HOUSE, Fence(13), LONG).await.unwrap(), leader(14));
}

#[tokio::test]
async fn many_lines_are_asked_for_in_one_call() {
    let pair = Pair::start().await;
    let (one, other) = (leases(1), leases(2));
    let rooms: Vec<_> = (0..200).map(|room| (RoomId::new(room), Fence(room))).collect();
    assert_eq!(other.lead(&pair.other.handle(), RoomId::new(7), NONE, LONG).await.unwrap(), leader(1));
    let calls = pair.calls("evalsha") + pair.calls("eval");
    one.ask_for(&pair.one.handle(), &rooms, LONG).await.unwrap();
    assert_eq!(pair.calls("evalsha") + pair.calls("eval"), calls + 1);
    for (room, fence) in &rooms {
        let expected = if room.get() == 7 { Leadership::Follower } else { leader(fence.0 + 1) };
        assert_eq!(one.standing(*room), expected, "{room}");
    }
    one.release(&pair.one.handle()).await.unwrap();
    assert_eq!(pair.server.ask::<Vec<String>>(&["KEYS", "*leader:*"]).len(), 1, "the other's");
}

#[tokio::test]
async fn a_leader_that_leaves_a_line_asks_no_more_and_another_takes_over() {
    let pair = Pair::start().await;
    let (one, other, term) = (leases(1), leases(2), Span::from_millis(200));
    let (way, other_way) = (pair.one.handle(), pair.other.handle());
    assert_eq!(one.lead(&way, HOUSE, NONE, term).await.unwrap(), leader(1));
    one.leave(HOUSE, std::time::Duration::from_mins(1));
    eventually("the other to lead", async || {
        assert_eq!(one.lead(&way, HOUSE, NONE, term).await.unwrap(), Leadership::Follower);
        (other.lead(&other_way, HOUSE, NONE, LONG).await.unwrap() == leader(2)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_given_up_is_free_at_once_and_not_asked_for_soon() {
    let pair = Pair::start().await;
    let (one, other) = (leases(1), leases(2));
    let (way, other_way) = (pair.one.handle(), pair.other.handle());
    assert_eq!(one.lead(&way, HOUSE, NONE, LONG).await.unwrap(), leader(1));
    one.give_up(&way, HOUSE, std::time::Duration::from_mins(1)).await.unwrap();
    assert_eq!(one.lead(&way, HOUSE, NONE, LONG).await.unwrap(), Leadership::Follower);
    assert_eq!(other.lead(&other_way, HOUSE, NONE, LONG).await.unwrap(), leader(2));
}

#[tokio::test]
async fn what_is_known_costs_no_call() {
    let pair = Pair::start().await;
    let (one, way) = (leases(1), pair.one.handle());
    let rooms: Vec<_> = (0..20).map(RoomId::new).collect();
    for room in &rooms {
        one.lead(&way, *room, NONE, LONG).await.unwrap();
    }
    let calls = pair.calls("evalsha");
    for _ in 0..100 {
        for room in &rooms {
            assert_eq!(one.lead(&way, *room, Fence(1), LONG).await.unwrap(), leader(1));
        }
    }
    assert_eq!(pair.calls("evalsha"), calls);
}

#[tokio::test]
async fn a_leader_leads_to_the_end_of_its_term_without_redis() {
    let mut pair = Pair::start().await;
    let (one, other) = (leases(1), leases(2));
    let (way, other_way) = (pair.one.handle(), pair.other.handle());
    assert_eq!(one.lead(&way, HOUSE, NONE, Span::from_secs(6)).await.unwrap(), leader(1));
    pair.server.kill();
    eventually("the other to know", async || other.lead(&other_way, HOUSE, NONE, LONG).await.err()).await;
    assert_eq!(one.lead(&way, HOUSE, NONE, LONG).await.unwrap(), leader(1));
    eventually("the term to end", async || one.lead(&way, HOUSE, NONE, LONG).await.err()).await;
}
