//! A concert's life: created, changed, cancelled, wound up.

use crate::{
    command::{ConcertChange, Decision, NewConcert, Outcome, OwnRoom},
    decide::{
        holds::give_up_unpaid,
        lanes::follow,
        operators::{
            check_basis, check_has_reason, check_max_active, check_operator, check_price, check_rate, check_reason,
            check_system, differences, later, malformed, with_reason,
        },
        payments::give_back,
        rooms::end_head,
    },
    id::{CONCERTS_MAX, ConcertId, PaymentId, RoomId, SeatId},
    line::{DrawPhase, EndReason, OpeningOrder, Room},
    money::Money,
    refusal::{EntityKind, Refusal},
    sale::{
        Closing, Concert, ConcertDetails, ConcertStatus, DetailsChange, LocalHours, POSTER_SIDE_MAX, Poster,
        PosterMark, ReservationStatus, SeatState,
    },
    time::Time,
    user::Caller,
    world::World,
};
use serde_json::{Map, Value, json};

pub(super) fn create(world: &mut World, caller: Caller, new: &NewConcert) -> Decision {
    check_operator(caller)?;
    let (closes_at, closing) = match new.closes_at {
        None => (new.starts_at, Closing::WithStart),
        Some(at) => (at, Closing::Apart),
    };
    let own_room =
        new.own_room_max_active.map(|max_active| OwnRoom { max_active, admit_per_minute: None, opening: None });
    own_room.map_or(Ok(()), check_own_room)?;
    let (status, opens_at) = match new.opens_at {
        Some(opens_at) => (ConcertStatus::Scheduled, opens_at),
        None => (ConcertStatus::Closed, Concert::unknown_opening(new.starts_at)),
    };
    let now = world.now;
    let mut concert = Concert {
        concert_id: ConcertId::new(0),
        title: new.title.clone(),
        artist: new.artist.clone(),
        venue: new.venue.clone(),
        time_zone: new.time_zone.clone(),
        concert_date: new.concert_date,
        start_time: new.start_time,
        end_time: new.end_time,
        starts_at: new.starts_at,
        ends_at: new.ends_at,
        base_price: new.base_price,
        opens_at,
        closes_at,
        opened_at: None,
        closing,
        room_id: RoomId::HOUSE,
        status,
        status_reason: None,
        refund_all_at: None,
        wound_up_at: None,
        created_at: now,
        updated_at: now,
    };
    check(&concert)?;
    new.details.check()?;
    if world.next_ids.concert.peek() > CONCERTS_MAX {
        return Err(malformed("There is no number left for a concert."));
    }
    // A refused concert takes no number.
    concert.concert_id = world.take_concert_id();
    if let Some(room) = own_room {
        open_own_room(world, &mut concert, room);
    }
    set_sale_window(world, &concert);
    world.concerts.put(concert.concert_id, concert.clone());
    change_details(world, concert.concert_id, &new.details);
    let detail = json!({
        "title": concert.title,
        "venue": concert.venue,
        "starts_at": concert.starts_at,
        "opens_at": new.opens_at,
        "closes_at": concert.closes_at,
        "base_price": concert.base_price,
        "room_id": concert.room_id,
        "own_room_max_active": new.own_room_max_active,
    });
    world.add_audit(caller.user_id(), "concert.create", object(&concert), detail);
    Ok(Outcome::Concert(concert))
}

/// Gives a concert a room of its own. Its sale window is set once the concert's hours are known.
fn open_own_room(world: &mut World, concert: &mut Concert, OwnRoom { max_active, admit_per_minute, opening }: OwnRoom) {
    let room_id = RoomId::of_concert(concert.concert_id);
    let has_lobby = opening.unwrap_or(world.policy.opening) == OpeningOrder::Draw && world.now < concert.opens_at;
    let draw = if has_lobby { DrawPhase::Lobby } else { DrawPhase::None };
    let room = Room { admit_per_minute, draw, ..Room::new(room_id, max_active, world.now) };
    world.rooms.put(room_id, room);
    world.note_cap(room_id, max_active);
    concert.room_id = room_id;
}

