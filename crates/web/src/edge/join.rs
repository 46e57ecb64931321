//! Joining a line: what a client must bring for a new place, beside what the rules decide.
//!
//! The cheapest is asked first: the budgets of its address and network, then work, then another program. An account that has its place gets it
//! whatever the answers are.

mod breaker;
mod check;
mod work;

pub use check::{CheckFails, CheckSettings};

use crate::edge::{
    limit::{JoinEnd, JoinOutlay, Use},
    problem::{HttpResult, Problem, codes},
    state::SharedState,
};
use axum::http::{HeaderMap, header};
use check::{CheckDecision, CheckQuestion, OutsideCheck};
use frontrow_domain::{
    command::{Idempotency, Issue, Replay},
    id::{RoomId, UserId},
    line::{WorkPolicy, WorkPrice},
    user::Caller,
};
use frontrow_service::{
    join_work::{WorkChallenge, WorkProof},
    line::{LineWanted, TokenPlace},
    metrics::Metrics,
    office::Reply,
};
use std::{net::IpAddr, sync::Arc};
use work::WorkPrices;

/// What new places ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinSettings {
    /// When they ask for work.
    pub work: WorkPolicy,
    /// The program that is asked about them; none for no question.
    pub check: Option<CheckSettings>,
}

/// What stands before new places at this instance.
#[derive(Debug)]
pub struct JoinGate {
    prices: WorkPrices,
    check: Option<OutsideCheck>,
}

/// How the checker of new places is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckerHealth {
    /// It answers, as far as is known.
    Well,
    /// It gave no answer several times in a row, and is left alone for seconds.
    Away(CheckFails),
}

impl JoinGate {
    /// The gate of these settings.
    ///
    /// # Errors
    /// The checker cannot be asked: there is no TLS.
    pub fn new(settings: JoinSettings, metrics: &Arc<Metrics>) -> anyhow::Result<Self> {
        let check = settings.check.map(|check| OutsideCheck::new(check, Arc::clone(metrics))).transpose()?;
        Ok(Self { prices: WorkPrices::new(settings.work), check })
    }

    /// The address of the checker without its query, and how it is at this instance; none if there is no checker.
    #[must_use]
    pub fn checker(&self) -> Option<(String, CheckerHealth)> {
        let check = self.check.as_ref()?;
        let CheckSettings { url, fails, .. } = check.settings();
        let health = if check.rests() { CheckerHealth::Away(*fails) } else { CheckerHealth::Well };
        Some((url.to_string(), health))
    }
}

/// What a client brings for a new place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum JoinProof {
    /// Nothing.
    #[default]
    Nothing,
    /// The answer to a challenge.
    Work(String),
    /// A wait that stands for it, where no script runs.
    Wait(String),
}

/// A client that asks for a place in a line.
#[derive(Debug)]
pub struct JoinAsk {
    /// The caller.
    pub caller: Caller,
    /// Its account.
    pub user_id: UserId,
    /// The address that it asks from.
    pub client: IpAddr,
    /// The line.
    pub line: LineWanted,
    /// What it brings.
    pub proof: JoinProof,
    /// What it calls itself.
    pub user_agent: Option<String>,
    /// What it sends for the checker, which alone understands it.
    pub checker_proof: Option<String>,
}

/// What a client calls itself.
#[must_use]
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT)?.to_str().ok().map(str::to_owned)
}

/// A challenge for a place of this user, at the price of now.
///
/// # Errors
/// 404 for an unknown concert or room.
pub async fn challenge(app: &SharedState, user_id: UserId, line: LineWanted) -> HttpResult<(RoomId, WorkChallenge)> {
    let room = app.office.room_to_join(line).await?;
    let price = app.joins.prices.price(room, app.office.now()).unwrap_or(WorkPrice::LEAST);
    Ok((room, app.office.work_challenge(user_id, room, price)))
}

/// What a join has spent, and gets back if it gives no new place.
#[derive(Debug)]
struct Cleared {
    outlay: JoinOutlay,
    proof: Option<WorkProof>,
}

