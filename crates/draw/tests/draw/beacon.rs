//! Rounds of a chain and their signatures.

use crate::given::{RANDOMNESS, signature};
use frontrow_draw::{BeaconFault, BeaconRound, Chain, HexBytes, randomness_of, testing::TestBeacon};
use proptest::prelude::*;
use std::num::NonZeroU32;

const ROUND: BeaconRound = BeaconRound(1_000);

#[test]
fn a_round_of_quicknet_is_verified_with_the_constants_of_the_program() {
    let randomness = Chain::quicknet().verify(ROUND, signature().as_ref()).unwrap();
    assert_eq!(randomness.to_string(), RANDOMNESS);
    assert_eq!(randomness_of(&signature()), randomness);
}

#[test]
fn the_hash_of_quicknet_is_that_of_its_key_genesis_and_period() {
    // As drand makes the hash of a chain, with the hash of the group that began it.
    use sha2::Digest as _;
    let chain = Chain::quicknet();
    let group: HexBytes<32> = "f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e".parse().unwrap();
    let hash = sha2::Sha256::new()
        .chain_update(chain.period_seconds.get().to_be_bytes())
        .chain_update(chain.genesis_seconds.to_be_bytes())
        .chain_update(chain.public_key)
        .chain_update(group)
        .chain_update("quicknet");
    assert_eq!(chain.hash, HexBytes::new(hash.finalize().into()));
    assert_eq!(chain.hash.to_string(), "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971");
}

#[test]
fn the_signature_of_another_round_or_chain_is_refused() {
    let chain = Chain::quicknet();
    for round in [BeaconRound(999), BeaconRound(1_001), BeaconRound(0), BeaconRound(u64::MAX)] {
        assert_eq!(chain.verify(round, signature().as_ref()), Err(BeaconFault::Forged));
    }
    let own = own_beacon(1);
    assert_eq!(own.chain.verify(ROUND, signature().as_ref()), Err(BeaconFault::Forged));
    assert_eq!(chain.verify(ROUND, own.sign(ROUND).as_ref()), Err(BeaconFault::Forged));
    assert_eq!(own_beacon(2).chain.verify(ROUND, own.sign(ROUND).as_ref()), Err(BeaconFault::Forged));
}

#[test]
fn a_chain_of_its_own_is_verified_like_quicknet() {
    let own = own_beacon(7);
    for round in [1, 2, 1_000, u64::MAX].map(BeaconRound) {
        let signature = own.sign(round);
        assert_eq!(own.chain.verify(round, signature.as_ref()), Ok(randomness_of(&signature)));
    }
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let own = own_beacon(7);
    let good = own.sign(ROUND);
    for bit in 0..48 * 8 {
        let mut bytes = *good.bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(own.chain.verify(ROUND, &bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn a_signature_that_is_not_a_point_of_the_group_is_refused() {
    let chain = Chain::quicknet();
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    assert_eq!(chain.verify(ROUND, &infinity), Err(BeaconFault::Point));
    assert_eq!(chain.verify(ROUND, &[0; 48]), Err(BeaconFault::Point));
    assert_eq!(chain.verify(ROUND, &[0xff; 48]), Err(BeaconFault::Point));
    // On the curve, and outside of the group: of the points with a small x, hardly one is in it.
    let mut outside = [0; 48];
    outside[0] = 0x80;
    let refused = (0..=255).filter(|x| {
        outside[47] = *x;
        chain.verify(ROUND, &outside) == Err(BeaconFault::Point)
    });
    assert_eq!(refused.count(), 256);
    // The same point, not compressed.
    let point = blst::min_sig::Signature::uncompress(signature().as_ref()).unwrap();
    assert_eq!(chain.verify(ROUND, &point.serialize()), Err(BeaconFault::Length));
    for length in [0, 1, 47, 49, 96, 1_000] {
        assert_eq!(chain.verify(ROUND, &vec![0x80; length]), Err(BeaconFault::Length));
    }
}

#[test]
fn a_chain_whose_key_is_no_key_verifies_nothing() {
    let mut infinity = [0; 96];
    infinity[0] = 0xc0;
    for bytes in [infinity, [0; 96], [0xff; 96]] {
        let chain = Chain { public_key: HexBytes::new(bytes), ..Chain::quicknet() };
        assert_eq!(chain.check(), Err(BeaconFault::Key));
        assert_eq!(chain.verify(ROUND, signature().as_ref()), Err(BeaconFault::Key));
        assert_eq!(chain.verify(ROUND, &infinity[..48]), Err(BeaconFault::Key));
    }
}

#[test]
fn the_round_after_an_instant_comes_strictly_after_it() {
    let chain = Chain::quicknet();
    let genesis = 1_692_803_367;
    for (second, round) in [
        (i64::MIN, 1),
        (-1, 1),
        (genesis - 1, 1),
        (genesis, 2),
        (genesis + 2, 2),
        (genesis + 3, 3),
        (genesis + 4, 3),
        (genesis + 3 * 999, 1_001),
    ] {
        assert_eq!(chain.round_after(second), BeaconRound(round), "{second}");
        assert!(chain.time_of(BeaconRound(round)) > second);
    }
    assert_eq!(chain.time_of(BeaconRound(1)), genesis);
    assert_eq!(chain.time_of(ROUND), genesis + 3 * 999);
    assert_eq!(chain.time_of(BeaconRound(u64::MAX)), i64::MAX);
}

fn own_beacon(seed: u8) -> TestBeacon {
    TestBeacon::new([seed; 32], 1_700_000_000, NonZeroU32::new(30).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_are_refused_without_a_panic(
        round: u64,
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        exact: [[u8; 24]; 2],
        key: [[u8; 32]; 3],
        flags in prop::sample::select(vec![0x00_u8, 0x20, 0x40, 0x80, 0xa0, 0xc0, 0xe0]),
    ) {
        let (mut exact, mut key) = (exact.concat(), key.concat());
        exact[0] = exact[0] & 0x1f | flags;
        key[0] = key[0] & 0x1f | flags;
        let chain = Chain::quicknet();
        prop_assert!(chain.verify(BeaconRound(round), &bytes).is_err());
        prop_assert!(chain.verify(BeaconRound(round), &exact).is_err());
        let stranger = Chain { public_key: HexBytes::new(key.try_into().unwrap()), ..chain };
        prop_assert!(stranger.verify(BeaconRound(round), signature().as_ref()).is_err());
    }

    #[test]
    fn no_round_before_the_one_after_an_instant_comes_after_it(
        second in 0_i64..4_000_000_000, genesis in 0_u64..4_000_000_000, period in 1_u32..100_000,
    ) {
        let period = NonZeroU32::new(period).unwrap();
        let chain = Chain { genesis_seconds: genesis, period_seconds: period, ..Chain::quicknet() };
        let round = chain.round_after(second);
        prop_assert!(chain.time_of(round) > second);
        prop_assert!(round.0 == 1 || chain.time_of(BeaconRound(round.0 - 1)) <= second);
    }
}
