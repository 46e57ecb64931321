//! The rooms: how many wait and are in, and the page of each, with the form that moves its line.

mod lanes;
mod new_site;
mod shares;

use super::{
    audit::log_of,
    concerts::ConcertLine,
    desk::{FormPlace, FormView, RoomForm, set_room},
    entries::{EntryWords, UserNames, line_name},
    moments,
    orders::{ROWS, heads},
    people::{LinePlace, block_end},
    shell::CockpitShell,
    tables::{Cell, Link, ListPage, ObjectFact, ObjectPage, RowTable, raw},
};
use crate::{
    edge::{
        auth::OperatorOnly,
        extract::{PathId, QueryParams},
        form::FormFields,
        problem::HttpResult,
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page},
        paths,
        shell::HOME_ZONE,
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::{Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    id::RoomId,
    line::{DrawPhase, Gate, Room, ToldHorizon},
};
use frontrow_service::operators::RoomOverview;
use frontrow_storage::Page;
use serde::Deserialize;
use serde_json::json;
use std::ops::Deref;

/// The routes of rooms.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/rooms", get(list))
        .route("/operator/rooms/new", get(new_site::form).post(new_site::create))
        .route("/operator/rooms/{room_id}/close", get(new_site::close_form).post(new_site::close))
        .route("/operator/rooms/{room_id}/lanes", get(lanes::open_form).post(lanes::open))
        .route("/operator/rooms/{room_id}/lane", get(lanes::share_form).post(lanes::share))
        .route("/operator/rooms/{room_id}/lane/end", get(lanes::end_form).post(lanes::end))
        .route("/operator/rooms/{room_id}/lane/reopen", get(lanes::reopen_form).post(lanes::reopen))
        .route("/operator/rooms/{room_id}/guests", get(lanes::add_guest_form).post(lanes::add_guest))
        .route("/operator/rooms/{room_id}/guests/removals", get(lanes::remove_guest_form).post(lanes::remove_guest))
        .route("/operator/rooms/{room_id}/weight", get(shares::weight_form).post(shares::weight))
        .route("/operator/rooms/{room_id}/budget", get(shares::budget_form).post(shares::budget))
        .route("/operator/rooms/{room_id}/budget/end", get(shares::budget_end_form).post(shares::budget_end))
        .route("/operator/rooms/{room_id}", get(room))
        .route("/operator/rooms/{room_id}/settings", get(to_room).post(set))
}

/// From which room on the list goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomsQuery {
    after: Option<i64>,
}

/// What a room is called: by its site, or by its line.
fn name_of(shell: &CockpitShell, room: &Room) -> String {
    let site = room.site.as_ref().filter(|_| room.lane.is_none());
    site.map_or_else(|| line_name(shell, room.room_id), |site| site.name.clone())
}

fn gate(shell: &CockpitShell, room: &Room) -> String {
    match room.gate {
        _ if room.site.is_some() && room.closes_at.is_some() => shell.t("orders-room-closed"),
        Gate::Open => shell.t("orders-gate-open"),
        Gate::Paused => shell.t("orders-gate-paused"),
    }
}

fn rate(shell: &CockpitShell, room: &Room) -> String {
    room.admit_per_minute.map_or_else(|| shell.t("orders-rate-none"), |rate| shell.t1("orders-rate", "n", rate))
}

fn row(shell: &CockpitShell, overview: &RoomOverview) -> Vec<Cell> {
    let room = &overview.room;
    vec![
        Cell::link(name_of(shell, room), path_of(room.room_id)),
        Cell::text(gate(shell, room)),
        Cell::figure(shell.number(&overview.waiting)),
        Cell::figure(shell.number(&overview.offered)),
        Cell::figure(format!("{} / {}", shell.number(&overview.active), shell.number(&room.max_active_tokens()))),
        Cell::text(rate(shell, room)),
    ]
}

/// The order of the opening, and how far its draw is.
fn opening(shell: &CockpitShell, RoomOverview { room, waiting, .. }: &RoomOverview) -> String {
    match room.draw {
        DrawPhase::None => shell.t("desk-opening-first-come"),
        DrawPhase::Lobby => shell.t1("orders-draw-lobby", "n", *waiting),
        DrawPhase::Sealed { .. } => shell.t("orders-draw-sealed"),
        DrawPhase::Placing { placed, entries, .. } => shell.t2("orders-draw-placing", "placed", placed, "n", entries),
        DrawPhase::Placed { entries, .. } => shell.t1("orders-draw-placed", "n", entries),
    }
}

