//! The page again, after a form that held nothing: why, and what is free instead.

use super::{
    HallVisit,
    wish::{FaultyWish, FormFault},
};
use crate::{
    edge::problem::{HttpResult, Problem, ProblemCode},
    html::{forms::fresh_key, hall_words::HallWords, paths, problem_page, seat_list::ListPart},
};
use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use frontrow_domain::{id::SeatId, money::Money, policy::SEATS_PER_COMMAND_MAX, refusal::Refusal, time::Time};
use frontrow_service::sale::{SeatOffer, SeatSnapshot};

/// Why a form came back, and what to do.
#[derive(Debug, Default)]
pub(super) struct Comeback {
    pub(super) status: StatusCode,
    pub(super) why: String,
    /// What else is to be known, such as that no other seat was held either.
    pub(super) more: Option<String>,
    /// Whether seats like the wanted ones were looked for.
    pub(super) looked: bool,
    pub(super) offers: Vec<ShownOffer>,
    /// The seats that were ticked, without the one that cannot be held.
    pub(super) chosen: Vec<SeatId>,
}

/// Seats to hold instead, by a form with this key.
#[derive(Debug)]
pub(super) struct ShownOffer {
    pub(super) seats: Vec<SeatId>,
    pub(super) places: String,
    pub(super) total: Money,
    pub(super) side_by_side: bool,
    pub(super) key: String,
}

impl ShownOffer {
    fn of(offer: &SeatOffer, words: &HallWords) -> Self {
        let places: Vec<_> = offer.seats.iter().map(|seat| words.place_of(&seat.label.place())).collect();
        Self {
            seats: offer.seats.iter().map(|seat| seat.seat_id).collect(),
            places: places.join(", "),
            total: offer.total(),
            side_by_side: offer.side_by_side,
            key: fresh_key(),
        }
    }
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefusedFor {
    /// A seat that somebody else has: others like it may be free.
    TakenSeat(SeatId),
    /// A seat that this buyer cannot hold now.
    BarredSeat(SeatId),
    /// No seat in particular.
    Else,
}

impl RefusedFor {
    const fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::SeatHeld { seat_id, .. } | Refusal::SeatSold { seat_id } | Refusal::SeatBlocked { seat_id } => {
                Self::TakenSeat(*seat_id)
            }
            Refusal::SeatCoolingDown { seat_id, .. } | Refusal::SeatHeldByYou { seat_id, .. } => {
                Self::BarredSeat(*seat_id)
            }
            _ => Self::Else,
        }
    }

    const fn seat(self) -> Option<SeatId> {
        match self {
            Self::TakenSeat(seat) | Self::BarredSeat(seat) => Some(seat),
            Self::Else => None,
        }
    }
}

impl HallVisit {
    /// The page again, for a form that cannot be read.
    pub(super) async fn refuse_form(
        self,
        FaultyWish { fault, seats }: FaultyWish,
        hall: &SeatSnapshot,
    ) -> HttpResult<Response> {
        let shell = &self.shell;
        let why = match fault {
            FormFault::NoSeat => shell.t("hall-form-none"),
            FormFault::TooManySeats => shell.t1("hall-form-many", "seats", SEATS_PER_COMMAND_MAX),
            FormFault::UnknownSeat => shell.t("hall-form-seats"),
            FormFault::Broken => shell.t("hall-form-again"),
        };
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        self.come_back(Comeback { status, why, chosen: seats, ..Comeback::default() }, hall).await
    }

    /// The page again, for a hold that was refused: until when the seat is held, and what is free instead.
    pub(super) async fn refuse(
        self,
        refusal: &Refusal,
        hall: &SeatSnapshot,
        mut chosen: Vec<SeatId>,
    ) -> HttpResult<Response> {
        let words = HallWords::of(&self.shell);
        let why = self.why(refusal, hall, &words).await?;
        let about = RefusedFor::of(refusal);
        let looked = matches!(about, RefusedFor::TakenSeat(_));
        let offers =
            if looked { self.app.office.alternatives(self.concert_id, &chosen).await?.offers } else { Vec::new() };
        let more = (about.seat().is_some() && chosen.len() > 1).then(|| self.shell.t("hall-nothing-held"));
        chosen.retain(|seat| Some(*seat) != about.seat());
        let offers = offers.iter().map(|offer| ShownOffer::of(offer, &words)).collect();
        let status = Problem::from(refusal.clone()).into_response().status();
        self.come_back(Comeback { status, why, more, looked, offers, chosen }, hall).await
    }

    /// A refusal in words.
    async fn why(&self, refusal: &Refusal, hall: &SeatSnapshot, words: &HallWords) -> HttpResult<String> {
        let shell = &self.shell;
        let place = |seat: &SeatId| {
            let label = hall.order.seat_of(*seat).map(|seat| seat.label.place());
            label.map_or_else(String::new, |place| words.place_of(&place))
        };
        let concert = self.app.office.concert(self.concert_id).await?;
        let hour = |at: &Time| shell.exact_hour(at, &concert.time_zone);
        Ok(match refusal {
            Refusal::SeatHeld { seat_id, held_until, .. } => {
                shell.t2("hall-refused-held", "place", place(seat_id), "when", hour(held_until))
            }
            Refusal::SeatSold { seat_id } => shell.t1("hall-refused-sold", "place", place(seat_id)),
            Refusal::SeatBlocked { seat_id } => shell.t1("hall-refused-blocked", "place", place(seat_id)),
            Refusal::SeatCoolingDown { seat_id, until } => {
                shell.t2("hall-refused-cooling", "place", place(seat_id), "when", hour(until))
            }
            Refusal::SeatHeldByYou { seat_id, .. } => shell.t1("hall-refused-mine", "place", place(seat_id)),
            Refusal::TooManySeats { limit } => shell.t1("hall-refused-limit", "seats", i64::from(*limit)),
            other => {
                let (title, text) = problem_page::words(shell, ProblemCode(other.code()));
                format!("{title}. {text}")
            }
        })
    }

    /// The page with the list where the choice stands. The form's own address has no page: what this one links to, and
    /// reloads, is the page of the seats.
    async fn come_back(mut self, comeback: Comeback, hall: &SeatSnapshot) -> HttpResult<Response> {
        if let Some(seat) = comeback.chosen.first() {
            self.part = ListPart::around(&hall.order, *seat);
        }
        self.shell = self.shell.at(self.part.address(&paths::seats(self.concert_id)));
        self.page(Some(comeback)).await
    }
}
