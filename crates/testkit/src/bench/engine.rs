//! The store itself: batches given to it as they are, and batches that the engine forms from many callers.

use super::{
    Rates,
    office::{self, Plan},
    per_second,
};
use anyhow::{Context as _, Result, anyhow, bail};
use async_trait::async_trait;
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    changes::Changes,
    command::{Answer, Command, Idempotency, Outcome, Request},
    decide::decide_all,
    id::{ReservationId, SeatId},
    policy::Policy,
    time::Span,
    user::Caller,
};
use frontrow_service::{
    metrics::Metrics,
    testing::{CommitObserver, Engine, EngineLimits},
};
use frontrow_storage::{
    Store,
    postgres::{PostgresSettings, PostgresStore},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::task::JoinSet;

/// Longer than the benchmark takes: the buyers were admitted when the template was made.
const ACTIVE_LIMIT: Span = Span::from_secs(86_400);
/// Longer than the tokens of the template live: each hold changes its token, as in a sale whose tokens live for
/// minutes.
const IDLE_LIMIT: Span = Span::from_secs(7_200);

/// Opens the box office with so many lanes.
///
/// # Errors
/// The server is gone.
pub async fn open(url: &str, lanes: usize) -> Result<PostgresStore> {
    let settings = PostgresSettings { lanes, ..PostgresSettings::new(url) };
    let policy = Policy { active_limit: ACTIVE_LIMIT, idle_limit: IDLE_LIMIT, ..Policy::default() };
    Ok(PostgresStore::open(&settings, Clock::System, policy, 1_000_000).await?)
}

fn request(plan: Plan, buyer: i64, ids: &Ids, what: What) -> Request {
    let token = office::token_id(plan, buyer);
    let command = match what {
        What::Hold => Command::Hold { token, seat_ids: vec![SeatId::new(buyer)] },
        What::Pay(reservation) => Command::Pay { token, reservation_ids: vec![reservation] },
    };
    let idempotency = Some(Idempotency { key: ids.secret(), fingerprint: ids.secret() });
    Request { caller: Caller::Buyer(office::user_id(buyer)), command, idempotency }
}

#[derive(Clone, Copy)]
enum What {
    Hold,
    Pay(ReservationId),
}

fn reservation_of(answer: &Answer) -> Result<ReservationId> {
    match &answer.decision {
        Ok(Outcome::Held(reservations)) => Ok(reservations.first().context("no reservation")?.reservation_id),
        other => bail!("a hold was answered with {other:?}"),
    }
}

fn must_be_paid(answer: &Answer) -> Result<()> {
    match &answer.decision {
        Ok(Outcome::Paid(_)) => Ok(()),
        other => bail!("a payment was answered with {other:?}"),
    }
}

/// Holds and payments per second of the buyers with these numbers, in batches of `batch`, one after the other.
///
/// # Errors
/// The server is gone, or a request was refused.
pub async fn batches(url: &str, plan: Plan, buyers: &[i64], batch: usize) -> Result<Rates> {
    let store = open(url, 1).await?;
    let ids = Ids::from_seed(5);
    let (warm, buyers) = buyers.split_at(batch.min(buyers.len() / 2));
    let of = |chunk: &[(i64, What)]| -> Arc<[Request]> {
        chunk.iter().map(|(buyer, what)| request(plan, *buyer, &ids, *what)).collect()
    };
    let holds = |buyers: &[i64]| -> Vec<Arc<[Request]>> {
        let holds: Vec<_> = buyers.iter().map(|buyer| (*buyer, What::Hold)).collect();
        holds.chunks(batch).map(of).collect()
    };
    run(&store, &holds(warm)).await?;
    let given = holds(buyers);
    let started = Instant::now();
    let answers = run(&store, &given).await?;
    let held = per_second(buyers.len(), started.elapsed());
    let mut paying = Vec::with_capacity(buyers.len());
    for (buyer, answer) in buyers.iter().zip(&answers) {
        paying.push((*buyer, What::Pay(reservation_of(answer)?)));
    }
    let given: Vec<_> = paying.chunks(batch).map(of).collect();
    let started = Instant::now();
    let answers = run(&store, &given).await?;
    let paid = per_second(buyers.len(), started.elapsed());
    answers.iter().try_for_each(must_be_paid)?;
    store.shutdown().await?;
    Ok(Rates { holds: held, payments: paid })
}

async fn run(store: &PostgresStore, batches: &[Arc<[Request]>]) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for batch in batches {
        answers.extend(store.transact(Arc::clone(batch), decide_all).await?.answers);
    }
    Ok(answers)
}

