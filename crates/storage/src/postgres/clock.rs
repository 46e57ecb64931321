//! The clock that all instances share: the database's, or one that a test moves.

use super::{
    connect::Statement, load_plan::LoadPlan, loads::Loads, read_pool::ReadPool, unanswered_commit::Transaction,
};
use crate::StoreError;
use frontrow_clock::Clock;
use frontrow_domain::{time::Time, world::Numbers};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tokio_postgres::types::Type;

/// The clock that batches are decided by, in microseconds, unless a test gives the time.
pub(super) const CLOCK: Statement = Statement { sql: "SELECT coalesce($1, clock_micros())", types: &[Type::INT8] };

/// The server's clock in microseconds, unless a test gives the time. It is the start of the transaction, so rows read
/// with it are at least as new.
macro_rules! now {
    ($given:literal) => {
        concat!("coalesce(", $given, ", (extract(epoch FROM now()) * 1000000)::bigint)")
    };
}

pub(super) use now;

/// The clock, ids for new rows, and the transaction's identity.
const CLOCK_AND_IDS: Statement = Statement {
    sql: "SELECT coalesce($1, clock_micros()),
              ARRAY(SELECT nextval('reservation_ids') FROM generate_series(1, $2)),
              ARRAY(SELECT nextval('payment_ids') FROM generate_series(1, $3)),
              ARRAY(SELECT nextval('history_ids') FROM generate_series(1, $4)),
              ARRAY(SELECT nextval('point_ids') FROM generate_series(1, $5)),
              ARRAY(SELECT nextval('audit_ids') FROM generate_series(1, $6)),
              ARRAY(SELECT nextval('concert_ids') FROM generate_series(1, $7)),
              ARRAY(SELECT nextval('debt_ids') FROM generate_series(1, $8)),
              ARRAY(SELECT nextval('room_ids') FROM generate_series(1, $9)),
              pg_backend_pid(), (extract(epoch FROM now()) * 1000000)::bigint",
    types: &[
        Type::INT8,
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::INT4,
    ],
};

/// Reads the clock and draws the ids that a batch may need.
pub(super) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan, given: Option<i64>) {
    let (session, demand) = (loads.session(), &plan.keys.demand);
    let counts = [
        demand.reservations,
        demand.payments,
        demand.history,
        demand.points,
        demand.audit,
        demand.concerts,
        demand.debts,
        demand.rooms,
    ];
    let [reservations, payments, history, points, audit, concerts, debts, rooms] =
        counts.map(|count| i32::try_from(count).unwrap_or(i32::MAX));
    let query = async move {
        let params: super::connect::Params<'_> =
            &[&given, &reservations, &payments, &history, &points, &audit, &concerts, &debts, &rooms];
        session.query(&CLOCK_AND_IDS, params).await
    };
    loads.add_query(
        &CLOCK_AND_IDS,
        |loaded, row| {
            let world = &mut loaded.world;
            world.now = row.time()?;
            world.next_ids.reservation = row.value().map(Numbers::reserved)?;
            world.next_ids.payment = row.value().map(Numbers::reserved)?;
            world.next_ids.history = row.value().map(Numbers::reserved)?;
            world.next_ids.point = row.value().map(Numbers::reserved)?;
            world.next_ids.audit = row.value().map(Numbers::reserved)?;
            world.next_ids.concert = row.value().map(Numbers::reserved)?;
            world.next_ids.debt = row.value().map(Numbers::reserved)?;
            world.next_ids.room = row.value().map(Numbers::reserved)?;
            loaded.transaction = Transaction::read(row)?;
            Ok(())
        },
        query,
    );
}

/// The time by which an instance reads and decides.
#[derive(Debug, Clone)]
pub(super) struct Times {
    clock: Clock,
    /// A test's clock never runs backwards for a store.
    high_water: Arc<AtomicI64>,
}

impl Times {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock: clock.steady(), high_water: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// The test's time in microseconds; none if the database's clock decides.
    pub(super) fn given(&self) -> Option<i64> {
        self.clock.is_manual().then(|| {
            let now = self.clock.now().micros();
            self.high_water.fetch_max(now, Ordering::SeqCst).max(now)
        })
    }

    pub(super) async fn now(&self, reads: &ReadPool) -> Result<Time, StoreError> {
        match self.given() {
            Some(micros) => Ok(Time::from_micros(micros)),
            None => reads.get(&CLOCK, &[&None::<i64>], |row| row.id(Time::from_micros)).await,
        }
    }
}
