use super::*;
use crate::view::tests::{LineEvent, START, event, line, request};
use frontrow_domain::{id::Position, line::TokenStatus, model::Model, policy::Policy, time::Span};
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

/// Applies a change as from another instance; the store, which is ahead of it, answers for unverified tokens.
fn apply_remote(replicas: &Replicas, changes: &Changes, model: &Model) {
    for (room, delta) in deltas(changes) {
        let Applied::Done(unverified) = replicas.apply(room, &delta, ChangeOrigin::Remote) else {
            panic!("the house is there")
        };
        resolve_unverified(replicas, unverified.into_iter().map(|id| (id, changes.now)).collect(), model);
    }
}

fn resolve_unverified(replicas: &Replicas, unverified: Vec<(TokenId, Time)>, model: &Model) {
    for (id, now) in unverified {
        let token = &model.tokens[&id];
        if token.status() != TokenStatus::Ended {
            replicas.apply_row(token, now);
        }
    }
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
    let (before, all, model, now) = history(&batches);
    let replicas = replicas();
    replicas.rebuild(&before, Rebuild::Replace, Vec::new);
    for at in [0, 1, 3, 4, 5] {
        apply_remote(&replicas, &all[at], &model);
    }
    let begun = replicas.deltas_of(HOUSE).unwrap();
    let (_, _, seen, seen_at) = history(&batches[..6]);
    let mut live_line = line(&seen, seen_at);
    live_line.waiting.retain(|position| *position <= live_line.room.cursor);
    apply_remote(&replicas, &all[6], &model);
    assert_eq!(replicas.reconcile(&live_line, begun, now), Reconciled::InStep);
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
    replicas.rebuild(&rebuilt(0, &[], &[], START), Rebuild::Replace, Vec::new);
    let id = |position| TokenId { room_id: HOUSE, position: Position(position) };
    let token = |position| Token::issued(id(position), frontrow_domain::id::UserId(uuid::Uuid::nil()), START);
    let mut replica = Changes { now: START, unused: vec![id(2), id(3)], ..Changes::default() };
    replica.tokens.inserted = vec![token(1), token(4)];
    replicas.apply(HOUSE, &deltas(&replica)[&HOUSE], ChangeOrigin::Remote);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(4)), 1);
    // The rows alone do not tell whether a batch may still bring these positions.
    let rows = rebuilt(4, &[1, 4], &[2, 3], START.plus(Span::from_secs(2)));
    replicas.rebuild(&rows, Rebuild::Replace, || vec![replica.clone()]);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(4)), 1);
    // A later rebuild keeps this without the event.
    replicas.rebuild(&rebuilt(5, &[1, 4, 5], &[2, 3], START.plus(Span::from_secs(60))), Rebuild::Replace, Vec::new);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(5)), 2);
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
    replicas.rebuild(&line(&room, &[]), Rebuild::Replace, Vec::new);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(3)), 1);
    room.epoch += 1;
    replicas.rebuild(&line(&room, &[Position(2)]), Rebuild::Replace, Vec::new);
    assert_eq!(replicas.lines().view(HOUSE).unwrap().ahead(Position(3)), 2);
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
        replicas.rebuild(&before, Rebuild::Replace, Vec::new);
        for at in order {
            apply_remote(&replicas, &all[at], &model);
        }
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
        replicas.rebuild(&before, Rebuild::Replace, Vec::new);
        let mut aheads = std::collections::BTreeMap::new();
        for at in 0..=all.len() {
            if at == starting_at {
                let unverified = replicas.rebuild(&rows, Rebuild::Replace, || all[read_at..starting_at].to_vec());
                resolve_unverified(&replicas, unverified, &model);
            }
            if let Some(changes) = all.get(at)
                && !missed.contains(&at)
            {
                apply_remote(&replicas, changes, &model);
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
        replicas.rebuild(&before, Rebuild::Replace, Vec::new);
        for (at, changes) in all[..during].iter().enumerate() {
            if !missed.contains(&at) {
                apply_remote(&replicas, changes, &model);
            }
        }
        let begun = replicas.deltas_of(HOUSE).unwrap();
        let (_, _, seen, seen_at) = history(&batches[..during]);
        let mut live_line = line(&seen, seen_at);
        live_line.waiting.retain(|position| *position <= live_line.room.cursor);
        for changes in &all[during..] {
            apply_remote(&replicas, changes, &model);
        }
        prop_assert_eq!(replicas.reconcile(&live_line, begun, now), Reconciled::InStep);
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
            apply_remote(&replicas, &all[late], &model);
            let after = replicas.lines().view(HOUSE).unwrap();
            for at in (1..=before.tail().0).filter(|at| has_ended(&before, *at) && has_ended(&rows, *at)) {
                prop_assert!(has_ended(&after, at), "{at} came back");
            }
        }
    }
}
