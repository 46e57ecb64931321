//! How near the told waits were to those that came, as metrics.

use super::labels::HorizonLabel;
use frontrow_domain::line::ToldHorizon;
use frontrow_line::view::{RATIO_BOUNDS_PPM, ToldTally};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric, counter::Counter, family::Family},
    registry::Registry,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// One, in millionths.
const ONE_PPM: f64 = 1_000_000.0;

/// The told waits of all rooms, by horizon. The lines count; this shows the sums.
#[derive(Debug, Default)]
pub(super) struct ToldMetrics {
    judged: Family<HorizonLabel, Counter>,
    within_p90: Family<HorizonLabel, Counter>,
    ratios: Family<HorizonLabel, ToldRatios>,
}

/// A histogram that is set as a whole.
#[derive(Debug, Clone, Default)]
struct ToldRatios(Arc<RatioCounts>);

#[derive(Debug, Default)]
struct RatioCounts {
    sum_ppm: AtomicU64,
    buckets: [AtomicU64; RATIO_BOUNDS_PPM.len() + 1],
}

impl ToldMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "told_waits",
            "Told waits that were compared with the wait that came, by the horizon at which they were told",
            self.judged.clone(),
        );
        registry.register(
            "told_waits_within_p90",
            "Those of them for which the wait was no longer than the told p90",
            self.within_p90.clone(),
        );
        registry.register("told_wait_ratio", "The told p50, divided by the wait that came", self.ratios.clone());
    }

    /// Sets the sums of all rooms. They only grow.
    pub(super) fn set(&self, tallies: impl IntoIterator<Item = ToldTally>) {
        let mut sums = ToldHorizon::ALL.map(ToldTally::none);
        for tally in tallies {
            sums[tally.horizon.index()].add(&tally);
        }
        for sum in sums {
            let label = HorizonLabel { horizon: sum.horizon.name() };
            self.judged.get_or_create(&label).inner().store(sum.judged, Ordering::Relaxed);
            self.within_p90.get_or_create(&label).inner().store(sum.within_p90, Ordering::Relaxed);
            let ratios = self.ratios.get_or_create(&label);
            ratios.0.sum_ppm.store(sum.ratio_sum_ppm, Ordering::Relaxed);
            for (bucket, count) in ratios.0.buckets.iter().zip(sum.ratios) {
                bucket.store(count, Ordering::Relaxed);
            }
        }
    }
}

impl TypedMetric for ToldRatios {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for ToldRatios {
    #[expect(clippy::cast_precision_loss, reason = "sums and bounds are far below 2^52 millionths")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = RATIO_BOUNDS_PPM.iter().map(|bound| *bound as f64 / ONE_PPM).chain([f64::INFINITY]);
        let buckets: Vec<_> =
            bounds.zip(&self.0.buckets).map(|(bound, count)| (bound, count.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_ppm.load(Ordering::Relaxed) as f64 / ONE_PPM;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn the_sums_of_all_rooms_are_shown_by_horizon() {
        let (metrics, mut registry) = (ToldMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let mut one = ToldTally::none(ToldHorizon::OneMinute);
        (one.judged, one.within_p90, one.ratios[5], one.ratios[11], one.ratio_sum_ppm) = (3, 2, 2, 1, 7_000_000);
        metrics.set([one, one, ToldTally::none(ToldHorizon::First)]);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            r#"told_waits_total{horizon="1m"} 6"#,
            r#"told_waits_total{horizon="first"} 0"#,
            r#"told_waits_within_p90_total{horizon="1m"} 4"#,
            r#"told_wait_ratio_bucket{le="0.9",horizon="1m"} 0"#,
            r#"told_wait_ratio_bucket{le="1.0",horizon="1m"} 4"#,
            r#"told_wait_ratio_bucket{le="+Inf",horizon="1m"} 6"#,
            r#"told_wait_ratio_sum{horizon="1m"} 14.0"#,
            r#"told_wait_ratio_count{horizon="30s"} 0"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
