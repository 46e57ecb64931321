//! What happened to an order, and to a user: put together from the rows that say so, for operators.

use crate::{
    office::{BoxOffice, ServiceError},
    sale::{Receipt, Ticket},
};
use frontrow_domain::{
    changes::AuditEntry,
    id::{AuditId, DebtId, PaymentId, ReservationId, RoomId, UserId},
    line::{LineBlock, Token},
    money::Money,
    points::{Debt, DebtStatus, PointEntry, PointKind},
    refusal::{EntityKind, Refusal},
    sale::{Concert, Payment, Reservation, ReservationStatus},
    time::Time,
    user::{Caller, User},
};
use frontrow_storage::{DebtFilter, Page, PaymentFilter, ReservationFilter};
use std::{cmp::Reverse, collections::HashMap, sync::Arc};

/// How many rows of each kind a timeline reads: the newest.
const ROWS_MAX: u32 = 50;
/// How many of a user's refunded payments, cancelled reservations and settled debts are looked up in the audit log each.
const ORDERS_MAX: usize = 10;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The user registered.
    Registered,
    /// The user proved to read the letters to the e-mail address.
    AddressConfirmed,
    /// The user joined a line.
    Joined(RoomId),
    /// The user claimed the turn.
    Activated(RoomId),
    /// A seat was held.
    Held { reservation: ReservationId, price: Money },
    /// The hold was given up, by the user or an operator.
    Cancelled(ReservationId),
    /// The hold ended unpaid.
    Expired(ReservationId),
    /// The seat was paid. The balance is none for a free seat.
    Paid { payment: PaymentId, amount: Money, balance_after: Option<Money> },
    /// The payment was given back. The balance is none for a free seat.
    Refunded { payment: PaymentId, amount: Money, balance_after: Option<Money> },
    /// Points were topped up or corrected.
    Moved(PointEntry),
    /// A correction took more than there was.
    Owed { debt: DebtId, amount: Money },
    /// A debt was settled.
    Settled { debt: DebtId, status: DebtStatus },
    /// An act that changed no row of the sale, as the audit log has it.
    Act,
}

/// One moment of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMoment {
    pub at: Time,
    pub what: Happening,
    /// The entry of the audit log about it: who did it, and why. None if the user did it, or if it came by itself.
    pub entry: Option<AuditEntry>,
}

impl PastMoment {
    const fn of(at: Time, what: Happening) -> Self {
        Self { at, what, entry: None }
    }
}

/// An order: a reservation, its payment, and what happened to them.
#[derive(Debug, Clone)]
pub struct Order {
    pub ticket: Ticket,
    pub receipt: Option<Receipt>,
    pub concert: Arc<Concert>,
    /// The user; none if the row cannot be found.
    pub user: Option<User>,
    /// Newest first.
    pub timeline: Vec<PastMoment>,
}

/// A user, and what happened to them.
#[derive(Debug, Clone)]
pub struct Person {
    pub user: User,
    pub balance: Money,
    /// Places in lines that have not ended.
    pub places: Vec<Token>,
    /// Blocks from lines that are in force.
    pub blocks: Vec<LineBlock>,
    /// How many sessions are open: at most a hundred are counted.
    pub sessions: usize,
    /// The newest debts.
    pub debts: Vec<Debt>,
    /// Newest first.
    pub timeline: Vec<PastMoment>,
    /// Whether more happened before the first moment of the timeline.
    pub is_cut: bool,
}

fn balances(entries: &[PointEntry]) -> HashMap<(PaymentId, PointKind), Money> {
    let of = |entry: &PointEntry| Some(((entry.payment_id?, entry.kind), entry.balance_after));
    entries.iter().filter_map(of).collect()
}

fn of_reservation(row: &Reservation) -> Vec<PastMoment> {
    let id = row.reservation_id;
    let mut moments = vec![PastMoment::of(row.created_at, Happening::Held { reservation: id, price: row.price })];
    let ended = match row.status() {
        ReservationStatus::Cancelled => Some(Happening::Cancelled(id)),
        ReservationStatus::Expired => Some(Happening::Expired(id)),
        ReservationStatus::Pending | ReservationStatus::Confirmed | ReservationStatus::Refunded => None,
    };
    if let (Some(what), Some(at)) = (ended, row.closed_at()) {
        moments.push(PastMoment::of(at, what));
    }
    moments
}

