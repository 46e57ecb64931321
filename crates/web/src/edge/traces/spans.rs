//! Requests and their batches as `OpenTelemetry` spans.

use super::{Answered, Head};
use frontrow_domain::time::Time;
use frontrow_service::notes::BatchNote;
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::{
    borrow::Cow,
    time::{Duration, Instant, SystemTime},
};

/// The spans of a request and of the batches of its commands. If there is no answer, the client went away.
pub(super) fn spans(head: &Head, answer: Option<Answered>, took: Duration, batches: &[BatchNote]) -> Vec<SpanData> {
    let mut spans = Vec::with_capacity(batches.len() + 1);
    spans.push(request(head, answer, took));
    spans.extend((0..).zip(batches).map(|(number, note)| batch(head, head.batches.wrapping_add(number), note)));
    spans
}

fn request(head: &Head, answer: Option<Answered>, took: Duration) -> SpanData {
    let mut attributes = vec![
        KeyValue::new("http.request.method", head.method.to_string()),
        KeyValue::new("http.route", head.route.clone()),
    ];
    let mut status = Status::error("the client went away");
    if let Some(answer) = answer {
        status = if answer.status.is_server_error() { Status::error("") } else { Status::Unset };
        attributes.push(KeyValue::new("http.response.status_code", i64::from(answer.status.as_u16())));
        attributes.push(KeyValue::new("frontrow.request_id", answer.request_id));
        attributes.extend(answer.code.map(|code| KeyValue::new("frontrow.code", code)));
    }
    SpanData {
        parent_span_id: head.parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: head.parent.is_some(),
        span_kind: SpanKind::Server,
        name: Cow::Owned(format!("{} {}", head.method, head.route)),
        attributes,
        status,
        ..span(head, head.span, head.began, head.began + took)
    }
}

fn batch(head: &Head, id: u64, batch: &BatchNote) -> SpanData {
    let waited = batch.began.saturating_duration_since(batch.queued).as_micros();
    let number = |name, number: Option<i64>| KeyValue::new(name, number.unwrap_or(i64::MAX));
    let mut attributes = vec![
        number("frontrow.batch.commands", i64::try_from(batch.len).ok()),
        number("frontrow.batch.waited_us", i64::try_from(waited).ok()),
    ];
    attributes.extend(batch.fault.map(|fault| KeyValue::new("frontrow.fault", fault)));
    SpanData {
        parent_span_id: SpanId::from(head.span),
        name: Cow::Borrowed("batch"),
        attributes,
        status: if batch.fault.is_some() { Status::error("") } else { Status::Unset },
        ..span(head, id, batch.began, batch.ended)
    }
}

/// A span of the request's trace, with its times only.
fn span(head: &Head, id: u64, began: Instant, ended: Instant) -> SpanData {
    let (trace, id) = (TraceId::from(head.trace), SpanId::from(id));
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(""),
        start_time: moment(head, began),
        end_time: moment(head, ended),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("frontrow").build(),
    }
}

/// A moment by the clock of the request's start.
fn moment(head: &Head, moment: Instant) -> SystemTime {
    let began = head.began_at.since(Time::default()).micros();
    let since = Duration::from_micros(u64::try_from(began).unwrap_or(0));
    SystemTime::UNIX_EPOCH + since + moment.saturating_duration_since(head.began)
}
