//! Ids for new rows.

use std::collections::VecDeque;

/// Numbers for new rows, in the order of use: counted up by a store with one writer, reserved beforehand by a store
/// with many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    reserved: VecDeque<i64>,
    then: i64,
}

impl Numbers {
    /// All numbers from `first` on.
    #[must_use]
    pub const fn counted_from(first: i64) -> Self {
        Self { reserved: VecDeque::new(), then: first }
    }

    /// These numbers, at least as many as [`Demand`](crate::footprint::Demand) asks for.
    #[must_use]
    pub fn reserved(numbers: Vec<i64>) -> Self {
        // Past the reserved numbers comes the largest: a row with it breaks a constraint and is not saved.
        Self { reserved: numbers.into(), then: i64::MAX }
    }

    /// The next number, without taking it.
    #[must_use]
    pub fn peek(&self) -> i64 {
        self.reserved.front().copied().unwrap_or(self.then)
    }

    pub(super) fn take(&mut self) -> i64 {
        self.reserved.pop_front().unwrap_or_else(|| {
            let number = self.then;
            self.then = number.saturating_add(1);
            number
        })
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self::counted_from(1)
    }
}

/// The ids of the next rows. A store hands them out; gaps are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NextIds {
    /// The next concert's id.
    pub concert: Numbers,
    /// The number of the next room without a concert, from 1.
    pub room: Numbers,
    /// The next seats' ids: without gaps, since a block of seats is named by its first.
    pub seat: Numbers,
    /// The next reservation's id.
    pub reservation: Numbers,
    /// The next payment's id.
    pub payment: Numbers,
    /// The next point account's id.
    pub point: Numbers,
    /// The next history entry's id.
    pub history: Numbers,
    /// The next audit line's id.
    pub audit: Numbers,
    /// The next debt's id.
    pub debt: Numbers,
    /// The next event's id.
    pub event: Numbers,
}
