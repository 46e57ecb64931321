//! Saves the changes of a batch and commits them, in one round trip.
//!
//! In each table the updates come before the inserts, except for points: their history refers to new accounts and is
//! checked more cheaply before the old ones change. New rows are in the order of a key that is unique among all
//! instances, so that two instances that insert the same keys cannot deadlock.
//!
//! The commit is sent with the changes. After a failed change the server rolls back, so a commit means that all changes
//! succeeded.

use super::{
    connect::{Params, Session, Statement},
    pipeline::Pipeline,
    tables as sql,
};
use crate::enum_text::EnumText;
use frontrow_domain::{
    concert::Concert,
    id::{PaymentId, ReservationId, RoomId, TokenId},
    payment::Payment,
    points::{Debt, Point, PointEntry},
    queue::{Room, Token, TokenStatus},
    reservation::Reservation,
    seat::Seat,
    time::Time,
    world::{Changes, RoomCounts},
};
use std::collections::{BTreeMap, HashSet};
use tokio_postgres::{Error, types::ToSql};
use uuid::Uuid;

/// The server's answers to a save.
pub(super) struct Saved {
    /// One for each change.
    pub(super) changes: Vec<Result<u64, Error>>,
    /// For the commit.
    pub(super) commit: Result<u64, Error>,
}

/// One value of each row, as an array for the server.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn count<R>(rows: &[R]) -> i64 {
    i64::try_from(rows.len()).unwrap_or(i64::MAX)
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn micros(time: Option<Time>) -> Option<i64> {
    time.map(Time::micros)
}

/// The changes of one batch and the statements that save them.
struct Saves<'a> {
    session: &'a Session<'a>,
    changes: &'a Changes,
    pipeline: Pipeline<'a, u64>,
}

/// Writes all of `changes` and commits. `active` are the tokens that were active before the batch, `alive` those that
/// were checked as possibly overdue and are not.
///
/// # Errors
/// The statements could not be prepared: nothing was sent.
pub(super) async fn save(
    session: &Session<'_>,
    changes: &Changes,
    active: &HashSet<TokenId>,
    alive: &[TokenId],
) -> Result<Saved, Error> {
    let mut saves = Saves { session, changes, pipeline: Pipeline::new() };
    saves.users();
    saves.rooms();
    saves.concerts();
    saves.new_seats();
    saves.reservations();
    saves.payments();
    saves.points();
    saves.debts();
    saves.old_seats();
    saves.tokens(active);
    saves.alive(alive);
    saves.counts();
    saves.logs();
    saves.pipeline.add_text(async { session.commit().await.map(|()| 0) });
    let mut results = saves.pipeline.run(session).await?;
    let commit = results.pop().unwrap_or(Ok(0));
    Ok(Saved { changes: results, commit })
}

