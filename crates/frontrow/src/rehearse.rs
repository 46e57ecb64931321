//! A rehearsal: a whole box office in a scratch folder, a copy of a concert in it, and a crowd over HTTP. Nothing of it
//! knows of the real box office but the plan.

mod guard;
mod settings;
mod summary;

use crate::{
    app,
    config::{Config, Database, RehearseOptions},
};
use anyhow::{Context as _, bail};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    id::ConcertId,
    line::{Forecast, SalePace},
    sale::{CLEAR_BEFORE, Concert, RehearsalSetup},
    time::Span,
};
use frontrow_rush::{CrowdFigures, CrowdNews, Quantiles, RehearsalCrowd, RehearsedBuyer};
use frontrow_service::{
    office::BoxOffice,
    rehearsal::{
        plan::{PLAN_LEN_MAX, RehearsalPlan},
        report::{
            RehearsalNews, RehearsalPhase, RehearsalProgress, RehearsalReport, RehearsedSecond, SaleRest, SellOut,
            TimeSpread,
        },
        scratch,
        stage::{self, CrowdAccount},
    },
};
use frontrow_web::edge::listener;
use guard::RehearsalGuard;
use std::{
    fs::File,
    io::{self, BufRead as _, Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

pub use guard::step_back;

/// Time for the copy to be made after its opening is set, in seconds.
const SETTING_UP_SECONDS: i64 = 3;
/// The window at the end of a sale from which its rest is forecast, in seconds.
const WINDOW_SECONDS: usize = 60;

/// The reader of a rehearsal's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewsReader {
    /// A person, who gets a summary.
    Person,
    /// A server, which gets news and closes the input to end it.
    Server,
}

impl NewsReader {
    /// Writes a line of news. If nothing reads it any more, the process ends by its input.
    fn tell(self, news: &RehearsalNews) {
        if self == Self::Server
            && let Ok(line) = serde_json::to_string(news)
        {
            let mut output = io::stdout().lock();
            let _ = writeln!(output, "{line}");
            let _ = output.flush();
        }
    }
}

/// Where the scratch box office of a rehearsal is: beside a database file, else in the system's folder for such, under a
/// name of this user's own.
#[must_use]
pub fn scratch_folder(config: &Config) -> PathBuf {
    match config.database() {
        Database::Sqlite(_) => config.data.join("rehearsal"),
        Database::Postgres(_) => {
            std::env::temp_dir().join(format!("frontrow-rehearsal-{}", rustix::process::geteuid().as_raw()))
        }
    }
}

/// Runs a rehearsal, and writes its report.
///
/// # Errors
/// The plan cannot be read or is not valid, a sale is near, another rehearsal runs, or the box office failed.
pub async fn run(config: &Config, options: &RehearseOptions) -> anyhow::Result<()> {
    let reader = if options.news { NewsReader::Server } else { NewsReader::Person };
    let result = rehearse(config, options, reader).await;
    if let Err(error) = &result {
        reader.tell(&RehearsalNews::Failed(format!("{error:#}")));
    }
    result
}

async fn rehearse(config: &Config, options: &RehearseOptions, reader: NewsReader) -> anyhow::Result<()> {
    let mut plan = match (&options.plan, options.concert) {
        (Some(file), _) => read_plan(file)?,
        (None, Some(concert_id)) => plan_of(config, concert_id).await?,
        (None, None) => bail!("--concert or --plan is missing"),
    };
    plan.setup = options.applied_to(plan.setup);
    let folder = options.scratch.clone().unwrap_or_else(|| scratch_folder(config));
    let scratch_config = settings::of_scratch(config, &folder, &plan.rules);
    scratch_config.validate()?;
    check(&plan.setup, &scratch_config)?;
    let scratch = scratch::take(&folder)?;
    let guard = RehearsalGuard::watch(&plan.setup, reader)?;
    let report = in_scratch(&scratch_config, &plan, reader).await;
    drop(guard);
    scratch.remove().with_context(|| format!("{} cannot be removed", folder.display()))?;
    let report = report?;
    if let Some(path) = &options.report {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
    }
    match reader {
        NewsReader::Person => println!("{}", summary::of(&plan, &report)),
        NewsReader::Server => reader.tell(&RehearsalNews::Done(Box::new(report))),
    }
    Ok(())
}

fn check(setup: &RehearsalSetup, config: &Config) -> anyhow::Result<()> {
    let policy = config.policy();
    if let Some(field) = setup.out_of_bounds(&policy) {
        let bounds = field.bounds(&policy);
        bail!("{} must be from {} to {}", field.name(), bounds.start(), bounds.end());
    }
    Ok(())
}

/// Reads a plan from a file, or from the first line of standard input: the rest of that says when to end.
fn read_plan(file: &Path) -> anyhow::Result<RehearsalPlan> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().lock().take(PLAN_LEN_MAX).read_line(&mut text).context("cannot read the plan")?;
    } else {
        let cannot_read = || format!("cannot read {}", file.display());
        File::open(file)
            .with_context(cannot_read)?
            .take(PLAN_LEN_MAX)
            .read_to_string(&mut text)
            .with_context(cannot_read)?;
    }
    serde_json::from_str(&text).context("this is not a plan of a rehearsal")
}

