//! HTTP/1.1 over kept-alive connections, with as little work a request as can be: the crowd shares its cores with the
//! server it measures.

use crate::target::Target;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// A response is not read beyond this size.
const BODY_MAX: usize = 64 << 20;
/// A response's head is not read beyond this size.
const HEAD_MAX: usize = 64 << 10;

/// A response with the headers that matter here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// Whether it is an answer kept from an earlier request.
    pub(crate) replayed: bool,
    /// The `ETag`.
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer: whether the request had an effect is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Time ran out before the whole answer was there.
    TimedOut,
    /// The connection could not be made, broke, or carried something that is no HTTP.
    Broken,
}

/// The text of a request.
pub(crate) fn request_text(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(256 + path.len() + body.map_or(0, <[u8]>::len));
    text.extend_from_slice(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n").as_bytes());
    for (name, value) in headers {
        text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if let Some(body) = body {
        text.extend_from_slice(
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
        );
        text.extend_from_slice(body);
    } else if method == "GET" {
        text.extend_from_slice(b"\r\n");
    } else {
        text.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }
    text
}

/// Which connection a request goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionChoice {
    /// Any that is free.
    Shared,
    /// A new one, from the loopback address with this number: a crowd does not sign in from one address.
    Own(usize),
}

/// The loopback address that stands for a buyer's own.
fn own_address(number: usize) -> Ipv4Addr {
    let part = |divisor: usize, modulus: usize| u8::try_from(number / divisor % modulus).unwrap_or(0);
    Ipv4Addr::new(127, 64 + part(254 * 256, 128), part(254, 256), 1 + part(1, 254))
}

#[derive(Debug)]
pub(crate) struct HttpConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
    reusable: bool,
}

impl HttpConnection {
    pub(crate) async fn open(target: &Target) -> io::Result<Self> {
        Self::over(TcpStream::connect(target.address).await?)
    }

