//! The process's own figures, under the usual names of Prometheus exporters. They are read from `/proc` at each scrape;
//! without `/proc` there are none.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use std::{fmt, fs};

/// Linux counts a process's time in hundredths of a second for every program, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the figures for each scrape.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(Figures { cpu_seconds, start_seconds, resident, size, threads, open_files, max_files }) =
            Figures::read()
        else {
            return Ok(());
        };
        let seconds = Some(&Unit::Seconds);
        ConstCounter::new(cpu_seconds).encode(encoder.encode_descriptor(
            "process_cpu",
            "Processor time of the process, its own and the system's for it.",
            seconds,
            MetricType::Counter,
        )?)?;
        let mut gauge = |name, help, unit: Option<&Unit>, value: f64| {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)
        };
        gauge("process_start_time", "When the process started, since 1970.", seconds, start_seconds)?;
        gauge("process_resident_memory", "Memory in use.", Some(&Unit::Bytes), resident)?;
        gauge("process_virtual_memory", "Memory that is set aside.", Some(&Unit::Bytes), size)?;
        gauge("process_threads", "Threads.", None, threads)?;
        gauge("process_open_fds", "Open files, among them connections.", None, open_files)?;
        gauge("process_max_fds", "How many files may be open.", None, max_files)
    }
}

#[derive(Debug, PartialEq)]
struct Figures {
    cpu_seconds: f64,
    start_seconds: f64,
    /// In bytes.
    resident: f64,
    /// In bytes.
    size: f64,
    threads: f64,
    open_files: f64,
    max_files: f64,
}

impl Figures {
    fn read() -> Option<Self> {
        let text = |path: &str| fs::read_to_string(path).ok();
        let open_files = u32::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?;
        let texts = ProcTexts {
            stat: &text("/proc/self/stat")?,
            status: &text("/proc/self/status")?,
            limits: &text("/proc/self/limits")?,
            system: &text("/proc/stat")?,
        };
        Self::of(&texts, f64::from(open_files))
    }

    fn of(texts: &ProcTexts<'_>, open_files: f64) -> Option<Self> {
        // The program's name is in brackets, and may contain blanks and brackets itself.
        let (_, after_name) = texts.stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
        let in_lines = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Self {
            // The fields are counted from the third, the state.
            cpu_seconds: ticks(11)? + ticks(12)?,
            start_seconds: in_lines(texts.system, "btime")? + ticks(19)?,
            resident: in_lines(texts.status, "VmRSS:")? * 1_024.0,
            size: in_lines(texts.status, "VmSize:")? * 1_024.0,
            threads: in_lines(texts.status, "Threads:")?,
            open_files,
            max_files: in_lines(texts.limits, "Max open files").unwrap_or(f64::INFINITY),
        })
    }
}

/// The texts read from `/proc`.
struct ProcTexts<'a> {
    stat: &'a str,
    status: &'a str,
    limits: &'a str,
    system: &'a str,
}

#[cfg(test)]
mod tests {
    use super::{Figures, ProcTexts};

    #[test]
    fn the_figures_are_read_from_what_the_system_writes() {
        let texts = ProcTexts {
            stat: "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 9 0 12300 56 78 0\n",
            status: "Name:\tfrontrow\nVmSize:\t  2048 kB\nVmRSS:\t    512 kB\nThreads:\t9\n",
            limits: "Limit  Soft Limit  Hard Limit  Units\nMax open files            65536     65536     files\n",
            system: "cpu 1 2 3\nbtime 1800000000\nprocesses 5\n",
        };
        let figures = Figures {
            cpu_seconds: 3.0,
            start_seconds: 1_800_000_123.0,
            resident: 524_288.0,
            size: 2_097_152.0,
            threads: 9.0,
            open_files: 12.0,
            max_files: 65_536.0,
        };
        assert_eq!(Figures::of(&texts, 12.0), Some(figures));
        assert_eq!(Figures::of(&ProcTexts { stat: "broken", ..texts }, 12.0), None);
    }
}