impl<'a> Saves<'a> {
    fn add<R, F>(&mut self, statement: &'static Statement, rows: &'a [R], send: impl FnOnce(Step<'a, R>) -> F)
    where
        F: Future<Output = Result<u64, Error>> + Send + 'a,
    {
        if !rows.is_empty() {
            self.pipeline.add(statement, send(Step { session: self.session, statement, rows }));
        }
    }

    fn users(&mut self) {
        let changes = self.changes;
        let now = changes.now.micros();
        if !changes.new_users.is_empty() {
            let session = self.session;
            self.pipeline.add(&sql::INSERT_USERS, async move {
                let mut rows: Vec<_> = changes.new_users.iter().collect();
                rows.sort_unstable_by_key(|row| &row.email);
                let ids: Vec<Uuid> = column(&rows, |row| row.user_id.0);
                let names: Vec<&str> = column(&rows, |row| row.name.as_str());
                let emails: Vec<&str> = column(&rows, |row| row.email.as_str());
                let hashes: Vec<&str> = column(&rows, |row| row.password_hash.as_str());
                let roles: Vec<&str> = column(&rows, |row| row.role.word());
                session.execute(&sql::INSERT_USERS, &[&ids, &names, &emails, &hashes, &roles, &now]).await
            });
        }
        self.add(&sql::UPDATE_USERS, &changes.users, |save| async move {
            let ids: Vec<Uuid> = column(save.rows, |row| row.user_id.0);
            let names: Vec<&str> = column(save.rows, |row| row.name.as_str());
            let emails: Vec<&str> = column(save.rows, |row| row.email.as_str());
            let roles: Vec<&str> = column(save.rows, |row| row.role.word());
            let statuses: Vec<&str> = column(save.rows, |row| row.status.word());
            let epochs: Vec<i64> = column(save.rows, |row| row.sign_in_epoch);
            let times: Vec<i64> = column(save.rows, |row| row.updated_at.micros());
            save.run(&[&ids, &names, &emails, &roles, &statuses, &epochs, &times, &count(save.rows)]).await
        });
        self.add(&sql::NOTE_SIGN_INS, &changes.sign_ins, |save| async move {
            let ids: Vec<Uuid> = column(save.rows, |id| id.0);
            save.run(&[&ids, &now, &count(save.rows)]).await
        });
        if !changes.new_passwords.is_empty() {
            let session = self.session;
            self.pipeline.add(&sql::UPDATE_PASSWORDS, async move {
                // If a batch sets a password twice, the later one holds.
                let rows: BTreeMap<_, _> = changes.new_passwords.iter().map(|(user, hash)| (user.0, &hash.0)).collect();
                let ids: Vec<Uuid> = rows.keys().copied().collect();
                let hashes: Vec<&str> = rows.values().map(|hash| hash.as_str()).collect();
                session.execute(&sql::UPDATE_PASSWORDS, &[&ids, &hashes, &count(&ids)]).await
            });
        }
        self.add(&sql::UPSERT_RESET_LINKS, &changes.reset_links, |save| async move {
            let ids: Vec<Uuid> = column(save.rows, |row| row.user_id.0);
            let hashes: Vec<&[u8]> = column(save.rows, |row| row.secret_hash.as_slice());
            let epochs: Vec<i64> = column(save.rows, |row| row.epoch);
            let ends: Vec<i64> = column(save.rows, |row| row.expires_at.micros());
            save.run(&[&ids, &hashes, &epochs, &ends]).await
        });
        self.sessions();
    }

    fn sessions(&mut self) {
        let changes = self.changes;
        self.add(&sql::END_SESSIONS, &changes.ended_sessions, |save| async move {
            let ids: Vec<Uuid> = column(save.rows, |row| row.user_id.0);
            let kept: Vec<&[u8]> = column(save.rows, |row| row.kept.as_ref().map_or(&[][..], <[u8; 32]>::as_slice));
            save.run(&[&ids, &kept]).await
        });
        self.add(&sql::DELETE_SESSIONS, &changes.closed_sessions, |save| async move {
            let hashes: Vec<&[u8]> = column(save.rows, <[u8; 32]>::as_slice);
            save.run(&[&hashes]).await
        });
        if !changes.new_sessions.is_empty() {
            let session = self.session;
            self.pipeline.add(&sql::UPSERT_SESSIONS, async move {
                // If a batch opens a secret twice, the later session holds.
                let rows: BTreeMap<_, _> = changes.new_sessions.iter().map(|row| (row.secret_hash, row)).collect();
                let rows: Vec<_> = rows.into_values().collect();
                let hashes: Vec<&[u8]> = column(&rows, |row| row.secret_hash.as_slice());
                let users: Vec<Uuid> = column(&rows, |row| row.user_id.0);
                let roles: Vec<&str> = column(&rows, |row| row.role.word());
                let ends: Vec<i64> = column(&rows, |row| row.expires_at.micros());
                session.execute(&sql::UPSERT_SESSIONS, &[&hashes, &users, &roles, &ends]).await
            });
        }
    }

    fn rooms(&mut self) {
        let changes = self.changes;
        self.add(&sql::UPDATE_ROOMS, &changes.rooms.updated, Step::<Room>::rooms);
        self.add(&sql::INSERT_ROOMS, &changes.rooms.inserted, Step::<Room>::rooms);
        // A new room's sequence begins after the tokens that joined in the batch that made the room.
        for room in &changes.rooms.inserted {
            if let Some(highest) = changes.highest.get(&room.room_id).filter(|highest| highest.0 > 0) {
                let session = self.session;
                self.pipeline.add(&sql::SET_POSITION, async move {
                    session.execute(&sql::SET_POSITION, &[&room.room_id.get(), &highest.0]).await
                });
            }
        }
        self.add(&sql::INSERT_CAPS, &changes.caps, move |save| async move {
            let rooms: Vec<i64> = column(save.rows, |(room, _)| room.get());
            let caps: Vec<i64> = column(save.rows, |(_, cap)| *cap);
            save.run(&[&rooms, &caps, &changes.now.micros()]).await
        });
    }

    fn concerts(&mut self) {
        let concerts = &self.changes.concerts;
        self.add(&sql::UPDATE_CONCERTS, &concerts.updated, Step::<Concert>::concerts);
        self.add(&sql::INSERT_CONCERTS, &concerts.inserted, Step::<Concert>::concerts);
    }

    fn new_seats(&mut self) {
        let changes = self.changes;
        self.add(&sql::DELETE_SEATS, &changes.removed_seats, |save| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.seat_id.get());
            save.run(&[&ids, &count(save.rows)]).await
        });
        self.add(&sql::INSERT_SEATS, &changes.seats.inserted, |save: Step<'a, Seat>| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.seat_id.get());
            let concerts: Vec<i64> = column(save.rows, |row| row.concert_id.get());
            let numbers: Vec<i32> = column(save.rows, |row| row.seat_number);
            let prices: Vec<i64> = column(save.rows, |row| row.price.get());
            let statuses: Vec<&str> = column(save.rows, |row| row.status().word());
            let reservations: Vec<Option<i64>> = column(save.rows, |row| row.reservation_id().map(ReservationId::get));
            let reasons: Vec<Option<&str>> = column(save.rows, |row| row.blocked_reason());
            let [sections, rows, printed, grades] = label_columns(save.rows);
            let let_go_by: Vec<Option<Uuid>> = column(save.rows, |row| row.let_go().map(|let_go| let_go.user_id.0));
            let let_go_at: Vec<Option<i64>> = column(save.rows, |row| micros(row.let_go().map(|let_go| let_go.at)));
            let held: Vec<bool> = column(save.rows, |row| row.was_held);
            let times: Vec<i64> = column(save.rows, |row| row.updated_at.micros());
            save.run(&[
                &ids,
                &concerts,
                &numbers,
                &prices,
                &statuses,
                &reservations,
                &reasons,
                &sections,
                &rows,
                &printed,
                &grades,
                &let_go_by,
                &let_go_at,
                &held,
                &times,
            ])
            .await
        });
    }

    fn old_seats(&mut self) {
        self.add(&sql::UPDATE_SEATS, &self.changes.seats.updated, move |save| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.seat_id.get());
            let statuses: Vec<&str> = column(save.rows, |row| row.status().word());
            let reservations: Vec<Option<i64>> = column(save.rows, |row| row.reservation_id().map(ReservationId::get));
            let reasons: Vec<Option<&str>> = column(save.rows, |row| row.blocked_reason());
            let times: Vec<i64> = column(save.rows, |row| row.updated_at.micros());
            let let_go_by: Vec<Option<Uuid>> = column(save.rows, |row| row.let_go().map(|let_go| let_go.user_id.0));
            let let_go_at: Vec<Option<i64>> = column(save.rows, |row| micros(row.let_go().map(|let_go| let_go.at)));
            let held: Vec<bool> = column(save.rows, |row| row.was_held);
            let expected = count(save.rows);
            save.run(&[&ids, &statuses, &reservations, &reasons, &times, &let_go_by, &let_go_at, &held, &expected])
                .await
        });
        self.add(&sql::CHANGE_SEATS, &self.changes.changed_seats, |save| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.seat_id.get());
            let prices: Vec<i64> = column(save.rows, |row| row.price.get());
            let [sections, rows, printed, grades] = label_columns(save.rows);
            save.run(&[&ids, &prices, &sections, &rows, &printed, &grades, &count(save.rows)]).await
        });
    }

    fn reservations(&mut self) {
        let reservations = &self.changes.reservations;
        self.add(&sql::UPDATE_RESERVATIONS, &reservations.updated, move |save| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.reservation_id.get());
            let statuses: Vec<&str> = column(save.rows, |row| row.status().word());
            let confirmed: Vec<Option<i64>> = column(save.rows, |row| micros(row.confirmed_at()));
            let closed: Vec<Option<i64>> = column(save.rows, |row| micros(row.closed_at()));
            save.run(&[&ids, &statuses, &confirmed, &closed, &count(save.rows)]).await
        });
        self.add(&sql::INSERT_RESERVATIONS, &reservations.inserted, Step::<Reservation>::new_reservations);
    }

    fn payments(&mut self) {
        let payments = &self.changes.payments;
        self.add(&sql::UPDATE_PAYMENTS, &payments.updated, |save| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.payment_id.get());
            let statuses: Vec<&str> = column(save.rows, |row| row.status.word());
            let refunded: Vec<Option<i64>> = column(save.rows, |row| micros(row.refunded_at));
            save.run(&[&ids, &statuses, &refunded, &count(save.rows)]).await
        });
        self.add(&sql::INSERT_PAYMENTS, &payments.inserted, |save: Step<'a, Payment>| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.payment_id.get());
            let users: Vec<Uuid> = column(save.rows, |row| row.user_id.0);
            let reservations: Vec<i64> = column(save.rows, |row| row.reservation_id.get());
            let amounts: Vec<i64> = column(save.rows, |row| row.amount.get());
            let statuses: Vec<&str> = column(save.rows, |row| row.status.word());
            let paid: Vec<i64> = column(save.rows, |row| row.paid_at.micros());
            let refunded: Vec<Option<i64>> = column(save.rows, |row| micros(row.refunded_at));
            let created: Vec<i64> = column(save.rows, |row| row.created_at.micros());
            save.run(&[&ids, &users, &reservations, &amounts, &statuses, &paid, &refunded, &created]).await
        });
    }

    fn points(&mut self) {
        let points = &self.changes.points;
        self.add(&sql::INSERT_POINTS, &points.inserted, |save: Step<'a, Point>| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.point_id.get());
            let users: Vec<Uuid> = column(save.rows, |row| row.user_id.0);
            let amounts: Vec<i64> = column(save.rows, |row| row.amount.get());
            let versions: Vec<i64> = column(save.rows, |row| row.version);
            let updated: Vec<i64> = column(save.rows, |row| row.last_updated.micros());
            let created: Vec<i64> = column(save.rows, |row| row.created_at.micros());
            save.run(&[&ids, &users, &amounts, &versions, &updated, &created]).await
        });
        self.add(&sql::INSERT_HISTORY, &self.changes.history, Step::<PointEntry>::history);
        self.add(&sql::UPDATE_POINTS, &points.updated, move |save| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.point_id.get());
            let amounts: Vec<i64> = column(save.rows, |row| row.amount.get());
            let versions: Vec<i64> = column(save.rows, |row| row.version);
            let updated: Vec<i64> = column(save.rows, |row| row.last_updated.micros());
            save.run(&[&ids, &amounts, &versions, &updated, &count(save.rows)]).await
        });
    }

    /// The next search for overdue tokens skips these until they may be overdue.
    fn alive(&mut self, alive: &[TokenId]) {
        let changes = self.changes;
        // The next search checks those that the batch changes again.
        let is_changed = |id: &TokenId| changes.tokens.updated.binary_search_by_key(id, |row| row.id).is_ok();
        let alive: Vec<TokenId> = alive.iter().copied().filter(|id| !is_changed(id)).collect();
        if alive.is_empty() {
            return;
        }
        let session = self.session;
        self.pipeline.add(&sql::PUT_OFF_TOKENS, async move {
            let rooms: Vec<i64> = column(&alive, |id| id.room_id.get());
            let positions: Vec<i64> = column(&alive, |id| id.position.0);
            session.execute(&sql::PUT_OFF_TOKENS, &[&rooms, &positions, &count(&alive)]).await
        });
    }

    fn counts(&mut self) {
        let session = self.session;
        let columns = |rows: &'a BTreeMap<RoomId, RoomCounts>| {
            let rows: Vec<_> = rows.iter().collect();
            let ids: Vec<i64> = column(&rows, |(room, _)| room.get());
            let active: Vec<i64> = column(&rows, |(_, counts)| counts.active);
            let offered: Vec<i64> = column(&rows, |(_, counts)| counts.offered);
            (ids, active, offered)
        };
        let Changes { counts, departed, .. } = self.changes;
        if !counts.is_empty() {
            let ((ids, active, offered), expected) = (columns(counts), i64::try_from(counts.len()).unwrap_or(i64::MAX));
            self.pipeline.add(&sql::UPDATE_COUNTS, async move {
                session.execute(&sql::UPDATE_COUNTS, &[&ids, &active, &offered, &expected]).await
            });
        }
        if !departed.is_empty() {
            let (ids, active, offered) = columns(departed);
            self.pipeline.add(&sql::INSERT_DEPARTED, async move {
                session.execute(&sql::INSERT_DEPARTED, &[&ids, &active, &offered]).await
            });
        }
    }

    fn tokens(&mut self, active: &HashSet<TokenId>) {
        let changes = self.changes;
        // If a token stays active, only its end and its number of holds can change: that touches no index.
        let stays = |row: &&Token| row.status() == TokenStatus::Active && active.contains(&row.id);
        let (renewed, others): (Vec<&Token>, Vec<&Token>) = changes.tokens.updated.iter().partition(stays);
        let session = self.session;
        if !renewed.is_empty() {
            self.pipeline.add(&sql::RENEW_TOKENS, async move {
                let rooms: Vec<i64> = column(&renewed, |row| row.id.room_id.get());
                let positions: Vec<i64> = column(&renewed, |row| row.id.position.0);
                let ends: Vec<Option<i64>> = column(&renewed, |row| micros(row.deadline()));
                let holds: Vec<i32> = column(&renewed, |row| number(row.holds));
                session.execute(&sql::RENEW_TOKENS, &[&rooms, &positions, &ends, &holds, &count(&renewed)]).await
            });
        }
        if !others.is_empty() {
            self.pipeline.add(&sql::UPDATE_TOKENS, async move {
                let rooms: Vec<i64> = column(&others, |row| row.id.room_id.get());
                let positions: Vec<i64> = column(&others, |row| row.id.position.0);
                let columns = TokenColumns::of(&others);
                let TokenColumns { statuses, activated, deadlines, active_until, expired, reasons, passed, holds } =
                    &columns;
                session
                    .execute(
                        &sql::UPDATE_TOKENS,
                        &[
                            &rooms,
                            &positions,
                            statuses,
                            activated,
                            deadlines,
                            active_until,
                            expired,
                            reasons,
                            passed,
                            holds,
                            &count(&others),
                        ],
                    )
                    .await
            });
        }
        if !changes.tokens.inserted.is_empty() {
            self.pipeline.add(&sql::INSERT_TOKENS, async move {
                let mut new: Vec<&Token> = changes.tokens.inserted.iter().collect();
                new.sort_unstable_by_key(|row| (row.user_id, row.id));
                let rooms: Vec<i64> = column(&new, |row| row.id.room_id.get());
                let positions: Vec<i64> = column(&new, |row| row.id.position.0);
                let users: Vec<Uuid> = column(&new, |row| row.user_id.0);
                let issued: Vec<i64> = column(&new, |row| row.issued_at.micros());
                let columns = TokenColumns::of(&new);
                let TokenColumns { statuses, activated, deadlines, active_until, expired, reasons, passed, holds } =
                    &columns;
                session
                    .execute(
                        &sql::INSERT_TOKENS,
                        &[
                            &rooms,
                            &positions,
                            &users,
                            &issued,
                            statuses,
                            activated,
                            deadlines,
                            active_until,
                            expired,
                            reasons,
                            passed,
                            holds,
                        ],
                    )
                    .await
            });
        }
    }

    fn debts(&mut self) {
        let debts = &self.changes.debts;
        self.add(&sql::INSERT_DEBTS, &debts.inserted, |save: Step<'a, Debt>| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.debt_id.get());
            let users: Vec<Uuid> = column(save.rows, |row| row.user_id.0);
            let amounts: Vec<i64> = column(save.rows, |row| row.amount.get());
            let reasons: Vec<&str> = column(save.rows, |row| row.reason.as_str());
            let references: Vec<&str> = column(save.rows, |row| row.reference.as_str());
            let statuses: Vec<&str> = column(save.rows, |row| row.status.word());
            let times: Vec<i64> = column(save.rows, |row| row.created_at.micros());
            let settled: Vec<Option<i64>> = column(save.rows, |row| micros(row.settled_at));
            save.run(&[&ids, &users, &amounts, &reasons, &references, &statuses, &times, &settled]).await
        });
        self.add(&sql::UPDATE_DEBTS, &debts.updated, |save: Step<'a, Debt>| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.debt_id.get());
            let statuses: Vec<&str> = column(save.rows, |row| row.status.word());
            let settled: Vec<Option<i64>> = column(save.rows, |row| micros(row.settled_at));
            save.run(&[&ids, &statuses, &settled, &count(save.rows)]).await
        });
    }

    fn logs(&mut self) {
        self.add(&sql::INSERT_AUDIT, &self.changes.audit, |save| async move {
            let ids: Vec<i64> = column(save.rows, |row| row.audit_id.get());
            let actors: Vec<Option<Uuid>> = column(save.rows, |row| row.actor.map(|user| user.0));
            let actions: Vec<&str> = column(save.rows, |row| row.action.as_str());
            let objects: Vec<&str> = column(save.rows, |row| row.object.as_str());
            let details: Vec<String> = column(save.rows, |row| row.detail.to_string());
            let times: Vec<i64> = column(save.rows, |row| row.created_at.micros());
            save.run(&[&ids, &actors, &actions, &objects, &details, &times]).await
        });
        // Already in the order of their keys.
        self.add(&sql::INSERT_ANSWERS, &self.changes.kept, |save| async move {
            let keys: Vec<&[u8]> = column(save.rows, |row| row.idempotency.key.as_slice());
            let fingerprints: Vec<&[u8]> = column(save.rows, |row| row.idempotency.fingerprint.as_slice());
            let answers: Vec<&str> = column(save.rows, |row| row.answer.as_str());
            let times: Vec<i64> = column(save.rows, |row| row.created_at.micros());
            save.run(&[&keys, &fingerprints, &answers, &times]).await
        });
    }
}

