//! A concert is made, or changed.

use super::{
    ConcertVisit, check_may_change,
    draft::{DETAILS, SALE, WHAT},
    form::{OWN_ROOM, REASON, StageFaults, StageGroup, StagePage, StageReader, StageSpec, StaleField, group},
    path_of, refused, steps_of,
};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        auth::OperatorOnly, extract::PathId, form::FormFields, precondition::IfMatch, problem::HttpResult,
        state::SharedState,
    },
    html::forms::{FormNotice, bound_key, form_page, fresh_key},
};
use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    command::ConcertChange,
    id::{ConcertId, RoomId},
    refusal::Refusal,
    sale::Harm,
};

/// The hidden field of a form that has shown what it will stop.
pub(super) const SURE: &str = "sure";

fn new_page(shell: CockpitShell, typed: &FormFields, faults: &StageFaults, notice: Option<FormNotice>) -> StagePage {
    let value = |name: &'static str| match (name, typed.given(name)) {
        // Most box offices have one time zone.
        ("time_zone", "") => crate::html::shell::HOME_ZONE.to_owned(),
        (_, typed) => typed.to_owned(),
    };
    let part = |legend: &str, specs: &[&StageSpec]| group(&shell, shell.t(legend), specs, value, faults);
    let groups = vec![
        part("stage-part-what", &WHAT),
        part("stage-part-sale", &SALE),
        part("stage-part-room", &[&OWN_ROOM]),
        part("stage-part-details", &DETAILS),
    ];
    StagePage {
        title: shell.t("stage-new"),
        back: ("/operator/concerts".to_owned(), shell.t("stage-list")),
        steps: Vec::new(),
        lead: vec![shell.t("stage-new-lead")],
        effects: Vec::new(),
        notice,
        stale: Vec::new(),
        groups,
        hidden: vec![("key", fresh_key())],
        file: None,
        action: "/operator/concerts/new".to_owned(),
        button: shell.t("stage-new-button"),
        links: vec![("/operator/start".to_owned(), shell.t("stage-by-steps"))],
        shell,
    }
}

pub(super) async fn show_new(shell: CockpitShell) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let page = new_page(shell, &FormFields::default(), &Vec::new(), None);
    form_page(&page.shell, None, &page)
}

pub(super) async fn create(
    State(app): State<SharedState>,
    _: OperatorOnly,
    shell: CockpitShell,
    typed: FormFields,
) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let mut reader = StageReader::new(&shell, &typed);
    let new = reader.whole_concert(app.office.now());
    let faults = reader.faults;
    let Some(new) = new else {
        let page = new_page(shell, &typed, &faults, None);
        return refused(&page);
    };
    let key = bound_key(&typed, shell.caller, "/operator/concerts/new", &[])?;
    match app.office.create_concert(shell.caller, new, key).await {
        Ok(done) => Ok(Redirect::to(&path_of(done.value.concert_id)).into_response()),
        Err(error) => {
            let notice = FormNotice::of(&shell, error.into())?;
            let page = new_page(shell, &typed, &faults, Some(notice));
            form_page(&page.shell, page.notice.as_ref(), &page)
        }
    }
}

impl ConcertVisit {
    fn edit_page(&self, typed: Option<&FormFields>, faults: &StageFaults) -> StagePage {
        let shell = &self.shell;
        let value = |name: &'static str| {
            let given = typed.and_then(|typed| typed.all(name).next());
            given.map_or_else(|| self.shown(name), str::to_owned)
        };
        let part = |legend: &str, specs: &[&StageSpec]| group(shell, shell.t(legend), specs, value, faults);
        let mut groups: Vec<StageGroup> =
            vec![part("stage-part-what", &WHAT), part("stage-part-sale", &self.sale_specs())];
        if self.concert.room_id == RoomId::HOUSE {
            groups.push(part("stage-part-room", &[&OWN_ROOM]));
        }
        groups.extend([part("stage-part-details", &DETAILS), part("stage-part-reason", &[&REASON])]);
        let path = path_of(self.concert.concert_id);
        StagePage {
            title: shell.t("stage-edit"),
            back: (path.clone(), self.concert.title.clone()),
            steps: Vec::new(),
            lead: vec![shell.t1("stage-edit-lead", "zone", &self.concert.time_zone)],
            effects: Vec::new(),
            notice: None,
            stale: Vec::new(),
            groups,
            hidden: vec![("key", fresh_key()), ("basis", self.concert.updated_at.micros().to_string())],
            file: None,
            action: format!("{path}/edit"),
            button: shell.t("stage-edit-button"),
            links: self.edit_links(),
            shell: shell.clone(),
        }
    }

    fn edit_links(&self) -> Vec<(String, String)> {
        let id = self.concert.concert_id;
        let steps = self.is_being_made.then(|| (steps_of(id), self.shell.t("stage-go-on")));
        steps.into_iter().chain([(super::poster::path(id), self.shell.t("stage-poster"))]).collect()
    }

    /// What the form has and the concert, as it is now, has not.
    fn stale(&self, typed: &FormFields) -> Vec<StaleField> {
        let specs = WHAT.iter().chain(&SALE).chain(&DETAILS);
        let differing = specs.filter_map(|spec| {
            let (now, typed) = (self.shown(spec.name), typed.all(spec.name).next()?.to_owned());
            (now.trim() != typed.trim()).then(|| StaleField { label: self.shell.t(spec.label), now, typed })
        });
        differing.collect()
    }
}

pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let visit = ConcertVisit::of(shell, &app, id).await?;
    form_page(&visit.shell, None, &visit.edit_page(None, &Vec::new()))
}

pub(super) async fn update(
    State(app): State<SharedState>,
    _: OperatorOnly,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    typed: FormFields,
) -> HttpResult<Response> {
    let visit = ConcertVisit::of(shell, &app, id).await?;
    check_may_change(&visit.shell)?;
    let basis = IfMatch::of_form(&typed)?;
    let caller = visit.shell.caller;
    let key = bound_key(&typed, caller, "/operator/concerts/{id}/edit", &[&id])?;
    let mut reader = StageReader::new(&visit.shell, &typed);
    let change = reader.change(&visit);
    let reason = reader.words(&REASON);
    let mut faults = reader.faults;
    // A form of another version is for the command to answer: if it was sent before, as it was then.
    let is_present = basis.0 == Some(visit.concert.updated_at);
    let change = match change.filter(|_| faults.is_empty()) {
        Some(change) => change,
        None if is_present => return refused(&visit.edit_page(Some(&typed), &faults)),
        None => ConcertChange::default(),
    };
    if let Some(harm) = change.harm(&visit.concert, app.office.now()).filter(|_| is_present) {
        let sure = format!("{harm:?}");
        let is_sure = typed.one_or_none(SURE)? == Some(sure.as_str());
        if !is_sure || reason.is_none() {
            if is_sure {
                faults.push((REASON.name, visit.shell.t("stage-fault-reason")));
            }
            let mut page = visit.edit_page(Some(&typed), &faults);
            page.effects = match harm {
                Harm::Stopped(stops) => visit.effects(&app, stops).await?,
                Harm::Moved => vec![visit.shell.t("stage-moved")],
                Harm::ClosesEarlier => vec![visit.shell.t("stage-closes-earlier")],
            };
            page.need(&REASON);
            page.hidden.push((SURE, sure));
            page.button = visit.shell.t("stage-sure-button");
            return refused(&page);
        }
    }
    match app.office.update_concert(caller, id, change, basis.0, reason, key).await {
        Ok(_) => {
            let next = if visit.is_being_made { steps_of(id) } else { path_of(id) };
            Ok(Redirect::to(&next).into_response())
        }
        Err(error) => {
            let problem = crate::edge::problem::Problem::from(error);
            if problem.refusal() == Some(&Refusal::Changed) {
                let visit = ConcertVisit::of(visit.shell, &app, id).await?;
                return visit.changed_meanwhile(&typed);
            }
            let mut page = visit.edit_page(Some(&typed), &faults);
            page.notice = Some(FormNotice::of(&visit.shell, problem)?);
            form_page(&visit.shell, page.notice.as_ref(), &page)
        }
    }
}

impl ConcertVisit {
    /// The form of a version that is gone: the two beside each other, and what was typed for the present one.
    fn changed_meanwhile(&self, typed: &FormFields) -> HttpResult<Response> {
        let mut page = self.edit_page(Some(typed), &Vec::new());
        page.notice = Some(FormNotice::of(&self.shell, Refusal::Changed.into())?);
        page.stale = self.stale(typed);
        form_page(&self.shell, page.notice.as_ref(), &page)
    }
}
