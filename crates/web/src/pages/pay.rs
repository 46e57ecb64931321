//! Paying for held seats, and the tickets that come of it.

use crate::{
    edge::{
        auth::{SignedIn, queue_token},
        extract::{PathId, PathKey as _},
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page, fresh_key, key_of},
        paths,
        seat_names::seat_name,
        shell::{Shell, html},
    },
    pages::{
        concert::{Fact, facts},
        holds::{HoldsTray, LiveHolds, total},
        points::TopUpForm,
        refund_time::refund_words,
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
use frontrow_service::sale::Receipt;
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

/// The page that asks for the payment.
#[derive(Template)]
#[template(path = "pay/pay.html")]
struct PayPage {
    shell: Shell,
    path: String,
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
    fn tray<'a>(&'a self, holds: &'a LiveHolds) -> HoldsTray<'a> {
        holds.tray(&self.shell, self.shell.t("pay-within"), &self.concert.time_zone, &self.path)
    }
}

async fn page_of(app: &SharedState, shell: Shell, user: UserId, id: ConcertId) -> HttpResult<PayPage> {
    let concert = app.office.concert(id).await?;
    let filter = ReservationFilter { user: Some(user), concert: Some(id), status: Some(ReservationStatus::Pending) };
    let tickets = app.office.reservations(&filter, Page { after: None, limit: ROWS_MAX }).await?;
    let balance = app.office.balance_of(user).await?;
    let places = app.office.live_tokens(user).await?;
    let is_active = |place: &frontrow_service::line::TokenPlace| {
        place.token.id.room_id.general() == concert.room_id && place.token.status() == TokenStatus::Active
    };
    let now = app.office.now();
    let holds = LiveHolds::of(&shell, &tickets, now);
    let due = holds.as_ref().map(|holds| holds.total);
    let missing = due.and_then(|due| due.checked_sub(balance)).filter(|missing| *missing > Money::ZERO);
    let policy = app.office.policy();
    let path = paths::pay(id);
    Ok(PayPage {
        notice: None,
        when: shell.moment(&concert.starts_at, &concert.time_zone),
        holds,
        token: places.into_iter().find(is_active).map(|place| place.signed),
        balance,
        after: due.and_then(|due| balance.checked_sub(due)).filter(|after| *after >= Money::ZERO),
        missing,
        top_up: TopUpForm::new(policy, missing, &path),
        refund: refund_words(&shell, concert.refund_time(policy.refund_cutoff, now), &concert.time_zone),
        key: fresh_key(),
        path,
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
    let token = queue_token(app, fields.one("token")?).await?;
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
        let named = reservations_of(&fields)?;
        let paid = receipts(&app, user_id, id, Some(PaymentStatus::Completed)).await?;
        if paid.iter().any(|receipt| named.contains(&receipt.payment.reservation_id)) {
            // Paid in another tab: the tickets say so.
            return Ok(Redirect::to(&paths::tickets(id)).into_response());
        }
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
    facts: Vec<Fact>,
    /// The name that is checked at the door.
    holder: String,
    tickets: Vec<TicketLine>,
    total: Money,
    balance: Money,
    refund: String,
    may_refund: bool,
    standing: Option<(String, String)>,
}

/// What stands in place of tickets that were all refunded.
#[derive(Template)]
#[template(path = "pay/refunded.html")]
struct RefundedPage {
    shell: Shell,
    concert: Arc<Concert>,
    when: String,
}

/// A buyer's payments for a concert.
async fn receipts(
    app: &SharedState,
    user: UserId,
    concert: ConcertId,
    status: Option<PaymentStatus>,
) -> HttpResult<Vec<Receipt>> {
    let filter = PaymentFilter { user: Some(user), concert: Some(concert), status, reservation: None };
    Ok(app.office.payments(&filter, Page { after: None, limit: ROWS_MAX }).await?)
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
    let mut paid = receipts(&app, user_id, id, Some(PaymentStatus::Completed)).await?;
    if paid.is_empty() {
        if receipts(&app, user_id, id, None).await?.is_empty() {
            return Err(Refusal::NotFound { what: EntityKind::Payment }.into());
        }
        let page = RefundedPage { when: shell.moment(&concert.starts_at, &concert.time_zone), concert, shell };
        return html(&page.shell, StatusCode::OK, &page);
    }
    paid.sort_by_key(|receipt| receipt.seat_number);
    let profile = app.office.profile(id).await?;
    let user = app.office.user(user_id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
    let balance = app.office.balance_of(user_id).await?;
    let (now, zone) = (app.office.now(), &concert.time_zone);
    let refund = concert.refund_time(app.office.policy().refund_cutoff, now);
    let line = |receipt: &Receipt| TicketLine {
        reservation_id: receipt.payment.reservation_id,
        payment_id: receipt.payment.payment_id,
        place: seat_name(&shell, &receipt.place),
        price: receipt.payment.amount,
        paid_at: shell.moment(&receipt.payment.paid_at, zone),
    };
    let page = TicketsPage {
        is_new: query.as_deref() == Some("new=yes"),
        facts: facts(&shell, &concert, &profile.details),
        holder: user.name,
        tickets: paid.iter().map(line).collect(),
        total: total(paid.iter().map(|receipt| receipt.payment.amount)),
        balance,
        refund: refund_words(&shell, refund, zone),
        may_refund: refund.is_open(),
        standing: standing(&shell, &concert, now),
        concert,
        profile,
        shell,
    };
    html(&page.shell, StatusCode::OK, &page)
}
