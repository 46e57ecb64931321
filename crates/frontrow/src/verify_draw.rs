//! Verifies the record of a draw, from a file and without a network.

use anyhow::{Context as _, ensure};
use frontrow_domain::time::Time;
use frontrow_draw::{Chain, DecidedBy, DrawCheck, DrawFacts, DrawRecord, RECORD_BYTES_MAX};
use std::{fmt::Write as _, fs::File, io::Read as _, path::Path, process::ExitCode};

/// How many entries are shown in the order drawn.
const SHOWN: usize = 10;

/// Prints what was found, and exits with 0 if the record is true and has the entry that was asked for, else with 1.
///
/// # Errors
/// The file cannot be read, or is no record.
pub fn run(file: &Path, entry: Option<i64>) -> anyhow::Result<ExitCode> {
    let record = read(file)?;
    let (said, is_true) = report(&record, entry);
    print!("{said}");
    Ok(if is_true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> anyhow::Result<DrawRecord> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("cannot open {name}"))?;
    let mut text = Vec::new();
    opened.take(RECORD_BYTES_MAX + 1).read_to_end(&mut text).with_context(|| format!("cannot read {name}"))?;
    let is_within = u64::try_from(text.len()).is_ok_and(|len| len <= RECORD_BYTES_MAX);
    ensure!(is_within, "{name} has more than {RECORD_BYTES_MAX} bytes, the most of a record");
    serde_json::from_slice(&text).with_context(|| format!("{name} is no record of a draw"))
}

/// What was found, and whether nothing is wrong.
fn report(record: &DrawRecord, entry: Option<i64>) -> (String, bool) {
    let mut said = String::new();
    let mut faults = 0;
    for check in DrawCheck::ALL {
        // A String takes every text.
        let _ = match record.check(check) {
            Ok(()) => writeln!(said, "ok     {}", holds(&record.facts, check)),
            Err(fault) => {
                faults += 1;
                writeln!(said, "WRONG  {fault}")
            }
        };
    }
    let Ok(verified) = record.verify() else {
        let _ = writeln!(said, "\nThis record is not true: {faults} of {} checks failed.", DrawCheck::ALL.len());
        return (said, false);
    };
    let _ = write!(said, "\n{}", to_compare(&record.facts));
    let (shown, all) = (verified.order.len().min(SHOWN), verified.order.len());
    let _ = writeln!(said, "\nThe first {shown} of {all} in the order drawn:");
    for (rank, entry) in (1..=shown).zip(&verified.order) {
        let _ = writeln!(said, "{rank:>4}  entry {entry}");
    }
    let Some(entry) = entry else { return (said, true) };
    let rank = verified.rank_of(entry);
    let _ = match rank {
        Some(rank) => writeln!(said, "\nEntry {entry} has rank {rank} of {all}."),
        None => writeln!(said, "\nEntry {entry} is not in this draw."),
    };
    (said, rank.is_some())
}

/// What a check has found to be so.
fn holds(facts: &DrawFacts, check: DrawCheck) -> String {
    let round = facts.round.0;
    match check {
        DrawCheck::Format => format!("the format is {}", facts.format),
        DrawCheck::Rules => format!("the rules are those of version {}", facts.rules_version),
        DrawCheck::Secret => "the secret has the hash that the record says was published before the draw".to_owned(),
        DrawCheck::Entries => format!("{} entries, by ascending number", facts.entry_count),
        DrawCheck::Root => "the entries have the root that the record says was published before the draw".to_owned(),
        DrawCheck::Chain if facts.chain == Chain::quicknet() => {
            "the chain is quicknet, the public one of the League of Entropy".to_owned()
        }
        DrawCheck::Chain => {
            "the chain has a valid key, but is not quicknet: who has its key knew its rounds".to_owned()
        }
        DrawCheck::Round => format!(
            "round {round} is the one of {}, after the entries were closed at {}",
            Time::from_micros(facts.chain.time_of(facts.round).saturating_mul(1_000_000)),
            Time::from_micros(facts.sealed_at_micros)
        ),
        DrawCheck::Beacon => match facts.decided_by {
            DecidedBy::Beacon => format!("the chain signed round {round}, and its randomness decided with the secret"),
            DecidedBy::SecretAlone if facts.deadline_micros == facts.sealed_at_micros => {
                "the secret, which the house knew before, decided alone: the draw waited for no round".to_owned()
            }
            DecidedBy::SecretAlone => format!(
                "the secret, which the house knew before, decided alone: no signature of round {round} was given by {}",
                Time::from_micros(facts.deadline_micros)
            ),
        },
        DrawCheck::Seed => "the seed follows from the secret, the root and the randomness".to_owned(),
    }
}

/// A record agrees with itself; whether it was made after the draw, only what was seen before can say.
fn to_compare(facts: &DrawFacts) -> String {
    format!(
        "Compare with what was published before the draw:\n  secret hash  {}\n  root         {}\n  entries      {}\n  \
         chain        {}\n  round        {}\n",
        facts.secret_hash, facts.root, facts.entry_count, facts.chain.hash, facts.round.0
    )
}
