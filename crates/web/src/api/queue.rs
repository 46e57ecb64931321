//! The waiting line: join, poll, follow, activate, leave.

use crate::api::shapes::LaneShape;
use crate::edge::{
    auth::{ClientAddress, OptionalCaller, SignedIn, TokenWatcher},
    events::{self, EventSource, NextEvent},
    extract::{OptionalJsonBody, PathText, QueryParams},
    idempotency::IdempotencyKey,
    join::{self, JoinAsk, JoinProof},
    problem::{HttpResult, Problem},
    reply::{List, json, replayed},
    state::SharedState,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use frontrow_domain::{
    command::Issue,
    id::{ConcertId, Position, RoomId},
    line::{EndReason, LaneKind, StockOutlook, TokenStatus},
    time::Time,
};
use frontrow_line::view::WaitUnknown;
use frontrow_service::{
    join_work::{WORK_LEN_MAX, WorkChallenge},
    line::{LineStatus, LineStream, LineWanted, TokenPlace, Wait},
    office::Reply,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which line to join.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The concert; without it the house room's line is joined.
    #[serde(default)]
    concert_id: Option<ConcertId>,
    /// A room, in place of a concert: one in front of another site, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room_id: Option<RoomId>,
    /// The answer to a challenge of `GET /queue/challenge`, if a new place asks for work: the JSON of `algorithm`,
    /// `challenge`, `number`, `salt` and `signature` in base64, as ALTCHA's widget and libraries write it.
    // Another answer to another challenge is the same request: it has no part in what an idempotency key stands for.
    #[serde(default, skip_serializing)]
    #[schema(max_length = 1024, example = "eyJhbGdvcml0aG0iOiJTSEEtMjU2IiwibnVtYmVyIjo0Mn0=")]
    altcha: Option<String>,
    /// What the shop's own page found out about the client, for the program that checks new places, if this box office has
    /// one.
    #[serde(default, skip_serializing)]
    #[schema(max_length = 1024, example = "0.8fKq2")]
    proof: Option<String>,
}

/// The longest text for the checker, in characters.
const CHECKER_PROOF_LEN_MAX: usize = 1_024;

/// The line of a challenge.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ChallengeQuery {
    /// The concert; without it and a room, the house room.
    concert_id: Option<ConcertId>,
    /// A room, in place of a concert.
    room_id: Option<RoomId>,
}

/// A challenge in ALTCHA's form: the number from 0 to `maxnumber` is wanted, of which SHA-256 of `salt` and the number in
/// decimal digits is `challenge`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JoinChallenge)]
pub struct ChallengeBody {
    /// How to hash.
    #[schema(example = "SHA-256")]
    algorithm: &'static str,
    /// The wanted hash, in hexadecimal.
    #[schema(example = "2a2d5ad6b1a2c1a0a7d8f4f1a8f4e2d9c3b7a6e5d4c3b2a190807f6e5d4c3b2a")]
    challenge: String,
    /// The highest number that it may be; half of it is tried on average.
    #[schema(minimum = 30_000, maximum = 300_000, example = 30_000)]
    maxnumber: u32,
    /// What stands before the number. It says until when the challenge is good, for which room and for whom.
    #[schema(
        example = "9f86d081884c7d659a2feaa0c55ad015?expires=1796000000&room=1&user=0195e7a0-52c1-7b7a-8e44-1f0c6b9d2a35&"
    )]
    salt: String,
    /// The server's signature, in hexadecimal.
    #[schema(example = "b7a6e5d4c3b2a190807f6e5d4c3b2a2a2d5ad6b1a2c1a0a7d8f4f1a8f4e2d9c3")]
    signature: String,
}

