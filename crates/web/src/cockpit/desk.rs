//! `/operator/concerts/{id}/sale`: the screen of a sale. Whoever may see the sale watches it; operators move its line.
//!
//! `page.rs` writes the page, `frame.rs` the moments that follow by `stream.rs`, `form.rs` reads what was typed, `ask.rs`
//! asks again, and `settings.rs` does it, on the page of a room, too.

mod ask;
mod form;
mod frame;
mod page;
mod preview;
mod settings;
mod stream;
mod words;

use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        auth::{ClientAddress, OperatorOnly, SaleReader, SessionSecret},
        events,
        extract::PathId,
        form::FormFields,
        problem::HttpResult,
        reply::json,
        state::SharedState,
    },
    html::shell::Shell,
};
use axum::{
    Router,
    extract::{RawQuery, State},
    response::{Redirect, Response},
    routing::get,
};
use form::{Act, Consent, RoomFaults, SentForm, Settings, WantedChange};
use frame::{ChartColumns, ScreenFrame};
use frontrow_domain::id::ConcertId;
use page::EntryLine;
pub(super) use page::RoomForm;
use serde::Serialize;
pub(super) use settings::{FormPlace, FormView, set_room};
pub(super) use words::{effect_id, opening_id, opening_name};

/// The routes of the pages.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts/{concert_id}/sale", get(show))
        .route("/operator/concerts/{concert_id}/sale/settings", get(to_sale).post(set))
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
    page::show(&app, shell, &screen, FormView { applied, ..FormView::default() }).await
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
        opening: was.opening,
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
    let wanted = sent.wanted(&shell);
    let place = FormPlace::Sale(Box::new(screen));
    let text = match wanted {
        Ok(WantedChange { change, .. }) => place.effect(&shell, &place.preview(&app, &change).await?),
        Err(RoomFaults { cap, rate, .. }) => cap.or(rate).unwrap_or_default(),
    };
    Ok(json(&EffectBody { text }))
}

async fn set(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let screen = app.office.sale_screen(id).await?;
    set_room((app, shell, caller), FormPlace::Sale(Box::new(screen)), &fields).await
}
