//! The report of a line that is over: how many came in, and what became of the others.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    id::RoomId,
    line::LaneKind,
    refusal::{EntityKind, Refusal},
    time::Time,
};
use frontrow_line::view::ToldTally;
use frontrow_signing::{LaneCounts, LineCounts, LineReportClaims};
use frontrow_storage::RoomTally;

/// A report, and the signed form of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedLineReport {
    /// What it says.
    pub claims: LineReportClaims,
    /// The text that anybody verifies by the public keys.
    pub signed: String,
    /// How near the waits that this instance told tokens of the general line were to those that came, by horizon. Not
    /// signed: each instance knows of its own, since its start.
    pub told: Vec<ToldTally>,
}

fn counts_of(RoomTally { room, counts }: &RoomTally) -> LineCounts {
    let (tally, peaks) = (counts.tally, room.peaks);
    LineCounts {
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
    /// The report of a room's line and its lanes, from the store. `issuer` is the address of the box office.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown room, for a lane, which is in the report of its line, and for the house room,
    /// whose line is never over; [`Refusal::LineNotOver`] while the room's sale goes on or is to come, or a token of the line
    /// or of a lane lives; [`Refusal::NotFound`] for a line that began before tokens were counted.
    pub async fn line_report(&self, room_id: RoomId, issuer: &str) -> Result<SignedLineReport, ServiceError> {
        self.check_line_is_over(room_id).await?;
        // A view may be a moment behind: the rows say whether a token lives.
        let busy = self.store.busy_rooms().await?;
        if room_id.with_lanes().iter().any(|line| busy.contains(line)) {
            return Err(Refusal::LineNotOver.into());
        }
        let missing = Refusal::NotFound { what: EntityKind::Room };
        let general = self.store.room_tally(room_id).await?.ok_or(missing)?;
        let mut lanes = Vec::new();
        for lane in LaneKind::ALL {
            if let Some(tally) = self.store.room_tally(room_id.lane(lane)).await? {
                lanes.push(LaneCounts { lane, counts: counts_of(&tally) });
            }
        }
        let claims = LineReportClaims {
            iss: issuer.to_owned(),
            iat: self.now().micros().div_euclid(1_000_000),
            room: room_id.get(),
            opens_at: general.room.opens_at.map(Time::micros),
            closes_at: general.room.closes_at.map(Time::micros),
            counts: counts_of(&general),
            lanes,
        };
        let signed = self.keyring.sign_line_report(&claims);
        let signed = signed.map_err(|_| ServiceError::Internal("a report cannot be signed"))?;
        let told = self.lines.view(room_id).map(|view| view.told_waits().into()).unwrap_or_default();
        Ok(SignedLineReport { claims, signed, told })
    }

    /// Refuses unless the line of a room is over, with its lanes, as this instance sees it.
    async fn check_line_is_over(&self, room_id: RoomId) -> Result<(), ServiceError> {
        if room_id == RoomId::HOUSE || room_id.is_lane() {
            return Err(Refusal::NotFound { what: EntityKind::Room }.into());
        }
        let room = self.view(room_id).await?;
        let has_ended = match room_id.concert() {
            Some(concert) => self.concert(concert).await?.has_sale_ended(self.now()),
            None => room.room().is_closed_for_good(self.now()),
        };
        let lines = room_id.with_lanes().into_iter();
        let views: Vec<_> = lines.filter_map(|line| self.lines.view(line)).collect();
        if !has_ended || views.iter().any(|view| !view.is_quiet()) {
            return Err(Refusal::LineNotOver.into());
        }
        if views.iter().any(|view| !view.room().is_counted_from_start()) {
            return Err(Refusal::NotFound { what: EntityKind::LineReport }.into());
        }
        Ok(())
    }

    /// Whether the report of a room's line can be had now, as this instance sees the line.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn has_line_report(&self, room_id: RoomId) -> Result<bool, ServiceError> {
        match self.check_line_is_over(room_id).await {
            Ok(()) => Ok(true),
            Err(ServiceError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
