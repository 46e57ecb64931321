//! `/operator/outbox`: events that are not delivered, and dead letters to be delivered again.

use super::{
    acts::{ActPage, ActVisit, done},
    orders::{ROWS, heads},
    shell::CockpitShell,
    tables::{Cell, Link, ListChoice, ListPage, RowTable, pager},
};
use crate::{
    edge::{
        extract::{Cursor, QueryParams},
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
    outbox::{Consumer, DeliveryError, OutboxEvent},
};
use frontrow_storage::{EventFilter, Page};
use serde::{Deserialize, Serialize};

/// The routes of the outbox.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/outbox", get(list))
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

fn row(shell: &CockpitShell, event: &OutboxEvent) -> Vec<Cell> {
    let id = event.event_id;
    let state = match (event.state.dead_at(), event.state.due_at()) {
        (Some(at), _) => shell.t1("orders-dead-since", "when", shell.exact_moment(&at, HOME_ZONE)),
        (None, Some(at)) => shell.t1("orders-due-at", "when", shell.exact_moment(&at, HOME_ZONE)),
        (None, None) => String::new(),
    };
    let act = if event.state.dead_at().is_some() && shell.may_change() {
        Cell::link(shell.t("orders-retry"), format!("/operator/outbox/{id}/retry"))
    } else {
        Cell::default()
    };
    vec![
        Cell::text(id.to_string()),
        Cell::text(consumer(shell, event.consumer)),
        Cell::text(state),
        Cell::figure(shell.number(&i64::from(event.attempts))),
        Cell::text(event.last_error.as_ref().map_or("", DeliveryError::text)),
        act,
    ]
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
        table: RowTable {
            caption: shell.t("orders-outbox"),
            heads: heads(
                &shell,
                ["orders-number", "orders-to", "orders-state", "orders-tries", "orders-last-error", "orders-act"],
            ),
            rows: list.items.iter().map(|event| row(&shell, event)).collect(),
            none: shell.t("orders-outbox-none"),
        },
        newest,
        older,
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
