//! The queue of many instances: each has the lines in its own memory and tells the others, over Redis, what it
//! changed. Redis never decides, and losing all of it costs nothing but time.

pub mod keys;
pub mod link;
mod tls;