/// A queue token, for its user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueToken)]
pub struct TokenBody {
    /// The token to send as `Queue-Token`. A client that has it can read the place in line and nothing else.
    #[schema(example = "AQEAAAAAAAAAAAAAAAEAAAAAAAAAKgGT88Rabnx9")]
    token: String,
    /// The room.
    room_id: RoomId,
    /// The kind of the lane that the place is in; none in the general line. A token of a lane is good for all that one of
    /// the general line is.
    lane: Option<LaneKind>,
    /// The concert whose own room it is; none in the house room.
    concert_id: Option<ConcertId>,
    /// The place in the line. It never changes, but that the draw gives those in a lobby their places at the opening:
    /// before it, this is the number of the entry.
    position: Position,
    /// The token's status.
    status: TokenStatus,
    /// When it was issued.
    issued_at: Time,
    /// When it was activated.
    activated_at: Option<Time>,
    /// The end of its state: the deadline of the claim of an offered token, the end of an active one.
    deadline: Option<Time>,
    /// When it ended.
    expired_at: Option<Time>,
    /// Why it ended; `missed` after it let too many turns pass, `concert_over` when its concert was cancelled or is over,
    /// `drawn` after the draw of a lobby gave its user another, `removed` when an operator removed its user from the line,
    /// `room_closed` when its room, which stood in front of another site, was closed.
    end_reason: Option<EndReason>,
    /// Its place in the line now.
    queue: PositionBody,
}

/// A place in the line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuePosition)]
pub struct PositionBody {
    /// The token's status.
    status: TokenStatus,
    /// The place in the line. It never changes, but that the draw gives those in a lobby their places at the opening:
    /// before it, this is the number of the entry.
    position: Position,
    /// How many living tokens stand in front of it. It never rises, but that one of many instances may be a moment
    /// behind another. 0 in a lobby, whose order is not drawn yet.
    #[schema(example = 41)]
    ahead: i64,
    /// How many places there were in front of it when it got its own.
    #[schema(example = 4_120)]
    ahead_at_start: i64,
    /// How many wait in the room.
    #[schema(example = 12_000)]
    total_waiting: i64,
    /// How long it may take.
    estimated_wait: WaitBody,
    /// Whether seats are likely to be left when its turn comes, by what those before it bought; `sold_out` while all are
    /// sold. Null if it cannot be said: before enough was measured, for the house room, and once the token is active.
    outlook: Option<StockOutlook>,
    /// The end of its state: the deadline of the claim of an offered token, the end of an active one.
    deadline: Option<Time>,
    /// Until when seats may be held; none unless the token is active. What is held may be paid after that.
    hold_until: Option<Time>,
    /// Whether the token is offered its last turn: it ends if it lets this one pass.
    last_turn: bool,
    /// Why it ended; none while it lives, and once its row has been removed.
    end_reason: Option<EndReason>,
    /// When to ask next, in milliseconds from now.
    #[schema(minimum = 320, maximum = 36_000, example = 4_200)]
    poll_after_ms: i64,
    /// The box office's message to all in line.
    message: Option<String>,
    /// The kind of the lane that the place is in; none in the general line.
    lane: Option<LaneKind>,
    /// The lanes beside the general line, for all in any of them; none if there are none.
    lanes: Vec<LaneShape>,
    /// The moment at which the answer was true.
    as_of: Time,
    /// Whether the answer is older than a second, or a guess: the place in line was not known, and the database could
    /// not be asked. Ask again before you believe it.
    stale: bool,
}

/// An estimated wait.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EstimatedWait)]
pub struct WaitBody {
    /// Whether there is anything to estimate from.
    known: bool,
    /// Why there is no estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<WaitUnknown>,
    /// Half of those in this place wait no longer, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 95)]
    p50_seconds: Option<i64>,
    /// Nine in ten of those in this place wait no longer, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 130)]
    p90_seconds: Option<i64>,
}

