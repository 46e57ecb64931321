//! Frontrow, the server: a box office for sales that everybody wants at the same second.
//!
//! This crate reads the settings and puts the parts together. The layers below it, each a crate that knows only those
//! beneath: `web`, `service`, `line`, `storage`, `signing`, `clock`, and the `domain` with all rules.

pub mod app;
pub mod config;
pub mod telemetry;
