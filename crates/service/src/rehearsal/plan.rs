//! What is rehearsed: a copy of a concert with all that its sale depends on, and the crowd that comes to it.

use frontrow_domain::{
    id::RoomId,
    line::Room,
    money::Money,
    policy::Policy,
    sale::{Concert, RehearsalSetup, Seat, SeatStatus},
    time::Span,
};
use serde::{Deserialize, Serialize};

/// How many bytes a plan may have. A seat takes about a hundred.
pub const PLAN_LEN_MAX: u64 = 64 * 1_024 * 1_024;

/// A copy of a concert and a crowd: all that a rehearsal knows of the real box office.
///
/// What buyers only read, such as the description and the poster, is left out: nothing that the crowd asks for depends
/// on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalPlan {
    /// The number of the real concert.
    pub concert_id: i64,
    pub title: String,
    pub artist: String,
    pub venue: String,
    pub base_price: Money,
    pub room: PlannedRoom,
    pub rules: PlannedRules,
    pub setup: RehearsalSetup,
    pub seats: Vec<PlannedSeat>,
}

/// The room of a copy. Its gate is open: a rehearsal with a closed one would show nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRoom {
    pub kind: RoomKind,
    pub max_active: i64,
    pub admit_per_minute: Option<i64>,
}

/// Whether a room is the house room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// The house room, which the copy has for itself.
    House,
    /// The concert's own.
    Own,
}

/// The settings of the rules, times in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRules {
    pub hold_seconds: u32,
    pub pay_grace_seconds: u32,
    pub max_seats_per_user: u32,
    pub holds_per_turn: u32,
    pub seat_cooldown_seconds: u32,
    pub offer_lead_seconds: u32,
    pub missed_turns_max: u32,
    pub claim_window_seconds: u32,
    pub recall_window_seconds: u32,
    pub dormant_after_seconds: u32,
    pub dormant_limit_seconds: u32,
    pub idle_seconds: u32,
    pub active_limit_seconds: u32,
}

/// A seat of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedSeat {
    pub section: String,
    pub row: String,
    pub number: String,
    pub grade: String,
    pub price: Money,
    /// Whether it is for sale: neither blocked nor held nor sold in the real concert.
    pub free: bool,
}

impl RehearsalPlan {
    /// The plan for a concert in this room with these seats.
    #[must_use]
    pub fn of(concert: &Concert, room: &Room, seats: &[Seat], policy: &Policy, setup: RehearsalSetup) -> Self {
        Self {
            concert_id: concert.concert_id.get(),
            title: concert.title.clone(),
            artist: concert.artist.clone(),
            venue: concert.venue.clone(),
            base_price: concert.base_price,
            room: PlannedRoom {
                kind: if room.room_id == RoomId::HOUSE { RoomKind::House } else { RoomKind::Own },
                max_active: room.max_active,
                admit_per_minute: room.admit_per_minute,
            },
            rules: PlannedRules::of(policy),
            setup,
            seats: seats.iter().map(PlannedSeat::of).collect(),
        }
    }

    /// How many seats are for sale.
    #[must_use]
    pub fn free_seats(&self) -> usize {
        self.seats.iter().filter(|seat| seat.free).count()
    }

    /// Enough points for the dearest seats that one buyer may want.
    #[must_use]
    pub fn points_each(&self) -> Money {
        let dearest = self.seats.iter().map(|seat| seat.price.get()).max().unwrap_or(0);
        Money::new(dearest.saturating_mul(i64::from(self.setup.seats_each)).clamp(1, Money::MAX.get()))
    }
}

impl PlannedRules {
    fn of(policy: &Policy) -> Self {
        let seconds = |span: Span| u32::try_from(span.millis() / 1_000).unwrap_or(u32::MAX);
        Self {
            hold_seconds: seconds(policy.hold),
            pay_grace_seconds: seconds(policy.pay_grace),
            max_seats_per_user: policy.max_seats_per_user,
            holds_per_turn: policy.holds_per_turn,
            seat_cooldown_seconds: seconds(policy.seat_cooldown),
            offer_lead_seconds: seconds(policy.offer_lead),
            missed_turns_max: policy.missed_turns_max,
            claim_window_seconds: seconds(policy.claim_window),
            recall_window_seconds: seconds(policy.recall_window),
            dormant_after_seconds: seconds(policy.dormant_after),
            dormant_limit_seconds: seconds(policy.dormant_limit),
            idle_seconds: seconds(policy.idle_limit),
            active_limit_seconds: seconds(policy.active_limit),
        }
    }
}

impl PlannedSeat {
    fn of(seat: &Seat) -> Self {
        Self {
            section: seat.label.section.clone(),
            row: seat.label.row.clone(),
            number: seat.label.number.clone(),
            grade: seat.label.grade.clone(),
            price: seat.price,
            free: seat.status() == SeatStatus::Available,
        }
    }
}
