//! The first round trip of a batch: its statements, and the world that is built from their rows.

use super::{
    columns::Columns,
    connect::{PooledConnection, Statement},
    load_plan::LoadPlan,
    pipeline::Pipeline,
    unanswered_commit::Transaction,
};
use frontrow_domain::{
    changes::RoomCounts,
    id::{ConcertId, ReservationId, RoomId, TokenId, UserId},
    line::{Token, TokenStatus, first_claimed, first_due, is_live_token},
    policy::Policy,
    time::Time,
    world::{NextIds, Numbers, World},
};
use std::collections::{HashMap, HashSet};
use tokio_postgres::{Error, Row, types::ToSql};

/// Adds a loaded row to the world.
pub(super) type Take = fn(&mut Loaded, &mut Columns<'_>) -> Result<(), Error>;

/// The rows of each statement, and the function that adds them to the world.
pub(super) type LoadedRows = Vec<(Take, Vec<Row>)>;

/// Statements that load, in the order in which the server runs them.
pub(super) struct Loads<'a> {
    session: &'a PooledConnection<'a>,
    pipeline: Pipeline<'a, Vec<Row>>,
    takes: Vec<Take>,
}

impl<'a> Loads<'a> {
    /// Begins the transaction.
    pub(super) fn begin(session: &'a PooledConnection<'a>) -> Self {
        let mut loads = Self { session, pipeline: Pipeline::new(), takes: vec![|_, _| Ok(())] };
        loads.pipeline.add_text(async { session.begin().await.map(|()| Vec::new()) });
        loads
    }

    pub(super) fn add<const N: usize>(
        &mut self,
        statement: &'static Statement,
        params: [&'a (dyn ToSql + Sync); N],
        take: Take,
    ) {
        let session = self.session;
        self.add_query(statement, take, async move { session.query(statement, &params).await });
    }

    /// Adds a statement whose parameters `query` makes.
    pub(super) fn add_query(
        &mut self,
        statement: &'static Statement,
        take: Take,
        query: impl Future<Output = Result<Vec<Row>, Error>> + Send + 'a,
    ) {
        self.pipeline.add(statement, query);
        self.takes.push(take);
    }

    pub(super) const fn session(&self) -> &'a PooledConnection<'a> {
        self.session
    }

    /// Sends the statements and waits for their rows.
    ///
    /// # Errors
    /// The first failure.
    pub(super) async fn run(self) -> Result<LoadedRows, Error> {
        let results = self.pipeline.run(self.session).await?;
        self.takes.into_iter().zip(results).map(|(take, rows)| Ok((take, rows?))).collect()
    }
}

/// How the statement that locks the lines found a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// At the head of its line.
    Head,
    /// Among the active tokens that may be overdue.
    MayBeOverdue,
    /// Any other way.
    Otherwise,
}

impl Found {
    /// By the number that the statement gives it.
    pub(super) const fn of(number: i32) -> Self {
        match number {
            1 => Self::Head,
            2 => Self::MayBeOverdue,
            _ => Self::Otherwise,
        }
    }
}

/// The rows that the statements of a batch have loaded.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) world: World,
    /// The locked tokens, and how each was found.
    pub(super) tokens: Vec<(Token, Found)>,
    /// The counts in the row of each locked room, and how much they have changed since.
    pub(super) counts: HashMap<RoomId, (RoomCounts, RoomCounts)>,
    /// How much the counts of rooms have changed since their rows were written, if the batch shares something.
    pub(super) departures: HashMap<RoomId, RoomCounts>,
    /// The ids that were drawn for new events.
    pub(super) event_ids: Vec<i64>,
    /// The transaction that loaded it.
    pub(super) transaction: Transaction,
}

/// A world, and the context needed to save it.
pub(super) struct LoadedWorld {
    pub(super) world: World,
    /// Tokens that were active before the batch.
    pub(super) active: HashSet<TokenId>,
    /// Active tokens that were checked as possibly overdue and are not: they are checked again once they may be.
    pub(super) alive: Vec<TokenId>,
    pub(super) transaction: Transaction,
}

