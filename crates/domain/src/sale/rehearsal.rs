//! Rehearsals: a crowd comes to a copy of a concert, on a machine that may also serve the real one. When one may run,
//! and how large it may be.

use crate::{
    line::Room,
    policy::{Policy, SEATS_PER_COMMAND_MAX},
    refusal::Refusal,
    sale::{Concert, ConcertStatus},
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, sync::Arc};

/// No rehearsal begins if a sale opens within this time: longer than the longest rehearsal lasts.
pub const CLEAR_BEFORE: Span = Span::from_secs(20 * 60);
/// A running rehearsal ends this long before a sale opens.
pub const ENDS_BEFORE: Span = Span::from_secs(2 * 60);

/// How many may come: beyond these the crowd would take most of the machine from the box office that it measures. Once
/// a line is there, more people make it longer and change nothing of its pace.
const PEOPLE: RangeInclusive<u32> = 1..=20_000;
/// How long a rehearsal may run, in minutes: what a machine with other work can give up, and enough visits to measure.
const MINUTES: RangeInclusive<u32> = 1..=10;
/// The longest visit, in seconds, shorter than a rehearsal.
const VISIT_SECONDS_MAX: u32 = 300;
const GIVE_UP_PERCENT_MAX: u32 = 90;
/// A visit unless an operator says otherwise, in seconds.
const VISIT_SECONDS: u32 = 60;
/// The share that gives up unless an operator says otherwise.
const GIVE_UP_PERCENT: u32 = 10;

/// The crowd of a rehearsal, and how long it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalSetup {
    /// How many people come.
    pub people: u32,
    /// Within how many minutes they come, most of them at the beginning; 0 is a rush to the opening.
    pub arrive_minutes: u32,
    /// How many seconds a visit takes on average, from the turn to the payment.
    pub visit_seconds: u32,
    /// How many of a hundred give up in line.
    pub give_up_percent: u32,
    /// How many seats one buys at most.
    pub seats_each: u32,
    /// After how many minutes it ends, sold out or not.
    pub minutes: u32,
}

/// A field of a [`RehearsalSetup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RehearsalField {
    /// [`RehearsalSetup::people`].
    People,
    /// [`RehearsalSetup::arrive_minutes`].
    ArriveMinutes,
    /// [`RehearsalSetup::visit_seconds`].
    VisitSeconds,
    /// [`RehearsalSetup::give_up_percent`].
    GiveUpPercent,
    /// [`RehearsalSetup::seats_each`].
    SeatsEach,
    /// [`RehearsalSetup::minutes`].
    Minutes,
}

impl RehearsalField {
    /// All fields.
    pub const ALL: [Self; 6] =
        [Self::People, Self::ArriveMinutes, Self::VisitSeconds, Self::GiveUpPercent, Self::SeatsEach, Self::Minutes];

    /// Its name in forms and plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::ArriveMinutes => "arrive_minutes",
            Self::VisitSeconds => "visit_seconds",
            Self::GiveUpPercent => "give_up_percent",
            Self::SeatsEach => "seats_each",
            Self::Minutes => "minutes",
        }
    }

    /// The values that it may have.
    #[must_use]
    pub fn bounds(self, policy: &Policy) -> RangeInclusive<u32> {
        match self {
            Self::People => PEOPLE,
            Self::ArriveMinutes => 0..=*MINUTES.end(),
            Self::VisitSeconds => 1..=VISIT_SECONDS_MAX,
            Self::GiveUpPercent => 0..=GIVE_UP_PERCENT_MAX,
            Self::SeatsEach => {
                let in_one_hold = u32::try_from(SEATS_PER_COMMAND_MAX).unwrap_or(u32::MAX);
                1..=policy.max_seats_per_user.clamp(1, in_one_hold)
            }
            Self::Minutes => MINUTES,
        }
    }
}

