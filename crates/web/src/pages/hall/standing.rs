//! Whether a visitor may choose seats now, and what to do if not.

use super::HallVisit;
use crate::{
    edge::problem::HttpResult,
    html::{forms::fresh_key, paths, sale_words},
    pages::waiting,
};
use frontrow_domain::{
    line::{Token, TokenStatus},
    time::Time,
};
use frontrow_service::sale::{HallView, SaleState};

/// Whether a visitor may choose seats now.
#[derive(Debug)]
pub(super) enum Standing {
    /// The visitor has the turn.
    Turn(ChoosingTurn),
    /// The visitor looks around; why, and the next step.
    Study { why: String, step: NextStep },
}

/// A turn to choose seats.
#[derive(Debug)]
pub(super) struct ChoosingTurn {
    /// The active queue token, as its client holds it.
    pub(super) token: String,
    /// Until when seats may be held with it, if that is known.
    pub(super) until: Option<Time>,
    /// The page of its place in line, which says what became of it.
    pub(super) line: String,
}

/// What a visitor without a turn can do.
#[derive(Debug)]
pub(super) enum NextStep {
    /// Join the line, by a form with this key.
    Join { key: String },
    /// Go to another page.
    Go { to: String, words: String },
}

impl HallVisit {
    /// Whether the visitor may choose. The state of the sale comes first: a place in the house room is one for all of its
    /// concerts. A page that a buyer with a turn opens is a sign of life.
    pub(super) async fn standing(&self, view: &HallView) -> HttpResult<Standing> {
        let (office, shell) = (&self.app.office, &self.shell);
        let (concert, state) = (&view.on_sale.concert, view.on_sale.state);
        let go = |why: String, to: String, words: &str| Standing::Study {
            why,
            step: NextStep::Go { to, words: shell.t(words) },
        };
        let to_concert = |why: String| go(why, paths::concert(self.concert_id), "hall-to-concert");
        let next_step = || {
            let next = sale_words::next_step(shell, state);
            match state {
                SaleState::Opens { at } => {
                    let opens = shell.t1("opens-at", "moment", shell.exact_moment(&at, &concert.time_zone));
                    format!("{opens} {next}")
                }
                _ => next,
            }
        };
        if !state.may_join() {
            return Ok(to_concert(next_step()));
        }
        let tokens = match &self.buyer {
            Some(buyer) => office.live_tokens(buyer.user_id).await?,
            None => Vec::new(),
        };
        // A token whose time is over is live until it is swept.
        let now_at = |token: Token| token.after_deadline(view.now, office.policy()).status();
        let place = tokens.into_iter().map(|place| (now_at(place.token), place)).find(|(status, place)| {
            place.token.id.room_id.general() == concert.room_id && *status != TokenStatus::Ended
        });
        let Some((status, place)) = place else {
            let why = format!("{} {}", shell.t("hall-study-lead"), next_step());
            return Ok(Standing::Study { why, step: NextStep::Join { key: fresh_key() } });
        };
        let line = waiting::path_of(&place.signed, self.concert_id, concert.room_id);
        Ok(match status {
            TokenStatus::Active if !state.is_open() => to_concert(next_step()),
            TokenStatus::Active => {
                let token = office.verified(&place.signed).await?;
                match office.position(&token, self.buyer.as_ref().map(|buyer| buyer.caller)).await.hold_until {
                    Some(until) if view.now >= until => go(shell.t("hall-time-over"), line, "hall-to-place"),
                    until => Standing::Turn(ChoosingTurn { token: place.signed, until, line }),
                }
            }
            TokenStatus::Offered => go(shell.t("hall-turn"), line, "hall-to-place"),
            TokenStatus::Waiting | TokenStatus::Dormant | TokenStatus::Missed | TokenStatus::Ended => {
                go(shell.t("hall-waiting"), line, "hall-to-place")
            }
        })
    }
}