/// Gives the caller its place. A new one counts against the budgets of its address and network, may ask for work, and may
/// be checked by another program.
///
/// # Errors
/// For a new place 429 `too_many_joins`, 403 `join_work_needed`, `join_work_invalid` or `join_denied`, 503
/// `join_check_unavailable`; and what the service refuses.
pub async fn join(
    app: &SharedState,
    ask: &JoinAsk,
    key: Option<Idempotency>,
) -> HttpResult<Reply<(TokenPlace, Issue)>> {
    let room = app.office.room_to_join(ask.line).await?;
    let cleared = match clear(app, ask, room).await {
        Ok(cleared) => Some(cleared),
        Err(refused) => {
            if !app.office.has_place(ask.user_id, room).await? {
                app.joins.prices.count(room, app.office.now());
                return Err(refused);
            }
            None
        }
    };
    let joined = match ask.line {
        LineWanted::Of(concert) => app.office.issue_token(ask.caller, concert, key).await,
        LineWanted::Room(room) => app.office.join_room(ask.caller, room, key).await,
    };
    let is_new = matches!(&joined, Ok(Reply { value: (_, Issue::New), replay: Replay::Fresh }));
    if is_new {
        app.joins.prices.count(room, app.office.now());
    }
    if let Some(Cleared { outlay, proof }) = cleared {
        app.limits.end_join(outlay, if is_new { JoinEnd::NewPlace } else { JoinEnd::NoNewPlace }).await;
        if let Some(proof) = proof.filter(|_| !is_new) {
            app.limits.give_back_proof(proof).await;
        }
    }
    Ok(joined?)
}

/// Has the client pay for a new place.
async fn clear(app: &SharedState, ask: &JoinAsk, room: RoomId) -> HttpResult<Cleared> {
    let outlay = app.limits.begin_join(ask.client).await?;
    let refused = match check_proof(app, ask, room).await {
        Ok(proof) => match ask_checker(app, ask, room, proof).await {
            Ok(()) => return Ok(Cleared { outlay, proof }),
            Err(refused) => refused,
        },
        Err(refused) => refused,
    };
    app.limits.end_join(outlay, JoinEnd::NoNewPlace).await;
    Err(refused)
}

/// Asks the checker about a new place, if there is one. A denied join has used its work: the next one pays again.
async fn ask_checker(app: &SharedState, ask: &JoinAsk, room: RoomId, proof: Option<WorkProof>) -> HttpResult<()> {
    let Some(check) = &app.joins.check else { return Ok(()) };
    if app.office.has_place(ask.user_id, room).await? {
        return Ok(());
    }
    let whose = (room, ask.user_id, ask.client);
    let question = CheckQuestion::new(whose, ask.user_agent.as_deref(), ask.checker_proof.as_deref(), app.office.now());
    match (check.ask(&question).await, proof) {
        (Some(CheckDecision::Allow), _) | (Some(CheckDecision::Challenge), Some(_)) => Ok(()),
        (Some(CheckDecision::Challenge), None) => Err(Problem::new(&codes::JOIN_WORK_NEEDED)),
        (Some(CheckDecision::Deny), _) => Err(Problem::new(&codes::JOIN_DENIED)),
        (None, proof) => {
            if let Some(proof) = proof {
                app.limits.give_back_proof(proof).await;
            }
            Err(Problem::new(&codes::JOIN_CHECK_UNAVAILABLE))
        }
    }
}

/// Uses what the client brings. What is not asked for may be wrong.
async fn check_proof(app: &SharedState, ask: &JoinAsk, room: RoomId) -> HttpResult<Option<WorkProof>> {
    let now = app.office.now();
    let (proof, wrong) = match &ask.proof {
        JoinProof::Nothing => (None, &codes::JOIN_WORK_NEEDED),
        JoinProof::Work(text) => (app.office.check_work(text, ask.user_id, room), &codes::JOIN_WORK_INVALID),
        JoinProof::Wait(text) => (app.office.check_wait(text, ask.user_id, room), &codes::JOIN_WORK_NEEDED),
    };
    let proof = match proof {
        Some(proof) if app.limits.use_proof(proof, now).await == Use::First => Some(proof),
        Some(_) | None => None,
    };
    match proof {
        None if app.joins.prices.price(room, now).is_some() => Err(Problem::new(wrong)),
        proof => Ok(proof),
    }
}
