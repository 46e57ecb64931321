//! Copies of live tokens, and what they cost.

use super::{HOUSE, Pair, START, at, keys, user};
use frontrow_domain::{
    id::RoomId,
    line::{EndReason, Token},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_line::redis::{
    client::RedisHandle,
    tokens::{self, TokenChanges},
};

fn changes<'a>(tokens: impl IntoIterator<Item = &'a Token>, at: Time) -> TokenChanges {
    let mut changes = TokenChanges::default();
    tokens.into_iter().for_each(|token| changes.apply(token, at));
    changes
}

async fn publish(way: &RedisHandle, mut changes: TokenChanges) {
    let refused = tokens::publish(way, &keys(), &mut changes, |_| true).await;
    assert!(refused.is_empty() && changes.is_empty(), "{refused:?}");
}

fn issued(position: i64) -> Token {
    Token::issued(at(position), user(position), START)
}

#[tokio::test]
async fn a_live_token_is_found_from_anywhere_until_it_ends() {
    let pair = Pair::start().await;
    let (one, other, keys) = (pair.one.handle(), pair.other.handle(), keys());
    let tokens: Vec<_> = (1..=1_000).map(issued).collect();
    publish(&one, changes(&tokens, START)).await;
    for token in &tokens {
        assert_eq!(tokens::get(&other, &keys, token.id).await.unwrap(), Some(*token));
    }
    assert_eq!(tokens::get(&other, &keys, at(1_001)).await.unwrap(), None);
    let mut elsewhere = at(5);
    elsewhere.room_id = RoomId::new(3);
    assert_eq!(tokens::get(&other, &keys, elsewhere).await.unwrap(), None);

    let now = START.plus(Span::from_secs(1));
    let offered = tokens[6].offered(now, &Policy::default()).unwrap();
    let ended: Vec<_> = tokens[..5].iter().map(|token| token.ended(now, EndReason::Left).unwrap()).collect();
    publish(&other, changes(ended.iter().chain([&offered]), now)).await;
    assert_eq!(tokens::get(&one, &keys, at(7)).await.unwrap(), Some(offered));
    for position in 1..=5 {
        assert_eq!(tokens::get(&one, &keys, at(position)).await.unwrap(), None);
    }
    let rest: Vec<_> = tokens[5..].iter().map(|token| token.ended(now, EndReason::Paid).unwrap()).collect();
    publish(&one, changes(&rest, now)).await;
    assert_eq!(pair.server.ask::<i64>(&["DBSIZE"]), 0, "nothing is left behind");
}

#[tokio::test]
async fn an_older_copy_does_not_replace_a_later_one() {
    let pair = Pair::start().await;
    let (one, keys) = (pair.one.handle(), keys());
    let later = START.plus(Span::from_millis(1));
    let offered = issued(1).offered(later, &Policy::default()).unwrap();
    publish(&one, changes([&offered], later)).await;
    publish(&one, changes([&issued(1)], START)).await;
    assert_eq!(tokens::get(&one, &keys, at(1)).await.unwrap(), Some(offered));
}

/// The cost of a waiting token in Redis: printed, and held to what is planned with.
#[tokio::test]
async fn a_waiter_costs_less_than_fifty_bytes() {
    let pair = Pair::start().await;
    let (one, keys) = (pair.one.handle(), keys());
    let used = || pair.server.info("memory", "used_memory").parse::<f64>().unwrap();
    let all = 100_000_u32;
    let before = used();
    for first in (1..=i64::from(all)).step_by(500) {
        let tokens: Vec<_> = (first..first + 500).map(issued).collect();
        publish(&one, changes(&tokens, START)).await;
    }
    let bytes = (used() - before) / f64::from(all);
    let hash: u32 = pair.server.ask(&["MEMORY", "USAGE", &keys.room(HOUSE, "t5:100")]);
    eprintln!("{bytes:.1} bytes a waiter in a line of {all}; a full hash of 128 takes {hash} bytes");
    assert_eq!(pair.server.ask::<String>(&["OBJECT", "ENCODING", &keys.room(HOUSE, "t5:100")]), "listpack");
    assert!(bytes < 50.0, "{bytes}");
}
