//! Keeps a rehearsal small: its process steps back behind all others, ends with the one that started it, and takes no
//! more time and memory than it may.

use super::NewsReader;
use anyhow::Context as _;
use frontrow_domain::sale::RehearsalSetup;
use frontrow_service::rehearsal::machine;
use rustix::time::{ClockId, clock_gettime};
use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How much other processes come before this one: as much as the system knows.
const NICE: i32 = 19;
/// How long a rehearsal may take besides its sale: to make the copy, and to audit the books.
const SIDE_WORK_MAX: Duration = Duration::from_mins(7);
/// How often time and memory are looked at.
const TICK: Duration = Duration::from_millis(500);
/// The exit status of a process that ended itself early.
const CUT_SHORT: i32 = 3;

/// Lets every other process of the machine come first: for the processor, and, should memory run out, for what is left
/// of it. Threads that are started later do the same. A system that does not know of it goes on without.
pub fn step_back() {
    let _ = rustix::process::nice(NICE);
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// Watches this process until it is dropped.
#[derive(Debug)]
pub(super) struct RehearsalGuard(Arc<AtomicBool>);

impl RehearsalGuard {
    /// Ends the process once its time is over, it has more memory than the machine was asked for, or, if a server reads
    /// it, its standard input ends. The folder stays: other threads may still be writing into it. The server removes it,
    /// or the next rehearsal does.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn watch(setup: &RehearsalSetup, reader: NewsReader) -> anyhow::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Instant::now() + Duration::from_mins(u64::from(setup.minutes)) + SIDE_WORK_MAX;
        // Twice of what is asked for before it begins: that is an estimate.
        let memory_max = machine::memory_needed(setup.people).saturating_mul(2);
        let over = Arc::clone(&is_over);
        let look = move || {
            while !over.load(Ordering::Relaxed) {
                if Instant::now() >= until {
                    end("it took too long");
                }
                if memory_now().is_some_and(|memory| memory > memory_max) {
                    end("it took more memory than it may");
                }
                thread::sleep(TICK);
            }
        };
        thread::Builder::new().name("guard".to_owned()).spawn(look).context("no thread for the guard")?;
        if reader == NewsReader::Server {
            thread::Builder::new().name("input".to_owned()).spawn(ended_input).context("no thread for the input")?;
        }
        Ok(Self(is_over))
    }
}

impl Drop for RehearsalGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn ended_input() {
    // What comes is nothing; what counts is its end.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    end("it was stopped");
}

fn end(reason: &str) -> ! {
    eprintln!("frontrow: {reason}");
    std::process::exit(CUT_SHORT)
}

/// Processor time of this process, in microseconds.
pub(super) fn process_cpu() -> u64 {
    micros(ClockId::ProcessCPUTime)
}

/// Processor time of this thread, in microseconds.
pub(super) fn thread_cpu() -> u64 {
    micros(ClockId::ThreadCPUTime)
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let whole = u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000);
    whole.saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000)
}

/// Processor time of all processes of the machine, in microseconds; none where the system does not say.
pub(super) fn machine_cpu() -> Option<u64> {
    busy_in(&fs::read_to_string("/proc/stat").ok()?)
}

/// Linux counts in hundredths of a second for every program. Idle are the fourth and the fifth number.
fn busy_in(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|number| number.parse().ok()).take(8).collect();
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
    Some(ticks.iter().sum::<u64>().saturating_sub(idle).saturating_mul(10_000))
}

/// Memory in use, in bytes.
fn memory_now() -> Option<u64> {
    of_status("VmRSS:")
}

/// The most memory that was in use, in bytes.
pub(super) fn memory_peak() -> Option<u64> {
    of_status("VmHWM:")
}

fn of_status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use super::busy_in;

    #[test]
    fn a_machine_is_busy_with_all_but_idling() {
        let stat = "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 2 3 4\n";
        assert_eq!(busy_in(stat), Some((100 + 20 + 30 + 6 + 7 + 8) * 10_000));
        assert_eq!(busy_in("intr 1\n"), None);
    }
}
