//! The wait that a line is told, worked out once a second for all who ask.

use super::RoomView;
use arc_swap::ArcSwapOption;
use frontrow_domain::{
    line::{Room, RoomMoment, WaitForecast},
    time::{Span, Time},
};
use std::sync::Arc;

/// A forecast is told for this long: what changes within it is less than what a wait is known by.
const TOLD_FOR: Span = Span::from_secs(1);

/// A room that has filled is taken to be used to at least this share, in millionths: what a rate leaves empty is empty by
/// the rate.
const USED_MIN_PPM: i64 = 960_000;

/// The forecast that is told now. All views of a line share it.
#[derive(Debug, Default)]
pub(super) struct ToldForecast(ArcSwapOption<Forecasted>);

#[derive(Debug)]
struct Forecasted {
    at: Time,
    /// The settings that it goes by: when they change, it is worked out again at once.
    settings: (i64, Option<i64>, Time),
    forecast: WaitForecast,
}

fn settings(room: &Room) -> (i64, Option<i64>, Time) {
    (room.max_active_tokens(), room.turns_per_minute(), room.updated_at)
}

impl RoomView {
    /// How this line will move from `now` on, as it is told to those in it.
    pub(super) fn told_forecast(&self, now: Time) -> SharedForecast {
        let told = self.forecast.0.load_full();
        let is_current = |told: &Arc<Forecasted>| {
            told.settings == settings(&self.room) && told.at <= now && now.since(told.at) < TOLD_FOR
        };
        let forecasted = told.filter(is_current).unwrap_or_else(|| {
            let forecast = WaitForecast::of(&self.moment(now));
            let new = Arc::new(Forecasted { at: now, settings: settings(&self.room), forecast });
            self.forecast.0.store(Some(Arc::clone(&new)));
            new
        });
        SharedForecast(forecasted)
    }

    /// What is expected at `now` of the turns that are out.
    pub(super) fn expected_claims(&self, now: Time) -> ExpectedClaims {
        let turns: Vec<_> = self.live.turns().map(|turn| (turn.age(now), turn.weight)).collect();
        let chances = self.claims.chances(turns.iter().map(|(age, _)| *age));
        let mut expected = ExpectedClaims { coming: 0, weighed: 0, shows: chances.ppm_of_new() };
        for (age, weight) in turns {
            let chance = chances.ppm_of(age);
            expected.coming += chance;
            expected.weighed += weight.of_ppm(chance);
        }
        expected
    }

    /// The room at `now`, as its wait is told from it.
    fn moment(&self, now: Time) -> RoomMoment {
        let expected = self.expected_claims(now);
        RoomMoment {
            visits: *self.visits.table(),
            ages: self.live.active_since().map(|since| self.visited(since, now)).collect(),
            memory: self.visits.memory(now, (self.room.max_active_tokens(), self.active)),
            cap: self.room.max_active_tokens(),
            used_ppm: self.visits.used_ppm().max(USED_MIN_PPM),
            coming_ppm: expected.coming,
            delay: self.claims.delay(),
            turns_ppm: self.heads.turns_ppm(),
            comes_ppm: self.heads.comes_ppm(expected.weighed),
            heads: self.heads.heads(),
            admit_per_minute: self.room.turns_per_minute(),
        }
    }
}

/// How many claims are expected, in millionths.
pub(super) struct ExpectedClaims {
    /// Of the turns that are out.
    pub(super) coming: i64,
    /// The same by the weights of their tokens.
    weighed: i64,
    /// Of a turn that is offered now.
    pub(super) shows: i64,
}

/// A forecast that is told.
pub(super) struct SharedForecast(Arc<Forecasted>);

impl std::ops::Deref for SharedForecast {
    type Target = WaitForecast;

    fn deref(&self) -> &WaitForecast {
        &self.0.forecast
    }
}
