//! The formulas of the rules, each computed once more from its text.

use crate::given::{NUMBERS, RANDOMNESS, ROOM, leaves, record, secret, text_of};
use frontrow_draw::{Digest, DrawSecret, HexBytes, draw_order, entry_key, entry_text, leaf_of, merkle_root, seed};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn sha256(text: &str) -> Digest {
    HexBytes::new(Sha256::digest(text).into())
}

#[test]
fn every_formula_is_the_sha_256_of_its_text() {
    assert_eq!(secret().hash(), sha256(&format!("frontrow draw secret\n{SECRET}")));
    let user = Uuid::from_u128(0x0193_F3C4_5A6B_7C8D_9E0F_1122_3344_5566);
    let text = entry_text(7, 42, user, 1_900_000_000_123_456);
    let expected = "frontrow draw entry\nroom 7\nentry 42\nuser 0193f3c4-5a6b-7c8d-9e0f-112233445566\n\
                    entered_at 1900000000123456";
    assert_eq!(text, expected);
    assert_eq!(leaf_of(&text), sha256(&format!("\0{text}")));
    let (root, randomness) = (merkle_root(&leaves()), RANDOMNESS.parse().unwrap());
    let drawn = seed(&secret(), root, Some(randomness));
    assert_eq!(drawn, sha256(&format!("frontrow draw seed\nsecret {SECRET}\nroot {root}\nbeacon {RANDOMNESS}")));
    let alone = seed(&secret(), root, None);
    assert_eq!(alone, sha256(&format!("frontrow draw seed\nsecret {SECRET}\nroot {root}\nbeacon none")));
    assert_eq!(entry_key(drawn, 42), sha256(&format!("frontrow draw order\nseed {drawn}\nentry 42")));
}

#[test]
fn the_values_never_change_by_accident() {
    // Computed with another implementation of SHA-256 (Python's).
    assert_eq!(secret().hash().to_string(), GOLDEN_SECRET_HASH);
    assert_eq!(leaf_of(&text_of(1)).to_string(), GOLDEN_LEAF);
    let facts = record().facts;
    assert_eq!(facts.room, ROOM);
    assert_eq!(facts.root.to_string(), GOLDEN_ROOT);
    assert_eq!(facts.seed.to_string(), GOLDEN_SEED);
    assert_eq!(draw_order(facts.seed, NUMBERS), GOLDEN_ORDER);
}

#[test]
fn the_debug_of_a_secret_does_not_show_it() {
    let shown = format!("{:?} {:?}", secret(), record().facts.secret);
    assert!(!shown.contains("0001") && !shown.contains("1, 2"), "{shown}");
    assert_eq!(DrawSecret::from_revealed(&secret().reveal()), Ok(secret()));
    assert!(DrawSecret::from_revealed("00").is_err());
}

proptest! {
    #[test]
    fn digits_are_read_as_they_are_written_and_in_no_other_form(bytes: [u8; 32], at in 0_usize..64, other: char) {
        let digest = HexBytes::new(bytes);
        let text = digest.to_string();
        prop_assert_eq!(text.parse(), Ok(digest));
        prop_assert_eq!(serde_json::from_str::<Digest>(&serde_json::to_string(&digest).unwrap()).unwrap(), digest);
        prop_assert!(text[1..].parse::<Digest>().is_err());
        let mut altered = text;
        altered.replace_range(at..=at, &other.to_string());
        let is_digit = other.is_ascii_digit() || ('a'..='f').contains(&other);
        prop_assert_eq!(altered.parse::<Digest>().is_ok(), is_digit);
        if is_digit {
            prop_assert_eq!(altered.parse::<Digest>().unwrap().to_string(), altered);
        }
    }

    #[test]
    fn the_order_has_every_entry_once_by_ascending_key(
        bytes: [u8; 32], entries in prop::collection::btree_set(0_i64.., 0..200),
    ) {
        let seed = HexBytes::new(bytes);
        let order = draw_order(seed, entries.iter().copied());
        prop_assert!(order.is_sorted_by_key(|entry| entry_key(seed, *entry)));
        let backwards = draw_order(seed, entries.iter().rev().copied());
        prop_assert_eq!(&backwards, &order, "the order in which they are given does not matter");
        prop_assert_eq!(order.iter().copied().collect::<std::collections::BTreeSet<_>>(), entries);
    }
}

const GOLDEN_SECRET_HASH: &str = "000b35b2716ace9dbff92b327257296d36bc51da0224710cb0edba50fdb1e104";
const GOLDEN_LEAF: &str = "817a4f5698925acda19356514043c486f42413e8ab2e2425b90d7ee9771ee1f8";
const GOLDEN_ROOT: &str = "0768d2d91ca840edfa1e6960cc105e86b3cdc6c20af03fc0f7a4009908023267";
const GOLDEN_SEED: &str = "73cb314a84509f0191f54bdb0e7dc93e8e9d4157af2e4a351801a23f6aff293e";
const GOLDEN_ORDER: [i64; 11] = [9, 11, 8, 2, 12, 5, 10, 6, 1, 14, 3];