async fn list(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(RoomsQuery { after }): QueryParams<RoomsQuery>,
) -> HttpResult<Response> {
    let most = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let mut rooms = app.office.rooms();
    rooms.retain(|overview| after.is_none_or(|after| overview.room.room_id.get() > after));
    let is_more = rooms.len() > most;
    rooms.truncate(most);
    let next = rooms.last().filter(|_| is_more).map(|last| format!("/operator/rooms?after={}", last.room.room_id));
    ListPage {
        title: shell.t("orders-rooms"),
        about: shell.may_change().then(|| Link::to(shell.t("orders-room-new"), "/operator/rooms/new")),
        path: "/operator/rooms",
        state: None,
        choices: Vec::new(),
        texts: Vec::new(),
        table: RowTable {
            caption: shell.t("orders-rooms"),
            heads: heads(
                &shell,
                [
                    "orders-room-head",
                    "orders-state",
                    "orders-waiting",
                    "orders-offered",
                    "orders-in",
                    "orders-rate-head",
                ],
            ),
            rows: rooms.iter().map(|overview| row(&shell, overview)).collect(),
            none: shell.t("orders-none"),
        },
        newest: after.map(|_| "/operator/rooms".to_owned()),
        older: next,
        shell,
    }
    .answer()
}

/// The concerts to come that people wait for in the house room, each with its screen of the sale.
async fn house_concerts(app: &SharedState, shell: &CockpitShell) -> HttpResult<RowTable> {
    let season = app.office.season().await?;
    let now = app.office.now();
    let lines =
        season.concerts.iter().map(|shown| &shown.on_sale).filter(|on_sale| on_sale.concert.room_id == RoomId::HOUSE);
    let lines = lines.map(|on_sale| ConcertLine::of(shell, on_sale, now));
    let rows = lines.map(|line| {
        vec![Cell::link(line.title, format!("{}/sale", line.path)), Cell::text(line.when), Cell::text(line.sale.text)]
    });
    Ok(RowTable {
        caption: shell.t("orders-room-concerts"),
        heads: heads(shell, ["orders-concert-head", "orders-when", "orders-state"]),
        rows: rows.collect(),
        none: shell.t("orders-room-concerts-none"),
    })
}

/// How near the told waits were to those that came, by horizon.
fn told_waits(shell: &CockpitShell, line: &RoomOverview) -> RowTable {
    let percent = |value: Option<i64>| value.map_or_else(|| "–".to_owned(), |n| shell.t1("orders-percent", "n", n));
    let rows = line.told.iter().filter(|tally| tally.judged > 0).map(|tally| {
        let horizon = match tally.horizon {
            ToldHorizon::First => shell.t("orders-told-first"),
            ToldHorizon::HalfMinute => shell.t1("orders-told-seconds", "n", 30_i64),
            other => shell.t1("orders-told-minutes", "n", other.seconds().unwrap_or_default() / 60),
        };
        vec![
            Cell::text(horizon),
            Cell::figure(shell.number(&i64::try_from(tally.judged).unwrap_or(i64::MAX))),
            Cell::figure(percent(tally.error_percent)),
            Cell::figure(percent(tally.within_percent().and_then(|percent| i64::try_from(percent).ok()))),
        ]
    });
    RowTable {
        caption: shell.t("orders-told"),
        heads: heads(shell, ["orders-told-when", "orders-told-judged", "orders-told-error", "orders-told-within"]),
        rows: rows.collect(),
        none: shell.t("orders-told-none"),
    }
}

