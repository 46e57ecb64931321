//! Reports of lines that are over.

use crate::api::operator::rooms::ToldWaitsBody;
use crate::edge::{
    auth::PublicRead, base_url::BaseUrl, extract::PathId, problem::HttpResult, reply::json, state::SharedState,
};
use axum::{extract::State, response::Response};
use frontrow_domain::{id::RoomId, line::LaneKind, time::Time};
use frontrow_service::line::SignedLineReport;
use frontrow_signing::{LaneCounts, LineCounts};
use serde::Serialize;
use utoipa::ToSchema;

/// What became of a line that is over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineReport)]
pub struct ReportBody {
    /// The report, signed by ES256 with a key of `/.well-known/jwks.json`: a JSON Web Token of the type
    /// `frontrow-line-report+jwt`, which says the same as the fields beside it.
    #[schema(example = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImZyb250cm93LWxpbmUtcmVwb3J0K2p3dCJ9.e30.c2lnbmF0dXJl")]
    report: String,
    /// The room.
    room_id: RoomId,
    /// When its sale opened; none if that was not set.
    opens_at: Option<Time>,
    /// When its sale was over.
    closes_at: Option<Time>,
    /// The general line.
    #[serde(flatten)]
    counts: CountsBody,
    /// The lanes beside it, each with the same counts; none if there were none.
    lanes: Vec<LaneCountsBody>,
    /// How near the told waits of the general line were to those that came, by the horizon at which they were told: of a
    /// sample of the tokens, as far as the instance that answers told them since its start. Not in the signed report.
    told_waits: Vec<ToldWaitsBody>,
}

/// What became of the tokens of one line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineCounts)]
pub struct CountsBody {
    /// Tokens that had a place in the line: as many as ended in one of the ways below.
    #[schema(example = 12_000)]
    entered: i64,
    /// Entries of the lobby that were drawn and got such a place.
    #[schema(example = 9_500)]
    drawn: i64,
    /// Tokens that were activated; each is once at most.
    #[schema(example = 4_100)]
    admitted: i64,
    /// Turns that were not claimed in time.
    #[schema(example = 820)]
    missed: i64,
    /// Turns that met a token whose client was not heard of.
    #[schema(example = 1_310)]
    passed_over: i64,
    /// Tokens that ended with a payment.
    #[schema(example = 3_600)]
    paid: i64,
    /// Tokens whose users left.
    #[schema(example = 700)]
    left: i64,
    /// Tokens that operators removed.
    #[schema(example = 2)]
    removed: i64,
    /// Tokens whose time ran out: inside, or on the way back to the line.
    #[schema(example = 1_900)]
    expired: i64,
    /// Tokens that ended because they let too many turns pass.
    #[schema(example = 298)]
    missed_out: i64,
    /// Tokens that still waited when the line was over.
    #[schema(example = 5_500)]
    waiting_at_end: i64,
    /// The most tokens that were active at once.
    #[schema(example = 400)]
    active_most: i64,
    /// The highest cap under which a token was activated.
    #[schema(example = 400)]
    cap_most: i64,
    /// By how many active tokens an activation exceeded the cap in force, at most: measured at each activation, and 0
    /// unless the rule was broken.
    #[schema(example = 0)]
    overshoot: i64,
}

/// What became of the tokens of a lane.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LaneCounts)]
pub struct LaneCountsBody {
    /// Whom it was for.
    lane: LaneKind,
    /// Its tokens.
    #[serde(flatten)]
    counts: CountsBody,
}

impl From<LineCounts> for CountsBody {
    fn from(counts: LineCounts) -> Self {
        Self {
            entered: counts.entered,
            drawn: counts.drawn,
            admitted: counts.admitted,
            missed: counts.missed,
            passed_over: counts.passed_over,
            paid: counts.paid,
            left: counts.left,
            removed: counts.removed,
            expired: counts.expired,
            missed_out: counts.missed_out,
            waiting_at_end: counts.waiting_at_end,
            active_most: counts.active_most,
            cap_most: counts.cap_most,
            overshoot: counts.overshoot,
        }
    }
}

impl From<SignedLineReport> for ReportBody {
    fn from(SignedLineReport { claims, signed, told }: SignedLineReport) -> Self {
        Self {
            report: signed,
            room_id: RoomId::new(claims.room),
            opens_at: claims.opens_at.map(Time::from_micros),
            closes_at: claims.closes_at.map(Time::from_micros),
            counts: claims.counts.into(),
            lanes: claims
                .lanes
                .into_iter()
                .map(|LaneCounts { lane, counts }| LaneCountsBody { lane, counts: counts.into() })
                .collect(),
            told_waits: told.into_iter().map(ToldWaitsBody::from).collect(),
        }
    }
}

/// The report of a line.
///
/// Once the sale of the room has ended and no token of its line or of a lane lives: how many entered, were drawn, came in
/// and missed their turns, and whether more were ever inside than the cap allowed. Signed, so that anybody can verify it
/// without a call. The counts are kept with the room, also when the rows of its tokens are removed. A lane is in the report
/// of its line. The line of the house room is never over; a sale that is opened again has another report after it. A line
/// that began before tokens were counted has no report: `not_found`, with `what` `line_report`.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/line-report", tag = "queue", operation_id = "line_report",
    security(()), params(("room_id" = RoomId, Path, description = "The room: that of a concert has the concert's number")),
    responses((status = 200, description = "The report", body = ReportBody)))]
pub(super) async fn report(
    State(app): State<SharedState>,
    _: PublicRead<2>,
    base: BaseUrl,
    PathId(room_id): PathId<RoomId>,
) -> HttpResult<Response> {
    Ok(json(&ReportBody::from(app.office.line_report(room_id, base.as_str()).await?)))
}
