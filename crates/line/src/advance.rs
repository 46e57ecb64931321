//! What the leader of a line does next.

use crate::{lines::HeardSince, peers::Peers, view::RoomView};
use frontrow_domain::{
    id::RoomId,
    line::{SilentToken, TurnOutlook},
    policy::{Policy, TOKENS_PER_ADVANCE_MAX},
    time::{Span, Time},
};

/// At the head clients ask every few seconds: of those who are there, nearly all are heard of in this time.
const HEARD_WITHIN: Span = Span::from_secs(15);

/// The next advance of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextAdvance {
    /// How many tokens at the head it may look at.
    pub limit: u32,
    /// The unresponsive ones among them.
    pub unresponsive: Vec<SilentToken>,
    /// What is expected of the turns; none if that cannot be said.
    pub outlook: Option<TurnOutlook>,
}

/// How many turns may be offered now, and whether there is something else to do: a token's deadline has passed, or one
/// whose claim found the room full has a place.
fn work_in(view: &RoomView, outlook: Option<&TurnOutlook>, now: Time, policy: &Policy) -> (i64, bool) {
    let due = view.may_activate_claimed() || view.next_deadline().is_some_and(|deadline| deadline <= now);
    let turns = match view.total_waiting() {
        0 => 0,
        _ => view.room().turns_available((view.active(), view.offered()), outlook, now, policy.offer_lead),
    };
    (turns, due)
}

/// What is expected of the turns of a line; none if nothing can be offered now, or if too few of the tokens at its head
/// have been heard of: their clients are cut off then rather than asleep, and no turn is written off.
fn outlook_of(peers: &dyn Peers, view: &RoomView, now: Time, policy: &Policy) -> Option<TurnOutlook> {
    let room = view.room();
    let may_offer = view.total_waiting() > 0 && room.may_move(now, policy.offer_lead);
    let is_heard = || peers.lines().is_head_heard(room.room_id, now.minus(HEARD_WITHIN));
    (may_offer && is_heard()).then(|| view.turn_outlook(now))
}

/// Whether an advance of a line would do something at `now`.
#[must_use]
pub fn may_advance(peers: &dyn Peers, view: &RoomView, now: Time, policy: &Policy) -> bool {
    let (turns, due) = work_in(view, outlook_of(peers, view, now, policy).as_ref(), now, policy);
    turns > 0 || due
}

/// The next advance of a line at `now`; none if there is nothing to do, such as while the rate has not earned a turn.
#[must_use]
pub fn next_advance(peers: &dyn Peers, room: RoomId, now: Time, policy: &Policy) -> Option<NextAdvance> {
    let view = peers.lines().view(room)?;
    let outlook = outlook_of(peers, &view, now, policy);
    let (turns, due) = work_in(&view, outlook.as_ref(), now, policy);
    if !due && turns <= 0 {
        return None;
    }
    let offers = u32::try_from(turns.max(0)).unwrap_or(u32::MAX).min(TOKENS_PER_ADVANCE_MAX);
    let unresponsive = match offers {
        0 => Vec::new(),
        // Heartbeats are recorded by this machine's clock.
        _ => peers.unresponsive(room, offers, HeardSince::at(now, policy)),
    };
    let limit =
        offers.saturating_add(u32::try_from(unresponsive.len()).unwrap_or(u32::MAX)).min(TOKENS_PER_ADVANCE_MAX);
    Some(NextAdvance { limit, unresponsive, outlook })
}
