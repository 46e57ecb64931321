//! A room without a concert, in front of another site: open one, close it.

use super::{name_of, path_of};
use crate::{
    cockpit::{
        acts::{ActPage, ActVisit, done},
        shell::CockpitShell,
        tables::Link,
    },
    edge::{auth::OperatorOnly, form::FormFields, problem::HttpResult, state::SharedState},
    html::forms::bound_key,
};
use axum::{extract::State, response::Response};
use frontrow_domain::{
    command::NewRoom,
    id::RoomId,
    line::{RoomSite, TURN_URL_LEN_MAX, TurnUrl},
    policy::{MAX_ACTIVE_MAX, ROOM_NAME_LEN_MAX},
    text::checked_text,
};

/// How many digits the number of places may have.
const DIGITS_MAX: usize = 20;

fn new_form(shell: CockpitShell) -> ActPage {
    let (title, button) = (shell.t("orders-room-new"), shell.t("orders-room-create"));
    let (about, effect) = (Link::to(shell.t("orders-rooms"), "/operator/rooms"), shell.t("orders-room-new-effect"));
    ActPage::of(shell, title, about, "/operator/rooms/new".to_owned(), button)
        .with_effects(vec![effect])
        .with_line("name", "orders-room-name", "orders-room-name-hint", ROOM_NAME_LEN_MAX)
        .with_line("turn_url", "orders-room-url", "orders-room-url-hint", TURN_URL_LEN_MAX)
        .with_line("max_active", "entry-field-cap", "orders-room-cap-hint", DIGITS_MAX)
}

pub(super) async fn form(shell: CockpitShell, _: OperatorOnly) -> HttpResult<Response> {
    new_form(shell).answer()
}

pub(super) async fn create(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    shell: CockpitShell,
    fields: FormFields,
) -> HttpResult<Response> {
    let mut page = new_form(shell);
    let name = page.read(&fields, "name", |text| {
        if text.chars().count() > ROOM_NAME_LEN_MAX {
            return Err("orders-field-long");
        }
        checked_text("name", text, ROOM_NAME_LEN_MAX).map_err(|_| "orders-field-characters")
    });
    let turn_url = page.read(&fields, "turn_url", |text| text.parse::<TurnUrl>().map_err(|_| "orders-field-url"));
    let max_active = page.read(&fields, "max_active", |text| {
        let number = text.parse::<i64>().ok().filter(|number| (0..=MAX_ACTIVE_MAX).contains(number));
        number.ok_or("orders-field-cap")
    });
    let (Some(name), Some(turn_url), Some(max_active)) = (name, turn_url, max_active) else { return page.answer() };
    let key = bound_key(&fields, caller, "/operator/rooms/new", &[])?;
    let site = RoomSite { name, turn_url };
    let new = NewRoom { site, max_active, admit_per_minute: None, opens_at: None };
    match app.office.create_room(caller, new, key).await {
        Ok(made) => Ok(done(&path_of(made.value.room_id))),
        Err(stop) => page.refused(stop.into())?.answer(),
    }
}

async fn closing(app: &SharedState, shell: CockpitShell, id: RoomId) -> HttpResult<ActPage> {
    let room = app.office.room(id).await?.room;
    let about = Link::to(name_of(&shell, &room), path_of(id));
    let (title, button) = (shell.t("orders-room-close"), shell.t("orders-room-close"));
    let effect = shell.t("orders-room-close-effect");
    let page = ActPage::of(shell, title, about, format!("{}/close", path_of(id)), button);
    Ok(page.with_effects(vec![effect]).with_reason("orders-reason-log"))
}

pub(super) async fn close_form(visit: ActVisit<RoomId>) -> HttpResult<Response> {
    closing(&visit.app, visit.shell, visit.id).await?.answer()
}

pub(super) async fn close(visit: ActVisit<RoomId>, fields: FormFields) -> HttpResult<Response> {
    let mut page = closing(&visit.app, visit.shell.clone(), visit.id).await?;
    let Some(reason) = page.reason(&fields) else { return page.answer() };
    let key = visit.key(&fields, "/operator/rooms/{id}/close")?;
    let closed = visit.app.office.close_room(visit.caller, visit.id, None, reason, key).await;
    page.ended(closed, &path_of(visit.id))
}
