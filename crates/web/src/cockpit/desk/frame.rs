//! One moment of a sale as the browser gets it: the same bytes for all who watch it, in no language.

use crate::html::grade_looks;
use frontrow_domain::{
    id::Position,
    line::{Forecast, ForecastUnknown, Gate},
    time::Time,
};
use frontrow_service::{
    house::{
        Attention, AttentionKind, AttentionLevel, HouseCoverage, HouseSecond, InstanceSeen, SaleScreen, SignsOfLife,
    },
    sale::SaleStateName,
};
use frontrow_storage::SeatCounts;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How many codes of refusals one second names.
const CODES_SHOWN: usize = 5;

/// A moment of a sale.
#[derive(Debug, Serialize)]
pub(super) struct ScreenFrame<'a> {
    at: Time,
    state: SaleStateName,
    opens_at: Time,
    closes_at: Time,
    room: RoomFrame<'a>,
    rates: PaceFrame,
    seats: SeatFigures,
    /// The moment of seats and money, if they are old.
    old_seats: Option<Time>,
    /// The moment of the line's numbers, if they are old.
    old_line: Option<Time>,
    grades: Vec<GradeFrame<'a>>,
    money: Takings,
    forecast: ForecastFrame,
    attention: Vec<LookFrame>,
    /// Whether the paces, the seconds and the attention are of the instance that sends them alone.
    own_only: bool,
    instances: Vec<InstanceFrame<'a>>,
    /// The last seconds: each comes again while an instance may still report it.
    seconds: Vec<SecondFrame>,
}

#[derive(Debug, Serialize)]
struct RoomFrame<'a> {
    room_id: i64,
    version: String,
    gate: Gate,
    /// The cap, which the form has.
    max_active: i64,
    /// How many tokens may be active just now: by the cap, and by the room's share.
    places: i64,
    admit_per_minute: Option<i64>,
    message: Option<&'a str>,
    waiting: i64,
    offered: i64,
    active: i64,
    dormant: i64,
    missed: i64,
    highest: Position,
    told: ToldFrame,
}

/// How near the first told waits were to those that came; null before some have come.
#[derive(Debug, Serialize)]
struct ToldFrame {
    error_percent: Option<i64>,
    within_p90_percent: Option<u64>,
}

#[derive(Debug, Serialize)]
struct PaceFrame {
    #[serde(rename = "joins_per_minute")]
    joins: i64,
    #[serde(rename = "admitted_per_minute")]
    admitted: i64,
    #[serde(rename = "sold_per_minute")]
    sold: i64,
}

/// How many seats are in which state.
#[derive(Debug, Clone, Copy, Serialize)]
struct SeatFigures {
    available: i64,
    held: i64,
    sold: i64,
    blocked: i64,
}

impl From<SeatCounts> for SeatFigures {
    fn from(SeatCounts { available, held, sold, blocked }: SeatCounts) -> Self {
        Self { available, held, sold, blocked }
    }
}

#[derive(Debug, Serialize)]
struct GradeFrame<'a> {
    name: &'a str,
    mark: &'a str,
    /// The class of its colour.
    look: &'static str,
    #[serde(flatten)]
    seats: SeatFigures,
}

/// What the seats are worth, in won.
#[derive(Debug, Serialize)]
struct Takings {
    sold: i64,
    held: i64,
}

/// A forecast as moments, or why there is none.
#[derive(Debug, Default, Serialize)]
pub(super) struct ForecastFrame {
    pub(super) known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    pub(super) sold_out_at: Option<Time>,
    pub(super) line_empty_at: Option<Time>,
    pub(super) reach_percent: Option<i64>,
}

impl ForecastFrame {
    /// A forecast that was made at a moment.
    pub(super) fn of(forecast: &Result<Forecast, ForecastUnknown>, at: Time) -> Self {
        match forecast {
            Ok(Forecast { sold_out_in, line_empty_in, reach_ppm }) => Self {
                known: true,
                reason: None,
                sold_out_at: sold_out_in.map(|span| at.plus(span)),
                line_empty_at: line_empty_in.map(|span| at.plus(span)),
                // Rounded down: no promise of a seat that may not be there.
                reach_percent: reach_ppm.map(|ppm| ppm / 10_000),
            },
            Err(unknown) => Self { reason: Some(reason_of(*unknown)), ..Self::default() },
        }
    }
}

/// The name of the reason why nothing is forecast.
pub(super) const fn reason_of(unknown: ForecastUnknown) -> &'static str {
    match unknown {
        ForecastUnknown::Paused => "paused",
        ForecastUnknown::NotOpen => "not_open",
        ForecastUnknown::Closed => "closed",
        ForecastUnknown::Measuring => "measuring",
    }
}

/// What needs attention.
#[derive(Debug, Serialize)]
pub(super) struct LookFrame {
    pub(super) code: &'static str,
    pub(super) level: &'static str,
    pub(super) since: Time,
    /// Numbers and names, by the names that the words give them.
    pub(super) values: Map<String, Value>,
}

