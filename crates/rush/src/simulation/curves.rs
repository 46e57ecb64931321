//! When the people of a scenario come.

use super::people::{normal, scaled};
use frontrow_domain::time::Span;
use rand::{RngExt, rngs::StdRng};

/// How the arrivals of a scenario lie in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ArrivalCurve {
    /// So many of a hundred come evenly in the rush, the others evenly over the spread.
    Rush { share: f64, lasts: Span, spread: Span },
    /// So many of a hundred come evenly in the spike, the others ever more seldom: at this time on average.
    Spike { share: f64, lasts: Span, mean: Span },
    /// All come evenly over this time.
    Steady(Span),
    /// So many of a hundred come evenly before the opening, into a lobby, the others evenly over the spread after it.
    Lobby { share: f64, lasts: Span, spread: Span },
    /// So many of a hundred come about the first moment, the others about the second, most of them within the deviation.
    Waves { share: f64, at: [Span; 2], deviation: Span },
}

impl ArrivalCurve {
    /// When a person comes, after the opening; after that of the lobby if there is one.
    pub(super) fn draw(&self, rng: &mut StdRng) -> Span {
        match *self {
            Self::Rush { share, lasts, spread } => {
                let within = if rng.random::<f64>() * 100.0 < share { lasts } else { spread };
                scaled(within, rng.random::<f64>())
            }
            Self::Spike { share, lasts, mean } => {
                let is_early = rng.random::<f64>() * 100.0 < share;
                let chance = rng.random::<f64>();
                if is_early { scaled(lasts, chance) } else { scaled(mean, -(1.0 - chance).ln()) }
            }
            Self::Steady(over) => scaled(over, rng.random::<f64>()),
            Self::Lobby { share, lasts, spread } => {
                let is_early = rng.random::<f64>() * 100.0 < share;
                let chance = rng.random::<f64>();
                if is_early {
                    scaled(lasts, chance)
                } else {
                    Span::from_micros(lasts.micros().saturating_add(scaled(spread, chance).micros()))
                }
            }
            Self::Waves { share, at: [first, second], deviation } => {
                let middle = if rng.random::<f64>() * 100.0 < share { first } else { second };
                let off = scaled(deviation, normal(rng));
                Span::from_micros(middle.micros().saturating_add(off.micros()).max(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn drawn(curve: ArrivalCurve) -> Vec<i64> {
        let mut rng = StdRng::seed_from_u64(5);
        let mut seconds: Vec<_> = (0..4_000).map(|_| curve.draw(&mut rng).millis() / 1_000).collect();
        seconds.sort_unstable();
        seconds
    }

    #[test]
    fn each_curve_has_its_people_where_it_says() {
        let seconds = Span::from_secs;
        let share = |curve, within: std::ops::Range<i64>| {
            drawn(curve).iter().filter(|at| within.contains(*at)).count() * 100 / 4_000
        };
        let spike = ArrivalCurve::Spike { share: 40.0, lasts: seconds(5), mean: seconds(120) };
        assert!((40..=45).contains(&share(spike, 0..5)), "{}", share(spike, 0..5));
        assert!((18..=26).contains(&share(spike, 120..3_600)), "e⁻¹ of the tail: {}", share(spike, 120..3_600));
        let steady = ArrivalCurve::Steady(seconds(1_000));
        assert!((23..=27).contains(&share(steady, 500..750)), "{}", share(steady, 500..750));
        let waves = ArrivalCurve::Waves { share: 60.0, at: [seconds(60), seconds(600)], deviation: seconds(20) };
        assert!((57..=63).contains(&share(waves, 0..300)), "{}", share(waves, 0..300));
        assert!((37..=43).contains(&share(waves, 540..660)), "{}", share(waves, 540..660));
    }
}
