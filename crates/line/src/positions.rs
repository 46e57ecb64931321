//! Positions of a line as events and records write them: neighbours are one run.

use frontrow_domain::id::Position;
use serde::{Deserialize, Serialize};

/// The most positions that are read of one event: more than a batch can change.
pub(crate) const POSITIONS_MAX: u64 = 1 << 20;

/// Ascending positions: for each run how far it begins behind the one before, and its length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Positions(Vec<(i64, u64)>);

impl Positions {
    /// These positions, which are ascending.
    pub(crate) fn of(positions: impl IntoIterator<Item = Position>) -> Self {
        let (mut runs, mut next) = (Vec::<(i64, u64)>::new(), 0_i64);
        for Position(position) in positions {
            match runs.last_mut() {
                Some((_, len)) if position == next => *len += 1,
                _ => runs.push((position.saturating_sub(next), 1)),
            }
            next = position.saturating_add(1);
        }
        Self(runs)
    }

    /// The positions, which are taken from the `budget`; none for what no program has written.
    pub(crate) fn read(&self, budget: &mut u64) -> Option<impl Iterator<Item = Position> + use<>> {
        let (mut runs, mut next) = (Vec::with_capacity(self.0.len()), 0_i64);
        for (gap, len) in &self.0 {
            *budget = budget.checked_sub(*len)?;
            let first = next.checked_add(*gap)?;
            next = first.checked_add(i64::try_from(*len).ok()?)?;
            runs.push(first..next);
        }
        Some(runs.into_iter().flatten().map(Position))
    }
}

/// A number for each of some ascending positions: how far the position is behind the one before, and the number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ByPosition(Vec<(u64, i64)>);

impl ByPosition {
    pub(crate) fn of(numbers: impl Iterator<Item = (Position, i64)>) -> Self {
        let mut before = 0;
        let apart = |(Position(position), number)| {
            let gap = u64::try_from(position - before).ok()?;
            before = position;
            Some((gap, number))
        };
        Self(numbers.filter_map(apart).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Position, i64)> {
        let mut before = 0_i64;
        self.0.iter().map(move |(gap, number)| {
            before = before.saturating_add(i64::try_from(*gap).unwrap_or(i64::MAX));
            (Position(before), *number)
        })
    }
}
