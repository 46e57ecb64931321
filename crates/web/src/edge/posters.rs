//! The posters of concerts, for pages and programs alike.

use crate::edge::{
    extract::PathKey as _,
    kept::{self, Form, Fresh},
    problem::{HttpResult, Problem, codes},
    state::SharedState,
};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use frontrow_domain::{id::ConcertId, sale::PosterTag};
use frontrow_service::sale::FoundPoster;

/// The route of the posters.
pub(crate) fn routes() -> Router<SharedState> {
    Router::new().route("/posters/{concert_id}/{file}", get(poster))
}

/// Where the poster of a concert is. Another picture has another path.
#[must_use]
pub fn path(concert_id: ConcertId, tag: PosterTag) -> String {
    format!("/posters/{concert_id}/{tag}.jpg")
}

/// A poster, from memory after the first time. The path of one that was replaced leads to the new one.
async fn poster(
    State(app): State<SharedState>,
    Path((concert_id, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    let concert_id = ConcertId::from_text(&concert_id).map_err(|_| not_found())?;
    let tag = file.strip_suffix(".jpg").and_then(|tag| tag.parse().ok()).ok_or_else(not_found)?;
    let jpeg = match app.office.poster(concert_id, tag).await?.ok_or_else(not_found)? {
        FoundPoster::Jpeg(jpeg) => jpeg,
        FoundPoster::Moved(tag) => return Ok(Redirect::temporary(&path(concert_id, tag)).into_response()),
    };
    let etag = format!("\"{tag}\"");
    let mut response = if kept::has(&headers, &etag) {
        kept::unchanged(Fresh::ForGood, &etag)
    } else {
        kept::answer("image/jpeg", Fresh::ForGood, &etag, Form::Plain(Bytes::from_owner(jpeg)))
    };
    // A picture that is opened by itself may load nothing.
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
