//! The record of a draw, true and altered.

use crate::given::{NUMBERS, ROUND_MICROS, assert_fixture, leaves, record, record_of, sealed, signature};
use frontrow_draw::{
    BeaconFault, BeaconRound, Chain, DecidedBy, DrawCheck, DrawFacts, DrawFault, DrawRecord, DrawSecret, ENTRIES_MAX,
    HexBytes, RULES, SealedDraw, draw_order, leaf_of, merkle_root, testing::TestBeacon,
};
use std::num::NonZeroU32;

#[test]
fn a_true_record_is_verified_and_drawn_again() {
    let record = record();
    let verified = record.verify().unwrap();
    assert_eq!(verified.decided_by, DecidedBy::Beacon);
    assert_eq!(verified.order, draw_order(record.facts.seed, NUMBERS));
    for (index, entry) in verified.order.iter().enumerate() {
        assert_eq!(verified.rank_of(*entry), Some(index + 1));
    }
    assert_eq!(verified.rank_of(4), None);
}

#[test]
fn a_draw_by_the_secret_alone_says_so_and_is_verified() {
    let record = record_of(DrawFacts::decided(&sealed(), None));
    let verified = record.verify().unwrap();
    assert_eq!(verified.decided_by, DecidedBy::SecretAlone);
    assert_ne!(verified.order, self::record().verify().unwrap().order);
    // No round is waited for.
    let at_once = SealedDraw { deadline_micros: sealed().sealed_at_micros, ..sealed() };
    assert_eq!(record_of(DrawFacts::decided(&at_once, None)).verify().unwrap(), verified);
}

#[test]
fn a_draw_of_no_entries_is_verified() {
    let empty = SealedDraw { entry_count: 0, root: merkle_root(&[]), ..sealed() };
    let record = DrawRecord { facts: DrawFacts::decided(&empty, Some(signature())), entries: Vec::new() };
    assert_eq!(record.verify().unwrap().order, Vec::<i64>::new());
}

#[test]
fn a_draw_by_a_chain_of_its_own_is_verified() {
    let beacon = TestBeacon::new([9; 32], 1_692_000_000, NonZeroU32::new(30).unwrap()).unwrap();
    let round = beacon.chain.round_after(sealed().sealed_at_micros / 1_000_000);
    let sealed = SealedDraw { chain: beacon.chain, round, ..sealed() };
    record_of(DrawFacts::decided(&sealed, Some(beacon.sign(round)))).verify().unwrap();
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let json = serde_json::to_string_pretty(&record()).unwrap();
    assert_fixture("record.json", &format!("{json}\n"));
    assert_eq!(serde_json::from_str::<DrawRecord>(&json).unwrap(), record());
    let alone = record_of(DrawFacts::decided(&sealed(), None));
    let json = serde_json::to_string_pretty(&alone).unwrap();
    assert_fixture("record-secret-alone.json", &format!("{json}\n"));
    assert_eq!(serde_json::from_slice::<DrawRecord>(json.as_bytes()).unwrap(), alone);
}

/// A change of a true record, the check that finds it, and what that says.
type Altered = (fn(&mut DrawRecord), DrawCheck, DrawFault);

