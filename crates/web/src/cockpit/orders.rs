//! Orders: the lists of payments and of reservations, the page of each, and what an operator may do with them.

use super::{
    acts::{ActPage, ActVisit, done},
    audit::log_of,
    moments,
    search::{payment_status, reservation_status},
    shell::CockpitShell,
    tables::{Cell, Link, ListChoice, ListPage, Narrowing, ObjectFact, ObjectPage, RowTable, pager, raw},
};
use crate::{
    edge::{
        extract::{Cursor, PathId, QueryParams},
        form::FormFields,
        problem::HttpResult,
        reply::next_page,
        state::SharedState,
    },
    html::{seat_names::seat_name, shell::HOME_ZONE},
};
use axum::{Router, extract::State, response::Response, routing::get};
use frontrow_domain::{
    id::{ConcertId, PaymentId, ReservationId, UserId},
    refusal::Refusal,
    sale::{PaymentStatus, ReservationStatus, SeatAction},
};
use frontrow_service::{
    office::ServiceError,
    sale::{Receipt, Ticket},
    timeline::Order,
};
use frontrow_storage::{Page, PaymentFilter, ReservationFilter};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How many rows a part of a list has.
pub(super) const ROWS: u32 = 50;

/// The routes of orders.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/payments", get(payments))
        .route("/operator/payments/{payment_id}", get(payment))
        .route("/operator/payments/{payment_id}/refund", get(ask_to_refund).post(refund))
        .route("/operator/reservations", get(reservations))
        .route("/operator/reservations/{reservation_id}", get(reservation))
        .route("/operator/reservations/{reservation_id}/cancel", get(ask_to_cancel).post(cancel))
}

fn path_of_payment(id: PaymentId) -> String {
    format!("/operator/payments/{id}")
}

fn path_of_reservation(id: ReservationId) -> String {
    format!("/operator/reservations/{id}")
}

/// What narrows the list of payments.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    concert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PaymentStatus>,
    #[serde(skip_serializing)]
    cursor: Option<Cursor<PaymentId>>,
}

/// What narrows the list of reservations.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReservationsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    concert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<ReservationStatus>,
    #[serde(skip_serializing)]
    cursor: Option<Cursor<ReservationId>>,
}

/// The concert and the user that narrow a list, with the fields as they are shown again.
struct Whose {
    concert: Option<ConcertId>,
    user: Option<UserId>,
    texts: Vec<Narrowing>,
}

impl Whose {
    fn of(shell: &CockpitShell, concert: Option<&str>, user: Option<&str>) -> Self {
        let concert_field = Narrowing::read(shell.t("orders-by-concert"), "concert", concert);
        let user_field = Narrowing::read(shell.t("orders-by-user"), "user", user);
        let (concert, concert_field) = concert_field.taken(shell, "orders-field-concert", |text| {
            text.parse::<i64>().ok().and_then(|number| ConcertId::try_from(number).ok())
        });
        let (user, user_field) =
            user_field.taken(shell, "orders-field-user", |text| text.parse::<uuid::Uuid>().ok().map(UserId));
        Self { concert, user, texts: vec![concert_field, user_field] }
    }

    /// Whether a field has something that is none of its values: then the list is empty.
    fn is_faulty(&self) -> bool {
        self.texts.iter().any(|text| text.fault.is_some())
    }
}

/// How far the refunds of a cancelled concert are; none if not all of its payments are to be refunded.
async fn refunds_of(app: &SharedState, shell: &CockpitShell, id: ConcertId) -> HttpResult<Option<String>> {
    let books = match app.office.concert_books(id).await {
        Err(ServiceError::Refused(Refusal::NotFound { .. })) => return Ok(None),
        books => books?,
    };
    // A sold seat is one whose payment was not given back.
    Ok(books.concert.refund_all_at.map(|_| match books.seats.sold {
        0 => shell.t("orders-refunds-done"),
        left => shell.t1("orders-refunds-left", "n", left),
    }))
}

