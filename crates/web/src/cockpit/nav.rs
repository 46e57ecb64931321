//! The links between the pages of one concert.

use frontrow_domain::id::ConcertId;

/// A page of a concert that the others link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConcertPart {
    Concert,
    Sale,
    Seats,
    Ready,
    Rehearsal,
    DoorList,
}

/// The links, as `cockpit/concert_nav.html` writes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConcertNav {
    pub(super) id: ConcertId,
    /// The page that has the links.
    pub(super) here: ConcertPart,
}

/// A link to a page of the concert.
pub(super) struct PartLink {
    pub(super) href: String,
    /// The id of its text.
    pub(super) text: &'static str,
    pub(super) is_here: bool,
}

impl ConcertNav {
    pub(super) fn links(&self) -> Vec<PartLink> {
        let of_concert = |rest: &str| format!("/operator/concerts/{}{rest}", self.id);
        let links = [
            (Some(ConcertPart::Concert), of_concert(""), "cockpit-concert"),
            (Some(ConcertPart::Sale), of_concert("/sale"), "desk-title"),
            (Some(ConcertPart::Seats), of_concert("/seats"), "seats-title"),
            (Some(ConcertPart::Ready), of_concert("/ready"), "ready-title"),
            (Some(ConcertPart::Rehearsal), of_concert("/rehearsal"), "rehearsal"),
            (None, format!("/operator/payments?concert={}", self.id), "orders-payments"),
            (Some(ConcertPart::DoorList), of_concert("/door-list"), "orders-door-list"),
        ];
        let links = links.into_iter();
        links.map(|(part, href, text)| PartLink { href, text, is_here: part == Some(self.here) }).collect()
    }
}
