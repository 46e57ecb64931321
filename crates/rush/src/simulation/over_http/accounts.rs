//! `frontrow-rush line`: the accounts of the people, made over the API, and the run.

use super::{
    LineCrowd, LineFigures, LinePlan,
    freshness::{FreshnessProbe, ViewDelays},
};
use crate::{
    api::Session,
    client::ConnectionChoice,
    clock::Mono,
    crowd,
    operator::SignedInClient,
    options::{LineOptions, RushCli, SaleOptions},
    parallel::in_parallel,
    progress::Progress,
    retry::{Desk, RequestReply, code},
    setup::PASSWORD,
    target::{AllowedHosts, Target},
};
use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Accounts that are made at the same time: each costs the server two password hashes.
const WIDTH: usize = 8;
/// Users who join and leave for the freshness.
const PROBES: usize = 2;
/// Bound on making the accounts.
const SETTING_UP_MAX: Duration = Duration::from_hours(1);

/// What a run gives.
#[derive(Debug)]
pub(crate) struct LineOutcome {
    pub(crate) figures: LineFigures,
    /// Of two instances or more.
    pub(crate) freshness: Option<ViewDelays>,
}

impl LineOutcome {
    pub(crate) fn text(&self) -> String {
        let lines = std::iter::once(self.figures.text()).chain(self.freshness.map(|freshness| freshness.text()));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "line": self.figures, "freshness": self.freshness })
    }
}

/// Makes the accounts, lets the people come, and measures.
///
/// # Errors
/// An instance cannot be reached, or refuses what the crowd needs.
pub(crate) async fn run_line(options: &LineOptions) -> Result<LineOutcome> {
    let plan = plan_of(options)?;
    let reach = if options.server.i_own_this_server { AllowedHosts::Anywhere } else { AllowedHosts::Loopback };
    let urls = std::iter::once(&options.server.url).chain(&options.instances);
    let targets: Vec<Target> = urls.map(|url| Target::parse(url, reach)).collect::<Result<_>>()?;
    let instances: Vec<SocketAddr> = targets.iter().map(|target| target.address).collect();
    let sale = SaleOptions { server: options.server.clone(), ..RushCli::try_parse_from(["frontrow-rush"])?.sale };
    let first = targets.into_iter().next().context("there is no instance")?;
    let desk = Arc::new(crowd::desk(&sale, first, Mono::start(), crowd::run_number(), SETTING_UP_MAX));
    let server = &options.server;
    let (_, operator) =
        SignedInClient::sign_in(&desk, &server.operator_email, &server.operator_password, ConnectionChoice::Shared)
            .await?;
    let people = usize::try_from(plan.people)?;
    let mut sessions = make_accounts(&desk, people + PROBES).await?;
    let probes = sessions.split_off(people);
    let operator_session = operator.session_token;
    let probe =
        FreshnessProbe { instances: instances.clone(), operator_session: operator_session.clone(), sessions: probes };
    let has_others = instances.len() > 1;
    let coming = LineCrowd { instances, operator_session, sessions, plan }.come();
    if !has_others {
        return Ok(LineOutcome { figures: coming.await?, freshness: None });
    }
    let (figures, freshness) = probe.beside(coming).await?;
    Ok(LineOutcome { figures: figures?, freshness: Some(freshness) })
}

fn plan_of(options: &LineOptions) -> Result<LinePlan> {
    let plan = LinePlan::of(options.people);
    let seconds =
        |seconds: Option<u32>, other: Duration| seconds.map_or(other, |some| Duration::from_secs(some.into()));
    let plan = LinePlan {
        max_active: options.max_active.unwrap_or(plan.max_active),
        admit_per_minute: options.admit_per_minute,
        visit: seconds(options.visit, plan.visit),
        spread: seconds(options.spread, plan.spread),
        lasts: seconds(options.duration, plan.lasts),
        claim_window: seconds(options.claim_window, plan.claim_window),
        room_id: options.room,
        choice: options.choice,
        seed: options.seed,
        ..plan
    };
    if plan.lasts <= plan.spread {
        bail!("the people come within {} s: --duration must be longer", plan.spread.as_secs());
    }
    Ok(plan)
}

async fn make_accounts(desk: &Arc<Desk>, count: usize) -> Result<Vec<String>> {
    let mut progress = Progress::new();
    let one = |index: usize| {
        let desk = Arc::clone(desk);
        async move { make_account(&desk, index).await }
    };
    let made = in_parallel((0..count).collect(), WIDTH, one, |done| {
        progress.show(|| format!("Making accounts: {done} of {count}"));
    })
    .await;
    progress.end(&format!("Making accounts: {count} of {count}"));
    made.into_iter().collect()
}

/// The secret of the session of a new account, which signs in from an address of its own.
async fn make_account(desk: &Desk, index: usize) -> Result<String> {
    let email = format!("line-{:016x}-{index}@crowd.example", desk.run);
    let body = json!({ "name": format!("Person {index}"), "email": email, "password": PASSWORD });
    let anonymous = SignedInClient::new(desk, None).from(ConnectionChoice::Own(index));
    match anonymous.try_send("POST", "/users", Some(body)).await {
        RequestReply::Definite(answer) if answer.status < 300 => {}
        RequestReply::Definite(answer) => bail!("{email} cannot be registered: {} {}", answer.status, code(&answer)),
        RequestReply::None => bail!("{email} cannot be registered: no answer"),
    }
    let (_, session): (_, Session) =
        SignedInClient::sign_in(desk, &email, PASSWORD, ConnectionChoice::Own(index)).await?;
    Ok(session.session_token)
}