impl LoadedWorld {
    /// Adds all rows to the world, and derives the rules' indexes: places, counts, lines and holdings.
    ///
    /// # Errors
    /// A row cannot be read.
    pub(super) fn of(answers: &LoadedRows, plan: &LoadPlan, policy: Policy) -> Result<Self, Error> {
        let world = World::new(Time::default(), policy, NextIds::default());
        let mut loaded = Loaded { world, ..Loaded::default() };
        for (take, rows) in answers {
            for row in rows {
                take(&mut loaded, &mut Columns::of(row))?;
            }
        }
        let Loaded { mut world, tokens, counts, departures, event_ids, transaction } = loaded;
        world.next_ids.event = Numbers::reserved(event_ids);
        for (token, _) in &tokens {
            world.load_token(*token);
        }
        for room in plan.counted.iter().map(|room| RoomId::new(*room)) {
            let (in_row, since) = counts.get(&room).copied().unwrap_or_default();
            world.load_counts(room, in_row, since);
        }
        if !plan.sharing.is_empty() {
            let of = |room: &RoomId| departures.get(room).copied().unwrap_or_default();
            // Other rows that the batch has locked share nothing.
            let takes_part = |(room, counts): &(RoomId, RoomCounts)| {
                let has_share = || world.rooms.get(*room).and_then(|room| room.allotment).is_some_and(|n| n > 0);
                plan.sharing.binary_search(&room.get()).is_ok()
                    || (plan.shares_house && (counts.takes_places() || has_share()))
            };
            let now = counts.iter().map(|(room, (in_row, _))| (*room, in_row.plus(of(room))));
            world.sharing = now.filter(takes_part).collect();
        }
        fill_places(&mut world, &tokens, plan);
        fill_lines(&mut world, &tokens, plan);
        fill_holdings(&mut world, plan);
        let is_active = |token: &Token| token.status() == TokenStatus::Active;
        let is_alive = |(token, found): &&(Token, Found)| {
            *found == Found::MayBeOverdue && is_active(token) && !token.is_overdue(world.now)
        };
        let active = tokens.iter().filter(|(token, _)| is_active(token)).map(|(token, _)| token.id).collect();
        let alive = tokens.iter().filter(is_alive).map(|(token, _)| token.id).collect();
        Ok(Self { world, active, alive, transaction })
    }
}

fn fill_places(world: &mut World, tokens: &[(Token, Found)], plan: &LoadPlan) {
    if plan.place_users.is_empty() {
        return;
    }
    let places = plan.places();
    for (token, _) in tokens {
        let place = (token.user_id, token.id.room_id.general());
        // It may have ended between the lookup and the lock.
        if is_live_token(token) && places.contains(&place) {
            world.places.insert(place, token.id);
        }
    }
}

fn fill_lines(world: &mut World, tokens: &[(Token, Found)], plan: &LoadPlan) {
    for room in plan.counted.iter().map(|room| RoomId::new(*room)) {
        let now = world.now;
        let is_overdue =
            |token: &Token| token.id.room_id == room && token.status() == TokenStatus::Active && token.is_overdue(now);
        let overdue = tokens.iter().filter(|(token, _)| is_overdue(token)).map(|(token, _)| token.id);
        world.overdue.insert(room, overdue.collect());
        let of_room = tokens.iter().map(|(token, _)| *token).filter(|token| token.id.room_id == room);
        world.claimed.insert(room, first_claimed(of_room).iter().map(|token| token.id).collect());
    }
    for room in &plan.advanced {
        let room = RoomId::new(*room);
        let of_room = || tokens.iter().filter(|(token, _)| token.id.room_id == room);
        let due = first_due(of_room().map(|(token, _)| *token).filter(|token| token.is_overdue(world.now)).collect());
        // A token that left the head while the batch waited for its lock is skipped.
        let mut head: Vec<TokenId> = of_room()
            .filter(|(token, found)| *found == Found::Head && token.status() == TokenStatus::Waiting)
            .map(|(token, _)| token.id)
            .collect();
        head.sort_unstable();
        world.due.insert(room, due.iter().map(|token| token.id).collect());
        world.head.insert(room, head);
    }
}

fn fill_holdings(world: &mut World, plan: &LoadPlan) {
    if plan.holders.is_empty() {
        return;
    }
    let mut live: HashMap<(UserId, ConcertId), Vec<ReservationId>> = HashMap::new();
    for (user, seat) in &plan.keys.holdings {
        if let Some(concert) = world.seats.get(*seat).map(|seat| seat.concert_id) {
            live.entry((*user, concert)).or_default();
        }
    }
    for reservation in world.reservations.iter().filter(|row| row.is_live(world.now)) {
        if let Some(ids) = live.get_mut(&(reservation.user_id, reservation.concert_id)) {
            ids.push(reservation.reservation_id);
        }
    }
    for ids in live.values_mut() {
        ids.sort_unstable();
    }
    world.holdings = live;
}
