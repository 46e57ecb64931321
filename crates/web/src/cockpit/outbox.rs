//! `/operator/outbox`: events that are not delivered, the page of each, and dead letters to be delivered again.

use super::{
    acts::{ActPage, ActVisit, done},
    audit::{log_of, path_of_entry},
    moments,
    orders::{ROWS, heads},
    shell::CockpitShell,
    tables::{Cell, Link, ListChoice, ListPage, ObjectFact, ObjectPage, RowTable, pager, raw},
};
use crate::{
    edge::{
        extract::{Cursor, PathId, QueryParams},
        form::FormFields,
        problem::HttpResult,
        reply::next_page,
        state::SharedState,
    },
    html::shell::HOME_ZONE,
};
use axum::{Router, extract::State, response::Response, routing::get};
use frontrow_domain::{
    id::EventId,
    outbox::{Consumer, DeliveryError, EventPayload, EventState, OutboxEvent},
};
use frontrow_storage::{EventFilter, Page};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The routes of the outbox.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/outbox", get(list))
        .route("/operator/outbox/{event_id}", get(event))
        .route("/operator/outbox/{event_id}/retry", get(ask_to_retry).post(retry))
}

/// The state of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum DeliveryStage {
    Pending,
    Dead,
}

/// What narrows the list.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<DeliveryStage>,
    #[serde(skip_serializing)]
    cursor: Option<Cursor<EventId>>,
}

fn consumer(shell: &CockpitShell, consumer: Consumer) -> String {
    match consumer {
        Consumer::AuditFeed => shell.t("orders-to-feed"),
        Consumer::Letters => shell.t("orders-to-mail"),
    }
}

fn path_of(id: EventId) -> String {
    format!("/operator/outbox/{id}")
}

fn stage(shell: &CockpitShell, state: EventState) -> String {
    match state {
        EventState::DeadLetter { since } => {
            shell.t1("orders-dead-since", "when", shell.exact_moment(&since, HOME_ZONE))
        }
        EventState::Pending { due_at } => shell.t1("orders-due-at", "when", shell.exact_moment(&due_at, HOME_ZONE)),
    }
}

/// The link to the form that has an event delivered again, for those who may; none of one that is not dead.
fn retry_link(shell: &CockpitShell, event: &OutboxEvent) -> Option<Link> {
    let may_be = event.state.dead_at().is_some() && shell.may_change();
    may_be.then(|| Link::to(shell.t("orders-retry"), format!("{}/retry", path_of(event.event_id))))
}

fn row(shell: &CockpitShell, event: &OutboxEvent) -> Vec<Cell> {
    let id = event.event_id;
    let act = retry_link(shell, event).map_or_else(Cell::default, |link| Cell::link(link.text, link.href));
    vec![
        Cell::link(id.to_string(), path_of(id)),
        Cell::text(consumer(shell, event.consumer)),
        Cell::text(stage(shell, event.state)),
        Cell::figure(shell.number(&i64::from(event.attempts))),
        Cell::text(event.last_error.as_ref().map_or("", DeliveryError::text)),
        act,
    ]
}

pub(super) fn events_table(shell: &CockpitShell, events: &[OutboxEvent]) -> RowTable {
    RowTable {
        caption: shell.t("orders-outbox"),
        heads: heads(
            shell,
            ["orders-number", "orders-to", "orders-state", "orders-tries", "orders-last-error", "orders-act"],
        ),
        rows: events.iter().map(|event| row(shell, event)).collect(),
        none: shell.t("orders-outbox-none"),
    }
}

async fn list(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(query): QueryParams<EventsQuery>,
) -> HttpResult<Response> {
    let filter = match query.state {
        None => EventFilter::All,
        Some(DeliveryStage::Pending) => EventFilter::Pending,
        Some(DeliveryStage::Dead) => EventFilter::Dead,
    };
    let page = Page { after: query.cursor.map(|cursor| cursor.0), limit: ROWS };
    let list = next_page(app.office.outbox(filter, page).await?, &page, |row| row.event_id);
    let (newest, older) = pager("/operator/outbox", &query, page.after.is_none(), &list)?;
    let states = [(DeliveryStage::Pending, shell.t("orders-is-due")), (DeliveryStage::Dead, shell.t("orders-is-dead"))];
    ListPage {
        title: shell.t("orders-outbox"),
        about: None,
        path: "/operator/outbox",
        state: None,
        choices: vec![ListChoice::of(&shell, "state", query.state, states)?],
        texts: Vec::new(),
        table: events_table(&shell, &list.items),
        newest,
        older,
        shell,
    }
    .answer()
}

/// What an event reports: the entry of the log, or the user that is to get a letter.
fn reported(shell: &CockpitShell, payload: &EventPayload) -> Cell {
    match payload {
        EventPayload::AuditRecorded { audit_id } => {
            Cell::link(shell.t1("orders-entry", "number", audit_id.to_string()), path_of_entry(*audit_id))
        }
        EventPayload::LetterRequested { user_id, .. } => {
            Cell::link(shell.t("orders-letter-to"), format!("/operator/users/{user_id}"))
        }
        EventPayload::Unknown(value) => Cell::text(value.to_string()),
    }
}

async fn event(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<EventId>,
) -> HttpResult<Response> {
    let event = app.office.event(id).await?;
    let entries = app.office.audit_of("event", id, Page { after: None, limit: ROWS }).await?;
    let timeline = moments::lines_of_entries(&app, &shell, entries).await;
    let facts = [
        ("orders-to", Cell::text(consumer(&shell, event.consumer))),
        ("orders-what-head", reported(&shell, &event.payload)),
        ("orders-made-at", Cell::text(shell.exact_moment(&event.created_at, HOME_ZONE))),
        ("orders-tries", Cell::text(shell.number(&i64::from(event.attempts)))),
        ("orders-last-error", Cell::text(event.error_text().unwrap_or("–"))),
    ];
    ObjectPage {
        title: shell.t1("orders-event", "number", id.to_string()),
        state: stage(&shell, event.state),
        facts: facts.map(|(name, value)| ObjectFact::of(shell.t(name), value)).into(),
        acts: retry_link(&shell, &event).into_iter().collect(),
        more: vec![Link::to(shell.t("orders-outbox"), "/operator/outbox"), log_of(&shell, &format!("event {id}"))],
        tables: Vec::new(),
        timeline,
        cut: None,
        raw: raw(&json!({ "event": event }))?,
        shell,
    }
    .answer()
}

fn form(visit: &ActVisit<EventId>) -> ActPage {
    let (shell, id) = (visit.shell.clone(), visit.id);
    let about = Link::to(shell.t("orders-outbox"), "/operator/outbox?state=dead");
    let (title, button) = (shell.t1("orders-event", "number", id.to_string()), shell.t("orders-retry"));
    let effects = vec![shell.t("orders-retry-tries")];
    ActPage::of(shell, title, about, format!("/operator/outbox/{id}/retry"), button).with_effects(effects)
}

async fn ask_to_retry(visit: ActVisit<EventId>) -> HttpResult<Response> {
    // One that is not dead is delivered without an act.
    if visit.app.office.event(visit.id).await?.state.dead_at().is_none() {
        return Ok(done("/operator/outbox"));
    }
    form(&visit).answer()
}

async fn retry(visit: ActVisit<EventId>, fields: FormFields) -> HttpResult<Response> {
    let key = visit.key(&fields, "/operator/outbox/{id}/retry")?;
    let retried = visit.app.office.retry_event(visit.caller, visit.id, key).await;
    form(&visit).ended(retried, "/operator/outbox")
}
