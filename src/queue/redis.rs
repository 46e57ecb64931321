//! The queue of many instances: each has the lines in its own memory and tells the others, over Redis, what it
//! changed. Redis never decides, and losing all of it costs nothing but time.

pub mod heard;
pub mod holds;
pub mod keys;
pub mod lease;
pub mod limits;
pub mod link;
pub mod script;
mod tls;
pub mod tokens;
