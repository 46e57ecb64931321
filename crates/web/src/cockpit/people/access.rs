//! Who gets into a user's account: the lock, and the link for a new password.

use super::{form, path_of, user_of};
use crate::{
    cockpit::{
        acts::{ActPage, ActVisit},
        shell::CockpitShell,
        tables::Link,
    },
    edge::{base_url::BaseUrl, form::FormFields, problem::HttpResult, state::SharedState},
    html::{
        forms::key_of,
        shell::{HOME_ZONE, html},
    },
};
use askama::Template;
use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use frontrow_domain::{id::UserId, user::User};

/// The routes of the lock and of the link.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/users/{user_id}/lock", get(ask_to_lock).post(lock))
        .route("/operator/users/{user_id}/unlock", get(ask_to_unlock).post(unlock))
        .route("/operator/users/{user_id}/reset-link", get(ask_for_link).post(issue_link))
}

/// The user, if operators may change who gets into the account.
async fn owner_of(visit: &ActVisit<UserId>) -> HttpResult<User> {
    let user = user_of(visit).await?;
    user.check_is_for_operators()?;
    Ok(user)
}

async fn lock_form(visit: &ActVisit<UserId>) -> HttpResult<ActPage> {
    let effects = vec![visit.shell.t("orders-lock-ends"), visit.shell.t("orders-lock-keeps")];
    let page = form(visit, owner_of(visit).await?, "orders-lock-title", "lock", "orders-lock-button");
    Ok(page.with_effects(effects).with_reason("orders-reason-log"))
}

async fn ask_to_lock(visit: ActVisit<UserId>) -> HttpResult<Response> {
    lock_form(&visit).await?.answer()
}

async fn lock(visit: ActVisit<UserId>, fields: FormFields) -> HttpResult<Response> {
    let mut page = lock_form(&visit).await?;
    let Some(reason) = page.reason(&fields) else { return page.answer() };
    let key = visit.key(&fields, "/operator/users/{id}/lock")?;
    let locked = visit.app.office.lock_user(visit.caller, visit.id, Some(reason), key).await;
    page.ended(locked, &path_of(visit.id))
}

async fn unlock_form(visit: &ActVisit<UserId>) -> HttpResult<ActPage> {
    let page = form(visit, owner_of(visit).await?, "orders-unlock-title", "unlock", "orders-unlock-button");
    Ok(page.with_effects(vec![visit.shell.t("orders-unlock-allows")]))
}

async fn ask_to_unlock(visit: ActVisit<UserId>) -> HttpResult<Response> {
    unlock_form(&visit).await?.answer()
}

async fn unlock(visit: ActVisit<UserId>, fields: FormFields) -> HttpResult<Response> {
    let page = unlock_form(&visit).await?;
    let key = visit.key(&fields, "/operator/users/{id}/unlock")?;
    let unlocked = visit.app.office.unlock_user(visit.caller, visit.id, key).await;
    page.ended(unlocked, &path_of(visit.id))
}

async fn link_form(visit: &ActVisit<UserId>) -> HttpResult<ActPage> {
    let page = form(visit, owner_of(visit).await?, "orders-link-title", "reset-link", "orders-link-button");
    Ok(page.with_effects(vec![visit.shell.t("orders-link-once"), visit.shell.t("orders-link-who")]))
}

async fn ask_for_link(visit: ActVisit<UserId>) -> HttpResult<Response> {
    link_form(&visit).await?.answer()
}

/// A link that sets a new password, shown this once.
#[derive(Template)]
#[template(path = "cockpit/reset_link.html")]
struct IssuedLinkPage {
    shell: CockpitShell,
    about: Link,
    link: String,
    until: String,
}

async fn issue_link(visit: ActVisit<UserId>, base: BaseUrl, fields: FormFields) -> HttpResult<Response> {
    key_of(&fields)?;
    let user = owner_of(&visit).await?;
    let (secret, until) = match visit.app.office.issue_reset_link(visit.caller, visit.id).await {
        Ok(issued) => issued,
        Err(stop) => return link_form(&visit).await?.refused(stop.into())?.answer(),
    };
    let page = IssuedLinkPage {
        about: Link::to(user.name, path_of(visit.id)),
        link: base.link(&format!("/reset-password#{secret}")),
        until: visit.shell.exact_moment(&until, HOME_ZONE),
        shell: visit.shell,
    };
    let mut response = html(&page.shell, StatusCode::OK, &page)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