impl From<LineStatus> for PositionBody {
    fn from(line: LineStatus) -> Self {
        let estimated_wait = match line.wait {
            Wait::Known { p50_seconds, p90_seconds } => {
                WaitBody { known: true, reason: None, p50_seconds: Some(p50_seconds), p90_seconds: Some(p90_seconds) }
            }
            Wait::Unknown(reason) => {
                WaitBody { known: false, reason: Some(reason), p50_seconds: None, p90_seconds: None }
            }
        };
        Self {
            status: line.status,
            position: line.position,
            ahead: line.ahead,
            ahead_at_start: line.ahead_at_start,
            total_waiting: line.total_waiting,
            estimated_wait,
            outlook: line.outlook,
            deadline: line.deadline,
            hold_until: line.hold_until,
            last_turn: line.is_last_turn,
            end_reason: line.end_reason,
            poll_after_ms: line.poll_after_ms,
            message: line.message,
            lane: line.lane,
            lanes: line.lanes.into_iter().map(LaneShape::from).collect(),
            as_of: line.as_of,
            stale: line.is_stale,
        }
    }
}

impl From<TokenPlace> for TokenBody {
    fn from(TokenPlace { token, signed, line }: TokenPlace) -> Self {
        Self {
            token: signed,
            room_id: token.id.room_id.general(),
            lane: token.id.room_id.lane_kind(),
            concert_id: token.id.room_id.concert(),
            position: token.id.position,
            status: token.status(),
            issued_at: token.issued_at,
            activated_at: token.activated_at(),
            deadline: token.deadline(),
            expired_at: token.expired_at(),
            end_reason: token.end_reason(),
            queue: line.into(),
        }
    }
}

/// Joins a line.
///
/// A user has one place in a room, in its general line or in a lane beside it: asking again, from any device, is answered
/// 200 with the place from before. An account that is on the list of a lane joins the lane: `lane` says so. The answer has
/// the queue token; ask for its position until it is `offered`.
#[utoipa::path(post, path = "/api/v1/queue/tokens", tag = "queue", operation_id = "issue_token",
    request_body(content = Option<JoinRequest>, description = "The concert or the room, or nothing for the house room"),
    responses((status = 201, description = "A new place", body = TokenBody),
        (status = 200, description = "The place from before", body = TokenBody)))]
pub(super) async fn issue(
    State(app): State<SharedState>,
    SignedIn { caller, user_id }: SignedIn,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    key: IdempotencyKey,
    OptionalJsonBody(body): OptionalJsonBody<JoinRequest>,
) -> HttpResult<Response> {
    let body = body.unwrap_or_default();
    let key = key.bind(caller, &Method::POST, "/queue/tokens", &[], &body)?;
    let proof = match body.altcha {
        Some(text) if text.len() > WORK_LEN_MAX => {
            return Err(Problem::invalid_field("altcha", format!("must have at most {WORK_LEN_MAX} characters")));
        }
        Some(text) => JoinProof::Work(text),
        None => JoinProof::Nothing,
    };
    if body.proof.as_ref().is_some_and(|text| text.len() > CHECKER_PROOF_LEN_MAX) {
        let detail = format!("must have at most {CHECKER_PROOF_LEN_MAX} characters");
        return Err(Problem::invalid_field("proof", detail));
    }
    let user_agent = join::user_agent(&headers);
    let line = LineWanted::named(body.room_id, body.concert_id)?;
    let ask = JoinAsk { caller, user_id, client, line, proof, user_agent, checker_proof: body.proof };
    let done = join::join(&app, &ask, key).await?;
    let (place, issue) = done.value;
    let status = match issue {
        Issue::New => StatusCode::CREATED,
        Issue::Existing => StatusCode::OK,
    };
    Ok(replayed((status, json(&TokenBody::from(place))), done.replay))
}

/// A challenge for a new place.
///
/// While many join, a new place asks the client's device for work (403 `join_work_needed`). The challenge is good for two
/// minutes, once, for the caller and this line. It has the fields of ALTCHA's proof of work, so its widget and libraries
/// solve it.
#[utoipa::path(get, path = "/api/v1/queue/challenge", tag = "queue", operation_id = "join_challenge",
    params(ChallengeQuery), responses((status = 200, description = "The challenge", body = ChallengeBody)))]