async fn payments(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(query): QueryParams<PaymentsQuery>,
) -> HttpResult<Response> {
    let whose = Whose::of(&shell, query.concert.as_deref(), query.user.as_deref());
    let page = Page { after: query.cursor.map(|cursor| cursor.0), limit: ROWS };
    let filter = PaymentFilter { user: whose.user, concert: whose.concert, reservation: None, status: query.status };
    let rows = if whose.is_faulty() { Vec::new() } else { app.office.payments(&filter, page).await? };
    let state = match whose.concert {
        Some(id) => refunds_of(&app, &shell, id).await?,
        None => None,
    };
    let list = next_page(rows, &page, |row| row.payment.payment_id);
    let (newest, older) = pager("/operator/payments", &query, page.after.is_none(), &list)?;
    let rows = list.items.iter().map(|row| payment_row(&shell, row)).collect();
    let statuses = [PaymentStatus::Completed, PaymentStatus::Refunded];
    let choice = ListChoice::of(
        &shell,
        "status",
        query.status,
        statuses.map(|status| (status, payment_status(&shell, status))),
    )?;
    ListPage {
        title: shell.t("orders-payments"),
        about: Some(Link::to(shell.t("orders-reservations"), "/operator/reservations")),
        path: "/operator/payments",
        state,
        choices: vec![choice],
        texts: whose.texts,
        table: RowTable {
            caption: shell.t("orders-payments"),
            heads: heads(
                &shell,
                ["orders-number", "orders-concert-head", "orders-seat", "orders-state", "orders-when", "orders-sum"],
            ),
            rows,
            none: shell.t("orders-none"),
        },
        newest,
        older,
        shell,
    }
    .answer()
}

/// The heads of a table's columns.
pub(super) fn heads<const N: usize>(shell: &CockpitShell, ids: [&str; N]) -> Vec<String> {
    ids.iter().map(|id| shell.t(id)).collect()
}

fn payment_row(shell: &CockpitShell, row: &Receipt) -> Vec<Cell> {
    let id = row.payment.payment_id;
    vec![
        Cell::link(id.to_string(), path_of_payment(id)),
        Cell::text(row.title.clone()),
        Cell::text(seat_name(shell, &row.place)),
        Cell::text(payment_status(shell, row.payment.status)),
        Cell::text(shell.exact_moment(&row.payment.paid_at, HOME_ZONE)),
        Cell::figure(shell.money(&row.payment.amount)),
    ]
}

async fn reservations(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(query): QueryParams<ReservationsQuery>,
) -> HttpResult<Response> {
    let whose = Whose::of(&shell, query.concert.as_deref(), query.user.as_deref());
    let page = Page { after: query.cursor.map(|cursor| cursor.0), limit: ROWS };
    let filter = ReservationFilter { user: whose.user, concert: whose.concert, status: query.status };
    let rows = if whose.is_faulty() { Vec::new() } else { app.office.reservations(&filter, page).await? };
    let list = next_page(rows, &page, |row| row.reservation.reservation_id);
    let (newest, older) = pager("/operator/reservations", &query, page.after.is_none(), &list)?;
    let rows = list.items.iter().map(|row| reservation_row(&shell, row)).collect();
    let statuses = [
        ReservationStatus::Pending,
        ReservationStatus::Confirmed,
        ReservationStatus::Cancelled,
        ReservationStatus::Expired,
        ReservationStatus::Refunded,
    ];
    let statuses = statuses.map(|status| (status, reservation_status(&shell, status)));
    ListPage {
        title: shell.t("orders-reservations"),
        about: Some(Link::to(shell.t("orders-payments"), "/operator/payments")),
        path: "/operator/reservations",
        state: None,
        choices: vec![ListChoice::of(&shell, "status", query.status, statuses)?],
        texts: whose.texts,
        table: RowTable {
            caption: shell.t("orders-reservations"),
            heads: heads(
                &shell,
                ["orders-number", "orders-concert-head", "orders-seat", "orders-state", "orders-when", "orders-sum"],
            ),
            rows,
            none: shell.t("orders-none"),
        },
        newest,
        older,
        shell,
    }
    .answer()
}

fn reservation_row(shell: &CockpitShell, row: &Ticket) -> Vec<Cell> {
    let id = row.reservation.reservation_id;
    vec![
        Cell::link(id.to_string(), path_of_reservation(id)),
        Cell::text(row.title.clone()),
        Cell::text(seat_name(shell, &row.place)),
        Cell::text(reservation_status(shell, row.reservation.status())),
        Cell::text(shell.exact_moment(&row.reservation.created_at, HOME_ZONE)),
        Cell::figure(shell.money(&row.reservation.price)),
    ]
}

