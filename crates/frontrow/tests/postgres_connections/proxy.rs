//! A proxy to `PostgreSQL` that counts: how often the client waits for the server, and how many statements it sends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How far away the server seems. Everything that goes in one round trip has been sent long before it comes back.
const DISTANCE: Duration = Duration::from_millis(20);

/// The traffic on all connections.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// How often a client that waited for nothing sent something.
    trips: AtomicU64,
    /// How many statements were sent, `BEGIN` and `COMMIT` included.
    statements: AtomicU64,
}

impl Counts {
    /// Round trips and statements so far.
    pub(crate) fn now(&self) -> (u64, u64) {
        (self.trips.load(Ordering::SeqCst), self.statements.load(Ordering::SeqCst))
    }
}

/// Starts a proxy to the server at `port`. Its port, and what it counts.
pub(crate) async fn start(port: u16) -> (u16, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let counts = Arc::new(Counts::default());
    let counting = Arc::clone(&counts);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            tokio::spawn(pass(client, server, Arc::clone(&counting)));
        }
    });
    (own, counts)
}

/// Passes a connection on until one side closes it.
async fn pass(client: TcpStream, server: TcpStream, counts: Arc<Counts>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // Statements whose `ReadyForQuery` the client has not seen.
    let open = Arc::new(AtomicI64::new(0));
    let answered = Arc::clone(&open);
    let asking = async move {
        // The first message of a connection has a length and no type, and the server answers it with the same message
        // as a statement.
        let mut message = read(&mut from_client, 0).await?;
        open.fetch_add(1, Ordering::SeqCst);
        loop {
            to_server.write_all(&message).await?;
            message = read(&mut from_client, 1).await?;
            if matches!(message[0], b'S' | b'Q') {
                counts.statements.fetch_add(1, Ordering::SeqCst);
                if open.fetch_add(1, Ordering::SeqCst) == 0 {
                    counts.trips.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        #[expect(unreachable_code, reason = "it says what the block's errors are")]
        std::io::Result::Ok(())
    };
    let answering = async move {
        loop {
            let mut answer = read(&mut from_server, 1).await?;
            tokio::time::sleep(DISTANCE).await;
            // Messages that came meanwhile were on their way too.
            loop {
                if answer[0] == b'Z' {
                    answered.fetch_sub(1, Ordering::SeqCst);
                }
                to_client.write_all(&answer).await?;
                match tokio::time::timeout(Duration::from_millis(1), read_ready(&mut from_server)).await {
                    Ok(Ok(true)) => answer = read(&mut from_server, 1).await?,
                    Ok(Ok(false) | Err(_)) => return Ok(()),
                    Err(_) => break,
                }
            }
        }
        #[expect(unreachable_code, reason = "it says what the block's errors are")]
        std::io::Result::Ok(())
    };
    let _ = tokio::join!(asking, answering);
}

/// Whether something more can be read; false at the end.
async fn read_ready(stream: &mut tokio::net::tcp::OwnedReadHalf) -> std::io::Result<bool> {
    Ok(stream.peek(&mut [0]).await? > 0)
}

/// One message: its type if it has one, its length, and the rest.
async fn read(stream: &mut (impl AsyncRead + Unpin), before: usize) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; before + 4];
    stream.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[before..].try_into().unwrap());
    message.resize(before + usize::try_from(length).unwrap(), 0);
    stream.read_exact(&mut message[before + 4..]).await?;
    Ok(message)
}
