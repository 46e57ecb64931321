//! What those who run the server ask: is it alive, is it ready, how is it doing.

use crate::{http::Shared, telemetry::METRICS_MEDIA_TYPE};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// 200 while the process serves at all.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// 200 while the store can be written, 503 while it cannot.
pub(super) async fn ready(State(app): State<Shared>) -> Response {
    if app.office.engine.is_healthy() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be written\n").into_response()
    }
}

/// The metrics, as Prometheus reads them.
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    for room in app.office.queue.rooms() {
        if let Some(view) = app.office.queue.view(room) {
            app.office.metrics.room(room, view.total_waiting(), view.offered(), view.active());
        }
    }
    let headers = [(header::CONTENT_TYPE, METRICS_MEDIA_TYPE)];
    (headers, app.office.metrics.render()).into_response()
}

/// The `OpenAPI` document.
pub(super) async fn document(State(app): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.document.clone()).into_response()
}
