use super::*;
use crate::lines::HeardSince;
use crate::view::deltas;
use crate::view::tests::{LineEvent, START, event, line, request};
use frontrow_domain::{
    changes::Changes,
    id::{Position, TokenId},
    line::{Token, TokenStatus},
    model::Model,
    policy::Policy,
    time::Span,
};
use proptest::prelude::*;

const HOUSE: RoomId = RoomId::HOUSE;

/// Windows so short that turns lapse during a history.
fn policy() -> Policy {
    Policy {
        claim_window: Span::from_millis(20),
        recall_window: Span::from_millis(40),
        dormant_after: Span::ZERO,
        dormant_limit: Span::from_millis(60),
        idle_limit: Span::from_millis(50),
        ..Policy::default()
    }
}

/// The history of a line: the changes in the order of their commits, and the rows before and after.
fn history(batches: &[Vec<LineEvent>]) -> (Line, Vec<Changes>, Model, Time) {
    let mut model = Model::new(3, START);
    let before = line(&model, START);
    let mut now = START;
    let mut all = Vec::new();
    for batch in batches {
        // Two changes of a row are never of the same moment: the later one waited for the other's lock.
        now = now.plus(Span::from_millis(5));
        let requests: Vec<_> = batch.iter().filter_map(|event| request(&model, event)).collect();
        let (_, changes) = model.transact(now, policy(), &requests);
        all.push(changes);
    }
    (before, all, model, now)
}

fn replicas() -> Replicas {
    Replicas::new(Arc::new(AtomicI64::new(0)))
}

/// Applies a change as from another instance. Returns how the rows are to be read after it.
fn apply_remote(replicas: &Replicas, changes: &Changes) -> Option<LineReading> {
    deltas(changes).iter().filter_map(|(room, delta)| replicas.apply(*room, delta, ChangeOrigin::Remote)).max()
}

/// Reads the rows if the view needs it, as an instance does a moment later.
fn read(replicas: &Replicas, reading: Option<LineReading>, model: &Model, now: Time) {
    let (begun, rows) = (replicas.deltas_of(HOUSE), line(model, now));
    match reading {
        None => {}
        Some(LineReading::Refresh) => assert_eq!(replicas.reconcile(&live(rows), begun, now), None),
        Some(LineReading::Rebuild) => replicas.rebuild(&rows, &BesideRows::default(), Rebuild::Replace, Some(begun)),
    }
}

/// What a refresh reads of these rows.
fn live(mut line: Line) -> Line {
    line.waiting.retain(|position| *position <= line.room.cursor);
    line
}

fn assert_same(view: &RoomView, rows: &RoomView) {
    let numbers = |view: &RoomView| (view.cursor(), view.tail(), view.active(), view.offered(), view.total_waiting());
    assert_eq!(numbers(view), numbers(rows));
    assert_eq!(view.returned(), rows.returned());
    for position in (1..=rows.tail().0).map(Position) {
        assert_eq!(view.place(position), rows.place(position), "{position}");
    }
}

/// A change comes during a refresh, of a token that the refresh's cursor passes.
#[test]
fn a_token_requeued_during_a_refresh_is_at_the_head() {
    let batches = [
        vec![LineEvent::Join(34)],
        vec![LineEvent::Join(0)],
        vec![LineEvent::Advance(Vec::new())],
        vec![LineEvent::Join(0)],
        vec![LineEvent::Join(0)],
        vec![LineEvent::Join(0)],
        vec![LineEvent::Activate(34)],
    ];
    let (before, all, _, now) = history(&batches);
    let replicas = replicas();
    replicas.rebuild(&before, &BesideRows::default(), Rebuild::Replace, None);
    for at in [0, 1, 3, 4, 5] {
        assert_eq!(apply_remote(&replicas, &all[at]), None);
    }
    let begun = replicas.deltas_of(HOUSE);
    let (_, _, seen, seen_at) = history(&batches[..6]);
    let live_line = live(line(&seen, seen_at));
    assert_eq!(apply_remote(&replicas, &all[6]), None);
    assert_eq!(replicas.reconcile(&live_line, begun, now), None);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().returned(), [Position(1)]);
}

