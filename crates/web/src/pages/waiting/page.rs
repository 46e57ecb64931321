//! The waiting page and the question before leaving, ready to be written.

use super::{Bearing, LastClaim, TurnGoal, Visit, page_path, words};
use crate::{
    edge::problem::HttpResult,
    pages::{
        forms::fresh_key,
        shell::{HOME_ZONE, Shell, rendered},
    },
};
use askama::Template;
use frontrow_domain::{
    id::ConcertId,
    line::{EndReason, TokenStatus},
    policy::Policy,
    time::Time,
};
use frontrow_line::view::WaitUnknown;
use frontrow_service::{
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
    Turn,
    Active,
    Missed,
    Dormant,
    Ended(Option<EndReason>),
}

impl LineScene {
    /// Every scene that a place can come to while its page is open.
    const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Turn,
        Self::Active,
        Self::Missed,
        Self::Dormant,
        Self::Ended(Some(EndReason::Paid)),
        Self::Ended(Some(EndReason::Left)),
        Self::Ended(Some(EndReason::Expired)),
        Self::Ended(Some(EndReason::Missed)),
        Self::Ended(None),
    ];

    const fn of(line: &LineStatus) -> Self {
        match line.status {
            TokenStatus::Waiting => Self::Waiting,
            TokenStatus::Offered => Self::Turn,
            TokenStatus::Active => Self::Active,
            TokenStatus::Missed => Self::Missed,
            TokenStatus::Dormant => Self::Dormant,
            TokenStatus::Ended => Self::Ended(line.end_reason),
        }
    }

    /// Its name in the page and in the script, which makes it from `status` and `end_reason`.
    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Turn => "offered",
            Self::Active => "active",
            Self::Missed => "missed",
            Self::Dormant => "dormant",
            Self::Ended(Some(EndReason::Paid)) => "ended-paid",
            Self::Ended(Some(EndReason::Left)) => "ended-left",
            Self::Ended(Some(EndReason::Expired)) => "ended-expired",
            Self::Ended(Some(EndReason::Missed)) => "ended-missed",
            Self::Ended(None) => "ended",
        }
    }

    /// What it says first. The waiting scene says its number.
    const fn title_id(self) -> &'static str {
        match self {
            Self::Waiting => "line-next",
            Self::Turn => "line-turn",
            Self::Active => "line-active",
            Self::Missed => "line-missed",
            Self::Dormant => "line-dormant",
            Self::Ended(Some(EndReason::Paid)) => "line-ended-paid",
            Self::Ended(Some(EndReason::Left)) => "line-ended-left",
            Self::Ended(Some(EndReason::Expired)) => "line-ended-expired",
            Self::Ended(Some(EndReason::Missed)) => "line-ended-missed",
            Self::Ended(None) => "line-ended",
        }
    }

    /// What it means, and what to do.
    const fn text_id(self) -> &'static str {
        match self {
            Self::Waiting => "line-next-text",
            Self::Turn => "line-turn-text",
            Self::Active => "line-active-text",
            Self::Missed => "line-missed-text",
            Self::Dormant => "line-dormant-text",
            Self::Ended(Some(EndReason::Paid)) => "line-ended-paid-text",
            Self::Ended(Some(EndReason::Left)) => "line-ended-left-text",
            Self::Ended(Some(EndReason::Expired)) => "line-ended-expired-text",
            Self::Ended(Some(EndReason::Missed)) => "line-ended-missed-text",
            Self::Ended(None) => "line-ended-text",
        }
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
    bar: i64,
    /// Minutes and seconds until the deadline, and its hour.
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
    text: String,
    place: &'a PlaceWords,
    links: &'a PlaceLinks,
    /// Whether the claim found the room full.
    is_full: bool,
    key: &'a str,
}

impl SceneView<'_> {
    fn is_paid(&self) -> bool {
        self.scene == LineScene::Ended(Some(EndReason::Paid))
    }
}

/// Where a place leads to.
#[derive(Debug)]
struct PlaceLinks {
    page: String,
    claim: String,
    leave: String,
    goal: TurnGoal,
}

impl PlaceLinks {
    fn of(token: &str, goal: TurnGoal, bearing: Bearing) -> Self {
        let query = Bearing { claim: LastClaim::None, ..bearing }.query();
        Self {
            page: format!("/line/{token}{query}"),
            claim: format!("/line/{token}/claim{query}"),
            leave: format!("/line/{token}/leave{query}"),
            goal,
        }
    }

    const fn concert(&self) -> Option<ConcertId> {
        match self.goal {
            TurnGoal::Hall(concert) => Some(concert),
            TurnGoal::OtherShop(_) | TurnGoal::Season => None,
        }
    }
}

/// The concert of a place at the head of its page.
#[derive(Debug)]
struct PlaceHead {
    title: String,
    when: Option<String>,
}

