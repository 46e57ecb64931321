//! Frontrow, the server: a box office for sales with far more buyers than seats.
//!
//! This crate reads the settings and assembles the parts. The layers below are crates that know only the ones beneath:
//! `web`, `service`, `line`, `storage`, `signing`, `clock`, and `domain` with all rules.

pub mod app;
pub mod config;
pub mod keys;
pub mod rehearse;
pub mod telemetry;
pub mod verify_draw;
