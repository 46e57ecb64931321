//! The parts of the server's JSON that the crowd and the audit read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A list with a cursor.
#[derive(Debug, Deserialize)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
    /// The start of the next page.
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

/// A refusal or an error.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    /// The stable code.
    #[serde(default)]
    pub(crate) code: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) user_id: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Session {
    pub(crate) session_token: String,
    pub(crate) user: User,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Concert {
    pub(crate) concert_id: i64,
    pub(crate) title: String,
    /// `scheduled` unless it was closed, postponed or cancelled, or is over.
    pub(crate) status: String,
    /// When the sale opens.
    pub(crate) opens_at: Timestamp,
    /// When the sale closes.
    pub(crate) closes_at: Timestamp,
    /// Its waiting room; 0 is the house room.
    #[serde(default)]
    pub(crate) room_id: i64,
}

/// The state and place of a token.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct QueuePosition {
    /// waiting, dormant, offered, missed, active or ended.
    pub(crate) status: String,
    /// The number it was issued.
    pub(crate) position: i64,
    /// How many living tokens stand in front.
    pub(crate) ahead: i64,
    /// When to ask again, in milliseconds.
    #[serde(default)]
    pub(crate) poll_after_ms: u64,
    /// The moment of which this is true, at least.
    pub(crate) as_of: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct QueueToken {
    /// The opaque text.
    pub(crate) token: String,
    /// The number it was issued.
    pub(crate) position: i64,
    pub(crate) status: String,
    /// When it was activated.
    pub(crate) activated_at: Option<Timestamp>,
    /// The end of its state.
    pub(crate) deadline: Option<Timestamp>,
    /// Its place in line.
    #[serde(default)]
    pub(crate) queue: Option<QueuePosition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Reservation {
    pub(crate) reservation_id: i64,
    pub(crate) user_id: String,
    pub(crate) concert_id: i64,
    pub(crate) seat_id: i64,
    /// The price in won.
    pub(crate) price: i64,
    /// pending, confirmed, cancelled, expired or refunded.
    pub(crate) status: String,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When the hold ends.
    pub(crate) expires_at: Timestamp,
}

impl Reservation {
    /// How long the hold lasts, in microseconds.
    pub(crate) fn hold_micros(&self) -> u64 {
        micros_between(self.created_at, self.expires_at)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Payment {
    pub(crate) payment_id: i64,
    pub(crate) user_id: String,
    pub(crate) reservation_id: i64,
    /// How much, in won.
    pub(crate) amount: i64,
    /// completed or refunded.
    pub(crate) status: String,
}

/// A line of a point history.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct PointEntry {
    pub(crate) history_id: i64,
    /// The movement in won: below zero for a use.
    pub(crate) amount: i64,
    /// top-up, use or refund.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) balance_after: i64,
    /// Its place in the user's history, from 1.
    pub(crate) version: i64,
    /// The payment it belongs to.
    #[serde(default)]
    pub(crate) payment_id: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Points {
    /// In won.
    pub(crate) balance: i64,
}

/// A waiting room as an operator sees it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Room {
    /// The cap on active tokens.
    pub(crate) max_active: i64,
    /// How many wait.
    #[serde(default)]
    pub(crate) waiting: i64,
    /// How many have an open turn.
    #[serde(default)]
    pub(crate) offered: i64,
    /// How many are active.
    #[serde(default)]
    pub(crate) active: i64,
}

/// A seat of the full seat map.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SeatRow {
    pub(crate) seat_id: i64,
    /// available, held, sold or blocked.
    pub(crate) status: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FullSeatMap {
    /// Rises with each change.
    pub(crate) version: serde_json::Value,
    pub(crate) seats: Vec<SeatRow>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SeatMap {
    /// Runs of seats whose ids follow one another.
    pub(crate) blocks: Vec<SeatBlock>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SeatBlock {
    /// The id of the first.
    pub(crate) first_seat_id: i64,
    /// A letter for each: A available, H held, S sold, B blocked.
    pub(crate) states: String,
}

/// How many seats are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SeatCounts {
    pub(crate) available: u64,
    /// In a hold.
    pub(crate) held: u64,
    pub(crate) sold: u64,
    /// Not for sale.
    pub(crate) blocked: u64,
}

impl SeatMap {
    /// Counts the seats by state.
    pub(crate) fn counts(&self) -> SeatCounts {
        let mut counts = SeatCounts::default();
        for letter in self.blocks.iter().flat_map(|block| block.states.bytes()) {
            match letter {
                b'A' => counts.available += 1,
                b'H' => counts.held += 1,
                b'S' => counts.sold += 1,
                _ => counts.blocked += 1,
            }
        }
        counts
    }

    /// The ids of the available seats after skipping `skip` of them, at most `take`.
    pub(crate) fn available(&self, skip: usize, take: usize) -> Vec<i64> {
        self.blocks
            .iter()
            .flat_map(|block| (block.first_seat_id..).zip(block.states.bytes()))
            .filter(|(_, letter)| *letter == b'A')
            .skip(skip)
            .take(take)
            .map(|(seat_id, _)| seat_id)
            .collect()
    }
}

/// A line of the operators' audit log.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AuditEntry {
    pub(crate) audit_id: i64,
    /// The action, such as `room.set`.
    pub(crate) action: String,
    #[serde(default)]
    pub(crate) detail: serde_json::Value,
}

/// One thing, or a list of them: what an order for several seats is answered with.
pub(crate) fn one_or_many<T: DeserializeOwned>(body: &[u8]) -> Option<Vec<T>> {
    if let Ok(list) = serde_json::from_slice::<Items<T>>(body) {
        return Some(list.items);
    }
    serde_json::from_slice::<T>(body).ok().map(|one| vec![one])
}

/// Microseconds from one server time to another; none if the second is earlier.
pub(crate) fn micros_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_microsecond().saturating_sub(from.as_microsecond())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_seat_map_is_counted_and_picked_from() {
        let map: SeatMap = serde_json::from_str(
            r#"{"concert_id":1,"version":3,"blocks":[
                {"first_seat_id":10,"states":"AHSB","count":4},{"first_seat_id":100,"states":"AA"}]}"#,
        )
        .unwrap();
        assert_eq!(map.counts(), SeatCounts { available: 3, held: 1, sold: 1, blocked: 1 });
        assert_eq!(map.available(0, 9), [10, 100, 101]);
        assert_eq!(map.available(1, 1), [100]);
    }

    #[test]
    fn one_payment_and_a_list_of_payments_are_both_read() {
        let one = r#"{"payment_id":1,"user_id":"u","reservation_id":2,"amount":3,"status":"completed"}"#;
        assert_eq!(one_or_many::<Payment>(one.as_bytes()).unwrap().len(), 1);
        assert_eq!(one_or_many::<Payment>(format!(r#"{{"items":[{one},{one}]}}"#).as_bytes()).unwrap().len(), 2);
        assert!(one_or_many::<Payment>(b"{}").is_none());
    }
}
