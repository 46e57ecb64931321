//! What users owe: the list, the page of each, and how one is settled.

use super::path_of;
use crate::{
    cockpit::{
        acts::{ActChoice, ActPage, ActVisit},
        audit::log_of,
        moments,
        orders::{ROWS, heads, user_fact},
        shell::CockpitShell,
        tables::{Cell, Link, ListChoice, ListPage, Narrowing, ObjectFact, ObjectPage, RowTable, pager, raw},
    },
    edge::{
        extract::{Cursor, PathId, QueryParams},
        form::FormFields,
        problem::HttpResult,
        reply::next_page,
        state::SharedState,
    },
    html::shell::HOME_ZONE,
};
use axum::{
    Router,
    extract::State,
    response::{Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    id::{DebtId, UserId},
    money::Money,
    points::{Debt, DebtStatus, Settlement},
};
use frontrow_storage::{DebtFilter, Page};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The routes of debts.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/debts", get(debts))
        .route("/operator/debts/{debt_id}", get(debt))
        .route("/operator/debts/{debt_id}/settle", get(to_debt).post(settle))
}

fn debt_row(shell: &CockpitShell, row: &Debt) -> Vec<Cell> {
    let id = row.debt_id;
    vec![
        Cell::link(id.to_string(), format!("/operator/debts/{id}")),
        Cell::text(debt_status(shell, row.status)),
        Cell::text(row.reason.clone()),
        Cell::text(row.reference.clone()),
        Cell::text(shell.exact_moment(&row.created_at, HOME_ZONE)),
        Cell::figure(shell.money(&row.amount)),
    ]
}

fn debt_status(shell: &CockpitShell, status: DebtStatus) -> String {
    match status {
        DebtStatus::Open => shell.t("orders-is-owed"),
        DebtStatus::Collected => shell.t("orders-is-collected"),
        DebtStatus::Waived => shell.t("orders-is-waived"),
    }
}

pub(in crate::cockpit) fn debts_table(shell: &CockpitShell, rows: &[Debt]) -> RowTable {
    RowTable {
        caption: shell.t("orders-debts"),
        heads: heads(
            shell,
            ["orders-number", "orders-state", "orders-reason", "orders-reference", "orders-when", "orders-sum"],
        ),
        rows: rows.iter().map(|row| debt_row(shell, row)).collect(),
        none: shell.t("orders-none"),
    }
}

/// What narrows the list of debts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DebtsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<DebtStatus>,
    #[serde(skip_serializing)]
    cursor: Option<Cursor<DebtId>>,
}

async fn debts(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(query): QueryParams<DebtsQuery>,
) -> HttpResult<Response> {
    let field = Narrowing::read(shell.t("orders-by-user"), "user", query.user.as_deref());
    let (user, field) = field.taken(&shell, "orders-field-user", |text| text.parse::<uuid::Uuid>().ok().map(UserId));
    let page = Page { after: query.cursor.map(|cursor| cursor.0), limit: ROWS };
    let filter = DebtFilter { user, status: query.status };
    let rows = if field.fault.is_some() { Vec::new() } else { app.office.debts(&filter, page).await? };
    let list = next_page(rows, &page, |row| row.debt_id);
    let (newest, older) = pager("/operator/debts", &query, page.after.is_none(), &list)?;
    let statuses = [DebtStatus::Open, DebtStatus::Collected, DebtStatus::Waived];
    let statuses = statuses.map(|status| (status, debt_status(&shell, status)));
    ListPage {
        title: shell.t("orders-debts"),
        about: Some(Link::to(shell.t("orders-users"), "/operator/users")),
        path: "/operator/debts",
        state: None,
        choices: vec![ListChoice::of(&shell, "status", query.status, statuses)?],
        texts: vec![field],
        table: debts_table(&shell, &list.items),
        newest,
        older,
        shell,
    }
    .answer()
}

