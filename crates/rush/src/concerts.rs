//! Concerts made for a run, as an operator makes them.

use crate::{api::Concert, clock::wall_now, operator::SignedInClient};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Seats that one request adds at most.
const SEATS_PER_REQUEST: u32 = 50_000;

/// Makes a concert that is on sale, with so many seats of one block. Returns it with its first seat; the ids of the
/// others follow. It has a room of its own if a cap is given, else it uses the house room.
///
/// # Errors
/// The operator may not, or somebody else added seats at the same time.
pub(crate) async fn make(
    operator: &SignedInClient<'_>,
    seats: u32,
    own_room_max_active: Option<i64>,
) -> Result<(Concert, i64)> {
    let concert: Concert = operator.post("/operator/concerts", concert_json(wall_now(), own_room_max_active)).await?;
    let first_seat_id = add_seats(operator, concert.concert_id, seats).await?;
    Ok((concert, first_seat_id))
}

async fn add_seats(operator: &SignedInClient<'_>, concert_id: i64, seats: u32) -> Result<i64> {
    let path = format!("/operator/concerts/{concert_id}/seats");
    let mut first_seat_id = None;
    let mut from = 1;
    while from <= seats {
        let to = seats.min(from + SEATS_PER_REQUEST - 1);
        let added: Value = operator.post(&path, json!({ "range": { "from": from, "to": to } })).await?;
        let first = added.get("first_seat_id").and_then(Value::as_i64).context("first_seat_id is missing")?;
        let expected = *first_seat_id.get_or_insert(first) + i64::from(from - 1);
        if first != expected {
            bail!("somebody else added seats meanwhile; run it again");
        }
        from = to + 1;
    }
    first_seat_id.context("the concert has no seats")
}

fn concert_json(now: jiff::Timestamp, own_room_max_active: Option<i64>) -> Value {
    let day = |days: i64| now.saturating_add(jiff::SignedDuration::from_hours(24 * days)).unwrap_or(now);
    json!({
        "title": "Load test", "artist": "The Crowd", "venue": "Nowhere", "time_zone": "Asia/Seoul",
        "concert_date": day(60).to_zoned(jiff::tz::TimeZone::UTC).date().to_string(),
        "start_time": "20:00:00", "end_time": "22:00:00", "base_price": 1_000,
        "opens_at": day(-1).to_string(), "closes_at": day(30).to_string(), "own_room_max_active": own_room_max_active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_concert_is_on_sale_and_its_date_is_to_come() {
        let now: jiff::Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let concert = concert_json(now, Some(5));
        assert_eq!(concert["concert_date"], "2027-03-02");
        assert_eq!(concert["opens_at"], "2026-12-31T00:00:00Z");
    }
}
