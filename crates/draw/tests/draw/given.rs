//! A draw as the tests have it.

use frontrow_draw::{
    BeaconRound, BeaconSignature, Chain, Digest, DrawFacts, DrawRecord, DrawSecret, SealedDraw, entry_text, leaf_of,
    merkle_root,
};
use uuid::Uuid;

pub(crate) const ROOM: i64 = 7;
/// Of round 1000 of quicknet.
pub(crate) const SIGNATURE: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
pub(crate) const RANDOMNESS: &str = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd";
/// When round 1000 of quicknet came.
pub(crate) const ROUND_MICROS: i64 = 1_692_806_364_000_000;
/// Some who entered have left before the entries were closed.
pub(crate) const NUMBERS: [i64; 11] = [1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 14];

pub(crate) fn secret() -> DrawSecret {
    DrawSecret::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

pub(crate) fn signature() -> BeaconSignature {
    SIGNATURE.parse().unwrap()
}

pub(crate) fn text_of(number: i64) -> String {
    let user = Uuid::from_u128(0x0193_f3c4_5a6b_7c8d_9e0f_1122_3344_5500 + u128::try_from(number).unwrap());
    entry_text(ROOM, number, user, ROUND_MICROS - 600_000_000 + number * 1_234_567)
}

pub(crate) fn leaves() -> Vec<Digest> {
    NUMBERS.iter().map(|number| leaf_of(&text_of(*number))).collect()
}

/// The draw, sealed half a second before round 1000 of quicknet.
pub(crate) fn sealed() -> SealedDraw {
    SealedDraw {
        room: ROOM,
        opens_at_micros: ROUND_MICROS - 1_000_000,
        sealed_at_micros: ROUND_MICROS - 500_000,
        secret: secret(),
        entry_count: 11,
        root: merkle_root(&leaves()),
        chain: Chain::quicknet(),
        round: BeaconRound(1_000),
        deadline_micros: ROUND_MICROS + 60_000_000,
    }
}

pub(crate) fn record_of(facts: DrawFacts) -> DrawRecord {
    DrawRecord { facts, entries: NUMBERS.into_iter().zip(leaves()).collect() }
}

/// The draw, decided by the beacon.
pub(crate) fn record() -> DrawRecord {
    record_of(DrawFacts::decided(&sealed(), Some(signature())))
}

/// Compares a file of `tests/fixtures`, which tests in other languages and crates read, or writes it if
/// `FRONTROW_UPDATE_DOCS` is set.
pub(crate) fn assert_fixture(name: &str, content: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    if std::env::var_os("FRONTROW_UPDATE_DOCS").is_some() {
        std::fs::write(&path, content).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), content, "{name}");
}
