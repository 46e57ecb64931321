//! `/operator/concerts/{id}/sale`: the screen of a sale. Whoever may see the sale watches it; operators move its line.
//!
//! `page.rs` writes the page, `frame.rs` the moments that follow by `stream.rs`, `form.rs` reads what was typed, and
//! `ask.rs` asks again.

mod ask;
mod form;
mod frame;
mod page;
mod preview;
mod stream;
mod words;

use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        auth::{ClientAddress, OperatorOnly, SaleReader, SessionSecret},
        events,
        extract::PathId,
        form::FormFields,
        problem::{HttpResult, Problem},
        reply::json,
        state::SharedState,
    },
    html::{
        forms::{FormNotice, bound_key},
        shell::Shell,
    },
};
use ask::AskedChange;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use form::{Act, Consent, RoomFaults, SentForm, Settings, WantedChange};
use frame::{ChartColumns, ScreenFrame};
use frontrow_domain::{
    command::RoomChange,
    id::ConcertId,
    line::{Gate, Room},
    refusal::Refusal,
};
use frontrow_service::{house::SaleScreen, office::ServiceError};
use page::{DeskView, EntryLine, RoomForm};
use preview::Occasion;
use serde::Serialize;

/// The routes of the pages.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts/{concert_id}/sale", get(show))
        .route("/operator/concerts/{concert_id}/sale/room", get(to_sale).post(set_room))
}

/// The routes that answer the page's script: their problems are not pages.
pub(super) fn feeds() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts/{concert_id}/sale/events", get(events))
        .route("/operator/concerts/{concert_id}/sale/history", get(history))
        .route("/operator/concerts/{concert_id}/sale/preview", get(preview_room))
}

/// The value of a field of a query.
fn field_of(query: Option<&str>, name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    fields.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let screen = app.office.sale_screen(id).await?;
    let applied = field_of(query.as_deref(), "applied").map(|_| shell.t("desk-applied"));
    page::show(&app, shell, &screen, DeskView { applied, ..DeskView::default() }).await
}

/// The address of the form, opened as a page: by a reload, or by the way back from a sign-in.
async fn to_sale(PathId(id): PathId<ConcertId>) -> Redirect {
    Redirect::to(&format!("/operator/concerts/{id}/sale"))
}

async fn events(
    State(app): State<SharedState>,
    _reader: SaleReader,
    SessionSecret(secret): SessionSecret,
    ClientAddress(client): ClientAddress,
    shell: Shell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let place = app.streams.enter(client)?;
    let watch = app.office.watch_sale(id).await?;
    Ok(events::answer(place, stream::SaleEvents::new(app, shell, secret, watch)))
}

/// What a page without a stream needs.
#[derive(Debug, Serialize)]
struct SaleHistoryBody<'a> {
    screen: ScreenFrame<'a>,
    columns: ChartColumns,
    audit: Vec<EntryLine>,
}

