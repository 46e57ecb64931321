//! The waiting line in front of another shop, which is a program of its own at another address.

use crate::{
    shop::{BUYER, CLAIM, Shop, fan, sign_in},
    window::Wishes,
};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::get,
};
use frontrow_testkit::{Client, servers::port::Port};
use serde::Deserialize;
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Visitor {
    #[serde(default)]
    token: String,
}

/// Where the line is, known once it has been opened.
type Line = Arc<OnceLock<SocketAddr>>;

/// Lets a visitor in whose turn it is, and sends all others to the line.
async fn enter(State(line): State<Line>, Query(visitor): Query<Visitor>) -> Response {
    let line = *line.get().unwrap();
    let asked = Client::anonymous(reqwest::Client::new(), line);
    let place = asked.get(&format!("/queue/tokens/{}/position", visitor.token)).await;
    if place.status == StatusCode::OK && place.json()["status"] == "active" {
        return Html("<!doctype html><title>Shop</title><link rel=icon href=data:,><h1 id=inside>Welcome</h1>")
            .into_response();
    }
    Redirect::to(&format!("http://{line}/line")).into_response()
}

#[tokio::test]
async fn a_visitor_of_another_shop_waits_and_is_led_into_it() {
    let (port, line) = (Port::take(), Line::default());
    let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let listener = TcpListener::bind(address).await.unwrap();
    let routes = Router::new().route("/enter", get(enter)).with_state(Arc::clone(&line));
    let other_shop = tokio::spawn(axum::serve(listener, routes).into_future());
    let shop =
        Shop::open_with(&["--max-active", "1", "--turn-url", &format!("http://{address}/enter?token={{token}}")]);
    line.set(shop.address()).unwrap();
    let inside = shop.client(&fan(1)).await;
    let token = inside.enter(None).await;
    let browser = shop.browser(Wishes::default()).await;
    sign_in(&browser, BUYER).await;

    browser.driver.goto(format!("http://{address}/enter?token=made-up")).await.unwrap();
    assert_eq!(browser.arrive("/line").await, "/line", "without a turn the other shop sends its visitors to the line");
    browser.click("form[action='/line'] button").await;
    browser.arrive("/line/").await;
    browser.element("[data-scene=waiting]").await;
    inside.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    browser.click(CLAIM).await;
    browser.element("#inside").await;
    assert!(browser.path().await.starts_with(&format!("http://{address}/enter?token=")));
    browser.assert_quiet().await;
    browser.close().await;
    other_shop.abort();
}
