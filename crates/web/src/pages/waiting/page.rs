//! The waiting page and the question before leaving, ready to be written.

use super::{Bearing, LastClaim, TurnGoal, Visit, page_path, words};
use crate::{
    edge::problem::{HttpResult, Problem},
    html::{
        figures,
        forms::fresh_key,
        paths,
        shell::{HOME_ZONE, Shell, rendered},
    },
};
use askama::Template;
use frontrow_domain::{
    id::{ConcertId, RoomId},
    line::{EndReason, OpeningOrder, RoomSite, StockOutlook, TokenStatus},
    time::Time,
};
use frontrow_line::view::WaitUnknown;
use frontrow_service::{
    join_work::{WaitTicket, WorkChallenge},
    line::{LineStatus, Wait},
    sale::ConcertOnSale,
};
use serde_json::json;

/// The whole of the bar.
const BAR_MAX: i64 = 1_000;
/// A page without a script does not reload itself sooner, in seconds.
const RELOAD_SECONDS_MIN: i64 = 5;

/// What the page is about now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineScene {
    Waiting,
    /// In a lobby: the order is not drawn yet.
    Lobby,
    Turn,
    /// A turn that must not be missed.
    LastTurn,
    Active,
    Missed,
    Dormant,
    Ended(Option<EndReason>),
}

impl LineScene {
    /// Every scene that a place can come to while its page is open.
    const ALL: [Self; 15] = [
        Self::Waiting,
        Self::Lobby,
        Self::Turn,
        Self::LastTurn,
        Self::Active,
        Self::Missed,
        Self::Dormant,
        Self::Ended(Some(EndReason::Paid)),
        Self::Ended(Some(EndReason::Left)),
        Self::Ended(Some(EndReason::Expired)),
        Self::Ended(Some(EndReason::Missed)),
        Self::Ended(Some(EndReason::ConcertOver)),
        Self::Ended(Some(EndReason::Removed)),
        Self::Ended(Some(EndReason::RoomClosed)),
        Self::Ended(None),
    ];

    const fn of(line: &LineStatus) -> Self {
        match line.status {
            TokenStatus::Waiting if matches!(line.wait, Wait::Unknown(WaitUnknown::InLobby | WaitUnknown::Drawing)) => {
                Self::Lobby
            }
            TokenStatus::Waiting => Self::Waiting,
            TokenStatus::Offered if line.is_last_turn => Self::LastTurn,
            TokenStatus::Offered => Self::Turn,
            TokenStatus::Active => Self::Active,
            TokenStatus::Missed => Self::Missed,
            TokenStatus::Dormant => Self::Dormant,
            TokenStatus::Ended => Self::Ended(line.end_reason),
        }
    }

