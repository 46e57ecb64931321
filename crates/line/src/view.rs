//! A room as an instance knows it, answered from memory without a lock.
//!
//! A view is one moment of a line; [`RoomView::apply`] moves it on. Clones are cheap, since everything large in them is
//! shared; the writer keeps one to change and publishes clones.

mod apply;
mod departed;
#[cfg(test)]
mod draw_tests;
mod live;
mod lowest;
mod outlook;
mod pacing;
#[cfg(test)]
mod pacing_tests;
mod record;
#[cfg(test)]
pub(super) mod tests;
mod told;
mod visits;
#[cfg(test)]
mod wait_tests;

pub use apply::{Delta, Effects, ShownTo, deltas};
pub use pacing::POLL_GIVEN_MS;
pub use told::{RATIO_BOUNDS_PPM, ToldTally};

use apply::LinePace;
use departed::Departed;
use frontrow_domain::{
    id::Position,
    line::{
        ClaimRecord, DrawPhase, Gate, HeadRecord, InFront, Room, Token, TokenState, TokenStatus, ToldHorizon, ToldWait,
        TurnOutlook, estimated_wait, estimated_wait_p90,
    },
    outage::Outages,
    time::{Span, Time},
};
use live::Live;
pub(crate) use lowest::LowestToldWaits;
use lowest::{LowestTold, SettingsNumber};
use outlook::ToldForecast;
pub(crate) use record::{RECORDED_POSITIONS, RecordAge, RecordedReturns, ViewRecord};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use told::ToldRecord;
use visits::Visits;

/// A view that was confirmed longer ago than this is stale.
const STALE_AFTER: Span = Span::from_secs(1);
/// A token counts those that came back this long before it was issued: a view that does not know of a return by then is
/// stale, and says so.
pub const RETURN_KNOWN_AFTER: Span = STALE_AFTER;
/// The whole, in millionths.
const ALL_PPM: i64 = 1_000_000;

/// One room at one moment. The count of tokens ahead is exact, and never rises from one view of a room to the next.
#[derive(Debug, Clone)]
pub struct RoomView {
    room: Arc<Room>,
    /// The highest position given. Shared by all views of the line, so that issuing need not publish a new one.
    tail: Arc<AtomicI64>,
    departed: Arc<Departed>,
    /// How many of the departed are not beyond the cursor.
    departed_to_cursor: i64,
    live: Arc<Live>,
    /// Tokens that wait though the cursor has passed them, ascending: they are next.
    returned: Arc<Vec<Position>>,
    /// When those came back, ascending; [`Time::MAX`] for an unknown time.
    returned_at: Arc<Vec<Time>>,
    active: i64,
    offered: i64,
    /// How many of the offered were claimed while the room was full.
    claimed: i64,
    /// How the turns were claimed.
    claims: ClaimRecord,
    /// How many of the tokens whose turn came have come in.
    heads: HeadRecord,
    /// How long visits last.
    visits: Visits,
    /// What tokens were told about their waits. Shared by all views of the line, as the tail is.
    told: Arc<ToldRecord>,
    /// The lowest wait that each waiting token was told. Shared by all views of the line.
    lowest_told: Arc<LowestTold>,
    /// Which settings those of this view are, by number.
    settings_number: SettingsNumber,
    /// The places and turns that the line had when what it tells began to bind.
    told_pace: LinePace,
    /// The forecast that is told. Shared by all views of the line.
    forecast: Arc<ToldForecast>,
    freshness: Freshness,
    /// The times in which the box office was down, as far as they are known.
    outages: Outages,
}

/// Until when a view is known to be current.
#[derive(Debug, Clone)]
enum Freshness {
    /// Until now: it applies every commit as it happens.
    Current,
    /// It follows other instances.
    Replica(Confirmed),
}

/// When a replica of a line was last known to be current. Clones share it, so that confirming an unchanged view
/// publishes nothing.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// Microseconds since the epoch, of all lines of the instance.
    all: Arc<AtomicI64>,
    /// The same, of this line alone.
    own: Arc<AtomicI64>,
}

