//! Delivers the events of the outbox, at least once: claims those that are due, delivers them outside of any
//! transaction, and settles them. One instance at a time delivers for a consumer, by a lease in the database. A process
//! that dies before it settles leaves the events as they were, and the next claim delivers them again.

mod audit_feed;

pub(super) use audit_feed::AuditFeed;

use super::{granted, rest};
use crate::{
    engine::Health,
    metrics::DeliveryOutcome,
    office::BoxOffice,
    outbox::{ClaimedEvents, PutOffEvents},
};
use async_trait::async_trait;
use frontrow_domain::{
    command::Settlements,
    outbox::{CLAIM_MAX, Consumer, DeliveryError, LeaseHolder, OutboxEvent},
    time::Span,
};
use frontrow_storage::trouble::Trouble;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// How often an instance looks for due events that no commit of its own has told it of: those of other instances, and
/// those that were put off.
const OUTBOX_TICK: Duration = Duration::from_secs(5);
/// The longest time that a delivery may take: well below the [lease](frontrow_domain::outbox::LEASE), since all events of
/// a claim are delivered at the same time.
const DELIVERY_MAX: Duration = Duration::from_secs(10);
/// How much earlier than by this instance's clock an event may be due by the database's.
const DUE_MARGIN: Span = Span::from_secs(1);

/// A consumer of the outbox.
///
/// An event may come more than once, since the process may die between the delivery and the settlement: a consumer tells
/// by the event's id, which no other event ever gets, whether it had the event before, or does the same again without
/// harm.
#[async_trait]
pub(super) trait Deliver: Send + Sync {
    /// Delivers one event. Others are delivered at the same time.
    ///
    /// # Errors
    /// The event was not delivered, or may not have been: it comes again later.
    async fn deliver(&self, event: &OutboxEvent) -> Result<(), DeliveryError>;
}

/// Delivers the events of `consumer`: at once after a commit of this instance that emitted one, else within some seconds
/// of their time.
pub(super) async fn deliver_events(office: Arc<BoxOffice>, consumer: Consumer, deliver: impl Deliver) {
    let mut emitted = office.emitted.subscribe();
    let trouble = Trouble::new("cannot look for events of the outbox");
    let mut worker = OutboxWorker::new(&office, consumer, deliver);
    loop {
        tokio::select! {
            () = rest(&office, OUTBOX_TICK) => {}
            _ = emitted.changed() => {}
        }
        if trouble.noted(worker.has_due_events().await) == Some(true) {
            worker.deliver_all().await;
            // The gauges show what is left.
            trouble.noted(worker.has_due_events().await);
        }
    }
}

/// The deliveries of one consumer by this process.
struct OutboxWorker<'a, D> {
    office: &'a BoxOffice,
    consumer: Consumer,
    holder: LeaseHolder,
    deliver: D,
    delivery_max: Duration,
    /// Whether nothing could be delivered when it was tried last.
    is_failing: bool,
}

impl<'a, D: Deliver> OutboxWorker<'a, D> {
    fn new(office: &'a BoxOffice, consumer: Consumer, deliver: D) -> Self {
        let holder = LeaseHolder(office.ids.uuid(office.now()));
        Self { office, consumer, holder, deliver, delivery_max: DELIVERY_MAX, is_failing: false }
    }

    /// Whether an event is due, by one read, which the gauges show too.
    async fn has_due_events(&self) -> Result<bool, frontrow_storage::StoreError> {
        let totals = self.office.store.outbox_totals().await?;
        let totals = totals.into_iter().find(|totals| totals.consumer == self.consumer);
        let now = self.office.now();
        self.office.metrics.outbox(self.consumer, totals, now);
        let due_at = totals.and_then(|totals| totals.oldest_due_at);
        Ok(due_at.is_some_and(|due_at| due_at <= now.plus(DUE_MARGIN)) && self.office.engine.health() == Health::Sound)
    }

    /// Claims, delivers and settles until no event is due, another process has the lease, or the engine does not decide.
    async fn deliver_all(&mut self) {
        loop {
            let claim = self.office.claim_events(self.consumer, self.holder).await;
            let Ok(Some(ClaimedEvents(Some(events)))) = granted(claim) else { return };
            if events.is_empty() || !self.deliver_claimed(&events).await || events.len() < CLAIM_MAX {
                return;
            }
        }
    }

    /// Delivers and settles claimed events. False if the settlement was not decided, or came too late.
    async fn deliver_claimed(&mut self, events: &[OutboxEvent]) -> bool {
        let (mut delivered, mut failed) = (Vec::new(), Vec::new());
        for (event, result) in events.iter().zip(self.deliver_each(events).await) {
            match result {
                Ok(()) => delivered.push(event.event_id),
                Err(error) => failed.push((event.event_id, error)),
            }
        }
        self.note_state(!delivered.is_empty(), failed.first().map(|(_, error)| error));
        let settled = Settlements { consumer: self.consumer, holder: self.holder, delivered, failed };
        match granted(self.office.settle_events(settled).await) {
            Ok(Some(PutOffEvents(Some(put_off)))) => {
                for event in put_off.iter().filter(|event| event.state.dead_at().is_some()) {
                    tracing::error!(
                        event.id = %event.event_id,
                        consumer = self.consumer.name(),
                        attempts = event.attempts,
                        error = event.error_text().unwrap_or_default(),
                        "an event could not be delivered and is a dead letter: repair the consumer, then retry the event"
                    );
                }
                true
            }
            _ => false,
        }
    }

    /// Delivers events at the same time. They are started in their order. A delivery that takes too long or panics has
    /// failed, and no other with it.
    async fn deliver_each(&self, events: &[OutboxEvent]) -> Vec<Result<(), DeliveryError>> {
        let mut deliveries: Vec<_> = events
            .iter()
            .map(|event| Box::pin(tokio::time::timeout(self.delivery_max, self.deliver.deliver(event))))
            .collect();
        let mut results: Vec<Option<Result<(), DeliveryError>>> = vec![None; deliveries.len()];
        poll_fn(|cx| {
            for (delivery, result) in deliveries.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
                let (outcome, done) = match catch_unwind(AssertUnwindSafe(|| Pin::new(delivery).poll(cx))) {
                    Ok(Poll::Pending) => continue,
                    Ok(Poll::Ready(Ok(Ok(())))) => (DeliveryOutcome::Delivered, Ok(())),
                    Ok(Poll::Ready(Ok(Err(error)))) => (DeliveryOutcome::Failed, Err(error)),
                    Ok(Poll::Ready(Err(_))) => {
                        let text = format!("no answer within {} ms", self.delivery_max.as_millis());
                        (DeliveryOutcome::TimedOut, Err(DeliveryError::new(&text)))
                    }
                    Err(_) => (DeliveryOutcome::Failed, Err(DeliveryError::new("the delivery panicked"))),
                };
                self.office.metrics.delivery(self.consumer, outcome);
                *result = Some(done);
            }
            if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        results.into_iter().flatten().collect()
    }

    /// Logs when deliveries begin to fail, and when they work again.
    fn note_state(&mut self, any_delivered: bool, failure: Option<&DeliveryError>) {
        let consumer = self.consumer.name();
        if any_delivered {
            if std::mem::take(&mut self.is_failing) {
                tracing::info!(consumer, "resolved: events of the outbox are delivered again");
            }
        } else if let Some(error) = failure
            && !std::mem::replace(&mut self.is_failing, true)
        {
            let error = error.text();
            tracing::warn!(
                consumer,
                error,
                "events of the outbox cannot be delivered; they are tried again, ever later"
            );
        }
    }
}

#[cfg(test)]
mod tests;
