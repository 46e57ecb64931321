//! What rooms share: the budget of the house, and the weight of a room beside the others.

use super::{name_of, path_of};
use crate::{
    cockpit::{
        acts::{ActPage, ActVisit},
        shell::CockpitShell,
        tables::{Cell, Link, ObjectFact},
    },
    edge::{form::FormFields, problem::HttpResult, state::SharedState},
};
use axum::response::Response;
use frontrow_domain::{
    command::RoomChange,
    id::RoomId,
    line::{HOUSE_BUDGET_MAX, Room, RoomWeight},
};

/// How many digits a number may have.
const DIGITS_MAX: usize = 20;

/// What a room shares, as its page says it.
pub(super) fn facts(shell: &CockpitShell, room: &Room) -> Vec<ObjectFact> {
    let fact = |name: &str, value: String| ObjectFact::of(shell.t(name), Cell::text(value));
    let mut facts = Vec::new();
    if let Some(allotment) = room.allotment {
        facts.push(fact("orders-allotment", shell.number(&allotment)));
    }
    facts.push(fact("orders-weight", shell.number(&room.weight.get())));
    if room.room_id == RoomId::HOUSE {
        let budget = room.house_budget.map_or_else(|| shell.t("orders-budget-none"), |budget| shell.number(&budget));
        facts.push(fact("orders-budget", budget));
    }
    facts
}

/// The forms that change what a room shares.
pub(super) fn acts(shell: &CockpitShell, room: &Room) -> Vec<Link> {
    if room.lane.is_some() {
        // It has the weight of its line.
        return Vec::new();
    }
    let path = path_of(room.room_id);
    let mut acts = vec![Link::to(shell.t("orders-weight-set"), format!("{path}/weight"))];
    if room.room_id == RoomId::HOUSE {
        acts.push(Link::to(shell.t("orders-budget-set"), format!("{path}/budget")));
        if room.house_budget.is_some() {
            acts.push(Link::to(shell.t("orders-budget-end"), format!("{path}/budget/end")));
        }
    }
    acts
}

/// An act on what a room shares.
#[derive(Clone, Copy)]
enum SharesAct {
    Weight,
    Budget,
    BudgetEnd,
}

impl SharesAct {
    const fn last(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Budget => "budget",
            Self::BudgetEnd => "budget/end",
        }
    }

    async fn page(self, app: &SharedState, shell: CockpitShell, id: RoomId) -> HttpResult<ActPage> {
        let room = app.office.room(id).await?.room;
        let about = Link::to(name_of(&shell, &room), path_of(id));
        let (title, effect) = match self {
            Self::Weight => ("orders-weight-set", "orders-weight-effect"),
            Self::Budget => ("orders-budget-set", "orders-budget-effect"),
            Self::BudgetEnd => ("orders-budget-end", "orders-budget-end-effect"),
        };
        let (title, effect) = (shell.t(title), shell.t(effect));
        let action = format!("{}/{}", path_of(id), self.last());
        let page = ActPage::of(shell, title.clone(), about, action, title).with_effects(vec![effect]);
        Ok(match self {
            Self::Weight => page.with_line("weight", "orders-weight", "orders-weight-hint", DIGITS_MAX),
            Self::Budget => page.with_line("house_budget", "orders-budget", "orders-budget-hint", DIGITS_MAX),
            Self::BudgetEnd => page,
        }
        .with_reason("orders-reason-log"))
    }

    async fn form(self, visit: ActVisit<RoomId>) -> HttpResult<Response> {
        self.page(&visit.app, visit.shell, visit.id).await?.answer()
    }

    async fn done(self, visit: ActVisit<RoomId>, fields: FormFields) -> HttpResult<Response> {
        let mut page = self.page(&visit.app, visit.shell.clone(), visit.id).await?;
        let number = |text: &str| text.parse::<i64>().ok();
        let change = match self {
            Self::Weight => page
                .read(&fields, "weight", |text| {
                    number(text).and_then(|weight| RoomWeight::try_from(weight).ok()).ok_or("orders-field-weight")
                })
                .map(|weight| RoomChange { weight: Some(weight), ..RoomChange::default() }),
            Self::Budget => page
                .read(&fields, "house_budget", |text| {
                    let budget = number(text).filter(|budget| (1..=HOUSE_BUDGET_MAX).contains(budget));
                    budget.ok_or("orders-field-budget")
                })
                .map(|budget| RoomChange { house_budget: Some(Some(budget)), ..RoomChange::default() }),
            Self::BudgetEnd => Some(RoomChange { house_budget: Some(None), ..RoomChange::default() }),
        };
        let reason = page.reason(&fields);
        let (Some(change), Some(reason)) = (change, reason) else { return page.answer() };
        let key = visit.key(&fields, &format!("/operator/rooms/{{id}}/{}", self.last()))?;
        let set = visit.app.office.set_room(visit.caller, visit.id, change, None, Some(reason), key).await;
        page.ended(set, &path_of(visit.id))
    }
}

pub(super) async fn weight_form(visit: ActVisit<RoomId>) -> HttpResult<Response> {
    SharesAct::Weight.form(visit).await
}

pub(super) async fn weight(visit: ActVisit<RoomId>, fields: FormFields) -> HttpResult<Response> {
    SharesAct::Weight.done(visit, fields).await
}

pub(super) async fn budget_form(visit: ActVisit<RoomId>) -> HttpResult<Response> {
    SharesAct::Budget.form(visit).await
}

pub(super) async fn budget(visit: ActVisit<RoomId>, fields: FormFields) -> HttpResult<Response> {
    SharesAct::Budget.done(visit, fields).await
}

pub(super) async fn budget_end_form(visit: ActVisit<RoomId>) -> HttpResult<Response> {
    SharesAct::BudgetEnd.form(visit).await
}

pub(super) async fn budget_end(visit: ActVisit<RoomId>, fields: FormFields) -> HttpResult<Response> {
    SharesAct::BudgetEnd.done(visit, fields).await
}
