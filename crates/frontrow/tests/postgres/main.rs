//! Several instances over one `PostgreSQL` database: what only shows when they meet. If a race must happen, it is
//! brought about with real locks, not with luck.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contention;
mod cost;
mod crowd;
mod feed;
mod guards;
mod numbers;
mod outage;
