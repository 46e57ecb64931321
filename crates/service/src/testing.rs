//! The door for tests and benches, to what the box office keeps to itself. The program uses nothing of it, and a test
//! (`tests/api/walls.rs` of `frontrow`) keeps it so.

pub use crate::engine::{CommitObserver, Engine, EngineLimits};

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::command::{Answer, Request};
use frontrow_line::{Lines, Peers};
use frontrow_signing::Keyring;
use frontrow_storage::Store;
use std::sync::Arc;

#[must_use]
pub fn store(office: &BoxOffice) -> &Arc<dyn Store> {
    &office.store
}

#[must_use]
pub fn lines(office: &BoxOffice) -> &Lines {
    &office.lines
}

#[must_use]
pub fn peers(office: &BoxOffice) -> &dyn Peers {
    &*office.peers
}

#[must_use]
pub fn keyring(office: &BoxOffice) -> &Keyring {
    &office.keyring
}

/// Gives the engine a command.
///
/// # Errors
/// The engine did not decide.
pub async fn run(office: &BoxOffice, request: Request) -> Result<Answer, ServiceError> {
    Ok(office.engine.run(request).await?)
}

/// Empties the cache of concerts.
pub fn forget_concerts(office: &BoxOffice) {
    office.caches.concerts.forget();
}

/// Empties the cache of the seats of new reservations.
pub fn forget_tickets(office: &BoxOffice) {
    office.caches.tickets.forget();
}