/// The plan for a concert of the configured box office, which is only read.
async fn plan_of(config: &Config, concert_id: i64) -> anyhow::Result<RehearsalPlan> {
    let concert_id = ConcertId::try_from(concert_id).map_err(anyhow::Error::msg)?;
    app::check_beside(config)?;
    let opened = app::open_for_tool(config, Clock::System, Ids::from_os()).await?;
    let plan = checked_plan(&opened.app.office, concert_id).await;
    app::close(opened).await;
    plan
}

async fn checked_plan(office: &BoxOffice, concert_id: ConcertId) -> anyhow::Result<RehearsalPlan> {
    if let Some(near) = office.sale_within(CLEAR_BEFORE).await? {
        bail!(
            "the sale of concert {}, {}, is open or opens soon: rehearse when none is, or on another machine",
            near.concert_id,
            near.title
        );
    }
    Ok(office.rehearsal_plan(concert_id, None).await?)
}

/// Opens the scratch box office, lets the crowd come, and closes it.
async fn in_scratch(config: &Config, plan: &RehearsalPlan, reader: NewsReader) -> anyhow::Result<RehearsalReport> {
    let opened = app::open(config, Clock::System, Ids::from_os()).await?;
    let office = Arc::clone(&opened.app.office);
    let socket = listener::bind(config.listen)?;
    let address = socket.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let settings = config.clone();
    let server = tokio::spawn(async move { app::serve(opened, &settings, socket, stopped).await });
    let report = sell(&office, address, plan, reader).await;
    drop(office);
    let _ = stop.send(true);
    server.await??;
    report
}