impl RehearsalSetup {
    /// The crowd to begin with for a concert with so many free seats and this room: twice as many people as seats, and
    /// as long as the sale takes by the room's settings.
    #[must_use]
    pub fn proposed(free_seats: i64, room: &Room, policy: &Policy) -> Self {
        let bounded = |field: RehearsalField, value: i64| {
            let bounds = field.bounds(policy);
            u32::try_from(value.max(0)).unwrap_or(u32::MAX).clamp(*bounds.start(), *bounds.end())
        };
        let seats_each = bounded(RehearsalField::SeatsEach, 2);
        let parts = |whole: i64, of: i64| whole.checked_div(of.max(1)).unwrap_or(0);
        // One to so many seats each: as many on average as the middle of these.
        let buyers = parts(free_seats.max(0).saturating_mul(2), i64::from(seats_each).saturating_add(1));
        let visit = i64::from(VISIT_SECONDS);
        let by_cap = parts(buyers.saturating_mul(visit), room.max_active);
        let by_rate = room.admit_per_minute.map_or(0, |rate| parts(buyers.saturating_mul(60), rate));
        let in_reserve = visit.saturating_mul(2);
        let minutes = parts(by_cap.max(by_rate).saturating_add(in_reserve), 60).saturating_add(1);
        Self {
            people: bounded(RehearsalField::People, free_seats.saturating_mul(2)),
            arrive_minutes: 0,
            visit_seconds: VISIT_SECONDS,
            give_up_percent: GIVE_UP_PERCENT,
            seats_each,
            minutes: bounded(RehearsalField::Minutes, minutes),
        }
    }

    /// The value of a field.
    #[must_use]
    pub const fn get(&self, field: RehearsalField) -> u32 {
        match field {
            RehearsalField::People => self.people,
            RehearsalField::ArriveMinutes => self.arrive_minutes,
            RehearsalField::VisitSeconds => self.visit_seconds,
            RehearsalField::GiveUpPercent => self.give_up_percent,
            RehearsalField::SeatsEach => self.seats_each,
            RehearsalField::Minutes => self.minutes,
        }
    }

    /// The same with another value of a field.
    #[must_use]
    pub const fn with(mut self, field: RehearsalField, value: u32) -> Self {
        match field {
            RehearsalField::People => self.people = value,
            RehearsalField::ArriveMinutes => self.arrive_minutes = value,
            RehearsalField::VisitSeconds => self.visit_seconds = value,
            RehearsalField::GiveUpPercent => self.give_up_percent = value,
            RehearsalField::SeatsEach => self.seats_each = value,
            RehearsalField::Minutes => self.minutes = value,
        }
        self
    }

    /// The first field whose value is out of its bounds.
    #[must_use]
    pub fn out_of_bounds(&self, policy: &Policy) -> Option<RehearsalField> {
        RehearsalField::ALL.into_iter().find(|field| !field.bounds(policy).contains(&self.get(*field)))
    }
}

impl Concert {
    /// Whether its sale is open at `now`, or opens within `ahead`.
    #[must_use]
    pub fn sells_within(&self, ahead: Span, now: Time) -> bool {
        self.status_at(now) == ConcertStatus::Scheduled && now < self.closes_at && now.plus(ahead) >= self.opens_at
    }

    /// Refuses if its sale cannot be rehearsed at `now`: the concert has ended or was cancelled.
    ///
    /// # Errors
    /// [`Refusal::ConcertCancelled`], or [`Refusal::SaleClosed`] if it is over.
    pub fn check_may_be_rehearsed(&self, now: Time) -> Result<(), Refusal> {
        self.check_takes_place()?;
        if self.status_at(now) == ConcertStatus::Over { Err(Refusal::SaleClosed) } else { Ok(()) }
    }
}

/// What of the sales of a box office speaks against a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RehearsalObstacle {
    /// The concert is over or cancelled.
    #[error("the concert is over or cancelled")]
    ConcertOver,
    /// The concert has no free seat, or its room admits no one.
    #[error("there is nothing to sell: no seat is free, or the room's cap is 0")]
    NothingToSell,
    /// The sale of this concert is open, or opens within [`CLEAR_BEFORE`].
    #[error("the sale of concert {} is open or opens soon", .0.concert_id)]
    SaleNear(Arc<Concert>),
}

impl RehearsalObstacle {
    /// What speaks at `now` against a rehearsal of a concert with so many free seats and this room. `near` is a concert
    /// of the box office that [sells within](Concert::sells_within) [`CLEAR_BEFORE`].
    #[must_use]
    pub fn of((concert, room, free_seats): (&Concert, &Room, i64), near: Option<Concert>, now: Time) -> Option<Self> {
        if concert.check_may_be_rehearsed(now).is_err() {
            return Some(Self::ConcertOver);
        }
        if free_seats <= 0 || room.max_active <= 0 {
            return Some(Self::NothingToSell);
        }
        near.map(|concert| Self::SaleNear(Arc::new(concert)))
    }
}
