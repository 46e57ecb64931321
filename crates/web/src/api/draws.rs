//! The draw of a lobby: its commitment, its record, the proof of an entry, and the beacon's signature.

use crate::edge::{
    auth::SignedIn,
    extract::{JsonBody, PathId, PathText},
    problem::{HttpResult, Problem},
    reply::json,
    state::SharedState,
};
use axum::{extract::State, response::Response};
use frontrow_domain::{id::RoomId, line::DrawStatus, time::Time};
use frontrow_draw::{BeaconSignature, RULES, SCHEME, randomness_of};
use frontrow_service::draws::{DrawProof, DrawStanding};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a draw is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrawStage {
    /// The lobby is open: every waiting token is an entry.
    Lobby,
    /// The lobby is closed, and the order is not drawn yet.
    Sealed,
    /// The order is drawn.
    Drawn,
}

/// The beacon whose round takes part in a draw: a chain of drand.
#[derive(Debug, Serialize, ToSchema)]
pub struct BeaconChain {
    /// The hash that names the chain, in hexadecimal digits.
    #[schema(example = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971")]
    hash: String,
    /// The scheme of its signatures.
    #[schema(example = "bls-unchained-g1-rfc9380")]
    scheme: &'static str,
    /// The key that its rounds are verified with, in hexadecimal digits.
    #[schema(
        example = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
    )]
    public_key: String,
    /// When round 1 came, in seconds since 1970.
    #[schema(example = 1_692_803_367)]
    genesis_seconds: u64,
    /// How many seconds after a round the next one comes.
    #[schema(example = 3)]
    period_seconds: u32,
}

/// The entries of a sealed lobby.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealedLobby {
    /// When the entries were fixed.
    sealed_at: Time,
    /// How many entries there are.
    #[schema(example = 12_000)]
    entries: i64,
    /// The root of the Merkle tree of the entries, in hexadecimal digits.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    root: String,
    /// The beacon's round that takes part: the first one after that.
    #[schema(example = 28_000_000)]
    round: u64,
    /// Until when the draw waits for the round's signature. Then the secret alone decides.
    deadline: Time,
}

/// The result of a draw.
#[derive(Debug, Serialize, ToSchema)]
pub struct DrawOutcome {
    /// When the order was drawn.
    drawn_at: Time,
    /// What decided: `beacon`, or `secret_alone` if no signature was handed in.
    #[schema(example = "beacon")]
    decided_by: &'static str,
    /// The secret, in hexadecimal digits.
    #[schema(example = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")]
    secret: String,
    /// The round's signature, in hexadecimal digits; none if it was not handed in.
    #[schema(
        example = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
    )]
    signature: Option<String>,
    /// The round's randomness, in hexadecimal digits; none if the signature was not handed in.
    #[schema(example = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd")]
    randomness: Option<String>,
    /// The seed from which the order follows, in hexadecimal digits.
    #[schema(example = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    seed: String,
}

/// The draw of a lobby.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Draw)]
pub struct DrawBody {
    /// The room.
    room_id: RoomId,
    /// How far the draw is.
    stage: DrawStage,
    /// When the sale opens, and the lobby is sealed.
    opens_at: Option<Time>,
    /// How many are in the lobby now; 0 once it is sealed.
    #[schema(example = 3_100)]
    in_lobby: i64,
    /// The SHA-256 that commits to the secret, in hexadecimal digits.
    #[schema(example = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c")]
    secret_hash: String,
    /// When the secret was committed to.
    committed_at: Time,
    /// The beacon.
    beacon: BeaconChain,
    /// The entries; none before they are fixed.
    sealed: Option<SealedLobby>,
    /// The result; none before the order is drawn.
    result: Option<DrawOutcome>,
    /// The rules, with every formula.
    #[schema(value_type = String, example = "Each entry has a number, in the order of coming.")]
    rules: &'static str,
}

