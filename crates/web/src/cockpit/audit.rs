//! `/operator/audit`: every act, by whom, to what, and what it changed.

use super::{
    entries::{EntryParts, UserNames},
    orders::ROWS,
    shell::CockpitShell,
    tables::{Link, Narrowing, pager},
};
use crate::{
    edge::{
        extract::{Cursor, QueryParams},
        problem::HttpResult,
        reply::next_page,
        state::SharedState,
    },
    html::shell::{HOME_ZONE, html},
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use frontrow_domain::{changes::AuditEntry, id::AuditId};
use frontrow_service::search::logged_object;
use frontrow_storage::Page;
use serde::{Deserialize, Serialize};

/// What narrows the log.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// The object, in the words of a search: `payment 9`, `결제 9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing)]
    cursor: Option<Cursor<AuditId>>,
}

/// The way to an entry: the part of the log that begins with it.
pub(super) fn path_of_entry(id: AuditId) -> String {
    let cursor = Cursor(AuditId::new(id.get().saturating_add(1)));
    format!("/operator/audit?cursor={cursor}#entry-{id}")
}

/// The way to the entries of one thing, by what the log calls it: `payment 9`.
pub(super) fn log_of(shell: &CockpitShell, object: &str) -> Link {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("object", object).finish();
    Link::to(shell.t("orders-log-of"), format!("/operator/audit?{query}"))
}

/// An entry of the log as it is shown.
struct AuditLine {
    id: AuditId,
    at: String,
    datetime: String,
    actor: Link,
    what: String,
    object: String,
    object_href: Option<String>,
    details: Vec<String>,
    reason: Option<String>,
}

#[derive(Template)]
#[template(path = "cockpit/audit.html")]
struct AuditPage {
    field: Narrowing,
    lines: Vec<AuditLine>,
    newest: Option<String>,
    older: Option<String>,
    shell: CockpitShell,
}

pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(query): QueryParams<AuditQuery>,
) -> HttpResult<Response> {
    let field = Narrowing::read(shell.t("orders-by-object"), "object", query.object.as_deref());
    let (wanted, field) = field.taken(&shell, "orders-field-object", logged_object);
    let page = Page { after: query.cursor.map(|cursor| cursor.0), limit: ROWS };
    let rows = match (&wanted, &field.fault) {
        (_, Some(_)) => Vec::new(),
        (Some(object), None) => app.office.audit_of_object(object, page).await?,
        (None, None) => app.office.audit(page).await?,
    };
    let list = next_page(rows, &page, |row| row.audit_id);
    let (newest, older) = pager("/operator/audit", &query, page.after.is_none(), &list)?;
    let names = UserNames::of(&app, list.items.iter()).await;
    let line = |entry: &AuditEntry| {
        let parts = EntryParts::of(&shell, entry, &|user| names.get(user), HOME_ZONE);
        let href = entry.actor.map(|actor| format!("/operator/users/{actor}")).unwrap_or_default();
        AuditLine {
            id: entry.audit_id,
            at: shell.exact_moment(&entry.created_at, HOME_ZONE),
            datetime: entry.created_at.to_string(),
            actor: Link::to(parts.who.clone(), href),
            what: parts.act.clone(),
            object: parts.object.name.clone(),
            object_href: parts.object.href.clone(),
            reason: parts.reason.clone(),
            details: parts.particulars(),
        }
    };
    let lines = list.items.iter().map(line).collect();
    let status = if field.fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = AuditPage { field, lines, newest, older, shell };
    html(&page.shell, status, &page)
}