    /// Connects from the loopback address with this number, if the system has them all and the server is local.
    async fn open_from(target: &Target, number: usize) -> io::Result<Self> {
        let SocketAddr::V4(to) = target.address else { return Self::open(target).await };
        if !to.ip().is_loopback() {
            return Self::open(target).await;
        }
        let socket = TcpSocket::new_v4()?;
        if socket.bind(SocketAddr::from((own_address(number), 0))).is_err() {
            return Self::open(target).await;
        }
        Self::over(socket.connect(target.address).await?)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8 << 10), reusable: true })
    }

    /// Whether another request may be sent: the server has neither closed it nor sent something unasked.
    pub(crate) fn is_usable(&self) -> bool {
        let mut byte = [0];
        self.reusable
            && self.buffer.is_empty()
            && matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the server keeps it open, as far as its last answer says.
    pub(crate) const fn is_kept(&self) -> bool {
        self.reusable
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<HttpResponse> {
        // Until the answer is read whole, no other request may be sent on this connection.
        self.reusable = false;
        self.stream.write_all(request).await?;
        let (head, end) = self.read_head().await?;
        self.buffer.drain(..end);
        let mut answer = HttpResponse {
            status: head.status,
            retry_after: head.retry_after,
            replayed: head.replayed,
            etag: head.etag,
            body: Vec::new(),
        };
        answer.body = match head.length {
            Length::None => Vec::new(),
            Length::Known(length) => self.read_known(length).await?,
            Length::Chunked => self.read_chunks().await?,
        };
        self.reusable = head.keep;
        Ok(answer)
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(8 << 10);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }

    async fn read_head(&mut self) -> io::Result<(ResponseHead, usize)> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.get(..end).and_then(parse_head).ok_or_else(not_http)?;
                return Ok((head, end + 4));
            }
            if self.buffer.len() > HEAD_MAX {
                return Err(not_http());
            }
            self.fill().await?;
        }
    }

    async fn read_known(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > BODY_MAX {
            return Err(not_http());
        }
        while self.buffer.len() < length {
            self.fill().await?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    async fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                match find(&self.buffer, b"\r\n") {
                    Some(end) => break end,
                    None => self.fill().await?,
                }
            };
            let line = String::from_utf8_lossy(self.buffer.get(..line_end).unwrap_or_default()).into_owned();
            let size = line.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
            let size = size.filter(|size| body.len().saturating_add(*size) <= BODY_MAX).ok_or_else(not_http)?;
            let chunk = self.read_known(line_end + 2 + size + 2).await?;
            body.extend_from_slice(chunk.get(line_end + 2..line_end + 2 + size).unwrap_or_default());
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Length {
    None,
    Known(usize),
    Chunked,
}

#[derive(Debug)]
struct ResponseHead {
    status: u16,
    length: Length,
    keep: bool,
    retry_after: Option<u64>,
    replayed: bool,
    etag: Option<String>,
}

fn parse_head(bytes: &[u8]) -> Option<ResponseHead> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let keep = match words.next()? {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    let status = words.next()?.parse().ok()?;
    let mut head =
        ResponseHead { status, length: Length::Known(0), keep, retry_after: None, replayed: false, etag: None };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.length = Length::Known(value.parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            head.keep = !value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("retry-after") {
            head.retry_after = value.parse().ok();
        } else if name.eq_ignore_ascii_case("idempotent-replayed") {
            head.replayed = value == "true";
        } else if name.eq_ignore_ascii_case("etag") {
            head.etag = Some(value.to_owned());
        }
    }
    if status == 204 || status == 304 {
        head.length = Length::None;
    }
    Some(head)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn not_http() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1.1 as expected")
}

/// Connections shared by all buyers, at most so many at once.
#[derive(Debug)]
pub(crate) struct ConnectionPool {
    target: Target,
    permits: Semaphore,
    idle: Mutex<Vec<HttpConnection>>,
}

impl ConnectionPool {
    /// A pool of at most `connections` connections; none is opened yet.
    pub(crate) fn new(target: Target, connections: usize) -> Self {
        Self { target, permits: Semaphore::new(connections), idle: Mutex::new(Vec::new()) }
    }

    /// The value of the Host header.
    pub(crate) fn host(&self) -> &str {
        &self.target.host
    }

    /// Waits for a connection, sends the request, reads the answer: all within `limit`. Also gives the moment at
    /// which it was sent; waiting for a connection comes before it.
    pub(crate) async fn exchange(
        &self,
        request: &[u8],
        limit: Duration,
        origin: ConnectionChoice,
    ) -> (Instant, Result<HttpResponse, Lost>) {
        let begun = Instant::now();
        let Ok(Ok(_permit)) = timeout_at(begun + limit, self.permits.acquire()).await else {
            return (begun, Err(Lost::TimedOut));
        };
        let sent = Instant::now();
        let answer = match timeout_at(begun + limit, self.on_a_connection(request, origin)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Lost::Broken),
            Err(_) => Err(Lost::TimedOut),
        };
        (sent, answer)
    }

    async fn on_a_connection(&self, request: &[u8], origin: ConnectionChoice) -> io::Result<HttpResponse> {
        if let ConnectionChoice::Own(number) = origin {
            return HttpConnection::open_from(&self.target, number).await?.exchange(request).await;
        }
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => HttpConnection::open(&self.target).await?,
        };
        let answer = connection.exchange(request).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(answer)
    }

    fn take_idle(&self) -> Option<HttpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::AllowedHosts;
    use tokio::net::TcpListener;

    /// A server that answers each connection's requests with the given texts, then closes.
    async fn serve(texts: &'static [&'static str]) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                for text in texts {
                    let mut seen = Vec::new();
                    while find(&seen, b"\r\n\r\n").is_none() {
                        if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            }
        });
        Target::parse(&format!("http://{address}"), AllowedHosts::Loopback).unwrap()
    }

    #[tokio::test]
    async fn answers_are_read_in_every_form_on_one_connection() {
        let target = serve(&[
            "HTTP/1.1 201 Created\r\ncontent-length: 5\r\nRetry-After: 3\r\nidempotent-replayed: true\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\netag: \"7\"\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        ])
        .await;
        let mut connection = HttpConnection::open(&target).await.unwrap();
        let request = request_text(&target.host, "GET", "/", &[], None);
        let first = connection.exchange(&request).await.unwrap();
        assert_eq!((first.status, first.body.as_slice()), (201, b"hello".as_slice()));
        assert_eq!((first.retry_after, first.replayed), (Some(3), true));
        let second = connection.exchange(&request).await.unwrap();
        assert_eq!((second.body.as_slice(), second.etag.as_deref()), (b"abcde".as_slice(), Some("\"7\"")));
        assert_eq!(connection.exchange(&request).await.unwrap().status, 204);
        assert!(connection.is_usable());
        assert_eq!(connection.exchange(&request).await.unwrap().body, b"ok");
        assert!(!connection.is_usable(), "the server said that it closes");
    }

    #[tokio::test]
    async fn a_truncated_answer_is_lost_and_its_connection_is_not_used_again() {
        let target = serve(&["HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nonly this"]).await;
        let pool = ConnectionPool::new(target, 1);
        let request = request_text(pool.host(), "GET", "/", &[], None);
        let (_, answer) = pool.exchange(&request, Duration::from_secs(5), ConnectionChoice::Shared).await;
        assert_eq!(answer, Err(Lost::Broken));
        assert!(pool.take_idle().is_none());
    }

    #[tokio::test]
    async fn what_is_no_http_is_lost() {
        let target = serve(&["SSH-2.0-x\r\n\r\n"]).await;
        let pool = ConnectionPool::new(target, 1);
        let (_, answer) =
            pool.exchange(b"GET / HTTP/1.1\r\n\r\n", Duration::from_secs(5), ConnectionChoice::Own(7)).await;
        assert_eq!(answer, Err(Lost::Broken));
    }

    #[test]
    fn buyers_have_addresses_of_their_own_on_this_machine() {
        let addresses: std::collections::HashSet<_> = (0..200_000).map(own_address).collect();
        assert_eq!(addresses.len(), 200_000);
        assert!(addresses.iter().all(Ipv4Addr::is_loopback));
        assert!(addresses.iter().all(|address| (1..255).contains(&address.octets()[3])));
    }

    #[test]
    fn a_request_carries_its_headers_and_the_length_of_its_body() {
        let text = request_text("h:1", "POST", "/p", &[("Queue-Token", "t")], Some(b"{}"));
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "POST /p HTTP/1.1\r\nHost: h:1\r\nQueue-Token: t\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
        assert!(request_text("h", "DELETE", "/", &[], None).ends_with(b"Content-Length: 0\r\n\r\n"));
    }
}
