//! The labels of the metrics, and the values that callers give them.

use frontrow_domain::{id::RoomId, line::Gate, outbox::Consumer};
use prometheus_client::encoding::EncodeLabelSet;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) method: &'static str,
    pub(super) route: String,
    pub(super) status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) method: &'static str,
    pub(super) route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CodeLabel {
    pub(super) code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    pub(super) outcome: &'static str,
}

/// What came of a question to the checker of joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The place may be given.
    Allowed,
    /// It may not.
    Denied,
    /// The client is asked for work.
    Challenged,
    /// The checker could not be reached.
    Failed,
    /// It did not answer in time.
    TimedOut,
    /// Its answer could not be read.
    Malformed,
    /// It was not asked: too many joins wait for it.
    Crowded,
    /// It was not asked: it gave no answer before, and is left alone.
    Resting,
}

impl CheckOutcome {
    pub(super) const ALL: [Self; 8] = [
        Self::Allowed,
        Self::Denied,
        Self::Challenged,
        Self::Failed,
        Self::TimedOut,
        Self::Malformed,
        Self::Crowded,
        Self::Resting,
    ];

    pub(super) const fn label(self) -> OutcomeLabel {
        OutcomeLabel {
            outcome: match self {
                Self::Allowed => "allowed",
                Self::Denied => "denied",
                Self::Challenged => "challenged",
                Self::Failed => "failed",
                Self::TimedOut => "timed_out",
                Self::Malformed => "malformed",
                Self::Crowded => "crowded",
                Self::Resting => "resting",
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabel {
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RoomLabel {
    pub(super) room: i64,
}

/// When a wait was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HorizonLabel {
    pub(super) horizon: &'static str,
}

/// A server that the box office depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ServerLabel {
    pub(super) server: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RoomLabels {
    pub(super) room: i64,
    pub(super) status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConsumerLabel {
    pub(super) consumer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EventLabels {
    pub(super) consumer: &'static str,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DeliveryLabels {
    pub(super) consumer: &'static str,
    pub(super) outcome: &'static str,
}

impl DeliveryLabels {
    pub(super) const fn of(consumer: Consumer, outcome: DeliveryOutcome) -> Self {
        Self { consumer: consumer.name(), outcome: outcome.name() }
    }
}

/// The version of this program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
    pub(super) profile: &'static str,
}

/// The end of a delivery of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// It was delivered.
    Delivered,
    /// The consumer said that it was not.
    Failed,
    /// The consumer did not answer in time.
    TimedOut,
}

impl DeliveryOutcome {
    pub(super) const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::TimedOut];

    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Whether a server can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// It can.
    Yes,
    /// It cannot be reached, or takes no writes.
    No,
}

/// Whether this instance moves a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    /// This instance does.
    Yes,
    /// Another instance does.
    No,
}

/// Whether a line rests, as far as its concert's sale is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resting {
    /// It may move.
    No,
    /// It rests until the sale is about to open.
    UntilOpening,
    /// It rests because the sale is over, or an operator stopped it.
    SaleOver,
}

/// A room as the metrics show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomFigures {
    /// Which room.
    pub room: RoomId,
    /// How many tokens are in line.
    pub waiting: i64,
    /// How many have a turn to claim.
    pub offered: i64,
    /// How many may hold and pay.
    pub active: i64,
    /// How many were unresponsive when their turn came.
    pub dormant: i64,
    /// How many did not claim their turn.
    pub missed: i64,
    /// How many may be active at once.
    pub cap: i64,
    /// Whether turns are offered.
    pub gate: Gate,
    /// Whether its line rests.
    pub resting: Resting,
}