async fn payment(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<PaymentId>,
) -> HttpResult<Response> {
    let order = app.office.order_of_payment(id).await?;
    let title = shell.t1("orders-payment", "number", id.to_string());
    order_page(&app, shell, title, format!("payment {id}"), order).await
}

async fn reservation(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ReservationId>,
) -> HttpResult<Response> {
    let order = app.office.order(id).await?;
    let title = shell.t1("orders-reservation", "number", id.to_string());
    order_page(&app, shell, title, format!("reservation {id}"), order).await
}

/// What an order is now, in a sentence.
fn state_of(shell: &CockpitShell, order: &Order) -> String {
    let row = &order.ticket.reservation;
    let zone = &order.concert.time_zone;
    let at = |id: &str, at| shell.t1(id, "when", shell.exact_moment(&at, zone));
    match row.status() {
        ReservationStatus::Pending => at("orders-now-pending", row.expires_at),
        ReservationStatus::Confirmed => at("orders-now-paid", row.state.confirmed_at().unwrap_or(row.created_at)),
        ReservationStatus::Cancelled => at("orders-now-cancelled", row.closed_at().unwrap_or(row.created_at)),
        ReservationStatus::Expired => at("orders-now-expired", row.closed_at().unwrap_or(row.created_at)),
        ReservationStatus::Refunded => at("orders-now-refunded", row.closed_at().unwrap_or(row.created_at)),
    }
}

/// The fact that names a user, and leads to their page.
pub(super) fn user_fact(shell: &CockpitShell, user_id: UserId, name: Option<&str>) -> ObjectFact {
    let name = name.filter(|name| !name.is_empty()).map_or_else(|| user_id.to_string(), str::to_owned);
    ObjectFact::of(shell.t("orders-user"), Cell::link(name, format!("/operator/users/{user_id}")))
}

/// The page of an order; `logged` is what the log calls the payment or the reservation that was asked for.
async fn order_page(
    app: &SharedState,
    shell: CockpitShell,
    title: String,
    logged: String,
    order: Order,
) -> HttpResult<Response> {
    let row = &order.ticket.reservation;
    let id = row.reservation_id;
    let concert = &order.concert;
    let payment = order.receipt.as_ref().map(|receipt| &receipt.payment);
    let mut facts = vec![
        user_fact(&shell, row.user_id, order.user.as_ref().map(|user| user.name.as_str())),
        ObjectFact::of(
            shell.t("orders-concert-head"),
            Cell::link(concert.title.clone(), format!("/operator/concerts/{}", concert.concert_id)),
        ),
        ObjectFact::of(shell.t("orders-seat"), Cell::text(seat_name(&shell, &order.ticket.place))),
        ObjectFact::of(shell.t("orders-sum"), Cell::text(shell.money(&row.price))),
        ObjectFact::of(shell.t("orders-reservation-head"), Cell::link(id.to_string(), path_of_reservation(id))),
    ];
    let mut acts = Vec::new();
    if let Some(payment) = payment {
        let number = payment.payment_id;
        facts.push(ObjectFact::of(
            shell.t("orders-payment-head"),
            Cell::link(number.to_string(), path_of_payment(number)),
        ));
        if payment.status == PaymentStatus::Completed {
            acts.push(Link::to(shell.t("orders-refund"), format!("{}/refund", path_of_payment(number))));
        }
    }
    if row.status() == ReservationStatus::Pending {
        acts.push(Link::to(shell.t("orders-cancel"), format!("{}/cancel", path_of_reservation(id))));
    }
    if !shell.may_change() {
        acts.clear();
    }
    let query = |name: &str, value: String| format!("/operator/payments?{name}={value}");
    let more = vec![
        Link::to(shell.t("orders-of-user"), query("user", row.user_id.to_string())),
        Link::to(shell.t("orders-of-concert"), query("concert", concert.concert_id.to_string())),
        log_of(&shell, &logged),
    ];
    let timeline = moments::lines(app, &shell, &order.timeline).await;
    ObjectPage {
        title,
        state: state_of(&shell, &order),
        facts,
        acts,
        more,
        tables: Vec::new(),
        timeline,
        cut: None,
        raw: raw(&json!({ "reservation": row, "payment": payment }))?,
        shell,
    }
    .answer()
}

