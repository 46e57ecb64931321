//! Many instances of the real program behind `HAProxy`, over one `PostgreSQL` and one Redis, while parts of it break.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod backup;
mod books;
mod cluster;
mod instance;
mod sale;
mod versions;
