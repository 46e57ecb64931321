//! The outbox: what a decision has to tell others, saved with it, and delivered afterwards at least once.
//!
//! A worker claims the events that are due under the [lease](OutboxLease) of their consumer, delivers them outside of any
//! transaction, and settles them: a delivered event is removed, a failed one comes again later, and after
//! [`ATTEMPTS_MAX`] failures it is a dead letter until an operator retries it.

use crate::{
    id::{AuditId, EventId, FeedNumber, UserId},
    line::ContradictoryColumns,
    time::{Span, Time},
    user::{LetterLanguage, LinkKind},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many events one claim hands out, and one settlement names.
pub const CLAIM_MAX: usize = 100;
/// How long a claim keeps other instances from the consumer's events. A settlement ends it at once.
pub const LEASE: Span = Span::from_secs(30);
/// How often the delivery of an event may fail before it is a dead letter: for about a day, see [`retry_after`].
pub const ATTEMPTS_MAX: u32 = 10;
/// How many characters of an error are kept.
pub const ERROR_LEN_MAX: usize = 500;

/// The wait after the first failure.
const RETRY_FIRST: Span = Span::from_secs(10);
/// Each further failure makes the wait this many times as long.
const RETRY_GROWTH: i64 = 4;
/// The longest wait.
const RETRY_MAX: Span = Span::from_secs(6 * 3_600);

/// How long an event waits after so many failures.
#[must_use]
pub fn retry_after(attempts: u32) -> Span {
    let factor = RETRY_GROWTH.saturating_pow(attempts.saturating_sub(1));
    Span::from_micros(RETRY_FIRST.micros().saturating_mul(factor)).min(RETRY_MAX)
}

/// A part of the program that gets events. An event is for one consumer: what two must know is two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consumer {
    /// Gives the entries of the audit log their numbers in the feed.
    AuditFeed,
    /// Sends letters to users.
    Letters,
}

impl Consumer {
    /// Every consumer.
    pub const ALL: [Self; 2] = [Self::AuditFeed, Self::Letters];

    /// Its name in rows, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuditFeed => "audit_feed",
            Self::Letters => "letters",
        }
    }
}

/// The fact that an event reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventPayload {
    /// The audit log got an entry.
    AuditRecorded {
        /// The entry.
        audit_id: AuditId,
    },
    /// A user is to get a letter with a link. The link is issued when the letter is sent: its secret is in no row.
    LetterRequested {
        /// The user.
        user_id: UserId,
        /// The use of the link.
        letter: LinkKind,
        /// The letter's language.
        language: LetterLanguage,
    },
    /// An event that this version of the program cannot read, as it is saved: a newer version emitted it.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// As JSON.
impl std::fmt::Display for EventPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        serde_json::json!(self).fmt(f)
    }
}

impl std::str::FromStr for EventPayload {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}

/// Why a delivery failed: at most [`ERROR_LEN_MAX`] characters, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryError(String);

