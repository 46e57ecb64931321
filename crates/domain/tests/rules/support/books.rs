//! The invariants of the rows at every moment, and between one moment and the next.
//!
//! Written over the rows alone, without the functions that the rules themselves use.

use frontrow_domain::{
    changes::RoomCounts,
    id::{AuditId, PaymentId, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{Token, TokenStatus, TokenTally},
    model::Model,
    outbox::{ATTEMPTS_MAX, Consumer, EventPayload},
    points::PointKind,
    sale::{PaymentStatus, ReservationStatus, SeatStatus},
    time::Time,
};
use std::collections::{BTreeMap, BTreeSet};

/// Checks every row against the others.
pub(crate) fn check(model: &Model, now: Time) {
    check_seats(model);
    check_payments(model);
    check_points(model);
    check_tokens(model, now);
    check_counts(model);
    check_caps(model);
    check_outbox(model);
}

/// Every entry of the audit log is in the feed or has its event, and the feed has no gaps.
fn check_outbox(model: &Model) {
    let entries: BTreeSet<_> = model.audit.iter().map(|entry| entry.audit_id).collect();
    let mut told: BTreeSet<AuditId> = BTreeSet::new();
    for (number, place) in (1..).zip(&model.feed) {
        assert_eq!(place.feed_number.get(), number, "the feed has a gap");
        assert!(told.insert(place.audit_id), "{place:?} stands in the feed twice");
    }
    let mut named = BTreeSet::new();
    for (id, event) in &model.outbox {
        match event.payload {
            EventPayload::AuditRecorded { audit_id } => {
                assert!(named.insert(audit_id), "event {id} is the second of its entry");
            }
            EventPayload::LetterRequested { .. } => assert_eq!(event.consumer, Consumer::Letters, "event {id}"),
            EventPayload::Unknown(_) => panic!("it is of another kind"),
        }
        let is_dead = event.state.dead_at().is_some();
        assert!(event.attempts <= ATTEMPTS_MAX && is_dead == (event.attempts == ATTEMPTS_MAX), "event {id}");
    }
    told.extend(named);
    assert_eq!(told, entries, "an entry of the audit log is neither fed nor to be fed, or is not there");
}

/// The stored counts equal the rows.
fn check_counts(model: &Model) {
    let mut counts: BTreeMap<RoomId, RoomCounts> = BTreeMap::new();
    for token in model.tokens.values() {
        let of_room = counts.entry(token.id.room_id).or_default();
        *of_room = of_room.plus(RoomCounts {
            active: i64::from(token.status() == TokenStatus::Active),
            offered: i64::from(token.status() == TokenStatus::Offered),
            tally: TokenTally::of(token),
        });
    }
    counts.retain(|_, count| *count != RoomCounts::default());
    assert_eq!(model.counts, counts, "the counts are not those of the tokens");
    for room in model.rooms.values() {
        let tally = counts.get(&room.room_id).copied().unwrap_or_default().tally;
        assert_eq!(room.peaks.overshoot, 0, "room {} was too full", room.room_id);
        assert!(room.peaks.passed_over <= tally.turns_passed, "room {}", room.room_id);
        assert_eq!(room.peaks.active > 0, tally.admitted > 0, "room {}", room.room_id);
    }
}

fn check_seats(model: &Model) {
    let mut live: BTreeMap<SeatId, ReservationId> = BTreeMap::new();
    for row in model.reservations.values() {
        let id = row.reservation_id;
        let seat = &model.seats[&row.seat_id];
        assert!(seat.was_held, "reservation {id} names a seat that does not know");
        assert_eq!((seat.concert_id, seat.seat_number), (row.concert_id, row.seat_number), "reservation {id}");
        assert!(row.expires_at > row.created_at, "reservation {id} has no time");
        let (paid, closed) = match row.status() {
            ReservationStatus::Pending => (false, false),
            ReservationStatus::Confirmed => (true, false),
            ReservationStatus::Cancelled | ReservationStatus::Expired => (false, true),
            ReservationStatus::Refunded => (true, true),
        };
        assert_eq!((row.confirmed_at().is_some(), row.closed_at().is_some()), (paid, closed), "reservation {id}");
        assert!(
            row.confirmed_at().is_none_or(|paid_at| paid_at < row.expires_at),
            "reservation {id} was paid too late"
        );
        if !closed {
            assert_eq!(live.insert(row.seat_id, id), None, "seat {} has two live reservations", row.seat_id);
        }
    }
    let mut places = BTreeSet::new();
    for seat in model.seats.values() {
        let id = seat.seat_id;
        assert!(places.insert((seat.concert_id, seat.label.place())), "seat {id} stands where another does");
        let holder = live.get(&id).map(|id| &model.reservations[id]);
        assert_eq!(seat.reservation_id(), holder.map(|row| row.reservation_id), "seat {id} and its reservation");
        let expected = match holder.map(frontrow_domain::sale::Reservation::status) {
            Some(ReservationStatus::Pending) => SeatStatus::Held,
            Some(_) => SeatStatus::Sold,
            None if seat.blocked_reason().is_some() => SeatStatus::Blocked,
            None => SeatStatus::Available,
        };
        assert_eq!(seat.status(), expected, "seat {id}");
    }
}

fn check_payments(model: &Model) {
    let mut by_reservation: BTreeMap<ReservationId, PaymentId> = BTreeMap::new();
    for payment in model.payments.values() {
        let id = payment.payment_id;
        let reservation = &model.reservations[&payment.reservation_id];
        let before = by_reservation.insert(payment.reservation_id, id);
        assert_eq!(before, None, "reservation {} was paid twice", payment.reservation_id);
        assert_eq!((payment.amount, payment.user_id), (reservation.price, reservation.user_id), "payment {id}");
        let expected = match payment.status {
            PaymentStatus::Completed => ReservationStatus::Confirmed,
            PaymentStatus::Refunded => ReservationStatus::Refunded,
        };
        assert_eq!(reservation.status(), expected, "payment {id} and its reservation");
        assert_eq!(payment.refunded_at.is_some(), payment.status == PaymentStatus::Refunded, "payment {id}");
        let entries = |kind| {
            let mine = model.history.iter().filter(move |entry| entry.payment_id == Some(id) && entry.kind == kind);
            mine.map(|entry| (entry.user_id, entry.amount)).collect::<Vec<_>>()
        };
        let moved = |amount, is_moved: bool| {
            if is_moved && payment.amount.get() > 0 { vec![(payment.user_id, amount)] } else { Vec::new() }
        };
        assert_eq!(entries(PointKind::Use), moved(payment.amount.negated(), true), "payment {id}");
        let back = moved(payment.amount, payment.refunded_at.is_some());
        assert_eq!(entries(PointKind::Refund), back, "payment {id}");
    }
    for row in model.reservations.values() {
        let paid = matches!(row.status(), ReservationStatus::Confirmed | ReservationStatus::Refunded);
        assert_eq!(by_reservation.contains_key(&row.reservation_id), paid, "reservation {}", row.reservation_id);
    }
}

fn check_points(model: &Model) {
    let mut sums: BTreeMap<UserId, (i128, i64)> = BTreeMap::new();
    let mut references = BTreeSet::new();
    for entry in &model.history {
        let (sum, version) = sums.entry(entry.user_id).or_default();
        *sum += i128::from(entry.amount.get());
        *version += 1;
        assert!(*sum >= 0, "entry {} takes more than there is", entry.history_id);
        assert_eq!(i128::from(entry.balance_after.get()), *sum, "entry {}", entry.history_id);
        assert_eq!(entry.version, *version, "entry {}", entry.history_id);
        assert_ne!(entry.amount.get(), 0, "entry {}", entry.history_id);
        let is_adjustment = entry.kind == PointKind::Adjustment;
        let takes = entry.kind == PointKind::Use || (is_adjustment && entry.amount.get() < 0);
        assert_eq!(entry.amount.get() < 0, takes, "entry {}", entry.history_id);
        let is_free = is_adjustment || entry.kind == PointKind::TopUp;
        assert_eq!(entry.payment_id.is_none(), is_free, "entry {}", entry.history_id);
        if let Some(reference) = &entry.reference {
            let user = is_adjustment.then_some(entry.user_id);
            assert!(references.insert((user, reference)), "reference {reference} was used twice");
        }
    }
    let accounts: BTreeMap<_, _> =
        model.points.values().map(|point| (point.user_id, (i128::from(point.amount.get()), point.version))).collect();
    assert_eq!(accounts, sums, "the balances are not the sums of the histories");
}

/// Whether the position is one that a draw gave.
fn is_drawn(model: &Model, id: TokenId) -> bool {
    let reserved = model.rooms[&id.room_id].draw.reserved();
    reserved.is_some_and(|reserved| id.position <= reserved.used_to && 2 * id.position.0 > reserved.end.0)
}

fn check_tokens(model: &Model, now: Time) {
    let mut live: BTreeSet<(UserId, RoomId)> = BTreeSet::new();
    let mut last: BTreeMap<RoomId, Time> = BTreeMap::new();
    for (id, token) in &model.tokens {
        assert_eq!(*id, token.id);
        assert!(id.position <= model.highest[&id.room_id], "token {id} is beyond the highest position");
        assert!(token.issued_at <= now, "token {id} is from the future");
        // Those whom a draw gave their places have not come in their order.
        if !is_drawn(model, *id) {
            let before = last.insert(id.room_id, token.issued_at);
            assert!(before.is_none_or(|before| before <= token.issued_at), "token {id} overtook another");
        }
        let ended = token.status() == TokenStatus::Ended;
        assert_eq!((token.expired_at().is_some(), token.end_reason().is_some()), (ended, ended), "token {id}");
        let timeless = ended || token.status() == TokenStatus::Waiting;
        assert_eq!(token.deadline().is_none(), timeless, "token {id}");
        if token.status() == TokenStatus::Active {
            assert!(token.activated_at().is_some(), "token {id}");
        }
        if !ended {
            let general = id.room_id.general();
            assert!(live.insert((token.user_id, general)), "user {} has two places in a line", token.user_id);
        }
    }
}

/// At the moment of every activation no more were active than the room's cap of that moment.
fn check_caps(model: &Model) {
    for (id, token) in &model.tokens {
        let Some(moment) = token.activated_at() else { continue };
        let active =
            model.tokens.values().filter(|other| other.id.room_id == id.room_id && was_active(other, moment)).count();
        // Of several caps at one moment the greatest may have been the one.
        let mut cap = 0;
        for (from, _, max_active) in model.caps.iter().filter(|(_, room, _)| *room == id.room_id) {
            if *from < moment {
                cap = *max_active;
            } else if *from == moment {
                cap = cap.max(*max_active);
            }
        }
        assert!(
            i64::try_from(active).is_ok_and(|active| active <= cap),
            "{active} were active in room {} of {cap}",
            id.room_id
        );
    }
}

/// Whether the token was active then. An active token is only ever lengthened while it lives, so its life is one span.
fn was_active(token: &Token, moment: Time) -> bool {
    let ends = token.expired_at().or(token.deadline());
    token.activated_at().is_some_and(|from| from <= moment) && ends.is_some_and(|end| moment < end)
}

/// Checks that every row moved along a legal way only, and that what is for ever stayed.
pub(crate) fn check_step(before: &Model, after: &Model) {
    for (id, old) in &before.reservations {
        let new = &after.reservations[id];
        let legal = old.status() == new.status()
            || matches!(
                (old.status(), new.status()),
                (
                    ReservationStatus::Pending,
                    ReservationStatus::Confirmed | ReservationStatus::Cancelled | ReservationStatus::Expired
                ) | (ReservationStatus::Confirmed, ReservationStatus::Refunded)
            );
        assert!(legal, "reservation {id}: {:?} to {:?}", old.status(), new.status());
        assert_eq!(
            (old.user_id, old.seat_id, old.price, old.created_at, old.expires_at),
            (new.user_id, new.seat_id, new.price, new.created_at, new.expires_at),
            "reservation {id}"
        );
    }
    for (id, old) in &before.payments {
        let new = &after.payments[id];
        assert!(old == new || old.status == PaymentStatus::Completed, "payment {id} changed after its refund");
        assert_eq!((old.amount, old.paid_at), (new.amount, new.paid_at), "payment {id}");
    }
    for (id, old) in &before.tokens {
        check_token_step(*id, old, &after.tokens[id]);
    }
    for (room, highest) in &before.highest {
        assert!(after.highest[room] >= *highest, "room {room} gave a position back");
    }
    for id in after.tokens.keys().filter(|id| !before.tokens.contains_key(id)) {
        let highest = before.highest.get(&id.room_id).filter(|_| !is_drawn(after, *id));
        assert!(highest.is_none_or(|highest| id.position > *highest), "token {id} did not join at the end");
    }
    for (id, old) in &before.rooms {
        assert!(after.rooms[id].cursor >= old.cursor, "the line of room {id} went back");
    }
    assert!(after.history.starts_with(&before.history), "the history of points was rewritten");
    assert!(after.audit.starts_with(&before.audit), "the audit log was rewritten");
    assert!(after.feed.starts_with(&before.feed), "the feed was rewritten");
    assert!(after.caps.starts_with(&before.caps), "the caps were rewritten");
    for (key, old) in &before.kept {
        assert_eq!(after.kept.get(key), Some(old), "a kept answer changed");
    }
}

fn check_token_step(id: TokenId, old: &Token, new: &Token) {
    use TokenStatus::{Active, Dormant, Ended, Missed, Offered, Waiting};
    assert_eq!((old.user_id, old.issued_at), (new.user_id, new.issued_at), "token {id}");
    let legal = old.status() == new.status()
        || matches!(
            (old.status(), new.status()),
            (Waiting, Offered | Dormant)
                | (Offered, Active | Missed | Waiting)
                | (Missed | Dormant, Waiting)
                | (Waiting | Offered | Missed | Dormant | Active, Ended)
        );
    assert!(legal, "token {id}: {:?} to {:?}", old.status(), new.status());
    if old.status() == Ended {
        assert_eq!(old, new, "token {id} changed after its end");
    }
    if (old.status(), new.status()) == (Active, Active) {
        // A client that has gone away has less time left, and gets back what it had.
        assert!(new.back().deadline() >= old.back().deadline(), "token {id} was shortened");
        let is_away = new.state.back_until().is_some();
        assert!(is_away || new.deadline() >= old.deadline(), "token {id} was shortened");
        assert_eq!(new.activated_at(), old.activated_at(), "token {id}");
    }
}
