//! `/docs`: the API's reference and a place to try it, from `/openapi.json`, with nothing fetched from elsewhere.

use crate::http::{
    extract::PathText,
    problem::{HttpResult, Problem, codes},
};
use axum::{
    Json, Router,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

/// What the page may load: its own script and style, and the API that it stands beside.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the docs, and of the explanations that problems point to.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/docs", get(|| async { safe(Html(include_str!("docs/docs.html"))) }))
        .route("/docs/docs.js", get(|| async { asset("text/javascript; charset=utf-8", include_str!("docs/docs.js")) }))
        .route("/docs/docs.css", get(|| async { asset("text/css; charset=utf-8", include_str!("docs/docs.css")) }))
        .route(
            "/problems",
            get(|| async { Json(json!({ "items": codes::ALL.iter().map(|d| explain(d)).collect::<Vec<_>>() })) }),
        )
        .route("/problems/{code}", get(problem))
}

async fn problem(PathText(code): PathText) -> HttpResult<Json<Value>> {
    codes::find(&code).map(|definition| Json(explain(definition))).ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

fn explain(definition: &codes::Definition) -> Value {
    json!({
        "code": definition.code,
        "status": definition.status,
        "title": definition.title,
        "explanation": definition.explanation,
    })
}

fn asset(media_type: &'static str, text: &'static str) -> Response {
    safe(([(header::CONTENT_TYPE, media_type)], text))
}

fn safe(content: impl IntoResponse) -> Response {
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