impl Confirmed {
    /// For a line that is confirmed together with others: `all` holds microseconds since the epoch.
    #[must_use]
    pub fn with(all: Arc<AtomicI64>) -> Self {
        Self { all, own: Arc::default() }
    }

    /// Notes that this line was current at `at`.
    pub fn note(&self, at: Time) {
        self.own.fetch_max(at.micros(), Ordering::Relaxed);
    }

    fn last(&self) -> Time {
        Time::from_micros(self.all.load(Ordering::Relaxed).max(self.own.load(Ordering::Relaxed)))
    }
}

/// A token's place in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its state; none for a token that has left the line or was never issued, since a view does not keep when and why.
    pub state: Option<TokenState>,
    /// How many living tokens wait in front of it; 0 unless it waits beyond the cursor.
    pub ahead: i64,
    /// How many of those had been passed over, and have come back.
    pub returned: i64,
    /// How many turns it let pass; a view has 0 while it waits.
    pub turns_passed: u32,
}

impl Place {
    /// How many of those in front of it stand in line beyond the cursor.
    #[must_use]
    pub const fn ahead_in_line(&self) -> i64 {
        self.ahead.saturating_sub(self.returned)
    }

    /// The state without its data: ended if the token has left the line or was never issued.
    #[must_use]
    pub const fn status(&self) -> TokenStatus {
        match self.state {
            Some(state) => state.status(),
            None => TokenStatus::Ended,
        }
    }

    /// When the state ends by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.state.and_then(TokenState::deadline)
    }

    /// The place as the token's row has it.
    #[must_use]
    pub const fn as_in(self, token: &Token) -> Self {
        Self { state: Some(token.state), turns_passed: token.turns_passed, ..self }
    }
}

/// How long a wait will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimate {
    /// By the line's pace.
    Known {
        /// Half of the waiting tokens will have waited no longer.
        p50: Span,
        /// Nine in ten of them will have waited no longer.
        p90: Span,
    },
    /// There is nothing to estimate it from.
    Unknown(WaitUnknown),
}

/// Why a line rests, whatever its gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// The first turns are offered after this span, because the sale has not opened.
    For(Span),
    /// The tokens in the lobby get their order after this span, when the sale opens.
    InLobby(Span),
    /// The order of those in the lobby is being drawn.
    Drawing,
    /// The sale is over, or stands still for an unknown time.
    SaleClosed,
}

/// Why a wait cannot be estimated, as clients read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitUnknown {
    /// The gate is closed for an unknown time.
    Paused,
    /// The sale has not opened, and the line does not move before it does.
    SaleNotOpen,
    /// The order is drawn at the opening: until then nobody is in front of anybody.
    InLobby,
    /// The order is being drawn.
    Drawing,
    /// The sale is over, or stands still until an operator has it go on: so does the line.
    SaleClosed,
    /// No visit has ended yet, from which the pace of the line is measured.
    Measuring,
}

