//! What is kept of a line over a restart: made by its leader every few seconds, and read by an instance that takes the line
//! up. Advisory: a record that is missing or cannot be used costs what was measured before, and nothing else.

use crate::{
    lines::HeardSince,
    positions::Positions,
    view::{RECORDED_POSITIONS, RecordAge, RecordedReturns, ViewRecord},
};
use frontrow_domain::{
    id::Position,
    outage::{Outages, PAUSE_MIN},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_storage::{LINE_RECORD_BYTES_MAX, Line, SavedLineRecord, Store};
use serde::{Deserialize, Serialize};

/// The form that this version of the program writes, and the only one that it reads.
const VERSION: u8 = 2;
/// A record from before so much time in which tokens could ask says nothing about those in line now.
const WORKED_MAX: Span = Span::from_secs(600);
/// In a longer one so many silent tokens may have asked that all count as just seen.
const SILENT_FOR_MAX: Span = Span::from_secs(60);
/// A record that is older says nothing, even if the box office was closed all the time.
pub const LINE_RECORD_AGE_MAX: Span = Span::from_secs(86_400);
/// More silent tokens than a record has: those that came back, and those of the positions that it looks at.
const SILENT_MAX: u64 = 2 * RECORDED_POSITIONS as u64;
/// A returned token that was heard of within this part of the time to be unresponsive is recorded: it is not passed over
/// for a while.
const HEARD_PART: i64 = 3;

/// The moments and spans by which a line is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordTerms {
    pub(crate) now: Time,
    /// The moments by which a token is silent; none if that cannot be said.
    pub(crate) silent_since: Option<HeardSince>,
    /// Of tokens that came back, those that were seen since then are recorded.
    pub(crate) heard_since: HeardSince,
    /// For how long such a token has no other turn that passes.
    returns_hold_for: Span,
}

impl RecordTerms {
    /// By these rules, at `now`, if it is known who is silent.
    pub(crate) fn new(now: Time, policy: &Policy, heartbeats: KnownHeartbeats) -> Self {
        let heard = Span::from_micros(policy.dormant_after.micros() / HEARD_PART);
        let until_dormant = Span::from_micros(policy.dormant_after.micros() - heard.micros());
        Self {
            now,
            silent_since: match heartbeats {
                KnownHeartbeats::All => Some(HeardSince::at(now, policy)),
                KnownHeartbeats::Some => None,
            },
            heard_since: HeardSince { unheard: now.minus(heard), ..HeardSince::at(now, policy) },
            returns_hold_for: until_dormant.min(policy.claim_window),
        }
    }
}

/// Whether an instance knows who is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownHeartbeats {
    /// It does.
    All,
    /// Those at other instances may be missing.
    Some,
}

/// What is kept of a line over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineRecord {
    version: u8,
    view: ViewRecord,
    /// The tokens that wait and were silent.
    silent: Positions,
    /// For how long a token that came back before had no other turn that passes, in microseconds.
    returns_hold_for: i64,
}

/// Why a record is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UselessRecord {
    #[error("its line has been renewed since")]
    OtherEpoch,
    #[error("it is too old")]
    TooOld,
    #[error("another version of the program wrote it")]
    OtherVersion,
    #[error("it is damaged")]
    Damaged,
}

impl LineRecord {
    pub(crate) fn new(view: ViewRecord, silent: Positions, terms: &RecordTerms) -> Self {
        Self { version: VERSION, view, silent, returns_hold_for: terms.returns_hold_for.micros() }
    }

    /// The record in bytes; none if it is larger than any record may be.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let bytes = postcard::to_allocvec(self).ok()?;
        (bytes.len() <= LINE_RECORD_BYTES_MAX).then_some(bytes)
    }

    fn read(bytes: &[u8]) -> Result<Self, UselessRecord> {
        match bytes.first() {
            None => return Err(UselessRecord::Damaged),
            Some(version) if *version != VERSION => return Err(UselessRecord::OtherVersion),
            Some(_) if bytes.len() > LINE_RECORD_BYTES_MAX => return Err(UselessRecord::Damaged),
            Some(_) => {}
        }
        match postcard::take_from_bytes(bytes) {
            Ok((record, [])) => Ok(record),
            Ok(_) | Err(_) => Err(UselessRecord::Damaged),
        }
    }
}