impl DeliveryError {
    /// The beginning of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self(printable.take(ERROR_LEN_MAX).collect())
    }

    /// Of an event that its consumer cannot read.
    #[must_use]
    pub fn unreadable(payload: &EventPayload) -> Self {
        Self::new(&format!("this version of the program cannot read {payload}"))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Whether an event will be delivered by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EventState {
    /// It will be delivered.
    Pending {
        /// Not before this.
        due_at: Time,
    },
    /// Its deliveries failed too often: it waits for an operator.
    DeadLetter {
        /// The last failure.
        since: Time,
    },
}

impl EventState {
    /// When it is due; none for a dead letter.
    #[must_use]
    pub const fn due_at(self) -> Option<Time> {
        match self {
            Self::Pending { due_at } => Some(due_at),
            Self::DeadLetter { .. } => None,
        }
    }

    /// Since when it is a dead letter, if it is one.
    #[must_use]
    pub const fn dead_at(self) -> Option<Time> {
        match self {
            Self::Pending { .. } => None,
            Self::DeadLetter { since } => Some(since),
        }
    }

    /// The state that a store's two columns make.
    ///
    /// # Errors
    /// They contradict each other.
    pub const fn of_columns(due_at: Option<Time>, dead_at: Option<Time>) -> Result<Self, ContradictoryColumns> {
        match (due_at, dead_at) {
            (Some(due_at), None) => Ok(Self::Pending { due_at }),
            (None, Some(since)) => Ok(Self::DeadLetter { since }),
            _ => Err(ContradictoryColumns { table: "outbox" }),
        }
    }
}

/// An event that is not delivered yet, as far as the store knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEvent {
    /// Which event: never given to another, so a consumer can tell a second delivery from a second event.
    pub event_id: EventId,
    /// The consumer that it is for.
    pub consumer: Consumer,
    /// The reported fact.
    pub payload: EventPayload,
    /// When it was decided.
    pub created_at: Time,
    /// Whether and when it is delivered.
    pub state: EventState,
    /// How many deliveries have failed since it was made or retried.
    pub attempts: u32,
    /// Why the last of them failed.
    pub last_error: Option<DeliveryError>,
}

impl OutboxEvent {
    /// A new event, due at once.
    #[must_use]
    pub const fn emitted(event_id: EventId, consumer: Consumer, payload: EventPayload, now: Time) -> Self {
        let state = EventState::Pending { due_at: now };
        Self { event_id, consumer, payload, created_at: now, state, attempts: 0, last_error: None }
    }

    /// Whether it is to be delivered now.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.state.due_at().is_some_and(|due_at| due_at <= now)
    }

    /// Why the last delivery failed, if one has.
    #[must_use]
    pub fn error_text(&self) -> Option<&str> {
        self.last_error.as_ref().map(DeliveryError::text)
    }

    /// The event after a failed delivery: due later, or a dead letter. A dead letter stays as it is.
    #[must_use]
    pub fn failed(self, error: DeliveryError, now: Time) -> Self {
        if self.state.dead_at().is_some() {
            return self;
        }
        let attempts = self.attempts.saturating_add(1);
        let state = if attempts >= ATTEMPTS_MAX {
            EventState::DeadLetter { since: now }
        } else {
            EventState::Pending { due_at: now.plus(retry_after(attempts)) }
        };
        Self { state, attempts, last_error: Some(error), ..self }
    }

    /// A dead letter that is due again, with all its attempts. A pending event stays as it is.
    #[must_use]
    pub fn retried(self, now: Time) -> Self {
        match self.state {
            EventState::Pending { .. } => self,
            EventState::DeadLetter { .. } => Self { state: EventState::Pending { due_at: now }, attempts: 0, ..self },
        }
    }
}

/// A process that delivers events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseHolder(pub Uuid);

/// A claim on a consumer's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// By which process.
    pub holder: LeaseHolder,
    /// When another process may claim them.
    pub until: Time,
}

/// Which process delivers the events of a consumer: one at a time, so that what they do is in one order and no event is
/// delivered twice without need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLease {
    /// The consumer.
    pub consumer: Consumer,
    /// The claim; none once it is settled.
    pub holding: Option<Holding>,
}

impl OutboxLease {
    /// Until when another process has the lease; none if `holder` may take or renew it.
    ///
    /// An end that is more than a [`LEASE`] away was set before the clock went back: the lease is over.
    #[must_use]
    pub fn taken_until(&self, holder: LeaseHolder, now: Time) -> Option<Time> {
        let until = self.holding.filter(|holding| holding.holder != holder)?.until;
        (now < until && until <= now.plus(LEASE)).then_some(until)
    }

    /// Whether `holder` was the last to claim. Past its time too: no other process has seen the events since.
    #[must_use]
    pub fn is_of(&self, holder: LeaseHolder) -> bool {
        self.holding.is_some_and(|holding| holding.holder == holder)
    }
}

