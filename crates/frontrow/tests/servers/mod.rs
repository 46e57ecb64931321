//! The servers that tests use: those that a run shares, and those that a test starts for itself.
//!
//! A test binary takes part with `#[path = "../servers/mod.rs"] mod servers;`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub(crate) mod pgbouncer;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod redis;

use std::{path::PathBuf, process::Command, time::Duration};

/// How long a test waits for something that must come. It says nothing about how fast that is: a machine that is busy
/// with other work takes its time, and only what never comes has failed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);

/// Where servers that a test starts keep their files: the run's folder, which is removed at its end.
pub(crate) fn folder() -> tempfile::TempDir {
    let parent = std::env::var_os("FRONTROW_TEST_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    // The server may run as another user.
    run(Command::new("chmod").arg("755").arg(folder.path()));
    folder
}

/// Runs a program that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

/// Sends a signal to a process by its number.
#[track_caller]
pub(crate) fn signal(name: &str, process: u32) {
    run(Command::new("kill").arg(format!("-{name}")).arg(process.to_string()));
}