impl From<&Attention> for LookFrame {
    fn from(attention: &Attention) -> Self {
        Self {
            code: attention.kind.code(),
            level: match attention.level {
                AttentionLevel::Look => "look",
                AttentionLevel::Bad => "bad",
            },
            since: attention.since,
            values: values_of(&attention.kind),
        }
    }
}

fn values_of(kind: &AttentionKind) -> Map<String, Value> {
    let values = match kind {
        AttentionKind::DatabaseAway { instance }
        | AttentionKind::RedisAway { instance, .. }
        | AttentionKind::InstanceSilent { instance } => json!({ "instance": instance }),
        AttentionKind::NotReady { instance, code } => json!({ "instance": instance, "code": code }),
        AttentionKind::Errors { errors, requests } => json!({ "errors": errors, "requests": requests }),
        AttentionKind::IdlePlaces { places, waiting } => json!({ "places": places, "waiting": waiting }),
        AttentionKind::StuckHolds { holds } => json!({ "holds": holds }),
        AttentionKind::OutboxLate { consumer } => json!({ "consumer": consumer.name() }),
        AttentionKind::DeadLetters { consumer, letters } => json!({ "consumer": consumer.name(), "n": letters }),
        AttentionKind::StaleViews { instance, behind } => {
            json!({ "instance": instance, "n": behind.as_secs() })
        }
        AttentionKind::ClocksApart { instance, ahead_ms } => {
            json!({ "instance": instance, "n": ahead_ms.unsigned_abs() / 1_000 })
        }
        AttentionKind::DiskLow { instance, space } => {
            json!({ "instance": instance, "free": space.free >> 20, "total": space.total >> 20 })
        }
        AttentionKind::TooFewConnections => json!({}),
    };
    match values {
        Value::Object(values) => values,
        _ => Map::new(),
    }
}

/// An instance.
#[derive(Debug, Serialize)]
struct InstanceFrame<'a> {
    name: &'a str,
    version: &'a str,
    /// `ok`, `silent` or `not_ready`.
    state: &'static str,
    /// Why it is not ready.
    code: &'a str,
}

/// The state of an instance, and why it is not ready.
pub(super) fn state_of(instance: &InstanceSeen) -> (&'static str, &str) {
    match (instance.signs, &instance.health.not_ready) {
        (SignsOfLife::Silent, _) => ("silent", ""),
        (SignsOfLife::Present, Some(code)) => ("not_ready", code),
        (SignsOfLife::Present, None) => ("ok", ""),
    }
}

impl<'a> From<&'a InstanceSeen> for InstanceFrame<'a> {
    fn from(instance: &'a InstanceSeen) -> Self {
        let (state, code) = state_of(instance);
        Self { name: &instance.name, version: &instance.version, state, code }
    }
}

/// A second of the charts: a row of their columns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SecondFrame {
    /// In milliseconds.
    at: i64,
    joins: u32,
    admitted: u32,
    missed: u32,
    holds: u32,
    sold: u32,
    problems: u64,
    /// The commonest codes of the problems, with their numbers.
    codes: String,
    p50: Option<f64>,
    p99: Option<f64>,
    errors: u64,
    lag: f64,
}

impl From<&HouseSecond> for SecondFrame {
    fn from(second: &HouseSecond) -> Self {
        Self {
            at: second.at.micros() / 1_000,
            joins: second.joins,
            admitted: second.admitted,
            missed: second.missed,
            holds: second.holds,
            sold: second.sold,
            problems: second.problems.iter().map(|(_, count)| count).sum(),
            codes: codes(second),
            p50: second.p50.map(millis),
            p99: second.p99.map(millis),
            errors: second.errors,
            lag: millis(second.lag),
        }
    }
}

fn codes(second: &HouseSecond) -> String {
    let mut problems: Vec<_> = second.problems.iter().map(|(code, count)| (*count, code.as_ref())).collect();
    problems.sort_unstable_by(|one, other| other.cmp(one));
    let shown: Vec<_> = problems.iter().take(CODES_SHOWN).map(|(count, code)| format!("{code} {count}")).collect();
    shown.join(", ")
}

/// Milliseconds to a tenth.
fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The version of a room's settings, as forms and `If-Match` have it.
pub(super) fn version_of(updated_at: Time) -> String {
    updated_at.micros().to_string()
}