/// An entry's place in the feed of the audit log.
///
/// Ids of entries are drawn before their transactions commit, so an entry with a lower id may appear after one with a
/// higher id. Feed numbers are given one transaction after the other: an entry never appears behind a number that was
/// read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedPlace {
    /// Its number, from 1 without gaps.
    pub feed_number: FeedNumber,
    /// The entry.
    pub audit_id: AuditId,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn event() -> OutboxEvent {
        let payload = EventPayload::AuditRecorded { audit_id: AuditId::new(3) };
        OutboxEvent::emitted(EventId::new(7), Consumer::AuditFeed, payload, NOW)
    }

    #[test]
    fn each_failure_makes_the_wait_longer_up_to_a_cap_and_the_last_one_a_dead_letter_after_about_a_day() {
        let mut event = event();
        let (mut now, mut waits) = (NOW, Vec::new());
        while let EventState::Pending { due_at } = event.state {
            assert!(event.is_due(due_at) && (due_at == now || !event.is_due(now)));
            waits.push(due_at.since(now).millis() / 1_000);
            now = due_at;
            event = event.failed(DeliveryError::new("away"), now);
        }
        assert_eq!(waits, [0, 10, 40, 160, 640, 2_560, 10_240, 21_600, 21_600, 21_600]);
        assert_eq!((event.attempts, event.state.dead_at()), (ATTEMPTS_MAX, Some(now)));
        assert!((20..=26).contains(&(now.since(NOW).millis() / 3_600_000)));
        assert_eq!(event.clone().failed(DeliveryError::new("again"), now.plus(LEASE)), event, "it is dead");
        assert_eq!(retry_after(u32::MAX), RETRY_MAX);
    }

    #[test]
    fn a_dead_letter_that_is_retried_has_all_its_attempts_again() {
        let mut dead = event();
        for _ in 0..ATTEMPTS_MAX {
            dead = dead.failed(DeliveryError::new("away"), NOW);
        }
        let later = NOW.plus(LEASE);
        let retried = dead.retried(later);
        assert!(retried.is_due(later) && !retried.is_due(NOW));
        assert_eq!((retried.attempts, retried.last_error.clone()), (0, Some(DeliveryError::new("away"))));
        assert_eq!(retried.clone().retried(later.plus(LEASE)), retried, "a pending event stays as it is");
    }

    #[test]
    fn the_text_of_an_error_is_bounded_and_printable() {
        let long = DeliveryError::new(&"é\0".repeat(ERROR_LEN_MAX));
        assert_eq!(long.text().chars().count(), ERROR_LEN_MAX);
        assert!(long.text().starts_with("é é "));
    }

    #[test]
    fn a_consumer_has_one_name_everywhere() {
        for consumer in Consumer::ALL {
            assert_eq!(serde_json::json!(consumer), consumer.name());
        }
    }

    #[test]
    fn a_payload_is_read_as_it_was_written() {
        let payload = event().payload;
        let written: serde_json::Value = serde_json::from_str(&payload.to_string()).unwrap();
        assert_eq!(written, serde_json::json!({ "audit_id": 3, "kind": "audit_recorded" }));
        assert_eq!(payload.to_string().parse::<EventPayload>().unwrap(), payload);
    }

    #[test]
    fn a_payload_of_a_newer_version_is_kept_as_it_is() {
        for text in [r#"{"kind":"ticket_sold","seat_id":4}"#, r#"{"entry":3,"kind":"audit_recorded"}"#, "7"] {
            let payload = text.parse::<EventPayload>().unwrap();
            assert_eq!(payload, EventPayload::Unknown(serde_json::from_str(text).unwrap()));
            assert_eq!(payload.to_string(), text);
            assert!(DeliveryError::unreadable(&payload).text().ends_with(text));
        }
    }
}
