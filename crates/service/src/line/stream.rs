//! A place in a line as a stream: each state that differs from the one before, as soon as it is due.
//!
//! A change of the token itself, and one that every token of the room is shown, wake the stream. What moves all the
//! time (how many are ahead, how many wait, how long it may take) is looked at in the view: often near the head, seldom
//! at the back. So a commit wakes no more streams than the tokens that it changed.

use super::{LineStatus, VerifiedToken};
use crate::office::BoxOffice;
use frontrow_domain::{
    line::{SignOfLife, TokenStatus},
    user::Caller,
};
use frontrow_line::{
    TokenWatch,
    view::{Rest, RoomView},
};
use frontrow_signing::SignedToken;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// The shortest time between two states of a stream: four a second.
pub const STATE_EVERY: Duration = Duration::from_millis(250);
/// How much later the next look comes for each token ahead, and the longest time between two looks.
const LOOK_LATER_PER_AHEAD: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(10);
/// The time between two looks at a token that is in no line: commits wake its stream.
const LOOK_AT_LIVE: Duration = Duration::from_secs(2);

/// The streams of a line are shown within this time, in milliseconds, that it has begun to move.
const SHOWN_AFTER_OPENING_MS_MAX: i64 = 1_000;

/// A place in a line, state by state.
#[derive(Debug)]
pub struct LineStream {
    office: Arc<BoxOffice>,
    signed: SignedToken,
    sign: SignOfLife,
    watch: TokenWatch,
    /// The fingerprint of the last state, once there was one.
    last: Option<u64>,
    /// When the view is looked at next, unless the watch has news before.
    look_at: Instant,
    /// The earliest moment of the next state.
    not_before: Instant,
}

impl BoxOffice {
    /// The states of a token's place from now on. `caller` is who has proved to ask, if anybody has.
    #[must_use]
    pub fn line_stream(self: &Arc<Self>, token: &VerifiedToken, caller: Option<Caller>) -> LineStream {
        let now = Instant::now();
        LineStream {
            office: Arc::clone(self),
            signed: token.signed,
            sign: SignOfLife::of(caller, token.signed.user_id),
            watch: self.lines.watch(token.signed.id),
            last: None,
            look_at: now,
            not_before: now,
        }
    }
}

impl LineStream {
    /// Waits for the next state that differs from the one before; the first comes at once. None if the line was renewed:
    /// the token is not of this line any more. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<LineStatus> {
        loop {
            tokio::select! {
                () = self.watch.changed() => {
                    self.look_at = self.look_at.min(Instant::now().max(self.not_before));
                    continue;
                }
                () = sleep_until(self.look_at) => {}
            }
            let view =
                self.office.lines.view(self.signed.id.room_id).filter(|view| view.epoch() == self.signed.epoch)?;
            // Until its order is known, the stream goes on with the entry.
            let signed = self.office.after_draw(self.signed, &view).await.unwrap_or(self.signed);
            if signed.id != self.signed.id {
                (self.watch, self.signed) = (self.office.lines.watch(signed.id), signed);
            }
            let status = self.office.place_in(&self.signed, &view).await;
            let now = Instant::now();
            self.look_at = now + look_after(&status).min(self.opening_after(&status, &view));
            let fingerprint = Some(status.fingerprint());
            if self.last != fingerprint {
                self.not_before = now + STATE_EVERY;
                self.last = fingerprint;
                return Some(status);
            }
        }
    }

    /// How long until a token that waits should be shown that its line has begun to move, which no commit says.
    fn opening_after(&self, status: &LineStatus, view: &RoomView) -> Duration {
        match view.rest(self.office.now(), self.office.policy.offer_lead) {
            Some(Rest::For(span) | Rest::InLobby(span)) if status.status == TokenStatus::Waiting => {
                let seed = self.signed.id.position.0.unsigned_abs();
                let after = view.after_opening_ms(status.ahead, seed, SHOWN_AFTER_OPENING_MS_MAX);
                let millis = span.millis().saturating_add(1).saturating_add(after);
                Duration::from_millis(millis.unsigned_abs())
            }
            _ => Duration::MAX,
        }
    }

    /// Notes that the client has taken what was sent: a sign of life, as a poll is.
    pub fn note_taken(&self) {
        if let Some(view) = self.office.lines.view(self.signed.id.room_id) {
            let state = view.place(self.signed.id.position).state;
            self.office.note_sign_of_life(&self.signed, &view, self.sign, state);
        }
    }
}

/// How long after this state the view is looked at again, unless the line begins to move before.
fn look_after(status: &LineStatus) -> Duration {
    match status.status {
        // A state that is a guess, or old, should not last.
        _ if status.is_stale => LOOK_AT_LIVE,
        TokenStatus::Waiting => {
            let ahead = u32::try_from(status.ahead).unwrap_or(u32::MAX);
            LOOK_LATER_PER_AHEAD.saturating_mul(ahead).clamp(STATE_EVERY, LOOK_EVERY_MAX)
        }
        TokenStatus::Offered | TokenStatus::Active | TokenStatus::Dormant | TokenStatus::Missed => LOOK_AT_LIVE,
        TokenStatus::Ended => LOOK_EVERY_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Wait;
    use frontrow_domain::{
        id::Position,
        line::{OpeningOrder, StockOutlook},
        time::Time,
    };

    fn waiting(ahead: i64) -> LineStatus {
        LineStatus {
            status: TokenStatus::Waiting,
            position: Position(9),
            ahead,
            opening: OpeningOrder::FirstCome,
            ahead_at_start: 8,
            total_waiting: 9,
            wait: Wait::Known { p50_seconds: 1, p90_seconds: 2 },
            outlook: None,
            deadline: None,
            hold_until: None,
            is_last_turn: false,
            end_reason: None,
            poll_after_ms: 1_500,
            message: None,
            lane: None,
            lanes: Vec::new(),
            as_of: Time::from_micros(1),
            is_stale: false,
        }
    }

    #[test]
    fn the_further_back_a_token_is_the_more_seldom_it_is_looked_at() {
        let after = |ahead| look_after(&waiting(ahead)).as_millis();
        assert_eq!([0, 25, 100, 1_000, i64::MAX].map(after), [250, 250, 1_000, 10_000, 10_000]);
        assert_eq!(look_after(&LineStatus { is_stale: true, ..waiting(50_000) }), LOOK_AT_LIVE);
    }

    #[test]
    fn the_moment_of_a_state_alone_is_no_news() {
        let later = LineStatus { as_of: Time::from_micros(2), poll_after_ms: 1_600, ..waiting(5) };
        assert_eq!(waiting(5).fingerprint(), later.fingerprint());
        for other in [
            waiting(4),
            LineStatus { total_waiting: 7, ..waiting(5) },
            LineStatus { message: Some("Soon.".to_owned()), ..waiting(5) },
            LineStatus { status: TokenStatus::Offered, ..waiting(5) },
            LineStatus { deadline: Some(Time::from_micros(1)), ..waiting(5) },
            LineStatus { hold_until: Some(Time::from_micros(1)), ..waiting(5) },
            LineStatus { is_last_turn: true, ..waiting(5) },
            LineStatus { is_stale: true, ..waiting(5) },
            LineStatus { outlook: Some(StockOutlook::SoldOut), ..waiting(5) },
        ] {
            assert_ne!(waiting(5).fingerprint(), other.fingerprint(), "{other:?}");
        }
    }
}
