//! Backups made while the real program sells, and what is restored from them: the books are in order, everything that
//! was answered before the backup is there, and a server goes on selling from it.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../program/mod.rs"]
mod program;
mod shoppers;
mod sqlite;
#[expect(dead_code, reason = "the tests of the API use the rest")]
#[path = "../api/support.rs"]
mod support;
