//! Users: who they are, what happened to them, their money and their debts, and what an operator may do for them.

use super::{
    acts::{ActChoice, ActPage, bounds_words, done},
    moments,
    orders::{ROWS, heads},
    search::{role, token, user as user_row, user_status},
    shell::CockpitShell,
    tables::{Cell, Link, ListChoice, ListPage, Narrowing, ObjectFact, ObjectPage, RowTable, pager, raw},
};
use crate::{
    edge::{
        auth::OperatorOnly,
        extract::{Cursor, PathId, QueryParams},
        form::FormFields,
        problem::{HttpResult, Problem},
        reply::next_page,
        state::SharedState,
    },
    html::{
        forms::key_of,
        shell::{HOME_ZONE, html},
    },
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use frontrow_domain::{
    command::NewAdjustment,
    id::{DebtId, UserId},
    money::Money,
    points::{Debt, DebtStatus, Settlement, adjusted, topped_up},
    refusal::{EntityKind, Refusal},
    user::{Caller, Role, User, UserStatus},
};
use frontrow_service::timeline::Person;
use frontrow_storage::{DebtFilter, Page};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How many characters of a name or an address are looked for at most.
const TEXT_LEN_MAX: usize = 100;

/// The routes of users and their debts.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/users", get(users))
        .route("/operator/users/{user_id}", get(person))
        .route("/operator/users/{user_id}/top-up", get(ask_to_top_up).post(top_up))
        .route("/operator/users/{user_id}/correction", get(ask_to_correct).post(correct))
        .route("/operator/users/{user_id}/lock", get(ask_to_lock).post(lock))
        .route("/operator/users/{user_id}/unlock", get(ask_to_unlock).post(unlock))
        .route("/operator/users/{user_id}/reset-link", get(ask_for_link).post(issue_link))
        .route("/operator/debts", get(debts))
        .route("/operator/debts/{debt_id}", get(debt))
        .route("/operator/debts/{debt_id}/settle", post(settle))
}

/// What narrows the list of users.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsersQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing)]
    cursor: Option<Cursor<UserId>>,
}

async fn users(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(query): QueryParams<UsersQuery>,
) -> HttpResult<Response> {
    let field = Narrowing::read(shell.t("orders-by-name"), "text", query.text.as_deref());
    let is_taken = |text: &str| (text.chars().count() <= TEXT_LEN_MAX).then(|| text.to_owned());
    let (text, field) = field.taken(&shell, "orders-field-long", is_taken);
    let page = Page { after: query.cursor.map(|cursor| cursor.0), limit: ROWS };
    let rows = if field.fault.is_some() { Vec::new() } else { app.office.find_users(text.as_deref(), page).await? };
    let list = next_page(rows, &page, |row| row.user_id);
    let (newest, older) = pager("/operator/users", &query, page.after.is_none(), &list)?;
    let rows = list.items.iter().map(|row| user_row(&shell, row)).collect();
    ListPage {
        title: shell.t("orders-users"),
        about: Some(Link::to(shell.t("orders-debts"), "/operator/debts")),
        path: "/operator/users",
        state: None,
        choices: Vec::new(),
        texts: vec![field],
        table: RowTable {
            caption: shell.t("orders-users"),
            heads: heads(&shell, ["orders-name", "orders-address", "orders-role", "orders-state", "orders-since"]),
            rows,
            none: shell.t("orders-none"),
        },
        newest,
        older,
        shell,
    }
    .answer()
}

fn path_of(id: UserId) -> String {
    format!("/operator/users/{id}")
}

/// What an account is now, in a sentence.
fn state_of(shell: &CockpitShell, person: &Person) -> String {
    match person.user.status {
        UserStatus::Active => shell.t1("orders-now-active", "n", person.sessions),
        UserStatus::Locked => shell.t("orders-now-locked"),
        UserStatus::Erased => shell.t("orders-now-erased"),
    }
}

