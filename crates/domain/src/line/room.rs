//! A waiting room: its cap, its rate and its gate, and how many turns it may offer.

use super::{ContradictoryColumns, CountedFrom, DrawPhase, LaneOf, LinePeaks, RoomWeight, TurnOutlook, TurnUrl};
use crate::{
    id::{Position, RoomId},
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// Whether the line moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Turns are offered.
    Open,
    /// No turn is offered until an operator opens the gate. Offered turns may still be claimed.
    Paused,
}

/// The number of a line's leader, higher than all earlier ones. It shows when a replaced leader acts without knowing
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fence(pub i64);

/// The other site that a room without a concert stands in front of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSite {
    /// The name that visitors see.
    pub name: String,
    /// Where a turn leads.
    pub turn_url: TurnUrl,
}

impl RoomSite {
    /// The site of a room's row: it has both columns or none.
    ///
    /// # Errors
    /// It has one of them, or the address is none that a turn may open.
    pub fn of_columns(name: Option<String>, turn_url: Option<&str>) -> Result<Option<Self>, ContradictoryColumns> {
        let broken = ContradictoryColumns { table: "room" };
        match (name, turn_url) {
            (None, None) => Ok(None),
            (Some(name), Some(turn_url)) => {
                turn_url.parse().map(|turn_url| Some(Self { name, turn_url })).map_err(|_| broken)
            }
            _ => Err(broken),
        }
    }
}

/// A waiting room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Which room.
    pub room_id: RoomId,
    /// How many tokens may be active at once. Never exceeded.
    pub max_active: i64,
    /// How many turns may be offered in a minute; none for as many as `max_active` allows.
    pub admit_per_minute: Option<i64>,
    /// Whether the line moves.
    pub gate: Gate,
    /// The message to all clients in line.
    pub message: Option<String>,
    /// The highest position that was offered a turn or passed over; 0 before the first.
    pub cursor: Position,
    /// Raised when the line is renewed; tokens of another epoch are not of this line.
    pub epoch: i64,
    /// The smoothed share of turns that are not claimed, in millionths.
    pub no_show_ppm: i64,
    /// Millionths of a turn that the rate has earned and not spent.
    #[serde(skip)]
    pub credit_ppm: i64,
    /// Up to when the rate's credit was counted.
    #[serde(skip)]
    pub credit_at: Time,
    /// The leader that moved the line last: one with a lower number moves it no more.
    #[serde(skip)]
    pub fence: Fence,
    /// When the sale of the concert opens whose own room it is, or the room of a site; none for the house room.
    pub opens_at: Option<Time>,
    /// When that sale is over: it closes, or was stopped before; or when the room of a site was closed. None for the
    /// house room.
    pub closes_at: Option<Time>,
    /// Whether the line begins with a draw, and how far that is.
    #[serde(default)]
    pub draw: DrawPhase,
    /// The other site; none for the house room and the rooms of concerts.
    pub site: Option<RoomSite>,
    /// How much of the house's budget is its, beside the other rooms.
    #[serde(default)]
    pub weight: RoomWeight,
    /// How many tokens may be active in all rooms together; none for no limit, and in every room but the house room.
    #[serde(default)]
    pub house_budget: Option<i64>,
    /// How many tokens may be active here at once just now; none if nothing is shared with other lines.
    #[serde(default)]
    pub allotment: Option<i64>,
    /// How many turns a minute this line may offer just now, if it shares a rate with other lines.
    #[serde(default)]
    pub rate_share: Option<i64>,
    /// When its share last changed.
    #[serde(skip)]
    pub allotted_at: Time,
    /// When the places of the house were last shared by its budget: if a setting changed later, the shares may be of
    /// another budget. None before the first time, and in every room but the house room.
    #[serde(skip)]
    pub shared_at: Option<Time>,
    /// What it is a lane of; none for a general line.
    #[serde(default)]
    pub lane: Option<LaneOf>,
    /// What was the most in this line.
    #[serde(skip)]
    pub peaks: LinePeaks,
    /// When a setting last changed.
    pub updated_at: Time,
}