/// Columns: section, row, printed number and grade.
fn label_columns(seats: &[Seat]) -> [Vec<&str>; 4] {
    [
        column(seats, |row| row.label.section.as_str()),
        column(seats, |row| row.label.row.as_str()),
        column(seats, |row| row.label.number.as_str()),
        column(seats, |row| row.label.grade.as_str()),
    ]
}

/// Rows of one table and the statement that saves them.
struct Step<'a, R> {
    session: &'a Session<'a>,
    statement: &'static Statement,
    rows: &'a [R],
}

impl<R> Step<'_, R> {
    async fn run(&self, params: Params<'_>) -> Result<u64, Error> {
        self.session.execute(self.statement, params).await
    }

    /// As [`Self::run`]; also passes the number of rows that an update must find, if the statement takes it.
    async fn run_checked<'p>(&'p self, mut params: Vec<&'p (dyn ToSql + Sync)>) -> Result<u64, Error> {
        let expected = count(self.rows);
        if self.statement.types.len() > params.len() {
            params.push(&expected);
        }
        self.run(&params).await
    }
}

impl Step<'_, Room> {
    async fn rooms(self) -> Result<u64, Error> {
        let ids: Vec<i64> = column(self.rows, |row| row.room_id.get());
        let caps: Vec<i64> = column(self.rows, |row| row.max_active);
        let rates: Vec<Option<i64>> = column(self.rows, |row| row.admit_per_minute);
        let gates: Vec<&str> = column(self.rows, |row| row.gate.word());
        let messages: Vec<Option<&str>> = column(self.rows, |row| row.message.as_deref());
        let cursors: Vec<i64> = column(self.rows, |row| row.cursor.0);
        let epochs: Vec<i64> = column(self.rows, |row| row.epoch);
        let no_shows: Vec<i64> = column(self.rows, |row| row.no_show_ppm);
        let credits: Vec<i64> = column(self.rows, |row| row.credit_ppm);
        let credit_times: Vec<i64> = column(self.rows, |row| row.credit_at.micros());
        let fences: Vec<i64> = column(self.rows, |row| row.fence.0);
        let openings: Vec<Option<i64>> = column(self.rows, |row| micros(row.opens_at));
        let closings: Vec<Option<i64>> = column(self.rows, |row| micros(row.closes_at));
        let times: Vec<i64> = column(self.rows, |row| row.updated_at.micros());
        let params: Vec<&(dyn ToSql + Sync)> = vec![
            &ids,
            &caps,
            &rates,
            &gates,
            &messages,
            &cursors,
            &epochs,
            &no_shows,
            &credits,
            &credit_times,
            &fences,
            &openings,
            &closings,
            &times,
        ];
        self.run_checked(params).await
    }
}