fn check_own_room(OwnRoom { max_active, admit_per_minute, .. }: OwnRoom) -> Result<(), Refusal> {
    check_max_active(max_active)?;
    check_rate(admit_per_minute)
}

/// Refuses unless the concert may leave the house room. Once its sale was open, buyers may hold seats with the house
/// room's tokens and wait there for a turn, even if the opening was moved since: a room of its own would take both from
/// them. A hold does not lock its concert, so the last seconds before the opening count as after it.
fn check_may_move_out(concert: &Concert, own_room: OwnRoom, now: Time) -> Result<(), Refusal> {
    check_own_room(own_room)?;
    concert.check_takes_place()?;
    if concert.room_id != RoomId::HOUSE {
        return Err(malformed("The concert has a room of its own: change the room."));
    }
    match concert.sale_opened_at(now) {
        Some(opened_at) => Err(Refusal::SaleOpened { opened_at }),
        None => Ok(()),
    }
}

/// Checks the fields that every concert must have right.
fn check(concert: &Concert) -> Result<(), Refusal> {
    if concert.ends_at <= concert.starts_at {
        return Err(malformed("A concert must start before it ends."));
    }
    if concert.opens_at >= concert.closes_at {
        return Err(malformed("The sale must open before it closes."));
    }
    check_price(concert.base_price)?;
    concert.status_reason.as_deref().map_or(Ok(()), check_reason)
}

fn object(concert: &Concert) -> String {
    format!("concert {}", concert.concert_id)
}

fn find(world: &World, id: ConcertId) -> Result<Concert, Refusal> {
    world.concerts.get(id).cloned().ok_or(Refusal::NotFound { what: EntityKind::Concert })
}

/// Saves a changed concert.
fn put(world: &mut World, mut concert: Concert) -> Concert {
    concert.updated_at = later(concert.updated_at, world.now);
    world.concerts.put(concert.concert_id, concert.clone());
    concert
}

/// Sets when the sale opens and ends in the row of the concert's own room. It ends when an operator stops it, when it
/// closes or when the concert ends.
fn set_sale_window(world: &mut World, concert: &Concert) {
    let Some(mut room) = own_room(world, concert) else { return };
    let last = concert.closes_at.min(concert.ends_at);
    let closes_at = match concert.status {
        ConcertStatus::Scheduled | ConcertStatus::Over => last,
        ConcertStatus::Closed | ConcertStatus::Postponed | ConcertStatus::Cancelled => {
            last.min(room.closes_at.unwrap_or(world.now)).min(world.now)
        }
    };
    let window = (Some(concert.opens_at), Some(closes_at));
    if (room.opens_at, room.closes_at) != window {
        (room.opens_at, room.closes_at) = window;
        room.updated_at = later(room.updated_at, world.now);
        world.rooms.put(room.room_id, room.clone());
        follow(world, &room);
    }
}

/// The concert's own room, if it has one.
fn own_room(world: &World, concert: &Concert) -> Option<Room> {
    world.rooms.get(concert.room_id).filter(|_| concert.room_id != RoomId::HOUSE).cloned()
}

pub(super) fn update(
    world: &mut World,
    caller: Caller,
    id: ConcertId,
    change: &ConcertChange,
    basis: Option<Time>,
    reason: Option<&str>,
) -> Decision {
    check_operator(caller)?;
    let before = find(world, id)?;
    check_basis(basis, before.updated_at)?;
    if let Some(room) = change.own_room {
        check_may_move_out(&before, room, world.now)?;
    }
    let mut concert = change.applied(&before, world.now)?;
    check_may_go_on_sale(world, &before, &concert, change)?;
    change.details.check()?;
    reason.map_or(Ok(()), check_reason)?;
    if change.hurts(&before, world.now) {
        let for_buyers = change.status_reason.as_ref().and_then(Option::as_deref);
        check_has_reason(caller, reason.or(for_buyers))?;
    }
    if let Some(room) = change.own_room {
        open_own_room(world, &mut concert, room);
    }
    let mut detail = differences(&before, &concert);
    if before.has_no_opening() && detail.remove("opens_at").is_some() && !concert.has_no_opening() {
        detail.insert("opens_at".to_owned(), json!({ "from": null, "to": concert.opens_at }));
    }
    if let Some(OwnRoom { max_active, admit_per_minute, opening }) = change.own_room {
        detail.insert("own_room_max_active".to_owned(), json!({ "from": null, "to": max_active }));
        if let Some(rate) = admit_per_minute {
            detail.insert("admit_per_minute".to_owned(), json!({ "from": null, "to": rate }));
        }
        if let Some(opening) = opening {
            detail.insert("opening".to_owned(), json!({ "from": null, "to": opening }));
        }
    }
    let details = change_details(world, id, &change.details);
    let concert = put(world, concert);
    if !details.is_empty() {
        detail.insert("details".to_owned(), Value::Object(details));
    }
    set_sale_window(world, &concert);
    world.add_audit(caller.user_id(), "concert.update", object(&concert), with_reason(detail, reason));
    Ok(Outcome::Concert(concert))
}

