//! Lanes beside a line: which line an account joins, what all visitors are shown, and what operators do.

use crate::{
    office::{BoxOffice, Reply, ServiceError},
    validate::Email,
};
use frontrow_domain::{
    command::{Command, Idempotency, LaneStep},
    id::{RoomId, UserId},
    line::{LaneEntry, LaneGuest, LaneKind, LaneShare, Room},
    user::{Caller, User},
};
use frontrow_storage::Page;

/// A lane as every visitor of its line is shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShownLane {
    /// Whom it is for.
    pub kind: LaneKind,
    /// Its part of the places while all lines are in demand.
    pub share: LaneShare,
    /// Whether it takes new tokens.
    pub entry: LaneEntry,
}

impl BoxOffice {
    /// The line that the caller joins in a room: a lane that takes new tokens if the account is on its list, else the
    /// general line. The store is read only if the room has lanes.
    pub(super) async fn line_to_join(&self, caller: Caller, room: RoomId) -> Result<RoomId, ServiceError> {
        let is_open = |lane: RoomId| {
            let view = self.lines.view(lane);
            view.and_then(|view| view.room().lane).is_some_and(|lane| lane.entry == LaneEntry::Open)
        };
        let Some(user) = caller.user_id() else { return Ok(room) };
        if room.is_lane() || !LaneKind::ALL.iter().any(|kind| is_open(room.lane(*kind))) {
            return Ok(room);
        }
        let lanes = self.store.lanes_of_guest(user, room).await?;
        Ok(lanes.into_iter().map(|guest| guest.room_id).find(|lane| is_open(*lane)).unwrap_or(room))
    }

    /// The lanes beside the line of a room, from memory: those that take new tokens, and those in which some are left.
    #[must_use]
    pub fn lanes_beside(&self, room: RoomId) -> Vec<ShownLane> {
        let shown = LaneKind::ALL.iter().filter_map(|kind| {
            let view = self.lines.view(room.lane(*kind))?;
            let lane = view.room().lane?;
            let is_shown = lane.entry == LaneEntry::Open || !view.is_quiet();
            is_shown.then_some(ShownLane { kind: lane.kind, share: lane.share, entry: lane.entry })
        });
        shown.collect()
    }

    /// All lanes beside the line of a room, from memory.
    #[must_use]
    pub fn lanes_of(&self, room: RoomId) -> Vec<Room> {
        let views = LaneKind::ALL.iter().filter_map(|kind| self.lines.view(room.lane(*kind)));
        views.map(|view| view.room().clone()).collect()
    }

    /// Opens a lane beside the line of a room, or opens it again, with this share. The reason is for the audit log; an
    /// operator gives one for a lane that takes something from buyers.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn open_lane(
        &self,
        caller: Caller,
        (room, kind): (RoomId, LaneKind),
        share: LaneShare,
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Room>, ServiceError> {
        self.view(room).await?;
        let command = Command::StepLane { room_id: room.lane(kind), step: LaneStep::Open { share, reason } };
        let done = self.ask(caller, command, key).await?;
        self.share_at_once().await;
        Ok(done)
    }

    /// Changes the list of a lane. An account that is on the list may be put on it again, and a place that it has in the
    /// lane stays if it is taken off.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) if there is no such lane or user.
    pub async fn change_guests(
        &self,
        caller: Caller,
        lane: RoomId,
        step: LaneStep,
        key: Option<Idempotency>,
    ) -> Result<Reply<()>, ServiceError> {
        self.view(lane).await?;
        self.ask(caller, Command::StepLane { room_id: lane, step }, key).await
    }

    /// Changes a lane: its share, or whether it takes new tokens; none leaves a setting. The reason is for the audit log;
    /// an operator gives one for a change that takes something from buyers.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) if there is no such lane.
    pub async fn set_lane(
        &self,
        caller: Caller,
        lane: RoomId,
        (share, entry): (Option<LaneShare>, Option<LaneEntry>),
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Room>, ServiceError> {
        self.view(lane).await?;
        let step = LaneStep::Set { share, entry, reason };
        let done = self.ask(caller, Command::StepLane { room_id: lane, step }, key).await?;
        self.share_at_once().await;
        Ok(done)
    }

    /// The accounts on the list of a lane, by user, each with its row if that is there.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) if there is no such lane.
    pub async fn lane_guests(
        &self,
        lane: RoomId,
        page: Page<UserId>,
    ) -> Result<Vec<(LaneGuest, Option<User>)>, ServiceError> {
        self.view(lane).await?;
        let mut guests = Vec::new();
        for guest in self.store.lane_guests(lane, page).await? {
            let user = self.user(guest.user_id).await?;
            guests.push((guest, user));
        }
        Ok(guests)
    }

    /// The account with this e-mail address; none if there is none.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn user_of_address(&self, email: &str) -> Result<Option<UserId>, ServiceError> {
        let Ok(email) = Email::parse_known(email) else { return Ok(None) };
        Ok(self.account(&email).await?.map(|(user, _)| user.user_id))
    }
}
