//! What is done to a whole concert: its sale is stopped and goes on, it is postponed or cancelled, all is refunded.

use super::{
    ConcertVisit, check_may_change,
    form::{REASON, STATUS_REASON, StageFaults, StagePage, StageReader, StageSpec, group},
    path_of, refused, steps_of,
};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        auth::OperatorOnly,
        extract::PathId,
        form::FormFields,
        precondition::IfMatch,
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::forms::{FormNotice, bound_key, form_page, fresh_key},
};
use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    command::ConcertChange,
    id::ConcertId,
    sale::{ConcertStatus, Stops},
};

/// An act, as its path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StageAct {
    Close,
    Postpone,
    Resume,
    Cancel,
    RefundAll,
}

impl StageAct {
    pub(super) const ALL: [Self; 5] = [Self::Close, Self::Postpone, Self::Resume, Self::Cancel, Self::RefundAll];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Postpone => "postpone",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::RefundAll => "refund-all",
        }
    }

    fn find(name: &str) -> HttpResult<Self> {
        let found = Self::ALL.into_iter().find(|act| act.name() == name);
        found.ok_or_else(|| Problem::new(&codes::NOT_FOUND))
    }

    /// Whether there is something for it to do.
    pub(super) fn is_open(self, status: ConcertStatus, refunds_asked: RefundsAsked) -> bool {
        match self {
            Self::Close => matches!(status, ConcertStatus::Scheduled | ConcertStatus::Postponed),
            Self::Postpone => matches!(status, ConcertStatus::Scheduled | ConcertStatus::Closed),
            Self::Resume => matches!(status, ConcertStatus::Closed | ConcertStatus::Postponed),
            Self::Cancel => status != ConcertStatus::Cancelled,
            Self::RefundAll => status == ConcertStatus::Cancelled && refunds_asked == RefundsAsked::No,
        }
    }

    /// Whether it can be done to a concert that is being made, too. Whether that one goes on sale is for its last step,
    /// which checks what it needs.
    pub(super) const fn is_of_steps_too(self) -> bool {
        matches!(self, Self::Cancel)
    }

    pub(super) fn title(self, shell: &CockpitShell) -> String {
        shell.t(match self {
            Self::Close => "stage-close",
            Self::Postpone => "stage-postpone",
            Self::Resume => "stage-resume",
            Self::Cancel => "stage-cancel",
            Self::RefundAll => "stage-refund-all",
        })
    }

    fn specs(self) -> Vec<&'static StageSpec> {
        match self {
            Self::Close | Self::Postpone => vec![&STATUS_REASON, &REASON],
            Self::Cancel => vec![&STATUS_REASON],
            Self::Resume | Self::RefundAll => Vec::new(),
        }
    }
}

/// Whether an operator has asked for the refund of every payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefundsAsked {
    Yes,
    No,
}

impl ConcertVisit {
    /// What stopping a sale means now, in numbers.
    pub(super) async fn effects(&self, app: &SharedState, stops: Stops) -> HttpResult<Vec<String>> {
        let mut effects = vec![self.shell.t(match stops {
            Stops::Closed => "stage-stops-closed",
            Stops::Postponed => "stage-stops-postponed",
            Stops::PastClosing => "stage-stops-past-closing",
            Stops::PutOff => "stage-stops-put-off",
            Stops::Paused | Stops::NoPlaces => "stage-stops-line",
        })];
        effects.extend(self.affected(app).await?);
        Ok(effects)
    }

    /// What an act does to so many; nothing is said of none.
    fn count(&self, id: &str, count: i64) -> Option<String> {
        (count > 0).then(|| self.shell.t1(id, "count", count))
    }

    /// How many wait, hold and have paid.
    async fn affected(&self, app: &SharedState) -> HttpResult<Vec<String>> {
        let books = app.office.concert_books(self.concert.concert_id).await?;
        let room = app.office.room(self.concert.room_id).await?;
        let affected = [
            self.count("stage-affected-waiting", room.waiting.saturating_add(room.offered)),
            self.count("stage-affected-holding", books.seats.held),
            self.count("stage-affected-paid", books.seats.sold),
        ];
        Ok(affected.into_iter().flatten().collect())
    }