pub(super) async fn challenge(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
    QueryParams(query): QueryParams<ChallengeQuery>,
) -> HttpResult<Response> {
    let line = LineWanted::named(query.room_id, query.concert_id)?;
    let (_, challenge) = join::challenge(&app, user_id, line).await?;
    let WorkChallenge { algorithm, challenge, maxnumber, salt, signature } = challenge;
    Ok(json(&ChallengeBody { algorithm, challenge, maxnumber, salt, signature }))
}

/// The caller's places in line.
///
/// The tokens that have not ended, one for a room at most. The list has one page.
#[utoipa::path(get, path = "/api/v1/queue/tokens", tag = "queue", operation_id = "my_tokens",
    responses((status = 200, description = "The tokens", body = List<TokenBody>)))]
pub(super) async fn mine(State(app): State<SharedState>, SignedIn { user_id, .. }: SignedIn) -> HttpResult<Response> {
    let items: Vec<TokenBody> = app.office.live_tokens(user_id).await?.into_iter().map(TokenBody::from).collect();
    Ok(json(&List { items, next_cursor: None }))
}

/// A queue token.
///
/// For its own user. One that has ended can be looked up too: `end_reason` says why.
#[utoipa::path(get, path = "/api/v1/queue/tokens/{token}", tag = "queue", operation_id = "token",
    params(("token" = String, Path, description = "The token")),
    responses((status = 200, description = "The token", body = TokenBody)))]
pub(super) async fn one(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathText(token): PathText,
) -> HttpResult<Response> {
    Ok(json(&TokenBody::from(app.office.token(caller, &token).await?)))
}

/// The place in line.
///
/// No session is needed: the token alone reads its place and nothing else. Asking is the sign of life that keeps a place
/// in line awake. An active token is renewed only by its own user's session, or by the service key. Ask again after
/// `poll_after_ms`, not sooner.
#[utoipa::path(get, path = "/api/v1/queue/tokens/{token}/position", tag = "queue", operation_id = "position",
    security(()), params(("token" = String, Path, description = "The token")),
    responses((status = 200, description = "The place", body = PositionBody)))]
pub(super) async fn position(
    State(app): State<SharedState>,
    OptionalCaller(caller): OptionalCaller,
    PathText(token): PathText,
) -> HttpResult<Response> {
    let token = app.office.verified(&token).await?;
    app.limits.check_poll(token.id())?;
    Ok(json(&PositionBody::from(app.office.position(&token, caller).await)))
}

/// The place in line as a stream.
///
/// Events of `text/event-stream`, each with the place as `data`: `line` while the token waits, `turn` when the turn is
/// offered, `claimed` when it was claimed, `ended` when the token has ended, after which the stream ends. The first comes
/// at once, unless it is the one of `Last-Event-ID`; the next ones as soon as the place or what is said about it has
/// changed, four a second at most. A stream whose client reads it is the sign of life that keeps a place in line awake,
/// and with its user's session an active token: no polls are needed beside it. 204 means that the client has the last event.
#[utoipa::path(get, path = "/api/v1/queue/tokens/{token}/events", tag = "queue", operation_id = "line_events",
    security(()), params(("token" = String, Path, description = "The token"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that the client has")),
    responses((status = 200, description = "The events", body = LineEventText, content_type = "text/event-stream"),
        (status = 204, description = "The client has the last event")))]