impl From<DrawStanding> for DrawBody {
    fn from(standing: DrawStanding) -> Self {
        let DrawStanding { room, secret_hash, draw, in_lobby } = standing;
        let chain = draw.beacon.chain;
        Self {
            room_id: room.room_id,
            stage: match room.draw.status() {
                DrawStatus::None | DrawStatus::Lobby => DrawStage::Lobby,
                DrawStatus::Sealed => DrawStage::Sealed,
                DrawStatus::Placing | DrawStatus::Placed => DrawStage::Drawn,
            },
            opens_at: room.opens_at,
            in_lobby,
            secret_hash: secret_hash.to_string(),
            committed_at: draw.begun_at,
            beacon: BeaconChain {
                hash: chain.hash.to_string(),
                scheme: SCHEME,
                public_key: chain.public_key.to_string(),
                genesis_seconds: chain.genesis_seconds,
                period_seconds: chain.period_seconds.get(),
            },
            sealed: draw.sealed.as_ref().map(|sealed| SealedLobby {
                sealed_at: sealed.sealed_at,
                entries: sealed.entered.len(),
                root: sealed.root.to_string(),
                round: sealed.round.0,
                deadline: draw.deadline().unwrap_or(sealed.sealed_at),
            }),
            result: draw.result.as_ref().map(|result| DrawOutcome {
                drawn_at: result.drawn_at,
                decided_by: if result.signature.is_some() { "beacon" } else { "secret_alone" },
                secret: draw.secret.reveal(),
                signature: result.signature.as_ref().map(ToString::to_string),
                randomness: result.signature.as_ref().map(|signature| randomness_of(signature).to_string()),
                seed: result.seed.to_string(),
            }),
            rules: RULES,
        }
    }
}

/// The signature of a round of the beacon.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeaconRequest {
    /// The signature, 96 hexadecimal digits, as drand publishes it.
    #[schema(
        pattern = "^[0-9a-f]{96}$",
        min_length = 96,
        max_length = 96,
        example = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
    )]
    signature: String,
}

/// The record of a draw without its entries. `docs/draw.md` says what its further fields are.
#[derive(Debug, ToSchema)]
#[schema(as = DrawFacts)]
#[expect(dead_code, reason = "describes what the crate of the draw writes")]
pub struct DrawFactsBody {
    /// The format.
    #[schema(example = "frontrow-draw/1")]
    format: String,
    /// The room.
    #[schema(example = 1)]
    room: i64,
    /// How many entries were drawn.
    #[schema(example = 12_000)]
    entry_count: u64,
    /// What decided the order: `beacon` or `secret_alone`.
    #[schema(example = "beacon")]
    decided_by: String,
}

/// An entry with what proves it.
#[derive(Debug, ToSchema)]
#[schema(as = ProvedEntry)]
#[expect(dead_code, reason = "describes what the crate of the draw writes")]
pub struct ProvedEntryBody {
    /// Its number.
    #[schema(example = 42)]
    number: i64,
    /// The text that was hashed.
    #[schema(
        example = "frontrow draw entry\nroom 1\nentry 42\nuser 0193f3c4-5a6b-7c8d-9e0f-112233445508\nentered_at 1"
    )]
    text: String,
    /// The hash of the text: a leaf of the tree.
    #[schema(example = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")]
    leaf: String,
    /// The leaf's index among all leaves, from 0.
    #[schema(example = 40)]
    index: u64,
    /// The siblings on the way from the leaf to the root.
    #[schema(example = json!(["fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd"]))]
    path: Vec<String>,
    /// What the entry was ordered by.
    #[schema(example = "128e474bd9af3e9d779a03f482caa35af3c00999ae7820b72cbe8cd9e9272f9e")]
    key: String,
}

/// The proof of an entry in a draw. `docs/draw.md` says how to check it.
#[derive(Debug, ToSchema)]
#[schema(as = EntryProof)]
#[expect(dead_code, reason = "describes what the crate of the draw writes")]
pub struct EntryProofBody {
    /// The record of the draw without its entries.
    record: DrawFactsBody,
    /// The entry.
    entry: ProvedEntryBody,
    /// Its rank in the draw, from 1.
    #[schema(example = 7)]
    rank: u64,
    /// The place in line that the rank became.
    #[schema(example = 12_157)]
    position: i64,
}

