//! Reads the books after the sale: every list page by page, over the same API as everybody.

use crate::{
    api::{FullSeatMap, Payment, PointEntry, Points, QueueToken, Reservation, SeatRow},
    audit::{AuditedAccount, Books, Readings, TokenRow},
    buyer::Login,
    client::ConnectionChoice,
    operator::SignedInClient,
    parallel::in_parallel,
    progress::Progress,
    retry::{Desk, RequestReply},
    setup::Before,
};
use anyhow::Result;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Accounts read at the same time.
const WIDTH: usize = 16;
/// How often seats and reservations are read anew until nothing changed in between.
const READINGS_MAX: u32 = 10;

/// A buyer after the sale.
#[derive(Debug, Clone)]
pub(crate) struct ReturningBuyer {
    /// Their number in the crowd.
    pub(crate) index: usize,
    pub(crate) login: Login,
    /// The token they had last.
    pub(crate) token: Option<String>,
}

/// Reads everything that the audit needs, except what only the run knows.
///
/// # Errors
/// Something cannot be read.
pub(crate) async fn read(
    desk: &Arc<Desk>,
    operator: &str,
    concert_id: i64,
    before: Before,
    visitors: Vec<ReturningBuyer>,
) -> Result<Books> {
    let operator = SignedInClient::new(desk, Some(operator.to_owned()));
    let (seats, reservations, settled) = of_one_moment(&operator, concert_id).await?;
    let payments = operator.pages("/operator/payments", |row: &Payment| row.payment_id <= before.payment).await?;
    let audit = operator.pages("/operator/audit", |row: &crate::api::AuditEntry| row.audit_id <= before.audit).await?;
    let mut progress = Progress::new();
    let total = visitors.len();
    let job = |visitor: ReturningBuyer| {
        let desk = Arc::clone(desk);
        async move { account(&desk, visitor).await }
    };
    let results = in_parallel(visitors, WIDTH, job, |done| {
        progress.show(|| format!("Reading the books: {done} of {total} accounts"));
    })
    .await;
    progress.end(&format!("Reading the books: {total} of {total} accounts"));
    let mut accounts = Vec::with_capacity(total);
    let mut tokens = Vec::new();
    for result in results {
        let (account, token) = result?;
        accounts.push(account);
        tokens.extend(token);
    }
    Ok(Books {
        seats,
        settled,
        reservations,
        reservations_before: before.reservation,
        payments,
        accounts,
        tokens,
        audit,
        ..Books::default()
    })
}

/// Seats and reservations, read again until the seat map did not change meanwhile.
async fn of_one_moment(
    operator: &SignedInClient<'_>,
    concert_id: i64,
) -> Result<(Vec<SeatRow>, Vec<Reservation>, Readings)> {
    let seats_path = format!("/concerts/{concert_id}/seats");
    let reservations_path = format!("/operator/reservations?concert_id={concert_id}");
    let mut last = (Vec::new(), Vec::new());
    for _ in 0..READINGS_MAX {
        let first: FullSeatMap = operator.get(&seats_path).await?;
        let reservations = operator.pages(&reservations_path, |_: &Reservation| false).await?;
        let second: FullSeatMap = operator.get(&seats_path).await?;
        let same = |one: &FullSeatMap, other: &FullSeatMap| {
            one.version == other.version
                && one.seats.iter().map(|seat| &seat.status).eq(other.seats.iter().map(|seat| &seat.status))
        };
        if same(&first, &second) {
            return Ok((second.seats, reservations, Readings::OneMoment));
        }
        last = (second.seats, reservations);
        sleep(Duration::from_millis(500)).await;
    }
    Ok((last.0, last.1, Readings::Moving))
}

async fn account(desk: &Desk, visitor: ReturningBuyer) -> Result<(AuditedAccount, Option<TokenRow>)> {
    let ReturningBuyer { index, login, token } = visitor;
    let caller = if let Some(session) = login.session {
        SignedInClient::new(desk, Some(session))
    } else {
        SignedInClient::sign_in(desk, &login.email, &login.password, ConnectionChoice::Own(index)).await?.0
    };
    let (version_before, balance_before) = login.before;
    let points: Points = caller.get("/points").await?;
    let mut entries = caller.pages("/points/history", |entry: &PointEntry| entry.version <= version_before).await?;
    entries.sort_unstable_by_key(|entry| entry.version);
    let row = match token {
        Some(token) => token_row(&caller, token).await,
        None => None,
    };
    let account = AuditedAccount {
        buyer: index,
        user_id: login.user_id,
        balance: points.balance,
        version_before,
        balance_before,
        entries,
    };
    Ok((account, row))
}

/// The token as its owner sees it. A server may forget tokens that ended long ago.
async fn token_row(caller: &SignedInClient<'_>, token: String) -> Option<TokenRow> {
    let found: QueueToken = caller.get(&format!("/queue/tokens/{token}")).await.ok()?;
    Some(TokenRow { token, position: found.position, status: found.status })
}

/// Gives an active or waiting place up, so that a later run finds the room empty.
pub(crate) async fn leave_line(desk: &Desk, visitor: &ReturningBuyer) {
    if let (Some(token), Some(session)) = (&visitor.token, &visitor.login.session) {
        let caller = SignedInClient::new(desk, Some(session.clone()));
        let path = format!("/queue/tokens/{token}");
        let _: RequestReply = caller.try_send("DELETE", &path, None::<Value>).await;
    }
}
