//! The form of a room's settings: read, asked about again, and done. It stands on the screen of a sale and on the page of
//! a room.

use super::{
    ask::{self, AskedChange},
    form::{Act, Consent, RoomFaults, SentForm, WantedChange},
    page::{self, RoomForm},
    preview::{self, Occasion},
};
use crate::{
    cockpit::{entries::line_name, rooms, shell::CockpitShell},
    edge::{
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, bound_key},
        shell::{HOME_ZONE, Shell},
    },
};
use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    command::RoomChange,
    line::{Gate, Room},
    refusal::Refusal,
    time::Time,
    user::Caller,
};
use frontrow_service::{
    house::{RoomPreview, SaleScreen},
    office::ServiceError,
    operators::RoomOverview,
};

/// The page that the form is on.
pub(in crate::cockpit) enum FormPlace {
    /// The screen of a sale.
    Sale(Box<SaleScreen>),
    /// The page of a room, at this moment.
    Room(Box<RoomOverview>, Time),
}

/// How the page is shown.
#[derive(Default)]
pub(in crate::cockpit) struct FormView {
    pub(in crate::cockpit) form: Option<RoomForm>,
    pub(in crate::cockpit) notice: Option<FormNotice>,
    pub(in crate::cockpit) preview: String,
    /// What was done, in words.
    pub(in crate::cockpit) applied: Option<String>,
}

impl FormPlace {
    pub(super) const fn room(&self) -> &Room {
        match self {
            Self::Sale(screen) => &screen.room.room,
            Self::Room(line, _) => &line.room,
        }
    }

    /// How many are inside and in line.
    pub(super) const fn active_and_waiting(&self) -> (i64, i64) {
        match self {
            Self::Sale(screen) => (screen.room.active, screen.room.waiting),
            Self::Room(line, _) => (line.active, line.waiting),
        }
    }

    pub(super) fn path(&self) -> String {
        match self {
            Self::Sale(screen) => page::path_of(screen),
            Self::Room(line, _) => rooms::path_of(line.room.room_id),
        }
    }

    pub(super) fn title(&self, shell: &Shell) -> String {
        match self {
            Self::Sale(screen) => screen.concert.title.clone(),
            Self::Room(line, _) => line_name(shell, line.room.room_id),
        }
    }

    pub(super) async fn preview(&self, app: &SharedState, change: &RoomChange) -> HttpResult<RoomPreview> {
        Ok(match self {
            Self::Sale(screen) => app.office.preview_room(screen.concert.concert_id, change).await?,
            Self::Room(line, _) => app.office.preview_line(line.room.room_id, change).await?,
        })
    }

    /// What a previewed change would do, in words.
    pub(super) fn effect(&self, shell: &Shell, preview: &RoomPreview) -> String {
        let occasion = match self {
            Self::Sale(screen) => Occasion { shell, zone: &screen.concert.time_zone, now: screen.at },
            Self::Room(_, now) => Occasion { shell, zone: HOME_ZONE, now: *now },
        };
        preview::effect(&occasion, preview, self.active_and_waiting())
    }

    /// The same page as it is now.
    async fn again(&self, app: &SharedState) -> HttpResult<Self> {
        Ok(match self {
            Self::Sale(screen) => Self::Sale(Box::new(app.office.sale_screen(screen.concert.concert_id).await?)),
            Self::Room(line, _) => Self::Room(Box::new(app.office.room(line.room.room_id).await?), app.office.now()),
        })
    }

    /// Who changed the settings last, and what, in words.
    async fn last_change(&self, app: &SharedState, shell: &CockpitShell) -> Option<(String, String)> {
        match self {
            Self::Sale(screen) => {
                let entries = page::newest_entries(app, shell, screen).await;
                entries.into_iter().rev().find(|entry| entry.is_of_room).map(|entry| (entry.who, entry.what))
            }
            Self::Room(line, _) => rooms::last_change(app, shell, line.room.room_id).await,
        }
    }

    async fn show(&self, app: &SharedState, shell: CockpitShell, view: FormView) -> HttpResult<Response> {
        match self {
            Self::Sale(screen) => page::show(app, shell, screen, view).await,
            Self::Room(line, _) => rooms::show(app, shell, line, view).await,
        }
    }
}

