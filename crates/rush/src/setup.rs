//! Before the sale: the concert, the accounts, the points. None of it is measured as part of the sale.

use crate::{
    api::{AuditEntry, Concert, Items as List, Payment, PointEntry, Points, Reservation, Room, Session, User},
    buyer::Login,
    client::ConnectionChoice,
    clock::wall_now,
    concerts,
    history::{Asked, Effect},
    operator::SignedInClient,
    options::{SaleOptions, TopUpBy},
    parallel::in_parallel,
    progress::Progress,
    retry::{Ask, Copies, Desk, RequestReply, code},
};
use anyhow::{Context, Result, bail};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;
use std::sync::Arc;
use tokio::time::Instant;

/// Accounts that are set up at the same time: a password hash is a matter of the server's cores, not of connections.
const WIDTH: usize = 8;
/// How many the room of a new concert admits at once.
const ROOM_CAP: i64 = 100;
/// The reason for what the crowd sets as an operator.
pub(crate) const REASON: &str = "The crowd's measurement.";
/// The password of every buyer of the crowd.
pub(crate) const PASSWORD: &str = "front-row-crowd";

/// The starting point of a sale.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) concert: Concert,
    pub(crate) room: Room,
    pub(crate) operator: String,
    pub(crate) logins: Vec<Login>,
    /// The last reservation, payment and audit line before the run.
    pub(crate) before: Before,
    /// Whether the room was set.
    pub(crate) rooms_set: u64,
}

/// The newest rows before a run; what comes after them is the run's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    pub(crate) reservation: i64,
    pub(crate) payment: i64,
    pub(crate) audit: i64,
}

/// Makes everything ready.
///
/// # Errors
/// The server cannot be reached, nothing is on sale, or accounts cannot be made.
pub(crate) async fn prepare(desk: &Arc<Desk>, options: &SaleOptions, prefix: &str) -> Result<Ready> {
    let (operator, session) = SignedInClient::sign_in(
        desk,
        &options.server.operator_email,
        &options.server.operator_password,
        ConnectionChoice::Shared,
    )
    .await?;
    let concert = choose_concert(&operator, options).await?;
    let before = newest(&operator).await?;
    if let Some(max_active) = options.max_active {
        let path = format!("/operator/rooms/{}", concert.room_id);
        let _: serde_json::Value =
            operator.send("PATCH", &path, Some(json!({ "max_active": max_active, "reason": REASON }))).await?;
    }
    let room = operator.room(concert.room_id).await?;

    let mut progress = Progress::new();
    let total = usize::try_from(options.buyers).unwrap_or(usize::MAX);
    let began = Instant::now();
    let numbered: Vec<usize> = (0..total).collect();
    let one = |index: usize| {
        let (desk, options) = (Arc::clone(desk), options.clone());
        let email = format!("{prefix}-{index}@crowd.example");
        let operator = session.session_token.clone();
        async move { set_up(&desk, &options, index, email, &operator).await }
    };
    let results = in_parallel(numbered, WIDTH, one, |done| {
        progress.show(|| format!("Setting up buyers: {done} of {total}, {} s", began.elapsed().as_secs()));
    })
    .await;
    progress.end(&format!("Setting up buyers: {total} of {total}, {:.1} s", began.elapsed().as_secs_f64()));
    let logins = results.into_iter().collect::<Result<Vec<Login>>>()?;
    let rooms_set = u64::from(options.max_active.is_some());
    Ok(Ready { concert, room, operator: session.session_token, logins, before, rooms_set })
}

async fn choose_concert(operator: &SignedInClient<'_>, options: &SaleOptions) -> Result<Concert> {
    if let Some(seats) = options.new_concert {
        let cap = options.max_active.unwrap_or(ROOM_CAP);
        return Ok(concerts::make(operator, seats, Some(cap)).await?.0);
    }
    if let Some(id) = options.concert {
        return operator.get(&format!("/concerts/{id}")).await;
    }
    let concerts: Vec<Concert> = operator.pages("/concerts", |_| false).await?;
    let now = wall_now();
    concerts
        .into_iter()
        .find(|concert| concert.status == "scheduled" && concert.opens_at <= now && now < concert.closes_at)
        .context("no concert is on sale; give one with --concert")
}

