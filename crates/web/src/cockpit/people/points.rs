//! What an operator does with a user's points: a top-up, and a correction. Both show the balance before and after, and
//! ask again.

use super::{form, path_of, user_of};
use crate::{
    cockpit::{
        acts::{ActPage, ActVisit},
        shell::CockpitShell,
    },
    edge::{form::FormFields, problem::HttpResult, state::SharedState},
};
use axum::{Router, response::Response, routing::get};
use frontrow_domain::{
    command::NewAdjustment,
    id::UserId,
    money::Money,
    points::{adjusted, topped_up},
};

/// The routes of a user's points.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/users/{user_id}/top-up", get(ask_to_top_up).post(top_up))
        .route("/operator/users/{user_id}/correction", get(ask_to_correct).post(correct))
}

fn balance_effect(shell: &CockpitShell, before: Money, after: Money) -> String {
    shell.t2("orders-balance-moves", "before", shell.money(&before), "after", shell.money(&after))
}

async fn top_up_form(visit: &ActVisit<UserId>) -> HttpResult<ActPage> {
    let page = form(visit, user_of(visit).await?, "orders-top-up-title", "top-up", "orders-next");
    Ok(page.with_amount("orders-top-up-amount").with_reference("orders-top-up-reference"))
}

async fn ask_to_top_up(visit: ActVisit<UserId>) -> HttpResult<Response> {
    top_up_form(&visit).await?.answer()
}

async fn top_up(visit: ActVisit<UserId>, fields: FormFields) -> HttpResult<Response> {
    let mut page = top_up_form(&visit).await?;
    let (amount, reference) = (page.amount(&fields), page.reference(&fields));
    let (Some(amount), Some(reference)) = (amount, reference) else { return page.answer() };
    let values = format!("{amount} {reference}", amount = amount.get());
    let office = &visit.app.office;
    if !ActPage::is_sure(&fields, &values) {
        let before = office.balance_of(visit.id).await?;
        let after = match topped_up(before, amount, office.policy()) {
            Ok(after) => after,
            Err(refusal) => return page.refused(refusal.into())?.answer(),
        };
        let button = visit.shell.t1("orders-top-up-button", "sum", visit.shell.money(&amount));
        return page.asking_again(vec![balance_effect(&visit.shell, before, after)], values, button).answer();
    }
    let key = visit.key(&fields, "/operator/users/{id}/top-up")?;
    let topped_up = office.top_up(visit.caller, visit.id, amount, Some(reference), key).await;
    page.ended(topped_up, &path_of(visit.id))
}

async fn correction_form(visit: &ActVisit<UserId>) -> HttpResult<ActPage> {
    let page = form(visit, user_of(visit).await?, "orders-correct-title", "correction", "orders-next");
    let page = page.with_amount("orders-correct-amount").with_reason("orders-reason-statement");
    Ok(page.with_reference("orders-correct-reference"))
}

async fn ask_to_correct(visit: ActVisit<UserId>) -> HttpResult<Response> {
    correction_form(&visit).await?.answer()
}

async fn correct(visit: ActVisit<UserId>, fields: FormFields) -> HttpResult<Response> {
    let mut page = correction_form(&visit).await?;
    let (amount, reason, reference) = (page.amount(&fields), page.reason(&fields), page.reference(&fields));
    let (Some(amount), Some(reason), Some(reference)) = (amount, reason, reference) else { return page.answer() };
    let values = format!("{} {reference}", amount.get());
    let (office, shell) = (&visit.app.office, &visit.shell);
    if !ActPage::is_sure(&fields, &values) {
        let before = office.balance_of(visit.id).await?;
        let effect = match adjusted(before, amount, office.policy()) {
            Ok(effect) => effect,
            Err(refusal) => return page.refused(refusal.into())?.answer(),
        };
        let after = before.checked_add(effect.moved).unwrap_or(before);
        let mut effects = vec![balance_effect(shell, before, after)];
        if effect.owed > Money::ZERO {
            effects.push(shell.t1("orders-correct-owes", "sum", shell.money(&effect.owed)));
        }
        let button = shell.t1("orders-correct-button", "sum", shell.money(&amount));
        return page.asking_again(effects, values, button).answer();
    }
    let key = visit.key(&fields, "/operator/users/{id}/correction")?;
    let correction = NewAdjustment { user_id: visit.id, amount, reason, reference };
    let corrected = office.adjust(visit.caller, correction, key).await;
    page.ended(corrected, &path_of(visit.id))
}
