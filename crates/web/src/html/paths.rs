//! The addresses of pages that others lead to.

use frontrow_domain::id::{ConcertId, RoomId};

/// The second factor of an operator or a viewer.
pub(crate) const SECOND_FACTOR: &str = "/operator/second-factor";

/// What the address of a concert's page has if the cockpit links it.
pub(crate) const FOR_OPERATORS: &str = "for=operators";

/// The concert's own page.
pub(crate) fn concert(id: ConcertId) -> String {
    format!("/concerts/{id}")
}

/// The concert's own page as the cockpit links it: with a way back.
pub(crate) fn concert_for_operators(id: ConcertId) -> String {
    format!("/concerts/{id}?{FOR_OPERATORS}")
}

/// Its hall.
pub(crate) fn seats(id: ConcertId) -> String {
    format!("/concerts/{id}/seats")
}

/// The draw of its lobby.
pub(crate) fn draw(id: ConcertId) -> String {
    format!("/concerts/{id}/draw")
}

/// The report of its line, once that is over.
pub(crate) fn line_report(id: ConcertId) -> String {
    format!("/concerts/{id}/line/report")
}

/// The report of the line of a site's room, once that is over.
pub(crate) fn site_report(id: RoomId) -> String {
    format!("{}/report", room(id))
}

/// The payment for the visitor's held seats.
pub(crate) fn pay(id: ConcertId) -> String {
    format!("/concerts/{id}/pay")
}

/// The visitor's tickets.
pub(crate) fn tickets(id: ConcertId) -> String {
    format!("/concerts/{id}/tickets")
}

/// The page on which the line in front of another site is joined.
pub(crate) fn line(id: RoomId) -> String {
    if id == RoomId::HOUSE { "/line".to_owned() } else { room(id) }
}

/// The room itself, where the house room has its number, too.
pub(crate) fn room(id: RoomId) -> String {
    format!("/line/{id}")
}
