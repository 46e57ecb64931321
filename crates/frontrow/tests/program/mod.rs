//! The real program in processes of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_frontrow");
/// What has not happened by then never will, however busy the machine is.
const PATIENCE: Duration = Duration::from_mins(4);

/// `frontrow serve` in a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Kept open: a program whose output nobody reads any more would be told so.
    _output: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(folder: &Path, flags: &[(&str, &str)]) -> Self {
        let flags: Vec<&str> = flags.iter().flat_map(|(name, value)| [*name, *value]).collect();
        Self::start_with(folder, &flags)
    }

    /// The same with flags of which some have no value.
    pub(crate) fn start_with(folder: &Path, flags: &[&str]) -> Self {
        let mut child = command(folder, "serve")
            .args(["--listen", "127.0.0.1:0", "--top-up-policy", "open", "--log-format", "text"])
            .args(["--requests-per-second-per-user", "100000", "--request-burst-per-user", "100000"])
            .args(["--changes-per-hour-per-user", "1000000", "--holds-per-hour-per-user", "1000000"])
            .args(["--reads-per-second-per-user", "100000", "--polls-per-second-per-token", "100000"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Frontrow serves http://").expect("the program says where it listens");
        Self { address: address.parse().unwrap(), child, _output: output }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and no waiting.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the program does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command over a folder. Its name may be of several words.
pub(crate) fn command(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(name.split(' ')).arg("--data").arg(folder);
    command
}

/// Runs a command that must end by itself: its status and what it said.
pub(crate) async fn refused(command: &mut Command) -> (ExitStatus, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let output = child.wait_with_output().unwrap();
    (output.status, text(&output.stderr) + &text(&output.stdout))
}

/// Runs a command that must succeed: what it said.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The books are in order.
pub(crate) fn assert_books_in_order(folder: &Path) {
    succeeds(&mut command(folder, "check"));
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
