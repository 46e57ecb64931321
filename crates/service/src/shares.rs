//! What lines share: whether it is to be shared anew, by the views, and the command that does it.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    changes::RoomCounts,
    command::Command,
    id::RoomId,
    line::{LaneKind, LineShare, ROOMS_SHARED_MAX, Room, ShareScope, SharedLine, shares},
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{Leadership, view::RoomView};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A sharing that would change something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SharingDue {
    scope: ShareScope,
    waiting: Vec<(RoomId, i64)>,
}

/// Lines by room, as this instance sees them.
#[derive(Default)]
struct SeenLines(BTreeMap<RoomId, Arc<RoomView>>);

fn line_of(view: &RoomView, budget: Option<i64>, at: (Time, Span)) -> SharedLine {
    let counts = RoomCounts { active: view.active(), offered: view.offered(), ..RoomCounts::default() };
    SharedLine::of(view.room(), counts, view.total_waiting(), budget, at)
}

impl SeenLines {
    /// Whether these shares differ from those that the lines have.
    fn differ_from(&self, shares: &[LineShare]) -> bool {
        let has =
            |room: &Room, share: &LineShare| (room.allotment, room.rate_share) == (share.allotment, share.rate_share);
        shares.iter().any(|share| self.0.get(&share.room_id).is_some_and(|view| !has(view.room(), share)))
    }

    /// The sharing of these lines, if it would change something.
    fn due(&self, scope: ShareScope, budget: Option<i64>, at: (Time, Span)) -> Option<SharingDue> {
        let mut lines: Vec<_> = self.0.values().map(|view| line_of(view, budget, at)).collect();
        // Lines that have places come first.
        lines.sort_by_key(|line| (!line.takes_part(), line.room_id));
        lines.truncate(usize::try_from(ROOMS_SHARED_MAX).unwrap_or(usize::MAX));
        let is_due = self.differ_from(&shares(budget, &lines));
        is_due.then(|| SharingDue { scope, waiting: lines.iter().map(|line| (line.room_id, line.waiting)).collect() })
    }
}

impl BoxOffice {
    /// Shares anew what is to be shared anew, if this instance leads the house's line.
    ///
    /// # Errors
    /// The engine did not decide.
    pub(crate) async fn share_places(&self) -> Result<(), ServiceError> {
        let due = self.sharings_due();
        if due.is_empty() {
            return Ok(());
        }
        let Some(house) = self.lines.view(RoomId::HOUSE) else { return Ok(()) };
        let standing = self.peers.lead(&[(RoomId::HOUSE, house.room().fence)], crate::workers::LEASE).await;
        if standing.first().is_some_and(|standing| matches!(standing, Leadership::Leader(_))) {
            self.share(due).await?;
        }
        Ok(())
    }

    /// Shares anew at once, after an operator has changed what is shared. The worker does what fails here.
    pub(crate) async fn share_at_once(&self) {
        if let Err(error) = self.share(self.sharings_due()).await {
            tracing::debug!(%error, "what lines share is shared later");
        }
    }

    async fn share(&self, due: Vec<SharingDue>) -> Result<(), ServiceError> {
        for SharingDue { scope, waiting } in due {
            let () = self.run(Caller::System, Command::Share { scope, waiting }).await?;
        }
        Ok(())
    }

    /// The sharings that would change something, as this instance sees the lines.
    fn sharings_due(&self) -> Vec<SharingDue> {
        let Some(house) = self.lines.view(RoomId::HOUSE) else { return Vec::new() };
        let budget = house.room().house_budget;
        let at = (self.now(), self.policy.offer_lead);
        if budget.is_some() {
            let views = self.lines.rooms().into_iter().filter_map(|room| Some((room, self.lines.view(room)?)));
            let takes_part = |view: &RoomView| {
                let line = line_of(view, budget, at);
                line.waiting > 0 || line.takes_part()
            };
            let lines = SeenLines(views.filter(|(_, view)| takes_part(view)).collect());
            return lines.due(ShareScope::House, budget, at).into_iter().collect();
        }
        // Without a budget only rooms with lanes share anything.
        let busy: BTreeSet<RoomId> = self.lines.busy_rooms().into_iter().map(RoomId::general).collect();
        let (mut due, mut apart) = (Vec::new(), SeenLines::default());
        for general in busy {
            let lanes = LaneKind::ALL.map(|kind| general.lane(kind));
            let views = lanes.into_iter().chain([general]).filter_map(|room| Some((room, self.lines.view(room)?)));
            let family = SeenLines(views.collect());
            if family.0.keys().any(|room| room.is_lane()) {
                due.extend(family.due(ShareScope::Line(general), None, at));
            } else {
                apart.0.extend(family.0);
            }
        }
        // Shares of a budget that is gone.
        due.extend(apart.due(ShareScope::House, None, at));
        due
    }
}