#[test]
fn an_unassigned_position_stays_so_in_a_rebuild() {
    let room = frontrow_domain::line::Room::new(HOUSE, 0, START);
    let replicas = replicas();
    let rebuilt = |highest, waiting: &[i64], in_flight: &[i64], now| Line {
        room: room.clone(),
        highest: Position(highest),
        waiting: waiting.iter().copied().map(Position).collect(),
        in_flight: in_flight.iter().copied().map(Position).collect(),
        others: Vec::new(),
        now,
    };
    replicas.rebuild(&rebuilt(0, &[], &[], START), &BesideRows::default(), Rebuild::Replace, None);
    let id = |position| TokenId { room_id: HOUSE, position: Position(position) };
    let token = |position| Token::issued(id(position), frontrow_domain::id::UserId(uuid::Uuid::nil()), START);
    let mut replica = Changes { now: START, unused: vec![id(2), id(3)], ..Changes::default() };
    replica.tokens.inserted = vec![token(1), token(4)];
    replicas.apply(HOUSE, &deltas(&replica)[&HOUSE], ChangeOrigin::Remote);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(4)), 1);
    // The rows alone do not tell whether a batch may still bring these positions.
    let rows = rebuilt(4, &[1, 4], &[2, 3], START.plus(Span::from_secs(2)));
    replicas.rebuild(&rows, &BesideRows::default(), Rebuild::Replace, None);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(4)), 1);
    // A later rebuild keeps this without the event.
    replicas.rebuild(
        &rebuilt(5, &[1, 4, 5], &[2, 3], START.plus(Span::from_secs(60))),
        &BesideRows::default(),
        Rebuild::Replace,
        None,
    );
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(5)), 2);
}

#[test]
fn a_token_that_joins_while_its_line_is_rebuilt_counts_as_seen() {
    let rows = Line {
        room: frontrow_domain::line::Room::new(HOUSE, 0, START),
        // The next positions are in another chunk of what is last seen.
        highest: Position(16_383),
        waiting: vec![Position(16_383)],
        in_flight: Vec::new(),
        others: Vec::new(),
        now: START,
    };
    let replicas = replicas();
    replicas.rebuild(&rows, &BesideRows::default(), Rebuild::Replace, None);
    let begun = replicas.deltas_of(HOUSE);
    let join = |position| {
        let id = TokenId { room_id: HOUSE, position: Position(position) };
        let mut changes = Changes { now: START.plus(Span::from_secs(1)), ..Changes::default() };
        changes.tokens.inserted = vec![Token::issued(id, frontrow_domain::id::UserId(uuid::Uuid::nil()), START)];
        assert_eq!(apply_remote(&replicas, &changes), None);
    };
    join(16_384);
    join(16_385);
    replicas.rebuild(&rows, &BesideRows::default(), Rebuild::Replace, Some(begun));
    join(16_386);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().total_waiting(), 4);
    assert_eq!(replicas.lines().unresponsive(HOUSE, 10, HeardSince::any(START)), []);
}

#[test]
fn a_position_departed_in_another_epoch_may_still_come_in_this_one() {
    let mut room = frontrow_domain::line::Room::new(HOUSE, 0, START);
    let replicas = replicas();
    let line = |room: &frontrow_domain::line::Room, in_flight: &[Position]| Line {
        room: room.clone(),
        highest: Position(3),
        waiting: vec![Position(1), Position(3)],
        in_flight: in_flight.to_vec(),
        others: Vec::new(),
        now: START,
    };
    replicas.rebuild(&line(&room, &[]), &BesideRows::default(), Rebuild::Replace, None);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(3)), 1);
    room.epoch += 1;
    replicas.rebuild(&line(&room, &[Position(2)]), &BesideRows::default(), Rebuild::Replace, None);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(3)), 2);
}