impl Step<'_, Concert> {
    async fn concerts(self) -> Result<u64, Error> {
        let ids: Vec<i64> = column(self.rows, |row| row.concert_id.get());
        let titles: Vec<&str> = column(self.rows, |row| row.title.as_str());
        let artists: Vec<&str> = column(self.rows, |row| row.artist.as_str());
        let venues: Vec<&str> = column(self.rows, |row| row.venue.as_str());
        let zones: Vec<&str> = column(self.rows, |row| row.time_zone.as_str());
        let dates: Vec<String> = column(self.rows, |row| row.concert_date.to_string());
        let starts: Vec<String> = column(self.rows, |row| row.start_time.to_string());
        let ends: Vec<String> = column(self.rows, |row| row.end_time.to_string());
        let moments: Vec<i64> = column(self.rows, |row| row.starts_at.micros());
        let prices: Vec<i64> = column(self.rows, |row| row.base_price.get());
        let openings: Vec<i64> = column(self.rows, |row| row.opens_at.micros());
        let closings: Vec<i64> = column(self.rows, |row| row.closes_at.micros());
        let rooms: Vec<i64> = column(self.rows, |row| row.room_id.get());
        let statuses: Vec<&str> = column(self.rows, |row| row.status.word());
        let created: Vec<i64> = column(self.rows, |row| row.created_at.micros());
        let updated: Vec<i64> = column(self.rows, |row| row.updated_at.micros());
        let end_moments: Vec<i64> = column(self.rows, |row| row.ends_at.micros());
        let closing: Vec<&str> = column(self.rows, |row| row.closing.word());
        let reasons: Vec<Option<&str>> = column(self.rows, |row| row.status_reason.as_deref());
        let refunds: Vec<Option<i64>> = column(self.rows, |row| micros(row.refund_all_at));
        let wound_up: Vec<Option<i64>> = column(self.rows, |row| micros(row.wound_up_at));
        let opened: Vec<Option<i64>> = column(self.rows, |row| micros(row.opened_at));
        let params: Vec<&(dyn ToSql + Sync)> = vec![
            &ids,
            &titles,
            &artists,
            &venues,
            &zones,
            &dates,
            &starts,
            &ends,
            &moments,
            &prices,
            &openings,
            &closings,
            &rooms,
            &statuses,
            &created,
            &updated,
            &end_moments,
            &closing,
            &reasons,
            &refunds,
            &wound_up,
            &opened,
        ];
        self.run_checked(params).await
    }
}

