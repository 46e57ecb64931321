//! When clients are to poll again.

use super::{ALL_PPM, Estimate, Place, Rest, RoomView};
use frontrow_domain::{
    line::{Gate, TokenStatus},
    time::{Span, Time},
};

/// The shortest and the longest poll interval of a client, in milliseconds.
const POLL_MS: std::ops::RangeInclusive<i64> = 1_500..=30_000;
/// The poll interval of a token for which a place is free or about to be, in milliseconds: its offer comes within a
/// moment.
const POLL_AT_ONCE_MS: i64 = 400;
/// The poll interval of a token that is offered a turn, in milliseconds: its client should learn of it soon.
const POLL_OFFERED_MS: i64 = 1_200;
/// Each living token in front adds this much to the poll interval, in milliseconds.
const POLL_MS_PER_AHEAD: i64 = 100;
/// While the order of a lobby is drawn, one token in so many counts as being in front: of 100,000 entries each polls every
/// twenty seconds or so.
const DRAWING_POLL_PART: i64 = 500;
/// A client polls this many times during its wait, within those bounds.
const POLLS_PER_WAIT: i64 = 20;
/// The shortest and the longest time over which the polls of a line are spread when it begins to move, in milliseconds.
const OPENING_SPREAD_MS: std::ops::RangeInclusive<i64> = 500..=4_000;
/// So many polls come in a millisecond then, unless the line is so long that the spread is the longest: 100,000 people ask
/// within 4 seconds.
const OPENING_POLLS_PER_MS: i64 = 25;
/// How far poll intervals are spread to both sides, in thousandths.
const JITTER_PERMILLE: i64 = 200;
/// The shortest and the longest poll interval that a client is given, in milliseconds: the guides say so, too.
pub const POLL_GIVEN_MS: std::ops::RangeInclusive<i64> =
    POLL_AT_ONCE_MS * (1_000 - JITTER_PERMILLE) / 1_000..=*POLL_MS.end() * (1_000 + JITTER_PERMILLE) / 1_000;
impl RoomView {
    /// Whether there is a free place for the token, so that its offer comes within a moment.
    fn has_free_place(&self, place: &Place, rest: Option<Rest>, now: Time) -> bool {
        let may_move = rest.is_none() && self.room.gate == Gate::Open && self.room.admit_per_minute.is_none();
        // Those who come back are served first; one of them stands for itself.
        let returned = i64::try_from(self.returned.len()).unwrap_or(i64::MAX);
        let in_front = place.ahead_in_line().saturating_add(returned.saturating_sub(1).max(0));
        may_move && in_front < self.free_ppm(now) / ALL_PPM
    }

    /// When the token's client should poll again, in milliseconds: often near the head, seldom at the back, seldom too
    /// while the line rests but for its end, and spread by `jitter_seed` so that clients do not poll all at once. The
    /// same arguments give the same answer.
    #[must_use]
    pub fn poll_after_ms(&self, place: &Place, jitter_seed: u64, rest: Option<Rest>, now: Time) -> i64 {
        match (rest, place.status()) {
            (Some(Rest::For(span)), TokenStatus::Waiting) => {
                return self.poll_before_opening_ms(place.ahead, jitter_seed, span);
            }
            (Some(Rest::InLobby(span)), TokenStatus::Waiting) => {
                // The entries of a lobby are in no order: each polls as one of the line, by chance.
                let total = self.total_waiting().max(1).unsigned_abs();
                let ahead = i64::try_from(jitter_seed % total).unwrap_or(0);
                return self.poll_before_opening_ms(ahead, jitter_seed, span);
            }
            _ => {}
        }
        let even = match place.status() {
            TokenStatus::Offered => POLL_OFFERED_MS,
            TokenStatus::Missed | TokenStatus::Dormant => *POLL_MS.start(),
            TokenStatus::Active | TokenStatus::Ended => *POLL_MS.end(),
            TokenStatus::Waiting if self.has_free_place(place, rest, now) => POLL_AT_ONCE_MS,
            TokenStatus::Waiting => {
                let in_front =
                    if rest == Some(Rest::Drawing) { self.total_waiting() / DRAWING_POLL_PART } else { place.ahead };
                let by_place = in_front.saturating_mul(POLL_MS_PER_AHEAD).saturating_add(*POLL_MS.start());
                let by_wait = match self.estimated_wait(place.ahead_in_line(), rest, now) {
                    Estimate::Known { p50, .. } => p50.millis() / POLLS_PER_WAIT,
                    Estimate::Unknown(_) => i64::MAX,
                };
                let not_before = if rest == Some(Rest::SaleClosed) { i64::MAX } else { 0 };
                by_place.min(by_wait).max(not_before).clamp(*POLL_MS.start(), *POLL_MS.end())
            }
        };
        jittered(even, jitter_seed)
    }

    /// When a token in a line that rests for `span` should poll again, in milliseconds: seldom, but no poll that would come
    /// after the line begins to move comes more than [`OPENING_SPREAD_MS`] after it.
    fn poll_before_opening_ms(&self, ahead: i64, jitter_seed: u64, span: Span) -> i64 {
        let seldom = jittered(*POLL_MS.end(), jitter_seed);
        let begins = span.millis().saturating_add(1);
        if seldom < begins {
            return seldom;
        }
        let at_opening = begins.saturating_add(self.after_opening_ms(ahead, jitter_seed, *OPENING_SPREAD_MS.end()));
        if at_opening <= *POLL_GIVEN_MS.end() {
            at_opening.max(*POLL_GIVEN_MS.start())
        } else {
            // One poll more: the opening is a little beyond the longest interval.
            jittered(*POLL_MS.end() / 2, jitter_seed)
        }
    }

    /// How long after its line begins to move a token with so many ahead should learn of it, in milliseconds, at most
    /// `most`: those in front first, and all of the line spread evenly, over a time in proportion to its length.
    #[must_use]
    pub fn after_opening_ms(&self, ahead: i64, jitter_seed: u64, most: i64) -> i64 {
        let total = self.total_waiting().max(1);
        let spread = (total / OPENING_POLLS_PER_MS).clamp(*OPENING_SPREAD_MS.start(), most);
        let random = jitter_permille(jitter_seed) + JITTER_PERMILLE;
        // By place, and a ninth of it at random: total × random ÷ all random values.
        let place = i128::from(ahead.clamp(0, total - 1)) * 8;
        let part = i128::from(total) * i128::from(random) / i128::from(2 * JITTER_PERMILLE + 1);
        let delay = i128::from(spread) * (place + part) / (i128::from(total) * 9);
        i64::try_from(delay).unwrap_or(0).clamp(0, spread)
    }
}

/// A poll interval, spread to both sides.
fn jittered(even: i64, seed: u64) -> i64 {
    even + even * jitter_permille(seed) / 1_000
}

/// A number from −200 to 200 that looks random (`SplitMix64`).
fn jitter_permille(seed: u64) -> i64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let spread = JITTER_PERMILLE.unsigned_abs() * 2 + 1;
    i64::try_from(mixed % spread).unwrap_or(0) - JITTER_PERMILLE
}
