//! The way from the line to the site behind its room, with a pass, and back when a pass is to be renewed.

use crate::{
    edge::{
        auth::SignedIn,
        base_url::BaseUrl,
        extract::{PathId, PathKey},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::paths,
};
use axum::{
    extract::{FromRequestParts as _, Request, State},
    response::Redirect,
};
use frontrow_domain::id::RoomId;
use frontrow_service::line::PassPlace;

/// The field of the query that says which page of the site the visitor comes from.
const RETURN: &str = "return";

/// Leads a visitor who is inside to the site with a fresh pass: to the page that the visitor came from, or where a turn
/// leads. All others it leads to the line. An edge sends everybody here whose pass is missing or over.
pub(super) async fn enter(
    State(app): State<SharedState>,
    PathId(room): PathId<RoomId>,
    request: Request,
) -> HttpResult<Redirect> {
    let site = app.office.site_of(room).await?;
    let house = app.pages.turn_url().filter(|_| room == RoomId::HOUSE);
    let Some(turn_url) = site.as_ref().map(|site| &site.turn_url).or(house) else {
        return Err(Problem::new(&codes::NOT_FOUND));
    };
    let (mut parts, _) = request.into_parts();
    let base = BaseUrl::from_request_parts(&mut parts, &app).await?;
    let visitor = match SignedIn::from_request_parts(&mut parts, &app).await {
        Ok(visitor) => visitor,
        // The line's page asks for an account when it is joined.
        Err(problem) if problem.code() == codes::UNAUTHORIZED.code => return Ok(Redirect::to(&paths::line(room))),
        Err(problem) => return Err(problem),
    };
    let pass = match app.office.pass_in(visitor.caller, visitor.user_id, room, base.as_str()).await? {
        PassPlace::Inside(pass) => pass,
        PassPlace::InLine(token) => return Ok(Redirect::to(&super::path_of_place(&token))),
        PassPlace::None => return Ok(Redirect::to(&paths::line(room))),
    };
    let from = return_path(parts.uri.query());
    let back = from.and_then(|path| turn_url.back_to(&path, &pass.signed));
    let address = back.or_else(|| turn_url.with_pass(&pass.signed));
    Ok(Redirect::to(&address.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?))
}

fn return_path(query: Option<&str>) -> Option<String> {
    let mut fields = form_urlencoded::parse(query?.as_bytes());
    fields.find(|(name, _)| name == RETURN).map(|(_, path)| path.into_owned())
}

/// Its address.
pub(super) fn path(room: RoomId) -> String {
    format!("{}/pass", paths::room(room))
}

/// The room that the text in a path names, where else a token stands.
pub(super) fn room_named(text: &str) -> Option<RoomId> {
    RoomId::from_text(text).ok()
}
