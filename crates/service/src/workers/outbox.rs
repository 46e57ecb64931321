//! Delivers the events of the outbox, at least once: claims those that are due, delivers them outside of any
//! transaction, and settles them. One instance at a time delivers for a consumer, by a lease in the database. A process
//! that dies before it settles leaves the events as they were, and the next claim delivers them again.

mod audit_feed;
mod letter_post;

pub(super) use audit_feed::AuditFeed;
pub(super) use letter_post::LetterPost;

use super::rest;
use crate::{
    engine::Health,
    metrics::DeliveryOutcome,
    office::{BoxOffice, ServiceError},
    outbox::{ClaimedEvents, PutOffEvents},
};
use async_trait::async_trait;
use frontrow_domain::{
    command::Settlements,
    outbox::{Consumer, DeliveryError, LEASE, LeaseHolder, OutboxEvent},
    time::{Span, Time},
};
use frontrow_storage::trouble::Trouble;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How often an instance looks for due events that no commit of its own has told it of: those of other instances, and
/// those that were put off.
const OUTBOX_TICK: Duration = Duration::from_secs(5);
/// How often the events are counted, except after deliveries.
const COUNTS_TICK: Duration = Duration::from_mins(1);
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
/// of their time. When `stop` turns true, it settles the events that it has claimed, and ends.
pub(super) async fn deliver_events(
    office: Arc<BoxOffice>,
    consumer: Consumer,
    deliver: impl Deliver,
    mut stop: watch::Receiver<bool>,
) {
    let mut emitted = office.emitted.subscribe();
    let mut worker = OutboxWorker::new(&office, consumer, deliver, stop.clone());
    while !*stop.borrow_and_update() {
        tokio::select! {
            () = rest(&office, OUTBOX_TICK) => {}
            _ = emitted.changed() => {}
            _ = stop.changed() => continue,
        }
        worker.look().await;
    }
}

/// The end of a round of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Events were claimed and settled.
    Settled,
    /// Another process has the lease.
    LeaseTaken,
    /// There was nothing to claim.
    NothingDue,
    /// A claim or a settlement was not decided.
    Undecided,
}

/// The deliveries of one consumer by this process.
struct OutboxWorker<'a, D> {
    office: &'a BoxOffice,
    consumer: Consumer,
    holder: LeaseHolder,
    deliver: D,
    delivery_max: Duration,
    stop: watch::Receiver<bool>,
    /// Whether nothing could be delivered when it was tried last.
    is_failing: bool,
    /// When the first event is due, or was. While the outbox cannot be read, at the latest the moment of the last read.
    first_due_at: Option<Time>,
    read_at: Time,
    counted_at: Option<Instant>,
    reads: Trouble,
    counts: Trouble,
    decisions: Trouble,
}

impl<'a, D: Deliver> OutboxWorker<'a, D> {
    fn new(office: &'a BoxOffice, consumer: Consumer, deliver: D, stop: watch::Receiver<bool>) -> Self {
        Self {
            office,
            consumer,
            holder: LeaseHolder(office.ids.uuid(office.now())),
            deliver,
            delivery_max: DELIVERY_MAX,
            stop,
            is_failing: false,
            first_due_at: None,
            read_at: office.now(),
            counted_at: None,
            reads: Trouble::new("cannot look for events of the outbox"),
            counts: Trouble::new("cannot count the events of the outbox"),
            decisions: Trouble::new("cannot claim or settle events of the outbox"),
        }
    }

    /// Delivers what is due, and counts what is left.
    async fn look(&mut self) {
        let is_due = self.has_due_events().await;
        if is_due {
            self.deliver_all().await;
        }
        if is_due || self.counted_at.is_none_or(|counted_at| counted_at.elapsed() >= COUNTS_TICK) {
            self.count_events().await;
        }
    }

    /// Whether an event is due, by one read, which a gauge shows too.
    async fn has_due_events(&mut self) -> bool {
        let now = self.office.now();
        let read = self.reads.noted(self.office.store.first_event_due_at(self.consumer).await);
        if let Some(due_at) = read {
            (self.first_due_at, self.read_at) = (due_at, now);
        } else {
            // Any event that is not seen was due after the last read.
            let read_at = self.read_at;
            self.first_due_at = Some(self.first_due_at.map_or(read_at, |due_at| due_at.min(read_at)));
        }
        self.office.metrics.first_event_due_at(self.consumer, self.first_due_at);
        let due_at = read.flatten();
        due_at.is_some_and(|due_at| due_at <= now.plus(DUE_MARGIN)) && self.office.engine.health() == Health::Sound
    }

    /// Counts the events for the gauges, which are dropped if that fails.
    async fn count_events(&mut self) {
        let counts = self.counts.noted(self.office.store.event_counts(self.consumer).await);
        self.counted_at = counts.map(|_| Instant::now());
        self.office.metrics.event_counts(self.consumer, counts);
    }

    /// Claims, delivers and settles until no event is due, another process has the lease, the engine does not decide, or
    /// the server stops.
    async fn deliver_all(&mut self) -> Round {
        loop {
            let round = self.deliver_some().await;
            // The next look finds events that another instance has emitted meanwhile and could not claim.
            if round != Round::Settled || *self.stop.borrow() || !self.has_due_events().await {
                return round;
            }
        }
    }

    async fn deliver_some(&mut self) -> Round {
        match self.office.claim_events(self.consumer, self.holder).await {
            Ok(ClaimedEvents(Some(events))) if events.is_empty() => {
                self.decisions.is_over();
                Round::NothingDue
            }
            Ok(ClaimedEvents(Some(events))) => self.deliver_claimed(&events).await,
            Ok(ClaimedEvents(None)) => self.lease_taken(),
            Err(error) => self.undecided(&error),
        }
    }

    /// Delivers and settles claimed events. The lease is taken if the settlement comes too late.
    async fn deliver_claimed(&mut self, events: &[OutboxEvent]) -> Round {
        let (mut delivered, mut failed) = (Vec::new(), Vec::new());
        for (event, result) in events.iter().zip(self.deliver_each(events).await) {
            match result {
                Ok(()) => delivered.push(event.event_id),
                Err(error) => failed.push((event.event_id, error)),
            }
        }
        self.note_state(!delivered.is_empty(), failed.first().map(|(_, error)| error));
        let settled = Settlements { consumer: self.consumer, holder: self.holder, delivered, failed };
        let put_off = match self.office.settle_events(settled).await {
            Ok(PutOffEvents(Some(put_off))) => put_off,
            Ok(PutOffEvents(None)) => return self.lease_taken(),
            Err(error) => return self.undecided(&error),
        };
        self.decisions.is_over();
        for event in put_off.iter().filter(|event| event.state.dead_at().is_some()) {
            tracing::error!(
                event.id = %event.event_id,
                consumer = self.consumer.name(),
                attempts = event.attempts,
                error = event.error_text().unwrap_or_default(),
                "an event could not be delivered and is a dead letter: repair the consumer, then retry the event"
            );
        }
        Round::Settled
    }

    fn undecided(&self, error: &ServiceError) -> Round {
        self.decisions.came(error);
        Round::Undecided
    }

    /// Another process has the lease: a fault only if it does not deliver.
    fn lease_taken(&self) -> Round {
        let now = self.office.now();
        match self.first_due_at.filter(|due_at| now.since(*due_at) > LEASE) {
            Some(due_at) => {
                self.decisions
                    .came(&format!("another process has the lease, and an event has been due since {due_at}"));
            }
            None => self.decisions.is_over(),
        }
        Round::LeaseTaken
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
