//! Users whom operators keep out of a line and its lanes.

use crate::office::{BoxOffice, Reply, ServiceError};
use frontrow_domain::{
    command::{Command, Idempotency, NewBlock},
    id::{RoomId, UserId},
    line::LineBlock,
    user::Caller,
};
use frontrow_storage::Page;

/// How many blocks of one user are read.
const BLOCKS_OF_USER_MAX: u32 = 100;

impl BoxOffice {
    /// Ends the place of a user in a line, for a reason. A user without a place stays without.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) for an unknown room or user.
    pub async fn remove_from_line(
        &self,
        caller: Caller,
        (room_id, user_id): (RoomId, UserId),
        reason: String,
        key: Option<Idempotency>,
    ) -> Result<Reply<()>, ServiceError> {
        self.view(room_id).await?;
        self.ask(caller, Command::RemoveFromLine { room_id, user_id, reason }, key).await
    }

    /// Keeps a user out of a line, and ends the user's place there. A replay too answers with the block as it is now;
    /// none if it has been lifted since.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) for an unknown room or user,
    /// [`Refusal::Malformed`](frontrow_domain::refusal::Refusal::Malformed) for an end that is over.
    pub async fn block_from_line(
        &self,
        caller: Caller,
        new: NewBlock,
        key: Option<Idempotency>,
    ) -> Result<Reply<Option<LineBlock>>, ServiceError> {
        let (room_id, user_id) = (new.room_id.general(), new.user_id);
        self.view(room_id).await?;
        let done: Reply<()> = self.ask(caller, Command::BlockFromLine(new), key).await?;
        Ok(Reply { value: self.store.line_block(user_id, room_id).await?, replay: done.replay })
    }

    /// Lets a blocked user join a line again. A user who is not blocked stays so.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) for an unknown room or user.
    pub async fn unblock_from_line(
        &self,
        caller: Caller,
        (room_id, user_id): (RoomId, UserId),
        key: Option<Idempotency>,
    ) -> Result<Reply<()>, ServiceError> {
        self.view(room_id).await?;
        self.ask(caller, Command::UnblockFromLine { room_id, user_id }, key).await
    }

    /// The block of a user from a line, if it is in force.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn line_block(&self, user: UserId, room: RoomId) -> Result<Option<LineBlock>, ServiceError> {
        let now = self.now();
        Ok(self.store.line_block(user, room.general()).await?.filter(|block| block.is_in_force(now)))
    }

    /// The blocks from a line, by user: those that are over, too, until they are removed.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) for an unknown room.
    pub async fn line_blocks(&self, room: RoomId, page: Page<UserId>) -> Result<Vec<LineBlock>, ServiceError> {
        self.view(room).await?;
        Ok(self.store.line_blocks(room.general(), page).await?)
    }

    /// The blocks of a user that are in force, by room.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn line_blocks_of(&self, user: UserId) -> Result<Vec<LineBlock>, ServiceError> {
        let now = self.now();
        let mut blocks = self.store.line_blocks_of(user, BLOCKS_OF_USER_MAX).await?;
        blocks.retain(|block| block.is_in_force(now));
        Ok(blocks)
    }
}
