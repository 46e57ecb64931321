//! `/docs`: the API's reference with a form to try it, made from `/openapi.json`; it loads nothing from other origins.

use crate::edge::{
    extract::PathText,
    kept::{Document, Fresh},
    problem::{HttpResult, Problem, codes},
};
use axum::{
    Json, Router,
    http::{HeaderMap, HeaderValue, header},
    response::{Redirect, Response},
    routing::get,
};
use serde_json::{Value, json};

/// The page may load its own script and style, and call the API beside it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the docs, and of the explanations that problems point to.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = Document::new("text/html; charset=utf-8", include_str!("docs/docs.html"));
    let script = Document::new("text/javascript; charset=utf-8", include_str!("docs/docs.js"));
    let style = Document::new("text/css; charset=utf-8", include_str!("docs/docs.css"));
    let asset = |document: Document| {
        get(move |headers: HeaderMap| async move { safe(document.answer(&headers, Fresh::Never)) })
    };
    Router::new()
        .route("/docs", asset(page))
        .route("/docs/", get(|| async { Redirect::temporary("/docs") }))
        .route("/docs/docs.js", asset(script))
        .route("/docs/docs.css", asset(style))
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

fn safe(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