/// How many deltas had come is not known.
#[test]
fn a_rebuild_keeps_changes_that_its_rows_may_not_show_and_no_older_ones() {
    let model = {
        let batches = [vec![LineEvent::Join(0)], vec![LineEvent::Join(0)], vec![LineEvent::Advance(Vec::new())]];
        history(&batches).2
    };
    let offered = model.tokens.values().find(|token| token.status() == TokenStatus::Offered).copied().unwrap();
    let status_after = |seconds| {
        let replicas = replicas();
        let rows = line(&model, START);
        replicas.rebuild(&rows, &BesideRows::default(), Rebuild::Replace, None);
        let mut claim = Changes { now: START.plus(Span::from_secs(1)), ..Changes::default() };
        claim.tokens.updated = vec![offered.activated(claim.now, &policy()).unwrap()];
        assert_eq!(apply_remote(&replicas, &claim), None);
        let later = Line { now: START.plus(Span::from_secs(seconds)), ..rows };
        replicas.rebuild(&later, &BesideRows::default(), Rebuild::Replace, None);
        replicas.lines().view(HOUSE).unwrap().place(offered.id.position).status()
    };
    assert_eq!(status_after(9), TokenStatus::Active);
    assert_eq!(status_after(60), TokenStatus::Offered);
}

/// The rows of a line without a place, in which three wait.
fn three_waiting(now: Time) -> Line {
    Line {
        room: frontrow_domain::line::Room::new(HOUSE, 0, START),
        highest: Position(3),
        waiting: (1..=3).map(Position).collect(),
        in_flight: Vec::new(),
        others: Vec::new(),
        now,
    }
}

#[test]
fn a_rebuild_keeps_tokens_that_its_rows_may_not_show_and_no_older_ones() {
    let waiting_after = |seconds, begun: Option<u64>| {
        let replicas = replicas();
        replicas.rebuild(&three_waiting(START), &BesideRows::default(), Rebuild::Replace, None);
        let join = |position| {
            let id = TokenId { room_id: HOUSE, position: Position(position) };
            Token::issued(id, frontrow_domain::id::UserId(uuid::Uuid::nil()), START)
        };
        let mut changes = Changes { now: START.plus(Span::from_secs(1)), ..Changes::default() };
        changes.tokens.inserted = vec![join(4), join(6)];
        assert_eq!(apply_remote(&replicas, &changes), None);
        let later = three_waiting(START.plus(Span::from_secs(seconds)));
        replicas.rebuild(&later, &BesideRows::default(), Rebuild::Replace, begun);
        let view = replicas.lines().view(HOUSE).unwrap();
        (view.total_waiting(), view.tail())
    };
    for begun in [None, Some(0), Some(1)] {
        assert_eq!(waiting_after(9, begun), (6, Position(6)), "the fifth position may still come");
        assert_eq!(waiting_after(60, begun), (3, Position(3)), "the commit was lost");
    }
}

