//! The rooms: how many wait and are in, and the page of each.

use super::{
    audit::log_of,
    concerts::ConcertLine,
    entries::line_name,
    moments,
    orders::{ROWS, heads},
    shell::CockpitShell,
    tables::{Cell, Link, ListPage, ObjectFact, ObjectPage, RowTable, raw},
};
use crate::edge::{
    extract::{PathId, QueryParams},
    problem::HttpResult,
    state::SharedState,
};
use axum::{Router, extract::State, response::Response, routing::get};
use frontrow_domain::{
    id::RoomId,
    line::{Gate, Room},
};
use frontrow_service::operators::RoomOverview;
use frontrow_storage::Page;
use serde::Deserialize;
use serde_json::json;

/// The routes of rooms.
pub(super) fn routes() -> Router<SharedState> {
    Router::new().route("/operator/rooms", get(list)).route("/operator/rooms/{room_id}", get(room))
}

/// From which room on the list goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomsQuery {
    after: Option<i64>,
}

fn gate(shell: &CockpitShell, room: &Room) -> String {
    match room.gate {
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
        Cell::link(line_name(shell, room.room_id), format!("/operator/rooms/{}", room.room_id)),
        Cell::text(gate(shell, room)),
        Cell::figure(shell.number(&overview.waiting)),
        Cell::figure(shell.number(&overview.offered)),
        Cell::figure(format!("{} / {}", shell.number(&overview.active), shell.number(&room.max_active))),
        Cell::text(rate(shell, room)),
    ]
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
        about: None,
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

async fn room(State(app): State<SharedState>, shell: CockpitShell, PathId(id): PathId<RoomId>) -> HttpResult<Response> {
    let overview = app.office.room(id).await?;
    let room = &overview.room;
    let entries = app.office.audit_of("room", id, Page { after: None, limit: ROWS }).await?;
    let is_cut = u32::try_from(entries.len()).is_ok_and(|len| len >= ROWS);
    let timeline = moments::lines_of_entries(&app, &shell, entries).await;
    let facts = vec![
        ObjectFact::of(shell.t("orders-waiting"), Cell::text(shell.number(&overview.waiting))),
        ObjectFact::of(shell.t("orders-offered"), Cell::text(shell.number(&overview.offered))),
        ObjectFact::of(
            shell.t("orders-in"),
            Cell::text(format!("{} / {}", shell.number(&overview.active), shell.number(&room.max_active))),
        ),
        ObjectFact::of(shell.t("orders-rate-head"), Cell::text(rate(&shell, room))),
        ObjectFact::of(shell.t("orders-highest"), Cell::text(shell.number(&overview.highest.0))),
        ObjectFact::of(shell.t("orders-message"), Cell::text(room.message.clone().unwrap_or_else(|| "–".to_owned()))),
    ];
    let mut more = vec![Link::to(shell.t("orders-rooms"), "/operator/rooms"), log_of(&shell, &format!("room {id}"))];
    let tables = match id.concert() {
        Some(concert) => {
            more.push(Link::to(shell.t("orders-sale"), format!("/operator/concerts/{concert}/sale")));
            Vec::new()
        }
        None => vec![house_concerts(&app, &shell).await?],
    };
    ObjectPage {
        title: line_name(&shell, id),
        state: gate(&shell, room),
        facts,
        acts: Vec::new(),
        more,
        tables,
        timeline,
        cut: is_cut.then(|| shell.t("orders-cut")),
        raw: raw(&json!({ "room": room }))?,
        shell,
    }
    .answer()
}
