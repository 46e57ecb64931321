//! A connection whose bytes the test sends itself.

use frontrow_testkit::PATIENCE;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) struct RawClient(pub(crate) TcpStream);

impl RawClient {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The server may have answered and closed before everything was sent.
        let _ = timeout(PATIENCE, self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn answer(&mut self) -> RawAnswer {
        let mut bytes = Vec::new();
        timeout(PATIENCE, async {
            loop {
                let mut chunk = [0; 4_096];
                let read = self.0.read(&mut chunk).await.unwrap();
                bytes.extend_from_slice(&chunk[..read]);
                let Some(answer) = RawAnswer::parse(&bytes) else {
                    assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
                    continue;
                };
                return answer;
            }
        })
        .await
        .unwrap()
    }

    /// The head of one answer; its body is read too.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        timeout(PATIENCE, async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.unwrap());
            }
            let text = String::from_utf8(head).unwrap();
            let len = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |len| len.parse().unwrap());
            self.0.read_exact(&mut vec![0; len]).await.unwrap();
            text
        })
        .await
        .unwrap()
    }

    /// Reads one answer to its end, byte by byte up to its body; how long that is.
    pub(crate) async fn next_body(&mut self) -> usize {
        let mut head = Vec::new();
        timeout(PATIENCE, async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.unwrap());
            }
            let head = std::str::from_utf8(&head).unwrap();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            self.0.read_exact(&mut vec![0; len]).await.unwrap()
        })
        .await
        .unwrap()
    }

    /// Waits until the server has closed; returns what it still sent.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.unwrap().unwrap();
        rest
    }

    /// The bytes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the server closes the connection");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawAnswer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut answer =
            Self { status: head.get(9..12)?.parse().unwrap(), head: head.to_owned(), body: body.to_owned() };
        let len: usize = answer.header("content-length")?.parse().unwrap();
        answer.body.truncate(len);
        (answer.body.len() == len).then_some(answer)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem in its full shape.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], format!("/problems/{code}"), "{body}");
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        body
    }
}
