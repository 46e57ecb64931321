//! Private servers for tests that stop, pause or break them.

pub(crate) mod redis;