fn of_payment(row: &Payment, balances: &HashMap<(PaymentId, PointKind), Money>) -> Vec<PastMoment> {
    let (payment, amount) = (row.payment_id, row.amount);
    let balance_after = |kind| balances.get(&(payment, kind)).copied();
    let paid = Happening::Paid { payment, amount, balance_after: balance_after(PointKind::Use) };
    let mut moments = vec![PastMoment::of(row.paid_at, paid)];
    if let Some(at) = row.refunded_at {
        let balance_after = balance_after(PointKind::Refund);
        moments.push(PastMoment::of(at, Happening::Refunded { payment, amount, balance_after }));
    }
    moments
}

fn of_token(token: &Token) -> Vec<PastMoment> {
    let room = token.id.room_id;
    let mut moments = vec![PastMoment::of(token.issued_at, Happening::Joined(room))];
    moments.extend(token.activated_at().map(|at| PastMoment::of(at, Happening::Activated(room))));
    moments
}

fn of_debt(debt: &Debt) -> Vec<PastMoment> {
    let Debt { debt_id, amount, status, .. } = *debt;
    let mut moments = vec![PastMoment::of(debt.created_at, Happening::Owed { debt: debt_id, amount })];
    moments.extend(debt.settled_at.map(|at| PastMoment::of(at, Happening::Settled { debt: debt_id, status })));
    moments
}

/// Whether the entry of the audit log is about this happening: they have the same time, since one decision wrote both.
fn is_about(entry: &AuditEntry, moment: &PastMoment) -> bool {
    let names = |id: String, action: &str| entry.action == action && entry.object == id;
    entry.created_at == moment.at
        && match &moment.what {
            Happening::Cancelled(id) => names(format!("reservation {id}"), "reservation.cancel"),
            Happening::Refunded { payment, .. } => names(format!("payment {payment}"), "payment.refund"),
            Happening::Moved(row) if row.kind == PointKind::TopUp => entry.action == "points.top_up",
            Happening::Moved(_) | Happening::Owed { .. } => entry.action == "points.adjust",
            Happening::Settled { debt, .. } => names(format!("debt {debt}"), "debt.settle"),
            _ => false,
        }
}

/// Puts moments and entries of the audit log together, newest first. An entry goes with the moments that it is about; the
/// others are moments of their own.
fn woven(mut moments: Vec<PastMoment>, entries: Vec<AuditEntry>) -> Vec<PastMoment> {
    for entry in entries {
        let mut is_used = false;
        for moment in moments.iter_mut().filter(|moment| is_about(&entry, moment)) {
            moment.entry = Some(entry.clone());
            is_used = true;
        }
        if !is_used {
            moments.push(PastMoment { at: entry.created_at, what: Happening::Act, entry: Some(entry) });
        }
    }
    // What came later in the lists above came later at the same time, too.
    moments.reverse();
    moments.sort_by_key(|moment| Reverse(moment.at));
    moments
}