impl RoomView {
    /// The room's settings.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The line's epoch: a token of another epoch is not of this line.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.room.epoch
    }

    /// The highest position that was offered a turn or passed over.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.room.cursor
    }

    /// The highest position given.
    #[must_use]
    pub fn tail(&self) -> Position {
        Position(self.tail.load(Ordering::Acquire).max(self.room.cursor.0))
    }

    /// How many tokens are active, including those past their deadline that are not ended yet.
    #[must_use]
    pub const fn active(&self) -> i64 {
        self.active
    }

    /// How many turns are offered and not claimed.
    #[must_use]
    pub const fn offered(&self) -> i64 {
        self.offered
    }

    /// What is expected of the turns at `now`, by how those before them were claimed.
    #[must_use]
    pub fn turn_outlook(&self, now: Time) -> TurnOutlook {
        let expected = self.expected_claims(now);
        TurnOutlook {
            turns: self.offered,
            coming_ppm: expected.coming,
            shows_ppm: expected.shows,
            leaving_ppm: self.visits.ends_within(self.claims.delay(), now, self.active),
        }
    }

    /// How long a visit that began at `since` has lasted, but for the time in which the box office was down: no visitor
    /// could do anything in it.
    fn visited(&self, since: Time, now: Time) -> Span {
        let lasted = now.since(since).micros();
        Span::from_micros(lasted.saturating_sub(self.outages.down_between(since, now).micros()).max(0))
    }

    /// The same view, of a box office that was down at these times.
    #[must_use]
    pub fn with_outages(mut self, outages: Outages) -> Self {
        self.outages = outages;
        self
    }

    /// Whether a token whose claim found the room full has a place now.
    #[must_use]
    pub fn may_activate_claimed(&self) -> bool {
        self.claimed > 0 && self.active < self.room.max_active_tokens()
    }

    /// How many tokens wait, the unresponsive ones included.
    #[must_use]
    pub fn total_waiting(&self) -> i64 {
        let beyond = self.tail().0 - self.room.cursor.0 - (self.departed.total() - self.departed_to_cursor);
        (beyond - self.undrawn_entries()).max(0) + i64::try_from(self.returned.len()).unwrap_or(i64::MAX)
    }

    /// How many entries wait for the place that is reserved for them: while the order is drawn and the places are given,
    /// each has two positions in the line.
    fn undrawn_entries(&self) -> i64 {
        match self.room.draw {
            DrawPhase::Sealed { last } | DrawPhase::Placing { last, .. } => {
                last.0 - self.departed.rank(Position(last.0 + 1))
            }
            DrawPhase::None | DrawPhase::Lobby | DrawPhase::Placed { .. } => 0,
        }
    }

    /// How many tokens are in this state, of those neither in line beyond the cursor nor ended. It goes through all of
    /// them: for the metrics, not for a poll.
    #[must_use]
    pub fn live_in(&self, status: TokenStatus) -> i64 {
        i64::try_from(self.live.statuses().filter(|one| *one == status).count()).unwrap_or(i64::MAX)
    }

    /// Whether the room has no live token: none waits, is offered, active, missed or dormant.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.live.is_empty() && self.total_waiting() == 0 && !self.room.draw.is_pending()
    }

    /// Whether the line needs a leader, now or later. It needs none once its sale is over and all its live tokens wait:
    /// only a command changes anything there.
    #[must_use]
    pub fn needs_leader(&self, now: Time) -> bool {
        let may_move = !self.room.is_sale_over(now) || self.next_deadline().is_some();
        // An empty lobby waits for its opening alone.
        let is_lobby = self.room.draw == DrawPhase::Lobby && !self.room.may_seal(now);
        may_move && !self.is_quiet() && !is_lobby
    }

    /// The moment that this view is true of: `now`, unless it is a replica.
    #[must_use]
    pub fn as_of(&self, now: Time) -> Time {
        match &self.freshness {
            Freshness::Current => now,
            Freshness::Replica(confirmed) => confirmed.last().min(now),
        }
    }

    /// Whether the view may be behind by more than a second.
    #[must_use]
    pub fn is_stale(&self, now: Time) -> bool {
        now.since(self.as_of(now)) > STALE_AFTER
    }

    /// The same view, as a replica of the line.
    #[must_use]
    pub fn confirmed_by(mut self, confirmed: Confirmed) -> Self {
        self.freshness = Freshness::Replica(confirmed);
        self
    }

    /// Whether the view follows other instances, and so may be behind them.
    #[must_use]
    pub const fn is_replica(&self) -> bool {
        matches!(self.freshness, Freshness::Replica(_))
    }

    /// The same view, rebuilt from its rows, with what the rows lack: how the line was measured to move.
    #[must_use]
    pub fn with_measurements_of(mut self, before: &Self, now: Time) -> Self {
        (self.claims, self.heads, self.visits) = (before.claims, before.heads, before.visits);
        self.told = Arc::clone(&before.told);
        (self.lowest_told, self.settings_number) = (Arc::clone(&before.lowest_told), before.settings_number);
        self.lowest_told.drop_passed(before.room.cursor, self.room.cursor);
        if self.is_told_by(apply::settings(&before.room), before.told_pace) {
            self.told_pace = before.told_pace;
        } else {
            self.forget_told(now);
        }
        self.keep_since_of(before);
        self
    }

    /// Takes over what the rows lack of single tokens: a turn that is still out was not offered just now, and a token that
    /// came back at an unknown time counts for none of those behind it.
    pub(super) fn keep_since_of(&mut self, before: &Self) {
        Arc::make_mut(&mut self.live).keep_since(&before.live);
        self.returned_at = Arc::new(self.live.returns());
    }

    /// Whether the position is beyond the cursor and has departed.
    pub(super) fn has_departed(&self, position: Position) -> bool {
        position > self.room.cursor && self.departed.contains(position)
    }

    /// Whether the token is neither ended nor in line beyond the cursor.
    pub(super) fn is_live(&self, position: Position) -> bool {
        self.live.get(position).is_some()
    }

    /// The tokens that are neither ended nor in line beyond the cursor.
    pub(super) fn live_positions(&self) -> impl Iterator<Item = Position> {
        self.live.positions()
    }

    /// The place of a token of this line and epoch that was issued at `issued_at`: see [`Self::place`]. Those in front of
    /// it are the tokens ahead in line, and those that had come back before it was issued and still wait, since they are
    /// served first. Who comes back later is not counted: so the number never rises.
    ///
    /// A return counts for tokens that were issued more than [`RETURN_KNOWN_AFTER`] later: by then every instance knows
    /// of it, so that no instance learns of a token in front that it did not count before.
    #[must_use]
    pub fn place_of(&self, position: Position, issued_at: Time) -> Place {
        let place = self.place(position);
        if place.state != Some(TokenState::Waiting) || position <= self.room.cursor {
            return place;
        }
        let before = self.returned_at.partition_point(|at| at.plus(RETURN_KNOWN_AFTER) < issued_at);
        let returned = i64::try_from(before).unwrap_or(i64::MAX);
        Place { ahead: place.ahead.saturating_add(returned), returned, ..place }
    }

    /// The place of a token of this line and epoch, by what stands in line beyond the cursor alone. A position above the tail waits: this view may be behind its issue.
    #[must_use]
    pub fn place(&self, position: Position) -> Place {
        if let Some(entry) = self.live.get(position) {
            return Place { state: Some(entry.state), ahead: 0, returned: 0, turns_passed: entry.turns_passed };
        }
        if self.room.draw.is_undrawn(position) && !self.departed.contains(position) {
            return Place { state: Some(TokenState::Waiting), ahead: 0, returned: 0, turns_passed: 0 };
        }
        if position <= self.room.cursor || self.departed.contains(position) {
            return Place { state: None, ahead: 0, returned: 0, turns_passed: 0 };
        }
        Place { state: Some(TokenState::Waiting), ahead: self.ahead(position), returned: 0, turns_passed: 0 }
    }

    /// How many living tokens are ahead of `position` in line beyond the cursor:
    /// `(position − cursor) − departed(cursor, position) − 1`, less the entries of a lobby whose places are counted
    /// instead.
    #[must_use]
    pub fn ahead(&self, position: Position) -> i64 {
        let departed = self.departed.rank(position) - self.departed_to_cursor + self.undrawn_entries();
        position.0.saturating_sub(self.room.cursor.0).saturating_sub(departed).saturating_sub(1).max(0)
    }

    /// Why the line rests at `now`: the first turns are offered no earlier than `lead` before the sale opens, and none
    /// once it is over. None if it may move.
    #[must_use]
    pub fn rest(&self, now: Time, lead: Span) -> Option<Rest> {
        if self.room.is_sale_over(now) {
            return Some(Rest::SaleClosed);
        }
        if self.room.draw == DrawPhase::Lobby
            && let Some(opens_at) = self.room.rests_until(now, Span::ZERO)
        {
            return Some(Rest::InLobby(opens_at.since(now)));
        }
        if self.room.draw.is_pending() {
            return Some(Rest::Drawing);
        }
        self.room.rests_until(now, lead).map(|begins| Rest::For(begins.since(now)))
    }

    /// Who is to have a turn before a token with `ahead` living tokens in front of it, beyond the cursor, at `now`.
    #[must_use]
    pub fn in_front(&self, ahead: i64, now: Time) -> InFront {
        InFront {
            inside: self.active.saturating_add(self.offered),
            // Those who come back are served first.
            waiting: ahead.saturating_add(i64::try_from(self.returned.len()).unwrap_or(i64::MAX)),
            comes_ppm: self.told_forecast(now).comes_ppm(),
        }
    }

    /// Places that are free at `now` or become free while a claim is on its way, less those that are spoken for, in
    /// millionths.
    fn free_ppm(&self, now: Time) -> i64 {
        let leaving = self.visits.ends_within(self.claims.delay(), now, self.active);
        let leaving = leaving.min(self.room.leaving_max_ppm());
        // Each turn as a new one: a poll does not look at all of them.
        let coming = self.offered.saturating_mul(self.claims.claimed_ppm());
        let free = self.room.max_active_tokens().saturating_sub(self.active).max(0).saturating_mul(ALL_PPM);
        free.saturating_add(leaving).saturating_sub(coming).max(0)
    }

    /// How long a token with `ahead` living tokens in front of it, beyond the cursor, will wait from `now` on, in a line that rests for `rest`.
    #[must_use]
    pub fn estimated_wait(&self, ahead: i64, rest: Option<Rest>, now: Time) -> Estimate {
        match rest {
            Some(Rest::SaleClosed) => return Estimate::Unknown(WaitUnknown::SaleClosed),
            _ if self.room.gate == Gate::Paused => return Estimate::Unknown(WaitUnknown::Paused),
            Some(Rest::For(_)) => return Estimate::Unknown(WaitUnknown::SaleNotOpen),
            Some(Rest::InLobby(_)) => return Estimate::Unknown(WaitUnknown::InLobby),
            Some(Rest::Drawing) => return Estimate::Unknown(WaitUnknown::Drawing),
            None => {}
        }
        let forecast = self.told_forecast(now);
        // Those who come back are served first.
        let ahead = ahead.saturating_add(i64::try_from(self.returned.len()).unwrap_or(i64::MAX));
        match (estimated_wait(ahead, &forecast), estimated_wait_p90(ahead, &forecast)) {
            (Some(p50), Some(p90)) => Estimate::Known { p50, p90 },
            _ => Estimate::Unknown(WaitUnknown::Measuring),
        }
    }

    /// Notes what a token that waits for its first turn was told at `now`: it is bound by it ([`Self::told_wait`]), and of a
    /// sample of all tokens it is compared with the wait that comes. No lock.
    pub fn note_told(&self, position: Position, told: ToldWait, now: Time) {
        if position > self.room.cursor {
            self.lowest_told.note(position, told.p50, self.settings_number);
            self.told.note(position, told, (self.total_waiting(), self.room.cursor), now);
        }
    }

    /// How near the told waits were to those that came, by horizon, as far as this instance told them.
    #[must_use]
    pub fn told_waits(&self) -> [ToldTally; ToldHorizon::ALL.len()] {
        self.told.tallies()
    }

    /// The first moment at which a token's state lapses.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.live.next_deadline()
    }

    /// The waiting tokens from the head on: those the cursor has passed, then those beyond it. At most `steps` are
    /// searched.
    pub fn waiting_from_head(&self, steps: usize) -> impl Iterator<Item = Position> {
        let beyond = WaitingBeyond { view: self, next: Position(self.room.cursor.0 + 1), last: self.tail(), steps };
        self.returned.iter().copied().take(steps).chain(beyond)
    }

    /// The tokens that wait though the cursor has passed them, ascending.
    #[must_use]
    pub fn returned(&self) -> &[Position] {
        &self.returned
    }
}

struct WaitingBeyond<'a> {
    view: &'a RoomView,
    next: Position,
    last: Position,
    steps: usize,
}

impl Iterator for WaitingBeyond<'_> {
    type Item = Position;

    fn next(&mut self) -> Option<Position> {
        let found = self.view.departed.next_present(self.next, &mut self.steps);
        if self.steps == 0 || found > self.last {
            return None;
        }
        self.steps -= 1;
        self.next = Position(found.0 + 1);
        Some(found)
    }
}
