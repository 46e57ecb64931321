//! The real program in processes of its own.

use crate::PATIENCE;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The program under test. Only the tests of its own crate know where it was built:
/// `const PROGRAM: Program = Program::at(env!("CARGO_BIN_EXE_frontrow"));`.
#[derive(Debug, Clone, Copy)]
pub struct Program(&'static str);

impl Program {
    pub const fn at(path: &'static str) -> Self {
        Self(path)
    }

    pub fn path(self) -> &'static Path {
        Path::new(self.0)
    }

    /// A command over a folder. Its name may be of several words.
    pub fn command(self, folder: &Path, name: &str) -> Command {
        let mut command = Command::new(self.0);
        command.args(name.split(' ')).arg("--data").arg(folder);
        command
    }

    /// `frontrow serve` over a folder, when it listens.
    pub fn start(self, folder: &Path, flags: &[(&str, &str)]) -> Process {
        let flags: Vec<&str> = flags.iter().flat_map(|(name, value)| [*name, *value]).collect();
        self.start_with(folder, &flags)
    }

    /// The same with flags of which some have no value.
    pub fn start_with(self, folder: &Path, flags: &[&str]) -> Process {
        self.start_at(folder, &[&["--listen", "127.0.0.1:0"], flags].concat())
    }

    /// The same with flags that say where to listen.
    pub fn start_at(self, folder: &Path, flags: &[&str]) -> Process {
        let mut child = self
            .command(folder, "serve")
            .args(["--top-up-policy", "open", "--log-format", "text"])
            .args(["--requests-per-second-per-user", "100000", "--request-burst-per-user", "100000"])
            .args(["--changes-per-hour-per-user", "1000000", "--holds-per-hour-per-user", "1000000"])
            .args(["--reads-per-second-per-user", "100000", "--polls-per-second-per-token", "100000"])
            .args(["--joins-per-address", "0", "--joins-per-network", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Frontrow serves http://").expect("the program says where it listens");
        Process { address: address.parse().unwrap(), child, output }
    }

    /// The books in this folder are in order.
    pub fn assert_books_in_order(self, folder: &Path) {
        succeeds(&mut self.command(folder, "check"));
    }
}

/// `frontrow serve` in a process of its own.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// Kept open: the program would get an error when it writes to a pipe without a reader.
    output: BufReader<ChildStdout>,
}

impl Process {
    /// The next line that it prints with this text.
    pub fn next_line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ends without {text}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and no waiting.
    pub fn terminate(&self) {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> ExitStatus {
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

/// Runs a command that must end by itself: its status and what it printed.
pub async fn refused(command: &mut Command) -> (ExitStatus, String) {
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

/// Runs a command that must succeed: what it printed.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