/// One turn, in millionths, the unit of credit and shares.
const ONE_PPM: i64 = 1_000_000;

/// The leader of a line that waits for its rate looks again within this time.
const LOOKED_AT_WITHIN: Span = Span::from_millis(250);

/// The speed at which the no-show share adapts: one part in 32 a turn.
const NO_SHOW_WEIGHT: i64 = 32;

/// Offers may exceed the free places by at most this much, in millionths, if nothing is expected of them: 1.5 ×.
const OVERCOMMIT_MAX_PPM: i64 = 1_500_000;
/// Of new turns at least this share is taken to be claimed, in millionths: at most three are offered for a place.
const SHOWS_MIN_PPM: i64 = 333_333;
/// Of the places at most this share is taken to become free in the time of a claim, in millionths: a quarter.
const LEAVING_MAX_PPM: i64 = 250_000;
/// So many turns for each place of the room may be outstanding; nearly all of them stay unclaimed.
const OUTSTANDING_MAX: i64 = 5;

impl Room {
    /// A room with the default settings.
    #[must_use]
    pub const fn new(room_id: RoomId, max_active: i64, now: Time) -> Self {
        Self {
            room_id,
            max_active,
            admit_per_minute: None,
            gate: Gate::Open,
            message: None,
            cursor: Position(0),
            epoch: 1,
            no_show_ppm: 0,
            credit_ppm: 0,
            credit_at: now,
            fence: Fence(0),
            opens_at: None,
            closes_at: None,
            draw: DrawPhase::None,
            site: None,
            weight: RoomWeight::DEFAULT,
            house_budget: None,
            allotment: None,
            rate_share: None,
            allotted_at: now,
            shared_at: None,
            lane: None,
            peaks: LinePeaks::NONE,
            updated_at: now,
        }
    }

