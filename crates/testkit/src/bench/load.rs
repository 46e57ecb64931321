//! A client that costs little: keep-alive connections, one request in flight on each, the least parsing that works.

use hdrhistogram::Histogram;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The settings of a server that refuses none of a client's requests for being too many.
pub const UNLIMITED: [&str; 18] = [
    "--requests-per-second-per-user",
    "1000000",
    "--request-burst-per-user",
    "1000000",
    "--changes-per-hour-per-user",
    "100000000",
    "--holds-per-hour-per-user",
    "100000000",
    "--reads-per-second-per-user",
    "1000000",
    "--polls-per-second-per-token",
    "1000000",
    "--joins-per-address",
    "0",
    "--joins-per-network",
    "0",
    "--max-connections-per-address",
    "0",
];

/// The figures of a load.
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    /// Latencies in microseconds.
    pub latency: Histogram<u64>,
    /// Answers by the first digit of their status.
    pub by_class: [u64; 6],
}

/// Writes the next request of a connection into the buffer; false if it has no more.
pub trait Requests: Send + 'static {
    fn next(&mut self, request: &mut Vec<u8>) -> bool;
}

/// One connection.
pub struct LoadConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl LoadConnection {
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1_024) })
    }

    /// Sends a request and reads its answer; returns the status.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, body) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = &self.buffer[..end];
                let length = find(head, b"content-length: ").map_or(0, |at| {
                    let digits = head[at + 16..].iter().take_while(|byte| byte.is_ascii_digit());
                    digits.fold(0_usize, |length, digit| length * 10 + usize::from(digit - b'0'))
                });
                break (end + 4, length);
            }
        };
        let status = self.buffer[9..12].iter().fold(0_u16, |status, digit| status * 10 + u16::from(digit - b'0'));
        let mut missing = (head + body).saturating_sub(self.buffer.len());
        while missing > 0 {
            self.buffer.clear();
            let read = self.stream.read_buf(&mut self.buffer).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            missing = missing.saturating_sub(read);
        }
        Ok(status)
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Keeps every connection busy for `length`, or until it has no more requests.
pub async fn load(address: SocketAddr, sources: Vec<Box<dyn Requests>>, length: Duration) -> Load {
    load_at(address, sources, length, None).await
}

/// The same, with one request of each connection every `interval`. A request that is late since the one before took
/// long counts from when it was due.
pub async fn load_at(
    address: SocketAddr,
    sources: Vec<Box<dyn Requests>>,
    length: Duration,
    interval: Option<Duration>,
) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for mut source in sources {
        let stop = Arc::clone(&stop);
        tasks.push(tokio::spawn(async move {
            let mut connection = LoadConnection::open(address).await.unwrap();
            let mut latency = Histogram::<u64>::new(3).unwrap();
            let mut by_class = [0_u64; 6];
            let mut request = Vec::with_capacity(1_024);
            let mut due = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                request.clear();
                if !source.next(&mut request) {
                    break;
                }
                let mut sent = Instant::now();
                if let Some(interval) = interval {
                    if due > sent {
                        tokio::time::sleep_until(due.into()).await;
                        sent = Instant::now();
                    } else {
                        sent = due;
                    }
                    due += interval;
                }
                let status = connection.ask(&request).await.unwrap();
                latency.record(u64::try_from(sent.elapsed().as_micros()).unwrap()).unwrap();
                by_class[usize::from(status / 100).min(5)] += 1;
            }
            (latency, by_class, source)
        }));
    }
    let started = Instant::now();
    let all = async {
        let mut latency = Histogram::<u64>::new(3).unwrap();
        let mut by_class = [0_u64; 6];
        for task in tasks {
            let (part, classes, _) = task.await.unwrap();
            latency.add(&part).unwrap();
            for (sum, class) in by_class.iter_mut().zip(classes) {
                *sum += class;
            }
        }
        (latency, by_class, started.elapsed())
    };
    let timer = async {
        tokio::time::sleep(length).await;
        stop.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    let (latency, by_class, took) = tokio::select! {
        done = all => done,
        () = timer => unreachable!("the timer never ends"),
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let rate = latency.len() as f64 / took.as_secs_f64();
    Load { rate, latency, by_class }
}
