//! How long a token will wait.
//!
//! The room is played forward from the present moment: the visits in it grow older and end as the life table of the room's
//! visits says ([`VisitTable`]), the places that become free are taken by those whose turns are out, then by those in
//! line, no faster than the rate, and their visits end in turn. So a room that has just filled, one whose cap was
//! lowered below those inside, and places that silent visitors keep are taken as they are. Of those in front only a share
//! comes in, as the turns before them show. A token's turn is offered when as many places as those in front will take
//! have been given, less the time that a claim takes: a turn is offered for a place that is about to be free.

use super::{
    VisitMemory, VisitTable,
    figure::{figure, fraction, seconds, span},
};
use crate::time::Span;

const ONE_PPM: i64 = 1_000_000;
/// How many steps a room is played forward; later it goes on as it does on average.
const STEPS: usize = 240;
/// How many ages are told apart, of one step each; the oldest stands for all that are older.
const AGES: usize = 160;
/// A mean visit is so many steps.
const STEPS_PER_VISIT: f64 = 16.0;
/// The shortest step, in seconds.
const STEP_MIN: f64 = 0.25;
/// No visit is taken to be endless: at least this share of those of an age ends in a second, and none of the oldest class
/// is in it for longer than this, in seconds.
const HAZARD_MIN: f64 = 1e-6;
const OLDEST: f64 = 1_000.0;
/// What else may change in a crowd, as a share of the places needed.
const CHANGE: f64 = 0.05;
/// How much the share of the tokens that do not come may change, as a share of it. Found by simulated sales: with less, fewer
/// than nine waits in ten are within the p90 where many do not come.
const ABSENCE_CHANGE: f64 = 0.15;
/// By so many places a turn is offered earlier than one is free for it, on average: the leader offers the first turn that may
/// be needed, and takes none back if those before it are claimed after all.
const LEAD: f64 = 1.0;
/// In a small room by this part of its places: no more of them are taken to become free in the time of a claim.
const LEAD_OF_PLACES: f64 = 0.25;
/// So many deviations above the mean lies what nine tenths of a normal distribution do not exceed.
const DEVIATIONS_P90: f64 = 1.28;

/// A room at a moment, as its wait is told from it.
#[derive(Debug, Clone)]
pub struct RoomMoment {
    /// How long visits last, those in the room left out.
    pub visits: VisitTable,
    /// The age of each visit in the room.
    pub ages: Vec<Span>,
    /// How much the room has forgotten of the visits before.
    pub memory: VisitMemory,
    /// How many places the room has.
    pub cap: i64,
    /// The share of them that is taken on average once the room has filled, in millionths.
    pub used_ppm: i64,
    /// How many of the turns that are out will be claimed, in millionths.
    pub coming_ppm: i64,
    /// How long a claim takes.
    pub delay: Span,
    /// How many turns will be offered for each token in front, in millionths: some are not heard of, and others let a
    /// turn pass and come back.
    pub turns_ppm: i64,
    /// The share of those in front that will come in, in millionths.
    pub comes_ppm: i64,
    /// From how many tokens these shares are known.
    pub heads: i64,
    /// The rate, in turns a minute, if there is one.
    pub admit_per_minute: Option<i64>,
}

/// A room played forward: how many places will have been given to those who wait now, and when.
#[derive(Debug, Clone)]
pub struct WaitForecast {
    /// The places that will have been given after each step.
    given: Vec<f64>,
    step: f64,
    /// Places that are given in a second after the last step.
    pace: f64,
    delay: f64,
    comes_ppm: i64,
    heads: f64,
    ends: f64,
    /// By how many places a turn is offered earlier at most.
    lead: f64,
    /// The variance of the length of visits, as a share of the square of its mean.
    spread: f64,
}

/// The chance that a visit ends within a step, by its age in steps.
fn chances(table: &VisitTable, step: f64) -> Vec<f64> {
    let mut classes = table.hazards().peekable();
    let mut age = 0.0;
    let mut chances = Vec::with_capacity(AGES);
    for _ in 0..AGES {
        // These visits are half a step older on average, and grow older by a step: in the middle of it they are a whole
        // one older.
        while classes.peek().is_some_and(|(to, _)| *to <= age + step) {
            classes.next();
        }
        let hazard = classes.peek().map_or(0.0, |(_, hazard)| *hazard);
        // 1 − e^(−h), nearly.
        chances.push((hazard * step / (1.0 + hazard * step / 2.0)).min(1.0));
        age += step;
    }
    chances
}

/// The mean length of a visit, and its variance as a share of the square of the mean.
fn mean_and_spread(table: &VisitTable) -> (f64, f64) {
    let (mut alive, mut from, mut mean, mut square) = (1.0, 0.0, 0.0, 0.0);
    for (to, hazard) in table.hazards() {
        let (hazard, lasts) = (hazard.max(HAZARD_MIN), (to - from).min(OLDEST));
        let stays = (-hazard * lasts).exp();
        let time = alive * (1.0 - stays) / hazard;
        mean += time;
        // ∫ 2 t S(t) dt over the class.
        square += 2.0 * (from * time + alive * ((1.0 - stays) / hazard - lasts * stays) / hazard);
        alive *= stays;
        from = to;
    }
    (mean, (square / (mean * mean) - 1.0).max(0.0))
}

