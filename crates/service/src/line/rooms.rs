//! The rooms that this instance has loaded, and those that other processes made.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    id::RoomId,
    refusal::{EntityKind, Refusal},
};
use frontrow_line::{Rebuild, view::RoomView};
use frontrow_storage::{Life, Page, RoomSummary};
use std::sync::Arc;

/// How many rooms each query of [`BoxOffice::find_rooms`] reads, however many there are.
const ROOMS_AT_ONCE: u32 = 100;

impl BoxOffice {
    /// A room's view. If another process made the room, it is read from its rows first.
    ///
    /// Callers get the view before they give the engine a command for its room: so no commit of the room can fall
    /// between the reading of its rows and the moment its view exists.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the room does not exist.
    pub(crate) async fn view(&self, room: RoomId) -> Result<Arc<RoomView>, ServiceError> {
        if let Some(view) = self.lines.view(room) {
            return Ok(view);
        }
        let _loading = self.room_loading.lock().await;
        if self.lines.view(room).is_none() {
            let line = self.store.line(room).await?.ok_or(Refusal::NotFound { what: EntityKind::Room })?;
            self.peers.rebuild(line, Rebuild::IfMissing).await;
            tracing::info!(room = room.get(), "loaded a room that another process made");
        }
        self.lines.view(room).ok_or(ServiceError::Internal("a room has no view"))
    }

    /// Loads rooms that other processes made, and requests a refresh of rooms whose rows are newer than their views.
    /// Each call reads the rooms beyond the newest known one, and one page of all rooms behind `after`: the cost does
    /// not grow with the number of rooms. Returns the last room of the page; none at the end.
    ///
    /// A room that a request names is loaded for it at once.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn find_rooms(&self, after: Option<RoomId>) -> Result<Option<RoomId>, ServiceError> {
        let limit = ROOMS_AT_ONCE;
        let known = self.lines.rooms();
        // Lanes are found page by page: their numbers do not follow the order in which they were made.
        let newest = known.iter().rev().find(|room| !room.is_of_site() && !room.is_lane()).copied();
        let mut new = self.store.some_rooms(Page { after: newest, limit }).await?;
        // The rooms of sites have their numbers above those of concerts.
        if let Some(newest) = known.iter().rev().find(|room| room.is_of_site() && !room.is_lane()).copied() {
            new.extend(self.store.some_rooms(Page { after: Some(newest), limit }).await?);
        }
        let part = self.store.some_rooms(Page { after, limit }).await?;
        let is_end = part.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        let last = part.last().filter(|_| !is_end).map(|row| row.room_id);
        let (mut is_any_missing, mut old) = (false, Vec::new());
        for row in new.into_iter().chain(part) {
            match self.lines.view(row.room_id) {
                None => is_any_missing = true,
                Some(view) if view.room().is_older_than(&row) => old.push(row.room_id),
                Some(_) => {}
            }
        }
        if !old.is_empty() {
            self.peers.request_refresh(old);
        }
        if is_any_missing {
            self.load_missing_rooms().await?;
        }
        Ok(last)
    }

    async fn load_missing_rooms(&self) -> Result<(), ServiceError> {
        let room_loading = self.room_loading.lock().await;
        let mut missing = self.store.standings().await?;
        missing.retain(|one| self.lines.view(one.room.room_id).is_none());
        let (quiet, busy): (Vec<_>, Vec<_>) = missing.into_iter().partition(|one| one.life == Life::Empty);
        let count = quiet.len();
        self.peers.load_quiet_rooms(&quiet.into_iter().map(RoomSummary::empty_line).collect::<Vec<_>>());
        drop(room_loading);
        if count > 0 {
            tracing::info!(rooms = count, "loaded rooms that another process made");
        }
        for one in busy {
            self.view(one.room.room_id).await?;
        }
        Ok(())
    }
}
