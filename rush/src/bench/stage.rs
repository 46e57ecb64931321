//! What a ceiling needs on the server: a concert of its own, users, places in line, active tokens.

use super::concert_json;
use crate::{
    api::{Concert, QueueToken, SeatCounts, SeatMap, Session},
    ask::{Desk, Reply},
    client::{Origin, Pool},
    clock::{Mono, wall_now},
    crowd::run_number,
    history::Recorder,
    meter::Meter,
    operator::Caller,
    options::LoadOptions,
    parallel::in_parallel,
    progress::Progress,
    setup::PASSWORD,
    target::Target,
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Seats that one request adds at most.
const SEATS_PER_REQUEST: u32 = 50_000;
/// Users set up at the same time.
const WIDTH: usize = 8;
/// How long a user waits for their turn.
const TURN_MAX: Duration = Duration::from_mins(2);

/// A buyer whose token is active.
#[derive(Debug, Clone)]
pub(super) struct Active {
    /// The Authorization header.
    pub(super) bearer: String,
    /// The queue token.
    pub(super) token: String,
}

/// A concert made for a ceiling.
#[derive(Debug)]
pub(super) struct Stage {
    desk: Arc<Desk>,
    run: u64,
    concert: Concert,
    /// The first of its seats; the ids of the others follow.
    pub(super) first_seat_id: i64,
}

impl Stage {
    /// Makes a concert with so many seats and a room of its own for so many.
    pub(super) async fn build(load: &LoadOptions, target: &Target, seats: u32, max_active: i64) -> Result<Self> {
        let run = run_number();
        let mono = Mono::start();
        let desk = Arc::new(Desk {
            pool: Pool::new(target.clone(), 2 * WIDTH),
            mono,
            recorder: Recorder::default(),
            meter: Meter::since(mono.now()),
            run,
            timeout: Duration::from_secs(30),
            end: Instant::now() + Duration::from_hours(1),
        });
        let server = &load.server;
        let (operator, _) =
            Caller::sign_in(&desk, &server.operator_email, &server.operator_password, Origin::Shared).await?;
        let concert: Concert = operator.post("/operator/concerts", concert_json(wall_now(), max_active)).await?;
        let path = format!("/operator/concerts/{}/seats", concert.concert_id);
        let mut first_seat_id = None;
        let mut from = 1;
        while from <= seats {
            let to = seats.min(from + SEATS_PER_REQUEST - 1);
            let added: Value = operator.post(&path, json!({ "range": { "from": from, "to": to } })).await?;
            let first = added.get("first_seat_id").and_then(Value::as_i64).context("first_seat_id is missing")?;
            let expected = *first_seat_id.get_or_insert(first) + i64::from(from - 1);
            if first != expected {
                bail!("somebody else added seats meanwhile; run it again");
            }
            from = to + 1;
        }
        let first_seat_id = first_seat_id.context("the concert has no seats")?;
        Ok(Self { desk, run, concert, first_seat_id })
    }

    /// The address of the compact seat map under /api/v1.
    pub(super) fn map_path(&self) -> String {
        format!("/concerts/{}/seats?form=compact", self.concert.concert_id)
    }

    /// The seats by state.
    pub(super) async fn counts(&self) -> Result<SeatCounts> {
        let map: SeatMap = Caller::new(&self.desk, None).get(&self.map_path()).await?;
        Ok(map.counts())
    }

    /// New users in line: their tokens.
    pub(super) async fn line(&self, users: u32) -> Result<Vec<String>> {
        let active = self.users(users, Wanted::Place).await?;
        Ok(active.into_iter().map(|user| user.token).collect())
    }

    /// New users with active tokens.
    pub(super) async fn active(&self, users: u32) -> Result<Vec<Active>> {
        self.users(users, Wanted::Turn).await
    }

    async fn users(&self, users: u32, wanted: Wanted) -> Result<Vec<Active>> {
        let mut progress = Progress::new();
        let job = |index: u32| {
            let desk = Arc::clone(&self.desk);
            let email = format!("bench-{:016x}-{index}@crowd.example", self.run);
            let concert_id = self.concert.concert_id;
            let origin = Origin::Own(usize::try_from(index).unwrap_or(0));
            async move { user(&desk, &email, concert_id, wanted, origin).await }
        };
        let results = in_parallel((0..users).collect(), WIDTH, job, |done| {
            progress.show(|| format!("Setting up users: {done} of {users}"));
        })
        .await;
        progress.end(&format!("Setting up users: {users} of {users}"));
        results.into_iter().collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Place,
    Turn,
}

async fn user(desk: &Desk, email: &str, concert_id: i64, wanted: Wanted, origin: Origin) -> Result<Active> {
    let nobody = Caller::new(desk, None).from(origin);
    let _: Value = nobody.post("/users", json!({ "name": "Bench", "email": email, "password": PASSWORD })).await?;
    let (caller, session): (Caller<'_>, Session) = Caller::sign_in(desk, email, PASSWORD, origin).await?;
    let token: QueueToken = caller.post("/queue/tokens", json!({ "concert_id": concert_id })).await?;
    let active = Active { bearer: format!("Bearer {}", session.session_token), token: token.token };
    if wanted == Wanted::Place {
        return Ok(active);
    }
    let path = format!("/queue/tokens/{}/activate", active.token);
    let began = Instant::now();
    while began.elapsed() < TURN_MAX {
        if let Reply::Definite(answer) = caller.try_send("PATCH", &path, None).await {
            let token: Option<QueueToken> = serde_json::from_slice(&answer.body).ok();
            if token.is_some_and(|token| token.status == "active") {
                return Ok(active);
            }
            if answer.status >= 400 && answer.status != 409 {
                bail!("the turn cannot be claimed: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    bail!("{email} got no turn within {} s", TURN_MAX.as_secs())
}
