//! The outbox: what its workers ask of the engine, and what operators see of it.

pub(crate) use crate::outcome::{ClaimedEvents, PutOffEvents};

use crate::office::{BoxOffice, Reply, ServiceError};
use frontrow_domain::{
    changes::AuditEntry,
    command::{Command, Idempotency, Settlements},
    id::{AuditId, EventId, FeedNumber},
    outbox::{Consumer, LeaseHolder, OutboxEvent},
    refusal::{EntityKind, Refusal},
    user::Caller,
};
use frontrow_storage::{EventFilter, Page};

/// For the workers.
impl BoxOffice {
    /// Claims the due events of a consumer.
    pub(crate) async fn claim_events(
        &self,
        consumer: Consumer,
        holder: LeaseHolder,
    ) -> Result<ClaimedEvents, ServiceError> {
        self.run(Caller::System, Command::ClaimEvents { consumer, holder }).await
    }

    /// Settles claimed events.
    pub(crate) async fn settle_events(&self, settled: Settlements) -> Result<PutOffEvents, ServiceError> {
        self.run(Caller::System, Command::SettleEvents(settled)).await
    }

    /// Gives an entry of the audit log its number in the feed.
    pub(crate) async fn feed_audit(&self, audit_id: AuditId) -> Result<(), ServiceError> {
        self.run(Caller::System, Command::FeedAudit { audit_id }).await
    }
}

/// For operators.
impl BoxOffice {
    /// Events that are not delivered, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn outbox(&self, filter: EventFilter, page: Page<EventId>) -> Result<Vec<OutboxEvent>, ServiceError> {
        Ok(self.store.outbox(filter, page).await?)
    }

    /// An event that is not delivered.
    ///
    /// # Errors
    /// `not_found`, or the store could not be read.
    pub async fn event(&self, event_id: EventId) -> Result<OutboxEvent, ServiceError> {
        let before = EventId::new(event_id.get().saturating_add(1));
        let found = self.outbox(EventFilter::All, Page { after: Some(before), limit: 1 }).await?.pop();
        let found = found.filter(|event| event.event_id == event_id);
        Ok(found.ok_or(Refusal::NotFound { what: EntityKind::Event })?)
    }

    /// Has a dead letter delivered again.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn retry_event(
        &self,
        caller: Caller,
        event_id: EventId,
        key: Option<Idempotency>,
    ) -> Result<Reply<OutboxEvent>, ServiceError> {
        self.ask(caller, Command::RetryEvent { event_id }, key).await
    }

    /// The feed of the audit log after a number, oldest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn audit_feed(&self, page: Page<FeedNumber>) -> Result<Vec<(FeedNumber, AuditEntry)>, ServiceError> {
        Ok(self.store.audit_feed(page).await?)
    }
}
