//! The form that asks for seats.

use crate::{
    edge::{extract::PathKey as _, form::FormFields, idempotency::IdempotencyKey},
    html::forms::key_of,
};
use frontrow_domain::{id::SeatId, policy::SEATS_PER_COMMAND_MAX};
use frontrow_service::sale::SeatSnapshot;

/// What a form asks for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) seats: Vec<SeatId>,
    pub(super) token: String,
    pub(super) key: IdempotencyKey,
}

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormFault {
    NoSeat,
    TooManySeats,
    UnknownSeat,
    Broken,
}

/// A form that is wrong, with the seats in it that can be chosen again.
#[derive(Debug)]
pub(super) struct FaultyWish {
    pub(super) fault: FormFault,
    pub(super) seats: Vec<SeatId>,
}

/// The seats of a form, and the first thing that is wrong with them.
fn seats_of(fields: &FormFields, hall: &SeatSnapshot) -> (Vec<SeatId>, Option<FormFault>) {
    let (mut seats, mut fault) = (Vec::new(), None);
    for text in fields.all("seat") {
        // A token of the house room is good for the seats of other concerts too.
        let known = SeatId::from_text(text).ok().filter(|seat| hall.order.spot(*seat).is_some());
        let wrong = match known {
            None => FormFault::UnknownSeat,
            Some(seat) if seats.contains(&seat) => FormFault::Broken,
            Some(_) if seats.len() == SEATS_PER_COMMAND_MAX => FormFault::TooManySeats,
            Some(seat) => {
                seats.push(seat);
                continue;
            }
        };
        fault.get_or_insert(wrong);
    }
    if seats.is_empty() {
        fault.get_or_insert(FormFault::NoSeat);
    }
    (seats, fault)
}

impl Wish {
    /// The wish of a form for seats of this hall.
    pub(super) fn of(fields: &FormFields, hall: &SeatSnapshot) -> Result<Self, FaultyWish> {
        let (seats, fault) = seats_of(fields, hall);
        let key = key_of(fields).ok();
        let token = fields.one("token").ok();
        match (key, token, fault) {
            (Some(key), Some(token), None) => Ok(Self { seats, token: token.to_owned(), key }),
            (Some(_), Some(_), Some(fault)) => Err(FaultyWish { fault, seats }),
            (None, ..) | (_, None, _) => Err(FaultyWish { fault: FormFault::Broken, seats }),
        }
    }
}
