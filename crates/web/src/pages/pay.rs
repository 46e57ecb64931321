//! Paying for held seats, and the tickets that come of it.

use crate::{
    edge::{
        auth::SignedIn,
        extract::{PathId, PathKey as _},
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    pages::{
        forms::{FormNotice, form_page, fresh_key, key_of},
        paths,
        points::TopUpForm,
        refund_time::RefundTime,
        seat_names::seat_name,
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    id::{ConcertId, PaymentId, ReservationId, UserId},
    line::TokenStatus,
    money::Money,
    policy::SEATS_PER_COMMAND_MAX,
    refusal::{EntityKind, Refusal},
    sale::{Concert, ConcertStatus, PaymentStatus, ReservationStatus},
    time::Time,
    user::Caller,
};
use frontrow_service::sale::{Receipt, Ticket};
use frontrow_storage::{ConcertProfile, Page, PaymentFilter, ReservationFilter};
use std::sync::Arc;

/// How many of a buyer's rows for one concert are read: more than a buyer may have.
const ROWS_MAX: u32 = 100;

/// The routes of paying.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/concerts/{concert_id}/pay", get(show).post(pay))
        .route("/concerts/{concert_id}/tickets", get(tickets))
}

/// The sum of prices.
pub(super) fn total(prices: impl Iterator<Item = Money>) -> Money {
    prices.fold(Money::ZERO, |sum, price| sum.checked_add(price).unwrap_or(Money::MAX))
}

/// The seats that a buyer holds of one concert, with the end of the first hold.
#[derive(Debug)]
pub(super) struct LiveHolds {
    pub(super) seats: Vec<HoldLine>,
    pub(super) total: Money,
    pub(super) ends_at: Time,
    /// Until then, in milliseconds.
    pub(super) left_ms: i64,
}

/// One held seat.
#[derive(Debug)]
pub(super) struct HoldLine {
    pub(super) reservation_id: ReservationId,
    pub(super) place: String,
    pub(super) price: Money,
}

impl LiveHolds {
    /// Those of these tickets that are held at `now`; none if none is.
    pub(super) fn of(shell: &Shell, tickets: &[Ticket], now: Time) -> Option<Self> {
        let is_held = |ticket: &&Ticket| {
            ticket.reservation.status() == ReservationStatus::Pending && ticket.reservation.is_live(now)
        };
        let mut held: Vec<_> = tickets.iter().filter(is_held).collect();
        held.sort_by_key(|ticket| ticket.reservation.seat_number);
        let ends_at = held.iter().map(|ticket| ticket.reservation.expires_at).min()?;
        let line = |ticket: &&Ticket| HoldLine {
            reservation_id: ticket.reservation.reservation_id,
            place: seat_name(shell, &ticket.place),
            price: ticket.reservation.price,
        };
        Some(Self {
            seats: held.iter().map(line).collect(),
            total: total(held.iter().map(|ticket| ticket.reservation.price)),
            ends_at,
            left_ms: ends_at.since(now).millis().max(0),
        })
    }

    /// Minutes and seconds that are left: `4:09`.
    pub(super) fn clock(&self) -> String {
        let seconds = self.left_ms.saturating_add(999) / 1_000;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

/// The page that asks for the payment.
#[derive(Template)]
#[template(path = "pay/pay.html")]
struct PayPage {
    shell: Shell,
    notice: Option<FormNotice>,
    concert: Arc<Concert>,
    when: String,
    holds: Option<LiveHolds>,
    /// The active token of the concert's room, as its client holds it.
    token: Option<String>,
    balance: Money,
    /// The balance after the payment.
    after: Option<Money>,
    /// What the balance lacks.
    missing: Option<Money>,
    top_up: TopUpForm,
    refund: String,
    key: String,
}

impl PayPage {
    fn path(&self) -> String {
        paths::pay(self.concert.concert_id)
    }

    fn until(&self, holds: &LiveHolds) -> String {
        self.shell.exact_hour(&holds.ends_at, &self.concert.time_zone)
    }
}

async fn page_of(app: &SharedState, shell: Shell, user: UserId, id: ConcertId) -> HttpResult<PayPage> {
    let concert = app.office.concert(id).await?;
    let filter = ReservationFilter { user: Some(user), concert: Some(id), status: Some(ReservationStatus::Pending) };
    let tickets = app.office.reservations(&filter, Page { after: None, limit: ROWS_MAX }).await?;
    let balance = app.office.balance_of(user).await?;
    let places = app.office.live_tokens(user).await?;
    let is_active = |place: &frontrow_service::line::TokenPlace| {
        place.token.id.room_id == concert.room_id && place.token.status() == TokenStatus::Active
    };
    let now = app.office.now();
    let holds = LiveHolds::of(&shell, &tickets, now);
    let due = holds.as_ref().map(|holds| holds.total);
    let missing = due.and_then(|due| due.checked_sub(balance)).filter(|missing| *missing > Money::ZERO);
    let policy = app.office.policy();
    Ok(PayPage {
        notice: None,
        when: shell.moment(&concert.starts_at, &concert.time_zone),
        holds,
        token: places.into_iter().find(is_active).map(|place| place.signed),
        balance,
        after: due.and_then(|due| balance.checked_sub(due)).filter(|after| *after >= Money::ZERO),
        missing,
        top_up: TopUpForm::new(policy, missing, &paths::pay(id)),
        refund: RefundTime::of(&concert, policy.refund_cutoff, now).words(&shell, &concert.time_zone),
        key: fresh_key(),
        concert,
        shell,
    })
}

async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { user_id, .. }: SignedIn,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let page = page_of(&app, shell, user_id, id).await?;
    html(&page.shell, StatusCode::OK, &page)
}

/// The reservations that a form names.
fn reservations_of(fields: &FormFields) -> HttpResult<Vec<ReservationId>> {
    let bad = |why: &'static str| Problem::invalid_field("reservation", why);
    let ids: Vec<_> = fields.all("reservation").map(ReservationId::from_text).collect::<Result<_, _>>().map_err(bad)?;
    if ids.is_empty() || ids.len() > SEATS_PER_COMMAND_MAX {
        return Err(bad("has one to twenty numbers"));
    }
    Ok(ids)
}

async fn try_to_pay(app: &SharedState, caller: Caller, id: ConcertId, fields: &FormFields) -> HttpResult<()> {
    let reservations = reservations_of(fields)?;
    let key = key_of(fields)?.bind(caller, &Method::POST, "/concerts/{id}/pay", &[&id], &reservations)?;
    // The token of the page: with it a payment that is sent again is the same request, though its token has ended.
    let token = app.office.verify_token(fields.one("token")?).await.map_err(|_| Refusal::TokenInvalid)?;
    app.office.pay(caller, token.id, reservations, key).await?;
    Ok(())
}

async fn pay(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { caller, user_id }: SignedIn,
    PathId(id): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let Err(problem) = try_to_pay(&app, caller, id, &fields).await else {
        return Ok(Redirect::to(&format!("{}?new=yes", paths::tickets(id))).into_response());
    };
    let is_settled = problem.refusal() == Some(&Refusal::ReservationNotPending);
    let notice = FormNotice::of(&shell, problem)?;
    let page = page_of(&app, shell, user_id, id).await?;
    if is_settled && page.holds.is_none() {
        // Paid in another tab: the tickets say so.
        return Ok(Redirect::to(&paths::tickets(id)).into_response());
    }
    let page = PayPage { notice: Some(notice), ..page };
    form_page(&page.shell, page.notice.as_ref(), &page)
}

/// A paid seat.
#[derive(Debug)]
struct TicketLine {
    reservation_id: ReservationId,
    payment_id: PaymentId,
    place: String,
    price: Money,
    paid_at: String,
}

/// Everything that one needs on the day.
#[derive(Template)]
#[template(path = "pay/tickets.html")]
struct TicketsPage {
    shell: Shell,
    is_new: bool,
    concert: Arc<Concert>,
    profile: Arc<ConcertProfile>,
    when: String,
    doors: Option<String>,
    tickets: Vec<TicketLine>,
    total: Money,
    balance: Money,
    refund: String,
    may_refund: bool,
    standing: Option<(String, String)>,
}

/// What the concert's status means for its tickets.
fn standing(shell: &Shell, concert: &Concert, now: Time) -> Option<(String, String)> {
    let (title, text) = match concert.status_at(now) {
        ConcertStatus::Cancelled => ("line-cancelled", "tickets-cancelled-text"),
        ConcertStatus::Postponed => ("line-postponed", "tickets-postponed-text"),
        ConcertStatus::Over => ("line-over", "tickets-over-text"),
        ConcertStatus::Scheduled | ConcertStatus::Closed => return None,
    };
    let text = match &concert.status_reason {
        Some(reason) => format!("{reason} {}", shell.t(text)),
        None => shell.t(text),
    };
    Some((shell.t(title), text))
}

async fn tickets(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { user_id, .. }: SignedIn,
    PathId(id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let concert = app.office.concert(id).await?;
    let profile = app.office.profile(id).await?;
    let filter = PaymentFilter {
        user: Some(user_id),
        concert: Some(id),
        status: Some(PaymentStatus::Completed),
        ..PaymentFilter::default()
    };
    let mut receipts = app.office.payments(&filter, Page { after: None, limit: ROWS_MAX }).await?;
    if receipts.is_empty() {
        return Err(Refusal::NotFound { what: EntityKind::Payment }.into());
    }
    receipts.sort_by_key(|receipt| receipt.seat_number);
    let balance = app.office.balance_of(user_id).await?;
    let (now, zone) = (app.office.now(), &concert.time_zone);
    let refund = RefundTime::of(&concert, app.office.policy().refund_cutoff, now);
    let line = |receipt: &Receipt| TicketLine {
        reservation_id: receipt.payment.reservation_id,
        payment_id: receipt.payment.payment_id,
        place: seat_name(&shell, &receipt.place),
        price: receipt.payment.amount,
        paid_at: shell.moment(&receipt.payment.paid_at, zone),
    };
    let page = TicketsPage {
        is_new: query.as_deref() == Some("new=yes"),
        when: shell.moment(&concert.starts_at, zone),
        doors: concert.doors_at(&profile.details).map(|at| shell.moment(&at, zone)),
        tickets: receipts.iter().map(line).collect(),
        total: total(receipts.iter().map(|receipt| receipt.payment.amount)),
        balance,
        refund: refund.words(&shell, zone),
        may_refund: refund.is_open(),
        standing: standing(&shell, &concert, now),
        concert,
        profile,
        shell,
    };
    html(&page.shell, StatusCode::OK, &page)
}
