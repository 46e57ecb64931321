//! The errors in the document: their schema, and an example of each code with its own members.

use crate::edge::problem::{
    Problem,
    codes::{self, Definition},
};
use frontrow_domain::{
    id::{DebtId, ReservationId, SeatId},
    money::Money,
    refusal::{EntityKind, Refusal},
    time::Time,
};
use serde_json::{Value, json};

/// The moment of the examples: 2027-03-01T11:00:00Z.
const MOMENT: Time = Time::from_micros(1_803_898_800_000_000);

/// Refusals with members of their own.
fn refusals() -> Vec<Refusal> {
    let seat_id = SeatId::new(42);
    vec![
        Refusal::NotFound { what: EntityKind::Seat },
        Refusal::BalanceLeft { balance: Money::new(50_000) },
        Refusal::TicketsLeft { reservation_id: ReservationId::new(17) },
        Refusal::DebtLeft { debt_id: DebtId::new(3), amount: Money::new(120_000) },
        Refusal::SaleNotOpen { opens_at: MOMENT },
        Refusal::SaleOpened { opened_at: MOMENT },
        Refusal::SeatHeld { seat_id, held_until: MOMENT, holder: None },
        Refusal::SeatHeldByYou { seat_id, reservation_id: ReservationId::new(17), held_until: MOMENT },
        Refusal::SeatHasHistory { seat_id },
        Refusal::SeatSold { seat_id },
        Refusal::SeatBlocked { seat_id },
        Refusal::SeatInUse { seat_id },
        Refusal::SeatCoolingDown { seat_id, until: MOMENT },
        Refusal::LineBlocked { until: Some(MOMENT) },
        Refusal::TurnTimeOver { until: MOMENT },
        Refusal::TooManyHolds { limit: 20 },
        Refusal::SeatNumberTaken { section: "Floor".to_owned(), row: "A".to_owned(), number: "12A".to_owned() },
        Refusal::TooManySeats { limit: 4 },
        Refusal::HoldExpired { expired_at: MOMENT },
        Refusal::InsufficientPoints { balance: Money::new(50_000), price: Money::new(120_000) },
        Refusal::RefundTooLate { until: MOMENT },
        Refusal::BalanceTooLow { balance: Money::new(50_000), amount: Money::new(120_000) },
        Refusal::AmountOutOfBounds { min: Money::new(1), max: Money::new(10_000_000) },
        Refusal::BalanceTooLarge { max: Money::new(1_000_000_000) },
        Refusal::Malformed { reason: "One request names 1 to 20 seats.".to_owned() },
    ]
}

/// The problem as a client reads it.
pub(super) fn example(definition: &'static Definition) -> Value {
    let problem = match refusals().into_iter().find(|refusal| refusal.code() == definition.code) {
        Some(refusal) => Problem::from(refusal),
        None => Problem::new(definition),
    };
    let problem = match (definition.code, definition.status) {
        ("invalid_field", 400) => problem.field("limit").detail("a limit is a whole number from 1 to 100"),
        ("invalid_field", _) => {
            problem.field("seat_ids[1]").detail("an id is a whole number from 1 to 9007199254740991")
        }
        _ => problem,
    };
    serde_json::from_slice(&problem.to_json(Some("9d3f6a0e-52c1-4b7a-8e44-1f0c6b9d2a35"))).unwrap_or(Value::Null)
}

/// The schema of every problem.
pub(super) fn schema() -> Value {
    let codes: Vec<_> = codes::ALL.iter().map(|definition| definition.code).collect();
    json!({
        "type": "object",
        "description": "An error (RFC 9457). Some codes bring members of their own, such as `balance` and `price`.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string", "description": "The code as a relative address.", "example": "/problems/seat_held" },
            "title": { "type": "string", "description": "What kind of problem it is.", "example": "The seat is held" },
            "status": { "type": "integer", "description": "The HTTP status.", "example": 409 },
            "code": { "type": "string", "enum": codes, "description": "Stable; switch on this.", "example": "seat_held" },
            "detail": { "type": "string", "description": "What is wrong in this case, for people.", "example": "Seat 42 is held." },
            "request_id": { "type": "string", "description": "Name it when you ask for help.", "example": "9d3f6a0e-52c1-4b7a-8e44-1f0c6b9d2a35" },
            "field": { "type": "string", "description": "`invalid_field`: the field, parameter or header at fault.", "example": "seat_ids[1]" },
            "reason": { "type": "string", "description": "`malformed`: what is wrong.", "example": "One request names 1 to 20 seats." },
            "what": { "type": "string", "enum": EntityKind::ALL,
                "description": "`not_found`: what was looked for.", "example": "seat" },
            "seat_id": { "$ref": "#/components/schemas/SeatId",
                "description": "`seat_held`, `seat_sold`, `seat_blocked`, `seat_held_by_you`, `seat_cooling_down`, `seat_in_use`, `seat_has_history`: the first such seat.", "example": 42 },
            "reservation_id": { "$ref": "#/components/schemas/ReservationId",
                "description": "`tickets_left`: the first such reservation. `seat_held_by_you`: the one to pay for.", "example": 17 },
            "debt_id": { "$ref": "#/components/schemas/DebtId",
                "description": "`debt_left`: the first such debt.", "example": 3 },
            "held_until": { "$ref": "#/components/schemas/Time",
                "description": "`seat_held`, `seat_held_by_you`: when the hold ends unless it is paid.", "example": MOMENT },
            "opens_at": { "$ref": "#/components/schemas/Time",
                "description": "`sale_not_open`: when the sale opens.", "example": MOMENT },
            "opened_at": { "$ref": "#/components/schemas/Time",
                "description": "`sale_opened`: when the sale opened, or opens within 15 seconds.", "example": MOMENT },
            "expired_at": { "$ref": "#/components/schemas/Time",
                "description": "`hold_expired`: when the hold ended.", "example": MOMENT },
            "until": { "$ref": "#/components/schemas/Time",
                "description": "`refund_too_late`: until when a refund was possible. `turn_time_over`: until when the turn could hold seats. `seat_cooling_down`: until when the seat is for others. `line_blocked`: until when joining is refused; null if no end is set.", "example": MOMENT },
            "balance": { "$ref": "#/components/schemas/Money",
                "description": "`insufficient_points`, `balance_left`, `balance_too_low`: what the user has.", "example": 50_000 },
            "amount": { "$ref": "#/components/schemas/Money",
                "description": "`balance_too_low`, `debt_left`: what is owed.", "example": 120_000 },
            "price": { "$ref": "#/components/schemas/Money",
                "description": "`insufficient_points`: what the seats cost together.", "example": 120_000 },
            "min": { "$ref": "#/components/schemas/Money",
                "description": "`amount_out_of_bounds`: the least.", "example": 1 },
            "max": { "$ref": "#/components/schemas/Money",
                "description": "`amount_out_of_bounds`, `balance_too_large`: the most.", "example": 10_000_000 },
            "limit": { "type": "integer", "minimum": 1,
                "description": "`too_many_seats`: how many seats one user may have in a concert. `too_many_holds`: how many times one turn may hold seats.", "example": 4 },
            "section": { "type": "string",
                "description": "`seat_number_taken`: the block of the hall.", "example": "Floor" },
            "row": { "type": "string",
                "description": "`seat_number_taken`: the row in the section.", "example": "A" },
            "number": { "type": "string",
                "description": "`seat_number_taken`: the first such number, as it is printed.", "example": "12A" }
        },
        "additionalProperties": true
    })
}
