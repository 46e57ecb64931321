//! Lists and histories by page: each page begins after the last key of the previous one.

use crate::postgres::{
    columns::{
        self as rows, audit_columns, concert_columns, debt_columns, history_columns, payment_columns,
        reservation_columns, user_columns,
    },
    connect::Statement,
    read_pool::{Decode, Late, Queries},
    search::{certain_part, may_contain},
};
use crate::{
    ConcertFilter, ConcertPlace, DebtFilter, Page, PaymentFilter, ReservationFilter, StoreError, enum_text::EnumText,
    filter::contains,
};
use frontrow_domain::{
    concert::Concert,
    id::{AuditId, ConcertId, DebtId, HistoryId, PaymentId, ReservationId, UserId},
    payment::{Payment, PaymentStatus},
    points::{Debt, PointEntry},
    reservation::{Reservation, ReservationStatus},
    time::Time,
    user::User,
    world::AuditEntry,
};
use std::cmp::Reverse;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// How many rows a search reads at a time: the server's prefilter is coarse, so not every row matches.
const SEARCH_ROWS: u32 = 1_000;

const USERS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        user_columns!(),
        " FROM \"user\" WHERE user_id < $1 AND (",
        may_contain!("name", "$2"),
        " OR ",
        may_contain!("email", "$2"),
        ") ORDER BY user_id DESC LIMIT $3"
    ),
    types: &[Type::UUID, Type::TEXT, Type::INT8],
};

const CONCERTS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        concert_columns!(),
        " FROM concert WHERE (starts_at, concert_id) > ($1, $9) AND (",
        may_contain!("artist", "$2"),
        " OR ",
        may_contain!("title", "$2"),
        ") AND ",
        may_contain!("venue", "$3"),
        " AND ($4::text IS NULL OR concert_date >= $4) AND ($5::text IS NULL OR concert_date <= $5)",
        " AND ($6::text IS NULL OR $6 = CASE WHEN status IN ('scheduled', 'closed') AND ends_at <= $8",
        " THEN 'over' ELSE status END) ORDER BY starts_at, concert_id LIMIT $7"
    ),
    types: &[
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
    ],
};

const RESERVATIONS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        reservation_columns!(),
        " FROM reservation WHERE reservation_id < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY reservation_id DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

/// Reservations that ended in one way.
const RESERVATIONS_ENDED: Statement = Statement {
    sql: concat!(
        "SELECT ",
        reservation_columns!(),
        " FROM reservation WHERE ended_as = $2 AND reservation_id + 0 < $1 ORDER BY reservation_id + 0 DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

/// Those of the reservations with these ids that are still pending.
const RESERVATIONS_PENDING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        reservation_columns!(),
        " FROM unnest($1) AS pending (id) CROSS JOIN LATERAL (SELECT * FROM reservation",
        " WHERE reservation_id = pending.id AND status = 'pending' AND ($2::bigint IS NULL OR concert_id = $2)",
        " LIMIT 1) AS r ORDER BY reservation_id DESC"
    ),
    types: &[Type::INT8_ARRAY, Type::INT8],
};