async fn settle_form(app: &SharedState, shell: CockpitShell, row: &Debt) -> HttpResult<ActPage> {
    let balance = app.office.balance_of(row.user_id).await?;
    let id = row.debt_id;
    let title = shell.t1("orders-debt", "number", id.to_string());
    let about = Link::to(shell.t("orders-user"), path_of(row.user_id));
    let sum = |id: &str, sum: &Money| shell.t1(id, "sum", shell.money(sum));
    let effects = vec![
        shell.t2("orders-settle-owes", "sum", shell.money(&row.amount), "reason", row.reason.as_str()),
        sum("orders-settle-balance", &balance),
    ];
    let choice = ActChoice {
        name: "how",
        label: shell.t("orders-settle-how"),
        options: vec![
            ("collect", sum("orders-settle-collect", &row.amount)),
            ("waive", shell.t("orders-settle-waive")),
        ],
        chosen: String::new(),
        fault: None,
    };
    let button = shell.t("orders-settle-button");
    let page = ActPage::of(shell, title, about, format!("/operator/debts/{id}/settle"), button).with_effects(effects);
    Ok(ActPage { choice: Some(choice), ..page }.with_reason("orders-reason-log"))
}

async fn debt(State(app): State<SharedState>, shell: CockpitShell, PathId(id): PathId<DebtId>) -> HttpResult<Response> {
    let row = app.office.debt(id).await?;
    if row.status == DebtStatus::Open && shell.may_change() {
        return settle_form(&app, shell, &row).await?.answer();
    }
    let user = app.office.user(row.user_id).await?;
    let entries = app.office.audit_of("debt", id, Page { after: None, limit: ROWS }).await?;
    let timeline = moments::lines_of_entries(&app, &shell, entries).await;
    let facts = vec![
        user_fact(&shell, row.user_id, user.as_ref().map(|user| user.name.as_str())),
        ObjectFact::of(shell.t("orders-sum"), Cell::text(shell.money(&row.amount))),
        ObjectFact::of(shell.t("orders-reason"), Cell::text(row.reason.clone())),
        ObjectFact::of(shell.t("orders-reference"), Cell::text(row.reference.clone())),
        ObjectFact::of(shell.t("orders-when"), Cell::text(shell.exact_moment(&row.created_at, HOME_ZONE))),
    ];
    ObjectPage {
        title: shell.t1("orders-debt", "number", id.to_string()),
        state: debt_status(&shell, row.status),
        facts,
        acts: Vec::new(),
        more: vec![Link::to(shell.t("orders-debts"), "/operator/debts"), log_of(&shell, &format!("debt {id}"))],
        tables: Vec::new(),
        timeline,
        cut: None,
        raw: raw(&json!({ "debt": row }))?,
        shell,
    }
    .answer()
}

/// The address of the form, opened as a page: by a reload, or by the way back from a sign-in.
async fn to_debt(PathId(id): PathId<DebtId>) -> Redirect {
    Redirect::to(&format!("/operator/debts/{id}"))
}

async fn settle(visit: ActVisit<DebtId>, fields: FormFields) -> HttpResult<Response> {
    let office = &visit.app.office;
    let row = office.debt(visit.id).await?;
    let mut page = settle_form(&visit.app, visit.shell.clone(), &row).await?;
    let reason = page.reason(&fields);
    let how = match fields.text("how") {
        Ok("collect") => Some(Settlement::Collect),
        Ok("waive") => Some(Settlement::Waive),
        _ => None,
    };
    if let Some(choice) = &mut page.choice {
        fields.given("how").clone_into(&mut choice.chosen);
        choice.fault = how.is_none().then(|| visit.shell.t("orders-field-choice"));
    }
    let (Some(how), Some(reason)) = (how, reason) else { return page.answer() };
    let key = visit.key(&fields, "/operator/debts/{id}/settle")?;
    let settled = office.settle_debt(visit.caller, visit.id, (how, reason), key).await;
    page.ended(settled, &path_of(row.user_id))
}