#[test]
fn a_line_that_one_of_several_instances_reads_again_counts_every_token_as_just_seen() {
    let replicas = replicas();
    let silent = |since| replicas.lines().unresponsive(HOUSE, 3, HeardSince::any(since)).len();
    let later = START.plus(Span::from_secs(600));
    replicas.rebuild(&three_waiting(START), &BesideRows::default(), Rebuild::Replace, None);
    assert_eq!((silent(START), silent(later)), (0, 3));
    // Signs of life at the other instances may have been missed.
    replicas.rebuild(&three_waiting(later), &BesideRows::default(), Rebuild::Replace, None);
    assert_eq!((silent(later), silent(later.plus(Span::from_secs(1)))), (0, 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn changes_that_come_late_or_twice_or_swapped_leave_the_same_view(
        batches in prop::collection::vec(prop::collection::vec(event(), 1..6), 1..40),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..30),
        repeats in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..10),
    ) {
        let (before, all, model, now) = history(&batches);
        let mut order: Vec<usize> = (0..all.len()).collect();
        for (one, other) in swaps {
            order.swap(one.index(all.len()), other.index(all.len()));
        }
        for (what, after) in repeats {
            order.insert(after.index(order.len() + 1), what.index(all.len()));
        }
        let replicas = replicas();
        replicas.rebuild(&before, &BesideRows::default(), Rebuild::Replace, None);
        let mut reading = None;
        for at in order {
            reading = reading.max(apply_remote(&replicas, &all[at]));
        }
        read(&replicas, reading, &model, now);
        assert_same(&replicas.lines().view(HOUSE).unwrap(), &RoomView::from_rows(&line(&model, now)));
    }

    #[test]
    fn a_rebuild_applies_concurrent_events_and_ahead_never_rises(
        batches in prop::collection::vec(prop::collection::vec(event(), 1..6), 2..40),
        read_at in any::<prop::sample::Index>(),
        rebuilt_from in 0..10_usize,
        missed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let (before, all, model, now) = history(&batches);
        let read_at = read_at.index(all.len());
        let rows = {
            let (_, _, model, now) = history(&batches[..read_at]);
            line(&model, now)
        };
        let starting_at = (read_at + rebuilt_from).min(all.len());
        let missed: Vec<_> = missed.iter().map(|at| at.index(all.len())).filter(|at| *at < read_at).collect();
        let replicas = replicas();
        replicas.rebuild(&before, &BesideRows::default(), Rebuild::Replace, None);
        let (mut aheads, mut begun, mut reading) = (std::collections::BTreeMap::new(), 0, None);
        for at in 0..=all.len() {
            if at == read_at {
                begun = replicas.deltas_of(HOUSE);
            }
            if at == starting_at {
                replicas.rebuild(&rows, &BesideRows::default(), Rebuild::Replace, Some(begun));
            }
            if let Some(changes) = all.get(at)
                && !missed.contains(&at)
            {
                reading = reading.max(apply_remote(&replicas, changes));
            }
            let view = replicas.lines().view(HOUSE).unwrap();
            for position in (1..=view.tail().0).map(Position) {
                let place = view.place(position);
                if place.status() == TokenStatus::Waiting
                    && let Some(before) = aheads.insert(position, place.ahead)
                {
                    prop_assert!(place.ahead <= before, "{position} rose from {before} to {}", place.ahead);
                }
            }
        }
        read(&replicas, reading, &model, now);
        assert_same(&replicas.lines().view(HOUSE).unwrap(), &RoomView::from_rows(&line(&model, now)));
    }

    #[test]
    fn a_refresh_repairs_the_view_and_breaks_nothing(
        batches in prop::collection::vec(prop::collection::vec(event(), 1..6), 1..40),
        missed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        published_during in 0..5_usize,
    ) {
        let (before, all, model, now) = history(&batches);
        let during = all.len().saturating_sub(published_during);
        let missed: Vec<_> = missed.iter().map(|at| at.index(all.len())).filter(|at| *at < during).collect();
        let replicas = replicas();
        replicas.rebuild(&before, &BesideRows::default(), Rebuild::Replace, None);
        for (at, changes) in all[..during].iter().enumerate() {
            if !missed.contains(&at) {
                // The refresh is such a reading.
                apply_remote(&replicas, changes);
            }
        }
        let begun = replicas.deltas_of(HOUSE);
        let (_, _, seen, seen_at) = history(&batches[..during]);
        let live_line = live(line(&seen, seen_at));
        let readings = all[during..].iter().map(|changes| apply_remote(&replicas, changes));
        let reading = readings.max().flatten();
        prop_assert_eq!(replicas.reconcile(&live_line, begun, now), None);
        read(&replicas, reading, &model, now);
        let (view, rows) = (replicas.lines().view(HOUSE).unwrap(), RoomView::from_rows(&line(&model, now)));
        prop_assert_eq!((view.cursor(), view.active(), view.offered()), (rows.cursor(), rows.active(), rows.offered()));
        prop_assert_eq!(view.returned(), rows.returned());
        for position in rows.live_positions() {
            prop_assert_eq!(view.place(position), rows.place(position), "{}", position);
        }
        // The missed changes come after all.
        let has_ended = |view: &RoomView, at: i64| view.place(Position(at)).status() == TokenStatus::Ended;
        for late in missed {
            let before = replicas.lines().view(HOUSE).unwrap();
            let reading = apply_remote(&replicas, &all[late]);
            read(&replicas, reading, &model, now);
            let after = replicas.lines().view(HOUSE).unwrap();
            for at in (1..=before.tail().0).filter(|at| has_ended(&before, *at) && has_ended(&rows, *at)) {
                prop_assert!(has_ended(&after, at), "{at} came back");
            }
        }
    }
}
