//! Calls for operations: liveness, readiness, metrics.

use crate::edge::{
    kept::{self, Fresh, PACKED_LEN_MIN},
    state::SharedState,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use frontrow_service::{gzip, metrics::MetricsFormat};

/// 200 as long as the process answers at all.
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// 200 as long as the store can be written, is undamaged and agrees about the time; otherwise 503 with the reason. An
/// outage of Redis or a wrong machine clock is no reason: buyers go on. Both are reported with a code all the same, in
/// words fit for the public; the errors themselves are in the log.
pub(crate) async fn ready(State(app): State<SharedState>) -> Response {
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

/// The metrics, in the requested format.
pub(crate) async fn metrics(State(app): State<SharedState>, request: HeaderMap) -> Response {
    let format = asked_for(request.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    let text = app.office.metrics(format);
    let headers = [(header::CONTENT_TYPE, format.media_type()), (header::VARY, "accept, accept-encoding")];
    if text.len() < PACKED_LEN_MIN || !kept::takes_packed(&request) {
        return (headers, text).into_response();
    }
    (headers, [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))], gzip::quickly(text.as_bytes()))
        .into_response()
}

/// The metrics format that an `Accept` header prefers; `OpenMetrics` if it has no preference.
fn asked_for(accept: Option<&str>) -> MetricsFormat {
    let (mut open_metrics, mut prometheus) = (None, None);
    for element in accept.unwrap_or_default().split(',') {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        let wanted = match name.trim() {
            "application/openmetrics-text" => &mut open_metrics,
            "text/plain" => &mut prometheus,
            _ => continue,
        };
        *wanted = Some(kept::weight(parameters).max(wanted.unwrap_or(0.0)));
    }
    match (open_metrics, prometheus) {
        (Some(open_metrics), Some(prometheus)) if prometheus > open_metrics => MetricsFormat::Prometheus,
        (None, Some(prometheus)) if prometheus > 0.0 => MetricsFormat::Prometheus,
        _ => MetricsFormat::OpenMetrics,
    }
}

/// The `OpenAPI` document.
pub(crate) async fn document(State(app): State<SharedState>, headers: HeaderMap) -> Response {
    app.document.answer(&headers, Fresh::Never)
}

#[cfg(test)]
mod tests {
    use super::{MetricsFormat, asked_for};

    #[test]
    fn the_format_is_the_one_that_is_wanted_more() {
        use MetricsFormat::{OpenMetrics, Prometheus};
        for (accept, format) in [
            (None, OpenMetrics),
            (Some("*/*"), OpenMetrics),
            (Some("text/plain"), Prometheus),
            (Some("text/plain; version=0.0.4"), Prometheus),
            (
                Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"),
                OpenMetrics,
            ),
            (Some("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.2"), Prometheus),
            (Some("text/plain, application/openmetrics-text"), OpenMetrics),
            (Some("text/plain;q=0"), OpenMetrics),
            (Some("text/html"), OpenMetrics),
        ] {
            assert_eq!(asked_for(accept), format, "{accept:?}");
        }
    }
}
