//! What those who run the server ask: is it alive, is it ready, how is it doing.

use crate::{http::Shared, store::Sharing, telemetry::METRICS_MEDIA_TYPE};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use frontrow_domain::time::Span;

/// 200 while the process serves at all.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// 200 while the store can be written, is sound and agrees about the time, 503 with the reason while not. Redis away is no
/// reason: buyers go on. Nor is a machine whose clock is wrong, against which time is held. Both are said all the same,
/// each with a code and in words that are for everybody: errors as they came are in the log.
pub(super) async fn ready(State(app): State<Shared>) -> Response {
    let office = &app.office;
    if let Err(reason) = office.check_ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason} ({})\n", reason.code())).into_response();
    }
    let mut said = "ready".to_owned();
    for (place, caution) in office.cautions().into_iter().enumerate() {
        let joint = if place == 0 { ", but" } else { "; and" };
        said = format!("{said}{joint} {caution} ({})", caution.code());
    }
    said.push('\n');
    said.into_response()
}

/// The metrics, as Prometheus reads them.
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let office = &app.office;
    office.count_rooms();
    office.metrics.corrupt_reads(office.store.corrupt_reads());
    if office.store.sharing() == Sharing::Alone {
        let ahead = office.clock.held().map_or(Span::ZERO, |held| held.ahead);
        office.metrics.clock_skew("system", ahead);
    }
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