    /// Its name in the page and in the script, which makes it from `status`, `last_turn` and `end_reason`.
    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Lobby => "lobby",
            Self::Turn => "offered",
            Self::LastTurn => "offered-last",
            Self::Active => "active",
            Self::Missed => "missed",
            Self::Dormant => "dormant",
            Self::Ended(Some(EndReason::Paid)) => "ended-paid",
            Self::Ended(Some(EndReason::Left)) => "ended-left",
            Self::Ended(Some(EndReason::Expired)) => "ended-expired",
            Self::Ended(Some(EndReason::Missed)) => "ended-missed",
            Self::Ended(Some(EndReason::ConcertOver)) => "ended-concert_over",
            Self::Ended(Some(EndReason::Removed)) => "ended-removed",
            Self::Ended(Some(EndReason::RoomClosed)) => "ended-room_closed",
            // An entry's token leads to the one that the draw gave.
            Self::Ended(Some(EndReason::Drawn) | None) => "ended",
        }
    }

    /// What it says first. The waiting scene says its number.
    const fn title_id(self) -> &'static str {
        match self {
            Self::Waiting => "line-next",
            Self::Lobby => "line-lobby",
            Self::Turn | Self::LastTurn => "line-turn",
            Self::Active => "line-active",
            Self::Missed => "line-missed",
            Self::Dormant => "line-dormant",
            Self::Ended(Some(EndReason::Paid)) => "line-ended-paid",
            Self::Ended(Some(EndReason::Left)) => "line-ended-left",
            Self::Ended(Some(EndReason::Expired)) => "line-ended-expired",
            Self::Ended(Some(EndReason::Missed)) => "line-ended-missed",
            Self::Ended(Some(EndReason::ConcertOver)) => "line-ended-over",
            Self::Ended(Some(EndReason::Removed)) => "line-ended-removed",
            Self::Ended(Some(EndReason::RoomClosed)) => "line-ended-closed",
            Self::Ended(Some(EndReason::Drawn) | None) => "line-ended",
        }
    }

    /// What it means, and what to do, if there is more to say.
    const fn text_id(self, goal: &TurnGoal) -> Option<&'static str> {
        Some(match self {
            Self::Waiting => "line-next-text",
            Self::Lobby => "line-lobby-text",
            Self::Turn => "line-turn-text",
            Self::LastTurn => "line-turn-text-last",
            Self::Active => goal.active_text_id(),
            Self::Missed => "line-missed-text",
            Self::Dormant => "line-dormant-text",
            Self::Ended(Some(EndReason::Paid)) => "line-ended-paid-text",
            Self::Ended(Some(EndReason::Expired)) => "line-ended-expired-text",
            Self::Ended(Some(EndReason::ConcertOver)) => "line-ended-over-text",
            Self::Ended(Some(EndReason::Removed)) => "line-ended-removed-text",
            Self::Ended(Some(EndReason::RoomClosed)) => "line-ended-closed-text",
            Self::Ended(Some(EndReason::Left | EndReason::Missed)) => return None,
            Self::Ended(Some(EndReason::Drawn) | None) => "line-ended-text",
        })
    }

    const fn is_over(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// The figures of a place in words.
#[derive(Debug)]
struct PlaceWords {
    ahead: i64,
    unit: String,
    wait: String,
    /// Whether seats are likely to be left, if that is known.
    outlook: String,
    bar: i64,
    /// Minutes and seconds until the time for the next step is over, and its hour.
    clock: String,
    until: String,
}

/// One scene of the page.
#[derive(Template)]
#[template(path = "waiting/scene.html")]
struct SceneView<'a> {
    shell: &'a Shell,
    scene: LineScene,
    title: String,
    text: Option<String>,
    place: &'a PlaceWords,
    links: &'a PlaceLinks,
    claim: LastClaim,
    key: &'a str,
}

impl SceneView<'_> {
    fn is_paid(&self) -> bool {
        self.scene == LineScene::Ended(Some(EndReason::Paid))
    }

    /// Whether the claim found the room full.
    fn is_full(&self) -> bool {
        self.claim == LastClaim::Full
    }

    /// Where its line is joined again, unless that would be refused.
    fn join(&self) -> Option<&str> {
        match self.scene {
            LineScene::Ended(Some(EndReason::ConcertOver | EndReason::RoomClosed)) => None,
            _ => self.links.join.as_deref(),
        }
    }
}

/// Where a place leads to.
#[derive(Debug)]
struct PlaceLinks {
    page: String,
    claim: String,
    leave: String,
    /// The page of its room's draw.
    draw: String,
    /// Where its line is joined again; none if it cannot be.
    join: Option<String>,
    goal: TurnGoal,
}

impl PlaceLinks {
    fn of(token: &str, goal: TurnGoal, found: Option<&ConcertOnSale>, bearing: Bearing) -> Self {
        let may_join = found.is_none_or(|found| found.state.may_join());
        let query = Bearing { claim: LastClaim::None, ..bearing }.query();
        Self {
            page: format!("/line/{token}{query}"),
            claim: format!("/line/{token}/claim{query}"),
            leave: format!("/line/{token}/leave{query}"),
            draw: format!("/line/{token}/draw{query}"),
            join: goal.join_path().filter(|_| may_join),
            goal,
        }
    }

    const fn concert(&self) -> Option<ConcertId> {
        match self.goal {
            TurnGoal::Hall(concert) => Some(concert),
            TurnGoal::OtherShop { .. } | TurnGoal::Season => None,
        }
    }
}

/// The concert of a place at the head of its page.
#[derive(Debug)]
pub(super) struct PlaceHead {
    pub(super) title: String,
    pub(super) when: Option<String>,
}

impl PlaceHead {
    pub(super) fn of(shell: &Shell, found: Option<&ConcertOnSale>, site: Option<&RoomSite>) -> Self {
        match (found, site) {
            (_, Some(site)) => Self { title: site.name.clone(), when: None },
            (Some(ConcertOnSale { concert, .. }), None) => {
                let when = shell.moment(&concert.starts_at, &concert.time_zone);
                Self { title: concert.title.clone(), when: Some(format!("{when} · {}", concert.venue)) }
            }
            (None, None) => Self { title: shell.t("line-house"), when: None },
        }
    }
}