/// Refuses a change that puts a stopped concert on sale before it is whole. A new concert may be scheduled without seats:
/// those who make it add them before its sale opens.
fn check_may_go_on_sale(
    world: &World,
    before: &Concert,
    after: &Concert,
    change: &ConcertChange,
) -> Result<(), Refusal> {
    if before.status == after.status || after.status != ConcertStatus::Scheduled {
        return Ok(());
    }
    if !world.highest_seats.contains_key(&before.concert_id) {
        return Err(Refusal::NoSeats);
    }
    if before.has_no_opening() && change.opens_at.is_none() { Err(Refusal::NoOpening) } else { Ok(()) }
}

impl ConcertChange {
    /// The concert after the change at `now`, but for a room of its own, its details and `updated_at`.
    ///
    /// # Errors
    /// The refusal of a change that leads to no possible concert.
    pub fn applied(&self, concert: &Concert, now: Time) -> Result<Concert, Refusal> {
        let has_no_opening = concert.has_no_opening();
        let mut concert = concert.clone();
        let take = |field: &mut String, new: &Option<String>| {
            if let Some(new) = new {
                field.clone_from(new);
            }
        };
        take(&mut concert.title, &self.title);
        take(&mut concert.artist, &self.artist);
        take(&mut concert.venue, &self.venue);
        let moves = self.concert_date.is_some() || self.start_time.is_some() || self.end_time.is_some();
        if self.time_zone.is_some() || moves || self.fold.is_some() {
            take(&mut concert.time_zone, &self.time_zone);
            concert.concert_date = self.concert_date.unwrap_or(concert.concert_date);
            concert.start_time = self.start_time.unwrap_or(concert.start_time);
            concert.end_time = self.end_time.unwrap_or(concert.end_time);
            let Concert { concert_date, start_time, end_time, .. } = concert;
            (concert.starts_at, concert.ends_at) = LocalHours { concert_date, start_time, end_time, fold: self.fold }
                .moments(&concert.time_zone)
                .map_err(|reason| malformed(format!("The concert's {} {reason}.", reason.field())))?;
        }
        concert.base_price = self.base_price.unwrap_or(concert.base_price);
        match self.opens_at {
            // What was never open leaves no trace.
            None if has_no_opening => concert.opens_at = Concert::unknown_opening(concert.starts_at),
            Some(opens_at) if has_no_opening => concert.opens_at = opens_at,
            Some(opens_at) => concert.open_at(opens_at, now),
            None => {}
        }
        match self.closes_at {
            None => {}
            Some(None) => concert.closing = Closing::WithStart,
            Some(Some(at)) => (concert.closes_at, concert.closing) = (at, Closing::Apart),
        }
        if concert.closing == Closing::WithStart {
            concert.closes_at = concert.starts_at;
        }
        if let Some(status) = self.status {
            set_status(&mut concert, status, now)?;
        }
        if let Some(reason) = &self.status_reason {
            concert.status_reason.clone_from(reason);
        }
        check(&concert)?;
        Ok(concert)
    }
}

