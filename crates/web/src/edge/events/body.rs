//! The body of a stream.

use super::{EventSource, NextEvent, StreamPlace, event};
use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Instant, sleep_until};

/// A comment: it says nothing, and shows that both sides live.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

type Step<S> = Pin<Box<dyn Future<Output = (Option<Bytes>, EventWriter<S>)> + Send>>;

/// A stream of events as the body of an answer.
pub(super) enum EventStreamBody<S> {
    /// The next part is being waited for.
    Waiting(Step<S>),
    /// A part was handed over.
    HandedOver(EventWriter<S>),
    /// The stream has ended.
    Ended,
}

/// Writes the parts of a stream.
pub(super) struct EventWriter<S> {
    source: S,
    place: StreamPlace,
    /// When a comment is due.
    comment_at: Instant,
    state: WriterState,
}

enum WriterState {
    /// Nothing was sent yet.
    New,
    Open,
    /// The last part was sent.
    Closed,
}

impl<S: EventSource> EventStreamBody<S> {
    pub(super) fn new(place: StreamPlace, source: S) -> Self {
        Self::HandedOver(EventWriter { source, place, comment_at: Instant::now(), state: WriterState::New })
    }
}

impl<S: EventSource> HttpBody for EventStreamBody<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        loop {
            match std::mem::replace(this, Self::Ended) {
                // The connection asks again when the client has taken the part before.
                Self::HandedOver(mut writer) => {
                    if matches!(writer.state, WriterState::Open) {
                        writer.source.note_taken();
                    }
                    *this = Self::Waiting(Box::pin(writer.step()));
                }
                Self::Waiting(mut step) => {
                    let Poll::Ready((part, writer)) = step.as_mut().poll(cx) else {
                        *this = Self::Waiting(step);
                        return Poll::Pending;
                    };
                    let Some(part) = part else { return Poll::Ready(None) };
                    *this = Self::HandedOver(writer);
                    return Poll::Ready(Some(Ok(Frame::data(part))));
                }
                Self::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl<S: EventSource> EventWriter<S> {
    /// Waits for the next part; none at the end.
    async fn step(mut self) -> (Option<Bytes>, Self) {
        let part = match self.state {
            WriterState::New => {
                self.state = WriterState::Open;
                // What a client does that loses the server without a word.
                Some(Bytes::from(format!("retry: {}\n\n", self.place.retry_ms)))
            }
            WriterState::Open => self.next_part().await,
            WriterState::Closed => None,
        };
        self.comment_at = Instant::now() + self.place.keep_alive;
        (part, self)
    }

    async fn next_part(&mut self) -> Option<Bytes> {
        let Self { source, place, comment_at, state } = self;
        loop {
            let next = tokio::select! {
                biased;
                // An error says that the server is gone.
                _ = place.closing.wait_for(|closing| *closing) => {
                    *state = WriterState::Closed;
                    return Some(farewell(place.retry_ms));
                }
                next = source.next() => next,
                () = sleep_until(*comment_at) => return Some(COMMENT),
            };
            match next {
                NextEvent::Event(part) => {
                    place.metrics.stream_events.inc();
                    return Some(part);
                }
                NextEvent::Known => {}
                NextEvent::Last(part) => {
                    place.metrics.stream_events.inc();
                    *state = WriterState::Closed;
                    return Some(part);
                }
                NextEvent::End => return None,
            }
        }
    }
}

/// The last event of a server that stops.
fn farewell(retry_ms: u64) -> Bytes {
    let data = format!("{{\"reason\":\"stopping\",\"reconnect_after_ms\":{retry_ms}}}");
    let bye = event("bye", None, data.as_bytes());
    [format!("retry: {retry_ms}\n").as_bytes(), &bye].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::events::{KEEP_ALIVE, StreamLimits, Streams};
    use frontrow_service::metrics::Metrics;
    use http_body_util::BodyExt;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };
    use tokio::sync::mpsc;

    struct Scripted {
        events: mpsc::UnboundedReceiver<NextEvent>,
        taken: Arc<AtomicUsize>,
    }

    impl EventSource for Scripted {
        async fn next(&mut self) -> NextEvent {
            self.events.recv().await.unwrap_or(NextEvent::End)
        }

        fn note_taken(&mut self) {
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Scene {
        streams: Streams,
        events: mpsc::UnboundedSender<NextEvent>,
        taken: Arc<AtomicUsize>,
        body: EventStreamBody<Scripted>,
    }

    impl Scene {
        fn new(keep_alive: Duration) -> Self {
            let limits = StreamLimits { max_streams: 1, max_per_address: None, keep_alive };
            let streams = Streams::new(limits, Arc::new(Metrics::new()));
            let (sender, events) = mpsc::unbounded_channel();
            let taken = Arc::new(AtomicUsize::new(0));
            let source = Scripted { events, taken: Arc::clone(&taken) };
            let body = EventStreamBody::new(streams.enter("192.0.2.1".parse().unwrap()).unwrap(), source);
            Self { streams, events: sender, taken, body }
        }

        async fn part(&mut self) -> Option<String> {
            let frame = self.body.frame().await?;
            Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
        }

        fn taken(&self) -> usize {
            self.taken.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn silence_is_broken_by_a_comment_and_taking_anything_is_a_sign_of_life() {
        let mut scene = Scene::new(Duration::ZERO);
        assert_eq!(scene.part().await.unwrap(), "retry: 1000\n\n");
        assert_eq!(scene.taken(), 0);
        assert_eq!(scene.part().await.unwrap(), ":\n\n");
        assert_eq!(scene.taken(), 1, "the greeting was taken");
        scene.events.send(NextEvent::Known).unwrap();
        scene.events.send(NextEvent::Event(Bytes::from_static(b"one"))).unwrap();
        assert_eq!(scene.part().await.unwrap(), "one", "an event comes before a comment, and a known one not at all");
        assert_eq!(scene.taken(), 2);
        assert_eq!(scene.part().await.unwrap(), ":\n\n");
        assert_eq!(scene.taken(), 3);
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_last_event_or_with_its_source_and_gives_its_place_back() {
        let mut scene = Scene::new(KEEP_ALIVE);
        scene.part().await.unwrap();
        assert!(scene.streams.enter("192.0.2.2".parse().unwrap()).is_err());
        scene.events.send(NextEvent::Last(Bytes::from_static(b"over"))).unwrap();
        assert_eq!(scene.part().await.unwrap(), "over");
        assert_eq!((scene.part().await, scene.part().await), (None, None));
        assert!(scene.streams.enter("192.0.2.2".parse().unwrap()).is_ok());

        let mut scene = Scene::new(KEEP_ALIVE);
        scene.part().await.unwrap();
        scene.events.send(NextEvent::End).unwrap();
        assert_eq!(scene.part().await, None);
    }

    #[tokio::test]
    async fn a_server_that_stops_tells_its_clients_when_to_come_back() {
        let mut scene = Scene::new(KEEP_ALIVE);
        scene.part().await.unwrap();
        scene.streams.close();
        let bye = "retry: 1000\nevent: bye\ndata: {\"reason\":\"stopping\",\"reconnect_after_ms\":1000}\n\n";
        assert_eq!(scene.part().await.unwrap(), bye);
        assert_eq!(scene.part().await, None);
        let late = scene.streams.enter("192.0.2.2".parse().unwrap()).unwrap();
        let (_events, events) = mpsc::unbounded_channel();
        scene.body = EventStreamBody::new(late, Scripted { events, taken: Arc::default() });
        scene.part().await.unwrap();
        assert!(scene.part().await.unwrap().contains("event: bye"));
        assert_eq!(scene.part().await, None);
    }
}