fn acts_of(shell: &CockpitShell, user: &User) -> Vec<Link> {
    if !shell.may_change() || user.status == UserStatus::Erased {
        return Vec::new();
    }
    let act = |id: &str, name: &str| Link::to(shell.t(id), format!("{}/{name}", path_of(user.user_id)));
    let mut acts = vec![act("orders-top-up", "top-up"), act("orders-correct", "correction")];
    // Accounts of those who run the sale are changed on the command line.
    if user.role == Role::Buyer {
        acts.push(match user.status {
            UserStatus::Locked => act("orders-unlock", "unlock"),
            UserStatus::Active | UserStatus::Erased => act("orders-lock", "lock"),
        });
        acts.push(act("orders-reset-link", "reset-link"));
    }
    acts
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

fn debts_table(shell: &CockpitShell, rows: &[Debt]) -> RowTable {
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

async fn person(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<UserId>,
) -> HttpResult<Response> {
    let person = app.office.person(id).await?;
    let user = &person.user;
    let confirmed =
        user.email_confirmed_at.map_or_else(|| shell.t("orders-not-confirmed"), |at| shell.moment(&at, HOME_ZONE));
    let facts = vec![
        ObjectFact::of(shell.t("orders-address"), Cell::text(user.email.clone())),
        ObjectFact::of(shell.t("orders-balance"), Cell::text(shell.money(&person.balance))),
        ObjectFact::of(shell.t("orders-role"), Cell::text(role(&shell, user.role))),
        ObjectFact::of(shell.t("orders-state"), Cell::text(user_status(&shell, user.status))),
        ObjectFact::of(shell.t("orders-since"), Cell::text(shell.moment(&user.created_at, HOME_ZONE))),
        ObjectFact::of(shell.t("orders-address-confirmed"), Cell::text(confirmed)),
        ObjectFact::of(shell.t("orders-id"), Cell::text(id.to_string())),
    ];
    let mut tables = Vec::new();
    if !person.places.is_empty() {
        let rows = person.places.iter().map(|row| {
            let mut cells = token(&shell, row);
            cells.truncate(3);
            if let Some(place) = cells.first_mut() {
                place.href = None;
            }
            cells
        });
        tables.push(RowTable {
            caption: shell.t("orders-places"),
            heads: heads(&shell, ["orders-place-head", "orders-state", "orders-when"]),
            rows: rows.collect(),
            none: String::new(),
        });
    }
    if !person.debts.is_empty() {
        tables.push(debts_table(&shell, &person.debts));
    }
    let query = |list: &str| format!("/operator/{list}?user={id}");
    let more = vec![
        Link::to(shell.t("orders-payments"), query("payments")),
        Link::to(shell.t("orders-reservations"), query("reservations")),
        Link::to(shell.t("orders-debts"), query("debts")),
    ];
    let timeline = moments::lines(&app, &shell, &person.timeline).await;
    let name = if user.name.is_empty() { shell.t("orders-user") } else { user.name.clone() };
    ObjectPage {
        title: name,
        state: state_of(&shell, &person),
        facts,
        acts: acts_of(&shell, user),
        more,
        tables,
        timeline,
        cut: person.is_cut.then(|| shell.t("orders-cut")),
        raw: raw(&json!({ "user": user, "balance": person.balance, "places": person.places, "debts": person.debts }))?,
        shell,
    }
    .answer()
}

async fn user_of(app: &SharedState, id: UserId) -> HttpResult<User> {
    Ok(app.office.user(id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?)
}

fn form(shell: CockpitShell, user: &User, title: &str, act: &str, button: &str) -> ActPage {
    let path = path_of(user.user_id);
    let about = Link::to(user.name.clone(), path.clone());
    let (title, button) = (shell.t1(title, "name", user.name.as_str()), shell.t(button));
    ActPage::of(shell, title, about, format!("{path}/{act}"), button)
}

async fn top_up_form(app: &SharedState, shell: CockpitShell, id: UserId) -> HttpResult<ActPage> {
    let user = user_of(app, id).await?;
    let page = form(shell, &user, "orders-top-up-title", "top-up", "orders-next");
    Ok(page.with_amount("orders-top-up-amount").with_reference("orders-top-up-reference"))
}

async fn ask_to_top_up(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(_): OperatorOnly,
    PathId(id): PathId<UserId>,
) -> HttpResult<Response> {
    top_up_form(&app, shell, id).await?.answer()
}

async fn try_to_top_up(
    app: &SharedState,
    caller: Caller,
    id: UserId,
    (amount, reference): (Money, String),
    fields: &FormFields,
) -> Result<(), Problem> {
    let body = (amount, &reference);
    let key = key_of(fields)?.bind(caller, &Method::POST, "/operator/users/{id}/top-up", &[&id], &body)?;
    app.office.top_up(caller, id, amount, Some(reference), key).await?;
    Ok(())
}

async fn top_up(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<UserId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let mut page = top_up_form(&app, shell, id).await?;
    let (amount, reference) = (page.amount(&fields), page.reference(&fields));
    let (Some(amount), Some(reference)) = (amount, reference) else { return page.answer() };
    let values = format!("{amount} {reference}", amount = amount.get());
    if !ActPage::is_sure(&fields, &values) {
        let before = app.office.balance_of(id).await?;
        return match topped_up(before, amount, app.office.policy()) {
            Ok(after) => {
                let effects = vec![balance_effect(&page.shell, before, after)];
                let button = page.shell.t1("orders-top-up-button", "sum", page.shell.money(&amount));
                page.asking_again(effects, values, button).answer()
            }
            Err(refusal) => {
                let why = bounds_words(&page.shell, &refusal);
                page.blame("amount", why);
                page.answer()
            }
        };
    }
    match try_to_top_up(&app, caller, id, (amount, reference), &fields).await {
        Ok(()) => Ok(done(&path_of(id))),
        Err(problem) => page.refused(problem)?.answer(),
    }
}

fn balance_effect(shell: &CockpitShell, before: Money, after: Money) -> String {
    shell.t2("orders-balance-moves", "before", shell.money(&before), "after", shell.money(&after))
}

async fn correction_form(app: &SharedState, shell: CockpitShell, id: UserId) -> HttpResult<ActPage> {
    let user = user_of(app, id).await?;
    let page = form(shell, &user, "orders-correct-title", "correction", "orders-next");
    let page = page.with_amount("orders-correct-amount").with_reason("orders-reason-statement");
    Ok(page.with_reference("orders-correct-reference"))
}

async fn ask_to_correct(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(_): OperatorOnly,
    PathId(id): PathId<UserId>,
) -> HttpResult<Response> {
    correction_form(&app, shell, id).await?.answer()
}

async fn try_to_correct(
    app: &SharedState,
    caller: Caller,
    correction: NewAdjustment,
    fields: &FormFields,
) -> Result<(), Problem> {
    let NewAdjustment { user_id, amount, reason, reference } = &correction;
    let body = (amount, reason, reference);
    let key = key_of(fields)?.bind(caller, &Method::POST, "/operator/users/{id}/correction", &[user_id], &body)?;
    app.office.adjust(caller, correction, key).await?;
    Ok(())
}

async fn correct(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<UserId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let mut page = correction_form(&app, shell, id).await?;
    let (amount, reason, reference) = (page.amount(&fields), page.reason(&fields), page.reference(&fields));
    let (Some(amount), Some(reason), Some(reference)) = (amount, reason, reference) else { return page.answer() };
    let values = format!("{} {reference}", amount.get());
    if !ActPage::is_sure(&fields, &values) {
        let before = app.office.balance_of(id).await?;
        return match adjusted(before, amount, app.office.policy()) {
            Ok(effect) => {
                let after = before.checked_add(effect.moved).unwrap_or(before);
                let mut effects = vec![balance_effect(&page.shell, before, after)];
                if effect.owed > Money::ZERO {
                    effects.push(page.shell.t1("orders-correct-owes", "sum", page.shell.money(&effect.owed)));
                }
                let button = page.shell.t1("orders-correct-button", "sum", page.shell.money(&amount));
                page.asking_again(effects, values, button).answer()
            }
            Err(refusal) => {
                let why = bounds_words(&page.shell, &refusal);
                page.blame("amount", why);
                page.answer()
            }
        };
    }
    let correction = NewAdjustment { user_id: id, amount, reason, reference };
    match try_to_correct(&app, caller, correction, &fields).await {
        Ok(()) => Ok(done(&path_of(id))),
        Err(problem) => page.refused(problem)?.answer(),
    }
}

async fn lock_form(app: &SharedState, shell: CockpitShell, id: UserId) -> HttpResult<ActPage> {
    let user = user_of(app, id).await?;
    let effects = vec![shell.t("orders-lock-ends"), shell.t("orders-lock-keeps")];
    let page = form(shell, &user, "orders-lock-title", "lock", "orders-lock-button");
    Ok(page.with_effects(effects).with_reason("orders-reason-log"))
}

async fn ask_to_lock(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(_): OperatorOnly,
    PathId(id): PathId<UserId>,
) -> HttpResult<Response> {
    lock_form(&app, shell, id).await?.answer()
}

async fn try_to_lock(
    app: &SharedState,
    caller: Caller,
    id: UserId,
    reason: String,
    fields: &FormFields,
) -> Result<(), Problem> {
    let key = key_of(fields)?.bind(caller, &Method::POST, "/operator/users/{id}/lock", &[&id], &reason)?;
    app.office.lock_user(caller, id, Some(reason), key).await?;
    Ok(())
}

async fn lock(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<UserId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let mut page = lock_form(&app, shell, id).await?;
    let Some(reason) = page.reason(&fields) else { return page.answer() };
    match try_to_lock(&app, caller, id, reason, &fields).await {
        Ok(()) => Ok(done(&path_of(id))),
        Err(problem) => page.refused(problem)?.answer(),
    }
}

async fn unlock_form(app: &SharedState, shell: CockpitShell, id: UserId) -> HttpResult<ActPage> {
    let user = user_of(app, id).await?;
    let effects = vec![shell.t("orders-unlock-allows")];
    Ok(form(shell, &user, "orders-unlock-title", "unlock", "orders-unlock-button").with_effects(effects))
}

async fn ask_to_unlock(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(_): OperatorOnly,
    PathId(id): PathId<UserId>,
) -> HttpResult<Response> {
    unlock_form(&app, shell, id).await?.answer()
}

async fn try_to_unlock(app: &SharedState, caller: Caller, id: UserId, fields: &FormFields) -> Result<(), Problem> {
    let key = key_of(fields)?.bind(caller, &Method::POST, "/operator/users/{id}/unlock", &[&id], &())?;
    app.office.unlock_user(caller, id, key).await?;
    Ok(())
}

async fn unlock(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<UserId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let page = unlock_form(&app, shell, id).await?;
    match try_to_unlock(&app, caller, id, &fields).await {
        Ok(()) => Ok(done(&path_of(id))),
        Err(problem) => page.refused(problem)?.answer(),
    }
}

async fn link_form(app: &SharedState, shell: CockpitShell, id: UserId) -> HttpResult<ActPage> {
    let user = user_of(app, id).await?;
    let effects = vec![shell.t("orders-link-once"), shell.t("orders-link-who")];
    Ok(form(shell, &user, "orders-link-title", "reset-link", "orders-link-button").with_effects(effects))
}

async fn ask_for_link(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(_): OperatorOnly,
    PathId(id): PathId<UserId>,
) -> HttpResult<Response> {
    link_form(&app, shell, id).await?.answer()
}

/// A link that sets a new password, shown this once.
#[derive(Template)]
#[template(path = "cockpit/reset_link.html")]
struct IssuedLinkPage {
    shell: CockpitShell,
    about: Link,
    path: String,
    until: String,
}

async fn issue_link(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<UserId>,
    fields: FormFields,
) -> HttpResult<Response> {
    key_of(&fields)?;
    let user = user_of(&app, id).await?;
    let (secret, until) = match app.office.issue_reset_link(caller, id).await {
        Ok(issued) => issued,
        Err(stop) => return link_form(&app, shell, id).await?.refused(stop.into())?.answer(),
    };
    let page = IssuedLinkPage {
        about: Link::to(user.name, path_of(id)),
        path: format!("/reset-password#{secret}"),
        until: shell.exact_moment(&until, HOME_ZONE),
        shell,
    };
    let mut response = html(&page.shell, StatusCode::OK, &page)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
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

async fn debt_of(app: &SharedState, id: DebtId) -> HttpResult<Debt> {
    Ok(app.office.debt(id).await?)
}

fn settle_form(shell: CockpitShell, row: &Debt, balance: Money) -> ActPage {
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
    ActPage { choice: Some(choice), ..page }.with_reason("orders-reason-log")
}

async fn debt(State(app): State<SharedState>, shell: CockpitShell, PathId(id): PathId<DebtId>) -> HttpResult<Response> {
    let row = debt_of(&app, id).await?;
    if row.status == DebtStatus::Open && shell.may_change() {
        let balance = app.office.balance_of(row.user_id).await?;
        return settle_form(shell, &row, balance).answer();
    }
    let user = app.office.user(row.user_id).await?;
    let entries = app.office.audit_of("debt", id, Page { after: None, limit: ROWS }).await?;
    let timeline = moments::lines_of_entries(&app, &shell, entries).await;
    let facts = vec![
        super::orders::user_fact(&shell, row.user_id, user.as_ref().map(|user| user.name.as_str())),
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
        more: vec![Link::to(shell.t("orders-debts"), "/operator/debts")],
        tables: Vec::new(),
        timeline,
        cut: None,
        raw: raw(&json!({ "debt": row }))?,
        shell,
    }
    .answer()
}

async fn try_to_settle(
    app: &SharedState,
    caller: Caller,
    id: DebtId,
    (how, reason): (Settlement, String),
    fields: &FormFields,
) -> Result<(), Problem> {
    let body = (how, &reason);
    let key = key_of(fields)?.bind(caller, &Method::POST, "/operator/debts/{id}/settle", &[&id], &body)?;
    app.office.settle_debt(caller, id, (how, reason), key).await?;
    Ok(())
}

async fn settle(
    State(app): State<SharedState>,
    shell: CockpitShell,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<DebtId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let row = debt_of(&app, id).await?;
    let balance = app.office.balance_of(row.user_id).await?;
    let mut page = settle_form(shell, &row, balance);
    let reason = page.reason(&fields);
    let how = match fields.text("how") {
        Ok("collect") => Some(Settlement::Collect),
        Ok("waive") => Some(Settlement::Waive),
        _ => None,
    };
    let why = page.shell.t("orders-field-choice");
    if let Some(choice) = &mut page.choice {
        fields.given("how").clone_into(&mut choice.chosen);
        choice.fault = how.is_none().then_some(why);
    }
    let (Some(how), Some(reason)) = (how, reason) else { return page.answer() };
    match try_to_settle(&app, caller, id, (how, reason), &fields).await {
        Ok(()) => Ok(done(&path_of(row.user_id))),
        Err(problem) => page.refused(problem)?.answer(),
    }
}
