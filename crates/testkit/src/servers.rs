//! The servers that tests use: those that a run shares, and those that a test starts for itself, on free ports, with
//! their files in temporary folders. Each one is stopped by its process id.

pub mod pgbouncer;
pub mod port;
pub mod postgres;
pub mod redis;

use std::{path::PathBuf, process::Command};

/// The Redis that the run shares. Each test that uses it has keys of its own in it.
pub fn shared_redis() -> String {
    std::env::var("FRONTROW_TEST_REDIS").expect("FRONTROW_TEST_REDIS names the Redis of the run")
}

/// The folder for the files of servers that a test starts: the run's folder, which is removed at its end.
pub fn folder() -> tempfile::TempDir {
    let parent = std::env::var_os("FRONTROW_TEST_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    // The server may run as another user.
    run(Command::new("chmod").arg("755").arg(folder.path()));
    folder
}

/// Runs a program that must succeed.
#[track_caller]
pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

/// Sends a signal to a process by its number.
#[track_caller]
pub fn signal(name: &str, process: u32) {
    run(Command::new("kill").arg(format!("-{name}")).arg(process.to_string()));
}
