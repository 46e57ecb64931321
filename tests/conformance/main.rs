//! What every backend must do, as lists of plain functions that each backend runs: see `store.rs`.

mod store;
mod support;
