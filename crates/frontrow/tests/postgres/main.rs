//! Several instances over one `PostgreSQL` database: what only shows when they meet. Where a race must happen, it is
//! brought about with real locks, not with luck.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cost;
mod crowd;
mod guards;
mod meeting;
mod numbers;
mod outage;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../servers/mod.rs"]
mod servers;
#[expect(dead_code, reason = "the other test binary uses the rest of it")]
#[path = "../conformance/support.rs"]
mod support;