impl<'a> From<&'a SaleScreen> for ScreenFrame<'a> {
    fn from(screen: &'a SaleScreen) -> Self {
        let (room, shown) = (&screen.room.room, &screen.room);
        Self {
            at: screen.at,
            state: screen.state.name(),
            opens_at: screen.concert.opens_at,
            closes_at: screen.concert.closes_at,
            room: RoomFrame {
                room_id: room.room_id.get(),
                version: version_of(room.updated_at),
                gate: room.gate,
                max_active: room.max_active,
                places: room.max_active_tokens(),
                admit_per_minute: room.admit_per_minute,
                message: room.message.as_deref(),
                waiting: shown.waiting,
                offered: shown.offered,
                active: shown.active,
                dormant: shown.dormant,
                missed: shown.missed,
                highest: shown.highest,
                told: ToldFrame {
                    error_percent: shown.told.error_percent,
                    within_p90_percent: shown.told.within_percent(),
                },
            },
            rates: PaceFrame { joins: screen.pace.joins, admitted: screen.pace.admitted, sold: screen.pace.sold },
            seats: screen.seats.counts.into(),
            old_seats: screen.old_seats(),
            old_line: screen.old_line(),
            grades: grades_of(screen),
            money: Takings { sold: screen.seats.money.sold, held: screen.seats.money.held },
            forecast: ForecastFrame::of(&screen.forecast, screen.at),
            attention: screen.attention.iter().map(LookFrame::from).collect(),
            own_only: screen.coverage == HouseCoverage::OwnOnly,
            instances: screen.instances.iter().map(InstanceFrame::from).collect(),
            seconds: screen.seconds.iter().map(SecondFrame::from).collect(),
        }
    }
}

fn grades_of(screen: &SaleScreen) -> Vec<GradeFrame<'_>> {
    let grades = &screen.seats.grades;
    let names: Vec<_> = grades.iter().map(|grade| grade.name.as_str()).collect();
    let looks = grade_looks::styles(&names);
    let looked = grades.iter().zip(looks);
    looked
        .map(|(grade, look)| GradeFrame { name: &grade.name, mark: &grade.mark, look, seats: grade.counts.into() })
        .collect()
}

/// The columns of the charts.
#[derive(Debug, Default, Serialize)]
pub(super) struct ChartColumns {
    at: Vec<i64>,
    joins: Vec<u32>,
    admitted: Vec<u32>,
    missed: Vec<u32>,
    holds: Vec<u32>,
    sold: Vec<u32>,
    problems: Vec<u64>,
    codes: Vec<String>,
    p50: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    errors: Vec<u64>,
    lag: Vec<f64>,
}

impl ChartColumns {
    /// The seconds that begin after a moment in milliseconds.
    pub(super) fn after(since: i64, seconds: &[HouseSecond]) -> Self {
        let mut columns = Self::default();
        for second in seconds.iter().map(SecondFrame::from).filter(|second| second.at > since) {
            columns.at.push(second.at);
            columns.joins.push(second.joins);
            columns.admitted.push(second.admitted);
            columns.missed.push(second.missed);
            columns.holds.push(second.holds);
            columns.sold.push(second.sold);
            columns.problems.push(second.problems);
            columns.codes.push(second.codes);
            columns.p50.push(second.p50);
            columns.p99.push(second.p99);
            columns.errors.push(second.errors);
            columns.lag.push(second.lag);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::time::Span;

    fn second(at: i64, problems: &[(&str, u64)]) -> HouseSecond {
        HouseSecond {
            at: Time::from_micros(at * 1_000_000),
            joins: 3,
            admitted: 2,
            missed: 1,
            active: None,
            waiting: None,
            holds: 4,
            sold: 5,
            refunds: 0,
            problems: problems.iter().map(|(code, count)| ((*code).into(), *count)).collect(),
            requests: 100,
            errors: 6,
            p50: Some(Duration::from_micros(1_260)),
            p99: None,
            lag: Duration::from_millis(40),
        }
    }

    #[test]
    fn a_second_names_its_commonest_problems_and_its_times_in_milliseconds() {
        let problems = [("a", 1), ("seat_held", 9), ("b", 2), ("c", 3), ("d", 4), ("rate_limited", 12)];
        let row = serde_json::to_value(SecondFrame::from(&second(7, &problems))).unwrap();
        assert_eq!((&row["at"], &row["problems"]), (&json!(7_000), &json!(31)));
        assert_eq!(row["codes"], "rate_limited 12, seat_held 9, d 4, c 3, b 2");
        assert_eq!((&row["p50"], &row["p99"], &row["lag"]), (&json!(1.3), &Value::Null, &json!(40.0)));
    }

    #[test]
    fn columns_have_what_a_row_has_and_only_what_is_new() {
        let seconds = [second(7, &[]), second(8, &[("seat_held", 2)])];
        let columns = serde_json::to_value(ChartColumns::after(7_000, &seconds)).unwrap();
        let row = serde_json::to_value(SecondFrame::from(&seconds[1])).unwrap();
        for (name, value) in row.as_object().unwrap() {
            assert_eq!(columns[name], json!([value]), "{name}");
        }
        assert_eq!(columns.as_object().unwrap().len(), row.as_object().unwrap().len());
    }

    #[test]
    fn a_forecast_is_of_moments_and_promises_no_more_than_it_knows() {
        let at = Time::from_micros(1_000_000);
        let forecast =
            Forecast { sold_out_in: Some(Span::from_secs(9)), line_empty_in: None, reach_ppm: Some(389_999) };
        let frame = ForecastFrame::of(&Ok(forecast), at);
        assert_eq!((frame.sold_out_at, frame.reach_percent), (Some(Time::from_micros(10_000_000)), Some(38)));
        let frame = ForecastFrame::of(&Err(ForecastUnknown::Measuring), at);
        assert_eq!((frame.known, frame.reason), (false, Some("measuring")));
    }
}
