//! Whether every entry gets every rank equally often.

use frontrow_draw::{DrawSecret, draw_order, merkle_root, seed};
use sha2::{Digest as _, Sha256};

const ENTRIES: i64 = 20;
const DRAWS: u32 = 20_000;
/// 99.9 of 100 fair draws stay below it, with 19 degrees of freedom.
const QUANTILE_19: f64 = 43.82;
/// The same with 361: a table of 20 by 20 whose rows and columns all have the same sum.
const QUANTILE_361: f64 = 449.76;

/// How often each entry got each rank: `[entry][rank]`, both from 0.
fn counted() -> Vec<Vec<u32>> {
    let size = usize::try_from(ENTRIES).unwrap();
    let mut counts = vec![vec![0; size]; size];
    for number in 0..DRAWS {
        let secret = DrawSecret::from_bytes(Sha256::digest(format!("secret {number}")).into());
        let order = draw_order(seed(&secret, merkle_root(&[]), None), 1..=ENTRIES);
        for (rank, entry) in order.into_iter().enumerate() {
            counts[usize::try_from(entry - 1).unwrap()][rank] += 1;
        }
    }
    counts
}

fn chi_square<'a>(counts: impl IntoIterator<Item = &'a u32>) -> f64 {
    let expected = f64::from(DRAWS) / f64::from(u32::try_from(ENTRIES).unwrap());
    counts.into_iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

#[test]
fn every_entry_gets_every_rank_equally_often() {
    let counts = counted();
    // The cells of one draw, one in each row and column, scatter by 20/19 more than those of a free table.
    let all = chi_square(counts.iter().flatten()) * 19.0 / 20.0;
    assert!(all < QUANTILE_361, "{all}");
    let first_entry = chi_square(&counts[0]);
    assert!(first_entry < QUANTILE_19, "the ranks of the first entry: {first_entry}");
    let first_rank = chi_square(counts.iter().map(|ranks| &ranks[0]));
    assert!(first_rank < QUANTILE_19, "the entries that came first: {first_rank}");
    println!("all {all:.1}, first entry {first_entry:.1}, first rank {first_rank:.1}");
}