/// The waiting page.
#[derive(Template)]
#[template(path = "waiting/page.html")]
pub(super) struct WaitingPage {
    pub(super) shell: Shell,
    scene: LineScene,
    /// The first part of the title in the browser's tab.
    tab: String,
    head: PlaceHead,
    links: PlaceLinks,
    /// The scene that is shown.
    shown: String,
    /// The scenes that may follow, by name, for the script.
    scenes: Vec<(&'static str, String)>,
    message: Option<String>,
    warning: Option<(String, String)>,
    as_of: String,
    is_stale: bool,
    position: i64,
    joined_at: String,
    seats: Option<String>,
    total_waiting: i64,
    /// Which lane the place is in, and what lanes there are beside the line: a sentence each.
    lanes: Vec<String>,
    opening: OpeningOrder,
    reload_seconds: i64,
    /// What the script starts from.
    data: String,
}

/// How much of the line has passed by: of all who ever were ahead.
fn bar(line: &LineStatus) -> i64 {
    let before = line.ahead_at_start.max(line.ahead);
    let passed = before.saturating_sub(line.ahead).saturating_mul(BAR_MAX);
    passed.checked_div(before).unwrap_or(BAR_MAX)
}

impl WaitingPage {
    /// Whether the room had or has a draw.
    fn is_drawn(&self) -> bool {
        self.opening == OpeningOrder::Draw
    }

