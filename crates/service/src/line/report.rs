//! The report of a line that is over: how many came in, and what became of the others.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    id::RoomId,
    line::Room,
    refusal::{EntityKind, Refusal},
    time::Time,
};
use frontrow_signing::LineReportClaims;
use frontrow_storage::RoomTally;

/// A report, and the signed form of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLineReport {
    /// What it says.
    pub claims: LineReportClaims,
    /// The text that anybody verifies by the public keys.
    pub signed: String,
}

/// What a line's counts say. `issuer` is the address of the box office.
fn claims_of(RoomTally { room, counts }: &RoomTally, issuer: &str, now: Time) -> LineReportClaims {
    let Room { room_id, opens_at, closes_at, peaks, .. } = room;
    let tally = counts.tally;
    LineReportClaims {
        iss: issuer.to_owned(),
        iat: now.micros().div_euclid(1_000_000),
        room: room_id.get(),
        opens_at: opens_at.map(Time::micros),
        closes_at: closes_at.map(Time::micros),
        entered: tally.entered(),
        drawn: tally.drawn,
        admitted: tally.admitted,
        missed: tally.turns_passed.saturating_sub(peaks.passed_over),
        passed_over: peaks.passed_over,
        paid: tally.paid,
        left: tally.left,
        removed: tally.removed,
        expired: tally.expired,
        missed_out: tally.missed_out,
        waiting_at_end: tally.closed,
        active_most: peaks.active,
        cap_most: peaks.cap,
        overshoot: peaks.overshoot,
    }
}

impl BoxOffice {
    /// The report of a room's line, from the store. `issuer` is the address of the box office.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown room, and for the house room, whose line is never over;
    /// [`Refusal::LineNotOver`] while the room's sale goes on or is to come, or one of its tokens lives.
    pub async fn line_report(&self, room_id: RoomId, issuer: &str) -> Result<SignedLineReport, ServiceError> {
        let claims = claims_of(&self.line_that_is_over(room_id).await?, issuer, self.now());
        let signed = self.keyring.sign_line_report(&claims);
        let signed = signed.map_err(|_| ServiceError::Internal("a report cannot be signed"))?;
        Ok(SignedLineReport { claims, signed })
    }

    async fn line_that_is_over(&self, room_id: RoomId) -> Result<RoomTally, ServiceError> {
        let missing = Refusal::NotFound { what: EntityKind::Room };
        if room_id == RoomId::HOUSE {
            return Err(missing.into());
        }
        // Read before the counts: a token that ends meanwhile is in them.
        let is_busy = self.store.busy_rooms().await?.contains(&room_id);
        let tally = self.store.room_tally(room_id).await?.ok_or(missing)?;
        if is_busy || !tally.room.is_sale_over(self.now()) {
            return Err(Refusal::LineNotOver.into());
        }
        Ok(tally)
    }

    /// Whether the report of a room's line can be had now.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn has_line_report(&self, room_id: RoomId) -> Result<bool, ServiceError> {
        match self.line_that_is_over(room_id).await {
            Ok(_) => Ok(true),
            Err(ServiceError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
