//! Handles bodies that a handler did not read to the end.
//!
//! The next request on the connection begins behind the body. So the rest of a small body is read before the answer is
//! sent; after a larger one the answer says `Connection: close`, and the client opens another connection.

use super::stream::{Lent, State};
use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, timeout_at};

/// How many bytes of a body are read only to keep the connection: the limit of a call without a list of seats.
const READ_OFF_LEN_MAX: u64 = crate::edge::extract::OPERATOR_BODY_LEN_MAX as u64;

/// A request's body as a handler has it. On drop, the unread rest goes back to the connection.
#[derive(Debug)]
pub(super) struct LentBody {
    body: Option<Incoming>,
    state: Arc<State>,
}

impl LentBody {
    pub(super) fn new(body: Incoming, state: Arc<State>) -> Self {
        let is_empty = body.is_end_stream();
        state.set_body(if is_empty { Lent::Done } else { Lent::Out });
        Self { body: (!is_empty).then_some(body), state }
    }
}

impl Drop for LentBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.state.set_body(if body.is_end_stream() { Lent::Done } else { Lent::Back(body) });
        }
    }
}

impl HttpBody for LentBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let poll = Pin::new(body).poll_frame(cx);
        if matches!(poll, Poll::Ready(None)) {
            self.body = None;
            self.state.set_body(Lent::Done);
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// Whether the connection can serve another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The body has been read to its end.
    Possible,
    /// It has not been read to its end.
    Impossible,
}

/// Reads the rest of a small body, until `deadline`. If the client waits for `100 Continue` it is not read: reading
/// would make the client send it.
pub(super) async fn read_off(state: &State, expects_continue: bool, deadline: Instant) -> Next {
    let mut body = match state.set_body(Lent::Done) {
        Lent::Done => return Next::Possible,
        Lent::Out => return Next::Impossible,
        Lent::Back(body) => body,
    };
    if expects_continue || body.size_hint().lower() > READ_OFF_LEN_MAX {
        return Next::Impossible;
    }
    let reading = async {
        let mut len = 0;
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(frame) = frame else { return Next::Impossible };
            len += frame.data_ref().map_or(0, |part| part.len() as u64);
            if len > READ_OFF_LEN_MAX {
                return Next::Impossible;
            }
        }
        Next::Possible
    };
    timeout_at(deadline, reading).await.unwrap_or(Next::Impossible)
}
