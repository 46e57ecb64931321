use crate::{
    command::{Decision, Outcome},
    decide::{
        holds::give_up_seat,
        operators::{check_has_reason, check_named_once, check_reason, with_reason},
        points::{Movement, post},
        tokens::check_service,
    },
    id::{PaymentId, ReservationId, TokenId},
    line::EndReason,
    money::Money,
    points::{PointKind, deducted},
    refusal::{EntityKind, Refusal},
    sale::{Payment, PaymentStatus, RefundTime, Reservation, Seat},
    user::Caller,
    world::World,
};
use serde_json::{Map, json};

/// All or nothing, in one transaction: the hold is valid, the balance covers it, points are deducted, the seat is sold,
/// the reservation confirmed, the payment stored, the token ended.
pub(super) fn pay(world: &mut World, caller: Caller, token_id: TokenId, ids: &[ReservationId]) -> Decision {
    let Some(user_id) = caller.user_id() else { return Err(Refusal::Forbidden) };
    let now = world.now;
    let reservations = own_reservations(world, caller, ids)?;
    let Some(concert_id) = reservations.first().map(|first| first.concert_id) else {
        return Err(Refusal::NotFound { what: EntityKind::Reservation });
    };
    if reservations.iter().any(|reservation| reservation.concert_id != concert_id) {
        return Err(Refusal::SeveralConcerts);
    }
    let Some(concert) = world.concerts.get(concert_id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Concert });
    };
    // Checked first: the buyer should get the cancellation as the reason, not the end of the hold.
    concert.check_takes_place()?;
    let mut price = Money::ZERO;
    let mut confirmed = Vec::with_capacity(reservations.len());
    for reservation in reservations {
        let reservation = reservation.confirmed(now)?;
        let seat = sold_seat(world, &reservation)?;
        price = price.checked_add(reservation.price).ok_or(Refusal::BalanceTooLarge { max: Money::MAX })?;
        confirmed.push((reservation, seat));
    }
    concert.check_payable(now)?;
    let token = check_service(world, caller, token_id, concert.room_id)?;
    let balance = world.points.get(user_id).map_or(Money::ZERO, |point| point.amount);
    deducted(balance, price)?;
    let token = token.ended(now, EndReason::Paid)?;

    let mut payments = Vec::with_capacity(confirmed.len());
    for (reservation, seat) in confirmed {
        let payment = Payment {
            payment_id: world.take_payment_id(),
            user_id,
            reservation_id: reservation.reservation_id,
            amount: reservation.price,
            status: PaymentStatus::Completed,
            paid_at: now,
            refunded_at: None,
            created_at: now,
        };
        // A seat without a price moves no points.
        if payment.amount > Money::ZERO {
            post(
                world,
                user_id,
                &Movement {
                    kind: PointKind::Use,
                    amount: payment.amount.negated(),
                    description: format!("{}, reservation {}", seat.label, reservation.reservation_id),
                    payment_id: Some(payment.payment_id),
                    reference: None,
                },
            );
        }
        world.seats.put(seat.seat_id, seat);
        world.reservations.put(reservation.reservation_id, reservation);
        world.payments.put(payment.payment_id, payment.clone());
        payments.push(payment);
    }
    world.put_token(token);
    Ok(Outcome::Paid(payments))
}

fn own_reservations(world: &World, caller: Caller, ids: &[ReservationId]) -> Result<Vec<Reservation>, Refusal> {
    check_named_once(ids, "A reservation")?;
    ids.iter()
        .map(|id| {
            world
                .reservations
                .get(*id)
                .filter(|reservation| caller.user_id() == Some(reservation.user_id))
                .cloned()
                .ok_or(Refusal::NotFound { what: EntityKind::Reservation })
        })
        .collect()
}

/// The reservation's seat, sold to it. A pending reservation without its seat cannot be paid.
fn sold_seat(world: &World, reservation: &Reservation) -> Result<Seat, Refusal> {
    let seat = world.seats.get(reservation.seat_id).ok_or(Refusal::ReservationNotPending)?;
    seat.clone().sold(reservation.reservation_id, world.now)
}

/// Refunds a payment, for good.
pub(super) fn refund(world: &mut World, caller: Caller, id: PaymentId, reason: Option<&str>) -> Decision {
    let Some(payment) = world.payments.get(id).filter(|row| caller.may_act_for(row.user_id)).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Payment });
    };
    if payment.status == PaymentStatus::Refunded {
        return Err(Refusal::AlreadyRefunded);
    }
    let reservation = world.reservations.get(payment.reservation_id);
    let Some(concert) = reservation.and_then(|row| world.concerts.get(row.concert_id)) else {
        return Err(Refusal::NotFound { what: EntityKind::Concert });
    };
    if let RefundTime::Over(until) = concert.refund_time(world.policy.refund_cutoff, world.now)
        && !caller.is_operator()
    {
        return Err(Refusal::RefundTooLate { until });
    }
    reason.map_or(Ok(()), check_reason)?;
    if caller.user_id() != Some(payment.user_id) {
        check_has_reason(caller, reason)?;
    }
    let payment = give_back(world, caller, id, |_| true)?;
    if caller.is_operator() {
        let detail = Map::from_iter([
            ("user_id".to_owned(), json!(payment.user_id)),
            ("amount".to_owned(), json!(payment.amount)),
            ("status".to_owned(), json!({ "from": PaymentStatus::Completed, "to": payment.status })),
        ]);
        world.add_audit(caller.user_id(), "payment.refund", format!("payment {id}"), with_reason(detail, reason));
    }
    Ok(Outcome::Refunded(payment))
}

/// Refunds a payment at any time, if its reservation is as `wanted`: payment, reservation, seat, balance and history
/// change together.
///
/// # Errors
/// The reason why it cannot be refunded; nothing was changed.
pub(super) fn give_back(
    world: &mut World,
    by: Caller,
    id: PaymentId,
    wanted: impl Fn(&Reservation) -> bool,
) -> Result<Payment, Refusal> {
    let now = world.now;
    let Some(mut payment) = world.payments.get(id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Payment });
    };
    if payment.status == PaymentStatus::Refunded {
        return Err(Refusal::AlreadyRefunded);
    }
    let Some(reservation) = world.reservations.get(payment.reservation_id).filter(|row| wanted(row)).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Reservation });
    };
    let Some(concert) = world.concerts.get(reservation.concert_id) else {
        return Err(Refusal::NotFound { what: EntityKind::Concert });
    };
    let seat_goes = concert.refunded_seat(now);
    let Some(refunded) = reservation.refunded(now) else { return Err(Refusal::AlreadyRefunded) };
    let balance = world.points.get(payment.user_id).map_or(Money::ZERO, |point| point.amount);
    balance.checked_add(payment.amount).ok_or(Refusal::BalanceTooLarge { max: Money::MAX })?;

    payment.status = PaymentStatus::Refunded;
    payment.refunded_at = Some(now);
    world.payments.put(id, payment.clone());
    world.reservations.put(payment.reservation_id, refunded.clone());
    give_up_seat(world, &refunded, &seat_goes, by);
    if payment.amount > Money::ZERO {
        post(
            world,
            payment.user_id,
            &Movement {
                kind: PointKind::Refund,
                amount: payment.amount,
                description: format!("refund of payment {id}"),
                payment_id: Some(id),
                reference: None,
            },
        );
    }
    Ok(payment)
}
