//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    frontrow_rush::run()
}
