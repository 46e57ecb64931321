//! The page of a user: what the account is now, what may be done for it, and what happened to it.

use super::{debts::debts_table, lines::blocks_table, path_of};
use crate::{
    cockpit::{
        audit::log_of,
        moments,
        orders::heads,
        search::{role, token, user_status},
        shell::CockpitShell,
        tables::{Cell, Link, ObjectFact, ObjectPage, RowTable, raw},
    },
    edge::{extract::PathId, problem::HttpResult, state::SharedState},
    html::shell::HOME_ZONE,
};
use axum::{extract::State, response::Response};
use frontrow_domain::{
    id::UserId,
    user::{User, UserStatus},
};
use frontrow_service::timeline::Person;
use serde_json::json;

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
    acts.push(act("orders-lines", "lines"));
    // Accounts of those who run the sale are changed on the command line.
    if user.check_is_for_operators().is_ok() {
        acts.push(match user.status {
            UserStatus::Locked => act("orders-unlock", "unlock"),
            UserStatus::Active | UserStatus::Erased => act("orders-lock", "lock"),
        });
        acts.push(act("orders-reset-link", "reset-link"));
    }
    acts
}

pub(super) async fn show(
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
    if !person.blocks.is_empty() {
        tables.push(blocks_table(&shell, &person.blocks));
    }
    if !person.debts.is_empty() {
        tables.push(debts_table(&shell, &person.debts));
    }
    let query = |list: &str| format!("/operator/{list}?user={id}");
    let more = vec![
        Link::to(shell.t("orders-payments"), query("payments")),
        Link::to(shell.t("orders-reservations"), query("reservations")),
        Link::to(shell.t("orders-debts"), query("debts")),
        log_of(&shell, &format!("user {id}")),
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