impl PlaceHead {
    fn of(shell: &Shell, found: Option<&ConcertOnSale>) -> Self {
        match found {
            Some(ConcertOnSale { concert, .. }) => {
                let when = shell.moment(&concert.starts_at, &concert.time_zone);
                Self { title: concert.title.clone(), when: Some(format!("{when} · {}", concert.venue)) }
            }
            None => Self { title: shell.t("line-house"), when: None },
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
    reload_seconds: i64,
    /// What the script starts from.
    data: String,
}

/// How much of the line has passed by: of those who were ahead at the start, or of all who ever were.
fn bar(line: &LineStatus, from: Option<i64>) -> i64 {
    let before = line.position.0.saturating_sub(1).max(0);
    let start = from.unwrap_or(before).min(before).max(line.ahead);
    if start == 0 {
        return BAR_MAX;
    }
    start.saturating_sub(line.ahead).saturating_mul(BAR_MAX).checked_div(start).unwrap_or(0)
}

/// Minutes and seconds from one moment to another: `0:54`.
fn clock(from: Time, to: Time) -> String {
    let seconds = to.since(from).micros().max(0).saturating_add(999_999) / 1_000_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

impl WaitingPage {
    pub(super) fn new(shell: Shell, token: &str, visit: Visit, goal: TurnGoal, policy: &Policy) -> HttpResult<Self> {
        let Visit { token: verified, line, concert, bearing } = visit;
        let row = concert.as_ref().map(|found| &found.concert);
        let zone = row.map_or(HOME_ZONE, |concert| &concert.time_zone);
        let scene = LineScene::of(&line);
        let links = PlaceLinks::of(token, goal, bearing);
        let place = PlaceWords {
            ahead: line.ahead,
            unit: shell.t1("line-unit", "n", line.ahead),
            wait: words::wait(&shell, line.wait, concert.as_ref()),
            bar: bar(&line, bearing.from),
            clock: line.deadline.map(|until| clock(line.as_of, until)).unwrap_or_default(),
            until: line.deadline.map(|until| shell.exact_hour(&until, zone)).unwrap_or_default(),
        };
        let key = fresh_key();
        let view = |scene: LineScene| {
            let text = match scene {
                // A turn that may be missed once more is not the last.
                LineScene::Turn if policy.missed_turns_max <= 1 => shell.t("line-turn-text-last"),
                other => shell.t(other.text_id()),
            };
            let title = shell.t(scene.title_id());
            let is_full = scene == LineScene::Turn && bearing.claim == LastClaim::Full;
            rendered(&SceneView { shell: &shell, scene, title, text, place: &place, links: &links, is_full, key: &key })
        };
        let shown = view(scene)?;
        let mut scenes = Vec::new();
        if !scene.is_over() {
            for scene in LineScene::ALL {
                scenes.push((scene.name(), view(scene)?));
            }
        }
        let tab = match scene {
            LineScene::Waiting if line.ahead > 0 => shell.t1("line-tab-ahead", "n", line.ahead),
            LineScene::Turn => shell.t("line-tab-turn"),
            other => shell.t(other.title_id()),
        };
        Ok(Self {
            scene,
            tab,
            head: PlaceHead::of(&shell, concert.as_ref()),
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
            "total_waiting": line.total_waiting,
            "estimated_wait": wait,
            "deadline": line.deadline,
            "poll_after_ms": line.poll_after_ms,
            "message": line.message,
            "as_of": line.as_of,
            "stale": line.is_stale,
        },
        "sales": words::sale_templates(shell),
        "words": {
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
            "sold_out": shell.t("line-wait-sold-out"),
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
        },
    })
    .to_string()
}

/// The page on which the line in front of another shop is joined.
#[derive(Template)]
#[template(path = "waiting/front.html")]
pub(super) struct FrontPage {
    pub(super) shell: Shell,
    key: String,
}

impl FrontPage {
    pub(super) fn new(shell: Shell) -> Self {
        Self { shell, key: fresh_key() }
    }
}

/// The question before leaving.
#[derive(Template)]
#[template(path = "waiting/leave.html")]
pub(super) struct LeavePage {
    pub(super) shell: Shell,
    head: PlaceHead,
    ahead: Option<i64>,
    back: String,
    action: String,
}

impl LeavePage {
    pub(super) fn new(
        shell: Shell,
        token: &str,
        line: &LineStatus,
        concert: Option<&ConcertOnSale>,
        bearing: Bearing,
    ) -> Self {
        let links = PlaceLinks::of(token, TurnGoal::Season, bearing);
        Self {
            head: PlaceHead::of(&shell, concert),
            ahead: (line.status == TokenStatus::Waiting).then_some(line.ahead),
            back: page_path(token, bearing),
            action: links.leave,
            shell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::id::Position;

    fn line(position: i64, ahead: i64) -> LineStatus {
        LineStatus {
            status: TokenStatus::Waiting,
            position: Position(position),
            ahead,
            total_waiting: ahead + 1,
            wait: Wait::Unknown(WaitUnknown::Measuring),
            deadline: None,
            end_reason: None,
            poll_after_ms: 1_500,
            message: None,
            as_of: Time::from_micros(0),
            is_stale: false,
        }
    }

    #[test]
    fn the_bar_moves_forward_alone_and_stays_within_its_bounds() {
        for (position, ahead, from, expected) in [
            (1_284, 312, None, 756),
            (1_284, 312, Some(312), 0),
            (1_284, 100, Some(312), 679),
            (1_284, 0, Some(312), BAR_MAX),
            // An altered address changes nothing but the bar.
            (1_284, 312, Some(5), 0),
            (1_284, 312, Some(i64::MAX), 756),
            (1, 0, None, BAR_MAX),
            (1, 0, Some(0), BAR_MAX),
        ] {
            assert_eq!(bar(&line(position, ahead), from), expected, "{position} {ahead} {from:?}");
        }
    }

    #[test]
    fn a_clock_counts_whole_seconds_and_stops_at_none() {
        let at = Time::from_micros;
        for (from, to, expected) in
            [(0, 54_000_000, "0:54"), (0, 53_000_001, "0:54"), (0, 600_000_000, "10:00"), (5, 0, "0:00")]
        {
            assert_eq!(clock(at(from), at(to)), expected);
        }
    }
}
