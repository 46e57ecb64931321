//! The crowd: drives a running box office over HTTP as buyers would, measures it, and audits the sale afterwards.
mod api;
mod arrivals;
mod audit;
mod client;
mod clock;
mod history;
mod meter;
mod target;
fn main() {}
