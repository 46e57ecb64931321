//! The caches of an instance, updated after each commit.

pub mod concerts;
pub mod endings;
pub mod failed_sign_ins;
pub mod seatmap;
pub mod seats_left;
pub mod seen;
pub mod sessions;
pub mod tickets;
pub mod updater;
