//! An `ExportTraceServiceRequest` as bytes: the few messages of OTLP that are needed, in the encoding of Protocol Buffers.

use super::{BatchNote, Finished, Head};
use std::time::Instant;

/// Kinds of spans.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
/// The status of a span that failed.
const ERROR: u64 = 2;
/// How values are encoded.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LEN: u8 = 2;

/// Requests with their batches. `instance` tells this process from others.
pub(super) fn encode(requests: &[Finished], instance: &str) -> Vec<u8> {
    let mut out = Message::default();
    out.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            resource.text_attribute(1, "service.name", "frontrow");
            resource.text_attribute(1, "service.version", env!("CARGO_PKG_VERSION"));
            resource.text_attribute(1, "service.instance.id", instance);
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| scope.text(1, "frontrow"));
            for finished in requests {
                scope_spans.message(2, |span| request(span, finished));
                for (number, batch) in (0..).zip(&finished.batches) {
                    let id = finished.head.batches.wrapping_add(number);
                    scope_spans.message(2, |span| self::batch(span, &finished.head, id, batch));
                }
            }
        });
    });
    out.0
}

fn request(span: &mut Message, Finished { head, answer, took, .. }: &Finished) {
    span.bytes(1, &head.trace.to_be_bytes());
    span.bytes(2, &head.span.to_be_bytes());
    if let Some(parent) = head.parent {
        span.bytes(4, &parent.to_be_bytes());
    }
    span.text(5, &head.name);
    span.number(6, SERVER);
    span.fixed(7, nanos(head, head.began));
    span.fixed(8, nanos(head, head.began + *took));
    span.text_attribute(9, "http.request.method", head.method.as_str());
    span.text_attribute(9, "http.route", &head.route);
    let Some(answer) = answer else {
        return span.message(15, |status| {
            status.text(2, "the client went away");
            status.number(3, ERROR);
        });
    };
    span.number_attribute(9, "http.response.status_code", answer.status.as_u16().into());
    span.text_attribute(9, "frontrow.request_id", &answer.request_id);
    if let Some(code) = answer.code {
        span.text_attribute(9, "frontrow.code", code);
    }
    if answer.status.is_server_error() {
        span.message(15, |status| status.number(3, ERROR));
    }
}

fn batch(span: &mut Message, head: &Head, id: u64, batch: &BatchNote) {
    span.bytes(1, &head.trace.to_be_bytes());
    span.bytes(2, &id.to_be_bytes());
    span.bytes(4, &head.span.to_be_bytes());
    span.text(5, "batch");
    span.number(6, INTERNAL);
    span.fixed(7, nanos(head, batch.began));
    span.fixed(8, nanos(head, batch.ended));
    span.number_attribute(9, "frontrow.batch.commands", u64::try_from(batch.len).unwrap_or(u64::MAX));
    let waited = batch.began.saturating_duration_since(batch.queued).as_micros();
    span.number_attribute(9, "frontrow.batch.waited_us", u64::try_from(waited).unwrap_or(u64::MAX));
    if let Some(fault) = batch.fault {
        span.text_attribute(9, "frontrow.fault", fault);
        span.message(15, |status| status.number(3, ERROR));
    }
}

/// Nanoseconds since the epoch, by the clock that the request began at.
fn nanos(head: &Head, moment: Instant) -> u64 {
    let began = u64::try_from(head.began_at.micros()).unwrap_or(0).saturating_mul(1_000);
    let since = moment.saturating_duration_since(head.began).as_nanos();
    began.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
}

/// A message that is being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(0x80 | (number & 0x7f).to_le_bytes()[0]);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    fn key(&mut self, field: u8, kind: u8) {
        self.varint(u64::from(field) << 3 | u64::from(kind));
    }

    fn number(&mut self, field: u8, number: u64) {
        self.key(field, VARINT);
        self.varint(number);
    }

    fn fixed(&mut self, field: u8, number: u64) {
        self.key(field, FIXED64);
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.key(field, LEN);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend(bytes);
    }

    fn text(&mut self, field: u8, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn text_attribute(&mut self, field: u8, key: &str, text: &str) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |value| value.text(1, text));
        });
    }

    fn number_attribute(&mut self, field: u8, key: &str, number: u64) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |value| value.number(3, number));
        });
    }
}
