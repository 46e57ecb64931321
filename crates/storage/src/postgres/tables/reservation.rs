//! `reservation`.

use super::{ID, IDS, NUMBER, SMALL, SMALLS, TEXT, TEXTS, TIME, TIMES, UUID, UUIDS};
use crate::{
    COMMIT_VISIBILITY_MAX, DoorLine, Page, ReservationFilter, StoreError, TicketPlace,
    enum_text::EnumText,
    postgres::{
        clock::Times,
        columns::{Columns, micros},
        connect::Statement,
        load_plan::LoadPlan,
        loads::Loads,
        read_pool::{Read, ReadPool, SEARCH_ROWS, is_enough, size},
        saves::SavePipeline,
        tables::seat::{read_label, read_place},
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, PaymentId, ReservationId, SeatId},
    sale::{Reservation, ReservationColumns, ReservationStatus},
    time::{Span, Time},
};
use std::{
    cmp::Reverse,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at, expires_at, \
         confirmed_at, closed_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Reservation, Error> {
    let columns = ReservationColumns {
        reservation_id: row.id(ReservationId::new)?,
        user_id: row.user_id()?,
        concert_id: row.id(ConcertId::new)?,
        seat_id: row.id(SeatId::new)?,
        seat_number: row.value()?,
        price: row.money()?,
        status: row.word()?,
        created_at: row.time()?,
        expires_at: row.time()?,
        confirmed_at: row.time_or_none()?,
        closed_at: row.time_or_none()?,
    };
    row.consistent(columns.try_into())
}

/// Reservations of three kinds: those of the seats, those that are named, and the live ones of users. Not locked: a
/// reservation changes only under the lock on its seat, which is held.
///
/// Each key is looked up on its own. For all keys at once, a server without statistics expects few live reservations
/// and scans all of them. Its live conditions for seats and for users differ in form, so that each can use one index
/// only.
const FIND_ALL: Statement = Statement {
    sql: concat!(
        "SELECT r.* FROM unnest($1) AS k (id), LATERAL (SELECT ",
        columns!(),
        " FROM reservation WHERE seat_id = k.id AND coalesce(closed_at, -1) = -1 OFFSET 0) AS r
         UNION ALL SELECT r.* FROM unnest($2) AS k (id), LATERAL (SELECT ",
        columns!(),
        " FROM reservation WHERE user_id = k.id AND closed_at IS NULL OFFSET 0) AS r
         UNION ALL SELECT r.* FROM unnest($3) AS k (id), LATERAL (SELECT ",
        columns!(),
        " FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r
         UNION ALL SELECT r.* FROM unnest($4) AS k (id), LATERAL (
             SELECT reservation_id AS paid FROM payment WHERE payment_id = k.id OFFSET 0) AS p, LATERAL (SELECT ",
        columns!(),
        " FROM reservation WHERE reservation_id = p.paid OFFSET 0) AS r"
    ),
    types: &[IDS, UUIDS, IDS, IDS],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if plan.has_seats() {
        let LoadPlan { seats, holders, reservations, payments, .. } = plan;
        loads.add(&FIND_ALL, [seats, holders, reservations, payments], |loaded, row| {
            let reservation = read(row)?;
            loaded.world.reservations.load(reservation.reservation_id, reservation);
            Ok(())
        });
    }
}

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE reservation AS r SET status = k.status, confirmed_at = k.confirmed_at, closed_at = k.closed_at
              FROM unnest($1, $2, $3, $4) AS k (id, status, confirmed_at, closed_at)
              WHERE r.reservation_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $5) FROM done",
    types: &[IDS, TEXTS, TIMES, TIMES, NUMBER],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status,
              created_at, expires_at, confirmed_at, closed_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    types: &[IDS, UUIDS, IDS, IDS, SMALLS, IDS, TEXTS, TIMES, TIMES, TIMES, TIMES],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE, &changes.reservations.updated, |rows| {
        rows.column(|row| row.reservation_id.get())
            .column(|row| row.status().word())
            .column(|row| micros(row.confirmed_at()))
            .column(|row| micros(row.closed_at()))
            .count()
    });
    saves.add(&INSERT, &changes.reservations.inserted, |rows| {
        rows.column(|row| row.reservation_id.get())
            .column(|row| row.user_id.0)
            .column(|row| row.concert_id.get())
            .column(|row| row.seat_id.get())
            .column(|row| row.seat_number)
            .column(|row| row.price.get())
            .column(|row| row.status().word())
            .column(|row| row.created_at.micros())
            .column(|row| row.expires_at.micros())
            .column(|row| micros(row.confirmed_at()))
            .column(|row| micros(row.closed_at()))
    });
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM reservation WHERE reservation_id = $1"), types: &[ID] };

pub(crate) async fn find(reads: &ReadPool, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
    reads.find(&FIND, &[&id.get()], read).await
}

const PAGE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM reservation WHERE reservation_id < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY reservation_id DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER],
};

