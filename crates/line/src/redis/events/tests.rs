use super::*;
use crate::view::tests::{START, event, request};
use frontrow_domain::{
    id::Position,
    line::{CountedFrom, EndReason, Gate, HeadWeight, LinePeaks},
    model::Model,
    policy::Policy,
    time::Span,
};
use proptest::prelude::*;

const INSTANCE: Uuid = Uuid::from_u128(9);

/// Tokens with only what a view needs of them.
fn bare(tokens: &[Token], now: Time) -> Vec<Token> {
    let bare = |token: &Token| {
        let waited = now.since(token.issued_at).min(HeadWeight::FULL_WAIT);
        let waited = Span::from_secs(waited.millis() / 1_000);
        Token {
            state: token.state,
            turns_passed: token.turns_passed,
            ..Token::issued(token.id, UserId(Uuid::nil()), now.minus(waited))
        }
    };
    tokens.iter().map(bare).collect()
}

fn read_back(changes: &Changes) -> Option<Box<BatchChanges>> {
    let event = read(&event_of(changes)).unwrap();
    assert_eq!((event.instance, event.number), (INSTANCE, 7));
    match event.body {
        EventBody::Changes(batch) => Some(batch),
        EventBody::Gap(_) => None,
    }
}

fn event_of(changes: &Changes) -> Vec<u8> {
    super::event(INSTANCE, 7, &of_changes(changes))
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
            now = now.plus(Span::from_millis(3_700));
            let requests: Vec<_> = batch.iter().filter_map(|event| request(&model, event)).collect();
            let (_, mut changes) = model.transact(now, Policy { dormant_after: Span::ZERO, ..Policy::default() }, &requests);
            changes.closed_sessions.push(session);
            let id = |position: &i64| TokenId { room_id: RoomId::HOUSE, position: Position(*position) };
            changes.unused = unused.iter().map(id).collect();
            let read = read_back(&changes).unwrap().changes;
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
        let mut event = event_of(&changes);
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
    let read = read_back(&changes).unwrap().changes;
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
    // Those that had waited for less than forty seconds are told apart by the second.
    let mut waited = Changes { now: START, ..Changes::default() };
    let earlier =
        |at: i64| Token { issued_at: START.minus(Span::from_millis(200 * (500 - at))), ..token(700_000 + at) };
    waited.tokens.updated = (0..500).map(|at| earlier(at).offered(START, &policy).unwrap()).collect();
    assert!(event_of(&waited).len() < 1_000, "{}", event_of(&waited).len());
    let bytes = |changes: &Changes| event_of(changes).len();
    let sizes = [&issues, &claims, &scattered, &ended].map(bytes);
    assert!(sizes[0] < 64 && sizes[1] < 64 && sizes[2] < 1_600 && sizes[3] < 1_600, "{sizes:?}");
}

/// Other bytes are another format: they need another version.
#[test]
fn the_format_of_an_event_is_pinned() {
    let (policy, later) = (Policy::default(), START.plus(Span::from_secs(1)));
    let offered = |at| token(at).offered(START, &policy).unwrap();
    let active = |at| offered(at).activated(START, &policy).unwrap();
    let mut changes = Changes { now: START, closed_sessions: vec![[7; 32]], ..Changes::default() };
    let (gate, opens_at, fence) = (Gate::Paused, Some(later), Fence(5));
    let (message, cursor) = (Some("Soon.".to_owned()), Position(3));
    let peaks = LinePeaks { passed_over: 1, active: 2, cap: 3, overshoot: 0, counted_from: CountedFrom::Later };
    let house = Room { peaks, shared_at: Some(later), ..Room::new(RoomId::HOUSE, 3, START) };
    changes.rooms.updated = vec![Room { gate, opens_at, fence, message, cursor, ..house }];
    changes.tokens.updated = vec![
        Token { issued_at: START.minus(Span::from_millis(30_900)), ..token(1) }.made_dormant(START, &policy).unwrap(),
        offered(2),
        offered(3).after_deadline(later, &policy),
        active(4),
        active(5).ended(later, EndReason::Paid).unwrap(),
    ];
    changes.tokens.inserted = vec![token(6), token(7)];
    changes.unused = vec![token(8).id, token(10).id];
    let hex = event_of(&changes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let expected = "0b1000000000000000000000000000000009070080809691c782e00601000600010105536f6f6e2e0602000180899092c782\
         e006000000020000000080809691c782e0060080809691c782e0060a80809691c782e0060180899092c782e0060204060001\
         0004000180c8e4c5d482e006011e0102010002809cb2cac782e00600000000010402000480809691c782e0068084c5f0c782\
         e006000000010801000580899092c782e006000180809691c782e0060000010a010100000000010c02010002100102010107\
         070707070707070707070707070707070707070707070707070707070707070000";
    assert_eq!(hex, expected);
    let gap = Gap { rooms: [RoomId::new(7)].into(), caches: CacheValidity::Stale, numbers: 3 };
    assert_eq!(of_gap(&gap), [1, 1, 14, 1, 3]);
}

#[test]
fn a_batch_without_shared_changes_has_no_event() {
    assert!(Gap::of(&Changes { now: START, ..Changes::default() }).is_empty());
}

#[test]
fn a_gap_names_unpublished_rooms_and_other_versions_are_refused() {
    let gap = Gap { rooms: [RoomId::HOUSE, RoomId::new(7)].into(), caches: CacheValidity::Consistent, numbers: 2 };
    let mut event = super::event(INSTANCE, 312, &of_gap(&gap));
    let Event { instance, number, body } = read(&event).unwrap();
    assert_eq!((instance, number), (INSTANCE, 312));
    assert!(matches!(body, EventBody::Gap(read) if read == gap));
    event[0] = VERSION + 1;
    assert_eq!(read(&event).unwrap_err(), Unreadable::Version(VERSION + 1));
    assert_eq!(read(&[]).unwrap_err(), Unreadable::Broken);
    assert_eq!(read(&[VERSION, 1]).unwrap_err(), Unreadable::Broken);
}

/// Prints the size of events and what it takes to write and read one: see docs/decisions/0025. Run it with
/// `cargo test --release -p frontrow-line -- --ignored --nocapture costs`.
#[test]
#[ignore = "a measurement"]
fn what_an_event_costs() {
    let changes_of = |tokens: Vec<Token>| {
        let mut changes = Changes { now: START, ..Changes::default() };
        changes.tokens.inserted = tokens;
        changes
    };
    let one = changes_of(vec![token(900_001)]);
    let issues = changes_of((900_001..=900_500).map(token).collect());
    let (mut scattered, policy) = (changes_of(Vec::new()), Policy::default());
    let activated = |at: i64| token(at).offered(START, &policy).unwrap().activated(START, &policy).unwrap();
    scattered.tokens.updated = (0..500).map(|at| activated(700_000 + at * 3)).collect();
    for (name, changes) in [("1 issued", one), ("500 issued", issues), ("500 scattered claims", scattered)] {
        let event = event_of(&changes);
        let nanos = |run: &dyn Fn()| {
            let start = std::time::Instant::now();
            (0..10_000).for_each(|_| run());
            start.elapsed().as_nanos() / 10_000
        };
        let write = nanos(&|| _ = std::hint::black_box(event_of(&changes)));
        let reading = nanos(&|| _ = std::hint::black_box(read(&event)));
        println!("{name}: {} B, written in {write} ns, read in {reading} ns", event.len());
    }
}
