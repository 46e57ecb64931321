//! The pages for buyers and for operators as a browser without a script uses them: forms, redirects, cookies.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod cockpit;
mod draw;
mod join_work;
mod lanes;
mod line_report;
mod mine;
mod other_shop;
mod pay;
mod support;
mod waiting;
