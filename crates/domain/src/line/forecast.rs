//! How a sale will go on, from what was measured: when its seats are sold out, when its line is empty, and how many of
//! those in line will find a seat.
//!
//! Three quantities are taken from the last minutes, and taken to stay as they are:
//!
//! - **Visit**: the mean time from a token's activation to its end. By Little's law (the mean number in a system is the
//!   rate of arrivals × the mean time in it, whatever the distributions) it is the active tokens ÷ the visits that ended
//!   in a second.
//! - **Seats a visit**: the seats that were sold ÷ the visits that ended. A visit sells what it sells at its end.
//! - **Joins**: how many tokens are issued in a second.
//!
//! A cap of c lets at most c ÷ visit tokens through in a second, again by Little's law; a rate of r turns a minute, of
//! which a share p is not claimed, r × (1 − p) ÷ 60. The tighter of the two is the throughput µ. With λ joins a second,
//! no more can have come through after a time t than µ × t, and no more than are in the room and have joined:
//! min(µ × t, active + waiting + λ × t). The seats are sold out once that, × the seats a visit, is the number of unsold
//! seats. The line is empty after waiting ÷ (µ − λ).

use super::{Gate, Room};
use crate::{
    refusal::Refusal,
    sale::Concert,
    time::{Span, Time},
};

/// How many visits must have ended in the window before anything is forecast from them. Ends that do not depend on each
/// other are a Poisson stream, in which the count of n has a deviation of √n: of 30 that is 18 %, so a forecast is
/// within a fifth in two of three cases and within two fifths in nineteen of twenty. With fewer it would be a guess.
pub const VISITS_MIN: i64 = 30;

/// What was measured in a room, and of one concert that it leads to, over the last minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SalePace {
    /// The time over which the counts go.
    pub window: Span,
    /// How many tokens were active at its start.
    pub active_before: i64,
    /// How many tokens are active now.
    pub active: i64,
    /// How many tokens were activated in it.
    pub admitted: i64,
    /// How many tokens were issued in it.
    pub joined: i64,
    /// How many seats of the concert were sold in it.
    pub sold: i64,
    /// How many tokens wait now, those with a turn to claim among them.
    pub waiting: i64,
    /// How many seats of the concert are free or held now.
    pub unsold: i64,
}

/// How a sale will go on if it goes on as measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// How long until all seats are sold; none if those in line and those who join will not take them all, if no seat was
    /// sold in the window, or for a line by itself.
    pub sold_out_in: Option<Span>,
    /// How long until the line is empty; none if as many join as get a turn.
    pub line_empty_in: Option<Span>,
    /// The share of those waiting now that will find a seat, in millionths; none if none waits, if no seat was sold in the
    /// window, or for a line by itself.
    pub reach_ppm: Option<i64>,
}

/// Why nothing can be forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForecastUnknown {
    /// No turn is offered: the gate is paused, or the cap is 0.
    #[error("no turn is offered")]
    Paused,
    /// The sale has not opened.
    #[error("the sale has not opened")]
    NotOpen,
    /// The sale is over, or was stopped.
    #[error("the sale is over or stopped")]
    Closed,
    /// Fewer than [`VISITS_MIN`] visits have ended in the window.
    #[error("too few visits have ended")]
    Measuring,
}

/// Turns or shares in one whole.
const ONE_PPM: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60_000_000;

impl Forecast {
    /// The forecast for a concert at `now`, if its room has these settings: those that it has, or those that an operator
    /// considers. More cap or more rate never makes it later.
    ///
    /// # Errors
    /// Why nothing can be said.
    pub fn of(room: &Room, concert: &Concert, pace: &SalePace, now: Time) -> Result<Self, ForecastUnknown> {
        match concert.check_on_sale(now) {
            Err(Refusal::SaleNotOpen { .. }) => return Err(ForecastUnknown::NotOpen),
            Err(_) => return Err(ForecastUnknown::Closed),
            Ok(()) => {}
        }
        let speeds = LineSpeeds::of(room, pace)?;
        Ok(Self {
            sold_out_in: pace.sold_out_in(&speeds),
            line_empty_in: speeds.time_to_clear(pace.waiting),
            reach_ppm: pace.reach_ppm(speeds.visits),
        })
    }

    /// The forecast for a line by itself: it says when the line is empty, and nothing of seats.
    ///
    /// # Errors
    /// Why nothing can be said.
    pub fn of_line(room: &Room, pace: &SalePace) -> Result<Self, ForecastUnknown> {
        let line_empty_in = LineSpeeds::of(room, pace)?.time_to_clear(pace.waiting);
        Ok(Self { sold_out_in: None, line_empty_in, reach_ppm: None })
    }
}

/// How fast tokens come to a line and through it.
struct LineSpeeds {
    visits: i64,
    through: Speed,
    joins: Speed,
}

