//! Reads a stream of events as a browser does.

use crate::PATIENCE;
use serde_json::Value;
use tokio::time::timeout;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

/// A stream of events.
pub struct EventReader {
    response: reqwest::Response,
    unread: String,
    /// What the server said last about the time of a reconnect.
    pub retry_ms: Option<u64>,
}

impl EventReader {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, unread: String::new(), retry_ms: None }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    pub fn version(&self) -> reqwest::Version {
        self.response.version()
    }

    /// The next event; none when the stream has ended. Comments are passed over.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        timeout(PATIENCE, self.read()).await.expect("the stream goes on or ends")
    }

    /// The next event, which must have this name.
    pub async fn expect(&mut self, name: &str) -> StreamEvent {
        let event = self.next().await.unwrap_or_else(|| panic!("the stream has ended before {name}"));
        assert_eq!(event.name, name, "{event:?}");
        event
    }

    /// Reads events until one is as it should be.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&StreamEvent) -> bool) -> StreamEvent {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream has ended before: {what}"));
            if is_so(&event) {
                return event;
            }
        }
    }

    async fn read(&mut self) -> Option<StreamEvent> {
        loop {
            while let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.unread = rest;
                if let Some(event) = self.parse(&block) {
                    return Some(event);
                }
            }
            // A connection that is cut ends the stream too.
            let part = self.response.chunk().await.ok()??;
            self.unread.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    fn parse(&mut self, block: &str) -> Option<StreamEvent> {
        let (mut name, mut id, mut data) = (None, None, None);
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = Some(value.to_owned()),
                "id" => id = Some(value.to_owned()),
                "data" => data = Some(serde_json::from_str(value).unwrap_or_else(|error| panic!("{error}: {value}"))),
                "retry" => self.retry_ms = Some(value.parse().unwrap()),
                "" => {}
                _ => panic!("a field that browsers do not know: {line}"),
            }
        }
        Some(StreamEvent { name: name?, id, data: data? })
    }
}