    /// Whether this version of the row is older than another. Each of these columns only grows within an epoch.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.epoch < other.epoch
            || (self.epoch == other.epoch
                && (self.fence < other.fence
                    || self.cursor < other.cursor
                    || self.credit_at < other.credit_at
                    || self.allotted_at < other.allotted_at
                    || self.shared_at < other.shared_at
                    || self.updated_at < other.updated_at))
    }

    /// Whether its counts and peaks are those of all tokens that were ever in its line. If not, no report can be made of
    /// them.
    #[must_use]
    pub fn is_counted_from_start(&self) -> bool {
        self.peaks.counted_from == CountedFrom::Start
    }

    /// How many tokens may be active at once (최대활성토큰수조회): as many as the room's cap allows, and its share of what it
    /// shares with other lines.
    #[must_use]
    pub fn max_active_tokens(&self) -> i64 {
        self.allotment.map_or(self.max_active, |allotment| allotment.min(self.max_active))
    }

    /// How many turns may be offered in a minute, by the rate or by the line's share of it; none for as many as the cap
    /// allows.
    #[must_use]
    pub fn turns_per_minute(&self) -> Option<i64> {
        self.admit_per_minute.map(|rate| self.rate_share.map_or(rate, |share| share.min(rate)))
    }

    /// Gives the line its share, if it has another. Returns whether it had.
    pub fn give_share(&mut self, allotment: Option<i64>, rate_share: Option<i64>, now: Time) -> bool {
        let is_new = (self.allotment, self.rate_share) != (allotment, rate_share);
        if is_new {
            (self.allotment, self.rate_share) = (allotment, rate_share);
            self.allotted_at = now.max(self.allotted_at.plus(Span::from_micros(1)));
        }
        is_new
    }

    /// Records whether a turn was claimed.
    pub fn note_turn(&mut self, turn: Turn) {
        let sample = match turn {
            Turn::Claimed => 0,
            Turn::Unclaimed => ONE_PPM,
        };
        let step = sample.saturating_sub(self.no_show_ppm).saturating_div(NO_SHOW_WEIGHT);
        self.no_show_ppm = self.no_show_ppm.saturating_add(step).clamp(0, ONE_PPM);
    }

    /// When the first turns are offered, `lead` before the sale opens; none if the sale's opening allows turns at
    /// `now`.
    #[must_use]
    pub fn rests_until(&self, now: Time, lead: Span) -> Option<Time> {
        self.opens_at.map(|opens_at| opens_at.minus(lead)).filter(|begins| now < *begins)
    }

    /// Whether the sale is over at `now`, for good or until an operator resumes it: the line keeps its order and no
    /// turn is offered. Offered turns may still be claimed, and holds may be paid as far as the concert allows.
    #[must_use]
    pub fn is_sale_over(&self, now: Time) -> bool {
        self.closes_at.is_some_and(|closes_at| now >= closes_at)
    }

    /// Whether it is the room of a site and was closed, for good.
    #[must_use]
    pub fn is_closed_for_good(&self, now: Time) -> bool {
        self.site.is_some() && self.is_sale_over(now)
    }

    /// How many turns may be offered now; earns credit but spends none. Zero until `lead` before the sale opens, and
    /// after its end. Two caps, and the tighter binds.
    ///
    /// With an outlook, turns are offered for the places that are free or become free in the time of a claim, less the
    /// turns that will be claimed, each for the share of turns that are: see [`TurnOutlook`]. Without one, free places
    /// are over-committed by the measured no-show share p: `free ÷ (1 − p)`, at most 1.5 × free.
    #[must_use]
    pub fn turns_to_offer(
        &mut self,
        (active, offered): (i64, i64),
        outlook: Option<&TurnOutlook>,
        now: Time,
        lead: Span,
    ) -> i64 {
        self.earn_credit(now);
        self.turns_available((active, offered), outlook, now, lead)
    }

    /// The result of [`Self::turns_to_offer`] at `now`, without earning credit: whether an advance is worth a command.
    #[must_use]
    pub fn turns_available(
        &self,
        (active, offered): (i64, i64),
        outlook: Option<&TurnOutlook>,
        now: Time,
        lead: Span,
    ) -> i64 {
        if !self.may_move(now, lead) {
            return 0;
        }
        let shows_ppm = ONE_PPM.saturating_sub(self.no_show_ppm).max(1);
        let over_ppm = ONE_PPM.saturating_mul(ONE_PPM).checked_div(shows_ppm).unwrap_or(ONE_PPM);
        let want = outlook.map_or_else(
            || self.turns_at(over_ppm.min(OVERCOMMIT_MAX_PPM), active, offered),
            |outlook| self.turns_expected(active, offered, outlook),
        );
        match self.turns_per_minute() {
            None => want,
            Some(per_minute) => want.min(self.credit_ppm_at(per_minute, now).saturating_div(ONE_PPM)),
        }
    }

    /// How many places at most are taken to become free in the time of a claim, in millionths.
    #[must_use]
    pub fn leaving_max_ppm(&self) -> i64 {
        self.max_active_tokens().max(0).saturating_mul(LEAVING_MAX_PPM)
    }

    /// Whether [`Self::turns_available`] may be above zero without an outlook, whatever the no-show share is and the rate
    /// has earned.
    #[must_use]
    pub fn may_offer(&self, active: i64, offered: i64, now: Time, lead: Span) -> bool {
        self.may_move(now, lead) && self.turns_at(OVERCOMMIT_MAX_PPM, active, offered) > 0
    }

    /// Whether the gate is open, no draw stands before the first turn, and the sale has begun, less the lead, and is not
    /// over.
    #[must_use]
    pub fn may_move(&self, now: Time, lead: Span) -> bool {
        self.gate == Gate::Open
            && !self.draw.is_pending()
            && !self.is_sale_over(now)
            && self.rests_until(now, lead).is_none()
    }

    /// Whether the order of those who wait for the opening may still change: the line leads to one sale, which has not
    /// opened, and no turn was offered.
    #[must_use]
    pub fn may_reorder(&self, now: Time) -> bool {
        self.opens_at.is_some_and(|opens_at| now < opens_at)
            && self.cursor.0 == 0
            && matches!(self.draw, DrawPhase::None | DrawPhase::Lobby)
    }

    /// Whether the lobby is open and may be sealed: the sale has opened, and is not over.
    #[must_use]
    pub fn may_seal(&self, now: Time) -> bool {
        self.draw == DrawPhase::Lobby && self.rests_until(now, Span::ZERO).is_none() && !self.is_sale_over(now)
    }

    /// How many turns are missing if the outstanding ones are `over_ppm` of the free places.
    fn turns_at(&self, over_ppm: i64, active: i64, offered: i64) -> i64 {
        let free = self.max_active_tokens().saturating_sub(active).max(0);
        free.saturating_mul(over_ppm).saturating_div(ONE_PPM).saturating_sub(offered).max(0)
    }

    /// How many turns are missing for the places, by what is expected of the outstanding ones and of new ones.
    fn turns_expected(&self, active: i64, offered: i64, outlook: &TurnOutlook) -> i64 {
        let cap = self.max_active_tokens().max(0);
        let free = cap.saturating_sub(active).max(0).saturating_mul(ONE_PPM);
        let leaving = outlook.leaving_ppm.clamp(0, self.leaving_max_ppm());
        let shows = outlook.shows_ppm.clamp(SHOWS_MIN_PPM, ONE_PPM);
        // Turns that the leader has not heard of count as new ones.
        let unseen = offered.saturating_sub(outlook.turns).max(0).saturating_mul(shows);
        let coming = outlook.coming_ppm.saturating_add(unseen).clamp(0, offered.max(0).saturating_mul(ONE_PPM));
        let missing = free.saturating_add(leaving).saturating_sub(coming);
        let turns = missing.saturating_add(shows.saturating_div(2)).checked_div(shows).unwrap_or(0);
        let outstanding_max = cap.saturating_mul(OUTSTANDING_MAX).max(1);
        turns.min(outstanding_max.saturating_sub(offered)).max(0)
    }

    /// Spends the credit of `turns` offered turns.
    pub fn spend_credit(&mut self, turns: i64) {
        self.credit_ppm = self.credit_ppm.saturating_sub(turns.saturating_mul(ONE_PPM)).max(0);
    }

    fn earn_credit(&mut self, now: Time) {
        self.credit_ppm = self.turns_per_minute().map_or(0, |per_minute| self.credit_ppm_at(per_minute, now));
        self.credit_at = self.credit_at.max(now);
    }

    /// Credit grows with the rate and is kept for one second at most (one turn at least): none is banked. What is earned
    /// until the leader looks again is not lost, so that the rate is kept to the turn.
    fn credit_ppm_at(&self, per_minute: i64, now: Time) -> i64 {
        let elapsed = now.since(self.credit_at).micros();
        // micros × turns a minute ÷ 60 s is millionths of a turn, since both are counted in millionths.
        let earned = elapsed.saturating_mul(per_minute).saturating_div(60);
        let a_second = per_minute.saturating_mul(ONE_PPM).saturating_div(60);
        let until_looked_at = a_second.saturating_mul(LOOKED_AT_WITHIN.millis()).saturating_div(1_000);
        self.credit_ppm.saturating_add(earned).min(a_second.max(ONE_PPM).saturating_add(until_looked_at))
    }
}

