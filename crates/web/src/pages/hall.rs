//! The hall of a concert: a drawing and a list to choose seats from, the seats that a buyer holds, and what to do when
//! a seat was refused. Who has no turn yet looks around.

mod page;
mod refused;
mod standing;
mod tray;
mod wish;

use self::wish::Wish;
use crate::{
    edge::{
        auth::{PublicRead, SignedIn},
        extract::PathId,
        form::FormFields,
        limit::{self, Hourly},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{forms::key_of, paths, seat_list::ListPart, shell::Shell},
};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::Method,
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use frontrow_domain::{
    id::{ConcertId, ReservationId},
    refusal::Refusal,
    user::Caller,
};
use frontrow_service::office::ServiceError;

/// The routes of the hall.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/concerts/{concert_id}/seats", get(show))
        .route("/concerts/{concert_id}/holds", get(to_seats).post(hold))
        .route("/holds/{reservation_id}/release", post(release))
}

/// A page about to be made.
struct HallVisit {
    shell: Shell,
    app: SharedState,
    concert_id: ConcertId,
    buyer: Option<SignedIn>,
    part: ListPart,
}

/// The hall.
async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    buyer: Result<SignedIn, Problem>,
    _paid: PublicRead,
    PathId(concert_id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let buyer = match buyer {
        Ok(buyer) => Some(buyer),
        Err(problem) if problem.code() == codes::UNAUTHORIZED.code => None,
        Err(problem) => return Err(problem),
    };
    let part = ListPart::of_query(query.as_deref().unwrap_or_default());
    HallVisit { shell, app, concert_id, buyer, part }.page(None).await
}

/// The address of the form, opened as a page: by a reload, or by the way back from a sign-in.
async fn to_seats(PathId(concert_id): PathId<ConcertId>) -> Redirect {
    Redirect::to(&paths::seats(concert_id))
}

/// Holds the chosen seats, all or none.
async fn hold(
    State(app): State<SharedState>,
    shell: Shell,
    buyer: SignedIn,
    PathId(concert_id): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let visit = HallVisit { shell, app, concert_id, buyer: Some(buyer), part: ListPart::default() };
    let hall = visit.app.office.hall(concert_id).await?;
    let wish = match Wish::of(&fields, &hall) {
        Ok(wish) => wish,
        Err(faulty) => return visit.refuse_form(faulty, &hall).await,
    };
    let SignedIn { caller, .. } = buyer;
    let key = wish.key.bind(caller, &Method::POST, "/concerts/{id}/holds", &[&concert_id], &wish.seats)?;
    // Operators have no limit.
    if let Caller::Buyer(user) | Caller::Viewer(user) = caller {
        limit::spend(&visit.app, user, Hourly::Holds)?;
    }
    let held = match visit.app.office.verify_token(&wish.token).await {
        Ok(token) => visit.app.office.hold(caller, &token, wish.seats.clone(), key).await,
        Err(ServiceError::Refused(_)) => Err(Refusal::TokenInvalid.into()),
        Err(stop) => Err(stop),
    };
    match held {
        Ok(_) => Ok(Redirect::to(&format!("{}#tray", paths::seats(concert_id))).into_response()),
        Err(ServiceError::Refused(refusal) | ServiceError::RefusedBefore(refusal)) => {
            visit.refuse(&refusal, &hall, wish.seats).await
        }
        Err(stop) => Err(stop.into()),
    }
}

/// Gives a held seat up.
async fn release(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(reservation_id): PathId<ReservationId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let key = key_of(&fields)?.bind(caller, &Method::POST, "/holds/{id}/release", &[&reservation_id], &())?;
    let concert_id = app.office.reservation(caller, reservation_id).await?.reservation.concert_id;
    match app.office.cancel_reservation(caller, reservation_id, None, key).await {
        // If it was over already, the page without it says so.
        Ok(_) | Err(ServiceError::Refused(Refusal::HoldExpired { .. } | Refusal::ReservationNotPending)) => {
            Ok(Redirect::to(&format!("{}#tray", paths::seats(concert_id))).into_response())
        }
        Err(stop) => Err(stop.into()),
    }
}