/// The newest rows of the server's books.
///
/// # Errors
/// They cannot be read.
pub(crate) async fn newest(operator: &SignedInClient<'_>) -> Result<Before> {
    let reservations: Vec<Reservation> = operator.get::<List<_>>("/operator/reservations?limit=1").await?.items;
    let payments: Vec<Payment> = operator.get::<List<_>>("/operator/payments?limit=1").await?.items;
    let audit: Vec<AuditEntry> = operator.get::<List<_>>("/operator/audit?limit=1").await?.items;
    Ok(Before {
        reservation: reservations.first().map_or(0, |row| row.reservation_id),
        payment: payments.first().map_or(0, |row| row.payment_id),
        audit: audit.first().map_or(0, |row| row.audit_id),
    })
}

async fn set_up(desk: &Desk, options: &SaleOptions, index: usize, email: String, operator: &str) -> Result<Login> {
    let origin = options.origin(index);
    let anonymous = SignedInClient::new(desk, None).from(origin);
    let body = json!({ "name": format!("Crowd {index}"), "email": email, "password": PASSWORD });
    let answer = match anonymous.try_send("POST", "/users", Some(body)).await {
        RequestReply::Definite(answer) => answer,
        RequestReply::None => bail!("{email} cannot be registered: no answer"),
    };
    let mut login =
        Login { email, password: PASSWORD.to_owned(), user_id: String::new(), session: None, before: (0, 0) };
    if answer.status < 300 {
        let user: User = serde_json::from_slice(&answer.body).context("a user is expected")?;
        login.user_id = user.user_id;
    } else if code(&answer) != "email_taken" {
        bail!("{} cannot be registered: {} {}", login.email, answer.status, String::from_utf8_lossy(&answer.body));
    }
    let is_old = login.user_id.is_empty();
    if is_old || options.signed_in || (options.top_up_by == TopUpBy::Buyer && options.points > 0) {
        let (caller, session): (SignedInClient<'_>, Session) =
            SignedInClient::sign_in(desk, &login.email, &login.password, origin).await?;
        login.user_id = session.user.user_id;
        if is_old {
            login.before = account_before(&caller).await?;
        }
        login.session = Some(session.session_token);
    }
    if options.points > 0 {
        top_up(desk, options, index, &login, operator).await?;
    }
    Ok(login)
}

async fn account_before(caller: &SignedInClient<'_>) -> Result<(i64, i64)> {
    let newest: Vec<PointEntry> = caller.get::<List<_>>("/points/history?limit=1").await?.items;
    let points: Points = caller.get("/points").await?;
    Ok((newest.first().map_or(0, |entry| entry.version), points.balance))
}

async fn top_up(desk: &Desk, options: &SaleOptions, index: usize, login: &Login, operator: &str) -> Result<()> {
    let amount = options.points;
    let (session, body) = match options.top_up_by {
        TopUpBy::Buyer => (login.session.as_deref(), json!({ "amount": amount })),
        TopUpBy::Operator => {
            let reference = format!("crowd-{:016x}-{index}", desk.run);
            (Some(operator), json!({ "amount": amount, "user_id": login.user_id, "reference": reference }))
        }
    };
    let ask = Ask {
        call: "top_up",
        method: "POST",
        path: "/points/top-ups",
        session,
        token: None,
        body: Some(body),
        due: Instant::now(),
        origin: ConnectionChoice::Shared,
    };
    let seed = options.seed.wrapping_add(u64::try_from(index).unwrap_or(0));
    let mut rng = StdRng::seed_from_u64(seed);
    let reply = desk
        .change(index, &ask, Asked::TopUp { amount }, Copies::One, &mut rng, |answer| {
            serde_json::from_slice::<PointEntry>(&answer.body).ok().map(Effect::ToppedUp)
        })
        .await;
    match reply {
        RequestReply::Definite(answer) if answer.status < 300 => Ok(()),
        RequestReply::Definite(answer) => {
            bail!("points cannot be topped up: {} {}", answer.status, String::from_utf8_lossy(&answer.body))
        }
        RequestReply::None => bail!("points cannot be topped up: no answer"),
    }
}
