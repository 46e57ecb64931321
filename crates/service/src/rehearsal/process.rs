//! The process of a rehearsal: started with a plan on its standard input, followed by the news on its standard output.
//! It ends as soon as its input is closed, so it does not outlive this process, however that ends.

use super::{
    BoxOffice, RehearsalEnd, RehearsalProgram, Rehearsals,
    plan::RehearsalPlan,
    report::{RehearsalNews, RehearsalReport},
    scratch,
};
use frontrow_clock::Ids;
use frontrow_domain::{
    sale::{Concert, ENDS_BEFORE},
    time::Time,
};
use std::{
    io::{self, BufRead as _, BufReader, Read, Write as _},
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Weak},
    thread,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

/// How long a rehearsal may take besides its sale: to make the copy, and to audit the books.
const SIDE_WORK_MAX: Duration = Duration::from_mins(8);
/// How long the process may take to end once its input is closed.
const END_MAX: Duration = Duration::from_secs(10);
/// How often it is checked whether the process has ended.
const END_TICK: Duration = Duration::from_millis(50);
/// How often it is checked whether a sale comes near.
const SALES_TICK: Duration = Duration::from_secs(2);
/// How many bytes of news are read.
const NEWS_LEN_MAX: u64 = 32 << 20;
/// How many lines of news may wait to be read.
const NEWS_WAITING_MAX: usize = 16;
/// How many bytes of its last words are kept.
const LAST_WORDS_MAX: usize = 1_000;
/// The variables that the process keeps: the settings of this server are not for it.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"];

/// How a rehearsal ended, as its process told it.
enum ProcessEnd {
    Done(Box<RehearsalReport>),
    Stopped,
    /// The sale of this concert came near.
    SaleNear(Arc<Concert>),
    /// It could not be run to its end; the text says why, for the log alone.
    Failed(String),
}

impl ProcessEnd {
    /// The end as operators are shown it. The log has the rest.
    fn logged(self, ids: &Ids, now: Time) -> RehearsalEnd {
        match self {
            Self::Done(report) => {
                tracing::info!(sold = report.sold, breaches = report.breaches, "a rehearsal ended");
                RehearsalEnd::Done(report)
            }
            Self::Stopped => {
                tracing::info!("a rehearsal was stopped");
                RehearsalEnd::Stopped
            }
            Self::SaleNear(concert) => {
                tracing::warn!(concert = concert.concert_id.get(), "a rehearsal was ended: a sale is near");
                RehearsalEnd::SaleNear(concert)
            }
            Self::Failed(reason) => {
                let id = ids.uuid(now);
                tracing::error!(%id, reason, "a rehearsal failed");
                RehearsalEnd::Failed(id)
            }
        }
    }
}

/// A process that runs, with what is read from it.
#[derive(Debug)]
pub(super) struct RehearsalProcess {
    child: Child,
    /// The scratch box office, which is removed after the end.
    folder: PathBuf,
    /// Closed to end it.
    input: ChildStdin,
    /// What it is given first.
    plan: Vec<u8>,
    news: mpsc::Receiver<RehearsalNews>,
    words: thread::JoinHandle<String>,
}

