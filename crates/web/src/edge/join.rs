//! Joining a line: what a client must bring for a new place, beside what the rules decide.

use crate::edge::{
    limit::JoinEnd,
    problem::{HttpResult, Problem},
    state::SharedState,
};
use frontrow_domain::{
    command::{Idempotency, Issue, Replay},
    id::{ConcertId, UserId},
    user::Caller,
};
use frontrow_service::{line::TokenPlace, office::Reply};
use std::net::IpAddr;

/// A client that asks for a place in a line.
#[derive(Debug)]
pub struct JoinAsk {
    /// The caller.
    pub caller: Caller,
    /// Its account.
    pub user_id: UserId,
    /// The address that it asks from.
    pub client: IpAddr,
    /// The concert; none for the house room.
    pub concert_id: Option<ConcertId>,
}

/// Gives the caller its place. A new one counts against the budgets of its address and network.
///
/// # Errors
/// 429 `too_many_joins` for a new place beyond these budgets; what the service refuses.
pub async fn join(
    app: &SharedState,
    ask: &JoinAsk,
    key: Option<Idempotency>,
) -> HttpResult<Reply<(TokenPlace, Issue)>> {
    let outlay = match app.limits.begin_join(ask.client).await {
        Ok(outlay) => Some(outlay),
        Err(refused) => {
            unless_new(app, ask, refused).await?;
            None
        }
    };
    let joined = app.office.issue_token(ask.caller, ask.concert_id, key).await;
    if let Some(outlay) = outlay {
        let end = match &joined {
            Ok(Reply { value: (_, Issue::New), replay: Replay::Fresh }) => JoinEnd::NewPlace,
            Ok(_) | Err(_) => JoinEnd::NoNewPlace,
        };
        app.limits.end_join(outlay, end).await;
    }
    Ok(joined?)
}

/// Refuses a new place. An account that has its place already gets it.
async fn unless_new(app: &SharedState, ask: &JoinAsk, refused: Problem) -> HttpResult<()> {
    if app.office.has_place(ask.user_id, ask.concert_id).await? { Ok(()) } else { Err(refused) }
}