/// Reservations that ended in one way.
const PAGE_OF_ENDED: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM reservation WHERE ended_as = $2 AND reservation_id + 0 < $1 ORDER BY reservation_id + 0 DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER],
};

/// Those of the reservations with these ids that are still pending.
const STILL_PENDING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM unnest($1) AS pending (id) CROSS JOIN LATERAL (SELECT * FROM reservation",
        " WHERE reservation_id = pending.id AND status = 'pending' AND ($2::bigint IS NULL OR concert_id = $2)",
        " LIMIT 1) AS r ORDER BY reservation_id DESC"
    ),
    types: &[IDS, ID],
};

const PAGE_OF_CONCERT: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM reservation WHERE concert_id = $4 AND reservation_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY reservation_id + 0 DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER, ID],
};

/// A page of a user's live reservations, or of the ended ones. Both have an index in the order of the list, so the cost
/// of a page does not grow with the user's reservations. But a server with the statistics of an empty table may read
/// and sort all of them.
macro_rules! of_user {
    ($ends:literal) => {
        concat!(
            "(SELECT ",
            columns!(),
            " FROM reservation WHERE user_id = $4 AND closed_at ",
            $ends,
            " AND reservation_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
            " AND ($5::bigint IS NULL OR concert_id = $5) ORDER BY reservation_id + 0 DESC LIMIT $3)"
        )
    };
}

const PAGE_OF_USER: Statement = Statement {
    sql: concat!(of_user!("IS NULL"), " UNION ALL ", of_user!("IS NOT NULL"), " ORDER BY reservation_id DESC LIMIT $3"),
    types: &[ID, TEXT, NUMBER, UUID, ID],
};

const PAGE_OF_USERS_LIVE: Statement = Statement { sql: of_user!("IS NULL"), types: PAGE_OF_USER.types };

const PAGE_OF_USERS_ENDED: Statement = Statement { sql: of_user!("IS NOT NULL"), types: PAGE_OF_USER.types };

/// A user's own reservations come from the primary, so that new ones are found; so do pending ones.
pub(crate) async fn page(
    reads: &ReadPool,
    expiries: &Expiries,
    times: &Times,
    filter: &ReservationFilter,
    page: Page<ReservationId>,
) -> Result<Vec<Reservation>, StoreError> {
    let after = page.after.map_or(i64::MAX, ReservationId::get);
    let (status, limit) = (filter.status.map(EnumText::word), i64::from(page.limit));
    let concert = filter.concert.map(ConcertId::get);
    match (filter.user, concert, filter.status) {
        (Some(user), ..) => {
            let statement = match filter.status.map(ReservationStatus::has_ended) {
                None => &PAGE_OF_USER,
                Some(false) => &PAGE_OF_USERS_LIVE,
                Some(true) => &PAGE_OF_USERS_ENDED,
            };
            reads.list(statement, &[&after, &status, &limit, &user.0, &concert], read).await
        }
        (None, _, Some(ReservationStatus::Pending)) => expiries.page(reads, times, concert, page).await,
        (None, Some(concert), _) => {
            reads.list_from_replica(&PAGE_OF_CONCERT, &[&after, &status, &limit, &concert], read).await
        }
        (None, None, Some(ReservationStatus::Cancelled | ReservationStatus::Expired | ReservationStatus::Refunded)) => {
            reads.list_from_replica(&PAGE_OF_ENDED, &[&after, &status, &limit], read).await
        }
        (None, None, None | Some(ReservationStatus::Confirmed)) => {
            reads.list_from_replica(&PAGE, &[&after, &status, &limit], read).await
        }
    }
}

