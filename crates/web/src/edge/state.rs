//! The state that the handlers share.

use crate::{
    edge::{events::Streams, join::JoinGate, kept::Document, limit::RateLimits, secret::Secret},
    html::PageKit,
};
use frontrow_service::office::BoxOffice;
use std::sync::Arc;

/// The state that the handlers share.
#[derive(Debug)]
pub struct AppState {
    /// The box office.
    pub office: Arc<BoxOffice>,
    /// The rate limits.
    pub limits: RateLimits,
    /// What stands before new places in line.
    pub joins: JoinGate,
    /// The open streams of events.
    pub streams: Streams,
    /// The key of programs that top up points for users.
    pub service_key: Option<Secret>,
    /// The `OpenAPI` document.
    pub document: Document,
    /// What the pages are made from.
    pub pages: PageKit,
}

/// The handlers' state.
pub type SharedState = Arc<AppState>;
