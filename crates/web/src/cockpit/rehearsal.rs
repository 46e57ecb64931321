//! The rehearsal of a concert: a crowd comes to a copy of it, and the page says how the sale would go.

mod form;
mod outcome;

use super::{
    nav::{ConcertNav, ConcertPart},
    shell::CockpitShell,
};
use crate::{
    edge::{
        auth::OperatorOnly,
        extract::PathId,
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        forms::bound_key,
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use form::SetupForm;
use frontrow_domain::{
    id::ConcertId,
    sale::RehearsalObstacle,
    time::{Span, Time},
};
use frontrow_service::rehearsal::{
    LastRehearsal, NoRehearsal, RehearsalEnd, RehearsalView, RunningRehearsal, report::RehearsalPhase,
};
use outcome::ShownOutcome;

/// The routes of rehearsals.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts/{concert_id}/rehearsal", get(show).post(begin))
        .route("/operator/concerts/{concert_id}/rehearsal/stop", get(to_rehearsal).post(stop))
        .route("/operator/concerts/{concert_id}/rehearsal/plan.json", get(plan))
}

/// A rehearsal that runs, as the page shows it.
struct ShownRunning {
    phase: String,
    /// Minutes and seconds since the opening, of how many.
    time: String,
    /// For the bar: seconds since the opening, and in all.
    seconds: u64,
    in_all: u64,
    came: String,
    waiting: String,
    active: String,
    sold: String,
    requests: String,
}

impl ShownRunning {
    fn of(shell: &Shell, running: &RunningRehearsal) -> Self {
        let RunningRehearsal { setup, progress, .. } = running;
        let phase = match progress.phase {
            RehearsalPhase::Preparing => "rehearsal-preparing",
            RehearsalPhase::Selling => "rehearsal-selling",
            RehearsalPhase::Auditing => "rehearsal-auditing",
        };
        let number = |number: u64| shell.number(&i64::try_from(number).unwrap_or(i64::MAX));
        let in_all = u64::from(setup.minutes) * 60;
        let seconds = progress.seconds.min(in_all);
        let length = |seconds: u64| shell.length(Span::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
        Self {
            phase: shell.t(phase),
            time: shell.t2("rehearsal-time", "now", length(seconds), "most", length(in_all)),
            seconds,
            in_all,
            came: shell.t2("rehearsal-of", "some", number(progress.came), "all", number(setup.people.into())),
            waiting: shell.number(&progress.waiting),
            active: shell.number(&progress.active),
            sold: number(progress.sold),
            requests: number(progress.requests),
        }
    }
}

#[derive(Template)]
#[template(path = "cockpit/rehearsal.html")]
struct RehearsalPage {
    shell: CockpitShell,
    nav: ConcertNav,
    path: String,
    title: String,
    /// Why it could not begin just now.
    refused: Option<String>,
    /// The rehearsal of this concert that runs.
    running: Option<ShownRunning>,
    /// Why none can begin.
    obstacle: Option<String>,
    /// Whether another machine could do it.
    is_elsewhere: bool,
    form: SetupForm,
    /// When the last one ended, and how if it has no result.
    ended: Option<String>,
    outcome: Option<ShownOutcome>,
}

/// The address of the form that stops it, opened as a page: by a reload, or by the way back from a sign-in.
async fn to_rehearsal(PathId(id): PathId<ConcertId>) -> Redirect {
    Redirect::to(&path_of(id))
}

fn path_of(id: ConcertId) -> String {
    format!("/operator/concerts/{id}/rehearsal")
}

/// Why no rehearsal can begin.
fn obstacle_words(shell: &Shell, obstacle: &NoRehearsal, now: Time) -> String {
    let mebibytes = |bytes: u64| shell.number(&i64::try_from(bytes >> 20).unwrap_or(i64::MAX));
    match obstacle {
        NoRehearsal::NotOffered => shell.t("rehearsal-not-offered"),
        NoRehearsal::Sales(RehearsalObstacle::SaleNear(concert)) => {
            let opens = shell.exact_moment(&concert.opens_at, &concert.time_zone);
            let id = if concert.opens_at <= now { "rehearsal-sale-open" } else { "rehearsal-sale-near" };
            shell.t2(id, "title", concert.title.as_str(), "opens", opens)
        }
        NoRehearsal::Running(_) => shell.t("rehearsal-running-other"),
        NoRehearsal::Sales(RehearsalObstacle::ConcertOver) => shell.t("rehearsal-over"),
        NoRehearsal::Sales(RehearsalObstacle::NothingToSell) => shell.t("rehearsal-nothing-to-sell"),
        NoRehearsal::Memory { needed, free } => {
            shell.t2("rehearsal-no-memory", "needed", mebibytes(*needed), "free", mebibytes(*free))
        }
        NoRehearsal::Disk { needed, free } => {
            shell.t2("rehearsal-no-disk", "needed", mebibytes(*needed), "free", mebibytes(*free))
        }
        NoRehearsal::NotStarted => shell.t("rehearsal-not-started"),
    }
}

/// How a rehearsal ended, if without a result.
fn end_words(shell: &Shell, last: &LastRehearsal, zone: &str) -> String {
    let at = shell.exact_moment(&last.ended_at, zone);
    match &last.end {
        RehearsalEnd::Done(_) => shell.t1("rehearsal-ended", "at", at),
        RehearsalEnd::Stopped => shell.t1("rehearsal-stopped", "at", at),
        RehearsalEnd::SaleNear(concert) => {
            shell.t2("rehearsal-ended-by-sale", "at", at, "title", concert.title.as_str())
        }
        RehearsalEnd::Failed(id) => shell.t2("rehearsal-failed", "at", at, "id", id.to_string()),
    }
}

fn page(
    shell: CockpitShell,
    view: &RehearsalView,
    form: SetupForm,
    refused: Option<&NoRehearsal>,
    now: Time,
) -> RehearsalPage {
    let concert = &view.concert;
    let own = view.running.as_ref().filter(|running| running.concert_id == concert.concert_id);
    let obstacle = view.obstacle.as_ref().filter(|_| own.is_none());
    let last = view.last.as_deref();
    RehearsalPage {
        nav: ConcertNav { id: concert.concert_id, here: ConcertPart::Rehearsal },
        path: path_of(concert.concert_id),
        title: concert.title.clone(),
        refused: refused.map(|refused| obstacle_words(&shell, refused, now)),
        running: own.map(|running| ShownRunning::of(&shell, running)),
        obstacle: obstacle.map(|obstacle| obstacle_words(&shell, obstacle, now)),
        is_elsewhere: matches!(
            obstacle.or(refused),
            Some(
                NoRehearsal::NotOffered
                    | NoRehearsal::Sales(RehearsalObstacle::SaleNear(_))
                    | NoRehearsal::Memory { .. }
                    | NoRehearsal::Disk { .. }
            )
        ),
        form,
        ended: last.map(|last| end_words(&shell, last, &concert.time_zone)),
        outcome: last.and_then(|last| match &last.end {
            RehearsalEnd::Done(report) => Some(ShownOutcome::of(&shell, concert, report)),
            _ => None,
        }),
        shell,
    }
}

async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let view = app.office.rehearsal(id).await?;
    // Another crowd than the one to begin with is likely to be tried again.
    let before = view.last.as_ref().map_or(view.proposed, |last| last.setup);
    let form = SetupForm::of(&shell, &before, app.office.policy());
    let page = page(shell, &view, form, None, app.office.now());
    html(&page.shell, StatusCode::OK, &page)
}

async fn begin(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let policy = app.office.policy();
    let (form, setup) = SetupForm::read(&shell, &fields, policy);
    let key = bound_key(&fields, caller, "/operator/concerts/{id}/rehearsal", &[&id])?;
    let refused = match setup {
        Some(setup) => app.office.begin_rehearsal(caller, id, setup, key).await?.err(),
        None => None,
    };
    match (&refused, setup) {
        (None, Some(_)) => return Ok(Redirect::to(&path_of(id)).into_response()),
        // The form was sent twice at once, or from two pages.
        (Some(NoRehearsal::Running(running)), _) if *running == id => {
            return Ok(Redirect::to(&path_of(id)).into_response());
        }
        _ => {}
    }
    let view = app.office.rehearsal(id).await?;
    let status = if setup.is_none() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CONFLICT };
    let page = page(shell, &view, form, refused.as_ref(), app.office.now());
    html(&page.shell, status, &page)
}

async fn stop(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<ConcertId>,
    _fields: FormFields,
) -> HttpResult<Response> {
    app.office.concert(id).await?;
    app.office.stop_rehearsal(caller, id).await?;
    Ok(Redirect::to(&path_of(id)).into_response())
}

/// The plan of a rehearsal, for another machine.
async fn plan(
    State(app): State<SharedState>,
    OperatorOnly(_): OperatorOnly,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let plan = app.office.rehearsal_plan(id, None).await?;
    let body = serde_json::to_vec(&plan).map_err(Problem::internal)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"rehearsal-plan.json\"")),
    ];
    Ok((headers, body).into_response())
}
