//! A place in a line, from joining to the claimed turn.
//!
//! The waiting page is made from memory, and opening it is a sign of life, as a poll is: so it stays awake without a
//! script, by reloading itself. What needs an account, claiming and leaving, is asked of the account.

mod draw;
mod page;
mod words;

use crate::{
    edge::{
        auth::SignedIn,
        extract::{PathId, PathKey as _, PathText},
        form::FormFields,
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{
        forms::{KEY_FIELD, key_of},
        paths,
        shell::{Shell, html},
    },
};
use axum::{
    Router,
    extract::{FromRequestParts as _, RawQuery, Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use frontrow_domain::{
    id::{ConcertId, RoomId, UserId},
    line::TokenStatus,
    refusal::Refusal,
};
use frontrow_service::{
    line::{LineStatus, VerifiedToken},
    office::ServiceError,
    sale::ConcertOnSale,
};
use page::{FrontPage, LeavePage, RenewedPage, WaitingPage};

/// The routes of the line.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/line", get(front).post(join_front))
        .route("/concerts/{concert_id}/line", get(own).post(join))
        .route("/line/{token}", get(show))
        .route("/line/{token}/claim", post(claim))
        .route("/line/{token}/leave", get(ask_to_leave).post(leave))
        .merge(draw::routes())
}

/// What the address of a waiting page carries beside the token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bearing {
    /// The concert of a place in the house room, whose token names none.
    concert: Option<ConcertId>,
    /// What happened to a claim a moment ago.
    claim: LastClaim,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LastClaim {
    #[default]
    None,
    /// The room was full.
    Full,
}

impl Bearing {
    /// A link may be old or altered: what is not understood is left out.
    fn of_query(query: Option<&str>) -> Self {
        let mut bearing = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "concert" => bearing.concert = ConcertId::from_text(&value).ok(),
                "claim" if value == "full" => bearing.claim = LastClaim::Full,
                _ => {}
            }
        }
        bearing
    }

    fn of(concert: ConcertId, room: RoomId) -> Self {
        Self { concert: (room == RoomId::HOUSE).then_some(concert), ..Self::default() }
    }

    /// As a query with its question mark; empty if it says nothing.
    fn query(self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(concert) = self.concert {
            query.append_pair("concert", &concert.to_string());
        }
        if self.claim == LastClaim::Full {
            query.append_pair("claim", "full");
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

/// The address of a waiting page.
pub(super) fn path_of(token: &str, concert: ConcertId, room: RoomId) -> String {
    page_path(token, Bearing::of(concert, room))
}

/// The address of the waiting page of a place whose concert may not be known.
pub(super) fn path_of_place(token: &str) -> String {
    page_path(token, Bearing::default())
}

fn page_path(token: &str, bearing: Bearing) -> String {
    format!("/line/{token}{}", bearing.query())
}

/// What a turn opens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TurnGoal {
    /// The hall of a concert.
    Hall(ConcertId),
    /// Another shop, at this address.
    OtherShop(String),
    /// Any concert of the house room.
    Season,
}

impl TurnGoal {
    /// A place without a concert leads to the other shop, if there is one.
    fn of(app: &SharedState, token: &str, concert: Option<ConcertId>) -> Self {
        match (concert, app.pages.turn_url()) {
            (Some(concert), _) => Self::Hall(concert),
            (None, Some(turn_url)) => Self::OtherShop(turn_url.with_token(token)),
            (None, None) => Self::Season,
        }
    }

    /// Its address.
    fn address(&self) -> String {
        match self {
            Self::Hall(concert) => paths::seats(*concert),
            Self::OtherShop(address) => address.clone(),
            Self::Season => "/".to_owned(),
        }
    }

    /// What the button to it says.
    const fn label_id(&self) -> &'static str {
        match self {
            Self::Hall(_) => "line-claim",
            Self::OtherShop(_) => "line-enter",
            Self::Season => "to-season",
        }
    }

    /// What the button that claims the turn says: every turn but that of another shop is for seats.
    const fn claim_id(&self) -> &'static str {
        match self {
            Self::OtherShop(_) => "line-enter",
            Self::Hall(_) | Self::Season => "line-claim",
        }
    }

    /// What the clock of a claimed turn counts.
    const fn left_id(&self) -> &'static str {
        match self {
            Self::OtherShop(_) => "line-enter-left",
            Self::Hall(_) | Self::Season => "line-active-left",
        }
    }

    /// What that means.
    const fn active_text_id(&self) -> &'static str {
        match self {
            Self::OtherShop(_) => "line-enter-text",
            Self::Hall(_) | Self::Season => "line-active-text",
        }
    }

    /// Where its line is joined again.
    fn join_path(&self) -> Option<String> {
        match self {
            Self::Hall(concert) => Some(format!("/concerts/{concert}/line")),
            Self::OtherShop(_) => Some("/line".to_owned()),
            Self::Season => None,
        }
    }
}

