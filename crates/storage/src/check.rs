//! `frontrow check`: reads the books in one snapshot and reports what is wrong with them.

mod invariants;
pub mod postgres;
pub mod sqlite;

use std::{collections::BTreeMap, fmt};

/// The most rows that a finding names.
const NAMED_MAX: usize = 10;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    counts: Vec<(&'static str, i64)>,
}

/// An invariant and the rows that break it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    invariant: &'static str,
    breaches: Vec<String>,
}

impl Report {
    /// Whether every invariant holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.breaches.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { invariant, breaches } in &self.findings {
            if breaches.is_empty() {
                writeln!(f, "ok      {invariant}")?;
                continue;
            }
            writeln!(f, "BROKEN  {invariant}")?;
            for breach in breaches.iter().take(NAMED_MAX) {
                writeln!(f, "        {breach}")?;
            }
            if breaches.len() > NAMED_MAX {
                writeln!(f, "        and {} more", breaches.len() - NAMED_MAX)?;
            }
        }
        let counts: Vec<_> = self.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        writeln!(f, "{}", counts.join(", "))?;
        f.write_str(if self.is_clean() { "The books are in order.\n" } else { "The books are NOT in order.\n" })
    }
}

/// The name of the invariant of the rooms' caps.
const NEVER_CROWDED: &str = "no more tokens were ever active in a room than its cap at the time";

/// Replays the rooms' journal: when tokens became active and ended, and the caps at those times.
#[derive(Debug, Default)]
struct Journal {
    /// By room: the times of changes and the caps.
    caps: BTreeMap<i64, Vec<(i64, i64)>>,
    room: Option<i64>,
    active: i64,
    breaches: Vec<String>,
}

impl Journal {
    fn cap(&mut self, room: i64, since: i64, cap: i64) {
        self.caps.entry(room).or_default().push((since, cap));
    }

    /// Applies the next event: a token became active or ended. Events come by room and time; at the same time an end
    /// comes before a beginning, since an overdue token no longer counts at its deadline.
    fn change(&mut self, room: i64, at: i64, by: i64) {
        if self.room != Some(room) {
            (self.room, self.active) = (Some(room), 0);
        }
        self.active += by;
        let cap = self.caps.get(&room).map_or(0, |caps| cap_at(caps, at));
        if by > 0 && self.active > cap {
            let active = self.active;
            self.breaches.push(format!("room {room} had {active} active at {at}, its cap was {cap}"));
        }
    }

    fn finding(self) -> Finding {
        Finding { invariant: NEVER_CROWDED, breaches: self.breaches }
    }
}

/// The cap for an activation at `at`. A change of the cap at the same time may have come before or after it in the
/// batch, so the highest of those counts.
fn cap_at(caps: &[(i64, i64)], at: i64) -> i64 {
    let before = caps.iter().rev().find(|(since, _)| *since < at).map_or(0, |(_, cap)| *cap);
    caps.iter().filter(|(since, _)| *since == at).map(|(_, cap)| *cap).fold(before, i64::max)
}
