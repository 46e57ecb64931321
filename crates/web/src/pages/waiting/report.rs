//! The page of a line that is over: its report in words, and signed.

use super::{enter, page::PlaceHead};
use crate::{
    edge::{
        auth::ClientAddress,
        base_url::BaseUrl,
        extract::{PathId, PathText},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{
        paths,
        shared::{HTML, SharedRequest, text_of},
        shell::{HOME_ZONE, Shell},
    },
};
use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use frontrow_domain::{
    id::ConcertId,
    line::{LaneKind, ToldHorizon},
    time::Time,
};
use frontrow_line::view::ToldTally;
use frontrow_service::line::SignedLineReport;
use frontrow_signing::{LaneCounts, LineCounts};

/// The routes of reports.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/concerts/{concert_id}/line/report", get(of_concert))
        // The place of the token is that of a room.
        .route("/line/{token}/report", get(of_site))
}

/// A count, and its name.
#[derive(Debug)]
struct CountedFact {
    name: String,
    count: String,
}

/// A line with its counts.
#[derive(Debug)]
struct CountedLine {
    id: &'static str,
    heading: String,
    /// Whether any activation exceeded the cap.
    verdict: String,
    facts: Vec<CountedFact>,
}

impl CountedLine {
    fn new(shell: &Shell, (id, heading): (&'static str, &str), counts: &LineCounts) -> Self {
        let facts = [
            ("report-entered", counts.entered),
            ("report-drawn", counts.drawn),
            ("report-admitted", counts.admitted),
            ("report-paid", counts.paid),
            ("report-missed", counts.missed),
            ("report-passed-over", counts.passed_over),
            ("report-left", counts.left),
            ("report-removed", counts.removed),
            ("report-expired", counts.expired),
            ("report-missed-out", counts.missed_out),
            ("report-waiting", counts.waiting_at_end),
            ("report-active-most", counts.active_most),
            ("report-cap-most", counts.cap_most),
            ("report-overshoot", counts.overshoot),
        ];
        let facts = facts.map(|(name, count)| CountedFact { name: shell.t(name), count: shell.number(&count) });
        let verdict = match counts.overshoot {
            0 => shell.t("report-kept"),
            beyond => shell.t1("report-broken", "n", beyond),
        };
        Self { id, heading: shell.t(heading), verdict, facts: facts.into() }
    }
}

#[derive(Template)]
#[template(path = "waiting/report.html")]
struct ReportPage {
    shell: Shell,
    head: PlaceHead,
    /// The general line, and the lanes beside it.
    lines: Vec<CountedLine>,
    closed: Option<String>,
    /// How near the waits were that tokens were told first; none if this instance told none.
    told: Option<String>,
    signed: String,
    /// Where programs get it.
    source: String,
    /// The page that this one leads back to.
    back: String,
}

/// How near the waits that tokens were told first were to those that came.
fn told_words(shell: &Shell, told: &[ToldTally]) -> Option<String> {
    let first = told.iter().find(|tally| tally.horizon == ToldHorizon::First)?;
    let within = i64::try_from(first.within_percent()?).ok()?;
    Some(shell.t2("report-told", "error", first.error_percent?, "within", within))
}

impl ReportPage {
    fn new(shell: Shell, head: PlaceHead, report: SignedLineReport, zone: &str, back: String) -> Self {
        let SignedLineReport { claims, signed, told } = report;
        let general = CountedLine::new(&shell, ("counts", "report-counts"), &claims.counts);
        let beside = claims.lanes.iter().map(|LaneCounts { lane, counts }| {
            let names = match lane {
                LaneKind::Invitation => ("counts-invitation", "report-counts-invitation"),
                LaneKind::Accessibility => ("counts-accessibility", "report-counts-accessibility"),
            };
            CountedLine::new(&shell, names, counts)
        });
        let lines = std::iter::once(general).chain(beside).collect();
        let closed = claims
            .closes_at
            .map(|at| shell.t1("report-closed", "when", shell.exact_moment(&Time::from_micros(at), zone)));
        let source = format!("/api/v1/rooms/{}/line-report", claims.room);
        let told = told_words(&shell, &told);
        Self { shell, head, lines, closed, told, signed, source, back }
    }
}

/// The report of a concert's line. It is the same for all visitors of a language for a second.
async fn of_concert(
    State(app): State<SharedState>,
    shell: Shell,
    base: BaseUrl,
    ClientAddress(client): ClientAddress,
    PathId(id): PathId<ConcertId>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let shell = shell.at(paths::line_report(id));
    let request = SharedRequest { app: &app, shell: &shell, base: &base, headers: &headers, client };
    let render = async {
        let found = app.office.concert_at_a_glance(id).await?;
        let report = app.office.line_report(found.concert.room_id, base.as_str()).await?;
        let head = PlaceHead::of(&shell, Some(&found), None);
        let zone = found.concert.time_zone.as_str();
        text_of(&ReportPage::new(shell.clone(), head, report, zone, paths::concert(id)))
    };
    request.answer(HTML, render).await
}

/// The report of the line of a site's room.
async fn of_site(
    State(app): State<SharedState>,
    shell: Shell,
    base: BaseUrl,
    ClientAddress(client): ClientAddress,
    PathText(room): PathText,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let room = enter::room_named(&room).filter(|room| room.is_of_site() && !room.is_lane());
    let room = room.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    let shell = shell.at(paths::site_report(room));
    let request = SharedRequest { app: &app, shell: &shell, base: &base, headers: &headers, client };
    let render = async {
        let site = app.office.site_of(room).await?;
        let report = app.office.line_report(room, base.as_str()).await?;
        let head = PlaceHead::of(&shell, None, site.as_ref());
        text_of(&ReportPage::new(shell.clone(), head, report, HOME_ZONE, paths::line(room)))
    };
    request.answer(HTML, render).await
}