/// What a refund will do.
fn refund_effects(app: &SharedState, shell: &CockpitShell, order: &Order, receipt: &Receipt) -> Vec<String> {
    let name = order.user.as_ref().map_or_else(|| receipt.payment.user_id.to_string(), |user| user.name.clone());
    let seat = match order.concert.refunded_seat(app.office.now()) {
        SeatAction::Free { .. } => shell.t("orders-refund-frees"),
        SeatAction::Block { .. } => shell.t("orders-refund-blocks"),
    };
    vec![
        shell.t2("orders-refund-gives", "sum", shell.money(&receipt.payment.amount), "name", name),
        seat,
        shell.t("orders-refund-final"),
    ]
}

async fn refund_form(visit: &ActVisit<PaymentId>) -> HttpResult<(ActPage, Order)> {
    let (app, shell, id) = (&visit.app, visit.shell.clone(), visit.id);
    let order = app.office.order_of_payment(id).await?;
    let receipt = order.receipt.clone().ok_or(Refusal::AlreadyRefunded)?;
    let effects = refund_effects(app, &shell, &order, &receipt);
    let about = Link::to(shell.t1("orders-payment", "number", id.to_string()), path_of_payment(id));
    let button = shell.t1("orders-refund-button", "sum", shell.money(&receipt.payment.amount));
    let (title, action) = (shell.t("orders-refund-title"), format!("{}/refund", path_of_payment(id)));
    let page = ActPage::of(shell, title, about, action, button).with_effects(effects).with_reason("orders-reason-log");
    Ok((page, order))
}

fn is_refunded(order: &Order) -> bool {
    order.receipt.as_ref().is_some_and(|receipt| receipt.payment.status == PaymentStatus::Refunded)
}

async fn ask_to_refund(visit: ActVisit<PaymentId>) -> HttpResult<Response> {
    let (page, order) = refund_form(&visit).await?;
    if is_refunded(&order) { Ok(done(&path_of_payment(visit.id))) } else { page.answer() }
}

async fn refund(visit: ActVisit<PaymentId>, fields: FormFields) -> HttpResult<Response> {
    let (mut page, _) = refund_form(&visit).await?;
    let Some(reason) = page.reason(&fields) else { return page.answer() };
    let key = visit.key(&fields, "/operator/payments/{id}/refund")?;
    let path = path_of_payment(visit.id);
    match visit.app.office.refund(visit.caller, visit.id, Some(reason), key).await {
        // Another operator was first: the payment's page says who.
        Err(ServiceError::Refused(Refusal::AlreadyRefunded)) => Ok(done(&path)),
        refunded => page.ended(refunded, &path),
    }
}

async fn cancel_form(visit: &ActVisit<ReservationId>) -> HttpResult<(ActPage, Order)> {
    let (shell, id) = (visit.shell.clone(), visit.id);
    let order = visit.app.office.order(id).await?;
    let about = Link::to(shell.t1("orders-reservation", "number", id.to_string()), path_of_reservation(id));
    let seat = seat_name(&shell, &order.ticket.place);
    let effects = vec![shell.t1("orders-cancel-frees", "seat", seat), shell.t("orders-cancel-unpaid")];
    let (title, button) = (shell.t("orders-cancel-title"), shell.t("orders-cancel-button"));
    let action = format!("{}/cancel", path_of_reservation(id));
    let page = ActPage::of(shell, title, about, action, button).with_effects(effects).with_reason("orders-reason-log");
    Ok((page, order))
}

async fn ask_to_cancel(visit: ActVisit<ReservationId>) -> HttpResult<Response> {
    let (page, order) = cancel_form(&visit).await?;
    let is_pending = order.ticket.reservation.status() == ReservationStatus::Pending;
    if is_pending { page.answer() } else { Ok(done(&path_of_reservation(visit.id))) }
}

async fn cancel(visit: ActVisit<ReservationId>, fields: FormFields) -> HttpResult<Response> {
    let (mut page, _) = cancel_form(&visit).await?;
    let Some(reason) = page.reason(&fields) else { return page.answer() };
    let key = visit.key(&fields, "/operator/reservations/{id}/cancel")?;
    let cancelled = visit.app.office.cancel_reservation(visit.caller, visit.id, Some(reason), key).await;
    page.ended(cancelled, &path_of_reservation(visit.id))
}
