//! A histogram of durations that counts without a lock.

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The upper bounds of the buckets; one more bucket counts longer durations.
pub(super) const BOUNDS: [Duration; 14] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Counts durations by size. Copies share their counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Latency(Arc<LatencyCounts>);

#[derive(Debug, Default)]
struct LatencyCounts {
    nanos: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len() + 1],
}

impl Latency {
    /// Counts one: two additions, no lock.
    pub(super) fn observe(&self, took: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Latency {
    /// How many durations each bucket has: those of the bounds, and the one for longer durations.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))
    }
}

impl TypedMetric for Latency {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Latency {
    /// The total is summed from the buckets as read, so that the two agree under concurrent updates.
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<_> =
            bounds.zip(&self.0.buckets).map(|(bound, count)| (bound, count.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, Latency};
    use prometheus_client::{encoding::text::encode, metrics::histogram::Histogram, registry::Registry};
    use std::time::Duration;

    #[test]
    fn it_reads_like_the_histogram_of_the_library() {
        let (ours, theirs) = (Latency::default(), Histogram::new(BOUNDS.iter().map(Duration::as_secs_f64)));
        // At a bound, beside it, and beyond them all.
        for nanos in [0, 500_000, 500_001, 62_500_000, 250_000_000, 1_000_000_000, 16_000_000_000] {
            ours.observe(Duration::from_nanos(nanos));
            theirs.observe(Duration::from_nanos(nanos).as_secs_f64());
        }
        let text = |registry: &Registry| {
            let mut text = String::new();
            encode(&mut text, registry).unwrap();
            text
        };
        let (mut one, mut other) = (Registry::default(), Registry::default());
        one.register("took", "Time", ours);
        other.register("took", "Time", theirs);
        assert_eq!(text(&one), text(&other));
        assert!(text(&one).contains("took_bucket{le=\"0.0005\"} 2\n"), "{}", text(&one));
        assert!(text(&one).contains("took_bucket{le=\"+Inf\"} 7\n"));
    }

    #[test]
    fn many_at_once_are_all_counted() {
        let latency = Latency::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| latency.observe(Duration::from_millis(1))));
            }
        });
        let mut registry = Registry::default();
        registry.register("took", "Time", latency);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("took_sum 40.0\n") && text.contains("took_count 40000\n"), "{text}");
    }
}