/// Makes the copy and the crowd, and lets it come.
async fn sell(
    office: &Arc<BoxOffice>,
    address: SocketAddr,
    plan: &RehearsalPlan,
    reader: NewsReader,
) -> anyhow::Result<RehearsalReport> {
    reader.tell(&RehearsalNews::Progress(RehearsalProgress::default()));
    let setup = plan.setup;
    let points = plan.points_each();
    let operator = stage::operator(office).await?;
    let people = stage::crowd(office, setup.people, points).await?;
    let lead = Span::from_micros(office.policy().offer_lead.micros().max(0));
    let opens_at = office.now().plus(lead).plus(Span::from_secs(SETTING_UP_SECONDS));
    let concert = stage::make_copy(office, plan, opens_at).await?;
    let seats = stage::seats_for_sale(office, concert.concert_id).await?;
    // Many seats may take longer than was set aside: then the sale is open already.
    let until_opening = Duration::from_micros(u64::try_from(opens_at.since(office.now()).micros().max(0))?);
    let dormant_after = Duration::from_secs(u64::from(plan.rules.dormant_after_seconds));
    let crowd = RehearsalCrowd {
        address,
        operator_session: operator.session,
        concert_id: concert.concert_id.get(),
        buyers: people.into_iter().map(|account| buyer(account, points.get())).collect(),
        arrive_within: Duration::from_secs(u64::from(setup.arrive_minutes) * 60),
        visit: Duration::from_secs(u64::from(setup.visit_seconds)),
        give_up: f64::from(setup.give_up_percent) / 100.0,
        seats_each: 1..=usize::try_from(setup.seats_each)?,
        lasts: Duration::from_secs(u64::from(setup.minutes) * 60),
        // Less than the setting: what the crowd calls silence begins a little before what the server does.
        dormant_after: dormant_after.mul_f64(0.9),
    };
    let (figures, cost) = on_its_own_thread(crowd, until_opening, reader).await?;
    report(office, &concert, (plan, seats), figures, cost).await
}

fn buyer(account: CrowdAccount, balance: i64) -> RehearsedBuyer {
    RehearsedBuyer { user_id: account.user_id.to_string(), session: account.session, balance }
}

/// What a rehearsed sale cost, in microseconds of processor time.
#[derive(Debug, Clone, Copy, Default)]
struct SaleCost {
    began: Option<CpuTimes>,
    used: CpuTimes,
}

/// Processor time of this process, of the crowd's thread in it, and of the whole machine.
#[derive(Debug, Clone, Copy, Default)]
struct CpuTimes {
    process: u64,
    crowd: u64,
    machine: Option<u64>,
}

impl SaleCost {
    /// Counts up to now. Called on the crowd's thread.
    fn count(&mut self) {
        let (process, crowd, machine) = (guard::process_cpu(), guard::thread_cpu(), guard::machine_cpu());
        let began = *self.began.get_or_insert(CpuTimes { process, crowd, machine });
        self.used = CpuTimes {
            process: process.saturating_sub(began.process),
            crowd: crowd.saturating_sub(began.crowd),
            machine: machine.zip(began.machine).map(|(now, before)| now.saturating_sub(before)),
        };
    }
}

/// Lets the crowd come on a thread of its own, so that its processor time is known apart from the server's.
async fn on_its_own_thread(
    crowd: RehearsalCrowd,
    until_opening: Duration,
    reader: NewsReader,
) -> anyhow::Result<(CrowdFigures, SaleCost)> {
    let cost = Arc::new(Mutex::new(SaleCost::default()));
    let counted = Arc::clone(&cost);
    let come = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            tokio::time::sleep(until_opening).await;
            let onlooker = onlooker(counted, reader);
            let interrupted = async { drop(tokio::signal::ctrl_c().await) };
            frontrow_rush::rehearse(crowd, onlooker, interrupted).await
        })
    };
    let figures = tokio::task::spawn_blocking(come).await??;
    let cost = *cost.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((figures, cost))
}

/// Counts what the sale costs, and tells how it goes once a second.
fn onlooker(cost: Arc<Mutex<SaleCost>>, reader: NewsReader) -> frontrow_rush::Onlooker {
    let last = Mutex::new(RehearsalProgress { phase: RehearsalPhase::Selling, ..RehearsalProgress::default() });
    let before = Mutex::new((0, 0));
    Box::new(move |seen| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            CrowdNews::Moment(moment) => {
                cost.lock().unwrap_or_else(PoisonError::into_inner).count();
                let second = moment.at / 1_000_000;
                let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
                if second == last.seconds && second > 0 {
                    return;
                }
                let (asked, at) = std::mem::replace(&mut *before, (moment.requests, moment.at));
                let passed = moment.at.saturating_sub(at).max(1);
                *last = RehearsalProgress {
                    phase: RehearsalPhase::Selling,
                    seconds: second,
                    came: moment.came,
                    waiting: moment.waiting,
                    active: moment.active,
                    available: moment.available,
                    held: moment.held,
                    sold: moment.sold,
                    requests: moment.requests.saturating_sub(asked).saturating_mul(1_000_000) / passed,
                };
            }
            CrowdNews::Over => last.phase = RehearsalPhase::Auditing,
        }
        reader.tell(&RehearsalNews::Progress(*last));
    })
}

