//! Operators' calls for the posters of concerts.

use crate::api::shapes::PosterShape;
use crate::edge::{
    auth::OperatorOnly,
    extract::{PathId, PictureBody},
    precondition::IfMatch,
    problem::{HttpResult, Problem, codes},
    state::SharedState,
};
use axum::{Json, extract::State, http::StatusCode};
use frontrow_domain::id::ConcertId;
use frontrow_service::pictures::PictureError;

/// What is wrong with a picture.
fn problem(error: PictureError) -> Problem {
    match error {
        PictureError::Overloaded => Problem::overloaded().cause("several pictures are being decoded"),
        PictureError::Unreadable | PictureError::TooManyPixels | PictureError::TooComplex => {
            Problem::new(&codes::INVALID_FIELD).detail(error.to_string())
        }
    }
}

/// Gives a concert a poster.
///
/// In place of the one that it has. The body is the picture, of at most 5 MiB and 16,777,216 pixels. It is turned as its
/// metadata says, scaled to at most 1,200 pixels, put on white where it is transparent, and saved as JPEG without
/// metadata. The same picture again changes nothing. With `If-Match`, another picture is taken only for the version of the
/// concert that it names.
#[utoipa::path(put, path = "/api/v1/operator/concerts/{concert_id}/poster", tag = "operator", operation_id = "set_poster",
    params(("concert_id" = ConcertId, Path, description = "The concert"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the concert's version; `*` or none for any")),
    request_body(description = "The picture", content(
        (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"))),
    responses((status = 200, description = "The poster", body = PosterShape)))]
pub(in crate::api) async fn set_poster(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    basis: IfMatch,
    picture: PictureBody,
) -> HttpResult<Json<PosterShape>> {
    app.office.concert(concert_id).await?;
    let poster = app.office.draw_poster(concert_id, picture.format, picture.bytes()).await.map_err(problem)?;
    let shape = PosterShape::of(concert_id, poster.mark);
    app.office.set_poster(caller, poster, basis.0).await?;
    Ok(Json(shape))
}

/// Removes the poster of a concert.
///
/// A concert without one stays as it is. With `If-Match`, it is removed only from the version of the concert that it names.
#[utoipa::path(delete, path = "/api/v1/operator/concerts/{concert_id}/poster", tag = "operator",
    operation_id = "remove_poster", params(("concert_id" = ConcertId, Path, description = "The concert"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the concert's version; `*` or none for any")),
    responses((status = 204, description = "It has none")))]
pub(in crate::api) async fn remove_poster(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    basis: IfMatch,
) -> HttpResult<StatusCode> {
    app.office.remove_poster(caller, concert_id, basis.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
