//! What a view has measured and told that its rows lack, as it is kept over a restart.

use super::{
    RoomView,
    lowest::LowestToldWaits,
    visits::{VisitSums, Visits},
};
use crate::positions::ByPosition;
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
    claims: ClaimMeasures,
    heads: HeadMeasures,
    visits: VisitSums,
    told: LowestToldWaits,
    /// How long turns have been out, in milliseconds.
    turns: ByPosition,
    /// How long before the record tokens came back that wait, in microseconds.
    returned: ByPosition,
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
        let since = |status, has_asked: &dyn Fn(Position) -> bool| {
            let mut since: Vec<_> =
                self.live.known_since(status).filter(|(position, _)| has_asked(*position)).collect();
            since.sort_unstable();
            since.truncate(RECORDED_STATES);
            since.into_iter().map(move |(position, since)| (position, now.since(since)))
        };
        ViewRecord {
            claims: self.claims.into(),
            heads: self.heads.into(),
            visits: self.visits.sums(now, self.active),
            told: self.lowest_told_waits(self.waiting_from_head(RECORDED_POSITIONS)),
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
        if self.is_told_as(&record.told) {
            self.told_pace = record.told.pace();
            // What was told in the time that has passed since may have been lower by as much.
            self.note_lowest_told(&record.told, age.passed);
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
}
