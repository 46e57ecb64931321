//! Receipts of places in a line.

use crate::edge::{
    auth::SignedIn, base_url::BaseUrl, extract::PathText, problem::HttpResult, reply::json, state::SharedState,
};
use axum::{extract::State, response::Response};
use frontrow_domain::{
    id::RoomId,
    line::{EndReason, LaneKind, OpeningOrder, TokenStatus},
    time::Time,
};
use frontrow_service::line::SignedReceipt;
use serde::{Deserialize, Serialize, de::IntoDeserializer};
use utoipa::ToSchema;

/// What became of a place in a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineReceipt)]
pub struct ReceiptBody {
    /// The receipt, signed by ES256 with a key of `/.well-known/jwks.json`: a JSON Web Token of the type
    /// `frontrow-receipt+jwt`, which says the same as the fields beside it.
    #[schema(example = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImZyb250cm93LXJlY2VpcHQrand0In0.e30.c2lnbmF0dXJl")]
    receipt: String,
    /// The room.
    room_id: RoomId,
    /// The kind of the lane that the place was in; none in the general line.
    lane: Option<LaneKind>,
    /// When its user joined the line.
    joined_at: Time,
    /// How the place was given: by the draw of a lobby, or in the order of coming.
    opening: OpeningOrder,
    /// The number of the entry in the draw; none without one.
    #[schema(example = 12)]
    entry: Option<i64>,
    /// How many entries were drawn; none without a draw, and before it.
    #[schema(example = 3_100)]
    entries: Option<i64>,
    /// The rank that was drawn; none without a draw, and before it.
    #[schema(example = 421)]
    rank: Option<i64>,
    /// The place in the line; none while the order is not drawn.
    #[schema(example = 3_521)]
    position: Option<i64>,
    /// How many places there were in front of it when it was given; none while the order is not drawn.
    #[schema(example = 420)]
    ahead_at_start: Option<i64>,
    /// The token's status.
    status: TokenStatus,
    /// How many turns it let pass.
    #[schema(example = 0)]
    turns_passed: u32,
    /// When its turn was claimed.
    activated_at: Option<Time>,
    /// When it ended.
    ended_at: Option<Time>,
    /// Why it ended.
    end_reason: Option<EndReason>,
}

/// A value by its word.
fn of_word<T: for<'a> Deserialize<'a>>(word: &str) -> Option<T> {
    T::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(word)).ok()
}

impl From<SignedReceipt> for ReceiptBody {
    fn from(SignedReceipt { claims, signed }: SignedReceipt) -> Self {
        Self {
            receipt: signed,
            room_id: RoomId::new(claims.room),
            lane: claims.lane,
            joined_at: Time::from_micros(claims.joined_at),
            opening: of_word(&claims.opening).unwrap_or_default(),
            entry: claims.entry,
            entries: claims.entries,
            rank: claims.rank,
            position: claims.place,
            ahead_at_start: claims.ahead_at_start,
            status: of_word(&claims.status).unwrap_or(TokenStatus::Ended),
            turns_passed: claims.turns_passed,
            activated_at: claims.activated_at.map(Time::from_micros),
            ended_at: claims.ended_at.map(Time::from_micros),
            end_reason: claims.end_reason.as_deref().and_then(of_word),
        }
    }
}

/// The receipt of a place.
///
/// For the token's own user: when it came, how its place was given, how many were in front, and what became of it. Signed,
/// so that anybody can verify it without a call. It is there as long as the token's row is kept.
#[utoipa::path(get, path = "/api/v1/queue/tokens/{token}/receipt", tag = "queue", operation_id = "line_receipt",
    params(("token" = String, Path, description = "The token")),
    responses((status = 200, description = "The receipt", body = ReceiptBody)))]
pub(super) async fn receipt(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    base: BaseUrl,
    PathText(token): PathText,
) -> HttpResult<Response> {
    Ok(json(&ReceiptBody::from(app.office.line_receipt(caller, &token, base.as_str()).await?)))
}
