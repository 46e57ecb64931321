//! The real program and the files that are shipped with it: its command line and settings, crashes, backups, and what
//! those who run it see.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod backup;
mod command_line;
mod config;
mod crash;
mod edges;
mod monitoring;
mod rehearse;
mod verify_draw;

use frontrow_testkit::program::Program;

const PROGRAM: Program = Program::at(env!("CARGO_BIN_EXE_frontrow"));
