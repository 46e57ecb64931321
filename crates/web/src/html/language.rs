//! The visitor's choice of a language.

use crate::{
    edge::{
        extract::PathText,
        language::{LANGUAGE_COOKIE, Language},
        problem::{HttpResult, Problem, codes},
    },
    html::forms::next_in,
};
use axum::{
    extract::RawQuery,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
};

/// Stores the choice and goes back to the page.
pub(crate) async fn choose(PathText(tag): PathText, RawQuery(query): RawQuery) -> HttpResult<Response> {
    let language = Language::ALL.into_iter().find(|language| language.tag() == tag);
    let language = language.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    let cookie = format!("{LANGUAGE_COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax", language.tag());
    let mut response = Redirect::to(&next_in(query.as_deref(), "/")).into_response();
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(Problem::internal)?);
    Ok(response)
}
