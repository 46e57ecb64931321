//! What is kept of a line beside its rows.

use frontrow_domain::{id::RoomId, time::Time};

/// The most bytes of a kept record: several times what a line of 20,000 waiting tokens takes.
pub const LINE_RECORD_BYTES_MAX: usize = 512 * 1_024;

/// What the leader of a line has measured and told, as it was saved last. Advisory: nothing is decided by it, and it may
/// be missing, old or unreadable at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedLineRecord {
    /// The room.
    pub room_id: RoomId,
    /// The epoch of its line: a record of another epoch says nothing about it.
    pub epoch: i64,
    /// When it was true.
    pub saved_at: Time,
    /// The record, in a form that its first byte tells, of at most [`LINE_RECORD_BYTES_MAX`].
    pub record: Vec<u8>,
}
