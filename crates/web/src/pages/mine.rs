//! What is the visitor's own: held seats, places in lines, tickets, payments, and their refunds.

use crate::{
    edge::{
        auth::SignedIn,
        extract::{PathId, QueryParams},
        form::FormFields,
        problem::{HttpResult, Problem},
        reply::{List, PageQuery, next_page, page},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page, fresh_key, key_of},
        seat_names::seat_name,
        shell::{HOME_ZONE, Shell, html},
    },
    pages::{
        holds::{HoldsTray, LiveHolds, total},
        refund_time::refund_words,
        waiting,
    },
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    id::{ConcertId, PaymentId, RoomId},
    line::TokenStatus,
    money::Money,
    refusal::{EntityKind, Refusal},
    sale::{Concert, PaymentStatus, RefundTime, ReservationStatus},
    time::Time,
};
use frontrow_service::{
    line::TokenPlace,
    sale::{Receipt, Ticket},
};
use frontrow_storage::{Page, PaymentFilter, ReservationFilter};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

/// How many rows of each kind the first page reads. The rest is in the list of payments.
const ROWS_MAX: u32 = 100;

/// The routes of what is the visitor's own.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/mine", get(show))
        .route("/mine/payments", get(payments))
        .route("/payments/{payment_id}/refund", get(ask_to_refund).post(refund))
}

/// The seats that are held of one concert.
#[derive(Debug)]
struct HeldConcert {
    id: ConcertId,
    title: String,
    zone: String,
    holds: LiveHolds,
}

/// A place in a line.
#[derive(Debug)]
struct OwnPlace {
    href: String,
    title: String,
    status: String,
}

/// The tickets of one concert.
#[derive(Debug)]
struct TicketGroup {
    id: ConcertId,
    title: String,
    venue: String,
    when: String,
    seats: Vec<String>,
    total: Money,
    starts_at: Time,
}

#[derive(Template)]
#[template(path = "mine/mine.html")]
struct MinePage {
    shell: Shell,
    held: Vec<HeldConcert>,
    places: Vec<OwnPlace>,
    coming: Vec<TicketGroup>,
    past: Vec<TicketGroup>,
    balance: Money,
}

impl MinePage {
    fn tray<'a>(&'a self, HeldConcert { title, zone, holds, .. }: &'a HeldConcert) -> HoldsTray<'a> {
        holds.tray(&self.shell, self.shell.t1("mine-held", "title", title.as_str()), zone, "/mine")
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.places.is_empty() && self.coming.is_empty() && self.past.is_empty()
    }
}

/// The concerts that rows name, each read once.
async fn concerts_of(
    app: &SharedState,
    ids: impl Iterator<Item = ConcertId>,
) -> HttpResult<BTreeMap<ConcertId, Arc<Concert>>> {
    let mut concerts = BTreeMap::new();
    for id in ids {
        if let Entry::Vacant(unread) = concerts.entry(id) {
            unread.insert(app.office.concert(id).await?);
        }
    }
    Ok(concerts)
}

fn held(
    shell: &Shell,
    tickets: Vec<Ticket>,
    concerts: &BTreeMap<ConcertId, Arc<Concert>>,
    now: Time,
) -> Vec<HeldConcert> {
    let mut by_concert: BTreeMap<ConcertId, Vec<Ticket>> = BTreeMap::new();
    for ticket in tickets {
        by_concert.entry(ticket.reservation.concert_id).or_default().push(ticket);
    }
    let group = |(id, tickets): (ConcertId, Vec<Ticket>)| {
        let holds = LiveHolds::of(shell, &tickets, now)?;
        let concert = concerts.get(&id)?;
        Some(HeldConcert { id, title: concert.title.clone(), zone: concert.time_zone.clone(), holds })
    };
    by_concert.into_iter().filter_map(group).collect()
}

