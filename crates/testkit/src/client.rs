//! The client that tests call the API with.

use crate::{PATIENCE, events::EventReader, eventually, hall::Hall};
use bytes::Bytes;
use frontrow_domain::id::UserId;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use std::net::SocketAddr;
use uuid::Uuid;

/// A client of a server: anonymous, or with a session.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    root: String,
    secret: Option<String>,
    pub user: UserId,
}

/// A request on its way.
#[must_use]
pub struct ApiCall(reqwest::RequestBuilder);

impl ApiCall {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// The idempotency key.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// The queue token.
    pub fn token(self, token: &str) -> Self {
        self.header("queue-token", token)
    }

    pub fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    /// A body of this media type.
    pub fn body(self, media_type: &str, body: impl Into<Bytes>) -> Self {
        Self(self.0.header("content-type", media_type).body(body.into()))
    }

    /// A body as it is, said to be JSON.
    pub fn text(self, body: impl Into<String>) -> Self {
        Self(self.0.header("content-type", "application/json").body(body.into()))
    }

    /// A form as a page of the server sends it.
    pub fn form(self, fields: impl Into<String>) -> Self {
        let call = self.header("content-type", "application/x-www-form-urlencoded");
        Self(call.header("sec-fetch-site", "same-origin").0.body(fields.into()))
    }

    pub async fn send(self) -> ApiAnswer {
        self.try_send().await.unwrap()
    }

    /// The events of an answer that must be a stream of them.
    pub async fn events(self) -> EventReader {
        let response = self.0.send().await.unwrap();
        assert_eq!(response.status(), 200, "{response:?}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        EventReader::new(response)
    }

    /// The events of the answer, if it is a stream of them.
    pub async fn try_events(self) -> Option<EventReader> {
        let response = self.0.send().await.unwrap();
        (response.status() == 200).then(|| EventReader::new(response))
    }

    /// The answer, unless the server is gone before it is whole.
    pub async fn try_send(self) -> reqwest::Result<ApiAnswer> {
        let response = self.0.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(ApiAnswer { status, headers, body: response.bytes().await? })
    }
}

/// An answer of the server.
#[derive(Debug, Clone)]
pub struct ApiAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl ApiAnswer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body of an answer that must have this status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The body of a problem, which must have this status and code and everything that every problem has.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{body}");
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], format!("/problems/{code}"), "{body}");
        assert!(body["title"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        assert!(body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"), "{body}");
        body
    }

    /// A problem that names this field.
    pub fn problem_at(&self, status: u16, code: &str, field: &str) {
        let body = self.problem(status, code);
        assert_eq!(body["field"], field, "{body}");
    }

    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after").map(|seconds| seconds.parse().unwrap())
    }

    pub fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }
}

impl Client {
    /// A client of a server that has not signed in.
    pub fn anonymous(http: reqwest::Client, address: SocketAddr) -> Self {
        Self { http, root: format!("http://{address}"), secret: None, user: UserId(Uuid::nil()) }
    }