/// For operators.
impl BoxOffice {
    /// The order of a reservation.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn order(&self, id: ReservationId) -> Result<Order, ServiceError> {
        let ticket = self.reservation(Caller::System, id).await?;
        let filter = PaymentFilter { reservation: Some(id), ..PaymentFilter::default() };
        let receipt = self.payments(&filter, Page { after: None, limit: 1 }).await?.pop();
        self.order_of(ticket, receipt).await
    }

    /// The order of a payment.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn order_of_payment(&self, id: PaymentId) -> Result<Order, ServiceError> {
        let receipt = self.payment(Caller::System, id).await?;
        let ticket = self.reservation(Caller::System, receipt.payment.reservation_id).await?;
        self.order_of(ticket, Some(receipt)).await
    }

    async fn order_of(&self, ticket: Ticket, receipt: Option<Receipt>) -> Result<Order, ServiceError> {
        let row = &ticket.reservation;
        let first = Page { after: None, limit: ROWS_MAX };
        let concert = self.concert(row.concert_id).await?;
        let (user, tokens, mut entries) = tokio::try_join!(
            self.user(row.user_id),
            async { Ok(self.store.live_tokens(row.user_id).await?) },
            self.audit_of("reservation", row.reservation_id, first),
        )?;
        let of_its_line =
            |token: &&Token| token.id.room_id.general() == concert.room_id && token.issued_at <= row.created_at;
        let mut moments: Vec<_> = tokens.iter().filter(of_its_line).flat_map(of_token).collect();
        moments.extend(of_reservation(row));
        if let Some(Receipt { payment, .. }) = &receipt {
            let balances = balances(&self.store.entries_of(payment.payment_id).await?);
            moments.extend(of_payment(payment, &balances));
            entries.extend(self.audit_of("payment", payment.payment_id, first).await?);
            let with_all = payment.refunded_at.filter(|at| concert.refund_all_at.is_some_and(|asked| asked <= *at));
            if with_all.is_some() {
                let of_concert = self.audit_of("concert", concert.concert_id, first).await?;
                entries.extend(of_concert.into_iter().filter(|entry| entry.action == "concert.refund_all"));
            }
        }
        Ok(Order { ticket, receipt, concert, user, timeline: woven(moments, entries) })
    }

    /// A user with the newest of what happened to them.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn person(&self, id: UserId) -> Result<Person, ServiceError> {
        let user = self.user(id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
        let reservations = ReservationFilter { user: Some(id), ..ReservationFilter::default() };
        let payments = PaymentFilter { user: Some(id), ..PaymentFilter::default() };
        let debts = DebtFilter { user: Some(id), ..DebtFilter::default() };
        let (balance, places, blocks, sessions, reservations, payments, history, debts, acts) = tokio::try_join!(
            self.balance_of(id),
            async { Ok(self.store.live_tokens(id).await?) },
            self.line_blocks_of(id),
            self.live_sessions(id),
            async { Ok(self.store.reservations(&reservations, Page { after: None, limit: ROWS_MAX }).await?) },
            async { Ok(self.store.payments(&payments, Page { after: None, limit: ROWS_MAX }).await?) },
            self.history(id, Page { after: None, limit: ROWS_MAX }),
            self.debts(&debts, Page { after: None, limit: ROWS_MAX }),
            self.audit_of("user", id, Page { after: None, limit: ROWS_MAX }),
        )?;
        let mut cut = Cut::default();
        cut.at(reservations.len(), reservations.last().map(|row| row.created_at));
        cut.at(payments.len(), payments.last().map(|row| row.created_at));
        cut.at(history.len(), history.last().map(|row| row.created_at));
        cut.at(debts.len(), debts.last().map(|row| row.created_at));
        cut.at(acts.len(), acts.last().map(|row| row.created_at));
        let mut entries = acts;
        for debt in debts.iter().filter(|debt| debt.settled_at.is_some()).take(ORDERS_MAX) {
            entries.extend(self.audit_of("debt", debt.debt_id, Page { after: None, limit: ROWS_MAX }).await?);
        }
        // An act on an order is in the log under the order.
        for row in payments.iter().filter(|row| row.refunded_at.is_some()).take(ORDERS_MAX) {
            entries.extend(self.audit_of("payment", row.payment_id, Page { after: None, limit: ROWS_MAX }).await?);
        }
        for row in reservations.iter().filter(|row| row.status() == ReservationStatus::Cancelled).take(ORDERS_MAX) {
            entries
                .extend(self.audit_of("reservation", row.reservation_id, Page { after: None, limit: ROWS_MAX }).await?);
        }
        let balances = balances(&history);
        let mut moments = vec![PastMoment::of(user.created_at, Happening::Registered)];
        moments.extend(user.email_confirmed_at.map(|at| PastMoment::of(at, Happening::AddressConfirmed)));
        moments.extend(places.iter().flat_map(of_token));
        moments.extend(reservations.iter().rev().flat_map(of_reservation));
        moments.extend(payments.iter().rev().flat_map(|row| of_payment(row, &balances)));
        let moved = history.into_iter().filter(|row| matches!(row.kind, PointKind::TopUp | PointKind::Adjustment));
        moments.extend(moved.map(|row| PastMoment::of(row.created_at, Happening::Moved(row))));
        moments.extend(debts.iter().flat_map(of_debt));
        let mut timeline = woven(moments, entries);
        let all = timeline.len();
        timeline.retain(|moment| cut.from.is_none_or(|from| moment.at >= from));
        let is_cut = cut.from.is_some() || timeline.len() < all;
        let sessions = sessions.len();
        Ok(Person { user, balance, places, blocks, sessions, debts, timeline, is_cut })
    }

    /// The entries of the audit log about one object, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn audit_of(
        &self,
        kind: &str,
        id: impl std::fmt::Display,
        page: Page<AuditId>,
    ) -> Result<Vec<AuditEntry>, ServiceError> {
        self.audit_of_object(&format!("{kind} {id}"), page).await
    }

    /// The entries of the audit log about an object, as the log names it, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn audit_of_object(&self, object: &str, page: Page<AuditId>) -> Result<Vec<AuditEntry>, ServiceError> {
        Ok(self.store.audit_of(object, page).await?)
    }
}