async fn history(
    State(app): State<SharedState>,
    _reader: SaleReader,
    shell: Shell,
    PathId(id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let since = field_of(query.as_deref(), "since").and_then(|since| since.parse().ok()).unwrap_or(0);
    let screen = app.office.sale_screen(id).await?;
    let columns = ChartColumns::after(since, &app.office.sale_history(id).await?);
    let audit = page::newest_entries(&app, &shell, &screen).await;
    Ok(json(&SaleHistoryBody { screen: ScreenFrame::from(&screen), columns, audit }))
}

/// The effect of other settings.
#[derive(Debug, Serialize)]
struct EffectBody {
    text: String,
}

async fn preview_room(
    State(app): State<SharedState>,
    _reader: SaleReader,
    shell: Shell,
    PathId(id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let screen = app.office.sale_screen(id).await?;
    let was = Settings::from(&screen.room.room);
    let asked = |name, otherwise: &str| {
        field_of(query.as_deref(), name).map_or_else(|| otherwise.to_owned(), |text| text.trim().to_owned())
    };
    let typed = Settings {
        cap: asked("max_active", &was.cap),
        rate: asked("admit_per_minute", &was.rate),
        message: was.message.clone(),
    };
    let sent = SentForm {
        act: Act::Preview,
        consent: Consent::NotAsked,
        basis: screen.room.room.updated_at,
        was,
        was_gate: screen.room.room.gate,
        typed,
        reason: String::new(),
    };
    let text = match sent.wanted(&shell) {
        Ok(WantedChange { change, .. }) => effect(&app, &shell, &screen, &change).await?,
        Err(RoomFaults { cap, rate, .. }) => cap.or(rate).unwrap_or_default(),
    };
    Ok(json(&EffectBody { text }))
}

/// What a change would do, in words.
async fn effect(app: &SharedState, shell: &Shell, screen: &SaleScreen, change: &RoomChange) -> HttpResult<String> {
    let concert = &screen.concert;
    let preview = app.office.preview_room(concert.concert_id, change).await?;
    let line = app.office.room(concert.room_id).await?;
    Ok(preview::effect(&Occasion { shell, zone: &concert.time_zone, now: screen.at }, &preview, &line))
}

async fn set_room(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let key = bound_key(&fields, caller, "/operator/concerts/{id}/sale/room", &[&id])?;
    let screen = app.office.sale_screen(id).await?;
    let shell = shell.at(page::path_of(&screen));
    let room = &screen.room.room;
    let mut sent = SentForm::of(&fields, room)?;
    let (mut wanted, mut lead) = (sent.wanted(&shell), None);
    if wanted.as_ref().is_err_and(|faults| faults.is_rate_zero) && room.gate == Gate::Open {
        // A pause is what a rate of 0 would be.
        let pause = SentForm { act: Act::Pause, consent: Consent::NotAsked, ..sent.clone() }.without_rate();
        if let Ok(instead) = pause.wanted(&shell) {
            (sent, wanted, lead) = (pause, Ok(instead), Some(shell.t("desk-rate-offer")));
        }
    }
    let WantedChange { change, reason } = match wanted {
        Ok(wanted) => wanted,
        Err(faults) => {
            let notice = Some(faulty(&shell));
            let form = Some(RoomForm::of(sent, faults));
            return page::show(&app, shell, &screen, DeskView { form, notice, ..DeskView::default() }).await;
        }
    };
    if sent.act == Act::Preview {
        let preview = effect(&app, &shell, &screen, &change).await?;
        let form = Some(RoomForm::of(sent, RoomFaults::default()));
        return page::show(&app, shell, &screen, DeskView { form, preview, ..DeskView::default() }).await;
    }
    // A form of an older version is for the command to answer: if it was sent before, as it was then. One of a newer
    // version was written by an instance that is ahead of this one.
    let is_present = sent.basis >= room.updated_at;
    // The version of a page follows the room. One that was written with an open gate may open it only once its reader
    // has seen who paused it.
    let is_unseen = sent.act == Act::Open && sent.was_gate == Gate::Open;
    if is_present && (is_unseen || same(&change, &sent, room).is_some()) {
        return overtaken(&app, shell, &screen, &change, sent).await;
    }
    let lacks_reason = change.hurts(room) && reason.is_none();
    let is_asked = lacks_reason || (change.stops(room).is_some() && sent.consent == Consent::NotAsked);
    if is_present && is_asked {
        // The page that asks for consent asks for a reason, too.
        let was_asked = sent.consent == Consent::Given;
        let faults = RoomFaults { reason: was_asked.then(|| shell.t("desk-reason-missing")), ..RoomFaults::default() };
        let notice = was_asked.then(|| faulty(&shell));
        let form = RoomForm::of(sent, faults);
        return ask::show(&app, shell, AskedChange { screen: &screen, change: &change, form, notice, lead }).await;
    }
    let room_id = screen.concert.room_id;
    match app.office.set_room(caller, room_id, change.clone(), Some(sent.basis), reason, key).await {
        Ok(_) if sent.act.gate().is_some() && sent.is_touched() => {
            let screen = app.office.sale_screen(id).await?;
            let sent = SentForm { reason: String::new(), ..sent.rebased(&screen.room.room) };
            let form = Some(RoomForm::of(sent, RoomFaults::default()));
            let applied = Some(shell.t("desk-applied-gate"));
            page::show(&app, shell, &screen, DeskView { form, applied, ..DeskView::default() }).await
        }
        Ok(_) => Ok(Redirect::to(&format!("{}?applied", page::path_of(&screen))).into_response()),
        Err(ServiceError::Refused(Refusal::Changed)) => {
            let screen = app.office.sale_screen(id).await?;
            overtaken(&app, shell, &screen, &change, sent).await
        }
        Err(error) => {
            let notice = Some(FormNotice::of(&shell, Problem::from(error))?);
            let form = Some(RoomForm::of(sent, RoomFaults::default()));
            page::show(&app, shell, &screen, DeskView { form, notice, ..DeskView::default() }).await
        }
    }
}

fn faulty(shell: &Shell) -> FormNotice {
    FormNotice {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: shell.t("desk-fault"),
        text: shell.t("desk-fault-text"),
        retry_after: None,
    }
}

/// The title of the notice that there is nothing to change.
fn same(change: &RoomChange, sent: &SentForm, room: &Room) -> Option<&'static str> {
    match change.gate {
        Some(gate) if gate != room.gate => None,
        Some(Gate::Paused) => Some("desk-same-paused"),
        Some(Gate::Open) => Some("desk-same-open"),
        None => (*change == RoomChange::default() && sent.basis == room.updated_at).then_some("desk-same"),
    }
}

/// Nothing is changed: the room is so already, or has changed since the sender saw it.
async fn overtaken(
    app: &SharedState,
    shell: CockpitShell,
    screen: &SaleScreen,
    change: &RoomChange,
    sent: SentForm,
) -> HttpResult<Response> {
    let room = &screen.room.room;
    let Some(title) = same(change, &sent, room) else { return changed(app, shell, screen, sent).await };
    let notice = Some(FormNotice {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: shell.t(title),
        text: shell.t("desk-same-text"),
        retry_after: None,
    });
    let form = Some(RoomForm::of(sent.rebased(room), RoomFaults::default()));
    page::show(app, shell, screen, DeskView { form, notice, ..DeskView::default() }).await
}

/// The settings have changed since the sender saw them: what they are now, by whom, and what was typed.
async fn changed(app: &SharedState, shell: CockpitShell, screen: &SaleScreen, sent: SentForm) -> HttpResult<Response> {
    let entries = page::newest_entries(app, &shell, screen).await;
    let by = entries.iter().rev().find(|entry| entry.is_of_room);
    let text = match by {
        Some(entry) => shell.t2("desk-changed-by", "who", &entry.who, "what", &entry.what),
        None => shell.t("desk-changed-text"),
    };
    let notice =
        FormNotice { status: StatusCode::PRECONDITION_FAILED, title: shell.t("desk-changed"), text, retry_after: None };
    let room = &screen.room.room;
    let sent = SentForm { consent: Consent::NotAsked, ..sent.rebased(room) };
    // A pause is a pause, whatever else has changed: it is asked for again, beside what is now.
    if matches!(sent.act, Act::Pause)
        && room.gate == Gate::Open
        && let Ok(WantedChange { change, .. }) = sent.wanted(&shell)
    {
        let form = RoomForm::of(sent, RoomFaults::default());
        let asked = AskedChange { screen, change: &change, form, notice: Some(notice), lead: None };
        return ask::show(app, shell, asked).await;
    }
    let form = Some(RoomForm::of(sent, RoomFaults::default()));
    page::show(app, shell, screen, DeskView { form, notice: Some(notice), ..DeskView::default() }).await
}