impl WaitForecast {
    /// Plays a room forward.
    #[must_use]
    pub fn of(room: &RoomMoment) -> Self {
        let mut table = room.visits;
        for age in &room.ages {
            table.note_time(*age, room.memory);
        }
        let (mean, spread) = mean_and_spread(&table);
        let step = (mean / STEPS_PER_VISIT).max(STEP_MIN);
        let chances = chances(&table, step);
        let cap = figure(room.cap.max(0)) * fraction(room.used_ppm, ONE_PPM);
        let mut inside = vec![0.0; AGES];
        for age in &room.ages {
            let at = usize::try_from(span(seconds(*age) / step).micros() / ONE_PPM).unwrap_or(0).min(AGES - 1);
            if let Some(count) = inside.get_mut(at) {
                *count += 1.0;
            }
        }
        let turns = fraction(room.turns_ppm, ONE_PPM).max(0.01);
        let comes_ppm = room.comes_ppm;
        let comes = fraction(comes_ppm, ONE_PPM);
        let by_rate = room.admit_per_minute.map(|rate| figure(rate.max(1)) / 60.0 * comes / turns);
        let delay = seconds(room.delay);
        let mut coming = fraction(room.coming_ppm, ONE_PPM);
        let mut earned = by_rate.unwrap_or(0.0) * delay;
        let mut taken = 0.0;
        let mut given = Vec::with_capacity(STEPS);
        let ends = table.ends();
        for _ in 0..STEPS {
            let free = cap - inside.iter().sum::<f64>();
            let by_turns = free.min(coming).max(0.0);
            coming -= by_turns;
            let mut by_line = (free - by_turns).max(0.0);
            if by_rate.is_some() {
                by_line = by_line.min(earned);
                earned = (earned - by_line).min(1.0);
            }
            taken += by_line;
            given.push(taken);
            if ends <= 0.0 {
                break;
            }
            if let Some(new) = inside.first_mut() {
                *new += by_turns + by_line;
            }
            let mut older = 0.0;
            for (count, chance) in inside.iter_mut().zip(&chances) {
                let stay = *count * (1.0 - chance);
                *count = std::mem::replace(&mut older, stay);
            }
            if let Some(oldest) = inside.last_mut() {
                *oldest += older;
            }
            earned += by_rate.unwrap_or(0.0) * step;
        }
        let pace = if ends > 0.0 { (cap / mean).min(by_rate.unwrap_or(f64::MAX)) } else { 0.0 };
        let lead = LEAD.min(LEAD_OF_PLACES * figure(room.cap.max(0)));
        Self { given, step, pace, delay, comes_ppm, heads: figure(room.heads), ends, lead, spread }
    }

    /// When so many places will have been given, in seconds; none if that cannot be said.
    fn when(&self, places: f64) -> Option<f64> {
        let after = self.given.partition_point(|given| *given < places);
        let from = after.checked_sub(1).and_then(|before| self.given.get(before)).copied().unwrap_or(0.0);
        match self.given.get(after) {
            Some(_) if after == 0 => Some(0.0),
            Some(to) => Some((figure_of(after) - 1.0 + (places - from) / (to - from).max(1e-9)) * self.step),
            None if self.pace > 0.0 => Some((figure_of(after) - 1.0) * self.step + (places - from) / self.pace),
            None => None,
        }
    }

    /// The share of the tokens in front that will come in, in millionths.
    #[must_use]
    pub const fn comes_ppm(&self) -> i64 {
        self.comes_ppm
    }

    fn comes(&self) -> f64 {
        fraction(self.comes_ppm, ONE_PPM)
    }

    /// How many places those in front take, and the token itself about.
    fn places(&self, ahead: i64) -> f64 {
        figure(ahead.max(0)) * self.comes() + 0.5
    }
}

