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

/// 200 while the store can be written, is sound and agrees about the time, 503 with the reason while not. Redis away is no
/// reason: buyers go on. It is said all the same.
pub(super) async fn ready(State(app): State<Shared>) -> Response {
    let office = &app.office;
    if let Err(reason) = office.check_ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response();
    }
    match office.queue.vitals().and_then(|vitals| vitals.away) {
        None => "ready\n".into_response(),
        Some(reason) => format!("ready, without Redis: {}\n", reason.replace('\n', " ")).into_response(),
    }
}

/// The metrics, as Prometheus reads them.
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let office = &app.office;
    office.count_rooms();
    office.metrics.corrupt_reads(office.store.corrupt_reads());
    if let Some(vitals) = office.queue.vitals() {
        office.metrics.vitals(&vitals);
    }
    let headers = [(header::CONTENT_TYPE, METRICS_MEDIA_TYPE)];
    (headers, office.metrics.render()).into_response()
}

/// The `OpenAPI` document.
pub(super) async fn document(State(app): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.document.clone()).into_response()
}