const RESERVATIONS_OF_CONCERT: Statement = Statement {
    sql: concat!(
        "SELECT ",
        reservation_columns!(),
        " FROM reservation WHERE concert_id = $4 AND reservation_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY reservation_id + 0 DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8, Type::INT8],
};

/// A page of a user's live reservations, or of the ended ones. Both have an index in the order of the list, so the cost
/// of a page does not grow with the user's reservations. But a server with the statistics of an empty table may read
/// and sort all of them.
macro_rules! of_user {
    ($ends:literal) => {
        concat!(
            "(SELECT ",
            reservation_columns!(),
            " FROM reservation WHERE user_id = $4 AND closed_at ",
            $ends,
            " AND reservation_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
            " AND ($5::bigint IS NULL OR concert_id = $5) ORDER BY reservation_id + 0 DESC LIMIT $3)"
        )
    };
}

const RESERVATIONS_OF_USER: Statement = Statement {
    sql: concat!(of_user!("IS NULL"), " UNION ALL ", of_user!("IS NOT NULL"), " ORDER BY reservation_id DESC LIMIT $3"),
    types: &[Type::INT8, Type::TEXT, Type::INT8, Type::UUID, Type::INT8],
};

const LIVE_RESERVATIONS_OF_USER: Statement = Statement { sql: of_user!("IS NULL"), types: RESERVATIONS_OF_USER.types };

const ENDED_RESERVATIONS_OF_USER: Statement =
    Statement { sql: of_user!("IS NOT NULL"), types: RESERVATIONS_OF_USER.types };

const PAYMENTS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE payment_id < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY payment_id DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

const PAYMENTS_REFUNDED: Statement = Statement {
    sql: concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE status = 'refunded' AND payment_id + 0 < $1 ORDER BY payment_id + 0 DESC LIMIT $2"
    ),
    types: &[Type::INT8, Type::INT8],
};

const PAYMENTS_OF_USER: Statement = Statement {
    sql: concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE user_id = $4 AND payment_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY payment_id + 0 DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8, Type::UUID],
};

