//! Counts and times as numbers with fractions, for estimates that nothing is decided by.

use crate::time::Span;

const SECOND: f64 = 1_000_000.0;

/// A part of a whole; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 53 bits")]
pub(super) fn fraction(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A count.
pub(super) fn figure(count: i64) -> f64 {
    fraction(count, 1)
}

/// A span in seconds.
pub(super) fn seconds(span: Span) -> f64 {
    figure(span.micros()) / SECOND
}

/// So many seconds; a number that is too large or none is the longest or shortest span.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
pub(super) fn span(seconds: f64) -> Span {
    Span::from_micros((seconds * SECOND) as i64)
}