impl Step<'_, Reservation> {
    async fn new_reservations(self) -> Result<u64, Error> {
        let ids: Vec<i64> = column(self.rows, |row| row.reservation_id.get());
        let users: Vec<Uuid> = column(self.rows, |row| row.user_id.0);
        let concerts: Vec<i64> = column(self.rows, |row| row.concert_id.get());
        let seats: Vec<i64> = column(self.rows, |row| row.seat_id.get());
        let numbers: Vec<i32> = column(self.rows, |row| row.seat_number);
        let prices: Vec<i64> = column(self.rows, |row| row.price.get());
        let statuses: Vec<&str> = column(self.rows, |row| row.status().word());
        let created: Vec<i64> = column(self.rows, |row| row.created_at.micros());
        let ends: Vec<i64> = column(self.rows, |row| row.expires_at.micros());
        let confirmed: Vec<Option<i64>> = column(self.rows, |row| micros(row.confirmed_at()));
        let closed: Vec<Option<i64>> = column(self.rows, |row| micros(row.closed_at()));
        self.run(&[&ids, &users, &concerts, &seats, &numbers, &prices, &statuses, &created, &ends, &confirmed, &closed])
            .await
    }
}

impl Step<'_, PointEntry> {
    async fn history(self) -> Result<u64, Error> {
        let mut rows: Vec<&PointEntry> = self.rows.iter().collect();
        rows.sort_by(|a, b| a.reference.cmp(&b.reference));
        let ids: Vec<i64> = column(&rows, |row| row.history_id.get());
        let users: Vec<Uuid> = column(&rows, |row| row.user_id.0);
        let amounts: Vec<i64> = column(&rows, |row| row.amount.get());
        let kinds: Vec<&str> = column(&rows, |row| row.kind.word());
        let texts: Vec<&str> = column(&rows, |row| row.description.as_str());
        let balances: Vec<i64> = column(&rows, |row| row.balance_after.get());
        let versions: Vec<i64> = column(&rows, |row| row.version);
        let payments: Vec<Option<i64>> = column(&rows, |row| row.payment_id.map(PaymentId::get));
        let references: Vec<Option<&str>> = column(&rows, |row| row.reference.as_deref());
        let times: Vec<i64> = column(&rows, |row| row.created_at.micros());
        self.run(&[&ids, &users, &amounts, &kinds, &texts, &balances, &versions, &payments, &references, &times]).await
    }
}

/// The columns that new and changed tokens share.
struct TokenColumns {
    statuses: Vec<&'static str>,
    activated: Vec<Option<i64>>,
    deadlines: Vec<Option<i64>>,
    active_until: Vec<Option<i64>>,
    expired: Vec<Option<i64>>,
    reasons: Vec<Option<&'static str>>,
    passed: Vec<i32>,
    holds: Vec<i32>,
}

impl TokenColumns {
    fn of(rows: &[&Token]) -> Self {
        let active = |row: &Token| row.status() == TokenStatus::Active;
        Self {
            statuses: column(rows, |row| row.status().word()),
            activated: column(rows, |row| micros(row.activated_at())),
            deadlines: column(rows, |row| micros(row.deadline().filter(|_| !active(row)))),
            active_until: column(rows, |row| micros(row.deadline().filter(|_| active(row)))),
            expired: column(rows, |row| micros(row.expired_at())),
            reasons: column(rows, |row| row.end_reason().map(EnumText::word)),
            passed: column(rows, |row| number(row.turns_passed)),
            holds: column(rows, |row| number(row.holds)),
        }
    }
}