fn own_place(
    shell: &Shell,
    place: &TokenPlace,
    concerts: &BTreeMap<ConcertId, Arc<Concert>>,
    sites: &BTreeMap<RoomId, String>,
) -> OwnPlace {
    let room = place.token.id.room_id;
    let concert = room.concert().and_then(|id| concerts.get(&id));
    let status = match place.line.status {
        TokenStatus::Waiting => shell.t1("line-said-ahead", "n", place.line.ahead),
        TokenStatus::Offered => shell.t("line-turn"),
        TokenStatus::Active => shell.t("line-active"),
        TokenStatus::Missed => shell.t("line-missed"),
        TokenStatus::Dormant | TokenStatus::Ended => shell.t("mine-dormant"),
    };
    OwnPlace {
        href: waiting::path_of_place(&place.signed),
        title: match (concert, sites.get(&room)) {
            (Some(concert), _) => concert.title.clone(),
            (None, Some(site)) => site.clone(),
            (None, None) => shell.t("line-house"),
        },
        status,
    }
}

fn groups(shell: &Shell, receipts: &[Receipt], concerts: &BTreeMap<ConcertId, Arc<Concert>>) -> Vec<TicketGroup> {
    let mut groups: BTreeMap<ConcertId, Vec<&Receipt>> = BTreeMap::new();
    for receipt in receipts {
        if let Some(id) = receipt.concert_id {
            groups.entry(id).or_default().push(receipt);
        }
    }
    let group = |(id, mut receipts): (ConcertId, Vec<&Receipt>)| {
        let concert = concerts.get(&id)?;
        receipts.sort_by_key(|receipt| receipt.seat_number);
        Some(TicketGroup {
            id,
            title: concert.title.clone(),
            venue: concert.venue.clone(),
            when: shell.moment(&concert.starts_at, &concert.time_zone),
            seats: receipts.iter().map(|receipt| seat_name(shell, &receipt.place)).collect(),
            total: total(receipts.iter().map(|receipt| receipt.payment.amount)),
            starts_at: concert.starts_at,
        })
    };
    groups.into_iter().filter_map(group).collect()
}

async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { user_id, .. }: SignedIn,
) -> HttpResult<Response> {
    let first = Page { after: None, limit: ROWS_MAX };
    let pending = ReservationFilter {
        user: Some(user_id),
        status: Some(ReservationStatus::Pending),
        ..ReservationFilter::default()
    };
    let tickets = app.office.reservations(&pending, first).await?;
    let paid =
        PaymentFilter { user: Some(user_id), status: Some(PaymentStatus::Completed), ..PaymentFilter::default() };
    let receipts = app.office.payments(&paid, Page { after: None, limit: ROWS_MAX }).await?;
    let places = app.office.live_tokens(user_id).await?;
    let balance = app.office.balance_of(user_id).await?;
    let ids = tickets.iter().map(|ticket| ticket.reservation.concert_id);
    let ids = ids.chain(receipts.iter().filter_map(|receipt| receipt.concert_id));
    let ids = ids.chain(places.iter().filter_map(|place| place.token.id.room_id.concert()));
    let concerts = concerts_of(&app, ids).await?;
    let mut sites = BTreeMap::new();
    for room in places.iter().map(|place| place.token.id.room_id) {
        sites.extend(app.office.site_of(room).await?.map(|site| (room, site.name)));
    }
    let now = app.office.now();
    let is_over = |group: &TicketGroup| concerts.get(&group.id).is_some_and(|concert| now >= concert.ends_at);
    let (mut past, mut coming): (Vec<_>, Vec<_>) = groups(&shell, &receipts, &concerts).into_iter().partition(is_over);
    coming.sort_by_key(|group| group.starts_at);
    past.sort_by_key(|group| std::cmp::Reverse(group.starts_at));
    let page = MinePage {
        held: held(&shell, tickets, &concerts, now),
        places: places.iter().map(|place| own_place(&shell, place, &concerts, &sites)).collect(),
        coming,
        past,
        balance,
        shell,
    };
    html(&page.shell, StatusCode::OK, &page)
}

/// A payment in the list.
#[derive(Debug)]
struct PaymentLine {
    payment_id: PaymentId,
    title: String,
    place: String,
    amount: Money,
    at: String,
    refunded_at: Option<String>,
}

#[derive(Template)]
#[template(path = "mine/payments.html")]
struct PaymentsPage {
    shell: Shell,
    lines: Vec<PaymentLine>,
    next_cursor: Option<String>,
    is_first: bool,
}