    pub(super) fn new(shell: Shell, token: &str, visit: Visit, goal: TurnGoal) -> HttpResult<Self> {
        let Visit { token: verified, line, concert, site, bearing, concert_id: _ } = visit;
        let row = concert.as_ref().map(|found| &found.concert);
        let zone = row.map_or(HOME_ZONE, |concert| &concert.time_zone);
        let scene = LineScene::of(&line);
        let links = PlaceLinks::of(token, goal, concert.as_ref(), bearing);
        let ends_at = line.hold_until.or(line.deadline);
        let place = PlaceWords {
            ahead: line.ahead,
            unit: shell.t1("line-unit", "n", line.ahead),
            wait: words::wait(&shell, line.wait, concert.as_ref()),
            outlook: line.outlook.map(|outlook| shell.t(words::outlook_id(outlook))).unwrap_or_default(),
            bar: bar(&line),
            clock: ends_at.map(|until| figures::clock(until.since(line.as_of))).unwrap_or_default(),
            until: ends_at.map(|until| shell.exact_hour(&until, zone)).unwrap_or_default(),
        };
        let key = fresh_key();
        let view = |scene: LineScene, claim: LastClaim| {
            let text = scene.text_id(&links.goal).map(|id| shell.t(id));
            let title = shell.t(scene.title_id());
            rendered(&SceneView { shell: &shell, scene, title, text, place: &place, links: &links, claim, key: &key })
        };
        let shown = view(scene, bearing.claim)?;
        let mut scenes = Vec::new();
        if !scene.is_over() {
            for scene in LineScene::ALL {
                scenes.push((scene.name(), view(scene, LastClaim::None)?));
            }
        }
        let tab = match scene {
            LineScene::Waiting if line.ahead > 0 => shell.t1("line-tab-ahead", "n", line.ahead),
            LineScene::Turn | LineScene::LastTurn => shell.t("line-tab-turn"),
            other => shell.t(other.title_id()),
        };
        Ok(Self {
            scene,
            tab,
            head: PlaceHead::of(&shell, concert.as_ref(), site.as_ref()),
            shown,
            scenes,
            message: line.message.clone(),
            warning: concert.as_ref().and_then(|found| words::warning(&shell, found)),
            as_of: shell.exact_hour(&line.as_of, zone),
            is_stale: line.is_stale,
            position: line.position.0,
            joined_at: shell.exact_hour(&verified.issued_at(), zone),
            seats: concert.as_ref().map(|found| words::seats(&shell, found.state)),
            total_waiting: line.total_waiting,
            lanes: words::lanes(&shell, &line),
            opening: line.opening,
            reload_seconds: (line.poll_after_ms.saturating_add(999) / 1_000).max(RELOAD_SECONDS_MIN),
            data: data(&shell, token, &line, &links, concert.as_ref()),
            links,
            shell,
        })
    }
}

/// What the script starts from: addresses, the place as a poll would answer it, the sale as the shared answer of the
/// concert says it, and the words that change with them.
fn data(shell: &Shell, token: &str, line: &LineStatus, links: &PlaceLinks, found: Option<&ConcertOnSale>) -> String {
    let row = found.map(|found| &found.concert);
    let wait = match line.wait {
        Wait::Known { p50_seconds, p90_seconds } => {
            json!({ "known": true, "p50_seconds": p50_seconds, "p90_seconds": p90_seconds })
        }
        Wait::Unknown(reason) => json!({ "known": false, "reason": reason }),
    };
    let why = |reason| shell.t(words::unknown_id(reason));
    let words = json!({
        "unit_one": shell.t1("line-unit", "n", 1_i64),
        "unit_other": shell.t1("line-unit", "n", 2_i64),
        "soon": shell.t("line-wait-soon"),
        "minutes": shell.template("line-wait-minutes", &["n"]),
        "minutes_range": shell.template("line-wait-minutes-range", &["from", "to"]),
        "hours": shell.template("line-wait-hours", &["n"]),
        "hours_range": shell.template("line-wait-hours-range", &["from", "to"]),
        "paused": why(WaitUnknown::Paused),
        "sale_not_open": match found {
            Some(_) => shell.template("line-wait-opens", &["when"]),
            None => why(WaitUnknown::SaleNotOpen),
        },
        "sale_closed": why(WaitUnknown::SaleClosed),
        "measuring": why(WaitUnknown::Measuring),
        "in_lobby": match found {
            Some(_) => shell.template("line-wait-lobby-opens", &["when"]),
            None => why(WaitUnknown::InLobby),
        },
        "drawing": why(WaitUnknown::Drawing),
        "sold_out": shell.t("line-wait-sold-out"),
        "outlook_likely": shell.t(words::outlook_id(StockOutlook::Likely)),
        "outlook_possible": shell.t(words::outlook_id(StockOutlook::Possible)),
        "outlook_unlikely": shell.t(words::outlook_id(StockOutlook::Unlikely)),
        "outlook_sold_out": shell.t(words::outlook_id(StockOutlook::SoldOut)),
        "seats_one": shell.t1("line-seats-left", "n", 1_i64),
        "tab_ahead": shell.template("line-tab-ahead", &["n"]),
        "tab_turn": shell.t("line-tab-turn"),
        "now": shell.t("line-seen-now"),
        "ago": shell.template("line-seen-ago", &["n"]),
        "again": shell.t("line-seen-again"),
        "offline": shell.t("line-seen-offline"),
        "stale": shell.t("line-seen-stale"),
        "gone": shell.t("line-seen-gone"),
        "message": shell.t("line-message"),
        "said_ahead": shell.template("line-said-ahead", &["n"]),
        "said_turn": shell.t("line-said-turn"),
        "alarm_on": shell.t("line-alarm-on"),
        "alarm_denied": shell.t("line-alarm-denied"),
        "alarm_sound": shell.t("line-alarm-sound"),
        "alarm_none": shell.t("line-alarm-none"),
    });
    json!({
        "position": format!("/api/v1/queue/tokens/{token}/position"),
        "events": format!("/api/v1/queue/tokens/{token}/events"),
        "page": links.page,
        "zone": row.map_or(HOME_ZONE, |concert| &concert.time_zone),
        "concert": row.map(|concert| format!("/api/v1/concerts/{}", concert.concert_id)),
        "sale": found.map(|found| json!({
            "sale_state": found.state.name(),
            "seats_left": found.seats_left,
            "opens_at": found.concert.opens_at,
            "status_reason": found.concert.status_reason,
        })),
        "place": {
            "status": line.status,
            "end_reason": line.end_reason,
            "position": line.position,
            "ahead": line.ahead,
            "ahead_at_start": line.ahead_at_start,
            "total_waiting": line.total_waiting,
            "estimated_wait": wait,
            "outlook": line.outlook,
            "deadline": line.deadline,
            "hold_until": line.hold_until,
            "last_turn": line.is_last_turn,
            "poll_after_ms": line.poll_after_ms,
            "message": line.message,
            "as_of": line.as_of,
            "stale": line.is_stale,
        },
        "sales": words::sale_templates(shell),
        "words": words,
    })
    .to_string()
}

/// The page on which the line in front of another shop is joined.
#[derive(Template)]
#[template(path = "waiting/front.html")]
pub(super) struct FrontPage {
    pub(super) shell: Shell,
    /// The name of the site.
    shop: String,
    action: String,
    state: FrontState,
    key: String,
}

/// Whether a line may be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrontState {
    Open,
    /// Its room was closed.
    Closed,
}

