//! What a line has measured, as plain numbers that are kept over a restart. They come from a database, so they are checked
//! before a line is measured with them again.

/// More than any line measures: 72 thousand million turns in millionths, or seconds of places in microseconds. A sum of
/// all numbers of a record is far below what a number holds.
const MEASURE_MAX: i64 = 1 << 56;

/// A kept number that no line has measured: it is negative or too large, or nothing follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no line measures {0}")]
pub struct ImpossibleMeasure(pub i64);

impl ImpossibleMeasure {
    /// Checks kept numbers.
    ///
    /// # Errors
    /// The first of them that no line has measured.
    pub fn check(numbers: &[i64]) -> Result<(), Self> {
        let impossible = numbers.iter().find(|number| !(0..=MEASURE_MAX).contains(*number));
        impossible.map_or(Ok(()), |number| Err(Self(*number)))
    }
}

/// `part` ÷ `whole` of an amount; none of nothing, and if it is more than a number holds.
pub(super) fn part_of(amount: i64, part: i64, whole: i64) -> Option<i64> {
    let share = i128::from(amount).saturating_mul(i128::from(part)).checked_div(i128::from(whole))?;
    i64::try_from(share).ok()
}
