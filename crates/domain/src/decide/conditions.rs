//! The invariants of every decision. Checked in debug builds, and so by every test: a rule that
//! breaks one of these is wrong.

use crate::{
    command::{Decision, Outcome},
    money::Money,
    points::PointEntry,
    sale::{PaymentStatus, Reservation, ReservationState, SeatState},
    world::World,
};

/// Checks a decision against the world that it left. `edits` is how often the world had changed before it.
///
/// # Panics
/// In debug builds, if a condition does not hold.
pub(super) fn check(world: &World, edits: usize, decision: &Decision) {
    if !cfg!(debug_assertions) {
        return;
    }
    match decision {
        Err(refusal) => assert_eq!(world.edits(), edits, "{refusal:?} has changed something"),
        Ok(Outcome::Held(reservations)) => {
            for row in reservations {
                assert!(row.state == ReservationState::Pending && row.is_live(world.now), "{row:?} is a new hold");
                let seat = world.seats.get(row.seat_id).map(|seat| (&seat.state, seat.price));
                let held = SeatState::Held { reservation_id: row.reservation_id };
                assert_eq!(seat, Some((&held, row.price)), "a hold has its seat, at the seat's price");
            }
        }
        Ok(Outcome::Cancelled(row)) => {
            assert!(matches!(row.state, ReservationState::Cancelled { .. }), "{row:?}");
            check_gave_up_seat(world, row);
        }
        Ok(Outcome::Paid(payments)) => {
            for payment in payments {
                assert_eq!(payment.status, PaymentStatus::Completed, "{payment:?}");
                let row = world.reservations.get(payment.reservation_id);
                assert!(
                    row.is_some_and(
                        |row| matches!(row.state, ReservationState::Confirmed { .. }) && row.price == payment.amount
                    ),
                    "{row:?} is confirmed by {payment:?}"
                );
                let seat = row.and_then(|row| world.seats.get(row.seat_id)).map(|seat| &seat.state);
                let sold = SeatState::Sold { reservation_id: payment.reservation_id };
                assert_eq!(seat, Some(&sold), "what is paid is sold");
            }
        }
        Ok(Outcome::Refunded(payment)) => {
            assert_eq!(payment.status, PaymentStatus::Refunded, "{payment:?}");
            let Some(row) = world.reservations.get(payment.reservation_id) else {
                panic!("{payment:?} has a reservation");
            };
            assert!(matches!(row.state, ReservationState::Refunded { .. }), "{row:?}");
            check_gave_up_seat(world, row);
        }
        Ok(Outcome::ToppedUp(entry)) => {
            assert!(entry.amount > Money::ZERO, "{entry:?}");
            check_balance(world, entry);
        }
        Ok(Outcome::Adjusted { entry: Some(entry), .. }) => check_balance(world, entry),
        Ok(Outcome::Claimed(events)) => {
            for event in events {
                assert!(event.is_due(world.now), "{event:?} is due");
                let lease = world.leases.get(event.consumer).and_then(|lease| lease.holding);
                assert!(lease.is_some_and(|lease| world.now < lease.until), "{event:?} is claimed under {lease:?}");
            }
        }
        Ok(_) => {}
    }
}

/// A reservation that has ended holds no seat.
fn check_gave_up_seat(world: &World, row: &Reservation) {
    let holder = world.seats.get(row.seat_id).and_then(crate::sale::Seat::reservation_id);
    assert_ne!(holder, Some(row.reservation_id), "{row:?} has ended");
}

/// The balance is what the last entry of the history says, and never negative.
fn check_balance(world: &World, entry: &PointEntry) {
    let point = world.points.get(entry.user_id).map(|point| (point.amount, point.version));
    assert_eq!(point, Some((entry.balance_after, entry.version)), "{entry:?}");
    assert!(entry.balance_after >= Money::ZERO, "{entry:?}");
}
