//! A place in a line, from joining to the claimed turn.
//!
//! The waiting page is made from memory, and opening it is a sign of life, as a poll is: so it stays awake without a
//! script, by reloading itself. What needs an account, claiming and leaving, is asked of the account.

mod draw;
mod enter;
mod page;
mod report;
mod words;

use crate::{
    edge::{
        auth::{ClientAddress, OptionalCaller, SignedIn},
        extract::{PathId, PathKey as _, PathText},
        form::FormFields,
        join::{self, JoinAsk, JoinProof},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{
        forms::{KEY_FIELD, key_of},
        paths,
        problem_page::content_security_policy,
        shell::{Shell, html},
    },
};
use axum::{
    Router,
    extract::{FromRequestParts as _, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use frontrow_domain::{
    id::{ConcertId, RoomId, UserId},
    line::{RoomSite, TokenStatus},
    refusal::Refusal,
    user::Caller,
};
use frontrow_service::{
    line::{LineStatus, LineWanted, VerifiedToken},
    office::ServiceError,
    sale::ConcertOnSale,
};
use page::{BlockedPage, FrontPage, FrontState, LeavePage, RenewedPage, WaitingPage, WorkPage};
use std::net::IpAddr;

/// The routes of the line.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/line", get(front).post(join_front))
        .route("/concerts/{concert_id}/line", get(own).post(join))
        .route("/line/{token}", get(show).post(join_site))
        // The place of the token is that of a room.
        .route("/line/{token}/pass", get(enter::enter))
        .route("/line/{token}/claim", post(claim))
        .route("/line/{token}/leave", get(ask_to_leave).post(leave))
        .merge(draw::routes())
        .merge(report::routes())
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
        Self { concert: (room.general() == RoomId::HOUSE).then_some(concert), ..Self::default() }
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
    /// The site behind this room, at this address.
    OtherShop { room: RoomId, address: String },
    /// Any concert of the house room.
    Season,
}

impl TurnGoal {
    /// A place in a site's room leads to the site, one in the house room without a concert to the other shop, if there is
    /// one.
    fn of(app: &SharedState, token: &str, room: RoomId, concert: Option<ConcertId>, site: Option<&RoomSite>) -> Self {
        // A lane leads to where its line does.
        let room = room.general();
        let turn_url = site.map(|site| &site.turn_url).or_else(|| app.pages.turn_url());
        match (concert.filter(|_| site.is_none()), turn_url) {
            (Some(concert), _) => Self::Hall(concert),
            (None, Some(turn_url)) => {
                let address = turn_url.with_token(token).unwrap_or_else(|| enter::path(room));
                Self::OtherShop { room, address }
            }
            (None, None) => Self::Season,
        }
    }

    /// Its address.
    fn address(&self) -> String {
        match self {
            Self::Hall(concert) => paths::seats(*concert),
            Self::OtherShop { address, .. } => address.clone(),
            Self::Season => "/".to_owned(),
        }
    }

    /// What the button to it says.
    const fn label_id(&self) -> &'static str {
        match self {
            Self::Hall(_) => "line-claim",
            Self::OtherShop { .. } => "line-enter",
            Self::Season => "to-season",
        }
    }

    /// What the button that claims the turn says: every turn but that of another shop is for seats.
    const fn claim_id(&self) -> &'static str {
        match self {
            Self::OtherShop { .. } => "line-enter",
            Self::Hall(_) | Self::Season => "line-claim",
        }
    }

    /// What the clock of a claimed turn counts.
    const fn left_id(&self) -> &'static str {
        match self {
            Self::OtherShop { .. } => "line-enter-left",
            Self::Hall(_) | Self::Season => "line-active-left",
        }
    }

    /// What that means.
    const fn active_text_id(&self) -> &'static str {
        match self {
            Self::OtherShop { .. } => "line-enter-text",
            Self::Hall(_) | Self::Season => "line-active-text",
        }
    }

    /// Where its line is joined again.
    fn join_path(&self) -> Option<String> {
        match self {
            Self::Hall(concert) => Some(format!("/concerts/{concert}/line")),
            Self::OtherShop { room, .. } => Some(paths::line(*room)),
            Self::Season => None,
        }
    }
}

/// The line in front of another shop; there is none without its address.
async fn front(State(app): State<SharedState>, shell: Shell) -> HttpResult<Response> {
    front_of(&app, shell, RoomId::HOUSE).await
}

