//! The buyers' answers, compared with the rows of the database.

use frontrow_rush::{IssuedPlace, Sold};
use std::collections::{BTreeMap, HashMap, HashSet};
use tokio_postgres::Client;

/// Every acknowledged write is a row, with the same owner and content, and no other row of its kind says otherwise.
pub(crate) async fn every_acknowledged_write_is_there(client: &Client, sales: &[Sold]) {
    for sold in sales {
        let acknowledged = &sold.acknowledged;
        let places =
            acknowledged.places.iter().map(|place| (place.position, place.user_id.clone(), sold.room_id)).collect();
        let of_room = format!("FROM waiting_token WHERE room_id = {}", sold.room_id);
        present(client, "place", &format!("SELECT position, user_id::text, room_id {of_room}"), places).await;
        let reservations = acknowledged.reservations.iter().cloned().collect();
        let query = "SELECT reservation_id, user_id::text, seat_id FROM reservation";
        present(client, "reservation", query, reservations).await;
        let payments = acknowledged.payments.iter().cloned().collect();
        present(client, "payment", "SELECT payment_id, user_id::text, amount FROM payment", payments).await;
        let top_ups = acknowledged.top_ups.iter().cloned().collect();
        present(client, "top_up", TOP_UPS, top_ups).await;
    }
}

const TOP_UPS: &str = "SELECT h.history_id, p.user_id::text, h.amount FROM point_history h JOIN point p USING (user_id)
                       WHERE h.type = 'top_up'";

async fn present(client: &Client, what: &str, query: &str, acknowledged: HashSet<(i64, String, i64)>) {
    let rows = client.query(query, &[]).await.unwrap();
    let rows: HashSet<_> =
        rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, String>(1), row.get::<_, i64>(2))).collect();
    let missing: Vec<_> = acknowledged.difference(&rows).collect();
    assert!(missing.is_empty(), "{} of {} are not there: {what} {missing:?}", missing.len(), acknowledged.len());
}

/// A place that was answered before another was asked for is in front of it; over all buyers of a room, whatever they
/// wait for, and over all instances. Says how many pairs of neighbours were compared.
pub(crate) fn order_was_kept(sales: &[Sold]) -> usize {
    let mut rooms: BTreeMap<i64, Vec<&IssuedPlace>> = BTreeMap::new();
    for sold in sales {
        rooms.entry(sold.room_id).or_default().extend(sold.acknowledged.places.iter().filter(|place| place.is_new));
    }
    let mut compared = 0;
    for (room, mut places) in rooms {
        let mut numbers = HashMap::new();
        for place in &places {
            let other = numbers.insert(place.position, &place.user_id);
            assert!(other.is_none_or(|other| *other == place.user_id), "{} was given twice", place.position);
        }
        // From the back of the line to its front: no token may have been asked for after a token behind it was
        // answered.
        places.sort_unstable_by_key(|place| std::cmp::Reverse(place.position));
        let mut earliest: Option<&IssuedPlace> = None;
        for place in places {
            if let Some(behind) = earliest {
                assert!(
                    behind.answered >= place.asked,
                    "room {room}: {behind:?} was answered before {place:?} was asked for"
                );
                compared += 1;
            }
            if earliest.is_none_or(|behind| place.answered < behind.answered) {
                earliest = Some(place);
            }
        }
    }
    compared
}