/// Saves changed details. Returns what differs.
fn change_details(world: &mut World, id: ConcertId, change: &DetailsChange) -> Map<String, Value> {
    if change.is_empty() {
        return Map::new();
    }
    let before = world.details.get(id).cloned().unwrap_or_else(|| ConcertDetails::none(id));
    let after = change.apply(before.clone());
    let mut changed = differences(&before, &after);
    if let Some(description) = changed.get_mut("description") {
        // The log does not repeat thousands of characters.
        let len = |text: Option<String>| text.map(|text| format!("{} characters", text.chars().count()));
        *description = json!({ "from": len(before.description), "to": len(after.description.clone()) });
    }
    world.details.put(id, after);
    changed
}

/// The same picture again changes nothing.
pub(super) fn set_poster(world: &mut World, caller: Caller, poster: &Poster, basis: Option<Time>) -> Decision {
    check_operator(caller)?;
    let concert = find(world, poster.concert_id)?;
    let PosterMark { tag, width, height } = poster.mark;
    if !(1..=POSTER_SIDE_MAX).contains(&width) || !(1..=POSTER_SIDE_MAX).contains(&height) {
        return Err(malformed(format!("A poster's sides have 1 to {POSTER_SIDE_MAX} pixels.")));
    }
    if world.posters.get(&poster.concert_id) == Some(&poster.mark) {
        return Ok(Outcome::Concert(concert));
    }
    check_basis(basis, concert.updated_at)?;
    let concert = put(world, concert);
    world.set_poster(poster.clone());
    let detail = json!({ "tag": tag.to_string(), "width": width, "height": height, "bytes": poster.jpeg.len() });
    world.add_audit(caller.user_id(), "concert.poster.set", object(&concert), detail);
    Ok(Outcome::Concert(concert))
}

/// Removing a poster that is not there changes nothing.
pub(super) fn remove_poster(world: &mut World, caller: Caller, id: ConcertId, basis: Option<Time>) -> Decision {
    check_operator(caller)?;
    let concert = find(world, id)?;
    let Some(mark) = world.posters.get(&id).copied() else { return Ok(Outcome::Concert(concert)) };
    check_basis(basis, concert.updated_at)?;
    let concert = put(world, concert);
    world.remove_poster(id);
    let detail = json!({ "tag": mark.tag.to_string() });
    world.add_audit(caller.user_id(), "concert.poster.remove", object(&concert), detail);
    Ok(Outcome::Concert(concert))
}

/// A sale that is stopped keeps that it was open.
fn set_status(concert: &mut Concert, status: ConcertStatus, now: Time) -> Result<(), Refusal> {
    match status {
        ConcertStatus::Scheduled | ConcertStatus::Closed | ConcertStatus::Postponed => {}
        ConcertStatus::Cancelled => return Err(malformed("A concert is cancelled by a call of its own.")),
        ConcertStatus::Over => return Err(malformed("A concert is over when it has ended, and not before.")),
    }
    concert.check_takes_place()?;
    if concert.status == ConcertStatus::Scheduled && status != ConcertStatus::Scheduled {
        concert.opened_at = concert.sale_opened_at(now);
    }
    concert.status = status;
    concert.status_reason = None;
    Ok(())
}

pub(super) fn cancel(world: &mut World, caller: Caller, id: ConcertId, reason: &str, basis: Option<Time>) -> Decision {
    check_operator(caller)?;
    let mut concert = find(world, id)?;
    check_basis(basis, concert.updated_at)?;
    if concert.status == ConcertStatus::Cancelled {
        return Ok(Outcome::Concert(concert));
    }
    let status = concert.status;
    concert.status = ConcertStatus::Cancelled;
    concert.status_reason = Some(reason.to_owned());
    check(&concert)?;
    let concert = put(world, concert);
    set_sale_window(world, &concert);
    let detail = json!({ "status": { "from": status, "to": concert.status }, "reason": reason });
    world.add_audit(caller.user_id(), "concert.cancel", object(&concert), detail);
    Ok(Outcome::Concert(concert))
}

