//! What a view has measured and told that its rows lack, as it is kept over a restart.

use super::{
    LowestTold, RoomView,
    apply::{self, LinePace, LineSettings},
    visits::{VisitSums, Visits},
};
use frontrow_domain::{
    id::Position,
    line::{ClaimMeasures, ClaimRecord, HeadMeasures, HeadRecord, ImpossibleMeasure, TokenStatus},
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many positions beyond the cursor are looked at: those whose turns come before others are heard of again.
pub(crate) const RECORDED_POSITIONS: usize = 20_000;
/// How many turns that are out, and how many tokens that came back, are recorded at most.
const RECORDED_STATES: usize = 10_000;

/// What a view knows of a line that its rows lack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ViewRecord {
    settings: LineSettings,
    pace: LinePace,
    claims: ClaimMeasures,
    heads: HeadMeasures,
    visits: VisitSums,
    /// The lowest wait that tokens beyond the cursor were told, in seconds: each as its difference from the one before.
    lowest: ByPosition,
    /// How long turns have been out, in milliseconds.
    turns: ByPosition,
    /// How long before the record tokens came back that wait, in microseconds.
    returned: ByPosition,
}

/// A number for each of some ascending positions: how far the position is behind the one before, and the number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ByPosition(Vec<(u64, i64)>);

impl ByPosition {
    fn of(numbers: impl Iterator<Item = (Position, i64)>) -> Self {
        let mut before = 0;
        let apart = |(Position(position), number)| {
            let gap = u64::try_from(position - before).ok()?;
            before = position;
            Some((gap, number))
        };
        Self(numbers.filter_map(apart).collect())
    }

    fn iter(&self) -> impl Iterator<Item = (Position, i64)> {
        let mut before = 0_i64;
        self.0.iter().map(move |(gap, number)| {
            before = before.saturating_add(i64::try_from(*gap).unwrap_or(i64::MAX));
            (Position(before), *number)
        })
    }
}

/// How long ago a record was made, in time in which tokens could ask: at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordAge {
    /// The time that may have passed for tokens since.
    pub(crate) passed: Span,
    /// Whether no token can have come back to wait twice since.
    pub(crate) returns: RecordedReturns,
}

/// Whether the recorded times of returns hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordedReturns {
    /// A token that was waiting then and waits now has waited all the time.
    Hold,
    /// It may have had a turn meanwhile, and have come back again.
    MayBeOld,
}

impl RoomView {
    /// What is to be kept over a restart of what was measured and told up to `now`. Of tokens that came back, those that
    /// `has_asked` says it of: the others may soon be passed over again.
    pub(crate) fn record(&self, now: Time, has_asked: impl Fn(Position) -> bool) -> ViewRecord {
        let beyond = self.waiting_from_head(RECORDED_POSITIONS).filter(|position| *position > self.room.cursor);
        let mut before = 0;
        let lowest = self.lowest_told.of(beyond, self.settings_number).map(|(position, seconds)| {
            let change = i64::from(seconds) - before;
            before = i64::from(seconds);
            (position, change)
        });
        let since = |status, has_asked: &dyn Fn(Position) -> bool| {
            let mut since: Vec<_> =
                self.live.known_since(status).filter(|(position, _)| has_asked(*position)).collect();
            since.sort_unstable();
            since.truncate(RECORDED_STATES);
            since.into_iter().map(move |(position, since)| (position, now.since(since)))
        };
        ViewRecord {
            settings: apply::settings(&self.room),
            pace: self.told_pace,
            claims: self.claims.into(),
            heads: self.heads.into(),
            visits: self.visits.sums(now, self.active),
            lowest: ByPosition::of(lowest),
            turns: ByPosition::of(
                since(TokenStatus::Offered, &|_| true).map(|(position, age)| (position, age.millis())),
            ),
            returned: ByPosition::of(
                since(TokenStatus::Waiting, &has_asked).map(|(position, age)| (position, age.micros())),
            ),
        }
    }

    /// The same view, built from its rows at `now`, with what was recorded of its line at `at`.
    ///
    /// # Errors
    /// No line measures that: nothing of it can be trusted.
    pub(crate) fn with_record(
        mut self,
        record: &ViewRecord,
        at: Time,
        age: RecordAge,
        now: Time,
    ) -> Result<Self, ImpossibleMeasure> {
        self.claims = ClaimRecord::try_from(record.claims)?;
        self.heads = HeadRecord::try_from(record.heads)?;
        self.visits = Visits::after(&record.visits, now)?;
        if self.is_told_by(record.settings, record.pace) {
            self.told_pace = record.pace;
            self.lowest_told = Arc::new(self.told_before(record, age.passed));
        }
        let live = Arc::make_mut(&mut self.live);
        for (position, age) in record.turns.iter() {
            // Neither the client nor the line could do anything about it since then.
            live.set_since(position, TokenStatus::Offered, now.minus(Span::from_millis(age.max(0))));
        }
        if age.returns == RecordedReturns::Hold {
            for (position, age) in record.returned.iter() {
                live.set_since(position, TokenStatus::Waiting, at.minus(Span::from_micros(age.max(0))));
            }
        }
        self.returned_at = Arc::new(self.live.returns());
        Ok(self)
    }

    /// The lowest waits that were told, as far as they are recorded: what was told in the time that has `passed` may have
    /// been lower by as much.
    fn told_before(&self, record: &ViewRecord, passed: Span) -> LowestTold {
        let lowest_told = LowestTold::default();
        let passed = passed.millis() / 1_000;
        let (cursor, tail) = (self.room.cursor, self.tail());
        let mut seconds = 0_i64;
        for (position, change) in record.lowest.iter() {
            seconds = seconds.saturating_add(change);
            if position > cursor && position <= tail {
                lowest_told.note(
                    position,
                    Span::from_secs(seconds.saturating_sub(passed).max(0)),
                    self.settings_number,
                );
            }
        }
        lowest_told
    }
}
