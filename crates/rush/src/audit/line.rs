//! The waiting line: the cap, the order, and that no token moves back.

use super::{Books, Verdict};
use crate::history::{Asked, Effect, History, PlaceSeen, RequestOutcome, Stood};
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) fn check(history: &History, books: &Books, verdict: &mut Verdict) {
    room_cap(history, books, verdict);
    order_kept(history, verdict);
    places(history, books.view_lag, verdict);
    one_place(history, books, verdict);
    end_is_true(history, verdict);
    responsive_tokens_are_not_dormant(history, books.dormant_after, verdict);
    turn_needed(history, verdict);
}

/// A token is certainly active from the answer to its activation until its user may have ended it, or its time may
/// have run out. As many as certainly overlap must fit the room.
fn room_cap(history: &History, books: &Books, verdict: &mut Verdict) {
    let mut ends: HashMap<&str, u64> = HashMap::new();
    for op in &history.ops {
        if let Asked::Pay { token, .. } | Asked::Leave { token } = &op.asked
            && !matches!(op.outcome, RequestOutcome::Fail { .. })
        {
            let end = ends.entry(token).or_insert(u64::MAX);
            *end = (*end).min(op.sent);
        }
    }
    let mut steps: Vec<(u64, i64)> = Vec::new();
    let mut seen = HashSet::new();
    for op in &history.ops {
        let Asked::Activate { token } = &op.asked else { continue };
        let RequestOutcome::Ok(Effect::Activated { lasts }) = &op.outcome else { continue };
        if !seen.insert(token.as_str()) {
            continue;
        }
        let until = op.sent.saturating_add(*lasts).min(ends.get(token.as_str()).copied().unwrap_or(u64::MAX));
        if op.received < until {
            steps.push((op.received, 1));
            steps.push((until, -1));
        }
    }
    // At one instant ends come before beginnings: only what certainly overlaps counts.
    steps.sort_unstable();
    let (mut active, mut most, mut when) = (0_i64, 0_i64, 0);
    for (at, step) in &steps {
        active += step;
        if active > most {
            (most, when) = (active, *at);
        }
    }
    if !steps.is_empty() {
        verdict.note(
            "room_cap",
            (most > books.max_active).then(|| {
                format!("{most} tokens were active {} ms into the sale, the cap is {}", when / 1_000, books.max_active)
            }),
        );
    }
}

/// If one token's answer was there before another was asked for, it has the lower number.
fn order_kept(history: &History, verdict: &mut Verdict) {
    let mut joins: Vec<(u64, u64, i64, usize)> = history
        .ops
        .iter()
        .filter_map(|op| match &op.outcome {
            RequestOutcome::Ok(Effect::Joined { position, fresh: true, .. }) => {
                Some((op.sent, op.received, *position, op.buyer))
            }
            _ => None,
        })
        .collect();
    let mut answered = joins.clone();
    joins.sort_unstable();
    answered.sort_unstable_by_key(|(_, received, ..)| *received);
    let mut answered = answered.into_iter().peekable();
    let mut highest: Option<(i64, usize)> = None;
    for (sent, _, position, buyer) in joins {
        while let Some((.., before, whose)) = answered.next_if(|(_, received, ..)| *received < sent) {
            highest = highest.max(Some((before, whose)));
        }
        verdict.note(
            "order_kept",
            highest.filter(|(before, _)| *before >= position).map(|(before, whose)| {
                format!("buyer {whose} had place {before} before buyer {buyer} asked and was given place {position}")
            }),
        );
    }
}

/// No position changes, and none has more in front than an answer said that was true `lag` before.
fn places(history: &History, lag: i64, verdict: &mut Verdict) {
    let mut seen: HashMap<&str, Vec<&PlaceSeen>> = HashMap::new();
    for sighting in &history.sightings {
        let before = seen.entry(&sighting.token).or_default();
        let other = before.last().filter(|last| last.position != sighting.position);
        let older = before.iter().filter(|older| lag == 0 || sighting.as_of.saturating_sub(older.as_of) >= lag);
        let least = older.map(|older| older.ahead).min();
        let moved_back = least.filter(|least| sighting.ahead > *least).map(|ahead| {
            format!(
                "buyer {} at place {}: {ahead} were ahead, then {} ({} ms into the sale)",
                sighting.buyer,
                sighting.position,
                sighting.ahead,
                sighting.received / 1_000
            )
        });
        let broken = match other {
            Some(other) => {
                Some(format!("buyer {}: place {} became {}", sighting.buyer, other.position, sighting.position))
            }
            None => moved_back,
        };
        let compared = !before.is_empty();
        before.push(sighting);
        if compared {
            verdict.note("ahead_never_rises", broken);
        }
    }
}