pub(super) fn refund_all(world: &mut World, caller: Caller, id: ConcertId, basis: Option<Time>) -> Decision {
    check_operator(caller)?;
    let mut concert = find(world, id)?;
    // What winding up writes into a cancelled concert is no change that an operator would have to see first.
    if concert.wound_up_at.is_none() {
        check_basis(basis, concert.updated_at)?;
    }
    if concert.status != ConcertStatus::Cancelled {
        return Err(Refusal::ConcertNotCancelled);
    }
    if concert.refund_all_at.is_some() {
        return Ok(Outcome::Concert(concert));
    }
    concert.refund_all_at = Some(world.now);
    concert.wound_up_at = None;
    let concert = put(world, concert);
    world.add_audit(caller.user_id(), "concert.refund_all", object(&concert), json!({}));
    Ok(Outcome::Concert(concert))
}

/// The named rows may have changed since the search: each row's own state says what is left to do.
pub(super) fn wind_up(
    world: &mut World,
    caller: Caller,
    id: ConcertId,
    seat_ids: &[SeatId],
    payment_ids: &[PaymentId],
) -> Decision {
    check_system(caller)?;
    let concert = find(world, id)?;
    if concert.status != ConcertStatus::Cancelled {
        return Err(Refusal::ConcertNotCancelled);
    }
    let mut seats = 0_u32;
    for seat_id in seat_ids {
        if take_off_sale(world, &concert, *seat_id) {
            seats = seats.saturating_add(1);
        }
    }
    let (mut refunds, mut amount) = (0_u32, Money::ZERO);
    for payment_id in payment_ids.iter().filter(|_| concert.refund_all_at.is_some()) {
        // If the account cannot take the points, the refund is left to an operator.
        if let Ok(payment) = give_back(world, caller, *payment_id, |of| of.concert_id == id) {
            refunds = refunds.saturating_add(1);
            amount = amount.checked_add(payment.amount).unwrap_or(Money::MAX);
        }
    }
    if refunds > 0 {
        let detail = json!({ "count": refunds, "amount": amount });
        world.add_audit(None, "payments.refund", object(&concert), detail);
    }
    Ok(Outcome::WoundUp { seats, refunds })
}

/// Blocks an unpaid seat of a cancelled concert, and ends its hold.
fn take_off_sale(world: &mut World, concert: &Concert, seat_id: SeatId) -> bool {
    let Some(seat) = world.seats.get(seat_id).filter(|seat| seat.concert_id == concert.concert_id).cloned() else {
        return false;
    };
    match seat.state {
        SeatState::Sold { .. } | SeatState::Blocked { .. } => false,
        SeatState::Available { .. } => {
            world.seats.put(seat_id, seat.set(&concert.unpaid_seat(), None, world.now));
            true
        }
        SeatState::Held { reservation_id } => {
            let Some(row) = world.reservations.get(reservation_id).cloned() else { return false };
            if row.status() != ReservationStatus::Pending {
                return false;
            }
            let now = world.now;
            let Some(ended) = row.clone().expired(now).or_else(|| row.cancelled(now).ok()) else { return false };
            world.reservations.put(reservation_id, ended.clone());
            give_up_unpaid(world, &ended, Caller::System);
            true
        }
    }
}

/// Ends the waiting tokens at the head of the concert's own line or of a lane beside it, as many as were loaded. Tokens
/// with a deadline end by it.
pub(super) fn end_line(world: &mut World, caller: Caller, id: RoomId) -> Decision {
    check_system(caller)?;
    let concert = find(world, id.concert().ok_or(Refusal::NotFound { what: EntityKind::Concert })?)?;
    let mut overdue = 0_u32;
    if concert.is_line_over(world.now)
        && let Some(room) = world.rooms.get(id).filter(|_| concert.room_id == id.general()).cloned()
    {
        overdue = end_head(world, room, EndReason::ConcertOver)?;
    }
    Ok(Outcome::Advanced { activated: 0, offered: 0, made_dormant: 0, overdue })
}

pub(super) fn settle(world: &mut World, caller: Caller, id: ConcertId, seen: Time) -> Decision {
    check_system(caller)?;
    let mut concert = find(world, id)?;
    if concert.status != ConcertStatus::Cancelled {
        return Err(Refusal::ConcertNotCancelled);
    }
    let is_final = concert.updated_at == seen && concert.may_settle(world.now);
    if is_final && concert.wound_up_at.is_none() {
        concert.wound_up_at = Some(world.now);
        concert = put(world, concert);
    }
    Ok(Outcome::Concert(concert))
}