    async fn act_page(
        &self,
        app: &SharedState,
        act: StageAct,
        typed: &FormFields,
        faults: &StageFaults,
    ) -> HttpResult<StagePage> {
        let shell = &self.shell;
        let mut effects = match act {
            StageAct::Close => self.effects(app, Stops::Closed).await?,
            StageAct::Postpone => self.effects(app, Stops::Postponed).await?,
            StageAct::Cancel => {
                let mut effects = vec![shell.t("stage-cancel-effect")];
                effects.extend(self.affected(app).await?);
                effects
            }
            StageAct::Resume => vec![shell.t("stage-resume-effect")],
            StageAct::RefundAll => vec![shell.t("stage-refund-all-effect")],
        };
        if act == StageAct::RefundAll {
            effects.extend(self.count("stage-affected-paid", self.seats.sold));
        }
        let specs = act.specs();
        let groups = if specs.is_empty() {
            Vec::new()
        } else {
            vec![group(shell, shell.t("stage-part-reason"), &specs, |name| typed.given(name).to_owned(), faults)]
        };
        let path = path_of(self.concert.concert_id);
        Ok(StagePage {
            title: act.title(shell),
            back: (path.clone(), self.concert.title.clone()),
            steps: Vec::new(),
            lead: Vec::new(),
            effects,
            notice: None,
            stale: Vec::new(),
            groups,
            hidden: vec![("key", fresh_key()), ("basis", self.concert.updated_at.micros().to_string())],
            file: None,
            action: format!("{path}/act/{}", act.name()),
            button: act.title(shell),
            links: vec![(path, shell.t("stage-leave"))],
            shell: shell.clone(),
        })
    }
}

pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    Path((id, act)): Path<(String, String)>,
) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let act = StageAct::find(&act)?;
    let visit = ConcertVisit::of(shell, &app, concert_id(&id)?).await?;
    if visit.is_being_made && !act.is_of_steps_too() {
        return Ok(Redirect::to(&steps_of(visit.concert.concert_id)).into_response());
    }
    form_page(&visit.shell, None, &visit.act_page(&app, act, &FormFields::default(), &Vec::new()).await?)
}

fn concert_id(text: &str) -> HttpResult<ConcertId> {
    let id = text.parse::<i64>().ok().and_then(|id| ConcertId::try_from(id).ok());
    id.ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

pub(super) async fn send(
    State(app): State<SharedState>,
    _: OperatorOnly,
    shell: CockpitShell,
    Path((id, act)): Path<(String, String)>,
    typed: FormFields,
) -> HttpResult<Response> {
    let act = StageAct::find(&act)?;
    let visit = ConcertVisit::of(shell, &app, concert_id(&id)?).await?;
    check_may_change(&visit.shell)?;
    let id = visit.concert.concert_id;
    if visit.is_being_made && !act.is_of_steps_too() {
        return Ok(Redirect::to(&steps_of(id)).into_response());
    }
    let basis = IfMatch::of_form(&typed)?;
    let caller = visit.shell.caller;
    let key = bound_key(&typed, caller, "/operator/concerts/{id}/act", &[&id, &act.name()])?;
    let mut reader = StageReader::new(&visit.shell, &typed);
    let (for_buyers, reason) = if act.specs().is_empty() {
        (None, None)
    } else {
        (reader.words(&STATUS_REASON), if act == StageAct::Cancel { None } else { reader.words(&REASON) })
    };
    if !act.specs().is_empty() && for_buyers.is_none() && reason.is_none() {
        let why = visit.shell.t("stage-fault-reason");
        reader.fault(&STATUS_REASON, why);
    }
    let faults = reader.faults;
    if !faults.is_empty() {
        return refused(&visit.act_page(&app, act, &typed, &faults).await?);
    }
    let to = |status| ConcertChange {
        status: Some(status),
        status_reason: for_buyers.clone().map(Some),
        ..ConcertChange::default()
    };
    let office = &app.office;
    let done = match act {
        StageAct::Close => {
            office.update_concert(caller, id, to(ConcertStatus::Closed), basis.0, reason, key).await.map(drop)
        }
        StageAct::Postpone => {
            office.update_concert(caller, id, to(ConcertStatus::Postponed), basis.0, reason, key).await.map(drop)
        }
        StageAct::Resume => {
            office.update_concert(caller, id, to(ConcertStatus::Scheduled), basis.0, None, key).await.map(drop)
        }
        StageAct::Cancel => {
            office.cancel_concert(caller, id, for_buyers.unwrap_or_default(), basis.0, key).await.map(drop)
        }
        StageAct::RefundAll => office.refund_concert(caller, id, basis.0, key).await.map(drop),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&path_of(id)).into_response()),
        Err(error) => {
            let notice = FormNotice::of(&visit.shell, error.into())?;
            let visit = ConcertVisit::of(visit.shell, &app, id).await?;
            let mut page = visit.act_page(&app, act, &typed, &faults).await?;
            page.notice = Some(notice);
            form_page(&visit.shell, page.notice.as_ref(), &page)
        }
    }
}

/// From the address of the form, which a browser opens again when its page came back with a fault.
pub(super) async fn to_concert(PathId(id): PathId<ConcertId>) -> Redirect {
    Redirect::to(&path_of(id))
}