/// The proof of an entry, or before the draw the draw as it stands.
#[derive(Debug, ToSchema)]
#[schema(as = EntryProofOrDraw)]
#[serde(untagged)]
pub enum EntryProofAnswer {
    /// The proof.
    Proved(EntryProofBody),
    /// The draw.
    NotDrawn(DrawBody),
}

/// The record of a draw: all that is needed to repeat it. `frontrow verify-draw` reads it, and `docs/draw.md` says what
/// its further fields are.
#[derive(Debug, ToSchema)]
#[schema(as = DrawRecord)]
#[expect(dead_code, reason = "describes what the crate of the draw writes")]
pub struct DrawRecordBody {
    /// The format.
    #[schema(example = "frontrow-draw/1")]
    format: String,
    /// The room.
    #[schema(example = 1)]
    room: i64,
    /// How many entries were drawn.
    #[schema(example = 12_000)]
    entry_count: u64,
    /// What decided the order: `beacon` or `secret_alone`.
    #[schema(example = "beacon")]
    decided_by: String,
    /// Pairs of the number of an entry and its leaf, by ascending number.
    #[schema(value_type = Vec<Vec<serde_json::Value>>, example = json!([
        [1, "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]
    ]))]
    entries: Vec<serde_json::Value>,
}

/// The draw of a room's lobby.
///
/// Before the opening its commitment: the hash of the secret, the beacon and the rules. Once the lobby is sealed the root
/// of its entries, and after the draw all that it followed from.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/draw", tag = "queue", operation_id = "draw", security(()),
    params(("room_id" = RoomId, Path, description = "The room: that of a concert has the concert's number")),
    responses((status = 200, description = "The draw", body = DrawBody)))]
pub(super) async fn draw(State(app): State<SharedState>, PathId(room_id): PathId<RoomId>) -> HttpResult<Response> {
    Ok(json(&DrawBody::from(app.office.draw_standing(room_id).await?)))
}

/// The record of a draw.
///
/// Everything that is needed to repeat the draw, with the hash of every entry: a file for `frontrow verify-draw`.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/draw/record", tag = "queue", operation_id = "draw_record",
    security(()), params(("room_id" = RoomId, Path, description = "The room")),
    responses((status = 200, description = "The record", body = DrawRecordBody)))]
pub(super) async fn record(State(app): State<SharedState>, PathId(room_id): PathId<RoomId>) -> HttpResult<Response> {
    Ok(json(&app.office.draw_record(room_id).await?))
}

/// Hands in the beacon's round.
///
/// Anybody who is signed in may hand in the signature of the round that a sealed draw waits for. It is verified, and the
/// order is drawn. A draw that is drawn already stays as it is: 200.
#[utoipa::path(post, path = "/api/v1/rooms/{room_id}/draw/beacon", tag = "queue", operation_id = "hand_in_beacon",
    params(("room_id" = RoomId, Path, description = "The room")), request_body = BeaconRequest,
    responses((status = 200, description = "The draw", body = DrawBody)))]
pub(super) async fn hand_in(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(room_id): PathId<RoomId>,
    JsonBody(body): JsonBody<BeaconRequest>,
) -> HttpResult<Response> {
    let signature: BeaconSignature = body
        .signature
        .parse()
        .map_err(|_| Problem::invalid_field("signature", "must have 96 hexadecimal digits in lower case"))?;
    Ok(json(&DrawBody::from(app.office.hand_in_beacon(caller, room_id, signature).await?)))
}

/// The proof of one's own entry.
///
/// For the token's own user, with either token: that of the entry, or the one that the draw gave. Before the draw the
/// answer is the draw as it stands.
#[utoipa::path(get, path = "/api/v1/queue/tokens/{token}/draw", tag = "queue", operation_id = "entry_proof",
    params(("token" = String, Path, description = "The token")),
    responses((status = 200, description = "The proof, or the draw as it stands before it", body = EntryProofAnswer)))]
pub(super) async fn proof(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathText(token): PathText,
) -> HttpResult<Response> {
    Ok(match app.office.entry_proof(caller, &token).await? {
        DrawProof::Proved(proof) => json(&*proof),
        DrawProof::NotDrawn(standing) => json(&DrawBody::from(*standing)),
    })
}