async fn report(
    office: &BoxOffice,
    copy: &Concert,
    (plan, seats): (&RehearsalPlan, u64),
    figures: CrowdFigures,
    cost: SaleCost,
) -> anyhow::Result<RehearsalReport> {
    let people = u64::from(plan.setup.people);
    let to_come = people.saturating_sub(figures.came);
    let seen = figures.seconds.last().copied().unwrap_or_default();
    let waiting = seen.waiting.saturating_add_unsigned(to_come);
    let lasted = Duration::from_secs(u64::from(plan.setup.minutes) * 60);
    let is_cut = Duration::from_micros(figures.took) >= lasted;
    let rest = match figures.sold_out_after {
        Some(after) => SaleRest { sold_out: SellOut::Measured { after }, line_empty: None, reach_ppm: None },
        None if !is_cut => SaleRest { sold_out: SellOut::Never, line_empty: None, reach_ppm: None },
        None => {
            let room = office.room(copy.room_id).await?.room;
            let pace = pace(&figures, waiting);
            SaleRest::of(figures.took, Forecast::of(&room, copy, &pace, office.now()))
        }
    };
    let could_buy_ppm = could_buy(&figures, &rest, waiting, people);
    let seconds = figures.seconds.iter().map(|second| RehearsedSecond {
        requests: second.requests,
        admitted: second.admitted,
        sold: second.sold,
        waiting: second.waiting,
        active: second.active,
    });
    Ok(RehearsalReport {
        setup: plan.setup,
        finished_at: office.now(),
        took: figures.took,
        seats,
        available: figures.available,
        held: figures.held,
        sold: figures.sold,
        came: figures.came,
        bought: figures.bought,
        waiting: seen.waiting,
        sold_out: rest.sold_out,
        line_empty: rest.line_empty,
        could_buy_ppm,
        wait: spread(figures.waits),
        latency: spread(figures.latency),
        requests: figures.seconds.iter().map(|second| second.requests).sum(),
        busiest: figures.seconds.iter().map(|second| second.requests).max().unwrap_or(0),
        errors: figures.errors,
        server_cpu: cost.used.process.saturating_sub(cost.used.crowd),
        crowd_cpu: cost.used.crowd,
        other_cpu: cost.used.machine.map(|machine| machine.saturating_sub(cost.used.process)),
        cores: std::thread::available_parallelism().map_or(1, |cores| u64::try_from(cores.get()).unwrap_or(1)),
        memory: guard::memory_peak(),
        breaches: figures.breaches,
        breaches_shown: figures.breaches_shown.clone(),
        seconds: seconds.collect(),
    })
}

/// The pace of a sale over its last minute. Those who are still to come join the line at its end: a crowd is finite, so
/// the joins of the window say nothing of what follows.
fn pace(figures: &CrowdFigures, waiting: i64) -> SalePace {
    let seconds = &figures.seconds;
    let from = seconds.len().saturating_sub(WINDOW_SECONDS);
    let window = seconds.get(from..).unwrap_or_default();
    let sum = |of: fn(&frontrow_rush::CrowdSecond) -> u64| -> i64 {
        window.iter().map(of).fold(0, i64::saturating_add_unsigned)
    };
    let active = |second: Option<&frontrow_rush::CrowdSecond>| second.map_or(0, |second| second.active);
    SalePace {
        window: Span::from_secs(i64::try_from(window.len()).unwrap_or(0)),
        active_before: active(from.checked_sub(1).and_then(|before| seconds.get(before))),
        active: active(window.last()),
        admitted: sum(|second| second.admitted),
        joined: 0,
        sold: sum(|second| second.sold),
        waiting,
        unsold: i64::try_from(figures.available.saturating_add(figures.held)).unwrap_or(i64::MAX),
    }
}

