//! The queue of a box office that is many instances over one Redis.

pub mod heard;
pub mod holds;
pub mod keys;
pub mod lease;
pub mod limits;
pub mod script;
pub mod tokens;