/// The users whom operators keep out of the line; none if there are none.
async fn blocked(app: &SharedState, shell: &CockpitShell, room: RoomId) -> HttpResult<Option<RowTable>> {
    let mut blocks = app.office.line_blocks(room, Page { after: None, limit: ROWS }).await?;
    let now = app.office.now();
    blocks.retain(|block| block.is_in_force(now));
    if blocks.is_empty() {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(blocks.len());
    for block in &blocks {
        let user = app.office.user(block.user_id).await?;
        let name = user.map_or_else(|| block.user_id.to_string(), |user| user.name);
        let place = LinePlace { room, user: block.user_id };
        let lift = if shell.may_change() {
            Cell::link(shell.t("orders-line-unblock"), place.path("unblock"))
        } else {
            Cell::default()
        };
        rows.push(vec![
            Cell::link(name, format!("/operator/users/{}", block.user_id)),
            Cell::text(block_end(shell, block)),
            Cell::text(block.reason.clone()),
            lift,
        ]);
    }
    Ok(Some(RowTable {
        caption: shell.t("orders-blocks-of-line"),
        heads: heads(shell, ["orders-name", "orders-state", "orders-reason", "orders-line-block-head"]),
        rows,
        none: String::new(),
    }))
}

/// The address of a room's page.
pub(super) fn path_of(id: RoomId) -> String {
    format!("/operator/rooms/{id}")
}

/// Who changed the settings of a room last, and what, in words.
pub(super) async fn last_change(app: &SharedState, shell: &CockpitShell, id: RoomId) -> Option<(String, String)> {
    let entry = app.office.audit_of("room", id.general(), Page { after: None, limit: 1 }).await.ok()?.pop()?;
    let names = UserNames::of(app, [&entry].into_iter()).await;
    let EntryWords { who, what, .. } = EntryWords::of(shell, &entry, &|user| names.get(user), HOME_ZONE);
    Some((who, what))
}

/// The page of a room with the form that moves its line.
#[derive(Template)]
#[template(path = "cockpit/room.html")]
struct RoomPage {
    object: ObjectPage,
    notice: Option<FormNotice>,
    applied: Option<String>,
    path: String,
    is_paused: bool,
    /// Whether the order of the opening may still change.
    may_reorder: bool,
    /// None for viewers, and for a lane.
    form: Option<RoomForm>,
    /// Why there is none.
    no_form: String,
    preview: String,
}

impl Deref for RoomPage {
    type Target = ObjectPage;

    fn deref(&self) -> &ObjectPage {
        &self.object
    }
}

async fn room(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<RoomId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let line = app.office.room(id).await?;
    let applied = (query.as_deref() == Some("applied")).then(|| shell.t("desk-applied"));
    show(&app, shell, &line, FormView { applied, ..FormView::default() }).await
}

/// Writes the page of a room.
pub(super) async fn show(
    app: &SharedState,
    shell: CockpitShell,
    line: &RoomOverview,
    view: FormView,
) -> HttpResult<Response> {
    let room = &line.room;
    let id = room.room_id;
    // What is done with a lane is an entry of its line.
    let entries = app.office.audit_of("room", id.general(), Page { after: None, limit: ROWS }).await?;
    let is_cut = u32::try_from(entries.len()).is_ok_and(|len| len >= ROWS);
    let timeline = moments::lines_of_entries(app, &shell, entries).await;
    let facts = [
        ("orders-waiting", shell.number(&line.waiting)),
        ("orders-offered", shell.number(&line.offered)),
        ("orders-in", format!("{} / {}", shell.number(&line.active), shell.number(&room.max_active_tokens()))),
        ("orders-rate-head", rate(&shell, room)),
        ("desk-opening", opening(&shell, line)),
        ("orders-highest", shell.number(&line.highest.0)),
        ("orders-message", room.message.clone().unwrap_or_else(|| "–".to_owned())),
    ];
    let mut more =
        vec![Link::to(shell.t("orders-rooms"), "/operator/rooms"), log_of(&shell, &format!("room {}", id.general()))];
    let mut tables = vec![told_waits(&shell, line)];
    match id.concert() {
        Some(concert) => {
            more.push(Link::to(shell.t("orders-sale"), format!("/operator/concerts/{concert}/sale")));
            if room.draw != DrawPhase::None {
                more.push(Link::to(shell.t("orders-draw"), paths::draw(concert)));
            }
        }
        None if id.is_of_site() => {}
        None => tables.push(house_concerts(app, &shell).await?),
    }
    tables.push(lanes::table(app, &shell, room).await?);
    // Blocks are from a line and its lanes together.
    if room.lane.is_none() {
        tables.extend(blocked(app, &shell, id).await?);
    }
    if room.lane.is_none() && app.office.has_line_report(id).await? {
        let path = id.concert().map_or_else(|| paths::site_report(id), paths::line_report);
        more.push(Link::to(shell.t("report-link"), path));
    }
    let mut facts: Vec<_> = facts.map(|(name, value)| ObjectFact::of(shell.t(name), Cell::text(value))).into();
    facts.extend(shares::facts(&shell, room));
    facts.extend(lanes::facts(&shell, room));
    let mut acts = Vec::new();
    if shell.may_change() {
        acts.extend(shares::acts(&shell, room));
        acts.extend(lanes::acts(&shell, room));
    }
    if let Some(site) = &room.site {
        facts.push(ObjectFact::of(shell.t("orders-room-url"), Cell::text(site.turn_url.as_str().to_owned())));
        if let Some(opens_at) = &room.opens_at {
            facts.push(ObjectFact::of(
                shell.t("orders-room-opens"),
                Cell::text(shell.exact_moment(opens_at, HOME_ZONE)),
            ));
        }
        more.push(Link::to(shell.t("orders-room-page"), paths::line(id.general())));
        if room.closes_at.is_none() && shell.may_change() && room.lane.is_none() {
            acts.push(Link::to(shell.t("orders-room-close"), format!("{}/close", path_of(id))));
        }
    }
    let FormView { form, notice, preview, applied } = view;
    let page = RoomPage {
        notice,
        applied,
        path: path_of(id),
        is_paused: room.gate == Gate::Paused,
        may_reorder: room.may_reorder(app.office.now()),
        no_form: shell.t(if room.lane.is_some() { "orders-lane-follows" } else { "desk-view-only" }),
        form: (shell.may_change() && room.lane.is_none()).then(|| form.unwrap_or_else(|| RoomForm::fresh(room))),
        preview,
        object: ObjectPage {
            title: name_of(&shell, room),
            state: gate(&shell, room),
            facts,
            acts,
            more,
            tables,
            timeline,
            cut: is_cut.then(|| shell.t("orders-cut")),
            raw: raw(&json!({ "room": room }))?,
            shell,
        },
    };
    form_page(&page.shell, page.notice.as_ref(), &page)
}

/// The address of the form, opened as a page: by a reload, or by the way back from a sign-in.
async fn to_room(PathId(id): PathId<RoomId>) -> Redirect {
    Redirect::to(&path_of(id))
}

async fn set(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    shell: CockpitShell,
    PathId(id): PathId<RoomId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let line = app.office.room(id).await?;
    let place = FormPlace::Room(Box::new(line), app.office.now());
    set_room((app, shell, caller), place, &fields).await
}