impl RehearsalProcess {
    /// Starts the program, which waits for its plan. Threads of their own read what it says.
    ///
    /// # Errors
    /// The program cannot be run.
    pub(super) fn start(program: &RehearsalProgram, plan: &RehearsalPlan) -> io::Result<Self> {
        let kept = KEPT_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(&program.program);
        command.args(["rehearse", "--news", "--plan", "-", "--scratch"]).arg(&program.folder).env_clear().envs(kept);
        // A signal to stop from a terminal is for this process, which ends the other one.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut plan = serde_json::to_vec(plan)?;
        plan.push(b'\n');
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the process has no pipes"));
        };
        let (told, news) = mpsc::channel(NEWS_WAITING_MAX);
        thread::Builder::new().name("rehearsal-news".to_owned()).spawn(move || read_news(output, &told))?;
        let words = thread::Builder::new().name("rehearsal-words".to_owned()).spawn(move || last_words(errors))?;
        Ok(Self { child, folder: program.folder.clone(), input, plan, news, words })
    }

    /// The number of the process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process without a plan, in the background.
    pub(super) fn send_away(mut self) {
        drop(self.input);
        tokio::spawn(async move { wait_for_end(&mut self.child).await });
    }

    /// Gives the process its plan and follows it to its end, in the background. The box office may end before.
    pub(super) fn follow(self, office: &Arc<BoxOffice>, minutes: u32, stopped: watch::Receiver<bool>) {
        let (rehearsals, clock, ids) = (Arc::clone(&office.rehearsals), office.clock.clone(), office.ids.clone());
        let office = Arc::downgrade(office);
        let until = Instant::now() + Duration::from_mins(u64::from(minutes)) + SIDE_WORK_MAX;
        tokio::spawn(async move {
            let ending = self.followed(office, &rehearsals, until, stopped).await;
            let now = clock.now();
            rehearsals.end(ending.logged(&ids, now), now);
        });
    }

    /// How it ended.
    async fn followed(
        self,
        office: Weak<BoxOffice>,
        rehearsals: &Rehearsals,
        until: Instant,
        mut stopped: watch::Receiver<bool>,
    ) -> ProcessEnd {
        let Self { mut child, folder, input, plan, mut news, words } = self;
        let (close, closed) = watch::channel(false);
        tokio::spawn(hold(input, plan, closed));
        let near = sale_near(office);
        tokio::pin!(near);
        let mut end = None;
        loop {
            tokio::select! {
                news = news.recv() => match news {
                    Some(RehearsalNews::Progress(progress)) => rehearsals.note(progress),
                    Some(RehearsalNews::Done(report)) => end = Some(ProcessEnd::Done(report)),
                    Some(RehearsalNews::Failed(reason)) => end = Some(ProcessEnd::Failed(reason)),
                    None => break,
                },
                // The sender lives as long as the rehearsal has its place.
                Ok(()) = stopped.changed() => {
                    end = Some(ProcessEnd::Stopped);
                    break;
                }
                near = &mut near => {
                    end = Some(near.map_or(ProcessEnd::Stopped, |concert| ProcessEnd::SaleNear(Arc::new(concert))));
                    break;
                }
                () = sleep_until(until) => {
                    end = Some(ProcessEnd::Failed("it took too long".to_owned()));
                    break;
                }
            }
        }
        let _ = close.send(true);
        wait_for_end(&mut child).await;
        let _ = tokio::task::spawn_blocking(move || scratch::sweep(&folder)).await;
        if let Some(end) = end {
            return end;
        }
        let words = tokio::task::spawn_blocking(|| words.join()).await;
        let words = words.ok().and_then(Result::ok).filter(|words| !words.is_empty());
        ProcessEnd::Failed(words.unwrap_or_else(|| "it ended without a word".to_owned()))
    }
}

/// Gives the process its plan, then keeps its input open until `closed` turns true or its sender is gone.
async fn hold(mut input: ChildStdin, plan: Vec<u8>, mut closed: watch::Receiver<bool>) {
    let given = tokio::task::spawn_blocking(move || input.write_all(&plan).map(|()| input)).await;
    // A process that does not take its plan has ended.
    if let Ok(Ok(input)) = given {
        let _ = closed.wait_for(|closed| *closed).await;
        drop(input);
    }
}

fn read_news(output: ChildStdout, told: &mpsc::Sender<RehearsalNews>) {
    for line in BufReader::new(output.take(NEWS_LEN_MAX)).lines() {
        let Some(news) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { return };
        if told.blocking_send(news).is_err() {
            return;
        }
    }
}

/// Waits for the end of a process whose input is closed; if it does not come, the process is killed.
async fn wait_for_end(child: &mut Child) {
    let last = Instant::now() + END_MAX;
    while Instant::now() < last {
        match child.try_wait() {
            Ok(None) => sleep(END_TICK).await,
            Ok(Some(_)) | Err(_) => return,
        }
    }
    tracing::warn!(process = child.id(), "a rehearsal did not end by itself: it is killed");
    // A killed process ends at once.
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::error!(%error, "a rehearsal cannot be killed");
    }
}

/// Returns once a sale comes near; with none if the box office has ended.
async fn sale_near(office: Weak<BoxOffice>) -> Option<Concert> {
    loop {
        sleep(SALES_TICK).await;
        // While the database cannot be read nothing is sold.
        if let Ok(Some(concert)) = office.upgrade()?.sale_within(ENDS_BEFORE).await {
            return Some(concert);
        }
    }
}

/// Reads what the process says of itself to its end. Returns the last line of it.
fn last_words(mut errors: ChildStderr) -> String {
    let mut last = Vec::new();
    let mut part = [0; 1_024];
    while let Ok(read @ 1..) = errors.read(&mut part) {
        last.extend(part.iter().take(read));
        let beyond = last.len().saturating_sub(LAST_WORDS_MAX);
        last.drain(..beyond);
    }
    String::from_utf8_lossy(&last).lines().last().unwrap_or_default().trim().to_owned()
}