/// A record that an instance goes by when it takes a line up.
#[derive(Debug, Clone)]
pub(crate) struct TakenUp {
    pub(crate) view: ViewRecord,
    /// When it was true.
    pub(crate) at: Time,
    pub(crate) age: RecordAge,
    /// The tokens that wait and were silent, ascending.
    pub(crate) silent: Vec<Position>,
}

/// What an instance goes by beside the rows when it builds a line.
#[derive(Debug, Clone, Default)]
pub(crate) struct BesideRows {
    /// The record of a line that was not loaded, if there is one that it can go on with.
    pub(crate) record: Option<TakenUp>,
    /// When the box office was down, as far as the store knows.
    pub(crate) outages: Outages,
}

impl BesideRows {
    /// For a line that is loaded: it goes on with what was measured here.
    pub(crate) fn loaded(store: &dyn Store) -> Self {
        Self { record: None, outages: store.outages() }
    }

    /// For a line that is taken up.
    pub(crate) async fn taken_up(store: &dyn Store, line: &Line) -> Self {
        let outages = store.outages();
        Self { record: TakenUp::of(store, line, &outages).await, outages }
    }
}

impl TakenUp {
    /// The record of a line that is taken up from its rows, if there is one that it can go on with. The log says which.
    async fn of(store: &dyn Store, line: &Line, outages: &Outages) -> Option<Self> {
        let room = line.room.room_id.get();
        let saved = match store.line_record(line.room.room_id).await {
            Ok(Some(saved)) => saved,
            Ok(None) if line.waiting.is_empty() && line.others.is_empty() => return None,
            Ok(None) => {
                tracing::info!(room, "nothing is kept of how the line moved: its pace is measured anew");
                return None;
            }
            Err(error) => {
                tracing::warn!(room, %error, "cannot read how the line moved: its pace is measured anew");
                return None;
            }
        };
        match Self::from_saved(&saved, line, outages) {
            Ok(record) => {
                let seconds = line.now.since(saved.saved_at).millis() / 1_000;
                tracing::info!(room, seconds, silent = record.silent.len(), "the line goes on as it was recorded");
                Some(record)
            }
            Err(why) => {
                tracing::info!(room, %why, "what is kept of the line is of no use: its pace is measured anew");
                None
            }
        }
    }

    /// What this record says of a line that is taken up from its rows.
    pub(crate) fn from_saved(saved: &SavedLineRecord, line: &Line, outages: &Outages) -> Result<Self, UselessRecord> {
        if saved.epoch != line.room.epoch {
            return Err(UselessRecord::OtherEpoch);
        }
        let passed = worked_since(saved.saved_at, line.now, outages);
        if passed > WORKED_MAX || line.now.since(saved.saved_at) > LINE_RECORD_AGE_MAX {
            return Err(UselessRecord::TooOld);
        }
        let LineRecord { view, silent, returns_hold_for, .. } = LineRecord::read(&saved.record)?;
        let mut budget = SILENT_MAX;
        let silent = silent.read(&mut budget).ok_or(UselessRecord::Damaged)?;
        let silent = if passed <= SILENT_FOR_MAX { silent.collect() } else { Vec::new() };
        let is_sure = passed < Span::from_micros(returns_hold_for);
        let returns = if is_sure { RecordedReturns::Hold } else { RecordedReturns::MayBeOld };
        Ok(Self { view, at: saved.saved_at, age: RecordAge { passed, returns }, silent })
    }
}

/// For how long the box office worked from `at` to `now`, at most: an outage begins with the last note that it works, at
/// most [`PAUSE_MIN`] before it is down.
fn worked_since(at: Time, now: Time, outages: &Outages) -> Span {
    outages.parts_between(at, now).fold(now.since(at), |worked, down| {
        let down = down.micros().saturating_sub(PAUSE_MIN.micros()).max(0);
        Span::from_micros(worked.micros().saturating_sub(down))
    })
}

#[cfg(test)]
mod tests;