/// Looks each row up by its key, whatever the statistics say.
const TICKETS: Statement = Statement {
    sql: "SELECT r.reservation_id, r.concert_id, c.title, r.seat_id, s.seat_number, s.section, s.\"row\", s.number
          FROM unnest($1) AS k (id),
              LATERAL (SELECT * FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r,
              LATERAL (SELECT * FROM seat WHERE seat_id = r.seat_id OFFSET 0) AS s,
              LATERAL (SELECT * FROM concert WHERE concert_id = r.concert_id OFFSET 0) AS c",
    types: &[IDS],
};

pub(crate) async fn tickets(reads: &ReadPool, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError> {
    let ids: Vec<i64> = reservations.iter().map(|id| id.get()).collect();
    let read: Read<_> = |row| {
        Ok(TicketPlace {
            reservation_id: row.id(ReservationId::new)?,
            concert_id: row.id(ConcertId::new)?,
            title: row.value()?,
            seat_id: row.id(SeatId::new)?,
            seat_number: row.value()?,
            place: read_place(row)?,
        })
    };
    reads.list(&TICKETS, &[&ids], read).await
}

/// The sold seats of a page first, then the reservation, payment and user of each by key.
const DOOR_LIST: Statement = Statement {
    sql: "SELECT s.seat_number, s.section, s.\"row\", s.number, s.grade, u.name, r.reservation_id, p.payment_id, p.paid_at
          FROM (SELECT * FROM seat WHERE concert_id = $1 AND seat_number > $2 AND status = 'sold'
                ORDER BY seat_number LIMIT $3) AS s,
              LATERAL (SELECT * FROM reservation WHERE reservation_id = s.reservation_id OFFSET 0) AS r,
              LATERAL (SELECT * FROM payment WHERE reservation_id = r.reservation_id OFFSET 0) AS p,
              LATERAL (SELECT name FROM \"user\" WHERE user_id = r.user_id OFFSET 0) AS u
          ORDER BY s.seat_number",
    types: &[ID, SMALL, NUMBER],
};

pub(crate) async fn door_list(
    reads: &ReadPool,
    concert: ConcertId,
    after: i32,
    limit: u32,
) -> Result<Vec<DoorLine>, StoreError> {
    let read: Read<_> = |row| {
        Ok(DoorLine {
            seat_number: row.value()?,
            label: read_label(row)?,
            name: row.value()?,
            reservation_id: row.id(ReservationId::new)?,
            payment_id: row.id(PaymentId::new)?,
            paid_at: row.time()?,
        })
    };
    reads.list(&DOOR_LIST, &[&concert.get(), &after, &i64::from(limit)], read).await
}

/// The next live reservations by the end of their holds, and whether each is pending. Paid ones are in the same index,
/// so that a payment need not write to it.
const NEXT_EXPIRIES: Statement = Statement {
    sql: "SELECT expires_at, reservation_id, status = 'pending' FROM reservation
          WHERE coalesce(closed_at, -2) = -2 AND (expires_at, reservation_id) > ($1, $2)
          ORDER BY expires_at, reservation_id LIMIT $3",
    types: &[TIME, ID, NUMBER],
};

/// How many live reservations one query reads in search of pending ones.
const EXPIRIES_PAGE: u16 = 2_000;
/// How long [`Expiries`] is trusted: a new primary may have lost how a hold ended, which makes it pending again.
const RESOLVED_FOR: Duration = Duration::from_hours(1);
/// How far behind a new primary may be. Holds lost earlier are found when an instance starts.
const LOST_MAX: Span = Span::from_secs(86_400);

/// Whether a commit may become visible later than [`COMMIT_VISIBILITY_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    Never,
    Possible,
}

/// No pending hold ends before this time; and when the current round of that knowledge began.
#[derive(Debug, Default)]
pub(crate) struct Expiries(Mutex<Option<(Time, Instant)>>);

impl Expiries {
    /// The pending reservations that end first, at `until` or before. Reads the live ones in the order of their ends,
    /// from the first one that was pending in the last call.
    ///
    /// A hold ends after it begins and becomes visible at most [`COMMIT_VISIBILITY_MAX`] after it began, so none can
    /// appear before a time that is resolved and that far in the past. With [`Late::Possible`] nothing is noted as
    /// resolved.
    pub(crate) async fn next(
        &self,
        reads: &ReadPool,
        times: &Times,
        until: Time,
        limit: u32,
        late: Late,
    ) -> Result<Vec<(Time, ReservationId)>, StoreError> {
        let read: Read<(Time, ReservationId, bool)> =
            |row| Ok((row.time()?, row.id(ReservationId::new)?, row.value()?));
        let sure = times.now(reads).await?.minus(COMMIT_VISIBILITY_MAX);
        let wanted = size(limit);
        let mut pending: Vec<(Time, ReservationId)> = Vec::new();
        let (resolved, round) = self.resolved_until();
        let mut after = (resolved.micros(), i64::MIN);
        loop {
            let rows = reads.list(&NEXT_EXPIRIES, &[&after.0, &after.1, &i64::from(EXPIRIES_PAGE)], read).await?;
            pending.extend(rows.iter().filter(|row| row.2).map(|(ends, id, _)| (*ends, *id)));
            let is_full = rows.len() == usize::from(EXPIRIES_PAGE);
            let next = rows.last().filter(|_| is_full).map(|(ends, id, _)| (*ends, *id));
            // Noted page by page, so that a search that fails half-way keeps its progress.
            let reached = pending.first().or(next.as_ref()).map_or(sure, |(ends, _)| sure.min(*ends));
            if late == Late::Never {
                self.note(reached, round);
            }
            match next {
                Some((ends, id)) if ends <= until && pending.len() < wanted => after = (ends.micros(), id.get()),
                _ => break,
            }
        }
        pending.retain(|(ends, _)| *ends <= until);
        pending.truncate(wanted);
        Ok(pending)
    }

    /// The pending reservations of a concert or of all, from the primary. No index separates them from paid ones,
    /// because a payment must not write to an index: the live ones are read from the first that was pending, which is
    /// some minutes of the sale.
    async fn page(
        &self,
        reads: &ReadPool,
        times: &Times,
        concert: Option<i64>,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, StoreError> {
        // It is unknown here whether a commit may come late, so nothing is noted as resolved.
        let pending = self.next(reads, times, Time::MAX, u32::MAX, Late::Possible).await?.into_iter().map(|(_, id)| id);
        let mut ids: Vec<i64> =
            pending.filter(|id| page.after.is_none_or(|after| *id < after)).map(ReservationId::get).collect();
        ids.sort_unstable_by_key(|id| Reverse(*id));
        let mut found = Vec::new();
        // Some may have been paid since, so a chunk may yield fewer rows than it has ids.
        for part in ids.chunks(size(page.limit.max(SEARCH_ROWS))) {
            found.extend(reads.list(&STILL_PENDING, &[&part, &concert], read).await?);
            if is_enough(&mut found, page.limit) {
                break;
            }
        }
        Ok(found)
    }

    /// The time and its round. A new round starts at the beginning of time at first, later [`LOST_MAX`] further back.
    fn resolved_until(&self) -> (Time, Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((until, since)) if since.elapsed() < RESOLVED_FOR => (until, since),
            stale => {
                let until = stale.map_or(Time::from_micros(i64::MIN), |(until, _)| until.minus(LOST_MAX));
                *known.insert((until, Instant::now()))
            }
        }
    }

    /// Notes that no hold that ends before `until` is pending, unless another round has begun.
    fn note(&self, until: Time, round: Instant) {
        if let Some((known, since)) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *since == round
        {
            *known = until;
        }
    }
}