/// The share of all people that could buy, in millionths, with those who will by the forecast.
fn could_buy(figures: &CrowdFigures, rest: &SaleRest, waiting: i64, people: u64) -> Option<i64> {
    let later = match rest.sold_out {
        SellOut::Measured { .. } | SellOut::Never if rest.reach_ppm.is_none() => 0,
        SellOut::TooShort => return None,
        _ => waiting.saturating_mul(rest.reach_ppm.unwrap_or(0)) / 1_000_000,
    };
    let bought = i64::try_from(figures.bought).ok()?.saturating_add(later);
    let people = i64::try_from(people).ok().filter(|people| *people > 0)?;
    Some(bought.min(people).saturating_mul(1_000_000) / people)
}

const fn spread(quantiles: Quantiles) -> TimeSpread {
    let Quantiles { count, p50, p90, p99, longest } = quantiles;
    TimeSpread { count, p50, p90, p99, longest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        id::RoomId,
        line::{ForecastUnknown, Room},
        time::Time,
    };
    use frontrow_rush::CrowdSecond;

    /// Two minutes in which 100 were active; in each second two visits ended and sold one seat.
    fn figures() -> CrowdFigures {
        let second = CrowdSecond { requests: 50, admitted: 2, sold: 1, waiting: 900, active: 100 };
        CrowdFigures {
            took: 120_000_000,
            came: 1_000,
            bought: 100,
            available: 170,
            held: 10,
            sold: 120,
            seconds: vec![second; 120],
            ..CrowdFigures::default()
        }
    }

    #[test]
    fn the_pace_of_a_sale_is_that_of_its_last_minute() {
        let mut figures = figures();
        for second in figures.seconds.iter_mut().take(60) {
            *second = CrowdSecond { active: 40, ..CrowdSecond::default() };
        }
        let pace = pace(&figures, 950);
        assert_eq!((pace.window, pace.active_before, pace.active), (Span::from_secs(60), 40, 100));
        assert_eq!((pace.admitted, pace.sold, pace.joined), (120, 60, 0));
        assert_eq!((pace.waiting, pace.unsold), (950, 180));
        let none = super::pace(&CrowdFigures::default(), 0);
        assert_eq!((none.window, none.admitted), (Span::ZERO, 0));
    }

    #[test]
    fn the_rest_of_a_sale_follows_from_its_pace_and_counts_from_the_opening() {
        let figures = figures();
        let pace = pace(&figures, 900);
        let room = Room::new(RoomId::HOUSE, 100, Time::default());
        assert_eq!((pace.visits(), room.max_active), (120, 100));
        // 180 seats at one a second.
        let in_three_minutes =
            Forecast { sold_out_in: Some(Span::from_secs(180)), line_empty_in: None, reach_ppm: Some(290_000) };
        let rest = SaleRest::of(figures.took, Ok(in_three_minutes));
        assert_eq!(rest.sold_out, SellOut::Forecast { after: 300_000_000 });
        // 100 bought, and 29 of a hundred of the 900 who wait will.
        assert_eq!(could_buy(&figures, &rest, 900, 1_000), Some(361_000));
        let unknown = SaleRest::of(figures.took, Err(ForecastUnknown::Measuring));
        assert_eq!((unknown.sold_out, could_buy(&figures, &unknown, 900, 1_000)), (SellOut::TooShort, None));
        let over = SaleRest { sold_out: SellOut::Measured { after: 1 }, line_empty: None, reach_ppm: None };
        assert_eq!(could_buy(&figures, &over, 900, 1_000), Some(100_000));
        assert_eq!(could_buy(&figures, &over, 0, 0), None, "no share of no people");
    }
}
