//! Writes answers: JSON bodies, pages, replays.

use crate::edge::{
    extract::{Cursor, Limit, PathKey},
    problem::Problem,
};
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use frontrow_domain::command::Replay;
use frontrow_storage::Page;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; none after the last row.
    #[schema(format = "cursor")]
    pub next_cursor: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, bound = "K: PathKey + PartialSchema")]
pub struct PageQuery<K: PartialSchema> {
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    pub cursor: Option<Cursor<K>>,
}

/// How many entities one request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// One: the answer is an object.
    One,
    /// A list: so is the answer.
    Several,
}

impl From<bool> for Arity {
    fn from(several: bool) -> Self {
        if several { Self::Several } else { Self::One }
    }
}

/// The page that a query asks for.
#[must_use]
pub fn page<K>(limit: Limit, cursor: Option<Cursor<K>>) -> Page<K> {
    Page { after: cursor.map(|cursor| cursor.0), limit: limit.get() }
}

/// A page's rows, with the cursor of the next page if this one is full.
pub fn next_page<T, K: Display>(items: Vec<T>, page: &Page<K>, key: impl Fn(&T) -> K) -> List<T> {
    let full = u32::try_from(items.len()).is_ok_and(|len| len >= page.limit);
    let next_cursor = items.last().filter(|_| full).map(|last| Cursor(key(last)).to_string());
    List { items, next_cursor }
}

/// A JSON answer.
pub fn json<T: Serialize>(body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(_) => Problem::from(frontrow_service::office::ServiceError::Internal("an answer could not be written"))
            .into_response(),
    }
}

/// The one row, or the list of them.
#[must_use]
pub fn one_or_list<T: Serialize>(items: Vec<T>, arity: Arity) -> Response {
    match (arity, items.as_slice()) {
        (Arity::One, [only]) => json(only),
        _ => json(&List { items, next_cursor: None }),
    }
}

/// Marks a replayed answer.
pub fn replayed(response: impl IntoResponse, replay: Replay) -> Response {
    let mut response = response.into_response();
    if replay == Replay::Replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}