impl LineSpeeds {
    fn of(room: &Room, pace: &SalePace) -> Result<Self, ForecastUnknown> {
        if room.gate == Gate::Paused || room.max_active_tokens() <= 0 {
            return Err(ForecastUnknown::Paused);
        }
        let visits = pace.visits();
        if visits < VISITS_MIN || pace.window <= Span::ZERO {
            return Err(ForecastUnknown::Measuring);
        }
        let joins = Speed { tokens: wide(pace.joined), micros: wide(pace.window.micros()) };
        Ok(Self { visits, through: Speed::through(room, pace, visits), joins })
    }

    /// How long until a line of so many tokens is empty; none if as many join as get a turn.
    fn time_to_clear(&self, waiting: i64) -> Option<Span> {
        self.through.minus(self.joins).time_for(wide(waiting), 1)
    }
}

impl SalePace {
    /// How many visits ended in the window: the activations that did not add to the active tokens.
    #[must_use]
    pub fn visits(&self) -> i64 {
        self.admitted.saturating_add(self.active_before).saturating_sub(self.active).max(0)
    }

    /// The time in which `visits` × the seats a visit is `unsold`, but no sooner than those visits can have come.
    fn sold_out_in(&self, LineSpeeds { visits, through, joins }: &LineSpeeds) -> Option<Span> {
        if self.unsold <= 0 {
            return Some(Span::ZERO);
        }
        if self.sold <= 0 {
            return None;
        }
        // Visits that are needed, in parts of 1 ÷ sold.
        let needed = wide(self.unsold).saturating_mul(wide(*visits));
        let here = wide(self.active.saturating_add(self.waiting)).saturating_mul(wide(self.sold));
        let served = through.time_for(needed, wide(self.sold))?;
        let come = joins.time_for(needed.saturating_sub(here).max(0), wide(self.sold))?;
        Some(served.max(come))
    }

    /// The active tokens buy first, then those who wait, in order.
    fn reach_ppm(&self, visits: i64) -> Option<i64> {
        if self.waiting <= 0 || (self.sold <= 0 && self.unsold > 0) {
            return None;
        }
        let enough_for = wide(self.unsold.max(0)).saturating_mul(wide(visits));
        let before_them = wide(self.active).saturating_mul(wide(self.sold));
        let left = enough_for.saturating_sub(before_them).max(0);
        let wanted = wide(self.waiting).saturating_mul(wide(self.sold)).max(1);
        let reach = left.saturating_mul(wide(ONE_PPM)).checked_div(wanted).unwrap_or(0);
        Some(narrow(reach).min(ONE_PPM))
    }
}

/// Tokens in a time, exactly: `tokens` ÷ `micros` a microsecond.
#[derive(Debug, Clone, Copy)]
struct Speed {
    tokens: i128,
    micros: i128,
}

impl Speed {
    /// How fast a room with these settings lets tokens through, if visits are as long as measured. Of the active tokens
    /// at both ends of the window the greater number counts: while a room fills or empties, visits would seem shorter
    /// than they are.
    fn through(room: &Room, pace: &SalePace, visits: i64) -> Self {
        let active = pace.active.max(pace.active_before).max(1);
        let by_cap = Self {
            tokens: wide(room.max_active_tokens()).saturating_mul(wide(visits)),
            micros: wide(active).saturating_mul(wide(pace.window.micros())),
        };
        let Some(per_minute) = room.turns_per_minute() else { return by_cap };
        let claimed_ppm = ONE_PPM.saturating_sub(room.no_show_ppm).max(1);
        let by_rate = Self {
            tokens: wide(per_minute).saturating_mul(wide(claimed_ppm)),
            micros: wide(MICROS_PER_MINUTE).saturating_mul(wide(ONE_PPM)),
        };
        if by_cap.is_slower_than(by_rate) { by_cap } else { by_rate }
    }

    const fn is_slower_than(self, other: Self) -> bool {
        self.tokens.saturating_mul(other.micros) < other.tokens.saturating_mul(self.micros)
    }

    const fn minus(self, other: Self) -> Self {
        let tokens = self.tokens.saturating_mul(other.micros).saturating_sub(other.tokens.saturating_mul(self.micros));
        Self { tokens, micros: self.micros.saturating_mul(other.micros) }
    }

    /// The time for `count` ÷ `parts` tokens; none if they never come.
    fn time_for(self, count: i128, parts: i128) -> Option<Span> {
        if count <= 0 {
            return Some(Span::ZERO);
        }
        if self.tokens <= 0 {
            return None;
        }
        let micros = count.saturating_mul(self.micros).checked_div(self.tokens.saturating_mul(parts))?;
        Some(Span::from_micros(narrow(micros)))
    }
}

fn wide(count: i64) -> i128 {
    i128::from(count)
}

fn narrow(count: i128) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
