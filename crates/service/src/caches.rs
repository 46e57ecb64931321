//! What an instance keeps in memory, and brings up to date after each commit.

pub mod concerts;
pub mod endings;
pub mod failed_sign_ins;
pub mod seatmap;
pub mod seats_left;
pub mod seen;
pub mod sessions;
pub mod tickets;
pub mod updater;
