//! The progress display: one line, overwritten, on a terminal; a line every few seconds elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};
use tokio::time::Instant;

/// How often a terminal's line is refreshed.
const ON_TERMINAL: Duration = Duration::from_millis(250);
/// How often a line is written elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// A live line on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    last: Option<Instant>,
}

impl Progress {
    /// Checks whether standard error is a terminal.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), last: None }
    }

    /// Shows a line, unless the last one was just now.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        let pause = if self.terminal { ON_TERMINAL } else { ELSEWHERE };
        if self.last.is_none_or(|last| last.elapsed() >= pause) {
            self.last = Some(Instant::now());
            self.write(&line());
        }
    }

    /// Shows the last line of a part, and ends it.
    pub(crate) fn end(&mut self, line: &str) {
        self.write(line);
        if self.terminal {
            eprintln!();
        }
        self.last = None;
    }

    fn write(&self, line: &str) {
        if self.terminal {
            eprint!("\r\x1b[2K{line}");
            // A terminal that cannot be written to is no reason to stop a sale.
            drop(std::io::stderr().flush());
        } else {
            eprintln!("{line}");
        }
    }
}
