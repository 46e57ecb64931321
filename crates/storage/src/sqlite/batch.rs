//! Loads the rows that a batch names, and the rows that depend on them: the same rows as `Model::load` of the domain.

use super::columns::{
    self as rows, EnumText, concert_columns, debt_columns, payment_columns, point_columns, reservation_columns,
    room_columns, seat_columns, time, token_columns, user_columns,
};
use frontrow_domain::{
    command::{Footprint, Idempotency, IdempotencyRecord},
    id::{ConcertId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    policy::TOKENS_PER_ADVANCE_MAX,
    queue::{DEADLINE_ORDER, TokenStatus},
    reservation::Reservation,
    world::{RoomCounts, World},
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Result};
use std::collections::{BTreeMap, HashSet};

/// Loads the rows that `keys` name into `world`. Returns the tokens that were active before the batch.
pub(super) fn load(
    conn: &Connection,
    world: &mut World,
    keys: &Footprint,
    highest: &BTreeMap<RoomId, Position>,
) -> Result<HashSet<TokenId>> {
    load_answers(conn, world, &keys.idempotency)?;
    load_users(conn, world, keys)?;
    load_rooms(conn, world, keys, highest)?;
    let mut active = HashSet::with_capacity(keys.tokens.len());
    load_tokens(conn, world, keys, &mut active)?;
    load_lines(conn, world, keys, &mut active)?;
    load_sale(conn, world, keys)?;
    Ok(active)
}

fn load_answers(conn: &Connection, world: &mut World, wanted: &[Idempotency]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached("SELECT created_at, fingerprint, answer FROM idempotency WHERE key = ?1")?;
    for Idempotency { key, .. } in wanted {
        let kept = select
            .query_row((key,), |row| {
                let idempotency = Idempotency { key: *key, fingerprint: row.get(1)? };
                Ok(IdempotencyRecord { idempotency, answer: row.get(2)?, created_at: time(row, 0)? })
            })
            .optional()?;
        if let Some(kept) = kept {
            world.kept.load(*key, kept);
        }
    }
    Ok(())
}

fn load_users(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    if !keys.emails.is_empty() {
        let mut select = conn.prepare_cached("SELECT user_id FROM \"user\" WHERE email = ?1")?;
        for email in &keys.emails {
            if let Some(user) = select.query_row((email,), |row| row.get(0)).optional()? {
                world.emails.insert(email.clone(), UserId(user));
            }
        }
    }
    if !keys.users.is_empty() {
        let mut select =
            conn.prepare_cached(concat!("SELECT ", user_columns!(), " FROM \"user\" WHERE user_id = ?1"))?;
        for id in &keys.users {
            if let Some(user) = select.query_row((id.0,), rows::user).optional()? {
                world.users.load(*id, user);
            }
        }
    }
    if !keys.reset_links.is_empty() {
        let mut select =
            conn.prepare_cached("SELECT user_id, secret_hash, epoch, expires_at FROM reset_link WHERE user_id = ?1")?;
        for id in &keys.reset_links {
            if let Some(link) = select.query_row((id.0,), rows::reset_link).optional()? {
                world.reset_links.load(*id, link);
            }
        }
    }
    if !keys.references.is_empty() {
        let mut select = conn.prepare_cached("SELECT 1 FROM point_history WHERE reference = ?1 AND type = 'top_up'")?;
        for reference in &keys.references {
            if select.exists((reference,))? {
                world.references.insert(reference.clone());
            }
        }
    }
    for (user, reference) in &keys.adjustments {
        let mut select = conn.prepare_cached(
            "SELECT 1 FROM point_history WHERE user_id = ?1 AND reference = ?2 AND type = 'adjustment'
             UNION ALL SELECT 1 FROM debt WHERE user_id = ?1 AND reference = ?2",
        )?;
        if select.exists((user.0, reference))? {
            world.adjustments.insert((*user, reference.clone()));
        }
    }
    for id in &keys.debts {
        let mut select = conn.prepare_cached(concat!("SELECT ", debt_columns!(), " FROM debt WHERE debt_id = ?1"))?;
        if let Some(debt) = select.query_row((id.get(),), rows::debt).optional()? {
            world.debts.load(*id, debt);
        }
    }
    for user in &keys.debtors {
        let mut select = conn.prepare_cached(concat!(
            "SELECT ",
            debt_columns!(),
            " FROM debt INDEXED BY debt_of_user WHERE user_id = ?1 AND status = 'open'"
        ))?;
        for debt in select.query_map((user.0,), rows::debt)? {
            let debt = debt?;
            world.debts.load(debt.debt_id, debt);
        }
    }
    Ok(())
}

fn load_rooms(
    conn: &Connection,
    world: &mut World,
    keys: &Footprint,
    highest: &BTreeMap<RoomId, Position>,
) -> Result<()> {
    let mut select = conn.prepare_cached(concat!("SELECT ", room_columns!(), " FROM room WHERE room_id = ?1"))?;
    for id in &keys.rooms {
        if world.rooms.contains(*id) {
            continue;
        }
        if let Some(room) = select.query_row((id.get(),), rows::room).optional()? {
            world.rooms.load(*id, room);
            world.highest.insert(*id, highest.get(id).copied().unwrap_or(Position(0)));
        }
    }
    Ok(())
}

fn load_tokens(conn: &Connection, world: &mut World, keys: &Footprint, active: &mut HashSet<TokenId>) -> Result<()> {
    if !keys.tokens.is_empty() {
        let mut select = conn.prepare_cached(concat!(
            "SELECT ",
            token_columns!(),
            " FROM waiting_token WHERE room_id = ?1 AND position = ?2"
        ))?;
        for id in &keys.tokens {
            if let Some(token) = select.query_row((id.room_id.get(), id.position.0), rows::token).optional()? {
                if token.status() == TokenStatus::Active {
                    active.insert(token.id);
                }
                world.load_token(token);
            }
        }
    }
    if !keys.places.is_empty() {
        let mut select = conn.prepare_cached(concat!(
            "SELECT ",
            token_columns!(),
            " FROM waiting_token INDEXED BY one_live_token_per_user_and_room",
            " WHERE user_id = ?1 AND room_id = ?2 AND status <> 'ended'"
        ))?;
        for (user, room) in &keys.places {
            if let Some(token) = select.query_row((user.0, room.get()), rows::token).optional()? {
                if token.status() == TokenStatus::Active {
                    active.insert(token.id);
                }
                world.load_token(token);
                world.places.insert((*user, *room), token.id);
            }
        }
    }
    Ok(())
}

fn load_lines(conn: &Connection, world: &mut World, keys: &Footprint, active: &mut HashSet<TokenId>) -> Result<()> {
    for room in &keys.counted {
        if world.counts(*room).is_none() {
            let counts = conn
                .prepare_cached("SELECT active, offered FROM room WHERE room_id = ?1")?
                .query_row((room.get(),), |row| Ok(RoomCounts { active: row.get(0)?, offered: row.get(1)? }))
                .optional()?;
            world.load_counts(*room, counts.unwrap_or_default(), RoomCounts::default());
            let mut overdue = Vec::new();
            load_due(conn, world, *room, TokenStatus::Active, &mut overdue)?;
            active.extend(&overdue);
            world.overdue.insert(*room, overdue);
        }
    }
    for (room, limit) in &keys.advanced {
        let mut due_ids = Vec::new();
        for status in DEADLINE_ORDER {
            load_due(conn, world, *room, status, &mut due_ids)?;
        }
        // In the order of the line, since the order decides how the room's no-show share moves.
        due_ids.sort_unstable();
        world.due.insert(*room, due_ids);
        let mut head_ids = Vec::new();
        let mut head = conn.prepare_cached(concat!(
            "SELECT ",
            token_columns!(),
            " FROM waiting_token INDEXED BY token_in_line WHERE room_id = ?1 AND status = 'waiting'",
            " ORDER BY position LIMIT ?2"
        ))?;
        for token in head.query_map((room.get(), limit), rows::token)? {
            let token = token?;
            head_ids.push(token.id);
            world.load_token(token);
        }
        world.head.insert(*room, head_ids);
    }
    Ok(())
}

/// Adds the first tokens of a room in this status whose deadline has passed; at most as many as one advance reads in
/// all.
fn load_due(
    conn: &Connection,
    world: &mut World,
    room: RoomId,
    status: TokenStatus,
    due: &mut Vec<TokenId>,
) -> Result<()> {
    let left = i64::from(TOKENS_PER_ADVANCE_MAX) - i64::try_from(due.len()).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(concat!(
        "SELECT ",
        token_columns!(),
        " FROM waiting_token INDEXED BY token_by_deadline WHERE room_id = ?1 AND status = ?2",
        " AND deadline <= ?3 ORDER BY deadline, position LIMIT ?4"
    ))?;
    for token in select.query_map((room.get(), status.word(), world.now.micros(), left.max(0)), rows::token)? {
        let token = token?;
        due.push(token.id);
        world.load_token(token);
    }
    Ok(())
}

fn load_sale(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    let mut sale = Sale::new(conn)?;
    if !keys.payments.is_empty() {
        let mut select =
            conn.prepare_cached(concat!("SELECT ", payment_columns!(), " FROM payment WHERE payment_id = ?1"))?;
        for id in &keys.payments {
            if let Some(payment) = select.query_row((id.get(),), rows::payment).optional()? {
                sale.load_reservation(world, payment.reservation_id)?;
                sale.load_point(world, payment.user_id)?;
                world.payments.load(*id, payment);
            }
        }
    }
    for id in &keys.reservations {
        sale.load_reservation(world, *id)?;
    }
    for id in &keys.seats {
        sale.load_seat(world, *id)?;
    }
    for (user, seat) in &keys.holdings {
        sale.load_holdings(world, *user, *seat)?;
    }
    for id in &keys.concerts {
        sale.load_concert(world, *id)?;
    }
    for user in &keys.points {
        sale.load_point(world, *user)?;
    }
    load_places(conn, world, keys)
}

/// The places of concerts that get seats or whose seats move.
fn load_places(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    for (concert, numbers, places) in &keys.new_seats {
        let (numbers, places): (HashSet<_>, HashSet<_>) = (numbers.iter().collect(), places.iter().collect());
        let mut select =
            conn.prepare_cached("SELECT section, \"row\", number, seat_number FROM seat WHERE concert_id = ?1")?;
        for row in select.query_map((concert.get(),), |row| Ok((rows::seat_place(row)?, row.get(3)?)))? {
            let (place, number) = row?;
            if places.contains(&place) {
                world.seat_places.entry(*concert).or_default().insert(place);
            }
            if numbers.contains(&number) {
                world.seat_numbers.insert((*concert, number));
            }
            let highest = world.highest_seats.entry(*concert).or_default();
            *highest = number.max(*highest);
        }
    }
    for (concert, change) in &keys.moved_seats {
        let mut select = conn.prepare_cached(
            "SELECT section, \"row\", number FROM seat WHERE concert_id = ?1 AND (?2 IS NULL OR section = ?2)
             AND (?3 IS NULL OR \"row\" = ?3) AND (?4 IS NULL OR number = ?4)",
        )?;
        let keys = (concert.get(), &change.section, &change.row, &change.number);
        let places = select.query_map(keys, rows::seat_place)?.collect::<Result<Vec<_>>>()?;
        world.seat_places.entry(*concert).or_default().extend(places);
    }
    Ok(())
}

/// The statements that load the rows of a sale.
struct Sale<'conn> {
    concert: CachedStatement<'conn>,
    seat: CachedStatement<'conn>,
    reservation: CachedStatement<'conn>,
    holdings: CachedStatement<'conn>,
    point: CachedStatement<'conn>,
}

impl<'conn> Sale<'conn> {
    fn new(conn: &'conn Connection) -> Result<Self> {
        Ok(Self {
            concert: conn.prepare_cached(concat!(
                "SELECT ",
                concert_columns!(),
                " FROM concert WHERE concert_id = ?1"
            ))?,
            seat: conn.prepare_cached(concat!("SELECT ", seat_columns!(), " FROM seat WHERE seat_id = ?1"))?,
            reservation: conn.prepare_cached(concat!(
                "SELECT ",
                reservation_columns!(),
                " FROM reservation WHERE reservation_id = ?1"
            ))?,
            holdings: conn.prepare_cached(concat!(
                "SELECT ",
                reservation_columns!(),
                " FROM reservation INDEXED BY reservation_live_of_user WHERE user_id = ?1 AND closed_at IS NULL",
                " ORDER BY reservation_id"
            ))?,
            point: conn.prepare_cached(concat!("SELECT ", point_columns!(), " FROM point WHERE user_id = ?1"))?,
        })
    }

    fn load_concert(&mut self, world: &mut World, id: ConcertId) -> Result<()> {
        if !world.concerts.contains(id)
            && let Some(concert) = self.concert.query_row((id.get(),), rows::concert).optional()?
        {
            world.concerts.load(id, concert);
        }
        Ok(())
    }

    fn load_seat(&mut self, world: &mut World, id: SeatId) -> Result<()> {
        if !world.seats.contains(id)
            && let Some(seat) = self.seat.query_row((id.get(),), rows::seat).optional()?
        {
            self.load_concert(world, seat.concert_id)?;
            if let Some(reservation) = seat.reservation_id() {
                self.load_bare_reservation(world, reservation)?;
            }
            world.seats.load(id, seat);
        }
        Ok(())
    }

    fn load_bare_reservation(&mut self, world: &mut World, id: ReservationId) -> Result<Option<SeatId>> {
        if let Some(reservation) = world.reservations.get(id) {
            return Ok(Some(reservation.seat_id));
        }
        let found = self.reservation.query_row((id.get(),), rows::reservation).optional()?;
        Ok(found.map(|reservation| {
            let seat = reservation.seat_id;
            world.reservations.load(id, reservation);
            seat
        }))
    }

    fn load_reservation(&mut self, world: &mut World, id: ReservationId) -> Result<()> {
        match self.load_bare_reservation(world, id)? {
            Some(seat) => self.load_seat(world, seat),
            None => Ok(()),
        }
    }

    fn load_holdings(&mut self, world: &mut World, user: UserId, seat: SeatId) -> Result<()> {
        let Some(concert) = world.seats.get(seat).map(|seat| seat.concert_id) else { return Ok(()) };
        if world.holdings.contains_key(&(user, concert)) {
            return Ok(());
        }
        let mut live = Vec::new();
        for row in self.holdings.query_map((user.0,), rows::reservation)? {
            let row: Reservation = row?;
            if row.concert_id == concert && row.is_live(world.now) {
                live.push(row.reservation_id);
                world.reservations.load(row.reservation_id, row);
            }
        }
        world.holdings.insert((user, concert), live);
        Ok(())
    }

    fn load_point(&mut self, world: &mut World, user: UserId) -> Result<()> {
        if !world.points.contains(user)
            && let Some(point) = self.point.query_row((user.0,), rows::point).optional()?
        {
            world.points.load(user, point);
        }
        Ok(())
    }
}