async fn payments(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { user_id, .. }: SignedIn,
    QueryParams(query): QueryParams<PageQuery<PaymentId>>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let filter = PaymentFilter { user: Some(user_id), ..PaymentFilter::default() };
    let rows = app.office.payments(&filter, page).await?;
    let List { items, next_cursor } = next_page(rows, &page, |row| row.payment.payment_id);
    let line = |receipt: Receipt| PaymentLine {
        payment_id: receipt.payment.payment_id,
        place: seat_name(&shell, &receipt.place),
        title: receipt.title,
        amount: receipt.payment.amount,
        at: shell.moment(&receipt.payment.paid_at, HOME_ZONE),
        refunded_at: receipt.payment.refunded_at.map(|at| shell.moment(&at, HOME_ZONE)),
    };
    let lines = items.into_iter().map(line).collect();
    let page = PaymentsPage { lines, next_cursor, is_first: page.after.is_none(), shell };
    html(&page.shell, StatusCode::OK, &page)
}

/// The question before a refund, and its answer after.
#[derive(Template)]
#[template(path = "mine/refund.html")]
struct RefundPage {
    shell: Shell,
    notice: Option<FormNotice>,
    receipt: Receipt,
    place: String,
    when: Option<String>,
    paid_at: String,
    /// The rule with its last moment.
    rule: String,
    may_refund: bool,
    refunded_at: Option<String>,
    balance: Money,
    key: String,
}

async fn refund_page(
    app: &SharedState,
    shell: Shell,
    SignedIn { caller, user_id }: SignedIn,
    id: PaymentId,
) -> HttpResult<RefundPage> {
    let receipt = app.office.payment(caller, id).await?;
    // An operator may look at any payment, but this page is about one's own.
    if receipt.payment.user_id != user_id {
        return Err(Refusal::NotFound { what: EntityKind::Payment }.into());
    }
    let concert = match receipt.concert_id {
        Some(id) => Some(app.office.concert(id).await?),
        None => None,
    };
    let (now, cutoff) = (app.office.now(), app.office.policy().refund_cutoff);
    let time = concert.as_ref().map_or(RefundTime::Anytime, |concert| concert.refund_time(cutoff, now));
    let zone = concert.as_ref().map_or(HOME_ZONE, |concert| &concert.time_zone);
    let balance = app.office.balance_of(user_id).await?;
    Ok(RefundPage {
        notice: None,
        place: seat_name(&shell, &receipt.place),
        when: concert.as_ref().map(|concert| shell.moment(&concert.starts_at, zone)),
        paid_at: shell.moment(&receipt.payment.paid_at, zone),
        rule: refund_words(&shell, time, zone),
        may_refund: time.is_open() && receipt.payment.status == PaymentStatus::Completed,
        refunded_at: receipt.payment.refunded_at.map(|at| shell.moment(&at, zone)),
        balance,
        key: fresh_key(),
        receipt,
        shell,
    })
}

async fn ask_to_refund(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    PathId(id): PathId<PaymentId>,
) -> HttpResult<Response> {
    let page = refund_page(&app, shell, signed_in, id).await?;
    html(&page.shell, StatusCode::OK, &page)
}

async fn try_to_refund(
    app: &SharedState,
    SignedIn { caller, .. }: SignedIn,
    id: PaymentId,
    fields: &FormFields,
) -> Result<(), Problem> {
    let key = key_of(fields)?.bind(caller, &Method::POST, "/payments/{id}/refund", &[&id], &())?;
    app.office.refund(caller, id, None, key).await?;
    Ok(())
}

async fn refund(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    PathId(id): PathId<PaymentId>,
    fields: FormFields,
) -> HttpResult<Response> {
    // Whose it is comes first: an operator could refund any.
    let page = refund_page(&app, shell, signed_in, id).await?;
    let here = Redirect::to(&format!("/payments/{id}/refund"));
    let Err(problem) = try_to_refund(&app, signed_in, id, &fields).await else { return Ok(here.into_response()) };
    if problem.refusal() == Some(&Refusal::AlreadyRefunded) {
        // In another tab: the page says when.
        return Ok(here.into_response());
    }
    let notice = FormNotice::of(&page.shell, problem)?;
    let page = RefundPage { notice: Some(notice), ..page };
    form_page(&page.shell, page.notice.as_ref(), &page)
}
