//! The addresses of a concert's pages.

use frontrow_domain::id::ConcertId;

/// The concert's own page.
pub(crate) fn concert(id: ConcertId) -> String {
    format!("/concerts/{id}")
}

/// Its hall.
pub(crate) fn seats(id: ConcertId) -> String {
    format!("/concerts/{id}/seats")
}

/// The payment for the visitor's held seats.
pub(crate) fn pay(id: ConcertId) -> String {
    format!("/concerts/{id}/pay")
}

/// The visitor's tickets.
pub(crate) fn tickets(id: ConcertId) -> String {
    format!("/concerts/{id}/tickets")
}