/// The line in front of another shop; there is none without its address.
async fn front(State(app): State<SharedState>, shell: Shell) -> HttpResult<Response> {
    let page = FrontPage::new(shell);
    match app.pages.turn_url() {
        Some(_) => html(&page.shell, StatusCode::OK, &page),
        None => Err(Problem::new(&codes::NOT_FOUND)),
    }
}

/// Joins the line in front of another shop, or goes back to the place in it.
async fn join_front(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    fields: FormFields,
) -> HttpResult<Redirect> {
    if app.pages.turn_url().is_none() {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    let key = key_of(&fields)?.bind(caller, &Method::POST, "/line", &[], &())?;
    let (place, _) = app.office.issue_token(caller, None, key).await?.value;
    Ok(Redirect::to(&path_of_place(&place.signed)))
}

/// Joins the line of a concert, or goes back to the place in it.
async fn join(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(concert): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Redirect> {
    // A page that is the same for all visitors has no key in its form. Joining twice is joining.
    let key = match fields.all(KEY_FIELD).next() {
        Some(_) => key_of(&fields)?.bind(caller, &Method::POST, "/concerts/{id}/line", &[&concert], &())?,
        None => None,
    };
    let (place, _) = app.office.issue_token(caller, Some(concert), key).await?.value;
    if place.token.status() == TokenStatus::Active {
        return Ok(Redirect::to(&TurnGoal::Hall(concert).address()));
    }
    Ok(Redirect::to(&path_of(&place.signed, concert, place.token.id.room_id)))
}

/// The visitor's own place in the line of a concert; without one, the concert.
async fn own(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
    PathId(concert): PathId<ConcertId>,
) -> HttpResult<Redirect> {
    let room = app.office.concert(concert).await?.room_id;
    to_own_place(&app, user_id, room, Bearing::of(concert, room)).await
}

/// To the visitor's own place in the line of a room. Without one, to the concert, or to what else is the visitor's own.
async fn to_own_place(app: &SharedState, user: UserId, room: RoomId, bearing: Bearing) -> HttpResult<Redirect> {
    let places = app.office.live_tokens(user).await?;
    let place = places.into_iter().find(|place| place.token.id.room_id == room);
    Ok(match (place, room.concert().or(bearing.concert)) {
        (Some(place), _) => Redirect::to(&page_path(&place.signed, bearing)),
        (None, Some(concert)) => Redirect::to(&paths::concert(concert)),
        (None, None) => Redirect::to("/mine"),
    })
}

/// Leads from the address of a place to the same place at its new address, if its line was renewed: that takes its
/// account. Any other problem stays.
async fn after_renewal(
    app: &SharedState,
    shell: Shell,
    token: &str,
    request: Request,
    problem: Problem,
) -> HttpResult<Response> {
    let Some(room) = app.office.renewed_room(token) else { return Err(problem) };
    let (mut parts, _) = request.into_parts();
    match SignedIn::from_request_parts(&mut parts, app).await {
        Ok(SignedIn { user_id, .. }) => {
            let bearing = Bearing::of_query(parts.uri.query());
            Ok(to_own_place(app, user_id, room, bearing).await?.into_response())
        }
        Err(problem) if problem.code() == codes::UNAUTHORIZED.code => {
            let page = RenewedPage { shell };
            html(&page.shell, StatusCode::OK, &page)
        }
        Err(problem) => Err(problem),
    }
}

/// A place that a visitor looks at.
struct Visit {
    token: VerifiedToken,
    line: LineStatus,
    concert: Option<ConcertOnSale>,
    /// The concert that the place is for, also while it cannot be read.
    concert_id: Option<ConcertId>,
    bearing: Bearing,
}

impl Visit {
    /// Reads the place as a poll does, which counts as one.
    async fn at(app: &SharedState, token: &str, query: Option<&str>) -> HttpResult<Self> {
        let token = app.office.verified(token).await?;
        app.limits.check_poll(token.id())?;
        let line = app.office.position(&token).await;
        let mut bearing = Bearing::of_query(query);
        let room_id = token.id().room_id;
        let (concert_id, concert) = match room_id.concert().or(bearing.concert) {
            // The page is about the place: it is shown without the concert if that cannot be read.
            Some(id) => match app.office.concert_at_a_glance(id).await {
                Ok(found) if found.concert.room_id == room_id => (Some(id), Some(found)),
                Ok(_) | Err(ServiceError::Refused(_)) => (room_id.concert(), None),
                Err(_) => (Some(id), None),
            },
            None => (None, None),
        };
        bearing.concert = concert_id.filter(|_| room_id == RoomId::HOUSE);
        Ok(Self { token, line, concert, concert_id, bearing })
    }
}

/// The waiting page.
async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    PathText(token): PathText,
    request: Request,
) -> HttpResult<Response> {
    let visit = match Visit::at(&app, &token, request.uri().query()).await {
        Ok(visit) => visit,
        Err(problem) => return after_renewal(&app, shell, &token, request, problem).await,
    };
    let goal = TurnGoal::of(&app, &token, visit.concert_id);
    let page = WaitingPage::new(shell, &token, visit, goal)?;
    html(&page.shell, StatusCode::OK, &page)
}

/// Claims the turn, or returns to the head of the line after a missed one.
async fn claim(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    RawQuery(query): RawQuery,
    PathText(token): PathText,
    fields: FormFields,
) -> HttpResult<Redirect> {
    let bearing = Bearing::of_query(query.as_deref());
    if app.office.renewed_room(&token).is_some() {
        // Its page leads to the new address of the place.
        return Ok(Redirect::to(&page_path(&token, bearing)));
    }
    let key = key_of(&fields)?.bind(caller, &Method::POST, "/line/{token}/claim", &[&token], &())?;
    let place = match app.office.activate_token(caller, &token, key).await {
        Ok(done) => done.value,
        // The page says why.
        Err(
            ServiceError::Refused(Refusal::TurnNotYet | Refusal::TokenEnded)
            | ServiceError::RefusedBefore(Refusal::TurnNotYet | Refusal::TokenEnded),
        ) => return Ok(Redirect::to(&page_path(&token, bearing))),
        Err(stop) => return Err(stop.into()),
    };
    Ok(match place.token.status() {
        TokenStatus::Active => {
            let concert = place.token.id.room_id.concert().or(bearing.concert);
            Redirect::to(&TurnGoal::of(&app, &token, concert).address())
        }
        TokenStatus::Offered => Redirect::to(&page_path(&token, Bearing { claim: LastClaim::Full, ..bearing })),
        _ => Redirect::to(&page_path(&token, bearing)),
    })
}

/// Asks whether to leave the line: it is final.
async fn ask_to_leave(
    State(app): State<SharedState>,
    shell: Shell,
    PathText(token): PathText,
    request: Request,
) -> HttpResult<Response> {
    let Visit { line, concert, bearing, .. } = match Visit::at(&app, &token, request.uri().query()).await {
        Ok(visit) => visit,
        Err(problem) => return after_renewal(&app, shell, &token, request, problem).await,
    };
    if line.status == TokenStatus::Ended {
        return Ok(Redirect::to(&page_path(&token, bearing)).into_response());
    }
    let page = LeavePage::new(shell, &token, &line, concert.as_ref(), bearing);
    html(&page.shell, StatusCode::OK, &page)
}

/// Leaves the line. Leaving again is leaving.
async fn leave(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    RawQuery(query): RawQuery,
    PathText(token): PathText,
    _: FormFields,
) -> HttpResult<Redirect> {
    // Of a renewed line the page leads to the new address of the place.
    if app.office.renewed_room(&token).is_none() {
        app.office.leave_queue(caller, &token).await?;
    }
    Ok(Redirect::to(&page_path(&token, Bearing::of_query(query.as_deref()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_it_was_given_and_an_altered_one_says_less() {
        let bearing = Bearing { concert: Some(ConcertId::new(7)), claim: LastClaim::Full };
        assert_eq!(bearing.query(), "?concert=7&claim=full");
        assert_eq!(Bearing::of_query(Some(&bearing.query()[1..])), bearing);
        for bad in [None, Some(""), Some("concert=0&claim=x"), Some("concert=a&from=5"), Some("&&=&%FF")] {
            assert_eq!(Bearing::of_query(bad), Bearing::default(), "{bad:?}");
        }
        assert_eq!(Bearing::default().query(), "");
    }
}
