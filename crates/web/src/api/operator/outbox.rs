//! Operators' calls for the outbox, and the feed of the audit log.

use crate::{
    api::shapes::{AuditFeedPage, OutboxEventShape, OutboxState},
    edge::{
        auth::{OperatorOnly, SaleReader},
        extract::{Cursor, Limit, PathId, QueryParams},
        idempotency::IdempotencyKey,
        problem::HttpResult,
        reply::{List, json, next_page, page, replayed},
        state::SharedState,
    },
};
use axum::{Json, extract::State, http::Method, response::Response};
use frontrow_domain::id::{EventId, FeedNumber};
use frontrow_storage::{EventFilter, Page};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of the feed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct FeedQuery {
    /// The highest `feed_number` that the reader has; left out at the beginning.
    after: Option<FeedNumber>,
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
}

/// The events to find.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct OutboxQuery {
    /// The state to look for.
    #[param(inline)]
    state: Option<OutboxState>,
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor<EventId>>,
}

/// The feed of the audit log.
///
/// The same entries as in the audit log, oldest first, each with a number. A reader remembers the highest number and
/// asks for those after it, as often as it likes: an entry is here a few seconds after its action at most, unless the
/// outbox is not delivered, and never behind a number that was read.
#[utoipa::path(get, path = "/api/v1/operator/audit/feed", tag = "operator", operation_id = "audit_feed",
    params(FeedQuery), responses((status = 200, description = "A page", body = AuditFeedPage)))]
pub(in crate::api) async fn audit_feed(
    State(app): State<SharedState>,
    _reader: SaleReader,
    QueryParams(query): QueryParams<FeedQuery>,
) -> HttpResult<Json<AuditFeedPage>> {
    let fed = app.office.audit_feed(Page { after: query.after, limit: query.limit.get() }).await?;
    Ok(Json(fed.into()))
}

/// Events that are not delivered.
///
/// Newest first: those that wait for their delivery or its next try, and dead letters, whose deliveries failed too often.
#[utoipa::path(get, path = "/api/v1/operator/outbox", tag = "operator", operation_id = "outbox",
    params(OutboxQuery), responses((status = 200, description = "A page", body = List<OutboxEventShape>)))]
pub(in crate::api) async fn outbox(
    State(app): State<SharedState>,
    _reader: SaleReader,
    QueryParams(query): QueryParams<OutboxQuery>,
) -> HttpResult<Response> {
    let filter = match query.state {
        None => EventFilter::All,
        Some(OutboxState::Pending) => EventFilter::Pending,
        Some(OutboxState::Dead) => EventFilter::Dead,
    };
    let page = page(query.limit, query.cursor);
    let rows = app.office.outbox(filter, page).await?.into_iter().map(OutboxEventShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.event_id)))
}

/// Delivers a dead letter again.
///
/// At once, with all its tries. An event that waits for its next try stays as it is.
#[utoipa::path(post, path = "/api/v1/operator/outbox/{event_id}/retry", tag = "operator", operation_id = "retry_event",
    params(("event_id" = EventId, Path, description = "The event")),
    responses((status = 200, description = "The event", body = OutboxEventShape)))]
pub(in crate::api) async fn retry(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<EventId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/outbox/{id}/retry", &[&id], &())?;
    let done = app.office.retry_event(caller, id, key).await?;
    Ok(replayed(json(&OutboxEventShape::from(done.value)), done.replay))
}
