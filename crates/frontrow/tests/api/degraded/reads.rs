//! The API when no read of the database can be served.

use frontrow_service::testing;
use frontrow_storage::{StoreError, sqlite::SqliteStore};
use frontrow_testkit::{PRICE, Server, id, items};
use reqwest::Method;
use serde_json::json;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::Poll,
};
use tokio::sync::oneshot;

/// How many reads of the store run at once, and how many may wait for them.
const READS: usize = 4;
const READS_WAITING: usize = 512;

/// Reads that never end: all that the store allows, so that every other one is turned away until they are dropped.
///
/// They are complete only if the server has none of its own among them, whose end would let another one in.
async fn crowd_out_reads(store: &SqliteStore) -> (Vec<Read<'_>>, mpsc::Sender<()>) {
    for _ in 0..100 {
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let mut reads = Vec::new();
        for _ in 0..READS {
            let (mut read, begun) = endless_read(store, Arc::clone(&ended));
            tokio::select! {
                ended = &mut read => panic!("a read has ended: {ended:?}"),
                begun = begun => begun.unwrap(),
            }
            reads.push(read);
        }
        loop {
            let (mut read, _) = endless_read(store, Arc::clone(&ended));
            match std::future::poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await {
                Poll::Pending => reads.push(read),
                Poll::Ready(refused) => {
                    refused.unwrap_err();
                    break;
                }
            }
        }
        if reads.len() == READS + READS_WAITING {
            return (reads, end);
        }
    }
    panic!("the server always reads");
}

/// A read that goes on until the other end of `ended` is dropped, and the signal that it has begun.
fn endless_read(store: &SqliteStore, ended: Arc<Mutex<mpsc::Receiver<()>>>) -> (Read<'_>, oneshot::Receiver<()>) {
    let (signal, begun) = oneshot::channel();
    let read = store.read(move |_| {
        let _ = signal.send(());
        let _ = ended.lock().unwrap().recv();
        Ok(())
    });
    (Box::pin(read), begun)
}

type Read<'store> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'store>>;

#[tokio::test]
async fn a_hold_and_a_payment_that_were_committed_are_answered_though_nothing_can_be_read() {
    let (server, store) = Server::with_store(&[]).await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", 2 * PRICE).await;
    let token = buyer.enter(None).await;
    let forget = || {
        let office = Arc::clone(&server.app().office);
        testing::forget_concerts(&office);
        testing::forget_tickets(&office);
    };

    let (reads, end) = crowd_out_reads(&store).await;
    forget();
    buyer.get("/reservations").await.problem(503, "unavailable");
    let held = buyer.hold_call(&token, hall.seats[0]).key("held-in-the-crowd-01").send().await.expect(201);
    assert_eq!((&held["status"], &held["title"]), (&json!("pending"), &json!("")));
    let reservation = id(&held, "reservation_id");
    forget();
    let paid = buyer.pay_call(&token, reservation).key("paid-in-the-crowd-01").send().await.expect(201);
    assert_eq!((&paid["status"], &paid["title"]), (&json!("completed"), &json!("")));
    // The answers of before too, whose seats are looked for in the database.
    forget();
    let again = buyer.hold_call(&token, hall.seats[0]).key("held-in-the-crowd-01").send().await;
    assert!(again.is_replay(), "{}", again.text());
    assert_eq!(id(&again.expect(201), "reservation_id"), reservation);
    let again = buyer.pay_call(&token, reservation).key("paid-in-the-crowd-01").send().await;
    assert_eq!(id(&again.expect(201), "payment_id"), id(&paid, "payment_id"));

    drop((reads, end));
    let mine = buyer.get("/reservations").await.expect(200);
    assert_eq!(
        (&items(&mine)[0]["status"], &items(&mine)[0]["title"]),
        (&json!("confirmed"), &json!(hall.concert.title))
    );
    server.close().await;
}

/// Takes every turn to read until the sender is dropped: what is to be read meanwhile waits.
async fn hang_reads(store: &SqliteStore) -> (Vec<Read<'_>>, mpsc::Sender<()>) {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let mut reads: Vec<Read<'_>> = Vec::new();
    // More than there are turns. Turns are given in the order of asking.
    for _ in 0..16 {
        let (mut read, _) = endless_read(store, Arc::clone(&ended));
        let first = std::future::poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
        assert!(first.is_pending());
        reads.push(read);
    }
    (reads, end)
}

#[tokio::test]
async fn a_hold_and_a_payment_that_were_committed_are_answered_though_reads_hang() {
    let (server, store) = Server::with_store(&[]).await;
    let hall = server.hall(3).await;
    let buyer = server.buyer_with("buyer", 3 * PRICE).await;
    let token = buyer.enter(None).await;
    let post = |path: &str, key: &str, body: &serde_json::Value| {
        buyer.call(Method::POST, path).token(&token).key(key).json(body).send()
    };

    let (reads, end) = hang_reads(&store).await;
    testing::forget_concerts(&server.app().office);
    let wish = json!({ "seat_ids": hall.seats });
    let held = post("/reservations", "held-while-reads-hang-01", &wish).await.expect(201);
    let held = items(&held);
    assert_eq!(held.len(), 3);
    assert_eq!((&held[0]["status"], &held[0]["title"]), (&json!("pending"), &json!("")));
    let reservations: Vec<_> = held.iter().map(|held| id(held, "reservation_id")).collect();
    let order = json!({ "reservation_ids": reservations });
    let paid = post("/payments", "paid-while-reads-hang-01", &order).await.expect(201);
    let paid = items(&paid);
    assert_eq!((&paid[0]["status"], &paid[0]["title"]), (&json!("completed"), &json!("")));
    // The answers of before too, whose seats are looked for in the database.
    testing::forget_tickets(&server.app().office);
    let again = post("/payments", "paid-while-reads-hang-01", &order).await;
    assert!(again.is_replay(), "{}", again.text());
    assert_eq!(id(&items(&again.expect(201))[0], "payment_id"), id(&paid[0], "payment_id"));

    drop((reads, end));
    let mine = buyer.get("/reservations").await.expect(200);
    let mut mine = items(&mine).iter();
    assert!(mine.all(|row| row["status"] == "confirmed" && row["title"] == hall.concert.title));
    server.close().await;
}

#[tokio::test]
async fn a_page_that_another_visitor_had_within_a_second_is_shown_though_nothing_can_be_read() {
    let (server, store) = Server::with_store(&[]).await;
    let hall = server.hall(3).await;
    let paths = ["/".to_owned(), "/?q=tide".to_owned(), hall.path()];
    let show = async |path: &str| {
        let call = server.anonymous().call_at(Method::GET, path).header("accept", "text/html");
        let answer = call.send().await;
        (answer.status, answer.text())
    };
    let mut before = Vec::new();
    for path in &paths {
        let shown = show(path).await;
        assert_eq!(shown.0, 200, "{}", shown.1);
        before.push(shown);
    }
    let (reads, end) = crowd_out_reads(&store).await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(show(path).await, before);
    }
    drop(reads);
    drop(end);
    drop(store);
    server.close().await;
}