#[test]
fn every_altered_field_is_found() {
    let altered: [Altered; 27] = [
        (|record| record.facts.format.push('0'), DrawCheck::Format, DrawFault::Format),
        (|record| record.facts.rules_version = 2, DrawCheck::Rules, DrawFault::RulesVersion(2)),
        (|record| record.facts.rules = RULES.replace("ascending", "descending"), DrawCheck::Rules, DrawFault::Rules),
        (|record| record.facts.secret = DrawSecret::from_bytes([0; 32]), DrawCheck::Secret, DrawFault::Secret),
        (|record| record.facts.secret_hash = leaf_of(""), DrawCheck::Secret, DrawFault::Secret),
        (|record| record.facts.entry_count = 12, DrawCheck::Entries, DrawFault::Count { said: 12, found: 11 }),
        (|record| record.entries.truncate(10), DrawCheck::Entries, DrawFault::Count { said: 11, found: 10 }),
        (|record| record.entries.swap(3, 4), DrawCheck::Entries, DrawFault::OutOfOrder(5)),
        (|record| record.entries[1].0 = 1, DrawCheck::Entries, DrawFault::OutOfOrder(1)),
        (|record| record.facts.root = leaf_of(""), DrawCheck::Root, DrawFault::Root),
        (|record| record.entries[5].1 = leaf_of(""), DrawCheck::Root, DrawFault::Root),
        (|record| record.facts.scheme = "pedersen-bls-chained".to_owned(), DrawCheck::Chain, DrawFault::Scheme),
        (|record| record.facts.chain.genesis_seconds -= 3, DrawCheck::Chain, DrawFault::Chain),
        (|record| record.facts.chain.period_seconds = NonZeroU32::MIN, DrawCheck::Chain, DrawFault::Chain),
        (|record| record.facts.chain.public_key = own_chain().public_key, DrawCheck::Chain, DrawFault::Chain),
        (
            |record| record.facts.chain = Chain { public_key: HexBytes::new([0; 96]), ..own_chain() },
            DrawCheck::Chain,
            DrawFault::ChainKey,
        ),
        (|record| record.facts.round = BeaconRound(999), DrawCheck::Round, DrawFault::RoundTooEarly),
        (|record| record.facts.sealed_at_micros = ROUND_MICROS, DrawCheck::Round, DrawFault::RoundTooEarly),
        (|record| record.facts.deadline_micros = 0, DrawCheck::Round, DrawFault::DeadlineTooEarly),
        (|record| record.facts.signature = None, DrawCheck::Beacon, DrawFault::SignatureMissing),
        (|record| record.facts.decided_by = DecidedBy::SecretAlone, DrawCheck::Beacon, DrawFault::SignatureUnused),
        (
            |record| (record.facts.decided_by, record.facts.signature) = (DecidedBy::SecretAlone, None),
            DrawCheck::Beacon,
            DrawFault::SignatureUnused,
        ),
        (
            |record| record.facts.round = BeaconRound(1_001),
            DrawCheck::Beacon,
            DrawFault::Signature(BeaconFault::Forged),
        ),
        (
            |record| record.facts.signature = Some(HexBytes::new([0; 48])),
            DrawCheck::Beacon,
            DrawFault::Signature(BeaconFault::Point),
        ),
        (|record| record.facts.randomness = Some(leaf_of("")), DrawCheck::Beacon, DrawFault::Randomness),
        (|record| record.facts.randomness = None, DrawCheck::Beacon, DrawFault::Randomness),
        (|record| record.facts.seed = leaf_of(""), DrawCheck::Seed, DrawFault::Seed),
    ];
    for (alter, check, fault) in altered {
        let mut record = record();
        alter(&mut record);
        assert_eq!(record.check(check), Err(fault));
        assert!(record.verify().is_err(), "{fault}");
    }
}

fn own_chain() -> Chain {
    TestBeacon::new([9; 32], 1_692_000_000, NonZeroU32::new(30).unwrap()).unwrap().chain
}

#[test]
fn what_stands_for_nothing_else_is_in_no_formula_and_changes_nothing() {
    // The instants of the sale are the house's word.
    let mut record = record();
    record.facts.opens_at_micros += 1;
    record.facts.sealed_at_micros -= 1;
    record.facts.deadline_micros += 1;
    record.verify().unwrap();
}

#[test]
fn more_entries_than_a_record_may_have_are_refused() {
    let mut record = record();
    record.entries = vec![(1, leaves()[0]); ENTRIES_MAX + 1];
    assert_eq!(record.check(DrawCheck::Entries), Err(DrawFault::TooMany));
}

#[test]
fn a_text_that_is_no_record_is_not_read() {
    let good = serde_json::to_value(record()).unwrap();
    for (field, value) in [
        ("secret", "00"),
        ("root", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"),
        ("signature", "b44679"),
        ("decided_by", "nothing"),
        ("round", "-1"),
        ("entries", "none"),
    ] {
        let mut bad = good.clone();
        bad[field] = value.into();
        assert!(serde_json::from_value::<DrawRecord>(bad).is_err(), "{field}");
    }
    for field in good.as_object().unwrap().keys().filter(|field| !["signature", "randomness"].contains(&field.as_str()))
    {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(field);
        assert!(serde_json::from_value::<DrawRecord>(bad).is_err(), "{field}");
    }
}
