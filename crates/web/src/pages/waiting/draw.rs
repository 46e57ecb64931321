//! The page of a draw: of a concert for all, and of a place in its line.
//!
//! What is published of a draw stands on both. The proof of an entry has the id of its user, so only that user gets it.

mod page;

use super::{Bearing, Visit, after_renewal};
use crate::{
    edge::{
        auth::{ClientAddress, SignedIn},
        base_url::BaseUrl,
        extract::{PathId, PathText},
        form::FormFields,
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page},
        paths,
        shared::{HTML, SharedRequest, text_of},
        shell::{Shell, html},
    },
};
use axum::{
    Router,
    extract::{FromRequestParts as _, RawQuery, Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    id::{ConcertId, RoomId},
    refusal::Refusal,
};
use frontrow_draw::BeaconSignature;
use frontrow_service::{
    draws::{DrawProof, DrawStanding},
    office::ServiceError,
    sale::ConcertOnSale,
};
use page::{DrawPage, OwnEntry, SentSignature};

/// The name of the field of the form.
const SIGNATURE_FIELD: &str = "signature";
/// How much of what was sent comes back in the field, in characters.
const SIGNATURE_SHOWN_MAX: usize = 200;

/// The routes of draws.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/concerts/{concert_id}/draw", get(of_concert).post(hand_in_for_concert))
        .route("/line/{token}/draw", get(of_place).post(hand_in_for_place))
}

/// Where a page of a draw stands, and where it leads back to.
struct DrawAddress {
    page: String,
    back: String,
    back_id: &'static str,
}

impl DrawAddress {
    fn of_concert(id: ConcertId) -> Self {
        Self { page: paths::draw(id), back: paths::concert(id), back_id: "draw-back-concert" }
    }

    fn of_place(token: &str, query: Option<&str>) -> Self {
        let Bearing { concert, .. } = Bearing::of_query(query);
        let query = Bearing { concert, ..Bearing::default() }.query();
        let (page, back) = (format!("/line/{token}/draw{query}"), format!("/line/{token}{query}"));
        Self { page, back, back_id: "draw-back-line" }
    }
}

/// The draw of a concert's line. It is the same for all visitors of a language for a second.
async fn of_concert(
    State(app): State<SharedState>,
    shell: Shell,
    base: BaseUrl,
    ClientAddress(client): ClientAddress,
    PathId(id): PathId<ConcertId>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let shell = shell.at(paths::draw(id));
    let request = SharedRequest { app: &app, shell: &shell, base: &base, headers: &headers, client };
    let render = async {
        let found = app.office.concert_at_a_glance(id).await?;
        let standing = app.office.draw_standing(found.concert.room_id).await?;
        text_of(&DrawPage::new(
            shell.clone(),
            DrawAddress::of_concert(id),
            Some(&found),
            &standing,
            OwnEntry::NotAsked,
        )?)
    };
    request.answer(HTML, render).await
}

/// The draw of a place's line, with the entry of the place for its own user.
async fn of_place(
    State(app): State<SharedState>,
    shell: Shell,
    PathText(token): PathText,
    request: Request,
) -> HttpResult<Response> {
    let visit = match Visit::at(&app, None, &token, request.uri().query()).await {
        Ok(visit) => visit,
        Err(problem) => return after_renewal(&app, shell, &token, request, problem).await,
    };
    let (mut parts, _) = request.into_parts();
    let address = DrawAddress::of_place(&token, parts.uri.query());
    let standing = app.office.draw_standing(visit.token.id().room_id).await?;
    let own = own_entry(&app, &mut parts, &token, &visit, &standing).await?;
    let page = DrawPage::new(shell, address, visit.concert.as_ref(), &standing, own)?;
    html(page.shell(), StatusCode::OK, &page)
}

/// The entry of a place, as far as the visitor may see it.
async fn own_entry(
    app: &SharedState,
    parts: &mut Parts,
    token: &str,
    visit: &Visit,
    standing: &DrawStanding,
) -> HttpResult<OwnEntry> {
    let caller = match SignedIn::from_request_parts(parts, app).await {
        Ok(signed_in) if signed_in.user_id == visit.token.user_id() => signed_in.caller,
        Ok(_) => return Ok(OwnEntry::OfAnother),
        Err(problem) if problem.code() == codes::UNAUTHORIZED.code => return Ok(OwnEntry::OfAnother),
        Err(problem) => return Err(problem),
    };
    let position = visit.token.id().position;
    match app.office.entry_proof(caller, token).await {
        Ok(DrawProof::Proved(proof)) => Ok(OwnEntry::Drawn(proof)),
        Ok(DrawProof::NotDrawn(_)) if standing.room.draw.is_undrawn(position) => Ok(OwnEntry::Undrawn(position)),
        Ok(DrawProof::NotDrawn(_)) | Err(ServiceError::Refused(Refusal::NotFound { .. })) => Ok(OwnEntry::None),
        Err(stop) => Err(stop.into()),
    }
}

/// Hands in the signature that a form has.
async fn hand_in(app: &SharedState, signed_in: SignedIn, room: RoomId, fields: &FormFields) -> HttpResult<()> {
    let sent = fields.one(SIGNATURE_FIELD)?.trim().to_ascii_lowercase();
    let bad = |_| Problem::invalid_field(SIGNATURE_FIELD, "must have 96 hexadecimal digits");
    let signature: BeaconSignature = sent.parse().map_err(bad)?;
    app.office.hand_in_beacon(signed_in.caller, room, signature).await?;
    Ok(())
}

/// The answer to a form: the page at its own address, or the page of the form with what was wrong.
async fn answer_form(
    app: &SharedState,
    shell: Shell,
    signed_in: SignedIn,
    (address, found): (DrawAddress, Option<ConcertOnSale>),
    (room, fields): (RoomId, FormFields),
) -> HttpResult<Response> {
    let Err(problem) = hand_in(app, signed_in, room, &fields).await else {
        return Ok(Redirect::to(&address.page).into_response());
    };
    let shell = shell.at(address.page.clone());
    let is_bad = problem.code() == codes::INVALID_FIELD.code;
    let sent = SentSignature {
        text: fields.given(SIGNATURE_FIELD).chars().take(SIGNATURE_SHOWN_MAX).collect(),
        fault: is_bad.then(|| shell.t("draw-signature-bad")),
        notice: Some(FormNotice::of(&shell, problem)?),
    };
    let standing = app.office.draw_standing(room).await?;
    let page = DrawPage::new(shell, address, found.as_ref(), &standing, OwnEntry::NotAsked)?.after(sent);
    form_page(page.shell(), page.notice(), &page)
}

async fn hand_in_for_concert(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    PathId(id): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let found = app.office.concert_at_a_glance(id).await?;
    let room = found.concert.room_id;
    answer_form(&app, shell, signed_in, (DrawAddress::of_concert(id), Some(found)), (room, fields)).await
}

async fn hand_in_for_place(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    RawQuery(query): RawQuery,
    PathText(token): PathText,
    fields: FormFields,
) -> HttpResult<Response> {
    let address = DrawAddress::of_place(&token, query.as_deref());
    if app.office.renewed_room(&token).is_some() {
        // Its page leads to the new address of the place.
        return Ok(Redirect::to(&address.back).into_response());
    }
    let visit = Visit::at(&app, None, &token, query.as_deref()).await?;
    let room = visit.token.id().room_id;
    answer_form(&app, shell, signed_in, (address, visit.concert), (room, fields)).await
}
