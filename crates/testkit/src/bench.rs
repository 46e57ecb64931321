//! The helpers shared by the benchmarks: a database with a box office to measure, ways to sell from it, and a client
//! that costs little.

pub mod baseline;
pub mod engine;
pub mod load;
pub mod office;

use std::time::Duration;

/// Operations a second.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    pub holds: f64,
    pub payments: f64,
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
pub fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The median, with the least and the most.
pub fn spread(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    let (least, most) = (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(0.0, f64::max));
    format!("{:.2} ({least:.2} to {most:.2})", median(values))
}
