use super::*;
use crate::view::tests::{START, event, request};
use frontrow_domain::{model::Model, policy::Policy, queue::EndReason};
use proptest::prelude::*;

const INSTANCE: Uuid = Uuid::from_u128(9);

/// Tokens with only what a view needs of them.
fn bare(tokens: &[Token], now: Time) -> Vec<Token> {
    let bare = |token: &Token| {
        let state = match token.state {
            TokenState::Ended { activated_at, .. } => {
                TokenState::Ended { at: now, reason: EndReason::Expired, activated_at }
            }
            state => state,
        };
        Token { state, ..Token::issued(token.id, UserId(Uuid::nil()), now) }
    };
    tokens.iter().map(bare).collect()
}

fn told(changes: &Changes) -> Option<Box<BatchChanges>> {
    let event = read(&of_changes(INSTANCE, changes)?).unwrap();
    assert_eq!((event.instance, event.number), (INSTANCE, 0));
    match event.body {
        Body::Changes(told) => Some(told),
        Body::Gap(_) => None,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        batches in prop::collection::vec(prop::collection::vec(event(), 1..8), 1..20),
        session in any::<[u8; 32]>(),
        unused in prop::collection::btree_set(1..500_i64, 0..20),
    ) {
        let mut model = Model::new(3, START);
        let mut now = START;
        for batch in batches {
            now = now.plus(Span::from_millis(700));
            let requests: Vec<_> = batch.iter().filter_map(|event| request(&model, event)).collect();
            let (_, mut changes) = model.transact(now, Policy { dormant_after: Span::ZERO, ..Policy::default() }, &requests);
            changes.closed_sessions.push(session);
            let id = |position: &i64| TokenId { room_id: RoomId::HOUSE, position: Position(*position) };
            changes.unused = unused.iter().map(id).collect();
            let read = told(&changes).unwrap().changes;
            prop_assert_eq!(read.now, changes.now);
            prop_assert_eq!(read.rooms.updated, changes.rooms.updated);
            prop_assert_eq!(read.tokens.updated, bare(&changes.tokens.updated, now));
            prop_assert_eq!(read.tokens.inserted, bare(&changes.tokens.inserted, now));
            prop_assert_eq!(read.unused, changes.unused);
            prop_assert_eq!(read.closed_sessions, changes.closed_sessions);
        }
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..100_usize) {
        let mut changes = Changes { now: START, ..Changes::default() };
        changes.tokens.inserted = (1..=50).map(token).collect();
        let mut event = of_changes(INSTANCE, &changes).unwrap();
        event.truncate(cut);
        event.extend(bytes);
        // Any bytes are read or refused.
        let _ = read(&event);
    }
}

fn token(position: i64) -> Token {
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
    Token::issued(id, UserId(Uuid::nil()), START)
}

#[test]
fn a_room_is_published_with_the_sale_of_its_concert() {
    let house = Model::new(3, START).rooms.remove(&RoomId::HOUSE).unwrap();
    let (opens_at, closes_at) = (START.plus(Span::from_secs(7)), START.plus(Span::from_secs(90)));
    let room =
        |number, opens_at, closes_at| Room { room_id: RoomId::new(number), opens_at, closes_at, ..house.clone() };
    let mut changes = Changes { now: START, ..Changes::default() };
    changes.rooms.updated = vec![room(1, Some(opens_at), Some(closes_at)), room(2, Some(opens_at), None)];
    changes.rooms.inserted = vec![room(3, None, Some(closes_at)), room(4, None, None)];
    let read = told(&changes).unwrap().changes;
    assert_eq!((read.rooms.updated, read.rooms.inserted), (changes.rooms.updated, changes.rooms.inserted));
}

#[test]
fn a_batch_is_published_in_few_bytes() {
    let mut issues = Changes { now: START, ..Changes::default() };
    issues.tokens.inserted = (900_001..=900_500).map(token).collect();
    let policy = Policy::default();
    let mut claims = Changes { now: START, ..Changes::default() };
    let activated = |at: i64| token(at).offered(START, &policy).unwrap().activated(START, &policy).unwrap();
    claims.tokens.updated = (0..500).map(|at| activated(700_000 + at)).collect();
    let mut scattered = claims.clone();
    scattered.tokens.updated = (0..500).map(|at| activated(700_000 + at * 3)).collect();
    let mut ended = claims.clone();
    let end = |at: i64| activated(700_000 + at * 3).ended(START, EndReason::Paid).unwrap();
    ended.tokens.updated = (0..500).map(end).collect();
    let bytes = |changes: &Changes| of_changes(INSTANCE, changes).unwrap().len();
    let sizes = [&issues, &claims, &scattered, &ended].map(bytes);
    assert!(sizes[0] < 64 && sizes[1] < 64 && sizes[2] < 1_600 && sizes[3] < 1_600, "{sizes:?}");
}

#[test]
fn a_batch_without_shared_changes_has_no_event() {
    assert_eq!(of_changes(INSTANCE, &Changes { now: START, ..Changes::default() }), None);
}

#[test]
fn a_gap_names_unpublished_rooms_and_other_versions_are_refused() {
    let gap = Gap { rooms: vec![RoomId::HOUSE, RoomId::new(7)], caches: CacheValidity::Consistent };
    let mut event = of_gap(INSTANCE, 300, 312, &gap);
    let body = Body::Gap(gap.clone());
    assert_eq!(read(&event), Ok(Event { instance: INSTANCE, first: 300, number: 312, body }));
    // As written before gaps said which events they stand for.
    event.truncate(event.len() - 3);
    let body = Body::Gap(Gap { caches: CacheValidity::Stale, ..gap });
    assert_eq!(read(&event), Ok(Event { instance: INSTANCE, first: 312, number: 312, body }));
    event[0] = 9;
    assert_eq!(read(&event), Err(Unreadable::Version(9)));
    assert_eq!(read(&[]), Err(Unreadable::Broken));
}