    /// The same client at a server that listens elsewhere.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { root: format!("http://{address}"), ..self.clone() }
    }

    /// The same client over HTTP/2 without TLS.
    #[must_use]
    pub fn over_http_2(&self) -> Self {
        Self { http: reqwest::Client::builder().http2_prior_knowledge().build().unwrap(), ..self.clone() }
    }

    /// The states of a token's place.
    pub async fn line_events(&self, token: &str) -> EventReader {
        self.call(Method::GET, &format!("/queue/tokens/{token}/events")).events().await
    }

    /// The same server with this secret.
    #[must_use]
    pub fn with_secret(&self, secret: &str) -> Self {
        Self { secret: Some(secret.to_owned()), ..self.clone() }
    }

    /// The same client, known to be of this user.
    #[must_use]
    pub fn of_user(self, user: UserId) -> Self {
        Self { user, ..self }
    }

    pub fn secret(&self) -> &str {
        self.secret.as_deref().unwrap()
    }

    /// A call of the API.
    pub fn call(&self, method: Method, path: &str) -> ApiCall {
        self.call_at(method, &format!("/api/v1{path}"))
    }

    /// A call of anything that the server has.
    pub fn call_at(&self, method: Method, path: &str) -> ApiCall {
        let request = self.http.request(method, format!("{}{path}", self.root)).timeout(PATIENCE);
        ApiCall(match &self.secret {
            Some(secret) => request.bearer_auth(secret),
            None => request,
        })
    }

    pub async fn get(&self, path: &str) -> ApiAnswer {
        self.call(Method::GET, path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> ApiAnswer {
        self.call(Method::POST, path).json(body).send().await
    }

    pub async fn put(&self, path: &str, body: &Value) -> ApiAnswer {
        self.call(Method::PUT, path).json(body).send().await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> ApiAnswer {
        self.call(Method::PATCH, path).json(body).send().await
    }

    pub async fn delete(&self, path: &str) -> ApiAnswer {
        self.call(Method::DELETE, path).send().await
    }

    /// Tops up points to the own account.
    pub async fn top_up(&self, amount: i64) -> Value {
        self.post("/points/top-ups", &json!({ "amount": amount })).await.expect(201)
    }

    pub async fn balance(&self) -> i64 {
        self.get("/points").await.expect(200)["balance"].as_i64().unwrap()
    }

    /// Joins the line of a concert, or of the house room.
    pub async fn join(&self, concert: Option<i64>) -> Value {
        let answer = self.post("/queue/tokens", &json!({ "concert_id": concert })).await;
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
        answer.json()
    }

    pub async fn position(&self, token: &str) -> Value {
        self.get(&format!("/queue/tokens/{token}/position")).await.expect(200)
    }

    /// Asks for the position until the token has this status.
    pub async fn wait_for(&self, token: &str, status: &str) -> Value {
        eventually(&format!("the token is {status}"), async || {
            let place = self.position(token).await;
            (place["status"] == status).then_some(place)
        })
        .await
    }

    pub async fn activate(&self, token: &str) -> ApiAnswer {
        self.call(Method::PATCH, &format!("/queue/tokens/{token}/activate")).send().await
    }

    /// Joins, waits for the turn and claims it.
    pub async fn enter(&self, concert: Option<i64>) -> String {
        let token = self.join(concert).await["token"].as_str().unwrap().to_owned();
        self.wait_for(&token, "offered").await;
        assert_eq!(self.activate(&token).await.expect(200)["status"], "active");
        token
    }

    pub fn hold_call(&self, token: &str, seat: i64) -> ApiCall {
        self.call(Method::POST, "/reservations").token(token).json(&json!({ "seat_id": seat }))
    }

    pub async fn hold(&self, token: &str, seat: i64) -> ApiAnswer {
        self.hold_call(token, seat).send().await
    }

    pub fn pay_call(&self, token: &str, reservation: i64) -> ApiCall {
        self.call(Method::POST, "/payments").token(token).json(&json!({ "reservation_id": reservation }))
    }

    pub async fn pay(&self, token: &str, reservation: i64) -> ApiAnswer {
        self.pay_call(token, reservation).send().await
    }

    /// Enters, holds a seat and pays for it. Returns the reservation's and the payment's number.
    pub async fn buy(&self, seat: i64) -> (i64, i64) {
        let token = self.enter(None).await;
        let reservation = id(&self.hold(&token, seat).await.expect(201), "reservation_id");
        (reservation, id(&self.pay(&token, reservation).await.expect(201), "payment_id"))
    }

    /// Reads the seat map, which may be a tenth of a second old, until the seat has this status in it.
    pub async fn sees(&self, hall: &Hall, seat: i64, status: &str) {
        eventually(&format!("seat {seat} is {status}"), async || {
            let map = self.get(&format!("{}/seats", hall.path())).await.expect(200);
            let row = map["seats"].as_array().unwrap().iter().find(|row| row["seat_id"] == seat).cloned().unwrap();
            (row["status"] == status).then_some(())
        })
        .await;
    }
}

/// A number in a body.
pub fn id(body: &Value, field: &str) -> i64 {
    body[field].as_i64().unwrap_or_else(|| panic!("no {field} in {body}"))
}

/// The items of a list.
pub fn items(body: &Value) -> &Vec<Value> {
    body["items"].as_array().unwrap_or_else(|| panic!("no list: {body}"))
}