/// The page on which the line in front of another site is joined.
async fn front_of(app: &SharedState, shell: Shell, room: RoomId) -> HttpResult<Response> {
    let page = if room == RoomId::HOUSE && app.pages.turn_url().is_some() {
        let shop = shell.brand();
        FrontPage::new(shell, shop, room, FrontState::Open)
    } else {
        if !room.is_of_site() || room.is_lane() {
            return Err(Problem::new(&codes::NOT_FOUND));
        }
        let row = app.office.room(room).await?.room;
        let is_closed = row.is_closed_for_good(app.office.now());
        let site = row.site.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        let state = if is_closed { FrontState::Closed } else { FrontState::Open };
        FrontPage::new(shell, site.name, room, state)
    };
    html(&page.shell, StatusCode::OK, &page)
}

/// Joins the line in front of another shop, or goes back to the place in it.
async fn join_front(
    State(app): State<SharedState>,
    visitor: SignedIn,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    shell: Shell,
    fields: FormFields,
) -> HttpResult<Response> {
    if app.pages.turn_url().is_none() {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    join_room(&app, shell, (visitor, client, &headers), RoomId::HOUSE, &fields).await
}

/// The same for a room of its own.
async fn join_site(
    State(app): State<SharedState>,
    visitor: SignedIn,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    shell: Shell,
    PathId(room): PathId<RoomId>,
    fields: FormFields,
) -> HttpResult<Response> {
    if !room.is_of_site() || room.is_lane() {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    match join_room(&app, shell, (visitor, client, &headers), room, &fields).await {
        // Its page says so.
        Err(problem) if problem.code() == codes::ROOM_CLOSED.code => {
            Ok(Redirect::to(&paths::line(room)).into_response())
        }
        joined => joined,
    }
}

async fn join_room(
    app: &SharedState,
    shell: Shell,
    (SignedIn { caller, user_id }, client, headers): (SignedIn, IpAddr, &HeaderMap),
    room: RoomId,
    fields: &FormFields,
) -> HttpResult<Response> {
    let key = key_of(fields)?.bind(caller, &Method::POST, "/line", &[&room], &())?;
    let (proof, user_agent) = (proof_in(fields)?, join::user_agent(headers));
    let line = LineWanted::Room(room);
    let ask = JoinAsk { caller, user_id, client, line, proof, user_agent, checker_proof: None };
    match join::join(app, &ask, key).await {
        Ok(joined) => Ok(Redirect::to(&path_of_place(&joined.value.0.signed)).into_response()),
        Err(refused) => stopped(app, shell, &ask, fields, refused).await,
    }
}

/// Joins the line of a concert, or goes back to the place in it.
async fn join(
    State(app): State<SharedState>,
    SignedIn { caller, user_id }: SignedIn,
    ClientAddress(client): ClientAddress,
    PathId(concert): PathId<ConcertId>,
    headers: HeaderMap,
    shell: Shell,
    fields: FormFields,
) -> HttpResult<Response> {
    // A page that is the same for all visitors has no key in its form. Joining twice is joining.
    let key = match fields.all(KEY_FIELD).next() {
        Some(_) => key_of(&fields)?.bind(caller, &Method::POST, "/concerts/{id}/line", &[&concert], &())?,
        None => None,
    };
    let (proof, user_agent) = (proof_in(&fields)?, join::user_agent(&headers));
    let ask = JoinAsk {
        caller,
        user_id,
        client,
        line: LineWanted::Of(Some(concert)),
        proof,
        user_agent,
        checker_proof: None,
    };
    let place = match join::join(&app, &ask, key).await {
        Ok(joined) => joined.value.0,
        Err(refused) => return stopped(&app, shell, &ask, &fields, refused).await,
    };
    if place.token.status() == TokenStatus::Active {
        return Ok(Redirect::to(&TurnGoal::Hall(concert).address()).into_response());
    }
    Ok(Redirect::to(&path_of(&place.signed, concert, place.token.id.room_id)).into_response())
}

/// The field with the answer to a challenge, and that with the wait that stands for it.
const WORK_FIELD: &str = "altcha";
const WAIT_FIELD: &str = "wait";

/// What a form brings for a new place. The field of the answer is empty where no script has filled it.
fn proof_in(fields: &FormFields) -> HttpResult<JoinProof> {
    let given = |name| Ok::<_, Problem>(fields.one_or_none(name)?.filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(match (given(WORK_FIELD)?, given(WAIT_FIELD)?) {
        (Some(work), _) => JoinProof::Work(work),
        (None, Some(wait)) => JoinProof::Wait(wait),
        (None, None) => JoinProof::Nothing,
    })
}

/// The answer to a join that was refused: the page that does the work which a new place asks for, or for a block the page
/// that says until when. Any other problem stays.
async fn stopped(
    app: &SharedState,
    shell: Shell,
    ask: &JoinAsk,
    fields: &FormFields,
    refused: Problem,
) -> HttpResult<Response> {
    if let Some(Refusal::LineBlocked { until }) = refused.refusal() {
        let back = match ask.line {
            LineWanted::Of(concert) => concert.map_or_else(|| "/line".to_owned(), paths::concert),
            LineWanted::Room(room) => paths::line(room),
        };
        let page = BlockedPage::new(shell, *until, back);
        return html(&page.shell, StatusCode::FORBIDDEN, &page);
    }
    if ![codes::JOIN_WORK_NEEDED.code, codes::JOIN_WORK_INVALID.code].contains(&refused.code()) {
        return Err(refused);
    }
    let (room, challenge) = join::challenge(app, ask.user_id, ask.line).await?;
    let wait = app.office.wait_ticket(fields.one_or_none(WAIT_FIELD)?, ask.user_id, room);
    let action = match ask.line {
        LineWanted::Of(concert) => concert.map_or_else(|| "/line".to_owned(), |id| format!("/concerts/{id}/line")),
        LineWanted::Room(room) => paths::line(room),
    };
    let key = fields.all(KEY_FIELD).next().map(str::to_owned);
    let page = WorkPage::new(shell, action, key, &challenge, wait)?;
    html(&page.shell, StatusCode::OK, &page)
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
    let place = places.into_iter().find(|place| place.token.id.room_id.general() == room.general());
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
    /// The site behind the room, if it stands in front of one.
    site: Option<RoomSite>,
    /// The concert that the place is for, also while it cannot be read.
    concert_id: Option<ConcertId>,
    bearing: Bearing,
}

impl Visit {
    /// Reads the place as a poll does, which counts as one.
    async fn at(app: &SharedState, caller: Option<Caller>, token: &str, query: Option<&str>) -> HttpResult<Self> {
        let token = app.office.verified(token).await?;
        app.limits.check_poll(token.id())?;
        let line = app.office.position(&token, caller).await;
        let mut bearing = Bearing::of_query(query);
        let room_id = token.id().room_id;
        let (concert_id, concert) = match room_id.concert().or(bearing.concert) {
            // The page is about the place: it is shown without the concert if that cannot be read.
            Some(id) => match app.office.concert_at_a_glance(id).await {
                Ok(found) if found.concert.room_id == room_id.general() => (Some(id), Some(found)),
                Ok(_) | Err(ServiceError::Refused(_)) => (room_id.concert(), None),
                Err(_) => (Some(id), None),
            },
            None => (None, None),
        };
        bearing.concert = concert_id.filter(|_| room_id.general() == RoomId::HOUSE);
        let site = app.office.site_of(room_id).await?;
        Ok(Self { token, line, concert, site, concert_id, bearing })
    }
}

/// The waiting page.
async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    OptionalCaller(caller): OptionalCaller,
    PathText(token): PathText,
    request: Request,
) -> HttpResult<Response> {
    if let Some(room) = enter::room_named(&token) {
        return front_of(&app, shell, room).await;
    }
    let visit = match Visit::at(&app, caller, &token, request.uri().query()).await {
        Ok(visit) => visit,
        Err(problem) => return after_renewal(&app, shell, &token, request, problem).await,
    };
    let goal = TurnGoal::of(&app, &token, visit.token.id().room_id, visit.concert_id, visit.site.as_ref());
    let policy = visit.site.as_ref().map(|site| content_security_policy(Some(&site.turn_url)));
    let page = WaitingPage::new(shell, &token, visit, goal)?;
    let mut response = html(&page.shell, StatusCode::OK, &page)?;
    // Claiming the turn leads to the site.
    if let Some(policy) = policy {
        let policy = HeaderValue::try_from(policy).map_err(Problem::internal)?;
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
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
            let room = place.token.id.room_id;
            let site = app.office.site_of(room).await?;
            let concert = room.concert().or(bearing.concert);
            Redirect::to(&TurnGoal::of(&app, &token, room, concert, site.as_ref()).address())
        }
        TokenStatus::Offered => Redirect::to(&page_path(&token, Bearing { claim: LastClaim::Full, ..bearing })),
        _ => Redirect::to(&page_path(&token, bearing)),
    })
}

/// Asks whether to leave the line: it is final.
async fn ask_to_leave(
    State(app): State<SharedState>,
    shell: Shell,
    OptionalCaller(caller): OptionalCaller,
    PathText(token): PathText,
    request: Request,
) -> HttpResult<Response> {
    let Visit { line, concert, site, bearing, .. } = match Visit::at(&app, caller, &token, request.uri().query()).await
    {
        Ok(visit) => visit,
        Err(problem) => return after_renewal(&app, shell, &token, request, problem).await,
    };
    if line.status == TokenStatus::Ended {
        return Ok(Redirect::to(&page_path(&token, bearing)).into_response());
    }
    let page = LeavePage::new(shell, &token, &line, (concert.as_ref(), site.as_ref()), bearing);
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