/// From when on a timeline is complete, if some of its lists have more rows.
#[derive(Debug, Default)]
struct Cut {
    from: Option<Time>,
}

impl Cut {
    /// Notes a list by its length and the time of its last row.
    fn at(&mut self, len: usize, last: Option<Time>) {
        if u32::try_from(len).is_ok_and(|len| len >= ROWS_MAX) {
            self.from = self.from.max(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        id::{ConcertId, SeatId},
        sale::{PaymentStatus, ReservationState},
    };
    use serde_json::json;

    fn at(second: i64) -> Time {
        Time::from_micros(second * 1_000_000)
    }

    fn payment(refunded_at: Option<Time>) -> Payment {
        Payment {
            payment_id: PaymentId::new(9),
            user_id: UserId(uuid::Uuid::from_u128(1)),
            reservation_id: ReservationId::new(4),
            amount: Money::new(1_000),
            status: if refunded_at.is_some() { PaymentStatus::Refunded } else { PaymentStatus::Completed },
            paid_at: at(20),
            refunded_at,
            created_at: at(20),
        }
    }

    fn entry(id: i64, second: i64, action: &str, object: &str) -> AuditEntry {
        AuditEntry {
            audit_id: AuditId::new(id),
            actor: Some(UserId(uuid::Uuid::from_u128(2))),
            action: action.to_owned(),
            object: object.to_owned(),
            detail: json!({}),
            created_at: at(second),
        }
    }

    #[test]
    fn an_act_stands_with_what_it_changed_and_the_others_for_themselves() {
        let held = Reservation {
            reservation_id: ReservationId::new(4),
            user_id: UserId(uuid::Uuid::from_u128(1)),
            concert_id: ConcertId::new(3),
            seat_id: SeatId::new(7),
            seat_number: 1,
            price: Money::new(1_000),
            state: ReservationState::Pending,
            created_at: at(10),
            expires_at: at(300),
        };
        let mut moments = of_reservation(&held);
        let balances = HashMap::from([((PaymentId::new(9), PointKind::Use), Money::new(500))]);
        moments.extend(of_payment(&payment(Some(at(30))), &balances));
        let acts = vec![entry(2, 30, "payment.refund", "payment 9"), entry(1, 25, "concert.refund_all", "concert 3")];
        let line = woven(moments, acts);
        let shown: Vec<_> =
            line.iter().map(|moment| (moment.at, moment.entry.as_ref().map(|e| e.audit_id.get()))).collect();
        assert_eq!(shown, [(at(30), Some(2)), (at(25), Some(1)), (at(20), None), (at(10), None)]);
        assert!(matches!(line[0].what, Happening::Refunded { balance_after: None, .. }));
        assert!(matches!(line[1].what, Happening::Act));
        assert!(matches!(line[2].what, Happening::Paid { balance_after: Some(left), .. } if left == Money::new(500)));
    }

    #[test]
    fn an_act_of_another_time_or_object_is_not_mistaken_for_this_one() {
        let moments = of_payment(&payment(Some(at(30))), &HashMap::new());
        let acts = vec![
            entry(1, 31, "payment.refund", "payment 9"),
            entry(2, 30, "payment.refund", "payment 8"),
            entry(3, 30, "user.lock", "payment 9"),
        ];
        let line = woven(moments, acts);
        assert!(line.iter().filter(|one| one.what != Happening::Act).all(|one| one.entry.is_none()));
        assert_eq!(line.len(), 5);
    }

    #[test]
    fn a_timeline_begins_where_every_list_is_complete() {
        let mut cut = Cut::default();
        cut.at(3, Some(at(5)));
        assert_eq!(cut.from, None);
        cut.at(50, Some(at(9)));
        cut.at(50, Some(at(7)));
        assert_eq!(cut.from, Some(at(9)));
    }
}
