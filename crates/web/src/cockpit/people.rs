//! Users: the list of them, and their pages by subject: what an account is and what happened to it, its points, its
//! debts, and who gets into it.

mod access;
mod account;
mod debts;
mod lines;
mod points;

use super::{
    acts::{ActPage, ActVisit},
    orders::{ROWS, heads},
    search::user as user_row,
    shell::CockpitShell,
    tables::{Link, ListPage, Narrowing, RowTable, pager},
};
use crate::edge::{
    extract::{Cursor, QueryParams},
    problem::HttpResult,
    reply::next_page,
    state::SharedState,
};
use axum::{Router, extract::State, response::Response, routing::get};
pub(super) use debts::debts_table;
use frontrow_domain::{
    id::UserId,
    refusal::{EntityKind, Refusal},
    user::{User, UserStatus},
};
use frontrow_storage::Page;
pub(super) use lines::{LinePlace, block_end};
use serde::{Deserialize, Serialize};

/// How many characters of a name or an address are looked for at most.
const TEXT_LEN_MAX: usize = 100;

/// The routes of users and their debts.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/users", get(users))
        .route("/operator/users/{user_id}", get(account::show))
        .merge(points::routes())
        .merge(access::routes())
        .merge(lines::routes())
        .merge(debts::routes())
}

fn path_of(id: UserId) -> String {
    format!("/operator/users/{id}")
}

/// The form of an act for a user, at `act` below the user's page: what is not in it yet is the act's own.
fn form(visit: &ActVisit<UserId>, user: User, title: &str, act: &str, button: &str) -> ActPage {
    let (shell, path) = (visit.shell.clone(), path_of(visit.id));
    let (title, button) = (shell.t1(title, "name", user.name.as_str()), shell.t(button));
    ActPage::of(shell, title, Link::to(user.name, path.clone()), format!("{path}/{act}"), button)
}

/// The user of an act. For an erased one there is none.
async fn user_of(visit: &ActVisit<UserId>) -> HttpResult<User> {
    let user = visit.app.office.user(visit.id).await?.filter(|user| user.status != UserStatus::Erased);
    Ok(user.ok_or(Refusal::NotFound { what: EntityKind::User })?)
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