/// A reservation has at most one payment: there is nothing to sort, and no other index to try.
const PAYMENTS_OF_RESERVATION: Statement = Statement {
    sql: concat!(
        "WITH its AS MATERIALIZED (SELECT * FROM payment WHERE reservation_id = $4) SELECT ",
        payment_columns!(),
        " FROM its WHERE payment_id < $1 AND ($2::text IS NULL OR status = $2)",
        " AND ($5::uuid IS NULL OR user_id = $5) ORDER BY payment_id DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8, Type::INT8, Type::UUID],
};

/// Looks up each reservation of the concert on its own, and sorts all that were paid.
const PAYMENTS_OF_CONCERT: Statement = Statement {
    sql: concat!(
        "SELECT ",
        payment_columns!(),
        " FROM (SELECT reservation_id AS id FROM reservation WHERE concert_id = $4",
        " AND ($6::bigint IS NULL OR reservation_id = $6)) AS its, LATERAL (SELECT * FROM payment",
        " WHERE reservation_id = its.id OFFSET 0) AS p WHERE payment_id < $1 AND ($2::text IS NULL OR status = $2)",
        " AND ($5::uuid IS NULL OR user_id = $5) ORDER BY payment_id DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8, Type::INT8, Type::UUID, Type::INT8],
};

/// A user's versions rise with the ids, and the index is on the versions. A key that belongs to another user still
/// marks a place.
const HISTORY: Statement = Statement {
    sql: concat!(
        "SELECT ",
        history_columns!(),
        " FROM point_history WHERE user_id = $1 AND history_id < $2 AND version <= coalesce(",
        "(SELECT last.version FROM point_history AS last WHERE last.history_id = $2 AND last.user_id = $1), ",
        "9223372036854775807) ORDER BY version DESC LIMIT $3"
    ),
    types: &[Type::UUID, Type::INT8, Type::INT8],
};

const DEBTS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        debt_columns!(),
        " FROM debt WHERE debt_id < $1 AND ($2::text IS NULL OR status = $2) ORDER BY debt_id DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

const DEBTS_OF_USER: Statement = Statement {
    sql: concat!(
        "SELECT ",
        debt_columns!(),
        " FROM debt WHERE user_id = $4 AND debt_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY debt_id + 0 DESC LIMIT $3"
    ),
    types: &[Type::INT8, Type::TEXT, Type::INT8, Type::UUID],
};

const AUDIT: Statement = Statement {
    sql: concat!("SELECT ", audit_columns!(), " FROM audit_log WHERE audit_id < $1 ORDER BY audit_id DESC LIMIT $2"),
    types: &[Type::INT8, Type::INT8],
};

impl Queries {
    pub(crate) async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError> {
        let wanted = text.map(frontrow_domain::text::folded).unwrap_or_default();
        let part = certain_part(&wanted);
        let matches = |user: &User| contains(&user.name, &wanted) || contains(&user.email, &wanted);
        let rows = rows_at_once(page.limit, part == wanted);
        // The highest possible id is never a user's: it has no UUID version.
        let mut after = page.after.map_or(Uuid::max(), |after| after.0);
        let mut found = Vec::new();
        loop {
            let more = self.list_from_replica(&USERS, &[&after, &part, &i64::from(rows)], rows::user).await?;
            let read = more.len();
            after = more.last().map_or(after, |user| user.user_id.0);
            found.extend(more.into_iter().filter(matches));
            if is_enough(&mut found, page.limit) || read < size(rows) {
                return Ok(found);
            }
        }
    }

    pub(crate) async fn concerts(
        &self,
        filter: &ConcertFilter,
        page: Page<ConcertPlace>,
    ) -> Result<Vec<Concert>, StoreError> {
        let wanted = filter.folded();
        let (text, venue) = (wanted.text.as_deref().unwrap_or_default(), wanted.venue.as_deref().unwrap_or_default());
        let (text_part, venue_part) = (certain_part(text), certain_part(venue));
        let (from, to) = (wanted.from.map(|date| date.to_string()), wanted.to.map(|date| date.to_string()));
        let status = wanted.status.map(EnumText::word);
        let rows = rows_at_once(page.limit, text == text_part && venue == venue_part);
        let place = |place: ConcertPlace| (place.starts_at.micros(), place.concert_id.get());
        let mut after = page.after.map_or((i64::MIN, i64::MIN), place);
        let mut found = Vec::new();
        loop {
            let more = self
                .list_from_replica(
                    &CONCERTS,
                    &[
                        &after.0,
                        &text_part,
                        &venue_part,
                        &from,
                        &to,
                        &status,
                        &i64::from(rows),
                        &wanted.now.micros(),
                        &after.1,
                    ],
                    rows::concert,
                )
                .await?;
            let read = more.len();
            after = more.last().map_or(after, |concert| place(ConcertPlace::of(concert)));
            found.extend(more.into_iter().filter(|concert| wanted.matches(concert)));
            if is_enough(&mut found, page.limit) || read < size(rows) {
                return Ok(found);
            }
        }
    }

    /// A user's own reservations come from the primary, so that new ones are found; so do pending ones.
    pub(crate) async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, StoreError> {
        let after = page.after.map_or(i64::MAX, ReservationId::get);
        let (status, limit) = (filter.status.map(EnumText::word), i64::from(page.limit));
        let concert = filter.concert.map(ConcertId::get);
        let decode: Decode<_> = rows::reservation;
        match (filter.user, concert, filter.status) {
            (Some(user), ..) => {
                let statement = match filter.status.map(ReservationStatus::has_ended) {
                    None => &RESERVATIONS_OF_USER,
                    Some(false) => &LIVE_RESERVATIONS_OF_USER,
                    Some(true) => &ENDED_RESERVATIONS_OF_USER,
                };
                self.list(statement, &[&after, &status, &limit, &user.0, &concert], decode).await
            }
            (None, _, Some(ReservationStatus::Pending)) => self.pending(concert, page).await,
            (None, Some(concert), _) => {
                self.list_from_replica(&RESERVATIONS_OF_CONCERT, &[&after, &status, &limit, &concert], decode).await
            }
            (
                None,
                None,
                Some(ReservationStatus::Cancelled | ReservationStatus::Expired | ReservationStatus::Refunded),
            ) => self.list_from_replica(&RESERVATIONS_ENDED, &[&after, &status, &limit], decode).await,
            (None, None, None | Some(ReservationStatus::Confirmed)) => {
                self.list_from_replica(&RESERVATIONS, &[&after, &status, &limit], decode).await
            }
        }
    }

    /// The pending reservations of a concert or of all, from the primary. No index separates them from paid ones,
    /// because a payment must not write to an index: the live ones are read from the first that was pending, which is
    /// some minutes of the sale.
    async fn pending(&self, concert: Option<i64>, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError> {
        // It is unknown here whether a commit may come late, so nothing is noted as resolved.
        let pending = self.next_expiries(Time::MAX, u32::MAX, Late::Possible).await?.into_iter().map(|(_, id)| id);
        let mut ids: Vec<i64> =
            pending.filter(|id| page.after.is_none_or(|after| *id < after)).map(ReservationId::get).collect();
        ids.sort_unstable_by_key(|id| Reverse(*id));
        let mut found = Vec::new();
        // Some may have been paid since, so a chunk may yield fewer rows than it has ids.
        for part in ids.chunks(size(page.limit.max(SEARCH_ROWS))) {
            found.extend(self.list(&RESERVATIONS_PENDING, &[&part, &concert], rows::reservation).await?);
            if is_enough(&mut found, page.limit) {
                break;
            }
        }
        Ok(found)
    }

    /// A user's own payments and that of a reservation come from the primary.
    pub(crate) async fn payments(
        &self,
        filter: &PaymentFilter,
        page: Page<PaymentId>,
    ) -> Result<Vec<Payment>, StoreError> {
        let after = page.after.map_or(i64::MAX, PaymentId::get);
        let (status, limit) = (filter.status.map(EnumText::word), i64::from(page.limit));
        let user: Option<Uuid> = filter.user.map(|user| user.0);
        let decode: Decode<_> = rows::payment;
        if let Some(concert) = filter.concert {
            let reservation = filter.reservation.map(ReservationId::get);
            let keys: crate::postgres::connect::Params<'_> =
                &[&after, &status, &limit, &concert.get(), &user, &reservation];
            return self.list(&PAYMENTS_OF_CONCERT, keys, decode).await;
        }
        match (filter.reservation, user) {
            (Some(reservation), _) => {
                let keys: crate::postgres::connect::Params<'_> = &[&after, &status, &limit, &reservation.get(), &user];
                self.list(&PAYMENTS_OF_RESERVATION, keys, decode).await
            }
            (None, Some(user)) => self.list(&PAYMENTS_OF_USER, &[&after, &status, &limit, &user], decode).await,
            (None, None) if filter.status == Some(PaymentStatus::Refunded) => {
                self.list_from_replica(&PAYMENTS_REFUNDED, &[&after, &limit], decode).await
            }
            (None, None) => self.list_from_replica(&PAYMENTS, &[&after, &status, &limit], decode).await,
        }
    }

    pub(crate) async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, StoreError> {
        let after = page.after.map_or(i64::MAX, HistoryId::get);
        self.list(&HISTORY, &[&user.0, &after, &i64::from(page.limit)], rows::history).await
    }

    pub(crate) async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError> {
        let after = page.after.map_or(i64::MAX, DebtId::get);
        let (status, limit) = (filter.status.map(EnumText::word), i64::from(page.limit));
        match filter.user {
            Some(user) => self.list(&DEBTS_OF_USER, &[&after, &status, &limit, &user.0], rows::debt).await,
            None => self.list(&DEBTS, &[&after, &status, &limit], rows::debt).await,
        }
    }

    pub(crate) async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        let after = page.after.map_or(i64::MAX, AuditId::get);
        self.list_from_replica(&AUDIT, &[&after, &i64::from(page.limit)], rows::audit).await
    }
}

/// How many rows to ask for: no more than the page if the server's filter is exact.
fn rows_at_once(limit: u32, exact: bool) -> u32 {
    if exact { limit } else { limit.max(SEARCH_ROWS) }
}

fn size(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Cuts off what is beyond a page; whether the page is full.
fn is_enough<T>(found: &mut Vec<T>, limit: u32) -> bool {
    found.truncate(size(limit));
    found.len() == size(limit)
}
