//! The usual way from many callers at once.

use anyhow::{Result, anyhow};
use frontrow_clock::Ids;
use frontrow_domain::{
    command::Idempotency,
    id::{ReservationId, SeatId},
};
use frontrow_testkit::bench::{
    Rates,
    baseline::{Baseline, SendMode},
    office::{self, Plan},
    per_second,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::task::JoinSet;

/// Its configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// Connections in the pool.
    pub(crate) connections: usize,
    /// Callers that each wait for their answer before they ask again.
    pub(crate) callers: usize,
    /// The way in which statements are sent.
    pub(crate) pace: SendMode,
}

/// Holds and payments per second of the buyers with these numbers, who want the seats of the same numbers.
///
/// # Errors
/// The server is gone, or a request was refused.
pub(crate) async fn run(url: &str, plan: Plan, buyers: &[i64], setup: Setup) -> Result<Rates> {
    let way = Baseline::connect(url, setup.connections, setup.pace)?;
    // The connections are there and the statements prepared before the clock runs.
    let warm: Vec<_> = buyers.iter().rev().take(setup.connections * 4).copied().collect();
    hold_all(&way, plan, &Arc::from(warm.as_slice()), setup.callers, 1).await?;
    let buyers: Arc<[i64]> = buyers.iter().take(buyers.len().saturating_sub(warm.len())).copied().collect();
    let started = Instant::now();
    let reservations = hold_all(&way, plan, &buyers, setup.callers, 2).await?;
    let holds = per_second(buyers.len(), started.elapsed());
    let started = Instant::now();
    pay_all(&way, plan, &reservations.into(), setup.callers).await?;
    Ok(Rates { holds, payments: per_second(buyers.len(), started.elapsed()) })
}

/// The reservations, each with its buyer.
async fn hold_all(
    way: &Baseline,
    plan: Plan,
    buyers: &Arc<[i64]>,
    callers: usize,
    seed: u64,
) -> Result<Vec<(i64, ReservationId)>> {
    let (ids, next) = (Ids::from_seed(seed), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (way, buyers, ids, next) = (way.clone(), Arc::clone(buyers), ids.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut held = Vec::new();
            while let Some(buyer) = buyers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let key = Idempotency { key: ids.secret(), fingerprint: ids.secret() };
                let (user, token) = (office::user_id(*buyer), office::token_id(plan, *buyer));
                let answer = way.hold(user, token, SeatId::new(*buyer), key).await;
                let answer = answer.map_err(|stop| anyhow!("a hold was stopped: {stop}"))?;
                let answer: serde_json::Value = serde_json::from_str(&answer)?;
                held.push((*buyer, ReservationId::new(answer["reservation_id"].as_i64().unwrap_or_default())));
            }
            anyhow::Ok(held)
        });
    }
    let mut all = Vec::new();
    while let Some(held) = tasks.join_next().await {
        all.extend(held??);
    }
    Ok(all)
}

async fn pay_all(way: &Baseline, plan: Plan, reservations: &Arc<[(i64, ReservationId)]>, callers: usize) -> Result<()> {
    let (ids, next) = (Ids::from_seed(9), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (way, reservations, ids, next) = (way.clone(), Arc::clone(reservations), ids.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            while let Some((buyer, reservation)) = reservations.get(next.fetch_add(1, Ordering::Relaxed)) {
                let key = Idempotency { key: ids.secret(), fingerprint: ids.secret() };
                let (user, token) = (office::user_id(*buyer), office::token_id(plan, *buyer));
                let answer = way.pay(user, token, *reservation, key).await;
                answer.map_err(|stop| anyhow!("a payment was stopped: {stop}"))?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(paid) = tasks.join_next().await {
        paid??;
    }
    Ok(())
}
