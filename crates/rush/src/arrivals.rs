//! When the buyers come: a curve and a seed give each of them a moment, before the sale begins and whatever the server
//! then does. This is what makes the load open-loop.

use rand::{RngExt, rngs::StdRng};
use std::{str::FromStr, time::Duration};

/// The shape of a crowd's arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arrivals {
    /// Most come at once when the sale opens, the last within so many seconds.
    Spike(f64),
    /// More and more come, over so many seconds.
    Ramp(f64),
    /// They come at even intervals over so many seconds.
    Steady(f64),
    /// They come independently of each other, so many a second.
    Poisson(f64),
}

/// How much steeper a spike begins than it ends: e to this power.
const SPIKE_STEEPNESS: f64 = 5.0;

impl FromStr for Arrivals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "give spike:SECONDS, ramp:SECONDS, steady:SECONDS or poisson:RATE/s";
        let (shape, amount) = text.split_once(':').ok_or(FORMS)?;
        let number = if shape == "poisson" { amount.trim_end_matches("/s") } else { amount.trim_end_matches('s') };
        let number: f64 = number.parse().map_err(|_| FORMS)?;
        if !(number.is_finite() && (0.0..=86_400.0).contains(&number)) {
            return Err("the number must be from 0 to 86400".to_owned());
        }
        match shape {
            "spike" => Ok(Self::Spike(number)),
            "ramp" => Ok(Self::Ramp(number)),
            "steady" => Ok(Self::Steady(number)),
            "poisson" if number > 0.0 => Ok(Self::Poisson(number)),
            _ => Err(FORMS.to_owned()),
        }
    }
}

impl std::fmt::Display for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Spike(seconds) => write!(f, "spike:{seconds}"),
            Self::Ramp(seconds) => write!(f, "ramp:{seconds}"),
            Self::Steady(seconds) => write!(f, "steady:{seconds}"),
            Self::Poisson(rate) => write!(f, "poisson:{rate}/s"),
        }
    }
}

impl Arrivals {
    /// The moments at which `buyers` buyers come, counted from the opening, in order.
    pub(crate) fn schedule(self, buyers: usize, rng: &mut StdRng) -> Vec<Duration> {
        let mut at = 0.0;
        let count = crate::clock::float(u64::try_from(buyers).unwrap_or(u64::MAX));
        let mut moments: Vec<Duration> = (0_u32..)
            .take(buyers)
            .map(|index| {
                let chance: f64 = rng.random();
                let seconds = match self {
                    Self::Spike(span) => {
                        let spread = 1.0 - (-SPIKE_STEEPNESS).exp();
                        -(1.0 - chance * spread).ln() / SPIKE_STEEPNESS * span
                    }
                    Self::Ramp(span) => chance.sqrt() * span,
                    Self::Steady(span) => f64::from(index) / count * span,
                    Self::Poisson(rate) => {
                        at += -(1.0 - chance).ln() / rate;
                        at
                    }
                };
                Duration::try_from_secs_f64(seconds).unwrap_or_default()
            })
            .collect();
        moments.sort_unstable();
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn schedule(text: &str, buyers: usize, seed: u64) -> Vec<Duration> {
        text.parse::<Arrivals>().unwrap().schedule(buyers, &mut StdRng::seed_from_u64(seed))
    }

    fn share_before(moments: &[Duration], seconds: f64) -> usize {
        moments.iter().filter(|moment| moment.as_secs_f64() < seconds).count() * 100 / moments.len()
    }

    #[test]
    fn the_same_seed_gives_the_same_moments_in_order() {
        for curve in ["spike:10", "ramp:10", "steady:10", "poisson:50/s"] {
            let moments = schedule(curve, 1_000, 7);
            assert_eq!(moments, schedule(curve, 1_000, 7), "{curve}");
            assert!(moments.is_sorted(), "{curve}");
            assert_eq!(moments.len(), 1_000);
        }
        assert_ne!(schedule("spike:10", 1_000, 7), schedule("spike:10", 1_000, 8));
    }

    #[test]
    fn each_curve_has_its_shape() {
        let spike = schedule("spike:10", 10_000, 1);
        assert!((60..=67).contains(&share_before(&spike, 2.0)), "63 in 100 come in the first fifth");
        assert!(spike.last().unwrap().as_secs_f64() <= 10.0);
        let ramp = schedule("ramp:10", 10_000, 1);
        assert!((23..=27).contains(&share_before(&ramp, 5.0)), "a quarter comes in the first half");
        let steady = schedule("steady:10", 10, 1);
        assert_eq!(steady[3], Duration::from_secs(3));
        let poisson = schedule("poisson:100/s", 10_000, 1);
        assert!((90.0..110.0).contains(&poisson.last().unwrap().as_secs_f64()));
    }

    #[test]
    fn all_at_once_is_a_spike_of_no_length() {
        assert!(schedule("spike:0", 100, 3).iter().all(Duration::is_zero));
    }

    #[test]
    fn what_is_no_curve_is_refused() {
        for text in ["spike", "spike:", "spike:-1", "poisson:0", "burst:3", "ramp:inf", "steady:nan"] {
            assert!(text.parse::<Arrivals>().is_err(), "{text}");
        }
    }
}
