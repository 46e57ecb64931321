//! A socket that tracks the phase of its connection, and recognises HTTP/2 by its first bytes.

use super::answer;
use crate::edge::problem::codes;
use axum::response::Response;
use hyper::body::Incoming;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

/// A connection that begins like this speaks HTTP/2: no method of HTTP/1.1 does.
const HTTP_2_BEGINS: &[u8] = b"PRI";

/// The owner of a request's body.
#[derive(Debug)]
pub(super) enum Lent {
    /// The handler.
    Out,
    /// The connection: the handler dropped it unread.
    Back(Incoming),
    /// Neither: it was read to its end, or there was none.
    Done,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The head of a request is arriving; a new connection starts here.
    Head,
    /// A handler is running.
    Serving,
    /// The answer is being sent, or the client asks nothing.
    Idle,
    /// The answer is a stream of events, for which the connection leaves hyper.
    Leaving,
}

/// Shared by the socket, the service and the timer of one connection, which is one task: nothing here contends.
#[derive(Debug)]
pub(super) struct State {
    start: Instant,
    phase: AtomicU8,
    /// When the phase began, or when the client last took a part of an answer, in microseconds since the start.
    since_us: AtomicU64,
    read: AtomicBool,
    unread: AtomicBool,
    /// Whether the connection speaks HTTP/2.
    http_2: AtomicBool,
    /// Whether hyper has written everything that it had to write.
    flushed: AtomicBool,
    /// The owner of the current request's body.
    body: Mutex<Lent>,
    /// The answer with which the connection leaves hyper.
    leaving: Mutex<Option<Response>>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            phase: AtomicU8::new(0),
            since_us: AtomicU64::new(0),
            read: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            http_2: AtomicBool::new(false),
            flushed: AtomicBool::new(true),
            body: Mutex::new(Lent::Done),
            leaving: Mutex::default(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Head,
            1 => Phase::Serving,
            2 => Phase::Idle,
            _ => Phase::Leaving,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::Head => 0,
            Phase::Serving => 1,
            Phase::Idle => 2,
            Phase::Leaving => 3,
        };
        self.phase.store(number, Relaxed);
        // The duration of a handler is measured elsewhere.
        if phase != Phase::Serving {
            self.touch();
        }
    }

    fn touch(&self) {
        self.since_us.store(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn since(&self) -> Instant {
        self.start + Duration::from_micros(self.since_us.load(Relaxed))
    }

    /// Whether the client has sent anything at all.
    pub(super) fn has_read(&self) -> bool {
        self.read.load(Relaxed)
    }

    /// Sets the owner of the request's body, and returns the one before.
    pub(super) fn set_body(&self, body: Lent) -> Lent {
        std::mem::replace(&mut *self.body.lock().unwrap_or_else(PoisonError::into_inner), body)
    }

    /// Has the connection leave hyper with this answer.
    pub(super) fn leave_with(&self, answer: Response) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.enter(Phase::Leaving);
    }

    /// The answer with which the connection leaves hyper, once everything before it is written.
    pub(super) fn left_with(&self) -> Option<Response> {
        if !self.flushed.load(Relaxed) {
            return None;
        }
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the connection speaks HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.http_2.load(Relaxed)
    }

    /// Whether the last answer was sent before its request's body was read to the end.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Relaxed);
    }
}

/// The socket under hyper.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    state: Arc<State>,
    /// The first bytes, if they may be or are those of HTTP/2; they are read again.
    early: Vec<u8>,
    /// Whether the version is known.
    is_known: bool,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, state: Arc<State>) -> Self {
        Self { socket, state, early: Vec::new(), is_known: false }
    }

    /// The same connection with a new state, for HTTP/2.
    pub(super) fn for_http_2(self, state: Arc<State>) -> Self {
        Self { state, ..self }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.socket
    }

    /// Reads the first bytes. For HTTP/2 it is pending for ever: the reader, which speaks HTTP/1.1, is to be replaced.
    fn poll_first_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
            let new = &buf.filled()[before..];
            let may_be_http_2 = self.early.iter().chain(new).zip(HTTP_2_BEGINS).all(|(byte, begins)| byte == begins);
            if new.is_empty() || !may_be_http_2 {
                self.is_known = true;
                if self.early.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                self.early.extend_from_slice(new);
                buf.set_filled(before);
                return self.read_early(buf);
            }
            self.early.extend_from_slice(new);
            buf.set_filled(before);
            if self.early.len() >= HTTP_2_BEGINS.len() {
                self.is_known = true;
                self.state.http_2.store(true, Relaxed);
                return Poll::Pending;
            }
        }
    }

    fn read_early(&mut self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let len = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..len]);
        self.early.drain(..len);
        Poll::Ready(Ok(()))
    }

    /// Records progress: a client that takes its answer slowly is not idle, whatever else it has sent meanwhile.
    fn written(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(poll, Poll::Ready(Ok(1..))) {
            self.state.flushed.store(false, Relaxed);
            if self.state.phase() != Phase::Serving {
                self.state.touch();
            }
        }
        poll
    }

    /// hyper answers a head that it cannot parse without a body; this replaces that answer by a problem.
    fn problem_for(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.state.phase() != Phase::Head || !bytes.starts_with(b"HTTP/1.1 4") || !bytes.ends_with(b"\r\n\r\n") {
            return None;
        }
        // Every answer of the application carries its request id.
        let head = std::str::from_utf8(bytes).ok()?;
        if head.contains("x-request-id") {
            return None;
        }
        self.state.set_unread(true);
        Some(answer(match head.get(9..12)? {
            "431" => &codes::HEADERS_TOO_LARGE,
            "414" => &codes::URI_TOO_LONG,
            _ => &codes::MALFORMED_REQUEST,
        }))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = if !self.is_known {
            self.poll_first_read(cx, buf)
        } else if self.early.is_empty() {
            Pin::new(&mut self.socket).poll_read(cx, buf)
        } else {
            self.read_early(buf)
        };
        if buf.filled().len() > before {
            if self.state.phase() == Phase::Idle {
                self.state.enter(Phase::Head);
            } else if !self.state.has_read() {
                self.state.read.store(true, Relaxed);
            }
        }
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(problem) = self.problem_for(buf) {
            // It fits into an empty socket buffer; otherwise the rest is lost with the connection.
            return Pin::new(&mut self.socket).poll_write(cx, &problem).map_ok(|_| buf.len());
        }
        let poll = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.written(poll)
    }

    /// hyper calls it with nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.flushed.store(true, Relaxed);
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let poll = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.written(poll)
    }
}
