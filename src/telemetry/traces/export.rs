//! Sends what was traced to a collector.

use super::{Finished, Tracer, spans, wire};
use crate::{
    clock::{Clock, Ids},
    telemetry::Metrics,
};
use anyhow::Context as _;
use axum::http::{Request, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{fmt, future::Future, str::FromStr, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

/// How many requests may wait to be sent. With their batches they take a kilobyte or so each.
const WAITING_MAX: usize = 4_096;
/// How many requests one message has at most.
const REQUESTS_PER_MESSAGE_MAX: usize = 512;
/// How long the first request of a message waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector has to take one message.
const SEND_MAX: Duration = Duration::from_secs(5);

/// Where a collector takes traces by OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// With its port, as it is connected to and as it stands in `Host`.
    authority: String,
    path: String,
}

/// The text names no collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be http://HOST:PORT of a collector, such as http://127.0.0.1:4318")]
pub struct NoCollector;

impl FromStr for Collector {
    type Err = NoCollector;

    fn from_str(text: &str) -> Result<Self, NoCollector> {
        let uri: Uri = text.trim().parse().map_err(|_| NoCollector)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(NoCollector)?;
        if uri.scheme_str() != Some("http") || uri.query().is_some() || authority.host().is_empty() {
            return Err(NoCollector);
        }
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Self { authority, path: format!("{}/v1/traces", uri.path().trim_end_matches('/')) })
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// A tracer for one of `one_in` requests, and what sends its traces: it ends when the tracer and all its requests are
/// gone and all is sent.
#[must_use = "without the second nothing is sent"]
pub fn start(
    collector: Collector,
    one_in: u32,
    ids: Ids,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> (Arc<Tracer>, impl Future<Output = ()> + Send + 'static) {
    let (requests, finished) = mpsc::channel(WAITING_MAX);
    let instance = ids.uuid(clock.now()).to_string();
    let tracer = Tracer { requests, one_in, ids, clock, metrics: Arc::clone(&metrics) };
    (Arc::new(tracer), export(collector, instance, finished, metrics))
}

async fn export(collector: Collector, instance: String, mut finished: mpsc::Receiver<Finished>, metrics: Arc<Metrics>) {
    let mut requests = Vec::new();
    let mut lost = 0_u64;
    while finished.recv_many(&mut requests, REQUESTS_PER_MESSAGE_MAX).await > 0 {
        let until = Instant::now() + GATHER;
        while requests.len() < REQUESTS_PER_MESSAGE_MAX {
            let room = REQUESTS_PER_MESSAGE_MAX - requests.len();
            match timeout_at(until, finished.recv_many(&mut requests, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        let count = requests.iter().map(|request| spans(&request.batches)).sum();
        let message = wire::encode(&requests, &instance);
        requests.clear();
        let sent = timeout(SEND_MAX, send(&collector, message)).await.context("it does not answer").flatten();
        match sent {
            Ok(()) => {
                metrics.spans_sent.inc_by(count);
                if lost > 0 {
                    tracing::info!(%collector, lost, "traces are sent again");
                    lost = 0;
                }
            }
            Err(error) => {
                metrics.spans_dropped.inc_by(count);
                if lost == 0 {
                    tracing::warn!(%collector, error = format!("{error:#}"), "traces cannot be sent, and are dropped");
                }
                lost += count;
            }
        }
    }
}

/// Sends one message over a connection of its own: there is one a second.
async fn send(collector: &Collector, message: Vec<u8>) -> anyhow::Result<()> {
    let stream = TcpStream::connect(&collector.authority).await.context("it cannot be reached")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(&collector.path)
        .header(header::HOST, &collector.authority)
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(message)))?;
    // It ends with this, also where the answer took too long.
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        let _ = connection.await;
    });
    let answer = sender.send_request(request).await?;
    anyhow::ensure!(answer.status().is_success(), "it answers {}", answer.status());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_address() {
        for (text, shown) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/", "http://collector:80/v1/traces"),
            (" http://[::1]:4318/otlp/ ", "http://[::1]:4318/otlp/v1/traces"),
        ] {
            assert_eq!(text.parse::<Collector>().unwrap().to_string(), shown);
        }
        for bad in
            ["", "collector:4318", "https://collector", "http://a:b@collector", "http://collector/?x=1", "/v1/traces"]
        {
            assert_eq!(bad.parse::<Collector>(), Err(NoCollector), "{bad}");
        }
    }
}