fn one_place(history: &History, books: &Books, verdict: &mut Verdict) {
    let mut numbers: HashMap<i64, &str> = HashMap::new();
    let mut places: BTreeMap<usize, (&str, u64)> = BTreeMap::new();
    let mut positions: HashMap<&str, i64> = HashMap::new();
    let mut paid: HashSet<&str> = HashSet::new();
    for op in &history.ops {
        match (&op.asked, &op.outcome) {
            (_, RequestOutcome::Ok(Effect::Joined { token, position, fresh })) => {
                positions.insert(token, *position);
                let other = numbers.insert(*position, token).filter(|other| other != token);
                let mut broken = other.map(|_| format!("two tokens have place {position}"));
                if let Some((before, received)) = places.get(&op.buyer)
                    && !fresh
                    && before != token
                    && *received < op.sent
                {
                    broken = Some(format!("buyer {} asked for their place again and got another", op.buyer));
                }
                verdict.note("one_place", broken);
                places.insert(op.buyer, (token, op.received));
            }
            (Asked::Pay { token, .. }, RequestOutcome::Ok(_)) => {
                paid.insert(token);
            }
            _ => {}
        }
    }
    for row in &books.tokens {
        let mut broken = positions
            .get(row.token.as_str())
            .filter(|position| **position != row.position)
            .map(|position| format!("the token of place {position} now says {}", row.position));
        if paid.contains(row.token.as_str()) && row.status != "ended" {
            broken = Some(format!("the token of place {} paid and is {}", row.position, row.status));
        }
        verdict.note("one_place", broken);
    }
}

/// A token whose buyer was answered in line that it has ended is not what the buyer gets who then joins again: that is
/// decided by the rows.
fn end_is_true(history: &History, verdict: &mut Verdict) {
    let mut joins: HashMap<usize, Vec<(u64, &str)>> = HashMap::new();
    for op in &history.ops {
        if let RequestOutcome::Ok(Effect::Joined { token, .. }) = &op.outcome {
            joins.entry(op.buyer).or_default().push((op.sent, token));
        }
    }
    for ended in &history.ended {
        let later = joins.get(&ended.buyer).into_iter().flatten().filter(|(sent, _)| *sent >= ended.received);
        if let Some((_, token)) = later.min() {
            verdict.note(
                "end_is_true",
                (*token == ended.token).then(|| {
                    format!(
                        "buyer {} was answered {} ms into the sale that the token has ended, joined again and got it back",
                        ended.buyer,
                        ended.received / 1_000
                    )
                }),
            );
        }
    }
}

/// Joins and polls are signs of life: no token is seen dormant sooner than `dormant_after` after one of them was sent
/// and answered. Only the first time that it is seen so is looked at, since another instance may still say so after it
/// has woken.
fn responsive_tokens_are_not_dormant(history: &History, dormant_after: u64, verdict: &mut Verdict) {
    let mut signs: Vec<(u64, u64, &str, Option<&PlaceSeen>)> = Vec::new();
    for op in &history.ops {
        if let RequestOutcome::Ok(Effect::Joined { token, .. }) = &op.outcome {
            signs.push((op.received, op.sent, token, None));
        }
    }
    let seen = history.sightings.iter();
    signs.extend(seen.map(|sighting| (sighting.received, sighting.sent, sighting.token.as_str(), Some(sighting))));
    signs.sort_by_key(|(received, ..)| *received);
    let mut last: HashMap<&str, u64> = HashMap::new();
    let mut aside = HashSet::new();
    for (received, sent, token, sighting) in signs {
        let before = last.insert(token, sent);
        let (Some(before), Some(sighting)) = (before, sighting) else { continue };
        let silence = received.saturating_sub(before);
        let is_wrong = sighting.stood == Stood::Aside && aside.insert(token) && silence < dormant_after;
        verdict.note(
            "responsive_tokens_are_not_dormant",
            is_wrong.then(|| {
                format!(
                    "buyer {} at place {} was put aside as silent at most {} ms after a sign of life",
                    sighting.buyer,
                    sighting.position,
                    silence / 1_000
                )
            }),
        );
    }
}

/// A hold is only given to a token that was activated, or may have been, before the hold was answered.
fn turn_needed(history: &History, verdict: &mut Verdict) {
    let mut activated: HashMap<&str, u64> = HashMap::new();
    for op in &history.ops {
        if let Asked::Activate { token } = &op.asked
            && matches!(op.outcome, RequestOutcome::Unknown | RequestOutcome::Ok(Effect::Activated { .. }))
        {
            let first = activated.entry(token).or_insert(op.sent);
            *first = (*first).min(op.sent);
        }
    }
    for sighting in history.sightings.iter().filter(|sighting| sighting.stood == Stood::Inside) {
        let first = activated.entry(&sighting.token).or_insert(sighting.sent);
        *first = (*first).min(sighting.sent);
    }
    for op in &history.ops {
        if let (Asked::Hold { token, .. }, RequestOutcome::Ok(_)) = (&op.asked, &op.outcome) {
            let had_turn = activated.get(token.as_str()).is_some_and(|sent| *sent < op.received);
            verdict.note(
                "turn_needed",
                (!had_turn).then(|| format!("buyer {} was given a hold without an active token", op.buyer)),
            );
        }
    }
}
