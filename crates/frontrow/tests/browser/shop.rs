//! A demo box office for browsers, and the steps of a purchase.

use crate::{
    PROGRAM,
    window::{Browser, Wishes},
};
use frontrow_testkit::{
    Client, eventually,
    program::{Process, succeeds},
    servers::port::Port,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tempfile::TempDir;

/// The concert in the house room, of whose hall a part is sold.
pub(crate) const CONCERT: i64 = 2;

/// The real program with the demo season, in a folder of its own, at an address that it keeps over restarts.
pub(crate) struct Shop {
    process: Option<Process>,
    folder: TempDir,
    port: Port,
    flags: Vec<String>,
}

impl Shop {
    pub(crate) fn open() -> Self {
        Self::open_with(&[])
    }

    /// The same with other settings.
    pub(crate) fn open_with(flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut shop = Self { process: None, folder: tempfile::tempdir().unwrap(), port: Port::take(), flags };
        shop.start();
        shop
    }

    fn start(&mut self) {
        let listen = self.address().to_string();
        let mut flags = vec!["--demo", "--listen", &listen];
        flags.extend(self.flags.iter().map(String::as_str));
        self.process = Some(PROGRAM.start_at(self.folder.path(), &flags));
    }

    /// Ends the program as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts the program again over what it has stored.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        self.start();
    }

    /// The books are in order. The program must not run.
    pub(crate) fn assert_books_in_order(&self) {
        PROGRAM.assert_books_in_order(self.folder.path());
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number()))
    }

    pub(crate) async fn browser(&self, wishes: Wishes) -> Browser {
        Browser::open(self.address(), wishes).await
    }

    /// A program that is not signed in.
    pub(crate) fn anonymous(&self) -> Client {
        Client::anonymous(reqwest::Client::new(), self.address())
    }

    /// A program that is signed in with the demo's password.
    pub(crate) async fn client(&self, email: &str) -> Client {
        let client = self.anonymous();
        let answer = client.post("/sessions", &json!({ "email": email, "password": PASSWORD })).await;
        client.with_secret(answer.expect(201)["session_token"].as_str().unwrap())
    }

    /// Adds a viewer with the demo's password.
    pub(crate) fn add_viewer(&self, email: &str) {
        let password = self.folder.path().join("password.txt");
        std::fs::write(&password, PASSWORD).unwrap();
        let mut add = PROGRAM.command(self.folder.path(), "operator add");
        succeeds(add.args(["--viewer", "--email", email, "--name", "Viewer", "--password-file"]).arg(password));
    }

    pub(crate) async fn operator(&self) -> Client {
        self.client(OPERATOR).await
    }

    /// What the demo's buyer holds or has bought, by status.
    pub(crate) async fn reservations(&self, status: &str) -> Vec<Value> {
        let buyer = self.client(BUYER).await;
        let all = buyer.get("/reservations").await.expect(200);
        all["items"].as_array().unwrap().iter().filter(|row| row["status"] == status).cloned().collect()
    }
}

/// The password of the demo's accounts.
pub(crate) const PASSWORD: &str = "front-row-demo";
/// The demo's buyer.
pub(crate) const BUYER: &str = "buyer@frontrow.example";
/// The demo's operator.
pub(crate) const OPERATOR: &str = "operator@frontrow.example";

/// A fan of the demo, who has bought a seat of [`CONCERT`].
pub(crate) fn fan(number: usize) -> String {
    format!("fan{number}@frontrow.example")
}

/// Signs in by the form.
pub(crate) async fn sign_in(browser: &Browser, email: &str) {
    browser.goto("/sign-in").await;
    browser.fill("form[action='/sign-in'] input[name=email]", email).await;
    browser.fill("form[action='/sign-in'] input[name=password]", PASSWORD).await;
    browser.click("form[action='/sign-in'] input[name=password] ~ button, form[action='/sign-in'] button").await;
    browser.arrive_elsewhere("/sign-in").await;
}

/// Joins the line of a concert, from its page.
pub(crate) async fn join(browser: &Browser, concert: i64) {
    browser.goto(&format!("/concerts/{concert}")).await;
    browser.click(&format!("form[action='/concerts/{concert}/line'] button")).await;
    browser.arrive("/line/").await;
}

/// The button of a turn.
pub(crate) const CLAIM: &str = "form[action*='/claim'] button";
/// A seat that can be chosen.
pub(crate) const FREE_SEAT: &str = "#seats label:has(input[name=seat]:not(:disabled):not([aria-disabled=true]))";
/// A seat that is held.
pub(crate) const HELD: &str = "#tray .held";
/// The button that holds the chosen seats.
pub(crate) const HOLD: &str = ".choose button";
/// The button that pays.
pub(crate) const PAY: &str = "form[action*='/pay'] button";

/// Waits for the turn and claims it.
pub(crate) async fn enter(browser: &Browser, concert: i64) {
    browser.click(CLAIM).await;
    browser.arrive(&format!("/concerts/{concert}/seats")).await;
}

/// Signs in, joins the line of a concert and claims the turn: the browser is at the hall.
pub(crate) async fn go_in(browser: &Browser, email: &str, concert: i64) {
    sign_in(browser, email).await;
    join(browser, concert).await;
    enter(browser, concert).await;
}

/// Opens the first section of the hall's list that has a free seat, if the list begins with sections.
pub(crate) async fn open_section(browser: &Browser) {
    if !browser.has(FREE_SEAT).await && browser.has("#seats a.section").await {
        browser.click("#seats a.section").await;
    }
}

/// Chooses a free seat from the list and holds it.
pub(crate) async fn hold_a_seat(browser: &Browser) {
    open_section(browser).await;
    browser.click(FREE_SEAT).await;
    browser.click(HOLD).await;
    browser.element(HELD).await;
}

/// Pays for what is held.
pub(crate) async fn pay(browser: &Browser, concert: i64) {
    browser.click("#tray a.button").await;
    browser.arrive(&format!("/concerts/{concert}/pay")).await;
    browser.click(PAY).await;
    browser.arrive(&format!("/concerts/{concert}/tickets")).await;
}

/// Waits until so many reservations of the demo's buyer have this status.
pub(crate) async fn has_reservations(shop: &Shop, status: &str, count: usize) {
    eventually(&format!("{count} reservations are {status}"), async || {
        (shop.reservations(status).await.len() == count).then_some(())
    })
    .await;
}
