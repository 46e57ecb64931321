//! Buyers who buy and buy while a backup is made, and remember what they were answered.

use frontrow_testkit::{Client, Hall, PRICE, eventually, id, items};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinSet;

/// More than a buyer here can spend.
pub(crate) const PLENTY: i64 = 10_000_000;
/// So many payments are enough to tell something.
const SOME: usize = 8;

/// A payment that was answered: by whom, its number.
type Paid = Arc<Mutex<Vec<(usize, i64)>>>;

/// Buyers at work.
pub(crate) struct Shoppers {
    clients: Vec<Client>,
    paid: Paid,
    tasks: JoinSet<()>,
    /// A place of somebody who only waits: the token and its position.
    waiting: (Client, String, Value),
    seats: Vec<i64>,
}

impl Shoppers {
    /// Lets all but the last client buy; the last one waits in line.
    pub(crate) async fn start(clients: &[Client], hall: &Hall, address: SocketAddr) -> Self {
        let clients: Vec<_> = clients.iter().map(|client| client.at(address)).collect();
        let (waiter, buyers) = clients.split_last().unwrap();
        let place = waiter.join(None).await;
        let waiting = (waiter.clone(), place["token"].as_str().unwrap().to_owned(), place["position"].clone());
        let paid = Paid::default();
        let mut tasks = JoinSet::new();
        let share = hall.seats.len() / (buyers.len() + 1);
        for (number, client) in buyers.iter().enumerate() {
            let seats = hall.seats[number * share..(number + 1) * share].to_vec();
            tasks.spawn(buy_all(number, client.clone(), seats, Arc::clone(&paid)));
        }
        let seats = hall.seats[buyers.len() * share..].to_vec();
        Self { clients: buyers.to_vec(), paid, tasks, waiting, seats }
    }

    /// Waits until some more payments were answered. Gives all that were so far.
    pub(crate) async fn some_more(&self) -> Vec<(usize, i64)> {
        let wanted = self.paid.lock().unwrap().len() + SOME;
        eventually("more payments", async || (self.paid.lock().unwrap().len() >= wanted).then_some(())).await;
        self.paid.lock().unwrap().clone()
    }

    /// Sends the buyers home. Their last requests may have happened or not.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// The office at `address` was restored from a backup that was begun after `before` was answered.
    pub(crate) async fn find_everything(&self, before: &[(usize, i64)], address: SocketAddr) {
        for (number, client) in self.clients.iter().enumerate() {
            let found = payments(&client.at(address)).await;
            let answered: Vec<_> =
                before.iter().filter(|(buyer, _)| *buyer == number).map(|(_, payment)| *payment).collect();
            assert!(answered.iter().all(|payment| found.contains(payment)), "answered {answered:?}, found {found:?}");
            let balance = client.at(address).balance().await;
            assert_eq!(balance, PLENTY - PRICE * i64::try_from(found.len()).unwrap());
        }
    }

    /// After the lines were renewed, an old token is good for nothing, and its owner has the same place.
    pub(crate) async fn keep_their_places(&self, address: SocketAddr) {
        let (client, token, position) = &self.waiting;
        let client = client.at(address);
        client.get(&format!("/queue/tokens/{token}/position")).await.problem(404, "not_found");
        assert_eq!(&client.join(None).await["position"], position);
    }

    /// The restored office sells.
    pub(crate) async fn can_buy(&self, address: SocketAddr) {
        buy(&self.clients[0].at(address), self.seats[0]).await.unwrap();
    }
}

async fn buy_all(number: usize, client: Client, seats: Vec<i64>, paid: Paid) {
    for seat in seats {
        let Some(payment) = buy(&client, seat).await else { return };
        paid.lock().unwrap().push((number, payment));
    }
}

/// None if the server is gone.
async fn buy(client: &Client, seat: i64) -> Option<i64> {
    let token = client.join(None).await["token"].as_str().unwrap().to_owned();
    loop {
        match client.position(&token).await["status"].as_str().unwrap() {
            "active" => break,
            "offered" => drop(client.activate(&token).await),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    let held = client.hold_call(&token, seat).try_send().await.ok()?.expect(201);
    let paid = client.pay_call(&token, id(&held, "reservation_id")).try_send().await.ok()?.expect(201);
    Some(id(&paid, "payment_id"))
}

async fn payments(client: &Client) -> Vec<i64> {
    let page = client.get("/payments?limit=100").await.expect(200);
    assert!(page["next_cursor"].is_null(), "one page is enough here");
    items(&page).iter().map(|row| id(row, "payment_id")).collect()
}
