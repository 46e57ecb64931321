//! When clients are to ask again: near the opening, at the head of a line, and at its end.

use super::tests::{START, full_room, line};
use super::*;
use frontrow_domain::{id::RoomId, model::Model};

#[test]
fn a_line_that_rests_until_the_sale_opens_has_no_estimate_and_is_asked_for_at_its_end() {
    let mut model = Model::new(5, START);
    model.rooms.get_mut(&RoomId::HOUSE).unwrap().opens_at = Some(START.plus(Span::from_secs(600)));
    let view = RoomView::from_rows(&line(&model, START));
    let lead = Span::from_secs(5);
    let at = |seconds| START.plus(Span::from_secs(seconds));
    assert_eq!(view.rest(START, lead), Some(Rest::For(Span::from_secs(595))));
    assert_eq!(view.rest(at(595), lead), None);
    assert_eq!(view.estimated_wait(0, view.rest(START, lead), START), Estimate::Unknown(WaitUnknown::SaleNotOpen));
    let place = view.place(Position(1));
    let even = |seconds| {
        let rest = view.rest(at(seconds), lead);
        (0..1_000).map(|seed| view.poll_after_ms(&place, seed, rest, START)).sum::<i64>() / 1_000
    };
    assert!((29_500..=30_500).contains(&even(0)), "{}", even(0));
    assert!((9_800..=10_200).contains(&even(585)), "{}", even(585));
    assert!((380..=420).contains(&even(595)), "a place is free: {}", even(595));
}

#[test]
fn no_poll_comes_long_after_the_opening_and_those_of_a_long_line_are_spread_evenly() {
    for (waiting, spread) in [(3, 500), (2_000, 500), (50_000, 2_000), (100_000, 4_000), (400_000, 4_000)] {
        let mut line = line(&Model::new(5, START), START);
        line.highest = Position(waiting);
        line.waiting = (1..=waiting).map(Position).collect();
        let view = RoomView::from_rows(&line);
        let people = || (1..=waiting).step_by(usize::try_from(waiting / 10_000 + 1).unwrap());
        for span in [3, 900, 9_999, 20_000, 27_500, 31_000, 33_900, 36_000, 90_000] {
            let rest = Some(Rest::For(Span::from_millis(span)));
            let mut late = Vec::new();
            for position in people() {
                for seed in 0..5_u64 {
                    let seed = seed.wrapping_mul(977).wrapping_add(position.unsigned_abs().wrapping_mul(0x9e37_79b9));
                    let after = view.poll_after_ms(&view.place(Position(position)), seed, rest, START);
                    assert!(POLL_GIVEN_MS.contains(&after), "{after}");
                    let is_late = after > span;
                    assert!(!is_late || after <= span + 1 + spread.max(320), "{waiting} {span}: {after}");
                    late.extend(is_late.then_some(after - span));
                }
            }
            // Polls after the opening, when they are many: no tenth of the time gets twice its share.
            if late.len() < 20_000 || !(320..=24_000).contains(&span) {
                continue;
            }
            for tenth in 0..10 {
                let (from, to) = (spread * tenth / 10, spread * (tenth + 1) / 10);
                let part = late.iter().filter(|after| (from..to).contains(&(**after - 1))).count();
                assert!(part * 10 <= late.len() * 5 / 4, "{waiting} {span}: {part} of {} in {tenth}", late.len());
            }
        }
    }
}

#[test]
fn those_in_front_learn_of_the_opening_first() {
    let (_, view) = full_room(5_000);
    let rest = Some(Rest::For(Span::from_secs(8)));
    let even = |position| {
        let place = view.place(Position(position));
        (0..1_000).map(|seed| view.poll_after_ms(&place, seed, rest, START)).sum::<i64>() / 1_000
    };
    let asked = [1, 1_250, 2_500, 5_000].map(even);
    assert!(asked.is_sorted() && asked[0] < 8_060 && asked[3] > 8_400, "{asked:?}");
}

#[test]
fn a_line_whose_sale_is_over_says_so_and_is_asked_for_seldom_until_the_sale_goes_on() {
    let mut model = Model::new(5, START);
    let at = |seconds| START.plus(Span::from_secs(seconds));
    let row = model.rooms.get_mut(&RoomId::HOUSE).unwrap();
    (row.opens_at, row.closes_at) = (Some(at(300)), Some(at(600)));
    let mut view = RoomView::from_rows(&line(&model, START));
    let lead = Span::from_secs(5);
    let free = Estimate::Known { p50: Span::ZERO, p90: Span::ZERO };
    assert_eq!(view.estimated_wait(0, view.rest(at(599), lead), at(599)), free);
    let rest = view.rest(at(600), lead);
    assert_eq!(
        (rest, view.estimated_wait(0, rest, START)),
        (Some(Rest::SaleClosed), Estimate::Unknown(WaitUnknown::SaleClosed))
    );
    let place = view.place(Position(1));
    assert!((0..100).all(|seed| view.poll_after_ms(&place, seed, rest, START) >= 24_000));
    // Closed before it opened, the sale is not said to open.
    let stopped = Room { closes_at: Some(at(10)), ..view.room().clone() };
    view.apply(&Delta { room: Some(&stopped), ..Delta::none(at(10)) });
    assert_eq!(view.rest(at(10), lead), Some(Rest::SaleClosed));
    let goes_on = Room { closes_at: Some(at(900)), ..stopped };
    let effects = view.apply(&Delta { room: Some(&goes_on), ..Delta::none(at(700)) });
    assert!(effects.may_move, "the line is looked at when the sale goes on");
    assert_eq!(view.estimated_wait(0, view.rest(at(700), lead), at(700)), free);
}

#[test]
fn clients_ask_often_at_the_head_and_seldom_at_the_back() {
    let (_, view) = full_room(2_000);
    let even = |position| {
        let place = view.place(Position(position));
        (0..1_000).map(|seed| view.poll_after_ms(&place, seed, None, START)).sum::<i64>() / 1_000
    };
    assert!((1_450..=1_550).contains(&even(1)), "{}", even(1));
    assert!((29_500..=30_500).contains(&even(2_000)), "{}", even(2_000));
    let place = view.place(Position(2_000));
    let spread: Vec<_> = (0..1_000).map(|seed| view.poll_after_ms(&place, seed, None, START)).collect();
    assert!(spread.iter().all(|ms| (24_000..=36_000).contains(ms)));
    assert!(*spread.iter().max().unwrap() - *spread.iter().min().unwrap() > 10_000);
    assert_eq!(view.poll_after_ms(&place, 7, None, START), view.poll_after_ms(&place, 7, None, START));
    let offered = Place {
        state: Some(TokenState::Offered { until: START, claimed_at: None, back_until: None }),
        ahead: 0,
        returned: 0,
        turns_passed: 0,
    };
    assert!((0..1_000).all(|seed| view.poll_after_ms(&offered, seed, None, START) <= 1_500));
}
