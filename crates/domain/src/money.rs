//! Money: whole numbers of the currency's minor unit (for KRW: won), never a float.

use serde::{Deserialize, Deserializer, Serialize};

/// An amount in the currency's minor unit (KRW: won). May be negative in a history entry.
///
/// There is no `Add` or `Sub`: arithmetic is [`Money::checked_add`] and [`Money::checked_sub`], so that
/// what an overflow means is said where it could happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = -1_000_000_000_000_i64, maximum = 1_000_000_000_000_i64, description = "An amount in whole won.", example = 120_000))]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that any field may hold, 10^12: far below where JSON numbers lose precision.
    pub const MAX: Self = Self(1_000_000_000_000);

    /// Wraps an amount that is known to be in bounds, such as one read from a store.
    #[must_use]
    pub const fn new(minor_units: i64) -> Self {
        Self(minor_units)
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, or none if it leaves ±[`Money::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self).filter(|sum| sum.in_bounds())
    }

    /// The difference, or none if it leaves ±[`Money::MAX`].
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self).filter(|difference| difference.in_bounds())
    }

    /// The same amount with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }

    fn in_bounds(self) -> bool {
        self.0.unsigned_abs() <= Self::MAX.0.unsigned_abs()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = Self(i64::deserialize(deserializer)?);
        if amount.in_bounds() {
            Ok(amount)
        } else {
            Err(serde::de::Error::custom("an amount is a whole number of at most 1000000000000"))
        }
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Money;

    #[test]
    fn arithmetic_refuses_to_leave_the_bounds() {
        assert_eq!(Money::MAX.checked_add(Money::new(1)), None);
        assert_eq!(Money::MAX.negated().checked_sub(Money::new(1)), None);
        assert_eq!(Money::new(i64::MAX).checked_add(Money::new(1)), None);
        assert_eq!(Money::new(2).checked_sub(Money::new(3)), Some(Money::new(-1)));
    }

    #[test]
    fn json_takes_whole_numbers_in_bounds_only() {
        assert_eq!(serde_json::from_str::<Money>("120000").ok(), Some(Money::new(120_000)));
        for bad in ["1.5", "\"1\"", "1000000000001", "9007199254740993", "1e3"] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
    }
}
