//! Buyers in a real browser: Debian's Chromium, driven over `WebDriver`, against the real program. Each test has a server
//! and a browser of its own; the browser finds no host but the loopback address.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod accessibility;
mod cockpit_desk;
mod cockpit_first_sale;
mod cockpit_orders;
mod cockpit_ready;
mod cockpit_rehearsal;
mod cockpit_seats;
mod factor;
mod faults;
mod join_work;
mod other_shop;
mod pictures;
mod purchase;
mod shop;
mod waiting;
mod window;

use frontrow_testkit::program::Program;

const PROGRAM: Program = Program::at(env!("CARGO_BIN_EXE_frontrow"));
