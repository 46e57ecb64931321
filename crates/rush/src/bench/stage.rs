//! The stage of a measurement on the server: a concert of its own, users, places in line, active tokens.

use crate::{
    api::{QueueToken, SeatCounts, SeatMap, Session},
    client::{ConnectionChoice, ConnectionPool},
    clock::Mono,
    concerts,
    crowd::run_number,
    history::Recorder,
    meter::Meter,
    operator::SignedInClient,
    options::LoadOptions,
    parallel::in_parallel,
    progress::Progress,
    retry::{Desk, RequestReply},
    setup::{PASSWORD, REASON},
    target::Target,
};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

const HOUSE: i64 = 0;
/// Users set up at the same time.
const WIDTH: usize = 8;
/// How long a user waits for their turn.
const TURN_MAX: Duration = Duration::from_mins(2);

/// A buyer whose token is active.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub(super) bearer: String,
    pub(super) token: String,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BenchSize {
    /// How many concerts.
    pub(super) concerts: u32,
    /// How many seats each has.
    pub(super) seats_each: u32,
    /// How many users may be active at once.
    pub(super) users: u32,
}

/// A concert and its first seat.
#[derive(Debug, Clone, Copy)]
struct Show {
    concert_id: i64,
    first_seat_id: i64,
}

/// Concerts made for a ceiling.
#[derive(Debug)]
pub(super) struct Stage {
    desk: Arc<Desk>,
    run: u64,
    operator: String,
    shows: Vec<Show>,
    /// The cap that the house room had, if it was raised.
    house_cap: Option<i64>,
}

impl Stage {
    /// Makes the concerts: one with a room of its own, or several in the house room with its cap raised.
    pub(super) async fn build(load: &LoadOptions, target: &Target, hall: BenchSize) -> Result<Self> {
        let run = run_number();
        let mono = Mono::start();
        let desk = Arc::new(Desk {
            pool: ConnectionPool::new(target.clone(), 2 * WIDTH),
            mono,
            recorder: Recorder::default(),
            meter: Meter::since(mono.now()),
            run,
            timeout: Duration::from_secs(30),
            end: Instant::now() + Duration::from_hours(1),
        });
        let server = &load.server;
        let (operator, session) =
            SignedInClient::sign_in(&desk, &server.operator_email, &server.operator_password, ConnectionChoice::Shared)
                .await?;
        let own_room = (hall.concerts == 1).then_some(i64::from(hall.users));
        let mut house_cap = None;
        if own_room.is_none() {
            let cap = operator.room(HOUSE).await?.max_active;
            set_house_cap(&operator, cap.max(i64::from(hall.users))).await?;
            house_cap = Some(cap);
        }
        let mut shows = Vec::new();
        for _ in 0..hall.concerts {
            let (concert, first_seat_id) = concerts::make(&operator, hall.seats_each, own_room).await?;
            shows.push(Show { concert_id: concert.concert_id, first_seat_id });
        }
        Ok(Self { desk, run, operator: session.session_token, shows, house_cap })
    }

    /// Puts the house room's cap back.
    pub(super) async fn strike(&self) -> Result<()> {
        match self.house_cap {
            Some(cap) => set_house_cap(&SignedInClient::new(&self.desk, Some(self.operator.clone())), cap).await,
            None => Ok(()),
        }
    }

    /// The first seat of each concert.
    pub(super) fn first_seats(&self) -> impl Iterator<Item = i64> {
        self.shows.iter().map(|show| show.first_seat_id)
    }

    /// The address of the first concert's compact seat map under /api/v1.
    pub(super) fn map_path(&self) -> String {
        let concert_id = self.shows.first().map_or(0, |show| show.concert_id);
        format!("/concerts/{concert_id}/seats?form=compact")
    }

    /// The seats of all concerts by state.
    pub(super) async fn counts(&self) -> Result<SeatCounts> {
        let mut sum = SeatCounts::default();
        let caller = SignedInClient::new(&self.desk, None);
        for show in &self.shows {
            let map: SeatMap = caller.get(&format!("/concerts/{}/seats?form=compact", show.concert_id)).await?;
            let counts = map.counts();
            sum.available += counts.available;
            sum.held += counts.held;
            sum.sold += counts.sold;
            sum.blocked += counts.blocked;
        }
        Ok(sum)
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
            let concert_id = self.shows.first().map_or(0, |show| show.concert_id);
            let origin = ConnectionChoice::Own(usize::try_from(index).unwrap_or(0));
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

async fn set_house_cap(operator: &SignedInClient<'_>, cap: i64) -> Result<()> {
    let path = format!("/operator/rooms/{HOUSE}");
    let _: Value = operator.send("PATCH", &path, Some(json!({ "max_active": cap, "reason": REASON }))).await?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Place,
    Turn,
}

async fn user(desk: &Desk, email: &str, concert_id: i64, wanted: Wanted, origin: ConnectionChoice) -> Result<Active> {
    let anonymous = SignedInClient::new(desk, None).from(origin);
    let _: Value = anonymous.post("/users", json!({ "name": "Bench", "email": email, "password": PASSWORD })).await?;
    let (caller, session): (SignedInClient<'_>, Session) =
        SignedInClient::sign_in(desk, email, PASSWORD, origin).await?;
    let token: QueueToken = caller.post("/queue/tokens", json!({ "concert_id": concert_id })).await?;
    let active = Active { bearer: format!("Bearer {}", session.session_token), token: token.token };
    if wanted == Wanted::Place {
        return Ok(active);
    }
    let path = format!("/queue/tokens/{}/activate", active.token);
    let began = Instant::now();
    while began.elapsed() < TURN_MAX {
        if let RequestReply::Definite(answer) = caller.try_send("PATCH", &path, None).await {
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