/// Whether a turn was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The token was activated.
    Claimed,
    /// The time to claim passed.
    Unclaimed,
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_micros(1_000_000_000);

    fn room() -> Room {
        Room::new(RoomId::HOUSE, 10, START)
    }

    #[test]
    fn turns_fill_the_free_places_and_no_more() {
        assert_eq!(room().turns_to_offer((0, 0), None, START, Span::ZERO), 10);
        assert_eq!(room().turns_to_offer((7, 2), None, START, Span::ZERO), 1);
        assert_eq!(room().turns_to_offer((12, 0), None, START, Span::ZERO), 0);
    }

    #[test]
    fn a_rate_is_kept_to_the_turn_though_the_leader_looks_late() {
        for (per_minute, late) in [(60, 100), (60, 46), (7, 250), (50, 99), (120, 100), (3_000, 100)] {
            let mut room = room();
            room.admit_per_minute = Some(per_minute);
            // Whatever was saved up before, a long rest gives a second's worth and no more.
            let rested = START.plus(Span::from_secs(600));
            let burst = room.clone().turns_to_offer((0, 0), None, rested, Span::ZERO);
            assert!(burst <= (per_minute / 60).max(1) * 13 / 10, "{burst} at once at {per_minute} a minute");
            // Given a line that always waits, and a leader that looks every so many milliseconds.
            let (mut now, mut offered) = (START, 0);
            while now < START.plus(Span::from_secs(600)) {
                now = now.plus(Span::from_millis(late));
                let turns = room.turns_to_offer((0, 0), None, now, Span::ZERO);
                room.spend_credit(turns);
                offered += turns;
            }
            assert!((10 * per_minute - 1..=10 * per_minute).contains(&offered), "{offered} at {per_minute} a minute");
        }
    }

    #[test]
    fn no_shows_are_made_up_for_by_half_at_most() {
        let mut room = room();
        for _ in 0..1_000 {
            room.note_turn(Turn::Unclaimed);
        }
        assert_eq!(room.turns_to_offer((0, 0), None, START, Span::ZERO), 15);
    }

    #[test]
    fn the_turns_available_are_those_that_an_advance_would_offer() {
        let mut room = room();
        for (turn, rate) in (0..200).zip([None, Some(60), Some(1_000)].into_iter().cycle()) {
            let now = START.plus(Span::from_millis(37 * turn));
            room.admit_per_minute = rate;
            for (active, offered) in [(0, 0), (3, 2), (9, 1), (10, 0), (12, 4)] {
                let available = room.turns_available((active, offered), None, now, Span::ZERO);
                assert_eq!(
                    room.turns_to_offer((active, offered), None, now, Span::ZERO),
                    available,
                    "{turn}: {active}, {offered}"
                );
            }
            room.spend_credit(1);
            room.note_turn(if turn < 150 { Turn::Unclaimed } else { Turn::Claimed });
        }
        room.gate = Gate::Paused;
        assert_eq!(room.turns_available((0, 0), None, START, Span::ZERO), 0);
    }

    #[test]
    fn a_turn_may_be_offered_if_one_is_available_at_the_highest_no_show_share() {
        let (mut room, lead) = (room(), Span::from_secs(5));
        room.no_show_ppm = ONE_PPM;
        (room.opens_at, room.closes_at) = (Some(START), Some(START.plus(Span::from_secs(60))));
        for (gate, seconds) in [(Gate::Open, -6), (Gate::Open, -5), (Gate::Open, 60), (Gate::Paused, 0)] {
            room.gate = gate;
            let now = START.plus(Span::from_secs(seconds));
            for (active, offered) in (0..=12).flat_map(|active| (0..=16).map(move |offered| (active, offered))) {
                let is_available = room.turns_available((active, offered), None, now, lead) > 0;
                let case = format!("{gate:?} at {seconds} s: {active}, {offered}");
                assert_eq!(room.may_offer(active, offered, now, lead), is_available, "{case}");
            }
        }
        room.gate = Gate::Open;
        (room.no_show_ppm, room.admit_per_minute) = (0, Some(60));
        assert!(room.may_offer(0, 14, START, lead) && !room.may_offer(0, 15, START, lead), "without credit too");
    }

    #[test]
    fn a_row_is_older_if_its_epoch_is_or_any_column_that_only_grows_within_one() {
        let new = Room { shared_at: Some(START), ..room() };
        let before = START.minus(Span::from_micros(1));
        for old in [
            Room { fence: Fence(-1), ..new.clone() },
            Room { cursor: Position(-1), ..new.clone() },
            Room { credit_at: before, ..new.clone() },
            Room { updated_at: before, ..new.clone() },
            Room { allotted_at: before, ..new.clone() },
            Room { shared_at: Some(before), ..new.clone() },
            Room { shared_at: None, ..new.clone() },
        ] {
            assert!(old.is_older_than(&new) && !new.is_older_than(&old), "{old:?}");
            let renewed = Room { epoch: 2, ..old };
            assert!(new.is_older_than(&renewed) && !renewed.is_older_than(&new), "{renewed:?}");
        }
        assert!(!new.is_older_than(&new));
    }

    #[test]
    fn without_credit_no_turn_is_available_until_the_rate_has_earned_one() {
        let mut room = room();
        room.admit_per_minute = Some(60);
        assert_eq!(room.turns_available((0, 0), None, START.plus(Span::from_millis(999)), Span::ZERO), 0);
        assert_eq!(room.turns_available((0, 0), None, START.plus(Span::from_millis(1_000)), Span::ZERO), 1);
        assert_eq!(room.credit_at, START, "to ask earns nothing");
    }

    #[test]
    fn the_rate_binds_and_banks_no_credit() {
        let mut room = room();
        room.admit_per_minute = Some(120);
        assert_eq!(room.turns_to_offer((0, 0), None, START, Span::ZERO), 0);
        assert_eq!(room.turns_to_offer((0, 0), None, START.plus(Span::from_millis(500)), Span::ZERO), 1);
        room.spend_credit(1);
        assert_eq!(room.turns_to_offer((0, 0), None, START.plus(Span::from_secs(3_600)), Span::ZERO), 2);
    }

    #[test]
    fn a_paused_gate_offers_nothing() {
        let mut room = room();
        room.gate = Gate::Paused;
        assert_eq!(room.turns_to_offer((0, 0), None, START, Span::ZERO), 0);
    }

    #[test]
    fn nothing_is_offered_before_the_sale_opens_less_the_lead() {
        let (mut room, lead) = (room(), Span::from_secs(5));
        let opens_at = START.plus(Span::from_secs(60));
        room.opens_at = Some(opens_at);
        let begins = opens_at.minus(lead);
        let just_before = begins.minus(Span::from_micros(1));
        assert_eq!(
            (
                room.turns_to_offer((0, 0), None, just_before, lead),
                room.turns_available((0, 0), None, just_before, lead)
            ),
            (0, 0)
        );
        assert_eq!(room.rests_until(just_before, lead), Some(begins));
        assert_eq!(
            (room.turns_to_offer((0, 0), None, begins, lead), room.turns_available((0, 0), None, begins, lead)),
            (10, 10)
        );
        assert_eq!(room.rests_until(begins, lead), None);
    }

    #[test]
    fn nothing_is_offered_from_the_end_of_the_sale_on() {
        let mut room = room();
        let closes_at = START.plus(Span::from_secs(60));
        room.closes_at = Some(closes_at);
        let just_before = closes_at.minus(Span::from_micros(1));
        let turns = |room: &mut Room, now| {
            (room.turns_to_offer((0, 0), None, now, Span::ZERO), room.turns_available((0, 0), None, now, Span::ZERO))
        };
        assert_eq!(turns(&mut room, just_before), (10, 10));
        assert_eq!(turns(&mut room, closes_at), (0, 0));
        room.closes_at = Some(closes_at.plus(Span::from_secs(1)));
        assert_eq!(turns(&mut room, closes_at), (10, 10), "the sale goes on");
    }
}