pub(super) async fn events(
    State(app): State<SharedState>,
    ClientAddress(client): ClientAddress,
    OptionalCaller(caller): OptionalCaller,
    PathText(token): PathText,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let token = app.office.verified(&token).await?;
    app.limits.check_poll(token.id())?;
    let seen = events::last_event_id(&headers).and_then(|id| u64::from_str_radix(id, 16).ok());
    if seen.is_some() {
        let now = app.office.glance_at(&token).await;
        // No browser opens a stream again that was answered 204.
        if now.is_over() && seen == Some(now.fingerprint()) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    let place = app.streams.enter(client)?;
    Ok(events::answer(place, LineEvents { stream: app.office.line_stream(&token, caller), seen }))
}

/// Events of `text/event-stream`; the data of each is a `QueuePosition`.
#[derive(ToSchema)]
#[schema(as = LineEvents, value_type = String, example = "retry: 4213\n\nevent: turn\nid: 5f0e1c2d9a3b7c64\ndata: {}\n\n")]
#[expect(dead_code, reason = "describes what the stream writes")]
pub(super) struct LineEventText(String);

/// The events of a place in a line.
struct LineEvents {
    stream: LineStream,
    /// The id of the event that the client has.
    seen: Option<u64>,
}

impl EventSource for LineEvents {
    async fn next(&mut self) -> NextEvent {
        let Some(line) = self.stream.next().await else { return NextEvent::End };
        let (id, is_over) = (line.fingerprint(), line.is_over());
        if self.seen.replace(id) == Some(id) {
            return if is_over { NextEvent::End } else { NextEvent::Known };
        }
        let name = match line.status {
            TokenStatus::Waiting | TokenStatus::Dormant | TokenStatus::Missed => "line",
            TokenStatus::Offered => "turn",
            TokenStatus::Active => "claimed",
            TokenStatus::Ended => "ended",
        };
        let data = serde_json::to_vec(&PositionBody::from(line)).unwrap_or_default();
        let event = events::event(name, Some(&format!("{id:016x}")), &data);
        if is_over { NextEvent::Last(event) } else { NextEvent::Event(event) }
    }

    fn note_taken(&mut self) {
        self.stream.note_taken();
    }
}

/// Claims the turn.
///
/// 200 is an active token, which may hold and pay. 202 keeps the turn while the room is full for a moment, or puts a
/// missed turn back at the head of the line: ask for the position after `Retry-After`.
#[utoipa::path(patch, path = "/api/v1/queue/tokens/{token}/activate", tag = "queue", operation_id = "activate_token",
    params(("token" = String, Path, description = "The token")),
    responses((status = 200, description = "Active", body = TokenBody),
        (status = 202, description = "Not yet, but soon", body = TokenBody)))]
pub(super) async fn activate(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathText(token): PathText,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/queue/tokens/{token}/activate", &[&token], &())?;
    let Reply { value: place, replay } = app.office.activate_token(caller, &token, key).await?;
    let status = place.token.status();
    let body = json(&TokenBody::from(place));
    let response = if status == TokenStatus::Active {
        (StatusCode::OK, body).into_response()
    } else {
        (StatusCode::ACCEPTED, [(header::RETRY_AFTER, HeaderValue::from_static("1"))], body).into_response()
    };
    Ok(replayed(response, replay))
}

/// The client goes away.
///
/// For a page that is closed, by `navigator.sendBeacon`: the session may be in the cookie, and a body is not read. To go
/// away is not to leave. An offered or active token has 15 seconds left, unless seats are held with it; a waiting one
/// keeps its place, and after 15 seconds a turn passes it over. Any sign of life before that (the position, the events,
/// the claim; of an active token with its user's session) gives back exactly what the token had. As often as the
/// position may be asked for.
#[utoipa::path(post, path = "/api/v1/queue/tokens/{token}/away", tag = "queue", operation_id = "go_away",
    security(("session" = []), ("service_key" = [])),
    params(("token" = String, Path, description = "The token")),
    responses((status = 204, description = "Noted")))]
pub(super) async fn go_away(
    State(app): State<SharedState>,
    TokenWatcher(caller): TokenWatcher,
    PathText(token): PathText,
) -> HttpResult<StatusCode> {
    let token = app.office.verified(&token).await?;
    app.limits.check_poll(token.id())?;
    app.office.go_away(caller, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leaves the line.
///
/// The token ends and those behind move up. Leaving again is leaving: 204.
#[utoipa::path(delete, path = "/api/v1/queue/tokens/{token}", tag = "queue", operation_id = "leave_queue",
    params(("token" = String, Path, description = "The token")),
    responses((status = 204, description = "Left")))]
pub(super) async fn leave(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathText(token): PathText,
) -> HttpResult<StatusCode> {
    app.office.leave_queue(caller, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}