/// Does what a form wants, or asks about it again.
pub(in crate::cockpit) async fn set_room(
    (app, shell, caller): (SharedState, CockpitShell, Caller),
    place: FormPlace,
    fields: &FormFields,
) -> HttpResult<Response> {
    let key = match &place {
        FormPlace::Sale(screen) => {
            let id = screen.concert.concert_id;
            bound_key(fields, caller, "/operator/concerts/{id}/sale/settings", &[&id])?
        }
        FormPlace::Room(line, _) => bound_key(fields, caller, "/operator/rooms/{id}/settings", &[&line.room.room_id])?,
    };
    let shell = shell.at(place.path());
    let room = place.room();
    let mut sent = SentForm::of(fields, room)?;
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
            return place.show(&app, shell, FormView { form, notice, ..FormView::default() }).await;
        }
    };
    if sent.act == Act::Preview {
        let preview = place.effect(&shell, &place.preview(&app, &change).await?);
        let form = Some(RoomForm::of(sent, RoomFaults::default()));
        return place.show(&app, shell, FormView { form, preview, ..FormView::default() }).await;
    }
    // A form of an older version is for the command to answer: if it was sent before, as it was then. One of a newer
    // version was written by an instance that is ahead of this one.
    let is_present = sent.basis >= room.updated_at;
    // The version of a page follows the room. One that was written with an open gate may open it only once its reader
    // has seen who paused it.
    let is_unseen = sent.act == Act::Open && sent.was_gate == Gate::Open;
    if is_present && (is_unseen || same(&change, &sent, room).is_some()) {
        return overtaken(&app, shell, &place, &change, sent).await;
    }
    let lacks_reason = change.hurts(room) && reason.is_none();
    let is_asked = lacks_reason || (change.stops(room).is_some() && sent.consent == Consent::NotAsked);
    if is_present && is_asked {
        // The page that asks for consent asks for a reason, too.
        let was_asked = sent.consent == Consent::Given;
        let faults = RoomFaults { reason: was_asked.then(|| shell.t("desk-reason-missing")), ..RoomFaults::default() };
        let notice = was_asked.then(|| faulty(&shell));
        let form = RoomForm::of(sent, faults);
        return ask::show(&app, shell, AskedChange { place: &place, change: &change, form, notice, lead }).await;
    }
    match app.office.set_room(caller, room.room_id, change.clone(), Some(sent.basis), reason, key).await {
        Ok(_) if sent.act.gate().is_some() && sent.is_touched() => {
            let place = place.again(&app).await?;
            let sent = SentForm { reason: String::new(), ..sent.rebased(place.room()) };
            let form = Some(RoomForm::of(sent, RoomFaults::default()));
            let applied = Some(shell.t("desk-applied-gate"));
            place.show(&app, shell, FormView { form, applied, ..FormView::default() }).await
        }
        Ok(_) => Ok(Redirect::to(&format!("{}?applied", place.path())).into_response()),
        Err(ServiceError::Refused(Refusal::Changed)) => {
            let place = place.again(&app).await?;
            overtaken(&app, shell, &place, &change, sent).await
        }
        Err(error) => {
            let notice = Some(FormNotice::of(&shell, Problem::from(error))?);
            let form = Some(RoomForm::of(sent, RoomFaults::default()));
            place.show(&app, shell, FormView { form, notice, ..FormView::default() }).await
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
    place: &FormPlace,
    change: &RoomChange,
    sent: SentForm,
) -> HttpResult<Response> {
    let room = place.room();
    let Some(title) = same(change, &sent, room) else { return changed(app, shell, place, sent).await };
    let notice = Some(FormNotice {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: shell.t(title),
        text: shell.t("desk-same-text"),
        retry_after: None,
    });
    let form = Some(RoomForm::of(sent.rebased(room), RoomFaults::default()));
    place.show(app, shell, FormView { form, notice, ..FormView::default() }).await
}

/// The settings have changed since the sender saw them: what they are now, by whom, and what was typed.
async fn changed(app: &SharedState, shell: CockpitShell, place: &FormPlace, sent: SentForm) -> HttpResult<Response> {
    let text = match place.last_change(app, &shell).await {
        Some((who, what)) => shell.t2("desk-changed-by", "who", who, "what", what),
        None => shell.t("desk-changed-text"),
    };
    let notice =
        FormNotice { status: StatusCode::PRECONDITION_FAILED, title: shell.t("desk-changed"), text, retry_after: None };
    let room = place.room();
    let sent = SentForm { consent: Consent::NotAsked, ..sent.rebased(room) };
    // A pause is a pause, whatever else has changed: it is asked for again, beside what is now.
    if matches!(sent.act, Act::Pause)
        && room.gate == Gate::Open
        && let Ok(WantedChange { change, .. }) = sent.wanted(&shell)
    {
        let form = RoomForm::of(sent, RoomFaults::default());
        let asked = AskedChange { place, change: &change, form, notice: Some(notice), lead: None };
        return ask::show(app, shell, asked).await;
    }
    let form = Some(RoomForm::of(sent, RoomFaults::default()));
    place.show(app, shell, FormView { form, notice: Some(notice), ..FormView::default() }).await
}