impl FrontPage {
    pub(super) fn new(shell: Shell, shop: String, room: RoomId, state: FrontState) -> Self {
        Self { shell, shop, action: paths::line(room), state, key: fresh_key() }
    }
}

/// The page that solves a challenge before a new place, or has a visitor without a script wait instead.
#[derive(Template)]
#[template(path = "waiting/work.html")]
pub(super) struct WorkPage {
    pub(super) shell: Shell,
    action: String,
    /// The key of the form that asked, if it had one.
    key: Option<String>,
    challenge: String,
    wait: String,
    seconds: i64,
}

impl WorkPage {
    pub(super) fn new(
        shell: Shell,
        action: String,
        key: Option<String>,
        challenge: &WorkChallenge,
        wait: WaitTicket,
    ) -> HttpResult<Self> {
        let challenge = serde_json::to_string(challenge).map_err(Problem::internal)?;
        // Rounded up: a button that is pressed a moment early would be too early.
        let seconds = wait.left.micros().max(0).saturating_add(999_999) / 1_000_000;
        Ok(Self { shell, action, key, challenge, wait: wait.text, seconds })
    }
}

/// The page of a place whose line was renewed, for a visitor whose place it cannot find.
#[derive(Template)]
#[template(path = "waiting/renewed.html")]
pub(super) struct RenewedPage {
    pub(super) shell: Shell,
}

/// The page of a visitor whom an operator keeps out of the line: until when, and not why.
#[derive(Template)]
#[template(path = "waiting/blocked.html")]
pub(super) struct BlockedPage {
    pub(super) shell: Shell,
    until: Option<String>,
    back: String,
}

impl BlockedPage {
    pub(super) fn new(shell: Shell, until: Option<Time>, back: String) -> Self {
        let until = until.map(|until| shell.t1("line-blocked-until", "when", shell.exact_moment(&until, HOME_ZONE)));
        Self { shell, until, back }
    }
}

/// The question before leaving.
#[derive(Template)]
#[template(path = "waiting/leave.html")]
pub(super) struct LeavePage {
    pub(super) shell: Shell,
    head: PlaceHead,
    ahead: Option<i64>,
    /// What else is lost: an active place is the right to pay for what is held.
    is_active: bool,
    back: String,
    action: String,
}

impl LeavePage {
    pub(super) fn new(
        shell: Shell,
        token: &str,
        line: &LineStatus,
        (concert, site): (Option<&ConcertOnSale>, Option<&RoomSite>),
        bearing: Bearing,
    ) -> Self {
        let links = PlaceLinks::of(token, TurnGoal::Season, concert, bearing);
        Self {
            head: PlaceHead::of(&shell, concert, site),
            ahead: (line.status == TokenStatus::Waiting).then_some(line.ahead),
            is_active: line.status == TokenStatus::Active,
            back: page_path(token, bearing),
            action: links.leave,
            shell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{id::Position, time::Time};

    fn line(position: i64, ahead: i64) -> LineStatus {
        LineStatus {
            status: TokenStatus::Waiting,
            position: Position(position),
            ahead,
            opening: OpeningOrder::FirstCome,
            ahead_at_start: position - 1,
            total_waiting: ahead + 1,
            wait: Wait::Unknown(WaitUnknown::Measuring),
            outlook: None,
            deadline: None,
            hold_until: None,
            is_last_turn: false,
            end_reason: None,
            poll_after_ms: 1_500,
            message: None,
            lane: None,
            lanes: Vec::new(),
            as_of: Time::from_micros(0),
            is_stale: false,
        }
    }

    #[test]
    fn the_bar_moves_forward_alone_and_stays_within_its_bounds() {
        for (position, ahead, expected) in
            [(1_284, 1_283, 0), (1_284, 312, 756), (1_284, 100, 922), (1_284, 0, BAR_MAX), (1, 0, BAR_MAX), (3, 5, 0)]
        {
            assert_eq!(bar(&line(position, ahead)), expected, "{position} {ahead}");
        }
    }

    #[test]
    fn every_scene_of_a_place_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = LineScene::ALL.map(LineScene::name).into();
        assert_eq!(names.len(), LineScene::ALL.len());
        let offered = LineStatus { status: TokenStatus::Offered, ..line(1, 0) };
        assert_eq!(LineScene::of(&offered), LineScene::Turn);
        assert_eq!(LineScene::of(&LineStatus { is_last_turn: true, ..offered }), LineScene::LastTurn);
    }
}
