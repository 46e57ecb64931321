//! `frontrow check`: reads the books in one snapshot and says what is wrong with them.

mod invariants;
pub mod postgres;
pub mod sqlite;

use std::{collections::BTreeMap, fmt};

/// How many rows that break an invariant are named.
const NAMED_MAX: usize = 10;

/// What a check of the books found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    counts: Vec<(&'static str, i64)>,
}

/// An invariant with the rows that break it.
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

/// What the invariant of the rooms' caps is called.
const NEVER_CROWDED: &str = "no more tokens were ever active in a room than its cap at the time";

/// Follows the rooms through their journal: who became active when, who stopped, and what the cap was.
#[derive(Debug, Default)]
struct Journal {
    /// By room, since when and how many.
    caps: BTreeMap<i64, Vec<(i64, i64)>>,
    room: Option<i64>,
    active: i64,
    breaches: Vec<String>,
}

impl Journal {
    fn cap(&mut self, room: i64, since: i64, cap: i64) {
        self.caps.entry(room).or_default().push((since, cap));
    }

    /// What happened next: a token became active, or one stopped. By room and time; an end comes before a beginning
    /// of the same moment, since an overdue token counts no more at its deadline.
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

/// The cap that bound an activation at `at`. A change of the same moment may have come before it or after it in its
/// batch, so the widest of those counts.
fn cap_at(caps: &[(i64, i64)], at: i64) -> i64 {
    let before = caps.iter().rev().find(|(since, _)| *since < at).map_or(0, |(_, cap)| *cap);
    caps.iter().filter(|(since, _)| *since == at).map(|(_, cap)| *cap).fold(before, i64::max)
}
