//! The addresses of a concert's pages.

use frontrow_domain::id::ConcertId;

/// The concert's own page.
pub(super) fn concert(id: ConcertId) -> String {
    format!("/concerts/{id}")
}

/// Its hall.
pub(super) fn seats(id: ConcertId) -> String {
    format!("/concerts/{id}/seats")
}

/// The payment for the visitor's held seats.
pub(super) fn pay(id: ConcertId) -> String {
    format!("/concerts/{id}/pay")
}

/// The visitor's tickets.
pub(super) fn tickets(id: ConcertId) -> String {
    format!("/concerts/{id}/tickets")
}
