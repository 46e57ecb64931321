//! The crowd's requests as an operator: rooms, top-ups, and the books.

use crate::{
    api::{Items, Room, Session},
    client::{ConnectionChoice, HttpResponse},
    retry::{Ask, Desk, RequestReply},
};
use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

/// A signed-in caller for requests that are not part of the sale.
#[derive(Debug)]
pub(crate) struct SignedInClient<'a> {
    desk: &'a Desk,
    session: Option<String>,
    origin: ConnectionChoice,
}

impl<'a> SignedInClient<'a> {
    /// A caller with a session, or without one.
    pub(crate) const fn new(desk: &'a Desk, session: Option<String>) -> Self {
        Self { desk, session, origin: ConnectionChoice::Shared }
    }

    /// The same caller from another address.
    pub(crate) fn from(self, origin: ConnectionChoice) -> Self {
        Self { origin, ..self }
    }

    /// Signs in.
    ///
    /// # Errors
    /// The server cannot be reached or does not know the account.
    pub(crate) async fn sign_in(
        desk: &'a Desk,
        email: &str,
        password: &str,
        origin: ConnectionChoice,
    ) -> Result<(Self, Session)> {
        let anonymous = Self::new(desk, None).from(origin);
        let session: Session = anonymous
            .post("/sessions", json!({ "email": email, "password": password }))
            .await
            .with_context(|| format!("cannot sign {email} in"))?;
        Ok((Self::new(desk, Some(session.session_token.clone())), session))
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    fn ask<'b>(&'b self, method: &'static str, path: &'b str, body: Option<Value>) -> Ask<'b> {
        Ask {
            call: "other",
            method,
            path,
            session: self.session(),
            token: None,
            body,
            due: Instant::now(),
            origin: self.origin,
        }
    }

    /// Reads something.
    ///
    /// # Errors
    /// It is refused, or not what was expected.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let reply = self.desk.read(&self.ask("GET", path, None)).await;
        parse("GET", path, reply)
    }

    /// Changes something with POST.
    ///
    /// # Errors
    /// It is refused, or answered with something else than expected.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T> {
        self.send("POST", path, Some(body)).await
    }

    /// Changes something with any method.
    ///
    /// # Errors
    /// It is refused, or answered with something else than expected.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> Result<T> {
        parse(method, path, self.try_send(method, path, body).await)
    }

    /// Changes something and gives the bare answer.
    pub(crate) async fn try_send(&self, method: &'static str, path: &str, body: Option<Value>) -> RequestReply {
        let mut rng: StdRng = StdRng::from_seed(rand::make_rng::<StdRng>().random());
        self.desk.act(&self.ask(method, path, body), &mut rng).await
    }

    /// Reads a list page by page until it ends or `enough` says so of a row; that row and later ones are left out.
    ///
    /// # Errors
    /// A page cannot be read.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        mut enough: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        let mut cursor = None::<String>;
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = match &cursor {
                Some(cursor) => format!("{path}{joint}limit=100&cursor={}", encoded(cursor)),
                None => format!("{path}{joint}limit=100"),
            };
            let items: Items<T> = self.get(&page).await?;
            for row in items.items {
                if enough(&row) {
                    return Ok(rows);
                }
                rows.push(row);
            }
            match items.next_cursor {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(rows),
            }
        }
    }

    /// A room with its live numbers.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn room(&self, room_id: i64) -> Result<Room> {
        self.get(&format!("/operator/rooms/{room_id}")).await
    }
}

fn parse<T: DeserializeOwned>(method: &str, path: &str, reply: RequestReply) -> Result<T> {
    let answer = match reply {
        RequestReply::Definite(answer) => answer,
        RequestReply::None => bail!("{method} {path}: no answer"),
    };
    let HttpResponse { status, body, .. } = answer;
    if status >= 300 {
        bail!("{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    }
    let body: &[u8] = if body.is_empty() { b"null" } else { &body };
    serde_json::from_slice(body).with_context(|| format!("{method} {path}: the answer is not what was expected"))
}

/// A cursor as part of an address.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cursor_is_encoded_for_an_address() {
        assert_eq!(super::encoded("a-B_9=+/"), "a-B_9%3D%2B%2F");
    }
}
