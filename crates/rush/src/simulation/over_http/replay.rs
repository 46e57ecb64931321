//! What the people saw, put in the order of time and noted as the simulation notes its own: each moment that the box
//! office itself gives (a join, an offer by its deadline, a claim that succeeded, an end) counts from there, everything
//! else from when it was seen.

use super::{
    super::{
        measure::SimulationReport,
        people::{CrowdMember, Told},
        record::SaleRecord,
    },
    visitor::{PersonStory, Sight},
};
use frontrow_domain::{
    id::Position,
    line::TokenStatus,
    time::{Span, Time},
};

/// What came of a replay.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) report: SimulationReport,
    /// How many were offered a turn without seeing it as one.
    pub(super) offers_unseen: u64,
}

/// Something that happened to a person. Of one moment, places are given up before they are taken.
#[derive(Debug, Clone, Copy)]
enum NotedStep {
    Status(TokenStatus),
    Presence(IsPresent),
    Joined(Position),
    Heard { ahead: i64, told: Option<Told>, poll_after_ms: i64 },
    Claimed,
    FoundFull,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsPresent {
    Yes,
    No,
}

impl NotedStep {
    /// The order within a moment.
    const fn rank(self) -> u8 {
        match self {
            Self::Joined(_) => 0,
            Self::Status(TokenStatus::Ended) => 1,
            Self::Status(TokenStatus::Active) => 4,
            Self::Status(_) => 2,
            Self::Presence(_) | Self::Heard { .. } | Self::Claimed | Self::FoundFull | Self::Refused => 3,
        }
    }
}

/// A person's notes, and whether a turn was offered that it did not see.
fn notes_of(story: &PersonStory, claim_window: Span) -> (Vec<(Time, NotedStep)>, bool) {
    let row = story.row;
    let came_in = row.and_then(|row| row.activated_at);
    let ended = row.and_then(|row| row.expired_at);
    // What an instance says that is behind the others counts no more once the rows are further.
    let is_past = |at: Time| came_in.into_iter().chain(ended).any(|moment| at >= moment);
    let (mut notes, mut last, mut is_unseen) = (Vec::new(), TokenStatus::Waiting, false);
    for (at, sight) in &story.sights {
        let at = *at;
        match sight {
            Sight::Joined(position) => notes.push((at, NotedStep::Joined(*position))),
            Sight::Heard(heard) => {
                if heard.status == TokenStatus::Waiting && last == TokenStatus::Waiting && !is_past(at) {
                    let told = heard.wait.map(|(p50, p90)| Told { at, p50, p90, turnouts: 0, is_settled: false });
                    notes.push((at, NotedStep::Heard { ahead: heard.ahead, told, poll_after_ms: heard.poll_after_ms }));
                }
                let from = match heard.status {
                    _ if heard.status == last => continue,
                    TokenStatus::Offered => heard.deadline.map_or(at, |deadline| deadline.minus(claim_window)),
                    // It waits again after a missed turn or a silence; else the instance is behind.
                    TokenStatus::Waiting if last == TokenStatus::Offered => continue,
                    // The rows say when, of tokens that were claimed.
                    TokenStatus::Active => continue,
                    TokenStatus::Missed if last == TokenStatus::Waiting => {
                        is_unseen = true;
                        at
                    }
                    TokenStatus::Ended if ended.is_some() => continue,
                    _ => at,
                };
                if !is_past(from) {
                    last = heard.status;
                    notes.push((from, NotedStep::Status(heard.status)));
                }
            }
            Sight::FellSilent => notes.push((at, NotedStep::Presence(IsPresent::No))),
            Sight::Woke => notes.push((at, NotedStep::Presence(IsPresent::Yes))),
            Sight::Claimed => notes.push((at, NotedStep::Claimed)),
            Sight::FoundFull if !is_past(at) => notes.push((at, NotedStep::FoundFull)),
            Sight::FoundFull => {}
            Sight::Refused => notes.push((at, NotedStep::Refused)),
        }
    }
    notes.extend(came_in.map(|at| (at, NotedStep::Status(TokenStatus::Active))));
    notes.extend(ended.map(|at| (at, NotedStep::Status(TokenStatus::Ended))));
    (notes, is_unseen)
}

/// Notes everything in the order of time.
pub(super) fn replay(
    people: &[CrowdMember],
    stories: Vec<PersonStory>,
    (opened, closed): (Time, Time),
    max_active: i64,
    claim_window: Span,
) -> Replayed {
    let mut record = SaleRecord::open(opened, people.to_vec());
    let (mut all, mut offers_unseen) = (Vec::new(), 0);
    for story in stories {
        let (notes, is_unseen) = notes_of(&story, claim_window);
        offers_unseen += u64::from(is_unseen && people.get(story.person).is_some_and(CrowdMember::is_always_there));
        let place = story.place();
        all.extend(notes.into_iter().map(|(at, noted)| (at, place, noted, story.person)));
    }
    // Turns of one moment are offered in the order of the places.
    all.sort_by_key(|(at, place, noted, _)| (*at, noted.rank(), *place));
    let (mut active, mut moment) = (0_i64, opened);
    for (at, place, noted, person) in all {
        if at != moment {
            record.count_overtaken();
            moment = at;
        }
        record.meters.pass(at.max(opened), (max_active, active), record.waiting);
        match noted {
            NotedStep::Joined(position) => record.join(person, position),
            NotedStep::Status(status) => {
                let before = record.people[person].status;
                if status == TokenStatus::Active && before != TokenStatus::Offered {
                    // No token becomes active without a turn.
                    record.see(person, place, TokenStatus::Offered, at);
                }
                record.see(person, place, status, at);
                active += i64::from(status == TokenStatus::Active) - i64::from(before == TokenStatus::Active);
                record.meters.count_inside(active, max_active);
            }
            NotedStep::Presence(is_present) => {
                record.change(person, |one| one.is_present = is_present == IsPresent::Yes);
            }
            NotedStep::Heard { ahead, told, poll_after_ms } => {
                record.meters.poll_ms += poll_after_ms;
                record.hear(person, (ahead, 0), told, at);
            }
            NotedStep::Claimed => record.claim(person, at),
            NotedStep::FoundFull => record.find_full(person, at),
            NotedStep::Refused => record.people[person].claimed_at = None,
        }
    }
    record.count_overtaken();
    record.meters.pass(closed, (max_active, active), record.waiting);
    let report = record.meters.report("over_http", &record.people, closed.since(opened));
    Replayed { report, offers_unseen }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::people::crowd, LinePlan, RowMoments, visitor::HeardPlace},
        *,
    };
    use crate::simulation::{measure::Counts, people::Fate};
    use rand::{SeedableRng, rngs::StdRng};

    const WINDOW: Span = Span::from_secs(60);

    fn at(second: i64) -> Time {
        Time::from_micros(1_900_000_000_000_000).plus(Span::from_secs(second))
    }

    fn heard(status: TokenStatus, ahead: i64, deadline: Option<Time>) -> Sight {
        Sight::Heard(HeardPlace { status, ahead, wait: None, deadline, poll_after_ms: 1_000 })
    }

    /// A person who joined at once, was offered a turn at a second and claimed it at another, and was inside from a second
    /// to another.
    fn visit(person: usize, (offered, claimed): (i64, i64), (from, to): (i64, i64)) -> PersonStory {
        let place = i64::try_from(person).unwrap() + 1;
        let sights = vec![
            (at(0), Sight::Joined(Position(place))),
            (at(0), heard(TokenStatus::Waiting, place - 1, None)),
            // It asks later than the turn is offered.
            (at(offered).plus(Span::from_millis(500)), heard(TokenStatus::Offered, 0, Some(at(offered).plus(WINDOW)))),
            (at(claimed), Sight::Claimed),
        ];
        PersonStory::told(person, sights, Some(RowMoments { activated_at: Some(at(from)), expired_at: Some(at(to)) }))
    }

    fn counts(stories: Vec<PersonStory>) -> Counts {
        let mut people: Vec<_> =
            crowd(&LinePlan::of(2).scenario(), &mut StdRng::seed_from_u64(1)).into_iter().map(|(_, one)| one).collect();
        for person in &mut people {
            person.fate = Fate::Plain;
        }
        replay(&people, stories, (at(0), at(100)), 1, WINDOW).report.counts
    }

    #[test]
    fn a_sale_in_order_breaks_nothing() {
        let counts = counts(vec![visit(0, (1, 2), (2, 10)), visit(1, (9, 10), (10, 20))]);
        assert_eq!((counts.joined, counts.offered, counts.activated), (2, 2, 2));
        let never = (counts.inversions, counts.overtaken, counts.overshoot, counts.ahead_rises);
        assert_eq!(never, (0, 0, 0, 0), "a place is given up and taken in one moment");
    }

    #[test]
    fn a_turn_before_that_of_a_token_in_front_is_an_inversion() {
        assert_eq!(counts(vec![visit(0, (9, 10), (10, 20)), visit(1, (1, 2), (2, 10))]).inversions, 1);
    }

    #[test]
    fn two_in_one_place_are_one_beyond_the_cap() {
        assert_eq!(counts(vec![visit(0, (1, 2), (2, 11)), visit(1, (9, 10), (10, 20))]).overshoot, 1);
    }

    #[test]
    fn a_later_claim_that_comes_in_before_one_that_found_the_room_full_has_overtaken_it() {
        let full = |second| {
            let mut story = visit(0, (1, 2), (9, 20));
            story.sights.push((at(second), Sight::FoundFull));
            story
        };
        assert_eq!(counts(vec![full(3), visit(1, (1, 4), (5, 6))]).overtaken, 1);
        assert_eq!(counts(vec![full(5), visit(1, (1, 4), (5, 6))]).overtaken, 0, "it had claimed before");
    }

    #[test]
    fn a_number_that_rises_is_counted() {
        let mut story = visit(1, (9, 10), (10, 20));
        story.sights.insert(2, (at(1), heard(TokenStatus::Waiting, 2, None)));
        assert_eq!(counts(vec![story]).ahead_rises, 1);
    }
}
