//! The consumer that brings the audit log into its feed.

use super::Deliver;
use crate::office::BoxOffice;
use async_trait::async_trait;
use frontrow_domain::outbox::{DeliveryError, EventPayload, OutboxEvent};
use std::sync::Arc;

/// Gives each entry its number in the feed, by a command: a second delivery finds the number there.
#[derive(Debug)]
pub(in crate::workers) struct AuditFeed(pub(in crate::workers) Arc<BoxOffice>);

#[async_trait]
impl Deliver for AuditFeed {
    async fn deliver(&self, event: &OutboxEvent) -> Result<(), DeliveryError> {
        let EventPayload::AuditRecorded { audit_id } = event.payload else {
            return Err(DeliveryError::unreadable(&event.payload));
        };
        self.0.feed_audit(audit_id).await.map_err(|error| DeliveryError::new(&error.to_string()))
    }
}