/// An instance without HTTP: the engine over a store.
pub struct EngineInstance {
    engine: Arc<Engine>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// Nothing is kept in memory here.
struct Anonymous;

#[async_trait]
impl CommitObserver for Anonymous {
    fn committed(&self, _: &Changes) {}

    async fn catch_up(&self) -> Result<()> {
        Ok(())
    }
}

impl EngineInstance {
    /// Opens the box office with so many lanes.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn open(url: &str, lanes: usize) -> Result<Self> {
        let store: Arc<dyn Store> = Arc::new(open(url, lanes).await?);
        let limits = EngineLimits { queue_len: 65_536, batch_max: 500, lanes };
        let (engine, threads) =
            Engine::start(&store, limits, Arc::new(Metrics::new()), &(Arc::new(Anonymous) as Arc<dyn CommitObserver>))?;
        Ok(Self { engine: Arc::new(engine), threads })
    }

    /// Holds and payments per second of the buyers with these numbers, from so many callers that each wait for their
    /// answer before they ask again.
    ///
    /// # Errors
    /// The server is gone, or a request was refused.
    pub async fn sell(&self, plan: Plan, buyers: &[i64], callers: usize) -> Result<Rates> {
        let (warm, buyers) = buyers.split_at(1_000.min(buyers.len() / 2));
        let hold = |buyers: &[i64]| buyers.iter().map(|buyer| (*buyer, What::Hold)).collect::<Vec<_>>();
        self.all(plan, hold(warm), callers, 6).await?;
        let given = hold(buyers);
        let started = Instant::now();
        let answers = self.all(plan, given, callers, 7).await?;
        let holds = per_second(buyers.len(), started.elapsed());
        let mut paying = Vec::with_capacity(answers.len());
        for (buyer, answer) in &answers {
            paying.push((*buyer, What::Pay(reservation_of(answer)?)));
        }
        let started = Instant::now();
        let paid = self.all(plan, paying, callers, 8).await?;
        let payments = per_second(buyers.len(), started.elapsed());
        paid.iter().try_for_each(|(_, answer)| must_be_paid(answer))?;
        Ok(Rates { holds, payments })
    }

    async fn all(&self, plan: Plan, given: Vec<(i64, What)>, callers: usize, seed: u64) -> Result<Vec<(i64, Answer)>> {
        let (given, next): (Arc<[(i64, What)]>, _) = (given.into(), Arc::new(AtomicUsize::new(0)));
        // Instances beside each other must not use the same keys.
        let first = given.first().map_or(0, |(buyer, _)| buyer.unsigned_abs());
        let ids = Ids::from_seed(seed + 10 * first);
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (engine, given) = (Arc::clone(&self.engine), Arc::clone(&given));
            let (next, ids) = (Arc::clone(&next), ids.clone());
            tasks.spawn(async move {
                let mut answers = Vec::new();
                while let Some((buyer, what)) = given.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = engine.run(request(plan, *buyer, &ids, *what)).await;
                    answers.push((*buyer, answer.map_err(|fault| anyhow!("a command failed: {fault}"))?));
                }
                anyhow::Ok(answers)
            });
        }
        let mut all = Vec::with_capacity(given.len());
        while let Some(answers) = tasks.join_next().await {
            all.extend(answers??);
        }
        Ok(all)
    }

    /// Gives every one of these from so many callers at once; all must be done. How many a second.
    ///
    /// # Errors
    /// The server is gone, or one was refused.
    pub async fn give(&self, commands: Vec<(Caller, Command)>, callers: usize) -> Result<f64> {
        let (commands, next) = (Arc::<[(Caller, Command)]>::from(commands), Arc::new(AtomicUsize::new(0)));
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (engine, commands, next) = (Arc::clone(&self.engine), Arc::clone(&commands), Arc::clone(&next));
            tasks.spawn(async move {
                while let Some((caller, command)) = commands.get(next.fetch_add(1, Ordering::Relaxed)).cloned() {
                    let answer = engine.run(Request { caller, command, idempotency: None }).await;
                    let answer = answer.map_err(|fault| anyhow!("a command failed: {fault}"))?;
                    answer.decision.map_err(|refusal| anyhow!("a command was refused: {refusal:?}"))?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(per_second(commands.len(), started.elapsed()))
    }

    /// Ends its threads.
    ///
    /// # Errors
    /// A thread panicked.
    pub async fn close(self) -> Result<()> {
        drop(self.engine);
        let threads = self.threads;
        tokio::task::spawn_blocking(move || {
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a lane panicked")))
        })
        .await?
    }
}