fn figure_of(count: usize) -> f64 {
    figure(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The estimated wait (예상대기시간계산) of a token with `ahead` live tokens in front of it. None if too little was
/// measured.
#[must_use]
pub fn estimated_wait(ahead: i64, forecast: &WaitForecast) -> Option<Span> {
    let places = forecast.places(ahead);
    let free = forecast.when(places)?;
    // Those in front alone can be offered too many turns.
    let lead = forecast.lead.min((places - 0.5) / 2.0);
    let when = forecast.when(places - lead).unwrap_or(free);
    Some(span((when - forecast.delay).max(0.0)))
}

/// The wait that nine in ten will not exceed: 1.28 deviations above the estimate, which cover nine tenths of a normal
/// distribution. It adds up how the places that become free in a time vary, how many of those in front come, and how well
/// both are known from the visits and turns before.
#[must_use]
pub fn estimated_wait_p90(ahead: i64, forecast: &WaitForecast) -> Option<Span> {
    let (places, front) = (forecast.places(ahead), figure(ahead.max(0)));
    let of_comes = forecast.comes() * (1.0 - forecast.comes());
    let of_front = front * of_comes + front * front * of_comes / forecast.heads.max(1.0);
    let of_ends = places * forecast.spread + places * places * forecast.spread / forecast.ends.max(1.0);
    let change = [places * CHANGE, front * (1.0 - forecast.comes()) * ABSENCE_CHANGE];
    let of_change: f64 = change.iter().map(|deviation| deviation * deviation).sum();
    let deviation = (of_front + of_ends + of_change).sqrt();
    let estimate = estimated_wait(ahead, forecast)?;
    // Places that are free are known to be.
    let Some(when) = forecast.when(places + 0.5 + DEVIATIONS_P90 * deviation) else { return Some(estimate) };
    Some(estimate.max(span((when - forecast.delay).max(0.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten places, each of which was taken at another second of the last twenty, visits of twenty seconds, and a crowd of
    /// whom all come.
    fn steady() -> RoomMoment {
        let mut visits = VisitTable::default();
        for _ in 0..200 {
            visits.note_end(Span::from_secs(20), VisitMemory::of(10, 0));
        }
        RoomMoment {
            visits,
            ages: (0..10).map(|number| Span::from_secs(2 * number)).collect(),
            memory: VisitMemory::of(10, 500_000),
            cap: 10,
            used_ppm: ONE_PPM,
            coming_ppm: 0,
            delay: Span::ZERO,
            turns_ppm: ONE_PPM,
            comes_ppm: ONE_PPM,
            heads: 100,
            admit_per_minute: None,
        }
    }

    fn told(ahead: i64, room: &RoomMoment) -> Option<i64> {
        estimated_wait(ahead, &WaitForecast::of(room)).map(|wait| wait.millis() / 1_000)
    }

    #[test]
    fn the_wait_is_the_time_in_which_as_many_places_become_free_as_those_in_front_take() {
        let wait = told(40, &steady()).unwrap();
        assert!((72..=92).contains(&wait), "{wait}");
        let half = RoomMoment { comes_ppm: ONE_PPM / 2, ..steady() };
        let wait = told(80, &half).unwrap();
        assert!((72..=92).contains(&wait), "half of them come: {wait}");
        let far = told(1_000, &steady()).unwrap();
        assert!((1_850..=2_200).contains(&far), "beyond what is played forward: {far}");
    }

    #[test]
    fn a_change_of_cap_counts_at_once_and_those_inside_may_stay() {
        let before = told(40, &steady()).unwrap();
        let wider = told(40, &RoomMoment { cap: 20, ..steady() }).unwrap();
        assert!((before * 3 / 10..before * 6 / 10).contains(&wider), "{wider}");
        assert_eq!(told(9, &RoomMoment { cap: 0, ..steady() }), None);
        // Given a cap that was lowered to five, then five must leave before the first comes in.
        let narrow = told(0, &RoomMoment { cap: 5, ..steady() }).unwrap();
        assert!((5..=14).contains(&narrow), "{narrow}");
    }

    #[test]
    fn a_rate_and_turns_that_are_out_make_the_wait_longer() {
        let slow = RoomMoment { admit_per_minute: Some(6), ..steady() };
        let wait = told(9, &slow).unwrap();
        assert!((80..=100).contains(&wait), "{wait}");
        let ghosts = RoomMoment { turns_ppm: ONE_PPM / 2, comes_ppm: ONE_PPM / 2, ..slow };
        let wait = told(9, &ghosts).unwrap();
        assert!((38..=52).contains(&wait), "ghosts use no turns: {wait}");
        let taken = RoomMoment { coming_ppm: 10 * ONE_PPM, ..steady() };
        let (wait, without) = (told(10, &taken).unwrap(), told(20, &steady()).unwrap());
        assert!((without - 1..=without + 1).contains(&wait), "{wait}, {without}");
    }

    #[test]
    fn nothing_is_known_before_a_visit_has_ended_unless_a_place_is_free() {
        let new = RoomMoment { visits: VisitTable::default(), ..steady() };
        assert_eq!(told(0, &new), None);
        let free = RoomMoment { ages: Vec::new(), cap: 4, ..new };
        assert_eq!((told(3, &free), told(4, &free)), (Some(0), None));
        assert_eq!(estimated_wait_p90(3, &WaitForecast::of(&free)), Some(Span::ZERO));
    }

    #[test]
    fn the_fewer_visits_and_turns_were_measured_the_wider_is_the_range() {
        let range = |room: &RoomMoment| {
            let forecast = WaitForecast::of(room);
            estimated_wait_p90(99, &forecast).unwrap().micros() - estimated_wait(99, &forecast).unwrap().micros()
        };
        let mut few = VisitTable::default();
        for _ in 0..4 {
            few.note_end(Span::from_secs(20), VisitMemory::of(10, 0));
        }
        let half = RoomMoment { comes_ppm: ONE_PPM / 2, ..steady() };
        assert!(range(&RoomMoment { visits: few, ..steady() }) > range(&steady()));
        assert!(range(&RoomMoment { heads: 10, ..half.clone() }) > range(&half));
    }
}
